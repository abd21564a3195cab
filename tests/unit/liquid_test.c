/*
 * The template language: our own cases, and those of golden-liquid (MIT, see the file) that concern
 * what is implemented.  Cases we leave out stand in tables below with the reason; fewer passes than
 * GOLDEN_LEAST are a failure.
 */
#include "base/json.h"
#include "base/tz.h"
#include "engine/format.h"
#include "engine/liquid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GOLDEN_LEAST = 514 };

static const char cart_json[] =
	"{\"first_name\":\"Anna\",\"evil\":\"<script>alert('x')</script> {{ customer.secret }}\","
	"\"secret\":\"S\",\"cart\":{\"total\":\"2500.00\",\"n\":2,\"items\":["
	"{\"name\":\"Tea & Cup\",\"price\":12.5,\"tags\":[\"a\",\"b\"]},"
	"{\"name\":\"Pot\",\"price\":30,\"tags\":[]}]},"
	"\"born\":\"1990-03-14\",\"seen\":\"2024-07-01T21:30:00Z\",\"big\":123456789012345,"
	"\"none\":null,\"city\":\"\xd0\x9e\xd0\xb4\xd0\xb5\xd1\x81\xd1\x81\xd0\xb0\"}";

/* One rendering with a root `customer`. */
struct run {
	struct liquid_env env;
	struct liquid_root root;
	struct liquid_text text;
	struct arena arena;
	struct buf out;
	struct err err;
	bool ok;
};

static void run_init(struct run *r)
{
	*r = (struct run){ .root = { "customer", SPAN(cart_json) },
		.text = { "unsubscribe_url", SPAN("https://shop/u/T?a=1&b=2") } };
	r->env = (struct liquid_env){ .roots = &r->root,
		.n_roots = 1,
		.texts = &r->text,
		.n_texts = 1,
		.language = "en",
		.currency = "EUR",
		.now_us = INT64_C(1721556930) * 1000000 };
}

static void run_go(struct run *r, const char *template)
{
	struct liquid *l = liquid_parse(span_of(template), "t.en.html", &r->arena, &r->err);

	buf_clear(&r->out);
	r->ok = l != NULL && liquid_render(l, &r->env, &r->out, &r->err);
}

static void run_fini(struct run *r)
{
	buf_free(&r->out);
	arena_fini(&r->arena);
}

struct case_row {
	const char *template, *want;
};

/* Renders each row and compares. */
static void check_rows(struct run *r, const struct case_row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		run_go(r, rows[i].template);
		if (!r->ok)
			print_message("%s: %s\n", rows[i].template, r->err.text);
		assert_true(r->ok);
		assert_string_equal(r->out.p ? r->out.p : "", rows[i].want);
	}
}
#define CHECK_ROWS(r, rows) check_rows((r), (rows), sizeof(rows) / sizeof *(rows))

/* Renders each row, which must fail with exactly this text. */
static void check_errors(struct run *r, const struct case_row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		run_go(r, rows[i].template);
		if (r->ok)
			print_message("no error: %s\n", rows[i].template);
		assert_false(r->ok);
		assert_string_equal(r->err.text, rows[i].want);
		assert_int_equal(r->out.n, 0);
	}
}

static void test_values(void **state)
{
	static const struct case_row rows[] = {
		{ "Hi {{ customer.first_name }}!", "Hi Anna!" },
		{ "{{ customer.nothing.at.all }}|{{ nobody }}", "|" },
		{ "{{ customer[\"first_name\"] }}", "Anna" },
		{ "{{ customer.cart.items[0].name }}{{ customer.cart.items[-1].name }}",
			"Tea & CupPot" },
		{ "{{ customer.cart.items.first.price }} {{ customer.cart.items.last.price }}",
			"12.5 30" },
		{ "{{ customer.cart.items.size }}{{ customer.first_name.size }}", "24" },
		{ "{{ customer.city.size }} {{ customer.city | upcase }}",
			"6 \xd0\x9e\xd0\x94\xd0\x95\xd0\xa1\xd0\xa1\xd0\x90" },
		{ "{{ customer.big }} {{ -3 }} {{ 1.50 }} {{ 12.0 }}",
			"123456789012345 -3 1.5 12.0" },
		{ "{{ 10.1 | minus: 2.2 }} {{ 20 | divided_by: 7.0 }} {{ 0.1 | plus: 0.2 }}",
			"7.9 2.857142857142857 0.3" },
		{ "{{ 100000000 | times: 10000000000.5 }}", "1.00000000005e+18" },
		{ "{{ customer.none }}{{ nil }}{{ true }}", "true" },
		{ "{{ unsubscribe_url }}", "https://shop/u/T?a=1&b=2" },
		{ "{{}}{{ }}", "" },
	};
	struct run r;

	(void)state;
	run_init(&r);
	CHECK_ROWS(&r, rows);
	run_fini(&r);
}

