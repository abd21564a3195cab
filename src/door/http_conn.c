/* http_conn.c: connections: reading, deadlines, and writing at the end of the turn.
 *
 * All connections read into one scratch buffer and understand it there; what is left over (a piece of
 * a head) is kept in the connection's own buffer, and a body whose length is known is read directly
 * into its request.  So an idle connection has no buffers at all: ten thousand of them cost some
 * hundred bytes each.  Direct read and write: libevent's buffered sockets cost a quarter more CPU.
 *
 * Deadlines are absolute, not "since the last byte": a byte now and then keeps nobody alive.  All
 * connections that wait for the same thing have the same patience, so each list is ordered by itself,
 * and one timer serves all.  A client that does not read is given send_us for everything that was
 * queued when it stopped, and then again; so a long answer over a slow line is only cut when it is
 * really slow, and single bytes do not help.
 *
 * Nobody has the process for himself: a connection has half a millisecond at a go, all together have
 * five in a turn of the loop; who has more stands in a queue for the next.  Sixty kilobytes of tiny
 * requests from some hundred clients would hold up timers and the database's answers for seconds.
 *
 * A refusal whose body was not read ends with a ceremony (RFC 9112 9.6): send, shut our side, read and
 * forget for a second, at most HTTP_LINGER_MOST bytes, close; else the kernel's reset would destroy the refusal on its way.
 */
#include "door/http_conn.h"

#include "base/failpoint.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- deadlines ---- */

/* Has the timer ring at due_us at the latest. */
static void conn_arm(struct http *h, int64_t due_us)
{
	if (loop_timer_is_armed(h->tick) && h->tick_us <= due_us)
		return;
	h->tick_us = due_us;
	loop_timer_at(h->tick, due_us);
}

/* How long a connection may wait for that. */
static int64_t conn_patience(const struct http *h, enum http_wait wait)
{
	switch (wait) {
	case HTTP_WAIT_HEAD: return h->set.head_us;
	case HTTP_WAIT_BODY: return h->set.body_us;
	case HTTP_WAIT_IDLE: return h->set.idle_us;
	case HTTP_WAIT_SEND: return h->set.send_us;
	case HTTP_WAIT_LINGER:
	case HTTP_WAITS:
	case HTTP_WAIT_NONE: break;
	}
	return HTTP_LINGER_US;
}

/* Waits for something from the client; the same as before keeps its deadline. */
static void conn_wait(struct http_conn *c, enum http_wait wait)
{
	struct http *h = c->http;

	if (c->wait == wait)
		return;
	if (c->wait != HTTP_WAIT_NONE)
		TAILQ_REMOVE(&h->reads[c->wait], c, read_link);
	c->wait = wait;
	if (wait == HTTP_WAIT_NONE)
		return;
	c->read_due_us = loop_turn_us(h->loop) + conn_patience(h, wait);
	TAILQ_INSERT_TAIL(&h->reads[wait], c, read_link);
	conn_arm(h, c->read_due_us);
}

/* What is to be sent and was not taken by the kernel yet. */
static size_t conn_pending(const struct http_conn *c)
{
	return c->out.n - c->out_at;
}

/* Waits for the client to read, or for nothing any more. */
static void conn_wait_send(struct http_conn *c, bool blocked)
{
	struct http *h = c->http;

	if (blocked && c->is_blocked && c->sent < c->send_mark)
		return;
	if (c->is_blocked)
		TAILQ_REMOVE(&h->sends, c, send_link);
	c->is_blocked = blocked;
	if (!blocked)
		return;
	c->send_mark = c->sent + conn_pending(c);
	c->send_due_us = loop_turn_us(h->loop) + h->set.send_us;
	TAILQ_INSERT_TAIL(&h->sends, c, send_link);
	conn_arm(h, c->send_due_us);
}

/* ---- what it does next ---- */

/* True when it has enough unanswered or unread to wait before taking more. */
static bool conn_is_full(const struct http_conn *c)
{
	return c->n_reqs >= HTTP_PIPELINE_MOST || c->held >= HTTP_HELD_MOST ||
	       conn_pending(c) >= HTTP_OUT_MOST;
}

