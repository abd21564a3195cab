/*
 * flow_who.c: IDENTIFY.  An event whose identities all lead to one card in the cache goes straight into its customer's
 * queue.  The others wait in `unknown` and are asked for together, in a transaction of their own that is
 * committed before any card is locked.  Later events that share an identity with one that waits, wait behind it: so
 * the order of a customer's events is kept while he is being found.  For the same reason one lane asks at a time.
 *
 * LANE_ASK reads all identities of all events; for events of which nothing is known, LANE_MAKE makes a card for the
 * strongest.  The strongest known identity decides.  Browsers, orders and parcels that nobody has are given to its
 * card here and now, by LANE_MAKE too: two engines that see an order for the first time must agree whose it is
 * before either makes its row (whose card loses is joined, flow_join.c).  Strong identities that nobody has are
 * claimed by the batch of their event, under the customer's lock: when somebody else has one by then, the save
 * fails and the event is asked for again.
 *
 * Until that commit the cache calls the key promised: who names it for the same customer claims it again, who names
 * it for another one asks, and is held until it is known whose it is: the cards may have to be joined.
 *
 * A new order or parcel of a customer whom the cache knows is not asked for: nearly always nobody has it.  The event
 * goes straight into his queue with a claim of the same kind.  (A transaction of its own for each such key cost a
 * third of the engine's time for orders.)
 */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "intake/flow_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FLOW_ASK_MOST = 2000, FLOW_ASK_RETRY_US = 100000, FLOW_HOLD_US = 5000 };

unsigned flow_n_keys(const struct shop_event *e)
{
	return e->n_identity + (e->previous.value.n != 0);
}

const struct identity *flow_key(const struct shop_event *e, unsigned i)
{
	return i < e->n_identity ? &e->identity[i] : &e->previous;
}

/* The bytes by which the key is known, until the next call. */
static struct span flow_key_text(struct flow *f, const struct shop_event *e, unsigned i)
{
	buf_clear(&f->key_text);
	who_key(&f->key_text, flow_base_of(e), flow_key(e, i));
	return buf_as_span(&f->key_text);
}

