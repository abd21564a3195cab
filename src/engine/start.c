/*
 * start.c: may this rule start a chain for this event?
 *
 * What costs nothing is asked first.  `when` is asked before mode and cooldown, so that a verdict tells the
 * deepest reason; what mode "restart" ends is ended last, when nothing can fail any more: an error must leave
 * the old chain as it was.
 */
#include "engine/start.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/planted.h"
#include "base/tz.h"
#include "engine/chain_step.h"
#include "engine/field.h"
#include "engine/switchboard.h"
#include "engine/verdict.h"

#include <lauxlib.h>
#include <string.h>

enum start_turn { START_GOES_ON, START_IS_OVER, START_ASKS };

/* One start on its way. */
struct start {
	struct desk *desk;
	struct frame *frame;
	const struct rule *rule;
	struct span key;
	struct eval when;
};

/* Says no. */
static enum start_turn start_refuse(struct start *s, enum verdict v, struct verdict_more more)
{
	verdict_add(s->desk, s->frame, s->rule->name, v, more);
	return START_IS_OVER;
}

static int64_t start_now(const struct start *s)
{
	return s->desk->sitting->batch->now_us;
}

/* Is the rule for this store? */
static bool start_is_for_store(const struct rule *rule, const struct shop *shop)
{
	for (unsigned i = 0; i < rule->n_stores; i++)
		if (!strcmp(rule->stores[i], shop->id))
			return true;
	return rule->n_stores == 0;
}

/* What needs no Lua. */
static enum start_turn start_filter(struct start *s)
{
	const struct switches *switches = &s->desk->sitting->judge->switches;
	const struct shop_event *e = s->frame->event;
	int64_t time_us = e->time_us == TIME_NONE ? e->received_us : e->time_us;
	struct verdict_more none = { 0 };

	if (!e->shop || e->shop->is_gone || !start_is_for_store(s->rule, e->shop))
		return start_refuse(s, VERDICT_STORE, none);
	if (what_match(&s->rule->on, e->type, e->data) < 0)
		return start_refuse(s, VERDICT_FILTER, none);
	if (switchboard_is_suspended(switches, span_of(s->rule->name)))
		return start_refuse(s, VERDICT_SUSPENDED, none);
	if (switchboard_is_struck(switches, e, span_of(s->rule->name)))
		return start_refuse(s, VERDICT_STRUCK, none);
	if (duration_add(time_us, *s->rule->max_age, desk_zone(s->desk, e->shop)) < start_now(s))
		return start_refuse(s, VERDICT_MAX_AGE, none);
	return START_GOES_ON;
}

/* Calls `when` or `key`. */
static enum start_turn start_ask_rule(struct start *s, struct eval *e, int function_ref)
{
	UNSET struct err err;

	eval_init(e, s->desk, s->frame, s->rule, s->frame->event->shop, s->frame->event);
	if (!replay_open(&e->replay, eval_arena(e), (struct span){ NULL, 0 }, &err))
		return START_IS_OVER;
	switch (eval_run(e, function_ref)) {
	case EVAL_ASKS: return START_ASKS;
	case EVAL_DONE: return START_GOES_ON;
	case EVAL_WAITS:
	case EVAL_STUCK:
	case EVAL_FAILED: break;
	}
	verdict_fault(s->desk, s->frame, s->rule, 0, e->err.text);
	return start_refuse(
		s, VERDICT_ERROR, (struct verdict_more){ .eval = e, .error = e->err.text });
}

enum { START_KEY_MOST = 500 }; /* bytes: an index of Postgres ends at about 2,700 */

/* What is the chain about? */
static enum start_turn start_key(struct start *s)
{
	struct arena *a = &s->desk->sitting->batch->arena;
	struct span value;
	enum start_turn turn;
	UNSET struct eval e;

