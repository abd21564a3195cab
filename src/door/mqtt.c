/*
 * mqtt.c: the ack gate, and the connection that may vanish under it.
 *
 * libmosquitto has no "acknowledge later": it queues the PUBACK before it calls on_message (its
 * lib/handle_publish.c).  Told that it is used from threads (mosquitto_threaded_set) it does no more than
 * queue: bytes leave when WE call loop_write.  That is the gate:
 *
 *	             hold                    CONNACK            messages            settled
 *	OFF ---------> WAITING -> CONNECTING --------> READING ----------> COMMITTING ------> ACKING
 *	 ^ release       ^                     ^  ^                                             |
 *	 +---------------+                     |  +---- written --------------------------------+
 *	                                    PAUSED (the intake is full or not ready)
 *
 * The library's queue is all or nothing: one loop_write sends every PUBACK in it.  Hence: while events are
 * at the intake no loop_read, no loop_write, no loop_misc; in every other state with a connection the queue
 * holds no PUBACK of an unsettled message.  It relies on what the library does, not on what it says;
 * tests/system/test_mqtt.py pins it, for this is where events would be lost.
 *
 * Each connection is a client object of its own: destroying it closes the socket and throws the queue
 * away, which is the only way to be rid of PUBACKs, and no state is left over.  The library closes
 * sockets by itself inside its calls, and the next one gets the same number: after each call we look
 * whether the socket is still there (its return value tells less), and nothing is destroyed inside its
 * callbacks.
 *
 * A connection that is lost while its batch is at the intake leaves the state ORPHANED: the batch's memory
 * is lent, so there is no new connection until it is settled; what it held is sent again and found to
 * be known.
 *
 * Not done: a second client that reads while the first commits (measured: no gain, and the order is
 * lost); QoS 2 (the library acknowledges it in two steps before anybody sees the message); keeping
 * connections alive through long outages of the database (PINGRESP stands behind messages that we do not
 * want to read): the broker keeps the messages either way.
 */
#include "door/mqtt.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/lookup.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/planted.h"
#include "door/mqtt_client.h"
#include "door/mqtt_message.h"
#include "model/shop.h"

#include <assert.h>
#include <errno.h>
#include <mqtt_protocol.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	MQTT_BACKOFF_FIRST_US = 100000,
	MQTT_BACKOFF_MOST_US = 5000000,
	MQTT_LOOK_US = 20000,          /* between looks whether the name is known */
	MQTT_CONNECT_US = 5000000,     /* from connect to CONNACK */
	MQTT_TICK_US = 1000000,        /* the library's keepalive has a grain of one second */
	MQTT_NOT_READY_US = 200000,    /* between looks whether the intake is back */
	MQTT_FULL_US = 5000,           /* between looks whether it has room again */
	MQTT_GOOD_US = 5000000,        /* a connection that lived so long resets the backoff */
	MQTT_SMALL = 8,                /* a small batch is a full one by this */
	MQTT_SESSION_PRESENT = 1,      /* CONNACK flags, MQTT 5 section 3.2.2.1 */
	MQTT_SUBACK_FAILURE = 0x80,    /* reason codes from here on, section 3.9.3 */
	MQTT_SESSION_TAKEN_OVER = 0x8e /* DISCONNECT, section 3.14.2.1 */
};

enum mqtt_state {
	MQTT_OFF,        /* the session is not ours */
	MQTT_WAITING,    /* no connection; the timer makes the next one */
	MQTT_CONNECTING, /* until CONNACK */
	MQTT_READING,
	MQTT_PAUSED,     /* not reading: the intake is full or not ready */
	MQTT_COMMITTING, /* the batch is at the intake; the connection is not touched */
	MQTT_ACKING,     /* the batch is settled; PUBACKs are being written */
	MQTT_ORPHANED,   /* the batch is at the intake, its connection is gone */
};

