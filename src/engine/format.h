#ifndef ENGINE_FORMAT_H
#define ENGINE_FORMAT_H
/*
 * Money, dates and letters in a language: the only room that knows ICU.
 *
 * A `struct format` keeps the formatters it has opened (they are expensive) and is used by one
 * rendering at a time: format_new, use, format_free.  Zones are not ICU's business, its zone data
 * are older than the system's: times come in as a local time that base/tz has made, and ICU is told
 * that it is UTC.  Languages are BCP 47 ("de-AT"); an unknown one falls back as ICU does.
 */
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

struct format;

struct format *format_new(void);
void format_free(struct format *f); /* NULL is fine */

/* Adds an amount: digits is a decimal number ("29.90", "-3", "1e3"), currency is ISO 4217. */
bool format_money(struct format *f, const char *language, const char *currency, struct span digits,
	struct buf *out, struct err *err) MUST_CHECK;

/* A moment as its local clock shows it. */
struct format_time {
	int64_t at_us;    /* since the epoch */
	int64_t offset_s; /* east of UTC */
};
/*
 * Adds a time by a pattern of strftime (%d %-d %B ...; names in the language; flags - 0 ^ _ :) or one
 * of the words short, medium, long, full (a date) and time, in the language's own form.
 * Without a day in the pattern the month stands alone ("март 2016" but "14 марта").
 */
bool format_date(struct format *f, const char *language, const struct format_time *at,
	struct span pattern, struct buf *out, struct err *err) MUST_CHECK;

enum format_case { FORMAT_UPPER, FORMAT_LOWER };
const char *format_case_name(enum format_case c);
/* Adds text in capital or small letters of the language. */
bool format_letters(struct format *f, const char *language, enum format_case c, struct span text,
	struct buf *out, struct err *err) MUST_CHECK;

/* Whether a local time is meant: no zone was written. */
struct format_parsed {
	int64_t at_us; /* as if the digits were UTC, when is_local */
	bool is_local;
};
/* Reads RFC 3339 ("2024-05-01T10:00:00Z", "2024-05-01 10:00", "2024-05-01"), "March 14, 2016" and
 * "14 March 2016".  False when it is none of these. */
bool format_read_date(struct span text, struct format_parsed *ret) MUST_CHECK;

#endif
