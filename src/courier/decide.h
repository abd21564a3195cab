#ifndef COURIER_DECIDE_H
#define COURIER_DECIDE_H
/*
 * What to do with one due message, given all that is true under its customer's lock (PROMISES P15).
 * Pure: the same facts give the same decision; the database is asked by courier/claim.
 */
#include "courier/claim.h"

enum decide_outcome {
	DECIDE_SEND,
	DECIDE_HOLD,     /* a stop button: stays as it is */
	DECIDE_REFUSE,   /* final: refused */
	DECIDE_EXPIRE,   /* final: its time is over */
	DECIDE_WITHDRAW, /* final: its chain was ended */
};
const char *decide_outcome_name(enum decide_outcome o);

struct decide_facts {
	const struct claim *c;  /* message, card, now */
	bool chain_live;        /* its chain is there, or it has none, or it is kept */
	struct span suppressed; /* why its address is on the list; {NULL,0}: it is not */
	struct span pauses;     /* scopes, one a line: "all", "channel:email", "rule:x" */
	const char *const *only_to;
	size_t n_only_to;
};
/* *ret_code: a word for the rule and for people: "paused", "no_consent", "expired" ... */
enum decide_outcome decide(const struct decide_facts *f, const char **ret_code);
/* Is that scope among the lines? */
bool decide_is_paused(struct span pauses, const char *kind, struct span name);

#endif
