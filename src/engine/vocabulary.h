#ifndef ENGINE_VOCABULARY_H
#define ENGINE_VOCABULARY_H
/*
 * The event vocabulary as C sees it: which types there are, which fields they have and of what kind; the
 * fields of the card; and how a value is read as its kind.
 *
 * The truth is lua/vocabulary.lua; the table here repeats it for speed, and a test compares the two.
 * Other types than the catalogue's are welcome: they have the fields that follow from their names
 * ("*_id" is text, "*_at" and "*_until" are times) and `customer`.  Everything is constant data; no
 * state, no errors.  Readers never fail loudly: what can not be read as its kind is simply not there.
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

struct vocabulary_field {
	const char
		*path; /* dots between names; the place in a list is left out: "products.price" */
	enum field_kind kind;
};
struct vocabulary_type {
	const char *name; /* "order.placed" */
	const struct vocabulary_field *fields;
	size_t n_fields;
};

/* All known types, sorted by name: for "did you mean". */
const struct vocabulary_type *vocabulary_types(size_t *ret_n);
/* The entry of a type, or NULL when the catalogue does not have it.  Ask once per event. */
const struct vocabulary_type *vocabulary_find(struct span type);
/* The kind of a field of an event's data; t may be NULL (a type of the shop's own).  Numbers in the path
 * (places in a list) are passed over: "products.0.price" is "products.price". */
enum field_kind vocabulary_kind(const struct vocabulary_type *t, struct span path);

/* Fields of `customer` in rules: "email", "orders", "orders.count", "cart.products.price" ... sorted. */
const struct vocabulary_field *vocabulary_card(size_t *ret_n);
enum field_kind vocabulary_card_kind(struct span path);
/* Columns of the view customer_card (segments' `where`) and of the order rows that orders{} gives; sorted. */
const struct vocabulary_field *vocabulary_columns(size_t *ret_n);
const struct vocabulary_field *vocabulary_order(size_t *ret_n);

/*** reading a checked JSON value as its kind; value may be {NULL, 0}: nothing was sent ***/

/* Strings without blanks around them, numbers as they were spelled; {NULL, 0} for everything else and
 * for empty text.  Borrows from the value, or takes from the arena where there are escapes. */
struct span field_text(struct span value, struct arena *a);
/* Numbers, and text that is one: "12.50", "1 234,50" is none.  Within +-1e15. */
bool field_number(struct span value, double *ret);
/* Whole numbers and text that is one: ids of our own. */
bool field_integer(struct span value, int64_t *ret);
/* true, false, 1, 0, and the words true false yes no on off 1 0. */
bool field_bool(struct span value, bool *ret);
/* RFC 3339 text, or a date alone ("2026-11-27": midnight UTC). */
bool field_time(struct span value, int64_t *ret_us);

#endif
