/*
 * ask.c: a list of questions per customer, and the overlay of the batch on what is committed.
 *
 * The list is looked through from its beginning: a rule asks a handful of things.  Two rules that ask the same
 * share the answer, and an evaluation that is run again finds the answers of its first run.
 */
#include "engine/ask.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* The same question? */
static bool ask_is_same(const struct query *a, const struct query *b)
{
	if (a->kind != b->kind || a->shop != b->shop || a->since_us != b->since_us ||
		a->limit != b->limit || a->n_types != b->n_types || a->chain != b->chain)
		return false;
	for (size_t i = 0; i < a->n_types; i++)
		if (!span_eq(a->types[i], b->types[i]))
			return false;
	return span_eq(a->order_id, b->order_id) && span_eq(a->hash, b->hash) &&
	       span_eq(a->rule, b->rule) && span_eq(a->reason, b->reason);
}

const struct query *ask_answered(struct desk *d, const struct query *q)
{
	struct arena *a = &d->sitting->batch->arena;
	struct query *own;

	for (size_t i = 0; i < d->n_asked; i++)
		if (ask_is_same(d->asked[i], q))
			return i < d->n_answered ? d->asked[i] : NULL;
	own = arena_new(a, struct query);
	*own = *q;
	own->customer = d->visit->customer;
	own->before_seq = d->sitting->first_id;
	BATCH_PUSH(a, d->asked, d->n_asked, d->cap_asked) = own;
	return NULL;
}

/* Is the type one of those asked for (none: all)? */
static bool ask_wants(const struct span *types, size_t n_types, struct span type)
{
	for (size_t i = 0; i < n_types; i++)
		if (event_type_matches(types[i], type))
			return true;
	return n_types == 0;
}

struct ask_event *ask_overlay(
	struct desk *d, const struct span *types, size_t n_types, int64_t since_us, size_t *ret_n)
{
	struct arena *a = &d->sitting->batch->arena;
	struct ask_event *list = NULL;
	size_t n = 0, cap = 0;

	for (size_t i = d->n_judged; i-- > 0;) {
		const struct shop_event *e = d->judged[i];
		int64_t time_us = e->time_us == TIME_NONE ? e->received_us : e->time_us;

		if (!ask_wants(types, n_types, e->type) ||
			(since_us != TIME_NONE && time_us < since_us))
			continue;
		BATCH_PUSH(a, list, n, cap) =
			(struct ask_event){ e->id, e->type, e->data, time_us, e->seq };
	}
	*ret_n = n;
	return list;
}

/* Newest first by time, then by number. */
static int ask_compare(const void *a, const void *b)
{
	const struct ask_event *x = a, *y = b;

	if (x->time_us != y->time_us)
		return x->time_us < y->time_us ? 1 : -1;
	return (x->seq < y->seq) - (x->seq > y->seq);
}

struct ask_event *ask_events(struct desk *d, const struct query *answered, size_t *ret_n)
{
	struct arena *a = &d->sitting->batch->arena;
	struct ask_event *list, *own;
	size_t n;

	own = ask_overlay(d, answered->types, answered->n_types, answered->since_us, &n);
	list = arena_array(a, struct ask_event, n + answered->n_rows + 1);
	if (n)
		memcpy(list, own, n * sizeof *list);
	for (size_t i = 0; i < answered->n_rows; i++) {
		const struct query_row *r = &answered->rows[i];

		list[n++] = (struct ask_event){ r->id, r->type, r->data, r->time_us, r->seq };
	}
	qsort(list, n, sizeof *list, ask_compare);
	*ret_n = n;
	return list;
}

/* Newest first by the time it was placed (or heard of), then by id, so that the order is always the same. */
static int ask_order_compare(const void *a, const void *b)
{
	const struct order *x = *(struct order *const *)a, *y = *(struct order *const *)b;
	int64_t x_us = x->placed_us == TIME_NONE ? x->updated_us : x->placed_us;
	int64_t y_us = y->placed_us == TIME_NONE ? y->updated_us : y->placed_us;

	if (x_us != y_us)
		return x_us < y_us ? 1 : -1;
	return -span_cmp(x->id, y->id);
}

/* By their names: a reload makes other objects of the same stores while batches are under way. */
static bool ask_same_shop(const struct shop *a, const struct shop *b)
{
	return a == b || (a && b && !strcmp(a->id, b->id));
}

/* The order as this batch has left it, or NULL when it did not touch it. */
static struct order *ask_order_now(const struct visit *v, const struct order *o)
{
	for (size_t i = 0; i < v->n_orders; i++)
		if (ask_same_shop(v->orders[i]->shop, o->shop) && span_eq(v->orders[i]->id, o->id))
			return v->orders[i];
	return NULL;
}

/* Does the question ask for this order, as far as the store would know? */
static bool ask_order_wanted(const struct query *q, const struct order *o)
{
	return (!q->shop || ask_same_shop(q->shop, o->shop)) &&
	       (!q->order_id.n || span_eq(q->order_id, o->id)) &&
	       (q->since_us == TIME_NONE ||
		       (o->placed_us != TIME_NONE && o->placed_us >= q->since_us));
}

struct order **ask_orders(struct desk *d, const struct query *answered, size_t *ret_n)
{
	const struct visit *v = d->visit;
	struct arena *a = &d->sitting->batch->arena;
	struct order **list = arena_array(a, struct order *, answered->n_orders + v->n_orders + 1);
	size_t n = 0;

	for (size_t i = 0; i < v->n_orders; i++)
		if (ask_order_wanted(answered, v->orders[i]))
			list[n++] = v->orders[i];
	for (size_t i = 0; i < answered->n_orders; i++)
		if (!ask_order_now(v, answered->orders[i]))
			list[n++] = answered->orders[i];
	qsort(list, n, sizeof(struct order *), ask_order_compare);
	*ret_n = n;
	return list;
}
