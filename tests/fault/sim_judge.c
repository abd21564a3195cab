/*
 * sim_judge.c: holds the store against the model.  After each commit: the events that are new feed the model, in the
 * order of their numbers; then everything that the customer has must be what the model has, no more and no less.
 * So the first commit that is wrong is the one that is told.
 */
#include "sim_model.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum {
	JUDGE_SKEW_US = 2 * SIM_SECOND,
	JUDGE_WHO = 3, /* keys of one person by which events name him: id, two browsers */
	JUDGE_KEYS = JUDGE_WHO + 60 /* and his orders */
};

/* The strongest key of the event. */
static int judge_who(const struct sim_event *e)
{
	return e->has_id ? 0 : e->browser;
}

static void judge_text(struct sim *s, struct span json, const char *path, char *ret, size_t size)
{
	struct span value, text = { NULL, 0 };

	if (json_find(json, path, &value))
		text = json_text(value, &s->arena);
	if (text.n >= size)
		text.n = size - 1;
	if (text.n > 0)
		memcpy(ret, text.p, text.n);
	ret[text.n] = '\0';
}

struct span sim_message_words(struct sim *s, const struct message *m)
{
	struct span value;

	if (json_find(m->data, "with.word", &value) || json_find(m->data, "payload", &value))
		return json_text(value, &s->arena);
	return SPAN("");
}

static struct message *judge_message(struct sim *s, struct span id)
{
	const struct mem_tables *t = mem_tables(s->mem);
	int64_t number;

	for (size_t i = 0; span_to_i64(id, &number) && i < t->n_messages; i++)
		if (t->messages[i]->id == number)
			return t->messages[i];
	return NULL;
}

static struct task *judge_task(struct sim *s, struct span id)
{
	const struct mem_tables *t = mem_tables(s->mem);
	int64_t number;

	for (size_t i = 0; span_to_i64(id, &number) && i < t->n_tasks; i++)
		if (t->tasks[i]->id == number)
			return t->tasks[i];
	return NULL;
}

/* ---- what was stored ---- */

/* The event of a shop that a row has the content of; NULL: of none. */
static struct sim_event *judge_event(struct sim *s, const struct shop_event *row)
{
	struct sim_event *e = map_get(&s->event_by_id, row->id);

	if (e != NULL && !span_is(row->data, e->data) && e->twin >= 0)
		e = s->events[e->twin];
	return e != NULL && span_is(row->data, e->data) && span_is(row->type, e->type) ? e : NULL;
}

/* P4: those of one connection, and those of one MQTT session, in the order in which they came.  Whoever is named by
 * his browser only is somebody else, until an event says more. */
static void judge_order(struct sim *s, const struct sim_post *p, const struct sim_event *e)
{
	struct {
		unsigned connection;
		int customer, is_session;
	} key = { p->connection, e->customer * JUDGE_WHO + judge_who(e), 0 };
	struct span bytes = { (const char *)&key, sizeof key };
	uintptr_t place, last;
	size_t i = 0;

	while (p->events[i] != e)
		i++;
	place = ((uintptr_t)p->serial << 16) + i + 1;
	last = (uintptr_t)map_put(&s->last_place, bytes, (void *)place);
	if (last > place)
		sim_fail(s, "connection %u: event %s is judged after one that came later",
			p->connection, e->id);
	if (!p->client->is_mqtt)
		return;
	key.connection = (unsigned)p->client->number;
	key.is_session = 1;
	place = (uintptr_t)e->place + 1;
	last = (uintptr_t)map_put(&s->last_place, bytes, (void *)place);
	if (last > place)
		sim_fail(s, "MQTT session %d: event %s is judged after one that came later",
			p->client->number, e->id);
}

static void judge_stored(struct sim *s, const struct shop_event *row)
{
	struct sim_event *e = judge_event(s, row);
	struct sim_stored *x = map_get(&s->stored, row->id);

	if (e == NULL) {
		sim_fail(s, "event %.*s is stored, which nobody posted like this",
			SPAN_ARG(row->id));
		return;
	}
	if (x != NULL)
		sim_fail(s, "event %s is stored twice", e->id);
	if (e->kind != SIM_GOOD)
		sim_fail(s, "event %s is stored, which can not be", e->id);
	x = arena_new(&s->arena, struct sim_stored);
	x->event = e->number;
	map_put(&s->stored, span_of(e->id), x);
}

/* ---- feeding the model ---- */

