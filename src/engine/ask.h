#ifndef ENGINE_ASK_H
#define ENGINE_ASK_H
/*
 * What rules want to know of the past: questions to the store, and what this batch itself has added.
 *
 * A question is asked once per customer and batch; its answer stays good, because the customer is locked and
 * the store only tells what is committed (seq < first number of the batch).  Events and orders of the
 * batch itself are laid over by ask_*, filters are applied here: the store knows none.
 * Everything lives in the arena of the batch.
 */
#include "engine/sitting.h"

struct ask_event { /* a past event that a rule asked for */
	struct span id, type, data;
	int64_t time_us, seq;
};

/* The answer to a question, or NULL: then it is open now, and the desk must go and ask.  customer and
 * before_seq are filled in here. */
const struct query *ask_answered(struct desk *d, const struct query *q);

/* Events of this batch that were judged already (the present one too): of the types, not before since_us.
 * Newest first. */
struct ask_event *ask_overlay(
	struct desk *d, const struct span *types, size_t n_types, int64_t since_us, size_t *ret_n);
/* The same before the committed rows of an answered QUERY_EVENTS: all that is known, newest first. */
struct ask_event *ask_events(struct desk *d, const struct query *answered, size_t *ret_n);
/* The customer's orders, newest first, those that this batch has touched as they are now. */
struct order **ask_orders(struct desk *d, const struct query *answered, size_t *ret_n);

#endif
