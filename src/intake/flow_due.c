/*
 * flow_due.c: how far due work is behind, and what to do about due work that can not be done.
 *
 * A due batch that fails stands in the database as before and is picked again, the oldest first: one row that can
 * not be saved would keep everything behind it from ever being done.  So after a failure that is the work's own
 * due work is taken one thing at a time for a while (a chain, a deadline, an inbox row), and the thing that fails
 * alone is set aside by its kind:
 *
 *	chain      struck; the second strike makes it stuck (engine/wake)
 *	inbox row  quarantined, like an event from outside
 *	deadline   marked as passed; no rule hears of it
 *
 * A connection that is lost while a question is open may be the question's own doing (a statement that takes too
 * long ends it), and what collides without end does so with a key that is there already: after LANE_LOST_MOST such
 * failures in a row the thing is the culprit, too.  A chain becomes stuck then, because the strike would have to be
 * written over the connection that is gone.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "intake/flow_int.h"

enum {
	DUE_RETRY_US = 100000,         /* after a failure */
	DUE_COUNT_US = 2000000,        /* between two counts of the engines */
	DUE_LONG_OVERDUE_US = 10000000 /* later than this is catching up, at a bounded rate */
};

/* ---- one thing at a time ---- */

/* Leaves the one customer, and of what he has due the one thing, that the batch is about. */
static void due_isolate(struct batch *b)
{
	struct visit *v;
	bool one;

	if (b->n_visits > 1) {
		b->n_visits = 1;
		b->more_due = true;
	}
	v = b->visits[0];
	if (v->n_events > 1) {
		v->n_events = 1;
		b->more_due = true;
	}
	one = v->n_events > 0;
	for (size_t i = 0; i < v->n_tasks; i++) {
		b->more_due |= one && v->tasks[i]->due;
		v->tasks[i]->due &= !one;
		one |= v->tasks[i]->due;
	}
	for (size_t i = 0; i < v->n_chains; i++) {
		b->more_due |= one && v->chains[i]->due;
		v->chains[i]->due &= !one;
		one |= v->chains[i]->due;
	}
}

/* The thing of an isolated batch: its number, and where it stands. */
static struct flow_thing due_thing(const struct batch *b)
{
	const struct visit *v = b->n_visits == 1 ? b->visits[0] : NULL;
	struct flow_thing none = { .kind = THING_NONE };

	if (v == NULL)
		return none;
	if (v->n_events > 0 && v->events[0]->inbox != 0)
		return (struct flow_thing){ THING_INBOX, v->events[0]->inbox };
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->due)
			return (struct flow_thing){ THING_TASK, v->tasks[i]->id };
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->due)
			return (struct flow_thing){ THING_CHAIN, v->chains[i]->id };
	return none;
}

static bool thing_is(struct flow_thing a, struct flow_thing b)
{
	return a.kind == b.kind && a.id == b.id;
}

/* The thing that failed alone is passed over by this batch, in a way that ends it. */
static void due_set_aside(struct flow_lane *l)
{
	struct batch *b = &l->batch;
	struct visit *v = b->visits[0];

	switch (l->flow->culprit.kind) {
	case THING_NONE: break;
	case THING_INBOX:
		v->events[0]->status = EVENT_QUARANTINED;
		v->events[0]->reason = "the database refused it; the daemon's log has the reason";
		BATCH_PUSH(&b->arena, b->aside, b->n_aside, b->cap_aside) = v->events[0];
		break;
	case THING_TASK:
		for (size_t i = 0; i < v->n_tasks; i++)
			if (v->tasks[i]->due) {
				v->tasks[i]->due = false;
				v->tasks[i]->overdue = v->tasks[i]->changed = true;
			}
		break;
	case THING_CHAIN:
		for (size_t i = 0; i < v->n_chains; i++)
			if (v->chains[i]->due) {
				v->chains[i]->due = false;
				v->chains[i]->state = CHAIN_STUCK;
				v->chains[i]->wake_us = TIME_NONE;
				v->chains[i]->reason = SPAN("set aside: what it asks takes the "
							    "database too long");
				v->chains[i]->change = CHAIN_CHANGED;
			}
		break;
	}
}

void lane_single_out_due(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;

	if (b->kind != BATCH_DUE || f->due_alone == 0)
		return;
	if (b->n_visits == 0) { /* nothing is due any more, so nothing is wrong any more */
		f->due_alone = 0;
		return;
	}
	due_isolate(b);
	f->is_set_aside = f->culprit.kind != THING_NONE && thing_is(f->culprit, due_thing(b));
	if (f->is_set_aside)
		due_set_aside(l);
}

void flow_due_saved(struct flow *f)
{
	if (f->is_set_aside)
		f->culprit.kind = THING_NONE;
	f->is_set_aside = false;
	f->due_lost = 0;
	if (f->due_alone > 0)
		f->due_alone--;
}

