#ifndef ENGINE_WAITS_H
#define ENGINE_WAITS_H
/*
 * A wait as data: until when, for what, and what an event means to it.
 *
 * Recorded in the history as the result of the step, so that any process can match events against it without
 * running the rule:
 *	{"at":now,"until":t,"for":[...]}            wait("1d", "order.paid"), wait "1d", wait_until
 *	{...,"span":"1d","open":[17]}               time runs from the hand-over of message 17; until: it expires
 *	{...,"expires":[17]}                        message 17 expires at `until`, unless it was handed over before
 *	{...,"end":"failed","object":"message","id":17}   wait(m): what the timer answers
 * Pure, in an arena.
 */
#include "base/duration.h"
#include "engine/what.h"

struct tz;

struct wait_plan {
	int64_t at_us;    /* when it was called */
	int64_t until_us; /* TIME_NONE: no end */
	struct what what;
	/* Messages that were not handed over at the call: `span` begins when the first of them is. */
	int64_t *open;
	unsigned n_open;
	struct duration span;
	/* Messages that were not handed over at the call and expire at until_us. */
	int64_t *expires;
	unsigned n_expires;
	/* What the timer answers for a bare handle; {NULL,0}: nil. */
	struct span end_outcome;
	enum what_object end_object;
	int64_t end_id;
};

enum wait_turn {
	WAIT_ON,     /* it means nothing to this wait */
	WAIT_ANSWER, /* this is what it waited for; *ret_outcome: of a handle, else {NULL,0} */
	WAIT_NIL,    /* it can not come any more */
	WAIT_RUNS,   /* time begins to run: *ret_until_us */
};

/* What an event means.  runs: the time has begun already (WAIT_RUNS was answered before). */
enum wait_turn waits_meet(const struct wait_plan *w, struct span type, struct span data,
	int64_t time_us, bool runs, const struct tz *zone, struct span *ret_outcome,
	int64_t *ret_until_us);
/* Is the number one of those? */
bool waits_in_list(const int64_t *v, unsigned n, int64_t id);
/* Has the message left, or may it have?  In doubt counts: nothing of it can be withdrawn any more. */
bool waits_is_handed_over(struct span type);
/* Types that may mean something, for chain.awaits. */
struct span *waits_types(const struct wait_plan *w, bool runs, struct arena *a, unsigned *ret_n);
/* Does the row of a chain say that the time of its wait runs? */
bool waits_row_runs(const struct wait_plan *w, const struct span *awaits, unsigned n_awaits);

struct span waits_write(const struct wait_plan *w, struct arena *a);
bool waits_read(
	struct span json, struct arena *a, struct wait_plan *ret, struct err *err) MUST_CHECK;
/* What it means that until_us has come (runs: as above): WAIT_ANSWER with null or the copy of an outcome, or WAIT_RUNS;
 * *ret_until_us also when time began with an expiry and is over by now.  open: the
 * chain's messages that are not handed over yet; the courier says that they failed, but perhaps later than now. */
enum wait_turn waits_end(const struct wait_plan *w, bool runs, const int64_t *open, unsigned n_open,
	const struct tz *zone, int64_t now_us, struct arena *a, struct span *ret_answer,
	int64_t *ret_until_us);

/* The number of the message or task that an event is about (its data's message_id, task_id); 0: none. */
int64_t waits_about(enum what_object object, struct span type, struct span data);

#endif
