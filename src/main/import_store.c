/*
 * import_store.c: two calls are looked into, load and set_read; each remembers per lane whom to tell.
 *
 * Rejected: a switch in the flow ("no rules").  It would have to be right in the engine's daily work for the sake
 * of a tool that runs once.
 */
#include "main/import_store.h"

#include "base/mem.h"

#include <stdlib.h>

enum { IMPORT_STORE_SET = 1, IMPORT_STORE_LANES = 16 };

struct import_lane {
	store_done_fn *done;
	void *arg;
	struct batch *batch;
	struct rule_set *set;
};

struct import_store {
	struct store store; /* first */
	struct store *inner;
	struct import_lane lanes[IMPORT_STORE_LANES];
};

static struct import_store *import_store_of(struct store *s)
{
	return (struct import_store *)s;
}

static void import_on_loaded(void *arg, enum store_end end, const struct err *err)
{
	struct import_lane *l = arg;

	l->batch->set_id = IMPORT_STORE_SET;
	l->done(l->arg, end, err);
}

static void import_load(
	struct store *s, int lane, struct batch *b, bool patient, store_done_fn *done, void *arg)
{
	struct import_store *is = import_store_of(s);

	is->lanes[lane] = (struct import_lane){ .done = done, .arg = arg, .batch = b };
	is->inner->ops->load(is->inner, lane, b, patient, import_on_loaded, &is->lanes[lane]);
}

static void import_on_set(void *arg, enum store_end end, const struct err *err)
{
	struct import_lane *l = arg;

	*l->set = (struct rule_set){ .id = IMPORT_STORE_SET };
	l->done(l->arg, end, err);
}

static void import_set_read(struct store *s, int lane, struct rule_set *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct import_store *is = import_store_of(s);

	is->lanes[lane] = (struct import_lane){ .done = done, .arg = arg, .set = ret };
	is->inner->ops->set_read(is->inner, lane, ret, a, import_on_set, &is->lanes[lane]);
}

/*** passed on as they are ***/

static void import_identify(struct store *s, int lane, struct store_identity *v, size_t n,
	struct arena *a, store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->identify(inner, lane, v, n, a, done, arg);
}

static void import_fetch(struct store *s, int lane, struct batch *b, struct query *q, size_t n,
	store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->fetch(inner, lane, b, q, n, done, arg);
}

static void import_save(struct store *s, int lane, struct batch *b, store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->save(inner, lane, b, done, arg);
}

static void import_abandon(struct store *s, int lane, store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->abandon(inner, lane, done, arg);
}

static void import_set_write(struct store *s, int lane, struct rule_set *set, struct span by,
	struct span host, store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->set_write(inner, lane, set, by, host, done, arg);
}

static void import_switches_read(struct store *s, int lane, struct switches *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->switches_read(inner, lane, ret, a, done, arg);
}

static void import_strike(
	struct store *s, int lane, const struct switch_pair *pair, store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->strike(inner, lane, pair, done, arg);
}

static void import_set_aside(
	struct store *s, int lane, const struct store_aside *x, store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->set_aside(inner, lane, x, done, arg);
}

static void import_inbox_add(
	struct store *s, int lane, struct store_inbox *v, size_t n, store_done_fn *done, void *arg)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->inbox_add(inner, lane, v, n, done, arg);
}

static bool import_usable(struct store *s, int lane)
{
	struct store *inner = import_store_of(s)->inner;

	return inner->ops->usable(inner, lane);
}

static bool import_is_up(struct store *s)
{
	struct store *inner = import_store_of(s)->inner;

	return inner->ops->is_up(inner);
}

static void import_close(struct store *s)
{
	struct store *inner = import_store_of(s)->inner;

	inner->ops->close(inner);
	free(s);
}

static const struct store_ops import_store_ops = {
	.name = "import",
	.identify = import_identify,
	.load = import_load,
	.fetch = import_fetch,
	.save = import_save,
	.abandon = import_abandon,
	.set_read = import_set_read,
	.set_write = import_set_write,
	.switches_read = import_switches_read,
	.strike = import_strike,
	.set_aside = import_set_aside,
	.inbox_add = import_inbox_add,
	.usable = import_usable,
	.is_up = import_is_up,
	.close = import_close,
};

struct store *import_store_open(struct store *inner)
{
	struct import_store *is = xcalloc(1, sizeof *is);

	is->store.ops = &import_store_ops;
	is->store.n_lanes =
		inner->n_lanes < IMPORT_STORE_LANES ? inner->n_lanes : IMPORT_STORE_LANES;
	is->inner = inner;
	return &is->store;
}
