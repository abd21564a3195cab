/*
 * json.c: the check; walking and writing are in json_walk.c.
 *
 * One recursive descent over the bytes (depth is limited, so recursion is too).  It keeps nothing
 * but where it is: a frame per open container, from which a path is written when something is
 * refused.
 *
 * Duplicate keys: the keys of all open objects lie on one stack, each with a cheap hash; an
 * object's own keys are always its topmost part.  Up to 32 keys are compared as they come, which
 * costs less than any table.  A larger object is sorted when it closes and neighbours are
 * compared: n log n whatever an attacker sends, where a hash table would need a secret seed.
 * (Rejected for the same reason: comparing unescaped copies of all keys; only keys that contain a
 * backslash are copied.)
 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_FEW_KEYS = 32, JSON_KEYS_INLINE = 112 };
enum { JSON_NUMBER_CHARS = 40, JSON_EXPONENT = 100, JSON_SAFE_DIGITS = 15 };
#define JSON_NUMBER_MOST 1e15
#define JSON_BYTES_MOST ((size_t)1 << 30)

struct json_key {
	const char *p; /* unescaped */
	uint32_t n;
	uint32_t hash;
};

struct json_frame {
	bool is_object;
	bool has_member; /* a member or element is being read: it is part of the path */
	struct span key; /* as written, without quotes */
	size_t index;
};

struct json_scan {
	const char *begin, *end;
	struct json_fault *fault;
	struct json_member *want;
	size_t n_want;
	struct arena texts;    /* of keys with escapes */
	struct json_key *keys; /* `few`, or from the heap */
	size_t n_keys, cap_keys;
	unsigned depth;
	struct json_frame frame[JSON_DEPTH];
	struct json_key few[JSON_KEYS_INLINE];
};

/* 1 for bytes that stand for themselves in a string: ASCII from space on, without " and \. */
static const unsigned char json_plain[256] = {
	[' '] = 1,
	[0x21] = 1,
	[0x23 ... 0x5b] = 1,
	[0x5d ... 0x7f] = 1,
};

static const char *json_value(struct json_scan *s, const char *p);

/* Appends one step of a path; false when there is no room left for it. */
static bool json_path_step(struct json_fault *f, size_t *n, const struct json_frame *frame)
{
	size_t room = sizeof f->path - 4 - *n; /* "..." always fits behind */
	bool simple = frame->key.n > 0;
	int len;

	for (size_t i = 0; i < frame->key.n && simple; i++) {
		unsigned char c = (unsigned char)frame->key.p[i];
		simple = c >= 0x80 || c == '_' || (c >= '0' && c <= '9') ||
			 ((c | 32) >= 'a' && (c | 32) <= 'z');
	}
	if (frame->is_object && frame->key.n + 5 > room)
		return false;
	if (!frame->is_object)
		len = snprintf(f->path + *n, room, "[%zu]", frame->index);
	else
		len = snprintf(
			f->path + *n, room, simple ? ".%.*s" : "[\"%.*s\"]", SPAN_ARG(frame->key));
	if (len < 0 || (size_t)len >= room)
		return false;
	*n += (size_t)len;
	return true;
}

/* Notes the fault; always returns NULL, so `return json_refuse(...)`. */
static const char *json_refuse(struct json_scan *s, const char *at, const char *what)
{
	struct json_fault *f = s->fault;
	size_t n = 1;

	f->what = what;
	f->at = (size_t)(at - s->begin);
	f->path[0] = '$';
	for (unsigned i = 0; i < s->depth && s->frame[i].has_member; i++)
		if (!json_path_step(f, &n, &s->frame[i])) {
			memcpy(f->path + n, "...", 3);
			n += 3;
			break;
		}
	f->path[n] = '\0';
	return NULL;
}

static inline const char *json_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

static inline const char *json_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Length of the UTF-8 character at p (RFC 3629 table 3-7: no surrogates, no overlong forms,
 * nothing above U+10FFFF), 0 when it is none. */
