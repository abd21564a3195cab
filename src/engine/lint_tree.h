#ifndef ENGINE_LINT_TREE_H
#define ENGINE_LINT_TREE_H
/*
 * The text of a Lua file as a tree, for engine/lint: who is called with what, which name means which local.
 *
 * Life: lint_parse, then read; everything lies in the arena and points into it and into the text, which is
 * lent.  Pure.  Meant for files that Lua has compiled already: what Lua would refuse is not looked for, and a
 * file that does not look like Lua 5.4 gives NULL.
 */
#include "base/mem.h"
#include "base/str.h"

enum lint_kind {
	/* expressions */
	LINT_NAME,     /* text; var: the local that is meant, NULL: a global */
	LINT_TEXT,     /* text: its value */
	LINT_NUMBER,   /* text: as written */
	LINT_CONST,    /* nil true false ... */
	LINT_INDEX,    /* kids: object, key (LINT_TEXT for .name) */
	LINT_CALL,     /* kids: function, arguments */
	LINT_METHOD,   /* kids: object, arguments; text: name */
	LINT_FUNCTION, /* vars: parameters; kids: block */
	LINT_TABLE,    /* kids: LINT_FIELD */
	LINT_FIELD,    /* kids: key, value; or value alone */
	LINT_OP,       /* kids: operands, each with the operator before it, whatever binds closer */
	/* statements */
	LINT_BLOCK,  /* kids: statements */
	LINT_LOCAL,  /* vars; kids: expressions */
	LINT_ASSIGN, /* kids: targets and expressions */
	LINT_EXEC,   /* kids: a call */
	LINT_WHILE,  /* kids: condition, block */
	LINT_REPEAT, /* kids: block, condition */
	LINT_IF,     /* kids: condition, block, condition, block, ..., block of else */
	LINT_FOR,    /* vars; kids: expressions, block */
	LINT_IN,     /* for ... in: vars; kids: expressions, block */
	LINT_RETURN, /* kids: expressions */
	LINT_BREAK,
	LINT_GOTO, /* also labels */
};
const char *lint_kind_name(enum lint_kind k);

struct lint_node;

enum lint_var_kind { LINT_VAR_LOCAL, LINT_VAR_PARAM, LINT_VAR_LOOP };
struct lint_var {
	struct span name;
	enum lint_var_kind kind;
	int nth; /* its place among those declared with it */
	struct lint_node *
		init; /* the first expression of its declaration (of `in`: what is gone over), or NULL */
	struct lint_node *of;   /* the node that declares it */
	bool is_changed;        /* something is assigned to it later */
	struct lint_var *next;  /* declared with it */
	struct lint_var *outer; /* scope, while parsing */
};

struct lint_node {
	enum lint_kind kind;
	int line;
	struct span text;
	struct lint_var *var;  /* LINT_NAME */
	struct lint_var *vars; /* those that it declares */
	struct lint_node *kids, *last, *next;
	struct span before; /* of a kid of LINT_OP: the operator between it and the one before */
	bool is_unary;      /* of a kid of LINT_OP: not, -, # or ~ stands before it */
	bool is_seen;       /* the reader's own mark */
};

/* The tree of a file: its block.  NULL: it could not be read; *ret_line says where. */
struct lint_node *lint_parse(struct span text, struct arena *a, int *ret_line);

/* The kid at that place, or NULL. */
struct lint_node *lint_kid(const struct lint_node *n, int at);
/* A table's value under a name, or NULL. */
struct lint_node *lint_field(const struct lint_node *table, const char *name);
/* Is it a call of the global of that name? */
bool lint_calls(const struct lint_node *n, const char *name);

#endif
