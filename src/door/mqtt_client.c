/*
 * mqtt_client.c: options, TLS, CONNECT.
 *
 * MQTT 5 keeps a session only when CONNECT says for how long (its section 3.1.2.11.2), and only the
 * library's blocking connect takes properties.  But a client remembers them: so it first "connects" to a
 * Unix socket that can not be (no name is looked up, nothing waits), which fails, and then to the broker
 * without blocking.  Rejected: a blocking connect behind a trial connection of our own (a broker that
 * dies in between, or a packet filter, still stops the engine), and a process of its own.
 */
#include "door/mqtt_client.h"

#include "base/mem.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

/* A socket that can not be. */
#define CLIENT_NOWHERE "/dev/null/nowhere"

void mqtt_settings_default(struct mqtt_settings *ret)
{
	*ret = (struct mqtt_settings){ .host = "",
		.port = 1883,
		.client_id = "nudged",
		.user = "",
		.password = "",
		.tls_ca = "",
		.tls_cert = "",
		.tls_key = "",
		.keepalive_us = 20000000,
		.receive_maximum = 1000,
		.session_expiry_us = INT64_C(7) * 86400 * 1000000,
		.prefix = "nudged",
		.batch = 500,
		.batch_bytes = 4 << 20,
		.packet_most = 2 << 20 };
}

void mqtt_settings_copy(struct mqtt_settings *to, const struct mqtt_settings *from)
{
	*to = *from;
	to->host = xstrdup(from->host);
	to->client_id = xstrdup(from->client_id);
	to->user = xstrdup(from->user);
	to->password = xstrdup(from->password);
	to->tls_ca = xstrdup(from->tls_ca);
	to->tls_cert = xstrdup(from->tls_cert);
	to->tls_key = xstrdup(from->tls_key);
	to->prefix = xstrdup(from->prefix);
}

void mqtt_settings_free(struct mqtt_settings *s)
{
	const char *const texts[] = { s->host, s->client_id, s->user, s->password, s->tls_ca,
		s->tls_cert, s->tls_key, s->prefix };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free((char *)(uintptr_t)texts[i]);
}

static mosquitto_property *client_properties(const struct mqtt_settings *s)
{
	int64_t expiry_s = s->session_expiry_us / 1000000;
	mosquitto_property *p = NULL;

	mosquitto_property_add_int32(&p, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
		expiry_s < UINT32_MAX ? (uint32_t)expiry_s : UINT32_MAX);
	mosquitto_property_add_int32(&p, MQTT_PROP_MAXIMUM_PACKET_SIZE, s->packet_most);
	return p;
}

static int client_set_tls(struct mosquitto *c, const struct mqtt_settings *s)
{
	const char *ca = s->tls_ca[0] ? s->tls_ca : NULL;
	const char *cert = s->tls_cert[0] ? s->tls_cert : NULL;
	const char *key = s->tls_key[0] ? s->tls_key : NULL;

	return mosquitto_tls_set(c, ca, ca ? NULL : "/etc/ssl/certs", cert, key, NULL);
}

struct mosquitto *mqtt_client_new(const struct mqtt_settings *s, void *arg, struct err *err)
{
	struct mosquitto *c = mosquitto_new(s->client_id, false, arg);
	int rc = MOSQ_ERR_SUCCESS;

	if (c == NULL) {
		err_set(err, "could not make an mqtt client: %s", strerror(errno));
		return NULL;
	}
	mosquitto_threaded_set(c, true); /* the lever of the gate */
	mosquitto_int_option(c, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_int_option(c, MOSQ_OPT_RECEIVE_MAXIMUM, s->receive_maximum);
	mosquitto_int_option(c, MOSQ_OPT_TCP_NODELAY, 1);
	if (s->user[0])
		rc = mosquitto_username_pw_set(c, s->user, s->password[0] ? s->password : NULL);
	if (rc == MOSQ_ERR_SUCCESS && s->tls)
		rc = client_set_tls(c, s);
	if (rc == MOSQ_ERR_SUCCESS)
		return c;
	mosquitto_destroy(c);
	err_set(err, "could not set up an mqtt client: %s", mosquitto_strerror(rc));
	err_hint(err, "see tls_ca, tls_cert, tls_key, user and password of [mqtt]");
	return NULL;
}

int mqtt_client_connect(struct mosquitto *c, const struct mqtt_settings *s)
{
	mosquitto_property *properties = client_properties(s);
	int keepalive_s = (int)(s->keepalive_us / 1000000);

	/* fails, but remembers the properties: see the top */
	mosquitto_connect_bind_v5(c, CLIENT_NOWHERE, 0, keepalive_s, NULL, properties);
	mosquitto_property_free_all(&properties);
	return mosquitto_connect_async(c, s->host, s->port, keepalive_s);
}
