/* flow_test.c: the flow of batches over the memory store, with an engine that accepts everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/card.h"
#include "engine/judge.h"
#include "intake/flow_int.h"
#include "model/shop.h"
#include "store/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0 (INT64_C(1772445600) * CLOCK_SECOND_US)

/* ---- an engine that accepts everything ---- */

struct judge {
	int64_t set_id;
};
struct sitting {
	struct batch *batch;
};

static struct store *store;
static int judges_made;
static int64_t now_us;

void judge_limits_default(struct judge_limits *ret)
{
	memset(ret, 0, sizeof *ret);
}

struct judge *judge_new(const struct judge_env *env, const struct rule_set *set, struct err *err)
{
	struct judge *j = xcalloc(1, sizeof *j);

	(void)env;
	(void)err;
	j->set_id = set->id;
	judges_made++;
	return j;
}

void judge_free(struct judge *j)
{
	free(j);
}

int64_t judge_set_id(const struct judge *j)
{
	return j->set_id;
}

void judge_switch(struct judge *j, const struct switches *s)
{
	(void)j;
	(void)s;
}

static enum card_keep keep_older(void *arg, struct span rule)
{
	(void)arg;
	(void)rule;
	return CARD_KEEP_OLDER;
}

void judge_join(struct judge *j, struct batch *b, struct visit *living, struct visit *gone)
{
	(void)j;
	card_join(b, living, gone, keep_older, NULL);
}

struct sitting *judge_start(struct judge *j, struct batch *b)
{
	struct sitting *s = xcalloc(1, sizeof *s);

	(void)j;
	s->batch = b;
	return s;
}

/* Is there an event in the batch that asks what takes too long? */
static bool is_slow(const struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_events; k++)
			if (b->visits[i]->events[k]->status == EVENT_NEW &&
				(span_starts(b->visits[i]->events[k]->id, "slow") ||
					span_is(b->visits[i]->events[k]->type, "message.slow")))
				return true;
	return false;
}

/* A chain of the rule `rule` that is due so much later. */
static void start_chain(struct batch *b, struct visit *v, struct span rule, int64_t in_us)
{
	struct chain *c = arena_new(&b->arena, struct chain);

	c->id = b->id_next++;
	c->customer = v->customer;
	c->shop = v->events[0]->shop;
	c->rule = (struct span){ arena_dup(&b->arena, rule.p, rule.n), rule.n };
	c->state = CHAIN_WAITING;
	c->started_us = b->now_us;
	c->wake_us = b->now_us + in_us;
	c->change = CHAIN_NEW;
	BATCH_PUSH(&b->arena, v->chains, v->n_chains, v->cap_chains) = c;
}

/* Their timers are all they waited for. */
static void end_due_chains(struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_chains; k++) {
			struct chain *c = b->visits[i]->chains[k];

			if (!c->due)
				continue;
			c->state = CHAIN_DONE;
			c->change = CHAIN_ENDED;
		}
}

/* An event called "bad" makes the store refuse its batch, one called "slow" costs the connection. */
enum judge_answer judge_go(struct sitting *s, struct query **ret_queries, size_t *ret_n)
{
	struct batch *b = s->batch;

	*ret_queries = NULL;
	*ret_n = 0;
	for (size_t i = 0; i < b->n_aside; i++)
		if (span_is(b->aside[i]->id, "unkept"))
			mem_fail_next(store, MEM_SAVE, STORE_REFUSED, false);
	if (is_slow(b)) {
		mem_fail_next(store, MEM_FETCH, STORE_LOST, false);
		return JUDGE_NEED;
	}
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_events; k++) {
			struct shop_event *e = b->visits[i]->events[k];

			if (e->status != EVENT_NEW)
				continue;
			if (k > 0 && (span_is(e->id, "cut") || span_is(e->type, "message.cut"))) {
				b->visits[i]->is_cut = true; /* no time for the rest */
				break;
			}
			if (span_starts(e->id, "long"))
				now_us += 100000; /* its rules take that long */
			e->status = EVENT_ACCEPTED;
			e->verdicts = span_of(arena_strdup(&b->arena, "[]"));
			e->seq = b->id_next++;
			if (span_starts(e->type, "chain."))
				start_chain(b, b->visits[i], e->id,
					span_is(e->type, "chain.later") ? CLOCK_SECOND_US : 0);
			if (span_is(e->id, "killer"))
				mem_fail_next(store, MEM_SAVE, STORE_LOST, false);
			if (span_is(e->type, "message.double"))
				mem_fail_next(store, MEM_SAVE, STORE_AGAIN, false);
			if (span_is(e->id, "bad") || span_is(e->type, "message.bad"))
				mem_fail_next(store, MEM_SAVE, STORE_REFUSED, false);
		}
	end_due_chains(b);
	return JUDGE_DONE;
}

void judge_take_back(struct sitting *s)
{
	(void)s;
}

void judge_end(struct sitting *s)
{
	free(s);
}

/* ---- the host ---- */

static struct flow *flow;
static bool turn_wanted;
static const struct shop shop = { .id = "shop", .base = "shop", .zone = "UTC" };

static int64_t host_us(void *arg)
{
	(void)arg;
	return now_us;
}

static void host_turn(void *arg)
{
	(void)arg;
	turn_wanted = true;
}

static void host_poke(void *arg, unsigned channels)
{
	(void)arg;
	(void)channels;
}

static void pump(void)
{
	for (int i = 0; i < 1000; i++) {
		turn_wanted = false;
		flow_turn(flow);
		if (!mem_turn(store) && !turn_wanted)
			return;
	}
	fail_msg("the flow does not come to rest");
}

/* Time goes by, and nothing stands still. */
static void pass_us(int64_t us)
{
	for (int64_t end_us = now_us + us; now_us < end_us; now_us += 10000)
		pump();
}

static void set_done(void *arg, enum store_end end, const struct err *err)
{
	(void)arg;
	(void)err;
	assert_int_equal(end, STORE_OK);
}

static void activate_set(void)
{
	struct rule_set set = { .id = 0 };

	store->ops->set_write(store, 0, &set, SPAN("test"), SPAN("test"), set_done, NULL);
	mem_turn(store);
}

static void open_flow(const struct flow_limits *limits)
{
	struct judge_env env = { .shops = &shop, .n_shops = 1 };
	struct flow_host host = {
		.boot_us = host_us, .wall_us = host_us, .poke = host_poke, .turn = host_turn
	};

	flow = flow_open(store, &env, limits, &host);
	pump();
}

static int setup_lanes(int lanes, size_t batch)
{
	struct flow_limits limits;

	now_us = T0;
	judges_made = 0;
	store = mem_open(lanes, now_us);
	activate_set();
	flow_limits_default(&limits);
	limits.batch = batch ? batch : limits.batch;
	open_flow(&limits);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_lanes(3, 0);
}

/* One lane, and the spare one; two events at a time. */
static int setup_narrow(void **state)
{
	(void)state;
	return setup_lanes(2, 2);
}

static int teardown(void **state)
{
	(void)state;
	store->ops->close(store);
	flow_close(flow);
	return 0;
}

/* ---- tickets ---- */

struct post {
	struct event_ticket ticket;
	struct shop_event events[16];
	char text[16][64];
	int done, late;
};

static void post_done(struct event_ticket *t)
{
	struct post *p = t->owner;

	p->done++;
}

static void post_late(struct event_ticket *t)
{
	struct post *p = t->owner;

	p->late++;
}

/* Adds an event with this id about this customer; content: what its hash stands for. */
static struct shop_event *post_add(
	struct post *p, const char *id, const char *customer, int content)
{
	size_t i = p->ticket.n++;
	struct shop_event *e = &p->events[i];

	snprintf(p->text[i], sizeof p->text[i], "%s", customer);
	*e = (struct shop_event){ .shop = &shop,
		.source = SPAN(""),
		.id = span_of(id),
		.type = SPAN("page.viewed"),
		.data = SPAN("{}"),
		.time_us = now_us,
		.received_us = now_us,
		.claimed_us = TIME_NONE,
		.deduplicated = true,
		.n_identity = 1 };
	e->identity[0] = (struct identity){ IDENTITY_ID, span_of(p->text[i]) };
	memset(e->hash, content, sizeof e->hash);
	return e;
}

static void post_send(struct post *p)
{
	p->ticket.events = p->events;
	p->ticket.done = post_done;
	p->ticket.late = post_late;
	p->ticket.owner = p;
	flow_submit(flow, &p->ticket);
}

/* ---- tests ---- */

static void test_events_are_committed_and_settled_once(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_add(&p, "2", "boris", 1);
	post_send(&p);
	assert_int_equal(p.done, 0); /* never from inside the call */
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.late, 0);
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_events, 2);
	assert_int_equal(mem_tables(store)->n_customers, 2);
	assert_true(flow_is_idle(flow));
}

static void test_one_customer_keeps_the_order_of_submission(void **state)
{
	struct post a = { .done = 0 }, b = { .done = 0 };

	(void)state;
	post_add(&a, "1", "anna", 1);
	post_add(&a, "2", "anna", 1);
	post_add(&b, "3", "anna", 1);
	post_send(&a);
	flow_turn(flow); /* a is being identified when b comes */
	post_send(&b);
	pump();
	assert_int_equal(a.done + b.done, 2);
	assert_true(a.events[0].seq < a.events[1].seq);
	assert_true(a.events[1].seq < b.events[0].seq);
	assert_int_equal(mem_tables(store)->n_customers, 1);
}

static void test_an_event_sent_twice_is_a_duplicate(void **state)
{
	struct post p = { .done = 0 }, again = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(p.events[1].status, EVENT_DUPLICATE);
	post_add(&again, "1", "anna", 1);
	post_send(&again);
	pump();
	assert_int_equal(again.events[0].status, EVENT_DUPLICATE);
	assert_int_equal(mem_tables(store)->n_events, 1);
}

static void test_the_same_key_with_other_content_is_kept_aside(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_add(&p, "1", "anna", 2);
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[1].status, EVENT_CONFLICT);
	assert_non_null(p.events[1].reason);
	assert_int_equal(mem_tables(store)->n_events, 1);
	assert_int_equal(mem_tables(store)->n_aside, 1);
}

static void test_who_is_busy_waits_and_nobody_else(void **state)
{
	struct post first = { .done = 0 }, p = { .done = 0 };
	int64_t anna;

	(void)state;
	post_add(&first, "0", "anna", 1);
	post_send(&first);
	pump();
	anna = first.events[0].customer;
	mem_hold(store, anna, true);
	post_add(&p, "1", "anna", 1);
	post_add(&p, "2", "boris", 1);
	post_send(&p);
	pump();
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
	assert_int_equal(p.events[0].status, EVENT_NEW);
	assert_int_equal(p.done, 0);
	mem_hold(store, anna, false);
	now_us += 100000;
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
}

