/* pg.c: lanes, shops, and how a group's outcome becomes the answer of a call.
 *
 * A lane is a db_conn and the call in flight on it.  Nothing here keeps state of a transaction: what a
 * call needs is in the batch (the caller's) or in the lane until its answer.
 */
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "model/shop.h"
#include "store/pg_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PG_STATEMENT_TIMEOUT_MS = 5000, PG_ANSWER_TIMEOUT_MS = 10000 };

static struct pg *pg_of(const struct store *s)
{
	return (struct pg *)(uintptr_t)s;
}

/*** calls ***/

struct pg_lane *pg_lane_of(struct store *s, int lane)
{
	assert(lane >= 0 && lane < s->n_lanes);
	return &pg_of(s)->lanes[lane];
}

void pg_call(struct pg_lane *l, struct arena *a, store_done_fn *done, void *arg)
{
	assert(l->done == NULL);
	l->done = done;
	l->arg = arg;
	l->reader.arena = a;
}

void pg_finish(struct pg_lane *l, enum store_end end, const struct err *err)
{
	store_done_fn *done = l->done;

	l->done = NULL;
	done(l->arg, end, err);
}

static enum store_end pg_store_end(enum db_outcome o)
{
	switch (o) {
	case DB_COMMITTED: return STORE_OK;
	case DB_REFUSED: return STORE_REFUSED;
	case DB_AGAIN: return STORE_AGAIN;
	case DB_LOST: return STORE_LOST;
	}
	return STORE_LOST;
}

void pg_end(void *arg, const struct db_end *end)
{
	pg_finish(arg, pg_store_end(end->outcome), &end->err);
}

bool pg_went_well(struct pg_lane *l, const struct db_end *end)
{
	if (end->outcome == DB_COMMITTED)
		return true;
	pg_end(l, end);
	return false;
}

struct visit *pg_visit(const struct batch *b, int64_t customer)
{
	size_t from = 0, till = b->n_visits;

	while (from < till) {
		size_t mid = (from + till) / 2;

		if (b->visits[mid]->customer < customer)
			from = mid + 1;
		else
			till = mid;
	}
	return from < b->n_visits && b->visits[from]->customer == customer ? b->visits[from] : NULL;
}

static int pg_key_cmp(const void *x, const void *y)
{
	const struct pg_key *a = x, *b = y;
	int c = span_cmp(a->event->id, b->event->id);

	if (c == 0)
		c = span_cmp(a->event->source, b->event->source);
	if (c == 0)
		c = strcmp(a->event->shop->id, b->event->shop->id);
	if (c == 0)
		c = (a->order > b->order) - (a->order < b->order);
	return c;
}

void pg_list_keys(struct pg_lane *l)
{
	const struct batch *b = l->batch;
	size_t n = 0;

	for (size_t i = 0; i < b->n_visits; i++)
		n += b->visits[i]->n_events;
	l->keys = arena_array(l->reader.arena, struct pg_key, n);
	l->n_keys = 0;
	for (size_t i = 0; i < b->n_visits; i++) {
		struct visit *v = b->visits[i];

		for (size_t k = 0; k < v->n_events; k++) {
			l->keys[l->n_keys] = (struct pg_key){
				.event = v->events[k], .visit = v, .order = l->n_keys
			};
			l->n_keys++;
		}
	}
	if (l->n_keys > 1)
		qsort(l->keys, l->n_keys, sizeof *l->keys, pg_key_cmp);
}

static void pg_abandon(struct store *s, int lane, store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, NULL, done, arg);
	db_send_plain(l->db, SQL_ROLLBACK, NULL, NULL, 0);
	db_sync(l->db, pg_end, l);
}

static bool pg_usable(struct store *s, int lane)
{
	const struct pg_lane *l = pg_lane_of(s, lane);

	return l->done == NULL && db_is_up(l->db);
}

static bool pg_is_up(struct store *s)
{
	for (int i = 0; i < s->n_lanes; i++)
		if (db_is_up(pg_of(s)->lanes[i].db))
			return true;
	return false;
}

/*** shops ***/

/* A stand-in for a shop that rows still name but nobody configures any more. */
static struct shop *pg_ghost(struct pg *pg, struct span id)
{
	static const struct shop_calendar nobody_works = { .name = "" };
	static const struct log_ctx lc = { .room = "store" };
	struct shop *s = arena_new(&pg->ghost_arena, struct shop);
	const char *name = arena_dup(&pg->ghost_arena, id.p, id.n);

