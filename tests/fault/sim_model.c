/*
 * sim_model.c: each rule of sim_rules/sim.lua as two small functions: what it does when it begins, and what it does
 * when it goes on after a wait.  The order of judging one event (RULES.md): the daemon's own work, exits, waits of the
 * chains left, starts in the order of the file, what was emitted.
 */
#include "sim_model.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const model_rule_names[MODEL_RULES] = { "single", "restart", "queued", "parallel",
	"answer", "order", "count", "third", "mail", "cool", "until" };

enum { MODEL_CALM_US = 10 * SIM_SECOND, MODEL_LATE_US = SIM_SECOND };

struct model {
	struct sim *sim;
	struct arena arena;
	struct model_card **cards;
	size_t n_cards, cap_cards;
	int64_t now_us;
	int version;
};

struct model *model_new(struct sim *s)
{
	struct model *m = xcalloc(1, sizeof *m);

	m->sim = s;
	return m;
}

void model_free(struct model *m)
{
	arena_fini(&m->arena);
	free(m);
}

struct model_card *model_card(struct model *m, int64_t card)
{
	struct model_card *c;

	for (size_t i = 0; i < m->n_cards; i++)
		if (m->cards[i]->card == card)
			return m->cards[i];
	c = arena_new(&m->arena, struct model_card);
	c->card = card;
	c->last_parallel_us = c->last_cool_us = TIME_NONE;
	TAILQ_INIT(&c->chains);
	BATCH_PUSH(&m->arena, m->cards, m->n_cards, m->cap_cards) = c;
	return c;
}

/* ---- looking up ---- */

struct model_message *model_find_message(struct model_card *c, struct span words)
{
	for (size_t i = 0; i < c->n_messages; i++)
		if (span_is(words, c->messages[i]->words))
			return c->messages[i];
	return NULL;
}

struct model_task *model_find_task(struct model_card *c, struct span title)
{
	for (size_t i = 0; i < c->n_tasks; i++)
		if (span_is(title, c->tasks[i]->title))
			return c->tasks[i];
	return NULL;
}

struct model_chain *model_find_chain(struct model_card *c, struct span rule, struct span n)
{
	struct model_chain *x;

	TAILQ_FOREACH (x, &c->chains, link)
		if (span_is(rule, model_rule_names[x->rule]) && span_is(n, x->n))
			return x;
	return NULL;
}

static bool chain_is_live(const struct model_chain *x)
{
	return x->state == CHAIN_WAITING || x->state == CHAIN_QUEUED || x->state == CHAIN_SETTLING;
}

static struct model_chain *live_chain(struct model_card *c, enum model_rule rule, const char *key)
{
	struct model_chain *x;

	TAILQ_FOREACH (x, &c->chains, link)
		if (x->rule == rule && chain_is_live(x) && strcmp(x->key, key) == 0)
			return x;
	return NULL;
}

void model_orders(const struct model_card *c, int *ret_count, int *ret_total)
{
	*ret_count = *ret_total = 0;
	for (size_t i = 0; i < c->n_orders; i++)
		if (c->orders[i]->placed && !c->orders[i]->cancelled) {
			(*ret_count)++;
			*ret_total += c->orders[i]->total;
		}
}

/* ---- what chains do ---- */

static void PRINTF_LIKE(5, 6) say(struct model *m, struct model_card *c, struct model_chain *x,
	bool keep, const char *fmt, ...)
{
	struct model_message *y = arena_new(&m->arena, struct model_message);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(y->words, sizeof y->words, fmt, ap);
	va_end(ap);
	y->chain = x;
	y->keep = keep;
	y->state = MESSAGE_READY;
	BATCH_PUSH(&m->arena, c->messages, c->n_messages, c->cap_messages) = y;
}

/* Has it anything that is not handed over yet? */
static bool chain_is_open(const struct model_card *c, const struct model_chain *x)
{
	for (size_t i = 0; i < c->n_messages; i++)
		if (c->messages[i]->chain == x && !c->messages[i]->is_over)
			return true;
	return false;
}

