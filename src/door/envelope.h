#ifndef DOOR_ENVELOPE_H
#define DOOR_ENVELOPE_H
/*
 * Envelopes: the body of a request or an MQTT message -> envelopes that intake/admit takes.
 *
 * Understands CloudEvents 1.0 structured (application/cloudevents), batched
 * (application/cloudevents-batch, a JSON array) and binary (attributes beside the body), and the
 * plain form
 *
 * Whatever the content type says, a body that is an array is a batch and one with the attributes
 * inside is structured: shops label badly (ECOSYSTEM), and no body can be read two ways.
 *
 * Faults are of two kinds.  What can not be told apart into events (no JSON, too much) is a fault
 * of the whole body.  An event that can not be read, in an array whose brackets close, is a fault
 * of this item only: it has a reason and a path ("$[3].type"), and its neighbours are taken.
 *
 * Pure: no sockets.  Body and attributes are lent and must live as long as the items; what had to
 * be unescaped stands in the arena.
 */
#include "base/mem.h"
#include "intake/admit.h"

/* A header field (HTTP: "ce-id", percent-encoded) or user property (MQTT: "id", as it is). */
struct envelope_attribute {
	struct span name, value;
};

struct envelope_input {
	const struct shop *shop;
	enum admit_door door;     /* ADMIT_MQTT: bare names, no arrays of attributes to decode */
	struct span content_type; /* {NULL, 0}: none was given */
	struct span body;
	const struct envelope_attribute
		*attributes; /* all headers or properties; others are passed over */
	size_t n_attributes;
};

struct envelope_item {
	struct admit_envelope envelope;
	const char *reason; /* NULL, or why it could not be read: static or in the arena */
	struct span path;   /* of what was wrong */
};

enum envelope_fault_kind {
	ENVELOPE_NOT_READ,  /* no JSON, bad attributes: 400 */
	ENVELOPE_TOO_LARGE, /* too many events or bytes: 413 */
};
struct envelope_fault {
	enum envelope_fault_kind kind;
	const char *reason; /* static or in the arena */
	struct span path;   /* may be empty */
};

/* Gives n items in the arena, in the order of the body; n may be 0 ("[]").  False: nothing of the
 * body can be taken, *ret_fault says why. */
bool envelope_read(const struct envelope_input *in, struct arena *a,
	struct envelope_item **ret_items, size_t *ret_n,
	struct envelope_fault *ret_fault) MUST_CHECK;
/* admit_event for an item: one that could not be read is quarantined.  False when it was. */
bool envelope_admit(struct shop_event *e, const struct envelope_item *item, enum admit_door door,
	int64_t received_us, struct arena *a);

#endif
