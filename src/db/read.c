/* read.c: one table per kind of row; the timeline is a merge of ordered pages.
 *
 * A page of n entries is taken from seven statements of n + 1 rows each, sorted here and cut.  One
 * statement with UNION ALL over everything would have to bring seven kinds of columns into one
 * shape, in JSON built by Postgres or in thirty columns of text; the statements are as short as
 * their tables now, and a kind more is a row more.  Keyset cursors and not offsets: what is added
 * meanwhile shifts nothing.
 */
#include "db/read.h"

#include "base/clock.h"
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum read_kind { AS_ID, AS_INT, AS_MONEY, AS_BOOL, AS_TIME, AS_TEXT, AS_JSON };

struct read_col {
	const char *name; /* NULL: not shown */
	enum read_kind kind;
};

/* In the order of CARD_COLUMNS. */
static const struct read_col read_card[] = { { "id", AS_ID }, { "base", AS_TEXT },
	{ "hidden", AS_BOOL }, { NULL, AS_ID }, { NULL, AS_ID }, { "email", AS_TEXT },
	{ "phone", AS_TEXT }, { "name", AS_TEXT }, { "first_name", AS_TEXT },
	{ "last_name", AS_TEXT }, { "lang", AS_TEXT }, { "tz", AS_TEXT }, { "city", AS_TEXT },
	{ "birthday", AS_TEXT }, { "gender", AS_TEXT }, { "manager", AS_TEXT },
	{ "first_source", AS_TEXT }, { "orders_count", AS_INT }, { "orders_total", AS_MONEY },
	{ "first_order_at", AS_TIME }, { "last_order_at", AS_TIME }, { "last_order_id", AS_TEXT },
	{ "created_at", AS_TIME }, { "last_seen_at", AS_TIME }, { "tags", AS_JSON },
	{ "attributes", AS_JSON }, { "consent", AS_JSON }, { "suppressed", AS_JSON },
	{ "cart", AS_JSON }, { NULL, AS_JSON } };

static const struct read_col read_order[] = { { "store", AS_TEXT }, { "id", AS_TEXT },
	{ "number", AS_TEXT }, { "status", AS_TEXT }, { "currency", AS_TEXT },
	{ "total", AS_MONEY }, { "refunded", AS_MONEY }, { "payment", AS_TEXT },
	{ "channel", AS_TEXT }, { "coupon", AS_TEXT }, { "tracking_number", AS_TEXT },
	{ "carrier", AS_TEXT }, { "tracking_url", AS_TEXT }, { "placed_at", AS_TIME },
	{ "delivery_at", AS_TIME }, { "delivery_until", AS_TIME }, { "updated_at", AS_TIME },
	{ "cancelled", AS_BOOL }, { "products", AS_JSON } };

static const struct read_col read_task[] = { { "id", AS_ID }, { "customer", AS_ID },
	{ "chain", AS_ID }, { "store", AS_TEXT }, { "rule", AS_TEXT }, { "title", AS_TEXT },
	{ "text", AS_TEXT }, { "manager", AS_TEXT }, { "group", AS_TEXT }, { "order_id", AS_TEXT },
	{ "call", AS_TEXT }, { "results", AS_JSON }, { "result", AS_TEXT }, { "priority", AS_INT },
	{ "created", AS_TIME }, { "deadline", AS_TIME }, { "remind", AS_TIME },
	{ "taken_at", AS_TIME }, { "done_at", AS_TIME }, { "overdue", AS_BOOL },
	{ "state", AS_TEXT } };

static const struct read_col read_message[] = { { "id", AS_ID }, { "customer", AS_ID },
	{ "chain", AS_ID }, { "store", AS_TEXT }, { "rule", AS_TEXT }, { "channel", AS_TEXT },
	{ "class", AS_TEXT }, { "priority", AS_INT }, { "template", AS_TEXT }, { "lang", AS_TEXT },
	{ "address", AS_TEXT }, { "subject", AS_TEXT }, { "reason", AS_TEXT },
	{ "created", AS_TIME }, { "due", AS_TIME }, { "expires", AS_TIME }, { "state", AS_TEXT },
	{ "code", AS_TEXT }, { "detail", AS_TEXT }, { "attempts", AS_INT }, { "sent_at", AS_TIME },
	{ "provider_id", AS_TEXT }, { "outcome", AS_TEXT }, { "outcome_at", AS_TIME },
	{ "delivered_at", AS_TIME }, { "opened_at", AS_TIME }, { "clicked_at", AS_TIME },
	{ "replied_at", AS_TIME }, { "bounced_at", AS_TIME }, { "verdict", AS_JSON } };

