/* event.c: names and patterns of events. */
#include "model/event.h"

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
