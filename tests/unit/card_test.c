/*
 * card_test.c: what events do to the card, orders, tasks and messages before rules are asked.
 */
#include "base/clock.h"
#include "base/json.h"
#include "engine/card.h"
#include "engine/field.h"
#include "model/shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY CLOCK_DAY_US
enum { TODAY = 20000 }; /* 2024-10-04 */
#define NOW (TODAY * DAY + DAY / 2)

static const struct shop shop = { .id = "main", .base = "main", .country = "DE" };

/* A visit at work. */
struct bench {
	struct batch b;
	struct visit *v;
	struct card_follow follow;
	struct shop_event *last;
	int n;
};

static int bench_open(void **state)
{
	struct bench *k = xcalloc(1, sizeof *k);

	k->b.now_us = NOW;
	k->v = arena_new(&k->b.arena, struct visit);
	k->v->customer = 7;
	k->v->card = arena_new(&k->b.arena, struct customer);
	k->v->card->id = 7;
	k->v->card->orders_first_us = k->v->card->orders_last_us = TIME_NONE;
	k->v->card->last_seen_us = TIME_NONE;
	*state = k;
	return 0;
}

static int bench_close(void **state)
{
	struct bench *k = *state;

	arena_fini(&k->b.arena);
	free(k);
	return 0;
}

/* Applies an event; identities are given as "e:a@b" or "p:+49...". */
static bool happen_at(
	struct bench *k, int64_t at_us, const char *type, const char *data, const char *identity)
{
	struct shop_event *e = arena_new(&k->b.arena, struct shop_event);
	struct json_fault fault;
	struct span order;

	assert_true(json_check_all(span_of(data), &fault));
	e->shop = &shop;
	e->id = span_of(arena_printf(&k->b.arena, "e%d", ++k->n));
	e->type = span_of(type);
	e->data = span_of(arena_strdup(&k->b.arena, data));
	e->time_us = at_us;
	e->received_us = NOW;
	e->customer = 7;
	e->seq = k->n;
	if (identity) {
		e->identity[0].kind = *identity == 'e' ? IDENTITY_EMAIL : IDENTITY_PHONE;
		e->identity[0].value = span_of(identity + 2);
		e->n_identity = 1;
	}
	if (json_get(e->data, SPAN("order_id"), &order) &&
		(order = field_text(order, &k->b.arena)).n && order.n <= 128)
		e->identity[e->n_identity++] = (struct identity){ IDENTITY_ORDER,
			span_of(arena_printf(&k->b.arena, "%s/%.*s", shop.id, SPAN_ARG(order))) };
	e->about = field_get(e->data, "customer");
	k->last = e;
	return card_apply(&k->b, k->v, e, &k->follow);
}

static bool happen(struct bench *k, const char *type, const char *data)
{
	return happen_at(k, NOW, type, data, NULL);
}

static void is_text(struct span s, const char *expected)
{
	if (!span_is(s, expected))
		fail_msg("\"%.*s\" is not \"%s\"", SPAN_ARG(s), expected);
}

/* Traits find their fields; everything else becomes an attribute. */
static void traits(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	happen_at(k, NOW, "customer.created",
		"{\"id\":5,\"email\":\"X@Example.org\",\"first_name\":\"Ada\",\"last_name\":\"L\","
		"\"lang\":\"de\",\"timezone\":\"Europe/Berlin\",\"birthday\":\"1990-02-03\","
		"\"address\":{\"city\":\"Ulm\"},\"size\":42,\"shoes\":{\"b\":1,\"a\":null}}",
		"e:x@example.org");
	is_text(c->text[CARD_EMAIL], "x@example.org");
	is_text(c->text[CARD_FIRST_NAME], "Ada");
	is_text(c->text[CARD_NAME], "Ada L");
	is_text(c->text[CARD_TZ], "Europe/Berlin");
	is_text(c->text[CARD_CITY], "Ulm");
	is_text(c->text[CARD_BIRTHDAY], "1990-02-03");
	is_text(c->json[CARD_ATTRIBUTES],
		"{\"address\":{\"city\":\"Ulm\"},\"shoes\":{\"b\":1},\"size\":42}");
	assert_int_equal(c->changed, CARD_CHANGED_PROFILE);

	c->changed = 0;
	happen(k, "customer.updated",
		"{\"size\":null,\"shoes\":{\"c\":[]},\"timezone\":\"Mars/Base\",\"gender\":7}");
	is_text(c->json[CARD_ATTRIBUTES],
		"{\"address\":{\"city\":\"Ulm\"},\"shoes\":{\"b\":1,\"c\":[]}}");
	is_text(c->text[CARD_TZ], "Europe/Berlin");
	is_text(c->text[CARD_GENDER], "7");

	c->changed = 0;
	happen(k, "customer.updated", "{\"size\":null,\"first_name\":\"Ada\",\"lang\":[]}");
	assert_int_equal(c->changed, 0);
}

