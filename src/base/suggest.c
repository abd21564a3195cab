/* suggest.c: optimal string alignment (Damerau-Levenshtein without overlapping swaps) over three rows
 * on the stack.  Words are names of options, events and fields: whatever is longer than a row gets no
 * suggestion, which is better than a slow one. */
#include "base/suggest.h"

#include <string.h>

enum { SUGGEST_LEN_MOST = 63 };

static size_t suggest_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to change between a and b, both at most SUGGEST_LEN_MOST long. */
static size_t suggest_distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][SUGGEST_LEN_MOST + 1];
	size_t *older = rows[0], *old = rows[1], *now = rows[2], *spare;

	for (size_t j = 0; j <= nb; j++)
		older[j] = old[j] = j;
	for (size_t i = 1; i <= na; i++) {
		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

			now[j] =
				suggest_min(suggest_min(old[j], now[j - 1]) + 1, old[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = suggest_min(now[j], older[j - 2] + 1);
		}
		spare = older, older = old, old = now, now = spare;
	}
	return old[nb];
}

void suggest_init(struct suggest *s, const char *wrong)
{
	s->wrong = wrong;
	s->best = NULL;
	s->distance = strlen(wrong) / 3 + 1; /* the first one that is too far */
	if (strlen(wrong) < 2)
		s->distance = 0;
}

void suggest_offer(struct suggest *s, const char *word)
{
	size_t na = strlen(s->wrong), nb = strlen(word), d;

	if (na > SUGGEST_LEN_MOST || nb > SUGGEST_LEN_MOST)
		return;
	/* each letter more is a change: most words need not be compared */
	if ((na > nb ? na - nb : nb - na) >= s->distance)
		return;
	d = suggest_distance(s->wrong, na, word, nb);
	if (d < s->distance && d < suggest_min(nb, na)) {
		s->best = word;
		s->distance = d;
	}
}

const char *suggest_word(const char *wrong, const char *const *words)
{
	struct suggest s;

	suggest_init(&s, wrong);
	for (; *words; words++)
		suggest_offer(&s, *words);
	return s.best;
}
