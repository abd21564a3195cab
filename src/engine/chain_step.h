#ifndef ENGINE_CHAIN_STEP_H
#define ENGINE_CHAIN_STEP_H
/*
 * The life of a chain, one step at a time: begun, run until its next wait, ended.
 *
 * Rows are changed here only.  All of it is decided under the customer's lock and stands in the visit; nothing
 * is written by itself.
 */
#include "engine/eval.h"

/* Makes the row of a new chain for the event; its number is taken; it is not in the visit yet. */
struct chain *chain_new(struct desk *d, const struct rule *rule, struct span key,
	const struct shop_event *event, const struct shop *shop);
/* Puts a new chain into the visit, as born of the frame's event. */
void chain_admit(struct desk *d, struct frame *f, struct chain *c);
/* Takes over what an evaluation of `run` came to: a wait, or the end. */
void chain_settle_run(struct desk *d, struct eval *e, enum eval_end end, size_t n_messages);
/* Ends a chain: EXITED and CANCELLED withdraw what it wrote; a queued successor becomes due. */
void chain_end(struct desk *d, struct chain *c, enum chain_state state, struct span reason);
/* STUCK, FAILED, SUSPENDED: it stands where it is.  answer: what it should have gone on with. */
void chain_halt(struct desk *d, struct chain *c, enum chain_state state, const char *reason,
	struct span answer);
/* exit_on of the rule came: what its chains that are over have left, and nobody took, is withdrawn. */
void chain_exit_over(struct desk *d, const struct frame *f, const struct rule *rule);
/* A message is over for its chain: handed over, failed, or withdrawn. */
void chain_message_over(struct desk *d, int64_t message);
/* Marks a changed row. */
void chain_touch(struct chain *c);

/* A live chain of the rule and key, oldest first, or NULL. */
struct chain *chain_find(const struct desk *d, const char *rule, struct span key);
/* Do the exits or waits of a chain concern an event, by their key? */
bool chain_key_matches(
	struct desk *d, struct span key_field, const struct chain *c, const struct shop_event *e);
/* Is this chain out of the event's reach: begun by it, or its maker? */
bool chain_is_immune(struct desk *d, const struct frame *f, const struct chain *c);
/* After a stretch: has its history grown beyond what is warned of?  The words for people, else NULL. */
const char *chain_history_warning(const struct desk *d, const struct eval *e);
/* The same for one chain more than there were. */
const char *chain_count_warning(const struct desk *d);
/* Chains of the customer that live. */
unsigned chain_count_live(const struct visit *v);
/* Is the chain of that number ended in this batch, or will it be when `fresh` has begun (mode "restart")?  Then what
 * it wrote and nobody has taken never goes out. */
bool chain_gives_way(struct desk *d, const struct frame *f, const struct rule *rule,
	const struct chain *fresh, int64_t chain);

#endif
