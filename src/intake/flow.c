/*
 * flow.c: tickets, queues and the turn.
 *
 * Everything waits in a list of its own kind: events whose customer is unknown, a queue per customer, events kept
 * aside.  flow_turn looks at the lanes that are idle and gives each the most urgent work there is; what came in
 * while all lanes were busy makes the next batch, so batches grow with the load.  Nothing waits for company while the
 * lanes are idle; while some are busy, the others wait for their share (flow_form.c).
 * Failures put events back where they came from (at the head of the customer's queue): the keys in the database
 * decide what had been committed, so a batch needs no identity of its own over a retry.
 *
 * Not done: sharding customers over lanes (batches shrink), waiting locks (one frozen process would stop
 * everybody), a queue in front of the flow (the doors stop reading instead).
 */
#include "intake/flow.h"

#include "base/clock.h"
#include "base/mem.h"
#include "intake/flow_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FLOW_PACE_US = 200000,      /* looked at so often */
	FLOW_PACE_OLD_US = 1000000, /* says nothing any more */
	FLOW_STALL_US = 50000, /* a turn that comes so much too late: the process stood still */
	FLOW_LOOK_US =
		50000,  /* while anything is on its way there is a turn so often: to notice that */
	FLOW_AHEAD = 4, /* events whose keys are fetched ahead */
	FLOW_ROOM_LEAST = 500 /* events, however slow it goes: a request may have as many */
};

void flow_limits_default(struct flow_limits *ret)
{
	*ret = (struct flow_limits){ .batch = 200,
		.queue_events = 5000,
		.queue_bytes = 32 << 20,
		.due = 200,
		.catch_up = 2000,
		.late_us = 2000000,
		.poll_us = 500000,
		.identities = 3000000,
		.skew_us = 2000000 };
}

int flow_n_workers(const struct flow *f)
{
	return f->n_lanes > 1 ? f->n_lanes - 1 : 1;
}

int64_t flow_boot_us(const struct flow *f)
{
	return f->host.boot_us(f->host.arg);
}

struct span flow_base_of(const struct shop_event *e)
{
	return span_of(e->shop->base);
}

struct flow *flow_open(struct store *store, const struct judge_env *env,
	const struct flow_limits *limits, const struct flow_host *host)
{
	struct flow *f = xcalloc(1, sizeof *f);

	assert(store->n_lanes >= 1 && store->n_lanes <= FLOW_LANES_MOST);
	f->store = store;
	f->env = *env;
	f->limits = *limits;
	f->host = *host;
	f->lc = (struct log_ctx){ .room = "flow" };
	f->want_set = true;
	f->who = who_new(limits->identities);
	TAILQ_INIT(&f->unknown);
	TAILQ_INIT(&f->held);
	TAILQ_INIT(&f->aside);
	TAILQ_INIT(&f->ready);
	TAILQ_INIT(&f->tickets);
	f->n_lanes = store->n_lanes;
	for (int i = 0; i < f->n_lanes; i++) {
		struct flow_lane *l = &f->lanes[i];

		l->flow = f;
		l->number = i;
		l->lc = f->lc;
		snprintf(l->lc.id, sizeof l->lc.id, "%d", i);
		TAILQ_INIT(&l->asked);
	}
	f->solo_most = 1;
	f->turned_us = f->turn_by_us = f->counted_us = flow_boot_us(f);
	f->due_us = flow_boot_us(f);
	f->catch_up_at_us = f->due_us;
	f->count_engines_us = f->due_us;
	f->engines = 1;
	f->catch_up_tokens = limits->catch_up;
	snprintf(f->why_not_ready, sizeof f->why_not_ready, "no rule set has been read yet");
	return f;
}

/* ---- places ---- */

/* The list an event stands in at that place, or NULL. */
static struct shop_event_list *flow_list(
	struct flow *f, struct shop_event *e, enum flow_place place)
{
	switch (place) {
	case FLOW_UNKNOWN: return &f->unknown;
	case FLOW_HELD: return &f->held;
	case FLOW_QUEUED: return &e->queue->events;
	case FLOW_ASIDE: return &f->aside;
	case FLOW_ASKED:
	case FLOW_NOWHERE:
	case FLOW_IN_BATCH:
	case FLOW_PLACES: return NULL;
	}
	return NULL;
}

