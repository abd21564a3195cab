#ifndef BASE_HEART_H
#define BASE_HEART_H
/*
 * The heart of a child process: its loop beats, its parent watches.
 *
 * Lies in memory that both share, zero-initialised by the parent.  The child calls heart_beat in every
 * turn of its loop (a blocking child: between its steps), heart_ready once when it does its work, and
 * heart_say whenever there is news for `systemctl status`.  None of them makes a system call.  A heart
 * that stands still longer than its role's limit gets its process killed.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEART_STATUS_SIZE = 160 };

struct heart {
	_Atomic uint64_t beats;
	_Atomic bool ready;
	_Atomic uint32_t writing; /* odd while status is written */
	char status[HEART_STATUS_SIZE];
};

/* The child's side; h may be NULL (tests). */
void heart_beat(struct heart *h);
void heart_ready(struct heart *h);
/* Short text, cut when too long; "" = nothing to say. */
void heart_say(struct heart *h, const char *status);

/* The parent's side: for a new process in the same place. */
void heart_clear(struct heart *h);
/* Copies the status; false when it is being written just now. */
bool heart_status(const struct heart *h, char *buf, size_t size);

#endif
