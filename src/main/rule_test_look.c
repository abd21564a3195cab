/*
 * rule_test_look.c: what has happened, as a test may ask: effects, verdicts, chains, errors, notes.
 *
 * An expectation marks the effect that it found, so two of the same need two expectations, and t:expect_none says
 * that nothing is left.  What a test is told when it fails is everything that happened, with what went wrong.
 */
#include "base/clock.h"
#include "base/json.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "main/rule_test_int.h"
#include "model/batch.h"
#include "store/mem.h"

#include <string.h>

struct rule_test_effect {
	const char *kind; /* "email", "publish", "task" */
	int64_t id;
	struct span name; /* template, topic, title */
	const struct message *message;
	const struct task *task;
};

static bool rule_test_is_seen(const struct rule_test *t, int64_t id)
{
	return map_get(&t->seen, MAP_KEY(id)) != NULL;
}

/* The next effect after id, messages and tasks in order of their numbers. */
static bool rule_test_next_effect(struct rule_test *t, int64_t after, struct rule_test_effect *ret)
{
	const struct mem_tables *m = rig_tables(t->rig);
	struct rule_test_effect best = { .id = INT64_MAX };

	for (size_t i = 0; i < m->n_messages; i++) {
		const struct message *x = m->messages[i];

		if (x->id <= after || x->id >= best.id)
			continue;
		best = (struct rule_test_effect){ message_channel_name(x->channel), x->id,
			x->template_name, x, NULL };
		if (x->channel == CHANNEL_PUBLISH && json_find(x->data, "topic", &best.name))
			best.name = json_text(best.name, rig_arena(t->rig));
	}
	for (size_t i = 0; i < m->n_tasks; i++)
		if (m->tasks[i]->id > after && m->tasks[i]->id < best.id)
			best = (struct rule_test_effect){ "task", m->tasks[i]->id,
				m->tasks[i]->title, NULL, m->tasks[i] };
	if (best.id == INT64_MAX)
		return false;
	*ret = best;
	return true;
}

/* Counts as something that happened: not decided against, not withdrawn before anybody saw it. */
static bool rule_test_happened(const struct rule_test_effect *x)
{
	if (x->message != NULL)
		return x->message->state == MESSAGE_SENT;
	return x->task->state != TASK_WITHDRAWN;
}

static const struct customer *rule_test_customer_of(struct rule_test *t, int64_t id)
{
	const struct mem_tables *m = rig_tables(t->rig);

	for (size_t i = 0; i < m->n_customers; i++)
		if (m->customers[i]->id == id)
			return m->customers[i];
	return NULL;
}

static void rule_test_set_time(lua_State *L, const char *key, int64_t at_us)
{
	char text[32];

	if (at_us == TIME_NONE)
		return;
	lua_pushstring(L, clock_format_rfc3339(at_us, text));
	lua_setfield(L, -2, key);
}

static void rule_test_push_message(lua_State *L, struct rule_test *t, const struct message *x)
{
	const struct customer *c = rule_test_customer_of(t, x->customer);
	struct span with;

	rule_test_set_text(L, "to", x->to.n || c == NULL ? x->to : c->text[CARD_EMAIL]);
	rule_test_set_text(L, "rule", x->rule);
	rule_test_set_text(L, "subject", x->subject);
	rule_test_set_text(L, "lang", x->lang);
	rule_test_set_text(L, "code", x->code);
	lua_pushstring(L, message_class_name(x->class_));
	lua_setfield(L, -2, "class");
	lua_pushstring(L, message_state_name(x->state));
	lua_setfield(L, -2, "state");
	rule_test_set_time(L, "due_at", x->due_us);
	rule_test_set_time(L, "expires_at", x->expires_us);
	if (x->channel == CHANNEL_PUBLISH ? json_get(x->data, SPAN("payload"), &with)
					  : json_get(x->data, SPAN("with"), &with)) {
		luajson_push(L, with, NULL, NULL, "");
		lua_setfield(L, -2, x->channel == CHANNEL_PUBLISH ? "payload" : "with");
	}
}

