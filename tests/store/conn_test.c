/* conn_test.c: the connection against a real Postgres: outcomes, transactions over groups, losses, refusals.
 * Wants NUDGED_TEST_DSN (tests/store/run_pg.sh). */
#include "base/loop.h"
#include "base/mem.h"
#include "db/block.h"
#include "db/conn.h"
#include "db/keeper.h"
#include "db/schema.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct loop *loop;
static struct db_conn *db;
static const char *dsn;

static struct {
	struct db_end end;
	int ends, states;
	int64_t value;
	int rows;
} seen;

static void say(void *arg, const char *line)
{
	(void)arg;
	print_message("migrate: %s\n", line);
}

static void on_timeout(void *arg)
{
	(void)arg;
	fail_msg("no answer within 20 s");
}

static void on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	(void)arg;
	(void)tag;
	seen.rows++;
	if (db_rows_count(rows) > 0)
		seen.value = db_rows_i64(rows, 0, 0);
}

static void on_end(void *arg, const struct db_end *end)
{
	(void)arg;
	seen.end = *end;
	seen.ends++;
	loop_stop(loop);
}

static void on_state(void *arg, bool up)
{
	(void)arg;
	(void)up;
	seen.states++;
	loop_stop(loop);
}

static void pump(void)
{
	struct loop_timer *t = loop_timer_open(loop, on_timeout, NULL);
	struct err err;

	loop_timer_in(t, 20000000);
	assert_true(loop_run(loop, &err));
	loop_timer_close(t);
}

/* Runs the group that was sent and tells how it ended. */
static enum db_outcome run(void)
{
	int before = seen.ends;

	db_sync(db, on_end, NULL);
	assert_int_equal(seen.ends, before);
	while (seen.ends == before)
		pump();
	return seen.end.outcome;
}

static void wait_state(bool up)
{
	while (db_is_up(db) != up)
		pump();
}

static void script(const char *sql)
{
	struct err err = { 0 };
	struct block *b = block_open(dsn, "test", BLOCK_UNCHECKED, 10000, &err);

	assert_non_null(b);
	if (!block_script(b, sql, NULL, &err))
		fail_msg("%s", err.text);
	block_close(b);
}

static int setup(void **state)
{
	struct err err = { 0 };
	struct db_env env = { .name = "nudged test",
		.users = SQL_LANE | SQL_KEEPER | SQL_TOOL, /* all: each must be right */
		.statement_timeout_ms = 5000,
		.answer_timeout_ms = 8000,
		.on_state = on_state };

	(void)state;
	dsn = getenv("NUDGED_TEST_DSN");
	env.dsn = dsn;
	if (dsn == NULL)
		return 1;
	if (!schema_migrate(dsn, schema_dir(), say, NULL, &err))
		fail_msg("%s", err.text);
	loop = loop_open(&err);
	db = db_open(loop, &env);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	db_close(db);
	loop_close(loop);
	return 0;
}

static void test_connects_and_prepares_everything(void **state)
{
	(void)state;
	pump();
	if (!db_is_up(db))
		fail_msg("%s", db_why(db));
	assert_int_equal(seen.states, 1);
}

static void test_group_commits(void **state)
{
	(void)state;
	db_send_text(db, "create table t (i int primary key deferrable initially deferred)");
	assert_int_equal(run(), DB_COMMITTED);
	db_send_text(db, "insert into t values (1)");
	db_send_plain(db, SQL_CURRENT, on_rows, NULL, 0);
	assert_int_equal(run(), DB_COMMITTED);
	assert_int_equal(run(), DB_COMMITTED); /* an empty group */
}

static void test_error_at_sync_is_refused_and_does_not_shift(void **state)
{
	(void)state;
	db_send_text(db, "insert into t values (1)");
	db_send_text(db, "insert into t values (9)");
	assert_int_equal(run(), DB_REFUSED);
	assert_string_equal(seen.end.sqlstate, "23505");
	db_send_text(db, "insert into t values (9)");
	assert_int_equal(run(), DB_COMMITTED);
}

static void test_error_inside_transaction_rolls_back(void **state)
{
	(void)state;
	db_send_plain(db, SQL_BEGIN, NULL, NULL, 0);
	db_send_text(db, "insert into t values (20)");
	assert_int_equal(run(), DB_COMMITTED);
	db_send_text(db, "select 1/0");
	db_send_plain(db, SQL_COMMIT, NULL, NULL, 0);
	assert_int_equal(run(), DB_REFUSED);
	assert_string_equal(seen.end.sqlstate, "22012");
	db_send_text(db, "insert into t values (20)"); /* the next, innocent group */
	assert_int_equal(run(), DB_COMMITTED);
	assert_true(db_is_idle(db));
}

