/* metrics.c: one table, one block of shared memory, one writer of text.
 *
 * Each slot has two arrays over all cells of all metrics: what its processes before this one counted,
 * and what this one counts.  So a restart never makes a counter fall (Prometheus would take that for a
 * reset of the sum), and counting is a plain increment of a word that nobody else writes.  Locks or
 * atomic additions would cost more than what they count; a scrape served by one process that asks the
 * others by message was not taken, because a hung process would take the metrics with it.
 *
 * process_* are sums over the daemon's processes: which engine answers a scrape is chance.
 */
#include "config.h"

#include "door/metrics.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "model/event.h"
#include "model/message.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

const char metrics_content_type[] = "text/plain; version=0.0.4; charset=utf-8";

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_GAUGE_MOST, KIND_HISTOGRAM };

struct metric_label {
	const char *name;
	size_t n;
	const char *(*value)(unsigned i); /* NULL for one that is not shown */
};

struct metric_row {
	const char *name;
	const char *help;
	enum metric_kind kind; /* KIND_GAUGE_MOST: the largest of the slots, not their sum */
	unsigned per_unit;     /* cells are so much finer than what is shown; 0: the same */
	struct metric_label labels[2];
};

/* Upper bounds of the histograms' buckets. */
static const int64_t metric_bounds_us[] = { 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000,
	250000, 500000, 1000000, 2500000, 5000000, 10000000, 60000000, 600000000 };

enum {
	BOUNDS = sizeof metric_bounds_us / sizeof *metric_bounds_us,
	HISTOGRAM_CELLS = BOUNDS + 2, /* each bucket, what is beyond, the sum in microseconds */
	METRIC_CELLS_MOST = 512
};

/* ---- the values of labels ---- */

static const char *label_source(unsigned i)
{
	static const char *const names[METRIC_SOURCES] = { "http", "mqtt", "within" };

	return names[i];
}

static const char *label_result(unsigned i)
{
	return i == EVENT_NEW ? NULL : event_status_name((enum event_status)i);
}

static const char *label_channel(unsigned i)
{
	return message_channel_name((enum message_channel)i);
}

static const char *label_state(unsigned i)
{
	return message_state_name((enum message_state)i);
}

static const char *label_queue(unsigned i)
{
	static const char *const names[METRIC_QUEUES] = { "events", "inbox", "chains", "messages" };

	return names[i];
}

static const char *label_scope(unsigned i)
{
	static const char *const names[METRIC_SCOPES] = { "all", "channel", "rule" };

	return names[i];
}

static const char *label_task(unsigned i)
{
	static const char *const names[METRIC_TASK_STATES] = { "created", "done", "cancelled",
		"overdue" };

	return names[i];
}

static const char *label_class(unsigned i)
{
	static const char *const names[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };

	return names[i];
}

static const char *label_refusal(unsigned i)
{
	return http_refusal_name((enum http_refusal)i);
}

/* ---- the table: a row here also needs one in enum metric ---- */

#define PLAIN                                                                                      \
	{                                                                                          \
		{ NULL, 0, NULL },                                                                 \
		{                                                                                  \
			NULL, 0, NULL                                                              \
		}                                                                                  \
	}
#define BY(name, n, fn)                                                                            \
	{                                                                                          \
		{ name, n, fn },                                                                   \
		{                                                                                  \
			NULL, 0, NULL                                                              \
		}                                                                                  \
	}

