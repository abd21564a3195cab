/* pg_fetch.c: what the engine asks in the middle of judging: one statement per question, one round trip.
 *
 * Everything is bounded by `seq <` and reads inside the batch's own transaction, under its locks.
 */
#include "base/clock.h"
#include "model/shop.h"
#include "store/pg_int.h"

static void fetch_on_events(struct pg_lane *l, struct query *q, const struct db_rows *rows)
{
	size_t n = db_rows_count(rows);

	q->rows = arena_array(l->reader.arena, struct query_row, n);
	q->n_rows = n;
	for (size_t i = 0; i < n; i++)
		q->rows[i] = (struct query_row){ .id = bind_copy(&l->reader, rows, i, 0),
			.type = bind_copy(&l->reader, rows, i, 1),
			.data = bind_copy(&l->reader, rows, i, 2),
			.time_us = db_rows_time(rows, i, 3),
			.seq = db_rows_i64(rows, i, 4) };
}

static void fetch_on_orders(struct pg_lane *l, struct query *q, const struct db_rows *rows)
{
	size_t n = db_rows_count(rows);

	q->orders = arena_array(l->reader.arena, struct order *, n);
	q->n_orders = n;
	for (size_t i = 0; i < n; i++) {
		struct order *o = arena_new(l->reader.arena, struct order);

		o->customer = db_rows_i64(rows, i, 0);
		bind_read(&l->reader, rows, i, 1, pg_order_cols, pg_n_order_cols, o);
		q->orders[i] = o;
	}
}

static void fetch_on_chain(struct pg_lane *l, struct query *q, const struct db_rows *rows)
{
	if (db_rows_count(rows) == 0)
		return;
	q->chain->event = bind_copy(&l->reader, rows, 0, 0);
	q->chain->history = bind_copy(&l->reader, rows, 0, 1);
	q->chain->arrived = bind_copy(&l->reader, rows, 0, 2);
	q->chain->loaded = true;
}

static void fetch_on_messages(struct pg_lane *l, struct query *q, const struct db_rows *rows)
{
	size_t n = db_rows_count(rows);

	q->messages = arena_array(l->reader.arena, struct query_message, n);
	q->n_messages = n;
	for (size_t i = 0; i < n; i++)
		q->messages[i] = (struct query_message){ .id = db_rows_i64(rows, i, 0),
			.chain = db_rows_i64(rows, i, 1),
			.is_loose = db_rows_bool(rows, i, 2) };
}

/* The answer to query number `tag`. */
static void fetch_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;
	struct query *q = &l->queries[tag];

	switch (q->kind) {
	case QUERY_COUNT:
		q->count = db_rows_i64(rows, 0, 0);
		q->last_us = db_rows_time(rows, 0, 1);
		break;
	case QUERY_EVENTS: fetch_on_events(l, q, rows); break;
	case QUERY_ORDERS: fetch_on_orders(l, q, rows); break;
	case QUERY_TEXT:
		if (db_rows_count(rows) == 0)
			break;
		q->text = bind_copy(&l->reader, rows, 0, 0);
		q->level = (int)db_rows_i64(rows, 0, 1);
		break;
	case QUERY_CHAIN: fetch_on_chain(l, q, rows); break;
	case QUERY_REASON:
	case QUERY_SENDING: fetch_on_messages(l, q, rows); break;
	}
}

/* Types without a star are compared whole, those with one by their beginning; no types: any beginning. */
static void fetch_bind_types(struct bind *b, unsigned exact, unsigned begins, const struct query *q)
{
	for (size_t i = 0; i < q->n_types; i++) {
		struct span t = q->types[i];

		if (t.n > 0 && t.p[t.n - 1] == '*')
			bind_key(b, begins, (struct span){ t.p, t.n - 1 });
		else
			bind_key(b, exact, t);
	}
	if (q->n_types == 0)
		bind_key(b, begins, SPAN(""));
}

static struct span fetch_shop(const struct query *q)
{
	return q->shop ? span_of(q->shop->id) : SPAN("");
}

static int fetch_limit(const struct query *q)
{
	return q->limit > 10000 ? 10000 : (int)q->limit;
}

static void fetch_bind(struct bind *b, const struct query *q)
{
	switch (q->kind) {
	case QUERY_COUNT:
	case QUERY_EVENTS:
		bind_begin(b, q->kind == QUERY_COUNT ? SQL_QUERY_COUNT : SQL_QUERY_EVENTS);
		bind_i64(b, 0, q->customer);
		bind_i64(b, 1, q->before_seq);
		bind_time(b, 2, q->since_us);
		bind_text(b, 3, fetch_shop(q));
		fetch_bind_types(b, 4, 5, q);
		if (q->kind == QUERY_EVENTS)
			bind_int(b, 6, fetch_limit(q));
		break;
	case QUERY_ORDERS:
		bind_begin(b, SQL_QUERY_ORDERS);
		bind_i64(b, 0, q->customer);
		bind_time(b, 1, q->since_us);
		bind_text(b, 2, fetch_shop(q));
		bind_key(b, 3, q->order_id);
		bind_int(b, 4, fetch_limit(q));
		break;
	case QUERY_TEXT:
		bind_begin(b, SQL_QUERY_TEXT);
		bind_key(b, 0, q->hash);
		break;
	case QUERY_CHAIN:
		bind_begin(b, SQL_QUERY_CHAIN);
		bind_i64(b, 0, q->chain->id);
		break;
	case QUERY_REASON:
		bind_begin(b, SQL_QUERY_REASON);
		bind_i64(b, 0, q->customer);
		bind_key(b, 1, q->rule);
		bind_key(b, 2, q->reason);
		bind_int(b, 3, fetch_limit(q));
		break;
	case QUERY_SENDING:
		bind_begin(b, SQL_QUERY_SENDING);
		bind_i64(b, 0, q->customer);
		bind_i64(b, 1, q->chain->id);
		break;
	}
}

void pg_fetch(struct store *s, int lane, struct batch *b, struct query *q, size_t n,
	store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, &b->arena, done, arg);
	l->queries = q;
	for (size_t i = 0; i < n; i++) {
		q[i].count = 0;
		q[i].last_us = TIME_NONE;
		q[i].n_rows = q[i].n_orders = q[i].n_messages = 0;
		q[i].text = (struct span){ NULL, 0 };
		fetch_bind(&l->bind, &q[i]);
		db_send(l->db, &l->bind, fetch_on_rows, l, (unsigned)i);
	}
	db_sync(l->db, pg_end, l);
}
