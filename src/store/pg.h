#ifndef STORE_PG_H
#define STORE_PG_H
/*
 * The store in Postgres: struct store over pipelined connections (db/conn), one per lane.
 *
 * Locks are those of doc/architecture.md: the customer's row is the only lock, never waited for (except
 * by a patient load), taken by a statement of its own that reads this row; everything else is read by the
 * statements after it.  A lane that is down is not usable, its calls end with STORE_LOST; it reconnects by itself
 * and on_state tells.
 */
#include "store/store.h"

struct loop;
struct shop;

struct pg_env {
	struct loop *loop; /* lent for the store's life */
	const char *dsn;
	const char *
		name; /* application_name of the lanes is "<name> <lane>"; "nudged engine<number>" counts
			* as one of the engines between which overdue work is shared out */
	int lanes;
	const struct shop *shops; /* lent until pg_set_shops or close */
	size_t n_shops;
	bool unsafe_durability;
	int statement_timeout_ms; /* 0: 5 s */
	int idle_timeout_ms; /* the database ends who idles in a transaction for so long; 0: 10 s */
	void (*on_state)(void *arg, bool up); /* a lane came up or went down; may be NULL */
	void *arg;
};

struct store *pg_open(const struct pg_env *env);
/* After a reload; rows of shops that are configured no more belong to a stand-in with defaults. */
void pg_set_shops(struct store *s, const struct shop *shops, size_t n_shops);
/* Why no lane is up, for people; "" when one is. */
const char *pg_why(const struct store *s);
/* The server may lose what it committed, and we were told not to mind. */
bool pg_is_unsafe(const struct store *s);

#endif
