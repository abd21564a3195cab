/*
 * dev_smtp.c: a poll loop over a few connections, one small state per connection.  Bodies are collected in memory
 * (at most 32 MiB), dots are unstuffed line by line, the file is written under another name and moved.
 */
#include "main/dev_smtp.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEV_SMTP_CONNS = 32, DEV_SMTP_BODY_MOST = 32 << 20, DEV_SMTP_LINE_MOST = 4096 };

struct dev_smtp_conn {
	int fd;        /* -1: free */
	struct buf in; /* bytes not yet read as lines */
	struct buf from, to, body;
	bool in_data, quit;
};

static const struct log_ctx dev_smtp_log = { .room = "catch-all" };
static volatile sig_atomic_t dev_smtp_stop;
static unsigned dev_smtp_number;

static void dev_smtp_on_term(int signo)
{
	(void)signo;
	dev_smtp_stop = 1;
}

static void dev_smtp_say(struct dev_smtp_conn *c, const char *line)
{
	char text[128];
	int n = snprintf(text, sizeof text, "%s\r\n", line);

	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		c->quit = true; /* a peer that does not read its answers */
}

/* Writes the whole text to the file and the disk. */
static bool dev_smtp_write(int fd, const struct buf *b)
{
	size_t at = 0;

	while (at < b->n) {
		ssize_t k = write(fd, b->p + at, b->n - at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		at += (size_t)k;
	}
	return fsync(fd) == 0;
}

/* Stores the message; the next free number is its name. */
static bool dev_smtp_store(struct dev_smtp_conn *c, const char *dir)
{
	char path[1200], part[1208];
	struct buf all = { 0 };
	bool ok;
	int fd;

	do
		snprintf(path, sizeof path, "%s/%06u.eml", dir, ++dev_smtp_number);
	while (access(path, F_OK) == 0);
	snprintf(part, sizeof part, "%s.part", path);
	buf_printf(&all, "X-Envelope-From: %.*s\r\nX-Envelope-To: %.*s\r\n", (int)c->from.n,
		c->from.n ? c->from.p : "", (int)c->to.n, c->to.n ? c->to.p : "");
	buf_add(&all, c->body.p, c->body.n);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ok = fd >= 0 && dev_smtp_write(fd, &all);
	if (fd >= 0)
		close(fd);
	ok = ok && rename(part, path) == 0;
	if (!ok)
		log_error(&dev_smtp_log, "could not store \"%s\": %s", path, strerror(errno));
	buf_free(&all);
	return ok;
}

/* The address between < and >. */
static void dev_smtp_address(struct buf *to, const char *line)
{
	const char *a = strchr(line, '<'), *e = a ? strchr(a, '>') : NULL;

	if (e == NULL)
		return;
	if (to->n)
		buf_str(to, ", ");
	buf_add(to, a + 1, (size_t)(e - a - 1));
}

static void dev_smtp_forget(struct dev_smtp_conn *c)
{
	buf_clear(&c->from);
	buf_clear(&c->to);
	buf_clear(&c->body);
	c->in_data = false;
}

static void dev_smtp_data_line(struct dev_smtp_conn *c, const char *line, const char *dir)
{
	if (strcmp(line, ".") == 0) {
		bool ok = dev_smtp_store(c, dir);

		dev_smtp_forget(c);
		dev_smtp_say(c, ok ? "250 stored" : "451 could not be stored");
		return;
	}
	if (c->body.n < DEV_SMTP_BODY_MOST) {
		buf_str(&c->body, *line == '.' ? line + 1 : line);
		buf_str(&c->body, "\r\n");
	}
}

static void dev_smtp_command(struct dev_smtp_conn *c, const char *line)
{
	if (strncasecmp(line, "EHLO", 4) == 0) {
		dev_smtp_say(c, "250-catch-all");
		dev_smtp_say(c, "250 8BITMIME");
	} else if (strncasecmp(line, "HELO", 4) == 0 || strncasecmp(line, "NOOP", 4) == 0) {
		dev_smtp_say(c, "250 ok");
	} else if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
		dev_smtp_forget(c);
		dev_smtp_address(&c->from, line);
		dev_smtp_say(c, "250 ok");
	} else if (strncasecmp(line, "RCPT TO:", 8) == 0) {
		dev_smtp_address(&c->to, line);
		dev_smtp_say(c, "250 ok");
	} else if (strcasecmp(line, "DATA") == 0) {
		c->in_data = c->to.n > 0;
		dev_smtp_say(c, c->in_data ? "354 go ahead" : "503 RCPT first");
	} else if (strcasecmp(line, "RSET") == 0) {
		dev_smtp_forget(c);
		dev_smtp_say(c, "250 ok");
	} else if (strcasecmp(line, "QUIT") == 0) {
		dev_smtp_say(c, "221 bye");
		c->quit = true;
	} else {
		dev_smtp_say(c, "502 unknown command");
	}
}