/* Behind those that came before it: one that comes back goes before all that came meanwhile. */
static void flow_insert(struct shop_event_list *list, struct shop_event *e)
{
	struct shop_event *x = TAILQ_LAST(list, shop_event_list);

	if (x == NULL || x->arrival < e->arrival) {
		TAILQ_INSERT_TAIL(list, e, link);
		return;
	}
	TAILQ_FOREACH (x, list, link)
		if (x->arrival > e->arrival)
			break;
	TAILQ_INSERT_BEFORE(x, e, link);
}

/* Is its customer still to be found, or joined with another? */
static bool flow_is_unknown(enum flow_place place)
{
	return place == FLOW_UNKNOWN || place == FLOW_ASKED || place == FLOW_HELD;
}

/* After the event has moved. */
static void flow_move_first_unknown(const struct shop_event *e)
{
	struct event_ticket *t = e->ticket;
	size_t i = (size_t)(e - t->events);

	if (flow_is_unknown((enum flow_place)e->place) && i < t->first_unknown)
		t->first_unknown = i;
	while (t->first_unknown < t->n &&
		!flow_is_unknown((enum flow_place)t->events[t->first_unknown].place))
		t->first_unknown++;
}

void flow_place(struct flow *f, struct shop_event *e, enum flow_place to)
{
	struct shop_event_list *from = flow_list(f, e, (enum flow_place)e->place);

	if (from != NULL)
		TAILQ_REMOVE(from, e, link);
	if (e->place == FLOW_QUEUED)
		e->queue->n_events--;
	if (to == FLOW_ASIDE)
		e->queue = NULL;
	f->n_at[e->place]--;
	e->place = (int)to;
	f->n_at[to]++;
	if (to == FLOW_QUEUED)
		e->queue->n_events++;
	if (to == FLOW_UNKNOWN || to == FLOW_HELD || to == FLOW_QUEUED)
		flow_insert(flow_list(f, e, to), e);
	else if ((from = flow_list(f, e, to)) != NULL)
		TAILQ_INSERT_TAIL(from, e, link);
	flow_move_first_unknown(e);
}

struct flow_customer *flow_customer_get(struct flow *f, int64_t id, int64_t version)
{
	struct flow_customer *c = map_get(&f->customers, MAP_KEY(id));

	if (c == NULL) {
		c = xcalloc(1, sizeof *c);
		c->id = id;
		c->version = -1;
		TAILQ_INIT(&c->events);
		map_put(&f->customers, MAP_KEY(id), c);
	}
	if (version > c->version)
		c->version = version;
	return c;
}

void flow_suspect(struct flow *f, struct flow_customer *c)
{
	f->n_suspects += ++c->losses == LANE_LOST_TWICE;
}

void flow_forgive(struct flow *f, struct flow_customer *c)
{
	f->n_suspects -= c->losses >= LANE_LOST_TWICE;
	c->losses = c->lost = 0;
}

/* Of one whose last event has just been dropped: after all others. */
static uint64_t flow_first_arrival(const struct flow_customer *c)
{
	const struct shop_event *e = TAILQ_FIRST(&c->events);

	return e != NULL ? e->arrival : UINT64_MAX;
}

/* In the order of their first events: who comes from a batch and had more to do than fitted is the first again, not
 * the last.  Mostly it is the end at once; who is busy elsewhere stands in nobody's way. */
static void flow_list_ready(struct flow *f, struct flow_customer *c)
{
	struct flow_customer *x = TAILQ_FIRST(&f->ready);

	if (x == NULL || c->busy_since_us != 0) {
		TAILQ_INSERT_TAIL(&f->ready, c, link);
		return;
	}
	if (flow_first_arrival(c) < flow_first_arrival(x)) {
		TAILQ_INSERT_HEAD(&f->ready, c, link);
		return;
	}
	x = TAILQ_LAST(&f->ready, flow_customer_list);
	while (flow_first_arrival(c) < flow_first_arrival(x))
		x = TAILQ_PREV(x, flow_customer_list, link);
	TAILQ_INSERT_AFTER(&f->ready, x, c, link);
}

