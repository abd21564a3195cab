/*
 * mqtt_message.c: copy, ask door/envelope, admit.
 *
 * The library lends payload and properties for the time of its callback only, and gives properties away as
 * copies of its own; both go into the batch's arena.  A message without properties (MQTT 3.1.1, or a
 * plain JSON one) costs one copy.  Whether the body is an array is door/envelope's business: the MQTT
 * binding of CloudEvents knows no batches, but one that comes all the same is no worse for it.
 */
#include "door/mqtt_message.h"

#include "base/now.h"
#include "door/envelope.h"

#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

/* More user properties than that is no event; each costs four allocations in the library. */
enum { GATE_ATTRIBUTES_MOST = 64 };
/* Room for a batch of ordinary events, kept over all batches. */
enum { GATE_ARENA_BYTES = 512 * 1024 };

struct gate_properties {
	struct span content_type;
	struct envelope_attribute *attributes;
	size_t n, n_all;
};

bool gate_topic_store(const char *topic, struct span prefix, struct span *ret_store)
{
	struct span rest = span_of(topic);
	const char *slash;

	if (!(rest.n > prefix.n && memcmp(rest.p, prefix.p, prefix.n) == 0 &&
		    rest.p[prefix.n] == '/'))
		return false;
	rest.p += prefix.n + 1;
	slash = strchr(rest.p, '/');
	if (slash == NULL || slash == rest.p)
		return false;
	if (strcmp(slash, "/events") != 0 && strncmp(slash, "/events/", 8) != 0)
		return false;
	*ret_store = (struct span){ rest.p, (size_t)(slash - rest.p) };
	return true;
}

/* Takes over a copy that the library made with malloc. */
static struct span gate_keep(struct gate *g, char *text)
{
	struct span s = span_of(arena_strdup(&g->arena, text));

	free(text);
	return s;
}

/* Reads content type and user properties; all others say nothing about the event. */
static void gate_read_properties(
	struct gate *g, const mosquitto_property *p, struct gate_properties *ret)
{
	char *name, *value;

	*ret = (struct gate_properties){ 0 };
	for (; p != NULL; p = mosquitto_property_next(p)) {
		int id = mosquitto_property_identifier(p);

		if (id == MQTT_PROP_CONTENT_TYPE &&
			mosquitto_property_read_string(p, id, &value, false) != NULL)
			ret->content_type = gate_keep(g, value);
		if (id != MQTT_PROP_USER_PROPERTY || ret->n_all++ >= GATE_ATTRIBUTES_MOST ||
			mosquitto_property_read_string_pair(p, id, &name, &value, false) == NULL)
			continue;
		if (ret->attributes == NULL)
			ret->attributes = arena_array(
				&g->arena, struct envelope_attribute, GATE_ATTRIBUTES_MOST);
		ret->attributes[ret->n].name = gate_keep(g, name);
		ret->attributes[ret->n++].value = gate_keep(g, value);
	}
}

static struct shop_event *gate_add(struct gate *g)
{
	g->events = mem_grow(g->events, g->n, &g->cap, sizeof *g->events);
	return &g->events[g->n++];
}

/* Adds the whole body as one quarantined event. */
static void gate_quarantine(
	struct gate *g, const struct envelope_input *in, const char *reason, struct span path)
{
	struct admit_envelope raw = { .shop = in->shop, .raw = in->body };

	admit_quarantine(gate_add(g), &raw, g->received_us, reason, path);
	g->quarantined++;
}

/* Makes room when it is the very first message, and notes when the batch came. */
static void gate_begin(struct gate *g)
{
	if (g->received_us == 0)
		g->received_us = clock_now_us();
	if (g->arena.head != NULL)
		return;
	arena_alloc(&g->arena, GATE_ARENA_BYTES);
	arena_reset(&g->arena);
}

void gate_take(struct gate *g, const struct shop *shop, const struct mosquitto_message *message,
	const mosquitto_property *properties)
{
	size_t n_bytes = message->payloadlen > 0 ? (size_t)message->payloadlen : 0;
	struct envelope_input in = { .shop = shop, .door = ADMIT_MQTT };
	struct gate_properties props;
	struct envelope_item *items;
	struct envelope_fault fault;
	size_t n;

	gate_begin(g);
	g->bytes += n_bytes;
	in.body.p = n_bytes ? arena_dup(&g->arena, message->payload, n_bytes) : "";
	in.body.n = n_bytes;
	gate_read_properties(g, properties, &props);
	in.content_type = props.content_type;
	in.attributes = props.attributes;
	in.n_attributes = props.n;
	if (n_bytes == 0 && props.n == 0) {
		gate_quarantine(g, &in, "the message is empty", SPAN(""));
		return;
	}
	if (props.n_all > GATE_ATTRIBUTES_MOST) {
		gate_quarantine(g, &in, "more than 64 user properties", SPAN(""));
		return;
	}
	if (!envelope_read(&in, &g->arena, &items, &n, &fault)) {
		gate_quarantine(g, &in, fault.reason, fault.path);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!envelope_admit(gate_add(g), &items[i], ADMIT_MQTT, g->received_us, &g->arena))
			g->quarantined++;
}

void gate_reset(struct gate *g)
{
	arena_reset(&g->arena);
	g->n = g->messages = g->bytes = g->quarantined = 0;
	g->received_us = 0;
}

void gate_fini(struct gate *g)
{
	arena_fini(&g->arena);
	free(g->events);
	*g = (struct gate){ 0 };
}
