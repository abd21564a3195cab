/*
 * mem.c: vectors of records, searched from end to end: the numbers are small, and the code stays the plainest
 * statement of what store.h means.  Saves copy everything into the store's arena (and let old copies lie), loads
 * copy everything into the batch's, so neither side ever sees the other's changes before commit.
 */
#include "store/mem.h"

#include "store/mem_int.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mem *mem_of(const struct store *s)
{
	return (struct mem *)(uintptr_t)s;
}

/* ---- answers ---- */

void mem_answer(struct mem *m, int lane, enum store_end end, const char *why, store_done_fn *done,
	void *arg)
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
	bool any = false;

	m->answers = NULL;
	m->answers_end = &m->answers;
	for (; w != NULL; w = next) {
		next = w->next;
		if (w->lane >= 0 && m->stalled[w->lane]) {
			w->next = NULL;
			*m->answers_end = w;
			m->answers_end = &w->next;
			continue;
		}
		any = true;
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

void mem_unlock(struct mem *m, int lane)
{
	struct {
		struct mem *m;
		int lane;
	} u = { m, lane };

	map_each(&m->locks, mem_unlock_cb, &u);
	m->open[lane] = false;
}

/* An armed fault of this call: ends it and the lane's transaction. */
bool mem_fails(struct mem *m, int lane, enum mem_call call, store_done_fn *done, void *arg)
{
	if (!m->fail[call].armed)
		return false;
	m->fail[call].armed = false;
	mem_unlock(m, lane);
	mem_answer(m, lane, m->fail[call].end, "a fault that the test asked for", done, arg);
	return true;
}

/* A batch that never gets through: ends the call and the lane's transaction. */
bool mem_is_poisoned(struct mem *m, int lane, enum mem_call call, const struct batch *b,
	store_done_fn *done, void *arg)
{
	for (size_t i = 0; i < b->n_visits && m->poison[call].customer != 0; i++) {
		if (b->visits[i]->customer != m->poison[call].customer)
			continue;
		mem_unlock(m, lane);
		mem_answer(m, lane, m->poison[call].end, "poison", done, arg);
		return true;
	}
	return false;
}

void mem_poison(struct store *s, enum mem_call call, int64_t customer, enum store_end end)
{
	struct mem *m = mem_of(s);

	m->poison[call].customer = customer;
	m->poison[call].end = end;
}

/* ---- identify ---- */

struct span mem_identity_key(
	struct buf *key, struct span base, enum identity_kind kind, struct span value)
{
	buf_clear(key);
	buf_char(key, (char)('0' + (int)kind));
	buf_span(key, base);
	buf_char(key, '\0');
	buf_span(key, value);
	return buf_as_span(key);
}

struct mem_identity *mem_identity_add(
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

struct mem_identity *mem_identity_find(struct mem *m, struct span base, const struct identity *id)
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
	ret->read_us = m->now_us;
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

/* The row goes, and is kept with the reason. */
static void mem_quarantine_inbox(struct mem *m, const struct store_aside *x)
{
	for (size_t i = 0; i < m->t.n_inbox; i++) {
		struct store_inbox *row = m->t.inbox[i];
		struct shop_event *e;

		if (row->id != x->id)
			continue;
		e = arena_new(&m->arena, struct shop_event);
		e->shop = row->shop;
		e->id = span_of(arena_printf(&m->arena, "inbox:%lld", (long long)row->id));
		e->source = SPAN("");
		e->type = row->type;
		e->data = x->blind ? SPAN("") : row->data;
		e->status = EVENT_QUARANTINED;
		e->reason = arena_printf(&m->arena, "%.*s", SPAN_ARG(x->reason));
		MEM_PUSH(m, m->t.aside, m->t.n_aside, m->t.cap_aside) = e;
		memmove(&m->t.inbox[i], &m->t.inbox[i + 1],
			(--m->t.n_inbox - i) * sizeof *m->t.inbox);
		return;
	}
}

static void mem_set_aside(
	struct store *s, int lane, const struct store_aside *x, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	switch (x->kind) {
	case DUE_CHAIN:
		for (size_t i = 0; i < m->t.n_chains; i++)
			if (m->t.chains[i]->id == x->id) {
				m->t.chains[i]->state = CHAIN_STUCK;
				m->t.chains[i]->wake_us = TIME_NONE;
				m->t.chains[i]->reason = mem_text(&m->arena, x->reason);
			}
		break;
	case DUE_TASK:
		for (size_t i = 0; i < m->t.n_tasks; i++)
			if (m->t.tasks[i]->id == x->id)
				m->t.tasks[i]->overdue = true;
		break;
	case DUE_INBOX: mem_quarantine_inbox(m, x); break;
	}
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
	.set_aside = mem_set_aside,
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
	m->engines = 1;
	return &m->store;
}

void mem_set_engines(struct store *s, size_t n)
{
	mem_of(s)->engines = n;
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

void mem_stall(struct store *s, int lane, bool stalled)
{
	mem_of(s)->stalled[lane] = stalled;
}

void mem_hold(struct store *s, int64_t customer, bool held)
{
	struct mem *m = mem_of(s);

	if (held)
		map_put(&m->locks, MAP_KEY(customer), (void *)(intptr_t)MEM_LOCKED_OUTSIDE);
	else
		map_del(&m->locks, MAP_KEY(customer));
}
