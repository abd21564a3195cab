/*
 * format.c: ICU behind a small door.
 *
 * Opening an ICU formatter costs 20-100 us, using one 1 us, so what was opened is kept: a handful of
 * languages and currencies is all a shop has, and a table of FORMAT_KEPT with the oldest thrown out
 * serves the others too.  Patterns of strftime are read here and not given to ICU: ICU has another
 * pattern language, and strftime itself knows the C locale of the process only.
 * Amounts go in as decimal digits, never as a double: no cent may be lost on the way to the customer.
 */
#include "engine/format.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/ucasemap.h>
#include <unicode/ucurr.h>
#include <unicode/udat.h>
#include <unicode/uloc.h>
#include <unicode/unumberformatter.h>
#include <unicode/ustring.h>

enum { FORMAT_KEPT = 16, FORMAT_NAME = 48, FORMAT_FIELD_MOST = 64 };

enum format_kind { FORMAT_MONEY, FORMAT_DATE, FORMAT_LETTERS, FORMAT_NAMES };

/* Month, day and half-day names of one language, UTF-8. */
struct format_names {
	char *word[62];
};
/* Where the lists begin in format_names. */
enum {
	NAMES_MONTH,
	NAMES_MONTH_SHORT = 12,
	NAMES_ALONE = 24,
	NAMES_ALONE_SHORT = 36,
	NAMES_DAY = 48,
	NAMES_DAY_SHORT = 55,
	NAMES_COUNT = 62
};

/* One thing that was opened. */
struct format_kept {
	enum format_kind kind;
	char language[FORMAT_NAME];
	char detail[8]; /* currency, style */
	void *icu;
	uint64_t used; /* when, by the count of uses */
};

struct format {
	struct format_kept kept[FORMAT_KEPT];
	UFormattedNumber *number;
	uint64_t uses;
};

const char *format_case_name(enum format_case c)
{
	switch (c) {
	case FORMAT_UPPER: return "upper";
	case FORMAT_LOWER: return "lower";
	}
	return "?";
}

struct format *format_new(void)
{
	return xcalloc(1, sizeof(struct format));
}

/* Closes what a row holds and empties it. */
static void format_close(struct format_kept *k)
{
	struct format_names *names = k->icu;
	size_t i;

	if (k->icu == NULL)
		return;
	switch (k->kind) {
	case FORMAT_MONEY: unumf_close(k->icu); break;
	case FORMAT_DATE: udat_close(k->icu); break;
	case FORMAT_LETTERS: ucasemap_close(k->icu); break;
	case FORMAT_NAMES:
		for (i = 0; i < NAMES_COUNT; i++)
			free(names->word[i]);
		free(names);
		break;
	}
	*k = (struct format_kept){ 0 };
}

void format_free(struct format *f)
{
	size_t i;

	if (f == NULL)
		return;
	for (i = 0; i < FORMAT_KEPT; i++)
		format_close(&f->kept[i]);
	unumf_closeResult(f->number);
	free(f);
}

/* Finds what was opened, or the emptied row of the least used where it shall go. */
static struct format_kept *format_find(
	struct format *f, enum format_kind kind, const char *language, const char *detail)
{
	struct format_kept *oldest = &f->kept[0];
	size_t i;

	for (i = 0; i < FORMAT_KEPT; i++) {
		struct format_kept *k = &f->kept[i];

		if (k->icu && k->kind == kind && strcmp(k->language, language) == 0 &&
			strcmp(k->detail, detail) == 0) {
			k->used = ++f->uses;
			return k;
		}
		if (k->used < oldest->used)
			oldest = k;
	}
	format_close(oldest);
	oldest->kind = kind;
	snprintf(oldest->language, sizeof oldest->language, "%s", language);
	snprintf(oldest->detail, sizeof oldest->detail, "%s", detail);
	oldest->used = ++f->uses;
	return oldest;
}

/* A language tag short and plain enough to be one; "en" for none. */
static const char *format_language(const char *language)
{
	return language == NULL || *language == '\0' || strlen(language) >= FORMAT_NAME ? "en"
											: language;
}

