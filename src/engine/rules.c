/*
 * The rules of a set in one state.
 *
 * A bundle is loaded file by file: folders' defaults from the outside in, then the rule file,
 * helpers when they are required.  All that the loading needs to know stands in struct rules_load,
 * which the functions `rule`, `defaults` and `require` find through the registry; outside of a
 * load they refuse.  After a file has run, everything its functions hold is frozen.
 *
 * The index: exact types in a map; patterns, of which there are few, in a list.  A type without
 * pattern costs one look-up.  Where patterns match, the merged list is kept by the combination of
 * what matched, of which there are few, never by type, of which a shop may invent any number.
 */
#include "engine/rules.h"

#include "base/json.h"
#include "base/map.h"
#include "engine/bind_time.h"
#include "engine/lua_json.h"
#include "engine/rules_read.h"
#include "engine/script.h"
#include "model/event.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char rules_key; /* its address: struct rules * in the registry */

struct rules_list {
	const struct rule **rules;
	size_t n, cap;
};

struct rules_text { /* one loaded bundle */
	struct rules_list rules;
};

struct rules_load { /* while a bundle is loaded */
	struct rules_text *text;
	const struct rule_text *from;
	struct span lib;     /* JSON object: name -> text */
	int modules;         /* reference: table name -> value; false while it is being loaded */
	int defaults;        /* reference: table */
	const char *pending; /* rule "x" without a table yet, and its line */
	int pending_line;
	bool in_defaults;
	bool in_set; /* its names must differ from those of the set */
};

struct rules_index {      /* rules by the types of one of their fields */
	struct map types; /* exact type -> struct rules_list * */
	struct span *patterns;
	size_t n_patterns, cap_patterns;
	struct map merged; /* type list + pattern numbers -> struct rules_list * */
};

struct rules {
	struct script *script;
	struct arena arena; /* rules, their texts, names of stores */
	struct rules_env env;
	struct rules_load *load; /* NULL: nothing is being loaded */
	struct map texts;        /* hash -> struct rules_text * */
	struct map names;        /* of the set -> struct rule * */
	struct rules_list all;
	struct rules_index by_on, by_exit;
};

const char *rule_mode_name(enum rule_mode m)
{
	switch (m) {
	case RULE_SINGLE: return "single";
	case RULE_RESTART: return "restart";
	case RULE_QUEUED: return "queued";
	case RULE_PARALLEL: return "parallel";
	}
	return "?";
}

const char *rule_late_name(enum rule_late l)
{
	switch (l) {
	case RULE_LATE_RUN: return "run";
	case RULE_LATE_END: return "end";
	case RULE_LATE_AFTER: return "after";
	}
	return "?";
}

/*** lists ***/

static void rules_list_add(struct rules_list *l, const struct rule *rule)
{
	if (l->n > 0 && l->rules[l->n - 1] == rule)
		return;
	l->rules = mem_grow(l->rules, l->n, &l->cap, sizeof *l->rules);
	l->rules[l->n++] = rule;
}

static void rules_list_free(struct rules_list *l)
{
	free(l->rules);
	free(l);
}

static int rules_by_order(const void *pa, const void *pb)
{
	const struct rule *a = *(const struct rule *const *)pa;
	const struct rule *b = *(const struct rule *const *)pb;

	return (a->order > b->order) - (a->order < b->order);
}

/*** what files call ***/

static struct rules *rules_of(lua_State *L)
{
	struct rules *r;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &rules_key);
	r = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return r;
}

/* The load that is going on; raises when there is none. */
static struct rules_load *rules_loading(lua_State *L, const char *what)
{
	struct rules *r = rules_of(L);

	if (!r->load)
		luaL_error(L, "%s can only stand outside of functions", what);
	return r->load;
}

static int rules_line(lua_State *L)
{
	lua_Debug ar;

	if (!lua_getstack(L, 1, &ar))
		return 0;
	lua_getinfo(L, "l", &ar);
	return ar.currentline;
}