struct mqtt {
	struct loop *loop;
	struct log_ctx lc;
	struct mqtt_settings s;
	struct mqtt_intake intake;
	struct lookup *name; /* of the broker */
	const struct shop **shops;
	size_t n_shops;
	enum mqtt_state state;
	bool held;           /* the session is ours */
	bool draining;       /* no more batches */
	bool expect_session; /* the broker must know us */
	struct mosquitto *client;
	struct loop_fd *fd;
	struct loop_timer *timer; /* WAITING: next try; CONNECTING: deadline; PAUSED: next look */
	struct loop_timer *tick;  /* loop_misc, while connected */
	size_t cap, cap_bytes;    /* of the next batch */
	int64_t backoff_us, connected_us;
	/* what the library's callbacks noted during a call */
	bool connack, session_present;
	int refused; /* reason code of CONNACK or DISCONNECT, 0: none */
	struct gate gate;
	struct event_ticket ticket;
	void (*on_drained)(void *arg);
	void *drained_arg;
	struct mqtt_stats stats;
};

static const char *mqtt_state_name(enum mqtt_state s)
{
	switch (s) {
	case MQTT_OFF: return "off";
	case MQTT_WAITING: return "waiting";
	case MQTT_CONNECTING: return "connecting";
	case MQTT_READING: return "reading";
	case MQTT_PAUSED: return "paused";
	case MQTT_COMMITTING: return "committing";
	case MQTT_ACKING: return "acking";
	case MQTT_ORPHANED: return "orphaned";
	}
	return "?";
}

static bool mqtt_is_connected(enum mqtt_state s)
{
	switch (s) {
	case MQTT_READING:
	case MQTT_PAUSED:
	case MQTT_COMMITTING:
	case MQTT_ACKING: return true;
	case MQTT_OFF:
	case MQTT_WAITING:
	case MQTT_CONNECTING:
	case MQTT_ORPHANED: return false;
	}
	return false;
}

/* Sets what the state wants to be told of the socket. */
static void mqtt_watch(struct mqtt *m)
{
	unsigned write;

	if (m->fd == NULL)
		return;
	write = mosquitto_want_write(m->client) ? LOOP_WRITE : 0;
	switch (m->state) {
	case MQTT_READING:
	case MQTT_CONNECTING: loop_fd_watch(m->fd, LOOP_READ | write); break;
	case MQTT_PAUSED:
	case MQTT_ACKING: loop_fd_watch(m->fd, write); break;
	case MQTT_COMMITTING:
	case MQTT_OFF:
	case MQTT_WAITING:
	case MQTT_ORPHANED: loop_fd_watch(m->fd, 0); break;
	}
}

/* The one mover. */
static void mqtt_enter(struct mqtt *m, enum mqtt_state to)
{
	if (m->state != to)
		log_debug(&m->lc, "%s -> %s", mqtt_state_name(m->state), mqtt_state_name(to));
	m->state = to;
	m->stats.is_connected = mqtt_is_connected(to);
	m->stats.is_paused = to == MQTT_PAUSED;
	mqtt_watch(m);
}

/* ---- the end of a connection ---- */

static int64_t mqtt_jitter_us(int64_t us)
{
	/* +-25 %, so that a fleet does not come back in one beat */
	return us * 3 / 4 + (loop_now_us() * 7919) % (us / 2);
}

/* Destroys the client: the socket is closed, unwritten PUBACKs are forgotten. */
static void mqtt_disconnect(struct mqtt *m)
{
	loop_fd_close(m->fd);
	m->fd = NULL;
	loop_timer_stop(m->tick);
	loop_timer_stop(m->timer);
	if (m->client != NULL)
		mosquitto_destroy(m->client);
	m->client = NULL;
}

static void mqtt_wait(struct mqtt *m)
{
	mqtt_enter(m, MQTT_WAITING);
	loop_timer_in(m->timer, m->backoff_us ? mqtt_jitter_us(m->backoff_us) : 0);
	m->backoff_us = m->backoff_us ? m->backoff_us * 2 : MQTT_BACKOFF_FIRST_US;
	if (m->backoff_us > MQTT_BACKOFF_MOST_US)
		m->backoff_us = MQTT_BACKOFF_MOST_US;
}

