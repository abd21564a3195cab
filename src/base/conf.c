/* conf.c: sections, options and where they came from.
 *
 * libinih splits lines; everything that makes a configuration pleasant to get wrong is done here.  The
 * file is read into memory first and handed to libinih line by line: so line numbers are ours, a line
 * that libinih does not understand is seen (its handler was not called for it) and reading goes on
 * behind it, and sections without options are checked too.  libinih's return code, which is the first
 * bad line only, is not needed.  Its set-up is global: heap lines up to our own limit, no comments
 * behind values (they would silently cut a password at " ;"), continuation lines for long lists.
 *
 * Each section in use is an instance: a struct and, for each of its options, the text and the line.
 * A parsed value is never read back from a struct, except to compare and to keep CONF_FIXED ones.
 */
#include "base/conf.h"

#include "base/conf_value.h"
#include "base/mem.h"
#include "base/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONF_LINE_MOST = 16000, CONF_NAME_MOST = 40 };

struct conf_entry {
	const struct conf_key *key;
	const char *text; /* as written; the default's when line is 0 */
	int line;         /* where; 0 = default */
};

struct conf_instance {
	const struct conf_section *section;
	const char *name; /* "" of a fixed section */
	void *data;
	int line;                   /* of [section]; 0 = not in the file */
	struct conf_entry *entries; /* one per option of the section, in their order */
	size_t nentries;
};

struct conf {
	const struct conf_schema *schema;
	const char *path; /* NULL = defaults only */
	const char *text; /* of the file */
	void *fixed;
	struct arena arena;
	struct conf_instance **v;
	size_t n, cap;
	struct err *problems;
	size_t nproblems, problems_cap;
};

/* What is known while a file is read. */
struct conf_reader {
	struct conf *c;
	const char *rest; /* of the file's text */
	int line;         /* the one that libinih has now */
	bool waiting;     /* it must lead to a call of the handler */
	bool continued;   /* it begins with a blank */
	bool skipping;    /* in a section that is not known */
	bool refused; /* the last option or section was a mistake: what goes on with it is none */
	struct conf_instance *in;   /* the section, NULL before the first */
	struct conf_entry *current; /* the option that a continuation line belongs to */
};

/* Adds an empty problem. */
static struct err *conf_problem(struct conf *c)
{
	struct err *e;

	c->problems = mem_grow(c->problems, c->nproblems, &c->problems_cap, sizeof *c->problems);
	e = &c->problems[c->nproblems++];
	memset(e, 0, sizeof *e);
	return e;
}

/* Puts file and line before the problem. */
static void conf_place(const struct conf *c, struct err *e, int line)
{
	if (line)
		err_prefix(e, "%s:%d: ", c->path ? c->path : "default", line);
	else
		err_prefix(e, "%s: ", c->path ? c->path : "default");
}

static const char *conf_section_title(const struct conf_instance *in, char *buf, size_t size)
{
	snprintf(buf, size, in->section->named ? "[%s %s]" : "[%s]", in->section->name, in->name);
	return buf;
}

static const struct conf_key *conf_section_keys(const struct conf *c, const char *section)
{
	const struct conf_key *k = c->schema->keys;

	while (k->section && strcmp(k->section, section) != 0)
		k++;
	return k;
}

/* Makes an instance with all its defaults. */
static struct conf_instance *conf_add_instance(
	struct conf *c, const struct conf_section *section, const char *name, int line)
{
	const struct conf_key *keys = conf_section_keys(c, section->name);
	struct conf_instance *in = arena_new(&c->arena, struct conf_instance);
	struct err err;

	in->section = section;
	in->name = arena_strdup(&c->arena, name);
	in->line = line;
	in->data = section->named ? arena_alloc(&c->arena, section->size) : c->fixed;
	while (keys[in->nentries].section && strcmp(keys[in->nentries].section, section->name) == 0)
		in->nentries++;
	in->entries = arena_array(&c->arena, struct conf_entry, in->nentries);
	for (size_t i = 0; i < in->nentries; i++) {
		const struct conf_key *k = &keys[i];

		in->entries[i] = (struct conf_entry){ .key = k, .text = k->value };
		if (!conf_value_parse(k, k->value, &c->arena, (char *)in->data + k->offset, &err)) {
			err_prefix(&err, "default of \"%s\" in section [%s]: ", k->name,
				section->name);
			*conf_problem(c) = err;
		}
	}
	c->v = mem_grow(c->v, c->n, &c->cap, sizeof(struct conf_instance *));
	c->v[c->n++] = in;
	return in;
}

