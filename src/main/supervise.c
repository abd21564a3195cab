/* supervise.c: one loop around sigtimedwait.
 *
 * All signals are blocked and taken one at a time, so nothing here is asynchronous; between signals a
 * short tick looks at hearts and timers.  There is nothing else to wait for: the parent has no socket
 * to read, which is why it needs no event loop.
 *
 * A place (one process of a role) goes through
 *
 *     REST -> RUN -> (AILING -> ) REST -> RUN ...        a child that ended is started again
 *     RUN -> LEAVE -> GONE                               stopped: shutdown, or fewer couriers by reload
 *
 * REST waits for `at_us`; AILING has been sent SIGABRT for stalling (a core, and the crash note counts)
 * and gets SIGKILL at `at_us`; LEAVE has been sent SIGTERM and gets SIGKILL at the end of the drain.
 * Each place has pages of its own shared with its child: a child that scribbles over them hurts nobody
 * else.  Beats are measured on the parent's monotonic clock; when the parent itself stood still
 * (suspend, SIGSTOP of the whole group) it forgives everybody the same time.
 *
 * A reload is a child too: the checker.  Until it has ended well the new settings are only a candidate.
 */
#include "main/supervise.h"

#include "base/mem.h"
#include "base/notify.h"
#include "base/now.h"
#include "base/proc.h"
#include "door/metrics.h"
#include "main/accepted.h"
#include "main/handover.h"
#include "main/listen.h"
#include "main/lockfile.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SUPERVISE_TICK_US = 200 * 1000,
	SUPERVISE_BACKOFF_US = 100 * 1000,
	SUPERVISE_BACKOFF_MOST_US = 30 * 1000000,
	SUPERVISE_GOOD_LIFE_US = 60 * 1000000, /* after it the delay begins anew */
	SUPERVISE_FRESH_US = 1000000,          /* who ends well after less was not asked to end */
	SUPERVISE_ABORT_US = 2 * 1000000,      /* from SIGABRT to SIGKILL */
	SUPERVISE_PLACES_MOST = 256,           /* with counters of their own */
};

enum place_state { PLACE_REST, PLACE_RUN, PLACE_AILING, PLACE_LEAVE, PLACE_GONE };

struct place_shared {
	struct heart heart;
	struct crash_note note;
	struct crash_note strike; /* what the process before died of, until its row is written */
	char strike_why[80];
};

struct place {
	const struct role *role;
	int index;
	unsigned slot; /* its counters */
	char name[32];
	struct log_ctx log;
	enum place_state state;
	pid_t pid;
	int64_t at_us;      /* when the state ends by itself */
	int64_t started_us; /* of the process */
	int64_t backoff_us; /* the next delay */
	uint64_t beats;     /* last seen */
	int64_t beat_us;    /* when they last moved */
	struct place_shared *shared;
};

/* The checker child of a start or a reload. */
struct supervise_check {
	pid_t pid; /* 0: none runs */
	int fd;    /* its error comes here */
	int64_t until_us;
	struct settings *candidate; /* NULL at start */
};

struct supervise {
	struct settings *settings;
	const struct supervise_options *options;
	struct place **places;
	size_t nplaces;
	struct accepted *accepted;
	struct metrics *metrics;
	struct listen listen;
	struct handover handover;
	struct lockfile lock;
	struct notify notify;
	int wake[WAKE_COUNT][2];
	struct supervise_check check;
	bool ready;        /* systemd was told */
	bool stopping;     /* SIGTERM came */
	bool cut_short;    /* somebody was killed while stopping */
	bool reload_waits; /* SIGHUP came during a reload */
	int64_t drain_us;  /* end of the drain */
	int64_t ping_us;   /* next watchdog ping */
	int64_t tick_us;   /* of the last turn */
	char refused[300]; /* why the last reload was refused, for STATUS */
	char status[500];  /* as last sent */
	sigset_t signals;
};

static const struct log_ctx supervise_log = { "parent", "" };