/* Where to go without a connection and without a batch. */
static void mqtt_rest(struct mqtt *m)
{
	if (m->held && !m->draining)
		mqtt_wait(m);
	else
		mqtt_enter(m, MQTT_OFF);
	if (m->draining && m->on_drained != NULL) {
		loop_at_turn_end(m->loop, LOOP_FORM, m->on_drained, m->drained_arg);
		m->on_drained = NULL;
	}
}

/* The connection is of no use any more; what was read and not settled comes again. */
static void mqtt_drop(struct mqtt *m, const char *why)
{
	bool at_intake = m->ticket.events != NULL;

	if (m->held && !m->draining) {
		m->stats.drops++;
		log_damped(LOG_LVL_WARNING, &m->lc, "no connection to the broker: %s", why);
		if (m->connected_us != 0 && loop_now_us() - m->connected_us > MQTT_GOOD_US)
			m->backoff_us = MQTT_BACKOFF_FIRST_US;
	}
	m->connected_us = 0;
	mqtt_disconnect(m);
	if (at_intake) {
		mqtt_enter(m, MQTT_ORPHANED);
		return;
	}
	gate_reset(&m->gate);
	mqtt_rest(m);
}

/* Why a connection ended, for people. */
static const char *mqtt_why(const struct mqtt *m, int rc)
{
	bool is_young = m->connected_us != 0 && loop_now_us() - m->connected_us < MQTT_GOOD_US;

	/* brokers before MQTT 5, and Mosquitto up to 2.0, take over without a word */
	if (m->refused == MQTT_SESSION_TAKEN_OVER || (rc == MOSQ_ERR_CONN_LOST && is_young))
		return "it was closed as soon as it was there; is another client using our client "
		       "id?";
	if (m->refused != 0)
		return mosquitto_reason_string(m->refused);
	if (rc == MOSQ_ERR_ERRNO)
		return strerror(errno);
	return rc != MOSQ_ERR_SUCCESS ? mosquitto_strerror(rc) : "the broker closed it";
}

/* After each call of the library: is the connection gone?  Then drops it. */
static bool mqtt_is_gone(struct mqtt *m, int rc)
{
	if (rc == MOSQ_ERR_SUCCESS && mosquitto_socket(m->client) >= 0)
		return false;
	mqtt_drop(m, mqtt_why(m, rc));
	return true;
}

/* ---- reading ---- */

static const struct shop *mqtt_shop(const struct mqtt *m, struct span id)
{
	for (size_t i = 0; i < m->n_shops; i++)
		if (span_is(id, m->shops[i]->id))
			return m->shops[i];
	return NULL;
}

/* A message for nobody here: left over from a subscription of former times. */
static void mqtt_pass_over(struct mqtt *m, const char *topic, struct span store)
{
	m->stats.foreign++;
	log_damped(LOG_LVL_WARNING, &m->lc,
		"passed over a message: its topic \"%.100s\" is of no store that may use mqtt",
		topic);
	if (store.n > 0) {
		char *filter = xasprintf("%s/%.*s/events/#", m->s.prefix, SPAN_ARG(store));

		mosquitto_unsubscribe(m->client, NULL, filter);
		free(filter);
	}
}

static void mqtt_on_message(struct mosquitto *client, void *arg,
	const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct mqtt *m = arg;
	struct span store = { NULL, 0 };
	const struct shop *shop = NULL;

	(void)client;
	m->gate.messages++;
	m->stats.messages++;
	if (gate_topic_store(message->topic, span_of(m->s.prefix), &store))
		shop = mqtt_shop(m, store);
	if (shop == NULL) {
		mqtt_pass_over(m, message->topic, store);
	} else if (message->retain) {
		/* judged when it was published, or older than our subscription: each new one
		 * would bring it again */
		m->stats.retained++;
		log_damped(LOG_LVL_WARNING, &m->lc,
			"passed over a message that the broker keeps (retained) for \"%.100s\"",
			message->topic);
	} else {
		if (m->gate.received_us == 0 && m->intake.now_us != NULL)
			m->gate.received_us = m->intake.now_us(m->intake.arg);
		gate_take(&m->gate, shop, message, properties);
	}
}

