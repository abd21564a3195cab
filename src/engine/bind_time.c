/*
 * Time objects.
 *
 * A full userdata with eight bytes and a shared metatable: immutable by construction, compared and
 * counted by metamethods, so a rule writes `order.delivery_at < now() + "3d"`.  The zone is not
 * kept in the object: it is the customer's, and all times of an evaluation are shown by the same
 * clock.
 *
 * Rejected: plain numbers (nobody sees what they are, and "3d" is no number), tables with fields
 * (computed even when nobody asks).
 */
#include "engine/bind_time.h"

#include "base/duration.h"
#include "base/suggest.h"
#include "engine/script.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char bind_time_key; /* its address: the metatable in the registry */

static const char *const time_days[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
	"Saturday", "Sunday" };
static const char *const time_months[] = { "January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December" };

void bind_time_set_zone(struct script *s, const struct tz *zone)
{
	script_set_zone(s, zone);
}

const struct tz *bind_time_zone(lua_State *L)
{
	const struct tz *zone = script_zone(L);

	return zone ? zone : tz_get("UTC");
}

void bind_time_push_checked(lua_State *L, int64_t at_us)
{
	if (at_us < CLOCK_LEAST_US || at_us > CLOCK_MOST_US)
		luaL_error(L, "the time is out of range (years 1 to 9999)");
	bind_time_push(L, at_us);
}

void bind_time_push(lua_State *L, int64_t at_us)
{
	int64_t *box;

	if (at_us == TIME_NONE) {
		lua_pushnil(L);
		return;
	}
	box = lua_newuserdatauv(L, sizeof *box, 0);
	*box = at_us;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &bind_time_key);
	lua_setmetatable(L, -2);
}

bool bind_time_is(lua_State *L, int idx, int64_t *ret_us)
{
	bool is = false;

	if (lua_type(L, idx) != LUA_TUSERDATA || !lua_getmetatable(L, idx))
		return false;
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &bind_time_key) == LUA_TTABLE)
		is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	if (is)
		memcpy(ret_us, lua_touserdata(L, idx), sizeof *ret_us);
	return is;
}

int64_t bind_time_check(lua_State *L, int arg)
{
	int64_t at_us;

	if (!bind_time_is(L, arg, &at_us))
		luaL_argerror(L, arg,
			lua_pushfstring(L,
				"a time is expected, got %s; write now() + \"3d\" or a field like "
				"order.delivery_at",
				lua_isnoneornil(L, arg) ? "nothing" : luaL_typename(L, arg)));
	return at_us;
}

/*** comparing and counting ***/

/* Both operands of a comparison are times. */
static void time_operands(lua_State *L, int64_t *a, int64_t *b)
{
	if (!bind_time_is(L, 1, a) || !bind_time_is(L, 2, b))
		luaL_error(L, "a time can only be compared with a time, not with a %s",
			luaL_typename(L, bind_time_is(L, 1, a) ? 2 : 1));
}

static int l_time_eq(lua_State *L)
{
	int64_t a, b;

	lua_pushboolean(L, bind_time_is(L, 1, &a) && bind_time_is(L, 2, &b) && a == b);
	return 1;
}

static int l_time_lt(lua_State *L)
{
	int64_t a, b;

	time_operands(L, &a, &b);
	lua_pushboolean(L, a < b);
	return 1;
}

static int l_time_le(lua_State *L)
{
	int64_t a, b;

	time_operands(L, &a, &b);
	lua_pushboolean(L, a <= b);
	return 1;
}

static struct duration time_duration(lua_State *L, int idx)
{
	struct duration d = { 0, 0 };
	struct span text;
	struct err err;

	if (lua_type(L, idx) != LUA_TSTRING)
		luaL_error(L, "a time takes a duration like \"3d\" or \"2h30m\", not a %s",
			luaL_typename(L, idx));
	text.p = lua_tolstring(L, idx, &text.n);
	if (!duration_parse(text, 0, &d, &err))
		luaL_error(L, "%s", err.text);
	return d;
}

