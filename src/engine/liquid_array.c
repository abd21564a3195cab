/*
 * liquid_array.c: filters over lists.
 *
 * All of them see their input as the reference does: nested lists flattened, an object or a single
 * thing as a list of one, nothing as an empty list.  What a property of an element is follows Ruby's
 * [] as far as templates rely on it: of a text it is the part that was asked for, of nil there is
 * none and the whole filter gives nothing, of a number it is an error.
 */
#include "engine/liquid_filter.h"

#include <stdlib.h>
#include <string.h>

enum { ARRAY_DEEPEST = 40 };

/* Counts the elements of nested lists; false when too many. */
static bool array_flat_count(struct work *w, const struct value *list, int depth, size_t *n)
{
	size_t i;

	for (i = 0; i < list->array.n; i++) {
		const struct value *e = &list->array.v[i];
		struct value inner;

		if (!value_is_list(e) || depth >= ARRAY_DEEPEST) {
			++*n;
			continue;
		}
		if (!value_elements(w, e, &inner) || !array_flat_count(w, &inner, depth + 1, n))
			return false;
	}
	return true;
}

static bool array_flat_fill(
	struct work *w, const struct value *list, int depth, struct value *to, size_t *at)
{
	size_t i;

	for (i = 0; i < list->array.n; i++) {
		const struct value *e = &list->array.v[i];
		struct value inner;

		if (!value_is_list(e) || depth >= ARRAY_DEEPEST)
			to[(*at)++] = *e;
		else if (!value_elements(w, e, &inner) ||
			 !array_flat_fill(w, &inner, depth + 1, to, at))
			return false;
	}
	return true;
}

/* The input of a filter as a flat list that may be written to. */
static bool array_of(struct work *w, const struct value *in, struct value **ret, size_t *ret_n)
{
	struct value list, *one;
	size_t n = 0, at = 0;

	if (value_is_list(in) || in->kind == VALUE_NIL || in->kind == VALUE_BLANK ||
		in->kind == VALUE_EMPTY) {
		if (!value_elements(w, in, &list))
			return false;
	} else {
		one = work_array(w, 1);
		if (one == NULL)
			return false;
		*one = *in;
		list = value_array(one, 1);
	}
	if (!array_flat_count(w, &list, 0, &n))
		return false;
	*ret = work_array(w, n);
	*ret_n = n;
	return *ret != NULL && array_flat_fill(w, &list, 0, *ret, &at);
}

enum array_property { PROPERTY_FAILED, PROPERTY_NONE, PROPERTY_FOUND };

/* element[key] */
static enum array_property array_property(
	struct work *w, const struct value *e, const struct value *key, struct value *ret)
{
	struct span name;
	bool has;

	*ret = (struct value){ .kind = VALUE_NIL };
	if (e->kind == VALUE_NIL || e->kind == VALUE_BOOL)
		return PROPERTY_NONE;
	if (e->kind == VALUE_OBJECT)
		return value_get(w, e, key, false, ret) ? PROPERTY_FOUND : PROPERTY_FAILED;
	if (e->kind == VALUE_TEXT && key->kind == VALUE_TEXT) {
		if (!value_contains(w, e, key, &has) || !value_to_text(w, key, &name))
			return PROPERTY_FAILED;
		if (has)
			*ret = value_text(name);
		return PROPERTY_FOUND;
	}
	if (value_is_number(e) && value_is_number(key)) {
		*ret = value_bool(true);
		return PROPERTY_FOUND;
	}
	if (e->kind == VALUE_LOOP)
		return value_get(w, e, key, false, ret) ? PROPERTY_FOUND : PROPERTY_FAILED;
	err_set(w->err, "%s has no properties", value_kind_name(e->kind));
	return PROPERTY_FAILED;
}

/* Whether an element is meant by (property) or (property, value); a value of nil is none. */
static enum array_property array_matches(
	struct work *w, const struct value *e, const struct filter_args *args, bool *ret)
{
	struct value v;
	enum array_property found = array_property(w, e, &args->v[0], &v);

	if (found != PROPERTY_FOUND)
		return found;
	*ret = value_is_true(&v);
	if (args->n > 1 && args->v[1].kind != VALUE_NIL)
		return value_equal(w, &v, &args->v[1], ret) ? PROPERTY_FOUND : PROPERTY_FAILED;
	return PROPERTY_FOUND;
}

