/*
 * sim_client.c: the shops.  Each client has a list of events in its order, a connection to one daemon, and posts what
 * is not acknowledged until it is: over the same connection after a 503, over another one, perhaps to another daemon,
 * when it is lost or when patience ends.  MQTT clients have no `late` answer and post all that is open again, in
 * order, when their session moves.  What was posted and given up may still be judged: that is the point.
 */
#include "sim_int.h"

#include "base/clock.h"
#include "intake/admit.h"
#include "store/mem_int.h"

#include <stdio.h>
#include <string.h>

enum {
	CLIENT_EVENTS_MOST = 160,
	CLIENT_BURST_US = 20 * SIM_SECOND,
	CLIENT_PATIENCE_US = 3 * SIM_SECOND
};

/* What the shops post, by weight. */
static const struct {
	int weight;
	const char *type;
} client_kinds[] = {
	{ 4, "a.single" },
	{ 4, "a.restart" },
	{ 2, "a.stop" },
	{ 4, "a.queued" },
	{ 1, "a.queued.stop" },
	{ 4, "a.parallel" },
	{ 3, "a.ask" },
	{ 3, "a.answer" },
	{ 6, "order.placed" },
	{ 2, "order.cancelled" },
	{ 5, "a.count" },
	{ 3, "a.mail" },
	{ 3, "a.cool" },
	{ 3, "a.until" },
	{ 2, "c.nothing" },
};
enum { CLIENT_KINDS = sizeof client_kinds / sizeof *client_kinds };

/* ---- events ---- */

static size_t client_pick_kind(struct sim *s)
{
	int sum = 0, at;
	size_t i;

	for (i = 0; i < CLIENT_KINDS; i++)
		sum += client_kinds[i].weight;
	at = (int)sim_rnd(s, (uint64_t)sum);
	for (i = 0; at >= client_kinds[i].weight; i++)
		at -= client_kinds[i].weight;
	return i;
}

/* By what the event names its customer, who has two browsers.  Who comes with a browser only is somebody else, until an
 * event names both. */
static const char *client_keys(struct sim *s, struct sim_event *e)
{
	int lot = s->have_browsers ? (int)sim_rnd(s, 100) : 0;

	e->has_id = lot < 75;
	e->browser = lot >= 60 ? 1 + lot % 2 : 0;
	if (e->browser == 0)
		return arena_printf(&s->arena, "\"id\":\"c%d\"", e->customer);
	if (!e->has_id)
		return arena_printf(
			&s->arena, "\"anonymous_id\":\"a%d/%d\"", e->customer, e->browser);
	return arena_printf(&s->arena, "\"id\":\"c%d\",\"anonymous_id\":\"a%d/%d\"", e->customer,
		e->customer, e->browser);
}

/* An order of a customer: its number names him, so that nobody else has it. */
static int client_order(struct sim *s, int customer)
{
	return (int)sim_rnd(s, 12) * SIM_CUSTOMERS_MOST + customer;
}

static void client_write(struct sim *s, struct sim_event *e)
{
	size_t kind = client_pick_kind(s);
	const char *type = client_kinds[kind].type;
	int order = client_order(s, e->customer);
	char tail[64];

	/* an order has one total, however often it is placed */
	if (strcmp(type, "order.placed") == 0)
		snprintf(
			tail, sizeof tail, ",\"order_id\":\"o%d\",\"total\":%d", order, 10 + order);
	else if (strcmp(type, "order.cancelled") == 0)
		snprintf(tail, sizeof tail, ",\"order_id\":\"o%d\"", order);
	else
		tail[0] = '\0';
	e->type = type;
	e->order = tail[0] != '\0' ? order : -1;
	e->data = arena_printf(&s->arena, "{\"customer\":{%s},\"n\":\"%d\"%s}", client_keys(s, e),
		e->number, tail);
}

