/*
 * vocabulary_test.c: the C table says what lua/vocabulary.lua says, and values are read as their
 * kinds.
 */
#include "base/clock.h"
#include "engine/vocabulary.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The list on top of the stack holds exactly these fields, in this order; pops it. */
static void check_fields(
	lua_State *l, const char *name, const struct vocabulary_field *fields, size_t n)
{
	assert_true(lua_istable(l, -1));
	if (lua_rawlen(l, -1) != n)
		fail_msg("%s: %zu fields in C, %zu in Lua", name, n, (size_t)lua_rawlen(l, -1));
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(l, -1, (lua_Integer)i + 1);
		lua_rawgeti(l, -1, 1);
		lua_rawgeti(l, -2, 2);
		if (strcmp(lua_tostring(l, -2), fields[i].path) != 0 ||
			strcmp(lua_tostring(l, -1), field_kind_name(fields[i].kind)) != 0)
			fail_msg("%s: %s %s in C, %s %s in Lua", name, fields[i].path,
				field_kind_name(fields[i].kind), lua_tostring(l, -2),
				lua_tostring(l, -1));
		lua_pop(l, 3);
	}
	lua_pop(l, 1);
}

/* Types, fields and the lists of the card are the same in both languages. */
static void same_as_lua(void **state)
{
	const char *dir = getenv("srcdir");
	const struct vocabulary_type *types;
	const struct vocabulary_field *fields;
	char path[4096];
	lua_State *l = luaL_newstate();
	size_t n;

	(void)state;
	luaL_requiref(l, "_G", luaopen_base, 1);
	snprintf(path, sizeof path, "%s/lua/vocabulary.lua", dir ? dir : ".");
	if (luaL_dofile(l, path))
		fail_msg("%s", lua_tostring(l, -1));
	types = vocabulary_types(&n);
	lua_getfield(l, -1, "types");
	assert_int_equal(lua_rawlen(l, -1), n);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(l, -1, (lua_Integer)i + 1);
		lua_getfield(l, -1, "name");
		assert_string_equal(lua_tostring(l, -1), types[i].name);
		lua_getfield(l, -2, "fields");
		check_fields(l, types[i].name, types[i].fields, types[i].n_fields);
		lua_pop(l, 2);
	}
	lua_pop(l, 1);
	fields = vocabulary_card(&n);
	lua_getfield(l, -1, "card");
	check_fields(l, "card", fields, n);
	fields = vocabulary_columns(&n);
	lua_getfield(l, -1, "columns");
	check_fields(l, "columns", fields, n);
	fields = vocabulary_order(&n);
	lua_getfield(l, -1, "order");
	check_fields(l, "order", fields, n);
	lua_close(l);
}

/* Binary search needs the order, and finds every type and nothing else. */
static void types_are_found(void **state)
{
	size_t n;
	const struct vocabulary_type *types = vocabulary_types(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(vocabulary_find(span_of(types[i].name)), &types[i]);
		if (i)
			assert_true(strcmp(types[i - 1].name, types[i].name) < 0);
	}
	assert_null(vocabulary_find(SPAN("order.plased")));
	assert_null(vocabulary_find(SPAN("")));
	assert_null(vocabulary_find(SPAN("order.place")));
}

/* The kind of a field, in lists, below customer, and in types nobody knows. */
static void kinds(void **state)
{
	const struct vocabulary_type *placed = vocabulary_find(SPAN("order.placed"));

	(void)state;
	assert_int_equal(vocabulary_kind(placed, SPAN("total")), FIELD_MONEY);
	assert_int_equal(vocabulary_kind(placed, SPAN("order_id")), FIELD_TEXT);
	assert_int_equal(vocabulary_kind(placed, SPAN("products")), FIELD_LIST);
	assert_int_equal(vocabulary_kind(placed, SPAN("products.price")), FIELD_MONEY);
	assert_int_equal(vocabulary_kind(placed, SPAN("products.12.price")), FIELD_MONEY);
	assert_int_equal(vocabulary_kind(placed, SPAN("products.12.prices")), FIELD_ANY);
	assert_int_equal(vocabulary_kind(placed, SPAN("products.12.pric")), FIELD_ANY);
	assert_int_equal(vocabulary_kind(placed, SPAN("products.0")), FIELD_ANY);
	assert_int_equal(vocabulary_kind(placed, SPAN("customer.email")), FIELD_TEXT);
	assert_int_equal(vocabulary_kind(placed, SPAN("delivery_at")), FIELD_TIME);
	assert_int_equal(vocabulary_kind(placed, SPAN("packed_at")), FIELD_TIME);
	assert_int_equal(vocabulary_kind(placed, SPAN("")), FIELD_ANY);
	assert_int_equal(vocabulary_kind(NULL, SPAN("total")), FIELD_ANY);
	assert_int_equal(vocabulary_kind(NULL, SPAN("pet_id")), FIELD_TEXT);
	assert_int_equal(vocabulary_kind(NULL, SPAN("valid_until")), FIELD_TIME);
	assert_int_equal(vocabulary_kind(vocabulary_find(SPAN("stock.changed")), SPAN("previous")),
		FIELD_NUMBER);
	assert_int_equal(vocabulary_card_kind(SPAN("orders.count")), FIELD_NUMBER);
	assert_int_equal(vocabulary_card_kind(SPAN("cart.products.2.price")), FIELD_MONEY);
	assert_int_equal(vocabulary_card_kind(SPAN("pet")), FIELD_ANY);
}

