#ifndef TESTS_STORE_CASES_H
#define TESTS_STORE_CASES_H
/*
 * The cases that both makers of a store must pass, written against store/store.h alone.
 *
 * A maker's test fills a driver and calls cases_run.  The store needs two lanes and knows the shops of
 * cases_shops; it may hold other data, but no due work.  Customers of a case are its own.
 */
#include "model/shop.h"
#include "store/store.h"

struct cases_driver {
	struct store *store;
	/* Lets the store work for a moment; called until a call is answered. */
	void (*pump)(struct cases_driver *d);
	/* How a message or task stands there now; false: there is none. */
	bool (*message_state)(struct cases_driver *d, int64_t id, enum message_state *ret);
	bool (*task_state)(struct cases_driver *d, int64_t id, enum task_state *ret);
	/* Events kept aside so far: quarantined and conflicting. */
	size_t (*n_aside)(struct cases_driver *d);
	void *arg;
};

extern const struct shop cases_shops[2];

/* Runs all cases as a cmocka group; returns the number that failed. */
int cases_run(struct cases_driver *d);

/*** for a maker's own tests ***/

struct cases_wait {
	bool done;
	enum store_end end;
	struct err err;
};
/* A store_done_fn; arg is a struct cases_wait. */
void cases_done(void *arg, enum store_end end, const struct err *err);
enum store_end cases_await(struct cases_driver *d, struct cases_wait *w);
/* A customer known by this e-mail address, made when needed. */
int64_t cases_customer(struct cases_driver *d, const char *email);
/* An empty batch with its arena. */
struct batch *cases_batch(enum batch_kind kind);
void cases_batch_free(struct batch *b);
/* A visit of the customer (visits must be added in order of their numbers). */
struct visit *cases_visit(struct batch *b, int64_t customer);
/* An event of cases_shops[0] with the hash's bytes all `content`. */
struct shop_event *cases_event(
	struct batch *b, struct visit *v, const char *id, const char *type, unsigned char content);
enum store_end cases_load(struct cases_driver *d, int lane, struct batch *b);
/* Gives every event of READY visits a number and the status accepted, then saves. */
enum store_end cases_save(struct cases_driver *d, int lane, struct batch *b);
void cases_abandon(struct cases_driver *d, int lane);

#endif
