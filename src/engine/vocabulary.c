/*
 * vocabulary.c: the catalogue of lua/vocabulary.lua as constant tables.
 *
 * Kept by hand and compared with the Lua file by tests/unit/vocabulary_test: a generator would
 * make every build depend on a Lua interpreter for sixty lines that change twice a year.  A type
 * is found by binary search (six comparisons), once per event; its fields, twenty at most, one
 * after the other.  A hash table would need either a state to be filled or a generator, and was
 * not faster.
 */
#include "engine/vocabulary.h"

#include <string.h>

#define TEXT(path)                                                                                 \
	{                                                                                          \
		path, FIELD_TEXT                                                                   \
	}
#define MONEY(path)                                                                                \
	{                                                                                          \
		path, FIELD_MONEY                                                                  \
	}
#define NUMBER(path)                                                                               \
	{                                                                                          \
		path, FIELD_NUMBER                                                                 \
	}
#define BOOL(path)                                                                                 \
	{                                                                                          \
		path, FIELD_BOOL                                                                   \
	}
#define TIME(path)                                                                                 \
	{                                                                                          \
		path, FIELD_TIME                                                                   \
	}
#define LIST(path)                                                                                 \
	{                                                                                          \
		path, FIELD_LIST                                                                   \
	}
#define OBJECT(path)                                                                               \
	{                                                                                          \
		path, FIELD_OBJECT                                                                 \
	}

/* clang-format off */
#define PRODUCT(at) \
	TEXT(at "product_id"), TEXT(at "sku"), TEXT(at "name"), TEXT(at "category"), \
	TEXT(at "brand"), MONEY(at "price"), TEXT(at "url"), TEXT(at "image_url")
#define LINE(at) PRODUCT(at), NUMBER(at "quantity")
#define PRODUCTS(at) LIST(at "products"), LINE(at "products.")
#define BASKET(at) PRODUCTS(at), MONEY(at "total"), TEXT(at "currency"), TEXT(at "url")
#define CONSENT \
	OBJECT("consent"), BOOL("consent.email"), BOOL("consent.sms"), BOOL("consent.call"), \
	BOOL("consent.push"), BOOL("consent.messenger")
#define SHIPMENT TEXT("tracking_number"), TEXT("carrier"), TEXT("tracking_url")
#define DELIVERY TIME("delivery_at"), TIME("delivery_until")
#define ORDER \
	TEXT("order_id"), TEXT("number"), MONEY("total"), MONEY("revenue"), MONEY("shipping"), \
	MONEY("tax"), MONEY("discount"), TEXT("coupon"), TEXT("currency"), TEXT("status"), \
	TEXT("payment"), TEXT("channel"), PRODUCTS(""), DELIVERY
#define GOODS TEXT("product_id"), TEXT("sku"), NUMBER("stock"), MONEY("price")

#define FIELDS(name, ...) \
	static const struct vocabulary_field fields_##name[] = { __VA_ARGS__ }
FIELDS(call, TEXT("from"), TEXT("to"), TEXT("manager"), NUMBER("seconds"), TEXT("recording_url"),
	TEXT("result"));
FIELDS(campaign, TEXT("name"), TEXT("url"), TEXT("referrer"), OBJECT("campaign"),
	TEXT("campaign.source"), TEXT("campaign.medium"), TEXT("campaign.name"));
FIELDS(cart, TEXT("cart_id"), BASKET(""));
FIELDS(category, TEXT("category"));
FIELDS(checkout, TEXT("checkout_id"), TEXT("order_id"), BASKET(""));
FIELDS(coupon, TEXT("coupon"), TEXT("order_id"));
FIELDS(delivery, TEXT("order_id"), DELIVERY);
FIELDS(lead, TEXT("form"), TEXT("text"), TEXT("source"));
FIELDS(line, TEXT("order_id"), LINE(""));
FIELDS(merged, TEXT("previous_id"));
FIELDS(message, TEXT("message_id"), TEXT("rule"), TEXT("channel"), TEXT("direction"), TEXT("url"),
	TEXT("link"), TEXT("code"), TEXT("address"), BOOL("permanent"));
FIELDS(opinion, TEXT("order_id"), TEXT("product_id"), TEXT("survey"), NUMBER("rating"),
	NUMBER("score"), TEXT("text"));