static unsigned json_utf8_len(const unsigned char *p, size_t n)
{
	unsigned char lead = p[0], low = 0x80, high = 0xbf;
	unsigned len = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (lead > 0xf4 || len > n)
		return 0;
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	if (len > 1 && (p[1] < low || p[1] > high))
		return 0;
	for (unsigned i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool json_is_text(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		unsigned len = json_utf8_len((const unsigned char *)s.p + i, s.n - i);

		if (len == 0 || s.p[i] == '\0')
			return false;
		i += len;
	}
	return true;
}

/* Goes over characters that are not ASCII. */
static const char *json_wide(struct json_scan *s, const char *p)
{
	while (p < s->end && (unsigned char)*p >= 0x80) {
		unsigned len = json_utf8_len((const unsigned char *)p, (size_t)(s->end - p));

		if (len == 0)
			return json_refuse(s, p, "text is not valid UTF-8");
		p += len;
	}
	return p;
}

/* Reads the four digits of \uXXXX at p; -1 when they are none. */
static int json_hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int c = (unsigned char)p[i], lower = c | 32;

		if (c >= '0' && c <= '9')
			v = v * 16 + c - '0';
		else if (lower >= 'a' && lower <= 'f')
			v = v * 16 + lower - 'a' + 10;
		else
			return -1;
	}
	return v;
}

/* Checks \uXXXX at p, for characters above U+FFFF the pair of two (RFC 8259 section 7). */
static const char *json_escape_u(struct json_scan *s, const char *p)
{
	int high = json_hex4(p + 2, s->end), low = -1;

	if (high < 0)
		return json_refuse(s, p, "\\u needs four hexadecimal digits");
	if (high == 0)
		return json_refuse(s, p, "\\u0000 is not allowed in text");
	if (high < 0xd800 || high > 0xdfff)
		return p + 6;
	if (high < 0xdc00 && s->end - p >= 12 && p[6] == '\\' && p[7] == 'u')
		low = json_hex4(p + 8, s->end);
	if (low < 0xdc00 || low > 0xdfff)
		return json_refuse(s, p, "half of a surrogate pair is not a character");
	return p + 12;
}

static const char *json_escape(struct json_scan *s, const char *p)
{
	if (s->end - p < 2)
		return json_refuse(s, p, "text without closing quote");
	if (p[1] == 'u')
		return json_escape_u(s, p);
	if (p[1] == '\0' || strchr("\"\\/bfnrt", p[1]) == NULL)
		return json_refuse(s, p, "unknown escape in text");
	return p + 2;
}

/* Eight bytes that all stand for themselves: no quote, no backslash, no control, nothing above
 * ASCII. Exact per word: a borrow can only come from a byte that is itself a hit. */
