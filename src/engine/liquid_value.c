/*
 * liquid_value.c: what values are, mean and look like in Liquid.
 *
 * Follows the Ruby implementation where it shows: floats as Ruby writes them, text as a number,
 * what is blank and empty, which things can be ordered.  Decimal fractions are doubles; sums are
 * rounded to 15 digits (see liquid_math.c), so 10.1 - 2.2 is 7.9.
 *
 * The meter: work_charge is paid for each element looked at and for each 64 bytes of JSON walked, so
 * the cost of a template is bounded whatever the data are.  A time limit would need a clock, which
 * this floor does not have, and would not be the same twice.
 */
#include "engine/liquid_value.h"

#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *value_kind_name(enum value_kind k)
{
	switch (k) {
	case VALUE_NIL: return "nothing";
	case VALUE_BOOL: return "true or false";
	case VALUE_INTEGER: return "a number";
	case VALUE_FLOAT: return "a number";
	case VALUE_TEXT: return "a text";
	case VALUE_ARRAY: return "a list";
	case VALUE_LIST: return "a list";
	case VALUE_OBJECT: return "an object";
	case VALUE_RANGE: return "a range";
	case VALUE_LOOP: return "a loop";
	case VALUE_BLANK: return "\"blank\"";
	case VALUE_EMPTY: return "\"empty\"";
	}
	return "?";
}

/* ---- the meter ---- */

bool work_charge(struct work *w, size_t n)
{
	w->steps += n + 1;
	if (w->steps > WORK_STEPS)
		return err_set(w->err, "too much work; use fewer or smaller loops and lists");
	if (w->arena->total > WORK_ARENA)
		return err_set(w->err, "too much memory; use fewer or smaller texts and lists");
	return true;
}

void work_begin(struct work *w)
{
	buf_clear(&w->scratch);
	w->is_too_long = false;
}

void work_put(struct work *w, struct span s)
{
	if (s.n > w->max_text - w->scratch.n)
		w->is_too_long = true;
	else if (s.n)
		buf_add(&w->scratch, s.p, s.n);
}

void work_put_char(struct work *w, char c)
{
	work_put(w, (struct span){ &c, 1 });
}

bool work_end(struct work *w, struct value *ret)
{
	if (w->is_too_long)
		return err_set(w->err, "text is longer than %zu bytes", w->max_text);
	if (!work_charge(w, w->scratch.n / 64))
		return false;
	*ret = value_text(
		(struct span){ arena_dup(w->arena, w->scratch.p, w->scratch.n), w->scratch.n });
	return true;
}

struct value *work_array(struct work *w, size_t n)
{
	if (n > WORK_LIST) {
		err_set(w->err, "list of more than %d elements", WORK_LIST);
		return NULL;
	}
	return work_charge(w, n) ? arena_array(w->arena, struct value, n) : NULL;
}

/* ---- making ---- */

struct value value_text(struct span s)
{
	return (struct value){ .kind = VALUE_TEXT, .text = { s.p ? s.p : "", s.n } };
}

struct value value_integer(int64_t v)
{
	return (struct value){ .kind = VALUE_INTEGER, .integer = v };
}

struct value value_float(double v)
{
	return (struct value){ .kind = VALUE_FLOAT, .real = v };
}

struct value value_bool(bool v)
{
	return (struct value){ .kind = VALUE_BOOL, .truth = v };
}

struct value value_array(const struct value *v, size_t n)
{
	return (struct value){ .kind = VALUE_ARRAY, .array = { v, n } };
}

struct value value_json(struct work *w, struct span json)
{
	struct value v = { .kind = VALUE_NIL };

