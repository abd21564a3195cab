/*
 * engine.c: puts the rooms together in one process and one loop; decides nothing itself.
 *
 *   loop --- http (doors: events, api, unsubscribe, health) ---.
 *        --- mqtt (the engine that has the seat) --------------+--> flow --> store/pg
 *        --- wake pipe, timer ---------------------------------'      '----> engine/judge
 *
 * Life: STRIKE (the process before died of a rule: its strike is written before anything is taken) ->
 * SERVE -> DRAIN (SIGTERM: doors closed, what is in flight is finished) -> end.  Connections are taken
 * when the database and the rules are there, so a restart or an upgrade refuses nobody; without a
 * database after a second all the same (503).  Settings that were swapped by a reload are kept until
 * the end: events and rows in flight still point into them, and there are few.
 */
#include "main/engine.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/now.h"
#include "db/keeper.h"
#include "door/metrics.h"
#include "engine/judge.h"
#include "intake/admit.h"
#include "intake/flow.h"
#include "main/engine_doors.h"
#include "main/engine_mqtt.h"
#include "main/role.h"
#include "store/pg.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ENGINE_BEAT_US = 250000,
	ENGINE_STATS_US = 1000000,
	ENGINE_STRIKE_RETRY_US = 200000,
	ENGINE_LISTEN_US = 1000000,
	ENGINE_GRACE_US = 1000000 /* behind the parent's own end of a drain */
};

enum engine_step { ENGINE_STRIKE, ENGINE_SERVE, ENGINE_DRAIN };

struct engine {
	const struct role_env *env;
	struct settings *settings; /* the newest; older ones are kept by nobody but stay */
	enum engine_step step;
	struct loop *loop;
	struct loop_signal *on_term, *on_hup;
	struct loop_fd *wake;
	struct loop_timer *turn_timer, *beat_timer, *stats_timer;
	struct store *store;
	struct flow *flow;
	struct engine_doors *doors;
	struct keeper *keeper;
	struct engine_mqtt *mqtt; /* NULL: not configured */
	struct metrics_slot *metrics;
	bool listening, doors_drained, mqtt_drained, striking;
	bool failed;                 /* the process ends with 1 */
	int64_t opened_us, drain_us; /* drain_us: when it ends with or without what is in flight */
	struct switch_pair strike;
	int64_t strike_at_us;
	struct log_ctx lc;
};

/* ---- what the flow needs of its host ---- */

static int64_t engine_boot_us(void *arg)
{
	(void)arg;
	return clock_boot_us();
}

static int64_t engine_wall_us(void *arg)
{
	(void)arg;
	return clock_now_us();
}

/* When something is received. */
static int64_t engine_now_us(void *arg)
{
	return flow_now_us(((struct engine *)arg)->flow);
}

static void engine_on_turn(void *arg);

static void engine_want_turn(void *arg)
{
	struct engine *e = arg;

	loop_at_turn_end(e->loop, LOOP_FORM, engine_on_turn, e);
}

static void engine_poke(void *arg, unsigned channels)
{
	struct engine *e = arg;

	for (int c = 0; c < CHANNEL_COUNT; c++)
		if (channels & (1u << c))
			role_wake(e->env, c);
}

/* Tasks that this visit made, and those that came to an end or passed their deadline. */
static void engine_count_tasks(const struct engine *e, const struct visit *v)
{
	uint64_t *cells = metrics_cells(e->metrics, METRIC_TASKS);

	for (size_t i = 0; i < v->n_tasks; i++) {
		const struct task *t = v->tasks[i];

		if (t->is_new)
			cells[METRIC_TASK_CREATED]++;
		if (!t->changed)
			continue;
		cells[METRIC_TASK_OVERDUE] += t->due && t->overdue;
		cells[METRIC_TASK_DONE] += t->state == TASK_DONE;
		cells[METRIC_TASK_CANCELLED] += t->state == TASK_CANCELLED;
	}
}

