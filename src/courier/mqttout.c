/* mqttout.c: libmosquitto the blocking way.
 *
 * A client of its own: what we publish must not wait behind the ack gate of the client that reads
 * (PITFALLS 4.1.12).  It connects for a session and leaves after it: a courier that waits for work
 * needs no keepalive.  Connecting and PUBACK are waited for in mosquitto_loop with a deadline each.
 *
 * A message whose PUBACK does not come is in doubt: the broker may have it.  MQTT would let us send it
 * again with DUP, but only within one session, and the promise is "at most once".  The library does so
 * unasked on its next connection, whatever session that is: so each connection has a client object of
 * its own, and what was not acknowledged goes with it.
 */
#include "courier/mqttout.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/now.h"
#include "courier/courier.h"

#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MQTTOUT_KEEPALIVE_S = 60, MQTTOUT_STEP_MS = 200, MQTTOUT_TOPIC = 1024 };

struct mqttout {
	const struct mqttout_options *o;
	struct mosquitto *m;
	bool connected;
	int refused;   /* CONNACK code, 0: none */
	int acked_mid; /* of the last PUBACK */
	struct arena arena;
	const char *topic;
	struct span payload;
};

bool mqttout_is_among(const char *topic, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list[i]);

		if (strcmp(topic, list[i]) == 0)
			return true;
		if (len >= 2 && strcmp(list[i] + len - 2, "/#") == 0 &&
			strncmp(topic, list[i], len - 1) == 0)
			return true;
	}
	return false;
}

static void mqttout_on_connect(struct mosquitto *m, void *arg, int code)
{
	struct mqttout *q = arg;

	(void)m;
	q->connected = code == 0;
	q->refused = code;
}

static void mqttout_on_disconnect(struct mosquitto *m, void *arg, int code)
{
	struct mqttout *q = arg;

	(void)m;
	(void)code;
	q->connected = false;
}

static void mqttout_on_publish(struct mosquitto *m, void *arg, int mid)
{
	struct mqttout *q = arg;

	(void)m;
	q->acked_mid = mid;
}

/* Runs the client until the flag is true or time is up; false also when the connection fails. */
static bool mqttout_wait(struct mqttout *q, struct courier *c, bool (*done)(struct mqttout *, int),
	int mid, struct err *err)
{
	int64_t until_us = clock_boot_us() + q->o->timeout_us;

	while (!done(q, mid)) {
		int rc = mosquitto_loop(q->m, MQTTOUT_STEP_MS, 1);

		courier_beat(c);
		/* the answer may have come, and then the end */
		if (rc != MOSQ_ERR_SUCCESS && !done(q, mid))
			return err_set(err, "broker \"%s\": %s", q->o->host,
				q->refused ? mosquitto_connack_string(q->refused)
					   : mosquitto_strerror(rc));
		if (q->refused)
			return err_set(err, "broker \"%s\": %s", q->o->host,
				mosquitto_connack_string(q->refused));
		if (clock_boot_us() > until_us)
			return err_set(err, "broker \"%s\": no answer in time", q->o->host);
	}
	return true;
}

static bool mqttout_is_connected(struct mqttout *q, int mid)
{
	(void)mid;
	return q->connected;
}

static bool mqttout_is_acked(struct mqttout *q, int mid)
{
	return q->acked_mid == mid;
}

static bool mqttout_connect(struct mqttout *q, struct courier *c, struct err *err)
{
	int rc;

	q->connected = false;
	q->refused = 0;
	rc = mosquitto_connect(q->m, q->o->host, q->o->port, MQTTOUT_KEEPALIVE_S);
	if (rc != MOSQ_ERR_SUCCESS)
		return err_set(err, "broker \"%s\": %s", q->o->host, mosquitto_strerror(rc));
	return mqttout_wait(q, c, mqttout_is_connected, 0, err);
}

/* Publishes the message in hand and waits; says whether the connection is still good. */
static bool mqttout_publish(struct mqttout *q, struct courier *c, struct err *err)
{
	int mid = 0, rc;

	if (!courier_is_fresh(c)) {
		courier_settle(c, COURIER_LATER, "stale", "");
		return true;
	}
	/* what was recorded and claimed meanwhile took its time: is the broker still there?  A message that is written to
	 * one that has gone would be in doubt */
	rc = mosquitto_loop(q->m, 0, 1);
	if (rc != MOSQ_ERR_SUCCESS || !q->connected) {
		err_set(err, "broker \"%s\": %s", q->o->host, mosquitto_strerror(rc));
		courier_settle(c, COURIER_LATER, "hung_up", err->text);
		return false;
	}
	q->acked_mid = 0;
	FAILPOINT("publish.before_publish");
	rc = mosquitto_publish(q->m, &mid, q->topic, (int)q->payload.n, q->payload.p, 1, false);
	if (rc != MOSQ_ERR_SUCCESS) {
		bool final = rc == MOSQ_ERR_PAYLOAD_SIZE || rc == MOSQ_ERR_INVAL ||
			     rc == MOSQ_ERR_MALFORMED_UTF8 || rc == MOSQ_ERR_OVERSIZE_PACKET;

		err_set(err, "broker \"%s\": %s", q->o->host, mosquitto_strerror(rc));
		courier_settle(c, final ? COURIER_REFUSED : COURIER_LATER, "publish", err->text);
		return final;
	}
	if (!mqttout_wait(q, c, mqttout_is_acked, mid, err)) {
		courier_settle(c, COURIER_UNKNOWN, "no_puback", err->text);
		return false;
	}
	FAILPOINT("publish.before_record");
	courier_settle(c, COURIER_SENT, "ok", "");
	FAILPOINT("publish.after_record");
	return true;
}

