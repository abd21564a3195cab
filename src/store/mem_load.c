/* mem_load.c: locks cards, reads what store.h says, answers questions; picks what is due, oldest first. */
#include "store/mem_int.h"

#include "base/clock.h"
#include "base/planted.h"
#include "model/shop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- load ---- */

struct span mem_event_key(struct buf *key, const struct shop_event *e)
{
	buf_clear(key);
	buf_str(key, e->shop->id);
	buf_char(key, '\0');
	buf_span(key, e->source);
	buf_char(key, '\0');
	buf_span(key, e->id);
	return buf_as_span(key);
}

static bool mem_lock(struct mem *m, int lane, struct visit *v)
{
	const struct customer *c = map_get(&m->customer_by_id, MAP_KEY(v->customer));
	intptr_t holder = (intptr_t)map_get(&m->locks, MAP_KEY(v->customer));

	v->state = VISIT_STALE;
	if (c == NULL || c->merged_into != 0 ||
		(v->identity_version >= 0 && v->identity_version != c->identity_version))
		return false;
	v->state = VISIT_BUSY;
	if (holder != 0 && holder != lane + 1 && !PLANTED(drop_lock))
		return false;
	map_put(&m->locks, MAP_KEY(v->customer), (void *)(intptr_t)(lane + 1));
	v->state = VISIT_READY;
	return true;
}

static bool mem_chain_awaits(const struct chain *c, const struct batch *b)
{
	for (unsigned i = 0; i < c->n_awaits; i++)
		for (size_t k = 0; k < b->n_types; k++)
			if (span_eq(c->awaits[i], b->types[k]))
				return true;
	return false;
}

static bool mem_chain_is_due(const struct chain *c, int64_t now_us)
{
	return (c->state == CHAIN_WAITING || c->state == CHAIN_SETTLING) &&
	       c->wake_us != TIME_NONE && c->wake_us <= now_us;
}

static bool mem_task_is_due(const struct task *t, int64_t now_us)
{
	return (t->state == TASK_OPEN || t->state == TASK_TAKEN) && !t->overdue &&
	       t->deadline_us != TIME_NONE && t->deadline_us <= now_us;
}

static int mem_chain_cmp(const void *x, const void *y)
{
	const struct chain *a = *(struct chain *const *)x, *b = *(struct chain *const *)y;

	return (a->id > b->id) - (a->id < b->id);
}

/* By number: rows stand here in the order of their commits, which need not be that of their numbers. */
static void mem_load_chains(struct mem *m, struct batch *b, struct visit *v)
{
	for (size_t i = 0; i < m->t.n_chains; i++) {
		const struct chain *c = m->t.chains[i];
		bool due = b->kind == BATCH_DUE && mem_chain_is_due(c, b->now_us);
		struct chain *copy;

		if (c->customer != v->customer || !chain_state_is_live(c->state))
			continue;
		copy = mem_copy_chain(&b->arena, c, due || mem_chain_awaits(c, b));
		copy->due = due;
		BATCH_PUSH(&b->arena, v->chains, v->n_chains, v->cap_chains) = copy;
	}
	if (v->n_chains > 1)
		qsort(v->chains, v->n_chains, sizeof *v->chains, mem_chain_cmp);
}

/* Orders that events of the visit name: his own are read, those of others left alone. */
static void mem_load_orders(struct mem *m, struct batch *b, struct visit *v)
{
	for (size_t i = 0; i < m->t.n_orders; i++) {
		const struct order *o = m->t.orders[i];
		bool named = false;

		for (size_t k = 0; k < v->n_events; k++) {
			struct shop_event *e = v->events[k];

			if (!event_names_order(e, o->shop, o->id))
				continue;
			named = true;
			e->order_elsewhere |= o->customer != v->customer;
		}
		if (named && o->customer == v->customer)
			BATCH_PUSH(&b->arena, v->orders, v->n_orders, v->cap_orders) =
				mem_copy_order(&b->arena, o);
	}
}

static int64_t mem_task_named(const struct shop_event *e)
{
	struct span value;
	int64_t id = 0;

	if (!json_get(e->data, SPAN("task_id"), &value))
		return 0;
	if (json_kind(value) == JSON_STRING)
		value = (struct span){ value.p + 1, value.n - 2 };
	return span_to_i64(value, &id) ? id : 0;
}

static void mem_load_chain_key(const struct mem *m, struct batch *b, struct task *t)
{
	t->chain_key = (struct span){ NULL, 0 };
	for (size_t i = 0; i < m->t.n_chains; i++)
		if (m->t.chains[i]->id == t->chain && !chain_state_is_live(m->t.chains[i]->state))
			t->chain_key = mem_text(&b->arena, m->t.chains[i]->key);
}