static void rule_test_push_task(lua_State *L, const struct task *x)
{
	rule_test_set_text(L, "rule", x->rule);
	rule_test_set_text(L, "text", x->text);
	rule_test_set_text(L, "manager", x->manager);
	rule_test_set_text(L, "group", x->group);
	rule_test_set_text(L, "order", x->order_id);
	rule_test_set_text(L, "call", x->call);
	lua_pushstring(L, task_state_name(x->state));
	lua_setfield(L, -2, "state");
	lua_pushboolean(L, x->overdue);
	lua_setfield(L, -2, "overdue");
	lua_pushinteger(L, x->priority);
	lua_setfield(L, -2, "priority");
	rule_test_set_text(L, "result", x->result);
	if (x->results.n) {
		luajson_push(L, x->results, NULL, NULL, "");
		lua_setfield(L, -2, "results");
	}
	rule_test_set_time(L, "deadline_at", x->deadline_us);
	rule_test_set_time(L, "remind_at", x->remind_us);
}

static void rule_test_push_effect(
	lua_State *L, struct rule_test *t, const struct rule_test_effect *x)
{
	lua_newtable(L);
	lua_pushfstring(L, "%I", (LUAI_UACINT)x->id);
	lua_setfield(L, -2, "id");
	rule_test_set_text(L, x->kind, x->name);
	if (x->message != NULL)
		rule_test_push_message(L, t, x->message);
	else
		rule_test_push_task(L, x->task);
}

/* Does the table at `got` have everything that the one at `want` asks for?  Tables inside: likewise. */
static bool rule_test_fits(lua_State *L, int got, int want)
{
	struct rule_test *t = rule_test_of(L);
	struct span a, b;
	bool fits = true;
	struct err err = { 0 };

	got = lua_absindex(L, got);
	want = lua_absindex(L, want);
	luaL_checkstack(L, 10, NULL);
	if (!lua_istable(L, want) || !(lua_istable(L, got) || luajson_text(L, got, &a))) {
		if (!luajson_encode(L, got, RULE_TEST_DATA_MOST, rig_arena(t->rig), &a, &err) ||
			!luajson_encode(L, want, RULE_TEST_DATA_MOST, rig_arena(t->rig), &b, &err))
			return false;
		return span_eq(a, b);
	}
	for (lua_pushnil(L); fits && lua_next(L, want) != 0; lua_pop(L, 1)) {
		lua_pushvalue(L, -2);
		lua_gettable(L, got);
		fits = rule_test_fits(L, -1, -2);
		lua_pop(L, 1);
	}
	if (!fits)
		lua_pop(L, 1); /* the key: the loop's pop took the value */
	return fits;
}

/* Everything that happened and was not expected, in words. */
static const char *rule_test_list(lua_State *L, struct rule_test *t)
{
	struct rule_test_effect x = { .id = 0 };
	struct buf b = { 0 };
	char *text;

	while (rule_test_next_effect(t, x.id, &x)) {
		if (rule_test_is_seen(t, x.id))
			continue;
		if (b.n)
			buf_str(&b, ", ");
		buf_printf(&b, "%s \"%.*s\"", x.kind, SPAN_ARG(x.name));
		if (x.message != NULL && x.message->state != MESSAGE_SENT) {
			buf_printf(&b, " (%s%s%.*s)", message_state_name(x.message->state),
				x.message->code.n ? ": " : "", SPAN_ARG(x.message->code));
		} else if (x.message != NULL) {
			const struct customer *c = rule_test_customer_of(t, x.message->customer);
			struct span to =
				x.message->to.n || c == NULL ? x.message->to : c->text[CARD_EMAIL];

			buf_printf(&b, " to %.*s", SPAN_ARG(to));
		} else if (x.task->state == TASK_WITHDRAWN) {
			buf_str(&b, " (withdrawn)");
		}
	}
	for (size_t i = 0; i < rig_tables(t->rig)->n_chains; i++) {
		const struct chain *c = rig_tables(t->rig)->chains[i];

		if (c->state == CHAIN_FAILED || c->state == CHAIN_STUCK)
			buf_printf(&b, "%schain of \"%.*s\" is %s: %.*s", b.n ? "; " : "",
				SPAN_ARG(c->rule), chain_state_name(c->state), SPAN_ARG(c->reason));
	}
	for (size_t i = 0; i < rig_tables(t->rig)->n_events; i++) {
		const struct shop_event *e = rig_tables(t->rig)->events[i];

		if (memmem(e->verdicts.p ? e->verdicts.p : "", e->verdicts.n, "\"v\":\"error\"",
			    11))
			buf_printf(&b, "%sverdicts on %.*s: %.*s", b.n ? "; " : "",
				SPAN_ARG(e->type), SPAN_ARG(e->verdicts));
	}
	text = arena_strdup(rig_arena(t->rig), b.n ? b.p : "nothing");
	buf_free(&b);
	lua_pushstring(L, text);
	return lua_tostring(L, -1);
}

