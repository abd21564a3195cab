/*
 * rule_test.c: a daemon in miniature around the real flow: the memory store is its database, a counter its clock,
 * "hand over everything that is due" its courier.  Events that a test posts at one moment are kept back until time
 * passes or something is expected, so that they can travel in one batch, as they would under load.
 *
 * The test files run in a sandboxed state of their own (engine/script): they reach the engine only by events, so
 * a test can not see or touch what a rule could not.  A failed expectation raises; the report says where.
 */
#include "main/rule_test.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/map.h"
#include "base/tz.h"
#include "engine/judge.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "intake/admit.h"
#include "intake/flow.h"
#include "main/rule_files.h"
#include "model/shop.h"
#include "store/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULE_TEST_PUMPS_MOST = 100000, RULE_TEST_DATA_MOST = 65536 };
#define RULE_TEST_BEGIN_US                                                                         \
	(INT64_C(1772445600) * CLOCK_SECOND_US) /* Monday, 2026-03-02T10:00:00Z */

struct rule_test_case { /* a test, as the file declared it */
	char *name;
	int fn_ref;
};

struct rule_test {
	const struct rule_test_env *env;
	const struct rule_set *set;
	struct script *script;
	struct rule_test_case *cases;
	size_t n_cases, cap_cases;
	/* of the test that runs */
	struct arena arena;
	struct store *store;
	struct flow *flow;
	int64_t now_us;
	struct shop_event *waiting; /* posted, not submitted yet */
	size_t n_waiting, cap_waiting;
	unsigned next_customer, next_event;
	struct map seen; /* ids of effects that were expected */
	bool turn_wanted;
	const struct rule_test_case *now_case;
};

static const struct shop_calendar rule_test_calendar = {
	.name = "office",
	.days = { [0 ... 4] = { .spans = { { 9 * 60, 18 * 60 } }, .nspans = 1 } },
};
static const struct shop rule_test_shop = {
	.id = "shop",
	.base = "shop",
	.zone = "UTC",
	.lang = "en",
	.currency = "EUR",
	.country = "DE",
	.from = "Shop <shop@example.com>",
	.reply_to = "",
	.consent_transactional = true,
	.calendar = &rule_test_calendar,
};

static struct rule_test *rule_test_of(lua_State *L)
{
	return script_host(L);
}

static const struct shop *rule_test_the_shop(const struct rule_test *t)
{
	return t->env->n_shops ? &t->env->shops[0] : &rule_test_shop;
}

/* ---- the daemon in miniature ---- */

static int64_t rule_test_clock(void *arg)
{
	return ((struct rule_test *)arg)->now_us;
}

static void rule_test_turn(void *arg)
{
	((struct rule_test *)arg)->turn_wanted = true;
}

static void rule_test_poke(void *arg, unsigned channels)
{
	(void)arg;
	(void)channels; /* messages are handed over when they are due, below */
}

/* A process begins: the engine knows nothing but the store. */
static void rule_test_flow_open(struct rule_test *t)
{
	struct judge_env judge = {
		.shops = rule_test_the_shop(t),
		.n_shops = t->env->n_shops ? t->env->n_shops : 1,
		.staff = t->env->staff,
		.is_test = true,
	};
	struct flow_host host = { .boot_us = rule_test_clock,
		.wall_us = rule_test_clock,
		.poke = rule_test_poke,
		.turn = rule_test_turn,
		.arg = t };
	struct flow_limits limits;

	judge_limits_default(&judge.limits);
	flow_limits_default(&limits);
	if (t->env->mode == RULE_TEST_SINGLE)
		limits.batch = limits.due = 1;
	t->flow = flow_open(t->store, &judge, &limits, &host);
}

/* Lets the flow work until nothing moves any more at this moment. */
static void rule_test_pump(struct rule_test *t)
{
	for (int i = 0; i < RULE_TEST_PUMPS_MOST; i++) {
		t->turn_wanted = false;
		flow_turn(t->flow);
		if (!mem_turn(t->store) && !t->turn_wanted)
			return;
	}
	fprintf(stderr, "the flow does not come to rest\n");
	abort();
}