/* Counts what a batch did. */
static void engine_committed(void *arg, const struct batch *b, int64_t took_us)
{
	struct engine *e = arg;
	uint64_t *events = metrics_cells(e->metrics, METRIC_EVENTS);
	uint64_t *actions = metrics_cells(e->metrics, METRIC_ACTIONS);
	const size_t statuses = metrics_count(METRIC_EVENTS) / METRIC_SOURCES;
	const size_t states = metrics_count(METRIC_ACTIONS) / CHANNEL_COUNT;

	for (size_t i = 0; i < b->n_visits; i++) {
		const struct visit *v = b->visits[i];

		if (v->state != VISIT_READY)
			continue;
		for (size_t k = 0; k < v->n_events; k++) {
			const struct shop_event *x = v->events[k];
			int source = x->origin != EVENT_POSTED      ? METRIC_FROM_WITHIN
				     : x->ticket && x->ticket->late ? METRIC_FROM_HTTP
								    : METRIC_FROM_MQTT;

			events[(size_t)source * statuses + x->status]++;
		}
		for (size_t k = 0; k < v->n_messages; k++)
			actions[v->messages[k]->channel * states + v->messages[k]->state]++;
		engine_count_tasks(e, v);
		for (size_t k = 0; k < v->n_chains; k++)
			if (v->chains[k]->due)
				metrics_observe(e->metrics, METRIC_DUE_LAG,
					b->now_us - v->chains[k]->wake_us);
	}
	metrics_observe(e->metrics, METRIC_INGEST_COMMIT, took_us);
}

/* ---- turns, timers, signals ---- */

static bool engine_is_ready(void *arg, const char **ret_why);

/* Takes connections from now on: when all is there, or when that takes too long (then they hear 503).  Until then
 * they go to the other engines, or to the daemon that this one is to replace, or wait in the kernel's queue. */
static void engine_listen_when_ready(struct engine *e)
{
	const char *why;
	struct err err;

	if (e->listening || e->step == ENGINE_DRAIN ||
		(!engine_is_ready(e, &why) && clock_boot_us() - e->opened_us < ENGINE_LISTEN_US))
		return;
	e->listening = true;
	if (!engine_doors_listen(e->doors, e->env, &err)) {
		log_error(&e->lc, "%s", err.text);
		e->failed = true;
		loop_stop(e->loop);
		return;
	}
	heart_ready(e->env->heart);
}

static void engine_arm(struct engine *e)
{
	loop_timer_at(e->turn_timer, flow_next_us(e->flow));
}

static void engine_end_if_drained(struct engine *e)
{
	if (e->step != ENGINE_DRAIN)
		return;
	if (e->doors_drained && e->mqtt_drained && flow_is_idle(e->flow)) {
		loop_stop(e->loop);
	} else if (clock_boot_us() >= e->drain_us) {
		/* usually the parent does this; without one, and without a database, nobody would */
		log_warning(&e->lc, "what is in flight could not be finished within "
				    "\"drain_timeout\": ending without it");
		_exit(1);
	}
}

static void engine_strike(struct engine *e);

static void engine_on_turn(void *arg)
{
	struct engine *e = arg;

	heart_beat(e->env->heart);
	if (e->step == ENGINE_STRIKE)
		engine_strike(e);
	else
		flow_turn(e->flow);
	engine_listen_when_ready(e);
	engine_end_if_drained(e);
	engine_arm(e);
}

static void engine_on_timer(void *arg)
{
	engine_want_turn(arg);
}

static void engine_on_beat(void *arg)
{
	struct engine *e = arg;

	heart_beat(e->env->heart);
	loop_timer_in(e->beat_timer, ENGINE_BEAT_US);
	engine_want_turn(e);
}

static void engine_count_mqtt(struct engine *e)
{
	const struct mqtt_stats *m = engine_mqtt_stats(e->mqtt);

	*metrics_cells(e->metrics, METRIC_MQTT_CONNECTED) = m->is_connected;
	*metrics_cells(e->metrics, METRIC_MQTT_MESSAGES) = m->messages;
	*metrics_cells(e->metrics, METRIC_MQTT_EVENTS) = m->events;
	*metrics_cells(e->metrics, METRIC_MQTT_UNREADABLE) = m->quarantined;
	*metrics_cells(e->metrics, METRIC_MQTT_FOREIGN) = m->foreign;
	*metrics_cells(e->metrics, METRIC_MQTT_RETAINED) = m->retained;
	*metrics_cells(e->metrics, METRIC_MQTT_ACKNOWLEDGED) = m->batches;
	*metrics_cells(e->metrics, METRIC_MQTT_CONNECTS) = m->connects;
	*metrics_cells(e->metrics, METRIC_MQTT_DROPS) = m->drops;
	*metrics_cells(e->metrics, METRIC_MQTT_SESSIONS_LOST) = m->sessions_lost;
	*metrics_cells(e->metrics, METRIC_MQTT_PAUSED) = m->is_paused;
}

