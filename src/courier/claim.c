/* claim.c: the one place where a courier touches the database.
 *
 * Why lock, then read, in separate statements: a statement sees the world as it was when the statement
 * began, so what is read beside the lock may be older than the lock (ARCHITECTURE, Locks).  Why the
 * customer and not the message is locked: what decides - consent, what else he is due to get, his
 * chains - hangs on the card, and an engine that withdraws a message holds the same lock.
 *
 * The owner of a claim is (backend pid, backend start) of this connection: whether it lives is asked
 * of pg_stat_activity, so there is no lease that a frozen process could outlive.  After a claim whose
 * COMMIT got no answer nobody knows whether the row says `sending`; it is noted and given back on the
 * next connection, since nothing of it has left (also when another courier has called it in doubt meanwhile).
 *
 * What is asked goes in groups of one round trip each.  The list of candidates serves some claims: each courier of the
 * host begins with its share of the customers, so that they do not queue for the oldest message, and shares go round
 * each second, so that nobody waits for a courier that hangs.  Whom a list names may have been served meanwhile: that is
 * seen under the lock.
 *
 * The system identifier and the timeline of the cluster are compared with those of the last send at
 * each claim (P23).
 */
#include "courier/claim.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/now.h"
#include "base/planted.h"
#include "courier/decide.h"
#include "db/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CLAIM_CANDIDATES = 60,
	CLAIM_PLANS_US = 5000000, /* so long statements keep their plans, */
	CLAIM_LIST_US = 50000,    /* a list of candidates is good, */
	CLAIM_SHARE_US = 1000000  /* a courier has its share of the customers */
};
/* What is asked about one customer, in one round trip, in this order. */
enum { CLAIM_BEGIN, CLAIM_LOCK, CLAIM_WORLD, CLAIM_MESSAGES, CLAIM_LOOKS };

static const struct log_ctx claim_log = { "claim", "" };

/* Customers with due messages, best first, each once. */
struct claim_list {
	int64_t customers[CLAIM_CANDIDATES];
	size_t n, at; /* at: the next one */
	size_t own;   /* so many of the first are of this courier's share */
	int64_t read_boot_us;
};

struct claims {
	const struct claim_options *o;
	struct block *db;
	struct bind bind, group[CLAIM_LOOKS];
	struct claim claim;
	struct arena arena; /* of one attempt */
	char why[200];
	uint64_t counts[MESSAGE_REFUSED + 1];
	bool told;                /* something was put into the inbox */
	struct claim_record lost; /* a claim whose commit was lost; id 0: none */
	int owner_pid;            /* of this connection */
	int64_t owner_start_us;
	int64_t cluster; /* its system identifier and timeline */
	int timeline;
	int64_t planned_boot_us; /* statements were planned since */
	struct claim_list list;
};

/* What is the same for all messages at one moment. */
struct claim_world {
	int64_t now_us;
	struct span pauses;
};

struct claims *claims_new(const struct claim_options *o)
{
	struct claims *k = xcalloc(1, sizeof *k);

	k->o = o;
	return k;
}

void claims_apply(struct claims *k, const struct claim_options *o)
{
	k->o = o;
}

bool claims_is_open(const struct claims *k)
{
	return k->db != NULL && block_is_open(k->db);
}

int claims_fd(const struct claims *k)
{
	return k->db ? block_fd(k->db) : -1;
}

void claims_close(struct claims *k)
{
	block_close(k->db);
	k->db = NULL;
}

void claims_free(struct claims *k)
{
	if (k == NULL)
		return;
	claims_close(k);
	bind_fini(&k->bind);
	for (int i = 0; i < CLAIM_LOOKS; i++)
		bind_fini(&k->group[i]);
	arena_fini(&k->arena);
	arena_fini(&k->claim.arena);
	free(k);
}

