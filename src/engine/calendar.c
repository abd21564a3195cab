/*
 * Working time.
 *
 * Everything goes over the spans of one local day after the other, each turned into instants by
 * the zone's own rules, so changes of the clocks need no case of their own.  A day without spans,
 * or a holiday, has none.  Walking day by day is fast enough: two working weeks are fourteen
 * steps, and the end of the search (ten years) is only met by a calendar in which nobody ever
 * works.
 */
#include "engine/calendar.h"

#include "base/duration.h"
#include "base/tz.h"
#include "model/shop.h"

#include <stdlib.h>

enum { CALENDAR_DAYS_MOST = 3660 };

struct calendar_span { /* instants */
	int64_t from_us, to_us;
};

static const struct tz *calendar_zone(const struct tz *zone)
{
	return zone ? zone : tz_get("UTC");
}

static int calendar_cmp_day(const void *pa, const void *pb)
{
	int32_t a = *(const int32_t *)pa, b = *(const int32_t *)pb;

	return (a > b) - (a < b);
}

static bool calendar_is_holiday(const struct shop_calendar *c, int64_t local_day)
{
	int32_t day = (int32_t)local_day;

	return c->nholidays > 0 &&
	       bsearch(&day, c->holidays, c->nholidays, sizeof day, calendar_cmp_day) != NULL;
}

/* The spans of a local day; NULL and 0 when nobody works. */
static const struct shop_span *calendar_spans(
	const struct shop_calendar *c, int64_t local_day, size_t *ret_n)
{
	const struct shop_day *day = &c->days[clock_weekday(local_day) - 1];

	*ret_n = calendar_is_holiday(c, local_day) ? 0 : day->nspans;
	return *ret_n ? day->spans : NULL;
}

bool calendar_is_workday(const struct shop_calendar *c, int64_t local_day)
{
	size_t n;

	return calendar_spans(c, local_day, &n) != NULL;
}

static int64_t calendar_local_day(const struct tz *zone, int64_t at_us)
{
	struct tz_wall w;

	tz_to_local(zone, at_us, &w);
	return clock_days_of_date(w.year, w.month, w.day);
}

static int64_t calendar_instant(const struct tz *zone, int64_t local_day, int minute)
{
	struct clock_date d = clock_date_of_days(local_day);
	struct tz_wall w = { .year = d.year,
		.month = d.month,
		.day = d.day,
		.hour = minute / 60,
		.minute = minute % 60 };

	return tz_from_local(zone, &w);
}

/* The first stretch of working time that ends after at_us, cut off at it; false: none in ten
 * years. */
static bool calendar_stretch(const struct shop_calendar *c, const struct tz *zone, int64_t at_us,
	struct calendar_span *ret)
{
	int64_t day = calendar_local_day(zone, at_us), last = day + CALENDAR_DAYS_MOST;
	const struct shop_span *spans;
	size_t n, i;

	for (; day <= last; day++) {
		spans = calendar_spans(c, day, &n);
		for (i = 0; i < n; i++) {
			ret->from_us = calendar_instant(zone, day, spans[i].from_min);
			ret->to_us = calendar_instant(zone, day, spans[i].to_min);
			if (ret->from_us < at_us)
				ret->from_us = at_us;
			if (ret->to_us > ret->from_us)
				return true;
		}
	}
	return false;
}

bool calendar_is_open(const struct shop_calendar *c, const struct tz *zone, int64_t at_us)
{
	struct calendar_span s;

	return calendar_stretch(c, calendar_zone(zone), at_us, &s) && s.from_us == at_us;
}

bool calendar_next_open(
	const struct shop_calendar *c, const struct tz *zone, int64_t from_us, int64_t *ret_us)
{
	struct calendar_span s;

	if (!calendar_stretch(c, calendar_zone(zone), from_us, &s))
		return false;
	*ret_us = s.from_us;
	return true;
}

/* The same local time n working days later, moved into working time. */
static bool calendar_add_days(
	const struct shop_calendar *c, const struct tz *zone, int64_t days, int64_t *at_us)
{
	int64_t day = calendar_local_day(zone, *at_us), ahead = 0, left = days;

	while (left > 0) {
		if (++ahead > 2 * days + CALENDAR_DAYS_MOST)
			return false;
		if (calendar_is_workday(c, day + ahead))
			left--;
	}
	return calendar_next_open(c, zone, tz_add_days(zone, *at_us, ahead), at_us);
}

bool calendar_add(const struct shop_calendar *c, const struct tz *zone, int64_t from_us,
	const struct duration *d, int64_t *ret_us)
{
	int64_t at_us, left_us = d->us;
	struct calendar_span s;

	zone = calendar_zone(zone);
	if (!calendar_next_open(c, zone, from_us, &at_us))
		return false;
	if (d->days > 0 && !calendar_add_days(c, zone, d->days, &at_us))
		return false;
	for (;;) {
		if (!calendar_stretch(c, zone, at_us, &s))
			return false;
		if (left_us <= s.to_us - s.from_us)
			break;
		left_us -= s.to_us - s.from_us;
		at_us = s.to_us;
	}
	*ret_us = s.from_us + left_us;
	return true;
}
