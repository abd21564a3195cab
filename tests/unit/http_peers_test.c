/* http_peers_test.c: networks and counters of addresses. */
#include "door/http_peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The address in the form that is counted. */
static const unsigned char *address(const char *text)
{
	static unsigned char out[16];
	struct sockaddr_storage from = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&from;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&from;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		from.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		from.ss_family = AF_INET6;
	else
		from.ss_family = AF_UNIX;
	peers_address(&from, out);
	return out;
}

static void test_networks(void **state)
{
	static const struct {
		const char *net, *in, *out;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.1.2", "11.0.0.1" },
		{ "192.0.2.7", "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.128/25", "192.0.2.200", "192.0.2.127" },
		{ "0.0.0.0/0", "8.8.8.8", "2001:db8::1" },
		{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1" },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::2" },
		{ "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2" },
	};
	static const char *const bad[] = { "", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0",
		"::/129", "host", "10.0.0.0/8/8", "10.0.0.0/ 8" };
	struct http_net net;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(http_net_read(span_of(cases[i].net), &net, &err));
		assert_true(peers_is_in(address(cases[i].in), &net));
		assert_false(peers_is_in(address(cases[i].out), &net));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (http_net_read(span_of(bad[i]), &net, &err))
			fail_msg("\"%s\" was taken", bad[i]);
}

static void test_loopback(void **state)
{
	(void)state;
	assert_true(peers_is_loopback(address("127.9.9.9")));
	assert_true(peers_is_loopback(address("::1")));
	assert_true(peers_is_loopback(address("a Unix socket")));
	assert_false(peers_is_loopback(address("128.0.0.1")));
	assert_false(peers_is_loopback(address("::2")));
}

static void test_counters(void **state)
{
	struct peers *p = peers_new();
	struct peer *a, *b, *c;

	(void)state;
	a = peers_take(p, address("192.0.2.1"), 2);
	b = peers_take(p, address("192.0.2.1"), 2);
	assert_non_null(a);
	assert_ptr_equal(a, b);
	assert_null(peers_take(p, address("192.0.2.1"), 2));
	c = peers_take(p, address("192.0.2.2"), 2);
	assert_non_null(c);
	peers_give_back(p, a);
	assert_ptr_equal(peers_take(p, address("192.0.2.1"), 2), b);
	peers_give_back(p, b);
	peers_give_back(p, b);
	/* a /64 is one */
	a = peers_take(p, address("2001:db8::1"), 2);
	assert_ptr_equal(peers_take(p, address("2001:db8::ffff:1"), 2), a);
	assert_null(peers_take(p, address("2001:db8::2"), 2));
	assert_non_null(peers_take(p, address("2001:db8:0:1::2"), 2));
	assert_null(peers_take(p, address("192.0.2.9"), 0));
	peers_free(p);
}

static void test_many_addresses(void **state)
{
	struct peers *p = peers_new();
	struct peer *held[5000];
	char text[40];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "10.1.%d.%d", i / 250, i % 250);
		held[i] = peers_take(p, address(text), 1);
		assert_non_null(held[i]);
	}
	for (int i = 0; i < 5000; i++)
		peers_give_back(p, held[i]);
	assert_non_null(peers_take(p, address("10.1.0.0"), 1));
	peers_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
