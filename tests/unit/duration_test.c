/* duration_test.c: what may be written, what is said when it may not, calendar days. */
#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void parses(void **state)
{
	static const struct {
		const char *text;
		unsigned flags;
		int64_t days, us;
		const char *back;
	} good[] = {
		{ "90m", 0, 0, 5400000000, "1h30m" },
		{ "1h30m", 0, 0, 5400000000, "1h30m" },
		{ "30m1h", 0, 0, 5400000000, "1h30m" },
		{ "24h", 0, 0, CLOCK_DAY_US, "24h" },
		{ "1d", 0, 1, 0, "1d" },
		{ "2w", 0, 14, 0, "14d" },
		{ "1w2d3h4m5s", 0, 9, 11045000000, "9d3h4m5s" },
		{ "0s", 0, 0, 0, "0s" },
		{ "007s", 0, 0, 7000000, "7s" },
		{ "50ms", DURATION_MS, 0, 50000, "50ms" },
		{ "1s500ms", DURATION_MS | DURATION_NO_DAYS, 0, 1500000, "1s500ms" },
		{ "36500d", 0, 36500, 0, "36500d" },
		{ "876000h", 0, 0, INT64_C(36500) * CLOCK_DAY_US, "876000h" },
	};
	char text[DURATION_SIZE];
	struct duration d;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!duration_parse(span_of(good[i].text), good[i].flags, &d, &err))
			fail_msg("%s: %s", good[i].text, err.text);
		assert_int_equal(d.days, good[i].days);
		assert_int_equal(d.us, good[i].us);
		assert_string_equal(duration_text(d, text), good[i].back);
	}
	assert_int_equal(duration_about_us((struct duration){ 1, 5 }), CLOCK_DAY_US + 5);
	duration_text((struct duration){ INT64_MAX, INT64_MAX }, text);
	assert_true(strlen(text) < sizeof text);
}

static void refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned flags;
		const char *what;
	} bad[] = {
		{ "5x", 0, "unknown unit \"x\" in duration \"5x\"; write s, m, h, d or w" },
		{ "50ms", 0, "unknown unit \"ms\" in duration \"50ms\"; write s, m, h, d or w" },
		{ "1d", DURATION_NO_DAYS | DURATION_MS,
			"unknown unit \"d\" in duration \"1d\"; write ms, s, m or h" },
		{ "5", 0, "no unit in duration \"5\"; write s, m, h, d or w behind the number" },
		{ "", 0, "no number in duration \"\"; write it like \"1h30m\"" },
		{ "h", 0, "no number in duration \"h\"; write it like \"1h30m\"" },
		{ "-5m", 0, "no number in duration \"-5m\"; write it like \"1h30m\"" },
		{ "1.5h", 0, "fraction in duration \"1.5h\"; write whole numbers, like \"1h30m\"" },
		{ "1h 30m", 0,
			"unknown unit \"h \" in duration \"1h 30m\"; write s, m, h, d or w" },
		{ "1H", 0, "unknown unit \"H\" in duration \"1H\"; write s, m, h, d or w" },
		{ "36501d", 0, "duration \"36501d\" is too long; at most 100 years" },
		{ "99999999999999999999s", 0,
			"duration \"99999999999999999999s\" is too long; at most 100 years" },
		{ "9223372036854775807w", 0,
			"duration \"9223372036854775807w\" is too long; at most 100 years" },
	};
	struct duration d = { 3, 4 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (duration_parse(span_of(bad[i].text), bad[i].flags, &d, &err))
			fail_msg("%s was accepted", bad[i].text);
		assert_string_equal(err.text, bad[i].what);
	}
	assert_int_equal(d.days, 3);
	assert_int_equal(d.us, 4);
}

static int64_t at(const char *text)
{
	int64_t us;

	assert_true(clock_parse_rfc3339(span_of(text), &us));
	return us;
}

/* The night of 2026-03-29 in Kyiv has 23 hours: "1d" keeps the time of day, "24h" does not. */
static void adds_by_the_calendar(void **state)
{
	const struct tz *kyiv = tz_get("Europe/Kyiv");
	struct duration day = { 1, 0 }, hours = { 0, CLOCK_DAY_US }, both = { 1, 3600000000 };
	int64_t from = at("2026-03-28T20:00:00+02:00");

	(void)state;
	assert_non_null(kyiv);
	assert_int_equal(duration_add(from, day, kyiv), at("2026-03-29T20:00:00+03:00"));
	assert_int_equal(duration_add(from, hours, kyiv), at("2026-03-29T21:00:00+03:00"));
	assert_int_equal(duration_add(from, hours, NULL), at("2026-03-29T21:00:00+03:00"));
	assert_int_equal(duration_add(from, both, kyiv), at("2026-03-29T21:00:00+03:00"));
	/* 03:30 does not exist on that day: the first moment after the gap */
	from = at("2026-03-28T03:30:00+02:00");
	assert_int_equal(duration_add(from, day, kyiv), at("2026-03-29T04:00:00+03:00"));
	/* 03:30 exists twice on 2026-10-25: the first of them */
	from = at("2026-10-24T03:30:00+03:00");
	assert_int_equal(duration_add(from, day, kyiv), at("2026-10-25T03:30:00+03:00"));
	assert_true(duration_add(TIME_NONE, day, kyiv) == TIME_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(adds_by_the_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