/* Full is what the intake may be given at once. */
static bool mqtt_is_full(const struct mqtt *m)
{
	return m->gate.messages >= m->cap || m->gate.n >= m->cap || m->gate.bytes >= m->cap_bytes;
}

/* Is there room for a part of a full batch?  Then that is the next one's cap. */
static bool mqtt_has_room(struct mqtt *m, size_t part)
{
	m->cap = m->s.batch > part ? m->s.batch / part : 1;
	m->cap_bytes = m->s.batch_bytes / part;
	return m->intake.has_room(m->intake.arg, m->cap, m->cap_bytes);
}

/* May a batch go to the intake?  0, or after how long to look again.  A small one may when a full one
 * may not: HTTP, which asks for little at a time, must not keep us out for ever. */
static int64_t mqtt_blocked_us(struct mqtt *m)
{
	const char *why;

	if (!m->intake.is_ready(m->intake.arg, &why)) {
		if (m->state == MQTT_READING)
			log_damped(LOG_LVL_NOTICE, &m->lc, "not reading: %s", why);
		return MQTT_NOT_READY_US;
	}
	return mqtt_has_room(m, 1) || mqtt_has_room(m, MQTT_SMALL) ? 0 : MQTT_FULL_US;
}

static void mqtt_acknowledge(struct mqtt *m);

/* Hands over what was read. */
static void mqtt_submit(struct mqtt *m, bool is_gone)
{
	m->stats.events += m->gate.n;
	m->stats.quarantined += m->gate.quarantined;
	if (m->gate.n == 0) {
		if (!is_gone)
			mqtt_acknowledge(m);
		return;
	}
	FAILPOINT("mqtt.read");
	m->ticket.events = m->gate.events;
	m->ticket.n = m->gate.n;
	if (PLANTED(mqtt_ack_first) && !is_gone)
		mosquitto_loop_write(m->client, 1);
	if (!is_gone)
		mqtt_enter(m, MQTT_COMMITTING);
	m->intake.submit(m->intake.arg, &m->ticket);
}

/* Reads until no message is left or the batch is full. */
static void mqtt_read(struct mqtt *m)
{
	int64_t blocked_us = mqtt_blocked_us(m);
	size_t before;
	int rc;

	if (blocked_us > 0) {
		mqtt_enter(m, MQTT_PAUSED);
		loop_timer_in(m->timer, blocked_us);
		return;
	}
	do {
		before = m->gate.messages;
		rc = mosquitto_loop_read(m->client, 1);
		if (rc != MOSQ_ERR_SUCCESS || mosquitto_socket(m->client) < 0) {
			const char *why = mqtt_why(m, rc);

			mqtt_submit(m, true); /* QoS 0 would not come again */
			mqtt_drop(m, why);
			return;
		}
	} while (m->gate.messages != before && !mqtt_is_full(m));
	if (m->gate.messages > 0)
		mqtt_submit(m, false);
	else
		mqtt_watch(m);
}

/* ---- acknowledging ---- */

static void mqtt_say_good_bye(struct mqtt *m)
{
	int rc = mosquitto_disconnect_v5(m->client, 0, NULL);

	if (rc == MOSQ_ERR_SUCCESS)
		mosquitto_loop_write(m->client, 1);
	mqtt_drop(m, "");
}

/* Behind TLS the rest of a record may have been read already, and the socket would not say so. */
static void mqtt_read_on(void *arg)
{
	struct mqtt *m = arg;

	if (m->state == MQTT_READING)
		mqtt_read(m);
}

/* All PUBACKs are written. */
static void mqtt_acknowledged(struct mqtt *m)
{
	FAILPOINT("mqtt.acked");
	m->stats.batches++;
	if (m->draining) {
		mqtt_say_good_bye(m);
		return;
	}
	mqtt_enter(m, MQTT_READING);
	if (m->s.tls)
		loop_at_turn_end(m->loop, LOOP_FORM, mqtt_read_on, m);
}