/* Adds UTF-16 text as UTF-8. */
static void format_put_utf16(struct buf *out, const UChar *text, int32_t n)
{
	UErrorCode status = U_ZERO_ERROR;
	int32_t written = 0;

	u_strToUTF8WithSub(
		buf_reserve(out, (size_t)n * 3), n * 3, &written, text, n, 0xFFFD, NULL, &status);
	if (U_SUCCESS(status))
		out->n += (size_t)written;
	buf_add(out, "", 0);
}

/* ---- money ---- */

static bool format_is_currency(const char *c)
{
	int i;

	for (i = 0; i < 3; i++)
		if (c[i] < 'A' || c[i] > 'Z')
			return false;
	return c[3] == '\0';
}

static bool format_open_money(struct format_kept *k, struct err *err)
{
	UErrorCode status = U_ZERO_ERROR;
	char skeleton[32], locale[64];
	UChar wide[32];
	int32_t n, parsed;

	snprintf(skeleton, sizeof skeleton, "currency/%s", k->detail);
	u_uastrcpy(wide, skeleton);
	n = u_strlen(wide);
	uloc_forLanguageTag(k->language, locale, sizeof locale, &parsed, &status);
	k->icu = unumf_openForSkeletonAndLocale(wide, n, locale, &status);
	if (U_SUCCESS(status))
		return true;
	unumf_close(k->icu);
	k->icu = NULL;
	return err_set(err, "could not format money in %s: %s", k->detail, u_errorName(status));
}

bool format_money(struct format *f, const char *language, const char *currency, struct span digits,
	struct buf *out, struct err *err)
{
	UErrorCode status = U_ZERO_ERROR;
	struct format_kept *k;
	UChar text[128];
	int32_t n;

	if (!format_is_currency(currency))
		return err_set(err, "\"%.10s\" is no currency; write a code like EUR", currency);
	k = format_find(f, FORMAT_MONEY, format_language(language), currency);
	if (k->icu == NULL && !format_open_money(k, err))
		return false;
	if (f->number == NULL)
		f->number = unumf_openResult(&status);
	unumf_formatDecimal(k->icu, digits.p, (int32_t)digits.n, f->number, &status);
	n = unumf_resultToString(f->number, text, 128, &status);
	if (U_FAILURE(status))
		return err_set(err, "\"%.*s\" is no amount", SPAN_ARG(digits));
	format_put_utf16(out, text, n);
	return true;
}

/* ---- letters ---- */

bool format_letters(struct format *f, const char *language, enum format_case c, struct span text,
	struct buf *out, struct err *err)
{
	struct format_kept *k = format_find(f, FORMAT_LETTERS, format_language(language), "");
	UErrorCode status = U_ZERO_ERROR;
	int32_t room = (int32_t)text.n * 3 + 16, n;
	char *to;

	if (k->icu == NULL)
		k->icu = ucasemap_open(k->language, 0, &status);
	to = buf_reserve(out, (size_t)room);
	n = c == FORMAT_UPPER
		    ? ucasemap_utf8ToUpper(k->icu, to, room, text.p, (int32_t)text.n, &status)
		    : ucasemap_utf8ToLower(k->icu, to, room, text.p, (int32_t)text.n, &status);
	if (U_FAILURE(status))
		return err_set(err, "could not change letters: %s", u_errorName(status));
	out->n += (size_t)n;
	buf_add(out, "", 0);
	return true;
}

/* ---- dates in the language's own form ---- */

/* A locale name of ICU for a language tag. */
static void format_locale(const char *language, char *ret, int32_t size)
{
	UErrorCode status = U_ZERO_ERROR;
	int32_t parsed;

	uloc_forLanguageTag(language, ret, size, &parsed, &status);
}

