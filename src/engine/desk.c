/*
 * desk.c: the order of judging, for one customer.
 *
 * The agenda is what came: events in their order, then deadlines that have passed and chains that are due, by
 * their times.  Each item is a frame; what an event leads to (events of the daemon, then those that rules
 * emitted) is judged right after it, as frames on top of it, before the next item of the agenda.
 * A frame goes through its steps in the order of RULES.md (One event is judged in this order): the
 * daemon's own work, exit_on, waits, starts, what it leads to.  Any step may find a question open; then the
 * whole desk is put aside and comes back to the very same place.
 *
 * An explicit stack and not recursion, because a question would otherwise have to unwind C frames.
 */
#include "base/clock.h"
#include "base/json.h"
#include "base/planted.h"
#include "base/tz.h"
#include "engine/chain_step.h"
#include "engine/start.h"
#include "engine/verdict.h"
#include "engine/waits.h"
#include "engine/wake.h"

#include <stdlib.h>
#include <string.h>

const struct tz *desk_zone(const struct desk *d, const struct shop *shop)
{
	struct span own = d->visit->card->text[CARD_TZ];
	const struct tz *zone = NULL;
	char name[64];

	if (own.n && own.n < sizeof name) {
		memcpy(name, own.p, own.n);
		name[own.n] = '\0';
		zone = tz_get(name);
	}
	if (!zone && shop)
		zone = tz_get(shop->zone);
	return zone ? zone : tz_get("UTC");
}

/* Reads {"key":...,"on":[...]} of a chain; what can not be read ends nothing. */
static void desk_read_exits(struct desk *d, const struct chain *c, struct desk_chain *ret)
{
	struct arena *a = &d->sitting->batch->arena;
	struct span value;
	struct err err;

	ret->is_read = true;
	if (!c->exits.n)
		return;
	if (json_get(c->exits, SPAN("key"), &value))
		ret->key_field = json_text(value, a);
	if (json_get(c->exits, SPAN("on"), &value) && !what_parse(value, a, &ret->exits, &err))
		ret->exits.n = 0;
}

struct desk_chain *desk_chain_of(struct desk *d, const struct chain *c)
{
	struct desk_chain fresh = { .born = NULL };
	size_t i = 0;

	while (d->visit->chains[i] != c)
		i++;
	while (d->n_chains <= i)
		BATCH_PUSH(&d->sitting->batch->arena, d->chains, d->n_chains, d->cap_chains) =
			fresh;
	if (!d->chains[i].is_read)
		desk_read_exits(d, c, &d->chains[i]);
	return &d->chains[i];
}

/*** the agenda ***/

static void desk_plan(struct desk *d, struct shop_event *e, struct chain *c, int64_t at_us)
{
	BATCH_PUSH(&d->sitting->batch->arena, d->agenda, d->n_agenda, d->cap_agenda) =
		(struct agenda_item){ e, c, at_us };
}

/* Deadlines and timers by time; at one moment deadlines first, then the older chain. */
static int desk_compare(const void *a, const void *b)
{
	const struct agenda_item *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	if (!x->chain != !y->chain)
		return x->chain ? 1 : -1;
	if (x->chain)
		return (x->chain->id > y->chain->id) - (x->chain->id < y->chain->id);
	return span_cmp(x->event->id, y->event->id);
}

void desk_open(struct desk *d, struct sitting *s, struct visit *v)
{
	struct card_follow overdue = { 0 };
	size_t n_events;

	memset(d, 0, sizeof *d);
	d->sitting = s;
	d->visit = v;
	d->state = DESK_NEW;
	v->engine = d;
	for (size_t i = 0; i < v->n_events; i++)
		if (v->events[i]->status == EVENT_NEW)
			desk_plan(d, v->events[i], NULL, 0);
	n_events = d->n_agenda;
	card_tasks_due(s->batch, v, &overdue);
	for (size_t i = 0; PLANTED(overdue_twice) && i < v->n_tasks; i++)
		v->tasks[i]->overdue = false;
	for (size_t i = 0; i < overdue.n; i++)
		desk_plan(d, overdue.events[i], NULL, overdue.events[i]->time_us);
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->due)
			desk_plan(d, NULL, v->chains[i], v->chains[i]->wake_us);
	if (d->n_agenda > n_events + 1)
		qsort(d->agenda + n_events, d->n_agenda - n_events, sizeof *d->agenda,
			desk_compare);
}

