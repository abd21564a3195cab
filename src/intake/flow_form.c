/*
 * flow_form.c: what goes into a batch: customers in the order in which their first events came, each with as many of
 * his events as fit; events kept aside ride along; due work is picked by the store.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "intake/flow_int.h"

#include <stdlib.h>

enum {
	FORM_PATIENCE_US =
		50000, /* busy for longer: a batch of his own that may wait for the lock */
	/* so long after it was submitted an event holds up those behind it; where nobody waits for an answer (MQTT, import) */
	FORM_ORDER_US = 500000,
	FORM_ORDER_PATIENT_US = 10000000,
	FORM_SHARE_LEAST = 16,  /* events in all: fewer are not shared out */
	FORM_SHARE_ENOUGH = 50, /* a batch of so many is worth a commit of its own */
	FORM_SHARE_US = 5000,   /* so long a lane waits for its share */
	FORM_BESIDE = 10        /* looked at to find one beside him whose work was lost */
};

void lane_reset(struct flow_lane *l, enum batch_kind kind)
{
	struct arena arena = l->batch.arena;

	arena_reset(&arena);
	l->batch = (struct batch){
		.arena = arena, .kind = kind, .now_us = TIME_NONE, .next_due_us = TIME_NONE
	};
	l->patient = false;
	l->started_us = flow_boot_us(l->flow);
}

struct visit *lane_add_visit(struct flow_lane *l, struct flow_customer *c)
{
	struct batch *b = &l->batch;
	struct visit *v = arena_new(&b->arena, struct visit);

	v->customer = c->id;
	v->identity_version = c->version;
	v->flow = c;
	BATCH_PUSH(&b->arena, b->visits, b->n_visits, b->cap_visits) = v;
	c->lane = l;
	return v;
}

static void lane_add_type(struct batch *b, struct span type)
{
	for (size_t i = b->n_types; i-- > 0;)
		if (span_eq(b->types[i], type))
			return;
	BATCH_PUSH(&b->arena, b->types, b->n_types, b->cap_types) = type;
}

/* The type itself and every pattern that it matches: what a chain may await it by. */
static void lane_add_types(struct batch *b, struct span type)
{
	for (size_t i = b->n_types; i-- > 0;)
		if (span_eq(b->types[i], type))
			return;
	BATCH_PUSH(&b->arena, b->types, b->n_types, b->cap_types) = type;
	lane_add_type(b, SPAN("*"));
	for (size_t i = 0; i < type.n; i++)
		if (type.p[i] == '.')
			lane_add_type(b,
				(struct span){ arena_printf(&b->arena, "%.*s*", (int)i + 1, type.p),
					i + 2 });
}

/* Hashes of the keys in a batch; 0 is an empty slot. */
struct form_keys {
	uint32_t *slots;
	size_t mask;
};

static struct form_keys form_keys_new(struct arena *a, size_t most)
{
	size_t n = 16;

	while (n < most * 2)
		n *= 2;
	return (struct form_keys){ arena_array(a, uint32_t, n), n - 1 };
}

/* One key may stand in a batch only once: the second is judged as duplicate or conflict by the next one.  So it is with
 * one that only has the hash of another: it loses nothing by waiting. */
static bool form_key_is_new(struct form_keys *keys, const struct shop_event *e)
{
	uint32_t hash = span_hash(e->id) ^ span_hash(e->source) * 31 ^
			span_hash(span_of(e->shop->id)) * 127;
	size_t i;

	hash = hash ? hash : 1;
	for (i = hash & keys->mask; keys->slots[i] != 0; i = (i + 1) & keys->mask)
		if (keys->slots[i] == hash)
			return false;
	keys->slots[i] = hash;
	return true;
}

bool flow_may_wait_for(struct flow *f, const struct event_ticket *t)
{
	int64_t until_us = t->since_us + (f->lost_us - t->lost_us) +
			   (t->late != NULL ? FORM_ORDER_US : FORM_ORDER_PATIENT_US);

	if (f->turned_us >= until_us)
		return false;
	if (f->stay_until_us == 0 || until_us < f->stay_until_us)
		f->stay_until_us = until_us;
	return true;
}