/* Most events come in bursts, close enough together to meet each other on the way. */
static int64_t client_moment(struct sim *s)
{
	int64_t us = (int64_t)sim_rnd(s, (uint64_t)(s->heal_us - s->now_us));

	if (sim_chance(s, 700))
		us = us / CLIENT_BURST_US * CLIENT_BURST_US + (int64_t)sim_rnd(s, 20000);
	return s->now_us + us;
}

static struct sim_event *client_event(struct sim *s, struct sim_client *c)
{
	struct sim_event *e = arena_new(&s->arena, struct sim_event);

	e->number = (int)s->n_events;
	e->customer = (int)sim_rnd(s, (uint64_t)s->n_customers);
	e->twin = -1;
	e->place = (int)c->n_events;
	e->kind = sim_chance(s, 15) ? SIM_POISON : sim_chance(s, 15) ? SIM_BAD : SIM_GOOD;
	e->id = arena_printf(&s->arena, "%s%d", e->kind == SIM_POISON ? "poison" : "e", e->number);
	e->from_us = client_moment(s);
	e->time_us = e->from_us - (int64_t)sim_rnd(s, sim_chance(s, 200) ? 60 * SIM_SECOND : 1000);
	client_write(s, e);
	if (e->kind == SIM_BAD)
		e->type = "A Bad Type";
	BATCH_PUSH(&s->arena, s->events, s->n_events, s->cap_events) = e;
	BATCH_PUSH(&s->arena, c->events, c->n_events, c->cap_events) = e;
	if (map_get(&s->event_by_id, span_of(e->id)) == NULL)
		map_put(&s->event_by_id, span_of(e->id), e);
	return e;
}

/* Somebody posts another content under the id of an event. */
static void client_twin(struct sim *s, struct sim_client *c, struct sim_event *of)
{
	struct sim_event *e = client_event(s, c);

	if (of->kind != SIM_GOOD || e->kind != SIM_GOOD || of->twin >= 0)
		return;
	map_del(&s->event_by_id, span_of(e->id));
	e->id = of->id;
	e->twin = of->number;
	of->twin = e->number;
}

/* ---- connections ---- */

static void client_tick(struct sim_client *c);

struct client_plan {
	struct sim_client *client;
	int64_t at_us;
};

static void client_on_tick(struct sim *s, void *arg)
{
	struct client_plan *p = arg;

	(void)s;
	if (p->client->tick_us != p->at_us)
		return; /* an earlier one was planned after it */
	p->client->tick_us = 0;
	client_tick(p->client);
}

/* One tick is planned at a time, the earliest. */
static void client_plan(struct sim_client *c, int64_t delay_us)
{
	struct client_plan *p;

	if (c->tick_us != 0 && c->tick_us <= c->sim->now_us + delay_us)
		return;
	c->tick_us = c->sim->now_us + delay_us;
	p = arena_new(&c->sim->arena, struct client_plan);
	*p = (struct client_plan){ c, c->tick_us };
	sim_after(c->sim, delay_us, client_on_tick, p);
}

/* The connection is gone; what was posted over it counts as never said. */
static void client_disconnect(struct sim_client *c)
{
	for (size_t i = 0; i < c->n_events; i++)
		c->events[i]->in_flight = false;
	c->daemon = NULL;
	c->connection = 0;
	c->open = 0;
}

void sim_client_lose(struct sim *s, const struct sim_daemon *d)
{
	for (int i = 0; i < s->n_clients; i++)
		if (s->clients[i].daemon == d) {
			client_disconnect(&s->clients[i]);
			client_plan(&s->clients[i], 1000 + (int64_t)sim_rnd(s, SIM_SECOND));
		}
}

static void client_connect(struct sim_client *c)
{
	struct sim *s = c->sim;
	struct sim_daemon *d = &s->daemons[sim_rnd(s, (uint64_t)s->n_daemons)];

	if (d->flow == NULL || sim_daemon_stands(d))
		return;
	c->daemon = d;
	c->daemon_epoch = d->epoch;
	c->connection = ++s->n_connections;
	sim_trace(s, "client %d: connection %u to daemon %d", c->number, c->connection, d->number);
}

