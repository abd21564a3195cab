/* timeline_test.c: cursors and the order of a timeline's entries (db/read), without a database. */
#include "base/clock.h"
#include "db/read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool init(struct timeline *t, struct arena *a, const char *cursor)
{
	return timeline_init(t, a, 3, span_of(cursor));
}

static void begins_at_the_beginning(void **state)
{
	struct arena a = { 0 };
	struct timeline t;

	(void)state;
	assert_true(init(&t, &a, ""));
	assert_int_equal(t.at_us, CLOCK_LEAST_US);
	assert_int_equal(t.kind, TIMELINE_EVENT);
	assert_true(t.id == INT64_MIN);
	assert_true(init(&t, &a, "-5.6.9223372036854775807"));
	assert_int_equal(t.at_us, -5);
	assert_int_equal(t.kind, TIMELINE_CHAIN_END);
	arena_fini(&a);
}

static void refuses_what_is_no_cursor(void **state)
{
	static const char *const bad[] = { "1", "1.2", "1.2.", "1.2.3.4", "1.2.3.", "1..3", ".1.2",
		"a.1.2", "1.7.2", "1.-1.2", "1.2.3 ", "99999999999999999999.1.1",
		"9223372036854775807.0.0", "-9223372036854775808.0.0", "..", "." };
	struct arena a = { 0 };
	struct timeline t;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(init(&t, &a, bad[i]));
	arena_fini(&a);
}

static void sorts_by_moment_kind_and_number(void **state)
{
	struct timeline_entry entries[] = { { 20, 1, TIMELINE_EVENT, SPAN("d") },
		{ 10, 9, TIMELINE_NOTE, SPAN("c") }, { 10, 7, TIMELINE_EVENT, SPAN("b") },
		{ 10, 3, TIMELINE_EVENT, SPAN("a") } };
	struct arena a = { 0 };
	struct buf b = { 0 };
	struct timeline t, next;

	(void)state;
	assert_true(init(&t, &a, ""));
	t.entries = entries;
	t.n = 4;
	assert_true(timeline_sort(&t)); /* the limit is three */
	assert_int_equal(t.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(*t.entries[i].json.p, "abc"[i]);
	timeline_cursor(&t, &b);
	assert_true(init(&next, &a, b.p));
	assert_int_equal(next.at_us, 10);
	assert_int_equal(next.kind, TIMELINE_NOTE);
	assert_int_equal(next.id, 9);
	assert_false(timeline_sort(&t));
	buf_free(&b);
	arena_fini(&a);
}

static void an_empty_timeline_has_no_more(void **state)
{
	struct arena a = { 0 };
	struct timeline t;

	(void)state;
	assert_true(init(&t, &a, "1.0.0"));
	assert_false(timeline_sort(&t));
	arena_fini(&a);
}

static void names_of_identities(void **state)
{
	(void)state;
	assert_string_equal(read_identity_name(2), "email");
	assert_null(read_identity_name(0));
	assert_null(read_identity_name(8));
	assert_null(read_identity_name(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_at_the_beginning),
		cmocka_unit_test(refuses_what_is_no_cursor),
		cmocka_unit_test(sorts_by_moment_kind_and_number),
		cmocka_unit_test(an_empty_timeline_has_no_more),
		cmocka_unit_test(names_of_identities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
