/*
 * limit.c: what Postgres itself can do with our tables on this machine: the write set of the intake for the events of
 * bench/load, and nothing else.  libpq and threads; no HTTP, no MQTT, no Lua, no judging.
 *
 *   limit --dsn DSN [--batch N] [--conns N] [--seconds S] [--chains %] [--messages %] [--bare] [--no-verdicts]
 *         [--rows]
 *
 * It is the yardstick that bench/run measures the daemon by, so it must not move with what it measures: statements
 * and binding are its own, written for this purpose only, though of the same shape (one unnest per table, binary arrays,
 * prepared, generic plans, pipeline mode).  A batch is one transaction in two round trips, as in the intake:
 *
 *	begin; lock the cards; read them; a number for the batch        -> Sync, answers are read
 *	events, orders with their identities, cards, chains, messages; commit  -> Sync
 *
 * What it leaves out is what a store of rows has no use for: looking for known events, live chains and last starts
 * beforehand.  Each connection has customers of its own, so nobody waits for a lock: the best that can be.
 * --bare leaves orders and their identities out.  --rows sends what is written as one array of rows per table, not as
 * one array per column: the daemon does so since it was found to be faster, the yardstick stays what it was when the
 * floors were set.  Its chains are nobody's: the daemon would read their heads with each event of their customers, two for
 * each that it started itself.  Customers are those that bench/load --mode seed made.
 *
 * Prints one line of key=value: events, seconds, rate, p50 and p99 of a batch in milliseconds, rows per event.
 */
#include <endian.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LIMIT_CONNS_MOST = 16,
	LIMIT_BATCH_MOST = 5000,
	LIMIT_PARAMS_MOST = 24,
	LIMIT_SAMPLES = 1 << 20,
	LIMIT_ARRAY_HEAD = 20,
	LIMIT_NUMBER_BITS = 17
};
static const int64_t LIMIT_EPOCH_US = 946684800000000; /* 2000-01-01 */

static struct {
	const char *dsn;
	int batch, conns, chains, messages;
	double seconds;
	bool bare, no_verdicts, rows;
} opt = { "", 500, 2, 30, 20, 5, false, false, false };

/* ---- statements ---- */

enum statement { LOCK, READ, NUMBER, EVENT, IDENTITY, ORDER, CARD, CHAIN, MESSAGE, STATEMENTS };

/* Letters: i bigint, n int, f float8, t timestamptz, s text, j json, u uuid: an array of each.  What writes ends in
 * "from unnest(...) u(names)", and `behind`. */
static const struct {
	const char *params, *text, *names, *behind;
} statements[STATEMENTS] = {
	[LOCK] = { "i", "select id from customer where id = any($1) for no key update skip locked",
		NULL, NULL },
	[READ] = { "i",
		"select id, base, hidden, merged_into, identity_version, email, phone, name, first_name, "
		"last_name, lang, tz, city, birthday, gender, manager, first_source, orders_count, "
		"orders_total::float8, orders_first_at, orders_last_at, orders_last_id, created_at, "
		"last_seen_at, tags, attributes, consent, suppressed, cart, spend "
		"from customer where id = any($1)",
		NULL, NULL },
	[NUMBER] = { "",
		"select set_id, switches_version, clock_timestamp(), nextval('batch_no') from current",
		NULL, NULL },
	[EVENT] = { "tsssuiisttnijj",
		"insert into event (received, store, source, id, content_hash, seq, customer, type, time, "
		"claimed, origin, cause_chain, data, verdicts, rule_set) select received, store, source, id, "
		"content_hash, seq, customer, type, time, claimed, origin::smallint, cause_chain, data, "
		"verdicts, 1",
		"received, store, source, id, content_hash, seq, customer, type, time, claimed, origin, "
		"cause_chain, data, verdicts",
		"" },
	[IDENTITY] = { "snsi",
		"insert into identity (base, kind, value, customer) "
		"select base, kind::smallint, value, customer",
		"base, kind, value, customer", "on conflict do nothing" },
	[ORDER] = { "isssfttjj",
		"insert into orders (customer, store, id, currency, total, placed_at, updated_at, products, "
		"stamps) select customer, store, id, currency, total::numeric, placed_at, updated_at, "
		"products, stamps",
		"customer, store, id, currency, total, placed_at, updated_at, products, stamps",
		"on conflict do nothing" },
	[CARD] = { "iifttstjj",
		"update customer c set orders_count = u.n, orders_total = u.total::numeric, "
		"orders_first_at = u.first, orders_last_at = u.last, orders_last_id = u.last_id, "
		"last_seen_at = u.seen, cart = coalesce(u.cart, c.cart), spend = coalesce(u.spend, c.spend)",
		"id, n, total, first, last, last_id, seen, cart, spend", "where c.id = u.id" },
	[CHAIN] = { "iissssnsttsssj",
		"insert into chain (customer, id, store, rule, key, text_hash, level, state, started, "
		"wake_at, awaits, open, event, history) select customer, id, store, rule, key, text_hash, "
		"level, state, started, wake_at, awaits::text[], open::bigint[], event::json, history",
		"customer, id, store, rule, key, text_hash, level, state, started, wake_at, awaits, open, "
		"event, history",
		"" },
	[MESSAGE] = { "iiisssssnsssjsttst",
		"insert into message (customer, id, chain, store, rule, channel, class, template, priority, "
		"template_hash, lang, address, data, state, due, created, code, expires) select customer, id, "
		"chain, store, rule, channel, class, template, priority, template_hash, lang, address, data, "
		"state, due, created, code, expires",
		"customer, id, chain, store, rule, channel, class, template, priority, template_hash, lang, "
		"address, data, state, due, created, code, expires",
		"" },
};

