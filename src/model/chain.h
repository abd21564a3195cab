#ifndef MODEL_CHAIN_H
#define MODEL_CHAIN_H
/*
 * A chain: one run of a rule for one customer, as a row.  Nobody holds it in memory between two stretches.
 *
 * `head` fields are loaded for every live chain of a locked customer; `history`, `event`, `arrived` only
 * for chains that this batch may resume (`loaded`).  Plain data in the arena of the batch; the engine sets
 * `change`, the store writes it.
 */
#include "base/str.h"

#include <stdint.h>

struct shop;

enum chain_state {
	CHAIN_WAITING,  /* for its wake-up or what it awaits */
	CHAIN_QUEUED,   /* mode "queued": behind another of the same rule and key */
	CHAIN_SETTLING, /* run has returned; something it sent is not handed over yet */
	CHAIN_STUCK, /* text and history disagree, or set aside after two crashes; a person decides */
	CHAIN_FAILED,    /* error in run: nothing of the stretch happened; can be retried */
	CHAIN_SUSPENDED, /* its rule is suspended; wakes when the rule is resumed */
	/* ended: these stand in chain_log only */
	CHAIN_DONE,      /* run returned, all handed over */
	CHAIN_EXITED,    /* exit_on */
	CHAIN_CANCELLED, /* mode "restart", on_change, by hand, late = "end" */
};
const char *chain_state_name(enum chain_state s); /* the word stored in Postgres */
bool chain_state_parse(struct span word, enum chain_state *ret);
bool chain_state_is_live(enum chain_state s);

enum chain_change { CHAIN_SAME, CHAIN_NEW, CHAIN_CHANGED, CHAIN_ENDED };

struct chain {
	/* head */
	int64_t id;
	int64_t customer;
	const struct shop *shop; /* of the event that started it */
	struct span rule, key;   /* key: what it is about, as text; empty: the customer */
	struct span text_hash;   /* 64 hex digits: the rule text it runs */
	int level;               /* language level of that text */
	enum chain_state state;
	int64_t started_us;
	int64_t wake_us;     /* TIME_NONE: no timer */
	struct span *awaits; /* event types and patterns that may wake it */
	unsigned n_awaits;
	struct span exits; /* exit_on as JSON (engine/what), or empty */
	int64_t *open;     /* ids of messages written and not handed over yet */
	unsigned n_open;
	struct span
		reason; /* of stuck and failed: what happened, with file and line; of ended: why */
	/* body */
	bool loaded;
	struct span event;   /* JSON: the event that started it, with meta */
	struct span history; /* JSON: recorded steps and reads (engine/replay) */
	struct span arrived; /* JSON array: matched events left by an engine that may not run it */
	/* this batch */
	bool due; /* its wake_us has come: it is here because of the timer */
	enum chain_change change;
};

/* The last start of a rule with `cooldown`. */
struct rule_last {
	struct span rule, key;
	int64_t started_us;
	bool changed;
};

#endif
