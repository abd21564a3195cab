#ifndef MODEL_EVENT_H
#define MODEL_EVENT_H
/*
 * An event: something that happened in a shop, as it travels from a door through the engine into Postgres.
 *
 * Plain data.  All spans point into memory of the request or batch that carries the event and are valid
 * as long as that is.  A door fills the envelope; intake/admit fills identities and hash; the store fills
 * what it knows of the key (status); the engine fills seq and verdicts.
 */
#include "base/str.h"

#include <stdint.h>
#include <sys/queue.h>

struct shop;

/* Customer keys, strongest first (VOCABULARY.md).  The number is stored in Postgres: never renumber. */
enum identity_kind {
	IDENTITY_ID = 1,        /* the store's own customer id */
	IDENTITY_EMAIL = 2,     /* lower case */
	IDENTITY_PHONE = 3,     /* E.164 with + */
	IDENTITY_ANONYMOUS = 4, /* browser id */
	IDENTITY_ORDER = 5,     /* "store/order id" */
	IDENTITY_PARCEL = 6,    /* "store/tracking number" */
	IDENTITY_HIDDEN = 7,    /* "store/0".."store/63": cards of events about nobody */
	IDENTITY_CUSTOMER = 8, /* our own number, decimal: from the API and the inbox; not stored */
};
struct identity {
	enum identity_kind kind;
	struct span value;
};
/* Keys that come and go with browsers and orders: a card that is known by nothing else is weak. */
bool identity_kind_is_weak(enum identity_kind kind);
enum { EVENT_IDENTITIES = 8 };

enum event_origin {
	EVENT_POSTED, /* came through a door */
	EVENT_INBOX,  /* an inbox row: couriers, tracking, API */
	EVENT_EMITTED, /* emit(), or made by the daemon and stored (order.status_changed, task.overdue) */
	EVENT_DERIVED, /* judged but not stored: product.bought */
};
/* What became of it; the words of PROMISES P3. */
enum event_status { EVENT_NEW, EVENT_ACCEPTED, EVENT_DUPLICATE, EVENT_CONFLICT, EVENT_QUARANTINED };
const char *event_status_name(enum event_status s); /* "new", "accepted", ... */

struct flow_customer;
struct event_ticket; /* intake: who is answered when the event is settled */

struct shop_event {
	const struct shop *shop;      /* from the credentials or the topic */
	struct span source, id, type; /* the key is (shop, source, id); source may be empty */
	struct span data;             /* checked JSON, always an object */
	struct span about;            /* data.customer of a posted event, or {NULL, 0} */
	int64_t time_us;              /* when it happened; TIME_NONE: then received_us counts */
	int64_t received_us;          /* when a door took it */
	int64_t claimed_us; /* the time it claimed, when that was too far ahead; else TIME_NONE */
	unsigned char hash[16]; /* of its content (P2), first half of SHA-256 */
	struct identity
		identity[EVENT_IDENTITIES]; /* sorted, strongest first; [0] names its customer */
	unsigned n_identity;
	struct identity
		previous; /* customer.merged: whose card is taken over; value {NULL,0}: none */
	enum event_origin origin;
	enum event_status status;
	bool deduplicated; /* false: it had neither id nor time, its id is fresh */
	bool import;       /* history: cards learn of it, no rule does */
	const char *
		reason; /* why quarantined or conflict, static or in the request's memory; else NULL */
	struct span path;     /* JSON path of what was wrong; may be empty */
	int64_t inbox;        /* its inbox row, or 0 */
	int64_t customer;     /* 0 until identified */
	bool order_elsewhere; /* said by the load: the order that it names is another customer's */
	int64_t seq;          /* its number; rises per customer in the order of judging */
	int depth;            /* how many emits deep it is */
	int64_t cause_chain;  /* chain that emitted it, or 0 */
	struct span verdicts; /* JSON array: one object per subscribed rule; set by the engine */
	struct event_ticket *ticket;
	/* the flow's own: where it stands */
	TAILQ_ENTRY(shop_event) link;
	struct flow_customer *queue; /* the customer queue it stands in, or NULL */
	uint64_t arrival;            /* the order in which the doors submitted them */
	unsigned
		claims; /* bit per identity, one more for `previous`: its batch gives that key to its customer */
	int place;   /* enum flow_place */
	bool unsure; /* it was in a save whose outcome nobody knows: a duplicate may be itself */
};
TAILQ_HEAD(shop_event_list, shop_event);

/* The text type pattern of rules: "order.placed" equals itself, "order.*" begins with "order.", "*" is all. */
bool event_type_matches(struct span pattern, struct span type);

/* Is this order one of the event's keys?  Then its row is read with the event's batch. */
bool event_names_order(const struct shop_event *e, const struct shop *shop, struct span order);

#endif
