#ifndef DOOR_METRICS_H
#define DOOR_METRICS_H
/*
 * What the daemon counts, summed over its processes, in Prometheus' text format 0.0.4.
 *
 * Life cycle: the parent calls metrics_open before it forks; one slot per child, whose number stays the
 * same over restarts.  A child calls metrics_enter first of all; then it writes into its own slot only,
 * with plain stores: metrics_cells gives the cells of one metric to whoever counts (rooms on lower
 * floors get the pointer, not this header), metrics_publish_x copies what a room counts by itself, and
 * is called once a second.  Any process may call metrics_write: it reads all slots.
 *
 * Counters go on where the slot's former process stopped; gauges begin at zero.  The memory is shared
 * and belongs to the parent; it is never freed in children.  No lock: one writer per slot, and a reader
 * that is a moment late sees the number of a moment ago.
 */
#include "base/err.h"
#include "base/str.h"
#include "door/http.h"

#include <stdint.h>

struct metrics;
struct metrics_slot;

/* A row here also needs one in metrics.c, in the same order. */
enum metric {
	METRIC_EVENTS,  /* [enum metric_source][enum event_status] */
	METRIC_ACTIONS, /* [enum message_channel][enum message_state] */
	METRIC_TASKS,   /* [enum metric_task] */
	METRIC_BATCHES,
	METRIC_BATCH_RETRIES,
	METRIC_BATCHES_LOST, /* outcome unknown, done again */
	METRIC_CHAINS_DUE,
	METRIC_INGEST_COMMIT, /* histogram */
	METRIC_DUE_LAG,       /* histogram: a chain's wake-up */
	METRIC_SEND_LAG,      /* histogram: a message's due time to its hand-over */
	METRIC_QUEUE_DEPTH,   /* [enum metric_queue] */
	METRIC_QUEUE_BYTES,
	METRIC_QUEUE_OLDEST, /* [enum metric_queue] seconds */
	METRIC_PARTITIONS,
	METRIC_PAUSED,             /* [enum metric_scope] switches that somebody has pulled */
	METRIC_CLOCK_SKEW,         /* microseconds off the database's */
	METRIC_CLOCK_PAUSED,       /* 1: by so much that timers wait */
	METRIC_DATABASE_CONNECTED, /* processes that reach it */
	METRIC_MQTT_CONNECTED,
	METRIC_MQTT_MESSAGES,
	METRIC_MQTT_EVENTS,
	METRIC_MQTT_UNREADABLE,
	METRIC_MQTT_FOREIGN,
	METRIC_MQTT_RETAINED,
	METRIC_MQTT_ACKNOWLEDGED,
	METRIC_MQTT_CONNECTS,
	METRIC_MQTT_DROPS,
	METRIC_MQTT_SESSIONS_LOST,
	METRIC_MQTT_PAUSED,
	METRIC_HTTP_CONNECTIONS,
	METRIC_HTTP_REQUESTS, /* handed to a handler, not answered */
	METRIC_HTTP_ACCEPTED,
	METRIC_HTTP_ANSWERS,  /* [first digit of the status - 1] */
	METRIC_HTTP_REFUSED,  /* [enum http_refusal] */
	METRIC_HTTP_RECEIVED, /* bytes */
	METRIC_HTTP_SENT,
	METRIC_LOG_LOST,
	METRIC_PROCESSES,
	METRIC_PROCESS_CPU, /* microseconds */
	METRIC_PROCESS_RSS, /* bytes */
	METRIC_PROCESS_FDS,
	METRICS
};

enum metric_source { METRIC_FROM_HTTP, METRIC_FROM_MQTT, METRIC_FROM_WITHIN, METRIC_SOURCES };
enum metric_queue {
	METRIC_Q_EVENTS, /* taken, not settled */
	METRIC_Q_INBOX,
	METRIC_Q_CHAINS,   /* due */
	METRIC_Q_MESSAGES, /* ready */
	METRIC_QUEUES
};
enum metric_scope { METRIC_SCOPE_ALL, METRIC_SCOPE_CHANNEL, METRIC_SCOPE_RULE, METRIC_SCOPES };
enum metric_task {
	METRIC_TASK_CREATED,
	METRIC_TASK_DONE,
	METRIC_TASK_CANCELLED,
	METRIC_TASK_OVERDUE,
	METRIC_TASK_STATES
};

/* In the parent, before it forks: shared memory for `slots` children. */
struct metrics *metrics_open(unsigned slots, struct err *err) MUST_CHECK;
/* In the child that has the slot, once, before it counts. */
struct metrics_slot *metrics_enter(struct metrics *m, unsigned slot);
/* In the parent, when the child has ended: its gauges no longer count. */
void metrics_leave(struct metrics *m, unsigned slot);
void metrics_close(struct metrics *m); /* NULL is allowed */

/* The cells of a counter or gauge, in the order of its labels (the second runs fastest): add to them
 * or set them.  Valid as long as the memory. */
uint64_t *metrics_cells(struct metrics_slot *s, enum metric metric);
/* Those of another process, to look at. */
const uint64_t *metrics_look(const struct metrics *m, unsigned slot, enum metric metric);
/* How many cells it has. */
size_t metrics_count(enum metric metric);
/* Notes a duration in a histogram. */
void metrics_observe(struct metrics_slot *s, enum metric histogram, int64_t took_us);

/* Copies the server's counters. */
void metrics_publish_http(struct metrics_slot *s, const struct http_stats *stats);
/* Measures this process: CPU, memory, descriptors, lost log lines. */
void metrics_publish_process(struct metrics_slot *s);

/* The whole exposition. */
void metrics_write(const struct metrics *m, struct buf *out);
/* Its Content-Type. */
extern const char metrics_content_type[];

#endif
