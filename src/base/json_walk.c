/*
 * json_walk.c: reading checked JSON where it lies, and writing it.
 *
 * Nothing here checks again: json_check has.  Every loop still stops at the end of the span, so a
 * caller that forgot the check gets nonsense, never foreign memory.  Values are found by skipping
 * their neighbours; there is no index, because an event is short, most of its members are never
 * asked for, and an index is an allocation per event.
 *
 * The canonical form is written in one pass: the members of an object are written in the order
 * they come and moved only when they turn out not to be sorted.
 */
#include "base/json.h"

#include <assert.h>
#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *json_kind_name(enum json_kind kind)
{
	switch (kind) {
	case JSON_NULL: return "null";
	case JSON_FALSE: return "false";
	case JSON_TRUE: return "true";
	case JSON_NUMBER: return "number";
	case JSON_STRING: return "string";
	case JSON_ARRAY: return "array";
	case JSON_OBJECT: return "object";
	}
	return "?";
}

static inline bool json_is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* NULL has no end to be computed. */
static inline const char *json_end(struct span s)
{
	return s.n ? s.p + s.n : s.p;
}

static inline const char *json_gap(const char *p, const char *end)
{
	while (p < end && json_is_blank(*p))
		p++;
	return p;
}

/* The first quote or backslash at or behind p; eight bytes at a time, the lowest hit of a word is
 * exact. */
