/*
 * sim_copy.c: a judged batch, copied whole with its marks.  A commit that is on its way when the daemon's end of the
 * connection dies may still be carried out, long after the daemon has forgotten the batch or judged it anew.
 */
#include "sim_int.h"

#include "store/mem_int.h"

#include <string.h>

/* An array of pointers, each thing copied by `one`. */
#define COPY_ALL(to, from, field, n, one)                                                          \
	do {                                                                                       \
		(to)->field = arena_array(a, __typeof__(*(to)->field), (from)->n + 1);             \
		for (size_t i_ = 0; i_ < (from)->n; i_++)                                          \
			(to)->field[i_] = one(a, (from)->field[i_]);                               \
	} while (0)

static struct shop_event *copy_event(struct arena *a, const struct shop_event *from)
{
	struct shop_event *e = mem_copy_event(a, from);

	e->ticket = from->ticket; /* whose posting it was, for the judge */
	return e;
}

static struct chain *copy_chain(struct arena *a, const struct chain *from)
{
	struct chain *c = mem_copy_chain(a, from, true);

	c->loaded = from->loaded;
	c->due = from->due;
	c->change = from->change;
	return c;
}

static struct order *copy_order(struct arena *a, const struct order *from)
{
	struct order *o = mem_copy_order(a, from);

	o->is_new = from->is_new;
	o->changed = from->changed;
	return o;
}

static struct task *copy_task(struct arena *a, const struct task *from)
{
	struct task *t = mem_copy_task(a, from);

	t->is_new = from->is_new;
	t->changed = from->changed;
	t->due = from->due;
	return t;
}

static struct rule_last *copy_last(struct arena *a, const struct rule_last *from)
{
	struct rule_last *x = arena_new(a, struct rule_last);

	*x = *from;
	x->rule = mem_text(a, x->rule);
	x->key = mem_text(a, x->key);
	return x;
}

static struct order_status *copy_status(struct arena *a, const struct order_status *from)
{
	struct order_status *x = arena_new(a, struct order_status);

	*x = *from;
	x->order_id = mem_text(a, x->order_id);
	x->status = mem_text(a, x->status);
	x->previous = mem_text(a, x->previous);
	return x;
}

static struct visit_note *copy_note(struct arena *a, const struct visit_note *from)
{
	struct visit_note *x = arena_new(a, struct visit_note);

	*x = *from;
	x->text = mem_text(a, x->text);
	x->rule = mem_text(a, x->rule);
	return x;
}

static struct identity *copy_identities(struct arena *a, const struct identity *from, size_t n)
{
	struct identity *v = arena_array(a, struct identity, n + 1);

	for (size_t i = 0; i < n; i++)
		v[i] = (struct identity){ from[i].kind, mem_text(a, from[i].value) };
	return v;
}

static struct visit_exit *copy_exits(struct arena *a, const struct visit_exit *from, size_t n)
{
	struct visit_exit *v = arena_array(a, struct visit_exit, n + 1);

	for (size_t i = 0; i < n; i++) {
		v[i] = from[i];
		v[i].rule = mem_text(a, from[i].rule);
		if (from[i].key.p != NULL)
			v[i].key = mem_text(a, from[i].key);
	}
	return v;
}

static struct visit *copy_visit(struct arena *a, const struct visit *from)
{
	struct visit *v = arena_new(a, struct visit);

	*v = *from;
	v->engine = v->flow = NULL;
	if (from->card != NULL) {
		v->card = mem_copy_customer(a, from->card);
		v->card->changed = from->card->changed;
	}
	COPY_ALL(v, from, events, n_events, copy_event);
	COPY_ALL(v, from, chains, n_chains, copy_chain);
	COPY_ALL(v, from, orders, n_orders, copy_order);
	COPY_ALL(v, from, tasks, n_tasks, copy_task);
	COPY_ALL(v, from, lasts, n_lasts, copy_last);
	COPY_ALL(v, from, messages, n_messages, mem_copy_message);
	COPY_ALL(v, from, statuses, n_statuses, copy_status);
	COPY_ALL(v, from, notes, n_notes, copy_note);
	v->n_consents = v->n_suppressions = v->n_outcomes = v->n_faults =
		0; /* no rule of ours makes any */
	v->identities = copy_identities(a, from->identities, from->n_identities);
	v->withdraw = arena_array(a, int64_t, v->n_withdraw + 1);
	if (v->n_withdraw > 0)
		memcpy(v->withdraw, from->withdraw, v->n_withdraw * sizeof *v->withdraw);
	v->exits = copy_exits(a, from->exits, from->n_exits);
	v->gone = NULL; /* the flow's; a save has no use for it */
	v->n_gone = 0;
	return v;
}

struct batch *sim_copy_batch(struct arena *a, const struct batch *from)
{
	struct batch *b = arena_new(a, struct batch);

	*b = *from;
	b->arena = (struct arena){ 0 };
	b->types = NULL;
	b->n_types = b->cap_types = 0;
	COPY_ALL(b, from, visits, n_visits, copy_visit);
	COPY_ALL(b, from, aside, n_aside, copy_event);
	return b;
}
