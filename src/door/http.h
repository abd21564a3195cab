#ifndef DOOR_HTTP_H
#define DOOR_HTTP_H
/*
 * The HTTP/1.1 server: strict, keep-alive, pipelining, answers in the order of requests.
 *
 * Life cycle: http_open -> http_add_routes (several tables, each with its own arg; tables are borrowed
 * until http_close) -> http_listen (takes listening sockets) -> ... -> http_drain -> its callback ->
 * http_close.
 *
 * A request comes to a handler in two steps, both from inside the loop.  When its head is read:
 * `admit`, if the route has one, may refuse it before a byte of the body is taken; returning false
 * means that it has answered (http_refuse or http_answer).  When the body is there: `handle`, which
 * must answer exactly once, at once or later.  Requests of one connection are handed over as they
 * arrive, without waiting for earlier answers.
 *
 * A request whose body never comes whole is dropped after `admit` without a further call, so `admit`
 * must not keep what has to be freed.
 *
 * The server owns a request; the handler borrows it, with everything its spans point to, until it
 * answers.  Answering ends the loan, also from inside `admit` and `handle`.  A request outlives its
 * connection: when the client is gone the answer is dropped.  http_close may come before the last
 * answers; they are dropped too, but must still be given.
 *
 * Answers are written at the end of the turn, one write per connection; http_answer never calls back.
 *
 * Built in: 404, 405 with Allow, HEAD for GET routes, 413 by the route's limit before the body is read,
 * 431, 415, 417, 505, and 400 with close for any doubt about the frame (door/http_head).  Absolute
 * deadlines for head and body, for the answer's way out, and for idle connections.  Nothing in a
 * request can end the process; errors of connections are counted, not returned.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdint.h>

struct http;
struct http_route;
struct loop;

/* A network whose connections are not counted per address. */
struct http_net {
	unsigned char address[16]; /* IPv6, or IPv4 mapped into it */
	unsigned bits;             /* of it that count */
};

/* Plain data, copied by http_open and http_apply. */
struct http_settings {
	unsigned connections_most; /* all together; beyond: 503 and close */
	unsigned per_address_most; /* per IPv4 address or IPv6 /64 */
	size_t head_most;          /* bytes; beyond: 431 */
	int64_t head_us;           /* from a request's first byte to the end of its head */
	int64_t body_us;           /* from there to the end of its body */
	int64_t send_us;     /* for all that waits to be sent to a client that does not read */
	int64_t idle_us;     /* between requests, and before the first */
	bool count_loopback; /* the cap per address holds for loopback too (for tests) */
	const struct http_net *trusted; /* borrowed until the next http_apply or http_close */
	size_t n_trusted;
};

/* The promised limits: 2,000, 50, 16 KiB, 5 s, 15 s, 10 s, 60 s. */
struct http_settings http_settings_default(void);
/* "10.0.0.0/8", "2001:db8::1". */
bool http_net_read(struct span text, struct http_net *ret, struct err *err) MUST_CHECK;

struct http_request {
	struct span method;
	struct span path;         /* raw; the route matched it byte by byte */
	struct span tail;         /* what follows the path of a prefix route, raw; else empty */
	struct span query;        /* raw; {NULL, 0} when there is none */
	struct span body;         /* followed by a NUL that does not count; empty in `admit` */
	struct span content_type; /* {NULL, 0} when there is none */
	struct span bearer; /* token of `Authorization: Bearer`; {NULL, 0} when there is none */
	const struct http_route *route;
	int64_t came_us; /* when its head was read, by loop_now_us */
	uint64_t line;   /* the number of its connection, from 1 */
	void *user;      /* the handler's own */
};

struct http_route {
	const char *method;
	const char *path;
	bool prefix;                                        /* everything that begins with path */
	size_t body_most;                                   /* bytes; beyond: 413 */
	bool (*admit)(void *arg, struct http_request *req); /* may be NULL */
	void (*handle)(void *arg, struct http_request *req);
};

