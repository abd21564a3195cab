#ifndef ENGINE_FIELD_H
#define ENGINE_FIELD_H
/*
 * Fields of events as the kinds that the vocabulary gives them, whatever a shop sent: "12.50" is
 * money, 4711 is an order's number.
 *
 * Readers take a checked JSON value, or {NULL, 0} for one that was not sent, and never fail
 * loudly: what can not be read as its kind is simply not there.  Pure functions, no state.
 */
#include "base/mem.h"
#include "base/str.h"

enum field_kind {
	FIELD_ANY,    /* as it was sent */
	FIELD_TEXT,   /* ids, numbers of orders, phones, words */
	FIELD_MONEY,  /* major units */
	FIELD_NUMBER, /* counts, seconds, scores */
	FIELD_BOOL,
	FIELD_TIME,   /* RFC 3339; read as microseconds */
	FIELD_LIST,   /* missing: empty */
	FIELD_OBJECT, /* missing: empty */
};
const char *field_kind_name(enum field_kind k); /* "any", "text", ... as in lua/vocabulary.lua */

/* The member of an object, or {NULL, 0}: not there, null, or no object. */
struct span field_get(struct span object, const char *key);
/* Many members in one pass: the values of n keys (none empty); what is not there or null gets
 * {NULL, 0}. */
void field_pick(struct span object, const struct span *keys, struct span *ret_values, size_t n);

/* Strings without blanks around them, numbers as they were spelled; {NULL, 0} for everything else
 * and for empty text.  Borrows from the value, or takes from the arena where there are escapes. */
struct span field_text(struct span value, struct arena *a);
/* Numbers, and text that is one, within +-1e15: "12.50"; not "1 234,50", "1e3" or "+5". */
bool field_number(struct span value, double *ret);
/* Whole numbers, and text that is one: ids of our own. */
bool field_integer(struct span value, int64_t *ret);
/* true, false, 1, 0, and the words true false yes no on off 1 0. */
bool field_bool(struct span value, bool *ret);
/* RFC 3339 text, or a date alone ("2026-11-27": midnight UTC). */
bool field_time(struct span value, int64_t *ret_us);

#endif
