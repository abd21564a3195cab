/*
 * card.c: hands an event round to the parts of the card, and makes the events that follow.
 *
 * The parts are C and not rules in Lua, because every judged event passes here: one walk over its
 * members, no state of its own.  Nothing is remembered between events but what stands in the
 * visit, so a batch that is judged again from the same rows gives the same effects.
 */
#include "engine/card_part.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { ID_MOST = 128 };
static const char daemon_source[] = "nudged:";

struct span card_take_text(struct arena *a, struct buf *buf)
{
	struct span s = { arena_dup(a, buf->n ? buf->p : "", buf->n), buf->n };

	buf_free(buf);
	return s;
}

void card_set_text(struct visit *v, enum card_text field, struct span text)
{
	if (span_eq(v->card->text[field], text))
		return;
	v->card->text[field] = text;
	v->card->changed |= CARD_CHANGED_PROFILE;
}

struct span card_json_with(struct arena *a, struct span object, struct span key, struct span value)
{
	struct buf loose = { 0 }, canonical = { 0 };
	struct json_iter it;
	struct span k, v;

	buf_char(&loose, '{');
	if (object.n) {
		json_iter_init(&it, object);
		while (json_next(&it, &k, &v)) {
			if (json_text_is(k, key))
				continue;
			buf_span(&loose, k);
			buf_char(&loose, ':');
			buf_span(&loose, v);
			buf_char(&loose, ',');
		}
	}
	if (value.n) {
		json_put_text(&loose, key);
		buf_char(&loose, ':');
		buf_span(&loose, value);
	} else if (loose.p[loose.n - 1] == ',') {
		loose.n--;
	}
	buf_char(&loose, '}');
	json_canon(buf_as_span(&loose), &canonical);
	buf_free(&loose);
	return card_take_text(a, &canonical);
}

void card_push_follow(struct card_work *w, struct shop_event *e)
{
	BATCH_PUSH(&w->b->arena, w->follow->events, w->follow->n, w->follow->cap) = e;
}

/* Three texts, one behind the other. */
static struct span join(struct arena *a, struct span x, struct span y, struct span z)
{
	char *p = arena_alloc(a, x.n + y.n + z.n);

	if (x.n)
		memcpy(p, x.p, x.n);
	if (y.n)
		memcpy(p + x.n, y.p, y.n);
	if (z.n)
		memcpy(p + x.n + y.n, z.p, z.n);
	return (struct span){ p, x.n + y.n + z.n };
}

/* The key of an event that comes from another one. */
static struct span follow_id(struct arena *a, struct span cause, struct span what)
{
	char hex[HASH_HEX];

	if (cause.n + 1 + what.n <= ID_MOST)
		return join(a, cause, SPAN("#"), what);
	hash_sha256_hex((struct span[]){ cause, SPAN("#"), what }, 3, hex);
	return span_of(arena_strdup(a, hex));
}

/* The first half of SHA-256 over what the event says. */
static void follow_hash(struct shop_event *e)
{
	unsigned char digest[HASH_SIZE];
	char when[24];
	int n = snprintf(when, sizeof when, "\n%lld\n", (long long)e->time_us);

	hash_sha256((struct span[]){ e->type, { when, (size_t)n }, e->data }, 3, digest);
	memcpy(e->hash, digest, sizeof e->hash);
}

struct shop_event *card_follow_up(struct batch *b, const struct shop_event *cause, struct span type,
	struct span what, struct span data, enum event_origin origin)
{
	struct shop_event *e = arena_new(&b->arena, struct shop_event);

	e->shop = cause->shop;
	e->source = cause->source;
	if (!span_starts(cause->source, daemon_source))
		e->source = join(&b->arena, span_of(daemon_source), cause->source, SPAN(""));
	e->id = follow_id(&b->arena, cause->id, what);
	e->type = type;
	e->data = data;
	e->time_us = cause->time_us;
	e->received_us = cause->received_us;
	e->claimed_us = TIME_NONE;
	e->origin = origin;
	e->status = EVENT_NEW;
	e->deduplicated = true;
	e->import = cause->import;
	e->customer = cause->customer;
	e->depth = cause->depth;
	e->cause_chain = cause->cause_chain;
	if (origin != EVENT_DERIVED)
		follow_hash(e);
	return e;
}

bool card_apply(struct batch *b, struct visit *v, struct shop_event *e, struct card_follow *follow)
{
	struct card_work w = { b, v, e, e->time_us == TIME_NONE ? e->received_us : e->time_us,
		follow };

	if (e->origin == EVENT_DERIVED)
		return true;
	if (span_starts(e->type, "task."))
		return card_apply_task(&w);
	if (!v->card->hidden)
		card_apply_customer(&w);
	if (span_starts(e->type, "message."))
		card_apply_message(&w);
	else if (!v->card->hidden)
		card_apply_order(&w);
	return true;
}
