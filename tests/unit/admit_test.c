/*
 * admit_test.c: who an event is about, what it says, and what is kept out.
 */
#include "base/clock.h"
#include "base/json.h"
#include "engine/field.h"
#include "intake/admit.h"
#include "model/shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW (INT64_C(1730000000) * CLOCK_SECOND_US)

static const struct shop shop = { .id = "main", .base = "main", .country = "DE" };
static struct arena arena;
static struct shop_event event;

static int clean(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

/* An envelope from its JSON: the members that an envelope has. */
static struct admit_envelope envelope(const char *json)
{
	struct json_fault fault;
	struct span text = span_of(json);
	struct admit_envelope e = { .shop = &shop, .raw = text };

	if (!json_check_all(text, &fault))
		fail_msg("%s: %s", json, fault.what);
	e.id = json_text(field_get(text, "id"), &arena);
	e.source = json_text(field_get(text, "source"), &arena);
	e.type = json_text(field_get(text, "type"), &arena);
	e.subject = json_text(field_get(text, "subject"), &arena);
	e.time = json_text(field_get(text, "time"), &arena);
	e.data = field_get(text, "data");
	return e;
}

static bool admit_by(const char *json, enum admit_door door)
{
	struct admit_envelope e = envelope(json);

	return admit_event(&event, &e, door, NOW, &arena);
}

static bool admit(const char *json)
{
	return admit_by(json, ADMIT_HTTP);
}

/* The event was admitted with these keys, "kind value|kind value". */
static void has_keys(const char *json, const char *expected)
{
	struct buf text = { 0 };

	if (!admit(json))
		fail_msg("%s: %s at %.*s", json, event.reason, SPAN_ARG(event.path));
	for (unsigned i = 0; i < event.n_identity; i++)
		buf_printf(&text, "%s%d %.*s", i ? "|" : "", event.identity[i].kind,
			SPAN_ARG(event.identity[i].value));
	if (!span_is(buf_as_span(&text), expected))
		fail_msg("%s: %.*s, not %s", json, SPAN_ARG(buf_as_span(&text)), expected);
	buf_free(&text);
}

/* The event was set aside because of this member. */
static void is_refused(const char *json, const char *path, const char *reason)
{
	if (admit(json))
		fail_msg("%s: was admitted", json);
	assert_int_equal(event.status, EVENT_QUARANTINED);
	if (!span_is(event.path, path) || !strstr(event.reason, reason))
		fail_msg("%s: \"%s\" at %.*s", json, event.reason, SPAN_ARG(event.path));
	assert_true(span_is(event.data, json));
}

/* Everything at its place. */
static void whole_event(void **state)
{
	(void)state;
	assert_true(admit(
		"{\"id\":\"1\",\"source\":\"/s\",\"type\":\"order.placed\",\"subject\":\"42\","
		"\"time\":\"2024-10-27T03:33:20Z\",\"data\":{\"order_id\":7}}"));
	assert_int_equal(event.status, EVENT_NEW);
	assert_int_equal(event.origin, EVENT_POSTED);
	assert_true(span_is(event.id, "1") && span_is(event.source, "/s"));
	assert_true(span_is(event.type, "order.placed"));
	assert_true(span_is(event.data, "{\"order_id\":7}"));
	assert_true(event.time_us == NOW && event.received_us == NOW);
	assert_true(event.claimed_us == TIME_NONE && event.deduplicated);
	assert_ptr_equal(event.shop, &shop);
	assert_true(admit("{\"id\":\"1\",\"type\":\"x\"}"));
	assert_true(span_is(event.data, "{}") && event.source.p && event.time_us == TIME_NONE);
	assert_true(admit("{\"id\":\"1\",\"type\":\"x\",\"data\":null}"));
	assert_true(span_is(event.data, "{}"));
}

/* The subject, data.customer, the fields of some types. */
static void keys(void **state)
{
	(void)state;
	has_keys("{\"id\":\"1\",\"type\":\"x\",\"subject\":\"42\"}", "1 42");
	has_keys(
		"{\"id\":\"1\",\"type\":\"x\",\"subject\":\" A@Example.ORG \"}", "2 a@example.org");
	has_keys("{\"id\":\"1\",\"type\":\"x\",\"subject\":\"+49 30 1234567\"}", "3 +49301234567");
	has_keys(
		"{\"id\":\"1\",\"type\":\"x\",\"data\":{\"customer\":{\"anonymous_id\":\"q\",\"phone\":\"030/1234567\","
		"\"email\":\"a@b.de\",\"id\":42},\"order_id\":\"A 1\",\"tracking_number\":99}}",
		"1 42|2 a@b.de|3 +49301234567|4 q|5 main/A 1|6 main/99");
	has_keys(
		"{\"id\":\"1\",\"type\":\"customer.updated\",\"subject\":\"old@b.de\",\"data\":{\"email\":\"new@b.de\",\"customer_id\":5}}",
		"1 5|2 old@b.de|2 new@b.de");
	has_keys(
		"{\"id\":\"1\",\"type\":\"customer.created\",\"data\":{\"id\":5,\"phone\":\"0301234567\"}}",
		"1 5|3 +49301234567");
	has_keys("{\"id\":\"1\",\"type\":\"call.missed\",\"data\":{\"from\":\"0301234567\"}}",
		"3 +49301234567");
	has_keys(
		"{\"id\":\"1\",\"type\":\"x\",\"subject\":\"42\",\"data\":{\"customer\":{\"id\":\"42\"}}}",
		"1 42");
	/* other types do not lend their fields */
	has_keys(
		"{\"id\":\"1\",\"type\":\"lead.created\",\"subject\":\"1\",\"data\":{\"email\":\"x@y.de\",\"id\":3}}",
		"1 1");
	/* what can not be read does not hide what can */
	has_keys(
		"{\"id\":\"1\",\"type\":\"x\",\"subject\":\"42\",\"data\":{\"customer\":{\"email\":\"n/a\",\"phone\":\"12\"}}}",
		"1 42");
}

/* Ids that stand for nobody join nobody. */
static void nobody(void **state)
{
	char first[64];

	(void)state;
	has_keys(
		"{\"id\":\"1\",\"type\":\"x\",\"data\":{\"customer\":{\"id\":0,\"email\":\"a@b.de\"}}}",
		"2 a@b.de");
	has_keys(
		"{\"id\":\"1\",\"type\":\"x\",\"subject\":\"undefined\",\"data\":{\"order_id\":1}}",
		"5 main/1");
	assert_true(admit("{\"id\":\"1\",\"type\":\"stock.changed\",\"data\":{\"product_id\":7}}"));
	assert_int_equal(event.n_identity, 1);
	assert_int_equal(event.identity[0].kind, IDENTITY_HIDDEN);
	assert_true(span_starts(event.identity[0].value, "main/"));
	snprintf(first, sizeof first, "%.*s", SPAN_ARG(event.identity[0].value));
	assert_true(admit(
		"{\"id\":\"2\",\"type\":\"stock.changed\",\"data\":{\"product_id\":\"7\",\"stock\":0}}"));
	assert_true(span_is(event.identity[0].value, first));
	assert_true(admit("{\"id\":\"2\",\"type\":\"page.viewed\"}"));
	assert_int_equal(event.identity[0].kind, IDENTITY_HIDDEN);
	is_refused("{\"id\":\"1\",\"type\":\"customer.updated\",\"data\":{\"name\":\"x\"}}",
		"$.data.customer", "names no customer");
	is_refused("{\"id\":\"1\",\"type\":\"message.opened\",\"data\":{\"message_id\":\"9\"}}",
		"$.data.customer", "names no customer");
	is_refused("{\"id\":\"1\",\"type\":\"x\",\"data\":{\"customer\":{\"email\":\"n/a\"}}}",
		"$.data.customer.email", "can not be read");
	is_refused("{\"id\":\"1\",\"type\":\"x\",\"subject\":\"a@b@c\"}", "$.subject",
		"can not be read");
	is_refused("{\"id\":\"1\",\"type\":\"x\",\"data\":{\"customer\":5}}", "$.data.customer",
		"can not be read");
}

/* Addresses that no mail server must ever see. */
static void bad_emails(void **state)
{
	static const char *const bad[] = { "@b.de", "a@", "a b@c.de", "a@b..de", "a@.de", "a@b.de.",
		"\\\"q\\\"@b.de", "a@b>\\r\\nRCPT", "<a@b.de>", "a@b,c@d", "a@[127.0.0.1]",
		"a(c)@b.de" };
	char json[2048], longest[1200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(json, sizeof json,
			"{\"id\":\"1\",\"type\":\"x\",\"data\":{\"customer\":{\"email\":\"%s\"}}}",
			bad[i]);
		is_refused(json, "$.data.customer.email", "can not be read");
	}
	memset(longest, 'a', sizeof longest);
	memcpy(longest + 1000, "@b.de", 6);
	snprintf(json, sizeof json, "{\"id\":\"1\",\"type\":\"x\",\"subject\":\"%s\"}", longest);
	is_refused(json, "$.subject", "can not be read");
	has_keys("{\"id\":\"1\",\"type\":\"x\",\"subject\":\"o'Neil+Tag@sub.b.de\"}",
		"2 o'neil+tag@sub.b.de");
}

/* Ids, types and sources have bounds and no hidden characters. */
static void texts(void **state)
{
	char json[1024], text[400];

	(void)state;
	is_refused("{\"id\":\"1\"}", "$.type", "missing");
	is_refused("{\"id\":\"1\",\"type\":\"\"}", "$.type", "missing");
	is_refused("{\"id\":\"1\",\"type\":\"a b\"}", "$.type", "printable");
	is_refused("{\"id\":\"1\",\"type\":\"order.*\"}", "$.type", "printable");
	is_refused("{\"id\":\"1\",\"type\":\"bestellung.gr\xc3\xb6\xc3\x9f"
		   "e\"}",
		"$.type", "printable");
	is_refused("{\"id\":\"\",\"type\":\"x\"}", "$.id", "empty");
	is_refused("{\"id\":\"a\\nb\",\"type\":\"x\"}", "$.id", "control");
	is_refused("{\"id\":\"a\\u0085b\",\"type\":\"x\"}", "$.id", "control");
	is_refused("{\"id\":\"a\\u2028b\",\"type\":\"x\"}", "$.id", "control");
	is_refused("{\"id\":\"1\",\"type\":\"x\",\"source\":\"nudged:\"}", "$.source", "own");
	is_refused("{\"id\":\"inbox:7\",\"type\":\"x\"}", "$.id", "own");
	assert_true(admit("{\"id\":\"inbox:7\",\"type\":\"x\",\"source\":\"shop\"}"));
	is_refused("{\"id\":\"1\",\"type\":\"x\",\"data\":[1]}", "$.data", "object");
	is_refused("{\"id\":\"1\",\"type\":\"x\",\"data\":\"1\"}", "$.data", "object");
	assert_true(admit("{\"id\":\"\xc3\xa9\",\"type\":\"Shop/Order-Placed\"}"));
	assert_true(
		admit_by("{\"id\":\"1\",\"type\":\"x\",\"source\":\"nudged:\"}", ADMIT_INTERNAL));
	memset(text, 'i', sizeof text);
	for (int n = 128; n <= 129; n++) {
		snprintf(json, sizeof json, "{\"id\":\"%.*s\",\"type\":\"x\"}", n, text);
		assert_int_equal(admit(json), n == 128);
		snprintf(json, sizeof json, "{\"id\":\"1\",\"type\":\"%.*s\"}", n / 2, text);
		assert_int_equal(admit(json), 1);
		snprintf(json, sizeof json, "{\"id\":\"1\",\"type\":\"x\",\"source\":\"%.*s\"}",
			n * 2, text);
		assert_int_equal(admit(json), n == 128);
	}
	snprintf(json, sizeof json, "{\"id\":\"1\",\"type\":\"%.65s\"}", text);
	is_refused(json, "$.type", "64");
}

/* Times: believed within ten minutes, refused when they are none. */
static void times(void **state)
{
	static const char *const bad[] = { "0000-01-01T00:00:00Z", "294277-01-01T00:00:00Z",
		"infinity", "2024-10-27T03:33:20", "2024-10-27", "2024-02-30T00:00:00Z",
		"2024-10-27T03:33:20+99:99", "1730000000", "", "1969-12-31T23:59:59Z" };
	char json[256];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(
			json, sizeof json, "{\"id\":\"1\",\"type\":\"x\",\"time\":\"%s\"}", bad[i]);
		is_refused(json, "$.time", "time");
	}
	assert_true(admit("{\"id\":\"1\",\"type\":\"x\",\"time\":\"2024-10-27T03:43:20Z\"}"));
	assert_true(event.time_us == NOW + 600 * CLOCK_SECOND_US && event.claimed_us == TIME_NONE);
	assert_true(admit("{\"id\":\"1\",\"type\":\"x\",\"time\":\"2024-10-27T03:43:21Z\"}"));
	assert_true(event.time_us == NOW && event.claimed_us == NOW + 601 * CLOCK_SECOND_US);
	assert_true(admit("{\"id\":\"1\",\"type\":\"x\",\"time\":\"9999-12-31T23:59:59Z\"}"));
	assert_true(event.time_us == NOW);
	assert_true(admit("{\"id\":\"1\",\"type\":\"x\",\"time\":\"1995-01-01T00:00:00Z\"}"));
}

