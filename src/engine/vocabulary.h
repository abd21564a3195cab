#ifndef ENGINE_VOCABULARY_H
#define ENGINE_VOCABULARY_H
/*
 * The event vocabulary as C sees it: which types there are, which fields they have and of what
 * kind; the fields of the card.
 *
 * The truth is lua/vocabulary.lua; the table here repeats it, and a test compares the two. Other
 * types than the catalogue's are welcome: they have the fields that follow from their names
 * ("*_id" is text, "*_at" and "*_until" are times) and `customer`.  Everything is constant data;
 * no state, no errors.  How a value is read as its kind: engine/field.h.
 */
#include "engine/field.h"

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
/* The kind of a field of an event's data; t may be NULL (a type of the shop's own).  Numbers in
 * the path (places in a list) are passed over: "products.0.price" is "products.price". */
enum field_kind vocabulary_kind(const struct vocabulary_type *t, struct span path);

/* Fields of `customer` in rules: "email", "orders", "orders.count", "cart.products.price" ... */
const struct vocabulary_field *vocabulary_card(size_t *ret_n);
enum field_kind vocabulary_card_kind(struct span path);
/* Columns of the view customer_card (segments' `where`) and of the order rows that orders{}
 * gives. */
const struct vocabulary_field *vocabulary_columns(size_t *ret_n);
const struct vocabulary_field *vocabulary_order(size_t *ret_n);

#endif
