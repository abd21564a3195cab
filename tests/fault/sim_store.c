/*
 * sim_store.c: the store as a daemon sees it: the memory store behind a network that delays, loses and repeats.
 *
 * A call travels, is carried out on the server's end of its connection (a lane of the memory store), and its answer
 * travels back.  Fate is drawn when the call is made.  When the daemon's end dies, the server's end lives on until it
 * notices: till then its transaction holds its customers, and a commit that is on its way is still carried out
 * (on a copy of the batch, because the daemon has taken its own back by then).
 */
#include "sim_int.h"

#include "store/mem_int.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { STORE_THROWN_OUT_US = 5 * SIM_SECOND };

enum call_kind {
	CALL_IDENTIFY,
	CALL_LOAD,
	CALL_FETCH,
	CALL_SAVE,
	CALL_ABANDON,
	CALL_SET,
	CALL_SWITCHES,
	CALL_STRIKE,
	CALL_ASIDE
};
static const char *const call_names[] = { "identify", "load", "fetch", "save", "abandon", "set",
	"switches", "strike", "aside" };

struct sim_call {
	struct sim *sim;
	struct sim_daemon *daemon;
	struct sim_lane *lane;
	struct sim_conn *conn; /* NULL: there was none to be had */
	unsigned epoch;
	enum call_kind kind;
	enum sim_fate fate;
	bool is_dropped; /* it never arrives */
	bool is_orphan;  /* nobody waits for it */
	bool is_done, is_held;
	store_done_fn *done;
	void *arg;
	enum store_end end;
	struct err err;
	/* arguments */
	struct store_identity *ids;
	size_t n;
	struct arena *arena;
	struct batch *batch;
	struct query *queries;
	struct rule_set *set;
	struct switches *switches;
	struct switch_pair pair;
	struct store_aside aside;
};

static struct sim_daemon *daemon_of(struct store *st)
{
	return (struct sim_daemon *)st;
}

/* ---- connections ---- */

/* Ends what the server's end had open; the connection may be used by somebody else. */
static void conn_close(struct sim *s, struct sim_conn *c)
{
	mem_unlock(mem_of(s->mem), c->number);
	c->is_used = c->is_gone = c->killed = c->has_late = false;
	c->batch = NULL;
	c->age++;
}

struct conn_notice {
	struct sim_conn *conn;
	unsigned age;
};

/* The server sees that nobody is there any more. */
static void conn_notice(struct sim *s, void *arg)
{
	struct conn_notice *x = arg;

	if (x->age != x->conn->age || x->conn->has_late)
		return;
	sim_trace(s, "server: connection %d is closed", x->conn->number);
	conn_close(s, x->conn);
}

/* The daemon's end is closed. */
static void conn_leave(struct sim *s, struct sim_conn *c)
{
	struct conn_notice *x;

	if (c == NULL)
		return;
	x = arena_new(&s->arena, struct conn_notice);
	*x = (struct conn_notice){ c, c->age };
	c->is_gone = true;
	sim_after(
		s, (int64_t)sim_rnd(s, sim_chance(s, 200) ? 3 * SIM_SECOND : 3000), conn_notice, x);
}

/* A connection for a lane; NULL: the server has no more. */
static struct sim_conn *conn_open(struct sim *s)
{
	for (int i = 0; i < SIM_CONNS_MOST; i++)
		if (!s->conns[i].is_used) {
			s->conns[i].is_used = true;
			return &s->conns[i];
		}
	return NULL;
}

bool sim_store_is_locked(struct sim *s, int64_t customer)
{
	return map_get(&mem_of(s->mem)->locks, MAP_KEY(customer)) != NULL;
}

/* ---- carrying out ---- */

static void call_on_done(void *arg, enum store_end end, const struct err *err)
{
	struct sim_call *c = arg;

	c->end = end;
	c->err = *err;
}

/* Does the batch hold an event that the database refuses to take? */
static bool call_is_poisoned(const struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++)
		for (size_t k = 0; k < b->visits[i]->n_events; k++)
			if (b->visits[i]->state == VISIT_READY &&
				b->visits[i]->events[k]->status == EVENT_ACCEPTED &&
				span_starts(b->visits[i]->events[k]->id, "poison"))
				return true;
	return false;
}

