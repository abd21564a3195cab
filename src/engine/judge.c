/*
 * judge.c: a judge and its sittings.
 *
 * A sitting goes over its customers; whoever asks is left at his place, and when all others are done the questions
 * of everybody are handed out together: one round trip for all.  The time for judging is looked at before
 * a customer is begun: nobody is left half judged.
 *
 * The rings of last runs change when a sitting has come to its end, so a batch that is judged again (another
 * engine was quicker, the connection was lost) counts twice at most where it was nearly saved.
 */
#include "engine/judge.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/planted.h"
#include "engine/arbiter.h"
#include "engine/bind_time.h"
#include "engine/binds.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "engine/show.h"
#include "engine/sitting.h"
#include "engine/switchboard.h"

#include <stdlib.h>
#include <string.h>

void judge_limits_default(struct judge_limits *ret)
{
	*ret = (struct judge_limits){
		.effects = 100,
		.steps = 1000,
		.history_bytes = 256 * 1024,
		.history_warn_bytes = 64 * 1024,
		.chains = 500,
		.chains_warn = 100,
		.emit_depth = 8,
		.with_bytes = 16 * 1024,
		.eval_bytes = 16 * 1024 * 1024,
		.eval_us = 100000,
		.batch_us = 200000,
	};
}

/*** life ***/

static int judge_template_compare(const void *a, const void *b)
{
	const struct judge_template *x = a, *y = b;
	int by_name = span_cmp(x->name, y->name);

	return by_name ? by_name : span_cmp(x->lang, y->lang);
}

static void judge_keep_templates(struct judge *j, const struct rule_set *set)
{
	j->templates = arena_array(&j->arena, struct judge_template, set->n_templates);
	for (size_t i = 0; i < set->n_templates; i++) {
		const struct template_text *t = &set->templates[i];
		struct judge_template *own = &j->templates[j->n_templates++];

		own->name = (struct span){ arena_dup(&j->arena, t->name.p, t->name.n), t->name.n };
		own->lang = (struct span){ arena_dup(&j->arena, t->lang.p, t->lang.n), t->lang.n };
		memcpy(own->hash, t->hash, sizeof own->hash);
	}
	if (j->n_templates)
		qsort(j->templates, j->n_templates, sizeof *j->templates, judge_template_compare);
}