/* The one that stands behind an ended chain is next. */
static void chain_next(struct model *m, struct model_card *c, const struct model_chain *over)
{
	struct model_chain *x;

	TAILQ_FOREACH (x, &c->chains, link) {
		if (x == over || x->rule != over->rule || strcmp(x->key, over->key) != 0 ||
			!chain_is_live(x))
			continue;
		if (x->state == CHAIN_QUEUED) {
			x->state = CHAIN_WAITING;
			x->wake_us = m->now_us;
		}
		return;
	}
}

/* What nobody has taken of an ended chain is taken back. */
static void tasks_withdraw(struct model_card *c, const struct model_chain *x)
{
	for (size_t i = 0; i < c->n_tasks; i++)
		if (c->tasks[i]->chain == x && c->tasks[i]->state == TASK_OPEN)
			c->tasks[i]->state = TASK_WITHDRAWN;
}

static void chain_withdraw(struct model_card *c, const struct model_chain *x)
{
	for (size_t i = 0; i < c->n_messages; i++)
		if (c->messages[i]->chain == x && c->messages[i]->state == MESSAGE_READY &&
			!c->messages[i]->keep)
			c->messages[i]->state = MESSAGE_WITHDRAWN;
	tasks_withdraw(c, x);
}

static void chain_over(
	struct model *m, struct model_card *c, struct model_chain *x, enum chain_state state)
{
	x->state = state;
	x->wake_us = TIME_NONE;
	if (state != CHAIN_DONE)
		chain_withdraw(c, x);
	chain_next(m, c, x);
}

static void chain_waits(struct model_chain *x, int64_t until_us)
{
	x->state = CHAIN_WAITING;
	x->wake_us = until_us;
}

/* `run` has returned. */
static void chain_returns(struct model *m, struct model_card *c, struct model_chain *x)
{
	x->wake_us = TIME_NONE;
	x->state = CHAIN_SETTLING;
	if (!chain_is_open(c, x))
		chain_over(m, c, x, CHAIN_DONE);
}

static void until_ends(
	struct model *m, struct model_card *c, struct model_chain *x, const char *how)
{
	say(m, c, x, true, "until %s %s", x->n, how);
	chain_returns(m, c, x);
}

static void order_begins(struct model *m, struct model_card *c, struct model_chain *x)
{
	int count, total;

	model_orders(c, &count, &total);
	say(m, c, x, true, "order %s is the %d. of %d", x->n, count, total);
	chain_waits(x, m->now_us + 30 * SIM_SECOND);
}

static void order_calls(struct model *m, struct model_card *c, struct model_chain *x)
{
	struct model_task *t = arena_new(&m->arena, struct model_task);

	snprintf(t->title, sizeof t->title, "call %s", x->n);
	t->chain = x;
	t->deadline_us = m->now_us + 40 * SIM_SECOND;
	t->state = TASK_OPEN;
	BATCH_PUSH(&m->arena, c->tasks, c->n_tasks, c->cap_tasks) = t;
	chain_waits(x, t->deadline_us);
}

/* From the top to the first wait. */
static void chain_begins(struct model *m, struct model_card *c, struct model_chain *x)
{
	x->step = 1;
	switch (x->rule) {
	case MODEL_SINGLE:
		say(m, c, x, true, "single %s begin %d", x->n, x->version);
		chain_waits(x, m->now_us + 40 * SIM_SECOND);
		return;
	case MODEL_RESTART:
		say(m, c, x, false, "restart %s begin", x->n);
		chain_waits(x, m->now_us + 60 * SIM_SECOND);
		return;
	case MODEL_QUEUED: chain_waits(x, m->now_us + 20 * SIM_SECOND); return;
	case MODEL_PARALLEL: chain_waits(x, m->now_us + 15 * SIM_SECOND); return;
	case MODEL_ANSWER: chain_waits(x, m->now_us + 50 * SIM_SECOND); return;
	case MODEL_ORDER: order_begins(m, c, x); return;
	case MODEL_MAIL:
		say(m, c, x, false, "mail %s", x->n);
		chain_waits(x, m->now_us + CLOCK_DAY_US);
		return;
	case MODEL_UNTIL:
		if (x->event_us + 45 * SIM_SECOND <= m->now_us)
			until_ends(m, c, x, "over");
		else
			chain_waits(x, x->event_us + 45 * SIM_SECOND);
		return;
	case MODEL_COUNT:
		c->n_thirds++;
		c->has_third = true;
		break;
	case MODEL_THIRD: say(m, c, x, true, "third %s", x->n); break;
	case MODEL_COOL: c->n_notes++; break;
	case MODEL_RULES: break;
	}
	chain_returns(m, c, x);
}