FIELDS(order, ORDER);
FIELDS(order_updated, ORDER, SHIPMENT, TEXT("reason"));
FIELDS(parcel, TEXT("order_id"), TEXT("tracking_number"), TEXT("place"), TIME("keep_until"));
FIELDS(payment, TEXT("order_id"), TEXT("reason"));
FIELDS(price, GOODS, MONEY("previous"));
FIELDS(product, PRODUCT(""));
FIELDS(query, TEXT("query"));
FIELDS(segment, TEXT("segment"));
FIELDS(silence, TEXT("store"), NUMBER("minutes"));
FIELDS(stage, TEXT("order_id"), SHIPMENT, TEXT("reason"), MONEY("total"));
FIELDS(status, TEXT("order_id"), TEXT("status"), TEXT("previous"));
FIELDS(stock, GOODS, NUMBER("previous"));
FIELDS(supplier, TEXT("order_id"), TEXT("supplier"), TEXT("answer"));
FIELDS(task, TEXT("task_id"), TEXT("rule"), TEXT("manager"), TEXT("result"));
FIELDS(traits, TEXT("id"), TEXT("customer_id"), TEXT("email"), TEXT("phone"), TEXT("first_name"),
	TEXT("last_name"), TEXT("name"), TEXT("birthday"), TEXT("gender"), TEXT("lang"),
	TEXT("timezone"), OBJECT("address"), TEXT("address.country"), TEXT("address.city"),
	TEXT("address.street"), TEXT("address.postal_code"), TEXT("address.state"), CONSENT);

FIELDS(common, OBJECT("customer"), TEXT("customer.id"), TEXT("customer.email"),
	TEXT("customer.phone"), TEXT("customer.anonymous_id"), TEXT("customer.name"),
	TEXT("customer.first_name"), TEXT("customer.last_name"), TEXT("customer.lang"));
FIELDS(of_card, TEXT("id"), TEXT("name"), TEXT("first_name"), TEXT("last_name"), TEXT("email"),
	TEXT("phone"), TEXT("lang"), TEXT("tz"), TEXT("city"), TEXT("birthday"), TEXT("gender"),
	LIST("tags"), OBJECT("attributes"), LIST("segments"), TEXT("manager"), OBJECT("orders"),
	NUMBER("orders.count"), MONEY("orders.total"), MONEY("orders.average"),
	TIME("orders.first_at"), TIME("orders.last_at"), TEXT("orders.last_id"), OBJECT("value"),
	MONEY("value.m6"), MONEY("value.m12"), MONEY("value.m24"), MONEY("value.life"),
	TIME("created_at"), TIME("last_seen_at"), OBJECT("cart"), TEXT("cart.cart_id"),
	BASKET("cart."), CONSENT);
FIELDS(of_columns, NUMBER("id"), TEXT("name"), TEXT("first_name"), TEXT("last_name"),
	TEXT("email"), TEXT("phone"), TEXT("lang"), TEXT("tz"), TEXT("city"), TEXT("birthday"),
	TEXT("gender"), LIST("tags"), OBJECT("attributes"), OBJECT("consent"), OBJECT("suppressed"),
	OBJECT("cart"), TEXT("manager"), TEXT("first_source"), NUMBER("orders_count"),
	MONEY("orders_total"), MONEY("orders_average"), TIME("first_order_at"),
	TIME("last_order_at"), TEXT("last_order_id"), MONEY("value_m6"), MONEY("value_m12"),
	MONEY("value_m24"), MONEY("value_life"), TIME("created_at"), TIME("last_seen_at"));
FIELDS(of_order, TEXT("id"), TEXT("store"), TEXT("number"), TEXT("status"), MONEY("total"),
	MONEY("refunded"), TEXT("currency"), TEXT("payment"), TEXT("channel"), TEXT("coupon"),
	BOOL("cancelled"), TIME("placed_at"), TIME("updated_at"), DELIVERY, SHIPMENT, PRODUCTS(""));

