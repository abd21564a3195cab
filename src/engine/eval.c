/*
 * eval.c: one evaluation, whole or not at all.
 *
 * The mark is a copy of what may move: the lengths of the effect lists, the card, the next number.  Going
 * back is cutting the lists; the memory of what was dropped stays in the arena of the batch until its end.
 * That is cheaper than any journal, because an evaluation may only append (and change the card): what it
 * does to chains that exist is done by the judge, after it has come to a good end.
 *
 * A wait and a question are both a yield that is never resumed: the one because the chain is replayed from
 * its history, the other because an evaluation that asked is run again from its beginning once the answer
 * is there.  Keeping the coroutine instead would keep numbers taken while other customers take theirs.
 */
#include "engine/eval.h"

#include "base/crashnote.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/tz.h"
#include "engine/ask.h"
#include "engine/bind_time.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "engine/show.h"

#include <string.h>

/* Each is a round trip to the database, and those of the batch wait for it. */
enum { EVAL_QUESTIONS = 100 };

/* Where everything stood before. */
struct eval_mark {
	size_t n_tasks, n_messages, n_notes, n_consents, n_suppressions, n_follow;
	unsigned effects, emits, follow_effects;
	int64_t id_next;
	struct customer card;
};

static void eval_mark_set(struct eval_mark *m, const struct eval *e)
{
	const struct visit *v = e->desk->visit;

	m->n_tasks = v->n_tasks;
	m->n_messages = v->n_messages;
	m->n_notes = v->n_notes;
	m->n_consents = v->n_consents;
	m->n_suppressions = v->n_suppressions;
	m->n_follow = e->frame->follow.n;
	m->effects = e->frame->effects;
	m->follow_effects = e->desk->effects;
	m->emits = e->frame->emits;
	m->id_next = eval_batch(e)->id_next;
	m->card = *v->card;
}

/* Takes back all that was done since the mark. */
static void eval_mark_return(const struct eval_mark *m, struct eval *e)
{
	struct visit *v = e->desk->visit;

	v->n_tasks = m->n_tasks;
	v->n_messages = m->n_messages;
	v->n_notes = m->n_notes;
	v->n_consents = m->n_consents;
	v->n_suppressions = m->n_suppressions;
	e->frame->follow.n = m->n_follow;
	e->frame->effects = m->effects;
	e->desk->effects = m->follow_effects;
	e->frame->emits = m->emits;
	eval_batch(e)->id_next = m->id_next;
	*v->card = m->card;
}

void eval_init(struct eval *e, struct desk *d, struct frame *f, const struct rule *rule,
	const struct shop *shop, struct shop_event *event)
{
	memset(e, 0, offsetof(struct eval, fields));
	e->err.text[0] = e->err.hint[0] = '\0';
	e->desk = d;
	e->frame = f;
	e->rule = rule;
	e->shop = shop;
	e->event = event;
	e->wait.wake_us = TIME_NONE;
}

struct batch *eval_batch(const struct eval *e)
{
	return e->desk->sitting->batch;
}

int64_t eval_now(const struct eval *e)
{
	return eval_batch(e)->now_us;
}

struct arena *eval_arena(const struct eval *e)
{
	return &e->desk->sitting->batch->arena;
}

/* The function and its arguments (script_push_fn). */
static int eval_push(lua_State *L, void *ud)
{
	struct eval *e = ud;
	struct judge *j = e->desk->sitting->judge;

	lua_rawgeti(L, LUA_REGISTRYINDEX, e->function_ref);
	show_event(L, j, e->event);
	lua_rawgeti(L, LUA_REGISTRYINDEX, j->customer_ref);
	return 2;
}

/* What it returned (script_done_fn). */
static void eval_take(lua_State *L, int n, void *ud)
{
	struct eval *e = ud;

	if (n < 1)
		return;
	e->truth = lua_toboolean(L, -n);
	if (lua_isstring(L, -n) && e->function_ref == e->rule->key_ref)
		e->text = eval_text(L, e, lua_absindex(L, -n));
}

/* Text for the crash note, cut when it is too long. */
struct clipped {
	size_t n;
	char text[CRASH_ID_SIZE];
};

static void clip_add(struct clipped *c, struct span s)
{
	size_t room = sizeof c->text - 1 - c->n, n = s.n < room ? s.n : room;

	if (n)
		memcpy(c->text + c->n, s.p, n);
	c->text[c->n += n] = '\0';
}

