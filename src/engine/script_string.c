/*
 * string.* for rules: what can take long is ours (engine/pattern), what can not is Lua's own.
 *
 * Results are bounded by the largest block (SCRIPT_BLOCK_MOST), patterns by their steps,
 * everything linear is charged.  Nothing here shows an address: %p is refused, and %s takes only
 * what tostring takes.
 */
#include "engine/pattern.h"
#include "engine/script.h"
#include "engine/script_lib.h"

#include <lualib.h>
#include <string.h>

static struct span string_arg(lua_State *L, int arg)
{
	struct span s;

	s.p = luaL_checklstring(L, arg, &s.n);
	return s;
}

/* Where a search begins, from 0; behind the end: n + 1. */
static size_t string_init(lua_State *L, int arg, size_t n)
{
	lua_Integer i = luaL_optinteger(L, arg, 1);

	if (i > 0)
		return (lua_Unsigned)i - 1 > n ? n + 1 : (size_t)i - 1;
	if (i == 0 || i < -(lua_Integer)n)
		return 0;
	return (size_t)((lua_Integer)n + i);
}

static void string_compile(lua_State *L, int arg, bool anchor, struct pattern *p)
{
	const char *fault;

	if (!pattern_compile(p, string_arg(L, arg), anchor, &fault))
		luaL_error(L, "%s", fault);
}

/* Searches (or matches at the place only) and charges it. */
static bool string_find_from(lua_State *L, const struct pattern *p, struct span s, size_t at,
	bool only_here, struct pattern_match *m)
{
	size_t before = m->steps;
	enum pattern_result r =
		only_here ? pattern_match_at(p, s, at, m) : pattern_search(p, s, at, m);

	script_charge(L, 4 * (m->steps - before));
	if (r == PATTERN_TOO_LONG)
		luaL_error(L,
			"this pattern takes too long on a text of %d characters: make it "
			"plainer or the text shorter",
			(int)s.n);
	return r == PATTERN_FOUND;
}

static void string_push_capture(
	lua_State *L, struct span s, const struct pattern_match *m, unsigned i)
{
	const struct pattern_capture *c = &m->captures[i];

	if (c->is_position)
		lua_pushinteger(L, c->p - s.p + 1);
	else
		lua_pushlstring(L, c->p, c->n);
}

/* All captures; the whole match when there are none and whole is wanted. */
static int string_push_captures(lua_State *L, const struct pattern *p, struct span s,
	const struct pattern_match *m, bool whole)
{
	unsigned i;

	luaL_checkstack(L, (int)p->n_captures + 1, "too many captures");
	if (p->n_captures == 0 && whole) {
		lua_pushlstring(L, m->from, (size_t)(m->to - m->from));
		return 1;
	}
	for (i = 0; i < p->n_captures; i++)
		string_push_capture(L, s, m, i);
	return (int)p->n_captures;
}

static int string_find_plain(lua_State *L, struct span s, struct span what, size_t at)
{
	const char *found;

	script_charge(L, s.n - at + what.n);
	found = what.n == 0 ? s.p + at : memmem(s.p + at, s.n - at, what.p, what.n);
	if (!found) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushinteger(L, found - s.p + 1);
	lua_pushinteger(L, found - s.p + (lua_Integer)what.n);
	return 2;
}

static bool string_is_plain(struct span what)
{
	size_t i;

	for (i = 0; i < what.n; i++)
		if (what.p[i] == '\0' || strchr("^$*+?.([%-", what.p[i]))
			return false;
	return true;
}

static int string_find_or_match(lua_State *L, bool find)
{
	struct span s = string_arg(L, 1), what = string_arg(L, 2);
	size_t at = string_init(L, 3, s.n);
	struct pattern_match m = { .steps = 0 };
	struct pattern p;

	if (at > s.n) {
		lua_pushnil(L);
		return 1;
	}
	if (find && (lua_toboolean(L, 4) || string_is_plain(what)))
		return string_find_plain(L, s, what, at);
	string_compile(L, 2, true, &p);
	if (!string_find_from(L, &p, s, at, false, &m)) {
		lua_pushnil(L);
		return 1;
	}
	if (!find)
		return string_push_captures(L, &p, s, &m, true);
	lua_pushinteger(L, m.from - s.p + 1);
	lua_pushinteger(L, m.to - s.p);
	return 2 + string_push_captures(L, &p, s, &m, false);
}

