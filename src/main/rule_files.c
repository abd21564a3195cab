/*
 * rule_files.c: one walk over each directory, then grouping.  The bundle is written as canonical JSON by hand:
 * its members are put in the order of their names, so equal files give equal bytes and hashes on every host.
 */
#include "main/rule_files.h"

#include "base/hash.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RULE_FILES_BYTES_MOST = 1 << 20, RULE_FILES_DEPTH_MOST = 8, RULE_FILES_MOST = 20000 };

struct rule_files { /* all files below one directory */
	struct rule_file *v;
	size_t n, cap;
	struct arena *arena;
	const char *dir;
};

static bool rule_files_ends(struct span s, const char *end)
{
	size_t n = strlen(end);

	return s.n > n && memcmp(s.p + s.n - n, end, n) == 0;
}

static bool rule_files_wanted(struct span path)
{
	return rule_files_ends(path, ".lua") || rule_files_ends(path, ".html") ||
	       rule_files_ends(path, ".txt") || rule_files_ends(path, ".sms");
}

/* The whole text of a file that was opened without following links. */
static bool rule_files_slurp(struct rule_files *f, int fd, const char *path, struct err *err)
{
	struct stat st;
	struct rule_file *file;
	char *text;
	size_t n = 0;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, "\"%s/%s\" is not a regular file", f->dir, path);
	if (st.st_size > RULE_FILES_BYTES_MOST)
		return err_set(err, "\"%s/%s\" is larger than 1 MiB", f->dir, path);
	text = arena_alloc(f->arena, (size_t)st.st_size + 1);
	while (n < (size_t)st.st_size) {
		ssize_t k = read(fd, text + n, (size_t)st.st_size - n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_set(
				err, "could not read \"%s/%s\": %s", f->dir, path, strerror(errno));
		if (k == 0)
			break;
		n += (size_t)k;
	}
	if (!json_is_text((struct span){ text, n }))
		return err_set(err, "\"%s/%s\" is not valid UTF-8 text", f->dir, path);
	if (f->n == RULE_FILES_MOST)
		return err_set(err, "more than %d files below \"%s\"", RULE_FILES_MOST, f->dir);
	f->v = mem_grow(f->v, f->n, &f->cap, sizeof *f->v);
	file = &f->v[f->n++];
	file->path = span_of(arena_strdup(f->arena, path));
	file->text = (struct span){ text, n };
	return true;
}

static bool rule_files_walk(
	struct rule_files *f, int dirfd, const char *under, int depth, struct err *err);

/* One entry: a folder is walked, a wanted file is read, the rest is none of ours. */
static bool rule_files_entry(struct rule_files *f, int dirfd, const char *under, const char *name,
	int depth, struct err *err)
{
	char *path = arena_printf(f->arena, "%s%s%s", under, *under ? "/" : "", name);
	struct stat st;
	bool ok;
	int fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, "could not read \"%s/%s\": %s", f->dir, path, strerror(errno));
	if (!S_ISDIR(st.st_mode) && !rule_files_wanted(span_of(path)))
		return true;
	if (S_ISLNK(st.st_mode)) {
		err_set(err, "\"%s/%s\" is a symbolic link", f->dir, path);
		return err_hint(
			err, "Put the file itself there: what is checked must be what runs.");
	}
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, "could not open \"%s/%s\": %s", f->dir, path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return rule_files_walk(f, fd, path, depth + 1, err);
	ok = rule_files_slurp(f, fd, path, err);
	close(fd);
	return ok;
}

/* Takes dirfd. */
static bool rule_files_walk(
	struct rule_files *f, int dirfd, const char *under, int depth, struct err *err)
{
	DIR *dir = fdopendir(dirfd);
	struct dirent *d;
	bool ok = true;

