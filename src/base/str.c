/* str.c: spans and growing buffers. */
#include "base/str.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STR_PRINTED = 60 }; /* what is printed is seldom longer */

int span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

uint32_t span_hash(struct span a)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < a.n; i++)
		h = (h ^ (unsigned char)a.p[i]) * 16777619u;
	return h;
}

static bool str_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool span_into(struct span s, char *to, size_t size)
{
	size_t n = s.n < size ? s.n : size - 1;

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
	return n == s.n;
}

struct span span_trim(struct span a)
{
	while (a.n && str_is_blank(*a.p))
		a.p++, a.n--;
	while (a.n && str_is_blank(a.p[a.n - 1]))
		a.n--;
	return a;
}

bool span_to_i64(struct span a, int64_t *ret)
{
	bool minus = a.n && *a.p == '-';
	size_t i = minus || (a.n && *a.p == '+');
	int64_t v = 0;

	if (i == a.n)
		return false;
	for (; i < a.n; i++) {
		if (a.p[i] < '0' || a.p[i] > '9')
			return false;
		/* counts down, so that the smallest number has no special case */
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_sub_overflow(v, a.p[i] - '0', &v))
			return false;
	}
	if (!minus && v == INT64_MIN)
		return false;
	*ret = minus ? v : -v;
	return true;
}

void buf_grow(struct buf *b, size_t more)
{
	size_t need = b->n + more + 1;

	b->cap = b->cap ? b->cap : 64;
	while (b->cap < need)
		b->cap *= 2;
	if (b->lent) {
		b->p = memcpy(xmalloc(b->cap), b->p, b->n);
		b->lent = false;
	} else {
		b->p = xrealloc(b->p, b->cap);
	}
}

void buf_int(struct buf *b, int64_t v)
{
	char digits[24], *at = digits + sizeof digits;
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;

	do
		*--at = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--at = '-';
	buf_add(b, at, (size_t)(digits + sizeof digits - at));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	char *at = buf_reserve(b, STR_PRINTED);
	size_t room = b->cap - b->n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	if ((size_t)n >= room) {
		at = buf_reserve(b, (size_t)n);
		va_start(ap, fmt);
		vsnprintf(at, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->n += (size_t)n;
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	if (b->p)
		b->p[0] = '\0';
}

void buf_free(struct buf *b)
{
	if (!b->lent)
		free(b->p);
	*b = (struct buf){ 0 };
}

struct span buf_as_span(const struct buf *b)
{
	return (struct span){ b->p ? b->p : "", b->n };
}
