#ifndef DOOR_MQTT_H
#define DOOR_MQTT_H
/*
 * Events by MQTT 5 at QoS 1: the client that acknowledges after the commit.
 *
 * Life cycle: mqtt_open makes a client that does nothing.  mqtt_hold (the session is ours: see
 * door/mqtt_seat) makes it connect and stay connected; mqtt_release drops the connection at once and
 * acknowledges nothing more; mqtt_drain finishes the batch in hand, acknowledges it and says good-bye.
 * mqtt_close at the end, when nothing is at the intake any more (mqtt_is_idle) or the intake is closed.
 *
 * What is promised: a message's PUBACK leaves after the intake has settled all its events, never before;
 * whatever happens in between, the broker has it still and sends it again.  There is one batch at a time;
 * while it is at the intake nothing is read, so one session's events come in order.  While the intake is
 * not ready or full nothing is read either, the broker keeps the messages; when that lasts longer than
 * about twice the keepalive the connection goes, and is made again when the intake is back.
 *
 * Topics are PREFIX/STORE/events/#; the store of the topic is the event's store.  What comes for a store
 * that may not use MQTT, and what the broker only repeats because it keeps it (retained), is passed over,
 * counted and logged; it can never be ours.  Whatever else can not be read becomes a quarantined event.
 *
 * Owner of libmosquitto together with courier/mqttout.  The process must ignore SIGPIPE.  The host may
 * be a name: nothing is asked of the library, which looks names up by a blocking call, before somebody answers for it.
 */
#include "base/err.h"
#include "intake/flow.h"

#include <stddef.h>
#include <stdint.h>

struct loop;
struct mqtt;
struct shop;

/* Texts are copied; "" = not set. */
struct mqtt_settings {
	const char *host;
	int port;              /* 0: host is the path of a Unix socket */
	const char *client_id; /* the same on all engines and hosts */
	const char *user, *password;
	bool tls;
	const char *tls_ca, *tls_cert, *tls_key; /* tls_ca "": the system's */
	int64_t keepalive_us;                    /* much longer than a commit takes */
	int receive_maximum;                     /* messages on the way without PUBACK */
	int64_t session_expiry_us;
	const char *prefix;
	size_t batch;         /* events that make a batch full: 500 */
	size_t batch_bytes;   /* bytes that do */
	uint32_t packet_most; /* the broker is asked to send none that are larger */
};
/* Everything except where the broker is. */
void mqtt_settings_default(struct mqtt_settings *ret);

/* Where the events go: the flow, or a test. */
struct mqtt_intake {
	/* False: do not read, and why (static). */
	bool (*is_ready)(void *arg, const char **ret_why);
	bool (*has_room)(void *arg, size_t events, size_t bytes);
	/* Lends the ticket until its `done`, which never comes from inside; `late` is NULL. */
	void (*submit)(void *arg, struct event_ticket *t);
	void *arg;
	int64_t (*now_us)(void *arg); /* when something is received; NULL: this host's clock */
};

/* The settings and the intake's functions are copied.  False when the settings make no client. */
struct mqtt *mqtt_open(struct loop *loop, const struct mqtt_settings *settings,
	const struct mqtt_intake *intake, struct err *err) MUST_CHECK;
/* The stores that may use it; the pointers are copied, the shops lent until the next call and until
 * mqtt_is_idle after it. */
void mqtt_set_shops(struct mqtt *m, const struct shop *const *shops, size_t n);

/* The session is ours.  expect_session: somebody else held it before, so the broker must know it; when it
 * does not, events may have been lost, and that is an error in the log. */
void mqtt_hold(struct mqtt *m, bool expect_session);
/* It is ours no longer: drops the connection now. */
void mqtt_release(struct mqtt *m);
/* Stops reading, finishes what is in hand, disconnects; fn(arg) comes at the end of a turn then. */
void mqtt_drain(struct mqtt *m, void (*fn)(void *arg), void *arg);
/* Nothing is lent to the intake. */
bool mqtt_is_idle(const struct mqtt *m);
void mqtt_close(struct mqtt *m); /* NULL is allowed */

struct mqtt_stats {
	uint64_t messages;      /* taken from the broker, repeated ones included */
	uint64_t events;        /* given to the intake */
	uint64_t quarantined;   /* of them unreadable */
	uint64_t foreign;       /* passed over: store unknown or not allowed, or not our topic */
	uint64_t retained;      /* passed over: kept by the broker */
	uint64_t batches;       /* acknowledged */
	uint64_t connects;      /* that the broker accepted */
	uint64_t drops;         /* connections that ended without our wish */
	uint64_t sessions_lost; /* the broker had forgotten us: events may have been lost */
	bool is_connected;
	bool is_paused; /* connected, not reading: the intake is full or not ready */
};
const struct mqtt_stats *mqtt_stats(const struct mqtt *m);

#endif
