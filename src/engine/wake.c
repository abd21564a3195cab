/*
 * wake.c: from a wake-up to the next wait.
 *
 * Before the rule is run everything that could keep it from running is looked at, in this order: the level of
 * its text, a suspension, two crashes, the text itself.  Whoever is kept from running keeps what it was woken
 * with (chain.arrived), so that it goes on with the same answer later.
 */
#include "engine/wake.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/planted.h"
#include "base/tz.h"
#include "engine/ask.h"
#include "engine/chain_step.h"
#include "engine/show.h"
#include "engine/switchboard.h"
#include "engine/verdict.h"
#include "engine/waits.h"

#include <string.h>

enum {
	WAKE_LATE_US = 60000000,   /* late = "end": later than this is an outage */
	WAKE_SENDING_US = 5000000, /* a message that is just being handed over is looked at again */
	WAKE_SENDING_MOST_US =
		600000000 /* ... not for ever: its courier may be gone with its host */
};

enum wake_text { WAKE_TEXT_READY, WAKE_TEXT_ASKED, WAKE_TEXT_MISSING };

/* Sees to it that the text of a chain is loaded.  MISSING fills err. */
static enum wake_text wake_load_text(struct desk *d, const struct chain *c, struct err *err)
{
	struct rules *rules = d->sitting->judge->rules;
	struct query q = { .kind = QUERY_TEXT, .hash = c->text_hash, .since_us = TIME_NONE };
	const struct query *answer;

	if (rules_text_is_loaded(rules, c->text_hash))
		return WAKE_TEXT_READY;
	answer = ask_answered(d, &q);
	if (!answer)
		return WAKE_TEXT_ASKED;
	if (!answer->text.p) {
		err_set(err, "the rule text %.12s is not in the database", c->text_hash.p);
		return WAKE_TEXT_MISSING;
	}
	return rules_text_load(rules, c->text_hash, answer->text, answer->level, err)
		       ? WAKE_TEXT_READY
		       : WAKE_TEXT_MISSING;
}

/* Asks for the body of a chain that was loaded without; true when it is there. */
static bool wake_load_body(struct desk *d, struct chain *c)
{
	struct query q = { .kind = QUERY_CHAIN, .chain = c, .since_us = TIME_NONE };

	return c->loaded || ask_answered(d, &q);
}

static void wake_say(struct desk *d, struct frame *f, const struct chain *c, enum verdict v,
	struct verdict_more more)
{
	more.chain = c->id;
	verdict_add(d, f, arena_dup(&d->sitting->batch->arena, c->rule.p, c->rule.n), v, more);
}

/* The verdict of a chain that was met by an event. */
static void wake_verdict(
	struct desk *d, struct frame *f, const struct chain *c, enum verdict v, const char *error)
{
	wake_say(d, f, c, v, (struct verdict_more){ .error = error });
}

/* May it be run here and now?  If not it is halted, with what it was woken by. */
static bool wake_may_run(struct desk *d, struct frame *f, struct chain *c, struct span answer)
{
	const struct judge *j = d->sitting->judge;

	if (c->level > RULE_LEVEL) {
		enum chain_state state = c->state;

		chain_halt(d, c, state, "needs a newer daemon", answer);
		c->wake_us = d->sitting->batch->now_us;
		wake_verdict(d, f, c, VERDICT_LEFT, NULL);
		return false;
	}
	if (!c->shop || c->shop->is_gone) {
		chain_halt(d, c, CHAIN_STUCK, "its store is not in the configuration any more",
			answer);
		wake_verdict(d, f, c, VERDICT_STORE, NULL);
		return false;
	}
	if (switchboard_is_suspended(&j->switches, c->rule)) {
		chain_halt(d, c, CHAIN_SUSPENDED, "its rule is suspended", answer);
		wake_verdict(d, f, c, VERDICT_SUSPENDED, NULL);
		return false;
	}
	if (switchboard_is_struck_chain(&j->switches, c)) {
		chain_halt(d, c, CHAIN_STUCK, "set aside: the process died twice while it ran it",
			answer);
		wake_verdict(d, f, c, VERDICT_STRUCK, NULL);
		return false;
	}
	return true;
}

/* Runs the rule until its next wait.  False: a question is open. */
static bool wake_run(struct desk *d, struct frame *f, struct chain *c, const struct rule *rule,
	struct span answer)
{
	struct arena *a = &d->sitting->batch->arena;
	size_t n_messages = d->visit->n_messages;
	struct span outcome;
	struct shop_event *event = show_read(d->sitting->judge, a, c->event, &outcome);
	struct eval e;
	enum eval_end end = EVAL_STUCK;
	const char *warning;

