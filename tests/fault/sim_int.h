#ifndef TESTS_FAULT_SIM_INT_H
#define TESTS_FAULT_SIM_INT_H
/*
 * The deterministic simulator: what its files share.
 *
 *	sim.c          the command line; one seed after the other
 *	sim_world.c    time: what happens when, in what order; the trace; the end
 *	sim_store.c    the network between a daemon and the database, with its faults
 *	sim_daemon.c   daemons: the real flow and engine on a clock of their own; crashes, freezes
 *	sim_client.c   shops that post events over HTTP and MQTT, and post again what was not acknowledged
 *	sim_courier.c  couriers, managers and the operator
 *	sim_model.c    the model: what must have happened, given what was stored in which order
 *	sim_judge.c    compares the model with the store, after each commit and at the end
 *
 * One number decides everything: all chance comes from sim_rnd, all time from sim.now_us.
 */
#include "base/map.h"
#include "base/mem.h"
#include "intake/flow.h"
#include "model/batch.h"
#include "model/rule_set.h"
#include "model/shop.h"
#include "store/mem.h"

#include <stdint.h>

enum {
	SIM_DAEMONS_MOST = 4,
	SIM_LANES_MOST = 3,
	SIM_CONNS_MOST = 16, /* connections that the memory store can have */
	SIM_CLIENTS_MOST = 6,
	SIM_CUSTOMERS_MOST = 5,
	SIM_SECOND = 1000000,
	/* what costs the connection more often is to blame, for the flow (LANE_LOST_MOST, FLOW_LOST_MOST) */
	SIM_LOST_MOST = 3,
	SIM_JOINS_LOST_MOST = 1
};

struct sim;
struct model;
typedef void sim_fn(struct sim *s, void *arg);

/* What breaks, in thousandths of the chances that there are; drawn anew for each seed. */
struct sim_faults {
	int again, lost, slow, crash, freeze, drop, courier, outage, skew, kill;
};

/* The server's end of a connection: it lives on when the daemon's end is gone. */
struct sim_conn {
	int number;   /* the lane of the memory store */
	bool is_used; /* by a daemon, or still closing down */
	bool is_gone; /* the daemon's end is closed: it waits for the server to notice */
	bool killed;  /* the server ended the transaction, or died */
	const struct batch *batch; /* of the transaction, while the daemon has it */
	bool has_late;             /* something is on its way over it that nobody waits for */
	int64_t load_skew_us;      /* of the daemon, when it heard that its batch is loaded */
	unsigned age; /* who uses it now: actions that come late must not touch the next one */
};

enum sim_fate {
	SIM_WELL,
	SIM_AGAIN,     /* nothing happens, may be tried at once */
	SIM_LOST,      /* the connection dies, nothing happens */
	SIM_LOST_DONE, /* it happens, the answer is lost */
	SIM_LOST_LATE  /* the answer is lost, and it happens afterwards */
};

struct sim_call;
struct sim_lane {
	struct sim_daemon *daemon;
	struct sim_conn *conn; /* NULL: no connection */
	struct sim_call *call; /* in flight */
	int64_t usable_at_us;  /* a connection takes its time */
};

struct sim_daemon {
	struct store store; /* first: what the flow sees */
	struct sim *sim;
	int number;
	struct flow *flow; /* NULL: not running */
	unsigned epoch;    /* rises with each start */
	struct sim_lane lanes[SIM_LANES_MOST];
	int64_t boot_offset_us, skew_us;
	int64_t frozen_until_us; /* 0: it runs */
	uint64_t ticks;
	bool turn_wanted, in_turn;
	unsigned wake; /* number of the timer that counts */
	int due_lost;  /* due batches that were lost since its start */
};

/* An event as a shop means it; posted until it is acknowledged. */
enum sim_kind { SIM_GOOD, SIM_POISON, SIM_BAD };
struct sim_event {
	const char *id, *type;
	char *data;
	enum sim_kind kind;
	int number; /* place in sim.events */
	int customer;
	bool has_id;     /* the keys that it names its customer by */
	int browser;     /* 1 or 2; 0: none */
	int order;       /* it names an order, too; -1: none */
	int64_t time_us; /* when it happened, it says */
	int64_t from_us; /* it is there to be posted from then on */
	int place;       /* among its client's events */
	bool in_flight, is_acked;
	enum event_status acked;
	int twin; /* another event with this id, or -1 */
};

struct sim_client;
struct sim_post {
	struct event_ticket ticket; /* first */
	struct sim_client *client;
	struct sim_event **events;
	unsigned connection; /* serial over all clients */
	unsigned serial;     /* over all posts */
	bool is_late;
};

struct sim_client {
	struct sim *sim;
	int number;
	bool is_mqtt;
	struct sim_event **events;
	size_t n_events, cap_events;
	struct sim_daemon *daemon; /* NULL: not connected */
	unsigned daemon_epoch, connection;
	unsigned open; /* posts without answer over this connection */
	unsigned window, batch;
	int64_t tick_us; /* when it looks again; 0: not planned */
};