/* True when this turn has done enough of this. */
static bool conns_are_spent(const struct http *h)
{
	return h->spent_us >= HTTP_TURN_US;
}

/* Leaves what it has, or what can be read from it, to a later turn. */
static void conn_queue(struct http_conn *c)
{
	struct http *h = c->http;

	if (c->is_queued)
		return;
	c->is_queued = true;
	TAILQ_INSERT_TAIL(&h->queue, c, queue_link);
	loop_at_turn_end(h->loop, LOOP_WRITE_OUT, http_conns_flush, h);
}

bool http_conn_is_idle(const struct http_conn *c)
{
	return c->wait == HTTP_WAIT_IDLE;
}

/* True when nothing more is to be read from it. */
static bool conn_is_deaf(const struct http_conn *c)
{
	if (c->is_lingering)
		return c->lingered >= HTTP_LINGER_MOST;
	return c->eof || (c->no_more && c->body == HTTP_BODY_NONE);
}

/* Sets what to watch and which deadline runs, from the state it is in. */
static void conn_rest(struct http_conn *c)
{
	bool reads = !conn_is_deaf(c) && !c->is_paused;

	if (c->is_dead)
		return;
	/* one that stands in the queue is watched, too: to be told in vain is cheaper than two calls of epoll_ctl */
	loop_fd_watch(c->watch, (reads ? LOOP_READ : 0) | (c->is_blocked ? LOOP_WRITE : 0));
	if (c->is_lingering)
		conn_wait(c, HTTP_WAIT_LINGER);
	else if (!reads)
		conn_wait(c, HTTP_WAIT_NONE);
	else if (c->body != HTTP_BODY_NONE)
		conn_wait(c, HTTP_WAIT_BODY);
	else if (c->in.n > 0)
		conn_wait(c, HTTP_WAIT_HEAD);
	else if (c->n_reqs > 0 || conn_pending(c) > 0)
		conn_wait(c, HTTP_WAIT_NONE);
	else
		conn_wait(c, HTTP_WAIT_IDLE);
}

void http_conn_touch(struct http_conn *c)
{
	if (c->is_dirty || c->is_dead)
		return;
	c->is_dirty = true;
	TAILQ_INSERT_TAIL(&c->http->dirty, c, dirty_link);
	loop_at_turn_end(c->http->loop, LOOP_WRITE_OUT, http_conns_flush, c->http);
}

/* The handlers' requests live on without it; the rest is freed. */
static void conn_drop_requests(struct http_conn *c)
{
	struct http_req *r, *next;

	for (r = TAILQ_FIRST(&c->reqs); r != NULL; r = next) {
		next = TAILQ_NEXT(r, link);
		if (r->is_answered || !r->is_handed) {
			http_req_free(r);
		} else {
			TAILQ_REMOVE(&c->reqs, r, link);
			r->conn = NULL;
		}
	}
}

void http_conn_close(struct http_conn *c)
{
	struct http *h = c->http;

	if (c->is_dead)
		return;
	conn_wait(c, HTTP_WAIT_NONE);
	conn_wait_send(c, false);
	c->is_dead = true;
	loop_fd_close(c->watch);
	close(c->fd);
	if (c->is_dirty)
		TAILQ_REMOVE(&h->dirty, c, dirty_link);
	if (c->is_queued)
		TAILQ_REMOVE(&h->queue, c, queue_link);
	TAILQ_REMOVE(&h->conns, c, link);
	conn_drop_requests(c);
	buf_free(&c->in);
	buf_free(&c->out);
	peers_give_back(h->peers, c->peer);
	http_count(h, -1);
	if (h->draining)
		loop_at_turn_end(h->loop, LOOP_WRITE_OUT, http_conns_flush, h);
	loop_defer_free(h->loop, c, free);
}

void http_conn_fail(struct http_conn *c, int status, const char *why)
{
	struct http_req *r = c->body_of;
	bool skipping = c->body != HTTP_BODY_NONE && r == NULL;

	c->body = HTTP_BODY_NONE;
	c->body_of = NULL;
	c->no_more = c->linger = true;
	buf_free(&c->in);
	if (skipping) { /* that request has its answer already */
		http_conn_touch(c);
		return;
	}
	if (r == NULL)
		r = http_req_new(c, NULL, NULL, 0, 0);
	http_refuse(&r->pub, status, why, NULL, NULL);
}

