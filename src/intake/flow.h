#ifndef INTAKE_FLOW_H
#define INTAKE_FLOW_H
/*
 * The flow of batches: events from the doors, due timers and inbox rows -> cards -> engine -> commit -> receipts.
 * Knows only `struct store` and the engine; no sockets, no libevent, no SQL.
 *
 * A door fills a ticket (its events admitted by intake/admit) and hands it over with flow_submit; when all its
 * events are settled, i.e. committed, kept aside or dropped as late, `done` is called once, from flow_turn or from a store's
 * answer, never from inside flow_submit.  The ticket and its events are lent until then.
 * The host calls flow_turn at the end of each turn of its loop (it forms batches on idle lanes and never
 * blocks), and again at flow_next_us at the latest.  After a commit `poke` tells the host which couriers have
 * work.  Order: events of one ticket, and of the tickets of one line, are judged in the order submitted when they are about
 * the same customer.  While it is being found who one is about, those behind it wait: half a second after it was submitted
 * at most, ten where nobody waits for an answer (`late` is NULL); time without a database or rules, or in which the process
 * stood still, does not count.
 */
#include "base/err.h"
#include "model/event.h"

struct batch;
struct flow;
struct judge;
struct judge_env;
struct store;

struct event_ticket {
	struct shop_event *events;
	size_t n;
	/* All events have their status (EVENT_NEW: dropped, because it was late).  Once. */
	void (*done)(struct event_ticket *);
	/* Not settled within flow_limits.late_us: answer 503 now, keep the memory until `done`; some may
	 * have been committed.  NULL: the door can wait (MQTT).  At most once, before done. */
	void (*late)(struct event_ticket *);
	void *owner;
	uint64_t line; /* the connection that it came by, whose order is kept; 0: it came alone */
	/* the flow's own */
	size_t pending; /* events without status */
	size_t bytes;
	int64_t since_us; /* boot clock at submit */
	int64_t lost_us;  /* flow.lost_us then */
	bool is_late;
	size_t first_unknown; /* the first event whose customer is to be found; n: none */
	struct event_ticket
		*before; /* the one before it in its line; NULL: none that is unsettled */
	TAILQ_ENTRY(event_ticket) link;
};

struct flow_limits {
	size_t batch;        /* most events in one batch: 200 */
	size_t queue_events; /* most unsettled events: 5,000 */
	size_t queue_bytes;  /* 32 MiB */
	size_t due;        /* most due chains taken at a time: 200; 0: due work is left to others */
	unsigned catch_up; /* overdue chains per second over all engines of the fleet: 2,000 */
	int64_t late_us;   /* a ticket not settled after this is answered `late`: 2 s */
	int64_t poll_us;   /* longest sleep between looks for due work: 500 ms */
	size_t identities; /* remembered keys of customers: 3,000,000; 100 bytes each once it is used */
	int64_t skew_us; /* our clock and the database's differ by more: no due work (P13): 2 s */
};
void flow_limits_default(struct flow_limits *ret);

struct flow_host {
	int64_t (*boot_us)(void *arg); /* CLOCK_BOOTTIME: for waiting, never for deciding */
	int64_t (*wall_us)(void *arg); /* CLOCK_REALTIME: received_us */
	void (*poke)(
		void *arg, unsigned channels); /* bit per message_channel that has new messages */
	void (*turn)(
		void *arg); /* something is to be done at the end of this turn: call flow_turn */
	void (*committed)(
		void *arg, const struct batch *b, int64_t took_us); /* for metrics; may be NULL */
	void *arg;
};

/* env is copied; its shops and staff are lent for the flow's life (or until flow_reconfigure). */
struct flow *flow_open(struct store *store, const struct judge_env *env,
	const struct flow_limits *limits, const struct flow_host *host);
/* After a reload: another env (stores, limits) from the next rule state on; it is built anew.  What the old one
 * lent must stay until all that is in flight is settled. */
void flow_reconfigure(struct flow *f, const struct judge_env *env);
/* May one more ticket with so many events and bytes come?  false: answer 429 or do not read.  There is
 * room for what can be settled in a quarter of late_us at the pace of the last second, but for 500 events in any case,
 * and never for more than the limits. */
bool flow_has_room(const struct flow *f, size_t events, size_t bytes);
/* Is the database there and a rule set loaded?  false: answer 503. */
bool flow_is_ready(const struct flow *f, const char **ret_why);
/* Number of the rule set in use; 0: none yet. */
int64_t flow_set_id(const struct flow *f);
void flow_submit(struct flow *f, struct event_ticket *t);
/* Something may be due now: another engine, a courier or the API said so. */
void flow_poke(struct flow *f);
void flow_turn(struct flow *f);
/* When flow_turn must be called again at the latest (boot clock). */
int64_t flow_next_us(const struct flow *f);

struct flow_stats {
	uint64_t events, duplicates, conflicts, quarantined, batches, due_chains, held_back,
		retries, lost, joins;
	size_t queued, queued_bytes;
	int64_t skew_us; /* our clock less the database's, at the last load */
	bool skewed;     /* by more than the limit: timers and deadlines pause */
};
void flow_stats(const struct flow *f, struct flow_stats *ret);
/* The database's time, carried on since the last load; this host's before the flow was ready for the first time.  For what
 * is received: a host's clock that is wrong by months must neither name a partition that is not there nor hide a key
 * from its repetition. */
int64_t flow_now_us(const struct flow *f);

/* Looks for nothing due any more.  Tickets are taken still: the doors stop when nobody is in them.  `is_idle` turns
 * true when all tickets are answered and no lane is busy. */
void flow_drain(struct flow *f);
bool flow_is_idle(const struct flow *f);
void flow_close(struct flow *f);

#endif
