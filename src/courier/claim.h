#ifndef COURIER_CLAIM_H
#define COURIER_CLAIM_H
/*
 * The courier's transactions: claim one message, record what became of it, find the lost ones.
 *
 * A claim: candidates are read without a lock, for some claims at once; the customer of one is locked (skip
 * locked: busy ones are passed over); everything that decides is read again under that lock - all his due
 * messages of the channel, card, pauses, suppressions, the chains, the identity of the cluster - and decided
 * (courier/decide); the best becomes `sending` with this connection as its owner, the others that can
 * never go get their outcome; commit.  Only then may its first byte leave.
 *
 * A claim or a record whose commit was lost is repeated on the next connection: claim_record names the
 * owner that claimed, not the connection it runs on.  When the connection is lost everything fails
 * until claims_open is called again.
 */
#include "base/err.h"
#include "base/mem.h"
#include "courier/courier_end.h"
#include "model/customer.h"
#include "model/message.h"
#include "model/shop.h"

struct claims; /* a connection and its options */

struct claim_options {
	enum message_channel channel;
	const struct shop *shops; /* only their messages are claimed */
	size_t n_shops;
	const char *const *only_to; /* empty: everybody */
	size_t n_only_to;
	bool resend_in_doubt;
	unsigned index;        /* of this courier, from 0, among */
	unsigned couriers;     /* so many that share the work on this host */
	int64_t claim_us;      /* hand-over must begin so soon after the claim */
	int64_t clock_skew_us; /* further from the database's clock: nothing is claimed */
};

/* A claimed message; lives until the next claim. */
struct claim {
	struct message m; /* to: the address it goes to, the customer's own too */
	bool is_own;      /* goes to the customer (not to a manager or a literal address) */
	int attempts;     /* this one included */
	int doubts;       /* how often it was in doubt */
	int64_t created_us;
	int64_t now_us; /* the database's clock at the claim */
	struct customer card;
	int owner_pid; /* of the connection that claimed */
	int64_t owner_start_us;
	int64_t claimed_boot_us; /* CLOCK_BOOTTIME */
	struct arena arena;      /* everything above */
};

enum claim_result {
	CLAIM_GOT,
	CLAIM_NONE,   /* nothing is due, or everybody is busy */
	CLAIM_HELD,   /* somebody or something has pressed stop: claims_why */
	CLAIM_TROUBLE /* no database, err says why */
};

struct claims *claims_new(const struct claim_options *o);
/* The options are lent until the next call. */
void claims_apply(struct claims *k, const struct claim_options *o);
bool claims_open(struct claims *k, const char *dsn, const char *name, bool unsafe_durability,
	int statement_timeout_ms, struct err *err) MUST_CHECK;
bool claims_is_open(const struct claims *k);
/* For poll(2), -1 when closed. */
int claims_fd(const struct claims *k);
void claims_close(struct claims *k);
void claims_free(struct claims *k);

enum claim_result claims_next(struct claims *k, const struct claim **ret, struct err *err);
/* How many messages were moved to each state, [enum message_state] (READY: given back); lent. */
const uint64_t *claims_counts(const struct claims *k);
/* Why the last claim was CLAIM_HELD: "paused: all", "clock", "restored copy ...". */
const char *claims_why(const struct claims *k);
/* Was anything put into the inbox since the last time this was asked? */
bool claims_told(struct claims *k);
/* Is it still so soon after the claim that it may be handed over? */
bool claim_is_fresh(const struct claims *k, const struct claim *c);

/* What became of a claimed message, and when it may be tried again (LATER). */
struct claim_record {
	int64_t id;
	int owner_pid;
	int64_t owner_start_us;
	enum message_state state; /* SENT, FAILED, IN_DOUBT, READY */
	const char *code, *detail;
	int64_t due_us;         /* READY: not before; TIME_NONE: at once */
	bool count;             /* READY: the attempt counts */
	struct span type, data; /* inbox event; empty type: none */
};
/* False: not known to be written; call again after claims_open. */
bool claims_record(struct claims *k, const struct claim_record *r, struct err *err) MUST_CHECK;
/* Messages whose courier is gone become in doubt (or ready, once, where that is configured). */
bool claims_sweep(struct claims *k, size_t *ret_n, struct err *err) MUST_CHECK;
/* The text of a template, in the arena; {NULL,0}: there is no such row. */
bool claims_template(struct claims *k, struct span hash, struct arena *a, struct span *ret,
	struct err *err) MUST_CHECK;

#endif
