/* block.c: libpq the plain way, with a deadline.
 *
 * Even here no PQexec: it waits for ever when the server is frozen or the cable is cut.  Every call is
 * sent, then waited for with poll(2) until the deadline; who misses it is closed, because nobody knows
 * any more what the answer to the next question would belong to.
 *
 * A group of statements goes as a pipeline with one Sync at its end: what costs in a courier's day is the waiting
 * for each other, twice per question, more than the questions.
 */
#include "db/block.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "db/wire.h"

#include <assert.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
	PGconn *pg;
	int timeout_ms;
	enum db_outcome outcome;
	char sqlstate[6];
	bool prepared[SQL_COUNT];
};

/* Closes the connection: its state is unknown. */
static void block_drop(struct block *b)
{
	if (b->pg != NULL)
		PQfinish(b->pg);
	b->pg = NULL;
	b->outcome = DB_LOST;
	memset(b->prepared, 0, sizeof b->prepared);
}

/* First line of libpq's message. */
static bool block_libpq_error(struct block *b, const char *what, struct err *err)
{
	const char *text = b->pg ? PQerrorMessage(b->pg) : "not connected";

	snprintf(b->sqlstate, sizeof b->sqlstate, "08006");
	err_set(err, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
	block_drop(b);
	return false;
}

/* Waits until the socket is ready or the deadline is over. */
static bool block_wait(struct block *b, short events, int64_t deadline_us)
{
	for (;;) {
		struct pollfd p = { .fd = PQsocket(b->pg), .events = events };
		int64_t left_us = deadline_us - clock_boot_us();
		int n;

		if (left_us <= 0)
			return false;
		n = poll(&p, 1, (int)(left_us / 1000) + 1);
		if (n > 0)
			return true;
	}
}

static int64_t block_deadline_us(const struct block *b)
{
	return b->timeout_ms > 0 ? clock_boot_us() + (int64_t)b->timeout_ms * 1000 : INT64_MAX / 2;
}

/* Sends what is buffered and reads until a result is complete. */
static bool block_await(struct block *b, int64_t deadline_us, struct err *err)
{
	int left;

	FAILPOINT_AFTER(PQflush(b->pg), "block.sent");
	while ((left = PQflush(b->pg)) > 0) {
		if (!block_wait(b, POLLIN | POLLOUT, deadline_us))
			goto late;
		if (!PQconsumeInput(b->pg))
			return block_libpq_error(b, "the database connection was lost", err);
	}
	while (left == 0 && PQisBusy(b->pg)) {
		if (!block_wait(b, POLLIN, deadline_us))
			goto late;
		if (!PQconsumeInput(b->pg))
			return block_libpq_error(b, "the database connection was lost", err);
	}
	return left == 0 || block_libpq_error(b, "the database connection was lost", err);
late:
	err_set(err, "the database gave no answer within %d ms", b->timeout_ms);
	block_drop(b);
	return false;
}

/* Takes the error of a result. */
static void block_result_error(struct block *b, const PGresult *res, struct err *err)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (b->outcome != DB_COMMITTED)
		return;
	snprintf(b->sqlstate, sizeof b->sqlstate, "%s", state ? state : "08006");
	b->outcome = db_outcome_of(b->sqlstate);
	err_set(err, "%s (SQLSTATE %s)", text ? text : "the database connection was lost",
		b->sqlstate);
}

/* All results of what was sent; the last one's rows are given. */
static bool block_collect(struct block *b, struct db_rows **ret_rows, struct err *err)
{
	int64_t deadline_us = block_deadline_us(b);
	PGresult *res, *last = NULL;

	b->outcome = DB_COMMITTED;
	b->sqlstate[0] = '\0';
	for (;;) {
		if (!block_await(b, deadline_us, err))
			break;
		if ((res = PQgetResult(b->pg)) == NULL)
			break;
		PQclear(last);
		last = res;
		if (PQresultStatus(res) != PGRES_TUPLES_OK &&
			PQresultStatus(res) != PGRES_COMMAND_OK)
			block_result_error(b, res, err);
	}
	if (b->pg != NULL && PQstatus(b->pg) == CONNECTION_BAD)
		block_drop(b);
	if (b->outcome == DB_COMMITTED && ret_rows != NULL)
		*ret_rows = (struct db_rows *)last;
	else
		PQclear(last);
	return b->outcome == DB_COMMITTED;
}

/* Is there a connection to send on? */
static bool block_ready(struct block *b, struct err *err)
{
	if (b->pg != NULL)
		return true;
	b->outcome = DB_LOST;
	snprintf(b->sqlstate, sizeof b->sqlstate, "08003");
	return err_set(err, "the database connection is closed");
}

