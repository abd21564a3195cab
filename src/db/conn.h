#ifndef DB_CONN_H
#define DB_CONN_H
/*
 * A connection to Postgres that never blocks: libpq in pipeline mode on the event loop.
 *
 * Life: db_open begins to connect and goes on trying (100 ms .. 5 s, with jitter) until db_close.  After
 * each connect the session is set up, its durability and schema are checked, and all statements of
 * env.users are prepared; only then it is up.
 *
 * A group is any number of db_send closed by one db_sync; unless it contains SQL_BEGIN it is one
 * transaction.  Row callbacks come in order, for statements that succeeded; they may only copy: what
 * happened is known when the group's end callback comes.  That comes exactly once per db_sync, never
 * from inside db_send or db_sync: with DB_LOST too when the connection is down.  A transaction may span
 * groups (SQL_BEGIN in one, SQL_COMMIT in a later one): then the next group may be sent only after the
 * end of the one before.  After an error in such a transaction the connection has rolled it back by
 * itself.
 * An error that is neither of the data nor a lost race (db/outcome.h) ends the connection, too: the group
 * is DB_LOST and the connection begins anew, backing off until a transaction commits.
 *
 * Callbacks may call everything here, db_close included.  Parameters and texts are copied by db_send.
 */
#include "db/bind.h"
#include "db/outcome.h"

struct db_conn;
struct loop;

struct db_env {
	const char *dsn; /* libpq connection string; hosts as addresses or socket directories: names
	                     are looked up by blocking calls */
	const char *name;         /* application_name; must begin with "nudged" */
	unsigned users;           /* enum sql_user: which statements it will send */
	bool unsafe_durability;   /* go on where fsync and the like are off */
	int statement_timeout_ms; /* 0: none */
	int idle_timeout_ms; /* the server ends who idles in a transaction for so long; 0: 10 s (and see keeper.h) */
	int lock_timeout_ms; /* a statement that waits for a lock for so long fails; 0: for ever */
	int answer_timeout_ms; /* no answer for so long: the connection is dropped */
	/* It came up or went down; may be NULL. */
	void (*on_state)(void *arg, bool up);
	void *arg;
};

typedef void db_rows_fn(void *arg, unsigned tag, const struct db_rows *rows);
typedef void db_end_fn(void *arg, const struct db_end *end);

/* The env is copied, its texts too. */
struct db_conn *db_open(struct loop *loop, const struct db_env *env);
bool db_is_up(const struct db_conn *c);
/* Up, and nothing sent that is not answered. */
bool db_is_idle(const struct db_conn *c);
/* Why it is not up, for people; "" when it is. */
const char *db_why(const struct db_conn *c);
/* The server may lose what it committed (and env.unsafe_durability lets it). */
bool db_is_unsafe(const struct db_conn *c);

/* Sends the statement of b; fn (may be NULL) gets its rows with arg and tag. */
void db_send(struct db_conn *c, struct bind *b, db_rows_fn *fn, void *arg, unsigned tag);
/* The same for a statement without parameters. */
void db_send_plain(struct db_conn *c, enum sql_id sql, db_rows_fn *fn, void *arg, unsigned tag);
/* Text that is made at run time (names of partitions): db/keeper only. */
void db_send_text(struct db_conn *c, const char *sql);
void db_sync(struct db_conn *c, db_end_fn *fn, void *arg);
/* Hands to the socket what was sent so far; db_sync does it, so only a test that dies in between wants it. */
void db_flush(struct db_conn *c);

/* Every open group ends with DB_LOST before this returns; the memory goes at the end of the turn. */
void db_close(struct db_conn *c);

#endif