/* Copies the rooms' own counters. */
static void engine_count(void *arg)
{
	struct engine *e = arg;
	struct flow_stats s;

	flow_stats(e->flow, &s);
	*metrics_cells(e->metrics, METRIC_BATCHES) = s.batches;
	*metrics_cells(e->metrics, METRIC_BATCH_RETRIES) = s.retries;
	*metrics_cells(e->metrics, METRIC_BATCHES_LOST) = s.lost;
	*metrics_cells(e->metrics, METRIC_CHAINS_DUE) = s.due_chains;
	metrics_cells(e->metrics, METRIC_QUEUE_DEPTH)[METRIC_Q_EVENTS] = s.queued;
	*metrics_cells(e->metrics, METRIC_QUEUE_BYTES) = s.queued_bytes;
	*metrics_cells(e->metrics, METRIC_CLOCK_SKEW) =
		(uint64_t)(s.skew_us < 0 ? -s.skew_us : s.skew_us);
	*metrics_cells(e->metrics, METRIC_CLOCK_PAUSED) = s.skewed;
	*metrics_cells(e->metrics, METRIC_DATABASE_CONNECTED) = e->store->ops->is_up(e->store);
	if (e->mqtt != NULL)
		engine_count_mqtt(e);
	metrics_publish_http(e->metrics, engine_doors_stats(e->doors));
	metrics_publish_process(e->metrics);
}

static void engine_on_stats(void *arg)
{
	struct engine *e = arg;

	engine_count(e);
	loop_timer_in(e->stats_timer, ENGINE_STATS_US);
}

static void engine_on_wake(void *arg, int fd, unsigned what)
{
	struct engine *e = arg;

	(void)fd;
	(void)what;
	role_woken(e->env);
	flow_poke(e->flow);
}

static void engine_on_doors_drained(void *arg)
{
	struct engine *e = arg;

	e->doors_drained = true;
	engine_want_turn(e);
}

static void engine_on_mqtt_drained(void *arg)
{
	struct engine *e = arg;

	e->mqtt_drained = true;
	engine_want_turn(e);
}

static void engine_on_term(void *arg, int signo)
{
	struct engine *e = arg;

	(void)signo;
	if (e->step == ENGINE_DRAIN)
		return;
	log_notice(&e->lc, "stopping: finishing what is in flight");
	e->step = ENGINE_DRAIN;
	e->drain_us = clock_boot_us() + e->settings->nudged.drain_timeout_us + ENGINE_GRACE_US;
	flow_drain(e->flow);
	engine_doors_drain(e->doors, engine_on_doors_drained, e);
	if (e->mqtt != NULL)
		engine_mqtt_drain(e->mqtt, engine_on_mqtt_drained, e);
	else
		e->mqtt_drained = true;
	engine_want_turn(e);
}

static struct judge_env engine_judge_env(struct engine *e);

/* [keep] as the keeper wants it. */
static struct keeper_months engine_keep(const struct settings *s)
{
	return (struct keeper_months){ .events = s->keep.events,
		.chain_log = s->keep.chain_log,
		.messages = s->keep.messages,
		.tasks = s->keep.tasks,
		.quarantine = s->keep.quarantine,
		.audit = s->keep.audit,
		.consent_log = s->keep.consent_log };
}

static void engine_use_settings(struct engine *e, struct settings *s)
{
	struct keeper_months keep = engine_keep(s);
	struct judge_env judge;

	e->settings = s;
	keeper_set(e->keeper, &keep);
	judge = engine_judge_env(e);
	engine_doors_use(e->doors, s);
	pg_set_shops(e->store, s->shops, s->nshops);
	if (e->mqtt != NULL)
		engine_mqtt_use(e->mqtt, s);
	flow_reconfigure(e->flow, &judge);
}

static void engine_on_hup(void *arg, int signo)
{
	struct engine *e = arg;
	struct settings *s = role_reload(e->env, e->settings);

	(void)signo;
	if (s != NULL)
		engine_use_settings(e, s);
	flow_poke(e->flow);
}

static void engine_on_store(void *arg, bool up)
{
	struct engine *e = arg;

	heart_say(e->env->heart, up ? "" : pg_why(e->store));
	engine_want_turn(e);
}

/* ---- the strike of the process before ---- */

static void engine_on_struck(void *arg, enum store_end end, const struct err *err)
{
	struct engine *e = arg;

	e->striking = false;
	if (end == STORE_OK) {
		log_warning(&e->lc, "rule \"%s\" ended the process on %s \"%s\" (%s): a strike",
			e->env->strike->rule, e->env->strike->kind, e->env->strike->id,
			e->env->strike_why);
		crash_note_clear(e->env->strike);
		if (e->step == ENGINE_STRIKE)
			e->step = ENGINE_SERVE;
	} else if (end ==
		   STORE_REFUSED) { /* it will not be taken later, either: better serve without */
		log_error(&e->lc, "could not write the strike of rule \"%s\": %s",
			e->env->strike->rule, err->text);
		crash_note_clear(e->env->strike);
		if (e->step == ENGINE_STRIKE)
			e->step = ENGINE_SERVE;
	}
	e->strike_at_us = clock_boot_us() + ENGINE_STRIKE_RETRY_US;
	engine_want_turn(e);
}

