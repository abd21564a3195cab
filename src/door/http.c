/* http.c: the server: listeners, caps, life and death.
 *
 * Two doors and an antechamber: http_conn.c is about bytes and time, http_request.c about one request
 * and its answer, this file about who may come in.  libevent's evhttp is not used: it runs smuggled
 * requests, has no absolute deadlines and costs twice the CPU.
 *
 * Out of descriptors, a level-triggered listener would ring for ever; so we stop listening for half a
 * second, and give up a descriptor kept for the purpose to take one waiting client and close on him,
 * who then knows.  When all connections are taken, the one that has idled longest makes room.
 */
#include "door/http.h"

#include "base/log.h"
#include "base/mem.h"
#include "door/http_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HTTP_ACCEPTS_MOST = 64,       /* per turn and listener */
	HTTP_PAUSE_US = 500000,       /* no accepting after EMFILE */
	HTTP_YIELD_US = 2000,         /* clients are left to other processes for so long */
	HTTP_EVICT_AFTER_US = 1000000 /* who idles for less is left alone */
};

static const struct log_ctx http_log = { .room = "http" };

const char *http_refusal_name(enum http_refusal why)
{
	switch (why) {
	case HTTP_REFUSED_FRAME: return "frame";
	case HTTP_REFUSED_ROUTE: return "route";
	case HTTP_REFUSED_SIZE: return "size";
	case HTTP_REFUSED_HEAD_LATE: return "head_late";
	case HTTP_REFUSED_BODY_LATE: return "body_late";
	case HTTP_REFUSED_SEND_LATE: return "send_late";
	case HTTP_REFUSED_CONNECTIONS: return "connections";
	case HTTP_REFUSED_ADDRESS: return "address";
	case HTTP_REFUSED_FILES: return "files";
	case HTTP_REFUSALS: break;
	}
	return "?";
}

struct http_settings http_settings_default(void)
{
	return (struct http_settings){ .connections_most = 2000,
		.per_address_most = 50,
		.head_most = 16 << 10,
		.head_us = 5000000,
		.body_us = 15000000,
		.send_us = 10000000,
		.idle_us = 60000000 };
}

void http_apply(struct http *h, const struct http_settings *settings)
{
	h->set = *settings;
	if (h->set.head_most > HTTP_READ_MOST)
		h->set.head_most = HTTP_READ_MOST; /* the scratch buffer must hold it and a read */
}

/* ---- coming in ---- */

/* Starts or stops watching all listeners. */
static void http_watch_listeners(struct http *h, bool on)
{
	for (size_t i = 0; i < h->n_listeners; i++)
		loop_fd_watch(h->listeners[i], on ? LOOP_READ : 0);
}

/* The pause is over. */
static void http_on_resume(void *arg)
{
	struct http *h = arg;

	h->is_yielding = false;
	if (h->reserve_fd < 0)
		h->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	http_watch_listeners(h, !h->draining);
}

