/*
 * flood.c: POST /events at a given rate whatever the answers, or as fast as they come; what came of it, by status.
 *
 *   flood --port N --token T [--conns N] [--batch N] [--seconds S] [--rate R]
 *
 * rate: events a second, 0: closed loop.  One request at a time on each connection, so that no answer waits behind
 * another; a request that is due while all connections are busy is not asked for, and counted as `unsent`.  Events are
 * orders of about 300 bytes of 1,000 customers with ids that no other run has.  Each second one line of key=value on
 * stdout; at the end one that begins with "total": events asked for, accepted, refused (429, 503) and otherwise
 * answered, and the 50th and 99th percentile and the longest time in milliseconds, of acceptances (a50 a99 amax) and
 * of refusals (r50 r99 rmax).  Talks to 127.0.0.1 only; a connection that the server closes is opened again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FLOOD_CONNS_MOST = 4096, FLOOD_BODY = 512 << 10, FLOOD_IN = 64 << 10, FLOOD_BINS = 20000 };

static struct {
	const char *token;
	int port, conns, batch, seconds;
	double rate;
} opt = { "", 8080, 64, 10, 5, 0 };

struct conn {
	int fd;
	char *out;
	size_t out_n, out_at, in_n;
	int64_t sent_us; /* 0: idle */
	struct conn *next;
	char in[2048];
};

/* Times in steps of 0.1 ms; the last bin holds all that took longer. */
struct times {
	uint64_t n, bin[FLOOD_BINS];
	double most_ms;
};

static struct conn *idle;
static uint64_t asked, unsent, accepted, refused, other, closed, next_id;
static struct times taken, denied;
static unsigned run_id;
static int ep;

static int64_t flood_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void times_add(struct times *t, int64_t us)
{
	uint64_t bin = (uint64_t)us / 100;

	t->n++;
	t->bin[bin < FLOOD_BINS ? bin : FLOOD_BINS - 1]++;
	if ((double)us / 1000 > t->most_ms)
		t->most_ms = (double)us / 1000;
}

static double times_at(const struct times *t, double share)
{
	uint64_t want = (uint64_t)((double)t->n * share), n = 0;

	for (int i = 0; i < FLOOD_BINS; i++)
		if ((n += t->bin[i]) > want)
			return (i + 1) / 10.0;
	return 0;
}

/* A request is text that is made once; only these digits are written anew, so that the generator, which stands for
 * other machines, takes little of this one's time. */
static char request[FLOOD_BODY + 512];
static size_t request_n, event_at[500], event_n;
/* where in an event the digits stand */
static size_t at_id, at_customer, at_order;

