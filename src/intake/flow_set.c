/*
 * flow_set.c: which rules are judged by.  A lane reads the set that is current in the database, and the switches (what
 * is suspended or set aside), when a load has found others than ours; nothing is judged meanwhile.
 *
 * A set that can not be loaded here is tried again at times, and nothing is judged by the one before it: what was
 * activated counts from its commit on.
 */
#include "base/failpoint.h"
#include "intake/flow_int.h"

#include <stdio.h>

enum {
	SET_RETRY_US = 100000, /* after a refusal or loss */
	SET_UNFIT_US = 5000000 /* a set that this engine could not load */
};

static void lane_take_set(struct flow_lane *l)
{
	struct flow *f = l->flow;
	struct err err = { 0 };
	struct judge *j;

	flow_tell_time(f, l->set.read_us);
	if (l->set.id == 0) {
		snprintf(f->why_not_ready, sizeof f->why_not_ready, "no rule set is active");
		f->set_not_before_us = flow_boot_us(f) + f->limits.poll_us;
		return;
	}
	if ((j = judge_new(&f->env, &l->set, &err)) == NULL) {
		log_error(
			&l->lc, "could not load rule set %lld: %s", (long long)l->set.id, err.text);
		snprintf(f->why_not_ready, sizeof f->why_not_ready,
			"rule set %lld could not be loaded", (long long)l->set.id);
		f->set_failed = true;
		f->set_not_before_us = flow_boot_us(f) + SET_UNFIT_US;
		return;
	}
	if (f->judge != NULL)
		judge_free(f->judge);
	f->judge = j;
	f->want_set = f->set_failed = false;
	f->want_switches = true;
	log_notice(
		&l->lc, "rule set %lld is active, %zu files", (long long)l->set.id, l->set.n_texts);
}

/* The lane is free again; what could not be read is asked for later. */
static void lane_end_read(
	struct flow_lane *l, const char *what, enum store_end end, const struct err *err)
{
	struct flow *f = l->flow;

	if (end != STORE_OK)
		f->set_not_before_us = flow_boot_us(f) + SET_RETRY_US;
	if (end == STORE_REFUSED)
		log_damped(LOG_LVL_ERROR, &l->lc, "could not read the %s: %s", what, err->text);
	lane_enter(l, LANE_IDLE);
	f->host.turn(f->host.arg);
}

static void lane_on_set(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;

	FAILPOINT("flow.set_read");
	if (end == STORE_OK)
		lane_take_set(l);
	lane_end_read(l, "rule set", end, err);
}

static void lane_on_switches(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;
	struct flow *f = l->flow;

	if (end == STORE_OK) {
		judge_switch(f->judge, &l->switches);
		f->switches_version = l->switches.version;
		f->want_switches = false;
	}
	lane_end_read(l, "switches", end, err);
}

void lane_read_set(struct flow *f, struct flow_lane *l)
{
	lane_enter(l, LANE_SET);
	arena_reset(&l->set_arena);
	l->set = (struct rule_set){ 0 };
	f->store->ops->set_read(f->store, l->number, &l->set, &l->set_arena, lane_on_set, l);
}

void lane_read_switches(struct flow *f, struct flow_lane *l)
{
	lane_enter(l, LANE_SWITCHES);
	arena_reset(&l->set_arena);
	l->switches = (struct switches){ 0 };
	f->store->ops->switches_read(
		f->store, l->number, &l->switches, &l->set_arena, lane_on_switches, l);
}
