/*
 * ctl_doubt.c: `nudgectl doubts`: messages whose hand-over was interrupted, and a person's word on one.
 *
 * Nobody but a person knows more than the daemon about such a message (P14): the mailbox or the provider's log tells.
 * The word is written under the customer's lock, with the news for the chain that waits for it, in one transaction.
 */
#include "main/ctl.h"
#include "main/ctl_db.h"
#include "main/ctl_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ctl_doubt_word {
	const char *word, *state, *news; /* news: type of the event for the chain, NULL: none yet */
	const char *done;
};

static const struct ctl_doubt_word ctl_doubt_words[] = {
	{ "sent", "sent", "message.sent", "counts as sent" },
	{ "failed", "failed", "message.failed", "counts as failed" },
	{ "resend", "ready", NULL, "will be sent once more" },
};

static const struct ctl_doubt_word *ctl_doubt_word(const char *word)
{
	for (size_t i = 0; i < sizeof ctl_doubt_words / sizeof *ctl_doubt_words; i++)
		if (strcmp(ctl_doubt_words[i].word, word) == 0)
			return &ctl_doubt_words[i];
	return NULL;
}

static bool ctl_doubt_list(struct block *b, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	bool ok;

	bind_begin(&bind, SQL_DOUBT_LIST);
	ok = block_exec(b, &bind, &rows, err);
	bind_fini(&bind);
	if (!ok)
		return false;
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		char at[CTL_TIME_SIZE];

		printf("%-14lld %-8.*s %-24.*s customer %lld, claimed %s",
			(long long)db_rows_i64(rows, i, 0), SPAN_ARG(db_rows_text(rows, i, 1)),
			SPAN_ARG(db_rows_text(rows, i, 2)), (long long)db_rows_i64(rows, i, 3),
			ctl_db_show_time(db_rows_time(rows, i, 4), at));
		fputs(": ", stdout);
		ctl_text_line(stdout, db_rows_text(rows, i, 5));
		putchar('\n');
	}
	if (db_rows_count(rows) == 0)
		puts("no message is in doubt");
	block_rows_free(rows);
	return true;
}

/* Whose message it is; an error when it is not in doubt. */
static bool ctl_doubt_customer(struct block *b, int64_t message, int64_t *ret, struct err *err)
{
	if (!ctl_db_holder(b, SQL_DOUBT_HOLDER, message, ret, err))
		return false;
	if (*ret != 0)
		return true;
	err_set(err, "message %lld is not in doubt", (long long)message);
	return err_hint(err, "\"nudgectl doubts\" lists those that are.");
}

static bool ctl_doubt_change(struct block *b, int64_t message, int64_t customer,
	const struct ctl_doubt_word *w, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	char object[32], action[32];
	bool ok, done;

	snprintf(object, sizeof object, "%lld", (long long)message);
	snprintf(action, sizeof action, "doubts resolve %s", w->word);
	bind_begin(&bind, SQL_DOUBT_RESOLVE);
	bind_i64(&bind, 0, message);
	bind_i64(&bind, 1, customer);
	bind_text(&bind, 2, span_of(w->state));
	bind_text(&bind, 3, span_of(w->news));
	ok = block_exec(b, &bind, &rows, err);
	bind_fini(&bind);
	if (!ok)
		return false;
	done = db_rows_count(rows) > 0;
	block_rows_free(rows);
	return done ? ctl_db_audit(b, action, object, NULL, err)
		    : err_set(err, "message %s is not in doubt any more", object);
}

static bool ctl_doubt_resolve(
	struct block *b, int64_t message, const struct ctl_doubt_word *w, struct err *err)
{
	int64_t customer;

	if (!ctl_doubt_customer(b, message, &customer, err) ||
		!ctl_db_begin_customer(b, customer, err) ||
		!ctl_db_end(b, ctl_doubt_change(b, message, customer, w, err), err))
		return false;
	printf("message %lld %s\n", (long long)message, w->done);
	return true;
}

int ctl_doubts(const struct ctl_env *env, int argc, char **argv)
{
	const struct ctl_doubt_word *w = argc == 4 ? ctl_doubt_word(argv[3]) : NULL;
	struct err err = { 0 };
	struct block *b;
	int64_t message = 0;
	bool ok;

	if (argc != 1 && (w == NULL || strcmp(argv[1], "resolve") != 0))
		return ctl_usage("doubts");
	if (w != NULL && !span_to_i64(span_of(argv[2]), &message)) {
		err_set(&err, "\"%s\" is no number of a message", argv[2]);
		return ctl_fail("doubts", &err);
	}
	if ((b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("doubts", &err);
	ok = w != NULL ? ctl_doubt_resolve(b, message, w, &err) : ctl_doubt_list(b, &err);
	block_close(b);
	return ok ? CTL_OK : ctl_fail("doubts", &err);
}