bool block_script(struct block *b, const char *sql, struct db_rows **ret_rows, struct err *err)
{
	if (!block_ready(b, err))
		return false;
	if (!PQsendQuery(b->pg, sql))
		return block_libpq_error(b, "could not send a statement", err);
	return block_collect(b, ret_rows, err);
}

/* Prepares a statement on first use. */
static bool block_prepare(struct block *b, enum sql_id id, struct err *err)
{
	const struct sql *s = &sql_table[id];
	int n = (int)strlen(s->params);
	Oid oids[BIND_MOST];

	if (b->prepared[id])
		return true;
	for (int i = 0; i < n; i++)
		oids[i] = wire_oid(s->params[i]);
	if (!PQsendPrepare(b->pg, s->name, s->text, n, oids))
		return block_libpq_error(b, "could not send a statement", err);
	if (!block_collect(b, NULL, err))
		return err_prefix(err, "could not prepare %s: ", s->name);
	return b->prepared[id] = true;
}

/* Sends a statement that is prepared. */
static bool block_send(struct block *b, struct bind *params)
{
	const char *values[BIND_MOST];
	int lengths[BIND_MOST], formats[BIND_MOST];
	unsigned n = wire_params(params, NULL, values, lengths, formats);

	return PQsendQueryPrepared(
		b->pg, sql_table[params->sql].name, (int)n, values, lengths, formats, 1);
}

bool block_exec(struct block *b, struct bind *params, struct db_rows **ret_rows, struct err *err)
{
	if (!block_ready(b, err) || !block_prepare(b, params->sql, err))
		return false;
	if (!block_send(b, params))
		return block_libpq_error(b, "could not send a statement", err);
	return block_collect(b, ret_rows, err);
}

/* The result of one statement of a pipeline, or of its Sync; NULL: the connection is gone. */
static PGresult *block_next(struct block *b, bool is_sync, int64_t deadline_us, struct err *err)
{
	PGresult *res, *last = NULL;

	while (block_await(b, deadline_us, err)) {
		res = PQgetResult(b->pg);
		if (res == NULL && last != NULL)
			return last;
		if (res == NULL) /* between two statements */
			continue;
		PQclear(last);
		last = res;
		if (PQresultStatus(res) == PGRES_FATAL_ERROR)
			block_result_error(b, res, err);
		if (is_sync)
			return last;
	}
	PQclear(last);
	return NULL;
}

bool block_exec_many(struct block *b, struct bind *const *params, size_t n,
	struct db_rows **ret_rows, struct err *err)
{
	PGresult *rows[BLOCK_MANY] = { NULL };
	int64_t deadline_us;
	bool sent, alive = true;

	assert(n <= BLOCK_MANY);
	for (size_t i = 0; i < n; i++)
		if (!block_ready(b, err) || !block_prepare(b, params[i]->sql, err))
			return false;
	deadline_us = block_deadline_us(b);
	b->outcome = DB_COMMITTED;
	b->sqlstate[0] = '\0';
	sent = PQenterPipelineMode(b->pg);
	for (size_t i = 0; sent && i < n; i++)
		sent = block_send(b, params[i]);
	if (!sent || !PQpipelineSync(b->pg))
		return block_libpq_error(b, "could not send a statement", err);
	for (size_t i = 0; alive && i < n; i++)
		alive = (rows[i] = block_next(b, false, deadline_us, err)) != NULL;
	if (alive) {
		PGresult *sync = block_next(b, true, deadline_us, err);

		alive = sync != NULL;
		PQclear(sync);
	}
	if (alive && PQstatus(b->pg) != CONNECTION_BAD && !PQexitPipelineMode(b->pg))
		alive = block_libpq_error(b, "could not end a group of statements", err);
	if (b->pg != NULL && (!alive || PQstatus(b->pg) == CONNECTION_BAD))
		block_drop(b);
	for (size_t i = 0; i < n; i++) {
		if (ret_rows != NULL)
			ret_rows[i] = b->outcome == DB_COMMITTED ? (struct db_rows *)rows[i] : NULL;
		if (ret_rows == NULL || b->outcome != DB_COMMITTED)
			PQclear(rows[i]);
	}
	return b->outcome == DB_COMMITTED;
}

bool block_exec_plain(struct block *b, enum sql_id sql, struct db_rows **ret_rows, struct err *err)
{
	if (!block_ready(b, err) || !block_prepare(b, sql, err))
		return false;
	if (!PQsendQueryPrepared(b->pg, sql_table[sql].name, 0, NULL, NULL, NULL, 1))
		return block_libpq_error(b, "could not send a statement", err);
	return block_collect(b, ret_rows, err);
}

void block_rows_free(struct db_rows *rows)
{
	PQclear((PGresult *)rows);
}

/*** life ***/

