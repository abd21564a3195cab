/*** @module asking
 * What rules may ask about the past, in `when` and in `run`.
 *
 *	when = function(order) return count("order.placed", { within = "30d" }) >= 3 end
 *
 * Every answer is a step of the history, so a replay hears the same.  A question that nobody has answered yet
 * stops the evaluation, which is run again with the answer.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "engine/args.h"
#include "engine/ask.h"
#include "engine/bind_time.h"
#include "engine/binds.h"
#include "engine/lua_json.h"
#include "engine/script.h"
#include "engine/show.h"

#include <lauxlib.h>
#include <string.h>

enum {
	ASK_ROWS = 10000,
	ASK_LIST = 20,
	ASK_LIST_MOST = 100,
	ASK_FILTER_BYTES = 4096,
};

/* A question about past events. */
struct ask_call {
	struct eval *e;
	struct what what;
	struct what where; /* the filter that was given beside; n == 0: none */
	int64_t since_us, limit;
	struct span name; /* of the step */
};

/* So long before now, by the customer's calendar. */
static int64_t ask_ago(const struct eval *e, struct duration d)
{
	return duration_add(eval_now(e), (struct duration){ -d.days, -d.us }, e->zone);
}

/* within = "30d" or since = time. */
static int64_t ask_since(lua_State *L, struct eval *e, int arg)
{
	int64_t at_us = TIME_NONE;

	if (args_push(L, arg, "within")) {
		at_us = ask_ago(e, args_duration(L, -1, "within"));
		lua_pop(L, 1);
	}
	if (args_push(L, arg, "since")) {
		at_us = bind_time_check(L, lua_gettop(L));
		lua_pop(L, 1);
	}
	return at_us;
}

/* What the step is called: the type, when there is one only. */
static struct span ask_name(const struct what *w)
{
	return w->n == 1 && w->terms[0].kind == WHAT_EVENT ? w->terms[0].type
							   : (struct span){ NULL, 0 };
}

/* (what, { within=, since=, where=, limit= }) */
static void ask_read(lua_State *L, struct ask_call *q, const char *call, bool handles)
{
	static const char *const keys[] = { "within", "since", "where", "limit", NULL };
	struct what_term *any;
	struct err err;

	lua_settop(L, 2);
	if (!what_read(L, 1, handles, eval_arena(q->e), &q->what, &err))
		luaL_error(L, "%s: %s", call, err.text);
	q->name = ask_name(&q->what);
	q->since_us = TIME_NONE;
	q->limit = ASK_LIST;
	if (lua_isnil(L, 2))
		return;
	args_open(L, 2, call, keys);
	q->since_us = ask_since(L, q->e, 2);
	q->limit = args_int(L, 2, "limit", 1, ASK_LIST_MOST, ASK_LIST);
	any = arena_new(eval_arena(q->e), struct what_term);
	any->type = SPAN("*");
	any->filter = args_json(L, q->e, 2, "where", ASK_FILTER_BYTES);
	if (any->filter.n)
		q->where = (struct what){ any, 1 };
}

/* Does an event fit the question's filters? */
static bool ask_fits(const struct ask_call *q, struct span type, struct span data)
{
	return what_match(&q->what, type, data) >= 0 &&
	       (!q->where.n || what_match(&q->where, type, data) >= 0);
}

/* product.bought is not stored: it is read from the lines of the orders. */
static bool ask_is_virtual(const struct ask_call *q)
{
	for (unsigned i = 0; i < q->what.n; i++)
		if (span_is(q->what.terms[i].type, "product.bought"))
			return true;
	return false;
}

static bool ask_has_filter(const struct ask_call *q)
{
	for (unsigned i = 0; i < q->what.n; i++)
		if (q->what.terms[i].filter.n || q->what.terms[i].kind == WHAT_OUTCOME)
			return true;
	return q->where.n > 0;
}