bool claims_open(struct claims *k, const char *dsn, const char *name, bool unsafe_durability,
	int statement_timeout_ms, struct err *err)
{
	struct db_rows *rows;

	claims_close(k);
	k->db = block_open(dsn, name, unsafe_durability ? BLOCK_UNSAFE : BLOCK_CHECKED,
		statement_timeout_ms, err);
	if (k->db == NULL)
		return false;
	if (!block_exec_plain(k->db, SQL_CLAIM_SETTINGS, NULL, err) ||
		!block_exec_plain(k->db, SQL_CLAIM_OWNER, &rows, err)) {
		claims_close(k);
		return false;
	}
	k->owner_pid = (int)db_rows_i64(rows, 0, 0);
	k->owner_start_us = db_rows_time(rows, 0, 1);
	k->cluster = db_rows_i64(rows, 0, 2);
	k->timeline = (int)db_rows_i64(rows, 0, 3);
	k->list.n = k->list.at = k->list.own = 0;
	k->planned_boot_us = clock_boot_us();
	block_rows_free(rows);
	return true;
}

const char *claims_why(const struct claims *k)
{
	return k->why;
}

const uint64_t *claims_counts(const struct claims *k)
{
	return k->counts;
}

bool claims_told(struct claims *k)
{
	bool told = k->told;

	k->told = false;
	return told;
}

bool claim_is_fresh(const struct claims *k, const struct claim *c)
{
	return clock_boot_us() - c->claimed_boot_us < k->o->claim_us;
}

/*** statements ***/

/* Runs the statement that was bound; a connection that is no good any more is closed. */
static bool claims_exec(struct claims *k, struct db_rows **ret_rows, struct err *err)
{
	if (block_exec(k->db, &k->bind, ret_rows, err))
		return true;
	if (block_outcome(k->db) == DB_LOST)
		claims_close(k);
	return false;
}

/* The same of the first n of the group. */
static bool claims_exec_group(
	struct claims *k, size_t n, struct db_rows **ret_rows, struct err *err)
{
	struct bind *binds[CLAIM_LOOKS];

	for (size_t i = 0; i < n; i++)
		binds[i] = &k->group[i];
	if (block_exec_many(k->db, binds, n, ret_rows, err))
		return true;
	if (block_outcome(k->db) == DB_LOST)
		claims_close(k);
	return false;
}

static bool claims_plain(struct claims *k, enum sql_id sql, struct err *err)
{
	bind_begin(&k->bind, sql);
	return claims_exec(k, NULL, err);
}

/* Ends an attempt that came to nothing. */
static void claims_rollback(struct claims *k)
{
	struct err err;

	if (claims_is_open(k) && !claims_plain(k, SQL_ROLLBACK, &err))
		claims_close(k);
}

static struct span claims_copy(
	struct arena *a, const struct db_rows *rows, size_t row, unsigned col)
{
	struct span s = db_rows_text(rows, row, col);

	return s.p ? (struct span){ arena_dup(a, s.p, s.n), s.n } : s;
}

/*** reading under the lock ***/

/* In the order of CARD_COLUMNS in db/sql.c. */
static void claims_card(struct arena *a, const struct db_rows *rows, struct customer *ret)
{
	unsigned col = 0;

	ret->id = db_rows_i64(rows, 0, col++);
	ret->base = claims_copy(a, rows, 0, col++);
	ret->hidden = db_rows_bool(rows, 0, col++);
	ret->merged_into = db_rows_i64(rows, 0, col++);
	ret->identity_version = db_rows_i64(rows, 0, col++);
	for (int i = 0; i < CARD_TEXTS; i++)
		ret->text[i] = claims_copy(a, rows, 0, col++);
	ret->orders_count = db_rows_i64(rows, 0, col++);
	ret->orders_total = db_rows_f64(rows, 0, col++);
	ret->orders_first_us = db_rows_time(rows, 0, col++);
	ret->orders_last_us = db_rows_time(rows, 0, col++);
	ret->orders_last_id = claims_copy(a, rows, 0, col++);
	ret->created_us = db_rows_time(rows, 0, col++);
	ret->last_seen_us = db_rows_time(rows, 0, col++);
	for (int i = 0; i < CARD_JSONS; i++)
		ret->json[i] = claims_copy(a, rows, 0, col++);
}