static const char *place_state_name(enum place_state state)
{
	switch (state) {
	case PLACE_REST: return "rest";
	case PLACE_RUN: return "run";
	case PLACE_AILING: return "ailing";
	case PLACE_LEAVE: return "leave";
	case PLACE_GONE: return "gone";
	}
	return "?";
}

/* The only mover. */
static void place_enter(struct place *p, enum place_state to, int64_t at_us)
{
	log_debug(&p->log, "%s -> %s", place_state_name(p->state), place_state_name(to));
	p->state = to;
	p->at_us = at_us;
}

static bool place_is_alive(const struct place *p)
{
	return p->pid > 0;
}

/* {=== children === */

/* In a child: gives up what is the parent's. */
static void supervise_leave_parent(struct supervise *sv, bool listens)
{
	lockfile_close(&sv->lock);
	notify_close(&sv->notify);
	if (!listens)
		listen_forget(&sv->listen);
	handover_forget(&sv->handover);
}

/* The life of a child, after the fork. */
static int place_live(struct supervise *sv, struct place *p)
{
	struct role_env env = { .role = p->role,
		.index = p->index,
		.name = p->name,
		.settings = sv->settings,
		.wake_fd = sv->wake[p->role->wake][0],
		.heart = &p->shared->heart,
		.accepted = sv->accepted,
		.metrics = sv->metrics,
		.slot = p->slot,
		.note = &p->shared->note,
		.strike = atomic_load(&p->shared->strike.is_set) ? &p->shared->strike : NULL,
		.strike_why = p->shared->strike_why };

	supervise_leave_parent(sv, p->role->listens);
	env.listeners = sv->listen.fds;
	env.nlisteners = sv->listen.n;
	for (int i = 0; i < WAKE_COUNT; i++)
		env.wake_to[i] = sv->wake[i][1];
	log_open(p->name, sv->settings->nudged.log_format, settings_log_level(sv->settings));
	signal(SIGINT, SIG_IGN); /* a terminal's goes to all; the parent says what to do */
	return p->role->run(&env);
}

static void place_start(struct supervise *sv, struct place *p)
{
	char name[16];
	int64_t now = clock_mono_us();

	heart_clear(&p->shared->heart);
	crash_note_clear(&p->shared->note);
	snprintf(name, sizeof name, "nudged:%.8s", p->name);
	p->pid = proc_fork(name);
	if (p->pid == 0)
		_exit(place_live(sv, p));
	if (p->pid < 0) {
		log_error(&p->log, "could not fork: %s", strerror(errno));
		p->pid = 0;
		place_enter(p, PLACE_REST, now + SUPERVISE_BACKOFF_MOST_US);
		return;
	}
	p->started_us = p->beat_us = now;
	p->beats = 0;
	place_enter(p, PLACE_RUN, INT64_MAX);
	log_info(&p->log, "started as process %d", (int)p->pid);
}

/* A new place, resting until the next turn. */
static bool place_add(struct supervise *sv, const struct role *role, int index, struct err *err)
{
	struct place *p = xcalloc(1, sizeof *p);

	p->shared = proc_share(sizeof *p->shared, err);
	if (p->shared == NULL) {
		free(p);
		return false;
	}
	p->role = role;
	p->index = index;
	p->slot = (unsigned)sv->nplaces;
	p->backoff_us = SUPERVISE_BACKOFF_US;
	snprintf(p->name, sizeof p->name, "%s%d", role->name, index + 1);
	p->log.room = "parent";
	snprintf(p->log.id, sizeof p->log.id, "%s", p->name);
	sv->places = xrealloc(sv->places, (sv->nplaces + 1) * sizeof(struct place *));
	sv->places[sv->nplaces++] = p;
	return true;
}

static struct place *supervise_find(struct supervise *sv, const struct role *role, int index)
{
	for (size_t i = 0; i < sv->nplaces; i++)
		if (sv->places[i]->role == role && sv->places[i]->index == index)
			return sv->places[i];
	return NULL;
}

