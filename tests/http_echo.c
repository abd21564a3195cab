/* http_echo.c: a server for tests/system/test_http_server.py and for measuring door/http alone.
 *
 * usage: http_echo PORT [name=value ...]; prints `ready PORT`.  Names: the limits of struct
 * http_settings (times in ms).  SIGTERM drains, a second one ends.
 */
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "door/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct echo {
	struct loop *loop;
	struct http *http;
	struct loop_timer *timer;
	struct http_request *held[1000]; /* answered last first, some time later */
	size_t n_held;
	unsigned handled; /* requests that reached a handler */
	bool draining;
};

static struct echo echo;

/* Gives the body back. */
static void on_echo(void *arg, struct http_request *req)
{
	((struct echo *)arg)->handled++;
	http_answer(req, 200, "text/plain", req->body);
}

/* Answers like the door for events does: at once, a constant. */
static void on_event(void *arg, struct http_request *req)
{
	((struct echo *)arg)->handled++;
	http_answer(req, 200, "application/json", SPAN("{\"status\":\"accepted\"}"));
}

/* Keeps the request. */
static void on_later(void *arg, struct http_request *req)
{
	struct echo *e = arg;

	e->handled++;
	e->held[e->n_held++] = req;
	loop_timer_in(e->timer, 100000);
}

/* Answers what was kept, the youngest first. */
static void on_timer(void *arg)
{
	struct echo *e = arg;

	while (e->n_held > 0) {
		struct http_request *req = e->held[--e->n_held];

		http_answer(req, 200, "text/plain", req->body);
	}
}

/* Says what it sees of the request. */
static void on_look(void *arg, struct http_request *req)
{
	struct arena arena = { 0 };
	struct buf b = { 0 };
	struct span v, name;

	((struct echo *)arg)->handled++;
	buf_printf(&b, "peer=%s tail=%.*s", http_peer(req),
		SPAN_ARG(http_path_unescape(req->tail, &arena)));
	if (http_query_get(req, "q", &arena, &v))
		buf_printf(&b, " q=%.*s", SPAN_ARG(v));
	if (http_header_get(req, "x-test", &v))
		buf_printf(&b, " x=%.*s", SPAN_ARG(v));
	for (size_t i = 0; http_header_at(req, i, &name, &v); i++)
		buf_printf(&b, " %.*s", SPAN_ARG(name));
	http_answer_header(req, "X-Seen", "yes");
	http_answer(req, 200, "text/plain", buf_as_span(&b));
	buf_free(&b);
	arena_fini(&arena);
}

/* A long answer: as many bytes as the query asks for. */
static void on_long(void *arg, struct http_request *req)
{
	struct arena arena = { 0 };
	int64_t n = 0;
	struct span v;
	char *text;

	((struct echo *)arg)->handled++;
	if (!http_query_get(req, "n", &arena, &v) || !span_to_i64(v, &n) || n < 0 || n > 100000000)
		n = 1;
	text = xmalloc((size_t)n);
	memset(text, 'x', (size_t)n);
	http_answer(req, 200, "text/plain", (struct span){ text, (size_t)n });
	free(text);
	arena_fini(&arena);
}

/* Only who has the token may send a body. */
static bool on_admit(void *arg, struct http_request *req)
{
	(void)arg;
	if (span_is(req->bearer, "secret"))
		return true;
	http_refuse(req, 401, "the token is not known", NULL, "send Authorization: Bearer ...");
	return false;
}

/* Overload, always. */
static bool on_busy(void *arg, struct http_request *req)
{
	(void)arg;
	http_refuse(req, 503, "too \"busy\"", "$.a", NULL);
	return false;
}

