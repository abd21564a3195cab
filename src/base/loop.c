/* loop.c: libevent's base behind a small door.
 *
 * A turn is one event_base_loop(EVLOOP_ONCE): libevent polls, runs the callbacks of the first priority,
 * polls again as long as the turn's end (second priority) is pending, and returns when nothing is
 * active.  So the first socket that becomes ready does not get a batch of its own: all that are ready
 * do, and no timer is needed to collect them.
 *
 * Two priorities only, though a third for "not a socket" looks tempting: libevent serves a priority
 * only in a pass in which no lower number is active, so a peer that never stops sending would keep
 * timers and the database's answers waiting for ever.  The same danger for the turn's end is met by
 * moving it to the first priority after LOOP_TURN_MOST callbacks.
 *
 * libevent counts timers from a coarse clock that it reads once per pass; so a timer may come some
 * milliseconds early by the real clock.  Ours look at the clock when they fire, and go back to sleep.
 */
#include "base/loop.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOP_PRIO_READY,
	LOOP_PRIO_TURN_END,
	LOOP_PRIOS,
	LOOP_TURN_MOST = 1000, /* callbacks before the turn's end is forced */
	LOOP_SLOW_US = 100000
};

struct loop_hook {
	loop_fn *fn;
	void *arg;
};

struct loop_hooks {
	struct loop_hook *v;
	size_t n, cap;
};

struct loop_trash {
	void *p;
	void (*free_fn)(void *);
};

struct loop {
	struct event_base *base;
	struct event turn_end;
	bool turn_asked; /* turn_end is active */
	bool stop;
	unsigned callbacks; /* in this turn */
	int64_t turn_us;    /* when it began; 0: not yet */
	struct loop_hooks hooks[2];
	struct loop_trash *trash;
	size_t n_trash, cap_trash;
};

struct loop_fd {
	struct loop *loop;
	loop_fd_fn *fn;
	void *arg;
	unsigned what;
	struct event in, out;
};

struct loop_timer {
	struct loop *loop;
	loop_fn *fn;
	void *arg;
	int64_t due_us;
	bool armed;
	struct event ev;
};

struct loop_signal {
	struct loop *loop;
	loop_signal_fn *fn;
	void *arg;
	struct event ev;
};

static const struct log_ctx loop_log = { .room = "loop" };

/* Passes a message of libevent's on. */
static void loop_on_log(int severity, const char *text)
{
	switch (severity) {
	case EVENT_LOG_DEBUG: log_debug(&loop_log, "%s", text); break;
	case EVENT_LOG_MSG: log_info(&loop_log, "%s", text); break;
	case EVENT_LOG_WARN: log_damped(LOG_LVL_WARNING, &loop_log, "%s", text); break;
	default: log_damped(LOG_LVL_ERROR, &loop_log, "%s", text); break;
	}
}

/* Ends the process when libevent has lost its footing. */
static void loop_on_fatal(int code)
{
	log_error(&loop_log, "libevent cannot go on (code %d)", code);
	abort();
}

int64_t loop_now_us(void)
{
	return clock_boot_us();
}

int64_t loop_turn_us(const struct loop *loop)
{
	return loop->turn_us ? loop->turn_us : loop_now_us();
}

/* Marks the beginning of a turn at its first callback and keeps its end from starving. */
static void loop_enter(struct loop *loop)
{
	if (loop->turn_us == 0)
		loop->turn_us = loop_now_us();
	if (++loop->callbacks == LOOP_TURN_MOST && loop->turn_asked) {
		event_del(&loop->turn_end);
		event_priority_set(&loop->turn_end, LOOP_PRIO_READY);
		event_active(&loop->turn_end, EV_TIMEOUT, 0);
	}
}

/* Makes sure that this turn has an end. */
static void loop_ask(struct loop *loop)
{
	if (loop->turn_asked)
		return;
	loop->turn_asked = true;
	event_priority_set(&loop->turn_end,
		loop->callbacks < LOOP_TURN_MOST ? LOOP_PRIO_TURN_END : LOOP_PRIO_READY);
	event_active(&loop->turn_end, EV_TIMEOUT, 0);
}

/* Frees what was deferred; a free function may defer more. */
static void loop_empty_trash(struct loop *loop)
{
	while (loop->n_trash > 0) {
		struct loop_trash t = loop->trash[--loop->n_trash];

		t.free_fn(t.p);
	}
}

