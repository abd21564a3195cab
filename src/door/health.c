/* health.c: two constants, one JSON object, and the exposition of metrics.
 *
 * Anybody may ask for the last two, as often as he likes.  So there is one question to the database for each at a time;
 * who comes while it is on its way gets the same text (`crowd`).
 *
 * Whether the daemon is ready is asked when the request comes and again when the pauses have come:
 * the state is cheap to look at, and so the answer is as of the moment it is sent.  /healthz looks
 * at nothing: a restart does not help against a missing database, so it must not be a reason for
 * one.
 */
#include "door/health.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "db/read.h"
#include "door/ask.h"
#include "door/http.h"
#include "door/metrics.h"

#include <stdlib.h>

enum { CROWD_MOST = 1024 }; /* their answers are all written at once: some 15 MiB of metrics */

/* Those who wait for the answer to one question. */
struct crowd {
	bool is_asking;
	struct http_request *waiting[CROWD_MOST]; /* besides the one that asked */
	size_t n;
};

struct health {
	struct health_env env;
	struct crowd ready, scrapes;
};

/* Of one /readyz that waits for the pauses. */
struct health_wait {
	struct health *health;
	struct span paused; /* JSON array, in the job's arena */
};

/* True: there is a question on its way, and its answer is this one's, too; or it has been refused. */
static bool crowd_join(struct crowd *c, struct http_request *req)
{
	if (!c->is_asking)
		return false;
	if (c->n < CROWD_MOST)
		c->waiting[c->n++] = req;
	else
		http_refuse(
			req, 503, "too many ask for this at a time", NULL, "try again in a moment");
	return true;
}

/* Answers all of them with what the job has written. */
static void crowd_answer(struct crowd *c, struct ask_job *job, int status, const char *type)
{
	for (size_t i = 0; i < c->n; i++)
		http_answer(c->waiting[i], status, type, buf_as_span(&job->out));
	c->n = 0;
	c->is_asking = false;
	ask_answer(job, status, type, buf_as_span(&job->out));
}

void health_reason(struct health_state *s, const char *why)
{
	if (s->n_reasons < HEALTH_REASONS)
		s->reasons[s->n_reasons++] = why;
}

/* The state with the reasons that follow from it. */
static void health_look(const struct health *h, struct health_state *ret)
{
	*ret = (struct health_state){ 0 };
	h->env.look(h->env.arg, ret);
	if (ret->draining)
		health_reason(ret, "the daemon is stopping");
	if (h->env.ask != NULL && ask_is_unsafe(h->env.ask))
		ret->unsafe_durability = true;
}

static void health_put_flag(struct buf *b, const char *key, bool on)
{
	json_put_key(b, key);
	buf_str(b, on ? "true" : "false");
}

/* Writes the answer; paused: a JSON array, or empty when it is not known.  Returns the status. */
static int health_write(const struct health *h, struct span paused, struct buf *b)
{
	struct health_state s;
	char text[32];

	health_look(h, &s);
	buf_char(b, '{');
	health_put_flag(b, "ready", s.n_reasons == 0);
	json_put_key(b, "reasons");
	buf_char(b, '[');
	for (size_t i = 0; i < s.n_reasons; i++) {
		if (i > 0)
			buf_char(b, ',');
		json_put_text(b, span_of(s.reasons[i]));
	}
	buf_char(b, ']');
	health_put_flag(b, "draining", s.draining);
	health_put_flag(b, "unsafe_durability", s.unsafe_durability);
	health_put_flag(b, "clocks_disagree", s.clocks_disagree);
	json_put_key(b, "partitions_until");
	if (s.partitions_until_us > 0)
		buf_printf(b, "\"%s\"", clock_format_rfc3339(s.partitions_until_us, text));
	else
		buf_str(b, "null");
	json_put_key(b, "rule_set");
	if (s.rule_set != 0)
		buf_printf(b, "\"%lld\"", (long long)s.rule_set);
	else
		buf_str(b, "null");
	json_put_key(b, "paused");
	buf_span(b, paused.n ? paused : SPAN("null"));
	buf_str(b, "}\n");
	return s.n_reasons == 0 ? 200 : 503;
}

static void health_on_pauses(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct health_wait *w = job->user;
	struct buf b = { 0 };

	(void)tag;
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		buf_char(&b, i ? ',' : '[');
		read_object(&b, READ_PAUSE, rows, i, 0);
	}
	buf_str(&b, b.n ? "]" : "[]");
	w->paused = (struct span){ arena_dup(&job->arena, b.p, b.n), b.n };
	buf_free(&b);
}

static void health_on_known(struct ask_job *job)
{
	struct health_wait *w = job->user;
	int status = health_write(w->health, w->paused, &job->out);

	crowd_answer(&w->health->ready, job, status, "application/json");
}

/* The database did not answer: what is known without it is said all the same. */
static void health_on_unknown(struct ask_job *job, int status)
{
	struct health_wait *w = job->user;

	(void)status;
	buf_clear(&job->out);
	status = health_write(w->health, (struct span){ NULL, 0 }, &job->out);
	crowd_answer(&w->health->ready, job, status, "application/json");
}

