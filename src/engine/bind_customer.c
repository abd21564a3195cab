/*** @module customer
 * The customer's card as rules read it; the second argument of `when` and `run`.
 *
 *	if customer.orders.total > 20000 and customer.consent.email then ... end
 *
 * One object for everybody: it looks at who is judged at that moment, so nothing is pushed per customer.
 * Each value is recorded, as JSON, at its first reading in each part of a history, and read back from there;
 * the live value goes the same way, so a replay can not differ by a digit.  orders, value and consent
 * are recorded field by field, lists and free objects (tags, attributes, cart) whole.
 */
#include "base/clock.h"
#include "base/json.h"
#include "base/suggest.h"
#include "engine/bind_time.h"
#include "engine/binds.h"
#include "engine/card.h"
#include "engine/eval.h"
#include "engine/lua_json.h"
#include "engine/script.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Where a value comes from. */
enum customer_source {
	FROM_PART, /* orders, value, consent: an object like this one */
	FROM_ID,
	FROM_TEXT,
	FROM_JSON,
	FROM_CONSENT,
	FROM_ORDERS_COUNT,
	FROM_ORDERS_TOTAL,
	FROM_ORDERS_AVERAGE,
	FROM_ORDERS_FIRST,
	FROM_ORDERS_LAST,
	FROM_ORDERS_LAST_ID,
	FROM_VALUE,
	FROM_CREATED,
	FROM_SEEN,
	FROM_NOWHERE, /* kept by a later room: empty */
};

enum customer_part { PART_CUSTOMER, PART_ORDERS, PART_VALUE, PART_CONSENT, PART_COUNT };
static const char *const customer_prefixes[PART_COUNT] = { "", "orders.", "value.", "consent." };

struct customer_field {
	const char *path;
	enum customer_source source;
	int which; /* card_text, card_json, card_span or customer_part */
	enum field_kind kind;
};
static const struct customer_field customer_fields[] = {
	{ "attributes", FROM_JSON, CARD_ATTRIBUTES, FIELD_OBJECT },
	{ "birthday", FROM_TEXT, CARD_BIRTHDAY, FIELD_TEXT },
	{ "cart", FROM_JSON, CARD_CART, FIELD_OBJECT },
	{ "city", FROM_TEXT, CARD_CITY, FIELD_TEXT },
	{ "consent", FROM_PART, PART_CONSENT, FIELD_OBJECT },
	{ "consent.call", FROM_CONSENT, 0, FIELD_BOOL },
	{ "consent.email", FROM_CONSENT, 0, FIELD_BOOL },
	{ "consent.messenger", FROM_CONSENT, 0, FIELD_BOOL },
	{ "consent.push", FROM_CONSENT, 0, FIELD_BOOL },
	{ "consent.sms", FROM_CONSENT, 0, FIELD_BOOL },
	{ "created_at", FROM_CREATED, 0, FIELD_TIME },
	{ "email", FROM_TEXT, CARD_EMAIL, FIELD_TEXT },
	{ "first_name", FROM_TEXT, CARD_FIRST_NAME, FIELD_TEXT },
	{ "gender", FROM_TEXT, CARD_GENDER, FIELD_TEXT },
	{ "id", FROM_ID, 0, FIELD_TEXT },
	{ "lang", FROM_TEXT, CARD_LANG, FIELD_TEXT },
	{ "last_name", FROM_TEXT, CARD_LAST_NAME, FIELD_TEXT },
	{ "last_seen_at", FROM_SEEN, 0, FIELD_TIME },
	{ "manager", FROM_TEXT, CARD_MANAGER, FIELD_TEXT },
	{ "name", FROM_TEXT, CARD_NAME, FIELD_TEXT },
	{ "orders", FROM_PART, PART_ORDERS, FIELD_OBJECT },
	{ "orders.average", FROM_ORDERS_AVERAGE, 0, FIELD_MONEY },
	{ "orders.count", FROM_ORDERS_COUNT, 0, FIELD_NUMBER },
	{ "orders.first_at", FROM_ORDERS_FIRST, 0, FIELD_TIME },
	{ "orders.last_at", FROM_ORDERS_LAST, 0, FIELD_TIME },
	{ "orders.last_id", FROM_ORDERS_LAST_ID, 0, FIELD_TEXT },
	{ "orders.total", FROM_ORDERS_TOTAL, 0, FIELD_MONEY },
	{ "phone", FROM_TEXT, CARD_PHONE, FIELD_TEXT },
	{ "segments", FROM_NOWHERE, 0, FIELD_LIST },
	{ "tags", FROM_JSON, CARD_TAGS, FIELD_LIST },
	{ "tz", FROM_TEXT, CARD_TZ, FIELD_TEXT },
	{ "value", FROM_PART, PART_VALUE, FIELD_OBJECT },
	{ "value.life", FROM_VALUE, CARD_LIFE, FIELD_MONEY },
	{ "value.m12", FROM_VALUE, CARD_M12, FIELD_MONEY },
	{ "value.m24", FROM_VALUE, CARD_M24, FIELD_MONEY },
	{ "value.m6", FROM_VALUE, CARD_M6, FIELD_MONEY },
};
enum { CUSTOMER_FIELDS = sizeof customer_fields / sizeof *customer_fields };