/* Runs the hooks of one step that were there when it began; what they ask for anew stays behind. */
static void loop_run_step(struct loop_hooks *h)
{
	size_t end = h->n;

	for (size_t i = 0; i < end; i++) {
		struct loop_hook hook = h->v[i];

		h->v[i].fn = NULL;
		if (hook.fn != NULL)
			hook.fn(hook.arg);
	}
	h->n -= end;
	if (h->n > 0)
		memmove(h->v, h->v + end, h->n * sizeof *h->v);
}

/* Ends the turn. */
static void loop_on_turn_end(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd, (void)what;
	loop_enter(loop);
	loop_run_step(&loop->hooks[LOOP_FORM]);
	loop_run_step(&loop->hooks[LOOP_WRITE_OUT]);
	loop_empty_trash(loop);
	loop->turn_asked = false;
	loop->callbacks = 0;
	if (loop->hooks[LOOP_FORM].n > 0 || loop->hooks[LOOP_WRITE_OUT].n > 0)
		loop_ask(loop);
}

struct loop *loop_open(struct err *err)
{
	struct event_config *config = event_config_new();
	struct loop *loop = NULL;
	struct event_base *base;

	event_set_log_callback(loop_on_log);
	event_set_fatal_callback(loop_on_fatal);
	if (config == NULL || event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) != 0 ||
		(base = event_base_new_with_config(config)) == NULL) {
		err_set(err, "could not open the event loop");
		err_hint(err, "see the log lines of \"loop\"; is the limit of open files too low?");
	} else {
		loop = xcalloc(1, sizeof *loop);
		loop->base = base;
		event_base_priority_init(base, LOOP_PRIOS);
		event_assign(&loop->turn_end, base, -1, 0, loop_on_turn_end, loop);
	}
	if (config != NULL)
		event_config_free(config);
	return loop;
}

void loop_close(struct loop *loop)
{
	if (loop == NULL)
		return;
	loop_empty_trash(loop);
	event_del(&loop->turn_end);
	event_base_free(loop->base);
	free(loop->hooks[LOOP_FORM].v);
	free(loop->hooks[LOOP_WRITE_OUT].v);
	free(loop->trash);
	free(loop);
}

/* Says when a turn held everybody up. */
static void loop_check_turn(struct loop *loop)
{
	int64_t took_us = loop->turn_us ? loop_now_us() - loop->turn_us : 0;

	if (took_us > LOOP_SLOW_US)
		log_damped(LOG_LVL_WARNING, &loop_log, "a turn of the loop took %lld ms",
			(long long)(took_us / 1000));
	loop->turn_us = 0;
	loop->callbacks = 0;
}

bool loop_run(struct loop *loop, struct err *err)
{
	while (!loop->stop) {
		int rc = event_base_loop(loop->base, EVLOOP_ONCE);

		loop_check_turn(loop);
		if (rc < 0)
			return err_set(err, "could not wait for events");
		if (rc == 1 && !loop->stop)
			return err_set(err, "the event loop has nothing left to wait for");
	}
	loop->stop = false;
	return true;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
	loop_ask(loop); /* so that a poll that would wait does not */
}

void loop_at_turn_end(struct loop *loop, enum loop_step step, loop_fn *fn, void *arg)
{
	struct loop_hooks *h = &loop->hooks[step];

	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].fn == fn && h->v[i].arg == arg)
			return;
	h->v = mem_grow(h->v, h->n, &h->cap, sizeof *h->v);
	h->v[h->n++] = (struct loop_hook){ fn, arg };
	loop_ask(loop);
}

void loop_forget_turn_end(struct loop *loop, loop_fn *fn, void *arg)
{
	for (int step = LOOP_FORM; step <= LOOP_WRITE_OUT; step++) {
		struct loop_hooks *h = &loop->hooks[step];

		for (size_t i = 0; i < h->n; i++)
			if (h->v[i].fn == fn && h->v[i].arg == arg)
				h->v[i].fn = NULL;
	}
}

void loop_defer_free(struct loop *loop, void *p, void (*free_fn)(void *))
{
	loop->trash = mem_grow(loop->trash, loop->n_trash, &loop->cap_trash, sizeof *loop->trash);
	loop->trash[loop->n_trash++] = (struct loop_trash){ p, free_fn };
	loop_ask(loop);
}

