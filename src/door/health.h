#ifndef DOOR_HEALTH_H
#define DOOR_HEALTH_H
/*
 * GET /healthz (alias /livez), /readyz, /metrics: what systems that watch the daemon ask.
 *
 * /healthz is 200 whenever the loop turns.  /readyz is 200 when the daemon can take events, else
 * 503 with the reasons, and in any case says what an operator must know: buttons pressed,
 * durability, until when there are partitions, which rule set is current.  Nothing here needs a
 * token; nothing here names a person.
 *
 * The pressed buttons are asked of the database at each /readyz (through door/ask); when it is not
 * there the answer comes without them ("paused": null).  So are the queues that only the database knows, at each
 * /metrics.  Texts that `look` gives must be valid
 * until the next turn of the loop.
 */
#include "base/str.h"

#include <stdint.h>

struct ask;
struct http;
struct metrics;

enum { HEALTH_REASONS = 8 };

/* What the host knows of itself. */
struct health_state {
	const char *reasons[HEALTH_REASONS]; /* why it can not take events; none: ready */
	size_t n_reasons;
	bool draining;               /* is a reason by itself */
	bool unsafe_durability;      /* of any of its connections */
	bool clocks_disagree;        /* timers, deadlines and sends pause; events are taken */
	int64_t partitions_until_us; /* 0: not known yet */
	int64_t rule_set;            /* number of the set in use; 0: none */
};

struct health_env {
	void (*look)(void *arg, struct health_state *ret); /* ret is zeroed */
	/* Brings the process's own cells up to date before they are written; may be NULL. */
	void (*count)(void *arg);
	void *arg;
	struct ask *ask;               /* for the pauses; NULL: not shown */
	const struct metrics *metrics; /* NULL: there is no /metrics */
	struct metrics_slot *slot;     /* of this process */
};

struct health;

/* The env is copied; what it points to is lent until health_close. */
struct health *health_open(const struct health_env *env);
void health_add_routes(struct health *h, struct http *server);
/* Adds a reason; more than HEALTH_REASONS are dropped. */
void health_reason(struct health_state *s, const char *why);
/* When the server and `ask` are closed. */
void health_close(struct health *h);

#endif