/* Calls fn with each key of the event; stops when it says so. */
static bool flow_each_key(struct flow *f, const struct shop_event *e,
	bool (*fn)(struct map *, struct span), struct map *m)
{
	bool stop = false;

	for (unsigned i = 0; i < flow_n_keys(e) && !stop; i++)
		stop = fn(m, flow_key_text(f, e, i));
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

/* Is this key of the event promised, to whomever? */
static bool flow_key_is_promised(struct flow *f, const struct shop_event *e, unsigned i)
{
	return f->promised_keys.n > 0 && flow_key_has(&f->promised_keys, flow_key_text(f, e, i));
}

void flow_unask(struct flow *f, struct shop_event *e)
{
	flow_each_key(f, e, flow_key_del, &f->pending_keys);
	if (e->place == FLOW_HELD)
		flow_each_key(f, e, flow_key_del, &f->held_keys);
}

/* Browsers are no such keys: one that the cache does not know has often been here without a name. */
static bool flow_may_claim(enum identity_kind kind)
{
	return kind == IDENTITY_ORDER || kind == IDENTITY_PARCEL;
}

void flow_promise(
	struct flow *f, struct shop_event *e, unsigned claims, const struct who_card *card)
{
	struct who_card promised = *card;

	assert(e->claims == 0);
	e->claims = claims;
	promised.promised = true;
	for (unsigned i = 0; claims >> i != 0; i++) {
		if (!(claims & 1u << i))
			continue;
		flow_key_add(&f->promised_keys, flow_key_text(f, e, i));
		who_learn(f->who, flow_base_of(e), flow_key(e, i), &promised);
	}
}

void flow_unpromise(struct flow *f, struct shop_event *e)
{
	for (unsigned i = 0; e->claims >> i != 0; i++) {
		if (!(e->claims & 1u << i))
			continue;
		flow_key_del(&f->promised_keys, flow_key_text(f, e, i));
		if (!flow_key_is_promised(f, e, i) &&
			who_find(f->who, flow_base_of(e), flow_key(e, i)).promised)
			who_forget(f->who, flow_base_of(e), flow_key(e, i));
	}
	e->claims = 0;
}

enum { FLOW_JOINED_MOST = 100000 }; /* then all are forgotten: their loads find out again */

void flow_note_join(struct flow *f, int64_t gone, int64_t living)
{
	if (f->joined.n >= FLOW_JOINED_MOST)
		map_fini(&f->joined);
	map_put(&f->joined, MAP_KEY(gone), (void *)(intptr_t)living);
}

/* Whom the key leads to; a card that was joined stands for the one that took it over, of which no more is known. */
static struct who_card flow_known(
	const struct flow *f, const struct shop_event *e, const struct identity *id)
{
	struct who_card card = who_find(f->who, flow_base_of(e), id);
	void *living;

	while (card.customer != 0 && f->joined.n > 0 &&
		(living = map_get(&f->joined, MAP_KEY(card.customer))) != NULL)
		card = (struct who_card){
			.customer = (int64_t)(intptr_t)living, .version = -1, .weak = true
		};
	return card;
}

/* May the event go straight to the card that its first key leads to?  Not while another key leads to nobody (unless
 * it may be claimed), or to a card that is to be joined with it. */
static struct who_card flow_recall(struct flow *f, struct shop_event *e)
{
	static const struct who_card nobody = { .version = -1 };
	struct who_card card = flow_known(f, e, &e->identity[0]), other;
	unsigned claims = card.promised;

	for (unsigned i = 1; card.customer != 0 && i < flow_n_keys(e); i++) {
		const struct identity *id = flow_key(e, i);

		other = flow_known(f, e, id);
		if (other.customer == card.customer)
			claims |= (unsigned)other.promised << i;
		else if (id == &e->previous)
			return nobody;
		else if (other.customer == 0 && !card.weak && flow_may_claim(id->kind))
			claims |= 1u << i;
		else if (other.customer == 0 || other.weak || card.weak || other.promised)
			return nobody;
	}
	if (claims != 0 && card.version == -1)
		return nobody;
	if (claims != 0 && card.customer != 0)
		flow_promise(f, e, claims, &card);
	return card;
}

void flow_identify_anew(struct flow *f, struct shop_event *e)
{
	flow_each_key(f, e, flow_key_add, &f->pending_keys);
	flow_place(f, e, FLOW_UNKNOWN);
}

void flow_identify(struct flow *f, struct shop_event *e)
{
	struct who_card card = { .version = -1 };

	if (f->pending_keys.n == 0 || !flow_each_key(f, e, flow_key_has, &f->pending_keys))
		card = flow_recall(f, e);
	if (card.customer == 0 && e->identity[0].kind == IDENTITY_CUSTOMER &&
		!e->previous.value.n) {
		if (!span_to_i64(e->identity[0].value, &card.customer) || card.customer <= 0) {
			e->status = EVENT_QUARANTINED;
			e->reason = "the customer number is not a number";
			flow_place(f, e, FLOW_ASIDE);
			return;
		}
	}
	if (card.customer != 0)
		flow_enqueue(f, e, card.customer, card.version);
	else
		flow_identify_anew(f, e);
}

static int flow_ask_cmp(const void *x, const void *y)
{
	const struct store_identity *a = x, *b = y;
	int c = (a->kind > b->kind) - (a->kind < b->kind);

	if (c == 0)
		c = span_cmp(a->base, b->base);
	return c ? c : span_cmp(a->value, b->value);
}

/* Sorts what is asked and drops what stands there twice (make wins). */
static size_t flow_ask_sort(struct store_identity *v, size_t n)
{
	size_t kept = 0;

	qsort(v, n, sizeof *v, flow_ask_cmp);
	for (size_t i = 0; i < n; i++) {
		if (kept && flow_ask_cmp(&v[kept - 1], &v[i]) == 0) {
			v[kept - 1].make |= v[i].make;
			if (v[kept - 1].attach == 0) {
				v[kept - 1].attach = v[i].attach;
				v[kept - 1].identity_version = v[i].identity_version;
				v[kept - 1].weak = v[i].weak;
			}
		} else {
			v[kept++] = v[i];
		}
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

struct store_identity *flow_ask_find(
	const struct flow_lane *l, const struct shop_event *e, const struct identity *id)
{
	struct store_identity key = {
		.base = flow_base_of(e), .kind = id->kind, .value = id->value
	};

	return bsearch(&key, l->ask, l->n_ask, sizeof *l->ask, flow_ask_cmp);
}

/* ---- held events: a card that is to be joined was not to be had, or whose a key will be is not known yet ---- */

/* The asked event, and all that share an identity with it, wait. */
static void flow_hold(struct flow *f, struct shop_event *e)
{
	f->held_until_us = flow_boot_us(f) + FLOW_HOLD_US;
	flow_place(f, e, FLOW_HELD);
	flow_each_key(f, e, flow_key_add, &f->held_keys);
}

/* Does one of the list that came before the event share an identity with it? */
static bool flow_is_behind(
	struct flow *f, const struct shop_event_list *list, const struct shop_event *e)
{
	struct map keys = { 0 };
	const struct shop_event *x;
	bool behind = false;

	TAILQ_FOREACH (x, list, link) {
		if (x->arrival > e->arrival || behind)
			break;
		if (keys.n == 0)
			flow_each_key(f, e, flow_key_add, &keys);
		behind = flow_each_key(f, x, flow_key_has, &keys);
	}
	map_fini(&keys);
	return behind;
}

/* One that was judged to be another's goes before those that came after it. */
static bool flow_is_held(struct flow *f, const struct shop_event *e)
{
	return f->held_keys.n > 0 && flow_each_key(f, e, flow_key_has, &f->held_keys) &&
	       flow_is_behind(f, &f->held, e);
}

/* Held ones are asked for again, before those that came later. */
static void flow_release(struct flow *f)
{
	struct shop_event *e;

	while ((e = TAILQ_LAST(&f->held, shop_event_list)) != NULL) {
		flow_each_key(f, e, flow_key_del, &f->held_keys);
		flow_place(f, e, FLOW_UNKNOWN);
	}
}

/* ---- asking ---- */

static void flow_on_asked(void *arg, enum store_end end, const struct err *err);
static void flow_on_made(void *arg, enum store_end end, const struct err *err);

bool flow_ask(struct flow *f, struct flow_lane *l)
{
	struct shop_event *e;
	size_t most = 0;

	if (!TAILQ_EMPTY(&f->held) && flow_boot_us(f) >= f->held_until_us)
		flow_release(f);
	while ((e = TAILQ_FIRST(&f->unknown)) != NULL &&
		most + e->n_identity + 1 <= FLOW_ASK_MOST) {
		if (flow_is_held(f, e)) {
			flow_hold(f, e);
			continue;
		}
		most += e->n_identity + 1;
		flow_place(f, e, FLOW_ASKED);
		TAILQ_INSERT_TAIL(&l->asked, e, link);
	}
	if (most == 0)
		return false;
	arena_reset(&l->ask_arena);
	l->ask = arena_array(&l->ask_arena, struct store_identity, most);
	l->n_ask = 0;
	l->n_most = most;
	TAILQ_FOREACH (e, &l->asked, link) {
		for (unsigned i = 0; i < e->n_identity; i++)
			flow_ask_put(l, e, &e->identity[i], e->n_identity == 1);
		if (e->previous.value.n)
			flow_ask_put(l, e, &e->previous, false);
	}
	l->n_ask = flow_ask_sort(l->ask, l->n_ask);
	f->asking = true;
	lane_enter(l, LANE_ASK);
	f->store->ops->identify(
		f->store, l->number, l->ask, l->n_ask, &l->ask_arena, flow_on_asked, l);
	return true;
}

/* The lane is free, and another may ask. */
static void flow_ask_end(struct flow_lane *l)
{
	map_fini(&l->busy);
	map_fini(&l->unjoinable);
	l->busy = l->unjoinable = (struct map){ 0 };
	l->flow->asking = false;
	lane_enter(l, LANE_IDLE);
	l->flow->host.turn(l->flow->host.arg);
}

void flow_ask_fail(struct flow_lane *l, enum store_end end, const struct err *err)
{
	struct flow *f = l->flow;
	struct shop_event *e;

	if (end == STORE_REFUSED)
		log_damped(LOG_LVL_ERROR, &l->lc, "could not identify customers: %s", err->text);
	f->ask_not_before_us = end == STORE_AGAIN ? 0 : flow_boot_us(f) + FLOW_ASK_RETRY_US;
	while ((e = TAILQ_LAST(&l->asked, shop_event_list)) != NULL) {
		TAILQ_REMOVE(&l->asked, e, link);
		flow_place(f, e, FLOW_UNKNOWN);
	}
	flow_ask_end(l);
}

/* The strongest identity of the event that somebody has; NULL: none. */
static struct store_identity *flow_ask_first(const struct flow_lane *l, const struct shop_event *e)
{
	for (unsigned i = 0; i < e->n_identity; i++) {
		struct store_identity *a = flow_ask_find(l, e, &e->identity[i]);

		if (a != NULL && a->customer != 0)
			return a;
	}
	return NULL;
}

/* Has an event on its way promised one of the keys that nobody has to another card?  Then it is soon known whose it is. */
static bool flow_must_wait(
	const struct flow_lane *l, const struct shop_event *e, const struct store_identity *first)
{
	struct flow *f = l->flow;

	for (unsigned i = 0; i < flow_n_keys(e); i++) {
		const struct store_identity *a = flow_ask_find(l, e, flow_key(e, i));

		if (a != NULL && a->customer == 0 && flow_key_is_promised(f, e, i) &&
			(first == NULL ||
				who_find(f->who, flow_base_of(e), flow_key(e, i)).customer !=
					first->customer))
			return true;
	}
	return false;
}

/* A card for the strongest identity of an event of which nothing is known, or weak identities for its card. */
static void flow_make_for(struct flow_lane *l, const struct shop_event *e)
{
	const struct store_identity *first = flow_ask_first(l, e);

	if (flow_must_wait(l, e, first))
		return;

	for (unsigned i = 0; i < e->n_identity; i++) {
		struct store_identity *a = flow_ask_find(l, e, &e->identity[i]);
		bool weak = first != NULL && identity_kind_is_weak(a->kind);

		if (a->customer != 0 || a->kind == IDENTITY_CUSTOMER ||
			!(weak || (first == NULL && i == 0)))
			continue;
		l->make[l->n_make] = *a;
		l->make[l->n_make].make = l->make[l->n_make].missing = true;
		l->make[l->n_make].identity_version = weak ? first->identity_version : 0;
		l->make[l->n_make].weak = weak && first->weak;
		l->make[l->n_make++].attach = weak ? first->customer : 0;
	}
}

/* Makes what is missing; false: nothing is. */
static bool flow_make(struct flow_lane *l)
{
	struct store *s = l->flow->store;
	const struct shop_event *e;

	l->make = arena_array(&l->ask_arena, struct store_identity, l->n_most);
	l->n_make = 0;
	TAILQ_FOREACH (e, &l->asked, link)
		flow_make_for(l, e);
	if (l->n_make == 0)
		return false;
	l->n_make = flow_ask_sort(l->make, l->n_make);
	lane_enter(l, LANE_MAKE);
	s->ops->identify(s, l->number, l->make, l->n_make, &l->ask_arena, flow_on_made, l);
	return true;
}

static void flow_on_made(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;

	if (end != STORE_OK) {
		flow_ask_fail(l, end, err);
		return;
	}
	FAILPOINT("flow.made");
	for (size_t i = 0; i < l->n_make; i++) {
		struct store_identity *a =
			bsearch(&l->make[i], l->ask, l->n_ask, sizeof *l->ask, flow_ask_cmp);

		*a = l->make[i];
	}
	if (!flow_make(l)) /* for cards that were made just now */
		flow_join(l);
}

static void flow_on_asked(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;

	FAILPOINT("flow.asked");
	if (end != STORE_OK)
		flow_ask_fail(l, end, err);
	else if (!flow_make(l))
		flow_join(l);
}

/* ---- handing out ---- */

/* Another engine has joined the card that the cache knows, or was quicker with a key that is promised to it, and events
 * wait for that one: they come first.  Their batch finds so, and then they are asked for, too.  NULL: not so. */
static const struct flow_customer *flow_outdated(struct flow *f, const struct store_identity *a)
{
	struct who_card old = who_find(f->who, a->base, &(struct identity){ a->kind, a->value });

	if (old.customer == 0 || a->customer == 0 || old.customer == a->customer)
		return NULL;
	return map_get(&f->customers, MAP_KEY(old.customer));
}

/* Not for those that came later: they may wait for this one. */
static bool flow_comes_too_soon(const struct flow_lane *l, const struct shop_event *e)
{
	for (unsigned i = 0; i < e->n_identity; i++) {
		const struct store_identity *a = flow_ask_find(l, e, &e->identity[i]);
		const struct flow_customer *old = a != NULL ? flow_outdated(l->flow, a) : NULL;

		if (old != NULL &&
			(old->lane != NULL || TAILQ_FIRST(&old->events)->arrival < e->arrival))
			return true;
	}
	return false;
}

static void flow_learn_all(struct flow_lane *l)
{
	for (size_t i = 0; i < l->n_ask; i++) {
		const struct store_identity *a = &l->ask[i];

		if (a->customer != 0 && flow_outdated(l->flow, a) == NULL)
			who_learn(l->flow->who, a->base, &(struct identity){ a->kind, a->value },
				&(struct who_card){ .customer = a->customer,
					.version = a->identity_version,
					.weak = a->weak });
	}
}

/* Which of its keys nobody has: they become his to whom the event goes.  False: the cache knows who has got one
 * since it was asked for, or had it before: ask again. */
static bool flow_claim_open(
	const struct flow_lane *l, const struct shop_event *e, int64_t customer, unsigned *ret)
{
	struct who *who = l->flow->who;

	*ret = 0;
	for (unsigned i = 0; i < flow_n_keys(e); i++) {
		const struct identity *id = flow_key(e, i);
		const struct store_identity *a = flow_ask_find(l, e, id);
		struct who_card known;

		if (a == NULL || a->customer != 0 || id->kind == IDENTITY_CUSTOMER)
			continue;
		known = who_find(who, flow_base_of(e), id);
		if (known.customer != 0 && known.customer != customer) {
			who_forget(who, flow_base_of(e), id);
			return false;
		}
		*ret |= 1u << i;
	}
	return true;
}

static void flow_found(struct flow_lane *l, struct shop_event *e)
{
	const struct store_identity *a = flow_ask_first(l, e);
	struct flow *f = l->flow;
	unsigned claims = 0;

	/* one that had to wait when cards were made has none yet, though what it waited for is over by now */
	if (flow_must_wait(l, e, a) || (a == NULL && e->identity[0].kind != IDENTITY_CUSTOMER) ||
		(a != NULL && !flow_claim_open(l, e, a->customer, &claims))) {
		flow_hold(f, e);
		return;
	}
	flow_unask(f, e);
	if (a != NULL) {
		flow_promise(f, e, claims,
			&(struct who_card){ .customer = a->customer,
				.version = a->identity_version,
				.weak = a->weak });
		flow_enqueue(f, e, a->customer, a->identity_version);
		return;
	}
	e->status = EVENT_QUARANTINED;
	e->reason = "there is no such customer";
	flow_place(f, e, FLOW_ASIDE);
}

void flow_ask_done(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct shop_event *e;
	struct flow_pair pair;

	f->ask_not_before_us = 0;
	flow_learn_all(l);
	while ((e = TAILQ_FIRST(&l->asked)) != NULL) {
		TAILQ_REMOVE(&l->asked, e, link);
		if (e->status == EVENT_QUARANTINED) {
			flow_unask(f, e);
			flow_place(f, e, FLOW_ASIDE);
			continue;
		}
		if (flow_is_behind(f, &f->unknown, e)) { /* it came back from a card that is gone */
			flow_place(f, e, FLOW_UNKNOWN);
			continue;
		}
		flow_place(f, e, FLOW_NOWHERE);
		if (flow_is_held(f, e) || flow_comes_too_soon(l, e) ||
			flow_pair_of(l, e, true, &pair))
			flow_hold(f, e);
		else
			flow_found(l, e);
	}
	flow_ask_end(l);
}
