/*
 * What a rule starts with, ends with or waits for.
 *
 * In memory a list of plain terms, in rows their JSON; filters stay JSON text in both, and are
 * matched JSON against JSON without Lua: so exits of a chain can be checked by an engine that has
 * never loaded its rule. A wrong filter word would silently never match, so event types are
 * compared with the catalogue when they are read: one letter off a known one is taken for a
 * mistake, everything else for the shop's own.
 */
#include "engine/what.h"

#include "base/json.h"
#include "base/suggest.h"
#include "engine/field.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "engine/vocabulary.h"
#include "model/event.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { WHAT_TERMS = 32, WHAT_DEPTH = 4, WHAT_TYPE_BYTES = 128, WHAT_FILTER_BYTES = 4096 };

static const char what_on_key, what_handle_key; /* metatables in the registry */

static const char *const what_of_message[] = { "sent", "delivered", "opened", "clicked", "replied",
	"failed", NULL };
static const char *const what_of_task[] = { "taken", "done", "overdue", NULL };
static const char *const what_message_over[] = { "sent", "failed", NULL };
static const char *const what_task_over[] = { "done", "overdue", NULL };

const char *what_object_name(enum what_object o)
{
	switch (o) {
	case WHAT_MESSAGE: return "message";
	case WHAT_TASK: return "task";
	}
	return "?";
}

const char *const *what_outcomes(enum what_object o)
{
	return o == WHAT_TASK ? what_of_task : what_of_message;
}

/* The outcomes after which nothing more is waited for. */
static const char *const *what_over(enum what_object o)
{
	return o == WHAT_TASK ? what_task_over : what_message_over;
}

/*** handles ***/

struct what_handle {
	enum what_object object;
	int64_t id;
	const char *outcome; /* one of what_outcomes, or NULL: the handle itself */
};

static struct what_handle *what_handle_at(lua_State *L, int idx)
{
	bool is;

	if (lua_type(L, idx) != LUA_TUSERDATA || !lua_getmetatable(L, idx))
		return NULL;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &what_handle_key);
	is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is ? lua_touserdata(L, idx) : NULL;
}

static void what_push(lua_State *L, enum what_object object, int64_t id, const char *outcome)
{
	struct what_handle *h = lua_newuserdatauv(L, sizeof *h, 0);

	*h = (struct what_handle){ object, id, outcome };
	lua_rawgetp(L, LUA_REGISTRYINDEX, &what_handle_key);
	lua_setmetatable(L, -2);
}

void what_push_handle(lua_State *L, enum what_object object, int64_t id)
{
	what_push(L, object, id, NULL);
}

bool what_is_handle(lua_State *L, int idx, struct what_term *ret)
{
	struct what_handle *h = what_handle_at(L, idx);

	if (h)
		*ret = (struct what_term){ .kind = WHAT_OUTCOME,
			.object = h->object,
			.id = h->id,
			.outcome = h->outcome ? span_of(h->outcome) : SPAN("") };
	return h != NULL;
}