static int l_time_add(lua_State *L)
{
	int64_t at_us;
	int other = 2;

	if (!bind_time_is(L, 1, &at_us)) {
		other = 1;
		at_us = bind_time_check(L, 2);
	}
	bind_time_push_checked(L, duration_add(at_us, time_duration(L, other), bind_time_zone(L)));
	return 1;
}

static int l_time_sub(lua_State *L)
{
	int64_t at_us = bind_time_check(L, 1), other_us;
	struct duration d;

	if (bind_time_is(L, 2, &other_us)) {
		lua_pushinteger(L, (lua_Integer)floor((double)(at_us - other_us) / 1e6));
		return 1;
	}
	d = time_duration(L, 2);
	d.days = -d.days;
	d.us = -d.us;
	bind_time_push_checked(L, duration_add(at_us, d, bind_time_zone(L)));
	return 1;
}

/*** showing ***/

static int l_time_tostring(lua_State *L)
{
	int64_t at_us = bind_time_check(L, 1);
	struct tz_wall w;
	char text[96];
	int offset_min, n;

	tz_to_local(bind_time_zone(L), at_us, &w);
	offset_min = w.offset_s / 60;
	n = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", (int)w.year, w.month,
		w.day, w.hour, w.minute, w.second);
	if (offset_min == 0)
		snprintf(text + n, sizeof text - (size_t)n, "Z");
	else
		snprintf(text + n, sizeof text - (size_t)n, "%c%02d:%02d",
			offset_min < 0 ? '-' : '+', abs(offset_min) / 60, abs(offset_min) % 60);
	lua_pushstring(L, text);
	return 1;
}

/* The letters of %: as strftime has them, in English.  False: unknown. */
static bool time_format_one(char letter, const struct tz_wall *w, char *out, size_t n)
{
	int hour12 = w->hour % 12 == 0 ? 12 : w->hour % 12;

	switch (letter) {
	case 'Y': snprintf(out, n, "%d", (int)w->year); return true;
	case 'y': snprintf(out, n, "%02d", (int)(w->year % 100)); return true;
	case 'm': snprintf(out, n, "%02d", w->month); return true;
	case 'd': snprintf(out, n, "%02d", w->day); return true;
	case 'e': snprintf(out, n, "%d", w->day); return true;
	case 'H': snprintf(out, n, "%02d", w->hour); return true;
	case 'I': snprintf(out, n, "%02d", hour12); return true;
	case 'M': snprintf(out, n, "%02d", w->minute); return true;
	case 'S': snprintf(out, n, "%02d", w->second); return true;
	case 'p': snprintf(out, n, "%s", w->hour < 12 ? "AM" : "PM"); return true;
	case 'j': snprintf(out, n, "%03d", w->yearday); return true;
	case 'u': snprintf(out, n, "%d", w->weekday); return true;
	case 'w': snprintf(out, n, "%d", w->weekday % 7); return true;
	case 'a': snprintf(out, n, "%.3s", time_days[w->weekday - 1]); return true;
	case 'A': snprintf(out, n, "%s", time_days[w->weekday - 1]); return true;
	case 'b': snprintf(out, n, "%.3s", time_months[w->month - 1]); return true;
	case 'B': snprintf(out, n, "%s", time_months[w->month - 1]); return true;
	case 'F': snprintf(out, n, "%04d-%02d-%02d", (int)w->year, w->month, w->day); return true;
	case 'R': snprintf(out, n, "%02d:%02d", w->hour, w->minute); return true;
	case 'T': snprintf(out, n, "%02d:%02d:%02d", w->hour, w->minute, w->second); return true;
	case 'z':
		snprintf(out, n, "%c%02d%02d", w->offset_s < 0 ? '-' : '+', abs(w->offset_s) / 3600,
			abs(w->offset_s) / 60 % 60);
		return true;
	case '%': snprintf(out, n, "%%"); return true;
	default: return false;
	}
}

