/* json_test.c: what the strict check refuses and where it says so; walking; writing. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool check(const char *text, struct json_fault *f)
{
	/* an exact heap copy: a read beyond the end is seen by the sanitizer */
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);
	bool ok;

	assert_non_null(copy);
	memcpy(copy, text, n);
	ok = json_check_all((struct span){ copy, n }, f);
	free(copy);
	return ok;
}

static void accepts(void **state)
{
	static const char *const good[] = { "0", "-0", "1e15", "-1e15", "1000000000000000",
		"0.1234567890123456789", "1E-100", "\"\"", "[]", "{}", " \t\r\n1 ", "true", "false",
		"null", "\"\\ud83d\\ude00\"", "\"\\u0001\"", "\"\xf0\x9f\x98\x80\"",
		"\"\xc3\xbf\xe0\xa0\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf\"", "{\"\":1}",
		"{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}", "[ 1 , 2 ]", "{ \"a\" : 1 , \"b\" : 2 }",
		"\"\x7f\"", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]" };
	struct json_fault f;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!check(good[i], &f))
			fail_msg("%s: %s", good[i], f.what);
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *path, *what;
		size_t at;
	} bad[] = {
		{ "", "$", "ends", 0 },
		{ "  ", "$", "ends", 2 },
		{ "\xef\xbb\xbf{}", "$", "byte order mark", 0 },
		{ "1 2", "$", "behind", 2 },
		{ "NaN", "$", "not a JSON", 0 },
		{ "Infinity", "$", "not a JSON", 0 },
		{ "nul", "$", "not a JSON", 0 },
		{ "'a'", "$", "not a JSON", 0 },
		{ "01", "$", "not a number", 0 },
		{ "-", "$", "not a number", 0 },
		{ ".5", "$", "not a JSON", 0 },
		{ "+1", "$", "not a JSON", 0 },
		{ "1.", "$", "not a number", 0 },
		{ "1e", "$", "not a number", 0 },
		{ "1e+", "$", "not a number", 0 },
		{ "1000000000000001", "$", "out of range", 0 },
		{ "1e16", "$", "out of range", 0 },
		{ "1e400", "$", "out of range", 0 },
		{ "1e131071", "$", "out of range", 0 },
		{ "0e131071", "$", "out of range", 0 },
		{ "1e-131071", "$", "out of range", 0 },
		{ "0.0000000000000000000000000000000000000001", "$", "40 characters", 0 },
		{ "\"", "$", "closing quote", 1 },
		{ "\"\\", "$", "closing quote", 1 },
		{ "\"\\q\"", "$", "escape", 1 },
		{ "\"a\nb\"", "$", "control", 2 },
		{ "\"\\u0000\"", "$", "\\u0000", 1 },
		{ "\"\\u12\"", "$", "hexadecimal", 1 },
		{ "\"\\ud800\"", "$", "surrogate", 1 },
		{ "\"\\ud800\\u0041\"", "$", "surrogate", 1 },
		{ "\"\\udc00\"", "$", "surrogate", 1 },
		{ "\"\\ud800\\ud800\"", "$", "surrogate", 1 },
		{ "\"\x80\"", "$", "UTF-8", 1 },
		{ "\"\xc0\x80\"", "$", "UTF-8", 1 },
		{ "\"\xe0\x9f\xbf\"", "$", "UTF-8", 1 },
		{ "\"\xed\xa0\x80\"", "$", "UTF-8", 1 },
		{ "\"\xf4\x90\x80\x80\"", "$", "UTF-8", 1 },
		{ "\"\xf5\x80\x80\x80\"", "$", "UTF-8", 1 },
		{ "\"\xe2\x82\"", "$", "UTF-8", 1 },
		{ "\"\xf0\x9f\x98", "$", "UTF-8", 1 },
		{ "[1,]", "$[1]", "not a JSON", 3 },
		{ "[1 2]", "$[0]", "comma or ]", 3 },
		{ "[", "$[0]", "ends", 1 },
		{ "{\"a\":1,}", "$", "key", 7 },
		{ "{a:1}", "$", "key", 1 },
		{ "{\"a\" 1}", "$.a", "colon", 5 },
		{ "{\"a\":", "$.a", "ends", 5 },
		{ "{\"a\":1", "$.a", "comma or }", 6 },
		{ "{\"a\":1,\"a\":2}", "$.a", "twice", 7 },
		{ "{\"a\":1,\"\\u0061\":2}", "$[\"\\u0061\"]", "twice", 7 },
		{ "{\"\":1,\"\":2}", "$[\"\"]", "twice", 6 },
		{ "{\"data\":{\"products\":[{},{},{},{\"price\":1e99}]}}",
			"$.data.products[3].price", "out of range", 39 },
		{ "{\"a b\":[[x]]}", "$[\"a b\"][0][0]", "not a JSON", 9 },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", NULL,
			"too deep", 32 },
	};
	struct json_fault f;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (check(bad[i].text, &f))
			fail_msg("%s was accepted", bad[i].text);
		if (strstr(f.what, bad[i].what) == NULL)
			fail_msg("%s: %s", bad[i].text, f.what);
		if (bad[i].path)
			assert_string_equal(f.path, bad[i].path);
		if (f.at != bad[i].at)
			fail_msg("%s: at %zu, not %zu", bad[i].text, f.at, bad[i].at);
	}
	assert_false(json_check_all((struct span){ "\"a\0b\"", 5 }, &f));
	assert_false(json_check_all((struct span){ "1\0", 2 }, &f));
}

