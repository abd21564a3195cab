#ifndef ENGINE_SITTING_H
#define ENGINE_SITTING_H
/*
 * What the rooms of the judge share: the judge, a sitting, a desk (one customer in it), a frame (one event on
 * it).  Private to judge, desk, eval, chain_step, wake, verdict, ask, arbiter and the binds; everybody else
 * uses engine/judge.h.
 *
 *	judge      one Lua state with the rules of a set; lives until the next set
 *	sitting    one batch being judged
 *	desk       one customer of it: his agenda, his open questions
 *	frame      one event (or due chain) on the desk; events it leads to are frames on top of it
 *	eval       one call of a rule's function (engine/eval.h); whole or not at all
 *
 * A desk that needs an answer is put aside with its frames and taken up again, at the same place, with the
 * answer in its list; an evaluation that asked is dropped and run again.  So nothing of Lua is kept over
 * a question, and numbers are given out as if nobody had asked.
 */
#include "engine/card.h"
#include "engine/judge.h"
#include "engine/rules.h"
#include "model/batch.h"
#include "model/shop.h"
#include "model/switches.h"

struct tz;

struct judge_template {
	struct span name, lang;
	char hash[65];
};

enum { JUDGE_RING = 50, JUDGE_RING_MOST = 20 };
/* The last runs of a rule: bit set = it failed. */
struct judge_ring {
	uint64_t bits;
	unsigned n, failed;
	bool tripped;
};

struct judge {
	struct judge_env env;
	struct script *script;
	struct rules *rules;
	int64_t set_id;
	struct arena arena;               /* for its whole life */
	struct judge_template *templates; /* sorted by name, then language */
	size_t n_templates;
	struct arena switch_arena;
	struct switches switches;
	struct judge_ring *rings; /* by rule->order */
	size_t n_rings;
	unsigned n_sittings;
	bool is_freed;
	struct buf scratch; /* for one text at a time */
	/* Lua: the event object made last; the next rule that is asked about it gets the same one */
	const struct shop_event *shown;
	int shown_ref, meta_ref, customer_ref;
	/* Lua: lists and objects of the card made last, good for one part of one evaluation */
	int parts_ref;
	uint64_t parts_eval;
	size_t parts_part;
	uint64_t n_evals;
};

enum {
	/* A store gives a batch 2^17 numbers; with half of them used nothing new is begun.  What follows from one
	 * event is bounded by SITTING_FOLLOW_MOST effects, so the other half is enough for it. */
	SITTING_NUMBERS_MOST = 1 << 16,
	SITTING_FOLLOW_MOST = 10 /* times the effects of one event */
};

enum desk_state { DESK_NEW, DESK_OPEN, DESK_ASKING, DESK_DONE };

/* What a frame does next; in this order. */
enum frame_step { FRAME_APPLY, FRAME_EXITS, FRAME_WAITS, FRAME_STARTS, FRAME_FOLLOW };

/* One event, or one due chain, on the desk. */
struct frame {
	struct shop_event *event; /* NULL: the timer of `chain` */
	struct shop_event
		*parent; /* the event that this one is only another view of (derived ones) */
	struct chain *chain;
	enum frame_step step;
	size_t at;       /* in chains or rules, by step */
	size_t n_chains; /* that were there before the event */
	const struct rule *const *rules;
	size_t n_rules;
	struct card_follow follow; /* what it leads to */
	size_t n_followed;
	unsigned effects; /* what rules did because of it */
	unsigned emits;   /* numbers the keys of emitted events */
	/* who asked last, and how many questions: each makes the evaluation run again */
	const struct rule *asker;
	int64_t asker_chain; /* 0: in `when` */
	unsigned asked;
	struct span *verdicts;
	size_t n_verdicts, cap_verdicts;
};

/* What is known of a chain beside its row; parallel to visit->chains. */
struct desk_chain {
	const struct shop_event *born; /* started in this batch, by this event */
	bool is_read;
	struct what exits;
	struct span key_field;
};

struct agenda_item { /* event or chain */
	struct shop_event *event;
	struct chain *chain;
	int64_t at_us;
};

struct desk {
	struct sitting *sitting;
	struct visit *visit;
	enum desk_state state;
	struct agenda_item *agenda;
	size_t n_agenda, at_agenda, cap_agenda;
	struct frame **frames; /* the last one is on top */
	size_t n_frames, cap_frames;
	struct desk_chain *chains;
	size_t n_chains, cap_chains;
	struct query *
		*asked; /* all questions of this customer; answers stay good for the whole batch */
	size_t n_asked, cap_asked;
	size_t n_answered; /* the first so many have their answers */
	unsigned
		effects; /* what rules did because of the item at hand and all that follows from it */
	const struct shop_event **judged; /* events of this batch that count now */
	size_t n_judged, cap_judged;
};

struct sitting_run { /* one run of a rule, for the ring */
	const struct rule *rule;
	struct visit *visit;
	int64_t seq, chain;
	bool failed;
};

/* A ring as it was before a run was counted. */
struct sitting_mark {
	struct judge_ring *ring;
	struct judge_ring before;
};

struct sitting {
	struct judge *judge;
	struct batch *batch;
	int64_t first_id; /* what is committed has smaller numbers */
	struct desk *desks;
	size_t n_desks;
	struct query *queries; /* lent to the caller of judge_go */
	struct query **askers; /* where their answers go */
	size_t n_queries;
	int64_t used_us;  /* judging so far, without the present turn */
	int64_t since_us; /* the present turn's beginning */
	struct sitting_run *runs;
	size_t n_runs, cap_runs;
	struct sitting_mark *marks; /* the rings before each run that was counted */
	size_t n_marks, cap_marks;
};

/* Puts what stands in the scratch buffer into the arena of the batch. */
struct span sitting_keep(struct sitting *s, const struct buf *b);
/* A message for people, in the arena: what a rule threw may hold bytes that are no text. */
struct span sitting_message(struct sitting *s, const char *text);
/* The next number for an event, chain, message or task. */
int64_t sitting_number(struct sitting *s);
/* Is it time to end?  What was not begun is left to another batch then. */
bool sitting_is_over(const struct sitting *s);
/* The customer's zone: his own, else the shop's. */
const struct tz *desk_zone(const struct desk *d, const struct shop *shop);

/* Goes on with a customer until he is done or asks. */
enum desk_state desk_go(struct desk *d);
void desk_open(struct desk *d, struct sitting *s, struct visit *v);
/* The notes of a chain of this visit. */
struct desk_chain *desk_chain_of(struct desk *d, const struct chain *c);

#endif
