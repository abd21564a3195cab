/* mem.c: allocation that dies instead of failing, and arenas made of blocks that double in size. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_ALIGN = 16, ARENA_FIRST = 4096, ARENA_MOST = 1 << 20 };

struct arena_block {
	struct arena_block *next; /* filled before this one */
	size_t size;              /* usable bytes */
	_Alignas(ARENA_ALIGN) char bytes[];
};

static void *mem_check(void *p)
{
	static const char msg[] = "<2>out of memory\n";

	if (p == NULL) {
		(void)!write(STDERR_FILENO, msg, sizeof msg - 1);
		abort();
	}
	return p;
}

void *xmalloc(size_t n)
{
	return mem_check(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return mem_check(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
	return mem_check(realloc(p, n ? n : 1));
}

char *xstrdup(const char *s)
{
	return mem_check(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return mem_check(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return mem_check(s);
}

void *mem_grow(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return mem_check(array);
	*cap = *cap ? *cap * 2 : 8;
	return xrealloc(array, *cap * size);
}

/* Starts a new block that has room for n bytes. */
static void arena_block_add(struct arena *a, size_t n)
{
	size_t size = a->head ? a->head->size * 2 : ARENA_FIRST;
	struct arena_block *b;

	if (size > ARENA_MOST)
		size = ARENA_MOST;
	if (size < n)
		size = n;
	b = xmalloc(sizeof *b + size);
	b->next = a->head;
	b->size = size;
	a->head = b;
	a->used = 0;
	a->total += size;
}

/* Memory as it comes. */
static void *arena_take(struct arena *a, size_t n)
{
	void *p;

	if (n > SIZE_MAX / 2)
		abort();
	n = n ? (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1) : ARENA_ALIGN;
	if (a->head == NULL || a->head->size - a->used < n)
		arena_block_add(a, n);
	p = a->head->bytes + a->used;
	a->used += n;
	return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return memset(arena_take(a, n), 0, n);
}

char *arena_dup(struct arena *a, const void *p, size_t n)
{
	char *copy = arena_take(a, n + 1);

	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_dup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char most[128], *s; /* what is printed is seldom longer */
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(most, sizeof most, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	if ((size_t)n < sizeof most)
		return arena_dup(a, most, (size_t)n);
	s = arena_take(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void arena_reset(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->head; b != NULL && b->next != NULL; b = next) {
		next = b->next;
		a->total -= b->size;
		free(b);
	}
	a->head = b;
	a->used = 0;
}

void arena_fini(struct arena *a)
{
	arena_reset(a);
	free(a->head);
	*a = (struct arena){ 0 };
}