/* Sends SIGTERM, or ends the place at once when nobody is there. */
static void place_stop(struct place *p, int64_t until_us)
{
	if (!place_is_alive(p)) {
		place_enter(p, PLACE_GONE, INT64_MAX);
	} else if (p->state != PLACE_LEAVE) {
		kill(p->pid, SIGTERM);
		place_enter(p, PLACE_LEAVE, until_us);
	}
}

/* As many places of a role as the settings want. */
static bool supervise_size_role(struct supervise *sv, const struct role *role, struct err *err)
{
	int want = role->count(sv->settings);
	int64_t until = clock_mono_us() + sv->settings->nudged.drain_timeout_us;

	for (int i = 0; i < want; i++) {
		struct place *p = supervise_find(sv, role, i);

		if (p == NULL && !place_add(sv, role, i, err))
			return false;
		if (p && p->state == PLACE_GONE)
			place_enter(p, PLACE_REST, 0);
	}
	for (size_t i = 0; i < sv->nplaces; i++)
		if (sv->places[i]->role == role && sv->places[i]->index >= want)
			place_stop(sv->places[i], until);
	return true;
}

static bool supervise_size_all(struct supervise *sv, struct err *err)
{
	for (size_t i = 0; i < sv->options->nroles; i++)
		if (!supervise_size_role(sv, &sv->options->roles[i], err))
			return false;
	return true;
}

/* A strike counts only if the process died of what it did, not of who stopped it. */
static bool supervise_is_strike(int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	return sig == SIGSEGV || sig == SIGBUS || sig == SIGABRT || sig == SIGILL || sig == SIGFPE;
}

/* Keeps the note of a process that died of its work. */
static void place_keep_strike(struct place *p, int status)
{
	bool stalled = p->state == PLACE_AILING;
	struct crash_note *strike = &p->shared->strike;

	if (!stalled && !supervise_is_strike(status))
		return;
	if (!crash_note_take(&p->shared->note, strike))
		return;
	snprintf(p->shared->strike_why, sizeof p->shared->strike_why, "%s",
		stalled ? "stalled" : proc_end_text(status));
	log_error(&p->log, "died at %s \"%s\" in rule \"%s\": %s", strike->kind, strike->id,
		strike->rule, p->shared->strike_why);
}

/* Chooses when the next process starts. */
static void place_rest(struct place *p, int status, int64_t now)
{
	bool asked = WIFSIGNALED(status) &&
		     WTERMSIG(status) == SIGHUP; /* a reload before it was ready */
	bool fresh = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (now - p->started_us >= SUPERVISE_GOOD_LIFE_US)
		p->backoff_us = SUPERVISE_BACKOFF_US;
	if (asked || (fresh && now - p->started_us >= SUPERVISE_FRESH_US)) {
		log_info(&p->log, "process %d made room for a fresh one", (int)p->pid);
		place_enter(p, PLACE_REST, now);
		return;
	}
	log_warning(&p->log, "process %d ended with %s; the next one starts in %lld ms",
		(int)p->pid, proc_end_text(status), (long long)p->backoff_us / 1000);
	place_enter(p, PLACE_REST, now + p->backoff_us);
	p->backoff_us *= 2;
	if (p->backoff_us > SUPERVISE_BACKOFF_MOST_US)
		p->backoff_us = SUPERVISE_BACKOFF_MOST_US;
}

static void place_ended(struct supervise *sv, struct place *p, int status)
{
	place_keep_strike(p, status);
	metrics_leave(sv->metrics, p->slot);
	if (sv->stopping || p->state == PLACE_LEAVE) {
		/* SIGTERM: it had not yet begun to listen to signals, so it had nothing in flight */
		if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGTERM : WEXITSTATUS(status) != 0) {
			log_warning(&p->log, "process %d ended with %s while stopping", (int)p->pid,
				proc_end_text(status));
			sv->cut_short |= sv->stopping;
		}
		p->pid = 0;
		if (!sv->stopping && p->index < p->role->count(sv->settings))
			place_enter(p, PLACE_REST, 0); /* wanted again by a later reload */
		else
			place_enter(p, PLACE_GONE, INT64_MAX);
		return;
	}
	place_rest(p, status, clock_mono_us());
	p->pid = 0;
}

