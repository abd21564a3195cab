/* pg_test.c: the store in Postgres: the common cases, and what only a real database can show.
 * Wants NUDGED_TEST_DSN (tests/store/run_pg.sh). */
#include "base/clock.h"
#include "base/loop.h"
#include "cases.h"
#include "db/block.h"
#include "db/schema.h"
#include "store/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct loop *loop;
static const char *dsn;
static struct cases_driver driver;

static void stop(void *arg)
{
	loop_stop(arg);
}

static void pump(struct cases_driver *d)
{
	struct loop_timer *t = loop_timer_open(loop, stop, loop);
	struct err err;

	(void)d;
	loop_timer_in(t, 1000);
	assert_true(loop_run(loop, &err));
	loop_timer_close(t);
}

static void wait_up(bool up)
{
	for (int i = 0; driver.store->ops->is_up(driver.store) != up; i++) {
		assert_true(i < 10000);
		pump(&driver);
	}
	for (int i = 0; up && !(driver.store->ops->usable(driver.store, 0) &&
				      driver.store->ops->usable(driver.store, 1));
		i++) {
		assert_true(i < 10000);
		pump(&driver);
	}
}

/* Runs SQL beside the store; the first column of the first row as text in ret (may be NULL). */
static bool script(const char *sql, char *ret, size_t size)
{
	struct err err = { 0 };
	struct block *b = block_open(dsn, "test", BLOCK_CHECKED, 10000, &err);
	struct db_rows *rows = NULL;
	bool found;

	if (b == NULL || !block_script(b, sql, &rows, &err))
		fail_msg("%s", err.text);
	found = db_rows_count(rows) > 0;
	if (ret != NULL && found)
		snprintf(ret, size, "%.*s", SPAN_ARG(db_rows_text(rows, 0, 0)));
	block_rows_free(rows);
	block_close(b);
	return found;
}

static bool message_state(struct cases_driver *d, int64_t id, enum message_state *ret)
{
	char sql[100], word[40];

	(void)d;
	snprintf(sql, sizeof sql, "select state from message where id = %lld", (long long)id);
	return script(sql, word, sizeof word) && message_state_parse(span_of(word), ret);
}

static bool task_state(struct cases_driver *d, int64_t id, enum task_state *ret)
{
	char sql[100], word[40];

	(void)d;
	snprintf(sql, sizeof sql, "select state from task where id = %lld", (long long)id);
	return script(sql, word, sizeof word) && task_state_parse(span_of(word), ret);
}

static size_t n_aside(struct cases_driver *d)
{
	char n[40];

	(void)d;
	script("select (select count(*) from quarantine) + (select count(*) from conflict)", n,
		sizeof n);
	return (size_t)atoi(n);
}

static void test_double_inside_a_batch(void **state)
{
	int64_t who = cases_customer(&driver, "double@pg");
	struct batch *b = cases_batch(BATCH_EVENTS);
	struct shop_event *e[3];

	(void)state;
	cases_visit(b, who);
	e[0] = cases_event(b, b->visits[0], "double", "x", 1);
	e[1] = cases_event(b, b->visits[0], "double", "x", 1);
	e[2] = cases_event(b, b->visits[0], "double", "x", 2);
	assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
	assert_int_equal(e[0]->status, EVENT_NEW);
	assert_int_equal(e[1]->status, EVENT_DUPLICATE);
	assert_int_equal(e[2]->status, EVENT_CONFLICT);
	assert_int_equal(cases_save(&driver, 0, b), STORE_OK);
	cases_batch_free(b);
}

/* A clock that went wrong once must not make a key collide for ever. */
static void test_a_key_is_known_in_its_whole_month(void **state)
{
	int64_t who = cases_customer(&driver, "month@pg");
	char text[40];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct batch *b = cases_batch(BATCH_EVENTS);
		struct shop_event *e = cases_event(b, cases_visit(b, who), "month", "x", 1);

		assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
		assert_int_equal(e->status, i == 0 ? EVENT_NEW : EVENT_DUPLICATE);
		assert_int_equal(cases_save(&driver, 0, b), STORE_OK);
		cases_batch_free(b);
		script("update event set received = (date_trunc('month', now() at time zone 'UTC') + "
		       "interval '1 month') at time zone 'UTC' - interval '1 s' where id = 'month' "
		       "returning 1",
			text, sizeof text);
		assert_string_equal(text, "1");
	}
}