static void test_tags(void **state)
{
	static const struct case_row rows[] = {
		{ "{% if true and false or true %}a{% else %}b{% endif %}", "a" },
		{ "{% if false and false or true %}a{% else %}b{% endif %}", "b" },
		{ "{% if true or false and false %}a{% else %}b{% endif %}", "a" },
		{ "{% if customer.cart.n >= 2 and customer.first_name contains 'nn' %}a{% endif %}",
			"a" },
		{ "{% unless customer.none %}a{% endunless %}", "a" },
		{ "{% if customer.first_name == blank %}a{% elsif customer.none == blank %}b{% endif %}",
			"b" },
		{ "{% case customer.cart.n %}{% when 1 %}one{% when 2, 3 %}some{% else %}many{% endcase %}",
			"some" },
		{ "{% for i in customer.cart.items %}{{ forloop.index }}:{{ i.name }};{% endfor %}",
			"1:Tea & Cup;2:Pot;" },
		{ "{% for i in (1..9) limit: 3 offset: 2 reversed %}{{ i }}{% endfor %}", "543" },
		{ "{% for i in customer.none %}{% else %}none{% endfor %}", "none" },
		{ "{% for i in (1..9) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}"
		  "{% endif %}{{ i }}{% endfor %}",
			"124" },
		{ "{% for i in (1..2) %}{% for i in (5..6) %}{{ i }}{% endfor %}{{ i }}{% endfor %}{{ i }}",
			"561562" },
		{ "a {%- assign x = 'b' | append: 'c' -%} {{ x }}", "abc" },
		{ "{% raw %}{{ x }}{% if %}{% endraw %}{% comment %}{% foo %}{% endcomment %}",
			"{{ x }}{% if %}" },
		{ "{% for i in (1..2) %}{% assign f = forloop %}{% endfor %}{{ f.index }}", "3" },
		{ "{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}", "aba" },
	};
	struct run r;

	(void)state;
	run_init(&r);
	CHECK_ROWS(&r, rows);
	run_fini(&r);
}

/* What a customer typed stays text: P22. */
static void test_customer_text_stays_text_in_html(void **state)
{
	static const struct case_row rows[] = {
		{ "{{ customer.evil }}",
			"&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; {{ customer.secret }}" },
		{ "{{ customer.evil | raw }}",
			"<script>alert('x')</script> {{ customer.secret }}" },
		{ "{{ customer.cart.items[0].name | escape }}", "Tea &amp; Cup" },
		{ "{{ customer.cart.items[0].name | escape | append: ' & <b>' }}",
			"Tea &amp; Cup &amp; &lt;b&gt;" },
		{ "{{ '<b>' | raw | append: customer.cart.items[0].name }}", "<b>Tea &amp; Cup" },
		{ "{% capture x %}<b>{{ customer.cart.items[0].name }}</b>{% endcapture %}{{ x }}",
			"<b>Tea &amp; Cup</b>" },
		{ "{{ customer.evil | newline_to_br | truncate: 12 }}", "&amp;lt;scrip..." },
		{ "{{ \"a<\nb\" | newline_to_br }}", "a&lt;<br />\nb" },
		{ "{{ customer.evil | escape | upcase }}",
			"&amp;LT;SCRIPT&amp;GT;ALERT(&amp;#39;X&amp;#39;)&amp;LT;/SCRIPT&amp;GT; "
			"{{ CUSTOMER.SECRET }}" },
		{ "{{ customer.evil | escape | raw }}",
			"&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; {{ customer.secret }}" },
		{ "{{ customer.cart.items[0] | strip }}",
			"{&quot;name&quot;:&quot;Tea &amp; Cup&quot;,&quot;price&quot;:12.5,&quot;tags&quot;:"
			"[&quot;a&quot;,&quot;b&quot;]}" },
		{ "<a href=\"{{ unsubscribe_url }}\">",
			"<a href=\"https://shop/u/T?a=1&amp;b=2\">" },
		{ "{{ '&lt; <' | escape_once }}", "&lt; &lt;" },
		{ "{% cycle '<', 'x' %}{% for x in customer %}{{ x[0] }},{% endfor %}",
			"&lt;first_name,evil,secret,cart,born,seen,big,none,city," },
	};
	struct run r;

	(void)state;
	run_init(&r);
	r.env.escape = LIQUID_HTML;
	CHECK_ROWS(&r, rows);
	run_fini(&r);
}