static const struct metric_row metric_rows[METRICS] = {
	[METRIC_EVENTS] = { "nudged_events_ingested_total",
		"Events settled, by the way they came and what became of them.", KIND_COUNTER, 0,
		{ { "source", METRIC_SOURCES, label_source },
			{ "result", EVENT_QUARANTINED + 1, label_result } } },
	[METRIC_ACTIONS] = { "nudged_actions_total", "Messages that entered a state.", KIND_COUNTER,
		0,
		{ { "channel", CHANNEL_COUNT, label_channel },
			{ "state", MESSAGE_REFUSED + 1, label_state } } },
	[METRIC_TASKS] = { "nudged_tasks_total", "Tasks that entered a state.", KIND_COUNTER, 0,
		BY("state", METRIC_TASK_STATES, label_task) },
	[METRIC_BATCHES] = { "nudged_batches_total", "Batches committed.", KIND_COUNTER, 0, PLAIN },
	[METRIC_BATCH_RETRIES] = { "nudged_batch_retries_total",
		"Batches done again after a refusal or a conflict.", KIND_COUNTER, 0, PLAIN },
	[METRIC_BATCHES_LOST] = { "nudged_batches_lost_total",
		"Batches whose outcome was unknown, and that were done again.", KIND_COUNTER, 0,
		PLAIN },
	[METRIC_CHAINS_DUE] = { "nudged_chains_woken_total",
		"Chains that were woken by their time.", KIND_COUNTER, 0, PLAIN },
	[METRIC_INGEST_COMMIT] = { "nudged_ingest_commit_seconds",
		"From an event's arrival to the commit of all it caused.", KIND_HISTOGRAM, 1000000,
		PLAIN },
	[METRIC_DUE_LAG] = { "nudged_chain_due_lag_seconds", "From a chain's due time to its run.",
		KIND_HISTOGRAM, 1000000, PLAIN },
	[METRIC_SEND_LAG] = { "nudged_message_due_sent_lag_seconds",
		"From a message's due time to its hand-over.", KIND_HISTOGRAM, 1000000, PLAIN },
	[METRIC_QUEUE_DEPTH] = { "nudged_queue_depth",
		"What waits: events in all engines; the others as last seen in the database.",
		KIND_GAUGE, 0, BY("queue", METRIC_QUEUES, label_queue) },
	[METRIC_QUEUE_BYTES] = { "nudged_queue_bytes",
		"Bytes of the events that wait in the engines.", KIND_GAUGE, 0, PLAIN },
	[METRIC_QUEUE_OLDEST] = { "nudged_queue_oldest_seconds", "Age of the oldest that waits.",
		KIND_GAUGE_MOST, 0, BY("queue", METRIC_QUEUES, label_queue) },
	[METRIC_PARTITIONS] = { "nudged_event_partitions", "Partitions of the table of events.",
		KIND_GAUGE_MOST, 0, PLAIN },
	[METRIC_PAUSED] = { "nudged_paused", "Pauses in force, by what they stop (nudgectl pause).",
		KIND_GAUGE, 0, BY("scope", METRIC_SCOPES, label_scope) },
	[METRIC_CLOCK_SKEW] = { "nudged_clock_skew_seconds",
		"How far this host's clock is off the database's.", KIND_GAUGE_MOST, 1000000,
		PLAIN },
	[METRIC_CLOCK_PAUSED] = { "nudged_clocks_disagree",
		"1 while timers, deadlines and sends pause because the clocks disagree.",
		KIND_GAUGE_MOST, 0, PLAIN },
	[METRIC_DATABASE_CONNECTED] = { "nudged_database_connected",
		"Processes that reach the database.", KIND_GAUGE, 0, PLAIN },
	[METRIC_MQTT_CONNECTED] = { "nudged_mqtt_connected",
		"Processes that hold a session with the broker.", KIND_GAUGE, 0, PLAIN },
	[METRIC_MQTT_MESSAGES] = { "nudged_mqtt_messages_received_total",
		"Messages taken from the broker, repeated ones included.", KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_EVENTS] = { "nudged_mqtt_events_total", "Events given to the intake.",
		KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_UNREADABLE] = { "nudged_mqtt_unreadable_total",
		"Events that could not be read, and were quarantined.", KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_FOREIGN] = { "nudged_mqtt_foreign_total",
		"Messages passed over: not our topic, or a store that is not allowed.",
		KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_RETAINED] = { "nudged_mqtt_retained_total",
		"Messages passed over because the broker had kept them.", KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_ACKNOWLEDGED] = { "nudged_mqtt_batches_acknowledged_total",
		"Batches acknowledged to the broker.", KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_CONNECTS] = { "nudged_mqtt_connects_total",
		"Connections that the broker accepted.", KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_DROPS] = { "nudged_mqtt_disconnects_total",
		"Connections that ended without our wish.", KIND_COUNTER, 0, PLAIN },
	[METRIC_MQTT_SESSIONS_LOST] = { "nudged_mqtt_sessions_lost_total",
		"Sessions that the broker had forgotten: events may have been lost.", KIND_COUNTER,
		0, PLAIN },
	[METRIC_MQTT_PAUSED] = { "nudged_mqtt_paused",
		"Sessions that are not being read: the intake is full or not ready.", KIND_GAUGE, 0,
		PLAIN },
	[METRIC_HTTP_CONNECTIONS] = { "nudged_http_connections", "Open HTTP connections.",
		KIND_GAUGE, 0, PLAIN },
	[METRIC_HTTP_REQUESTS] = { "nudged_http_requests_in_flight",
		"HTTP requests that wait for their answer.", KIND_GAUGE, 0, PLAIN },
	[METRIC_HTTP_ACCEPTED] = { "nudged_http_connections_accepted_total",
		"HTTP connections accepted.", KIND_COUNTER, 0, PLAIN },
	[METRIC_HTTP_ANSWERS] = { "nudged_http_answers_total",
		"HTTP answers, by the class of their status.", KIND_COUNTER, 0,
		BY("class", 5, label_class) },
	[METRIC_HTTP_REFUSED] = { "nudged_http_refused_total",
		"HTTP requests and connections that the server turned away by itself.",
		KIND_COUNTER, 0, BY("reason", HTTP_REFUSALS, label_refusal) },
	[METRIC_HTTP_RECEIVED] = { "nudged_http_received_bytes_total",
		"Bytes read from HTTP connections.", KIND_COUNTER, 0, PLAIN },
	[METRIC_HTTP_SENT] = { "nudged_http_sent_bytes_total", "Bytes written to HTTP connections.",
		KIND_COUNTER, 0, PLAIN },
	[METRIC_LOG_LOST] = { "nudged_log_lines_lost_total",
		"Log lines lost because their reader was too slow.", KIND_COUNTER, 0, PLAIN },
	[METRIC_PROCESSES] = { "nudged_processes", "Processes that count.", KIND_GAUGE, 0, PLAIN },
	[METRIC_PROCESS_CPU] = { "process_cpu_seconds_total",
		"User and system time of all processes.", KIND_COUNTER, 1000000, PLAIN },
	[METRIC_PROCESS_RSS] = { "process_resident_memory_bytes",
		"Resident memory of all processes, shared pages counted in each.", KIND_GAUGE, 0,
		PLAIN },
	[METRIC_PROCESS_FDS] = { "process_open_fds", "Open descriptors of all processes.",
		KIND_GAUGE, 0, PLAIN },
};

