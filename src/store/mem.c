/*
 * mem.c: vectors of records, searched from end to end: the numbers are small, and the code stays the plainest
 * statement of what store.h means.  Saves copy everything into the store's arena (and let old copies lie), loads
 * copy everything into the batch's, so neither side ever sees the other's changes before commit.
 */
#include "store/mem.h"

#include "base/clock.h"
#include "base/map.h"
#include "model/shop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MEM_LANES_MOST = 16,
	MEM_NUMBER_BITS = 17,
	MEM_LOCKED_OUTSIDE = -2,
	MEM_STRIKES = 2,
	MEM_STRUCK_EVENTS = 3
};

struct mem_answer { /* a finished call whose answer waits for mem_turn */
	struct mem_answer *next;
	store_done_fn *done;
	void *arg;
	enum store_end end;
	struct err err;
	int lane;
};

struct mem_strike {
	struct switch_pair pair;
	unsigned n;
};

struct mem {
	struct store store; /* first */
	struct arena arena;
	int64_t now_us, next_customer, next_batch;
	struct mem_tables t;
	struct map customer_by_id, identity_by_key, event_by_key;
	struct map strong; /* customers that have an identity that is not weak */
	struct map locks;  /* customer -> lane + 1, or MEM_LOCKED_OUTSIDE */
	struct rule_last **lasts;
	int64_t *lasts_customer;
	size_t n_lasts, cap_lasts, cap_lasts_customer;
	struct rule_set set;
	struct rule_text *texts; /* of all sets that ever were: chains are pinned to them */
	size_t n_texts, cap_texts;
	int64_t switches_version;
	struct span *suspended;
	size_t n_suspended, cap_suspended;
	struct mem_strike **strikes;
	size_t n_strikes, cap_strikes;
	struct mem_answer *answers, **answers_end;
	bool open[MEM_LANES_MOST], in_call[MEM_LANES_MOST];
	bool up;
	struct {
		bool armed, applied;
		enum store_end end;
	} fail[MEM_SAVE + 1];
};

/* Grows a vector of the store by one and gives the new place. */
#define MEM_PUSH(m, array, n, cap) BATCH_PUSH(&(m)->arena, array, n, cap)

static struct mem *mem_of(const struct store *s)
{
	return (struct mem *)(uintptr_t)s;
}

/* ---- copies ---- */

static struct span mem_text(struct arena *a, struct span s)
{
	return s.p ? (struct span){ arena_dup(a, s.p, s.n), s.n } : s;
}

static struct customer *mem_copy_customer(struct arena *a, const struct customer *from)
{
	struct customer *c = arena_new(a, struct customer);

	*c = *from;
	c->base = mem_text(a, c->base);
	c->orders_last_id = mem_text(a, c->orders_last_id);
	for (int i = 0; i < CARD_TEXTS; i++)
		c->text[i] = mem_text(a, c->text[i]);
	for (int i = 0; i < CARD_JSONS; i++)
		c->json[i] = mem_text(a, c->json[i]);
	c->changed = 0;
	return c;
}

static struct chain *mem_copy_chain(struct arena *a, const struct chain *from, bool body)
{
	struct chain *c = arena_new(a, struct chain);

	*c = *from;
	c->rule = mem_text(a, c->rule);
	c->key = mem_text(a, c->key);
	c->text_hash = mem_text(a, c->text_hash);
	c->exits = mem_text(a, c->exits);
	c->reason = mem_text(a, c->reason);
	c->awaits = arena_array(a, struct span, c->n_awaits);
	for (unsigned i = 0; i < c->n_awaits; i++)
		c->awaits[i] = mem_text(a, from->awaits[i]);
	c->open = arena_array(a, int64_t, c->n_open);
	for (unsigned i = 0; i < c->n_open; i++)
		c->open[i] = from->open[i];
	c->event = body ? mem_text(a, c->event) : (struct span){ 0 };
	c->history = body ? mem_text(a, c->history) : (struct span){ 0 };
	c->arrived = body ? mem_text(a, c->arrived) : (struct span){ 0 };
	c->loaded = body;
	c->due = false;
	c->change = CHAIN_SAME;
	return c;
}

static struct order *mem_copy_order(struct arena *a, const struct order *from)
{
	struct order *o = arena_new(a, struct order);
	struct span *texts[] = { &o->id, &o->number, &o->status, &o->currency, &o->payment,
		&o->channel, &o->coupon, &o->tracking_number, &o->carrier, &o->tracking_url,
		&o->products, &o->stamps };

	*o = *from;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = mem_text(a, *texts[i]);
	o->is_new = o->changed = false;
	return o;
}