/* The types to ask the store for. */
static void ask_types(const struct ask_call *q, struct query *ret)
{
	unsigned n;
	struct span *types = what_types(&q->what, eval_arena(q->e), &n);

	for (unsigned i = 0; i < n; i++)
		if (span_is(types[i], "product.bought"))
			types[i] = SPAN("order.placed");
	ret->types = types;
	ret->n_types = n;
	ret->since_us = q->since_us;
}

/* One line of an order as the event product.bought has it. */
static struct span ask_line(struct eval *e, struct span order, struct span line)
{
	struct buf *b = &e->desk->sitting->judge->scratch;
	struct json_iter it;
	struct span key, value;

	buf_clear(b);
	buf_char(b, '{');
	if (json_get(order, SPAN("order_id"), &value)) {
		json_put_key(b, "order_id");
		buf_span(b, value);
	}
	json_iter_init(&it, line);
	while (json_next(&it, &key, &value)) {
		if (json_text_is(key, SPAN("order_id")))
			continue;
		if (b->n > 1)
			buf_char(b, ',');
		buf_span(b, key);
		buf_char(b, ':');
		buf_span(b, value);
	}
	buf_char(b, '}');
	return sitting_keep(e->desk->sitting, b);
}

/* Calls back for every past event that fits, newest first, until it says no. */
typedef bool ask_event_fn(void *arg, const struct ask_event *event);

/* The lines of an order as events. */
static bool ask_each_line(
	struct ask_call *q, const struct ask_event *order, ask_event_fn *fn, void *arg)
{
	struct span products, line;
	struct json_iter it;

	if (!json_get(order->data, SPAN("products"), &products))
		return true;
	json_iter_init(&it, products);
	while (json_next(&it, NULL, &line)) {
		struct ask_event bought = *order;

		if (json_kind(line) != JSON_OBJECT)
			continue;
		bought.type = SPAN("product.bought");
		bought.data = ask_line(q->e, order->data, line);
		if (ask_fits(q, bought.type, bought.data) && !fn(arg, &bought))
			return false;
	}
	return true;
}

static void ask_each(lua_State *L, struct ask_call *q, ask_event_fn *fn, void *arg)
{
	struct query query = { .kind = QUERY_EVENTS, .limit = ASK_ROWS };
	bool is_virtual = ask_is_virtual(q);
	struct ask_event *list;
	size_t n;

	ask_types(q, &query);
	list = ask_events(q->e->desk, eval_ask(L, q->e, &query), &n);
	for (size_t i = 0; i < n; i++) {
		script_charge(L, 200 + list[i].data.n);
		if (ask_fits(q, list[i].type, list[i].data) && !fn(arg, &list[i]))
			return;
		if (is_virtual && span_is(list[i].type, "order.placed") &&
			!ask_each_line(q, &list[i], fn, arg))
			return;
	}
}

/*** count ***/

static bool ask_count_one(void *arg, const struct ask_event *event)
{
	(void)event;
	++*(int64_t *)arg;
	return true;
}

/* How many; by the store alone where there is nothing to filter. */
static int64_t ask_count(lua_State *L, struct ask_call *q)
{
	struct query query = { .kind = QUERY_COUNT };
	int64_t n = 0;
	size_t own;

	if (ask_has_filter(q) || ask_is_virtual(q)) {
		ask_each(L, q, ask_count_one, &n);
		return n;
	}
	ask_types(q, &query);
	n = eval_ask(L, q->e, &query)->count;
	ask_overlay(q->e->desk, query.types, query.n_types, q->since_us, &own);
	return n + (int64_t)own;
}

/* Records a whole number as the answer of a step. */
static void ask_record_int(
	lua_State *L, struct eval *e, const char *call, struct span name, int64_t v)
{
	struct span s;

	s.p = arena_printf(eval_arena(e), "%lld", (long long)v);
	s.n = strlen(s.p);
	eval_record(L, e, call, name, s);
}