/* Keeps the elements that match, or those that do not. */
static bool array_select(struct work *w, const struct value *in, const struct filter_args *args,
	bool keep, struct value *ret)
{
	struct value *v;
	size_t n, i, kept = 0;
	bool hit;

	if (!array_of(w, in, &v, &n))
		return false;
	for (i = 0; i < n; i++) {
		switch (array_matches(w, &v[i], args, &hit)) {
		case PROPERTY_FAILED: return false;
		case PROPERTY_NONE: *ret = (struct value){ .kind = VALUE_NIL }; return true;
		case PROPERTY_FOUND: break;
		}
		if (hit == keep)
			v[kept++] = v[i];
	}
	*ret = value_array(v, kept);
	return true;
}

bool filter_where(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return array_select(w, in, args, true, ret);
}

bool filter_reject(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return array_select(w, in, args, false, ret);
}

/* Looks for the first element that matches; *ret_i is n when there is none, SIZE_MAX for "nothing". */
static bool array_search(struct work *w, const struct value *in, const struct filter_args *args,
	struct value **ret_v, size_t *ret_n, size_t *ret_i)
{
	size_t i;
	bool hit;

	if (!array_of(w, in, ret_v, ret_n))
		return false;
	for (i = 0; i < *ret_n; i++) {
		switch (array_matches(w, &(*ret_v)[i], args, &hit)) {
		case PROPERTY_FAILED: return false;
		case PROPERTY_NONE: *ret_i = SIZE_MAX; return true;
		case PROPERTY_FOUND: break;
		}
		if (hit)
			break;
	}
	*ret_i = i;
	return true;
}

bool filter_find(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v;
	size_t n, i;

	if (!array_search(w, in, args, &v, &n, &i))
		return false;
	*ret = i < n ? v[i] : (struct value){ .kind = VALUE_NIL };
	return true;
}

bool filter_find_index(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v;
	size_t n, i;

	if (!array_search(w, in, args, &v, &n, &i))
		return false;
	*ret = i < n ? value_integer((int64_t)i) : (struct value){ .kind = VALUE_NIL };
	return true;
}

bool filter_has(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v;
	size_t n, i;

	if (!array_search(w, in, args, &v, &n, &i))
		return false;
	if (i == SIZE_MAX)
		*ret = (struct value){ .kind = VALUE_NIL };
	else
		*ret = value_bool(i < n);
	return true;
}

bool filter_map(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v, found;
	size_t n, i;

	if (!array_of(w, in, &v, &n))
		return false;
	for (i = 0; i < n; i++) {
		if (v[i].kind != VALUE_OBJECT && v[i].kind != VALUE_NIL)
			return err_set(w->err, "%s has no properties", value_kind_name(v[i].kind));
		if (array_property(w, &v[i], &args->v[0], &found) == PROPERTY_FAILED)
			return false;
		v[i] = found;
	}
	*ret = value_array(v, n);
	return true;
}

bool filter_compact(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v, found;
	size_t n, i, kept = 0;

	if (!array_of(w, in, &v, &n))
		return false;
	for (i = 0; i < n; i++) {
		found = v[i];
		if (args->n && args->v[0].kind != VALUE_NIL &&
			array_property(w, &v[i], &args->v[0], &found) == PROPERTY_FAILED)
			return false;
		if (found.kind != VALUE_NIL)
			v[kept++] = v[i];
	}
	*ret = value_array(v, kept);
	return true;
}

bool filter_concat(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v, *all, more;
	size_t n;

	if (!value_is_list(&args->v[0]))
		return err_set(
			w->err, "%s where a list was expected", value_kind_name(args->v[0].kind));
	if (!array_of(w, in, &v, &n) || !value_elements(w, &args->v[0], &more))
		return false;
	all = work_array(w, n + more.array.n);
	if (all == NULL)
		return false;
	memcpy(all, v, n * sizeof *v);
	if (more.array.n)
		memcpy(all + n, more.array.v, more.array.n * sizeof *v);
	*ret = value_array(all, n + more.array.n);
	return true;
}

/* The first or the last element. */
static bool array_end(struct work *w, const struct value *in, const char *which, struct value *ret)
{
	struct value key = value_text(span_of(which));

	*ret = (struct value){ .kind = VALUE_NIL };
	if (!value_is_list(in) && in->kind != VALUE_OBJECT)
		return true;
	if (in->kind == VALUE_OBJECT) {
		struct value pairs;

		return value_elements(w, in, &pairs) && value_get(w, &pairs, &key, true, ret);
	}
	return value_get(w, in, &key, true, ret);
}

bool filter_first(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return array_end(w, in, "first", ret);
}

bool filter_last(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return array_end(w, in, "last", ret);
}

bool filter_join(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v;
	struct span glue = SPAN(" ");
	size_t n, i;

	if (args->n && !value_to_text(w, &args->v[0], &glue))
		return false;
	if (!array_of(w, in, &v, &n))
		return false;
	work_begin(w);
	for (i = 0; i < n; i++) {
		if (i)
			work_put(w, glue);
		value_put(w, &v[i]);
	}
	return work_end(w, ret);
}

