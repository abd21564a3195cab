/* schema.c: migrations, and the keeper of partitions.
 *
 * Migrations are plain SQL files, numbered, never changed once released; schema_version holds which
 * were applied and the oldest program that can live with the result ("-- compatible: N" in a file's first
 * lines; default: the file's own number), so that an old daemon may run beside a new one (P19).
 *
 * The keeper: making partitions is one function call (sql/002); old ones are detached CONCURRENTLY, which
 * Postgres allows neither in a function nor in a transaction: each is a statement and a Sync of its own,
 * one step after the other.  It does not hold the advisory lock over these steps: two engines that
 * detach the same partition at a time get an error for the second, which is nothing but a line at debug.
 * Rejected: a blocking child process for it; an engine would have to fork with its sockets open.
 */
#include "db/schema.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "db/block.h"
#include "db/conn.h"

#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_LOCK = 1853187431 /* "nudg" */, KEEPER_PRUNED = SQL_COUNT, KEEPER_PAGED };
static const int64_t SCHEMA_PERIOD_US = 3600000000;
static const int64_t SCHEMA_RETRY_US = 60000000;

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

/*** the keeper ***/

enum keeper_step {
	KEEPER_REST,
	KEEPER_AHEAD,
	KEEPER_OLD,
	KEEPER_DETACH,
	KEEPER_EXPIRE,
	KEEPER_PRUNE
};

struct schema_keeper {
	struct loop *loop;
	struct log_ctx lc;
	struct db_conn *db;
	struct loop_timer *timer;
	enum keeper_step step;
	struct schema_keep keep;
	int64_t made, until_us;
	size_t prune;  /* row of keeper_prunes that is at work */
	size_t pruned; /* rows that its last statement deleted, or expired */
	int64_t after; /* a table that is gone through in pages: the last one ended here */
	bool is_more;  /* ... and there are more old rows behind it */
	char **todo;   /* statements, taken from the end */
	size_t n_todo, cap_todo;
	struct bind bind;
};

/* Tables that are not partitioned, and how long their rows stay. */
static const struct {
	enum sql_id sql;
	size_t months; /* offset in struct schema_keep */
	bool in_pages; /* not all that is old goes */
} keeper_prunes[] = {
	{ SQL_PRUNE_MESSAGE, offsetof(struct schema_keep, messages), true },
	{ SQL_PRUNE_TASK, offsetof(struct schema_keep, tasks), true },
	{ SQL_PRUNE_QUARANTINE, offsetof(struct schema_keep, quarantine), false },
	{ SQL_PRUNE_CONFLICT, offsetof(struct schema_keep, quarantine), false },
	{ SQL_PRUNE_AUDIT, offsetof(struct schema_keep, audit), false },
	{ SQL_PRUNE_CONSENT, offsetof(struct schema_keep, consent_log), false },
	{ SQL_PRUNE_FAULT, offsetof(struct schema_keep, quarantine), false },
};
enum { KEEPER_PRUNES = sizeof keeper_prunes / sizeof *keeper_prunes };

static void keeper_enter(struct schema_keeper *k, enum keeper_step to);

static void keeper_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct schema_keeper *k = arg;

	switch ((int)tag) {
	case SQL_PARTITIONS_AHEAD: k->made = db_rows_i64(rows, 0, 0); break;
	case SQL_PARTITIONS_UNTIL: k->until_us = db_rows_time(rows, 0, 0); break;
	case KEEPER_PRUNED:
		k->pruned = db_rows_count(rows);
		k->is_more = k->pruned >= SQL_PRUNE_ROWS;
		break;
	case KEEPER_PAGED:
		k->pruned = (size_t)db_rows_i64(rows, 0, 0);
		k->after = db_rows_i64(rows, 0, 1);
		k->is_more = db_rows_i64(rows, 0, 2) >= SQL_PRUNE_ROWS;
		break;
	case SQL_EXPIRE_UNCLAIMED: k->pruned = (size_t)db_rows_i64(rows, 0, 0); break;
	}
}

