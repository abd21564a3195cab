/* api_list.c: GET /tasks, /chains, /messages: one table says what tells them apart.
 *
 * Three statements per list at most: of everything, of a customer, and for tasks of those that are
 * still to be done, which have an index of their own (db/sql.c, API_LIST).
 */
#include "door/api_int.h"

#include "base/json.h"
#include "model/chain.h"
#include "model/message.h"
#include "model/task.h"

#include <string.h>

enum {
	LIST_FILTERS = 3,
	LIST_FIRST = 2,
	LIST_SCAN = 10000
}; /* LIST_FIRST: columns before the row's */

struct api_list {
	const char *path;
	const char *name; /* of the array in the answer */
	enum read_what what;
	const char *filters[LIST_FILTERS]; /* parameters $3, $4, $5; the first is the state */
	enum sql_id all, live, of;
	bool (*is_state)(struct span word, bool *ret_live);
};

/* What a job on a list keeps. */
struct list_call {
	struct api_call call;
	const struct api_list *list;
	struct span filters[LIST_FILTERS];
	int64_t after;
	bool live;
	int64_t low, last; /* how far it looked; the last row shown */
	size_t seen, shown;
	bool more;
};

static bool list_is_task_state(struct span word, bool *ret_live)
{
	enum task_state s;

	*ret_live = span_is(word, "overdue");
	if (*ret_live)
		return true;
	if (!task_state_parse(word, &s))
		return false;
	*ret_live = s == TASK_OPEN || s == TASK_TAKEN;
	return true;
}

static bool list_is_message_state(struct span word, bool *ret_live)
{
	enum message_state s;

	*ret_live = false;
	return message_state_parse(word, &s);
}

static bool list_is_chain_state(struct span word, bool *ret_live)
{
	enum chain_state s;

	if (!chain_state_parse(word, &s))
		return false;
	*ret_live = chain_state_is_live(s);
	return true;
}

static const struct api_list lists[] = {
	{ "/tasks", "tasks", READ_TASK, { "state", "manager", "group" }, SQL_API_TASKS,
		SQL_API_TASKS_LIVE, SQL_API_TASKS_OF, list_is_task_state },
	{ "/messages", "messages", READ_MESSAGE, { "state", "channel", "rule" }, SQL_API_MESSAGES,
		SQL_API_MESSAGES, SQL_API_MESSAGES_OF, list_is_message_state },
	{ "/chains", "chains", READ_CHAIN, { "state", "key", "rule" }, SQL_API_CHAINS,
		SQL_API_CHAINS, SQL_API_CHAINS_OF, list_is_chain_state },
};

static const struct api_list *list_of_path(const char *path)
{
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strcmp(lists[i].path, path) == 0)
			return &lists[i];
	return NULL;
}

/* Writes the rows; the columns in front say how far the statement looked. */
static void list_on_rows(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct list_call *l = job->user;
	size_t n = db_rows_count(rows);

	(void)tag;
	if (n > 0) {
		l->low = db_rows_i64(rows, 0, 0);
		l->seen = (size_t)db_rows_i64(rows, 0, 1);
	}
	for (size_t i = 0; i < n; i++) {
		if (db_rows_null(rows, i, LIST_FIRST)) /* nothing fits */
			continue;
		if (l->shown == (size_t)l->call.limit) {
			l->more = true;
			return;
		}
		if (l->shown++ > 0)
			buf_char(&job->out, ',');
		l->last = db_rows_i64(rows, i, LIST_FIRST);
		read_object(&job->out, l->list->what, rows, i, LIST_FIRST);
	}
}

static void list_on_end(struct ask_job *job)
{
	struct list_call *l = job->user;
	int64_t next = l->more ? l->last : l->seen == LIST_SCAN ? l->low : 0;

	buf_char(&job->out, ']');
	json_put_key(&job->out, "next");
	if (next > 0)
		buf_printf(&job->out, "\"%lld\"", (long long)next);
	else
		buf_str(&job->out, "null");
	buf_char(&job->out, '}');
	api_answer(job);
}

/* Asks for the page. */
static void list_ask(struct ask_job *job)
{
	struct list_call *l = job->user;
	struct bind *b;

	b = ask_bind(job, l->call.customer ? l->list->of : l->live ? l->list->live : l->list->all);
	bind_i64(b, 0, l->after);
	bind_int(b, 1, l->call.limit + 1);
	for (unsigned i = 0; i < LIST_FILTERS; i++)
		bind_key(b, 2 + i, l->filters[i]);
	bind_key(b, 5, l->call.store);
	if (l->call.customer)
		bind_i64(b, 6, l->call.customer);
	buf_printf(&job->out, "{\"%s\":[", l->list->name);
	ask_send(job, list_on_rows, 0);
	ask_sync(job, list_on_end);
}

/* `after`; false: it has been answered. */
static bool list_read_after(struct ask_job *job)
{
	struct list_call *l = job->user;
	struct span after = api_query(job, "after");

	l->after = INT64_MAX;
	if (after.n == 0 || (span_to_i64(after, &l->after) && l->after > 0))
		return true;
	ask_refuse(job, 400, "after is no page's \"next\"", "after", NULL);
	return false;
}

void api_on_list(void *arg, struct http_request *req)
{
	struct ask_job *job = api_begin(arg, req, sizeof(struct list_call));
	struct list_call *l;
	struct span customer;

	if (job == NULL)
		return;
	l = job->user;
	l->list = list_of_path(req->route->path);
	if (!api_read_limit(job) || !list_read_after(job))
		return;
	for (unsigned i = 0; i < LIST_FILTERS; i++)
		l->filters[i] = api_query(job, l->list->filters[i]);
	customer = api_query(job, "customer");
	if (l->filters[0].n > 0 && !l->list->is_state(l->filters[0], &l->live)) {
		ask_refuse(job, 400, "there is no such state", "state", NULL);
	} else if (l->list->what == READ_CHAIN && l->filters[0].n > 0 && !l->live &&
		   customer.n == 0) {
		ask_refuse(job, 400, "chains that have ended are listed by customer only", "state",
			"add ?customer=KEY");
	} else if (customer.n > 0) {
		api_find(job, customer, NULL, list_ask);
	} else {
		list_ask(job);
	}
}
