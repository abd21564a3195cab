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
static bool check_directories(const struct settings *s, struct check_found *found, struct err *err)
{
	(void)found;
	return check_directory("rules", s->nudged.rules_dir, err) &&
	       check_directory("templates", s->nudged.templates_dir, err);
}

/* The first error is the check's error, which check_main logs. */
struct check_rules {
	size_t n;
};

static void check_rules_problem(void *arg, enum lint_severity severity, const struct err *err)
{
	struct check_rules *r = arg;

	switch (severity) {
	case LINT_WARNING:
		log_warning(
			&check_log, "rules: %s%s%s", err->text, *err->hint ? "; " : "", err->hint);
		break;
	case LINT_ERROR:
		if (r->n++ > 0)
			log_error(&check_log, "rules: %s%s%s", err->text, *err->hint ? "; " : "",
				err->hint);
		break;
	}
}

/* They load and are linted, their templates parse, their own tests pass. */
static bool check_rules(const struct settings *s, struct check_found *found, struct err *err)
{
	struct check_rules r = { 0 };
	const struct rule_check_what what = { .rules_dir = s->nudged.rules_dir,
		.templates_dir = s->nudged.templates_dir,
		.settings = s,
		.tests = true,
		.problem = check_rules_problem,
		.arg = &r };
	struct rule_check_sum sum;
	bool ok;

	log_set_level(LOG_LVL_WARNING); /* each test is a small daemon with its own life to tell */
	ok = rule_check(&what, &found->arena, &found->set, &sum, err);
	log_set_level(settings_log_level(s));
	if (!ok)
		return false;
	log_info(&check_log, "rules: %zu rules in %zu files, %zu templates, %zu tests passed",
		sum.rules, sum.files, sum.templates, sum.tests);
	return true;
}

static const struct check check_table[] = {
	{ "directories", check_directories },
	{ "rules", check_rules },
};

bool check_main(const struct settings *s, struct check_found *found, struct err *err)
{
	for (size_t i = 0; i < sizeof check_table / sizeof *check_table; i++) {
		if (check_table[i].look(s, found, err))
			continue;
		log_error(&check_log, "%s: %s%s%s", check_table[i].name, err->text,
			*err->hint ? "; " : "", err->hint);
		return false;
	}
	return true;
}

void check_free(struct check_found *found)
{
	arena_fini(&found->arena);
	found->set = (struct rule_set){ 0 };
}