static void test_refused_data_costs_only_its_batch(void **state)
{
	int64_t who = cases_customer(&driver, "refused@pg");
	struct batch *b = cases_batch(BATCH_EVENTS);

	(void)state;
	cases_visit(b, who);
	cases_event(b, b->visits[0], "refused", "x", 1)->verdicts = SPAN("{not json");
	assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
	assert_int_equal(cases_save(&driver, 0, b), STORE_REFUSED);
	assert_true(driver.store->ops->usable(driver.store, 0));
	cases_batch_free(b);
	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, who);
	cases_event(b, b->visits[0], "refused", "x", 1);
	assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
	assert_int_equal(b->visits[0]->state, VISIT_READY);
	assert_int_equal(b->visits[0]->events[0]->status, EVENT_NEW);
	assert_int_equal(cases_save(&driver, 0, b), STORE_OK);
	cases_batch_free(b);
}

static void test_patient_load_gives_up_after_a_second(void **state)
{
	int64_t who = cases_customer(&driver, "patient@pg");
	struct batch *a = cases_batch(BATCH_EVENTS), *b = cases_batch(BATCH_EVENTS);
	struct cases_wait w = { 0 };
	int64_t began = loop_now_us();

	(void)state;
	cases_visit(a, who);
	cases_visit(b, who);
	assert_int_equal(cases_load(&driver, 0, a), STORE_OK);
	driver.store->ops->load(driver.store, 1, b, true, cases_done, &w);
	assert_int_equal(cases_await(&driver, &w), STORE_AGAIN);
	assert_true(loop_now_us() - began > 900000);
	w = (struct cases_wait){ 0 };
	driver.store->ops->load(driver.store, 1, b, true, cases_done, &w);
	pump(&driver);
	cases_abandon(&driver, 0);
	assert_int_equal(cases_await(&driver, &w), STORE_OK);
	assert_int_equal(b->visits[0]->state, VISIT_READY);
	cases_abandon(&driver, 1);
	cases_batch_free(a);
	cases_batch_free(b);
}

static void test_lost_connections_come_back(void **state)
{
	int64_t who = cases_customer(&driver, "lost@pg");
	struct batch *b = cases_batch(BATCH_EVENTS);

	(void)state;
	cases_visit(b, who);
	cases_event(b, b->visits[0], "lost", "x", 1);
	assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
	script("select pg_terminate_backend(pid) from pg_stat_activity "
	       "where application_name like 'nudged test%'",
		NULL, 0);
	assert_int_equal(cases_save(&driver, 0, b), STORE_LOST);
	wait_up(true);
	cases_batch_free(b);
	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, who);
	cases_event(b, b->visits[0], "lost", "x", 1);
	assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
	assert_int_equal(b->visits[0]->events[0]->status, EVENT_NEW);
	assert_int_equal(cases_save(&driver, 0, b), STORE_OK);
	cases_batch_free(b);
}

static void test_unknown_shop_has_a_stand_in(void **state)
{
	int64_t who = cases_customer(&driver, "ghost@pg");
	char sql[200];
	struct batch *b;

	(void)state;
	snprintf(sql, sizeof sql,
		"insert into inbox (customer, store, type, data) values (%lld, 'gone', 'x', '{}')",
		(long long)who);
	script(sql, NULL, 0);
	b = cases_batch(BATCH_DUE);
	assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
	assert_int_equal(b->n_visits, 1);
	assert_string_equal(b->visits[0]->events[0]->shop->id, "gone");
	assert_int_equal(cases_save(&driver, 0, b), STORE_OK);
	cases_batch_free(b);
}

static void test_identify_by_number_follows_merges(void **state)
{
	int64_t one = cases_customer(&driver, "merge1@pg"),
		two = cases_customer(&driver, "merge2@pg");
	char number[32], sql[200];
	struct store_identity v = {
		.base = SPAN("base"), .kind = IDENTITY_CUSTOMER, .value = { number, 0 }
	};
	struct arena a = { 0 };

	(void)state;
	v.value.n = (size_t)snprintf(number, sizeof number, "%lld", (long long)one);
	for (int i = 0; i < 2; i++) {
		struct cases_wait w = { 0 };

		driver.store->ops->identify(driver.store, 0, &v, 1, &a, cases_done, &w);
		assert_int_equal(cases_await(&driver, &w), STORE_OK);
		assert_int_equal(v.customer, i == 0 ? one : two);
		snprintf(sql, sizeof sql, "update customer set merged_into = %lld where id = %lld",
			(long long)two, (long long)one);
		script(sql, NULL, 0);
	}
	arena_fini(&a);
	struct batch *b = cases_batch(BATCH_EVENTS);

	cases_visit(b, one);
	assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
	assert_int_equal(b->visits[0]->state, VISIT_STALE);
	cases_abandon(&driver, 0);
	cases_batch_free(b);
}