/* Other events fill what is not known, and change nothing that is. */
static void contacts_are_filled(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	happen_at(k, NOW, "cart.updated", "{\"customer\":{\"name\":\"Bo\",\"email\":\"b@c.de\"}}",
		"e:b@c.de");
	is_text(c->text[CARD_EMAIL], "b@c.de");
	is_text(c->text[CARD_NAME], "Bo");
	happen_at(k, NOW, "cart.updated", "{\"customer\":{\"name\":\"Jo\"}}", "e:j@c.de");
	is_text(c->text[CARD_EMAIL], "b@c.de");
	is_text(c->text[CARD_NAME], "Bo");
	happen_at(k, NOW, "customer.updated", "{\"email\":\"j@c.de\"}", "e:j@c.de");
	is_text(c->text[CARD_EMAIL], "j@c.de");
	happen_at(k, NOW, "call.missed", "{\"from\":\"+4930123456\"}", "p:+4930123456");
	is_text(c->text[CARD_PHONE], "+4930123456");
}

/* A hidden card stays nobody. */
static void hidden_has_no_contacts(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	c->hidden = true;
	happen_at(k, NOW, "stock.changed", "{\"customer\":{\"name\":\"Bo\"},\"order_id\":\"1\"}",
		"e:b@c.de");
	assert_int_equal(c->changed, 0);
	assert_int_equal(k->v->n_orders, 0);
	assert_null(c->text[CARD_EMAIL].p);
}

/* Consent is logged when it changes, with the event as proof. */
static void consent(void **state)
{
	struct bench *k = *state;

	happen(k, "customer.updated",
		"{\"consent\":{\"email\":\"yes\",\"sms\":false,\"fax\":true,\"call\":\"?\"}}");
	is_text(k->v->card->json[CARD_CONSENT], "{\"email\":true,\"sms\":false}");
	assert_int_equal(k->v->n_consents, 2);
	is_text(k->v->consents[0]->channel, "email");
	assert_true(k->v->consents[0]->given);
	assert_int_equal(k->v->consents[0]->seq, 1);
	is_text(k->v->consents[0]->source, "customer.updated");
	happen(k, "customer.updated", "{\"consent\":{\"email\":true}}");
	assert_int_equal(k->v->n_consents, 2);
	happen(k, "customer.updated", "{\"consent\":{\"email\":0}}");
	assert_int_equal(k->v->n_consents, 3);
	is_text(k->v->card->json[CARD_CONSENT], "{\"email\":false,\"sms\":false}");
}

/* Last seen moves in steps; the first source stays. */
static void seen(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;
	int64_t minute = 60 * CLOCK_SECOND_US;

	happen_at(k, NOW, "page.viewed", "{\"campaign\":{\"source\":\"google\"}}", NULL);
	is_text(c->text[CARD_FIRST_SOURCE], "google");
	assert_true(c->last_seen_us == NOW);
	happen_at(k, NOW + 5 * minute, "page.viewed", "{\"campaign\":{\"source\":\"bing\"}}", NULL);
	assert_true(c->last_seen_us == NOW);
	is_text(c->text[CARD_FIRST_SOURCE], "google");
	happen_at(k, NOW + 6 * minute, "product.viewed", "{}", NULL);
	assert_true(c->last_seen_us == NOW + 6 * minute);
	happen_at(k, NOW + 60 * minute, "order.shipped", "{\"order_id\":1}", NULL);
	assert_true(c->last_seen_us == NOW + 6 * minute);
	happen_at(k, NOW - 60 * minute, "page.viewed", "{}", NULL);
	assert_true(c->last_seen_us == NOW + 6 * minute);
}

/* The cart is the last cart.updated, until something is bought. */
static void cart(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	happen(k, "cart.updated",
		"{\"customer\":{\"id\":1},\"total\":5,\"products\":[{\"sku\":\"a\"}]}");
	is_text(c->json[CARD_CART], "{\"total\":5,\"products\":[{\"sku\":\"a\"}]}");
	happen(k, "order.placed", "{\"order_id\":\"1\"}");
	is_text(c->json[CARD_CART], "{}");
}