/* ---- understanding what was read ---- */

/* The body is whole, or what was to be thrown away is. */
static void conn_end_body(struct http_conn *c)
{
	struct http_req *r = c->body_of;

	c->body = HTTP_BODY_NONE;
	c->body_of = NULL;
	conn_wait(c, HTTP_WAIT_NONE);
	if (r != NULL)
		http_req_handle(r);
	else
		http_conn_touch(
			c); /* its answer may have left already, and nothing else be awaited */
}

/* A request's body is longer than its route allows. */
static void conn_body_too_large(struct http_conn *c)
{
	c->http->stats.refused[HTTP_REFUSED_SIZE]++;
	http_conn_fail(c, 413, "the body is too large");
}

/* Counts bytes of body that the request now holds. */
static void conn_hold(struct http_conn *c, size_t n)
{
	c->body_of->weight += n;
	c->held += n;
}

/* Takes chunks; returns how many bytes it used. */
static size_t conn_take_chunks(struct http_conn *c, const char *p, size_t n)
{
	size_t most = c->body_of->pub.route->body_most, used;
	struct http_fault fault;
	struct span piece;
	enum http_result got = http_chunked_read(&c->chunks, p, n, &used, &piece, &fault);

	if (got == HTTP_BAD) {
		c->http->stats.refused[HTTP_REFUSED_FRAME]++;
		http_conn_fail(c, fault.status, fault.why);
		return n;
	}
	if (c->body_of->body.n + piece.n + c->chunks.left > most) {
		conn_body_too_large(c);
		return n;
	}
	buf_span(&c->body_of->body, piece);
	conn_hold(c, piece.n);
	if (got == HTTP_DONE)
		conn_end_body(c);
	return used;
}

/* Takes bytes of a body with a length, or throws them away. */
static size_t conn_take_length(struct http_conn *c, const char *p, size_t n)
{
	size_t k = n < c->body_left ? n : (size_t)c->body_left;

	if (c->body_of != NULL) {
		buf_add(&c->body_of->body, p, k);
		conn_hold(c, k);
	}
	c->body_left -= k;
	if (c->body_left == 0)
		conn_end_body(c);
	return k;
}

/* Makes a request of a head of len bytes with `more` bytes behind it; returns what was used. */
static size_t conn_begin(struct http_conn *c, const char *p, size_t len, size_t more)
{
	struct http_head *head = &c->http->head;
	size_t inside = !head->chunked && head->length <= more ? (size_t)head->length : 0;
	bool whole = !head->chunked && inside == head->length;
	struct http_req *r;
	struct span body;
	bool admitted;

	c->no_more = head->close || c->http->draining;
	c->linger |= c->http->draining && !head->close;
	r = http_req_new(c, head, p, len, inside);
	body = r->pub.body;
	r->pub.body.n = 0;
	r->is_held = true;
	admitted = http_req_admit(r, head);
	r->is_held = false;
	if (!admitted && r->must_close)
		return len + more;
	if (whole) {
		r->pub.body = body;
		if (admitted)
			http_req_handle(r);
		return len + inside;
	}
	c->body = head->chunked ? HTTP_BODY_CHUNKED : HTTP_BODY_LENGTH;
	c->body_of = admitted ? r : NULL;
	c->body_left = head->length;
	c->chunks = (struct http_chunked){ 0 };
	conn_wait(c, HTTP_WAIT_BODY);
	return len;
}

/* Takes a head when it is whole; 0: it is not. */
static size_t conn_take_head(struct http_conn *c, const char *p, size_t n)
{
	struct http *h = c->http;
	struct http_fault fault;
	enum http_result got;
	size_t len;

	got = http_head_scan(p, n, &c->scan_at, h->set.head_most, &len, &fault);
	if (got == HTTP_MORE)
		return 0;
	c->scan_at = 0;
	if (got == HTTP_BAD || !http_head_read(&h->head, p, len, &fault)) {
		h->stats.refused[HTTP_REFUSED_FRAME]++;
		http_conn_fail(c, fault.status, fault.why);
		return n;
	}
	conn_wait(c, HTTP_WAIT_NONE);
	return conn_begin(c, p, len, n - len);
}

