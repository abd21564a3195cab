/* pg_load.c: begins the transaction of a batch, locks its cards, reads what judging needs.
 *
 *	BATCH_EVENTS  one group: BEGIN, lock the cards and read them, read everything else of all customers asked for
 *	BATCH_DUE     two groups: BEGIN, pick (due lists joined with the customer, which locks him);
 *	              then read, due chains of exactly these customers again, inbox rows and tasks likewise
 *
 * The lock is a statement of its own and comes first: under READ COMMITTED each statement sees what was
 * committed before it began, so what is read after the lock is what the last holder left behind; and
 * nextval('batch_no') after the lock makes the numbers of a customer rise in the order of judging.  The locked
 * row itself may come with the lock: Postgres locks a row's newest version and returns that one, whatever the
 * statement's snapshot (a statement of its own for the cards cost 5 us per customer).
 * One pipeline means that rows of customers whom somebody else holds are read in vain; they are
 * dropped.  The alternative, a round trip between lock and read, costs every batch.
 *
 * In-batch doubles: the known keys are asked from the database, equal keys inside the batch are found by
 * sorting.
 */
#include "base/clock.h"
#include "base/json.h"
#include "base/now.h"
#include "base/planted.h"
#include "model/rule_set.h"
#include "model/shop.h"
#include "store/pg_int.h"

#include <stdlib.h>
#include <string.h>

enum { PG_PLANS_US = 5000000 };

static const size_t pick_limits[] = { 1, 10, 50, 200, 500 };
enum { PICK_LIMITS = sizeof pick_limits / sizeof *pick_limits };

/* The visit of a customer whose card we hold and may judge, or NULL. */
static struct visit *load_ready(const struct pg_lane *l, int64_t customer)
{
	struct visit *v = pg_visit(l->batch, customer);

	return v != NULL && v->state == VISIT_READY ? v : NULL;
}

/*** what comes back ***/

/* The cards that we hold.  One that was taken over, or lost an identity that the caller believes in, must be
 * identified again. */
static void load_on_cards(struct pg_lane *l, const struct db_rows *rows)
{
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct visit *v = pg_visit(l->batch, db_rows_i64(rows, i, 0));
		struct pg_card *c;

		if (v == NULL)
			continue;
		c = arena_new(l->reader.arena, struct pg_card);
		v->card = &c->card;
		bind_read(&l->reader, rows, i, 0, pg_customer_cols, pg_n_customer_cols, &c->card);
		bind_read(&l->reader, rows, i, (unsigned)pg_n_customer_cols, &pg_gone_col, 1, v);
		c->cart = c->card.json[CARD_CART];
		c->spend = c->card.json[CARD_SPEND];
		v->state = c->card.merged_into != 0 ||
					   (v->identity_version >= 0 &&
						   v->identity_version != c->card.identity_version)
				   ? VISIT_STALE
				   : VISIT_READY;
	}
}

static void load_on_chains(struct pg_lane *l, const struct db_rows *rows)
{
	struct arena *a = l->reader.arena;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct visit *v = load_ready(l, db_rows_i64(rows, i, 0));
		struct chain *c;

		if (v == NULL)
			continue;
		c = arena_new(a, struct chain);
		c->customer = v->customer;
		bind_read(&l->reader, rows, i, 1, pg_chain_cols, pg_n_chain_cols, c);
		c->due = db_rows_bool(rows, i, 1 + (unsigned)pg_n_chain_cols) &&
			 c->level <= RULE_LEVEL;
		BATCH_PUSH(a, v->chains, v->n_chains, v->cap_chains) = c;
	}
}

static void load_on_known(struct pg_lane *l, const struct db_rows *rows)
{
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct pg_key *k = &l->keys[db_rows_i64(rows, i, 0) - 1];

		k->known = true;
		memcpy(k->hash, db_rows_text(rows, i, 1).p, sizeof k->hash);
	}
}

static void load_on_lasts(struct pg_lane *l, const struct db_rows *rows)
{
	struct arena *a = l->reader.arena;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct visit *v = load_ready(l, db_rows_i64(rows, i, 0));
		struct rule_last *x;

		if (v == NULL)
			continue;
		x = arena_new(a, struct rule_last);
		x->rule = bind_copy(&l->reader, rows, i, 1);
		x->key = bind_copy(&l->reader, rows, i, 2);
		x->started_us = db_rows_time(rows, i, 3);
		BATCH_PUSH(a, v->lasts, v->n_lasts, v->cap_lasts) = x;
	}
}