static void test_a_refused_batch_costs_only_the_culprit(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_add(&p, "2", "boris", 1);
	post_add(&p, "bad", "boris", 1);
	post_add(&p, "3", "boris", 1);
	post_add(&p, "4", "clara", 1);
	post_send(&p);
	for (int i = 0; i < 10; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(p.events[i].status, i == 2 ? EVENT_QUARANTINED : EVENT_ACCEPTED);
	assert_true(p.events[1].seq < p.events[3].seq);
	assert_int_equal(mem_tables(store)->n_events, 4);
	assert_int_equal(mem_tables(store)->n_aside, 1);
	/* what the batch that was refused said of it is gone with that batch */
	assert_int_equal(mem_tables(store)->aside[0]->verdicts.n, 0);
}

/* P3: a question that ends the connection each time costs only the event that asks it. */
static void test_an_event_that_costs_the_connection_is_set_aside(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_add(&p, "2", "boris", 1);
	post_add(&p, "slow", "boris", 1);
	post_add(&p, "3", "boris", 1);
	post_send(&p);
	p.ticket.late = NULL; /* a door that waits */
	for (int i = 0; i < 20; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(p.events[i].status, i == 2 ? EVENT_QUARANTINED : EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_aside, 1);
}

/* What the engine had no time for comes again, in its order, and is settled then. */
static void test_a_customer_that_was_cut_goes_on(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_add(&p, "2", "anna", 1);
	post_add(&p, "cut", "anna", 1);
	post_add(&p, "3", "anna", 1);
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(p.events[i].status, EVENT_ACCEPTED);
	for (int i = 1; i < 4; i++)
		assert_true(p.events[i - 1].seq < p.events[i].seq);
	mem_inbox(store, p.events[0].customer, &shop, "message.sent", SPAN("{}"), now_us);
	mem_inbox(store, p.events[0].customer, &shop, "message.cut", SPAN("{}"), now_us);
	flow_poke(flow);
	pump();
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	assert_int_equal(mem_tables(store)->n_events, 6);
}

/* Due work that can not be done keeps nobody else's from being done. */
static void due_culprit(const char *type)
{
	struct post p = { .done = 0 };

	post_add(&p, "1", "anna", 1);
	post_add(&p, "2", "boris", 1);
	post_add(&p, "3", "clara", 1);
	post_send(&p);
	pump();
	mem_inbox(store, p.events[0].customer, &shop, "message.sent", SPAN("{}"), now_us);
	mem_inbox(store, p.events[1].customer, &shop, "message.sent", SPAN("{}"), now_us);
	mem_inbox(store, p.events[1].customer, &shop, type, SPAN("{}"), now_us);
	mem_inbox(store, p.events[1].customer, &shop, "message.sent", SPAN("{}"), now_us);
	mem_inbox(store, p.events[2].customer, &shop, "message.sent", SPAN("{}"), now_us);
	flow_poke(flow);
	for (int i = 0; i < 200; i++, now_us += 100000, mem_set_now(store, now_us))
		pump();
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	assert_int_equal(mem_tables(store)->n_events, 7);
	assert_int_equal(mem_tables(store)->n_aside, 1);
	assert_true(span_is(mem_tables(store)->aside[0]->type, type));
}

/* How many of the chains that there were have ended. */
static int chains_ended(void)
{
	const struct mem_tables *t = mem_tables(store);
	int n = 0;

	for (size_t i = 0; i < t->n_chains; i++)
		n += t->chains[i]->state == CHAIN_DONE;
	return n;
}

/* The same with rows, chains and deadlines that can not even be read, or that the database dies of. */
static void due_poison(enum mem_call call, enum store_end end)
{
	static const char *const who[] = { "anna", "boris", "clara", "dora" };
	struct post p = { .done = 0 };
	int64_t boris;

	for (int i = 0; i < 4; i++)
		post_add(&p, who[i], who[i], 1)->type = SPAN("chain.later");
	post_send(&p);
	pump();
	boris = p.events[1].customer;
	mem_poison(store, call, boris, end);
	for (int i = 0; i < 4; i++)
		mem_inbox(store, p.events[i].customer, &shop, "message.sent", SPAN("{}"), now_us);
	now_us += 1000000;
	flow_poke(flow);
	for (int i = 0; i < 400; i++, now_us += 100000, mem_set_now(store, now_us)) {
		struct post q = { .done = 0 };
		char id[16];

		if (i % 5 == 0) { /* others get through meanwhile */
			snprintf(id, sizeof id, "e%d", i);
			post_add(&q, id, "emil", 1);
			post_send(&q);
		}
		pump();
		if (i % 5 == 0)
			assert_int_equal(q.events[0].status, EVENT_ACCEPTED);
	}
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	assert_int_equal(mem_tables(store)->n_aside, 1);
	assert_int_equal(chains_ended(), 3);
	for (size_t i = 0; i < mem_tables(store)->n_chains; i++) {
		const struct chain *c = mem_tables(store)->chains[i];

		assert_int_equal(c->state, c->customer == boris ? CHAIN_STUCK : CHAIN_DONE);
		if (c->customer == boris)
			assert_true(c->reason.n > 0);
	}
	assert_non_null(mem_tables(store)->aside[0]->reason);
}

static void test_due_work_that_can_not_be_read_is_set_aside(void **state)
{
	(void)state;
	due_poison(MEM_LOAD, STORE_REFUSED);
}

static void test_due_work_that_is_lost_when_read_is_set_aside(void **state)
{
	(void)state;
	due_poison(MEM_LOAD, STORE_LOST);
}

static void test_due_work_that_is_lost_when_saved_is_set_aside(void **state)
{
	(void)state;
	due_poison(MEM_SAVE, STORE_LOST);
}

/* A database that does nothing for anybody blames nobody. */
static void test_an_outage_sets_nothing_aside(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	pump();
	mem_inbox(store, p.events[0].customer, &shop, "message.sent", SPAN("{}"), now_us);
	post_add(&p, "2", "anna", 1);
	p.ticket.late = NULL;
	p.ticket.events = p.events + 1;
	p.ticket.n = 1;
	flow_submit(flow, &p.ticket);
	for (int i = 0; i < 200; i++, now_us += 100000, mem_set_now(store, now_us)) {
		mem_fail_next(store, i % 2 ? MEM_SAVE : MEM_LOAD, STORE_LOST, false);
		turn_wanted = true;
		flow_turn(flow);
		mem_turn(store);
		mem_fail_next(store, i % 2 ? MEM_SAVE : MEM_LOAD, STORE_LOST, false);
		mem_turn(store);
		mem_turn(store);
	}
	for (int i = 0; i < 50; i++, now_us += 100000, mem_set_now(store, now_us))
		pump();
	assert_int_equal(mem_tables(store)->n_aside, 0);
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
}

/* An event that the database dies of: the others of its batch go on, at last it is set aside. */
static void test_an_event_that_kills_the_connection_is_set_aside(void **state)
{
	struct post p = { .done = 0 }, q;
	int i;

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_add(&p, "2", "boris", 1);
	post_add(&p, "killer", "boris", 1);
	post_add(&p, "3", "boris", 1);
	post_add(&p, "4", "clara", 1);
	p.ticket.events = p.events;
	p.ticket.done = post_done;
	p.ticket.owner = &p;
	flow_submit(flow, &p.ticket);
	for (i = 0; i < 40 && p.events[2].status == EVENT_NEW; i++, now_us += 100000) {
		char id[16];

		mem_set_now(store, now_us);
		q = (struct post){ .done = 0 };
		snprintf(id, sizeof id, "e%d", i);
		post_add(&q, id, "dora", 1);
		post_send(&q);
		pump();
		assert_int_equal(q.events[0].status, EVENT_ACCEPTED);
	}
	assert_in_range(i, 2, 39);
	pump();
	assert_int_equal(p.events[2].status, EVENT_QUARANTINED);
	for (i = 0; i < 5; i++)
		if (i != 2)
			assert_int_equal(p.events[i].status, EVENT_ACCEPTED);
	assert_true(p.events[1].seq < p.events[3].seq);
	assert_int_equal(p.done, 1);
}

/* Of many that were lost together the innocent ones are let go in growing batches, not one by one. */
static void test_innocent_suspects_are_soon_let_go(void **state)
{
	static struct post p[6];
	char ids[6][14][8], names[6][14][8];
	struct flow_stats stats;
	struct post other;
	char id[16];
	int sent = 0, settled = 0, turns;

	(void)state;
	for (int i = 0; i < 6; i++) {
		p[i] = (struct post){ .done = 0 };
		for (int k = 0; k < 14; k++) {
			snprintf(ids[i][k], 8, "e%d", sent);
			snprintf(names[i][k], 8, "c%d", sent++);
			post_add(&p[i], i == 3 && k == 7 ? "killer" : ids[i][k], names[i][k], 1);
		}
		p[i].ticket.events = p[i].events;
		p[i].ticket.done = post_done;
		p[i].ticket.owner = &p[i];
		flow_submit(flow, &p[i].ticket);
	}
	for (turns = 0; turns < 100 && settled < 6; turns++, now_us += 100000) {
		mem_set_now(store, now_us);
		other = (struct post){
			.done = 0
		}; /* who gets through shows that it is not the database */
		snprintf(id, sizeof id, "o%d", turns);
		post_add(&other, id, "dora", 1);
		post_send(&other);
		pump();
		assert_int_equal(other.done, 1);
		settled = 0;
		for (int k = 0; k < 6; k++)
			settled += p[k].done;
	}
	flow_stats(flow, &stats);
	assert_in_range((int)stats.batches - turns, 5, 40);
	assert_int_equal(p[3].events[7].status, EVENT_QUARANTINED);
	assert_int_equal(mem_tables(store)->n_events, sent - 1 + turns);
}

static void test_an_inbox_row_that_is_refused_is_set_aside(void **state)
{
	(void)state;
	due_culprit("message.bad");
}

static void test_an_inbox_row_that_costs_the_connection_is_set_aside(void **state)
{
	(void)state;
	due_culprit("message.slow");
}

static void test_an_inbox_row_that_always_collides_is_set_aside(void **state)
{
	(void)state;
	due_culprit("message.double");
}

/* Without a database nothing is to be done before it is back or a ticket is late. */
static void test_nobody_wakes_up_for_nothing(void **state)
{
	struct post p = { .done = 0 }, q = { .done = 0 };

	(void)state;
	mem_set_up(store, false);
	post_add(&p, "1", "anna", 1);
	post_add(&q, "2", "anna", 1);
	post_send(&p);
	p.ticket.late = NULL; /* MQTT waits */
	pump();
	now_us += 3000000;
	pump();
	assert_int_equal(flow_next_us(flow), now_us + 500000);
	post_send(&q);
	pump();
	now_us += 1800000;
	pump();
	assert_int_equal(flow_next_us(flow), now_us + 200000);
}

/* P1, P2: a commit whose answer was lost is found again, and the first sender hears accepted. */
static void test_a_lost_commit_that_happened_is_accepted_once(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	mem_fail_next(store, MEM_SAVE, STORE_LOST, true);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_events, 1);
}

static void test_a_lost_commit_that_did_not_happen_is_done_again(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	mem_fail_next(store, MEM_SAVE, STORE_LOST, false);
	pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_events, 1);
}

static void test_calls_that_fail_are_repeated(void **state)
{
	static const enum mem_call calls[] = { MEM_IDENTIFY, MEM_LOAD, MEM_SAVE };
	static const enum store_end ends[] = { STORE_AGAIN, STORE_LOST };
	char id[8];

	(void)state;
	for (size_t c = 0; c < 3; c++)
		for (size_t k = 0; k < 2; k++) {
			struct post p = { .done = 0 };

			snprintf(id, sizeof id, "%zu%zu", c, k);
			post_add(&p, id, id, 1);
			mem_fail_next(store, calls[c], ends[k], false);
			post_send(&p);
			pump();
			now_us += 200000;
			pump();
			assert_int_equal(p.done, 1);
			assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
		}
	assert_int_equal(mem_tables(store)->n_events, 6);
}

/* P5: no database: late within two seconds, nothing kept in memory for ever. */
static void test_without_a_database_tickets_are_late(void **state)
{
	struct post p = { .done = 0 }, q = { .done = 0 };
	const char *why = NULL;

	(void)state;
	mem_set_up(store, false);
	assert_false(flow_is_ready(flow, &why));
	assert_non_null(why);
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	pump();
	assert_int_equal(p.late, 0);
	assert_true(flow_next_us(flow) <= now_us + 2000000);
	now_us += 2000000;
	pump();
	assert_int_equal(p.late, 1);
	assert_int_equal(p.done, 1);
	mem_set_up(store, true);
	post_add(&q, "1", "anna", 1);
	post_send(&q);
	pump();
	assert_int_equal(q.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_events, 1);
}

/* A ticket that is in a batch when it becomes late is answered late and ends later. */
static void test_late_in_flight_is_done_after_the_commit(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	flow_turn(flow); /* identify is out and not answered */
	now_us += 2000000;
	flow_turn(flow);
	assert_int_equal(p.late, 1);
	assert_int_equal(p.done, 0);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
}

