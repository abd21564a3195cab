/*
 * flow_due.c: how far due work is behind, and what to do about due work that can not be done.
 *
 * A due batch that fails stands in the database as before and is picked again, the oldest first: one row that can
 * not be read or saved would keep everything behind it from ever being done.  So after a failure that is the work's
 * own due work is taken one thing at a time for a while, from one list after the other, and the thing that fails
 * alone is passed over by its kind:
 *
 *	chain      struck when it can not be saved, the second strike makes it stuck (engine/wake); else stuck at once
 *	inbox row  quarantined, like an event from outside
 *	deadline   marked as passed; no rule hears of it
 *
 * A refusal is the thing's own doing.  A lost connection may be: a question that takes too long, a row that the
 * database dies of.  Or the database is away, or dies of something else.  So two losses in a row are taken for an
 * outage that ends by itself; and a thing is the culprit when it was lost LANE_LOST_MOST times, each time after
 * something else had been committed in between: a database that does nothing for anybody blames nobody.  A question
 * is blamed without that, since its connection was well until it was asked.  Setting aside is a transaction of its
 * own (store.set_aside) that reads as little of the thing as it can, because that may be what can not be done.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/planted.h"
#include "intake/flow_int.h"

enum {
	DUE_RETRY_US = 100000,         /* after a failure */
	DUE_COUNT_US = 2000000,        /* between two counts of the engines */
	DUE_LOST_TWICE = 2,            /* batches lost in a row: it may be the work's doing */
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

/* The thing of an isolated batch; before it was loaded: what it was picked for. */
static struct flow_thing due_thing(const struct flow_lane *l)
{
	const struct batch *b = &l->batch;
	const struct visit *v = b->n_visits == 1 ? b->visits[0] : NULL;
	struct flow_thing none = { .id = 0 };

	if (v == NULL)
		return none;
	if (l->step == LANE_LOAD)
		return (struct flow_thing){ l->flow->due_list, v->picked, v->customer };
	if (v->n_events > 0 && v->events[0]->inbox != 0)
		return (struct flow_thing){ DUE_INBOX, v->events[0]->inbox, v->customer };
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->due)
			return (struct flow_thing){ DUE_TASK, v->tasks[i]->id, v->customer };
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->due)
			return (struct flow_thing){ DUE_CHAIN, v->chains[i]->id, v->customer };
	return none;
}

/* Goes on with the next list; when all had nothing, nothing is wrong any more. */
static void due_next_list(struct flow *f, bool had_nothing)
{
	f->due_list = f->due_list == DUE_INBOX ? DUE_CHAIN : f->due_list + 1;
	f->due_empty = had_nothing ? f->due_empty + 1 : 0;
	if (f->due_empty > DUE_INBOX)
		f->due_alone = 0;
}

void lane_single_out_due(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct batch *b = &l->batch;

	if (b->kind != BATCH_DUE || !l->due_single)
		return;
	due_next_list(f, b->n_visits == 0);
	b->more_due = true; /* in other lists */
	if (b->n_visits > 0)
		due_isolate(b);
}

void lane_pass_due_on(struct flow_lane *l)
{
	if (l->flow->due_lane == l && !l->due_single)
		l->flow->due_lane = NULL;
}

