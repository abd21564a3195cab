/* phone_test.c: numbers as people write them, and what is none. */
#include "base/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void reads_numbers(void **state)
{
	static const struct {
		const char *raw, *region, *e164;
	} good[] = {
		{ "8 (999) 123-45-67", "RU", "+79991234567" },
		{ "+7 999 123-45-67", NULL, "+79991234567" },
		{ "050 123 45 67", "UA", "+380501234567" },
		{ "050 123 45 67", "ua", "+380501234567" },
		{ "+380501234567", "RU", "+380501234567" },
		{ "00380501234567", "DE", "+380501234567" },
		{ "0171 1234567", "DE", "+491711234567" },
		{ "8 701 234 56 78", "KZ", "+77012345678" },
		{ "(201) 555-0123 ext. 5", "US", "+12015550123" },
		{ "tel:+44 7911 123456", NULL, "+447911123456" },
		{ "\xef\xbc\x8b\xef\xbc\x97 999 123 45 67", NULL, "+79991234567" },
	};
	char e164[PHONE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!phone_e164(span_of(good[i].raw), good[i].region, e164))
			fail_msg("%s was refused", good[i].raw);
		assert_string_equal(e164, good[i].e164);
	}
}

static void refuses_what_is_none(void **state)
{
	static const char *const bad[] = { "", "1", "12", "phone", "+", "+++", "8 999 123",
		"+7 999 123 45 67 89 01", "999999999999999999999", "olena@example.com",
		"\xff\xfe\x80\x80", "+999123456789", "00000000000" };
	char e164[PHONE_SIZE] = "kept", *many = malloc(1000);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (phone_e164(span_of(bad[i]), "RU", e164))
			fail_msg("%s was accepted as %s", bad[i], e164);
	assert_false(phone_e164(SPAN("050 123 45 67"), NULL, e164));
	assert_false(phone_e164(SPAN("050 123 45 67"), "XX", e164));
	assert_false(phone_e164(SPAN("050 123 45 67"), "Ukraine", e164));
	assert_false(phone_e164((struct span){ NULL, 0 }, "RU", e164));
	assert_false(phone_e164((struct span){ "+7999123\0004567", 13 }, "RU", e164));
	assert_non_null(many);
	memset(many, '7', 1000);
	assert_false(phone_e164((struct span){ many, 1000 }, "RU", e164));
	free(many);
	assert_string_equal(e164, "kept");
}

/* Bytes in any order neither crash it nor get through as something that is no E.164. */
static void survives_garbage(void **state)
{
	static const char set[] = "+0123456789 ()-x;tel=\xff\xd0\xbf/.,*#~";
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char raw[64], e164[PHONE_SIZE] = "+";
		size_t n = seed % sizeof raw;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525u + 1013904223u;
			raw[i] = set[(seed >> 16) % (sizeof set - 1)];
		}
		seed = seed * 1664525u + 1013904223u;
		if (phone_e164((struct span){ raw, n }, "UA", e164))
			assert_true(strspn(e164 + 1, "0123456789") == strlen(e164) - 1);
		assert_int_equal(e164[0], '+');
	}
}

/* Asked again, also in another region, the answer is that of the question. */
static void remembers_rightly(void **state)
{
	char e164[PHONE_SIZE];

	(void)state;
	for (int round = 0; round < 3; round++) {
		assert_true(phone_e164(SPAN("0501234567"), "UA", e164));
		assert_string_equal(e164, "+380501234567");
		assert_false(phone_e164(SPAN("0501234567"), "US", e164));
		assert_true(phone_e164(SPAN("050 123 45 67"), "UA", e164));
		assert_false(phone_e164(SPAN("050123456"), "UA", e164));
	}
	for (int i = 0; i < 20000; i++) { /* more than it remembers */
		char raw[32], want[32];

		snprintf(raw, sizeof raw, "8 (999) 12%d-%02d-%02d", i / 10000 % 10, i / 100 % 100,
			i % 100);
		snprintf(want, sizeof want, "+799912%d%04d", i / 10000 % 10, i % 10000);
		assert_true(phone_e164(span_of(raw), "RU", e164));
		assert_string_equal(e164, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(survives_garbage),
		cmocka_unit_test(remembers_rightly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
