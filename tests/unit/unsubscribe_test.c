/* unsubscribe_test.c: only our own tokens unsubscribe anybody. */
#include "intake/unsubscribe.h"

#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct unsubscribe sample = { 12, INT64_C(9007199254740993), { "shop", 4 },
	CHANNEL_EMAIL };

static void what_is_made_is_read(void **state)
{
	struct arena a = { 0 };
	struct buf b = { 0 };
	struct unsubscribe u;

	(void)state;
	unsubscribe_token(&b, SPAN("a key of some length"), &sample);
	assert_int_equal(
		strspn(b.p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"),
		b.n);
	assert_true(unsubscribe_read(buf_as_span(&b), SPAN("a key of some length"), &a, &u));
	assert_true(u.message == 12 && u.customer == INT64_C(9007199254740993));
	assert_true(span_is(u.shop, "shop") && u.channel == CHANNEL_EMAIL);
	buf_clear(&b);
	unsubscribe_link(&b, SPAN("https://x.test/n"), SPAN("a key of some length"), &sample);
	assert_int_equal(strncmp(b.p, "https://x.test/n/u/", 19), 0);
	buf_free(&b);
	arena_fini(&a);
}

static void nothing_else_is(void **state)
{
	static const char *const payloads[] = { "", "u1", "u1 12 13", "u1 12 13 email",
		"u1 12 13 email ", "t1 12 13 email shop", "u1 x 13 email shop",
		"u1 12 13 pigeon shop", "u1  12 13 email shop" };
	struct arena a = { 0 };
	struct buf b = { 0 };
	struct unsubscribe u;

	(void)state;
	unsubscribe_token(&b, SPAN("a key of some length"), &sample);
	assert_false(unsubscribe_read(buf_as_span(&b), SPAN("another key"), &a, &u));
	assert_false(unsubscribe_read(buf_as_span(&b), SPAN(""), &a, &u));
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 1;
		assert_false(
			unsubscribe_read(buf_as_span(&b), SPAN("a key of some length"), &a, &u));
		b.p[i] ^= 1;
	}
	for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
		buf_clear(&b);
		hash_sign(&b, SPAN("k"), span_of(payloads[i]));
		assert_false(unsubscribe_read(buf_as_span(&b), SPAN("k"), &a, &u));
	}
	buf_free(&b);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_made_is_read),
		cmocka_unit_test(nothing_else_is) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