/* Placed: a row, sums, one product.bought per line. */
static void order_placed(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;
	struct order *o;

	happen(k, "order.placed",
		"{\"order_id\":4711,\"number\":17,\"total\":\"12.50\",\"currency\":\"EUR\",\"status\":\"new\","
		"\"delivery_at\":\"2024-10-05T10:00:00Z\",\"products\":[{\"sku\":\"a\",\"order_id\":1},3,{\"sku\":\"b\"}]}");
	assert_int_equal(k->v->n_orders, 1);
	o = k->v->orders[0];
	assert_true(o->is_new);
	is_text(o->id, "4711");
	is_text(o->number, "17");
	is_text(o->status, "new");
	assert_true(o->total == 12.5);
	assert_true(o->placed_us == NOW && o->updated_us == NOW);
	assert_true(o->delivery_us == (TODAY + 1) * DAY + 10 * (DAY / 24));
	assert_int_equal(c->orders_count, 1);
	assert_true(c->orders_total == 12.5);
	is_text(c->orders_last_id, "4711");
	is_text(c->json[CARD_SPEND], "[[20000,12.5]]");
	assert_int_equal(k->v->n_statuses, 1);
	assert_null(k->v->statuses[0]->previous.p);
	assert_int_equal(k->follow.n, 2);
	assert_int_equal(k->follow.events[0]->origin, EVENT_DERIVED);
	is_text(k->follow.events[0]->type, "product.bought");
	is_text(k->follow.events[0]->id, "e1#bought/1");
	is_text(k->follow.events[0]->data, "{\"order_id\":\"4711\",\"sku\":\"a\"}");
	is_text(k->follow.events[1]->data, "{\"order_id\":\"4711\",\"sku\":\"b\"}");
	assert_true(card_apply(&k->b, k->v, k->follow.events[0], &k->follow));
	assert_int_equal(k->follow.n, 2);
}

/* An order of somebody else: a note for whoever looks, nothing else. */
static void order_of_another(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;
	struct shop_event e;

	happen(k, "page.viewed", "{\"order_id\":\"9\"}");
	k->v->n_orders = 0;
	e = *k->last;
	e.type = SPAN("order.placed");
	e.data = SPAN("{\"order_id\":\"9\",\"total\":10,\"products\":[{}]}");
	e.order_elsewhere = true;
	k->follow.n = 0;
	assert_true(card_apply(&k->b, k->v, &e, &k->follow));
	assert_int_equal(k->v->n_orders, 0);
	assert_int_equal(k->follow.n, 0);
	assert_int_equal(c->orders_count, 0);
	assert_int_equal(k->v->n_notes, 1);
	is_text(k->v->notes[0]->text, "order.placed names order 9, which belongs to another "
				      "customer; the order was left as it is");
}

/* Sums stay within what a number may be (Limits), so that the card can be written. */
static void sums_are_bounded(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;
	struct json_fault fault;

	happen(k, "order.placed", "{\"order_id\":\"1\",\"total\":1e15}");
	happen(k, "order.placed", "{\"order_id\":\"2\",\"total\":10.5}");
	assert_true(c->orders_total == 999999999999999);
	assert_true(json_check_all(c->json[CARD_SPEND], &fault));
}

/* The same order again corrects and never counts twice. */
static void order_placed_again(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	happen(k, "order.placed", "{\"order_id\":\"1\",\"total\":10,\"products\":[{}]}");
	happen_at(k, NOW + 1, "order.placed", "{\"order_id\":\"1\",\"total\":30,\"products\":[{}]}",
		NULL);
	assert_int_equal(c->orders_count, 1);
	assert_true(c->orders_total == 30);
	is_text(c->json[CARD_SPEND], "[[20000,30]]");
	assert_int_equal(k->follow.n, 1);
	happen_at(k, NOW - DAY, "order.updated",
		"{\"order_id\":\"1\",\"total\":5,\"currency\":\"EUR\"}", NULL);
	assert_true(c->orders_total == 30); /* older than what set the total */
	is_text(k->v->orders[0]->currency, "EUR");
	happen_at(k, NOW - DAY, "order.placed", "{\"order_id\":\"1\",\"total\":5}", NULL);
	is_text(c->json[CARD_SPEND], "[[19999,30]]");
	assert_true(c->orders_first_us == NOW - DAY);
	happen_at(k, NOW + 2, "order.updated", "{\"order_id\":\"1\",\"total\":\"a lot\"}", NULL);
	assert_true(c->orders_total == 30);
}

