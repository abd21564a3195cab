/*
 * envelope_test.c: bodies cut into events, in every mode of CloudEvents and the plain form.
 */
#include "base/clock.h"
#include "door/envelope.h"
#include "model/shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct shop shop = { .id = "main", .country = "DE" };
static struct arena arena;
static struct envelope_item *items;
static size_t n_items;
static struct envelope_fault fault;

static int clean(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static bool read_as(const char *type, struct span body, enum admit_door door,
	const struct envelope_attribute *attributes, size_t n)
{
	struct envelope_input in = { .shop = &shop,
		.door = door,
		.content_type = span_of(type),
		.body = body,
		.attributes = attributes,
		.n_attributes = n };

	return envelope_read(&in, &arena, &items, &n_items, &fault);
}

static bool read_plain(const char *body)
{
	return read_as("application/json", span_of(body), ADMIT_HTTP, NULL, 0);
}

static void is_text(struct span s, const char *expected)
{
	if (!span_is(s, expected))
		fail_msg("\"%.*s\" is not \"%s\"", SPAN_ARG(s), expected);
}

static void whole_fault(const char *body, const char *path)
{
	if (read_plain(body))
		fail_msg("%s: was read", body);
	assert_int_equal(fault.kind, ENVELOPE_NOT_READ);
	is_text(fault.path, path);
}

static void item_fault(const char *body, size_t i, const char *path)
{
	if (!read_plain(body))
		fail_msg("%s: %s at %.*s", body, fault.reason, SPAN_ARG(fault.path));
	assert_true(i < n_items);
	if (!items[i].reason)
		fail_msg("%s: no fault", body);
	is_text(items[i].path, path);
}

/* One event, plain or structured, whatever the label. */
static void single(void **state)
{
	static const char *const types[] = { NULL, "text/plain",
		"application/cloudevents+json; charset=utf-8",
		"application/x-www-form-urlencoded" };
	const char *body =
		" {\"specversion\":\"1.0\",\"type\":\"x\",\"id\":7,\"source\":\"/\\u0073\",\"subject\":\"4\","
		"\"time\":\"2024-10-27T03:33:20Z\",\"data\":{\"a\":[1]},\"extra\":null} ";

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		assert_true(read_as(types[i], span_of(body), ADMIT_HTTP, NULL, 0));
		assert_int_equal(n_items, 1);
		assert_null(items[0].reason);
		is_text(items[0].envelope.type, "x");
		is_text(items[0].envelope.id, "7");
		is_text(items[0].envelope.source, "/s");
		is_text(items[0].envelope.subject, "4");
		is_text(items[0].envelope.time, "2024-10-27T03:33:20Z");
		is_text(items[0].envelope.data, "{\"a\":[1]}");
		assert_int_equal(items[0].envelope.raw.n, strlen(body) - 2);
	}
	assert_true(read_plain("{\"type\":\"x\",\"id\":null,\"data\":null}"));
	assert_null(items[0].envelope.id.p);
}

/* Batches: each event alone. */
static void batch(void **state)
{
	(void)state;
	assert_true(read_as("application/cloudevents-batch+json", SPAN("[]"), ADMIT_HTTP, NULL, 0));
	assert_int_equal(n_items, 0);
	assert_true(read_plain(" [ {\"type\":\"a\"} , {\"type\":\"b\"} ] "));
	assert_int_equal(n_items, 2);
	is_text(items[1].envelope.type, "b");
	is_text(items[1].envelope.at, "$[1]");
	is_text(items[1].envelope.raw, "{\"type\":\"b\"}");
}

/* A bad event among good ones costs nobody else anything. */
static void bad_items(void **state)
{
	(void)state;
	item_fault("[{\"type\":\"a\"},{\"type\":5},{\"type\":\"c\"}]", 1, "$[1].type");
	assert_null(items[0].reason);
	assert_null(items[2].reason);
	item_fault(
		"[{\"type\":\"a\"},{\"type\":\"b\",\"data\":{\"x\":1,\"x\":2}},{\"type\":\"c\"}]",
		1, "$[1].data.x");
	assert_int_equal(n_items, 3);
	is_text(items[1].envelope.raw, "{\"type\":\"b\",\"data\":{\"x\":1,\"x\":2}}");
	is_text(items[2].envelope.type, "c");
	item_fault("[5,{\"type\":\"c\"}]", 0, "$[0]");
	item_fault("[[1,{\"a\":\"],\"}],{\"type\":\"c\"}]", 0, "$[0]");
	assert_int_equal(n_items, 2);
	item_fault("[{\"type\":\"a\",\"data\":{\"t\":\"\\u0000\"}}]", 0, "$[0].data.t");
	item_fault("[{\"type\":\"a\",\"data\":{\"t\":1e400}}]", 0, "$[0].data.t");
	item_fault("{\"specversion\":\"0.3\",\"type\":\"a\"}", 0, "$.specversion");
	item_fault("{\"type\":\"a\",\"time\":5}", 0, "$.time");
	item_fault("{\"type\":\"a\",\"subject\":{}}", 0, "$.subject");
}

