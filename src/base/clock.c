/*
 * clock.c: dates and RFC 3339.
 *
 * The calendar is counted in years that begin on 1 March: the leap day is then the last day of a
 * year, and the days before each month follow one straight line, (153 m + 2) / 5.  400 such years
 * have 146,097 days.  timegm and strptime were rejected: they accept dates that do not exist, and
 * text that is none.
 */
#include "base/clock.h"

#include <string.h>

enum {
	CLOCK_ERA_DAYS = 146097,
	CLOCK_EPOCH_SHIFT = 719468
}; /* days from 0000-03-01 to 1970-01-01 */

static int64_t clock_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t clock_days_of_date(int64_t year, int month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1, era = clock_floor_div(y, 400),
		in_era = y - era * 400;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return era * CLOCK_ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + (153 * m + 2) / 5 +
	       day - 1 - CLOCK_EPOCH_SHIFT;
}

struct clock_date clock_date_of_days(int64_t days)
{
	int64_t d = days + CLOCK_EPOCH_SHIFT, era = clock_floor_div(d, CLOCK_ERA_DAYS), y, m;

	d -= era * CLOCK_ERA_DAYS;
	/* take out the leap days before d: every 1,460 days one too many, every 36,524 one too few */
	y = (d - d / 1460 + d / 36524 - d / (CLOCK_ERA_DAYS - 1)) / 365;
	d -= y * 365 + y / 4 - y / 100;
	m = (5 * d + 2) / 153;
	d -= (153 * m + 2) / 5;
	return (struct clock_date){ era * 400 + y + (m >= 10), (int)(m < 10 ? m + 3 : m - 9),
		(int)d + 1 };
}

int clock_month_days(int64_t year, int month)
{
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

int clock_weekday(int64_t days)
{
	int64_t d = (days + 3) % 7; /* day 0 was a Thursday */

	return (int)(d < 0 ? d + 7 : d) + 1;
}

/* Reads n digits at *p. */
static bool clock_digits(const char **p, const char *end, int n, int *ret)
{
	int v = 0;

	if (end - *p < n)
		return false;
	for (int i = 0; i < n; i++, ++*p) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + **p - '0';
	}
	*ret = v;
	return true;
}

static bool clock_char(const char **p, const char *end, const char *set)
{
	if (*p == end || **p == '\0' || strchr(set, **p) == NULL)
		return false;
	++*p;
	return true;
}

static bool clock_parse_date(const char **p, const char *end, int64_t *ret_days)
{
	int year, month, day;

	if (!clock_digits(p, end, 4, &year) || !clock_char(p, end, "-") ||
		!clock_digits(p, end, 2, &month) || !clock_char(p, end, "-") ||
		!clock_digits(p, end, 2, &day))
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > clock_month_days(year, month))
		return false;
	*ret_days = clock_days_of_date(year, month, day);
	return true;
}

/* The digits behind a decimal point, as microseconds. */
static bool clock_parse_fraction(const char **p, const char *end, int64_t *ret_us)
{
	const char *begin = *p;
	int64_t us = 0, unit = CLOCK_SECOND_US / 10;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p, unit /= 10)
		us += (**p - '0') * unit;
	*ret_us = us;
	return *p > begin;
}

static bool clock_parse_time(const char **p, const char *end, int64_t *ret_us, bool *ret_leap)
{
	int hour, minute, second;
	int64_t us = 0;

	if (!clock_digits(p, end, 2, &hour) || !clock_char(p, end, ":") ||
		!clock_digits(p, end, 2, &minute) || !clock_char(p, end, ":") ||
		!clock_digits(p, end, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	if (clock_char(p, end, ".") && !clock_parse_fraction(p, end, &us))
		return false;
	*ret_leap = second == 60;
	*ret_us = ((hour * 60 + minute) * 60 + second) * CLOCK_SECOND_US + (*ret_leap ? 0 : us);
	return true;
}

static bool clock_parse_zone(const char **p, const char *end, int64_t *ret_us)
{
	int hours, minutes;
	bool west;

	*ret_us = 0;
	if (clock_char(p, end, "Zz"))
		return true;
	west = *p < end && **p == '-';
	if (!clock_char(p, end, "+-") || !clock_digits(p, end, 2, &hours) ||
		!clock_char(p, end, ":") || !clock_digits(p, end, 2, &minutes))
		return false;
	if (hours > 23 || minutes > 59)
		return false;
	*ret_us = (hours * 60 + minutes) * (west ? -60 : 60) * CLOCK_SECOND_US;
	return true;
}

bool clock_parse_rfc3339(struct span text, int64_t *ret_us)
{
	const char *p = text.p, *end = text.p + text.n;
	int64_t days, of_day, zone, at;
	bool leap;

	if (!clock_parse_date(&p, end, &days) || !clock_char(&p, end, "Tt ") ||
		!clock_parse_time(&p, end, &of_day, &leap) || !clock_parse_zone(&p, end, &zone) ||
		p != end)
		return false;
	at = days * CLOCK_DAY_US + of_day - zone;
	if (leap && at % CLOCK_DAY_US != 0) /* leap seconds end a day of UTC */
		return false;
	if (at < CLOCK_LEAST_US || at > CLOCK_MOST_US)
		return false;
	*ret_us = at;
	return true;
}

/* Writes v with n digits and the character behind them. */
static char *clock_put(char *to, int64_t v, int n, char behind)
{
	for (int i = n; i-- > 0; v /= 10)
		to[i] = (char)('0' + v % 10);
	to[n] = behind;
	return to + n + 1;
}

char *clock_format_rfc3339(int64_t at_us, char ret[32])
{
	struct clock_date date;
	int64_t days, us;
	char *to = ret;

	ret[0] = '\0';
	if (at_us == TIME_NONE)
		return ret;
	if (at_us < CLOCK_LEAST_US)
		at_us = CLOCK_LEAST_US;
	if (at_us > CLOCK_MOST_US)
		at_us = CLOCK_MOST_US;
	days = clock_floor_div(at_us, CLOCK_DAY_US);
	us = at_us - days * CLOCK_DAY_US;
	date = clock_date_of_days(days);
	to = clock_put(to, date.year, 4, '-');
	to = clock_put(to, date.month, 2, '-');
	to = clock_put(to, date.day, 2, 'T');
	to = clock_put(to, us / CLOCK_SECOND_US / 3600, 2, ':');
	to = clock_put(to, us / CLOCK_SECOND_US / 60 % 60, 2, ':');
	to = clock_put(to, us / CLOCK_SECOND_US % 60, 2, '.');
	us %= CLOCK_SECOND_US;
	if (us) {
		to = clock_put(to, us, 6, '0') - 1;
		while (to[-1] == '0')
			to--;
	} else {
		to--;
	}
	to[0] = 'Z';
	to[1] = '\0';
	return ret;
}
