#ifndef DB_SCHEMA_H
#define DB_SCHEMA_H
/*
 * The schema: numbered files that build it.  Blocks: for nudgectl and --dev.
 */
#include "base/err.h"

/* Where the files stand: NUDGED_SQL_DIR (build tree), else the installed directory. */
const char *schema_dir(void);
/* Applies every file NNN_*.sql newer than the database, each in a transaction, under an advisory lock;
 * say is called with one line per thing done.  Refuses a schema newer than this program. */
bool schema_migrate(const char *dsn, const char *dir, void (*say)(void *arg, const char *line),
	void *arg, struct err *err) MUST_CHECK;

#endif