/* Takes all that can be understood of n bytes in the scratch buffer and keeps the rest. */
static void conn_take(struct http_conn *c, const char *p, size_t n)
{
	int64_t since_us = loop_now_us();
	size_t at = 0, used;

	while (at < n && !c->is_dead && !conn_is_deaf(c)) {
		if (c->body == HTTP_BODY_NONE) {
			c->is_paused = conn_is_full(c);
			if (c->is_paused)
				break;
			if (at > 0 && loop_now_us() - since_us > HTTP_GO_US) {
				conn_queue(c);
				break;
			}
			used = conn_take_head(c, p + at, n - at);
		} else if (c->body == HTTP_BODY_CHUNKED) {
			used = conn_take_chunks(c, p + at, n - at);
		} else {
			used = conn_take_length(c, p + at, n - at);
		}
		if (used == 0)
			break;
		at += used;
	}
	buf_clear(&c->in);
	if (c->is_dead || conn_is_deaf(c) || at >= n)
		buf_free(&c->in);
	else
		buf_add(&c->in, p + at, n - at);
	conn_rest(c);
}

/* The client has sent all it will; it may still be reading. */
static void conn_end_of_input(struct http_conn *c)
{
	c->eof = c->no_more = true;
	buf_free(&c->in);
	if (c->body_of != NULL)
		http_req_free(c->body_of);
	c->body_of = NULL;
	c->body = HTTP_BODY_NONE;
	if (c->is_lingering || (c->n_reqs == 0 && conn_pending(c) == 0))
		http_conn_close(c);
	else
		conn_rest(c);
}

/* One read; false when there was nothing, or the end. */
static bool conn_read_into(struct http_conn *c, char *p, size_t n, size_t *ret_n)
{
	ssize_t k = read(c->fd, p, n);

	if (k > 0) {
		c->http->stats.bytes_in += (uint64_t)k;
		*ret_n = (size_t)k;
		return true;
	}
	if (k == 0)
		conn_end_of_input(c);
	else if (errno != EAGAIN && errno != EINTR)
		http_conn_close(c);
	return false;
}

/* Reads the rest of a long body to where it is wanted. */
static void conn_read_body(struct http_conn *c)
{
	struct buf *body = &c->body_of->body;
	size_t room = body->n > HTTP_READ_MOST ? body->n : HTTP_READ_MOST, n;

	if (room > c->body_left)
		room = (size_t)c->body_left;
	if (!conn_read_into(c, buf_reserve(body, room), room, &n))
		return;
	body->n += n;
	body->p[body->n] = '\0';
	conn_hold(c, n);
	c->body_left -= n;
	if (c->body_left == 0)
		conn_end_body(c);
	conn_rest(c);
}

/* Reads what there is, as far as it can be taken now. */
static void conn_read_some(struct http_conn *c)
{
	char *scratch = c->http->scratch;
	size_t before = c->in.n, n;

	if (c->body == HTTP_BODY_LENGTH && c->body_of != NULL && before == 0) {
		conn_read_body(c);
		return;
	}
	if (!conn_read_into(c, scratch + before, HTTP_READ_MOST, &n))
		return;
	if (c->is_lingering) {
		c->lingered += n;
		conn_rest(c);
		return;
	}
	if (before > 0)
		memcpy(scratch, c->in.p, before);
	conn_take(c, scratch, before + n);
}

/* Reads what there is; the time counts. */
static void conn_read(struct http_conn *c)
{
	int64_t since_us = loop_now_us();

	conn_read_some(c);
	c->http->spent_us += loop_now_us() - since_us;
}

/* Goes on with what was read before it was stopped. */
static void conn_resume(struct http_conn *c)
{
	int64_t since_us = loop_now_us();
	size_t n = c->in.n;

	c->is_paused = false;
	if (n > 0)
		memcpy(c->http->scratch, c->in.p, n);
	conn_take(c, c->http->scratch, n);
	c->http->spent_us += loop_now_us() - since_us;
}

