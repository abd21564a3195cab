/*
 * chain_step.c: rows of chains in memory.
 *
 * `exits` of a row is {"key":"order_id","on":[...]}: the field that names what it is about stands there too, so
 * that events can be matched without the text of the rule, which may be newer than this daemon.
 * A queued chain is a row without history; when its turn comes it becomes due at once, and the timer
 * starts it: one way to begin a chain that is there already, in whichever process.
 */
#include "engine/chain_step.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/planted.h"
#include "engine/field.h"
#include "engine/show.h"

#include <string.h>

/* {"key":"order_id","on":[...]}, or empty text. */
static struct span chain_exits(struct sitting *s, const struct rule *rule)
{
	struct span on = what_write(&rule->exit_on, &s->batch->arena);
	struct buf *b = &s->judge->scratch;

	if (!on.n && !rule->key_field)
		return (struct span){ NULL, 0 };
	buf_clear(b);
	buf_char(b, '{');
	if (rule->key_field) {
		json_put_key(b, "key");
		json_put_text(b, span_of(rule->key_field));
	}
	if (on.n) {
		json_put_key(b, "on");
		buf_span(b, on);
	}
	buf_char(b, '}');
	return sitting_keep(s, b);
}

struct chain *chain_new(struct desk *d, const struct rule *rule, struct span key,
	const struct shop_event *event, const struct shop *shop)
{
	struct sitting *s = d->sitting;
	struct arena *a = &s->batch->arena;
	struct chain *c = arena_new(a, struct chain);

	c->id = sitting_number(s);
	c->customer = d->visit->customer;
	c->shop = shop;
	c->rule = (struct span){ arena_strdup(a, rule->name), strlen(rule->name) };
	c->key = key.p ? key : SPAN("");
	c->text_hash = (struct span){ arena_strdup(a, rule->text_hash), strlen(rule->text_hash) };
	c->level = rule->level;
	c->state = CHAIN_WAITING;
	c->started_us = s->batch->now_us;
	c->wake_us = TIME_NONE;
	c->exits = chain_exits(s, rule);
	c->event = show_write(s, event, (struct span){ NULL, 0 });
	c->loaded = true;
	c->change = CHAIN_NEW;
	return c;
}

void chain_admit(struct desk *d, struct frame *f, struct chain *c)
{
	struct visit *v = d->visit;

	BATCH_PUSH(&d->sitting->batch->arena, v->chains, v->n_chains, v->cap_chains) = c;
	desk_chain_of(d, c)->born = f->parent ? f->parent : f->event;
}

void chain_touch(struct chain *c)
{
	if (c->change == CHAIN_SAME)
		c->change = CHAIN_CHANGED;
}

/* Adds the messages that a stretch wrote and that are still to be handed over. */
static void chain_open_messages(struct desk *d, struct chain *c, size_t from)
{
	const struct visit *v = d->visit;
	struct arena *a = &d->sitting->batch->arena;
	int64_t *open = arena_array(a, int64_t, c->n_open + (v->n_messages - from) + 1);

	if (c->n_open)
		memcpy(open, c->open, c->n_open * sizeof *open);
	for (size_t i = from; i < v->n_messages; i++)
		if (v->messages[i]->chain == c->id && v->messages[i]->state == MESSAGE_READY)
			open[c->n_open++] = v->messages[i]->id;
	c->open = open;
}

void chain_settle_run(struct desk *d, struct eval *e, enum eval_end end, size_t n_messages)
{
	struct sitting *s = d->sitting;
	struct chain *c = e->chain;

	if (d->visit->n_messages > n_messages)
		chain_open_messages(d, c, n_messages);
	c->arrived = (struct span){ NULL, 0 };
	c->reason = (struct span){ NULL, 0 };
	c->wake_us = TIME_NONE;
	c->awaits = NULL;
	c->n_awaits = 0;
	chain_touch(c);
	if (end == EVAL_WAITS) {
		c->state = CHAIN_WAITING;
		c->wake_us = e->wait.wake_us;
		if (PLANTED(fire_early) && c->wake_us != TIME_NONE)
			c->wake_us -= CLOCK_SECOND_US;
		c->awaits = e->wait.awaits;
		c->n_awaits = e->wait.n_awaits;
	} else if (c->n_open) {
		c->state = CHAIN_SETTLING;
	} else {
		chain_end(d, c, CHAIN_DONE, (struct span){ NULL, 0 });
		return;
	}
	buf_clear(&s->judge->scratch);
	replay_write(&e->replay, &s->judge->scratch);
	c->history = sitting_keep(s, &s->judge->scratch);
}

