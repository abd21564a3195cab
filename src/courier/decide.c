/* decide.c: the questions in the order in which their answers matter.
 *
 * Withdrawn and expired come first: they are true whatever else is, and final.  Then the stop buttons,
 * which hold a message without touching it, so that nothing is lost by a pause.  Then what refuses:
 * the address, consent and suppression (the engine's arbiter, which decided already when the
 * message was written, on the card as it is now, and the list of suppressed addresses), and at last only_to,
 * which must not hide any of the others on a test machine.
 *
 * Mail to managers and literal addresses asks for no consent; an address that bounced or complained
 * gets nothing all the same: sending there harms everybody's mail.
 */
#include "courier/decide.h"

#include "base/clock.h"
#include "base/planted.h"
#include "courier/address.h"
#include "engine/arbiter.h"

#include <string.h>

const char *decide_outcome_name(enum decide_outcome o)
{
	switch (o) {
	case DECIDE_SEND: return "send";
	case DECIDE_HOLD: return "hold";
	case DECIDE_REFUSE: return "refuse";
	case DECIDE_EXPIRE: return "expire";
	case DECIDE_WITHDRAW: return "withdraw";
	}
	return "?";
}

bool decide_is_paused(struct span pauses, const char *kind, struct span name)
{
	size_t n = strlen(kind);

	while (!PLANTED(ignore_pause) && pauses.n > 0) {
		const char *end = memchr(pauses.p, '\n', pauses.n);
		struct span line = { pauses.p, end ? (size_t)(end - pauses.p) : pauses.n };

		pauses.p += line.n + (end != NULL);
		pauses.n -= line.n + (end != NULL);
		if (span_starts(line, kind) &&
			span_eq((struct span){ line.p + n, line.n - n }, name))
			return true;
	}
	return false;
}

static bool decide_is_held(const struct decide_facts *f)
{
	const struct message *m = &f->c->m;

	return decide_is_paused(f->pauses, "all", SPAN("")) ||
	       decide_is_paused(f->pauses, "channel:", span_of(message_channel_name(m->channel))) ||
	       decide_is_paused(f->pauses, "rule:", m->rule);
}

/* A bounce or a complaint stops everything, an unsubscription only what is no part of a deal. */
static bool decide_is_suppressed(struct span why, enum message_class class_)
{
	return why.p && !(class_ == CLASS_TRANSACTIONAL && span_is(why, "unsubscribed"));
}

/* NULL: may go to this address. */
static const char *decide_refuses(const struct decide_facts *f)
{
	const struct claim *c = f->c;
	const char *code;
	struct err err;

	if (c->m.channel != CHANNEL_EMAIL || PLANTED(ignore_consent_sent))
		return NULL;
	if (c->is_own &&
		(code = arbiter_refuses(&c->card, c->m.shop, c->m.channel, c->m.class_)) != NULL)
		return code;
	if (decide_is_suppressed(f->suppressed, c->m.class_))
		return "suppressed";
	if (!address_check(c->m.to, &err))
		return "bad_address";
	if (f->n_only_to && !address_is_among(c->m.to, f->only_to, f->n_only_to))
		return "only_to";
	return NULL;
}

enum decide_outcome decide(const struct decide_facts *f, const char **ret_code)
{
	const struct message *m = &f->c->m;
	const char *code;

	*ret_code = "chain_ended";
	if (!f->chain_live)
		return DECIDE_WITHDRAW;
	*ret_code = "expired";
	if (m->expires_us != TIME_NONE && m->expires_us <= f->c->now_us && !PLANTED(ignore_expiry))
		return DECIDE_EXPIRE;
	*ret_code = "paused";
	if (decide_is_held(f))
		return DECIDE_HOLD;
	code = decide_refuses(f);
	*ret_code = code ? code : "ok";
	return code ? DECIDE_REFUSE : DECIDE_SEND;
}