/*** frames ***/

static struct frame *desk_push_frame(
	struct desk *d, struct shop_event *e, struct chain *c, struct frame *below)
{
	struct arena *a = &d->sitting->batch->arena;
	struct frame *f = arena_new(a, struct frame);

	f->event = e;
	f->chain = c;
	/* what the daemon makes of an event is the same thing told again; what a rule emits is new */
	if (below && below->event && e->depth == below->event->depth)
		f->parent = below->parent ? below->parent : below->event;
	BATCH_PUSH(a, d->frames, d->n_frames, d->cap_frames) = f;
	return f;
}

/* Is the event about a message that its chain need not wait for any more? */
static void desk_settle_message(struct desk *d, const struct shop_event *e)
{
	int64_t id = waits_about(WHAT_MESSAGE, e->type, e->data);

	if (id)
		chain_message_over(d, id);
}

/* Gives an event its number and does the daemon's own work. */
static void desk_apply(struct desk *d, struct frame *f)
{
	struct batch *b = d->sitting->batch;
	struct visit *v = d->visit;
	struct shop_event *e = f->event;
	bool heard = true;

	if (e->origin == EVENT_DERIVED) {
		e->seq = f->parent ? f->parent->seq : 0;
	} else {
		e->seq = sitting_number(d->sitting);
		if (e->origin == EVENT_EMITTED)
			BATCH_PUSH(&b->arena, v->events, v->n_events, v->cap_events) = e;
		heard = card_apply(b, v, e, &f->follow);
		BATCH_PUSH(&b->arena, d->judged, d->n_judged, d->cap_judged) = e;
		desk_settle_message(d, e);
	}
	e->status = EVENT_ACCEPTED;
	for (size_t i = 0; i < f->follow.n; i++)
		f->follow.events[i]->import = e->import;
	f->n_chains = v->n_chains;
	if (heard && !e->import)
		f->rules = rules_subscribed(d->sitting->judge->rules, e->type, &f->n_rules);
	f->step = heard && !e->import ? FRAME_EXITS : FRAME_FOLLOW;
}

/* exit_on of all chains that were there before the event, as it was when they began; a queued start is ended by its own.  Of
 * what chains that are over have left to people, as it is now. */
static void desk_exits(struct desk *d, struct frame *f)
{
	struct arena *a = &d->sitting->batch->arena;
	const struct visit *v = d->visit;
	const struct rule *const *rules;
	size_t n;

	for (size_t i = f->n_chains; i-- > 0;) { /* newest first: nobody is made due to be ended */
		struct chain *c = v->chains[i];
		const struct desk_chain *dc;

		if (!chain_state_is_live(c->state) || !c->exits.n)
			continue;
		dc = desk_chain_of(d, c);
		if (what_match(&dc->exits, f->event->type, f->event->data) < 0 ||
			!chain_key_matches(d, dc->key_field, c, f->event) ||
			chain_is_immune(d, f, c))
			continue;
		verdict_add(d, f, arena_dup(a, c->rule.p, c->rule.n), VERDICT_EXIT,
			(struct verdict_more){ .chain = c->id });
		chain_end(d, c, CHAIN_EXITED, f->event->type);
	}
	rules = rules_exited(d->sitting->judge->rules, f->event->type, &n);
	for (size_t i = 0; i < n; i++)
		if (what_match(&rules[i]->exit_on, f->event->type, f->event->data) >= 0)
			chain_exit_over(d, f, rules[i]);
	f->step = FRAME_WAITS;
}