static int l_string_find(lua_State *L)
{
	return string_find_or_match(L, true);
}

static int l_string_match(lua_State *L)
{
	return string_find_or_match(L, false);
}

/* Upvalues: text, pattern, place to go on, end of the last match (from 0; -1: none). */
static int l_string_gmatch_next(lua_State *L)
{
	struct span s, what;
	lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	struct pattern_match m = { .steps = 0 };
	struct pattern p;
	const char *fault;

	s.p = lua_tolstring(L, lua_upvalueindex(1), &s.n);
	what.p = lua_tolstring(L, lua_upvalueindex(2), &what.n);
	if (!pattern_compile(&p, what, false, &fault))
		return luaL_error(L, "%s", fault);
	for (; at <= (lua_Integer)s.n; at++) {
		if (!string_find_from(L, &p, s, (size_t)at, false, &m))
			return 0;
		at = m.from - s.p;
		if (m.to - s.p == last)
			continue;
		lua_pushinteger(L, m.to - s.p);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return string_push_captures(L, &p, s, &m, true);
	}
	return 0;
}

static int l_string_gmatch(lua_State *L)
{
	struct span s = string_arg(L, 1);
	size_t at = string_init(L, 3, s.n);
	struct pattern p;

	string_compile(L, 2, false, &p);
	lua_settop(L, 2);
	lua_pushinteger(L, (lua_Integer)at);
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, l_string_gmatch_next, 4);
	return 1;
}

bool script_is_gmatch(lua_State *L, int idx)
{
	return lua_tocfunction(L, idx) == l_string_gmatch_next;
}

/*** gsub ***/

struct string_sub {
	struct span text, with; /* with: when the replacement is a text */
	int type;               /* of argument 3 */
	struct pattern p;
	struct pattern_match m;
};

/* %0 the match, %1..%9 captures, %% itself. */
static void string_add_text(lua_State *L, luaL_Buffer *b, struct string_sub *sub)
{
	size_t i;
	int c;

	for (i = 0; i < sub->with.n; i++) {
		c = (unsigned char)sub->with.p[i];
		if (c != '%') {
			luaL_addchar(b, (char)c);
			continue;
		}
		c = ++i < sub->with.n ? sub->with.p[i] : 0;
		if (c == '%') {
			luaL_addchar(b, '%');
		} else if (c == '0' || (c == '1' && sub->p.n_captures == 0)) {
			luaL_addlstring(b, sub->m.from, (size_t)(sub->m.to - sub->m.from));
		} else if (c >= '1' && c <= '9' && (unsigned)(c - '1') < sub->p.n_captures) {
			string_push_capture(L, sub->text, &sub->m, (unsigned)(c - '1'));
			luaL_tolstring(L, -1, NULL);
			lua_remove(L, -2);
			luaL_addvalue(b);
		} else {
			luaL_error(L, "invalid use of '%%' in the replacement text");
		}
	}
}

/* From a table or function: false and nil keep the match. */
static void string_add_value(lua_State *L, luaL_Buffer *b, struct string_sub *sub)
{
	int n;

	if (sub->type == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		n = string_push_captures(L, &sub->p, sub->text, &sub->m, true);
		lua_call(L, n, 1);
	} else {
		if (sub->p.n_captures > 0)
			string_push_capture(L, sub->text, &sub->m, 0);
		else
			lua_pushlstring(L, sub->m.from, (size_t)(sub->m.to - sub->m.from));
		lua_gettable(L, 3);
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, sub->m.from, (size_t)(sub->m.to - sub->m.from));
		return;
	}
	if (!lua_isstring(L, -1))
		luaL_error(L, "the replacement is a %s; give a text", luaL_typename(L, -1));
	luaL_addvalue(b);
}

static lua_Integer string_sub_all(
	lua_State *L, luaL_Buffer *b, struct string_sub *sub, lua_Integer most)
{
	size_t at = 0;
	const char *last = NULL, *begin = sub->text.p;
	lua_Integer n = 0;

	while (n < most) {
		if (string_find_from(L, &sub->p, sub->text, at, true, &sub->m) &&
			sub->m.to != last) {
			n++;
			if (sub->type == LUA_TSTRING || sub->type == LUA_TNUMBER)
				string_add_text(L, b, sub);
			else
				string_add_value(L, b, sub);
			last = sub->m.to;
			at = (size_t)(last - begin);
		} else if (at < sub->text.n) {
			luaL_addchar(b, begin[at]);
			at++;
		} else {
			break;
		}
		if (sub->p.anchored)
			break;
	}
	luaL_addlstring(b, begin + at, sub->text.n - at);
	return n;
}

