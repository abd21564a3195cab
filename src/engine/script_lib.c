/*
 * The names that rules can use: base functions, frozen tables, environments.
 *
 * Two tables stand behind each file.  `names` holds everything; each file's environment is an
 * empty table whose metatable reads from names and refuses to write; names itself answers unknown
 * keys with an error and the likely right word.  So an undefined name is found where it is used,
 * not as a nil later.
 *
 * Frozen tables: the contents move to a second table that only the metatable knows (__index), so
 * reading stays a matter of the VM (no C call), `#`, ipairs and our own pairs see through it, and
 * whoever holds the table sees the frozen one, wherever he got it from.  Rejected: a proxy in
 * place of the table (every upvalue, field and local would have to be found), checking writes by a
 * hook.
 *
 * What can change between two evaluations must be found at load, since it would make chains depend
 * on what else the process has run: script_freeze walks from the functions of a rule through all
 * upvalues and tables, freezes the tables, refuses functions that assign an upvalue that outlives
 * them (engine/script_check) and iterators, which hold a position.
 */
#include "engine/script_lib.h"

#include "base/planted.h"
#include "base/suggest.h"
#include "engine/script.h"
#include "engine/script_check.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Addresses of these are keys in the registry or in metatables. */
static const char script_names_key, script_env_key, script_frozen_key;

enum { SCRIPT_NUMBER_TEXT = 200 }; /* bytes: longer text is no number */

/*** frozen tables ***/

bool script_is_frozen(lua_State *L, int idx)
{
	bool frozen = false;

	if (lua_type(L, idx) == LUA_TTABLE && lua_getmetatable(L, idx)) {
		frozen = lua_rawgetp(L, -1, &script_frozen_key) != LUA_TNIL;
		lua_pop(L, 2);
	}
	return frozen;
}

static int l_frozen_write(lua_State *L)
{
	const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

	return luaL_error(
		L, "could not set \"%s\": what a file holds outside functions is constant", key);
}

static int l_frozen_len(lua_State *L)
{
	script_push_contents(L, 1);
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

bool script_push_contents(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	if (lua_type(L, idx) != LUA_TTABLE)
		return false;
	if (!script_is_frozen(L, idx)) {
		lua_pushvalue(L, idx);
		return true;
	}
	lua_getmetatable(L, idx);
	lua_pushliteral(L, "__index");
	lua_rawget(L, -2);
	lua_remove(L, -2);
	return true;
}

/* Moves all pairs of the table at idx to the table on top. */
static void script_move_pairs(lua_State *L, int idx)
{
	int to = lua_gettop(L);

	lua_pushnil(L);
	while (lua_next(L, idx)) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, to);
		lua_pushvalue(L, -1);
		lua_pushnil(L);
		lua_rawset(L, idx);
	}
}

void script_freeze_table(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	luaL_checkstack(L, 8, NULL);
	lua_createtable(L, 0, 4);
	lua_createtable(L, (int)lua_rawlen(L, idx), 0);
	script_move_pairs(L, idx);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_frozen_write);
	lua_setfield(L, -2, "__newindex");
	lua_pushcfunction(L, l_frozen_len);
	lua_setfield(L, -2, "__len");
	lua_pushboolean(L, 1);
	lua_rawsetp(L, -2, &script_frozen_key);
	lua_setmetatable(L, idx);
}

void script_check_writable(lua_State *L, int arg)
{
	if (lua_type(L, arg) == LUA_TUSERDATA)
		luaL_error(L, "this list is read-only: it belongs to the event or the customer");
	luaL_checktype(L, arg, LUA_TTABLE);
	if (lua_getmetatable(L, arg))
		luaL_error(L, "this table is read-only: what a file holds outside functions is "
			      "constant");
}

/*** freezing what functions hold ***/

struct script_dump {
	char *p; /* NULL: only count */
	size_t n;
};

static int script_write_dump(lua_State *L, const void *p, size_t n, void *ud)
{
	struct script_dump *d = ud;

	(void)L;
	if (d->p)
		memcpy(d->p + d->n, p, n);
	d->n += n;
	return 0;
}

