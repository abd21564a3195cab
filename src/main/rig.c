/*
 * rig.c: the memory store is the database, a counter the clock, "hand over everything that is due" the courier.
 *
 * The modes differ in how the same work is cut into batches and in what an engine may remember between them;
 * a rule must not be able to tell them apart.  So events go in together in every mode, and are handed over
 * messages only when all of one moment are judged: a courier is never quicker than a batch.
 */
#include "main/rig.h"

#include "base/clock.h"
#include "base/now.h"
#include "engine/judge.h"
#include "intake/admit.h"
#include "intake/flow.h"
#include "model/batch.h"
#include "store/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RIG_TURNS_MOST = 100000,
	RIG_LANES = 2,
	RIG_EVAL_US = 500000, /* more than in production: a tester's machine may be slow */
};
#define RIG_BEGIN_US (INT64_C(1772445600) * CLOCK_SECOND_US) /* Monday, 2026-03-02T10:00:00Z */

struct rig {
	const struct rig_env *env;
	struct arena arena;
	struct store *store;
	struct flow *flow;
	int64_t now_us;
	struct shop_event *waiting; /* posted, not submitted yet */
	size_t n_waiting, cap_waiting;
	unsigned next_event;
	bool turn_wanted, has_committed;
};

static const struct shop_calendar rig_calendar = {
	.name = "office",
	.days = { [0 ... 4] = { .spans = { { 9 * 60, 18 * 60 } }, .nspans = 1 } },
};
const struct shop rig_shop = {
	.id = "shop",
	.base = "shop",
	.zone = "UTC",
	.lang = "en",
	.currency = "EUR",
	.country = "DE",
	.from = "Shop <shop@example.com>",
	.reply_to = "",
	.consent_transactional = true,
	.calendar = &rig_calendar,
};

const char *rig_mode_name(enum rig_mode m)
{
	switch (m) {
	case RIG_STRAIGHT: return "straight";
	case RIG_REPLACED: return "replaced";
	case RIG_SINGLE: return "single";
	}
	return "?";
}

/*** the process ***/

/* Limits of time are for real: an endless loop ends the test, not the tester's patience. */
static int64_t rig_ticks(void *arg)
{
	(void)arg;
	return clock_mono_us();
}

static int64_t rig_clock(void *arg)
{
	return ((struct rig *)arg)->now_us;
}

static void rig_turn(void *arg)
{
	((struct rig *)arg)->turn_wanted = true;
}

static void rig_poke(void *arg, unsigned channels)
{
	(void)arg;
	(void)channels; /* messages are handed over when they are due, below */
}

static void rig_committed(void *arg, const struct batch *b, int64_t took_us)
{
	(void)b;
	(void)took_us;
	((struct rig *)arg)->has_committed = true;
}

/* A process begins: the engine knows nothing but the store. */
static void rig_flow_open(struct rig *r)
{
	struct judge_env judge = {
		.shops = r->env->n_shops ? r->env->shops : &rig_shop,
		.n_shops = r->env->n_shops ? r->env->n_shops : 1,
		.staff = r->env->staff,
		.is_test = true,
		.ticks_us = rig_ticks,
	};
	struct flow_host host = { .boot_us = rig_clock,
		.wall_us = rig_clock,
		.poke = rig_poke,
		.turn = rig_turn,
		.committed = rig_committed,
		.arg = r };
	struct flow_limits limits;

	judge_limits_default(&judge.limits);
	judge.limits.eval_us = RIG_EVAL_US;
	judge.limits.batch_us = INT64_MAX; /* how batches are cut must not depend on the machine */
	flow_limits_default(&limits);
	if (r->env->mode == RIG_SINGLE)
		limits.batch = limits.due = 1;
	r->flow = flow_open(r->store, &judge, &limits, &host);
}

/* After a batch another process takes over, where one would.  A process that begins looks for due work at once; the one that
 * stays does so too, or what is due at this moment would be judged in another order. */
static void rig_replace(struct rig *r)
{
	if (!r->has_committed || !flow_is_idle(r->flow))
		return;
	r->has_committed = false;
	if (r->env->mode != RIG_REPLACED) {
		flow_poke(r->flow);
		return;
	}
	flow_close(r->flow);
	rig_flow_open(r);
	r->turn_wanted = true;
}

/* Lets the flow work until nothing moves any more at this moment. */
static void rig_pump(struct rig *r)
{
	for (int i = 0; i < RIG_TURNS_MOST; i++) {
		bool answered;

		r->turn_wanted = false;
		flow_turn(r->flow);
		answered = mem_turn(r->store);
		rig_replace(r);
		if (!answered && !r->turn_wanted)
			return;
	}
	fprintf(stderr, "the flow does not come to rest\n");
	abort();
}

/* Judges everything that is due at this moment, hand-overs and what follows from them included. */
static void rig_settle(struct rig *r)
{
	int64_t next_us;

	do {
		mem_hand_over(r->store);
		flow_poke(r->flow);
		rig_pump(r);
		next_us = mem_next_due_us(r->store);
	} while (next_us != TIME_NONE && next_us <= r->now_us);
}

