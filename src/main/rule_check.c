/*
 * rule_check.c: cheap checks first; a set that does not load is not tested.  Templates are all looked at even when
 * one is wrong: a marketer mends a folder in one go.
 */
#include "main/rule_check.h"

#include "base/json.h"
#include "base/now.h"
#include "base/planted.h"
#include "engine/judge.h"
#include "engine/liquid.h"
#include "main/rule_files.h"
#include "main/rule_test.h"
#include "main/settings.h"

#include <stdio.h>
#include <string.h>

/* What every template may use beside what it makes itself. */
static const char *const rule_check_roots[] = { "customer", "event", "store", "with",
	"unsubscribe_url", NULL };

struct rule_check {
	const struct rule_check_what *what;
	struct rule_check_sum sum;
	struct err *err;
	bool failed;
};

/* Keeps the first problem as the error, hands out all. */
static void rule_check_problem(struct rule_check *c, const struct err *e)
{
	if (!c->failed && c->err != NULL)
		*c->err = *e;
	c->failed = true;
	if (c->what->problem != NULL)
		c->what->problem(c->what->arg, LINT_ERROR, e);
}

/* Does the problem stand in one of the files that were asked for? */
static bool rule_check_is_wanted(const struct rule_check *c, const char *problem)
{
	size_t n = strcspn(problem, ":");

	for (size_t i = 0; i < c->what->n_only; i++) {
		struct span name = span_of(c->what->only[i]);
		struct span file = { problem, n };
		size_t least = name.n < n ? name.n : n;

		if (memcmp(name.p + name.n - least, file.p + n - least, least) == 0)
			return true;
	}
	return c->what->n_only == 0;
}

static void rule_check_linted(void *arg, enum lint_severity severity, const struct err *e)
{
	struct rule_check *c = arg;

	if (severity == LINT_ERROR || (c->what->strict && rule_check_is_wanted(c, e->text))) {
		rule_check_problem(c, e);
		return;
	}
	if (!rule_check_is_wanted(c, e->text))
		return;
	c->sum.warnings++;
	if (c->what->problem != NULL)
		c->what->problem(c->what->arg, severity, e);
}

static void rule_check_part(
	struct rule_check *c, const struct template_text *t, const char *part, struct span text)
{
	struct arena a = { 0 };
	struct err e = { 0 };
	const char *name = arena_printf(&a, "%s/%.*s.%.*s.%s",
		c->what->templates_dir ? c->what->templates_dir : "templates", SPAN_ARG(t->name),
		SPAN_ARG(t->lang), part);
	struct liquid *l = liquid_parse(text, name, &a, &e);

	if (l == NULL || !liquid_check_roots(l, rule_check_roots, &e))
		rule_check_problem(c, &e);
	arena_fini(&a);
}

static void rule_check_templates(struct rule_check *c, const struct rule_set *set)
{
	static const char *const parts[] = { "html", "txt", "sms" };
	struct arena a = { 0 };
	struct span text;

	for (size_t i = 0; i < set->n_templates; i++) {
		for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
			if (json_get(set->templates[i].body, span_of(parts[k]), &text))
				rule_check_part(
					c, &set->templates[i], parts[k], json_text(text, &a));
		arena_reset(&a);
	}
	arena_fini(&a);
	c->sum.templates = set->n_templates;
}

static void rule_check_count(
	void *arg, const char *name, const char *about, const char *file, int line)
{
	(void)name;
	(void)about;
	(void)file;
	(void)line;
	++*(size_t *)arg;
}

/* A file that never ends is told, as the engine would. */
static int64_t rule_check_ticks(void *arg)
{
	(void)arg;
	return clock_mono_us();
}

static bool rule_check_load(struct rule_check *c, const struct rule_set *set)
{
	const struct settings *s = c->what->settings;
	struct judge_env env = { .shops = s ? s->shops : NULL,
		.n_shops = s ? s->nshops : 0,
		.staff = s ? &s->staff : NULL,
		.is_test = true,
		.ticks_us = rule_check_ticks };
	const struct lint_env lint = { .no_mail = s && !s->mail.couriers,
		.no_publish = s && !s->publish.couriers };
	struct err e = { 0 };
	struct judge *j;

	judge_limits_default(&env.limits);
	if ((j = judge_new(&env, set, &e)) == NULL) {
		rule_check_problem(c, &e);
		return false;
	}
	judge_each_rule(j, rule_check_count, &c->sum.rules);
	lint_rules(j, set, &lint, rule_check_linted, c);
	judge_free(j);
	c->sum.files = set->n_texts;
	return true;
}

static void rule_check_tested(void *arg, struct span file, const char *name, const char *why)
{
	struct err e = { 0 };

	if (why == NULL)
		return;
	err_set(&e, "%.*s: test \"%s\" failed: %s", SPAN_ARG(file), name, why);
	rule_check_problem(arg, &e);
}

static void rule_check_tests(struct rule_check *c, const struct rule_set *set, struct arena *a)
{
	const struct settings *s = c->what->settings;
	struct rule_test_env env = { .shops = s ? s->shops : NULL,
		.n_shops = s ? s->nshops : 0,
		.staff = s ? &s->staff : NULL,
		.report = rule_check_tested,
		.arg = c };
	struct rule_test_sum sum = { 0, 0 };
	struct rule_file *files;
	struct err e = { 0 };
	size_t n;

	if (!rule_files_tests(c->what->rules_dir, a, &files, &n, &e) ||
		!rule_test_run(&env, set, files, n, &sum, &e))
		rule_check_problem(c, &e);
	c->sum.tests = sum.passed;
}

bool rule_check(const struct rule_check_what *what, struct arena *a, struct rule_set *ret_set,
	struct rule_check_sum *ret_sum, struct err *err)
{
	struct rule_check c = { .what = what, .err = err };
	struct err e = { 0 };

	if (!rule_files_read(what->rules_dir, what->templates_dir, a, ret_set, &e)) {
		rule_check_problem(&c, &e);
		return false;
	}
	rule_check_templates(&c, ret_set);
	if (rule_check_load(&c, ret_set) && what->tests && !c.failed)
		rule_check_tests(&c, ret_set, a);
	*ret_sum = c.sum;
	return !c.failed || PLANTED(load_broken);
}