static void test_lost_race_is_again(void **state)
{
	(void)state;
	db_send_text(db, "do $$ begin raise exception using errcode = '40P01'; end $$");
	assert_int_equal(run(), DB_AGAIN);
	assert_true(db_is_up(db));
}

static void test_server_trouble_is_lost_and_reconnects(void **state)
{
	(void)state;
	db_send_text(db, "do $$ begin raise exception using errcode = '53100'; end $$");
	assert_int_equal(run(), DB_LOST);
	assert_false(db_is_up(db));
	assert_int_equal(run(), DB_LOST); /* while down: told, too, and not from inside */
	wait_state(true);
	db_send_text(db, "select 1");
	assert_int_equal(run(), DB_COMMITTED);
}

static void test_killed_backend_is_lost_once(void **state)
{
	int before;

	(void)state;
	db_send_plain(db, SQL_BEGIN, NULL, NULL, 0);
	db_send_text(db, "insert into t values (30)");
	assert_int_equal(run(), DB_COMMITTED);
	script("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nudged test'");
	before = seen.ends;
	db_send_text(db, "insert into t values (31)");
	db_send_plain(db, SQL_COMMIT, NULL, NULL, 0);
	assert_int_equal(run(), DB_LOST);
	wait_state(true);
	assert_int_equal(seen.ends, before + 1);
	script("do $$ begin if exists (select from nudged.t where i >= 30) then raise exception 'kept'; "
	       "end if; end $$");
}

static void test_refuses_unsafe_durability(void **state)
{
	(void)state;
	script("alter role postgres set synchronous_commit = off");
	script("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nudged test'");
	wait_state(false);
	while (strstr(db_why(db), "synchronous_commit is off") == NULL)
		assert_int_equal(run(), DB_LOST);
	script("alter role postgres reset synchronous_commit");
	wait_state(true);
}

static void test_refuses_a_newer_schema(void **state)
{
	struct err err = { 0 };

	(void)state;
	script("insert into nudged.schema_version (version, compatible, name) values (999, 999, 'x')");
	assert_false(schema_migrate(dsn, schema_dir(), say, NULL, &err));
	assert_non_null(strstr(err.text, "newer"));
	assert_null(block_open(dsn, "test", BLOCK_CHECKED, 5000, &err));
	script("update nudged.schema_version set compatible = 1 where version = 999");
	struct block *b = block_open(dsn, "test", BLOCK_CHECKED, 5000, &err);

	assert_non_null(b);
	block_close(b);
	script("delete from nudged.schema_version where version = 999");
}

static void test_block_times_out(void **state)
{
	struct err err = { 0 };
	struct block *b = block_open(dsn, "test", BLOCK_CHECKED, 300, &err);

	(void)state;
	assert_non_null(b);
	assert_false(block_script(b, "select pg_sleep(5)", NULL, &err));
	assert_int_equal(block_outcome(b), DB_LOST);
	assert_false(block_is_open(b));
	block_close(b);
}

