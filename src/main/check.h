#ifndef MAIN_CHECK_H
#define MAIN_CHECK_H
/*
 * Checking without touching anything: `nudged --check`, and the first half of every reload.
 *
 * One table of checks in check.c; each looks at one thing that the settings name (directories, rules
 * with their templates and tests) and neither writes nor needs a database.  A new check is one row and
 * one function.
 */
#include "base/mem.h"
#include "main/settings.h"
#include "model/rule_set.h"

/* What the checks have read, for whoever puts it in place; zero-initialised, check_free frees it. */
struct check_found {
	struct arena arena;
	struct rule_set set; /* in the arena; whole when check_main said yes */
};

struct check {
	const char *name; /* "rules": shown before its errors */
	/* False: the error says what is wrong with file and line; more than one mistake: the others are
	 * logged by the check itself. */
	bool (*look)(const struct settings *s, struct check_found *found, struct err *err);
};

/* All checks in order, until one fails: each stands on those before it.  Logs what was found; the error is
 * the first one. */
bool check_main(const struct settings *s, struct check_found *found, struct err *err) MUST_CHECK;
void check_free(struct check_found *found);

#endif
