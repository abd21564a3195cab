/* keeper.c: partitions, old rows, silent sessions.
 *
 * Making partitions is one function call (sql/002); old ones are detached CONCURRENTLY, which Postgres allows neither in a
 * function nor in a transaction: each is a statement and a Sync of its own, one step after the other.  It does not hold the
 * advisory lock over these steps: two engines that detach the same partition at a time get an error for the second, which is
 * nothing but a line at debug.  Rejected: a blocking child process for it; an engine would have to fork with its sockets
 * open.
 *
 * Postgres ends a session that idles in a transaction, but it idles only when its last group is complete: the clock runs
 * from a Sync on.  Of a process that is frozen while it sends a group, or does not read a long answer, the session stays
 * "active" and waits for its client for ever, with its locks; no timeout of Postgres 15 ends it (statement_timeout ends with
 * each statement).  So every keeper looks for such sessions and ends them.  A reader that is only slow looks the same as one
 * that does not read; the daemon's own processes are never so slow, commands may be.
 */
#include "db/keeper.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "db/conn.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEPER_PRUNED = SQL_COUNT, KEEPER_PAGED };
static const int64_t KEEPER_PERIOD_US = 3600000000;
static const int64_t KEEPER_RETRY_US = 60000000;

enum keeper_step {
	KEEPER_REST,
	KEEPER_AHEAD,
	KEEPER_OLD,
	KEEPER_DETACH,
	KEEPER_EXPIRE,
	KEEPER_PRUNE
};

struct keeper {
	struct loop *loop;
	struct log_ctx lc;
	struct db_conn *db;
	struct loop_timer *timer;
	struct loop_timer *watch_timer;
	int silence_ms;
	bool watching;
	enum keeper_step step;
	struct keeper_months keep;
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
	size_t months; /* offset in struct keeper_months */
	bool in_pages; /* not all that is old goes */
} keeper_prunes[] = {
	{ SQL_PRUNE_MESSAGE, offsetof(struct keeper_months, messages), true },
	{ SQL_PRUNE_TASK, offsetof(struct keeper_months, tasks), true },
	{ SQL_PRUNE_QUARANTINE, offsetof(struct keeper_months, quarantine), false },
	{ SQL_PRUNE_CONFLICT, offsetof(struct keeper_months, quarantine), false },
	{ SQL_PRUNE_AUDIT, offsetof(struct keeper_months, audit), false },
	{ SQL_PRUNE_CONSENT, offsetof(struct keeper_months, consent_log), false },
	{ SQL_PRUNE_FAULT, offsetof(struct keeper_months, quarantine), false },
};
enum { KEEPER_PRUNES = sizeof keeper_prunes / sizeof *keeper_prunes };

static void keeper_enter(struct keeper *k, enum keeper_step to);

static void keeper_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct keeper *k = arg;

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

static void keeper_push(struct keeper *k, char *sql)
{
	k->todo = mem_grow(k->todo, k->n_todo, &k->cap_todo, sizeof *k->todo);
	k->todo[k->n_todo++] = sql;
}

/* Notes what must be done; names are ours ([a-z0-9_]). */
static void keeper_on_old(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct keeper *k = arg;

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
	struct keeper *k = arg;

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

static void keeper_detach(struct keeper *k)
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
static void keeper_prune(struct keeper *k)
{
	int months = 0;

	for (; k->prune < KEEPER_PRUNES && months == 0; k->prune += months == 0)
		memcpy(&months, (const char *)&k->keep + keeper_prunes[k->prune].months,
			sizeof months);
	if (months == 0) {
		keeper_enter(k, KEEPER_REST);
		loop_timer_in(k->timer, KEEPER_PERIOD_US);
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

static void keeper_enter(struct keeper *k, enum keeper_step to)
{
	switch (k->step = to) {
	case KEEPER_REST:
		while (k->n_todo > 0)
			free(k->todo[--k->n_todo]);
		loop_timer_in(k->timer, KEEPER_RETRY_US);
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
	struct keeper *k = arg;

	if (k->step == KEEPER_REST && db_is_up(k->db))
		keeper_enter(k, KEEPER_AHEAD);
}

/*** who fell silent ***/

static void keeper_on_silent(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct keeper *k = arg;

	(void)tag;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		if (db_rows_bool(rows, i, 3))
			log_warning(&k->lc,
				"ended the database session %lld of \"%.*s\": its client was silent for %lld s "
				"in the middle of a transaction",
				(long long)db_rows_i64(rows, i, 1),
				SPAN_ARG(db_rows_text(rows, i, 0)),
				(long long)db_rows_i64(rows, i, 2));
}

static void keeper_on_watched(void *arg, const struct db_end *end)
{
	struct keeper *k = arg;

	k->watching = false;
	if (end->outcome != DB_COMMITTED)
		log_damped(LOG_LVL_WARNING, &k->lc, "could not look for silent sessions: %s",
			end->err.text);
}

static void keeper_on_watch(void *arg)
{
	struct keeper *k = arg;

	loop_timer_in(k->watch_timer, (int64_t)k->silence_ms * 500);
	if (k->watching || !db_is_up(k->db))
		return;
	k->watching = true;
	bind_begin(&k->bind, SQL_END_SILENT);
	bind_int(&k->bind, 0, k->silence_ms);
	db_send(k->db, &k->bind, keeper_on_silent, k, 0);
	db_sync(k->db, keeper_on_watched, k);
}

/*** life ***/

static void keeper_on_state(void *arg, bool up)
{
	struct keeper *k = arg;

	if (up && k->step == KEEPER_REST)
		loop_timer_in(k->timer, 0);
}

struct keeper *keeper_open(
	struct loop *loop, const char *dsn, int silence_ms, const struct keeper_months *keep)
{
	struct keeper *k = xcalloc(1, sizeof *k);
	/* the look for silent sessions must not stand behind work that waits for the lock of one */
	struct db_env env = { .dsn = dsn,
		.name = "nudged keeper",
		.users = SQL_KEEPER,
		.unsafe_durability = true, /* the lanes refuse; one warning is enough */
		.statement_timeout_ms = 120000,
		.lock_timeout_ms = silence_ms / 2,
		.answer_timeout_ms = 150000,
		.on_state = keeper_on_state,
		.arg = k };

	k->loop = loop;
	k->lc.room = "keeper";
	k->keep = *keep;
	k->silence_ms = silence_ms;
	k->timer = loop_timer_open(loop, keeper_on_timer, k);
	k->watch_timer = loop_timer_open(loop, keeper_on_watch, k);
	k->db = db_open(loop, &env);
	keeper_on_watch(k);
	return k;
}

int64_t keeper_until_us(const struct keeper *k)
{
	return k->until_us;
}

void keeper_set(struct keeper *k, const struct keeper_months *keep)
{
	k->keep = *keep;
}

static void keeper_free(void *p)
{
	free(p);
}

void keeper_close(struct keeper *k)
{
	if (k == NULL)
		return;
	db_close(k->db);
	loop_timer_close(k->timer);
	loop_timer_close(k->watch_timer);
	while (k->n_todo > 0)
		free(k->todo[--k->n_todo]);
	free(k->todo);
	bind_fini(&k->bind);
	loop_defer_free(k->loop, k, keeper_free);
}
