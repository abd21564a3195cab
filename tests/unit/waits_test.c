/* waits_test.c: what events mean to a wait; plans come back from JSON as they were. */
#include "engine/waits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/tz.h"

static struct arena a;

static struct wait_plan plan(const char *json)
{
	struct wait_plan w;
	struct err err;

	if (!waits_read(span_of(json), &a, &w, &err))
		fail_msg("%s: %s", json, err.text);
	return w;
}

static enum wait_turn meet(const struct wait_plan *w, bool runs, const char *type, const char *data,
	const char *outcome)
{
	struct span got = { NULL, 0 };
	int64_t until_us = 0;
	enum wait_turn turn = waits_meet(
		w, span_of(type), span_of(data), 1000, runs, tz_get("UTC"), &got, &until_us);

	if (turn == WAIT_ANSWER && outcome)
		assert_true(span_is(got, outcome));
	else if (turn == WAIT_ANSWER)
		assert_null(got.p);
	if (turn == WAIT_RUNS)
		assert_int_equal(until_us, 1000 + INT64_C(3600000000));
	return turn;
}

/* The end has come; open: the message that is not handed over, 0: none. */
static enum wait_turn end_at(
	const struct wait_plan *w, bool runs, int64_t open, int64_t now_us, struct span *ret_answer)
{
	int64_t until_us = 0;
	enum wait_turn turn = waits_end(
		w, runs, &open, open != 0, tz_get("UTC"), now_us, &a, ret_answer, &until_us);

	if (turn == WAIT_RUNS)
		assert_int_equal(until_us, 900 + INT64_C(3600000000));
	return turn;
}

static enum wait_turn end(
	const struct wait_plan *w, bool runs, int64_t open, struct span *ret_answer)
{
	return end_at(w, runs, open, 950, ret_answer);
}

static const char clicked[] = "{\"at\":5,\"for\":[{\"message\":17,\"outcome\":\"clicked\"}],"
			      "\"open\":[17],\"span\":\"1h\",\"until\":900}";

static void comes_back_from_json(void **state)
{
	static const char *const plans[] = {
		clicked,
		"{\"at\":5,\"expires\":[17,18],\"for\":[{\"message\":17},{\"message\":18}],\"until\":9}",
		"{\"at\":5}", "{\"at\":5,\"until\":9}",
		"{\"at\":5,\"for\":[{\"filter\":{\"n\":1},\"type\":\"x\"},{\"type\":\"b.*\"}],\"until\":9}",
		"{\"at\":5,\"end\":\"overdue\",\"for\":[{\"task\":3}],\"id\":3,\"object\":\"task\"}"
	};

	(void)state;
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct wait_plan w = plan(plans[i]), again;
		struct span text = waits_write(&w, &a);
		struct json_fault f;
		struct err err;

		assert_true(json_check_all(text, &f));
		assert_true(waits_read(text, &a, &again, &err));
		assert_true(span_eq(text, waits_write(&again, &a)));
		assert_int_equal(w.what.n, again.what.n);
		assert_int_equal(w.until_us, again.until_us);
	}
	arena_fini(&a);
}

static void messages(void **state)
{
	struct wait_plan w = plan(clicked);
	unsigned n;
	struct span *types = waits_types(&w, false, &a, &n);

	(void)state;
	assert_false(waits_row_runs(&w, types, n));
	types = waits_types(&w, true, &a, &n);
	assert_true(waits_row_runs(&w, types, n));
	assert_int_equal(
		meet(&w, false, "message.sent", "{\"message_id\":\"17\"}", NULL), WAIT_RUNS);
	assert_int_equal(meet(&w, false, "message.sent", "{\"message_id\":18}", NULL), WAIT_ON);
	assert_int_equal(meet(&w, true, "message.sent", "{\"message_id\":17}", NULL), WAIT_ON);
	assert_int_equal(
		meet(&w, true, "message.clicked", "{\"message_id\":17}", "clicked"), WAIT_ANSWER);
	assert_int_equal(meet(&w, false, "message.failed", "{\"message_id\":17}", NULL), WAIT_NIL);
	assert_int_equal(meet(&w, false, "order.placed", "{}", NULL), WAIT_ON);
	arena_fini(&a);
}

static void lists_go_on_without_a_dead_message(void **state)
{
	struct wait_plan w = plan("{\"at\":5,\"for\":[{\"message\":17,\"outcome\":\"clicked\"},"
				  "{\"type\":\"order.*\"}],\"open\":[17],\"span\":\"1h\"}");

	(void)state;
	assert_int_equal(meet(&w, false, "message.failed", "{\"message_id\":17}", NULL), WAIT_RUNS);
	assert_int_equal(meet(&w, true, "message.failed", "{\"message_id\":17}", NULL), WAIT_ON);
	assert_int_equal(meet(&w, true, "order.paid", "{}", NULL), WAIT_ANSWER);
	arena_fini(&a);
}

