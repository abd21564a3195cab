/*
 * ctl_import.c: `nudgectl import events FILE`: history, so that count(), orders and cards know the past.
 *
 * The lines go the way of every event (envelope, admit, flow, store), with two differences: each has the mark
 * `import`, so no rule and no chain hears of it, and the flow is given no rules and leaves due work to the
 * engines.  Keys decide what is new: whoever is interrupted runs it again.  An event with neither id nor time
 * could not be told from itself the second time and is kept aside.
 *
 * Lines are read only while there is room, so a file of any size needs the memory of a few batches.  A pipe is
 * read when there is something in it, so that an open transaction never waits for whoever writes into it.
 */
#include "base/loop.h"
#include "base/mem.h"
#include "base/now.h"
#include "door/envelope.h"
#include "engine/judge.h"
#include "intake/flow.h"
#include "main/ctl.h"
#include "main/ctl_customer.h"
#include "main/ctl_db.h"
#include "main/ctl_text.h"
#include "main/import_store.h"
#include "main/settings.h"
#include "store/pg.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	IMPORT_BATCH = 500,
	IMPORT_TICKETS = 6, /* in flight */
	IMPORT_READ = 256 * 1024,
	IMPORT_LINE = 1024 * 1024, /* longest line */
	IMPORT_TOLD = 100,         /* bad lines that are shown */
};
static const int64_t IMPORT_PROGRESS_US = 2000000;
static const int64_t IMPORT_DOWN_US = 30000000; /* the database away for longer: give up */

struct import;

/* Up to IMPORT_BATCH events and where they stood. */
struct import_ticket {
	struct event_ticket ticket; /* first */
	struct import *im;
	LIST_ENTRY(import_ticket) link;
	struct arena arena;
	size_t cap;
	int64_t *lines;
};

struct import {
	const struct shop *shop;
	const char *name; /* of the file */
	int fd;
	bool is_file, is_over; /* is_over: everything has been read */
	struct loop *loop;
	struct loop_fd *watch;
	struct loop_timer *timer, *second;
	struct store *store;
	struct flow *flow;
	struct buf text; /* read, not taken yet */
	size_t at;       /* taken of it */
	int64_t line, read_us, told_us, up_us;
	LIST_HEAD(, import_ticket) tickets; /* in flight */
	size_t flying;
	struct err *err;
	bool failed, stopping;
	uint64_t counts[EVENT_QUARANTINED + 1], told;
};

static void import_stop(struct import *im)
{
	im->stopping = true;
	loop_stop(im->loop);
}

static void import_fail(struct import *im)
{
	im->failed = true;
	import_stop(im);
}

/*** receipts ***/

static void import_tell(
	struct import *im, int64_t line, const struct shop_event *e, const char *what)
{
	if (++im->told > IMPORT_TOLD)
		return;
	fprintf(stderr, "%s:%lld: %s", im->name, (long long)line, what);
	if (e->path.n) {
		fputs(": ", stderr);
		ctl_text_line(stderr, e->path);
	}
	fprintf(stderr, "%s%s\n", e->reason ? ": " : "", e->reason ? e->reason : "");
	if (im->told == IMPORT_TOLD)
		fprintf(stderr, "%s: further lines like these are only counted\n", im->name);
}

static void import_ticket_free(struct import_ticket *t)
{
	LIST_REMOVE(t, link);
	t->im->flying--;
	arena_fini(&t->arena);
	free(t);
}

static void import_on_done(struct event_ticket *ticket)
{
	struct import_ticket *t = (struct import_ticket *)ticket;
	struct import *im = t->im;

	for (size_t i = 0; i < ticket->n; i++) {
		const struct shop_event *e = &ticket->events[i];

		im->counts[e->status]++;
		if (e->status == EVENT_CONFLICT || e->status == EVENT_QUARANTINED)
			import_tell(im, t->lines[i], e, event_status_name(e->status));
	}
	import_ticket_free(t);
	loop_timer_in(im->timer, 0);
}

/*** lines ***/

static struct import_ticket *import_ticket_new(struct import *im)
{
	struct import_ticket *t = xcalloc(1, sizeof *t);

	t->im = im;
	t->ticket.done = import_on_done;
	t->ticket.line = 1; /* the file, whatever is in flight of it */
	t->cap = IMPORT_BATCH;
	t->ticket.events = arena_array(&t->arena, struct shop_event, t->cap);
	t->lines = arena_array(&t->arena, int64_t, t->cap);
	LIST_INSERT_HEAD(&im->tickets, t, link);
	im->flying++;
	return t;
}

static struct shop_event *import_slot(struct import_ticket *t)
{
	t->lines[t->ticket.n] = t->im->line;
	return &t->ticket.events[t->ticket.n++];
}

/* A line that is no event at all is kept aside as it came. */
static void import_take_bad(
	struct import_ticket *t, struct span line, const char *reason, struct span path)
{
	const struct admit_envelope env = { .shop = t->im->shop, .raw = line };

