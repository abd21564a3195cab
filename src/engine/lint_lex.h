#ifndef ENGINE_LINT_LEX_H
#define ENGINE_LINT_LEX_H
/*
 * The words of a Lua text, for engine/lint_tree.  Life: fill arena, p, end and line, lint_next; then look at the
 * token and take it.  `bad` says that the text does not look like Lua; then every token is TOKEN_END.
 */
#include "engine/lint_tree.h"

enum lint_token { TOKEN_END, TOKEN_NAME, TOKEN_WORD, TOKEN_TEXT, TOKEN_NUMBER, TOKEN_OP };

struct lint_parser {
	struct arena *arena;
	const char *p, *end;
	int line;
	/* the token that is looked at */
	enum lint_token token;
	struct span text; /* TOKEN_TEXT: its value */
	int token_line;
	int depth;
	bool bad;
	struct lint_var *scope;
};

/* Goes to the next token. */
void lint_next(struct lint_parser *l);
/* Is it this operator or word? */
bool lint_at(const struct lint_parser *l, const char *text);
/* The same, and goes on when it is. */
bool lint_take(struct lint_parser *l, const char *text);
/* It must be this one. */
void lint_need(struct lint_parser *l, const char *text);
struct span lint_need_name(struct lint_parser *l);

#endif
