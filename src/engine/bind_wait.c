/*** @module waiting
 * Pauses that survive everything.
 *
 *	local m = email { template = "question" }
 *	local answer = wait("3d", { m.replied, "order.placed" })
 *	wait_until(next_time "workday 10:00")
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "engine/args.h"
#include "engine/ask.h"
#include "engine/bind_time.h"
#include "engine/binds.h"
#include "engine/script.h"
#include "engine/show.h"
#include "engine/waits.h"

#include <lauxlib.h>
#include <string.h>

/*** handles in a wait ***/

enum wait_handle_state {
	HANDLE_OPEN,    /* not handed over yet */
	HANDLE_OVER,    /* handed over or failed: events tell */
	HANDLE_REFUSED, /* it was never sent: the code says why */
};

/* One message or task that a wait names. */
struct wait_handle {
	enum what_object object;
	int64_t id;
	enum wait_handle_state state;
	bool is_fresh;    /* made in this very stretch: nothing can have happened to it */
	int64_t end_us;   /* expires, deadline; TIME_NONE */
	struct span code; /* of HANDLE_REFUSED */
};

/* Finds the step that made a handle. */
static bool wait_find_step(const struct eval *e, enum what_object object, int64_t id,
	struct span *ret, bool *ret_fresh)
{
	const char *call = object == WHAT_MESSAGE ? "email" : "task";
	struct span value;
	int64_t made;

	for (size_t p = e->replay.n_parts; p-- > 0;) {
		const struct replay_part *part = &e->replay.parts[p];

		for (size_t i = part->n_steps; i-- > 0;)
			if (span_is(part->steps[i].call, call) &&
				json_get(part->steps[i].result, SPAN("id"), &value) &&
				json_integer(value, &made) && made == id) {
				*ret = part->steps[i].result;
				*ret_fresh = p >= e->replay.n_recorded;
				return true;
			}
	}
	return false;
}

static void wait_look_up(struct eval *e, const struct what_term *t, struct wait_handle *ret)
{
	struct span step, value;

	*ret = (struct wait_handle){
		.object = t->object, .id = t->id, .state = HANDLE_OVER, .end_us = TIME_NONE
	};
	if (!wait_find_step(e, t->object, t->id, &step, &ret->is_fresh))
		return;
	if (json_get(
		    step, t->object == WHAT_MESSAGE ? SPAN("expires") : SPAN("deadline"), &value) &&
		!json_integer(value, &ret->end_us))
		ret->end_us = TIME_NONE;
	if (json_get(step, SPAN("code"), &value)) {
		ret->state = HANDLE_REFUSED;
		ret->code = json_text(value, eval_arena(e));
	} else if (t->object == WHAT_MESSAGE &&
		   (ret->is_fresh || waits_in_list(e->chain->open, e->chain->n_open, t->id))) {
		ret->state = HANDLE_OPEN;
	}
}

/*** a wait that is made now ***/

struct wait_call {
	struct eval *e;
	struct wait_plan plan;
	struct duration span;
	bool has_span; /* wait(duration, ...): else until is given, or the handles end it */
	struct wait_handle *handles;
	size_t n_handles;
	int64_t sent_us;    /* the first hand-over that is known; TIME_NONE */
	struct span answer; /* it is answered at once; else {NULL,0} */
};

/* Looks up every message and task that it names. */
static void wait_take_handles(struct wait_call *w)
{
	w->handles = arena_array(eval_arena(w->e), struct wait_handle, w->plan.what.n);
	for (unsigned i = 0; i < w->plan.what.n; i++)
		if (w->plan.what.terms[i].kind == WHAT_OUTCOME)
			wait_look_up(w->e, &w->plan.what.terms[i], &w->handles[w->n_handles++]);
}