void flow_customer_review(struct flow *f, struct flow_customer *c)
{
	bool wanted = c->n_events > 0 && c->lane == NULL;

	if (wanted && !c->listed) {
		flow_list_ready(f, c);
	} else if (!wanted && c->listed) {
		TAILQ_REMOVE(&f->ready, c, link);
	}
	c->listed = wanted;
	if (!wanted && c->lane == NULL) {
		flow_forgive(f, c);
		map_del(&f->customers, MAP_KEY(c->id));
		free(c);
	}
}

void flow_enqueue(struct flow *f, struct shop_event *e, int64_t customer, int64_t version)
{
	struct flow_customer *c = flow_customer_get(f, customer, version);

	e->customer = customer;
	if (e->place != FLOW_NOWHERE && e->place != FLOW_IN_BATCH)
		flow_place(f, e, FLOW_NOWHERE);
	e->queue = c;
	flow_place(f, e, FLOW_QUEUED);
	flow_customer_review(f, c);
}

void flow_pause(struct flow *f, struct flow_customer *c, int64_t until_us)
{
	c->not_before_us = until_us;
	if (f->pause_us == 0 || until_us < f->pause_us)
		f->pause_us = until_us;
}

/* A pause has ended: finds the next one. */
static void flow_end_pause(struct flow *f, int64_t boot_us)
{
	struct flow_customer *c;

	f->pause_us = 0;
	TAILQ_FOREACH (c, &f->ready, link)
		if (c->not_before_us > boot_us)
			flow_pause(f, c, c->not_before_us);
}

/* ---- tickets ---- */

/* Counts the settled event into the metrics. */
static void flow_count(struct flow *f, const struct shop_event *e)
{
	switch (e->status) {
	case EVENT_ACCEPTED: f->stats.events++; break;
	case EVENT_DUPLICATE: f->stats.duplicates++; break;
	case EVENT_CONFLICT: f->stats.conflicts++; break;
	case EVENT_QUARANTINED: f->stats.quarantined++; break;
	case EVENT_NEW: break;
	}
}

/* How many are settled a second.  A time in which less than a batch was queued does not tell what could be done. */
void flow_pace(struct flow *f)
{
	int64_t boot_us = flow_boot_us(f), gone_us = boot_us - f->pace_at_us;
	double pace;

	if (gone_us < FLOW_PACE_US)
		return;
	pace = (double)f->pace_n * 1e6 / (double)gone_us;
	if (f->pace_low < f->limits.batch)
		f->pace = 0;
	else
		f->pace = f->pace > 0 ? (f->pace * 3 + pace) / 4 : pace;
	f->pace_at_us = boot_us;
	f->pace_n = 0;
	f->pace_low = f->queued;
}

/* `lines` has the last ticket of each line, which knows the one before it. */
static void flow_join_line(struct flow *f, struct event_ticket *t)
{
	t->before = t->line != 0 ? map_put(&f->lines, MAP_KEY(t->line), t) : NULL;
}

static void flow_leave_line(struct flow *f, struct event_ticket *t)
{
	struct event_ticket *x;

	if (t->line == 0)
		return;
	x = map_get(&f->lines, MAP_KEY(t->line));
	if (x == t && t->before == NULL) {
		map_del(&f->lines, MAP_KEY(t->line));
	} else if (x == t) {
		map_put(&f->lines, MAP_KEY(t->line), t->before);
	} else {
		while (x->before != t)
			x = x->before;
		x->before = t->before;
	}
}

void flow_settle(struct flow *f, struct shop_event *e)
{
	struct event_ticket *t = e->ticket;

	flow_place(f, e, FLOW_NOWHERE);
	flow_count(f, e);
	flow_unpromise(f, e);
	if (e->status != EVENT_NEW) /* what is dropped as late was not served */
		f->pace_n++;
	if (f->queued < f->pace_low)
		f->pace_low = f->queued;
	f->queued--;
	f->queued_bytes -= e->data.n;
	assert(t->pending > 0);
	if (--t->pending > 0)
		return;
	TAILQ_REMOVE(&f->tickets, t, link);
	flow_leave_line(f, t);
	t->done(t);
}

