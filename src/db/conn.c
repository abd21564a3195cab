/* conn.c: a pipeline, and one list that says whose results come next.
 *
 *	DOWN --retry timer--> CONNECTING --> SETUP --> UP
 *	  ^________any loss_______|____________|________|
 *
 * The only truth about the order of results is our own FIFO (one entry per statement, one per Sync):
 * an error can arrive when the head is a Sync (a deferred constraint), a statement is closed by NULL, a
 * Sync is not; PQgetResult returns NULL also when there is nothing.  Setting up a session goes through
 * the same FIFO; who calls while the connection is not up is put on a second list and is told DB_LOST
 * from a timer, so that no end callback ever comes from inside a call.
 *
 * BEGIN .. COMMIT inside a pipeline is a trap (after an error COMMIT is skipped and the next, innocent
 * group fails with 25P02); batches need it all the same, because their transaction must survive a Sync.
 * So when a group ends with an error and the session is still inside a transaction, ROLLBACK and a Sync
 * go out before the end callback can send anything else.
 *
 * Not done: PQcancel (blocking in this libpq): statement_timeout and our own answer timeout instead.
 * Names of hosts: PQconnectStart looks them up blocking.
 */
#include "db/conn.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "db/wire.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	CONN_BACKOFF_FIRST_US = 100000,
	CONN_BACKOFF_MOST_US = 5000000,
	CONN_CONNECT_TIMEOUT_US = 5000000,
	CONN_IDLE_TIMEOUT_MS = 10000,
	CONN_TAG_SETTINGS = 1,
	CONN_TAG_SCHEMA = 2,
	CONN_TAG_ROWS = 3
};

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_SETUP, CONN_UP, CONN_CLOSED };

static const char *conn_state_name(enum conn_state s)
{
	switch (s) {
	case CONN_DOWN: return "down";
	case CONN_CONNECTING: return "connecting";
	case CONN_SETUP: return "setup";
	case CONN_UP: return "up";
	case CONN_CLOSED: return "closed";
	}
	return "?";
}

struct conn_entry {
	STAILQ_ENTRY(conn_entry) link;
	bool is_sync;
	db_rows_fn *rows;
	db_end_fn *end;
	void *arg;
	unsigned tag;
};
STAILQ_HEAD(conn_list, conn_entry);

struct db_conn {
	struct loop *loop;
	struct log_ctx lc;
	struct db_env env;
	char *dsn, *name;
	enum conn_state state;
	PGconn *pg;
	struct loop_fd *fd;
	struct loop_timer *retry;  /* DOWN: next try; CONNECTING, SETUP: deadline */
	struct loop_timer *answer; /* UP: deadline of the head of the fifo */
	struct loop_timer *settle;
	struct conn_list fifo; /* at the server, in order */
	struct conn_list lost; /* to be told DB_LOST */
	struct conn_list spare;
	struct db_end group;     /* of the group whose results are coming */
	uint32_t rows[SQL_ROWS]; /* oids of sql_rows */
	bool told_up, unsafe, broken;
	int64_t backoff_us;
	char why[600];
};

static void conn_on_fd(void *arg, int fd, unsigned what);
static void conn_lose(struct db_conn *c, const char *why);

static void conn_enter(struct db_conn *c, enum conn_state to)
{
	log_debug(&c->lc, "%s -> %s", conn_state_name(c->state), conn_state_name(to));
	c->state = to;
}

/* Tells the owner that it went up or down, once per change. */
static void conn_tell(struct db_conn *c, bool up)
{
	if (c->told_up == up)
		return;
	c->told_up = up;
	if (c->env.on_state != NULL)
		c->env.on_state(c->env.arg, up);
}

/*** the lists ***/

static struct conn_entry *conn_push(struct db_conn *c, struct conn_list *list, bool is_sync)
{
	struct conn_entry *e = STAILQ_FIRST(&c->spare);

	if (e != NULL)
		STAILQ_REMOVE_HEAD(&c->spare, link);
	else
		e = xmalloc(sizeof *e);
	*e = (struct conn_entry){ .is_sync = is_sync };
	STAILQ_INSERT_TAIL(list, e, link);
	return e;
}

/* Takes the head off; the entry stays readable until the next push. */
static struct conn_entry *conn_pop(struct db_conn *c, struct conn_list *list)
{
	struct conn_entry *e = STAILQ_FIRST(list);

	STAILQ_REMOVE_HEAD(list, link);
	STAILQ_INSERT_TAIL(&c->spare, e, link);
	return e;
}

