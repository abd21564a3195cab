#ifndef ENGINE_VERDICT_H
#define ENGINE_VERDICT_H
/*
 * Why and why not: one JSON object per rule that an event met, in the order of judging.
 *	{"rule":"x","v":"when","read":{"event.total":5,"customer.orders.total":12}}
 *	{"rule":"x","v":"started","chain":17}        {"rule":"x","v":"error","error":"a.lua:3: ..."}
 * Verdicts of an event that is not stored (product.bought) go to the one it came from, with "on":type.
 */
#include "engine/sitting.h"

struct eval;

/* What can be said of a rule and an event. */
enum verdict {
	VERDICT_STARTED,
	VERDICT_QUEUED,
	VERDICT_WHEN,
	VERDICT_FILTER,
	VERDICT_KEY,
	VERDICT_MODE,
	VERDICT_COOLDOWN,
	VERDICT_MAX_AGE,
	VERDICT_LIMIT,
	VERDICT_ERROR,
	VERDICT_SUSPENDED,
	VERDICT_STRUCK,
	VERDICT_STORE,
	VERDICT_EXIT,   /* ended a chain */
	VERDICT_CANCEL, /* mode "restart" ended a chain */
	VERDICT_WOKE,
	VERDICT_FAILED, /* woke a chain, which failed */
	VERDICT_STUCK,
	VERDICT_LEFT, /* a chain that another daemon must run */
};
const char *verdict_name(enum verdict v);

struct verdict_more { /* all may be left out */
	int64_t chain;
	const struct eval *eval; /* whose values read are shown */
	const char *error;
	const char *warning; /* a limit comes near; NULL: none */
};
void verdict_add(struct desk *d, struct frame *f, const char *rule, enum verdict v,
	struct verdict_more more);
/* The array, for event->verdicts; of a derived event: handed to the frame below. */
void verdict_close(struct desk *d, struct frame *f);
/* A rule broke: the line for people, and the ring of the rule's last runs. */
void verdict_fault(
	struct desk *d, struct frame *f, const struct rule *rule, int64_t chain, const char *text);
/* A limit comes near: a line for people; the rule has not failed. */
void verdict_warn(
	struct desk *d, struct frame *f, const struct rule *rule, int64_t chain, const char *text);
/* A rule ran well. */
void verdict_well(struct desk *d, const struct rule *rule);

#endif