static const struct shop *claims_shop(const struct claims *k, struct span id)
{
	for (size_t i = 0; i < k->o->n_shops; i++)
		if (span_is(id, k->o->shops[i].id))
			return &k->o->shops[i];
	return NULL;
}

/* One row of CLAIM_MESSAGES into k->claim, beside the card that is there already.  False: of a shop
 * that this configuration does not have. */
static bool claims_message(struct claims *k, const struct db_rows *rows, size_t row)
{
	struct claim *c = &k->claim;
	struct message *m = &c->m;
	struct arena *a = &c->arena;

	*m = (struct message){ .id = db_rows_i64(rows, row, 0),
		.customer = c->card.id,
		.chain = db_rows_i64(rows, row, 1),
		.channel = k->o->channel,
		.shop = claims_shop(k, db_rows_text(rows, row, 2)),
		.priority = (int)db_rows_i64(rows, row, 5) };
	m->rule = claims_copy(a, rows, row, 3);
	m->template_name = claims_copy(a, rows, row, 6);
	m->template_hash = claims_copy(a, rows, row, 7);
	m->lang = claims_copy(a, rows, row, 8);
	m->data = claims_copy(a, rows, row, 9);
	m->to = claims_copy(a, rows, row, 10);
	m->subject = claims_copy(a, rows, row, 11);
	c->created_us = db_rows_time(rows, row, 12);
	m->due_us = db_rows_time(rows, row, 13);
	m->expires_us = db_rows_time(rows, row, 14);
	m->keep = db_rows_bool(rows, row, 15);
	c->attempts = (int)db_rows_i64(rows, row, 16) + 1;
	c->doubts = (int)db_rows_i64(rows, row, 17);
	c->is_own = m->to.n == 0;
	if (c->is_own)
		m->to = c->card.text[CARD_EMAIL];
	return m->shop != NULL && message_class_parse(db_rows_text(rows, row, 4), &m->class_);
}

/*** the world ***/

/* Why nothing may be claimed at all; false: k->why says it. */
static bool claims_may_send(struct claims *k, const struct db_rows *rows, struct claim_world *w)
{
	int64_t off_us = clock_now_us() - w->now_us;

	if (decide_is_paused(w->pauses, "all", SPAN("")) ||
		decide_is_paused(
			w->pauses, "channel:", span_of(message_channel_name(k->o->channel)))) {
		snprintf(k->why, sizeof k->why, "paused");
		return false;
	}
	if (off_us > k->o->clock_skew_us || off_us < -k->o->clock_skew_us) {
		snprintf(k->why, sizeof k->why, "this host's clock is %lld ms off the database's",
			(long long)off_us / 1000);
		return false;
	}
	if (!PLANTED(send_restored) && !db_rows_null(rows, 0, 2) &&
		(db_rows_i64(rows, 0, 2) != k->cluster || db_rows_i64(rows, 0, 3) != k->timeline)) {
		snprintf(k->why, sizeof k->why,
			"restored or copied database: say nudgectl resume --restored-at TIME");
		return false;
	}
	return true;
}

/* What it says; the first send ever notes the cluster. */
static enum claim_result claims_world(
	struct claims *k, const struct db_rows *rows, struct claim_world *ret, struct err *err)
{
	ret->now_us = db_rows_time(rows, 0, 0);
	ret->pauses = claims_copy(&k->arena, rows, 0, 1);
	if (!claims_may_send(k, rows, ret))
		return CLAIM_HELD;
	if (!db_rows_null(rows, 0, 2))
		return CLAIM_GOT;
	bind_begin(&k->bind, SQL_CLAIM_FIRST);
	bind_i64(&k->bind, 0, k->cluster);
	bind_int(&k->bind, 1, k->timeline);
	return claims_exec(k, NULL, err) ? CLAIM_GOT : CLAIM_TROUBLE;
}

