/*
 * activate.c: one row decides.
 *
 * `current` is locked first, by a statement of its own; only then is it decided, by what later statements read,
 * whether there is anything to do.  Engines are not held up: they read `current` without a lock.
 *
 * A checker that has read the files and then waits for the database, or runs long tests, must not take back what
 * was activated meanwhile from newer files: under the lock they are read once more, and must say the same.
 *
 * What a host activated last is read from rule_set itself, not from a file of this host: a fresh disk with old
 * files on it must not count as news.  Rejected: comparing with the current set at start.  With two hosts of
 * which one was given new files, every restart of the other would bring the old rules back.
 */
#include "main/activate.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "main/rule_files.h"
#include "main/settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ACTIVATE_PAUSE_MS = 250, ACTIVATE_PAUSE_MOST_MS = 5000 };

static const struct log_ctx activate_log = { "rules", "" };

void activate_by_init(struct activate_by *by, const char *who, const struct settings *s)
{
	by->who = who;
	by->rules_dir = s ? s->nudged.rules_dir : NULL;
	by->templates_dir = s ? s->nudged.templates_dir : NULL;
	if (gethostname(by->host, sizeof by->host) != 0)
		snprintf(by->host, sizeof by->host, "localhost");
	by->host[sizeof by->host - 1] = '\0';
}

/* Does the set stand for these files already?  Then *ret_id is its number, else 0. */
static bool activate_same(struct block *b, struct bind *bind, const struct rule_set *set,
	enum activate_when when, const struct activate_by *by, int64_t *ret_id, struct err *err)
{
	struct db_rows *rows = NULL;
	bool ok = false;

	*ret_id = 0;
	switch (when) {
	case ACTIVATE_AT_START:
		bind_begin(bind, SQL_SET_OF_HOST);
		bind_key(bind, 0, span_of(by->host));
		ok = block_exec(b, bind, &rows, err);
		break;
	case ACTIVATE_ASKED: ok = block_exec_plain(b, SQL_SET_IS, &rows, err); break;
	}
	if (!ok)
		return false;
	if (db_rows_count(rows) > 0 && span_is(db_rows_text(rows, 0, 1), set->hash) &&
		(when == ACTIVATE_AT_START || span_is(db_rows_text(rows, 0, 2), by->host)))
		*ret_id = db_rows_i64(rows, 0, 0);
	block_rows_free(rows);
	return true;
}

/* The texts that are not there yet. */
static bool activate_texts(
	struct block *b, struct bind *bind, const struct rule_set *set, struct err *err)
{
	bind_begin(bind, SQL_SET_WRITE_TEXTS);
	for (size_t i = 0; i < set->n_texts; i++) {
		bind_key(bind, 0, span_of(set->texts[i].hash));
		bind_int(bind, 1, set->texts[i].level);
		bind_key(bind, 2, set->texts[i].path);
		bind_key(bind, 3, set->texts[i].bundle);
	}
	if (!block_exec(b, bind, NULL, err))
		return false;
	bind_begin(bind, SQL_SET_WRITE_TEMPLATES);
	for (size_t i = 0; i < set->n_templates; i++) {
		bind_key(bind, 0, span_of(set->templates[i].hash));
		bind_key(bind, 1, set->templates[i].body);
	}
	return block_exec(b, bind, NULL, err);
}

/* The set with its links; moves `current`. */
static bool activate_write(struct block *b, struct bind *bind, struct rule_set *set,
	const struct activate_by *by, struct err *err)
{
	struct db_rows *rows = NULL;

	if (!activate_texts(b, bind, set, err))
		return false;
	bind_begin(bind, SQL_SET_WRITE);
	bind_key(bind, 0, span_of(set->hash));
	bind_key(bind, 1, span_of(by->who));
	bind_key(bind, 2, span_of(by->host));
	for (size_t i = 0; i < set->n_texts; i++) {
		bind_key(bind, 3, span_of(set->texts[i].hash));
		bind_int(bind, 4, set->texts[i].level);
	}
	for (size_t i = 0; i < set->n_templates; i++) {
		bind_key(bind, 5, set->templates[i].name);
		bind_key(bind, 6, set->templates[i].lang);
		bind_key(bind, 7, span_of(set->templates[i].hash));
	}
	if (!block_exec(b, bind, &rows, err))
		return false;
	set->id = db_rows_i64(rows, 0, 0);
	block_rows_free(rows);
	return true;
}

