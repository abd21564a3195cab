/* schema.c: migrations.
 *
 * They are plain SQL files, numbered, never changed once released; schema_version holds which
 * were applied and the oldest program that can live with the result ("-- compatible: N" in a file's first
 * lines; default: the file's own number), so that an old daemon may run beside a new one (P19).
 */
#include "db/schema.h"

#include "base/log.h"
#include "base/mem.h"
#include "db/block.h"

#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_LOCK = 1853187431 /* "nudg" */ };

/*** migrations ***/

const char *schema_dir(void)
{
	const char *dir = getenv("NUDGED_SQL_DIR");

	return dir != NULL && dir[0] != '\0' ? dir : NUDGED_DATADIR "/sql";
}

static int schema_is_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 8 && strspn(d->d_name, "0123456789") == 3 && d->d_name[3] == '_' &&
	       strcmp(d->d_name + n - 4, ".sql") == 0;
}

static char *schema_read(const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	struct buf text = { 0 };
	size_t n;

	if (f == NULL) {
		err_set(err, "could not open \"%s\": %s", path, strerror(errno));
		return NULL;
	}
	do {
		n = fread(buf_reserve(&text, 65536), 1, 65536, f);
		text.n += n;
	} while (n > 0);
	buf_char(&text, '\0');
	fclose(f);
	return text.p;
}

/* The oldest program's version that can use the schema after this file. */
static int schema_compatible(const char *text, int version)
{
	static const char mark[] = "-- compatible: ";
	const char *at = strstr(text, mark);

	return at != NULL ? atoi(at + sizeof mark - 1) : version;
}

static bool schema_apply(struct block *b, const char *dir, const char *name, struct err *err)
{
	char *path = xasprintf("%s/%s", dir, name);
	char *text = schema_read(path, err), *sql;
	int version = atoi(name);
	bool ok;

	free(path);
	if (text == NULL)
		return false;
	sql = xasprintf("begin; set local search_path = nudged, pg_catalog;\n%s\n;"
			"insert into nudged.schema_version (version, compatible, name) "
			"values (%d, %d, '%s'); commit",
		text, version, schema_compatible(text, version), name);
	ok = block_script(b, sql, NULL, err) || err_prefix(err, "%s: ", name);
	free(sql);
	free(text);
	return ok;
}

/* Locks out others and tells which version the database has. */
static bool schema_begin(struct block *b, int *ret_version, struct err *err)
{
	struct db_rows *rows = NULL;
	char lock[96];

	snprintf(lock, sizeof lock, "select pg_advisory_lock(%d)", SCHEMA_LOCK);
	if (!block_script(b, lock, NULL, err))
		return false;
	if (!block_script(b,
		    "create schema if not exists nudged; "
		    "create table if not exists nudged.schema_version (version int primary key, "
		    "compatible int not null, name text not null, "
		    "applied timestamptz not null default clock_timestamp()); "
		    "select coalesce(max(version), 0), coalesce(max(compatible), 0) "
		    "from nudged.schema_version",
		    &rows, err))
		return false;
	*ret_version = atoi(PQgetvalue((const PGresult *)rows, 0, 0));
	block_rows_free(rows);
	return true;
}

static bool schema_apply_all(struct block *b, const char *dir, int version,
	void (*say)(void *arg, const char *line), void *arg, struct err *err)
{
	struct dirent **files;
	int n = scandir(dir, &files, schema_is_file, alphasort);
	int newest = version;
	bool ok = true;

	if (n < 0)
		return err_set(err, "could not read directory \"%s\": %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		char line[300];
		int number = atoi(files[i]->d_name);

		if (ok && number > version && number <= SQL_SCHEMA_VERSION) {
			ok = schema_apply(b, dir, files[i]->d_name, err);
			snprintf(line, sizeof line, "applied %s", files[i]->d_name);
			if (ok)
				say(arg, line);
			newest = number;
		}
		free(files[i]);
	}
	free(files);
	if (ok && newest < SQL_SCHEMA_VERSION) {
		err_set(err, "\"%s\" lacks migrations: found up to %d, this program needs %d", dir,
			newest, SQL_SCHEMA_VERSION);
		return err_hint(err, "set NUDGED_SQL_DIR, or install the package again");
	}
	if (ok && newest == version)
		say(arg, "the schema is up to date");
	return ok;
}

bool schema_migrate(const char *dsn, const char *dir, void (*say)(void *arg, const char *line),
	void *arg, struct err *err)
{
	struct block *b = block_open(dsn, "nudged migrate", BLOCK_UNCHECKED, 0, err);
	int version = 0;
	bool ok = b != NULL && schema_begin(b, &version, err);

	if (ok && version > SQL_SCHEMA_VERSION) {
		ok = err_set(err,
			"the database has schema version %d, newer than this program's %d", version,
			SQL_SCHEMA_VERSION);
		err_hint(err, "install the newer program");
	}
	ok = ok && schema_apply_all(b, dir, version, say, arg, err);
	block_close(b);
	return ok;
}