static bool load_has_order(const struct visit *v, const struct order *o)
{
	for (size_t i = 0; i < v->n_orders; i++)
		if (v->orders[i]->shop == o->shop && span_eq(v->orders[i]->id, o->id))
			return true;
	return false;
}

static void load_on_orders(struct pg_lane *l, const struct db_rows *rows)
{
	struct arena *a = l->reader.arena;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		unsigned asked = 1 + (unsigned)pg_n_order_cols;
		struct pg_key *k = l->order_keys[db_rows_i64(rows, i, asked) - 1];
		struct visit *v = k->visit;
		struct order *o;

		/* an order of somebody else is not ours to read: his card is not locked */
		k->event->order_elsewhere |= db_rows_i64(rows, i, 0) != v->customer;
		if (k->event->order_elsewhere || v->state != VISIT_READY)
			continue;
		o = arena_new(a, struct order);
		o->customer = v->customer;
		bind_read(&l->reader, rows, i, 1, pg_order_cols, pg_n_order_cols, o);
		if (!load_has_order(v, o))
			BATCH_PUSH(a, v->orders, v->n_orders, v->cap_orders) = o;
	}
}

/* An inbox row becomes an event of its customer. */
static void load_on_inbox(struct pg_lane *l, const struct db_rows *rows)
{
	struct arena *a = l->reader.arena;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct visit *v = load_ready(l, db_rows_i64(rows, i, 0));
		struct shop_event *e;

		if (v == NULL)
			continue;
		e = arena_new(a, struct shop_event);
		e->inbox = db_rows_i64(rows, i, 1);
		e->id = span_of(arena_printf(a, "inbox:%lld", (long long)e->inbox));
		e->source = SPAN("");
		e->shop = l->reader.shop(l->reader.arg, db_rows_text(rows, i, 2));
		e->type = bind_copy(&l->reader, rows, i, 3);
		e->data = bind_copy(&l->reader, rows, i, 4);
		/* known already: only when the row came back after its event was judged */
		e->status = db_rows_bool(rows, i, 5) ? EVENT_DUPLICATE : EVENT_NEW;
		e->origin = EVENT_INBOX;
		e->time_us = e->claimed_us = TIME_NONE;
		e->customer = v->customer;
		e->deduplicated = true;
		BATCH_PUSH(a, v->events, v->n_events, v->cap_events) = e;
	}
}

static void load_on_tasks(struct pg_lane *l, const struct db_rows *rows)
{
	struct arena *a = l->reader.arena;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct visit *v = load_ready(l, db_rows_i64(rows, i, 0));
		struct task *t;

		if (v == NULL)
			continue;
		t = arena_new(a, struct task);
		t->customer = v->customer;
		bind_read(&l->reader, rows, i, 1, pg_task_cols, pg_n_task_cols, t);
		t->due = db_rows_bool(rows, i, 1 + (unsigned)pg_n_task_cols);
		t->chain_key = bind_copy(&l->reader, rows, i, 2 + (unsigned)pg_n_task_cols);
		BATCH_PUSH(a, v->tasks, v->n_tasks, v->cap_tasks) = t;
	}
}

static void load_on_current(struct pg_lane *l, const struct db_rows *rows)
{
	struct batch *b = l->batch;

	b->set_id = db_rows_i64(rows, 0, 0);
	b->switches_version = db_rows_i64(rows, 0, 1);
	b->now_us = db_rows_time(rows, 0, 2);
	b->id_next = db_rows_i64(rows, 0, 3) << PG_NUMBER_BITS;
}

static void load_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;

	switch ((int)tag) {
	case SQL_CARD_READ: load_on_cards(l, rows); break;
	case SQL_CHAIN_READ: load_on_chains(l, rows); break;
	case SQL_EVENT_KNOWN: load_on_known(l, rows); break;
	case SQL_RULE_LAST_READ: load_on_lasts(l, rows); break;
	case SQL_ORDER_READ: load_on_orders(l, rows); break;
	case SQL_INBOX_READ: load_on_inbox(l, rows); break;
	case SQL_TASK_READ: load_on_tasks(l, rows); break;
	case SQL_NEXT_DUE: l->batch->next_due_us = db_rows_time(rows, 0, 0); break;
	case SQL_CURRENT: load_on_current(l, rows); break;
	}
}