/* After a wait; the answer: what came, or NULL when the time was over. */
static void chain_goes_on(struct model *m, struct model_card *c, struct model_chain *x,
	const struct model_event *answer)
{
	x->step++;
	switch (x->rule) {
	case MODEL_SINGLE: say(m, c, x, true, "single %s end %d", x->n, x->version); break;
	case MODEL_RESTART: say(m, c, x, false, "restart %s end", x->n); break;
	case MODEL_QUEUED: say(m, c, x, true, "queued %s end", x->n); break;
	case MODEL_PARALLEL: say(m, c, x, true, "parallel %s end", x->n); break;
	case MODEL_ANSWER:
		say(m, c, x, true, "answer %s %s", x->n, answer ? answer->n : "none");
		break;
	case MODEL_ORDER:
		if (x->step == 2) {
			order_calls(m, c, x);
			return;
		}
		say(m, c, x, true, "order %s %s", x->n, answer ? "done" : "late");
		break;
	case MODEL_MAIL:
		say(m, c, x, true, "mail %s %s", x->n,
			answer && span_is(answer->type, "message.sent") ? "sent" : "failed");
		break;
	case MODEL_UNTIL: until_ends(m, c, x, answer ? "stopped" : "over"); return;
	case MODEL_COUNT:
	case MODEL_THIRD:
	case MODEL_COOL:
	case MODEL_RULES:
		sim_fail(m->sim, "model: a chain of rule \"%s\" waits for nothing",
			model_rule_names[x->rule]);
		return;
	}
	chain_returns(m, c, x);
}

/* ---- events ---- */

/* How often has a.count come within two minutes, this one included? */
static size_t counted(const struct model *m, const struct model_card *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_counted; i++)
		n += c->counted[i] >= m->now_us - 120 * SIM_SECOND;
	return n;
}

static void own_work(struct model *m, struct model_card *c, const struct model_event *e)
{
	struct model_order *o = NULL;

	if (span_is(e->type, "a.count"))
		BATCH_PUSH(&m->arena, c->counted, c->n_counted, c->cap_counted) = e->time_us;
	for (size_t i = 0; e->order[0] != '\0' && i < c->n_orders && o == NULL; i++)
		if (strcmp(c->orders[i]->id, e->order) == 0)
			o = c->orders[i];
	if (o == NULL && e->order[0] != '\0') {
		o = arena_new(&m->arena, struct model_order);
		snprintf(o->id, sizeof o->id, "%s", e->order);
		BATCH_PUSH(&m->arena, c->orders, c->n_orders, c->cap_orders) = o;
	}
	if (span_is(e->type, "order.placed")) {
		o->placed = true;
		o->total = e->total;
	} else if (span_is(e->type, "order.cancelled")) {
		o->cancelled = true;
	}
	if (e->message == NULL || e->message->is_over)
		return;
	e->message->is_over = true;
	if (e->message->chain->state == CHAIN_SETTLING && !chain_is_open(c, e->message->chain))
		chain_over(m, c, e->message->chain, CHAIN_DONE);
}

/* Does exit_on of the chain's rule name the event? */
static bool is_exit(const struct model_chain *x, const struct model_event *e)
{
	switch (x->rule) {
	case MODEL_RESTART: return span_is(e->type, "a.stop");
	case MODEL_QUEUED: return span_is(e->type, "a.queued.stop");
	case MODEL_ORDER:
		return span_is(e->type, "order.cancelled") && strcmp(x->key, e->order) == 0;
	case MODEL_SINGLE:
	case MODEL_PARALLEL:
	case MODEL_ANSWER:
	case MODEL_COUNT:
	case MODEL_THIRD:
	case MODEL_MAIL:
	case MODEL_COOL:
	case MODEL_UNTIL:
	case MODEL_RULES: break;
	}
	return false;
}