/* An order counts from order.placed on, whoever named it first. */
static void order_named_first_by_others(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	happen(k, "payment.failed", "{\"order_id\":\"9\",\"total\":99}");
	assert_int_equal(k->v->n_orders, 1);
	assert_true(k->v->orders[0]->total == 0);
	happen(k, "order.paid", "{\"order_id\":\"9\"}");
	assert_int_equal(c->orders_count, 0);
	is_text(k->v->orders[0]->status, "paid");
	assert_int_equal(k->follow.n, 1);
	happen_at(k, NOW - 5, "order.placed",
		"{\"order_id\":\"9\",\"total\":20,\"status\":\"new\"}", NULL);
	assert_int_equal(c->orders_count, 1);
	is_text(k->v->orders[0]->status, "paid"); /* the older event may not set it back */
	assert_int_equal(k->follow.n, 1);
}

/* Status words move the status once and say so. */
static void statuses(void **state)
{
	struct bench *k = *state;
	struct shop_event *e;

	happen(k, "order.placed", "{\"order_id\":\"1\",\"status\":\"new\"}");
	happen_at(k, NOW + 1, "order.shipped",
		"{\"order_id\":\"1\",\"tracking_number\":\"T 1\",\"carrier\":\"dhl\"}", NULL);
	assert_int_equal(k->follow.n, 1);
	e = k->follow.events[0];
	is_text(e->type, "order.status_changed");
	is_text(e->data, "{\"order_id\":\"1\",\"previous\":\"new\",\"status\":\"shipped\"}");
	is_text(e->source, "nudged:");
	is_text(e->id, "e2#status");
	assert_int_equal(e->origin, EVENT_EMITTED);
	assert_true(e->time_us == NOW + 1 && e->shop == &shop && e->customer == 7);
	assert_true(card_apply(&k->b, k->v, e, &k->follow));
	assert_int_equal(k->follow.n, 1);
	assert_int_equal(k->v->n_statuses, 2);
	is_text(k->v->statuses[1]->previous, "new");
	assert_int_equal(k->v->statuses[1]->seq, 2);
	happen_at(k, NOW + 2, "order.shipped", "{\"order_id\":\"1\"}", NULL);
	assert_int_equal(k->follow.n, 1);
	happen_at(k, NOW + 3, "order.updated", "{\"order_id\":\"1\",\"status\":\"lost\"}", NULL);
	assert_int_equal(k->follow.n, 2); /* found by comparing */
	happen_at(k, NOW + 4, "order.status_changed", "{\"order_id\":\"1\",\"status\":\"found\"}",
		NULL);
	assert_int_equal(k->follow.n, 2); /* it says so itself */
	assert_int_equal(k->v->n_statuses, 4);
	happen_at(k, NOW + 3, "order.delivered", "{\"order_id\":\"1\"}", NULL);
	is_text(k->v->orders[0]->status, "found"); /* late news */
	assert_int_equal(k->follow.n, 2);
}

/* Cancelled takes the order out, a refund its money; both are the same when told twice. */
static void cancelled_and_refunded(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	happen_at(k, NOW - DAY, "order.placed", "{\"order_id\":\"1\",\"total\":10.1}", NULL);
	happen(k, "order.placed", "{\"order_id\":\"2\",\"total\":20.2}");
	assert_true(c->orders_total == 30.3);
	for (int i = 0; i < 2; i++)
		happen_at(k, NOW + i, "order.refunded", "{\"order_id\":\"2\",\"total\":5}", NULL);
	assert_true(c->orders_total == 25.3);
	assert_int_equal(c->orders_count, 2);
	assert_true(card_orders_average(c) == 12.65);
	for (int i = 0; i < 2; i++)
		happen_at(k, NOW + i, "order.cancelled", "{\"order_id\":\"2\"}", NULL);
	assert_true(c->orders_total == 10.1);
	assert_int_equal(c->orders_count, 1);
	is_text(c->json[CARD_SPEND], "[[19999,10.1]]");
	happen_at(k, NOW + 5, "order.refunded", "{\"order_id\":\"2\"}", NULL);
	assert_int_equal(c->orders_count, 1); /* a refund does not bring it back */
	happen_at(
		k, NOW + 6, "order.updated", "{\"order_id\":\"1\",\"status\":\"cancelled\"}", NULL);
	assert_int_equal(c->orders_count, 0);
	assert_true(c->orders_total == 0);
	assert_true(c->orders_last_us == TIME_NONE);
	happen_at(k, NOW + 7, "order.updated", "{\"order_id\":\"1\",\"status\":\"open\"}", NULL);
	assert_int_equal(c->orders_count, 1);
	assert_true(c->orders_total == 10.1);
}

