#ifndef MODEL_ORDER_H
#define MODEL_ORDER_H
/*
 * An order row, key (shop, id), made by whichever event names it first; and a line of its status history.
 * A field is overwritten only by an event whose time is not older than the one that set it: `stamps`
 * holds that time per field, as JSON {"status":1763683200000000, ...} (microseconds).
 * Plain data in the arena of the batch.
 */
#include "base/str.h"

#include <stdint.h>

struct shop;

struct order {
	const struct shop *shop;
	struct span id;
	int64_t customer;
	struct span number, status, currency, payment, channel, coupon, tracking_number, carrier,
		tracking_url;
	double total, refunded; /* major units */
	int64_t placed_us;      /* TIME_NONE until order.placed */
	int64_t delivery_us, delivery_until_us, updated_us;
	bool cancelled;
	struct span products; /* JSON array */
	struct span stamps;   /* JSON object: field -> time that set it */
	bool is_new, changed; /* for the save */
};

struct order_status {
	const struct shop *shop;
	struct span order_id, status, previous;
	int64_t at_us;
	int64_t seq; /* of the event that said so */
};

#endif