/* The place of a rule that has this name already. */
static void rules_check_name(lua_State *L, struct rules *r, const char *name, int line)
{
	const struct rules_load *load = r->load;
	const struct rule *other = NULL;
	size_t i;

	for (i = 0; i < load->text->rules.n; i++)
		if (strcmp(load->text->rules.rules[i]->name, name) == 0)
			other = load->text->rules.rules[i];
	if (!other && load->in_set)
		other = map_get(&r->names, span_of(name));
	if (!other)
		return;
	lua_pushfstring(L,
		"%s:%d: there is a rule \"%s\" already, in %s:%d; give one of them another name",
		load->from->path.p, line, name, other->file, other->line);
	lua_error(L);
}

/* The second half of rule "name" { ... }. */
static int l_rules_define(lua_State *L)
{
	struct rules_load *load = rules_loading(L, "rule");
	struct rules *r = rules_of(L);
	struct rule *rule;
	struct rules_reader reader = { .arena = &r->arena, .env = &r->env, .in_set = load->in_set };

	if (lua_type(L, 1) != LUA_TTABLE || !load->pending)
		return luaL_error(L, "write rule \"name\" { key = value, ... }");
	rule = arena_new(&r->arena, struct rule);
	rule->name = load->pending;
	rule->line = load->pending_line;
	rule->file = load->from->path.p;
	rule->level = load->from->level;
	memcpy(rule->text_hash, load->from->hash, sizeof rule->text_hash);
	rule->order = (unsigned)(r->all.n + load->text->rules.n);
	load->pending = NULL;
	lua_settop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, load->defaults);
	reader.rule = rule;
	reader.table = 1;
	reader.defaults = 2;
	rules_read(L, &reader);
	rules_list_add(&load->text->rules, rule);
	return 0;
}

static void rules_check_pending(lua_State *L, const struct rules_load *load)
{
	if (!load->pending)
		return;
	lua_pushfstring(L, "%s:%d: rule \"%s\" has no { ... } behind it", load->from->path.p,
		load->pending_line, load->pending);
	lua_error(L);
}

static int l_rules_rule(lua_State *L)
{
	struct rules_load *load = rules_loading(L, "rule");
	struct rules *r = rules_of(L);
	size_t n;
	const char *name;
	int line = rules_line(L);

	if (load->in_defaults)
		return luaL_error(L, "a defaults.lua holds defaults { ... } only");
	rules_check_pending(L, load);
	if (lua_type(L, 1) != LUA_TSTRING)
		return luaL_error(L, "write rule \"name\" { key = value, ... }");
	name = lua_tolstring(L, 1, &n);
	if (n == 0 || n > 100 || strlen(name) != n || strpbrk(name, "\n\t\"/"))
		return luaL_error(L,
			"the name of a rule has 1 to 100 characters, without quotes and slashes");
	rules_check_name(L, r, name, line);
	load->pending = arena_strdup(&r->arena, name);
	load->pending_line = line;
	lua_pushcfunction(L, l_rules_define);
	return 1;
}

static int l_rules_defaults(lua_State *L)
{
	struct rules_load *load = rules_loading(L, "defaults");

	if (!load->in_defaults)
		return luaL_error(L, "defaults { ... } stands in a file of its own: defaults.lua");
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	rules_check_defaults(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, load->defaults);
	for (lua_pushnil(L); lua_next(L, 1);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, 2);
	}
	return 0;
}

static int l_rules_require(lua_State *L)
{
	struct rules_load *load = rules_loading(L, "require");
	struct span name, text;
	const char *file;

	name.p = luaL_checklstring(L, 1, &name.n);
	lua_settop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, load->modules); /* 2 */
	lua_pushvalue(L, 1);
	if (lua_rawget(L, 2) != LUA_TNIL) {
		if (lua_rawequal(L, -1, 2))
			return luaL_error(
				L, "lib/%s.lua requires itself, maybe over another one", name.p);
		return 1;
	}
	if (!json_get(load->lib, name, &text))
		return luaL_error(L, "there is no lib/%s.lua", name.p);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, 2); /* stands for "being loaded" */
	lua_rawset(L, 2);
	file = lua_pushfstring(L, "lib/%s.lua", name.p);
	script_compile(L, file, json_text(text, script_arena(L)));
	lua_call(L, 0, 1);
	if (lua_isnil(L, -1))
		return luaL_error(
			L, "lib/%s.lua returns nothing; end it with: return { ... }", name.p);
	script_freeze(L, -1);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, -2);
	lua_rawset(L, 2);
	return 1;
}

static int l_rules_not_here(lua_State *L)
{
	return luaL_error(
		L, "schedules (every, cron, once, yearly) are not available in this version");
}

