/* conf_value.c: number parsers are written out (digits, then a unit from a table) instead of strtol
 * with its blanks, signs and octal; every overflow is an error, never a wrap.  Durations here are
 * plain lengths of time for the machine: a calendar's days and months are the rules' business, only
 * [keep] counts in months, because tables are partitioned by them. */
#include "base/conf_value.h"

#include "base/suggest.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONF_SECRET_MOST = 64 * 1024 };

struct conf_unit {
	const char *name;
	int64_t factor;
};

/* largest first: conf_value_show takes the first that divides */
static const struct conf_unit conf_durations[] = { { "w", INT64_C(604800000000) },
	{ "d", INT64_C(86400000000) }, { "h", INT64_C(3600000000) }, { "m", 60000000 },
	{ "s", 1000000 }, { "ms", 1000 }, { "us", 1 }, { NULL, 0 } };
static const struct conf_unit conf_sizes[] = { { "GiB", 1 << 30 }, { "MiB", 1 << 20 },
	{ "KiB", 1 << 10 }, { "", 1 }, { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 },
	{ "B", 1 }, { NULL, 0 } };

/* Reads digits and the letters behind them; adds number * unit to *sum and moves *p on. */
static bool conf_add_part(const char **p, const struct conf_unit *units, int64_t *sum)
{
	int64_t n = 0, part;
	size_t len = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **p - '0', &n))
			return false;
	while (isalpha((unsigned char)(*p)[len]))
		len++;
	for (; units->name; units++)
		if (strlen(units->name) == len && strncmp(units->name, *p, len) == 0)
			break;
	if (units->name == NULL || __builtin_mul_overflow(n, units->factor, &part) ||
		__builtin_add_overflow(*sum, part, sum))
		return false;
	*p += len;
	return true;
}

bool conf_parse_duration(const char *text, int64_t *ret_us, struct err *err)
{
	const char *p = text;
	int64_t sum = 0;

	if (strcmp(text, "0") != 0)
		do {
			if (!conf_add_part(&p, conf_durations, &sum))
				return err_set(err,
					"\"%s\" is not a duration; write it like 250ms, 15s, 5m, 1h30m or 7d",
					text);
		} while (*p);
	*ret_us = sum;
	return true;
}

bool conf_parse_size(const char *text, int64_t *ret_bytes, struct err *err)
{
	const char *p = text;
	int64_t sum = 0;

	if (!conf_add_part(&p, conf_sizes, &sum) || *p)
		return err_set(err,
			"\"%s\" is not a size; write it like 4096, 64KiB, 32MiB or 1GiB", text);
	*ret_bytes = sum;
	return true;
}

bool conf_parse_months(const char *text, int *ret_months, struct err *err)
{
	unsigned n;
	char unit[10], rest;

	if (strcmp(text, "forever") == 0 || strcmp(text, "0") == 0) {
		*ret_months = 0;
		return true;
	}
	if (isdigit((unsigned char)text[0]) &&
		sscanf(text, "%4u %9[a-z]%c", &n, unit, &rest) == 2 && n >= 1 && n <= 1200) {
		if (strcmp(unit, "month") == 0 || strcmp(unit, "months") == 0) {
			*ret_months = (int)n;
			return true;
		}
		if (strcmp(unit, "year") == 0 || strcmp(unit, "years") == 0) {
			*ret_months = (int)n * 12;
			return true;
		}
	}
	return err_set(err,
		"\"%s\" is not a number of months; write it like \"13 months\", \"2 years\" "
		"or \"forever\"",
		text);
}

const char *conf_type_name(enum conf_type type)
{
	switch (type) {
	case CONF_INT: return "number";
	case CONF_BOOL: return "yes or no";
	case CONF_DURATION: return "duration";
	case CONF_MONTHS: return "months";
	case CONF_SIZE: return "size";
	case CONF_STRING: return "text";
	case CONF_ENUM: return "word";
	case CONF_LIST: return "list";
	case CONF_SECRET: return "secret";
	}
	return "?";
}