	eval_init(&e, d, f, rule, c->shop, event);
	e.chain = c;
	e.answer = answer;
	if (!event->type.n || json_kind(event->data) != JSON_OBJECT) {
		err_set(&e.err, "the event that it was started by is damaged");
	} else if (replay_open(&e.replay, a, c->history, &e.err)) {
		if (c->history.n)
			replay_answer(&e.replay, answer.p ? answer : SPAN("null"));
		end = eval_run(&e, rule->run_ref);
	}
	switch (end) {
	case EVAL_ASKS: return false;
	case EVAL_DONE:
	case EVAL_WAITS:
		verdict_well(d, rule);
		warning = chain_history_warning(d, &e);
		wake_say(d, f, c, VERDICT_WOKE, (struct verdict_more){ .warning = warning });
		if (warning)
			verdict_warn(d, f, rule, c->id, warning);
		chain_settle_run(d, &e, end, n_messages);
		break;
	case EVAL_STUCK:
		chain_halt(d, c, CHAIN_STUCK, e.err.text, answer);
		wake_verdict(d, f, c, VERDICT_STUCK, e.err.text);
		break;
	case EVAL_FAILED:
		verdict_fault(d, f, rule, c->id, e.err.text);
		chain_halt(d, c, CHAIN_FAILED, e.err.text, answer);
		wake_verdict(d, f, c, VERDICT_FAILED, e.err.text);
		break;
	}
	return true;
}

/* Goes on with an answer (JSON; {NULL,0}: it has not begun yet). */
static bool wake_resume(struct desk *d, struct frame *f, struct chain *c, struct span answer)
{
	const struct rule *rule;
	struct err err;

	if (!wake_may_run(d, f, c, answer))
		return true;
	switch (wake_load_text(d, c, &err)) {
	case WAKE_TEXT_ASKED: return false;
	case WAKE_TEXT_MISSING: chain_halt(d, c, CHAIN_STUCK, err.text, answer); return true;
	case WAKE_TEXT_READY: break;
	}
	rule = rules_in_text(d->sitting->judge->rules, c->text_hash, c->rule);
	if (!rule) {
		chain_halt(
			d, c, CHAIN_STUCK, "its rule is not in the text it is pinned to", answer);
		return true;
	}
	return wake_run(d, f, c, rule, answer);
}

/* Reads the wait at which a chain stands; false when it stands at none. */
static bool wake_read_plan(struct desk *d, const struct chain *c, struct wait_plan *ret)
{
	struct arena *a = &d->sitting->batch->arena;
	struct replay r;
	struct span result;
	struct err err;

	return c->history.n && replay_open(&r, a, c->history, &err) &&
	       replay_open_wait(&r, &result) && waits_read(result, a, ret, &err);
}

/* Does the time of the wait run?  Its row says so; or it began when a message expired. */
static bool wake_runs(const struct desk *d, const struct wait_plan *w, const struct chain *c)
{
	return waits_row_runs(w, c->awaits, c->n_awaits) ||
	       c->wake_us >= duration_add(w->until_us, w->span, desk_zone(d, c->shop));
}

/* Is a message that expires now being handed over at this moment, or was it, and the chain is to hear of it?  It may have been
 * claimed just in time.  False: a question is open. */
static bool wake_is_sending(
	struct desk *d, const struct wait_plan *w, struct chain *c, bool runs, bool *ret)
{
	struct query q = { .kind = QUERY_SENDING, .chain = c, .since_us = TIME_NONE };
	const struct query *answer;

	*ret = false;
	if (w->n_expires == 0 || c->n_open == 0 || (w->n_open > 0 && runs) ||
		d->sitting->batch->now_us > w->until_us + WAKE_SENDING_MOST_US)
		return true;
	answer = ask_answered(d, &q);
	for (size_t i = 0; answer && i < answer->n_messages; i++)
		*ret |= waits_in_list(w->expires, w->n_expires, answer->messages[i].id) &&
			waits_in_list(c->open, c->n_open, answer->messages[i].id);
	return answer != NULL;
}

/* The time of a wait begins to run: its row says so from now on. */
static void wake_begin_time(
	struct desk *d, struct chain *c, const struct wait_plan *w, int64_t until_us)
{
	c->wake_us = until_us;
	c->awaits = waits_types(w, true, &d->sitting->batch->arena, &c->n_awaits);
	chain_touch(c);
}

/* Does the row of a chain await the type? */
static bool wake_is_awaited(const struct chain *c, struct span type)
{
	for (unsigned i = 0; i < c->n_awaits; i++)
		if (event_type_matches(c->awaits[i], type))
			return true;
	return false;
}