static struct conf_instance *conf_find(const struct conf *c, const char *section, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->v[i]->section->name, section) == 0 &&
			strcmp(c->v[i]->name, name) == 0)
			return c->v[i];
	return NULL;
}

static struct conf_entry *conf_find_entry(const struct conf_instance *in, const char *key)
{
	for (size_t i = 0; i < in->nentries; i++)
		if (strcmp(in->entries[i].key->name, key) == 0)
			return &in->entries[i];
	return NULL;
}

/* {=== reading === */

/* Adds a problem at the line that is read now. */
static void conf_say(struct conf_reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void conf_say(struct conf_reader *r, const char *fmt, ...)
{
	struct err *e = conf_problem(r->c);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	conf_place(r->c, e, r->line);
}

static void conf_unknown_section(struct conf_reader *r, const char *word)
{
	struct suggest s;

	suggest_init(&s, word);
	for (const struct conf_section *sec = r->c->schema->sections; sec->name; sec++)
		suggest_offer(&s, sec->name);
	if (s.best)
		conf_say(r, "unknown section [%s]; did you mean \"%s\"?", word, s.best);
	else
		conf_say(r, "unknown section [%s]", word);
}

/* Letters, digits, - _ and . : names become topics, files and rows. */
static bool conf_name_ok(const char *name)
{
	size_t n = strlen(name);

	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL)
			return false;
	return n > 0 && n <= CONF_NAME_MOST;
}

/* Enters [head]; what is wrong with it is a problem and its options are skipped. */
static void conf_enter(struct conf_reader *r, struct span head)
{
	char word[CONF_LINE_MOST], *name;
	const struct conf_section *sec = r->c->schema->sections;
	struct conf_instance *in;

	snprintf(word, sizeof word, "%.*s", SPAN_ARG(head));
	name = word + strcspn(word, " \t");
	if (*name)
		*name++ = '\0';
	name += strspn(name, " \t");
	r->in = NULL;
	r->skipping = r->refused = true;
	while (sec->name && strcmp(sec->name, word) != 0)
		sec++;
	if (sec->name == NULL) {
		conf_unknown_section(r, word);
		return;
	}
	if (!sec->named && *name) {
		conf_say(r, "section [%s] has no name behind it; write [%s]", word, word);
		return;
	}
	if (sec->named && !conf_name_ok(name)) {
		conf_say(r,
			"section [%s] needs a name of up to %d letters, digits, \"-\", \"_\", \".\": "
			"[%s NAME]",
			word, CONF_NAME_MOST, word);
		return;
	}
	in = conf_find(r->c, sec->name, name);
	if (in && in->line) {
		conf_say(r, "section [%.*s] stands twice; the first one is in line %d",
			SPAN_ARG(head), in->line);
		return;
	}
	if (in == NULL)
		in = conf_add_instance(r->c, sec, name, r->line);
	in->line = r->line;
	r->in = in;
	r->skipping = r->refused = false;
}

/* Names the likely right option, or the section where it belongs. */
static void conf_unknown_key(struct conf_reader *r, const char *name)
{
	const struct conf_key *k = r->c->schema->keys;
	char title[100];
	struct suggest s;

	conf_section_title(r->in, title, sizeof title);
	suggest_init(&s, name);
	for (size_t i = 0; i < r->in->nentries; i++)
		suggest_offer(&s, r->in->entries[i].key->name);
	if (s.best) {
		conf_say(r, "unknown option \"%s\" in section %s; did you mean \"%s\"?", name,
			title, s.best);
		return;
	}
	while (k->section && strcmp(k->name, name) != 0)
		k++;
	if (k->section)
		conf_say(r, "unknown option \"%s\" in section %s; it belongs into section [%s]",
			name, title, k->section);
	else
		conf_say(r, "unknown option \"%s\" in section %s", name, title);
}