/* What the expectation at index 2 names: its kind and name, or an error. */
static const char *rule_test_wanted(lua_State *L)
{
	static const char *const kinds[] = { "email", "task", "publish" };

	luaL_checktype(L, 2, LUA_TTABLE);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		bool is = lua_getfield(L, 2, kinds[i]) != LUA_TNIL;

		lua_pop(L, 1);
		if (is)
			return kinds[i];
	}
	luaL_argerror(L, 2,
		"name what is expected: { email = \"template\" }, { task = \"title\" } or "
		"{ publish = \"topic\" }");
	return NULL;
}

/* What became of an effect that is looked for. */
enum rule_test_fate { FATE_HAPPENED, FATE_REFUSED, FATE_WITHDRAWN };

static bool rule_test_has_fate(const struct rule_test_effect *x, enum rule_test_fate fate)
{
	switch (fate) {
	case FATE_HAPPENED: return rule_test_happened(x);
	case FATE_REFUSED: return x->message != NULL && x->message->state == MESSAGE_REFUSED;
	case FATE_WITHDRAWN:
		return x->message != NULL ? x->message->state == MESSAGE_WITHDRAWN
					  : x->task->state == TASK_WITHDRAWN;
	}
	return false;
}

/* Finds the effect that fits, marks it and leaves its table on the stack. */
static int rule_test_expect(lua_State *L, enum rule_test_fate fate)
{
	static const char *const fates[] = { "", "refused ", "withdrawn " };
	struct rule_test *t = rule_test_of(L);
	const char *kind = rule_test_wanted(L);
	struct rule_test_effect x = { .id = 0 };
	struct span want = { 0 };
	struct err err = { 0 };

	rig_flush(t->rig);
	while (rule_test_next_effect(t, x.id, &x)) {
		if (!rule_test_has_fate(&x, fate) || rule_test_is_seen(t, x.id) ||
			strcmp(kind, x.kind) != 0)
			continue;
		rule_test_push_effect(L, t, &x);
		if (rule_test_fits(L, -1, 2)) {
			map_put(&t->seen, MAP_KEY(x.id), t);
			return 1;
		}
		lua_pop(L, 1);
	}
	if (!luajson_encode(L, 2, RULE_TEST_DATA_MOST, rig_arena(t->rig), &want, &err))
		want = SPAN("?");
	return luaL_error(L, "expected %s%s, but there was: %s", fates[fate],
		arena_dup(rig_arena(t->rig), want.p, want.n), rule_test_list(L, t));
}

/*** @method t:expect(what)   One such effect has happened that was not expected before. */
static int l_test_expect(lua_State *L)
{
	return rule_test_expect(L, FATE_HAPPENED);
}

/*** @method t:refused(what)   One such message was decided against. */
static int l_test_refused(lua_State *L)
{
	return rule_test_expect(L, FATE_REFUSED);
}

/*** @method t:withdrawn(what)   One such message or task was taken back, because its chain was ended. */
static int l_test_withdrawn(lua_State *L)
{
	return rule_test_expect(L, FATE_WITHDRAWN);
}

/*** @method t:expect_none()   Nothing has happened that was not expected. */
static int l_test_expect_none(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct rule_test_effect x = { .id = 0 };

	rig_flush(t->rig);
	while (rule_test_next_effect(t, x.id, &x))
		if (rule_test_happened(&x) && !rule_test_is_seen(t, x.id))
			return luaL_error(
				L, "expected nothing, but there was: %s", rule_test_list(L, t));
	return 0;
}

/*** the engine's own words ***/

