/* conf_test.c: what an operator may write, and what he is told when he writes something else */
#include "base/conf.h"
#include "base/conf_value.h"
#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct plain {
	int batch;
	bool loud;
	int64_t wait_us;
	int64_t size_bytes;
	int months;
	int word;
	const char *name;
	const char *secret;
	struct conf_list list;
};
struct shop_like {
	const char *zone;
	struct conf_list tokens;
};

static bool check_upper(const char *text, struct err *err)
{
	for (; *text; text++)
		if (*text < 'A' || *text > 'Z')
			return err_set(err, "not in capitals");
	return true;
}

static const char *const words[] = { "journal", "logfmt", NULL };
static const struct conf_section sections[] = { { "main", false, 0, "The program." },
	{ "limits", false, 0, "Limits." }, { "store", true, sizeof(struct shop_like), "A store." },
	{ 0 } };
static const struct conf_key keys[] = { { "main", "format", CONF_ENUM, offsetof(struct plain, word),
						0, "journal", .words = words, .help = "How." },
	{ "main", "loud", CONF_BOOL, offsetof(struct plain, loud), 0, "no", .help = "Loud." },
	{ "main", "name", CONF_STRING, offsetof(struct plain, name), CONF_FIXED, "x",
		.help = "Name." },
	{ "main", "password", CONF_SECRET, offsetof(struct plain, secret), 0, "",
		.help = "Secret." },
	{ "limits", "batch_max", CONF_INT, offsetof(struct plain, batch), 0, "500", .min = 1,
		.max = 1000, .help = "Most." },
	{ "limits", "keep", CONF_MONTHS, offsetof(struct plain, months), 0, "13 months",
		.help = "K." },
	{ "limits", "list", CONF_LIST, offsetof(struct plain, list), 0, "", .check = check_upper,
		.help = "L." },
	{ "limits", "size", CONF_SIZE, offsetof(struct plain, size_bytes), 0, "64KiB",
		.help = "S." },
	{ "limits", "wait", CONF_DURATION, offsetof(struct plain, wait_us), 0, "1h30m",
		.help = "W." },
	{ "store", "tokens", CONF_LIST, offsetof(struct shop_like, tokens), CONF_HIDDEN, "",
		.help = "T." },
	{ "store", "zone", CONF_STRING, offsetof(struct shop_like, zone), CONF_REQUIRED, "UTC",
		.help = "Z." },
	{ 0 } };
static const struct conf_schema schema = { sections, keys };

static char path[64];

/* Reads a text as a configuration file. */
static struct conf *read_text(const char *text, struct plain *into)
{
	FILE *f;

	snprintf(path, sizeof path, "conf_test.%d.conf", (int)getpid());
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return conf_read(&schema, path, into);
}