static void call_save(struct sim_call *c)
{
	struct sim *s = c->sim;
	size_t n_events = mem_tables(s->mem)->n_events;

	if (call_is_poisoned(c->batch)) {
		mem_unlock(mem_of(s->mem), c->conn->number);
		c->end = STORE_REFUSED;
		err_set(&c->err, "the database does not like an event");
		return;
	}
	s->mem->ops->save(s->mem, c->conn->number, c->batch, call_on_done, c);
	mem_turn(s->mem);
	if (c->end == STORE_OK)
		sim_judge_commit(s, c->daemon, c->conn, c->batch, n_events);
}

/* On the server. */
static void call_carry_out(struct sim_call *c)
{
	struct store *m = c->sim->mem;
	int lane = c->conn->number;

	switch (c->kind) {
	case CALL_IDENTIFY:
		m->ops->identify(m, lane, c->ids, c->n, c->arena, call_on_done, c);
		break;
	case CALL_LOAD: m->ops->load(m, lane, c->batch, false, call_on_done, c); break;
	case CALL_FETCH: m->ops->fetch(m, lane, c->batch, c->queries, c->n, call_on_done, c); break;
	case CALL_SAVE: call_save(c); return;
	case CALL_ABANDON: m->ops->abandon(m, lane, call_on_done, c); break;
	case CALL_SET: m->ops->set_read(m, lane, c->set, c->arena, call_on_done, c); break;
	case CALL_SWITCHES:
		m->ops->switches_read(m, lane, c->switches, c->arena, call_on_done, c);
		break;
	case CALL_STRIKE: m->ops->strike(m, lane, &c->pair, call_on_done, c); break;
	case CALL_ASIDE: m->ops->set_aside(m, lane, &c->aside, call_on_done, c); break;
	}
	mem_turn(m);
}

static void call_answer(struct sim *s, void *arg);

static void call_trace(const struct sim_call *c, const char *what)
{
	sim_trace(c->sim, "daemon %d/%d: %s %s on %d%s%s", c->daemon->number,
		(int)(c->lane - c->daemon->lanes), call_names[c->kind], what,
		c->conn ? c->conn->number : -1, c->is_orphan ? ", nobody waits" : "",
		c->batch && c->batch->kind == BATCH_DUE ? ", due" : "");
}

/* Nobody waits for it: carried out, then the connection is closed (as soon as the daemon's end is, too). */
static void call_execute_orphan(struct sim_call *c)
{
	if (!c->conn->killed && !c->sim->database_down) {
		call_carry_out(c);
		call_trace(c, store_end_name(c->end));
	}
	c->conn->has_late = false;
	c->conn->killed = true;
	if (c->conn->is_gone)
		conn_close(c->sim, c->conn);
}

/* The call has arrived. */
static void call_execute(struct sim *s, void *arg)
{
	struct sim_call *c = arg;

	if (c->is_dropped)
		return;
	c->is_done = true;
	if (c->is_orphan) {
		call_execute_orphan(c);
		return;
	}
	c->end = STORE_LOST;
	err_set(&c->err, "the connection died");
	if (c->conn == NULL || c->conn->killed || s->database_down) {
		call_trace(c, "finds no connection");
	} else if (c->fate == SIM_AGAIN) {
		mem_unlock(mem_of(s->mem), c->conn->number);
		c->end = STORE_AGAIN;
		s->n.again++;
		call_trace(c, "collides");
	} else if (c->fate == SIM_LOST || c->fate == SIM_LOST_LATE) {
		call_trace(c, "is lost");
	} else {
		call_carry_out(c);
		call_trace(c, store_end_name(c->end));
		if (c->fate == SIM_LOST_DONE)
			c->end = STORE_LOST;
	}
	sim_after(s, 50 + (int64_t)sim_rnd(s, 1000), call_answer, c);
}

/* ---- how much a batch may suffer ---- */

static bool batch_is_join(const struct batch *b)
{
	for (size_t i = 0; i < b->n_visits; i++)
		if (b->visits[i]->state == VISIT_READY && b->visits[i]->card != NULL &&
			b->visits[i]->card->merged_into != 0)
			return true;
	return false;
}

