/*
 * lint_lex.c: words, texts, numbers and operators of Lua 5.4, after section 3.1 of its manual.
 *
 * Lua has accepted the text already, so numbers are passed over and not read, and an operator that is none is one
 * character.
 */
#include "engine/lint_lex.h"

#include <string.h>

static bool lint_is_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool lint_is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* The character so far ahead, or 0. */
static int lint_peek(const struct lint_parser *l, int ahead)
{
	return l->end - l->p > ahead ? (unsigned char)l->p[ahead] : 0;
}

static bool lint_is_line_end(int c)
{
	return c == '\n' || c == '\r';
}

/* One character, or one end of a line: "\n", "\r", "\r\n" or "\n\r". */
static void lint_skip(struct lint_parser *l)
{
	int c = lint_peek(l, 0);

	l->p++;
	if (!lint_is_line_end(c))
		return;
	l->line++;
	if (lint_is_line_end(lint_peek(l, 0)) && lint_peek(l, 0) != c)
		l->p++;
}

/* At "[[" or "[==[": the number of "=", else -1. */
static int lint_long_level(const struct lint_parser *l)
{
	int n = 1;

	while (lint_peek(l, n) == '=')
		n++;
	return lint_peek(l, 0) == '[' && lint_peek(l, n) == '[' ? n - 1 : -1;
}

/* What stands between long brackets. */
static struct span lint_long(struct lint_parser *l, int level)
{
	const char *from;

	l->p += level + 2;
	if (lint_is_line_end(lint_peek(l, 0)))
		lint_skip(l);
	for (from = l->p; l->p < l->end; lint_skip(l)) {
		int n = 1;

		if (*l->p != ']')
			continue;
		while (lint_peek(l, n) == '=')
			n++;
		if (n - 1 == level && lint_peek(l, n) == ']') {
			struct span s = { from, (size_t)(l->p - from) };

			l->p += level + 2;
			return s;
		}
	}
	l->bad = true;
	return (struct span){ from, 0 };
}

static void lint_skip_space(struct lint_parser *l)
{
	for (;;) {
		int c = lint_peek(l, 0), level;

		if (c == ' ' || (c >= '\t' && c <= '\r')) {
			lint_skip(l);
			continue;
		}
		if (c != '-' || lint_peek(l, 1) != '-')
			return;
		l->p += 2;
		level = lint_long_level(l);
		if (level >= 0)
			lint_long(l, level);
		else
			while (l->p < l->end && !lint_is_line_end(*l->p))
				l->p++;
	}
}

/* One escape behind a backslash.  What needs many bytes (\u{...}) is told as "?": names and durations have none. */
static void lint_escape(struct lint_parser *l, struct buf *b)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	int c = lint_peek(l, 0), n = 0;
	const char *plain = c ? strchr(from, c) : NULL;

	if (c == 'z') {
		l->p++;
		while (lint_peek(l, 0) == ' ' ||
			(lint_peek(l, 0) >= '\t' && lint_peek(l, 0) <= '\r'))
			lint_skip(l);
	} else if (c == 'x') {
		buf_char(b, '?');
		l->p += l->end - l->p > 3 ? 3 : l->end - l->p;
	} else if (c == 'u') {
		buf_char(b, '?');
		while (l->p < l->end && *l->p != '}' && *l->p != '\n')
			l->p++;
		l->p += l->p < l->end;
	} else if (lint_is_digit(c)) {
		for (int i = 0; i < 3 && lint_is_digit(lint_peek(l, 0)); i++)
			n = n * 10 + *l->p++ - '0';
		buf_char(b, (char)n);
	} else if (l->p < l->end) {
		buf_char(b, plain ? to[plain - from] : lint_is_line_end(c) ? '\n' : (char)c);
		lint_skip(l);
	}
}

static struct span lint_quoted(struct lint_parser *l)
{
	char quote = *l->p++;
	struct buf b = { 0 };
	struct span s;

	while (l->p < l->end && *l->p != quote && *l->p != '\n') {
		if (*l->p != '\\') {
			buf_char(&b, *l->p++);
			continue;
		}
		l->p++;
		lint_escape(l, &b);
	}
	if (l->p >= l->end || *l->p != quote)
		l->bad = true;
	else
		l->p++;
	s = (struct span){ arena_dup(l->arena, b.p ? b.p : "", b.n), b.n };
	buf_free(&b);
	return s;
}

static bool lint_is_word(struct span s)
{
	static const char *const words[] = { "and", "break", "do", "else", "elseif", "end", "false",
		"for", "function", "goto", "if", "in", "local", "nil", "not", "or", "repeat",
		"return", "then", "true", "until", "while", NULL };

	for (size_t i = 0; words[i]; i++)
		if (span_is(s, words[i]))
			return true;
	return false;
}

static void lint_number(struct lint_parser *l)
{
	bool hex = lint_peek(l, 0) == '0' && (lint_peek(l, 1) | 0x20) == 'x';

	while (l->p < l->end) {
		int c = lint_peek(l, 0), low = c | 0x20;

		if ((low == (hex ? 'p' : 'e')) &&
			(lint_peek(l, 1) == '+' || lint_peek(l, 1) == '-'))
			l->p++;
		else if (!lint_is_digit(c) && !lint_is_alpha(c) && c != '.')
			return;
		l->p++;
	}
}

static void lint_operator(struct lint_parser *l)
{
	static const char *const ops[] = { "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<",
		">>", NULL };

	for (size_t i = 0; ops[i]; i++) {
		size_t n = strlen(ops[i]);

		if ((size_t)(l->end - l->p) >= n && memcmp(l->p, ops[i], n) == 0) {
			l->p += n;
			return;
		}
	}
	l->p++;
}

void lint_next(struct lint_parser *l)
{
	const char *from;
	int c, level;

	lint_skip_space(l);
	from = l->p;
	l->token_line = l->line;
	c = lint_peek(l, 0);
	level = c == '[' ? lint_long_level(l) : -1;
	if (l->p >= l->end || l->bad) {
		l->token = TOKEN_END;
	} else if (lint_is_alpha(c)) {
		while (lint_is_alpha(lint_peek(l, 0)) || lint_is_digit(lint_peek(l, 0)))
			l->p++;
		l->token = TOKEN_NAME;
	} else if (lint_is_digit(c) || (c == '.' && lint_is_digit(lint_peek(l, 1)))) {
		lint_number(l);
		l->token = TOKEN_NUMBER;
	} else if (c == '"' || c == '\'') {
		l->token = TOKEN_TEXT;
		l->text = lint_quoted(l);
		return;
	} else if (level >= 0) {
		l->token = TOKEN_TEXT;
		l->text = lint_long(l, level);
		return;
	} else {
		lint_operator(l);
		l->token = TOKEN_OP;
	}
	l->text = (struct span){ from, (size_t)(l->p - from) };
	if (l->token == TOKEN_NAME && lint_is_word(l->text))
		l->token = TOKEN_WORD;
}

bool lint_at(const struct lint_parser *l, const char *text)
{
	return (l->token == TOKEN_OP || l->token == TOKEN_WORD) && span_is(l->text, text);
}

bool lint_take(struct lint_parser *l, const char *text)
{
	if (!lint_at(l, text))
		return false;
	lint_next(l);
	return true;
}

void lint_need(struct lint_parser *l, const char *text)
{
	if (!lint_take(l, text))
		l->bad = true;
}

struct span lint_need_name(struct lint_parser *l)
{
	struct span s = l->text;

	if (l->token != TOKEN_NAME)
		l->bad = true;
	else
		lint_next(l);
	return s;
}
