#ifndef ENGINE_LIQUID_FILTER_H
#define ENGINE_LIQUID_FILTER_H
/*
 * The filters of Liquid: one row per filter, names in alphabetical order.
 *
 * A filter gets its input and the arguments by place and gives one value; it fails with an error
 * in w->err.  liquid_parse has checked the number of arguments.  A row with SAFE_KEPT gives safe
 * text when its input was safe; all others give text that is escaped on its way out.
 */
#include "engine/liquid_value.h"

struct filter_args {
	const struct value *v;
	unsigned n;
	bool allow_false;
};

typedef bool filter_fn(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret);

enum filter_safety { SAFE_DROPPED, SAFE_KEPT, SAFE_OWN };

struct liquid_filter {
	const char *name;
	filter_fn *run;
	unsigned char min, max; /* arguments */
	enum filter_safety safety;
};

/* NULL when there is none. */
const struct liquid_filter *liquid_filter_find(struct span name);
/* The nearest name there is, or NULL. */
const char *liquid_filter_near(const char *wrong);
bool liquid_filter_run(struct work *w, const struct liquid_filter *f, const struct value *in,
	const struct filter_args *args, struct value *ret) MUST_CHECK;

/* liquid_text.c */
filter_fn filter_append, filter_base64_decode, filter_base64_encode, filter_base64_url_safe_decode,
	filter_base64_url_safe_encode, filter_capitalize, filter_downcase, filter_escape,
	filter_escape_once, filter_lstrip, filter_newline_to_br, filter_prepend, filter_raw,
	filter_replace, filter_replace_first, filter_replace_last, filter_rstrip, filter_slice,
	filter_split, filter_strip, filter_strip_html, filter_strip_newlines, filter_truncate,
	filter_truncatewords, filter_upcase, filter_url_decode, filter_url_encode;
/* liquid_math.c */
filter_fn filter_abs, filter_at_least, filter_at_most, filter_ceil, filter_divided_by, filter_floor,
	filter_minus, filter_modulo, filter_plus, filter_round, filter_times;
/* Adds two numbers; for sum. */
struct value filter_add(const struct value *a, const struct value *b);
/* liquid_array.c */
filter_fn filter_compact, filter_concat, filter_find, filter_find_index, filter_first, filter_has,
	filter_join, filter_last, filter_map, filter_reject, filter_reverse, filter_size,
	filter_sort, filter_sort_natural, filter_sum, filter_uniq, filter_where;
/* liquid_filter.c */
filter_fn filter_date, filter_default, filter_money;

#endif