/* What a rule emits about an order that was not read makes no row. */
static void emitted_about_unknown_order(void **state)
{
	struct bench *k = *state;
	struct shop_event *e = arena_new(&k->b.arena, struct shop_event);

	*e = (struct shop_event){ .shop = &shop,
		.id = SPAN("x"),
		.type = SPAN("order.paid"),
		.data = SPAN("{\"order_id\":\"1\"}"),
		.time_us = NOW,
		.origin = EVENT_EMITTED };
	assert_true(card_apply(&k->b, k->v, e, &k->follow));
	assert_int_equal(k->v->n_orders, 0);
	assert_int_equal(k->follow.n, 0);
}

/* Calendar months back, and days that are too old go. */
static void values(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;
	int64_t march31 = clock_days_of_date(2024, 3, 31) * DAY;
	double value[CARD_SPANS];
	char data[64];
	const int ago[] = { 0, 100, 200, 400, 730 };

	for (size_t i = 0; i < 5; i++) {
		snprintf(data, sizeof data, "{\"order_id\":\"%zu\",\"total\":%d}", i, 1 << i);
		happen_at(k, NOW - ago[i] * DAY, "order.placed", data, NULL);
	}
	is_text(c->json[CARD_SPEND], "[[19270,16],[19600,8],[19800,4],[19900,2],[20000,1]]");
	card_value(c, NOW, value);
	assert_true(value[CARD_M6] == 3 && value[CARD_M12] == 7 && value[CARD_M24] == 31);
	assert_true(value[CARD_LIFE] == 31);
	k->b.now_us = NOW + 10 * DAY;
	happen_at(k, NOW + 10 * DAY, "order.placed", "{\"order_id\":\"n\",\"total\":32}", NULL);
	is_text(c->json[CARD_SPEND], "[[19600,8],[19800,4],[19900,2],[20000,1],[20010,32]]");
	assert_true(c->orders_total == 63);
	/* half a year before 31 August is the 29th of February */
	c->json[CARD_SPEND] = span_of(arena_printf(&k->b.arena, "[[%lld,1],[%lld,2]]",
		(long long)clock_days_of_date(2024, 2, 28),
		(long long)clock_days_of_date(2024, 2, 29)));
	card_value(c, clock_days_of_date(2024, 8, 31) * DAY, value);
	assert_true(value[CARD_M6] == 2 && value[CARD_M12] == 3);
	card_value(c, march31, value);
	assert_true(value[CARD_M6] == 3);
}

/* Messages move, and addresses that are dead or unwilling are told apart. */
static void messages(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	c->text[CARD_EMAIL] = SPAN("a@b.de");
	happen(k, "message.delivered", "{\"message_id\":\"12\",\"channel\":\"email\"}");
	happen(k, "message.exploded", "{\"message_id\":\"12\"}");
	happen(k, "message.opened", "{\"message_id\":true}");
	assert_int_equal(k->v->n_outcomes, 1);
	assert_int_equal(k->v->outcomes[0]->message, 12);
	is_text(k->v->outcomes[0]->word, "delivered");
	happen(k, "message.failed",
		"{\"message_id\":12,\"code\":\"554\",\"permanent\":true}"); /* of this message, not of him */
	happen(k, "message.bounced", "{\"message_id\":12,\"code\":\"421\"}");
	happen(k, "message.bounced",
		"{\"message_id\":12,\"code\":\"550\",\"address\":\"boss@b.de\"}");
	assert_int_equal(k->v->n_suppressions, 1);
	assert_null(c->json[CARD_SUPPRESSED].p); /* not the customer's address */
	happen(k, "message.bounced", "{\"message_id\":12,\"permanent\":true}");
	is_text(c->json[CARD_SUPPRESSED], "{\"email\":\"bounced\"}");
	is_text(k->v->suppressions[1]->address, "a@b.de");
	assert_int_equal(k->v->n_consents, 0);
	happen(k, "message.unsubscribed", "{\"message_id\":12}");
	is_text(c->json[CARD_SUPPRESSED], "{\"email\":\"bounced\"}"); /* the first reason stays */
	is_text(c->json[CARD_CONSENT], "{\"email\":false}");
	assert_int_equal(k->v->n_consents, 1);
	happen(k, "message.unsubscribed", "{\"channel\":\"sms\"}");
	is_text(c->json[CARD_CONSENT], "{\"email\":false,\"sms\":false}");
	is_text(c->json[CARD_SUPPRESSED], "{\"email\":\"bounced\",\"sms\":\"unsubscribed\"}");
}