static void judge_feed(struct sim *s, struct model_card *c, const struct shop_event *row)
{
	struct model_event e = { .type = row->type,
		.seq = row->seq,
		.time_us = row->time_us == TIME_NONE ? row->received_us : row->time_us };
	char id[32];
	struct span value;
	double total;

	judge_text(s, row->data, "n", e.n, sizeof e.n);
	judge_text(s, row->data, "order_id", e.order, sizeof e.order);
	if (json_get(row->data, SPAN("total"), &value) && json_number(value, &total))
		e.total = (int)total;
	judge_text(s, row->data, "message_id", id, sizeof id);
	if (id[0] != '\0') {
		const struct message *m = judge_message(s, span_of(id));

		e.message = m ? model_find_message(c, sim_message_words(s, m)) : NULL;
		if (e.message == NULL)
			sim_fail(s, "an event about message %s, which there is not", id);
	}
	judge_text(s, row->data, "task_id", id, sizeof id);
	if (id[0] != '\0') {
		const struct task *t = judge_task(s, span_of(id));

		e.task = t ? model_find_task(c, t->title) : NULL;
	}
	sim_trace(s, "  %.*s %.*s (%s) is judged, number %lld", SPAN_ARG(row->id),
		SPAN_ARG(row->type), e.n, (long long)row->seq);
	model_judge(s->model, c, &e);
}

/* Events of the visit, in order. */
static void judge_events(struct sim *s, struct model_card *c, const struct visit *v)
{
	int64_t last = 0;

	for (size_t i = 0; i < v->n_events && !s->failed; i++) {
		const struct shop_event *e = v->events[i];
		const struct sim_event *meant;

		if (e->status != EVENT_ACCEPTED ||
			(e->origin != EVENT_POSTED && e->origin != EVENT_INBOX))
			continue;
		if (e->seq <= last)
			sim_fail(
				s, "event %.*s has a number below the one before", SPAN_ARG(e->id));
		last = e->seq;
		if (e->origin == EVENT_POSTED && (meant = judge_event(s, e)) != NULL)
			judge_order(s, (const struct sim_post *)e->ticket, meant);
		judge_feed(s, c, e);
	}
}

/* Did its timer fire?  Then it has ended, or waits for something later. */
static bool judge_has_fired(const struct batch *b, const struct chain *x)
{
	return x->due &&
	       (x->state != CHAIN_WAITING || x->wake_us == TIME_NONE || x->wake_us > b->now_us);
}

static int judge_due_compare(const void *a, const void *b)
{
	const struct model_chain *x = *(struct model_chain *const *)a;
	const struct model_chain *y = *(struct model_chain *const *)b;

	return (x->due_us > y->due_us) - (x->due_us < y->due_us);
}

static struct model_chain *judge_chain(struct sim *s, struct model_card *c, const struct chain *x)
{
	char n[MODEL_NUMBER];

	judge_text(s, x->event, "data.n", n, sizeof n);
	return model_find_chain(c, x->rule, span_of(n));
}

/* Deadlines and timers of the visit; false: there were none. */
static bool judge_timers(
	struct sim *s, struct model_card *c, const struct batch *b, const struct visit *v)
{
	struct model_chain **due = arena_array(&s->arena, struct model_chain *, v->n_chains + 1);
	size_t n = 0;
	bool any = false;

	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->due && v->tasks[i]->overdue && v->tasks[i]->changed) {
			struct model_task *t = model_find_task(c, v->tasks[i]->title);

			any = true;
			if (t != NULL)
				model_deadline(s->model, c, t);
		}
	for (size_t i = 0; i < v->n_chains; i++) {
		struct model_chain *x = judge_chain(s, c, v->chains[i]);
		size_t at = n;

		if (!judge_has_fired(b, v->chains[i]) || x == NULL)
			continue;
		/* by time; at one moment the older first, as they stand here */
		while (at > 0 && judge_due_compare(&due[at - 1], &x) > 0) {
			due[at] = due[at - 1];
			at--;
		}
		due[at] = x;
		n++;
	}
	for (size_t i = 0; i < n && !s->failed; i++) {
		sim_trace(s, "  timer of %s %s", model_rule_names[due[i]->rule], due[i]->n);
		model_timer(s->model, c, due[i]);
	}
	return any || n > 0;
}

/* ---- comparing ---- */

