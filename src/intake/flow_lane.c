/*
 * flow_lane.c: one batch on one lane, from LOAD to RECEIPT.
 *
 *   IDLE -> LOAD -> (judge) -> FETCH -> (judge) ... -> SAVE -> IDLE
 *             |-> ABANDON -> IDLE   another rule set is current, or nothing was left to do
 *
 * Whatever goes wrong, the batch's events return to the heads of their queues and are formed anew: after a
 * collision at once, after a refusal alone (then one event at a time, until the culprit is quarantined), after a lost
 * connection as soon as there is one again.  Due work needs no such care: it still stands in the database.
 */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/planted.h"
#include "intake/flow_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LANE_RETRY_US = 100000 /* after a refusal or loss */
};

/* Places to die at: "flow.saved" with events, "due.saved" with timers, "inbox.saved" with what couriers and people
 * have put into the inbox. */
#define LANE_FAILPOINT(l, at)                                                                      \
	do {                                                                                       \
		FAILPOINT_IF((l)->batch.kind == BATCH_EVENTS, "flow." at);                         \
		FAILPOINT_IF((l)->batch.kind == BATCH_DUE && !lane_has_inbox(l), "due." at);       \
		FAILPOINT_IF((l)->batch.kind == BATCH_DUE && lane_has_inbox(l), "inbox." at);      \
	} while (0)

#ifdef NUDGED_FAILPOINTS
/* Are there rows of the inbox in the batch of due work? */
static bool lane_has_inbox(const struct flow_lane *l)
{
	for (size_t i = 0; i < l->batch.n_visits; i++)
		for (size_t k = 0; k < l->batch.visits[i]->n_events; k++)
			if (l->batch.visits[i]->events[k]->inbox != 0)
				return true;
	return false;
}
#endif

static void lane_on_loaded(void *arg, enum store_end end, const struct err *err);
static void lane_on_fetched(void *arg, enum store_end end, const struct err *err);
static void lane_on_saved(void *arg, enum store_end end, const struct err *err);
static void lane_on_abandoned(void *arg, enum store_end end, const struct err *err);

const char *lane_step_name(enum lane_step s)
{
	switch (s) {
	case LANE_IDLE: return "idle";
	case LANE_ASK: return "ask";
	case LANE_MAKE: return "make";
	case LANE_JOIN: return "join";
	case LANE_JOIN_SAVE: return "join-save";
	case LANE_JOIN_STOP: return "join-stop";
	case LANE_LOAD: return "load";
	case LANE_FETCH: return "fetch";
	case LANE_SAVE: return "save";
	case LANE_ABANDON: return "abandon";
	case LANE_SET: return "set";
	case LANE_SWITCHES: return "switches";
	case LANE_STRIKE: return "strike";
	case LANE_ASIDE: return "aside";
	}
	return "?";
}

void lane_enter(struct flow_lane *l, enum lane_step to)
{
	struct flow *f = l->flow;
	const struct store_ops *ops = f->store->ops;

	log_debug(&l->lc, "%s -> %s", lane_step_name(l->step), lane_step_name(to));
	switch (l->step = to) {
	case LANE_LOAD:
		ops->load(f->store, l->number, &l->batch, l->patient, lane_on_loaded, l);
		break;
	case LANE_SAVE:
		LANE_FAILPOINT(l, "judged");
		ops->save(f->store, l->number, &l->batch, lane_on_saved, l);
		LANE_FAILPOINT(l, "saving");
		break;
	case LANE_ABANDON: ops->abandon(f->store, l->number, lane_on_abandoned, l); break;
	case LANE_ASK: /* flow_who.c sends */
	case LANE_MAKE:
	case LANE_JOIN: /* flow_join.c sends */
	case LANE_JOIN_SAVE:
	case LANE_JOIN_STOP:
	case LANE_FETCH: /* lane_judge sends */
	case LANE_SET:   /* flow_set.c sends */
	case LANE_SWITCHES:
	case LANE_STRIKE: /* flow_due.c sends */
	case LANE_ASIDE:
	case LANE_IDLE: break;
	}
}

/* ---- putting back ---- */

/* What a batch that did not commit says of the event goes with the batch. */
static void lane_unjudge(struct shop_event *e)
{
	e->status = EVENT_NEW;
	e->seq = 0;
	e->verdicts = (struct span){ 0 };
}

void lane_return_events(struct flow *f, struct visit *v, size_t k)
{
	const struct flow_customer *c = v->flow;

	for (size_t i = v->n_events; i-- > k;) {
		struct shop_event *e = v->events[i];

		if (e->place != FLOW_IN_BATCH)
			continue; /* an emitted one, or settled before */
		lane_unjudge(e);
		flow_enqueue(f, e, c->id, c->version);
	}
}