static void mem_load_tasks(struct mem *m, struct batch *b, struct visit *v)
{
	for (size_t i = 0; i < m->t.n_tasks; i++) {
		const struct task *t = m->t.tasks[i];
		bool due = b->kind == BATCH_DUE && mem_task_is_due(t, b->now_us), named = false;
		struct task *copy;

		if (t->customer != v->customer)
			continue;
		for (size_t k = 0; k < v->n_events && !named; k++)
			named = mem_task_named(v->events[k]) == t->id;
		if (!due && !named)
			continue;
		copy = mem_copy_task(&b->arena, t);
		mem_load_chain_key(m, b, copy);
		copy->due = due;
		BATCH_PUSH(&b->arena, v->tasks, v->n_tasks, v->cap_tasks) = copy;
	}
}

static void mem_load_status(struct mem *m, struct visit *v)
{
	struct buf key = { 0 };

	for (size_t i = 0; i < v->n_events; i++) {
		struct shop_event *e = v->events[i];
		const struct shop_event *known;

		e->status = EVENT_NEW;
		e->order_elsewhere = false;
		if ((known = map_get(&m->event_by_key, mem_event_key(&key, e))) == NULL)
			continue;
		e->status = memcmp(known->hash, e->hash, sizeof e->hash) == 0 ? EVENT_DUPLICATE
									      : EVENT_CONFLICT;
	}
	buf_free(&key);
}

static void mem_load_inbox(struct mem *m, struct batch *b, struct visit *v)
{
	for (size_t i = 0; i < m->t.n_inbox; i++) {
		const struct store_inbox *row = m->t.inbox[i];
		struct shop_event *e;

		if (b->kind != BATCH_DUE || row->customer != v->customer || row->due_us > b->now_us)
			continue;
		e = arena_new(&b->arena, struct shop_event);
		e->shop = row->shop;
		e->id = span_of(arena_printf(&b->arena, "inbox:%lld", (long long)row->id));
		e->source = SPAN("");
		e->type = mem_text(&b->arena, row->type);
		e->data = mem_text(&b->arena, row->data);
		e->time_us = e->received_us = b->now_us;
		e->claimed_us = TIME_NONE;
		e->origin = EVENT_INBOX;
		e->inbox = row->id;
		e->customer = v->customer;
		e->deduplicated = true;
		BATCH_PUSH(&b->arena, v->events, v->n_events, v->cap_events) = e;
	}
}

static void mem_load_gone(struct mem *m, struct batch *b, struct visit *v)
{
	v->gone = arena_array(&b->arena, int64_t, VISIT_GONE_MOST);
	v->n_gone = 0;
	for (size_t i = 0; i < m->t.n_customers && v->n_gone < VISIT_GONE_MOST; i++)
		if (m->t.customers[i]->merged_into == v->customer)
			v->gone[v->n_gone++] = m->t.customers[i]->id;
}

static void mem_load_visit(struct mem *m, struct batch *b, struct visit *v)
{
	v->card = mem_copy_customer(&b->arena, map_get(&m->customer_by_id, MAP_KEY(v->customer)));
	mem_load_gone(m, b, v);
	mem_load_status(m, v);
	mem_load_inbox(m, b, v);
	for (size_t i = 0; i < v->n_events; i++) {
		struct span type = v->events[i]->type;
		bool known = false;

		for (size_t k = 0; k < b->n_types && !known; k++)
			known = span_eq(b->types[k], type);
		if (!known)
			BATCH_PUSH(&b->arena, b->types, b->n_types, b->cap_types) = type;
	}
	mem_load_chains(m, b, v);
	mem_load_orders(m, b, v);
	mem_load_tasks(m, b, v);
	for (size_t i = 0; i < m->n_lasts; i++) {
		struct rule_last *x;

		if (m->lasts_customer[i] != v->customer)
			continue;
		x = arena_new(&b->arena, struct rule_last);
		x->rule = mem_text(&b->arena, m->lasts[i]->rule);
		x->key = mem_text(&b->arena, m->lasts[i]->key);
		x->started_us = m->lasts[i]->started_us;
		BATCH_PUSH(&b->arena, v->lasts, v->n_lasts, v->cap_lasts) = x;
	}
}

static int mem_due_cmp(const void *x, const void *y)
{
	const struct mem_due *a = x, *b = y;

	if (a->at_us != b->at_us)
		return a->at_us < b->at_us ? -1 : 1;
	return (a->customer > b->customer) - (a->customer < b->customer);
}

