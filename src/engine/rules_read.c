/*
 * The keys of a rule, one row each: name, reader, and whether a folder's defaults.lua may give it.
 *
 * What RULES.md has and this version has not is in the table too, so that a marketer reads "not
 * available in this version" and not "unknown key".
 */
#include "engine/rules_read.h"

#include "base/duration.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "engine/script.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Reads the value on top of the stack. */
typedef void rules_key_fn(lua_State *L, struct rules_reader *r, const char *key);

struct rules_key {
	const char *name;
	rules_key_fn *read; /* NULL: not in this version */
	bool may_default;
};

/* "file:line: rule "name": ..." */
PRINTF_LIKE(3, 4)
static void rules_fail(lua_State *L, const struct rules_reader *r, const char *fmt, ...)
{
	char text[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	lua_pushfstring(
		L, "%s:%d: rule \"%s\": %s", r->rule->file, r->rule->line, r->rule->name, text);
	lua_error(L);
}

static const char *rules_text(lua_State *L, struct rules_reader *r, const char *key)
{
	size_t n;
	const char *text;

	if (lua_type(L, -1) != LUA_TSTRING)
		rules_fail(L, r, "\"%s\" is a text, not a %s", key, luaL_typename(L, -1));
	text = lua_tolstring(L, -1, &n);
	if (n > 1000 || strlen(text) != n)
		rules_fail(L, r, "\"%s\" is too long", key);
	return arena_strdup(r->arena, text);
}

/* "one", "two", "three" */
static const char *rules_quoted(struct rules_reader *r, const char *const *words)
{
	const char *all = "";

	for (int i = 0; words[i]; i++)
		all = arena_printf(r->arena, "%s%s\"%s\"", all, i ? ", " : "", words[i]);
	return all;
}

/* One of a list of words: its place. */
static int rules_word(
	lua_State *L, struct rules_reader *r, const char *key, const char *const *words)
{
	const char *text = rules_text(L, r, key), *near;

	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	near = suggest_word(text, words);
	if (near)
		rules_fail(L, r, "unknown %s \"%s\"; did you mean \"%s\"?", key, text, near);
	rules_fail(L, r, "unknown %s \"%s\"; there are %s", key, text, rules_quoted(r, words));
	return 0;
}

static const struct duration *rules_duration(
	lua_State *L, struct rules_reader *r, const char *key, struct span text)
{
	struct duration *d = arena_new(r->arena, struct duration);
	struct err err;

	if (!duration_parse(text, 0, d, &err))
		rules_fail(L, r, "%s: %s", key, err.text);
	return d;
}

/*** the keys ***/

static void rules_read_about(lua_State *L, struct rules_reader *r, const char *key)
{
	r->rule->about = rules_text(L, r, key);
}

static void rules_read_what(lua_State *L, struct rules_reader *r, const char *key, struct what *ret)
{
	struct err err;

	if (!what_read(L, -1, false, r->arena, ret, &err))
		rules_fail(L, r, "%s: %s", key, err.text);
}

static void rules_read_on(lua_State *L, struct rules_reader *r, const char *key)
{
	rules_read_what(L, r, key, &r->rule->on);
}

static void rules_read_exit_on(lua_State *L, struct rules_reader *r, const char *key)
{
	rules_read_what(L, r, key, &r->rule->exit_on);
}

static int rules_function(lua_State *L, struct rules_reader *r, const char *key)
{
	if (!lua_isfunction(L, -1))
		rules_fail(L, r, "\"%s\" is a function: %s = function(event, customer) ... end",
			key, key);
	lua_pushvalue(L, -1);
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

static void rules_read_when(lua_State *L, struct rules_reader *r, const char *key)
{
	r->rule->when_ref = rules_function(L, r, key);
}

static void rules_read_run(lua_State *L, struct rules_reader *r, const char *key)
{
	r->rule->run_ref = rules_function(L, r, key);
}

static void rules_read_key(lua_State *L, struct rules_reader *r, const char *key)
{
	if (lua_isfunction(L, -1))
		r->rule->key_ref = rules_function(L, r, key);
	else if (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0)
		r->rule->key_field = rules_text(L, r, key);
	else
		rules_fail(L, r,
			"\"key\" is the name of a field of the event, like \"order_id\", or a "
			"function");
}

static void rules_read_mode(lua_State *L, struct rules_reader *r, const char *key)
{
	static const char *const words[] = { "single", "restart", "queued", "parallel", NULL };

	r->rule->mode = (enum rule_mode)rules_word(L, r, key, words);
}

/* "30d" or "30d per customer". */
static void rules_read_cooldown(lua_State *L, struct rules_reader *r, const char *key)
{
	static const char suffix[] = " per customer";
	struct span text = span_of(rules_text(L, r, key));
	size_t n = sizeof suffix - 1;

	if (text.n > n && memcmp(text.p + text.n - n, suffix, n) == 0) {
		r->rule->cooldown_per_customer = true;
		text.n -= n;
	}
	r->rule->cooldown = rules_duration(L, r, key, text);
}

static void rules_read_class(lua_State *L, struct rules_reader *r, const char *key)
{
	static const char *const words[] = { "transactional", "marketing", "bulk", NULL };
	int i = rules_word(L, r, key, words);

	if (!message_class_parse(span_of(words[i]), &r->rule->class_))
		rules_fail(L, r, "unknown class");
}

static void rules_read_max_age(lua_State *L, struct rules_reader *r, const char *key)
{
	r->rule->max_age = rules_duration(L, r, key, span_of(rules_text(L, r, key)));
}

static void rules_read_late(lua_State *L, struct rules_reader *r, const char *key)
{
	const char *text = rules_text(L, r, key);
	struct duration d;
	struct err err;

	if (strcmp(text, "run") == 0) {
		r->rule->late = RULE_LATE_RUN;
	} else if (strcmp(text, "end") == 0) {
		r->rule->late = RULE_LATE_END;
	} else if (duration_parse(span_of(text), 0, &d, &err)) {
		r->rule->late = RULE_LATE_AFTER;
		r->rule->late_after = rules_duration(L, r, key, span_of(text));
	} else {
		rules_fail(L, r, "late is \"run\", \"end\" or a duration like \"2h\", not \"%s\"",
			text);
	}
}

static void rules_read_on_change(lua_State *L, struct rules_reader *r, const char *key)
{
	static const char *const words[] = { "finish", "migrate", "cancel", NULL };

	if (rules_word(L, r, key, words) != 0)
		rules_fail(L, r,
			"on_change = \"%s\" is not available in this version; write \"finish\"",
			lua_tostring(L, -1));
	r->rule->on_change = RULE_FINISH;
}

static void rules_read_priority(lua_State *L, struct rules_reader *r, const char *key)
{
	int is_integer;
	lua_Integer n = lua_tointegerx(L, -1, &is_integer);

	if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || n < 0 || n > 100)
		rules_fail(L, r, "\"%s\" is a whole number from 0 to 100", key);
	r->rule->priority = (int)n;
}

static const char *rules_store(lua_State *L, struct rules_reader *r, const char *key)
{
	const char *id = rules_text(L, r, key);
	struct suggest s;
	size_t i;

	if (!r->env->stores || !r->in_set)
		return id;
	suggest_init(&s, id);
	for (i = 0; i < r->env->n_stores; i++) {
		if (strcmp(id, r->env->stores[i]) == 0)
			return id;
		suggest_offer(&s, r->env->stores[i]);
	}
	rules_fail(L, r, "unknown store \"%s\"%s%s%s", id, s.best ? "; did you mean \"" : "",
		s.best ? s.best : "", s.best ? "\"?" : "; stores are named in the configuration");
	return NULL;
}

static void rules_read_store(lua_State *L, struct rules_reader *r, const char *key)
{
	struct rule *rule = r->rule;
	size_t n, i;

	if (lua_type(L, -1) == LUA_TSTRING) {
		rule->stores = arena_array(r->arena, const char *, 1);
		rule->stores[0] = rules_store(L, r, key);
		rule->n_stores = 1;
		return;
	}
	if (!script_push_contents(L, -1))
		rules_fail(L, r, "\"store\" is the name of a store or a list of names");
	n = lua_rawlen(L, -1);
	rule->stores = arena_array(r->arena, const char *, n + 1);
	for (i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		rule->stores[i] = rules_store(L, r, key);
		lua_pop(L, 1);
	}
	rule->n_stores = (unsigned)n;
	lua_pop(L, 1);
	if (n == 0)
		rules_fail(L, r, "an empty list of stores: leave \"store\" out for all of them");
}

static const struct rules_key rules_keys[] = {
	{ "about", rules_read_about, false },
	{ "class", rules_read_class, true },
	{ "cooldown", rules_read_cooldown, true },
	{ "each", NULL, true },
	{ "exclude", NULL, true },
	{ "exit_on", rules_read_exit_on, true },
	{ "from", NULL, true },
	{ "holdout", NULL, true },
	{ "key", rules_read_key, true },
	{ "late", rules_read_late, true },
	{ "max_age", rules_read_max_age, true },
	{ "mode", rules_read_mode, true },
	{ "on", rules_read_on, false },
	{ "on_change", rules_read_on_change, true },
	{ "pace", NULL, true },
	{ "priority", rules_read_priority, true },
	{ "rollout", NULL, true },
	{ "run", rules_read_run, false },
	{ "store", rules_read_store, true },
	{ "till", NULL, true },
	{ "when", rules_read_when, true },
};
enum { RULES_KEYS = sizeof rules_keys / sizeof *rules_keys };

static const struct rules_key *rules_find_key(const char *name)
{
	size_t i;

	for (i = 0; i < RULES_KEYS; i++)
		if (strcmp(rules_keys[i].name, name) == 0)
			return &rules_keys[i];
	return NULL;
}

/* Every key of the table is one of ours; what: "rule "x"" or "defaults". */
static void rules_check_keys(lua_State *L, int idx, const char *where, bool defaults)
{
	const struct rules_key *key;
	struct suggest s;
	size_t i;

	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";

		key = rules_find_key(name);
		suggest_init(&s, name);
		for (i = 0; i < RULES_KEYS && !key; i++)
			suggest_offer(&s, rules_keys[i].name);
		if (!key && lua_type(L, -2) != LUA_TSTRING)
			lua_pushfstring(L, "%s: a value without a key; write key = value", where);
		else if (!key)
			lua_pushfstring(L, "%s: unknown key \"%s\"%s%s%s", where, name,
				s.best ? "; did you mean \"" : "", s.best ? s.best : "",
				s.best ? "\"?" : "");
		else if (!key->read)
			lua_pushfstring(
				L, "%s: \"%s\" is not available in this version", where, name);
		else if (defaults && !key->may_default)
			lua_pushfstring(L, "%s: \"%s\" must stand in the rule itself", where, name);
		else
			continue;
		lua_error(L);
	}
}

