/*** @module acting
 * What a chain does beside sending.  Each call is one step of the chain: carried out exactly once, recorded in its history.
 *
 *	task { title = "Call about the cart", group = "sales", deadline = "2h" }
 *	tag "cart-left"
 *	note "asked sales to call"
 */
#include "base/duration.h"
#include "base/json.h"
#include "base/suggest.h"
#include "base/tz.h"
#include "engine/args.h"
#include "engine/binds.h"
#include "engine/card.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "model/staff.h"

#include <lauxlib.h>
#include <string.h>

enum {
	ACT_EMIT_BYTES = 64 * 1024,
	ACT_TEXT_BYTES = 4096,
};

/*** tasks ***/

bool act_is_policy(struct span name)
{
	static const char *const policies[] = { "last_manager", "least_loaded", "round_robin",
		"order_manager", "head" };

	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
		if (span_is(name, policies[i]))
			return true;
	return false;
}

/* Is there such a manager or group in the configuration? */
static void act_check_staff(lua_State *L, struct eval *e, struct span name, bool group)
{
	const struct staff *staff = e->desk->sitting->judge->env.staff;
	struct suggest near;

	if (!name.p || !staff)
		return;
	suggest_init(&near, name.p);
	for (size_t i = 0; i < (group ? staff->ngroups : staff->nmanagers); i++) {
		const char *have = group ? staff->groups[i].name : staff->managers[i].name;

		if (span_is(name, have))
			return;
		suggest_offer(&near, have);
	}
	if (!group && act_is_policy(name))
		luaL_error(L,
			"task: assign names one manager of the configuration, not a way to "
			"choose one; for anybody of a group write group = \"NAME\" without assign");
	if (near.best)
		luaL_error(L, "task: there is no %s \"%s\"; did you mean \"%s\"?",
			group ? "group" : "manager", name.p, near.best);
	luaL_error(L, "task: there is no %s \"%s\" in the configuration",
		group ? "group" : "manager", name.p);
}

/* The words to choose from, as JSON. */
static struct span act_task_results(lua_State *L, struct eval *e)
{
	struct span results = args_json(L, e, 1, "results", ACT_TEXT_BYTES), word;
	struct json_iter it;

	if (!results.n)
		return results;
	json_iter_init(&it, results);
	while (json_next(&it, NULL, &word))
		if (json_kind(word) != JSON_STRING)
			luaL_error(L, "task: results are words: results = { \"ok\", \"fraud\" }");
	return results;
}

static struct task *act_task_write(lua_State *L, struct eval *e, struct span title)
{
	struct visit *v = e->desk->visit;
	struct task *t = arena_new(eval_arena(e), struct task);

	t->customer = v->customer;
	t->chain = e->chain->id;
	t->shop = e->shop;
	t->rule = e->chain->rule;
	t->title = title;
	t->text = args_text(L, e, 1, "text");
	t->manager = args_text(L, e, 1, "assign");
	t->group = args_text(L, e, 1, "group");
	act_check_staff(L, e, t->manager, false);
	act_check_staff(L, e, t->group, true);
	t->order_id = args_text(L, e, 1, "order");
	t->call = args_text(L, e, 1, "call");
	t->results = act_task_results(L, e);
	t->priority = (int)args_int(L, 1, "priority", 0, 100, e->rule->priority);
	t->created_us = eval_now(e);
	t->deadline_us = args_moment(L, e, 1, "deadline", eval_now(e), TIME_NONE);
	t->remind_us = TIME_NONE;
	if (args_push(L, 1, "remind")) {
		struct duration d = args_duration(L, -1, "remind");

		if (t->deadline_us == TIME_NONE)
			luaL_error(L, "task: remind needs a deadline");
		t->remind_us =
			duration_add(t->deadline_us, (struct duration){ -d.days, -d.us }, e->zone);
		lua_pop(L, 1);
	}
	t->taken_us = t->done_us = TIME_NONE;
	t->keep = args_flag(L, 1, "keep");
	t->state = TASK_OPEN;
	t->is_new = true;
	t->id = sitting_number(e->desk->sitting);
	BATCH_PUSH(eval_arena(e), v->tasks, v->n_tasks, v->cap_tasks) = t;
	return t;
}