/*** what goes out ***/

static void load_send(struct pg_lane *l)
{
	db_send(l->db, &l->bind, load_on_rows, l, l->bind.sql);
}

/* Begins a statement whose first parameter are the batch's customers. */
static void load_bind_customers(struct pg_lane *l, enum sql_id sql)
{
	bind_begin(&l->bind, sql);
	for (size_t i = 0; i < l->batch->n_visits; i++)
		bind_i64(&l->bind, 0, l->batch->visits[i]->customer);
}

/* Until when things of that list are due; TIME_NONE: none is.  What is left alone is not read either: it may be
 * what can not be. */
static int64_t load_due_us(const struct pg_lane *l, enum due_kind list)
{
	return l->batch->leave & 1u << list ? TIME_NONE : l->due_us;
}

static void load_send_chains(struct pg_lane *l)
{
	const struct batch *b = l->batch;

	load_bind_customers(l, SQL_CHAIN_READ);
	for (size_t i = 0; i < b->n_types; i++)
		bind_key(&l->bind, 1, b->types[i]);
	bind_time(&l->bind, 2, load_due_us(l, DUE_CHAIN));
	bind_i64(&l->bind, 3, l->wake_any);
	load_send(l);
}

/* Orders that the events name: identities "store/id". */
static void load_send_orders(struct pg_lane *l)
{
	const struct batch *b = l->batch;

	l->order_keys = arena_array(l->reader.arena, struct pg_key *, l->n_keys);
	bind_begin(&l->bind, SQL_ORDER_READ);
	for (size_t i = 0; i < l->n_keys; i++) {
		const struct shop_event *e = l->keys[i].event;

		for (unsigned k = 0; k < e->n_identity; k++) {
			struct span name = e->identity[k].value;
			const char *slash;

			if (e->identity[k].kind != IDENTITY_ORDER ||
				(slash = memchr(name.p, '/', name.n)) == NULL)
				continue;
			l->order_keys[bind_count(&l->bind)] = &l->keys[i];
			bind_key(&l->bind, 0, (struct span){ name.p, (size_t)(slash - name.p) });
			bind_key(&l->bind, 1,
				(struct span){ slash + 1, name.n - (size_t)(slash + 1 - name.p) });
			break;
		}
	}
	if (b->n_visits > 0 && bind_count(&l->bind) > 0)
		load_send(l);
}

/* Which task an event is about: data.task_id, a number or a text of digits; 0: none. */
static int64_t load_task_named(const struct shop_event *e)
{
	struct span value;
	int64_t id = 0;

	if (!span_starts(e->type, "task.") || !json_get(e->data, SPAN("task_id"), &value))
		return 0;
	if (json_kind(value) == JSON_STRING && value.n >= 2)
		value = (struct span){ value.p + 1, value.n - 2 };
	return span_to_i64(value, &id) ? id : 0;
}

static void load_send_tasks(struct pg_lane *l)
{
	bool any = l->batch->kind == BATCH_DUE;
	bool inbox = any && !(l->batch->leave & 1u << DUE_INBOX);

	load_bind_customers(l, SQL_TASK_READ);
	bind_time(&l->bind, 1, inbox ? l->due_us : load_due_us(l, DUE_TASK));
	for (size_t i = 0; i < l->n_keys; i++) {
		int64_t id = load_task_named(l->keys[i].event);

		if (id == 0)
			continue;
		bind_i64(&l->bind, 2, id);
		any = true;
	}
	bind_bool(&l->bind, 3, inbox);
	if (any)
		load_send(l);
}

static void load_send_keys(struct pg_lane *l)
{
	bind_begin(&l->bind, SQL_EVENT_KNOWN);
	for (size_t i = 0; i < l->n_keys; i++) {
		const struct shop_event *e = l->keys[i].event;

		bind_key(&l->bind, 0, e->id);
		bind_key(&l->bind, 1, e->source);
		bind_key(&l->bind, 2, span_of(e->shop->id));
	}
	if (l->n_keys > 0)
		load_send(l);
}

/*** the statuses of events ***/

static bool load_same_key(const struct pg_key *a, const struct pg_key *b)
{
	return span_eq(a->event->id, b->event->id) && span_eq(a->event->source, b->event->source) &&
	       strcmp(a->event->shop->id, b->event->shop->id) == 0;
}