/* Goes on with the value of the line before. */
static void conf_continue(struct conf_reader *r, const char *value)
{
	if (r->current->key->type != CONF_LIST) {
		conf_say(r,
			"a line that begins with a blank goes on with the list before it, but \"%s\" is "
			"no list; write options from the first column",
			r->current->key->name);
		r->current = NULL;
		r->refused = true;
		return;
	}
	r->current->text = arena_printf(&r->c->arena, "%s %s", r->current->text, value);
}

/* libinih found `name = value`; values are parsed when the whole file is read. */
static int conf_on_pair(void *arg, const char *section, const char *name, const char *value)
{
	struct conf_reader *r = arg;
	struct conf_entry *e;

	(void)section;
	r->waiting = false;
	if (r->continued) {
		conf_continue(r, value);
		return 1;
	}
	r->current = NULL;
	r->refused = true;
	if (r->skipping)
		return 1;
	if (r->in == NULL) {
		conf_say(r, "option \"%s\" stands before the first [section]", name);
		return 1;
	}
	e = conf_find_entry(r->in, name);
	if (e == NULL) {
		conf_unknown_key(r, name);
	} else if (e->line) {
		conf_say(r, "option \"%s\" stands twice; the first one is in line %d", name,
			e->line);
	} else {
		e->text = arena_strdup(&r->c->arena, value);
		e->line = r->line;
		r->current = e;
	}
	return 1;
}

/* The line before must have been understood by now. */
static void conf_settle(struct conf_reader *r)
{
	if (r->waiting) {
		conf_say(r, "line is neither \"[section]\" nor \"key = value\"");
		r->refused = true;
		r->current = NULL;
	}
	r->waiting = false;
}

/* Looks at a line before libinih gets it; false = it shall not. */
static bool conf_look(struct conf_reader *r, struct span line)
{
	struct span t = span_trim(line);

	r->continued = t.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
	if (t.n == 0 || t.p[0] == '#' || t.p[0] == ';')
		return false;
	if (t.n > CONF_LINE_MOST || memchr(t.p, '\0', t.n)) {
		conf_say(r, "line is longer than %d bytes or no text", CONF_LINE_MOST);
		return false;
	}
	if (t.p[0] == '[') {
		r->continued = false;
		r->current = NULL;
		if (t.p[t.n - 1] == ']')
			conf_enter(r, span_trim((struct span){ t.p + 1, t.n - 2 }));
		else
			conf_say(r, "section does not end with \"]\"");
		return false;
	}
	if (r->continued && r->current == NULL) {
		if (!r->refused)
			conf_say(
				r, "line begins with a blank; write options from the first column");
		return false;
	}
	r->waiting = true;
	return true;
}

/* libinih's reader: the next line that is its business. */
static char *conf_on_line(char *buf, int size, void *arg)
{
	struct conf_reader *r = arg;

	conf_settle(r);
	while (*r->rest) {
		struct span line = { r->rest, strcspn(r->rest, "\n") };

		r->rest += line.n + (r->rest[line.n] == '\n');
		r->line++;
		if (conf_look(r, line)) {
			snprintf(buf, (size_t)size, "%.*s\n", SPAN_ARG(line));
			return buf;
		}
	}
	return NULL;
}

