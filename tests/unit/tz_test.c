/* tz_test.c: our reader against the C library over 68 years, gaps and overlaps, the footer. */
#include "base/tz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t at(const char *text)
{
	int64_t us;

	assert_true(clock_parse_rfc3339(span_of(text), &us));
	return us;
}

static void local_is(const struct tz *tz, const char *instant, const char *want)
{
	struct tz_wall w;
	char got[96];

	tz_to_local(tz, at(instant), &w);
	snprintf(got, sizeof got, "%04d-%02d-%02d %02d:%02d:%02d %d", (int)w.year, w.month, w.day,
		w.hour, w.minute, w.second, w.offset_s);
	assert_string_equal(got, want);
}

static void agrees_at(const struct tz *tz, int64_t t)
{
	struct tz_wall w;
	time_t at_s = (time_t)t;
	struct tm tm;

	localtime_r(&at_s, &tm);
	tz_to_local(tz, t * CLOCK_SECOND_US + 123456, &w);
	if (w.offset_s != tm.tm_gmtoff || w.year != tm.tm_year + 1900 || w.month != tm.tm_mon + 1 ||
		w.day != tm.tm_mday || w.hour != tm.tm_hour || w.minute != tm.tm_min ||
		w.second != tm.tm_sec || w.us != 123456 || w.weekday % 7 != tm.tm_wday ||
		w.yearday != tm.tm_yday + 1)
		fail_msg("%s at %lld: offset %d, not %ld", tz_name(tz), (long long)t, w.offset_s,
			tm.tm_gmtoff);
}

/* An instant comes back from its wall time, or the first with the same wall time does. */
static void comes_back(const struct tz *tz, int64_t t)
{
	struct tz_wall w, again;
	int64_t back;

	tz_to_local(tz, t * CLOCK_SECOND_US + 7, &w);
	back = tz_from_local(tz, &w);
	assert_true(back <= t * CLOCK_SECOND_US + 7);
	tz_to_local(tz, back, &again);
	assert_int_equal(w.hour * 3600 + w.minute * 60 + w.second,
		again.hour * 3600 + again.minute * 60 + again.second);
	assert_int_equal(w.yearday, again.yearday);
	assert_int_equal(again.us, 7);
}

/* The clock changes at t: each local time in the gap or overlap around it is judged by P12. */
static void transition_keeps_p12(const struct tz *tz, int64_t t)
{
	int before = tz_offset_s(tz, (t - 1) * CLOCK_SECOND_US);
	int after = tz_offset_s(tz, t * CLOCK_SECOND_US), step = abs(after - before) / 7 + 1;
	int64_t begin = t + (after > before ? before : after), end = begin + abs(after - before);

	for (int64_t local = begin; local < end; local += step) {
		struct tz_wall w = { .year = 1970,
			.month = 1,
			.day = (int)(local / 86400) + 1,
			.second = (int)(local % 86400),
			.us = 5 };
		int64_t got = tz_from_local(tz, &w);

		if (after > before)
			assert_int_equal(got, t * CLOCK_SECOND_US);
		else
			assert_int_equal(got, (local - before) * CLOCK_SECOND_US + 5);
	}
}

/* Finds the second at which the offset changes between two instants, and looks around it. */
static void transition_agrees(const struct tz *tz, int64_t low, int64_t high)
{
	int before = tz_offset_s(tz, low * CLOCK_SECOND_US);

	while (high - low > 1) {
		int64_t mid = (low + high) / 2;

		if (tz_offset_s(tz, mid * CLOCK_SECOND_US) == before)
			low = mid;
		else
			high = mid;
	}
	agrees_at(tz, low);
	agrees_at(tz, high);
	transition_keeps_p12(tz, high);
}

static void agrees_with_libc(void **state)
{
	static const char *const zones[] = { "Europe/Kyiv", "Europe/Moscow", "Europe/Dublin",
		"America/New_York", "America/Sao_Paulo", "Asia/Almaty", "Asia/Kolkata",
		"Asia/Tehran", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia",
		"America/Godthab", "Etc/GMT+12", "UTC" };
	const int64_t step = 3 * 3600 + 11;

	(void)state;
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
		const struct tz *tz = tz_get(zones[i]);
		int changes = 0;

		assert_non_null(tz);
		setenv("TZ", zones[i], 1);
		tzset();
		for (int64_t t = 0; t < INT64_C(2145916800); t += step) { /* 2038-01-01 */
			agrees_at(tz, t);
			comes_back(tz, t);
			if (tz_offset_s(tz, t * CLOCK_SECOND_US) ==
				tz_offset_s(tz, (t + step) * CLOCK_SECOND_US))
				continue;
			transition_agrees(tz, t, t + step);
			changes++;
		}
		print_message("%s: %d changes\n", zones[i], changes);
	}
	unsetenv("TZ");
	tzset();
}

