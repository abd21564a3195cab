/*
 * load.c: a bounded load for POST /events and MQTT, and what came of it.
 *
 *   load --port N --token T [--mode http] [--conns N] [--batch N] [--depth N] [--seconds S] [--customers N]
 *        [--rate N]            events a second over all connections; 0: as fast as answers, or acknowledgements, come
 *   load --port N --token T --mode seed [--customers N]   one viewed product of each customer, then ends
 *   load --port N --mode mqtt [--seconds S]        publishes at QoS 1, at most 2,000 unacknowledged
 *
 * Events: orders (30 %), carts (40 %) and viewed products (30 %) of about 500 bytes over N customers; by their `lot`
 * bench/rules decides who starts a chain and gets a message.  A batch of 1 is a single event.  Prints one line of key=value: events, seconds, rate, answers that were not 200, p50, p99 and the
 * longest time of a request in milliseconds.  Ends by itself; talks to 127.0.0.1 only.
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

enum {
	LOAD_CONNS_MOST = 1024,
	LOAD_DEPTH_MOST = 64,
	LOAD_BUFFER = 1 << 20,
	LOAD_SAMPLES = 1 << 22,
	LOAD_WINDOW = 2000,
	LOAD_PAUSE_US = 1000 /* where nothing is to be done but wait for the broker */
};

static struct {
	const char *mode, *token;
	int port, conns, batch, depth, seconds, customers, rate;
} opt = { "http", "", 8080, 4, 100, 1, 5, 100000, 0 };

struct conn {
	int fd;
	char *in, *out;
	size_t in_n, out_n, out_at;
	int64_t sent_us[LOAD_DEPTH_MOST]; /* a ring, oldest at head */
	int head, in_flight;
};

static uint64_t seed = UINT64_C(88172645463325252), next_id, events_done, not_ok;
static unsigned run_id;
static bool seeding;
static char now_text[32];
static float *samples;
static size_t n_samples;

