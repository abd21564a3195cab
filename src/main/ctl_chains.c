/*
 * ctl_chains.c: `nudgectl chains`: what is in flight, and a person's hand on one chain.
 *
 * stop and retry change the chain's row under its customer's lock, as the engine would: so they need no daemon.
 * A chain that was halted keeps what it was woken with; retry only makes it due.
 */
#include "main/ctl.h"
#include "main/ctl_db.h"
#include "main/ctl_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*** list ***/

/* ", awaits x": nothing when the text is empty. */
static void ctl_chains_more(const char *before, struct span text)
{
	if (text.n == 0)
		return;
	fputs(before, stdout);
	ctl_text_line(stdout, text);
}

static void ctl_chains_line(const struct db_rows *rows, size_t i)
{
	char at[CTL_TIME_SIZE];

	printf("%-14lld %-24.*s %-10.*s customer %lld", (long long)db_rows_i64(rows, i, 0),
		SPAN_ARG(db_rows_text(rows, i, 1)), SPAN_ARG(db_rows_text(rows, i, 4)),
		(long long)db_rows_i64(rows, i, 3));
	ctl_chains_more(", about ", db_rows_text(rows, i, 2));
	printf(", started %s", ctl_db_show_time(db_rows_time(rows, i, 5), at));
	printf(", wakes %s", ctl_db_show_time(db_rows_time(rows, i, 6), at));
	ctl_chains_more(", awaits ", db_rows_text(rows, i, 7));
	ctl_chains_more(": ", db_rows_text(rows, i, 8));
	putchar('\n');
}

static bool ctl_chains_list(struct block *b, const char *rule, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	bool ok;

	bind_begin(&bind, SQL_CHAIN_LIST);
	bind_text(&bind, 0, span_of(rule));
	ok = block_exec(b, &bind, &rows, err);
	bind_fini(&bind);
	if (!ok)
		return false;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		ctl_chains_line(rows, i);
	if (db_rows_count(rows) == 0)
		puts("no chains are live");
	block_rows_free(rows);
	return true;
}

/*** stop and retry ***/

static bool ctl_chains_customer(struct block *b, int64_t chain, int64_t *ret, struct err *err)
{
	return ctl_db_holder(b, SQL_CHAIN_HOLDER, chain, ret, err) &&
	       (*ret != 0 || err_set(err, "there is no live chain %lld", (long long)chain));
}

struct ctl_hand {
	const char *name;
	enum sql_id sql;
	int64_t chain, customer;
};

static bool ctl_chains_change(struct block *b, const struct ctl_hand *h, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	char object[32], action[32], reason[160];
	bool ok, done;

	snprintf(object, sizeof object, "%lld", (long long)h->chain);
	snprintf(action, sizeof action, "chains %s", h->name);
	bind_begin(&bind, h->sql);
	bind_i64(&bind, 0, h->chain);
	bind_i64(&bind, 1, h->customer);
	snprintf(reason, sizeof reason, "stopped by %s", ctl_db_who());
	if (h->sql == SQL_CHAIN_STOP)
		bind_text(&bind, 2, span_of(reason));
	ok = block_exec(b, &bind, &rows, err);
	bind_fini(&bind);
	if (!ok)
		return false;
	done = db_rows_count(rows) > 0;
	block_rows_free(rows);
	if (done)
		return ctl_db_audit(b, action, object, NULL, err);
	err_set(err, "chain %s is not stuck, failed or suspended", object);
	return h->sql == SQL_CHAIN_STOP
		       ? err_set(err, "there is no live chain %s any more", object)
		       : err_hint(err, "only a chain that was halted can be tried again");
}

static bool ctl_chains_hand(struct block *b, struct ctl_hand *h, struct err *err)
{
	if (!ctl_chains_customer(b, h->chain, &h->customer, err) ||
		!ctl_db_begin_customer(b, h->customer, err) ||
		!ctl_db_end(b, ctl_chains_change(b, h, err), err))
		return false;
	printf("chain %lld %s\n", (long long)h->chain,
		h->sql == SQL_CHAIN_STOP ? "is stopped" : "is tried again");
	return true;
}

int ctl_chains(const struct ctl_env *env, int argc, char **argv)
{
	struct ctl_hand hand = { .name = argc == 3 ? argv[1] : "" };
	struct err err = { 0 };
	struct block *b;
	bool ok;

	if (strcmp(hand.name, "stop") == 0)
		hand.sql = SQL_CHAIN_STOP;
	else if (strcmp(hand.name, "retry") == 0)
		hand.sql = SQL_CHAIN_RETRY;
	else if (argc > 2)
		return ctl_usage("chains");
	if (argc == 3 && !span_to_i64(span_of(argv[2]), &hand.chain)) {
		err_set(&err, "\"%s\" is no number of a chain", argv[2]);
		return ctl_fail("chains", &err);
	}
	if ((b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("chains", &err);
	ok = argc == 3 ? ctl_chains_hand(b, &hand, &err)
		       : ctl_chains_list(b, argc == 2 ? argv[1] : NULL, &err);
	block_close(b);
	return ok ? CTL_OK : ctl_fail("chains", &err);
}