static void test_quarantined_on_arrival_is_kept(void **state)
{
	struct post p = { .done = 0 };
	struct shop_event *e;

	(void)state;
	e = post_add(&p, "1", "anna", 1);
	e->status = EVENT_QUARANTINED;
	e->reason = "bad";
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].status, EVENT_QUARANTINED);
	assert_int_equal(mem_tables(store)->n_aside, 1);
	assert_int_equal(mem_tables(store)->n_events, 0);
}

/* P3: one that can not even be kept does not cost the others. */
static void test_a_quarantined_one_that_can_not_be_kept_is_alone(void **state)
{
	static const char *const ids[] = { "1", "unkept", "2", "good", "3" };
	struct post p = { .done = 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct shop_event *e = post_add(&p, ids[i], "anna", 1);

		if (i == 3)
			continue;
		e->status = EVENT_QUARANTINED;
		e->reason = "bad";
	}
	post_send(&p);
	for (int i = 0; i < 10; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[3].status, EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_aside, 3);
}

static void test_another_rule_set_is_read_before_the_next_batch(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	assert_int_equal(judges_made, 1);
	activate_set();
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	pump();
	assert_int_equal(judges_made, 2);
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
}

static void test_inbox_rows_are_judged_when_due(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	post_add(&p, "1", "anna", 1);
	post_send(&p);
	pump();
	mem_inbox(store, p.events[0].customer, &shop, "message.sent",
		SPAN("{\"message_id\":\"5\"}"), now_us + 1000000);
	flow_poke(flow);
	pump();
	assert_int_equal(mem_tables(store)->n_inbox, 1);
	now_us += 1000000;
	mem_set_now(store, now_us);
	pump();
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	assert_int_equal(mem_tables(store)->n_events, 2);
	assert_true(span_starts(mem_tables(store)->events[1]->id, "inbox:"));
}