	*s = (struct shop){ .id = name,
		.base = name,
		.zone = "UTC",
		.lang = "en",
		.currency = "EUR",
		.country = "",
		.from = "",
		.reply_to = "",
		.calendar = &nobody_works,
		.is_gone = true };
	map_put(&pg->ghosts, id, s);
	log_warning(&lc, "the database names store \"%s\", which is not configured", name);
	return s;
}

static const struct shop *pg_shop(void *arg, struct span id)
{
	struct pg *pg = arg;
	const struct shop *s = map_get(&pg->shops, id);

	if (s == NULL)
		s = map_get(&pg->ghosts, id);
	return s ? s : pg_ghost(pg, id);
}

void pg_set_shops(struct store *s, const struct shop *shops, size_t n_shops)
{
	struct pg *pg = pg_of(s);

	map_fini(&pg->shops);
	pg->shops = (struct map){ 0 };
	for (size_t i = 0; i < n_shops; i++)
		map_put(&pg->shops, span_of(shops[i].id), (void *)(uintptr_t)&shops[i]);
}

/*** life ***/

static void pg_on_state(void *arg, bool up)
{
	struct pg_lane *l = arg;

	if (l->pg->on_state != NULL)
		l->pg->on_state(l->pg->arg, up);
}

const char *pg_why(const struct store *s)
{
	struct pg *pg = pg_of(s);

	for (int i = 0; i < s->n_lanes; i++)
		if (db_is_up(pg->lanes[i].db))
			return "";
	return db_why(pg->lanes[0].db);
}

bool pg_is_unsafe(const struct store *s)
{
	return db_is_unsafe(pg_of(s)->lanes[0].db);
}

static void pg_free(void *p)
{
	free(p);
}

static void pg_close(struct store *s)
{
	struct pg *pg = pg_of(s);

	for (int i = 0; i < s->n_lanes; i++) {
		db_close(pg->lanes[i].db);
		bind_fini(&pg->lanes[i].bind);
	}
	map_fini(&pg->shops);
	map_fini(&pg->ghosts);
	arena_fini(&pg->ghost_arena);
	loop_defer_free(pg->loop, pg->lanes, pg_free);
	loop_defer_free(pg->loop, pg, pg_free);
}

static const struct store_ops pg_ops = {
	.name = "pg",
	.identify = pg_identify,
	.load = pg_load,
	.fetch = pg_fetch,
	.save = pg_save,
	.abandon = pg_abandon,
	.set_read = pg_set_read,
	.set_write = pg_set_write,
	.switches_read = pg_switches_read,
	.strike = pg_strike,
	.set_aside = pg_set_aside,
	.inbox_add = pg_inbox_add,
	.usable = pg_usable,
	.is_up = pg_is_up,
	.close = pg_close,
};

struct store *pg_open(const struct pg_env *env)
{
	struct pg *pg = xcalloc(1, sizeof *pg);

	pg->store.ops = &pg_ops;
	pg->store.n_lanes = env->lanes;
	pg->loop = env->loop;
	pg->on_state = env->on_state;
	pg->arg = env->arg;
	pg->lanes = xcalloc((size_t)env->lanes, sizeof *pg->lanes);
	pg_set_shops(&pg->store, env->shops, env->n_shops);
	for (int i = 0; i < env->lanes; i++) {
		struct pg_lane *l = &pg->lanes[i];
		char *name = xasprintf("%s %d", env->name, i + 1);
		struct db_env db = { .dsn = env->dsn,
			.name = name,
			.users = SQL_LANE,
			.unsafe_durability = env->unsafe_durability,
			.statement_timeout_ms = env->statement_timeout_ms
							? env->statement_timeout_ms
							: PG_STATEMENT_TIMEOUT_MS,
			.idle_timeout_ms = env->idle_timeout_ms,
			.answer_timeout_ms = PG_ANSWER_TIMEOUT_MS,
			.on_state = pg_on_state,
			.arg = l };

		l->pg = pg;
		l->number = i;
		l->reader.shop = pg_shop;
		l->reader.arg = pg;
		l->db = db_open(env->loop, &db);
		free(name);
	}
	return &pg->store;
}
