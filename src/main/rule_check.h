#ifndef MAIN_RULE_CHECK_H
#define MAIN_RULE_CHECK_H
/*
 * Checks a rule set as a whole, without a database and without changing anything: the files can be read, every
 * rule loads and is linted (engine/lint), every template parses and uses names that exist, the rules' own tests
 * pass.  The same for `nudged --check`, for reloads and for `nudgectl check` and `test`.  Warnings do not make a set
 * wrong, unless it is asked for.
 */
#include "base/err.h"
#include "base/mem.h"
#include "engine/lint.h"
#include "model/rule_set.h"

#include <stddef.h>

struct settings;

struct rule_check_what {
	const char *rules_dir, *templates_dir; /* templates_dir NULL: none */
	const struct settings *settings;       /* stores, managers; NULL: a built-in store */
	bool tests;                            /* run the rules' own tests too */
	bool strict;                           /* warnings are errors */
	/* Tell of warnings in these files only (paths or ends of paths); n_only == 0: all. */
	char *const *only;
	size_t n_only;
	/* Each thing found, in order; the first error is the one that rule_check gives.  May be NULL. */
	void (*problem)(void *arg, enum lint_severity severity, const struct err *err);
	void *arg;
};

struct rule_check_sum {
	size_t files, rules, templates, tests, warnings;
};

/* The whole set stands in *ret_set afterwards, in memory of a.  False: err is the first error. */
bool rule_check(const struct rule_check_what *what, struct arena *a, struct rule_set *ret_set,
	struct rule_check_sum *ret_sum, struct err *err) MUST_CHECK;

#endif
