#ifndef MAIN_ENGINE_DOORS_H
#define MAIN_ENGINE_DOORS_H
/*
 * The HTTP side of an engine: one server with all its doors (events, api, unsubscribe, health) behind one set of
 * tokens.  Everything given is lent until engine_doors_close.
 */
#include "base/err.h"
#include "door/events.h"
#include "door/health.h"

struct engine_doors;
struct loop;
struct metrics_slot;
struct role_env;
struct settings;

struct engine_doors_env {
	struct loop *loop;
	const struct role_env *role;
	struct metrics_slot *slot;
	struct events_intake intake;
	void (*look)(void *arg, struct health_state *ret); /* what /readyz says of the engine */
	void (*count)(void *arg);                          /* brings the counters up to date */
	void (*poke)(void *arg);                           /* an inbox row was written */
	void *arg;
};

struct engine_doors *engine_doors_open(
	const struct engine_doors_env *env, const struct settings *s);
/* Takes connections from the sockets that the parent made. */
bool engine_doors_listen(
	struct engine_doors *d, const struct role_env *role, struct err *err) MUST_CHECK;
/* Another configuration: tokens and limits. */
void engine_doors_use(struct engine_doors *d, const struct settings *s);
/* Takes nothing new, answers what is there; fn comes at the end of a turn. */
void engine_doors_drain(struct engine_doors *d, void (*fn)(void *arg), void *arg);
const struct http_stats *engine_doors_stats(const struct engine_doors *d);
/* Is its connection to the database one that may lose what was committed? */
bool engine_doors_is_unsafe(const struct engine_doors *d);
/* Two steps, because open requests end with the flow: the server first, the rest after the flow is closed. */
void engine_doors_shut(struct engine_doors *d);
void engine_doors_close(struct engine_doors *d);

#endif