/* The session as the lanes of the daemon have it. */
static const char session[] =
	"select set_config('search_path', 'nudged', false), "
	"set_config('plan_cache_mode', 'force_generic_plan', false), "
	"set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false), "
	"set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false), "
	"set_config('jit', 'off', false), set_config('timezone', 'UTC', false)";

static const struct type {
	char letter;
	Oid oid, array;
	const char *name;
} wire[] = {
	{ 'i', 20, 1016, "bigint" },
	{ 'n', 23, 1007, "int" },
	{ 'f', 701, 1022, "float8" },
	{ 't', 1184, 1185, "timestamptz" },
	{ 's', 25, 1009, "text" },
	{ 'j', 114, 199, "json" },
	{ 'u', 2950, 2951, "uuid" },
};

static const struct type *limit_type(char letter)
{
	for (size_t i = 0; i < sizeof wire / sizeof *wire; i++)
		if (wire[i].letter == letter)
			return &wire[i];
	abort();
}

/* Does it send rows? */
static bool limit_has_rows(enum statement s)
{
	return opt.rows && statements[s].names != NULL;
}

static void limit_add(char *to, size_t size, const char *fmt, ...)
{
	size_t n = strlen(to);
	va_list ap;
	int more;

	va_start(ap, fmt);
	more = vsnprintf(to + n, size - n, fmt, ap);
	va_end(ap);
	if (more < 0 || (size_t)more >= size - n)
		abort();
}

/* Makes the type of its rows. */
static void limit_type_text(enum statement s, char *to, size_t size)
{
	const char *letters = statements[s].params, *name = statements[s].names;

	*to = '\0';
	limit_add(to, size, "drop type if exists limit_%d; create type limit_%d as (", s, s);
	for (int i = 0; letters[i]; i++, name += strcspn(name, ",") + 2)
		limit_add(to, size, "%s%.*s %s", i ? ", " : "", (int)strcspn(name, ","), name,
			limit_type(letters[i])->name);
	limit_add(to, size, ")");
}

/* The text to be prepared. */
static void limit_text(enum statement s, char *to, size_t size)
{
	const char *letters = statements[s].params;

	*to = '\0';
	limit_add(to, size, "%s", statements[s].text);
	if (statements[s].names == NULL)
		return;
	if (opt.rows) {
		limit_add(to, size, " from unnest($1::limit_%d[]) u %s", s, statements[s].behind);
		return;
	}
	for (int i = 0; letters[i]; i++)
		limit_add(to, size, "%s$%d::%s[]", i ? ", " : " from unnest(", i + 1,
			limit_type(letters[i])->name);
	limit_add(to, size, ") u(%s) %s", statements[s].names, statements[s].behind);
}

/* ---- arrays in the binary format ---- */

struct column {
	char *p;
	size_t n, cap;
	uint32_t count;
};

static void column_put(struct column *c, const void *p, size_t n)
{
	if (c->n + n > c->cap) {
		c->cap = (c->n + n) * 2;
		if ((c->p = realloc(c->p, c->cap)) == NULL)
			abort();
	}
	memcpy(c->p + c->n, p, n);
	c->n += n;
}

static void column_be32(struct column *c, uint32_t v)
{
	v = htobe32(v);
	column_put(c, &v, sizeof v);
}

