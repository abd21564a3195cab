/*
 * card_message.c: what became of a message, and whom nothing may be sent to any more.
 *
 * A message's row is moved by the save (visit->outcomes), which knows whether it is the
 * customer's: here only the number and the word are taken.  Suppression is of an address: a bounce
 * of what went to a manager or to an older address says nothing about the card's present one.
 *
 * A bounce is no withdrawal: the log of consent says what the customer said, so only a complaint
 * and an unsubscription are written there.
 */
#include "engine/card_part.h"

#include "base/json.h"
#include "engine/field.h"

#include <string.h>

static const char *const words[] = { "sent", "delivered", "failed", "opened", "clicked", "replied",
	"bounced", "complained", "unsubscribed" };

/* The word behind "message.", when it is one of ours. */
static struct span word_of(struct span type)
{
	struct span word = { type.p + 8, type.n - 8 };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (span_is(word, words[i]))
			return word;
	return (struct span){ NULL, 0 };
}

/* A bounce that will not go away: said so, or an SMTP code of the fives. */
static bool is_permanent(struct span permanent, struct span code)
{
	bool said;

	if (field_bool(permanent, &said))
		return said;
	code = span_trim(code);
	if (code.n && code.p[0] == '"')
		code = (struct span){ code.p + 1, code.n - 1 };
	return code.n >= 3 && code.p[0] == '5';
}

/* As addresses stand on cards and among identities. */
static struct span lower_case(struct span text, struct arena *a)
{
	char *p = arena_dup(a, text.p, text.n);

	for (size_t i = 0; i < text.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] + 'a' - 'A');
	return (struct span){ p, text.n };
}

/* Nothing may go to this address, and if it is the card's, nothing over this channel. */
static void suppress(struct card_work *w, struct span channel, struct span address, struct span why)
{
	struct customer *c = w->v->card;
	struct span own = { NULL, 0 }, known;
	struct visit_suppression *line;
	enum message_channel kind;
	struct buf quoted = { 0 };

	if (span_is(channel, "email"))
		own = c->text[CARD_EMAIL];
	else if (span_is(channel, "sms") || span_is(channel, "call"))
		own = c->text[CARD_PHONE];
	if (!address.n)
		address = own;
	else if (span_is(channel, "email"))
		address = lower_case(address, &w->b->arena);
	if (address.n && message_channel_parse(channel, &kind)) {
		line = arena_new(&w->b->arena, struct visit_suppression);
		*line = (struct visit_suppression){ kind, address, why, w->at_us };
		BATCH_PUSH(&w->b->arena, w->v->suppressions, w->v->n_suppressions,
			w->v->cap_suppressions) = line;
	}
	if (c->hidden || !span_eq(address, own))
		return;
	if (c->json[CARD_SUPPRESSED].n && json_get(c->json[CARD_SUPPRESSED], channel, &known) &&
		!json_is_null(known) &&
		(!json_text_is(known, SPAN("unsubscribed")) || span_is(why, "unsubscribed")))
		return; /* the first reason stays, unless the other one forbids more */
	json_put_text(&quoted, why);
	c->json[CARD_SUPPRESSED] = card_json_with(
		&w->b->arena, c->json[CARD_SUPPRESSED], channel, buf_as_span(&quoted));
	c->changed |= CARD_CHANGED_PROFILE;
	buf_free(&quoted);
}

/* The channel of the event, where it is one that customers have: e-mail when nothing is said. */
static struct span channel_of(struct span value, struct arena *a)
{
	static const char *const channels[] = { "email", "sms", "call", "push", "messenger" };
	struct span channel = field_text(value, a);

	if (!channel.n)
		return SPAN("email");
	for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
		if (span_is(channel, channels[i]))
			return channel;
	return (struct span){ NULL, 0 };
}

/* The server refused the recipient himself, for good (RFC 5321, 4.2.3: 550, 551, 553): as telling as a bounce. */
static bool is_refused_recipient(struct span permanent, struct span code)
{
	bool said;

	code = span_trim(code);
	if (code.n && code.p[0] == '"')
		code = (struct span){ code.p + 1, code.n - 1 };
	return field_bool(permanent, &said) && said && code.n >= 3 &&
	       (memcmp(code.p, "550", 3) == 0 || memcmp(code.p, "551", 3) == 0 ||
		       memcmp(code.p, "553", 3) == 0);
}

void card_apply_message(struct card_work *w)
{
	enum { ID, CHANNEL, ADDRESS, PERMANENT, CODE, WANTED };
	static const struct span keys[WANTED] = { [ID] = SPAN_INIT("message_id"),
		[CHANNEL] = SPAN_INIT("channel"),
		[ADDRESS] = SPAN_INIT("address"),
		[PERMANENT] = SPAN_INIT("permanent"),
		[CODE] = SPAN_INIT("code") };
	struct span word = word_of(w->e->type), channel, f[WANTED];
	struct arena *a = &w->b->arena;
	struct visit_outcome *line;
	int64_t message;

	if (!word.n)
		return;
	field_pick(w->e->data, keys, f, WANTED);
	channel = channel_of(f[CHANNEL], a);
	if (field_integer(f[ID], &message) && message > 0) {
		line = arena_new(a, struct visit_outcome);
		*line = (struct visit_outcome){ message, word, w->at_us };
		BATCH_PUSH(a, w->v->outcomes, w->v->n_outcomes, w->v->cap_outcomes) = line;
	}
	if (!channel.n)
		return;
	if (span_is(word, "complained") || span_is(word, "unsubscribed")) {
		suppress(w, channel, field_text(f[ADDRESS], a), word);
		if (!w->v->card->hidden)
			card_consent(w->b, w->v, channel, false, w->e->type, w->at_us, w->e->seq);
	} else if (span_is(word, "bounced") && is_permanent(f[PERMANENT], f[CODE])) {
		suppress(w, channel, field_text(f[ADDRESS], a), word);
	} else if (span_is(word, "failed") && is_refused_recipient(f[PERMANENT], f[CODE])) {
		suppress(w, channel, field_text(f[ADDRESS], a), SPAN("bounced"));
	}
}
