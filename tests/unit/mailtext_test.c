/* Subjects and text parts from HTML: golden mails in tests/data/mail, and small cases. */
#include "engine/mailtext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf read_file(const char *name)
{
	const char *dir = getenv("srcdir");
	char path[512];
	struct buf b = { 0 };
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/tests/data/mail/%s", dir ? dir : ".", name);
	f = fopen(path, "r");
	assert_non_null(f);
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
		b.n += n;
	buf_add(&b, "", 0);
	fclose(f);
	return b;
}

/* The derived text of a mail is that of its .txt, the subject the one given. */
static void check_golden(const char *html_name, const char *text_name, const char *subject)
{
	struct buf html = read_file(html_name), want = read_file(text_name), got = { 0 };

	assert_true(mailtext_title(buf_as_span(&html), &got));
	assert_string_equal(got.p, subject);
	buf_clear(&got);
	mailtext_derive(buf_as_span(&html), &got);
	if (strcmp(got.p, want.p) != 0)
		print_message("%s", got.p);
	assert_string_equal(got.p, want.p);
	buf_free(&html);
	buf_free(&want);
	buf_free(&got);
}

static void test_golden_mails(void **state)
{
	(void)state;
	check_golden("cart.html", "cart.txt", "Anna, Tea & Cup \xe2\x80\x94 your cart is waiting");
	check_golden("russian.html", "russian.txt",
		"\xd0\x90\xd0\xbd\xd0\xbd\xd0\xb0, \xd0\xb2\xd0\xb0\xd1\x88 "
		"\xd0\xb7\xd0\xb0\xd0\xba\xd0\xb0\xd0\xb7 \xe2\x84\x96\xc2\xa0"
		"17 "
		"\xd0\xbe\xd1\x82\xd0\xbf\xd1\x80\xd0\xb0\xd0\xb2\xd0\xbb\xd0\xb5\xd0\xbd");
}

static void test_small_texts(void **state)
{
	static const struct {
		const char *html, *want;
	} rows[] = {
		{ "", "" },
		{ "<p></p><br><br>", "" },
		{ "a<br><br><br>b", "a\n\nb\n" },
		{ "a<p>b</p>c", "a\n\nb\n\nc\n" },
		{ "a<b>b</b>c d", "abc d\n" },
		{ "<a href=x></a>", "x\n" },
		{ "x<a href='http://y'>z</a>w", "xz (http://y)w\n" },
		{ "<p>a</p><a href=u><img alt='Buy it'></a>", "a\n\nBuy it (u)\n" },
		{ "&#65;&#x42;&#0;&lt;b&gt;&amp;lt;", "AB\xef\xbf\xbd<b>&lt;\n" },
		{ "1 < 2 <3 <> </> &", "1 < 2 <3 <> </> &\n" },
		{ "<!-- x", "" },
		{ "a<span style='color:red;display:none'>b<span>c</span></span>d", "ad\n" },
		{ "<ol><li>a<li>b</ol>c", "1. a\n2. b\n\nc\n" },
		{ "a<script>", "a\n" },
		{ "a<a href=\"", "a\n" },
	};
	struct buf got = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		buf_clear(&got);
		mailtext_derive(span_of(rows[i].html), &got);
		assert_string_equal(got.p ? got.p : "", rows[i].want);
	}
	buf_free(&got);
}

static void test_titles(void **state)
{
	struct buf got = { 0 };

	(void)state;
	assert_false(mailtext_title(SPAN("<p>none</p>"), &got));
	assert_false(mailtext_title(SPAN("<title> \n </title>"), &got));
	assert_int_equal(got.n, 0);
	assert_true(mailtext_title(SPAN("<TITLE lang=en>a&#10;Bcc: b</TITLE>"), &got));
	assert_string_equal(got.p, "a Bcc: b");
	buf_free(&got);
}

/* Hostile input costs time in its length, not in its square. */
static void test_hostile_html_is_linear(void **state)
{
	static const char *const parts[] = { "<", "<a href=x>", "<ul><li>", "&", "<!--", "</",
		"<style>" };
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof parts / sizeof *parts; i++) {
		struct buf html = { 0 }, got = { 0 };

		for (k = 0; k < 100000; k++)
			buf_str(&html, parts[i]);
		mailtext_derive(buf_as_span(&html), &got);
		buf_free(&html);
		buf_free(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_mails),
		cmocka_unit_test(test_small_texts),
		cmocka_unit_test(test_titles),
		cmocka_unit_test(test_hostile_html_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
