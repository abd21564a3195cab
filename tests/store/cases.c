/* cases.c: what store.h promises, case by case. */
#include "cases.h"

#include "base/clock.h"
#include "model/shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cases_driver *d;
static const struct shop_calendar calendar = { .name = "" };
const struct shop cases_shops[2] = {
	{ .id = "north", .base = "base", .zone = "UTC", .calendar = &calendar },
	{ .id = "south", .base = "base", .zone = "UTC", .calendar = &calendar },
};

/*** helpers ***/

void cases_done(void *arg, enum store_end end, const struct err *err)
{
	struct cases_wait *w = arg;

	assert_false(w->done);
	w->done = true;
	w->end = end;
	if (err != NULL)
		w->err = *err;
}

enum store_end cases_await(struct cases_driver *dr, struct cases_wait *w)
{
	for (int i = 0; !w->done; i++) {
		assert_true(i < 100000);
		dr->pump(dr);
	}
	if (w->end == STORE_REFUSED || w->end == STORE_LOST)
		print_message("[  note    ] %s: %s\n", store_end_name(w->end), w->err.text);
	return w->end;
}

static enum store_end identify(int lane, struct store_identity *v, size_t n)
{
	struct arena a = { 0 };
	struct cases_wait w = { 0 };

	d->store->ops->identify(d->store, lane, v, n, &a, cases_done, &w);
	assert_false(w.done);
	cases_await(d, &w);
	arena_fini(&a);
	return w.end;
}

int64_t cases_customer(struct cases_driver *dr, const char *email)
{
	struct store_identity v = {
		.base = SPAN("base"), .kind = IDENTITY_EMAIL, .value = span_of(email), .make = true
	};

	d = dr;
	assert_int_equal(identify(0, &v, 1), STORE_OK);
	assert_true(v.customer > 0);
	return v.customer;
}

struct batch *cases_batch(enum batch_kind kind)
{
	struct batch *b = xcalloc(1, sizeof *b);

	b->kind = kind;
	b->limit = 10;
	b->next_due_us = TIME_NONE;
	return b;
}

void cases_batch_free(struct batch *b)
{
	arena_fini(&b->arena);
	free(b);
}

struct visit *cases_visit(struct batch *b, int64_t customer)
{
	struct visit *v = arena_new(&b->arena, struct visit);

	v->customer = customer;
	v->identity_version = -1;
	BATCH_PUSH(&b->arena, b->visits, b->n_visits, b->cap_visits) = v;
	return v;
}

struct shop_event *cases_event(
	struct batch *b, struct visit *v, const char *id, const char *type, unsigned char content)
{
	struct shop_event *e = arena_new(&b->arena, struct shop_event);

	e->shop = &cases_shops[0];
	e->source = SPAN("");
	e->id = span_of(id);
	e->type = span_of(type);
	e->data = SPAN("{\"a\":1}");
	e->time_us = e->claimed_us = TIME_NONE;
	memset(e->hash, content, sizeof e->hash);
	e->customer = v->customer;
	e->deduplicated = true;
	BATCH_PUSH(&b->arena, v->events, v->n_events, v->cap_events) = e;
	return e;
}

enum store_end cases_load(struct cases_driver *dr, int lane, struct batch *b)
{
	struct cases_wait w = { 0 };

	dr->store->ops->load(dr->store, lane, b, false, cases_done, &w);
	assert_false(w.done);
	return cases_await(dr, &w);
}

enum store_end cases_save(struct cases_driver *dr, int lane, struct batch *b)
{
	struct cases_wait w = { 0 };

	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_events; k++) {
			struct shop_event *e = b->visits[i]->events[k];

			if (b->visits[i]->state != VISIT_READY || b->visits[i]->is_cut ||
				e->status != EVENT_NEW)
				continue;
			e->status = EVENT_ACCEPTED;
			e->seq = b->id_next++;
			e->received_us = b->now_us;
			if (e->time_us == TIME_NONE)
				e->time_us = b->now_us;
		}
	dr->store->ops->save(dr->store, lane, b, cases_done, &w);
	assert_false(w.done);
	return cases_await(dr, &w);
}

void cases_abandon(struct cases_driver *dr, int lane)
{
	struct cases_wait w = { 0 };

	dr->store->ops->abandon(dr->store, lane, cases_done, &w);
	assert_false(w.done);
	cases_await(dr, &w);
}

/* Asks one question on lane 0. */
static void ask(struct batch *b, struct query *q)
{
	struct cases_wait w = { 0 };

	d->store->ops->fetch(d->store, 0, b, q, 1, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
}

static void load(int lane, struct batch *b)
{
	assert_int_equal(cases_load(d, lane, b), STORE_OK);
}

static void save(int lane, struct batch *b)
{
	assert_int_equal(cases_save(d, lane, b), STORE_OK);
}

/* A loaded batch of one customer, on lane 0. */
static struct batch *load_one(int64_t customer)
{
	struct batch *b = cases_batch(BATCH_EVENTS);

	cases_visit(b, customer);
	load(0, b);
	assert_int_equal(b->visits[0]->state, VISIT_READY);
	return b;
}

static struct chain *add_chain(struct batch *b, struct visit *v, const char *rule, int64_t wake_us)
{
	struct chain *c = arena_new(&b->arena, struct chain);

	c->id = b->id_next++;
	c->customer = v->customer;
	c->shop = &cases_shops[0];
	c->rule = span_of(rule);
	c->key = SPAN("");
	c->text_hash = SPAN("0123");
	c->level = 1;
	c->state = CHAIN_WAITING;
	c->started_us = b->now_us;
	c->wake_us = wake_us;
	c->event = SPAN("{\"type\":\"x\"}");
	c->history = SPAN("[1]");
	c->loaded = true;
	c->change = CHAIN_NEW;
	BATCH_PUSH(&b->arena, v->chains, v->n_chains, v->cap_chains) = c;
	return c;
}

static struct message *add_message(struct batch *b, struct visit *v, int64_t chain, bool keep)
{
	struct message *m = arena_new(&b->arena, struct message);

	m->id = b->id_next++;
	m->customer = v->customer;
	m->chain = chain;
	m->shop = &cases_shops[0];
	m->rule = SPAN("r");
	m->template_name = SPAN("hello");
	m->lang = SPAN("en");
	m->data = SPAN("{}");
	m->due_us = b->now_us + 3600000000;
	m->expires_us = b->now_us + 7200000000;
	m->keep = keep;
	m->state = MESSAGE_READY;
	BATCH_PUSH(&b->arena, v->messages, v->n_messages, v->cap_messages) = m;
	return m;
}

static struct task *add_task(struct batch *b, struct visit *v, int64_t chain, int64_t deadline_us)
{
	struct task *t = arena_new(&b->arena, struct task);

	t->id = b->id_next++;
	t->customer = v->customer;
	t->chain = chain;
	t->shop = &cases_shops[0];
	t->rule = SPAN("r");
	t->title = SPAN("call");
	t->created_us = b->now_us;
	t->deadline_us = deadline_us;
	t->remind_us = t->taken_us = t->done_us = TIME_NONE;
	t->is_new = true;
	BATCH_PUSH(&b->arena, v->tasks, v->n_tasks, v->cap_tasks) = t;
	return t;
}

/* Ends every chain of the customer, so that nothing of a case stays due. */
static void end_chains(int64_t customer)
{
	struct batch *b = load_one(customer);
	struct visit *v = b->visits[0];

	for (size_t i = 0; i < v->n_chains; i++) {
		v->chains[i]->change = CHAIN_ENDED;
		v->chains[i]->state = CHAIN_CANCELLED;
	}
	save(0, b);
	cases_batch_free(b);
}

/*** identify ***/

static void test_identify_makes_one_card_and_finds_it(void **state)
{
	struct store_identity v[2] = {
		{ .base = SPAN("base"),
			.kind = IDENTITY_EMAIL,
			.value = SPAN("a@id"),
			.make = true },
		{ .base = SPAN("base"), .kind = IDENTITY_EMAIL, .value = SPAN("nobody@id") },
	};
	int64_t first;

	(void)state;
	assert_int_equal(identify(0, v, 2), STORE_OK);
	first = v[0].customer;
	assert_true(first > 0 && v[0].made);
	assert_int_equal(v[1].customer, 0);
	assert_int_equal(identify(1, v, 2), STORE_OK);
	assert_int_equal(v[0].customer, first);
	assert_int_equal(v[0].identity_version, 0);
	v[0].base = SPAN("other");
	assert_int_equal(identify(1, v, 2), STORE_OK);
	assert_int_not_equal(v[0].customer, first);
}

static void test_identify_race_has_one_winner(void **state)
{
	struct store_identity v[2][3];
	struct arena a[2] = { { 0 }, { 0 } };
	struct cases_wait w[2] = { { 0 }, { 0 } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		v[i][0] = (struct store_identity){ .base = SPAN("base"),
			.kind = IDENTITY_PHONE,
			.value = SPAN("+1"),
			.make = true };
		v[i][1] = v[i][2] = v[i][0];
		v[i][1].value = SPAN("+2");
		v[i][2].value = SPAN("+3");
		d->store->ops->identify(d->store, i, v[i], 3, &a[i], cases_done, &w[i]);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cases_await(d, &w[i]), STORE_OK);
		arena_fini(&a[i]);
	}
	for (int k = 0; k < 3; k++) {
		assert_int_equal(v[0][k].customer, v[1][k].customer);
		assert_true(v[0][k].made != v[1][k].made);
	}
}

