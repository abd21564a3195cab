#ifndef DB_BIND_H
#define DB_BIND_H
/*
 * Parameters and results in Postgres' binary format, by tables of columns.
 *
 * A `struct bind` holds the parameters of one statement: scalars are set, arrays grow by one element per
 * row ("unnest": one statement writes any number of rows).  Where the first parameter is an array of rows, the
 * first numbers are the fields of a row, which must be given in their order, and parameters follow behind.  The
 * statement's row in db/sql.c says the types; a value of another type is a bug (assert).  bind_begin empties it
 * for the next statement and keeps the memory; bind_fini frees it.  db_send copies: the bind may be used again at
 * once.
 *
 * A `struct bind_col` says where a column stands in a struct of model/ and how it travels; one array of
 * them serves writing (bind_row) and reading (bind_read).  Texts and JSON without value ({NULL,0}) and
 * TIME_NONE travel as NULL, except BIND_KEY, which is never NULL.
 *
 * `struct db_rows` is a result, lent to the callback that gets it; what bind_read gives is copied into
 * the reader's arena.
 */
#include "base/mem.h"
#include "base/str.h"
#include "db/sql.h"

#include <stdint.h>

struct shop;

enum { BIND_MOST = 32 };

struct bind_param {
	struct buf b; /* array: header and elements; scalar: the value */
	uint32_t n;   /* elements */
	bool array, null;
	char type; /* letter of db/sql.h, lower case */
};
struct bind {
	enum sql_id sql;
	unsigned n;
	const char *fields; /* of the rows in p[0], or "" */
	unsigned n_fields;
	unsigned at_field; /* the one that comes next */
	size_t row_at;     /* where the row that is being written begins */
	struct bind_param p[BIND_MOST];
};

void bind_begin(struct bind *b, enum sql_id sql);
void bind_fini(struct bind *b);
/* How many elements the first array has: 0 means nothing to write. */
size_t bind_count(const struct bind *b);

/* Number i (from 0): appends to an array or a row, sets a scalar. */
void bind_i64(struct bind *b, unsigned i, int64_t v);
void bind_int(struct bind *b, unsigned i, int v);
void bind_f64(struct bind *b, unsigned i, double v);
void bind_bool(struct bind *b, unsigned i, bool v);
void bind_time(struct bind *b, unsigned i, int64_t us);    /* TIME_NONE: NULL */
void bind_text(struct bind *b, unsigned i, struct span s); /* also JSON and bytea; {NULL,0}: NULL */
void bind_key(struct bind *b, unsigned i, struct span s);  /* never NULL */
void bind_hash(struct bind *b, unsigned i, const unsigned char hash[16]);
/* One element that is itself an array, as text "{...}": unnest flattens real arrays of arrays. */
void bind_texts(struct bind *b, unsigned i, const struct span *v, size_t n);
void bind_i64s(struct bind *b, unsigned i, const int64_t *v, size_t n);

enum bind_kind {
	BIND_I64,
	BIND_INT, /* int or unsigned <-> int4 */
	BIND_F64,
	BIND_BOOL,
	BIND_TIME, /* int64_t microseconds <-> timestamptz */
	BIND_TEXT, /* struct span <-> text, json */
	BIND_KEY,
	BIND_HASH,  /* unsigned char[16] <-> uuid */
	BIND_SHOP,  /* const struct shop * <-> text */
	BIND_WORD,  /* an enum <-> text */
	BIND_TEXTS, /* struct span * and unsigned count <-> text "{}" out, text[] in */
	BIND_I64S,  /* int64_t * and unsigned count, likewise */
};
struct bind_col {
	enum bind_kind kind;
	size_t at;    /* offset of the field */
	size_t count; /* BIND_TEXTS, BIND_I64S: offset of the unsigned count */
	const char *(*word)(int value);
	bool (*parse)(struct span word, int *ret);
};
/* Writes one row: columns go to parameters first, first+1, ... */
void bind_row(
	struct bind *b, unsigned first, const struct bind_col *cols, size_t n, const void *object);

struct db_rows;
/* Rows of the result, or rows that the statement touched. */
size_t db_rows_count(const struct db_rows *r);
bool db_rows_null(const struct db_rows *r, size_t row, unsigned col);
int64_t db_rows_i64(
	const struct db_rows *r, size_t row, unsigned col); /* int2, int4, int8; NULL: 0 */
double db_rows_f64(const struct db_rows *r, size_t row, unsigned col);
bool db_rows_bool(const struct db_rows *r, size_t row, unsigned col);
int64_t db_rows_time(const struct db_rows *r, size_t row, unsigned col); /* NULL: TIME_NONE */
/* Lent with the result; NULL: {NULL,0}. */
struct span db_rows_text(const struct db_rows *r, size_t row, unsigned col);

struct bind_reader {
	struct arena *arena;
	const struct shop *(*shop)(
		void *arg, struct span id); /* never NULL for BIND_SHOP columns */
	void *arg;
};
/* A copy in the arena. */
struct span bind_copy(
	const struct bind_reader *rd, const struct db_rows *r, size_t row, unsigned col);
/* Reads columns first, first+1, ... of a row into the object. */
void bind_read(const struct bind_reader *rd, const struct db_rows *r, size_t row, unsigned first,
	const struct bind_col *cols, size_t n, void *object);

#endif