/* A group inside a transaction: all answers in order; after a failure the rest is not run and nothing is given. */
static void test_block_group(void **state)
{
	struct err err = { 0 };
	struct block *bl = block_open(dsn, "test", BLOCK_CHECKED, 5000, &err);
	struct bind b[4] = { { 0 } }, *group[4] = { &b[0], &b[1], &b[2], &b[3] };
	struct db_rows *rows[4];

	(void)state;
	assert_non_null(bl);
	bind_begin(&b[0], SQL_BEGIN);
	bind_begin(&b[1], SQL_INBOX_ADD);
	bind_i64(&b[1], 0, 7);
	bind_key(&b[1], 1, SPAN("shop"));
	bind_text(&b[1], 2, SPAN("task.done"));
	bind_text(&b[1], 3, SPAN("{\"a\":1}"));
	bind_time(&b[1], 4, INT64_MIN);
	bind_begin(&b[2], SQL_CARD_LOCK);
	bind_i64(&b[2], 0, 123456789);
	bind_begin(&b[3], SQL_COMMIT);
	for (int i = 0; i < 2; i++) { /* the second time all is prepared */
		if (!block_exec_many(bl, group, 4, rows, &err))
			fail_msg("%s", err.text);
		assert_int_equal(db_rows_count(rows[1]), 1);
		assert_int_equal(db_rows_count(rows[2]), 0);
		for (int k = 0; k < 4; k++)
			block_rows_free(rows[k]);
	}
	bind_begin(&b[1], SQL_INBOX_ADD);
	bind_i64(&b[1], 0, 8);
	bind_key(&b[1], 1, SPAN("shop"));
	bind_text(&b[1], 2, SPAN("task.done"));
	bind_text(&b[1], 3, SPAN("no json"));
	bind_time(&b[1], 4, INT64_MIN);
	assert_false(block_exec_many(bl, group, 4, rows, &err));
	assert_int_equal(block_outcome(bl), DB_REFUSED);
	assert_null(rows[0]);
	assert_true(block_is_open(bl));
	assert_true(block_exec_plain(bl, SQL_ROLLBACK, NULL, &err));
	script("do $$ begin if (select count(*) from nudged.inbox) <> 2 then "
	       "raise exception 'not both'; end if; end $$; delete from nudged.inbox");
	script("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test' "
	       "and pid <> pg_backend_pid()");
	bind_begin(&b[1], SQL_CLOCK);
	assert_false(block_exec_many(bl, group, 2, rows, &err));
	assert_int_equal(block_outcome(bl), DB_LOST);
	assert_false(block_is_open(bl));
	for (int k = 0; k < 4; k++)
		bind_fini(&b[k]);
	block_close(bl);
}

static void test_binary_arrays_go_and_come(void **state)
{
	struct bind b = { 0 };
	struct db_rows *rows = NULL;
	struct err err = { 0 };
	struct block *bl = block_open(dsn, "test", BLOCK_CHECKED, 5000, &err);

	(void)state;
	bind_begin(&b, SQL_INBOX_ADD);
	for (int i = 0; i < 3; i++) {
		bind_i64(&b, 0, 7 + i);
		bind_key(&b, 1, SPAN("shop"));
		bind_text(&b, 2, SPAN("task.done"));
		bind_text(&b, 3, SPAN("{\"a\":1}"));
		bind_time(&b, 4, i == 1 ? 1763683200000000 : INT64_MIN);
	}
	assert_int_equal(bind_count(&b), 3);
	if (!block_exec(bl, &b, &rows, &err))
		fail_msg("%s", err.text);
	assert_int_equal(db_rows_count(rows), 3);
	assert_int_equal(db_rows_i64(rows, 2, 0) - db_rows_i64(rows, 0, 0), 2);
	block_rows_free(rows);
	bind_fini(&b);
	script("do $$ begin if (select due from nudged.inbox where customer = 8) <> "
	       "'2025-11-21 00:00:00+00' then raise exception 'wrong time'; end if; end $$; "
	       "delete from nudged.inbox");
	block_close(bl);
}

static void test_keeper_makes_and_drops(void **state)
{
	struct keeper_months keep = { .events = 1, .quarantine = 2, .messages = 2 };
	struct keeper *k;

	(void)state;
	script("select nudged.partition_make('event', '2020-01-01 00:00:00+00'); "
	       "select nudged.partition_make('chain_log', '2020-01-01 00:00:00+00'); "
	       "insert into nudged.quarantine (store, received, reason, data, content) select 'n', "
	       "now() - g * interval '1 month', 'x', '', gen_random_uuid() from generate_series(1, 4) g; "
	       "insert into nudged.message (id, customer, store, rule, channel, class, created, due, state) "
	       "select g, 1, 'n', 'r', 'email', 'bulk', now() - interval '1 year', now(), "
	       "case g when 1 then 'ready' else 'sent' end from generate_series(1, 3) g");
	k = keeper_open(loop, dsn, 1000, &keep);
	for (int i = 0; i < 100; i++) {
		struct err err;
		struct loop_timer *t = loop_timer_open(loop, (loop_fn *)loop_stop, loop);
		struct block *b = block_open(dsn, "test", BLOCK_CHECKED, 5000, &err);
		struct db_rows *rows = NULL;
		bool gone;

		loop_timer_in(t, 50000);
		assert_true(loop_run(loop, &err));
		loop_timer_close(t);
		assert_true(block_script(b,
			"select from pg_class where relname = 'event_2020_01' union all "
			"select from nudged.quarantine where received < now() - interval '70 days'",
			&rows, &err));
		gone = db_rows_count(rows) == 0;
		block_rows_free(rows);
		block_close(b);
		if (gone && keeper_until_us(k) != 0)
			break;
		assert_true(i < 99);
	}
	assert_true(keeper_until_us(k) > 1763683200000000);
	script("do $$ begin if to_regclass('nudged.chain_log_2020_01') is null then raise exception "
	       "'dropped'; end if; end $$");
	keeper_close(k);
}