static void column_add(struct column *c, const void *p, size_t n)
{
	uint32_t flag = htobe32(1);

	if (p == NULL)
		memcpy(c->p + 4, &flag, sizeof flag);
	column_be32(c, p ? (uint32_t)n : UINT32_MAX);
	if (p != NULL)
		column_put(c, p, n);
	c->count++;
}

static void column_i64(struct column *c, int64_t v)
{
	uint64_t x = htobe64((uint64_t)v);

	column_add(c, &x, sizeof x);
}

static void column_time(struct column *c, int64_t us)
{
	column_i64(c, us - LIMIT_EPOCH_US);
}

static void column_int(struct column *c, int v)
{
	uint32_t x = htobe32((uint32_t)v);

	column_add(c, &x, sizeof x);
}

static void column_f64(struct column *c, double v)
{
	uint64_t x;

	memcpy(&x, &v, sizeof x);
	x = htobe64(x);
	column_add(c, &x, sizeof x);
}

static void column_text(struct column *c, const char *s)
{
	column_add(c, s, s ? strlen(s) : 0);
}

/* ---- a connection ---- */

struct card {
	int64_t id, orders;
	double total;
	bool ordered;
	int last; /* the event that changed it last; -1: none */
};

struct worker {
	pthread_t thread;
	int number;
	PGconn *pg;
	const int64_t *customers;
	size_t n_customers;
	uint64_t seed, next_id;
	uint64_t events, chains, messages, orders, cards;
	float *samples;
	size_t n_samples;
	struct column columns[LIMIT_PARAMS_MOST], rows;
	Oid row_oids[STATEMENTS];
	struct card cards_[LIMIT_BATCH_MOST];
	int n_cards;
	int64_t batch_no, now_us;
};

static int64_t limit_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void limit_die(struct worker *w, const char *what)
{
	fprintf(stderr, "limit: %s: %s", what, PQerrorMessage(w->pg));
	exit(1);
}

static uint64_t limit_random(struct worker *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed;
}

/* Empties the columns of a statement and gives them. */
static struct column *limit_begin(struct worker *w, enum statement s)
{
	const char *letters = statements[s].params;

	for (int i = 0; letters[i]; i++) {
		struct column *c = &w->columns[i];

		c->n = c->count = 0;
		column_be32(c, 1);
		column_be32(c, 0);
		column_be32(c, limit_type(letters[i])->oid);
		column_be32(c, 0);
		column_be32(c, 1);
	}
	return w->columns;
}

/* The columns as rows: number of fields, then type, length and value of each. */
static void limit_rows(struct worker *w, enum statement s)
{
	const char *letters = statements[s].params;
	struct column *to = &w->rows;
	uint32_t n_fields = (uint32_t)strlen(letters), count = w->columns[0].count;
	size_t at[LIMIT_PARAMS_MOST];

	to->n = 0;
	column_be32(to, 1);
	column_be32(to, 0);
	column_be32(to, w->row_oids[s]);
	column_be32(to, count);
	column_be32(to, 1);
	for (uint32_t f = 0; f < n_fields; f++)
		at[f] = LIMIT_ARRAY_HEAD;
	for (uint32_t i = 0; i < count; i++) {
		size_t row = to->n;
		uint32_t length;

		column_be32(to, 0);
		column_be32(to, n_fields);
		for (uint32_t f = 0; f < n_fields; f++) {
			const char *value = w->columns[f].p + at[f];

			memcpy(&length, value, sizeof length);
			length = be32toh(length);
			length = sizeof length + (length == UINT32_MAX ? 0 : length);
			column_be32(to, limit_type(letters[f])->oid);
			column_put(to, value, length);
			at[f] += length;
		}
		length = htobe32((uint32_t)(to->n - row - sizeof length));
		memcpy(to->p + row, &length, sizeof length);
	}
}

static void limit_send(struct worker *w, enum statement s)
{
	const char *values[LIMIT_PARAMS_MOST];
	int lengths[LIMIT_PARAMS_MOST], formats[LIMIT_PARAMS_MOST], n;
	char name[8];

	for (n = 0; statements[s].params[n]; n++) {
		uint32_t count = htobe32(w->columns[n].count);

		memcpy(w->columns[n].p + 12, &count, sizeof count);
		values[n] = w->columns[n].p;
		lengths[n] = (int)w->columns[n].n;
		formats[n] = 1;
	}
	if (n > 0 && w->columns[0].count == 0)
		return;
	snprintf(name, sizeof name, "s%d", (int)s);
	if (limit_has_rows(s)) {
		limit_rows(w, s);
		values[0] = w->rows.p;
		lengths[0] = (int)w->rows.n;
		n = 1;
	}
	if (!PQsendQueryPrepared(w->pg, name, n, values, lengths, formats, 1))
		limit_die(w, "send");
}

