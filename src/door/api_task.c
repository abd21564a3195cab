/* api_task.c: one task, and what people do with it.
 *
 *   MOVE: is it in a state for it? then inbox row and audit line, one statement
 *     -> wait until the row is judged
 *       -> MOVED: the task as it stands, and whether it was this row that moved it
 *
 * Only the judge moves a task, under the customer's lock (engine/card_task): the question at MOVE
 * saves the wait where the answer is clear, MOVED is the one that counts.  Of two managers who
 * press "take" in the same moment one gets 200 and the other 409, whichever engines they talk to.
 */
#include "door/api_int.h"

#include "base/json.h"
#include "model/task.h"

#include <stdio.h>
#include <string.h>

enum { TASK_WORD_MOST = 200 }; /* bytes of a manager's name or a result */

/* What a job on a task keeps. */
struct task_call {
	struct api_call call;
	int64_t id;
	const struct task_move *move;
	struct span manager, result;
	bool found, state_fits, result_fits, moved;
	int64_t inbox, customer;
	struct span results; /* those to choose from, in the arena */
	struct span state;
	struct span by; /* who has it */
};

static const struct task_move {
	const char *verb, *type, *tried;
} task_moves[] = {
	{ "take", "task.taken", "taken" },
	{ "done", "task.done", "done" },
	{ "cancel", "task.cancelled", "cancelled" },
};

static const struct task_move *task_find_move(struct span verb)
{
	for (size_t i = 0; i < sizeof task_moves / sizeof *task_moves; i++)
		if (span_is(verb, task_moves[i].verb))
			return &task_moves[i];
	return NULL;
}

/* ---- one task ---- */

enum { TASK_COL_STORE = 3, TASK_COL_MANAGER = 7, TASK_COL_STATE = 20 }; /* of API_TASK_COLUMNS */

static struct span task_copy(struct ask_job *job, struct span s)
{
	return s.n ? (struct span){ arena_dup(&job->arena, s.p, s.n), s.n } : SPAN("");
}

/* Writes the task whose columns begin at `first`. */
static void task_take_row(struct ask_job *job, const struct db_rows *rows, unsigned first)
{
	struct task_call *c = job->user;

	c->found = c->call.store.n == 0 ||
		   span_eq(db_rows_text(rows, 0, first + TASK_COL_STORE), c->call.store);
	c->state = task_copy(job, db_rows_text(rows, 0, first + TASK_COL_STATE));
	c->by = task_copy(job, db_rows_text(rows, 0, first + TASK_COL_MANAGER));
	buf_clear(&job->out);
	read_object(&job->out, READ_TASK, rows, 0, first);
}

static void task_on_row(void *arg, unsigned tag, const struct db_rows *rows)
{
	(void)tag;
	if (db_rows_count(rows) > 0)
		task_take_row(arg, rows, 0);
}

static void task_refuse_missing(struct ask_job *job)
{
	ask_refuse(job, 404, "there is no such task", NULL, NULL);
}

static void task_on_read(struct ask_job *job)
{
	const struct task_call *c = job->user;

	if (c->found)
		api_answer(job);
	else
		task_refuse_missing(job);
}

/* Asks for the task as it is. */
static void task_read(struct ask_job *job, ask_next_fn *next)
{
	const struct task_call *c = job->user;

	bind_i64(ask_bind(job, SQL_API_TASK), 0, c->id);
	ask_send(job, task_on_row, 0);
	ask_sync(job, next);
}

/* The number at the head of the path. */
static bool task_read_id(struct ask_job *job, struct span *rest)
{
	struct task_call *c = job->user;
	struct span text;

	return api_path_piece(job, rest, &text) && span_to_i64(text, &c->id) && c->id > 0;
}

void api_on_task(void *arg, struct http_request *req)
{
	struct ask_job *job = api_begin(arg, req, sizeof(struct task_call));
	struct span rest;

	if (job == NULL)
		return;
	rest = req->tail;
	if (task_read_id(job, &rest) && rest.n == 0)
		task_read(job, task_on_read);
	else
		task_refuse_missing(job);
}

/* ---- what is asked for ---- */

/* A member of the body that is a short text; false: it has been answered. */
static bool task_read_word(struct ask_job *job, const struct json_member *m, struct span *ret)
{
	char path[40];

	*ret = SPAN("");
	if (m->value.n == 0 || json_is_null(m->value))
		return true;
	snprintf(path, sizeof path, "$.%s", m->key);
	if (json_kind(m->value) != JSON_STRING) {
		ask_refuse(job, 400, "it must be a text", path, NULL);
		return false;
	}
	*ret = task_copy(job, json_text(m->value, &job->arena));
	if (ret->n <= TASK_WORD_MOST)
		return true;
	ask_refuse(job, 400, "it is too long", path, "at most 200 bytes");
	return false;
}

