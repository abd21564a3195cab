/*
 * liquid_filter.c: the table of filters, and the three that know about shops.
 *
 * A new filter is a function in liquid_text, liquid_math or liquid_array and a row here, in
 * alphabetical order.  Whether text stays safe (is HTML already) is a column, so that a new filter
 * is escaped unless somebody has thought about it.
 */
#include "engine/liquid_filter.h"

#include "base/clock.h"
#include "base/suggest.h"
#include "base/tz.h"
#include "engine/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct liquid_filter filter_rows[] = {
	{ "abs", filter_abs, 0, 0, SAFE_DROPPED },
	{ "append", filter_append, 1, 1, SAFE_OWN },
	{ "at_least", filter_at_least, 1, 1, SAFE_DROPPED },
	{ "at_most", filter_at_most, 1, 1, SAFE_DROPPED },
	{ "base64_decode", filter_base64_decode, 0, 0, SAFE_DROPPED },
	{ "base64_encode", filter_base64_encode, 0, 0, SAFE_DROPPED },
	{ "base64_url_safe_decode", filter_base64_url_safe_decode, 0, 0, SAFE_DROPPED },
	{ "base64_url_safe_encode", filter_base64_url_safe_encode, 0, 0, SAFE_DROPPED },
	{ "capitalize", filter_capitalize, 0, 0, SAFE_DROPPED },
	{ "ceil", filter_ceil, 0, 0, SAFE_DROPPED },
	{ "compact", filter_compact, 0, 1, SAFE_DROPPED },
	{ "concat", filter_concat, 1, 1, SAFE_DROPPED },
	{ "date", filter_date, 1, 1, SAFE_DROPPED },
	{ "default", filter_default, 0, 1, SAFE_OWN },
	{ "divided_by", filter_divided_by, 1, 1, SAFE_DROPPED },
	{ "downcase", filter_downcase, 0, 0, SAFE_DROPPED },
	{ "escape", filter_escape, 0, 0, SAFE_OWN },
	{ "escape_once", filter_escape_once, 0, 0, SAFE_OWN },
	{ "find", filter_find, 1, 2, SAFE_DROPPED },
	{ "find_index", filter_find_index, 1, 2, SAFE_DROPPED },
	{ "first", filter_first, 0, 0, SAFE_DROPPED },
	{ "floor", filter_floor, 0, 0, SAFE_DROPPED },
	{ "has", filter_has, 1, 2, SAFE_DROPPED },
	{ "join", filter_join, 0, 1, SAFE_DROPPED },
	{ "last", filter_last, 0, 0, SAFE_DROPPED },
	{ "lstrip", filter_lstrip, 0, 0, SAFE_KEPT },
	{ "map", filter_map, 1, 1, SAFE_DROPPED },
	{ "minus", filter_minus, 1, 1, SAFE_DROPPED },
	{ "modulo", filter_modulo, 1, 1, SAFE_DROPPED },
	{ "money", filter_money, 0, 1, SAFE_DROPPED },
	{ "newline_to_br", filter_newline_to_br, 0, 0, SAFE_OWN },
	{ "plus", filter_plus, 1, 1, SAFE_DROPPED },
	{ "prepend", filter_prepend, 1, 1, SAFE_OWN },
	{ "raw", filter_raw, 0, 0, SAFE_OWN },
	{ "reject", filter_reject, 1, 2, SAFE_DROPPED },
	{ "remove", filter_replace, 1, 1, SAFE_DROPPED },
	{ "remove_first", filter_replace_first, 1, 1, SAFE_DROPPED },
	{ "remove_last", filter_replace_last, 1, 1, SAFE_DROPPED },
	{ "replace", filter_replace, 1, 2, SAFE_DROPPED },
	{ "replace_first", filter_replace_first, 1, 2, SAFE_DROPPED },
	{ "replace_last", filter_replace_last, 1, 2, SAFE_DROPPED },
	{ "reverse", filter_reverse, 0, 0, SAFE_DROPPED },
	{ "round", filter_round, 0, 1, SAFE_DROPPED },
	{ "rstrip", filter_rstrip, 0, 0, SAFE_KEPT },
	{ "size", filter_size, 0, 0, SAFE_DROPPED },
	{ "slice", filter_slice, 1, 2, SAFE_DROPPED },
	{ "sort", filter_sort, 0, 1, SAFE_DROPPED },
	{ "sort_natural", filter_sort_natural, 0, 1, SAFE_DROPPED },
	{ "split", filter_split, 1, 1, SAFE_DROPPED },
	{ "strip", filter_strip, 0, 0, SAFE_KEPT },
	{ "strip_html", filter_strip_html, 0, 0, SAFE_DROPPED },
	{ "strip_newlines", filter_strip_newlines, 0, 0, SAFE_KEPT },
	{ "sum", filter_sum, 0, 1, SAFE_DROPPED },
	{ "times", filter_times, 1, 1, SAFE_DROPPED },
	{ "truncate", filter_truncate, 0, 2, SAFE_DROPPED },
	{ "truncatewords", filter_truncatewords, 0, 2, SAFE_DROPPED },
	{ "uniq", filter_uniq, 0, 1, SAFE_DROPPED },
	{ "upcase", filter_upcase, 0, 0, SAFE_DROPPED },
	{ "url_decode", filter_url_decode, 0, 0, SAFE_DROPPED },
	{ "url_encode", filter_url_encode, 0, 0, SAFE_DROPPED },
	{ "where", filter_where, 1, 2, SAFE_DROPPED },
};