/* Judges everything that is due at this moment, hand-overs and what follows from them included. */
static void rule_test_settle(struct rule_test *t)
{
	int64_t next_us;

	do {
		mem_hand_over(t->store);
		flow_poke(t->flow);
		rule_test_pump(t);
		if (t->env->mode == RULE_TEST_REPLACED && flow_is_idle(t->flow)) {
			flow_close(t->flow);
			rule_test_flow_open(t);
			rule_test_pump(t);
		}
		next_us = mem_next_due_us(t->store);
	} while (next_us != TIME_NONE && next_us <= t->now_us);
}

static void rule_test_ticket_done(struct event_ticket *ticket)
{
	(void)ticket; /* its memory is the test's */
}

static void rule_test_submit(struct rule_test *t, struct shop_event *events, size_t n)
{
	struct event_ticket *ticket = arena_new(&t->arena, struct event_ticket);

	ticket->events = events;
	ticket->n = n;
	ticket->done = rule_test_ticket_done;
	flow_submit(t->flow, ticket);
	rule_test_pump(t);
	rule_test_settle(t);
}

/* Submits what was posted at this moment. */
static void rule_test_flush(struct rule_test *t)
{
	struct shop_event *events = t->waiting;
	size_t n = t->n_waiting;

	t->waiting = NULL;
	t->n_waiting = t->cap_waiting = 0;
	if (n == 0)
		return;
	if (t->env->mode == RULE_TEST_STRAIGHT) {
		rule_test_submit(t, events, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		rule_test_submit(t, &events[i], 1);
}

static void rule_test_advance(struct rule_test *t, int64_t to_us)
{
	rule_test_flush(t);
	for (;;) {
		int64_t next_us = mem_next_due_us(t->store);

		t->now_us = next_us == TIME_NONE || next_us > to_us ? to_us
			    : next_us > t->now_us                   ? next_us
								    : t->now_us;
		mem_set_now(t->store, t->now_us);
		rule_test_settle(t);
		if (t->now_us >= to_us)
			return;
	}
}

static void rule_test_set_written(void *arg, enum store_end end, const struct err *err)
{
	(void)arg;
	(void)end; /* the memory store takes every set */
	(void)err;
}

static void rule_test_begin(struct rule_test *t)
{
	struct rule_set set = *t->set;

	t->now_us = RULE_TEST_BEGIN_US;
	t->store = mem_open(2, t->now_us);
	t->next_customer = t->next_event = 1;
	rule_test_flow_open(t);
	t->store->ops->set_write(
		t->store, 0, &set, SPAN("test"), SPAN("test"), rule_test_set_written, NULL);
}

static void rule_test_end(struct rule_test *t)
{
	flow_close(t->flow);
	t->store->ops->close(t->store);
	map_fini(&t->seen);
	arena_fini(&t->arena);
	t->waiting = NULL;
	t->n_waiting = t->cap_waiting = 0;
}

/* ---- posting ---- */

static struct span rule_test_json_arg(lua_State *L, int idx)
{
	struct rule_test *t = rule_test_of(L);
	struct err err = { 0 };
	struct span json = SPAN("{}");

	if (!lua_isnoneornil(L, idx) &&
		!luajson_encode(L, idx, RULE_TEST_DATA_MOST, &t->arena, &json, &err))
		luaL_error(L, "%s", err.text);
	if (json_kind(json) != JSON_OBJECT)
		luaL_argerror(L, idx, "a table of fields was expected");
	return json;
}

/* data with "customer":{"id":...} put in, unless it names one. */
static struct span rule_test_about(struct rule_test *t, struct span data, const char *customer)
{
	struct span named;
	struct buf b = { 0 };
	struct span json;

	if (customer == NULL || json_get(data, SPAN("customer"), &named))
		return data;
	buf_str(&b, "{\"customer\":{\"id\":");
	json_put_text(&b, span_of(customer));
	buf_str(&b, data.n > 2 ? "}," : "}");
	buf_add(&b, data.p + 1, data.n - 1);
	json = (struct span){ arena_dup(&t->arena, b.p, b.n), b.n };
	buf_free(&b);
	return json;
}

/* Admits an event as a door would and keeps it until time passes. */
static void rule_test_post(lua_State *L, const char *type, struct span data, bool import)
{
	struct rule_test *t = rule_test_of(L);
	char *time = arena_alloc(&t->arena, 32);
	struct admit_envelope envelope = {
		.shop = rule_test_the_shop(t),
		.id = span_of(arena_printf(&t->arena, "e%u", t->next_event++)),
		.source = SPAN("test"),
		.type = span_of(arena_strdup(&t->arena, type)),
		.time = span_of(clock_format_rfc3339(t->now_us, time)),
		.data = data,
	};
	struct shop_event e = { 0 };

	if (!admit_event(&e, &envelope, ADMIT_INTERNAL, t->now_us, &t->arena))
		luaL_error(L, "event \"%s\" is refused: %s", type, e.reason);
	e.import = import;
	if (import) {
		struct shop_event *kept = arena_new(&t->arena, struct shop_event);

		rule_test_flush(t);
		*kept = e;
		rule_test_submit(t, kept, 1);
		return;
	}
	BATCH_PUSH(&t->arena, t->waiting, t->n_waiting, t->cap_waiting) = e;
}

static const char *rule_test_customer_id(lua_State *L, int idx)
{
	const char *id;

	luaL_checktype(L, idx, LUA_TTABLE);
	lua_getfield(L, idx, "id");
	if ((id = lua_tostring(L, -1)) == NULL)
		luaL_argerror(L, idx, "a customer was expected: anna:event(...)");
	return id; /* the table keeps it alive */
}

/*** @method c:event(type, data)   Something happens to the customer, now. */
static int l_customer_event(lua_State *L)
{
	const char *type = luaL_checkstring(L, 2);
	struct span data = rule_test_json_arg(L, 3);

	rule_test_post(L, type, rule_test_about(rule_test_of(L), data, rule_test_customer_id(L, 1)),
		false);
	return 0;
}

static const struct customer *rule_test_card(struct rule_test *t, const char *id)
{
	const struct mem_tables *m = mem_tables(t->store);

	for (size_t i = 0; i < m->n_identities; i++)
		if (m->identities[i]->kind == IDENTITY_ID && span_is(m->identities[i]->value, id))
			for (size_t k = 0; k < m->n_customers; k++)
				if (m->customers[k]->id == m->identities[i]->customer)
					return m->customers[k];
	return NULL;
}

static void rule_test_set_text(lua_State *L, const char *key, struct span s)
{
	if (s.n == 0)
		return;
	lua_pushlstring(L, s.p, s.n);
	lua_setfield(L, -2, key);
}

/*** @method c:card()   The card as it stands now, as a table. */
static int l_customer_card(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const struct customer *c;

	rule_test_flush(t);
	if ((c = rule_test_card(t, rule_test_customer_id(L, 1))) == NULL)
		return luaL_error(L, "this customer has no card");
	lua_newtable(L);
	for (int i = 0; i < CARD_TEXTS; i++)
		rule_test_set_text(L, card_text_names[i], c->text[i]);
	for (int i = 0; i < CARD_JSONS; i++)
		if (c->json[i].n) {
			luajson_push(L, c->json[i], NULL, NULL, "");
			lua_setfield(L, -2, card_json_names[i]);
		}
	lua_newtable(L);
	luajson_push_number(L, (double)c->orders_count);
	lua_setfield(L, -2, "count");
	luajson_push_number(L, c->orders_total);
	lua_setfield(L, -2, "total");
	lua_setfield(L, -2, "orders");
	return 1;
}

/*** @method t:customer(fields)   A customer with this card; rules do not hear of it. */
static int l_test_customer(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct span traits = rule_test_json_arg(L, 2), given;
	const char *id = NULL;

	if (json_get(traits, SPAN("segments"), &given))
		return luaL_error(L, "segments are not available in this version");
	if (json_get(traits, SPAN("id"), &given) && json_kind(given) == JSON_STRING) {
		struct span text = json_text(given, &t->arena);

		id = arena_dup(&t->arena, text.p, text.n);
	} else {
		id = arena_printf(&t->arena, "customer-%u", t->next_customer++);
	}
	rule_test_post(L, "customer.updated", rule_test_about(t, traits, id), true);
	lua_newtable(L);
	lua_pushstring(L, id);
	lua_setfield(L, -2, "id");
	lua_pushcfunction(L, l_customer_event);
	lua_setfield(L, -2, "event");
	lua_pushcfunction(L, l_customer_card);
	lua_setfield(L, -2, "card");
	return 1;
}

/*** @method t:event(type, data)   An event about whom data names, or about nobody. */
static int l_test_event(lua_State *L)
{
	rule_test_post(L, luaL_checkstring(L, 2), rule_test_json_arg(L, 3), false);
	return 0;
}

/* ---- time ---- */

/*** @method t:advance(duration)   Time passes; what is due on the way happens. */
static int l_test_advance(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	size_t n;
	const char *text = luaL_checklstring(L, 2, &n);
	struct duration d;
	struct err err = { 0 };

	if (!duration_parse((struct span){ text, n }, 0, &d, &err))
		return luaL_error(L, "%s", err.text);
	rule_test_advance(t, duration_add(t->now_us, d, tz_get(rule_test_the_shop(t)->zone)));
	return 0;
}

/*** @method t:at(time)   Time passes until then: "2026-03-02 10:00" (UTC) or RFC 3339. */
static int l_test_at(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const char *text = luaL_checkstring(L, 2);
	char full[64];
	int64_t at_us;

	snprintf(full, sizeof full, "%s%s", text, strlen(text) == 16 ? ":00Z" : "");
	if (!clock_parse_rfc3339(span_of(full), &at_us))
		return luaL_error(L, "\"%s\" is no time; write \"2026-03-02 10:00\"", text);
	if (at_us < t->now_us)
		return luaL_error(L, "\"%s\" has passed already", text);
	rule_test_advance(t, at_us);
	return 0;
}

/* ---- effects ---- */

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
	const struct mem_tables *m = mem_tables(t->store);
	struct rule_test_effect best = { .id = INT64_MAX };

	for (size_t i = 0; i < m->n_messages; i++) {
		const struct message *x = m->messages[i];

		if (x->id <= after || x->id >= best.id)
			continue;
		best = (struct rule_test_effect){ message_channel_name(x->channel), x->id,
			x->template_name, x, NULL };
		if (x->channel == CHANNEL_PUBLISH && json_find(x->data, "topic", &best.name))
			best.name = json_text(best.name, &t->arena);
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
	const struct mem_tables *m = mem_tables(t->store);

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
	rule_test_set_time(L, "deadline_at", x->deadline_us);
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
		if (!luajson_encode(L, got, RULE_TEST_DATA_MOST, &t->arena, &a, &err) ||
			!luajson_encode(L, want, RULE_TEST_DATA_MOST, &t->arena, &b, &err))
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
	for (size_t i = 0; i < mem_tables(t->store)->n_chains; i++) {
		const struct chain *c = mem_tables(t->store)->chains[i];

		if (c->state == CHAIN_FAILED || c->state == CHAIN_STUCK)
			buf_printf(&b, "%schain of \"%.*s\" is %s: %.*s", b.n ? "; " : "",
				SPAN_ARG(c->rule), chain_state_name(c->state), SPAN_ARG(c->reason));
	}
	for (size_t i = 0; i < mem_tables(t->store)->n_events; i++) {
		const struct shop_event *e = mem_tables(t->store)->events[i];

		if (memmem(e->verdicts.p ? e->verdicts.p : "", e->verdicts.n, "\"v\":\"error\"",
			    11))
			buf_printf(&b, "%sverdicts on %.*s: %.*s", b.n ? "; " : "",
				SPAN_ARG(e->type), SPAN_ARG(e->verdicts));
	}
	text = arena_strdup(&t->arena, b.n ? b.p : "nothing");
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

/* Finds the effect that fits, marks it and leaves its table on the stack. */
static int rule_test_expect(lua_State *L, bool refused)
{
	struct rule_test *t = rule_test_of(L);
	const char *kind = rule_test_wanted(L);
	struct rule_test_effect x = { .id = 0 };
	struct span want = { 0 };
	struct err err = { 0 };

	rule_test_flush(t);
	while (rule_test_next_effect(t, x.id, &x)) {
		bool right = refused ? x.message != NULL && x.message->state == MESSAGE_REFUSED
				     : rule_test_happened(&x);

		if (!right || rule_test_is_seen(t, x.id) || strcmp(kind, x.kind) != 0)
			continue;
		rule_test_push_effect(L, t, &x);
		if (rule_test_fits(L, -1, 2)) {
			map_put(&t->seen, MAP_KEY(x.id), t);
			return 1;
		}
		lua_pop(L, 1);
	}
	if (!luajson_encode(L, 2, RULE_TEST_DATA_MOST, &t->arena, &want, &err))
		want = SPAN("?");
	return luaL_error(L, "expected %s%s, but there was: %s", refused ? "refused " : "",
		arena_dup(&t->arena, want.p, want.n), rule_test_list(L, t));
}

/*** @method t:expect(what)   One such effect has happened that was not expected before. */
static int l_test_expect(lua_State *L)
{
	return rule_test_expect(L, false);
}

/*** @method t:refused(what)   One such message was decided against. */
static int l_test_refused(lua_State *L)
{
	return rule_test_expect(L, true);
}

/*** @method t:expect_none()   Nothing has happened that was not expected. */
static int l_test_expect_none(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct rule_test_effect x = { .id = 0 };

	rule_test_flush(t);
	while (rule_test_next_effect(t, x.id, &x))
		if (rule_test_happened(&x) && !rule_test_is_seen(t, x.id))
			return luaL_error(
				L, "expected nothing, but there was: %s", rule_test_list(L, t));
	return 0;
}

/* ---- managers ---- */

static int rule_test_task_event(lua_State *L, const char *type, const char *field)
{
	struct rule_test *t = rule_test_of(L);
	const struct mem_tables *m = mem_tables(t->store);
	const char *id, *value = luaL_optstring(L, 3, NULL);
	struct buf b = { 0 };

	rule_test_flush(t);
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_getfield(L, 2, "id");
	if ((id = lua_tostring(L, -1)) == NULL)
		return luaL_argerror(
			L, 2, "a task was expected: local task = t:expect { task = ... }");
	for (size_t i = 0; i < m->n_tasks; i++) {
		if (m->tasks[i]->id != strtoll(id, NULL, 10))
			continue;
		buf_printf(&b, "{");
		if (value != NULL) {
			json_put_key(&b, field);
			json_put_text(&b, span_of(value));
		}
		json_put_key(&b, "task_id");
		json_put_text(&b, span_of(id));
		buf_char(&b, '}');
		mem_inbox(t->store, m->tasks[i]->customer, m->tasks[i]->shop, type,
			(struct span){ arena_dup(&t->arena, b.p, b.n), b.n }, t->now_us);
		buf_free(&b);
		rule_test_settle(t);
		return 0;
	}
	return luaL_argerror(L, 2, "there is no such task");
}

/*** @method t:take(task, manager)   A manager takes the task. */
static int l_test_take(lua_State *L)
{
	return rule_test_task_event(L, "task.taken", "manager");
}

/*** @method t:done(task, result)   The task is done. */
static int l_test_done(lua_State *L)
{
	return rule_test_task_event(L, "task.done", "result");
}

/*** @method t:same(got, want, what)   The values are equal; tables by their contents. */
static int l_test_same(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct span got, want;
	struct err err = { 0 };

	if (!luajson_encode(L, 2, RULE_TEST_DATA_MOST, &t->arena, &got, &err) ||
		!luajson_encode(L, 3, RULE_TEST_DATA_MOST, &t->arena, &want, &err))
		return luaL_error(L, "%s", err.text);
	if (!span_eq(got, want))
		return luaL_error(L, "%s is %s, not %s", luaL_optstring(L, 4, "it"),
			arena_dup(&t->arena, got.p, got.n), arena_dup(&t->arena, want.p, want.n));
	return 0;
}

static const luaL_Reg rule_test_methods[] = { { "customer", l_test_customer },
	{ "event", l_test_event }, { "at", l_test_at }, { "advance", l_test_advance },
	{ "expect", l_test_expect }, { "expect_none", l_test_expect_none },
	{ "refused", l_test_refused }, { "take", l_test_take }, { "done", l_test_done },
	{ "same", l_test_same }, { NULL, NULL } };

/* ---- declaring and running ---- */

static int l_test_body(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct rule_test_case *c;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	t->cases = mem_grow(t->cases, t->n_cases, &t->cap_cases, sizeof *t->cases);
	c = &t->cases[t->n_cases++];
	c->name = arena_strdup(&t->arena, lua_tostring(L, lua_upvalueindex(1)));
	lua_pushvalue(L, 1);
	c->fn_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

/*** @function test(name) (function(t) ... end)   Declares a test. */
static int l_test(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_settop(L, 1);
	lua_pushcclosure(L, l_test_body, 1);
	return 1;
}

static void rule_test_call(lua_State *L, void *ud)
{
	const struct rule_test_case *c = ud;

	lua_rawgeti(L, LUA_REGISTRYINDEX, c->fn_ref);
	lua_newtable(L);
	luaL_setfuncs(L, rule_test_methods, 0);
	lua_call(L, 1, 0);
}

/* All that the test left behind, in full: for comparing modes. */
static void rule_test_trace(struct rule_test *t, struct buf *b)
{
	const struct mem_tables *m = mem_tables(t->store);

	for (size_t i = 0; i < m->n_events; i++) {
		const struct shop_event *e = m->events[i];

		buf_printf(b, "event %lld customer %lld %.*s %.*s %.*s %.*s\n", (long long)e->seq,
			(long long)e->customer, SPAN_ARG(e->id), SPAN_ARG(e->type),
			SPAN_ARG(e->data), SPAN_ARG(e->verdicts));
	}
	for (size_t i = 0; i < m->n_chains; i++) {
		const struct chain *c = m->chains[i];

		buf_printf(b, "chain %lld customer %lld %.*s key %.*s %s wake %lld %.*s %.*s\n",
			(long long)c->id, (long long)c->customer, SPAN_ARG(c->rule),
			SPAN_ARG(c->key), chain_state_name(c->state), (long long)c->wake_us,
			SPAN_ARG(c->history), SPAN_ARG(c->reason));
	}
	for (size_t i = 0; i < m->n_messages; i++) {
		const struct message *x = m->messages[i];

		buf_printf(b,
			"message %lld customer %lld chain %lld %.*s %s %s %.*s %.*s due %lld %.*s\n",
			(long long)x->id, (long long)x->customer, (long long)x->chain,
			SPAN_ARG(x->rule), message_class_name(x->class_),
			message_state_name(x->state), SPAN_ARG(x->template_name), SPAN_ARG(x->to),
			(long long)x->due_us, SPAN_ARG(x->data));
	}
	for (size_t i = 0; i < m->n_tasks; i++) {
		const struct task *x = m->tasks[i];

		buf_printf(b,
			"task %lld customer %lld %.*s %.*s %.*s %s deadline %lld overdue %d\n",
			(long long)x->id, (long long)x->customer, SPAN_ARG(x->title),
			SPAN_ARG(x->group), SPAN_ARG(x->manager), task_state_name(x->state),
			(long long)x->deadline_us, x->overdue);
	}
	for (size_t i = 0; i < m->n_customers; i++) {
		const struct customer *c = m->customers[i];

		buf_printf(b, "customer %lld orders %lld %.2f", (long long)c->id,
			(long long)c->orders_count, c->orders_total);
		for (int k = 0; k < CARD_TEXTS; k++)
			buf_printf(b, " %.*s", SPAN_ARG(c->text[k]));
		for (int k = 0; k < CARD_JSONS; k++)
			buf_printf(b, " %.*s", SPAN_ARG(c->json[k]));
		buf_char(b, '\n');
	}
	for (size_t i = 0; i < m->n_notes; i++)
		buf_printf(b, "note %.*s\n", SPAN_ARG(m->notes[i]->text));
}

static bool rule_test_one(struct rule_test *t, struct span file, const struct rule_test_case *c)
{
	struct err err = { 0 };
	bool ok;

	rule_test_begin(t);
	rule_test_pump(t);
	ok = script_protect(t->script, rule_test_call, (void *)(uintptr_t)c, &err);
	if (ok)
		rule_test_flush(t);
	if (t->env->trace != NULL) {
		buf_printf(t->env->trace, "== %.*s: %s\n", SPAN_ARG(file), c->name);
		rule_test_trace(t, t->env->trace);
	}
	if (t->env->report != NULL)
		t->env->report(t->env->arg, file, c->name, ok ? NULL : err.text);
	rule_test_end(t);
	return ok;
}

/* A file that does not load is one failed test. */
static void rule_test_file(
	struct rule_test *t, const struct rule_file *file, struct rule_test_sum *sum)
{
	const luaL_Reg calls[] = { { "test", l_test }, { NULL, NULL } };
	struct script_limits limits = { .eval_bytes = 256 << 20 };
	struct arena names = { 0 };
	struct err err = { 0 };
	char *chunk;

	t->script = script_new(&limits);
	script_set_host(t->script, t);
	script_define(t->script, calls);
	t->n_cases = 0;
	t->arena = (struct arena){ 0 };
	chunk = arena_dup(&names, file->path.p, file->path.n);
	if (!script_load(t->script, chunk, file->text, &err)) {
		sum->failed++;
		if (t->env->report != NULL)
			t->env->report(t->env->arg, file->path, "(loading)", err.text);
	} else {
		struct arena declared = t->arena; /* holds the names */

		for (size_t i = 0; i < t->n_cases; i++) {
			t->arena = (struct arena){ 0 };
			if (rule_test_one(t, file->path, &t->cases[i]))
				sum->passed++;
			else
				sum->failed++;
		}
		t->arena = declared;
	}
	arena_fini(&t->arena);
	arena_fini(&names);
	script_free(t->script);
}

bool rule_test_run(const struct rule_test_env *env, const struct rule_set *set,
	const struct rule_file *files, size_t n_files, struct rule_test_sum *ret_sum,
	struct err *err)
{
	struct rule_test t = { .env = env, .set = set };
	struct judge_env judge_env = { .shops = env->n_shops ? env->shops : &rule_test_shop,
		.n_shops = env->n_shops ? env->n_shops : 1,
		.staff = env->staff,
		.is_test = true };
	struct judge *judge;

	judge_limits_default(&judge_env.limits);
	if ((judge = judge_new(&judge_env, set, err)) == NULL)
		return false;
	judge_free(judge);
	*ret_sum = (struct rule_test_sum){ 0, 0 };
	for (size_t i = 0; i < n_files; i++)
		rule_test_file(&t, &files[i], ret_sum);
	free(t.cases);
	return true;
}