/* Every beginning of a good text is refused (or is a number), without a read beyond its end. */
static void refuses_truncated(void **state)
{
	static const char text[] = "{\"a\\u00e9\":[1.5e3,\"\\ud83d\\ude00\xe2\x82\xac\",null,"
				   "{\"b\":true,\"c\":false}],\"d\":\"0123456789abcdef\"}";
	struct json_fault f;

	(void)state;
	for (size_t n = 0; n < sizeof text - 1; n++) {
		char *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, text, n);
		assert_false(json_check_all((struct span){ copy, n }, &f));
		free(copy);
	}
	assert_true(check(text, &f));
}

static void finds_duplicates_among_many(void **state)
{
	struct json_fault f;
	struct buf b = { 0 };

	(void)state;
	for (int round = 0; round < 3; round++) {
		buf_clear(&b);
		buf_char(&b, '{');
		for (int i = 0; i < 100000; i++)
			buf_printf(&b, "%s\"key%d\":{\"x\":%d}", i ? "," : "", i, i);
		if (round == 1)
			buf_str(&b, ",\"key77\":1");
		if (round == 2)
			buf_str(&b, ",\"ke\\u007977\":1");
		buf_char(&b, '}');
		assert_int_equal(json_check_all(buf_as_span(&b), &f), round == 0);
		if (round)
			assert_string_equal(f.path, "$.key77");
	}
	buf_free(&b);
}

static void path_is_cut(void **state)
{
	struct json_fault f;
	struct buf b = { 0 };

	(void)state;
	for (int i = 0; i < 30; i++)
		buf_str(&b, "{\"0123456789\":");
	buf_char(&b, '?');
	assert_false(json_check_all(buf_as_span(&b), &f));
	assert_true(strlen(f.path) < sizeof f.path);
	assert_string_equal(f.path + strlen(f.path) - 3, "...");
	buf_free(&b);
}

static void notes_members(void **state)
{
	static const char text[] =
		" {\"id\":\"e1\", \"ty\\u0070e\":\"x\",\"data\":{\"id\":2,\"k\":[1]} } rest";
	struct json_member want[] = { { .key = "id" }, { .key = "type" }, { .key = "data" },
		{ .key = "time" } };
	struct json_fault f;
	const char *end = json_check_object(text, text + sizeof text - 1, want, 4, &f);

	(void)state;
	assert_non_null(end);
	assert_string_equal(end, " rest");
	assert_true(span_is(want[0].value, "\"e1\""));
	assert_true(span_is(want[1].value, "\"x\""));
	assert_true(span_is(want[2].value, "{\"id\":2,\"k\":[1]}"));
	assert_null(want[3].value.p);
	assert_null(json_check_object("[]", (const char *)"[]" + 2, want, 4, &f));
	assert_string_equal(f.what, "the value must be an object");
}

static void walks(void **state)
{
	struct span
		v = SPAN(
			" {\"a\" : 1 ,\"b\":[true, \"x,]\\\"\" ,{}],\"c\\n\":null, \"d\":{\"e\":[10,20]}}"),
		k, got;
	struct arena a = { 0 };
	struct json_iter it;
	int64_t i;

	(void)state;
	assert_int_equal(json_kind(v), JSON_OBJECT);
	assert_true(json_get(v, SPAN("a"), &got) && json_integer(got, &i) && i == 1);
	assert_true(json_get(v, SPAN("c\n"), &got) && json_is_null(got));
	assert_false(json_get(v, SPAN("e"), &got));
	assert_true(json_find(v, "d.e.1", &got) && span_is(got, "20"));
	assert_false(json_find(v, "d.e.2", &got));
	assert_false(json_find(v, "d.e.x", &got));
	assert_false(json_find(v, "a.b", &got));
	assert_true(json_get(v, SPAN("b"), &got));
	json_iter_init(&it, got);
	assert_true(json_next(&it, &k, &got) && k.p == NULL && json_kind(got) == JSON_TRUE);
	assert_true(json_next(&it, &k, &got) && span_is(got, "\"x,]\\\"\""));
	assert_true(span_is(json_text(got, &a), "x,]\""));
	assert_true(json_next(&it, NULL, &got) && json_kind(got) == JSON_OBJECT);
	assert_false(json_next(&it, &k, &got));
	json_iter_init(&it, SPAN("[ ]"));
	assert_false(json_next(&it, &k, &got));
	json_iter_init(&it, SPAN("7"));
	assert_false(json_next(&it, &k, &got));
	arena_fini(&a);
}