/* Text as sent, numbers as spelled, nothing from the rest. */
static void reads_text(void **state)
{
	struct arena a = { 0 };

	(void)state;
	assert_true(span_is(field_text(SPAN("\"A-1\""), &a), "A-1"));
	assert_true(span_is(field_text(SPAN("\"  A-1 \""), &a), "A-1"));
	assert_true(span_is(field_text(SPAN(" 4711 "), &a), "4711"));
	assert_true(span_is(field_text(SPAN("\"\\u0041\""), &a), "A"));
	assert_null(field_text(SPAN("\" \""), &a).p);
	assert_null(field_text(SPAN("true"), &a).p);
	assert_null(field_text(SPAN("[1]"), &a).p);
	assert_null(field_text((struct span){ NULL, 0 }, &a).p);
	assert_null(field_get(SPAN("{\"a\":null}"), "a").p);
	assert_null(field_get(SPAN("[1]"), "a").p);
	arena_fini(&a);
}

/* Money and counts, written in any unmistakable way. */
static void reads_numbers(void **state)
{
	static const char *const bad[] = { "\"12,50\"", "\"1 000\"", "\"+5\"", "\"1e3\"", "\"\"",
		"\".5\"", "\"5.\"", "\"-\"", "true", "{}", "null", "\"nan\"", "\"0x10\"",
		"\"9999999999999999\"" };
	double x = 0;
	int64_t i = 0;

	(void)state;
	assert_true(field_number(SPAN("12.5"), &x) && x == 12.5);
	assert_true(field_number(SPAN("\"12.50\""), &x) && x == 12.5);
	assert_true(field_number(SPAN("\" -3 \""), &x) && x == -3);
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
		assert_false(field_number(span_of(bad[k]), &x));
	assert_true(field_integer(SPAN("\"42\""), &i) && i == 42);
	assert_true(field_integer(SPAN("42"), &i) && i == 42);
	assert_false(field_integer(SPAN("\"42.0\""), &i));
	assert_false(field_integer(SPAN("4.2"), &i));
	assert_false(field_integer(SPAN("\"99999999999999999999\""), &i));
}

/* Yes, no, and when. */
static void reads_words(void **state)
{
	bool b = false;
	int64_t t = 0;

	(void)state;
	assert_true(field_bool(SPAN("true"), &b) && b);
	assert_true(field_bool(SPAN("\"no\""), &b) && !b);
	assert_true(field_bool(SPAN("1"), &b) && b);
	assert_false(field_bool(SPAN("\"maybe\""), &b));
	assert_false(field_bool(SPAN("null"), &b));
	assert_true(field_time(SPAN("\"1970-01-02T00:00:00+01:00\""), &t));
	assert_true(t == CLOCK_DAY_US - 3600 * CLOCK_SECOND_US);
	assert_true(field_time(SPAN("\"1970-01-02\""), &t) && t == CLOCK_DAY_US);
	assert_false(field_time(SPAN("\"1970-02-30\""), &t));
	assert_false(field_time(SPAN("1700000000"), &t));
	assert_false(field_time(SPAN("\"soon\""), &t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_lua),
		cmocka_unit_test(types_are_found),
		cmocka_unit_test(kinds),
		cmocka_unit_test(reads_text),
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(reads_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