void lane_hold_left(struct batch *b)
{
	for (size_t i = 0; i < b->n_visits && b->leave != 0; i++) {
		struct visit *v = b->visits[i];

		for (size_t k = 0; k < v->n_chains; k++)
			v->chains[k]->due &= !(b->leave & 1u << DUE_CHAIN);
		for (size_t k = 0; k < v->n_tasks; k++)
			v->tasks[k]->due &= !(b->leave & 1u << DUE_TASK);
	}
}

/* ---- failures ---- */

static void lane_on_struck(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;

	if (end != STORE_OK)
		log_damped(LOG_LVL_ERROR, &l->lc, "could not set due work aside: %s",
			err ? err->text : store_end_name(end));
	l->flow->want_switches = true;
	lane_rest(l);
}

/* Writes a strike for the chain on which the batch failed; the lane rests afterwards. */
static bool due_strike(struct flow_lane *l, int64_t id)
{
	const struct visit *v = l->batch.visits[0];

	for (size_t i = 0; i < v->n_chains; i++) {
		const struct chain *c = v->chains[i];

		if (c->id != id)
			continue;
		arena_reset(&l->set_arena);
		l->pair = (struct switch_pair){ .kind = SPAN("chain"),
			.id = span_of(arena_printf(&l->set_arena, "%lld", (long long)c->id)),
			.rule = { arena_dup(&l->set_arena, c->rule.p, c->rule.n), c->rule.n } };
		lane_enter(l, LANE_STRIKE);
		l->flow->store->ops->strike(l->flow->store, l->number, &l->pair, lane_on_struck, l);
		return true;
	}
	return false;
}

static const char *thing_name(enum flow_thing_kind k)
{
	switch (k) {
	case THING_NONE: return "due work";
	case THING_INBOX: return "inbox row";
	case THING_TASK: return "the deadline of task";
	case THING_CHAIN: return "chain";
	}
	return "?";
}

/* The work itself is at fault: taken one thing at a time until it is found.  True: a strike is on its way. */
static bool due_blame(struct flow_lane *l, bool lost, const struct err *err)
{
	struct flow *f = l->flow;
	struct flow_thing thing = due_thing(&l->batch);

	if (f->due_alone == 0 || thing.kind == THING_NONE) {
		if (!lost)
			log_damped(LOG_LVL_WARNING, &l->lc,
				"due work was refused, trying it one by one: %s", err->text);
		if (f->due_alone == 0) /* as much as one batch may have picked */
			f->due_alone = 3 * (unsigned)f->limits.due;
		return false;
	}
	if (lost) {
		f->due_lost = thing_is(f->lost_on, thing) ? f->due_lost + 1 : 1;
		f->lost_on = thing;
		if (f->due_lost < LANE_LOST_MOST)
			return false;
	}
	log_error(&l->lc, "could not %s %s %lld: %s", lost ? "judge" : "save",
		thing_name(thing.kind), (long long)thing.id, err->text);
	if (thing.kind == THING_CHAIN && !lost)
		return due_strike(l, thing.id);
	f->culprit = thing;
	return false;
}

bool lane_failed_due(struct flow_lane *l, enum store_end end, const struct err *err)
{
	struct flow *f = l->flow;

	f->due_us = flow_boot_us(f) + (end == STORE_AGAIN ? 1000 : DUE_RETRY_US);
	f->stats.retries += end == STORE_REFUSED;
	if (end == STORE_AGAIN && ++l->again > LANE_AGAIN_MOST) {
		l->again = 0;
		return due_blame(l, true, err);
	}
	if (end == STORE_REFUSED || (end == STORE_LOST && l->step == LANE_FETCH))
		return due_blame(l, end == STORE_LOST, err);
	return false;
}

/* ---- how far behind ---- */

double flow_catch_up(const struct flow *f)
{
	return (double)f->limits.catch_up / (double)f->engines;
}

void flow_cap_catch_up(struct flow *f)
{
	double most = flow_catch_up(f);

	if (most < 1) /* a chain is not to be had in parts */
		most = 1;
	if (f->catch_up_tokens > most)
		f->catch_up_tokens = most;
}

void lane_note_due(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;
	size_t overdue = 0;
	int64_t oldest_us = b->now_us;

	if (b->kind != BATCH_DUE)
		return;
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_chains; k++) {
			const struct chain *c = b->visits[i]->chains[k];

			if (!c->due)
				continue;
			f->stats.due_chains++;
			oldest_us = c->wake_us < oldest_us ? c->wake_us : oldest_us;
			overdue += b->now_us - c->wake_us > DUE_LONG_OVERDUE_US;
		}
	if (b->engines > 0) {
		f->engines = b->engines;
		f->count_engines_us = l->started_us + DUE_COUNT_US;
		flow_cap_catch_up(f);
	}
	f->stats.oldest_due_us = b->now_us - oldest_us;
	if (!(b->leave & 1u << DUE_CHAIN))
		f->behind = overdue > 0;
	f->catch_up_tokens -= (double)overdue;
	f->due_us = flow_boot_us(f) + f->limits.poll_us;
	if (b->more_due)
		f->due_us = 0;
	else if (b->next_due_us != TIME_NONE && b->next_due_us - b->now_us < f->limits.poll_us)
		f->due_us = l->loaded_us + (b->next_due_us - b->now_us);
}
