/*** @module moments
 * Moments in time: for wait_until, deadlines and comparisons.
 *
 *	wait_until(next_time "workday 10:00")
 *	task { title = "Call", deadline = working "2h" }
 *
 * What depends on now is a step of the chain, so a replay means the same moment.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/tz.h"
#include "engine/args.h"
#include "engine/bind_time.h"
#include "engine/binds.h"
#include "engine/calendar.h"
#include "engine/script.h"
#include "model/staff.h"

#include <lauxlib.h>
#include <string.h>

/* Pushes a moment that depends on now: a step of its own. */
static int moment_push(lua_State *L, struct eval *e, const char *call, int64_t at_us)
{
	struct span s;

	s.p = arena_printf(eval_arena(e), "%lld", (long long)at_us);
	s.n = strlen(s.p);
	eval_record(L, e, call, (struct span){ NULL, 0 }, s);
	bind_time_push(L, at_us);
	return 1;
}

/* True when the history has the moment; then it is pushed. */
static bool moment_is_recorded(lua_State *L, struct eval *e, const char *call)
{
	struct span result;
	int64_t at_us = 0;

	if (!eval_step(L, e, call, (struct span){ NULL, 0 }, &result))
		return false;
	eval_need(L, e, json_integer(result, &at_us));
	bind_time_push(L, at_us);
	return true;
}

/*** @function before(time, duration)
 * @param {time} time
 * @param {string} duration
 * @return {time} so long before it; days are calendar days
 */
static int l_moment_before(lua_State *L)
{
	int64_t at_us = bind_time_check(L, 1);
	struct duration d = args_duration(L, 2, "before");

	bind_time_push_checked(
		L, duration_add(at_us, (struct duration){ -d.days, -d.us }, bind_time_zone(L)));
	return 1;
}

/*** @function after(time, duration)
 * @param {time} time
 * @param {string} duration
 * @return {time} so long after it; days are calendar days
 */
static int l_moment_after(lua_State *L)
{
	int64_t at_us = bind_time_check(L, 1);

	bind_time_push_checked(
		L, duration_add(at_us, args_duration(L, 2, "after"), bind_time_zone(L)));
	return 1;
}

/* Two digits at p, or -1. */
static int moment_two_digits(const char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + p[1] - '0';
}

/* "09:00" -> minutes since midnight; raises on anything else. */
static int moment_clock_time(lua_State *L, const char *text, const char *call)
{
	int hour = -1, minute = -1;

	if (strlen(text) == 5 && text[2] == ':') {
		hour = moment_two_digits(text);
		minute = moment_two_digits(text + 3);
	}
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
		luaL_error(L, "%s: \"%s\" is no time of day; write \"18:00\"", call, text);
	return hour * 60 + minute;
}

/* A time of day, n days from the day of `from_us`, in the zone. */
static int64_t moment_on_day(const struct tz *zone, int64_t from_us, int days, int minutes)
{
	struct tz_wall wall;

	tz_to_local(zone, from_us, &wall);
	wall.day += days;
	wall.hour = minutes / 60;
	wall.minute = minutes % 60;
	wall.second = wall.us = 0;
	return tz_from_local(zone, &wall);
}

static int moment_day(lua_State *L, const char *call, int days)
{
	struct eval *e = eval_of(L, call);
	int minutes = moment_clock_time(L, luaL_checkstring(L, 1), call);

	if (moment_is_recorded(L, e, call))
		return 1;
	return moment_push(L, e, call, moment_on_day(e->zone, eval_now(e), days, minutes));
}

/*** @function today(clock)
 * @param {string} clock "18:00"
 * @return {time} today at that time, in the customer's zone; may be past
 */
static int l_moment_today(lua_State *L)
{
	return moment_day(L, "today", 0);
}

/*** @function tomorrow(clock)
 * @param {string} clock "10:00"
 * @return {time}
 */
static int l_moment_tomorrow(lua_State *L)
{
	return moment_day(L, "tomorrow", 1);
}