/* Losses in a row of a card at a daemon. */
static struct span batch_key(struct sim_daemon *d, int64_t card, int64_t ret[3])
{
	ret[0] = d->number;
	ret[1] = d->epoch;
	ret[2] = card;
	return (struct span){ (const char *)ret, 3 * sizeof *ret };
}

/* May the connection be lost over the batch once more, without that anything in it is blamed? */
static bool batch_may_be_lost(struct sim_daemon *d, const struct batch *b)
{
	struct sim *s = d->sim;
	int64_t key[3];

	if (b->kind == BATCH_DUE)
		return d->due_lost++ < SIM_LOST_MOST;
	if (batch_is_join(b))
		return s->joins_lost++ < SIM_JOINS_LOST_MOST;
	for (size_t i = 0; i < b->n_visits; i++)
		if ((intptr_t)map_get(&s->losses, batch_key(d, b->visits[i]->customer, key)) >=
			SIM_LOST_MOST)
			return false;
	for (size_t i = 0; i < b->n_visits; i++) {
		struct span bytes = batch_key(d, b->visits[i]->customer, key);

		map_put(&s->losses, bytes, (void *)((intptr_t)map_get(&s->losses, bytes) + 1));
	}
	return true;
}

static void batch_is_well(struct sim_daemon *d, const struct batch *b)
{
	int64_t key[3];

	for (size_t i = 0; i < b->n_visits; i++)
		if (b->visits[i]->state == VISIT_READY)
			map_del(&d->sim->losses, batch_key(d, b->visits[i]->customer, key));
}

/* ---- answers ---- */

/* The daemon's end of the connection is gone; another is made in a while. */
static void lane_disconnect(struct sim_call *c)
{
	struct sim *s = c->sim;
	struct sim_lane *l = c->lane;

	s->n.lost++;
	if (l->conn != NULL)
		conn_leave(s, l->conn);
	l->conn = NULL;
	l->usable_at_us = s->now_us + 1000 + (int64_t)sim_rnd(s, 300000);
}

static void lane_reconnected(struct sim *s, void *arg)
{
	struct sim_lane *l = arg;

	(void)s;
	if (!sim_daemon_stands(l->daemon))
		sim_daemon_turn(l->daemon);
}

static void call_deliver(struct sim_call *c)
{
	struct sim_daemon *d = c->daemon;

	c->lane->call = NULL;
	if (c->end == STORE_LOST) {
		lane_disconnect(c);
		sim_after(
			c->sim, c->lane->usable_at_us - c->sim->now_us, lane_reconnected, c->lane);
	}
	if (c->kind == CALL_LOAD && c->end == STORE_OK) /* as far as it can know */
		c->conn->load_skew_us = c->sim->now_us + d->skew_us - c->batch->now_us;
	if (c->kind == CALL_LOAD && c->end == STORE_OK)
		c->conn->batch = c->batch;
	else if (c->lane->conn != NULL && c->kind != CALL_FETCH)
		c->lane->conn->batch = NULL;
	if (c->kind == CALL_SAVE && c->end == STORE_OK)
		batch_is_well(d, c->batch);
	c->done(c->arg, c->end, &c->err);
	if (!c->sim->failed)
		sim_daemon_turn(d);
}

static void call_answer(struct sim *s, void *arg)
{
	struct sim_call *c = arg;

	(void)s;
	if (c->epoch != c->daemon->epoch || c->is_orphan)
		return;
	if (sim_daemon_stands(c->daemon))
		c->is_held = true;
	else
		call_deliver(c);
}

void sim_store_thaw(struct sim_daemon *d)
{
	unsigned epoch = d->epoch;

	for (int i = 0; i < SIM_LANES_MOST && d->epoch == epoch; i++) {
		struct sim_call *c = d->lanes[i].call;

		if (c != NULL && c->is_held)
			call_deliver(c);
	}
}

/* ---- calling ---- */