static void test_errors_name_line_and_word(void **state)
{
	static const struct case_row rows[] = {
		{ "a\nb {{ x | monney }}",
			"t.en.html:2: unknown filter \"monney\"; did you mean \"money\"?" },
		{ "\n{% iff x %}", "t.en.html:2: unknown tag \"iff\"; did you mean \"if\"?" },
		{ "{% if x %}\n{% endfor %}",
			"t.en.html:2: \"endfor\" does not belong here; \"endif\" was expected" },
		{ "{% if x %}\n", "t.en.html:1: endif is missing; what begins here is not closed" },
		{ "{% endif %}", "t.en.html:1: \"endif\" without the tag that opens it" },
		{ "{{ x", "t.en.html:1: {{ is not closed; write }}" },
		{ "x\n{% if x", "t.en.html:2: {% is not closed; write %}" },
		{ "{{ 'abc }}",
			"t.en.html:1: text 'abc  is not closed; write the same quote at its end" },
		{ "{{ x | default: \xe2\x80\x9c"
		  "a\xe2\x80\x9d }}",
			"t.en.html:1: typographic quote where a straight one belongs" },
		{ "{{ a b }}", "t.en.html:1: \"b\" where \"|\" or the end was expected" },
		{ "{{ a - b }}",
			"t.en.html:1: \"-\" where \"|\" or the end was expected; for arithmetic write | minus: 1" },
		{ "{% if a = b %}{% endif %}",
			"t.en.html:1: \"=\" in a condition; write \"==\" to compare" },
		{ "{% for x of y %}{% endfor %}", "t.en.html:1: \"of\" where \"in\" was expected" },
		{ "{{ x | upcase: 1 }}", "t.en.html:1: filter \"upcase\" takes no argument" },
		{ "{{ x | append }}", "t.en.html:1: filter \"append\" takes 1 argument, not 0" },
		{ "{{ x |\n\n truncate: 1, 2, 3 }}",
			"t.en.html:3: filter \"truncate\" takes 0 to 2 arguments, not 3" },
		{ "a{{ 1 | divided_by: 0 }}",
			"t.en.html:1: filter \"divided_by\": division by zero" },
		{ "{% for i in (1..3) %}\n{% if '2' > i %}{% endif %}{% endfor %}",
			"t.en.html:2: a text cannot be compared with a number" },
		{ "{{ 'a' | money }}", "t.en.html:1: filter \"money\": \"a\" is no amount" },
		{ "{{ 1 | money: 'euro' }}",
			"t.en.html:1: filter \"money\": \"euro\" is no currency; write a code like EUR" },
		{ "{{ 0 | date: '%Q' }}",
			"t.en.html:1: filter \"date\": date pattern knows no \"%Q\"; see strftime" },
	};
	struct run r;

	(void)state;
	run_init(&r);
	check_errors(&r, rows, sizeof rows / sizeof *rows);
	run_fini(&r);
}