	admit_quarantine(import_slot(t), &env, t->im->read_us, reason, path);
}

/* Takes one line: one event. */
static void import_take_line(struct import_ticket *t, struct span line)
{
	struct envelope_input in = {
		.shop = t->im->shop, .door = ADMIT_HTTP, .content_type = SPAN("application/json")
	};
	struct envelope_item *items;
	struct envelope_fault fault;
	struct shop_event *e;
	size_t n;

	line.p = arena_dup(&t->arena, line.p, line.n);
	in.body = line;
	if (!envelope_read(&in, &t->arena, &items, &n, &fault)) {
		import_take_bad(t, line, fault.reason, fault.path);
		return;
	}
	if (n != 1) {
		import_take_bad(t, line, "a line must hold one event", SPAN("$"));
		return;
	}
	e = import_slot(t);
	/* as by MQTT: neither id nor time is a fault, because a repetition could not be found out */
	envelope_admit(e, &items[0], ADMIT_MQTT, t->im->read_us, &t->arena);
	e->import = true;
}

/* The next line of what was read; false: there is none that is whole. */
static bool import_next_line(struct import *im, struct span *ret)
{
	const char *p = im->text.p + im->at;
	size_t n = im->text.n - im->at;
	const char *end = n ? memchr(p, '\n', n) : NULL;

	if (end == NULL && !(im->is_over && n > 0))
		return false;
	*ret = span_trim((struct span){ p, end ? (size_t)(end - p) : n });
	im->at += end ? (size_t)(end - p) + 1 : n;
	im->line++;
	return true;
}

/* Submits what is there in whole lines, at most one ticket. */
static bool import_submit(struct import *im)
{
	struct import_ticket *t = import_ticket_new(im);
	struct span line;

	im->read_us = clock_now_us();
	while (t->ticket.n < t->cap && import_next_line(im, &line))
		if (line.n > 0)
			import_take_line(t, line);
	if (t->ticket.n == 0) {
		import_ticket_free(t);
		return false;
	}
	flow_submit(im->flow, &t->ticket);
	return true;
}

/*** reading ***/

/* Moves the rest to the front. */
static void import_compact(struct import *im)
{
	memmove(im->text.p, im->text.p + im->at, im->text.n - im->at);
	im->text.n -= im->at;
	im->at = 0;
}

/* Reads once; false: nothing came. */
static bool import_read(struct import *im)
{
	ssize_t n;

	if (im->is_over || im->stopping)
		return false;
	if (im->at > 0)
		import_compact(im);
	if (im->text.n > IMPORT_LINE) {
		err_set(im->err, "%s:%lld: the line is longer than 1 MiB", im->name,
			(long long)im->line + 1);
		import_fail(im);
		return false;
	}
	n = read(im->fd, buf_reserve(&im->text, IMPORT_READ), IMPORT_READ);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		err_set(im->err, "could not read \"%s\": %s", im->name, strerror(errno));
		import_fail(im);
		return false;
	}
	im->is_over = n == 0;
	im->text.n += (size_t)n;
	return true;
}

/* Keeps the flow fed. */
static void import_feed(struct import *im)
{
	bool room = true;

	while (!im->stopping && (room = im->flying < IMPORT_TICKETS &&
					flow_has_room(im->flow, IMPORT_BATCH, IMPORT_LINE)))
		if (!import_submit(im) && (!im->is_file || !import_read(im)))
			break;
	if (im->watch != NULL)
		loop_fd_watch(im->watch, room && !im->is_over ? LOOP_READ : 0);
	if (im->is_over && im->flying == 0 && im->at == im->text.n)
		import_stop(im);
}

/*** turns ***/

static void import_turn(void *arg)
{
	struct import *im = arg;
	int64_t next_us;

	import_feed(im);
	flow_turn(im->flow);
	next_us = flow_next_us(im->flow);
	if (!im->stopping)
		loop_timer_at(im->timer, next_us);
}

static void import_want_turn(void *arg)
{
	struct import *im = arg;

	loop_at_turn_end(im->loop, LOOP_FORM, import_turn, im);
}

static void import_on_state(void *arg, bool up)
{
	(void)up;
	import_want_turn(arg);
}

static void import_on_readable(void *arg, int fd, unsigned what)
{
	(void)fd;
	(void)what;
	import_read(arg);
	import_want_turn(arg);
}

static void import_progress(const struct import *im)
{
	fprintf(stderr, "%s: %lld lines read, %llu new, %llu known\n", im->name,
		(long long)im->line, (unsigned long long)im->counts[EVENT_ACCEPTED],
		(unsigned long long)im->counts[EVENT_DUPLICATE]);
}