/* Writes the PUBACKs: hundreds of packets of four bytes in one segment. */
static void mqtt_acknowledge(struct mqtt *m)
{
	int on = 1, off = 0, fd = mosquitto_socket(m->client), rc;

	FAILPOINT("mqtt.before_ack");
	gate_reset(&m->gate);
	mqtt_enter(m, MQTT_ACKING);
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on); /* fails on Unix sockets */
	rc = mosquitto_loop_write(m->client, 1);
	if (mqtt_is_gone(m, rc))
		return;
	FAILPOINT("mqtt.acking"); /* a part of the PUBACKs is on its way */
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
	if (mosquitto_want_write(m->client))
		mqtt_watch(m);
	else
		mqtt_acknowledged(m);
}

/* The intake has settled the whole batch. */
static void mqtt_on_settled(struct event_ticket *t)
{
	struct mqtt *m = t->owner;

	m->ticket.events = NULL;
	if (m->state == MQTT_COMMITTING) {
		mqtt_acknowledge(m);
		return;
	}
	assert(m->state == MQTT_ORPHANED);
	gate_reset(&m->gate);
	mqtt_rest(m);
}

/* ---- connecting ---- */

/* The broker's answer; a refusal is followed by the end of the connection. */
static void mqtt_on_connack(struct mosquitto *client, void *arg, int reason, int flags,
	const mosquitto_property *properties)
{
	struct mqtt *m = arg;

	(void)client;
	(void)properties;
	m->connack = reason == 0;
	m->refused = reason;
	m->session_present = (flags & MQTT_SESSION_PRESENT) != 0;
}

static void mqtt_on_disconnect(
	struct mosquitto *client, void *arg, int reason, const mosquitto_property *properties)
{
	struct mqtt *m = arg;

	(void)client;
	(void)properties;
	/* the broker's reason codes begin at 128, the library's errors lie below */
	if (reason >= 128)
		m->refused = reason;
}

static void mqtt_on_suback(struct mosquitto *client, void *arg, int mid, int n, const int *granted,
	const mosquitto_property *properties)
{
	struct mqtt *m = arg;

	(void)client;
	(void)mid;
	(void)properties;
	for (int i = 0; i < n; i++)
		if (granted[i] >= MQTT_SUBACK_FAILURE)
			log_error(&m->lc, "the broker refuses our subscription: %s",
				mosquitto_reason_string(granted[i]));
		else if (granted[i] < 1)
			log_error(&m->lc, "the broker gives QoS 0 only: events may get lost");
}

/* Asks for the events of all stores; harmless where the session knows it already. */
static void mqtt_subscribe(struct mqtt *m)
{
	for (size_t i = 0; i < m->n_shops; i++) {
		char *filter = xasprintf("%s/%s/events/#", m->s.prefix, m->shops[i]->id);
		int rc = mosquitto_subscribe_v5(
			m->client, NULL, filter, 1, MQTT_SUB_OPT_SEND_RETAIN_NEVER, NULL);

		if (rc != MOSQ_ERR_SUCCESS)
			log_error(&m->lc, "could not subscribe to \"%s\": %s", filter,
				mosquitto_strerror(rc));
		free(filter);
	}
}

/* The broker has accepted us. */
static void mqtt_connected(struct mqtt *m)
{
	loop_timer_stop(m->timer);
	FAILPOINT("mqtt.connected");
	m->connected_us = loop_now_us();
	m->stats.connects++;
	if (m->session_present) {
		log_notice(&m->lc, "connected to %s, the session goes on", m->s.host);
	} else if (m->expect_session) {
		m->stats.sessions_lost++;
		log_error(&m->lc,
			"the broker at %s has forgotten our session: events may have been lost; "
			"see persistence and session_expiry",
			m->s.host);
	} else {
		log_notice(&m->lc, "connected to %s, a new session", m->s.host);
	}
	m->expect_session = true;
	mqtt_subscribe(m);
	mqtt_enter(m, MQTT_READING);
	loop_timer_in(m->tick, MQTT_TICK_US);
	if (m->gate.messages > 0) /* the library reads to the end of a TLS record */
		mqtt_submit(m, false);
}

