/*
 * rule_test.c: test files, and how a test makes things happen (main/rig does them).  What it can see of the
 * consequences stands in rule_test_look.c.
 *
 * The test files run in a sandboxed state of their own (engine/script): they reach the engine only by events, so
 * a test can not see or touch what a rule could not.  A failed expectation raises; the report says where.
 */
#include "main/rule_test.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/now.h"
#include "base/tz.h"
#include "engine/bind_time.h"
#include "engine/judge.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "main/rule_files.h"
#include "main/rule_test_int.h"
#include "store/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest computing of one test, a year on the virtual clock included. */
#define RULE_TEST_US (INT64_C(30) * CLOCK_SECOND_US)

struct rule_test *rule_test_of(lua_State *L)
{
	return script_host(L);
}

struct span rule_test_json_arg(lua_State *L, int idx)
{
	struct rule_test *t = rule_test_of(L);
	struct err err = { 0 };
	struct span json = SPAN("{}");

	if (!lua_isnoneornil(L, idx) &&
		!luajson_encode(L, idx, RULE_TEST_DATA_MOST, rig_arena(t->rig), &json, &err))
		luaL_error(L, "%s", err.text);
	if (json_kind(json) != JSON_OBJECT)
		luaL_argerror(L, idx, "a table of fields was expected");
	return json;
}

void rule_test_set_text(lua_State *L, const char *key, struct span s)
{
	if (s.n == 0)
		return;
	lua_pushlstring(L, s.p, s.n);
	lua_setfield(L, -2, key);
}

/*** posting ***/

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
	json = (struct span){ arena_dup(rig_arena(t->rig), b.p, b.n), b.n };
	buf_free(&b);
	return json;
}

/* "2026-03-02 10:00" (UTC) or RFC 3339. */
static int64_t rule_test_time(lua_State *L, const char *text)
{
	char full[64];
	int64_t at_us = 0;

	snprintf(full, sizeof full, "%s%s", text, strlen(text) == 16 ? ":00Z" : "");
	if (!clock_parse_rfc3339(span_of(full), &at_us))
		luaL_error(L, "\"%s\" is no time; write \"2026-03-02 10:00\"", text);
	return at_us;
}

/* A text of the table at idx, copied; NULL: it has no such field. */
static const char *rule_test_word(lua_State *L, int idx, const char *key)
{
	const char *text = NULL;

	if (lua_istable(L, idx) && lua_getfield(L, idx, key) == LUA_TSTRING)
		text = arena_strdup(rig_arena(rule_test_of(L)->rig), lua_tostring(L, -1));
	lua_settop(L, idx);
	return text;
}

/* Posts an event; the table at `more` may say { time=, id=, store= }. */
static void rule_test_post(lua_State *L, const char *type, struct span data, int more)
{
	struct rule_test *t = rule_test_of(L);
	struct rig_event e = { .data = data, .time_us = TIME_NONE };
	const char *store, *time;
	struct err err = { 0 };

	lua_settop(L, more);
	e.type = arena_strdup(rig_arena(t->rig), type);
	e.id = rule_test_word(L, more, "id");
	if ((time = rule_test_word(L, more, "time")) != NULL)
		e.time_us = rule_test_time(L, time);
	if ((store = rule_test_word(L, more, "store")) != NULL &&
		(e.shop = rig_find_shop(t->rig, store)) == NULL)
		luaL_error(L, "there is no store \"%s\"", store);
	if (!rig_post(t->rig, &e, &err))
		luaL_error(L, "%s", err.text);
}

static const char *rule_test_customer_id(lua_State *L, int idx)
{
	const char *id;

	luaL_checktype(L, idx, LUA_TTABLE);
	lua_getfield(L, idx, "id");
	if ((id = lua_tostring(L, -1)) == NULL)
		luaL_argerror(L, idx, "a customer was expected: anna:event(...)");
	lua_pop(L, 1);
	return id; /* the table keeps it alive */
}

/*** @method c:event(type, data, more)   Something happens to the customer, now; more: { time=, id=, store= }. */
static int l_customer_event(lua_State *L)
{
	const char *type = luaL_checkstring(L, 2);
	struct span data = rule_test_json_arg(L, 3);

	data = rule_test_about(rule_test_of(L), data, rule_test_customer_id(L, 1));
	rule_test_post(L, type, data, 4);
	return 0;
}

static const struct customer *rule_test_card(struct rule_test *t, const char *id)
{
	const struct mem_tables *m = rig_tables(t->rig);

	for (size_t i = 0; i < m->n_identities; i++)
		if (m->identities[i]->kind == IDENTITY_ID && span_is(m->identities[i]->value, id))
			for (size_t k = 0; k < m->n_customers; k++)
				if (m->customers[k]->id == m->identities[i]->customer)
					return m->customers[k];
	return NULL;
}

/* Leaves { count=, total= } on the stack. */
static void rule_test_push_orders(lua_State *L, const struct customer *c)
{
	lua_newtable(L);
	luajson_push_number(L, (double)c->orders_count);
	lua_setfield(L, -2, "count");
	luajson_push_number(L, c->orders_total);
	lua_setfield(L, -2, "total");
}