/* It stands in the queue and has its turn. */
static void conn_go_on(struct http_conn *c)
{
	TAILQ_REMOVE(&c->http->queue, c, queue_link);
	c->is_queued = false;
	if (c->is_unread) {
		c->is_unread = false;
		conn_read(c);
	} else {
		conn_resume(c);
	}
	conn_rest(c);
}

void http_conns_go_on(void *arg)
{
	struct http *h = arg;
	struct http_conn *c;

	while (!conns_are_spent(h) && (c = TAILQ_FIRST(&h->queue)) != NULL)
		conn_go_on(c);
	loop_at_turn_end(h->loop, LOOP_WRITE_OUT, http_conns_flush, h);
}

/* ---- writing ---- */

/* Sends what there is; false when the connection is no more. */
static bool conn_send(struct http_conn *c)
{
	ssize_t k = send(c->fd, c->out.p + c->out_at, conn_pending(c), MSG_NOSIGNAL);

	if (k < 0 && errno != EAGAIN && errno != EINTR) {
		http_conn_close(c);
		return false;
	}
	if (k > 0) {
		c->out_at += (size_t)k;
		c->sent += (uint64_t)k;
		c->http->stats.bytes_out += (uint64_t)k;
	}
	if (conn_pending(c) == 0) {
		buf_free(&c->out);
		c->out_at = 0;
	} else if (c->out_at > HTTP_OUT_MOST) {
		memmove(c->out.p, c->out.p + c->out_at, conn_pending(c));
		c->out.n -= c->out_at;
		c->out_at = 0;
	}
	conn_wait_send(c, conn_pending(c) > 0);
	return true;
}

/* All is said: closes, or lets the client finish reading first. */
static void conn_finish(struct http_conn *c)
{
	if (!c->linger || c->eof || shutdown(c->fd, SHUT_WR) != 0) {
		http_conn_close(c);
		return;
	}
	c->is_lingering = true;
	conn_rest(c);
}

/* Sends the answers that are due and decides how it goes on. */
static void conn_flush(struct http_conn *c)
{
	struct http_req *r;

	while ((r = TAILQ_FIRST(&c->reqs)) != NULL && r->is_answered) {
		if (conn_pending(c) == 0) { /* the buffer itself moves */
			buf_free(&c->out);
			c->out = r->answer;
			c->out_at = 0;
			r->answer = (struct buf){ 0 };
		} else {
			buf_span(&c->out, buf_as_span(&r->answer));
		}
		http_req_free(r);
	}
	if (conn_pending(c) > 0 && !conn_send(c))
		return;
	if (c->is_paused && !conn_is_full(c) && conns_are_spent(c->http))
		conn_queue(c);
	if (c->no_more && c->n_reqs == 0 && conn_pending(c) == 0 && c->body == HTTP_BODY_NONE)
		conn_finish(c);
	else if (c->is_paused && !conn_is_full(c) && !conns_are_spent(c->http))
		conn_resume(c);
	else
		conn_rest(c);
}

/* Draining: is nothing to be waited for?  Who has just come, or asked, has his next request on the way, and one
 * that the kernel holds is as good as read. */
static bool conn_may_go(const struct http_conn *c)
{
	int64_t now_us = loop_now_us();
	char byte;

	if (c->n_reqs > 0 || conn_pending(c) > 0 || c->in.n > 0 || c->is_lingering ||
		c->body != HTTP_BODY_NONE)
		return false;
	if (c->wait == HTTP_WAIT_IDLE && now_us < c->http->greet_until_us &&
		c->read_due_us - c->http->set.idle_us > now_us - HTTP_GREET_US)
		return false;
	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* Draining: who has nothing in flight goes. */
static void conns_let_go(struct http *h)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&h->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (conn_may_go(c)) {
			http_conn_close(c);
		} else if (c->n_reqs > 0 && c->in.n == 0 && c->body == HTTP_BODY_NONE) {
			c->no_more = c->linger = true; /* he may be sending the next already */
			conn_rest(c);
		}
	}
	if (h->stats.connections == 0 && h->drained != NULL) {
		void (*fn)(void *) = h->drained;

		h->drained = NULL;
		fn(h->drained_arg);
	} else if (loop_now_us() < h->greet_until_us) {
		conn_arm(h, h->greet_until_us);
	}
}