/* Pushes a userdata with the dump of the function on top. */
static void script_push_dump(lua_State *L)
{
	struct script_dump d = { 0 };

	lua_dump(L, script_write_dump, &d, 0);
	d.p = lua_newuserdatauv(L, d.n + 1, 0);
	d.n = 0;
	lua_pushvalue(L, -2);
	lua_dump(L, script_write_dump, &d, 0);
	lua_pop(L, 1);
}

/* The dump stands on top. */
static void script_check_dump(lua_State *L, enum script_check_what what)
{
	struct span dump = { lua_touserdata(L, -1), lua_rawlen(L, -1) - 1 };
	struct script_write write;

	switch (script_check_writes(dump, what, &write)) {
	case SCRIPT_CHECK_CLEAN: return;
	case SCRIPT_CHECK_FORMAT:
		luaL_error(L, "could not check the functions of this file: this Lua library writes "
			      "another format than Lua 5.4");
		return;
	case SCRIPT_CHECK_WRITES:
		lua_pushfstring(L,
			"%s:%d: changes \"%s\", which belongs to the file: what a file holds "
			"outside functions is constant; make it a local of the function",
			write.file, write.line, write.name);
		lua_error(L);
	}
}

/* Puts the value on top into the list of what is still to do, unless it was seen; pops it. */
static void script_freeze_later(lua_State *L, int seen, int todo)
{
	int type = lua_type(L, -1);

	if (type != LUA_TTABLE && type != LUA_TFUNCTION) {
		lua_pop(L, 1);
		return;
	}
	lua_pushvalue(L, -1);
	if (lua_rawget(L, seen) == LUA_TNIL) {
		lua_pushvalue(L, -2);
		lua_pushboolean(L, 1);
		lua_rawset(L, seen);
		lua_pushvalue(L, -2);
		lua_rawseti(L, todo, (lua_Integer)lua_rawlen(L, todo) + 1);
	}
	lua_pop(L, 2);
}

static void script_freeze_function(lua_State *L, int seen, int todo)
{
	int f = lua_gettop(L), i;

	if (script_is_iterator(L, f))
		luaL_error(L, "an iterator (pairs, gmatch) can not be kept outside functions");
	for (i = 1; lua_getupvalue(L, f, i); i++)
		script_freeze_later(L, seen, todo);
	if (i > 1 && !lua_iscfunction(L, f)) {
		script_push_dump(L);
		script_check_dump(L, SCRIPT_CHECK_UPVALUES);
		lua_pop(L, 1);
	}
}

static void script_freeze_contents(lua_State *L, int seen, int todo)
{
	int t = lua_gettop(L);

	if (script_is_frozen(L, t)) /* with all that it holds */
		return;
	script_freeze_table(L, t);
	script_push_contents(L, t);
	lua_pushnil(L);
	while (lua_next(L, t + 1)) {
		script_freeze_later(L, seen, todo);
		lua_pushvalue(L, -1);
		script_freeze_later(L, seen, todo);
	}
	lua_pop(L, 1);
}

void script_freeze(lua_State *L, int idx)
{
	int seen, todo;
	lua_Integer n;

	idx = lua_absindex(L, idx);
	luaL_checkstack(L, 20, NULL);
	lua_newtable(L);
	lua_newtable(L);
	seen = lua_gettop(L) - 1;
	todo = seen + 1;
	lua_pushvalue(L, idx);
	script_freeze_later(L, seen, todo);
	while ((n = (lua_Integer)lua_rawlen(L, todo)) > 0) {
		lua_rawgeti(L, todo, n);
		lua_pushnil(L);
		lua_rawseti(L, todo, n);
		if (lua_isfunction(L, -1))
			script_freeze_function(L, seen, todo);
		else
			script_freeze_contents(L, seen, todo);
		lua_pop(L, 1);
	}
	lua_settop(L, seen - 1);
}

static void script_check_known(lua_State *L);

void script_compile(lua_State *L, const char *name, struct span text)
{
	lua_pushfstring(L, "@%s", name);
	if (luaL_loadbufferx(L, text.p ? text.p : "", text.n, lua_tostring(L, -1), "t") != LUA_OK)
		lua_error(L);
	lua_remove(L, -2);
	script_push_dump(L);
	script_check_dump(L, SCRIPT_CHECK_LOCALS);
	script_check_dump(L, SCRIPT_CHECK_UPVALUES); /* `_ENV = ...` */
	script_check_known(L);
	lua_pop(L, 1);
	script_lib_push_env(L);
	lua_setupvalue(L, -2, 1);
}