/* The first half of its life goes on without the daemon: copies what it lent. */
static void call_orphan(struct sim_call *c)
{
	struct arena *a = &c->sim->arena;

	c->is_orphan = true;
	c->conn->has_late = true;
	if (c->kind == CALL_SAVE) {
		c->batch = sim_copy_batch(a, c->batch);
		return;
	}
	struct store_identity *ids = arena_array(a, struct store_identity, c->n + 1);

	for (size_t i = 0; i < c->n; i++) {
		ids[i] = c->ids[i];
		ids[i].base = mem_text(a, ids[i].base);
		ids[i].value = mem_text(a, ids[i].value);
	}
	c->ids = ids;
	c->arena = a;
}

static bool call_can_be_late(const struct sim_call *c)
{
	return c->conn != NULL && !c->is_done && (c->kind == CALL_SAVE || c->kind == CALL_IDENTIFY);
}

/* The connection dies under it at once; what it asked for happens later, to everybody's surprise. */
static void call_lose_early(struct sim_call *c)
{
	struct sim_call *late = arena_new(&c->sim->arena, struct sim_call);

	*late = *c;
	call_orphan(late);
	sim_after(c->sim,
		1000 + (int64_t)sim_rnd(c->sim, sim_chance(c->sim, 200) ? 2000000 : 20000),
		call_execute, late);
}

static enum sim_fate call_fate(struct sim_call *c)
{
	struct sim *s = c->sim;

	if (sim_fault(s, s->faults.again) && c->kind != CALL_ABANDON)
		return SIM_AGAIN;
	if (!sim_fault(s, s->faults.lost) ||
		(c->batch != NULL && !batch_may_be_lost(c->daemon, c->batch)))
		return SIM_WELL;
	return SIM_LOST + (enum sim_fate)sim_rnd(s, call_can_be_late(c) ? 3 : 2);
}

static struct sim_call *call_begin(
	struct store *st, int lane, enum call_kind kind, store_done_fn *done, void *arg)
{
	struct sim_daemon *d = daemon_of(st);
	struct sim_call *c = arena_new(&d->sim->arena, struct sim_call);
	struct sim_lane *l = &d->lanes[lane];

	assert(l->call == NULL);
	if (l->conn == NULL)
		l->conn = conn_open(d->sim);
	*c = (struct sim_call){ .sim = d->sim,
		.daemon = d,
		.lane = l,
		.conn = l->conn,
		.epoch = d->epoch,
		.kind = kind,
		.done = done,
		.arg = arg };
	l->call = c;
	return c;
}

static void call_send(struct sim_call *c)
{
	struct sim *s = c->sim;
	int64_t delay_us = 50 + (int64_t)sim_rnd(s, 1000);

	c->fate = call_fate(c);
	if (sim_fault(s, s->faults.slow))
		delay_us += (int64_t)sim_rnd(s, 4 * SIM_SECOND);
	if (c->fate == SIM_LOST_LATE)
		call_lose_early(c);
	sim_after(s, delay_us, call_execute, c);
}

static void sim_identify(struct store *st, int lane, struct store_identity *v, size_t n,
	struct arena *a, store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_IDENTIFY, done, arg);

	c->ids = v;
	c->n = n;
	c->arena = a;
	call_send(c);
}

struct lane_kill {
	struct sim_daemon *daemon;
	struct sim_conn *conn;
	unsigned age;
};

/* idle_in_transaction_session_timeout, or an administrator */
static void lane_kill(struct sim *s, void *arg)
{
	struct lane_kill *k = arg;

	if (k->age != k->conn->age || k->conn->is_gone || !mem_of(s->mem)->open[k->conn->number] ||
		k->conn->batch == NULL || !batch_may_be_lost(k->daemon, k->conn->batch))
		return;
	s->n.kills++;
	sim_trace(s, "server: ends the transaction on %d", k->conn->number);
	mem_unlock(mem_of(s->mem), k->conn->number);
	k->conn->killed = true;
}

static void lane_plan_kill(struct sim_daemon *d, struct sim_conn *c, int64_t delay_us)
{
	struct lane_kill *k = arena_new(&d->sim->arena, struct lane_kill);

	*k = (struct lane_kill){ d, c, c->age };
	sim_after(d->sim, delay_us, lane_kill, k);
}

