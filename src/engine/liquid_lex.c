/*
 * liquid_lex.c: two small scanners by hand.
 *
 * As in the reference implementation an output ends at the first "}}" and a tag at the first "%}",
 * even inside quotes: a comment with one apostrophe in it must not swallow the rest of the template.
 * Strings have no escapes.  A generator (re2c) was not worth a build step for nineteen tokens.
 */
#include "engine/liquid_lex.h"

#include <string.h>

const char *scan_kind_name(enum scan_kind k)
{
	switch (k) {
	case SCAN_END: return "end";
	case SCAN_TEXT: return "text";
	case SCAN_OUTPUT: return "output";
	case SCAN_TAG: return "tag";
	case SCAN_UNCLOSED: return "unclosed";
	}
	return "?";
}

static bool lex_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool lex_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters of other alphabets are bytes from 0x80: a shop may name its properties as it likes. */
static bool lex_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static int lex_count_lines(const char *p, const char *end)
{
	int n = 0;

	for (; p < end; p++)
		n += *p == '\n';
	return n;
}

void scan_init(struct scan *s, struct span text, int line, bool lines)
{
	*s = (struct scan){ .p = text.p, .end = text.p + text.n, .line = line, .lines = lines };
}

/* Moves on to p and counts the lines on the way. */
static void scan_move(struct scan *s, const char *p)
{
	s->line += lex_count_lines(s->p, p);
	s->p = p;
}

/* Takes blanks off the front of a tag's inside and splits it into name and rest. */
static void scan_split_tag(struct scan_token *t, struct span inside, int line)
{
	const char *p = inside.p, *end = p + inside.n, *name;

	while (p < end && lex_is_blank(*p))
		p++;
	name = p;
	if (p < end && *p == '#')
		p++;
	else
		while (p < end && (lex_is_letter(*p) || lex_is_digit(*p)))
			p++;
	t->name = (struct span){ name, (size_t)(p - name) };
	t->text = (struct span){ p, (size_t)(end - p) };
	t->text_line = line + lex_count_lines(inside.p, p);
	if (t->name.n == 0)
		t->text_line = line;
}

/* The next line of a {% liquid %} tag that is not empty. */
static void scan_next_line(struct scan *s, struct scan_token *t)
{
	while (s->p < s->end) {
		const char *nl = memchr(s->p, '\n', (size_t)(s->end - s->p));
		const char *stop = nl ? nl : s->end;
		struct span line = span_trim((struct span){ s->p, (size_t)(stop - s->p) });

		t->line = s->line;
		scan_move(s, nl ? nl + 1 : s->end);
		if (line.n == 0)
			continue;
		t->kind = SCAN_TAG;
		scan_split_tag(t, line, t->line);
		return;
	}
	t->kind = SCAN_END;
	t->line = s->line;
}

/* Finds the next {{ or {%, or the end. */
static const char *scan_find_open(const char *p, const char *end)
{
	while (p < end && (p = memchr(p, '{', (size_t)(end - p))) != NULL) {
		if (p + 1 < end && (p[1] == '{' || p[1] == '%'))
			return p;
		p++;
	}
	return end;
}

/* Takes text up to the next opening, with blanks cut where the neighbours say so. */
static void scan_text(struct scan *s, const char *stop, struct scan_token *t)
{
	const char *from = s->p, *to = stop;

	if (s->trim)
		while (from < to && lex_is_blank(*from))
			from++;
	if (stop + 2 < s->end && stop[2] == '-')
		while (to > from && lex_is_blank(to[-1]))
			to--;
	t->kind = SCAN_TEXT;
	t->text = (struct span){ from, (size_t)(to - from) };
	s->trim = false;
	scan_move(s, stop);
}

/* Takes the {{ }} or {% %} that begins here. */
static void scan_tag(struct scan *s, struct scan_token *t)
{
	const char *close = s->p[1] == '{' ? "}}" : "%}";
	const char *from = s->p + 2;
	const char *stop = memmem(from, (size_t)(s->end - from), close, 2);
	const char *to = stop;
	bool is_output = s->p[1] == '{';

	if (stop == NULL) {
		t->kind = SCAN_UNCLOSED;
		t->text = (struct span){ s->p, 2 };
		s->p = s->end;
		return;
	}
	if (from < to && *from == '-')
		from++;
	s->trim = to > from && to[-1] == '-';
	if (s->trim)
		to--;
	t->kind = is_output ? SCAN_OUTPUT : SCAN_TAG;
	if (is_output) {
		t->text = (struct span){ from, (size_t)(to - from) };
		t->text_line = t->line;
	} else {
		scan_split_tag(t, (struct span){ from, (size_t)(to - from) }, t->line);
	}
	scan_move(s, stop + 2);
}

void scan_next(struct scan *s, struct scan_token *ret)
{
	const char *open;

	*ret = (struct scan_token){ .line = s->line, .text_line = s->line };
	if (s->lines) {
		scan_next_line(s, ret);
		return;
	}
	if (s->p >= s->end)
		return;
	open = scan_find_open(s->p, s->end);
	if (open > s->p)
		scan_text(s, open, ret);
	else
		scan_tag(s, ret);
}

bool scan_raw(struct scan *s, const char *end, struct span *ret)
{
	struct scan at = *s;
	struct scan_token t;
	const char *from = s->p, *to;

	if (s->lines)
		return false;
	for (at.p = scan_find_open(at.p, at.end); at.p < at.end;
		at.p = scan_find_open(at.p + 1, at.end)) {
		struct scan tag = at;

		if (at.p[1] != '%')
			continue;
		t = (struct scan_token){ 0 };
		scan_tag(&tag, &t);
		if (t.kind != SCAN_TAG || !span_is(t.name, end))
			continue;
		to = at.p;
		if (s->trim)
			while (from < to && lex_is_blank(*from))
				from++;
		if (at.p[2] == '-')
			while (to > from && lex_is_blank(to[-1]))
				to--;
		*ret = (struct span){ from, (size_t)(to - from) };
		s->trim = tag.trim;
		scan_move(s, tag.p);
		return true;
	}
	return false;
}