/* The same content in other words has the same hash, other content another. */
static void content(void **state)
{
	unsigned char hash[16];
	static const char *const other[] = {
		"{\"id\":\"1\",\"type\":\"y\",\"time\":\"2024-10-27T03:33:20Z\",\"subject\":\"4\",\"data\":{\"a\":1,\"b\":\"\xc3\xa9\"}}",
		"{\"id\":\"1\",\"type\":\"x\",\"time\":\"2024-10-27T03:33:21Z\",\"subject\":\"4\",\"data\":{\"a\":1,\"b\":\"\xc3\xa9\"}}",
		"{\"id\":\"1\",\"type\":\"x\",\"subject\":\"4\",\"data\":{\"a\":1,\"b\":\"\xc3\xa9\"}}",
		"{\"id\":\"1\",\"type\":\"x\",\"time\":\"2024-10-27T03:33:20Z\",\"subject\":\"5\",\"data\":{\"a\":1,\"b\":\"\xc3\xa9\"}}",
		"{\"id\":\"1\",\"type\":\"x\",\"time\":\"2024-10-27T03:33:20Z\",\"subject\":\"4\",\"data\":{\"a\":2,\"b\":\"\xc3\xa9\"}}",
	};

	(void)state;
	assert_true(admit(
		"{\"id\":\"1\",\"type\":\"x\",\"time\":\"2024-10-27T03:33:20Z\",\"subject\":\"4\",\"data\":{\"a\":1,\"b\":\"\xc3\xa9\"}}"));
	memcpy(hash, event.hash, sizeof hash);
	assert_true(admit(
		"{\"id\":\"2\",\"source\":\"s\",\"type\":\"x\",\"time\":\"2024-10-27T04:33:20+01:00\",\"subject\":\"4\","
		"\"data\":{ \"b\" : \"\\u00e9\", \"a\":1}, \"traceparent\":\"00-1\"}"));
	assert_memory_equal(hash, event.hash, sizeof hash);
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		assert_true(admit(other[i]));
		assert_memory_not_equal(hash, event.hash, sizeof hash);
	}
}