struct sim_stored { /* what the store has of one event id */
	int event;  /* number of the sim_event whose content it has */
};

struct sim {
	uint64_t seed, rng, hash, actions;
	int64_t now_us, begin_us, heal_us; /* nothing breaks any more after heal_us */
	struct arena arena;
	struct store *mem;
	struct rule_set sets[2];
	int set_current;
	int64_t set_ids[2];
	struct sim_faults faults;
	bool is_healed, show;
	struct map losses; /* daemon, card -> batches lost in a row */
	bool database_down;
	/* time */
	struct sim_action *heap;
	size_t n_heap, cap_heap;
	/* who is there */
	struct sim_daemon daemons[SIM_DAEMONS_MOST];
	int n_daemons, n_lanes;
	struct sim_conn conns[SIM_CONNS_MOST];
	struct flow_limits limits;
	bool is_slow_judge;
	struct sim_client clients[SIM_CLIENTS_MOST];
	int n_clients, n_customers;
	unsigned n_connections, n_posts;
	struct sim_event **events;
	size_t n_events, cap_events;
	struct map event_by_id; /* id -> sim_event (the first of its twins) */
	struct map stored;      /* id -> sim_stored */
	struct map last_place;  /* connection, customer -> the last one judged */
	struct map peer;        /* message -> times handed over */
	bool have_browsers;     /* some events know the browser only: cards are joined later */
	int joins_lost;
	struct model *model;
	/* figures */
	struct {
		unsigned commits, lost, late, again, crashes, freezes, drops, posts, handed_over,
			doubts, kills, joins;
	} n;
	/* the verdict */
	bool failed;
	char why[2000];
};

/* ---- sim_world.c ---- */
/* A number from 0 to n - 1. */
uint64_t sim_rnd(struct sim *s, uint64_t n);
/* In so many of a thousand cases; never after the healing. */
bool sim_fault(struct sim *s, int permille);
bool sim_chance(struct sim *s, int permille);
/* Does fn(arg) after that time; among those of one moment chance decides who is first. */
void sim_after(struct sim *s, int64_t delay_us, sim_fn *fn, void *arg);
/* A line of the trace. */
void sim_trace(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A promise is broken: the first one counts. */
void sim_fail(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Runs one seed; true: all promises held. */
bool sim_run(struct sim *s, const struct rule_set sets[2]);

/* ---- sim_store.c ---- */
extern const struct store_ops sim_store_ops;
/* The daemon's ends of all its connections are closed; what is on its way may still happen. */
void sim_store_crash(struct sim_daemon *d);
/* The database stops at once, and is there again later. */
void sim_store_down(struct sim *s);
void sim_store_up(struct sim *s);
/* Holds a lane a card? */
bool sim_store_is_locked(struct sim *s, int64_t customer);
/* Answers that came while the daemon stood still. */
void sim_store_thaw(struct sim_daemon *d);
/* ... and its transactions, which end when it stands still for too long. */
void sim_store_freeze(struct sim_daemon *d);
/* sim_copy.c: a batch that outlives the flow it came from. */
struct batch *sim_copy_batch(struct arena *a, const struct batch *from);

/* ---- sim_daemon.c ---- */
extern const struct shop sim_shop;
void sim_daemon_open(struct sim *s, int number);
void sim_daemon_start(struct sim_daemon *d);
void sim_daemon_crash(struct sim_daemon *d);
/* It goes on where it stood still. */
void sim_daemon_thaw(struct sim_daemon *d);
void sim_daemon_close(struct sim_daemon *d);
/* The end of a turn of its loop. */
void sim_daemon_turn(struct sim_daemon *d);
bool sim_daemon_stands(const struct sim_daemon *d);
/* Lets fate strike daemons. */
void sim_daemon_plan_faults(struct sim *s);

/* ---- sim_client.c ---- */
void sim_client_open_all(struct sim *s);
/* The daemon is gone: its connections are, too. */
void sim_client_lose(struct sim *s, const struct sim_daemon *d);
bool sim_client_all_acked(const struct sim *s);

/* ---- sim_courier.c ---- */
void sim_courier_open_all(struct sim *s);

/* ---- sim_judge.c ---- */
/* A save was carried out: rows from n_events on are new. */
void sim_judge_commit(struct sim *s, const struct sim_daemon *d, const struct sim_conn *c,
	const struct batch *b, size_t n_events);
void sim_judge_ack(struct sim *s, const struct sim_post *p);
void sim_judge_claim(struct sim *s, const struct message *m);
void sim_judge_give_back(struct sim *s, const struct message *m);
void sim_judge_handed_over(struct sim *s, const struct message *m);
/* Everything has come to rest: is it all there? */
void sim_judge_end(struct sim *s);
/* The words of a message. */
struct span sim_message_words(struct sim *s, const struct message *m);

#endif