bool filter_reverse(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v;
	size_t n, i;

	(void)args;
	if (!array_of(w, in, &v, &n))
		return false;
	for (i = 0; i < n / 2; i++) {
		struct value swap = v[i];

		v[i] = v[n - 1 - i];
		v[n - 1 - i] = swap;
	}
	*ret = value_array(v, n);
	return true;
}

bool filter_size(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	int64_t n;

	(void)args;
	if (!value_size(w, in, &n))
		return false;
	*ret = value_integer(n);
	return true;
}

bool filter_sum(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v, one, sum = value_integer(0);
	size_t n, i;

	if (!array_of(w, in, &v, &n))
		return false;
	for (i = 0; i < n; i++) {
		one = v[i];
		if (args->n && args->v[0].kind != VALUE_NIL &&
			array_property(w, &v[i], &args->v[0], &one) == PROPERTY_FAILED)
			return false;
		one = value_to_number(&one);
		sum = filter_add(&sum, &one);
	}
	*ret = sum;
	return true;
}

bool filter_uniq(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v, *keys;
	size_t n, i, j, kept = 0;
	bool same;

	if (!array_of(w, in, &v, &n))
		return false;
	keys = work_array(w, n);
	if (keys == NULL)
		return false;
	for (i = 0; i < n; i++) {
		struct value key = v[i];

		if (args->n && args->v[0].kind != VALUE_NIL &&
			array_property(w, &v[i], &args->v[0], &key) == PROPERTY_FAILED)
			return false;
		for (j = 0, same = false; j < kept && !same; j++)
			if (!value_equal(w, &keys[j], &key, &same))
				return false;
		if (same)
			continue;
		keys[kept] = key;
		v[kept++] = v[i];
	}
	*ret = value_array(v, kept);
	return true;
}

/* An element on its way to its place. */
struct array_item {
	struct value key;
	struct span text; /* of the key, for sort_natural */
	struct value value;
	size_t at; /* where it was: equal ones keep their order */
};

/* What a comparison needs and may leave. */
struct array_sort {
	struct work *w;
	bool is_natural, is_failed;
};

/* Nothing comes last. */
static int array_compare_nil(const struct array_item *a, const struct array_item *b)
{
	return (a->key.kind == VALUE_NIL) - (b->key.kind == VALUE_NIL);
}

static int array_compare(const void *x, const void *y, void *arg)
{
	const struct array_item *a = x, *b = y;
	struct array_sort *s = arg;
	int order = array_compare_nil(a, b);

	if (s->is_failed)
		return 0;
	if (order == 0 && a->key.kind != VALUE_NIL) {
		if (s->is_natural)
			order = span_cmp(a->text, b->text);
		else if (!value_order(s->w, &a->key, &b->key, &order))
			s->is_failed = true;
	}
	return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* The text of a key in small letters, without a language: for ordering only. */
static bool array_natural_key(struct work *w, struct array_item *item)
{
	struct span text;
	char *small;
	size_t i;

	if (!value_to_text(w, &item->key, &text))
		return false;
	small = arena_dup(w->arena, text.p, text.n);
	for (i = 0; i < text.n; i++)
		if (small[i] >= 'A' && small[i] <= 'Z')
			small[i] = (char)(small[i] + 32);
	item->text = (struct span){ small, text.n };
	return true;
}

static bool array_sort(struct work *w, const struct value *in, const struct filter_args *args,
	bool is_natural, struct value *ret)
{
	struct array_sort s = { .w = w, .is_natural = is_natural };
	struct array_item *items;
	struct value *v;
	size_t n, i;

	if (!array_of(w, in, &v, &n) || !work_charge(w, n * 4))
		return false;
	items = arena_array(w->arena, struct array_item, n);
	for (i = 0; i < n; i++) {
		items[i] = (struct array_item){ .key = v[i], .value = v[i], .at = i };
		if (args->n && args->v[0].kind != VALUE_NIL &&
			array_property(w, &v[i], &args->v[0], &items[i].key) == PROPERTY_FAILED)
			return false;
		if (is_natural && !array_natural_key(w, &items[i]))
			return false;
	}
	qsort_r(items, n, sizeof *items, array_compare, &s);
	if (s.is_failed)
		return false;
	for (i = 0; i < n; i++)
		v[i] = items[i].value;
	*ret = value_array(v, n);
	return true;
}

bool filter_sort(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return array_sort(w, in, args, false, ret);
}

bool filter_sort_natural(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return array_sort(w, in, args, true, ret);
}