/*** outcomes ***/

/* {"at":"...","decision":"refuse","code":"no_consent","attempt":1}: why, for people. */
static struct span claims_verdict(struct claims *k, enum decide_outcome outcome, const char *code)
{
	const struct claim *c = &k->claim;
	char at[32];

	return span_of(arena_printf(&k->arena,
		"{\"at\":\"%s\",\"decision\":\"%s\",\"code\":\"%s\",\"attempt\":%d}",
		clock_format_rfc3339(c->now_us, at), decide_outcome_name(outcome), code,
		c->attempts));
}

/* The data of a message.failed of a message that never was handed over. */
static struct span claims_news(struct claims *k, const char *code)
{
	const struct message *m = &k->claim.m;
	struct buf b = { 0 };
	struct span news;

	buf_printf(&b, "{\"message_id\":\"%lld\",\"rule\":", (long long)m->id);
	json_put_text(&b, m->rule);
	buf_printf(&b, ",\"channel\":\"%s\",\"code\":\"%s\",\"chain\":\"%lld\"}",
		message_channel_name(m->channel), code, (long long)m->chain);
	news = (struct span){ arena_dup(&k->arena, b.p, b.n), b.n };
	buf_free(&b);
	return news;
}

/* Writes the outcome of a message that will never go. */
static bool claims_end(struct claims *k, enum decide_outcome outcome, enum message_state state,
	const char *code, struct err *err)
{
	const struct message *m = &k->claim.m;
	struct bind *b = &k->bind;
	bool tell = outcome != DECIDE_WITHDRAW; /* a chain that is gone hears nothing */
	struct span verdict = claims_verdict(k, outcome, code), news = claims_news(k, code);

	bind_begin(b, SQL_CLAIM_END);
	bind_i64(b, 0, m->id);
	bind_key(b, 1, span_of(message_state_name(state)));
	bind_key(b, 2, span_of(code));
	bind_text(b, 4, verdict);
	if (tell) {
		bind_text(b, 5, SPAN("message.failed"));
		bind_text(b, 6, news);
	}
	if (!claims_exec(k, NULL, err))
		return false;
	k->told = k->told || tell;
	k->counts[state]++;
	log_info(&claim_log, "message %lld of rule %.*s: %s (%s)", (long long)m->id,
		SPAN_ARG(m->rule), message_state_name(state), code);
	return true;
}

/* The commit's answer was lost: the claim is given back later, if it is there. */
static void claims_note_lost(struct claims *k)
{
	k->lost = (struct claim_record){ .id = k->claim.m.id,
		.owner_pid = k->owner_pid,
		.owner_start_us = k->owner_start_us,
		.state = MESSAGE_READY,
		.code = "claim_lost",
		.due_us = TIME_NONE };
}

/*** one attempt ***/

/* Decides on one message: CLAIM_GOT: it may go; CLAIM_NONE: look at the next. */
static enum claim_result claims_decide(struct claims *k, const struct db_rows *rows, size_t row,
	const struct claim_world *w, struct err *err)
{
	struct decide_facts f = { .c = &k->claim,
		.pauses = w->pauses,
		.only_to = k->o->only_to,
		.n_only_to = k->o->n_only_to };
	const char *code;
	enum decide_outcome outcome;
	bool ok = true;

	if (!claims_message(k, rows, row))
		return CLAIM_NONE;
	k->claim.now_us = w->now_us;
	f.chain_live = db_rows_bool(rows, row, 18);
	f.suppressed = db_rows_text(rows, row, 19);
	outcome = decide(&f, &code);
	switch (outcome) {
	case DECIDE_SEND: return CLAIM_GOT;
	case DECIDE_HOLD: break;
	case DECIDE_REFUSE: ok = claims_end(k, outcome, MESSAGE_REFUSED, code, err); break;
	case DECIDE_EXPIRE: ok = claims_end(k, outcome, MESSAGE_EXPIRED, code, err); break;
	case DECIDE_WITHDRAW: ok = claims_end(k, outcome, MESSAGE_WITHDRAWN, code, err); break;
	}
	return ok ? CLAIM_NONE : CLAIM_TROUBLE;
}

