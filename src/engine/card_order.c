/*
 * card_order.c: the order row that an event names, and what it makes of the card's sums.
 *
 * Every field of a row remembers the time of the event that set it (stamps), so events may come in
 * any order.  The sums on the card are never counted up by the type of an event: what the row is
 * worth before the event is taken off, what it is worth afterwards is put on.  So an order that is
 * placed twice, corrected, cancelled, refunded or all of it again counts once, by construction.  A
 * refund's total is how much of the order has been paid back in all, not one more instalment: only
 * so does the same refund told twice stay one.
 */
#include "engine/card_part.h"

#include "base/clock.h"
#include "base/json.h"
#include "engine/field.h"
#include "model/shop.h"

#include <stdio.h>
#include <string.h>

enum { ID_MOST = 128, PRODUCTS_MOST = 64 * 1024 };

/* Fields of a row that have a stamp; the names stand in order.stamps. */
enum row_field {
	ROW_STATUS,
	ROW_NUMBER,
	ROW_CURRENCY,
	ROW_PAYMENT,
	ROW_CHANNEL,
	ROW_COUPON,
	ROW_TRACKING_NUMBER,
	ROW_CARRIER,
	ROW_TRACKING_URL,
	ROW_TOTAL,
	ROW_PRODUCTS,
	ROW_DELIVERY_AT,
	ROW_DELIVERY_UNTIL,
	ROW_REFUNDED,
	ROW_CANCELLED,
	ROW_FIELDS
};
static const char *const row_names[ROW_FIELDS] = {
	[ROW_STATUS] = "status",
	[ROW_NUMBER] = "number",
	[ROW_CURRENCY] = "currency",
	[ROW_PAYMENT] = "payment",
	[ROW_CHANNEL] = "channel",
	[ROW_COUPON] = "coupon",
	[ROW_TRACKING_NUMBER] = "tracking_number",
	[ROW_CARRIER] = "carrier",
	[ROW_TRACKING_URL] = "tracking_url",
	[ROW_TOTAL] = "total",
	[ROW_PRODUCTS] = "products",
	[ROW_DELIVERY_AT] = "delivery_at",
	[ROW_DELIVERY_UNTIL] = "delivery_until",
	[ROW_REFUNDED] = "refunded",
	[ROW_CANCELLED] = "cancelled",
};

/* One order at work. */
struct row {
	struct card_work *w;
	struct order *order;
	int64_t stamp[ROW_FIELDS]; /* TIME_NONE: never set */
	bool touched;              /* a stamp moved */
};

/* What an order adds to the card. */
struct worth {
	int64_t count;
	double amount;
	int64_t day;
};

/*** stamps ***/

static void stamps_read(struct row *r)
{
	struct json_iter it;
	struct span key, value;

	for (int i = 0; i < ROW_FIELDS; i++)
		r->stamp[i] = TIME_NONE;
	if (!r->order->stamps.n)
		return;
	json_iter_init(&it, r->order->stamps);
	while (json_next(&it, &key, &value))
		for (int i = 0; i < ROW_FIELDS; i++)
			if (json_text_is(key, span_of(row_names[i]))) {
				if (!json_integer(value, &r->stamp[i]))
					r->stamp[i] = TIME_NONE;
				break;
			}
}

static void stamps_write(struct row *r)
{
	UNSET char first[BUF_USUAL];
	struct buf out = BUF_ON(first);

	if (!r->touched)
		return;
	buf_char(&out, '{');
	for (int i = 0; i < ROW_FIELDS; i++)
		if (r->stamp[i] != TIME_NONE) {
			json_put_key(&out, row_names[i]);
			buf_int(&out, r->stamp[i]);
		}
	buf_char(&out, '}');
	r->order->stamps = card_take_text(&r->w->b->arena, &out);
	r->order->changed = true;
}

/* May this event write the field?  Then it is the one that set it. */
static bool may_set(struct row *r, enum row_field field)
{
	if (r->w->at_us < r->stamp[field])
		return false;
	r->touched |= r->w->at_us != r->stamp[field];
	r->stamp[field] = r->w->at_us;
	return true;
}

/*** fields ***/

static void set_word(struct row *r, enum row_field field, struct span *to, struct span value)
{
	struct span text = field_text(value, &r->w->b->arena);

	if (!text.n || text.n > CARD_TEXT_MOST || !may_set(r, field) || span_eq(*to, text))
		return;
	*to = text;
	r->order->changed = true;
}

static void set_amount(struct row *r, enum row_field field, double *to, double amount)
{
	if (!may_set(r, field) || *to == amount)
		return;
	*to = amount;
	r->order->changed = true;
}