	switch (json_kind(json)) {
	case JSON_NULL: break;
	case JSON_FALSE: return value_bool(false);
	case JSON_TRUE: return value_bool(true);
	case JSON_STRING: return value_text(json_text(json, w->arena));
	case JSON_ARRAY: v = (struct value){ .kind = VALUE_LIST, .text = json }; break;
	case JSON_OBJECT: v = (struct value){ .kind = VALUE_OBJECT, .text = json }; break;
	case JSON_NUMBER:
		v.kind = VALUE_INTEGER;
		if (json_integer(json, &v.integer))
			break;
		v.kind = VALUE_FLOAT;
		if (!json_number(json, &v.real))
			v = (struct value){ .kind = VALUE_NIL };
		break;
	}
	return v;
}

/* ---- asking ---- */

bool value_is_true(const struct value *v)
{
	return v->kind != VALUE_NIL && (v->kind != VALUE_BOOL || v->truth);
}

bool value_is_list(const struct value *v)
{
	return v->kind == VALUE_ARRAY || v->kind == VALUE_LIST || v->kind == VALUE_RANGE;
}

bool value_is_number(const struct value *v)
{
	return v->kind == VALUE_INTEGER || v->kind == VALUE_FLOAT;
}

bool value_is_empty(const struct value *v)
{
	struct json_iter it;
	struct span e;

	if (v->kind == VALUE_TEXT)
		return v->text.n == 0;
	if (v->kind == VALUE_ARRAY)
		return v->array.n == 0;
	if (v->kind != VALUE_LIST && v->kind != VALUE_OBJECT)
		return false;
	json_iter_init(&it, v->text);
	return !json_next(&it, NULL, &e);
}

bool value_is_blank(const struct value *v)
{
	if (v->kind == VALUE_TEXT)
		return span_trim(v->text).n == 0;
	return !value_is_true(v) || value_is_empty(v);
}

/* ---- text ---- */

void value_float_text(double d, char *ret, size_t size)
{
	char digits[40], *e;
	int precision, decimals;

	if (!isfinite(d)) {
		snprintf(ret, size, "%s", isnan(d) ? "NaN" : d < 0 ? "-Infinity" : "Infinity");
		return;
	}
	for (precision = 1; precision < 17; precision++) {
		snprintf(digits, sizeof digits, "%.*e", precision - 1, d);
		if (strtod(digits, NULL) == d)
			break;
	}
	snprintf(digits, sizeof digits, "%.*e", precision - 1, d);
	e = strchr(digits, 'e');
	assert(e != NULL);
	decimals = precision - 1 - atoi(e + 1);
	decimals = decimals < 1 ? 1 : decimals > 21 ? 21 : decimals; /* 17 digits from 1e-4 on */
	if (d != 0 && (fabs(d) >= 1e16 || fabs(d) < 1e-4))
		snprintf(ret, size, "%.*s%s%s", (int)(e - digits), digits,
			precision == 1 ? ".0" : "", e);
	else
		snprintf(ret, size, "%.*f", decimals, d);
}

void value_put(struct work *w, const struct value *v)
{
	char text[64];
	size_t i;
	int64_t k;

	switch (v->kind) {
	case VALUE_NIL:
	case VALUE_BLANK:
	case VALUE_EMPTY: break;
	case VALUE_BOOL: work_put(w, v->truth ? SPAN("true") : SPAN("false")); break;
	case VALUE_INTEGER:
		snprintf(text, sizeof text, "%lld", (long long)v->integer);
		work_put(w, span_of(text));
		break;
	case VALUE_FLOAT:
		value_float_text(v->real, text, sizeof text);
		work_put(w, span_of(text));
		break;
	case VALUE_TEXT:
	case VALUE_OBJECT: work_put(w, v->text); break;
	case VALUE_ARRAY:
		for (i = 0; i < v->array.n && !w->is_too_long; i++)
			value_put(w, &v->array.v[i]);
		break;
	case VALUE_LIST: {
		struct json_iter it;
		struct span e;

		json_iter_init(&it, v->text);
		while (!w->is_too_long && json_next(&it, NULL, &e)) {
			struct value inner = value_json(w, e);

			value_put(w, &inner);
		}
		break;
	}
	case VALUE_RANGE:
		snprintf(text, sizeof text, "%lld..%lld", (long long)v->range.from,
			(long long)v->range.to);
		work_put(w, span_of(text));
		break;
	case VALUE_LOOP:
		k = (int64_t)v->loop->index;
		snprintf(text, sizeof text, "forloop %lld", (long long)k + 1);
		work_put(w, span_of(text));
		break;
	}
}

