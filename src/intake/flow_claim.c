/*
 * flow_claim.c: the keys that a batch gives to its cards (struct visit, identities): what the events claim that were
 * queued without asking (flow_who.c), and what the engine has learnt of known customers.  The save fails when another
 * card has one of them; then the events are asked for again.
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
		for (unsigned k = 0; k < e->n_identity; k++)
			if (e->claims & 1u << k)
				BATCH_PUSH(&b->arena, v->identities, v->n_identities,
					v->cap_identities) = e->identity[k];
	}
}

/* Of the keys that the engine would give to the card: those that lead to it already, or to somebody else (his event
 * was asked for: two people, who are not joined by themselves), are not claimed; nor is what another card of this
 * batch claims. */
static void lane_sift_identities(struct flow *f, struct visit *v)
{
	size_t kept = 0;

	for (size_t k = 0; k < v->n_identities; k++) {
		struct who_card card = who_find(f->who, v->card->base, &v->identities[k]);

		if (card.customer != 0 && (card.customer != v->customer || !card.promised))
			continue;
		card = (struct who_card){ .customer = v->customer,
			.version = v->card->identity_version,
			.promised = true };
		who_learn(f->who, v->card->base, &v->identities[k], &card);
		v->identities[kept++] = v->identities[k];
	}
	v->n_identities = kept;
}

void lane_gather_keys(struct flow_lane *l)
{
	for (size_t i = 0; i < l->batch.n_visits; i++) {
		lane_sift_identities(l->flow, l->batch.visits[i]);
		lane_claim(&l->batch, l->batch.visits[i]);
	}
}

void lane_learn_claims(struct flow *f, const struct visit *v)
{
	const struct who_card card = { .customer = v->customer,
		.version = v->card->identity_version };

	for (size_t i = 0; i < v->n_identities; i++)
		who_learn(f->who, v->card->base, &v->identities[i], &card);
}