static void reads_text(void **state)
{
	struct arena a = { 0 };
	struct span plain = SPAN("\"abc\"");

	(void)state;
	assert_ptr_equal(json_text(plain, &a).p, plain.p + 1);
	assert_null(a.head);
	assert_true(
		span_is(json_text(SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), &a), "\"\\/\b\f\n\r\t"));
	assert_true(span_is(json_text(SPAN("\"\\u00e9\\u20AC\\ud83d\\uDE00z\""), &a),
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"));
	assert_true(json_text(SPAN("\"\""), &a).p != NULL);
	assert_null(json_text(SPAN("12"), &a).p);
	assert_true(json_text_is(SPAN("\"\\u0061b\""), SPAN("ab")));
	assert_false(json_text_is(SPAN("\"\\u0061b\""), SPAN("abc")));
	assert_false(json_text_is(SPAN("\"\\u0061b\""), SPAN("a")));
	assert_true(json_text_is(SPAN("\"\""), SPAN("")));
	arena_fini(&a);
}

static void reads_numbers(void **state)
{
	static const char *const texts[] = { "0", "-1", "1990.5", "0.1", "123456789012345", "1e15",
		"1e-7", "0.30000000000000004", "9007199254740.993", "-12.50", "1E+2",
		"0.000000000000001", "100000000000000.1", "1e-100", "2.2250738585072011e-30" };
	double x;
	int64_t i;

	(void)state;
	for (size_t n = 0; n < sizeof texts / sizeof *texts; n++) {
		assert_true(json_number(span_of(texts[n]), &x));
		assert_true(x == strtod(texts[n], NULL));
	}
	assert_true(json_number(SPAN("-0"), &x) && x == 0 && !__builtin_signbit(x));
	assert_true(json_number(SPAN("-0.0e3"), &x) && x == 0 && !__builtin_signbit(x));
	assert_false(json_number(SPAN("\"1\""), &x));
	assert_true(json_integer(SPAN(" -15 "), &i) && i == -15);
	assert_false(json_integer(SPAN("1.0"), &i));
	assert_false(json_integer(SPAN("1e2"), &i));
}

static void number_is(double x, const char *text)
{
	struct buf b = { 0 };

	json_put_number(&b, x);
	assert_string_equal(b.p, text);
	buf_free(&b);
}

static void writes(void **state)
{
	struct buf b = { 0 };

	(void)state;
	number_is(0, "0");
	number_is(-0.0, "0");
	number_is(-3, "-3");
	number_is(1990.5, "1990.5");
	number_is(0.1, "0.1");
	number_is(0.1 + 0.2, "0.30000000000000004");
	number_is(1e15, "1e+15");
	number_is(999999999999999, "999999999999999");
	buf_char(&b, '{');
	json_put_key(&b, "a");
	json_put_text(&b, SPAN("q\"\\\n\x01\x7f\xc3\xa9/"));
	json_put_key(&b, "b");
	buf_int(&b, 1);
	buf_char(&b, '}');
	assert_string_equal(b.p, "{\"a\":\"q\\\"\\\\\\n\\u0001\x7f\xc3\xa9/\",\"b\":1}");
	buf_free(&b);
	assert_true(json_is_text(SPAN("a\xc3\xa9")));
	assert_false(json_is_text((struct span){ "a\0", 2 }));
	assert_false(json_is_text(SPAN("\xc3")));
}

static void canon_is(const char *text, const char *want)
{
	struct buf b = { 0 };
	struct json_fault f;

	json_canon(span_of(text), &b);
	assert_string_equal(b.p, want);
	assert_true(json_check_all(buf_as_span(&b), &f));
	buf_free(&b);
}

static void makes_canonical(void **state)
{
	(void)state;
	canon_is(" { \"b\" : [ 1 , {\"z\":1,\"y\":2} ] , \"a\" : \"\\u0041\\/\" } ",
		"{\"a\":\"A/\",\"b\":[1,{\"y\":2,\"z\":1}]}");
	canon_is("{}", "{}");
	canon_is("[ ]", "[]");
	canon_is("{\"aa\":1,\"a\":{}}", "{\"a\":{},\"aa\":1}");
	canon_is("[[ ],{ },\"\"]", "[[],{},\"\"]");
	canon_is("1.50", "1.50");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_truncated),
		cmocka_unit_test(finds_duplicates_among_many),
		cmocka_unit_test(path_is_cut),
		cmocka_unit_test(notes_members),
		cmocka_unit_test(walks),
		cmocka_unit_test(reads_text),
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(writes),
		cmocka_unit_test(makes_canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