bool value_to_text(struct work *w, const struct value *v, struct span *ret)
{
	struct value made;

	if (v->kind == VALUE_TEXT) {
		*ret = v->text;
		return true;
	}
	work_begin(w);
	value_put(w, v);
	if (!work_end(w, &made))
		return false;
	*ret = made.text;
	return true;
}

void value_put_escaped(struct work *w, struct span s)
{
	size_t i, from = 0;

	for (i = 0; i < s.n; i++) {
		const char *entity = NULL;

		switch (s.p[i]) {
		case '&': entity = "&amp;"; break;
		case '<': entity = "&lt;"; break;
		case '>': entity = "&gt;"; break;
		case '"': entity = "&quot;"; break;
		case '\'': entity = "&#39;"; break;
		default: continue;
		}
		work_put(w, (struct span){ s.p + from, i - from });
		work_put(w, span_of(entity));
		from = i + 1;
	}
	work_put(w, (struct span){ s.p + from, s.n - from });
}

/* ---- numbers ---- */

static bool value_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the number a text begins with: "2.50" whole, "12 apples" is 12, "foo" is 0. */
static struct value value_text_number(struct span text)
{
	struct span s = span_trim(text);
	size_t i = 0, whole, n;
	char digits[64];
	int64_t v;

	if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
		i++;
	for (whole = i; i < s.n && value_is_digit(s.p[i]); i++)
		;
	if (i == whole)
		return value_integer(0);
	n = i;
	if (i + 1 < s.n && s.p[i] == '.' && value_is_digit(s.p[i + 1])) {
		for (i++; i < s.n && value_is_digit(s.p[i]); i++)
			;
		if (i == s.n && i < sizeof digits) {
			memcpy(digits, s.p, i);
			digits[i] = '\0';
			return value_float(strtod(digits, NULL));
		}
	}
	if (span_to_i64((struct span){ s.p, n }, &v))
		return value_integer(v);
	n = n < sizeof digits ? n : sizeof digits - 1;
	memcpy(digits, s.p, n);
	digits[n] = '\0';
	return value_float(strtod(digits, NULL));
}

struct value value_to_number(const struct value *v)
{
	if (value_is_number(v))
		return *v;
	return v->kind == VALUE_TEXT ? value_text_number(v->text) : value_integer(0);
}

int64_t value_to_integer(const struct value *v)
{
	struct value n = value_to_number(v);

	if (n.kind == VALUE_INTEGER)
		return n.integer;
	if (!(fabs(n.real) < 9e18))
		return n.real < 0 ? INT64_MIN : INT64_MAX;
	return (int64_t)n.real;
}

double value_to_double(const struct value *v)
{
	return v->kind == VALUE_INTEGER ? (double)v->integer : v->real;
}

bool value_as_index(const struct value *v, int64_t *ret)
{
	if (v->kind == VALUE_TEXT)
		return span_to_i64(v->text, ret);
	if (!value_is_number(v))
		return false;
	*ret = value_to_integer(v);
	return true;
}

/* ---- lists and objects ---- */

/* Counts the members of JSON. */
static size_t value_count(struct span json)
{
	struct json_iter it;
	struct span e;
	size_t n = 0;

	json_iter_init(&it, json);
	while (json_next(&it, NULL, &e))
		n++;
	return n;
}

/* The [key, value] pair of an object's member. */
static struct value value_pair(struct work *w, struct span key, struct span member)
{
	struct value *pair = arena_array(w->arena, struct value, 2);

	pair[0] = value_text(json_text(key, w->arena));
	pair[1] = value_json(w, member);
	return value_array(pair, 2);
}

