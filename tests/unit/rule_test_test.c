/*
 * rule_test_test.c: what a marketer is told by `nudgectl test`: the failed expectation with its line and with what
 * there was instead; a test of a rule that never ends does.
 */
#include "base/log.h"
#include "main/rule_files.h"
#include "main/rule_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char why[1100]; /* why the last test failed; "": it passed */

static void report(void *arg, struct span file, const char *name, const char *text)
{
	(void)arg;
	(void)file;
	(void)name;
	snprintf(why, sizeof why, "%s", text ? text : "");
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_non_null(f = fopen(path, "w"));
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* Runs one test (the body of its function) against the rules, as files in a directory; the answer is `why`. */
static void run(const char *rules, const char *body)
{
	char dir[] = "/tmp/rule_test.XXXXXX", text[2000], path[200];
	struct rule_test_env env = { .report = report, .test_us = INT64_C(2000000) };
	struct rule_test_sum sum;
	struct arena a = { 0 };
	struct rule_set set;
	struct rule_file *files;
	struct err err = { 0 };
	size_t n;

	assert_non_null(mkdtemp(dir));
	snprintf(text, sizeof text,
		"test \"it\" (function(t)\nlocal anna = t:customer { email = \"anna@example.com\" "
		"}\n%s\nend)\n",
		body);
	put(dir, "a.lua", rules);
	put(dir, "a_test.lua", text);
	if (!rule_files_read(dir, NULL, &a, &set, &err) ||
		!rule_files_tests(dir, &a, &files, &n, &err) ||
		!rule_test_run(&env, &set, files, n, &sum, &err))
		snprintf(why, sizeof why, "%s", err.text);
	else
		assert_int_equal(sum.passed + sum.failed, 1);
	arena_fini(&a);
	snprintf(path, sizeof path, "%s/a.lua", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/a_test.lua", dir);
	unlink(path);
	rmdir(dir);
}

static void says(const char *text)
{
	if (strcmp(why, text) != 0)
		fail_msg("\"%s\", not \"%s\"", why, text);
}

static const char tasker[] = "rule \"r\" { on = \"x\", run = function(e)\n"
			     "  task { title = \"T\", order = e.order }\n"
			     "  wait \"1h\"\n"
			     "  note \"later\"\n"
			     "end }\n";

static void good_tests_pass(void **state)
{
	(void)state;
	run(tasker, "anna:event(\"x\", { order = 5 })\n"
		    "t:same(t:expect { task = \"T\" }.order, \"5\")\n"
		    "t:expect_none()");
	says("");
}

/* Two people whom the store says to be one, as in production: one chain of mode single, one card. */
static void cards_are_joined(void **state)
{
	(void)state;
	run("rule \"r\" { on = \"x\", mode = \"single\", run = function(e)\n"
	    "  wait \"1h\"\n  note \"later\"\nend }\n",
		"local boris = t:customer { id = \"b\", email = \"boris@example.com\" }\n"
		"local old = t:customer { id = \"o\", email = \"old@example.com\" }\n"
		"old:event(\"x\")\n"
		"boris:event(\"customer.merged\", { previous_id = \"o\" })\n"
		"boris:event(\"x\")\nold:event(\"x\")\nt:advance \"1h\"\n"
		"t:same(t:notes(), { \"later\" })\n"
		"t:same(boris:card().id, old:card().id)");
	says("");
}

static void no_rule_joins_cards(void **state)
{
	(void)state;
	run("rule \"r\" { on = \"x\", run = function(e)\n"
	    "  emit(e.what, { previous_id = \"o\" })\nend }\n",
		"anna:event(\"x\", { what = \"customer.merged\" })\nt:same(t:errors \"r\", {})");
	assert_non_null(strstr(why, "joined by a store's own customer.merged only"));
}

static void failures_name_the_line_and_what_there_was(void **state)
{
	(void)state;
	run(tasker, "anna:event(\"x\")\nt:expect { task = \"U\" }");
	says("a_test.lua:4: expected {\"task\":\"U\"}, but there was: task \"T\"");
	run(tasker, "t:expect { task = \"T\" }");
	says("a_test.lua:3: expected {\"task\":\"T\"}, but there was: nothing");
	run(tasker, "anna:event(\"x\")\nt:expect_none()");
	says("a_test.lua:4: expected nothing, but there was: task \"T\"");
	run(tasker, "anna:event(\"x\")\nt:advance \"1h\"\nt:same(t:notes(), { \"soon\" }, \"it\")");
	says("a_test.lua:5: it is [\"later\"], not [\"soon\"]");
}

static void mistakes_in_tests_are_explained(void **state)
{
	(void)state;
	run(tasker, "t:advance \"soon\"");
	says("a_test.lua:3: no number in duration \"soon\"; write it like \"1h30m\"");
	run(tasker, "t:expect {}");
	says("a_test.lua:3: bad argument #1 to 'expect' (name what is expected: { email = "
	     "\"template\" }, { task = \"title\" } or { publish = \"topic\" })");
	run(tasker, "t:at \"2020-01-01 10:00\"");
	says("a_test.lua:3: \"2020-01-01 10:00\" has passed already");
	run(tasker, "anna:event(\"x\", {}, { store = \"nowhere\" })");
	says("a_test.lua:3: there is no store \"nowhere\"");
	run(tasker, "emial()");
	says("a_test.lua:3: unknown name \"emial\"; a variable needs \"local\" where it is made");
}

static void errors_of_rules_are_shown(void **state)
{
	(void)state;
	run("rule \"r\" { on = \"x\", run = function(e)\n  return e.a.b\nend }\n",
		"anna:event(\"x\")\nt:expect { task = \"T\" }");
	assert_non_null(strstr(why, "expected {\"task\":\"T\"}, but there was: verdicts on x: "));
	assert_non_null(strstr(why, "a.lua:2: attempt to index a nil value (field 'a')"));
}

static void an_endless_rule_ends(void **state)
{
	(void)state;
	run("rule \"r\" { on = \"x\", run = function(e)\n  while true do end\nend }\n",
		"anna:event(\"x\")\nt:same(#t:errors \"r\", 1)\nt:same(t:chains \"r\", {})");
	says("");
}

static void an_endless_test_or_file_ends(void **state)
{
	(void)state;
	run(tasker, "while true do end");
	says("a_test.lua:3: ran longer than 2000 ms");
	run(tasker, "end)\nwhile true do end\ntest \"more\" (function(t)");
	says("a_test.lua:4: ran longer than 2000 ms");
	run("local n = 0\nwhile true do n = n + 1 end\n", "");
	says("a.lua:2: ran longer than 100 ms");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_tests_pass),
		cmocka_unit_test(cards_are_joined),
		cmocka_unit_test(no_rule_joins_cards),
		cmocka_unit_test(failures_name_the_line_and_what_there_was),
		cmocka_unit_test(mistakes_in_tests_are_explained),
		cmocka_unit_test(errors_of_rules_are_shown),
		cmocka_unit_test(an_endless_rule_ends),
		cmocka_unit_test(an_endless_test_or_file_ends),
	};

	log_open("rule_test_test", LOG_LOGFMT, LOG_LVL_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