/* Events without an id: by content, fresh, or not at all. */
static void without_id(void **state)
{
	char first[65];

	(void)state;
	assert_true(admit("{\"type\":\"x\",\"time\":\"2024-10-27T03:33:20Z\",\"data\":{\"a\":1}}"));
	assert_int_equal(event.id.n, 64);
	assert_true(event.deduplicated);
	snprintf(first, sizeof first, "%.*s", SPAN_ARG(event.id));
	assert_true(admit(
		"{\"type\":\"x\",\"time\":\"2024-10-27T03:33:20.000Z\",\"data\":{\"a\": 1}}"));
	assert_true(span_is(event.id, first));
	/* also when its time is not believed */
	assert_true(admit("{\"type\":\"x\",\"time\":\"2034-10-27T03:33:20Z\"}"));
	assert_true(event.deduplicated);
	snprintf(first, sizeof first, "%.*s", SPAN_ARG(event.id));
	assert_true(admit("{\"type\":\"x\",\"time\":\"2034-10-27T03:33:20Z\"}"));
	assert_true(span_is(event.id, first));
	assert_true(admit("{\"type\":\"x\"}"));
	assert_int_equal(event.id.n, 32);
	assert_false(event.deduplicated);
	snprintf(first, sizeof first, "%.*s", SPAN_ARG(event.id));
	assert_true(admit("{\"type\":\"x\"}"));
	assert_false(span_is(event.id, first));
	assert_false(admit_by("{\"type\":\"x\"}", ADMIT_MQTT));
	assert_true(span_is(event.path, "$.id"));
	assert_true(admit_by("{\"type\":\"x\",\"time\":\"2034-10-27T03:33:20Z\"}", ADMIT_MQTT));
}

