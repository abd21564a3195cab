/*
 * engine.c: puts the rooms together in one process and one loop; decides nothing itself.
 *
 *   loop --- http (doors: events, api, unsubscribe, health) ---.
 *        --- mqtt (the engine that has the seat) --------------+--> flow --> store/pg
 *        --- wake pipe, timer ---------------------------------'      '----> engine/judge
 *
 * Life: STRIKE (the process before died of a rule: its strike is written before anything is taken) -> SERVE ->
 * DRAIN (SIGTERM: doors closed, what is in flight is finished) -> end.  Settings that were swapped by a reload are
 * kept until the end: events and rows in flight still point into them, and there are few.
 */
#include "main/engine.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/now.h"
#include "door/events.h"
#include "door/http.h"
#include "door/metrics.h"
#include "engine/judge.h"
#include "intake/flow.h"
#include "main/engine_mqtt.h"
#include "main/role.h"
#include "store/pg.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENGINE_BEAT_US = 250000, ENGINE_STATS_US = 1000000, ENGINE_STRIKE_RETRY_US = 200000 };

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
	struct http *http;
	struct events *events;
	struct engine_mqtt *mqtt; /* NULL: not configured */
	struct access access;
	struct metrics_slot *metrics;
	bool http_drained, mqtt_drained, striking;
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
		for (size_t k = 0; k < v->n_chains; k++)
			if (v->chains[k]->due)
				metrics_observe(e->metrics, METRIC_DUE_LAG,
					b->now_us - v->chains[k]->wake_us);
	}
	metrics_observe(e->metrics, METRIC_INGEST_COMMIT, took_us);
}

/* ---- turns, timers, signals ---- */

static void engine_arm(struct engine *e)
{
	loop_timer_at(e->turn_timer, flow_next_us(e->flow));
}

static void engine_end_if_drained(struct engine *e)
{
	if (e->step == ENGINE_DRAIN && e->http_drained && e->mqtt_drained && flow_is_idle(e->flow))
		loop_stop(e->loop);
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

/* Copies the rooms' own counters, once a second. */
static void engine_on_stats(void *arg)
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
	metrics_cells(e->metrics, METRIC_QUEUE_OLDEST)[METRIC_Q_CHAINS] =
		(uint64_t)(s.oldest_due_us / 1000000);
	*metrics_cells(e->metrics, METRIC_DATABASE_CONNECTED) = e->store->ops->is_up(e->store);
	*metrics_cells(e->metrics, METRIC_MQTT_CONNECTED) =
		e->mqtt != NULL && engine_mqtt_stats(e->mqtt)->is_connected;
	metrics_publish_http(e->metrics, http_stats(e->http));
	metrics_publish_process(e->metrics);
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

static void engine_on_http_drained(void *arg)
{
	struct engine *e = arg;

	e->http_drained = true;
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
	flow_drain(e->flow);
	http_drain(e->http, engine_on_http_drained, e);
	if (e->mqtt != NULL)
		engine_mqtt_drain(e->mqtt, engine_on_mqtt_drained, e);
	else
		e->mqtt_drained = true;
	engine_want_turn(e);
}

static struct http_settings engine_http_settings(const struct settings *s)
{
	struct http_settings h = http_settings_default();

	h.connections_most = (unsigned)s->http.connections;
	h.per_address_most = (unsigned)s->http.per_address;
	h.head_most = (size_t)s->http.head_bytes;
	h.head_us = s->http.head_timeout_us;
	h.body_us = s->http.body_timeout_us;
	h.idle_us = s->http.idle_timeout_us;
	return h;
}

static struct judge_env engine_judge_env(struct engine *e);

static void engine_use_settings(struct engine *e, struct settings *s)
{
	struct http_settings h = engine_http_settings(s);
	struct judge_env judge;

	e->settings = s;
	e->access.shops = s->shops;
	e->access.n_shops = s->nshops;
	e->access.admin_hash = s->has_admin ? s->admin_hash : NULL;
	if (e->flow == NULL)
		return;
	judge = engine_judge_env(e);
	http_apply(e->http, &h);
	pg_set_shops(e->store, s->shops, s->nshops);
	if (e->mqtt != NULL)
		engine_mqtt_use(e->mqtt, s);
	flow_reconfigure(e->flow, &judge);
}

static void engine_on_hup(void *arg, int signo)
{
	struct engine *e = arg;
	struct settings *s = role_reload(e->settings);

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
	} else if (end == STORE_REFUSED) {
		log_error(&e->lc, "could not write the strike of rule \"%s\": %s",
			e->env->strike->rule, err->text);
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
		.eval_bytes = (size_t)s->limits.eval_bytes,
		.eval_us = s->limits.eval_us,
		.batch_us = s->limits.judge_us };
	return env;
}

static struct flow_limits engine_flow_limits(const struct settings *s)
{
	struct flow_limits l;

	flow_limits_default(&l);
	l.batch = (size_t)s->limits.batch;
	l.queue_events = (size_t)s->limits.queue_events;
	l.queue_bytes = (size_t)s->limits.queue_bytes;
	l.due = (size_t)s->limits.due;
	l.catch_up = (unsigned)(s->limits.catch_up / s->nudged.engines);
	l.late_us = s->http.answer_timeout_us;
	l.poll_us = s->database.poll_us;
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

static bool engine_open_doors(struct engine *e, struct err *err)
{
	struct http_settings h = engine_http_settings(e->settings);
	struct events_intake intake = { .is_ready = engine_is_ready,
		.has_room = engine_has_room,
		.submit = engine_submit,
		.wall_us = engine_wall_us,
		.arg = e };

	e->http = http_open(e->loop, &h);
	e->events = events_open(&e->access, &intake, (size_t)e->settings->limits.batch_bytes);
	events_add_routes(e->events, e->http);
	e->mqtt = engine_mqtt_open(e->loop, e->settings,
		&(struct mqtt_intake){ engine_is_ready, engine_has_room, engine_submit, e }, err);
	if (e->mqtt == NULL && *err->text)
		return false;
	for (size_t i = 0; i < e->env->nlisteners; i++)
		if (!http_listen(e->http, e->env->listeners[i], err))
			return false;
	return true;
}

static bool engine_open(struct engine *e, struct err *err)
{
	if ((e->loop = loop_open(err)) == NULL)
		return false;
	e->metrics = metrics_enter(e->env->metrics, e->env->slot);
	e->turn_timer = loop_timer_open(e->loop, engine_on_timer, e);
	e->beat_timer = loop_timer_open(e->loop, engine_on_beat, e);
	e->stats_timer = loop_timer_open(e->loop, engine_on_stats, e);
	e->on_term = loop_signal_open(e->loop, SIGTERM, engine_on_term, e);
	e->on_hup = loop_signal_open(e->loop, SIGHUP, engine_on_hup, e);
	engine_use_settings(e, e->settings);
	engine_open_store(e);
	engine_open_flow(e);
	if (!engine_open_doors(e, err))
		return false;
	e->wake = loop_fd_open(e->loop, e->env->wake_fd, engine_on_wake, e);
	loop_fd_watch(e->wake, LOOP_READ);
	e->step = e->env->strike ? ENGINE_STRIKE : ENGINE_SERVE;
	engine_on_beat(e);
	engine_on_stats(e);
	heart_ready(e->env->heart);
	return true;
}

static void engine_close(struct engine *e)
{
	http_close(e->http);
	if (e->store != NULL)
		e->store->ops->close(e->store);
	flow_close(e->flow);
	engine_mqtt_close(e->mqtt);
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
	return ok ? 0 : 1;
}