/* P15: what is known of an address goes with it; what he said himself stays. */
static void bounces_are_of_an_address(void **state)
{
	struct bench *k = *state;
	struct customer *c = k->v->card;

	c->text[CARD_EMAIL] = SPAN("a@b.de");
	happen(k, "message.bounced", "{\"permanent\":true}");
	is_text(c->json[CARD_SUPPRESSED], "{\"email\":\"bounced\"}");
	happen_at(k, NOW, "customer.updated", "{\"email\":\"j@c.de\"}", "e:j@c.de");
	is_text(c->text[CARD_EMAIL], "j@c.de");
	is_text(c->json[CARD_SUPPRESSED], "{}");
	happen(k, "message.unsubscribed", "{}");
	is_text(c->json[CARD_SUPPRESSED], "{\"email\":\"unsubscribed\"}");
	happen(k, "message.bounced", "{\"permanent\":true}");
	is_text(c->json[CARD_SUPPRESSED], "{\"email\":\"bounced\"}");
	happen_at(k, NOW, "customer.updated", "{\"email\":\"k@c.de\"}", "e:k@c.de");
	is_text(c->json[CARD_SUPPRESSED], "{\"email\":\"unsubscribed\"}");
}

static struct task *add_task(struct bench *k, int64_t id)
{
	struct task *t = arena_new(&k->b.arena, struct task);

	t->id = id;
	t->shop = &shop;
	t->results = SPAN("[\"ok\",\"fraud\"]");
	t->deadline_us = NOW - 1;
	BATCH_PUSH(&k->b.arena, k->v->tasks, k->v->n_tasks, k->v->cap_tasks) = t;
	return t;
}

/* Legal moves are made, the others refused with a reason. */
static void tasks(void **state)
{
	struct bench *k = *state;
	struct task *t = add_task(k, 3);

	assert_true(happen(k, "task.taken", "{\"task_id\":\"3\",\"manager\":\"ann\"}"));
	assert_int_equal(t->state, TASK_TAKEN);
	is_text(t->manager, "ann");
	assert_false(happen(k, "task.taken", "{\"task_id\":\"3\",\"manager\":\"bob\"}"));
	assert_string_equal(k->last->reason, "task 3 is taken already");
	assert_false(happen(k, "task.done", "{\"task_id\":3,\"result\":\"maybe\"}"));
	assert_true(happen(k, "task.done", "{\"task_id\":3,\"result\":\"fraud\"}"));
	is_text(t->result, "fraud");
	assert_true(t->done_us == NOW && t->changed);
	assert_false(happen(k, "task.cancelled", "{\"task_id\":3}"));
	assert_false(happen(k, "task.done", "{\"task_id\":4}"));
	assert_string_equal(k->last->reason, "this customer has no task 4");
	assert_false(happen(k, "task.done", "{}"));
	assert_true(happen(k, "task.created", "{\"task_id\":5}"));
}

/* A deadline is told once, and not of what is done. */
static void deadlines(void **state)
{
	struct bench *k = *state;
	struct task *due = add_task(k, 1), *done = add_task(k, 2), *far = add_task(k, 3);

	due->due = done->due = far->due = true;
	done->state = TASK_DONE;
	far->deadline_us = NOW + 1;
	due->rule = SPAN("r");
	card_tasks_due(&k->b, k->v, &k->follow);
	card_tasks_due(&k->b, k->v, &k->follow);
	assert_int_equal(k->follow.n, 1);
	is_text(k->follow.events[0]->type, "task.overdue");
	is_text(k->follow.events[0]->id, "task/1#overdue");
	is_text(k->follow.events[0]->data, "{\"rule\":\"r\",\"task_id\":\"1\"}");
	assert_true(due->overdue && due->changed && !done->overdue && !far->overdue);
	assert_true(happen(k, "task.done", "{\"task_id\":1}")); /* late, but done */
}