/* A refused message is over at once: failed. */
static void wait_answer_refused(struct wait_call *w, const struct wait_handle *h)
{
	struct arena *a = eval_arena(w->e);
	struct shop_event *failed = arena_new(a, struct shop_event);
	struct span outcome;
	int64_t until_us;

	failed->type = SPAN("message.failed");
	failed->id = SPAN("");
	failed->shop = w->e->shop;
	failed->time_us = failed->received_us = eval_now(w->e);
	failed->claimed_us = TIME_NONE;
	failed->data.p = arena_printf(a, "{\"code\":\"%.*s\",\"message_id\":\"%lld\"}",
		SPAN_ARG(h->code), (long long)h->id);
	failed->data.n = strlen(failed->data.p);
	switch (waits_meet(&w->plan, failed->type, failed->data, failed->time_us, true, w->e->zone,
		&outcome, &until_us)) {
	case WAIT_ANSWER: w->answer = show_write(w->e->desk->sitting, failed, outcome); return;
	case WAIT_NIL: w->answer = SPAN("null"); return;
	case WAIT_RUNS:
	case WAIT_ON: return;
	}
}

/* What happened to the handles before this call answers at once, the oldest first. */
static void wait_answer_past(lua_State *L, struct wait_call *w)
{
	struct what handles = { arena_array(eval_arena(w->e), struct what_term, w->plan.what.n),
		0 };
	struct query q = { .kind = QUERY_EVENTS, .limit = 10000 };
	struct ask_event *past;
	struct wait_plan plan = w->plan;
	size_t n;
	unsigned n_types;

	for (unsigned i = 0; i < w->plan.what.n; i++)
		if (w->plan.what.terms[i].kind == WHAT_OUTCOME)
			handles.terms[handles.n++] = w->plan.what.terms[i];
	plan.what = handles;
	plan.open = &w->handles[0].id; /* for the types: the hand-over is asked for, too */
	plan.n_open = 1;
	q.types = waits_types(&plan, false, eval_arena(w->e), &n_types);
	q.n_types = n_types;
	q.since_us = w->e->chain->started_us;
	past = ask_events(w->e->desk, eval_ask(L, w->e, &q), &n);
	while (n-- > 0 && !w->answer.p) {
		struct shop_event *seen;
		struct span outcome;
		int64_t until_us;

		if (waits_is_handed_over(past[n].type) && w->sent_us == TIME_NONE)
			for (size_t i = 0; i < w->n_handles; i++)
				if (w->handles[i].id ==
					waits_about(WHAT_MESSAGE, past[n].type, past[n].data))
					w->sent_us = past[n].time_us;
		switch (waits_meet(&plan, past[n].type, past[n].data, past[n].time_us, true,
			w->e->zone, &outcome, &until_us)) {
		case WAIT_ANSWER:
			seen = arena_new(eval_arena(w->e), struct shop_event);
			seen->id = past[n].id;
			seen->type = past[n].type;
			seen->data = past[n].data;
			seen->shop = w->e->shop;
			seen->time_us = seen->received_us = past[n].time_us;
			seen->claimed_us = TIME_NONE;
			seen->seq = past[n].seq;
			w->answer = show_write(w->e->desk->sitting, seen, outcome);
			break;
		case WAIT_NIL:
			if (w->plan.what.n == handles.n)
				w->answer = SPAN("null");
			break;
		case WAIT_RUNS:
		case WAIT_ON: break;
		}
	}
}

/* Is everything that it waits for an outcome of a message or task? */
static bool wait_is_for_handles_only(const struct wait_call *w)
{
	return w->n_handles && w->n_handles == w->plan.what.n;
}

/* wait(duration, ...): until when, and does time run already? */
static void wait_end_span(struct wait_call *w)
{
	int64_t now_us = eval_now(w->e), last_us = TIME_NONE;

	w->plan.open = arena_array(eval_arena(w->e), int64_t, w->n_handles);
	for (size_t i = 0; i < w->n_handles; i++)
		if (w->handles[i].state == HANDLE_OPEN) {
			w->plan.open[w->plan.n_open++] = w->handles[i].id;
			if (w->handles[i].end_us > last_us)
				last_us = w->handles[i].end_us;
		}
	w->plan.span = w->span;
	if (w->plan.n_open)
		w->plan.until_us = last_us;
	else if (w->sent_us != TIME_NONE && wait_is_for_handles_only(w))
		w->plan.until_us = duration_add(w->sent_us, w->span, w->e->zone);
	else
		w->plan.until_us = duration_add(now_us, w->span, w->e->zone);
}

