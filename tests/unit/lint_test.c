/*
 * lint_test.c: what `nudgectl check` says of rules that load.
 *
 * The files of tests/lint say at their end what is to be found in them: `--! LINE: SEVERITY: TEXT`.  Nothing else may
 * be found; in everything.lua, which uses all there is, only that nobody publishes.
 */
#include "base/mem.h"
#include "base/str.h"
#include "engine/lint_tree.h"
#include "main/rig.h"
#include "main/rule_check.h"
#include "main/settings.h"
#include "model/shop.h"
#include "model/staff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINES_MOST = 300 };

struct lines {
	char *v[LINES_MOST];
	size_t n;
};

static const struct staff_group groups[] = {
	{ .name = "sales", .email = "sales@example.com" },
	{ .name = "night", .email = "" },
};
static const struct staff_manager managers[] = {
	{ .name = "maria", .email = "maria@example.com", .phone = "", .head = true },
	{ .name = "paul", .email = "", .phone = "" },
};

static char *path_of(const char *name)
{
	const char *dir = getenv("srcdir");

	return xasprintf("%s/%s", dir ? dir : ".", name);
}

static void add_line(struct lines *l, char *line)
{
	assert_true(l->n < LINES_MOST);
	l->v[l->n++] = line;
}

static void note_problem(void *arg, enum lint_severity severity, const struct err *err)
{
	const char *colon = strchr(err->text, ':');

	assert_non_null(colon);
	colon = strchr(colon + 1, ':');
	assert_non_null(colon);
	add_line(arg, xasprintf("%.*s: %s%s", (int)(colon - err->text), err->text,
			      lint_severity_name(severity), colon));
}

/* Adds what a file says is to be found in it. */
static void read_wanted(const char *name, struct lines *l)
{
	char *in = xasprintf("tests/lint/%s", name), *path = path_of(in), line[400];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (strncmp(line, "--! ", 4) == 0) {
			line[strcspn(line, "\n")] = '\0';
			add_line(l, xasprintf("%s:%s", name, line + 4));
		}
	fclose(f);
	free(path);
	free(in);
}

/* Tells what the one has and the other has not; how many. */
static size_t tell_missing(const struct lines *in, const struct lines *of, const char *what)
{
	size_t n = 0;

	for (size_t i = 0; i < of->n; i++) {
		size_t k = 0;

		while (k < in->n && strcmp(in->v[k], of->v[i]) != 0)
			k++;
		if (k < in->n)
			continue;
		fprintf(stderr, "%s: %s\n", what, of->v[i]);
		n++;
	}
	return n;
}

static void free_lines(struct lines *l)
{
	while (l->n)
		free(l->v[--l->n]);
}

static void check_dir(const char *rules, const char *templates, bool strict, size_t n_shops,
	struct lines *found, bool *ret_ok)
{
	struct shop shops[2] = { rig_shop, rig_shop };
	struct settings settings = { .shops = shops, .nshops = n_shops };
	char *rules_dir = path_of(rules), *templates_dir = path_of(templates);
	struct rule_check_what what = { .rules_dir = rules_dir,
		.templates_dir = templates_dir,
		.settings = &settings,
		.strict = strict,
		.problem = note_problem,
		.arg = found };
	struct rule_check_sum sum;
	struct rule_set set;
	struct arena a = { 0 };
	struct err err = { 0 };

	settings.mail.couriers = 1;
	shops[0].id = "shop";
	shops[0].lang = "en";
	shops[1].id = "second";
	shops[1].lang = "de-AT";
	settings.staff = (struct staff){ managers, 2, groups, 2 };
	*ret_ok = rule_check(&what, &a, &set, &sum, &err);
	arena_fini(&a);
	free(rules_dir);
	free(templates_dir);
}

static void test_what_is_found(void **state)
{
	static const char *const files[] = { "calls.lua", "everything.lua", "fields.lua",
		"flow.lua", "lib/words.lua", "mail.lua", "types.lua" };
	struct lines found = { .n = 0 }, wanted = { .n = 0 };
	size_t wrong;
	bool ok;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		read_wanted(files[i], &wanted);
	check_dir("tests/lint", "tests/lint/templates", false, 2, &found, &ok);
	wrong = tell_missing(&found, &wanted, "not found") +
		tell_missing(&wanted, &found, "not wanted");
	free_lines(&found);
	free_lines(&wanted);
	assert_false(ok);
	assert_int_equal(wrong, 0);
}

