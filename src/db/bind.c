/* bind.c: values in Postgres' binary format (src/backend/utils/adt: int8recv, array_recv, timestamptz_recv).
 *
 * One statement per table, with an array per column or an array of rows (record_recv: number of fields, then
 * type, length and value of each): so a batch costs the same number of statements whatever its size.  The header
 * of an array (dimensions, nulls, element type, length, lower bound) is written first with length 0 and corrected
 * when the parameters are sent.
 * Rejected: text format (Postgres then parses and we print), one statement per row (7 times slower),
 * COPY (not allowed in a pipeline).
 */
#include "db/bind.h"

#include "base/clock.h"
#include "db/wire.h"
#include "model/shop.h"

#include <assert.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

enum { BIND_ARRAY_HEAD = 20, BIND_ARRAY_FLAGS = 4, BIND_ARRAY_TYPE = 8, BIND_ARRAY_LENGTH = 12 };
static const int64_t BIND_EPOCH_US = 946684800000000; /* 2000-01-01 */

struct bind_type {
	uint32_t oid, array_oid; /* pg_type.dat: fixed for ever */
};
static const struct bind_type bind_types[128] = {
	['i'] = { 20, 1016 },
	['n'] = { 23, 1007 },
	['f'] = { 701, 1022 },
	['b'] = { 16, 1000 },
	['t'] = { 1184, 1185 },
	['s'] = { 25, 1009 },
	['j'] = { 114, 199 },
	['u'] = { 2950, 2951 },
	['y'] = { 17, 1001 },
};

uint32_t wire_oid(char letter)
{
	const struct bind_type *t = &bind_types[(letter | 0x20) & 0x7f];

	if (letter <= '9')
		return 0;
	return letter & 0x20 ? t->oid : t->array_oid;
}

static void bind_be32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_add(b, &v, sizeof v);
}

/* One dimension, no nulls, the element's type, length 0, lower bound 1. */
static void bind_array_head(struct bind_param *p)
{
	const uint32_t head[] = { htobe32(1), 0, htobe32(wire_oid(p->type)), 0, htobe32(1) };

	_Static_assert(sizeof head == BIND_ARRAY_HEAD, "the head of an array");
	p->b.n = 0;
	buf_add(&p->b, head, sizeof head);
}

void bind_begin(struct bind *b, enum sql_id sql)
{
	const char *types = sql_table[sql].params;
	int row = sql_row_of(&sql_table[sql]);

	b->sql = sql;
	b->fields = row < 0 ? "" : sql_rows[row].fields;
	b->n_fields = (unsigned)strlen(b->fields);
	b->at_field = 0;
	for (b->n = 0; types[b->n] != '\0'; b->n++) {
		struct bind_param *p = &b->p[b->n];

		assert(b->n < BIND_MOST);
		p->n = 0;
		p->array = (b->n == 0 && row >= 0) || !(types[b->n] & 0x20);
		p->type = (char)(types[b->n] | 0x20);
		p->null = !p->array;
		if (p->array)
			bind_array_head(p);
		else
			buf_clear(&p->b);
	}
}

void bind_fini(struct bind *b)
{
	for (unsigned i = 0; i < BIND_MOST; i++)
		buf_free(&b->p[i].b);
}

size_t bind_count(const struct bind *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->p[i].array)
			return b->p[i].n;
	return 0;
}

unsigned wire_params(
	struct bind *b, const uint32_t *rows, const char **values, int *lengths, int *formats)
{
	int row = sql_row_of(&sql_table[b->sql]);

	if (row >= 0) {
		uint32_t oid;

		assert(rows != NULL && b->at_field == 0);
		oid = htobe32(rows[row]);
		memcpy(b->p[0].b.p + BIND_ARRAY_TYPE, &oid, sizeof oid);
	}
	for (unsigned i = 0; i < b->n; i++) {
		struct bind_param *p = &b->p[i];

		if (p->array) {
			uint32_t n = htobe32(p->n);

			assert(p->n == bind_count(b) || p->n == 0 || sql_table[b->sql].ragged);
			memcpy(p->b.p + BIND_ARRAY_LENGTH, &n, sizeof n);
		} else if (!p->null) {
			buf_reserve(&p->b, 1); /* an empty text still needs an address */
		}
		values[i] = p->null ? NULL : p->b.p;
		lengths[i] = (int)p->b.n;
		formats[i] = 1;
	}
	return b->n;
}

/* The parameter that number i stands for, when it is no field of a row. */
static inline unsigned bind_index(const struct bind *b, unsigned i)
{
	return b->n_fields ? i - b->n_fields + 1 : i;
}