	if (dir == NULL) {
		close(dirfd);
		return err_set(
			err, "could not read folder \"%s/%s\": %s", f->dir, under, strerror(errno));
	}
	if (depth > RULE_FILES_DEPTH_MOST)
		ok = err_set(err, "folder \"%s/%s\" is nested too deeply", f->dir, under);
	while (ok && (d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			ok = rule_files_entry(f, dirfd, under, d->d_name, depth, err);
	closedir(dir);
	return ok;
}

static int rule_files_cmp(const void *x, const void *y)
{
	return span_cmp(((const struct rule_file *)x)->path, ((const struct rule_file *)y)->path);
}

static bool rule_files_all(
	const char *dir, struct arena *a, struct rule_files *ret, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret = (struct rule_files){ .arena = a, .dir = dir };
	if (fd < 0)
		return err_set(err, "could not open directory \"%s\": %s", dir, strerror(errno));
	if (!rule_files_walk(ret, fd, "", 0, err)) {
		free(ret->v);
		return false;
	}
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof *ret->v, rule_files_cmp);
	return true;
}

static const struct rule_file *rule_files_find(const struct rule_files *f, struct span path)
{
	struct rule_file key = { .path = path };

	return f->n ? bsearch(&key, f->v, f->n, sizeof *f->v, rule_files_cmp) : NULL;
}

/* ---- what a file requires ---- */

struct rule_needs { /* names of helpers, sorted */
	struct span v[64];
	size_t n;
};

static bool rule_needs_add(struct rule_needs *needs, struct span name)
{
	size_t at = 0;

	while (at < needs->n && span_cmp(needs->v[at], name) < 0)
		at++;
	if (at < needs->n && span_eq(needs->v[at], name))
		return false;
	if (needs->n == sizeof needs->v / sizeof *needs->v)
		return false; /* the engine will name the one it misses */
	memmove(&needs->v[at + 1], &needs->v[at], (needs->n - at) * sizeof *needs->v);
	needs->v[at] = name;
	needs->n++;
	return true;
}

/* Every `require "x"`, `require 'x'` and `require("x")` of the text, and those of the helpers found. */
static void rule_needs_scan(const struct rule_files *f, struct span text, struct rule_needs *needs)
{
	const char *p = text.p, *end = text.p + text.n;

	while ((p = memmem(p, (size_t)(end - p), "require", 7)) != NULL) {
		const char *name;
		char quote;

		for (p += 7; p < end && (*p == ' ' || *p == '\t' || *p == '('); p++)
			;
		if (p >= end || (*p != '"' && *p != '\''))
			continue;
		quote = *p++;
		for (name = p; p < end && *p != quote && *p != '\n'; p++)
			;
		struct span found = { name, (size_t)(p - name) };

		if (p >= end || *p != quote || found.n == 0 || found.n > 128 ||
			!rule_needs_add(needs, found))
			continue;
		struct buf path = { 0 };

		buf_printf(&path, "lib/%.*s.lua", SPAN_ARG(found));
		const struct rule_file *lib = rule_files_find(f, buf_as_span(&path));

		buf_free(&path);
		if (lib != NULL)
			rule_needs_scan(f, lib->text, needs);
	}
}

/* ---- bundles ---- */

/* The defaults.lua of every folder on the way to the file, outermost first. */
static void rule_bundle_defaults(struct buf *b, const struct rule_files *f, struct span path)
{
	buf_str(b, "{\"defaults\":[");
	for (size_t i = 0, first = 1; i <= path.n; i++) {
		if (i != 0 && path.p[i - 1] != '/')
			continue;
		char *name = arena_printf(f->arena, "%.*sdefaults.lua", (int)i, path.p);
		const struct rule_file *d = rule_files_find(f, span_of(name));

		if (d == NULL)
			continue;
		buf_str(b, first ? "{\"path\":" : ",{\"path\":");
		json_put_text(b, d->path);
		buf_str(b, ",\"text\":");
		json_put_text(b, d->text);
		buf_char(b, '}');
		first = 0;
	}
	buf_char(b, ']');
}

static void rule_bundle_libs(
	struct buf *b, const struct rule_files *f, const struct rule_file *file)
{
	struct rule_needs needs = { .n = 0 };
	bool first = true;

	rule_needs_scan(f, file->text, &needs);
	buf_str(b, ",\"lib\":{");
	for (size_t i = 0; i < needs.n; i++) {
		char *name = arena_printf(f->arena, "lib/%.*s.lua", SPAN_ARG(needs.v[i]));
		const struct rule_file *lib = rule_files_find(f, span_of(name));

		if (lib == NULL)
			continue; /* the engine says so, with the line */
		if (!first)
			buf_char(b, ',');
		json_put_text(b, needs.v[i]);
		buf_char(b, ':');
		json_put_text(b, lib->text);
		first = false;
	}
	buf_char(b, '}');
}

static void rule_bundle(
	const struct rule_files *f, const struct rule_file *file, struct rule_text *ret)
{
	struct buf b = { 0 };
	struct span text;

	rule_bundle_defaults(&b, f, file->path);
	rule_bundle_libs(&b, f, file);
	buf_str(&b, ",\"path\":");
	json_put_text(&b, file->path);
	buf_str(&b, ",\"text\":");
	json_put_text(&b, file->text);
	buf_char(&b, '}');
	text = (struct span){ arena_dup(f->arena, b.p, b.n), b.n };
	buf_free(&b);
	*ret = (struct rule_text){ .level = RULE_LEVEL, .path = file->path, .bundle = text };
	hash_sha256_hex(&text, 1, ret->hash);
}

static bool rule_files_is_rule(struct span path)
{
	return rule_files_ends(path, ".lua") && !rule_files_ends(path, "_test.lua") &&
	       !span_starts(path, "lib/") && !span_is(path, "defaults.lua") &&
	       !rule_files_ends(path, "/defaults.lua");
}

/* ---- templates ---- */

/* <name>.<lang>.<part>: the three of them, or an error that says how files are named. */
static bool template_name(const struct rule_file *file, struct span *ret_name,
	struct span *ret_lang, struct span *ret_part, struct err *err)
{
	struct span p = file->path;
	size_t dot = p.n, lang;