/* No data and no template can use up time, memory or stack. */
static void test_limits(void **state)
{
	static const struct case_row rows[] = {
		{ "{% for i in (1..1000000000000) %}x{% endfor %}",
			"t.en.html:1: loops go round more than 100000 times" },
		{ "{% for i in (1..400) %}{% for j in (1..400) %}{% endfor %}{% endfor %}",
			"t.en.html:1: loops go round more than 100000 times" },
		{ "{{ (1..1000000000000) | join }}",
			"t.en.html:1: filter \"join\": list of more than 100000 elements" },
		{ "{{ (-9000000000000000000..9000000000000000000) | size | plus: 0 }}{{ (0..900000) | first }}"
		  "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}",
			"t.en.html:1: filter \"append\": text is longer than 1048576 bytes" },
		{ "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..14) %}{% assign x = x | append: x %}{% endfor %}"
		  "{% assign x = x | replace: 'a', x %}",
			"t.en.html:1: filter \"replace\": text is longer than 1048576 bytes" },
		{ "{% for i in (1..100000) %}0123456789012{% endfor %}",
			"t.en.html:1: output is longer than 1048576 bytes" },
	};
	/* Few rounds of much work each: the meter stops them. */
#define LONG                                                                                       \
	"{% assign x = 'aaaaaaaa' %}{% for i in (1..16) %}{% assign x = x | append: x %}{% endfor %}"
	static const char *const greedy[] = {
		"{% for i in (1..90000) %}{{ (1..1000) | reverse | first }}{% endfor %}",
		LONG
		"{% for i in (1..90000) %}{{ x.size }}{% if x == blank %}{% endif %}{% endfor %}",
		LONG "{% for i in (1..90000) %}{% assign y = x | split: 'b' %}{% endfor %}",
		LONG "{% for i in (1..90000) %}{% if x contains 'b' %}{% endif %}{% endfor %}",
		LONG
		"{% assign y = x | slice: 0, 200000 %}{% assign z = x | replace_last: y, '' %}",
		"{% for i in (1..90000) %}{% cycle i: '' %}{% endfor %}",
		"{% assign x = (1..90000) | uniq %}",
	};
#undef LONG
	struct run r;
	struct buf deep = { 0 };
	int i;

	(void)state;
	run_init(&r);
	check_errors(&r, rows, sizeof rows / sizeof *rows);
	for (i = 0; i < (int)(sizeof greedy / sizeof *greedy); i++) {
		run_go(&r, greedy[i]);
		assert_false(r.ok);
		assert_non_null(strstr(r.err.text, ": too much "));
	}
	for (i = 0; i < 200; i++)
		buf_str(&deep, "{% if a %}");
	run_go(&r, deep.p);
	assert_string_equal(r.err.text, "t.en.html:1: nested more than 100 deep");
	buf_clear(&deep);
	buf_str(&deep, "{{ ");
	for (i = 0; i < 100000; i++)
		buf_str(&deep, "[");
	buf_str(&deep, " }}");
	run_go(&r, deep.p);
	assert_string_equal(r.err.text, "t.en.html:1: nested more than 100 deep");
	buf_free(&deep);
	run_fini(&r);
}

static void test_money(void **state)
{
	static const struct case_row en[] = {
		{ "{{ customer.cart.total | money }}", "\xe2\x82\xac"
						       "2,500.00" },
		{ "{{ 12.5 | money: 'USD' }}", "$12.50" },
		{ "{{ '0.1' | money }}|{{ nobody | money }}", "\xe2\x82\xac"
							      "0.10|" },
	};
	static const struct case_row ru[] = {
		{ "{{ customer.cart.total | money: 'UAH' }}", "2\xc2\xa0"
							      "500,00\xc2\xa0\xe2\x82\xb4" },
		{ "{{ -3 | money: 'JPY' }}", "-3\xc2\xa0\xc2\xa5" },
	};
	struct run r;

	(void)state;
	run_init(&r);
	CHECK_ROWS(&r, en);
	r.env.language = "ru";
	CHECK_ROWS(&r, ru);
	run_fini(&r);
}