static void engine_strike(struct engine *e)
{
	if (e->striking || clock_boot_us() < e->strike_at_us || !e->store->ops->usable(e->store, 0))
		return;
	e->striking = true;
	e->strike = (struct switch_pair){ .kind = span_of(e->env->strike->kind),
		.id = span_of(e->env->strike->id),
		.rule = span_of(e->env->strike->rule) };
	e->store->ops->strike(e->store, 0, &e->strike, engine_on_struck, e);
}

/* ---- the doors' view of the flow ---- */

static bool engine_is_ready(void *arg, const char **ret_why)
{
	struct engine *e = arg;

	if (e->step == ENGINE_STRIKE) {
		*ret_why = "the engine is starting";
		return false;
	}
	return flow_is_ready(e->flow, ret_why);
}

static bool engine_has_room(void *arg, size_t events, size_t bytes)
{
	return flow_has_room(((struct engine *)arg)->flow, events, bytes);
}

static void engine_submit(void *arg, struct event_ticket *ticket)
{
	flow_submit(((struct engine *)arg)->flow, ticket);
}

/* ---- life ---- */

static int64_t engine_ticks_us(void *arg)
{
	(void)arg;
	return clock_mono_us();
}

static void engine_note(void *arg, const char *kind, struct span id, struct span rule)
{
	struct engine *e = arg;

	if (kind != NULL)
		crash_note_set(e->env->note, kind, id, rule);
	else
		crash_note_clear(e->env->note);
}

static struct judge_env engine_judge_env(struct engine *e)
{
	const struct settings *s = e->settings;
	struct judge_env env = { .shops = s->shops,
		.n_shops = s->nshops,
		.staff = &s->staff,
		.ticks_us = engine_ticks_us,
		.note = engine_note,
		.arg = e };

	env.limits = (struct judge_limits){ .effects = (unsigned)s->limits.effects,
		.steps = (unsigned)s->limits.steps,
		.history_bytes = (size_t)s->limits.history_bytes,
		.history_warn_bytes = (size_t)s->limits.history_warn_bytes,
		.chains = (unsigned)s->limits.chains,
		.chains_warn = (unsigned)s->limits.chains_warn,
		.emit_depth = s->limits.emit_depth,
		.with_bytes = (size_t)s->limits.with_bytes,
		.eval_bytes = (size_t)s->limits.eval_bytes,
		.eval_us = s->limits.eval_us,
		.batch_us = s->limits.judge_us };
	return env;
}

static void engine_admit_limits(const struct settings *s)
{
	admit_limits = (struct admit_limits){ .event_bytes = (size_t)s->limits.event_bytes,
		.batch_events = (size_t)s->limits.batch_events,
		.batch_bytes = (size_t)s->limits.batch_bytes,
		.id_bytes = (size_t)s->limits.id_bytes,
		.future_us = s->limits.future_us };
}

static struct flow_limits engine_flow_limits(const struct settings *s)
{
	struct flow_limits l;

	flow_limits_default(&l);
	l.batch = (size_t)s->limits.batch;
	l.queue_events = (size_t)s->limits.queue_events;
	l.queue_bytes = (size_t)s->limits.queue_bytes;
	l.due = (size_t)s->limits.due;
	l.catch_up = (unsigned)s->limits.catch_up;
	l.late_us = s->http.answer_timeout_us -
		    s->http.answer_timeout_us / 10; /* the answer has a way to go */
	l.poll_us = s->database.poll_us;
	l.identities = (size_t)s->limits.identities;
	l.skew_us = s->nudged.clock_skew_us;
	return l;
}

static void engine_open_store(struct engine *e)
{
	const struct settings *s = e->settings;
	char name[64];
	struct pg_env pg = { .loop = e->loop,
		.dsn = s->database.dsn,
		.lanes = s->database.connections + 1, /* the last one may wait */
		.shops = s->shops,
		.n_shops = s->nshops,
		.unsafe_durability = s->nudged.unsafe_durability,
		.statement_timeout_ms = (int)(s->database.statement_timeout_us / 1000),
		.idle_timeout_ms = (int)(s->database.idle_timeout_us / 1000),
		.on_state = engine_on_store,
		.arg = e };

	snprintf(name, sizeof name, "nudged %s", e->env->name);
	pg.name = name;
	e->store = pg_open(&pg);
}