void http_conns_flush(void *arg)
{
	struct http *h = arg;
	struct http_conn *c, *last = TAILQ_LAST(&h->dirty, http_conns);
	bool more = last != NULL;

	while (more) {
		c = TAILQ_FIRST(&h->dirty);
		more = c != last;
		TAILQ_REMOVE(&h->dirty, c, dirty_link);
		c->is_dirty = false;
		if (!c->is_lingering)
			conn_flush(c);
	}
	h->spent_us = 0;
	if (!TAILQ_EMPTY(&h->queue))
		loop_timer_in(h->next, 0);
	if (h->draining)
		conns_let_go(h);
}

/* ---- events ---- */

/* The socket is ready.  Nobody goes before those that stand in the queue. */
static void conn_on_ready(void *arg, int fd, unsigned what)
{
	struct http_conn *c = arg;
	bool in_turn = !conns_are_spent(c->http) && TAILQ_EMPTY(&c->http->queue);

	(void)fd;
	if ((what & LOOP_READ) && !c->is_queued) {
		if (in_turn || c->is_lingering) {
			conn_read(c);
		} else {
			c->is_unread = true;
			conn_queue(c);
		}
	}
	if ((what & LOOP_WRITE) && !c->is_dead)
		conn_flush(c);
}

/* The deadline of what it waited for has passed.  What has come and stands in the queue is looked at first. */
static void conn_expire_read(struct http_conn *c)
{
	int64_t due_us = c->read_due_us;

	if (c->is_queued) {
		conn_go_on(c);
		if (c->is_dead || c->is_queued || c->wait == HTTP_WAIT_NONE ||
			c->read_due_us != due_us)
			return;
	}
	switch (c->wait) {
	case HTTP_WAIT_HEAD:
		c->http->stats.refused[HTTP_REFUSED_HEAD_LATE]++;
		http_conn_fail(c, 408, "the request head took too long");
		break;
	case HTTP_WAIT_BODY:
		c->http->stats.refused[HTTP_REFUSED_BODY_LATE]++;
		http_conn_fail(c, 408, "the request body took too long");
		break;
	case HTTP_WAIT_IDLE:
	case HTTP_WAIT_LINGER: http_conn_close(c); return;
	case HTTP_WAIT_SEND:
	case HTTP_WAITS:
	case HTTP_WAIT_NONE: break;
	}
	conn_rest(c);
}

void http_conns_expire(void *arg)
{
	struct http *h = arg;
	int64_t now_us = loop_now_us(), next_us = INT64_MAX;
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&h->sends)) != NULL && c->send_due_us <= now_us) {
		h->stats.refused[HTTP_REFUSED_SEND_LATE]++;
		http_conn_close(c);
	}
	if (c != NULL)
		next_us = c->send_due_us;
	for (int i = 0; i < HTTP_WAIT_READS; i++) {
		while ((c = TAILQ_FIRST(&h->reads[i])) != NULL && c->read_due_us <= now_us)
			conn_expire_read(c);
		if (c != NULL && c->read_due_us < next_us)
			next_us = c->read_due_us;
	}
	if (h->draining)
		loop_at_turn_end(h->loop, LOOP_WRITE_OUT, http_conns_flush, h);
	if (next_us != INT64_MAX)
		conn_arm(h, next_us);
}

void http_conns_drain(struct http *h)
{
	h->greet_until_us = loop_now_us() + HTTP_GREET_US;
	loop_at_turn_end(h->loop, LOOP_WRITE_OUT, http_conns_flush, h);
}

void http_conn_open(struct http *h, int fd, const unsigned char address[16], struct peer *peer)
{
	struct http_conn *c = xcalloc(1, sizeof *c);

	c->http = h;
	c->fd = fd;
	c->wait = HTTP_WAIT_NONE;
	c->peer = peer;
	memcpy(c->address, address, sizeof c->address);
	TAILQ_INIT(&c->reqs);
	TAILQ_INSERT_TAIL(&h->conns, c, link);
	http_count(h, 1);
	c->number = ++h->stats.accepted;
	FAILPOINT("http.accepted");
	c->watch = loop_fd_open(h->loop, fd, conn_on_ready, c);
	conn_rest(c);
}