static int l_string_gsub(lua_State *L)
{
	struct string_sub sub = { .text = string_arg(L, 1), .type = lua_type(L, 3) };
	lua_Integer most = luaL_optinteger(L, 4, LUA_MAXINTEGER);
	luaL_Buffer b;

	if (sub.type == LUA_TSTRING || sub.type == LUA_TNUMBER)
		sub.with = string_arg(L, 3);
	else if (sub.type != LUA_TTABLE && sub.type != LUA_TFUNCTION && sub.type != LUA_TUSERDATA)
		return luaL_typeerror(L, 3, "text, table or function");
	string_compile(L, 2, true, &sub.p);
	lua_settop(L, 3);
	luaL_buffinit(L, &b);
	most = string_sub_all(L, &b, &sub, most);
	luaL_pushresult(&b);
	lua_pushinteger(L, most);
	return 2;
}

/*** the rest ***/

static int l_string_rep(lua_State *L)
{
	struct span s = string_arg(L, 1), sep = { "", 0 };
	lua_Integer n = luaL_checkinteger(L, 2), i;
	size_t one;
	luaL_Buffer b;

	if (!lua_isnoneornil(L, 3))
		sep = string_arg(L, 3);
	one = s.n + sep.n;
	if (n <= 0 || one == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (one > SCRIPT_BLOCK_MOST / 2 || (size_t)n > SCRIPT_BLOCK_MOST / 2 / one)
		return luaL_error(L, "string.rep would make a text of more than %d bytes",
			SCRIPT_BLOCK_MOST / 2);
	script_charge(L, (size_t)n * one);
	luaL_buffinitsize(L, &b, (size_t)n * one);
	for (i = 0; i < n; i++) {
		luaL_addlstring(&b, s.p, s.n);
		if (i + 1 < n)
			luaL_addlstring(&b, sep.p, sep.n);
	}
	luaL_pushresult(&b);
	return 1;
}

/* Looks through the format first: no addresses, no values without a fixed text.  Upvalue: Lua's
 * own. */
static int l_string_format(lua_State *L)
{
	struct span f = string_arg(L, 1);
	size_t i;
	int arg = 1;

	for (i = 0; i < f.n; i++) {
		if (f.p[i] != '%')
			continue;
		if (++i < f.n && f.p[i] == '%')
			continue;
		while (i < f.n && strchr("-+ #0123456789.", f.p[i]) && f.p[i])
			i++;
		arg++;
		if (i < f.n && f.p[i] == 'p')
			return luaL_error(L, "\"%%p\" is not available in rules");
		if (i < f.n && (f.p[i] == 's' || f.p[i] == 'q') && lua_type(L, arg) > LUA_TSTRING &&
			luaL_getmetafield(L, arg, "__tostring") == LUA_TNIL)
			return luaL_argerror(L, arg, "a table or function can not be made text");
	}
	lua_settop(L, lua_gettop(L) > 250 ? 250 : lua_gettop(L));
	script_charge(L, f.n);
	return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Text has our methods: ("x"):rep(3). */
static void string_set_metatable(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

void script_string_open(lua_State *L)
{
	static const char *const plain[] = { "byte", "char", "len", "lower", "reverse", "sub",
		"upper" };
	static const luaL_Reg own[] = { { "find", l_string_find }, { "match", l_string_match },
		{ "gmatch", l_string_gmatch }, { "gsub", l_string_gsub }, { "rep", l_string_rep },
		{ NULL, NULL } };
	size_t i;

	lua_newtable(L);
	lua_pushcfunction(L, luaopen_string);
	lua_call(L, 0, 1);
	for (i = 0; i < sizeof plain / sizeof *plain; i++) {
		lua_getfield(L, -1, plain[i]);
		lua_setfield(L, -3, plain[i]);
	}
	lua_getfield(L, -1, "format");
	lua_pushcclosure(L, l_string_format, 1);
	lua_setfield(L, -3, "format");
	lua_pop(L, 1);
	luaL_setfuncs(L, own, 0);
	string_set_metatable(L);
}