static int l_handle_index(lua_State *L)
{
	struct what_handle *h = lua_touserdata(L, 1);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	const char *const *words = what_outcomes(h->object), *near;

	if (h->outcome)
		return luaL_error(L,
			"the outcome \"%s\" has no field \"%s\"; wait(...) answers the "
			"event",
			h->outcome, name);
	for (; *words; words++)
		if (strcmp(*words, name) == 0) {
			what_push(L, h->object, h->id, *words);
			return 1;
		}
	near = suggest_word(name, what_outcomes(h->object));
	return luaL_error(L, "a %s has no outcome \"%s\"%s%s%s", what_object_name(h->object), name,
		near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int l_handle_write(lua_State *L)
{
	return luaL_error(L, "a handle can not be changed");
}

/*** reading Lua ***/

struct what_reader {
	lua_State *L;
	struct arena *a;
	bool handles;
	struct what_term terms[WHAT_TERMS];
	unsigned n;
	struct err *err;
};

static struct span what_dup(struct arena *a, struct span s)
{
	return (struct span){ arena_dup(a, s.n ? s.p : "", s.n), s.n };
}

static bool what_add(struct what_reader *r, struct what_term term, struct span filter)
{
	if (r->n == WHAT_TERMS)
		return err_set(r->err, "the list is too long (at most %d)", WHAT_TERMS);
	term.filter = filter;
	r->terms[r->n++] = term;
	return true;
}

/* Is the type one letter off a known one? */
static const char *what_near_type(const char *type)
{
	size_t n, i;
	const struct vocabulary_type *types = vocabulary_types(&n);
	struct suggest s;

	if (vocabulary_find(span_of(type)))
		return NULL;
	suggest_init(&s, type);
	for (i = 0; i < n; i++)
		suggest_offer(&s, types[i].name);
	return s.best && s.distance <= 1 ? s.best : NULL;
}

/* The same for the noun of "noun.*". */
static const char *what_near_noun(struct span noun, char *buf, size_t size)
{
	size_t n, i;
	const struct vocabulary_type *types = vocabulary_types(&n);
	char wrong[WHAT_TYPE_BYTES + 1], word[64];
	struct suggest s;

	span_into(noun, wrong, sizeof wrong);
	*buf = '\0';
	for (i = 0; i < n; i++) {
		span_into((struct span){ types[i].name, strcspn(types[i].name, ".") }, word,
			sizeof word);
		if (strcmp(word, wrong) == 0)
			return NULL;
		suggest_init(&s, wrong);
		suggest_offer(&s, word);
		if (s.best && s.distance <= 1)
			snprintf(buf, size, "%s.*", word);
	}
	return *buf ? buf : NULL;
}

bool what_check_type(struct span type, struct err *err)
{
	const char *near, *star = type.n ? memchr(type.p, '*', type.n) : NULL;
	char text[WHAT_TYPE_BYTES + 1], buf[WHAT_TYPE_BYTES + 1];

	if (type.n == 0 || type.n > WHAT_TYPE_BYTES || memchr(type.p, '\0', type.n))
		return err_set(err, "an event type has 1 to %d characters", WHAT_TYPE_BYTES);
	(void)span_into(type, text, sizeof text);
	if (star && (star != type.p + type.n - 1 || (type.n > 1 && star[-1] != '.')))
		return err_set(err, "the pattern \"%s\" is none; write \"order.*\" or \"*\"", text);
	if (star)
		near = type.n > 2 ? what_near_noun(
					    (struct span){ type.p, type.n - 2 }, buf, sizeof buf)
				  : NULL;
	else
		near = what_near_type(text);
	if (near)
		return err_set(err, "unknown event \"%s\"; did you mean \"%s\"?", text, near);
	return true;
}

static bool what_read_value(struct what_reader *r, int idx, struct span filter, int depth);

/* What `on(x, filter)` made: its two user values. */
static bool what_read_on(struct what_reader *r, int idx, int depth)
{
	struct span filter;
	bool ok;

	lua_getiuservalue(r->L, idx, 2);
	filter.p = lua_tolstring(r->L, -1, &filter.n);
	filter = what_dup(r->a, filter);
	lua_getiuservalue(r->L, idx, 1);
	ok = what_read_value(r, lua_gettop(r->L), filter, depth + 1);
	lua_pop(r->L, 2);
	return ok;
}

static bool what_is_on(lua_State *L, int idx)
{
	bool is;

	if (!lua_getmetatable(L, idx))
		return false;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &what_on_key);
	is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is;
}

static bool what_read_list(struct what_reader *r, int idx, struct span filter, int depth)
{
	size_t n, i;
	bool ok = true;

	luaL_checkstack(r->L, 10, NULL);
	if (!script_push_contents(r->L, idx))
		return err_set(r->err, "an event type, a handle or a list of them is expected");
	n = lua_rawlen(r->L, -1);
	if (n == 0)
		ok = err_set(r->err,
			"an empty list never happens; filters go into on(\"type\", { ... })");
	for (i = 1; i <= n && ok; i++) {
		lua_rawgeti(r->L, -1, (lua_Integer)i);
		ok = what_read_value(r, lua_gettop(r->L), filter, depth + 1);
		lua_pop(r->L, 1);
	}
	lua_pop(r->L, 1);
	return ok;
}

static bool what_read_value(struct what_reader *r, int idx, struct span filter, int depth)
{
	struct what_term term = { .kind = WHAT_EVENT };
	int type = lua_type(r->L, idx);

	if (depth > WHAT_DEPTH)
		return err_set(r->err, "lists in lists in lists: write one list");
	if (type == LUA_TSTRING) {
		term.type.p = lua_tolstring(r->L, idx, &term.type.n);
		if (!what_check_type(term.type, r->err))
			return false;
		term.type = what_dup(r->a, term.type);
		return what_add(r, term, filter);
	}
	if (type == LUA_TTABLE)
		return what_read_list(r, idx, filter, depth);
	if (type == LUA_TUSERDATA && what_is_handle(r->L, idx, &term)) {
		if (!r->handles)
			return err_set(r->err,
				"a handle belongs to the chain that sent it; here only event types "
				"can stand");
		return what_add(r, term, filter);
	}
	if (type == LUA_TUSERDATA && what_is_on(r->L, idx))
		return what_read_on(r, idx, depth);
	return err_set(r->err,
		"an event type like \"order.placed\", on(...), a handle or a list is expected, "
		"not a %s",
		luaL_typename(r->L, idx));
}

bool what_read(
	lua_State *L, int idx, bool handles, struct arena *a, struct what *ret, struct err *err)
{
	struct what_reader r = { .L = L, .a = a, .handles = handles, .err = err };

	if (!what_read_value(&r, lua_absindex(L, idx), SPAN(""), 0))
		return false;
	ret->terms = arena_array(a, struct what_term, r.n);
	memcpy(ret->terms, r.terms, r.n * sizeof *r.terms);
	ret->n = r.n;
	return true;
}

/* on(what, filter): the filter becomes JSON at once, so a mistake is found in its line. */
static int l_what_on(lua_State *L)
{
	struct span filter;
	struct err err;

	luaL_checkany(L, 1);
	lua_settop(L, 2);
	if (lua_type(L, 1) != LUA_TSTRING && lua_type(L, 1) != LUA_TTABLE && !what_handle_at(L, 1))
		return luaL_error(L,
			"on(what, { filter }): an event type, an outcome or a list comes "
			"first");
	if (lua_type(L, 2) != LUA_TTABLE && !luajson_text(L, 2, &filter))
		return luaL_error(L,
			"on(what, { filter }): a table with fields comes second, like { status "
			"= \"new\" }");
	if (!luajson_encode(L, 2, WHAT_FILTER_BYTES, script_arena(L), &filter, &err))
		return luaL_error(L, "on(): %s", err.text);
	if (json_kind(filter) != JSON_OBJECT)
		return luaL_error(L,
			"on(what, { filter }): a filter names fields, like { status = \"new\" }");
	lua_newuserdatauv(L, 1, 2);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, 1);
	lua_pushlstring(L, filter.p, filter.n);
	lua_setiuservalue(L, -2, 2);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &what_on_key);
	lua_setmetatable(L, -2);
	return 1;
}