static void judge_chains(struct sim *s, struct model_card *c)
{
	const struct mem_tables *t = mem_tables(s->mem);
	struct model_chain *x;
	size_t n = 0;

	TAILQ_FOREACH (x, &c->chains, link)
		x->is_seen = false;
	for (size_t i = 0; i < t->n_chains; i++) {
		const struct chain *y = t->chains[i];

		if (y->customer != c->card)
			continue;
		n++;
		x = judge_chain(s, c, y);
		if (x == NULL || x->is_seen) {
			sim_fail(s,
				"customer %lld: chain %lld of rule \"%.*s\" should not be there",
				(long long)c->card, (long long)y->id, SPAN_ARG(y->rule));
			return;
		}
		x->is_seen = true;
		if (x->state != y->state || x->wake_us != y->wake_us)
			sim_fail(s,
				"customer %lld: chain %lld of rule \"%.*s\" for %s is %s (wakes at %.6f), and should be %s (%.6f)%s%.*s",
				(long long)c->card, (long long)y->id, SPAN_ARG(y->rule), x->n,
				chain_state_name(y->state),
				y->wake_us == TIME_NONE ? -1
							: (double)(y->wake_us - s->begin_us) / 1e6,
				chain_state_name(x->state),
				x->wake_us == TIME_NONE ? -1
							: (double)(x->wake_us - s->begin_us) / 1e6,
				y->reason.n ? ": " : "", SPAN_ARG(y->reason));
	}
	TAILQ_FOREACH (x, &c->chains, link)
		if (!x->is_seen)
			sim_fail(s, "customer %lld: rule \"%s\" was not started for %s",
				(long long)c->card, model_rule_names[x->rule], x->n);
}

/* In the eyes of the model a message is ready, taken or withdrawn. */
static bool judge_is_like(enum message_state model, enum message_state store)
{
	switch (store) {
	case MESSAGE_READY: return model == MESSAGE_READY;
	case MESSAGE_WITHDRAWN: return model == MESSAGE_WITHDRAWN;
	case MESSAGE_SENDING:
	case MESSAGE_SENT:
	case MESSAGE_FAILED:
	case MESSAGE_IN_DOUBT: return model == MESSAGE_SENDING;
	case MESSAGE_EXPIRED:
	case MESSAGE_CAPPED:
	case MESSAGE_REFUSED: break;
	}
	return false;
}

static void judge_messages(struct sim *s, struct model_card *c)
{
	const struct mem_tables *t = mem_tables(s->mem);
	size_t n = 0;

	for (size_t i = 0; i < t->n_messages; i++) {
		struct span words;
		const struct model_message *x;

		if (t->messages[i]->customer != c->card)
			continue;
		n++;
		words = sim_message_words(s, t->messages[i]);
		x = model_find_message(c, words);
		if (x == NULL)
			sim_fail(s, "customer %lld: message \"%.*s\" should not be there",
				(long long)c->card, SPAN_ARG(words));
		else if (!judge_is_like(x->state, t->messages[i]->state))
			sim_fail(s, "customer %lld: message \"%s\" is %s, and should be %s",
				(long long)c->card, x->words,
				message_state_name(t->messages[i]->state),
				message_state_name(x->state));
	}
	/* all of the store's are in the model; as many, so each once */
	if (n != c->n_messages)
		sim_fail(s, "customer %lld has %zu messages, and should have %zu",
			(long long)c->card, n, c->n_messages);
}

static void judge_tasks(struct sim *s, struct model_card *c)
{
	const struct mem_tables *t = mem_tables(s->mem);
	size_t n = 0;

	for (size_t i = 0; i < t->n_tasks; i++) {
		const struct task *y = t->tasks[i];
		const struct model_task *x;

		if (y->customer != c->card)
			continue;
		n++;
		x = model_find_task(c, y->title);
		if (x == NULL || x->state != y->state || x->overdue != y->overdue ||
			x->deadline_us != y->deadline_us)
			sim_fail(s, "customer %lld: task \"%.*s\" is %s%s, and should be %s%s",
				(long long)c->card, SPAN_ARG(y->title), task_state_name(y->state),
				y->overdue ? ", overdue" : "",
				x ? task_state_name(x->state) : "not there",
				x && x->overdue ? ", overdue" : "");
	}
	if (n != c->n_tasks)
		sim_fail(s, "customer %lld has %zu tasks, and should have %zu", (long long)c->card,
			n, c->n_tasks);
}

