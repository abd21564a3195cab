/*
 * duration.c: one table of units, read for parsing and for writing.
 *
 * Days and exact time are summed apart and stay apart until duration_add: how long a day is, only
 * the zone knows.
 */
#include "base/duration.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct duration_unit {
	const char *name;
	int64_t days, us; /* one of them is set */
};

/* Larger ones first. */
static const struct duration_unit duration_units[] = {
	{ "w", 7, 0 },
	{ "d", 1, 0 },
	{ "h", 0, 3600 * CLOCK_SECOND_US },
	{ "m", 0, 60 * CLOCK_SECOND_US },
	{ "s", 0, CLOCK_SECOND_US },
	{ "ms", 0, 1000 },
};
enum { DURATION_UNITS = sizeof duration_units / sizeof *duration_units };

static const char *duration_words(unsigned flags)
{
	if (flags & DURATION_NO_DAYS)
		return flags & DURATION_MS ? "ms, s, m or h" : "s, m or h";
	return flags & DURATION_MS ? "ms, s, m, h, d or w" : "s, m, h, d or w";
}

static bool duration_unit_allowed(const struct duration_unit *u, unsigned flags)
{
	return u->days ? !(flags & DURATION_NO_DAYS) : u->us != 1000 || (flags & DURATION_MS);
}

static int duration_unit_find(struct span name, unsigned flags)
{
	for (int i = 0; i < DURATION_UNITS; i++)
		if (span_is(name, duration_units[i].name))
			return duration_unit_allowed(&duration_units[i], flags) ? i : -1;
	return -1;
}

/* Cuts the longest beginning off *rest that is (or is not) made of digits. */
static struct span duration_cut(struct span *rest, bool digits)
{
	struct span head = { rest->p, 0 };

	while (head.n < rest->n && (rest->p[head.n] >= '0' && rest->p[head.n] <= '9') == digits)
		head.n++;
	rest->p += head.n;
	rest->n -= head.n;
	return head;
}

/* Adds n units; false when it becomes longer than allowed. */
static bool duration_sum(struct duration *d, const struct duration_unit *u, int64_t n)
{
	int64_t days, us;

	if (__builtin_mul_overflow(u->days, n, &days) || __builtin_mul_overflow(u->us, n, &us) ||
		__builtin_add_overflow(d->days, days, &d->days) ||
		__builtin_add_overflow(d->us, us, &d->us))
		return false;
	return d->days <= DURATION_MOST_DAYS && d->us <= DURATION_MOST_DAYS * CLOCK_DAY_US;
}

/* Says what is wrong with a unit. */
static bool duration_bad_unit(struct span text, struct span unit, unsigned flags, struct err *err)
{
	if (unit.n == 0)
		return err_set(err, "no unit in duration \"%.*s\"; write %s behind the number",
			SPAN_ARG(text), duration_words(flags));
	if (*unit.p == '.' || *unit.p == ',')
		return err_set(err,
			"fraction in duration \"%.*s\"; write whole numbers, like \"1h30m\"",
			SPAN_ARG(text));
	return err_set(err, "unknown unit \"%.*s\" in duration \"%.*s\"; write %s", SPAN_ARG(unit),
		SPAN_ARG(text), duration_words(flags));
}

bool duration_parse(struct span text, unsigned flags, struct duration *ret, struct err *err)
{
	struct span rest = text;
	struct duration d = { 0, 0 };

	if (text.n > 64)
		return err_set(err, "duration of %zu characters; write it like \"1h30m\"", text.n);
	do {
		struct span digits = duration_cut(&rest, true), unit;
		int64_t n;
		int i;

		if (digits.n == 0)
			return err_set(err,
				"no number in duration \"%.*s\"; write it like \"1h30m\"",
				SPAN_ARG(text));
		unit = duration_cut(&rest, false);
		i = duration_unit_find(unit, flags);
		if (i < 0)
			return duration_bad_unit(text, unit, flags, err);
		if (!span_to_i64(digits, &n) || !duration_sum(&d, &duration_units[i], n))
			return err_set(err, "duration \"%.*s\" is too long; at most 100 years",
				SPAN_ARG(text));
	} while (rest.n > 0);
	*ret = d;
	return true;
}

int64_t duration_add(int64_t at_us, struct duration d, const struct tz *tz)
{
	if (at_us == TIME_NONE)
		return TIME_NONE;
	assert(tz != NULL || d.days == 0);
	if (d.days != 0)
		at_us = tz_add_days(tz, at_us, d.days);
	return at_us + d.us;
}

int64_t duration_about_us(struct duration d)
{
	return d.days * CLOCK_DAY_US + d.us;
}

char *duration_text(struct duration d, char ret[DURATION_SIZE])
{
	struct duration left = d;
	size_t at = 0;

	for (int i = 1; i < DURATION_UNITS; i++) { /* from days on: "14d" says the same as "2w" */
		const struct duration_unit *u = &duration_units[i];
		int64_t n = u->days ? left.days : left.us / u->us;

		if (n <= 0)
			continue;
		left.days -= n * u->days;
		left.us -= n * u->us;
		at += (size_t)snprintf(
			ret + at, DURATION_SIZE - at, "%lld%s", (long long)n, u->name);
	}
	if (at == 0)
		snprintf(ret, DURATION_SIZE, "0s");
	return ret;
}
