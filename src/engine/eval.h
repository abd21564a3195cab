#ifndef ENGINE_EVAL_H
#define ENGINE_EVAL_H
/*
 * One evaluation: one call of `when`, `key` or `run`, with everything the binds need to know of it.
 *
 * Whole or not at all: eval_run marks where all effects of the customer stand, and unless the function
 * came to an end (or to a wait) everything since that mark is taken back, numbers included (P7).
 * A bind never fails half way: it checks its arguments, asks the history (eval_step), acts, records.
 *
 * Binds find theirs by eval_of.  Functions that take a lua_State may raise or yield: nothing owned may be
 * alive in a C frame across them.
 */
#include "engine/replay.h"
#include "engine/sitting.h"

#include <lua.h>

struct tz;

enum eval_stop {
	EVAL_GOES,      /* not stopped by a bind */
	EVAL_WAIT,      /* at a wait */
	EVAL_ASK,       /* at a question without answer: run it again */
	EVAL_DISAGREES, /* text and history */
};
enum eval_end {
	EVAL_DONE,   /* the function has returned */
	EVAL_WAITS,  /* `wait` says for what */
	EVAL_ASKS,   /* nothing has happened; the desk has an open question */
	EVAL_STUCK,  /* nothing has happened; err has both sides */
	EVAL_FAILED, /* nothing has happened; err has file and line */
};

enum { EVAL_FIELDS = 24 };

struct eval_wait {
	int64_t wake_us; /* TIME_NONE: no timer */
	struct span *awaits;
	unsigned n_awaits;
};

struct eval {
	struct desk *desk;
	struct frame *frame;
	const struct rule *rule;
	const struct shop *shop;
	struct shop_event *event; /* what the function is given */
	struct chain *chain;      /* NULL: `when` or `key` */
	struct replay replay;     /* of `when` too: its reads go into the verdict */
	struct span answer;       /* resumed: JSON for the wait it stood at; else {NULL,0} */
	unsigned n_fields;        /* of fields */
	/* results */
	bool truth;       /* the function returned something true */
	struct span text; /* it returned this text or number */
	struct eval_wait wait;
	bool hit_limit;
	/* its own */
	uint64_t number;
	int function_ref;
	enum eval_stop stop;
	const struct tz *zone;
	/* large, and not zeroed by eval_init */
	struct span fields[EVAL_FIELDS]; /* of the event, in the order of reading; for verdicts */
	struct err err;                  /* of a result that is none; empty until then */
};

/* Fills what is common; the caller sets chain, answer. */
void eval_init(struct eval *e, struct desk *d, struct frame *f, const struct rule *rule,
	const struct shop *shop, struct shop_event *event);
/* Calls the function with (event, customer).  e->replay must be open. */
enum eval_end eval_run(struct eval *e, int function_ref);

/*** for binds ***/

/* The evaluation that a C function was called in; raises at load ("email can not be called here"). */
struct eval *eval_of(lua_State *L, const char *call);
/* The same, for calls that belong in `run`. */
struct eval *eval_of_run(lua_State *L, const char *call);
struct batch *eval_batch(const struct eval *e);
/* The time of the batch, which is that of all that it does. */
int64_t eval_now(const struct eval *e);
struct arena *eval_arena(const struct eval *e);
/* Asks the history: true, and *ret_result is what the call answered; false: do it and record it.  Raises when
 * text and history disagree or there are too many steps.  In `when` always false. */
bool eval_step(
	lua_State *L, struct eval *e, const char *call, struct span name, struct span *ret_result);
void eval_record(
	lua_State *L, struct eval *e, const char *call, struct span name, struct span result);
/* What a recorded step answered must be what such a step answers: raises when it is not, and the chain is stuck. */
void eval_need(lua_State *L, struct eval *e, bool is_whole);
/* What a step that made something answers: {"id":17}, with the code of a message that was over at once, and a time (its
 * name NULL: none).  Lives as long as the sitting. */
struct span eval_made(
	struct eval *e, struct span code, const char *time_name, int64_t time_us, int64_t id);
/* The id in such an answer. */
int64_t eval_made_id(lua_State *L, struct eval *e, struct span result);
/* Counts one effect; raises beyond the limit. */
void eval_effect(lua_State *L, struct eval *e);
/* After a step that changed the card, recorded or not. */
void eval_cut(struct eval *e);
/* The text passes a wait, recorded or answered at once: a new part begins. */
void eval_enter_part(struct eval *e);
/* Stops here; does not return. */
void eval_stop(lua_State *L, struct eval *e, enum eval_stop why);
/* The answer to a question; q->kind and what belongs to it are filled, customer and before_seq are not.
 * Does not return when there is none yet. */
const struct query *eval_ask(lua_State *L, struct eval *e, const struct query *q);
/* The evaluation reads a field of its event (luajson_watch_fn). */
void eval_note_field(lua_State *L, struct span name);
/* Text at idx copied to the arena; raises when it is none. */
struct span eval_text(lua_State *L, struct eval *e, int idx);

#endif