/*** @function count(type, t)
 * How many such events the customer has had, this one included.
 * @param {what} type event type or pattern, or on(...)
 * @param {table} t within = "30d", since = time, where = filter
 * @return {number}
 */
static int l_ask_count(lua_State *L)
{
	struct eval *e = eval_of(L, "count");
	struct ask_call q = { .e = e };
	struct span result;
	int64_t n;

	ask_read(L, &q, "count", false);
	if (eval_step(L, e, "count", q.name, &result)) {
		eval_need(L, e, json_integer(result, &n));
	} else {
		n = ask_count(L, &q);
		ask_record_int(L, e, "count", q.name, n);
	}
	lua_pushinteger(L, n);
	return 1;
}

/*** events ***/

/* A list of copies that is being made. */
struct ask_list {
	struct eval *e;
	struct span *copies;
	size_t n, cap;
	int64_t most;
};

static bool ask_list_one(void *arg, const struct ask_event *event)
{
	struct ask_list *l = arg;
	struct shop_event e = { .id = event->id,
		.type = event->type,
		.data = event->data,
		.time_us = event->time_us,
		.received_us = event->time_us,
		.claimed_us = TIME_NONE,
		.seq = event->seq };

	BATCH_PUSH(eval_arena(l->e), l->copies, l->n, l->cap) =
		show_write(l->e->desk->sitting, &e, (struct span){ NULL, 0 });
	return (int64_t)l->n < l->most;
}

/* [a,b,c] */
static struct span ask_join(struct eval *e, const struct span *texts, size_t n)
{
	struct buf *b = &e->desk->sitting->judge->scratch;

	buf_clear(b);
	buf_char(b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(b, ',');
		buf_span(b, texts[i]);
	}
	buf_char(b, ']');
	return sitting_keep(e->desk->sitting, b);
}

/*** @function events(type, t)
 * Past events, newest first, this one included.
 * @param {what} type
 * @param {table} t within=, since=, where=, limit = 20
 * @return {list} of events
 */
static int l_ask_events(lua_State *L)
{
	struct eval *e = eval_of(L, "events");
	struct ask_call q = { .e = e };
	struct ask_list list = { .e = e };
	struct span result, copy;
	struct json_iter it;

	ask_read(L, &q, "events", false);
	if (!eval_step(L, e, "events", q.name, &result)) {
		list.most = q.limit;
		ask_each(L, &q, ask_list_one, &list);
		result = ask_join(e, list.copies, list.n);
		eval_record(L, e, "events", q.name, result);
	}
	eval_need(L, e, json_kind(result) == JSON_ARRAY);
	lua_newtable(L);
	json_iter_init(&it, result);
	for (lua_Integer i = 1; json_next(&it, NULL, &copy); i++) {
		show_answer(L, e->desk->sitting->judge, eval_arena(e), copy);
		lua_rawseti(L, -2, i);
	}
	return 1;
}

/*** orders ***/

static void ask_put_text(struct buf *b, const char *key, struct span value)
{
	if (!value.p)
		return;
	json_put_key(b, key);
	json_put_text(b, value);
}

static void ask_put_time(struct buf *b, const char *key, int64_t at_us)
{
	char text[32];

	if (at_us == TIME_NONE)
		return;
	json_put_key(b, key);
	json_put_text(b, span_of(clock_format_rfc3339(at_us, text)));
}

/* An order row as rules see it. */
static struct span ask_order_json(struct eval *e, const struct order *o)
{
	struct buf *b = &e->desk->sitting->judge->scratch;

