#ifndef BASE_TZ_H
#define BASE_TZ_H
/*
 * Wall clocks: instants <-> local times by the system's tzdata, read by ourselves (no TZ, no
 * tzset).
 *
 * A zone is loaded once and lives as long as the process; the answers depend on nothing but the
 * zone's file.  A changed tzdata counts from the next start on.
 *
 * Promise P12: a local time that does not exist (a gap) becomes the first moment after the gap;
 * one that exists twice means the first.
 */
#include "base/clock.h"

struct tz;

struct tz_wall {
	int64_t year;
	int month;    /* 1..12 */
	int day;      /* 1..31 */
	int hour;     /* 0..23 */
	int minute;   /* 0..59 */
	int second;   /* 0..59 */
	int us;       /* 0..999999 */
	int weekday;  /* 1 = Monday ... 7 = Sunday; ignored by tz_from_local */
	int yearday;  /* 1..366; ignored by tz_from_local */
	int offset_s; /* east of UTC; ignored by tz_from_local */
};

/* "Europe/Kyiv"; NULL when it is no zone of the system's tzdata (or not [A-Za-z0-9_+/-]). */
const struct tz *tz_get(const char *name);
const char *tz_name(const struct tz *tz);

/* at_us within the years +-200000 (TIME_NONE is none). */
void tz_to_local(const struct tz *tz, int64_t at_us, struct tz_wall *ret);
/* Seconds east of UTC at an instant. */
int tz_offset_s(const struct tz *tz, int64_t at_us);
/* Fields may lie outside their ranges and are carried over (day 32 of January is 1 February). */
int64_t tz_from_local(const struct tz *tz, const struct tz_wall *wall);
/* The same wall time n calendar days later (earlier when negative; 0 changes nothing). */
int64_t tz_add_days(const struct tz *tz, int64_t at_us, int64_t days);
/* The same wall time n years later; 29 February becomes the 28th in common years. */
int64_t tz_add_years(const struct tz *tz, int64_t at_us, int64_t years);
/* 00:00 (or the first moment after it) of the calendar day in which at_us lies, plus n days. */
int64_t tz_day_start(const struct tz *tz, int64_t at_us, int64_t days);

#endif
