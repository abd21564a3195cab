#ifndef BASE_CONF_VALUE_H
#define BASE_CONF_VALUE_H
/*
 * One option's text made into its value: the parsers of base/conf, each usable alone.
 *
 * Nothing is kept; what a value points to is taken from the arena that is given.  Errors say what is
 * wrong with the text and what a right one looks like; the caller puts file, line and option before.
 */
#include "base/conf.h"
#include "base/mem.h"

/* Puts the value of `text` (blanks at its ends already gone) at `at`, checked against the key's
 * range, words and check.  References of secrets are followed. */
bool conf_value_parse(const struct conf_key *key, const char *text, struct arena *arena, void *at,
	struct err *err) MUST_CHECK;
/* Copies the parsed value of a key between two structs; what it points to is shared or, given an
 * arena, copied into it. */
void conf_value_copy(const struct conf_key *key, const void *from, void *to, struct arena *arena);
/* Are two parsed values the same? */
bool conf_value_same(const struct conf_key *key, const void *a, const void *b);
/* What the type is called in messages and manuals: "duration". */
const char *conf_type_name(enum conf_type type);
/* A value of the type in its usual way of writing, for ranges: "15s", "64KiB". */
void conf_value_show(enum conf_type type, int64_t value, struct buf *out);

bool conf_parse_duration(const char *text, int64_t *ret_us, struct err *err) MUST_CHECK;
bool conf_parse_size(const char *text, int64_t *ret_bytes, struct err *err) MUST_CHECK;
bool conf_parse_months(const char *text, int *ret_months, struct err *err) MUST_CHECK;

#endif
