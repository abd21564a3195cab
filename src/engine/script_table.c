/*
 * table.* for rules: Lua's functions again, with their work charged, since no hook interrupts them.
 *
 * Reading takes every list (tables, frozen ones, lists of an event); writing only plain tables.
 * sort is a merge sort in a table of its own: stable, so the result is fixed, safe against
 * comparisons that contradict themselves, and the list is untouched when one fails.
 */
#include "engine/script.h"
#include "engine/script_lib.h"

#include <lualib.h>

enum { TABLE_UNPACK_MOST = 250 };

static int l_table_insert(lua_State *L)
{
	lua_Integer n, pos, i;

	script_check_writable(L, 1);
	n = (lua_Integer)lua_rawlen(L, 1) + 1;
	switch (lua_gettop(L)) {
	case 2: lua_rawseti(L, 1, n); return 0;
	case 3:
		pos = luaL_checkinteger(L, 2);
		luaL_argcheck(L, pos >= 1 && pos <= n, 2, "position out of bounds");
		script_charge(L, 10 * (size_t)(n - pos));
		for (i = n; i > pos; i--) {
			lua_rawgeti(L, 1, i - 1);
			lua_rawseti(L, 1, i);
		}
		lua_rawseti(L, 1, pos);
		return 0;
	default: return luaL_error(L, "table.insert takes a list, maybe a position, and a value");
	}
}

static int l_table_remove(lua_State *L)
{
	lua_Integer n, pos;

	script_check_writable(L, 1);
	n = (lua_Integer)lua_rawlen(L, 1);
	pos = luaL_optinteger(L, 2, n);
	if (lua_gettop(L) > 1)
		luaL_argcheck(L, (pos >= 1 && pos <= n + 1) || (n == 0 && pos == 0), 2,
			"position out of bounds");
	lua_rawgeti(L, 1, pos);
	if (pos < n)
		script_charge(L, 10 * (size_t)(n - pos));
	for (; pos < n; pos++) {
		lua_rawgeti(L, 1, pos + 1);
		lua_rawseti(L, 1, pos);
	}
	if (pos >= 1) {
		lua_pushnil(L);
		lua_rawseti(L, 1, pos);
	}
	return 1;
}

static void table_check_list(lua_State *L, int arg)
{
	int type = lua_type(L, arg);

	if (type != LUA_TTABLE && type != LUA_TUSERDATA)
		luaL_typeerror(L, arg, "list");
}

static int l_table_concat(lua_State *L)
{
	size_t n_sep;
	const char *sep = luaL_optlstring(L, 2, "", &n_sep);
	lua_Integer i = luaL_optinteger(L, 3, 1), last;
	luaL_Buffer b;

	table_check_list(L, 1);
	last = luaL_opt(L, luaL_checkinteger, 4, luaL_len(L, 1));
	luaL_buffinit(L, &b);
	for (; i <= last; i++) {
		script_charge(L, 50);
		lua_geti(L, 1, i);
		if (!lua_isstring(L, -1))
			return luaL_error(L, "could not join the list: its element %d is a %s",
				(int)i, luaL_typename(L, -1));
		luaL_addvalue(&b);
		if (i == last)
			break;
		luaL_addlstring(&b, sep, n_sep);
	}
	luaL_pushresult(&b);
	return 1;
}

static int l_table_unpack(lua_State *L)
{
	lua_Integer i = luaL_optinteger(L, 2, 1), last, k;

	table_check_list(L, 1);
	last = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
	if (i > last)
		return 0;
	if ((lua_Unsigned)last - (lua_Unsigned)i >= TABLE_UNPACK_MOST)
		return luaL_error(L, "too many values to unpack (at most %d)", TABLE_UNPACK_MOST);
	luaL_checkstack(L, TABLE_UNPACK_MOST, NULL);
	for (k = i; k < last; k++)
		lua_geti(L, 1, k);
	lua_geti(L, 1, last);
	return (int)(last - i + 1);
}

static int l_table_move(lua_State *L)
{
	lua_Integer from = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
	lua_Integer to = luaL_checkinteger(L, 4), n, i;
	int dest = lua_isnoneornil(L, 5) || lua_rawequal(L, 1, 5) ? 1 : 5;

	table_check_list(L, 1);
	script_check_writable(L, dest);
	if (last >= from) {
		luaL_argcheck(L, from > 0 || last < LUA_MAXINTEGER + from, 3, "too many elements");
		n = last - from + 1;
		luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wraps around");
		for (i = 0; i < n; i++) {
			lua_Integer k = to > from && to <= last && dest == 1 ? n - 1 - i : i;

			script_charge(L, 20);
			lua_geti(L, 1, from + k);
			lua_rawseti(L, dest, to + k);
		}
	}
	lua_pushvalue(L, dest);
	return 1;
}

/*** sort ***/

/* Does the value at -1 come before the one at -2?  Then the right run goes first. */
static bool table_is_less(lua_State *L)
{
	bool less;

	script_charge(L, 50);
	if (lua_isnil(L, 2))
		return lua_compare(L, -1, -2, LUA_OPLT);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_pushvalue(L, -4);
	lua_call(L, 2, 1);
	less = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return less;
}

/* Merges [a, m) and [m, e) of the table at src into the one at dst. */
static void table_merge(lua_State *L, int src, int dst, lua_Integer a, lua_Integer m, lua_Integer e)
{
	lua_Integer i = a, j = m, to;

	for (to = a; to < e; to++) {
		if (i < m && j < e) {
			lua_rawgeti(L, src, i);
			lua_rawgeti(L, src, j);
			if (table_is_less(L)) {
				lua_rawseti(L, dst, to);
				lua_pop(L, 1);
				j++;
			} else {
				lua_pop(L, 1);
				lua_rawseti(L, dst, to);
				i++;
			}
		} else {
			lua_rawgeti(L, src, i < m ? i++ : j++);
			lua_rawseti(L, dst, to);
		}
	}
}

static void table_copy(lua_State *L, int src, int dst, lua_Integer n)
{
	lua_Integer i;

	script_charge(L, 20 * (size_t)n);
	for (i = 1; i <= n; i++) {
		lua_rawgeti(L, src, i);
		lua_rawseti(L, dst, i);
	}
}

static int l_table_sort(lua_State *L)
{
	lua_Integer n, width, a;
	int src = 3, dst = 4;

	script_check_writable(L, 1);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	n = (lua_Integer)lua_rawlen(L, 1);
	lua_createtable(L, (int)n, 0);
	lua_createtable(L, (int)n, 0);
	table_copy(L, 1, src, n);
	for (width = 1; width < n; width *= 2) {
		for (a = 1; a <= n; a += 2 * width) {
			lua_Integer m = a + width > n + 1 ? n + 1 : a + width;
			lua_Integer e = m + width > n + 1 ? n + 1 : m + width;

			table_merge(L, src, dst, a, m, e);
		}
		src = 7 - src;
		dst = 7 - dst;
	}
	table_copy(L, src, 1, n);
	return 0;
}

void script_table_open(lua_State *L)
{
	static const luaL_Reg own[] = { { "insert", l_table_insert }, { "remove", l_table_remove },
		{ "concat", l_table_concat }, { "unpack", l_table_unpack },
		{ "move", l_table_move }, { "sort", l_table_sort }, { NULL, NULL } };

	lua_newtable(L);
	lua_pushcfunction(L, luaopen_table);
	lua_call(L, 0, 1);
	lua_getfield(L, -1, "pack");
	lua_setfield(L, -3, "pack");
	lua_pop(L, 1);
	luaL_setfuncs(L, own, 0);
}