/* Waits of the chains left; false: a question is open. */
static bool desk_waits(struct desk *d, struct frame *f)
{
	for (; f->at < f->n_chains; f->at++)
		if (!wake_by_event(d, f, d->visit->chains[f->at]))
			return false;
	f->at = 0;
	f->step = FRAME_STARTS;
	return true;
}

/* Subscribed rules in order of path and definition; false: a question is open. */
static bool desk_starts(struct desk *d, struct frame *f)
{
	for (; f->at < f->n_rules; f->at++)
		if (!start_try(d, f, f->rules[f->at]))
			return false;
	f->step = FRAME_FOLLOW;
	return true;
}

/* Takes up the next event that this one leads to; when there is none the frame is done. */
static void desk_follow(struct desk *d, struct frame *f)
{
	if (f->n_followed < f->follow.n) {
		desk_push_frame(d, f->follow.events[f->n_followed++], NULL, f);
		return;
	}
	verdict_close(d, f);
	d->n_frames--;
}

/* Has another event of this batch undone the deadline?  Of done and overdue only one wins (P17): whichever comes
 * to the row first, and deadlines stand behind the events in the agenda. */
static bool desk_is_void(const struct desk *d, const struct shop_event *e)
{
	int64_t id;

	if (!span_is(e->type, "task.overdue") || e->origin != EVENT_EMITTED || e->cause_chain ||
		(id = waits_about(WHAT_TASK, e->type, e->data)) == 0)
		return false;
	for (size_t i = 0; i < d->visit->n_tasks; i++) {
		struct task *t = d->visit->tasks[i];

		if (t->id != id || t->state == TASK_OPEN || t->state == TASK_TAKEN)
			continue;
		t->overdue = false;
		return true;
	}
	return false;
}

/* One step of the frame on top; false: a question is open. */
static bool desk_step(struct desk *d)
{
	struct frame *f = d->frames[d->n_frames - 1];

	switch (f->step) {
	case FRAME_APPLY:
		if (f->event) {
			desk_apply(d, f);
			return true;
		}
		if (!wake_by_timer(d, f))
			return false;
		f->step = FRAME_FOLLOW;
		return true;
	case FRAME_EXITS: desk_exits(d, f); return true;
	case FRAME_WAITS: return desk_waits(d, f);
	case FRAME_STARTS: return desk_starts(d, f);
	case FRAME_FOLLOW: desk_follow(d, f); return true;
	}
	return true;
}

/* Leaves the rest of the agenda as it is, for another batch: events stay EVENT_NEW, deadlines and timers due. */
static void desk_leave_rest(struct desk *d)
{
	for (; d->at_agenda < d->n_agenda; d->at_agenda++) {
		const struct shop_event *e = d->agenda[d->at_agenda].event;
		int64_t id = 0;

		if (e && e->origin == EVENT_EMITTED)
			id = waits_about(WHAT_TASK, e->type, e->data);
		for (size_t i = 0; id && i < d->visit->n_tasks; i++)
			if (d->visit->tasks[i]->id == id)
				d->visit->tasks[i]->overdue = false;
	}
	d->visit->is_cut = true;
}

enum desk_state desk_go(struct desk *d)
{
	d->n_answered = d->n_asked;
	d->state = DESK_OPEN;
	for (;;) {
		if (!d->n_frames) {
			struct agenda_item *next;

			if (d->at_agenda > 0 && d->at_agenda < d->n_agenda &&
				sitting_is_over(d->sitting))
				desk_leave_rest(d);
			if (d->at_agenda == d->n_agenda)
				break;
			d->effects = 0;
			next = &d->agenda[d->at_agenda++];
			if (next->event && desk_is_void(d, next->event))
				continue;
			desk_push_frame(d, next->event, next->chain, NULL);
		}
		if (!desk_step(d))
			return d->state = DESK_ASKING;
	}
	return d->state = DESK_DONE;
}