/* What it wrote in this very batch is withdrawn before it is ever written. */
static void chain_withdraw(struct desk *d, const struct chain *c)
{
	struct visit *v = d->visit;

	for (size_t i = 0; i < v->n_messages; i++)
		if (v->messages[i]->chain == c->id && v->messages[i]->state == MESSAGE_READY &&
			!v->messages[i]->keep)
			v->messages[i]->state = MESSAGE_WITHDRAWN;
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->chain == c->id && v->tasks[i]->state == TASK_OPEN &&
			!v->tasks[i]->keep) {
			v->tasks[i]->state = TASK_WITHDRAWN;
			v->tasks[i]->changed = true;
		}
	BATCH_PUSH(&d->sitting->batch->arena, v->withdraw, v->n_withdraw, v->cap_withdraw) = c->id;
}

/* The oldest queued chain behind one that is over becomes due. */
static void chain_promote(struct desk *d, const struct chain *over)
{
	const struct visit *v = d->visit;

	for (size_t i = 0; i < v->n_chains; i++) {
		struct chain *c = v->chains[i];

		if (c == over || !span_eq(c->rule, over->rule) || !span_eq(c->key, over->key) ||
			!chain_state_is_live(c->state))
			continue;
		if (c->state != CHAIN_QUEUED)
			return; /* another one is live still: its end will promote */
		c->state = CHAIN_WAITING;
		c->wake_us = d->sitting->batch->now_us;
		chain_touch(c);
		return;
	}
}

void chain_end(struct desk *d, struct chain *c, enum chain_state state, struct span reason)
{
	c->state = state;
	c->reason = reason;
	c->wake_us = TIME_NONE;
	c->awaits = NULL;
	c->n_awaits = 0;
	c->change = CHAIN_ENDED;
	if (state != CHAIN_DONE && !(PLANTED(forget_exit) && state == CHAIN_EXITED))
		chain_withdraw(d, c);
	chain_promote(d, c);
}

/* The chain, if it is live or ended in this batch. */
static const struct chain *chain_of_task(const struct visit *v, const struct task *t)
{
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->id == t->chain)
			return v->chains[i];
	return NULL;
}

/* Is it a task of a chain that is over, with that key ({NULL,0}: any), and does the event concern it? */
static bool chain_has_left(
	struct desk *d, const struct frame *f, const struct task *t, struct span key)
{
	const struct chain *c = chain_of_task(d->visit, t);

	if (c)
		return !chain_state_is_live(c->state) && !chain_is_immune(d, f, c) &&
		       (!key.p || span_eq(c->key, key));
	return t->chain != f->event->cause_chain && (!key.p || span_eq(t->chain_key, key));
}

/* Tasks of this batch; those that are not loaded are the store's to find. */
void chain_exit_over(struct desk *d, const struct frame *f, const struct rule *rule)
{
	struct arena *a = &d->sitting->batch->arena;
	struct visit *v = d->visit;
	struct visit_exit x = { .rule = { arena_strdup(a, rule->name), strlen(rule->name) },
		.spared = f->event->cause_chain };
	struct span value;

	if (PLANTED(forget_exit))
		return;
	if (rule->key_field && json_find(f->event->data, rule->key_field, &value))
		x.key = field_text(value, a);
	for (size_t i = 0; i < v->n_tasks; i++) {
		struct task *t = v->tasks[i];

		if (t->state != TASK_OPEN || t->keep || t->chain == 0 ||
			!span_eq(t->rule, x.rule) || !chain_has_left(d, f, t, x.key))
			continue;
		t->state = TASK_WITHDRAWN;
		t->changed = true;
	}
	BATCH_PUSH(a, v->exits, v->n_exits, v->cap_exits) = x;
}