static inline char bind_letter(const struct bind *b, unsigned i)
{
	return i < b->n_fields ? b->fields[i] : b->p[bind_index(b, i)].type;
}

/* Writes the length of a value and its bytes; v NULL: the SQL NULL. */
static inline void bind_value(struct buf *to, const void *v, size_t n)
{
	uint32_t length = htobe32(v != NULL ? (uint32_t)n : UINT32_MAX);
	char *at = buf_reserve(to, sizeof length + n);

	memcpy(at, &length, sizeof length);
	to->n += sizeof length;
	if (v == NULL)
		return;
	memcpy(at + sizeof length, v, n);
	to->n += n;
}

/* Puts one field of a row; the first one opens it, the last one closes it. */
static inline void bind_field(struct bind *b, unsigned i, const void *v, size_t n)
{
	struct bind_param *p = &b->p[0];
	uint32_t length;

	assert(i == b->at_field);
	if (i == 0) {
		b->row_at = p->b.n;
		bind_be32(&p->b, 0);
		bind_be32(&p->b, b->n_fields);
	}
	bind_be32(&p->b, bind_types[(unsigned char)b->fields[i]].oid);
	bind_value(&p->b, v, n);
	if (++b->at_field < b->n_fields)
		return;
	length = htobe32((uint32_t)(p->b.n - b->row_at - sizeof length));
	memcpy(p->b.p + b->row_at, &length, sizeof length);
	b->at_field = 0;
	p->n++;
}

/* Puts one value of n bytes; v NULL: the SQL NULL. */
static inline void bind_put(struct bind *b, unsigned i, const void *v, size_t n)
{
	struct bind_param *p;

	if (i < b->n_fields) {
		bind_field(b, i, v, n);
		return;
	}
	p = &b->p[bind_index(b, i)];
	assert(p < b->p + b->n);
	if (!p->array) {
		buf_clear(&p->b);
		p->null = v == NULL;
		if (v != NULL)
			buf_add(&p->b, v, n);
		return;
	}
	if (v == NULL) {
		uint32_t flag = htobe32(1);

		memcpy(p->b.p + BIND_ARRAY_FLAGS, &flag, sizeof flag);
	}
	bind_value(&p->b, v, n);
	p->n++;
}

void bind_i64(struct bind *b, unsigned i, int64_t v)
{
	uint64_t x = htobe64((uint64_t)v);

	assert(bind_letter(b, i) == 'i');
	bind_put(b, i, &x, sizeof x);
}

void bind_int(struct bind *b, unsigned i, int v)
{
	uint32_t x = htobe32((uint32_t)v);

	assert(bind_letter(b, i) == 'n');
	bind_put(b, i, &x, sizeof x);
}

void bind_f64(struct bind *b, unsigned i, double v)
{
	uint64_t x;

	assert(bind_letter(b, i) == 'f');
	memcpy(&x, &v, sizeof x);
	x = htobe64(x);
	bind_put(b, i, &x, sizeof x);
}

void bind_bool(struct bind *b, unsigned i, bool v)
{
	char x = v;

	assert(bind_letter(b, i) == 'b');
	bind_put(b, i, &x, 1);
}

void bind_time(struct bind *b, unsigned i, int64_t us)
{
	uint64_t x = htobe64((uint64_t)(us == TIME_NONE ? 0 : us - BIND_EPOCH_US));

	assert(bind_letter(b, i) == 't');
	bind_put(b, i, us == TIME_NONE ? NULL : &x, sizeof x);
}

void bind_text(struct bind *b, unsigned i, struct span s)
{
	char type = bind_letter(b, i);

	assert(type == 's' || type == 'j' || type == 'y');
	bind_put(b, i, s.p, s.n);
}

void bind_key(struct bind *b, unsigned i, struct span s)
{
	bind_text(b, i, s.p ? s : SPAN(""));
}

void bind_hash(struct bind *b, unsigned i, const unsigned char hash[16])
{
	assert(bind_letter(b, i) == 'u');
	bind_put(b, i, hash, 16);
}

void bind_texts(struct bind *b, unsigned i, const struct span *v, size_t n)
{
	UNSET char first[BUF_USUAL];
	struct buf t = BUF_ON(first);

	buf_char(&t, '{');
	for (size_t k = 0; k < n; k++) {
		if (k)
			buf_char(&t, ',');
		buf_char(&t, '"');
		for (size_t c = 0; c < v[k].n; c++) {
			if (v[k].p[c] == '"' || v[k].p[c] == '\\')
				buf_char(&t, '\\');
			buf_char(&t, v[k].p[c]);
		}
		buf_char(&t, '"');
	}
	buf_char(&t, '}');
	bind_text(b, i, buf_as_span(&t));
	buf_free(&t);
}