static void conn_free_list(struct conn_list *list)
{
	struct conn_entry *e;

	while ((e = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		free(e);
	}
}

/* Tells everybody on the lost list; who comes onto it meanwhile has to wait for the next time. */
static void conn_settle(struct db_conn *c)
{
	struct conn_list lost = STAILQ_HEAD_INITIALIZER(lost);
	struct db_end end = { .outcome = DB_LOST };

	err_set(&end.err, "the database connection was lost: %s", c->why);
	STAILQ_CONCAT(&lost, &c->lost);
	while (!STAILQ_EMPTY(&lost)) {
		struct conn_entry e = *conn_pop(c, &lost);

		if (e.is_sync && e.end != NULL)
			e.end(e.arg, &end);
	}
}

static void conn_on_settle(void *arg)
{
	conn_settle(arg);
}

/*** losing it ***/

static int64_t conn_jitter_us(int64_t us)
{
	/* half of it by chance, so that a fleet does not come back in one beat; no secret depends on it */
	uint64_t x = (uint64_t)loop_now_us() * 2654435761u + (uint64_t)getpid();

	return us / 2 + (int64_t)(x >> 16) % (us / 2 + 1);
}

/* Drops libpq's side. */
static void conn_drop(struct db_conn *c)
{
	loop_fd_close(c->fd);
	c->fd = NULL;
	if (c->pg != NULL)
		PQfinish(c->pg);
	c->pg = NULL;
	c->broken = false;
	loop_timer_stop(c->answer);
}

/* The connection is gone: everything in flight is lost, and we try again later. */
static void conn_lose(struct db_conn *c, const char *why)
{
	if (c->state == CONN_CLOSED || c->state == CONN_DOWN)
		return;
	/* libpq's texts go on over several lines: the first one says it */
	span_into((struct span){ why, strcspn(why, "\n") }, c->why, sizeof c->why);
	log_damped(LOG_LVL_WARNING, &c->lc, "no database: %s", c->why);
	STAILQ_CONCAT(&c->lost, &c->fifo);
	conn_drop(c);
	conn_enter(c, CONN_DOWN);
	loop_timer_in(c->retry, conn_jitter_us(c->backoff_us));
	c->backoff_us *= 2;
	if (c->backoff_us > CONN_BACKOFF_MOST_US)
		c->backoff_us = CONN_BACKOFF_MOST_US;
	if (!STAILQ_EMPTY(&c->lost))
		loop_timer_in(c->settle, 0);
	conn_tell(c, false);
}

static void conn_on_answer_timeout(void *arg)
{
	struct db_conn *c = arg;

	if (!STAILQ_EMPTY(&c->fifo))
		conn_lose(c, "the database gives no answer");
}

/*** sending ***/

/* Hands libpq's buffer to the socket and watches what must be watched. */
static void conn_flush(struct db_conn *c)
{
	int left = PQflush(c->pg);

	if (left < 0)
		c->broken = true;
	/* reading stays on, or both sides may wait for each other with full buffers */
	loop_fd_watch(c->fd, LOOP_READ | (left > 0 ? LOOP_WRITE : 0));
}

static bool conn_can_send(const struct db_conn *c)
{
	return c->state == CONN_UP && !c->broken;
}

/* The entry of a statement that was handed to libpq, or could not be. */
static void conn_sent(struct db_conn *c, bool sent, db_rows_fn *fn, void *arg, unsigned tag)
{
	struct conn_list *list =
		c->state == CONN_UP || c->state == CONN_SETUP ? &c->fifo : &c->lost;
	struct conn_entry *e;

	if (!sent)
		c->broken = true;
	e = conn_push(c, list, false);
	e->rows = fn;
	e->arg = arg;
	e->tag = tag;
}

void db_send(struct db_conn *c, struct bind *b, db_rows_fn *fn, void *arg, unsigned tag)
{
	const char *values[BIND_MOST];
	int lengths[BIND_MOST], formats[BIND_MOST];
	unsigned n = wire_params(b, c->rows, values, lengths, formats);

	assert(sql_table[b->sql].users & c->env.users);
	if (c->state != CONN_UP) {
		conn_push(c, &c->lost, false);
		return;
	}
	conn_sent(c,
		conn_can_send(c) && PQsendQueryPrepared(c->pg, sql_table[b->sql].name, (int)n,
					    values, lengths, formats, 1),
		fn, arg, tag);
}

void db_send_plain(struct db_conn *c, enum sql_id sql, db_rows_fn *fn, void *arg, unsigned tag)
{
	assert(sql_table[sql].params[0] == '\0' && sql_table[sql].users & c->env.users);
	if (c->state != CONN_UP) {
		conn_push(c, &c->lost, false);
		return;
	}
	conn_sent(c,
		conn_can_send(c) &&
			PQsendQueryPrepared(c->pg, sql_table[sql].name, 0, NULL, NULL, NULL, 1),
		fn, arg, tag);
}

void db_send_text(struct db_conn *c, const char *sql)
{
	if (c->state != CONN_UP) {
		conn_push(c, &c->lost, false);
		return;
	}
	conn_sent(c,
		conn_can_send(c) && PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 1),
		NULL, NULL, 0);
}

