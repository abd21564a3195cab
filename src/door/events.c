/*
 * events.c: a request becomes one arena: a copy of the body, items, events and ticket live and go together.  The copy
 * costs less than a microsecond and keeps the batch's text alive when the client is answered (late) or gone before
 * the batch is; lending the server's buffer would need everything that was derived from it to be found and moved.
 */
#include "door/events.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/planted.h"
#include "door/envelope.h"
#include "intake/flow.h"
#include "model/shop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EVENTS_HEADERS_MOST = 64,
	/* after one was read in vain: room for so many like it before the next is read, */
	EVENTS_AGAIN = 8,
	EVENTS_AGAIN_MOST = 200 /* but of events not more than these for it */
};

struct events {
	const struct access *access;
	struct events_intake intake;
	struct http_route route;
	size_t in_flight;
	struct buf answer; /* scratch */
	/* Room for so many events must be there before a body is read; more than 1 after one was read in vain, as under
	 * overload most of the time would go into such.  Once nothing of ours is in flight it is 1 again. */
	size_t wanted;
};

struct events_request {
	struct arena arena;
	struct events *door;
	struct http_request *http; /* NULL: answered already */
	struct event_ticket ticket;
	bool is_batch;
};

/* ---- before the body ---- */

static void events_refuse_full(struct http_request *req)
{
	http_refuse(req, 429, "too many events are waiting to be committed", NULL,
		"Send the same request again later, or fewer at a time.");
}

static bool events_admit(void *arg, struct http_request *req)
{
	struct events *d = arg;
	const struct shop *shop;
	const char *why = NULL;

	switch (access_shop(d->access, req->bearer, SHOP_MAY_POST, &shop)) {
	case ACCESS_GRANTED: break;
	case ACCESS_UNKNOWN:
		http_refuse(req, 401, "the bearer token is missing or unknown", NULL,
			"Send \"Authorization: Bearer TOKEN\" with a token of a [store] section.");
		return false;
	case ACCESS_FORBIDDEN:
		http_refuse(req, 403, "this token may not post events", NULL,
			"Give it the scope \"events\" in its [store] section, or use the store's own token.");
		return false;
	}
	if (!d->intake.is_ready(d->intake.arg, &why)) {
		http_refuse(req, 503, why, NULL, "Send the same request again later.");
		return false;
	}
	if (d->in_flight == 0)
		d->wanted = 1;
	if (!d->intake.has_room(d->intake.arg, d->wanted, 0)) {
		events_refuse_full(req);
		return false;
	}
	d->wanted = 1;
	req->user = (void *)(uintptr_t)shop;
	return true;
}

/* ---- the answer ---- */

static void events_put_verdict(struct buf *b, const struct shop_event *e)
{
	buf_str(b, "{\"id\":");
	if (e->id.p != NULL && json_is_text(e->id))
		json_put_text(b, e->id);
	else
		buf_str(b, "null");
	buf_str(b, ",\"status\":\"");
	buf_str(b,
		event_status_name(PLANTED(http_ack_first) && e->status == EVENT_NEW ? EVENT_ACCEPTED
										    : e->status));
	buf_char(b, '"');
	if (e->reason != NULL && (e->status == EVENT_QUARANTINED || e->status == EVENT_CONFLICT)) {
		buf_str(b, ",\"reason\":");
		json_put_text(b, span_of(e->reason));
	}
	if (e->path.n) {
		buf_str(b, ",\"path\":");
		json_put_text(b, e->path);
	}
	if (!e->deduplicated && e->status == EVENT_ACCEPTED)
		buf_str(b, ",\"deduplicated\":false");
	buf_char(b, '}');
}

static void events_answer(struct events_request *r)
{
	struct buf *b = &r->door->answer;

	FAILPOINT("events.before_answer");
	buf_clear(b);
	if (r->is_batch)
		buf_str(b, "{\"events\":[");
	for (size_t i = 0; i < r->ticket.n; i++) {
		if (i)
			buf_char(b, ',');
		events_put_verdict(b, &r->ticket.events[i]);
	}
	if (r->is_batch)
		buf_str(b, "]}");
	http_answer(r->http, 200, "application/json", buf_as_span(b));
	FAILPOINT("events.answered");
	r->http = NULL;
}

static void events_free(struct events_request *r)
{
	struct arena arena = r->arena;

	r->door->in_flight--;
	arena_fini(&arena); /* r itself stands in it */
}

/* All events have their status. */
static void events_done(struct event_ticket *t)
{
	struct events_request *r = t->owner;

	if (r->http != NULL)
		events_answer(r);
	events_free(r);
}