static void rig_set_written(void *arg, enum store_end end, const struct err *err)
{
	(void)arg;
	(void)end; /* the memory store takes every set */
	(void)err;
}

static void rig_set_write(struct rig *r, const struct rule_set *set)
{
	struct rule_set own = *set;

	r->store->ops->set_write(
		r->store, 0, &own, SPAN("test"), SPAN("test"), rig_set_written, NULL);
	rig_pump(r);
}

struct rig *rig_open(const struct rig_env *env, const struct rule_set *set)
{
	struct rig *r = xcalloc(1, sizeof *r);

	r->env = env;
	r->now_us = RIG_BEGIN_US;
	r->next_event = 1;
	r->store = mem_open(RIG_LANES, r->now_us);
	rig_flow_open(r);
	rig_set_write(r, set);
	return r;
}

void rig_reload(struct rig *r, const struct rule_set *set)
{
	rig_flush(r);
	rig_set_write(r, set);
}

void rig_close(struct rig *r)
{
	flow_close(r->flow);
	r->store->ops->close(r->store);
	arena_fini(&r->arena);
	free(r);
}

struct arena *rig_arena(struct rig *r)
{
	return &r->arena;
}

int64_t rig_now_us(const struct rig *r)
{
	return r->now_us;
}

const struct mem_tables *rig_tables(const struct rig *r)
{
	return mem_tables(r->store);
}

const struct shop *rig_find_shop(const struct rig *r, const char *id)
{
	const struct shop *shops = r->env->n_shops ? r->env->shops : &rig_shop;
	size_t n = r->env->n_shops ? r->env->n_shops : 1;

	for (size_t i = 0; i < n; i++)
		if (id == NULL || strcmp(shops[i].id, id) == 0)
			return &shops[i];
	return NULL;
}

/*** events ***/

static void rig_ticket_done(struct event_ticket *ticket)
{
	(void)ticket; /* its memory is the rig's */
}

/* Hands events to the flow and lets it judge them. */
static void rig_submit(struct rig *r, struct shop_event *events, size_t n)
{
	struct event_ticket *ticket = arena_new(&r->arena, struct event_ticket);

	ticket->events = events;
	ticket->n = n;
	ticket->done = rig_ticket_done;
	flow_submit(r->flow, ticket);
	rig_pump(r);
}

void rig_flush(struct rig *r)
{
	struct shop_event *events = r->waiting;
	size_t n = r->n_waiting;

	r->waiting = NULL;
	r->n_waiting = r->cap_waiting = 0;
	if (n == 0)
		return;
	if (r->env->mode == RIG_STRAIGHT)
		rig_submit(r, events, n);
	else
		for (size_t i = 0; i < n; i++)
			rig_submit(r, &events[i], 1);
	rig_settle(r);
}

bool rig_post(struct rig *r, const struct rig_event *e, struct err *err)
{
	char *time = arena_alloc(&r->arena, 32);
	int64_t time_us = e->time_us == TIME_NONE ? r->now_us : e->time_us;
	struct admit_envelope envelope = {
		.shop = e->shop ? e->shop : rig_find_shop(r, NULL),
		.id = span_of(e->id ? e->id : arena_printf(&r->arena, "e%u", r->next_event++)),
		.source = SPAN("test"),
		.type = span_of(e->type),
		.time = span_of(clock_format_rfc3339(time_us, time)),
		.data = e->data,
	};
	struct shop_event event = { 0 }, *one;

	if (!admit_event(&event, &envelope, ADMIT_INTERNAL, r->now_us, &r->arena))
		return err_set(err, "event \"%s\" is refused: %s", e->type, event.reason);
	event.import = e->import;
	if (e->import) {
		rig_flush(r);
		one = arena_new(&r->arena, struct shop_event);
		*one = event;
		rig_submit(r, one, 1);
		rig_settle(r);
		return true;
	}
	BATCH_PUSH(&r->arena, r->waiting, r->n_waiting, r->cap_waiting) = event;
	return true;
}

void rig_inbox(struct rig *r, int64_t customer, const struct shop *shop, const char *type,
	struct span data)
{
	rig_flush(r);
	mem_inbox(r->store, customer, shop, type, data, r->now_us);
	rig_settle(r);
}

/*** time ***/

void rig_advance(struct rig *r, int64_t to_us)
{
	rig_flush(r);
	for (;;) {
		int64_t next_us = mem_next_due_us(r->store);

		if (next_us == TIME_NONE || next_us > to_us)
			r->now_us = to_us;
		else if (next_us > r->now_us)
			r->now_us = next_us;
		mem_set_now(r->store, r->now_us);
		rig_settle(r);
		if (r->now_us >= to_us)
			return;
	}
}

void rig_outage(struct rig *r, int64_t to_us)
{
	rig_flush(r);
	r->now_us = to_us;
	mem_set_now(r->store, to_us);
	rig_settle(r);
}