void lane_return_visit(struct flow *f, struct visit *v)
{
	struct flow_customer *c = v->flow;

	if (c == NULL)
		return; /* due work: it still stands in the database */
	c->lane = NULL;
	lane_return_events(f, v, 0);
	flow_customer_review(f, c);
}

static void lane_return_aside(struct flow *f, struct batch *b)
{
	for (size_t i = b->n_aside; i-- > 0;) {
		struct shop_event *e = b->aside[i];

		if (e->place != FLOW_IN_BATCH || e->status != EVENT_QUARANTINED)
			continue; /* a conflict: its visit returns it */
		flow_place(f, e, FLOW_ASIDE);
		TAILQ_REMOVE(&f->aside, e, link);
		TAILQ_INSERT_HEAD(&f->aside, e, link);
	}
}

/* Asks again who the event is about. */
static void lane_reidentify_event(struct flow *f, struct shop_event *e)
{
	flow_unpromise(f, e);
	for (unsigned k = 0; k < e->n_identity; k++)
		who_forget(f->who, flow_base_of(e), &e->identity[k]);
	lane_unjudge(e);
	flow_place(f, e, FLOW_NOWHERE);
	e->queue = NULL;
	flow_identify_anew(f, e);
}

void lane_reidentify_queue(struct flow *f, struct flow_customer *c)
{
	struct shop_event *e;

	c->version = -1;
	while ((e = TAILQ_FIRST(&c->events)) != NULL)
		lane_reidentify_event(f, e);
	flow_customer_review(f, c);
}

/* The card was merged or has lost an identity, or a key that an event claims is another's.  What is not in the batch could
 * else be judged first, or on a card that it is not about any more. */
void lane_reidentify_visit(struct flow *f, struct visit *v)
{
	struct flow_customer *c = v->flow;

	if (c == NULL)
		return;
	for (size_t i = 0; i < v->n_events; i++)
		if (v->events[i]->place == FLOW_IN_BATCH)
			lane_reidentify_event(f, v->events[i]);
	c->lane = NULL;
	lane_reidentify_queue(f, c);
}

/* The sitting, if any, is over; the lane is free; the next turn gives it work. */
void lane_rest(struct flow_lane *l)
{
	struct flow *f = l->flow;

	if (l->sitting != NULL)
		judge_end(l->sitting);
	l->sitting = NULL;
	if (f->due_lane == l)
		f->due_lane = NULL;
	if (f->solo == l)
		f->solo = NULL;
	lane_enter(l, LANE_IDLE);
	f->host.turn(f->host.arg);
}

static void lane_return_all(struct flow_lane *l)
{
	for (size_t i = 0; i < l->batch.n_visits; i++)
		lane_return_visit(l->flow, l->batch.visits[i]);
	lane_return_aside(l->flow, &l->batch);
}

/* Somebody was quicker with a key of this batch, perhaps with one that it claims. */
static void lane_return_outrun(struct flow_lane *l)
{
	for (size_t i = 0; i < l->batch.n_visits; i++) {
		struct visit *v = l->batch.visits[i];

		if (v->n_identities > 0)
			lane_reidentify_visit(l->flow, v);
		else
			lane_return_visit(l->flow, v);
	}
	lane_return_aside(l->flow, &l->batch);
}

/* ---- failures ---- */

/* A single event that the database will not take: kept aside with the reason, so that the rest goes on. */
static void lane_quarantine_culprit(
	struct flow_lane *l, struct shop_event *e, const char *reason, const struct err *err)
{
	struct flow *f = l->flow;
	struct flow_customer *c = e->queue;

	log_error(&l->lc, "could not take event \"%.*s\": %s", SPAN_ARG(e->id), err->text);
	lane_unjudge(e);
	e->status = EVENT_QUARANTINED;
	e->reason = reason;
	flow_place(f, e, FLOW_ASIDE);
	c->lane = NULL;
	c->alone = c->single = false;
	flow_forgive(f, c);
	flow_customer_review(f, c);
}

/* The next batches hold one customer each, or one event, when it was one customer's already. */
static void lane_part(struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++) {
		struct flow_customer *c = b->visits[i]->flow;

		c->single = b->n_visits == 1;
		c->alone = true;
	}
}

