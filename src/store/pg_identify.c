/* pg_identify.c: identities -> customers.
 *
 *	find -> (all known: done) -> make or attach, committed at once -> (all made: done) -> find again
 *
 * "insert .. on conflict do nothing returning": who loses a race for an identity makes no card and finds
 * the winner's with the second find, in a statement that begins after the winner's commit.  An identity
 * is never held together with a card.  So an identity may be given to a card that is joined with another at this
 * moment: what leads to a tombstone leads to the living card, and until it is found so the load says STALE.
 */
#include "store/pg_int.h"

static void identify_find(struct pg_lane *l);

/* Rows (n, customer, version): n counts what was asked, from 1. */
static void identify_on_found(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;
	const size_t *asked = tag == SQL_IDENTITY_FIND ? l->asked : l->asked_number;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		struct store_identity *v = &l->ids[asked[db_rows_i64(rows, i, 0) - 1]];

		v->customer = db_rows_i64(rows, i, 1);
		v->identity_version = db_rows_i64(rows, i, 2);
		v->weak = db_rows_bool(rows, i, 3);
	}
}

/* Rows (base, kind, value, customer) of what was made. */
static void identify_on_made(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;
	size_t i = 0;

	(void)tag;
	/* rows come in the order in which they were asked for: a merge */
	for (size_t k = 0; k < l->n_asked && i < db_rows_count(rows); k++) {
		struct store_identity *v = &l->ids[l->asked[k]];

		if ((int64_t)v->kind != db_rows_i64(rows, i, 1) ||
			!span_eq(v->value, db_rows_text(rows, i, 2)) ||
			!span_eq(v->base, db_rows_text(rows, i, 0)))
			continue;
		v->made = true;
		v->customer = db_rows_i64(rows, i++, 3);
		if (v->attach == 0)
			v->weak = identity_kind_is_weak(v->kind);
	}
}

/* Asks for all that still lack a customer; after the first round only for those to be made. */
static void identify_collect(struct pg_lane *l)
{
	l->n_asked = l->n_asked_number = 0;
	for (size_t i = 0; i < l->n_ids; i++) {
		struct store_identity *v = &l->ids[i];

		if (v->customer != 0 || (l->round > 0 && !v->make))
			continue;
		if (v->kind == IDENTITY_CUSTOMER)
			l->asked_number[l->n_asked_number++] = i;
		else
			l->asked[l->n_asked++] = i;
	}
}

/* Fills the three arrays (base, kind, value) of the statement. */
static void identify_bind(struct pg_lane *l, enum sql_id sql)
{
	bind_begin(&l->bind, sql);
	for (size_t i = 0; i < l->n_asked; i++) {
		const struct store_identity *v = &l->ids[l->asked[i]];

		bind_key(&l->bind, 0, v->base);
		bind_int(&l->bind, 1, (int)v->kind);
		bind_key(&l->bind, 2, v->value);
		if (sql == SQL_IDENTITY_MAKE)
			bind_i64(&l->bind, 3, v->attach);
	}
}

static void identify_on_make_end(void *arg, const struct db_end *end)
{
	struct pg_lane *l = arg;

	if (!pg_went_well(l, end))
		return;
	identify_collect(l);
	if (l->n_asked == 0)
		pg_end(l, end);
	else
		identify_find(l);
}

static void identify_make(struct pg_lane *l)
{
	/* waits for the disk, also where keys are only attached: what the cache learns from it no batch says again */
	identify_bind(l, SQL_IDENTITY_MAKE);
	db_send(l->db, &l->bind, identify_on_made, l, SQL_IDENTITY_MAKE);
	db_sync(l->db, identify_on_make_end, l);
}

static void identify_on_find_end(void *arg, const struct db_end *end)
{
	struct pg_lane *l = arg;
	struct err err;

	if (!pg_went_well(l, end))
		return;
	l->round++;
	identify_collect(l);
	if (l->n_asked == 0) {
		pg_end(l, end);
	} else if (l->round == 1) {
		identify_make(l);
	} else {
		err_set(&err, "an identity came and went");
		pg_finish(l, STORE_AGAIN, &err);
	}
}

static void identify_find(struct pg_lane *l)
{
	if (l->n_asked > 0) {
		identify_bind(l, SQL_IDENTITY_FIND);
		db_send(l->db, &l->bind, identify_on_found, l, SQL_IDENTITY_FIND);
	}
	if (l->n_asked_number > 0) {
		bind_begin(&l->bind, SQL_IDENTITY_FIND_NUMBER);
		for (size_t i = 0; i < l->n_asked_number; i++) {
			const struct store_identity *v = &l->ids[l->asked_number[i]];
			int64_t number = 0;

			if (!span_to_i64(v->value, &number))
				number = 0; /* nobody has it */
			bind_key(&l->bind, 0, v->base);
			bind_i64(&l->bind, 1, number);
		}
		db_send(l->db, &l->bind, identify_on_found, l, SQL_IDENTITY_FIND_NUMBER);
	}
	db_sync(l->db, identify_on_find_end, l);
}

void pg_identify(struct store *s, int lane, struct store_identity *v, size_t n, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);
	bool all_missing = n > 0;

	pg_call(l, a, done, arg);
	l->ids = v;
	l->n_ids = n;
	l->round = 0;
	l->asked = arena_array(a, size_t, n);
	l->asked_number = arena_array(a, size_t, n);
	for (size_t i = 0; i < n; i++) {
		v[i].customer = 0;
		v[i].made = false;
		if (v[i].attach != 0)
			continue;
		v[i].identity_version = 0;
		v[i].weak = false;
	}
	identify_collect(l);
	for (size_t i = 0; i < n && all_missing; i++)
		all_missing = v[i].missing;
	if (all_missing) {
		l->round = 1;
		identify_make(l);
	} else {
		identify_find(l);
	}
}
