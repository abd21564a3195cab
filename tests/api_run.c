/* api_run.c: door/http with health, api and unsubscribe over a real database, for
 * tests/system/test_api.py.  The engine behind the inbox is played by the test.
 *
 * usage: api_run PORT DSN; prints `ready PORT` and a line `poke` whenever the flow would be poked.
 * api_run token MESSAGE CUSTOMER STORE KEY prints the token of an unsubscribe link.
 * SIGUSR1 turns "ready" off and on; SIGTERM drains and ends.  The stores and tokens are those below.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "door/api.h"
#include "door/ask.h"
#include "door/health.h"
#include "door/http.h"
#include "door/optout.h"
#include "intake/unsubscribe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char SIGN_KEY[] = "a key of thirty-two bytes or more!";

static struct shop_token tokens[4];
static const struct shop shops[] = {
	{ .id = "berlin",
		.base = "main",
		.lang = "de",
		.country = "DE",
		.from = "Bl\303\274ten & <b>Mehr</b> <shop@berlin.example>",
		.tokens = &tokens[0],
		.ntokens = 2 },
	{ .id = "paris",
		.base = "main",
		.lang = "fr",
		.country = "FR",
		.from = "shop@paris.example",
		.tokens = &tokens[2],
		.ntokens = 1 },
	{ .id = "moscow",
		.base = "east",
		.lang = "ru",
		.country = "RU",
		.from = "\"Moscow\" <shop@moscow.example>",
		.tokens = &tokens[3],
		.ntokens = 1 },
};
static uint8_t admin_hash[SHOP_HASH_BYTES];
static const struct access access_list = { .shops = shops, .n_shops = 3, .admin_hash = admin_hash };

struct run {
	struct loop *loop;
	struct http *http;
	bool unready, draining;
};
static struct run run;

static void make_token(struct shop_token *t, const char *text, unsigned scopes)
{
	struct span s = span_of(text);

	hash_sha256(&s, 1, t->hash);
	t->scopes = scopes;
}

static void make_tokens(void)
{
	struct span admin = SPAN("admin-token");

	make_token(&tokens[0], "berlin-read", SHOP_MAY_READ | SHOP_MAY_POST);
	make_token(&tokens[1], "berlin-post", SHOP_MAY_POST);
	make_token(&tokens[2], "paris-read", SHOP_MAY_READ);
	make_token(&tokens[3], "moscow-read", SHOP_MAY_READ);
	hash_sha256(&admin, 1, admin_hash);
}

static void on_poke(void *arg)
{
	(void)arg;
	printf("poke\n");
	fflush(stdout);
}

static void on_look(void *arg, struct health_state *ret)
{
	const struct run *r = arg;

	if (r->unready)
		health_reason(ret, "no rule set is \"loaded\"");
	ret->draining = r->draining;
	ret->partitions_until_us = 1767225600000000;
	ret->rule_set = r->unready ? 0 : 7;
}

static void on_drained(void *arg)
{
	loop_stop(((struct run *)arg)->loop);
}

static void on_signal(void *arg, int signo)
{
	struct run *r = arg;

	if (signo == SIGUSR1) {
		r->unready = !r->unready;
		printf("toggled\n");
		fflush(stdout);
		return;
	}
	if (r->draining)
		loop_stop(r->loop);
	r->draining = true;
	http_drain(r->http, on_drained, r);
}

/* Binds as the daemon's parent does. */
static int listen_on(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof a;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 511) != 0 ||
		getsockname(fd, (struct sockaddr *)&a, &size) != 0) {
		perror("api_run");
		exit(1);
	}
	printf("ready %d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

/* Makes a token as the courier does. */
static int print_token(const char *message, const char *customer, const char *shop, const char *key)
{
	struct buf b = { 0 };

	unsubscribe_token(&b, span_of(key),
		&(struct unsubscribe){ .message = atoll(message),
			.customer = atoll(customer),
			.shop = span_of(shop),
			.channel = CHANNEL_EMAIL });
	puts(b.p);
	buf_free(&b);
	return 0;
}

int main(int argc, char **argv)
{
	struct http_settings settings = http_settings_default();
	struct loop_signal *term, *usr1;
	struct health *health;
	struct optout *optout;
	struct ask *ask;
	struct api *api;
	struct err err;

	log_open("api_run", LOG_JOURNAL, LOG_LVL_INFO);
	if (argc == 6 && strcmp(argv[1], "token") == 0)
		return print_token(argv[2], argv[3], argv[4], argv[5]);
	if (argc != 3) {
		fprintf(stderr, "usage: api_run PORT DSN\n");
		return 2;
	}
	make_tokens();
	if ((run.loop = loop_open(&err)) == NULL) {
		fprintf(stderr, "api_run: %s\n", err.text);
		return 1;
	}
	run.http = http_open(run.loop, &settings);
	ask = ask_open(run.loop, &(struct ask_env){ .dsn = argv[2], .most = 8, .poke = on_poke });
	api = api_open(&(struct api_env){ .ask = ask, .access = &access_list });
	health = health_open(&(struct health_env){ .look = on_look, .arg = &run, .ask = ask });
	optout = optout_open(
		&(struct optout_env){ .ask = ask, .access = &access_list, .sign_key = SIGN_KEY });
	optout_add_routes(optout, run.http);
	health_add_routes(health, run.http);
	api_add_routes(api, run.http);
	term = loop_signal_open(run.loop, SIGTERM, on_signal, &run);
	usr1 = loop_signal_open(run.loop, SIGUSR1, on_signal, &run);
	if (!http_listen(run.http, listen_on(argv[1]), &err) || !loop_run(run.loop, &err)) {
		fprintf(stderr, "api_run: %s\n", err.text);
		return 1;
	}
	http_close(run.http);
	ask_close(ask);
	api_close(api);
	optout_close(optout);
	health_close(health);
	loop_signal_close(term);
	loop_signal_close(usr1);
	loop_close(run.loop);
	return 0;
}