static UDateFormat *format_open_date(
	const char *language, UDateFormatStyle date, UDateFormatStyle time, struct err *err)
{
	static const UChar utc[] = { 'U', 'T', 'C', 0 };
	UErrorCode status = U_ZERO_ERROR;
	char locale[64];
	UDateFormat *d;

	format_locale(language, locale, sizeof locale);
	d = udat_open(time, date, locale, utc, -1, NULL, 0, &status);
	if (U_SUCCESS(status))
		return d;
	err_set(err, "could not format dates in \"%s\": %s", language, u_errorName(status));
	return NULL;
}

/* short, medium, ...; *ret_done says whether the pattern was one of these words. */
static bool format_date_word(struct format *f, const char *language, int64_t local_us,
	struct span word, struct buf *out, bool *ret_done, struct err *err)
{
	static const struct {
		const char *word;
		UDateFormatStyle date, time;
	} rows[] = {
		{ "short", UDAT_SHORT, UDAT_NONE },
		{ "medium", UDAT_MEDIUM, UDAT_NONE },
		{ "long", UDAT_LONG, UDAT_NONE },
		{ "full", UDAT_FULL, UDAT_NONE },
		{ "time", UDAT_NONE, UDAT_SHORT },
	};
	UErrorCode status = U_ZERO_ERROR;
	struct format_kept *k;
	UChar text[128];
	size_t i;
	int32_t n;

	*ret_done = false;
	for (i = 0; i < sizeof rows / sizeof *rows && !span_is(word, rows[i].word); i++)
		;
	if (i == sizeof rows / sizeof *rows)
		return true;
	*ret_done = true;
	k = format_find(f, FORMAT_DATE, language, rows[i].word);
	if (k->icu == NULL)
		k->icu = format_open_date(language, rows[i].date, rows[i].time, err);
	if (k->icu == NULL)
		return false;
	n = udat_format(k->icu, (double)local_us / 1000.0, text, 128, NULL, &status);
	if (U_FAILURE(status))
		return err_set(err, "could not format a date: %s", u_errorName(status));
	format_put_utf16(out, text, n);
	return true;
}

/* ---- dates by a pattern of strftime ---- */

/* Copies `count` names of one sort, from ICU's number `first` on. */
static void format_take_names(
	UDateFormat *d, UDateFormatSymbolType sort, int32_t first, size_t count, char **to)
{
	size_t i;

	for (i = 0; i < count; i++) {
		UErrorCode status = U_ZERO_ERROR;
		struct buf b = { 0 };
		UChar text[64];
		int32_t n = udat_getSymbols(d, sort, first + (int32_t)i, text, 64, &status);

		if (U_SUCCESS(status))
			format_put_utf16(&b, text, n);
		to[i] = xstrndup(b.p ? b.p : "", b.n);
		buf_free(&b);
	}
}

static const struct format_names *format_names_of(
	struct format *f, const char *language, struct err *err)
{
	struct format_kept *k = format_find(f, FORMAT_NAMES, language, "");
	struct format_names *names;
	UDateFormat *d;

	if (k->icu != NULL)
		return k->icu;
	d = format_open_date(language, UDAT_LONG, UDAT_NONE, err);
	if (d == NULL)
		return NULL;
	names = xcalloc(1, sizeof *names);
	format_take_names(d, UDAT_MONTHS, 0, 12, &names->word[NAMES_MONTH]);
	format_take_names(d, UDAT_SHORT_MONTHS, 0, 12, &names->word[NAMES_MONTH_SHORT]);
	format_take_names(d, UDAT_STANDALONE_MONTHS, 0, 12, &names->word[NAMES_ALONE]);
	format_take_names(d, UDAT_STANDALONE_SHORT_MONTHS, 0, 12, &names->word[NAMES_ALONE_SHORT]);
	format_take_names(d, UDAT_WEEKDAYS, 1, 7, &names->word[NAMES_DAY]);
	format_take_names(d, UDAT_SHORT_WEEKDAYS, 1, 7, &names->word[NAMES_DAY_SHORT]);
	udat_close(d);
	k->icu = names;
	return names;
}

/* A time taken apart. */
struct format_clock {
	struct clock_date date;
	int64_t days, second_of_day, offset_s, at_us;
	int weekday, yearday; /* 0 = Sunday; 1 = 1 January */
	int64_t iso_year;
	int iso_week;
	bool has_day; /* the pattern shows the day of the month */
};

