/*
 * flow_sift.c: who of those that a batch has loaded stays in it.
 *
 * Who is held by somebody else goes back and is tried again.  Whose card is not the one that the cache believed in is asked for
 * again.  And nobody's event may pass one that came before it by the same connection and is about the same customer: another
 * engine may have joined a card, and the cache still leads to it by some keys.  An event that waits for that card, or for
 * which another lane is just loading it, is about him who has taken it over; so his card says which ones those are.
 *
 * Not done: waiting for whatever another lane loads.  It needs no list, and where many cards have taken others over nobody's
 * batch fills any more (bench/README.md).
 */
#include "intake/flow_int.h"

#include <assert.h>

/* Before a card that somebody else holds, or whose events must wait, is tried again. */
enum { SIFT_PAUSE_US = 2000 };

/* Did the cache not know of all that he has taken over?  Then a card may be missing in the list. */
static bool sift_is_unsure(const struct visit *v)
{
	return v->card->identity_version > 0 &&
	       (v->identity_version < 0 || v->n_gone == VISIT_GONE_MOST);
}

/* What waits for one of those cards is asked for again, at once; true: something did. */
static bool sift_recall_gone(struct flow *f, const struct visit *v)
{
	bool any = false;

	for (unsigned i = 0; i < v->n_gone; i++) {
		struct flow_customer *gone = map_get(&f->customers, MAP_KEY(v->gone[i]));

		if (gone == NULL)
			continue;
		flow_note_join(f, gone->id, v->customer);
		if (gone->lane != NULL)
			continue;
		lane_reidentify_queue(f, gone);
		any = true;
	}
	return any;
}

static bool sift_has_taken(const struct visit *v, int64_t customer)
{
	for (unsigned i = 0; i < v->n_gone; i++)
		if (v->gone[i] == customer)
			return true;
	return false;
}

/* Is the event waiting for one of those cards, or being loaded with it? */
static bool sift_is_his(
	const struct flow_lane *l, const struct visit *v, const struct shop_event *x)
{
	const struct flow_customer *c = x->queue;

	if ((x->place != FLOW_QUEUED && x->place != FLOW_IN_BATCH) || c == NULL || c == v->flow ||
		c->lane == l)
		return false;
	if (c->lane != NULL && (c->lane->step < LANE_JOIN || c->lane->step > LANE_LOAD))
		return false; /* it was to be had */
	return sift_is_unsure(v) || sift_has_taken(v, c->id);
}

/* Does the event pass one of his that came before it by the same connection? */
static bool sift_passes(
	const struct flow_lane *l, const struct visit *v, const struct shop_event *e)
{
	for (const struct event_ticket *t = e->ticket; t != NULL; t = t->before)
		for (size_t i = 0; i < t->n && t->events[i].arrival < e->arrival; i++)
			if (sift_is_his(l, v, &t->events[i]) && flow_may_wait_for(l->flow, t))
				return true;
	return false;
}

/* Is one of those cards in another lane? */
static bool sift_shares(const struct flow_lane *l, const struct visit *v)
{
	const struct flow_customer *c;

	for (unsigned i = 0; i < v->n_gone; i++)
		if ((c = map_get(&l->flow->customers, MAP_KEY(v->gone[i]))) != NULL &&
			c->lane != NULL && c->lane != l)
			return true;
	return false;
}

/* How many of his events need not wait for one that came before them by the same connection?  stale: of the events of this batch
 * some are to be found again. */
static size_t sift_in_time(const struct flow_lane *l, const struct visit *v, bool stale)
{
	bool shares = sift_is_unsure(v) || sift_shares(l, v);
	size_t k = 0;

	if (!stale && v->n_gone == 0 && !shares)
		return v->n_events;
	for (; k < v->n_events; k++) {
		const struct shop_event *e = v->events[k];

		if (e->place == FLOW_IN_BATCH &&
			(flow_must_follow(l->flow, e) || (shares && sift_passes(l, v, e))))
			break;
	}
	return k;
}

/* Of those who were to be had; the others have left. */
static size_t sift_ready(struct flow_lane *l, size_t n, bool stale)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		stale |= b->visits[i]->flow != NULL && sift_recall_gone(f, b->visits[i]);
	for (size_t i = 0; i < n; i++) {
		struct visit *v = b->visits[i];
		struct flow_customer *c = v->flow;
		size_t k = c != NULL ? sift_in_time(l, v, stale) : v->n_events;

		if (k == v->n_events) {
			b->visits[kept++] = v;
			continue;
		}
		c->version = v->card->identity_version; /* the next list is complete */
		flow_pause(f, c, flow_boot_us(f) + SIFT_PAUSE_US);
		if (k == 0) {
			lane_return_visit(f, v);
			continue;
		}
		lane_return_events(f, v, k);
		v->n_events = k;
		b->visits[kept++] = v;
	}
	return kept;
}

size_t lane_sift(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;
	size_t kept = 0;
	bool stale = false;

	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];
		struct flow_customer *c = v->flow;

		switch (v->state) {
		case VISIT_READY:
			b->visits[kept++] = v;
			if (c != NULL)
				c->busy_since_us = c->not_before_us = 0;
			continue;
		case VISIT_BUSY:
			f->stats.held_back++;
			if (c != NULL) {
				if (c->busy_since_us == 0)
					c->busy_since_us = l->started_us;
				flow_pause(f, c, flow_boot_us(f) + SIFT_PAUSE_US);
				lane_return_visit(f, v);
			}
			continue;
		case VISIT_STALE:
			if (v->card != NULL && v->card->merged_into != 0)
				flow_note_join(f, v->customer, v->card->merged_into);
			lane_reidentify_visit(f, v);
			stale = true;
			continue;
		case VISIT_LEFT: assert(0 && "load does not leave visits"); continue;
		}
	}
	return b->n_visits = sift_ready(l, kept, stale);
}
