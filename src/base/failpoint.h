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
 *
 * Several are divided by commas.  Names are room.place; grep FAILPOINT( for the list.
 */
#include "config.h"

#ifdef NUDGED_FAILPOINTS
#define FAILPOINT(name) failpoint_reach(name)
#else
#define FAILPOINT(name) ((void)0)
#endif

/* What the macro calls; exists in every build so that all link alike. */
void failpoint_reach(const char *name);

#endif
