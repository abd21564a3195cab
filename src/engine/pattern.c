/*
 * The matcher behind string.find and its kin.
 *
 * Backtracking over a pattern is exponential in the pattern and no hook of Lua interrupts it: 28
 * characters of "a?a?...aa..." run for minutes.  Here each character looked at and each try counts
 * as a step.  A pattern is compiled first: sets become bitmaps, captures get their number, and all
 * complaints about the pattern are made before the first character is looked at.  Groups of Lua
 * patterns are never repeated, so a capture is simply overwritten on the next try, and recursion
 * is as deep as the pattern has repeats.
 *
 * Rejected: an automaton (back references and %b are not regular), a time limit alone (the answer
 * would depend on the machine).
 */
#include "engine/pattern.h"

#include <ctype.h>
#include <string.h>

enum pattern_kind {
	PATTERN_CHAR,
	PATTERN_ANY,
	PATTERN_SET,
	PATTERN_OPEN,
	PATTERN_CLOSE,
	PATTERN_POSITION,
	PATTERN_BALANCE,
	PATTERN_FRONTIER,
	PATTERN_BACK,
	PATTERN_END,
};

/*** compiling ***/

struct pattern_reader {
	struct pattern *out;
	const unsigned char *p, *end;
	unsigned char open[PATTERN_CAPTURES]; /* captures not closed yet, innermost last */
	unsigned n_open;
	const char *fault;
};

static bool pattern_fault(struct pattern_reader *r, const char *what)
{
	r->fault = what;
	return false;
}

static void pattern_set_add(unsigned char *set, unsigned c)
{
	set[c >> 3] |= (unsigned char)(1u << (c & 7));
}

static bool pattern_class_has(int class, int c)
{
	switch (tolower(class)) {
	case 'a': return isalpha(c);
	case 'c': return iscntrl(c);
	case 'd': return isdigit(c);
	case 'g': return isgraph(c);
	case 'l': return islower(c);
	case 'p': return ispunct(c);
	case 's': return isspace(c);
	case 'u': return isupper(c);
	case 'w': return isalnum(c);
	case 'x': return isxdigit(c);
	default: return false;
	}
}

/* %a and the like; any other character after % is itself. */
static void pattern_set_add_class(unsigned char *set, int class)
{
	int c;

	if (!strchr("acdglpsuwx", tolower(class)) || class == '\0') {
		pattern_set_add(set, (unsigned)class);
		return;
	}
	for (c = 0; c < 256; c++)
		if (pattern_class_has(class, c) != (isupper(class) != 0))
			pattern_set_add(set, (unsigned)c);
}

static unsigned char *pattern_new_set(struct pattern_reader *r, struct pattern_item *item)
{
	unsigned char *set = r->out->sets[r->out->n_sets];

	memset(set, 0, 32);
	item->a = (unsigned char)r->out->n_sets++;
	return set;
}

/* Behind '[': up to its ']', which may stand first as a character. */
static bool pattern_read_set(struct pattern_reader *r, struct pattern_item *item)
{
	unsigned char *set = pattern_new_set(r, item);
	bool negated = false, first = true;
	unsigned c;
	size_t i;

	if (r->p < r->end && *r->p == '^') {
		negated = true;
		r->p++;
	}
	for (;; first = false) {
		if (r->p >= r->end)
			return pattern_fault(r, "malformed pattern (missing ']')");
		if (*r->p == ']' && !first)
			break;
		if (*r->p == '%') {
			if (++r->p >= r->end)
				return pattern_fault(r, "malformed pattern (missing ']')");
			pattern_set_add_class(set, *r->p++);
		} else if (r->end - r->p > 2 && r->p[1] == '-' && r->p[2] != ']') {
			for (c = r->p[0]; c <= r->p[2]; c++)
				pattern_set_add(set, c);
			r->p += 3;
		} else {
			pattern_set_add(set, *r->p++);
		}
	}
	r->p++;
	for (i = 0; negated && i < 32; i++)
		set[i] = (unsigned char)~set[i];
	return true;
}

static bool pattern_read_back(struct pattern_reader *r, struct pattern_item *item, int digit)
{
	unsigned i;

	item->kind = PATTERN_BACK;
	item->a = (unsigned char)(digit - '1');
	for (i = 0; i < r->n_open; i++)
		if (r->open[i] == item->a)
			return pattern_fault(r, "invalid capture index in pattern");
	if (digit == '0' || item->a >= r->out->n_captures)
		return pattern_fault(r, "invalid capture index in pattern");
	return true;
}

/* Behind '%'; *ret_single: a repeat may follow. */
static bool pattern_read_escape(
	struct pattern_reader *r, struct pattern_item *item, bool *ret_single)
{
	int c;

