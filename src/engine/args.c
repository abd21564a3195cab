/* args.c: what rules hand to calls, checked once and with one voice. */
#include "engine/args.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/suggest.h"
#include "engine/bind_time.h"
#include "engine/lua_json.h"
#include "engine/script.h"

#include <lauxlib.h>
#include <string.h>

static bool args_is_known(const char *key, const char *const *keys)
{
	for (size_t i = 0; keys[i]; i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

/* Of several keys that the call does not know the first by name is told: the order of a Lua table differs from one
 * process to the next, and the words of an error must not. */
void args_open(lua_State *L, int arg, const char *call, const char *const *keys)
{
	const char *wrong = NULL, *near;
	bool unnamed = false;

	if (!script_push_contents(L, arg))
		luaL_error(L, "%s: a table is expected, %s { %s = ... }", call, call, keys[0]);
	lua_replace(L, arg);
	for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;

		if (!key)
			unnamed = true;
		else if (!args_is_known(key, keys) && (!wrong || strcmp(key, wrong) < 0))
			wrong = key; /* the table keeps it */
	}
	if (unnamed)
		luaL_error(L, "%s: write the fields by name, %s { %s = ... }", call, call, keys[0]);
	if (!wrong)
		return;
	near = suggest_word(wrong, keys);
	if (near)
		luaL_error(L, "%s: unknown field \"%s\"; did you mean \"%s\"?", call, wrong, near);
	luaL_error(L, "%s: unknown field \"%s\"", call, wrong);
}

bool args_push(lua_State *L, int arg, const char *key)
{
	lua_pushstring(L, key);
	if (lua_rawget(L, arg) != LUA_TNIL)
		return true;
	lua_pop(L, 1);
	return false;
}

struct span args_text(lua_State *L, struct eval *e, int arg, const char *key)
{
	struct span s = { NULL, 0 };

	if (!args_push(L, arg, key))
		return s;
	if (!lua_isstring(L, -1))
		luaL_error(L, "field \"%s\" must be text, not %s", key, luaL_typename(L, -1));
	lua_pushvalue(L, -1); /* a number must not be changed into text in the rule's own table */
	s = eval_text(L, e, lua_gettop(L));
	lua_pop(L, 2);
	return s;
}

struct span args_need_text(lua_State *L, struct eval *e, int arg, const char *call, const char *key)
{
	struct span s = args_text(L, e, arg, key);

	if (!s.n)
		luaL_error(L, "%s: field \"%s\" is missing", call, key);
	return s;
}

bool args_flag(lua_State *L, int arg, const char *key)
{
	bool on;

	if (!args_push(L, arg, key))
		return false;
	if (!lua_isboolean(L, -1))
		luaL_error(
			L, "field \"%s\" must be true or false, not %s", key, luaL_typename(L, -1));
	on = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return on;
}

int64_t args_int(
	lua_State *L, int arg, const char *key, int64_t least, int64_t most, int64_t missing)
{
	int is_int;
	lua_Integer v;

	if (!args_push(L, arg, key))
		return missing;
	v = lua_tointegerx(L, -1, &is_int);
	if (!is_int || v < least || v > most)
		luaL_error(L, "field \"%s\" must be a whole number from %d to %d", key, (int)least,
			(int)most);
	lua_pop(L, 1);
	return v;
}

struct duration args_duration(lua_State *L, int idx, const char *what)
{
	struct duration d = { 0 };
	struct span text;
	UNSET struct err err;
	int is_text = lua_type(L, idx) == LUA_TSTRING;

	if (!is_text)
		luaL_error(L, "%s must be a duration like \"90m\" or \"1d\", not %s", what,
			luaL_typename(L, idx));
	text.p = lua_tolstring(L, idx, &text.n);
	if (!duration_parse(text, 0, &d, &err))
		luaL_error(L, "%s: %s", what, err.text);
	return d;
}

int64_t args_moment(
	lua_State *L, struct eval *e, int arg, const char *key, int64_t from_us, int64_t missing)
{
	int64_t at_us;

	if (!args_push(L, arg, key))
		return missing;
	if (!bind_time_is(L, -1, &at_us))
		at_us = duration_add(from_us, args_duration(L, -1, key), e->zone);
	lua_pop(L, 1);
	return at_us;
}

struct span args_json(lua_State *L, struct eval *e, int arg, const char *key, size_t most_bytes)
{
	struct span s = { NULL, 0 };
	UNSET struct err err;

	if (!args_push(L, arg, key))
		return s;
	if (!luajson_encode(L, lua_gettop(L), most_bytes, eval_arena(e), &s, &err))
		luaL_error(L, "field \"%s\": %s", key, err.text);
	script_charge(L, s.n);
	lua_pop(L, 1);
	return s;
}
