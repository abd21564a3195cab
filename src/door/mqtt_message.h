#ifndef DOOR_MQTT_MESSAGE_H
#define DOOR_MQTT_MESSAGE_H
/*
 * A message of the broker -> events.  For door/mqtt only.
 *
 * A gate gathers the events of one batch; what they point to stands in its arena and is valid until
 * gate_reset.  CloudEvents structured and binary (MQTT binding: attributes are user properties with bare
 * names, the content type is a property), and the plain form; all of them also from MQTT 3.1.1, which has
 * no properties.  Whatever can not be read becomes a quarantined event with its payload as it came.
 */
#include "base/mem.h"
#include "intake/flow.h"

#include <mosquitto.h>

struct gate {
	struct arena arena;
	struct shop_event *events;
	size_t n, cap;       /* events */
	size_t messages;     /* read; some make no event, an array makes many */
	size_t bytes;        /* of payloads */
	size_t quarantined;  /* of the events */
	int64_t received_us; /* of the batch; 0: none yet */
};

/* The STORE of PREFIX/STORE/events or PREFIX/STORE/events/...; false when the topic is another one. */
bool gate_topic_store(const char *topic, struct span prefix, struct span *ret_store) MUST_CHECK;
/* Copies the message and adds its events. */
void gate_take(struct gate *g, const struct shop *shop, const struct mosquitto_message *message,
	const mosquitto_property *properties);
/* Forgets the batch and keeps some of the memory. */
void gate_reset(struct gate *g);
void gate_fini(struct gate *g);

#endif