static struct task *mem_copy_task(struct arena *a, const struct task *from)
{
	struct task *t = arena_new(a, struct task);
	struct span *texts[] = { &t->rule, &t->title, &t->text, &t->manager, &t->group,
		&t->order_id, &t->call, &t->results, &t->result };

	*t = *from;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = mem_text(a, *texts[i]);
	t->is_new = t->changed = t->due = false;
	return t;
}

static struct message *mem_copy_message(struct arena *a, const struct message *from)
{
	struct message *x = arena_new(a, struct message);
	struct span *texts[] = { &x->rule, &x->template_name, &x->template_hash, &x->lang, &x->data,
		&x->to, &x->subject, &x->reason, &x->code };

	*x = *from;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = mem_text(a, *texts[i]);
	return x;
}

static struct shop_event *mem_copy_event(struct arena *a, const struct shop_event *from)
{
	struct shop_event *e = arena_new(a, struct shop_event);

	*e = *from;
	e->source = mem_text(a, e->source);
	e->id = mem_text(a, e->id);
	e->type = mem_text(a, e->type);
	e->data = mem_text(a, e->data);
	e->path = mem_text(a, e->path);
	e->verdicts = mem_text(a, e->verdicts);
	for (unsigned i = 0; i < e->n_identity; i++)
		e->identity[i].value = mem_text(a, e->identity[i].value);
	e->previous.value = mem_text(a, e->previous.value);
	e->reason = e->reason ? arena_strdup(a, e->reason) : NULL;
	e->ticket = NULL;
	e->queue = NULL;
	return e;
}

/* ---- answers ---- */

static void mem_answer(struct mem *m, int lane, enum store_end end, const char *why,
	store_done_fn *done, void *arg)
{
	struct mem_answer *w = xcalloc(1, sizeof *w);

	w->done = done;
	w->arg = arg;
	w->end = end;
	w->lane = lane;
	if (why != NULL)
		err_set(&w->err, "%s", why);
	*m->answers_end = w;
	m->answers_end = &w->next;
	if (lane >= 0)
		m->in_call[lane] = true;
}

bool mem_turn(struct store *s)
{
	struct mem *m = mem_of(s);
	struct mem_answer *w = m->answers, *next;
	bool any = w != NULL;

	m->answers = NULL;
	m->answers_end = &m->answers;
	for (; w != NULL; w = next) {
		next = w->next;
		if (w->lane >= 0)
			m->in_call[w->lane] = false;
		w->done(w->arg, w->end, &w->err);
		free(w);
	}
	return any;
}

static void mem_unlock_cb(void *arg, struct span key, void *value)
{
	struct {
		struct mem *m;
		int lane;
	} *u = arg;

	if ((intptr_t)value == u->lane + 1)
		map_del(&u->m->locks, key);
}

static void mem_unlock(struct mem *m, int lane)
{
	struct {
		struct mem *m;
		int lane;
	} u = { m, lane };

	map_each(&m->locks, mem_unlock_cb, &u);
	m->open[lane] = false;
}

/* An armed fault of this call: ends it and the lane's transaction. */
static bool mem_fails(struct mem *m, int lane, enum mem_call call, store_done_fn *done, void *arg)
{
	if (!m->fail[call].armed)
		return false;
	m->fail[call].armed = false;
	mem_unlock(m, lane);
	mem_answer(m, lane, m->fail[call].end, "a fault that the test asked for", done, arg);
	return true;
}

/* ---- identify ---- */

static struct span mem_identity_key(
	struct buf *key, struct span base, enum identity_kind kind, struct span value)
{
	buf_clear(key);
	buf_char(key, (char)('0' + (int)kind));
	buf_span(key, base);
	buf_char(key, '\0');
	buf_span(key, value);
	return buf_as_span(key);
}

static struct mem_identity *mem_identity_add(
	struct mem *m, struct span base, const struct identity *id, int64_t customer)
{
	struct mem_identity *x = arena_new(&m->arena, struct mem_identity);
	struct buf key = { 0 };

	x->base = mem_text(&m->arena, base);
	x->kind = id->kind;
	x->value = mem_text(&m->arena, id->value);
	x->customer = customer;
	MEM_PUSH(m, m->t.identities, m->t.n_identities, m->t.cap_identities) = x;
	map_put(&m->identity_by_key, mem_identity_key(&key, base, id->kind, id->value), x);
	if (!identity_kind_is_weak(id->kind))
		map_put(&m->strong, MAP_KEY(customer), m);
	buf_free(&key);
	return x;
}