/*** pairs in a fixed order ***/

enum script_rank { SCRIPT_RANK_NUMBER, SCRIPT_RANK_TEXT, SCRIPT_RANK_BOOL };
struct script_key {
	enum script_rank rank;
	bool is_integer;
	lua_Integer i; /* integers; booleans */
	lua_Number x;
	struct span text;
};

static int script_cmp_keys(const void *pa, const void *pb)
{
	const struct script_key *a = pa, *b = pb;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->rank == SCRIPT_RANK_TEXT)
		return span_cmp(a->text, b->text);
	if (a->is_integer && b->is_integer)
		return (a->i > b->i) - (a->i < b->i);
	return (a->x > b->x) - (a->x < b->x);
}

/* Reads the key at idx; a number stays a number. */
static void script_read_key(lua_State *L, int idx, struct script_key *ret)
{
	*ret = (struct script_key){ .rank = SCRIPT_RANK_NUMBER };
	if (lua_type(L, idx) == LUA_TSTRING) {
		ret->rank = SCRIPT_RANK_TEXT;
		ret->text.p = lua_tolstring(L, idx, &ret->text.n);
	} else if (lua_type(L, idx) == LUA_TBOOLEAN) {
		ret->rank = SCRIPT_RANK_BOOL;
		ret->is_integer = true;
		ret->i = lua_toboolean(L, idx);
	} else if (lua_type(L, idx) == LUA_TNUMBER) {
		ret->is_integer = lua_isinteger(L, idx);
		ret->i = ret->is_integer ? lua_tointeger(L, idx) : 0;
		ret->x = lua_tonumber(L, idx);
	} else {
		luaL_error(L, "pairs can not order keys that are a %s; use text or numbers as keys",
			luaL_typename(L, idx));
	}
}

static void script_push_key(lua_State *L, const struct script_key *key)
{
	switch (key->rank) {
	case SCRIPT_RANK_TEXT: lua_pushlstring(L, key->text.p, key->text.n); return;
	case SCRIPT_RANK_BOOL: lua_pushboolean(L, (int)key->i); return;
	case SCRIPT_RANK_NUMBER:
		if (key->is_integer)
			lua_pushinteger(L, key->i);
		else
			lua_pushnumber(L, key->x);
	}
}

/* The texts of the keys belong to the table, which stays on the stack meanwhile. */
void script_push_sorted_keys(lua_State *L, int idx)
{
	struct script_key *keys;
	size_t n = 0, i;

	idx = lua_absindex(L, idx);
	luaL_checkstack(L, 6, NULL);
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
		n++;
	script_charge(L, n * 50);
	keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
	i = 0;
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
		script_read_key(L, -2, &keys[i++]);
	if (!PLANTED(unsorted_pairs))
		qsort(keys, n, sizeof *keys, script_cmp_keys);
	lua_createtable(L, (int)n, 0);
	for (i = 0; i < n; i++) {
		script_push_key(L, &keys[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_remove(L, -2);
}

/* Upvalues: keys, what is iterated, position. */
static int l_script_pairs_next(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));

	lua_settop(L, 0);
	for (;;) {
		if (lua_rawgeti(L, lua_upvalueindex(1), ++i) == LUA_TNIL)
			return 1;
		lua_pushvalue(L, 1);
		if (lua_gettable(L, lua_upvalueindex(2)) != LUA_TNIL)
			break;
		lua_settop(L, 0); /* it was taken away meanwhile */
	}
	lua_pushinteger(L, i);
	lua_replace(L, lua_upvalueindex(3));
	return 2;
}

static int l_script_pairs(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
		lua_pushvalue(L, 1);
		lua_call(L, 1, 1); /* answers the list of keys */
	} else if (script_push_contents(L, 1)) {
		script_push_sorted_keys(L, -1);
		lua_remove(L, 2);
	} else {
		return luaL_typeerror(L, 1, "table");
	}
	lua_pushvalue(L, 1);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, l_script_pairs_next, 3);
	return 1;
}