static void limit_plain(struct worker *w, const char *text)
{
	if (!PQsendQueryPrepared(w->pg, text, 0, NULL, NULL, NULL, 1))
		limit_die(w, text);
}

static int64_t limit_cell(const PGresult *r, int row, int col)
{
	uint64_t v = 0;

	memcpy(&v, PQgetvalue(r, row, col), sizeof v);
	return (int64_t)be64toh(v);
}

static int limit_card_cmp(const void *a, const void *b)
{
	const struct card *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static struct card *limit_card(struct worker *w, int64_t id)
{
	struct card key = { .id = id };

	return bsearch(&key, w->cards_, (size_t)w->n_cards, sizeof key, limit_card_cmp);
}

/* Reads all answers of what was sent, up to the Sync. */
static void limit_answers(struct worker *w)
{
	for (;;) {
		PGresult *r = PQgetResult(w->pg);

		if (r == NULL)
			continue;
		switch ((int)PQresultStatus(r)) {
		case PGRES_PIPELINE_SYNC: PQclear(r); return;
		case PGRES_TUPLES_OK:
			for (int i = 0; PQnfields(r) > 20 && i < PQntuples(r); i++) {
				struct card *c = limit_card(w, limit_cell(r, i, 0));
				uint64_t bits = (uint64_t)limit_cell(r, i, 18);

				c->orders = limit_cell(r, i, 17);
				memcpy(&c->total, &bits, sizeof bits);
			}
			if (PQnfields(r) == 4) {
				w->now_us = limit_cell(r, 0, 2) + LIMIT_EPOCH_US;
				w->batch_no = limit_cell(r, 0, 3);
			}
			break;
		case PGRES_COMMAND_OK: break;
		default: limit_die(w, PQresultErrorMessage(r));
		}
		PQclear(r);
	}
}

/* ---- a batch ---- */

struct row {
	int64_t customer;
	int kind, lot; /* kind: 0..2 order, 3..6 cart, 7..9 viewed; lot: 0..99, as in bench/rules */
	unsigned total;
	char id[48];
	char data[640];
	size_t data_n, cart; /* cart: where the cart's text begins, behind the customer */
};

#define NOTE                                                                                              \
	"Please leave it with the neighbours if nobody opens the door, they are at home in the evening; " \
	"call before you come"

#define PRODUCTS                                                                                      \
	"[{\"product_id\":\"p%u\",\"sku\":\"SKU-%u\",\"name\":\"Kettle, 1.7 l, steel\",\"category\":" \
	"\"kitchen\",\"price\":%u.5,\"quantity\":2}]"

/* An event as bench/load makes them, and what of it stands on the card as its cart. */
static void limit_draw(struct worker *w, struct row *e)
{
	unsigned thing;
	int n;

	e->customer = w->customers[limit_random(w) % w->n_customers];
	e->kind = (int)(limit_random(w) % 10);
	e->lot = (int)(limit_random(w) % 100);
	e->total = (unsigned)(limit_random(w) % 50000);
	thing = e->total % 997;
	snprintf(e->id, sizeof e->id, "%x-%d%llu", (unsigned)getpid(), w->number,
		(unsigned long long)w->next_id++);
	n = snprintf(e->data, sizeof e->data, "{\"customer\":{\"id\":\"c%llu\"},",
		(unsigned long long)e->customer % 100000);
	e->cart = (size_t)n;
	if (e->kind < 7)
		n += snprintf(e->data + n, sizeof e->data - (size_t)n,
			"\"lot\":%d,\"%s\":\"%s\",\"total\":%u.%02u,\"currency\":\"EUR\",\"products\":" PRODUCTS
			",%s\"note\":\"" NOTE "\"}",
			e->lot, e->kind < 3 ? "order_id" : "cart_id", e->id, e->total / 100,
			e->total % 100, thing, thing, e->total % 300,
			e->kind < 3 ? "\"payment\":\"card\"," : "");
	else
		n += snprintf(e->data + n, sizeof e->data - (size_t)n,
			"\"lot\":%d,\"product_id\":\"p%u\",\"sku\":\"SKU-%u\",\"name\":\"Kettle, 1.7 l, "
			"steel\",\"category\":\"kitchen\",\"brand\":\"Boiling & Sons\",\"price\":%u.5,"
			"\"currency\":\"EUR\",\"url\":\"https://shop.example/kitchen/kettles/p%u\","
			"\"image_url\":\"https://cdn.shop.example/images/products/kettles/"
			"p%u-600x600.jpg\",\"referrer\":\"https://shop.example/kitchen/kettles?page=2\"}",
			e->lot, thing, thing, e->total % 300, thing, thing);
	e->data_n = (size_t)n;
}

static bool limit_is_order(const struct row *e)
{
	return e->kind < 3;
}

static int limit_row_cmp(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->id, ((const struct row *)b)->id);
}

