#ifndef MODEL_BATCH_H
#define MODEL_BATCH_H
/*
 * A batch: what is judged and committed together, in one transaction.
 *
 * The flow makes it, the store fills what it knows (load), the engine judges it (effects gathered in the
 * same structs), the store writes it (save).  Everything lives in the batch's arena and goes with it.
 * A visit is one customer's part of a batch: his card is locked from load to commit.
 *
 * Who fills what:
 *   flow    kind, limit, leave, want_engines, types, visits with customer and events (BATCH_EVENTS), aside
 *   load    now_us, id_next, set_id; per visit: state, card, chains, orders, tasks, lasts, status and
 *           order_elsewhere of events;
 *           for BATCH_DUE also the visits themselves (customers with due chains, tasks or inbox rows)
 *   engine  seq and verdicts of events, everything marked new/changed/ended, the effect lists
 *   save    writes and commits
 */
#include "base/mem.h"
#include "model/chain.h"
#include "model/customer.h"
#include "model/event.h"
#include "model/message.h"
#include "model/order.h"
#include "model/task.h"

enum batch_kind {
	BATCH_EVENTS, /* events that came in; customers are named */
	BATCH_DUE,    /* due chains, passed deadlines, inbox rows: the store picks the customers */
};

enum visit_state {
	VISIT_READY, /* locked and read: may be judged */
	VISIT_BUSY, /* somebody else holds the card (or, unless waited for, it is gone): left out, comes again */
	VISIT_STALE, /* merged, gone, or identity_version moved: identify again */
	VISIT_LEFT,  /* judging had no time for him at all: nothing of his is saved */
};

/* A line on the customer's card, from note(). */
struct visit_note {
	struct span text, rule;
	int64_t at_us, seq, chain;
};
/* One change of consent, with the event as proof. */
struct visit_consent {
	struct span channel; /* "email" */
	bool given;
	struct span source; /* what said so: rule name, event type */
	int64_t at_us, seq;
};
/* An address that nothing may be sent to any more. */
struct visit_suppression {
	enum message_channel channel;
	struct span address; /* as on the card */
	struct span reason;  /* "unsubscribed", "bounced", "complained" */
	int64_t at_us;
};
/* What happened to a message, told by an event (message.delivered ...): moves its row. */
struct visit_outcome {
	int64_t message;
	struct span word; /* "delivered", "opened", "clicked", "replied", "bounced", ... */
	int64_t at_us;
};
/* A rule that broke on an event or chain; `suspend`: on too many of its last runs, it is to be suspended. */
struct visit_rule_fault {
	struct span rule, text; /* text: file, line, error, values read */
	int64_t seq, chain;
	bool failed; /* it broke here; neither this nor suspend: a limit comes near */
	bool suspend; /* 20 of its last 50 runs broke (P7): the store writes the suspension and its task */
};

/* exit_on of a rule came: tasks of its chains that are over, and that nobody took, are withdrawn. */
struct visit_exit {
	struct span rule, key; /* key {NULL,0}: of all its chains */
	int64_t spared;        /* a chain whose are not: the event is its own; 0: none */
};

enum { VISIT_GONE_MOST = 100 };

struct visit {
	int64_t customer;
	int64_t identity_version; /* what the identity cache believes; -1: does not know */
	enum visit_state state;
	int64_t picked; /* BATCH_DUE: the chain, task or inbox row that he was picked for */
	struct customer *card;
	/* Cards that he has taken over, as of identity_version if that was known.  VISIT_GONE_MOST: there may be more. */
	int64_t *gone;
	unsigned n_gone;

	struct shop_event *
		*events; /* in order; emitted and inbox events are put in by the engine / load */
	size_t n_events, cap_events;
	struct chain **chains; /* all live ones, oldest first; new ones behind */
	size_t n_chains, cap_chains;
	struct order **orders; /* those that events of this batch name, plus new ones */
	size_t n_orders, cap_orders;
	struct task **tasks; /* due ones, those that inbox rows name, plus new ones */
	size_t n_tasks, cap_tasks;
	struct rule_last **lasts;
	size_t n_lasts, cap_lasts;

	/* effects beside the marks above */
	struct message **messages;
	size_t n_messages, cap_messages;
	struct order_status **statuses;
	size_t n_statuses, cap_statuses;
	struct visit_note **notes;
	size_t n_notes, cap_notes;
	struct visit_consent **consents;
	size_t n_consents, cap_consents;
	struct visit_suppression **suppressions;
	size_t n_suppressions, cap_suppressions;
	struct visit_outcome **outcomes;
	size_t n_outcomes, cap_outcomes;
	struct visit_rule_fault **faults;
	size_t n_faults, cap_faults;
	struct identity
		*identities; /* his from now on; when another card has one, nothing is saved */
	size_t n_identities, cap_identities;
	int64_t *
		withdraw; /* chains that were ended: what they wrote and nobody took is withdrawn */
	size_t n_withdraw, cap_withdraw;
	struct visit_exit *exits;
	size_t n_exits, cap_exits;
	bool is_cut; /* judging had no time for all of it: what is still EVENT_NEW or due comes again */