/* Everything that rules can name (script_body). */
static void judge_open_state(lua_State *L, void *ud)
{
	struct judge *j = ud;

	bind_customer_push(L);
	j->customer_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	show_open(L, j);
	lua_newtable(L);
	j->parts_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static bool judge_load(struct judge *j, const struct rule_set *set, struct err *err)
{
	struct rules_env env = { NULL, j->env.n_shops };
	const char **stores = arena_array(&j->arena, const char *, j->env.n_shops + 1);

	for (size_t i = 0; i < j->env.n_shops; i++)
		stores[i] = j->env.shops[i].id;
	env.stores = j->env.n_shops ? stores : NULL; /* a check without a configuration */
	script_set_host(j->script, j);
	bind_send(j->script);
	bind_act(j->script);
	bind_wait(j->script);
	bind_moment(j->script);
	bind_ask(j->script);
	j->rules = rules_new(j->script, &env);
	if (!script_protect(j->script, judge_open_state, j, err))
		return false;
	return rules_load_set(j->rules, set, err);
}

struct judge *judge_new(const struct judge_env *env, const struct rule_set *set, struct err *err)
{
	struct judge *j = xcalloc(1, sizeof *j);
	struct script_limits limits;

	j->env = *env;
	j->set_id = set->id;
	limits = (struct script_limits){ env->limits.eval_bytes, env->limits.eval_us, env->ticks_us,
		env->arg };
	j->script = script_new(&limits);
	judge_keep_templates(j, set);
	if (!judge_load(j, set, err)) {
		judge_free(j);
		return NULL;
	}
	rules_all(j->rules, &j->n_rings);
	j->rings = arena_array(&j->arena, struct judge_ring, j->n_rings);
	return j;
}

void judge_free(struct judge *j)
{
	if (!j)
		return;
	j->is_freed = true;
	if (j->n_sittings)
		return;
	if (j->rules)
		rules_free(j->rules);
	script_free(j->script);
	arena_fini(&j->arena);
	arena_fini(&j->switch_arena);
	buf_free(&j->scratch);
	free(j);
}

int64_t judge_set_id(const struct judge *j)
{
	return j->set_id;
}

void judge_switch(struct judge *j, const struct switches *s)
{
	switchboard_copy(&j->switches, &j->switch_arena, s);
	for (size_t i = 0; i < j->n_rings; i++)
		j->rings[i].tripped = false;
}

void judge_each_rule(const struct judge *j, judge_rule_fn *fn, void *arg)
{
	size_t n;
	const struct rule *const *all = rules_all(j->rules, &n);

	for (size_t i = 0; i < n; i++)
		fn(arg, all[i]->name, all[i]->about, all[i]->file, all[i]->line);
}

/* What the mode of a rule means for chains that meet; a rule that is deleted has none. */
static enum card_keep judge_keep(void *arg, struct span name)
{
	const struct judge *j = arg;
	const struct rule *rule = rules_find(j->rules, name);

	if (!rule)
		return CARD_KEEP_BOTH;
	switch (rule->mode) {
	case RULE_SINGLE:
	case RULE_QUEUED: return CARD_KEEP_OLDER;
	case RULE_RESTART: return CARD_KEEP_NEWER;
	case RULE_PARALLEL: break;
	}
	return CARD_KEEP_BOTH;
}

void judge_join(struct judge *j, struct batch *b, struct visit *living, struct visit *gone)
{
	card_join(b, living, gone, judge_keep, j);
}

/*** a sitting ***/

struct span sitting_keep(struct sitting *s, const struct buf *b)
{
	return (struct span){ arena_dup(&s->batch->arena, b->p, b->n), b->n };
}

struct span sitting_message(struct sitting *s, const char *text)
{
	struct span own = span_of(text);
	char *copy = arena_dup(&s->batch->arena, own.p, own.n);

	if (!json_is_text(own))
		for (size_t i = 0; i < own.n; i++)
			if ((unsigned char)copy[i] >= 0x80)
				copy[i] = '?';
	return (struct span){ copy, own.n };
}

int64_t sitting_number(struct sitting *s)
{
	return s->batch->id_next++;
}

struct sitting *judge_start(struct judge *j, struct batch *b)
{
	struct sitting *s = arena_new(&b->arena, struct sitting);

	s->judge = j;
	s->batch = b;
	s->first_id = b->id_next;
	s->desks = arena_array(&b->arena, struct desk, b->n_visits);
	j->n_sittings++;
	return s;
}

/* The monotonic clock, for limits. */
static int64_t sitting_ticks(const struct sitting *s)
{
	const struct judge_env *env = &s->judge->env;

	return env->ticks_us ? env->ticks_us(env->arg) : 0;
}

/* Opens the desks of all customers that may be judged. */
static void sitting_open_desks(struct sitting *s)
{
	for (size_t i = 0; i < s->batch->n_visits; i++)
		if (s->batch->visits[i]->state == VISIT_READY)
			desk_open(&s->desks[s->n_desks++], s, s->batch->visits[i]);
}

/* Gathers the open questions of all desks that wait for an answer. */
static void sitting_collect(struct sitting *s)
{
	struct arena *a = &s->batch->arena;
	size_t n = 0;

	for (size_t i = 0; i < s->n_desks; i++)
		if (s->desks[i].state == DESK_ASKING)
			n += s->desks[i].n_asked - s->desks[i].n_answered;
	s->queries = arena_array(a, struct query, n);
	s->askers = arena_array(a, struct query *, n);
	s->n_queries = 0;
	for (size_t i = 0; i < s->n_desks; i++)
		for (size_t k = s->desks[i].n_answered;
			s->desks[i].state == DESK_ASKING && k < s->desks[i].n_asked; k++) {
			s->askers[s->n_queries] = s->desks[i].asked[k];
			s->queries[s->n_queries++] = *s->desks[i].asked[k];
		}
}

/* Hands the answers back to those who asked. */
static void sitting_answer(struct sitting *s)
{
	for (size_t i = 0; i < s->n_queries; i++)
		*s->askers[i] = s->queries[i];
	s->n_queries = 0;
}

/* Reports a rule that broke on too many of its last runs. */
static void sitting_trip(struct sitting *s, const struct sitting_run *run, struct judge_ring *ring)
{
	struct arena *a = &s->batch->arena;
	struct visit *v = run->visit;
	struct visit_rule_fault *fault = arena_new(a, struct visit_rule_fault);

	ring->tripped = true;
	fault->rule = span_of(run->rule->name);
	fault->text.p = arena_printf(a,
		"failed in %u of its last %u runs: its starts and chains are held until "
		"`nudgectl rules resume`",
		ring->failed, ring->n);
	fault->text.n = strlen(fault->text.p);
	fault->seq = run->seq;
	fault->chain = run->chain;
	fault->suspend = true;
	BATCH_PUSH(a, v->faults, v->n_faults, v->cap_faults) = fault;
}

/* Enters one run; the ring belongs to the rule of that name in the present set. */
static void sitting_count_run(struct sitting *s, const struct sitting_run *run)
{
	const struct rule *now = rules_find(s->judge->rules, span_of(run->rule->name));
	struct judge_ring *ring;
	uint64_t last = UINT64_C(1) << (JUDGE_RING - 1);

	if (!now || now->order >= s->judge->n_rings)
		return;
	ring = &s->judge->rings[now->order];
	BATCH_PUSH(&s->batch->arena, s->marks, s->n_marks, s->cap_marks) =
		(struct sitting_mark){ ring, *ring };
	if (ring->bits & last)
		ring->failed--;
	ring->bits = (ring->bits << 1 | run->failed) & (last * 2 - 1);
	ring->failed += run->failed;
	if (ring->n < JUDGE_RING)
		ring->n++;
	if (run->failed && ring->failed >= JUDGE_RING_MOST && !ring->tripped &&
		!PLANTED(never_suspend))
		sitting_trip(s, run, ring);
}

bool sitting_is_over(const struct sitting *s)
{
	return s->used_us + sitting_ticks(s) - s->since_us > s->judge->env.limits.batch_us ||
	       s->batch->id_next - s->first_id > SITTING_NUMBERS_MOST;
}

/* Goes on with one customer, unless the time is over and he was not begun. */
static void sitting_go_desk(struct sitting *s, struct desk *d)
{
	if (d->state == DESK_DONE)
		return;
	if (d->state == DESK_NEW && sitting_is_over(s)) {
		d->visit->state = VISIT_LEFT;
		d->state = DESK_DONE;
		return;
	}
	desk_go(d);
}

enum judge_answer judge_go(struct sitting *s, struct query **ret_queries, size_t *ret_n)
{
	s->since_us = sitting_ticks(s);
	s->judge->shown = NULL; /* the event of another sitting, maybe */
	if (!s->n_desks)
		sitting_open_desks(s);
	sitting_answer(s);
	for (size_t i = 0; i < s->n_desks; i++)
		sitting_go_desk(s, &s->desks[i]);
	s->used_us += sitting_ticks(s) - s->since_us;
	s->judge->shown = NULL;
	sitting_collect(s);
	if (s->n_queries) {
		*ret_queries = s->queries;
		*ret_n = s->n_queries;
		return JUDGE_NEED;
	}
	for (size_t i = 0; i < s->n_runs; i++)
		sitting_count_run(s, &s->runs[i]);
	s->n_runs = 0;
	*ret_queries = NULL;
	*ret_n = 0;
	return JUDGE_DONE;
}

void judge_take_back(struct sitting *s)
{
	while (s->n_marks > 0) {
		const struct sitting_mark *m = &s->marks[--s->n_marks];

		*m->ring = m->before;
	}
}

void judge_end(struct sitting *s)
{
	struct judge *j = s->judge;

	for (size_t i = 0; i < s->n_desks; i++)
		s->desks[i].visit->engine = NULL;
	j->n_sittings--;
	if (j->is_freed)
		judge_free(j);
}
