#ifndef BASE_LOOP_H
#define BASE_LOOP_H
/*
 * The event loop of a process: descriptors, timers, signals, and the end of a turn.  The one owner of
 * libevent: nobody else includes its headers.
 *
 * Life cycle: loop_open (after the last fork, PITFALLS 4.5.3) -> watchers -> loop_run, which returns
 * after loop_stop -> the watchers' owners close them -> loop_close.  One thread; every callback comes
 * from inside loop_run, never from inside the call that registered it.
 *
 * A turn: all ready descriptors, timers and signals are served first, and again those that became
 * ready meanwhile; when nothing is ready any more (or 1,000 callbacks later, so that nobody can starve
 * the end), what was asked for with loop_at_turn_end runs: first LOOP_FORM (make batches of what was
 * read), then LOOP_WRITE_OUT (write all answers); at last what was given to loop_defer_free is freed.
 * Whoever makes an answer outside a batch must ask for the end of the turn too.  A turn of more than
 * 100 ms is a warning in the log.
 *
 * Ownership: watchers are owned by who opened them; xxx_close stops them at once (no callback comes
 * after it) and frees them at the end of the turn, so closing inside a callback is safe.  The loop
 * borrows fds: close the watcher first, then the fd.
 */
#include "base/err.h"

#include <stdint.h>

struct loop;
struct loop_fd;
struct loop_timer;
struct loop_signal;

typedef void loop_fn(void *arg);
typedef void loop_fd_fn(void *arg, int fd, unsigned what); /* what: LOOP_READ, LOOP_WRITE or both */
typedef void loop_signal_fn(void *arg, int signo);

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
enum loop_step { LOOP_FORM, LOOP_WRITE_OUT }; /* the two steps of a turn's end, in this order */

/* Opens the process's loop and routes libevent's own messages into the log. */
struct loop *loop_open(struct err *err) MUST_CHECK;
/* Frees what was deferred, then the loop.  All watchers must be closed before.  NULL is allowed. */
void loop_close(struct loop *loop);
/* Serves until loop_stop; false when the kernel's poll failed. */
bool loop_run(struct loop *loop, struct err *err) MUST_CHECK;
/* Ends loop_run when the turn, its end included, is over.  Before loop_run: that returns at once. */
void loop_stop(struct loop *loop);

/* CLOCK_BOOTTIME in microseconds: for waiting and measuring, never for storage. */
int64_t loop_now_us(void);
/* When this turn began, by the same clock: good enough for deadlines, and free. */
int64_t loop_turn_us(const struct loop *loop);

/* Calls fn(arg) once at the end of this turn; asked again before it ran it still runs once.  From
 * inside a LOOP_FORM function a LOOP_WRITE_OUT one runs in the same turn, all else in the next. */
void loop_at_turn_end(struct loop *loop, enum loop_step step, loop_fn *fn, void *arg);
/* Takes the wish back: must be called before arg is freed. */
void loop_forget_turn_end(struct loop *loop, loop_fn *fn, void *arg);
/* Takes p and calls free_fn(p) when the turn is over; safe inside any callback. */
void loop_defer_free(struct loop *loop, void *p, void (*free_fn)(void *));

/* Watches a descriptor, for nothing at first.  what = 0, LOOP_READ, LOOP_WRITE or both; it stays so
 * until changed; costs nothing when it is so already. */
struct loop_fd *loop_fd_open(struct loop *loop, int fd, loop_fd_fn *fn, void *arg);
void loop_fd_watch(struct loop_fd *w, unsigned what);
void loop_fd_close(struct loop_fd *w); /* NULL is allowed; does not close the descriptor */

/* One shot: fires once per loop_timer_in or loop_timer_at, never early; arming it again moves it. */
struct loop_timer *loop_timer_open(struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_in(struct loop_timer *t, int64_t after_us);
void loop_timer_at(
	struct loop_timer *t, int64_t boot_us); /* as of loop_now_us; the past: at once */
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_armed(const struct loop_timer *t);
void loop_timer_close(struct loop_timer *t); /* NULL is allowed */

/* Calls fn in the loop, not in signal context, whenever the signal comes. */
struct loop_signal *loop_signal_open(struct loop *loop, int signo, loop_signal_fn *fn, void *arg);
void loop_signal_close(struct loop_signal *s); /* NULL is allowed */

#endif