/* The options of the connection that are not given to connect. */
static int mqttout_set(struct mqttout *q)
{
	const struct mqttout_options *o = q->o;
	int rc = MOSQ_ERR_SUCCESS;

	if (*o->user)
		rc = mosquitto_username_pw_set(q->m, o->user, o->password);
	if (rc == MOSQ_ERR_SUCCESS && o->tls)
		rc = mosquitto_tls_set(q->m, *o->tls_ca ? o->tls_ca : NULL,
			*o->tls_ca ? NULL : "/etc/ssl/certs", *o->tls_cert ? o->tls_cert : NULL,
			*o->tls_key ? o->tls_key : NULL, NULL);
	return rc;
}

static void mqttout_drop(struct mqttout *q)
{
	if (q->m != NULL)
		mosquitto_destroy(q->m);
	q->m = NULL;
}

/* The client of one connection. */
static bool mqttout_make(struct mqttout *q, struct err *err)
{
	int rc = MOSQ_ERR_NOMEM;

	q->m = mosquitto_new(q->o->client_id, true, q);
	if (q->m == NULL || (rc = mqttout_set(q)) != MOSQ_ERR_SUCCESS) {
		mqttout_drop(q);
		return err_set(err, "could not set up the MQTT client: %s", mosquitto_strerror(rc));
	}
	mosquitto_connect_callback_set(q->m, mqttout_on_connect);
	mosquitto_disconnect_callback_set(q->m, mqttout_on_disconnect);
	mosquitto_publish_callback_set(q->m, mqttout_on_publish);
	return true;
}

static bool mqttout_session(void *self, struct courier *c, struct err *err)
{
	struct mqttout *q = self;
	bool ok = mqttout_make(q, err) && mqttout_connect(q, c, err);

	if (!ok) {
		courier_settle(c, COURIER_LATER, "no_broker", err->text);
		mqttout_drop(q);
		return false;
	}
	do
		ok = mqttout_publish(q, c, err);
	while (ok && courier_next(c) != NULL);
	mosquitto_disconnect(q->m);
	mosquitto_loop(q->m, 0, 1);
	mqttout_drop(q);
	return ok;
}

static bool mqttout_prepare(
	void *self, struct render *r, const struct claim *m, const char **ret_code, struct err *err)
{
	struct mqttout *q = self;
	struct span topic, payload;

	(void)r;
	arena_reset(&q->arena);
	*ret_code = "bad_data";
	if (!json_get(m->m.data, SPAN("topic"), &topic) || json_kind(topic) != JSON_STRING ||
		!json_get(m->m.data, SPAN("payload"), &payload))
		return err_set(err, "a message to publish needs topic and payload");
	topic = json_text(topic, &q->arena);
	*ret_code = "bad_topic";
	q->topic =
		arena_printf(&q->arena, "%s/%s/%.*s", q->o->topic, m->m.shop->id, SPAN_ARG(topic));
	if (topic.n == 0 || strlen(q->topic) > MQTTOUT_TOPIC || span_is(topic, "events") ||
		span_starts(topic, "events/") ||
		mosquitto_pub_topic_check(q->topic) != MOSQ_ERR_SUCCESS)
		return err_set(err, "can not publish to topic \"%.*s\"", SPAN_ARG(topic));
	*ret_code = "only_to";
	if (q->o->n_only_to && !mqttout_is_among(q->topic, q->o->only_to, q->o->n_only_to))
		return err_set(err, "topic \"%s\" is not in [publish] only_to", q->topic);
	/* text goes as it is, everything else as JSON */
	q->payload = json_kind(payload) == JSON_STRING ? json_text(payload, &q->arena) : payload;
	return true;
}

static void mqttout_close(void *self)
{
	struct mqttout *q = self;

	mqttout_drop(q);
	arena_fini(&q->arena);
	free(q);
}

static void *mqttout_open(const struct courier_env *env, struct err *err)
{
	static bool is_open;
	struct mqttout *q;

	if (!*env->mqttout.host) {
		err_set(err, "[mqtt] host is empty: there is no broker to publish to");
		return NULL;
	}
	if (!is_open)
		mosquitto_lib_init();
	is_open = true;
	q = xcalloc(1, sizeof *q);
	q->o = &env->mqttout;
	if (!mqttout_make(q, err)) { /* now, so that mistakes in the settings show */
		mqttout_close(q);
		return NULL;
	}
	mqttout_drop(q);
	return q;
}

const struct courier_driver mqttout_driver = { "publish", CHANNEL_PUBLISH, mqttout_open,
	mqttout_prepare, mqttout_session, mqttout_close };