/* Orders a name and a row, for bsearch. */
static int filter_compare(const void *name, const void *row)
{
	return span_cmp(
		*(const struct span *)name, span_of(((const struct liquid_filter *)row)->name));
}

const struct liquid_filter *liquid_filter_find(struct span name)
{
	return bsearch(&name, filter_rows, sizeof filter_rows / sizeof *filter_rows,
		sizeof *filter_rows, filter_compare);
}

const char *liquid_filter_near(const char *wrong)
{
	struct suggest near;
	size_t i;

	suggest_init(&near, wrong);
	for (i = 0; i < sizeof filter_rows / sizeof *filter_rows; i++)
		suggest_offer(&near, filter_rows[i].name);
	return near.best;
}

/* What reading a value costs, in steps. */
static size_t filter_cost(const struct value *v)
{
	return v->kind == VALUE_TEXT || v->kind == VALUE_LIST || v->kind == VALUE_OBJECT
		       ? v->text.n / 64
		       : 0;
}

bool liquid_filter_run(struct work *w, const struct liquid_filter *f, const struct value *in,
	const struct filter_args *args, struct value *ret)
{
	size_t cost = filter_cost(in);
	unsigned i;

	for (i = 0; i < args->n; i++)
		cost += filter_cost(&args->v[i]);
	if (!work_charge(w, cost) || !f->run(w, in, args, ret))
		return false;
	if (f->safety == SAFE_KEPT)
		ret->is_safe = in->is_safe;
	else if (f->safety == SAFE_DROPPED)
		ret->is_safe = false;
	return true;
}

bool filter_default(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	bool is_missing = in->kind == VALUE_NIL || value_is_empty(in) || in->kind == VALUE_EMPTY ||
			  in->kind == VALUE_BLANK ||
			  (in->kind == VALUE_BOOL && !in->truth && !args->allow_false);

	(void)w;
	*ret = *in;
	if (is_missing)
		*ret = args->n ? args->v[0] : value_text((struct span){ "", 0 });
	return true;
}

/* ---- money ---- */

/* An amount as decimal digits: text keeps every digit it has. */
static bool filter_amount(
	struct work *w, const struct value *in, char *digits, size_t size, struct span *ret)
{
	if (in->kind == VALUE_TEXT) {
		*ret = span_trim(in->text);
		return true;
	}
	if (in->kind == VALUE_INTEGER)
		snprintf(digits, size, "%lld", (long long)in->integer);
	else if (in->kind == VALUE_FLOAT)
		snprintf(digits, size, "%.15g", in->real);
	else
		return err_set(w->err, "%s is no amount", value_kind_name(in->kind));
	*ret = span_of(digits);
	return true;
}