/* Year and week of ISO 8601: the week with the year's first Thursday is week 1. */
static void format_iso_week(struct format_clock *c)
{
	int64_t thursday = c->days - clock_weekday(c->days) + 4;

	c->iso_year = clock_date_of_days(thursday).year;
	c->iso_week = (int)((thursday - clock_days_of_date(c->iso_year, 1, 1)) / 7) + 1;
}

static void format_take_apart(const struct format_time *at, struct format_clock *c)
{
	int64_t second = at->at_us / CLOCK_SECOND_US, local;

	if (at->at_us % CLOCK_SECOND_US < 0)
		second--;
	local = second + at->offset_s;
	c->at_us = at->at_us;
	c->offset_s = at->offset_s;
	c->days = local / 86400 - (local % 86400 < 0);
	c->second_of_day = local - c->days * 86400;
	c->date = clock_date_of_days(c->days);
	c->weekday = clock_weekday(c->days) % 7;
	c->yearday = (int)(c->days - clock_days_of_date(c->date.year, 1, 1)) + 1;
	format_iso_week(c);
}

/* One % directive as it is written: %-05d, %^B, %:z */
struct format_field {
	char pad; /* 0 = as usual, '-' none, '0', '_' blanks */
	bool is_upper;
	int colons, width;
	char letter;
};

/* Adds a number, padded to `width` with `pad` unless the field says otherwise. */
static void format_put_number(
	struct buf *out, const struct format_field *field, int64_t v, int width, char pad)
{
	char digits[32];
	int n = snprintf(digits, sizeof digits, "%lld", (long long)(v < 0 ? -v : v));

	if (field->pad == '_')
		pad = ' ';
	if (field->pad == '0')
		pad = '0';
	if (field->width)
		width = field->width;
	if (v < 0)
		buf_char(out, '-');
	for (; n < width && field->pad != '-'; width--)
		buf_char(out, pad);
	buf_str(out, digits);
}

/* +hhmm, +hh:mm, +hh:mm:ss */
static void format_put_offset(struct buf *out, const struct format_field *field, int64_t offset_s)
{
	int64_t s = offset_s < 0 ? -offset_s : offset_s;

	buf_printf(out, "%c%02d%s%02d", offset_s < 0 ? '-' : '+', (int)(s / 3600),
		field->colons ? ":" : "", (int)(s / 60 % 60));
	if (field->colons > 1)
		buf_printf(out, ":%02d", (int)(s % 60));
}

/* The word for %B %b %A %a %p, or NULL. */
static const char *format_word(
	const struct format_clock *c, const struct format_names *names, char letter)
{
	int month = c->date.month - 1;

	switch (letter) {
	case 'B': return names->word[(c->has_day ? NAMES_MONTH : NAMES_ALONE) + month];
	case 'b':
	case 'h': return names->word[(c->has_day ? NAMES_MONTH_SHORT : NAMES_ALONE_SHORT) + month];
	case 'A': return names->word[NAMES_DAY + c->weekday];
	case 'a': return names->word[NAMES_DAY_SHORT + c->weekday];
	case 'p': return c->second_of_day < 43200 ? "AM" : "PM";
	case 'P': return c->second_of_day < 43200 ? "am" : "pm";
	case 'Z': return c->offset_s == 0 ? "UTC" : NULL;
	case 'n': return "\n";
	case 't': return "\t";
	case '%': return "%";
	default: return NULL;
	}
}

