#ifndef MAIN_LISTEN_H
#define MAIN_LISTEN_H
/*
 * The listening sockets: opened by the parent, or inherited from systemd, and handed down.
 *
 * The parent never accepts.  Sockets live as long as the parent, so a restart of an engine refuses
 * nobody.  If the environment has LISTEN_FDS for this process (sd_listen_fds(3)), those sockets are
 * used and the configuration's addresses are not.
 */
#include "base/err.h"
#include "main/settings.h"
#include "main/unix_path.h"

struct listen {
	int *fds;
	size_t n;
	struct unix_path *paths; /* Unix sockets that we made */
	size_t npaths;
};

/* `beside`: another nudged may have the same addresses; its sockets are taken over from it where it stands
 * ready at the path `handover` (main/handover.h), and opened beside its own where it does not. */
bool listen_open(struct listen *l, const struct settings *s, bool beside, const char *handover,
	struct err *err) MUST_CHECK;
/* Another daemon has taken the sockets over: the paths of Unix sockets are its to remove. */
void listen_give_paths(struct listen *l);
/* Closes, and removes Unix sockets that are still ours. */
void listen_close(struct listen *l);
/* In a child that does not listen: closes only. */
void listen_forget(struct listen *l);

#endif
