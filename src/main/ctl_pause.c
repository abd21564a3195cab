/*
 * ctl_pause.c: stop buttons (P23): `nudgectl pause`, `resume`, `pauses`.
 *
 * A pause is a row that every claim of a courier reads; so it is effective with the next claim, on all hosts.
 * `resume --drop` drops first and lifts the pause afterwards: in between nothing of it can go out.
 */
#include "main/ctl.h"
#include "main/ctl_db.h"
#include "model/message.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CTL_SCOPE_SIZE = 300 };

/* What is to be stopped: everything, a channel, or a rule. */
struct ctl_scope {
	char text[CTL_SCOPE_SIZE]; /* as the row has it: "channel:email" */
	struct span channel, rule; /* NULL: any */
};

/* Reads [all | channel NAME | rule NAME]. */
static bool ctl_scope_parse(int argc, char **argv, struct ctl_scope *ret, struct err *err)
{
	enum message_channel channel;

	*ret = (struct ctl_scope){ .text = "all" };
	if (argc == 0 || (argc == 1 && strcmp(argv[0], "all") == 0))
		return true;
	if (argc != 2 || *argv[1] == '\0' || strlen(argv[1]) > CTL_SCOPE_SIZE - 16)
		return err_set(err, "expected \"all\", \"channel NAME\" or \"rule NAME\"");
	snprintf(ret->text, sizeof ret->text, "%s:%s", argv[0], argv[1]);
	if (strcmp(argv[0], "rule") == 0) {
		ret->rule = span_of(argv[1]);
		return true;
	}
	if (strcmp(argv[0], "channel") != 0)
		return err_set(err, "unknown scope \"%s\"", argv[0]),
		       err_hint(err, "write \"all\", \"channel NAME\" or \"rule NAME\"");
	ret->channel = span_of(argv[1]);
	if (message_channel_parse(ret->channel, &channel))
		return true;
	err_set(err, "unknown channel \"%s\"", argv[1]);
	return err_hint(err, "channels are email and publish");
}

/*** pause ***/

static bool ctl_pause_add(
	struct block *b, const struct ctl_scope *scope, const char *reason, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	bool ok = ctl_db_begin(b, err), is_new = false;

	if (ok) {
		bind_begin(&bind, SQL_PAUSE_ADD);
		bind_text(&bind, 0, span_of(scope->text));
		bind_text(&bind, 1, span_of(ctl_db_who()));
		bind_text(&bind, 2, span_of(reason));
		ok = block_exec(b, &bind, &rows, err) &&
		     ctl_db_audit(b, "pause", scope->text, NULL, err);
		is_new = rows != NULL && db_rows_count(rows) > 0;
		block_rows_free(rows);
		ok = ctl_db_end(b, ok, err);
		bind_fini(&bind);
	}
	if (ok)
		printf("%s %s\n", scope->text, is_new ? "is paused" : "was paused already");
	return ok;
}

int ctl_pause(const struct ctl_env *env, int argc, char **argv)
{
	static const struct option options[] = { { "reason", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 } };
	const char *reason = NULL;
	struct ctl_scope scope;
	struct err err = { 0 };
	struct block *b;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'r': reason = optarg; break;
		default: return ctl_usage("pause");
		}
	if (!ctl_scope_parse(argc - optind, argv + optind, &scope, &err)) {
		ctl_fail("pause", &err);
		return ctl_usage("pause");
	}
	if ((b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("pause", &err);
	ok = ctl_pause_add(b, &scope, reason, &err);
	block_close(b);
	return ok ? CTL_OK : ctl_fail("pause", &err);
}

/*** pauses ***/

/* A copy of the database of another cluster sends nothing until somebody says so (courier/claim decides). */
static bool ctl_pauses_copy(struct block *b, struct err *err)
{
	struct db_rows *rows = NULL;

	if (!block_exec_plain(b, SQL_IS_COPY, &rows, err))
		return false;
	if (db_rows_bool(rows, 0, 0))
		puts("this database is a restored copy: nothing is sent until "
		     "nudgectl resume --restored-at TIME");
	block_rows_free(rows);
	return true;
}

bool ctl_pauses_show(struct block *b, struct err *err)
{
	struct db_rows *rows = NULL;
	char at[CTL_TIME_SIZE];

	if (!block_exec_plain(b, SQL_PAUSE_LIST, &rows, err))
		return false;
	if (db_rows_count(rows) == 0)
		puts("nothing is paused");
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct span reason = db_rows_text(rows, i, 2);

		printf("%.*s  paused since %s by %.*s%s%.*s\n", SPAN_ARG(db_rows_text(rows, i, 0)),
			ctl_db_show_time(db_rows_time(rows, i, 3), at),
			SPAN_ARG(db_rows_text(rows, i, 1)), reason.n ? ": " : "", SPAN_ARG(reason));
	}
	block_rows_free(rows);
	return ctl_pauses_copy(b, err);
}

