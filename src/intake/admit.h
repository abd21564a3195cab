#ifndef INTAKE_ADMIT_H
#define INTAKE_ADMIT_H
/*
 * Admission: turns an envelope that a door has read into an event that may be judged, the same for HTTP, MQTT,
 * import, inbox and `nudgectl test`.  Checks id, type and time (P2, Limits), takes the customer keys out of
 * subject, data.customer and the vocabulary's fields (e-mail lower case, phone E.164 by the shop's country,
 * order and parcel per store), sorts them strongest first, hashes the content.
 * On failure the event becomes EVENT_QUARANTINED with reason and path: nothing is thrown away.
 */
#include "base/mem.h"
#include "model/event.h"

enum admit_door { ADMIT_HTTP, ADMIT_MQTT, ADMIT_INTERNAL };

struct admit_envelope {
	const struct shop *shop;
	struct span id, source, type, subject; /* as sent; {NULL,0}: missing */
	struct span time;                      /* RFC 3339 text, or {NULL,0} */
	struct span data;                      /* checked JSON value, or {NULL,0} */
};

/* Fills *e from the envelope.  Spans of e point into the envelope's memory or into a.  received_us: wall
 * clock.  False when it was quarantined (e->reason, e->path say why). */
bool admit_event(struct shop_event *e, const struct admit_envelope *env, enum admit_door door,
	int64_t received_us, struct arena *a);
/* Makes the event quarantined from the outside (text that is not JSON at all ...). */
void admit_quarantine(struct shop_event *e, const char *reason, struct span path);

#endif
