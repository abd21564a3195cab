#ifndef ENGINE_ARBITER_H
#define ENGINE_ARBITER_H
/*
 * May this go out at all?  What is decided when a message is written: an address, consent, suppression; and
 * which text in which language.  Quiet hours and limits are decided by the courier, when it claims.
 * Pure; everything is lent.
 */
#include "model/customer.h"
#include "model/message.h"
#include "model/shop.h"

struct judge;
struct judge_template;

/* NULL: it may go; else the code of the refusal: "no_address", "suppressed", "no_consent". */
const char *arbiter_refuses(const struct customer *card, const struct shop *shop,
	enum message_channel channel, enum message_class class_);
/* The template of that name in the best language: the customer's, the store's, the only one there is, the
 * first by name.  A region falls back to its language ("de-AT" to "de").  NULL: no such template. */
const struct judge_template *arbiter_template(const struct judge *j, struct span name,
	const struct customer *card, const struct shop *shop);

#endif