void lane_due_saved(struct flow_lane *l)
{
	struct flow *f = l->flow;

	f->due_failed = 0;
	if (f->due_alone > 0 && l->due_single)
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
		if (b->leave & 1u << DUE_INBOX)
			v->n_events = 0;
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

static const char *thing_name(enum due_kind k)
{
	switch (k) {
	case DUE_CHAIN: return "chain";
	case DUE_TASK: return "the deadline of task";
	case DUE_INBOX: return "inbox row";
	}
	return "?";
}

static void lane_on_aside(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;
	struct flow *f = l->flow;
	struct store_aside *x = &f->aside_now;

	f->due_lane = NULL;
	f->due_us = end == STORE_OK ? 0 : flow_boot_us(f) + DUE_RETRY_US;
	if (end == STORE_OK) {
		log_notice(&l->lc, "set aside: %s %lld", thing_name(x->kind), (long long)x->id);
		x->id = 0;
	} else if (end != STORE_AGAIN && x->kind == DUE_INBOX && !x->blind) {
		x->blind = true; /* what it says may be what can not be read */
	} else {
		if (end != STORE_AGAIN)
			log_damped(LOG_LVL_ERROR, &l->lc, "could not set %s %lld aside: %s",
				thing_name(x->kind), (long long)x->id, err ? err->text : "");
		x->id = 0; /* when it fails again */
	}
	lane_enter(l, LANE_IDLE);
	f->host.turn(f->host.arg);
}

void lane_set_due_aside(struct flow_lane *l)
{
	struct flow *f = l->flow;

	f->due_lane = l;
	lane_enter(l, LANE_ASIDE);
	f->store->ops->set_aside(f->store, l->number, &f->aside_now, lane_on_aside, l);
}

/* One more loss of this thing: was it lost so often that it is to blame? */
static bool due_is_lost(struct flow_lane *l, struct flow_thing thing, bool asked)
{
	struct flow *f = l->flow;
	struct flow_suspicion *s = &f->suspicion[thing.kind];

	if (s->thing.id != thing.id) {
		if (l->batch.skip != 0) /* one after the other */
			return false;
		*s = (struct flow_suspicion){ .thing = thing };
	}
	if (asked || s->times == 0 || s->batches != f->stats.batches)
		s->times++;
	s->batches = f->stats.batches;
	s->skip = true;
	return s->times >= LANE_LOST_MOST;
}

/* The work itself is at fault: taken one thing at a time until it is found.  True: a strike is on its way. */
static bool due_blame(struct flow_lane *l, bool lost, bool asked, const struct err *err)
{
	struct flow *f = l->flow;
	struct flow_thing thing = due_thing(l);

	if (f->due_alone == 0) {
		log_damped(LOG_LVL_WARNING, &l->lc, "due work was %s, trying it one by one: %s",
			lost ? "lost" : "refused", err ? err->text : "");
		f->due_alone =
			3 * (unsigned)f->limits.due; /* as much as one batch may have picked */
		f->due_empty = 0;
		return false;
	}
	if (!l->due_single) /* it was on its way already */
		return false;
	if (l->step == LANE_LOAD) /* the others' turn; loaded ones have moved on */
		due_next_list(f, false);
	if (thing.id == 0 || (lost && !due_is_lost(l, thing, asked)))
		return false;
	log_error(&l->lc, "could not %s %s %lld: %s",
		l->step == LANE_LOAD   ? "read"
		: l->step == LANE_SAVE ? "save"
				       : "judge",
		thing_name(thing.kind), (long long)thing.id, err ? err->text : "");
	if (thing.kind == DUE_CHAIN && !lost && l->step == LANE_SAVE)
		return due_strike(l, thing.id);
	f->suspicion[thing.kind] = (struct flow_suspicion){ .times = 0 };
	f->aside_now = (struct store_aside){ .kind = thing.kind,
		.id = thing.id,
		.reason = lost ? SPAN("set aside: the connection to the database was lost over it "
				      "again and again")
			       : SPAN("the database refused it; the daemon's log has the reason") };
	return false;
}

bool lane_failed_due(struct flow_lane *l, enum store_end end, const struct err *err)
{
	struct flow *f = l->flow;

	f->due_us = flow_boot_us(f) + (end == STORE_AGAIN ? 1000 : DUE_RETRY_US);
	f->stats.retries += end == STORE_REFUSED;
	switch (end) {
	case STORE_OK: break;
	case STORE_REFUSED: return due_blame(l, false, false, err);
	case STORE_AGAIN:
		if (++l->again <= LANE_AGAIN_MOST)
			break;
		l->again = 0;
		return due_blame(l, true, true, err);
	case STORE_LOST:
		if (l->step == LANE_FETCH)
			return due_blame(l, true, true, err);
		if (l->started_us >=
			f->due_failed_us) /* two lanes that lose theirs together count once */
			f->due_failed++;
		f->due_failed_us = flow_boot_us(f);
		if (f->due_alone > 0 || f->due_failed >= DUE_LOST_TWICE)
			return due_blame(l, true, false, err);
		break;
	}
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

	if (b->kind != BATCH_DUE)
		return;
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_chains; k++) {
			const struct chain *c = b->visits[i]->chains[k];

			if (!c->due)
				continue;
			f->stats.due_chains++;
			overdue += b->now_us - c->wake_us > DUE_LONG_OVERDUE_US &&
				   !PLANTED(unbounded_catch_up);
		}
	if (b->engines > 0) {
		f->engines = b->engines;
		f->count_engines_us = l->started_us + DUE_COUNT_US;
		flow_cap_catch_up(f);
	}
	if (!(b->leave & 1u << DUE_CHAIN))
		f->behind = overdue > 0;
	f->catch_up_tokens -= (double)overdue;
	f->due_us = flow_boot_us(f) + f->limits.poll_us;
	if (b->more_due)
		f->due_us = 0;
	else if (b->next_due_us != TIME_NONE && b->next_due_us - b->now_us < f->limits.poll_us)
		f->due_us = l->loaded_us + (b->next_due_us - b->now_us);
}
