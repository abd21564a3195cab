#ifndef BASE_DURATION_H
#define BASE_DURATION_H
/*
 * Durations as rules and the configuration write them: "90m", "1h30m", "2d", "1w".
 *
 * Days and weeks are calendar days in a zone (promise P12: "1d" keeps the time of day over a
 * change to daylight saving time), everything shorter is exact: "24h" is 24 hours.  Hence two
 * parts.
 */
#include "base/tz.h"

#include <limits.h>

struct duration {
	int64_t days; /* calendar days; a week is seven */
	int64_t us;   /* exact time behind them */
};

enum {
	DURATION_MS = 1,      /* flag: "ms" may be written too, for the configuration */
	DURATION_NO_DAYS = 2, /* flag: no d and no w, for times that belong to no calendar */
	DURATION_SIZE = 48    /* characters of the longest text, NUL included */
};
#define DURATION_MOST_DAYS INT64_C(36500) /* 100 years; longer ones are refused */

/* The sum of whole numbers with units s m h d w, one behind the other.  The error names the
 * duration and the word that is wrong. */
bool duration_parse(
	struct span text, unsigned flags, struct duration *ret, struct err *err) MUST_CHECK;
/* The days by the calendar of tz first, then the rest.  tz may be NULL when there are no days.
 * TIME_NONE stays TIME_NONE. */
int64_t duration_add(int64_t at_us, struct duration d, const struct tz *tz);
/* What it lasts when a day has 24 hours: to compare and to show, not to compute instants. */
int64_t duration_about_us(struct duration d);
/* "1d12h", "1h30m", "50ms", "0s": what duration_parse reads (with DURATION_MS).  Returns ret.
 * Parts below a millisecond are not written; no part is negative. */
char *duration_text(struct duration d, char ret[DURATION_SIZE]);

#endif