/* Ends all that the event ends, those that stand behind others too; and takes back the tasks that those that are over have left.  A
 * message that went back when its chain was over is the claim's. */
static void exits(struct model *m, struct model_card *c, const struct model_event *e)
{
	struct model_chain *x;

	TAILQ_FOREACH_REVERSE(x, &c->chains, model_chains, link)
	if (chain_is_live(x) && is_exit(x, e))
		chain_over(m, c, x, CHAIN_EXITED);
	TAILQ_FOREACH (x, &c->chains, link)
		if (!chain_is_live(x) && is_exit(x, e))
			tasks_withdraw(c, x);
}

/* Is it what the chain waits for? */
static bool is_awaited(const struct model_chain *x, const struct model_event *e)
{
	switch (x->rule) {
	case MODEL_ANSWER: return span_is(e->type, "a.answer");
	case MODEL_UNTIL: return span_is(e->type, "a.stop");
	case MODEL_ORDER:
		return x->step == 2 && span_is(e->type, "task.done") && e->task != NULL &&
		       e->task->chain == x;
	case MODEL_MAIL: return e->message != NULL && e->message->chain == x && x->step == 1;
	case MODEL_SINGLE:
	case MODEL_RESTART:
	case MODEL_QUEUED:
	case MODEL_PARALLEL:
	case MODEL_COUNT:
	case MODEL_THIRD:
	case MODEL_COOL:
	case MODEL_RULES: break;
	}
	return false;
}

static void starts(struct model *m, struct model_card *c, const struct model_event *e,
	enum model_rule rule, bool queue)
{
	struct model_chain *x = arena_new(&m->arena, struct model_chain);

	x->rule = rule;
	x->version = m->version;
	x->event_us = e->time_us;
	x->started_us = m->now_us;
	x->born = e->seq;
	x->wake_us = TIME_NONE;
	snprintf(x->n, sizeof x->n, "%s", e->n);
	snprintf(x->key, sizeof x->key, "%s", rule == MODEL_ORDER ? e->order : "");
	TAILQ_INSERT_TAIL(&c->chains, x, link);
	c->n_chains++;
	if (queue)
		x->state = CHAIN_QUEUED;
	else
		chain_begins(m, c, x);
}

/* mode "single", and a cooldown if there is one */
static void starts_single(struct model *m, struct model_card *c, const struct model_event *e,
	enum model_rule rule, int64_t *last_us, int64_t cooldown_us)
{
	if (live_chain(c, rule, rule == MODEL_ORDER ? e->order : "") != NULL ||
		(last_us != NULL && *last_us != TIME_NONE && *last_us + cooldown_us > m->now_us))
		return;
	if (last_us != NULL)
		*last_us = m->now_us;
	starts(m, c, e, rule, false);
}

static void starts_restart(struct model *m, struct model_card *c, const struct model_event *e)
{
	struct model_chain *old = live_chain(c, MODEL_RESTART, "");

	if (old != NULL)
		chain_over(m, c, old, CHAIN_CANCELLED);
	starts(m, c, e, MODEL_RESTART, false);
}

static void starts_parallel(struct model *m, struct model_card *c, const struct model_event *e)
{
	if (c->last_parallel_us != TIME_NONE && c->last_parallel_us + 30 * SIM_SECOND > m->now_us)
		return;
	c->last_parallel_us = m->now_us;
	starts(m, c, e, MODEL_PARALLEL, false);
}

static void starts_count(struct model *m, struct model_card *c, const struct model_event *e)
{
	struct model_event third = { .type = SPAN("b.third"), .time_us = m->now_us, .seq = e->seq };

	if (counted(m, c) < 3)
		return;
	starts(m, c, e, MODEL_COUNT, false);
	snprintf(third.n, sizeof third.n, "%s", e->n);
	starts(m, c, &third, MODEL_THIRD, false); /* what it emits is judged right after it */
}

