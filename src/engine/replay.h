#ifndef ENGINE_REPLAY_H
#define ENGINE_REPLAY_H
/*
 * The history of a chain: what its calls answered and what it read, so that `run` can be run again from the
 * top and come to the very place where it stopped.
 *
 * A history is canonical JSON that only ever grows at its end, an array of parts:
 *	[{"r":{"orders.total":12.5},"s":[["email","cart-reminder",{"id":17}],["wait",null,{...}]]},
 *	 {"a":{"type":"message.clicked",...},"r":{},"s":[...]}]
 * "s": the steps, each [call, name, result]; name is the template, title or type that must agree.
 * "r": values read through `customer` in this part, by path, as they were at their first reading.
 * "a": what the wait that ended the part before was answered (null: the time was over).
 * A part ends with a wait, and with a step that changes the card (what is read later is another value).
 *
 * Life: replay_open on the text (empty for a new chain), then steps and reads in the order of the text of
 * the rule, then replay_write.  Everything is taken from the arena; the history text is lent as long as
 * the replay is used.  Pure: no Lua, no clock.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct replay_step {
	struct span call;   /* "email" */
	struct span name;   /* {NULL,0}: the call has none */
	struct span result; /* JSON; as recorded */
};
struct replay_read {
	struct span path;
	struct span value; /* JSON */
};
struct replay_part {
	bool answered;      /* it began with the answer to a wait */
	struct span answer; /* JSON; null: the time was over */
	struct replay_step *steps;
	size_t n_steps, cap_steps;
	struct replay_read *reads;
	size_t n_reads, cap_reads;
	uint32_t *index; /* hash table over reads when they are many: number + 1 */
	size_t n_index;
};
struct replay {
	struct arena *arena;
	struct span history;       /* as it was opened */
	struct replay_part *parts; /* recorded ones, then the new ones */
	size_t n_parts, cap_parts;
	size_t n_recorded; /* parts that came from the history */
	size_t part, step; /* where the text stands */
	size_t count;      /* steps passed so far, over all parts */
	size_t bytes;      /* of the history with what is new, about */
	size_t added;      /* bytes of that which are new */
};

enum replay_turn {
	REPLAY_LIVE,     /* the history is over: do it, then replay_record */
	REPLAY_RECORDED, /* it was done: *ret_result is what it answered */
	REPLAY_STUCK,    /* the history holds another step here */
};

/* False when the text is no history. */
bool replay_open(
	struct replay *r, struct arena *a, struct span history, struct err *err) MUST_CHECK;
/* Begins a new part with the answer (JSON) to the wait that ended the history; before the text is run. */
void replay_answer(struct replay *r, struct span answer);

/* The text makes a call.  STUCK fills err with both sides ("history: ...; text: ..."). */
enum replay_turn replay_step(struct replay *r, const char *call, struct span name,
	struct span *ret_result, struct err *err) MUST_CHECK;
/* Records what the call of the last LIVE turn answered: one JSON value.  name and result are lent as long as
 * the replay is used. */
void replay_record(struct replay *r, const char *call, struct span name, struct span result);
/* After a recorded wait: is its answer in the history?  Then the text stands in the part that it began. */
bool replay_wait_over(struct replay *r, struct span *ret_answer) MUST_CHECK;
/* After a step that changed the card, recorded or live: what is read from here on is read anew. */
void replay_cut(struct replay *r);

/* The value of a path at its first reading in this part; false: it was not read yet. */
bool replay_read(const struct replay *r, struct span path, struct span *ret_value) MUST_CHECK;
void replay_note_read(struct replay *r, struct span path, struct span value);

/* The text has ended (or waits for good): false and both sides in err when recorded steps are left. */
bool replay_is_over(const struct replay *r, struct err *err) MUST_CHECK;
/* The last step of the history, a wait that is not answered yet; false when it does not end so. */
bool replay_open_wait(const struct replay *r, struct span *ret_result) MUST_CHECK;
void replay_write(const struct replay *r, struct buf *out);

#endif
