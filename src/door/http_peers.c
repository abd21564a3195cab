/* http_peers.c: a chained hash table of counters.  The hash is keyed with a number that an attacker
 * does not know: he chooses his IPv6 addresses. */
#include "door/http_peers.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PEERS_BUCKETS = 1024 };

struct peer {
	struct peer *next;
	unsigned char address[16];
	unsigned n;
};

struct peers {
	uint64_t key;
	struct peer *buckets[PEERS_BUCKETS];
};

static const unsigned char peers_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct peers *peers_new(void)
{
	struct peers *p = xcalloc(1, sizeof *p);

	if (getrandom(&p->key, sizeof p->key, GRND_NONBLOCK) != (ssize_t)sizeof p->key)
		p->key = (uint64_t)(uintptr_t)p;
	return p;
}

void peers_free(struct peers *p)
{
	for (size_t i = 0; p != NULL && i < PEERS_BUCKETS; i++)
		while (p->buckets[i] != NULL) {
			struct peer *next = p->buckets[i]->next;

			free(p->buckets[i]);
			p->buckets[i] = next;
		}
	free(p);
}

/* The list in which an address stands. */
static struct peer **peers_bucket(struct peers *p, const unsigned char address[16])
{
	uint64_t word[2], h;

	memcpy(word, address, sizeof word);
	h = (word[0] ^ p->key) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 32 ^ word[1]) * 0xbf58476d1ce4e5b9u;
	return &p->buckets[(h >> 40) % PEERS_BUCKETS];
}

struct peer *peers_take(struct peers *p, const unsigned char address[16], unsigned most)
{
	unsigned char whole[16] = { 0 };
	struct peer **at, *peer;

	/* a /64 is one household: whoever has one has 2^64 addresses */
	memcpy(whole, address, memcmp(address, peers_mapped, sizeof peers_mapped) == 0 ? 16 : 8);
	at = peers_bucket(p, whole);
	for (peer = *at; peer != NULL && memcmp(peer->address, whole, 16) != 0; peer = peer->next)
		;
	if (peer != NULL && peer->n >= most)
		return NULL;
	if (peer == NULL) {
		if (most == 0)
			return NULL;
		peer = xcalloc(1, sizeof *peer);
		memcpy(peer->address, whole, 16);
		peer->next = *at;
		*at = peer;
	}
	peer->n++;
	return peer;
}

void peers_give_back(struct peers *p, struct peer *peer)
{
	struct peer **at;

	if (peer == NULL || --peer->n > 0)
		return;
	for (at = peers_bucket(p, peer->address); *at != peer; at = &(*at)->next)
		;
	*at = peer->next;
	free(peer);
}

void peers_address(const struct sockaddr_storage *from, unsigned char ret_address[16])
{
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		memcpy(ret_address, peers_mapped, 12);
		memcpy(ret_address + 12, &in->sin_addr, 4);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

		memcpy(ret_address, &in6->sin6_addr, 16);
	} else {
		memset(ret_address, 0, 16);
		ret_address[15] = 1;
	}
}

bool peers_is_loopback(const unsigned char address[16])
{
	static const unsigned char one[16] = { [15] = 1 };

	if (memcmp(address, peers_mapped, 12) == 0)
		return address[12] == 127;
	return memcmp(address, one, 16) == 0;
}

bool peers_is_in(const unsigned char address[16], const struct http_net *net)
{
	unsigned bytes = net->bits / 8, rest = net->bits % 8;

	if (memcmp(address, net->address, bytes) != 0)
		return false;
	return rest == 0 || (address[bytes] ^ net->address[bytes]) >> (8 - rest) == 0;
}

bool http_net_read(struct span text, struct http_net *ret, struct err *err)
{
	char copy[64], *slash;
	struct http_net net;
	int64_t bits = 128;
	struct in_addr in;
	bool is_v4;

	if (text.n == 0 || text.n >= sizeof copy)
		return err_set(err, "\"%.*s\" is not a network", SPAN_ARG(text));
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	is_v4 = inet_pton(AF_INET, copy, &in) == 1;
	if (is_v4) {
		memcpy(net.address, peers_mapped, 12);
		memcpy(net.address + 12, &in, 4);
	} else if (inet_pton(AF_INET6, copy, net.address) != 1) {
		err_set(err, "\"%.*s\" is not a network", SPAN_ARG(text));
		return err_hint(err, "write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32");
	}
	if (slash != NULL) {
		if (!span_to_i64(span_of(slash + 1), &bits) || bits < 0 ||
			bits > (is_v4 ? 32 : 128))
			return err_set(
				err, "\"%.*s\" has no sensible number of bits", SPAN_ARG(text));
		bits += is_v4 ? 96 : 0;
	}
	net.bits = (unsigned)bits;
	*ret = net;
	return true;
}
