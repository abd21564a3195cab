/* Rule files: what is accepted, how mistakes are told, what stands behind events and times in Lua. */
#include "engine/rules.h"

#include "base/duration.h"
#include "base/json.h"
#include "engine/bind_time.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "engine/vocabulary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t ticks(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static const struct script_limits limits = { 16 << 20, 1000000, ticks, NULL };
static const char *const stores[] = { "main", "outlet" };
static const struct rules_env env = { stores, 2 };

struct world {
	struct script *s;
	struct rules *r;
	struct arena a;
	struct rule_text texts[8];
	struct rule_set set;
};

static void world_open(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->s = script_new(&limits);
	w->r = rules_new(w->s, &env);
	w->set.texts = w->texts;
}

static void world_close(struct world *w)
{
	rules_free(w->r);
	script_free(w->s);
	arena_fini(&w->a);
}

/* A bundle; lib and defaults are JSON, may be NULL. */
static struct span bundle(
	struct world *w, const char *path, const char *text, const char *lib, const char *defaults)
{
	struct buf b = { 0 };
	struct span s;

	buf_printf(&b,
		"{\"defaults\":%s,\"lib\":%s,\"path\":\"%s\",\"text\":", defaults ? defaults : "[]",
		lib ? lib : "{}", path);
	json_put_text(&b, span_of(text));
	buf_char(&b, '}');
	s = (struct span){ arena_dup(&w->a, b.p, b.n), b.n };
	buf_free(&b);
	return s;
}

static void add(struct world *w, const char *path, const char *text)
{
	struct rule_text *t = &w->texts[w->set.n_texts++];

	memset(t->hash, 'a' + (int)w->set.n_texts, 64);
	t->level = 1;
	t->bundle = bundle(w, path, text, NULL, NULL);
}

