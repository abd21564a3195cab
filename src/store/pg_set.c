/* pg_set.c: rule sets, switches, strikes and the inbox: rare or small calls, one transaction each. */
#include "model/shop.h"
#include "store/pg_int.h"

#include <stdio.h>
#include <string.h>

/*** rule sets ***/

static void set_hash(char ret[65], struct span s)
{
	snprintf(ret, 65, "%.*s", SPAN_ARG(s));
}

static void set_on_texts(struct pg_lane *l, const struct db_rows *rows)
{
	struct rule_set *set = l->set;

	set->n_texts = db_rows_count(rows);
	set->texts = arena_array(l->reader.arena, struct rule_text, set->n_texts);
	for (size_t i = 0; i < set->n_texts; i++) {
		struct rule_text *t = &set->texts[i];

		set_hash(t->hash, db_rows_text(rows, i, 0));
		t->level = (int)db_rows_i64(rows, i, 1);
		t->path = bind_copy(&l->reader, rows, i, 2);
		t->bundle = bind_copy(&l->reader, rows, i, 3);
	}
}

static void set_on_templates(struct pg_lane *l, const struct db_rows *rows)
{
	struct rule_set *set = l->set;

	set->n_templates = db_rows_count(rows);
	set->templates = arena_array(l->reader.arena, struct template_text, set->n_templates);
	for (size_t i = 0; i < set->n_templates; i++) {
		struct template_text *t = &set->templates[i];

		set_hash(t->hash, db_rows_text(rows, i, 0));
		t->name = bind_copy(&l->reader, rows, i, 1);
		t->lang = bind_copy(&l->reader, rows, i, 2);
		t->body = bind_copy(&l->reader, rows, i, 3);
	}
}

static void set_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;

	switch ((int)tag) {
	case SQL_SET_READ:
		l->set->id = db_rows_i64(rows, 0, 0);
		set_hash(l->set->hash, db_rows_text(rows, 0, 1));
		l->set->read_us = db_rows_time(rows, 0, 2);
		break;
	case SQL_SET_READ_TEXTS: set_on_texts(l, rows); break;
	case SQL_SET_READ_TEMPLATES: set_on_templates(l, rows); break;
	case SQL_SET_WRITE: l->set->id = db_rows_i64(rows, 0, 0); break;
	}
}

void pg_set_read(struct store *s, int lane, struct rule_set *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, a, done, arg);
	*ret = (struct rule_set){ 0 };
	l->set = ret;
	/* one snapshot: `current` may move between the statements */
	db_send_plain(l->db, SQL_BEGIN_SNAPSHOT, NULL, NULL, 0);
	db_send_plain(l->db, SQL_SET_READ, set_on_rows, l, SQL_SET_READ);
	db_send_plain(l->db, SQL_SET_READ_TEXTS, set_on_rows, l, SQL_SET_READ_TEXTS);
	db_send_plain(l->db, SQL_SET_READ_TEMPLATES, set_on_rows, l, SQL_SET_READ_TEMPLATES);
	db_send_plain(l->db, SQL_COMMIT, NULL, NULL, 0);
	db_sync(l->db, pg_end, l);
}

/* Texts that are not there yet. */
static void set_send_texts(struct pg_lane *l, const struct rule_set *set)
{
	struct bind *b = &l->bind;

	bind_begin(b, SQL_SET_WRITE_TEXTS);
	for (size_t i = 0; i < set->n_texts; i++) {
		bind_key(b, 0, span_of(set->texts[i].hash));
		bind_int(b, 1, set->texts[i].level);
		bind_key(b, 2, set->texts[i].path);
		bind_key(b, 3, set->texts[i].bundle);
	}
	db_send(l->db, b, NULL, NULL, 0);
	bind_begin(b, SQL_SET_WRITE_TEMPLATES);
	for (size_t i = 0; i < set->n_templates; i++) {
		bind_key(b, 0, span_of(set->templates[i].hash));
		bind_key(b, 1, set->templates[i].body);
	}
	db_send(l->db, b, NULL, NULL, 0);
}

void pg_set_write(struct store *s, int lane, struct rule_set *set, struct span by, struct span host,
	store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);
	struct bind *b = &l->bind;

	pg_call(l, NULL, done, arg);
	l->set = set;
	set_send_texts(l, set);
	bind_begin(b, SQL_SET_WRITE);
	bind_key(b, 0, span_of(set->hash));
	bind_key(b, 1, by);
	bind_key(b, 2, host);
	for (size_t i = 0; i < set->n_texts; i++) {
		bind_key(b, 3, span_of(set->texts[i].hash));
		bind_int(b, 4, set->texts[i].level);
	}
	for (size_t i = 0; i < set->n_templates; i++) {
		bind_key(b, 5, set->templates[i].name);
		bind_key(b, 6, set->templates[i].lang);
		bind_key(b, 7, span_of(set->templates[i].hash));
	}
	db_send(l->db, b, set_on_rows, l, SQL_SET_WRITE);
	db_sync(l->db, pg_end, l);
}

/*** switches and strikes ***/