/*** @function task(t)
 * Writes a task for a manager or a group.
 * @param {table} t title=, text=, assign=, group=, deadline=, remind=, priority=, order=, call=, results=, keep=
 * @return {handle} outcomes .taken .done .overdue
 */
static int l_act_task(lua_State *L)
{
	static const char *const keys[] = { "title", "text", "assign", "group", "deadline",
		"remind", "priority", "order", "call", "results", "keep", NULL };
	struct eval *e = eval_of_run(L, "task");
	struct span title, result;
	struct task *t;

	args_open(L, 1, "task", keys);
	title = args_need_text(L, e, 1, "task", "title");
	if (eval_step(L, e, "task", title, &result)) {
		what_push_handle(L, WHAT_TASK, eval_made_id(L, e, result));
		return 1;
	}
	eval_effect(L, e);
	t = act_task_write(L, e, title);
	eval_record(L, e, "task", title,
		eval_made(e, (struct span){ NULL, 0 },
			t->deadline_us != TIME_NONE ? "deadline" : NULL, t->deadline_us, t->id));
	what_push_handle(L, WHAT_TASK, t->id);
	return 1;
}

/*** the card ***/

/* Changes a text field of the card. */
static void act_set_text(struct eval *e, enum card_text field, struct span value)
{
	struct customer *card = e->desk->visit->card;

	if (span_eq(card->text[field], value) && !card->text[field].p == !value.p)
		return;
	card->text[field] = value;
	card->changed |= CARD_CHANGED_PROFILE;
}

/* consent = { email = true } */
static void act_set_consent(lua_State *L, struct eval *e, int idx)
{
	const char *wrong = NULL;
	static const char *const channels[] = { "email", "sms", "call", "push", "messenger", NULL };
	int64_t seq = e->frame->event ? e->frame->event->seq : 0;

	if (!script_push_contents(L, idx))
		luaL_error(L, "set: consent = { email = true }");
	lua_replace(L, idx);
	for (size_t i = 0; channels[i]; i++) {
		lua_pushstring(L, channels[i]);
		if (lua_rawget(L, idx) == LUA_TBOOLEAN)
			card_consent(eval_batch(e), e->desk->visit, span_of(channels[i]),
				lua_toboolean(L, -1), e->chain->rule, eval_now(e), seq);
		lua_pop(L, 1);
	}
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
		const char *near = suggest_word(key, channels);

		if (!(near && !strcmp(near, key)) && (!wrong || strcmp(key, wrong) < 0))
			wrong = key; /* the first by name: the table's order is not the same everywhere */
	}
	if (wrong) {
		const char *near = suggest_word(wrong, channels);

		luaL_error(L, "set: unknown channel \"%s\" in consent%s%s", wrong,
			near ? "; did you mean " : "", near ? near : "");
	}
}

/* Fields of the card that a rule may change; the rest becomes attributes. */
static bool act_settable(const char *key, enum card_text *ret)
{
	static const enum card_text fields[] = { CARD_NAME, CARD_FIRST_NAME, CARD_LAST_NAME,
		CARD_LANG, CARD_TZ, CARD_CITY, CARD_BIRTHDAY, CARD_GENDER, CARD_MANAGER };

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!strcmp(key, card_text_names[fields[i]])) {
			*ret = fields[i];
			return true;
		}
	return false;
}

/* Words that are no attributes although rules can read them. */
static bool act_is_read_only(const char *key)
{
	static const char *const fields[] = { "id", "email", "phone", "tags", "attributes",
		"orders", "cart", "segments", "value", "created_at", "last_seen_at", "suppressed" };

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!strcmp(key, fields[i]))
			return true;
	return false;
}

/* One field: key at -2, value at -1.  What becomes an attribute is put into the table at `rest`. */
static void act_set_field(lua_State *L, struct eval *e, int rest)
{
	const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
	enum card_text field;

	if (!key)
		luaL_error(L, "set: write the fields by name, set { city = \"Berlin\" }");
	if (!strcmp(key, "consent")) {
		act_set_consent(L, e, lua_gettop(L));
	} else if (act_settable(key, &field)) {
		if (lua_type(L, -1) != LUA_TSTRING)
			luaL_error(L, "set: field \"%s\" must be text", key);
		if (field == CARD_TZ && !tz_get(lua_tostring(L, -1)))
			luaL_error(L, "set: \"%s\" is no time zone; write \"Europe/Berlin\"",
				lua_tostring(L, -1));
		act_set_text(e, field, eval_text(L, e, lua_gettop(L)));
	} else if (act_is_read_only(key)) {
		luaL_error(L, "set: field \"%s\" can not be set by a rule", key);
	} else {
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, rest);
	}
}

