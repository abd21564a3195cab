#ifndef MAIN_ENGINE_MQTT_H
#define MAIN_ENGINE_MQTT_H
/*
 * The MQTT side of an engine: asks for the seat, and while it is held takes events from the broker.
 * Everything is lent until engine_mqtt_close.
 */
#include "base/err.h"
#include "door/mqtt.h"

struct engine_mqtt;
struct loop;
struct settings;

/* NULL without an error: MQTT is not configured. */
struct engine_mqtt *engine_mqtt_open(struct loop *loop, const struct settings *s,
	const struct mqtt_intake *intake, struct err *err);
/* Another configuration: which stores may use it. */
void engine_mqtt_use(struct engine_mqtt *m, const struct settings *s);
/* Finishes what is in hand; fn comes at the end of a turn. */
void engine_mqtt_drain(struct engine_mqtt *m, void (*fn)(void *arg), void *arg);
const struct mqtt_stats *engine_mqtt_stats(const struct engine_mqtt *m);
void engine_mqtt_close(struct engine_mqtt *m); /* NULL is allowed */

#endif