/* }=== */
/* {=== reload === */

static bool supervise_has_checker(const struct supervise *sv)
{
	return sv->check.pid > 0;
}

/* The checker's life. */
static int supervise_check_live(struct supervise *sv, struct settings *s, bool at_start, int fd)
{
	struct err err = { 0 };
	char text[1600];

	supervise_leave_parent(sv, false);
	log_open("checker", s->nudged.log_format, settings_log_level(s));
	if (sv->options->hooks.check(s, at_start, &err))
		return 0;
	snprintf(text, sizeof text, "%s%s%s", err.text, *err.hint ? "; " : "", err.hint);
	log_error(&supervise_log, "%s: %s",
		at_start ? "rules were not put in place" : "reload refused", text);
	if (write(fd, text, strlen(text)) < 0)
		return 2;
	return 1;
}

/* Starts the checker on the candidate, or at start on the settings. */
static bool supervise_start_check(struct supervise *sv, struct settings *candidate, struct err *err)
{
	struct settings *s = candidate ? candidate : sv->settings;
	int fds[2];
	pid_t pid;

	if (!proc_pipe(fds, err))
		return false;
	pid = proc_fork("nudged:checker");
	if (pid == 0)
		_exit(supervise_check_live(sv, s, candidate == NULL, fds[1]));
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_set(err, "could not fork: %s", strerror(errno));
	}
	sv->check = (struct supervise_check){ pid, fds[0],
		candidate ? clock_mono_us() + s->nudged.check_timeout_us : INT64_MAX, candidate };
	return true;
}

/* Keeps why the last one was refused, for STATUS; "" = it was not. */
static void supervise_set_refused(struct supervise *sv, const char *why)
{
	snprintf(sv->refused, sizeof sv->refused, "%s%.280s", *why ? "refused: " : "", why);
}

/* The end of a reload, whatever its outcome. */
static void supervise_reload_done(struct supervise *sv, const char *refused)
{
	supervise_set_refused(sv, refused);
	if (sv->ready)
		notify_send(&sv->notify, "READY=1");
	sv->status[0] = '\0'; /* send it anew */
}

/* Swaps the settings, tells the children, changes their number. */
static void supervise_apply(struct supervise *sv, struct settings *s)
{
	struct err err;

	settings_free(sv->settings);
	sv->settings = s;
	accepted_put(sv->accepted, settings_text(s));
	log_set_level(settings_log_level(s));
	for (size_t i = 0; i < sv->nplaces; i++)
		if (sv->places[i]->state == PLACE_RUN)
			kill(sv->places[i]->pid, SIGHUP);
	if (!supervise_size_all(sv, &err))
		log_error(&supervise_log, "%s", err.text);
	log_notice(&supervise_log, "reloaded");
	if (*s->kept)
		log_warning(&supervise_log, "changed, but takes effect at restart: %s", s->kept);
}

static void supervise_reload(struct supervise *sv)
{
	struct settings_problems problems = { 0 };
	struct settings *s;
	struct err err;

	if (supervise_has_checker(sv)) {
		if (sv->check.candidate == NULL)
			kill(sv->check.pid, SIGTERM); /* of the start: the reload does the same */
		sv->reload_waits = true;              /* when that one has ended, once */
		return;
	}
	notify_reloading(&sv->notify);
	s = settings_read(*sv->settings->path ? sv->settings->path : NULL, sv->settings, &problems);
	if (s && supervise_start_check(sv, s, &err))
		return;
	if (s)
		problems = (struct settings_problems){ &err, 1 };
	for (size_t i = 0; i < problems.n; i++)
		log_error(&supervise_log, "reload refused: %s", problems.v[i].text);
	supervise_reload_done(sv, problems.v[0].text);
	if (s)
		settings_free(s);
	else
		settings_problems_free(&problems);
}