/*** the present value, as JSON ***/

static void customer_put_text(struct buf *b, struct span s)
{
	if (s.p)
		json_put_text(b, s);
	else
		buf_str(b, "null");
}

static void customer_put_time(struct buf *b, int64_t at_us)
{
	char text[32];

	if (at_us == TIME_NONE)
		buf_str(b, "null");
	else
		json_put_text(b, span_of(clock_format_rfc3339(at_us, text)));
}

static void customer_put_value(struct buf *b, const struct eval *e, int which)
{
	double value[CARD_SPANS];

	card_value(e->desk->visit->card, eval_now(e), value);
	json_put_number(b, value[which]);
}

static void customer_put_consent(struct buf *b, const struct customer *c, const char *channel)
{
	struct span said;

	if (c->json[CARD_CONSENT].n && json_get(c->json[CARD_CONSENT], span_of(channel), &said))
		buf_span(b, said);
	else
		buf_str(b, "null");
}

static void customer_put(struct buf *b, const struct eval *e, const struct customer_field *f)
{
	const struct customer *c = e->desk->visit->card;

	switch (f->source) {
	case FROM_ID: buf_printf(b, "\"%lld\"", (long long)c->id); return;
	case FROM_TEXT: customer_put_text(b, c->text[f->which]); return;
	case FROM_JSON:
		if (c->json[f->which].n)
			buf_span(b, c->json[f->which]);
		else
			buf_str(b, f->kind == FIELD_LIST ? "[]" : "{}");
		return;
	case FROM_CONSENT: customer_put_consent(b, c, strchr(f->path, '.') + 1); return;
	case FROM_ORDERS_COUNT: buf_int(b, c->orders_count); return;
	case FROM_ORDERS_TOTAL: json_put_number(b, c->orders_total); return;
	case FROM_ORDERS_AVERAGE: json_put_number(b, card_orders_average(c)); return;
	case FROM_ORDERS_FIRST: customer_put_time(b, c->orders_first_us); return;
	case FROM_ORDERS_LAST: customer_put_time(b, c->orders_last_us); return;
	case FROM_ORDERS_LAST_ID: customer_put_text(b, c->orders_last_id); return;
	case FROM_VALUE: customer_put_value(b, e, f->which); return;
	case FROM_CREATED: customer_put_time(b, c->created_us); return;
	case FROM_SEEN: customer_put_time(b, c->last_seen_us); return;
	case FROM_NOWHERE: buf_str(b, f->kind == FIELD_LIST ? "[]" : "{}"); return;
	case FROM_PART: buf_str(b, "null"); return;
	}
}

/*** reading ***/

/* The recorded value, or the present one, which is recorded now. */
static struct span customer_read(struct eval *e, const struct customer_field *f)
{
	struct buf *b = &e->desk->sitting->judge->scratch;
	struct span path = span_of(f->path), value;

	if (replay_read(&e->replay, path, &value))
		return value;
	buf_clear(b);
	customer_put(b, e, f);
	value = sitting_keep(e->desk->sitting, b);
	replay_note_read(&e->replay, path, value);
	return value;
}

/* Lists and objects are made once per part of an evaluation. */
static void customer_push_container(
	lua_State *L, struct eval *e, const struct customer_field *f, struct span value)
{
	struct judge *j = e->desk->sitting->judge;

	if (j->parts_eval != e->number || j->parts_part != e->replay.part) {
		lua_newtable(L);
		lua_rawseti(L, LUA_REGISTRYINDEX, j->parts_ref);
		j->parts_eval = e->number;
		j->parts_part = e->replay.part;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, j->parts_ref);
	if (lua_getfield(L, -1, f->path) == LUA_TNIL) {
		lua_pop(L, 1);
		script_charge(L, value.n);
		luajson_push(L, value, luajson_kind_card, NULL, f->path);
		lua_pushvalue(L, -1);
		lua_setfield(L, -3, f->path);
	}
	lua_remove(L, -2);
}