void chain_halt(struct desk *d, struct chain *c, enum chain_state state, const char *reason,
	struct span answer)
{
	struct arena *a = &d->sitting->batch->arena;

	c->state = state;
	c->reason = sitting_message(d->sitting, reason);
	c->wake_us = TIME_NONE;
	if (answer.p && !c->arrived.n) {
		c->arrived.p = arena_printf(a, "[%.*s]", SPAN_ARG(answer));
		c->arrived.n = strlen(c->arrived.p);
	}
	chain_touch(c);
}

void chain_message_over(struct desk *d, int64_t message)
{
	const struct visit *v = d->visit;

	for (size_t i = 0; i < v->n_chains; i++) {
		struct chain *c = v->chains[i];
		unsigned n = 0;

		for (unsigned k = 0; k < c->n_open; k++)
			if (c->open[k] != message)
				c->open[n++] = c->open[k];
		if (n == c->n_open)
			continue;
		c->n_open = n;
		chain_touch(c);
		if (!n && c->state == CHAIN_SETTLING)
			chain_end(d, c, CHAIN_DONE, (struct span){ NULL, 0 });
	}
}

struct chain *chain_find(const struct desk *d, const char *rule, struct span key)
{
	const struct visit *v = d->visit;

	for (size_t i = 0; i < v->n_chains; i++)
		if (chain_state_is_live(v->chains[i]->state) && span_is(v->chains[i]->rule, rule) &&
			span_eq(v->chains[i]->key, key))
			return v->chains[i];
	return NULL;
}

bool chain_key_matches(
	struct desk *d, struct span key_field, const struct chain *c, const struct shop_event *e)
{
	struct arena *a = &d->sitting->batch->arena;
	struct span value, text;

	if (!key_field.n || !json_find(e->data, arena_dup(a, key_field.p, key_field.n), &value))
		return true;
	text = field_text(value, a);
	return !text.p || span_eq(text, c->key);
}

bool chain_is_immune(struct desk *d, const struct frame *f, const struct chain *c)
{
	const struct shop_event *born = desk_chain_of(d, c)->born;

	return f->event->cause_chain == c->id || (born && (born == f->event || born == f->parent));
}

/* Is it one of the customer's already, and not only on its way? */
static bool chain_is_admitted(const struct visit *v, const struct chain *c)
{
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i] == c)
			return true;
	return false;
}

bool chain_gives_way(struct desk *d, const struct frame *f, const struct rule *rule,
	const struct chain *fresh, int64_t chain)
{
	const struct visit *v = d->visit;

	for (size_t i = 0; i < v->n_withdraw; i++)
		if (v->withdraw[i] == chain)
			return true;
	if (rule->mode != RULE_RESTART || !f->event || chain_is_admitted(v, fresh))
		return false;
	for (size_t i = 0; i < v->n_chains; i++) {
		const struct chain *c = v->chains[i];

		if (c->id == chain)
			return chain_state_is_live(c->state) && span_eq(c->rule, fresh->rule) &&
			       span_eq(c->key, fresh->key) && !chain_is_immune(d, f, c);
	}
	return false;
}

const char *chain_history_warning(const struct desk *d, const struct eval *e)
{
	const struct judge_limits *l = &d->sitting->judge->env.limits;

	if (e->chain->history.n > l->history_warn_bytes || e->replay.bytes <= l->history_warn_bytes)
		return NULL; /* it was told when it grew beyond */
	return arena_printf(&d->sitting->batch->arena,
		"the history of the chain is longer than %zu KiB; it ends at %zu KiB",
		l->history_warn_bytes / 1024, l->history_bytes / 1024);
}

unsigned chain_count_live(const struct visit *v)
{
	unsigned n = 0;

	for (size_t i = 0; i < v->n_chains; i++)
		n += chain_state_is_live(v->chains[i]->state);
	return n;
}

const char *chain_count_warning(const struct desk *d)
{
	const struct judge_limits *l = &d->sitting->judge->env.limits;

	if (chain_count_live(d->visit) != l->chains_warn)
		return NULL;
	return arena_printf(&d->sitting->batch->arena,
		"the customer has more than %u live chains; beyond %u none is started",
		l->chains_warn, l->chains);
}
