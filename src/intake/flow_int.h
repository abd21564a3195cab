#ifndef INTAKE_FLOW_INT_H
#define INTAKE_FLOW_INT_H
/*
 * What the files of the flow share; nobody else includes it.
 *
 * An event stands in exactly one place (enum flow_place), moved by flow_place only.  A customer's queue exists
 * while it has events or is in a batch.  A lane does one thing at a time (enum lane_step), moved by lane_enter.
 */
#include "base/log.h"
#include "base/map.h"
#include "engine/judge.h"
#include "intake/flow.h"
#include "intake/who.h"
#include "model/shop.h"
#include "store/store.h"

enum flow_place {
	FLOW_NOWHERE, /* not submitted, or settled */
	FLOW_UNKNOWN, /* its customer is to be found: list `unknown`, by arrival */
	FLOW_ASKED,   /* a lane is asking for its customer: list `asked` */
	FLOW_HELD, /* cards are to be joined and somebody holds one of them: list `held`, by arrival */
	FLOW_QUEUED,   /* in its customer's queue */
	FLOW_ASIDE,    /* quarantined on arrival: list `aside`, goes with the next batch */
	FLOW_IN_BATCH, /* in a lane's batch */
	FLOW_PLACES
};

/* What pauses while clocks disagree. */
enum { FLOW_TIMERS = 1 << DUE_CHAIN | 1 << DUE_TASK, FLOW_LISTS = FLOW_TIMERS | 1 << DUE_INBOX };

struct flow_lane;

struct flow_customer {
	int64_t id, version;
	struct shop_event_list events; /* FLOW_QUEUED, in order */
	size_t n_events;
	const struct flow_lane *lane; /* has him in its batch: one at a time; NULL: none */
	bool listed;                  /* in flow.ready */
	bool alone;                   /* his batch was refused: the next one holds nobody else */
	bool single;                  /* ... and one event only */
	unsigned
		losses; /* his batches lost in a row: two, and he goes while all other lanes rest */
	unsigned lost;  /* connections lost over that event */
	uint64_t lost_batches; /* stats.batches at the last loss */
	int64_t busy_since_us; /* somebody else holds his card since; 0: no */
	int64_t not_before_us; /* boot clock */
	TAILQ_ENTRY(flow_customer) link;
};
TAILQ_HEAD(flow_customer_list, flow_customer);

enum lane_step {
	LANE_IDLE,
	LANE_ASK,
	LANE_MAKE,
	LANE_JOIN, /* loads the cards of a join */
	LANE_JOIN_SAVE,
	LANE_JOIN_STOP, /* gives them back */
	LANE_LOAD,
	LANE_FETCH,
	LANE_SAVE,
	LANE_ABANDON,
	LANE_SET,
	LANE_SWITCHES,
	LANE_STRIKE,
	LANE_ASIDE
};

/* A card that is to take over another because of an event. */
struct flow_pair {
	struct shop_event *event;
	struct who_card living, gone;
	struct visit *living_visit, *gone_visit;
	bool joined;
};

/* One thing that is due. */
struct flow_thing {
	enum due_kind kind;
	int64_t id; /* 0: none */
	int64_t customer;
};

/* The thing of a list that was lost last. */
struct flow_suspicion {
	struct flow_thing thing;
	unsigned times;   /* ... so often, while others got through */
	uint64_t batches; /* stats.batches at that time */
	bool skip;        /* the next look is for others */
};