static void test_date(void **state)
{
	static const struct case_row en[] = {
		{ "{{ customer.born | date: '%d.%m.%Y' }}", "14.03.1990" },
		{ "{{ customer.born | date: '%-d %B %Y, %A, %j %U %V' }}",
			"14 March 1990, Wednesday, 073 10 11" },
		{ "{{ 'now' | date: '%Y-%m-%d %H:%M:%S %z' }}", "2024-07-21 10:15:30 +0000" },
		{ "{{ 0 | date: '%D %T %I %p %e|%10Y|%^a|%s|%%' }}",
			"01/01/70 00:00:00 12 AM  1|0000001970|THU|0|%" },
		{ "{{ customer.born | date: 'short' }} {{ customer.born | date: 'long' }}",
			"3/14/90 March 14, 1990" },
		{ "{{ 'nonsense' | date: '%Y' }}{{ nobody | date: '%Y' }}", "nonsense" },
	};
	static const struct case_row kyiv[] = {
		{ "{{ customer.seen | date: '%d.%m.%Y %H:%M %z %:z' }}",
			"02.07.2024 00:30 +0300 +03:00" },
		{ "{{ customer.seen | date: '%-d %B' }}", "2 \xd0\xb8\xd1\x8e\xd0\xbb\xd1\x8f" },
		{ "{{ customer.seen | date: '%B %Y' }}", "\xd0\xb8\xd1\x8e\xd0\xbb\xd1\x8c 2024" },
		{ "{{ customer.seen | date: 'long' }}",
			"2 \xd0\xb8\xd1\x8e\xd0\xbb\xd1\x8f 2024\xe2\x80\xaf\xd0\xb3." },
		{ "{{ '2024-07-01 12:00' | date: '%H:%M %s' }}", "12:00 1719824400" },
	};
	struct run r;

	(void)state;
	run_init(&r);
	CHECK_ROWS(&r, en);
	r.env.language = "ru";
	r.env.zone = tz_get("Europe/Kyiv");
	assert_non_null(r.env.zone);
	CHECK_ROWS(&r, kyiv);
	run_fini(&r);
}

static void note_use(void *arg, const struct liquid_use *use)
{
	buf_printf(
		arg, "%d %.*s%s;", use->line, SPAN_ARG(use->path), use->is_local ? " local" : "");
}

static void test_roots(void **state)
{
	static const char template[] =
		"{{ customer.cart.items[0].name | default: with['a b'].c }}\n"
		"{% assign x = event.total %}{{ x }}{% for i in x %}{{ i.y }}{% endfor %}\n"
		"{{ forloop.index }}{{ unsubscribe_url }}{{ custmer.a }}";
	static const char *const known[] = { "customer", "event", "store", "with",
		"unsubscribe_url", NULL };
	struct arena arena = { 0 };
	struct buf b = { 0 };
	struct err err;
	struct liquid *l = liquid_parse(SPAN(template), "t.en.html", &arena, &err);

	(void)state;
	assert_non_null(l);
	liquid_roots(l, note_use, &b);
	assert_string_equal(b.p,
		"1 customer.cart.items[0].name;1 with['a b'].c;2 event.total;2 x local;"
		"2 x local;2 i.y local;3 forloop.index local;3 unsubscribe_url;3 custmer.a;");
	assert_true(liquid_has_root(l, "unsubscribe_url"));
	assert_false(liquid_has_root(l, "store"));
	assert_false(liquid_has_root(l, "x"));
	assert_false(liquid_check_roots(l, known, &err));
	assert_string_equal(
		err.text, "t.en.html:3: unknown name \"custmer\"; did you mean \"customer\"?");
	buf_free(&b);
	arena_fini(&arena);
}

/* ---- golden-liquid ---- */

/* Cases by the beginning of their name that are left out, with the reason. */
static const struct golden_skip {
	const char *name, *reason;
} golden_skips[] = {
	{ "tags, include", "the tag is not there: there are no templates to include yet" },
	{ "tags, render", "the tag is not there: there are no templates to include yet" },
};