	buf_clear(b);
	buf_char(b, '{');
	json_put_key(b, "cancelled");
	buf_str(b, o->cancelled ? "true" : "false");
	ask_put_text(b, "carrier", o->carrier);
	ask_put_text(b, "channel", o->channel);
	ask_put_text(b, "coupon", o->coupon);
	ask_put_text(b, "currency", o->currency);
	ask_put_time(b, "delivery_at", o->delivery_us);
	ask_put_time(b, "delivery_until", o->delivery_until_us);
	ask_put_text(b, "id", o->id);
	ask_put_text(b, "number", o->number);
	ask_put_text(b, "payment", o->payment);
	ask_put_time(b, "placed_at", o->placed_us);
	json_put_key(b, "products");
	buf_span(b, o->products.n ? o->products : SPAN("[]"));
	json_put_key(b, "refunded");
	json_put_number(b, o->refunded);
	ask_put_text(b, "status", o->status);
	ask_put_text(b, "store", span_of(o->shop ? o->shop->id : NULL));
	json_put_key(b, "total");
	json_put_number(b, o->total);
	ask_put_text(b, "tracking_number", o->tracking_number);
	ask_put_text(b, "tracking_url", o->tracking_url);
	ask_put_time(b, "updated_at", o->updated_us);
	buf_char(b, '}');
	return sitting_keep(e->desk->sitting, b);
}

/* Is the status the one, or one of those, asked for?  wanted: JSON text or list, or empty. */
static bool ask_status_fits(struct span wanted, struct span status)
{
	struct json_iter it;
	struct span one;

	if (!wanted.n || json_text_is(wanted, status))
		return true;
	if (json_kind(wanted) != JSON_ARRAY)
		return false;
	json_iter_init(&it, wanted);
	while (json_next(&it, NULL, &one))
		if (json_kind(one) == JSON_STRING && json_text_is(one, status))
			return true;
	return false;
}

/* orders { ... }: the rows as a JSON list. */
static struct span ask_orders_json(lua_State *L, struct eval *e)
{
	struct query q = { .kind = QUERY_ORDERS, .limit = ASK_ROWS };
	struct span id = args_text(L, e, 1, "id");
	struct span status = args_json(L, e, 1, "status", ASK_FILTER_BYTES);
	size_t limit = (size_t)args_int(L, 1, "limit", 1, ASK_LIST_MOST, ASK_LIST), n, n_rows = 0;
	struct span *rows = arena_array(eval_arena(e), struct span, limit);
	struct order **list;

	q.order_id = id;
	q.since_us = ask_since(L, e, 1);
	if (!status.n && !id.n)
		q.limit = limit;
	list = ask_orders(e->desk, eval_ask(L, e, &q), &n);
	for (size_t i = 0; i < n && n_rows < limit; i++)
		if (ask_status_fits(status, list[i]->status))
			rows[n_rows++] = ask_order_json(e, list[i]);
	script_charge(L, n * 500);
	return ask_join(e, rows, n_rows);
}

/*** @function orders(t)
 * The customer's orders, newest first.
 * @param {table} t id=, status = "paid" or a list, since=, within=, limit = 20
 * @return {list} of order rows
 */
static int l_ask_orders(lua_State *L)
{
	static const char *const keys[] = { "id", "status", "since", "within", "limit", NULL };
	struct eval *e = eval_of(L, "orders");
	struct span result, row;
	struct json_iter it;

	if (lua_isnoneornil(L, 1)) {
		lua_settop(L, 0);
		lua_newtable(L);
	}
	args_open(L, 1, "orders", keys);
	if (!eval_step(L, e, "orders", (struct span){ NULL, 0 }, &result)) {
		result = ask_orders_json(L, e);
		eval_record(L, e, "orders", (struct span){ NULL, 0 }, result);
	}
	eval_need(L, e, json_kind(result) == JSON_ARRAY);
	lua_newtable(L);
	json_iter_init(&it, result);
	for (lua_Integer i = 1; json_next(&it, NULL, &row); i++) {
		luajson_push(L, row, luajson_kind_order, NULL, "");
		lua_rawseti(L, -2, i);
	}
	return 1;
}

/*** happened, bought ***/

/* Looks for anything newer than the event that started the chain. */
struct ask_since {
	int64_t seq;
	bool found;
};