	s->key = SPAN("");
	if (s->rule->key_field) {
		s->key = json_find(s->frame->event->data, s->rule->key_field, &value)
				 ? field_text(value, a)
				 : (struct span){ NULL, 0 };
	} else if (s->rule->key_ref != LUA_NOREF) {
		turn = start_ask_rule(s, &e, s->rule->key_ref);
		if (turn != START_GOES_ON)
			return turn;
		s->key = e.text;
	}
	if (!s->key.p || s->key.n > START_KEY_MOST)
		return start_refuse(s, VERDICT_KEY, (struct verdict_more){ 0 });
	return START_GOES_ON;
}

/* Ends what mode "restart" ends; true when there was anything. */
static bool start_cancel_old(struct start *s)
{
	struct desk *d = s->desk;
	bool any = false;
	struct chain *c;

	if (s->rule->mode != RULE_RESTART)
		return false;
	while ((c = chain_find(d, s->rule->name, s->key)) != NULL) {
		/* a chain that this very event began (a derived event of it) is the new one */
		if (chain_is_immune(d, s->frame, c))
			break;
		verdict_add(d, s->frame, s->rule->name, VERDICT_CANCEL,
			(struct verdict_more){ .chain = c->id });
		chain_end(d, c, CHAIN_CANCELLED, SPAN("restart"));
		any = true;
	}
	return any;
}

static enum start_turn start_when(struct start *s)
{
	enum start_turn turn;

	if (s->rule->when_ref == LUA_NOREF)
		return START_GOES_ON;
	turn = start_ask_rule(s, &s->when, s->rule->when_ref);
	if (turn != START_GOES_ON)
		return turn;
	verdict_well(s->desk, s->rule);
	if (s->when.truth)
		return START_GOES_ON;
	start_cancel_old(s);
	return start_refuse(s, VERDICT_WHEN, (struct verdict_more){ .eval = &s->when });
}

/* The last start of the rule, or NULL. */
static struct rule_last *start_last(struct start *s)
{
	const struct visit *v = s->desk->visit;
	struct span key = s->rule->cooldown_per_customer ? SPAN("") : s->key;

	for (size_t i = 0; i < v->n_lasts; i++)
		if (span_is(v->lasts[i]->rule, s->rule->name) && span_eq(v->lasts[i]->key, key))
			return v->lasts[i];
	return NULL;
}

/* Remembers this start for the cooldown. */
static void start_note_last(struct start *s)
{
	struct arena *a = &s->desk->sitting->batch->arena;
	struct visit *v = s->desk->visit;
	struct rule_last *last = start_last(s);

	if (!last) {
		last = arena_new(a, struct rule_last);
		last->rule = span_of(arena_strdup(a, s->rule->name));
		last->key = s->rule->cooldown_per_customer ? SPAN("") : s->key;
		BATCH_PUSH(a, v->lasts, v->n_lasts, v->cap_lasts) = last;
	}
	last->started_us = start_now(s);
	last->changed = true;
}

/* Mode, cooldown and the number of chains.  *ret_queued: it must stand behind another. */
static enum start_turn start_room(struct start *s, bool *ret_queued)
{
	struct chain *old = chain_find(s->desk, s->rule->name, s->key);
	const struct rule_last *last = s->rule->cooldown ? start_last(s) : NULL;
	struct verdict_more more = { .chain = old ? old->id : 0 };

	*ret_queued = false;
	if (PLANTED(start_second) && s->rule->mode == RULE_SINGLE)
		old = NULL;
	if (PLANTED(ignore_cooldown))
		last = NULL;
	if (old && s->rule->mode == RULE_RESTART && !chain_is_immune(s->desk, s->frame, old))
		return START_GOES_ON;
	if (old && (s->rule->mode == RULE_SINGLE || s->rule->mode == RULE_RESTART))
		return start_refuse(s, VERDICT_MODE, more);
	more.chain = 0;
	if (last && duration_add(last->started_us, *s->rule->cooldown,
			    desk_zone(s->desk, s->frame->event->shop)) > start_now(s))
		return start_refuse(s, VERDICT_COOLDOWN, more);
	if (chain_count_live(s->desk->visit) >= s->desk->sitting->judge->env.limits.chains)
		return start_refuse(s, VERDICT_LIMIT, more);
	*ret_queued = old && s->rule->mode == RULE_QUEUED;
	return START_GOES_ON;
}

