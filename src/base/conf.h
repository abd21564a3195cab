#ifndef BASE_CONF_H
#define BASE_CONF_H
/*
 * Configuration: an ini file read into plain structs by one typed table of options.
 *
 * The schema names sections and options; each option says where in a struct its value goes.  Fixed
 * sections (`[limits]`) all fill one struct of the caller's; named sections (`[store NAME]`) fill one
 * struct each, which the conf makes.  Defaults are texts and go through the same parser as the file.
 *
 * conf_read always gives a conf: look at conf_problems, which holds every mistake found, each with
 * `file:line:`.  A conf with problems is only good for printing them.  Values that point somewhere
 * (strings, lists, named structs) live in the conf until conf_free.
 *
 * The file: `key = value` from the first column; lines that begin with a blank go on with the value
 * of the line before (lists only); # and ; begin a comment at the start of a line, never behind a
 * value; a section stands once.  Lists are separated by blanks, commas or new lines.
 * A secret is given as it is, as `file:/absolute/path`, or as `cred:NAME` ($CREDENTIALS_DIRECTORY of
 * systemd); of a file, blanks at its end do not count.  Secrets are never shown.
 *
 * This room is the only one that knows libinih.
 */
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
	CONF_INT,      /* int */
	CONF_BOOL,     /* bool: yes no on off true false */
	CONF_DURATION, /* int64_t microseconds: 250ms 15s 1h30m 7d; a day is 24 hours */
	CONF_MONTHS,   /* int: "13 months", "2 years", forever = 0 */
	CONF_SIZE,     /* int64_t bytes: 65536, 64KiB, 32MiB, 1GiB */
	CONF_STRING,   /* const char *, never NULL */
	CONF_ENUM,     /* int (or an enum): index in `words` */
	CONF_LIST,     /* struct conf_list */
	CONF_SECRET,   /* const char *, never NULL: the value itself, references followed */
};

enum conf_flag {
	CONF_FIXED = 1 << 0,    /* a change takes effect at restart only */
	CONF_HIDDEN = 1 << 1,   /* shown as ***, like a CONF_SECRET */
	CONF_REQUIRED = 1 << 2, /* of a named section: must be given */
};

struct conf_list {
	const char *const *v;
	size_t n;
};

struct conf_key {
	const char *section;
	const char *name;
	enum conf_type type;
	size_t offset;            /* in the fixed struct, or in the struct of a named section */
	unsigned flags;           /* enum conf_flag */
	const char *value;        /* the default */
	int64_t min, max;         /* of numbers, in their unit; both 0 = any that is not negative */
	const char *const *words; /* of CONF_ENUM, ends with NULL */
	/* Of a string, secret or each item of a list, when it is not empty; may be NULL.  False: the error
	 * says what is wrong with the text, which is put before it. */
	bool (*check)(const char *text, struct err *err);
	const char *help; /* one or more sentences */
};

struct conf_section {
	const char *name;
	bool named;  /* [name INSTANCE] */
	size_t size; /* of the struct of a named section */
	const char *help;
};

struct conf_schema {
	const struct conf_section *sections; /* ends with a zero row */
	const struct conf_key *keys;         /* grouped by section, ends with a zero row */
};

struct conf;

enum { CONF_FILE_MOST = 16 << 20 /* bytes of a file */ };

/* Reads the file (path NULL: the defaults only) into `fixed`, which the caller owns and which must
 * live as long as the conf.  Schema and its texts are kept.  Free with conf_free. */
struct conf *conf_read(const struct conf_schema *schema, const char *path, void *fixed);
/* The same for a text that was read from that file before (NULL: reads it now). */
struct conf *conf_read_text(
	const struct conf_schema *schema, const char *path, const char *text, void *fixed);
/* What was read, lent; NULL when there is no file. */
const char *conf_text(const struct conf *c);
void conf_free(struct conf *c);

/* All mistakes so far, lent; *ret_n = 0 means the values may be used. */
const struct err *conf_problems(const struct conf *c, size_t *ret_n);
/* Adds a mistake that only the caller could see, at the place of the option (or of its section when
 * it is a default).  `instance` is NULL for a fixed section.  The text should say what is expected. */
void conf_complain(struct conf *c, const char *section, const char *instance, const char *key,
	const char *fmt, ...) PRINTF_LIKE(5, 6);

/* Named sections in the order of the file.  The struct is lent; *ret_name is NAME. */
size_t conf_count(const struct conf *c, const char *section);
void *conf_named(const struct conf *c, const char *section, size_t i, const char **ret_name);
/* Memory with the life of the conf, for what callers make of the values; zeroed. */
void *conf_alloc(struct conf *c, size_t n);

/* Puts the values of `old` into `c` where an option (or section) is CONF_FIXED and differs, so that
 * it changes at restart only; each such option is told to `on_kept`, which may be NULL.  Named
 * sections are compared by NAME; one that is new keeps what it says. */
void conf_keep_fixed(struct conf *c, const struct conf *old,
	void (*on_kept)(void *arg, const char *section, const char *key), void *arg);

enum conf_show {
	CONF_SHOW_ORIGIN = 1 << 0, /* behind each value where it comes from */
	CONF_SHOW_HELP = 1 << 1,   /* before each option what it is, as a comment */
	CONF_SHOW_NAMES = 1 << 2,  /* named sections that are not in use too, as [store NAME] */
};
/* The whole configuration as text that conf_read would read again (secrets excepted). */
void conf_show(const struct conf *c, unsigned flags, struct buf *out);

#endif