/* manager and result; a body may be missing; false: it has been answered. */
static bool task_read_body(struct ask_job *job, struct span body)
{
	struct json_member want[] = { { "manager", { 0 } }, { "result", { 0 } } };
	struct task_call *c = job->user;
	struct json_fault fault;
	struct json_iter it;
	struct span key, value;
	const char *end;

	if (span_trim(body).n == 0)
		return true;
	end = json_check_object(body.p, body.p + body.n, want, 2, &fault);
	if (end == NULL || span_trim((struct span){ end, (size_t)(body.p + body.n - end) }).n > 0) {
		ask_refuse(job, 400, end ? "there is more behind the object" : fault.what,
			end ? "$" : fault.path, "send {\"manager\":...,\"result\":...}");
		return false;
	}
	json_iter_init(&it, body);
	while (json_next(&it, &key, &value))
		if (!json_text_is(key, SPAN("manager")) && !json_text_is(key, SPAN("result"))) {
			ask_refuse(job, 400, "there is a member that nobody knows", "$",
				"send {\"manager\":...,\"result\":...}");
			return false;
		}
	return task_read_word(job, &want[0], &c->manager) &&
	       task_read_word(job, &want[1], &c->result);
}

/* ---- the change ---- */

/* What the event says. */
static void task_put_data(const struct task_call *c, struct buf *b)
{
	buf_printf(b, "{\"by\":\"api\"");
	if (c->manager.n) {
		json_put_key(b, "manager");
		json_put_text(b, c->manager);
	}
	if (c->result.n) {
		json_put_key(b, "result");
		json_put_text(b, c->result);
	}
	json_put_key(b, "task_id");
	buf_printf(b, "\"%lld\"}", (long long)c->id);
}

static void task_on_move_row(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct task_call *c = job->user;

	(void)tag;
	if (db_rows_count(rows) == 0)
		return;
	c->found = true;
	c->state_fits = db_rows_bool(rows, 0, 0);
	c->result_fits = db_rows_bool(rows, 0, 1);
	c->inbox = db_rows_i64(rows, 0, 2);
	c->customer = db_rows_i64(rows, 0, 3);
	c->results = task_copy(job, db_rows_text(rows, 0, 4));
}

/* 409 with the state that the task is in. */
static void task_refuse_state(struct ask_job *job)
{
	const struct task_call *c = job->user;
	char text[400];

	if (!c->found) {
		task_refuse_missing(job);
		return;
	}
	snprintf(text, sizeof text, "the task can not be %s: it is %.*s%s%.*s", c->move->tried,
		SPAN_ARG(c->state), c->by.n ? " by " : "", SPAN_ARG(c->by));
	ask_refuse(job, 409, text, NULL, "GET /tasks/{id} shows it");
}

static void task_on_moved_row(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct task_call *c = job->user;

	(void)tag;
	c->found = false;
	if (db_rows_count(rows) == 0)
		return;
	c->moved = db_rows_bool(rows, 0, 0);
	task_take_row(job, rows, 1);
}

static void task_on_moved(struct ask_job *job)
{
	const struct task_call *c = job->user;

	if (c->found && c->moved)
		api_answer(job);
	else
		task_refuse_state(job);
}

static void task_on_judged(struct ask_job *job)
{
	const struct task_call *c = job->user;
	struct bind *b = ask_bind(job, SQL_API_TASK_MOVED);

	bind_i64(b, 0, c->id);
	bind_i64(b, 1, c->inbox);
	bind_i64(b, 2, c->customer);
	bind_key(b, 3, span_of(c->move->type));
	ask_send(job, task_on_moved_row, 0);
	ask_sync(job, task_on_moved);
}

static void task_on_move(struct ask_job *job)
{
	const struct task_call *c = job->user;
	struct buf hint = { 0 };

	if (!c->found) {
		task_refuse_missing(job);
	} else if (c->inbox != 0) {
		ask_until_judged(job, c->inbox, task_on_judged);
	} else if (!c->state_fits) {
		task_read(job, task_refuse_state);
	} else if (!c->result_fits) {
		buf_printf(&hint, "one of %.*s", SPAN_ARG(c->results));
		ask_refuse(job, 400, "the task does not have this result", "$.result", hint.p);
		buf_free(&hint);
	} else { /* its customer is gone */
		task_refuse_missing(job);
	}
}

/* Sends the inbox row. */
static void task_move(struct ask_job *job)
{
	const struct task_call *c = job->user;
	struct bind *b = ask_bind(job, SQL_API_TASK_MOVE);
	struct buf data = { 0 };

	task_put_data(c, &data);
	bind_i64(b, 0, c->id);
	bind_key(b, 1, span_of(c->move->type));
	bind_key(b, 2, buf_as_span(&data));
	bind_key(b, 3, c->result);
	bind_key(b, 4, c->manager.n ? c->manager : SPAN("admin"));
	bind_key(b, 5, span_of(http_peer(job->req)));
	ask_send(job, task_on_move_row, 0);
	ask_sync(job, task_on_move);
	buf_free(&data);
}

void api_on_task_change(void *arg, struct http_request *req)
{
	struct ask_job *job = api_begin(arg, req, sizeof(struct task_call));
	struct span rest, verb;
	struct task_call *c;

	if (job == NULL)
		return;
	rest = req->tail;
	c = job->user;
	c->manager = c->result = SPAN("");
	if (!task_read_id(job, &rest) || !api_path_piece(job, &rest, &verb) || rest.n > 0 ||
		(c->move = task_find_move(verb)) == NULL) {
		ask_refuse(job, 404, "there is nothing at this path", NULL,
			"/tasks/{id}/take, /tasks/{id}/done or /tasks/{id}/cancel");
		return;
	}
	if (task_read_body(job, req->body))
		task_move(job);
}