/* Says yes, and what comes near (NULL: nothing). */
static void start_say(struct start *s, enum verdict v, const struct chain *c, const char *warning)
{
	verdict_add(s->desk, s->frame, s->rule->name, v,
		(struct verdict_more){ .chain = c->id, .warning = warning });
	if (warning)
		verdict_warn(s->desk, s->frame, s->rule, c->id, warning);
}

/* The chain is begun: everything that follows from it. */
static void start_settle(
	struct start *s, struct chain *c, struct eval *run, enum eval_end end, size_t n_messages)
{
	bool is_restart = start_cancel_old(s);
	const char *warning = chain_history_warning(s->desk, run);

	if (s->rule->cooldown && !is_restart)
		start_note_last(s);
	start_say(s, VERDICT_STARTED, c, warning ? warning : chain_count_warning(s->desk));
	verdict_well(s->desk, s->rule);
	chain_admit(s->desk, s->frame, c);
	chain_settle_run(s->desk, run, end, n_messages);
}

/* Puts a start behind the chain that is live. */
static void start_queue(struct start *s)
{
	struct shop_event *e = s->frame->event;
	struct chain *c = chain_new(s->desk, s->rule, s->key, e, e->shop);

	c->state = CHAIN_QUEUED;
	start_say(s, VERDICT_QUEUED, c, chain_count_warning(s->desk));
	chain_admit(s->desk, s->frame, c);
	if (s->rule->cooldown)
		start_note_last(s);
}

/* Runs it until its first wait.  False: a question is open. */
static bool start_run(struct start *s)
{
	struct batch *b = s->desk->sitting->batch;
	struct shop_event *event = s->frame->event;
	int64_t id_next = b->id_next;
	size_t n_messages = s->desk->visit->n_messages;
	struct chain *c = chain_new(s->desk, s->rule, s->key, event, event->shop);
	enum eval_end end = EVAL_FAILED;
	UNSET struct eval e;

	eval_init(&e, s->desk, s->frame, s->rule, event->shop, event);
	e.chain = c;
	if (replay_open(&e.replay, eval_arena(&e), (struct span){ NULL, 0 }, &e.err))
		end = eval_run(&e, s->rule->run_ref);
	switch (end) {
	case EVAL_DONE:
	case EVAL_WAITS: start_settle(s, c, &e, end, n_messages); return true;
	case EVAL_ASKS: b->id_next = id_next; return false;
	case EVAL_STUCK:
	case EVAL_FAILED: break;
	}
	b->id_next = id_next;
	if (PLANTED(error_ends_event))
		s->frame->n_rules = s->frame->at + 1;
	verdict_fault(s->desk, s->frame, s->rule, 0, e.err.text);
	start_refuse(s, VERDICT_ERROR, (struct verdict_more){ .eval = &e, .error = e.err.text });
	return true;
}

bool start_try(struct desk *d, struct frame *f, const struct rule *rule)
{
	size_t n_runs = d->sitting->n_runs;
	enum start_turn turn;
	bool queued, is_over;
	UNSET struct start s;

	s.desk = d;
	s.frame = f;
	s.rule = rule;
	if ((turn = start_filter(&s)) != START_GOES_ON || (turn = start_key(&s)) != START_GOES_ON ||
		(turn = start_when(&s)) != START_GOES_ON ||
		(turn = start_room(&s, &queued)) != START_GOES_ON) {
		is_over = turn != START_ASKS;
	} else if (queued) {
		start_queue(&s);
		is_over = true;
	} else {
		is_over = start_run(&s);
	}
	if (!is_over)
		d->sitting->n_runs = n_runs; /* `when` will be asked again */
	return is_over;
}
