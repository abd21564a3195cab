/*
 * sim_daemon.c: a daemon is the real flow with the real engine, on the store of sim_store.c and on clocks of its own:
 * its boot clock counts from another beginning, its wall clock may be wrong.  It has no loop: it gets a turn whenever
 * an answer or a post comes, and at the time it asked for.
 */
#include "sim_int.h"

#include "base/clock.h"
#include "engine/judge.h"

#include <stdlib.h>
#include <string.h>

enum { DAEMON_TURNS_MOST = 1000 };

static const struct shop_calendar sim_calendar = {
	.name = "always",
	.days = { [0 ... 6] = { .spans = { { 0, 24 * 60 } }, .nspans = 1 } },
};
const struct shop sim_shop = {
	.id = "shop",
	.base = "shop",
	.zone = "UTC",
	.lang = "en",
	.currency = "EUR",
	.country = "DE",
	.from = "Shop <shop@example.com>",
	.reply_to = "",
	.consent_transactional = true,
	.calendar = &sim_calendar,
};

static int64_t daemon_boot_us(void *arg)
{
	const struct sim_daemon *d = arg;

	return d->sim->now_us + d->boot_offset_us;
}

static int64_t daemon_wall_us(void *arg)
{
	const struct sim_daemon *d = arg;

	return d->sim->now_us + d->skew_us;
}

/* A judge's clock for its limits: on slow machines a batch is cut now and then. */
static int64_t daemon_ticks_us(void *arg)
{
	struct sim_daemon *d = arg;

	if (d->sim->is_slow_judge)
		d->ticks += sim_rnd(d->sim, 60000);
	return (int64_t)d->ticks;
}

static void daemon_poke(void *arg, unsigned channels)
{
	(void)arg;
	(void)channels; /* couriers look by themselves */
}

static void daemon_turn_wanted(void *arg)
{
	((struct sim_daemon *)arg)->turn_wanted = true;
}

bool sim_daemon_stands(const struct sim_daemon *d)
{
	return d->frozen_until_us > d->sim->now_us;
}

struct daemon_wake {
	struct sim_daemon *daemon;
	unsigned wake;
};

static void daemon_on_wake(struct sim *s, void *arg)
{
	struct daemon_wake *w = arg;

	(void)s;
	if (w->wake == w->daemon->wake && w->daemon->flow != NULL && !sim_daemon_stands(w->daemon))
		sim_daemon_turn(w->daemon);
}

void sim_daemon_turn(struct sim_daemon *d)
{
	struct daemon_wake *w;
	int i;

	if (d->flow == NULL || d->in_turn)
		return;
	d->in_turn = true;
	for (i = 0; i < DAEMON_TURNS_MOST && !d->sim->failed; i++) {
		d->turn_wanted = false;
		flow_turn(d->flow);
		if (!d->turn_wanted)
			break;
	}
	d->in_turn = false;
	if (i == DAEMON_TURNS_MOST)
		sim_fail(d->sim, "daemon %d wants turn after turn", d->number);
	w = arena_new(&d->sim->arena, struct daemon_wake);
	*w = (struct daemon_wake){ d, ++d->wake };
	sim_after(d->sim, flow_next_us(d->flow) - daemon_boot_us(d), daemon_on_wake, w);
}

void sim_daemon_start(struct sim_daemon *d)
{
	struct sim *s = d->sim;
	struct judge_env judge = { .shops = &sim_shop,
		.n_shops = 1,
		.is_test = true,
		.ticks_us = daemon_ticks_us,
		.arg = d };
	struct flow_host host = { .boot_us = daemon_boot_us,
		.wall_us = daemon_wall_us,
		.poke = daemon_poke,
		.turn = daemon_turn_wanted,
		.arg = d };

	judge_limits_default(&judge.limits);
	judge.limits.eval_us = INT64_MAX / 4; /* nothing here loops; how long it takes is by lot */
	d->epoch++;
	d->frozen_until_us = 0;
	d->due_lost = 0;
	d->boot_offset_us = (int64_t)sim_rnd(s, 1000) * SIM_SECOND - s->now_us;
	for (int i = 0; i < s->n_lanes; i++)
		d->lanes[i] = (struct sim_lane){ .daemon = d };
	d->flow = flow_open(&d->store, &judge, &s->limits, &host);
	sim_trace(s, "daemon %d starts", d->number);
	sim_daemon_turn(d);
}

