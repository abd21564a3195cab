#ifndef STORE_MEM_H
#define STORE_MEM_H
/*
 * The store in memory: for unit tests, `nudgectl test` and the simulator.  Keeps to the contract of store.h,
 * including locks between lanes and the answer that never comes from inside the call: finished calls wait until
 * mem_turn hands their answers out.  The clock is the caller's (mem_set_now).
 *
 * Everything that was ever saved stays in the store's own arena until mem_close (ops->close): made for tests
 * that end.  The tables are lent for reading.
 */
#include "base/json.h"
#include "store/store.h"

struct mem;

struct mem_identity {
	struct span base;
	enum identity_kind kind;
	struct span value;
	int64_t customer;
};

/* Everything there is, in order of arrival.  Pointers stay valid; contents move on with each save. */
struct mem_tables {
	struct customer **customers;
	size_t n_customers, cap_customers;
	struct mem_identity **identities;
	size_t n_identities, cap_identities;
	struct shop_event **events; /* accepted ones, with seq and verdicts */
	size_t n_events, cap_events;
	struct shop_event **aside; /* quarantined and conflicting */
	size_t n_aside, cap_aside;
	struct chain **chains; /* live ones and, with an ended state, the log */
	size_t n_chains, cap_chains;
	struct order **orders;
	size_t n_orders, cap_orders;
	struct order_status **statuses;
	size_t n_statuses, cap_statuses;
	struct message **messages;
	size_t n_messages, cap_messages;
	struct task **tasks;
	size_t n_tasks, cap_tasks;
	struct store_inbox **inbox; /* rows not judged yet */
	size_t n_inbox, cap_inbox;
	struct visit_note **notes;
	size_t n_notes, cap_notes;
	struct visit_consent **consents;
	size_t n_consents, cap_consents;
	struct visit_suppression **suppressions;
	size_t n_suppressions, cap_suppressions;
};

/* n_lanes like connections; starts at now_us. */
struct store *mem_open(int n_lanes, int64_t now_us);
void mem_set_now(struct store *s, int64_t now_us);
/* Hands out the answers of finished calls, once; true when there was one. */
bool mem_turn(struct store *s);
const struct mem_tables *mem_tables(const struct store *s);
/* Puts a row into the inbox, as a courier would; the type is copied, data is checked JSON. */
void mem_inbox(struct store *s, int64_t customer, const struct shop *shop, const char *type,
	struct span data, int64_t due_us);
/* The earliest moment at which due work will exist (chains, deadlines, inbox rows, messages); TIME_NONE: none. */
int64_t mem_next_due_us(const struct store *s);
/* What a courier would do with every message that is due: hands it over; `message.sent` goes to the inbox. */
void mem_hand_over(struct store *s);

/* ---- faults, for tests of the flow ---- */
enum mem_call { MEM_IDENTIFY, MEM_LOAD, MEM_FETCH, MEM_SAVE };
/* The next call of this kind ends so; a lost save is carried out when `applied`. */
void mem_fail_next(struct store *s, enum mem_call call, enum store_end end, bool applied);
/* Every call of this kind (MEM_LOAD, MEM_SAVE) that has this customer in its batch ends so; 0: nobody's. */
void mem_poison(struct store *s, enum mem_call call, int64_t customer, enum store_end end);
void mem_set_engines(struct store *s, size_t n); /* as many share the work; at first 1 */
void mem_set_up(struct store *s, bool up);       /* is_up and usable */
/* Answers of this lane wait, what it asks for is done. */
void mem_stall(struct store *s, int lane, bool stalled);
/* Somebody else (no lane) holds this card. */
void mem_hold(struct store *s, int64_t customer, bool held);

#endif