/* Most questions for a key are a cache miss of the processor: those of an event to come are begun. */
static void flow_expect(struct flow *f, const struct event_ticket *t, size_t i)
{
	if (i >= t->n || t->events[i].status == EVENT_QUARANTINED)
		return;
	for (unsigned k = 0; k < t->events[i].n_identity; k++)
		who_expect(f->who, flow_base_of(&t->events[i]), &t->events[i].identity[k]);
}

/* Since it was counted last. */
static void flow_count_lost(struct flow *f, int64_t boot_us)
{
	int64_t late_us = boot_us - f->turn_by_us - f->judged_us;

	if (!f->was_able) {
		f->lost_us += boot_us - f->counted_us;
	} else if (late_us > FLOW_STALL_US) {
		f->lost_us += late_us;
		f->turn_by_us = boot_us;
	}
	f->counted_us = boot_us;
}

void flow_submit(struct flow *f, struct event_ticket *t)
{
	for (size_t i = 0; t->n > 1 && i < FLOW_AHEAD; i++)
		flow_expect(f, t, i);
	t->pending = t->n;
	t->since_us = flow_boot_us(f);
	flow_count_lost(f, t->since_us);
	if (t->since_us < f->turn_by_us)
		f->turn_by_us = t->since_us;
	t->lost_us = f->lost_us;
	t->is_late = false;
	t->first_unknown = t->n;
	flow_join_line(f, t);
	TAILQ_INSERT_TAIL(&f->tickets, t, link);
	f->queued += t->n;
	for (size_t i = 0; i < t->n; i++) {
		struct shop_event *e = &t->events[i];

		flow_expect(f, t, i + FLOW_AHEAD);
		e->ticket = t;
		e->arrival = ++f->arrivals;
		e->place = FLOW_NOWHERE;
		f->queued_bytes += e->data.n;
		if (e->status == EVENT_QUARANTINED)
			flow_place(f, e, FLOW_ASIDE);
		else
			flow_identify(f, e);
	}
	f->host.turn(f->host.arg);
}

/* Takes back what has not begun; what is in a batch is answered later, to nobody. */
static void flow_drop_late(struct flow *f, struct event_ticket *t)
{
	size_t n = t->n;

	t->is_late = true;
	t->late(t);
	for (size_t i = 0; i < n; i++) {
		struct shop_event *e = &t->events[i];
		struct flow_customer *c = e->queue;
		bool last = t->pending == 1;

		if (e->place == FLOW_UNKNOWN || e->place == FLOW_HELD)
			flow_unask(f, e);
		else if (e->place != FLOW_QUEUED && e->place != FLOW_ASIDE)
			continue;
		bool queued = e->place == FLOW_QUEUED;

		e->status = EVENT_NEW;
		flow_settle(f, e);
		if (queued)
			flow_customer_review(f, c);
		if (last)
			return; /* the ticket is gone */
	}
}

static void flow_find_late(struct flow *f, int64_t boot_us)
{
	struct event_ticket *t, *next;

	for (t = TAILQ_FIRST(&f->tickets); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (boot_us - t->since_us < f->limits.late_us)
			return;
		if (t->late != NULL && !t->is_late)
			flow_drop_late(f, t);
	}
}

/* ---- the turn ---- */

/* Does the rate of catching up and the clock allow another look for due work? */
static bool flow_due_wanted(struct flow *f, int64_t boot_us)
{
	double gone = (double)(boot_us - f->catch_up_at_us) / 1e6;

	if (f->limits.due == 0 || f->due_lane != NULL || f->draining || boot_us < f->due_us)
		return false;
	f->catch_up_at_us = boot_us;
	f->catch_up_tokens += gone * flow_catch_up(f);
	flow_cap_catch_up(f);
	if (f->behind && f->catch_up_tokens < 1 && !f->poked) {
		f->due_us = boot_us + 10000;
		return false;
	}
	return true;
}

/* Has no lane but this one anything to do? */
static bool flow_others_rest(const struct flow *f, const struct flow_lane *l)
{
	for (int i = 0; i < f->n_lanes; i++)
		if (&f->lanes[i] != l && f->lanes[i].step != LANE_IDLE)
			return false;
	return true;
}

