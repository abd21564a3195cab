#ifndef DOOR_MQTT_CLIENT_H
#define DOOR_MQTT_CLIENT_H
/*
 * A libmosquitto client set up for the gate of door/mqtt, and its settings.  For door/mqtt only.
 *
 * The client only queues what it has to say until mosquitto_loop_write, speaks MQTT 5, keeps its session
 * at the broker, and never blocks unless its host is a name.  The caller owns it and sets the callbacks.
 */
#include "door/mqtt.h"

#include <mosquitto.h>

/* NULL when the settings are no good. */
struct mosquitto *mqtt_client_new(
	const struct mqtt_settings *s, void *arg, struct err *err) MUST_CHECK;
/* Begins to connect: MOSQ_ERR_SUCCESS, or why there is no socket. */
int mqtt_client_connect(struct mosquitto *c, const struct mqtt_settings *s) MUST_CHECK;

/* Copies the texts, too. */
void mqtt_settings_copy(struct mqtt_settings *to, const struct mqtt_settings *from);
void mqtt_settings_free(struct mqtt_settings *s); /* of a copy */

#endif