static bool ask_newer(void *arg, const struct ask_event *event)
{
	struct ask_since *s = arg;

	s->found = s->found || event->seq > s->seq;
	return !s->found;
}

/*** @function happened(what)
 * Has it happened since the chain started?  In `run` only.
 * @param {what} what
 * @return {boolean}
 */
static int l_ask_happened(lua_State *L)
{
	struct eval *e = eval_of_run(L, "happened");
	struct ask_call q = { .e = e };
	struct ask_since since = { .seq = e->event->seq };
	struct span result;

	lua_settop(L, 1);
	ask_read(L, &q, "happened", true);
	if (eval_step(L, e, "happened", q.name, &result)) {
		eval_need(L, e, json_kind(result) == JSON_TRUE || json_kind(result) == JSON_FALSE);
		lua_pushboolean(L, json_kind(result) == JSON_TRUE);
		return 1;
	}
	/* a late event may claim an older time than the start: the numbers decide */
	q.since_us = duration_add(e->chain->started_us, (struct duration){ .days = -1 }, e->zone);
	ask_each(L, &q, ask_newer, &since);
	eval_record(L, e, "happened", q.name, since.found ? SPAN("true") : SPAN("false"));
	lua_pushboolean(L, since.found);
	return 1;
}

/* Looks for a product among the lines of orders. */
struct ask_product {
	struct eval *e;
	struct span product;
	int64_t last_us;
};

static bool ask_is_product(void *arg, const struct ask_event *event)
{
	static const char *const names[] = { "product_id", "sku" };
	struct ask_product *p = arg;
	struct span value;

	for (size_t i = 0; i < 2; i++)
		if (json_get(event->data, span_of(names[i]), &value) &&
			span_eq(field_text(value, eval_arena(p->e)), p->product)) {
			p->last_us = event->time_us;
			return false;
		}
	return true;
}

static int64_t ask_bought(lua_State *L, struct eval *e, struct span product)
{
	static const char *const keys[] = { "within", "since", NULL };
	struct what_term bought = { .type = SPAN("product.bought") };
	struct ask_call q = { .e = e, .what = { &bought, 1 }, .since_us = TIME_NONE };
	struct ask_product search = { e, product, TIME_NONE };

	if (!lua_isnoneornil(L, 2)) {
		args_open(L, 2, "bought", keys);
		q.since_us = ask_since(L, e, 2);
	}
	ask_each(L, &q, ask_is_product, &search);
	return search.last_us;
}

/*** @function bought(product, t)
 * When the customer bought a product the last time.
 * @param {string} product its product_id or sku
 * @param {table} t within = "90d"
 * @return {time} or nil
 */
static int l_ask_bought(lua_State *L)
{
	struct eval *e = eval_of(L, "bought");
	struct span product = eval_text(L, e, 1), result;
	int64_t last_us = TIME_NONE;

	if (eval_step(L, e, "bought", (struct span){ NULL, 0 }, &result)) {
		if (json_is_null(result))
			last_us = TIME_NONE;
		else
			eval_need(L, e, json_integer(result, &last_us));
	} else {
		last_us = ask_bought(L, e, product);
		if (last_us == TIME_NONE)
			eval_record(L, e, "bought", (struct span){ NULL, 0 }, SPAN("null"));
		else
			ask_record_int(L, e, "bought", (struct span){ NULL, 0 }, last_us);
	}
	bind_time_push(L, last_us);
	return 1;
}

/*** split, now, ago ***/

/* FNV-1a with a last stirring: small changes of the text move all bits. */
static uint64_t ask_hash(uint64_t h, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
	return (h ^ 0xff) * UINT64_C(1099511628211);
}

static uint64_t ask_stir(uint64_t h)
{
	h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ (h >> 33);
}