/* TLS: the library takes the end of the stream during the handshake for "try again" for ever. */
static bool mqtt_is_cut(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Goes on with handshake and CONNACK. */
static void mqtt_go_on(struct mqtt *m, int fd, unsigned what)
{
	int rc = MOSQ_ERR_SUCCESS;

	if (mqtt_is_cut(fd)) {
		mqtt_drop(m, "the broker closed it");
		return;
	}
	if (what & LOOP_WRITE)
		rc = mosquitto_loop_write(m->client, 1);
	/* also when only writable: it is loop_read that goes on with TLS */
	if (rc == MOSQ_ERR_SUCCESS && (m->s.tls || what & LOOP_READ))
		rc = mosquitto_loop_read(m->client, 1);
	if (mqtt_is_gone(m, rc))
		return;
	if (m->connack)
		mqtt_connected(m);
	mqtt_watch(m);
}

static void mqtt_on_fd(void *arg, int fd, unsigned what)
{
	struct mqtt *m = arg;
	int rc;

	if (m->state == MQTT_CONNECTING) {
		mqtt_go_on(m, fd, what);
		return;
	}
	if (m->state == MQTT_COMMITTING)
		return;
	if (what & LOOP_WRITE) {
		rc = mosquitto_loop_write(m->client, 1);
		if (mqtt_is_gone(m, rc))
			return;
		mqtt_watch(m);
	}
	if (m->state == MQTT_ACKING && !mosquitto_want_write(m->client))
		mqtt_acknowledged(m);
	else if (m->state == MQTT_READING && what & LOOP_READ)
		mqtt_read(m);
}

/* Makes the client of one connection. */
static bool mqtt_make_client(struct mqtt *m, struct err *err)
{
	m->client = mqtt_client_new(&m->s, m, err);
	if (m->client == NULL)
		return false;
	mosquitto_connect_v5_callback_set(m->client, mqtt_on_connack);
	mosquitto_disconnect_v5_callback_set(m->client, mqtt_on_disconnect);
	mosquitto_subscribe_v5_callback_set(m->client, mqtt_on_suback);
	mosquitto_message_v5_callback_set(m->client, mqtt_on_message);
	return true;
}

static void mqtt_connect(struct mqtt *m)
{
	struct err err;
	int rc;

	if (!mqtt_make_client(m, &err)) {
		log_damped(LOG_LVL_ERROR, &m->lc, "%s", err.text);
		mqtt_wait(m);
		return;
	}
	m->connack = false;
	m->refused = 0;
	rc = mqtt_client_connect(m->client, &m->s);
	if (mqtt_is_gone(m, rc))
		return;
	m->fd = loop_fd_open(m->loop, mosquitto_socket(m->client), mqtt_on_fd, m);
	mqtt_enter(m, MQTT_CONNECTING);
	loop_timer_in(m->timer, MQTT_CONNECT_US);
}

/* Connects when the broker's name is answered: the library would wait for that. */
static void mqtt_look_up(struct mqtt *m)
{
	const char *why;

	if (lookup_is_known(m->name, &why)) {
		mqtt_connect(m);
	} else if (why == NULL) {
		loop_timer_in(m->timer, MQTT_LOOK_US);
	} else {
		log_damped(LOG_LVL_WARNING, &m->lc, "the broker's name \"%s\" is not known: %s",
			m->s.host, why);
		mqtt_wait(m);
	}
}

static void mqtt_on_timer(void *arg)
{
	struct mqtt *m = arg;
	int64_t blocked_us;

	switch (m->state) {
	case MQTT_WAITING:
		/* nothing could be read: the broker may as well keep it */
		blocked_us = mqtt_blocked_us(m);
		if (blocked_us > 0)
			loop_timer_in(m->timer, blocked_us);
		else
			mqtt_look_up(m);
		break;
	case MQTT_CONNECTING: mqtt_drop(m, "the broker does not answer"); break;
	case MQTT_PAUSED:
		blocked_us = mqtt_blocked_us(m);
		if (blocked_us > 0)
			loop_timer_in(m->timer, blocked_us);
		else
			mqtt_enter(m, MQTT_READING);
		break;
	case MQTT_OFF:
	case MQTT_READING:
	case MQTT_COMMITTING:
	case MQTT_ACKING:
	case MQTT_ORPHANED: break;
	}
}

/* Keepalive; not while the gate is shut: what it queued would be written with the PUBACKs. */
static void mqtt_on_tick(void *arg)
{
	struct mqtt *m = arg;

	loop_timer_in(m->tick, MQTT_TICK_US);
	if (m->state == MQTT_COMMITTING)
		return;
	if (!mqtt_is_gone(m, mosquitto_loop_misc(m->client)))
		mqtt_watch(m);
}

/* ---- the owner's side ---- */

struct mqtt *mqtt_open(struct loop *loop, const struct mqtt_settings *settings,
	const struct mqtt_intake *intake, struct err *err)
{
	struct mqtt *m = xcalloc(1, sizeof *m);

	mosquitto_lib_init(); /* counts */
	m->loop = loop;
	m->lc = (struct log_ctx){ .room = "mqtt" };
	mqtt_settings_copy(&m->s, settings);
	m->name = lookup_open(m->s.port == 0 ? "" : m->s.host);
	m->intake = *intake;
	m->ticket = (struct event_ticket){ .done = mqtt_on_settled, .owner = m };
	m->timer = loop_timer_open(loop, mqtt_on_timer, m);
	m->tick = loop_timer_open(loop, mqtt_on_tick, m);
	if (!mqtt_make_client(m, err)) { /* now, so that mistakes in the settings show */
		mqtt_close(m);
		return NULL;
	}
	mqtt_disconnect(m);
	return m;
}

void mqtt_set_shops(struct mqtt *m, const struct shop *const *shops, size_t n)
{
	free(m->shops);
	m->shops = xcalloc(n, sizeof *m->shops);
	if (n > 0)
		memcpy(m->shops, shops, n * sizeof *m->shops);
	m->n_shops = n;
	if (!mqtt_is_connected(m->state))
		return;
	mqtt_subscribe(m); /* only queued: it goes out with the next write */
	mqtt_watch(m);
}

void mqtt_hold(struct mqtt *m, bool expect_session)
{
	m->held = true;
	m->expect_session |= expect_session;
	m->backoff_us = 0;
	if (m->state == MQTT_OFF && !m->draining)
		mqtt_wait(m);
}

void mqtt_release(struct mqtt *m)
{
	m->held = false;
	if (m->state != MQTT_OFF && m->state != MQTT_ORPHANED)
		mqtt_drop(m, "");
}

void mqtt_drain(struct mqtt *m, void (*fn)(void *arg), void *arg)
{
	m->draining = true;
	m->on_drained = fn;
	m->drained_arg = arg;
	switch (m->state) {
	case MQTT_READING:
	case MQTT_PAUSED: mqtt_say_good_bye(m); break;
	case MQTT_CONNECTING: mqtt_drop(m, ""); break;
	case MQTT_OFF:
	case MQTT_WAITING:
		loop_timer_stop(m->timer);
		mqtt_rest(m);
		break;
	case MQTT_COMMITTING:
	case MQTT_ACKING:
	case MQTT_ORPHANED: break;
	}
}

bool mqtt_is_idle(const struct mqtt *m)
{
	return m->ticket.events == NULL;
}

void mqtt_close(struct mqtt *m)
{
	if (m == NULL)
		return;
	mqtt_disconnect(m);
	loop_timer_close(m->timer);
	loop_timer_close(m->tick);
	gate_fini(&m->gate);
	free(m->shops);
	lookup_close(m->name);
	mqtt_settings_free(&m->s);
	mosquitto_lib_cleanup();
	free(m);
}

const struct mqtt_stats *mqtt_stats(const struct mqtt *m)
{
	return &m->stats;
}