/* Keys of events that follow are bounded and depend on nothing but their cause. */
static void follow_ups(void **state)
{
	struct bench *k = *state;
	char id[129];
	struct shop_event cause = { .shop = &shop, .source = SPAN("a"), .id = { id, 128 } };
	struct shop_event *e, *f;

	memset(id, 'x', sizeof id);
	e = card_follow_up(&k->b, &cause, SPAN("t"), SPAN("status"), SPAN("{}"), EVENT_EMITTED);
	f = card_follow_up(&k->b, e, SPAN("t"), SPAN("status"), SPAN("{}"), EVENT_EMITTED);
	assert_int_equal(e->id.n, 64);
	is_text(e->source, "nudged:a");
	is_text(f->source, "nudged:a");
	assert_int_equal(f->id.n, 64 + 7);
	assert_memory_equal(e->hash, f->hash, sizeof e->hash);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

/*** two cards become one ***/

static enum card_keep keep_by_name(void *arg, struct span rule)
{
	(void)arg;
	if (span_starts(rule, "restart"))
		return CARD_KEEP_NEWER;
	return span_starts(rule, "parallel") ? CARD_KEEP_BOTH : CARD_KEEP_OLDER;
}

/* A second visit of the bench's batch. */
static struct visit *another(struct bench *k)
{
	struct visit *v = arena_new(&k->b.arena, struct visit);

	v->customer = 8;
	v->card = arena_new(&k->b.arena, struct customer);
	v->card->id = 8;
	v->card->identity_version = 3;
	v->card->orders_first_us = v->card->orders_last_us = TIME_NONE;
	v->card->last_seen_us = TIME_NONE;
	v->card->created_us = k->v->card->created_us = NOW;
	return v;
}

static struct chain *run_chain(
	struct bench *k, struct visit *v, const char *rule, int64_t started_us)
{
	struct chain *c = arena_new(&k->b.arena, struct chain);

	c->id = ++k->n;
	c->customer = v->customer;
	c->rule = span_of(rule);
	c->key = SPAN("k");
	c->state = CHAIN_WAITING;
	c->started_us = started_us;
	BATCH_PUSH(&k->b.arena, v->chains, v->n_chains, v->cap_chains) = c;
	return c;
}

static void joined_cards_know_what_both_knew(void **state)
{
	struct bench *k = *state;
	struct visit *gone = another(k);
	struct customer *to = k->v->card, *from = gone->card;

	to->text[CARD_EMAIL] = SPAN("a@b.c");
	to->text[CARD_FIRST_SOURCE] = SPAN("mail");
	from->text[CARD_EMAIL] = SPAN("x@y.z");
	from->text[CARD_PHONE] = SPAN("+49301");
	from->text[CARD_FIRST_SOURCE] = SPAN("search");
	from->created_us = NOW - DAY;
	to->json[CARD_ATTRIBUTES] = SPAN("{\"a\":1,\"o\":{\"x\":1}}");
	from->json[CARD_ATTRIBUTES] = SPAN("{\"a\":2,\"b\":3,\"o\":{\"y\":2}}");
	to->json[CARD_CONSENT] = SPAN("{\"call\":false,\"email\":true}");
	from->json[CARD_CONSENT] = SPAN("{\"call\":true,\"email\":false,\"sms\":true}");
	from->json[CARD_SUPPRESSED] = SPAN("{\"email\":\"unsubscribed\"}");
	to->json[CARD_TAGS] = SPAN("[\"b\",\"vip\"]");
	from->json[CARD_TAGS] = SPAN("[\"a\",\"vip\"]");
	card_join(&k->b, k->v, gone, keep_by_name, NULL);
	is_text(to->text[CARD_EMAIL], "a@b.c");
	is_text(to->text[CARD_PHONE], "+49301");
	is_text(to->text[CARD_FIRST_SOURCE], "search");
	assert_true(to->created_us == NOW - DAY);
	is_text(to->json[CARD_ATTRIBUTES], "{\"a\":1,\"b\":3,\"o\":{\"x\":1,\"y\":2}}");
	is_text(to->json[CARD_CONSENT], "{\"call\":false,\"email\":false,\"sms\":true}");
	assert_int_equal(k->v->n_consents, 2);
	is_text(to->json[CARD_SUPPRESSED], "{\"email\":\"unsubscribed\"}");
	is_text(to->json[CARD_TAGS], "[\"a\",\"b\",\"vip\"]");
	assert_int_equal(
		to->changed, CARD_CHANGED_ACTIVITY | CARD_CHANGED_PROFILE | CARD_CHANGED_IDENTITY);
	assert_int_equal(to->merged_into, 0);
	assert_int_equal(to->identity_version, 1);
	assert_int_equal(from->merged_into, 7);
	assert_int_equal(from->identity_version, 4);
	assert_int_equal(from->text[CARD_EMAIL].n + from->json[CARD_TAGS].n, 0);
}

static void joined_cards_add_up(void **state)
{
	struct bench *k = *state;
	struct visit *gone = another(k);
	struct customer *to = k->v->card, *from = gone->card;

	to->orders_count = 2;
	to->orders_total = 30.1;
	to->orders_first_us = NOW - 5 * DAY;
	to->orders_last_us = NOW - 2 * DAY;
	to->orders_last_id = SPAN("2");
	to->json[CARD_SPEND] = SPAN("[[19990,10],[19998,20.1]]");
	to->json[CARD_CART] = SPAN("{\"old\":1}");
	to->last_seen_us = NOW - DAY;
	from->orders_count = 1;
	from->orders_total = 0.2;
	from->orders_first_us = from->orders_last_us = NOW - DAY;
	from->orders_last_id = SPAN("3");
	from->json[CARD_SPEND] = SPAN("[[19000,5],[19990,-10],[19999,0.2]]");
	from->json[CARD_CART] = SPAN("{\"new\":1}");
	from->last_seen_us = NOW;
	card_join(&k->b, k->v, gone, keep_by_name, NULL);
	assert_int_equal(to->orders_count, 3);
	assert_true(to->orders_total == 30.3);
	assert_true(to->orders_first_us == NOW - 5 * DAY && to->orders_last_us == NOW - DAY);
	is_text(to->orders_last_id, "3");
	is_text(to->json[CARD_SPEND], "[[19998,20.1],[19999,0.2]]");
	is_text(to->json[CARD_CART], "{\"new\":1}");
	assert_true(to->last_seen_us == NOW);
	assert_int_equal(from->orders_count, 0);
	is_text(from->json[CARD_CART], "{}");
	is_text(from->json[CARD_SPEND], "[]");
}

/* A cart that was emptied lately is newer than one that was filled before. */
static void the_newer_cart_is_kept(void **state)
{
	struct bench *k = *state;
	struct visit *gone = another(k);
	struct customer *to = k->v->card, *from = gone->card;

	to->json[CARD_CART] = SPAN("{}");
	to->last_seen_us = NOW;
	from->json[CARD_CART] = SPAN("{\"old\":1}");
	from->last_seen_us = NOW - DAY;
	card_join(&k->b, k->v, gone, keep_by_name, NULL);
	is_text(to->json[CARD_CART], "{}");
	assert_true(to->orders_first_us == TIME_NONE && to->last_seen_us == NOW);
}

/* P9: both go on where the mode allows, else the older (restart: the newer). */
static void chains_of_joined_cards(void **state)
{
	struct bench *k = *state;
	struct visit *gone = another(k);
	struct chain *single = run_chain(k, k->v, "single", 2),
		     *restart = run_chain(k, k->v, "restart", 2),
		     *parallel = run_chain(k, k->v, "parallel", 2),
		     *other = run_chain(k, k->v, "other", 2),
		     *queue = run_chain(k, k->v, "queued", 1);
	struct chain *single_2 = run_chain(k, gone, "single", 1),
		     *restart_2 = run_chain(k, gone, "restart", 1),
		     *parallel_2 = run_chain(k, gone, "parallel", 1),
		     *other_2 = run_chain(k, gone, "other", 1),
		     *queue_2 = run_chain(k, gone, "queued", 2),
		     *behind = run_chain(k, gone, "queued", 3);

	other_2->key = SPAN("of another order");
	behind->state = CHAIN_QUEUED;
	card_join(&k->b, k->v, gone, keep_by_name, NULL);
	assert_int_equal(single->state, CHAIN_CANCELLED);
	is_text(single->reason, "joined");
	assert_int_equal(single->change, CHAIN_ENDED);
	assert_int_equal(k->v->n_withdraw, 1);
	assert_int_equal(k->v->withdraw[0], single->id);
	assert_int_equal(single_2->change, CHAIN_SAME);
	assert_int_equal(restart->change, CHAIN_SAME);
	assert_int_equal(restart_2->state, CHAIN_CANCELLED);
	assert_int_equal(
		parallel->change + parallel_2->change + other->change + other_2->change, 0);
	assert_int_equal(queue->change, CHAIN_SAME);
	assert_int_equal(queue_2->state, CHAIN_CANCELLED);
	assert_int_equal(behind->state, CHAIN_QUEUED);
	assert_int_equal(gone->n_withdraw, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(traits),
		CASE(contacts_are_filled),
		CASE(joined_cards_know_what_both_knew),
		CASE(joined_cards_add_up),
		CASE(the_newer_cart_is_kept),
		CASE(chains_of_joined_cards),
		CASE(hidden_has_no_contacts),
		CASE(consent),
		CASE(seen),
		CASE(cart),
		CASE(order_placed),
		CASE(order_of_another),
		CASE(sums_are_bounded),
		CASE(order_placed_again),
		CASE(order_named_first_by_others),
		CASE(statuses),
		CASE(cancelled_and_refunded),
		CASE(emitted_about_unknown_order),
		CASE(values),
		CASE(messages),
		CASE(bounces_are_of_an_address),
		CASE(tasks),
		CASE(deadlines),
		CASE(follow_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
