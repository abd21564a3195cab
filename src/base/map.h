#ifndef BASE_MAP_H
#define BASE_MAP_H
/*
 * A hash table from bytes to pointers.  Keys are copied, values are the caller's.  Zero-initialised
 * (`struct map m = { 0 }`), freed with map_fini.  Numbers as keys: MAP_KEY(number) takes their bytes.
 * Changing the table while map_each runs is allowed only by deleting the entry that was just given.
 */
#include "base/str.h"

struct map_entry;
struct map {
	struct map_entry **slots;
	size_t n_slots; /* a power of two */
	size_t n;       /* entries */
};

#define MAP_KEY(number) ((struct span){ (const char *)&(number), sizeof(number) })

/* NULL when there is none. */
void *map_get(const struct map *m, struct span key);
/* Puts the value, replacing an older one, which is returned (NULL: there was none). */
void *map_put(struct map *m, struct span key, void *value);
/* Takes the entry out and returns its value; NULL when there was none. */
void *map_del(struct map *m, struct span key);
typedef void map_fn(void *arg, struct span key, void *value);
void map_each(const struct map *m, map_fn *fn, void *arg);
/* Forgets all entries and frees the table; values are the caller's to free before. */
void map_fini(struct map *m);

#endif