/* begin, lock, read, number. */
static void limit_load(struct worker *w, const struct row *rows)
{
	struct column *c;
	int n = 0;

	for (int i = 0; i < opt.batch; i++)
		w->cards_[i] = (struct card){ .id = rows[i].customer, .last = -1 };
	qsort(w->cards_, (size_t)opt.batch, sizeof *w->cards_, limit_card_cmp);
	for (int i = 0; i < opt.batch; i++)
		if (n == 0 || w->cards_[n - 1].id != w->cards_[i].id)
			w->cards_[n++] = w->cards_[i];
	w->n_cards = n;
	limit_plain(w, "begin");
	c = limit_begin(w, LOCK);
	for (int i = 0; i < n; i++)
		column_i64(&c[0], w->cards_[i].id);
	limit_send(w, LOCK);
	limit_send(w, READ); /* the same parameter */
	limit_plain(w, "s2");
	if (!PQpipelineSync(w->pg))
		limit_die(w, "sync");
	limit_answers(w);
}

static int64_t limit_number(const struct worker *w, int i)
{
	return (w->batch_no << LIMIT_NUMBER_BITS) + i * 3;
}

static void limit_events(struct worker *w, const struct row *rows)
{
	static const char *const types[] = { "order.placed", "cart.updated", "product.viewed" };
	static const char *const verdicts[] = {
		("[{\"rule\":\"thank-you\",\"v\":\"when\",\"read\":{\"event.lot\":55}},{\"rule\":\"best-"
		 "customer\",\"v\":\"when\",\"read\":{\"customer.orders.total\":243.54}}]"),
		"[{\"rule\":\"left-cart\",\"v\":\"when\",\"read\":{\"event.lot\":55}}]",
		"[{\"rule\":\"look-again\",\"v\":\"when\",\"read\":{\"event.lot\":55}}]"
	};
	struct column *c = limit_begin(w, EVENT);

	for (int i = 0; i < opt.batch; i++) {
		const struct row *e = &rows[i];
		uint64_t hash[2] = { limit_random(w), limit_random(w) };
		int type = limit_is_order(e) ? 0 : e->kind < 7 ? 1 : 2;

		column_time(&c[0], w->now_us);
		column_text(&c[1], "main");
		column_text(&c[2], "limit");
		column_text(&c[3], e->id);
		column_add(&c[4], hash, sizeof hash);
		column_i64(&c[5], limit_number(w, i));
		column_i64(&c[6], e->customer);
		column_text(&c[7], types[type]);
		column_time(&c[8], w->now_us);
		column_text(&c[9], NULL);
		column_int(&c[10], 0);
		column_i64(&c[11], 0);
		column_add(&c[12], e->data, e->data_n);
		column_text(&c[13], opt.no_verdicts ? NULL : verdicts[type]);
	}
	limit_send(w, EVENT);
	w->events += (uint64_t)opt.batch;
}

static void limit_orders(struct worker *w, const struct row *rows)
{
	struct column *c = limit_begin(w, IDENTITY);
	char text[256];

	for (int i = 0; i < opt.batch; i++) {
		if (!limit_is_order(&rows[i]))
			continue;
		column_text(&c[0], "main");
		column_int(&c[1], 5);
		snprintf(text, sizeof text, "main/%s", rows[i].id);
		column_text(&c[2], text);
		column_i64(&c[3], rows[i].customer);
		w->orders++;
	}
	limit_send(w, IDENTITY);
	c = limit_begin(w, ORDER);
	for (int i = 0; i < opt.batch; i++) {
		const struct row *e = &rows[i];

		if (!limit_is_order(e))
			continue;
		column_i64(&c[0], e->customer);
		column_text(&c[1], "main");
		column_text(&c[2], e->id);
		column_text(&c[3], "EUR");
		column_f64(&c[4], e->total / 100.0);
		column_time(&c[5], w->now_us);
		column_time(&c[6], w->now_us);
		snprintf(text, sizeof text, PRODUCTS, e->total % 997, e->total % 997,
			e->total % 300);
		column_text(&c[7], text);
		snprintf(text, sizeof text,
			"{\"currency\":%lld,\"total\":%lld,\"payment\":%lld,\"products\":%lld}",
			(long long)w->now_us, (long long)w->now_us, (long long)w->now_us,
			(long long)w->now_us);
		column_text(&c[8], text);
	}
	limit_send(w, ORDER);
}