static const struct read_col read_chain[] = { { "id", AS_ID }, { "customer", AS_ID },
	{ "store", AS_TEXT }, { "rule", AS_TEXT }, { "key", AS_TEXT }, { "text_hash", AS_TEXT },
	{ "state", AS_TEXT }, { "started", AS_TIME }, { "ended", AS_TIME }, { "wake_at", AS_TIME },
	{ "awaits", AS_JSON }, { "reason", AS_TEXT } };

static const struct read_col read_pause[] = { { "scope", AS_TEXT }, { "reason", AS_TEXT },
	{ "since", AS_TIME } };

static const struct read_col read_event[] = { { "store", AS_TEXT }, { "source", AS_TEXT },
	{ "id", AS_TEXT }, { "type", AS_TEXT }, { "time", AS_TIME }, { "received", AS_TIME },
	{ "claimed_time", AS_TIME }, { "from", AS_TEXT }, { "cause_chain", AS_ID },
	{ "data", AS_JSON }, { "rule_set", AS_ID }, { "verdicts", AS_JSON } };

static const struct read_col read_consent[] = { { "channel", AS_TEXT }, { "given", AS_BOOL },
	{ "source", AS_TEXT } };

static const struct read_col read_note[] = { { "rule", AS_TEXT }, { "text", AS_TEXT },
	{ "chain", AS_ID } };

static const struct read_col read_chain_end[] = { { "id", AS_ID }, { "store", AS_TEXT },
	{ "rule", AS_TEXT }, { "key", AS_TEXT }, { "state", AS_TEXT }, { "reason", AS_TEXT } };

#define SHAPE(cols)                                                                                \
	{                                                                                          \
		(cols), sizeof(cols) / sizeof *(cols)                                              \
	}
static const struct {
	const struct read_col *cols;
	unsigned n;
} read_shapes[READ_WHATS] = {
	[READ_CARD] = SHAPE(read_card),
	[READ_ORDER] = SHAPE(read_order),
	[READ_TASK] = SHAPE(read_task),
	[READ_MESSAGE] = SHAPE(read_message),
	[READ_CHAIN] = SHAPE(read_chain),
	[READ_PAUSE] = SHAPE(read_pause),
	[READ_EVENT] = SHAPE(read_event),
	[READ_CONSENT] = SHAPE(read_consent),
	[READ_NOTE] = SHAPE(read_note),
	[READ_CHAIN_END] = SHAPE(read_chain_end),
};

/* "2026-07-21T10:15:30Z" */
static void read_put_time(struct buf *out, int64_t at_us)
{
	char text[32];

	buf_char(out, '"');
	buf_str(out, clock_format_rfc3339(at_us, text));
	buf_char(out, '"');
}

/* One value that is not NULL. */
static void read_put_value(
	struct buf *out, enum read_kind kind, const struct db_rows *rows, size_t row, unsigned col)
{
	double x;

	switch (kind) {
	case AS_ID: buf_printf(out, "\"%lld\"", (long long)db_rows_i64(rows, row, col)); break;
	case AS_INT: buf_int(out, db_rows_i64(rows, row, col)); break;
	case AS_MONEY:
		x = db_rows_f64(rows, row, col);
		if (isfinite(x))
			json_put_number(out, x);
		else
			buf_str(out, "null");
		break;
	case AS_BOOL: buf_str(out, db_rows_bool(rows, row, col) ? "true" : "false"); break;
	case AS_TIME: read_put_time(out, db_rows_time(rows, row, col)); break;
	case AS_TEXT: json_put_text(out, db_rows_text(rows, row, col)); break;
	case AS_JSON: buf_span(out, span_trim(db_rows_text(rows, row, col))); break;
	}
}

void read_members(struct buf *out, enum read_what what, const struct db_rows *rows, size_t row,
	unsigned first)
{
	for (unsigned i = 0; i < read_shapes[what].n; i++) {
		const struct read_col *c = &read_shapes[what].cols[i];
		unsigned col = first + i;

		if (c->name == NULL)
			continue;
		json_put_key(out, c->name);
		if (db_rows_null(rows, row, col) ||
			(c->kind == AS_ID && db_rows_i64(rows, row, col) == 0))
			buf_str(out, "null");
		else
			read_put_value(out, c->kind, rows, row, col);
	}
}

void read_object(struct buf *out, enum read_what what, const struct db_rows *rows, size_t row,
	unsigned first)
{
	buf_char(out, '{');
	read_members(out, what, rows, row, first);
	buf_char(out, '}');
}

const char *read_identity_name(int kind)
{
	static const char *const names[] = { NULL, "id", "email", "phone", "anonymous_id", "order",
		"parcel", "hidden" };

	return kind > 0 && kind < (int)(sizeof names / sizeof *names) ? names[kind] : NULL;
}

/* ---- the timeline ---- */

