/* world.c: hand-made batches, and a memory that answers. */
#include "world.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/hash.h"
#include "base/json.h"
#include "effects.h"
#include "engine/field.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct span keep(struct world *w, const char *text)
{
	return span_of(arena_strdup(&w->arena, text));
}

/*** rules ***/

/* The bundle of a file; lib/ files go into all bundles. */
static struct span world_bundle(
	struct world *w, const struct world_file *files, size_t n, const struct world_file *file)
{
	struct buf b = { 0 };
	struct span out;
	bool any = false;

	buf_str(&b, "{\"defaults\":[],\"lib\":{");
	for (size_t i = 0; i < n; i++) {
		if (strncmp(files[i].path, "lib/", 4))
			continue;
		if (any)
			buf_char(&b, ',');
		json_put_text(&b, (struct span){ files[i].path + 4, strlen(files[i].path) - 8 });
		buf_char(&b, ':');
		json_put_text(&b, span_of(files[i].text));
		any = true;
	}
	buf_str(&b, "},\"path\":");
	json_put_text(&b, span_of(file->path));
	buf_str(&b, ",\"text\":");
	json_put_text(&b, span_of(file->text));
	buf_char(&b, '}');
	out = (struct span){ arena_dup(&w->arena, b.p, b.n), b.n };
	buf_free(&b);
	return out;
}

static void world_make_set(struct world *w, const struct world_file *files, size_t n)
{
	static const char *const names[] = { "cart-reminder", "cart-reminder", "question",
		"delivery-question" };
	static const char *const langs[] = { "en", "de", "en", "en" };
	const size_t n_names = sizeof names / sizeof *names;

	memset(&w->set, 0, sizeof w->set);
	w->set.id = 1;
	w->set.texts = arena_array(&w->arena, struct rule_text, n);
	for (size_t i = 0; i < n; i++) {
		struct rule_text *t;

		if (!strncmp(files[i].path, "lib/", 4))
			continue;
		t = &w->set.texts[w->set.n_texts++];
		t->level = RULE_LEVEL;
		t->path = span_of(files[i].path);
		t->bundle = world_bundle(w, files, n, &files[i]);
		hash_sha256_hex(&t->bundle, 1, t->hash);
		w->texts[w->n_texts++] = t;
	}
	w->set.n_templates = n_names;
	w->set.templates = arena_array(&w->arena, struct template_text, n_names);
	for (size_t i = 0; i < n_names; i++) {
		struct span lang = span_of(langs[i]);

		w->set.templates[i].name = span_of(names[i]);
		w->set.templates[i].lang = lang;
		hash_sha256_hex(&lang, 1, w->set.templates[i].hash);
	}
}

bool world_try_load(struct world *w, const struct world_file *files, size_t n, struct err *err)
{
	judge_free(w->judge);
	world_make_set(w, files, n);
	w->judge = judge_new(&w->env, &w->set, err);
	return w->judge != NULL;
}

void world_reload(struct world *w, const struct world_file *files, size_t n)
{
	struct err err;

	if (!world_try_load(w, files, n, &err))
		fail_msg("rules do not load: %s", err.text);
}

static void world_make_shop(struct world *w)
{
	static const struct staff_group groups[] = { { "sales", "sales@example.com", NULL } };
	static const char *const anna_groups[] = { "sales" };
	static const struct staff_manager managers[] = { { "anna", "anna@example.com", "",
		anna_groups, 1, true } };

	for (int i = 0; i < 5; i++)
		w->calendar.days[i] = (struct shop_day){ { { 9 * 60, 18 * 60 } }, 1 };
	w->calendar.name = "office";
	w->shop = (struct shop){ .id = "shop",
		.base = "shop",
		.zone = "Europe/Berlin",
		.lang = "en",
		.currency = "EUR",
		.country = "DE",
		.from = "",
		.reply_to = "",
		.consent_transactional = true,
		.calendar = &w->calendar };
	w->staff = (struct staff){ managers, 1, groups, 1 };
}