/* Days since 1970 of the local date. */
static int64_t moment_local_day(const struct tz *zone, int64_t at_us)
{
	struct tz_wall wall;

	tz_to_local(zone, at_us, &wall);
	return clock_days_of_date(wall.year, wall.month, wall.day);
}

/* Does the day fit: any (0), a weekday (1..7) or a workday (8)? */
static bool moment_day_fits(const struct eval *e, int64_t day, int wanted)
{
	if (wanted == 8)
		return calendar_is_workday(e->shop->calendar, day);
	return !wanted || clock_weekday(day) == wanted;
}

/* "monday" -> 1 ... "sunday" -> 7, "workday" -> 8, "day" -> 0; -1: none of them. */
static int moment_day_word(struct span word)
{
	static const char *const words[] = { "day", "monday", "tuesday", "wednesday", "thursday",
		"friday", "saturday", "sunday", "workday" };

	for (int i = 0; i < 9; i++)
		if (span_is(word, words[i]))
			return i;
	return -1;
}

/*** @function next_time(when)
 * The next such moment after now, in the customer's zone; workdays are those of the store's calendar.
 * @param {string} when "monday 09:00", "workday 12:00", "day 10:00"
 * @return {time}
 */
static int l_moment_next_time(lua_State *L)
{
	struct eval *e = eval_of(L, "next_time");
	const char *text = luaL_checkstring(L, 1), *blank = strchr(text, ' ');
	int wanted, minutes;
	int64_t now_us = eval_now(e), at_us;

	wanted = blank ? moment_day_word((struct span){ text, (size_t)(blank - text) }) : 0;
	if (wanted < 0)
		return luaL_error(L,
			"next_time: \"%s\"; write \"monday 09:00\", \"workday 12:00\" or "
			"\"day 10:00\"",
			text);
	minutes = moment_clock_time(L, blank ? blank + 1 : text, "next_time");
	if (moment_is_recorded(L, e, "next_time"))
		return 1;
	for (int days = 0; days < 4000; days++) {
		at_us = moment_on_day(e->zone, now_us, days, minutes);
		if (at_us > now_us && moment_day_fits(e, moment_local_day(e->zone, at_us), wanted))
			return moment_push(L, e, "next_time", at_us);
	}
	return luaL_error(L, "next_time: nobody ever works in the store's calendar");
}

/* The calendar of a group, else the store's. */
static const struct shop_calendar *moment_calendar(lua_State *L, struct eval *e, const char *group)
{
	const struct staff *staff = e->desk->sitting->judge->env.staff;

	if (!group)
		return e->shop->calendar;
	for (size_t i = 0; staff && i < staff->ngroups; i++)
		if (!strcmp(staff->groups[i].name, group))
			return staff->groups[i].calendar ? staff->groups[i].calendar
							 : e->shop->calendar;
	luaL_error(L, "working: there is no group \"%s\" in the configuration", group);
	return NULL;
}

/*** @function working(duration, group)
 * The moment when so much working time has passed from now, in the calendar of the store or the group.
 * @param {string} duration "2h"; days are working days
 * @param {string} group may be left out
 * @return {time} for wait, wait_until and deadlines
 */
static int l_moment_working(lua_State *L)
{
	struct eval *e = eval_of(L, "working");
	struct duration d = args_duration(L, 1, "working");
	const char *group = luaL_optstring(L, 2, NULL);
	const struct shop_calendar *calendar;
	int64_t at_us;

	if (moment_is_recorded(L, e, "working"))
		return 1; /* whatever the configuration says now */
	calendar = moment_calendar(L, e, group);
	if (!calendar_add(calendar, tz_get(e->shop->zone), eval_now(e), &d, &at_us))
		return luaL_error(L, "working: nobody ever works in this calendar");
	return moment_push(L, e, "working", at_us);
}

static const luaL_Reg moment_calls[] = {
	{ "after", l_moment_after },
	{ "before", l_moment_before },
	{ "next_time", l_moment_next_time },
	{ "today", l_moment_today },
	{ "tomorrow", l_moment_tomorrow },
	{ "working", l_moment_working },
	{ NULL, NULL },
};

void bind_moment(struct script *s)
{
	script_define(s, moment_calls);
}