/* All due messages of the locked customer, best first, until one may go. */
static enum claim_result claims_choose(
	struct claims *k, const struct db_rows *rows, const struct claim_world *w, struct err *err)
{
	enum claim_result result = CLAIM_NONE;

	for (size_t i = 0; i < db_rows_count(rows) && result == CLAIM_NONE; i++)
		result = claims_decide(k, rows, i, w, err);
	return result;
}

/* His messages belong to the card that took his over. */
static enum claim_result claims_follow(struct claims *k, struct err *err)
{
	bind_begin(&k->bind, SQL_CLAIM_FOLLOW);
	bind_i64(&k->bind, 0, k->claim.card.id);
	bind_i64(&k->bind, 1, k->claim.card.merged_into);
	return claims_exec(k, NULL, err) ? CLAIM_NONE : CLAIM_TROUBLE;
}

/* Begins, locks him and reads: his card with the lock; what is read after it is what its last holder left behind. */
static bool claims_look(
	struct claims *k, int64_t customer, struct db_rows **ret_rows, struct err *err)
{
	bind_begin(&k->group[CLAIM_BEGIN], SQL_BEGIN);
	bind_begin(&k->group[CLAIM_LOCK], SQL_CARD_LOCK);
	bind_i64(&k->group[CLAIM_LOCK], 0, customer);
	bind_begin(&k->group[CLAIM_WORLD], SQL_CLAIM_WORLD);
	bind_begin(&k->group[CLAIM_MESSAGES], SQL_CLAIM_MESSAGES);
	bind_i64(&k->group[CLAIM_MESSAGES], 0, customer);
	bind_key(&k->group[CLAIM_MESSAGES], 1, span_of(message_channel_name(k->o->channel)));
	for (size_t i = 0; i < k->o->n_shops; i++)
		bind_key(&k->group[CLAIM_MESSAGES], 2, span_of(k->o->shops[i].id));
	return claims_exec_group(k, CLAIM_LOOKS, ret_rows, err);
}

/* What was seen, decided on; CLAIM_NONE: somebody else has him, or nothing of his may go. */
static enum claim_result claims_inside(
	struct claims *k, struct db_rows *const *rows, struct err *err)
{
	struct claim_world w;
	enum claim_result result;

	if (db_rows_count(rows[CLAIM_LOCK]) != 1)
		return CLAIM_NONE;
	result = claims_world(k, rows[CLAIM_WORLD], &w, err);
	if (result != CLAIM_GOT)
		return result;
	claims_card(&k->claim.arena, rows[CLAIM_LOCK], &k->claim.card);
	return k->claim.card.merged_into ? claims_follow(k, err)
					 : claims_choose(k, rows[CLAIM_MESSAGES], &w, err);
}

/* Makes the chosen one ours and commits. */
static enum claim_result claims_take(struct claims *k, struct err *err)
{
	struct db_rows *rows[2] = { NULL, NULL };
	struct bind *b = &k->group[0];
	struct claim *c = &k->claim;
	bool got;

	bind_begin(b, SQL_CLAIM_TAKE);
	bind_i64(b, 0, c->m.id);
	bind_text(b, 1, claims_verdict(k, DECIDE_SEND, "ok"));
	bind_int(b, 2, k->owner_pid);
	bind_time(b, 3, k->owner_start_us);
	bind_begin(&k->group[1], SQL_COMMIT);
	c->owner_pid = k->owner_pid;
	c->owner_start_us = k->owner_start_us;
	c->claimed_boot_us = clock_boot_us();
	if (!claims_exec_group(k, PLANTED(send_uncommitted) ? 1 : 2, rows, err)) {
		claims_note_lost(k);
		claims_rollback(k);
		return CLAIM_TROUBLE;
	}
	got = db_rows_count(rows[0]) == 1;
	block_rows_free(rows[0]);
	block_rows_free(rows[1]);
	return got ? CLAIM_GOT : CLAIM_NONE;
}