static int l_rules_no_segment(lua_State *L)
{
	return luaL_error(L, "segments are not available in this version");
}

/*** loading ***/

static void rules_freeze_ref(lua_State *L, int ref)
{
	if (ref == LUA_NOREF)
		return;
	lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
	script_freeze(L, -1);
	lua_pop(L, 1);
}

/* Before the files of a bundle. */
static void rules_begin_body(lua_State *L, void *ud)
{
	struct rules_load *load = ud;

	lua_newtable(L);
	load->modules = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	load->defaults = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* After them: freezes what the functions hold. */
static void rules_end_body(lua_State *L, void *ud)
{
	struct rules_load *load = ud;
	size_t i;

	rules_check_pending(L, load);
	for (i = 0; i < load->text->rules.n; i++) {
		rules_freeze_ref(L, load->text->rules.rules[i]->when_ref);
		rules_freeze_ref(L, load->text->rules.rules[i]->run_ref);
		rules_freeze_ref(L, load->text->rules.rules[i]->key_ref);
	}
	luaL_unref(L, LUA_REGISTRYINDEX, load->modules);
	luaL_unref(L, LUA_REGISTRYINDEX, load->defaults);
}

static bool rules_load_defaults(struct rules *r, struct span list, struct arena *a, struct err *err)
{
	struct json_iter it;
	struct span file, path, text;

	r->load->in_defaults = true;
	json_iter_init(&it, list);
	while (json_next(&it, NULL, &file)) {
		if (!json_get(file, SPAN("path"), &path) || !json_get(file, SPAN("text"), &text))
			return err_set(err, "the bundle's defaults lack path or text");
		path = json_text(path, a);
		if (!script_load(r->script, arena_printf(a, "%.*s", SPAN_ARG(path)),
			    json_text(text, a), err))
			return false;
	}
	r->load->in_defaults = false;
	return true;
}

static bool rules_load_files(
	struct rules *r, struct rule_text *from, struct arena *a, struct err *err)
{
	struct span path, text, value;
	struct json_fault fault;

	if (!json_check_all(from->bundle, &fault))
		return err_set(err, "the rule text is no JSON: %s at %s", fault.what, fault.path);
	if (!json_get(from->bundle, SPAN("path"), &path) ||
		!json_get(from->bundle, SPAN("text"), &text))
		return err_set(err, "the rule text lacks path or text");
	path = json_text(path, a);
	from->path.p = arena_printf(&r->arena, "%.*s", SPAN_ARG(path));
	from->path.n = path.n;
	if (!json_get(from->bundle, SPAN("lib"), &r->load->lib))
		r->load->lib = SPAN("{}");
	if (!script_protect(r->script, rules_begin_body, r->load, err))
		return false;
	if (json_get(from->bundle, SPAN("defaults"), &value) &&
		!rules_load_defaults(r, value, a, err))
		return false;
	if (!script_load(r->script, from->path.p, json_text(text, a), err))
		return false;
	return script_protect(r->script, rules_end_body, r->load, err);
}

/* After a failure: lets go of the functions. */
static void rules_drop_body(lua_State *L, void *ud)
{
	struct rules_load *load = ud;
	size_t i;

	for (i = 0; i < load->text->rules.n; i++) {
		luaL_unref(L, LUA_REGISTRYINDEX, load->text->rules.rules[i]->when_ref);
		luaL_unref(L, LUA_REGISTRYINDEX, load->text->rules.rules[i]->run_ref);
		luaL_unref(L, LUA_REGISTRYINDEX, load->text->rules.rules[i]->key_ref);
	}
	luaL_unref(L, LUA_REGISTRYINDEX, load->modules);
	luaL_unref(L, LUA_REGISTRYINDEX, load->defaults);
}

/* Loads one bundle; the text is entered by its hash only when all went well. */
static struct rules_text *rules_load_text(
	struct rules *r, const struct rule_text *text, bool in_set, struct err *err)
{
	struct arena a = { 0 };
	struct rule_text from = *text;
	struct rules_load load = {
		.from = &from, .in_set = in_set, .modules = LUA_NOREF, .defaults = LUA_NOREF
	};
	struct err ignored;
	bool ok;

	load.text = xcalloc(1, sizeof *load.text);
	r->load = &load;
	ok = rules_load_files(r, &from, &a, err);
	r->load = NULL;
	arena_fini(&a);
	if (ok) {
		map_put(&r->texts, span_of(from.hash), load.text);
		return load.text;
	}
	(void)!script_protect(r->script, rules_drop_body, &load, &ignored);
	free(load.text->rules.rules);
	free(load.text);
	return NULL;
}

/*** the index ***/

static void rules_index_pattern(struct rules_index *x, struct span pattern)
{
	size_t i;

	for (i = 0; i < x->n_patterns; i++)
		if (span_eq(x->patterns[i], pattern))
			return;
	x->patterns = mem_grow(x->patterns, x->n_patterns, &x->cap_patterns, sizeof *x->patterns);
	x->patterns[x->n_patterns++] = pattern;
}

static void rules_index_add(struct rules *r, struct rules_index *x, const struct rule *rule)
{
	struct rules_list *l;
	struct span *types;
	unsigned n, i;

	types = what_types(x == &r->by_on ? &rule->on : &rule->exit_on, &r->arena, &n);
	for (i = 0; i < n; i++) {
		if (types[i].p[types[i].n - 1] == '*') {
			rules_index_pattern(x, types[i]);
			continue;
		}
		l = map_get(&x->types, types[i]);
		if (!l) {
			l = xcalloc(1, sizeof *l);
			map_put(&x->types, types[i], l);
		}
		rules_list_add(l, rule);
	}
}

static void rules_enter(struct rules *r, const struct rules_text *text)
{
	size_t i;

	for (i = 0; i < text->rules.n; i++) {
		const struct rule *rule = text->rules.rules[i];
		union {
			const struct rule *in;
			void *out;
		} pun = { .in = rule };

		rules_list_add(&r->all, rule);
		map_put(&r->names, span_of(rule->name), pun.out);
		rules_index_add(r, &r->by_on, rule);
		rules_index_add(r, &r->by_exit, rule);
	}
}

/* Rules of the exact list and of the patterns that are set, in order. */
static struct rules_list *rules_merge(struct rules *r, const struct rules_index *x,
	const struct rules_list *exact, const unsigned char *matched)
{
	struct rules_list *l = xcalloc(1, sizeof *l);
	size_t i, p;
	unsigned t;

	for (i = 0; i < r->all.n; i++) {
		const struct rule *rule = r->all.rules[i];
		const struct what *what = x == &r->by_on ? &rule->on : &rule->exit_on;

		for (t = 0; t < what->n; t++)
			for (p = 0; p < x->n_patterns; p++)
				if (matched[p] && span_eq(what->terms[t].type, x->patterns[p]))
					rules_list_add(l, rule);
	}
	for (i = 0; exact && i < exact->n; i++) {
		const struct rule *rule = exact->rules[i];
		size_t k;

		for (k = 0; k < l->n && l->rules[k] != rule; k++)
			;
		if (k == l->n)
			rules_list_add(l, rule);
	}
	qsort(l->rules, l->n, sizeof *l->rules, rules_by_order);
	return l;
}

static const struct rule *const *rules_by_type(
	struct rules *r, struct rules_index *x, struct span type, size_t *ret_n)
{
	struct rules_list *l = map_get(&x->types, type);
	struct buf key = { 0 };
	struct rules_list *merged;
	bool any = false;
	size_t i;

	for (i = 0; i < x->n_patterns && !any; i++)
		any = event_type_matches(x->patterns[i], type);
	if (any) {
		buf_add(&key, &l, sizeof l);
		for (i = 0; i < x->n_patterns; i++)
			buf_char(&key, event_type_matches(x->patterns[i], type));
		merged = map_get(&x->merged, buf_as_span(&key));
		if (!merged) {
			merged = rules_merge(r, x, l, (unsigned char *)key.p + sizeof l);
			map_put(&x->merged, buf_as_span(&key), merged);
		}
		l = merged;
	}
	buf_free(&key);
	*ret_n = l ? l->n : 0;
	return l ? l->rules : NULL;
}

const struct rule *const *rules_subscribed(struct rules *r, struct span type, size_t *ret_n)
{
	return rules_by_type(r, &r->by_on, type, ret_n);
}

const struct rule *const *rules_exited(struct rules *r, struct span type, size_t *ret_n)
{
	return rules_by_type(r, &r->by_exit, type, ret_n);
}

/*** life ***/

static void rules_open_body(lua_State *L, void *ud)
{
	static const luaL_Reg fns[] = { { "rule", l_rules_rule }, { "defaults", l_rules_defaults },
		{ "require", l_rules_require }, { "every", l_rules_not_here },
		{ "cron", l_rules_not_here }, { "once", l_rules_not_here },
		{ "yearly", l_rules_not_here }, { "segment", l_rules_no_segment }, { NULL, NULL } };
	const luaL_Reg *f;

	lua_pushlightuserdata(L, ud);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &rules_key);
	for (f = fns; f->name; f++) {
		lua_pushcfunction(L, f->func);
		script_define_value(L, f->name);
	}
	luajson_open(L);
	bind_time_open(L);
	what_open(L);
}

