#ifndef ENGINE_CARD_H
#define ENGINE_CARD_H
/*
 * The daemon's own work: what an event does to the card, the orders, the tasks and the messages of
 * its customer before any rule is asked (VOCABULARY.md, last column), and which events follow from
 * it.
 *
 * Works on a loaded visit, in memory, in the arena of the batch; marks what the save must write.
 * Pure: the same visit and event give the same effects.  Nothing here fails: a field that can not
 * be read as its kind stays in the event's data and does nothing else.
 *
 * Split by noun: card_customer.c (contacts, traits, consent, activity, cart), card_order.c (order
 * rows, aggregates), card_spend.c (money by day), card_task.c, card_message.c; card.c hands the
 * event round.
 */
#include "model/batch.h"

/* Events that follow from one event, in the order in which they must be judged: right after it. */
struct card_follow {
	struct shop_event **events; /* array and events in the arena of the batch */
	size_t n, cap;
};

/* To be called once for each new event of a visit (status EVENT_NEW, not EVENT_DERIVED, seq given)
 * before its rules; imported events too.  Appends to *follow:
 *	order.status_changed	EVENT_EMITTED: an order.* event moved the status of an order
 *	product.bought		EVENT_DERIVED, never stored: one per line of an order placed now
 * They have seq 0 and customer, shop, time and depth of their cause; apply them in turn (an
 * order.status_changed that came from here changes nothing more).
 *
 * False: the event asks for what is not possible (task.done of a task that is done): e->reason says
 * why; it is kept, but no rule may hear of it. */
bool card_apply(struct batch *b, struct visit *v, struct shop_event *e, struct card_follow *follow);

/* Deadlines that have passed: marks due tasks that are not done yet as overdue, once, and appends
 * a task.overdue (EVENT_EMITTED, of the task's shop) for each.  To be called before the events of
 * a visit. */
void card_tasks_due(struct batch *b, struct visit *v, struct card_follow *follow);

/* An event that the daemon makes because of another: the same customer, shop, time, depth and
 * chain, with the key ("nudged:" + source of the cause, id of the cause + "#" + what) and its
 * content hash.  Ids longer than 128 bytes become a hash.  Admission keeps that source from
 * everybody else.  `what` tells apart what one cause leads to: "status", "emit/3".  data: checked
 * JSON object in the batch's arena. */
struct shop_event *card_follow_up(struct batch *b, const struct shop_event *cause, struct span type,
	struct span what, struct span data, enum event_origin origin);

/* Two cards are one person: `living` takes over what `gone` has.  Both are loaded visits of one batch.
 *	contacts, traits	what is not known is filled; first_source is that of the older card
 *	attributes		both; where they differ, those of `living`
 *	consent			a "no" of either stays a "no"; what changed goes into the log
 *	suppressed, tags	of both
 *	orders, spend		added up; first, last and created: the earliest, the latest, the earliest
 *	cart			of the one seen last
 *	chains			of one rule and key on both sides: as `keep` says; those that must end are
 *				CANCELLED as "joined", and what they wrote is withdrawn; queued ones stay
 * `gone` is left empty, with merged_into set; identity_version of both is raised; the store's save moves
 * everything else (store/store.h). */
enum card_keep { CARD_KEEP_BOTH, CARD_KEEP_OLDER, CARD_KEEP_NEWER };
typedef enum card_keep card_keep_fn(void *arg, struct span rule);
void card_join(
	struct batch *b, struct visit *living, struct visit *gone, card_keep_fn *keep, void *arg);

/* customer.value: money of orders placed within the last 6, 12 and 24 calendar months (UTC days),
 * and ever. */
enum card_span { CARD_M6, CARD_M12, CARD_M24, CARD_LIFE, CARD_SPANS };
void card_value(const struct customer *c, int64_t now_us, double ret[CARD_SPANS]);
/* customer.orders.average; 0 without orders. */
double card_orders_average(const struct customer *c);

/* Gives or takes consent for a channel ("email"): on the card and, if that changed anything, in
 * the log with its source (type of an event, name of a rule).  For set{consent=}. */
void card_consent(struct batch *b, struct visit *v, struct span channel, bool given,
	struct span source, int64_t at_us, int64_t seq);
/* The card's attributes with patch (JSON object) merged in (RFC 7396: null takes away).  For
 * set{}. */
void card_merge_attributes(struct batch *b, struct visit *v, struct span patch);

#endif