static void goes_on_after_the_table(void **state)
{
	const struct tz *kyiv = tz_get("Europe/Kyiv"), *york = tz_get("America/New_York");

	(void)state;
	local_is(kyiv, "2099-07-01T12:00:00Z", "2099-07-01 15:00:00 10800");
	local_is(kyiv, "2099-12-01T12:00:00Z", "2099-12-01 14:00:00 7200");
	/* the last Sunday of March 2100 is the 28th */
	local_is(kyiv, "2100-03-28T00:59:59Z", "2100-03-28 02:59:59 7200");
	local_is(kyiv, "2100-03-28T01:00:00Z", "2100-03-28 04:00:00 10800");
	local_is(york, "2500-07-01T12:00:00Z", "2500-07-01 08:00:00 -14400");
	local_is(tz_get("Australia/Sydney"), "2400-01-01T12:00:00Z", "2400-01-01 23:00:00 39600");
	local_is(tz_get("Europe/Dublin"), "2400-01-01T12:00:00Z", "2400-01-01 12:00:00 0");
	local_is(tz_get("Europe/Dublin"), "2400-07-01T12:00:00Z", "2400-07-01 13:00:00 3600");
	local_is(york, "0001-01-02T00:00:00Z", "0001-01-01 19:03:58 -17762");
	for (int64_t t = at("2090-01-01T00:00:00Z") / 1000000; t < INT64_C(4000000000); t += 9973)
		comes_back(kyiv, t);
}

static void keeps_promise_12(void **state)
{
	const struct tz *kyiv = tz_get("Europe/Kyiv");
	struct tz_wall w = {
		.year = 2026, .month = 3, .day = 29, .hour = 3, .minute = 30, .us = 9
	};

	(void)state;
	assert_int_equal(tz_from_local(kyiv, &w), at("2026-03-29T01:00:00Z"));
	w.hour = 2;
	assert_int_equal(tz_from_local(kyiv, &w), at("2026-03-29T00:30:00.000009Z"));
	w.hour = 4;
	assert_int_equal(tz_from_local(kyiv, &w), at("2026-03-29T01:30:00.000009Z"));
	w = (struct tz_wall){ .year = 2026, .month = 10, .day = 25, .hour = 3, .minute = 30 };
	assert_int_equal(tz_from_local(kyiv, &w), at("2026-10-25T00:30:00Z"));
	/* a day that did not exist: Samoa went from the 29th to the 31st */
	w = (struct tz_wall){ .year = 2011, .month = 12, .day = 30, .hour = 12 };
	assert_int_equal(tz_from_local(tz_get("Pacific/Apia"), &w), at("2011-12-30T10:00:00Z"));
	/* carried over: the 32nd of January, the 14th month */
	w = (struct tz_wall){ .year = 2026, .month = 1, .day = 32, .hour = 25 };
	assert_int_equal(tz_from_local(kyiv, &w), at("2026-02-02T01:00:00+02:00"));
	w = (struct tz_wall){ .year = 2025, .month = 14, .day = 1 };
	assert_int_equal(tz_from_local(kyiv, &w), at("2026-02-01T00:00:00+02:00"));
	w = (struct tz_wall){ .year = 2026, .month = 0, .day = 1 };
	assert_int_equal(tz_from_local(kyiv, &w), at("2025-12-01T00:00:00+02:00"));
}

static void adds_days_and_years(void **state)
{
	const struct tz *kyiv = tz_get("Europe/Kyiv"), *beirut = tz_get("Asia/Beirut");
	int64_t leap = at("2024-02-29T10:00:00+02:00");

	(void)state;
	assert_int_equal(tz_add_days(kyiv, at("2026-03-28T09:00:00.5+02:00"), 1),
		at("2026-03-29T09:00:00.5+03:00"));
	assert_int_equal(tz_add_days(kyiv, at("2026-03-30T09:00:00+03:00"), -7),
		at("2026-03-23T09:00:00+02:00"));
	/* nothing moves, not even out of the second of two equal hours */
	assert_int_equal(
		tz_add_days(kyiv, at("2026-10-25T01:30:00Z"), 0), at("2026-10-25T01:30:00Z"));
	assert_int_equal(tz_add_years(kyiv, leap, 1), at("2025-02-28T10:00:00+02:00"));
	assert_int_equal(tz_add_years(kyiv, leap, 4), at("2028-02-29T10:00:00+02:00"));
	assert_int_equal(
		tz_day_start(kyiv, at("2026-03-29T12:00:00Z"), 0), at("2026-03-29T00:00:00+02:00"));
	/* midnight does not exist: the clocks of Beirut change at 00:00 */
	assert_int_equal(tz_day_start(beirut, at("2025-03-30T12:00:00Z"), 0),
		at("2025-03-30T01:00:00+03:00"));
	assert_true(tz_add_days(kyiv, TIME_NONE, 1) == TIME_NONE);
}

static void knows_its_names(void **state)
{
	static const char *const bad[] = {
		"", "/", "Europe", "Nowhere/City", "../../etc/passwd", "/usr/share/zoneinfo/UTC",
		"Europe//Kyiv", "Europe/Kyiv/", "Europe/Kyiv ", "tzdata.zi", "zone.tab",
		"leapseconds", "right/UTC", "europe/kyiv",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (tz_get(bad[i]) != NULL)
			fail_msg("%s is a zone", bad[i]);
	assert_ptr_equal(tz_get("Europe/Kyiv"), tz_get("Europe/Kyiv"));
	assert_non_null(tz_get("Etc/GMT-14"));
	assert_non_null(tz_get("America/Port-au-Prince"));
	assert_string_equal(tz_name(tz_get("UTC")), "UTC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_libc),
		cmocka_unit_test(goes_on_after_the_table),
		cmocka_unit_test(keeps_promise_12),
		cmocka_unit_test(adds_days_and_years),
		cmocka_unit_test(knows_its_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
