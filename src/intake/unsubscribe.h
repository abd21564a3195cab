#ifndef INTAKE_UNSUBSCRIBE_H
#define INTAKE_UNSUBSCRIBE_H
/*
 * The token in the unsubscribe link of a mail: made by the courier, read by the HTTP door.
 *
 * The link is <public_url>/u/<token>.  The token is signed (base/hash), so the door needs no row to
 * know whom to unsubscribe, and nobody can unsubscribe somebody else.  It carries no address.  It
 * never expires: a mail may lie for years.  It is a capability: whoever has it may unsubscribe this
 * customer from this channel of this shop's customer base, and nothing else.
 */
#include "base/mem.h"
#include "model/message.h"

struct unsubscribe {
	int64_t message;
	int64_t customer; /* as the message was written; may have been merged since */
	struct span shop; /* its id; [a-z0-9_-] by the configuration */
	enum message_channel channel;
};

/* Adds the token, [A-Za-z0-9_.-] only. */
void unsubscribe_token(struct buf *out, struct span sign_key, const struct unsubscribe *u);
/* Adds <public_url>/u/<token>. */
void unsubscribe_link(
	struct buf *out, struct span public_url, struct span sign_key, const struct unsubscribe *u);
/* False unless unsubscribe_token made it with this key; the shop's id is taken from the arena. */
bool unsubscribe_read(struct span token, struct span sign_key, struct arena *a,
	struct unsubscribe *ret) MUST_CHECK;

#endif