/* Tells the crash note what is run now. */
static void eval_note(const struct eval *e, bool begins)
{
	const struct judge_env *env = &e->desk->sitting->judge->env;
	UNSET struct clipped id;
	char number[24];

	if (!env->note)
		return;
	if (!begins) {
		env->note(env->arg, NULL, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
		return;
	}
	id.n = 0;
	if (e->answer.p || !e->frame->event) {
		snprintf(number, sizeof number, "%lld", (long long)e->chain->id);
		clip_add(&id, span_of(number));
	} else {
		clip_add(&id, span_of(e->shop->id));
		clip_add(&id, SPAN("/"));
		clip_add(&id, e->event->source);
		clip_add(&id, SPAN("/"));
		clip_add(&id, e->event->id);
	}
	env->note(env->arg, e->answer.p || !e->frame->event ? "chain" : "event",
		(struct span){ id.text, id.n }, span_of(e->rule->name));
	FAILPOINT_ID("judge.eval", e->rule->name, id.text);
}

/* What came of the run, seen from the outside. */
static enum eval_end eval_judge_end(struct eval *e, enum script_result result)
{
	switch (result) {
	case SCRIPT_DONE:
		return e->chain && !replay_is_over(&e->replay, &e->err) ? EVAL_STUCK : EVAL_DONE;
	case SCRIPT_YIELD:
		if (e->stop == EVAL_WAIT)
			return replay_is_over(&e->replay, &e->err) ? EVAL_WAITS : EVAL_STUCK;
		if (e->stop == EVAL_ASK)
			return EVAL_ASKS;
		err_set(&e->err, "%s:%d: the rule yielded outside of a call", e->rule->file,
			e->rule->line);
		return EVAL_FAILED;
	case SCRIPT_ERROR: return e->stop == EVAL_DISAGREES ? EVAL_STUCK : EVAL_FAILED;
	}
	return EVAL_FAILED;
}

enum eval_end eval_run(struct eval *e, int function_ref)
{
	struct judge *j = e->desk->sitting->judge;
	struct script_run *run;
	UNSET struct eval_mark mark;
	enum script_result result;
	enum eval_end end;

	e->number = ++j->n_evals;
	e->function_ref = function_ref;
	eval_mark_set(&mark, e);
	eval_note(e, true);
	run = script_run_start(j->script, eval_push, eval_take, e, e);
	eval_enter_part(e);
	result = script_run_resume(run, &e->err);
	e->hit_limit = result == SCRIPT_ERROR && script_run_hit_limit(run);
	end = eval_judge_end(e, result);
	script_run_end(run);
	eval_note(e, false);
	if (end != EVAL_DONE && end != EVAL_WAITS)
		eval_mark_return(&mark, e);
	return end;
}

/*** for binds ***/

struct eval *eval_of(lua_State *L, const char *call)
{
	struct eval *e = script_run_ctx(L);

	if (!e)
		luaL_error(L, "%s can not be called here: only inside `when` and `run`", call);
	return e;
}

struct eval *eval_of_run(lua_State *L, const char *call)
{
	struct eval *e = eval_of(L, call);

	if (!e->chain)
		luaL_error(L,
			"%s can not be called in `when`, which only decides: move it to `run`",
			call);
	return e;
}

bool eval_step(
	lua_State *L, struct eval *e, const char *call, struct span name, struct span *ret_result)
{
	const struct judge_limits *limits = &e->desk->sitting->judge->env.limits;
	char where[128];

	script_charge(L, 200);
	if (!e->chain)
		return false;
	if (e->replay.count >= limits->steps)
		luaL_error(L, "a chain may have %d steps at most (limit)", (int)limits->steps);
	switch (replay_step(&e->replay, call, name, ret_result, &e->err)) {
	case REPLAY_LIVE: return false;
	case REPLAY_RECORDED: return true;
	case REPLAY_STUCK:
		script_where(L, where, sizeof where);
		e->stop = EVAL_DISAGREES;
		luaL_error(L, "%s (%s)", e->err.text, where);
	}
	return false;
}

void eval_need(lua_State *L, struct eval *e, bool is_whole)
{
	if (is_whole)
		return;
	e->stop = EVAL_DISAGREES;
	luaL_error(L, "the history of the chain is damaged at step %d", (int)e->replay.count);
}

struct span eval_made(
	struct eval *e, struct span code, const char *time_name, int64_t time_us, int64_t id)
{
	struct buf *b = &e->desk->sitting->judge->scratch;

	buf_clear(b);
	buf_char(b, '{');
	if (code.p) {
		json_put_key(b, "code");
		json_put_text(b, code);
	}
	if (time_name) {
		json_put_key(b, time_name);
		buf_int(b, time_us);
	}
	json_put_key(b, "id");
	buf_int(b, id);
	buf_char(b, '}');
	return sitting_keep(e->desk->sitting, b);
}

int64_t eval_made_id(lua_State *L, struct eval *e, struct span result)
{
	struct span value;
	int64_t id = 0;

	eval_need(L, e, json_get(result, SPAN("id"), &value) && json_integer(value, &id));
	return id;
}

void eval_record(
	lua_State *L, struct eval *e, const char *call, struct span name, struct span result)
{
	const struct judge_limits *limits = &e->desk->sitting->judge->env.limits;

	if (!e->chain)
		return;
	replay_record(&e->replay, call, name, result);
	if (e->replay.bytes > limits->history_bytes)
		luaL_error(L, "the history of the chain is larger than %d KiB (limit)",
			(int)(limits->history_bytes / 1024));
}

void eval_effect(lua_State *L, struct eval *e)
{
	const struct judge_limits *limits = &e->desk->sitting->judge->env.limits;

	if (e->frame->effects >= limits->effects)
		luaL_error(
			L, "one event may cause %d effects at most (limit)", (int)limits->effects);
	if (e->desk->effects >= limits->effects * SITTING_FOLLOW_MOST)
		luaL_error(L,
			"an event and those that follow from it may cause %d effects at most (limit)",
			(int)limits->effects * SITTING_FOLLOW_MOST);
	e->desk->effects++;
	e->frame->effects++;
}

void eval_cut(struct eval *e)
{
	replay_cut(&e->replay);
	eval_enter_part(e);
}

/* The zone is read like a value of the customer: "t.hour" must say the same in a replay. */
void eval_enter_part(struct eval *e)
{
	const struct tz *now = desk_zone(e->desk, e->shop);
	struct buf *b = &e->desk->sitting->judge->scratch;
	struct span value;
	char text[128];

	if (!e->chain) {
		e->zone = now;
	} else if (replay_read(&e->replay, SPAN("~zone"), &value) && value.n > 2 &&
		   value.n < sizeof text) {
		memcpy(text, value.p + 1, value.n - 2);
		text[value.n - 2] = '\0';
		e->zone = tz_get(text);
	} else if (e->replay.part >= e->replay.n_recorded && now != e->zone && now) {
		buf_clear(b);
		json_put_text(b, span_of(tz_name(now)));
		replay_note_read(&e->replay, SPAN("~zone"), sitting_keep(e->desk->sitting, b));
		e->zone = now;
	}
	bind_time_set_zone(e->desk->sitting->judge->script, e->zone);
}

/* Functions that C calls back can not be left, whether there is a reason today or not. */
static void eval_check_stoppable(lua_State *L)
{
	if (!lua_isyieldable(L))
		luaL_error(L,
			"a function that is given to table.sort or string.gsub can neither wait nor "
			"ask: do it before");
}

void eval_stop(lua_State *L, struct eval *e, enum eval_stop why)
{
	eval_check_stoppable(L);
	e->stop = why;
	lua_yield(L, 0);
}

/* Counts a question that nobody has asked yet; raises beyond the limit. */
static void eval_count_question(lua_State *L, struct eval *e)
{
	struct frame *f = e->frame;
	int64_t chain = e->chain ? e->chain->id : 0; /* the row itself is made anew each time */

	if (f->asker != e->rule || f->asker_chain != chain) {
		f->asker = e->rule;
		f->asker_chain = chain;
		f->asked = 0;
	}
	if (++f->asked > EVAL_QUESTIONS)
		luaL_error(L, "an evaluation may ask %d different things at most (limit)",
			EVAL_QUESTIONS);
}

const struct query *eval_ask(lua_State *L, struct eval *e, const struct query *q)
{
	const struct query *answered;

	eval_check_stoppable(L);
	answered = ask_answered(e->desk, q);
	if (!answered) {
		eval_count_question(L, e);
		eval_stop(L, e, EVAL_ASK);
	}
	return answered;
}

void eval_note_field(lua_State *L, struct span name)
{
	struct eval *e = script_run_ctx(L);

	if (!e || e->n_fields == EVAL_FIELDS)
		return;
	for (unsigned i = 0; i < e->n_fields; i++)
		if (span_eq(e->fields[i], name))
			return;
	e->fields[e->n_fields++] =
		(struct span){ arena_dup(eval_arena(e), name.p, name.n), name.n };
}

struct span eval_text(lua_State *L, struct eval *e, int idx)
{
	struct span s;

	s.p = luaL_checklstring(L, idx, &s.n);
	if (!json_is_text(s))
		luaL_argerror(L, idx, "text must be valid UTF-8 without NUL");
	s.p = arena_dup(eval_arena(e), s.p, s.n);
	return s;
}
