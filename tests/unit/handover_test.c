/* handover_test.c: P19, listening sockets go from one daemon to the next with whoever waits at them */
#include "base/proc.h"
#include "main/handover.h"
#include "main/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], deep[240], path[256], unix_path[96];

static struct settings_address tcp_address(void)
{
	struct settings_address a = { .text = "127.0.0.1", .len = sizeof(struct sockaddr_in) };
	struct sockaddr_in *in = (struct sockaddr_in *)&a.addr;
	socklen_t size = sizeof *in;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)in, sizeof *in), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)in, &size), 0);
	close(fd);
	return a;
}

static struct settings_address unix_address(void)
{
	struct settings_address a = { .text = unix_path, .len = sizeof(struct sockaddr_un) };
	struct sockaddr_un *un = (struct sockaddr_un *)&a.addr;

	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof un->sun_path, "%s", unix_path);
	return a;
}

static int client_of(const struct settings_address *a)
{
	int fd = socket(a->addr.ss_family, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&a->addr, a->len), 0);
	return fd;
}

static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 5000);
}

/* The daemon that runs: listens, gives to one who asks, ends.  Returns its pid; it says a byte on *ret_said when it
 * listens, and waits for one before it ends. */
static pid_t older_daemon(const struct settings *s, int *ret_said, int *ret_end)
{
	int said[2], end[2];
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		struct handover h;
		struct listen l;
		struct err err;
		char byte = 0;

		if (!listen_open(&l, s, false, path, &err) || !handover_open(&h, path, &err) ||
			write(said[1], &byte, 1) != 1 || ready(h.fd) != 1 ||
			handover_give(&h, l.fds, l.n) != 1 || read(end[0], &byte, 1) != 1)
			_exit(1);
		listen_give_paths(&l);
		handover_close(&h);
		listen_close(&l);
		_exit(0);
	}
	close(said[1]);
	close(end[0]);
	*ret_said = said[0];
	*ret_end = end[1];
	assert_int_equal(ready(said[0]), 1);
	return pid;
}

static void test_who_waits_is_served_by_the_next(void **state)
{
	struct settings_address both[3] = { tcp_address(), unix_address() };
	struct settings older = { .listen = both, .nlisten = 2, .http.backlog = 10 };
	struct settings newer = { .listen = both, .nlisten = 3, .http.backlog = 20 };
	int said, end, status, clients[3];
	struct stat st;
	struct listen l;
	struct handover h;
	struct err err;
	pid_t pid = older_daemon(&older, &said, &end);

	(void)state;
	for (int i = 0; i < 2; i++)
		clients[i] = client_of(&both[i]);
	both[2] = tcp_address(); /* one that the older does not have */
	assert_true(listen_open(&l, &newer, true, path, &err));
	assert_int_equal(l.n, 3);
	assert_true(
		handover_open(&h, path, &err)); /* in the place of the older, who must leave it */
	assert_int_equal(write(end, "", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	clients[2] = client_of(&both[2]);
	for (int i = 0; i < 3; i++) {
		int fd;
		char byte;

		assert_int_equal(ready(l.fds[i]), 1);
		assert_true((fcntl(l.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
		fd = accept(l.fds[i], NULL, NULL);
		assert_true(fd >= 0);
		assert_int_equal(send(clients[i], "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
		close(fd);
		close(clients[i]);
	}
	close(client_of(&both[1])); /* the path is still there */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	handover_close(&h);
	listen_close(&l);
	assert_int_not_equal(stat(path, &st), 0);
	assert_int_not_equal(stat(unix_path, &st), 0);
	close(said);
	close(end);
}

static void test_nobody_there_is_no_harm(void **state)
{
	struct settings_address a = tcp_address();
	struct settings s = { .listen = &a, .nlisten = 1, .http.backlog = 10 };
	int fds[HANDOVER_MOST];
	struct listen first, second;
	struct err err;

	(void)state;
	assert_int_equal(handover_take(path, fds), 0);
	assert_true(listen_open(&first, &s, false, path, &err));
	assert_false(listen_open(&second, &s, false, path, &err)); /* by mistake */
	assert_non_null(strstr(err.hint, "--beside"));
	assert_true(listen_open(&second, &s, true, path, &err)); /* the older can not hand over */
	assert_int_equal(second.n, 1);
	listen_close(&first);
	listen_close(&second);
}

static void test_what_is_no_socket_stays(void **state)
{
	struct settings_address a = unix_address();
	struct settings s = { .listen = &a, .nlisten = 1, .http.backlog = 10 };
	struct handover h;
	struct listen l;
	struct err err;
	struct stat st;
	int fd = open(unix_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_false(listen_open(&l, &s, false, path, &err));
	assert_non_null(strstr(err.text, "File exists"));
	assert_false(handover_open(&h, unix_path, &err));
	handover_close(&h);
	assert_int_equal(stat(unix_path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(unlink(unix_path), 0);
}

static void test_a_place_that_is_not_there(void **state)
{
	struct handover h;
	struct err err;

	(void)state;
	assert_false(handover_open(&h, "/nowhere/a.sock", &err));
	assert_string_equal(err.text,
		"could not make the socket \"/nowhere/a.sock\": No such file or directory");
	assert_int_equal(handover_give(&h, NULL, 0), 0);
	handover_close(&h);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/nudged-handover-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	/* longer than the address of a Unix socket */
	snprintf(deep, sizeof deep, "%s/%0150d", dir, 0);
	if (mkdir(deep, 0700) != 0)
		return -1;
	snprintf(path, sizeof path, "%s/a.sock", deep);
	snprintf(unix_path, sizeof unix_path, "%s/http", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(deep) == 0 ? rmdir(dir) : -1; /* fails when something was left in it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_who_waits_is_served_by_the_next, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_there_is_no_harm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_socket_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_place_that_is_not_there, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
