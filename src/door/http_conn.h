#ifndef DOOR_HTTP_CONN_H
#define DOOR_HTTP_CONN_H
/*
 * The inside of door/http: what server, connections and requests know of each other.  Nobody else
 * includes this.
 *
 * A server owns its connections; a connection owns the queue of its requests, oldest first.  When a
 * connection dies, requests that a handler holds become orphans (conn == NULL) and are freed when they
 * are answered; the server's memory stays until the last orphan is gone.
 */
#include "base/loop.h"
#include "door/http.h"
#include "door/http_head.h"
#include "door/http_peers.h"

#include <sys/queue.h>

enum {
	HTTP_LISTENERS_MOST = 8,
	HTTP_SCRATCH = 128 << 10, /* one read and what was left over before it */
	HTTP_READ_MOST = 64 << 10,
	HTTP_PIPELINE_MOST = 64,     /* unanswered requests of a connection; then it is not read */
	HTTP_HELD_MOST = 4 << 20,    /* bytes that they hold; likewise */
	HTTP_OUT_MOST = 256 << 10,   /* bytes to be sent; likewise */
	HTTP_SKIP_MOST = 64 << 10,   /* a refused body up to this is read, to keep the connection */
	HTTP_LINGER_MOST = 16 << 20, /* what is read and forgotten behind a refusal with close */
	HTTP_GO_US = 500,            /* for one connection at a go, then others have theirs */
	HTTP_TURN_US = 5000,         /* for all in a turn of the loop; the rest have the next */
	HTTP_LINGER_US = 1000000,    /* after a refusal with close: so that the client sees it */
	HTTP_GREET_US = 1000000 /* draining: for the next request of who has just come, or asked */
};

/* What a connection waits for: each has its list, ordered by deadline. */
enum http_wait {
	HTTP_WAIT_HEAD,
	HTTP_WAIT_BODY,
	HTTP_WAIT_IDLE,
	HTTP_WAIT_LINGER,
	HTTP_WAIT_READS, /* the ones above exclude each other */
	HTTP_WAIT_SEND = HTTP_WAIT_READS,
	HTTP_WAITS,
	HTTP_WAIT_NONE
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED };

struct http_conn;
TAILQ_HEAD(http_conns, http_conn);
TAILQ_HEAD(http_reqs, http_req);

struct http_table {
	const struct http_route *routes;
	size_t n;
	void *arg;
};

struct http {
	struct loop *loop;
	struct http_settings set;
	struct http_table *tables;
	size_t n_tables, cap_tables;
	struct loop_fd *listeners[HTTP_LISTENERS_MOST];
	int listen_fds[HTTP_LISTENERS_MOST];
	size_t n_listeners;
	uint64_t *own; /* see http_share; NULL: not shared */
	const uint64_t *const *others;
	size_t n_others;
	bool is_yielding;
	int grace; /* so many clients are taken without a look at the others, who did not want them */
	int next_grace;            /* after the next yield: twice as many each time */
	int reserve_fd;            /* given up to take and close a connection when fds are out */
	struct loop_timer *resume; /* accepting again, after EMFILE or a yield */
	struct loop_timer *tick;   /* the earliest deadline */
	int64_t tick_us;
	struct http_conns conns, dirty, reads[HTTP_WAIT_READS], sends;
	struct http_conns queue; /* with something to understand, in a later turn */
	struct loop_timer *next; /* that turn */
	int64_t spent_us;        /* in this turn, on understanding and handling */
	struct peers *peers;
	struct http_stats stats;
	size_t n_reqs; /* all that live, orphans too */
	bool draining, closed;
	int64_t greet_until_us; /* draining: who asked lately may stay so long */
	void (*drained)(void *arg);
	void *drained_arg;
	struct http_head head; /* of the request that is read now */
	char date[40];         /* the Date header's value, and the second it is of */
	int64_t date_s;
	char scratch[HTTP_SCRATCH];
};

/* One connection more or less. */
void http_count(struct http *h, int more);

struct http_conn {
	struct http *http;
	struct loop_fd *watch;
	int fd;
	bool is_dirty, is_dead, is_paused, is_blocked, is_lingering;
	bool is_queued, is_unread; /* unread: it was its socket that was ready */
	bool no_more;              /* the current request is the last */
	bool linger; /* close with the ceremony that lets the client read our refusal */
	bool eof;    /* the client has sent all */
	TAILQ_ENTRY(http_conn) link, dirty_link, read_link, send_link, queue_link;
	enum http_wait wait;
	int64_t read_due_us, send_due_us;
	uint64_t number;   /* from 1, in the order of accepting */
	struct peer *peer; /* NULL: not counted */
	unsigned char address[16];

	struct http_reqs reqs;
	unsigned n_reqs;
	size_t held;     /* bytes of them */
	size_t lingered; /* bytes read and forgotten while lingering */

	struct buf in; /* read and not understood yet; no memory while idle */
	size_t scan_at;
	enum http_body body;
	uint64_t body_left;
	struct http_chunked chunks;
	struct http_req *body_of; /* whose body is read; NULL: it is thrown away */

	struct buf out;           /* to be sent; no memory while idle */
	size_t out_at;            /* sent of it */
	uint64_t sent, send_mark; /* all bytes ever; how far it must be at send_due_us */
};

struct http_req {
	struct http_request pub; /* first, so that one is the other */
	TAILQ_ENTRY(http_req) link;
	struct http *http;
	struct http_conn *conn; /* NULL: gone */
	void *arg;              /* of its routes */
	unsigned char address[16];
	struct http_field *fields;
	size_t n_fields;
	struct buf body;   /* when it did not come with the head */
	struct buf extra;  /* header lines of the answer to come */
	struct buf answer; /* whole, waits for older ones */
	size_t weight;
	bool is_head, is_answered;
	bool is_handed;  /* the handler has it */
	bool is_held;    /* the connection looks at it: do not free */
	bool must_close; /* if refused now, its body can not be skipped */
};

/* ---- http_conn.c ---- */
void http_conn_open(struct http *h, int fd, const unsigned char address[16], struct peer *peer);
void http_conn_close(struct http_conn *c);
void http_conn_touch(struct http_conn *c); /* something to send or to decide at the turn's end */
void http_conns_flush(void *http);
void http_conns_expire(void *http);
void http_conns_go_on(void *http);     /* a new turn for those that wait for one */
void http_conns_drain(struct http *h); /* those that are idle go, the others when they are */
bool http_conn_is_idle(const struct http_conn *c);
/* The server itself refuses what it reads now: answers, then closes. */
void http_conn_fail(struct http_conn *c, int status, const char *why);

/* ---- http_request.c ---- */
/* Copies the head at h->head (NULL: a request too bad to have one) and `inline_body` bytes behind. */
struct http_req *http_req_new(struct http_conn *c, const struct http_head *head, const char *p,
	size_t len, size_t inline_body);
void http_req_free(struct http_req *r); /* takes it out of its queue */
/* Finds the route and asks `admit`; false: it is answered. */
bool http_req_admit(struct http_req *r, const struct http_head *head);
void http_req_handle(struct http_req *r);
/* ---- http.c ---- */
void http_unref(struct http *h); /* frees a closed server when its last request is gone */

#endif
