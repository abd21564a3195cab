/*
 * card_join.c: one card takes over another.
 *
 * The card that stays wins wherever both know something, because it is the one that the event named by its
 * stronger key.  What could do harm goes the other way: a "no" and a suppression of either side stay.
 * The card that is given up is left empty: its row only points to the other one, and personal data has no
 * business in it.
 *
 * Two chains of one rule and key may both go on only where the rule's mode would have let the second
 * start while the first was live.  "queued" would not have: of those that run, the older stays; those that
 * have not begun stay queued behind it.
 */
#include "engine/card_part.h"

#include "base/clock.h"
#include "base/json.h"
#include "engine/field.h"

#include <stdlib.h>
#include <string.h>

/* Two cards on their way to one. */
struct join {
	struct batch *b;
	struct visit *living, *gone;
	card_keep_fn *keep;
	void *arg;
};

static void join_texts(struct join *j)
{
	struct customer *to = j->living->card;
	const struct customer *from = j->gone->card;

	for (int i = 0; i < CARD_TEXTS; i++) {
		bool older = i == CARD_FIRST_SOURCE && from->created_us < to->created_us;

		if (from->text[i].n && (older || !to->text[i].n))
			card_set_text(j->living, (enum card_text)i, from->text[i]);
	}
}

/* A JSON of the profile; marks the card when it is another one now. */
static void join_set_json(struct join *j, enum card_json which, struct span value)
{
	struct span *to = &j->living->card->json[which];

	if (span_eq(*to, value))
		return;
	*to = value;
	j->living->card->changed |= CARD_CHANGED_PROFILE;
}

/* Members of both objects; where both have one, that of the card that stays. */
static void join_object(struct join *j, enum card_json which, size_t most)
{
	struct span to = j->living->card->json[which], from = j->gone->card->json[which], both;

	if (!from.n)
		return;
	both = card_json_merged(&j->b->arena, from, to);
	if (both.n <= most)
		join_set_json(j, which, both);
}

/* A "no" wins; a "yes" fills what was not known. */
static void join_consent(struct join *j)
{
	struct span from = j->gone->card->json[CARD_CONSENT], key, value, own;
	struct json_iter it;
	bool given;

	if (!from.n)
		return;
	json_iter_init(&it, from);
	while (json_next(&it, &key, &value)) {
		struct span channel = json_text(key, &j->b->arena);
		struct span consent = j->living->card->json[CARD_CONSENT];

		if (!field_bool(value, &given) ||
			(given && consent.n && json_get(consent, channel, &own)))
			continue;
		card_consent(
			j->b, j->living, channel, given, SPAN("customer.merged"), j->b->now_us, 0);
	}
}

static int join_tag_cmp(const void *x, const void *y)
{
	return span_cmp(*(const struct span *)x, *(const struct span *)y);
}

static void join_tags(struct join *j)
{
	struct span lists[] = { j->living->card->json[CARD_TAGS], j->gone->card->json[CARD_TAGS] };
	struct span *tags = NULL, tag;
	size_t n = 0, cap = 0;
	struct buf out = { 0 };
	struct json_iter it;

	if (!lists[1].n)
		return;
	for (size_t i = 0; i < 2; i++) {
		json_iter_init(&it, lists[i].n ? lists[i] : SPAN("[]"));
		while (json_next(&it, NULL, &tag))
			BATCH_PUSH(&j->b->arena, tags, n, cap) = span_trim(tag);
	}
	if (n > 1)
		qsort(tags, n, sizeof *tags, join_tag_cmp);
	buf_char(&out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && span_eq(tags[i - 1], tags[i]))
			continue;
		if (out.n > 1)
			buf_char(&out, ',');
		buf_span(&out, tags[i]);
	}
	buf_char(&out, ']');
	join_set_json(j, CARD_TAGS, card_take_text(&j->b->arena, &out));
}

/* The earlier of two instants that may be missing. */
static int64_t join_earlier(int64_t x, int64_t y)
{
	if (x == TIME_NONE || y == TIME_NONE)
		return x == TIME_NONE ? y : x;
	return x < y ? x : y;
}