void db_flush(struct db_conn *c)
{
	if (conn_can_send(c))
		conn_flush(c);
}

/* Closes a group that is on its way to the server. */
static void conn_sync(struct db_conn *c, db_end_fn *fn, void *arg)
{
	struct conn_entry *e = conn_push(c, &c->fifo, true);

	e->end = fn;
	e->arg = arg;
	if (!c->broken && !PQpipelineSync(c->pg))
		c->broken = true;
	if (!c->broken)
		conn_flush(c);
	if (c->broken)
		conn_lose(c, PQerrorMessage(c->pg)); /* answers come from the settle timer */
	else if (c->state == CONN_UP && !loop_timer_is_armed(c->answer))
		loop_timer_in(c->answer, (int64_t)c->env.answer_timeout_ms * 1000);
}

void db_sync(struct db_conn *c, db_end_fn *fn, void *arg)
{
	struct conn_entry *e;

	if (c->state == CONN_UP) {
		conn_sync(c, fn, arg);
		return;
	}
	e = conn_push(c, &c->lost, true);
	e->end = fn;
	e->arg = arg;
	if (c->state != CONN_CLOSED)
		loop_timer_in(c->settle, 0);
}

/*** results ***/

/* Remembers the first error of a group. */
static void conn_error(struct db_conn *c, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);

	if (c->group.outcome != DB_COMMITTED)
		return;
	snprintf(c->group.sqlstate, sizeof c->group.sqlstate, "%s", state ? state : "08006");
	c->group.outcome = db_outcome_of(c->group.sqlstate);
	/* the detail of class 22 and 23 shows a customer's data: for the caller's debug line only */
	if (c->state == CONN_SETUP && strcmp(c->group.sqlstate, "42P01") == 0)
		err_set(&c->group.err, "the database has no schema: run nudgectl migrate");
	else
		err_set(&c->group.err, "%s (SQLSTATE %s)", text ? text : PQresultErrorMessage(res),
			c->group.sqlstate);
	if (detail != NULL)
		log_debug(&c->lc, "%s: %s", c->group.err.text, detail);
}

/* Sends ROLLBACK when an error left the session inside a transaction. */
static void conn_roll_back(struct db_conn *c)
{
	if (PQtransactionStatus(c->pg) == PQTRANS_IDLE)
		return;
	conn_sent(c,
		PQsendQueryPrepared(c->pg, sql_table[SQL_ROLLBACK].name, 0, NULL, NULL, NULL, 1),
		NULL, NULL, 0);
	conn_sync(c, NULL, NULL);
}

/* A group is over: tells its owner. */
static void conn_group_end(struct db_conn *c, db_end_fn *fn, void *arg)
{
	struct db_end end = c->group;

	c->group = (struct db_end){ .outcome = DB_COMMITTED };
	if (end.outcome == DB_LOST) {
		/* not the data's fault: begin anew */
		conn_lose(c, end.err.text);
		if (fn != NULL)
			fn(arg, &end);
		return;
	}
	if (end.outcome != DB_COMMITTED)
		conn_roll_back(c);
	else if (c->state == CONN_UP && PQtransactionStatus(c->pg) == PQTRANS_IDLE && fn != NULL)
		c->backoff_us = CONN_BACKOFF_FIRST_US;
	if (c->state == CONN_UP) {
		if (STAILQ_EMPTY(&c->fifo))
			loop_timer_stop(c->answer);
		else
			loop_timer_in(c->answer, (int64_t)c->env.answer_timeout_ms * 1000);
	}
	if (fn != NULL)
		fn(arg, &end);
}