/* Refused for its data: smaller and smaller batches until the culprit stands alone. */
static void lane_refused_events(struct flow_lane *l, const struct err *err)
{
	struct batch *b = &l->batch;
	struct visit *v = b->n_visits ? b->visits[0] : NULL;

	l->flow->stats.retries++;
	if (l->flow->solo == l)
		l->flow->solo_most = 1;
	if (v == NULL && b->n_aside > 1) { /* which of the kept-aside ones? */
		l->flow->aside_alone = true;
		lane_return_aside(l->flow, b);
		return;
	}
	if (v == NULL) {
		log_error(&l->lc, "could not keep a quarantined event of store \"%s\": %s",
			b->aside[0]->shop->id, err->text);
		flow_settle(l->flow, b->aside[0]);
		return;
	}
	if (PLANTED(refuse_all)) {
		lane_return_all(l);
		for (size_t i = 0; i < b->n_visits; i++)
			for (size_t k = 0; k < b->visits[i]->n_events; k++)
				lane_quarantine_culprit(
					l, b->visits[i]->events[k], "refused with its batch", err);
		return;
	}
	if (b->n_visits == 1 && v->n_events >= 1 && ((struct flow_customer *)v->flow)->single) {
		lane_return_aside(l->flow, b);
		lane_quarantine_culprit(l, v->events[0],
			"the database refused it; the daemon's log has the reason", err);
		return;
	}
	log_warning(&l->lc, "a batch of %zu customers was refused, trying them one by one: %s",
		b->n_visits, err->text);
	lane_part(b);
	lane_return_all(l);
}

/* The connection was lost over a load or a save.  Once, that is the database's own affair.  Twice in a row, and it may
 * be one of these events that the database dies of: they are tried while no other lane does anything, first one, then
 * twice as many each time until one batch is lost, then again from one: so thousands of innocents cost some dozen
 * batches.  Blamed is who was lost LANE_LOST_MOST times, the last time alone, while others got through in between: a
 * database that does nothing for anybody is not any event's doing. */
static void lane_lost_batch(struct flow_lane *l, const struct err *err)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;
	struct visit *v = b->n_visits ? b->visits[0] : NULL;
	struct flow_customer *c = v ? v->flow : NULL;

	for (size_t i = 0; i < b->n_visits; i++) {
		struct flow_customer *x = b->visits[i]->flow;

		flow_suspect(f, x);
		if (x->lost == 0 || x->lost_batches != f->stats.batches)
			x->lost++;
		x->lost_batches = f->stats.batches;
		if (x->losses < LANE_LOST_TWICE)
			continue;
		x->alone = x->single = true;
		flow_pause(
			f, x, flow_boot_us(f) + (x->losses > LANE_LOST_TWICE ? LANE_RETRY_US : 0));
	}
	if (f->solo == l)
		f->solo_most = 1;
	if (f->solo == l && b->n_visits == 1 && v->n_events >= 1 && c->lost >= LANE_LOST_MOST) {
		lane_quarantine_culprit(l, v->events[0],
			"the connection to the database was lost over it again and again", err);
		return;
	}
	lane_return_all(l);
}

/* The connection was lost while a question was open: a statement that takes too long ends it, so it may be an event's
 * own doing.  It must not take the others with it for ever, nor hold its door. */
static void lane_lost_events(struct flow_lane *l, const struct err *err)
{
	struct batch *b = &l->batch;
	struct visit *v = b->n_visits ? b->visits[0] : NULL;
	struct flow_customer *c = v ? v->flow : NULL;

	if (c != NULL && c->single && b->n_visits == 1 && v->n_events >= 1 &&
		++c->lost >= LANE_LOST_MOST) {
		lane_return_aside(l->flow, b);
		lane_quarantine_culprit(l, v->events[0],
			"the database could not answer what rules ask about it", err);
		return;
	}
	lane_part(b);
	lane_return_all(l);
}

/* The commit may have happened: when these events come back as duplicates, it did. */
static void lane_mark_unsure(struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_events; k++)
			if (b->visits[i]->events[k]->place == FLOW_IN_BATCH)
				b->visits[i]->events[k]->unsure = true;
}

