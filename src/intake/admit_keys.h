#ifndef INTAKE_ADMIT_KEYS_H
#define INTAKE_ADMIT_KEYS_H
/*
 * The customer keys of an event: what intake/admit calls; nobody else includes it.
 */
#include "intake/admit.h"

enum { ADMIT_ID_MOST = 128 };

/* What is wrong with the keys, or {NULL, NULL}. */
struct admit_keys_fault {
	const char *reason, *member; /* member: "subject", "data.customer" */
};
/* Fills e->identity from env and e->type, e->data (an object), e->shop; at least one on success. */
struct admit_keys_fault admit_keys(
	struct shop_event *e, const struct admit_envelope *env, struct arena *a);
/* UTF-8 without anything that is not seen or breaks a line: controls, separators. */
bool admit_is_printable(struct span s);

#endif
