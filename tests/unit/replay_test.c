/* replay_test.c: a history is continued, never changed; what disagrees is told with both sides. */
#include "engine/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static const struct span none = { NULL, 0 };

static struct span write_out(const struct replay *r, struct arena *a)
{
	struct buf b = { 0 };
	struct json_fault f;
	struct span s;

	replay_write(r, &b);
	assert_true(json_check_all(buf_as_span(&b), &f));
	s = (struct span){ arena_dup(a, b.p, b.n), b.n };
	buf_free(&b);
	return s;
}

/* email, wait: the first stretch; returns its history. */
static struct span first_stretch(struct arena *a)
{
	struct replay r;
	struct err err;
	struct span v;

	assert_true(replay_open(&r, a, none, &err));
	assert_false(replay_read(&r, SPAN("orders.total"), &v));
	replay_note_read(&r, SPAN("orders.total"), SPAN("12.5"));
	assert_true(replay_read(&r, SPAN("orders.total"), &v));
	assert_int_equal(replay_step(&r, "email", SPAN("cart"), &v, &err), REPLAY_LIVE);
	replay_record(&r, "email", SPAN("cart"), SPAN("{\"id\":7}"));
	assert_int_equal(replay_step(&r, "wait", none, &v, &err), REPLAY_LIVE);
	replay_record(&r, "wait", none, SPAN("{\"until\":5}"));
	assert_true(replay_is_over(&r, &err));
	return write_out(&r, a);
}

static void grows_at_its_end(void **state)
{
	struct arena a = { 0 };
	struct span h = first_stretch(&a), v, h2;
	struct replay r;
	struct err err;

	(void)state;
	assert_true(
		span_is(h, "[{\"r\":{\"orders.total\":12.5},\"s\":[[\"email\",\"cart\",{\"id\":7}],"
			   "[\"wait\",null,{\"until\":5}]]}]"));
	assert_true(replay_open(&r, &a, h, &err));
	assert_true(replay_open_wait(&r, &v));
	assert_true(span_is(v, "{\"until\":5}"));
	replay_answer(&r, SPAN("null"));
	assert_true(replay_read(&r, SPAN("orders.total"), &v));
	assert_true(span_is(v, "12.5"));
	assert_int_equal(replay_step(&r, "email", SPAN("cart"), &v, &err), REPLAY_RECORDED);
	assert_true(span_is(v, "{\"id\":7}"));
	assert_int_equal(replay_step(&r, "wait", none, &v, &err), REPLAY_RECORDED);
	assert_true(replay_wait_over(&r, &v));
	assert_true(span_is(v, "null"));
	/* a new stretch reads anew */
	assert_false(replay_read(&r, SPAN("orders.total"), &v));
	replay_note_read(&r, SPAN("orders.total"), SPAN("13"));
	assert_int_equal(replay_step(&r, "set", none, &v, &err), REPLAY_LIVE);
	replay_record(&r, "set", none, SPAN("null"));
	replay_cut(&r);
	assert_false(replay_read(&r, SPAN("orders.total"), &v));
	assert_int_equal(replay_step(&r, "wait", none, &v, &err), REPLAY_LIVE);
	replay_record(&r, "wait", none, SPAN("{\"until\":9}"));
	h2 = write_out(&r, &a);
	assert_memory_equal(h.p, h2.p, h.n - 1);
	assert_true(replay_open(&r, &a, h2, &err));
	assert_int_equal(r.n_parts, 3);
	arena_fini(&a);
}

static void disagreement_shows_both_sides(void **state)
{
	struct arena a = { 0 };
	struct span h = first_stretch(&a), v;
	struct replay r;
	struct err err;

	(void)state;
	assert_true(replay_open(&r, &a, h, &err));
	replay_answer(&r, SPAN("null"));
	assert_int_equal(replay_step(&r, "task", SPAN("Call"), &v, &err), REPLAY_STUCK);
	assert_string_equal(err.text, "history: email \"cart\" at step 1; text: task \"Call\"");
	assert_int_equal(replay_step(&r, "email", SPAN("other"), &v, &err), REPLAY_STUCK);
	assert_int_equal(replay_step(&r, "email", SPAN("cart"), &v, &err), REPLAY_RECORDED);
	assert_false(replay_is_over(&r, &err));
	assert_string_equal(err.text, "history: wait at step 2; text: the end");
	arena_fini(&a);
}

static void many_reads_are_found(void **state)
{
	struct arena a = { 0 };
	struct replay r;
	struct err err;
	struct span v, h;
	char path[32], value[32];

	(void)state;
	assert_true(replay_open(&r, &a, none, &err));
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(path, sizeof path, "attributes.f%d", i);
		int m = snprintf(value, sizeof value, "%d", i);

		replay_note_read(&r, (struct span){ arena_dup(&a, path, (size_t)n), (size_t)n },
			(struct span){ arena_dup(&a, value, (size_t)m), (size_t)m });
	}
	h = write_out(&r, &a);
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < 1000; i++) {
			snprintf(path, sizeof path, "attributes.f%d", i);
			snprintf(value, sizeof value, "%d", i);
			assert_true(replay_read(&r, span_of(path), &v));
			assert_true(span_is(v, value));
		}
		assert_false(replay_read(&r, SPAN("attributes.none"), &v));
		assert_true(replay_open(&r, &a, h, &err));
	}
	arena_fini(&a);
}

static void damage_is_told(void **state)
{
	static const char *const bad[] = { "{}", "[{\"r\":{},\"s\":[[\"email\"]]}]",
		"[{\"s\":[[1,null,null]]}]" };
	struct arena a = { 0 };
	struct replay r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(replay_open(&r, &a, span_of(bad[i]), &err));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_at_its_end),
		cmocka_unit_test(disagreement_shows_both_sides),
		cmocka_unit_test(many_reads_are_found),
		cmocka_unit_test(damage_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
