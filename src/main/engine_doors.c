/* engine_doors.c: opens the doors and hands them what they need. */
#include "main/engine_doors.h"

#include "base/mem.h"
#include "door/api.h"
#include "door/ask.h"
#include "door/http.h"
#include "door/metrics.h"
#include "door/optout.h"
#include "main/role.h"

#include <stdlib.h>

struct engine_doors {
	struct access access;
	struct http *http;
	struct events *events;
	struct ask *ask;
	struct api *api;
	struct optout *optout;
	struct health *health;
	struct http_net *trusted;
	const uint64_t **others; /* how many connections the other engines have */
};

/* The limits of the server; the networks are kept until the next call. */
static struct http_settings engine_doors_http(struct engine_doors *d, const struct settings *s)
{
	struct http_settings h = http_settings_default();
	struct http_net *nets = xcalloc(s->http.trusted.n, sizeof *nets);
	struct err err;
	size_t n = 0;

	for (size_t i = 0; i < s->http.trusted.n; i++)
		if (http_net_read(span_of(s->http.trusted.v[i]), &nets[n],
			    &err)) /* checked with the settings */
			n++;
	free(d->trusted);
	d->trusted = nets;
	h.trusted = nets;
	h.n_trusted = n;

	h.connections_most = (unsigned)s->http.connections;
	h.per_address_most = (unsigned)s->http.per_address;
	h.head_most = (size_t)s->http.head_bytes;
	h.head_us = s->http.head_timeout_us;
	h.body_us = s->http.body_timeout_us;
	h.idle_us = s->http.idle_timeout_us;
	return h;
}

/* The engines' places stand in a row. */
static void engine_doors_share(
	struct engine_doors *d, const struct engine_doors_env *env, const struct settings *s)
{
	const struct role_env *role = env->role;
	size_t n = 0;

	d->others = xcalloc((size_t)s->nudged.engines, sizeof *d->others);
	for (int i = 0; i < s->nudged.engines; i++)
		if (i != role->index)
			d->others[n++] = metrics_look(role->metrics,
				role->slot - (unsigned)role->index + (unsigned)i,
				METRIC_HTTP_CONNECTIONS);
	http_share(d->http, metrics_cells(env->slot, METRIC_HTTP_CONNECTIONS), d->others, n);
}

static void engine_doors_tokens(struct engine_doors *d, const struct settings *s)
{
	d->access = (struct access){ .shops = s->shops,
		.n_shops = s->nshops,
		.admin_hash = s->has_admin ? s->admin_hash : NULL };
}

struct engine_doors *engine_doors_open(const struct engine_doors_env *env, const struct settings *s)
{
	struct engine_doors *d = xcalloc(1, sizeof *d);
	struct http_settings h = engine_doors_http(d, s);

	engine_doors_tokens(d, s);
	d->http = http_open(env->loop, &h);
	engine_doors_share(d, env, s);
	d->events = events_open(&d->access, &env->intake, (size_t)s->limits.batch_bytes);
	d->ask = ask_open(env->loop, &(struct ask_env){ .dsn = s->database.dsn,
					     .number = (unsigned)env->role->index + 1,
					     .unsafe_durability = s->nudged.unsafe_durability,
					     .poke = env->poke,
					     .arg = env->arg });
	d->api = api_open(&(struct api_env){ .ask = d->ask, .access = &d->access });
	d->optout = optout_open(&(struct optout_env){
		.ask = d->ask, .access = &d->access, .sign_key = s->nudged.sign_key });
	d->health = health_open(&(struct health_env){ .look = env->look,
		.count = env->count,
		.arg = env->arg,
		.ask = d->ask,
		.metrics = env->role->metrics,
		.slot = env->slot });
	events_add_routes(d->events, d->http);
	api_add_routes(d->api, d->http);
	optout_add_routes(d->optout, d->http);
	health_add_routes(d->health, d->http);
	return d;
}

bool engine_doors_listen(struct engine_doors *d, const struct role_env *role, struct err *err)
{
	for (size_t i = 0; i < role->nlisteners; i++)
		if (!http_listen(d->http, role->listeners[i], err))
			return false;
	return true;
}

void engine_doors_use(struct engine_doors *d, const struct settings *s)
{
	struct http_settings h = engine_doors_http(d, s);

	engine_doors_tokens(d, s);
	optout_set_key(d->optout, s->nudged.sign_key);
	http_apply(d->http, &h);
}

void engine_doors_drain(struct engine_doors *d, void (*fn)(void *arg), void *arg)
{
	http_drain(d->http, fn, arg);
}

const struct http_stats *engine_doors_stats(const struct engine_doors *d)
{
	return http_stats(d->http);
}

bool engine_doors_is_unsafe(const struct engine_doors *d)
{
	return ask_is_unsafe(d->ask);
}

void engine_doors_shut(struct engine_doors *d)
{
	if (d == NULL)
		return;
	http_close(d->http);
	ask_close(d->ask);
	api_close(d->api);
	optout_close(d->optout);
	health_close(d->health);
}

void engine_doors_close(struct engine_doors *d)
{
	if (d == NULL)
		return;
	events_close(d->events);
	free(d->trusted);
	free(d->others);
	free(d);
}