/*** four lanes on the same twenty customers: events against timers ***/

enum { STRESS_LANES = 4, STRESS_CUSTOMERS = 20, STRESS_BATCHES = 600 };

static struct stress {
	struct store *store;
	int64_t customers[STRESS_CUSTOMERS];
	int begun, running, events, chains_ended, busy, again;
	unsigned random;
	struct stress_lane {
		int number;
		bool saving;
		struct batch *batch;
	} lanes[STRESS_LANES];
} stress;

static void stress_begin(struct stress_lane *l);

/* Numbers that are the same in every run. */
static unsigned stress_random(unsigned below)
{
	stress.random = stress.random * 1664525 + 1013904223;
	return (stress.random >> 16) % below;
}

/* Each event counts up its card, starts a chain that is due at once, claims what its customer may have already. */
static void stress_judge_events(struct batch *b, struct visit *v)
{
	struct identity *keys = arena_array(&b->arena, struct identity, 2);
	struct shop_event *e = v->events[0];
	struct chain *c = arena_new(&b->arena, struct chain);

	e->status = EVENT_ACCEPTED;
	e->seq = b->id_next++;
	e->received_us = b->now_us;
	v->card->orders_count++;
	v->card->changed = CARD_CHANGED_ACTIVITY;
	for (int i = 0; i < 2; i++)
		keys[i] = (struct identity){ IDENTITY_PHONE,
			span_of(arena_printf(
				&b->arena, "+%d%lld", 9 - i, (long long)v->customer % 1000)) };
	v->identities = keys;
	v->n_identities = 2;
	*c = (struct chain){ .id = b->id_next++,
		.shop = &cases_shops[0],
		.rule = SPAN("stress"),
		.key = SPAN(""),
		.text_hash = SPAN("0"),
		.level = 1,
		.started_us = b->now_us,
		.wake_us = b->now_us,
		.loaded = true,
		.change = CHAIN_NEW };
	BATCH_PUSH(&b->arena, v->chains, v->n_chains, v->cap_chains) = c;
	stress.events++;
}

static void stress_judge(struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];

		stress.busy += v->state == VISIT_BUSY;
		if (v->state != VISIT_READY)
			continue;
		if (b->kind == BATCH_EVENTS)
			stress_judge_events(b, v);
		for (size_t k = 0; k < v->n_chains; k++)
			if (v->chains[k]->due) {
				v->chains[k]->change = CHAIN_ENDED;
				v->chains[k]->state = CHAIN_DONE;
				stress.chains_ended++;
			}
	}
}

static void stress_on_done(void *arg, enum store_end end, const struct err *err)
{
	struct stress_lane *l = arg;

	if (end == STORE_REFUSED || end == STORE_LOST)
		fail_msg("%s: %s", store_end_name(end), err->text);
	stress.again += end == STORE_AGAIN;
	if (end == STORE_OK && !l->saving) {
		l->saving = true;
		stress_judge(l->batch);
		stress.store->ops->save(stress.store, l->number, l->batch, stress_on_done, l);
		return;
	}
	cases_batch_free(l->batch);
	stress_begin(l);
}

static void stress_begin(struct stress_lane *l)
{
	struct batch *b;

	if (stress.begun == STRESS_BATCHES) {
		if (--stress.running == 0)
			loop_stop(loop);
		return;
	}
	stress.begun++;
	l->saving = false;
	l->batch = b = cases_batch(l->number < 2 ? BATCH_EVENTS : BATCH_DUE);
	for (int i = 0; b->kind == BATCH_EVENTS && i < STRESS_CUSTOMERS; i++)
		if (stress_random(3) == 0)
			cases_event(b, cases_visit(b, stress.customers[i]),
				arena_printf(&b->arena, "stress-%d-%d", stress.begun, i), "x", 1);
	stress.store->ops->load(stress.store, l->number, b, false, stress_on_done, l);
}