/* No descriptors: one client is told by closing on him, then we rest. */
static void http_out_of_files(struct http *h, int listen_fd, int why)
{
	int fd;

	h->stats.refused[HTTP_REFUSED_FILES]++;
	log_damped(LOG_LVL_ERROR, &http_log,
		"could not accept a connection: %s; accepting pauses for 500 ms", strerror(why));
	if (h->reserve_fd >= 0) {
		close(h->reserve_fd);
		fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		h->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	http_watch_listeners(h, false);
	loop_timer_in(h->resume, HTTP_PAUSE_US);
}

/* Turns a client away with an answer, as far as he can be told without waiting. */
static void http_turn_away(struct http *h, int fd, enum http_refusal why)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
				   "Content-Type: application/json\r\nContent-Length: 32\r\n"
				   "Retry-After: 1\r\nConnection: close\r\n\r\n"
				   "{\"error\":\"too many connections\"}";

	h->stats.refused[why]++;
	h->stats.answered[5]++;
	log_damped(LOG_LVL_WARNING, &http_log,
		"a connection was turned away: too many of them (%s)", http_refusal_name(why));
	if (send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug(&http_log, "could not tell a client why: %s", strerror(errno));
	close(fd);
}

/* Makes room when all connections are taken; false: nobody idles. */
static bool http_make_room(struct http *h)
{
	struct http_conn *c;

	if (h->stats.connections < h->set.connections_most)
		return true;
	c = TAILQ_FIRST(&h->reads[HTTP_WAIT_IDLE]);
	if (c == NULL ||
		c->read_due_us - h->set.idle_us + HTTP_EVICT_AFTER_US > loop_turn_us(h->loop))
		return false;
	http_conn_close(c);
	return true;
}

/* True for addresses that are not counted. */
static bool http_is_trusted(const struct http *h, const unsigned char address[16])
{
	if (!h->set.count_loopback && peers_is_loopback(address))
		return true;
	for (size_t i = 0; i < h->set.n_trusted; i++)
		if (peers_is_in(address, &h->set.trusted[i]))
			return true;
	return false;
}

/* Lets a client in, or turns him away. */
static void http_welcome(struct http *h, int fd, const struct sockaddr_storage *from)
{
	unsigned char address[16];
	struct peer *peer = NULL;
	int one = 1;

	peers_address(from, address);
	if (!http_is_trusted(h, address)) {
		peer = peers_take(h->peers, address, h->set.per_address_most);
		if (peer == NULL) {
			http_turn_away(h, fd, HTTP_REFUSED_ADDRESS);
			return;
		}
	}
	if (!http_make_room(h)) {
		peers_give_back(h->peers, peer);
		http_turn_away(h, fd, HTTP_REFUSED_CONNECTIONS);
		return;
	}
	/* fails on a Unix socket, where there is nothing to switch off */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	http_conn_open(h, fd, address, peer);
}

/* With so many connections one more may be taken, as the others stand.  The kernel wakes all processes, and without this
 * the quickest would take all clients who come at once: one engine would do everything and the others nothing. */
static uint64_t http_fair(const struct http *h)
{
	uint64_t fewest = UINT64_MAX / 2;

	for (size_t i = 0; i < h->n_others; i++)
		if (__atomic_load_n(h->others[i], __ATOMIC_RELAXED) < fewest)
			fewest = __atomic_load_n(h->others[i], __ATOMIC_RELAXED);
	return fewest + 1 + fewest / 8;
}

static void http_yield(struct http *h)
{
	h->is_yielding = true;
	h->grace = h->next_grace;
	if (h->next_grace < HTTP_ACCEPTS_MOST)
		h->next_grace *= 2;
	http_watch_listeners(h, false);
	loop_timer_in(h->resume, HTTP_YIELD_US);
}

void http_count(struct http *h, int more)
{
	h->stats.connections += (unsigned)more;
	if (h->own != NULL)
		__atomic_store_n(h->own, h->stats.connections, __ATOMIC_RELAXED);
	if (more < 0 && h->is_yielding && h->stats.connections <= http_fair(h))
		loop_timer_in(h->resume, 0); /* the others may yield to this one now */
}

void http_share(struct http *h, uint64_t *own, const uint64_t *const *others, size_t n_others)
{
	h->own = own;
	h->others = others;
	h->n_others = n_others;
}

/* Clients are waiting at a listener. */
static void http_on_clients(void *arg, int listen_fd, unsigned what)
{
	struct http *h = arg;

	(void)what;
	for (int i = 0; i < HTTP_ACCEPTS_MOST; i++) {
		if (h->grace == 0 && h->stats.connections > http_fair(h)) {
			http_yield(h);
			return;
		}
		h->grace -= h->grace > 0;

		struct sockaddr_storage from = { 0 };
		socklen_t size = sizeof from;
		int fd = accept4(
			listen_fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			http_welcome(h, fd, &from);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			http_out_of_files(h, listen_fd, errno);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			h->grace = 0;
			h->next_grace = 1;
			return; /* nobody is left, or another process was quicker */
		}
	}
}

bool http_listen(struct http *h, int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (h->n_listeners == HTTP_LISTENERS_MOST)
		return err_set(err, "an HTTP server can not have more than %d sockets",
			HTTP_LISTENERS_MOST);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_set(err, "could not listen for HTTP: %s", strerror(errno));
	h->listen_fds[h->n_listeners] = fd;
	h->listeners[h->n_listeners] = loop_fd_open(h->loop, fd, http_on_clients, h);
	loop_fd_watch(h->listeners[h->n_listeners++], LOOP_READ);
	return true;
}

/* ---- life ---- */

struct http *http_open(struct loop *loop, const struct http_settings *settings)
{
	struct http *h = xcalloc(1, sizeof *h);

	h->loop = loop;
	http_apply(h, settings);
	h->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	h->resume = loop_timer_open(loop, http_on_resume, h);
	h->tick = loop_timer_open(loop, http_conns_expire, h);
	h->next = loop_timer_open(loop, http_conns_go_on, h);
	h->peers = peers_new();
	h->date_s = -1;
	h->next_grace = 1;
	TAILQ_INIT(&h->conns);
	TAILQ_INIT(&h->dirty);
	TAILQ_INIT(&h->sends);
	TAILQ_INIT(&h->queue);
	for (int i = 0; i < HTTP_WAIT_READS; i++)
		TAILQ_INIT(&h->reads[i]);
	return h;
}

void http_add_routes(struct http *h, const struct http_route *routes, size_t n, void *arg)
{
	h->tables = mem_grow(h->tables, h->n_tables, &h->cap_tables, sizeof *h->tables);
	h->tables[h->n_tables++] = (struct http_table){ routes, n, arg };
}

/* Lets go of the listening sockets. */
static void http_close_listeners(struct http *h)
{
	loop_timer_stop(h->resume);
	while (h->n_listeners > 0) {
		h->n_listeners--;
		loop_fd_close(h->listeners[h->n_listeners]);
		close(h->listen_fds[h->n_listeners]);
	}
}

void http_drain(struct http *h, void (*fn)(void *arg), void *arg)
{
	h->draining = true;
	h->drained = fn;
	h->drained_arg = arg;
	http_close_listeners(h);
	http_conns_drain(h);
}

/* Frees the memory, when nobody can point to it any more. */
static void http_free(void *arg)
{
	struct http *h = arg;

	peers_free(h->peers);
	free(h->tables);
	free(h);
}

void http_unref(struct http *h)
{
	if (h->closed && h->n_reqs == 0)
		loop_defer_free(h->loop, h, http_free);
}

void http_close(struct http *h)
{
	struct http_conn *c;

	if (h == NULL)
		return;
	h->drained = NULL;
	http_close_listeners(h);
	while ((c = TAILQ_FIRST(&h->conns)) != NULL)
		http_conn_close(c);
	loop_timer_close(h->resume);
	loop_timer_close(h->tick);
	loop_timer_close(h->next);
	loop_forget_turn_end(h->loop, http_conns_flush, h);
	if (h->reserve_fd >= 0)
		close(h->reserve_fd);
	h->closed = true;
	http_unref(h);
}

const struct http_stats *http_stats(const struct http *h)
{
	return &h->stats;
}
