#ifndef STORE_STORE_H
#define STORE_STORE_H
/*
 * Where cards, events, chains and messages are kept, seen from the intake.  Two makers: pg (Postgres) and
 * mem (for tests, nudgectl test and the simulator); tests/store holds the cases that both must pass.
 *
 * A store has `lanes`: connections that carry one transaction at a time.  On a lane: load, then fetch as
 * often as needed, then save (commits) or abandon (rolls back); load begins the transaction.  Calls on
 * different lanes are independent.  Every call ends in exactly one `done`, never from inside the call.
 *
 *   STORE_OK       it is done (save: committed)
 *   STORE_REFUSED  an error of data or statement; nothing of the transaction happened; err and sqlstate say why
 *   STORE_AGAIN    40P01, 40001, lock timeout, or a key that another engine wrote meanwhile (an event's, or one
 *                  that a visit claims for its card): nothing happened, the same batch may be tried again at
 *                  once; what is claimed must be asked for before
 *   STORE_LOST     the connection died: the outcome is unknown; the same batch again on a new connection is
 *                  harmless, the keys decide.  The lane reconnects by itself (backoff); `usable` tells.
 *
 * After REFUSED, AGAIN or LOST of any call the lane has no transaction any more.  There is no customer lock
 * that waits: whom somebody else holds is VISIT_BUSY (except `patient` loads, lock_timeout 1 s).
 * Memory: results are written into the batch's arena (or the arena given); queries and batches are lent
 * until `done`.
 */
#include "base/err.h"
#include "base/mem.h"
#include "model/batch.h"
#include "model/rule_set.h"
#include "model/switches.h"

/* When a due customer is held by somebody, next_due_us is at most so long after now_us. */
enum { STORE_BUSY_PAUSE_US = 50000 };

enum store_end { STORE_OK, STORE_REFUSED, STORE_AGAIN, STORE_LOST };
const char *store_end_name(enum store_end e);
typedef void store_done_fn(void *arg, enum store_end end, const struct err *err);

/* One identity to be resolved. */
struct store_identity {
	struct span base;
	enum identity_kind kind;
	struct span value;
	bool make; /* not known: make a card for it */
	/* 0, or with `make`: do not make a card but give it to this one, whose identity_version and weak the
	 * caller fills in */
	int64_t attach;
	bool missing; /* with `make`: nobody had it a moment ago, it need not be looked for first */
	/* answer */
	int64_t customer;         /* 0: unknown (and not made) */
	int64_t identity_version; /* of that card */
	bool weak; /* that card has no identity but weak ones (identity_kind_is_weak) */
	bool made;
};

struct store_inbox {
	int64_t id; /* answer */
	int64_t customer;
	const struct shop *shop;
	struct span type, data; /* data: checked JSON object */
	int64_t due_us;         /* TIME_NONE: at once */
};

struct store_aside {
	enum due_kind kind;
	int64_t id;
	struct span reason;
	bool blind;
};

struct store;
struct store_ops {
	const char *name;
	/* Resolves identities and makes cards for those with `make` that nobody knows: in its own transaction,
	 * committed before done.  Sorted by (kind, base, value) by the caller.  Any lane without transaction. */
	void (*identify)(struct store *, int lane, struct store_identity *v, size_t n,
		struct arena *a, store_done_fn *done, void *arg);
	/* Begins, locks the cards of the visits (or picks due customers), reads all that batch.h says.  When it
	 * fails the visits tell who was picked and for what, as far as it came. */
	void (*load)(struct store *, int lane, struct batch *b, bool patient, store_done_fn *done,
		void *arg);
	void (*fetch)(struct store *, int lane, struct batch *b, struct query *q, size_t n,
		store_done_fn *done, void *arg);
	/* Writes every VISIT_READY visit and the aside events, and commits.  Events that are EVENT_NEW still were
	 * not judged: they are not written, and their inbox rows stay.  A card that the engine gave up
	 * (card_join: merged_into of a READY visit is set) loses everything it has, last of all, to the card
	 * named there, a READY visit of the same batch; the audit names the first event of its visit. */
	void (*save)(struct store *, int lane, struct batch *b, store_done_fn *done, void *arg);
	void (*abandon)(struct store *, int lane, store_done_fn *done, void *arg);
	/* The current rule set with all texts, into ret (its arrays and spans in a). */
	void (*set_read)(struct store *, int lane, struct rule_set *ret, struct arena *a,
		store_done_fn *done, void *arg);
	/* Stores the texts and makes the set current, in one transaction; set->id is filled. */
	void (*set_write)(struct store *, int lane, struct rule_set *set, struct span by,
		struct span host, store_done_fn *done, void *arg);
	void (*switches_read)(struct store *, int lane, struct switches *ret, struct arena *a,
		store_done_fn *done, void *arg);
	/* Counts a crash for the pair (two: set aside) and the rule (three events: suspended, with a task on a
	 * hidden card of the event's store). */
	void (*strike)(struct store *, int lane, const struct switch_pair *pair,
		store_done_fn *done, void *arg);
	/* One thing that is due and can not be done is passed over for good, in a transaction of its own that
	 * reads as little of it as it can: a chain is stuck, a deadline marked as passed, an inbox row
	 * quarantined (`blind`: without its content, which can not be read).  STORE_AGAIN: somebody
	 * holds the card. */
	void (*set_aside)(struct store *, int lane, const struct store_aside *x,
		store_done_fn *done, void *arg);
	void (*inbox_add)(struct store *, int lane, struct store_inbox *v, size_t n,
		store_done_fn *done, void *arg);
	/* Has the lane a connection and no call in flight? */
	bool (*usable)(struct store *, int lane);
	/* Is the database there at all?  false: the doors answer 503. */
	bool (*is_up)(struct store *);
	/* Ends all transactions; every open call ends with STORE_LOST before close returns. */
	void (*close)(struct store *);
};

struct store { /* makers embed it as their first member */
	const struct store_ops *ops;
	int n_lanes;
};

#endif
