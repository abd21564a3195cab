/* notify.c: one datagram per message.  Debian 12 has systemd 252, which knows no Type=notify-reload:
 * the unit says Type=notify and ExecReload=kill -HUP, and RELOADING / READY work with both. */
#include "base/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void notify_open(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");

	*n = (struct notify){ .fd = -1 };
	if (usec && (pid == NULL || strtol(pid, NULL, 10) == (long)getpid()))
		n->watchdog_us = strtoll(usec, NULL, 10);
	if (path && (*path == '/' || *path == '@') && strlen(path) < sizeof n->path) {
		memcpy(n->path, path, strlen(path) + 1);
		n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *n, const char *fmt, ...)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(n->path);
	char text[2048];
	va_list ap;

	if (n->fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	memcpy(to.sun_path, n->path, len);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

void notify_reloading(const struct notify *n)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}