struct flow_lane {
	struct flow *flow;
	int number;
	enum lane_step step;
	struct batch batch;
	struct sitting *sitting;
	bool patient;
	bool due_single;    /* one thing of due work was looked for */
	unsigned again;     /* tries of work that only collided */
	int64_t started_us; /* boot clock: batch begun */
	int64_t loaded_us;  /* boot clock at the end of load: stands for batch.now_us */
	/* LANE_ASK, LANE_MAKE: what is asked, sorted, and for whom cards are made; by one lane at a time */
	struct arena ask_arena;
	struct store_identity *ask, *make;
	size_t n_ask, n_make, n_most;
	struct shop_event_list asked;
	/* LANE_JOIN...: the pairs of this round; what an earlier one of the same asking came to */
	struct flow_pair *pairs;
	size_t n_pairs;
	struct map busy;       /* customers that could not be had now */
	struct map unjoinable; /* events that go on without: duplicates, or the join was refused */
	/* LANE_SET, LANE_SWITCHES, LANE_STRIKE */
	struct arena set_arena;
	struct rule_set set;
	struct switches switches;
	struct switch_pair pair;
	struct log_ctx lc;
};

enum {
	FLOW_LANES_MOST = 16,
	LANE_AGAIN_MOST = 20, /* collisions before a customer pauses */
	LANE_LOST_TWICE = 2,  /* batches lost in a row: one of their events may be the cause */
	LANE_LOST_MOST = 5    /* connections lost over one thing: it is the culprit */
};

struct flow {
	struct store *store;
	struct judge_env env;
	struct flow_limits limits;
	struct flow_host host;
	struct judge *judge; /* NULL until a set is loaded */
	bool want_set;       /* another rule set is current: read it before the next batch */
	bool want_switches;
	int64_t switches_version;  /* of the judge's switches */
	int64_t set_not_before_us; /* a set that did not load is tried again later */
	bool set_failed; /* the current set can not be loaded: nothing is judged by an older one */
	char why_not_ready[256];
	struct who *who;
	struct shop_event_list unknown, held, aside;
	bool aside_alone;      /* kept-aside ones could not be kept together: one at a time */
	struct map held_keys;  /* identities of events in FLOW_HELD -> count */
	int64_t held_until_us; /* boot clock */
	bool asking;           /* a lane is finding customers or joining cards */
	struct map lost_joins; /* cards whose joining was lost -> how often */
	struct map joined;     /* cards that are gone, as far as is known -> who took them over */
	bool join_one;         /* joins were refused or lost: one at a time */
	int64_t ask_not_before_us; /* boot clock: the last asking failed */
	struct buf key_text;       /* of the key that is looked at */
	struct map promised_keys;  /* claimed by events on their way -> count */
	struct map pending_keys;   /* identities of events in FLOW_UNKNOWN or FLOW_ASKED -> count */
	struct map customers;      /* id -> struct flow_customer */
	struct flow_customer_list ready;
	size_t n_suspects;      /* customers with so many losses */
	struct flow_lane *solo; /* has some of them: nobody else begins anything */
	size_t solo_most; /* how many: doubles with each batch that gets through, 1 after a loss */
	int64_t pause_us; /* boot clock: when the first paused customer is tried again; 0: none */
	TAILQ_HEAD(, event_ticket) tickets; /* not settled, oldest first */
	size_t queued, queued_bytes;
	size_t n_at[FLOW_PLACES]; /* events there */
	size_t crowd;             /* so many were on their way at once, lately */
	int64_t share_until_us; /* boot clock: a lane waits for its share until then; 0: none does */
	bool was_able;          /* to ask for customers and to judge, at the last turn */
	int64_t turned_us, turn_by_us; /* boot clock: the last turn; the next one, at the latest */
	int64_t judged_us;             /* spent in the engine since the last turn */
	int64_t counted_us;            /* boot clock: lost_us is counted until then */
	int64_t lost_us; /* all the time in which it was not able, or the process stood still: nobody's patience */
	int64_t stay_until_us; /* boot clock: look again at who waits for another's customer; 0: nobody does */
	uint64_t arrivals; /* events submitted so far */
	struct map lines;  /* event_ticket.line -> its last ticket that is not settled */
	struct flow_lane lanes[FLOW_LANES_MOST];
	int n_lanes;
	/* due work */
	int64_t due_us; /* boot clock: look for due work then */
	struct flow_lane
		*due_lane; /* looks for it or judges it; while one saves the next may begin */
	bool poked;        /* somebody waits for it */
	bool due_turn;     /* due work has the next lane: events had the last one */
	unsigned
		due_alone; /* so many due batches hold one thing each: one before could not be saved */
	enum due_kind due_list; /* ... from this list, one list after the other */
	unsigned due_empty;     /* lists that had nothing, in a row */
	unsigned due_failed;    /* due batches lost in a row, before that */
	int64_t due_failed_us;  /* boot clock: the last of them */
	struct flow_suspicion suspicion[DUE_INBOX + 1];
	struct store_aside aside_now; /* the culprit: to be set aside; id 0: none */
	size_t engines;               /* of the whole fleet, as counted last: they share catch_up */
	int64_t count_engines_us;     /* boot clock: count them again then */
	double catch_up_tokens;
	int64_t catch_up_at_us;
	bool behind; /* the last due batch held chains that were overdue for long */
	double pace; /* events settled a second, when there is always more to do; 0: not known */
	int64_t pace_at_us;                /* boot clock: counting since */
	size_t pace_n, pace_low;           /* settled since; the least that was queued meanwhile */
	int64_t last_now_us, last_boot_us; /* a pair of database time and boot clock */
	bool draining;
	struct flow_stats stats;
	struct log_ctx lc;
};

