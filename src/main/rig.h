#ifndef MAIN_RIG_H
#define MAIN_RIG_H
/*
 * A daemon in miniature: the real intake flow and engine over the memory store, on a clock that the caller moves.
 * What `nudgectl test` runs rules in.
 *
 * Life: rig_open on a rule set that loads, then post events and let time pass, then rig_close.  Everything
 * that is handed out (tables, texts in rig_arena) is lent until rig_close.
 * Events that are posted at one moment are kept back until time passes or rig_flush, so that they can travel
 * in one batch, as they would under load.  Messages are handed over the moment they are due.
 */
#include "base/err.h"
#include "base/mem.h"
#include "model/rule_set.h"
#include "model/shop.h"

#include <stdint.h>

struct mem_tables;
struct staff;
struct rig;

enum rig_mode {
	RIG_STRAIGHT, /* what can be judged in one batch is */
	RIG_REPLACED, /* the engine is thrown away and made anew after every batch */
	RIG_SINGLE,   /* every event and every timer in a batch of its own */
};
const char *rig_mode_name(enum rig_mode m);

struct rig_env {
	const struct shop *shops; /* the first one posts the events; n_shops == 0: rig_shop */
	size_t n_shops;
	const struct staff *staff; /* may be NULL */
	enum rig_mode mode;
};

/* Where nobody has configured a store: in Germany and UTC, open from 9 to 18 from Monday to Friday. */
extern const struct shop rig_shop;

/* env and set are lent until rig_close.  The clock begins on Monday, 2 March 2026, 10:00 UTC. */
struct rig *rig_open(const struct rig_env *env, const struct rule_set *set);
void rig_close(struct rig *r);

/* Puts another rule set in place, as a reload does. */
void rig_reload(struct rig *r, const struct rule_set *set);

struct arena *rig_arena(struct rig *r);
int64_t rig_now_us(const struct rig *r);
const struct mem_tables *rig_tables(const struct rig *r);
/* The store of that id; NULL id: the first one; NULL: there is none. */
const struct shop *rig_find_shop(const struct rig *r, const char *id);

/* An event as a door would get it.  All texts are lent until rig_close. */
struct rig_event {
	const struct shop *shop; /* NULL: the first one */
	const char *type;
	struct span data; /* checked JSON object */
	const char *id;   /* NULL: a new one */
	int64_t time_us;  /* TIME_NONE: now */
	bool import;      /* rules do not hear of it; judged at once */
};
/* Posts an event; false when a door would have refused it. */
bool rig_post(struct rig *r, const struct rig_event *e, struct err *err) MUST_CHECK;
/* Puts a row into the inbox, as the API would, and judges it. */
void rig_inbox(struct rig *r, int64_t customer, const struct shop *shop, const char *type,
	struct span data);
/* Judges what was posted, and what is due. */
void rig_flush(struct rig *r);
/* Time passes; what is due on the way happens then. */
void rig_advance(struct rig *r, int64_t to_us);
/* Time passes while nothing runs; what is due on the way happens at the end. */
void rig_outage(struct rig *r, int64_t to_us);

/* Adds all that stands in the store as text, customer by customer, with numbers that do not depend on batches. */
void rig_trace(const struct rig *r, struct buf *out);

#endif