/* For the limits of evaluations only. */
static int64_t world_ticks(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

void world_open(struct world *w, const struct world_file *files, size_t n)
{
	memset(w, 0, sizeof *w);
	world_make_shop(w);
	judge_limits_default(&w->env.limits);
	w->env.limits.batch_us = INT64_C(60000000); /* sanitizers are slow */
	w->env.ticks_us = world_ticks;
	w->env.shops = &w->shop;
	w->env.n_shops = 1;
	w->env.staff = &w->staff;
	assert_true(clock_parse_rfc3339(SPAN("2026-03-02T09:00:00Z"), &w->now_us));
	w->id_next = 100;
	for (int i = 0; i < WORLD_CUSTOMERS; i++) {
		struct customer *c = &w->customers[i].card;

		c->id = i + 1;
		c->base = SPAN("shop");
		c->orders_first_us = c->orders_last_us = TIME_NONE;
		c->created_us = w->now_us;
		c->last_seen_us = w->now_us;
		c->text[CARD_EMAIL] = keep(w, i ? "bert@example.com" : "anna@example.com");
		c->json[CARD_CONSENT] = SPAN("{\"email\":true}");
	}
	world_reload(w, files, n);
}

void world_close(struct world *w)
{
	for (size_t i = 0; i < w->n_batches; i++) {
		arena_fini(&w->batches[i]->arena);
		free(w->batches[i]);
	}
	judge_free(w->judge);
	arena_fini(&w->arena);
	buf_free(&w->effects);
}

/*** a batch ***/

/* Admission's key of an order that the event names. */
static void world_name_order(struct world *w, struct shop_event *e)
{
	struct span order;

	if (!json_get(e->data, SPAN("order_id"), &order) ||
		!(order = field_text(order, &w->arena)).n)
		return;
	e->identity[e->n_identity++] = (struct identity){ IDENTITY_ORDER,
		span_of(arena_printf(&w->arena, "%s/%.*s", w->shop.id, SPAN_ARG(order))) };
}

struct shop_event *world_post(struct world *w, int customer, const char *type, const char *data)
{
	struct shop_event *e = arena_new(&w->arena, struct shop_event);
	struct json_fault fault;

	if (!json_check_all(span_of(data), &fault))
		fail_msg("%s at %s: %s", fault.what, fault.path, data);
	e->shop = &w->shop;
	e->source = SPAN("");
	e->id.p = arena_printf(&w->arena, "e%u", ++w->n_ids);
	e->id.n = strlen(e->id.p);
	e->type = keep(w, type);
	e->data = keep(w, data);
	e->time_us = e->received_us = w->now_us;
	e->claimed_us = TIME_NONE;
	e->customer = customer + 1;
	world_name_order(w, e);
	e->about = field_get(e->data, "customer");
	w->pending[w->n_pending++] = e;
	return e;
}

static bool world_awaits(const struct chain *c, const struct visit *v)
{
	for (unsigned i = 0; i < c->n_awaits; i++)
		for (size_t k = 0; k < v->n_events; k++)
			if (event_type_matches(c->awaits[i], v->events[k]->type))
				return true;
	return false;
}

/* A copy of a row as a load gives it. */
static struct chain *world_load_chain(struct batch *b, const struct visit *v, const struct chain *c)
{
	struct chain *copy = arena_new(&b->arena, struct chain);

	*copy = *c;
	copy->due = b->kind == BATCH_DUE && c->state == CHAIN_WAITING && c->wake_us != TIME_NONE &&
		    c->wake_us <= b->now_us;
	copy->loaded = copy->due || world_awaits(c, v);
	copy->change = CHAIN_SAME;
	copy->open = arena_array(&b->arena, int64_t, c->n_open);
	if (c->n_open)
		memcpy(copy->open, c->open, c->n_open * sizeof *copy->open);
	if (!copy->loaded)
		copy->event = copy->history = copy->arrived = (struct span){ NULL, 0 };
	return copy;
}

static void world_load_tasks(struct batch *b, struct visit *v, struct world_customer *wc)
{
	for (size_t i = 0; i < wc->n_tasks; i++) {
		struct task *copy = arena_new(&b->arena, struct task);

		*copy = *wc->tasks[i];
		copy->is_new = copy->changed = false;
		copy->due = b->kind == BATCH_DUE && copy->state <= TASK_TAKEN && !copy->overdue &&
			    copy->deadline_us != TIME_NONE && copy->deadline_us <= b->now_us;
		BATCH_PUSH(&b->arena, v->tasks, v->n_tasks, v->cap_tasks) = copy;
	}
}

static void world_load_visit(struct world *w, struct batch *b, int i)
{
	struct world_customer *wc = &w->customers[i];
	struct visit *v = arena_new(&b->arena, struct visit);

	v->customer = i + 1;
	v->state = VISIT_READY;
	v->card = arena_new(&b->arena, struct customer);
	*v->card = wc->card;
	v->card->changed = 0;
	for (size_t k = 0; k < w->n_pending; k++)
		if (w->pending[k]->customer == i + 1)
			BATCH_PUSH(&b->arena, v->events, v->n_events, v->cap_events) =
				w->pending[k];
	for (size_t k = 0; k < wc->n_chains; k++)
		BATCH_PUSH(&b->arena, v->chains, v->n_chains, v->cap_chains) =
			world_load_chain(b, v, wc->chains[k]);
	for (size_t k = 0; k < wc->n_orders; k++) {
		struct order *copy = arena_new(&b->arena, struct order);

		*copy = *wc->orders[k];
		copy->is_new = copy->changed = false;
		BATCH_PUSH(&b->arena, v->orders, v->n_orders, v->cap_orders) = copy;
	}
	world_load_tasks(b, v, wc);
	for (size_t k = 0; k < wc->n_lasts; k++) {
		struct rule_last *copy = arena_new(&b->arena, struct rule_last);

		*copy = *wc->lasts[k];
		copy->changed = false;
		BATCH_PUSH(&b->arena, v->lasts, v->n_lasts, v->cap_lasts) = copy;
	}
	BATCH_PUSH(&b->arena, b->visits, b->n_visits, /* cap */ b->cap_visits) = v;
}

/*** answers ***/

static void world_answer_events(struct world *w, struct batch *b, struct query *q)
{
	size_t cap = 0;

	q->last_us = TIME_NONE;
	for (size_t i = w->n_events; i-- > 0;) {
		const struct shop_event *e = w->events[i];
		bool wanted = q->n_types == 0;

		for (size_t k = 0; k < q->n_types; k++)
			wanted |= event_type_matches(q->types[k], e->type);
		if (!wanted || (int64_t)w->event_of[i] != q->customer || e->seq >= q->before_seq ||
			(q->since_us != TIME_NONE && e->time_us < q->since_us))
			continue;
		q->count++;
		if (q->kind == QUERY_EVENTS && q->n_rows < q->limit)
			BATCH_PUSH(&b->arena, q->rows, q->n_rows, cap) =
				(struct query_row){ e->id, e->type, e->data, e->time_us, e->seq };
	}
}

static void world_answer(struct world *w, struct batch *b, struct query *q)
{
	struct world_customer *wc = &w->customers[q->customer - 1];
	size_t cap = 0;

	switch (q->kind) {
	case QUERY_COUNT:
	case QUERY_EVENTS: world_answer_events(w, b, q); return;
	case QUERY_ORDERS:
		for (size_t i = wc->n_orders; i-- > 0;)
			if (!q->order_id.n || span_eq(q->order_id, wc->orders[i]->id))
				BATCH_PUSH(&b->arena, q->orders, q->n_orders, cap) = wc->orders[i];
		return;
	case QUERY_TEXT:
		for (size_t i = 0; i < w->n_texts; i++)
			if (span_is(q->hash, w->texts[i]->hash)) {
				q->text = w->texts[i]->bundle;
				q->level = w->texts[i]->level;
			}
		return;
	case QUERY_CHAIN:
		for (size_t i = 0; i < wc->n_chains; i++)
			if (wc->chains[i]->id == q->chain->id) {
				q->chain->event = wc->chains[i]->event;
				q->chain->history = wc->chains[i]->history;
				q->chain->arrived = wc->chains[i]->arrived;
				q->chain->loaded = true;
			}
		return;
	case QUERY_REASON: return; /* it keeps no messages */
	case QUERY_SENDING:
		for (size_t i = 0; i < w->n_messages; i++)
			if (w->is_sending && w->messages[i]->chain == q->chain->id) {
				q->messages = arena_new(&b->arena, struct query_message);
				q->messages[q->n_messages++].id = w->messages[i]->id;
				return;
			}
		return;
	}
}

/*** save ***/

static void world_save_chains(struct world_customer *wc, struct visit *v)
{
	for (size_t i = 0; i < v->n_chains; i++) {
		struct chain *c = v->chains[i];
		size_t k = 0;

		if (c->change == CHAIN_SAME)
			continue;
		while (k < wc->n_chains && wc->chains[k]->id != c->id)
			k++;
		if (k < wc->n_chains && !c->loaded) {
			c->event = wc->chains[k]->event;
			c->history = wc->chains[k]->history;
			c->arrived = wc->chains[k]->arrived;
		}
		if (c->change == CHAIN_ENDED) {
			assert_false(chain_state_is_live(c->state));
			if (k < wc->n_chains)
				memmove(&wc->chains[k], &wc->chains[k + 1],
					(--wc->n_chains - k) * sizeof *wc->chains);
			continue;
		}
		assert_true(chain_state_is_live(c->state));
		wc->chains[k] = c;
		if (k == wc->n_chains)
			wc->n_chains++;
	}
}

static void world_save_withdraw(struct world *w, struct world_customer *wc, struct visit *v)
{
	for (size_t i = 0; i < v->n_withdraw; i++) {
		for (size_t k = 0; k < w->n_messages; k++)
			if (w->messages[k]->chain == v->withdraw[i] && !w->messages[k]->keep &&
				w->messages[k]->state == MESSAGE_READY)
				w->messages[k]->state = MESSAGE_WITHDRAWN;
		for (size_t k = 0; k < wc->n_tasks; k++)
			if (wc->tasks[k]->chain == v->withdraw[i] && !wc->tasks[k]->keep &&
				wc->tasks[k]->state == TASK_OPEN)
				wc->tasks[k]->state = TASK_WITHDRAWN;
	}
}

static int world_by_seq(const void *a, const void *b)
{
	const struct shop_event *x = *(struct shop_event *const *)a,
				*y = *(struct shop_event *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void world_save_events(struct world *w, struct visit *v)
{
	if (v->n_events)
		qsort(v->events, v->n_events, sizeof *v->events, world_by_seq);
	for (size_t i = 0; i < v->n_events; i++) {
		assert_int_not_equal(v->events[i]->origin, EVENT_DERIVED);
		if (v->events[i]->status != EVENT_ACCEPTED)
			continue;
		w->events[w->n_events] = v->events[i];
		w->event_of[w->n_events++] = (size_t)v->customer;
	}
}

static void world_save(struct world *w, struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];
		struct world_customer *wc = &w->customers[v->customer - 1];

		if (v->state != VISIT_READY)
			continue;
		wc->card = *v->card;
		world_save_events(w, v);
		world_save_chains(wc, v);
		for (size_t k = 0; k < v->n_messages; k++)
			w->messages[w->n_messages++] = v->messages[k];
		for (size_t k = 0; k < v->n_tasks; k++)
			wc->tasks[k] = v->tasks[k];
		wc->n_tasks = v->n_tasks;
		for (size_t k = 0; k < v->n_orders; k++)
			wc->orders[k] = v->orders[k];
		wc->n_orders = v->n_orders;
		for (size_t k = 0; k < v->n_lasts; k++)
			wc->lasts[k] = v->lasts[k];
		wc->n_lasts = v->n_lasts;
		for (size_t k = 0; k < v->n_notes; k++)
			w->notes[w->n_notes++] = v->notes[k];
		for (size_t k = 0; k < v->n_faults; k++)
			w->faults[w->n_faults++] = v->faults[k];
		world_save_withdraw(w, wc, v);
	}
	w->id_next = b->id_next;
}

static void world_judge(struct world *w, struct batch *b)
{
	struct sitting *s;
	struct query *q;
	struct err err;
	size_t n;

	if (w->forget_judge) {
		judge_free(w->judge);
		w->judge = judge_new(&w->env, &w->set, &err);
		assert_non_null(w->judge);
	}
	w->n_rounds = 0;
	s = judge_start(w->judge, b);
	while (judge_go(s, &q, &n) == JUDGE_NEED) {
		w->n_rounds++;
		assert_in_range(n, 1, 1000);
		assert_in_range(w->n_rounds, 1, 1000);
		for (size_t i = 0; i < n; i++)
			world_answer(w, b, &q[i]);
	}
	if (w->lose_batch)
		judge_take_back(s);
	judge_end(s);
	buf_clear(&w->effects);
	effects_print(b, &w->effects);
	buf_char(&w->effects, '\0');
	if (!w->lose_batch)
		world_save(w, b);
	w->lose_batch = false;
}

static void world_batch(struct world *w, enum batch_kind kind)
{
	struct batch *b = calloc(1, sizeof *b);

	assert_non_null(b);
	w->batches[w->n_batches++] = b;
	b->kind = kind;
	b->now_us = w->now_us;
	b->id_next = w->id_next;
	b->set_id = 1;
	for (int i = 0; i < WORLD_CUSTOMERS; i++)
		world_load_visit(w, b, i);
	w->n_pending = 0;
	world_judge(w, b);
}

void world_run(struct world *w)
{
	world_batch(w, BATCH_EVENTS);
}

void world_due(struct world *w)
{
	world_batch(w, BATCH_DUE);
}

void world_event(struct world *w, const char *type, const char *data)
{
	world_post(w, 0, type, data);
	world_run(w);
}

/* The earliest wake-up or deadline; INT64_MAX: none. */
static int64_t world_next(const struct world *w)
{
	int64_t next_us = INT64_MAX;

	for (int i = 0; i < WORLD_CUSTOMERS; i++) {
		const struct world_customer *wc = &w->customers[i];

		for (size_t k = 0; k < wc->n_chains; k++)
			if (wc->chains[k]->state == CHAIN_WAITING &&
				wc->chains[k]->wake_us != TIME_NONE &&
				wc->chains[k]->wake_us < next_us)
				next_us = wc->chains[k]->wake_us;
		for (size_t k = 0; k < wc->n_tasks; k++)
			if (wc->tasks[k]->state <= TASK_TAKEN && !wc->tasks[k]->overdue &&
				wc->tasks[k]->deadline_us != TIME_NONE &&
				wc->tasks[k]->deadline_us < next_us)
				next_us = wc->tasks[k]->deadline_us;
	}
	return next_us;
}

void world_advance(struct world *w, const char *duration)
{
	struct duration d;
	struct err err;
	int64_t until_us;
	int rounds = 0;

	assert_true(duration_parse(span_of(duration), 0, &d, &err));
	until_us = w->now_us + duration_about_us(d);
	while (world_next(w) <= until_us) {
		if (world_next(w) > w->now_us)
			w->now_us = world_next(w);
		world_due(w);
		assert_in_range(++rounds, 1, 1000);
	}
	w->now_us = until_us;
}

/*** looking ***/

void world_dump(const struct world *w, struct buf *out)
{
	for (size_t i = 0; i < w->n_events; i++)
		effects_event(w->events[i], out);
	for (int i = 0; i < WORLD_CUSTOMERS; i++) {
		const struct world_customer *wc = &w->customers[i];

		effects_card(&wc->card, out);
		for (size_t k = 0; k < wc->n_chains; k++)
			effects_chain(wc->chains[k], out);
		for (size_t k = 0; k < wc->n_tasks; k++)
			effects_task(wc->tasks[k], out);
	}
	for (size_t i = 0; i < w->n_messages; i++)
		effects_message(w->messages[i], out);
	for (size_t i = 0; i < w->n_notes; i++)
		buf_printf(out, "note %.*s\n", SPAN_ARG(w->notes[i]->text));
}

size_t world_count(const struct world *w, enum chain_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < w->customers[0].n_chains; i++)
		n += w->customers[0].chains[i]->state == state;
	return n;
}

struct chain *world_chain(const struct world *w, size_t i)
{
	assert_true(i < w->customers[0].n_chains);
	return w->customers[0].chains[i];
}

bool world_has(const struct world *w, const char *text)
{
	return strstr(w->effects.p, text) != NULL;
}