bool script_is_iterator(lua_State *L, int idx)
{
	return lua_tocfunction(L, idx) == l_script_pairs_next || script_is_gmatch(L, idx);
}

/*** base functions ***/

static int l_script_type(lua_State *L)
{
	luaL_checkany(L, 1);
	if (lua_type(L, 1) == LUA_TUSERDATA && luaL_getmetafield(L, 1, "__kind") != LUA_TNIL)
		return 1;
	lua_pushstring(L, luaL_typename(L, 1));
	return 1;
}

static int l_script_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	switch (lua_type(L, 1)) {
	case LUA_TNIL:
	case LUA_TBOOLEAN:
	case LUA_TNUMBER:
	case LUA_TSTRING: luaL_tolstring(L, 1, NULL); return 1;
	default:
		if (luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL) {
			lua_settop(L, 1);
			l_script_type(L);
			return luaL_error(L, "a %s can not be made text: it has no fixed one",
				lua_tostring(L, -1));
		}
		luaL_tolstring(L, 1, NULL);
		return 1;
	}
}

static int l_script_tonumber(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TSTRING && lua_rawlen(L, 1) > SCRIPT_NUMBER_TEXT) {
		lua_pushnil(L);
		return 1;
	}
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Calls the function it holds, after charging the length of the text. */
static int l_script_charged(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TSTRING)
		script_charge(L, lua_rawlen(L, 1));
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/*** names and environments ***/

static const char *const script_forbidden[] = { "os", "io", "debug", "load", "loadstring",
	"loadfile", "dofile", "collectgarbage", "next", "pcall", "xpcall", "coroutine",
	"setmetatable", "getmetatable", "rawget", "rawset", "rawequal", "rawlen", "package",
	"print", "warn", "_G", NULL };

/* Calls of the rule language that a later version will have. */
static const char *const script_later[] = { "chance", "change_order", "coupon", "dial", "document",
	"in_segment", "messenger", "push", "sms", "webhook", NULL };

static bool script_is_among(const char *const *names, const char *name)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

/* Pushes what is wrong with a name that is not in the table at names, with the likely right one. */
static void script_push_unknown(lua_State *L, int names, const char *name)
{
	struct suggest s;

	if (script_is_among(script_forbidden, name)) {
		lua_pushfstring(L, "\"%s\" is not available in rules", name);
		return;
	}
	if (script_is_among(script_later, name)) {
		lua_pushfstring(L, "\"%s\" is not available in this version", name);
		return;
	}
	suggest_init(&s, name);
	for (lua_pushnil(L); lua_next(L, names); lua_pop(L, 1))
		if (lua_type(L, -2) == LUA_TSTRING)
			suggest_offer(&s, lua_tostring(L, -2));
	if (s.best)
		lua_pushfstring(L, "unknown name \"%s\"; did you mean \"%s\"?", name, s.best);
	else
		lua_pushfstring(L,
			"unknown name \"%s\"; a variable needs \"local\" where it is made", name);
}

/* A name that script_check_names did not see. */
static int l_script_unknown(lua_State *L)
{
	script_push_unknown(L, 1, lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
	return luaL_error(L, "%s", lua_tostring(L, -1));
}

/* Is it among the names, the table on top of the stack?  (script_known_fn) */
static bool script_knows(void *arg, struct span name)
{
	lua_State *L = arg;
	bool known;

	lua_pushlstring(L, name.p, name.n);
	known = lua_rawget(L, -2) != LUA_TNIL;
	lua_pop(L, 1);
	return known;
}

/* Raises when a function in the dump on top of the stack uses a name that nobody has: at loading, not on the day
 * when it gets there. */
static void script_check_known(lua_State *L)
{
	struct span dump = { lua_touserdata(L, -1), lua_rawlen(L, -1) - 1 };
	struct script_name found;

	script_lib_push_names(L);
	if (script_check_names(dump, script_knows, L, &found) == SCRIPT_CHECK_WRITES) {
		lua_pushfstring(L, "%s:%d: ", found.at.file, found.at.line);
		if (found.is_set)
			lua_pushfstring(L, "could not set the global \"%s\"; write \"local %s\"",
				found.at.name, found.at.name);
		else
			script_push_unknown(L, lua_gettop(L) - 1, found.at.name);
		lua_concat(L, 2);
		lua_error(L);
	}
	lua_pop(L, 1);
}

static int l_script_env_write(lua_State *L)
{
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

	return luaL_error(L, "could not set the global \"%s\"; write \"local %s\"", name, name);
}

void script_lib_push_names(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &script_names_key);
}