#define N(array) (sizeof(array) / sizeof *(array))
#define TYPE(name, fields) { name, fields_##fields, N(fields_##fields) }
static const struct vocabulary_type types[] = { /* sorted by name */
	TYPE("call.finished", call),
	TYPE("call.incoming", call),
	TYPE("call.missed", call),
	TYPE("callback.requested", lead),
	TYPE("cart.updated", cart),
	TYPE("category.viewed", category),
	TYPE("chat.message", lead),
	TYPE("checkout.started", checkout),
	TYPE("coupon.used", coupon),
	TYPE("customer.created", traits),
	{ "customer.erase_requested", NULL, 0 },
	{ "customer.export_requested", NULL, 0 },
	TYPE("customer.merged", merged),
	TYPE("customer.updated", traits),
	TYPE("form.submitted", lead),
	TYPE("lead.created", lead),
	TYPE("message.bounced", message),
	TYPE("message.clicked", message),
	TYPE("message.complained", message),
	TYPE("message.delivered", message),
	TYPE("message.failed", message),
	TYPE("message.in_doubt", message),
	TYPE("message.opened", message),
	TYPE("message.replied", message),
	TYPE("message.sent", message),
	TYPE("message.unsubscribed", message),
	TYPE("order.cancelled", stage),
	TYPE("order.delivered", stage),
	TYPE("order.delivery_scheduled", delivery),
	TYPE("order.paid", stage),
	TYPE("order.placed", order),
	TYPE("order.refunded", stage),
	TYPE("order.shipped", stage),
	TYPE("order.status_changed", status),
	TYPE("order.updated", order_updated),
	TYPE("page.viewed", campaign),
	TYPE("parcel.arrived", parcel),
	TYPE("parcel.moved", parcel),
	TYPE("parcel.returned", parcel),
	TYPE("payment.failed", payment),
	TYPE("price.changed", price),
	TYPE("product.bought", line),
	TYPE("product.searched", query),
	TYPE("product.viewed", product),
	TYPE("product.wished", product),
	TYPE("review.posted", opinion),
	TYPE("segment.entered", segment),
	TYPE("segment.left", segment),
	TYPE("stock.changed", stock),
	TYPE("store.resumed", silence),
	TYPE("store.silent", silence),
	TYPE("supplier.answered", supplier),
	TYPE("survey.answered", opinion),
	TYPE("task.cancelled", task),
	TYPE("task.created", task),
	TYPE("task.done", task),
	TYPE("task.escalated", task),
	TYPE("task.overdue", task),
	TYPE("task.taken", task),
};
/* clang-format on */

const struct vocabulary_type *vocabulary_types(size_t *ret_n)
{
	*ret_n = N(types);
	return types;
}

const struct vocabulary_type *vocabulary_find(struct span type)
{
	size_t from = 0, to = N(types);

	while (from < to) {
		size_t middle = (from + to) / 2;
		int order = span_cmp(type, span_of(types[middle].name));

		if (order == 0)
			return &types[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* Is the path this field, places in lists passed over? */
static bool path_is(struct span path, const char *field)
{
	size_t i = 0;

	while (i < path.n) {
		bool at_name = i == 0 || path.p[i - 1] == '.';

		if (at_name && path.p[i] >= '0' && path.p[i] <= '9') {
			while (i < path.n && path.p[i] != '.')
				i++;
			i += i < path.n;
			continue;
		}
		if (path.p[i] != *field)
			return false;
		i++;
		field++;
	}
	return *field == '\0';
}

/* The field among n, or NULL. */
static const struct vocabulary_field *find_field(
	const struct vocabulary_field *fields, size_t n, struct span path)
{
	if (path.n == 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (fields[i].path[0] == path.p[0] && path_is(path, fields[i].path))
			return &fields[i];
	return NULL;
}

/* Does the path end so? */
static bool ends(struct span path, const char *tail)
{
	size_t n = strlen(tail);

	return path.n > n && memcmp(path.p + path.n - n, tail, n) == 0;
}

enum field_kind vocabulary_kind(const struct vocabulary_type *t, struct span path)
{
	const struct vocabulary_field *f = t ? find_field(t->fields, t->n_fields, path) : NULL;

	if (!f)
		f = find_field(fields_common, N(fields_common), path);
	if (f)
		return f->kind;
	if (ends(path, "_id"))
		return FIELD_TEXT;
	return ends(path, "_at") || ends(path, "_until") ? FIELD_TIME : FIELD_ANY;
}

const struct vocabulary_field *vocabulary_card(size_t *ret_n)
{
	*ret_n = N(fields_of_card);
	return fields_of_card;
}

enum field_kind vocabulary_card_kind(struct span path)
{
	const struct vocabulary_field *f = find_field(fields_of_card, N(fields_of_card), path);

	return f ? f->kind : FIELD_ANY;
}

const struct vocabulary_field *vocabulary_columns(size_t *ret_n)
{
	*ret_n = N(fields_of_columns);
	return fields_of_columns;
}

const struct vocabulary_field *vocabulary_order(size_t *ret_n)
{
	*ret_n = N(fields_of_order);
	return fields_of_order;
}