/* The whole file as text, or a problem. */
static char *conf_slurp(struct conf *c)
{
	FILE *f = fopen(c->path, "re");
	char *text = NULL;
	size_t n = 0;

	if (f) {
		struct buf b = { 0 };
		size_t got;

		while (b.n <= CONF_FILE_MOST &&
			(got = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0)
			b.n += got;
		n = b.n;
		if (!ferror(f))
			text = arena_dup(&c->arena, b.p, b.n);
		buf_free(&b);
	}
	if (text == NULL)
		err_set(conf_problem(c), "could not read configuration \"%s\": %s", c->path,
			strerror(errno));
	else if (n > CONF_FILE_MOST || strlen(text) != n)
		err_set(conf_problem(c), "configuration \"%s\" is not a text file", c->path);
	if (f)
		fclose(f);
	return c->nproblems ? NULL : text;
}

/* Takes the file apart; values are still texts afterwards. */
static void conf_scan(struct conf *c, const char *text)
{
	struct conf_reader r = { .c = c, .rest = text };

	ini_use_stack = false;
	ini_allow_realloc = true;
	ini_initial_alloc = ini_max_line = CONF_LINE_MOST + 1000;
	ini_allow_inline_comments = false;
	ini_allow_multiline = true;
	ini_parse_stream(conf_on_line, &r, conf_on_pair, &r);
	conf_settle(&r);
}

/* Parses what the file says for one option. */
static void conf_parse_entry(struct conf *c, struct conf_instance *in, struct conf_entry *e)
{
	char title[100];
	struct err err;

	conf_section_title(in, title, sizeof title);
	if (e->line == 0) {
		if (in->section->named && (e->key->flags & CONF_REQUIRED)) {
			err_set(&err, "option \"%s\" is missing in section %s", e->key->name,
				title);
			conf_place(c, &err, in->line);
			*conf_problem(c) = err;
		}
		return;
	}
	if (conf_value_parse(e->key, e->text, &c->arena, (char *)in->data + e->key->offset, &err))
		return;
	err_prefix(&err, "option \"%s\" in section %s: ", e->key->name, title);
	conf_place(c, &err, e->line);
	*conf_problem(c) = err;
}

/* }=== */

struct conf *conf_read(const struct conf_schema *schema, const char *path, void *fixed)
{
	return conf_read_text(schema, path, NULL, fixed);
}

const char *conf_text(const struct conf *c)
{
	return c->text;
}

struct conf *conf_read_text(
	const struct conf_schema *schema, const char *path, const char *text, void *fixed)
{
	struct conf *c = xcalloc(1, sizeof *c);

	c->schema = schema;
	c->fixed = fixed;
	c->path = path ? arena_strdup(&c->arena, path) : NULL;
	for (const struct conf_section *s = schema->sections; s->name; s++)
		if (!s->named)
			conf_add_instance(c, s, "", 0);
	if (path != NULL)
		c->text = text ? arena_strdup(&c->arena, text) : conf_slurp(c);
	text = c->text;
	if (text == NULL)
		return c;
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	conf_scan(c, text);
	for (size_t i = 0; i < c->n; i++)
		for (size_t j = 0; j < c->v[i]->nentries; j++)
			conf_parse_entry(c, c->v[i], &c->v[i]->entries[j]);
	return c;
}

void conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	arena_fini(&c->arena);
	free(c->v);
	free(c->problems);
	free(c);
}

const struct err *conf_problems(const struct conf *c, size_t *ret_n)
{
	*ret_n = c->nproblems;
	return c->problems;
}

void conf_complain(struct conf *c, const char *section, const char *instance, const char *key,
	const char *fmt, ...)
{
	struct conf_instance *in = conf_find(c, section, instance ? instance : "");
	struct conf_entry *e = in ? conf_find_entry(in, key) : NULL;
	struct err *err = conf_problem(c);
	char title[100] = "?";
	va_list ap;

	if (in)
		conf_section_title(in, title, sizeof title);
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	err_prefix(err, "option \"%s\" in section %s: ", key, title);
	conf_place(c, err, e && e->line ? e->line : in ? in->line : 0);
}

size_t conf_count(const struct conf *c, const char *section)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += strcmp(c->v[i]->section->name, section) == 0;
	return n;
}

void *conf_named(const struct conf *c, const char *section, size_t i, const char **ret_name)
{
	for (size_t j = 0; j < c->n; j++)
		if (strcmp(c->v[j]->section->name, section) == 0 && i-- == 0) {
			*ret_name = c->v[j]->name;
			return c->v[j]->data;
		}
	return NULL;
}

void *conf_alloc(struct conf *c, size_t n)
{
	return arena_alloc(&c->arena, n);
}

