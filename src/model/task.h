#ifndef MODEL_TASK_H
#define MODEL_TASK_H
/*
 * A manager task with a deadline.  open -> taken -> done | cancelled | withdrawn; `overdue` is a mark, set
 * once when the deadline passes while it is open or taken; done and overdue race on one row under the
 * customer's lock, so only one of task.done and task.overdue is first and both keep their order.
 * Plain data in the arena of the batch.
 */
#include "base/str.h"

#include <stdint.h>

struct shop;

enum task_state { TASK_OPEN, TASK_TAKEN, TASK_DONE, TASK_CANCELLED, TASK_WITHDRAWN };
const char *task_state_name(enum task_state s);
bool task_state_parse(struct span word, enum task_state *ret);

struct task {
	int64_t id;
	int64_t customer;
	int64_t chain; /* 0: none */
	const struct shop *shop;
	struct span rule;
	struct span title, text;
	struct span manager, group; /* who has it or may take it; may be empty */
	struct span order_id, call; /* an order; a phone number to dial */
	struct span results;        /* JSON array of words to choose from, or empty */
	struct span result;         /* the word chosen at done */
	int priority;
	int64_t created_us, deadline_us, remind_us; /* TIME_NONE: none */
	int64_t taken_us, done_us;
	bool overdue; /* the deadline passed while it was not done */
	bool keep;    /* not withdrawn when its chain is ended */
	enum task_state state;
	bool is_new, changed; /* for the save */
	bool due;             /* here because its deadline has passed */
	struct span
		chain_key; /* of a chain that was over at the load; {NULL,0}: it is live, or forgotten */
};

#endif
