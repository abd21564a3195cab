/* clock_test.c: dates against the C library, RFC 3339 both ways. */
#include "base/clock.h"
#include "base/now.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

static void dates_agree_with_libc(void **state)
{
	(void)state;
	for (int64_t day = -720000; day < 3000000; day += 37) {
		time_t t = day * 86400;
		struct clock_date d = clock_date_of_days(day);
		struct tm tm;

		gmtime_r(&t, &tm);
		assert_int_equal(d.year, tm.tm_year + 1900);
		assert_int_equal(d.month, tm.tm_mon + 1);
		assert_int_equal(d.day, tm.tm_mday);
		assert_int_equal(clock_weekday(day) % 7, tm.tm_wday);
		assert_int_equal(clock_days_of_date(d.year, d.month, d.day), day);
		assert_true(d.day <= clock_month_days(d.year, d.month));
	}
	for (int64_t day = 10950; day < 11330; day++) /* 2000 day by day */
		assert_int_equal(
			day, clock_days_of_date(clock_date_of_days(day).year,
				     clock_date_of_days(day).month, clock_date_of_days(day).day));
}

static void parses(void **state)
{
	static const struct {
		const char *text, *utc;
	} good[] = {
		{ "2026-07-21T10:15:30Z", "2026-07-21T10:15:30Z" },
		{ "2026-07-21t10:15:30z", "2026-07-21T10:15:30Z" },
		{ "2026-07-21 10:15:30+03:00", "2026-07-21T07:15:30Z" },
		{ "2026-07-21T10:15:30.123456789-05:30", "2026-07-21T15:45:30.123456Z" },
		{ "2026-07-21T10:15:30.5Z", "2026-07-21T10:15:30.5Z" },
		{ "2026-07-21T10:15:30.000001Z", "2026-07-21T10:15:30.000001Z" },
		{ "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z" },
		{ "2016-12-31T23:59:60.7Z", "2017-01-01T00:00:00Z" },
		{ "2017-01-01T05:29:60+05:30", "2017-01-01T00:00:00Z" },
		{ "2024-02-29T00:00:00-00:00", "2024-02-29T00:00:00Z" },
		{ "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z" },
		{ "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z" },
		{ "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z" },
	};
	char text[32];
	int64_t us;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!clock_parse_rfc3339(span_of(good[i].text), &us))
			fail_msg("%s was refused", good[i].text);
		assert_string_equal(clock_format_rfc3339(us, text), good[i].utc);
	}
	assert_true(clock_parse_rfc3339(SPAN("1970-01-01T00:00:01.25Z"), &us));
	assert_int_equal(us, 1250000);
}

static void refuses(void **state)
{
	static const char *const bad[] = { "", "2026-07-21", "2026-07-21T10:15:30",
		"2026-07-21T10:15Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-07-21T24:00:00Z",
		"2026-07-21T10:60:00Z", "2026-07-21T10:15:61Z", "2026-07-21T10:15:60Z",
		"2026-07-21T10:15:30+99:99", "2026-07-21T10:15:30+03", "2026-07-21T10:15:30+0300",
		"2026-07-21T10:15:30.Z", "2026-07-21T10:15:30Z ", " 2026-07-21T10:15:30Z",
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
		"294277-01-01T00:00:00Z", "-2026-07-21T10:15:30Z", "infinity", "now",
		"2026-7-21T10:15:30Z", "2026-07-21T10:15:3xZ", "0001-01-01 00:00:00 BC" };
	int64_t us = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (clock_parse_rfc3339(span_of(bad[i]), &us))
			fail_msg("%s was accepted", bad[i]);
	assert_false(clock_parse_rfc3339((struct span){ "2026-07-21T10:15:30\0", 20 }, &us));
	assert_false(clock_parse_rfc3339((struct span){ "2026-07-21\00010:15:30Z", 20 }, &us));
	assert_int_equal(us, 7);
}

static void formats_limits(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(clock_format_rfc3339(TIME_NONE, text), "");
	assert_string_equal(clock_format_rfc3339(INT64_MAX, text), "9999-12-31T23:59:59.999999Z");
	assert_string_equal(clock_format_rfc3339(INT64_MIN + 1, text), "0001-01-01T00:00:00Z");
	assert_string_equal(clock_format_rfc3339(1, text), "1970-01-01T00:00:00.000001Z");
}

static void clocks_run(void **state)
{
	int64_t mono = clock_mono_us();

	(void)state;
	assert_true(clock_now_us() > INT64_C(1600000000) * CLOCK_SECOND_US);
	assert_true(clock_mono_us() >= mono && clock_boot_us() >= mono);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_agree_with_libc),
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(formats_limits),
		cmocka_unit_test(clocks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
