#ifndef ENGINE_LIQUID_TREE_H
#define ENGINE_LIQUID_TREE_H
/*
 * The tree that liquid_parse makes and liquid_render walks.  Private to the two and to
 * liquid_filter.  All of it lives in the arena given to liquid_parse and is never changed again.
 *
 * Every variable name at the top ("customer", "x") has a slot: a number below liquid.n_slots, so
 * that rendering needs no table of names.
 */
#include "engine/liquid_value.h"

enum { LIQUID_DEEPEST = 100, LIQUID_NO_SLOT = -1 };

enum expr_kind { EXPR_VALUE, EXPR_VARIABLE, EXPR_RANGE };

/* One step of a path: .name or [expression]. */
struct tree_step {
	struct tree_step *next;
	struct value key; /* when index is NULL */
	struct tree_expr *index;
	bool is_dot;
};

struct tree_expr {
	enum expr_kind kind;
	int slot;           /* EXPR_VARIABLE; LIQUID_NO_SLOT: name is in `from` */
	struct value value; /* EXPR_VALUE */
	struct tree_step *steps;
	struct tree_expr *from, *to; /* EXPR_RANGE; from: also the name in [name] */
	struct span source;          /* as it is written */
};

/* An expression in a list: arguments, values of when and cycle. */
struct tree_arg {
	struct tree_arg *next;
	struct span name; /* of a named argument */
	struct tree_expr *expr;
};

/* One `| filter: args`. */
struct tree_call {
	struct tree_call *next;
	const struct liquid_filter *filter;
	struct tree_arg *args;         /* by place */
	struct tree_expr *allow_false; /* the only named one there is */
	unsigned n_args;
	int line;
};

enum compare {
	COMPARE_NONE,
	COMPARE_EQ,
	COMPARE_NE,
	COMPARE_LT,
	COMPARE_GT,
	COMPARE_LE,
	COMPARE_GE,
	COMPARE_CONTAINS
};

/* One comparison; `and`/`or` bind to the right: a and b or c is a and (b or c). */
struct tree_cond {
	struct tree_cond *next;
	struct tree_expr *left, *right;
	enum compare op;
	bool is_and; /* how it is tied to next */
};

/* A branch of if, unless, case, for. */
struct tree_branch {
	struct tree_branch *next;
	struct tree_cond *cond;  /* NULL: else */
	struct tree_arg *values; /* of when */
	struct tree_node *body;
	bool is_else;
	bool is_negated; /* the first of unless */
};

/* What a for or tablerow goes over. */
struct tree_loop {
	struct tree_expr *limit, *offset, *columns;
	bool is_reversed, is_continued;
	struct span name; /* "item-cart.items": the key for offset: continue */
	int continue_id;  /* the same for the same name */
	int loop_slot;    /* of forloop */
};

enum node_kind {
	NODE_TEXT,
	NODE_OUTPUT, /* {{ }} and echo */
	NODE_ASSIGN,
	NODE_CAPTURE,
	NODE_IF, /* unless too */
	NODE_CASE,
	NODE_FOR,
	NODE_TABLEROW,
	NODE_BREAK,
	NODE_CONTINUE,
	NODE_CYCLE,
	NODE_INCREMENT,
	NODE_DECREMENT,
	NODE_IFCHANGED,
};

struct tree_node {
	struct tree_node *next;
	enum node_kind kind;
	int line;
	int slot;      /* what is assigned, captured, counted, looped */
	bool is_blank; /* shows nothing: blanks around it go with it */
	struct span text;
	struct tree_expr *expr;
	struct tree_call *calls;
	struct tree_branch *branches;
	struct tree_loop *loop;
	struct tree_arg *values; /* of cycle */
};

/* One use of a variable, for liquid_roots. */
struct tree_use {
	struct tree_use *next;
	int slot;
	struct span path;
	int line;
};

struct tree_slot {
	struct span name; /* with a NUL behind it */
	bool is_local;    /* the template gives it a value */
};

struct liquid {
	const char *name;
	struct tree_node *body;
	struct tree_slot *slots;
	int n_slots;
	int n_continues;
	struct tree_use *uses;
};

#endif