/* The number for a directive; false when the letter is none. */
static bool format_number(
	const struct format_clock *c, char letter, int64_t *ret_v, int *ret_width, char *ret_pad)
{
	int64_t hour = c->second_of_day / 3600, second = (c->at_us - c->at_us % 1000000) / 1000000;
	const struct {
		char letter;
		int64_t v;
		int width;
		char pad;
	} rows[] = {
		{ 'Y', c->date.year, 1, '0' },
		{ 'C', c->date.year / 100, 2, '0' },
		{ 'y', c->date.year % 100, 2, '0' },
		{ 'm', c->date.month, 2, '0' },
		{ 'd', c->date.day, 2, '0' },
		{ 'e', c->date.day, 2, ' ' },
		{ 'j', c->yearday, 3, '0' },
		{ 'H', hour, 2, '0' },
		{ 'k', hour, 2, ' ' },
		{ 'I', (hour + 11) % 12 + 1, 2, '0' },
		{ 'l', (hour + 11) % 12 + 1, 2, ' ' },
		{ 'M', c->second_of_day / 60 % 60, 2, '0' },
		{ 'S', c->second_of_day % 60, 2, '0' },
		{ 'L', (c->at_us % 1000000 + 1000000) % 1000000 / 1000, 3, '0' },
		{ 's', second - (c->at_us % 1000000 < 0), 1, '0' },
		{ 'u', c->weekday ? c->weekday : 7, 1, '0' },
		{ 'w', c->weekday, 1, '0' },
		{ 'G', c->iso_year, 1, '0' },
		{ 'g', c->iso_year % 100, 2, '0' },
		{ 'V', c->iso_week, 2, '0' },
		{ 'U', (c->yearday + 6 - c->weekday) / 7, 2, '0' },
		{ 'W', (c->yearday + 6 - (c->weekday + 6) % 7) / 7, 2, '0' },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].letter == letter) {
			*ret_v = rows[i].v;
			*ret_width = rows[i].width;
			*ret_pad = rows[i].pad;
			return true;
		}
	return false;
}

/* What a short directive stands for, or NULL. */
static const char *format_shorthand(char letter)
{
	switch (letter) {
	case 'D':
	case 'x': return "%m/%d/%y";
	case 'F': return "%Y-%m-%d";
	case 'T':
	case 'X': return "%H:%M:%S";
	case 'R': return "%H:%M";
	case 'r': return "%I:%M:%S %p";
	case 'c': return "%a %b %e %H:%M:%S %Y";
	case 'v': return "%e-%b-%Y";
	default: return NULL;
	}
}

static bool format_pattern(struct format *f, const char *language, const struct format_clock *c,
	const struct format_names *names, struct span pattern, struct buf *out, struct err *err);

/* Adds one directive. */
static bool format_put_field(struct format *f, const char *language, const struct format_clock *c,
	const struct format_names *names, const struct format_field *field, struct buf *out,
	struct err *err)
{
	const char *more = format_shorthand(field->letter);
	const char *word = format_word(c, names, field->letter);
	int64_t v;
	int width;
	char pad;

	if (more)
		return format_pattern(f, language, c, names, span_of(more), out, err);
	if (word && field->is_upper)
		return format_letters(f, language, FORMAT_UPPER, span_of(word), out, err);
	if (word)
		buf_str(out, word);
	else if (field->letter == 'z' || field->letter == 'Z')
		format_put_offset(out, field, c->offset_s);
	else if (field->letter == 'N')
		buf_printf(out, "%06d000", (int)((c->at_us % 1000000 + 1000000) % 1000000));
	else if (format_number(c, field->letter, &v, &width, &pad))
		format_put_number(out, field, v, width, pad);
	else
		return err_set(err, "date pattern knows no \"%%%c\"; see strftime", field->letter);
	return true;
}

/* Reads flags and width behind a %. */
static const char *format_read_field(const char *p, const char *end, struct format_field *ret)
{
	*ret = (struct format_field){ 0 };
	for (; p < end; p++) {
		if (*p == '-' || *p == '_' || *p == '0')
			ret->pad = *p;
		else if (*p == '^' || *p == '#')
			ret->is_upper = true;
		else if (*p == ':')
			ret->colons++;
		else
			break;
	}
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (ret->width < FORMAT_FIELD_MOST)
			ret->width = ret->width * 10 + (*p - '0');
	if (ret->width > FORMAT_FIELD_MOST)
		ret->width = FORMAT_FIELD_MOST;
	if (p < end)
		ret->letter = *p++;
	return p;
}