/* What is set aside is whole, has a path inside its batch, and a hash of its own. */
static void quarantine(void **state)
{
	struct admit_envelope e = envelope("{\"id\":\"q\",\"type\":\"x\",\"time\":\"soon\"}");
	unsigned char hash[16];

	(void)state;
	e.at = SPAN("$[3]");
	assert_false(admit_event(&event, &e, ADMIT_HTTP, NOW, &arena));
	assert_true(span_is(event.path, "$[3].time"));
	assert_true(span_is(event.id, "q") && event.received_us == NOW);
	memcpy(hash, event.hash, sizeof hash);
	assert_false(admit("{\"id\":\"q\",\"type\":\"x\",\"time\":\"late\"}"));
	assert_memory_not_equal(hash, event.hash, sizeof hash);
}

/* Whose card is to be taken over is read like a subject, and is no key of the event. */
static void previous_id(void **state)
{
	(void)state;
	has_keys(
		"{\"id\":\"1\",\"type\":\"customer.merged\",\"subject\":\"42\",\"data\":{\"previous_id\":41}}",
		"1 42");
	assert_int_equal(event.previous.kind, IDENTITY_ID);
	assert_true(span_is(event.previous.value, "41"));
	assert_true(admit(
		"{\"id\":\"1\",\"type\":\"customer.merged\",\"subject\":\"42\",\"data\":{\"previous_id\":\" A@b.DE \"}}"));
	assert_int_equal(event.previous.kind, IDENTITY_EMAIL);
	assert_true(span_is(event.previous.value, "a@b.de"));
	assert_true(admit(
		"{\"id\":\"1\",\"type\":\"x\",\"subject\":\"42\",\"data\":{\"previous_id\":\"41\"}}"));
	assert_null(event.previous.value.p);
	is_refused("{\"id\":\"1\",\"type\":\"customer.merged\",\"subject\":\"42\"}",
		"$.data.previous_id", "missing");
	is_refused(
		"{\"id\":\"1\",\"type\":\"customer.merged\",\"subject\":\"42\",\"data\":{\"previous_id\":\"undefined\"}}",
		"$.data.previous_id", "can not be read");
}

/* Our own number goes before everything. */
static void own_number(void **state)
{
	struct admit_envelope e =
		envelope("{\"id\":\"1\",\"type\":\"task.done\",\"data\":{\"task_id\":\"4\"}}");

	(void)state;
	e.customer = 77;
	assert_true(admit_event(&event, &e, ADMIT_INTERNAL, NOW, &arena));
	assert_int_equal(event.identity[0].kind, IDENTITY_CUSTOMER);
	assert_true(span_is(event.identity[0].value, "77"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(whole_event, clean),
		cmocka_unit_test_teardown(keys, clean),
		cmocka_unit_test_teardown(nobody, clean),
		cmocka_unit_test_teardown(bad_emails, clean),
		cmocka_unit_test_teardown(texts, clean),
		cmocka_unit_test_teardown(times, clean),
		cmocka_unit_test_teardown(content, clean),
		cmocka_unit_test_teardown(without_id, clean),
		cmocka_unit_test_teardown(quarantine, clean),
		cmocka_unit_test_teardown(previous_id, clean),
		cmocka_unit_test_teardown(own_number, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
