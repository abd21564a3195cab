/*
 * tz.c: a reader of TZif files (RFC 9636), version 2 and later.
 *
 * A zone is a sorted table of transitions, each to one of a few offsets, and a footer: a POSIX TZ
 * string that says how it goes on after the last transition.  Everything above is built on two
 * questions: which offset holds at an instant (tz_offset), and when does the next transition come
 * (tz_next).
 *
 * A local time is turned into an instant by walking the stretches between transitions around it,
 * earliest first.  Read with the offset of a stretch it either lies inside (done: the first of
 * two), behind it (try the next), or before its beginning, which means the clock jumped over it:
 * the beginning is then the first moment after the gap.
 *
 * Rejected: localtime_r and mktime (process-wide TZ, 9 us when zones alternate, and in a gap an
 * answer an hour off in either direction); ICU (its data is older than the system's).
 */
#include "base/tz.h"

#include "base/mem.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TZ_DIR "/usr/share/zoneinfo/"
enum { TZ_NAME_MOST = 64, TZ_FILE_MOST = 1 << 20, TZ_TYPES_MOST = 256, TZ_BUCKETS = 128 };
enum { TZ_HEADER = 44, TZ_DAY_S = 86400, TZ_OFFSET_MOST = 26 * 3600 };

/* When the offset changes each year: `Mm.w.d/time`, `Jn/time` or `n/time`. */
struct tz_rule {
	char kind;            /* 'M', 'J' (1..365, 29 February not counted) or '0' (0..365) */
	int month, week, day; /* week 5 = the last; day: 0 = Sunday for M, else the number */
	int time_s;           /* local time of the change, -167 h .. 167 h */
};

struct tz_footer {
	int std_s, dst_s; /* offsets east of UTC */
	bool has_dst;
	struct tz_rule begin, end; /* of daylight saving time */
};

struct tz {
	struct tz *next; /* in its bucket */
	char *name;
	size_t n;      /* transitions */
	int64_t *at_s; /* sorted */
	int *offset_s; /* from each transition on */
	int first_s;   /* before the first transition */
	bool has_footer;
	struct tz_footer footer;
};

static struct tz *tz_buckets[TZ_BUCKETS];

/* ---- the footer ---- */

/* Goes over the name of a zone: letters, or anything in angle brackets. */
static bool tz_footer_name(const char **p)
{
	const char *begin = *p;

	if (**p == '<') {
		*p = strchr(begin, '>');
		if (*p == NULL)
			return false;
		++*p;
		return true;
	}
	while (isalpha((unsigned char)**p))
		++*p;
	return *p - begin >= 3;
}

static bool tz_footer_number(const char **p, int most, int *ret)
{
	int v = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p) && v <= most; ++*p)
		v = v * 10 + **p - '0';
	*ret = v;
	return v <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool tz_footer_time(const char **p, int *ret_s)
{
	int sign = **p == '-' ? -1 : 1, part = 0;

	if (**p == '-' || **p == '+')
		++*p;
	if (!tz_footer_number(p, 167, &part))
		return false;
	*ret_s = part * 3600;
	for (int unit = 60; unit > 0 && **p == ':'; unit /= 60) {
		++*p;
		if (!tz_footer_number(p, 59, &part))
			return false;
		*ret_s += part * unit;
	}
	*ret_s *= sign;
	return true;
}

