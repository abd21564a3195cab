#ifndef TESTS_FAULT_SIM_MODEL_H
#define TESTS_FAULT_SIM_MODEL_H
/*
 * The model: what the promises say that the rules of sim_rules/sim.lua do.  It is told, in the order in which the
 * database committed it, what happened to a customer (an event was judged, a timer fired, a deadline passed, a
 * courier took a message) and computes what must be there now.  It knows nothing of the engine: no histories, no
 * replay, no batches.  Something that may not happen (a timer before its time, a message taken that was
 * withdrawn) is told by sim_fail.
 */
#include "sim_int.h"

enum { MODEL_TEXT = 64, MODEL_NUMBER = 12 };

enum model_rule {
	MODEL_SINGLE,
	MODEL_RESTART,
	MODEL_QUEUED,
	MODEL_PARALLEL,
	MODEL_ANSWER,
	MODEL_ORDER,
	MODEL_COUNT,
	MODEL_THIRD,
	MODEL_MAIL,
	MODEL_COOL,
	MODEL_UNTIL,
	MODEL_RULES
};
extern const char *const model_rule_names[MODEL_RULES];

struct model_message {
	char words[MODEL_TEXT];
	struct model_chain *chain;
	bool keep, is_over; /* over: handed over or failed, and the chain has heard of it */
	enum message_state
		state; /* as far as engines are concerned: READY, SENDING (taken), WITHDRAWN */
};

struct model_task {
	char title[MODEL_TEXT];
	struct model_chain *chain;
	int64_t deadline_us;
	enum task_state state;
	bool overdue;
};

struct model_chain {
	enum model_rule rule;
	char n[MODEL_NUMBER]; /* number of the event that started it */
	char key[MODEL_NUMBER];
	enum chain_state state;
	int64_t wake_us;
	int step, version;
	int64_t event_us; /* time of the event that started it */
	int64_t started_us;
	int64_t born;   /* number of that event: orders those of one moment */
	bool is_seen;   /* for comparing */
	int64_t due_us; /* wake_us at the beginning of the batch */
	TAILQ_ENTRY(model_chain) link;
};

struct model_order {
	char id[MODEL_NUMBER];
	int total;
	bool placed, cancelled;
};

struct model_card {
	int64_t card; /* the customer's number in the store */
	TAILQ_HEAD(model_chains, model_chain) chains;
	struct model_message **messages;
	size_t n_messages, cap_messages;
	struct model_task **tasks;
	size_t n_tasks, cap_tasks;
	struct model_order **orders;
	size_t n_orders, cap_orders;
	int64_t *counted; /* times of a.count */
	size_t n_counted, cap_counted;
	size_t n_chains, n_notes, n_thirds;
	int64_t last_parallel_us, last_cool_us;
	bool has_third;
};

/* An event as it was judged. */
struct model_event {
	struct span type;
	char n[MODEL_NUMBER], order[MODEL_NUMBER]; /* empty: none */
	int total;
	int64_t time_us, seq;
	struct model_message *message; /* message.sent, .failed: which */
	struct model_task *task;       /* task.done: which */
};

struct model *model_new(struct sim *s);
void model_free(struct model *m);
struct model_card *model_card(struct model *m, int64_t card); /* made when there is none */

/* One transaction begins: version of the rule set that it loaded, the database's clock. */
void model_begin(struct model *m, struct model_card *c, int64_t now_us, int version);
void model_judge(struct model *m, struct model_card *c, const struct model_event *e);
void model_deadline(struct model *m, struct model_card *c, struct model_task *t);
void model_timer(struct model *m, struct model_card *c, struct model_chain *x);
/* One card takes over another: two persons were one. */
void model_join(struct model *m, struct model_card *living, struct model_card *gone);
/* A courier takes it. */
void model_claim(struct model *m, struct model_message *x);

/* NULL: there is none. */
struct model_message *model_find_message(struct model_card *c, struct span words);
struct model_task *model_find_task(struct model_card *c, struct span title);
struct model_chain *model_find_chain(struct model_card *c, struct span rule, struct span n);
/* What the card says about orders: how many, worth how much. */
void model_orders(const struct model_card *c, int *ret_count, int *ret_total);

#endif