void script_lib_push_env(lua_State *L)
{
	lua_newtable(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &script_env_key);
	lua_setmetatable(L, -2);
}

void script_define_value(lua_State *L, const char *name)
{
	script_lib_push_names(L);
	lua_insert(L, -2);
	lua_pushstring(L, name);
	lua_insert(L, -2);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

static void script_define_body(lua_State *L, void *ud)
{
	const luaL_Reg *fns;

	for (fns = ud; fns->name; fns++) {
		lua_pushcfunction(L, fns->func);
		script_define_value(L, fns->name);
	}
}

void script_define(struct script *s, const luaL_Reg *fns)
{
	struct err err;
	union {
		const luaL_Reg *in;
		void *out;
	} pun = { .in = fns };

	if (!script_protect(s, script_define_body, pun.out, &err)) {
		fprintf(stderr, "script: %s\n", err.text);
		abort();
	}
}

/* Copies names from the library table on top of the stack into the table below it. */
static void script_copy(lua_State *L, const char *const *names, lua_CFunction wrap)
{
	for (; *names; names++) {
		lua_getfield(L, -1, *names);
		if (wrap)
			lua_pushcclosure(L, wrap, 1);
		lua_setfield(L, -3, *names);
	}
	lua_pop(L, 1);
}

static void script_open_table(lua_State *L, const char *name)
{
	script_freeze_table(L, -1);
	script_define_value(L, name);
}

static void script_open_base(lua_State *L)
{
	static const char *const plain[] = { "assert", "error", "ipairs", "select", NULL };
	static const char *const number[] = { "tonumber", NULL };
	static const luaL_Reg own[] = { { "pairs", l_script_pairs }, { "type", l_script_type },
		{ "tostring", l_script_tostring }, { NULL, NULL } };

	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 0);
	script_lib_push_names(L);
	lua_pushglobaltable(L);
	script_copy(L, plain, NULL);
	lua_pushglobaltable(L);
	script_copy(L, number, l_script_tonumber);
	luaL_setfuncs(L, own, 0);
	lua_pop(L, 1);
	lua_newtable(L);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

static void script_open_math(lua_State *L)
{
	static const char *const names[] = { "abs", "ceil", "floor", "fmod", "huge", "max",
		"maxinteger", "min", "mininteger", "modf", "pi", "sqrt", "tointeger", "type", "ult",
		NULL };

	lua_newtable(L);
	lua_pushcfunction(L, luaopen_math);
	lua_call(L, 0, 1);
	script_copy(L, names, NULL);
	script_open_table(L, "math");
}

static void script_open_utf8(lua_State *L)
{
	static const char *const charged[] = { "codepoint", "len", "offset", NULL };
	static const char *const plain[] = { "char", "charpattern", "codes", NULL };

	lua_newtable(L);
	lua_pushcfunction(L, luaopen_utf8);
	lua_call(L, 0, 1);
	lua_pushvalue(L, -1);
	lua_insert(L, -3);
	script_copy(L, charged, l_script_charged);
	lua_insert(L, -2);
	script_copy(L, plain, NULL);
	script_open_table(L, "utf8");
}

static void script_open_env(lua_State *L)
{
	lua_newtable(L); /* the names */
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, l_script_unknown);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &script_names_key);
	lua_createtable(L, 0, 3); /* the metatable of environments */
	lua_insert(L, -2);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_script_env_write);
	lua_setfield(L, -2, "__newindex");
	lua_pushboolean(L, 1);
	lua_rawsetp(L, -2, &script_frozen_key);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &script_env_key);
}

void script_lib_open(lua_State *L, void *ud)
{
	(void)ud;
	script_open_env(L);
	script_open_base(L);
	script_open_math(L);
	script_open_utf8(L);
	script_table_open(L);
	script_open_table(L, "table");
	script_string_open(L);
	script_open_table(L, "string");
}