static void set_time(struct row *r, enum row_field field, int64_t *to, struct span value)
{
	int64_t at_us;

	if (!field_time(value, &at_us) || !may_set(r, field) || *to == at_us)
		return;
	*to = at_us;
	r->order->changed = true;
}

static void set_cancelled(struct row *r, bool cancelled)
{
	if (!may_set(r, ROW_CANCELLED) || r->order->cancelled == cancelled)
		return;
	r->order->cancelled = cancelled;
	r->order->changed = true;
}

static void set_products(struct row *r, struct span value)
{
	if (!value.p || json_kind(value) != JSON_ARRAY || value.n > PRODUCTS_MOST ||
		!may_set(r, ROW_PRODUCTS) || span_eq(r->order->products, value))
		return;
	r->order->products = value;
	r->order->changed = true;
}

/* The numbers of orders and parcels name their customer, too: the intake claims those that are keys of an event. */
static void set_tracking(struct row *r, struct span value)
{
	set_word(r, ROW_TRACKING_NUMBER, &r->order->tracking_number, value);
}

/*** status ***/

/* {"order_id":..., "previous":..., "status":...} */
static struct span status_data(struct arena *a, const struct order_status *s)
{
	UNSET char first[BUF_USUAL];
	struct buf data = BUF_ON(first);

	buf_char(&data, '{');
	json_put_key(&data, "order_id");
	json_put_text(&data, s->order_id);
	if (s->previous.n) {
		json_put_key(&data, "previous");
		json_put_text(&data, s->previous);
	}
	json_put_key(&data, "status");
	json_put_text(&data, s->status);
	buf_char(&data, '}');
	return card_take_text(a, &data);
}

/* The status moved: a line of the history, and, where `tell`, an event of its own. */
static void set_status(struct row *r, struct span status, bool tell)
{
	struct card_work *w = r->w;
	struct order_status *line;

	if (!status.n || status.n > CARD_TEXT_MOST || !may_set(r, ROW_STATUS) ||
		span_eq(r->order->status, status))
		return;
	line = arena_new(&w->b->arena, struct order_status);
	*line = (struct order_status){ .shop = r->order->shop,
		.order_id = r->order->id,
		.status = status,
		.previous = r->order->status,
		.at_us = w->at_us,
		.seq = w->e->seq };
	BATCH_PUSH(&w->b->arena, w->v->statuses, w->v->n_statuses, w->v->cap_statuses) = line;
	r->order->status = status;
	r->order->changed = true;
	if (tell)
		card_push_follow(
			w, card_follow_up(w->b, w->e, SPAN("order.status_changed"), SPAN("status"),
				   status_data(&w->b->arena, line), EVENT_EMITTED));
}

/* A status that the shop names: one that says "cancelled" cancels, any other but a refund brings
 * it back. */
static void set_named_status(struct row *r, struct span value, bool tell)
{
	struct span status = field_text(value, &r->w->b->arena);
	bool cancelled = span_is(status, "cancelled") || span_is(status, "canceled");

	if (!status.n || r->w->at_us < r->stamp[ROW_STATUS])
		return;
	if (cancelled || (r->order->cancelled && !span_is(status, "refunded")))
		set_cancelled(r, cancelled);
	set_status(r, status, tell && r->order->status.n > 0);
}

/* The word of order.paid and its like, or {NULL, 0}. */
static struct span word_of(struct span type)
{
	static const char *const words[] = { "paid", "shipped", "delivered", "cancelled",
		"refunded" };
	struct span word = { type.p + 6, type.n - 6 };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (span_is(word, words[i]))
			return word;
	return (struct span){ NULL, 0 };
}

/*** sums ***/

static struct worth worth_of(const struct order *o)
{
	struct worth w = { 0, 0, 0 };

	if (o->placed_us == TIME_NONE)
		return w;
	w.day = card_day(o->placed_us);
	if (o->cancelled)
		return w;
	w.count = 1;
	w.amount = o->refunded >= o->total ? 0 : o->total - o->refunded;
	return w;
}

/* Takes the row's old worth off the card and puts the new one on. */
static void book(struct row *r, struct worth before)
{
	struct customer *c = r->w->v->card;
	const struct order *o = r->order;
	struct worth now = worth_of(o);

	if (before.count == now.count && before.amount == now.amount &&
		(before.day == now.day || !now.count))
		return;
	c->changed |= CARD_CHANGED_ACTIVITY;
	c->orders_count += now.count - before.count;
	c->orders_total = card_money(c->orders_total + now.amount - before.amount);
	if (before.count && before.amount != 0 && before.day != now.day)
		card_spend_add(r->w, before.day, -before.amount);
	if (before.count && before.day == now.day && now.amount != before.amount)
		card_spend_add(r->w, now.day, now.amount - before.amount);
	else if ((!before.count || before.day != now.day) && now.amount != 0)
		card_spend_add(r->w, now.day, now.amount);
	if (c->orders_count <= 0) {
		c->orders_count = 0;
		c->orders_first_us = c->orders_last_us = TIME_NONE;
		c->orders_last_id = (struct span){ NULL, 0 };
	} else if (now.count) {
		if (c->orders_first_us == TIME_NONE || o->placed_us < c->orders_first_us)
			c->orders_first_us = o->placed_us;
		if (c->orders_last_us == TIME_NONE || o->placed_us >= c->orders_last_us) {
			c->orders_last_us = o->placed_us;
			c->orders_last_id = o->id;
		}
	}
}