/* Why a request or a connection was turned away by the server itself. */
enum http_refusal {
	HTTP_REFUSED_FRAME,     /* 400, 417, 415, 431, 505: the head or the chunks */
	HTTP_REFUSED_ROUTE,     /* 404, 405 */
	HTTP_REFUSED_SIZE,      /* 413 */
	HTTP_REFUSED_HEAD_LATE, /* deadlines */
	HTTP_REFUSED_BODY_LATE,
	HTTP_REFUSED_SEND_LATE,
	HTTP_REFUSED_CONNECTIONS, /* caps */
	HTTP_REFUSED_ADDRESS,
	HTTP_REFUSED_FILES, /* EMFILE and its like: accepting paused */
	HTTP_REFUSALS
};
const char *http_refusal_name(enum http_refusal why);

struct http_stats {
	uint64_t accepted;    /* connections */
	unsigned connections; /* open now */
	unsigned requests;    /* handed to a handler and not answered yet */
	uint64_t answered[6]; /* by the first digit of the status */
	uint64_t refused[HTTP_REFUSALS];
	uint64_t bytes_in, bytes_out;
};

/* ---- the server ---- */

struct http *http_open(struct loop *loop, const struct http_settings *settings);
/* The first route that fits wins, in the order of adding. */
void http_add_routes(struct http *h, const struct http_route *routes, size_t n, void *arg);
/* Takes fd, a listening stream socket that may be shared with other processes, and accepts from it. */
bool http_listen(struct http *h, int fd, struct err *err) MUST_CHECK;
/* Shares clients out over the processes that accept from the same sockets: who has more connections than another leaves
 * those who come now to the others, and takes them after 2 ms when they did not.  `own` is where this one says how many it
 * has, `others` where they do: shared memory, lent until http_close. */
void http_share(struct http *h, uint64_t *own, const uint64_t *const *others, size_t n_others);
/* New limits, for what happens from now on. */
void http_apply(struct http *h, const struct http_settings *settings);
/* Stops accepting, closes idle connections, finishes what has begun (who has just connected, or asked, is
 * given a second for his next request); fn(arg), which may be NULL, comes at the end of a turn when no connection is left. */
void http_drain(struct http *h, void (*fn)(void *arg), void *arg);
/* Closes all connections at once.  NULL is allowed. */
void http_close(struct http *h);
const struct http_stats *http_stats(const struct http *h);

/* ---- a request ---- */

/* The first field of that name (any case); false when there is none. */
bool http_header_get(const struct http_request *req, const char *name, struct span *ret) MUST_CHECK;
/* The i-th field as sent; false behind the last one. */
bool http_header_at(const struct http_request *req, size_t i, struct span *ret_name,
	struct span *ret_value) MUST_CHECK;
/* The first value of that name in the query, unescaped into the arena: UTF-8 without NUL. */
bool http_query_get(const struct http_request *req, const char *name, struct arena *arena,
	struct span *ret) MUST_CHECK;
/* A piece of a path, unescaped into the arena: UTF-8 without NUL. */
struct span http_path_unescape(struct span raw, struct arena *arena);
/* The client's address as text; one static buffer: use it at once.  Mask it in logs. */
const char *http_peer(const struct http_request *req);

/* Adds a header to the answer to come.  Neither may hold control bytes; value is copied. */
void http_answer_header(struct http_request *req, const char *name, const char *value);
/* Answers; copies the body; content_type NULL: none.  The request is gone after it. */
void http_answer(struct http_request *req, int status, const char *content_type, struct span body);
/* Answers {"error":..., "path":..., "hint":...}; path (a JSON path) and hint may be NULL.  With 429 and
 * 503 it adds `Retry-After: 1` unless there is one; with 401 `WWW-Authenticate: Bearer`. */
void http_refuse(struct http_request *req, int status, const char *error, const char *path,
	const char *hint);
/* "Not Found". */
const char *http_status_text(int status);

#endif