/* The members of JSON as values. */
static bool value_json_elements(struct work *w, const struct value *v, struct value *ret)
{
	size_t n, i = 0;
	struct json_iter it;
	struct span key, e;
	struct value *list;

	if (!work_charge(w, v->text.n / 64))
		return false;
	n = value_count(v->text);
	list = work_array(w, n);
	if (list == NULL)
		return false;
	json_iter_init(&it, v->text);
	while (i < n && json_next(&it, &key, &e))
		list[i++] = v->kind == VALUE_LIST ? value_json(w, e) : value_pair(w, key, e);
	*ret = value_array(list, i);
	return true;
}

static bool value_range_elements(struct work *w, const struct value *v, struct value *ret)
{
	int64_t from = v->range.from, to = v->range.to;
	uint64_t n = from > to ? 0 : (uint64_t)to - (uint64_t)from + 1;
	struct value *list = work_array(w, from <= to && n == 0 ? SIZE_MAX : n);
	uint64_t i;

	if (list == NULL)
		return false;
	for (i = 0; i < n; i++)
		list[i] = value_integer(from + (int64_t)i);
	*ret = value_array(list, n);
	return true;
}

bool value_elements(struct work *w, const struct value *v, struct value *ret)
{
	struct value *one;

	switch (v->kind) {
	case VALUE_ARRAY: *ret = *v; return true;
	case VALUE_LIST:
	case VALUE_OBJECT: return value_json_elements(w, v, ret);
	case VALUE_RANGE: return value_range_elements(w, v, ret);
	case VALUE_NIL:
	case VALUE_BLANK:
	case VALUE_EMPTY: *ret = value_array(NULL, 0); return true;
	case VALUE_BOOL:
	case VALUE_INTEGER:
	case VALUE_FLOAT:
	case VALUE_TEXT:
	case VALUE_LOOP: break;
	}
	one = work_array(w, 1);
	if (one == NULL)
		return false;
	*one = *v;
	*ret = value_array(one, 1);
	return true;
}

bool value_size(struct work *w, const struct value *v, int64_t *ret)
{
	size_t n = 0, i;

	switch (v->kind) {
	case VALUE_TEXT:
		if (!work_charge(w, v->text.n / 64))
			return false;
		for (i = 0; i < v->text.n; i++)
			n += (v->text.p[i] & 0xC0) != 0x80;
		break;
	case VALUE_ARRAY: n = v->array.n; break;
	case VALUE_LIST:
	case VALUE_OBJECT:
		if (!work_charge(w, v->text.n / 64))
			return false;
		n = value_count(v->text);
		break;
	case VALUE_RANGE:
		n = v->range.from > v->range.to ? 0
						: (size_t)v->range.to - (size_t)v->range.from + 1;
		break;
	case VALUE_NIL:
	case VALUE_BOOL:
	case VALUE_INTEGER:
	case VALUE_FLOAT:
	case VALUE_LOOP:
	case VALUE_BLANK:
	case VALUE_EMPTY: break;
	}
	*ret = (int64_t)n;
	return true;
}

/* Element i of a list; from the end when negative; nil outside. */
static bool value_at(struct work *w, const struct value *v, int64_t i, struct value *ret)
{
	struct json_iter it;
	struct span e;
	int64_t n;

	*ret = (struct value){ .kind = VALUE_NIL };
	if (!value_size(w, v, &n))
		return false;
	if (i < 0)
		i += n;
	if (i < 0 || i >= n)
		return true;
	if (v->kind == VALUE_ARRAY)
		*ret = v->array.v[i];
	if (v->kind == VALUE_RANGE)
		*ret = value_integer(v->range.from + i);
	if (v->kind != VALUE_LIST)
		return true;
	json_iter_init(&it, v->text);
	while (json_next(&it, NULL, &e) && i-- > 0)
		;
	*ret = value_json(w, e);
	return true;
}