/* The checker has ended: the candidate takes over or goes. */
static void supervise_check_ended(struct supervise *sv, int status)
{
	struct supervise_check check = sv->check;
	char text[1600] = "";
	bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (read(check.fd, text, sizeof text - 1) <= 0 && !ok)
		snprintf(text, sizeof text, "the checker ended with %s", proc_end_text(status));
	close(check.fd);
	sv->check = (struct supervise_check){ 0 };
	if (sv->stopping || !ok || check.candidate == NULL)
		settings_free(check.candidate);
	else
		supervise_apply(sv, check.candidate);
	if (sv->stopping)
		return;
	if (!ok && WIFSIGNALED(status) && !sv->reload_waits)
		log_error(&supervise_log, "%s", text);
	if (check.candidate)
		supervise_reload_done(sv, ok ? "" : text);
	else if (!sv->reload_waits)
		supervise_set_refused(sv, ok ? "" : text);
	if (sv->reload_waits) {
		sv->reload_waits = false;
		supervise_reload(sv);
	}
}

/* }=== */
/* {=== turns === */

static void supervise_on_child(struct supervise *sv)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == sv->check.pid) {
			supervise_check_ended(sv, status);
			continue;
		}
		for (size_t i = 0; i < sv->nplaces; i++)
			if (sv->places[i]->pid == pid) {
				place_ended(sv, sv->places[i], status);
				break;
			}
	}
}

/* Lets go of the listening sockets.  Without the lock another daemon serves them still: their paths are its. */
static void supervise_let_go(struct supervise *sv)
{
	handover_close(&sv->handover);
	if (sv->lock.fd < 0)
		listen_give_paths(&sv->listen);
	listen_close(&sv->listen);
}

/* SIGTERM: the first drains, the second ends now. */
static void supervise_stop(struct supervise *sv)
{
	int64_t now = clock_mono_us();

	if (sv->stopping) {
		log_warning(&supervise_log, "asked to stop again: ending now");
		sv->cut_short = true;
		sv->drain_us = now;
		for (size_t i = 0; i < sv->nplaces; i++)
			sv->places[i]->at_us = now;
		return;
	}
	log_notice(&supervise_log, "stopping");
	notify_send(&sv->notify, "STOPPING=1\nSTATUS=draining");
	sv->stopping = true;
	/* before the engines let go: who comes now must not wait in a queue that nobody serves */
	supervise_let_go(sv);
	sv->drain_us = now + sv->settings->nudged.drain_timeout_us;
	if (supervise_has_checker(sv))
		kill(sv->check.pid, SIGTERM);
	for (size_t i = 0; i < sv->nplaces; i++)
		place_stop(sv->places[i], sv->drain_us);
}

/* Looks whether the heart moved; true when it stands still for too long. */
static bool place_is_stalled(struct place *p, const struct settings *s, int64_t now)
{
	uint64_t beats = atomic_load_explicit(&p->shared->heart.beats, memory_order_relaxed);

	if (beats != p->beats) {
		p->beats = beats;
		p->beat_us = now;
	}
	return now - p->beat_us > p->role->stall_us(s);
}

/* What is due in one place. */
static void place_tick(struct supervise *sv, struct place *p, int64_t now)
{
	switch (p->state) {
	case PLACE_REST:
		if (now >= p->at_us)
			place_start(sv, p);
		break;
	case PLACE_RUN:
		if (!place_is_stalled(p, sv->settings, now))
			break;
		log_error(&p->log, "process %d stands still for %lld ms: killing it", (int)p->pid,
			(long long)(now - p->beat_us) / 1000);
		kill(p->pid, SIGABRT);
		place_enter(p, PLACE_AILING, now + SUPERVISE_ABORT_US);
		break;
	case PLACE_AILING:
	case PLACE_LEAVE:
		if (now >= p->at_us) {
			kill(p->pid, SIGKILL);
			p->at_us = now + SUPERVISE_ABORT_US;
		}
		break;
	case PLACE_GONE: break;
	}
}

/* Forgives the children the time in which the parent itself did not run. */
static void supervise_forgive(struct supervise *sv, int64_t now)
{
	int64_t gap = now - sv->tick_us - SUPERVISE_TICK_US;

	sv->tick_us = now;
	if (gap < 1000000)
		return;
	for (size_t i = 0; i < sv->nplaces; i++)
		sv->places[i]->beat_us += gap;
}

