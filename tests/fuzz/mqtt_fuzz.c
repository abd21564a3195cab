/*
 * mqtt_fuzz.c: any bytes as what the broker hands over: messages with a topic, a content type, user properties and
 * a payload.  What comes out as admitted must keep the promises that Postgres relies on (FAULTS F12), what does not
 * must say why, no message may vanish, and the same messages must come to the same events a second time, in a
 * gate that was used before.
 *
 * The input: messages, each ended by the byte 0x1e; in one, fields ended by NUL: topic, content type, then names and
 * values of user properties up to an empty name, then the payload.
 */
#include "base/json.h"
#include "door/mqtt_message.h"
#include "model/shop.h"

#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_END = 0x1e };

static const struct shop shop = { .id = "main", .base = "main", .country = "DE" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Takes a field away from the front as text of its own. */
static char *take_field(struct span *rest)
{
	const char *nul = rest->n ? memchr(rest->p, '\0', rest->n) : NULL;
	size_t n = nul ? (size_t)(nul - rest->p) : rest->n;
	char *text = xmalloc(n + 1);

	if (n)
		memcpy(text, rest->p, n);
	text[n] = '\0';
	n += nul != NULL;
	*rest = (struct span){ rest->p + n, rest->n - n };
	return text;
}

/* What libmosquitto itself refuses (text that is no UTF-8) never comes from it either. */
static void put_pair(mosquitto_property **list, const char *name, struct span *rest)
{
	char *value = take_field(rest);

	(void)!mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value);
	free(value);
}

static mosquitto_property *take_properties(struct span *rest)
{
	mosquitto_property *list = NULL;
	char *text = take_field(rest);

	if (*text)
		(void)!mosquitto_property_add_string(&list, MQTT_PROP_CONTENT_TYPE, text);
	free(text);
	for (text = take_field(rest); *text; text = take_field(rest)) {
		put_pair(&list, text, rest);
		free(text);
	}
	free(text);
	return list;
}

/* What an admitted event promises. */
static void check_admitted(const struct shop_event *e)
{
	struct json_fault fault;

	must(e->id.n > 0 && e->id.n <= 128 && json_is_text(e->id));
	must(e->source.n <= 256 && json_is_text(e->source));
	must(e->type.n > 0 && e->type.n <= 64 && json_is_text(e->type));
	must(json_check_all(e->data, &fault) && json_kind(e->data) == JSON_OBJECT);
	for (unsigned i = 0; i < e->n_identity; i++)
		must(e->identity[i].value.n > 0 && json_is_text(e->identity[i].value));
	must(e->time_us == INT64_MIN || e->time_us >= 0);
}

static void check_event(const struct shop_event *e)
{
	must(e->shop == &shop);
	if (e->status == EVENT_QUARANTINED)
		must(e->reason && *e->reason && json_is_text(e->path) && json_is_text(e->id) &&
			json_is_text(e->type));
	else
		check_admitted(e);
}

/* One message, lent as the library lends it: gone afterwards. */
static void take_message(struct gate *g, struct span rest)
{
	struct mosquitto_message m = { .topic = take_field(&rest), .qos = 1 };
	mosquitto_property *list = take_properties(&rest);
	char *payload = xmalloc(rest.n ? rest.n : 1);
	size_t n = g->n;
	struct span store;

	if (rest.n)
		memcpy(payload, rest.p, rest.n);
	m.payload = payload;
	m.payloadlen = (int)rest.n;
	if (gate_topic_store(m.topic, SPAN("nudged"), &store)) {
		must(store.n > 0 && memchr(store.p, '/', store.n) == NULL);
		must(store.p + store.n < m.topic + strlen(m.topic));
		gate_take(g, &shop, &m, list);
		/* an empty array holds no event; whatever else came is kept */
		must(g->n > n || (rest.n && memchr(m.payload, '[', rest.n)));
	}
	memset(payload, '#', rest.n);
	free(payload);
	mosquitto_property_free_all(&list);
	free(m.topic);
}

static void take_all(struct gate *g, struct span input)
{
	while (input.n) {
		const char *end = memchr(input.p, MESSAGE_END, input.n);
		size_t n = end ? (size_t)(end - input.p) : input.n;

		take_message(g, (struct span){ input.p, n });
		n += end != NULL;
		input = (struct span){ input.p + n, input.n - n };
	}
}

/* Adds up what came out. */
static void sum(const struct gate *g, unsigned char ret_hash[16])
{
	memset(ret_hash, 0, 16);
	for (size_t i = 0; i < g->n; i++) {
		check_event(&g->events[i]);
		for (int k = 0; k < 16; k++)
			ret_hash[k] ^= g->events[i].hash[k];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gate g;
	struct span input = { (const char *)data, size };
	unsigned char first[16], second[16];
	size_t n, quarantined;

	take_all(&g, input);
	sum(&g, first);
	n = g.n, quarantined = g.quarantined;
	gate_reset(&g);
	take_all(&g, input);
	sum(&g, second);
	must(g.n == n && g.quarantined == quarantined);
	must(memcmp(first, second, sizeof first) == 0);
	gate_reset(&g);
	return 0;
}