/* It may be of the same customer, by a key that nobody here knows yet, or by a card that is to be joined.  Not for ever: that
 * one may wait for others in turn, or for a process that is frozen. */
bool flow_must_follow(struct flow *f, const struct shop_event *e)
{
	for (const struct event_ticket *t = e->ticket; t != NULL; t = t->before)
		if (t->first_unknown < t->n && t->events[t->first_unknown].arrival < e->arrival &&
			flow_may_wait_for(f, t))
			return true;
	return false;
}

/* Takes this customer's events, as many as fit. */
static size_t lane_take_customer(struct flow *f, struct flow_lane *l, struct flow_customer *c,
	size_t room, struct form_keys *keys)
{
	struct batch *b = &l->batch;
	struct visit *v = NULL;
	struct shop_event *e;
	size_t n = 0;

	if (c->single)
		room = 1;
	while (n < room && (e = TAILQ_FIRST(&c->events)) != NULL && !flow_must_follow(f, e) &&
		form_key_is_new(keys, e)) {
		if (v == NULL)
			v = lane_add_visit(l, c);
		flow_place(f, e, FLOW_IN_BATCH);
		BATCH_PUSH(&b->arena, v->events, v->n_events, v->cap_events) = e;
		lane_add_types(b, e->type);
		n++;
	}
	flow_customer_review(f, c);
	return n;
}

static int lane_visit_cmp(const void *x, const void *y)
{
	const struct visit *a = *(struct visit *const *)x, *b = *(struct visit *const *)y;

	return (a->customer > b->customer) - (a->customer < b->customer);
}

void lane_sort_visits(struct flow_lane *l)
{
	if (l->batch.n_visits > 1)
		qsort(l->batch.visits, l->batch.n_visits, sizeof *l->batch.visits, lane_visit_cmp);
}

/* Has another lane a batch of events?  The spare one does not count: it may wait for somebody's lock for long. */
static bool form_others_busy(const struct flow *f, const struct flow_lane *l)
{
	for (int i = 0; i < f->n_lanes - 1; i++) {
		const struct flow_lane *x = &f->lanes[i];

		if (x != l && x->batch.kind == BATCH_EVENTS && x->step >= LANE_LOAD &&
			x->step <= LANE_ABANDON)
			return true;
	}
	return false;
}

/*
 * How many events the lane may take; 0: it waits until so many are there.
 *
 * A crowd of clients that each wait for their answer would else come to be one batch: what arrives while it is under way
 * is the next, and engine and database work in turn, never at once.  So each lane takes its share of all that was under
 * way lately, and waits for it, unless no other lane is busy.
 */
static size_t form_share(struct flow *f, const struct flow_lane *l, int64_t boot_us)
{
	size_t all = f->n_at[FLOW_QUEUED] + f->n_at[FLOW_IN_BATCH];
	size_t lanes = (size_t)flow_n_workers(f);
	size_t share;

	if (f->crowd < all)
		f->crowd = all;
	share = (f->crowd + lanes - 1) / lanes;
	if (lanes == 1 || f->crowd < FORM_SHARE_LEAST)
		return f->limits.batch;
	if (share > f->limits.batch)
		share = f->limits.batch;
	if (f->n_at[FLOW_QUEUED] >= share || f->n_at[FLOW_QUEUED] >= FORM_SHARE_ENOUGH ||
		!form_others_busy(f, l))
		return share;
	if (f->share_until_us == 0)
		f->share_until_us = boot_us + FORM_SHARE_US;
	return boot_us >= f->share_until_us ? share : 0;
}