static struct mem_identity *mem_identity_find(
	struct mem *m, struct span base, const struct identity *id)
{
	struct buf key = { 0 };
	struct mem_identity *x =
		map_get(&m->identity_by_key, mem_identity_key(&key, base, id->kind, id->value));

	buf_free(&key);
	return x;
}

static struct customer *mem_customer_make(struct mem *m, const struct store_identity *v)
{
	struct customer *c = arena_new(&m->arena, struct customer);

	c->id = m->next_customer++;
	c->base = mem_text(&m->arena, v->base);
	c->hidden = v->kind == IDENTITY_HIDDEN;
	c->orders_first_us = c->orders_last_us = TIME_NONE;
	c->created_us = c->last_seen_us = m->now_us;
	if (v->kind == IDENTITY_EMAIL)
		c->text[CARD_EMAIL] = mem_text(&m->arena, v->value);
	if (v->kind == IDENTITY_PHONE)
		c->text[CARD_PHONE] = mem_text(&m->arena, v->value);
	MEM_PUSH(m, m->t.customers, m->t.n_customers, m->t.cap_customers) = c;
	map_put(&m->customer_by_id, MAP_KEY(c->id), c);
	return c;
}

/* The card that has taken over this one, or itself; NULL when there is none. */
static struct customer *mem_living(struct mem *m, int64_t customer)
{
	struct customer *c = map_get(&m->customer_by_id, MAP_KEY(customer));

	while (c != NULL && c->merged_into != 0)
		c = map_get(&m->customer_by_id, MAP_KEY(c->merged_into));
	return c;
}

/* The card that an identity leads to, or NULL. */
static struct customer *mem_identity_card(struct mem *m, const struct store_identity *v)
{
	struct identity id = { v->kind, v->value };
	struct mem_identity *x;
	struct customer *c;
	int64_t number = 0;

	if (v->kind == IDENTITY_CUSTOMER) {
		c = span_to_i64(v->value, &number) ? mem_living(m, number) : NULL;
		return c != NULL && span_eq(c->base, v->base) ? c : NULL;
	}
	x = mem_identity_find(m, v->base, &id);
	return x ? map_get(&m->customer_by_id, MAP_KEY(x->customer)) : NULL;
}

static void mem_identify(struct store *s, int lane, struct store_identity *v, size_t n,
	struct arena *a, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	(void)a;
	assert(!m->open[lane] && !m->in_call[lane]);
	if (mem_fails(m, lane, MEM_IDENTIFY, done, arg))
		return;
	for (size_t i = 0; i < n; i++) {
		struct identity id = { v[i].kind, v[i].value };
		struct customer *c = mem_identity_card(m, &v[i]);

		v[i].made = c == NULL && v[i].make && v[i].kind != IDENTITY_CUSTOMER;
		if (v[i].made) {
			c = v[i].attach ? mem_living(m, v[i].attach) : mem_customer_make(m, &v[i]);
			mem_identity_add(m, v[i].base, &id, c->id);
		}
		v[i].customer = c ? c->id : 0;
		v[i].identity_version = c ? c->identity_version : 0;
		v[i].weak = c != NULL && identity_kind_is_weak(v[i].kind) &&
			    map_get(&m->strong, MAP_KEY(c->id)) == NULL;
	}
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

/* ---- load ---- */

static struct span mem_event_key(struct buf *key, const struct shop_event *e)
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
	if (holder != 0 && holder != lane + 1)
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
}