struct metrics_slot {
	_Alignas(64) uint64_t before[METRIC_CELLS_MOST]; /* by the slot's former processes */
	uint64_t now[METRIC_CELLS_MOST];
};

struct metrics {
	unsigned n;
	int64_t started_us;
	struct metrics_slot slots[];
};

/* Where a metric's cells begin: the same in every process, since the table is constant. */
static size_t metric_first[METRICS + 1];

size_t metrics_count(enum metric metric)
{
	const struct metric_row *row = &metric_rows[metric];
	size_t n = 1;

	if (row->kind == KIND_HISTOGRAM)
		return HISTOGRAM_CELLS;
	for (int i = 0; i < 2; i++)
		if (row->labels[i].name != NULL)
			n *= row->labels[i].n;
	return n;
}

static size_t metrics_size(unsigned slots)
{
	return sizeof(struct metrics) + slots * sizeof(struct metrics_slot);
}

struct metrics *metrics_open(unsigned slots, struct err *err)
{
	struct metrics *m = mmap(NULL, metrics_size(slots), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED) {
		err_set(err, "could not share memory for metrics: %s", strerror(errno));
		return NULL;
	}
	for (int i = 0; i < METRICS; i++)
		metric_first[i + 1] = metric_first[i] + metrics_count((enum metric)i);
	if (metric_first[METRICS] > METRIC_CELLS_MOST)
		abort();
	m->n = slots;
	m->started_us = clock_now_us();
	return m;
}