/* Ends a batch that did not commit. */
static void lane_failed(struct flow_lane *l, enum store_end end, const struct err *err)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;

	if (l->sitting != NULL) {
		judge_take_back(l->sitting);
		judge_end(l->sitting);
	}
	l->sitting = NULL;
	if (end == STORE_LOST) {
		f->stats.lost++;
		if (l->step == LANE_SAVE)
			lane_mark_unsure(b);
	}
	if (b->kind == BATCH_DUE) {
		if (lane_failed_due(l, end, err))
			return;
	} else if (end == STORE_REFUSED) {
		lane_refused_events(l, err);
	} else if (end == STORE_LOST && l->step == LANE_FETCH) {
		lane_lost_events(l, err);
	} else if (end == STORE_LOST) {
		lane_lost_batch(l, err);
	} else {
		if (end == STORE_AGAIN && ++l->again > LANE_AGAIN_MOST) {
			log_damped(LOG_LVL_WARNING, &l->lc, "a batch collided %u times: %s",
				l->again, err ? err->text : "");
			for (size_t i = 0; i < b->n_visits; i++)
				flow_pause(f, b->visits[i]->flow, flow_boot_us(f) + LANE_RETRY_US);
			lane_part(b); /* who collides for ever does so alone */
			l->again = 0;
		}
		if (end == STORE_AGAIN && l->step == LANE_SAVE)
			lane_return_outrun(l);
		else
			lane_return_all(l);
	}
	lane_rest(l);
}

/* ---- load, judge, save ---- */

/* Conflicting events are kept aside, never applied; the store writes them with the batch. */
static void lane_set_conflicts_aside(struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_events; k++) {
			struct shop_event *e = b->visits[i]->events[k];

			if (PLANTED(skip_dedup) && e->status == EVENT_DUPLICATE)
				e->status = EVENT_NEW;
			if (PLANTED(ignore_conflict) && e->status == EVENT_CONFLICT)
				e->status = EVENT_DUPLICATE;
			if (e->status != EVENT_CONFLICT)
				continue;
			e->reason = "an event with this id was accepted before with other content";
			BATCH_PUSH(&b->arena, b->aside, b->n_aside, b->cap_aside) = e;
		}
}

/* Runs the engine until it is done or needs answers. */
static void lane_judge(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct query *queries = NULL;
	int64_t begun_us = flow_boot_us(f);
	enum judge_answer answer;
	size_t n = 0;

	answer = judge_go(l->sitting, &queries, &n);
	f->judged_us += flow_boot_us(f) - begun_us;
	switch (answer) {
	case JUDGE_NEED:
		lane_enter(l, LANE_FETCH);
		f->store->ops->fetch(
			f->store, l->number, &l->batch, queries, n, lane_on_fetched, l);
		return;
	case JUDGE_DONE:
		lane_gather_keys(l);
		lane_pass_due_on(l);
		lane_enter(l, LANE_SAVE);
		f->host.turn(f->host.arg);
		return;
	}
}

/* Clocks that disagree pause timers and deadlines; what came in from outside, events and inbox rows, goes on being
 * judged.  Says so when it begins and when it ends. */
static bool lane_is_skewed(struct flow_lane *l)
{
	struct flow *f = l->flow;
	int64_t skew_us = f->host.wall_us(f->host.arg) - l->batch.now_us;
	bool skewed = (skew_us > f->limits.skew_us || skew_us < -f->limits.skew_us) &&
		      !PLANTED(ignore_skew);

	f->stats.skew_us = skew_us;
	if (skewed && !f->stats.skewed)
		log_damped(LOG_LVL_ERROR, &l->lc,
			"this host's clock is %+.1f s off the database's: timers and deadlines pause",
			(double)skew_us / 1e6);
	else if (!skewed && f->stats.skewed)
		log_damped(
			LOG_LVL_NOTICE, &l->lc, "this host's clock and the database's agree again");
	f->stats.skewed = skewed;
	return skewed;
}

static void lane_on_loaded(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;
	struct flow *f = l->flow;
	struct batch *b = &l->batch;
	bool was_skewed;

	if (end != STORE_OK) {
		lane_failed(l, end, err);
		return;
	}
	LANE_FAILPOINT(l, "loaded");
	flow_tell_time(f, b->now_us);
	l->loaded_us = f->last_boot_us;
	if (!PLANTED(keep_old_set) && (b->set_id != judge_set_id(f->judge) ||
					      b->switches_version != f->switches_version)) {
		f->want_set |= b->set_id != judge_set_id(f->judge);
		f->want_switches |= b->switches_version != f->switches_version;
		if (b->kind == BATCH_DUE)
			f->due_us = 0;
		lane_return_all(l);
		b->n_visits = b->n_aside = 0;
		lane_enter(l, LANE_ABANDON);
		return;
	}
	was_skewed = f->stats.skewed;
	if (lane_is_skewed(l))
		b->leave |= FLOW_TIMERS;
	lane_hold_left(b);
	lane_single_out_due(l);
	lane_note_due(l);
	if (was_skewed && !f->stats.skewed)
		f->due_us = 0; /* for what waited */
	if (lane_sift(l) == 0 && b->n_aside == 0) {
		lane_enter(l, LANE_ABANDON);
		return;
	}
	lane_set_conflicts_aside(b);
	l->sitting = judge_start(f->judge, b);
	lane_judge(l);
}

