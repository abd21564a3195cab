/*
 * flow_who.c: IDENTIFY.  An event whose strongest identity is in the cache goes straight into its customer's queue.
 * The others wait in `unknown` and are asked for together, in a transaction of their own that is committed before
 * any card is locked.  Later events that share an identity with one that waits, wait behind it: so the order of a
 * customer's events is kept while he is being found.
 *
 * Two rounds on one lane: LANE_ASK reads all identities of all events; for events of which nothing is known,
 * LANE_MAKE makes a card for the strongest.  The strongest known identity decides; the others are attached by
 * the engine's save, under the customer's lock.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "intake/flow_int.h"

#include <stdlib.h>

enum { FLOW_ASK_MOST = 2000, FLOW_ASK_RETRY_US = 100000 };

/* Calls fn with the key of each identity of the event; stops when it says so. */
static bool flow_each_key(
	const struct shop_event *e, bool (*fn)(struct map *, struct span), struct map *m)
{
	struct buf key = { 0 };
	bool stop = false;

	for (unsigned i = 0; i < e->n_identity && !stop; i++) {
		buf_clear(&key);
		who_key(&key, flow_base_of(e), &e->identity[i]);
		stop = fn(m, buf_as_span(&key));
	}
	buf_free(&key);
	return stop;
}

static bool flow_key_add(struct map *m, struct span key)
{
	map_put(m, key, (void *)((uintptr_t)map_get(m, key) + 1));
	return false;
}

static bool flow_key_del(struct map *m, struct span key)
{
	uintptr_t n = (uintptr_t)map_get(m, key);

	if (n <= 1)
		map_del(m, key);
	else
		map_put(m, key, (void *)(n - 1));
	return false;
}

static bool flow_key_has(struct map *m, struct span key)
{
	return map_get(m, key) != NULL;
}

void flow_pending_add(struct flow *f, const struct shop_event *e)
{
	flow_each_key(e, flow_key_add, &f->pending_keys);
}

void flow_pending_del(struct flow *f, const struct shop_event *e)
{
	flow_each_key(e, flow_key_del, &f->pending_keys);
}

void flow_identify(struct flow *f, struct shop_event *e)
{
	int64_t customer = 0, version = -1;

	if (e->identity[0].kind == IDENTITY_CUSTOMER) {
		if (span_to_i64(e->identity[0].value, &customer) && customer > 0) {
			flow_enqueue(f, e, customer, -1, false);
			return;
		}
		e->status = EVENT_QUARANTINED;
		e->reason = "the customer number is not a number";
		flow_place(f, e, FLOW_ASIDE);
		return;
	}
	if (f->pending_keys.n == 0 || !flow_each_key(e, flow_key_has, &f->pending_keys))
		customer = who_find(f->who, flow_base_of(e), &e->identity[0], &version);
	if (customer != 0) {
		flow_enqueue(f, e, customer, version, false);
		return;
	}
	flow_pending_add(f, e);
	flow_place(f, e, FLOW_UNKNOWN);
}

static int flow_ask_cmp(const void *x, const void *y)
{
	const struct store_identity *a = x, *b = y;
	int c = span_cmp(a->base, b->base);

	if (c == 0)
		c = (a->kind > b->kind) - (a->kind < b->kind);
	return c ? c : span_cmp(a->value, b->value);
}

/* Sorts what is asked and drops what stands there twice (make wins). */
static size_t flow_ask_sort(struct store_identity *v, size_t n)
{
	size_t kept = 0;

	qsort(v, n, sizeof *v, flow_ask_cmp);
	for (size_t i = 0; i < n; i++) {
		if (kept && flow_ask_cmp(&v[kept - 1], &v[i]) == 0)
			v[kept - 1].make |= v[i].make;
		else
			v[kept++] = v[i];
	}
	return kept;
}

static void flow_ask_put(
	struct flow_lane *l, const struct shop_event *e, const struct identity *id, bool make)
{
	l->ask[l->n_ask++] = (struct store_identity){
		.base = flow_base_of(e), .kind = id->kind, .value = id->value, .make = make
	};
}

static const struct store_identity *flow_ask_find(
	const struct flow_lane *l, const struct shop_event *e, const struct identity *id)
{
	struct store_identity key = {
		.base = flow_base_of(e), .kind = id->kind, .value = id->value
	};

	return bsearch(&key, l->ask, l->n_ask, sizeof *l->ask, flow_ask_cmp);
}