/* Not settled in time: the client hears 503, the events go on or are dropped. */
static void events_late(struct event_ticket *t)
{
	struct events_request *r = t->owner;

	http_refuse(r->http, 503, "the events could not be committed in time", NULL,
		"Send the same request again: what was committed comes back as duplicate.");
	r->http = NULL;
}

/* ---- the body ---- */

/* Headers as attributes, for CloudEvents in binary mode; copied, because events outlive the request. */
static size_t events_attributes(
	struct http_request *req, struct arena *a, struct envelope_attribute *v)
{
	size_t n = 0;

	for (size_t i = 0; n < EVENTS_HEADERS_MOST; i++) {
		struct span name, value;

		if (!http_header_at(req, i, &name, &value))
			break;
		if (name.n > 3 && strncasecmp(name.p, "ce-", 3) == 0)
			v[n++] = (struct envelope_attribute){ { arena_dup(a, name.p, name.n),
								      name.n },
				{ arena_dup(a, value.p, value.n), value.n } };
	}
	return n;
}

static void events_refuse_body(struct http_request *req, const struct envelope_fault *fault)
{
	char path[256];

	snprintf(path, sizeof path, "%.*s", SPAN_ARG(fault->path));
	switch (fault->kind) {
	case ENVELOPE_NOT_READ:
		http_refuse(req, 400, fault->reason, *path ? path : NULL,
			"Send one event or an array of events as JSON: {\"type\":...,\"data\":{...}}.");
		return;
	case ENVELOPE_TOO_LARGE:
		http_refuse(req, 413, fault->reason, *path ? path : NULL,
			"Send at most 500 events and 1 MiB at a time, 64 KiB each.");
		return;
	}
}

/* After n events were read in vain. */
static size_t events_wanted(size_t n)
{
	if (n >= EVENTS_AGAIN_MOST)
		return n;
	return n * EVENTS_AGAIN < EVENTS_AGAIN_MOST ? n * EVENTS_AGAIN : EVENTS_AGAIN_MOST;
}

static void events_handle(void *arg, struct http_request *req)
{
	struct events *d = arg;
	struct envelope_attribute attributes[EVENTS_HEADERS_MOST];
	struct envelope_input in = { .shop = req->user,
		.door = ADMIT_HTTP,
		.content_type = req->content_type,
		.attributes = attributes };
	struct arena arena = { 0 };
	struct events_request *r;
	struct envelope_item *items;
	struct envelope_fault fault;
	size_t n;

	in.body = (struct span){ arena_dup(&arena, req->body.p, req->body.n), req->body.n };
	in.n_attributes = events_attributes(req, &arena, attributes);
	if (!envelope_read(&in, &arena, &items, &n, &fault)) {
		events_refuse_body(req, &fault);
		arena_fini(&arena);
		return;
	}
	if (n == 0) {
		http_answer(req, 200, "application/json", SPAN("{\"events\":[]}"));
		arena_fini(&arena);
		return;
	}
	if (!d->intake.has_room(d->intake.arg, n, req->body.n)) {
		d->wanted = events_wanted(n);
		events_refuse_full(req);
		arena_fini(&arena);
		return;
	}
	r = arena_new(&arena, struct events_request);
	r->door = d;
	r->http = req;
	r->is_batch = *span_trim(req->body).p == '[';
	r->ticket = (struct event_ticket){ .events = arena_array(&arena, struct shop_event, n),
		.n = n,
		.done = events_done,
		.late = events_late,
		.owner = r,
		.line = req->line };
	for (size_t i = 0; i < n; i++)
		envelope_admit(&r->ticket.events[i], &items[i], ADMIT_HTTP,
			d->intake.wall_us(d->intake.arg), &arena);
	r->arena = arena;
	d->in_flight++;
	FAILPOINT("events.read");
	if (PLANTED(http_ack_first)) {
		r->ticket.late = NULL;
		events_answer(r);
	}
	d->intake.submit(d->intake.arg, &r->ticket);
}

struct events *events_open(
	const struct access *access, const struct events_intake *intake, size_t body_most)
{
	struct events *d = xcalloc(1, sizeof *d);

	d->access = access;
	d->intake = *intake;
	d->wanted = 1;
	d->route = (struct http_route){ .method = "POST",
		.path = "/events",
		.body_most = body_most,
		.admit = events_admit,
		.handle = events_handle };
	return d;
}

void events_add_routes(struct events *d, struct http *server)
{
	http_add_routes(server, &d->route, 1, d);
}

size_t events_in_flight(const struct events *d)
{
	return d->in_flight;
}

void events_close(struct events *d)
{
	if (d == NULL)
		return;
	assert(d->in_flight == 0);
	buf_free(&d->answer);
	free(d);
}
