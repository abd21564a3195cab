/*
 * card_fuzz.c: a customer's life from any bytes: each line is a digit (minutes since the last event), a
 * type and its data.  Whatever happens, the card stays what the save can write: its JSON checks again, its
 * sums are finite and not below zero orders, and so are the events that follow.
 */
#include "base/clock.h"
#include "base/json.h"
#include "engine/card.h"
#include "model/shop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct shop shop = { .id = "main", .base = "main", .country = "DE" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* JSON that can be stored, or nothing. */
static void check_json(struct span s)
{
	struct json_fault fault;

	must(s.n == 0 || json_check_all(s, &fault));
}

static void check_card(const struct customer *c, int64_t now_us)
{
	double value[CARD_SPANS];

	for (int i = 0; i < CARD_JSONS; i++)
		check_json(c->json[i]);
	for (int i = 0; i < CARD_TEXTS; i++)
		must(c->text[i].n == 0 || json_is_text(c->text[i]));
	must(c->orders_count >= 0 && isfinite(c->orders_total) && c->orders_total > -0.01);
	must((c->orders_count == 0) == (c->orders_last_us == TIME_NONE));
	card_value(c, now_us, value);
	must(isfinite(value[CARD_M24]) && isfinite(card_orders_average(c)));
}

/* One line; false when it is no event. */
static bool live(struct batch *b, struct visit *v, const char *p, const char *end, int64_t *at_us)
{
	const char *brace = memchr(p, '{', (size_t)(end - p));
	struct card_follow follow = { 0 };
	struct shop_event *e = arena_new(&b->arena, struct shop_event);
	struct json_fault fault;

	if (!brace || brace - p < 2)
		return false;
	*at_us += (*p - '4') * 60 * CLOCK_SECOND_US;
	*e = (struct shop_event){ .shop = &shop,
		.id = SPAN("1"),
		.type = span_trim((struct span){ p + 1, (size_t)(brace - p) - 1 }),
		.data = { brace, (size_t)(end - brace) },
		.time_us = *at_us,
		.received_us = b->now_us,
		.seq = 1 };
	if (!json_is_text(e->type) || !json_check_all(e->data, &fault))
		return false;
	if (!card_apply(b, v, e, &follow))
		must(e->reason != NULL);
	for (size_t i = 0; i < follow.n && i < 1000; i++) {
		check_json(follow.events[i]->data);
		must(follow.events[i]->id.n <= 128);
		must(card_apply(b, v, follow.events[i], &follow));
	}
	must(follow.n < 1000);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct batch b = { .now_us = INT64_C(1730000000) * CLOCK_SECOND_US };
	struct customer card = {
		.orders_first_us = TIME_NONE, .orders_last_us = TIME_NONE, .last_seen_us = TIME_NONE
	};
	struct visit v = { .card = &card };
	struct task task = { .id = 1, .shop = &shop };
	struct task *tasks[] = { &task };
	const char *p = (const char *)data, *end = p + size;
	int64_t at_us = b.now_us;

	v.tasks = tasks;
	v.n_tasks = v.cap_tasks = 1;
	while (p < end) {
		const char *line = memchr(p, '\n', (size_t)(end - p));

		if (!line)
			line = end;
		if (live(&b, &v, p, line, &at_us))
			check_card(&card, b.now_us);
		p = line + 1;
	}
	for (size_t i = 0; i < v.n_orders; i++) {
		must(isfinite(v.orders[i]->total) && isfinite(v.orders[i]->refunded));
		check_json(v.orders[i]->products);
	}
	arena_fini(&b.arena);
	return 0;
}