void metrics_close(struct metrics *m)
{
	if (m != NULL)
		munmap(m, metrics_size(m->n));
}

/* Adds what was counted to `before`, if it is a counter, and begins anew. */
static void metrics_fold(struct metrics_slot *s)
{
	for (int i = 0; i < METRICS; i++) {
		bool keep = metric_rows[i].kind == KIND_COUNTER ||
			    metric_rows[i].kind == KIND_HISTOGRAM;

		for (size_t c = metric_first[i]; c < metric_first[i + 1]; c++) {
			uint64_t n = s->now[c];

			s->now[c] = 0; /* first, so that nobody counts it twice */
			if (keep)
				s->before[c] += n;
		}
	}
}

struct metrics_slot *metrics_enter(struct metrics *m, unsigned slot)
{
	struct metrics_slot *s = &m->slots[slot % m->n];

	metrics_fold(s);
	metrics_publish_process(s);
	return s;
}

void metrics_leave(struct metrics *m, unsigned slot)
{
	metrics_fold(&m->slots[slot % m->n]);
}

/* ---- counting ---- */

uint64_t *metrics_cells(struct metrics_slot *s, enum metric metric)
{
	return &s->now[metric_first[metric]];
}

const uint64_t *metrics_look(const struct metrics *m, unsigned slot, enum metric metric)
{
	return &m->slots[slot % m->n].now[metric_first[metric]];
}

void metrics_observe(struct metrics_slot *s, enum metric histogram, int64_t took_us)
{
	uint64_t *cells = metrics_cells(s, histogram);
	size_t i = 0;

	took_us = took_us > 0 ? took_us : 0;
	while (i < BOUNDS && took_us > metric_bounds_us[i])
		i++;
	cells[i]++;
	cells[BOUNDS + 1] += (uint64_t)took_us;
}

void metrics_publish_http(struct metrics_slot *s, const struct http_stats *stats)
{
	*metrics_cells(s, METRIC_HTTP_CONNECTIONS) = stats->connections;
	*metrics_cells(s, METRIC_HTTP_REQUESTS) = stats->requests;
	*metrics_cells(s, METRIC_HTTP_ACCEPTED) = stats->accepted;
	*metrics_cells(s, METRIC_HTTP_RECEIVED) = stats->bytes_in;
	*metrics_cells(s, METRIC_HTTP_SENT) = stats->bytes_out;
	memcpy(metrics_cells(s, METRIC_HTTP_ANSWERS), stats->answered + 1, 5 * sizeof(uint64_t));
	memcpy(metrics_cells(s, METRIC_HTTP_REFUSED), stats->refused, sizeof stats->refused);
}

