/* ctl_set.c: `nudgectl migrate`, `reload`, `rules` and `status`: the schema, the rule set, what is switched off. */
#include "base/mem.h"
#include "db/schema.h"
#include "main/activate.h"
#include "main/ctl.h"
#include "main/ctl_db.h"
#include "main/rule_check.h"
#include "main/settings.h"

#include <stdio.h>
#include <string.h>

/*** migrate ***/

static void ctl_migrate_say(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

int ctl_migrate(const struct ctl_env *env, int argc, char **argv)
{
	struct err err = { 0 };

	(void)argv;
	if (argc != 1)
		return ctl_usage("migrate");
	if (!schema_migrate(env->settings->database.dsn, schema_dir(), ctl_migrate_say, NULL, &err))
		return ctl_fail("migrate", &err);
	return CTL_OK;
}

/*** reload ***/

static void ctl_reload_problem(void *arg, enum lint_severity severity, const struct err *err)
{
	*(size_t *)arg += severity == LINT_ERROR;
	fprintf(stderr, "%s: %s\n", lint_severity_name(severity), err->text);
	if (*err->hint)
		fprintf(stderr, "  hint: %s\n", err->hint);
}

/* Puts the checked set in place. */
static bool ctl_reload_activate(
	const struct ctl_env *env, struct rule_set *set, struct activate_done *ret, struct err *err)
{
	struct block *b = ctl_db_open(env, err);
	struct activate_by by;
	bool ok;

	if (b == NULL)
		return false;
	activate_by_init(&by, ctl_db_who(), env->settings);
	ok = activate(b, set, ACTIVATE_ASKED, &by, ret, err);
	block_close(b);
	if (ok)
		printf("rule set %lld %s, %.12s\n", (long long)ret->id,
			ret->changed ? "is current now" : "is current already", set->hash);
	return ok;
}

/* Checks and activates, once. */
static int ctl_reload_once(const struct ctl_env *env, struct activate_done *ret)
{
	size_t problems = 0;
	struct rule_check_what what = { .rules_dir = env->settings->nudged.rules_dir,
		.templates_dir = env->settings->nudged.templates_dir,
		.settings = env->settings,
		.tests = true,
		.problem = ctl_reload_problem,
		.arg = &problems };
	struct rule_check_sum sum;
	struct rule_set set;
	struct arena a = { 0 };
	struct err err = { 0 };
	int code = CTL_OK;

	if (!rule_check(&what, &a, &set, &sum, &err)) {
		fprintf(stderr, "nudgectl reload: refused, nothing was changed (%zu problem%s)\n",
			problems, problems == 1 ? "" : "s");
		code = CTL_FAILED;
	} else {
		printf("%zu rules in %zu files, %zu templates, %zu tests passed\n", sum.rules,
			sum.files, sum.templates, sum.tests);
		if (!ctl_reload_activate(env, &set, ret, &err))
			code = ctl_fail("reload", &err);
	}
	arena_fini(&a);
	return code;
}

int ctl_reload(const struct ctl_env *env, int argc, char **argv)
{
	struct activate_done done = { .outdated = true };
	int code = CTL_FAILED;

	(void)argv;
	if (argc != 1)
		return ctl_usage("reload");
	for (int i = 0; i < ACTIVATE_TRIES && code != CTL_OK && done.outdated; i++) {
		done.outdated = false;
		code = ctl_reload_once(env, &done);
	}
	return code;
}

/*** rules ***/

static bool ctl_rules_list(struct block *b, struct err *err)
{
	struct db_rows *rows = NULL;
	char at[CTL_TIME_SIZE];

	if (!block_exec_plain(b, SQL_SUSPENDED_LIST, &rows, err))
		return false;
	if (db_rows_count(rows) == 0)
		puts("no rule is suspended");
	for (size_t i = 0; i < db_rows_count(rows); i++)
		printf("%.*s  suspended since %s: %.*s\n", SPAN_ARG(db_rows_text(rows, i, 0)),
			ctl_db_show_time(db_rows_time(rows, i, 2), at),
			SPAN_ARG(db_rows_text(rows, i, 1)));
	block_rows_free(rows);
	return true;
}

static void ctl_rules_fill(struct bind *bind, unsigned first, const void *rule)
{
	bind_text(bind, first, span_of(rule));
}

/* Takes the suspension off; *ret_was: there was one. */
static bool ctl_rules_lift(struct block *b, const char *rule, bool *ret_was, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	bool ok = ctl_db_begin(b, err);

	bind_begin(&bind, SQL_SUSPENDED_END);
	bind_text(&bind, 0, span_of(rule));
	if (ok) {
		ok = block_exec(b, &bind, &rows, err) &&
		     ctl_db_audit(b, "rules resume", rule, NULL, err);
		if (rows != NULL)
			*ret_was = db_rows_count(rows) > 0;
		block_rows_free(rows);
		ok = ctl_db_end(b, ok, err);
	}
	bind_fini(&bind);
	return ok;
}

/* First the switch, then the chains: an engine that has not seen the switch yet would suspend them again, so those
 * batches are waited for, too. */
static bool ctl_rules_resume(struct block *b, const char *rule, struct err *err)
{
	const struct ctl_db_sweep sweep = { SQL_SUSPENDED_LOCK, SQL_SUSPENDED_WAKE, ctl_rules_fill,
		rule };
	bool was = false;
	size_t n = 0;

	if (!ctl_rules_lift(b, rule, &was, err) || !ctl_db_settle(b, err) ||
		!ctl_db_sweep(b, &sweep, &n, err))
		return false;
	if (was)
		printf("rule \"%s\" runs again, %zu chains go on\n", rule, n);
	else
		printf("rule \"%s\" was not suspended, %zu chains go on\n", rule, n);
	return true;
}

int ctl_rules(const struct ctl_env *env, int argc, char **argv)
{
	bool resume = argc == 3 && strcmp(argv[1], "resume") == 0;
	struct err err = { 0 };
	struct block *b;
	bool ok;

	if (argc != 1 && !resume && !(argc == 2 && strcmp(argv[1], "list") == 0))
		return ctl_usage("rules");
	if ((b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("rules", &err);
	ok = resume ? ctl_rules_resume(b, argv[2], &err) : ctl_rules_list(b, &err);
	block_close(b);
	return ok ? CTL_OK : ctl_fail("rules", &err);
}

/*** status ***/

static bool ctl_status_set(struct block *b, struct err *err)
{
	struct db_rows *rows = NULL;
	char at[CTL_TIME_SIZE];

	if (!block_exec_plain(b, SQL_SET_IS, &rows, err))
		return false;
	if (db_rows_null(rows, 0, 1))
		puts("no rule set is active yet");
	else
		printf("rule set %lld, %.12s, activated %s by %.*s on %.*s\n",
			(long long)db_rows_i64(rows, 0, 0), db_rows_text(rows, 0, 1).p,
			ctl_db_show_time(db_rows_time(rows, 0, 4), at),
			SPAN_ARG(db_rows_text(rows, 0, 3)), SPAN_ARG(db_rows_text(rows, 0, 2)));
	block_rows_free(rows);
	return true;
}

static bool ctl_status_counts(struct block *b, struct err *err)
{
	struct db_rows *rows = NULL;

	if (!block_exec_plain(b, SQL_STATUS, &rows, err))
		return false;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		printf("%-24.*s %lld\n", SPAN_ARG(db_rows_text(rows, i, 1)),
			(long long)db_rows_i64(rows, i, 2));
	block_rows_free(rows);
	return true;
}

int ctl_status(const struct ctl_env *env, int argc, char **argv)
{
	struct err err = { 0 };
	struct block *b;
	bool ok;

	(void)argv;
	if (argc != 1)
		return ctl_usage("status");
	if ((b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("status", &err);
	ok = ctl_status_set(b, &err) && ctl_pauses_show(b, &err) && ctl_rules_list(b, &err) &&
	     ctl_status_counts(b, &err);
	block_close(b);
	return ok ? CTL_OK : ctl_fail("status", &err);
}