static void block_on_notice(void *arg, const char *text)
{
	static const struct log_ctx lc = { .room = "db" };

	(void)arg;
	log_debug(&lc, "notice: %.*s", (int)strcspn(text, "\n"), text);
}

static bool block_connect(struct block *b, const char *dsn, const char *name, struct err *err)
{
	const char *keys[] = { "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "dbname", "application_name", "client_encoding", NULL };
	const char *values[] = { "10000", "5", "2", "3", dsn, name, "UTF8", NULL };
	int64_t deadline_us = block_deadline_us(b);

	b->pg = PQconnectStartParams(keys, values, 1);
	for (PostgresPollingStatusType to = PGRES_POLLING_WRITING; to != PGRES_POLLING_OK;
		to = PQconnectPoll(b->pg)) {
		if (b->pg == NULL || PQstatus(b->pg) == CONNECTION_BAD ||
			to == PGRES_POLLING_FAILED)
			return block_libpq_error(b, "could not connect to the database", err);
		if (!block_wait(b, to == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, deadline_us)) {
			block_drop(b);
			return err_set(err,
				"could not connect to the database: no answer within %d ms",
				b->timeout_ms);
		}
	}
	PQsetnonblocking(b->pg, 1);
	PQsetNoticeProcessor(b->pg, block_on_notice, NULL);
	return true;
}

/* Text value of a script's row. */
static const char *block_text(const struct db_rows *rows, int row, int col)
{
	return PQgetvalue((const PGresult *)rows, row, col);
}

static bool block_check_durability(struct block *b, struct err *err)
{
	static const char *const names[] = { "fsync", "full_page_writes", "synchronous_commit" };
	struct db_rows *rows = NULL;
	bool ok = true;

	if (!block_script(b,
		    "select current_setting('fsync'), current_setting('full_page_writes'), "
		    "case current_setting('synchronous_commit') when 'remote_apply' then 'on' "
		    "else current_setting('synchronous_commit') end",
		    &rows, err))
		return false;
	for (int i = 0; i < 3 && ok; i++)
		if (strcmp(block_text(rows, 0, i), "on") != 0)
			ok = err_set(err, "refusing to run: %s is %s in this database", names[i],
				block_text(rows, 0, i)),
			err_hint(err, "set it to on, or unsafe_durability = yes");
	block_rows_free(rows);
	return ok;
}

static bool block_check_schema(struct block *b, struct err *err)
{
	struct db_rows *rows = NULL;
	int version = 0, compatible = 0;

	if (!block_script(b,
		    "select version, compatible from schema_version order by version desc limit 1",
		    &rows, err)) {
		if (strcmp(b->sqlstate, "42P01") != 0)
			return false;
		err_set(err, "the database has no schema");
		return err_hint(err, "run nudgectl migrate");
	}
	if (db_rows_count(rows) > 0) {
		version = atoi(block_text(rows, 0, 0));
		compatible = atoi(block_text(rows, 0, 1));
	}
	block_rows_free(rows);
	if (version >= SQL_SCHEMA_VERSION && compatible <= SQL_SCHEMA_VERSION)
		return true;
	err_set(err, "the database has schema version %d, this program needs %d", version,
		SQL_SCHEMA_VERSION);
	return err_hint(err, version < SQL_SCHEMA_VERSION ? "run nudgectl migrate"
							  : "install the newer program");
}

struct block *block_open(
	const char *dsn, const char *name, enum block_check check, int timeout_ms, struct err *err)
{
	struct block *b = xcalloc(1, sizeof *b);

	b->timeout_ms = timeout_ms;
	if (!block_connect(b, dsn, name, err) ||
		!block_script(b,
			"set search_path = nudged; set plan_cache_mode = force_generic_plan; "
			"set idle_in_transaction_session_timeout = '10s'; set jit = off; "
			"set client_connection_check_interval = '2s'; set tcp_keepalives_idle = 5; "
			"set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3; "
			"set timezone = 'UTC'",
			NULL, err) ||
		(check == BLOCK_CHECKED && !block_check_durability(b, err)) ||
		(check != BLOCK_UNCHECKED && !block_check_schema(b, err))) {
		block_close(b);
		return NULL;
	}
	return b;
}

bool block_is_open(const struct block *b)
{
	return b->pg != NULL;
}

int block_fd(const struct block *b)
{
	return b->pg ? PQsocket(b->pg) : -1;
}

int block_backend_pid(const struct block *b)
{
	return b->pg ? PQbackendPID(b->pg) : 0;
}

enum db_outcome block_outcome(const struct block *b)
{
	return b->outcome;
}

const char *block_sqlstate(const struct block *b)
{
	return b->sqlstate;
}

void block_close(struct block *b)
{
	if (b == NULL)
		return;
	if (b->pg != NULL)
		PQfinish(b->pg);
	free(b);
}