static void flood_digits(char *to, uint64_t v, int n)
{
	while (n-- > 0) {
		to[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

static void flood_make(void)
{
	char event[1024];
	size_t n;

	event_n = (size_t)snprintf(event, sizeof event,
		"{\"id\":\"%08x-@0000000000\",\"type\":\"order.placed\",\"data\":{\"customer\":{\"id\":\"c@000\"},"
		"\"order_id\":\"%08x-@0000000000\",\"total\":250.5,\"currency\":\"EUR\",\"products\":[{"
		"\"product_id\":\"p317\",\"name\":\"Kettle, 1.7 l, steel\",\"category\":\"kitchen\","
		"\"price\":12.5,\"quantity\":2}],\"payment\":\"card\"}}",
		run_id, run_id);
	at_id = (size_t)(strchr(event, '@') - event);
	at_customer = (size_t)(strchr(event + at_id + 1, '@') - event);
	at_order = (size_t)(strchr(event + at_customer + 1, '@') - event);
	request_n = (size_t)snprintf(request, 512,
		"POST /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		opt.token, (event_n + 1) * (size_t)opt.batch + 1);
	n = request_n;
	for (int i = 0; i < opt.batch; i++) {
		request[n++] = i ? ',' : '[';
		event_at[i] = n;
		memcpy(request + n, event, event_n);
		n += event_n;
	}
	request[n++] = ']';
	request_n = n;
}

static void flood_number(char *event)
{
	uint64_t id = next_id++;

	flood_digits(event + at_id, id, 11);
	flood_digits(event + at_customer, id * 7919 % 1000, 4);
	flood_digits(event + at_order, id, 11);
}

static void conn_open(struct conn *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)opt.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("flood: connect");
		exit(1);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
	c->in_n = c->out_n = c->out_at = 0;
	c->sent_us = 0;
	c->next = idle;
	idle = c;
}

static void conn_again(struct conn *c)
{
	bool was_idle = c->sent_us == 0;

	closed++;
	close(c->fd);
	if (was_idle)
		for (struct conn **p = &idle; *p != NULL; p = &(*p)->next)
			if (*p == c) {
				*p = c->next;
				break;
			}
	conn_open(c);
}

static void conn_watch(struct conn *c, bool out)
{
	struct epoll_event e = { .events = out ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c };

	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void conn_flush(struct conn *c, bool was_blocked)
{
	while (c->out_at < c->out_n) {
		ssize_t k = write(c->fd, c->out + c->out_at, c->out_n - c->out_at);

		if (k > 0) {
			c->out_at += (size_t)k;
			continue;
		}
		if (errno == EAGAIN && !was_blocked)
			conn_watch(c, true);
		if (errno != EAGAIN)
			c->out_at = c->out_n; /* its answer, or the end, is to be read */
		return;
	}
	free(c->out);
	c->out = NULL;
	c->out_n = c->out_at = 0;
	if (was_blocked)
		conn_watch(c, false);
}

static void flood_ask(void)
{
	struct conn *c = idle;

	idle = c->next;
	for (int i = 0; i < opt.batch; i++)
		flood_number(request + event_at[i]);
	free(c->out);
	c->out = malloc(request_n);
	if (c->out == NULL)
		abort();
	memcpy(c->out, request, request_n);
	c->out_n = request_n;
	c->out_at = 0;
	c->sent_us = flood_now_us();
	asked += (uint64_t)opt.batch;
	conn_flush(c, false);
}

/* The answer's head; its body is passed over. */
static void conn_answered(struct conn *c, int64_t now_us)
{
	int status = atoi(c->in + 9);

	if (status == 200) {
		accepted += (uint64_t)opt.batch;
		times_add(&taken, now_us - c->sent_us);
	} else if (status == 429 || status == 503) {
		refused += (uint64_t)opt.batch;
		times_add(&denied, now_us - c->sent_us);
	} else {
		other += (uint64_t)opt.batch;
	}
	c->sent_us = 0;
	c->in_n = 0;
	c->next = idle;
	idle = c;
}

/* Reads; an answer is whole when its head is here and its body's length has passed. */
static void conn_read(struct conn *c)
{
	static char more[FLOOD_IN];
	char *end, *length;
	ssize_t k;

	while ((k = read(c->fd, more, sizeof more)) > 0) {
		size_t room = sizeof c->in - 1 - c->in_n,
		       keep = (size_t)k < room ? (size_t)k : room;

		memcpy(c->in + c->in_n, more, keep);
		c->in_n += keep;
		c->in[c->in_n] = '\0';
		if (c->sent_us == 0) /* bodies are longer than what is kept: the rest of one */
			c->in_n = 0;
	}
	if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR)) {
		if (c->sent_us != 0 && c->in_n > 12)
			conn_answered(c, flood_now_us());
		conn_again(c);
		return;
	}
	if (c->sent_us == 0 || (end = strstr(c->in, "\r\n\r\n")) == NULL)
		return;
	length = strcasestr(c->in, "content-length:");
	if (length == NULL || length > end)
		return;
	if (c->in_n < sizeof c->in - 1 &&
		(size_t)(end - c->in) + 4 + strtoul(length + 15, NULL, 10) > c->in_n)
		return;
	conn_answered(c, flood_now_us());
}

static void flood_say(const char *word, double seconds)
{
	printf("%s seconds=%.2f asked=%llu unsent=%llu accepted=%llu refused=%llu other=%llu closed=%llu "
	       "a50=%.1f a99=%.1f amax=%.1f r50=%.1f r99=%.1f rmax=%.1f\n",
		word, seconds, (unsigned long long)asked, (unsigned long long)unsent,
		(unsigned long long)accepted, (unsigned long long)refused,
		(unsigned long long)other, (unsigned long long)closed, times_at(&taken, 0.5),
		times_at(&taken, 0.99), taken.most_ms, times_at(&denied, 0.5),
		times_at(&denied, 0.99), denied.most_ms);
	fflush(stdout);
}

/* Asks for what is due. */
static void flood_due(double gone_s)
{
	uint64_t due = (uint64_t)(gone_s * opt.rate);

	if (opt.rate == 0) {
		while (idle != NULL)
			flood_ask();
		return;
	}
	/* so many at a time that answers are read in between */
	for (int i = 0; i < 256 && asked + unsent + (uint64_t)opt.batch <= due; i++) {
		if (idle != NULL)
			flood_ask();
		else
			unsent += (uint64_t)opt.batch;
	}
}

static void flood_run(void)
{
	int64_t begin = flood_now_us(), end = begin + opt.seconds * INT64_C(1000000), now,
		said = begin;
	struct epoll_event ready[256];

	do {
		int n;

		now = flood_now_us();
		if (now < end)
			flood_due((double)(now - begin) / 1e6);
		n = epoll_wait(ep, ready, 256, 1);
		for (int i = 0; i < n; i++) {
			if (ready[i].events & EPOLLOUT)
				conn_flush(ready[i].data.ptr, true);
			if (ready[i].events & ~(uint32_t)EPOLLOUT)
				conn_read(ready[i].data.ptr);
		}
		if (now - said >= 1000000) {
			flood_say("second", (double)(now - begin) / 1e6);
			said = now;
		}
	} while (now < end || (accepted + refused + other < asked && now < end + 5000000));
	flood_say("total", (double)opt.seconds);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "token", 1, NULL, 't' },
		{ "port", 1, NULL, 'p' }, { "conns", 1, NULL, 'c' }, { "batch", 1, NULL, 'b' },
		{ "seconds", 1, NULL, 's' }, { "rate", 1, NULL, 'r' }, { NULL, 0, NULL, 0 } };
	struct conn *conns;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 't': opt.token = optarg; break;
		case 'p': opt.port = atoi(optarg); break;
		case 'c': opt.conns = atoi(optarg); break;
		case 'b': opt.batch = atoi(optarg); break;
		case 's': opt.seconds = atoi(optarg); break;
		case 'r': opt.rate = atof(optarg); break;
		default: return 2;
		}
	if (opt.conns < 1 || opt.conns > FLOOD_CONNS_MOST || opt.batch < 1 || opt.batch > 500 ||
		opt.seconds < 1) {
		fprintf(stderr, "flood: an option is out of its range\n");
		return 2;
	}
	run_id = (unsigned)time(NULL) ^ ((unsigned)getpid() << 16);
	ep = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc((size_t)opt.conns, sizeof *conns);
	if (conns == NULL)
		abort();
	for (int i = 0; i < opt.conns; i++)
		conn_open(&conns[i]);
	flood_make();
	flood_run();
	return 0;
}
