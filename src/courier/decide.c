/* decide.c: the questions in the order in which their answers matter.
 *
 * Withdrawn and expired come first: they are true whatever else is, and final.  Then the stop buttons,
 * which hold a message without touching it, so that nothing is lost by a pause.  Then what refuses:
 * the address, consent and suppression (as when the message was written, but on the card
 * as it is now, and by the list of suppressed addresses), and at last only_to,
 * which must not hide any of the others on a test machine.
 *
 * Mail to managers and literal addresses asks for no consent; an address that bounced or complained
 * gets nothing all the same: sending there harms everybody's mail.
 */
#include "courier/decide.h"

#include "base/clock.h"
#include "base/json.h"
#include "courier/address.h"

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

	while (pauses.n > 0) {
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

/* What the store assumes of those who said nothing. */
static bool decide_default(const struct shop *shop, enum message_class class_)
{
	switch (class_) {
	case CLASS_TRANSACTIONAL: return shop->consent_transactional;
	case CLASS_MARKETING: return shop->consent_marketing;
	case CLASS_BULK: return shop->consent_bulk;
	}
	return false;
}

/* A bounce or a complaint stops everything, an unsubscription only what is no part of a deal. */
static bool decide_is_suppressed(struct span why, enum message_class class_)
{
	return why.p && !(class_ == CLASS_TRANSACTIONAL && span_is(why, "unsubscribed"));
}

/* The customer's own wish, as his card has it now; NULL: he may be written to. */
static const char *decide_wish(const struct claim *c, struct span channel)
{
	const struct customer *card = &c->card;
	bool may = decide_default(c->m.shop, c->m.class_);
	struct span said;

	if (c->m.to.n == 0)
		return "no_address";
	if (card->json[CARD_SUPPRESSED].n &&
		json_get(card->json[CARD_SUPPRESSED], channel, &said) && !json_is_null(said) &&
		(c->m.class_ != CLASS_TRANSACTIONAL || !json_text_is(said, SPAN("unsubscribed"))))
		return "suppressed";
	if (card->json[CARD_CONSENT].n && json_get(card->json[CARD_CONSENT], channel, &said)) {
		if (json_kind(said) == JSON_TRUE)
			may = true;
		else if (json_kind(said) == JSON_FALSE && c->m.class_ != CLASS_TRANSACTIONAL)
			may = false;
	}
	return may ? NULL : "no_consent";
}

/* NULL: may go to this address. */
static const char *decide_refuses(const struct decide_facts *f)
{
	const struct claim *c = f->c;
	const char *code;
	struct err err;

	if (c->m.channel != CHANNEL_EMAIL)
		return NULL;
	if (c->is_own && (code = decide_wish(c, SPAN("email"))) != NULL)
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
	if (m->expires_us != TIME_NONE && m->expires_us <= f->c->now_us)
		return DECIDE_EXPIRE;
	*ret_code = "paused";
	if (decide_is_held(f))
		return DECIDE_HOLD;
	code = decide_refuses(f);
	*ret_code = code ? code : "ok";
	return code ? DECIDE_REFUSE : DECIDE_SEND;
}
