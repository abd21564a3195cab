/* handover.c: one message with a byte nobody reads, and the sockets as its luggage.
 *
 * SO_REUSEPORT alone was not enough: each socket has a queue of its own, and closing one resets all who
 * wait there (each upgrade under load lost a connection or two).  pidfd_getfd(2) would need no words at
 * all, but the right to trace a process, which a hardened service does not have.
 *
 * The parent looks whether somebody has asked at each of its ticks; it needs no loop for that. */
#include "main/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { HANDOVER_BACKLOG = 4, HANDOVER_WAIT_S = 3 };

/* Room for the luggage, aligned as the kernel wants it. */
union handover_luggage {
	char room[CMSG_SPACE(HANDOVER_MOST * sizeof(int))];
	struct cmsghdr align;
};

/* bind or connect, at a path that may be longer than an address has room for: by way of its directory. */
static bool handover_at(int fd, const char *path,
	int (*call)(int fd, const struct sockaddr *address, socklen_t size))
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char above[PATH_MAX];
	const char *name = strrchr(path, '/');
	int dir, n;
	bool ok;

	if (name == NULL || strlen(path) >= sizeof above) {
		errno = EINVAL;
		return false;
	}
	memcpy(above, path, strlen(path) + 1);
	above[name + 1 - path] = '\0';
	dir = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	n = snprintf(un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d%s", dir, name);
	if (n >= (int)sizeof un.sun_path)
		errno = ENAMETOOLONG;
	ok = n < (int)sizeof un.sun_path && call(fd, (const struct sockaddr *)&un, sizeof un) == 0;
	close(dir);
	return ok;
}

/* Is at the other end somebody who could do as he likes with us anyway? */
static bool handover_trusts(int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

bool handover_open(struct handover *h, const char *path, struct err *err)
{
	struct stat st;
	char own[PATH_MAX + 16]; /* bound there, then renamed: nobody finds half of it */

	snprintf(h->path, sizeof h->path, "%s", path);
	snprintf(own, sizeof own, "%s.%d", path, (int)getpid());
	unlink(own);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0 || !handover_at(h->fd, own, bind) || chmod(own, 0600) != 0 ||
		listen(h->fd, HANDOVER_BACKLOG) != 0 || stat(own, &st) != 0 ||
		rename(own, path) != 0) {
		err_set(err, "could not make the socket \"%s\": %s", path, strerror(errno));
		unlink(own);
		handover_forget(h);
		return false;
	}
	h->inode = st.st_ino;
	return true;
}

/* Sends them all in one message. */
static bool handover_send(int to, const int *fds, size_t n)
{
	union handover_luggage luggage = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		struct cmsghdr *c = &luggage.align;

		msg.msg_control = luggage.room;
		msg.msg_controllen = CMSG_SPACE(n * sizeof *fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof *fds);
		memcpy(CMSG_DATA(c), fds, n * sizeof *fds);
	}
	return sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

size_t handover_give(struct handover *h, const int *fds, size_t n)
{
	size_t given = 0;

	if (n > HANDOVER_MOST)
		n = HANDOVER_MOST;
	for (int i = 0; h->fd >= 0 && i < HANDOVER_BACKLOG; i++) {
		int to = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (to < 0)
			break;
		given += handover_trusts(to) && handover_send(to, fds, n);
		close(to);
	}
	return given;
}

size_t handover_take(const char *path, int ret_fds[HANDOVER_MOST])
{
	union handover_luggage luggage = { 0 };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = luggage.room,
		.msg_controllen = sizeof luggage.room };
	struct timeval wait = { HANDOVER_WAIT_S, 0 };
	struct cmsghdr *c;
	size_t n = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
		handover_at(fd, path, connect) && handover_trusts(fd) &&
		recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) == 1 && (c = CMSG_FIRSTHDR(&msg)) != NULL &&
		c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof *ret_fds;
		memcpy(ret_fds, CMSG_DATA(c), n * sizeof *ret_fds);
	}
	close(fd);
	return n;
}

void handover_forget(struct handover *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

void handover_close(struct handover *h)
{
	struct stat st;

	if (h->fd >= 0 && lstat(h->path, &st) == 0 && st.st_ino == h->inode)
		unlink(h->path);
	handover_forget(h);
}