/* Every engine's loop runs: tell systemd, once. */
static void supervise_check_ready(struct supervise *sv)
{
	if (sv->ready)
		return;
	for (size_t i = 0; i < sv->nplaces; i++) {
		const struct place *p = sv->places[i];

		if (p->role->listens && !atomic_load(&p->shared->heart.ready))
			return;
	}
	sv->ready = true;
	notify_send(&sv->notify, "READY=1");
	log_notice(&supervise_log, "ready");
}

/* What `systemctl status` shows: processes, then the first thing that somebody has to say. */
static void supervise_tell_status(struct supervise *sv)
{
	char text[sizeof sv->status], said[HEART_STATUS_SIZE] = "";
	size_t alive = 0;

	for (size_t i = 0; i < sv->nplaces; i++) {
		const struct place *p = sv->places[i];

		alive += place_is_alive(p);
		if (*said == '\0' && !heart_status(&p->shared->heart, said, sizeof said))
			said[0] = '\0';
	}
	snprintf(text, sizeof text, "%zu processes%s%s%s%s", alive, *said ? "; " : "", said,
		*sv->refused ? "; " : "", sv->refused);
	if (strcmp(text, sv->status) == 0)
		return;
	snprintf(sv->status, sizeof sv->status, "%s", text);
	notify_send(&sv->notify, "STATUS=%s", text);
}

/* Pings only when no child is beyond what we would kill it for: else systemd shall step in. */
static void supervise_ping(struct supervise *sv, int64_t now)
{
	if (sv->notify.watchdog_us == 0 || now < sv->ping_us)
		return;
	for (size_t i = 0; i < sv->nplaces; i++) {
		const struct place *p = sv->places[i];

		if (place_is_alive(p) && p->state != PLACE_LEAVE &&
			now - p->beat_us > p->role->stall_us(sv->settings) + 2 * SUPERVISE_ABORT_US)
			return;
	}
	notify_send(&sv->notify, "WATCHDOG=1");
	sv->ping_us = now + sv->notify.watchdog_us / 2;
}

/* Who holds the lock hands over. */
static void supervise_stand_ready(struct supervise *sv)
{
	char path[sizeof sv->lock.path];
	struct err err;

	lockfile_path_beside(&sv->lock, "sock", path, sizeof path);
	if (!handover_open(&sv->handover, path, &err))
		log_warning(&supervise_log,
			"a daemon started --beside can not take over the listening sockets: %s",
			err.text);
}

/* A daemon that was started beside another takes the lock when that one is gone. */
static void supervise_want_lock(struct supervise *sv)
{
	struct err err;

	if (sv->lock.fd >= 0 ||
		!lockfile_take(&sv->lock, sv->settings->nudged.state_dir, sv->settings->path, &err))
		return;
	log_notice(&supervise_log, "the other daemon is gone, the lock is ours");
	supervise_stand_ready(sv);
}

/* A daemon that is to replace this one may ask for the listening sockets. */
static void supervise_hand_over(struct supervise *sv)
{
	if (handover_give(&sv->handover, sv->listen.fds, sv->listen.n) == 0)
		return;
	listen_give_paths(&sv->listen);
	log_notice(&supervise_log, "another daemon has taken over the listening sockets");
}

static void supervise_tick(struct supervise *sv)
{
	int64_t now = clock_mono_us();

	supervise_forgive(sv, now);
	for (size_t i = 0; i < sv->nplaces; i++)
		place_tick(sv, sv->places[i], now);
	if (supervise_has_checker(sv) && now >= sv->check.until_us) {
		log_error(&supervise_log,
			"the checker takes longer than \"check_timeout\": killing it");
		kill(sv->check.pid, SIGKILL);
		sv->check.until_us = INT64_MAX;
	}
	supervise_ping(sv, now);
	if (sv->stopping)
		return;
	supervise_check_ready(sv);
	supervise_tell_status(sv);
	supervise_want_lock(sv);
	supervise_hand_over(sv);
}

