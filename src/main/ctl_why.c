/* ctl_why.c: `nudgectl why CUSTOMER [RULE]`: what happened to a customer, and why or why not.
 *
 * The same entries as the API's timeline (db/read), one after the other in order of time.  With RULE only
 * what is about it: events that it met, with its verdicts, and what its chains did.  Texts come from
 * customers and stores: what could steer a terminal is shown as \xNN.
 */
#include "base/clock.h"
#include "base/json.h"
#include "db/read.h"
#include "main/ctl.h"
#include "main/ctl_customer.h"
#include "main/ctl_db.h"
#include "main/ctl_text.h"
#include "model/shop.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { WHY_PAGE = 500 };

struct why {
	struct block *block;
	const char *rule; /* NULL: all */
	int64_t customer;
	int64_t since_us;   /* TIME_NONE: from the beginning */
	struct arena arena; /* of one page */
	size_t shown;
};

/* ---- pieces of a line ---- */

/* The member as text: strings as they are, other values as JSON; empty for null. */
static struct span why_get(struct why *w, struct span entry, const char *key)
{
	struct span value;

	if (!json_get(entry, span_of(key), &value) || json_is_null(value))
		return SPAN("");
	return json_kind(value) == JSON_STRING ? json_text(value, &w->arena) : value;
}

/* Prints before, the member, after; nothing when there is no such member. */
static void why_member(
	struct why *w, struct span entry, const char *before, const char *key, const char *after)
{
	struct span text = why_get(w, entry, key);

	if (text.n == 0)
		return;
	fputs(before, stdout);
	ctl_text_line(stdout, text);
	fputs(after, stdout);
}

/* Is the object about the rule that was asked for? */
static bool why_wants(const struct why *w, struct span object)
{
	struct span rule;

	return w->rule == NULL ||
	       (json_get(object, SPAN("rule"), &rule) && json_text_is(rule, span_of(w->rule)));
}

/* ---- entries ---- */

/* "  welcome: when, read orders.total = 12" */
static void why_verdict(struct why *w, struct span verdict)
{
	struct json_iter it;
	struct span key, value, reads;
	const char *before = "; read ";

	fputs("                       ", stdout);
	why_member(w, verdict, "", "rule", ": ");
	why_member(w, verdict, "", "v", "");
	why_member(w, verdict, " by ", "on", "");
	why_member(w, verdict, ", chain ", "chain", "");
	why_member(w, verdict, ": ", "error", "");
	why_member(w, verdict, "; warning: ", "warning", "");
	if (json_get(verdict, SPAN("read"), &reads)) {
		json_iter_init(&it, reads);
		while (json_next(&it, &key, &value)) {
			fputs(before, stdout);
			ctl_text_line(stdout, json_text(key, &w->arena));
			fputs(" = ", stdout);
			ctl_text_line(stdout, value);
			before = ", ";
		}
	}
	putchar('\n');
}

static bool why_event_is_wanted(const struct why *w, struct span entry)
{
	struct json_iter it;
	struct span verdicts, verdict;

	if (w->rule == NULL)
		return true;
	if (!json_get(entry, SPAN("verdicts"), &verdicts))
		return false;
	json_iter_init(&it, verdicts);
	while (json_next(&it, NULL, &verdict))
		if (why_wants(w, verdict))
			return true;
	return false;
}

static void why_event(struct why *w, struct span entry)
{
	struct json_iter it;
	struct span verdicts, verdict;

	why_member(w, entry, "", "type", "");
	why_member(w, entry, "  ", "store", "");
	why_member(w, entry, "/", "source", "");
	why_member(w, entry, "/", "id", "");
	why_member(w, entry, ", emitted by chain ", "cause_chain", "");
	why_member(w, entry, ", it claimed ", "claimed_time", "");
	putchar('\n');
	if (!json_get(entry, SPAN("verdicts"), &verdicts))
		return;
	json_iter_init(&it, verdicts);
	while (json_next(&it, NULL, &verdict))
		if (why_wants(w, verdict))
			why_verdict(w, verdict);
}

