#ifndef ENGINE_CARD_PART_H
#define ENGINE_CARD_PART_H
/*
 * What the parts of the card room share; nobody else includes it.  See engine/card.h.
 */
#include "engine/card.h"

/* One event at work.  Plain data on the stack of card_apply; everything is lent. */
struct card_work {
	struct batch *b;
	struct visit *v;
	struct shop_event *e;
	int64_t at_us; /* when it happened: e's time, else when it was received */
	struct card_follow *follow;
};

enum { CARD_TEXT_MOST = 256, CARD_ATTRIBUTES_MOST = 64 * 1024, CARD_LINES_MOST = 500 };

/* Contacts, traits, consent, activity, cart.  The card is no hidden one. */
void card_apply_customer(struct card_work *w);
/* The order that the event names, if any. */
void card_apply_order(struct card_work *w);
/* message.*: what became of a message. */
void card_apply_message(struct card_work *w);
/* task.*: false when the task can not do that. */
bool card_apply_task(struct card_work *w);

/* Books an amount on a day and lets go of days that are too old. */
void card_spend_add(struct card_work *w, int64_t day, double amount);
/* Adds the list of another card to that of v. */
void card_spend_join(struct batch *b, struct visit *v, struct span other);
/* Rounded to the hundredth of a cent: sums of doubles stay what people would write. */
double card_money(double x);
/* The UTC day of an instant. */
int64_t card_day(int64_t at_us);

/* Writes a text field of the card when it is new. */
void card_set_text(struct visit *v, enum card_text field, struct span text);
/* The object with one member set to a JSON value ({NULL,0}: without it), in canonical form. */
struct span card_json_with(struct arena *a, struct span object, struct span key, struct span value);
/* The object with the members of patch merged in (RFC 7396), canonical; either may be empty. */
struct span card_json_merged(struct arena *a, struct span object, struct span patch);
/* The buffer's text, moved into the arena; the buffer is freed. */
struct span card_take_text(struct arena *a, struct buf *buf);
/* Appends to what the judge hears next. */
void card_push_follow(struct card_work *w, struct shop_event *e);

#endif
