#ifndef DB_SCHEMA_H
#define DB_SCHEMA_H
/*
 * The schema: numbered files that build it, and the partitions that come and go by month.
 *
 * schema_migrate blocks (nudgectl, --dev).  A `struct schema_keeper` lives in an engine and never blocks: it
 * has a connection of its own, looks after the partitions when it comes up and every hour, and deletes
 * what is older than it is to be kept, in portions; of all engines one at a time makes partitions
 * (advisory lock), the others find nothing left to do.
 */
#include "base/err.h"

#include <stdint.h>

struct loop;
struct schema_keeper;

/* Where the files stand: NUDGED_SQL_DIR (build tree), else the installed directory. */
const char *schema_dir(void);
/* Applies every file NNN_*.sql newer than the database, each in a transaction, under an advisory lock;
 * say is called with one line per thing done.  Refuses a schema newer than this program. */
bool schema_migrate(const char *dsn, const char *dir, void (*say)(void *arg, const char *line),
	void *arg, struct err *err) MUST_CHECK;

struct schema_keep {           /* months; 0: for ever */
	int events, chain_log; /* whole months, by partition */
	int messages, tasks;   /* those that are over */
	int quarantine;        /* and conflicting events */
	int audit, consent_log;
};
struct schema_keeper *schema_keeper_open(
	struct loop *loop, const char *dsn, const struct schema_keep *keep);
/* The end of the last month that has partitions; 0: not known yet.  For /readyz. */
int64_t schema_keeper_until_us(const struct schema_keeper *k);
/* After a reload. */
void schema_keeper_set(struct schema_keeper *k, const struct schema_keep *keep);
void schema_keeper_close(struct schema_keeper *k); /* NULL is allowed */

#endif