/* What forloop and tablerowloop know. */
static struct value value_loop_get(const struct value_loop *l, struct span key)
{
	int64_t index = (int64_t)l->index, length = (int64_t)l->length;
	int64_t columns = (int64_t)(l->columns ? l->columns : 1), col = index % columns;
	const struct {
		const char *name;
		struct value value;
		bool is_table;
	} rows[] = {
		{ "index", value_integer(index + 1), false },
		{ "index0", value_integer(index), false },
		{ "rindex", value_integer(length - index), false },
		{ "rindex0", value_integer(length - index - 1), false },
		{ "first", value_bool(index == 0), false },
		{ "last", value_bool(index == length - 1), false },
		{ "length", value_integer(length), false },
		{ "col", value_integer(col + 1), true },
		{ "col0", value_integer(col), true },
		{ "col_first", value_bool(col == 0), true },
		{ "col_last", value_bool(col == columns - 1), true },
		{ "row", value_integer(index / columns + 1), true },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		if (span_is(key, rows[i].name) && (l->columns || !rows[i].is_table))
			return rows[i].value;
	if (span_is(key, "name") && l->columns == 0)
		return value_text(l->name);
	if (span_is(key, "parentloop") && l->parent)
		return (struct value){ .kind = VALUE_LOOP, .loop = l->parent };
	return (struct value){ .kind = VALUE_NIL };
}

/* .first, .last and .size of lists, objects and texts. */
static bool value_get_special(
	struct work *w, const struct value *v, struct span key, struct value *ret)
{
	int64_t n;

	*ret = (struct value){ .kind = VALUE_NIL };
	if (span_is(key, "size")) {
		if (!value_is_list(v) && v->kind != VALUE_TEXT && v->kind != VALUE_OBJECT)
			return true;
		if (!value_size(w, v, &n))
			return false;
		*ret = value_integer(n);
	} else if (span_is(key, "first") || span_is(key, "last")) {
		struct value pairs;

		if (value_is_list(v))
			return value_at(w, v, span_is(key, "first") ? 0 : -1, ret);
		if (v->kind != VALUE_OBJECT || span_is(key, "last"))
			return true;
		return value_elements(w, v, &pairs) && value_at(w, &pairs, 0, ret);
	}
	return true;
}

bool value_get(struct work *w, const struct value *v, const struct value *key, bool is_dot,
	struct value *ret)
{
	struct span name, found;
	int64_t i;

	*ret = (struct value){ .kind = VALUE_NIL };
	if (v->kind == VALUE_NIL || key->kind == VALUE_NIL)
		return true;
	if (value_is_list(v) && value_is_number(key))
		return value_as_index(key, &i) && value_at(w, v, i, ret);
	if (!value_to_text(w, key, &name))
		return false;
	if (v->kind == VALUE_LOOP) {
		*ret = value_loop_get(v->loop, name);
		return true;
	}
	if (v->kind == VALUE_OBJECT) {
		if (!work_charge(w, v->text.n / 64))
			return false;
		if (json_get(v->text, name, &found)) {
			*ret = value_json(w, found);
			return true;
		}
	}
	return !is_dot || value_get_special(w, v, name, ret);
}

/* ---- comparing ---- */

/* What comparing this costs, in steps. */
static size_t value_cost(const struct value *v)
{
	return v->kind == VALUE_TEXT ? v->text.n / 64 : 0;
}

static bool value_equal_lists(
	struct work *w, const struct value *a, const struct value *b, bool *ret)
{
	struct value x, y;
	size_t i;

	if (!value_elements(w, a, &x) || !value_elements(w, b, &y))
		return false;
	*ret = x.array.n == y.array.n;
	for (i = 0; i < x.array.n && *ret; i++)
		if (!value_equal(w, &x.array.v[i], &y.array.v[i], ret))
			return false;
	return true;
}

/* Equal whatever the order of the members. */
static bool value_equal_objects(
	struct work *w, const struct value *a, const struct value *b, bool *ret)
{
	struct json_iter it;
	struct span key, e, other;