static void switches_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;
	struct switches *s = l->switches;
	size_t n = db_rows_count(rows);

	switch ((int)tag) {
	case SQL_SWITCHES_VERSION: s->version = db_rows_i64(rows, 0, 0); break;
	case SQL_SWITCHES_RULES:
		s->suspended = arena_array(l->reader.arena, struct span, n);
		s->n_suspended = n;
		for (size_t i = 0; i < n; i++)
			s->suspended[i] = bind_copy(&l->reader, rows, i, 0);
		break;
	case SQL_SWITCHES_PAIRS:
		s->pairs = arena_array(l->reader.arena, struct switch_pair, n);
		s->n_pairs = n;
		for (size_t i = 0; i < n; i++)
			s->pairs[i] =
				(struct switch_pair){ .kind = bind_copy(&l->reader, rows, i, 0),
					.id = bind_copy(&l->reader, rows, i, 1),
					.rule = bind_copy(&l->reader, rows, i, 2) };
		break;
	}
}

void pg_switches_read(struct store *s, int lane, struct switches *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, a, done, arg);
	*ret = (struct switches){ 0 };
	l->switches = ret;
	db_send_plain(l->db, SQL_BEGIN_SNAPSHOT, NULL, NULL, 0);
	db_send_plain(l->db, SQL_SWITCHES_VERSION, switches_on_rows, l, SQL_SWITCHES_VERSION);
	db_send_plain(l->db, SQL_SWITCHES_RULES, switches_on_rows, l, SQL_SWITCHES_RULES);
	db_send_plain(l->db, SQL_SWITCHES_PAIRS, switches_on_rows, l, SQL_SWITCHES_PAIRS);
	db_send_plain(l->db, SQL_COMMIT, NULL, NULL, 0);
	db_sync(l->db, pg_end, l);
}

void pg_strike(
	struct store *s, int lane, const struct switch_pair *pair, store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);
	const char *slash = pair->id.n ? memchr(pair->id.p, '/', pair->id.n) : NULL;
	const struct shop *shop = NULL;

	pg_call(l, NULL, done, arg);
	if (slash != NULL) /* of an event: store/source/id */
		shop = l->reader.shop(
			l->reader.arg, (struct span){ pair->id.p, (size_t)(slash - pair->id.p) });
	bind_begin(&l->bind, SQL_STRIKE);
	bind_key(&l->bind, 0, pair->kind);
	bind_key(&l->bind, 1, pair->id);
	bind_key(&l->bind, 2, pair->rule);
	bind_key(&l->bind, 3, shop ? span_of(shop->id) : SPAN(""));
	bind_key(&l->bind, 4, shop ? span_of(shop->base) : SPAN(""));
	bind_int(&l->bind, 5, PG_NUMBER_BITS);
	db_send(l->db, &l->bind, NULL, NULL, 0);
	db_sync(l->db, pg_end, l);
}

/*** what can not be done ***/

static void aside_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;

	(void)tag;
	l->is_aside = db_rows_count(rows) > 0;
}

static void aside_on_end(void *arg, const struct db_end *end)
{
	struct pg_lane *l = arg;
	struct err err;

	if (!pg_went_well(l, end))
		return;
	if (l->is_aside) {
		pg_end(l, end);
		return;
	}
	err_set(&err, "somebody holds its card, or it is gone");
	pg_finish(l, STORE_AGAIN, &err);
}

void pg_set_aside(
	struct store *s, int lane, const struct store_aside *x, store_done_fn *done, void *arg)
{
	static const enum sql_id sql[] = { [DUE_CHAIN] = SQL_ASIDE_CHAIN,
		[DUE_TASK] = SQL_ASIDE_TASK,
		[DUE_INBOX] = SQL_ASIDE_INBOX };
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, NULL, done, arg);
	l->is_aside = false;
	bind_begin(&l->bind, sql[x->kind]);
	bind_i64(&l->bind, 0, x->id);
	bind_key(&l->bind, 1, x->reason);
	if (x->kind == DUE_INBOX)
		bind_bool(&l->bind, 2, x->blind);
	db_send(l->db, &l->bind, aside_on_rows, l, 0);
	db_sync(l->db, aside_on_end, l);
}

/*** inbox ***/

static void inbox_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct pg_lane *l = arg;

	(void)tag;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		l->inbox[i].id = db_rows_i64(rows, i, 0);
}

void pg_inbox_add(
	struct store *s, int lane, struct store_inbox *v, size_t n, store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, NULL, done, arg);
	l->inbox = v;
	bind_begin(&l->bind, SQL_INBOX_ADD);
	for (size_t i = 0; i < n; i++) {
		bind_i64(&l->bind, 0, v[i].customer);
		bind_key(&l->bind, 1, span_of(v[i].shop->id));
		bind_key(&l->bind, 2, v[i].type);
		bind_key(&l->bind, 3, v[i].data);
		bind_time(&l->bind, 4, v[i].due_us);
	}
	db_send(l->db, &l->bind, inbox_on_rows, l, 0);
	db_sync(l->db, pg_end, l);
}
