#ifndef DOOR_HTTP_PEERS_H
#define DOOR_HTTP_PEERS_H
/*
 * How many connections each address has: one counter per IPv4 address or IPv6 /64, alive as long as it
 * is not zero.  Inside of door/http.
 */
#include "door/http.h"

#include <sys/socket.h>

struct peers;
struct peer; /* a counter */

struct peers *peers_new(void);
void peers_free(struct peers *p); /* with all counters */
/* Counts one more connection of that address; NULL, and nothing counted, when it has `most`. */
struct peer *peers_take(struct peers *p, const unsigned char address[16], unsigned most);
/* One less; NULL is allowed. */
void peers_give_back(struct peers *p, struct peer *peer);

/* IPv4 is mapped into IPv6; a Unix socket is ::1. */
void peers_address(const struct sockaddr_storage *from, unsigned char ret_address[16]);
bool peers_is_loopback(const unsigned char address[16]);
bool peers_is_in(const unsigned char address[16], const struct http_net *net);

#endif