bool lane_form_events(struct flow *f, struct flow_lane *l)
{
	bool spare =
		f->n_lanes > 1 && l->number == f->n_lanes - 1; /* kept for those that must wait */
	int64_t boot_us = flow_boot_us(f);
	struct flow_customer *c, *next;
	struct shop_event *e;
	struct form_keys keys;
	bool alone = false;
	size_t n = 0, most;

	if (TAILQ_EMPTY(&f->ready))
		f->share_until_us = 0;
	if (TAILQ_EMPTY(&f->ready) && (spare || TAILQ_EMPTY(&f->aside)))
		return false;
	most = spare ? f->limits.batch : form_share(f, l, boot_us);
	if (most == 0)
		return false;
	if (!spare)
		f->share_until_us = 0;
	lane_reset(l, BATCH_EVENTS);
	keys = form_keys_new(&l->batch.arena, most);
	for (c = TAILQ_FIRST(&f->ready); c != NULL && n < most; c = next) {
		bool waits =
			c->busy_since_us != 0 && boot_us - c->busy_since_us >= FORM_PATIENCE_US;

		next = TAILQ_NEXT(c, link);
		if (c->not_before_us > boot_us || c->losses >= LANE_LOST_TWICE ||
			(f->n_lanes > 1 && waits != spare) || (c->alone && n > 0))
			continue;
		alone = c->alone || waits;
		n += lane_take_customer(f, l, c, most - n, &keys);
		l->patient = waits;
		if (alone && n > 0)
			break;
	}
	/* nothing beside one who is under suspicion: it would be blamed on him */
	while (!spare && !(alone && n > 0) && n < f->limits.batch &&
		(e = TAILQ_FIRST(&f->aside)) != NULL) {
		flow_place(f, e, FLOW_IN_BATCH);
		BATCH_PUSH(&l->batch.arena, l->batch.aside, l->batch.n_aside, l->batch.cap_aside) =
			e;
		n++;
		if (f->aside_alone)
			break;
	}
	f->aside_alone &= !TAILQ_EMPTY(&f->aside) || l->batch.n_aside > 0;
	if (n == 0)
		return false;
	if (!spare)
		f->crowd -= f->crowd / 8;
	lane_sort_visits(l);
	lane_enter(l, LANE_LOAD);
	return true;
}

/* Is it his turn to go while all others rest?  Not while his first event waits for one that has to be found. */
static bool form_is_suspect(struct flow *f, const struct flow_customer *c, int64_t boot_us)
{
	return c->losses >= LANE_LOST_TWICE && c->not_before_us <= boot_us &&
	       !flow_must_follow(f, TAILQ_FIRST(&c->events));
}

bool flow_has_suspect(struct flow *f, int64_t boot_us)
{
	const struct flow_customer *c;

	if (f->n_suspects > 0)
		TAILQ_FOREACH (c, &f->ready, link)
			if (form_is_suspect(f, c, boot_us))
				return true;
	return false;
}

void lane_form_solo(struct flow *f, struct flow_lane *l, int64_t boot_us)
{
	struct flow_customer *c, *next;
	struct form_keys keys;
	size_t n = 0;

	lane_reset(l, BATCH_EVENTS);
	keys = form_keys_new(&l->batch.arena, f->solo_most);
	for (c = TAILQ_FIRST(&f->ready); c != NULL && n < f->solo_most; c = next) {
		next = TAILQ_NEXT(c, link);
		if (form_is_suspect(f, c, boot_us))
			n += lane_take_customer(f, l, c, 1, &keys);
	}
	lane_sort_visits(l);
	f->solo = l;
	lane_enter(l, LANE_LOAD);
}

/* One thing from one list, but not what was lost the last time: others may stand behind it. */
static void lane_single_list(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct flow_suspicion *s = &f->suspicion[f->due_list];

	l->batch.leave |= ~(1u << f->due_list) & FLOW_LISTS;
	if (!s->skip)
		return;
	s->skip = false;
	l->batch.skip = s->thing.customer;
	l->batch.limit = FORM_BESIDE;
}

void lane_form_due(struct flow *f, struct flow_lane *l)
{
	lane_reset(l, BATCH_DUE);
	l->batch.limit = f->due_alone > 0 ? 1 : f->limits.due;
	if (f->stats.skewed) /* timers and deadlines pause; who writes by the API is waiting */
		l->batch.leave = FLOW_TIMERS;
	if (f->behind && f->catch_up_tokens < 1) /* ... and need not wait for chains to catch up */
		l->batch.leave |= 1u << DUE_CHAIN;
	else if (f->behind && f->catch_up_tokens < (double)l->batch.limit)
		l->batch.limit = (size_t)f->catch_up_tokens;
	f->poked = false;
	l->due_single = f->due_alone > 0;
	if (l->due_single)
		lane_single_list(l);
	l->batch.want_engines = l->started_us >= f->count_engines_us;
	f->due_lane = l;
	lane_enter(l, LANE_LOAD);
}