/* P13: clocks that disagree pause timers and deadlines, not what comes in: events and inbox rows. */
static void test_clocks_that_disagree_pause_timers_only(void **state)
{
	struct post p = { .done = 0 }, q = { .done = 0 };
	struct flow_stats stats;
	struct chain *c;

	(void)state;
	now_us += 3000000; /* ours runs ahead of the store's */
	post_add(&p, "1", "anna", 1)->type = SPAN("chain.wanted");
	post_send(&p);
	pump();
	assert_int_equal(mem_tables(store)->n_chains, 1);
	c = mem_tables(store)->chains[0];
	mem_inbox(store, p.events[0].customer, &shop, "message.sent",
		SPAN("{\"message_id\":\"5\"}"), T0);
	flow_poke(flow);
	pump();
	flow_stats(flow, &stats);
	assert_true(stats.skewed);
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	assert_int_equal(c->state, CHAIN_WAITING);
	post_add(&q, "2", "anna", 1);
	post_send(&q);
	pump();
	mem_inbox(store, p.events[0].customer, &shop, "message.sent",
		SPAN("{\"message_id\":\"6\"}"), T0);
	flow_poke(flow);
	pump();
	assert_int_equal(q.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	assert_int_equal(c->state, CHAIN_WAITING);
	mem_set_now(store, now_us);
	now_us += 500000;
	pump();
	flow_stats(flow, &stats);
	assert_false(stats.skewed);
	assert_int_equal(c->state, CHAIN_DONE);
}

static int64_t host_wrong_us(void *arg)
{
	(void)arg;
	return now_us - 90 * 86400 * INT64_C(1000000);
}

/* A host whose clock is months behind: from when it may be asked on, it goes by the database's. */
static void test_who_is_ready_knows_the_time(void **state)
{
	struct flow *ours = flow;
	struct judge_env env = { .shops = &shop, .n_shops = 1 };
	struct flow_host host = {
		.boot_us = host_us, .wall_us = host_wrong_us, .poke = host_poke, .turn = host_turn
	};
	struct flow_limits limits;

	(void)state;
	flow_limits_default(&limits);
	flow = flow_open(store, &env, &limits, &host);
	for (int i = 0; !flow_is_ready(flow, NULL); i++) {
		assert_true(i < 100);
		flow_turn(flow);
		if (!flow_is_ready(flow, NULL))
			mem_turn(store);
	}
	assert_int_equal(flow_now_us(flow), now_us);
	pump();
	flow_close(flow);
	flow = ours;
}

/* Goes on by so much, in small steps. */
static void go_on(int ms)
{
	for (int i = 0; i < ms; i += 10) {
		now_us += 10000;
		mem_set_now(store, now_us);
		pump();
	}
}

/* P11: overdue chains at a bounded rate, shared by all engines of the fleet; who writes by the API does not wait. */
static void test_engines_share_the_rate_of_catching_up(void **state)
{
	enum { RATE = 40, ENGINES = 4, CHAINS = 160 };
	static struct post p[CHAINS / 16];
	static char names[CHAINS][16];
	struct flow_limits limits;

	(void)state;
	flow_close(flow);
	flow_limits_default(&limits);
	limits.due = 10;
	limits.catch_up = RATE;
	limits.skew_us = INT64_MAX;
	open_flow(&limits);
	mem_set_engines(store, ENGINES);
	for (int i = 0; i < CHAINS; i++) {
		snprintf(names[i], sizeof names[i], "c%d", i);
		post_add(&p[i / 16], names[i], names[i], 1)->type = SPAN("chain.later");
	}
	for (int i = 0; i < CHAINS / 16; i++)
		post_send(&p[i]);
	pump();
	assert_int_equal(mem_tables(store)->n_chains, CHAINS);
	now_us += 20000000;
	go_on(4000);
	assert_in_range(
		chains_ended(), 30, 60); /* 40 and a second's worth, rounded up to a batch */
	mem_inbox(store, p[0].events[0].customer, &shop, "message.sent", SPAN("{}"), now_us);
	flow_poke(flow);
	pump();
	assert_int_equal(mem_tables(store)->n_inbox, 0);
	mem_set_engines(store, 1);
	go_on(3000);
	assert_in_range(chains_ended(), 100, CHAINS);
}

static int lanes_at(enum lane_step step)
{
	int n = 0;

	for (int i = 0; i < flow->n_lanes; i++)
		n += flow->lanes[i].step == step && flow->lanes[i].batch.kind == BATCH_DUE;
	return n;
}

/* While one lane saves due work another looks for more, but never two at once. */
static void test_due_work_goes_on_while_it_is_saved(void **state)
{
	static struct post p;
	static char names[8][16];
	struct flow_limits limits;
	int together = 0;

	(void)state;
	flow_close(flow);
	flow_limits_default(&limits);
	limits.due = 1;
	open_flow(&limits);
	p = (struct post){ .done = 0 };
	for (int i = 0; i < 8; i++) {
		snprintf(names[i], sizeof names[i], "c%d", i);
		post_add(&p, names[i], names[i], 1)->type = SPAN("chain.later");
	}
	post_send(&p);
	pump();
	now_us += 2000000;
	mem_set_now(store, now_us);
	for (int i = 0; i < 100 && chains_ended() < 8; i++) {
		flow_turn(flow);
		assert_in_range(lanes_at(LANE_LOAD) + lanes_at(LANE_FETCH), 0, 1);
		together += lanes_at(LANE_LOAD) == 1 && lanes_at(LANE_SAVE) >= 1;
		mem_turn(store);
	}
	assert_int_equal(chains_ended(), 8);
	assert_in_range(together, 1, 100);
}

static void test_there_is_a_limit_to_what_waits(void **state)
{
	(void)state;
	assert_true(flow_has_room(flow, 5000, 0));
	assert_false(flow_has_room(flow, 5001, 0));
	assert_false(flow_has_room(flow, 1, (32 << 20) + 1));
}

/* Events in the batch of that lane. */
static size_t batch_size(int lane)
{
	const struct flow_lane *l = &flow->lanes[lane];
	size_t n = 0;

	for (size_t i = 0; l->step != LANE_IDLE && i < l->batch.n_visits; i++)
		n += l->batch.visits[i]->n_events;
	return n;
}

/* n events of n customers, the same ones in each round. */
static void post_crowd(struct post *posts, char (*ids)[24], int n, int round)
{
	static char names[64][24];

	for (int i = 0; i < n; i++) {
		snprintf(ids[i], sizeof ids[i], "%d-%d", round, i);
		snprintf(names[i], sizeof names[i], "c%d", i);
		if (i % 16 == 0)
			posts[i / 16] = (struct post){ .done = 0 };
		post_add(&posts[i / 16], ids[i], names[i], 1);
	}
	for (int i = 0; i < (n + 15) / 16; i++)
		post_send(&posts[i]);
}

/* The database works for one half while the other is judged: all in one batch, they would wait for each other in turn.
 * So a lane waits for its share while others are busy, but not for ever; and never when nobody is. */
static void test_a_crowd_is_shared_out(void **state)
{
	static struct post posts[4];
	static char ids[3][64][24];
	struct post one = { .done = 0 };

	(void)state;
	post_crowd(posts, ids[0], 64, 0);
	pump(); /* now all are known */
	post_crowd(posts, ids[1], 64, 1);
	flow_turn(flow);
	assert_int_equal(batch_size(0), 32);
	assert_int_equal(batch_size(1), 32);
	pump();
	post_crowd(posts, ids[2], 32, 2);
	flow_turn(flow);
	assert_int_equal(
		batch_size(0), 28); /* of a crowd that is an eighth smaller with each batch */
	assert_int_equal(batch_size(1), 0);
	assert_in_range(flow_next_us(flow), now_us, now_us + 10000);
	now_us += 10000;
	flow_turn(flow);
	assert_int_equal(batch_size(1), 4);
	pump();
	post_add(&one, "one", "c1", 1);
	post_send(&one);
	flow_turn(flow);
	assert_int_equal(batch_size(0), 1);
	pump();
	assert_int_equal(mem_tables(store)->n_events, 64 + 64 + 32 + 1);
}

/* P19: a request that was begun before the daemon was told to stop is served like any other. */
static void test_draining_serves_what_still_comes(void **state)
{
	struct post late = { .done = 0 };

	(void)state;
	pump();
	flow_drain(flow);
	assert_true(flow_is_idle(flow));
	assert_true(flow_is_ready(flow, NULL));
	assert_true(flow_has_room(flow, 1, 1));
	post_add(&late, "1", "anna", 1);
	post_send(&late);
	assert_false(flow_is_idle(flow));
	pump();
	assert_int_equal(late.done, 1);
	assert_int_equal(late.events[0].status, EVENT_ACCEPTED);
	assert_true(flow_is_idle(flow));
}

/* P5: what is taken can be served in time: at a slow pace there is room for less; when nothing waits, for all again. */
static void test_room_follows_the_pace(void **state)
{
	enum { POSTS = 90, EACH = 16 };
	static struct post posts[POSTS];
	static char ids[POSTS][EACH][12];

	(void)state;
	memset(posts, 0, sizeof posts);
	assert_true(flow_has_room(flow, 5000, 0));
	for (int i = 0; i < POSTS; i++) {
		for (int k = 0; k < EACH; k++) {
			snprintf(ids[i][k], sizeof ids[i][k], "%d-%d", i, k);
			post_add(&posts[i], ids[i][k], ids[i][k], 1);
		}
		post_send(&posts[i]);
	}
	struct flow_stats stats = { .events = 0 };

	/* the database takes a tenth of a second for each answer */
	for (int i = 0; i < 100 && stats.events < 600; i++, now_us += 100000) {
		flow_turn(flow);
		mem_turn(store);
		flow_stats(flow, &stats);
	}
	assert_true(stats.queued >= 200);
	assert_true(flow_has_room(flow, 1, 0) == (stats.queued < 1000));
	assert_false(flow_has_room(flow, 2000, 0));
	for (int i = 0; i < 20; i++, now_us += 100000)
		pump();
	assert_true(flow_is_idle(flow));
	assert_true(flow_has_room(flow, 5000, 0));
}

/* Customers in the order of their first events: of whom not all fitted is the next again, not the last. */
static void test_what_did_not_fit_is_next(void **state)
{
	struct post known = { .done = 0 }, many = { .done = 0 };
	int turns = 0;

	(void)state;
	post_add(&known, "1", "anna", 1);
	post_add(&known, "2", "boris", 1);
	post_add(&known, "3", "clara", 1);
	post_send(&known);
	pump();
	assert_int_equal(known.done, 1);
	post_add(&many, "4", "anna", 1);
	post_add(&many, "5", "anna", 1);
	post_add(&many, "6", "anna", 1);
	post_add(&many, "7", "anna", 1);
	post_add(&many, "8", "boris", 1);
	post_add(&many, "9", "clara", 1);
	post_send(&many);
	while (many.events[4].status == EVENT_NEW && many.events[5].status == EVENT_NEW) {
		assert_true(turns++ < 100);
		flow_turn(flow);
		mem_turn(store);
	}
	assert_int_equal(many.events[3].status, EVENT_ACCEPTED);
	pump();
	assert_int_equal(many.done, 1);
}

/* ---- joining cards ---- */

static struct shop_event *post_as(
	struct post *p, const char *id, enum identity_kind kind, const char *key)
{
	struct shop_event *e = post_add(p, id, key, 1);

	e->identity[0].kind = kind;
	return e;
}

/* A further key of the event, weaker than those it has. */
static void post_also(struct shop_event *e, enum identity_kind kind, const char *key)
{
	e->identity[e->n_identity++] = (struct identity){ kind, span_of(key) };
}

/* Posts one event and lets the flow come to rest; returns its customer. */
static int64_t post_one(const char *id, enum identity_kind kind, const char *key)
{
	struct post p = { .done = 0 };

	post_as(&p, id, kind, key);
	post_send(&p);
	pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	return p.events[0].customer;
}

static const struct customer *card_of(int64_t id)
{
	for (size_t i = 0; i < mem_tables(store)->n_customers; i++)
		if (mem_tables(store)->customers[i]->id == id)
			return mem_tables(store)->customers[i];
	return NULL;
}

/* Everything that was ever judged is about this one. */
static void all_events_are_of(int64_t customer)
{
	for (size_t i = 0; i < mem_tables(store)->n_events; i++)
		assert_int_equal(mem_tables(store)->events[i]->customer, customer);
	for (size_t i = 0; i < mem_tables(store)->n_identities; i++)
		assert_int_equal(mem_tables(store)->identities[i]->customer, customer);
}

static void test_a_browser_that_becomes_known_is_taken_over(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	struct post p = { .done = 0 };
	struct flow_stats stats;

	(void)state;
	assert_true(anna != browser);
	post_also(post_as(&p, "3", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(card_of(browser)->merged_into, anna);
	assert_int_equal(card_of(browser)->identity_version, 1);
	assert_int_equal(card_of(anna)->identity_version, 1);
	all_events_are_of(anna);
	assert_int_equal(post_one("4", IDENTITY_ANONYMOUS, "x"), anna);
	flow_stats(flow, &stats);
	assert_int_equal(stats.joins, 1);
}

/* The strong card takes over, even if the weak one is named by the stronger key; and both weak. */
static void test_orders_and_browsers_find_their_customer(void **state)
{
	int64_t browser = post_one("1", IDENTITY_ANONYMOUS, "x"),
		order = post_one("2", IDENTITY_ORDER, "shop/1"),
		parcel = post_one("3", IDENTITY_PARCEL, "shop/T1");
	struct post p = { .done = 0 };
	struct shop_event *e;

	(void)state;
	post_also(post_as(&p, "4", IDENTITY_ORDER, "shop/1"), IDENTITY_PARCEL, "shop/T1");
	e = post_as(&p, "5", IDENTITY_EMAIL, "a@b.c");
	post_also(e, IDENTITY_ORDER, "shop/2");
	post_as(&p, "6", IDENTITY_ORDER, "shop/2"); /* made together with the one before */
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(card_of(parcel)->merged_into, order);
	assert_int_equal(p.events[1].customer, p.events[2].customer);
	struct post q = { .done = 0 };

	post_also(post_as(&q, "7", IDENTITY_ANONYMOUS, "x"), IDENTITY_ORDER, "shop/2");
	post_send(&q);
	pump();
	assert_int_equal(card_of(browser)->merged_into, p.events[1].customer);
	assert_int_equal(q.events[0].customer, p.events[1].customer);
}

/* ---- orders of customers whom the cache knows ---- */

static int64_t owner_of(enum identity_kind kind, const char *value)
{
	for (size_t i = 0; i < mem_tables(store)->n_identities; i++)
		if (mem_tables(store)->identities[i]->kind == kind &&
			span_is(mem_tables(store)->identities[i]->value, value))
			return mem_tables(store)->identities[i]->customer;
	return 0;
}

/* Another engine meets the key and makes a card for it, or gives it to this one. */
static int64_t elsewhere(enum identity_kind kind, const char *value, int64_t attach)
{
	struct arena a = { 0 };
	struct store_identity v = { .base = SPAN("shop"),
		.kind = kind,
		.value = span_of(value),
		.make = true,
		.attach = attach };

	store->ops->identify(store, 2, &v, 1, &a, set_done, NULL);
	mem_turn(store);
	arena_fini(&a);
	return v.customer;
}

/* Posts an event of this customer that names this order. */
static void post_order(struct post *p, const char *id, const char *customer, const char *order)
{
	post_also(post_as(p, id, IDENTITY_ID, customer), IDENTITY_ORDER, order);
}

/* It is claimed by the batch; whoever names only the order comes behind it. */
static void test_a_new_order_needs_no_question(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .done = 0 };

	(void)state;
	mem_fail_next(store, MEM_IDENTIFY, STORE_REFUSED, false);
	post_order(&p, "2", "anna", "shop/9");
	post_as(&p, "3", IDENTITY_ORDER, "shop/9");
	post_order(&p, "4", "anna", "shop/9");
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(owner_of(IDENTITY_ORDER, "shop/9"), anna);
	assert_true(p.events[0].seq < p.events[1].seq && p.events[1].seq < p.events[2].seq);
	all_events_are_of(anna);
	assert_int_equal(post_one("5", IDENTITY_ORDER, "shop/9"), anna);
}

static void test_an_order_that_came_without_its_customer_is_joined(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		order = elsewhere(IDENTITY_ORDER, "shop/9", 0);
	struct post p = { .done = 0 };

	(void)state;
	post_order(&p, "2", "anna", "shop/9");
	post_as(&p, "3", IDENTITY_ID, "anna");
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(card_of(order)->merged_into, anna);
	assert_int_equal(owner_of(IDENTITY_ORDER, "shop/9"), anna);
	assert_true(p.events[0].seq < p.events[1].seq);
	assert_int_equal(mem_tables(store)->n_events, 3);
}

/* Two engines hear of a new address at once: one of the cards must not stay beside the other. */
static void test_an_address_that_another_engine_met_is_joined(void **state)
{
	int64_t browser = post_one("1", IDENTITY_ANONYMOUS, "x"), known;
	struct post p = { .done = 0 };

	(void)state;
	mem_hold(store, browser, true);
	post_also(post_as(&p, "2", IDENTITY_EMAIL, "a@b.c"), IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	pump(); /* asked for: nobody has the address */
	known = elsewhere(IDENTITY_EMAIL, "a@b.c", 0);
	mem_hold(store, browser, false);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(p.events[0].customer, known);
	assert_int_equal(card_of(browser)->merged_into, known);
	assert_int_equal(mem_tables(store)->n_events, 2);
}

/* The browsers x and y, who are known, give one new address in one request. */
static void post_browsers(struct post *p, const char *first_id, int64_t *ret_x, int64_t *ret_y)
{
	*ret_x = post_one("1", IDENTITY_ANONYMOUS, "x");
	*ret_y = post_one("2", IDENTITY_ANONYMOUS, "y");
	post_also(post_as(p, first_id, IDENTITY_EMAIL, "a@b.c"), IDENTITY_ANONYMOUS, "x");
	post_also(post_as(p, "4", IDENTITY_EMAIL, "a@b.c"), IDENTITY_ANONYMOUS, "y");
	post_send(p);
	for (int i = 0; i < 50 && !p->done; i++, now_us += 10000)
		pump();
	assert_int_equal(p->done, 1);
}

/* Two browsers give one new address in one batch: the card that gets it takes the other over. */
static void test_an_address_that_two_browsers_give_is_one_card(void **state)
{
	struct post p = { .done = 0 };
	int64_t x, y;

	(void)state;
	post_browsers(&p, "3", &x, &y);
	assert_true(x != y);
	assert_true(card_of(x)->merged_into == y || card_of(y)->merged_into == x);
	all_events_are_of(owner_of(IDENTITY_EMAIL, "a@b.c"));
	assert_int_equal(mem_tables(store)->n_events, 4);
}

/* So it is when the first of the two came to nothing. */
static void test_a_promise_that_is_broken_holds_nobody(void **state)
{
	struct post p = { .done = 0 };
	int64_t x, y;

	(void)state;
	post_browsers(&p, "bad", &x, &y);
	assert_int_equal(p.events[0].status, EVENT_QUARANTINED);
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
	assert_int_equal(owner_of(IDENTITY_EMAIL, "a@b.c"), y);
	assert_int_equal(card_of(x)->merged_into + card_of(y)->merged_into, 0);
}

/* Nobody was made for her, because her order was promised to another, and when that is settled it is not too late. */
static void test_a_promise_that_is_kept_meanwhile_quarantines_nobody(void **state)
{
	struct post a = { .done = 0 }, p = { .done = 0 };

	(void)state;
	post_one("1", IDENTITY_ID, "anna");
	post_one("2", IDENTITY_ID, "boris");
	post_one("3", IDENTITY_ANONYMOUS, "x");
	post_also(post_as(&a, "4", IDENTITY_ID, "anna"), IDENTITY_ORDER, "shop/9");
	post_send(&a);
	mem_stall(store, 0, true);
	flow_turn(flow); /* loads it */
	post_also(post_as(&p, "5", IDENTITY_ID, "boris"), IDENTITY_ANONYMOUS, "x");
	post_also(post_as(&p, "6", IDENTITY_ID, "dora"), IDENTITY_ORDER, "shop/9");
	post_send(&p);
	flow_turn(flow);
	mem_turn(store); /* asked; two cards are to be joined first */
	mem_stall(store, 0, false);
	for (int i = 0; i < 20; i++, now_us += 10000)
		pump();
	assert_int_equal(a.done + p.done, 2);
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
}

/* The event is his who is named by the stronger key, the order's key stays the other's. */
static void test_an_order_of_another_customer_stays_his(void **state)
{
	int64_t boris = post_one("1", IDENTITY_ID, "boris"),
		anna = post_one("2", IDENTITY_ID, "anna");
	struct post p = { .done = 0 }, q = { .done = 0 };

	(void)state;
	elsewhere(IDENTITY_ORDER, "shop/9", boris);
	post_order(&p, "3", "anna", "shop/9");
	post_order(&p, "4", "boris", "shop/9");
	post_send(&p);
	for (int k = 0; k < 5; k++, now_us += 10000) /* it is promised to anna for a moment */
		pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].customer, anna);
	assert_int_equal(p.events[1].customer, boris);
	assert_int_equal(owner_of(IDENTITY_ORDER, "shop/9"), boris);
	post_order(&q, "5", "anna", "shop/9"); /* known by now */
	post_send(&q);
	pump();
	assert_int_equal(q.events[0].customer, anna);
	assert_int_equal(mem_tables(store)->n_events, 5);
	assert_int_equal(mem_tables(store)->n_customers, 2);
}

/* Two customers with one new order, in one request: its key is the first one's; the other waits to hear so. */
static void test_an_order_is_promised_once(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		boris = post_one("2", IDENTITY_ID, "boris");
	struct post p = { .done = 0 };

	(void)state;
	post_order(&p, "3", "anna", "shop/9");
	post_order(&p, "4", "boris", "shop/9");
	post_send(&p);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].customer, anna);
	assert_int_equal(p.events[1].customer, boris);
	assert_int_equal(owner_of(IDENTITY_ORDER, "shop/9"), anna);
	assert_int_equal(mem_tables(store)->n_events, 4);
}

