/*
 * show.c: an event as a lazy object with its meta beside it.
 *
 * The object made last is kept in the registry: all rules of a type are asked about one event in a row, and
 * objects are read-only, so they may share it.
 */
#include "engine/show.h"

#include "base/clock.h"
#include "base/json.h"
#include "engine/lua_json.h"

#include <lauxlib.h>
#include <string.h>

/* The kinds of event.meta (luajson_kind_fn). */
static enum field_kind show_meta_kind(const void *arg, struct span path)
{
	(void)arg;
	if (span_is(path, "time") || span_is(path, "received") || span_is(path, "claimed_time"))
		return FIELD_TIME;
	return span_is(path, "seq") ? FIELD_NUMBER : FIELD_TEXT;
}

static void show_put_text(struct buf *b, const char *key, struct span value)
{
	json_put_key(b, key);
	json_put_text(b, value.p ? value : SPAN(""));
}

static void show_put_time(struct buf *b, const char *key, int64_t at_us)
{
	char text[32];

	if (at_us == TIME_NONE)
		return;
	json_put_key(b, key);
	json_put_text(b, span_of(clock_format_rfc3339(at_us, text)));
}

/* When it happened, as far as anybody knows. */
static int64_t show_time(const struct shop_event *e)
{
	return e->time_us == TIME_NONE ? e->received_us : e->time_us;
}

/* Pushes event.meta. */
static void show_meta(lua_State *L, struct judge *j, const struct shop_event *e)
{
	struct buf *b = &j->scratch;

	buf_clear(b);
	buf_char(b, '{');
	show_put_text(b, "id", e->id);
	show_put_text(b, "type", e->type);
	show_put_time(b, "time", show_time(e));
	show_put_time(b, "received", e->received_us);
	show_put_time(b, "claimed_time", e->claimed_us);
	show_put_text(b, "store", span_of(e->shop ? e->shop->id : ""));
	show_put_text(b, "source", e->source);
	json_put_key(b, "seq");
	buf_int(b, e->seq);
	buf_char(b, '}');
	luajson_push(L, buf_as_span(b), show_meta_kind, NULL, "");
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