	if (r->p >= r->end)
		return pattern_fault(r, "malformed pattern (ends with '%')");
	c = *r->p++;
	*ret_single = false;
	if (isdigit(c))
		return pattern_read_back(r, item, c);
	if (c == 'b') {
		if (r->end - r->p < 2)
			return pattern_fault(r, "malformed pattern (missing arguments to '%b')");
		*item = (struct pattern_item){
			.kind = PATTERN_BALANCE, .a = r->p[0], .b = r->p[1]
		};
		r->p += 2;
		return true;
	}
	if (c == 'f') {
		if (r->p >= r->end || *r->p != '[')
			return pattern_fault(r, "missing '[' after '%f' in pattern");
		r->p++;
		item->kind = PATTERN_FRONTIER;
		return pattern_read_set(r, item);
	}
	*ret_single = true;
	if (!isalnum(c)) {
		*item = (struct pattern_item){ .kind = PATTERN_CHAR, .a = (unsigned char)c };
		return true;
	}
	item->kind = PATTERN_SET;
	pattern_set_add_class(pattern_new_set(r, item), c);
	return true;
}

static bool pattern_read_open(struct pattern_reader *r, struct pattern_item *item)
{
	if (r->out->n_captures >= PATTERN_CAPTURES)
		return pattern_fault(r, "too many captures");
	item->kind = PATTERN_OPEN;
	item->a = (unsigned char)r->out->n_captures++;
	if (r->p < r->end && *r->p == ')') {
		r->p++;
		item->kind = PATTERN_POSITION;
	} else {
		r->open[r->n_open++] = item->a;
	}
	return true;
}

static bool pattern_read_item(struct pattern_reader *r, struct pattern_item *item)
{
	bool single = true;
	int c = *r->p++;

	*item = (struct pattern_item){ .kind = PATTERN_CHAR, .a = (unsigned char)c };
	if (c == '(')
		return pattern_read_open(r, item);
	if (c == ')') {
		if (r->n_open == 0)
			return pattern_fault(r, "invalid pattern capture");
		item->kind = PATTERN_CLOSE;
		item->a = r->open[--r->n_open];
		return true;
	}
	if (c == '$' && r->p == r->end) {
		item->kind = PATTERN_END;
		return true;
	}
	if (c == '.')
		item->kind = PATTERN_ANY;
	if (c == '[') {
		item->kind = PATTERN_SET;
		if (!pattern_read_set(r, item))
			return false;
	}
	if (c == '%' && !pattern_read_escape(r, item, &single))
		return false;
	if (single && r->p < r->end && strchr("*+-?", *r->p) && *r->p)
		item->repeat = *r->p++;
	return true;
}

bool pattern_compile(struct pattern *p, struct span text, bool anchor, const char **ret_fault)
{
	struct pattern_reader r = { .out = p };

	p->n_items = p->n_sets = p->n_captures = 0;
	p->anchored = false;
	*ret_fault = NULL;
	if (text.n > PATTERN_BYTES) {
		*ret_fault = "the pattern is too long (at most 256 characters)";
		return false;
	}
	r.p = (const unsigned char *)(text.n ? text.p : "");
	r.end = r.p + text.n;
	if (anchor && text.n > 0 && *r.p == '^') {
		p->anchored = true;
		r.p++;
	}
	while (r.p < r.end && pattern_read_item(&r, &p->items[p->n_items]))
		p->n_items++;
	if (!r.fault && r.n_open > 0)
		r.fault = "unfinished capture";
	*ret_fault = r.fault;
	return !r.fault;
}

/*** matching ***/

struct pattern_state {
	const struct pattern *p;
	const char *begin, *end;
	struct pattern_match *m;
};

static const char *pattern_go(struct pattern_state *st, unsigned i, const char *s);

static bool pattern_in_set(const struct pattern *p, unsigned set, unsigned char c)
{
	return p->sets[set][c >> 3] >> (c & 7) & 1;
}

static bool pattern_single(
	const struct pattern_state *st, const struct pattern_item *item, const char *s)
{
	st->m->steps++;
	if (s >= st->end)
		return false;
	switch ((enum pattern_kind)item->kind) {
	case PATTERN_ANY: return true;
	case PATTERN_SET: return pattern_in_set(st->p, item->a, (unsigned char)*s);
	case PATTERN_CHAR: return (unsigned char)*s == item->a;
	case PATTERN_OPEN:
	case PATTERN_CLOSE:
	case PATTERN_POSITION:
	case PATTERN_BALANCE:
	case PATTERN_FRONTIER:
	case PATTERN_BACK:
	case PATTERN_END: return false;
	}
	return false;
}

