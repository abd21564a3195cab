/* handover.c: one message with a byte nobody reads, and the sockets as its luggage.
 *
 * SO_REUSEPORT alone was not enough: each socket has a queue of its own, and closing one resets all who
 * wait there (each upgrade under load lost a connection or two).  pidfd_getfd(2) would need no words at
 * all, but the right to trace a process, which a hardened service does not have.
 *
 * The parent looks whether somebody has asked at each of its ticks; it needs no loop for that. */
#include "main/handover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HANDOVER_BACKLOG = 4, HANDOVER_WAIT_MS = 3000 };

/* Room for the luggage, aligned as the kernel wants it. */
union handover_luggage {
	char room[CMSG_SPACE(HANDOVER_MOST * sizeof(int))];
	struct cmsghdr align;
};

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
	h->fd = unix_path_listen(&h->path, path, 0600, HANDOVER_BACKLOG);
	if (h->fd < 0)
		err_set(err, "could not make the socket \"%s\": %s", path, strerror(errno));
	return h->fd >= 0;
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
	struct cmsghdr *c;
	size_t n = 0;
	struct pollfd ready = { .fd = unix_path_connect(path), .events = POLLIN };
	int fd = ready.fd;

	if (fd < 0)
		return 0;
	if (handover_trusts(fd) && poll(&ready, 1, HANDOVER_WAIT_MS) == 1 &&
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
	unix_path_forget(&h->path);
}

void handover_close(struct handover *h)
{
	unix_path_remove(&h->path);
	handover_forget(h);
}
