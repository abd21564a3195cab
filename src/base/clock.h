#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
/*
 * Instants and dates: pure conversions, no zone, no "now" (see base/now.h and base/tz.h).
 *
 * An instant is int64_t microseconds since 1970-01-01T00:00:00Z; TIME_NONE stands for "no time".
 * Days are counted from 1970-01-01 (day 0) in the Gregorian calendar, extended to the years
 * before it.
 */
#include "base/str.h"

#include <limits.h>

#define TIME_NONE INT64_MIN
#define CLOCK_SECOND_US INT64_C(1000000)
#define CLOCK_DAY_US (INT64_C(86400) * CLOCK_SECOND_US)
/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: what can be written as text and Postgres
 * takes */
#define CLOCK_LEAST_US (INT64_C(-62135596800) * CLOCK_SECOND_US)
#define CLOCK_MOST_US (INT64_C(253402300800) * CLOCK_SECOND_US - 1)

struct clock_date {
	int64_t year;
	int month; /* 1..12 */
	int day;   /* 1..31 */
};

/* Any year within +-10^6; day may lie outside its month (32 January is 1 February). */
int64_t clock_days_of_date(int64_t year, int month, int64_t day);
struct clock_date clock_date_of_days(int64_t days);
int clock_month_days(int64_t year, int month);
/* 1 = Monday ... 7 = Sunday (ISO 8601). */
int clock_weekday(int64_t days);

/* RFC 3339 section 5.6, whole span: a zone is needed ("Z" or +hh:mm), the date must exist, T may
 * be a space, digits beyond microseconds are dropped, a leap second is the second after it.  Only
 * instants from CLOCK_LEAST_US to CLOCK_MOST_US. */
bool clock_parse_rfc3339(struct span text, int64_t *ret_us) MUST_CHECK;
/* "2026-07-21T10:15:30.5Z": UTC, a fraction (without closing zeroes) only when there is one.
 * What lies beyond the limits above is written as the limit; TIME_NONE as "".  Returns ret. */
char *clock_format_rfc3339(int64_t at_us, char ret[32]);

#endif