/*** load and save ***/

#define ODD "it's \"odd\"\\"

/* An order that nobody has named before, placed now. */
static struct order *add_order(struct batch *b, struct visit *v, const char *id)
{
	struct order *o = arena_new(&b->arena, struct order);

	*o = (struct order){ .shop = &cases_shops[0],
		.id = span_of(id),
		.customer = v->customer,
		.placed_us = b->now_us,
		.delivery_us = TIME_NONE,
		.delivery_until_us = TIME_NONE,
		.updated_us = b->now_us,
		.products = SPAN("[]"),
		.stamps = SPAN("{}"),
		.is_new = true };
	BATCH_PUSH(&b->arena, v->orders, v->n_orders, v->cap_orders) = o;
	return o;
}

/* A card with a bit of everything; the moment of its batch. */
static int64_t save_effects(int64_t who, int64_t *ret_seq)
{
	struct batch *b = load_one(who);
	struct visit *v = b->visits[0];
	struct customer *c = v->card;
	struct chain *chain;
	struct order *o;
	struct rule_last *last = arena_new(&b->arena, struct rule_last);
	int64_t now_us = b->now_us;

	assert_true(span_is(c->base, "base"));
	assert_false(c->hidden);
	assert_true(span_is(c->text[CARD_EMAIL], "effects@load"));
	assert_int_equal(c->orders_first_us, TIME_NONE);
	cases_event(b, v, "effects-1", "order.placed", 1);
	c->text[CARD_NAME] = SPAN("Anna \xc3\x84");
	c->json[CARD_TAGS] = SPAN("[\"vip\"]");
	c->orders_count = 2;
	c->orders_total = 19.75;
	c->orders_last_us = now_us;
	c->json[CARD_CART] = SPAN("{}");
	c->changed = CARD_CHANGED_ACTIVITY | CARD_CHANGED_PROFILE;
	chain = add_chain(b, v, "cart", TIME_NONE);
	chain->key = SPAN("k1");
	chain->awaits = (struct span[]){ SPAN("order.placed"), SPAN(ODD) };
	chain->n_awaits = 2;
	chain->exits = SPAN("{\"type\":\"x\"}");
	chain->open = (int64_t[]){ 5, 6 };
	chain->n_open = 2;
	add_message(b, v, chain->id, false);
	o = add_order(b, v, "o/1");
	o->status = SPAN("new");
	o->total = 12.5;
	*last = (struct rule_last){ SPAN("cart"), SPAN(""), now_us, true };
	BATCH_PUSH(&b->arena, v->lasts, v->n_lasts, v->cap_lasts) = last;
	*ret_seq = b->id_next;
	save(0, b);
	cases_batch_free(b);
	return now_us;
}

static void test_card_and_effects_come_back(void **state)
{
	int64_t who = cases_customer(d, "effects@load"), seq, now_us = save_effects(who, &seq);
	struct batch *b = cases_batch(BATCH_EVENTS);
	struct visit *v = cases_visit(b, who);
	struct shop_event *e = cases_event(b, v, "effects-2", "order.paid", 1);
	const struct customer *c;

	(void)state;
	e->identity[0] = (struct identity){ IDENTITY_ORDER, SPAN("north/o/1") };
	e->n_identity = 1;
	BATCH_PUSH(&b->arena, b->types, b->n_types, b->cap_types) = SPAN("order.placed");
	load(0, b);
	assert_true(b->now_us >= now_us);
	assert_true(b->id_next > seq);
	c = v->card;
	assert_true(span_is(c->text[CARD_NAME], "Anna \xc3\x84"));
	assert_true(span_is(c->json[CARD_TAGS], "[\"vip\"]"));
	assert_true(span_is(c->json[CARD_CART], "{}"));
	assert_int_equal(c->orders_count, 2);
	assert_true(c->orders_total == 19.75);
	assert_int_equal(c->orders_last_us, now_us);
	assert_int_equal(v->n_chains, 1);
	assert_int_equal(v->chains[0]->state, CHAIN_WAITING);
	assert_ptr_equal(v->chains[0]->shop, &cases_shops[0]);
	assert_true(span_is(v->chains[0]->key, "k1"));
	assert_int_equal(v->chains[0]->n_awaits, 2);
	assert_true(span_is(v->chains[0]->awaits[1], ODD));
	assert_int_equal(v->chains[0]->n_open, 2);
	assert_int_equal(v->chains[0]->open[1], 6);
	assert_int_equal(v->chains[0]->wake_us, TIME_NONE);
	assert_true(v->chains[0]->loaded);
	assert_false(v->chains[0]->due);
	assert_true(span_is(v->chains[0]->history, "[1]"));
	assert_int_equal(v->n_orders, 1);
	assert_true(span_is(v->orders[0]->id, "o/1"));
	assert_true(v->orders[0]->total == 12.5);
	assert_int_equal(v->orders[0]->delivery_us, TIME_NONE);
	assert_int_equal(v->n_lasts, 1);
	assert_int_equal(v->lasts[0]->started_us, now_us);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_known_events_are_duplicates_or_conflicts(void **state)
{
	int64_t who = cases_customer(d, "dup@load");
	struct batch *b = load_one(who);
	struct shop_event *e[4];

	(void)state;
	cases_event(b, b->visits[0], "dup-1", "x", 7);
	save(0, b);
	cases_batch_free(b);
	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, who);
	e[0] = cases_event(b, b->visits[0], "dup-1", "x", 7);
	e[1] = cases_event(b, b->visits[0], "dup-1", "x", 8);
	e[2] = cases_event(b, b->visits[0], "dup-1", "x", 7);
	e[2]->source = SPAN("app");
	e[3] = cases_event(b, b->visits[0], "dup-1", "x", 7);
	e[3]->shop = &cases_shops[1];
	load(0, b);
	assert_int_equal(e[0]->status, EVENT_DUPLICATE);
	assert_int_equal(e[1]->status, EVENT_CONFLICT);
	assert_int_equal(e[2]->status, EVENT_NEW);
	assert_int_equal(e[3]->status, EVENT_NEW);
	save(0, b);
	cases_batch_free(b);
}

static void test_aside_events_are_kept(void **state)
{
	struct batch *b = cases_batch(BATCH_EVENTS);
	struct visit nobody = { 0 };
	size_t before = d->n_aside(d);
	struct shop_event *e = cases_event(b, &nobody, "bad", "x", 1);

	(void)state;
	e->data = SPAN("{\xff\0 not json");
	e->status = EVENT_QUARANTINED;
	e->reason = "not valid";
	BATCH_PUSH(&b->arena, b->aside, b->n_aside, b->cap_aside) = e;
	load(0, b);
	e->received_us = b->now_us;
	save(0, b);
	assert_int_equal(d->n_aside(d), before + 1);
	cases_batch_free(b);
}

static void test_who_is_held_is_busy(void **state)
{
	int64_t one = cases_customer(d, "busy1@load"), two = cases_customer(d, "busy2@load");
	struct batch *a = load_one(one), *b = cases_batch(BATCH_EVENTS);

	(void)state;
	cases_visit(b, one);
	cases_visit(b, two);
	load(1, b);
	assert_int_equal(b->visits[0]->state, VISIT_BUSY);
	assert_int_equal(b->visits[1]->state, VISIT_READY);
	cases_abandon(d, 1);
	cases_batch_free(b);
	save(0, a);
	cases_batch_free(a);
	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, one);
	load(1, b);
	assert_int_equal(b->visits[0]->state, VISIT_READY);
	cases_abandon(d, 1);
	cases_batch_free(b);
}

