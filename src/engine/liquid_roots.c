/*
 * liquid_roots.c: which variables a template uses, for the lint of `nudgectl check`.
 *
 * The parser has noted every use; a name counts as the template's own when the template gives it a
 * value anywhere, before or after: finer rules would refuse templates that work.
 */
#include "base/suggest.h"
#include "engine/liquid_tree.h"

#include <stdio.h>

void liquid_roots(const struct liquid *l, liquid_use_fn *fn, void *arg)
{
	const struct tree_use *use;

	for (use = l->uses; use != NULL; use = use->next) {
		const struct tree_slot *slot = &l->slots[use->slot];
		struct liquid_use u = { slot->name, use->path, use->line, slot->is_local };

		fn(arg, &u);
	}
}

bool liquid_has_root(const struct liquid *l, const char *root)
{
	const struct tree_use *use;

	for (use = l->uses; use != NULL; use = use->next)
		if (span_is(l->slots[use->slot].name, root) && !l->slots[use->slot].is_local)
			return true;
	return false;
}

/* Says that a root is unknown and what is near.  Always returns false. */
static bool roots_unknown(const struct liquid *l, const struct tree_use *use,
	const char *const *known, struct err *err)
{
	char wrong[64];
	struct suggest near;
	int i;

	snprintf(wrong, sizeof wrong, "%.*s", SPAN_ARG(l->slots[use->slot].name));
	suggest_init(&near, wrong);
	for (; *known != NULL; known++)
		suggest_offer(&near, *known);
	for (i = 0; i < l->n_slots; i++)
		if (l->slots[i].is_local)
			suggest_offer(&near, l->slots[i].name.p);
	if (near.best)
		err_set(err, "unknown name \"%s\"; did you mean \"%s\"?", wrong, near.best);
	else
		err_set(err, "unknown name \"%s\"", wrong);
	return err_prefix(err, "%s:%d: ", l->name, use->line);
}

/* Whether the NULL-ended list has the name. */
static bool roots_is_known(const char *const *known, struct span name)
{
	for (; *known != NULL; known++)
		if (span_is(name, *known))
			return true;
	return false;
}

bool liquid_check_roots(const struct liquid *l, const char *const *known, struct err *err)
{
	const struct tree_use *use;

	for (use = l->uses; use != NULL; use = use->next) {
		struct span name = l->slots[use->slot].name;

		if (!l->slots[use->slot].is_local && !roots_is_known(known, name))
			return roots_unknown(l, use, known, err);
	}
	return true;
}