int64_t flow_boot_us(const struct flow *f);
/* Lanes that are not kept for those who must wait for a lock: the first ones. */
int flow_n_workers(const struct flow *f);
/* The database's time, as it has just said. */
void flow_tell_time(struct flow *f, int64_t now_us);
/* The only mover of events. */
void flow_place(struct flow *f, struct shop_event *e, enum flow_place to);
/* His queue, made when there is none. */
struct flow_customer *flow_customer_get(struct flow *f, int64_t id, int64_t version);
/* Into ready, or out of memory when nothing is left of him. */
void flow_customer_review(struct flow *f, struct flow_customer *c);
/* Among the others of his customer, in the order of their arrival. */
void flow_enqueue(struct flow *f, struct shop_event *e, int64_t customer, int64_t version);
/* His batch was lost once more, or got through. */
void flow_suspect(struct flow *f, struct flow_customer *c);
void flow_forgive(struct flow *f, struct flow_customer *c);
/* Not to be tried again before then (boot clock). */
void flow_pause(struct flow *f, struct flow_customer *c, int64_t until_us);
/* How many are settled a second; after those of a batch. */
void flow_pace(struct flow *f);
/* The event has its final status. */
void flow_settle(struct flow *f, struct shop_event *e);
struct span flow_base_of(const struct shop_event *e);

/* flow_who.c: finding customers */
/* The keys of an event: its identities, and the one whose card customer.merged takes over. */
unsigned flow_n_keys(const struct shop_event *e);
const struct identity *flow_key(const struct shop_event *e, unsigned i);
/* The event claims these of its keys (bit i for key i) for the card: they are promised until it is settled, or asked
 * for again (flow_unpromise). */
void flow_promise(
	struct flow *f, struct shop_event *e, unsigned claims, const struct who_card *card);
void flow_unpromise(struct flow *f, struct shop_event *e);
/* Its customer from the cache into his queue, or into `unknown`. */
void flow_identify(struct flow *f, struct shop_event *e);
/* That card is gone: the cache may still lead to it, by keys that were not looked at. */
void flow_note_join(struct flow *f, int64_t gone, int64_t living);
/* Into `unknown`, whatever the cache says. */
void flow_identify_anew(struct flow *f, struct shop_event *e);
/* Starts to ask for all unknown ones on an idle lane; false: there are none that may be asked for. */
bool flow_ask(struct flow *f, struct flow_lane *l);
/* The answer to an identity of an asked event. */
struct store_identity *flow_ask_find(
	const struct flow_lane *l, const struct shop_event *e, const struct identity *id);