/* All that is due, oldest first; later than now: only the earliest moment is told. */
size_t mem_due_list(struct mem *m, struct batch *b, struct mem_due **ret)
{
	struct mem_due *list = NULL;
	size_t n = 0, cap = 0;

#define MEM_DUE(who, when, what)                                                                   \
	do {                                                                                       \
		if ((when) > b->now_us) {                                                          \
			if (b->next_due_us == TIME_NONE || (when) < b->next_due_us)                \
				b->next_due_us = (when);                                           \
		} else {                                                                           \
			BATCH_PUSH(&b->arena, list, n, cap) =                                      \
				(struct mem_due){ (who), (when), (what) };                         \
		}                                                                                  \
	} while (0)
	for (size_t i = 0; i < m->t.n_chains && !(b->leave & 1u << DUE_CHAIN); i++)
		if (mem_chain_is_due(m->t.chains[i], INT64_MAX))
			MEM_DUE(m->t.chains[i]->customer, m->t.chains[i]->wake_us,
				m->t.chains[i]->id);
	for (size_t i = 0; i < m->t.n_tasks && !(b->leave & 1u << DUE_TASK); i++)
		if (mem_task_is_due(m->t.tasks[i], INT64_MAX))
			MEM_DUE(m->t.tasks[i]->customer, m->t.tasks[i]->deadline_us,
				m->t.tasks[i]->id);
	for (size_t i = 0; i < m->t.n_inbox && !(b->leave & 1u << DUE_INBOX); i++)
		MEM_DUE(m->t.inbox[i]->customer, m->t.inbox[i]->due_us, m->t.inbox[i]->id);
#undef MEM_DUE
	if (n > 1)
		qsort(list, n, sizeof *list, mem_due_cmp);
	*ret = list;
	return n;
}

static int mem_visit_cmp(const void *x, const void *y)
{
	const struct visit *a = *(struct visit *const *)x, *b = *(struct visit *const *)y;

	return (a->customer > b->customer) - (a->customer < b->customer);
}

/* Picks the customers of the oldest due work, skipping those that others hold. */
static void mem_pick_due(struct mem *m, int lane, struct batch *b)
{
	struct mem_due *due;
	size_t n = mem_due_list(m, b, &due), taken = 0;
	int64_t again_us = b->now_us + STORE_BUSY_PAUSE_US;

	for (size_t i = 0; i < n; i++) {
		struct visit probe = {
			.customer = due[i].customer, .picked = due[i].id, .identity_version = -1
		};
		bool have = false;

		for (size_t k = 0; k < b->n_visits && !have; k++)
			have = b->visits[k]->customer == due[i].customer;
		if (have || due[i].customer == b->skip)
			continue;
		if (taken++ >= b->limit) {
			b->more_due = true;
			break;
		}
		if (!mem_lock(m, lane, &probe)) { /* somebody holds his card: soon again */
			if (b->next_due_us == TIME_NONE || b->next_due_us > again_us)
				b->next_due_us = again_us;
			continue;
		}
		struct visit *v = arena_new(&b->arena, struct visit);

		*v = probe;
		BATCH_PUSH(&b->arena, b->visits, b->n_visits, b->cap_visits) = v;
	}
	if (b->n_visits > 1)
		qsort(b->visits, b->n_visits, sizeof *b->visits, mem_visit_cmp);
}

/* The first of a batch's own numbers: two lanes must not give the same one. */
int64_t mem_numbers(struct mem *m)
{
	return m->next_batch++ << MEM_NUMBER_BITS;
}

void mem_load(
	struct store *s, int lane, struct batch *b, bool patient, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	(void)patient;
	assert(!m->open[lane] && !m->in_call[lane]);
	if (mem_fails(m, lane, MEM_LOAD, done, arg))
		return;
	m->open[lane] = true;
	b->now_us = m->now_us;
	b->id_next = mem_numbers(m);
	b->set_id = m->set.id;
	b->switches_version = m->switches_version;
	if (b->want_engines)
		b->engines = m->engines;
	if (b->kind == BATCH_DUE)
		mem_pick_due(m, lane, b);
	if (mem_is_poisoned(m, lane, MEM_LOAD, b, done, arg))
		return;
	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];

		if (b->kind == BATCH_DUE || mem_lock(m, lane, v))
			mem_load_visit(m, b, v);
	}
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

/* ---- fetch ---- */

static bool mem_query_wants(const struct query *q, const struct shop_event *e)
{
	bool type = q->n_types == 0;

	for (size_t i = 0; i < q->n_types && !type; i++)
		type = event_type_matches(q->types[i], e->type);
	return type && e->customer == q->customer && e->seq < q->before_seq &&
	       (q->shop == NULL || q->shop == e->shop) &&
	       (q->since_us == TIME_NONE || e->time_us >= q->since_us);
}

