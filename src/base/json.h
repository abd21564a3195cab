#ifndef BASE_JSON_H
#define BASE_JSON_H
/*
 * Strict JSON (RFC 8259) in one pass: check text once, then walk it where it lies; no tree is
 * built.
 *
 * json_check accepts only what Postgres, Lua and our own writers take without loss.  Refused
 * beyond the RFC: depth over 32, the same key twice in an object (compared after unescaping),
 * \u0000, lone surrogates, invalid or overlong UTF-8, a byte order mark, numbers beyond +-1e15,
 * of more than 40 characters or with an exponent beyond +-100.  What may stand behind the value
 * is the caller's business; json_check_all is for text that is one value and nothing else.
 *
 * Everything under "walking" takes a span that was checked (blanks around it are allowed).  On
 * other text the answers mean nothing, but nothing outside the span is ever read.  All returned
 * spans are parts of the span given (or of the arena, where one is passed): valid as long as that
 * is.
 *
 * Pure functions, no state, no locks.  Nothing is allocated except: keys with escapes and objects
 * of more than a hundred keys during a check and what json_canon sorts (freed before they return),
 * json_text into its arena.
 * The process must keep LC_NUMERIC at "C".
 */
#include "base/mem.h"
#include "base/str.h"

enum { JSON_DEPTH = 32 }; /* containers within containers */

enum json_kind {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};
const char *json_kind_name(enum json_kind kind); /* "null", "false", ..., "object" */

/* Where and why text was refused. */
struct json_fault {
	const char *what; /* constant text that says what to do where that is not obvious */
	char path[160];   /* like $.data.products[3].price; long ones end in "..." */
	size_t at;        /* bytes from the beginning of the text */
};

/* A member of the outermost object that json_check_object shall note. */
struct json_member {
	const char *key;   /* set by the caller, unescaped */
	struct span value; /* set by the check; {NULL, 0} when the object has no such member */
};

/*** checking ***/

/* Checks ONE value at p; blanks may precede it.  Returns the position behind it, or NULL with
 * *ret_fault filled (it is not touched otherwise). */
const char *json_check(const char *p, const char *end, struct json_fault *ret_fault) MUST_CHECK;
/* The same; the value must be an object, and in the same pass the values of wanted members are
 * noted. When NULL is returned the values in want mean nothing. */
const char *json_check_object(const char *p, const char *end, struct json_member *want,
	size_t n_want, struct json_fault *ret_fault) MUST_CHECK;
/* The whole text is one value with blanks around it at most. */
bool json_check_all(struct span text, struct json_fault *ret_fault) MUST_CHECK;
/* Valid UTF-8 without NUL: may be given to json_put_text and to Postgres. */
bool json_is_text(struct span s);

/*** walking checked text ***/

enum json_kind json_kind(struct span value);
bool json_is_null(struct span value);
/* The value of a key (given unescaped); false when it is missing or the value is no object. */
bool json_get(struct span object, struct span key, struct span *ret_value);
/* Follows keys divided by dots; a number picks from an array, from 0: "data.products.0.price". */
bool json_find(struct span value, const char *dotted_path, struct span *ret_value);
/* The unescaped text of a string, {NULL, 0} for other kinds.  Without escapes it borrows from the
 * value, otherwise it is taken from the arena. */
struct span json_text(struct span value, struct arena *a);
/* Is this JSON string (a key of json_next, say) the given text? */
bool json_text_is(struct span value, struct span text);
/* False when the value is no number.  -0 reads as 0. */
bool json_number(struct span value, double *ret);
/* Only numbers written without fraction and exponent. */
bool json_integer(struct span value, int64_t *ret);

/* Goes over the members of an object or the elements of an array:
 *
 *	json_iter_init(&it, value);
 *	while (json_next(&it, &key, &element))
 *
 * ret_key is the JSON string as it stands, quotes included (for json_text, json_text_is), {NULL, 0}
 * in arrays; it may be NULL.  Other kinds of value have no elements. */
struct json_iter {
	const char *p;   /* behind the last element */
	const char *end; /* of the text */
	bool is_object;
};
void json_iter_init(struct json_iter *it, struct span value);
bool json_next(struct json_iter *it, struct span *ret_key, struct span *ret_value);

/*** writing ***/

/* Quoted and escaped; s is valid UTF-8 without NUL (json_is_text). */
void json_put_text(struct buf *b, struct span s);
/* The same without the quotes. */
void json_put_inside(struct buf *b, struct span s);
/* The shortest digits that read back as x; whole numbers without ".0".  x is finite. */
void json_put_number(struct buf *b, double x);
/* `"key":`, with a comma before it unless it opens its object; key is a plain name, without " and \. */
void json_put_key(struct buf *b, const char *key);
/* The same value without blanks, escapes written one way, keys sorted by their bytes, numbers as
 * they were spelled: equal values that a sender wrote twice become equal bytes, for content
 * hashes. */
void json_canon(struct span value, struct buf *out);

#endif