static bool supervise_is_over(const struct supervise *sv)
{
	if (!sv->stopping || supervise_has_checker(sv))
		return false;
	for (size_t i = 0; i < sv->nplaces; i++)
		if (place_is_alive(sv->places[i]))
			return false;
	return true;
}

/* Until the next tick, or until somebody has rested enough. */
static int64_t supervise_nap_us(const struct supervise *sv)
{
	int64_t now = clock_mono_us(), nap = SUPERVISE_TICK_US;

	for (size_t i = 0; i < sv->nplaces; i++)
		if (sv->places[i]->state == PLACE_REST && sv->places[i]->at_us < now + nap)
			nap = sv->places[i]->at_us > now ? sv->places[i]->at_us - now : 0;
	return nap;
}

static void supervise_loop(struct supervise *sv)
{
	sv->tick_us = clock_mono_us();
	while (!supervise_is_over(sv)) {
		struct timespec nap = { 0, supervise_nap_us(sv) * 1000 };
		int sig = sigtimedwait(&sv->signals, NULL, &nap);

		if (sig == SIGTERM || sig == SIGINT)
			supervise_stop(sv);
		else if (sig == SIGHUP && !sv->stopping)
			supervise_reload(sv);
		supervise_on_child(sv);
		supervise_tick(sv);
	}
}

/* }=== */

/* Everything that may refuse the start. */
static bool supervise_open(struct supervise *sv, struct err *err)
{
	const char *config = sv->settings->path;
	bool beside = sv->options->beside;
	char path[sizeof sv->lock.path];

	sigemptyset(&sv->signals);
	sigaddset(&sv->signals, SIGTERM);
	sigaddset(&sv->signals, SIGINT);
	sigaddset(&sv->signals, SIGHUP);
	sigaddset(&sv->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &sv->signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	notify_open(&sv->notify);
	if (!lockfile_take(&sv->lock, sv->settings->nudged.state_dir, config, err) && !beside)
		return false;
	lockfile_path_beside(&sv->lock, "sock", path, sizeof path);
	if (!listen_open(&sv->listen, sv->settings, beside, path, err))
		return false;
	if (sv->lock.fd >= 0)
		supervise_stand_ready(sv);
	for (int i = 0; i < WAKE_COUNT; i++)
		if (!proc_pipe(sv->wake[i], err))
			return false;
	sv->accepted = accepted_open(err);
	if (sv->accepted == NULL)
		return false;
	accepted_put(sv->accepted, settings_text(sv->settings));
	sv->metrics = metrics_open(SUPERVISE_PLACES_MOST, err);
	return sv->metrics != NULL && supervise_size_all(sv, err);
}

static void supervise_close(struct supervise *sv)
{
	supervise_let_go(sv);
	lockfile_close(&sv->lock);
	notify_close(&sv->notify);
	for (size_t i = 0; i < sv->nplaces; i++)
		free(sv->places[i]);
	free(sv->places);
	metrics_close(sv->metrics);
	settings_free(sv->settings);
}

int supervise_run(struct settings *s, const struct supervise_options *options)
{
	struct supervise sv = {
		.settings = s, .options = options, .handover.fd = -1, .lock.fd = -1, .notify.fd = -1
	};
	struct err err;
	int code;

	if (!supervise_open(&sv, &err)) {
		log_error(&supervise_log, "%s%s%s", err.text, *err.hint ? "; " : "", err.hint);
		supervise_close(&sv);
		return SUPERVISE_NO_START;
	}
	log_notice(&supervise_log, "starting, process %d, configuration %s", (int)getpid(),
		*s->path ? s->path : "built in");
	if (!supervise_start_check(&sv, NULL, &err))
		log_error(&supervise_log, "%s", err.text);
	supervise_loop(&sv);
	code = sv.cut_short ? SUPERVISE_CUT_SHORT : SUPERVISE_STOPPED;
	log_notice(&supervise_log, "stopped");
	supervise_close(&sv);
	return code;
}