static void all_starts(struct model *m, struct model_card *c, const struct model_event *e)
{
	if (span_is(e->type, "a.single"))
		starts_single(m, c, e, MODEL_SINGLE, NULL, 0);
	else if (span_is(e->type, "a.restart"))
		starts_restart(m, c, e);
	else if (span_is(e->type, "a.queued"))
		starts(m, c, e, MODEL_QUEUED, live_chain(c, MODEL_QUEUED, "") != NULL);
	else if (span_is(e->type, "a.parallel"))
		starts_parallel(m, c, e);
	else if (span_is(e->type, "a.ask"))
		starts(m, c, e, MODEL_ANSWER, false);
	else if (span_is(e->type, "order.placed"))
		starts_single(m, c, e, MODEL_ORDER, NULL, 0);
	else if (span_is(e->type, "a.count"))
		starts_count(m, c, e);
	else if (span_is(e->type, "a.mail"))
		starts_single(m, c, e, MODEL_MAIL, NULL, 0);
	else if (span_is(e->type, "a.cool"))
		starts_single(m, c, e, MODEL_COOL, &c->last_cool_us, 60 * SIM_SECOND);
	else if (span_is(e->type, "a.until"))
		starts(m, c, e, MODEL_UNTIL, false);
}

void model_begin(struct model *m, struct model_card *c, int64_t now_us, int version)
{
	struct model_chain *x;

	m->now_us = now_us;
	m->version = version;
	TAILQ_FOREACH (x, &c->chains, link)
		x->due_us = x->wake_us;
}

void model_judge(struct model *m, struct model_card *c, const struct model_event *e)
{
	struct model_chain *x, *last = TAILQ_LAST(&c->chains, model_chains);

	if (span_is(e->type, "task.done")) {
		if (e->task == NULL || (e->task->state != TASK_OPEN))
			return; /* somebody was quicker: no rule hears of it */
		e->task->state = TASK_DONE;
	}
	own_work(m, c, e);
	exits(m, c, e);
	for (x = last ? TAILQ_FIRST(&c->chains) : NULL; x != NULL; x = TAILQ_NEXT(x, link)) {
		if (x->state == CHAIN_WAITING && x->step > 0 && is_awaited(x, e))
			chain_goes_on(m, c, x, e);
		if (x == last)
			break;
	}
	all_starts(m, c, e);
}

void model_deadline(struct model *m, struct model_card *c, struct model_task *t)
{
	if (t->state != TASK_OPEN || t->overdue || t->deadline_us > m->now_us)
		sim_fail(m->sim,
			"customer %lld: task \"%s\" becomes overdue: it is %s%s, its deadline %+.3f s away",
			(long long)c->card, t->title, task_state_name(t->state),
			t->overdue ? ", overdue" : "", (double)(t->deadline_us - m->now_us) / 1e6);
	t->overdue = true;
}

/* How late may a timer be?  When nothing breaks, a look for due work and a moment. */
static int64_t model_patience_us(const struct model *m, int64_t wake_us)
{
	const struct sim *s = m->sim;

	if (wake_us < s->heal_us + MODEL_CALM_US)
		return INT64_MAX;
	return s->limits.poll_us + MODEL_LATE_US;
}

void model_timer(struct model *m, struct model_card *c, struct model_chain *x)
{
	if (x->state != CHAIN_WAITING || x->wake_us == TIME_NONE)
		return; /* an event of the same transaction was quicker */
	if (x->wake_us > m->now_us) {
		sim_fail(m->sim, "customer %lld: the timer of \"%s\" %s fires %.6f s early",
			(long long)c->card, model_rule_names[x->rule], x->n,
			(double)(x->wake_us - m->now_us) / 1e6);
		return;
	}
	if (m->now_us - x->wake_us > model_patience_us(m, x->wake_us))
		sim_fail(m->sim, "customer %lld: the timer of \"%s\" %s fires %.3f s late",
			(long long)c->card, model_rule_names[x->rule], x->n,
			(double)(m->now_us - x->wake_us) / 1e6);
	if (x->step == 0)
		chain_begins(m, c, x);
	else
		chain_goes_on(m, c, x, NULL);
}

/* ---- joining ---- */

