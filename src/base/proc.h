#ifndef BASE_PROC_H
#define BASE_PROC_H
/*
 * Processes: fork a child that dies with its parent, pipes that wake, memory that is shared.
 *
 * Used by the parent process only, before and between forks; a process that has an event loop or
 * library state of its own does not fork.
 */
#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

/* Like fork(2).  The child has default signal actions (SIGPIPE ignored), no signal blocked, the name
 * given, and gets SIGTERM when its parent dies. */
pid_t proc_fork(const char *name);
/* Shown by ps and top, at most 15 bytes. */
void proc_set_name(const char *name);
/* Both ends non-blocking and closed on exec: [0] reads, [1] writes. */
bool proc_pipe(int ret_fds[2], struct err *err) MUST_CHECK;
/* Zeroed memory that stays shared over forks; whole pages.  Gone with the last process. */
void *proc_share(size_t n, struct err *err) MUST_CHECK;
/* Takes all bytes out of a wake pipe. */
void proc_drain_pipe(int fd);
/* How a process ended, of waitpid's status: "exit 3", "signal 11 (Segmentation fault)".  One static
 * buffer. */
const char *proc_end_text(int status);

#endif