	if (!work_charge(w, a->text.n / 64 + b->text.n / 64))
		return false;
	*ret = value_count(a->text) == value_count(b->text);
	json_iter_init(&it, a->text);
	while (*ret && json_next(&it, &key, &e)) {
		struct value x, y;

		if (!work_charge(w, b->text.n / 64))
			return false;
		*ret = json_get(b->text, json_text(key, w->arena), &other);
		if (!*ret)
			break;
		x = value_json(w, e);
		y = value_json(w, other);
		if (!value_equal(w, &x, &y, ret))
			return false;
	}
	return true;
}

/* Compares with the words blank and empty. */
static bool value_equal_word(const struct value *word, const struct value *v)
{
	if (v->kind == VALUE_BLANK || v->kind == VALUE_EMPTY)
		return word->kind == v->kind;
	return word->kind == VALUE_BLANK ? value_is_blank(v) : value_is_empty(v);
}

bool value_equal(struct work *w, const struct value *a, const struct value *b, bool *ret)
{
	if (!work_charge(w, value_cost(a) + value_cost(b)))
		return false;
	*ret = false;
	if (a->kind == VALUE_BLANK || a->kind == VALUE_EMPTY)
		*ret = value_equal_word(a, b);
	else if (b->kind == VALUE_BLANK || b->kind == VALUE_EMPTY)
		*ret = value_equal_word(b, a);
	else if (a->kind == VALUE_INTEGER && b->kind == VALUE_INTEGER)
		*ret = a->integer == b->integer;
	else if (value_is_number(a) && value_is_number(b))
		*ret = value_to_double(a) == value_to_double(b);
	else if (value_is_list(a) && value_is_list(b))
		return value_equal_lists(w, a, b, ret);
	else if (a->kind == VALUE_OBJECT && b->kind == VALUE_OBJECT)
		return value_equal_objects(w, a, b, ret);
	else if (a->kind == VALUE_TEXT && b->kind == VALUE_TEXT)
		*ret = span_eq(a->text, b->text);
	else if (a->kind == VALUE_BOOL && b->kind == VALUE_BOOL)
		*ret = a->truth == b->truth;
	else if (a->kind == VALUE_LOOP && b->kind == VALUE_LOOP)
		*ret = a->loop == b->loop;
	else
		*ret = a->kind == VALUE_NIL && b->kind == VALUE_NIL;
	return true;
}

bool value_order(struct work *w, const struct value *a, const struct value *b, int *ret)
{
	if (!work_charge(w, value_cost(a) + value_cost(b)))
		return false;
	if (a->kind == VALUE_INTEGER && b->kind == VALUE_INTEGER) {
		*ret = (a->integer > b->integer) - (a->integer < b->integer);
	} else if (value_is_number(a) && value_is_number(b)) {
		double x = value_to_double(a), y = value_to_double(b);

		*ret = (x > y) - (x < y);
	} else if (a->kind == VALUE_TEXT && b->kind == VALUE_TEXT) {
		*ret = span_cmp(a->text, b->text);
	} else {
		return err_set(w->err, "%s cannot be compared with %s", value_kind_name(a->kind),
			value_kind_name(b->kind));
	}
	return true;
}

bool value_contains(struct work *w, const struct value *a, const struct value *b, bool *ret)
{
	struct span needle, found;
	struct value list;
	size_t i;

	*ret = false;
	if (!value_is_true(a) || !value_is_true(b))
		return true;
	if (a->kind == VALUE_TEXT) {
		if (!value_to_text(w, b, &needle) || !work_charge(w, a->text.n / 64))
			return false;
		*ret = needle.n == 0 || memmem(a->text.p, a->text.n, needle.p, needle.n) != NULL;
		return true;
	}
	if (a->kind == VALUE_OBJECT) {
		if (!value_to_text(w, b, &needle) || !work_charge(w, a->text.n / 64))
			return false;
		*ret = json_get(a->text, needle, &found);
		return true;
	}
	if (!value_is_list(a))
		return true;
	if (!value_elements(w, a, &list))
		return false;
	for (i = 0; i < list.array.n && !*ret; i++)
		if (!value_equal(w, &list.array.v[i], b, ret))
			return false;
	return true;
}