static int l_time_format(lua_State *L)
{
	int64_t at_us = bind_time_check(L, 1);
	size_t n, i;
	const char *f = luaL_checklstring(L, 2, &n);
	struct tz_wall w;
	char one[64];
	luaL_Buffer b;

	luaL_argcheck(L, n <= 200, 2, "the format is too long");
	tz_to_local(bind_time_zone(L), at_us, &w);
	luaL_buffinit(L, &b);
	for (i = 0; i < n; i++) {
		if (f[i] != '%') {
			luaL_addchar(&b, f[i]);
			continue;
		}
		if (++i >= n || !time_format_one(f[i], &w, one, sizeof one))
			return luaL_error(L,
				"unknown \"%%%c\" in a time format; there are %%d %%m %%Y %%H %%M "
				"%%S %%a %%A %%b %%B %%e %%y %%I %%p %%j %%u %%F %%R %%T %%z",
				i < n ? f[i] : ' ');
		luaL_addstring(&b, one);
	}
	luaL_pushresult(&b);
	return 1;
}

struct time_field {
	const char *name;
	size_t at; /* in struct tz_wall */
};
static const struct time_field time_fields[] = {
	{ "month", offsetof(struct tz_wall, month) },
	{ "day", offsetof(struct tz_wall, day) },
	{ "hour", offsetof(struct tz_wall, hour) },
	{ "minute", offsetof(struct tz_wall, minute) },
	{ "second", offsetof(struct tz_wall, second) },
	{ "weekday", offsetof(struct tz_wall, weekday) },
	{ "yearday", offsetof(struct tz_wall, yearday) },
};

static int time_unknown_field(lua_State *L, const char *name)
{
	struct suggest s;
	size_t i;

	suggest_init(&s, name);
	for (i = 0; i < sizeof time_fields / sizeof *time_fields; i++)
		suggest_offer(&s, time_fields[i].name);
	suggest_offer(&s, "year");
	suggest_offer(&s, "format");
	return luaL_error(L, "a time has no field \"%s\"%s%s%s", name,
		s.best ? "; did you mean \"" : "", s.best ? s.best : "", s.best ? "\"?" : "");
}

static int l_time_index(lua_State *L)
{
	int64_t at_us = bind_time_check(L, 1);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	struct tz_wall w;
	size_t i;
	int value;

	if (strcmp(name, "format") == 0) {
		lua_pushcfunction(L, l_time_format);
		return 1;
	}
	tz_to_local(bind_time_zone(L), at_us, &w);
	if (strcmp(name, "year") == 0) {
		lua_pushinteger(L, w.year);
		return 1;
	}
	for (i = 0; i < sizeof time_fields / sizeof *time_fields; i++)
		if (strcmp(name, time_fields[i].name) == 0) {
			memcpy(&value, (const char *)&w + time_fields[i].at, sizeof value);
			lua_pushinteger(L, value);
			return 1;
		}
	return time_unknown_field(L, name);
}

static int l_time_write(lua_State *L)
{
	return luaL_error(L, "a time can not be changed; write t + \"1d\" for another one");
}

void bind_time_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__eq", l_time_eq }, { "__lt", l_time_lt },
		{ "__le", l_time_le }, { "__add", l_time_add }, { "__sub", l_time_sub },
		{ "__tostring", l_time_tostring }, { "__index", l_time_index },
		{ "__newindex", l_time_write }, { NULL, NULL } };

	lua_createtable(L, 0, 10);
	luaL_setfuncs(L, meta, 0);
	lua_pushliteral(L, "time");
	lua_setfield(L, -2, "__kind");
	lua_pushliteral(L, "time");
	lua_setfield(L, -2, "__name");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &bind_time_key);
}
