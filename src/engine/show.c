/*
 * show.c: an event as a lazy object with its meta beside it.
 *
 * The object made last is kept in the registry: all rules of a type are asked about one event in a row, and
 * objects are read-only, so they may share it.  Its fields are watched, so that a verdict can
 * tell what `when` has read.
 */
#include "engine/show.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/suggest.h"
#include "engine/bind_time.h"
#include "engine/eval.h"
#include "engine/lua_json.h"

#include <lauxlib.h>
#include <string.h>

static void show_put_text(struct buf *b, const char *key, struct span value)
{
	json_put_key(b, key);
	json_put_text(b, value.p ? value : SPAN(""));
}

/* When it happened, as far as anybody knows. */
static int64_t show_time(const struct shop_event *e)
{
	return e->time_us == TIME_NONE ? e->received_us : e->time_us;
}

/* event.meta: its own copy of the few fields, read when asked. */
enum show_text { SHOW_ID, SHOW_TYPE, SHOW_SOURCE, SHOW_STORE, SHOW_TEXTS };
struct show_meta {
	int64_t time_us, received_us, claimed_us, seq;
	size_t n[SHOW_TEXTS];
	char text[]; /* one behind the other */
};

/* Pushes event.meta. */
static void show_meta(lua_State *L, struct judge *j, const struct shop_event *e)
{
	const struct span texts[SHOW_TEXTS] = { e->id, e->type, e->source,
		span_of(e->shop ? e->shop->id : "") };
	struct show_meta *m;
	size_t n = 0;

	for (int i = 0; i < SHOW_TEXTS; i++)
		n += texts[i].n;
	m = lua_newuserdatauv(L, sizeof *m + n, 0);
	m->time_us = show_time(e);
	m->received_us = e->received_us;
	m->claimed_us = e->claimed_us;
	m->seq = e->seq;
	n = 0;
	for (int i = 0; i < SHOW_TEXTS; i++) {
		m->n[i] = texts[i].n;
		if (texts[i].n)
			memcpy(m->text + n, texts[i].p, texts[i].n);
		n += texts[i].n;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, j->meta_ref);
	lua_setmetatable(L, -2);
}

static void show_push_text(lua_State *L, const struct show_meta *m, enum show_text which)
{
	size_t at = 0;

	for (int i = 0; i < (int)which; i++)
		at += m->n[i];
	lua_pushlstring(L, m->text + at, m->n[which]);
}

/* __index of event.meta. */
static int l_show_meta_index(lua_State *L)
{
	static const char *const names[] = { "id", "type", "source", "store", "seq", "time",
		"received", "claimed_time", NULL };
	const struct show_meta *m = lua_touserdata(L, 1);
	const char *key = luaL_checkstring(L, 2), *near;
	int i = 0;

	while (names[i] && strcmp(names[i], key))
		i++;
	switch (i) {
	case SHOW_ID:
	case SHOW_TYPE:
	case SHOW_SOURCE:
	case SHOW_STORE: show_push_text(L, m, (enum show_text)i); return 1;
	case 4: lua_pushinteger(L, m->seq); return 1;
	case 5: bind_time_push(L, m->time_us); return 1;
	case 6: bind_time_push(L, m->received_us); return 1;
	case 7: bind_time_push(L, m->claimed_us); return 1;
	}
	near = suggest_word(key, names);
	return near ? luaL_error(L, "event.meta has no \"%s\"; did you mean \"%s\"?", key, near)
		    : luaL_error(L, "event.meta has no \"%s\"", key);
}

static int l_show_meta_newindex(lua_State *L)
{
	return luaL_error(L, "event.meta is read-only");
}

void show_open(lua_State *L, struct judge *j)
{
	lua_createtable(L, 0, 4);
	lua_pushcfunction(L, l_show_meta_index);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, l_show_meta_newindex);
	lua_setfield(L, -2, "__newindex");
	lua_pushliteral(L, "event.meta");
	lua_setfield(L, -2, "__name");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	j->meta_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	j->shown_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Pushes a new object. */