/* The row in the audit trail. */
static bool activate_audit(struct block *b, struct bind *bind, const struct rule_set *set,
	const struct activate_by *by, struct err *err)
{
	char object[32];

	snprintf(object, sizeof object, "%lld", (long long)set->id);
	bind_begin(bind, SQL_AUDIT_ADD);
	bind_text(bind, 0, span_of(by->who));
	bind_text(bind, 1, span_of(by->host));
	bind_text(bind, 2, SPAN("rules activate"));
	bind_text(bind, 3, span_of(object));
	bind_text(bind, 4, (struct span){ NULL, 0 });
	return block_exec(b, bind, NULL, err);
}

/* Do the files still say what was checked?  Else somebody with newer ones may have been quicker. */
static bool activate_is_fresh(const struct rule_set *set, const struct activate_by *by,
	struct activate_done *done, struct err *err)
{
	struct rule_set now;
	struct arena a = { 0 };
	bool ok = rule_files_read(by->rules_dir, by->templates_dir, &a, &now, err);

	done->outdated = !ok || strcmp(now.hash, set->hash) != 0;
	arena_fini(&a);
	if (!done->outdated)
		return true;
	if (ok)
		err_set(err, "the files in \"%s\" changed while they were checked", by->rules_dir);
	return err_hint(err, "reload when all of them are written");
}

/* The inside of the transaction. */
static bool activate_inside(struct block *b, struct bind *bind, struct rule_set *set,
	enum activate_when when, const struct activate_by *by, struct activate_done *done,
	struct err *err)
{
	if (!block_exec_plain(b, SQL_CURRENT_LOCK, NULL, err) ||
		!activate_same(b, bind, set, when, by, &done->id, err))
		return false;
	if (done->id != 0) {
		set->id = done->id;
		return true;
	}
	if (!activate_is_fresh(set, by, done, err) || !activate_write(b, bind, set, by, err) ||
		!activate_audit(b, bind, set, by, err))
		return false;
	done->id = set->id;
	done->changed = true;
	return true;
}

bool activate(struct block *b, struct rule_set *set, enum activate_when when,
	const struct activate_by *by, struct activate_done *ret, struct err *err)
{
	struct activate_done done = { 0 };
	struct bind bind = { .n = 0 };
	struct err ignored;
	bool ok;

	*ret = done;
	if (!block_exec_plain(b, SQL_BEGIN, NULL, err))
		return false;
	ok = activate_inside(b, &bind, set, when, by, &done, err);
	FAILPOINT_IF(ok && done.changed, "activate.written");
	ok = ok && block_exec_plain(b, SQL_COMMIT, NULL, err);
	FAILPOINT_IF(ok && done.changed, "activate.done");
	bind_fini(&bind);
	*ret = done;
	if (ok)
		return true;
	if (block_is_open(b) && !block_exec_plain(b, SQL_ROLLBACK, NULL, &ignored))
		log_debug(&activate_log, "could not roll back: %s", ignored.text);
	return false;
}

/* Once: connects, activates.  *ret_again: the database may be there later. */
static bool activate_try(const struct settings *s, struct rule_set *set, enum activate_when when,
	struct activate_done *ret, bool *ret_again, struct err *err)
{
	struct activate_by by;
	struct block *b = block_open(s->database.dsn, "nudged checker",
		s->nudged.unsafe_durability ? BLOCK_UNSAFE : BLOCK_CHECKED,
		(int)(s->database.statement_timeout_us / 1000), err);
	bool ok;

	*ret_again = true;
	*ret = (struct activate_done){ 0 };
	if (b == NULL)
		return false;
	activate_by_init(&by, "nudged", s);
	ok = activate(b, set, when, &by, ret, err);
	*ret_again = !ok && !block_is_open(b);
	block_close(b);
	return ok;
}

bool activate_on(const struct settings *s, struct rule_set *set, enum activate_when when,
	struct activate_done *ret, struct err *err)
{
	useconds_t pause_ms = ACTIVATE_PAUSE_MS;
	bool again;

	while (!activate_try(s, set, when, ret, &again, err)) {
		if (when != ACTIVATE_AT_START || !again)
			return false;
		log_damped(LOG_LVL_WARNING, &activate_log,
			"the rules wait for the database: %s%s%s", err->text,
			*err->hint ? "; " : "", err->hint);
		usleep(pause_ms * 1000);
		pause_ms = pause_ms * 2 < ACTIVATE_PAUSE_MOST_MS ? pause_ms * 2
								 : ACTIVATE_PAUSE_MOST_MS;
	}
	if (ret->changed)
		log_notice(&activate_log,
			"rule set %lld is current, %zu files, %zu templates, %.12s",
			(long long)ret->id, set->n_texts, set->n_templates, set->hash);
	else
		log_notice(&activate_log, "rules are those of set %lld, nothing to activate",
			(long long)ret->id);
	return true;
}
