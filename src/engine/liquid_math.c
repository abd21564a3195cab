/*
 * liquid_math.c: filters that compute.
 *
 * Whole numbers stay whole while they fit; otherwise doubles, rounded to 15 digits after + - * % so
 * that prices come out as a person would compute them (10.1 - 2.2 = 7.9).  The reference
 * implementation has big decimals there; 15 digits are the same for every amount a shop knows.
 */
#include "engine/liquid_filter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Takes the noise off the end of a computed fraction. */
static struct value math_tidy(double d)
{
	char text[40];

	snprintf(text, sizeof text, "%.15g", d);
	return value_float(isfinite(d) ? strtod(text, NULL) : d);
}

static bool math_are_whole(const struct value *a, const struct value *b)
{
	return a->kind == VALUE_INTEGER && b->kind == VALUE_INTEGER;
}

struct value filter_add(const struct value *a, const struct value *b)
{
	int64_t v;

	if (math_are_whole(a, b) && !__builtin_add_overflow(a->integer, b->integer, &v))
		return value_integer(v);
	return math_tidy(value_to_double(a) + value_to_double(b));
}

bool filter_plus(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in), b = value_to_number(&args->v[0]);

	(void)w;
	*ret = filter_add(&a, &b);
	return true;
}

bool filter_minus(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in), b = value_to_number(&args->v[0]);
	int64_t v;

	(void)w;
	if (math_are_whole(&a, &b) && !__builtin_sub_overflow(a.integer, b.integer, &v))
		*ret = value_integer(v);
	else
		*ret = math_tidy(value_to_double(&a) - value_to_double(&b));
	return true;
}

bool filter_times(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in), b = value_to_number(&args->v[0]);
	int64_t v;

	(void)w;
	if (math_are_whole(&a, &b) && !__builtin_mul_overflow(a.integer, b.integer, &v))
		*ret = value_integer(v);
	else
		*ret = math_tidy(value_to_double(&a) * value_to_double(&b));
	return true;
}

/* Whole division rounds down, as in Ruby. */
bool filter_divided_by(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in), b = value_to_number(&args->v[0]);
	int64_t q;

	if (value_to_double(&b) == 0)
		return err_set(w->err, "division by zero");
	if (!math_are_whole(&a, &b) || b.integer == -1) {
		if (math_are_whole(&a, &b) && a.integer != INT64_MIN)
			*ret = value_integer(-a.integer);
		else
			*ret = value_float(value_to_double(&a) / value_to_double(&b));
		return true;
	}
	q = a.integer / b.integer;
	if (a.integer % b.integer != 0 && (a.integer < 0) != (b.integer < 0))
		q--;
	*ret = value_integer(q);
	return true;
}

/* The rest has the sign of the divisor, as in Ruby. */
bool filter_modulo(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in), b = value_to_number(&args->v[0]);
	double x, y;

	if (value_to_double(&b) == 0)
		return err_set(w->err, "division by zero");
	if (math_are_whole(&a, &b)) {
		int64_t rest = b.integer == -1 ? 0 : a.integer % b.integer;

		*ret = value_integer(
			rest && (rest < 0) != (b.integer < 0) ? rest + b.integer : rest);
		return true;
	}
	x = value_to_double(&a);
	y = value_to_double(&b);
	x = fmod(x, y);
	*ret = math_tidy(x != 0 && (x < 0) != (y < 0) ? x + y : x);
	return true;
}

bool filter_abs(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in);

	(void)w, (void)args;
	if (a.kind == VALUE_INTEGER && a.integer != INT64_MIN)
		*ret = value_integer(a.integer < 0 ? -a.integer : a.integer);
	else
		*ret = value_float(fabs(value_to_double(&a)));
	return true;
}

/* A double without fraction as a whole number, where it fits. */
static struct value math_whole(double d)
{
	return fabs(d) < 9e18 ? value_integer((int64_t)d) : value_float(d);
}

bool filter_ceil(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in);

	(void)w, (void)args;
	*ret = a.kind == VALUE_INTEGER ? a : math_whole(ceil(a.real));
	return true;
}

bool filter_floor(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in);

	(void)w, (void)args;
	*ret = a.kind == VALUE_INTEGER ? a : math_whole(floor(a.real));
	return true;
}

bool filter_round(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value a = value_to_number(in);
	int64_t places = args->n ? value_to_integer(&args->v[0]) : 0;
	double scale;

	(void)w;
	if (places > 15)
		places = 15;
	if (places < -18)
		places = -18;
	if (a.kind == VALUE_INTEGER && places >= 0) {
		*ret = a;
		return true;
	}
	scale = pow(10, (double)places);
	a = math_tidy(value_to_double(&a) * scale);
	if (places > 0)
		*ret = math_tidy(round(a.real) / scale);
	else
		*ret = math_whole(round(a.real) / scale);
	return true;
}

/* The larger or the smaller of two numbers. */
static bool math_pick(
	const struct value *in, const struct value *arg, bool larger, struct value *ret)
{
	struct value a = value_to_number(in), b = value_to_number(arg);

	*ret = (value_to_double(&a) < value_to_double(&b)) == larger ? b : a;
	return true;
}

bool filter_at_least(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)w;
	return math_pick(in, &args->v[0], true, ret);
}

bool filter_at_most(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)w;
	return math_pick(in, &args->v[0], false, ret);
}
