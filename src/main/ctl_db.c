/* ctl_db.c: the database as a person's tool sees it: short transactions, and never a customer waited for. */
#include "main/ctl_db.h"

#include "base/clock.h"
#include "base/now.h"
#include "main/activate.h"
#include "main/settings.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CTL_DB_HELD_PAUSE_US = 20000 };
static const int64_t CTL_DB_HELD_MOST_US = 30000000; /* somebody, while sweeping */
static const int64_t CTL_DB_SETTLE_MOST_US = 10000000;
static const int64_t CTL_DB_HOLD_MOST_US = 15000000; /* one customer */

struct block *ctl_db_open(const struct ctl_env *env, struct err *err)
{
	const struct settings *s = env->settings;

	return block_open(s->database.dsn, "nudgectl",
		s->nudged.unsafe_durability ? BLOCK_UNSAFE : BLOCK_CHECKED,
		(int)(s->database.statement_timeout_us / 1000), err);
}

bool ctl_db_begin(struct block *b, struct err *err)
{
	return block_exec_plain(b, SQL_BEGIN, NULL, err);
}

bool ctl_db_end(struct block *b, bool ok, struct err *err)
{
	struct err ignored;

	if (ok)
		return block_exec_plain(b, SQL_COMMIT, NULL, err);
	/* a connection that can not roll back is closed by now, which rolls back */
	if (block_is_open(b))
		(void)!block_exec_plain(b, SQL_ROLLBACK, NULL, &ignored);
	return false;
}

bool ctl_db_number(
	struct block *b, enum sql_id sql, int64_t number, struct db_rows **ret, struct err *err)
{
	struct bind bind = { .n = 0 };
	bool ok;

	bind_begin(&bind, sql);
	bind_i64(&bind, 0, number);
	ok = block_exec(b, &bind, ret, err);
	bind_fini(&bind);
	return ok;
}

/* *ret_held: nobody else has the card; it is ours until the end of the transaction. */
static bool ctl_db_hold(struct block *b, int64_t customer, bool *ret_held, struct err *err)
{
	struct db_rows *rows = NULL;
	bool ok = ctl_db_number(b, SQL_CARD_LOCK, customer, &rows, err);

	*ret_held = ok && db_rows_count(rows) > 0;
	block_rows_free(rows);
	return ok;
}

bool ctl_db_holder(struct block *b, enum sql_id sql, int64_t id, int64_t *ret, struct err *err)
{
	struct db_rows *rows = NULL;

	if (!ctl_db_number(b, sql, id, &rows, err))
		return false;
	*ret = db_rows_count(rows) > 0 ? db_rows_i64(rows, 0, 0) : 0;
	block_rows_free(rows);
	return true;
}

bool ctl_db_begin_customer(struct block *b, int64_t customer, struct err *err)
{
	int64_t until_us = clock_boot_us() + CTL_DB_HOLD_MOST_US;
	bool held;

	while (ctl_db_begin(b, err)) {
		if (!ctl_db_hold(b, customer, &held, err))
			return ctl_db_end(b, false, err);
		if (held)
			return true;
		if (clock_boot_us() > until_us) {
			err_set(err, "customer %lld is held by another process",
				(long long)customer);
			return ctl_db_end(b, false, err);
		}
		if (!block_exec_plain(b, SQL_ROLLBACK, NULL, err))
			return false;
		usleep(CTL_DB_HELD_PAUSE_US);
	}
	return false;
}

const char *ctl_db_who(void)
{
	static char text[128];
	const struct passwd *pw = getpwuid(getuid());
	const char *me = pw ? pw->pw_name : "nobody", *sudo = getenv("SUDO_USER");

	if (sudo != NULL && *sudo && getuid() == 0)
		snprintf(text, sizeof text, "%.60s (%.60s)", sudo, me);
	else
		snprintf(text, sizeof text, "%.120s", me);
	return text;
}

bool ctl_db_audit(struct block *b, const char *action, const char *object, const char *detail,
	struct err *err)
{
	struct activate_by by;
	struct bind bind = { .n = 0 };
	bool ok;

	activate_by_init(&by, ctl_db_who(), NULL);
	bind_begin(&bind, SQL_AUDIT_ADD);
	bind_text(&bind, 0, span_of(by.who));
	bind_text(&bind, 1, span_of(by.host));
	bind_text(&bind, 2, span_of(action));
	bind_text(&bind, 3, span_of(object));
	bind_text(&bind, 4, span_of(detail));
	ok = block_exec(b, &bind, NULL, err);
	bind_fini(&bind);
	return ok;
}