static void keeper_push(struct schema_keeper *k, char *sql)
{
	k->todo = mem_grow(k->todo, k->n_todo, &k->cap_todo, sizeof *k->todo);
	k->todo[k->n_todo++] = sql;
}

/* Notes what must be done; names are ours ([a-z0-9_]). */
static void keeper_on_old(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct schema_keeper *k = arg;

	(void)tag;
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct span parent = db_rows_text(rows, i, 0), name = db_rows_text(rows, i, 1),
			    todo = db_rows_text(rows, i, 2);

		/* taken from the end: first detach, then drop */
		keeper_push(k, xasprintf("drop table if exists nudged.%.*s", SPAN_ARG(name)));
		if (!span_is(todo, "drop"))
			keeper_push(k,
				xasprintf("alter table nudged.%.*s detach partition nudged.%.*s %s",
					SPAN_ARG(parent), SPAN_ARG(name),
					span_is(todo, "finalize") ? "finalize" : "concurrently"));
	}
}

static void keeper_on_end(void *arg, const struct db_end *end)
{
	struct schema_keeper *k = arg;

	if (end->outcome != DB_COMMITTED) {
		log_damped(LOG_LVL_WARNING, &k->lc, "could not look after partitions: %s",
			end->err.text);
		keeper_enter(k, KEEPER_REST);
		return;
	}
	switch (k->step) {
	case KEEPER_AHEAD:
		FAILPOINT("keeper.made");
		if (k->made > 0)
			log_notice(&k->lc, "made %lld partitions", (long long)k->made);
		keeper_enter(k, KEEPER_OLD);
		break;
	case KEEPER_OLD: keeper_enter(k, KEEPER_DETACH); break;
	case KEEPER_DETACH:
		FAILPOINT("keeper.detached");
		keeper_enter(k, KEEPER_DETACH);
		break;
	case KEEPER_EXPIRE:
		if (k->pruned > 0)
			log_warning(&k->lc,
				"%zu messages expired before a courier came for them; see \"couriers\" "
				"in the configuration",
				k->pruned);
		k->prune = 0;
		k->after = 0;
		keeper_enter(k, k->pruned < SQL_PRUNE_ROWS ? KEEPER_PRUNE : KEEPER_EXPIRE);
		break;
	case KEEPER_PRUNE:
		if (k->pruned > 0)
			log_info(&k->lc, "%s: %zu rows",
				sql_table[keeper_prunes[k->prune].sql].name, k->pruned);
		if (!k->is_more) {
			k->prune++;
			k->after = 0;
		}
		keeper_enter(k, KEEPER_PRUNE);
		break;
	case KEEPER_REST: break;
	}
}

static void keeper_detach(struct schema_keeper *k)
{
	char *sql;

	if (k->n_todo == 0) {
		keeper_enter(k, KEEPER_EXPIRE);
		return;
	}
	sql = k->todo[--k->n_todo];
	log_notice(&k->lc, "%s", sql);
	db_send_text(k->db, sql);
	db_sync(k->db, keeper_on_end, k);
	FAILPOINT("keeper.detaching");
	free(sql);
}

/* Deletes the next portion of what is too old; after the last table there is rest for an hour. */
static void keeper_prune(struct schema_keeper *k)
{
	int months = 0;

	for (; k->prune < KEEPER_PRUNES && months == 0; k->prune += months == 0)
		memcpy(&months, (const char *)&k->keep + keeper_prunes[k->prune].months,
			sizeof months);
	if (months == 0) {
		keeper_enter(k, KEEPER_REST);
		loop_timer_in(k->timer, SCHEMA_PERIOD_US);
		return;
	}
	bind_begin(&k->bind, keeper_prunes[k->prune].sql);
	bind_int(&k->bind, 0, months);
	if (keeper_prunes[k->prune].in_pages)
		bind_i64(&k->bind, 1, k->after);
	db_send(k->db, &k->bind, keeper_on_rows, k,
		keeper_prunes[k->prune].in_pages ? KEEPER_PAGED : KEEPER_PRUNED);
	db_sync(k->db, keeper_on_end, k);
}