void rules_check_defaults(lua_State *L, int idx)
{
	char where[160], text[200];

	script_where(L, where, sizeof where);
	snprintf(text, sizeof text, "%s: defaults", where);
	rules_check_keys(L, lua_absindex(L, idx), text, true);
}

void rules_read(lua_State *L, struct rules_reader *r)
{
	static const struct duration day = { .days = 1 };
	struct rule *rule = r->rule;
	char where[400];
	size_t i;

	snprintf(where, sizeof where, "%s:%d: rule \"%s\"", rule->file, rule->line, rule->name);
	rules_check_keys(L, r->table, where, false);
	rule->about = "";
	rule->when_ref = rule->run_ref = rule->key_ref = LUA_NOREF;
	rule->max_age = &day;
	rule->class_ = CLASS_MARKETING;
	rule->priority = 50;
	for (i = 0; i < RULES_KEYS; i++) {
		lua_pushstring(L, rules_keys[i].name);
		if (lua_rawget(L, r->table) == LUA_TNIL) {
			lua_pop(L, 1);
			lua_pushstring(L, rules_keys[i].name);
			lua_rawget(L, r->defaults);
		}
		if (!lua_isnil(L, -1))
			rules_keys[i].read(L, r, rules_keys[i].name);
		lua_pop(L, 1);
	}
	if (rule->on.n == 0)
		rules_fail(L, r,
			"\"on\" is missing: which event starts it, like on = \"order.placed\"");
	if (rule->run_ref == LUA_NOREF)
		rules_fail(L, r, "\"run\" is missing: run = function(event, customer) ... end");
}
