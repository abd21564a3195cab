#ifndef MAIN_RULE_CHECK_H
#define MAIN_RULE_CHECK_H
/*
 * Checks a rule set as a whole, without a database and without changing anything: the files can be read, every
 * rule loads, every template parses and uses names that exist, the rules' own tests pass.  The same for
 * `nudged --check`, for reloads and for `nudgectl check` and `test`.
 */
#include "base/err.h"
#include "base/mem.h"
#include "model/rule_set.h"

#include <stddef.h>

struct settings;

struct rule_check_what {
	const char *rules_dir, *templates_dir; /* templates_dir NULL: none */
	const struct settings *settings;       /* stores, managers; NULL: a built-in store */
	bool tests;                            /* run the rules' own tests too */
	/* Each thing found wrong, beyond the first one that the error names; may be NULL. */
	void (*problem)(void *arg, const struct err *err);
	void *arg;
};

struct rule_check_sum {
	size_t files, rules, templates, tests;
};

/* The whole set stands in *ret_set afterwards, in memory of a.  False: err is the first problem. */
bool rule_check(const struct rule_check_what *what, struct arena *a, struct rule_set *ret_set,
	struct rule_check_sum *ret_sum, struct err *err) MUST_CHECK;

#endif
