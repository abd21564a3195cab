/*
 * who.c: two hash tables.  New entries go into the young one; when it holds half of the bound, the old one is
 * dropped and the young one becomes old; a hit in the old one moves the entry to the young one.  So what is used
 * stays, with two pointers per entry less than a linked LRU and no work per hit in the young table.
 *
 * A table is open addressing with linear probing, its answers in the slots: every event asks for each of its keys,
 * nearly every question is a cache miss of the processor, and base/map would make three of each.
 */
#include "intake/who.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { WHO_SLOTS_FIRST = 1024 };

struct who_slot {
	const char *key; /* in the table's arena; NULL: free */
	uint32_t n, hash;
	struct who_card card; /* customer 0: forgotten */
};

struct who_table {
	struct who_slot *slots;
	size_t mask; /* number of slots less one */
	size_t n;    /* slots that are not free */
	struct arena arena;
};

struct who {
	struct who_table young, old;
	size_t most; /* entries in one table */
	struct buf key;
};

struct who *who_new(size_t most)
{
	struct who *w = xcalloc(1, sizeof *w);

	w->most = most / 2 ? most / 2 : 1;
	return w;
}

static void who_table_fini(struct who_table *t)
{
	free(t->slots);
	arena_fini(&t->arena);
	*t = (struct who_table){ 0 };
}

void who_free(struct who *w)
{
	if (w == NULL)
		return;
	who_table_fini(&w->young);
	who_table_fini(&w->old);
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

/* The slot of the key, or the free one where it would stand; the table has slots. */
static struct who_slot *who_slot_of(const struct who_table *t, struct span key, uint32_t hash)
{
	for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		struct who_slot *s = &t->slots[i];

		if (s->key == NULL ||
			(s->hash == hash && s->n == key.n && memcmp(s->key, key.p, key.n) == 0))
			return s;
	}
}

/* What the table knows of the key, or NULL. */
static struct who_slot *who_look(const struct who_table *t, struct span key, uint32_t hash)
{
	struct who_slot *s = t->n > 0 ? who_slot_of(t, key, hash) : NULL;

	return s != NULL && s->key != NULL && s->card.customer != 0 ? s : NULL;
}

/* Twice the slots. */
static void who_table_grow(struct who_table *t)
{
	struct who_slot *old = t->slots;
	size_t n_old = old ? t->mask + 1 : 0, n = n_old ? n_old * 2 : WHO_SLOTS_FIRST;

	t->slots = xcalloc(n, sizeof *t->slots);
	t->mask = n - 1;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].key != NULL)
			*who_slot_of(t, (struct span){ old[i].key, old[i].n }, old[i].hash) =
				old[i];
	free(old);
}

static void who_put(struct who *w, struct span key, uint32_t hash, struct who_card card)
{
	struct who_table *t = &w->young;
	struct who_slot *s;

	if (t->n >= w->most) {
		who_table_fini(&w->old);
		w->old = w->young;
		w->young = (struct who_table){ 0 };
	}
	if (t->slots == NULL || t->n >= t->mask / 4 * 3)
		who_table_grow(t);
	s = who_slot_of(t, key, hash);
	if (s->key == NULL) {
		s->key = arena_dup(&t->arena, key.p, key.n);
		s->n = (uint32_t)key.n;
		s->hash = hash;
		t->n++;
	}
	s->card = card;
}

void who_expect(struct who *w, struct span base, const struct identity *id)
{
	if (w->young.n > 0)
		__builtin_prefetch(
			&w->young.slots[span_hash(who_key_of(w, base, id)) & w->young.mask]);
}

struct who_card who_find(struct who *w, struct span base, const struct identity *id)
{
	struct span key = who_key_of(w, base, id);
	uint32_t hash = span_hash(key);
	const struct who_slot *s = who_look(&w->young, key, hash);

	if (s != NULL)
		return s->card;
	if ((s = who_look(&w->old, key, hash)) == NULL)
		return (struct who_card){ .version = -1 };
	who_put(w, key, hash, s->card);
	return who_look(&w->young, key, hash)->card;
}

void who_learn(
	struct who *w, struct span base, const struct identity *id, const struct who_card *card)
{
	struct span key = who_key_of(w, base, id);

	who_put(w, key, span_hash(key), *card);
}

void who_forget(struct who *w, struct span base, const struct identity *id)
{
	struct span key = who_key_of(w, base, id);
	uint32_t hash = span_hash(key);
	struct who_slot *s;

	if ((s = who_look(&w->young, key, hash)) != NULL)
		s->card.customer = 0;
	if ((s = who_look(&w->old, key, hash)) != NULL)
		s->card.customer = 0;
}