static const struct {
	const char *name;
	enum sql_id sql;
	enum read_what what;
} timeline_kinds[TIMELINE_KINDS] = {
	[TIMELINE_EVENT] = { "event", SQL_LINE_EVENTS, READ_EVENT },
	[TIMELINE_CONSENT] = { "consent", SQL_LINE_CONSENTS, READ_CONSENT },
	[TIMELINE_CHAIN] = { "chain", SQL_LINE_CHAINS, READ_CHAIN },
	[TIMELINE_TASK] = { "task", SQL_LINE_TASKS, READ_TASK },
	[TIMELINE_NOTE] = { "note", SQL_LINE_NOTES, READ_NOTE },
	[TIMELINE_MESSAGE] = { "message", SQL_LINE_MESSAGES, READ_MESSAGE },
	[TIMELINE_CHAIN_END] = { "chain_end", SQL_LINE_CHAIN_ENDS, READ_CHAIN_END },
};

const char *timeline_kind_name(enum timeline_kind k)
{
	return timeline_kinds[k].name;
}

/* Takes the number before the next dot. */
static bool timeline_number(struct span *rest, int64_t *ret)
{
	const char *dot = memchr(rest->p, '.', rest->n);
	struct span word = { rest->p, dot ? (size_t)(dot - rest->p) : rest->n };
	size_t taken = word.n + (dot != NULL);

	if (!span_to_i64(word, ret))
		return false;
	*rest = (struct span){ rest->p + taken, rest->n - taken };
	return true;
}

bool timeline_init(struct timeline *t, struct arena *a, size_t limit, struct span cursor)
{
	int64_t at_us = CLOCK_LEAST_US, kind = TIMELINE_EVENT, id = INT64_MIN;

	if (cursor.n > 0 &&
		(cursor.p[cursor.n - 1] == '.' || !timeline_number(&cursor, &at_us) ||
			!timeline_number(&cursor, &kind) || !timeline_number(&cursor, &id) ||
			cursor.n > 0 || kind < 0 || kind >= TIMELINE_KINDS ||
			at_us < CLOCK_LEAST_US || at_us > CLOCK_MOST_US))
		return false;
	*t = (struct timeline){
		.arena = a, .limit = limit, .at_us = at_us, .kind = (int)kind, .id = id
	};
	return true;
}

void timeline_bind(const struct timeline *t, enum timeline_kind kind, int64_t customer,
	struct span store, struct bind *b)
{
	bind_begin(b, timeline_kinds[kind].sql);
	bind_i64(b, 0, customer);
	bind_time(b, 1, t->at_us);
	/* at the cursor's moment: kinds before its own are told, those behind it are not */
	bind_i64(b, 2, (int)kind < t->kind ? INT64_MAX : (int)kind == t->kind ? t->id : INT64_MIN);
	bind_key(b, 3, store);
	bind_int(b, 4, (int)t->limit + 1);
}

void timeline_take(struct timeline *t, enum timeline_kind kind, const struct db_rows *rows)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct timeline_entry *e, *old = t->entries;

		if (t->n ==
			t->cap) { /* arenas do not give back: doubling wastes as much as it holds */
			t->cap = t->cap ? 2 * t->cap : 64;
			t->entries = arena_array(t->arena, struct timeline_entry, t->cap);
			if (old != NULL)
				memcpy(t->entries, old, t->n * sizeof *old);
		}
		e = &t->entries[t->n++];
		e->kind = kind;
		e->at_us = db_rows_time(rows, i, 0);
		e->id = db_rows_i64(rows, i, 1);
		buf_clear(&b);
		buf_str(&b, "{\"at\":");
		read_put_time(&b, e->at_us);
		buf_printf(&b, ",\"what\":\"%s\"", timeline_kinds[kind].name);
		read_members(&b, timeline_kinds[kind].what, rows, i, 2);
		buf_char(&b, '}');
		e->json = (struct span){ arena_dup(t->arena, b.p, b.n), b.n };
	}
	buf_free(&b);
}

/* (at, kind, id) */
static int timeline_cmp(const void *x, const void *y)
{
	const struct timeline_entry *a = x, *b = y;

	if (a->at_us != b->at_us)
		return a->at_us < b->at_us ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

bool timeline_sort(struct timeline *t)
{
	if (t->n > 0)
		qsort(t->entries, t->n, sizeof *t->entries, timeline_cmp);
	if (t->n <= t->limit)
		return false;
	t->n = t->limit;
	return true;
}

void timeline_cursor(const struct timeline *t, struct buf *out)
{
	const struct timeline_entry *e = &t->entries[t->n - 1];

	assert(t->n > 0);
	buf_printf(out, "%lld.%d.%lld", (long long)e->at_us, (int)e->kind, (long long)e->id);
}