/* Digits, a sign, a point: nothing else is given to ICU. */
static bool filter_is_amount(struct span s)
{
	static const char signs[] = { '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '.', '+',
		'-', 'e', 'E' };
	size_t i, digits = 0;

	for (i = 0; i < s.n; i++) {
		digits += s.p[i] >= '0' && s.p[i] <= '9';
		if (memchr(signs, s.p[i], sizeof signs) == NULL)
			return false;
	}
	return digits > 0 && s.n <= 40;
}

bool filter_money(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span currency = span_of(w->env->currency), amount;
	char digits[40], code[8];

	*ret = value_text((struct span){ "", 0 });
	if (in->kind == VALUE_NIL || (in->kind == VALUE_TEXT && span_trim(in->text).n == 0))
		return true;
	if (args->n && args->v[0].kind != VALUE_NIL && !value_to_text(w, &args->v[0], &currency))
		return false;
	if (currency.n == 0)
		return err_set(w->err, "no currency is known; write | money: \"EUR\"");
	span_into(currency, code, sizeof code);
	if (!filter_amount(w, in, digits, sizeof digits, &amount))
		return false;
	if (!filter_is_amount(amount))
		return err_set(w->err, "\"%.40s\" is no amount",
			(char *)arena_dup(w->arena, amount.p, amount.n));
	work_begin(w);
	return format_money(w->format, w->env->language, code, amount, &w->scratch, w->err) &&
	       work_end(w, ret);
}

/* ---- date ---- */

/* The instant of a local time, given as if its digits were UTC. */
static int64_t filter_of_local(const struct tz *zone, int64_t local_us)
{
	int64_t days = local_us / CLOCK_DAY_US - (local_us % CLOCK_DAY_US < 0);
	struct clock_date date = clock_date_of_days(days);
	struct tz_wall wall = { .year = date.year, .month = date.month, .day = date.day };
	int64_t rest = local_us - days * CLOCK_DAY_US;

	wall.second = (int)(rest / CLOCK_SECOND_US % 60);
	wall.minute = (int)(rest / CLOCK_SECOND_US / 60 % 60);
	wall.hour = (int)(rest / CLOCK_SECOND_US / 3600);
	wall.us = (int)(rest % CLOCK_SECOND_US);
	return tz_from_local(zone, &wall);
}

/* The moment that is meant; false when the value is no time. */
static bool filter_moment(struct work *w, const struct value *in, struct format_time *ret)
{
	const struct tz *zone = w->env->zone;
	struct format_parsed parsed;
	int64_t seconds;
	double real;

	if (value_is_number(in)) {
		real = value_to_double(in);
		if (!(real > -6e10 && real < 2.5e11))
			return false;
		ret->at_us = in->kind == VALUE_INTEGER ? in->integer * CLOCK_SECOND_US
						       : (int64_t)(real * 1e6);
	} else if (in->kind != VALUE_TEXT) {
		return false;
	} else if (span_is(in->text, "now") || span_is(in->text, "today")) {
		ret->at_us = w->env->now_us;
	} else if (in->text.n && in->text.p[0] != '-' && in->text.n < 12 &&
		   span_to_i64(in->text, &seconds)) {
		ret->at_us = seconds * CLOCK_SECOND_US;
	} else if (format_read_date(in->text, &parsed)) {
		ret->at_us = parsed.at_us;
		if (parsed.is_local && zone)
			ret->at_us = filter_of_local(zone, parsed.at_us);
	} else {
		return false;
	}
	ret->offset_s = zone ? tz_offset_s(zone, ret->at_us) : 0;
	return true;
}

/* What is no time goes through as it is, as in the reference. */
bool filter_date(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct format_time at;
	struct span pattern;

	*ret = *in;
	if (args->v[0].kind == VALUE_NIL || !filter_moment(w, in, &at))
		return true;
	if (!value_to_text(w, &args->v[0], &pattern))
		return false;
	if (pattern.n == 0)
		return true;
	if (pattern.n > 1000)
		return err_set(w->err, "date pattern of more than 1000 bytes");
	work_begin(w);
	return format_date(w->format, w->env->language, &at, pattern, &w->scratch, w->err) &&
	       work_end(w, ret);
}