static void refused(const char *text, const char *part)
{
	struct world w;
	struct err err;

	world_open(&w);
	add(&w, "a.lua", text);
	if (rules_load_set(w.r, &w.set, &err))
		fail_msg("accepted: %s", text);
	if (!strstr(err.text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, err.text);
	world_close(&w);
}

static void reads_a_rule(void **state)
{
	struct world w;
	struct err err;
	const struct rule *r;
	const struct rule *const *list;
	size_t n;

	(void)state;
	world_open(&w);
	add(&w, "a.lua",
		"rule \"plain\" { on = \"order.placed\", run = function() end }\n"
		"rule \"full\" {\n about = \"All keys\", on = { \"order.*\", on(\"cart.updated\", { total = { "
		"min = 10 } }) },\n when = function() return true end, key = \"order_id\", mode = "
		"\"restart\",\n cooldown = \"30d per customer\", exit_on = \"order.cancelled\", class = "
		"\"bulk\", max_age = \"2h\",\n late = \"3h\", on_change = \"finish\", priority = 90, store = "
		"{ \"outlet\" }, run = function() end }");
	if (!rules_load_set(w.r, &w.set, &err))
		fail_msg("%s", err.text);
	r = rules_find(w.r, SPAN("plain"));
	assert_string_equal(r->file, "a.lua");
	assert_int_equal(r->line, 1);
	assert_int_equal(r->mode, RULE_SINGLE);
	assert_int_equal(r->class_, CLASS_MARKETING);
	assert_int_equal(r->priority, 50);
	assert_int_equal(r->max_age->days, 1);
	assert_int_equal(r->when_ref, LUA_NOREF);
	assert_null(r->cooldown);
	r = rules_find(w.r, SPAN("full"));
	assert_int_equal(r->line, 2);
	assert_string_equal(r->about, "All keys");
	assert_int_equal(r->on.n, 2);
	assert_string_equal(r->key_field, "order_id");
	assert_int_equal(r->mode, RULE_RESTART);
	assert_int_equal(r->cooldown->days, 30);
	assert_true(r->cooldown_per_customer);
	assert_int_equal(r->exit_on.n, 1);
	assert_int_equal(r->class_, CLASS_BULK);
	assert_int_equal(r->max_age->us, 7200 * INT64_C(1000000));
	assert_int_equal(r->late, RULE_LATE_AFTER);
	assert_int_equal(r->late_after->us, 3 * 3600 * INT64_C(1000000));
	assert_int_equal(r->priority, 90);
	assert_int_equal(r->n_stores, 1);
	assert_string_equal(r->stores[0], "outlet");
	assert_int_equal(r->order, 1);
	list = rules_subscribed(w.r, SPAN("order.placed"), &n);
	assert_int_equal(n, 2);
	assert_string_equal(list[0]->name, "plain");
	list = rules_subscribed(w.r, SPAN("order.paid"), &n);
	assert_int_equal(n, 1);
	assert_ptr_equal(list, rules_subscribed(w.r, SPAN("order.other"), &n));
	list = rules_subscribed(w.r, SPAN("page.viewed"), &n);
	assert_int_equal(n, 0);
	assert_null(list);
	rules_all(w.r, &n);
	assert_int_equal(n, 2);
	assert_null(rules_find(w.r, SPAN("none")));
	world_close(&w);
}

static void tells_mistakes(void **state)
{
	(void)state;
	refused("rule \"x\" { on = \"order.plased\", run = function() end }",
		"a.lua:1: rule \"x\": on: unknown event \"order.plased\"; did you mean \"order.placed\"?");
	refused("\nrule \"x\" { on = \"ordr.*\", run = function() end }",
		"did you mean \"order.*\"?");
	refused("rule \"x\" { on = \"or*der\", run = function() end }", "pattern");
	refused("rule \"x\" { exit = \"order.placed\", run = 1, on = \"a\" }",
		"unknown key \"exit\"");
	refused("rule \"x\" { exit_no = \"order.placed\" }", "did you mean \"exit_on\"?");
	refused("rule \"x\" { on = \"order.placed\" }", "\"run\" is missing");
	refused("rule \"x\" { run = function() end }", "\"on\" is missing");
	refused("rule \"x\" { on = \"a\", run = 5 }", "\"run\" is a function");
	refused("rule \"x\" { on = \"a\", run = function() end, mode = \"singel\" }",
		"unknown mode \"singel\"; did you mean \"single\"?");
	refused("rule \"x\" { on = \"a\", run = function() end, cooldown = \"3 days\" }",
		"cooldown:");
	refused("rule \"x\" { on = \"a\", run = function() end, priority = 101 }", "0 to 100");
	refused("rule \"x\" { on = \"a\", run = function() end, store = \"outlte\" }",
		"unknown store \"outlte\"; did you mean \"outlet\"?");
	refused("rule \"x\" { on = \"a\", run = function() end, pace = \"60/h\" }",
		"\"pace\" is not available in this version");
	refused("rule \"x\" { on = \"a\", run = function() end, on_change = \"migrate\" }",
		"not available in this version");
	refused("rule \"x\" { on = every \"day at 10:00\", run = function() end }",
		"a.lua:1: schedules");
	refused("rule \"x\" { on = enters \"vip\", run = function() end }", "a.lua:1: segments");
	refused("rule \"x\" { on = {}, run = function() end }", "empty list");
	refused("rule \"x\" { on = on(\"a\", 5), run = function() end }", "a.lua:1: on(what");
	refused("rule \"x\" { on = on(\"a\", { f = print }), run = function() end }", "print");
	refused("rule \"x\" { on = on(\"a\", { f = function() end }), run = function() end }",
		"a.lua:1: on(): field \"f\": a function can not be stored");
	refused("rule \"x\" { \"on\" }", "value without a key");
	refused("rule \"x\"", "a.lua:1: rule \"x\" has no { ... }");
	refused("rule \"x\"\nrule \"y\" { on = \"a\", run = function() end }", "has no { ... }");
	refused("rule { on = \"a\" }", "write rule \"name\"");
	refused("rule \"a/b\" { }", "the name of a rule");
	refused("defaults { mode = \"single\" }", "defaults.lua");
	refused("local n = 0\nrule \"x\" { on = \"a\", run = function()\n n = n + 1 end }",
		"a.lua:3: changes \"n\"");
	refused("local x = require \"missing\"", "there is no lib/missing.lua");
	refused("rule \"x\" { on = \"a\", run = function() end }\n\nrule \"x\" { on = \"a\", run = "
		"function() end }",
		"a.lua:3: there is a rule \"x\" already, in a.lua:1");
	refused("while true do end", "a.lua:1: ran longer");
	refused("email {}", "unknown name \"email\"");
}

static void names_are_unique_in_a_set(void **state)
{
	struct world w;
	struct err err;

	(void)state;
	world_open(&w);
	add(&w, "a.lua", "rule \"x\" { on = \"a\", run = function() end }");
	add(&w, "b.lua", "\nrule \"x\" { on = \"a\", run = function() end }");
	assert_false(rules_load_set(w.r, &w.set, &err));
	assert_non_null(strstr(err.text, "b.lua:2: there is a rule \"x\" already, in a.lua:1"));
	world_close(&w);
}

/*** running what was loaded ***/

struct call {
	const struct rule *rule;
	const char *type, *data;
	char answer[1100];
};

static int call_push(lua_State *L, void *ud)
{
	struct call *c = ud;

	lua_rawgeti(L, LUA_REGISTRYINDEX, c->rule->run_ref);
	luajson_push(
		L, span_of(c->data), luajson_kind_event, vocabulary_find(span_of(c->type)), "");
	lua_pushliteral(L, "hidden");
	luajson_set_hidden(L, -2, "meta");
	what_push_handle(L, WHAT_MESSAGE, 17);
	return 2;
}

static void call_done(lua_State *L, int n, void *ud)
{
	struct call *c = ud;
	struct arena a = { 0 };
	struct span text;
	struct err err;

	if (n > 0 && luajson_encode(L, -n, 300, &a, &text, &err))
		snprintf(c->answer, sizeof c->answer, "%.*s", SPAN_ARG(text));
	else
		snprintf(c->answer, sizeof c->answer, "%s", n > 0 ? err.text : "nothing");
	arena_fini(&a);
}

static bool call(struct world *w, struct call *c, struct err *err)
{
	struct script_run *run = script_run_start(w->s, call_push, call_done, c, NULL);
	enum script_result r;

	bind_time_set_zone(w->s, tz_get("Europe/Berlin"));
	r = script_run_resume(run, err);
	script_run_end(run);
	return r == SCRIPT_DONE;
}

/* The body of a run(event, handle) and the JSON of what it returns, or its error. */
static void answers(const char *type, const char *data, const char *body, const char *expected)
{
	struct world w;
	struct err err = { "", "" };
	struct call c = { .type = type, .data = data };
	char text[1000];

	world_open(&w);
	snprintf(text, sizeof text, "rule \"x\" { on = \"%s\", run = function(e, m) %s end }", type,
		body);
	add(&w, "a.lua", text);
	if (!rules_load_set(w.r, &w.set, &err))
		fail_msg("%s", err.text);
	c.rule = rules_find(w.r, SPAN("x"));
	if (!call(&w, &c, &err))
		snprintf(c.answer, sizeof c.answer, "%s", err.text);
	if (!strstr(c.answer, expected) || (*expected != 'a' && strcmp(c.answer, expected) != 0))
		fail_msg("%s: %s (expected %s)", body, c.answer, expected);
	world_close(&w);
}

static const char order[] =
	"{\"order_id\":4711,\"total\":\"1250.50\",\"tax\":2500.0,\"delivery_at\":\"2026-03-28T10:00:00Z\","
	"\"products\":[{\"product_id\":1,\"name\":\"A\\u00e4\",\"price\":\"5\"},{\"product_id\":2,\"price\":7}],"
	"\"shipping\":null,\"own\":{\"a\":{\"b\":[1,2,[3]]}},\"flag\":true}";

static void events_are_read_by_kind(void **state)
{
	const char *t = "order.placed";

	(void)state;
	answers(t, order, "return e.order_id", "\"4711\"");
	answers(t, order, "return e.total", "1250.5");
	answers(t, order, "return e.total > 1000 and e.tax == 2500", "true");
	answers(t, order, "return e.tax", "2500");
	answers(t, order, "return #e.products", "2");
	answers(t, order, "return e.products[1].name .. e.products[2].product_id",
		"\"A\xc3\xa4"
		"2\"");
	answers(t, order, "return e.products[1].price + e.products[2].price", "12");
	answers(t, order,
		"local n = 0 for i, p in ipairs(e.products) do n = n + p.price end return n", "12");
	answers(t, order, "return e.own.a.b[3][1]", "3");
	answers(t, order, "return e.own == e.own and e.products[1] == e.products[1]", "true");
	answers(t, order, "return e.nothing == nil and e.nothing == nil", "true");
	answers(t, "{}", "return #e.products", "0");
	answers(t, order, "return e.meta", "\"hidden\"");
	answers(t, order, "return type(e) .. type(e.products) .. type(e.delivery_at)",
		"\"tabletabletime\"");
	answers(t, order, "local r = '' for k in pairs(e) do r = r .. k .. ' ' end return r",
		"\"delivery_at flag order_id own products tax total \"");
	answers(t, order, "e.total = 1", "a.lua:1: could not set \"total\"");
	answers(t, order, "table.insert(e.products, 1)", "a.lua:1: this list is read-only");
	answers(t, order, "return e.unknown.x", "attempt to index a nil value (field 'unknown')");
	answers(t, order, "return e.shipping_total > 5", "attempt to compare");
	answers(t, order, "return { a = e.own, l = e.products[2], n = { 1, 2.5, 'x' } }",
		"{\"a\":{\"a\":{\"b\":[1,2,[3]]}},\"l\":{\"price\":7,\"product_id\":2},\"n\":[1,2.5,\"x\"]}");
	answers("my.own", "{\"thing_id\":5,\"at\":1,\"made_at\":\"2026-01-01T00:00:00Z\"}",
		"return e.thing_id .. e.made_at.year", "\"52026\"");
}

static void values_that_can_not_be_stored(void **state)
{
	(void)state;
	answers("a", "{}", "return { f = { g = function() end } }",
		"field \"f.g\": a function can not be stored");
	answers("a", "{}", "return { [1.5] = 1 }",
		"a table that has other keys than text, and is no list from 1 on, can not be stored");
	answers("a", "{}", "local t = {} t.t = t return t", "a table deeper than 32");
	answers("a", "{}", "return 0/0", "a number that is none (0/0, 1/0) can not be stored");
	answers("a", "{}", "return 2^60", "a number beyond 1e15 can not be stored");
	answers("a", "{}", "return '\\xff'", "text that is not valid UTF-8 can not be stored");
	answers("a", "{}", "return ('x'):rep(1000)", "it is too long");
	answers("a", "{}", "return { x = m }", "field \"x\": a handle can not be stored");
	answers("a", "{}", "return {}", "{}");
	answers("a", "{}", "return { b = 1, a = { true, false }, ['\xc3\xa4'] = 2 / 1 }",
		"{\"a\":[true,false],\"b\":1,\"\xc3\xa4\":2}");
}

static void times(void **state)
{
	const char *t = "order.placed";

	(void)state;
	answers(t, order, "return e.delivery_at", "\"2026-03-28T10:00:00Z\"");
	answers(t, order, "return e.delivery_at + '1d'", "\"2026-03-29T09:00:00Z\"");
	answers(t, order, "return e.delivery_at + '24h'", "\"2026-03-29T10:00:00Z\"");
	answers(t, order, "return e.delivery_at - '1d2h'", "\"2026-03-27T08:00:00Z\"");
	answers(t, order, "return e.delivery_at + '1d' - e.delivery_at", "82800");
	answers(t, order,
		"return e.delivery_at < e.delivery_at + '1m' and e.delivery_at == e.delivery_at + '0s'",
		"true");
	answers(t, order, "local d = e.delivery_at return d.year * 10000 + d.month * 100 + d.day",
		"20260328");
	answers(t, order, "local d = e.delivery_at return d.hour * 100 + d.weekday * 10 + d.minute",
		"1160");
	answers(t, order, "return e.delivery_at:format '%d.%m.%Y %H:%M %a %B %%'",
		"\"28.03.2026 11:00 Sat March %\"");
	answers(t, order, "return tostring(e.delivery_at)", "\"2026-03-28T11:00:00+01:00\"");
	answers(t, order, "return e.delivery_at < 5",
		"a.lua:1: a time can only be compared with a time");
	answers(t, order, "return e.delivery_at + 5", "a.lua:1: a time takes a duration");
	answers(t, order, "return e.delivery_at.hours",
		"a.lua:1: a time has no field \"hours\"; did you mean");
	answers(t, order, "e.delivery_at.hour = 5", "a.lua:1: a time can not be changed");
}

static void handles(void **state)
{
	(void)state;
	answers("a", "{}", "return type(m.clicked)", "\"handle\"");
	answers("a", "{}", "return m.cliked",
		"a.lua:1: a message has no outcome \"cliked\"; did you mean "
		"\"clicked\"?");
	answers("a", "{}", "m.x = 1", "a.lua:1: a handle can not be changed");
}

/*** helpers, defaults, older texts ***/

static void helpers_and_defaults(void **state)
{
	struct world w;
	struct err err;
	struct call c = { .type = "a", .data = "{}" };
	const struct rule *r;

	(void)state;
	world_open(&w);
	w.texts[0].level = 1;
	memset(w.texts[0].hash, 'a', 64);
	w.texts[0].bundle = bundle(&w, "sub/a.lua",
		"local x = require \"x\"\nlocal same = require \"x\" == x\n"
		"rule \"r\" { on = \"a\", mode = \"queued\", run = function() return x.f() .. tostring(same) end }",
		"{\"x\":\"local y = require 'y' local t = { n = y } return { f = function() return t.n end }\","
		"\"y\":\"return 7\",\"unused\":\"syntax error\"}",
		"[{\"path\":\"defaults.lua\",\"text\":\"defaults { mode = 'single', priority = 10, class = "
		"'bulk' }\"},{\"path\":\"sub/defaults.lua\",\"text\":\"defaults { priority = 20 }\"}]");
	w.set.n_texts = 1;
	if (!rules_load_set(w.r, &w.set, &err))
		fail_msg("%s", err.text);
	r = c.rule = rules_find(w.r, SPAN("r"));
	assert_int_equal(r->mode, RULE_QUEUED);
	assert_int_equal(r->priority, 20);
	assert_int_equal(r->class_, CLASS_BULK);
	assert_true(call(&w, &c, &err));
	assert_string_equal(c.answer, "\"7true\"");
	world_close(&w);
}

static void bundle_refused(const char *lib, const char *defaults, const char *part)
{
	struct world w;
	struct err err;

	world_open(&w);
	w.set.n_texts = 1;
	w.texts[0].level = 1;
	w.texts[0].bundle = bundle(&w, "a.lua", "local x = require \"x\"", lib, defaults);
	assert_false(rules_load_set(w.r, &w.set, &err));
	if (!strstr(err.text, part))
		fail_msg("%s", err.text);
	world_close(&w);
}

static void broken_bundles(void **state)
{
	(void)state;
	bundle_refused("{\"x\":\"local x = require 'x' return x\"}", NULL, "requires itself");
	bundle_refused("{\"x\":\"local y = 1\"}", NULL, "lib/x.lua returns nothing");
	bundle_refused("{\"x\":\"\\nreturn 1 +\"}", NULL, "lib/x.lua:2:");
	bundle_refused("{\"x\":\"local n = 0 return { f = function() n = 1 end }\"}", NULL,
		"lib/x.lua:1: changes \"n\"");
	bundle_refused(NULL, "[{\"path\":\"defaults.lua\",\"text\":\"defaults { run = 1 }\"}]",
		"defaults.lua:1: defaults: \"run\" must stand in the rule itself");
	bundle_refused(NULL, "[{\"path\":\"defaults.lua\",\"text\":\"rule 'x' {}\"}]",
		"defaults.lua:1: a defaults.lua holds");
}

static void older_texts(void **state)
{
	struct world w;
	struct err err;
	struct call c = { .type = "a", .data = "{}" };
	struct span old;
	size_t n;

	(void)state;
	world_open(&w);
	add(&w, "a.lua", "rule \"x\" { on = \"a\", run = function() return 2 end }");
	assert_true(rules_load_set(w.r, &w.set, &err));
	old = bundle(&w, "a.lua", "rule \"x\" { on = \"a\", run = function() return 1 end }", NULL,
		NULL);
	assert_false(rules_text_is_loaded(w.r, SPAN("old")));
	assert_false(rules_text_load(w.r, SPAN("old"), old, RULE_LEVEL + 1, &err));
	assert_true(rules_text_load(w.r, SPAN("old"), old, 1, &err));
	assert_true(rules_text_is_loaded(w.r, SPAN("old")));
	c.rule = rules_in_text(w.r, SPAN("old"), SPAN("x"));
	assert_true(call(&w, &c, &err));
	assert_string_equal(c.answer, "1");
	c.rule = rules_find(w.r, SPAN("x"));
	assert_true(call(&w, &c, &err));
	assert_string_equal(c.answer, "2");
	rules_subscribed(w.r, SPAN("a"), &n);
	assert_int_equal(n, 1);
	assert_null(rules_in_text(w.r, SPAN("old"), SPAN("y")));
	assert_ptr_equal(rules_in_text(w.r, span_of(w.texts[0].hash), SPAN("x")), c.rule);
	assert_false(rules_text_load(w.r, SPAN("bad"), SPAN("nonsense"), 1, &err));
	assert_false(rules_text_load(
		w.r, SPAN("bad"), bundle(&w, "a.lua", "rule \"x\" { }", NULL, NULL), 1, &err));
	assert_false(rules_text_is_loaded(w.r, SPAN("bad")));
	/* one of its stores has left the configuration meanwhile */
	assert_true(rules_text_load(w.r, SPAN("closed"),
		bundle(&w, "a.lua",
			"rule \"x\" { on = \"a\", store = { \"outlet\", \"gone\" }, run = function() end }",
			NULL, NULL),
		1, &err));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_rule),
		cmocka_unit_test(tells_mistakes),
		cmocka_unit_test(names_are_unique_in_a_set),
		cmocka_unit_test(events_are_read_by_kind),
		cmocka_unit_test(values_that_can_not_be_stored),
		cmocka_unit_test(times),
		cmocka_unit_test(handles),
		cmocka_unit_test(helpers_and_defaults),
		cmocka_unit_test(broken_bundles),
		cmocka_unit_test(older_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
