/* api_card.c: GET /customers/{key} and its timeline.
 *
 * The card comes in two round trips: which one it is, then what hangs on it; the timeline likewise.
 */
#include "door/api_int.h"

#include "base/json.h"

struct card_call {
	struct api_call call;
	struct timeline line;
};

/* ---- the card ---- */

static void card_on_row(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct card_call *c = job->user;

	(void)tag;
	if (db_rows_count(rows) == 0)
		return;
	c->call.customer = db_rows_i64(rows, 0, 0);
	buf_char(&job->out, '{');
	read_members(&job->out, READ_CARD, rows, 0, 0);
}

static void card_on_identities(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct buf *out = &job->out;

	(void)tag;
	json_put_key(out, "identities");
	buf_char(out, '[');
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		const char *kind = read_identity_name((int)db_rows_i64(rows, i, 0));

		buf_str(out, i ? ",{" : "{");
		json_put_key(out, "kind");
		json_put_text(out, span_of(kind ? kind : "other"));
		json_put_key(out, "value");
		json_put_text(out, db_rows_text(rows, i, 1));
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

static void card_on_orders(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;

	(void)tag;
	json_put_key(&job->out, "orders");
	buf_char(&job->out, '[');
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		if (i > 0)
			buf_char(&job->out, ',');
		read_object(&job->out, READ_ORDER, rows, i, 0);
	}
	buf_str(&job->out, "]}");
}

static void card_on_found(struct ask_job *job)
{
	struct card_call *c = job->user;
	struct bind *b = ask_bind(job, SQL_API_IDENTITIES);

	bind_i64(b, 0, c->call.customer);
	ask_send(job, card_on_identities, 0);
	b = ask_bind(job, SQL_API_ORDERS);
	bind_i64(b, 0, c->call.customer);
	bind_key(b, 1, c->call.store);
	ask_send(job, card_on_orders, 0);
	ask_sync(job, api_answer);
}

/* ---- the timeline ---- */

static void card_on_entries(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct card_call *c = job->user;

	timeline_take(&c->line, (enum timeline_kind)tag, rows);
}

static void card_on_timeline(struct ask_job *job)
{
	struct card_call *c = job->user;
	bool more = timeline_sort(&c->line);
	struct buf *out = &job->out;

	buf_printf(out, "{\"customer\":\"%lld\",\"timeline\":[", (long long)c->call.customer);
	for (size_t i = 0; i < c->line.n; i++) {
		if (i > 0)
			buf_char(out, ',');
		buf_span(out, c->line.entries[i].json);
	}
	buf_str(out, "],\"next\":");
	if (more) {
		buf_char(out, '"');
		timeline_cursor(&c->line, out);
		buf_str(out, "\"}");
	} else {
		buf_str(out, "null}");
	}
	api_answer(job);
}

static void card_on_line_found(struct ask_job *job)
{
	struct card_call *c = job->user;

	for (unsigned kind = 0; kind < TIMELINE_KINDS; kind++) {
		/* timeline_bind says which statement it is */
		timeline_bind(&c->line, (enum timeline_kind)kind, c->call.customer, c->call.store,
			ask_bind(job, SQL_LINE_EVENTS));
		ask_send(job, card_on_entries, kind);
	}
	ask_sync(job, card_on_timeline);
}

void api_on_customer(void *arg, struct http_request *req)
{
	struct ask_job *job = api_begin(arg, req, sizeof(struct card_call));
	struct span rest, key, what = SPAN("");
	struct card_call *c;

	if (job == NULL)
		return;
	rest = req->tail;
	c = job->user;
	if (!api_path_piece(job, &rest, &key) ||
		(rest.n > 0 && (!api_path_piece(job, &rest, &what) || rest.n > 0 ||
				       !span_is(what, "timeline")))) {
		ask_refuse(job, 404, "there is nothing at this path", NULL,
			"/customers/{key} or /customers/{key}/timeline");
		return;
	}
	if (what.n == 0) {
		api_find(job, key, card_on_row, card_on_found);
		return;
	}
	if (!api_read_limit(job))
		return;
	if (!timeline_init(&c->line, &job->arena, (size_t)c->call.limit, api_query(job, "after")))
		ask_refuse(job, 400, "after is no page's \"next\"", "after", NULL);
	else
		api_find(job, key, NULL, card_on_line_found);
}