/* What we ship has nothing to warn of. */
static void test_shipped(void **state)
{
	struct lines found = { .n = 0 }, none = { .n = 0 };
	bool ok;

	(void)state;
	check_dir("rules", "templates", true, 1, &found, &ok);
	tell_missing(&none, &found, "not wanted");
	free_lines(&found);
	assert_true(ok);
}

/* Rules that work have no errors: their own tests pass (replay_modes_test). */
static void test_no_false_errors(void **state)
{
	struct lines found = { .n = 0 }, none = { .n = 0 };
	bool ok;

	(void)state;
	check_dir("tests/rules", "tests/rules/templates", false, 2, &found, &ok);
	if (!ok)
		tell_missing(&none, &found, "told");
	free_lines(&found);
	assert_true(ok);
}

/* A file that never ends is told, not waited for. */
static void test_endless_file(void **state)
{
	struct lines found = { .n = 0 };
	bool ok;

	(void)state;
	check_dir("tests/data/endless", "templates", false, 1, &found, &ok);
	assert_false(ok);
	assert_int_equal(found.n, 1);
	assert_non_null(strstr(found.v[0], "ran longer than 100 ms"));
	free_lines(&found);
}

/* Whatever is cut off or put in: a tree or none, never a crash. */
static void test_broken_text(void **state)
{
	char *path = path_of("tests/lint/everything.lua"), text[8192];
	FILE *f = fopen(path, "r");
	size_t n;
	int line;

	(void)state;
	assert_non_null(f);
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	free(path);
	for (size_t i = 0; i <= n; i++) {
		struct arena a = { 0 };
		char *cut = xmalloc(i + 1);

		memcpy(cut, text, i);
		(void)lint_parse((struct span){ cut, i }, &a, &line);
		if (i > 10) {
			cut[i - 7] = "(){}[]\"'=-."[i % 11];
			(void)lint_parse((struct span){ cut, i }, &a, &line);
		}
		free(cut);
		arena_fini(&a);
	}
}

/* What Lua takes, the linter takes. */
static void test_goto(void **state)
{
	struct arena a = { 0 };
	int line;

	(void)state;
	assert_non_null(lint_parse(SPAN("do goto l ::l:: end"), &a, &line));
	assert_null(lint_parse(SPAN("do goto l :: end"), &a, &line));
	assert_null(lint_parse(SPAN("::l"), &a, &line));
	arena_fini(&a);
}

/* A carriage return ends a line, too, and a comment with it; the four ends of a line count as one each. */
static void test_ends_of_lines(void **state)
{
	struct arena a = { 0 };
	struct lint_node *tree;
	int line;

	(void)state;
	assert_non_null(lint_parse(SPAN("t=---[\rf"), &a, &line));
	assert_non_null(lint_parse(SPAN("t=[[\r\n]]..'\\\n\r'"), &a, &line));
	tree = lint_parse(SPAN("a = 1\r\nb = 2\n\rc = 3\rd = 4\ne = 5"), &a, &line);
	assert_non_null(tree);
	line = 0;
	for (const struct lint_node *n = tree->kids; n; n = n->next)
		assert_int_equal(n->line, ++line);
	assert_int_equal(line, 5);
	arena_fini(&a);
}

static void test_deep_text(void **state)
{
	struct arena a = { 0 };
	char deep[4096];
	int line;

	(void)state;
	memset(deep, '(', sizeof deep);
	memcpy(deep, "x=", 2);
	assert_null(lint_parse((struct span){ deep, sizeof deep }, &a, &line));
	memset(deep + 2, '{', sizeof deep - 2);
	assert_null(lint_parse((struct span){ deep, sizeof deep }, &a, &line));
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_found),
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_no_false_errors),
		cmocka_unit_test(test_endless_file),
		cmocka_unit_test(test_broken_text),
		cmocka_unit_test(test_goto),
		cmocka_unit_test(test_ends_of_lines),
		cmocka_unit_test(test_deep_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
