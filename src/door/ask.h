#ifndef DOOR_ASK_H
#define DOOR_ASK_H
/*
 * Questions to the database on behalf of HTTP requests: one connection that never blocks, a bounded
 * number of questions, a deadline for each, and waiting until an inbox row has been judged.
 *
 * Life: ask_open -> (per request: ask_begin, then ask_send.. and ask_sync or ask_until_judged, as
 * often as needed, then ask_answer or ask_refuse exactly once) -> ask_close.
 *
 * A `struct ask_job` belongs to this room; the door borrows it until it has answered.  What a door
 * needs over several steps it keeps in job->arena and job->user.  Row callbacks only copy.  After
 * ask_sync and ask_until_judged the door waits for its `next`, which comes from the loop, never
 * from inside the call, and must answer or ask on.  `next` does not come when the deadline has
 * passed or the database failed: then this room has answered 503 (a statement that was refused:
 * 500).  Whatever was written by then stays written: doors write in the same statement everything
 * that belongs together.
 */
#include "base/mem.h"
#include "base/str.h"
#include "db/conn.h"

#include <stdint.h>

struct http_request;
struct loop;

struct ask_env {
	const char *dsn;
	unsigned number;         /* of this engine: the connection is "nudged api <number>" */
	bool unsafe_durability;  /* as in struct db_env */
	unsigned most;           /* questions at a time; beyond: 503; 0: 64 */
	int64_t timeout_us;      /* from the request to its answer; 0: 2 s */
	void (*poke)(void *arg); /* rows have been put into the inbox; may be NULL */
	void *arg;
};

struct ask;
struct ask_job {
	struct ask *ask;
	struct arena arena; /* of the job */
	struct buf out;     /* for the answer's body */
	void *user;         /* the door's own, in the arena */
	/* Set by doors that do not speak JSON: answers (ask_answer) when this room would answer 500 or
	 * 503.  NULL: http_refuse. */
	void (*fail)(struct ask_job *job, int status);
	/* the rest is this room's */
	struct http_request *req; /* NULL: answered */
	void (*next)(struct ask_job *job);
	int64_t deadline_us;
	int64_t inbox;   /* waits until this row is gone; 0: does not */
	bool inbox_seen; /* by the poll that is under way */
	unsigned groups; /* on their way to the database */
	struct ask_job *link_next, *link_prev;
};
typedef void ask_next_fn(struct ask_job *job);

/* The env is copied, its texts too.  Begins to connect at once. */
struct ask *ask_open(struct loop *loop, const struct ask_env *env);
/* Is the database there? */
bool ask_is_up(const struct ask *a);
/* Why not; "" when it is. */
const char *ask_why(const struct ask *a);
/* The server may lose what it committed (and unsafe_durability lets it). */
bool ask_is_unsafe(const struct ask *a);
/* Would ask_begin take one more? */
bool ask_has_room(const struct ask *a);
/* Questions that are not answered yet. */
unsigned ask_count(const struct ask *a);
/* Answers all open questions with 503.  NULL is allowed. */
void ask_close(struct ask *a);

/* Takes the request.  NULL: it has been answered with 503. */
struct ask_job *ask_begin(struct ask *a, struct http_request *req, size_t user_size);
/* The bind to fill for the next ask_send. */
struct bind *ask_bind(struct ask_job *job, enum sql_id sql);
/* Sends the bind; fn gets the rows with the job as its arg; may be NULL. */
void ask_send(struct ask_job *job, db_rows_fn *fn, unsigned tag);
/* Closes what was sent as one transaction. */
void ask_sync(struct ask_job *job, ask_next_fn *next);
/* Waits until an engine has judged (and deleted) the inbox row. */
void ask_until_judged(struct ask_job *job, int64_t inbox, ask_next_fn *next);
/* Ends the job. */
void ask_answer(struct ask_job *job, int status, const char *content_type, struct span body);
/* The same with http_refuse. */
void ask_refuse(
	struct ask_job *job, int status, const char *error, const char *path, const char *hint);

#endif