/*** @method c:card()   The card as it stands now, as a table. */
static int l_customer_card(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	const struct customer *c;

	rig_flush(t->rig);
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
	rule_test_push_orders(L, c);
	lua_setfield(L, -2, "orders");
	return 1;
}

/*** @method t:customer(fields)   A customer with this card; rules do not hear of it. */
static int l_test_customer(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct arena *a = rig_arena(t->rig);
	struct span traits = rule_test_json_arg(L, 2), given;
	struct rig_event e = { .type = "customer.updated", .time_us = TIME_NONE, .import = true };
	struct err err = { 0 };
	const char *id;

	if (json_get(traits, SPAN("segments"), &given))
		return luaL_error(L, "segments are not available in this version");
	if (json_get(traits, SPAN("id"), &given) && json_kind(given) == JSON_STRING) {
		struct span text = json_text(given, a);

		id = arena_dup(a, text.p, text.n);
	} else {
		id = arena_printf(a, "customer-%u", t->next_customer++);
	}
	e.data = rule_test_about(t, traits, id);
	if (!rig_post(t->rig, &e, &err))
		return luaL_error(L, "%s", err.text);
	lua_newtable(L);
	lua_pushstring(L, id);
	lua_setfield(L, -2, "id");
	lua_pushcfunction(L, l_customer_event);
	lua_setfield(L, -2, "event");
	lua_pushcfunction(L, l_customer_card);
	lua_setfield(L, -2, "card");
	return 1;
}

/*** @method t:event(type, data, more)   An event about whom data names, or about nobody. */
static int l_test_event(lua_State *L)
{
	const char *type = luaL_checkstring(L, 2);

	rule_test_post(L, type, rule_test_json_arg(L, 3), 4);
	return 0;
}

/*** time ***/

/* The moment so long after now. */
static int64_t rule_test_after(lua_State *L, int idx)
{
	struct rule_test *t = rule_test_of(L);
	struct span text;
	struct duration d = { 0 };
	struct err err = { 0 };

	text.p = luaL_checklstring(L, idx, &text.n);
	if (!duration_parse(text, 0, &d, &err))
		luaL_error(L, "%s", err.text);
	return duration_add(rig_now_us(t->rig), d, tz_get(rig_find_shop(t->rig, NULL)->zone));
}

/*** @method t:advance(duration)   Time passes; what is due on the way happens. */
static int l_test_advance(lua_State *L)
{
	rig_advance(rule_test_of(L)->rig, rule_test_after(L, 2));
	return 0;
}

/*** @method t:at(time)   Time passes until then: "2026-03-02 10:00" (UTC) or RFC 3339. */
static int l_test_at(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	int64_t at_us = rule_test_time(L, luaL_checkstring(L, 2));

	if (at_us < rig_now_us(t->rig))
		return luaL_error(L, "\"%s\" has passed already", lua_tostring(L, 2));
	rig_advance(t->rig, at_us);
	return 0;
}

/*** @method t:outage(duration)   Time passes while the daemon is down; what was due happens at the end. */
static int l_test_outage(lua_State *L)
{
	rig_outage(rule_test_of(L)->rig, rule_test_after(L, 2));
	return 0;
}

/*** managers ***/

/* The row of the task whose table is at idx. */
static const struct task *rule_test_task(lua_State *L, int idx)
{
	const struct mem_tables *m = rig_tables(rule_test_of(L)->rig);
	const char *id;

	luaL_checktype(L, idx, LUA_TTABLE);
	lua_getfield(L, idx, "id");
	if ((id = lua_tostring(L, -1)) == NULL)
		luaL_argerror(L, idx, "a task was expected: local task = t:expect { task = ... }");
	for (size_t i = 0; i < m->n_tasks; i++)
		if (id != NULL && m->tasks[i]->id == strtoll(id, NULL, 10))
			return m->tasks[i];
	luaL_argerror(L, idx, "there is no such task");
	return NULL;
}

