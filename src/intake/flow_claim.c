/*
 * flow_claim.c: the keys that a batch gives to its cards (struct visit, identities): those that its events claim
 * (flow_who.c).  The save fails when another card has one of them; then the events are asked for again.
 */
#include "base/mem.h"
#include "intake/flow_int.h"

/* What the events of a visit claim is given to its card. */
static void lane_claim(struct batch *b, struct visit *v)
{
	for (size_t i = 0; i < v->n_events; i++) {
		const struct shop_event *e = v->events[i];

		if (e->claims == 0 || e->status != EVENT_ACCEPTED)
			continue;
		for (unsigned k = 0; e->claims >> k != 0; k++)
			if (e->claims & 1u << k)
				BATCH_PUSH(&b->arena, v->identities, v->n_identities,
					v->cap_identities) = *flow_key(e, k);
	}
}

void lane_gather_keys(struct flow_lane *l)
{
	for (size_t i = 0; i < l->batch.n_visits; i++)
		lane_claim(&l->batch, l->batch.visits[i]);
}

void lane_learn_claims(struct flow *f, const struct visit *v)
{
	const struct who_card card = { .customer = v->customer,
		.version = v->card->identity_version };

	for (size_t i = 0; i < v->n_identities; i++)
		who_learn(f->who, v->card->base, &v->identities[i], &card);
}