/* No JSON, no events. */
static void bad_bodies(void **state)
{
	(void)state;
	whole_fault("", "$");
	whole_fault("hello", "$");
	whole_fault("{\"type\":\"a\"", "$.type");
	whole_fault("{\"type\":\"a\"} x", "$");
	whole_fault("{\"type\":\"a\",\"data\":{\"x\":tru}}", "$.data.x");
	whole_fault("[{\"type\":\"a\"}", "$");
	whole_fault("[{\"type\":\"a\"}] x", "$");
	whole_fault("[{\"type\":\"a\"},]", "$[1]");
	whole_fault("[,]", "$[0]");
	whole_fault("[{\"type\":\"a", "$[0].type");
	whole_fault("\xef\xbb\xbf{\"type\":\"a\"}", "$");
}

/* 64 KiB an event, 500 events, 1 MiB a body. */
static void limits(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "[{\"type\":\"a\",\"data\":{\"x\":\"");
	memset(buf_reserve(&b, 70000), 'x', 70000);
	b.n += 70000;
	buf_str(&b, "\"}},{\"type\":\"b\"}]");
	assert_true(read_as(NULL, buf_as_span(&b), ADMIT_HTTP, NULL, 0));
	assert_int_equal(n_items, 2);
	assert_non_null(items[0].reason);
	is_text(items[0].path, "$[0]");
	assert_null(items[1].reason);
	for (int n = 500; n <= 501; n++) {
		buf_clear(&b);
		for (int i = 0; i < n; i++)
			buf_str(&b, i ? ",{\"type\":\"a\"}" : "[{\"type\":\"a\"}");
		buf_char(&b, ']');
		assert_int_equal(read_as(NULL, buf_as_span(&b), ADMIT_HTTP, NULL, 0), n == 500);
	}
	assert_int_equal(fault.kind, ENVELOPE_TOO_LARGE);
	buf_clear(&b);
	memset(buf_reserve(&b, 1 << 20 | 1), ' ', 1 << 20 | 1);
	b.n = 1 << 20 | 1;
	assert_false(read_as(NULL, buf_as_span(&b), ADMIT_HTTP, NULL, 0));
	assert_int_equal(fault.kind, ENVELOPE_TOO_LARGE);
	buf_free(&b);
}

#define ATTRIBUTE(n, v)                                                                            \
	{                                                                                          \
		SPAN(n), SPAN(v)                                                                   \
	}

/* Attributes in headers, quoted and percent-encoded. */
static void binary_http(void **state)
{
	const struct envelope_attribute good[] = { ATTRIBUTE("Host", "x"),
		ATTRIBUTE("CE-SpecVersion", "1.0"), ATTRIBUTE("ce-type", "order.placed"),
		ATTRIBUTE("ce-id", "%41%2d1"), ATTRIBUTE("ce-source", "\"a\\\"b\""),
		ATTRIBUTE("ce-subject", "Gr%C3%BC%C3%9fe 50%"),
		ATTRIBUTE("ce-time", " 2024-10-27T03:33:20Z "),
		ATTRIBUTE("ce-traceparent", "%ff") };
	struct envelope_attribute bad[] = { ATTRIBUTE("ce-specversion", "1.0"),
		ATTRIBUTE("ce-id", "%C0%80") };
	struct envelope_attribute twice[] = { ATTRIBUTE("ce-specversion", "1.0"),
		ATTRIBUTE("ce-id", "1"), ATTRIBUTE("ce-id", "2") };

	(void)state;
	assert_true(read_as("application/json", SPAN("{\"a\":1} "), ADMIT_HTTP, good, 8));
	assert_int_equal(n_items, 1);
	assert_null(items[0].reason);
	is_text(items[0].envelope.type, "order.placed");
	is_text(items[0].envelope.id, "A-1");
	is_text(items[0].envelope.source, "a\"b");
	is_text(items[0].envelope.subject, "Gr\xc3\xbc\xc3\x9f"
					   "e 50%");
	is_text(items[0].envelope.time, "2024-10-27T03:33:20Z");
	is_text(items[0].envelope.data, "{\"a\":1}");
	assert_true(read_as(NULL, SPAN(""), ADMIT_HTTP, good, 8));
	assert_null(items[0].envelope.data.p);
	assert_false(read_as(NULL, SPAN("{"), ADMIT_HTTP, good, 8));
	assert_false(read_as(NULL, SPAN("{}"), ADMIT_HTTP, bad, 2));
	assert_false(read_as(NULL, SPAN("{}"), ADMIT_HTTP, twice, 3));
	bad[0].value = SPAN("0.3");
	bad[1].value = SPAN("1");
	assert_true(read_as(NULL, SPAN("{}"), ADMIT_HTTP, bad, 2));
	is_text(items[0].path, "$.specversion");
	/* a structured body wins over what stands beside it */
	assert_true(read_as(
		"application/cloudevents+json", SPAN("{\"type\":\"in\"}"), ADMIT_HTTP, good, 8));
	is_text(items[0].envelope.type, "in");
}