static void sim_load(
	struct store *st, int lane, struct batch *b, bool patient, store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_LOAD, done, arg);
	struct sim *s = c->sim;

	(void)patient;
	c->batch = b;
	call_send(c);
	if (c->conn != NULL && sim_fault(s, s->faults.kill))
		lane_plan_kill(c->daemon, c->conn, (int64_t)sim_rnd(s, 5000));
}

static void sim_fetch(struct store *st, int lane, struct batch *b, struct query *q, size_t n,
	store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_FETCH, done, arg);

	c->batch = b;
	c->queries = q;
	c->n = n;
	call_send(c);
}

static void sim_save(struct store *st, int lane, struct batch *b, store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_SAVE, done, arg);

	c->batch = b;
	call_send(c);
}

static void sim_abandon(struct store *st, int lane, store_done_fn *done, void *arg)
{
	call_send(call_begin(st, lane, CALL_ABANDON, done, arg));
}

static void sim_set_read(struct store *st, int lane, struct rule_set *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_SET, done, arg);

	c->set = ret;
	c->arena = a;
	call_send(c);
}

static void sim_switches_read(struct store *st, int lane, struct switches *ret, struct arena *a,
	store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_SWITCHES, done, arg);

	c->switches = ret;
	c->arena = a;
	call_send(c);
}

static void sim_strike(
	struct store *st, int lane, const struct switch_pair *pair, store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_STRIKE, done, arg);

	c->pair = *pair;
	call_send(c);
}

static void sim_set_aside(
	struct store *st, int lane, const struct store_aside *x, store_done_fn *done, void *arg)
{
	struct sim_call *c = call_begin(st, lane, CALL_ASIDE, done, arg);

	c->aside = *x;
	call_send(c);
}

static bool sim_usable(struct store *st, int lane)
{
	const struct sim_daemon *d = daemon_of(st);
	const struct sim_lane *l = &d->lanes[lane];

	return l->call == NULL && d->sim->now_us >= l->usable_at_us && !d->sim->database_down;
}

static bool sim_is_up(struct store *st)
{
	return !daemon_of(st)->sim->database_down;
}

const struct store_ops sim_store_ops = {
	.name = "sim",
	.identify = sim_identify,
	.load = sim_load,
	.fetch = sim_fetch,
	.save = sim_save,
	.abandon = sim_abandon,
	.set_read = sim_set_read,
	.switches_read = sim_switches_read,
	.strike = sim_strike,
	.set_aside = sim_set_aside,
	.usable = sim_usable,
	.is_up = sim_is_up,
};

/* ---- great disasters ---- */

void sim_store_crash(struct sim_daemon *d)
{
	struct sim *s = d->sim;

	for (int i = 0; i < s->n_lanes; i++) {
		struct sim_lane *l = &d->lanes[i];
		struct sim_call *c = l->call;

		if (c != NULL && !c->is_done) {
			if (call_can_be_late(c) && c->fate == SIM_WELL && sim_chance(s, 500))
				call_orphan(c);
			else
				c->is_dropped = true;
		}
		conn_leave(s, l->conn);
		*l = (struct sim_lane){ .daemon = d };
	}
}

void sim_store_down(struct sim *s)
{
	s->database_down = true;
	for (int i = 0; i < SIM_CONNS_MOST; i++) {
		mem_unlock(mem_of(s->mem), i);
		s->conns[i].killed |= s->conns[i].is_used;
	}
}

void sim_store_up(struct sim *s)
{
	s->database_down = false;
	for (int i = 0; i < s->n_daemons; i++)
		if (s->daemons[i].flow != NULL && !sim_daemon_stands(&s->daemons[i]))
			sim_daemon_turn(&s->daemons[i]);
}

/* A daemon that stands still in the middle of a transaction is thrown out (idle_in_transaction_session_timeout). */
void sim_store_freeze(struct sim_daemon *d)
{
	struct sim *s = d->sim;

	for (int i = 0; i < s->n_lanes; i++)
		if (d->lanes[i].conn != NULL &&
			d->frozen_until_us - s->now_us >= STORE_THROWN_OUT_US)
			lane_plan_kill(d, d->lanes[i].conn, STORE_THROWN_OUT_US);
}
