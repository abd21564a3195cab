/* deadline.c: setitimer, SIGALRM and shutdown(2), all of them fit for signal handlers.
 *
 * The timer repeats each second once it fired: a signal that comes between a check and the blocking
 * call is lost, and connect(2) to the next address of the same host begins anew.
 */
#include "courier/deadline.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile sig_atomic_t deadline_fd = -1;
static volatile sig_atomic_t deadline_is_set;
static volatile sig_atomic_t deadline_is_over;
static volatile sig_atomic_t deadline_most_s; /* in a hurry: none is longer; 0: we are not */

static void deadline_on_alarm(int sig)
{
	int saved = errno;

	(void)sig;
	if (deadline_is_set) {
		deadline_is_over = 1;
		if (deadline_fd >= 0)
			shutdown(deadline_fd, SHUT_RDWR);
	}
	errno = saved;
}

/* (Re)starts the timer; 0 stops it. */
static void deadline_timer(int64_t in_us)
{
	struct itimerval t = { { in_us > 0, 0 },
		{ (time_t)(in_us / 1000000), (suseconds_t)(in_us % 1000000) } };

	setitimer(ITIMER_REAL, &t, NULL);
}

void deadline_open(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = deadline_on_alarm;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGALRM, &sa, NULL);
}

void deadline_set(int fd, int64_t in_us)
{
	deadline_fd = fd;
	deadline_is_over = 0;
	deadline_is_set = 1;
	if (deadline_most_s > 0 && in_us > (int64_t)deadline_most_s * 1000000)
		in_us = (int64_t)deadline_most_s * 1000000;
	deadline_timer(in_us > 1000 ? in_us : 1000);
}

void deadline_name(int fd)
{
	deadline_fd = fd;
}

bool deadline_clear(void)
{
	deadline_is_set = 0;
	deadline_fd = -1;
	deadline_timer(0);
	return deadline_is_over != 0;
}

void deadline_hurry(unsigned in_s)
{
	struct itimerval t;

	deadline_most_s = (sig_atomic_t)in_s;
	if (!deadline_is_set || getitimer(ITIMER_REAL, &t) < 0)
		return;
	if (t.it_value.tv_sec >= (time_t)in_s)
		deadline_timer((int64_t)in_s * 1000000);
}