/* Says which events were there before, in the database or earlier in the batch. */
static void load_judge_keys(struct pg_lane *l)
{
	const struct pg_key *first = NULL;

	for (size_t i = 0; i < l->n_keys; i++) {
		struct pg_key *k = &l->keys[i];
		const unsigned char *hash = k->known ? k->hash : NULL;

		if (first != NULL && load_same_key(first, k)) {
			if (hash == NULL)
				hash = first->event->hash;
			/* the same event for two cards: their identities moved; one after the other */
			if (k->visit != first->visit && memcmp(hash, k->event->hash, 16) == 0 &&
				!k->known && k->visit->state == VISIT_READY)
				k->visit->state = VISIT_BUSY;
		} else {
			first = k;
		}
		if (hash != NULL)
			k->event->status = memcmp(hash, k->event->hash, 16) == 0 ? EVENT_DUPLICATE
										 : EVENT_CONFLICT;
	}
}

/*** the ends ***/

static void load_on_end(void *arg, const struct db_end *end)
{
	struct pg_lane *l = arg;
	struct batch *b = l->batch;

	if (!pg_went_well(l, end))
		return;
	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];

		/* somebody holds it, unless we waited for it, or had it already: then the row is gone */
		if (v->card == NULL && (l->patient || b->kind == BATCH_DUE))
			v->state = VISIT_STALE;
		for (size_t k = 0; k < v->n_events; k++)
			if (v->events[k]->inbox != 0)
				v->events[k]->time_us = v->events[k]->received_us = b->now_us;
	}
	if (b->kind == BATCH_EVENTS)
		load_judge_keys(l);
	else if (b->next_due_us != TIME_NONE && b->next_due_us <= b->now_us)
		b->next_due_us = b->now_us + STORE_BUSY_PAUSE_US; /* somebody holds their cards */
	pg_end(l, end);
}

/* Begins the transaction; plans are made anew at times: tables grow. */
static void load_begin(struct pg_lane *l)
{
	int64_t boot_us = clock_boot_us();

	db_send_plain(l->db, SQL_BEGIN, NULL, NULL, 0);
	if (boot_us - l->planned_us < PG_PLANS_US)
		return;
	l->planned_us = boot_us;
	db_send_plain(l->db, SQL_PLAN_ANEW, NULL, NULL, 0);
}

static void load_events(struct pg_lane *l)
{
	pg_list_keys(l);
	for (size_t i = 0; i < l->n_keys; i++) {
		l->keys[i].event->status = EVENT_NEW;
		l->keys[i].event->order_elsewhere = false;
	}
	load_begin(l);
	if (l->batch->n_visits > 0) {
		if (l->patient)
			db_send_plain(l->db, SQL_PATIENT, NULL, NULL, 0);
		load_bind_customers(l, PLANTED(drop_lock) ? SQL_CARD_READ
				       : l->patient       ? SQL_CARD_LOCK_PATIENT
							  : SQL_CARD_LOCK);
		db_send(l->db, &l->bind, load_on_rows, l, SQL_CARD_READ);
		load_send_chains(l);
		load_send_keys(l);
		load_bind_customers(l, SQL_RULE_LAST_READ);
		load_send(l);
		load_send_orders(l);
		load_send_tasks(l);
	}
	db_send_plain(l->db, SQL_CURRENT, load_on_rows, l, SQL_CURRENT);
	db_sync(l->db, load_on_end, l);
}

/*** due work ***/

static int load_visit_cmp(const void *x, const void *y)
{
	const struct visit *a = *(struct visit *const *)x, *b = *(struct visit *const *)y;

	return (a->customer > b->customer) - (a->customer < b->customer);
}

/* Rows (customer, what) of a due list: each customer is locked now. */
static void load_on_picked(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;
	struct batch *b = l->batch;

	switch ((int)tag) {
	case SQL_CLOCK: l->due_us = db_rows_time(rows, 0, 0); return;
	case SQL_ENGINES: b->engines = (size_t)db_rows_i64(rows, 0, 0); return;
	}
	if (db_rows_count(rows) >= l->pick_limit)
		b->more_due = true;
	if (tag != SQL_PICK_CHAIN_1 && db_rows_count(rows) > 0)
		l->wake_any = true;
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct visit *v;

		v = arena_new(l->reader.arena, struct visit);
		v->customer = db_rows_i64(rows, i, 0);
		v->picked = db_rows_i64(rows, i, 1);
		if (tag == SQL_PICK_INBOX_1)
			l->follow |= db_rows_bool(rows, i, 2);
		v->identity_version = -1;
		v->state = VISIT_READY;
		BATCH_PUSH(l->reader.arena, b->visits, b->n_visits, b->cap_visits) = v;
	}
}

