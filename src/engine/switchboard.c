/* switchboard.c: suspended rules and pairs set aside.  The list is nearly always empty, so it is no table. */
#include "engine/switchboard.h"

#include "base/crashnote.h"
#include "base/str.h"
#include "model/shop.h"

#include <stdio.h>
#include <string.h>

static struct span switchboard_keep(struct arena *a, struct span s)
{
	return (struct span){ arena_dup(a, s.p, s.n), s.n };
}

void switchboard_copy(struct switches *to, struct arena *a, const struct switches *from)
{
	arena_reset(a);
	to->version = from->version;
	to->n_suspended = from->n_suspended;
	to->n_pairs = from->n_pairs;
	to->suspended = arena_array(a, struct span, from->n_suspended);
	to->pairs = arena_array(a, struct switch_pair, from->n_pairs);
	for (size_t i = 0; i < from->n_suspended; i++)
		to->suspended[i] = switchboard_keep(a, from->suspended[i]);
	for (size_t i = 0; i < from->n_pairs; i++) {
		to->pairs[i].kind = switchboard_keep(a, from->pairs[i].kind);
		to->pairs[i].id = switchboard_keep(a, from->pairs[i].id);
		to->pairs[i].rule = switchboard_keep(a, from->pairs[i].rule);
	}
}

bool switchboard_is_suspended(const struct switches *s, struct span rule)
{
	for (size_t i = 0; i < s->n_suspended; i++)
		if (span_eq(s->suspended[i], rule))
			return true;
	return false;
}

/* Is (kind, id, rule) set aside? */
static bool switchboard_has(
	const struct switches *s, const char *kind, struct span id, struct span rule)
{
	for (size_t i = 0; i < s->n_pairs; i++)
		if (span_is(s->pairs[i].kind, kind) && span_eq(s->pairs[i].id, id) &&
			span_eq(s->pairs[i].rule, rule))
			return true;
	return false;
}

bool switchboard_is_struck(const struct switches *s, const struct shop_event *e, struct span rule)
{
	char id[CRASH_ID_SIZE];
	int n;

	if (!s->n_pairs)
		return false;
	n = snprintf(id, sizeof id, "%s/%.*s/%.*s", e->shop ? e->shop->id : "", SPAN_ARG(e->source),
		SPAN_ARG(e->id));
	if (n >= (int)sizeof id)
		n = (int)sizeof id - 1;
	return switchboard_has(s, "event", (struct span){ id, (size_t)n }, rule);
}

bool switchboard_is_struck_chain(const struct switches *s, const struct chain *c)
{
	char id[24];
	int n;

	if (!s->n_pairs)
		return false;
	n = snprintf(id, sizeof id, "%lld", (long long)c->id);
	return switchboard_has(s, "chain", (struct span){ id, (size_t)n }, c->rule);
}
