/* proc.c: PR_SET_PDEATHSIG is armed after fork, so a parent that died in between is looked for by hand.
 * A child never execs: names, descriptors and memory are all that has to be put in order. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Gives the new process signals as at the start of a program. */
static void proc_reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < SIGRTMIN; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t proc_fork(const char *name)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	proc_reset_signals();
	proc_set_name(name);
	return 0;
}

void proc_set_name(const char *name)
{
	prctl(PR_SET_NAME, name);
}

bool proc_pipe(int ret_fds[2], struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_set(err, "could not make a pipe: %s", strerror(errno));
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return true;
}

void *proc_share(size_t n, struct err *err)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		err_set(err, "could not share %zu bytes of memory: %s", n, strerror(errno));
		return NULL;
	}
	return p;
}

void proc_drain_pipe(int fd)
{
	char buf[512];

	while (read(fd, buf, sizeof buf) == (ssize_t)sizeof buf)
		;
}

const char *proc_end_text(int status)
{
	static char text[80];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
	return text;
}
