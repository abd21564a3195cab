#ifndef ENGINE_LIQUID_VALUE_H
#define ENGINE_LIQUID_VALUE_H
/*
 * A value of Liquid while a template is rendered, and the work it is rendered in.
 *
 * Values are small and copied; what they point to lives in the work's arena, in the tree or in the
 * data, all of which outlive the rendering.  JSON arrays and objects stay JSON text until somebody
 * asks for an element.  Every function that makes text or walks a list pays for it (work_charge,
 * work_put), so that no data can exhaust time or memory; what does not fit is an error.
 */
#include "base/mem.h"
#include "engine/liquid.h"

enum value_kind {
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_INTEGER,
	VALUE_FLOAT,
	VALUE_TEXT,
	VALUE_ARRAY,  /* of values */
	VALUE_LIST,   /* a JSON array */
	VALUE_OBJECT, /* a JSON object */
	VALUE_RANGE,
	VALUE_LOOP,  /* forloop, tablerowloop */
	VALUE_BLANK, /* the word `blank` */
	VALUE_EMPTY, /* the word `empty` */
};
const char *value_kind_name(enum value_kind k); /* for errors: "a number" */

struct value_loop;
struct value {
	enum value_kind kind;
	bool is_safe; /* text that is HTML already */
	union {
		bool truth;
		int64_t integer;
		double real;
		struct span text; /* VALUE_TEXT, _LIST, _OBJECT */
		struct {
			const struct value *v;
			size_t n;
		} array;
		struct {
			int64_t from, to;
		} range;
		const struct value_loop *loop;
	};
};

/* What `forloop` and `tablerowloop` show. */
struct value_loop {
	const struct value_loop *parent;
	struct span name;
	size_t index, length; /* index from 0 */
	size_t columns;       /* of tablerow; 0 = a for */
};

/* The work of rendering one template. */
struct work {
	const struct liquid_env *env;
	struct arena *arena;
	struct err *err;
	struct format *format;
	struct buf scratch; /* where filters build text; capped */
	size_t max_text;    /* of one text, and of the whole output */
	bool is_too_long;   /* scratch hit max_text */
	uint64_t steps;     /* paid so far */
};

enum {
	WORK_STEPS = 8000000, /* well under half a second */
	WORK_ARENA = 32 * 1024 * 1024,
	WORK_LIST = 100000, /* elements of an array */
};

/* Pays for n steps; false when the template has used up what it may. */
bool work_charge(struct work *w, size_t n) MUST_CHECK;
/* Builds a text: work_begin, work_put..., work_end gives it. */
void work_begin(struct work *w);
void work_put(struct work *w, struct span s);
void work_put_char(struct work *w, char c);
bool work_end(struct work *w, struct value *ret) MUST_CHECK;
/* Room for n values; NULL (and the error) when that is too many. */
struct value *work_array(struct work *w, size_t n) MUST_CHECK;

struct value value_text(struct span s);
struct value value_integer(int64_t v);
struct value value_float(double v);
struct value value_bool(bool v);
struct value value_array(const struct value *v, size_t n);
/* The value of a piece of checked JSON text. */
struct value value_json(struct work *w, struct span json);

bool value_is_true(const struct value *v);
bool value_is_list(const struct value *v); /* array, JSON array or range */
bool value_is_empty(const struct value *v);
bool value_is_blank(const struct value *v);
bool value_is_number(const struct value *v);
/* Adds the text that Liquid shows for it to scratch, or to b with value_write. */
void value_put(struct work *w, const struct value *v);
/* Its text, in the arena or borrowed. */
bool value_to_text(struct work *w, const struct value *v, struct span *ret) MUST_CHECK;
/* Its number as Liquid sees it: text is read, everything else is 0. */
struct value value_to_number(const struct value *v);
int64_t value_to_integer(const struct value *v);
double value_to_double(const struct value *v); /* of a number */
/* A whole number where nothing else will do: false for "foo". */
bool value_as_index(const struct value *v, int64_t *ret) MUST_CHECK;

/* All elements of a list or the [key, value] pairs of an object; one element for the rest, none for nil. */
bool value_elements(struct work *w, const struct value *v, struct value *ret) MUST_CHECK;
/* Elements of a list, pairs of an object, characters of a text. */
bool value_size(struct work *w, const struct value *v, int64_t *ret) MUST_CHECK;
/* v[key] or v.key; nil where there is none.  `is_dot`: first, last, size have their meaning. */
bool value_get(struct work *w, const struct value *v, const struct value *key, bool is_dot,
	struct value *ret) MUST_CHECK;

/* ==; everything can be compared. */
bool value_equal(
	struct work *w, const struct value *a, const struct value *b, bool *ret) MUST_CHECK;
/* < 0, 0, > 0 of numbers and of texts; false with an error for other pairs. */
bool value_order(struct work *w, const struct value *a, const struct value *b, int *ret) MUST_CHECK;
bool value_contains(
	struct work *w, const struct value *a, const struct value *b, bool *ret) MUST_CHECK;
/* Writes s with & < > " ' as entities. */
void value_put_escaped(struct work *w, struct span s);
/* Writes a float as Ruby does: 12.0, 0.1, 1.0e+20. */
void value_float_text(double d, char *ret, size_t size);

#endif
