#ifndef DB_BLOCK_H
#define DB_BLOCK_H
/*
 * A connection that blocks, for processes that have nothing else to do: couriers, nudgectl, migrations.
 * Never in an engine.
 *
 * Every call waits for its answer, but no longer than the time-out given at open: then the connection is
 * closed and the call fails with DB_LOST.  A call on a closed connection fails so, too; block_is_open
 * tells, whoever wants another one opens it.  Statements are those of db/sql.c, prepared when first
 * used; outside of SQL_BEGIN .. SQL_COMMIT each is a transaction of its own.
 */
#include "db/bind.h"
#include "db/outcome.h"

struct block;

/* The connection's application_name is name ("nudged mail 1").  With `checked` the durability settings and
 * the schema version must be right (unsafe: only the version). */
enum block_check { BLOCK_UNCHECKED, BLOCK_CHECKED, BLOCK_UNSAFE };
struct block *block_open(const char *dsn, const char *name, enum block_check check, int timeout_ms,
	struct err *err) MUST_CHECK;
bool block_is_open(const struct block *b);
/* For poll(2): becomes readable when the server has closed the connection.  -1: not open. */
int block_fd(const struct block *b);
/* The connection's server process: (pid, backend_start) is what claims are marked with. */
int block_backend_pid(const struct block *b);

/* Runs the statement of params; *ret_rows (NULL: not wanted) is freed with block_rows_free. */
bool block_exec(struct block *b, struct bind *params, struct db_rows **ret_rows,
	struct err *err) MUST_CHECK;
/* Runs n statements in one round trip; ret_rows (NULL: not wanted) takes n results.  Inside SQL_BEGIN ..
 * SQL_COMMIT they are as if sent one after another: each sees what was committed before it began, and after the
 * first that fails none is run.  Outside they would be one transaction together. */
enum { BLOCK_MANY = 8 };
bool block_exec_many(struct block *b, struct bind *const *params, size_t n,
	struct db_rows **ret_rows, struct err *err) MUST_CHECK;
/* One without parameters. */
bool block_exec_plain(
	struct block *b, enum sql_id sql, struct db_rows **ret_rows, struct err *err) MUST_CHECK;
/* Any text, several statements allowed; rows of the last one, as text. */
bool block_script(
	struct block *b, const char *sql, struct db_rows **ret_rows, struct err *err) MUST_CHECK;
void block_rows_free(struct db_rows *rows); /* NULL is allowed */
/* How the last call ended, and its SQLSTATE ("" when it went well). */
enum db_outcome block_outcome(const struct block *b);
const char *block_sqlstate(const struct block *b);

void block_close(struct block *b); /* NULL is allowed */

#endif