/* Puts all that was asked back, after a failure. */
void flow_ask_fail(struct flow_lane *l, enum store_end end, const struct err *err);
/* Everything is found and joined: hands the events out. */
void flow_ask_done(struct flow_lane *l);
/* The event will not be asked for any more. */
void flow_unask(struct flow *f, struct shop_event *e);

/* flow_join.c: joining cards that turn out to be one person's */
/* Which card is to take over which because of this event?  False: none, or not now (unless `later`). */
bool flow_pair_of(
	const struct flow_lane *l, struct shop_event *e, bool later, struct flow_pair *ret);
/* Joins what is to be joined for the asked events, then flow_ask_done. */
void flow_join(struct flow_lane *l);

/* flow_form.c: what goes into a batch */
void lane_reset(struct flow_lane *l, enum batch_kind kind);
struct visit *lane_add_visit(struct flow_lane *l, struct flow_customer *c);
void lane_sort_visits(struct flow_lane *l);
/* May those behind the ticket still wait for it?  Not for ever: it may wait for others in turn, or for a process that is frozen. */
bool flow_may_wait_for(struct flow *f, const struct event_ticket *t);
/* Must the event wait for one that came before it by its connection and whose customer is to be found? */
bool flow_must_follow(struct flow *f, const struct shop_event *e);
bool lane_form_events(struct flow *f, struct flow_lane *l); /* false: nothing to do */
void lane_form_due(struct flow *f, struct flow_lane *l);
/* Is there a customer whose batches were lost and who may be tried now? */
bool flow_has_suspect(struct flow *f, int64_t boot_us);
/* One event of each, of as many as solo_most, and nothing else. */
void lane_form_solo(struct flow *f, struct flow_lane *l, int64_t boot_us);

/* flow_due.c: due work that is behind, or can not be done */
/* After a failure: leaves one thing in the due batch that was loaded. */
void lane_single_out_due(struct flow_lane *l);
/* What its lists leave alone is not due either where a customer was picked from another list. */
void lane_hold_left(struct batch *b);
void lane_note_due(struct flow_lane *l);
/* A due batch did not commit.  True: the lane is still busy with it. */
bool lane_failed_due(struct flow_lane *l, enum store_end end, const struct err *err);
/* It is judged: the next lane may look for more. */
void lane_pass_due_on(struct flow_lane *l);
void lane_due_saved(struct flow_lane *l);
/* The thing that can not be done, flow.aside_now, is passed over for good. */
void lane_set_due_aside(struct flow_lane *l);
/* Overdue chains per second that are this engine's part. */
double flow_catch_up(const struct flow *f);
/* No more than a second's worth is saved up. */
void flow_cap_catch_up(struct flow *f);

/* flow_claim.c: the keys that a batch gives to its cards */
/* Judged: fills the identities of the visits. */
void lane_gather_keys(struct flow_lane *l);
/* Committed: they are his now. */
void lane_learn_claims(struct flow *f, const struct visit *v);

/* flow_set.c: which rules are judged by; an idle lane reads what is current */
void lane_read_set(struct flow *f, struct flow_lane *l);
void lane_read_switches(struct flow *f, struct flow_lane *l);

/* flow_sift.c: who of those that were loaded stays in the batch; returns how many */
size_t lane_sift(struct flow_lane *l);

/* flow_lane.c: what a lane does with a batch */
/* The events of a visit return to the head of their queue: all, and he is in no batch; or those from number k on. */
void lane_return_visit(struct flow *f, struct visit *v);
void lane_return_events(struct flow *f, struct visit *v, size_t k);
/* His events are asked for again, in their order, also what is not in the batch: the card is not the one that the cache believed
 * in.  He is in no batch, and may be gone afterwards. */
void lane_reidentify_visit(struct flow *f, struct visit *v);
void lane_reidentify_queue(struct flow *f, struct flow_customer *c);
/* The sitting, if any, is over; the lane is free; the next turn gives it work. */
void lane_rest(struct flow_lane *l);
void lane_enter(struct flow_lane *l, enum lane_step to);
const char *lane_step_name(enum lane_step s);

#endif