void conf_value_show(enum conf_type type, int64_t value, struct buf *out)
{
	const struct conf_unit *u = type == CONF_DURATION ? conf_durations
				    : type == CONF_SIZE   ? conf_sizes
							  : NULL;

	if (u && value)
		while (value % u->factor)
			u++;
	buf_int(out, u && value ? value / u->factor : value);
	if (u && value)
		buf_str(out, u->name);
	if (type == CONF_MONTHS)
		buf_str(out, value == 1 ? " month" : " months");
}

static bool conf_check_range(const struct conf_key *key, int64_t value, struct err *err)
{
	struct buf b = { 0 };

	if (key->min == 0 && key->max == 0 ? value >= 0 : value >= key->min && value <= key->max)
		return true;
	buf_str(&b, "must be between ");
	conf_value_show(key->type, key->min, &b);
	buf_str(&b, " and ");
	conf_value_show(key->type, key->max, &b);
	buf_str(&b, ", not ");
	conf_value_show(key->type, value, &b);
	err_set(err, "%s", b.p);
	buf_free(&b);
	return false;
}

static bool conf_parse_int(const struct conf_key *key, const char *text, int *at, struct err *err)
{
	int64_t v;

	if (!span_to_i64(span_of(text), &v) || v > INT32_MAX || v < INT32_MIN)
		return err_set(err, "\"%s\" is not a whole number", text);
	if (!conf_check_range(key, v, err))
		return false;
	*at = (int)v;
	return true;
}

static bool conf_parse_bool(const char *text, bool *at, struct err *err)
{
	static const char *const words[] = { "no", "yes", "off", "on", "false", "true", NULL };

	for (unsigned i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0) {
			*at = i & 1;
			return true;
		}
	return err_set(err, "\"%s\" is neither yes nor no", text);
}

/* The error that names all the words, and the likely right one. */
static bool conf_no_word(const struct conf_key *key, const char *text, struct err *err)
{
	const char *near = suggest_word(text, key->words);
	struct buf b = { 0 };

	for (int i = 0; key->words[i]; i++)
		buf_printf(&b, "%s%s",
			i == 0              ? ""
			: key->words[i + 1] ? ", "
					    : " or ",
			key->words[i]);
	err_set(err, "\"%s\" is not one of %s%s%s%s", text, b.p, near ? "; did you mean \"" : "",
		near ? near : "", near ? "\"?" : "");
	buf_free(&b);
	return false;
}

static bool conf_parse_word(const struct conf_key *key, const char *text, int *at, struct err *err)
{
	for (int i = 0; key->words[i]; i++)
		if (strcmp(text, key->words[i]) == 0) {
			*at = i;
			return true;
		}
	return conf_no_word(key, text, err);
}

/* Cuts the text into items at blanks, commas and new lines. */
static bool conf_parse_list(const struct conf_key *key, const char *text, struct arena *arena,
	struct conf_list *at, struct err *err)
{
	static const char cut[] = " \t\r\n,";
	struct conf_list list = { 0 };
	const char **v = arena_array(arena, const char *, strlen(text) / 2 + 1);

	for (const char *p = text + strspn(text, cut); *p; p += strspn(p, cut)) {
		size_t n = strcspn(p, cut);

		v[list.n] = arena_dup(arena, p, n);
		if (key->check && !key->check(v[list.n], err))
			return err_prefix(err, "\"%s\": ", v[list.n]);
		list.n++;
		p += n;
	}
	list.v = v;
	*at = list;
	return true;
}