static int l_what_segment(lua_State *L)
{
	return luaL_error(L, "segments (enters, leaves) are not available in this version");
}

void what_open(lua_State *L)
{
	static const luaL_Reg handle[] = { { "__index", l_handle_index },
		{ "__newindex", l_handle_write }, { NULL, NULL } };

	lua_createtable(L, 0, 4);
	luaL_setfuncs(L, handle, 0);
	lua_pushliteral(L, "handle");
	lua_setfield(L, -2, "__kind");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &what_handle_key);
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "what");
	lua_setfield(L, -2, "__kind");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &what_on_key);
	lua_pushcfunction(L, l_what_on);
	script_define_value(L, "on");
	lua_pushcfunction(L, l_what_segment);
	script_define_value(L, "enters");
	lua_pushcfunction(L, l_what_segment);
	script_define_value(L, "leaves");
}

/*** matching ***/

static bool what_filter_matches(struct span filter, struct span data, struct arena *a);

/* Text as it is compared: unescaped, numbers as spelled; {NULL, 0}: neither. */
static struct span what_text(struct span value, struct arena *a)
{
	if (json_kind(value) == JSON_NUMBER)
		return span_trim(value);
	return json_text(value, a);
}

static bool what_equals(struct span f, struct span v, struct arena *a)
{
	enum json_kind kf = json_kind(f), kv = json_kind(v);
	struct span tf, tv;
	double x, y;

	if (kf == JSON_NUMBER && kv == JSON_NUMBER)
		return json_number(f, &x) && json_number(v, &y) && x == y;
	tf = what_text(f, a);
	tv = what_text(v, a);
	if (tf.p || tv.p)
		return tf.p && tv.p && span_eq(tf, tv);
	return kf == kv;
}

