#ifndef BASE_CRASHNOTE_H
#define BASE_CRASHNOTE_H
/*
 * The crash note: what this process is about to do, written where its parent finds it when the process
 * is gone (ARCHITECTURE, Processes).
 *
 * Set before each evaluation, cleared after it; memory stores only, no system call.  The note lies in
 * memory shared with the parent, which keeps a copy when the child died of SEGV, BUS, ABRT, ILL or FPE
 * or was killed for stalling, and hands it to the next process in the same place as its strike.
 */
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
	CRASH_KIND_SIZE = 16,
	CRASH_ID_SIZE = 640 /* of a store, a source and an id at their longest */,
	CRASH_RULE_SIZE = 160
};

struct crash_note {
	_Atomic bool is_set;
	char kind[CRASH_KIND_SIZE]; /* "event" or "chain" */
	char id[CRASH_ID_SIZE];     /* store/source/id, or the chain's number; cut when longer */
	char rule[CRASH_RULE_SIZE];
};

/* note may be NULL (tests). */
void crash_note_set(struct crash_note *note, const char *kind, struct span id, struct span rule);
void crash_note_clear(struct crash_note *note);
/* Copies a note that is set; false when it is not. */
bool crash_note_take(struct crash_note *note, struct crash_note *ret);

#endif