/* A descriptor is ready. */
static void loop_on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *w = arg;
	unsigned ready = (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0);

	loop_enter(w->loop);
	w->fn(w->arg, fd, ready & w->what);
}

struct loop_fd *loop_fd_open(struct loop *loop, int fd, loop_fd_fn *fn, void *arg)
{
	struct loop_fd *w = xcalloc(1, sizeof *w);

	w->loop = loop;
	w->fn = fn;
	w->arg = arg;
	event_assign(&w->in, loop->base, fd, EV_READ | EV_PERSIST, loop_on_fd, w);
	event_assign(&w->out, loop->base, fd, EV_WRITE | EV_PERSIST, loop_on_fd, w);
	event_priority_set(&w->in, LOOP_PRIO_READY);
	event_priority_set(&w->out, LOOP_PRIO_READY);
	return w;
}

/* Starts or stops one direction. */
static void loop_fd_turn(struct event *ev, bool on)
{
	if (!on)
		event_del(ev);
	else if (event_add(ev, NULL) != 0)
		log_error(&loop_log, "could not watch a descriptor");
}

void loop_fd_watch(struct loop_fd *w, unsigned what)
{
	unsigned changed = w->what ^ what;

	w->what = what;
	if (changed & LOOP_READ)
		loop_fd_turn(&w->in, what & LOOP_READ);
	if (changed & LOOP_WRITE)
		loop_fd_turn(&w->out, what & LOOP_WRITE);
}

void loop_fd_close(struct loop_fd *w)
{
	if (w == NULL)
		return;
	loop_fd_watch(w, 0);
	loop_defer_free(w->loop, w, free);
}

/* Sets libevent's side of a timer to what is left to wait. */
static void loop_timer_arm(struct loop_timer *t)
{
	int64_t left_us = t->due_us - loop_now_us();
	struct timeval tv = { 0 };

	if (left_us > 0) {
		tv.tv_sec = (time_t)(left_us / 1000000);
		tv.tv_usec = (suseconds_t)(left_us % 1000000);
	}
	evtimer_add(&t->ev, &tv);
}

/* A timer's time has come, or so libevent's coarse clock says. */
static void loop_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;

	(void)fd, (void)what;
	loop_enter(t->loop);
	if (loop_now_us() < t->due_us) {
		loop_timer_arm(t);
		return;
	}
	t->armed = false;
	t->fn(t->arg);
}

struct loop_timer *loop_timer_open(struct loop *loop, loop_fn *fn, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof *t);

	t->loop = loop;
	t->fn = fn;
	t->arg = arg;
	evtimer_assign(&t->ev, loop->base, loop_on_timer, t);
	event_priority_set(&t->ev, LOOP_PRIO_READY);
	return t;
}

void loop_timer_in(struct loop_timer *t, int64_t after_us)
{
	loop_timer_at(t, loop_now_us() + after_us);
}

void loop_timer_at(struct loop_timer *t, int64_t boot_us)
{
	t->due_us = boot_us;
	t->armed = true;
	loop_timer_arm(t);
}

void loop_timer_stop(struct loop_timer *t)
{
	t->armed = false;
	evtimer_del(&t->ev);
}

bool loop_timer_is_armed(const struct loop_timer *t)
{
	return t->armed;
}

void loop_timer_close(struct loop_timer *t)
{
	if (t == NULL)
		return;
	loop_timer_stop(t);
	loop_defer_free(t->loop, t, free);
}

/* A signal came; libevent has brought it from the handler into the loop. */
static void loop_on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)what;
	loop_enter(s->loop);
	s->fn(s->arg, signo);
}

struct loop_signal *loop_signal_open(struct loop *loop, int signo, loop_signal_fn *fn, void *arg)
{
	struct loop_signal *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	evsignal_assign(&s->ev, loop->base, signo, loop_on_signal, s);
	event_priority_set(&s->ev, LOOP_PRIO_READY);
	if (evsignal_add(&s->ev, NULL) != 0)
		log_error(&loop_log, "could not watch signal %d", signo);
	return s;
}

void loop_signal_close(struct loop_signal *s)
{
	if (s == NULL)
		return;
	evsignal_del(&s->ev);
	loop_defer_free(s->loop, s, free);
}