/* Is the order named by an event of the visit? */
static bool mem_order_named(const struct visit *v, const struct order *o)
{
	struct buf name = { 0 };
	bool named = false;

	buf_str(&name, o->shop->id);
	buf_char(&name, '/');
	buf_span(&name, o->id);
	for (size_t i = 0; i < v->n_events && !named; i++)
		for (unsigned k = 0; k < v->events[i]->n_identity && !named; k++)
			named = v->events[i]->identity[k].kind == IDENTITY_ORDER &&
				span_eq(v->events[i]->identity[k].value, buf_as_span(&name));
	buf_free(&name);
	return named;
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

static void mem_load_visit(struct mem *m, struct batch *b, struct visit *v)
{
	v->card = mem_copy_customer(&b->arena, map_get(&m->customer_by_id, MAP_KEY(v->customer)));
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
	for (size_t i = 0; i < m->t.n_orders; i++)
		if (m->t.orders[i]->customer == v->customer && mem_order_named(v, m->t.orders[i]))
			BATCH_PUSH(&b->arena, v->orders, v->n_orders, v->cap_orders) =
				mem_copy_order(&b->arena, m->t.orders[i]);
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

struct mem_due {
	int64_t customer, at_us;
};

static int mem_due_cmp(const void *x, const void *y)
{
	const struct mem_due *a = x, *b = y;

	if (a->at_us != b->at_us)
		return a->at_us < b->at_us ? -1 : 1;
	return (a->customer > b->customer) - (a->customer < b->customer);
}

/* All that is due, oldest first; later than now: only the earliest moment is told. */
static size_t mem_due_list(struct mem *m, struct batch *b, struct mem_due **ret)
{
	struct mem_due *list = NULL;
	size_t n = 0, cap = 0;

#define MEM_DUE(who, when)                                                                         \
	do {                                                                                       \
		if ((when) > b->now_us) {                                                          \
			if (b->next_due_us == TIME_NONE || (when) < b->next_due_us)                \
				b->next_due_us = (when);                                           \
		} else {                                                                           \
			BATCH_PUSH(&b->arena, list, n, cap) = (struct mem_due){ (who), (when) };   \
		}                                                                                  \
	} while (0)
	for (size_t i = 0; i < m->t.n_chains; i++)
		if (mem_chain_is_due(m->t.chains[i], INT64_MAX))
			MEM_DUE(m->t.chains[i]->customer, m->t.chains[i]->wake_us);
	for (size_t i = 0; i < m->t.n_tasks; i++)
		if (mem_task_is_due(m->t.tasks[i], INT64_MAX))
			MEM_DUE(m->t.tasks[i]->customer, m->t.tasks[i]->deadline_us);
	for (size_t i = 0; i < m->t.n_inbox; i++)
		MEM_DUE(m->t.inbox[i]->customer, m->t.inbox[i]->due_us);
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

	for (size_t i = 0; i < n; i++) {
		struct visit probe = { .customer = due[i].customer, .identity_version = -1 };
		bool have = false;

		for (size_t k = 0; k < b->n_visits && !have; k++)
			have = b->visits[k]->customer == due[i].customer;
		if (have)
			continue;
		if (taken++ >= b->limit) {
			b->more_due = true;
			break;
		}
		if (!mem_lock(m, lane, &probe))
			continue;
		struct visit *v = arena_new(&b->arena, struct visit);

		*v = probe;
		BATCH_PUSH(&b->arena, b->visits, b->n_visits, b->cap_visits) = v;
	}
	if (b->n_visits > 1)
		qsort(b->visits, b->n_visits, sizeof *b->visits, mem_visit_cmp);
}

/* The first of a batch's own numbers: two lanes must not give the same one. */
static int64_t mem_numbers(struct mem *m)
{
	return m->next_batch++ << MEM_NUMBER_BITS;
}

static void mem_load(
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
	if (b->kind == BATCH_DUE)
		mem_pick_due(m, lane, b);
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

static void mem_fetch(struct store *s, int lane, struct batch *b, struct query *q, size_t n,
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
		}
	}
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

/* ---- save ---- */

/* A key that somebody else wrote meanwhile: the batch must be loaded again. */
static bool mem_save_collides(struct mem *m, const struct batch *b)
{
	struct buf key = { 0 };
	bool hit = false;

	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_events && !hit; k++) {
			const struct shop_event *e = b->visits[i]->events[k];

			hit = b->visits[i]->state == VISIT_READY && e->status == EVENT_ACCEPTED &&
			      e->origin != EVENT_DERIVED &&
			      map_get(&m->event_by_key, mem_event_key(&key, e)) != NULL;
		}
	buf_free(&key);
	return hit;
}

static void mem_save_events(struct mem *m, const struct visit *v)
{
	struct buf key = { 0 };

	for (size_t i = 0; i < v->n_events; i++) {
		struct shop_event *e = v->events[i];
		struct shop_event *copy;

		if (e->inbox != 0)
			for (size_t k = 0; k < m->t.n_inbox; k++)
				if (m->t.inbox[k]->id == e->inbox) {
					memmove(&m->t.inbox[k], &m->t.inbox[k + 1],
						(--m->t.n_inbox - k) * sizeof *m->t.inbox);
					break;
				}
		if (e->status != EVENT_ACCEPTED || e->origin == EVENT_DERIVED)
			continue;
		copy = mem_copy_event(&m->arena, e);
		MEM_PUSH(m, m->t.events, m->t.n_events, m->t.cap_events) = copy;
		map_put(&m->event_by_key, mem_event_key(&key, copy), copy);
	}
	buf_free(&key);
}

static void mem_save_chain(struct mem *m, const struct chain *c)
{
	struct chain *copy, *stored = NULL;
	struct span history, event;

	if (c->change == CHAIN_SAME)
		return;
	for (size_t i = 0; i < m->t.n_chains && stored == NULL; i++)
		if (m->t.chains[i]->id == c->id)
			stored = m->t.chains[i];
	copy = mem_copy_chain(&m->arena, c, true);
	if (stored == NULL) {
		MEM_PUSH(m, m->t.chains, m->t.n_chains, m->t.cap_chains) = copy;
		return;
	}
	history = stored->history;
	event = stored->event;
	*stored = *copy;
	if (!c->loaded) { /* only its head was known: the body stays */
		stored->history = history;
		stored->event = event;
	}
}

static void mem_save_orders(struct mem *m, const struct visit *v)
{
	for (size_t i = 0; i < v->n_orders; i++) {
		const struct order *o = v->orders[i];
		struct order *stored = NULL;

		if (!o->is_new && !o->changed)
			continue;
		for (size_t k = 0; k < m->t.n_orders && stored == NULL; k++)
			if (m->t.orders[k]->shop == o->shop && span_eq(m->t.orders[k]->id, o->id))
				stored = m->t.orders[k];
		if (stored != NULL)
			*stored = *mem_copy_order(&m->arena, o);
		else
			MEM_PUSH(m, m->t.orders, m->t.n_orders, m->t.cap_orders) =
				mem_copy_order(&m->arena, o);
	}
	for (size_t i = 0; i < v->n_statuses; i++) {
		struct order_status *x = arena_new(&m->arena, struct order_status);

		*x = *v->statuses[i];
		x->order_id = mem_text(&m->arena, x->order_id);
		x->status = mem_text(&m->arena, x->status);
		x->previous = mem_text(&m->arena, x->previous);
		MEM_PUSH(m, m->t.statuses, m->t.n_statuses, m->t.cap_statuses) = x;
	}
}

static void mem_save_tasks(struct mem *m, const struct visit *v)
{
	for (size_t i = 0; i < v->n_tasks; i++) {
		const struct task *t = v->tasks[i];
		struct task *copy;

		if (!t->is_new && !t->changed)
			continue;
		copy = mem_copy_task(&m->arena, t);
		for (size_t k = 0; k < m->t.n_tasks; k++)
			if (m->t.tasks[k]->id == t->id) {
				*m->t.tasks[k] = *copy;
				copy = NULL;
				break;
			}
		if (copy != NULL)
			MEM_PUSH(m, m->t.tasks, m->t.n_tasks, m->t.cap_tasks) = copy;
	}
}

/* What an ended chain wrote and nobody took is withdrawn. */
static void mem_save_withdraw(struct mem *m, const struct visit *v)
{
	for (size_t i = 0; i < v->n_withdraw; i++) {
		for (size_t k = 0; k < m->t.n_messages; k++) {
			struct message *x = m->t.messages[k];

			if (x->chain == v->withdraw[i] && x->state == MESSAGE_READY && !x->keep)
				x->state = MESSAGE_WITHDRAWN;
		}
		for (size_t k = 0; k < m->t.n_tasks; k++) {
			struct task *t = m->t.tasks[k];

			if (t->chain == v->withdraw[i] && t->state == TASK_OPEN && !t->keep)
				t->state = TASK_WITHDRAWN;
		}
	}
}

static void mem_save_lasts(struct mem *m, const struct visit *v)
{
	for (size_t i = 0; i < v->n_lasts; i++) {
		const struct rule_last *x = v->lasts[i];
		struct rule_last *stored = NULL;

		if (!x->changed)
			continue;
		for (size_t k = 0; k < m->n_lasts && stored == NULL; k++)
			if (m->lasts_customer[k] == v->customer &&
				span_eq(m->lasts[k]->rule, x->rule) &&
				span_eq(m->lasts[k]->key, x->key))
				stored = m->lasts[k];
		if (stored == NULL) {
			stored = arena_new(&m->arena, struct rule_last);
			stored->rule = mem_text(&m->arena, x->rule);
			stored->key = mem_text(&m->arena, x->key);
			size_t n = m->n_lasts;

			MEM_PUSH(m, m->lasts_customer, n, m->cap_lasts_customer) = v->customer;
			MEM_PUSH(m, m->lasts, m->n_lasts, m->cap_lasts) = stored;
		}
		stored->started_us = x->started_us;
	}
}

static void mem_save_rest(struct mem *m, const struct visit *v)
{
	struct arena *a = &m->arena;

	for (size_t i = 0; i < v->n_notes; i++) {
		struct visit_note *x = arena_new(a, struct visit_note);

		*x = *v->notes[i];
		x->text = mem_text(a, x->text);
		x->rule = mem_text(a, x->rule);
		MEM_PUSH(m, m->t.notes, m->t.n_notes, m->t.cap_notes) = x;
	}
	for (size_t i = 0; i < v->n_consents; i++) {
		struct visit_consent *x = arena_new(a, struct visit_consent);

		*x = *v->consents[i];
		x->channel = mem_text(a, x->channel);
		x->source = mem_text(a, x->source);
		MEM_PUSH(m, m->t.consents, m->t.n_consents, m->t.cap_consents) = x;
	}
	for (size_t i = 0; i < v->n_suppressions; i++) {
		struct visit_suppression *x = arena_new(a, struct visit_suppression);

		*x = *v->suppressions[i];
		x->address = mem_text(a, x->address);
		x->reason = mem_text(a, x->reason);
		MEM_PUSH(m, m->t.suppressions, m->t.n_suppressions, m->t.cap_suppressions) = x;
	}
	for (size_t i = 0; i < v->n_faults; i++)
		if (v->faults[i]->suspend) {
			MEM_PUSH(m, m->suspended, m->n_suspended, m->cap_suspended) =
				mem_text(a, v->faults[i]->rule);
			m->switches_version++;
		}
	for (size_t i = 0; i < v->n_identities; i++)
		if (mem_identity_find(m, v->card->base, &v->identities[i]) == NULL)
			mem_identity_add(m, v->card->base, &v->identities[i], v->customer);
}

static void mem_save_visit(struct mem *m, const struct visit *v)
{
	if (v->card->changed != 0) {
		struct customer *stored = map_get(&m->customer_by_id, MAP_KEY(v->customer));

		*stored = *mem_copy_customer(&m->arena, v->card);
	}
	mem_save_events(m, v);
	for (size_t i = 0; i < v->n_chains; i++)
		mem_save_chain(m, v->chains[i]);
	mem_save_orders(m, v);
	for (size_t i = 0; i < v->n_messages; i++)
		MEM_PUSH(m, m->t.messages, m->t.n_messages, m->t.cap_messages) =
			mem_copy_message(&m->arena, v->messages[i]);
	mem_save_tasks(m, v);
	mem_save_withdraw(m, v);
	mem_save_lasts(m, v);
	mem_save_rest(m, v);
}

/* The newest start of each rule counts for both. */
static void mem_join_lasts(struct mem *m, int64_t gone, int64_t living)
{
	for (size_t i = 0; i < m->n_lasts; i++) {
		if (m->lasts_customer[i] != gone)
			continue;
		for (size_t k = 0; k < m->n_lasts; k++)
			if (m->lasts_customer[k] == living &&
				span_eq(m->lasts[k]->rule, m->lasts[i]->rule) &&
				span_eq(m->lasts[k]->key, m->lasts[i]->key)) {
				if (m->lasts[k]->started_us < m->lasts[i]->started_us)
					m->lasts[k]->started_us = m->lasts[i]->started_us;
				m->lasts_customer[i] = 0;
			}
		if (m->lasts_customer[i] == gone)
			m->lasts_customer[i] = living;
	}
}

/* Everything of a card that was given up goes to the one that took it. */
static void mem_join(struct mem *m, int64_t gone, int64_t living)
{
#define MEM_MOVE(array, n)                                                                         \
	for (size_t i = 0; i < m->t.n; i++)                                                        \
		if (m->t.array[i]->customer == gone)                                               \
	m->t.array[i]->customer = living
	MEM_MOVE(identities, n_identities);
	MEM_MOVE(events, n_events);
	MEM_MOVE(chains, n_chains);
	MEM_MOVE(orders, n_orders);
	MEM_MOVE(messages, n_messages);
	MEM_MOVE(tasks, n_tasks);
	MEM_MOVE(inbox, n_inbox);
#undef MEM_MOVE
	mem_join_lasts(m, gone, living);
	if (map_del(&m->strong, MAP_KEY(gone)) != NULL)
		map_put(&m->strong, MAP_KEY(living), m);
}

static void mem_apply(struct mem *m, struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++)
		if (b->visits[i]->state == VISIT_READY)
			mem_save_visit(m, b->visits[i]);
	for (size_t i = 0; i < b->n_visits; i++)
		if (b->visits[i]->state == VISIT_READY && b->visits[i]->card->merged_into != 0)
			mem_join(m, b->visits[i]->customer, b->visits[i]->card->merged_into);
	for (size_t i = 0; i < b->n_aside; i++)
		MEM_PUSH(m, m->t.aside, m->t.n_aside, m->t.cap_aside) =
			mem_copy_event(&m->arena, b->aside[i]);
}

