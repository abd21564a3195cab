#ifndef DB_KEEPER_H
#define DB_KEEPER_H
/*
 * The keeper of the database: partitions that come and go by month, rows whose time is over, sessions whose client fell
 * silent in the middle of a transaction.
 *
 * It lives in an engine and never blocks, with a connection of its own.  Partitions and old rows it looks after when the
 * connection comes up and every hour, rows in portions; of all engines one at a time makes partitions (advisory lock), the
 * others find nothing left to do.
 */
#include "base/str.h"

#include <stdint.h>

struct keeper;
struct loop;

/* How long things stay; 0: for ever. */
struct keeper_months {
	int events, chain_log; /* whole months, by partition */
	int messages, tasks;   /* those that are over */
	int quarantine;        /* and conflicting events */
	int audit, consent_log;
};

/* silence_ms: a session of ours that waits for its client for so long, in a transaction, is ended: its process is frozen, and
 * others wait for its locks.  It may last twice as long until that is noticed. */
struct keeper *keeper_open(
	struct loop *loop, const char *dsn, int silence_ms, const struct keeper_months *keep);
/* The end of the last month that has partitions; 0: not known yet.  For /readyz. */
int64_t keeper_until_us(const struct keeper *k);
/* After a reload. */
void keeper_set(struct keeper *k, const struct keeper_months *keep);
void keeper_close(struct keeper *k); /* NULL is allowed */

#endif