void bind_i64s(struct bind *b, unsigned i, const int64_t *v, size_t n)
{
	UNSET char first[BUF_USUAL];
	struct buf t = BUF_ON(first);

	buf_char(&t, '{');
	for (size_t k = 0; k < n; k++) {
		if (k)
			buf_char(&t, ',');
		buf_int(&t, v[k]);
	}
	buf_char(&t, '}');
	bind_text(b, i, buf_as_span(&t));
	buf_free(&t);
}

#define BIND_AT(object, col, type) (*(type *)(void *)((char *)(object) + (col)->at))
#define BIND_FROM(object, col, type)                                                               \
	(*(type const *)(const void *)((const char *)(object) + (col)->at))
#define BIND_COUNT(object, col)                                                                    \
	(*(const unsigned *)(const void *)((const char *)(object) + (col)->count))

/* Writes one column of an object into parameter i. */
static void bind_cell(struct bind *b, unsigned i, const struct bind_col *c, const void *o)
{
	switch (c->kind) {
	case BIND_I64: bind_i64(b, i, BIND_FROM(o, c, int64_t)); break;
	case BIND_INT: bind_int(b, i, BIND_FROM(o, c, int)); break;
	case BIND_F64: bind_f64(b, i, BIND_FROM(o, c, double)); break;
	case BIND_BOOL: bind_bool(b, i, BIND_FROM(o, c, bool)); break;
	case BIND_TIME: bind_time(b, i, BIND_FROM(o, c, int64_t)); break;
	case BIND_TEXT: bind_text(b, i, BIND_FROM(o, c, struct span)); break;
	case BIND_KEY: bind_key(b, i, BIND_FROM(o, c, struct span)); break;
	case BIND_HASH: bind_hash(b, i, &BIND_FROM(o, c, unsigned char)); break;
	case BIND_SHOP: bind_key(b, i, span_of(BIND_FROM(o, c, struct shop *)->id)); break;
	case BIND_WORD: bind_key(b, i, span_of(c->word(BIND_FROM(o, c, int)))); break;
	case BIND_TEXTS: bind_texts(b, i, BIND_FROM(o, c, struct span *), BIND_COUNT(o, c)); break;
	case BIND_I64S: bind_i64s(b, i, BIND_FROM(o, c, int64_t *), BIND_COUNT(o, c)); break;
	}
}

void bind_row(
	struct bind *b, unsigned first, const struct bind_col *cols, size_t n, const void *object)
{
	for (size_t k = 0; k < n; k++)
		bind_cell(b, first + (unsigned)k, &cols[k], object);
}

/*** results ***/

static const PGresult *bind_result(const struct db_rows *r)
{
	return (const PGresult *)r;
}

size_t db_rows_count(const struct db_rows *r)
{
	/* PQcmdTuples wants a pointer to non-const but only reads */
	PGresult *res = (PGresult *)(uintptr_t)r;

	if (PQresultStatus(res) == PGRES_TUPLES_OK)
		return (size_t)PQntuples(res);
	return (size_t)strtoul(PQcmdTuples(res), NULL, 10);
}

bool db_rows_null(const struct db_rows *r, size_t row, unsigned col)
{
	return PQgetisnull(bind_result(r), (int)row, (int)col);
}

struct span db_rows_text(const struct db_rows *r, size_t row, unsigned col)
{
	const PGresult *res = bind_result(r);

	int n = PQgetlength(res, (int)row, (int)col); /* of NULL: 0 */

	if (n == 0 && PQgetisnull(res, (int)row, (int)col))
		return (struct span){ NULL, 0 };
	return (struct span){ PQgetvalue(res, (int)row, (int)col), (size_t)n };
}