/*** @function set(t)
 * Changes the customer's card, seen at once.  Unknown fields become attributes.
 * @param {table} t field = value; consent = { email = true } is logged with the event as proof
 */
static int l_act_set(lua_State *L)
{
	struct eval *e = eval_of_run(L, "set");
	struct span result, patch;
	struct err err;
	bool any;

	if (!script_push_contents(L, 1))
		return luaL_error(L, "set: a table is expected, set { city = \"Berlin\" }");
	lua_replace(L, 1);
	lua_settop(L, 1);
	if (eval_step(L, e, "set", (struct span){ NULL, 0 }, &result)) {
		eval_cut(e);
		return 0;
	}
	eval_effect(L, e);
	lua_newtable(L);         /* 2: attributes */
	luajson_push_keys(L, 1); /* 3: a fixed order */
	for (lua_Integer i = 1; lua_rawgeti(L, 3, i) != LUA_TNIL; i++) {
		lua_pushvalue(L, -1);
		lua_rawget(L, 1);
		act_set_field(L, e, 2);
		lua_settop(L, 3);
	}
	lua_settop(L, 2);
	lua_pushnil(L);
	any = lua_next(L, 2);
	lua_settop(L, 2);
	if (any) {
		if (!luajson_encode(L, 2, e->desk->sitting->judge->env.limits.with_bytes,
			    eval_arena(e), &patch, &err))
			return luaL_error(L, "set: %s", err.text);
		card_merge_attributes(eval_batch(e), e->desk->visit, patch);
	}
	eval_record(L, e, "set", (struct span){ NULL, 0 }, SPAN("null"));
	eval_cut(e);
	return 0;
}

/* The sorted list of tags with one put in or taken out; true when that changed it. */
static bool act_tags_with(struct eval *e, struct span tag, bool put, struct span *ret)
{
	struct customer *card = e->desk->visit->card;
	struct arena *a = eval_arena(e);
	struct buf *b = &e->desk->sitting->judge->scratch;
	struct json_iter it;
	struct span value, have;
	bool done = false, changed = put;

	buf_clear(b);
	buf_char(b, '[');
	json_iter_init(&it, card->json[CARD_TAGS].n ? card->json[CARD_TAGS] : SPAN("[]"));
	while (json_next(&it, NULL, &value)) {
		int order;

		have = json_text(value, a);
		order = span_cmp(have, tag);
		if (order == 0) {
			changed = !put;
			done = true;
			if (!put)
				continue;
		} else if (put && !done && order > 0) {
			if (b->n > 1)
				buf_char(b, ',');
			json_put_text(b, tag);
			done = true;
		}
		if (b->n > 1)
			buf_char(b, ',');
		buf_span(b, value);
	}
	if (put && !done) {
		if (b->n > 1)
			buf_char(b, ',');
		json_put_text(b, tag);
	}
	buf_char(b, ']');
	*ret = sitting_keep(e->desk->sitting, b);
	return changed;
}

static int act_tag(lua_State *L, const char *call, bool put)
{
	struct eval *e = eval_of_run(L, call);
	struct span tag = eval_text(L, e, 1), result, tags;
	struct customer *card = e->desk->visit->card;

	if (!tag.n || tag.n > 128)
		return luaL_argerror(L, 1, "a tag of 1 to 128 bytes");
	if (eval_step(L, e, call, (struct span){ NULL, 0 }, &result)) {
		eval_cut(e);
		return 0;
	}
	eval_effect(L, e);
	if (act_tags_with(e, tag, put, &tags)) {
		card->json[CARD_TAGS] = tags;
		card->changed |= CARD_CHANGED_PROFILE;
	}
	eval_record(L, e, call, (struct span){ NULL, 0 }, SPAN("null"));
	eval_cut(e);
	return 0;
}

/*** @function tag(word)
 * Puts a tag on the customer's card.
 * @param {string} word
 */
static int l_act_tag(lua_State *L)
{
	return act_tag(L, "tag", true);
}

/*** @function untag(word)
 * Takes a tag off the customer's card.
 * @param {string} word
 */
