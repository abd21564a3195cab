#ifndef MAIN_HANDOVER_H
#define MAIN_HANDOVER_H
/*
 * Listening sockets, from the daemon that runs to the one that is started to replace it (--beside).
 *
 * The daemon that holds the lock has a Unix socket beside the lock file; who connects to it and is the same user
 * (or root) is given duplicates of the listening sockets (SCM_RIGHTS, unix(7)).  There is one queue of
 * clients then, whoever of the two takes them, and nobody loses his place when the older one ends.
 */
#include "base/err.h"
#include "main/unix_path.h"

#include <stddef.h>

enum { HANDOVER_MOST = 64 /* sockets */ };

struct handover {
	int fd; /* -1: nobody can take anything over */
	struct unix_path path;
};

/* Stands ready at `path`; who stood there before is not asked any more. */
bool handover_open(struct handover *h, const char *path, struct err *err) MUST_CHECK;
/* Gives fds to everybody who has asked since the last call, without waiting; returns to how many. */
size_t handover_give(struct handover *h, const int *fds, size_t n);
/* The sockets of the daemon that stands ready at `path`: at most HANDOVER_MOST, the caller's, closed on
 * exec.  Waits for three seconds at most; 0: nobody is there, or he has none. */
size_t handover_take(const char *path, int ret_fds[HANDOVER_MOST]);
/* Closes, and removes the path if it is still ours. */
void handover_close(struct handover *h);
/* In a child: closes only. */
void handover_forget(struct handover *h);

#endif