static void mem_save(struct store *s, int lane, struct batch *b, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	assert(m->open[lane] && !m->in_call[lane]);
	if (m->fail[MEM_SAVE].armed && m->fail[MEM_SAVE].applied)
		mem_apply(m, b);
	if (mem_fails(m, lane, MEM_SAVE, done, arg))
		return;
	if (mem_save_collides(m, b)) {
		mem_unlock(m, lane);
		mem_answer(m, lane, STORE_AGAIN, "an event key was written meanwhile", done, arg);
		return;
	}
	mem_apply(m, b);
	mem_unlock(m, lane);
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

static void mem_abandon(struct store *s, int lane, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	mem_unlock(m, lane);
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

/* ---- rule sets, switches, inbox ---- */

static void mem_copy_set(struct arena *a, struct rule_set *ret, const struct rule_set *from)
{
	*ret = *from;
	ret->texts = arena_array(a, struct rule_text, from->n_texts);
	for (size_t i = 0; i < from->n_texts; i++) {
		ret->texts[i] = from->texts[i];
		ret->texts[i].path = mem_text(a, from->texts[i].path);
		ret->texts[i].bundle = mem_text(a, from->texts[i].bundle);
	}
	ret->templates = arena_array(a, struct template_text, from->n_templates);
	for (size_t i = 0; i < from->n_templates; i++) {
		ret->templates[i] = from->templates[i];
		ret->templates[i].name = mem_text(a, from->templates[i].name);
		ret->templates[i].lang = mem_text(a, from->templates[i].lang);
		ret->templates[i].body = mem_text(a, from->templates[i].body);
	}
}

static void mem_set_read(struct store *s, int lane, struct rule_set *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	mem_copy_set(a, ret, &m->set);
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

static void mem_set_write(struct store *s, int lane, struct rule_set *set, struct span by,
	struct span host, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	(void)by;
	(void)host;
	set->id = m->set.id + 1;
	mem_copy_set(&m->arena, &m->set, set);
	for (size_t i = 0; i < m->set.n_texts; i++)
		MEM_PUSH(m, m->texts, m->n_texts, m->cap_texts) = m->set.texts[i];
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

static void mem_switches_read(struct store *s, int lane, struct switches *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);
	size_t cap_suspended = 0, cap_pairs = 0;

	*ret = (struct switches){ .version = m->switches_version };
	for (size_t i = 0; i < m->n_suspended; i++)
		BATCH_PUSH(a, ret->suspended, ret->n_suspended, cap_suspended) =
			mem_text(a, m->suspended[i]);
	for (size_t i = 0; i < m->n_strikes; i++)
		if (m->strikes[i]->n >= MEM_STRIKES)
			BATCH_PUSH(a, ret->pairs, ret->n_pairs, cap_pairs) = m->strikes[i]->pair;
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

static void mem_strike(
	struct store *s, int lane, const struct switch_pair *pair, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);
	struct mem_strike *x = NULL;
	unsigned of_rule = 0;

	for (size_t i = 0; i < m->n_strikes; i++) {
		struct switch_pair *p = &m->strikes[i]->pair;

		of_rule += span_eq(p->rule, pair->rule);
		if (span_eq(p->rule, pair->rule) && span_eq(p->kind, pair->kind) &&
			span_eq(p->id, pair->id))
			x = m->strikes[i];
	}
	if (x == NULL) {
		x = arena_new(&m->arena, struct mem_strike);
		x->pair = (struct switch_pair){ mem_text(&m->arena, pair->kind),
			mem_text(&m->arena, pair->id), mem_text(&m->arena, pair->rule) };
		MEM_PUSH(m, m->strikes, m->n_strikes, m->cap_strikes) = x;
		if (of_rule + 1 == MEM_STRUCK_EVENTS)
			MEM_PUSH(m, m->suspended, m->n_suspended, m->cap_suspended) = x->pair.rule;
	}
	x->n++;
	m->switches_version++;
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

static struct store_inbox *mem_inbox_row(struct mem *m, const struct store_inbox *from)
{
	struct store_inbox *row = arena_new(&m->arena, struct store_inbox);

	*row = *from;
	row->id = mem_numbers(m);
	row->type = mem_text(&m->arena, from->type);
	row->data = mem_text(&m->arena, from->data);
	if (mem_living(m, row->customer) != NULL)
		row->customer = mem_living(m, row->customer)->id;
	if (row->due_us == TIME_NONE)
		row->due_us = m->now_us;
	MEM_PUSH(m, m->t.inbox, m->t.n_inbox, m->t.cap_inbox) = row;
	return row;
}

static void mem_inbox_add(
	struct store *s, int lane, struct store_inbox *v, size_t n, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	for (size_t i = 0; i < n; i++)
		v[i].id = mem_inbox_row(m, &v[i])->id;
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

void mem_inbox(struct store *s, int64_t customer, const struct shop *shop, const char *type,
	struct span data, int64_t due_us)
{
	mem_inbox_row(mem_of(s), &(struct store_inbox){ .customer = customer,
					 .shop = shop,
					 .type = span_of(type),
					 .data = data,
					 .due_us = due_us });
}

/* ---- life ---- */

static bool mem_usable(struct store *s, int lane)
{
	return mem_of(s)->up && !mem_of(s)->in_call[lane];
}

static bool mem_is_up(struct store *s)
{
	return mem_of(s)->up;
}

static void mem_close(struct store *s)
{
	struct mem *m = mem_of(s);

	for (struct mem_answer *w = m->answers; w != NULL; w = w->next)
		w->end = STORE_LOST;
	mem_turn(s);
	map_fini(&m->customer_by_id);
	map_fini(&m->identity_by_key);
	map_fini(&m->event_by_key);
	map_fini(&m->strong);
	map_fini(&m->locks);
	arena_fini(&m->arena);
	free(m);
}

static const struct store_ops mem_ops = {
	.name = "mem",
	.identify = mem_identify,
	.load = mem_load,
	.fetch = mem_fetch,
	.save = mem_save,
	.abandon = mem_abandon,
	.set_read = mem_set_read,
	.set_write = mem_set_write,
	.switches_read = mem_switches_read,
	.strike = mem_strike,
	.inbox_add = mem_inbox_add,
	.usable = mem_usable,
	.is_up = mem_is_up,
	.close = mem_close,
};

struct store *mem_open(int n_lanes, int64_t now_us)
{
	struct mem *m = xcalloc(1, sizeof *m);

	assert(n_lanes <= MEM_LANES_MOST);
	m->store.ops = &mem_ops;
	m->store.n_lanes = n_lanes;
	m->now_us = now_us;
	m->next_customer = m->next_batch = 1;
	m->answers_end = &m->answers;
	m->up = true;
	return &m->store;
}

void mem_set_now(struct store *s, int64_t now_us)
{
	mem_of(s)->now_us = now_us;
}

const struct mem_tables *mem_tables(const struct store *s)
{
	return &mem_of(s)->t;
}

int64_t mem_next_due_us(const struct store *s)
{
	struct mem *m = mem_of(s);
	struct batch b = { .now_us = INT64_MIN + 1, .next_due_us = TIME_NONE };
	struct mem_due *due;

	mem_due_list(m, &b, &due);
	for (size_t i = 0; i < m->t.n_messages; i++)
		if (m->t.messages[i]->state == MESSAGE_READY &&
			(b.next_due_us == TIME_NONE || m->t.messages[i]->due_us < b.next_due_us))
			b.next_due_us = m->t.messages[i]->due_us;
	arena_fini(&b.arena);
	return b.next_due_us;
}

void mem_hand_over(struct store *s)
{
	struct mem *m = mem_of(s);

	for (size_t i = 0; i < m->t.n_messages; i++) {
		struct message *x = m->t.messages[i];
		bool expired = x->expires_us != TIME_NONE && x->expires_us <= m->now_us;
		char data[64];

		if (x->state != MESSAGE_READY || x->due_us > m->now_us)
			continue;
		x->state = expired ? MESSAGE_EXPIRED : MESSAGE_SENT;
		snprintf(data, sizeof data, "{\"message_id\":\"%lld\"%s}", (long long)x->id,
			expired ? ",\"code\":\"expired\"" : "");
		mem_inbox(s, x->customer, x->shop, expired ? "message.failed" : "message.sent",
			span_of(data), m->now_us);
	}
}

void mem_fail_next(struct store *s, enum mem_call call, enum store_end end, bool applied)
{
	mem_of(s)->fail[call].armed = true;
	mem_of(s)->fail[call].end = end;
	mem_of(s)->fail[call].applied = applied;
}

void mem_set_up(struct store *s, bool up)
{
	mem_of(s)->up = up;
}

void mem_hold(struct store *s, int64_t customer, bool held)
{
	struct mem *m = mem_of(s);

	if (held)
		map_put(&m->locks, MAP_KEY(customer), (void *)(intptr_t)MEM_LOCKED_OUTSIDE);
	else
		map_del(&m->locks, MAP_KEY(customer));
}