static bool format_pattern(struct format *f, const char *language, const struct format_clock *c,
	const struct format_names *names, struct span pattern, struct buf *out, struct err *err)
{
	const char *p = pattern.p, *end = p + pattern.n;
	struct format_field field;

	while (p < end) {
		if (*p != '%') {
			buf_char(out, *p++);
			continue;
		}
		p = format_read_field(p + 1, end, &field);
		if (field.letter == '\0') {
			buf_char(out, '%');
			break;
		}
		if (!format_put_field(f, language, c, names, &field, out, err))
			return false;
	}
	return true;
}

/* Whether the pattern shows the day of the month beside the month. */
static bool format_shows_day(struct span pattern)
{
	const char *p = pattern.p, *end = p + pattern.n;
	struct format_field field;

	while (p < end) {
		if (*p++ != '%')
			continue;
		p = format_read_field(p, end, &field);
		if (field.letter && strchr("decv", field.letter))
			return true;
	}
	return false;
}

bool format_date(struct format *f, const char *language, const struct format_time *at,
	struct span pattern, struct buf *out, struct err *err)
{
	const struct format_names *names;
	struct format_clock c = { .has_day = format_shows_day(pattern) };
	bool is_done;

	language = format_language(language);
	if (!format_date_word(f, language, at->at_us + at->offset_s * CLOCK_SECOND_US, pattern, out,
		    &is_done, err))
		return false;
	if (is_done)
		return true;
	names = format_names_of(f, language, err);
	if (names == NULL)
		return false;
	format_take_apart(at, &c);
	return format_pattern(f, language, &c, names, pattern, out, err);
}

/* ---- reading dates ---- */

/* The English month a word begins with, 0 for none. */
static int format_read_month(struct span word)
{
	static const char *const months[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
		"aug", "sep", "oct", "nov", "dec" };
	int i;

	for (i = 0; i < 12; i++)
		if (word.n >= 3 && strncasecmp(word.p, months[i], 3) == 0)
			return i + 1;
	return 0;
}

/* Cuts the next word of letters or digits off. */
static struct span format_next_word(struct span *rest)
{
	const char *p = rest->p, *end = p + rest->n, *from;
	struct span word;

	while (p < end && (*p == ' ' || *p == ',' || *p == '.'))
		p++;
	from = p;
	while (p < end && *p != ' ' && *p != ',' && *p != '.')
		p++;
	word = (struct span){ from, (size_t)(p - from) };
	*rest = (struct span){ p, (size_t)(end - p) };
	return word;
}

/* "March 14, 2016", "14 March 2016" */
static bool format_read_words(struct span text, struct format_parsed *ret)
{
	struct span a = format_next_word(&text), b = format_next_word(&text);
	struct span year = format_next_word(&text);
	int64_t y, d;
	int month = format_read_month(a);

	if (month == 0) {
		month = format_read_month(b);
		b = a;
	}
	if (month == 0 || span_trim(text).n || !span_to_i64(b, &d) || !span_to_i64(year, &y))
		return false;
	if (y < 1 || y > 9999 || d < 1 || d > clock_month_days(y, month))
		return false;
	ret->at_us = clock_days_of_date(y, month, d) * CLOCK_DAY_US;
	ret->is_local = true;
	return true;
}

bool format_read_date(struct span text, struct format_parsed *ret)
{
	char whole[48];
	int64_t at_us;

	text = span_trim(text);
	if (clock_parse_rfc3339(text, &at_us)) {
		*ret = (struct format_parsed){ .at_us = at_us };
		return true;
	}
	if (text.n < 10 || text.n > 32 || text.p[4] != '-')
		return format_read_words(text, ret);
	snprintf(whole, sizeof whole, "%.*s%sZ", SPAN_ARG(text),
		text.n == 10   ? "T00:00:00"
		: text.n == 16 ? ":00"
			       : "");
	if (!clock_parse_rfc3339(span_of(whole), &at_us))
		return false;
	*ret = (struct format_parsed){ .at_us = at_us, .is_local = true };
	return true;
}