static inline const char *json_text_stop(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;

	for (; end - p >= 8; p += 8) {
		uint64_t w, quote, slash, hits;

		memcpy(&w, p, 8);
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		hits = (((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops;
		if (hits)
			return p + (__builtin_ctzll(le64toh(hits)) >> 3);
	}
	while (p < end && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* Behind the closing quote of the string whose opening quote is before p. */
static inline const char *json_skip_text(const char *p, const char *end, bool *ret_escaped)
{
	*ret_escaped = false;
	for (;;) {
		p = json_text_stop(p, end);
		if (p == end)
			return end;
		if (*p == '"')
			return p + 1;
		*ret_escaped = true;
		p = end - p < 2 ? end : p + 2;
	}
}

/* Behind the container that opens at p. */
static const char *json_skip_nest(const char *p, const char *end)
{
	static const unsigned char stops[256] = {
		['"'] = 1, ['{'] = 1, ['['] = 1, ['}'] = 1, [']'] = 1
	};
	unsigned depth = 0;
	bool escaped;

	while (p < end) {
		unsigned char c = (unsigned char)*p++;

		if (!stops[c])
			continue;
		if (c == '"')
			p = json_skip_text(p, end, &escaped);
		else if (c == '{' || c == '[')
			depth++;
		else if (--depth == 0)
			return p;
	}
	return end;
}

/* Behind the value that begins exactly at p. */
static const char *json_skip(const char *p, const char *end)
{
	static const unsigned char stops[256] = {
		[','] = 1, [']'] = 1, ['}'] = 1, [' '] = 1, ['\n'] = 1, ['\t'] = 1, ['\r'] = 1
	};
	bool escaped;

	if (p == end)
		return end;
	if (*p == '"')
		return json_skip_text(p + 1, end, &escaped);
	if (*p == '{' || *p == '[')
		return json_skip_nest(p, end);
	while (p < end && !stops[(unsigned char)*p])
		p++;
	return p;
}

enum json_kind json_kind(struct span value)
{
	const char *end = json_end(value), *p = json_gap(value.p, end);

	if (p == end)
		return JSON_NULL;
	switch (*p) {
	case 'n': return JSON_NULL;
	case 'f': return JSON_FALSE;
	case 't': return JSON_TRUE;
	case '"': return JSON_STRING;
	case '[': return JSON_ARRAY;
	case '{': return JSON_OBJECT;
	default: return JSON_NUMBER;
	}
}

bool json_is_null(struct span value)
{
	return json_kind(value) == JSON_NULL;
}

void json_iter_init(struct json_iter *it, struct span value)
{
	it->end = json_end(value);
	it->p = json_gap(value.p, it->end);
	it->is_object = it->p < it->end && *it->p == '{';
	if (it->is_object || (it->p < it->end && *it->p == '['))
		it->p++;
	else
		it->p = it->end;
}

bool json_next(struct json_iter *it, struct span *ret_key, struct span *ret_value)
{
	const char *end = it->end, *p = json_gap(it->p, end), *key = NULL, *key_end = NULL;

	if (p < end && *p == ',')
		p = json_gap(p + 1, end);
	if (p == end || *p == '}' || *p == ']') {
		it->p = end;
		return false;
	}
	if (it->is_object) {
		key = p;
		key_end = json_skip(key, end);
		p = json_gap(key_end, end);
		if (p < end)
			p = json_gap(p + 1, end); /* the colon */
	}
	it->p = json_skip(p, end);
	if (it->p == p) { /* cannot be in checked text; without progress there is no end */
		it->p = end;
		return false;
	}
	if (ret_key)
		*ret_key = (struct span){ key, (size_t)(key_end - key) };
	*ret_value = (struct span){ p, (size_t)(it->p - p) };
	return true;
}

static unsigned json_hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') & 15 : ((unsigned)(c | 32) - 'a' + 10) & 15;
}

/* The number in \uXXXX at p. */
static uint32_t json_unit(const char *p)
{
	return json_hex_digit(p[2]) << 12 | json_hex_digit(p[3]) << 8 | json_hex_digit(p[4]) << 4 |
	       json_hex_digit(p[5]);
}

static size_t json_put_utf8(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* Reads one character or byte of a string's inside at *p, moves *p behind it, returns its bytes. */
static size_t json_unescape(const char **p, const char *end, char out[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = *p, *known;
	uint32_t c;

	if (*at != '\\' || end - at < 2) {
		out[0] = *at;
		*p = at + 1;
		return 1;
	}
	if (at[1] != 'u' || end - at < 6) {
		known = memchr(from, at[1], sizeof from - 1);
		out[0] = known ? to[known - from] : '?';
		*p = at + 2;
		return 1;
	}
	c = json_unit(at);
	*p = at + 6;
	if (c >= 0xd800 && c < 0xdc00 && end - at >= 12) {
		c = 0x10000 + ((c - 0xd800) << 10) + ((json_unit(at + 6) - 0xdc00) & 0x3ff);
		*p = at + 12;
	}
	return json_put_utf8(c, out);
}

/* The inside of a string, as written; {NULL, 0} for other kinds. */
static struct span json_inside(struct span value, bool *ret_escaped)
{
	const char *end = json_end(value), *p = json_gap(value.p, end), *behind;

	if (p == end || *p != '"')
		return (struct span){ NULL, 0 };
	behind = json_skip_text(p + 1, end, ret_escaped);
	return (struct span){ p + 1, behind - p < 2 ? 0 : (size_t)(behind - p) - 2 };
}

struct span json_text(struct span value, struct arena *a)
{
	bool escaped = false;
	struct span raw = json_inside(value, &escaped);
	const char *p = raw.p, *end = json_end(raw);
	char *text, *to;

	if (!escaped)
		return raw;
	text = to = arena_alloc(a, raw.n + 4); /* unescaping only shortens */
	while (p < end) {
		char c[4];
		size_t n = json_unescape(&p, end, c);

		memcpy(to, c, n);
		to += n;
	}
	return (struct span){ text, (size_t)(to - text) };
}

bool json_text_is(struct span value, struct span text)
{
	bool escaped = false;
	struct span raw = json_inside(value, &escaped);
	const char *p = raw.p, *end = json_end(raw);
	size_t at = 0;

	if (raw.p == NULL || raw.n < text.n)
		return false;
	if (raw.n == text.n)
		return span_eq(raw, text); /* with an escape the text would be shorter */
	if (!escaped)
		return false;
	while (p < end) {
		char c[4];
		size_t n = json_unescape(&p, end, c);

		if (n > text.n - at || memcmp(text.p + at, c, n) != 0)
			return false;
		at += n;
	}
	return at == text.n;
}

bool json_get(struct span object, struct span key, struct span *ret_value)
{
	struct json_iter it;
	struct span k, v;

	json_iter_init(&it, object);
	while (it.is_object && json_next(&it, &k, &v))
		if (json_text_is(k, key)) {
			*ret_value = v;
			return true;
		}
	return false;
}

/* The element of an array at an index written in decimal. */
static bool json_pick(struct span array, struct span index, struct span *ret_value)
{
	struct json_iter it;
	int64_t left;

	if (!span_to_i64(index, &left) || left < 0)
		return false;
	json_iter_init(&it, array);
	while (json_next(&it, NULL, ret_value))
		if (left-- == 0)
			return true;
	return false;
}

bool json_find(struct span value, const char *dotted_path, struct span *ret_value)
{
	const char *at = dotted_path;

	for (;;) {
		size_t n = strcspn(at, ".");
		struct span step = { at, n };
		bool found = json_kind(value) == JSON_ARRAY ? json_pick(value, step, &value)
							    : json_get(value, step, &value);

		if (!found)
			return false;
		if (at[n] == '\0')
			break;
		at += n + 1;
	}
	*ret_value = value;
	return true;
}

/* Asks the C library, which rounds correctly but wants a NUL. */
static double json_number_slow(const char *p, const char *end)
{
	char copy[64];
	size_t n = (size_t)(end - p) < sizeof copy - 1 ? (size_t)(end - p) : sizeof copy - 1;

	memcpy(copy, p, n);
	copy[n] = '\0';
	return strtod(copy, NULL) + 0.0; /* -0 becomes 0 */
}

/* Digits below 2^53 divided by a power of ten up to 10^22 are rounded once, so exactly (Clinger
 * 1990). */
bool json_number(struct span value, double *ret)
{
	static const double tens[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15 };
	const char *end = json_end(value), *begin = json_gap(value.p, end), *p = begin;
	const char *point = NULL;
	uint64_t v = 0;
	unsigned n = 0;

	if (p == end || (*p != '-' && (*p < '0' || *p > '9')))
		return false;
	for (p += *p == '-'; p < end && n <= 15; p++) {
		if (*p == '.') {
			point = p + 1;
			continue;
		}
		if (*p < '0' || *p > '9')
			break;
		v = v * 10 + (uint64_t)(*p - '0');
		n++;
	}
	if (n > 15 || (p < end && (*p == 'e' || *p == 'E'))) {
		*ret = json_number_slow(begin, json_skip(begin, end));
		return true;
	}
	*ret = (double)v / (point ? tens[p - point] : 1.0);
	if (*begin == '-' && v != 0)
		*ret = -*ret;
	return true;
}

bool json_integer(struct span value, int64_t *ret)
{
	return json_kind(value) == JSON_NUMBER && span_to_i64(span_trim(value), ret);
}

/* What stands for a byte that cannot stand for itself, or NULL. */
static const char *json_escaped(unsigned char c, char tmp[8])
{
	switch (c) {
	case '"': return "\\\"";
	case '\\': return "\\\\";
	case '\b': return "\\b";
	case '\f': return "\\f";
	case '\n': return "\\n";
	case '\r': return "\\r";
	case '\t': return "\\t";
	default: break;
	}
	if (c >= 0x20)
		return NULL;
	snprintf(tmp, 8, "\\u%04x", c);
	return tmp;
}

void json_put_inside(struct buf *b, struct span s)
{
	const char *from = s.p, *end = json_end(s);
	char tmp[8];

	for (const char *p = s.p; p < end; p++) {
		const char *esc;

		if ((unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
			continue;
		esc = json_escaped((unsigned char)*p, tmp);
		buf_add(b, from, (size_t)(p - from));
		buf_str(b, esc);
		from = p + 1;
	}
	buf_add(b, from, (size_t)(end - from));
}

void json_put_text(struct buf *b, struct span s)
{
	buf_reserve(b, s.n + 2);
	buf_char(b, '"');
	json_put_inside(b, s);
	buf_char(b, '"');
}

/* Money, nearly always: whole cents, without printf; false: it is something else. */
static bool json_put_cents(struct buf *b, double x)
{
	int64_t cents, part;

	if (fabs(x) >= 1e13)
		return false;
	cents = llround(x * 100);
	if ((double)cents / 100 != x)
		return false;
	part = cents < 0 ? -cents % 100 : cents % 100;
	if (cents < 0)
		buf_char(b, '-');
	buf_int(b, cents < 0 ? -cents / 100 : cents / 100);
	buf_char(b, '.');
	buf_char(b, (char)('0' + part / 10));
	if (part % 10)
		buf_char(b, (char)('0' + part % 10));
	return true;
}

void json_put_number(struct buf *b, double x)
{
	char digits[40];
	double back;

	assert(isfinite(x));
	if (fabs(x) < 1e15 && x == (double)(int64_t)x) {
		buf_int(b, (int64_t)x);
		return;
	}
	if (json_put_cents(b, x))
		return;
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof digits, "%.*g", precision, x);
		if (json_number(span_of(digits), &back) && back == x)
			break;
	}
	buf_str(b, digits);
}

void json_put_key(struct buf *b, const char *key)
{
	size_t n = strlen(key);
	char *at = buf_reserve(b, n + 4);

	if (b->n > 0 && at[-1] != '{')
		*at++ = ',';
	*at++ = '"';
	memcpy(at, key, n);
	at[n] = '"';
	at[n + 1] = ':';
	at[n + 2] = '\0';
	b->n = (size_t)(at + n + 2 - b->p);
}

enum { JSON_CANON_KEPT = 1 << 20 }; /* bytes; more is given back */

/* A member written by json_canon. */
struct json_slot {
	const char *p; /* where it begins in the output */
	size_t n_key;  /* its quoted key */
	size_t n;      /* all of it */
	uint64_t head; /* the key's first bytes, in their order */
};

struct json_canon {
	char *to;                /* where the next byte of the output goes */
	struct json_slot *slots; /* of all open objects; the innermost is on top */
	size_t n, cap;
	unsigned depth;
	struct arena texts;
	struct buf quoted; /* a string with escapes, written anew */
	struct buf moved;  /* members that were not in order */
};

static const char *json_canon_value(struct json_canon *c, const char *p, const char *end);

static int json_slot_order(const void *va, const void *vb)
{
	const struct json_slot *a = va, *b = vb;

	if (a->head != b->head) /* a shorter key has ended in its quote, which is in no other */
		return a->head < b->head ? -1 : 1;
	return span_cmp((struct span){ a->p, a->n_key }, (struct span){ b->p, b->n_key });
}

/* The bytes behind the opening quote. */
static uint64_t json_slot_head(const char *key, size_t n)
{
	uint64_t head = 0;

	memcpy(&head, key + 1, n - 1 < sizeof head ? n - 1 : sizeof head);
	return be64toh(head);
}

/* Few are sorted by insertion, which is twice as fast as qsort for a usual object. */
static void json_slots_sort(struct json_slot *slot, size_t n)
{
	if (n > 16) {
		qsort(slot, n, sizeof *slot, json_slot_order);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct json_slot moving = slot[i];
		size_t j = i;

		for (; j > 0 && json_slot_order(&slot[j - 1], &moving) > 0; j--)
			slot[j] = slot[j - 1];
		slot[j] = moving;
	}
}

/* Puts the members from `base` on in order; they stand from `begin` on in the output. */
static void json_canon_sort(struct json_canon *c, size_t base, char *begin)
{
	struct json_slot *slot = c->slots + base;
	size_t n = c->n - base, len = (size_t)(c->to - begin), i = 1;
	char *to = begin;

	while (i < n && json_slot_order(&slot[i - 1], &slot[i]) <= 0)
		i++;
	if (i >= n)
		return;
	json_slots_sort(slot, n);
	buf_clear(&c->moved);
	buf_add(&c->moved, begin, len);
	for (i = 0; i < n; i++) {
		if (i)
			*to++ = ',';
		memcpy(to, c->moved.p + (slot[i].p - begin), slot[i].n);
		to += slot[i].n;
	}
}

static const char *json_canon_object(struct json_canon *c, const char *p, const char *end)
{
	size_t base = c->n;
	char *begin;

	*c->to++ = '{';
	begin = c->to;
	for (p = json_gap(p + 1, end); p < end && *p == '"'; p = json_gap(p + 1, end)) {
		struct json_slot slot = { .p = c->to };

		p = json_canon_value(c, p, end);
		slot.n_key = (size_t)(c->to - slot.p);
		slot.head = json_slot_head(slot.p, slot.n_key);
		p = json_gap(p, end);
		if (p == end)
			break;
		*c->to++ = ':';
		p = json_gap(json_canon_value(c, json_gap(p + 1, end), end), end);
		slot.n = (size_t)(c->to - slot.p);
		c->slots = mem_grow(c->slots, c->n, &c->cap, sizeof *c->slots);
		c->slots[c->n++] = slot;
		if (p == end || *p != ',')
			break;
		*c->to++ = ',';
	}
	if (c->n - base > 1)
		json_canon_sort(c, base, begin);
	c->n = base;
	if (p == end)
		return end;
	*c->to++ = '}';
	return p + 1;
}

static const char *json_canon_array(struct json_canon *c, const char *p, const char *end)
{
	*c->to++ = '[';
	for (p = json_gap(p + 1, end); p < end && *p != ']'; p = json_gap(p + 1, end)) {
		p = json_gap(json_canon_value(c, p, end), end);
		if (p == end || *p != ',')
			break;
		*c->to++ = ',';
	}
	if (p == end)
		return end;
	*c->to++ = ']';
	return p + 1;
}

static void json_canon_add(struct json_canon *c, const char *p, size_t n)
{
	memcpy(c->to, p, n);
	c->to += n;
}

/* Writes a string or a literal. */
static const char *json_canon_scalar(struct json_canon *c, const char *p, const char *end)
{
	bool escaped = false, is_text = p < end && *p == '"';
	const char *behind = is_text ? json_skip_text(p + 1, end, &escaped) : json_skip(p, end);
	size_t n = (size_t)(behind - p);

	if (escaped) {
		buf_clear(&c->quoted);
		json_put_text(&c->quoted, json_text((struct span){ p, n }, &c->texts));
		if (c->quoted.n <= n) { /* always so in checked text */
			json_canon_add(c, c->quoted.p, c->quoted.n);
			return behind;
		}
	}
	json_canon_add(c, p, n);
	return behind;
}

/* Writes the value that begins exactly at p, returns the position behind it.  What is written for
 * a part of the text is never longer than the part: the shortest escapes are used. */
static const char *json_canon_value(struct json_canon *c, const char *p, const char *end)
{
	bool nest = p < end && (*p == '{' || *p == '[') && c->depth < JSON_DEPTH;

	if (!nest)
		return json_canon_scalar(c, p, end);
	c->depth++;
	p = *p == '{' ? json_canon_object(c, p, end) : json_canon_array(c, p, end);
	c->depth--;
	return p;
}

void json_canon(struct span value, struct buf *out)
{
	static struct json_canon c; /* its memory stays for the next value; there are no threads */
	const char *end = json_end(value);

	c.to = buf_reserve(out, value.n);
	c.n = 0;
	c.depth = 0;
	json_canon_value(&c, json_gap(value.p, end), end);
	*c.to = '\0';
	out->n = (size_t)(c.to - out->p);
	arena_fini(&c.texts);
	if (c.moved.cap > JSON_CANON_KEPT || c.quoted.cap > JSON_CANON_KEPT ||
		c.cap * sizeof *c.slots > JSON_CANON_KEPT) {
		buf_free(&c.moved);
		buf_free(&c.quoted);
		free(c.slots);
		c = (struct json_canon){ 0 };
	}
}