static uint64_t load_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int64_t load_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void load_stamp(void)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(now_text, sizeof now_text, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* One event as JSON; returns its length. */
static size_t load_event(char *p, size_t room)
{
	unsigned customer = (unsigned)(load_random() % (unsigned)opt.customers);
	unsigned total = (unsigned)(load_random() % 50000), kind = (unsigned)(load_random() % 10);
	uint64_t id = next_id++;
	unsigned lot = (unsigned)(load_random() % 100), thing = total % 997;
	int n;

	if (seeding) {
		customer = (unsigned)(id % (unsigned)opt.customers);
		kind = 9;
		lot = 99;
	}
	n = snprintf(p, room,
		"{\"id\":\"%x-%llu\",\"source\":\"bench\",\"type\":\"%s\",\"time\":\"%s\",\"data\":{"
		"\"customer\":{\"id\":\"c%u\"},\"lot\":%u,",
		run_id, (unsigned long long)id,
		kind < 3   ? "order.placed"
		: kind < 7 ? "cart.updated"
			   : "product.viewed",
		now_text, customer, lot);
	if (kind < 7) {
		n += snprintf(p + n, room - (size_t)n,
			"\"%s\":\"%x-%llu\",\"total\":%u.%02u,\"currency\":\"EUR\",\"products\":["
			"{\"product_id\":\"p%u\",\"sku\":\"SKU-%u\",\"name\":\"Kettle, 1.7 l, steel\","
			"\"category\":\"kitchen\",\"price\":%u.5,\"quantity\":2}],%s\"note\":\"Please leave "
			"it with the neighbours if nobody opens the door, they are at home in the evening; "
			"call before you come\"}}",
			kind < 3 ? "order_id" : "cart_id", run_id, (unsigned long long)id,
			total / 100, total % 100, thing, thing, total % 300,
			kind < 3 ? "\"payment\":\"card\"," : "");
	} else {
		n += snprintf(p + n, room - (size_t)n,
			"\"product_id\":\"p%u\",\"sku\":\"SKU-%u\",\"name\":\"Kettle, 1.7 l, steel\","
			"\"category\":\"kitchen\",\"brand\":\"Boiling & Sons\",\"price\":%u.5,"
			"\"currency\":\"EUR\",\"url\":\"https://shop.example/kitchen/kettles/p%u\","
			"\"image_url\":\"https://cdn.shop.example/images/products/kettles/p%u-600x600.jpg\","
			"\"referrer\":\"https://shop.example/kitchen/kettles?page=2\"}}",
			thing, thing, total % 300, thing, thing);
	}
	return (size_t)n;
}

/* Appends one request to the connection's output. */
static void load_request(struct conn *c)
{
	static char body[LOAD_BUFFER];
	size_t n = 0;

	if (opt.batch > 1)
		body[n++] = '[';
	for (int i = 0; i < opt.batch; i++) {
		if (i)
			body[n++] = ',';
		n += load_event(body + n, sizeof body - n - 2);
	}
	if (opt.batch > 1)
		body[n++] = ']';
	c->out_n += (size_t)snprintf(c->out + c->out_n, LOAD_BUFFER - c->out_n,
		"POST /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		opt.token, n);
	memcpy(c->out + c->out_n, body, n);
	c->out_n += n;
	c->sent_us[(c->head + c->in_flight++) % LOAD_DEPTH_MOST] = load_now_us();
}

static bool load_flush(struct conn *c)
{
	while (c->out_at < c->out_n) {
		ssize_t k = write(c->fd, c->out + c->out_at, c->out_n - c->out_at);

		if (k < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out_at += (size_t)k;
	}
	c->out_at = c->out_n = 0;
	return true;
}

/* Takes whole answers from the input. */
static void load_answers(struct conn *c)
{
	size_t at = 0;

	for (;;) {
		char *head = c->in + at, *end, *length;
		size_t body;

		c->in[c->in_n] = '\0';
		if ((end = strstr(head, "\r\n\r\n")) == NULL)
			break;
		length = strcasestr(head, "content-length:");
		body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
		if ((size_t)(end - c->in) + 4 + body > c->in_n)
			break;
		if (memcmp(head + 9, "200", 3) == 0)
			events_done += (uint64_t)opt.batch;
		else
			not_ok++;
		if (n_samples < LOAD_SAMPLES)
			samples[n_samples++] = (float)(load_now_us() - c->sent_us[c->head]) / 1000;
		c->head = (c->head + 1) % LOAD_DEPTH_MOST;
		c->in_flight--;
		at = (size_t)(end - c->in) + 4 + body;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
}

static void load_connect(struct conn *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)opt.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("load: connect");
		exit(1);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->in = malloc(LOAD_BUFFER);
	c->out = malloc(LOAD_BUFFER * 2);
	if (c->in == NULL || c->out == NULL)
		abort();
}

/* Keeps every connection full until the time is over, then waits for the last answers. */
static void load_http(void)
{
	static struct conn conns[LOAD_CONNS_MOST];
	struct epoll_event ready[64];
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int64_t begin = load_now_us(), end = begin + opt.seconds * INT64_C(1000000), now;
	uint64_t asked = 0;
	int open = 0;

	for (int i = 0; i < opt.conns; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &conns[i] };

		load_connect(&conns[i]);
		epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e);
	}
	do {
		int n;

		now = load_now_us();
		load_stamp();
		open = 0;
		for (int i = 0; i < opt.conns; i++) {
			struct conn *c = &conns[i];

			while (now < end && c->in_flight < opt.depth && c->out_n == 0 &&
				(!seeding || next_id < (uint64_t)opt.customers) &&
				(opt.rate == 0 ||
					(double)asked < (double)(now - begin) / 1e6 * opt.rate)) {
				for (int k = c->in_flight; k < opt.depth;
					k++, asked += (uint64_t)opt.batch)
					load_request(c);
			}
			if (!load_flush(c)) {
				perror("load: write");
				exit(1);
			}
			open += c->in_flight > 0;
		}
		n = epoll_wait(ep, ready, 64, opt.rate ? 1 : 10);
		for (int i = 0; i < n; i++) {
			struct conn *c = ready[i].data.ptr;
			ssize_t k = read(c->fd, c->in + c->in_n, LOAD_BUFFER - 1 - c->in_n);

			if (k == 0 || (k < 0 && errno != EAGAIN)) {
				fprintf(stderr, "load: the server closed a connection\n");
				exit(1);
			}
			if (k > 0) {
				c->in_n += (size_t)k;
				load_answers(c);
			}
		}
		if (seeding && next_id >= (uint64_t)opt.customers && open == 0)
			return;
	} while (now < end || (open > 0 && now < end + 10000000));
}

/* ---- MQTT 3.1.1 (OASIS standard, sections 2.2, 3.1 to 3.4): as much of it as publishing takes ----
 *
 * By hand: libmosquitto writes each message and reads each acknowledgement by itself, 11 us per event of the
 * processors that broker and daemon need. */

static const char load_topic[] = "nudged/main/events/bench";

/* Appends a PUBLISH at QoS 1. */
static void load_publish(struct conn *c, uint64_t number)
{
	char event[2048];
	size_t n = load_event(event, sizeof event), topic = sizeof load_topic - 1;
	size_t left = 2 + topic + 2 + n; /* after the fixed header; two bytes say it up to 16,383 */
	unsigned id = 1 + (unsigned)(number % 65535);
	unsigned char *p = (unsigned char *)c->out + c->out_n;

	*p++ = 0x32; /* PUBLISH, QoS 1 */
	*p++ = (unsigned char)(0x80 | (left & 127));
	*p++ = (unsigned char)(left >> 7);
	*p++ = 0;
	*p++ = (unsigned char)topic;
	memcpy(p, load_topic, topic);
	p += topic;
	*p++ = (unsigned char)(id >> 8);
	*p++ = (unsigned char)id;
	memcpy(p, event, n);
	c->out_n = (size_t)((char *)p - c->out) + n;
}

/* Reads what has come: whole packets of four bytes, CONNACK (0x20) or PUBACK (0x40).  Returns how many. */
static uint64_t load_mqtt_read(struct conn *c, unsigned char kind)
{
	ssize_t k = read(c->fd, c->in + c->in_n, LOAD_BUFFER - c->in_n);
	size_t n;

	if (k == 0 || (k < 0 && errno != EAGAIN)) {
		fprintf(stderr, "load: lost the broker\n");
		exit(1);
	}
	c->in_n += k > 0 ? (size_t)k : 0;
	n = c->in_n / 4;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)c->in[i * 4] != kind || c->in[i * 4 + 1] != 2) {
			fprintf(stderr, "load: the broker sent what was not asked for\n");
			exit(1);
		}
	memmove(c->in, c->in + n * 4, c->in_n - n * 4);
	c->in_n -= n * 4;
	return n;
}