static void judge_card_fields(struct sim *s, struct model_card *c)
{
	const struct mem_tables *t = mem_tables(s->mem);
	int count, total;
	size_t thirds = 0;

	model_orders(c, &count, &total);
	for (size_t i = 0; i < t->n_customers; i++) {
		const struct customer *y = t->customers[i];

		if (y->id != c->card)
			continue;
		if (y->orders_count != count || y->orders_total != total)
			sim_fail(s,
				"customer %lld has %lld orders of %.2f, and should have %d of %d",
				(long long)c->card, (long long)y->orders_count, y->orders_total,
				count, total);
		if (c->has_third != span_is(y->json[CARD_TAGS], "[\"third\"]"))
			sim_fail(s, "customer %lld has the tags %.*s", (long long)c->card,
				SPAN_ARG(y->json[CARD_TAGS]));
	}
	for (size_t i = 0; i < t->n_events; i++)
		thirds +=
			t->events[i]->customer == c->card && span_is(t->events[i]->type, "b.third");
	if (thirds != c->n_thirds)
		sim_fail(s, "customer %lld has %zu emitted events, and should have %zu",
			(long long)c->card, thirds, c->n_thirds);
}

static void judge_customer(struct sim *s, struct model_card *c)
{
	judge_chains(s, c);
	judge_messages(s, c);
	judge_tasks(s, c);
	judge_card_fields(s, c);
}

/* ---- persons and cards ---- */

/* Which keys of a person belong together, by what events say. */
static int judge_root(const int *of, int key)
{
	while (of[key] != key)
		key = of[key];
	return key;
}

static void judge_link(int *of, int a, int b)
{
	of[judge_root(of, a)] = judge_root(of, b);
}

static void judge_link_event(int *of, const struct sim_event *e)
{
	if (e->has_id && e->browser)
		judge_link(of, 0, e->browser);
	if (e->order >= 0)
		judge_link(of, judge_who(e), JUDGE_WHO + e->order / SIM_CUSTOMERS_MOST);
}

/* Two rows stand on one card when events say that they are of one person, and on two when nothing says so. */
static void judge_pair(struct sim *s, const struct shop_event *x, const struct shop_event *y,
	const int *must, const int *may)
{
	const struct sim_event *a = judge_event(s, x), *b = judge_event(s, y);
	int i = judge_who(a), k = judge_who(b);
	bool same = x->customer == y->customer;

	if (!same && a->customer == b->customer && judge_root(must, i) == judge_root(must, k))
		sim_fail(s, "events %s and %s are of one person and stand on two cards", a->id,
			b->id);
	if (same && (a->customer != b->customer || judge_root(may, i) != judge_root(may, k)))
		sim_fail(s, "events %s and %s are of two persons and stand on one card", a->id,
			b->id);
}

/* Events that were not accepted may have joined cards before that was known. */
static void judge_links(struct sim *s, int customer, int *must, int *may)
{
	for (int i = 0; i < JUDGE_KEYS; i++)
		must[i] = may[i] = i;
	for (size_t i = 0; i < s->n_events; i++) {
		const struct sim_event *e = s->events[i];
		const struct sim_stored *x = map_get(&s->stored, span_of(e->id));

		if (e->customer != customer || e->kind == SIM_BAD)
			continue;
		judge_link_event(may, e);
		if (x != NULL && x->event == e->number)
			judge_link_event(must, e);
	}
}

static void judge_person(struct sim *s, int customer)
{
	const struct mem_tables *t = mem_tables(s->mem);
	const struct shop_event *first[JUDGE_WHO] = { NULL };
	int must[JUDGE_KEYS], may[JUDGE_KEYS];

	judge_links(s, customer, must, may);
	for (size_t i = 0; i < t->n_events && !s->failed; i++) {
		const struct shop_event *row = t->events[i];
		const struct sim_event *e =
			row->origin == EVENT_POSTED ? judge_event(s, row) : NULL;

		if (e == NULL)
			continue;
		if (e->customer == customer && first[judge_who(e)] == NULL)
			first[judge_who(e)] = row;
		for (int k = 0; k < JUDGE_WHO; k++)
			if (first[k] != NULL)
				judge_pair(s, row, first[k], must, may);
	}
}

static void judge_joins(struct sim *s, const struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++) {
		const struct visit *v = b->visits[i];

		if (v->state != VISIT_READY || v->card->merged_into == 0)
			continue;
		s->n.joins++;
		sim_trace(s, "  card %lld takes over card %lld", (long long)v->card->merged_into,
			(long long)v->customer);
		model_join(s->model, model_card(s->model, v->card->merged_into),
			model_card(s->model, v->customer));
	}
}

/* ---- occasions ---- */