/* A session in a transaction that holds the lock; never looked at again. */
static PGconn *session_of(const char *name, int lock)
{
	char *info = xasprintf("%s application_name='%s'", dsn, name), *sql;
	PGconn *c = PQconnectdb(info);

	assert_int_equal(PQstatus(c), CONNECTION_OK);
	sql = xasprintf("begin; select pg_advisory_xact_lock(%d)", lock);
	PQclear(PQexec(c, sql));
	assert_int_equal(PQtransactionStatus(c), PQTRANS_INTRANS);
	free(sql);
	free(info);
	return c;
}

static bool is_held(int lock)
{
	struct err err;
	struct block *b = block_open(dsn, "test", BLOCK_CHECKED, 5000, &err);
	char *sql = xasprintf("select where pg_try_advisory_xact_lock(%d)", lock);
	struct db_rows *rows = NULL;
	bool held;

	assert_true(block_script(b, sql, &rows, &err));
	held = db_rows_count(rows) == 0;
	block_rows_free(rows);
	block_close(b);
	free(sql);
	return held;
}

/* P18: a process that is frozen while it sends a group, or before it reads its answer, holds nothing for ever; who works, and
 * who is none of us, is left alone. */
static void test_keeper_ends_who_fell_silent(void **state)
{
	enum { SENDS, READS, WORKS, OTHER, N };
	struct keeper_months keep = { .audit = 1 };
	PGconn *sessions[N];
	struct keeper *k;

	(void)state;
	for (int i = 0; i < N; i++)
		sessions[i] = session_of(i == OTHER ? "somebody" : "nudged engine1 1", 1000 + i);
	/* the keeper's own work comes to wait for it, too */
	script("insert into nudged.audit (at, by, host, action, object, detail) values "
	       "(now() - interval '1 year', 'test', 'test', 'test', 'test', '{}')");
	PQclear(PQexec(sessions[SENDS], "select from nudged.audit for update"));
	for (int i = SENDS; i <= OTHER; i += OTHER - SENDS) {
		assert_true(PQenterPipelineMode(sessions[i]));
		assert_true(PQsendQueryParams(sessions[i], "select", 0, NULL, NULL, NULL, NULL, 0));
		assert_true(PQsendFlushRequest(sessions[i])); /* and no Sync */
	}
	assert_true(PQsendQuery(sessions[READS], "select repeat('x', 100000000)"));
	assert_true(PQsendQuery(sessions[WORKS], "select pg_sleep(600)"));
	for (int i = 0; i < N; i++)
		assert_int_equal(PQflush(sessions[i]), 0);
	k = keeper_open(loop, dsn, 1000, &keep);
	for (int i = 0; is_held(1000 + SENDS) || is_held(1000 + READS); i++) {
		struct err err;
		struct loop_timer *t = loop_timer_open(loop, (loop_fn *)loop_stop, loop);

		assert_true(i < 200);
		loop_timer_in(t, 50000);
		assert_true(loop_run(loop, &err));
		loop_timer_close(t);
	}
	assert_true(is_held(1000 + WORKS));
	assert_true(is_held(1000 + OTHER));
	keeper_close(k);
	script("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(6%' "
	       "and pid <> pg_backend_pid()");
	for (int i = 0; i < N; i++)
		PQfinish(sessions[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connects_and_prepares_everything),
		cmocka_unit_test(test_group_commits),
		cmocka_unit_test(test_error_at_sync_is_refused_and_does_not_shift),
		cmocka_unit_test(test_error_inside_transaction_rolls_back),
		cmocka_unit_test(test_lost_race_is_again),
		cmocka_unit_test(test_server_trouble_is_lost_and_reconnects),
		cmocka_unit_test(test_killed_backend_is_lost_once),
		cmocka_unit_test(test_binary_arrays_go_and_come),
		cmocka_unit_test(test_block_group),
		cmocka_unit_test(test_block_times_out),
		cmocka_unit_test(test_refuses_a_newer_schema),
		cmocka_unit_test(test_keeper_makes_and_drops),
		cmocka_unit_test(test_keeper_ends_who_fell_silent),
		cmocka_unit_test(test_refuses_unsafe_durability),
	};

	if (getenv("NUDGED_TEST_DSN") == NULL)
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