/* -1, 0, 1 as v is below, at or above the bound; false: they can not be compared. */
static bool what_compare(struct span bound, struct span v, int *ret)
{
	double x, y;
	int64_t t, u;

	if (field_number(bound, &x) && field_number(v, &y)) {
		*ret = (y > x) - (y < x);
		return true;
	}
	if (field_time(bound, &t) && field_time(v, &u)) {
		*ret = (u > t) - (u < t);
		return true;
	}
	return false;
}

/* Does the object hold nothing but min and max? */
static bool what_is_range(struct span f)
{
	struct json_iter it;
	struct span key, value;
	bool some = false;

	json_iter_init(&it, f);
	while (json_next(&it, &key, &value)) {
		if (!json_text_is(key, SPAN("min")) && !json_text_is(key, SPAN("max")))
			return false;
		some = true;
	}
	return some;
}

static bool what_in_range(struct span f, struct span v)
{
	struct span bound;
	int order;

	if (json_get(f, SPAN("min"), &bound) && (!what_compare(bound, v, &order) || order < 0))
		return false;
	return !json_get(f, SPAN("max"), &bound) || (what_compare(bound, v, &order) && order <= 0);
}

static bool what_value_matches(struct span f, struct span v, struct arena *a)
{
	struct json_iter it;
	struct span element;
	bool any_of = json_kind(f) == JSON_ARRAY;

	if (any_of || json_kind(v) == JSON_ARRAY) {
		json_iter_init(&it, any_of ? f : v);
		while (json_next(&it, NULL, &element))
			if (what_value_matches(any_of ? element : f, any_of ? v : element, a))
				return true;
		return false;
	}
	if (json_kind(f) != JSON_OBJECT)
		return what_equals(f, v, a);
	if (what_is_range(f))
		return what_in_range(f, v);
	return json_kind(v) == JSON_OBJECT && what_filter_matches(f, v, a);
}

/* The field, or the path when its name has dots; false: not there. */
static bool what_field(struct span data, struct span name, struct span *ret)
{
	char path[160];

	if (json_get(data, name, ret))
		return true;
	if (!memchr(name.p, '.', name.n) || name.n >= sizeof path)
		return false;
	(void)span_into(name, path, sizeof path);
	return json_find(data, path, ret);
}

static bool what_filter_matches(struct span filter, struct span data, struct arena *a)
{
	struct json_iter it;
	struct span key, want, value;

	json_iter_init(&it, filter);
	while (json_next(&it, &key, &want)) {
		key = json_text(key, a);
		if (key.n == 0 || !what_field(data, key, &value))
			return false;
		if (!what_value_matches(want, value, a))
			return false;
	}
	return true;
}

static bool what_word_in(struct span word, const char *const *words)
{
	for (; *words; words++)
		if (span_is(word, *words))
			return true;
	return false;
}

static bool what_outcome_matches(const struct what_term *t, struct span type, struct span data)
{
	const char *object = what_object_name(t->object);
	size_t n = strlen(object);
	struct span word, id;
	int64_t value;
	char name[24];

	if (!span_starts(type, object) || type.n <= n || type.p[n] != '.')
		return false;
	word = (struct span){ type.p + n + 1, type.n - n - 1 };
	if (t->outcome.n ? !span_eq(word, t->outcome) : !what_word_in(word, what_over(t->object)))
		return false;
	snprintf(name, sizeof name, "%s_id", object);
	return json_get(data, span_of(name), &id) && field_integer(id, &value) && value == t->id;
}

int what_match(const struct what *w, struct span type, struct span data)
{
	struct arena a = { 0 };
	unsigned i;
	int found = -1;

	for (i = 0; i < w->n && found < 0; i++) {
		const struct what_term *t = &w->terms[i];

		if (t->kind == WHAT_EVENT ? !event_type_matches(t->type, type)
					  : !what_outcome_matches(t, type, data))
			continue;
		if (t->filter.n == 0 || what_filter_matches(t->filter, data, &a))
			found = (int)i;
	}
	arena_fini(&a);
	return found;
}

/*** types, JSON ***/

static void what_add_type(struct span *types, unsigned *n, struct span type)
{
	unsigned i;

	for (i = 0; i < *n; i++)
		if (span_eq(types[i], type))
			return;
	types[(*n)++] = type;
}