int ctl_pauses(const struct ctl_env *env, int argc, char **argv)
{
	struct err err = { 0 };
	struct block *b;
	bool ok;

	(void)argv;
	if (argc != 1)
		return ctl_usage("pauses");
	if ((b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("pauses", &err);
	ok = ctl_pauses_show(b, &err);
	block_close(b);
	return ok ? CTL_OK : ctl_fail("pauses", &err);
}

/*** resume ***/

/* What is not to go out any more, and as what it is shown. */
struct ctl_waiting {
	const struct ctl_scope *scope;
	int64_t until_us;
	const char *state, *code;
};

/* Of both statements; the change has two parameters more. */
static void ctl_waiting_fill(struct bind *bind, unsigned first, const void *arg)
{
	const struct ctl_waiting *w = arg;

	bind_time(bind, first, w->until_us);
	bind_text(bind, first + 1, w->scope->channel);
	bind_text(bind, first + 2, w->scope->rule);
	if (bind->sql != SQL_WAITING_END)
		return;
	bind_text(bind, first + 3, span_of(w->state));
	bind_text(bind, first + 4, span_of(w->code));
}

static void ctl_deadline_fill(struct bind *bind, unsigned first, const void *arg)
{
	bind_time(bind, first, *(const int64_t *)arg);
}

static bool ctl_resume_drop(
	struct block *b, const struct ctl_scope *scope, int64_t until_us, struct err *err)
{
	const struct ctl_waiting w = { scope, until_us, "withdrawn", "dropped" };
	const struct ctl_db_sweep sweep = { SQL_WAITING_LOCK, SQL_WAITING_END, ctl_waiting_fill,
		&w };
	size_t n;

	if (!ctl_db_sweep(b, &sweep, &n, err))
		return false;
	printf("%zu messages that waited are dropped\n", n);
	return true;
}

/* A restored copy: what was due before has been sent, or has passed, where the copy was made from. */
static bool ctl_resume_expire(
	struct block *b, const struct ctl_scope *scope, int64_t until_us, struct err *err)
{
	const struct ctl_waiting w = { scope, until_us, "expired", "restored" };
	const struct ctl_db_sweep messages = { SQL_WAITING_LOCK, SQL_WAITING_END, ctl_waiting_fill,
		&w };
	const struct ctl_db_sweep deadlines = { SQL_DEADLINE_LOCK, SQL_DEADLINE_END,
		ctl_deadline_fill, &until_us };
	size_t n_messages, n_deadlines;

	if (!ctl_db_sweep(b, &messages, &n_messages, err) ||
		!ctl_db_sweep(b, &deadlines, &n_deadlines, err))
		return false;
	printf("%zu messages and %zu deadlines that were due before are expired\n", n_messages,
		n_deadlines);
	return true;
}

/* Takes the row away; *ret_was: there was one.  With accept this cluster may send from now on. */
static bool ctl_resume_lift(struct block *b, const struct ctl_scope *scope, bool accept,
	const char *detail, bool *ret_was, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	bool ok = ctl_db_begin(b, err);

	if (!ok)
		return false;
	bind_begin(&bind, SQL_PAUSE_END);
	bind_text(&bind, 0, span_of(scope->text));
	ok = block_exec(b, &bind, &rows, err) &&
	     (!accept || block_exec_plain(b, SQL_IDENTITY_ACCEPT, NULL, err)) &&
	     ctl_db_audit(b, "resume", scope->text, detail, err);
	*ret_was = rows != NULL && db_rows_count(rows) > 0;
	block_rows_free(rows);
	bind_fini(&bind);
	return ctl_db_end(b, ok, err);
}

struct ctl_resume {
	struct ctl_scope scope;
	bool drop;
	const char *restored_at; /* NULL: not asked for */
};

/* Is it paused at all?  Nothing is dropped by a slip of the pen. */
static bool ctl_resume_is_paused(struct block *b, const char *scope, bool *ret, struct err *err)
{
	struct db_rows *rows = NULL;

	*ret = false;
	if (!block_exec_plain(b, SQL_PAUSE_LIST, &rows, err))
		return false;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		*ret |= span_is(db_rows_text(rows, i, 0), scope);
	block_rows_free(rows);
	return true;
}

static bool ctl_resume_go(struct block *b, const struct ctl_resume *r, struct err *err)
{
	bool accept = r->restored_at != NULL, was = false;
	int64_t until_us;
	char at[CTL_TIME_SIZE], detail[96];

	if (!ctl_db_time(b, accept ? r->restored_at : "now", &until_us, err) ||
		!ctl_resume_is_paused(b, r->scope.text, &was, err))
		return false;
	if (!was && !accept) {
		printf("%s was not paused\n", r->scope.text);
		return true;
	}
	if ((accept && !ctl_resume_expire(b, &r->scope, until_us, err)) ||
		(r->drop && !ctl_resume_drop(b, &r->scope, until_us, err)))
		return false;
	snprintf(detail, sizeof detail, "{\"drop\":%s,\"restored_at\":%s%s%s}",
		r->drop ? "true" : "false", accept ? "\"" : "",
		accept ? ctl_db_show_time(until_us, at) : "null", accept ? "\"" : "");
	if (!ctl_resume_lift(b, &r->scope, accept, detail, &was, err))
		return false;
	printf("%s goes on\n", r->scope.text);
	return true;
}

int ctl_resume(const struct ctl_env *env, int argc, char **argv)
{
	static const struct option options[] = { { "drop", no_argument, NULL, 'd' },
		{ "restored-at", required_argument, NULL, 'r' }, { NULL, 0, NULL, 0 } };
	struct ctl_resume r = { .drop = false };
	struct err err = { 0 };
	struct block *b;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'd': r.drop = true; break;
		case 'r': r.restored_at = optarg; break;
		default: return ctl_usage("resume");
		}
	if (!ctl_scope_parse(argc - optind, argv + optind, &r.scope, &err) ||
		(r.restored_at != NULL && strcmp(r.scope.text, "all") != 0 &&
			!err_set(&err, "--restored-at goes with \"all\""))) {
		ctl_fail("resume", &err);
		return ctl_usage("resume");
	}
	if ((b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("resume", &err);
	ok = ctl_resume_go(b, &r, &err) && ctl_pauses_show(b, &err);
	block_close(b);
	return ok ? CTL_OK : ctl_fail("resume", &err);
}