/* Nobody tells of the message, and time that begins with its expiry is over: it does not begin again and again. */
static void time_after_an_expiry_ends(void **state)
{
	struct wait_plan w = plan("{\"at\":5,\"expires\":[17],\"for\":[{\"message\":17,\"outcome\":"
				  "\"sent\"},{\"type\":\"x\"}],\"open\":[17],\"span\":\"1h\","
				  "\"until\":900}");
	struct span answer;

	(void)state;
	assert_int_equal(end_at(&w, false, 17, 900, &answer), WAIT_RUNS);
	assert_int_equal(end_at(&w, false, 17, 900 + INT64_C(3600000000), &answer), WAIT_ANSWER);
	assert_true(span_is(answer, "null"));
	arena_fini(&a);
}

/* The courier's message.failed may come later than the moment at which a message expires: it makes no difference. */
static void expiry_is_a_failure(void **state)
{
	static const struct {
		const char *what; /* "for" */
		const char *rest;
		bool runs;
		int64_t open;
		enum wait_turn turn;
		const char *outcome; /* NULL: nil */
	} cases[] = {
#define SPANNED ",\"open\":[17],\"span\":\"1h\""
		{ "{\"message\":17,\"outcome\":\"failed\"}", SPANNED, false, 17, WAIT_ANSWER,
			"failed" },
		{ "{\"message\":17,\"outcome\":\"clicked\"}", SPANNED, false, 17, WAIT_ANSWER,
			NULL },
		{ "{\"message\":17,\"outcome\":\"clicked\"},{\"type\":\"x\"}", SPANNED, false, 17,
			WAIT_RUNS, NULL },
		/* its hand-over began the time, which is over now */
		{ "{\"message\":17,\"outcome\":\"failed\"}", SPANNED, true, 0, WAIT_ANSWER, NULL },
		/* another one's did */
		{ "{\"message\":17,\"outcome\":\"failed\"}", SPANNED, true, 17, WAIT_ANSWER, NULL },
		/* without a span: until it is over */
		{ "{\"message\":17,\"outcome\":\"failed\"}", "", true, 17, WAIT_ANSWER, "failed" },
		{ "{\"message\":17,\"outcome\":\"failed\"}", "", true, 0, WAIT_ANSWER, NULL },
		{ "{\"message\":17}", ",\"end\":\"failed\",\"id\":17,\"object\":\"message\"", true,
			17, WAIT_ANSWER, "failed" },
#undef SPANNED
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wait_plan w = plan(
			arena_printf(&a, "{\"at\":5,\"expires\":[17],\"for\":[%s],\"until\":900%s}",
				cases[i].what, cases[i].rest));
		struct span answer;

		assert_int_equal(end(&w, cases[i].runs, cases[i].open, &answer), cases[i].turn);
		if (cases[i].outcome != NULL)
			assert_non_null(strstr(answer.p,
				"\"outcome\":\"failed\",\"data\":{\"code\":\"expired\",\"message_id\":\"17\"}"));
		else
			assert_true(span_is(answer, "null"));
	}
	arena_fini(&a);
}

static void tasks(void **state)
{
	struct wait_plan bare =
		plan("{\"at\":5,\"end\":\"overdue\",\"for\":[{\"task\":3}],\"id\":3,"
		     "\"object\":\"task\",\"until\":9}");
	struct wait_plan done = plan("{\"at\":5,\"for\":[{\"outcome\":\"done\",\"task\":3}]}");
	struct span answer;

	(void)state;
	assert_int_equal(
		meet(&bare, true, "task.done", "{\"task_id\":\"3\"}", "done"), WAIT_ANSWER);
	assert_int_equal(
		meet(&bare, true, "task.overdue", "{\"task_id\":3}", "overdue"), WAIT_ANSWER);
	assert_int_equal(
		meet(&bare, true, "task.cancelled", "{\"task_id\":3}", "cancelled"), WAIT_ANSWER);
	assert_int_equal(meet(&bare, true, "task.taken", "{\"task_id\":3}", NULL), WAIT_ON);
	assert_int_equal(meet(&done, true, "task.overdue", "{\"task_id\":3}", NULL), WAIT_ON);
	assert_int_equal(meet(&done, true, "task.cancelled", "{\"task_id\":3}", NULL), WAIT_NIL);
	assert_int_equal(end(&bare, true, 0, &answer), WAIT_ANSWER);
	assert_non_null(strstr(answer.p, "\"outcome\":\"overdue\""));
	assert_int_equal(end(&done, true, 0, &answer), WAIT_ANSWER);
	assert_true(span_is(answer, "null"));
	arena_fini(&a);
}

static void damage_is_told(void **state)
{
	static const char *const bad[] = { "{\"at\":\"x\"}", "{\"at\":1,\"until\":true}",
		"{\"at\":1,\"open\":[1]}", "{\"at\":1,\"end\":\"failed\"}" };
	struct wait_plan w;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(waits_read(span_of(bad[i]), &a, &w, &err));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(comes_back_from_json),
		cmocka_unit_test(messages),
		cmocka_unit_test(lists_go_on_without_a_dead_message),
		cmocka_unit_test(expiry_is_a_failure),
		cmocka_unit_test(time_after_an_expiry_ends),
		cmocka_unit_test(tasks),
		cmocka_unit_test(damage_is_told),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