/* What was promised by an event that came to nothing is nobody's, until the next event of his names it. */
static void test_a_promise_that_came_to_nothing_is_taken_back(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .done = 0 }, q = { .done = 0 };

	(void)state;
	post_order(&p, "bad", "anna", "shop/9");
	post_send(&p);
	pump();
	assert_int_equal(p.events[0].status, EVENT_QUARANTINED);
	assert_int_equal(owner_of(IDENTITY_ORDER, "shop/9"), 0);
	assert_true(post_one("3", IDENTITY_ORDER, "shop/9") != anna);
	post_order(&q, "4", "anna", "shop/9");
	post_send(&q);
	pump();
	assert_int_equal(q.events[0].customer, anna);
	assert_int_equal(owner_of(IDENTITY_ORDER, "shop/9"), anna);
	all_events_are_of(anna);
}

static void test_two_known_people_stay_two(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		boris = post_one("2", IDENTITY_PHONE, "+4930");
	struct post p = { .done = 0 };

	(void)state;
	post_also(post_as(&p, "3", IDENTITY_ID, "anna"), IDENTITY_PHONE, "+4930");
	post_send(&p);
	pump();
	assert_int_equal(p.events[0].customer, anna);
	assert_int_equal(card_of(anna)->merged_into + card_of(boris)->merged_into, 0);
	assert_int_equal(post_one("4", IDENTITY_PHONE, "+4930"), boris);
}

static void post_merged(struct post *p, const char *id, const char *into, const char *previous)
{
	struct shop_event *e = post_as(p, id, IDENTITY_ID, into);

	e->type = SPAN("customer.merged");
	e->previous = (struct identity){ IDENTITY_ID, span_of(previous) };
	post_send(p);
}

static void test_customer_merged_joins_two_known_people(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"), old = post_one("2", IDENTITY_ID, "old");
	struct post p = { .done = 0 }, q = { .done = 0 }, r = { .done = 0 };

	(void)state;
	mem_inbox(store, old, &shop, "message.sent", SPAN("{}"), now_us + 1000000);
	post_merged(&p, "3", "anna", "old");
	pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(card_of(old)->merged_into, anna);
	all_events_are_of(anna);
	assert_int_equal(mem_tables(store)->inbox[0]->customer, anna);
	post_merged(&q, "3", "anna", "old"); /* once more */
	pump();
	assert_int_equal(q.events[0].status, EVENT_DUPLICATE);
	post_merged(&r, "4", "anna", "nobody");
	pump();
	assert_int_equal(r.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(mem_tables(store)->n_customers, 2);
	assert_int_equal(mem_tables(store)->n_events, 4);
	assert_int_equal(post_one("5", IDENTITY_ID, "nobody"), anna);
}

/* The same key with other content is a conflict, and does nothing. */
static void test_a_conflict_joins_nothing(void **state)
{
	int64_t old = post_one("1", IDENTITY_ID, "old");
	struct post p = { .done = 0 };

	(void)state;
	post_one("2", IDENTITY_ID, "anna");
	post_merged(&p, "1", "anna", "old");
	p.events[0].hash[0] = 9; /* before anything is asked */
	pump();
	assert_int_equal(p.events[0].status, EVENT_CONFLICT);
	assert_int_equal(card_of(old)->merged_into, 0);
}

static void test_a_busy_card_holds_only_his_events(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	struct post p = { .done = 0 }, q = { .done = 0 };

	(void)state;
	mem_hold(store, browser, true);
	post_also(post_as(&p, "3", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_as(&p, "4", IDENTITY_ID, "anna"); /* behind it */
	post_as(&q, "5", IDENTITY_ID, "boris");
	post_send(&p);
	post_send(&q);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.events[0].status, EVENT_NEW);
	assert_int_equal(p.events[1].status, EVENT_NEW);
	assert_int_equal(q.events[0].status, EVENT_ACCEPTED);
	mem_hold(store, browser, false);
	assert_true(flow_next_us(flow) <= now_us + 10000);
	now_us += 10000;
	pump();
	assert_int_equal(p.done, 1);
	assert_true(p.events[0].seq < p.events[1].seq);
	assert_int_equal(card_of(browser)->merged_into, anna);
}

static void test_held_events_can_be_late(void **state)
{
	int64_t browser;
	struct post p = { .done = 0 };

	(void)state;
	post_one("1", IDENTITY_ID, "anna");
	browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	mem_hold(store, browser, true);
	post_also(post_as(&p, "3", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	pump();
	now_us += 2000000;
	pump();
	assert_int_equal(p.late, 1);
	assert_int_equal(p.done, 1);
	assert_int_equal(post_one("4", IDENTITY_ID, "anna") != browser, 1);
	assert_true(flow_is_idle(flow));
}

/* P1: a commit of a join whose answer was lost is found again, or done again. */
static void test_a_lost_join_is_repeated_harmlessly(void **state)
{
	static const enum store_end ends[] = { STORE_LOST, STORE_LOST, STORE_AGAIN };

	(void)state;
	for (int i = 0; i < 3; i++) {
		char id[4][8], anna[8], x[8];
		struct post p = { .done = 0 };
		int64_t strong, weak;

		for (int k = 0; k < 4; k++)
			snprintf(id[k], sizeof id[k], "%d-%d", i, k);
		snprintf(anna, sizeof anna, "anna%d", i);
		snprintf(x, sizeof x, "x%d", i);
		strong = post_one(id[0], IDENTITY_ID, anna);
		weak = post_one(id[1], IDENTITY_ANONYMOUS, x);
		post_also(post_as(&p, id[2], IDENTITY_ID, anna), IDENTITY_ANONYMOUS, x);
		mem_fail_next(store, MEM_SAVE, ends[i], i == 0);
		post_send(&p);
		pump();
		now_us += 200000;
		pump();
		assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
		assert_int_equal(card_of(weak)->merged_into, strong);
		assert_int_equal(card_of(weak)->identity_version, 1);
	}
	assert_int_equal(mem_tables(store)->n_events, 9);
}

/* What the database will not join goes on without; customer.merged is about nothing else. */
static void test_a_refused_join_costs_only_the_culprit(void **state)
{
	int64_t browser;
	struct post p = { .done = 0 }, q = { .done = 0 };

	(void)state;
	post_one("1", IDENTITY_ID, "anna");
	browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	post_one("3", IDENTITY_ID, "old");
	post_also(post_as(&p, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	mem_fail_next(store, MEM_SAVE, STORE_REFUSED, false);
	post_send(&p);
	pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(card_of(browser)->merged_into, 0);
	mem_fail_next(store, MEM_SAVE, STORE_REFUSED, false);
	post_merged(&q, "5", "anna", "old");
	pump();
	assert_int_equal(q.events[0].status, EVENT_QUARANTINED);
	assert_int_equal(mem_tables(store)->n_aside, 1);
}

/* A join that never comes to an end must not keep everybody waiting. */
static void test_a_join_that_is_always_lost_is_left(void **state)
{
	int64_t browser;
	struct post p = { .done = 0 }, q = { .done = 0 };

	(void)state;
	post_one("1", IDENTITY_ID, "anna");
	browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	post_also(post_as(&p, "3", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	for (int i = 0; i < 3; i++, now_us += 200000) {
		mem_fail_next(store, MEM_SAVE, STORE_LOST, false);
		pump();
		assert_int_equal(p.events[0].status, EVENT_NEW);
	}
	pump();
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(card_of(browser)->merged_into, 0);
	post_also(post_as(&q, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_send(&q); /* nor is it tried with every event */
	pump();
	assert_int_equal(q.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(card_of(browser)->merged_into, 0);
}

/* P4: what waits for the browser's card is judged before the event that joins it. */
static void test_a_join_keeps_the_order(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	struct post p = { .done = 0 };

	(void)state;
	mem_hold(store, browser, true);
	post_as(&p, "3", IDENTITY_ANONYMOUS, "x");
	post_also(post_as(&p, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_as(&p, "5", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "6", IDENTITY_ID, "anna");
	post_send(&p);
	pump();
	mem_hold(store, browser, false);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(p.events[i].status, EVENT_ACCEPTED);
		assert_true(i == 0 || p.events[i - 1].seq < p.events[i].seq);
	}
	all_events_are_of(anna);
}

/* Our own number of a card that was taken over leads to the other one; a wrong one to nobody. */
static void test_numbers_lead_through_tombstones(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"), old = post_one("2", IDENTITY_ID, "old");
	struct post p = { .done = 0 }, q = { .done = 0 };
	char number[24];

	(void)state;
	post_merged(&p, "3", "anna", "old");
	pump();
	snprintf(number, sizeof number, "%lld", (long long)old);
	assert_int_equal(post_one("4", IDENTITY_CUSTOMER, number), anna);
	post_as(&q, "5", IDENTITY_CUSTOMER, "4711");
	post_send(&q);
	pump();
	assert_int_equal(q.events[0].status, EVENT_QUARANTINED);
}

/* Another engine learns that the browser is this customer's. */
static void joined_elsewhere(const char *id, const char *customer, const char *browser)
{
	struct flow *ours = flow;
	struct judge_env env = { .shops = &shop, .n_shops = 1 };
	struct flow_host host = {
		.boot_us = host_us, .wall_us = host_us, .poke = host_poke, .turn = host_turn
	};
	struct flow_limits limits;
	struct post p = { .done = 0 };

	flow_limits_default(&limits);
	flow = flow_open(store, &env, &limits, &host);
	post_also(post_as(&p, id, IDENTITY_ID, customer), IDENTITY_ANONYMOUS, browser);
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	flow_close(flow);
	flow = ours;
}

/* P4: what waits for a card that is gone goes before what is being asked for, though its answer is the right one. */
static void test_what_waits_for_an_outdated_card_comes_first(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .done = 0 };

	(void)state;
	assert_true(post_one("2", IDENTITY_ANONYMOUS, "x") != anna);
	joined_elsewhere("3", "anna", "x");
	post_as(&p, "4", IDENTITY_ANONYMOUS, "x"); /* the cache knows the old card */
	post_also(post_as(&p, "5", IDENTITY_ANONYMOUS, "x"), IDENTITY_ORDER, "shop/9");
	post_send(&p);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	assert_true(p.events[0].seq < p.events[1].seq);
	all_events_are_of(anna);
}

/* P4: the same for events that are held, because a card that is to be joined was not to be had. */
static void test_what_comes_back_goes_before_what_is_held(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		browser = post_one("2", IDENTITY_ANONYMOUS, "x"),
		order = post_one("3", IDENTITY_ORDER, "shop/9");
	struct post p = { .done = 0 };

	(void)state;
	mem_hold(store, browser, true);
	mem_hold(store, order, true);
	post_as(&p, "4", IDENTITY_ANONYMOUS, "x");
	post_also(post_as(&p, "5", IDENTITY_ANONYMOUS, "x"), IDENTITY_ORDER, "shop/9");
	post_send(&p);
	pump();
	mem_hold(store, browser, false);
	joined_elsewhere("6", "anna", "x");
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	mem_hold(store, order, false);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	assert_true(p.events[0].seq < p.events[1].seq);
	all_events_are_of(anna);
}

/* P4: of two events of one request the first names the customer by a key that this engine does not know. */
static void test_an_unknown_key_does_not_let_later_events_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .done = 0 };

	(void)state;
	elsewhere(IDENTITY_ANONYMOUS, "x", anna);
	post_as(&p, "2", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "3", IDENTITY_ID, "anna");
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].customer, anna);
	assert_int_equal(p.events[1].customer, anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* P4: the same for two requests of one connection. */
static void test_an_unknown_key_does_not_let_later_requests_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 };

	(void)state;
	elsewhere(IDENTITY_ANONYMOUS, "x", anna);
	post_as(&p, "2", IDENTITY_ANONYMOUS, "x");
	post_as(&q, "3", IDENTITY_ID, "anna");
	post_send(&p);
	post_send(&q);
	pump();
	assert_int_equal(p.done + q.done, 2);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < q.events[0].seq);
}

/* P4: a card is not to be had for a join, and what came later names the other one by another key. */
static void test_a_join_that_waits_does_not_let_later_requests_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	int64_t browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	struct post both = { .done = 0 }, p = { .ticket.line = 7 }, q = { .ticket.line = 7 };

	(void)state;
	post_also(post_as(&both, "3", IDENTITY_ANONYMOUS, "x"), IDENTITY_ORDER, "9");
	post_send(&both); /* the order is the browser's, too */
	pump();
	mem_hold(store, anna, true);
	post_also(post_as(&p, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_as(&q, "5", IDENTITY_ORDER, "9");
	post_send(&p);
	post_send(&q);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done + q.done, 0);
	mem_hold(store, anna, false);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done + q.done, 2);
	assert_int_equal(card_of(browser)->merged_into, anna);
	assert_true(p.events[0].seq < q.events[0].seq);
}

/* P4: what is held because it shares a key with one that waits may be about anybody. */
static void test_what_was_not_asked_for_does_not_let_later_requests_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		boris = post_one("2", IDENTITY_ID, "boris");
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 };

	(void)state;
	post_one("3", IDENTITY_ANONYMOUS, "x");
	elsewhere(IDENTITY_ID, "boris too", boris);
	mem_hold(store, anna, true);
	post_also(post_as(&p, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	pump(); /* it is held: its cards are to be joined */
	post_also(post_as(&q, "5", IDENTITY_ID, "boris too"), IDENTITY_ANONYMOUS, "x");
	post_as(&q, "6", IDENTITY_ID, "boris");
	post_send(&q);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	mem_hold(store, anna, false);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done + q.done, 2);
	assert_int_equal(q.events[0].customer, boris);
	assert_int_equal(q.events[1].customer, boris);
	assert_true(q.events[0].seq < q.events[1].seq);
}

/* P5: who waits behind one that can not be had does so for half a second, and those that come later not at all. */
static void test_a_join_that_waits_holds_its_connection_for_half_a_second(void **state)
{
	int64_t browser;
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 }, r = { .ticket.line = 7 };

	(void)state;
	post_one("1", IDENTITY_ID, "anna");
	browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	post_one("3", IDENTITY_ID, "boris");
	mem_hold(store, browser, true);
	post_also(post_as(&p, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_as(&q, "5", IDENTITY_ID, "boris");
	post_send(&p);
	pass_us(100000);
	post_send(&q);
	pass_us(400000);
	assert_int_equal(q.done, 0);
	pump();
	assert_int_equal(q.done, 1);
	post_as(&r, "6", IDENTITY_ID, "boris");
	post_send(&r);
	pump();
	assert_int_equal(r.done, 1);
	assert_int_equal(p.done, 0);
	mem_hold(store, browser, false);
	now_us += 10000;
	pump();
	assert_int_equal(p.done, 1);
}

/* P4: one whose customer is to be found does not hide another before it. */
static void test_the_first_unknown_one_counts(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .ticket.line = 7 };

	(void)state;
	elsewhere(IDENTITY_ANONYMOUS, "x", anna);
	post_as(&p, "2", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "3", IDENTITY_ID, "anna");
	post_as(&p, "4", IDENTITY_ID, "boris");
	flow->due_us = now_us + 1000000; /* the other lane has nothing else to do */
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].customer, anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* P4: the cache leads to a card that another engine has joined; what came behind names the living one. */
static void test_a_card_joined_elsewhere_does_not_let_later_events_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .ticket.line = 7 };

	(void)state;
	post_one("2", IDENTITY_ANONYMOUS, "x");
	joined_elsewhere("3", "anna", "x");
	post_as(&p, "4", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "5", IDENTITY_ID, "anna");
	post_send(&p);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* Anna's card has taken over that of browser x, elsewhere; the flow has heard so of her, not of x. */
static int64_t anna_took_x_over(void)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");

	post_one("2", IDENTITY_ANONYMOUS, "x");
	joined_elsewhere("3", "anna", "x");
	post_one("4", IDENTITY_ID, "anna");
	return anna;
}

/* P4: nor while one lane has still to find so. */
static void test_a_card_that_is_being_loaded_does_not_let_later_requests_pass(void **state)
{
	int64_t anna = anna_took_x_over();
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 };

	(void)state;
	mem_stall(store, 0, true);
	post_as(&p, "5", IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	flow_turn(flow);
	post_as(&q, "6", IDENTITY_ID, "anna");
	post_send(&q);
	pump();
	now_us += 10000;
	pump();
	assert_int_equal(p.events[0].queue->lane->number, 0);
	assert_int_equal(q.done, 0);
	mem_stall(store, 0, false);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done + q.done, 2);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < q.events[0].seq);
}