static void health_on_ready(void *arg, struct http_request *req)
{
	struct health *h = arg;
	struct ask_job *job = NULL;

	if (crowd_join(&h->ready, req))
		return;
	if (h->env.ask != NULL && ask_has_room(h->env.ask))
		job = ask_begin(h->env.ask, req, sizeof(struct health_wait));
	if (job == NULL) {
		struct buf b = { 0 };
		int status = health_write(h, (struct span){ NULL, 0 }, &b);

		http_answer(req, status, "application/json", buf_as_span(&b));
		buf_free(&b);
		return;
	}
	((struct health_wait *)job->user)->health = h;
	h->ready.is_asking = true;
	job->fail = health_on_unknown;
	ask_bind(job, SQL_API_PAUSES);
	ask_send(job, health_on_pauses, 0);
	ask_sync(job, health_on_known);
}

static void health_on_alive(void *arg, struct http_request *req)
{
	(void)arg;
	http_answer(req, 200, "application/json", SPAN("{\"alive\":true}\n"));
}

/* ---- metrics ---- */

/* What the database knows, in the order of SQL_API_GAUGES. */
static const struct {
	enum metric metric;
	unsigned cell;
} health_gauges[] = {
	{ METRIC_QUEUE_DEPTH, METRIC_Q_INBOX },
	{ METRIC_QUEUE_DEPTH, METRIC_Q_CHAINS },
	{ METRIC_QUEUE_DEPTH, METRIC_Q_MESSAGES },
	{ METRIC_QUEUE_OLDEST, METRIC_Q_INBOX },
	{ METRIC_QUEUE_OLDEST, METRIC_Q_CHAINS },
	{ METRIC_QUEUE_OLDEST, METRIC_Q_MESSAGES },
	{ METRIC_PAUSED, METRIC_SCOPE_ALL },
	{ METRIC_PAUSED, METRIC_SCOPE_CHANNEL },
	{ METRIC_PAUSED, METRIC_SCOPE_RULE },
	{ METRIC_PARTITIONS, 0 },
};
enum { HEALTH_GAUGES = sizeof health_gauges / sizeof *health_gauges };

/* Of one /metrics that waits for them. */
struct health_scrape {
	struct health *health;
	int64_t gauge[HEALTH_GAUGES];
};

/* The gauges of the whole fleet stand in this process's cells only while the answer is written: each engine is asked
 * at times, and what one of them has seen an hour ago must not count beside what another one sees now. */
static void health_put_gauges(const struct health *h, const int64_t *gauge)
{
	for (int i = 0; i < HEALTH_GAUGES; i++)
		metrics_cells(h->env.slot, health_gauges[i].metric)[health_gauges[i].cell] =
			gauge != NULL && gauge[i] > 0 ? (uint64_t)gauge[i] : 0;
}

/* The exposition; gauge NULL: the database was not to be asked. */
static void health_expose(const struct health *h, const int64_t *gauge, struct buf *b)
{
	if (h->env.count != NULL)
		h->env.count(h->env.arg);
	if (h->env.slot != NULL)
		health_put_gauges(h, gauge);
	metrics_write(h->env.metrics, b);
	if (h->env.slot != NULL)
		health_put_gauges(h, NULL);
}

static void health_on_gauges(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct health_scrape *s = ((struct ask_job *)arg)->user;

	(void)tag;
	for (unsigned i = 0; i < HEALTH_GAUGES; i++)
		s->gauge[i] = db_rows_i64(rows, 0, i);
}

static void health_answer_scrapes(struct ask_job *job, const int64_t *gauge)
{
	struct health *h = ((struct health_scrape *)job->user)->health;

	buf_clear(&job->out);
	health_expose(h, gauge, &job->out);
	crowd_answer(&h->scrapes, job, 200, metrics_content_type);
}

static void health_on_scraped(struct ask_job *job)
{
	health_answer_scrapes(job, ((struct health_scrape *)job->user)->gauge);
}

static void health_on_unscraped(struct ask_job *job, int status)
{
	(void)status;
	health_answer_scrapes(job, NULL);
}

static void health_on_metrics(void *arg, struct http_request *req)
{
	struct health *h = arg;
	struct ask_job *job = NULL;
	struct buf b = { 0 };

	if (h->env.metrics == NULL) {
		http_refuse(req, 404, "this daemon does not count", NULL, NULL);
		return;
	}
	if (crowd_join(&h->scrapes, req))
		return;
	if (h->env.slot != NULL && h->env.ask != NULL && ask_is_up(h->env.ask) &&
		ask_has_room(h->env.ask))
		job = ask_begin(h->env.ask, req, sizeof(struct health_scrape));
	if (job == NULL) {
		health_expose(h, NULL, &b);
		http_answer(req, 200, metrics_content_type, buf_as_span(&b));
		buf_free(&b);
		return;
	}
	((struct health_scrape *)job->user)->health = h;
	h->scrapes.is_asking = true;
	job->fail = health_on_unscraped;
	ask_bind(job, SQL_API_GAUGES);
	ask_send(job, health_on_gauges, 0);
	ask_sync(job, health_on_scraped);
}

static const struct http_route health_table[] = {
	{ "GET", "/healthz", false, 0, NULL, health_on_alive },
	{ "GET", "/livez", false, 0, NULL, health_on_alive },
	{ "GET", "/readyz", false, 0, NULL, health_on_ready },
	{ "GET", "/metrics", false, 0, NULL, health_on_metrics },
};

struct health *health_open(const struct health_env *env)
{
	struct health *h = xcalloc(1, sizeof *h);

	h->env = *env;
	return h;
}

void health_add_routes(struct health *h, struct http *server)
{
	http_add_routes(server, health_table, sizeof health_table / sizeof *health_table, h);
}

void health_close(struct health *h)
{
	free(h);
}
