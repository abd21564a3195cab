/* check.c: the table of what can be checked without a database. */
#include "main/check.h"

#include "main/rule_check.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct log_ctx check_log = { "check", "" };

static bool check_directory(const char *option, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0 || access(path, R_OK | X_OK) != 0) {
		err_set(err, "could not read %s directory \"%s\": %s", option, path,
			strerror(errno));
		return err_hint(err, "make it, or set \"%s\" in section [nudged]", option);
	}
	return S_ISDIR(st.st_mode) ||
	       err_set(err, "%s directory \"%s\" is not a directory", option, path);
}

/* Rules and templates must be where the settings say. */
static bool check_directories(const struct settings *s, struct err *err)
{
	return check_directory("rules", s->nudged.rules_dir, err) &&
	       check_directory("templates", s->nudged.templates_dir, err);
}

static void check_rule_problem(void *arg, const struct err *err)
{
	size_t *seen = arg;

	if ((*seen)++ > 0) /* the first one is the error itself */
		log_error(
			&check_log, "rules: %s%s%s", err->text, *err->hint ? "; " : "", err->hint);
}

bool check_rules(const struct settings *s, struct arena *a, struct rule_set *ret, struct err *err)
{
	size_t seen = 0;
	struct rule_check_what what = { .rules_dir = s->nudged.rules_dir,
		.templates_dir = s->nudged.templates_dir,
		.settings = s,
		.tests = true,
		.problem = check_rule_problem,
		.arg = &seen };
	struct rule_check_sum sum;

	return rule_check(&what, a, ret, &sum, err);
}

/* Rules and templates load, and the rules' own tests pass. */
static bool check_rule_set(const struct settings *s, struct err *err)
{
	struct rule_set set;
	struct arena a = { 0 };
	bool ok = check_rules(s, &a, &set, err);

	arena_fini(&a);
	return ok;
}

static const struct check check_table[] = {
	{ "directories", check_directories },
	{ "rules", check_rule_set },
};

bool check_main(const struct settings *s, struct err *err)
{
	bool ok = true;

	for (size_t i = 0; i < sizeof check_table / sizeof *check_table; i++) {
		struct err e = { 0 };

		if (check_table[i].look(s, &e))
			continue;
		log_error(&check_log, "%s: %s%s%s", check_table[i].name, e.text,
			*e.hint ? "; " : "", e.hint);
		if (ok && err)
			*err = e;
		ok = false;
	}
	return ok;
}
