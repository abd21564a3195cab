#ifndef INTAKE_ADMIT_H
#define INTAKE_ADMIT_H
/*
 * Admission: turns an envelope that a door has read into an event that may be judged, the same for
 * HTTP, MQTT, import, inbox and `nudgectl test`.  Checks id, type, source and time (P2, Limits),
 * takes the customer keys out of subject, data.customer and the vocabulary's fields, sorts them
 * strongest first, hashes the content.  On failure the event becomes EVENT_QUARANTINED with reason
 * and path, its text as it came in `data`: nothing is thrown away.
 *
 * Customer keys.  The subject is an e-mail address when it contains @, a phone number when it
 * begins with +, else the store's own customer id.  data.customer has id, email, phone,
 * anonymous_id; customer.created and customer.updated also email, phone, id (or customer_id) of
 * their own; call.* the phone `from`; order_id and tracking_number of any event count per store.
 * E-mail is lower case, phone E.164 by the shop's country.  Ids that shops give to everybody they
 * do not know ("0", "null", "undefined" ...) are none. Of two keys of one kind the subject's comes
 * first, then that of data.customer, then the event's own.
 *
 * previous_id of customer.merged is read like a subject and names the card to be taken over; it is no
 * key of the event.
 *
 * An event about nobody goes to one of the shop's 64 hidden cards, by type and product_id or
 * store; so an admitted event always has an identity.  But customer.*, message.* and task.*
 * without a customer, and events whose only keys could not be read, are quarantined: nobody is the
 * wrong answer for them.
 */
#include "base/mem.h"
#include "model/event.h"

/* What is the most (PROMISES, Limits); one for the process, set at start and reload. */
struct admit_limits {
	size_t event_bytes;  /* of one event: 64 KiB */
	size_t batch_events; /* of one request: 500 */
	size_t batch_bytes;  /* 1 MiB */
	size_t id_bytes;     /* 128 */
	int64_t future_us;   /* further ahead, an event gets the time of receipt: 10 min */
};
extern struct admit_limits admit_limits;

enum admit_door { ADMIT_HTTP, ADMIT_MQTT, ADMIT_INTERNAL };

/* Everything is lent, and must live as long as the event does. */
struct admit_envelope {
	const struct shop *shop;
	struct span id, source, type,
		subject;  /* as sent, valid UTF-8 without NUL; {NULL,0}: missing */
	struct span time; /* RFC 3339 text, or {NULL,0} */
	struct span data; /* checked JSON value, or {NULL,0} */
	struct span raw;  /* all of it as it came, for quarantine; {NULL,0}: data is all there is */
	struct span at;   /* JSON path of the event in its body ("$[3]"); empty: "$" */
	int64_t customer; /* our own number of its customer (API, inbox), or 0 */
};

/* Fills *e from the envelope, as EVENT_POSTED.  Spans of e point into the envelope's memory or
 * into a.  received_us: wall clock.  False when it was quarantined (e->reason, e->path say
 * why). */
bool admit_event(struct shop_event *e, const struct admit_envelope *env, enum admit_door door,
	int64_t received_us, struct arena *a);
/* Fills *e as quarantined, for what a door could not even read; reason and path are lent like
 * env. */
void admit_quarantine(struct shop_event *e, const struct admit_envelope *env, int64_t received_us,
	const char *reason, struct span path);

#endif