/*** events ***/

/* One line of the order, with its order_id. */
static struct span line_data(struct arena *a, struct span order_id, struct span line)
{
	UNSET char first[BUF_USUAL];
	struct buf data = BUF_ON(first);
	struct json_iter it;
	struct span key, value;

	buf_char(&data, '{');
	json_put_key(&data, "order_id");
	json_put_text(&data, order_id);
	json_iter_init(&it, line);
	while (json_next(&it, &key, &value)) {
		if (json_text_is(key, SPAN("order_id")))
			continue;
		buf_char(&data, ',');
		buf_span(&data, key);
		buf_char(&data, ':');
		buf_span(&data, value);
	}
	buf_char(&data, '}');
	return card_take_text(a, &data);
}

/* product.bought, one per line. */
static void tell_lines(struct row *r, struct span products)
{
	struct card_work *w = r->w;
	struct json_iter it;
	struct span line;
	int n = 0;

	if (!products.p || json_kind(products) != JSON_ARRAY || w->e->import)
		return;
	json_iter_init(&it, products);
	while (n < CARD_LINES_MOST && json_next(&it, NULL, &line)) {
		char first[32];
		struct buf what = BUF_ON(first);

		if (json_kind(line) != JSON_OBJECT)
			continue;
		buf_str(&what, "bought/");
		buf_int(&what, ++n);
		card_push_follow(
			w, card_follow_up(w->b, w->e, SPAN("product.bought"), buf_as_span(&what),
				   line_data(&w->b->arena, r->order->id, line), EVENT_DERIVED));
		buf_free(&what);
	}
}

enum {
	F_ORDER_ID,
	F_TOTAL,
	F_REVENUE,
	F_NUMBER,
	F_CURRENCY,
	F_PAYMENT,
	F_CHANNEL,
	F_COUPON,
	F_STATUS,
	F_PRODUCTS,
	F_DELIVERY_AT,
	F_DELIVERY_UNTIL,
	F_TRACKING,
	F_CARRIER,
	F_TRACKING_URL,
	F_WANTED
};
static const struct span wanted[F_WANTED] = { SPAN_INIT("order_id"), SPAN_INIT("total"),
	SPAN_INIT("revenue"), SPAN_INIT("number"), SPAN_INIT("currency"), SPAN_INIT("payment"),
	SPAN_INIT("channel"), SPAN_INIT("coupon"), SPAN_INIT("status"), SPAN_INIT("products"),
	SPAN_INIT("delivery_at"), SPAN_INIT("delivery_until"), SPAN_INIT("tracking_number"),
	SPAN_INIT("carrier"), SPAN_INIT("tracking_url") };

/* Everything but status, total and products that an order.* event may say. */
static void set_details(struct row *r, const struct span *f)
{
	struct order *o = r->order;

	set_word(r, ROW_NUMBER, &o->number, f[F_NUMBER]);
	set_word(r, ROW_CURRENCY, &o->currency, f[F_CURRENCY]);
	set_word(r, ROW_PAYMENT, &o->payment, f[F_PAYMENT]);
	set_word(r, ROW_CHANNEL, &o->channel, f[F_CHANNEL]);
	set_word(r, ROW_COUPON, &o->coupon, f[F_COUPON]);
	set_word(r, ROW_CARRIER, &o->carrier, f[F_CARRIER]);
	set_word(r, ROW_TRACKING_URL, &o->tracking_url, f[F_TRACKING_URL]);
	set_time(r, ROW_DELIVERY_AT, &o->delivery_us, f[F_DELIVERY_AT]);
	set_time(r, ROW_DELIVERY_UNTIL, &o->delivery_until_us, f[F_DELIVERY_UNTIL]);
	set_tracking(r, f[F_TRACKING]);
}

/* What the order costs. */
static void set_total(struct row *r, const struct span *f)
{
	double total;

	if ((field_number(f[F_TOTAL], &total) || field_number(f[F_REVENUE], &total)) && total >= 0)
		set_amount(r, ROW_TOTAL, &r->order->total, total);
}

