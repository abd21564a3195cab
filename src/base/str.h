#ifndef BASE_STR_H
#define BASE_STR_H
/*
 * Text: `struct span` borrows, `struct buf` owns and grows.
 *
 * A span is text that somebody else owns, not ended by NUL; who owns it and how long it is valid is
 * said where the span stands.  {NULL, 0} is "no text"; a span with p != NULL and n == 0 is empty text.
 * A buf is zero-initialised, grows as it is written to, and is freed with buf_free; its bytes are
 * always followed by a NUL that does not count.  Neither can fail.
 */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

#define SPAN(lit) ((struct span){ (lit), sizeof(lit) - 1 })
/* the same in tables */
#define SPAN_INIT(lit)                                                                             \
	{                                                                                          \
		(lit), sizeof(lit) - 1                                                             \
	}
#define SPAN_ARG(s) (int)(s).n, (s).n ? (s).p : "" /* for "%.*s" */

/* Inline, as the writers of a buf below: an event passes through a hundred of them. */
static inline struct span span_of(const char *s) /* NULL gives no text */
{
	return (struct span){ s, s ? strlen(s) : 0 };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_is(struct span a, const char *s)
{
	return span_eq(a, span_of(s));
}

static inline bool span_starts(struct span a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

/* Order of bytes, shorter first when one is the other's beginning: for qsort and bsearch. */
int span_cmp(struct span a, struct span b);
/* FNV-1a: for hash tables inside one process, not for anything an attacker can aim at for gain. */
uint32_t span_hash(struct span a);
/* Writes s and a NUL into size bytes at to; what does not fit is left out, and the answer is false. */
bool span_into(struct span s, char *to, size_t size);
/* Takes blanks (space, tab, CR, LF) off both ends. */
struct span span_trim(struct span a);
/* Decimal digits with optional sign, whole span; false when it is not a number or out of range. */
bool span_to_i64(struct span a, int64_t *ret) MUST_CHECK;

struct buf {
	char *p;
	size_t n;   /* bytes written */
	size_t cap; /* bytes there are */
	bool lent;  /* they are somebody else's: who needs more gets his own */
};
/* One that begins on an array, so that short texts need no memory; freed like any other:
 *
 *	UNSET char first[BUF_USUAL];
 *	struct buf text = BUF_ON(first);
 */
enum { BUF_USUAL = 512 };
#define BUF_ON(array) ((struct buf){ .p = (array), .cap = sizeof(array), .lent = true })

/* For buf_reserve: takes more memory. */
void buf_grow(struct buf *b, size_t more);

/* Room for `more` bytes behind the written ones; returns where they begin. */
static inline char *buf_reserve(struct buf *b, size_t more)
{
	if (b->cap - b->n <= more)
		buf_grow(b, more);
	return b->p + b->n;
}

static inline void buf_add(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n);

	if (n)
		memcpy(at, p, n);
	at[n] = '\0';
	b->n += n;
}

static inline void buf_span(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

static inline void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static inline void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_int(struct buf *b, int64_t v); /* decimal, without printf */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Empty again; the memory stays. */
void buf_clear(struct buf *b);
void buf_free(struct buf *b);
struct span buf_as_span(const struct buf *b); /* valid until the next write */

#endif