static int l_act_untag(lua_State *L)
{
	return act_tag(L, "untag", false);
}

/*** events and notes ***/

/* The event that a chain emits: its key comes from the chain and the step, so it is the same in any process. */
static void act_emit_event(struct eval *e, struct span type, struct span data)
{
	struct shop_event *cause = arena_new(eval_arena(e), struct shop_event), *event;
	struct span what;

	cause->shop = e->shop;
	cause->id.p = arena_printf(eval_arena(e), "chain/%lld", (long long)e->chain->id);
	cause->id.n = strlen(cause->id.p);
	cause->customer = e->desk->visit->customer;
	cause->time_us = cause->received_us = eval_now(e);
	cause->claimed_us = TIME_NONE;
	cause->depth = (e->frame->event ? e->frame->event->depth : e->event->depth) + 1;
	if (cause->depth <= e->event->depth)
		cause->depth = e->event->depth + 1;
	what.p = arena_printf(eval_arena(e), "emit/%zu", e->replay.count + 1);
	what.n = strlen(what.p);
	event = card_follow_up(eval_batch(e), cause, type, what, data, EVENT_EMITTED);
	event->cause_chain = e->chain->id;
	event->depth = cause->depth;
	BATCH_PUSH(eval_arena(e), e->frame->follow.events, e->frame->follow.n,
		e->frame->follow.cap) = event;
}

/*** @function emit(type, data)
 * Makes a new event about the same customer; it is judged right after this one.
 * @param {string} type
 * @param {table} data
 */
static int l_act_emit(lua_State *L)
{
	struct eval *e = eval_of_run(L, "emit");
	int most = e->desk->sitting->judge->env.limits.emit_depth;
	int depth = e->frame->event ? e->frame->event->depth : e->event->depth;
	struct span type = eval_text(L, e, 1), data = SPAN("{}"), result;
	struct err err;

	if (!type.n || type.n > 128 || memchr(type.p, '*', type.n))
		return luaL_argerror(L, 1, "an event type of 1 to 128 bytes, without *");
	if (eval_step(L, e, "emit", type, &result))
		return 0;
	eval_effect(L, e);
	if (span_is(type, "customer.merged")) /* cards are joined before an event is judged */
		return luaL_error(
			L, "emit: cards are joined by a store's own customer.merged only");
	if (depth + 1 > most || e->event->depth + 1 > most)
		return luaL_error(
			L, "emit: events that cause events end at depth %d (limit)", most);
	if (!lua_isnoneornil(L, 2)) {
		if (!luajson_encode(L, 2, ACT_EMIT_BYTES, eval_arena(e), &data, &err))
			return luaL_error(L, "emit: %s", err.text);
		if (json_kind(data) != JSON_OBJECT)
			return luaL_argerror(L, 2, "data must have names: { order_id = \"7\" }");
	}
	act_emit_event(e, type, data);
	eval_record(L, e, "emit", type, SPAN("null"));
	return 0;
}

/*** @function note(text)
 * Writes a line on the customer's card.
 * @param {string} text
 */
static int l_act_note(lua_State *L)
{
	struct eval *e = eval_of_run(L, "note");
	struct span text = eval_text(L, e, 1), result;
	struct visit *v = e->desk->visit;
	struct visit_note *n;

	if (text.n > ACT_TEXT_BYTES)
		return luaL_argerror(L, 1, "a note has 4,096 bytes at most");
	if (eval_step(L, e, "note", (struct span){ NULL, 0 }, &result))
		return 0;
	eval_effect(L, e);
	n = arena_new(eval_arena(e), struct visit_note);
	n->text = text;
	n->rule = e->chain->rule;
	n->at_us = eval_now(e);
	n->seq = e->frame->event ? e->frame->event->seq : 0;
	n->chain = e->chain->id;
	BATCH_PUSH(eval_arena(e), v->notes, v->n_notes, v->cap_notes) = n;
	eval_record(L, e, "note", (struct span){ NULL, 0 }, SPAN("null"));
	return 0;
}

static const luaL_Reg act_calls[] = {
	{ "emit", l_act_emit },
	{ "note", l_act_note },
	{ "set", l_act_set },
	{ "tag", l_act_tag },
	{ "task", l_act_task },
	{ "untag", l_act_untag },
	{ NULL, NULL },
};

void bind_act(struct script *s)
{
	script_define(s, act_calls);
}
