#ifndef MODEL_CUSTOMER_H
#define MODEL_CUSTOMER_H
/*
 * The card of a customer: one per person and customer base, made by the first event.
 *
 * Plain data in the arena of its batch.  The engine changes it in memory and sets `changed`; the store
 * writes what is marked, once per batch.  Text and JSON fields stand in arrays indexed by an enum, with
 * one table of names: the same words in C, SQL (columns), Lua (customer.<name>) and the API.
 */
#include "base/str.h"

#include <stdint.h>

enum card_text {
	CARD_EMAIL,
	CARD_PHONE,
	CARD_NAME,
	CARD_FIRST_NAME,
	CARD_LAST_NAME,
	CARD_LANG,
	CARD_TZ,
	CARD_CITY,
	CARD_BIRTHDAY,
	CARD_GENDER,
	CARD_MANAGER,
	CARD_FIRST_SOURCE,
	CARD_TEXTS
};
enum card_json {
	CARD_TAGS,       /* ["vip", ...], sorted */
	CARD_ATTRIBUTES, /* {...}: everything that has no field of its own */
	CARD_CONSENT,    /* {"email":true, ...}: channels: email sms call push messenger */
	CARD_SUPPRESSED, /* {"email":"unsubscribed", ...}: channel -> why nothing may go there */
	CARD_CART,       /* the last cart.updated's data, {} after the order */
	CARD_SPEND, /* [[day, amount], ...]: money by day (days since 1970, UTC) of the last 731 days */
	CARD_JSONS
};
extern const char *const card_text_names[CARD_TEXTS];
extern const char *const card_json_names[CARD_JSONS];

/* What a save must write.  Hot: what most events change.  Profile: what few do. */
enum card_changed {
	CARD_CHANGED_ACTIVITY = 1,
	CARD_CHANGED_PROFILE = 2,
	CARD_CHANGED_IDENTITY = 4
};

struct customer {
	int64_t id;
	struct span base;    /* customer base */
	bool hidden;         /* stands for "nobody" (events about no customer) */
	int64_t merged_into; /* 0, or the card that took this one over: this is a tombstone */
	int64_t identity_version; /* rises when an identity leaves the card, or another card is joined into it */
	struct span text[CARD_TEXTS]; /* {NULL,0}: not known */
	/* activity (CARD_CHANGED_ACTIVITY) together with CARD_CART and CARD_SPEND */
	int64_t orders_count;
	double orders_total;     /* major units, of orders that were not cancelled, less refunds */
	int64_t orders_first_us; /* TIME_NONE: never */
	int64_t orders_last_us;
	struct span orders_last_id;
	int64_t created_us;
	int64_t last_seen_us; /* written when it moved by more than 5 minutes */
	struct span json[CARD_JSONS];
	unsigned changed; /* enum card_changed, or-ed */
};

#endif