/* Does the mode of a rule allow one chain at a time only? */
static bool is_lone(enum model_rule rule)
{
	switch (rule) {
	case MODEL_SINGLE:
	case MODEL_RESTART:
	case MODEL_QUEUED:
	case MODEL_ORDER:
	case MODEL_MAIL:
	case MODEL_COOL: return true;
	case MODEL_PARALLEL:
	case MODEL_ANSWER:
	case MODEL_COUNT:
	case MODEL_THIRD:
	case MODEL_UNTIL:
	case MODEL_RULES: break;
	}
	return false;
}

/* The chain of that rule and key that has begun and is not over; NULL: none. */
static struct model_chain *running_chain(struct model_card *c, const struct model_chain *like)
{
	struct model_chain *x;

	TAILQ_FOREACH (x, &c->chains, link)
		if (x->rule == like->rule && chain_is_live(x) && x->state != CHAIN_QUEUED &&
			strcmp(x->key, like->key) == 0)
			return x;
	return NULL;
}

static bool is_older(const struct model_chain *a, const struct model_chain *b)
{
	return a->started_us != b->started_us ? a->started_us < b->started_us : a->born < b->born;
}

static void join_end(struct model_card *c, struct model_chain *x)
{
	x->state = CHAIN_CANCELLED;
	x->wake_us = TIME_NONE;
	chain_withdraw(c, x);
}

/* Where one at a time is allowed the older goes on (of "restart" the newer). */
static void join_modes(struct model_card *living, struct model_card *gone)
{
	struct model_chain *x, *here;

	TAILQ_FOREACH (x, &gone->chains, link) {
		if (!is_lone(x->rule) || !chain_is_live(x) || x->state == CHAIN_QUEUED ||
			(here = running_chain(living, x)) == NULL)
			continue;
		if (is_older(here, x) == (x->rule != MODEL_RESTART))
			join_end(gone, x);
		else
			join_end(living, here);
	}
}

/* By their beginning, all chains of both. */
static void join_lists(struct model_card *living, struct model_card *gone)
{
	struct model_chain *x, *y;

	while ((x = TAILQ_FIRST(&gone->chains)) != NULL) {
		TAILQ_REMOVE(&gone->chains, x, link);
		TAILQ_FOREACH (y, &living->chains, link)
			if (is_older(x, y))
				break;
		if (y != NULL)
			TAILQ_INSERT_BEFORE(y, x, link);
		else
			TAILQ_INSERT_TAIL(&living->chains, x, link);
	}
}

static int64_t later_us(int64_t a, int64_t b)
{
	return a > b ? a : b; /* TIME_NONE is before all */
}

#define JOIN_ARRAY(m, to, from, array, n, cap)                                                     \
	for (size_t i = 0; i < (from)->n; i++)                                                     \
	BATCH_PUSH(&(m)->arena, (to)->array, (to)->n, (to)->cap) = (from)->array[i]

void model_join(struct model *m, struct model_card *living, struct model_card *gone)
{
	int64_t card = gone->card;

	join_modes(living, gone);
	join_lists(living, gone);
	JOIN_ARRAY(m, living, gone, messages, n_messages, cap_messages);
	JOIN_ARRAY(m, living, gone, tasks, n_tasks, cap_tasks);
	JOIN_ARRAY(m, living, gone, orders, n_orders, cap_orders);
	JOIN_ARRAY(m, living, gone, counted, n_counted, cap_counted);
	living->n_chains += gone->n_chains;
	living->n_notes += gone->n_notes;
	living->n_thirds += gone->n_thirds;
	living->last_parallel_us = later_us(living->last_parallel_us, gone->last_parallel_us);
	living->last_cool_us = later_us(living->last_cool_us, gone->last_cool_us);
	living->has_third |= gone->has_third;
	*gone = (struct model_card){
		.card = card, .last_parallel_us = TIME_NONE, .last_cool_us = TIME_NONE
	};
	TAILQ_INIT(&gone->chains);
}

void model_claim(struct model *m, struct model_message *x)
{
	if (x->state != MESSAGE_READY && x->state != MESSAGE_SENDING)
		sim_fail(m->sim, "a courier takes \"%s\", which is %s", x->words,
			message_state_name(x->state));
	x->state = MESSAGE_SENDING;
}