/* How long, as SQL wants it; NULL: for ever. */
static void keeper_bind_months(struct bind *b, unsigned i, int months)
{
	char text[32];

	snprintf(text, sizeof text, "%d months", months);
	bind_text(b, i, span_of(months > 0 ? text : NULL));
}

static void keeper_enter(struct schema_keeper *k, enum keeper_step to)
{
	switch (k->step = to) {
	case KEEPER_REST:
		while (k->n_todo > 0)
			free(k->todo[--k->n_todo]);
		loop_timer_in(k->timer, SCHEMA_RETRY_US);
		break;
	case KEEPER_AHEAD:
		db_send_plain(k->db, SQL_PARTITIONS_AHEAD, keeper_on_rows, k, SQL_PARTITIONS_AHEAD);
		db_send_plain(k->db, SQL_PARTITIONS_UNTIL, keeper_on_rows, k, SQL_PARTITIONS_UNTIL);
		db_sync(k->db, keeper_on_end, k);
		break;
	case KEEPER_OLD:
		bind_begin(&k->bind, SQL_PARTITIONS_OLD);
		keeper_bind_months(&k->bind, 0, k->keep.events);
		keeper_bind_months(&k->bind, 1, k->keep.chain_log);
		db_send(k->db, &k->bind, keeper_on_old, k, 0);
		db_sync(k->db, keeper_on_end, k);
		break;
	case KEEPER_DETACH: keeper_detach(k); break;
	case KEEPER_EXPIRE:
		db_send_plain(k->db, SQL_EXPIRE_UNCLAIMED, keeper_on_rows, k, SQL_EXPIRE_UNCLAIMED);
		db_sync(k->db, keeper_on_end, k);
		break;
	case KEEPER_PRUNE: keeper_prune(k); break;
	}
}

static void keeper_on_timer(void *arg)
{
	struct schema_keeper *k = arg;

	if (k->step == KEEPER_REST && db_is_up(k->db))
		keeper_enter(k, KEEPER_AHEAD);
}

static void keeper_on_state(void *arg, bool up)
{
	struct schema_keeper *k = arg;

	if (up && k->step == KEEPER_REST)
		loop_timer_in(k->timer, 0);
}

struct schema_keeper *schema_keeper_open(
	struct loop *loop, const char *dsn, const struct schema_keep *keep)
{
	struct schema_keeper *k = xcalloc(1, sizeof *k);
	struct db_env env = { .dsn = dsn,
		.name = "nudged keeper",
		.users = SQL_KEEPER,
		.unsafe_durability = true, /* the lanes refuse; one warning is enough */
		.statement_timeout_ms = 120000,
		.answer_timeout_ms = 150000,
		.on_state = keeper_on_state,
		.arg = k };

	k->loop = loop;
	k->lc.room = "schema";
	k->keep = *keep;
	k->timer = loop_timer_open(loop, keeper_on_timer, k);
	k->db = db_open(loop, &env);
	return k;
}

int64_t schema_keeper_until_us(const struct schema_keeper *k)
{
	return k->until_us;
}

void schema_keeper_set(struct schema_keeper *k, const struct schema_keep *keep)
{
	k->keep = *keep;
}

static void keeper_free(void *p)
{
	free(p);
}

void schema_keeper_close(struct schema_keeper *k)
{
	if (k == NULL)
		return;
	db_close(k->db);
	loop_timer_close(k->timer);
	while (k->n_todo > 0)
		free(k->todo[--k->n_todo]);
	free(k->todo);
	bind_fini(&k->bind);
	loop_defer_free(k->loop, k, keeper_free);
}