/* Appends a text to the list on top of the stack. */
static void rule_test_add(lua_State *L, struct span s)
{
	lua_pushlstring(L, s.p ? s.p : "", s.n);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* Adds a member of every verdict on the rule, of all events in their order.  only: with this word; NULL: any. */
static void rule_test_add_verdicts(
	lua_State *L, struct rule_test *t, const char *rule, const char *only, const char *member)
{
	const struct mem_tables *m = rig_tables(t->rig);
	struct arena *a = rig_arena(t->rig);
	struct json_iter it;
	struct span verdict, value;

	for (size_t i = 0; i < m->n_events; i++) {
		if (!m->events[i]->verdicts.n)
			continue;
		json_iter_init(&it, m->events[i]->verdicts);
		while (json_next(&it, NULL, &verdict))
			if (json_get(verdict, SPAN("rule"), &value) &&
				json_text_is(value, span_of(rule)) &&
				(!only || (json_get(verdict, SPAN("v"), &value) &&
						  json_text_is(value, span_of(only)))) &&
				json_get(verdict, span_of(member), &value))
				rule_test_add(L, json_text(value, a));
	}
}

/*** @method t:verdicts(rule)   What became of the rule at every event, as words: { "started", "cooldown" }. */
static int l_test_verdicts(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const char *rule = luaL_checkstring(L, 2);

	rig_flush(t->rig);
	lua_newtable(L);
	rule_test_add_verdicts(L, t, rule, NULL, "v");
	return 1;
}

/*** @method t:chains(rule)   The states of its chains, in the order of their starts: { "done", "waiting" }. */
static int l_test_chains(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const char *rule = luaL_checkstring(L, 2);
	const struct mem_tables *m = rig_tables(t->rig);

	rig_flush(t->rig);
	lua_newtable(L);
	for (size_t i = 0; i < m->n_chains; i++)
		if (span_is(m->chains[i]->rule, rule))
			rule_test_add(L, span_of(chain_state_name(m->chains[i]->state)));
	return 1;
}

/*** @method t:errors(rule)   What went wrong in it: texts of events, then of chains that failed or are stuck. */
static int l_test_errors(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const char *rule = luaL_checkstring(L, 2);
	const struct mem_tables *m = rig_tables(t->rig);

	rig_flush(t->rig);
	lua_newtable(L);
	rule_test_add_verdicts(L, t, rule, "error", "error");
	for (size_t i = 0; i < m->n_chains; i++)
		if (span_is(m->chains[i]->rule, rule) &&
			(m->chains[i]->state == CHAIN_FAILED || m->chains[i]->state == CHAIN_STUCK))
			rule_test_add(L, m->chains[i]->reason);
	return 1;
}

/*** @method t:notes()   The lines that note() wrote, in their order. */
static int l_test_notes(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const struct mem_tables *m = rig_tables(t->rig);

	rig_flush(t->rig);
	lua_newtable(L);
	for (size_t i = 0; i < m->n_notes; i++)
		rule_test_add(L, m->notes[i]->text);
	return 1;
}

/*** @method t:events(type)   What there was of this type, as data: emitted events, task.overdue, ... */
static int l_test_events(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const char *type = luaL_checkstring(L, 2);
	const struct mem_tables *m = rig_tables(t->rig);

	rig_flush(t->rig);
	lua_newtable(L);
	for (size_t i = 0; i < m->n_events; i++)
		if (span_is(m->events[i]->type, type)) {
			luajson_push(L, m->events[i]->data, NULL, NULL, "");
			lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
		}
	return 1;
}

/*** @method t:same(got, want, what)   The values are equal; tables by their contents. */
static int l_test_same(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct span got, want;
	struct err err = { 0 };

	if (!luajson_encode(L, 2, RULE_TEST_DATA_MOST, rig_arena(t->rig), &got, &err) ||
		!luajson_encode(L, 3, RULE_TEST_DATA_MOST, rig_arena(t->rig), &want, &err))
		return luaL_error(L, "%s", err.text);
	if (!span_eq(got, want))
		return luaL_error(L, "%s is %s, not %s", luaL_optstring(L, 4, "it"),
			arena_dup(rig_arena(t->rig), got.p, got.n),
			arena_dup(rig_arena(t->rig), want.p, want.n));
	return 0;
}

const luaL_Reg rule_test_look_methods[] = {
	{ "chains", l_test_chains },
	{ "errors", l_test_errors },
	{ "events", l_test_events },
	{ "expect", l_test_expect },
	{ "expect_none", l_test_expect_none },
	{ "notes", l_test_notes },
	{ "refused", l_test_refused },
	{ "same", l_test_same },
	{ "verdicts", l_test_verdicts },
	{ "withdrawn", l_test_withdrawn },
	{ NULL, NULL },
};