/* wait(handle): until it is over, or at its own end. */
static void wait_end_handles(lua_State *L, struct wait_call *w)
{
	if (!wait_is_for_handles_only(w))
		luaL_error(L, "wait: say how long: wait(\"1d\", ...)");
	for (size_t i = 0; i < w->n_handles; i++)
		if (w->handles[i].end_us > w->plan.until_us)
			w->plan.until_us = w->handles[i].end_us;
}

/* wait(handle) alone always has an answer: the outcome that it ended with, or ends with by itself. */
static void wait_end_bare(struct wait_call *w)
{
	const struct what_term *only = w->plan.what.terms;

	if (w->has_span || w->plan.until_us != TIME_NONE || w->plan.what.n != 1 ||
		only->kind != WHAT_OUTCOME || only->outcome.n)
		return;
	w->plan.end_outcome = only->object == WHAT_MESSAGE ? SPAN("failed") : SPAN("overdue");
	w->plan.end_object = only->object;
	w->plan.end_id = only->id;
}

/* Which messages expire when it ends? */
static void wait_note_expiry(struct wait_call *w)
{
	w->plan.expires = arena_array(eval_arena(w->e), int64_t, w->n_handles);
	for (size_t i = 0; i < w->n_handles; i++)
		if (w->handles[i].state == HANDLE_OPEN && w->handles[i].end_us <= w->plan.until_us)
			w->plan.expires[w->plan.n_expires++] = w->handles[i].id;
}

/* It ends with the call: it is answered, or its time begins to run. */
static void wait_end_now(struct wait_call *w)
{
	struct wait_plan *p = &w->plan;
	int64_t now_us = eval_now(w->e), until_us;
	struct span answer;

	if (waits_end(p, false, p->expires, p->n_expires, w->e->zone, now_us, eval_arena(w->e),
		    &answer, &until_us) == WAIT_RUNS) {
		p->n_open = p->n_expires = 0;
		p->until_us = until_us;
		return;
	}
	w->answer = answer;
}

/* Fills the plan, and the answer when there is one already. */
static void wait_plan_now(lua_State *L, struct wait_call *w)
{
	bool ask = false;

	wait_take_handles(w);
	wait_end_bare(w);
	for (size_t i = 0; i < w->n_handles; i++) {
		if (w->handles[i].state == HANDLE_REFUSED && !w->answer.p)
			wait_answer_refused(w, &w->handles[i]);
		ask |= w->handles[i].state != HANDLE_REFUSED && !w->handles[i].is_fresh;
	}
	if (ask && !w->answer.p)
		wait_answer_past(L, w);
	if (w->answer.p)
		return;
	if (w->has_span)
		wait_end_span(w);
	else if (w->plan.until_us == TIME_NONE)
		wait_end_handles(L, w);
	wait_note_expiry(w);
	if (w->plan.until_us != TIME_NONE && w->plan.until_us <= eval_now(w->e))
		wait_end_now(w);
}

/* The text passes the wait: pushes what it was answered. */
static int wait_pass(lua_State *L, struct eval *e, struct span answer)
{
	eval_enter_part(e);
	show_answer(L, e->desk->sitting->judge, eval_arena(e), answer);
	return 1;
}