static bool tz_footer_char(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

static bool tz_footer_rule(const char **p, struct tz_rule *r)
{
	*r = (struct tz_rule){ .kind = '0', .time_s = 2 * 3600 };
	if (!tz_footer_char(p, ','))
		return false;
	if (**p == 'M' || **p == 'J')
		r->kind = *(*p)++;
	if (r->kind == 'M') {
		if (!tz_footer_number(p, 12, &r->month) || !tz_footer_char(p, '.') ||
			!tz_footer_number(p, 5, &r->week) || !tz_footer_char(p, '.') ||
			!tz_footer_number(p, 6, &r->day) || r->month == 0 || r->week == 0)
			return false;
	} else if (!tz_footer_number(p, 365, &r->day) || (r->kind == 'J' && r->day == 0)) {
		return false;
	}
	return !tz_footer_char(p, '/') || tz_footer_time(p, &r->time_s);
}

/* Reads the POSIX TZ string of a footer (RFC 9636 section 3.3). */
static bool tz_footer_parse(const char *p, struct tz_footer *f)
{
	*f = (struct tz_footer){ 0 };
	if (!tz_footer_name(&p) || !tz_footer_time(&p, &f->std_s))
		return false;
	f->std_s = -f->std_s; /* POSIX counts westwards */
	if (*p == '\0')
		return true;
	f->has_dst = true;
	f->dst_s = f->std_s + 3600;
	if (!tz_footer_name(&p))
		return false;
	if (*p != ',') {
		if (!tz_footer_time(&p, &f->dst_s))
			return false;
		f->dst_s = -f->dst_s;
	}
	return tz_footer_rule(&p, &f->begin) && tz_footer_rule(&p, &f->end) && *p == '\0';
}

/* When a rule takes effect in a year, as local seconds (by the clock that is left). */
static int64_t tz_rule_at(const struct tz_rule *r, int64_t year)
{
	int64_t first = clock_days_of_date(year, 1, 1), days;
	int wanted, month_days;

	if (r->kind == 'M') {
		days = clock_days_of_date(year, r->month, 1);
		month_days = clock_month_days(year, r->month);
		wanted = (r->day - clock_weekday(days) % 7 + 7) % 7 + (r->week - 1) * 7;
		days += wanted < month_days ? wanted : wanted - 7;
	} else if (r->kind == 'J') {
		days = first + r->day - 1 + (r->day > 59 && clock_month_days(year, 2) == 29);
	} else {
		days = first + r->day;
	}
	return days * TZ_DAY_S + r->time_s;
}

static int64_t tz_floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t tz_year_of(int64_t at_s)
{
	return clock_date_of_days(tz_floor_div(at_s, TZ_DAY_S)).year;
}

static int tz_footer_offset(const struct tz_footer *f, int64_t at_s)
{
	int64_t year, begin, end;
	bool dst;

	if (!f->has_dst)
		return f->std_s;
	year = tz_year_of(at_s + f->std_s);
	begin = tz_rule_at(&f->begin, year) - f->std_s;
	end = tz_rule_at(&f->end, year) - f->dst_s;
	if (begin < end)
		dst = at_s >= begin && at_s < end;
	else
		dst = at_s >= begin || at_s < end;
	return dst ? f->dst_s : f->std_s;
}

/* ---- transitions ---- */

/* How many transitions of the table are at or before the instant. */
static size_t tz_passed(const struct tz *tz, int64_t at_s)
{
	size_t low = 0, high = tz->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (tz->at_s[mid] <= at_s)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int tz_offset(const struct tz *tz, int64_t at_s)
{
	size_t passed = tz_passed(tz, at_s);

	if (passed == tz->n && tz->has_footer)
		return tz_footer_offset(&tz->footer, at_s);
	return passed ? tz->offset_s[passed - 1] : tz->first_s;
}

/* The first transition after an instant; INT64_MAX when there is none. */
static int64_t tz_next(const struct tz *tz, int64_t at_s)
{
	size_t passed = tz_passed(tz, at_s);
	int64_t best = INT64_MAX, year;

	if (passed < tz->n)
		return tz->at_s[passed];
	if (!tz->has_footer || !tz->footer.has_dst)
		return best;
	year = tz_year_of(at_s);
	for (int64_t y = year - 1; y <= year + 1; y++) {
		int64_t begin = tz_rule_at(&tz->footer.begin, y) - tz->footer.std_s;
		int64_t end = tz_rule_at(&tz->footer.end, y) - tz->footer.dst_s;

		if (begin > at_s && begin < best)
			best = begin;
		if (end > at_s && end < best)
			best = end;
	}
	return best;
}

/* ---- the file ---- */

static int64_t tz_be(const unsigned char *p, int bytes)
{
	uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

/* The six counts of a header (RFC 9636 section 3.1). */
struct tz_counts {
	size_t isut, isstd, leap, time, type, chars;
};

static bool tz_header(const unsigned char *p, size_t n, struct tz_counts *c)
{
	if (n < TZ_HEADER || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	c->isut = (size_t)tz_be(p + 20, 4) & UINT32_MAX;
	c->isstd = (size_t)tz_be(p + 24, 4) & UINT32_MAX;
	c->leap = (size_t)tz_be(p + 28, 4) & UINT32_MAX;
	c->time = (size_t)tz_be(p + 32, 4) & UINT32_MAX;
	c->type = (size_t)tz_be(p + 36, 4) & UINT32_MAX;
	c->chars = (size_t)tz_be(p + 40, 4) & UINT32_MAX;
	return true;
}

/* Bytes of a data block whose times have `width` bytes. */
static size_t tz_block_size(const struct tz_counts *c, size_t width)
{
	return c->time * (width + 1) + c->type * 6 + c->chars + c->leap * (width + 4) + c->isstd +
	       c->isut;
}

/* Reads the table from the 64-bit block at p; false when it contradicts itself. */
static bool tz_table(struct tz *tz, const unsigned char *p, const struct tz_counts *c)
{
	const unsigned char *index = p + c->time * 8, *types = index + c->time;

	tz->n = c->time;
	tz->at_s = xcalloc(c->time, sizeof *tz->at_s);
	tz->offset_s = xcalloc(c->time, sizeof *tz->offset_s);
	tz->first_s = (int)tz_be(types, 4);
	for (size_t i = 0; i < c->time; i++) {
		tz->at_s[i] = tz_be(p + i * 8, 8);
		if (index[i] >= c->type || (i && tz->at_s[i] <= tz->at_s[i - 1]))
			return false;
		tz->offset_s[i] = (int)tz_be(types + (size_t)index[i] * 6, 4);
		if (abs(tz->offset_s[i]) > TZ_OFFSET_MOST)
			return false;
	}
	return abs(tz->first_s) <= TZ_OFFSET_MOST;
}

static bool tz_footer_read(struct tz *tz, const unsigned char *p, size_t n)
{
	char text[128];
	const unsigned char *end = n > 1 ? memchr(p + 1, '\n', n - 1) : NULL;
	size_t len = end ? (size_t)(end - p) - 1 : 0;

	if (end == NULL || p[0] != '\n' || len >= sizeof text)
		return false;
	if (len == 0)
		return true;
	memcpy(text, p + 1, len);
	text[len] = '\0';
	tz->has_footer = tz_footer_parse(text, &tz->footer);
	return tz->has_footer;
}

/* Reads a whole file: the 32-bit block is skipped, the 64-bit one and the footer count. */
static bool tz_parse(struct tz *tz, const unsigned char *p, size_t n)
{
	struct tz_counts c;
	size_t skip;

	if (!tz_header(p, n, &c))
		return false;
	skip = TZ_HEADER + tz_block_size(&c, 4);
	if (skip > n || !tz_header(p + skip, n - skip, &c))
		return false;
	p += skip + TZ_HEADER;
	n -= skip + TZ_HEADER;
	/* zones that count leap seconds ("right/...") have another scale of time */
	if (tz_block_size(&c, 8) > n || c.type == 0 || c.type > TZ_TYPES_MOST || c.leap != 0)
		return false;
	skip = tz_block_size(&c, 8);
	return tz_table(tz, p, &c) && tz_footer_read(tz, p + skip, n - skip);
}

/* The whole file below the zone directory, {NULL} when there is none of a sensible size. */
static struct buf tz_file(const char *name)
{
	char path[sizeof TZ_DIR + TZ_NAME_MOST];
	struct buf b = { 0 };
	struct stat st;
	ssize_t got = 1;
	int fd;

	snprintf(path, sizeof path, TZ_DIR "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return b;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= TZ_FILE_MOST)
		while (got > 0 && b.n <= TZ_FILE_MOST) {
			got = read(fd, buf_reserve(&b, 8192), 8192);
			b.n += got > 0 ? (size_t)got : 0;
		}
	close(fd);
	return b;
}

/* One spelling per file, nothing outside the directory; an unknown name must not cost memory. */
static bool tz_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > TZ_NAME_MOST || name[0] == '/' || name[n - 1] == '/' ||
		strstr(name, "//") != NULL)
		return false;
	for (; *name; name++)
		if (!((*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') ||
			    (*name >= '0' && *name <= '9') || strchr("_+/-", *name)))
			return false;
	return true;
}

static struct tz *tz_load(const char *name)
{
	struct buf file = tz_file(name);
	struct tz *tz = xcalloc(1, sizeof *tz);

	if (!tz_parse(tz, (const unsigned char *)file.p, file.n)) {
		free(tz->at_s);
		free(tz->offset_s);
		free(tz);
		tz = NULL;
	} else {
		tz->name = xstrdup(name);
	}
	buf_free(&file);
	return tz;
}

const struct tz *tz_get(const char *name)
{
	static struct tz *last; /* customers of one store are asked for in a row */
	struct tz **bucket, *tz;

	if (last != NULL && strcmp(last->name, name) == 0)
		return last;
	bucket = &tz_buckets[span_hash(span_of(name)) % TZ_BUCKETS];
	for (tz = *bucket; tz != NULL; tz = tz->next)
		if (strcmp(tz->name, name) == 0)
			return last = tz;
	tz = tz_name_ok(name) ? tz_load(name) : NULL;
	if (tz == NULL)
		return NULL;
	tz->next = *bucket;
	*bucket = tz;
	return last = tz;
}

const char *tz_name(const struct tz *tz)
{
	return tz->name;
}

/* ---- conversions ---- */

int tz_offset_s(const struct tz *tz, int64_t at_us)
{
	return tz_offset(tz, tz_floor_div(at_us, CLOCK_SECOND_US));
}

void tz_to_local(const struct tz *tz, int64_t at_us, struct tz_wall *ret)
{
	int64_t at_s = tz_floor_div(at_us, CLOCK_SECOND_US);
	int offset = tz_offset(tz, at_s);
	int64_t days = tz_floor_div(at_s + offset, TZ_DAY_S);
	int of_day = (int)(at_s + offset - days * TZ_DAY_S);
	struct clock_date date = clock_date_of_days(days);

	*ret = (struct tz_wall){
		.year = date.year,
		.month = date.month,
		.day = date.day,
		.hour = of_day / 3600,
		.minute = of_day / 60 % 60,
		.second = of_day % 60,
		.us = (int)(at_us - at_s * CLOCK_SECOND_US),
		.weekday = clock_weekday(days),
		.yearday = (int)(days - clock_days_of_date(date.year, 1, 1)) + 1,
		.offset_s = offset,
	};
}

/* The instant of a local time given in seconds as if it were UTC; *ret_gap: it does not exist. */
static int64_t tz_from_local_s(const struct tz *tz, int64_t local_s, bool *ret_gap)
{
	int64_t begin = local_s - TZ_OFFSET_MOST, end, at;

	for (;; begin = end) {
		end = tz_next(tz, begin);
		at = local_s - tz_offset(tz, begin);
		*ret_gap = at < begin;
		if (*ret_gap)
			return begin;
		if (at < end)
			return at;
	}
}

/* Days since the epoch, and microseconds of that day -> instant. */
static int64_t tz_from_days(const struct tz *tz, int64_t days, int64_t of_day_us)
{
	int64_t second = tz_floor_div(of_day_us, CLOCK_SECOND_US), at_s;
	bool gap;

	at_s = tz_from_local_s(tz, days * TZ_DAY_S + second, &gap);
	return at_s * CLOCK_SECOND_US + (gap ? 0 : of_day_us - second * CLOCK_SECOND_US);
}

static int64_t tz_of_day_us(const struct tz_wall *w)
{
	return ((w->hour * INT64_C(60) + w->minute) * 60 + w->second) * CLOCK_SECOND_US + w->us;
}

int64_t tz_from_local(const struct tz *tz, const struct tz_wall *wall)
{
	int64_t years = tz_floor_div(wall->month - 1, 12);
	int month = (int)(wall->month - 1 - years * 12) + 1;

	return tz_from_days(
		tz, clock_days_of_date(wall->year + years, month, wall->day), tz_of_day_us(wall));
}

int64_t tz_add_days(const struct tz *tz, int64_t at_us, int64_t days)
{
	struct tz_wall w;

	if (days == 0 || at_us == TIME_NONE)
		return at_us;
	tz_to_local(tz, at_us, &w);
	return tz_from_days(
		tz, clock_days_of_date(w.year, w.month, w.day + days), tz_of_day_us(&w));
}

int64_t tz_add_years(const struct tz *tz, int64_t at_us, int64_t years)
{
	struct tz_wall w;

	if (years == 0 || at_us == TIME_NONE)
		return at_us;
	tz_to_local(tz, at_us, &w);
	w.year += years;
	if (w.day > clock_month_days(w.year, w.month))
		w.day = clock_month_days(w.year, w.month);
	return tz_from_local(tz, &w);
}

int64_t tz_day_start(const struct tz *tz, int64_t at_us, int64_t days)
{
	struct tz_wall w;

	if (at_us == TIME_NONE)
		return at_us;
	tz_to_local(tz, at_us, &w);
	return tz_from_days(tz, clock_days_of_date(w.year, w.month, w.day + days), 0);
}