static const char *pattern_greedy(struct pattern_state *st, unsigned i, const char *s, size_t least)
{
	const struct pattern_item *item = &st->p->items[i];
	const char *found;
	size_t n = 0;

	while (st->m->steps <= PATTERN_STEPS && pattern_single(st, item, s + n))
		n++;
	for (; n >= least; n--) {
		found = pattern_go(st, i + 1, s + n);
		if (found || n == 0 || st->m->steps > PATTERN_STEPS)
			return found;
	}
	return NULL;
}

static const char *pattern_lazy(struct pattern_state *st, unsigned i, const char *s)
{
	const char *found;

	for (;; s++) {
		found = pattern_go(st, i + 1, s);
		if (found || st->m->steps > PATTERN_STEPS ||
			!pattern_single(st, &st->p->items[i], s))
			return found;
	}
}

static const char *pattern_balance(
	const struct pattern_state *st, const struct pattern_item *item, const char *s)
{
	int depth = 1;

	st->m->steps++;
	if (s >= st->end || (unsigned char)*s != item->a)
		return NULL;
	while (++s < st->end) {
		st->m->steps++;
		if ((unsigned char)*s == item->b) {
			if (--depth == 0)
				return s + 1;
		} else if ((unsigned char)*s == item->a) {
			depth++;
		}
	}
	return NULL;
}

static const char *pattern_frontier(
	const struct pattern_state *st, const struct pattern_item *item, const char *s)
{
	unsigned char before = s == st->begin ? 0 : (unsigned char)s[-1];
	unsigned char at = s == st->end ? 0 : (unsigned char)*s;

	st->m->steps++;
	return !pattern_in_set(st->p, item->a, before) && pattern_in_set(st->p, item->a, at) ? s
											     : NULL;
}

static const char *pattern_back(
	const struct pattern_state *st, const struct pattern_item *item, const char *s)
{
	const struct pattern_capture *c = &st->m->captures[item->a];

	st->m->steps += c->n + 1;
	if (c->is_position || (size_t)(st->end - s) < c->n || memcmp(c->p, s, c->n) != 0)
		return NULL;
	return s + c->n;
}

/* What takes no repeat; NULL: does not match. */
static const char *pattern_once(
	struct pattern_state *st, const struct pattern_item *item, const char *s)
{
	struct pattern_capture *c = &st->m->captures[item->a % PATTERN_CAPTURES];

	switch ((enum pattern_kind)item->kind) {
	case PATTERN_OPEN:
	case PATTERN_POSITION:
		*c = (struct pattern_capture){ s, 0, item->kind == PATTERN_POSITION };
		return s;
	case PATTERN_CLOSE: c->n = (size_t)(s - c->p); return s;
	case PATTERN_BALANCE: return pattern_balance(st, item, s);
	case PATTERN_FRONTIER: return pattern_frontier(st, item, s);
	case PATTERN_BACK: return pattern_back(st, item, s);
	case PATTERN_END: return s == st->end ? s : NULL;
	case PATTERN_CHAR:
	case PATTERN_ANY:
	case PATTERN_SET: return pattern_single(st, item, s) ? s + 1 : NULL;
	}
	return NULL;
}

/* Matches items from i on at s; where the match ends, or NULL. */
static const char *pattern_go(struct pattern_state *st, unsigned i, const char *s)
{
	const struct pattern_item *item;
	const char *found;

	for (; i < st->p->n_items; i++) {
		item = &st->p->items[i];
		if (++st->m->steps > PATTERN_STEPS)
			return NULL;
		switch (item->repeat) {
		case '*': return pattern_greedy(st, i, s, 0);
		case '+': return pattern_greedy(st, i, s, 1);
		case '-': return pattern_lazy(st, i, s);
		case '?':
			if (pattern_single(st, item, s)) {
				found = pattern_go(st, i + 1, s + 1);
				if (found || st->m->steps > PATTERN_STEPS)
					return found;
			}
			break;
		default:
			s = pattern_once(st, item, s);
			if (!s)
				return NULL;
		}
	}
	return s;
}

enum pattern_result pattern_match_at(
	const struct pattern *p, struct span text, size_t at, struct pattern_match *m)
{
	const char *begin = text.p ? text.p : "";
	struct pattern_state st = { .p = p, .begin = begin, .end = begin + text.n, .m = m };

	m->from = begin + at;
	m->to = pattern_go(&st, 0, m->from);
	if (m->steps > PATTERN_STEPS)
		return PATTERN_TOO_LONG;
	return m->to ? PATTERN_FOUND : PATTERN_NONE;
}

enum pattern_result pattern_search(
	const struct pattern *p, struct span text, size_t at, struct pattern_match *m)
{
	enum pattern_result r;

	do {
		r = pattern_match_at(p, text, at, m);
		m->steps++;
	} while (r == PATTERN_NONE && !p->anchored && at++ < text.n);
	return r;
}
