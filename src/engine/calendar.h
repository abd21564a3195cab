#ifndef ENGINE_CALENDAR_H
#define ENGINE_CALENDAR_H
/*
 * Working time: counts durations in the working calendar of a store or a group, in its zone.
 *
 * Pure; the calendar and the zone are lent during the call.  Spans are local wall-clock times; in
 * an hour that a change of the clocks skips nobody works, one that comes twice counts twice.
 */
#include "base/err.h"

#include <stdint.h>

struct duration;
struct shop_calendar;
struct tz;

/* Is it working time?  zone NULL: UTC. */
bool calendar_is_open(const struct shop_calendar *c, const struct tz *zone, int64_t at_us);
/* The moment when so much working time has passed since `from_us`.  What comes outside of working
 * hours counts from their next beginning.  Days of d (a week is 7) are working days: the same
 * local time of the n-th next day with working hours, moved into them; the rest is counted in open
 * time, and may end with a span. False when there is none within 10 years: a calendar without
 * working hours. */
bool calendar_add(const struct shop_calendar *c, const struct tz *zone, int64_t from_us,
	const struct duration *d, int64_t *ret_us) MUST_CHECK;
/* The first working moment at or after. */
bool calendar_next_open(const struct shop_calendar *c, const struct tz *zone, int64_t from_us,
	int64_t *ret_us) MUST_CHECK;
/* Local days since 1970 on which somebody works ("next_time workday"). */
bool calendar_is_workday(const struct shop_calendar *c, int64_t local_day);

#endif
