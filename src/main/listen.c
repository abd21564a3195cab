/* listen.c: two nudged on one address.
 *
 * An upgrade starts the new version beside the old one, and both serve the same sockets until the old one
 * ends (main/handover.h).  An address that the old one does not have, or does not hand over, is opened
 * beside it: SO_REUSEPORT.  But that alone would let two daemons with different configurations share a
 * port by mistake and each get half of the events.  So without --beside we first try to bind without
 * it, which fails when anybody has the address, and only then bind for good. */
#include "main/listen.h"

#include "base/log.h"
#include "base/mem.h"
#include "main/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3, LISTEN_FDS_MOST = 64 };

static const struct log_ctx listen_log = { .room = "listen" };

static void listen_add(struct listen *l, int fd)
{
	l->fds = xrealloc(l->fds, (l->n + 1) * sizeof *l->fds);
	l->fds[l->n++] = fd;
}

/* Takes what systemd gave us; true when it did. */
static bool listen_inherit(struct listen *l)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long n = fds ? strtol(fds, NULL, 10) : 0;
	bool mine = pid && strtol(pid, NULL, 10) == (long)getpid();

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!mine || n < 1 || n > LISTEN_FDS_MOST)
		return false;
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int)n; fd++) {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		listen_add(l, fd);
	}
	return true;
}

static bool listen_fail(const struct settings_address *a, int fd, struct err *err)
{
	int code = errno;

	if (fd >= 0)
		close(fd);
	err_set(err, "could not listen at %s: %s", a->text, strerror(code));
	if (code == EADDRINUSE)
		err_hint(err,
			"another program has it; change \"listen\" in section [nudged], or start "
			"with --beside if it is the nudged that this one shall replace");
	if (code == EADDRNOTAVAIL)
		err_hint(err, "this host does not have the address");
	return false;
}

static int listen_socket(const struct settings_address *a)
{
	int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd >= 0 && a->addr.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return fd;
}

/* Does anybody have the address? */
static bool listen_probe(const struct settings_address *a, struct err *err)
{
	int fd = listen_socket(a);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&a->addr, a->len) != 0 ||
		listen(fd, 1) != 0)
		return listen_fail(a, fd, err);
	close(fd);
	return true;
}

static bool listen_tcp(struct listen *l, const struct settings_address *a, int backlog, bool beside,
	struct err *err)
{
	int fd, on = 1;

	if (!beside && !listen_probe(a, err))
		return false;
	fd = listen_socket(a);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
		bind(fd, (const struct sockaddr *)&a->addr, a->len) != 0 ||
		listen(fd, backlog) != 0)
		return listen_fail(a, fd, err);
	listen_add(l, fd);
	return true;
}

/* Does somebody answer at the path? */
static bool listen_is_served(const char *path)
{
	int fd = unix_path_connect(path);

	if (fd < 0)
		return errno == EAGAIN;
	close(fd);
	return true;
}

/* Room for one more path that is ours. */
static struct unix_path *listen_new_path(struct listen *l)
{
	l->paths = xrealloc(l->paths, (l->npaths + 1) * sizeof *l->paths);
	return &l->paths[l->npaths];
}

static bool listen_unix(struct listen *l, const struct settings_address *a, int backlog,
	bool beside, struct err *err)
{
	int fd;

	if (!beside && listen_is_served(a->text)) {
		errno = EADDRINUSE;
		return listen_fail(a, -1, err);
	}
	fd = unix_path_listen(listen_new_path(l), a->text, 0666, backlog);
	if (fd < 0)
		return listen_fail(a, -1, err);
	l->npaths++;
	listen_add(l, fd);
	return true;
}

/* Does this socket listen at that address?  A Unix socket was bound at "path.pid" and renamed. */
static bool listen_is_at(int fd, const struct settings_address *a)
{
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} at = { 0 };
	socklen_t size = sizeof at;
	int listens = 0;
	socklen_t listens_size = sizeof listens;
	size_t n = strlen(a->text);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 || !listens ||
		getsockname(fd, &at.any, &size) != 0 || at.any.sa_family != a->addr.ss_family)
		return false;
	switch (at.any.sa_family) {
	case AF_UNIX:
		return strncmp(at.un.sun_path, a->text, n) == 0 &&
		       (at.un.sun_path[n] == '\0' || at.un.sun_path[n] == '.');
	case AF_INET: {
		const struct sockaddr_in *want = (const struct sockaddr_in *)&a->addr;

		return at.in.sin_port == want->sin_port &&
		       at.in.sin_addr.s_addr == want->sin_addr.s_addr;
	}
	case AF_INET6: {
		const struct sockaddr_in6 *want = (const struct sockaddr_in6 *)&a->addr;

		return at.in6.sin6_port == want->sin6_port &&
		       memcmp(&at.in6.sin6_addr, &want->sin6_addr, sizeof want->sin6_addr) == 0;
	}
	default: return false;
	}
}

/* Takes the socket of that address out of those that were handed over; false: there is none. */
static bool listen_take_over(
	struct listen *l, const struct settings_address *a, int backlog, int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] < 0 || !listen_is_at(fds[i], a))
			continue;
		if (a->addr.ss_family == AF_UNIX) {
			if (!unix_path_adopt(listen_new_path(l), a->text))
				return false; /* nobody would find it */
			l->npaths++;
		}
		(void)listen(fds[i], backlog); /* it listens; this is about how many may wait */
		listen_add(l, fds[i]);
		fds[i] = -1;
		return true;
	}
	return false;
}

bool listen_open(struct listen *l, const struct settings *s, bool beside, const char *handover,
	struct err *err)
{
	int fds[HANDOVER_MOST];
	size_t n, taken = 0;
	bool ok = true;

	*l = (struct listen){ 0 };
	if (listen_inherit(l))
		return true;
	n = beside ? handover_take(handover, fds) : 0;
	for (size_t i = 0; ok && i < s->nlisten; i++) {
		const struct settings_address *a = &s->listen[i];

		if (listen_take_over(l, a, s->http.backlog, fds, n))
			taken++;
		else
			ok = a->addr.ss_family == AF_UNIX
				     ? listen_unix(l, a, s->http.backlog, beside, err)
				     : listen_tcp(l, a, s->http.backlog, beside, err);
	}
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (n > 0)
		log_notice(&listen_log, "%zu of %zu sockets taken over from the daemon that runs",
			taken, s->nlisten);
	if (!ok)
		listen_close(l);
	return ok;
}

void listen_give_paths(struct listen *l)
{
	for (size_t i = 0; i < l->npaths; i++)
		unix_path_forget(&l->paths[i]);
	l->npaths = 0;
}

void listen_forget(struct listen *l)
{
	for (size_t i = 0; i < l->n; i++)
		close(l->fds[i]);
	listen_give_paths(l);
	free(l->fds);
	free(l->paths);
	*l = (struct listen){ 0 };
}

void listen_close(struct listen *l)
{
	for (size_t i = 0; i < l->npaths; i++)
		unix_path_remove(&l->paths[i]);
	listen_forget(l);
}
