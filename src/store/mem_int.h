#ifndef STORE_MEM_INT_H
#define STORE_MEM_INT_H
/*
 * What the files of the memory store share; nobody else includes it.  mem.c: life, answers, identify, rule sets;
 * mem_load.c: load and fetch; mem_save.c: save; mem_copy.c: copies of everything into an arena.
 */
#include "base/map.h"
#include "store/mem.h"

enum {
	MEM_LANES_MOST = 16,
	MEM_NUMBER_BITS = 17,
	MEM_LOCKED_OUTSIDE = -2,
	MEM_STRIKES = 2,
	MEM_STRUCK_EVENTS = 3
};

struct mem_answer { /* a finished call whose answer waits for mem_turn */
	struct mem_answer *next;
	store_done_fn *done;
	void *arg;
	enum store_end end;
	struct err err;
	int lane;
};

struct mem_strike {
	struct switch_pair pair;
	unsigned n;
};

struct mem {
	struct store store; /* first */
	struct arena arena;
	int64_t now_us, next_customer, next_batch;
	struct mem_tables t;
	struct map customer_by_id, identity_by_key, event_by_key;
	struct map strong; /* customers that have an identity that is not weak */
	struct map locks;  /* customer -> lane + 1, or MEM_LOCKED_OUTSIDE */
	struct rule_last **lasts;
	int64_t *lasts_customer;
	size_t n_lasts, cap_lasts, cap_lasts_customer;
	struct rule_set set;
	struct rule_text *texts; /* of all sets that ever were: chains are pinned to them */
	size_t n_texts, cap_texts;
	int64_t switches_version;
	struct span *suspended;
	size_t n_suspended, cap_suspended;
	struct mem_strike **strikes;
	size_t n_strikes, cap_strikes;
	struct mem_answer *answers, **answers_end;
	bool open[MEM_LANES_MOST], in_call[MEM_LANES_MOST], stalled[MEM_LANES_MOST];
	bool up;
	size_t engines;
	struct { /* mem_poison */
		int64_t customer;
		enum store_end end;
	} poison[MEM_SAVE + 1];
	struct {
		bool armed, applied;
		enum store_end end;
	} fail[MEM_SAVE + 1];
};

/* A customer who has something due, and when. */
struct mem_due {
	int64_t customer, at_us, id;
};

/* Grows a vector of the store by one and gives the new place. */
#define MEM_PUSH(m, array, n, cap) BATCH_PUSH(&(m)->arena, array, n, cap)

struct mem *mem_of(const struct store *s);
bool mem_is_poisoned(struct mem *m, int lane, enum mem_call call, const struct batch *b,
	store_done_fn *done, void *arg);

/* mem_copy.c */
/* The same in the arena; pointers inside too. */
struct span mem_text(struct arena *a, struct span s);
struct customer *mem_copy_customer(struct arena *a, const struct customer *from);
struct chain *mem_copy_chain(struct arena *a, const struct chain *from, bool body);
struct order *mem_copy_order(struct arena *a, const struct order *from);
struct task *mem_copy_task(struct arena *a, const struct task *from);
struct message *mem_copy_message(struct arena *a, const struct message *from);
struct shop_event *mem_copy_event(struct arena *a, const struct shop_event *from);

/* mem.c */
/* Puts an answer into the line that mem_turn hands out. */
void mem_answer(struct mem *m, int lane, enum store_end end, const char *why, store_done_fn *done,
	void *arg);
/* Ends the lane's transaction. */
void mem_unlock(struct mem *m, int lane);
/* The test asked for this call to fail: it has been answered so. */
bool mem_fails(struct mem *m, int lane, enum mem_call call, store_done_fn *done, void *arg);
/* Rows of the identity table. */
struct mem_identity *mem_identity_add(
	struct mem *m, struct span base, const struct identity *id, int64_t customer);
/* The bytes that an identity is found by, in key. */
struct span mem_identity_key(
	struct buf *key, struct span base, enum identity_kind kind, struct span value);
struct mem_identity *mem_identity_find(struct mem *m, struct span base, const struct identity *id);

/* mem_load.c */
/* The bytes an event is known by: store, source, id. */
struct span mem_event_key(struct buf *key, const struct shop_event *e);
/* All that is due at b->now_us, oldest first; sets b->next_due_us. */
size_t mem_due_list(struct mem *m, struct batch *b, struct mem_due **ret);
/* The first number of a batch's own range. */
int64_t mem_numbers(struct mem *m);
/* Rows of the table of store_ops. */
void mem_load(
	struct store *s, int lane, struct batch *b, bool patient, store_done_fn *done, void *arg);
void mem_fetch(struct store *s, int lane, struct batch *b, struct query *q, size_t n,
	store_done_fn *done, void *arg);

/* mem_save.c */
void mem_save(struct store *s, int lane, struct batch *b, store_done_fn *done, void *arg);
void mem_abandon(struct store *s, int lane, store_done_fn *done, void *arg);

#endif
