#ifndef DB_READ_H
#define DB_READ_H
/*
 * Rows for people: what the API shows and `nudgectl why` prints, as JSON objects, and a customer's
 * timeline out of several statements.
 *
 * Tables of columns say how a row of a read statement in db/sql.c becomes an object.  Ids are
 * texts, times RFC 3339 in UTC; what is not known is null.
 *
 * A `struct timeline` is plain data in one arena: timeline_init with the cursor that the caller
 * got, for each kind timeline_bind, the statement, timeline_take with its rows; then
 * timeline_sort.  It does not matter how the statements are run.  Entries are in order of (at,
 * kind, id), which is also what the cursor is made of: "at.kind.id", opaque to clients.
 */
#include "base/mem.h"
#include "base/str.h"
#include "db/bind.h"

/* ---- rows ---- */

enum read_what {
	READ_CARD,
	READ_ORDER,
	READ_TASK,
	READ_MESSAGE,
	READ_CHAIN,
	READ_PAUSE,
	READ_EVENT, /* this and the following: entries of the timeline */
	READ_CONSENT,
	READ_NOTE,
	READ_CHAIN_END,
	READ_WHATS
};
/* Appends the members of the object, beginning with column `first`, without the braces. */
void read_members(struct buf *out, enum read_what what, const struct db_rows *rows, size_t row,
	unsigned first);
/* Appends the object. */
void read_object(struct buf *out, enum read_what what, const struct db_rows *rows, size_t row,
	unsigned first);
/* "id", "email", ..., as enum identity_kind of model/event.h; NULL for a number that is none. */
const char *read_identity_name(int kind);

/* ---- the timeline ---- */

/* Kinds of entries; at the same moment in this order. */
enum timeline_kind {
	TIMELINE_EVENT,
	TIMELINE_CONSENT,
	TIMELINE_CHAIN,
	TIMELINE_TASK,
	TIMELINE_NOTE,
	TIMELINE_MESSAGE,
	TIMELINE_CHAIN_END,
	TIMELINE_KINDS
};
const char *timeline_kind_name(enum timeline_kind k); /* "event", ..., "chain_end" */

struct timeline_entry {
	int64_t at_us, id; /* id: unique among those of its kind and moment */
	enum timeline_kind kind;
	struct span json; /* {"at":...,"what":...,...}, in the arena */
};
struct timeline {
	struct arena *arena; /* lent */
	size_t limit;        /* entries of a page */
	int64_t at_us, id;   /* behind this one */
	int kind;
	struct timeline_entry *entries;
	size_t n, cap;
};

/* cursor: from timeline_cursor, or empty for the beginning; false when it is neither. */
bool timeline_init(
	struct timeline *t, struct arena *a, size_t limit, struct span cursor) MUST_CHECK;
/* Fills the statement of that kind; store: only entries of this one, empty: all. */
void timeline_bind(const struct timeline *t, enum timeline_kind kind, int64_t customer,
	struct span store, struct bind *b);
void timeline_take(struct timeline *t, enum timeline_kind kind, const struct db_rows *rows);
/* Brings the entries into order and keeps the first `limit`; true when there are more behind. */
bool timeline_sort(struct timeline *t);
/* Appends the cursor of the last entry. */
void timeline_cursor(const struct timeline *t, struct buf *out);

#endif
