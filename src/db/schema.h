#ifndef DB_SCHEMA_H
#define DB_SCHEMA_H
/*
 * The schema: numbered files that build it, and the partitions that come and go by month.
 *
 * schema_migrate blocks (nudgectl, --dev).  A `struct schema_keeper` lives in an engine and never blocks: it
 * has a connection of its own, looks after the partitions when it comes up and every hour; of all
 * engines one at a time does the work (advisory lock), the others find nothing left to do.
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

struct schema_keep { /* as SQL intervals: "400 days"; NULL: for ever */
	const char *events, *chains;
};
/* The texts are copied. */
struct schema_keeper *schema_keeper_open(
	struct loop *loop, const char *dsn, const struct schema_keep *keep);
/* The end of the last month that has partitions; 0: not known yet.  For /readyz. */
int64_t schema_keeper_until_us(const struct schema_keeper *k);
void schema_keeper_close(struct schema_keeper *k); /* NULL is allowed */

#endif