/* One customer, one transaction. */
static enum claim_result claims_try(struct claims *k, int64_t customer, struct err *err)
{
	enum claim_result result = CLAIM_TROUBLE;
	struct db_rows *rows[CLAIM_LOOKS];

	arena_reset(&k->arena);
	arena_reset(&k->claim.arena);
	if (claims_look(k, customer, rows, err)) {
		result = claims_inside(k, rows, err);
		for (int i = 0; i < CLAIM_LOOKS; i++)
			block_rows_free(rows[i]);
	}
	if (result == CLAIM_TROUBLE || result == CLAIM_HELD) {
		claims_rollback(k);
		return result;
	}
	FAILPOINT("claim.before_commit");
	if (result == CLAIM_GOT)
		return claims_take(k, err);
	if (claims_plain(k, SQL_COMMIT, err))
		return CLAIM_NONE;
	claims_rollback(k);
	return CLAIM_TROUBLE;
}

/*** candidates ***/

static void claims_list_put(struct claim_list *list, int64_t customer)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->customers[i] == customer)
			return;
	if (list->n < CLAIM_CANDIDATES)
		list->customers[list->n++] = customer;
}

/* Reads the list anew: first those of the share that this courier has now; shares go round. */
static bool claims_candidates(struct claims *k, struct err *err)
{
	uint64_t couriers = k->o->couriers ? k->o->couriers : 1;
	uint64_t share = (k->o->index + (uint64_t)clock_boot_us() / CLAIM_SHARE_US) % couriers;
	struct claim_list *list = &k->list;
	struct db_rows *rows;
	size_t have, lane = 0, from;

	bind_begin(&k->bind, SQL_CLAIM_CANDIDATES);
	bind_key(&k->bind, 0, span_of(message_channel_name(k->o->channel)));
	for (size_t i = 0; i < k->o->n_shops; i++)
		bind_key(&k->bind, 1, span_of(k->o->shops[i].id));
	if (!claims_exec(k, &rows, err))
		return false;
	have = db_rows_count(rows);
	while (lane < have && db_rows_i64(rows, lane, 1) == db_rows_i64(rows, 0, 1))
		lane++;
	list->n = list->at = 0;
	for (size_t i = 0; i < lane; i++)
		if ((uint64_t)db_rows_i64(rows, i, 0) % couriers == share)
			claims_list_put(list, db_rows_i64(rows, i, 0));
	list->own = list->n;
	/* the best are equally good: who helps others does not begin where they do */
	from = share * lane / couriers;
	for (size_t i = 0; i < have; i++)
		claims_list_put(list, db_rows_i64(rows, i < lane ? (from + i) % lane : i, 0));
	block_rows_free(rows);
	list->read_boot_us = clock_boot_us();
	return true;
}

/* Tries those of the list up to the n-th. */
static enum claim_result claims_try_list(struct claims *k, size_t n, struct err *err)
{
	enum claim_result result = CLAIM_NONE;

	while (k->list.at < k->list.n && k->list.at < n && result == CLAIM_NONE)
		result = claims_try(k, k->list.customers[k->list.at++], err);
	return result;
}

enum claim_result claims_next(struct claims *k, const struct claim **ret, struct err *err)
{
	enum claim_result result = CLAIM_NONE;

