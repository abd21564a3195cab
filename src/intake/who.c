/*
 * who.c: two hash tables.  New entries go into the young one; when it holds half of the bound, the old one is
 * dropped and the young one becomes old; a hit in the old one moves the entry to the young one.  So what is used
 * stays, with two pointers per entry less than a linked LRU and no work per hit in the young table.
 */
#include "intake/who.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

struct who_generation {
	struct map map;
	struct arena arena; /* of the entries */
};

struct who {
	struct who_generation young, old;
	size_t most; /* entries in one generation */
	struct buf key;
};

struct who *who_new(size_t most)
{
	struct who *w = xcalloc(1, sizeof *w);

	w->most = most / 2 ? most / 2 : 1;
	return w;
}

static void who_generation_fini(struct who_generation *g)
{
	map_fini(&g->map);
	arena_fini(&g->arena);
}

void who_free(struct who *w)
{
	if (w == NULL)
		return;
	who_generation_fini(&w->young);
	who_generation_fini(&w->old);
	buf_free(&w->key);
	free(w);
}

void who_key(struct buf *key, struct span base, const struct identity *id)
{
	buf_char(key, (char)('0' + (int)id->kind));
	buf_span(key, base);
	buf_char(key, '\0');
	buf_span(key, id->value);
}

static struct span who_key_of(struct who *w, struct span base, const struct identity *id)
{
	buf_clear(&w->key);
	who_key(&w->key, base, id);
	return buf_as_span(&w->key);
}

static void who_put(struct who *w, struct span key, struct who_card card)
{
	struct who_card *e = map_get(&w->young.map, key);

	if (e == NULL) {
		if (w->young.map.n >= w->most) {
			who_generation_fini(&w->old);
			w->old = w->young;
			w->young = (struct who_generation){ 0 };
		}
		e = arena_new(&w->young.arena, struct who_card);
		map_put(&w->young.map, key, e);
	}
	*e = card;
}

struct who_card who_find(struct who *w, struct span base, const struct identity *id)
{
	struct span key = who_key_of(w, base, id);
	const struct who_card *e = map_get(&w->young.map, key);
	struct who_card found = { .version = -1 };

	if (e != NULL)
		return *e;
	if ((e = map_get(&w->old.map, key)) == NULL)
		return found;
	found = *e;
	who_put(w, key, found);
	return found;
}

void who_learn(
	struct who *w, struct span base, const struct identity *id, const struct who_card *card)
{
	who_put(w, who_key_of(w, base, id), *card);
}

void who_forget(struct who *w, struct span base, const struct identity *id)
{
	struct span key = who_key_of(w, base, id);

	map_del(&w->young.map, key);
	map_del(&w->old.map, key);
}
