/* event.c: names and patterns of events. */
#include "model/event.h"

#include "model/shop.h"

#include <string.h>

const char *event_status_name(enum event_status s)
{
	switch (s) {
	case EVENT_NEW: return "new";
	case EVENT_ACCEPTED: return "accepted";
	case EVENT_DUPLICATE: return "duplicate";
	case EVENT_CONFLICT: return "conflict";
	case EVENT_QUARANTINED: return "quarantined";
	}
	return "?";
}

bool event_type_matches(struct span pattern, struct span type)
{
	if (pattern.n == 0 || pattern.p[pattern.n - 1] != '*')
		return span_eq(pattern, type);
	pattern.n--;
	return type.n >= pattern.n && span_eq(pattern, (struct span){ type.p, pattern.n });
}

bool identity_kind_is_weak(enum identity_kind kind)
{
	switch (kind) {
	case IDENTITY_ANONYMOUS:
	case IDENTITY_ORDER:
	case IDENTITY_PARCEL: return true;
	case IDENTITY_ID:
	case IDENTITY_EMAIL:
	case IDENTITY_PHONE:
	case IDENTITY_HIDDEN:
	case IDENTITY_CUSTOMER: break;
	}
	return false;
}

bool event_names_order(const struct shop_event *e, const struct shop *shop, struct span order)
{
	size_t before = strlen(shop->id) + 1; /* "shop/" */

	for (unsigned i = 0; i < e->n_identity; i++) {
		struct span value = e->identity[i].value;

		if (e->identity[i].kind == IDENTITY_ORDER && value.n == before + order.n &&
			memcmp(value.p, shop->id, before - 1) == 0 &&
			memcmp(value.p + before, order.p, order.n) == 0)
			return true;
	}
	return false;
}