	if (!claims_is_open(k)) {
		err_set(err, "no database");
		return CLAIM_TROUBLE;
	}
	if (k->lost.id) {
		if (!claims_record(k, &k->lost, err))
			return CLAIM_TROUBLE;
		k->lost.id = 0;
	}
	if (clock_boot_us() - k->planned_boot_us > CLAIM_PLANS_US) {
		k->planned_boot_us = clock_boot_us();
		if (!claims_plain(k, SQL_PLAN_ANEW, err))
			return CLAIM_TROUBLE;
	}
	if (clock_boot_us() - k->list.read_boot_us < CLAIM_LIST_US)
		result = claims_try_list(k, k->list.own, err);
	if (result == CLAIM_NONE) {
		if (!claims_candidates(k, err))
			return CLAIM_TROUBLE;
		result = claims_try_list(k, CLAIM_CANDIDATES, err);
	}
	if (result == CLAIM_GOT) {
		FAILPOINT("claim.after_commit");
		*ret = &k->claim;
	}
	return result;
}

/*** what became of it ***/

/* Text for people, as the database takes it: messages are cut where their buffers end, also inside a character. */
static struct span claims_text(struct claims *k, const char *text)
{
	struct span own = span_of(text);
	char *copy;

	if (json_is_text(own))
		return own;
	copy = arena_dup(&k->arena, own.p, own.n);
	for (size_t i = 0; i < own.n; i++)
		if ((unsigned char)copy[i] >= 0x80)
			copy[i] = '?';
	return (struct span){ copy, own.n };
}

bool claims_record(struct claims *k, const struct claim_record *r, struct err *err)
{
	struct bind *b = &k->bind;
	struct db_rows *rows;

	if (!claims_is_open(k))
		return err_set(err, "no database");
	bind_begin(b, SQL_CLAIM_RECORD);
	bind_i64(b, 0, r->id);
	bind_int(b, 1, r->owner_pid);
	bind_time(b, 2, r->owner_start_us);
	bind_key(b, 3, span_of(message_state_name(r->state)));
	bind_text(b, 4, span_of(r->code));
	bind_text(b, 5, claims_text(k, r->detail));
	bind_time(b, 6, r->due_us);
	bind_bool(b, 7, r->count);
	bind_text(b, 8, r->type);
	bind_text(b, 9, r->data);
	if (!claims_exec(k, &rows, err))
		return false;
	if (PLANTED(send_uncommitted) && !claims_plain(k, SQL_COMMIT, err))
		return false;
	k->told = k->told || r->type.p;
	if (db_rows_i64(rows, 0, 0) > 0)
		k->counts[r->state]++;
	else
		log_info(&claim_log, "message %lld was recorded before", (long long)r->id);
	block_rows_free(rows);
	return true;
}

bool claims_sweep(struct claims *k, size_t *ret_n, struct err *err)
{
	struct db_rows *rows;

	bind_begin(&k->bind, SQL_CLAIM_SWEEP);
	bind_key(&k->bind, 0, span_of(message_channel_name(k->o->channel)));
	bind_bool(&k->bind, 1, k->o->resend_in_doubt || PLANTED(resend_swept));
	if (!claims_exec(k, &rows, err))
		return false;
	*ret_n = db_rows_count(rows);
	FAILPOINT_IF(*ret_n > 0, "claim.swept");
	k->told |= *ret_n > 0;
	k->counts[MESSAGE_IN_DOUBT] += *ret_n;
	for (size_t i = 0; i < *ret_n; i++)
		log_warning(&claim_log, "message %lld is in doubt: its courier is gone",
			(long long)db_rows_i64(rows, i, 0));
	block_rows_free(rows);
	return true;
}

bool claims_template(
	struct claims *k, struct span hash, struct arena *a, struct span *ret, struct err *err)
{
	struct db_rows *rows;

	bind_begin(&k->bind, SQL_TEMPLATE_READ);
	bind_key(&k->bind, 0, hash);
	if (!claims_exec(k, &rows, err))
		return false;
	*ret = db_rows_count(rows) ? claims_copy(a, rows, 0, 0) : (struct span){ NULL, 0 };
	block_rows_free(rows);
	return true;
}