/* User properties: bare names, no decoding. */
static void binary_mqtt(void **state)
{
	const struct envelope_attribute a[] = { ATTRIBUTE("specversion", "1.0"),
		ATTRIBUTE("type", "x"), ATTRIBUTE("id", "%41"),
		ATTRIBUTE("datacontenttype", "application/json"), ATTRIBUTE("ce-id", "2") };
	const struct envelope_attribute other[] = { ATTRIBUTE("id", "9"), ATTRIBUTE("type", "y") };

	(void)state;
	assert_true(read_as("application/json", SPAN("{}"), ADMIT_MQTT, a, 5));
	is_text(items[0].envelope.id, "%41");
	assert_true(read_as(NULL, SPAN("{\"type\":\"in\"}"), ADMIT_MQTT, other, 2));
	is_text(items[0].envelope.type, "in");
}

/* JSON may come packed; other data may not. */
static void base64(void **state)
{
	(void)state;
	assert_true(read_plain("{\"type\":\"x\",\"data_base64\":\"eyJhIjoxfQ==\"}"));
	assert_null(items[0].reason);
	is_text(items[0].envelope.data, "{\"a\":1}");
	assert_true(read_plain(
		"{\"type\":\"x\",\"datacontenttype\":\"application/vnd.x+json;a=b\",\"data_base64\":\"e30=\"}"));
	is_text(items[0].envelope.data, "{}");
	item_fault("{\"type\":\"x\",\"datacontenttype\":\"image/png\",\"data_base64\":\"e30=\"}", 0,
		"$.data_base64");
	item_fault("{\"type\":\"x\",\"data_base64\":\"e30\"}", 0, "$.data_base64");
	item_fault("{\"type\":\"x\",\"data_base64\":\"e===\"}", 0, "$.data_base64");
	item_fault("{\"type\":\"x\",\"data_base64\":\"e3s=\"}", 0, "$.data_base64");
	item_fault("{\"type\":\"x\",\"data_base64\":5}", 0, "$.data_base64");
	item_fault("{\"type\":\"x\",\"data_base64\":\"e30=\",\"data\":{}}", 0, "$.data_base64");
}

/* From a body to events: the good are admitted, the bad are kept with reason and path. */
static void admitted(void **state)
{
	struct shop_event e;

	(void)state;
	assert_true(read_plain(
		"[{\"type\":\"x\",\"id\":\"1\",\"subject\":\"4\"},{\"type\":[]},{\"type\":\"x\",\"id\":\"3\",\"time\":\"?\"}]"));
	assert_true(envelope_admit(&e, &items[0], ADMIT_HTTP, 1, &arena));
	assert_int_equal(e.status, EVENT_NEW);
	assert_false(envelope_admit(&e, &items[1], ADMIT_HTTP, 1, &arena));
	assert_int_equal(e.status, EVENT_QUARANTINED);
	is_text(e.path, "$[1].type");
	is_text(e.data, "{\"type\":[]}");
	assert_false(envelope_admit(&e, &items[2], ADMIT_HTTP, 1, &arena));
	is_text(e.path, "$[2].time");
	is_text(e.id, "3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(single, clean),
		cmocka_unit_test_teardown(batch, clean),
		cmocka_unit_test_teardown(bad_items, clean),
		cmocka_unit_test_teardown(bad_bodies, clean),
		cmocka_unit_test_teardown(limits, clean),
		cmocka_unit_test_teardown(binary_http, clean),
		cmocka_unit_test_teardown(binary_mqtt, clean),
		cmocka_unit_test_teardown(base64, clean),
		cmocka_unit_test_teardown(admitted, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
