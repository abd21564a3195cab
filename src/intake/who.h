#ifndef INTAKE_WHO_H
#define INTAKE_WHO_H
/*
 * Who is who: the cache of identities -> customers of one engine process.  Bounded: two generations, the older
 * one is forgotten when the younger one is full.  What it says may be stale; the store's load finds that out
 * (VISIT_STALE) and the flow calls who_forget.
 */
#include "model/event.h"

struct who;

struct who *who_new(size_t most);
void who_free(struct who *w);
/* What is known of an identity: its customer (0: nothing), his identity_version and whether his card was weak
 * (model/event.h) when it was learnt. */
struct who_card {
	int64_t customer, version;
	bool weak;
	bool promised; /* events on their way claim it for him; nothing of it is committed yet */
};
/* It will be asked for soon: the processor may fetch it meanwhile. */
void who_expect(struct who *w, struct span base, const struct identity *id);
struct who_card who_find(struct who *w, struct span base, const struct identity *id);
void who_learn(
	struct who *w, struct span base, const struct identity *id, const struct who_card *card);
void who_forget(struct who *w, struct span base, const struct identity *id);
/* The bytes by which an identity is known, appended to key. */
void who_key(struct buf *key, struct span base, const struct identity *id);

#endif
