#ifndef ENGINE_LINT_VALUE_H
#define ENGINE_LINT_VALUE_H
/*
 * What an expression in a rule is, as far as its text tells: the event, a part of the card, a handle ...
 * The inner part of engine/lint.
 */
#include "engine/lint_tree.h"
#include "engine/vocabulary.h"

struct what;

enum lint_thing {
	LINT_UNKNOWN,
	LINT_EVENT, /* or a part of it: path */
	LINT_META,  /* event.meta */
	LINT_CARD,  /* customer, or a part of it */
	LINT_ORDER, /* what orders{} lists, or a part of it */
	LINT_MESSAGE,
	LINT_TASK, /* handles */
};
const char *lint_thing_name(enum lint_thing t);

enum { LINT_TYPES = 16, LINT_PATH = 120 };

/* The event types that something may be of. */
struct lint_types {
	const struct vocabulary_type *v[LINT_TYPES];
	int n;
	bool open; /* it may be of others too: nothing is known of its fields */
};

struct lint_value {
	enum lint_thing thing;
	struct lint_types types; /* LINT_EVENT */
	char path[LINT_PATH];    /* "" is the whole of it; places in lists are left out */
	bool is_list;            /* a list of these */
	bool is_answer;          /* of wait: has .outcome */
	struct span name;        /* of the outermost variable, for messages */
};

/* What the parameters of a function are; see lint_bind. */
struct lint_bind {
	struct lint_node *function;
	struct lint_types types;
	struct lint_bind *next;
};

/* Types of a what that was loaded. */
void lint_types_of_what(const struct what *w, struct lint_types *ret);
void lint_types_add(struct lint_types *t, struct span type);

/* What the expression is.  binds: the functions that rules begin with. */
struct lint_value lint_value_of(const struct lint_bind *binds, const struct lint_node *n);
/* The function that an expression names or is; NULL: not known. */
struct lint_node *lint_function_of(struct lint_node *n);

#endif
