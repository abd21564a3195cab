#ifndef ENGINE_LIQUID_LEX_H
#define ENGINE_LIQUID_LEX_H
/*
 * Liquid's words: a template is cut into text, outputs and tags (scan_), a tag's inside into
 * tokens (lex_).  Both borrow the text, allocate nothing, and cannot run past its end.
 * What is broken is a token of its own kind, so that the parser can say what it expected.
 */
#include "base/str.h"

enum scan_kind {
	SCAN_END,
	SCAN_TEXT,
	SCAN_OUTPUT,   /* {{ ... }} */
	SCAN_TAG,      /* {% ... %} or one line of {% liquid %} */
	SCAN_UNCLOSED, /* {{ or {% without its end */
};
const char *scan_kind_name(enum scan_kind k);

struct scan {
	const char *p, *end;
	int line;
	bool lines; /* the inside of {% liquid %}: every line is a tag */
	bool trim;  /* the tag before ended with -%} */
};

struct scan_token {
	enum scan_kind kind;
	struct span text; /* the text; the inside of an output; what follows the name of a tag */
	struct span name; /* of a tag: letters, or "#" */
	int line;         /* where it begins */
	int text_line;    /* where `text` begins */
};

void scan_init(struct scan *s, struct span text, int line, bool lines);
void scan_next(struct scan *s, struct scan_token *ret);
/* Everything up to the tag `end` ("endraw"), which is taken too; false when it does not come. */
bool scan_raw(struct scan *s, const char *end, struct span *ret) MUST_CHECK;

enum lex_kind {
	LEX_END,
	LEX_NAME,
	LEX_INTEGER,
	LEX_FLOAT,
	LEX_STRING, /* text without the quotes */
	LEX_DOT,
	LEX_RANGE, /* .. */
	LEX_BRACKET_OPEN,
	LEX_BRACKET_CLOSE,
	LEX_PAREN_OPEN,
	LEX_PAREN_CLOSE,
	LEX_COLON,
	LEX_COMMA,
	LEX_PIPE,
	LEX_ASSIGN,  /* = */
	LEX_COMPARE, /* == != <> < > <= >= */
	LEX_CURLY,   /* a typographic quote: pasted from a word processor */
	LEX_OPEN,    /* a string without its end */
	LEX_BAD,
};
const char *lex_kind_name(enum lex_kind k);

struct lex {
	const char *start, *p, *end;
	int line; /* of start */
	enum lex_kind kind;
	struct span text; /* of the token now */
};

void lex_init(struct lex *l, struct span text, int line);
void lex_next(struct lex *l);
/* The line in the template where the token now stands. */
int lex_line(const struct lex *l);

#endif