/* What came by another connection has no place before it. */
static void test_a_card_that_is_being_loaded_holds_up_its_connection_only(void **state)
{
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 8 };

	(void)state;
	anna_took_x_over();
	mem_stall(store, 0, true);
	post_as(&p, "5", IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	flow_turn(flow);
	post_as(&q, "6", IDENTITY_ID, "anna");
	post_send(&q);
	pump();
	assert_int_equal(q.done, 1);
	mem_stall(store, 0, false);
	pump();
	assert_int_equal(p.done, 1);
}

/* Only what came behind it waits: other events of hers do not. */
static void test_who_waits_does_not_hold_up_his_other_events(void **state)
{
	struct post p = { .ticket.line = 7 }, other = { .ticket.line = 8 },
		    q = { .ticket.line = 7 };

	(void)state;
	anna_took_x_over();
	mem_stall(store, 0, true);
	post_as(&p, "5", IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	flow_turn(flow);
	post_as(&other, "6", IDENTITY_ID, "anna");
	post_as(&q, "7", IDENTITY_ID, "anna");
	post_send(&other);
	post_send(&q);
	pass_us(50000);
	assert_int_equal(other.done, 1);
	assert_int_equal(q.done, 0);
	mem_stall(store, 0, false);
	pass_us(50000);
	assert_int_equal(p.done + q.done, 2);
	assert_true(p.events[0].seq < q.events[0].seq);
}

/* ... and when it is not known what her card has taken over: she is named by her number. */
static void test_a_number_does_not_let_later_requests_pass(void **state)
{
	int64_t anna = anna_took_x_over();
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 };
	char number[24];

	(void)state;
	snprintf(number, sizeof number, "%lld", (long long)anna);
	mem_stall(store, 0, true);
	post_as(&p, "5", IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	flow_turn(flow);
	post_as(&q, "6", IDENTITY_CUSTOMER, number);
	post_send(&q);
	pass_us(100000);
	assert_int_equal(q.done, 0);
	mem_stall(store, 0, false);
	pass_us(50000);
	assert_int_equal(p.done + q.done, 2);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < q.events[0].seq);
}

/* Who is not to be had is another one: the list of those whom she has taken over is complete, at the second load. */
static void test_a_card_that_is_not_to_be_had_holds_up_its_own(void **state)
{
	int64_t anna = anna_took_x_over(), browser = post_one("b", IDENTITY_ANONYMOUS, "y");
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 };
	char number[24];

	(void)state;
	snprintf(number, sizeof number, "%lld", (long long)anna);
	mem_hold(store, browser, true);
	post_as(&p, "5", IDENTITY_ANONYMOUS, "y");
	post_as(&p, "6", IDENTITY_ID, "anna");
	post_send(&p);
	pump();
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
	post_as(&q, "7", IDENTITY_CUSTOMER, number);
	post_send(&q);
	pump();
	assert_int_equal(q.done, 0);
	now_us += 2000;
	pump();
	assert_int_equal(q.done, 1);
	mem_hold(store, browser, false);
	pass_us(20000);
	assert_int_equal(p.done, 1);
}

/* What waits for a card that is gone is asked for again as soon as somebody sees who has taken it over. */
static void test_a_card_tells_whom_it_has_taken_over(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna"),
		browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	struct post p = { .ticket.line = 7 };

	(void)state;
	mem_hold(store, browser, true);
	post_as(&p, "3", IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	pump();
	assert_int_equal(p.events[0].queue->id, browser);
	mem_hold(store, browser, false);
	joined_elsewhere("4", "anna", "x");
	post_one("5", IDENTITY_ID, "anna");
	assert_int_equal(p.done, 1); /* no time has passed: the pause was not over */
	all_events_are_of(anna);
}

/* Nobody waits for those who were to be had, in his own batch or in another that has been loaded. */
static void test_a_joined_card_does_not_wait_for_what_is_loaded(void **state)
{
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 }, r = { .ticket.line = 7 };
	int64_t anna = anna_took_x_over();
	char number[24];

	(void)state;
	snprintf(number, sizeof number, "%lld", (long long)anna);
	post_one("5", IDENTITY_ID, "boris");
	post_as(&p, "6", IDENTITY_ID, "boris");
	post_as(&p, "7", IDENTITY_CUSTOMER, number);
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	post_as(&q, "8", IDENTITY_ID, "boris");
	post_send(&q);
	flow_turn(flow);
	assert_true(mem_turn(store));
	assert_int_equal(flow->lanes[0].step, LANE_SAVE);
	mem_stall(store, 0, true);
	post_as(&r, "9", IDENTITY_CUSTOMER, number);
	post_send(&r);
	pump();
	assert_int_equal(r.done, 1);
	mem_stall(store, 0, false);
	pump();
	assert_int_equal(q.done, 1);
}

/* P4: however long the rules could not be read. */
static void test_a_reload_does_not_let_later_events_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .ticket.line = 7 };

	(void)state;
	elsewhere(IDENTITY_ANONYMOUS, "x", anna);
	flow->want_set = true;
	flow->set_not_before_us = now_us + 1000000; /* it did not load just now */
	post_as(&p, "2", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "3", IDENTITY_ID, "anna");
	post_send(&p);
	pump();
	now_us += 1000000;
	flow->due_us = now_us + 1000000; /* the other lane has nothing else to do */
	pump();
	assert_int_equal(p.done, 1);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* Nobody waits for MQTT's answer: its order is worth more than half a second. */
