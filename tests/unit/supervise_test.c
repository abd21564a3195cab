/* supervise_test.c: hearts, crash notes and strikes, with roles made for it */
#include "base/notify.h"
#include "base/proc.h"
#include "main/supervise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct seen {
	_Atomic int starts;
	char id[1000], why[80];
	_Atomic int strikes; /* starts that were given one */
} * seen;
static int (*scene)(const struct role_env *env, int start);

static int count_one(const struct settings *s)
{
	(void)s;
	return 1;
}

static int64_t stall_soon(const struct settings *s)
{
	(void)s;
	return 300 * 1000;
}

/* Counts starts, looks at the strike, then does what the scene wants. */
static int run(const struct role_env *env)
{
	int start = atomic_fetch_add(&seen->starts, 1) + 1;

	heart_ready(env->heart);
	if (env->strike) {
		snprintf(seen->id, sizeof seen->id, "%s %s %s", env->strike->kind, env->strike->id,
			env->strike->rule);
		snprintf(seen->why, sizeof seen->why, "%s", env->strike_why);
		atomic_fetch_add(&seen->strikes, 1);
	}
	return scene(env, start);
}

static bool check_nothing(const struct settings *s, bool at_start, struct err *err)
{
	(void)s;
	(void)at_start;
	(void)err;
	return true;
}

static int end_all(const struct role_env *env)
{
	kill(getppid(), SIGTERM);
	return role_idle(env);
}

/* Runs a parent with one child until a scene stops it; returns the parent's exit code. */
static int play(int (*what)(const struct role_env *, int))
{
	static const struct role roles[] = { { "engine", WAKE_ENGINE, true, count_one, stall_soon,
		run } };
	const struct supervise_options options = { roles, 1, { check_nothing }, false };
	char dir[] = "/tmp/supervise_test.XXXXXX", path[64], cmd[64];
	struct settings_problems problems;
	int status;
	pid_t pid;
	FILE *f;

	scene = what;
	assert_non_null(mkdtemp(dir));
	memset(seen, 0, sizeof *seen);
	snprintf(path, sizeof path, "%s/n.conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "[nudged]\nlisten = %s/http\nstate_dir = %s\n", dir, dir);
	fclose(f);
	pid = fork();
	if (pid == 0) {
		log_open("test", LOG_LOGFMT, LOG_LVL_ERROR);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(99);
		_exit(supervise_run(settings_read(path, NULL, &problems), &options));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int scene_crash(const struct role_env *env, int start)
{
	if (start == 1) {
		crash_note_set(env->note, "event", SPAN("toys//e1"), SPAN("abandoned-cart"));
		raise(SIGSEGV);
	}
	if (start == 2)
		raise(SIGKILL); /* before the strike's row was written: it must come again */
	if (start == 3) {
		crash_note_clear(env->strike);
		raise(SIGKILL);
	}
	return end_all(env);
}

static void test_crash_gives_a_strike_until_it_is_written(void **state)
{
	(void)state;
	assert_int_equal(play(scene_crash), 0);
	assert_int_equal(seen->starts, 4);
	assert_int_equal(seen->strikes, 2);
	assert_string_equal(seen->id, "event toys//e1 abandoned-cart");
	assert_non_null(strstr(seen->why, "signal 11"));
}

static int scene_killed(const struct role_env *env, int start)
{
	if (start == 1) {
		crash_note_set(env->note, "event", SPAN("toys//e1"), SPAN("r"));
		raise(SIGKILL);
	}
	if (start == 2) {
		crash_note_set(env->note, "event", SPAN("toys//e1"), SPAN("r"));
		crash_note_clear(env->note);
		raise(SIGABRT);
	}
	return end_all(env);
}

static void test_who_is_killed_from_outside_gets_none(void **state)
{
	(void)state;
	assert_int_equal(play(scene_killed), 0);
	assert_int_equal(seen->starts, 3);
	assert_int_equal(seen->strikes, 0);
}

static int scene_stall(const struct role_env *env, int start)
{
	if (start == 1) {
		crash_note_set(env->note, "chain", SPAN("77"), SPAN("loops"));
		signal(SIGABRT, SIG_IGN);
		for (;;)
			pause();
	}
	return end_all(env);
}

static void test_stalling_gives_a_strike(void **state)
{
	(void)state;
	assert_int_equal(play(scene_stall), 0);
	assert_int_equal(seen->strikes, 1);
	assert_string_equal(seen->id, "chain 77 loops");
	assert_string_equal(seen->why, "stalled");
}

static int scene_fresh(const struct role_env *env, int start)
{
	const struct timespec part = { 0, 200 * 1000000 };

	if (start == 1)
		for (int i = 0; i < 6; i++) {
			heart_beat(env->heart);
			nanosleep(&part, NULL);
		}
	return start == 1 ? 0 : end_all(env);
}

static void test_who_ends_well_is_replaced(void **state)
{
	(void)state;
	assert_int_equal(play(scene_fresh), 0);
	assert_int_equal(seen->starts, 2);
}

static void test_long_notes_are_cut(void **state)
{
	struct crash_note note = { 0 }, taken = { 0 };
	char id[1000];

	(void)state;
	memset(id, 'x', sizeof id);
	assert_false(crash_note_take(&note, &taken));
	crash_note_set(&note, "event", (struct span){ id, sizeof id }, SPAN(""));
	assert_true(crash_note_take(&note, &taken));
	assert_int_equal(strlen(taken.id), CRASH_ID_SIZE - 1);
	assert_string_equal(taken.rule, "");
	assert_false(crash_note_take(&note, &taken));
	crash_note_set(NULL, "event", SPAN(""), SPAN(""));
}

static void test_heart(void **state)
{
	struct heart h = { 0 };
	char text[HEART_STATUS_SIZE];

	(void)state;
	heart_beat(&h);
	heart_say(&h, "no database");
	heart_ready(&h);
	assert_true(heart_status(&h, text, sizeof text));
	assert_string_equal(text, "no database");
	assert_int_equal(h.beats, 1);
	h.writing = 3; /* died while it wrote */
	assert_false(heart_status(&h, text, sizeof text));
	heart_clear(&h);
	assert_true(heart_status(&h, text, sizeof text));
	assert_string_equal(text, "");
	assert_false(h.ready);
}

static void test_notify_speaks_to_abstract_sockets(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct notify n;
	char name[40], got[100] = "";

	(void)state;
	snprintf(name, sizeof name, "@supervise_test.%d", (int)getpid());
	memcpy(un.sun_path, name, strlen(name));
	un.sun_path[0] = '\0';
	assert_int_equal(
		bind(fd, (struct sockaddr *)&un,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		0);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "3000000", 1);
	notify_open(&n);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_true(n.watchdog_us == 3000000);
	notify_send(&n, "STATUS=%d", 5);
	assert_int_equal(recv(fd, got, sizeof got - 1, MSG_DONTWAIT), 8);
	assert_string_equal(got, "STATUS=5");
	notify_close(&n);
	notify_open(&n);
	notify_send(&n, "READY=1"); /* nobody listens: no harm */
	notify_close(&n);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crash_gives_a_strike_until_it_is_written),
		cmocka_unit_test(test_who_is_killed_from_outside_gets_none),
		cmocka_unit_test(test_stalling_gives_a_strike),
		cmocka_unit_test(test_who_ends_well_is_replaced),
		cmocka_unit_test(test_long_notes_are_cut),
		cmocka_unit_test(test_heart),
		cmocka_unit_test(test_notify_speaks_to_abstract_sockets),
	};
	struct err err;

	seen = proc_share(sizeof *seen, &err);
	return seen ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