/* The database's clock: dues are compared with it. */
static bool ctl_db_now(struct block *b, int64_t *ret_us, struct err *err)
{
	struct db_rows *rows = NULL;

	if (!block_exec_plain(b, SQL_CLOCK, &rows, err))
		return false;
	*ret_us = db_rows_time(rows, 0, 0);
	block_rows_free(rows);
	return true;
}

bool ctl_db_time(struct block *b, const char *text, int64_t *ret_us, struct err *err)
{
	if (strcmp(text, "now") == 0)
		return ctl_db_now(b, ret_us, err);
	if (clock_parse_rfc3339(span_of(text), ret_us))
		return true;
	err_set(err, "\"%s\" is no time", text);
	return err_hint(err, "write \"now\", or date, time and zone: 2026-07-21T10:00:00+02:00");
}

char *ctl_db_show_time(int64_t at_us, char ret[CTL_TIME_SIZE])
{
	if (at_us == TIME_NONE) {
		memcpy(ret, "-", 2);
		return ret;
	}
	return clock_format_rfc3339(at_us - at_us % CLOCK_SECOND_US, ret);
}

/*** sweeping ***/

/* Locks some customers and puts them into the parameters of the change; *ret_n: how many rows that was. */
static bool sweep_lock(struct block *b, const struct ctl_db_sweep *s, struct bind *lock,
	struct bind *change, size_t *ret_n, struct err *err)
{
	struct db_rows *rows = NULL;

	bind_begin(lock, s->lock);
	s->fill(lock, 0, s->arg);
	if (!block_exec(b, lock, &rows, err))
		return false;
	bind_begin(change, s->change);
	*ret_n = db_rows_count(rows);
	for (size_t i = 0; i < *ret_n; i++)
		bind_i64(change, 0, db_rows_i64(rows, i, 0));
	s->fill(change, 1, s->arg);
	block_rows_free(rows);
	return true;
}

/* One transaction; *ret_left: others have some, too. */
static bool sweep_once(struct block *b, const struct ctl_db_sweep *s, struct bind binds[2],
	size_t *ret_n, bool *ret_left, struct err *err)
{
	struct db_rows *rows = NULL;
	size_t locked;
	bool ok;

	*ret_n = 0;
	if (!ctl_db_begin(b, err))
		return false;
	ok = sweep_lock(b, s, &binds[0], &binds[1], &locked, err) &&
	     block_exec(b, &binds[1], &rows, err);
	if (ok) {
		*ret_n = (size_t)db_rows_i64(rows, 0, 0);
		*ret_left = db_rows_bool(rows, 0, 1);
		block_rows_free(rows);
	}
	return ctl_db_end(b, ok, err);
}

/* Is everything with a smaller number over? */
static bool settle_is_over(struct block *b, int64_t ahead, bool *ret, struct err *err)
{
	struct db_rows *rows = NULL;

	if (!ctl_db_number(b, SQL_WRITES_OVER, ahead, &rows, err))
		return false;
	*ret = db_rows_bool(rows, 0, 0);
	block_rows_free(rows);
	return true;
}

bool ctl_db_settle(struct block *b, struct err *err)
{
	int64_t until_us = clock_boot_us() + CTL_DB_SETTLE_MOST_US, ahead;
	struct db_rows *rows = NULL;
	bool is_over = false;

	if (!block_exec_plain(b, SQL_WRITES_AHEAD, &rows, err))
		return false;
	ahead = db_rows_i64(rows, 0, 0);
	block_rows_free(rows);
	while (settle_is_over(b, ahead, &is_over, err)) {
		if (is_over || clock_boot_us() > until_us)
			return true; /* what has written for so long is no batch of an engine */
		usleep(CTL_DB_HELD_PAUSE_US);
	}
	return false;
}

bool ctl_db_sweep(struct block *b, const struct ctl_db_sweep *s, size_t *ret_n, struct err *err)
{
	struct bind binds[2] = { { .n = 0 } };
	int64_t since_us = clock_boot_us();
	bool left = true, ok = true;
	size_t n;

	*ret_n = 0;
	while (left && ok) {
		ok = sweep_once(b, s, binds, &n, &left, err);
		*ret_n += n;
		if (!ok || !left)
			break;
		if (n > 0) {
			since_us = clock_boot_us();
		} else if (clock_boot_us() - since_us > CTL_DB_HELD_MOST_US) {
			ok = err_set(err, "customers are held by another process for 30 s");
			err_hint(err, "look at the daemons of all hosts, then run this again");
		} else {
			usleep(CTL_DB_HELD_PAUSE_US);
		}
	}
	bind_fini(&binds[0]);
	bind_fini(&binds[1]);
	return ok;
}