void sim_daemon_open(struct sim *s, int number)
{
	struct sim_daemon *d = &s->daemons[number];

	d->sim = s;
	d->number = number;
	d->store.ops = &sim_store_ops;
	d->store.n_lanes = s->n_lanes;
	sim_daemon_start(d);
}

static void daemon_again(struct sim *s, void *arg)
{
	struct sim_daemon *d = arg;

	(void)s;
	if (d->flow == NULL)
		sim_daemon_start(d);
}

void sim_daemon_crash(struct sim_daemon *d)
{
	struct sim *s = d->sim;

	sim_trace(s, "daemon %d dies", d->number);
	s->n.crashes++;
	d->epoch++;
	d->wake++;
	sim_store_crash(d);
	flow_close(d->flow);
	d->flow = NULL;
	sim_client_lose(s, d);
	sim_after(s, 1000 + (int64_t)sim_rnd(s, 5 * SIM_SECOND), daemon_again, d);
}

void sim_daemon_close(struct sim_daemon *d)
{
	flow_close(d->flow);
	d->flow = NULL;
}

/* ---- fate ---- */

void sim_daemon_thaw(struct sim_daemon *d)
{
	d->frozen_until_us = 0;
	sim_trace(d->sim, "daemon %d goes on", d->number);
	sim_store_thaw(d);
	if (!d->sim->failed)
		sim_daemon_turn(d);
}

static void daemon_thaw(struct sim *s, void *arg)
{
	struct sim_daemon *d = arg;

	if (d->flow != NULL && d->frozen_until_us != 0 && d->frozen_until_us <= s->now_us)
		sim_daemon_thaw(d);
}

static void daemon_freeze(struct sim_daemon *d)
{
	struct sim *s = d->sim;
	int64_t us = (int64_t)sim_rnd(s, 30 * SIM_SECOND);

	d->frozen_until_us = s->now_us + us;
	s->n.freezes++;
	sim_trace(s, "daemon %d stands still for %.1f s", d->number, (double)us / 1e6);
	sim_store_freeze(d);
	sim_after(s, us, daemon_thaw, d);
}

static void daemon_fate(struct sim *s, void *arg)
{
	struct sim_daemon *d = arg;

	if (s->is_healed)
		return;
	if (d->flow != NULL && sim_fault(s, s->faults.crash))
		sim_daemon_crash(d);
	else if (d->flow != NULL && !sim_daemon_stands(d) && sim_fault(s, s->faults.freeze))
		daemon_freeze(d);
	if (sim_fault(s, s->faults.skew)) {
		d->skew_us = (int64_t)sim_rnd(s, 8 * SIM_SECOND) - 4 * SIM_SECOND;
		sim_trace(s, "the clock of daemon %d is %+.1f s off", d->number,
			(double)d->skew_us / 1e6);
	}
	sim_after(s, (int64_t)sim_rnd(s, SIM_SECOND), daemon_fate, d);
}

static void database_up(struct sim *s, void *arg)
{
	(void)arg;
	if (!s->database_down)
		return;
	sim_trace(s, "the database is back");
	sim_store_up(s);
}

static void database_fate(struct sim *s, void *arg)
{
	(void)arg;
	if (s->is_healed)
		return;
	if (!s->database_down && sim_fault(s, s->faults.outage)) {
		sim_trace(s, "the database stops");
		sim_store_down(s);
		sim_after(s, (int64_t)sim_rnd(s, 20 * SIM_SECOND), database_up, NULL);
	}
	sim_after(s, (int64_t)sim_rnd(s, 2 * SIM_SECOND), database_fate, NULL);
}

void sim_daemon_plan_faults(struct sim *s)
{
	for (int i = 0; i < s->n_daemons; i++)
		sim_after(s, (int64_t)sim_rnd(s, SIM_SECOND), daemon_fate, &s->daemons[i]);
	sim_after(s, 0, database_fate, NULL);
}