/* One result that belongs to the head of the fifo. */
static void conn_result(struct db_conn *c, PGresult *res)
{
	struct conn_entry *e = STAILQ_FIRST(&c->fifo);
	struct conn_entry copy;

	switch ((int)PQresultStatus(res)) {
	case PGRES_PIPELINE_SYNC:
		copy = *conn_pop(c, &c->fifo);
		conn_group_end(c, copy.end, copy.arg);
		break;
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		if (e->rows != NULL && c->group.outcome == DB_COMMITTED)
			e->rows(e->arg, e->tag, (const struct db_rows *)res);
		break;
	case PGRES_PIPELINE_ABORTED: break;
	default: conn_error(c, res); break;
	}
}

/* Takes everything that libpq has; stops when a callback changed the connection. */
static void conn_drain(struct db_conn *c)
{
	PGconn *pg = c->pg;
	int nothing = 0;

	while (c->pg == pg && !STAILQ_EMPTY(&c->fifo) && !PQisBusy(pg) && nothing < 2) {
		PGresult *res = PQgetResult(pg);

		if (res == NULL) { /* closes a statement, never a Sync */
			nothing++;
			if (!STAILQ_FIRST(&c->fifo)->is_sync) {
				conn_pop(c, &c->fifo);
				nothing = 0;
			}
			continue;
		}
		nothing = 0;
		conn_result(c, res);
		PQclear(res);
	}
}

/* Notifications are not used; unread ones would pile up in libpq. */
static void conn_forget_notifies(struct db_conn *c)
{
	PGnotify *n;

	while ((n = PQnotifies(c->pg)) != NULL)
		PQfreemem(n);
}

static void conn_serve(struct db_conn *c, unsigned what)
{
	PGconn *pg = c->pg;
	bool alive = true;
	char *why;

	if (what & LOOP_READ) {
		alive = PQconsumeInput(pg);
		conn_drain(c);
	}
	if (c->pg != pg)
		return; /* lost or closed by a callback */
	if (!alive || PQstatus(pg) == CONNECTION_BAD || c->broken) {
		why = xstrdup(
			c->group.outcome != DB_COMMITTED ? c->group.err.text : PQerrorMessage(pg));
		conn_lose(c, why);
		free(why);
		return;
	}
	conn_forget_notifies(c);
	if (what & LOOP_WRITE)
		conn_flush(c);
}

/*** setting up a session ***/

static void conn_on_notice(void *arg, const char *text)
{
	struct db_conn *c = arg;

	log_debug(&c->lc, "notice: %.*s", (int)strcspn(text, "\n"), text);
}

/* fsync, full_page_writes, synchronous_commit, is read-only: columns 0 to 3. */
static void conn_check_settings(struct db_conn *c, const struct db_rows *rows)
{
	static const char *const names[] = { "fsync", "full_page_writes", "synchronous_commit" };

	c->unsafe = false;
	for (unsigned i = 0; i < 3; i++) {
		struct span v = db_rows_text(rows, 0, i);

		if (span_is(v, "on") || (i == 2 && span_is(v, "remote_apply")))
			continue;
		c->unsafe = true;
		if (c->env.unsafe_durability || c->group.err.text[0] != '\0')
			continue;
		c->group.outcome = DB_LOST;
		err_set(&c->group.err,
			"refusing to run: %s is %.*s, so what was acknowledged could be lost; set it to on, "
			"or unsafe_durability = yes",
			names[i], SPAN_ARG(v));
	}
	if (db_rows_bool(rows, 0, 3) && c->group.err.text[0] == '\0') {
		c->group.outcome = DB_LOST;
		err_set(&c->group.err, "refusing to run: the server is a standby or read-only");
	}
}

static void conn_check_schema(struct db_conn *c, const struct db_rows *rows)
{
	int64_t version = 0, compatible = 0;

	if (db_rows_count(rows) > 0) {
		version = db_rows_i64(rows, 0, 0);
		compatible = db_rows_i64(rows, 0, 1);
	}
	if (c->group.err.text[0] != '\0')
		return;
	if (version < SQL_SCHEMA_VERSION || compatible > SQL_SCHEMA_VERSION) {
		c->group.outcome = DB_LOST;
		err_set(&c->group.err,
			"the database has schema version %lld, this program needs %d: %s",
			(long long)version, SQL_SCHEMA_VERSION,
			version < SQL_SCHEMA_VERSION ? "run nudgectl migrate"
						     : "it is too old for this database");
	}
}