/* May another be published, so long after the beginning? */
static bool load_mqtt_may(uint64_t sent, int64_t since_us)
{
	return sent - events_done < LOAD_WINDOW &&
	       (opt.rate == 0 || (double)sent < (double)since_us / 1e6 * opt.rate);
}

static void load_mqtt(void)
{
	/* protocol level 4, clean session, no keepalive, no client id */
	static const char hello[] = "\x10\x0c\0\4MQTT\4\2\0\0\0\0";
	struct conn c = { 0 };
	int64_t begin = load_now_us(), end, now;
	uint64_t sent = 0;

	load_connect(&c);
	memcpy(c.out, hello, c.out_n = sizeof hello - 1);
	if (!load_flush(&c)) {
		perror("load: write");
		exit(1);
	}
	while (load_mqtt_read(&c, 0x20) == 0) {
		if (load_now_us() > begin + 5000000) {
			fprintf(stderr, "load: the broker does not answer\n");
			exit(1);
		}
		usleep(LOAD_PAUSE_US);
	}
	begin = load_now_us();
	end = begin + opt.seconds * INT64_C(1000000);
	do {
		now = load_now_us();
		load_stamp();
		for (int i = 0;
			i < 100 && c.out_at == 0 && now < end && load_mqtt_may(sent, now - begin);
			i++)
			load_publish(&c, sent++);
		if (!load_flush(&c)) {
			perror("load: write");
			exit(1);
		}
		if (c.out_n > 0 || now >= end || !load_mqtt_may(sent, now - begin))
			usleep(LOAD_PAUSE_US);
		events_done += load_mqtt_read(&c, 0x40);
	} while (now < end || (events_done < sent && now < end + 10000000));
}

static int load_cmp(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "mode", 1, NULL, 'm' },
		{ "token", 1, NULL, 't' }, { "port", 1, NULL, 'p' }, { "conns", 1, NULL, 'c' },
		{ "batch", 1, NULL, 'b' }, { "depth", 1, NULL, 'd' }, { "seconds", 1, NULL, 's' },
		{ "customers", 1, NULL, 'n' }, { "rate", 1, NULL, 'r' }, { NULL, 0, NULL, 0 } };
	int c;
	int64_t begin;
	double seconds;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'm': opt.mode = optarg; break;
		case 't': opt.token = optarg; break;
		case 'p': opt.port = atoi(optarg); break;
		case 'c': opt.conns = atoi(optarg); break;
		case 'b': opt.batch = atoi(optarg); break;
		case 'd': opt.depth = atoi(optarg); break;
		case 's': opt.seconds = atoi(optarg); break;
		case 'n': opt.customers = atoi(optarg); break;
		case 'r': opt.rate = atoi(optarg); break;
		default: return 2;
		}
	if (opt.conns < 1 || opt.conns > LOAD_CONNS_MOST || opt.batch < 1 || opt.batch > 500 ||
		opt.depth < 1 || opt.depth > LOAD_DEPTH_MOST || opt.seconds < 1 ||
		opt.seconds > 600 || opt.customers < 1) {
		fprintf(stderr, "load: an option is out of its range\n");
		return 2;
	}
	samples = malloc(LOAD_SAMPLES * sizeof *samples);
	run_id = (unsigned)time(NULL) ^ ((unsigned)getpid() << 16);
	seed ^= (uint64_t)run_id << 20;
	begin = load_now_us();
	seeding = strcmp(opt.mode, "seed") == 0;
	if (strcmp(opt.mode, "mqtt") == 0)
		load_mqtt();
	else
		load_http();
	seconds = (double)(load_now_us() - begin) / 1e6;
	qsort(samples, n_samples, sizeof *samples, load_cmp);
	printf("events=%llu seconds=%.2f rate=%.0f not_ok=%llu", (unsigned long long)events_done,
		seconds, (double)events_done / seconds, (unsigned long long)not_ok);
	if (n_samples)
		printf(" p50=%.2f p99=%.2f max=%.2f", (double)samples[n_samples / 2],
			(double)samples[n_samples * 99 / 100], (double)samples[n_samples - 1]);
	putchar('\n');
	return 0;
}
