/* mem_save.c: writes a judged batch, all of it or nothing. */
#include "store/mem_int.h"

#include <assert.h>
#include <string.h>

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

/* Has another customer a key that is claimed?  Two claims of one batch collide as well. */
static bool mem_claim_collides(struct mem *m, const struct batch *b)
{
	struct map claimed = { 0 };
	struct buf key = { 0 };
	bool hit = false;

	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];

		for (size_t k = 0; v->state == VISIT_READY && k < v->n_identities && !hit; k++) {
			const struct identity *id = &v->identities[k];
			const struct mem_identity *x = mem_identity_find(m, v->card->base, id);
			const struct visit *other = map_put(&claimed,
				mem_identity_key(&key, v->card->base, id->kind, id->value), v);

			hit = (x != NULL && x->customer != v->customer) ||
			      (other != NULL && other != v);
		}
	}
	map_fini(&claimed);
	buf_free(&key);
	return hit;
}

static void mem_save_events(struct mem *m, const struct visit *v)
{
	struct buf key = { 0 };

	for (size_t i = 0; i < v->n_events; i++) {
		struct shop_event *e = v->events[i];
		struct shop_event *copy;

		if (e->inbox != 0 && e->status != EVENT_NEW)
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

static struct order *mem_order_find(struct mem *m, const struct order *o)
{
	for (size_t i = 0; i < m->t.n_orders; i++)
		if (m->t.orders[i]->shop == o->shop && span_eq(m->t.orders[i]->id, o->id))
			return m->t.orders[i];
	return NULL;
}

/* A row that somebody else has made meanwhile. */
static bool mem_order_collides(struct mem *m, const struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++) {
		const struct visit *v = b->visits[i];

		for (size_t k = 0; v->state == VISIT_READY && k < v->n_orders; k++)
			if (v->orders[k]->is_new && mem_order_find(m, v->orders[k]) != NULL)
				return true;
	}
	return false;
}

static void mem_save_orders(struct mem *m, const struct visit *v)
{
	for (size_t i = 0; i < v->n_orders; i++) {
		const struct order *o = v->orders[i];
		struct order *stored;

		if (!o->is_new && !o->changed)
			continue;
		if ((stored = mem_order_find(m, o)) != NULL)
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

/* Is the chain over, and does it have the key?  A key of {NULL,0}: whatever it is. */
static bool mem_is_over(const struct mem *m, int64_t chain, struct span key)
{
	for (size_t i = 0; i < m->t.n_chains; i++) {
		const struct chain *c = m->t.chains[i];

		if (c->id == chain)
			return !chain_state_is_live(c->state) && (!key.p || span_eq(c->key, key));
	}
	return false;
}

/* Before the tasks of this batch are put in: what they are the engine knows. */
static void mem_save_exits(struct mem *m, const struct visit *v)
{
	for (size_t i = 0; i < v->n_exits; i++) {
		const struct visit_exit *x = &v->exits[i];

		for (size_t k = 0; k < m->t.n_tasks; k++) {
			struct task *t = m->t.tasks[k];

			if (t->customer == v->customer && t->state == TASK_OPEN && !t->keep &&
				span_eq(t->rule, x->rule) && t->chain != x->spared &&
				mem_is_over(m, t->chain, x->key))
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
	mem_save_exits(m, v);
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

void mem_save(struct store *s, int lane, struct batch *b, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	assert(m->open[lane] && !m->in_call[lane]);
	if (m->fail[MEM_SAVE].armed && m->fail[MEM_SAVE].applied)
		mem_apply(m, b);
	if (mem_fails(m, lane, MEM_SAVE, done, arg) ||
		mem_is_poisoned(m, lane, MEM_SAVE, b, done, arg))
		return;
	if (mem_save_collides(m, b)) {
		mem_unlock(m, lane);
		mem_answer(m, lane, STORE_AGAIN, "an event key was written meanwhile", done, arg);
		return;
	}
	if (mem_claim_collides(m, b) || mem_order_collides(m, b)) {
		mem_unlock(m, lane);
		mem_answer(m, lane, STORE_AGAIN, "an identity or order belongs to another customer",
			done, arg);
		return;
	}
	mem_apply(m, b);
	mem_unlock(m, lane);
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}

void mem_abandon(struct store *s, int lane, store_done_fn *done, void *arg)
{
	struct mem *m = mem_of(s);

	mem_unlock(m, lane);
	mem_answer(m, lane, STORE_OK, NULL, done, arg);
}
