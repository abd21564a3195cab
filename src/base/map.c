/* map.c: chained buckets, doubled when full; entries carry their hash and key. */
#include "base/map.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct map_entry {
	struct map_entry *next;
	void *value;
	uint32_t hash;
	size_t n;
	char key[];
};

/* The link that points to the entry of the key, or the empty end of its bucket. */
static struct map_entry **map_find(const struct map *m, struct span key, uint32_t hash)
{
	struct map_entry **at = &m->slots[hash & (m->n_slots - 1)];

	while (*at != NULL &&
		((*at)->hash != hash || (*at)->n != key.n || memcmp((*at)->key, key.p, key.n)))
		at = &(*at)->next;
	return at;
}

static void map_resize(struct map *m, size_t n_slots)
{
	struct map_entry **slots = xcalloc(n_slots, sizeof *slots), *e, *next;

	for (size_t i = 0; i < m->n_slots; i++)
		for (e = m->slots[i]; e != NULL; e = next) {
			next = e->next;
			e->next = slots[e->hash & (n_slots - 1)];
			slots[e->hash & (n_slots - 1)] = e;
		}
	free(m->slots);
	m->slots = slots;
	m->n_slots = n_slots;
}

void *map_get(const struct map *m, struct span key)
{
	struct map_entry *e;

	if (m->n == 0)
		return NULL;
	e = *map_find(m, key, span_hash(key));
	return e ? e->value : NULL;
}

void *map_put(struct map *m, struct span key, void *value)
{
	uint32_t hash = span_hash(key);
	struct map_entry **at, *e;
	void *was;

	if (m->n >= m->n_slots)
		map_resize(m, m->n_slots ? m->n_slots * 2 : 16);
	at = map_find(m, key, hash);
	if ((e = *at) != NULL) {
		was = e->value;
		e->value = value;
		return was;
	}
	e = xmalloc(sizeof *e + key.n);
	e->next = NULL;
	e->value = value;
	e->hash = hash;
	e->n = key.n;
	if (key.n)
		memcpy(e->key, key.p, key.n);
	*at = e;
	m->n++;
	return NULL;
}

void *map_del(struct map *m, struct span key)
{
	struct map_entry **at, *e;
	void *was;

	if (m->n == 0)
		return NULL;
	at = map_find(m, key, span_hash(key));
	if ((e = *at) == NULL)
		return NULL;
	was = e->value;
	*at = e->next;
	free(e);
	m->n--;
	return was;
}

void map_each(const struct map *m, map_fn *fn, void *arg)
{
	struct map_entry *e, *next;

	for (size_t i = 0; i < m->n_slots; i++)
		for (e = m->slots[i]; e != NULL; e = next) {
			next = e->next;
			fn(arg, (struct span){ e->key, e->n }, e->value);
		}
}

void map_fini(struct map *m)
{
	struct map_entry *e, *next;

	for (size_t i = 0; i < m->n_slots; i++)
		for (e = m->slots[i]; e != NULL; e = next) {
			next = e->next;
			free(e);
		}
	free(m->slots);
	*m = (struct map){ 0 };
}