struct rules *rules_new(struct script *s, const struct rules_env *env)
{
	struct rules *r = xcalloc(1, sizeof *r);
	const char **stores;
	struct err err;
	size_t i;

	r->script = s;
	r->env = *env;
	if (env->stores) {
		stores = arena_array(&r->arena, const char *, env->n_stores + 1);
		for (i = 0; i < env->n_stores; i++)
			stores[i] = arena_strdup(&r->arena, env->stores[i]);
		r->env.stores = stores;
	}
	if (!script_protect(s, rules_open_body, r, &err)) {
		fprintf(stderr, "rules: %s\n", err.text);
		abort();
	}
	return r;
}

static void rules_free_list(void *arg, struct span key, void *value)
{
	(void)arg;
	(void)key;
	rules_list_free(value);
}

static void rules_index_free(struct rules_index *x)
{
	map_each(&x->types, rules_free_list, NULL);
	map_each(&x->merged, rules_free_list, NULL);
	map_fini(&x->types);
	map_fini(&x->merged);
	free(x->patterns);
}

static void rules_free_text(void *arg, struct span key, void *value)
{
	struct rules_text *text = value;

	(void)arg;
	(void)key;
	free(text->rules.rules);
	free(text);
}

void rules_free(struct rules *r)
{
	if (!r)
		return;
	map_each(&r->texts, rules_free_text, NULL);
	rules_index_free(&r->by_on);
	rules_index_free(&r->by_exit);
	map_fini(&r->texts);
	map_fini(&r->names);
	free(r->all.rules);
	arena_fini(&r->arena);
	free(r);
}

