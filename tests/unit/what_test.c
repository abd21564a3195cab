/* What a rule starts with and waits for: matching, JSON and back. */
#include "engine/what.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool matches(const char *json, const char *type, const char *data)
{
	struct arena a = { 0 };
	struct what w;
	struct err err;
	bool yes;

	if (!what_parse(span_of(json), &a, &w, &err))
		fail_msg("%s: %s", json, err.text);
	yes = what_match(&w, span_of(type), span_of(data)) >= 0;
	arena_fini(&a);
	return yes;
}

static bool filter(const char *filter_json, const char *data)
{
	char json[500];

	snprintf(json, sizeof json, "[{\"type\":\"x\",\"filter\":%s}]", filter_json);
	return matches(json, "x", data);
}

static void types_and_patterns(void **state)
{
	(void)state;
	assert_true(matches("[{\"type\":\"order.placed\"}]", "order.placed", "{}"));
	assert_false(matches("[{\"type\":\"order.placed\"}]", "order.paid", "{}"));
	assert_true(matches("[{\"type\":\"order.*\"}]", "order.paid", "{}"));
	assert_false(matches("[{\"type\":\"order.*\"}]", "orders.paid", "{}"));
	assert_true(matches("[{\"type\":\"*\"}]", "x", "{}"));
	assert_true(matches("[{\"type\":\"a\"},{\"type\":\"b\"}]", "b", "{}"));
	assert_false(matches("", "b", "{}"));
}

static void filters(void **state)
{
	(void)state;
	assert_true(filter("{}", "{\"a\":1}"));
	assert_true(filter("{\"a\":1}", "{\"a\":1.0}"));
	assert_true(filter("{\"a\":\"7\"}", "{\"a\":7}"));
	assert_true(filter("{\"a\":7}", "{\"a\":\"7\"}"));
	assert_false(filter("{\"a\":7}", "{\"a\":8}"));
	assert_false(filter("{\"a\":7}", "{\"b\":7}"));
	assert_true(filter("{\"a\":\"\\u0041\\n\"}", "{\"a\":\"A\\u000a\"}"));
	assert_true(filter("{\"a\":true}", "{\"a\":true}"));
	assert_false(filter("{\"a\":true}", "{\"a\":false}"));
	assert_false(filter("{\"a\":true}", "{\"a\":\"true\"}"));
	assert_true(filter("{\"a\":[\"new\",\"ready\"]}", "{\"a\":\"ready\"}"));
	assert_false(filter("{\"a\":[\"new\",\"ready\"]}", "{\"a\":\"sent\"}"));
	assert_true(filter("{\"a\":\"x\"}", "{\"a\":[\"w\",\"x\"]}"));
	assert_true(filter("{\"a\":{\"min\":10}}", "{\"a\":10}"));
	assert_false(filter("{\"a\":{\"min\":10}}", "{\"a\":9.99}"));
	assert_true(filter("{\"a\":{\"min\":10,\"max\":20}}", "{\"a\":\"12.50\"}"));
	assert_false(filter("{\"a\":{\"max\":20}}", "{\"a\":21}"));
	assert_false(filter("{\"a\":{\"max\":20}}", "{\"a\":\"many\"}"));
	assert_false(filter("{\"a\":{\"max\":20}}", "{}"));
	assert_true(filter("{\"a\":{\"min\":\"2026-01-01T00:00:00Z\"}}",
		"{\"a\":\"2026-01-01T03:00:00+02:00\"}"));
	assert_false(filter("{\"a\":{\"min\":\"2026-01-01T00:00:00Z\"}}",
		"{\"a\":\"2026-01-01T01:00:00+02:00\"}"));
	assert_true(filter("{\"s\":{\"country\":\"DE\"}}", "{\"s\":{\"country\":\"DE\",\"x\":1}}"));
	assert_false(filter("{\"s\":{\"country\":\"DE\"}}", "{\"s\":{\"country\":\"FR\"}}"));
	assert_false(filter("{\"s\":{\"country\":\"DE\"}}", "{\"s\":\"DE\"}"));
	assert_true(filter("{\"s.country\":\"DE\"}", "{\"s\":{\"country\":\"DE\"}}"));
	assert_true(filter("{\"p\":{\"sku\":\"b\"}}", "{\"p\":[{\"sku\":\"a\"},{\"sku\":\"b\"}]}"));
	assert_false(
		filter("{\"p\":{\"sku\":\"c\"}}", "{\"p\":[{\"sku\":\"a\"},{\"sku\":\"b\"}]}"));
}

static void outcomes(void **state)
{
	const char *clicked = "[{\"message\":17,\"outcome\":\"clicked\"}]";

	(void)state;
	assert_true(matches(clicked, "message.clicked", "{\"message_id\":17}"));
	assert_true(matches(clicked, "message.clicked", "{\"message_id\":\"17\"}"));
	assert_false(matches(clicked, "message.clicked", "{\"message_id\":18}"));
	assert_false(matches(clicked, "message.opened", "{\"message_id\":17}"));
	assert_false(matches(clicked, "message.clicked", "{}"));
	assert_true(matches("[{\"message\":17}]", "message.sent", "{\"message_id\":17}"));
	assert_true(matches("[{\"message\":17}]", "message.failed", "{\"message_id\":17}"));
	assert_false(matches("[{\"message\":17}]", "message.opened", "{\"message_id\":17}"));
	assert_true(matches("[{\"task\":5}]", "task.overdue", "{\"task_id\":5}"));
	assert_false(matches("[{\"task\":5}]", "task.taken", "{\"task_id\":5}"));
	assert_true(
		matches("[{\"filter\":{\"link\":\"yes\"},\"message\":17,\"outcome\":\"clicked\"}]",
			"message.clicked", "{\"message_id\":17,\"link\":\"yes\"}"));
}

static void json_and_back(void **state)
{
	const char *json =
		"[{\"filter\":{\"a\":1},\"type\":\"order.*\"},{\"message\":17,\"outcome\":"
		"\"clicked\"},{\"task\":5},{\"type\":\"*\"}]";
	struct arena a = { 0 };
	struct what w;
	struct err err;
	struct span *types;
	unsigned n;

	(void)state;
	assert_true(what_parse(span_of(json), &a, &w, &err));
	assert_int_equal(w.n, 4);
	assert_true(span_is(what_write(&w, &a), json));
	types = what_types(&w, &a, &n);
	assert_int_equal(n, 5);
	assert_true(span_is(types[0], "order.*"));
	assert_true(span_is(types[1], "message.clicked"));
	assert_true(span_is(types[2], "task.done"));
	assert_true(span_is(types[3], "task.overdue"));
	assert_false(what_parse(SPAN("{}"), &a, &w, &err));
	assert_false(what_parse(SPAN("[{}]"), &a, &w, &err));
	assert_false(what_parse(SPAN("[{\"message\":\"x\"}]"), &a, &w, &err));
	assert_false(what_parse(SPAN("nonsense"), &a, &w, &err));
	assert_true(what_parse(SPAN(""), &a, &w, &err));
	assert_int_equal(w.n, 0);
	assert_int_equal(what_write(&w, &a).n, 0);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_and_patterns),
		cmocka_unit_test(filters),
		cmocka_unit_test(outcomes),
		cmocka_unit_test(json_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