/* Once a second: progress, and is the database there? */
static void import_on_second(void *arg)
{
	struct import *im = arg;
	int64_t now_us = clock_boot_us();

	loop_timer_in(im->second, 1000000);
	if (now_us - im->told_us >= IMPORT_PROGRESS_US) {
		im->told_us = now_us;
		import_progress(im);
	}
	if (im->store->ops->is_up(im->store)) {
		im->up_us = now_us;
	} else if (now_us - im->up_us > IMPORT_DOWN_US) {
		err_set(im->err, "the database can not be reached");
		err_hint(im->err, "run it again: what has been taken is found and passed over");
		import_fail(im);
	}
}

static int64_t import_boot_us(void *arg)
{
	(void)arg;
	return clock_boot_us();
}

static int64_t import_wall_us(void *arg)
{
	(void)arg;
	return clock_now_us();
}

static void import_poke(void *arg, unsigned channels)
{
	(void)arg; /* history sends nothing */
	(void)channels;
}

/*** life ***/

static void import_open(struct import *im, const struct settings *s)
{
	struct pg_env pg = { .loop = im->loop,
		.dsn = s->database.dsn,
		.name = "nudged import",
		.lanes = 3, /* two that work and the one that may wait for a customer */
		.shops = s->shops,
		.n_shops = s->nshops,
		.unsafe_durability = s->nudged.unsafe_durability,
		.on_state = import_on_state,
		.arg = im };
	struct judge_env env = { .shops = s->shops, .n_shops = s->nshops, .staff = &s->staff };
	struct flow_host host = { import_boot_us, import_wall_us, import_poke, import_want_turn,
		NULL, im };
	struct flow_limits limits;

	flow_limits_default(&limits);
	limits.batch = IMPORT_BATCH;
	limits.due = 0;
	judge_limits_default(&env.limits);
	im->timer = loop_timer_open(im->loop, import_want_turn, im);
	im->second = loop_timer_open(im->loop, import_on_second, im);
	im->store = import_store_open(pg_open(&pg));
	im->flow = flow_open(im->store, &env, &limits, &host);
	if (!im->is_file)
		im->watch = loop_fd_open(im->loop, im->fd, import_on_readable, im);
	im->up_us = im->told_us = clock_boot_us();
	loop_timer_in(im->timer, 0);
	loop_timer_in(im->second, 1000000);
}

static void import_close(struct import *im)
{
	loop_forget_turn_end(im->loop, import_turn, im);
	loop_fd_close(im->watch);
	im->store->ops->close(im->store);
	flow_close(im->flow);
	while (!LIST_EMPTY(&im->tickets)) /* the database went away under them */
		import_ticket_free(LIST_FIRST(&im->tickets));
	loop_timer_close(im->timer);
	loop_timer_close(im->second);
	loop_close(im->loop);
	buf_free(&im->text);
}

static bool import_run(struct import *im, const struct settings *s, struct err *err)
{
	struct stat st;
	bool ok;

	im->err = err;
	im->is_file = fstat(im->fd, &st) == 0 && S_ISREG(st.st_mode);
	if (!im->is_file)
		fcntl(im->fd, F_SETFL, fcntl(im->fd, F_GETFL) | O_NONBLOCK);
	if ((im->loop = loop_open(err)) == NULL)
		return false;
	import_open(im, s);
	ok = loop_run(im->loop, err) && !im->failed;
	import_close(im);
	return ok;
}

/*** the command ***/

static int import_file(const struct ctl_env *env, const char *path, const char *store)
{
	struct import im = { .name = strcmp(path, "-") == 0 ? "stdin" : path };
	struct err err = { 0 };
	struct block *b;
	bool ok;

	if ((im.shop = ctl_customer_shop(env->settings, store, &err)) == NULL ||
		(b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("import", &err);
	ok = ctl_db_audit(b, "import events", im.shop->id, NULL, &err);
	block_close(b);
	if (!ok)
		return ctl_fail("import", &err);
	im.fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (im.fd < 0) {
		err_set(&err, "could not open \"%s\": %s", path, strerror(errno));
		return ctl_fail("import", &err);
	}
	ok = import_run(&im, env->settings, &err);
	if (im.fd != STDIN_FILENO)
		close(im.fd);
	printf("%lld lines: %llu accepted, %llu duplicate, %llu conflict, %llu quarantined\n",
		(long long)im.line, (unsigned long long)im.counts[EVENT_ACCEPTED],
		(unsigned long long)im.counts[EVENT_DUPLICATE],
		(unsigned long long)im.counts[EVENT_CONFLICT],
		(unsigned long long)im.counts[EVENT_QUARANTINED]);
	if (!ok)
		return ctl_fail("import", &err);
	return im.counts[EVENT_CONFLICT] + im.counts[EVENT_QUARANTINED] ? CTL_FAILED : CTL_OK;
}

int ctl_import(const struct ctl_env *env, int argc, char **argv)
{
	static const struct option options[] = { { "store", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 } };
	const char *store = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's': store = optarg; break;
		default: return ctl_usage("import");
		}
	if (argc - optind != 2 || strcmp(argv[optind], "events") != 0)
		return ctl_usage("import");
	return import_file(env, argv[optind + 1], store);
}