/* Every whole line of what was read. */
static void dev_smtp_lines(struct dev_smtp_conn *c, const char *dir)
{
	char *at = c->in.p, *end = c->in.p + c->in.n, *nl;

	while (!c->quit && (nl = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		*nl = '\0';
		if (nl > at && nl[-1] == '\r')
			nl[-1] = '\0';
		if (c->in_data)
			dev_smtp_data_line(c, at, dir);
		else
			dev_smtp_command(c, at);
		at = nl + 1;
	}
	memmove(c->in.p, at, (size_t)(end - at));
	c->in.n = (size_t)(end - at);
	if (c->in.n > DEV_SMTP_LINE_MOST)
		c->quit = true;
}

static void dev_smtp_close(struct dev_smtp_conn *c)
{
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->from);
	buf_free(&c->to);
	buf_free(&c->body);
	*c = (struct dev_smtp_conn){ .fd = -1 };
}

static void dev_smtp_read(struct dev_smtp_conn *c, const char *dir)
{
	char *at = buf_reserve(&c->in, 65536);
	ssize_t k = read(c->fd, at, 65536);

	if (k > 0) {
		c->in.n += (size_t)k;
		dev_smtp_lines(c, dir);
	}
	if (k == 0 || c->quit || (k < 0 && errno != EINTR && errno != EAGAIN))
		dev_smtp_close(c);
}

static void dev_smtp_accept(struct dev_smtp_conn *conns, int listen_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = 0; i < DEV_SMTP_CONNS; i++)
		if (conns[i].fd < 0) {
			conns[i].fd = fd;
			dev_smtp_say(&conns[i], "220 catch-all");
			return;
		}
	close(fd);
}

int dev_smtp_run(int listen_fd, const char *dir)
{
	struct dev_smtp_conn conns[DEV_SMTP_CONNS];
	struct pollfd fds[DEV_SMTP_CONNS + 1];
	struct sigaction sa = { .sa_handler = dev_smtp_on_term };

	sigaction(SIGTERM, &sa, NULL);
	for (int i = 0; i < DEV_SMTP_CONNS; i++)
		conns[i] = (struct dev_smtp_conn){ .fd = -1 };
	while (!dev_smtp_stop) {
		for (int i = 0; i < DEV_SMTP_CONNS; i++)
			fds[i] = (struct pollfd){ .fd = conns[i].fd, .events = POLLIN };
		fds[DEV_SMTP_CONNS] = (struct pollfd){ .fd = listen_fd, .events = POLLIN };
		if (poll(fds, DEV_SMTP_CONNS + 1, 1000) <= 0)
			continue;
		for (int i = 0; i < DEV_SMTP_CONNS; i++)
			if (conns[i].fd >= 0 && fds[i].revents != 0)
				dev_smtp_read(&conns[i], dir);
		if (fds[DEV_SMTP_CONNS].revents & POLLIN)
			dev_smtp_accept(conns, listen_fd);
	}
	for (int i = 0; i < DEV_SMTP_CONNS; i++)
		if (conns[i].fd >= 0)
			dev_smtp_close(&conns[i]);
	return 0;
}