/* The share of the name on top; raises when it is none. */
static lua_Integer ask_share(lua_State *L, int table)
{
	lua_Integer share;
	int is_int;

	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "split: write names and shares, split { a = 50, b = 50 }");
	lua_pushvalue(L, -1);
	lua_rawget(L, table);
	share = lua_tointegerx(L, -1, &is_int);
	if (!is_int || share < 0 || share > 1000000)
		luaL_error(L, "split: shares are whole numbers from 0 on");
	lua_pop(L, 1);
	return share;
}

/* Which name this customer falls on; pushes it.  1: shares, 2: names, sorted. */
static struct span ask_split(lua_State *L, struct eval *e)
{
	uint64_t h = UINT64_C(14695981039346656037);
	lua_Integer sum = 0, place;
	struct span name = { NULL, 0 };
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)e->desk->visit->customer);
	h = ask_hash(ask_hash(h, span_of(id)), span_of(e->rule->name));
	for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
		sum += ask_share(L, 1);
		h = ask_hash(h, eval_text(L, e, -1));
		lua_settop(L, 2);
	}
	lua_settop(L, 2);
	if (!sum)
		luaL_error(L, "split: all shares are 0");
	place = (lua_Integer)(ask_stir(h) % (uint64_t)sum);
	for (lua_Integer i = 1; place >= 0 && lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
		place -= ask_share(L, 1);
		name = eval_text(L, e, -1);
		lua_settop(L, 2);
	}
	return name;
}

/*** @function split(shares)
 * Divides the customers: the same one always falls on the same name in this rule.
 * @param {table} shares { a = 50, b = 50 }
 * @return {string} the name
 */
static int l_ask_split(lua_State *L)
{
	struct eval *e = eval_of(L, "split");
	struct buf *b = &e->desk->sitting->judge->scratch;
	struct span result, name;

	if (!script_push_contents(L, 1))
		return luaL_argerror(L, 1, "names and shares, split { a = 50, b = 50 }");
	lua_replace(L, 1);
	lua_settop(L, 1);
	luajson_push_keys(L, 1);
	if (eval_step(L, e, "split", (struct span){ NULL, 0 }, &result)) {
		eval_need(L, e, json_kind(result) == JSON_STRING);
		name = json_text(result, eval_arena(e));
	} else {
		name = ask_split(L, e);
		buf_clear(b);
		json_put_text(b, name);
		eval_record(
			L, e, "split", (struct span){ NULL, 0 }, sitting_keep(e->desk->sitting, b));
	}
	lua_pushlstring(L, name.p, name.n);
	return 1;
}

/* A moment as the answer of a step. */
static int ask_moment(lua_State *L, struct eval *e, const char *call, int64_t at_us)
{
	struct span result;

	if (!eval_step(L, e, call, (struct span){ NULL, 0 }, &result))
		ask_record_int(L, e, call, (struct span){ NULL, 0 }, at_us);
	else
		eval_need(L, e, json_integer(result, &at_us));
	bind_time_push(L, at_us);
	return 1;
}

/*** @function now()
 * @return {time} the present, in the customer's zone
 */
static int l_ask_now(lua_State *L)
{
	struct eval *e = eval_of(L, "now");

	return ask_moment(L, e, "now", eval_now(e));
}

/*** @function ago(duration)
 * @param {string} duration "30d"
 * @return {time} so long before now
 */
static int l_ask_ago(lua_State *L)
{
	struct eval *e = eval_of(L, "ago");

	return ask_moment(L, e, "ago", ask_ago(e, args_duration(L, 1, "ago")));
}

static const luaL_Reg ask_calls[] = {
	{ "ago", l_ask_ago },
	{ "bought", l_ask_bought },
	{ "count", l_ask_count },
	{ "events", l_ask_events },
	{ "happened", l_ask_happened },
	{ "now", l_ask_now },
	{ "orders", l_ask_orders },
	{ "split", l_ask_split },
	{ NULL, NULL },
};

void bind_ask(struct script *s)
{
	script_define(s, ask_calls);
}