static void lane_on_fetched(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;

	if (end != STORE_OK) {
		lane_failed(l, end, err);
		return;
	}
	LANE_FAILPOINT(l, "fetched");
	lane_judge(l);
}

static void lane_on_abandoned(void *arg, enum store_end end, const struct err *err)
{
	(void)end; /* nothing was to be kept */
	(void)err;
	lane_rest(arg);
}

/* Rules that come near a limit; texts of faults may hold what customers typed, these do not. */
static void lane_tell_warnings(const struct flow_lane *l)
{
	for (size_t i = 0; i < l->batch.n_visits; i++) {
		const struct visit *v = l->batch.visits[i];

		for (size_t k = 0; v->state == VISIT_READY && k < v->n_faults; k++)
			if (!v->faults[k]->failed && !v->faults[k]->suspend)
				log_damped(LOG_LVL_WARNING, &l->lc,
					"rule \"%.*s\", customer %lld: %.*s",
					SPAN_ARG(v->faults[k]->rule), (long long)v->customer,
					SPAN_ARG(v->faults[k]->text));
	}
}

/* Which couriers have something to claim now, and when a timer of this batch is due. */
static unsigned lane_after_commit(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;
	unsigned channels = 0;

	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];

		if (b->kind == BATCH_DUE && (v->is_cut || v->state == VISIT_LEFT))
			f->due_us = 0; /* there is more of it */
		if (v->state != VISIT_READY)
			continue;
		lane_learn_claims(f, v);
		for (size_t k = 0; k < v->n_messages; k++)
			if (v->messages[k]->state == MESSAGE_READY)
				channels |= 1u << v->messages[k]->channel;
		for (size_t k = 0; k < v->n_chains; k++) {
			const struct chain *c = v->chains[k];

			if (c->change != CHAIN_NEW && c->change != CHAIN_CHANGED)
				continue;
			if (c->wake_us == TIME_NONE)
				continue;
			int64_t at_us = l->loaded_us + (c->wake_us - b->now_us);

			if (at_us < f->due_us)
				f->due_us = at_us;
		}
	}
	return channels;
}

/* Tells the doors; visits for which the engine had no time go back. */
static void lane_receipt(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;

	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];
		struct flow_customer *c = v->flow;

		if (c == NULL)
			continue;
		if (v->state == VISIT_LEFT) {
			lane_return_visit(f, v);
			continue;
		}
		c->lane = NULL;
		c->alone = c->single = false;
		flow_forgive(f, c);
		for (size_t k = v->is_cut ? v->n_events : 0; k-- > 0;)
			if (v->events[k]->place == FLOW_IN_BATCH &&
				v->events[k]->status == EVENT_NEW)
				flow_enqueue(f, v->events[k], c->id, c->version);
		for (size_t k = 0; k < v->n_events; k++) {
			struct shop_event *e = v->events[k];

			if (e->place != FLOW_IN_BATCH || e->status == EVENT_CONFLICT)
				continue;
			if (e->unsure && e->status == EVENT_DUPLICATE && !PLANTED(forget_unsure))
				e->status =
					EVENT_ACCEPTED; /* it met itself: its sender is told so */
			flow_settle(f, e);
		}
		flow_customer_review(f, c);
	}
	/* conflicts stand in both lists: the memory of a settled event may be gone */
	for (size_t i = 0; i < b->n_aside; i++)
		if (b->aside[i]->place == FLOW_IN_BATCH)
			flow_settle(f, b->aside[i]);
	flow_pace(f);
}

static void lane_on_saved(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;
	struct flow *f = l->flow;
	unsigned channels;

	if (end != STORE_OK) {
		lane_failed(l, end, err);
		return;
	}
	LANE_FAILPOINT(l, "saved");
	l->again = 0;
	f->stats.batches++;
	if (f->solo == l && f->solo_most < f->limits.batch)
		f->solo_most *= 2;
	if (l->batch.kind == BATCH_DUE)
		lane_due_saved(l);
	channels = lane_after_commit(l);
	lane_tell_warnings(l);
	if (f->host.committed != NULL)
		f->host.committed(f->host.arg, &l->batch, flow_boot_us(f) - l->started_us);
	if (l->sitting != NULL)
		judge_end(l->sitting); /* before the doors take the events' memory back */
	l->sitting = NULL;
	lane_receipt(l);
	if (channels != 0 && f->host.poke != NULL)
		f->host.poke(f->host.arg, channels);
	lane_rest(l);
}