	while (dot > 0 && p.p[dot - 1] != '.')
		dot--;
	lang = dot ? dot - 1 : 0;
	while (lang > 0 && p.p[lang - 1] != '.' && p.p[lang - 1] != '/')
		lang--;
	if (dot == 0 || lang < 2 || p.p[lang - 1] != '.' || dot - 1 - lang < 2 ||
		dot - 1 - lang > 8) {
		err_set(err, "template \"%.*s\" has no language in its name", SPAN_ARG(p));
		return err_hint(
			err, "Name it <name>.<language>.html, .txt or .sms: cart-reminder.en.html");
	}
	*ret_name = (struct span){ p.p, lang - 1 };
	*ret_lang = (struct span){ p.p + lang, dot - 1 - lang };
	*ret_part = (struct span){ p.p + dot, p.n - dot };
	return true;
}

/* Parts of one template stand side by side in the sorted list: html, sms, txt. */
static bool template_texts(const struct rule_files *f, struct rule_set *set, struct err *err)
{
	struct template_text *v = arena_array(f->arena, struct template_text, f->n);
	struct buf b = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct span name, lang, part;
		struct template_text *t = n ? &v[n - 1] : NULL;

		if (rule_files_ends(f->v[i].path, ".lua"))
			continue;
		if (!template_name(&f->v[i], &name, &lang, &part, err)) {
			buf_free(&b);
			return false;
		}
		if (t == NULL || !span_eq(t->name, name) || !span_eq(t->lang, lang)) {
			t = &v[n++];
			t->name = name;
			t->lang = lang;
			buf_clear(&b);
			buf_char(&b, '{');
		} else {
			b.n--; /* the closing brace of the parts before */
			buf_char(&b, ',');
		}
		json_put_text(&b, part);
		buf_char(&b, ':');
		json_put_text(&b, f->v[i].text);
		buf_char(&b, '}');
		t->body = (struct span){ arena_dup(f->arena, b.p, b.n), b.n };
	}
	for (size_t i = 0; i < n; i++) {
		struct span parts[] = { v[i].name, SPAN("\n"), v[i].lang, SPAN("\n"), v[i].body };

		hash_sha256_hex(parts, sizeof parts / sizeof *parts, v[i].hash);
	}
	buf_free(&b);
	set->templates = v;
	set->n_templates = n;
	return true;
}

/* Over the hashes of all texts in order: two hosts with the same files have the same set. */
static void rule_set_hash(struct rule_set *set)
{
	struct buf all = { 0 };
	struct span text;

	for (size_t i = 0; i < set->n_texts; i++)
		buf_printf(&all, "%s %.*s\n", set->texts[i].hash, SPAN_ARG(set->texts[i].path));
	for (size_t i = 0; i < set->n_templates; i++)
		buf_printf(&all, "%s\n", set->templates[i].hash);
	text = buf_as_span(&all);
	hash_sha256_hex(&text, 1, set->hash);
	buf_free(&all);
}

bool rule_files_read(const char *rules_dir, const char *templates_dir, struct arena *a,
	struct rule_set *ret, struct err *err)
{
	struct rule_set set = { .id = 0 };
	struct rule_files f;

	if (!rule_files_all(rules_dir, a, &f, err))
		return false;
	set.texts = arena_array(a, struct rule_text, f.n);
	for (size_t i = 0; i < f.n; i++)
		if (rule_files_is_rule(f.v[i].path))
			rule_bundle(&f, &f.v[i], &set.texts[set.n_texts++]);
	free(f.v);
	if (templates_dir != NULL) {
		bool ok;

		if (!rule_files_all(templates_dir, a, &f, err))
			return false;
		ok = template_texts(&f, &set, err);
		free(f.v);
		if (!ok)
			return false;
	}
	rule_set_hash(&set);
	*ret = set;
	return true;
}

bool rule_files_tests(const char *rules_dir, struct arena *a, struct rule_file **ret, size_t *ret_n,
	struct err *err)
{
	struct rule_files f;
	size_t n = 0;

	if (!rule_files_all(rules_dir, a, &f, err))
		return false;
	*ret = arena_array(a, struct rule_file, f.n);
	for (size_t i = 0; i < f.n; i++)
		if (rule_files_ends(f.v[i].path, "_test.lua"))
			(*ret)[n++] = f.v[i];
	*ret_n = n;
	free(f.v);
	return true;
}