/* Gives an idle lane the most urgent work; false: there is none. */
static bool flow_give(struct flow *f, struct flow_lane *l, int64_t boot_us)
{
	bool due;

	if (f->judge == NULL || f->want_set) {
		for (int i = 0; i < f->n_lanes; i++)
			if (f->lanes[i].step == LANE_SET)
				return false;
		if (boot_us < f->set_not_before_us)
			return false;
		lane_read_set(f, l);
		return true;
	}
	if (f->want_switches) {
		for (int i = 0; i < f->n_lanes; i++)
			if (f->lanes[i].step == LANE_SWITCHES)
				return false;
		if (boot_us < f->set_not_before_us)
			return false;
		lane_read_switches(f, l);
		return true;
	}
	if (f->solo != NULL)
		return false;
	if (flow_has_suspect(f, boot_us)) {
		if (!flow_others_rest(f, l))
			return false;
		lane_form_solo(f, l, boot_us);
		return true;
	}
	if (!f->asking && boot_us >= f->ask_not_before_us && flow_ask(f, l))
		return true;
	if (f->aside_now.id != 0 && f->due_lane == NULL && boot_us >= f->due_us) {
		lane_set_due_aside(l);
		return true;
	}
	due = flow_due_wanted(f, boot_us);
	if (due && (f->due_turn || (TAILQ_EMPTY(&f->ready) && TAILQ_EMPTY(&f->aside)))) {
		f->due_turn = false;
		lane_form_due(f, l);
		return true;
	}
	if (lane_form_events(f, l)) {
		f->due_turn = true;
		return true;
	}
	if (due) {
		lane_form_due(f, l);
		return true;
	}
	return false;
}

void flow_turn(struct flow *f)
{
	int64_t boot_us = flow_boot_us(f);

	flow_find_late(f, boot_us);
	flow_count_lost(f, boot_us);
	f->was_able = f->judge != NULL && !f->want_set && !f->want_switches &&
		      f->store->ops->is_up(f->store);
	f->turned_us = boot_us;
	f->judged_us = 0;
	f->stay_until_us = 0;
	if (f->pause_us != 0 && boot_us >= f->pause_us)
		flow_end_pause(f, boot_us);
	for (int i = 0; i < f->n_lanes; i++) {
		struct flow_lane *l = &f->lanes[i];

		if (l->step == LANE_IDLE && f->store->ops->usable(f->store, i))
			flow_give(f, l, boot_us);
	}
	f->turn_by_us = flow_next_us(f);
}

void flow_poke(struct flow *f)
{
	f->due_us = flow_boot_us(f);
	f->poked = true;
	f->host.turn(f->host.arg);
}

/* Could one of the first n lanes be given something now? */
static bool flow_has_lane(const struct flow *f, int n)
{
	for (int i = 0; i < n; i++)
		if (f->lanes[i].step == LANE_IDLE && f->store->ops->usable(f->store, i))
			return true;
	return false;
}

/* When the next ticket is late; INT64_MAX: none of those there can be. */
static int64_t flow_next_late_us(const struct flow *f)
{
	const struct event_ticket *t;

	TAILQ_FOREACH (t, &f->tickets, link)
		if (t->late != NULL && !t->is_late)
			return t->since_us + f->limits.late_us;
	return INT64_MAX;
}

/* When there will be something to give to a lane that is idle. */
static int64_t flow_next_work_us(const struct flow *f)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < f->n_lanes; i++)
		if (f->lanes[i].step == LANE_SET || f->lanes[i].step == LANE_SWITCHES)
			return next; /* all wait for it */
	if (f->judge == NULL || f->want_set || f->want_switches)
		return f->set_not_before_us;
	if (f->solo != NULL)
		return next; /* the others begin when it is over */
	if (f->limits.due > 0 && f->due_lane == NULL && !f->draining)
		next = f->due_us;
	if (f->pause_us != 0 && f->pause_us < next)
		next = f->pause_us;
	if (f->share_until_us != 0 && f->share_until_us < next &&
		flow_has_lane(f, flow_n_workers(f)))
		next = f->share_until_us;
	if (f->stay_until_us != 0 && f->stay_until_us < next)
		next = f->stay_until_us;
	if (!f->asking && !TAILQ_EMPTY(&f->unknown) && f->ask_not_before_us < next)
		next = f->ask_not_before_us;
	if (!f->asking && !TAILQ_EMPTY(&f->held) && f->held_until_us < next)
		next = f->held_until_us;
	return next;
}

