#ifndef MODEL_MESSAGE_H
#define MODEL_MESSAGE_H
/*
 * A message: what the engine decided to send; a courier claims it, renders it and hands it over.
 * Plain data in the arena of the batch; written once by the engine's save, afterwards moved by couriers.
 *
 *   ready -> sending -> sent | failed | in_doubt;  ready -> withdrawn | expired | capped
 *   sending -> ready (handed back, retry)          refused: written only to be seen (no consent, suppressed)
 */
#include "base/str.h"

#include <stdint.h>

struct shop;

enum message_channel { CHANNEL_EMAIL, CHANNEL_PUBLISH, CHANNEL_COUNT };
const char *message_channel_name(enum message_channel c); /* "email", "publish" */
bool message_channel_parse(struct span word, enum message_channel *ret);

enum message_class { CLASS_TRANSACTIONAL, CLASS_MARKETING, CLASS_BULK };
const char *message_class_name(enum message_class c);
bool message_class_parse(struct span word, enum message_class *ret);

enum message_state {
	MESSAGE_READY,
	MESSAGE_SENDING,
	MESSAGE_SENT,
	MESSAGE_FAILED,
	MESSAGE_IN_DOUBT,
	MESSAGE_WITHDRAWN,
	MESSAGE_EXPIRED,
	MESSAGE_CAPPED,
	MESSAGE_REFUSED
};
const char *message_state_name(enum message_state s);
bool message_state_parse(struct span word, enum message_state *ret);

struct message {
	int64_t id;
	int64_t customer;
	int64_t chain; /* 0: none */
	const struct shop *shop;
	struct span rule;
	enum message_channel channel;
	enum message_class class_;
	int priority; /* 0..100 */
	struct span template_name;
	struct span template_hash; /* 64 hex digits of the template_text row; empty for publish */
	struct span lang;
	struct span
		data; /* JSON object: for templates {"with":..., "event":...}; publish: {"topic","payload"} */
	struct span to; /* explicit address (manager, group, literal); empty: the customer's own */
	struct span subject; /* overrides the template's <title>; may be empty */
	struct span reason;  /* email{reason=}: never the same twice from this rule */
	int64_t due_us, expires_us;
	bool keep;                /* not withdrawn when its chain is ended */
	enum message_state state; /* READY, or REFUSED with code */
	struct span code;         /* of REFUSED: "no_consent", "suppressed", "no_address" */
};

#endif
