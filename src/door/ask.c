/* ask.c: requests wait in a list, oldest first; one timer for their deadlines, one for the inbox.
 *
 * Questions are pipelined on one connection: reads are short, and a second connection per engine
 * would cost the server a process for what people do some times a minute.  A question that runs
 * into the statement's time-out takes the connection and all that wait behind it down
 * (db/outcome.h); each of them hears 503 and comes again.
 *
 * Waiting for the judge is a poll of all awaited rows in one statement every 10 ms, and only while
 * somebody waits: a NOTIFY would need a connection of its own in every engine, for what happens
 * when a person presses a button.
 *
 * A job lives until it is answered and its last group has ended: answers may come by the deadline
 * while the database still works on them.
 */
#include "door/ask.h"

#include "base/log.h"
#include "base/loop.h"
#include "door/http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MOST = 64, ASK_TIMEOUT_US = 2000000, ASK_POLL_US = 10000, ASK_STATEMENT_MS = 1500 };

struct ask {
	struct loop *loop;
	struct ask_env env;
	struct db_conn *db;
	struct bind bind;
	struct ask_job *first, *last; /* oldest first: the deadlines rise */
	unsigned n;                   /* in the list and not answered */
	struct loop_timer *deadline, *poll;
	bool is_polling; /* a poll is on its way */
	bool is_closing;
	struct log_ctx lc;
};

static void ask_on_poll(void *arg);
static void ask_on_deadline(void *arg);

struct ask *ask_open(struct loop *loop, const struct ask_env *env)
{
	struct ask *a = xcalloc(1, sizeof *a);
	char name[40];

	a->loop = loop;
	a->env = *env;
	a->lc.room = "api";
	snprintf(a->lc.id, sizeof a->lc.id, "%u", env->number);
	if (a->env.most == 0)
		a->env.most = ASK_MOST;
	if (a->env.timeout_us == 0)
		a->env.timeout_us = ASK_TIMEOUT_US;
	snprintf(name, sizeof name, "nudged api %u", env->number);
	a->db = db_open(loop, &(struct db_env){ .dsn = env->dsn,
				      .name = name,
				      .users = SQL_API,
				      .unsafe_durability = env->unsafe_durability,
				      .statement_timeout_ms = ASK_STATEMENT_MS,
				      .answer_timeout_ms = 2 * ASK_STATEMENT_MS });
	a->env.dsn = NULL; /* db_open has its copy */
	a->deadline = loop_timer_open(loop, ask_on_deadline, a);
	a->poll = loop_timer_open(loop, ask_on_poll, a);
	return a;
}

bool ask_is_up(const struct ask *a)
{
	return db_is_up(a->db);
}

const char *ask_why(const struct ask *a)
{
	return db_why(a->db);
}

bool ask_is_unsafe(const struct ask *a)
{
	return db_is_unsafe(a->db);
}

bool ask_has_room(const struct ask *a)
{
	return db_is_up(a->db) && a->n < a->env.most;
}

unsigned ask_count(const struct ask *a)
{
	return a->n;
}

/* ---- a job's life ---- */

struct ask_job *ask_begin(struct ask *a, struct http_request *req, size_t user_size)
{
	struct ask_job *job;

	if (!ask_has_room(a)) {
		http_refuse(req, 503,
			a->n >= a->env.most ? "too many questions at a time"
					    : "the database is not there",
			NULL, "try again in a moment");
		return NULL;
	}
	job = xcalloc(1, sizeof *job);
	job->ask = a;
	job->req = req;
	job->user = arena_alloc(&job->arena, user_size);
	job->deadline_us = loop_now_us() + a->env.timeout_us;
	job->link_prev = a->last;
	if (a->last != NULL)
		a->last->link_next = job;
	else
		a->first = job;
	a->last = job;
	if (a->n++ == 0)
		loop_timer_at(a->deadline, job->deadline_us);
	return job;
}

/* Gives the memory back when nobody will touch it any more. */
static void ask_release(struct ask_job *job)
{
	struct ask *a = job->ask;

	if (job->req != NULL || job->groups > 0)
		return;
	*(job->link_prev ? &job->link_prev->link_next : &a->first) = job->link_next;
	*(job->link_next ? &job->link_next->link_prev : &a->last) = job->link_prev;
	buf_free(&job->out);
	arena_fini(&job->arena);
	free(job);
}

/* The request is to be answered now. */
static struct http_request *ask_take_request(struct ask_job *job)
{
	struct http_request *req = job->req;

	assert(req != NULL);
	job->req = NULL;
	job->next = NULL;
	job->inbox = 0;
	job->ask->n--;
	return req;
}

void ask_answer(struct ask_job *job, int status, const char *content_type, struct span body)
{
	http_answer(ask_take_request(job), status, content_type, body);
	ask_release(job);
}

void ask_refuse(
	struct ask_job *job, int status, const char *error, const char *path, const char *hint)
{
	http_refuse(ask_take_request(job), status, error, path, hint);
	ask_release(job);
}