static void conn_on_setup_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct db_conn *c = arg;

	switch (tag) {
	case CONN_TAG_SETTINGS: conn_check_settings(c, rows); break;
	case CONN_TAG_SCHEMA: conn_check_schema(c, rows); break;
	case CONN_TAG_ROWS:
		for (size_t i = 0; i < SQL_ROWS; i++)
			c->rows[i] = (uint32_t)db_rows_i64(rows, i, 0);
		break;
	}
}

static void conn_on_ready(void *arg, const struct db_end *end)
{
	struct db_conn *c = arg;

	if (end->outcome != DB_COMMITTED) {
		if (end->outcome != DB_LOST)
			conn_lose(c, end->err.text);
		return;
	}
	loop_timer_stop(c->retry);
	c->why[0] = '\0';
	conn_enter(c, CONN_UP);
	if (c->unsafe)
		log_warning(&c->lc, "the database may lose what it committed (unsafe_durability)");
	conn_tell(c, true);
}

/* Sends one text of the setup. */
static void conn_setup_text(struct db_conn *c, const char *sql, unsigned tag)
{
	conn_sent(c, PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 1),
		tag ? conn_on_setup_rows : NULL, c, tag);
}

/* Asks for the oids of sql_rows; 0: there is none (the schema is older, and that was said). */
static void conn_setup_rows(struct db_conn *c)
{
	struct buf text = { 0 };

	buf_str(&text, "select coalesce(to_regtype(name)::oid::bigint, 0) from unnest('{");
	for (int i = 0; i < SQL_ROWS; i++) {
		if (i)
			buf_char(&text, ',');
		buf_str(&text, sql_rows[i].type);
	}
	buf_str(&text, "}'::text[]) with ordinality t(name, n) order by n");
	conn_setup_text(c, text.p, CONN_TAG_ROWS);
	buf_free(&text);
}

static void conn_prepare(struct db_conn *c, const struct sql *s)
{
	Oid oids[BIND_MOST];
	int n = (int)strlen(s->params);

	for (int i = 0; i < n; i++)
		oids[i] = wire_oid(s->params[i]);
	conn_sent(c, PQsendPrepare(c->pg, s->name, s->text, n, oids), NULL, NULL, 0);
}

/* One group: settings, checks, all statements. */
static void conn_setup(struct db_conn *c)
{
	char *set = xasprintf("select set_config('search_path', 'nudged', false), "
			      "set_config('plan_cache_mode', 'force_generic_plan', false), "
			      "set_config('idle_in_transaction_session_timeout', '%d', false), "
			      "set_config('statement_timeout', '%d', false), "
			      "set_config('lock_timeout', '%d', false), "
			      "set_config('client_connection_check_interval', '2s', false), "
			      "set_config('tcp_keepalives_idle', '5', false), "
			      "set_config('tcp_keepalives_interval', '2', false), "
			      "set_config('tcp_keepalives_count', '3', false), "
			      "set_config('enable_seqscan', 'off', false), "
			      "set_config('enable_bitmapscan', 'off', false), "
			      "set_config('enable_hashjoin', 'off', false), "
			      "set_config('enable_mergejoin', 'off', false), "
			      "set_config('jit', 'off', false), "
			      "set_config('timezone', 'UTC', false)",
		c->env.idle_timeout_ms ? c->env.idle_timeout_ms : CONN_IDLE_TIMEOUT_MS,
		c->env.statement_timeout_ms, c->env.lock_timeout_ms);

	conn_enter(c, CONN_SETUP);
	c->group = (struct db_end){ .outcome = DB_COMMITTED };
	conn_setup_text(c, set, 0);
	free(set);
	conn_setup_text(c,
		"select current_setting('fsync'), current_setting('full_page_writes'), "
		"current_setting('synchronous_commit'), "
		"pg_is_in_recovery() or current_setting('transaction_read_only')::boolean",
		CONN_TAG_SETTINGS);
	conn_setup_text(c,
		"select version::bigint, compatible::bigint from schema_version "
		"order by version desc limit 1",
		CONN_TAG_SCHEMA);
	conn_setup_rows(c);
	for (int i = 0; i < SQL_COUNT; i++)
		if (sql_table[i].users & c->env.users)
			conn_prepare(c, &sql_table[i]);
	conn_sync(c, conn_on_ready, c);
}

/*** connecting ***/

