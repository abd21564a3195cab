/* str_test.c: buffers that own, and buffers that begin on somebody else's bytes. */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_lent_array_is_used_while_it_suffices(void **state)
{
	char first[8];
	struct buf b = BUF_ON(first);

	(void)state;
	buf_str(&b, "seven b");
	assert_ptr_equal(b.p, first);
	assert_string_equal(b.p, "seven b");
	buf_clear(&b);
	assert_string_equal(first, "");
	buf_free(&b);
	assert_null(b.p);
}

/* The text moves, the array is left as it was, and what is freed is the new memory only. */
static void who_needs_more_than_was_lent_gets_his_own(void **state)
{
	char first[8];
	struct buf b = BUF_ON(first);

	(void)state;
	buf_str(&b, "seven b");
	buf_char(&b, '8');
	assert_ptr_not_equal(b.p, first);
	assert_string_equal(b.p, "seven b8");
	assert_memory_equal(first, "seven b", 8);
	for (int i = 0; i < 1000; i++)
		buf_int(&b, i % 10);
	assert_int_equal(b.n, 1008);
	assert_memory_equal(b.p + 1000, "23456789", 9);
	buf_free(&b);
	assert_int_equal(b.cap, 0);
}

/* One that is no longer lent may grow again and again, as those may that never were. */
static void formatted_text_of_any_length_fits(void **state)
{
	char first[4], want[2001];
	struct buf lent = BUF_ON(first), own = { 0 };

	(void)state;
	memset(want, 'x', sizeof want - 1);
	want[sizeof want - 1] = '\0';
	for (size_t n = 0; n < sizeof want; n += 50) {
		buf_clear(&lent);
		buf_clear(&own);
		buf_printf(&lent, "%.*s", (int)n, want);
		buf_printf(&own, "%.*s", (int)n, want);
		assert_int_equal(lent.n, n);
		assert_true(span_eq(buf_as_span(&lent), (struct span){ want, n }));
		assert_true(span_eq(buf_as_span(&own), buf_as_span(&lent)));
	}
	buf_free(&lent);
	buf_free(&own);
}

/* The smallest has no positive counterpart. */
static void numbers_are_written_and_read_back(void **state)
{
	static const int64_t numbers[] = { 0, 1, -1, 9, 10, INT64_MAX, INT64_MIN };

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		char first[4];
		struct buf b = BUF_ON(first);
		int64_t back;

		buf_int(&b, numbers[i]);
		assert_true(span_to_i64(buf_as_span(&b), &back));
		assert_true(back == numbers[i]);
		buf_free(&b);
	}
	int64_t kept = 7;

	assert_false(span_to_i64(SPAN("9223372036854775808"), &kept));
	assert_false(span_to_i64(SPAN("-9223372036854775809"), &kept));
	assert_false(span_to_i64(SPAN("12x"), &kept));
	assert_false(span_to_i64(SPAN(""), &kept));
	assert_int_equal(kept, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lent_array_is_used_while_it_suffices),
		cmocka_unit_test(who_needs_more_than_was_lent_gets_his_own),
		cmocka_unit_test(formatted_text_of_any_length_fits),
		cmocka_unit_test(numbers_are_written_and_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
