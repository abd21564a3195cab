#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H
/*
 * A small world for tests of the judge: two customers, one shop, a clock that the test moves, and a memory of
 * what batches left behind, which also answers the judge's questions.
 *
 * All batches are kept until world_close, so nothing is copied between them.  `effects` holds the text of
 * the last batch.
 */
#include "engine/judge.h"
#include "model/batch.h"
#include "model/rule_set.h"
#include "model/shop.h"
#include "model/staff.h"
#include "model/switches.h"

enum { WORLD_MOST = 4000, WORLD_CUSTOMERS = 2 };

struct world_file {
	const char *path, *text;
};

struct world_customer {
	struct customer card;
	struct chain *chains[WORLD_MOST];
	size_t n_chains;
	struct order *orders[WORLD_MOST];
	size_t n_orders;
	struct task *tasks[WORLD_MOST];
	size_t n_tasks;
	struct rule_last *lasts[WORLD_MOST];
	size_t n_lasts;
};

struct world {
	struct arena arena;
	struct shop shop;
	struct shop_calendar calendar;
	struct staff staff;
	struct judge_env env;
	struct judge *judge;
	struct rule_set set;
	struct rule_text *texts[WORLD_MOST]; /* all that were ever loaded */
	size_t n_texts;
	struct world_customer customers[WORLD_CUSTOMERS];
	const struct shop_event *events[WORLD_MOST]; /* accepted, in order */
	size_t event_of[WORLD_MOST];                 /* whose */
	size_t n_events;
	struct message *messages[WORLD_MOST];
	size_t n_messages;
	struct visit_note *notes[WORLD_MOST];
	size_t n_notes;
	struct visit_rule_fault *faults[WORLD_MOST];
	size_t n_faults;
	struct batch *batches[WORLD_MOST];
	size_t n_batches;
	int64_t now_us, id_next;
	unsigned n_ids;    /* for ids of posted events */
	unsigned n_rounds; /* questions asked by the last batch */
	bool forget_judge; /* a new judge for each batch */
	bool lose_batch;   /* the next batch is judged and not committed */
	bool is_sending;   /* a courier is about the first message of each chain */
	struct shop_event *pending[WORLD_MOST]; /* to go with the next world_run */
	size_t n_pending;
	struct buf effects;
};

/* Opens it at 2026-03-02T09:00:00Z (a Monday), with the files as its rules; dies when they do not load. */
void world_open(struct world *w, const struct world_file *files, size_t n);
void world_close(struct world *w);
/* Other rules from now on (a reload). */
void world_reload(struct world *w, const struct world_file *files, size_t n);
bool world_try_load(struct world *w, const struct world_file *files, size_t n, struct err *err);

/* One event of the first customer, judged at once. */
void world_event(struct world *w, const char *type, const char *data);
/* Events that go together with the next world_run. */
struct shop_event *world_post(struct world *w, int customer, const char *type, const char *data);
void world_run(struct world *w);
/* What is due now, in one batch. */
void world_due(struct world *w);
/* Moves the clock, stopping at each wake-up and deadline to judge what is due. */
void world_advance(struct world *w, const char *duration);

/* What has become of everything, for comparisons: events, chains, messages, tasks, notes, cards. */
void world_dump(const struct world *w, struct buf *out);
/* Live chains of the first customer in that state. */
size_t world_count(const struct world *w, enum chain_state state);
struct chain *world_chain(const struct world *w, size_t i);
bool world_has(const struct world *w, const char *text); /* in effects */

#endif