static void what_add_outcome(struct span *types, unsigned *n, const struct what_term *t,
	const char *word, struct arena *a)
{
	what_add_type(
		types, n, span_of(arena_printf(a, "%s.%s", what_object_name(t->object), word)));
}

struct span *what_types(const struct what *w, struct arena *a, unsigned *ret_n)
{
	struct span *types = arena_array(a, struct span, 2 * w->n + 1);
	const char *const *word;
	unsigned i, n = 0;

	for (i = 0; i < w->n; i++) {
		const struct what_term *t = &w->terms[i];

		if (t->kind == WHAT_EVENT)
			what_add_type(types, &n, t->type);
		else if (t->outcome.n)
			what_add_outcome(types, &n, t, arena_dup(a, t->outcome.p, t->outcome.n), a);
		else
			for (word = what_over(t->object); *word; word++)
				what_add_outcome(types, &n, t, *word, a);
	}
	*ret_n = n;
	return types;
}

/* Keys in the order of their bytes: filter message outcome task type. */
static void what_put_term(struct buf *b, const struct what_term *t)
{
	buf_char(b, '{');
	if (t->filter.n) {
		json_put_key(b, "filter");
		buf_span(b, t->filter);
	}
	if (t->kind == WHAT_EVENT) {
		json_put_key(b, "type");
		json_put_text(b, t->type);
	} else {
		if (t->object == WHAT_MESSAGE) {
			json_put_key(b, "message");
			buf_int(b, t->id);
		}
		if (t->outcome.n) {
			json_put_key(b, "outcome");
			json_put_text(b, t->outcome);
		}
		if (t->object == WHAT_TASK) {
			json_put_key(b, "task");
			buf_int(b, t->id);
		}
	}
	buf_char(b, '}');
}

struct span what_write(const struct what *w, struct arena *a)
{
	UNSET char first[BUF_USUAL];
	struct buf b = BUF_ON(first);
	struct span text;
	unsigned i;

	if (w->n == 0)
		return SPAN("");
	buf_char(&b, '[');
	for (i = 0; i < w->n; i++) {
		if (i > 0)
			buf_char(&b, ',');
		what_put_term(&b, &w->terms[i]);
	}
	buf_char(&b, ']');
	text = what_dup(a, buf_as_span(&b));
	buf_free(&b);
	return text;
}

static bool what_parse_term(struct span json, struct arena *a, struct what_term *t, struct err *err)
{
	struct span value;

	*t = (struct what_term){ .kind = WHAT_EVENT };
	if (json_get(json, SPAN("filter"), &value))
		t->filter = span_trim(value);
	if (json_get(json, SPAN("type"), &value)) {
		t->type = json_text(value, a);
		return t->type.n > 0 || err_set(err, "a term without an event type");
	}
	t->kind = WHAT_OUTCOME;
	t->object = json_get(json, SPAN("task"), &value) ? WHAT_TASK : WHAT_MESSAGE;
	if (t->object == WHAT_MESSAGE && !json_get(json, SPAN("message"), &value))
		return err_set(err, "a term that names neither type, message nor task");
	if (!json_integer(value, &t->id))
		return err_set(err, "a term whose number is none");
	if (json_get(json, SPAN("outcome"), &value))
		t->outcome = json_text(value, a);
	return true;
}

bool what_parse(struct span json, struct arena *a, struct what *ret, struct err *err)
{
	struct what_term terms[WHAT_TERMS];
	struct json_fault fault;
	struct json_iter it;
	struct span element;
	unsigned n = 0;

	*ret = (struct what){ NULL, 0 };
	if (span_trim(json).n == 0)
		return true;
	if (!json_check_all(json, &fault) || json_kind(json) != JSON_ARRAY)
		return err_set(err, "could not read what is waited for: no list in JSON");
	json_iter_init(&it, json);
	while (json_next(&it, NULL, &element)) {
		if (n == WHAT_TERMS)
			return err_set(err, "could not read what is waited for: too long");
		if (!what_parse_term(element, a, &terms[n], err))
			return err_prefix(err, "could not read what is waited for: ");
		n++;
	}
	ret->terms = arena_array(a, struct what_term, n);
	memcpy(ret->terms, terms, n * sizeof *terms);
	ret->n = n;
	return true;
}
