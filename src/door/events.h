#ifndef DOOR_EVENTS_H
#define DOOR_EVENTS_H
/*
 * POST /events: a store's events by HTTP (CloudEvents structured, batched and binary, or plain; see door/envelope).
 *
 * The bearer token names the store and is looked at before the body is read, as is whether there is room (429) and
 * whether the database is there (503).  The answer comes after the commit and says for each event what became of it:
 *	{"id":"e1","status":"accepted"}                                  one event
 *	{"events":[{"id":...,"status":...}, ...]}                        a batch, in its order
 * with "reason" and "path" for conflicts and what was quarantined, "deduplicated":false where we made the id.
 * What is not settled in time is 503 for the whole.
 */
#include "door/access.h"
#include "door/http.h"

#include <stddef.h>

struct event_ticket;

struct events_intake { /* what this door needs of the flow */
	bool (*is_ready)(void *arg, const char **ret_why);
	bool (*has_room)(void *arg, size_t events, size_t bytes);
	void (*submit)(void *arg, struct event_ticket *ticket);
	int64_t (*wall_us)(void *arg);
	void *arg;
};

struct events;

/* access is lent until events_close, and may change in between; body_most: bytes of a request. */
struct events *events_open(
	const struct access *access, const struct events_intake *intake, size_t body_most);
/* Adds the route to the server. */
void events_add_routes(struct events *d, struct http *server);
/* The number of requests whose events are with the intake. */
size_t events_in_flight(const struct events *d);
/* Only when none is in flight and the server is closed. */
void events_close(struct events *d);

#endif