void sim_judge_commit(struct sim *s, const struct sim_daemon *d, const struct sim_conn *conn,
	const struct batch *b, size_t n_events)
{
	const struct mem_tables *t = mem_tables(s->mem);
	int version = b->set_id % 2 ? 1 : 2; /* they take turns */

	s->n.commits++;
	sim_trace(s, "daemon %d commits %zu customers%s", d->number, b->n_visits,
		b->kind == BATCH_DUE ? ", due" : "");
	for (size_t i = n_events; i < t->n_events && !s->failed; i++)
		if (t->events[i]->origin == EVENT_POSTED)
			judge_stored(s, t->events[i]);
	judge_joins(s, b);
	for (size_t i = 0; i < b->n_visits && !s->failed; i++) {
		const struct visit *v = b->visits[i];
		struct model_card *c;

		if (v->state != VISIT_READY)
			continue;
		c = model_card(s->model, v->customer);
		model_begin(s->model, c, b->now_us, version);
		judge_events(s, c, v);
		if (judge_timers(s, c, b, v) && llabs(conn->load_skew_us) > JUDGE_SKEW_US)
			sim_fail(s, "daemon %d fires timers with a clock that is %+.1f s off",
				d->number, (double)conn->load_skew_us / 1e6);
		judge_customer(s, c);
	}
}

void sim_judge_claim(struct sim *s, const struct message *m)
{
	struct model_card *c = model_card(s->model, m->customer);
	struct model_message *x = model_find_message(c, sim_message_words(s, m));

	if (x != NULL)
		model_claim(s->model, x);
}

void sim_judge_give_back(struct sim *s, const struct message *m)
{
	struct model_card *c = model_card(s->model, m->customer);
	struct model_message *x = model_find_message(c, sim_message_words(s, m));

	if (x != NULL)
		x->state = MESSAGE_READY;
}

void sim_judge_handed_over(struct sim *s, const struct message *m)
{
	if (map_put(&s->peer, MAP_KEY(m->id), s) != NULL)
		sim_fail(s, "message %lld is handed over twice", (long long)m->id);
}

/* What one event is answered must be so in the store, now. */
static void judge_answer(struct sim *s, const struct sim_event *e, enum event_status status)
{
	const struct sim_stored *x = map_get(&s->stored, span_of(e->id));

	switch (status) {
	case EVENT_ACCEPTED:
	case EVENT_DUPLICATE:
		if (x == NULL || x->event != e->number)
			sim_fail(s, "event %s is acknowledged (%s) and not stored", e->id,
				event_status_name(status));
		return;
	case EVENT_CONFLICT:
		if (x == NULL || x->event == e->number)
			sim_fail(s, "event %s is answered \"conflict\", and is none", e->id);
		return;
	case EVENT_QUARANTINED:
		if (e->kind == SIM_GOOD)
			sim_fail(s, "event %s is quarantined, and nothing is wrong with it", e->id);
		return;
	case EVENT_NEW: sim_fail(s, "event %s is answered without a status", e->id); return;
	}
}

void sim_judge_ack(struct sim *s, const struct sim_post *p)
{
	for (size_t i = 0; i < p->ticket.n; i++)
		judge_answer(s, p->events[i], p->ticket.events[i].status);
}

/* Is it kept aside? */
static bool judge_is_aside(struct sim *s, const struct sim_event *e)
{
	const struct mem_tables *t = mem_tables(s->mem);

	for (size_t i = 0; i < t->n_aside; i++)
		if (span_is(t->aside[i]->id, e->id))
			return true;
	return false;
}

void sim_judge_end(struct sim *s)
{
	const struct mem_tables *t = mem_tables(s->mem);
	size_t notes = 0;

	for (size_t i = 0; i < s->n_events && !s->failed; i++) {
		const struct sim_event *e = s->events[i];
		const struct sim_stored *x = map_get(&s->stored, span_of(e->id));

		if (e->kind == SIM_GOOD && x == NULL)
			sim_fail(s, "event %s is not stored", e->id);
		if ((e->kind != SIM_GOOD || x->event != e->number) && !judge_is_aside(s, e))
			sim_fail(s, "event %s is not kept aside", e->id);
	}
	for (int i = 0; i < s->n_customers && !s->failed; i++)
		judge_person(s, i);
	for (size_t i = 0; i < t->n_customers && !s->failed; i++) {
		struct model_card *c = model_card(s->model, t->customers[i]->id);

		notes += c->n_notes;
		judge_customer(s, c);
	}
	if (!s->failed && notes != t->n_notes)
		sim_fail(s, "there are %zu notes, and should be %zu", t->n_notes, notes);
}