static void conn_poll(struct db_conn *c)
{
	PostgresPollingStatusType to = PQconnectPoll(c->pg);

	/* the socket may be another one after each step: a new watcher every time */
	loop_fd_close(c->fd);
	c->fd = NULL;
	if (to == PGRES_POLLING_FAILED) {
		char *why = xstrdup(PQerrorMessage(c->pg));

		conn_lose(c, why);
		free(why);
		return;
	}
	c->fd = loop_fd_open(c->loop, PQsocket(c->pg), conn_on_fd, c);
	if (to == PGRES_POLLING_OK) {
		PQsetnonblocking(c->pg, 1);
		PQenterPipelineMode(c->pg);
		conn_setup(c);
	} else {
		loop_fd_watch(c->fd, to == PGRES_POLLING_WRITING ? LOOP_WRITE : LOOP_READ);
	}
}

static void conn_connect(struct db_conn *c)
{
	/* what stands before dbname are defaults that the dsn may change */
	const char *keys[] = { "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "dbname", "application_name", "client_encoding", NULL };
	const char *values[] = { "10000", "5", "2", "3", c->dsn, c->name, "UTF8", NULL };

	conn_enter(c, CONN_CONNECTING);
	loop_timer_in(c->retry, CONN_CONNECT_TIMEOUT_US);
	c->pg = PQconnectStartParams(keys, values, 1);
	if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD) {
		char *why = xstrdup(c->pg ? PQerrorMessage(c->pg) : "out of memory");

		conn_lose(c, why);
		free(why);
		return;
	}
	PQsetNoticeProcessor(c->pg, conn_on_notice, c);
	c->fd = loop_fd_open(c->loop, PQsocket(c->pg), conn_on_fd, c);
	loop_fd_watch(c->fd, LOOP_WRITE);
}

static void conn_on_retry(void *arg)
{
	struct db_conn *c = arg;

	switch (c->state) {
	case CONN_DOWN: conn_connect(c); break;
	case CONN_CONNECTING: conn_lose(c, "the database did not answer in time"); break;
	case CONN_SETUP: conn_lose(c, "the database did not take the session in time"); break;
	case CONN_UP:
	case CONN_CLOSED: break;
	}
}

static void conn_on_fd(void *arg, int fd, unsigned what)
{
	struct db_conn *c = arg;

	(void)fd;
	switch (c->state) {
	case CONN_CONNECTING: conn_poll(c); break;
	case CONN_SETUP:
	case CONN_UP: conn_serve(c, what); break;
	case CONN_DOWN:
	case CONN_CLOSED: break;
	}
}

/*** life ***/

struct db_conn *db_open(struct loop *loop, const struct db_env *env)
{
	struct db_conn *c = xcalloc(1, sizeof *c);

	c->loop = loop;
	c->env = *env;
	c->dsn = xstrdup(env->dsn);
	c->name = xstrdup(env->name);
	c->env.dsn = c->dsn;
	c->env.name = c->name;
	c->lc.room = "db";
	snprintf(c->lc.id, sizeof c->lc.id, "%s", env->name);
	STAILQ_INIT(&c->fifo);
	STAILQ_INIT(&c->lost);
	STAILQ_INIT(&c->spare);
	c->backoff_us = CONN_BACKOFF_FIRST_US;
	c->retry = loop_timer_open(loop, conn_on_retry, c);
	c->answer = loop_timer_open(loop, conn_on_answer_timeout, c);
	c->settle = loop_timer_open(loop, conn_on_settle, c);
	snprintf(c->why, sizeof c->why, "connecting");
	c->state = CONN_DOWN;
	loop_timer_in(c->retry, 0);
	return c;
}

bool db_is_up(const struct db_conn *c)
{
	return c->state == CONN_UP && !c->broken;
}

bool db_is_idle(const struct db_conn *c)
{
	return db_is_up(c) && STAILQ_EMPTY(&c->fifo);
}

const char *db_why(const struct db_conn *c)
{
	return c->why;
}

bool db_is_unsafe(const struct db_conn *c)
{
	return c->unsafe;
}

static void conn_free(void *p)
{
	struct db_conn *c = p;

	conn_free_list(&c->spare);
	free(c->dsn);
	free(c->name);
	free(c);
}

void db_close(struct db_conn *c)
{
	if (c == NULL || c->state == CONN_CLOSED)
		return;
	snprintf(c->why, sizeof c->why, "closed");
	STAILQ_CONCAT(&c->lost, &c->fifo);
	conn_drop(c);
	conn_enter(c, CONN_CLOSED);
	conn_settle(c);
	loop_timer_close(c->retry);
	loop_timer_close(c->answer);
	loop_timer_close(c->settle);
	conn_free_list(&c->lost);
	loop_defer_free(c->loop, c, conn_free);
}
