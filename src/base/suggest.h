#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H
/*
 * The likely right word for a wrong one: "did you mean ...?".
 *
 * Offer all right words one after the other, then read `best`.  Plain data, nothing is owned: the
 * best word is one of those that were offered.  Distance counts inserted, lost, changed and swapped
 * letters; a word is only suggested when less than about a third of it is wrong.
 */
#include <stddef.h>

struct suggest {
	const char *wrong; /* what was written */
	const char *best;  /* the nearest so far, NULL = none near enough */
	size_t distance;   /* of best */
};

/* Begins; `wrong` is lent until the last offer. */
void suggest_init(struct suggest *s, const char *wrong);
void suggest_offer(struct suggest *s, const char *word);
/* In one go over an array that ends with NULL; NULL when nothing is near. */
const char *suggest_word(const char *wrong, const char *const *words);

#endif