static inline bool json_plain8(const char *p)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t w, quote, slash;

	memcpy(&w, p, 8);
	quote = w ^ ones * '"';
	slash = w ^ ones * '\\';
	return (((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & tops) == 0;
}

/* Checks a string; p is behind its opening quote, the answer behind the closing one. */
static const char *json_string(struct json_scan *s, const char *p, bool *ret_escaped)
{
	const char *end = s->end;

	while (p != NULL) {
		while (end - p >= 8 && json_plain8(p))
			p += 8;
		while (p < end && json_plain[(unsigned char)*p])
			p++;
		if (p == end)
			return json_refuse(s, p, "text without closing quote");
		if (*p == '"')
			return p + 1;
		if (*p == '\\') {
			*ret_escaped = true;
			p = json_escape(s, p);
		} else if ((unsigned char)*p < 0x20) {
			return json_refuse(s, p, "control character in text; escape it");
		} else {
			p = json_wide(s, p);
		}
	}
	return NULL;
}

/* Reads an exponent at p (behind the e); false when it is none or beyond the limit. */
static bool json_exponent(const char **p, const char *end)
{
	const char *digits;
	int v = 0;

	if (*p < end && (**p == '+' || **p == '-'))
		++*p;
	digits = *p;
	*p = json_digits(digits, end);
	for (const char *d = digits; d < *p && v <= JSON_EXPONENT; d++)
		v = v * 10 + *d - '0';
	return *p > digits && v <= JSON_EXPONENT;
}

static const char *json_numeral(struct json_scan *s, const char *p)
{
	static const char shape[] = "not a number";
	static const char size[] = "number out of range (1e15, 40 characters); send it as a string";
	const char *begin = p, *end = s->end, *whole, *part;
	bool exact = true;
	double x;

	p += *p == '-';
	whole = p;
	p = json_digits(p, end);
	if (p == whole || (*whole == '0' && p - whole > 1))
		return json_refuse(s, begin, shape);
	if (p - whole > JSON_SAFE_DIGITS)
		exact = false;
	if (p < end && *p == '.') {
		part = p + 1;
		p = json_digits(part, end);
		if (p == part)
			return json_refuse(s, begin, shape);
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		exact = false;
		part = ++p;
		if (!json_exponent(&p, end))
			return json_refuse(
				s, begin, p > part && p[-1] >= '0' && p[-1] <= '9' ? size : shape);
	}
	if (p - begin > JSON_NUMBER_CHARS)
		return json_refuse(s, begin, size);
	if (!exact && (!json_number((struct span){ begin, (size_t)(p - begin) }, &x) ||
			      fabs(x) > JSON_NUMBER_MOST))
		return json_refuse(s, begin, size);
	return p;
}

static const char *json_literal(struct json_scan *s, const char *p, const char *word, size_t n)
{
	if ((size_t)(s->end - p) < n || memcmp(p, word, n) != 0)
		return json_refuse(s, p, "not a JSON value");
	return p + n;
}

/* Tells different keys apart quickly; equality is decided by the bytes. */
static inline uint32_t json_key_hash(const char *p, size_t n)
{
	uint64_t h = n, w = 0;
	uint32_t a, b;

	for (; n > 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	if (n >= 4) {
		memcpy(&a, p, 4);
		memcpy(&b, p + n - 4, 4);
		w = (uint64_t)a << 32 | b;
	} else if (n > 0) {
		w = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[n / 2] << 8 |
		    (unsigned char)p[n - 1];
	} else {
		w = 0;
	}
	h = (h ^ w) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

static bool json_key_eq(const struct json_key *a, const struct json_key *b)
{
	return a->hash == b->hash && a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static int json_key_order(const void *va, const void *vb)
{
	const struct json_key *a = va, *b = vb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->p, b->p, a->n);
}

/* Puts a key on the stack. */
static struct json_key *json_key_push(struct json_scan *s, struct span text)
{
	struct json_key *k;

	if (s->n_keys == s->cap_keys) {
		struct json_key *more = xmalloc(2 * s->cap_keys * sizeof *more);

		memcpy(more, s->keys, s->n_keys * sizeof *more);
		if (s->keys != s->few)
			free(s->keys);
		s->keys = more;
		s->cap_keys *= 2;
	}
	k = &s->keys[s->n_keys++];
	*k = (struct json_key){ text.p, (uint32_t)text.n, json_key_hash(text.p, text.n) };
	return k;
}

/* The object whose keys lie from base on was small so far: is its newest key new? */
static bool json_key_is_new(const struct json_scan *s, size_t base)
{
	const struct json_key *last = &s->keys[s->n_keys - 1];

	for (const struct json_key *k = s->keys + base; k < last; k++)
		if (json_key_eq(k, last))
			return false;
	return true;
}

/* A large object is closed: looks for a key that it has twice. */
static const char *json_keys_sort(struct json_scan *s, const char *p, size_t base)
{
	struct json_key *k = s->keys + base;
	size_t n = s->n_keys - base;

	qsort(k, n, sizeof *k, json_key_order);
	for (size_t i = 1; i < n; i++) {
		if (!json_key_eq(&k[i - 1], &k[i]))
			continue;
		s->frame[s->depth - 1].key = (struct span){ k[i].p, k[i].n };
		return json_refuse(s, p, "the object has this key twice");
	}
	return p;
}

static void json_note(struct json_scan *s, struct span key, struct span value)
{
	for (size_t i = 0; i < s->n_want; i++) {
		const char *want = s->want[i].key;

		if (key.n == 0 ? *want == '\0' : (*want == *key.p && span_is(key, want)))
			s->want[i].value = value;
	}
}

/* Opens a container; false when it is one too many. */
static bool json_enter(struct json_scan *s, const char *p, bool is_object)
{
	if (s->depth == JSON_DEPTH) {
		json_refuse(s, p, "nested too deep (32 levels)");
		return false;
	}
	s->frame[s->depth++] = (struct json_frame){ .is_object = is_object };
	return true;
}

/* Reads the key at p, the answer is behind it.  base: where the keys of this object begin. */
static const char *json_key(struct json_scan *s, const char *p, size_t base)
{
	struct json_frame *f = &s->frame[s->depth - 1];
	const char *begin = p;
	bool escaped = false;
	struct span text;

	if (p == s->end || *p != '"')
		return json_refuse(s, p, "a key in double quotes must stand here");
	p = json_string(s, p + 1, &escaped);
	if (p == NULL)
		return NULL;
	text = f->key = (struct span){ begin + 1, (size_t)(p - begin) - 2 };
	f->has_member = true;
	if (escaped)
		text = json_text((struct span){ begin, (size_t)(p - begin) }, &s->texts);
	json_key_push(s, text);
	if (s->n_keys - base <= JSON_FEW_KEYS && !json_key_is_new(s, base))
		return json_refuse(s, begin, "the object has this key twice");
	return p;
}

/* One member: key, colon, value. */
static const char *json_pair(struct json_scan *s, const char *p, size_t base)
{
	const char *value;

	p = json_key(s, p, base);
	if (p == NULL)
		return NULL;
	p = json_blanks(p, s->end);
	if (p == s->end || *p != ':')
		return json_refuse(s, p, "a colon must follow the key");
	value = json_blanks(p + 1, s->end);
	p = json_value(s, value);
	if (p != NULL && s->depth == 1 && s->n_want) {
		const struct json_key *k = &s->keys[s->n_keys - 1];

		json_note(s, (struct span){ k->p, k->n },
			(struct span){ value, (size_t)(p - value) });
	}
	return p;
}

static const char *json_object(struct json_scan *s, const char *p)
{
	struct json_frame *f = &s->frame[s->depth];
	size_t base = s->n_keys;

	if (!json_enter(s, p, true))
		return NULL;
	p = json_blanks(p + 1, s->end);
	if (p < s->end && *p == '}') {
		s->depth--;
		return p + 1;
	}
	for (;;) {
		p = json_pair(s, p, base);
		if (p == NULL)
			return NULL;
		p = json_blanks(p, s->end);
		if (p == s->end || *p != ',')
			break;
		f->has_member = false;
		p = json_blanks(p + 1, s->end);
	}
	if (p == s->end || *p != '}')
		return json_refuse(s, p, "a comma or } must follow");
	if (s->n_keys - base > JSON_FEW_KEYS && json_keys_sort(s, p, base) == NULL)
		return NULL;
	s->n_keys = base;
	s->depth--;
	return p + 1;
}

static const char *json_array(struct json_scan *s, const char *p)
{
	struct json_frame *f = &s->frame[s->depth];

	if (!json_enter(s, p, false))
		return NULL;
	p = json_blanks(p + 1, s->end);
	if (p < s->end && *p == ']') {
		s->depth--;
		return p + 1;
	}
	for (f->has_member = true;; f->index++) {
		p = json_value(s, p);
		if (p == NULL)
			return NULL;
		p = json_blanks(p, s->end);
		if (p == s->end || *p != ',')
			break;
		p = json_blanks(p + 1, s->end);
	}
	if (p == s->end || *p != ']')
		return json_refuse(s, p, "a comma or ] must follow");
	s->depth--;
	return p + 1;
}

/* Checks the value that begins exactly at p. */
static const char *json_value(struct json_scan *s, const char *p)
{
	bool escaped;

	if (p == s->end)
		return json_refuse(s, p, "the text ends where a value must stand");
	switch (*p) {
	case '{': return json_object(s, p);
	case '[': return json_array(s, p);
	case '"': return json_string(s, p + 1, &escaped);
	case 't': return json_literal(s, p, "true", 4);
	case 'f': return json_literal(s, p, "false", 5);
	case 'n': return json_literal(s, p, "null", 4);
	case '\xef': return json_refuse(s, p, "no byte order mark may stand here");
	default: break;
	}
	if (*p == '-' || (*p >= '0' && *p <= '9'))
		return json_numeral(s, p);
	return json_refuse(s, p, "not a JSON value");
}

const char *json_check_object(const char *p, const char *end, struct json_member *want,
	size_t n_want, struct json_fault *ret_fault)
{
	/* 3 kB that need no zeroes: the stack of keys and the frames are written before they are read */
	UNSET struct json_scan s;

	s.begin = p;
	s.end = end;
	s.fault = ret_fault;
	s.want = want;
	s.n_want = n_want;
	s.texts = (struct arena){ 0 };
	s.keys = s.few;
	s.n_keys = 0;
	s.cap_keys = JSON_KEYS_INLINE;
	s.depth = 0;
	for (size_t i = 0; i < n_want; i++)
		want[i].value = (struct span){ NULL, 0 };
	p = json_blanks(p, end);
	if ((size_t)(end - p) > JSON_BYTES_MOST)
		p = json_refuse(&s, p, "more than 1 GiB of text");
	else if (want != NULL && (p == end || *p != '{'))
		p = json_refuse(&s, p, "the value must be an object");
	else
		p = json_value(&s, p);
	if (s.keys != s.few)
		free(s.keys);
	arena_fini(&s.texts);
	return p;
}

const char *json_check(const char *p, const char *end, struct json_fault *ret_fault)
{
	return json_check_object(p, end, NULL, 0, ret_fault);
}

bool json_check_all(struct span text, struct json_fault *ret_fault)
{
	const char *end = text.n ? text.p + text.n : text.p,
		   *p = json_check(text.p, end, ret_fault);

	if (p == NULL)
		return false;
	p = json_blanks(p, end);
	if (p == end)
		return true;
	*ret_fault = (struct json_fault){ "something stands behind the value", "$",
		(size_t)(p - text.p) };
	return false;
}