int64_t flow_next_us(const struct flow *f)
{
	int64_t boot_us = flow_boot_us(f), next = boot_us + f->limits.poll_us, at_us;

	if ((at_us = flow_next_late_us(f)) < next)
		next = at_us;
	/* without a lane nothing can be given: the answer it waits for, or its connection, brings a turn */
	if (flow_has_lane(f, f->n_lanes) && (at_us = flow_next_work_us(f)) < next)
		next = at_us;
	if (f->was_able && !TAILQ_EMPTY(&f->tickets) && boot_us + FLOW_LOOK_US < next)
		next = boot_us + FLOW_LOOK_US;
	return next < boot_us + 1000 ? boot_us + 1000 : next;
}

void flow_reconfigure(struct flow *f, const struct judge_env *env)
{
	f->env = *env;
	f->want_set = true;
	f->host.turn(f->host.arg);
}

/* As many events as can be settled in a quarter of the time that an answer has: what is taken must be served in time. */
static size_t flow_room(const struct flow *f)
{
	double soon = f->pace * (double)f->limits.late_us / 4e6;

	if (f->pace <= 0 || flow_boot_us(f) - f->pace_at_us > FLOW_PACE_OLD_US ||
		soon >= (double)f->limits.queue_events)
		return f->limits.queue_events;
	return soon > FLOW_ROOM_LEAST ? (size_t)soon : FLOW_ROOM_LEAST;
}

bool flow_has_room(const struct flow *f, size_t events, size_t bytes)
{
	return f->queued + events <= flow_room(f) &&
	       f->queued_bytes + bytes <= f->limits.queue_bytes;
}

bool flow_is_ready(const struct flow *f, const char **ret_why)
{
	const char *why = NULL;

	if (!f->store->ops->is_up(f->store))
		why = "the database can not be reached";
	else if (f->judge == NULL || f->set_failed)
		why = f->why_not_ready;
	if (why != NULL && ret_why != NULL)
		*ret_why = why;
	return why == NULL;
}

int64_t flow_set_id(const struct flow *f)
{
	return f->judge ? judge_set_id(f->judge) : 0;
}

void flow_tell_time(struct flow *f, int64_t now_us)
{
	f->last_now_us = now_us;
	f->last_boot_us = flow_boot_us(f);
}

int64_t flow_now_us(const struct flow *f)
{
	if (f->last_now_us == 0)
		return f->host.wall_us(f->host.arg);
	return f->last_now_us + flow_boot_us(f) - f->last_boot_us;
}

void flow_stats(const struct flow *f, struct flow_stats *ret)
{
	*ret = f->stats;
	ret->queued = f->queued;
	ret->queued_bytes = f->queued_bytes;
}

void flow_drain(struct flow *f)
{
	f->draining = true;
}

bool flow_is_idle(const struct flow *f)
{
	for (int i = 0; i < f->n_lanes; i++)
		if (f->lanes[i].step != LANE_IDLE)
			return false;
	return TAILQ_EMPTY(&f->tickets);
}

static void flow_customer_free(void *arg, struct span key, void *value)
{
	(void)arg;
	(void)key;
	free(value);
}

void flow_close(struct flow *f)
{
	if (f == NULL)
		return;
	for (int i = 0; i < f->n_lanes; i++) {
		struct flow_lane *l = &f->lanes[i];

		if (l->sitting != NULL)
			judge_end(l->sitting);
		arena_fini(&l->batch.arena);
		arena_fini(&l->ask_arena);
		map_fini(&l->busy);
		map_fini(&l->unjoinable);
		arena_fini(&l->set_arena);
	}
	if (f->judge != NULL)
		judge_free(f->judge);
	map_each(&f->customers, flow_customer_free, NULL);
	map_fini(&f->customers);
	map_fini(&f->lines);
	map_fini(&f->pending_keys);
	buf_free(&f->key_text);
	map_fini(&f->promised_keys);
	who_free(f->who);
	map_fini(&f->held_keys);
	map_fini(&f->lost_joins);
	map_fini(&f->joined);
	free(f);
}
