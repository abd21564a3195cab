#ifndef ENGINE_LINT_H
#define ENGINE_LINT_H
/*
 * Looks over rules that load: what would go wrong when they run, or most likely means something else than it
 * says.  Names file, line, the wrong word and the likely right one.
 *
 * Errors are what is certain to fail when that line runs: unknown fields of calls, of `customer` and of
 * `event.meta`, a text compared with a number, outcomes that a handle does not have, templates, groups and managers that do not exist, times
 * and durations that can not be read, acting in `when`.  A set with an error is not put in place.
 * Warnings are what may be meant so: fields that the vocabulary does not have (a shop may send its own),
 * statements that are never reached, an exit_on or `on` without the rule's key, rules that start each other
 * in a loop, marketing mail without a link to unsubscribe, waits that are none or very long, messages that the
 * configuration has nobody for.
 *
 * Only what stands in the text is judged (a template's name that is computed is not); so nothing is found does
 * not mean that nothing is wrong, but what is found is.  Pure; everything is given back at the end.
 */
#include "base/err.h"

struct judge;
struct rule_set;

enum lint_severity { LINT_WARNING, LINT_ERROR };
const char *lint_severity_name(enum lint_severity s); /* "warning", "error" */

/* A problem: "abandoned-cart.lua:12: unknown field ...".  Lent during the call. */
typedef void lint_problem_fn(void *arg, enum lint_severity severity, const struct err *problem);

struct lint_env {
	bool no_mail, no_publish; /* the configuration has nobody to hand these over */
};

/* Calls back for each problem, file by file in the order of the lines; what is about several rules at the end.
 * j was made from the set; what its environment does not have (staff NULL) is not checked. */
void lint_rules(struct judge *j, const struct rule_set *set, const struct lint_env *env,
	lint_problem_fn *problem, void *arg);

#endif
