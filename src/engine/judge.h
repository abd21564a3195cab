#ifndef ENGINE_JUDGE_H
#define ENGINE_JUDGE_H
/*
 * The pure core: judges a batch.  No clock, no random, no input or output: the same batch and the same
 * answers give the same effects, byte for byte; so the daemon, `nudgectl test` and the tests run this code.
 *
 * Life: judge_new builds one Lua state from the texts of a rule set.  judge_start takes a loaded batch;
 * judge_go runs until everything is decided (JUDGE_DONE: the effects stand in the batch) or until some
 * customers need answers (JUDGE_NEED: the caller fills the queries and calls judge_go again);
 * judge_end in any case.  Several sittings of one judge may be open at a time (one per connection), but
 * their customers differ.  The batch and everything in it is lent until judge_end; effects are allocated
 * in the batch's arena.  A sitting that is ended before JUDGE_DONE leaves no trace in the judge.
 *
 * Nothing that a rule does can end the process on purpose: errors, loops and memory hunger become verdicts
 * and faults.  judge_new is the only call that fails: the error names file and line.
 */
#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct batch;
struct query;
struct rule_set;
struct shop;
struct staff;
struct switches;
struct visit;

struct judge_limits {     /* PROMISES, Limits; 0 is not "none": judge_limits_default() fills all */
	unsigned effects; /* per judged event: 100 */
	unsigned steps;   /* per chain: 1,000 */
	size_t history_bytes;         /* per chain: 256 KiB */
	size_t history_warn_bytes;    /* 64 KiB */
	unsigned chains, chains_warn; /* live ones per customer: 500, 100 */
	int emit_depth;               /* 8 */
	size_t with_bytes;            /* data of one message: 16 KiB */
	size_t eval_bytes;            /* memory of one evaluation: 16 MiB */
	int64_t eval_us;              /* time of one evaluation: 100 ms */
	int64_t batch_us; /* judging per batch, then customers are VISIT_LEFT or cut: 200 ms */
};
void judge_limits_default(struct judge_limits *ret);

struct judge_env {
	const struct shop *shops; /* lent for the judge's life */
	size_t n_shops;
	const struct staff *staff; /* may be NULL */
	struct judge_limits limits;
	bool is_test; /* nudgectl test, check: shadowed rules act, no rollout */
	/* A monotonic clock for the time limits only; never reaches a rule. */
	int64_t (*ticks_us)(void *arg);
	/* The crash note: called before each evaluation with ("event"|"chain", id, rule) and after it with
	 * NULLs.  May be NULL. */
	void (*note)(void *arg, const char *kind, struct span id, struct span rule);
	void *arg;
};

struct judge;
struct sitting;

/* Loads every text of the set.  NULL and an error that names file and line when one does not load.
 * The set is lent during the call only. */
struct judge *judge_new(const struct judge_env *env, const struct rule_set *set, struct err *err);
/* Frees it at once, or with its last open sitting. */
void judge_free(struct judge *j);
int64_t judge_set_id(const struct judge *j);
/* Suspended rules and pairs set aside; copied. */
void judge_switch(struct judge *j, const struct switches *s);

/* What stands in a judge, for nudgectl and the reports: calls back once per rule with its name, about
 * text, file and line. */
typedef void judge_rule_fn(
	void *arg, const char *name, const char *about, const char *file, int line);
void judge_each_rule(const struct judge *j, judge_rule_fn *fn, void *arg);

/* Joins two loaded cards of a batch (engine/card.h, card_join) by the modes of this set's rules. */
void judge_join(struct judge *j, struct batch *b, struct visit *living, struct visit *gone);

enum judge_answer { JUDGE_DONE, JUDGE_NEED };

struct sitting *judge_start(struct judge *j, struct batch *b);
/* On JUDGE_NEED *ret_queries lends an array of n queries until the next judge_go; fill every answer. */
enum judge_answer judge_go(struct sitting *s, struct query **ret_queries, size_t *ret_n);
/* After JUDGE_DONE, before judge_end: the batch was not committed and will be judged again, so its runs do not count
 * towards a suspension, and one that it decided is not lost. */
void judge_take_back(struct sitting *s);
void judge_end(struct sitting *s);

#endif