/* Expects exactly these problems, the last one NULL; each must contain the text given. */
static void expect_problems(const char *text, ...)
{
	struct plain s;
	struct conf *c = read_text(text, &s);
	size_t n, i = 0;
	const struct err *e = conf_problems(c, &n);
	const char *want;
	va_list ap;

	va_start(ap, text);
	while ((want = va_arg(ap, const char *)) != NULL) {
		if (i >= n)
			fail_msg("not reported: %s", want);
		if (strstr(e[i].text, want) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", want, e[i].text);
		i++;
	}
	va_end(ap);
	if (i < n)
		fail_msg("reported too much: %s", e[i].text);
	conf_free(c);
	unlink(path);
}

static void test_defaults(void **state)
{
	struct plain s;
	struct conf *c = conf_read(&schema, NULL, &s);
	size_t n;

	(void)state;
	conf_problems(c, &n);
	assert_int_equal(n, 0);
	assert_int_equal(s.batch, 500);
	assert_false(s.loud);
	assert_true(s.wait_us == INT64_C(5400000000));
	assert_true(s.size_bytes == 65536);
	assert_int_equal(s.months, 13);
	assert_int_equal(s.word, 0);
	assert_string_equal(s.name, "x");
	assert_string_equal(s.secret, "");
	assert_int_equal(s.list.n, 0);
	assert_int_equal(conf_count(c, "store"), 0);
	conf_free(c);
}

static void test_file(void **state)
{
	struct plain s;
	const struct shop_like *sh;
	const char *name;
	struct conf *c =
		read_text("\xef\xbb\xbf# first\n[main]\nformat = logfmt\nloud: yes\n"
			  "name = a ; b # c\npassword = p;w #1\n\n[limits]\r\nbatch_max = 7\r\n"
			  "keep = 2 years\nlist = A, B\n  C\n# in between\n\tD E\nsize=1MiB\n"
			  "wait = 250ms\n[store shop-1]\nzone = Europe/Berlin\n"
			  "tokens = 11:x\n[store b]\nzone=UTC",
			&s);
	size_t n;

	(void)state;
	conf_problems(c, &n);
	assert_int_equal(n, 0);
	assert_int_equal(s.word, 1);
	assert_true(s.loud);
	assert_string_equal(s.name, "a ; b # c");
	assert_string_equal(s.secret, "p;w #1");
	assert_int_equal(s.batch, 7);
	assert_int_equal(s.months, 24);
	assert_int_equal(s.list.n, 5);
	assert_string_equal(s.list.v[2], "C");
	assert_string_equal(s.list.v[4], "E");
	assert_true(s.size_bytes == 1 << 20);
	assert_true(s.wait_us == 250000);
	assert_int_equal(conf_count(c, "store"), 2);
	sh = conf_named(c, "store", 0, &name);
	assert_string_equal(name, "shop-1");
	assert_string_equal(sh->zone, "Europe/Berlin");
	assert_string_equal(sh->tokens.v[0], "11:x");
	assert_null(conf_named(c, "store", 2, &name));
	conf_free(c);
	unlink(path);
}

static void test_mistakes(void **state)
{
	(void)state;
	expect_problems("[limits]\nbatch_maxx = 3\n",
		".conf:2: unknown option \"batch_maxx\" in section [limits]; did you mean \"batch_max\"?",
		NULL);
	expect_problems("[limit]\nfoo = 3\n",
		":1: unknown section [limit]; did you mean \"limits\"?", NULL);
	expect_problems("[qqqqqq]\n", ":1: unknown section [qqqqqq]", NULL);
	expect_problems("[main]\nwait = 3\n",
		":2: unknown option \"wait\" in section [main]; it belongs "
		"into section [limits]",
		NULL);
	expect_problems("x = 1\n", ":1: option \"x\" stands before the first [section]", NULL);
	expect_problems("[main]\nloud = yes\nloud = no\n",
		":3: option \"loud\" stands twice; the first one "
		"is in line 2",
		NULL);
	expect_problems("[main]\n[limits]\n[main]\n",
		":3: section [main] stands twice; the first one is in "
		"line 1",
		NULL);
	expect_problems("[store]\n[store a b]\n[main x]\n", ":1: section [store] needs a name",
		":2: section [store] needs a name", ":3: section [main] has no name behind it",
		NULL);
	expect_problems("[main\nloud\n= 3\n", ":1: section does not end", ":2: line is neither",
		":3: option \"\" stands before", NULL);
	expect_problems("[main]\n  loud = yes\n", ":2: line begins with a blank", NULL);
	expect_problems("[main]\nloud = yes\n  name = x\n  format = x\n",
		":3: a line that begins with a "
		"blank goes on with the list before it, but \"loud\" is no list",
		NULL);
	expect_problems("[store a]\n", ":1: option \"zone\" is missing in section [store a]", NULL);
	expect_problems("[store a]\nzzz = 1\n", ":2: unknown option \"zzz\" in section [store a]",
		":1: option \"zone\" is missing", NULL);
}

static void test_bad_values(void **state)
{
	(void)state;
	expect_problems("[main]\nformat = jurnal\nloud = perhaps\n",
		":2: option \"format\" in section [main]: \"jurnal\" is not one of journal or logfmt; did "
		"you mean \"journal\"?",
		":3: option \"loud\" in section [main]: \"perhaps\" is neither yes nor no", NULL);
	expect_problems("[limits]\nbatch_max = 1001\nkeep = 5\nlist = A b\nsize = 1x\nwait = 15\n",
		":2: option \"batch_max\" in section [limits]: must be between 1 and 1000, not 1001",
		"\"5\" is not a number of months",
		":4: option \"list\" in section [limits]: \"b\": not in "
		"capitals",
		"\"1x\" is not a size", "\"15\" is not a duration", NULL);
	expect_problems("[limits]\nbatch_max =\n",
		":2: option \"batch_max\" in section [limits]: \"\" is "
		"not a whole number",
		NULL);
	expect_problems("[limits]\nwait = 99999999999w\n", "is not a duration", NULL);
}

static void test_unreadable(void **state)
{
	struct plain s;
	struct conf *c = conf_read(&schema, "/nonexistent/x.conf", &s);
	size_t n;
	const struct err *e = conf_problems(c, &n);

	(void)state;
	assert_int_equal(n, 1);
	assert_non_null(strstr(e[0].text, "could not read configuration \"/nonexistent/x.conf\""));
	conf_free(c);
}

static void test_secrets(void **state)
{
	struct plain s;
	struct conf *c;
	char name[64], text[200];
	struct buf b = { 0 };
	size_t n;
	FILE *f;

	(void)state;
	snprintf(name, sizeof name, "/tmp/conf_test.%d", (int)getpid());
	f = fopen(name, "w");
	assert_non_null(f);
	fputs("geheim\n", f);
	fclose(f);
	snprintf(text, sizeof text, "[main]\npassword = file:%s\n", name);
	c = read_text(text, &s);
	conf_problems(c, &n);
	assert_int_equal(n, 0);
	assert_string_equal(s.secret, "geheim");
	conf_show(c, CONF_SHOW_ORIGIN, &b);
	assert_null(strstr(b.p, "geheim"));
	assert_non_null(strstr(b.p, "password = ***\n"));
	conf_free(c);
	setenv("CREDENTIALS_DIRECTORY", "/tmp", 1);
	snprintf(text, sizeof text, "[main]\npassword = cred:%s\n", name + 5);
	c = read_text(text, &s);
	conf_problems(c, &n);
	assert_int_equal(n, 0);
	assert_string_equal(s.secret, "geheim");
	conf_free(c);
	unsetenv("CREDENTIALS_DIRECTORY");
	expect_problems(text, "needs $CREDENTIALS_DIRECTORY", NULL);
	unlink(name);
	expect_problems("[main]\npassword = file:/nonexistent/pw\n",
		"could not open \"/nonexistent/pw\"", NULL);
	expect_problems("[main]\npassword = file:pw\n", "must name an absolute path", NULL);
	buf_free(&b);
}

static void test_show_reads_again(void **state)
{
	struct plain s, again;
	struct conf *c =
		read_text("[limits]\nlist = A\n  B\nkeep=forever\n[store q]\nzone = Z\n", &s);
	struct buf b = { 0 };
	size_t n;

	(void)state;
	conf_show(c, CONF_SHOW_HELP | CONF_SHOW_ORIGIN | CONF_SHOW_NAMES, &b);
	assert_non_null(strstr(b.p, "[store q]\n"));
	assert_non_null(strstr(b.p, ".conf:2\nlist = A B\n"));
	conf_free(c);
	c = read_text(b.p, &again);
	conf_problems(c, &n);
	assert_int_equal(n, 0);
	assert_int_equal(again.list.n, 2);
	assert_int_equal(again.months, 0);
	conf_free(c);
	unlink(path);
	buf_clear(&b);
	c = conf_read(&schema, NULL, &s);
	conf_show(c, CONF_SHOW_NAMES, &b);
	assert_non_null(strstr(b.p, "[store NAME]\ntokens =\nzone = UTC\n"));
	conf_free(c);
	buf_free(&b);
}

static void on_kept(void *arg, const char *section, const char *key)
{
	struct buf *b = arg;

	buf_printf(b, "%s.%s ", section, key);
}

static void test_fixed_options_stay(void **state)
{
	struct plain s1, s2;
	struct conf *c1 = read_text("[main]\nname = one\n[limits]\nbatch_max = 1\n", &s1);
	struct conf *c2 = read_text("[main]\nname = two\n[limits]\nbatch_max = 2\n", &s2);
	struct buf b = { 0 };

	(void)state;
	conf_keep_fixed(c2, c1, on_kept, &b);
	conf_free(c1);
	assert_string_equal(b.p, "main.name ");
	assert_string_equal(s2.name, "one");
	assert_int_equal(s2.batch, 2);
	conf_complain(c2, "limits", NULL, "batch_max", "must be odd");
	conf_complain(c2, "limits", NULL, "wait", "must be short");
	buf_clear(&b);
	{
		size_t n;
		const struct err *e = conf_problems(c2, &n);

		assert_int_equal(n, 2);
		assert_non_null(strstr(
			e[0].text, ":4: option \"batch_max\" in section [limits]: must be odd"));
		assert_non_null(strstr(
			e[1].text, ":3: option \"wait\" in section [limits]: must be short"));
	}
	conf_free(c2);
	buf_free(&b);
	unlink(path);
}

static void test_long_list(void **state)
{
	struct plain s;
	struct buf b = { 0 };
	struct conf *c;
	size_t n;

	(void)state;
	buf_str(&b, "[limits]\nlist =");
	for (int i = 0; i < 1500; i++)
		buf_str(&b, " ABCDEFG");
	buf_str(&b, "\n");
	c = read_text(b.p, &s);
	conf_problems(c, &n);
	assert_int_equal(n, 0);
	assert_int_equal(s.list.n, 1500);
	conf_free(c);
	for (int i = 0; i < 3000; i++)
		buf_str(&b, " ABCDEFG");
	expect_problems(b.p, ":3: line is longer than", NULL);
	buf_free(&b);
}

static void test_suggestions(void **state)
{
	static const char *const list[] = { "order.placed", "order.paid", "cart.updated", NULL };

	(void)state;
	assert_string_equal(suggest_word("order.plased", list), "order.placed");
	assert_string_equal(suggest_word("odrer.paid", list), "order.paid");
	assert_null(suggest_word("banana", list));
	assert_null(suggest_word("x", list));
	assert_null(suggest_word("foo", (const char *const[]){ "mon", "for us", NULL }));
	assert_null(suggest_word("", list));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_show_reads_again),
		cmocka_unit_test(test_fixed_options_stay),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_suggestions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
