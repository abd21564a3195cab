/* loop_test.c: the order of a turn, timers that are never early, closing inside callbacks. */
#include "base/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static char trace[64];

static void note(char c)
{
	size_t n = strlen(trace);

	assert_true(n + 1 < sizeof trace);
	trace[n] = c;
	trace[n + 1] = '\0';
}

static int setup(void **state)
{
	struct err err;

	(void)state;
	trace[0] = '\0';
	loop = loop_open(&err);
	return loop == NULL;
}

static int teardown(void **state)
{
	(void)state;
	loop_close(loop);
	return 0;
}

static void run(void)
{
	struct err err;

	assert_true(loop_run(loop, &err));
}

static void on_stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void free_noted(void *p)
{
	note('f');
	free(p);
}

static void on_write_out(void *arg)
{
	(void)arg;
	note('w');
}

static void on_form(void *arg)
{
	(void)arg;
	note('b');
	loop_at_turn_end(loop, LOOP_WRITE_OUT, on_write_out, NULL);
}

static void on_pipe(void *arg, int fd, unsigned what)
{
	char c;

	(void)arg;
	assert_int_equal(what, LOOP_READ);
	assert_int_equal(read(fd, &c, 1), 1);
	note('r');
	loop_at_turn_end(loop, LOOP_WRITE_OUT, on_write_out, NULL);
	loop_at_turn_end(loop, LOOP_FORM, on_form, NULL);
	if (strcmp(trace, "r") == 0)
		loop_defer_free(loop, malloc(1), free_noted);
	else
		loop_stop(loop);
}

static void test_all_is_read_before_batches_form_and_answers_leave(void **state)
{
	int a[2], b[2];
	struct loop_fd *wa, *wb;

	(void)state;
	assert_int_equal(pipe(a) | pipe(b), 0);
	wa = loop_fd_open(loop, a[0], on_pipe, NULL);
	wb = loop_fd_open(loop, b[0], on_pipe, NULL);
	loop_fd_watch(wa, LOOP_READ);
	loop_fd_watch(wb, LOOP_READ);
	assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
	run();
	assert_string_equal(trace, "rrbwf");
	loop_fd_close(wa);
	loop_fd_close(wb);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void on_flood(void *arg, int fd, unsigned what)
{
	(void)fd, (void)what;
	if (++*(unsigned *)arg == 1)
		loop_at_turn_end(loop, LOOP_FORM, on_stop, NULL);
	assert_true(*(unsigned *)arg < 5000);
}

static void test_a_flood_does_not_starve_the_end_of_the_turn(void **state)
{
	int a[2];
	unsigned calls = 0;
	struct loop_fd *w;

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(write(a[1], "x", 1), 1); /* never read: always ready */
	w = loop_fd_open(loop, a[0], on_flood, &calls);
	loop_fd_watch(w, LOOP_READ);
	run();
	assert_true(calls >= 900);
	loop_fd_close(w);
	close(a[0]), close(a[1]);
}

static int64_t fired_us;

static void on_timer(void *arg)
{
	fired_us = loop_now_us();
	loop_timer_close(*(struct loop_timer **)arg);
	loop_stop(loop);
}

static void test_timers_are_never_early(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct loop_timer *t = loop_timer_open(loop, on_timer, &t);
		int64_t due_us = loop_now_us() + 3300;

		loop_timer_at(t, due_us);
		assert_true(loop_timer_is_armed(t));
		run();
		assert_true(fired_us >= due_us);
		assert_true(fired_us < due_us + 500000);
	}
}

static void on_signal(void *arg, int signo)
{
	(void)arg;
	assert_int_equal(signo, SIGUSR1);
	note('s');
	loop_stop(loop);
}

static void test_signals_come_inside_the_loop(void **state)
{
	struct loop_signal *s = loop_signal_open(loop, SIGUSR1, on_signal, NULL);

	(void)state;
	raise(SIGUSR1);
	run();
	assert_string_equal(trace, "s");
	loop_signal_close(s);
}

static void test_what_was_forgotten_does_not_run(void **state)
{
	(void)state;
	loop_at_turn_end(loop, LOOP_FORM, on_form, NULL);
	loop_at_turn_end(loop, LOOP_WRITE_OUT, on_write_out, NULL);
	loop_forget_turn_end(loop, on_form, NULL);
	loop_stop(loop);
	run();
	assert_string_equal(trace, "");
	loop_at_turn_end(loop, LOOP_FORM, on_stop, NULL);
	run();
	assert_string_equal(trace, "w");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_all_is_read_before_batches_form_and_answers_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_flood_does_not_starve_the_end_of_the_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timers_are_never_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signals_come_inside_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_was_forgotten_does_not_run, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