/* Either goes on at once, or stops here. */
static int wait_do(lua_State *L, struct wait_call *w, const char *call)
{
	struct eval *e = w->e;
	struct span none = { NULL, 0 }, answer;
	bool runs;

	wait_plan_now(L, w);
	eval_record(L, e, call, none, waits_write(&w->plan, eval_arena(e)));
	if (w->answer.p) {
		replay_answer(&e->replay, w->answer);
		if (!replay_wait_over(&e->replay, &answer))
			return luaL_error(L, "the history of the chain is damaged");
		return wait_pass(L, e, w->answer);
	}
	runs = !w->plan.n_open;
	e->wait.wake_us = w->plan.until_us;
	e->wait.awaits = waits_types(&w->plan, runs, eval_arena(e), &e->wait.n_awaits);
	eval_stop(L, e, EVAL_WAIT);
	return 0;
}

/* Reads a *what* at idx, if there is one. */
static void wait_read_what(lua_State *L, struct wait_call *w, int idx, const char *call)
{
	struct err err;

	if (lua_isnoneornil(L, idx))
		return;
	if (!what_read(L, idx, true, eval_arena(w->e), &w->plan.what, &err))
		luaL_error(L, "%s: %s", call, err.text);
}

/* The common part of wait and wait_until: true when the history answers; then the answer is pushed. */
static bool wait_is_recorded(lua_State *L, struct eval *e, const char *call)
{
	struct span result, answer;

	if (!eval_step(L, e, call, (struct span){ NULL, 0 }, &result))
		return false;
	eval_need(L, e,
		replay_wait_over(&e->replay, &answer) &&
			(json_is_null(answer) || json_kind(answer) == JSON_OBJECT));
	wait_pass(L, e, answer);
	return true;
}

/*** @function wait(duration, what)
 * Pauses, until something happens or the time is over.
 * @param {string} duration "90m", "1d" (calendar days in the customer's zone), "1h30m"; or a time; left out for
 *   a handle, which is over by itself
 * @param {what} what event type, pattern, on(...), handle, outcome, or a list of these
 * @return {event} what happened (of a handle: with .outcome), or nil when the time was over
 */
static int l_wait_wait(lua_State *L)
{
	struct eval *e = eval_of_run(L, "wait");
	struct wait_call w = { .e = e, .sent_us = TIME_NONE };
	int64_t at_us;

	lua_settop(L, 2);
	if (wait_is_recorded(L, e, "wait"))
		return 1;
	w.plan.at_us = eval_now(e);
	w.plan.until_us = TIME_NONE;
	if (lua_type(L, 1) == LUA_TSTRING) {
		w.span = args_duration(L, 1, "wait");
		w.has_span = true;
		wait_read_what(L, &w, 2, "wait");
	} else if (bind_time_is(L, 1, &at_us)) {
		w.plan.until_us = at_us;
		wait_read_what(L, &w, 2, "wait");
	} else if (lua_isnil(L, 2) && !lua_isnil(L, 1)) {
		wait_read_what(L, &w, 1, "wait");
	} else {
		return luaL_argerror(L, 1, "a duration like \"90m\", a time or a handle");
	}
	return wait_do(L, &w, "wait");
}

/*** @function wait_until(time, what)
 * Pauses until a moment, or until something happens before it; goes on at once when it is past.
 * @param {time} time next_time "monday 09:00", before(order.delivery_at, "1h"), ...
 * @param {what} what may be left out
 * @return {event} what happened, or nil
 */
static int l_wait_wait_until(lua_State *L)
{
	struct eval *e = eval_of_run(L, "wait_until");
	struct wait_call w = { .e = e, .sent_us = TIME_NONE };

	lua_settop(L, 2);
	if (wait_is_recorded(L, e, "wait_until"))
		return 1;
	w.plan.at_us = eval_now(e);
	w.plan.until_us = bind_time_check(L, 1);
	wait_read_what(L, &w, 2, "wait_until");
	return wait_do(L, &w, "wait_until");
}

static const luaL_Reg wait_calls[] = {
	{ "wait", l_wait_wait },
	{ "wait_until", l_wait_wait_until },
	{ NULL, NULL },
};

void bind_wait(struct script *s)
{
	script_define(s, wait_calls);
}