static void why_consent(struct why *w, struct span entry)
{
	why_member(w, entry, "", "channel", "");
	fputs(span_is(why_get(w, entry, "given"), "true") ? " given" : " withdrawn", stdout);
	why_member(w, entry, " by ", "source", "");
	putchar('\n');
}

static void why_chain(struct why *w, struct span entry)
{
	why_member(w, entry, "", "rule", " started");
	why_member(w, entry, ", chain ", "id", "");
	why_member(w, entry, ", about ", "key", "");
	why_member(w, entry, "; it is ", "state", "");
	why_member(w, entry, ", wakes ", "wake_at", "");
	if (!span_is(why_get(w, entry, "awaits"), "[]"))
		why_member(w, entry, ", awaits ", "awaits", "");
	if (why_get(w, entry, "ended").n == 0)
		why_member(w, entry, ": ", "reason", "");
	putchar('\n');
}

static void why_chain_end(struct why *w, struct span entry)
{
	why_member(w, entry, "", "rule", " ended");
	why_member(w, entry, ", chain ", "id", "");
	why_member(w, entry, ": ", "state", "");
	why_member(w, entry, ", ", "reason", "");
	putchar('\n');
}

static void why_task(struct why *w, struct span entry)
{
	why_member(w, entry, "\"", "title", "\"");
	why_member(w, entry, ", task ", "id", "");
	why_member(w, entry, " by ", "rule", "");
	why_member(w, entry, " for ", "manager", "");
	why_member(w, entry, " for group ", "group", "");
	why_member(w, entry, ", until ", "deadline", "");
	why_member(w, entry, "; it is ", "state", "");
	why_member(w, entry, ", result ", "result", "");
	if (span_is(why_get(w, entry, "overdue"), "true"))
		fputs(", overdue", stdout);
	putchar('\n');
}

static void why_note(struct why *w, struct span entry)
{
	why_member(w, entry, "", "text", "");
	why_member(w, entry, "  (", "rule", ")");
	putchar('\n');
}

static void why_message(struct why *w, struct span entry)
{
	static const char *const outcomes[] = { "delivered_at", "opened_at", "clicked_at",
		"replied_at", "bounced_at" };
	char word[24], before[32];

	why_member(w, entry, "", "class", " ");
	why_member(w, entry, "", "channel", "");
	why_member(w, entry, " \"", "template", "\"");
	why_member(w, entry, " by ", "rule", "");
	why_member(w, entry, ", message ", "id", "");
	why_member(w, entry, "; it is ", "state", "");
	why_member(w, entry, " (", "code", ")");
	why_member(w, entry, ": ", "detail", "");
	why_member(w, entry, ", due ", "due", "");
	why_member(w, entry, ", sent ", "sent_at", "");
	for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
		span_into((struct span){ outcomes[i], strlen(outcomes[i]) - strlen("_at") }, word,
			sizeof word);
		snprintf(before, sizeof before, ", %s ", word);
		why_member(w, entry, before, outcomes[i], "");
	}
	putchar('\n');
	if (why_get(w, entry, "verdict").n > 0)
		why_member(w, entry, "                       decided: ", "verdict", "\n");
}

static const struct {
	const char *label;
	void (*print)(struct why *w, struct span entry);
} why_kinds[TIMELINE_KINDS] = {
	[TIMELINE_EVENT] = { "event", why_event },
	[TIMELINE_CONSENT] = { "consent", why_consent },
	[TIMELINE_CHAIN] = { "chain", why_chain },
	[TIMELINE_TASK] = { "task", why_task },
	[TIMELINE_NOTE] = { "note", why_note },
	[TIMELINE_MESSAGE] = { "message", why_message },
	[TIMELINE_CHAIN_END] = { "chain", why_chain_end },
};

static void why_entry(struct why *w, const struct timeline_entry *e)
{
	char at[CTL_TIME_SIZE];

	if (e->kind == TIMELINE_EVENT ? !why_event_is_wanted(w, e->json) : !why_wants(w, e->json))
		return;
	w->shown++;
	printf("%s  %-8s ", ctl_db_show_time(e->at_us, at), why_kinds[e->kind].label);
	why_kinds[e->kind].print(w, e->json);
}