bool rules_load_set(struct rules *r, const struct rule_set *set, struct err *err)
{
	const struct rules_text *text;
	size_t i;

	for (i = 0; i < set->n_texts; i++) {
		if (set->texts[i].level > RULE_LEVEL)
			return err_set(err,
				"a rule text of the set is of level %d; this daemon knows up to %d",
				set->texts[i].level, RULE_LEVEL);
		text = rules_load_text(r, &set->texts[i], true, err);
		if (!text)
			return false;
		rules_enter(r, text);
	}
	return true;
}

const struct rule *rules_find(const struct rules *r, struct span name)
{
	return map_get(&r->names, name);
}

const struct rule *const *rules_all(const struct rules *r, size_t *ret_n)
{
	*ret_n = r->all.n;
	return r->all.rules;
}

bool rules_text_is_loaded(const struct rules *r, struct span hash)
{
	return map_get(&r->texts, hash) != NULL;
}

bool rules_text_load(
	struct rules *r, struct span hash, struct span bundle, int level, struct err *err)
{
	struct rule_text text = { .level = level, .bundle = bundle };

	if (level > RULE_LEVEL)
		return err_set(err, "the rule text is of level %d; this daemon knows up to %d",
			level, RULE_LEVEL);
	if (hash.n >= sizeof text.hash)
		return err_set(err, "the hash of a rule text has 64 characters");
	if (rules_text_is_loaded(r, hash))
		return true;
	memcpy(text.hash, hash.p, hash.n);
	return rules_load_text(r, &text, false, err) != NULL;
}

const struct rule *rules_in_text(const struct rules *r, struct span hash, struct span name)
{
	const struct rules_text *text = map_get(&r->texts, hash);
	size_t i;

	for (i = 0; text && i < text->rules.n; i++)
		if (span_is(name, text->rules.rules[i]->name))
			return text->rules.rules[i];
	return NULL;
}