/* Sorts the visits and leaves one of each customer. */
static void load_unite(struct batch *b)
{
	size_t kept = 0;

	if (b->n_visits > 1)
		qsort(b->visits, b->n_visits, sizeof *b->visits, load_visit_cmp);
	for (size_t i = 0; i < b->n_visits; i++)
		if (kept == 0 || b->visits[kept - 1]->customer != b->visits[i]->customer)
			b->visits[kept++] = b->visits[i];
	b->n_visits = kept;
}

/* The second group: what the picked customers have, and when there will be more, unless there is more now.  (The earliest
 * that is not one of theirs is behind all of theirs in the index: some 4 ms with 500 of them.) */
static void load_on_pick_end(void *arg, const struct db_end *end)
{
	struct pg_lane *l = arg;
	struct batch *b = l->batch;

	if (!pg_went_well(l, end))
		return;
	load_unite(b);
	if (l->follow) {
		load_bind_customers(l, SQL_INBOX_FOLLOW);
		load_send(l);
	}
	if (b->n_visits > 0) {
		load_bind_customers(l, SQL_CARD_READ);
		load_send(l);
		load_send_chains(l);
		if (!(b->leave & 1u << DUE_INBOX)) {
			load_bind_customers(l, SQL_INBOX_READ);
			bind_time(&l->bind, 1, l->due_us);
			load_send(l);
		}
		load_send_tasks(l);
		load_bind_customers(l, SQL_RULE_LAST_READ);
		load_send(l);
	}
	if (!b->more_due) {
		load_bind_customers(l, SQL_NEXT_DUE);
		bind_int(&l->bind, 1, RULE_LEVEL);
		bind_bool(&l->bind, 2, b->leave & 1u << DUE_CHAIN);
		load_send(l);
	}
	db_send_plain(l->db, SQL_CURRENT, load_on_rows, l, SQL_CURRENT);
	db_sync(l->db, load_on_end, l);
}

/* The statement of this list for the limit-th of pick_limits. */
static void load_pick(struct pg_lane *l, enum due_kind list, enum sql_id first, unsigned limit)
{
	if (l->batch->leave & 1u << list)
		return;
	bind_begin(&l->bind, (enum sql_id)(first + limit));
	bind_i64(&l->bind, 0, l->batch->skip);
	if (list == DUE_CHAIN)
		bind_int(&l->bind, 1, RULE_LEVEL);
	db_send(l->db, &l->bind, load_on_picked, l, first);
}

static void load_due(struct pg_lane *l)
{
	unsigned i = PICK_LIMITS - 1;

	while (i > 0 && pick_limits[i] > l->batch->limit)
		i--;
	l->pick_limit = pick_limits[i];
	l->n_keys = 0;
	load_begin(l);
	db_send_plain(l->db, SQL_CLOCK, load_on_picked, l, SQL_CLOCK);
	if (l->batch->want_engines)
		db_send_plain(l->db, SQL_ENGINES, load_on_picked, l, SQL_ENGINES);
	load_pick(l, DUE_CHAIN, SQL_PICK_CHAIN_1, i);
	load_pick(l, DUE_TASK, SQL_PICK_TASK_1, i);
	load_pick(l, DUE_INBOX, SQL_PICK_INBOX_1, i);
	db_sync(l->db, load_on_pick_end, l);
}

void pg_load(
	struct store *s, int lane, struct batch *b, bool patient, store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, &b->arena, done, arg);
	l->batch = b;
	l->due_us = TIME_NONE;
	l->wake_any = l->follow = false;
	l->patient = patient;
	b->next_due_us = TIME_NONE;
	b->more_due = false;
	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];

		v->state = VISIT_BUSY;
		v->card = NULL;
		v->n_chains = v->n_orders = v->n_tasks = v->n_lasts = 0;
	}
	if (b->kind == BATCH_EVENTS)
		load_events(l);
	else
		load_due(l);
}