static void test_events_and_timers_never_deadlock(void **state)
{
	struct pg_env env = { .loop = loop,
		.dsn = dsn,
		.name = "nudged stress",
		.lanes = STRESS_LANES,
		.shops = cases_shops,
		.n_shops = 2 };
	char sql[200], text[40], email[40];
	struct err err;
	struct batch *b;
	bool running;

	(void)state;
	stress.store = pg_open(&env);
	for (int i = 0; i < STRESS_CUSTOMERS; i++) {
		snprintf(email, sizeof email, "s%02d@stress", i);
		stress.customers[i] = cases_customer(&driver, email);
	}
	for (int i = 0; i < STRESS_LANES; i++)
		while (!stress.store->ops->usable(stress.store, i))
			pump(&driver);
	stress.running = STRESS_LANES;
	for (int i = 0; i < STRESS_LANES; i++) {
		stress.lanes[i].number = i;
		stress_begin(&stress.lanes[i]);
	}
	while (stress.running > 0)
		assert_true(loop_run(loop, &err));
	running = true;
	for (int i = 0; running; i++) { /* what is still due */
		assert_true(i < STRESS_BATCHES);
		b = cases_batch(BATCH_DUE);
		assert_int_equal(cases_load(&driver, 0, b), STORE_OK);
		stress_judge(b);
		running = b->n_visits > 0;
		assert_int_equal(cases_save(&driver, 0, b), STORE_OK);
		cases_batch_free(b);
	}
	print_message("[  note    ] %d events, %d chains, %d busy, %d again\n", stress.events,
		stress.chains_ended, stress.busy, stress.again);
	assert_int_equal(stress.again, 0);
	assert_int_equal(stress.chains_ended, stress.events);
	snprintf(sql, sizeof sql,
		"select sum(orders_count) from customer where email like '%%@stress'");
	script(sql, text, sizeof text);
	assert_int_equal(atoi(text), stress.events);
	script("select deadlocks from pg_stat_database where datname = current_database()", text,
		sizeof text);
	assert_int_equal(atoi(text), 0);
	stress.store->ops->close(stress.store);
	pump(&driver);
}

/* The chains of the common cases: ended after a while, and begun and ended at once. */
static void test_ended_chains_keep_their_bodies(void **state)
{
	char text[80];

	(void)state;
	script("select string_agg(rule || ' ' || state || ' ' || history, ', ' order by rule desc) "
	       "from chain_log where rule in ('one', 'at-once') and event ->> 'type' = 'x'",
		text, sizeof text);
	assert_string_equal(text, "one cancelled [1,2], at-once done [1]");
	script("select count(*) from chain where rule in ('one', 'at-once')", text, sizeof text);
	assert_string_equal(text, "0");
}

static void test_close_answers_everything(void **state)
{
	struct batch *b = cases_batch(BATCH_EVENTS);
	struct cases_wait w = { 0 };

	(void)state;
	driver.store->ops->load(driver.store, 0, b, false, cases_done, &w);
	driver.store->ops->close(driver.store);
	assert_true(w.done);
	assert_int_equal(w.end, STORE_LOST);
	cases_batch_free(b);
}

static void say(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ended_chains_keep_their_bodies),
		cmocka_unit_test(test_double_inside_a_batch),
		cmocka_unit_test(test_a_key_is_known_in_its_whole_month),
		cmocka_unit_test(test_refused_data_costs_only_its_batch),
		cmocka_unit_test(test_patient_load_gives_up_after_a_second),
		cmocka_unit_test(test_lost_connections_come_back),
		cmocka_unit_test(test_unknown_shop_has_a_stand_in),
		cmocka_unit_test(test_identify_by_number_follows_merges),
		cmocka_unit_test(test_events_and_timers_never_deadlock),
		cmocka_unit_test(test_close_answers_everything),
	};
	struct pg_env env = {
		.name = "nudged test", .lanes = 2, .shops = cases_shops, .n_shops = 2
	};
	struct err err = { 0 };
	int failed;

	if ((dsn = getenv("NUDGED_TEST_DSN")) == NULL)
		return 77;
	if (!schema_migrate(dsn, schema_dir(), say, NULL, &err) ||
		(loop = loop_open(&err)) == NULL) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	env.loop = loop;
	env.dsn = dsn;
	driver = (struct cases_driver){ .store = pg_open(&env),
		.pump = pump,
		.message_state = message_state,
		.task_state = task_state,
		.n_aside = n_aside };
	wait_up(true);
	failed = cases_run(&driver);
	failed += cmocka_run_group_tests_name("pg", tests, NULL, NULL);
	pump(&driver);
	loop_close(loop);
	return failed != 0;
}