/* Only cards that changed, once each: browsing changes nothing. */
static void limit_cards(struct worker *w, const struct row *rows)
{
	struct column *c = limit_begin(w, CARD);
	char text[400], cart[700];

	for (int i = 0; i < opt.batch; i++) {
		struct card *card = limit_card(w, rows[i].customer);

		if (rows[i].kind >= 7)
			continue;
		if (limit_is_order(&rows[i])) {
			card->orders++;
			card->total += rows[i].total / 100.0;
			card->ordered = true;
		}
		card->last = i;
	}
	for (int i = 0; i < w->n_cards; i++) {
		const struct card *card = &w->cards_[i];
		const struct row *e = &rows[card->last];

		if (card->last < 0)
			continue;
		column_i64(&c[0], card->id);
		column_i64(&c[1], card->orders);
		column_f64(&c[2], card->total);
		column_time(&c[3], w->now_us);
		column_time(&c[4], w->now_us);
		column_text(&c[5], e->id);
		column_time(&c[6], w->now_us);
		if (limit_is_order(e)) { /* bought: nothing is left in it */
			column_text(&c[7], "{}");
		} else {
			cart[0] = '{';
			memcpy(cart + 1, e->data + e->cart, e->data_n - e->cart);
			column_add(&c[7], cart, 1 + e->data_n - e->cart);
		}
		snprintf(text, sizeof text, "[[20778,%.2f]]", card->total);
		column_text(&c[8], card->ordered ? text : NULL);
		w->cards++;
	}
	limit_send(w, CARD);
}

/* Nobody has such a number. */
#define LIMIT_NOBODY (INT64_C(1) << 62)

static void limit_chains(struct worker *w, const struct row *rows)
{
	static const char hash[] =
		"83c8799e5ec5967838ebe8c814b1c03485dcdd079fd758994d669b623db507b0";
	struct column *c = limit_begin(w, CHAIN);
	char event[1024], history[256];

	for (int i = 0; i < opt.batch; i++) {
		const struct row *e = &rows[i];

		if (e->lot >= opt.chains)
			continue;
		column_i64(&c[0], LIMIT_NOBODY + e->customer);
		column_i64(&c[1], limit_number(w, i) + 1);
		column_text(&c[2], "main");
		column_text(&c[3], "thank-you");
		column_text(&c[4], "");
		column_text(&c[5], hash);
		column_int(&c[6], 1);
		column_text(&c[7], "waiting");
		column_time(&c[8], w->now_us);
		column_time(&c[9], w->now_us + INT64_C(3600000000));
		column_text(&c[10], "{\"order.cancelled\"}");
		column_text(&c[11], "{}");
		snprintf(event, sizeof event,
			"{\"id\":\"%s\",\"type\":\"order.placed\",\"time\":%lld,\"received\":%lld,"
			"\"store\":\"main\",\"source\":\"limit\",\"seq\":%lld,\"depth\":0,\"data\":%s}",
			e->id, (long long)w->now_us, (long long)w->now_us,
			(long long)limit_number(w, i), e->data);
		column_text(&c[12], event);
		snprintf(history, sizeof history,
			"[{\"r\":{\"~zone\":\"Europe/Berlin\"},\"s\":[[\"wait\",null,{\"at\":%lld,\"for\":"
			"[{\"type\":\"order.cancelled\"}],\"until\":%lld}]]}]",
			(long long)w->now_us, (long long)w->now_us);
		column_text(&c[13], history);
		w->chains++;
	}
	limit_send(w, CHAIN);
}