bool wake_by_event(struct desk *d, struct frame *f, struct chain *c)
{
	const struct shop_event *e = f->event;
	struct wait_plan w;
	struct span outcome = { NULL, 0 };
	int64_t until_us = 0;
	enum wait_turn turn;
	bool is_outcome; /* of a handle: known by its number, whatever else it says (who did a task is no key) */

	if ((c->state != CHAIN_WAITING && c->state != CHAIN_SUSPENDED) || c->arrived.n ||
		!wake_is_awaited(c, e->type) || chain_is_immune(d, f, c))
		return true;
	is_outcome = waits_about(WHAT_MESSAGE, e->type, e->data) ||
		     waits_about(WHAT_TASK, e->type, e->data);
	if (!is_outcome && !chain_key_matches(d, desk_chain_of(d, c)->key_field, c, e))
		return true;
	if (!wake_load_body(d, c))
		return false;
	if (c->arrived.n || !wake_read_plan(d, c, &w))
		return true;
	turn = waits_meet(&w, e->type, e->data,
		e->time_us == TIME_NONE ? e->received_us : e->time_us, wake_runs(d, &w, c),
		desk_zone(d, c->shop), &outcome, &until_us);
	if (turn == WAIT_ANSWER && is_outcome && !outcome.p && /* waited for by its type */
		!chain_key_matches(d, desk_chain_of(d, c)->key_field, c, e))
		return true;
	switch (turn) {
	case WAIT_ON: return true;
	case WAIT_RUNS: wake_begin_time(d, c, &w, until_us); return true;
	case WAIT_NIL: return wake_resume(d, f, c, SPAN("null"));
	case WAIT_ANSWER: return wake_resume(d, f, c, show_write(d->sitting, e, outcome));
	}
	return true;
}

/* The first of what arrived while it could not be run, or {NULL,0}. */
static struct span wake_arrived(const struct chain *c)
{
	struct json_iter it;
	struct span first = { NULL, 0 };

	if (c->arrived.n) {
		json_iter_init(&it, c->arrived);
		if (!json_next(&it, NULL, &first))
			first = (struct span){ NULL, 0 };
	}
	return first;
}

/* Does its rule want a wait that ends so late to be dropped?  Rules that can not be looked up are run. */
static bool wake_is_too_late(struct desk *d, const struct chain *c)
{
	const struct rule *rule = rules_in_text(d->sitting->judge->rules, c->text_hash, c->rule);
	int64_t now_us = d->sitting->batch->now_us;

	if (!rule || PLANTED(ignore_late))
		return false;
	switch (rule->late) {
	case RULE_LATE_RUN: return false;
	case RULE_LATE_END: return now_us - c->wake_us > WAKE_LATE_US;
	case RULE_LATE_AFTER:
		return duration_add(c->wake_us, *rule->late_after, desk_zone(d, c->shop)) < now_us;
	}
	return false;
}

enum wake_end { WAKE_END_ASKED, WAKE_END_LATER, WAKE_END_ANSWER };

/* The end of a wait has come.  LATER: the row says when it ends now. */
static enum wake_end wake_end(
	struct desk *d, const struct wait_plan *w, struct chain *c, struct span *ret_answer)
{
	const struct tz *zone = desk_zone(d, c->shop);
	int64_t now_us = d->sitting->batch->now_us, until_us = c->wake_us;
	bool runs = wake_runs(d, w, c), sending;

	if (!wake_is_sending(d, w, c, runs, &sending))
		return WAKE_END_ASKED;
	if (sending && w->n_open == 0) { /* it is soon over, one way or the other */
		c->wake_us = now_us + WAKE_SENDING_US;
		chain_touch(c);
		return WAKE_END_LATER;
	}
	if (sending) { /* as good as handed over */
		until_us = duration_add(w->until_us, w->span, zone);
		if (until_us < now_us + WAKE_SENDING_US)
			until_us = now_us + WAKE_SENDING_US;
		wake_begin_time(d, c, w, until_us);
		return WAKE_END_LATER;
	}
	if (waits_end(w, runs, c->open, c->n_open, zone, now_us, &d->sitting->batch->arena,
		    ret_answer, &until_us) == WAIT_RUNS) {
		wake_begin_time(d, c, w, until_us);
		return WAKE_END_LATER;
	}
	c->wake_us = until_us; /* how late it is counts from its end */
	return WAKE_END_ANSWER;
}

bool wake_by_timer(struct desk *d, struct frame *f)
{
	struct chain *c = f->chain;
	int64_t now_us = d->sitting->batch->now_us;
	struct wait_plan w;
	struct span answer;
	struct err err;

	if (c->state != CHAIN_WAITING || c->wake_us == TIME_NONE || c->wake_us > now_us)
		return true; /* an event of this batch was quicker */
	if (!wake_load_body(d, c))
		return false;
	answer = wake_arrived(c);
	if (answer.p || !c->history.n)
		return wake_resume(d, f, c, answer);
	if (c->level <= RULE_LEVEL && wake_load_text(d, c, &err) == WAKE_TEXT_ASKED)
		return false;
	if (!wake_read_plan(d, c, &w)) {
		chain_halt(d, c, CHAIN_STUCK, "its history does not end with a wait", answer);
		return true;
	}
	switch (wake_end(d, &w, c, &answer)) {
	case WAKE_END_ASKED: return false;
	case WAKE_END_LATER: return true;
	case WAKE_END_ANSWER: break;
	}
	if (wake_is_too_late(d, c)) {
		chain_end(d, c, CHAIN_CANCELLED, SPAN("late"));
		return true;
	}
	return wake_resume(d, f, c, answer);
}