static void mem_answer_events(struct mem *m, struct batch *b, struct query *q)
{
	size_t cap = 0;

	q->count = 0;
	q->last_us = TIME_NONE;
	for (size_t i = m->t.n_events; i-- > 0;) {
		const struct shop_event *e = m->t.events[i];

		if (!mem_query_wants(q, e))
			continue;
		q->count++;
		if (q->last_us == TIME_NONE || e->time_us > q->last_us)
			q->last_us = e->time_us;
		if (q->kind == QUERY_EVENTS && q->n_rows < q->limit)
			BATCH_PUSH(&b->arena, q->rows, q->n_rows, cap) =
				(struct query_row){ mem_text(&b->arena, e->id),
					mem_text(&b->arena, e->type), mem_text(&b->arena, e->data),
					e->time_us, e->seq };
	}
}

static void mem_answer_orders(struct mem *m, struct batch *b, struct query *q)
{
	size_t cap = 0;

	for (size_t i = m->t.n_orders; i-- > 0;) {
		const struct order *o = m->t.orders[i];

		if (o->customer != q->customer || (q->shop != NULL && q->shop != o->shop) ||
			(q->order_id.n != 0 && !span_eq(q->order_id, o->id)) ||
			(q->since_us != TIME_NONE && o->placed_us < q->since_us) ||
			q->n_orders >= q->limit)
			continue;
		BATCH_PUSH(&b->arena, q->orders, q->n_orders, cap) = mem_copy_order(&b->arena, o);
	}
}

static void mem_answer_text(struct mem *m, struct batch *b, struct query *q)
{
	for (size_t i = 0; i < m->n_texts; i++)
		if (span_is(q->hash, m->texts[i].hash)) {
			q->text = mem_text(&b->arena, m->texts[i].bundle);
			q->level = m->texts[i].level;
		}
}

static void mem_answer_chain(struct mem *m, struct batch *b, struct query *q)
{
	for (size_t i = 0; i < m->t.n_chains; i++) {
		const struct chain *c = m->t.chains[i];

		if (c->id != q->chain->id)
			continue;
		q->chain->event = mem_text(&b->arena, c->event);
		q->chain->history = mem_text(&b->arena, c->history);
		q->chain->arrived = mem_text(&b->arena, c->arrived);
		q->chain->loaded = true;
	}
}

/* May the message reach the customer, or has it? */
static bool mem_is_repeat(const struct query *q, const struct message *x)
{
	bool counts = false;

	switch (x->state) {
	case MESSAGE_READY:
	case MESSAGE_SENDING:
	case MESSAGE_SENT:
	case MESSAGE_IN_DOUBT: counts = true; break;
	case MESSAGE_FAILED:
	case MESSAGE_WITHDRAWN:
	case MESSAGE_EXPIRED:
	case MESSAGE_CAPPED:
	case MESSAGE_REFUSED: break;
	}
	return counts && x->customer == q->customer && span_eq(x->rule, q->rule) &&
	       span_eq(x->reason, q->reason);
}

static void mem_answer_reason(struct mem *m, struct batch *b, struct query *q)
{
	size_t cap = 0;

	for (size_t i = m->t.n_messages; i-- > 0 && q->n_messages < q->limit;) {
		const struct message *x = m->t.messages[i];

		if (mem_is_repeat(q, x))
			BATCH_PUSH(&b->arena, q->messages, q->n_messages, cap) =
				(struct query_message){ x->id, x->chain,
					x->state == MESSAGE_READY && !x->keep };
	}
}

static void mem_answer_sending(struct mem *m, struct batch *b, struct query *q)
{
	size_t cap = 0;

	for (size_t i = 0; i < m->t.n_messages; i++) {
		const struct message *x = m->t.messages[i];

		if (x->customer == q->customer && x->chain == q->chain->id &&
			(x->state == MESSAGE_SENDING || x->state == MESSAGE_SENT ||
				x->state == MESSAGE_IN_DOUBT))
			BATCH_PUSH(&b->arena, q->messages, q->n_messages, cap) =
				(struct query_message){ x->id, x->chain, false };
	}
}

void mem_fetch(struct store *s, int lane, struct batch *b, struct query *q, size_t n,
	store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	assert(m->open[lane] && !m->in_call[lane]);
	if (mem_fails(m, lane, MEM_FETCH, done, arg))
		return;
	for (size_t i = 0; i < n; i++) {
		q[i].n_rows = q[i].n_orders = q[i].n_messages = 0;
		switch (q[i].kind) {
		case QUERY_COUNT:
		case QUERY_EVENTS: mem_answer_events(m, b, &q[i]); break;
		case QUERY_ORDERS: mem_answer_orders(m, b, &q[i]); break;
		case QUERY_TEXT: mem_answer_text(m, b, &q[i]); break;
		case QUERY_CHAIN: mem_answer_chain(m, b, &q[i]); break;
		case QUERY_REASON: mem_answer_reason(m, b, &q[i]); break;
		case QUERY_SENDING: mem_answer_sending(m, b, &q[i]); break;
		}
	}
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}