/* order.placed: now it counts. */
static void place(struct row *r, const struct span *f)
{
	struct order *o = r->order;
	bool is_first = o->placed_us == TIME_NONE;

	if (is_first || r->w->at_us < o->placed_us) {
		o->placed_us = r->w->at_us;
		o->changed = true;
	}
	if (is_first)
		tell_lines(r, f[F_PRODUCTS]);
}

/* How much of it was paid back in all: everything, where the event does not say. */
static void refund(struct row *r, const struct span *f)
{
	double amount;

	if (!field_number(f[F_TOTAL], &amount) || amount < 0)
		amount = r->order->total;
	set_amount(r, ROW_REFUNDED, &r->order->refunded, amount);
}

/* order.*: what each type may change. */
static void apply_order(struct row *r, const struct span *f)
{
	struct span type = r->w->e->type, word = word_of(type);
	bool whole = span_is(type, "order.placed") || span_is(type, "order.updated");

	set_details(r, f);
	if (whole) {
		set_total(r, f);
		set_products(r, f[F_PRODUCTS]);
		set_named_status(r, f[F_STATUS], true);
	} else if (span_is(type, "order.status_changed")) {
		set_named_status(r, f[F_STATUS], false);
	}
	if (span_is(word, "refunded"))
		refund(r, f);
	if (span_is(word, "cancelled"))
		set_cancelled(r, true);
	if (word.n)
		set_status(r, word, true);
	if (span_is(type, "order.placed"))
		place(r, f);
}

/* The visit's row of that order, or NULL. */
static struct order *find_order(const struct visit *v, const struct shop *shop, struct span id)
{
	for (size_t i = 0; i < v->n_orders; i++)
		if (span_eq(v->orders[i]->id, id) && strcmp(v->orders[i]->shop->id, shop->id) == 0)
			return v->orders[i];
	return NULL;
}

/* A row that nobody has named before. */
static struct order *make_order(struct card_work *w, struct span id)
{
	struct order *o = arena_new(&w->b->arena, struct order);

	o->shop = w->e->shop;
	o->id = id;
	o->customer = w->v->customer;
	o->placed_us = o->delivery_us = o->delivery_until_us = o->updated_us = TIME_NONE;
	o->is_new = o->changed = true;
	BATCH_PUSH(&w->b->arena, w->v->orders, w->v->n_orders, w->v->cap_orders) = o;
	return o;
}

/* Its row and its money are another customer's, whose card is not ours to change: a person may look into it. */
static void note_elsewhere(struct card_work *w, struct span id)
{
	struct visit_note *n = arena_new(&w->b->arena, struct visit_note);

	n->text = span_of(arena_printf(&w->b->arena,
		"%.*s names order %.*s, which belongs to another customer; the order was left as it is",
		SPAN_ARG(w->e->type), SPAN_ARG(id)));
	n->at_us = w->at_us;
	n->seq = w->e->seq;
	BATCH_PUSH(&w->b->arena, w->v->notes, w->v->n_notes, w->v->cap_notes) = n;
}

/* Can the event be about an order at all?  Rules' own events name one without having it as a key. */
static bool may_name_order(const struct shop_event *e)
{
	if (e->origin == EVENT_EMITTED)
		return true;
	for (unsigned i = e->n_identity; i-- > 0;)
		if (e->identity[i].kind == IDENTITY_ORDER)
			return true;
	return false;
}

/* An event that may name one does its part. */
static void apply_named(struct card_work *w)
{
	struct span f[F_WANTED], id;
	struct worth before;
	struct row r;

	field_pick(w->e->data, wanted, f, F_WANTED);
	id = field_text(f[F_ORDER_ID], &w->b->arena);
	if (!id.n || id.n > ID_MOST)
		return;
	if (w->e->order_elsewhere) {
		note_elsewhere(w, id);
		return;
	}
	r = (struct row){ .w = w, .order = find_order(w->v, w->e->shop, id) };
	if (!r.order && !event_names_order(w->e, w->e->shop, id))
		return; /* no key of the event: its row was not read */
	if (!r.order)
		r.order = make_order(w, id);
	before = worth_of(r.order);
	stamps_read(&r);
	if (span_starts(w->e->type, "order."))
		apply_order(&r, f);
	else if (span_starts(w->e->type, "parcel."))
		set_tracking(&r, f[F_TRACKING]);
	stamps_write(&r);
	if (r.order->changed &&
		(r.order->updated_us == TIME_NONE || w->at_us > r.order->updated_us))
		r.order->updated_us = w->at_us;
	book(&r, before);
}

void card_apply_order(struct card_work *w)
{
	if (may_name_order(w->e))
		apply_named(w);
}
