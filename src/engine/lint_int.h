#ifndef ENGINE_LINT_INT_H
#define ENGINE_LINT_INT_H
/*
 * Between the files of lint: the file that is looked at, and how a problem is told.
 *
 *	lint.c       files and rules: what is found where, in which order it is told
 *	lint_call.c  one node: fields, arguments of calls
 *	lint_type.c  what is compared with what
 *	lint_flow.c  what leads where: lines never reached, acting in `when`, exits, loops
 */
#include "base/map.h"
#include "base/suggest.h"
#include "engine/lint.h"
#include "engine/lint_value.h"
#include "engine/sitting.h"

struct lint_problem {
	enum lint_severity severity;
	int line;
	char *text;
};

/* An event that a rule makes. */
struct lint_emit {
	struct span type;
	bool implied; /* it follows from a mail or a task */
	int line;
	struct lint_emit *next;
};

/* A rule as it was found in the text. */
struct lint_rule {
	const struct rule *rule;
	const char *file;
	struct lint_node *table; /* of its keys */
	struct lint_emit *emits;
	struct lint_rule *next;
};

struct lint {
	struct judge *judge;
	const struct rule_set *set;
	struct lint_env env;
	lint_problem_fn *problem;
	void *arg;
	struct arena arena;
	struct map seen; /* helpers and defaults that were looked at */
	struct lint_rule *rules, **last_rule;
	/* the file */
	const char *file;
	struct lint_bind *binds;
	struct lint_rule *file_rules; /* the first of its rules */
	struct lint_problem *found;
	size_t n_found, cap_found;
};

/* A problem in the file; told when the file is done. */
void lint_say(struct lint *l, enum lint_severity severity, int line, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* "; did you mean "x"?", or "". */
const char *lint_mean(struct lint *l, const struct suggest *s);
/* The text with a NUL behind it. */
const char *lint_string(struct lint *l, struct span s);

/* lint_call.c: a field, a call; rule: inside of which it stands, or NULL. */
void lint_look(struct lint *l, struct lint_node *n, const struct lint_rule *rule);

/* lint_type.c: comparisons in an expression. */
void lint_compare(struct lint *l, const struct lint_node *op);

/* lint_flow.c */
/* Statements that are never reached. */
void lint_flow_block(struct lint *l, const struct lint_node *block);
/* A function that only decides: `when` or `key`. */
void lint_flow_decides(struct lint *l, struct lint_node *function, const char *key);
/* What `run` emits, into the rule. */
void lint_flow_emits(struct lint *l, struct lint_rule *rule, struct lint_node *run);
/* on and exit_on against the key. */
void lint_flow_key(struct lint *l, const struct lint_rule *rule);
/* Rules that start each other; after all files. */
void lint_flow_loops(struct lint *l);

#endif