/* Tells an event about a task, as the API would; field: what the third argument is. */
static int rule_test_task_event(lua_State *L, const char *type, const char *field)
{
	struct rule_test *t = rule_test_of(L);
	const char *value = luaL_optstring(L, 3, NULL);
	const struct task *task;
	struct buf b = { 0 };
	struct span data;

	rig_flush(t->rig);
	task = rule_test_task(L, 2);
	buf_char(&b, '{');
	if (value != NULL) {
		json_put_key(&b, field);
		json_put_text(&b, span_of(value));
	}
	json_put_key(&b, "task_id");
	buf_printf(&b, "\"%lld\"}", (long long)task->id);
	data = (struct span){ arena_dup(rig_arena(t->rig), b.p, b.n), b.n };
	buf_free(&b);
	rig_inbox(t->rig, task->customer, task->shop, type, data);
	return 0;
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

static const luaL_Reg rule_test_methods[] = {
	{ "advance", l_test_advance },
	{ "at", l_test_at },
	{ "customer", l_test_customer },
	{ "done", l_test_done },
	{ "event", l_test_event },
	{ "outage", l_test_outage },
	{ "take", l_test_take },
	{ NULL, NULL },
};

/*** declaring and running ***/

static int l_test_body(lua_State *L)
{
	struct rule_test *t = rule_test_of(L);
	struct rule_test_case *c;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	t->cases = mem_grow(t->cases, t->n_cases, &t->cap_cases, sizeof *t->cases);
	c = &t->cases[t->n_cases++];
	c->name = arena_strdup(&t->names, lua_tostring(L, lua_upvalueindex(1)));
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
	luaL_setfuncs(L, rule_test_look_methods, 0);
	lua_call(L, 1, 0);
}

static bool rule_test_one(struct rule_test *t, struct span file, struct rule_test_case *c)
{
	struct rig_env env = { t->env->shops, t->env->n_shops, t->env->staff, t->env->mode };
	struct err err = { 0 };
	bool ok;

	t->rig = rig_open(&env, t->set);
	t->next_customer = 1;
	ok = script_protect_timed(t->script, rule_test_call, c, &err);
	if (ok)
		rig_flush(t->rig);
	if (t->env->trace != NULL) {
		buf_printf(t->env->trace, "== %.*s: %s\n", SPAN_ARG(file), c->name);
		rig_trace(t->rig, t->env->trace);
	}
	if (t->env->report != NULL)
		t->env->report(t->env->arg, file, c->name, ok ? NULL : err.text);
	map_fini(&t->seen);
	rig_close(t->rig);
	return ok;
}

/* Limits of time are for real: a rule or a test that never ends is told, not waited for. */
static int64_t rule_test_ticks(void *arg)
{
	(void)arg;
	return clock_mono_us();
}

/* What the methods hand out: objects and times (script_body). */
static void rule_test_open_state(lua_State *L, void *ud)
{
	(void)ud;
	luajson_open(L);
	bind_time_open(L);
}

/* What the tests of a file run against: x_test.lua is about the rules of x.lua, where there is such a file. */
static struct rule_set rule_test_set_of(const struct rule_set *all, struct span file)
{
	struct rule_set own = *all;
	size_t n = file.n - strlen("_test.lua");

	for (size_t i = 0; i < all->n_texts; i++) {
		struct span path = all->texts[i].path;

		if (path.n == n + strlen(".lua") && memcmp(path.p, file.p, n) == 0) {
			own.texts = &all->texts[i];
			own.n_texts = 1;
		}
	}
	return own;
}

/* A file that does not load is one failed test. */
static void rule_test_file(
	struct rule_test *t, const struct rule_file *file, struct rule_test_sum *sum)
{
	const luaL_Reg calls[] = { { "test", l_test }, { NULL, NULL } };
	struct script_limits limits = { .eval_bytes = 256 << 20,
		.eval_us = t->env->test_us ? t->env->test_us : RULE_TEST_US,
		.ticks_us = rule_test_ticks };
	struct rule_set set = rule_test_set_of(t->all, file->path);
	struct err err = { 0 };

	/* for as long as the file is tested */
	/* cppcheck-suppress autoVariables */
	t->set = &set;
	t->script = script_new(&limits);
	script_set_host(t->script, t);
	script_define(t->script, calls);
	t->n_cases = 0;
	if (!script_protect(t->script, rule_test_open_state, NULL, &err) ||
		!script_load(t->script, arena_dup(&t->names, file->path.p, file->path.n),
			file->text, &err)) {
		sum->failed++;
		if (t->env->report != NULL)
			t->env->report(t->env->arg, file->path, "(loading)", err.text);
	}
	for (size_t i = 0; *err.text == '\0' && i < t->n_cases; i++)
		if (rule_test_one(t, file->path, &t->cases[i]))
			sum->passed++;
		else
			sum->failed++;
	arena_fini(&t->names);
	script_free(t->script);
}

/* Does the whole set load?  What the tests of a file load is only a part of it. */
static bool rule_test_loads(
	const struct rule_test_env *env, const struct rule_set *set, struct err *err)
{
	struct judge_env judge_env = { .shops = env->n_shops ? env->shops : &rig_shop,
		.n_shops = env->n_shops ? env->n_shops : 1,
		.staff = env->staff,
		.is_test = true,
		.ticks_us = rule_test_ticks };
	struct judge *judge;

	judge_limits_default(&judge_env.limits);
	judge = judge_new(&judge_env, set, err);
	judge_free(judge);
	return judge != NULL;
}

bool rule_test_run(const struct rule_test_env *env, const struct rule_set *set,
	const struct rule_file *files, size_t n_files, struct rule_test_sum *ret_sum,
	struct err *err)
{
	struct rule_test t = { .env = env, .all = set };

	if (!rule_test_loads(env, set, err))
		return false;
	*ret_sum = (struct rule_test_sum){ 0, 0 };
	for (size_t i = 0; i < n_files; i++)
		rule_test_file(&t, &files[i], ret_sum);
	free(t.cases);
	return true;
}
