#ifndef ENGINE_PATTERN_H
#define ENGINE_PATTERN_H
/*
 * Lua patterns (Lua 5.4 manual, 6.4.1) with a budget: a match that takes too many steps gives up.
 *
 * A pattern is compiled into a plain struct without pointers, on the stack; nothing is allocated,
 * nothing is owned.  Pure functions on bytes.  Differences to Lua: patterns are at most
 * PATTERN_BYTES long, and a malformed one is refused even when the text would never have come to
 * the malformed place.
 */
#include "base/str.h"

enum {
	PATTERN_BYTES = 256,
	PATTERN_CAPTURES = 32,
	PATTERN_STEPS = 1000000, /* characters looked at by one call: about 5 ms */
};

struct pattern_item {
	unsigned char kind, repeat;
	unsigned char a, b; /* character, set, capture; the two of %b */
};
struct pattern {
	struct pattern_item items[PATTERN_BYTES];
	unsigned n_items;
	unsigned char sets[PATTERN_BYTES / 2 + 1][32]; /* one bit per byte value */
	unsigned n_sets, n_captures;
	bool anchored;
};

struct pattern_capture {
	const char *p;
	size_t n;
	bool is_position; /* "()": p is the place */
};
struct pattern_match {
	const char *from, *to; /* what was found */
	struct pattern_capture captures[PATTERN_CAPTURES];
	size_t steps; /* in: taken already; out: with this search */
};
enum pattern_result { PATTERN_FOUND, PATTERN_NONE, PATTERN_TOO_LONG };

/* anchor: '^' at the beginning is one (find, match, gsub), else a character (gmatch).  False and
 * constant text in *ret_fault when it is malformed. */
bool pattern_compile(
	struct pattern *p, struct span text, bool anchor, const char **ret_fault) MUST_CHECK;
/* Matches at this place of the text only. */
enum pattern_result pattern_match_at(
	const struct pattern *p, struct span text, size_t at, struct pattern_match *m);
/* The first match at or after `at` (only there, when anchored). */
enum pattern_result pattern_search(
	const struct pattern *p, struct span text, size_t at, struct pattern_match *m);

#endif