static void test_without_a_deadline_the_order_is_kept_longer(void **state)
{
	int64_t browser;
	struct post p = { .done = 0 };

	(void)state;
	post_one("1", IDENTITY_ID, "anna");
	browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	post_one("3", IDENTITY_ID, "boris");
	mem_hold(store, browser, true);
	post_also(post_as(&p, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_as(&p, "5", IDENTITY_ID, "boris");
	post_send(&p);
	p.ticket.late = NULL;
	pass_us(10000000);
	assert_int_equal(p.events[1].status, EVENT_NEW);
	pump();
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
	mem_hold(store, browser, false);
	now_us += 10000;
	pump();
	assert_int_equal(p.done, 1);
}

/* The end of that half second is an occasion to look. */
static void test_who_waits_for_an_unknown_key_is_woken(void **state)
{
	struct post p = { .ticket.line = 7 }, q = { .ticket.line = 7 };

	(void)state;
	post_one("1", IDENTITY_ID, "boris");
	post_as(&p, "2", IDENTITY_ID, "anna");
	post_as(&q, "3", IDENTITY_ID, "boris");
	post_send(&p);
	flow_turn(flow); /* asks, and is not answered */
	post_send(&q);
	flow->due_us = now_us + 1000000; /* the other lane has nothing else to do */
	flow_turn(flow);
	while (now_us < p.ticket.since_us + 500000) {
		assert_in_range(flow_next_us(flow), now_us + 1000, now_us + 50000);
		now_us += 50000;
		flow_turn(flow);
	}
	assert_int_equal(q.events[0].place, FLOW_IN_BATCH);
	assert_int_equal(p.events[0].place, FLOW_ASKED);
	pump();
	assert_int_equal(p.done + q.done, 2);
	assert_true(flow_next_us(flow) > now_us + 1000); /* and once is enough */
}

/* P4: however long the machine stood still. */
static void test_a_stall_does_not_let_later_events_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .ticket.line = 7 };

	(void)state;
	elsewhere(IDENTITY_ANONYMOUS, "x", anna);
	post_as(&p, "2", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "3", IDENTITY_ID, "anna");
	post_send(&p);
	flow->due_us = now_us + 10000000; /* the other lane has nothing else to do */
	now_us += 540000;
	flow_turn(flow); /* asks */
	now_us += 540000;
	pump();
	assert_int_equal(p.done, 1);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* Two requests of one connection: the second one's customer is another's, whose card is held. */
static int64_t held_behind(struct post *p, struct post *q)
{
	int64_t browser;

	post_one("a", IDENTITY_ID, "anna");
	browser = post_one("b", IDENTITY_ANONYMOUS, "x");
	post_one("c", IDENTITY_ID, "boris");
	mem_hold(store, browser, true);
	post_also(post_as(p, "d", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_as(q, "e", IDENTITY_ID, "boris");
	p->ticket.line = q->ticket.line = 7;
	post_send(p);
	post_send(q);
	pump();
	assert_int_equal(q->done, 0);
	return browser;
}

/* A process that stands still again and again goes on, all the same: what it lost is not counted, the rest is. */
static void test_patience_ends_in_spite_of_stalls(void **state)
{
	struct post p = { .done = 0 }, q = { .done = 0 };
	int64_t browser = held_behind(&p, &q);

	(void)state;
	p.ticket.late = NULL;
	q.ticket.late = NULL;
	p.ticket.since_us -= 9500000; /* half a second of ten is left */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(q.done, 0);
		pass_us(100000);
		now_us += 300000;
		pump();
	}
	assert_in_range(flow->lost_us, 5 * 250000, 5 * 310000);
	pass_us(50000);
	assert_int_equal(q.done, 1);
	mem_hold(store, browser, false);
	pass_us(50000);
	assert_int_equal(p.done, 1);
}

/* Who comes after a stall has lost nothing by it. */
static void test_a_stall_is_not_counted_for_who_comes_after_it(void **state)
{
	struct post p = { .done = 0 }, q = { .done = 0 };
	int64_t browser;

	(void)state;
	post_one("1", IDENTITY_ID, "boris");
	now_us += 30000000;
	browser = held_behind(&p, &q);
	assert_in_range(p.ticket.lost_us, 29000000, 30000000);
	pass_us(500000);
	assert_int_equal(q.done, 0);
	pump();
	assert_int_equal(q.done, 1);
	mem_hold(store, browser, false);
	pass_us(50000);
	assert_int_equal(p.done, 1);
}

/* Rules that take long are no stall. */
static void test_patience_ends_while_rules_run(void **state)
{
	struct post p = { .done = 0 }, q = { .done = 0 }, long_ones[5];
	int64_t browser = held_behind(&p, &q);
	static const char *const ids[] = { "long1", "long2", "long3", "long4", "long5" };

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(q.done, 0);
		long_ones[i] = (struct post){ .done = 0 };
		post_as(&long_ones[i], ids[i], IDENTITY_ID, "dora");
		post_send(&long_ones[i]);
		pass_us(20000);
		assert_int_equal(long_ones[i].done, 1);
	}
	assert_int_equal(flow->lost_us, 0);
	assert_int_equal(q.done, 1);
	mem_hold(store, browser, false);
	pass_us(50000);
	assert_int_equal(p.done, 1);
}

/* All lanes wait for the database: there is a look all the same, or a stall would not be seen. */
static void test_there_is_a_look_while_all_lanes_wait(void **state)
{
	struct post p = { .done = 0 };

	(void)state;
	for (int i = 0; i < 3; i++)
		mem_stall(store, i, true);
	post_as(&p, "1", IDENTITY_ANONYMOUS, "x");
	post_send(&p);
	pump();
	assert_int_equal(flow_next_us(flow), now_us + 50000);
	for (int i = 0; i < 3; i++)
		mem_stall(store, i, false);
	pump();
	assert_int_equal(p.done, 1);
}

/* ... also when the database's answer is the first thing it sees afterwards. */
static void test_a_stall_during_a_load_does_not_let_later_events_pass(void **state)
{
	struct post p = { .ticket.line = 7 };
	int64_t anna = anna_took_x_over();

	(void)state;
	post_as(&p, "5", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "6", IDENTITY_ID, "anna");
	post_send(&p);
	flow_turn(flow); /* loads both */
	now_us += 600000;
	assert_true(mem_turn(store));
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* P4: however long there was no database. */
static void test_an_outage_does_not_let_later_events_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post p = { .done = 0 };

	(void)state;
	elsewhere(IDENTITY_ANONYMOUS, "x", anna);
	post_as(&p, "2", IDENTITY_ANONYMOUS, "x");
	post_as(&p, "3", IDENTITY_ID, "anna");
	mem_set_up(store, false);
	post_send(&p);
	p.ticket.late = NULL; /* MQTT waits */
	pump();
	now_us += 60000000;
	pump();
	flow->due_us = now_us + 1000000; /* the other lane has nothing else to do */
	mem_set_up(store, true);
	pump();
	assert_int_equal(p.done, 1);
	all_events_are_of(anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* Of many requests of one connection each may be settled first. */
static void test_a_line_is_left_from_anywhere(void **state)
{
	struct post p[4] = { 0 };
	static const char *const who[] = { "anna", "boris", "clara", "dora" };

	(void)state;
	for (int left = 0; left < 4; left++) {
		char id[4][8];
		int64_t customer[4];

		for (int i = 0; i < 4; i++) {
			snprintf(id[i], sizeof id[i], "%d-%d", left, i);
			customer[i] = post_one(id[i], IDENTITY_ID, who[i]);
			mem_hold(store, customer[i], i != left);
		}
		for (int i = 0; i < 4; i++) {
			snprintf(id[i], sizeof id[i], "%d+%d", left, i);
			p[i] = (struct post){ .ticket.line = 7 };
			post_as(&p[i], id[i], IDENTITY_ID, who[i]);
			post_send(&p[i]);
		}
		pump();
		assert_int_equal(p[0].done + p[1].done + p[2].done + p[3].done, 1);
		assert_int_equal(p[left].done, 1);
		for (int i = 0; i < 4; i++)
			assert_ptr_equal(p[i].ticket.before,
				i == 0 || (i == 1 && left == 0)
					? NULL
					: &p[i == left + 1 ? i - 2 : i - 1].ticket);
		for (int i = 0; i < 4; i++)
			mem_hold(store, customer[i], false);
		for (int i = 0; i < 10; i++, now_us += 10000)
			pump();
		assert_int_equal(p[0].done + p[1].done + p[2].done + p[3].done, 4);
		assert_int_equal(flow->lines.n, 0);
	}
}

/* Who is to go while all others rest does not go, and holds nobody, while his event waits for one of its connection. */
static void test_a_suspect_that_waits_holds_nobody(void **state)
{
	int64_t browser;
	struct post killer = { .done = 0 }, p = { .ticket.line = 7 }, q = { .ticket.line = 7 },
		    other = { .done = 0 };

	(void)state;
	post_one("1", IDENTITY_ID, "anna");
	browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	post_one("3", IDENTITY_ID, "boris");
	post_as(&killer, "killer", IDENTITY_ID, "boris");
	post_send(&killer);
	for (int i = 0; i < 18; i++, now_us += 100000)
		pump();
	mem_hold(store, browser, true);
	post_also(post_as(&p, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_as(&q, "5", IDENTITY_ID, "boris");
	post_send(&p);
	post_send(&q);
	pass_us(300000);
	assert_int_equal(killer.late, 1);
	assert_int_equal(flow->n_suspects, 1);
	assert_int_equal(q.done, 0);
	post_as(&other, "6", IDENTITY_ID, "dora");
	post_send(&other);
	pump();
	assert_int_equal(other.done, 1);
	pass_us(300000);
	assert_int_equal(q.events[0].status, EVENT_ACCEPTED);
	mem_hold(store, browser, false);
	now_us += 10000;
	pump();
	assert_int_equal(p.done, 1);
}

/* Those who go while all others rest, and one of them is refused: that one is found, too. */
static void test_one_of_the_suspects_is_refused(void **state)
{
	struct post p = { .done = 0 };
	int64_t anna = post_one("1", IDENTITY_ID, "anna");

	(void)state;
	post_one("2", IDENTITY_ID, "boris");
	post_one("3", IDENTITY_ID, "dora");
	post_as(&p, "4", IDENTITY_ID, "anna");
	post_as(&p, "5", IDENTITY_ID, "boris");
	post_as(&p, "bad", IDENTITY_ID, "dora");
	post_send(&p);
	mem_poison(store, MEM_LOAD, anna, STORE_LOST);
	for (int i = 0; i < LANE_LOST_TWICE; i++) {
		flow_turn(flow);
		mem_turn(store);
	}
	mem_poison(store, MEM_LOAD, 0, STORE_OK);
	assert_int_equal(flow->n_suspects, 3);
	pass_us(1000000);
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].status, EVENT_ACCEPTED);
	assert_int_equal(p.events[1].status, EVENT_ACCEPTED);
	assert_int_equal(p.events[2].status, EVENT_QUARANTINED);
	assert_int_equal(flow->n_suspects, 0);
}

/* A lane waits for its share beside `one`, which is under way. */
static void wait_for_share(struct post *one, struct post *few)
{
	static struct post many[2];
	static char ids[2][16][8];

	for (int i = 0; i < 2; i++) {
		many[i] = (struct post){ .done = 0 };
		for (int k = 0; k < 16; k++) {
			snprintf(ids[i][k], 8, "%d-%d", i, k);
			post_as(&many[i], ids[i][k], IDENTITY_ID, ids[i][k]);
		}
		post_send(&many[i]);
	}
	pump();
	post_as(one, "1", IDENTITY_ID, "0-0");
	post_as(few, "2", IDENTITY_ID, "0-1");
	post_send(one);
	flow_turn(flow);
	post_send(few);
	flow_turn(flow);
	assert_int_equal(flow_next_us(flow), now_us + 5000);
}

/* ... but not when there is nothing any more. */
static void test_a_share_of_nothing_is_not_waited_for(void **state)
{
	struct post one = { .done = 0 }, few = { .done = 0 };

	(void)state;
	wait_for_share(&one, &few);
	now_us += 2000000;
	flow_turn(flow);
	assert_int_equal(few.late, 1);
	assert_true(flow_next_us(flow) > now_us + 1000);
	pump();
	assert_int_equal(one.done, 1);
}

/* ... nor when the lane got something else to do, and only the spare one is idle. */
static void test_a_share_is_not_waited_for_without_a_lane(void **state)
{
	struct post one = { .done = 0 }, few = { .done = 0 }, other = { .done = 0 };

	(void)state;
	wait_for_share(&one, &few);
	post_as(&other, "3", IDENTITY_ID, "nobody yet");
	post_send(&other);
	flow_turn(flow);
	assert_int_equal(other.events[0].place, FLOW_ASKED);
	now_us += 6000;
	flow_turn(flow);
	assert_true(flow_next_us(flow) > now_us + 1000);
	pump();
	assert_int_equal(one.done + few.done + other.done, 3);
}

/* Two events that wait for each other: one for those on the card that is gone, which came after it. */
static void test_who_came_later_is_not_waited_for(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post both = { .done = 0 }, p = { .done = 0 };

	(void)state;
	post_one("2", IDENTITY_ANONYMOUS, "x");
	post_also(post_as(&both, "3", IDENTITY_ANONYMOUS, "x"), IDENTITY_ORDER, "9");
	post_send(&both); /* the order is the browser's, too */
	pump();
	joined_elsewhere("4", "anna", "x");
	post_also(post_as(&p, "5", IDENTITY_ID, "anna's other"), IDENTITY_ANONYMOUS, "x");
	post_as(&p, "6", IDENTITY_ORDER, "9");
	post_send(&p);
	for (int i = 0; i < 5; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].customer, anna);
	assert_int_equal(p.events[1].customer, anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* P4: held for those before it on a card that is gone, it will be the living one's: what names that one waits. */
static void test_who_is_held_keeps_his_place_on_the_living_card(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	struct post both = { .done = 0 }, p = { .ticket.line = 7 };

	(void)state;
	post_one("2", IDENTITY_ANONYMOUS, "x");
	post_also(post_as(&both, "3", IDENTITY_ANONYMOUS, "x"), IDENTITY_ORDER, "9");
	post_send(&both); /* the order is the browser's, too */
	pump();
	joined_elsewhere("4", "anna", "x");
	post_as(&p, "5", IDENTITY_ORDER, "9");
	post_also(post_as(&p, "6", IDENTITY_ID, "anna's other"), IDENTITY_ANONYMOUS, "x");
	post_as(&p, "7", IDENTITY_ID, "anna");
	post_send(&p);
	for (int i = 0; i < 10; i++, now_us += 10000)
		pump();
	assert_int_equal(p.done, 1);
	all_events_are_of(anna);
	assert_true(p.events[1].seq < p.events[2].seq);
}

/* P4: after a join the cache still leads to the card that is gone, by a key that the join did not see. */
static void test_a_forgotten_key_of_a_joined_card_does_not_let_later_events_pass(void **state)
{
	int64_t anna = post_one("1", IDENTITY_ID, "anna");
	int64_t browser = post_one("2", IDENTITY_ANONYMOUS, "x");
	struct post both = { .done = 0 }, join = { .done = 0 }, p = { .done = 0 };

	(void)state;
	post_also(post_as(&both, "3", IDENTITY_ANONYMOUS, "x"), IDENTITY_ORDER, "9");
	post_send(&both); /* the order is the browser's, too */
	pump();
	post_also(post_as(&join, "4", IDENTITY_ID, "anna"), IDENTITY_ANONYMOUS, "x");
	post_send(&join);
	pump();
	assert_int_equal(card_of(browser)->merged_into, anna);
	post_as(&p, "5", IDENTITY_ORDER, "9");
	post_as(&p, "6", IDENTITY_ID, "anna");
	post_send(&p);
	pump();
	assert_int_equal(p.done, 1);
	assert_int_equal(p.events[0].customer, anna);
	assert_true(p.events[0].seq < p.events[1].seq);
}

/* P4: a card that another engine joined meanwhile: what waited for it keeps its order, whichever key it came with. */
static void test_events_of_a_stale_card_keep_their_order(void **state)
{
	struct flow *ours = flow, *other;
	struct judge_env env = { .shops = &shop, .n_shops = 1 };
	struct flow_host host = {
		.boot_us = host_us, .wall_us = host_us, .poke = host_poke, .turn = host_turn
	};
	struct flow_limits limits;

	(void)state;
	flow_limits_default(&limits);
	other = flow_open(store, &env, &limits, &host);
	for (int steps = 1; steps < 8; steps++) {
		struct post first = { .done = 0 }, join = { .done = 0 }, p[3] = { 0 };
		char id[6][16], old[16], mail[16], anna[16];
		struct shop_event *e;

		for (int i = 0; i < 6; i++)
			snprintf(id[i], sizeof id[i], "%d-%d", steps, i);
		snprintf(old, sizeof old, "old%d", steps);
		snprintf(mail, sizeof mail, "%d@example.com", steps);
		snprintf(anna, sizeof anna, "anna%d", steps);
		post_one(id[0], IDENTITY_ID, anna);
		e = post_as(&first, id[1], IDENTITY_ID, old);
		e->identity[e->n_identity++] = (struct identity){ IDENTITY_EMAIL, span_of(mail) };
		post_send(&first);
		pump();
		post_one(id[5], IDENTITY_EMAIL, mail); /* both keys are in the cache now */
		flow = other;
		post_merged(&join, id[2], anna, old);
		pump();
		assert_int_equal(join.events[0].status, EVENT_ACCEPTED);
		flow = ours;
		post_as(&p[0], id[3], IDENTITY_ID, old);
		post_as(&p[1], id[4], IDENTITY_EMAIL, mail);
		post_as(&p[2], "last", IDENTITY_ID, old)->id = span_of(join.text[0]);
		post_send(&p[0]);
		flow_turn(flow); /* its card is being loaded */
		post_send(&p[1]);
		for (int i = 0; i < steps; i++) {
			mem_turn(store);
			flow_turn(flow);
		}
		post_send(&p[2]);
		pump();
		for (int i = 0; i < 3; i++) {
			assert_int_equal(p[i].events[0].status, EVENT_ACCEPTED);
			assert_int_equal(p[i].events[0].customer, join.events[0].customer);
		}
		assert_true(p[0].events[0].seq < p[1].events[0].seq);
		assert_true(p[1].events[0].seq < p[2].events[0].seq);
	}
	flow_close(other);
}

#define FLOW_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_events_are_committed_and_settled_once),
		FLOW_TEST(test_one_customer_keeps_the_order_of_submission),
		FLOW_TEST(test_an_event_sent_twice_is_a_duplicate),
		FLOW_TEST(test_the_same_key_with_other_content_is_kept_aside),
		FLOW_TEST(test_who_is_busy_waits_and_nobody_else),
		FLOW_TEST(test_a_refused_batch_costs_only_the_culprit),
		FLOW_TEST(test_a_customer_that_was_cut_goes_on),
		FLOW_TEST(test_an_event_that_costs_the_connection_is_set_aside),
		FLOW_TEST(test_due_work_that_can_not_be_read_is_set_aside),
		FLOW_TEST(test_due_work_that_is_lost_when_read_is_set_aside),
		FLOW_TEST(test_due_work_that_is_lost_when_saved_is_set_aside),
		FLOW_TEST(test_an_outage_sets_nothing_aside),
		FLOW_TEST(test_an_event_that_kills_the_connection_is_set_aside),
		FLOW_TEST(test_innocent_suspects_are_soon_let_go),
		FLOW_TEST(test_an_inbox_row_that_is_refused_is_set_aside),
		FLOW_TEST(test_an_inbox_row_that_costs_the_connection_is_set_aside),
		FLOW_TEST(test_an_inbox_row_that_always_collides_is_set_aside),
		FLOW_TEST(test_nobody_wakes_up_for_nothing),
		FLOW_TEST(test_a_lost_commit_that_happened_is_accepted_once),
		FLOW_TEST(test_a_lost_commit_that_did_not_happen_is_done_again),
		FLOW_TEST(test_calls_that_fail_are_repeated),
		FLOW_TEST(test_without_a_database_tickets_are_late),
		FLOW_TEST(test_late_in_flight_is_done_after_the_commit),
		FLOW_TEST(test_quarantined_on_arrival_is_kept),
		FLOW_TEST(test_a_quarantined_one_that_can_not_be_kept_is_alone),
		FLOW_TEST(test_another_rule_set_is_read_before_the_next_batch),
		FLOW_TEST(test_inbox_rows_are_judged_when_due),
		FLOW_TEST(test_clocks_that_disagree_pause_timers_only),
		FLOW_TEST(test_who_is_ready_knows_the_time),
		FLOW_TEST(test_engines_share_the_rate_of_catching_up),
		FLOW_TEST(test_due_work_goes_on_while_it_is_saved),
		FLOW_TEST(test_there_is_a_limit_to_what_waits),
		FLOW_TEST(test_a_crowd_is_shared_out),
		FLOW_TEST(test_draining_serves_what_still_comes),
		FLOW_TEST(test_a_browser_that_becomes_known_is_taken_over),
		FLOW_TEST(test_room_follows_the_pace),
		cmocka_unit_test_setup_teardown(
			test_what_did_not_fit_is_next, setup_narrow, teardown),
		FLOW_TEST(test_orders_and_browsers_find_their_customer),
		FLOW_TEST(test_a_new_order_needs_no_question),
		FLOW_TEST(test_an_order_that_came_without_its_customer_is_joined),
		FLOW_TEST(test_an_address_that_two_browsers_give_is_one_card),
		FLOW_TEST(test_a_promise_that_is_broken_holds_nobody),
		FLOW_TEST(test_a_promise_that_is_kept_meanwhile_quarantines_nobody),
		FLOW_TEST(test_an_order_of_another_customer_stays_his),
		FLOW_TEST(test_an_address_that_another_engine_met_is_joined),
		FLOW_TEST(test_an_order_is_promised_once),
		FLOW_TEST(test_a_promise_that_came_to_nothing_is_taken_back),
		FLOW_TEST(test_two_known_people_stay_two),
		FLOW_TEST(test_customer_merged_joins_two_known_people),
		FLOW_TEST(test_a_conflict_joins_nothing),
		FLOW_TEST(test_a_busy_card_holds_only_his_events),
		FLOW_TEST(test_what_waits_for_an_outdated_card_comes_first),
		FLOW_TEST(test_what_comes_back_goes_before_what_is_held),
		FLOW_TEST(test_held_events_can_be_late),
		FLOW_TEST(test_a_lost_join_is_repeated_harmlessly),
		FLOW_TEST(test_a_refused_join_costs_only_the_culprit),
		FLOW_TEST(test_a_join_that_is_always_lost_is_left),
		FLOW_TEST(test_a_join_keeps_the_order),
		FLOW_TEST(test_numbers_lead_through_tombstones),
		FLOW_TEST(test_an_unknown_key_does_not_let_later_events_pass),
		FLOW_TEST(test_an_unknown_key_does_not_let_later_requests_pass),
		FLOW_TEST(test_a_join_that_waits_does_not_let_later_requests_pass),
		FLOW_TEST(test_what_was_not_asked_for_does_not_let_later_requests_pass),
		FLOW_TEST(test_a_join_that_waits_holds_its_connection_for_half_a_second),
		FLOW_TEST(test_the_first_unknown_one_counts),
		FLOW_TEST(test_a_card_joined_elsewhere_does_not_let_later_events_pass),
		FLOW_TEST(test_a_card_that_is_being_loaded_does_not_let_later_requests_pass),
		FLOW_TEST(test_a_card_that_is_being_loaded_holds_up_its_connection_only),
		FLOW_TEST(test_a_number_does_not_let_later_requests_pass),
		FLOW_TEST(test_a_card_that_is_not_to_be_had_holds_up_its_own),
		FLOW_TEST(test_a_card_tells_whom_it_has_taken_over),
		FLOW_TEST(test_a_joined_card_does_not_wait_for_what_is_loaded),
		FLOW_TEST(test_a_reload_does_not_let_later_events_pass),
		FLOW_TEST(test_without_a_deadline_the_order_is_kept_longer),
		FLOW_TEST(test_who_waits_for_an_unknown_key_is_woken),
		FLOW_TEST(test_a_stall_does_not_let_later_events_pass),
		FLOW_TEST(test_a_stall_during_a_load_does_not_let_later_events_pass),
		FLOW_TEST(test_patience_ends_in_spite_of_stalls),
		FLOW_TEST(test_a_stall_is_not_counted_for_who_comes_after_it),
		FLOW_TEST(test_patience_ends_while_rules_run),
		FLOW_TEST(test_there_is_a_look_while_all_lanes_wait),
		FLOW_TEST(test_who_waits_does_not_hold_up_his_other_events),
		FLOW_TEST(test_an_outage_does_not_let_later_events_pass),
		FLOW_TEST(test_a_line_is_left_from_anywhere),
		FLOW_TEST(test_a_suspect_that_waits_holds_nobody),
		FLOW_TEST(test_one_of_the_suspects_is_refused),
		FLOW_TEST(test_a_share_of_nothing_is_not_waited_for),
		FLOW_TEST(test_a_share_is_not_waited_for_without_a_lane),
		FLOW_TEST(test_who_came_later_is_not_waited_for),
		FLOW_TEST(test_who_is_held_keeps_his_place_on_the_living_card),
		FLOW_TEST(test_a_forgotten_key_of_a_joined_card_does_not_let_later_events_pass),
		FLOW_TEST(test_events_of_a_stale_card_keep_their_order),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
