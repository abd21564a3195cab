#ifndef BASE_MEM_H
#define BASE_MEM_H
/*
 * Memory: allocation that never fails, and arenas.
 *
 * The x-functions end the process (abort, after one line on stderr) when memory is out: no call site
 * checks.  Only Lua states have an allocator of their own (engine/lua), because a rule must fail alone.
 *
 * An arena is one allocation domain: everything of a batch or a request is taken from one arena and
 * freed with it.  Pointers from an arena are valid until arena_reset or arena_fini.  An arena is
 * zero-initialised (`struct arena a = { 0 }`); it keeps its first block over a reset.
 */
#include <stddef.h>

void *xmalloc(size_t n) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((alloc_size(2), returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
/* The caller owns the text. */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Makes room for one more element behind n in an array that the caller owns:
 * `v = mem_grow(v, n, &cap, sizeof *v); v[n++] = x;`.  Doubles the capacity when it is full. */
void *mem_grow(void *array, size_t n, size_t *cap, size_t size) __attribute__((returns_nonnull));

struct arena_block;
struct arena {
	struct arena_block *head; /* the block that is filled now; older ones hang behind it */
	size_t used;              /* bytes taken from it */
	size_t total;             /* bytes of all blocks, for limits and metrics */
};

/* Zeroed memory, aligned for any object; n may be 0 (the pointer is then unique, not usable). */
void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull));
/* Copies n bytes and puts a NUL behind them. */
char *arena_dup(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));
/* Everything taken from it is gone; the first block stays for the next use. */
void arena_reset(struct arena *a);
/* Gives all memory back; the arena may be used again. */
void arena_fini(struct arena *a);

#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

#endif
