#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H
/*
 * Failpoints: named places where a test build dies, stops or waits, to show what a crash there costs.
 *
 * FAILPOINT("mail.after_claim") is nothing at all unless configured with --enable-failpoints.  There,
 * the environment variable NUDGED_FAILPOINT says what happens, when a place is reached the n-th time
 * in this process (n from 1):
 *
 *	name:n          kill -9
 *	name:n:stop     SIGSTOP: the process freezes until somebody sends SIGCONT
 *	name:n:exit     _exit(1): like kill, but atexit-less and seen by the parent as exit 1
 *	name:n:segv     SIGSEGV: a crash, which counts as a strike of the rule that ran
 *
 * n may be *: each time.  Several are divided by commas.  With @FILE the list is read from that file, so it can
 * change while the processes run; it works once for all of them: the file is renamed to FILE.done by the process
 * that acts (not for *).  Names are room.place, or room.place/KIND/ID (a list may say room.place/KIND/ and a star
 * for all); grep FAILPOINT for the list.
 */
#include "config.h"

#ifdef NUDGED_FAILPOINTS
#define FAILPOINT(name) failpoint_reach(name)
#define FAILPOINT_ID(name, kind, id) failpoint_reach_id(name, kind, id)
#else
#define FAILPOINT(name) ((void)0)
#define FAILPOINT_ID(name, kind, id) ((void)0)
#endif

/* What the macro calls; exists in every build so that all link alike. */
void failpoint_reach(const char *name);
/* The place "name/kind/id": one of many. */
void failpoint_reach_id(const char *name, const char *kind, const char *id);

#endif