/* A big-endian integer of at most 8 bytes, sign extended. */
static int64_t bind_integer(const char *p, size_t n)
{
	uint64_t v = n && p[0] & 0x80 ? UINT64_MAX : 0;
	uint64_t whole;

	if (n == sizeof whole) {
		memcpy(&whole, p, sizeof whole);
		return (int64_t)be64toh(whole);
	}
	for (size_t i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return (int64_t)v;
}

static int64_t bind_raw_i64(struct span raw)
{
	assert(raw.n <= 8);
	return bind_integer(raw.p, raw.n);
}

static double bind_raw_f64(struct span raw)
{
	int64_t bits = bind_raw_i64(raw);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static int64_t bind_raw_time(struct span raw)
{
	return raw.p == NULL ? TIME_NONE : bind_raw_i64(raw) + BIND_EPOCH_US;
}

int64_t db_rows_i64(const struct db_rows *r, size_t row, unsigned col)
{
	return bind_raw_i64(db_rows_text(r, row, col));
}

double db_rows_f64(const struct db_rows *r, size_t row, unsigned col)
{
	return bind_raw_f64(db_rows_text(r, row, col));
}

bool db_rows_bool(const struct db_rows *r, size_t row, unsigned col)
{
	return db_rows_i64(r, row, col) != 0;
}

int64_t db_rows_time(const struct db_rows *r, size_t row, unsigned col)
{
	return bind_raw_time(db_rows_text(r, row, col));
}

struct span bind_copy(
	const struct bind_reader *rd, const struct db_rows *r, size_t row, unsigned col)
{
	struct span s = db_rows_text(r, row, col);

	if (s.p != NULL)
		s.p = arena_dup(rd->arena, s.p, s.n);
	return s;
}

/* One element of a binary array; moves *at behind it. */
static struct span bind_element(struct span a, size_t *at)
{
	int64_t n = bind_integer(a.p + *at, 4);
	struct span e = { a.p + *at + 4, n > 0 ? (size_t)n : 0 };

	*at += 4 + e.n;
	return e;
}

/* Length of a one-dimensional binary array. */
static unsigned bind_length(struct span a)
{
	if (a.n < BIND_ARRAY_HEAD)
		return 0; /* NULL, or the empty array: no dimension */
	return (unsigned)bind_integer(a.p + BIND_ARRAY_LENGTH, 4);
}

static struct span *bind_read_texts(struct arena *arena, struct span a, unsigned n)
{
	struct span *v = arena_array(arena, struct span, n);
	size_t at = BIND_ARRAY_HEAD;

	for (unsigned i = 0; i < n; i++) {
		v[i] = bind_element(a, &at);
		v[i].p = arena_dup(arena, v[i].p, v[i].n);
	}
	return v;
}

static int64_t *bind_read_i64s(struct arena *arena, struct span a, unsigned n)
{
	int64_t *v = arena_array(arena, int64_t, n);
	size_t at = BIND_ARRAY_HEAD;

	for (unsigned i = 0; i < n; i++) {
		struct span e = bind_element(a, &at);

		v[i] = bind_integer(e.p, e.n);
	}
	return v;
}

/* Reads one column into its field. */
static void bind_read_cell(const struct bind_reader *rd, const struct db_rows *r, size_t row,
	unsigned col, const struct bind_col *c, void *o)
{
	struct span raw = db_rows_text(r, row, col);
	unsigned n;
	int word;

	switch (c->kind) {
	case BIND_I64: BIND_AT(o, c, int64_t) = bind_raw_i64(raw); break;
	case BIND_INT: BIND_AT(o, c, int) = (int)bind_raw_i64(raw); break;
	case BIND_F64: BIND_AT(o, c, double) = bind_raw_f64(raw); break;
	case BIND_BOOL: BIND_AT(o, c, bool) = bind_raw_i64(raw) != 0; break;
	case BIND_TIME: BIND_AT(o, c, int64_t) = bind_raw_time(raw); break;
	case BIND_TEXT:
	case BIND_KEY:
		if (raw.p != NULL)
			raw.p = arena_dup(rd->arena, raw.p, raw.n);
		BIND_AT(o, c, struct span) = raw;
		break;
	case BIND_HASH:
		if (raw.n == 16)
			memcpy(&BIND_AT(o, c, unsigned char), raw.p, 16);
		break;
	case BIND_SHOP: BIND_AT(o, c, const struct shop *) = rd->shop(rd->arg, raw); break;
	case BIND_WORD:
		if (c->parse(raw, &word))
			BIND_AT(o, c, int) = word;
		break;
	case BIND_TEXTS:
	case BIND_I64S:
		n = bind_length(raw);
		*(unsigned *)(void *)((char *)o + c->count) = n;
		if (n == 0)
			break;
		if (c->kind == BIND_TEXTS)
			BIND_AT(o, c, struct span *) = bind_read_texts(rd->arena, raw, n);
		else
			BIND_AT(o, c, int64_t *) = bind_read_i64s(rd->arena, raw, n);
		break;
	}
}

void bind_read(const struct bind_reader *rd, const struct db_rows *r, size_t row, unsigned first,
	const struct bind_col *cols, size_t n, void *object)
{
	for (size_t k = 0; k < n; k++)
		bind_read_cell(rd, r, row, first + (unsigned)k, &cols[k], object);
}
