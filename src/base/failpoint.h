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
 * that acts, which puts a line "name pid microseconds process" behind FILE.hits (neither for *).  Names are
 * room.place, or room.place/KIND/ID (a list may say room.place/KIND/ and a star for all).
 *
 * Each place puts its name into a section of the program; failpoint_at lists them.
 */
#include "config.h"

#include <stddef.h>

enum { FAILPOINT_NAME = 32 };

#ifdef NUDGED_FAILPOINTS
#define FAILPOINT_NOTE(name)                                                                       \
	static const char failpoint_name[FAILPOINT_NAME]                                           \
		__attribute__((section("failpoints"), used)) = name
#define FAILPOINT(name)                                                                            \
	do {                                                                                       \
		FAILPOINT_NOTE(name);                                                              \
		failpoint_reach(failpoint_name);                                                   \
	} while (0)
/* One of several that may be processed here. */
#define FAILPOINT_ID(name, kind, id)                                                               \
	do {                                                                                       \
		FAILPOINT_NOTE(name);                                                              \
		failpoint_reach_id(failpoint_name, kind, id);                                      \
	} while (0)
/* A place that is one under this condition only. */
#define FAILPOINT_IF(what, name)                                                                   \
	do {                                                                                       \
		if (what)                                                                          \
			FAILPOINT(name);                                                           \
	} while (0)
/* A place that lies behind something that only a test build does, such as sending what is buffered. */
#define FAILPOINT_AFTER(act, name)                                                                 \
	do {                                                                                       \
		act;                                                                               \
		FAILPOINT(name);                                                                   \
	} while (0)
#else
#define FAILPOINT(name) ((void)0)
#define FAILPOINT_ID(name, kind, id) ((void)0)
#define FAILPOINT_IF(what, name) ((void)0)
#define FAILPOINT_AFTER(act, name) ((void)0)
#endif

/* What the macro calls; exists in every build so that all link alike. */
void failpoint_reach(const char *name);
/* The place "name/kind/id": one of many. */
void failpoint_reach_id(const char *name, const char *kind, const char *id);
/* The i-th place of this program, in no order, or NULL; one that stands in the source twice is there twice. */
const char *failpoint_at(size_t i);

#endif