static void limit_messages(struct worker *w, const struct row *rows)
{
	static const char hash[] =
		"1f0b27b1c03485dcdd079fd758994d669b623db507b083c8799e5ec5967838eb";
	struct column *c = limit_begin(w, MESSAGE);

	for (int i = 0; i < opt.batch; i++) {
		const struct row *e = &rows[i];
		char data[1500];

		if (e->lot >= opt.messages)
			continue;
		column_i64(&c[0], e->customer);
		column_i64(&c[1], limit_number(w, i) + 2);
		column_i64(&c[2], limit_number(w, i) + 1);
		column_text(&c[3], "main");
		column_text(&c[4], "thank-you");
		column_text(&c[5], "email");
		column_text(&c[6], "transactional");
		column_text(&c[7], "bench");
		column_int(&c[8], 50);
		column_text(&c[9], hash);
		column_text(&c[10], "en");
		column_text(&c[11], "bench@example.com");
		column_add(&c[12], data,
			(size_t)snprintf(data, sizeof data,
				"{\"event\":%s,\"with\":{\"event\":%s}}", e->data, e->data));
		column_text(&c[13], "ready");
		column_time(&c[14], w->now_us);
		column_time(&c[15], w->now_us);
		column_text(&c[16], NULL);
		column_text(&c[17], NULL);
		w->messages++;
	}
	limit_send(w, MESSAGE);
}

static void limit_save(struct worker *w, const struct row *rows)
{
	limit_events(w, rows);
	if (!opt.bare)
		limit_orders(w, rows);
	limit_cards(w, rows);
	limit_chains(w, rows);
	limit_messages(w, rows);
	limit_plain(w, "commit");
	if (!PQpipelineSync(w->pg))
		limit_die(w, "sync");
	limit_answers(w);
}

static void *limit_work(void *arg)
{
	struct worker *w = arg;
	struct row *rows = calloc((size_t)opt.batch, sizeof *rows);
	int64_t end = limit_now_us() + (int64_t)(opt.seconds * 1e6), begin;

	if (rows == NULL)
		abort();
	while ((begin = limit_now_us()) < end) {
		for (int i = 0; i < opt.batch; i++)
			limit_draw(w, &rows[i]);
		/* keys that two may insert are sorted, as in the daemon */
		qsort(rows, (size_t)opt.batch, sizeof *rows, limit_row_cmp);
		limit_load(w, rows);
		limit_save(w, rows);
		if (w->n_samples < LIMIT_SAMPLES)
			w->samples[w->n_samples++] = (float)(limit_now_us() - begin) / 1000;
	}
	free(rows);
	return NULL;
}

/* ---- the whole ---- */

static void limit_exec(struct worker *w, PGresult *r)
{
	if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
		limit_die(w, "set up");
	PQclear(r);
}

/* The type of a statement's rows; the first connection makes it. */
static Oid limit_row_type(struct worker *w, enum statement s)
{
	char text[2048];
	PGresult *r;
	Oid oid;

	if (w->number == 0) {
		limit_type_text(s, text, sizeof text);
		limit_exec(w, PQexec(w->pg, text));
	}
	snprintf(text, sizeof text, "select 'limit_%d'::regtype::oid", (int)s);
	r = PQexec(w->pg, text);
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		limit_die(w, "row type");
	oid = (Oid)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
	PQclear(r);
	return oid;
}

static void limit_connect(struct worker *w)
{
	w->pg = PQconnectdb(opt.dsn);
	if (PQstatus(w->pg) != CONNECTION_OK)
		limit_die(w, "connect");
	limit_exec(w, PQexec(w->pg, session));
	limit_exec(w, PQprepare(w->pg, "begin", "begin", 0, NULL));
	limit_exec(w, PQprepare(w->pg, "commit", "commit", 0, NULL));
	for (int s = 0; s < STATEMENTS; s++) {
		Oid oids[LIMIT_PARAMS_MOST];
		char name[8], text[2048];
		int n;

		for (n = 0; statements[s].params[n]; n++)
			oids[n] = limit_type(statements[s].params[n])->array;
		if (limit_has_rows((enum statement)s)) {
			w->row_oids[s] = limit_row_type(w, (enum statement)s);
			oids[0] = 0;
			n = 1;
		}
		limit_text((enum statement)s, text, sizeof text);
		snprintf(name, sizeof name, "s%d", s);
		limit_exec(w, PQprepare(w->pg, name, text, n, oids));
	}
}

/* All customers that the load made, each connection's share in a row. */
static int64_t *limit_customers(struct worker *w, size_t *ret_n)
{
	char text[160];
	PGresult *r;
	int64_t *v;

	snprintf(text, sizeof text,
		"select id from customer where not hidden and merged_into = 0 order by id %% %d, id",
		opt.conns);
	r = PQexecParams(w->pg, text, 0, NULL, NULL, NULL, NULL, 1);
	if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) < opt.conns)
		limit_die(w, "customers: run bench/load --mode seed first");
	*ret_n = (size_t)PQntuples(r);
	if ((v = calloc(*ret_n, sizeof *v)) == NULL)
		abort();
	for (size_t i = 0; i < *ret_n; i++)
		v[i] = limit_cell(r, (int)i, 0);
	PQclear(r);
	return v;
}

