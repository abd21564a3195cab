#ifndef MAIN_CHECK_H
#define MAIN_CHECK_H
/*
 * Checking without touching anything: `nudged --check`, and the first half of every reload.
 *
 * One table of checks in check.c; each looks at one thing that the settings name (directories, rules,
 * templates) and neither writes nor needs a database.  A new check is one row and one function.
 */
#include "main/settings.h"

struct check {
	const char *name; /* "rules": shown before its errors */
	/* False: the error says what is wrong with file and line; more than one mistake: the others are
	 * logged by the check itself. */
	bool (*look)(const struct settings *s, struct err *err);
};

/* All checks in order; goes on after a failed one.  Logs what each one found; the error is the first
 * one. */
bool check_main(const struct settings *s, struct err *err) MUST_CHECK;

/* The rule set that the settings name, read and checked whole, its own tests included; in memory of a. */
struct arena;
struct rule_set;
bool check_rules(const struct settings *s, struct arena *a, struct rule_set *ret,
	struct err *err) MUST_CHECK;

#endif