static void join_activity(struct join *j)
{
	struct customer *to = j->living->card;
	const struct customer *from = j->gone->card;

	/* whoever was seen last has the newer cart; an empty one that was filled before counts too */
	if (from->json[CARD_CART].n &&
		(!to->json[CARD_CART].n || from->last_seen_us > to->last_seen_us))
		to->json[CARD_CART] = from->json[CARD_CART];
	to->orders_count += from->orders_count;
	to->orders_total = card_money(to->orders_total + from->orders_total);
	to->orders_first_us = join_earlier(to->orders_first_us, from->orders_first_us);
	if (from->orders_last_us > to->orders_last_us) {
		to->orders_last_us = from->orders_last_us;
		to->orders_last_id = from->orders_last_id;
	}
	if (from->last_seen_us > to->last_seen_us)
		to->last_seen_us = from->last_seen_us;
	to->created_us = join_earlier(to->created_us, from->created_us);
	if (from->json[CARD_SPEND].n)
		card_spend_join(j->b, j->living, from->json[CARD_SPEND]);
	to->changed |= CARD_CHANGED_ACTIVITY;
}

/*** chains ***/

/* Does the chain run, for the question who may go on? */
static bool join_runs(const struct chain *c)
{
	return chain_state_is_live(c->state) && c->state != CHAIN_QUEUED;
}

static bool join_is_same(const struct chain *a, const struct chain *b)
{
	return span_eq(a->rule, b->rule) && span_eq(a->key, b->key);
}

static bool join_is_older(const struct chain *a, const struct chain *b)
{
	return a->started_us != b->started_us ? a->started_us < b->started_us : a->id < b->id;
}

/* The oldest or newest one of a visit that runs, like this one; NULL: none. */
static const struct chain *join_find(const struct visit *v, const struct chain *like, bool newest)
{
	const struct chain *found = NULL;

	for (size_t i = 0; i < v->n_chains; i++) {
		const struct chain *c = v->chains[i];

		if (join_runs(c) && join_is_same(c, like) &&
			(!found || join_is_older(c, found) != newest))
			found = c;
	}
	return found;
}

/* Ends all of a visit that run like this one. */
static void join_cancel(struct join *j, struct visit *v, const struct chain *like)
{
	for (size_t i = 0; i < v->n_chains; i++) {
		struct chain *c = v->chains[i];

		if (!join_runs(c) || !join_is_same(c, like))
			continue;
		c->state = CHAIN_CANCELLED;
		c->reason = SPAN("joined");
		c->wake_us = TIME_NONE;
		c->awaits = NULL;
		c->n_awaits = 0;
		c->change = CHAIN_ENDED;
		BATCH_PUSH(&j->b->arena, v->withdraw, v->n_withdraw, v->cap_withdraw) = c->id;
	}
}

static void join_chains(struct join *j)
{
	for (size_t i = 0; i < j->gone->n_chains; i++) {
		struct chain like = *j->gone->chains[i];
		const struct chain *here, *there;
		enum card_keep keep;

		if (!join_runs(&like) || (keep = j->keep(j->arg, like.rule)) == CARD_KEEP_BOTH)
			continue;
		here = join_find(j->living, &like, keep == CARD_KEEP_NEWER);
		there = join_find(j->gone, &like, keep == CARD_KEEP_NEWER);
		if (!here)
			continue;
		if (join_is_older(here, there) == (keep == CARD_KEEP_OLDER))
			join_cancel(j, j->gone, &like);
		else
			join_cancel(j, j->living, &like);
	}
}

/* What is left of the card: a row that points to the other one. */
static void join_empty(struct join *j)
{
	struct customer *c = j->gone->card;

	memset(c->text, 0, sizeof c->text);
	memset(c->json, 0, sizeof c->json);
	c->json[CARD_CART] = SPAN("{}"); /* a missing one would stay as it was */
	c->json[CARD_SPEND] = SPAN("[]");
	c->orders_count = 0;
	c->orders_total = 0;
	c->orders_first_us = c->orders_last_us = c->last_seen_us = TIME_NONE;
	c->orders_last_id = (struct span){ NULL, 0 };
	c->merged_into = j->living->customer;
	c->identity_version++;
	c->changed = CARD_CHANGED_ACTIVITY | CARD_CHANGED_PROFILE | CARD_CHANGED_IDENTITY;
	j->living->card->identity_version++;
	j->living->card->changed |= CARD_CHANGED_IDENTITY;
}

void card_join(
	struct batch *b, struct visit *living, struct visit *gone, card_keep_fn *keep, void *arg)
{
	struct join j = { b, living, gone, keep, arg };

	join_texts(&j);
	join_object(&j, CARD_ATTRIBUTES, CARD_ATTRIBUTES_MOST);
	join_consent(&j);
	join_object(&j, CARD_SUPPRESSED, SIZE_MAX);
	join_tags(&j);
	join_activity(&j);
	join_chains(&j);
	join_empty(&j);
}
