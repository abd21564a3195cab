#ifndef ENGINE_LIQUID_PARSE_H
#define ENGINE_LIQUID_PARSE_H
/*
 * What liquid_parse (tags) and liquid_expr (what stands inside them) share while a template is parsed.
 * Private to the two.  Functions that can fail return false with the error, template and line filled
 * in p->err; what they make lives in p->arena.
 */
#include "engine/liquid_lex.h"
#include "engine/liquid_tree.h"

struct parse {
	struct scan scan;
	struct liquid *out;
	struct arena *arena;
	struct err *err;
	struct tree_use **last_use;
	size_t cap_slots;
	struct span *continues; /* names of loops; heap, freed at the end */
	size_t n_continues, cap_continues;
	unsigned depth;
};

/* Puts "template:line: " before the error.  Always returns false. */
bool parse_at(struct parse *p, int line);
/* Says what stands where something else was expected.  Always returns false. */
bool parse_expected(struct parse *p, const struct lex *l, const char *what);
/* The slot of a name that the template itself gives a value. */
int parse_local(struct parse *p, struct span name);
/* One level deeper; every level ends with p->depth--. */
bool parse_deeper(struct parse *p, int line) MUST_CHECK;

bool parse_is_word(const struct lex *l, const char *word);
/* Takes the token if it is of this kind. */
bool parse_accept(struct lex *l, enum lex_kind kind);
bool parse_need(struct parse *p, struct lex *l, enum lex_kind kind) MUST_CHECK;
bool parse_need_end(struct parse *p, struct lex *l) MUST_CHECK;

/* A literal, a variable or a range. */
bool parse_expr(struct parse *p, struct lex *l, struct tree_expr **ret) MUST_CHECK;
/* expression | filter: args | ... up to the end, into n->expr and n->calls. */
bool parse_filtered(struct parse *p, struct lex *l, struct tree_node *n) MUST_CHECK;
/* a == b and c or d, up to the end. */
bool parse_condition(struct parse *p, struct lex *l, struct tree_cond **ret) MUST_CHECK;

#endif
