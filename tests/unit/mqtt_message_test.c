/* mqtt_message_test.c: topics, and messages that become events or quarantined ones. */
#include "door/mqtt_message.h"
#include "model/shop.h"

#include <mqtt_protocol.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct shop shop = { .id = "main",
	.base = "main",
	.zone = "UTC",
	.lang = "en",
	.currency = "EUR",
	.country = "DE",
	.from = "",
	.reply_to = "" };

/* The store of a topic below "nudged", or NULL. */
static const char *store_of(const char *topic)
{
	static char text[40];
	struct span store;

	if (!gate_topic_store(topic, SPAN("nudged"), &store))
		return NULL;
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(store));
	return text;
}

static void test_topics(void **state)
{
	(void)state;
	assert_string_equal(store_of("nudged/main/events"), "main");
	assert_string_equal(store_of("nudged/main/events/"), "main");
	assert_string_equal(store_of("nudged/a-b/events/orders/new"), "a-b");
	assert_null(store_of("nudged/main/eventsx"));
	assert_null(store_of("nudged/main/event"));
	assert_null(store_of("nudged/main"));
	assert_null(store_of("nudged//events/x"));
	assert_null(store_of("nudged/"));
	assert_null(store_of("nudged"));
	assert_null(store_of("nudgedx/main/events/x"));
	assert_null(store_of("/nudged/main/events/x"));
	assert_null(store_of("$SYS/main/events/x"));
	assert_null(store_of(""));
}

static void take(struct gate *g, const char *payload, const mosquitto_property *properties)
{
	char *copy = xstrdup(payload);
	struct mosquitto_message m = {
		.payload = copy, .payloadlen = (int)strlen(payload), .qos = 1
	};

	gate_take(g, &shop, &m, properties);
	memset(copy, '#', strlen(payload)); /* it was only lent */
	free(copy);
}

static void test_plain(void **state)
{
	struct gate g = { 0 };

	(void)state;
	take(&g, "{\"type\":\"a.b\",\"id\":\"7\",\"data\":{\"x\":1}}", NULL);
	take(&g, "[{\"type\":\"a.b\",\"id\":\"8\"},{\"type\":\"a.b\",\"id\":\"9\"}]", NULL);
	take(&g, "{\"type\":\"a.b\"", NULL);
	take(&g, "", NULL);
	assert_int_equal(g.n, 5);
	assert_int_equal(g.quarantined, 2);
	assert_true(span_is(g.events[0].id, "7"));
	assert_true(span_is(g.events[0].data, "{\"x\":1}"));
	assert_true(span_is(g.events[2].id, "9"));
	assert_int_equal(g.events[2].status, EVENT_NEW);
	assert_int_equal(g.events[3].status, EVENT_QUARANTINED);
	assert_true(span_is(g.events[3].data, "{\"type\":\"a.b\""));
	assert_string_equal(g.events[4].reason, "the message is empty");
	assert_ptr_equal(g.events[4].shop, &shop);
	assert_true(g.received_us > 0);
	gate_reset(&g);
	assert_int_equal(g.n + g.bytes + g.messages + g.quarantined, 0);
	take(&g, "{\"type\":\"a.b\",\"id\":\"1\"}", NULL);
	assert_int_equal(g.n, 1);
	gate_fini(&g);
}

static void put(mosquitto_property **p, const char *name, const char *value)
{
	assert_int_equal(
		mosquitto_property_add_string_pair(p, MQTT_PROP_USER_PROPERTY, name, value),
		MOSQ_ERR_SUCCESS);
}

static void test_binary(void **state)
{
	mosquitto_property *p = NULL;
	struct gate g = { 0 };

	(void)state;
	mosquitto_property_add_string(&p, MQTT_PROP_CONTENT_TYPE, "application/json");
	put(&p, "specversion", "1.0");
	put(&p, "id", "b1");
	put(&p, "source", "/shop");
	put(&p, "type", "order.placed");
	put(&p, "datacontenttype", "application/json");
	put(&p, "subject", "\xd0\xb8\xd0\xb2\xd0\xb0\xd0\xbd@example.com");
	take(&g, "{\"order_id\":\"5\"}", p);
	mosquitto_property_free_all(&p);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.events[0].status, EVENT_NEW);
	assert_true(span_is(g.events[0].id, "b1"));
	assert_true(span_is(g.events[0].type, "order.placed"));
	assert_true(span_is(g.events[0].data, "{\"order_id\":\"5\"}"));
	gate_fini(&g);
}

static void test_flood(void **state)
{
	mosquitto_property *p = NULL;
	struct gate g = { 0 };

	(void)state;
	for (int i = 0; i < 64; i++)
		put(&p, "n", "v");
	take(&g, "{\"type\":\"a.b\",\"id\":\"1\"}", p);
	assert_int_equal(g.quarantined, 0);
	put(&p, "n", "v");
	take(&g, "{\"type\":\"a.b\",\"id\":\"1\"}", p);
	assert_int_equal(g.quarantined, 1);
	mosquitto_property_free_all(&p);
	gate_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topics),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