static void engine_open_flow(struct engine *e)
{
	struct judge_env judge = engine_judge_env(e);
	struct flow_limits limits = engine_flow_limits(e->settings);
	struct flow_host host = { .boot_us = engine_boot_us,
		.wall_us = engine_wall_us,
		.poke = engine_poke,
		.turn = engine_want_turn,
		.committed = engine_committed,
		.arg = e };

	e->flow = flow_open(e->store, &judge, &limits, &host);
}

/* What /readyz says. */
static void engine_look(void *arg, struct health_state *ret)
{
	struct engine *e = arg;
	struct flow_stats stats;
	const char *why = NULL;

	flow_stats(e->flow, &stats);
	if (!engine_is_ready(e, &why))
		health_reason(ret, e->store->ops->is_up(e->store) || !*pg_why(e->store)
					   ? why
					   : pg_why(e->store));
	ret->clocks_disagree = stats.skewed; /* no reason to send nobody here: events are taken */
	ret->draining = e->step == ENGINE_DRAIN;
	ret->unsafe_durability = pg_is_unsafe(e->store) || engine_doors_is_unsafe(e->doors);
	ret->partitions_until_us = keeper_until_us(e->keeper);
	ret->rule_set = flow_set_id(e->flow);
}

static void engine_poke_flow(void *arg)
{
	flow_poke(((struct engine *)arg)->flow);
}

static bool engine_open_doors(struct engine *e, struct err *err)
{
	e->mqtt = engine_mqtt_open(e->loop, e->settings,
		&(struct mqtt_intake){
			engine_is_ready, engine_has_room, engine_submit, e, engine_now_us },
		err);
	if (e->mqtt == NULL && *err->text)
		return false;
	e->doors = engine_doors_open(&(struct engine_doors_env){ .loop = e->loop,
					     .role = e->env,
					     .slot = e->metrics,
					     .intake = { engine_is_ready, engine_has_room,
						     engine_submit, engine_now_us, e },
					     .look = engine_look,
					     .count = engine_count,
					     .poke = engine_poke_flow,
					     .arg = e },
		e->settings);
	return true;
}

static bool engine_open(struct engine *e, struct err *err)
{
	struct keeper_months keep = engine_keep(e->settings);

	if ((e->loop = loop_open(err)) == NULL)
		return false;
	e->metrics = metrics_enter(e->env->metrics, e->env->slot);
	e->turn_timer = loop_timer_open(e->loop, engine_on_timer, e);
	e->beat_timer = loop_timer_open(e->loop, engine_on_beat, e);
	e->stats_timer = loop_timer_open(e->loop, engine_on_stats, e);
	e->on_term = loop_signal_open(e->loop, SIGTERM, engine_on_term, e);
	e->on_hup = loop_signal_open(e->loop, SIGHUP, engine_on_hup, e);
	engine_admit_limits(e->settings);
	engine_open_store(e);
	engine_open_flow(e);
	e->keeper = keeper_open(e->loop, e->settings->database.dsn,
		(int)(e->settings->database.idle_timeout_us / 1000), &keep);
	if (!engine_open_doors(e, err))
		return false;
	e->wake = loop_fd_open(e->loop, e->env->wake_fd, engine_on_wake, e);
	loop_fd_watch(e->wake, LOOP_READ);
	e->step = e->env->strike ? ENGINE_STRIKE : ENGINE_SERVE;
	engine_on_beat(e);
	engine_on_stats(e);
	e->opened_us = clock_boot_us();
	return true;
}

static void engine_close(struct engine *e)
{
	engine_doors_shut(e->doors);
	if (e->store != NULL)
		e->store->ops->close(e->store);
	flow_close(e->flow);
	engine_mqtt_close(e->mqtt);
	engine_doors_close(e->doors);
	keeper_close(e->keeper);
	loop_fd_close(e->wake);
	loop_signal_close(e->on_term);
	loop_signal_close(e->on_hup);
	loop_timer_close(e->turn_timer);
	loop_timer_close(e->beat_timer);
	loop_timer_close(e->stats_timer);
	loop_close(e->loop);
}

int engine_main(const struct role_env *env)
{
	struct engine e = { .env = env, .settings = env->settings, .lc = { .room = "engine" } };
	struct err err = { 0 };
	bool ok;

	snprintf(e.lc.id, sizeof e.lc.id, "%s", env->name);
	ok = engine_open(&e, &err) && loop_run(e.loop, &err);
	if (!ok)
		log_error(&e.lc, "%s", err.text);
	engine_close(&e);
	return ok && !e.failed ? 0 : 1;
}