	void *engine; /* the engine's own state of this customer during the judging */
	void *flow;   /* the flow's queue of this customer */
};

/* The lists of due work. */
enum due_kind { DUE_CHAIN, DUE_TASK, DUE_INBOX };

struct batch {
	struct arena arena;
	enum batch_kind kind;
	size_t limit;      /* BATCH_DUE: most due chains */
	unsigned leave;    /* BATCH_DUE: lists that nobody is picked from, 1 << due_kind */
	int64_t skip;      /* BATCH_DUE: this customer is not picked; 0: everybody may be */
	bool want_engines; /* BATCH_DUE: count the engines */
	size_t engines;    /* that there are in the whole fleet; 0: not counted */
	struct span *
		types; /* types of its events, each with its patterns ("order.placed", "order.*", "*") */
	size_t n_types, cap_types;
	struct visit **visits; /* sorted by customer */
	size_t n_visits, cap_visits;
	struct shop_event **aside; /* quarantined on arrival or conflicting: kept, never judged */
	size_t n_aside, cap_aside;

	int64_t now_us; /* the database's clock at load */
	int64_t id_next; /* the next free number for events (seq), chains, messages, tasks; rises over all batches */
	int64_t set_id;           /* the rule set that is current in the database */
	int64_t switches_version; /* of suspended rules and pairs set aside (model/switches.h) */
	/* BATCH_DUE: the earliest wake-up that was not taken, soon when somebody holds that card; TIME_NONE: none known */
	int64_t next_due_us;
	bool more_due; /* BATCH_DUE: there was more than the limit */
};

/* Appends to one of the arena arrays of a visit or batch: BATCH_PUSH(a, v->notes, v->n_notes, v->cap_notes) = x; */
#define BATCH_PUSH(arena, array, n, cap)                                                           \
	(*((array) = batch_grow((arena), (array), (n), &(cap), sizeof *(array)), &(array)[(n)++]))
void *batch_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size);

/* What the engine asks in the middle of judging; the store answers into the same struct. */
enum query_kind {
	QUERY_COUNT,  /* how many events of the types -> count, last_us */
	QUERY_EVENTS, /* those events themselves, newest first, at most limit -> rows */
	QUERY_ORDERS, /* the customer's orders, newest first, at most limit -> orders */
	QUERY_TEXT,   /* a rule text by hash -> text (bundle JSON); TEXT {NULL,0}: not there */
	QUERY_CHAIN, /* the body of a live chain that was loaded without: an event that the daemon or a rule
	                 made in this batch may wake it -> event, history, arrived and loaded of *chain */
	QUERY_REASON, /* messages of the customer by this rule and with this reason that stand to reach him or
	                 may have: ready, sending, sent, in doubt; newest first, at most limit -> messages */
	QUERY_SENDING, /* messages of *chain that a courier is handing over, or has, or may have, though the chain may not have
	                 heard of it -> messages */
};
struct query_message {
	int64_t id, chain;
	bool is_loose; /* ready and not `keep`: goes with its chain */
};
struct query_row {
	struct span id, type, data;
	int64_t time_us, seq;
};
struct query {
	enum query_kind kind;
	int64_t customer;
	const struct shop *shop; /* QUERY_ORDERS, QUERY_EVENTS: only of this store; NULL: all */
	struct span *types;      /* types or patterns; none: all */
	size_t n_types;
	int64_t since_us;     /* time_us >= this; TIME_NONE: from the beginning */
	int64_t before_seq;   /* seq < this: what this batch itself judged is known to the engine */
	struct span order_id; /* QUERY_ORDERS: only this one; may be empty */
	size_t limit;         /* at most 10,000 */
	struct span hash;     /* QUERY_TEXT */
	struct chain *chain;  /* QUERY_CHAIN, QUERY_SENDING: of a visit of this batch */
	struct span rule, reason; /* QUERY_REASON */
	/* answer, in the batch's arena */
	int64_t count;
	int64_t last_us; /* time of the newest; TIME_NONE: none */
	struct query_row *rows;
	size_t n_rows;
	struct order **orders;
	size_t n_orders;
	struct query_message *messages;
	size_t n_messages;
	struct span text;
	int level;
};

#endif