/* ---- answers ---- */

static struct sim_post *post_of(struct event_ticket *t)
{
	return (struct sim_post *)t;
}

/* Is the connection still there that this was posted over? */
static bool post_is_heard(const struct sim_post *p)
{
	return p->client->connection == p->connection;
}

static void post_done(struct event_ticket *t)
{
	struct sim_post *p = post_of(t);
	struct sim_client *c = p->client;
	struct sim *s = c->sim;

	sim_trace(s, "client %d: post %u is answered%s: %s", c->number, p->serial,
		p->is_late ? ", too late" : "", event_status_name(t->events[0].status));
	if (p->is_late || !post_is_heard(p))
		return;
	c->open--;
	sim_judge_ack(s, p);
	for (size_t i = 0; i < t->n; i++) {
		p->events[i]->in_flight = false;
		p->events[i]->is_acked = true;
		p->events[i]->acked = t->events[i].status;
	}
	client_plan(c, (int64_t)sim_rnd(s, 3000));
}

/* 503 */
static void post_late(struct event_ticket *t)
{
	struct sim_post *p = post_of(t);
	struct sim_client *c = p->client;

	c->sim->n.late++;
	p->is_late = true;
	sim_trace(c->sim, "client %d: post %u is late", c->number, p->serial);
	if (!post_is_heard(p))
		return;
	c->open--;
	for (size_t i = 0; i < t->n; i++)
		p->events[i]->in_flight = false;
	client_plan(c, (int64_t)sim_rnd(c->sim, SIM_SECOND));
}

/* ---- posting ---- */

static void post_admit(struct sim_post *p, size_t i)
{
	struct sim *s = p->client->sim;
	const struct sim_event *e = p->events[i];
	char *time = arena_alloc(&s->arena, 32);
	struct admit_envelope envelope = {
		.shop = &sim_shop,
		.id = span_of(e->id),
		.source = SPAN("sim"),
		.type = span_of(e->type),
		.time = span_of(clock_format_rfc3339(e->time_us, time)),
		.data = span_of(e->data),
	};

	(void)!admit_event(&p->ticket.events[i], &envelope, ADMIT_HTTP,
		s->now_us + p->client->daemon->skew_us, &s->arena);
}

/* Posts up to n events that are there and not acknowledged; false: there are none. */
static bool client_post(struct sim_client *c, size_t n)
{
	struct sim *s = c->sim;
	struct sim_post *p = arena_new(&s->arena, struct sim_post);

	p->client = c;
	p->connection = c->connection;
	p->events = arena_array(&s->arena, struct sim_event *, n);
	for (size_t i = 0; i < c->n_events && p->ticket.n < n; i++) {
		struct sim_event *e = c->events[i];

		if (e->is_acked || e->in_flight)
			continue;
		if (e->from_us > s->now_us)
			break;
		e->in_flight = true;
		p->events[p->ticket.n++] = e;
	}
	if (p->ticket.n == 0)
		return false;
	p->ticket.events = arena_array(&s->arena, struct shop_event, p->ticket.n);
	for (size_t i = 0; i < p->ticket.n; i++)
		post_admit(p, i);
	p->ticket.done = post_done;
	p->ticket.line = p->connection;
	p->ticket.late = c->is_mqtt ? NULL : post_late;
	p->serial = ++s->n_posts;
	c->open++;
	sim_trace(s, "client %d%s: post %u over %u: %zu events", c->number,
		c->is_mqtt ? " (mqtt)" : "", p->serial, c->connection, p->ticket.n);
	for (size_t i = 0; i < p->ticket.n; i++)
		sim_trace(
			s, "  %s %s %s", p->events[i]->id, p->events[i]->type, p->events[i]->data);
	flow_submit(c->daemon->flow, &p->ticket);
	return true;
}