struct golden {
	unsigned ran, passed, skipped;
};

static struct buf golden_read(void)
{
	const char *dir = getenv("srcdir");
	char path[512];
	struct buf b = { 0 };
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/tests/data/liquid_golden.json", dir ? dir : ".");
	f = fopen(path, "r");
	assert_non_null(f);
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
		b.n += n;
	fclose(f);
	return b;
}

/* Text of a member, "" without one. */
static struct span golden_text(struct span object, const char *key, struct arena *a)
{
	struct span v;

	return json_get(object, span_of(key), &v) ? json_text(v, a) : (struct span){ "", 0 };
}

/* Whether the output is the expected one, or one of several. */
static bool golden_matches(struct span test, struct span got, struct arena *a)
{
	struct json_iter it;
	struct span v;

	if (json_get(test, SPAN("result"), &v))
		return span_eq(json_text(v, a), got);
	if (!json_get(test, SPAN("results"), &v))
		return false;
	json_iter_init(&it, v);
	while (json_next(&it, NULL, &v))
		if (span_eq(json_text(v, a), got))
			return true;
	return false;
}

static size_t golden_roots(
	struct span test, struct liquid_root *roots, size_t most, struct arena *a)
{
	struct json_iter it;
	struct span data, key, v;
	size_t n = 0;

	if (!json_get(test, SPAN("data"), &data))
		return 0;
	json_iter_init(&it, data);
	while (n < most && json_next(&it, &key, &v)) {
		struct span name = json_text(key, a);

		roots[n++] = (struct liquid_root){ arena_dup(a, name.p, name.n), v };
	}
	return n;
}

static bool golden_run(struct span test, struct format *format)
{
	struct arena a = { 0 };
	struct liquid_root roots[16];
	struct liquid_env env = { .roots = roots, .format = format };
	struct buf out = { 0 };
	struct err err = { { 0 }, { 0 } };
	struct span invalid;
	bool is_invalid = json_get(test, SPAN("invalid"), &invalid), ok;
	struct liquid *l = liquid_parse(golden_text(test, "template", &a), "golden", &a, &err);

	env.n_roots = golden_roots(test, roots, 16, &a);
	ok = l != NULL && liquid_render(l, &env, &out, &err);
	/* What the reference leaves out silently after an error may be an error here. */
	ok = is_invalid ? !ok : ok && golden_matches(test, buf_as_span(&out), &a);
	if (!ok) {
		struct span name = golden_text(test, "name", &a);

		print_message(
			"golden: %.*s: \"%s\" %s\n", SPAN_ARG(name), out.p ? out.p : "", err.text);
	}
	buf_free(&out);
	arena_fini(&a);
	return ok;
}

static bool golden_is_skipped(struct span name)
{
	size_t i;

	for (i = 0; i < sizeof golden_skips / sizeof *golden_skips; i++)
		if (span_starts(name, golden_skips[i].name))
			return true;
	return false;
}

static void test_golden_liquid(void **state)
{
	struct buf file = golden_read();
	struct golden sum = { 0 };
	struct format *format = format_new();
	struct json_fault fault;
	struct json_iter it;
	struct span tests, test;
	struct arena a = { 0 };

	(void)state;
	assert_true(json_check_all(buf_as_span(&file), &fault));
	assert_true(json_get(buf_as_span(&file), SPAN("tests"), &tests));
	json_iter_init(&it, tests);
	while (json_next(&it, NULL, &test)) {
		if (golden_is_skipped(golden_text(test, "name", &a))) {
			sum.skipped++;
			continue;
		}
		sum.ran++;
		sum.passed += golden_run(test, format);
	}
	print_message("golden-liquid: %u ran, %u passed, %u left out\n", sum.ran, sum.passed,
		sum.skipped);
	assert_true(sum.passed >= GOLDEN_LEAST);
	assert_int_equal(sum.passed, sum.ran);
	arena_fini(&a);
	format_free(format);
	buf_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_customer_text_stays_text_in_html),
		cmocka_unit_test(test_errors_name_line_and_word),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_money),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_golden_liquid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
