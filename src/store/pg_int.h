#ifndef STORE_PG_INT_H
#define STORE_PG_INT_H
/*
 * Inside of the Postgres store: what pg.c, pg_identify.c, pg_load.c, pg_fetch.c, pg_save.c and pg_set.c share.
 *
 * A call on a lane: pg_call notes who is to be answered; statements are sent; pg_end, the end callback
 * of the last group, answers.  Steps of a call that takes several groups have callbacks of their own
 * and pass every outcome but DB_COMMITTED to pg_end.
 */
#include "base/map.h"
#include "db/conn.h"
#include "store/pg.h"

/* A batch owns 2^17 numbers: 500 events with 100 effects each need less than half. */
enum { PG_NUMBER_BITS = 17 };

struct pg_key { /* an event of the batch, sorted by its key */
	struct shop_event *event;
	struct visit *visit;
	size_t order; /* of arrival */
	bool known;
	unsigned char hash[16]; /* known: of the stored one */
};

struct pg_lane {
	struct pg *pg;
	int number;
	struct db_conn *db;
	struct bind bind;
	store_done_fn *done; /* of the call in flight, or NULL */
	void *arg;
	struct batch *batch;
	struct bind_reader reader; /* into the arena of the call */
	/* identify */
	struct store_identity *ids;
	size_t n_ids;
	size_t *asked, *asked_number; /* statement's row -> ids */
	size_t n_asked, n_asked_number;
	int round;
	/* load */
	struct pg_key *keys;
	size_t n_keys;
	struct pg_key **order_keys; /* whose event asked for each order */
	int64_t planned_us;         /* boot clock: statements were planned since */
	int64_t due_us;             /* BATCH_DUE: due until then */
	size_t pick_limit;          /* of each list */
	bool patient;               /* BATCH_EVENTS: waits for who is locked */
	bool follow;                /* BATCH_DUE: an inbox row names a card that was joined */
	bool wake_any; /* BATCH_DUE: inbox rows or tasks may wake any chain that awaits something */
	/* others: where answers go */
	struct query *queries;
	struct rule_set *set;
	struct switches *switches;
	struct store_inbox *inbox;
	bool is_aside; /* set_aside: it was there to be had */
};

struct pg {
	struct store store; /* first */
	struct loop *loop;
	struct pg_lane *lanes;
	struct map shops;  /* id -> const struct shop *, configured ones */
	struct map ghosts; /* id -> struct shop *, ours: of rows whose shop is configured no more */
	struct arena ghost_arena;
	void (*on_state)(void *arg, bool up);
	void *arg;
};

/* A card with what it was read with, to see what changed. */
struct pg_card {
	struct customer card; /* first */
	struct span cart, spend;
};

struct pg_lane *pg_lane_of(struct store *s, int lane);
/* Begins a call: results go to arena a. */
void pg_call(struct pg_lane *l, struct arena *a, store_done_fn *done, void *arg);
/* Answers the call. */
void pg_finish(struct pg_lane *l, enum store_end end, const struct err *err);
/* The same, as a db_end_fn with the lane as arg. */
void pg_end(void *arg, const struct db_end *end);
/* True when the group is committed; else answers the call. */
bool pg_went_well(struct pg_lane *l, const struct db_end *end);
/* The READY (or any) visit of a customer, or NULL; visits are sorted. */
struct visit *pg_visit(const struct batch *b, int64_t customer);
/* Lists the events of all visits by their keys, in the batch's arena: those that two batches both bring are
 * written in one order. */
void pg_list_keys(struct pg_lane *l);

extern const struct bind_col pg_gone_col; /* of a visit; behind those of its card */
extern const struct bind_col pg_customer_cols[], pg_chain_cols[], pg_order_cols[], pg_task_cols[],
	pg_message_cols[];
extern const size_t pg_n_customer_cols, pg_n_chain_cols, pg_n_order_cols, pg_n_task_cols,
	pg_n_message_cols;

void pg_identify(struct store *s, int lane, struct store_identity *v, size_t n, struct arena *a,
	store_done_fn *done, void *arg);
void pg_load(
	struct store *s, int lane, struct batch *b, bool patient, store_done_fn *done, void *arg);
void pg_fetch(struct store *s, int lane, struct batch *b, struct query *q, size_t n,
	store_done_fn *done, void *arg);
void pg_save(struct store *s, int lane, struct batch *b, store_done_fn *done, void *arg);
void pg_set_read(struct store *s, int lane, struct rule_set *ret, struct arena *a,
	store_done_fn *done, void *arg);
void pg_set_write(struct store *s, int lane, struct rule_set *set, struct span by, struct span host,
	store_done_fn *done, void *arg);
void pg_switches_read(struct store *s, int lane, struct switches *ret, struct arena *a,
	store_done_fn *done, void *arg);
void pg_strike(
	struct store *s, int lane, const struct switch_pair *pair, store_done_fn *done, void *arg);
void pg_set_aside(
	struct store *s, int lane, const struct store_aside *x, store_done_fn *done, void *arg);
void pg_inbox_add(
	struct store *s, int lane, struct store_inbox *v, size_t n, store_done_fn *done, void *arg);

#endif