/* Reads a whole small file; a secret is text, so a NUL in it is a mistake. */
static bool conf_read_secret(
	const char *path, struct arena *arena, const char **at, struct err *err)
{
	char *buf = arena_alloc(arena, CONF_SECRET_MOST + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;
	size_t n = 0;

	if (fd < 0)
		return err_set(err, "could not open \"%s\": %s", path, strerror(errno));
	while (n < CONF_SECRET_MOST && (got = read(fd, buf + n, CONF_SECRET_MOST - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		err_set(err, "could not read \"%s\": %s", path, strerror(errno));
	close(fd);
	if (got < 0)
		return false;
	if (n == CONF_SECRET_MOST || memchr(buf, '\0', n))
		return err_set(err, "\"%s\" is not a text of at most 64 KiB", path);
	while (n && isspace((unsigned char)buf[n - 1]))
		n--;
	buf[n] = '\0';
	if (n == 0)
		return err_set(err, "\"%s\" is empty", path);
	*at = buf;
	return true;
}

/* Follows file: and cred: references. */
static bool conf_parse_secret(
	const char *text, struct arena *arena, const char **at, struct err *err)
{
	const char *dir;

	if (strncmp(text, "file:", 5) == 0) {
		if (text[5] != '/')
			return err_set(err, "\"%s\" must name an absolute path: file:/...", text);
		return conf_read_secret(text + 5, arena, at, err);
	}
	if (strncmp(text, "cred:", 5) == 0) {
		dir = getenv("CREDENTIALS_DIRECTORY");
		if (text[5] == '\0' || strchr(text, '/'))
			return err_set(err, "\"%s\" must name a credential: cred:NAME", text);
		if (dir == NULL)
			return err_set(err,
				"\"%s\" needs $CREDENTIALS_DIRECTORY; set "
				"LoadCredential=%s:/path in the unit file",
				text, text + 5);
		return conf_read_secret(
			arena_printf(arena, "%s/%s", dir, text + 5), arena, at, err);
	}
	*at = arena_strdup(arena, text);
	return true;
}

/* The same for all types: parse, then check. */
bool conf_value_parse(const struct conf_key *key, const char *text, struct arena *arena, void *at,
	struct err *err)
{
	int64_t big;
	int months;
	const char *s;

	switch (key->type) {
	case CONF_INT: return conf_parse_int(key, text, at, err);
	case CONF_BOOL: return conf_parse_bool(text, at, err);
	case CONF_ENUM: return conf_parse_word(key, text, at, err);
	case CONF_LIST: return conf_parse_list(key, text, arena, at, err);
	case CONF_DURATION:
	case CONF_SIZE:
		if (!(key->type == CONF_SIZE ? conf_parse_size : conf_parse_duration)(
			    text, &big, err) ||
			!conf_check_range(key, big, err))
			return false;
		*(int64_t *)at = big;
		return true;
	case CONF_MONTHS:
		if (!conf_parse_months(text, &months, err) || !conf_check_range(key, months, err))
			return false;
		*(int *)at = months;
		return true;
	case CONF_STRING:
	case CONF_SECRET:
		if (key->type == CONF_STRING)
			s = arena_strdup(arena, text);
		else if (!conf_parse_secret(text, arena, &s, err))
			return false;
		if (*s && key->check && !key->check(s, err))
			return key->type == CONF_SECRET || (key->flags & CONF_HIDDEN)
				       ? err_prefix(err, "the secret ")
				       : err_prefix(err, "\"%s\": ", s);
		*(const char **)at = s;
		return true;
	}
	assert(0 && "a type of option that does not exist");
	return false;
}

void conf_value_copy(const struct conf_key *key, const void *from, void *to, struct arena *arena)
{
	switch (key->type) {
	case CONF_INT:
	case CONF_ENUM:
	case CONF_MONTHS: *(int *)to = *(const int *)from; return;
	case CONF_BOOL: *(bool *)to = *(const bool *)from; return;
	case CONF_DURATION:
	case CONF_SIZE: *(int64_t *)to = *(const int64_t *)from; return;
	case CONF_STRING:
	case CONF_SECRET:
		*(const char **)to = arena_strdup(arena, *(const char *const *)from);
		return;
	case CONF_LIST: {
		const struct conf_list *list = from;
		const char **v = arena_array(arena, const char *, list->n + 1);

		for (size_t i = 0; i < list->n; i++)
			v[i] = arena_strdup(arena, list->v[i]);
		*(struct conf_list *)to = (struct conf_list){ v, list->n };
		return;
	}
	}
}

static bool conf_list_same(const struct conf_list *a, const struct conf_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

bool conf_value_same(const struct conf_key *key, const void *a, const void *b)
{
	switch (key->type) {
	case CONF_INT:
	case CONF_ENUM:
	case CONF_MONTHS: return *(const int *)a == *(const int *)b;
	case CONF_BOOL: return *(const bool *)a == *(const bool *)b;
	case CONF_DURATION:
	case CONF_SIZE: return *(const int64_t *)a == *(const int64_t *)b;
	case CONF_STRING:
	case CONF_SECRET: return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
	case CONF_LIST: return conf_list_same(a, b);
	}
	return false;
}