/* Resident bytes, from /proc (ru_maxrss is inherited through exec and never falls). */
static uint64_t metrics_rss(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL) {
		if (fscanf(f, "%lu %lu", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Open descriptors.  Since Linux 6.2 the directory's size says how many; reading it costs a microsecond for each. */
static uint64_t metrics_fds(void)
{
	struct stat st;
	DIR *dir;
	uint64_t n = 0;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = opendir("/proc/self/fd");
	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and the directory itself */
}

void metrics_publish_process(struct metrics_slot *s)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) == 0)
		*metrics_cells(s, METRIC_PROCESS_CPU) =
			(uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
			(uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
	*metrics_cells(s, METRIC_PROCESS_RSS) = metrics_rss();
	*metrics_cells(s, METRIC_PROCESS_FDS) = metrics_fds();
	*metrics_cells(s, METRIC_PROCESSES) = 1;
	*metrics_cells(s, METRIC_LOG_LOST) = log_lost();
}

/* ---- writing ---- */

/* Adds the cells [first, end) of one slot. */
static void metrics_add(const struct metrics_slot *s, size_t first, size_t end, bool most,
	uint64_t sums[METRIC_CELLS_MOST])
{
	for (size_t c = first; c < end; c++) {
		uint64_t now = __atomic_load_n(&s->now[c], __ATOMIC_RELAXED);
		uint64_t before = __atomic_load_n(&s->before[c], __ATOMIC_RELAXED);

		if (!most)
			sums[c] += before + now;
		else if (now > sums[c])
			sums[c] = now;
	}
}

/* All cells over all slots.  Slot by slot: one cell of each lies in the same line of the cache. */
static void metrics_sum(const struct metrics *m, uint64_t ret_sums[METRIC_CELLS_MOST])
{
	memset(ret_sums, 0, METRIC_CELLS_MOST * sizeof *ret_sums);
	for (unsigned slot = 0; slot < m->n; slot++)
		for (int i = 0; i < METRICS; i++)
			metrics_add(&m->slots[slot], metric_first[i], metric_first[i + 1],
				metric_rows[i].kind == KIND_GAUGE_MOST, ret_sums);
}

/* A number in the unit that is shown. */
static void metrics_put(struct buf *out, uint64_t v, unsigned per_unit)
{
	buf_char(out, ' ');
	if (per_unit == 0)
		buf_printf(out, "%llu\n", (unsigned long long)v);
	else
		buf_printf(out, "%.6f\n", (double)v / per_unit);
}

/* All samples of a counter or gauge. */
static void metrics_write_cells(const uint64_t *sums, enum metric metric, struct buf *out)
{
	const struct metric_row *row = &metric_rows[metric];
	const struct metric_label *a = &row->labels[0], *b = &row->labels[1];
	size_t n = metrics_count(metric), inner = b->name ? b->n : 1;

	for (size_t i = 0; i < n; i++) {
		const char *x = a->name ? a->value((unsigned)(i / inner)) : "";
		const char *y = b->name ? b->value((unsigned)(i % inner)) : "";

		if (x == NULL || y == NULL)
			continue;
		buf_str(out, row->name);
		if (a->name != NULL)
			buf_printf(out, "{%s=\"%s\"", a->name, x);
		if (b->name != NULL)
			buf_printf(out, ",%s=\"%s\"", b->name, y);
		if (a->name != NULL)
			buf_char(out, '}');
		metrics_put(out, sums[metric_first[metric] + i], row->per_unit);
	}
}

/* A histogram: buckets add up, +Inf is the count. */
static void metrics_write_histogram(const uint64_t *sums, enum metric metric, struct buf *out)
{
	const char *name = metric_rows[metric].name;
	const uint64_t *cells = sums + metric_first[metric];
	uint64_t n = 0;

	for (size_t i = 0; i < BOUNDS; i++) {
		n += cells[i];
		buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name,
			(double)metric_bounds_us[i] / 1e6, (unsigned long long)n);
	}
	n += cells[BOUNDS];
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)n);
	buf_printf(out, "%s_sum %.6f\n", name, (double)cells[BOUNDS + 1] / 1e6);
	buf_printf(out, "%s_count %llu\n", name, (unsigned long long)n);
}

/* "counter", "gauge", "histogram". */
static const char *metric_kind_name(enum metric_kind kind)
{
	switch (kind) {
	case KIND_COUNTER: return "counter";
	case KIND_GAUGE:
	case KIND_GAUGE_MOST: return "gauge";
	case KIND_HISTOGRAM: return "histogram";
	}
	return "untyped";
}

void metrics_write(const struct metrics *m, struct buf *out)
{
	uint64_t sums[METRIC_CELLS_MOST];

	metrics_sum(m, sums);
	for (int i = 0; i < METRICS; i++) {
		const struct metric_row *row = &metric_rows[i];

		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
			metric_kind_name(row->kind));
		if (row->kind == KIND_HISTOGRAM)
			metrics_write_histogram(sums, (enum metric)i, out);
		else
			metrics_write_cells(sums, (enum metric)i, out);
	}
	buf_printf(out,
		"# HELP process_start_time_seconds When the daemon started.\n"
		"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n"
		"# HELP nudged_build_info The version that runs.\n"
		"# TYPE nudged_build_info gauge\nnudged_build_info{version=\"%s\"} 1\n",
		(double)m->started_us / 1e6, PACKAGE_VERSION);
}
