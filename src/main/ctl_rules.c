/* ctl_rules.c: `nudgectl check` and `nudgectl test`: no database, the same engine. */
#include "base/json.h"
#include "main/ctl.h"
#include "main/rule_check.h"
#include "main/rule_files.h"
#include "main/rule_test.h"
#include "main/settings.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ctl_rules {
	const char *rules_dir, *templates_dir;
	bool verbose, strict;
};

/* Where rules and templates are: options, else the configuration, else ./rules and ./templates. */
static bool ctl_rules_dirs(const struct ctl_env *env, int argc, char **argv, struct ctl_rules *ret)
{
	static const struct option options[] = { { "rules", required_argument, NULL, 'r' },
		{ "templates", required_argument, NULL, 't' }, { "strict", no_argument, NULL, 's' },
		{ "verbose", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 } };
	int c;

	*ret = (struct ctl_rules){ .rules_dir = "rules", .templates_dir = NULL };
	if (env->settings != NULL) {
		ret->rules_dir = env->settings->nudged.rules_dir;
		ret->templates_dir = env->settings->nudged.templates_dir;
	} else if (access("templates", R_OK) == 0) {
		ret->templates_dir = "templates";
	}
	while ((c = getopt_long(argc, argv, "v", options, NULL)) != -1)
		switch (c) {
		case 'r': ret->rules_dir = optarg; break;
		case 't': ret->templates_dir = optarg; break;
		case 's': ret->strict = true; break;
		case 'v': ret->verbose = true; break;
		default: return false;
		}
	return true;
}

static void ctl_check_problem(void *arg, enum lint_severity severity, const struct err *err)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n", lint_severity_name(severity), err->text);
	if (*err->hint)
		fprintf(stderr, "  hint: %s\n", err->hint);
}

int ctl_check(const struct ctl_env *env, int argc, char **argv)
{
	struct ctl_rules where;
	struct rule_check_what what = { .settings = env->settings, .problem = ctl_check_problem };
	struct rule_check_sum sum;
	struct rule_set set;
	struct arena a = { 0 };
	struct err err = { 0 };
	bool ok;

	if (!ctl_rules_dirs(env, argc, argv, &where))
		return ctl_usage("check");
	what.strict = where.strict;
	what.only = argv + optind;
	what.n_only = (size_t)(argc - optind);
	what.rules_dir = where.rules_dir;
	what.templates_dir = where.templates_dir;
	ok = rule_check(&what, &a, &set, &sum, &err);
	if (ok)
		printf("%zu rules in %zu files and %zu templates are right, %zu warning%s\n",
			sum.rules, sum.files, sum.templates, sum.warnings,
			sum.warnings == 1 ? "" : "s");
	arena_fini(&a);
	return ok ? CTL_OK : CTL_FAILED;
}

struct ctl_test {
	bool verbose;
	size_t failed;
};

static void ctl_test_report(void *arg, struct span file, const char *name, const char *why)
{
	struct ctl_test *t = arg;

	if (why != NULL)
		printf("FAILED %.*s: %s\n    %s\n", SPAN_ARG(file), name, why);
	else if (t->verbose)
		printf("passed %.*s: %s\n", SPAN_ARG(file), name);
}

/* Is the file one of those named on the command line (by its path or the end of it)? */
static bool ctl_test_named(struct span path, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		size_t n = strlen(argv[i]);

		if (n >= path.n ? strcmp(argv[i] + n - path.n, path.p) == 0
				: memcmp(path.p + path.n - n, argv[i], n) == 0)
			return true;
	}
	return argc == 0;
}

static bool ctl_test_run(const struct ctl_env *env, const struct ctl_rules *where, int argc,
	char **argv, struct arena *a, struct rule_test_sum *ret_sum, struct err *err)
{
	const struct settings *s = env->settings;
	struct ctl_test t = { .verbose = where->verbose };
	struct rule_test_env test = { .shops = s ? s->shops : NULL,
		.n_shops = s ? s->nshops : 0,
		.staff = s ? &s->staff : NULL,
		.report = ctl_test_report,
		.arg = &t };
	struct rule_file *files;
	struct rule_set set;
	size_t n, kept = 0;

	if (!rule_files_read(where->rules_dir, where->templates_dir, a, &set, err) ||
		!rule_files_tests(where->rules_dir, a, &files, &n, err))
		return false;
	for (size_t i = 0; i < n; i++)
		if (ctl_test_named(files[i].path, argc, argv))
			files[kept++] = files[i];
	if (kept == 0)
		return err_set(err, "found no tests in \"%s\"%s", where->rules_dir,
			argc ? " with these names" : "");
	return rule_test_run(&test, &set, files, kept, ret_sum, err);
}

int ctl_test(const struct ctl_env *env, int argc, char **argv)
{
	struct ctl_rules where;
	struct rule_test_sum sum = { 0, 0 };
	struct arena a = { 0 };
	struct err err = { 0 };
	int code = CTL_OK;

	if (!ctl_rules_dirs(env, argc, argv, &where))
		return ctl_usage("test");
	if (!ctl_test_run(env, &where, argc - optind, argv + optind, &a, &sum, &err)) {
		code = ctl_fail("test", &err);
	} else {
		printf("%zu passed, %zu failed\n", sum.passed, sum.failed);
		code = sum.failed ? CTL_FAILED : CTL_OK;
	}
	arena_fini(&a);
	return code;
}