static bool client_is_content(const struct sim_client *c)
{
	for (size_t i = 0; i < c->n_events; i++)
		if (!c->events[i]->is_acked)
			return false;
	return true;
}

/* When it will have something to say again. */
static int64_t client_next_us(const struct sim_client *c)
{
	int64_t next_us = INT64_MAX;

	for (size_t i = 0; i < c->n_events; i++)
		if (!c->events[i]->is_acked && !c->events[i]->in_flight &&
			c->events[i]->from_us < next_us)
			next_us = c->events[i]->from_us;
	return next_us;
}

/* Posts as much as the window allows. */
static void client_speak(struct sim_client *c)
{
	struct sim *s = c->sim;

	if (sim_daemon_stands(c->daemon))
		return;
	while (c->open < c->window && client_post(c, 1 + sim_rnd(s, c->batch)))
		;
	sim_daemon_turn(c->daemon);
}

static void client_tick(struct sim_client *c)
{
	struct sim *s = c->sim;
	int64_t next_us;

	if (client_is_content(c))
		return;
	if (c->daemon != NULL && sim_fault(s, s->faults.drop)) {
		sim_trace(s, "client %d: drops its connection", c->number);
		s->n.drops++;
		client_disconnect(c);
	}
	if (c->daemon == NULL)
		client_connect(c);
	if (c->daemon == NULL || !flow_is_ready(c->daemon->flow, NULL)) {
		if (c->daemon != NULL && sim_chance(s, 300))
			client_disconnect(c);
		client_plan(c, (int64_t)sim_rnd(s, SIM_SECOND));
		return;
	}
	client_speak(c);
	/* what it waits for plans the next tick; this one is patience, or the next event */
	next_us = client_next_us(c);
	if (next_us < s->now_us || next_us > s->now_us + CLIENT_PATIENCE_US || c->open >= c->window)
		next_us = s->now_us + (int64_t)sim_rnd(s, CLIENT_PATIENCE_US);
	client_plan(c, next_us - s->now_us + (int64_t)sim_rnd(s, 2000));
}

bool sim_client_all_acked(const struct sim *s)
{
	for (int i = 0; i < s->n_clients; i++)
		if (!client_is_content(&s->clients[i]))
			return false;
	return true;
}

/* In the order in which they are there to be posted. */
static void client_sort(struct sim_client *c)
{
	for (size_t i = 1; i < c->n_events; i++)
		for (size_t k = i; k > 0 && c->events[k]->from_us < c->events[k - 1]->from_us;
			k--) {
			struct sim_event *x = c->events[k];

			c->events[k] = c->events[k - 1];
			c->events[k - 1] = x;
		}
	for (size_t i = 0; i < c->n_events; i++)
		c->events[i]->place = (int)i;
}

void sim_client_open_all(struct sim *s)
{
	size_t n = 20 + sim_rnd(s, CLIENT_EVENTS_MOST - 20);

	s->have_browsers = sim_chance(s, 500);
	for (int i = 0; i < s->n_clients; i++)
		s->clients[i] = (struct sim_client){ .sim = s,
			.number = i,
			.is_mqtt = sim_chance(s, 400),
			.window = 1 + (unsigned)sim_rnd(s, 6),
			.batch = 1 + (unsigned)sim_rnd(s, 6) };
	while (s->n_events < n) {
		struct sim_client *c = &s->clients[sim_rnd(s, (uint64_t)s->n_clients)];

		if (s->n_events > 0 && sim_chance(s, 30))
			client_twin(s, c, s->events[sim_rnd(s, s->n_events)]);
		else
			client_event(s, c);
	}
	for (int i = 0; i < s->n_clients; i++) {
		client_sort(&s->clients[i]);
		client_plan(&s->clients[i], (int64_t)sim_rnd(s, SIM_SECOND));
	}
}