static void customer_push_value(
	lua_State *L, struct eval *e, const struct customer_field *f, struct span value)
{
	double number;
	int64_t at_us;
	bool flag;
	struct span text;

	switch (f->kind) {
	case FIELD_LIST:
	case FIELD_OBJECT: customer_push_container(L, e, f, value); return;
	case FIELD_MONEY:
	case FIELD_NUMBER:
		if (field_number(value, &number)) {
			luajson_push_number(L, number);
			return;
		}
		break;
	case FIELD_BOOL:
		if (field_bool(value, &flag)) {
			lua_pushboolean(L, flag);
			return;
		}
		break;
	case FIELD_TIME:
		if (field_time(value, &at_us)) {
			bind_time_push(L, at_us);
			return;
		}
		break;
	case FIELD_ANY:
	case FIELD_TEXT:
		text = json_text(value, eval_arena(e));
		if (text.p) {
			lua_pushlstring(L, text.p, text.n);
			return;
		}
		break;
	}
	lua_pushnil(L);
}

/* Says what is wrong with a field that is none. */
static int customer_unknown(lua_State *L, const char *prefix)
{
	const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
	struct suggest near;

	suggest_init(&near, key);
	for (size_t i = 0; i < CUSTOMER_FIELDS; i++)
		if (!strncmp(customer_fields[i].path, prefix, strlen(prefix)) &&
			!strchr(customer_fields[i].path + strlen(prefix), '.'))
			suggest_offer(&near, customer_fields[i].path + strlen(prefix));
	if (near.best)
		return luaL_error(L, "customer.%s%s: no such field; did you mean \"%s\"?", prefix,
			key, near.best);
	return luaL_error(L,
		"customer.%s%s: no such field; fields of your own are in customer.attributes",
		prefix, key);
}

/* __index; upvalues: fields of this part (key -> number), the parts, the prefix. */
static int l_customer_index(lua_State *L)
{
	struct eval *e = eval_of(L, "customer");
	const struct customer_field *f;
	lua_Integer i;

	lua_settop(L, 2);
	lua_pushvalue(L, 2);
	lua_rawget(L, lua_upvalueindex(1));
	i = lua_tointeger(L, -1);
	if (!i)
		return customer_unknown(L, lua_tostring(L, lua_upvalueindex(3)));
	script_charge(L, 100);
	f = &customer_fields[i - 1];
	if (f->source == FROM_PART) {
		lua_rawgeti(L, lua_upvalueindex(2), f->which);
		return 1;
	}
	customer_push_value(L, e, f, customer_read(e, f));
	return 1;
}

static int l_customer_newindex(lua_State *L)
{
	return luaL_error(L, "customer is read-only: write set { %s = ... }",
		lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "field");
}

/* Pushes the table key -> number of the fields of a part. */
static void customer_push_names(lua_State *L, enum customer_part part)
{
	const char *prefix = customer_prefixes[part];
	size_t n = strlen(prefix);

	lua_newtable(L);
	for (int i = 0; i < CUSTOMER_FIELDS; i++) {
		const char *path = customer_fields[i].path;

		if (strncmp(path, prefix, n) || strchr(path + n, '.'))
			continue;
		lua_pushinteger(L, i + 1);
		lua_setfield(L, -2, path + n);
	}
}

void bind_customer_push(lua_State *L)
{
	int parts;

	lua_newtable(L);
	parts = lua_gettop(L);
	for (int part = PART_COUNT - 1; part >= 0; part--) {
		lua_newuserdatauv(L, 0, 0);
		lua_newtable(L);
		customer_push_names(L, (enum customer_part)part);
		lua_pushvalue(L, parts);
		lua_pushstring(L, customer_prefixes[part]);
		lua_pushcclosure(L, l_customer_index, 3);
		lua_setfield(L, -2, "__index");
		lua_pushcfunction(L, l_customer_newindex);
		lua_setfield(L, -2, "__newindex");
		lua_pushstring(L, "customer");
		lua_setfield(L, -2, "__name");
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, "__metatable");
		lua_setmetatable(L, -2);
		lua_rawseti(L, parts, part);
	}
	lua_rawgeti(L, parts, PART_CUSTOMER);
	lua_remove(L, parts);
}
