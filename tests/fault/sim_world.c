/*
 * sim_world.c: a heap of what is to happen, by time, and at one moment by lot.  Virtual time jumps from one to the
 * next; nothing here knows a real clock.  At a moment drawn from the seed everything heals; from then on the world
 * must come to rest by itself, and then the judge looks at what is left.
 */
#include "sim_int.h"

#include "base/clock.h"
#include "sim_model.h"
#include "store/mem_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIM_ACTIONS_MOST = 400000, SIM_REST_S = 3600 };

struct sim_action {
	int64_t at_us;
	uint64_t lot;
	sim_fn *fn;
	void *arg;
};

/* ---- chance ---- */

/* splitmix64 (public domain, Sebastiano Vigna): every state gives a good number. */
uint64_t sim_rnd(struct sim *s, uint64_t n)
{
	uint64_t z = (s->rng += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return n ? z % n : 0;
}

bool sim_chance(struct sim *s, int permille)
{
	return sim_rnd(s, 1000) < (uint64_t)permille;
}

bool sim_fault(struct sim *s, int permille)
{
	return !s->is_healed && sim_chance(s, permille);
}

/* ---- the trace ---- */

void sim_trace(struct sim *s, const char *fmt, ...)
{
	char line[600];
	va_list ap;
	int n = snprintf(line, sizeof line, "%11.6f ", (double)(s->now_us - s->begin_us) / 1e6);

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	for (const char *p = line; *p != '\0'; p++)
		s->hash = (s->hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	if (s->show)
		puts(line);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (s->failed)
		return;
	s->failed = true;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof s->why, fmt, ap);
	va_end(ap);
	sim_trace(s, "BROKEN: %.500s", s->why);
}

/* ---- time ---- */

static bool sim_is_before(const struct sim_action *a, const struct sim_action *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->lot < b->lot;
}

void sim_after(struct sim *s, int64_t delay_us, sim_fn *fn, void *arg)
{
	struct sim_action x = { s->now_us + delay_us, sim_rnd(s, 0), fn, arg };
	size_t i;

	x.lot = sim_rnd(s, UINT64_C(1) << 40) << 20 | (s->actions++ & 0xfffff);
	s->heap = mem_grow(s->heap, s->n_heap, &s->cap_heap, sizeof *s->heap);
	for (i = s->n_heap++; i > 0 && sim_is_before(&x, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = x;
}

static struct sim_action sim_take(struct sim *s)
{
	struct sim_action first = s->heap[0], last = s->heap[--s->n_heap];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < s->n_heap) {
		if (k + 1 < s->n_heap && sim_is_before(&s->heap[k + 1], &s->heap[k]))
			k++;
		if (!sim_is_before(&s->heap[k], &last))
			break;
		s->heap[i] = s->heap[k];
		i = k;
	}
	s->heap[i] = last;
	return first;
}

/* ---- rule sets ---- */

static void sim_set_written(void *arg, enum store_end end, const struct err *err)
{
	(void)arg;
	(void)end;
	(void)err;
}

/* Puts a rule set in place, as `nudgectl reload` does: past the daemons, in the database. */
static void sim_set_activate(struct sim *s, int which)
{
	struct rule_set set = s->sets[which];

	s->mem->ops->set_write(s->mem, -1, &set, SPAN("sim"), SPAN("sim"), sim_set_written, NULL);
	mem_turn(s->mem);
	s->set_ids[which] = set.id;
	s->set_current = which;
	sim_trace(s, "rule set %lld is current, version %d", (long long)set.id, which + 1);
}

static void sim_set_again(struct sim *s, void *arg)
{
	(void)arg;
	sim_set_activate(s, !s->set_current);
	if (!s->is_healed)
		sim_after(s, (int64_t)(20 + sim_rnd(s, 100)) * SIM_SECOND, sim_set_again, NULL);
}

/* ---- the end ---- */

static void sim_heal(struct sim *s, void *arg)
{
	(void)arg;
	s->is_healed = true;
	sim_trace(s, "everything heals");
	sim_store_up(s);
	for (int i = 0; i < s->n_daemons; i++) {
		struct sim_daemon *d = &s->daemons[i];

		d->skew_us = 0;

		if (d->flow == NULL)
			sim_daemon_start(d);
		else if (d->frozen_until_us != 0)
			sim_daemon_thaw(d);
	}
}

/* Nothing to be done any more, now or later? */
static bool sim_rests(struct sim *s)
{
	const struct mem_tables *t = mem_tables(s->mem);

	if (!s->is_healed || !sim_client_all_acked(s) || t->n_inbox > 0 ||
		mem_of(s->mem)->locks.n > 0)
		return false;
	for (int i = 0; i < s->n_daemons; i++)
		if (s->daemons[i].flow == NULL || !flow_is_idle(s->daemons[i].flow))
			return false;
	for (size_t i = 0; i < t->n_messages; i++)
		if (t->messages[i]->state == MESSAGE_READY ||
			t->messages[i]->state == MESSAGE_SENDING ||
			t->messages[i]->state == MESSAGE_IN_DOUBT)
			return false;
	return mem_next_due_us(s->mem) == TIME_NONE;
}

/* What keeps the world from coming to rest. */
static void sim_complain(struct sim *s)
{
	const struct mem_tables *t = mem_tables(s->mem);
	size_t messages = 0, events = 0;
	int busy = 0;

	for (size_t i = 0; i < t->n_messages; i++)
		messages += t->messages[i]->state == MESSAGE_READY ||
			    t->messages[i]->state == MESSAGE_SENDING ||
			    t->messages[i]->state == MESSAGE_IN_DOUBT;
	for (size_t i = 0; i < s->n_events; i++)
		events += !s->events[i]->is_acked;
	for (int i = 0; i < s->n_daemons; i++)
		busy += s->daemons[i].flow == NULL || !flow_is_idle(s->daemons[i].flow);
	sim_fail(s,
		"the world does not come to rest: %zu events not acknowledged, %zu inbox rows, %zu cards locked, "
		"%zu messages open, %d daemons busy, next due %s",
		events, t->n_inbox, mem_of(s->mem)->locks.n, messages, busy,
		mem_next_due_us(s->mem) == TIME_NONE ? "never" : "some time");
}

/* ---- one seed ---- */

/* What breaks in this world, and how often: often nothing of a kind, so that the others stand out. */
static void sim_draw_faults(struct sim *s)
{
	int *all[] = { &s->faults.again, &s->faults.lost, &s->faults.slow, &s->faults.crash,
		&s->faults.freeze, &s->faults.drop, &s->faults.courier, &s->faults.outage,
		&s->faults.skew, &s->faults.kill };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		*all[i] = sim_chance(s, 400) ? 0 : (int)sim_rnd(s, sim_chance(s, 300) ? 150 : 40);
}

static void sim_draw(struct sim *s)
{
	static const int64_t polls_us[] = { 500000, 5 * SIM_SECOND, 20 * SIM_SECOND };

	s->n_daemons = 1 + (int)sim_rnd(s, SIM_DAEMONS_MOST);
	s->n_lanes = 1 + (int)sim_rnd(s, s->n_daemons < 4 ? SIM_LANES_MOST : 2);
	s->n_customers = 1 + (int)sim_rnd(s, SIM_CUSTOMERS_MOST);
	s->n_clients = 1 + (int)sim_rnd(s, SIM_CLIENTS_MOST);
	s->is_slow_judge = sim_chance(s, 300);
	sim_draw_faults(s);
	flow_limits_default(&s->limits);
	s->limits.poll_us = polls_us[sim_rnd(s, 3)];
	if (sim_chance(s, 300))
		s->limits.batch = 1 + sim_rnd(s, 5);
	if (sim_chance(s, 300))
		s->limits.due = 1 + sim_rnd(s, 3);
	s->heal_us = s->now_us + (int64_t)(60 + sim_rnd(s, 240)) * SIM_SECOND;
}

static void sim_open(struct sim *s)
{
	s->begin_us = s->now_us = INT64_C(1772445600) * SIM_SECOND;
	s->rng = s->seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	s->hash = UINT64_C(0xcbf29ce484222325);
	s->mem = mem_open(SIM_CONNS_MOST, s->now_us);
	for (int i = 0; i < SIM_CONNS_MOST; i++)
		s->conns[i].number = i;
	s->model = model_new(s);
	sim_draw(s);
	sim_trace(s, "seed %llu: %d daemons of %d connections, %d customers, %d clients",
		(unsigned long long)s->seed, s->n_daemons, s->n_lanes, s->n_customers,
		s->n_clients);
	sim_set_activate(s, 0);
	if (sim_chance(s, 500))
		sim_after(s, (int64_t)sim_rnd(s, 100) * SIM_SECOND, sim_set_again, NULL);
	for (int i = 0; i < s->n_daemons; i++)
		sim_daemon_open(s, i);
	sim_client_open_all(s);
	sim_courier_open_all(s);
	sim_daemon_plan_faults(s);
	sim_after(s, s->heal_us - s->now_us, sim_heal, NULL);
}

static void sim_close(struct sim *s)
{
	for (int i = 0; i < s->n_daemons; i++)
		sim_daemon_close(&s->daemons[i]);
	s->mem->ops->close(s->mem);
	model_free(s->model);
	map_fini(&s->event_by_id);
	map_fini(&s->stored);
	map_fini(&s->last_place);
	map_fini(&s->peer);
	map_fini(&s->losses);
	free(s->heap);
	arena_fini(&s->arena);
}

bool sim_run(struct sim *s, const struct rule_set sets[2])
{
	uint64_t n = 0;

	s->sets[0] = sets[0];
	s->sets[1] = sets[1];
	sim_open(s);
	while (!s->failed && s->n_heap > 0 && !sim_rests(s)) {
		struct sim_action next = sim_take(s);

		s->now_us = next.at_us;
		mem_set_now(s->mem, s->now_us);
		next.fn(s, next.arg);
		if (++n > SIM_ACTIONS_MOST ||
			s->now_us > s->heal_us + (int64_t)SIM_REST_S * SIM_SECOND)
			sim_complain(s);
	}
	if (!s->failed)
		sim_judge_end(s);
	sim_trace(s, "%llu steps, %u commits", (unsigned long long)n, s->n.commits);
	sim_close(s);
	return !s->failed;
}