/* ---- the command ---- */

/* Reads one page behind the cursor and prints it; *ret_more: the cursor has moved, there is more. */
static bool why_page(struct why *w, struct buf *cursor, bool *ret_more, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows;
	struct timeline t;
	bool ok = timeline_init(&t, &w->arena, WHY_PAGE, buf_as_span(cursor));

	assert(ok); /* the cursor is our own */
	if (cursor->n == 0 && w->since_us != TIME_NONE)
		t.at_us = w->since_us;
	for (unsigned k = 0; ok && k < TIMELINE_KINDS; k++) {
		timeline_bind(&t, (enum timeline_kind)k, w->customer, SPAN(""), &bind);
		rows = NULL;
		ok = block_exec(w->block, &bind, &rows, err);
		if (ok)
			timeline_take(&t, (enum timeline_kind)k, rows);
		block_rows_free(rows);
	}
	bind_fini(&bind);
	if (!ok)
		return false;
	*ret_more = timeline_sort(&t);
	for (size_t i = 0; i < t.n; i++)
		why_entry(w, &t.entries[i]);
	buf_clear(cursor);
	if (*ret_more)
		timeline_cursor(&t, cursor);
	return true;
}

/* Who it is: "customer 12 of main, Anna, anna@example.com" */
static bool why_head(struct why *w, struct err *err)
{
	static const struct {
		const char *before;
		enum card_text text;
	} shown[] = { { ", ", CARD_NAME }, { ", ", CARD_EMAIL }, { ", ", CARD_PHONE } };
	struct customer card;

	if (!ctl_customer_card(w->block, w->customer, &w->arena, &card, err))
		return false;
	printf("customer %lld of %.*s", (long long)w->customer, SPAN_ARG(card.base));
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		if (card.text[shown[i].text].n > 0) {
			fputs(shown[i].before, stdout);
			ctl_text_line(stdout, card.text[shown[i].text]);
		}
	if (card.json[CARD_CONSENT].n > 2) {
		fputs(", consent ", stdout);
		ctl_text_line(stdout, card.json[CARD_CONSENT]);
	}
	if (card.json[CARD_SUPPRESSED].n > 2) {
		fputs(", suppressed ", stdout);
		ctl_text_line(stdout, card.json[CARD_SUPPRESSED]);
	}
	putchar('\n');
	return true;
}

static bool why_run(struct why *w, struct err *err)
{
	struct buf cursor = { 0 };
	bool more = true, ok = why_head(w, err);

	while (ok && more) {
		arena_reset(&w->arena);
		ok = why_page(w, &cursor, &more, err);
	}
	if (ok && w->shown == 0)
		puts(w->rule ? "this rule has not met the customer"
			     : "nothing is known to have happened");
	buf_free(&cursor);
	return ok;
}

/* Options; what is left are CUSTOMER and RULE. */
static bool why_options(int argc, char **argv, const char **ret_store, const char **ret_since)
{
	static const struct option options[] = { { "store", required_argument, NULL, 's' },
		{ "since", required_argument, NULL, 't' }, { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's': *ret_store = optarg; break;
		case 't': *ret_since = optarg; break;
		default: return false;
		}
	return argc - optind == 1 || argc - optind == 2;
}

int ctl_why(const struct ctl_env *env, int argc, char **argv)
{
	const char *store = NULL, *since = NULL;
	struct why w = { .since_us = TIME_NONE };
	const struct shop *shop;
	struct err err = { 0 };
	bool ok;

	if (!why_options(argc, argv, &store, &since))
		return ctl_usage("why");
	w.rule = argc - optind == 2 ? argv[optind + 1] : NULL;
	ok = (shop = ctl_customer_shop(env->settings, store, &err)) != NULL &&
	     (w.block = ctl_db_open(env, &err)) != NULL &&
	     (since == NULL || ctl_db_time(w.block, since, &w.since_us, &err)) &&
	     ctl_customer_find(w.block, shop, argv[optind], &w.customer, &err) && why_run(&w, &err);
	block_close(w.block);
	arena_fini(&w.arena);
	return ok ? CTL_OK : ctl_fail("why", &err);
}
