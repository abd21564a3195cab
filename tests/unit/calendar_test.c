/* Working time: hours, days, holidays, and the days on which the clocks change. */
#include "engine/calendar.h"

#include "base/duration.h"
#include "base/tz.h"
#include "model/shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OFFICE                                                                                     \
	{                                                                                          \
		.spans = { { 9 * 60, 12 * 60 }, { 13 * 60, 18 * 60 } }, .nspans = 2                \
	}

/* 25 December 2026 is a Friday: day 20,812 since 1970. */
static const int32_t holidays[] = { 20812 };
static const struct shop_calendar office = { .name = "office",
	.days = { OFFICE, OFFICE, OFFICE, OFFICE, OFFICE },
	.holidays = holidays,
	.nholidays = 1 };
static const struct shop_calendar nights = { .name = "nights",
	.days = { [5] = { .spans = { { 0, 24 * 60 } }, .nspans = 1 },
		[6] = { .spans = { { 0, 24 * 60 } }, .nspans = 1 } } };
static const struct shop_calendar nobody = { .name = "nobody" };

static int64_t at(const char *text)
{
	int64_t us;

	assert_true(clock_parse_rfc3339(span_of(text), &us));
	return us;
}

static void adds(const struct shop_calendar *c, const char *zone, const char *from,
	const char *duration, const char *expected)
{
	struct duration d;
	struct err err;
	int64_t us;
	char text[32];

	assert_true(duration_parse(span_of(duration), 0, &d, &err));
	assert_true(calendar_add(c, tz_get(zone), at(from), &d, &us));
	if (us != at(expected))
		fail_msg("%s + %s: %s, not %s", from, duration, clock_format_rfc3339(us, text),
			expected);
}

static void hours(void **state)
{
	const char *z = "Europe/Berlin"; /* +01:00 in winter */

	(void)state;
	adds(&office, z, "2026-11-23T10:00:00+01:00", "1h", "2026-11-23T11:00:00+01:00");
	adds(&office, z, "2026-11-23T11:00:00+01:00", "2h", "2026-11-23T14:00:00+01:00");
	adds(&office, z, "2026-11-23T11:00:00+01:00", "1h", "2026-11-23T12:00:00+01:00");
	adds(&office, z, "2026-11-23T17:30:00+01:00", "1h", "2026-11-24T09:30:00+01:00");
	adds(&office, z, "2026-11-23T07:00:00+01:00", "10m", "2026-11-23T09:10:00+01:00");
	adds(&office, z, "2026-11-27T17:00:00+01:00", "2h", "2026-11-30T10:00:00+01:00");
	adds(&office, z, "2026-11-28T12:00:00+01:00", "0s", "2026-11-30T09:00:00+01:00");
	adds(&office, z, "2026-12-24T17:00:00+01:00", "2h", "2026-12-28T10:00:00+01:00");
	adds(&office, z, "2026-11-23T09:00:00+01:00", "80h", "2026-12-04T18:00:00+01:00");
	adds(&office, "UTC", "2026-11-23T08:00:00Z", "1h", "2026-11-23T10:00:00Z");
}

static void days(void **state)
{
	const char *z = "Europe/Berlin";

	(void)state;
	adds(&office, z, "2026-11-23T10:00:00+01:00", "1d", "2026-11-24T10:00:00+01:00");
	adds(&office, z, "2026-11-27T10:00:00+01:00", "1d", "2026-11-30T10:00:00+01:00");
	adds(&office, z, "2026-11-27T20:00:00+01:00", "1d", "2026-12-01T09:00:00+01:00");
	adds(&office, z, "2026-12-24T10:00:00+01:00", "1d", "2026-12-28T10:00:00+01:00");
	adds(&office, z, "2026-11-23T10:00:00+01:00", "1w", "2026-12-02T10:00:00+01:00");
	adds(&office, z, "2026-11-23T17:30:00+01:00", "1d1h", "2026-11-25T09:30:00+01:00");
	adds(&office, z, "2026-03-27T10:00:00+01:00", "1d", "2026-03-30T10:00:00+02:00");
}

/* 29 March 2026: 02:00 becomes 03:00; 25 October: 03:00 becomes 02:00 again. */
static void clock_changes(void **state)
{
	const char *z = "Europe/Berlin";

	(void)state;
	adds(&nights, z, "2026-03-29T00:00:00+01:00", "3h", "2026-03-29T04:00:00+02:00");
	adds(&nights, z, "2026-03-28T00:00:00+01:00", "47h", "2026-03-30T00:00:00+02:00");
	adds(&nights, z, "2026-10-25T00:00:00+02:00", "4h", "2026-10-25T03:00:00+01:00");
	adds(&nights, z, "2026-10-25T00:00:00+02:00", "25h", "2026-10-26T00:00:00+01:00");
	adds(&nights, z, "2026-10-25T00:00:00+02:00", "26h", "2026-10-31T01:00:00+01:00");
}

static void open_or_not(void **state)
{
	const struct tz *z = tz_get("Europe/Berlin");
	struct duration d = { 0, 1 };
	int64_t us;

	(void)state;
	assert_true(calendar_is_open(&office, z, at("2026-11-23T09:00:00+01:00")));
	assert_false(calendar_is_open(&office, z, at("2026-11-23T12:00:00+01:00")));
	assert_false(calendar_is_open(&office, z, at("2026-11-23T08:59:59+01:00")));
	assert_false(calendar_is_open(&office, z, at("2026-11-28T10:00:00+01:00")));
	assert_false(calendar_is_open(&office, z, at("2026-12-25T10:00:00+01:00")));
	assert_false(calendar_is_workday(&office, 20812));
	assert_true(calendar_is_workday(&office, 20811));
	assert_true(calendar_next_open(&office, z, at("2026-11-23T12:30:00+01:00"), &us));
	assert_true(us == at("2026-11-23T13:00:00+01:00"));
	assert_false(calendar_next_open(&nobody, z, 0, &us));
	assert_false(calendar_add(&nobody, z, 0, &d, &us));
	d.days = 1;
	assert_false(calendar_add(&nobody, NULL, 0, &d, &us));
	assert_false(calendar_is_open(&nobody, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hours),
		cmocka_unit_test(days),
		cmocka_unit_test(clock_changes),
		cmocka_unit_test(open_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