/* This room itself has to say no. */
static void ask_fail(struct ask_job *job, int status, const char *error, const char *hint)
{
	if (job->fail != NULL)
		job->fail(job, status);
	else
		ask_refuse(job, status, error, NULL, hint);
}

/* Answers whoever has waited too long. */
static void ask_on_deadline(void *arg)
{
	struct ask *a = arg;
	struct ask_job *job, *next;
	int64_t now = loop_now_us();

	for (job = a->first; job != NULL; job = next) {
		next = job->link_next;
		if (job->req == NULL)
			continue;
		if (job->deadline_us > now) {
			loop_timer_at(a->deadline, job->deadline_us);
			return;
		}
		ask_fail(job, 503,
			job->inbox ? "the change is noted, but was not judged in time"
				   : "the database did not answer in time",
			job->inbox ? "it will be; look at the object again before you repeat it"
				   : "try again in a moment");
	}
}

/* ---- questions ---- */

struct bind *ask_bind(struct ask_job *job, enum sql_id sql)
{
	bind_begin(&job->ask->bind, sql);
	return &job->ask->bind;
}

void ask_send(struct ask_job *job, db_rows_fn *fn, unsigned tag)
{
	db_send(job->ask->db, &job->ask->bind, fn, job, tag);
}

/* A group is over: goes on, or answers why not. */
static void ask_on_end(void *arg, const struct db_end *end)
{
	struct ask_job *job = arg;
	ask_next_fn *next = job->next;

	job->groups--;
	if (job->req == NULL) {
		ask_release(job);
		return;
	}
	switch (end->outcome) {
	case DB_COMMITTED:
		job->next = NULL;
		next(job);
		break;
	case DB_REFUSED:
		log_warning(&job->ask->lc, "could not answer a request: %s", end->err.text);
		ask_fail(
			job, 500, "the database refused the question", "the daemon's log says why");
		break;
	case DB_AGAIN:
	case DB_LOST:
		ask_fail(job, 503, "the database did not answer", "try again in a moment");
		break;
	}
}

void ask_sync(struct ask_job *job, ask_next_fn *next)
{
	job->next = next;
	job->groups++;
	db_sync(job->ask->db, ask_on_end, job);
}

/* ---- waiting for the judge ---- */

void ask_until_judged(struct ask_job *job, int64_t inbox, ask_next_fn *next)
{
	struct ask *a = job->ask;

	job->inbox = inbox;
	job->inbox_seen = true; /* whatever a poll says that is already under way */
	job->next = next;
	if (a->env.poke != NULL)
		a->env.poke(a->env.arg);
	if (!loop_timer_is_armed(a->poll))
		loop_timer_in(a->poll, ASK_POLL_US);
}

/* Which of the awaited rows are still there. */
static void ask_on_inbox(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask *a = arg;

	(void)tag;
	for (size_t i = 0; i < db_rows_count(rows); i++)
		for (struct ask_job *job = a->first; job != NULL; job = job->link_next)
			if (job->inbox == db_rows_i64(rows, i, 0))
				job->inbox_seen = true;
}

/* The poll is over: whoever's row is gone goes on. */
static void ask_on_polled(void *arg, const struct db_end *end)
{
	struct ask *a = arg;
	struct ask_job *job, *after;
	bool waits = false;

	a->is_polling = false;
	for (job = a->first; job != NULL; job = after) {
		ask_next_fn *next = job->next;

		after = job->link_next;
		if (job->req == NULL || job->inbox == 0)
			continue;
		if (end->outcome != DB_COMMITTED || job->inbox_seen) {
			waits = true; /* what became of it the next poll tells, or the deadline */
			continue;
		}
		job->inbox = 0;
		job->next = NULL;
		next(job);
	}
	if (waits && !a->is_closing)
		loop_timer_in(a->poll, ASK_POLL_US);
}

static void ask_on_poll(void *arg)
{
	struct ask *a = arg;
	bool any = false;

	if (a->is_polling)
		return;
	bind_begin(&a->bind, SQL_API_INBOX_LEFT);
	for (struct ask_job *job = a->first; job != NULL; job = job->link_next)
		if (job->inbox != 0) {
			job->inbox_seen = false;
			bind_i64(&a->bind, 0, job->inbox);
			any = true;
		}
	if (!any)
		return;
	a->is_polling = true;
	db_send(a->db, &a->bind, ask_on_inbox, a, 0);
	db_sync(a->db, ask_on_polled, a);
}

void ask_close(struct ask *a)
{
	struct ask_job *job, *after;

	if (a == NULL)
		return;
	a->is_closing = true;
	for (job = a->first; job != NULL; job = after) {
		after = job->link_next;
		if (job->req != NULL)
			ask_fail(job, 503, "the daemon is stopping", "try again in a moment");
	}
	db_close(a->db); /* ends the open groups, which frees their jobs */
	assert(a->first == NULL);
	loop_timer_close(a->deadline);
	loop_timer_close(a->poll);
	bind_fini(&a->bind);
	free(a);
}
