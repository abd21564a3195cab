/* lookup_test.c: names that are known at once, soon, never. */
#include "base/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static bool soon(struct lookup *l, const char **ret_why)
{
	*ret_why = NULL;
	for (int i = 0; i < 3000 && *ret_why == NULL; i++) {
		if (lookup_is_known(l, ret_why))
			return true;
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
	return false;
}

static void test_addresses_are_known_at_once(void **state)
{
	static const char *const hosts[] = { "", "127.0.0.1", "::1", "/run/socket" };
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct lookup *l = lookup_open(hosts[i]);

		assert_true(lookup_is_known(l, &why));
		assert_true(lookup_is_known(l, &why));
		lookup_close(l);
	}
}

static void test_a_name_is_known_soon_and_asked_for_again(void **state)
{
	struct lookup *l = lookup_open("localhost");
	const char *why;

	(void)state;
	assert_false(lookup_is_known(l, &why));
	assert_true(soon(l, &why));
	assert_false(lookup_is_known(l, &why));
	assert_true(soon(l, &why));
	lookup_close(l);
}

static void test_no_name_says_why(void **state)
{
	struct lookup *l = lookup_open("no name at all");
	const char *why;

	(void)state;
	assert_false(soon(l, &why));
	assert_non_null(why);
	lookup_close(l);
}

static void test_closed_while_asked(void **state)
{
	const char *why;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct lookup *l = lookup_open("localhost");

		assert_false(lookup_is_known(l, &why));
		lookup_close(l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_known_at_once),
		cmocka_unit_test(test_a_name_is_known_soon_and_asked_for_again),
		cmocka_unit_test(test_no_name_says_why),
		cmocka_unit_test(test_closed_while_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