static void show_push(lua_State *L, struct judge *j, const struct shop_event *e)
{
	luajson_push(L, e->data.n ? e->data : SPAN("{}"), luajson_kind_event,
		vocabulary_find(e->type), "");
	show_meta(L, j, e);
	luajson_set_hidden(L, -2, "meta");
}

void show_event(lua_State *L, struct judge *j, const struct shop_event *e)
{
	if (j->shown == e) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, j->shown_ref);
		return;
	}
	show_push(L, j, e);
	luajson_watch(L, -1, eval_note_field);
	lua_pushvalue(L, -1);
	lua_rawseti(L, LUA_REGISTRYINDEX, j->shown_ref);
	j->shown = e;
}

void show_answer(lua_State *L, struct judge *j, struct arena *a, struct span json)
{
	struct span outcome;
	struct shop_event *e;

	if (!json.p || json_is_null(json)) {
		lua_pushnil(L);
		return;
	}
	e = show_read(j, a, json, &outcome);
	show_push(L, j, e);
	if (outcome.p) {
		lua_pushlstring(L, outcome.p, outcome.n);
		luajson_set_hidden(L, -2, "outcome");
	}
}

static void show_put_int(struct buf *b, const char *key, int64_t v)
{
	json_put_key(b, key);
	buf_int(b, v);
}

struct span show_write(struct sitting *s, const struct shop_event *e, struct span outcome)
{
	struct buf *b = &s->judge->scratch;

	buf_clear(b);
	buf_char(b, '{');
	show_put_text(b, "id", e->id);
	show_put_text(b, "type", e->type);
	show_put_int(b, "time", show_time(e));
	show_put_int(b, "received", e->received_us);
	if (e->claimed_us != TIME_NONE)
		show_put_int(b, "claimed", e->claimed_us);
	show_put_text(b, "store", span_of(e->shop ? e->shop->id : ""));
	show_put_text(b, "source", e->source);
	show_put_int(b, "seq", e->seq);
	show_put_int(b, "depth", e->depth);
	if (outcome.p)
		show_put_text(b, "outcome", outcome);
	json_put_key(b, "data");
	buf_span(b, e->data.n ? e->data : SPAN("{}"));
	buf_char(b, '}');
	return sitting_keep(s, b);
}

/* A whole number of the copy; TIME_NONE when it is not there. */
static int64_t show_int(struct span json, struct span key)
{
	struct span value;
	int64_t v;

	return json_get(json, key, &value) && json_integer(value, &v) ? v : TIME_NONE;
}

static struct span show_text(struct span json, struct span key, struct arena *a)
{
	struct span value;

	return json_get(json, key, &value) ? json_text(value, a) : (struct span){ NULL, 0 };
}

struct shop_event *show_read(
	const struct judge *j, struct arena *a, struct span json, struct span *ret_outcome)
{
	struct shop_event *e = arena_new(a, struct shop_event);
	struct span store = show_text(json, SPAN("store"), a);

	e->id = show_text(json, SPAN("id"), a);
	e->type = show_text(json, SPAN("type"), a);
	e->source = show_text(json, SPAN("source"), a);
	e->time_us = show_int(json, SPAN("time"));
	e->received_us = show_int(json, SPAN("received"));
	e->claimed_us = show_int(json, SPAN("claimed"));
	e->seq = show_int(json, SPAN("seq"));
	e->depth = (int)show_int(json, SPAN("depth"));
	if (e->depth < 0)
		e->depth = 0;
	if (!json_get(json, SPAN("data"), &e->data))
		e->data = SPAN("{}");
	*ret_outcome = show_text(json, SPAN("outcome"), a);
	for (size_t i = 0; i < j->env.n_shops; i++)
		if (span_is(store, j->env.shops[i].id))
			e->shop = &j->env.shops[i];
	e->status = EVENT_ACCEPTED;
	return e;
}