static int limit_float_cmp(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void limit_print(const struct worker *w, double seconds)
{
	float *all = malloc(LIMIT_SAMPLES * sizeof *all);
	struct worker sum = { .events = 0 };
	size_t n = 0;
	double e;

	if (all == NULL)
		abort();
	for (int i = 0; i < opt.conns; i++) {
		for (size_t k = 0; k < w[i].n_samples && n < LIMIT_SAMPLES; k++)
			all[n++] = w[i].samples[k];
		sum.events += w[i].events;
		sum.chains += w[i].chains;
		sum.messages += w[i].messages;
		sum.orders += w[i].orders;
		sum.cards += w[i].cards;
	}
	qsort(all, n, sizeof *all, limit_float_cmp);
	e = sum.events ? (double)sum.events : 1;
	printf("events=%llu seconds=%.2f rate=%.0f p50=%.2f p99=%.2f chains=%.3f messages=%.3f "
	       "orders=%.3f cards=%.3f\n",
		(unsigned long long)sum.events, seconds, (double)sum.events / seconds,
		n ? (double)all[n / 2] : 0, n ? (double)all[n * 99 / 100] : 0,
		(double)sum.chains / e, (double)sum.messages / e, (double)sum.orders / e,
		(double)sum.cards / e);
	free(all);
}

static bool limit_options(int argc, char **argv)
{
	static const struct option options[] = { { "dsn", 1, NULL, 'd' }, { "batch", 1, NULL, 'b' },
		{ "conns", 1, NULL, 'c' }, { "seconds", 1, NULL, 's' }, { "chains", 1, NULL, 'h' },
		{ "messages", 1, NULL, 'm' }, { "bare", 0, NULL, 'r' },
		{ "no-verdicts", 0, NULL, 'v' }, { "rows", 0, NULL, 'w' }, { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'd': opt.dsn = optarg; break;
		case 'b': opt.batch = atoi(optarg); break;
		case 'c': opt.conns = atoi(optarg); break;
		case 's': opt.seconds = atof(optarg); break;
		case 'h': opt.chains = atoi(optarg); break;
		case 'm': opt.messages = atoi(optarg); break;
		case 'r': opt.bare = true; break;
		case 'v': opt.no_verdicts = true; break;
		case 'w': opt.rows = true; break;
		default: return false;
		}
	if (opt.batch >= 1 && opt.batch <= 1000 && opt.conns >= 1 && opt.conns <= 4 &&
		opt.seconds > 0 && opt.seconds <= 600)
		return true;
	fprintf(stderr, "limit: an option is out of its range\n");
	return false;
}

int main(int argc, char **argv)
{
	static struct worker workers[LIMIT_CONNS_MOST];
	struct timespec at;
	int64_t *customers, begin;
	size_t n, from = 0;

	if (!limit_options(argc, argv))
		return 2;
	clock_gettime(CLOCK_REALTIME, &at);
	for (int i = 0; i < opt.conns; i++) {
		workers[i].number = i;
		workers[i].seed = (uint64_t)at.tv_nsec * 2654435761u + (uint64_t)i * 7919 + 1;
		workers[i].next_id = (uint64_t)(at.tv_sec % 100000) * 1000000;
		workers[i].samples = malloc(LIMIT_SAMPLES * sizeof(float));
		limit_connect(&workers[i]);
	}
	customers = limit_customers(&workers[0], &n);
	for (int i = 0; i < opt.conns; i++) {
		size_t till = from;

		while (till < n && customers[till] % opt.conns == i)
			till++;
		workers[i].customers = customers + from;
		workers[i].n_customers = till - from;
		from = till;
		if (!PQenterPipelineMode(workers[i].pg))
			limit_die(&workers[i], "pipeline mode");
	}
	begin = limit_now_us();
	for (int i = 0; i < opt.conns; i++)
		pthread_create(&workers[i].thread, NULL, limit_work, &workers[i]);
	for (int i = 0; i < opt.conns; i++)
		pthread_join(workers[i].thread, NULL);
	limit_print(workers, (double)(limit_now_us() - begin) / 1e6);
	for (int i = 0; i < opt.conns; i++) {
		PQfinish(workers[i].pg);
		free(workers[i].samples);
	}
	free(customers);
	return 0;
}