void conf_keep_fixed(struct conf *c, const struct conf *old,
	void (*on_kept)(void *arg, const char *section, const char *key), void *arg)
{
	for (size_t i = 0; i < c->n; i++) {
		struct conf_instance *in = c->v[i];
		const struct conf_instance *was = conf_find(old, in->section->name, in->name);

		for (size_t j = 0; was && j < in->nentries; j++) {
			const struct conf_key *k = in->entries[j].key;
			void *now = (char *)in->data + k->offset;
			const void *then = (const char *)was->data + k->offset;

			if (!(k->flags & CONF_FIXED) || conf_value_same(k, now, then))
				continue;
			conf_value_copy(k, then, now, &c->arena);
			in->entries[j].text = arena_strdup(&c->arena, was->entries[j].text);
			if (on_kept)
				on_kept(arg, in->section->name, k->name);
		}
	}
}

/* {=== showing === */

/* The text as comment lines of at most 96 columns. */
static void conf_show_comment(const char *text, struct buf *out)
{
	size_t column = 0;

	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " ");

		if (column == 0 || column + 1 + n > 96) {
			buf_str(out, column ? "\n#" : "#");
			column = 1;
		}
		buf_char(out, ' ');
		buf_add(out, p, n);
		column += 1 + n;
		p += n + (p[n] == ' ');
	}
	buf_char(out, '\n');
}

/* "size, 1KiB to 1GiB, takes effect at restart". */
static void conf_show_kind(const struct conf_key *k, struct buf *out)
{
	buf_printf(out, "# (%s", conf_type_name(k->type));
	if (k->type == CONF_ENUM)
		for (int i = 0; k->words[i]; i++)
			buf_printf(out, "%s%s", i ? " | " : ": ", k->words[i]);
	if (k->min || k->max) {
		buf_str(out, ", ");
		conf_value_show(k->type, k->min, out);
		buf_str(out, " to ");
		conf_value_show(k->type, k->max, out);
	}
	if (k->flags & CONF_REQUIRED)
		buf_str(out, ", required");
	buf_str(out, k->flags & CONF_FIXED ? ", at restart)\n" : ")\n");
}

static void conf_show_entry(
	const struct conf *c, const struct conf_entry *e, unsigned flags, struct buf *out)
{
	const struct conf_key *k = e->key;
	bool hidden = (k->type == CONF_SECRET || (k->flags & CONF_HIDDEN)) && *e->text;

	if (flags & CONF_SHOW_HELP) {
		conf_show_comment(k->help, out);
		conf_show_kind(k, out);
	}
	if (flags & CONF_SHOW_ORIGIN) {
		if (e->line)
			buf_printf(out, "# %s:%d\n", c->path, e->line);
		else
			buf_str(out, "# default\n");
	}
	buf_printf(out, "%s =%s%s\n", k->name, *e->text ? " " : "", hidden ? "***" : e->text);
}

static void conf_show_instance(
	const struct conf *c, const struct conf_instance *in, unsigned flags, struct buf *out)
{
	char title[100];

	if (out->n)
		buf_char(out, '\n');
	if (flags & CONF_SHOW_HELP)
		conf_show_comment(in->section->help, out);
	buf_printf(out, "%s\n", conf_section_title(in, title, sizeof title));
	for (size_t i = 0; i < in->nentries; i++)
		conf_show_entry(c, &in->entries[i], flags, out);
}

/* A named section that nobody uses, as it would be with its defaults. */
static void conf_show_sample(
	const struct conf *c, const struct conf_section *s, unsigned flags, struct buf *out)
{
	struct conf_instance in = { .section = s, .name = "NAME" };
	const struct conf_key *keys = conf_section_keys(c, s->name);
	size_t n = 0;

	while (keys[n].section && strcmp(keys[n].section, s->name) == 0)
		n++;
	in.entries = xcalloc(n + 1, sizeof *in.entries);
	in.nentries = n;
	for (size_t i = 0; i < n; i++)
		in.entries[i] = (struct conf_entry){ .key = &keys[i], .text = keys[i].value };
	conf_show_instance(c, &in, flags, out);
	free(in.entries);
}

void conf_show(const struct conf *c, unsigned flags, struct buf *out)
{
	for (const struct conf_section *s = c->schema->sections; s->name; s++) {
		if ((flags & CONF_SHOW_NAMES) && conf_count(c, s->name) == 0)
			conf_show_sample(c, s, flags, out);
		for (size_t i = 0; i < c->n; i++)
			if (c->v[i]->section == s)
				conf_show_instance(c, c->v[i], flags, out);
	}
}

/* }=== */