/* Without waiting, a card that is not there looks like one that somebody holds. */
static void test_other_version_or_no_card_is_stale(void **state)
{
	int64_t who = cases_customer(d, "stale@load");
	struct batch *b = cases_batch(BATCH_EVENTS);
	struct cases_wait w = { 0 };

	(void)state;
	cases_visit(b, who)->identity_version = 3;
	cases_visit(b, INT64_MAX - 1);
	d->store->ops->load(d->store, 0, b, true, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
	assert_int_equal(b->visits[0]->state, VISIT_STALE);
	assert_int_equal(b->visits[1]->state, VISIT_STALE);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_abandoned_and_left_leave_nothing(void **state)
{
	int64_t who = cases_customer(d, "left@load");
	struct batch *b = load_one(who);

	(void)state;
	cases_event(b, b->visits[0], "left-1", "x", 1);
	cases_abandon(d, 0);
	cases_batch_free(b);
	b = load_one(who);
	cases_event(b, b->visits[0], "left-2", "x", 1);
	add_chain(b, b->visits[0], "left", TIME_NONE);
	b->visits[0]->card->orders_count = 9;
	b->visits[0]->card->changed = CARD_CHANGED_ACTIVITY;
	b->visits[0]->state = VISIT_LEFT;
	save(0, b);
	cases_batch_free(b);
	b = cases_batch(BATCH_EVENTS);
	struct visit *v = cases_visit(b, who);

	cases_event(b, v, "left-1", "x", 1);
	cases_event(b, v, "left-2", "x", 1);
	load(0, b);
	assert_int_equal(v->events[0]->status, EVENT_NEW);
	assert_int_equal(v->events[1]->status, EVENT_NEW);
	assert_int_equal(v->n_chains, 0);
	assert_int_equal(v->card->orders_count, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_a_key_written_meanwhile_means_again(void **state)
{
	int64_t one = cases_customer(d, "race1@save"), two = cases_customer(d, "race2@save");
	struct batch *a = load_one(one), *b = cases_batch(BATCH_EVENTS);

	(void)state;
	cases_event(a, a->visits[0], "race", "x", 1);
	cases_visit(b, two);
	cases_event(b, b->visits[0], "race", "x", 2);
	load(1, b);
	assert_int_equal(b->visits[0]->events[0]->status, EVENT_NEW);
	save(0, a);
	assert_int_equal(cases_save(d, 1, b), STORE_AGAIN);
	cases_batch_free(a);
	cases_batch_free(b);
	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, two);
	cases_event(b, b->visits[0], "race", "x", 2);
	load(1, b);
	assert_int_equal(b->visits[0]->events[0]->status, EVENT_CONFLICT);
	cases_abandon(d, 1);
	cases_batch_free(b);
}

/* A claim is the card's after the save; of what another card has, nothing of the batch is saved. */
static void test_claims_are_won_or_stop_the_batch(void **state)
{
	int64_t one = cases_customer(d, "claim1@save"), two = cases_customer(d, "claim2@save");
	struct identity keys[] = { { IDENTITY_ORDER, SPAN("cases/claimed") },
		{ IDENTITY_PARCEL, SPAN("cases/T-claimed") },
		{ IDENTITY_ORDER, SPAN("cases/claimed") } };
	struct store_identity v[] = {
		{ .base = SPAN("base"), .kind = IDENTITY_ORDER, .value = SPAN("cases/claimed") },
		{ .base = SPAN("base"), .kind = IDENTITY_PARCEL, .value = SPAN("cases/T-claimed") },
	};

	(void)state;
	for (int i = 0; i < 2; i++) { /* one who has it may claim it again */
		struct batch *b = load_one(one);

		b->visits[0]->identities = keys;
		b->visits[0]->n_identities = 3;
		save(0, b);
		cases_batch_free(b);
		assert_int_equal(identify(0, v, 2), STORE_OK);
		assert_int_equal(v[0].customer, one);
		assert_int_equal(v[1].customer, one);
	}
	struct batch *b = load_one(two);

	cases_event(b, b->visits[0], "claiming", "x", 1);
	b->visits[0]->identities = keys;
	b->visits[0]->n_identities = 1;
	assert_int_equal(cases_save(d, 0, b), STORE_AGAIN);
	cases_batch_free(b);
	assert_int_equal(identify(0, v, 2), STORE_OK);
	assert_int_equal(v[0].customer, one);
	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, two);
	cases_event(b, b->visits[0], "claiming", "x", 1);
	load(0, b);
	assert_int_equal(b->visits[0]->events[0]->status, EVENT_NEW); /* it was not saved */
	cases_abandon(d, 0);
	cases_batch_free(b);
}

/* An order's row is made once; an event that names one of somebody else is told so by the load. */
static void test_an_order_has_one_customer(void **state)
{
	int64_t one = cases_customer(d, "owner1@save"), two = cases_customer(d, "owner2@save");
	struct batch *a = load_one(one), *b = cases_batch(BATCH_EVENTS);
	struct identity key = { IDENTITY_ORDER, SPAN("north/owned") };

	(void)state;
	cases_visit(b, two);
	for (int i = 0; i < 2; i++) { /* then again, knowing better */
		struct shop_event *e = cases_event(b, b->visits[0], "owning", "x", 1);

		e->identity[e->n_identity++] = key;
		load(1, b);
		assert_int_equal(e->order_elsewhere, i);
		if (i == 1)
			break;
		add_order(a, a->visits[0], "owned");
		add_order(b, b->visits[0], "owned");
		save(0, a);
		assert_int_equal(cases_save(d, 1, b), STORE_AGAIN);
		cases_batch_free(b);
		b = cases_batch(BATCH_EVENTS);
		cases_visit(b, two);
	}
	assert_int_equal(b->visits[0]->n_orders, 0);
	cases_abandon(d, 1);
	cases_batch_free(b);
	cases_batch_free(a);
	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, one);
	struct shop_event *e = cases_event(b, b->visits[0], "owning-2", "x", 1);

	e->identity[e->n_identity++] = key;
	load(0, b);
	assert_false(e->order_elsewhere);
	assert_int_equal(b->visits[0]->n_orders, 1);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

/*** joining cards ***/

static void test_identify_tells_weak_cards(void **state)
{
	struct identity phone = { IDENTITY_PHONE, SPAN("+49weak") };
	struct store_identity v[] = {
		{ .base = SPAN("base"),
			.kind = IDENTITY_EMAIL,
			.value = SPAN("w@weak"),
			.make = true },
		{ .base = SPAN("base"),
			.kind = IDENTITY_ANONYMOUS,
			.value = SPAN("weak"),
			.make = true },
		{ .base = SPAN("base"),
			.kind = IDENTITY_ORDER,
			.value = SPAN("north/weak"),
			.make = true },
		{ .base = SPAN("base"),
			.kind = IDENTITY_HIDDEN,
			.value = SPAN("north/63"),
			.make = true },
	};
	struct batch *b;

	(void)state;
	for (int i = 0; i < 2; i++) { /* made, then found */
		assert_int_equal(identify(0, v, 4), STORE_OK);
		assert_false(v[0].weak || v[3].weak);
		assert_true(v[1].weak && v[2].weak);
	}
	b = load_one(v[1].customer);
	b->visits[0]->identities = &phone;
	b->visits[0]->n_identities = 1;
	save(0, b);
	cases_batch_free(b);
	assert_int_equal(identify(0, v, 4), STORE_OK);
	assert_false(v[1].weak);
	assert_true(v[2].weak);
}

/* A key that nobody has is given to a card; one that somebody has stays where it is. */
static void test_identify_gives_keys_to_cards(void **state)
{
	int64_t one = cases_customer(d, "one@give"), two = cases_customer(d, "two@give");
	struct store_identity v[] = {
		{ .base = SPAN("base"),
			.kind = IDENTITY_ANONYMOUS,
			.value = SPAN("give-new"),
			.make = true,
			.missing = true },
		{ .base = SPAN("base"),
			.kind = IDENTITY_ORDER,
			.value = SPAN("north/give"),
			.make = true,
			.missing = true,
			.attach = one },
	};
	int64_t fresh;

	(void)state;
	assert_int_equal(identify(0, v, 2), STORE_OK);
	fresh = v[0].customer;
	assert_true(fresh > 0 && fresh != one && v[0].weak);
	assert_int_equal(v[1].customer, one);
	assert_false(v[1].weak);
	v[0].attach = v[1].attach = two;
	assert_int_equal(identify(0, v, 2), STORE_OK);
	assert_int_equal(v[0].customer, fresh);
	assert_int_equal(v[1].customer, one);
}

/* Two cards, locked and loaded; visits[0] is the older one. */
static struct batch *load_two(int64_t one, int64_t two)
{
	struct batch *b = cases_batch(BATCH_EVENTS);

	cases_visit(b, one);
	cases_visit(b, two);
	load(0, b);
	assert_int_equal(b->visits[0]->state, VISIT_READY);
	assert_int_equal(b->visits[1]->state, VISIT_READY);
	return b;
}

/* As card_join leaves it. */
static void give_up(struct visit *gone, const struct visit *living)
{
	gone->card->merged_into = living->customer;
	gone->card->identity_version++;
	gone->card->changed = CARD_CHANGED_IDENTITY;
	living->card->identity_version++;
	living->card->changed |= CARD_CHANGED_IDENTITY;
}

static struct rule_last *add_last(struct batch *b, struct visit *v, const char *rule, int64_t at_us)
{
	struct rule_last *last = arena_new(&b->arena, struct rule_last);

	*last = (struct rule_last){ span_of(rule), SPAN(""), at_us, true };
	BATCH_PUSH(&b->arena, v->lasts, v->n_lasts, v->cap_lasts) = last;
	return last;
}
/* What the card that goes has. */
struct joined {
	int64_t message, task, chain, ended;
};

static struct joined save_joined(int64_t living, int64_t gone)
{
	struct batch *b = load_two(living, gone);
	struct visit *v = b->visits[1];
	struct joined has;

	cases_event(b, b->visits[0], "join-1", "join.x", 1);
	cases_event(b, v, "join-2", "join.x", 1);
	has.chain = add_chain(b, v, "stays", TIME_NONE)->id;
	has.ended = add_chain(b, v, "ends", TIME_NONE)->id;
	has.message = add_message(b, v, has.ended, false)->id;
	has.task = add_task(b, v, has.chain, TIME_NONE)->id;
	add_last(b, v, "both", 5000000);
	add_last(b, v, "one", 3000000);
	add_last(b, b->visits[0], "both", 4000000);
	add_order(b, v, "join-o");
	save(0, b);
	cases_batch_free(b);
	return has;
}

/* One card takes the other over; one chain of that ends. */
static void save_join(int64_t living, int64_t gone, int64_t ended)
{
	struct batch *b = load_two(living, gone);
	struct visit *v = b->visits[1];

	cases_event(b, v, "join-cause", "customer.merged", 1)->status =
		EVENT_DUPLICATE; /* not kept */
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->id == ended) {
			v->chains[i]->state = CHAIN_CANCELLED;
			v->chains[i]->change = CHAIN_ENDED;
			BATCH_PUSH(&b->arena, v->withdraw, v->n_withdraw, v->cap_withdraw) = ended;
		}
	assert_int_equal(b->visits[0]->n_gone, 0);
	give_up(v, b->visits[0]);
	save(0, b);
	cases_batch_free(b);
}

/* The living card has all of it; its chain ends. */
static void living_has_all(int64_t living, int64_t gone, const struct joined *has)
{
	struct batch *b = cases_batch(BATCH_EVENTS);
	struct visit *v = cases_visit(b, living);
	struct query count = { .kind = QUERY_COUNT,
		.customer = living,
		.types = (struct span[]){ SPAN("join.x") },
		.n_types = 1,
		.since_us = TIME_NONE,
		.before_seq = INT64_MAX };
	struct query orders = {
		.kind = QUERY_ORDERS, .customer = living, .since_us = TIME_NONE, .limit = 10
	};

	cases_event(b, v, "join-2", "join.x", 1);
	cases_event(b, v, "join-3", "task.done", 1)->data =
		span_of(arena_printf(&b->arena, "{\"task_id\":\"%lld\"}", (long long)has->task));
	load(0, b);
	assert_int_equal(v->state, VISIT_READY);
	assert_int_equal(v->n_gone, 1);
	assert_int_equal(v->gone[0], gone);
	assert_int_equal(v->events[0]->status, EVENT_DUPLICATE);
	assert_int_equal(v->n_chains, 1);
	assert_int_equal(v->chains[0]->id, has->chain);
	assert_int_equal(v->n_tasks, 1);
	assert_int_equal(v->n_lasts, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(v->lasts[i]->started_us,
			span_is(v->lasts[i]->rule, "both") ? 5000000 : 3000000);
	ask(b, &count);
	assert_int_equal(count.count, 2);
	ask(b, &orders);
	assert_int_equal(orders.n_orders, 1);
	v->chains[0]->change = CHAIN_ENDED;
	v->chains[0]->state = CHAIN_DONE;
	save(0, b);
	cases_batch_free(b);
}

static void test_a_joined_card_loses_everything(void **state)
{
	int64_t living = cases_customer(d, "living@join"), gone = cases_customer(d, "gone@join");
	struct joined has = save_joined(living, gone);
	struct store_identity id[2] = {
		{ .base = SPAN("base"), .kind = IDENTITY_EMAIL, .value = SPAN("gone@join") },
		{ .base = SPAN("base"), .kind = IDENTITY_CUSTOMER },
	};
	struct store_inbox row = { .customer = gone,
		.shop = &cases_shops[0],
		.type = SPAN("message.sent"),
		.data = SPAN("{}"),
		.due_us = TIME_NONE };
	struct cases_wait w = { 0 };
	enum message_state state_now;
	struct batch *b;
	char number[24];

	(void)state;
	d->store->ops->inbox_add(d->store, 0, &row, 1, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
	save_join(living, gone, has.ended);
	id[1].value.p = number;
	id[1].value.n = (size_t)snprintf(number, sizeof number, "%lld", (long long)gone);
	assert_int_equal(identify(1, id, 2), STORE_OK);
	assert_int_equal(id[0].customer, living);
	assert_int_equal(id[1].customer, living);
	assert_true(d->message_state(d, has.message, &state_now));
	assert_int_equal(state_now, MESSAGE_WITHDRAWN);

	b = cases_batch(BATCH_EVENTS);
	cases_visit(b, gone);
	load(0, b);
	assert_int_equal(b->visits[0]->state, VISIT_STALE);
	cases_abandon(d, 0);
	cases_batch_free(b);
	living_has_all(living, gone, &has);

	/* the row of before, and one of somebody who has not heard of it */
	row.due_us = TIME_NONE;
	w = (struct cases_wait){ 0 };
	d->store->ops->inbox_add(d->store, 0, &row, 1, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	assert_int_equal(b->visits[0]->customer, living);
	assert_int_equal(b->visits[0]->n_events, 2);
	save(0, b);
	cases_batch_free(b);
}

/* Nothing of it happens when the batch is given up. */
static void test_an_abandoned_join_leaves_both(void **state)
{
	int64_t living = cases_customer(d, "one@nojoin"), gone = cases_customer(d, "two@nojoin");
	struct batch *b = load_two(living, gone);

	(void)state;
	give_up(b->visits[1], b->visits[0]);
	cases_abandon(d, 0);
	cases_batch_free(b);
	assert_int_equal(cases_customer(d, "two@nojoin"), gone);
	b = load_one(gone);
	assert_int_equal(b->visits[0]->card->merged_into, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

/*** chains ***/

static void test_chain_changes_and_ends(void **state)
{
	int64_t who = cases_customer(d, "chain@save");
	struct batch *b = load_one(who);
	int64_t id = add_chain(b, b->visits[0], "one", TIME_NONE)->id;
	struct chain *c = add_chain(b, b->visits[0], "at-once", TIME_NONE);
	struct query q = { .kind = QUERY_CHAIN };

	(void)state;
	c->change = CHAIN_ENDED; /* began and ended in one stretch */
	c->state = CHAIN_DONE;
	save(0, b);
	cases_batch_free(b);

	b = load_one(who);
	assert_int_equal(b->visits[0]->n_chains, 1);
	c = b->visits[0]->chains[0];
	assert_int_equal(c->id, id);
	assert_false(c->loaded); /* nothing of this batch wakes it */
	assert_null(c->history.p);
	c->arrived = SPAN("[{\"n\":1}]");
	c->wake_us = b->now_us + 3600000000;
	c->change = CHAIN_CHANGED;
	save(0, b);
	cases_batch_free(b);

	b = load_one(who);
	c = b->visits[0]->chains[0];
	q.chain = c;
	q.customer = who;
	ask(b, &q);
	assert_true(c->loaded);
	assert_true(span_is(c->history, "[1]"));
	assert_true(span_is(c->event, "{\"type\":\"x\"}"));
	assert_true(span_is(c->arrived, "[{\"n\":1}]"));
	c->arrived = SPAN("[]");
	c->history = SPAN("[1,2]");
	c->state = CHAIN_STUCK;
	c->reason = SPAN("why");
	c->change = CHAIN_CHANGED;
	save(0, b);
	cases_batch_free(b);

	b = load_one(who);
	c = b->visits[0]->chains[0];
	assert_int_equal(c->state, CHAIN_STUCK);
	assert_true(span_is(c->reason, "why"));
	c->change = CHAIN_ENDED;
	c->state = CHAIN_CANCELLED;
	save(0, b);
	cases_batch_free(b);
	b = load_one(who);
	assert_int_equal(b->visits[0]->n_chains, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

/* Batches need not commit in the order of their numbers. */
static void test_chains_come_by_number(void **state)
{
	int64_t who = cases_customer(d, "chain@order"), older, newer;
	struct batch *b = load_one(who);
	struct chain *first = add_chain(b, b->visits[0], "queue", TIME_NONE);
	struct chain *second = add_chain(b, b->visits[0], "queue", TIME_NONE);

	(void)state;
	older = first->id;
	newer = second->id;
	assert_true(older < newer);
	first->id = newer;
	second->id = older;
	save(0, b);
	cases_batch_free(b);
	b = load_one(who);
	assert_int_equal(b->visits[0]->n_chains, 2);
	assert_int_equal(b->visits[0]->chains[0]->id, older);
	assert_int_equal(b->visits[0]->chains[1]->id, newer);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_due_chains_oldest_first_up_to_the_limit(void **state)
{
	int64_t who[3] = { cases_customer(d, "due1@due"), cases_customer(d, "due2@due"),
		cases_customer(d, "due3@due") };
	static const int age[3] = { 2, 3, 1 };
	struct batch *b;

	(void)state;
	for (int i = 0; i < 3; i++) {
		b = load_one(who[i]);
		add_chain(b, b->visits[0], "due", b->now_us - age[i] * 1000000);
		add_chain(b, b->visits[0], "later", b->now_us + 3600000000);
		save(0, b);
		cases_batch_free(b);
	}
	b = cases_batch(BATCH_DUE);
	b->limit = 1;
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	assert_int_equal(b->visits[0]->customer, who[1]);
	assert_true(b->more_due);
	assert_int_equal(b->visits[0]->n_chains, 2);
	assert_true(b->visits[0]->chains[0]->due && b->visits[0]->chains[0]->loaded);
	assert_false(b->visits[0]->chains[1]->due);
	assert_true(b->visits[0]->card->id == who[1]);

	/* while it is held, another lane takes the others */
	struct batch *rest = cases_batch(BATCH_DUE);

	load(1, rest);
	assert_int_equal(rest->n_visits, 2);
	assert_false(rest->more_due);
	/* and looks again soon for him */
	assert_in_range(rest->next_due_us - rest->now_us, 1, STORE_BUSY_PAUSE_US);
	for (size_t i = 0; i < 2; i++) {
		rest->visits[i]->chains[0]->change = CHAIN_ENDED;
		rest->visits[i]->chains[0]->state = CHAIN_DONE;
	}
	save(1, rest);
	cases_batch_free(rest);
	b->visits[0]->chains[0]->change = CHAIN_CHANGED;
	b->visits[0]->chains[0]->wake_us = b->now_us + 1800000000;
	int64_t next_us = b->now_us + 1800000000;

	save(0, b);
	cases_batch_free(b);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 0);
	assert_int_equal(b->next_due_us, next_us);
	cases_abandon(d, 0);
	cases_batch_free(b);
	for (int i = 0; i < 3; i++)
		end_chains(who[i]);
}

static void test_lists_that_are_left_alone_are_not_picked_from(void **state)
{
	int64_t chained = cases_customer(d, "left1@due"), tasked = cases_customer(d, "left2@due"),
		told = cases_customer(d, "left3@due");
	struct store_inbox row = { .customer = told,
		.shop = &cases_shops[0],
		.type = SPAN("message.sent"),
		.data = SPAN("{}"),
		.due_us = TIME_NONE };
	struct cases_wait w = { 0 };
	struct batch *b = load_one(chained);

	(void)state;
	add_chain(b, b->visits[0], "left", b->now_us - 3000000);
	save(0, b);
	cases_batch_free(b);
	b = load_one(tasked);
	add_task(b, b->visits[0], 0, b->now_us - 2000000);
	save(0, b);
	cases_batch_free(b);
	d->store->ops->inbox_add(d->store, 0, &row, 1, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);

	b = cases_batch(BATCH_DUE);
	b->limit = 1;
	b->leave = 1u << DUE_CHAIN | 1u << DUE_TASK;
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	assert_int_equal(b->visits[0]->customer, told);
	b->visits[0]->events[0]->status = EVENT_QUARANTINED;
	save(0, b);
	cases_batch_free(b);
	b = cases_batch(BATCH_DUE);
	b->leave = 1u << DUE_CHAIN | 1u << DUE_TASK;
	load(0, b);
	assert_int_equal(b->n_visits, 0);
	assert_int_equal(b->next_due_us, TIME_NONE); /* nobody is asked for too early */
	cases_abandon(d, 0);
	cases_batch_free(b);

	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 2);
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < b->visits[i]->n_tasks; k++)
			b->visits[i]->tasks[k]->overdue = b->visits[i]->tasks[k]->changed = true;
	save(0, b);
	cases_batch_free(b);
	end_chains(chained);
}

/* Sets one thing aside; the end of the call. */
static enum store_end set_aside(enum due_kind kind, int64_t id, bool blind)
{
	struct store_aside x = {
		.kind = kind, .id = id, .reason = SPAN("set aside by a test"), .blind = blind
	};
	struct cases_wait w = { 0 };

	d->store->ops->set_aside(d->store, 0, &x, cases_done, &w);
	return cases_await(d, &w);
}

static void test_due_things_are_set_aside(void **state)
{
	int64_t who = cases_customer(d, "aside@due"), chain, task;
	struct store_inbox rows[2] = { { .customer = who,
					       .shop = &cases_shops[0],
					       .type = SPAN("message.sent"),
					       .data = SPAN("{\"message_id\":\"1\"}"),
					       .due_us = TIME_NONE },
		{ .customer = who,
			.shop = &cases_shops[0],
			.type = SPAN("message.sent"),
			.data = SPAN("{\"message_id\":\"1\"}"),
			.due_us = TIME_NONE } };
	struct cases_wait w = { 0 };
	struct batch *b = load_one(who);
	enum task_state ts;

	(void)state;
	chain = add_chain(b, b->visits[0], "aside", b->now_us - 3000000)->id;
	task = add_task(b, b->visits[0], 0, b->now_us - 2000000)->id;
	save(0, b);
	cases_batch_free(b);
	d->store->ops->inbox_add(d->store, 0, rows, 2, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
	b = cases_batch(BATCH_DUE);
	b->leave = 1u << DUE_TASK | 1u << DUE_INBOX;
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	assert_int_equal(b->visits[0]->picked, chain);
	cases_abandon(d, 0);
	cases_batch_free(b);
	b = cases_batch(BATCH_DUE);
	b->skip = who;
	load(0, b);
	assert_int_equal(b->n_visits, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);

	assert_int_equal(set_aside(DUE_CHAIN, chain, false), STORE_OK);
	assert_int_equal(set_aside(DUE_TASK, task, false), STORE_OK);
	assert_int_equal(set_aside(DUE_INBOX, rows[0].id, false), STORE_OK);
	assert_int_equal(set_aside(DUE_INBOX, rows[1].id, true), STORE_OK);
	assert_true(d->task_state(d, task, &ts) && ts == TASK_OPEN);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);
	b = load_one(who);
	assert_int_equal(b->visits[0]->n_chains, 1);
	assert_int_equal(b->visits[0]->chains[0]->state, CHAIN_STUCK);
	assert_true(span_is(b->visits[0]->chains[0]->reason, "set aside by a test"));
	cases_abandon(d, 0);
	cases_batch_free(b);
	end_chains(who);
}

static void test_withdraws_what_nobody_took(void **state)
{
	int64_t who = cases_customer(d, "withdraw@save"), ids[4];
	struct batch *b = load_one(who);
	struct visit *v = b->visits[0];
	struct chain *c = add_chain(b, v, "w", TIME_NONE);
	enum message_state ms;
	enum task_state ts;
	struct task *t;

	(void)state;
	ids[0] = add_message(b, v, c->id, false)->id;
	ids[1] = add_message(b, v, c->id, true)->id;
	ids[2] = add_task(b, v, c->id, TIME_NONE)->id;
	t = add_task(b, v, c->id, TIME_NONE);
	t->state = TASK_TAKEN;
	ids[3] = t->id;
	save(0, b);
	cases_batch_free(b);
	b = load_one(who);
	v = b->visits[0];
	v->chains[0]->change = CHAIN_ENDED;
	v->chains[0]->state = CHAIN_EXITED;
	v->withdraw = &v->chains[0]->id;
	v->n_withdraw = 1;
	save(0, b);
	cases_batch_free(b);
	assert_true(d->message_state(d, ids[0], &ms) && ms == MESSAGE_WITHDRAWN);
	assert_true(d->message_state(d, ids[1], &ms) && ms == MESSAGE_READY);
	assert_true(d->task_state(d, ids[2], &ts) && ts == TASK_WITHDRAWN);
	assert_true(d->task_state(d, ids[3], &ts) && ts == TASK_TAKEN);
}

/* A chain of rule "r" that came to its end in this batch, or lives on, and a task of it; returns the task. */
static int64_t leave_task(struct batch *b, struct visit *v, const char *key, bool is_over)
{
	struct chain *c = add_chain(b, v, "r", TIME_NONE);

	c->key = span_of(key);
	if (is_over) {
		c->state = CHAIN_DONE;
		c->change = CHAIN_ENDED;
	}
	return add_task(b, v, c->id, TIME_NONE)->id;
}

/* exit_on of rule "r" comes to the customer. */
static void exit_rule(int64_t who, struct span key, int64_t spared)
{
	struct batch *b = load_one(who);
	struct visit *v = b->visits[0];

	BATCH_PUSH(&b->arena, v->exits, v->n_exits, v->cap_exits) =
		(struct visit_exit){ .rule = SPAN("r"), .key = key, .spared = spared };
	save(0, b);
	cases_batch_free(b);
}

static void task_is(int64_t id, enum task_state want)
{
	enum task_state is;

	assert_true(d->task_state(d, id, &is));
	assert_int_equal(is, want);
}

/* The task comes with the key of its chain, if that is over. */
static void task_key_is(int64_t who, int64_t task, const char *key)
{
	struct batch *b = cases_batch(BATCH_EVENTS);
	struct visit *v = cases_visit(b, who);

	cases_event(b, v, "key", "task.done", 1)->data =
		span_of(arena_printf(&b->arena, "{\"task_id\":\"%lld\"}", (long long)task));
	load(0, b);
	assert_int_equal(v->n_tasks, 1);
	if (key != NULL)
		assert_true(span_is(v->tasks[0]->chain_key, key));
	else
		assert_null(v->tasks[0]->chain_key.p);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_exit_withdraws_what_chains_have_left(void **state)
{
	int64_t who = cases_customer(d, "left@save"), other = cases_customer(d, "other@left"),
		seven, taken, kept, eight, live, another, others, fresh, spared;
	struct batch *b = load_two(who, other);
	struct visit *v = b->visits[0];
	struct task *t;

	(void)state;
	seven = leave_task(b, v, "7", true);
	taken = leave_task(b, v, "7", true);
	v->tasks[v->n_tasks - 1]->state = TASK_TAKEN;
	kept = leave_task(b, v, "7", true);
	v->tasks[v->n_tasks - 1]->keep = true;
	eight = leave_task(b, v, "8", true);
	spared = v->tasks[v->n_tasks - 1]->chain;
	live = leave_task(b, v, "7", false);
	t = add_task(b, v, v->tasks[0]->chain, TIME_NONE);
	t->rule = SPAN("another");
	another = t->id;
	others = leave_task(b, b->visits[1], "7", true);
	save(0, b);
	cases_batch_free(b);

	b = load_one(who);
	v = b->visits[0];
	BATCH_PUSH(&b->arena, v->exits, v->n_exits, v->cap_exits) =
		(struct visit_exit){ .rule = SPAN("r"), .key = SPAN("7") };
	fresh = leave_task(b, v, "7", true); /* it began after that event */
	save(0, b);
	cases_batch_free(b);
	task_is(seven, TASK_WITHDRAWN);
	task_is(taken, TASK_TAKEN);
	task_is(kept, TASK_OPEN);
	task_is(eight, TASK_OPEN);
	task_is(live, TASK_OPEN);
	task_is(another, TASK_OPEN);
	task_is(others, TASK_OPEN);
	task_is(fresh, TASK_OPEN);
	task_key_is(who, eight, "8");
	task_key_is(who, live, NULL);
	exit_rule(who, (struct span){ NULL, 0 }, spared);
	task_is(eight, TASK_OPEN);
	task_is(fresh, TASK_WITHDRAWN);
	exit_rule(who, (struct span){ NULL, 0 }, 0);
	task_is(eight, TASK_WITHDRAWN);
	task_is(kept, TASK_OPEN);
	task_is(live, TASK_OPEN);
	end_chains(who);
}

/*** inbox and tasks ***/

static void test_inbox_rows_are_judged_once(void **state)
{
	int64_t who = cases_customer(d, "inbox@due");
	struct store_inbox rows[2] = {
		{ .customer = who,
			.shop = &cases_shops[1],
			.type = SPAN("message.sent"),
			.data = SPAN("{\"message_id\":\"1\"}"),
			.due_us = TIME_NONE },
		{ .customer = who,
			.shop = &cases_shops[1],
			.type = SPAN("message.opened"),
			.data = SPAN("{}"),
			.due_us = TIME_NONE },
	};
	struct cases_wait w = { 0 };
	struct batch *b;

	(void)state;
	d->store->ops->inbox_add(d->store, 0, rows, 2, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
	assert_true(rows[0].id > 0 && rows[1].id > rows[0].id);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	struct visit *v = b->visits[0];

	assert_int_equal(v->customer, who);
	assert_int_equal(v->n_events, 2);
	assert_int_equal(v->events[0]->inbox, rows[0].id);
	assert_int_equal(v->events[0]->origin, EVENT_INBOX);
	assert_int_equal(v->events[0]->status, EVENT_NEW);
	assert_ptr_equal(v->events[0]->shop, &cases_shops[1]);
	assert_true(span_is(v->events[0]->type, "message.sent"));
	assert_true(span_starts(v->events[1]->id, "inbox:"));
	assert_int_equal(v->events[0]->time_us, b->now_us);
	v->events[0]->status = EVENT_ACCEPTED;
	v->events[0]->seq = b->id_next++;
	v->is_cut = true;
	save(0, b); /* the other one was not judged: it comes again */
	cases_batch_free(b);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	assert_int_equal(b->visits[0]->n_events, 1);
	assert_int_equal(b->visits[0]->events[0]->inbox, rows[1].id);
	b->visits[0]->events[0]->status = EVENT_QUARANTINED; /* neither written nor kept */
	save(0, b);
	cases_batch_free(b);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_tasks_come_when_overdue_or_named(void **state)
{
	int64_t who = cases_customer(d, "task@due");
	struct batch *b = load_one(who);
	int64_t late = add_task(b, b->visits[0], 0, b->now_us - 1000000)->id;
	int64_t other = add_task(b, b->visits[0], 0, b->now_us + 3600000000)->id;
	struct buf data = { 0 };
	struct store_inbox row = { .customer = who,
		.shop = &cases_shops[0],
		.type = SPAN("task.done"),
		.due_us = TIME_NONE };
	struct cases_wait w = { 0 };
	enum task_state ts;

	(void)state;
	save(0, b);
	cases_batch_free(b);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	assert_int_equal(b->visits[0]->n_tasks, 1);
	assert_int_equal(b->visits[0]->tasks[0]->id, late);
	assert_true(b->visits[0]->tasks[0]->due);
	b->visits[0]->tasks[0]->overdue = b->visits[0]->tasks[0]->changed = true;
	save(0, b);
	cases_batch_free(b);

	buf_printf(&data, "{\"task_id\":\"%lld\"}", (long long)other);
	row.data = buf_as_span(&data);
	d->store->ops->inbox_add(d->store, 0, &row, 1, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
	b = cases_batch(BATCH_DUE);
	load(0, b);
	assert_int_equal(b->n_visits, 1);
	assert_int_equal(b->visits[0]->n_tasks, 1);
	assert_int_equal(b->visits[0]->tasks[0]->id, other);
	assert_false(b->visits[0]->tasks[0]->due);
	b->visits[0]->tasks[0]->state = TASK_DONE;
	b->visits[0]->tasks[0]->done_us = b->now_us;
	b->visits[0]->tasks[0]->result = SPAN("ok");
	b->visits[0]->tasks[0]->changed = true;
	save(0, b);
	cases_batch_free(b);
	assert_true(d->task_state(d, other, &ts) && ts == TASK_DONE);
	assert_true(d->task_state(d, late, &ts) && ts == TASK_OPEN);
	buf_free(&data);
}

/*** queries ***/

static void test_queries_count_list_and_stop_at_seq(void **state)
{
	int64_t who = cases_customer(d, "query@fetch"), seq[5];
	static const char *const types[] = { "order.placed", "order.paid", "page.viewed",
		"order.placed", "orders" };
	struct span wanted[] = { SPAN("order.*") },
		    exact[] = { SPAN("order.placed"), SPAN("orders") };
	struct batch *b = load_one(who);
	struct query q;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct shop_event *e = cases_event(b, b->visits[0],
			(const char *[]){ "q0", "q1", "q2", "q3", "q4" }[i], types[i], 1);

		e->time_us = b->now_us - (5 - i) * 1000000;
		if (i == 3)
			e->shop = &cases_shops[1];
	}
	int64_t now_us = b->now_us;

	save(0, b);
	for (int i = 0; i < 5; i++)
		seq[i] = b->visits[0]->events[i]->seq;
	cases_batch_free(b);
	b = load_one(who);

	q = (struct query){ .kind = QUERY_COUNT,
		.customer = who,
		.types = wanted,
		.n_types = 1,
		.since_us = TIME_NONE,
		.before_seq = INT64_MAX,
		.limit = 10 };
	ask(b, &q);
	assert_int_equal(q.count, 3);
	assert_int_equal(q.last_us, now_us - 2000000);
	q.before_seq = seq[3];
	ask(b, &q);
	assert_int_equal(q.count, 2);
	q.since_us = now_us - 4000000;
	ask(b, &q);
	assert_int_equal(q.count, 1);
	q.types = exact;
	q.n_types = 2;
	q.before_seq = INT64_MAX;
	q.since_us = TIME_NONE;
	q.shop = &cases_shops[0];
	ask(b, &q);
	assert_int_equal(q.count, 2);
	q.n_types = 0;
	q.shop = NULL;
	ask(b, &q);
	assert_int_equal(q.count, 5);
	q.customer = who + 1000000;
	ask(b, &q);
	assert_int_equal(q.count, 0);
	assert_int_equal(q.last_us, TIME_NONE);

	q = (struct query){ .kind = QUERY_EVENTS,
		.customer = who,
		.types = wanted,
		.n_types = 1,
		.since_us = TIME_NONE,
		.before_seq = INT64_MAX,
		.limit = 2 };
	ask(b, &q);
	assert_int_equal(q.n_rows, 2);
	assert_int_equal(q.rows[0].seq, seq[3]);
	assert_true(span_is(q.rows[1].id, "q1"));
	assert_true(span_is(q.rows[1].type, "order.paid"));
	assert_true(span_is(q.rows[1].data, "{\"a\":1}"));
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_queries_list_orders(void **state)
{
	int64_t who = cases_customer(d, "orders@fetch");
	struct batch *b = load_one(who);
	struct visit *v = b->visits[0];
	struct query q;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct order *o = arena_new(&b->arena, struct order);

		*o = (struct order){ .shop = &cases_shops[i == 2],
			.id = span_of((const char *[]){ "oq0", "oq1", "oq2" }[i]),
			.customer = who,
			.placed_us = b->now_us - (3 - i) * 1000000,
			.delivery_us = TIME_NONE,
			.delivery_until_us = TIME_NONE,
			.updated_us = b->now_us,
			.is_new = true };
		BATCH_PUSH(&b->arena, v->orders, v->n_orders, v->cap_orders) = o;
	}
	int64_t now_us = b->now_us;

	save(0, b);
	cases_batch_free(b);
	b = load_one(who);
	q = (struct query){ .kind = QUERY_ORDERS,
		.customer = who,
		.since_us = TIME_NONE,
		.before_seq = INT64_MAX,
		.limit = 2 };
	ask(b, &q);
	assert_int_equal(q.n_orders, 2);
	assert_true(span_is(q.orders[0]->id, "oq2"));
	assert_true(span_is(q.orders[1]->id, "oq1"));
	q.shop = &cases_shops[0];
	q.since_us = now_us - 2000000;
	ask(b, &q);
	assert_int_equal(q.n_orders, 1);
	assert_true(span_is(q.orders[0]->id, "oq1"));
	q.since_us = TIME_NONE;
	q.order_id = SPAN("oq0");
	ask(b, &q);
	assert_int_equal(q.n_orders, 1);
	assert_true(span_is(q.orders[0]->id, "oq0"));
	cases_abandon(d, 0);
	cases_batch_free(b);
}

/*** rule sets and switches ***/

/* A message of rule "r" with a reason, in a state. */
static void add_reason(
	struct batch *b, struct visit *v, const char *reason, enum message_state state, bool keep)
{
	struct message *m = add_message(b, v, 77, keep);

	m->reason = span_of(reason);
	m->state = state;
}

static void test_queries_tell_what_was_written_for_a_reason(void **state)
{
	int64_t who = cases_customer(d, "reason@fetch"), other = cases_customer(d, "other@fetch");
	struct batch *b = load_one(who);
	struct query q = { .kind = QUERY_REASON,
		.customer = who,
		.rule = SPAN("r"),
		.reason = SPAN("offer"),
		.limit = 10 };
	int64_t newest;

	(void)state;
	add_reason(b, b->visits[0], "offer", MESSAGE_READY, true);
	add_reason(b, b->visits[0], "offer", MESSAGE_REFUSED, false);
	add_reason(b, b->visits[0], "offer", MESSAGE_WITHDRAWN, false);
	add_reason(b, b->visits[0], "another", MESSAGE_READY, false);
	add_message(b, b->visits[0], 77, false);
	add_reason(b, b->visits[0], "offer", MESSAGE_READY, false);
	newest = b->id_next - 1;
	save(0, b);
	cases_batch_free(b);

	b = load_one(who);
	ask(b, &q);
	assert_int_equal(q.n_messages, 2);
	assert_int_equal(q.messages[0].id, newest);
	assert_int_equal(q.messages[0].chain, 77);
	assert_true(q.messages[0].is_loose);
	assert_false(q.messages[1].is_loose);
	q.limit = 1;
	ask(b, &q);
	assert_int_equal(q.n_messages, 1);
	q.rule = SPAN("s");
	ask(b, &q);
	assert_int_equal(q.n_messages, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);

	b = load_one(other);
	q.customer = other;
	q.rule = SPAN("r");
	ask(b, &q);
	assert_int_equal(q.n_messages, 0);
	cases_abandon(d, 0);
	cases_batch_free(b);
}

static void test_queries_tell_what_is_being_sent(void **state)
{
	int64_t who = cases_customer(d, "sending@fetch"), sending;
	struct batch *b = load_one(who);
	struct visit *v = b->visits[0];
	struct chain *c = add_chain(b, v, "r", TIME_NONE), *other = add_chain(b, v, "s", TIME_NONE);
	struct query q = { .kind = QUERY_SENDING, .customer = who, .chain = c };

	(void)state;
	add_message(b, v, c->id, false);
	sending = add_message(b, v, c->id, false)->id;
	v->messages[1]->state = MESSAGE_SENDING;
	add_message(b, v, c->id, false)->state = MESSAGE_SENT;
	add_message(b, v, c->id, false)->state = MESSAGE_IN_DOUBT;
	add_message(b, v, c->id, false)->state = MESSAGE_FAILED;
	add_message(b, v, other->id, false)->state = MESSAGE_SENDING;
	save(0, b);
	cases_batch_free(b);

	b = load_one(who);
	q.chain = b->visits[0]->chains[0];
	ask(b, &q);
	assert_int_equal(q.n_messages, 3);
	for (int64_t i = 0; i < 3; i++)
		assert_int_equal(q.messages[i].id, sending + i);
	cases_abandon(d, 0);
	cases_batch_free(b);
	end_chains(who);
}

static void test_rule_set_goes_and_comes(void **state)
{
	struct rule_text texts[2] = {
		{ .level = 1, .path = SPAN("b.lua"), .bundle = SPAN("{\"text\":\"b\"}") },
		{ .level = 1, .path = SPAN("a.lua"), .bundle = SPAN("{\"text\":\"a\"}") },
	};
	struct template_text templates[2] = {
		{ .name = SPAN("hi"), .lang = SPAN("en"), .body = SPAN("{\"txt\":\"Hi\"}") },
		{ .name = SPAN("hi"), .lang = SPAN("de"), .body = SPAN("{\"txt\":\"Hi\"}") },
	};
	struct rule_set set = {
		.texts = texts, .n_texts = 2, .templates = templates, .n_templates = 2
	};
	struct rule_set got;
	struct arena a = { 0 };
	struct cases_wait w;
	struct batch *b;
	struct query q = { .kind = QUERY_TEXT, .hash = SPAN("h-b") };
	int64_t first;

	(void)state;
	strcpy(set.hash, "set-1");
	strcpy(texts[0].hash, "h-b");
	strcpy(texts[1].hash, "h-a");
	strcpy(templates[0].hash, "h-t");
	strcpy(templates[1].hash, "h-t"); /* one body, two languages */
	for (int i = 0; i < 2; i++) {
		first = set.id;
		w = (struct cases_wait){ 0 };
		d->store->ops->set_write(
			d->store, 0, &set, SPAN("anna"), SPAN("host"), cases_done, &w);
		assert_int_equal(cases_await(d, &w), STORE_OK);
		assert_true(set.id > first);
	}
	w = (struct cases_wait){ 0 };
	d->store->ops->set_read(d->store, 1, &got, &a, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
	assert_int_equal(got.id, set.id);
	assert_string_equal(got.hash, "set-1");
	assert_int_equal(got.n_texts, 2);
	assert_string_equal(got.texts[0].hash, "h-b");
	assert_true(span_is(got.texts[1].bundle, "{\"text\":\"a\"}"));
	assert_true(span_is(got.texts[1].path, "a.lua"));
	assert_int_equal(got.n_templates, 2);
	assert_true(span_is(got.templates[1].lang, "de"));
	assert_true(span_is(got.templates[1].body, "{\"txt\":\"Hi\"}"));
	b = cases_batch(BATCH_EVENTS);
	load(0, b);
	assert_int_equal(b->set_id, set.id);
	ask(b, &q);
	assert_true(span_is(q.text, "{\"text\":\"b\"}"));
	assert_int_equal(q.level, 1);
	q.hash = SPAN("none");
	q.text = (struct span){ NULL, 0 };
	ask(b, &q);
	assert_null(q.text.p);
	cases_abandon(d, 0);
	cases_batch_free(b);
	arena_fini(&a);
}

static int64_t switches_version(void)
{
	struct batch *b = cases_batch(BATCH_EVENTS);
	int64_t version;

	load(0, b);
	version = b->switches_version;
	cases_abandon(d, 0);
	cases_batch_free(b);
	return version;
}

static void strike(const char *id, const char *rule)
{
	struct switch_pair pair = { SPAN("event"), span_of(id), span_of(rule) };
	struct cases_wait w = { 0 };

	d->store->ops->strike(d->store, 0, &pair, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
}

static void read_switches(struct arena *a, struct switches *ret)
{
	struct cases_wait w = { 0 };

	d->store->ops->switches_read(d->store, 0, ret, a, cases_done, &w);
	assert_int_equal(cases_await(d, &w), STORE_OK);
}

static void test_strikes_set_pairs_aside_and_suspend(void **state)
{
	struct arena a = { 0 };
	struct switches s;
	int64_t before = switches_version();

	(void)state;
	strike("north//s1", "boom");
	strike("north//s1", "boom");
	read_switches(&a, &s);
	assert_int_equal(s.n_pairs, 1);
	assert_true(span_is(s.pairs[0].id, "north//s1") && span_is(s.pairs[0].rule, "boom"));
	assert_int_equal(s.n_suspended, 0);
	assert_true(s.version != before);
	assert_int_equal(switches_version(), s.version);
	strike("north//s2", "boom");
	strike("north//s3", "boom");
	read_switches(&a, &s);
	assert_int_equal(s.n_suspended, 1);
	assert_true(span_is(s.suspended[0], "boom"));
	arena_fini(&a);
}

static void test_a_fault_may_suspend(void **state)
{
	int64_t who = cases_customer(d, "fault@save"), before = switches_version();
	struct batch *b = load_one(who);
	struct visit_rule_fault f = { .rule = SPAN("bad-rule"),
		.text = SPAN("a.lua:3: nil"),
		.failed = true,
		.suspend = true };
	struct arena a = { 0 };
	struct switches s;
	size_t hits = 0;

	(void)state;
	cases_event(b, b->visits[0], "fault-1", "x", 1);
	BATCH_PUSH(&b->arena, b->visits[0]->faults, b->visits[0]->n_faults,
		b->visits[0]->cap_faults) = &f;
	save(0, b);
	cases_batch_free(b);
	read_switches(&a, &s);
	for (size_t i = 0; i < s.n_suspended; i++)
		hits += span_is(s.suspended[i], "bad-rule");
	assert_int_equal(hits, 1);
	assert_int_not_equal(s.version, before);
	arena_fini(&a);
}

int cases_run(struct cases_driver *driver)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identify_makes_one_card_and_finds_it),
		cmocka_unit_test(test_identify_race_has_one_winner),
		cmocka_unit_test(test_card_and_effects_come_back),
		cmocka_unit_test(test_known_events_are_duplicates_or_conflicts),
		cmocka_unit_test(test_aside_events_are_kept),
		cmocka_unit_test(test_who_is_held_is_busy),
		cmocka_unit_test(test_other_version_or_no_card_is_stale),
		cmocka_unit_test(test_abandoned_and_left_leave_nothing),
		cmocka_unit_test(test_a_key_written_meanwhile_means_again),
		cmocka_unit_test(test_claims_are_won_or_stop_the_batch),
		cmocka_unit_test(test_an_order_has_one_customer),
		cmocka_unit_test(test_identify_tells_weak_cards),
		cmocka_unit_test(test_identify_gives_keys_to_cards),
		cmocka_unit_test(test_a_joined_card_loses_everything),
		cmocka_unit_test(test_an_abandoned_join_leaves_both),
		cmocka_unit_test(test_chain_changes_and_ends),
		cmocka_unit_test(test_chains_come_by_number),
		cmocka_unit_test(test_due_chains_oldest_first_up_to_the_limit),
		cmocka_unit_test(test_lists_that_are_left_alone_are_not_picked_from),
		cmocka_unit_test(test_due_things_are_set_aside),
		cmocka_unit_test(test_withdraws_what_nobody_took),
		cmocka_unit_test(test_exit_withdraws_what_chains_have_left),
		cmocka_unit_test(test_inbox_rows_are_judged_once),
		cmocka_unit_test(test_tasks_come_when_overdue_or_named),
		cmocka_unit_test(test_queries_count_list_and_stop_at_seq),
		cmocka_unit_test(test_queries_list_orders),
		cmocka_unit_test(test_queries_tell_what_was_written_for_a_reason),
		cmocka_unit_test(test_queries_tell_what_is_being_sent),
		cmocka_unit_test(test_rule_set_goes_and_comes),
		cmocka_unit_test(test_strikes_set_pairs_aside_and_suspend),
		cmocka_unit_test(test_a_fault_may_suspend),
	};

	d = driver;
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