static void flow_on_asked(void *arg, enum store_end end, const struct err *err);

static void flow_ask_send(struct flow_lane *l, enum lane_step step)
{
	struct store *s = l->flow->store;

	l->n_ask = flow_ask_sort(l->ask, l->n_ask);
	lane_enter(l, step);
	s->ops->identify(s, l->number, l->ask, l->n_ask, &l->ask_arena, flow_on_asked, l);
}

void flow_ask(struct flow *f, struct flow_lane *l)
{
	struct shop_event *e;
	size_t most = 0;

	arena_reset(&l->ask_arena);
	while ((e = TAILQ_FIRST(&f->unknown)) != NULL && most + e->n_identity <= FLOW_ASK_MOST) {
		most += e->n_identity;
		flow_place(f, e, FLOW_ASKED);
		TAILQ_INSERT_TAIL(&l->asked, e, link);
	}
	l->ask = arena_array(&l->ask_arena, struct store_identity, most);
	l->n_ask = 0;
	TAILQ_FOREACH (e, &l->asked, link)
		for (unsigned i = 0; i < e->n_identity; i++)
			flow_ask_put(l, e, &e->identity[i], e->n_identity == 1);
	flow_ask_send(l, LANE_ASK);
}

/* The event's customer is known now. */
static void flow_found(struct flow_lane *l, struct shop_event *e, const struct store_identity *a)
{
	struct flow *f = l->flow;

	TAILQ_REMOVE(&l->asked, e, link);
	flow_place(f, e, FLOW_NOWHERE);
	flow_pending_del(f, e);
	flow_enqueue(f, e, a->customer, a->identity_version, false);
}

/* Everything that was asked goes back, in order, in front of what came later. */
static void flow_ask_undo(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct shop_event *e;

	while ((e = TAILQ_LAST(&l->asked, shop_event_list)) != NULL) {
		TAILQ_REMOVE(&l->asked, e, link);
		flow_place(f, e, FLOW_NOWHERE);
		e->place = FLOW_UNKNOWN;
		TAILQ_INSERT_HEAD(&f->unknown, e, link);
	}
}

static void flow_learn_all(struct flow_lane *l)
{
	for (size_t i = 0; i < l->n_ask; i++)
		if (l->ask[i].customer != 0)
			who_learn(l->flow->who, l->ask[i].base,
				&(struct identity){ l->ask[i].kind, l->ask[i].value },
				l->ask[i].customer, l->ask[i].identity_version);
}

/* Hands out the answers; what nobody knows is made in a second round. */
static void flow_on_asked(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;
	struct flow *f = l->flow;
	struct shop_event *e, *next;
	size_t left = 0;

	if (end != STORE_OK) {
		if (end == STORE_REFUSED)
			log_damped(LOG_LVL_ERROR, &l->lc, "could not identify customers: %s",
				err->text);
		f->ask_not_before_us = end == STORE_AGAIN ? 0 : flow_boot_us(f) + FLOW_ASK_RETRY_US;
		flow_ask_undo(l);
		lane_enter(l, LANE_IDLE);
		f->host.turn(f->host.arg);
		return;
	}
	f->ask_not_before_us = 0;
	flow_learn_all(l);
	for (e = TAILQ_FIRST(&l->asked); e != NULL; e = next) {
		const struct store_identity *a = NULL;

		next = TAILQ_NEXT(e, link);
		for (unsigned i = 0; i < e->n_identity; i++) {
			a = flow_ask_find(l, e, &e->identity[i]);
			if (a != NULL && a->customer != 0)
				break;
			a = NULL;
		}
		if (a != NULL)
			flow_found(l, e, a);
		else
			left++;
	}
	if (left > 0) {
		arena_reset(&l->ask_arena);
		l->ask = arena_array(&l->ask_arena, struct store_identity, left);
		l->n_ask = 0;
		TAILQ_FOREACH (e, &l->asked, link)
			flow_ask_put(l, e, &e->identity[0], true);
		flow_ask_send(l, LANE_MAKE);
		return;
	}
	lane_enter(l, LANE_IDLE);
	f->host.turn(f->host.arg);
}