/* The counters, as lines. */
static void on_stats(void *arg, struct http_request *req)
{
	struct echo *e = arg;
	const struct http_stats *s = http_stats(e->http);
	struct buf b = { 0 };

	buf_printf(
		&b, "handled %u\nopen %u\nrequests %u\n", e->handled, s->connections, s->requests);
	for (int i = 0; i < HTTP_REFUSALS; i++)
		buf_printf(&b, "%s %llu\n", http_refusal_name((enum http_refusal)i),
			(unsigned long long)s->refused[i]);
	http_answer(req, 200, "text/plain", buf_as_span(&b));
	buf_free(&b);
}

static const struct http_route routes[] = {
	{ "POST", "/echo", false, 1 << 20, NULL, on_echo },
	{ "PUT", "/echo", false, 1 << 20, NULL, on_echo },
	{ "POST", "/events", false, 1 << 20, NULL, on_event },
	{ "POST", "/later", false, 1 << 20, NULL, on_later },
	{ "GET", "/look/", true, 0, NULL, on_look },
	{ "GET", "/long", false, 0, NULL, on_long },
	{ "POST", "/private", false, 1 << 20, on_admit, on_echo },
	{ "POST", "/busy", false, 1 << 20, on_busy, on_echo },
	{ "GET", "/stats", false, 0, NULL, on_stats },
	{ "GET", "/smuggled", false, 1 << 20, NULL, on_echo },
};

/* The last connection is gone. */
static void on_drained(void *arg)
{
	loop_stop(((struct echo *)arg)->loop);
}

static void on_signal(void *arg, int signo)
{
	struct echo *e = arg;

	(void)signo;
	if (e->draining)
		loop_stop(e->loop);
	e->draining = true;
	http_drain(e->http, on_drained, e);
}

/* Sets one limit from `name=value`. */
static bool set(struct http_settings *s, const char *text)
{
	const char *eq = strchr(text, '=');
	struct span name = { text, eq ? (size_t)(eq - text) : 0 };
	int64_t v;

	if (eq == NULL || !span_to_i64(span_of(eq + 1), &v))
		return false;
	if (span_is(name, "connections"))
		s->connections_most = (unsigned)v;
	else if (span_is(name, "per_address"))
		s->per_address_most = (unsigned)v;
	else if (span_is(name, "count_loopback"))
		s->count_loopback = v != 0;
	else if (span_is(name, "head_ms"))
		s->head_us = v * 1000;
	else if (span_is(name, "body_ms"))
		s->body_us = v * 1000;
	else if (span_is(name, "send_ms"))
		s->send_us = v * 1000;
	else if (span_is(name, "idle_ms"))
		s->idle_us = v * 1000;
	else
		return false;
	return true;
}

/* Binds as the daemon's parent does. */
static int listen_on(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	socklen_t size = sizeof a;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 511) != 0 ||
		getsockname(fd, (struct sockaddr *)&a, &size) != 0) {
		perror("http_echo");
		exit(1);
	}
	printf("ready %d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	struct http_settings settings = http_settings_default();
	struct loop_signal *term;
	struct err err;

	log_open("http_echo", LOG_JOURNAL, LOG_LVL_INFO);
	for (int i = 2; i < argc; i++)
		if (!set(&settings, argv[i]))
			argc = 0;
	if (argc < 2) {
		fprintf(stderr, "usage: http_echo PORT [name=value ...]\n");
		return 2;
	}
	echo.loop = loop_open(&err);
	if (echo.loop == NULL) {
		fprintf(stderr, "http_echo: %s\n", err.text);
		return 1;
	}
	echo.http = http_open(echo.loop, &settings);
	echo.timer = loop_timer_open(echo.loop, on_timer, &echo);
	term = loop_signal_open(echo.loop, SIGTERM, on_signal, &echo);
	http_add_routes(echo.http, routes, sizeof routes / sizeof *routes, &echo);
	if (!http_listen(echo.http, listen_on(argv[1]), &err) || !loop_run(echo.loop, &err)) {
		fprintf(stderr, "http_echo: %s\n", err.text);
		return 1;
	}
	http_close(echo.http);
	on_timer(&echo);
	loop_timer_close(echo.timer);
	loop_signal_close(term);
	loop_close(echo.loop);
	return 0;
}