const char *lex_kind_name(enum lex_kind k)
{
	switch (k) {
	case LEX_END: return "the end";
	case LEX_NAME: return "a name";
	case LEX_INTEGER: return "a number";
	case LEX_FLOAT: return "a number";
	case LEX_STRING: return "a text";
	case LEX_DOT: return "\".\"";
	case LEX_RANGE: return "\"..\"";
	case LEX_BRACKET_OPEN: return "\"[\"";
	case LEX_BRACKET_CLOSE: return "\"]\"";
	case LEX_PAREN_OPEN: return "\"(\"";
	case LEX_PAREN_CLOSE: return "\")\"";
	case LEX_COLON: return "\":\"";
	case LEX_COMMA: return "\",\"";
	case LEX_PIPE: return "\"|\"";
	case LEX_ASSIGN: return "\"=\"";
	case LEX_COMPARE: return "a comparison";
	case LEX_CURLY: return "a typographic quote";
	case LEX_OPEN: return "a text that is not closed";
	case LEX_BAD: return "a character that has no meaning here";
	}
	return "?";
}

void lex_init(struct lex *l, struct span text, int line)
{
	*l = (struct lex){ .start = text.p, .p = text.p, .end = text.p + text.n, .line = line };
	lex_next(l);
}

/* Sets the token to the n bytes that begin at p. */
static void lex_set(struct lex *l, enum lex_kind kind, size_t n)
{
	l->kind = kind;
	l->text = (struct span){ l->p, n };
	l->p += n;
}

static void lex_number(struct lex *l)
{
	const char *p = l->p;
	enum lex_kind kind = LEX_INTEGER;

	if (*p == '-')
		p++;
	while (p < l->end && lex_is_digit(*p))
		p++;
	if (p + 1 < l->end && *p == '.' && lex_is_digit(p[1])) {
		kind = LEX_FLOAT;
		for (p++; p < l->end && lex_is_digit(*p); p++)
			;
	}
	lex_set(l, kind, (size_t)(p - l->p));
}

static void lex_name(struct lex *l)
{
	const char *p = l->p;

	while (p < l->end && (lex_is_letter(*p) || lex_is_digit(*p) || *p == '-'))
		p++;
	if (p < l->end && *p == '?')
		p++;
	lex_set(l, LEX_NAME, (size_t)(p - l->p));
}

static void lex_string(struct lex *l)
{
	const char *from = l->p + 1;
	const char *stop = memchr(from, *l->p, (size_t)(l->end - from));

	if (stop == NULL) {
		lex_set(l, LEX_OPEN, (size_t)(l->end - l->p));
		return;
	}
	l->kind = LEX_STRING;
	l->text = (struct span){ from, (size_t)(stop - from) };
	l->p = stop + 1;
}

/* U+2018..201F and the guillemets, which word processors make of straight quotes. */
static bool lex_is_curly(const char *p, const char *end)
{
	static const char *const quotes[] = { "\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9a",
		"\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e", "\xc2\xab", "\xc2\xbb" };
	size_t i;

	for (i = 0; i < sizeof quotes / sizeof *quotes; i++) {
		size_t n = strlen(quotes[i]);

		if ((size_t)(end - p) >= n && memcmp(p, quotes[i], n) == 0)
			return true;
	}
	return false;
}

/* Takes one or two signs. */
static void lex_sign(struct lex *l)
{
	static const struct {
		const char *sign;
		enum lex_kind kind;
	} rows[] = {
		{ "==", LEX_COMPARE },
		{ "!=", LEX_COMPARE },
		{ "<>", LEX_COMPARE },
		{ "<=", LEX_COMPARE },
		{ ">=", LEX_COMPARE },
		{ "..", LEX_RANGE },
		{ "<", LEX_COMPARE },
		{ ">", LEX_COMPARE },
		{ "=", LEX_ASSIGN },
		{ ".", LEX_DOT },
		{ "[", LEX_BRACKET_OPEN },
		{ "]", LEX_BRACKET_CLOSE },
		{ "(", LEX_PAREN_OPEN },
		{ ")", LEX_PAREN_CLOSE },
		{ ":", LEX_COLON },
		{ ",", LEX_COMMA },
		{ "|", LEX_PIPE },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = strlen(rows[i].sign);

		if ((size_t)(l->end - l->p) >= n && memcmp(l->p, rows[i].sign, n) == 0) {
			lex_set(l, rows[i].kind, n);
			return;
		}
	}
	lex_set(l, LEX_BAD, 1);
}

void lex_next(struct lex *l)
{
	while (l->p < l->end && lex_is_blank(*l->p))
		l->p++;
	if (l->p >= l->end)
		lex_set(l, LEX_END, 0);
	else if (lex_is_digit(*l->p) ||
		 (*l->p == '-' && l->p + 1 < l->end && lex_is_digit(l->p[1])))
		lex_number(l);
	else if (lex_is_curly(l->p, l->end))
		lex_set(l, LEX_CURLY, 1);
	else if (lex_is_letter(*l->p))
		lex_name(l);
	else if (*l->p == '"' || *l->p == '\'')
		lex_string(l);
	else
		lex_sign(l);
}

int lex_line(const struct lex *l)
{
	return l->line + lex_count_lines(l->start, l->text.p ? l->text.p : l->start);
}
