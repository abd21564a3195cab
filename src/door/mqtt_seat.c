/*
 * mqtt_seat.c: one lock, one connection, one question at a time.
 *
 *	OUT ----connection up----> ASKING --the lock is ours--> HOLDING
 *	 ^___________connection lost, or no answer for too long_____|
 *
 * The lock belongs to the database session, so the session is the proof: as long as it answers, the lock
 * is ours.  Trust is counted from when the last answered question was sent; the server counts its
 * idle_session_timeout from when it answered it, i.e. later: so the holder lets go first.  All
 * session settings travel with the question that takes the lock, so no session ever holds it without them.
 *
 * Rejected: a row with a lease (needs clocks that agree); the lock on a connection of the batches (a
 * batch that waits would delay the answer, and a session that is replaced after an error would give up the
 * session at the broker with it); the broker as the judge (the last client to come wins: two engines would
 * kick each other out for ever).
 */
#include "door/mqtt_seat.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/planted.h"
#include "db/conn.h"

#include <stdlib.h>
#include <string.h>

enum seat_state { SEAT_OUT, SEAT_ASKING, SEAT_HOLDING };

struct seat {
	struct loop *loop;
	struct log_ctx lc;
	struct seat_env env;
	char *dsn;
	enum seat_state state;
	struct db_conn *db;
	struct loop_timer *ask;   /* the next question */
	struct loop_timer *trust; /* HOLDING: when to let go */
	int64_t key;
	int64_t trusted_until_us;
	int64_t asked_us; /* when the question on its way was sent; 0: none is */
	bool got_lock;    /* what its row said */
	bool was_taken;
};

static const char *seat_state_name(enum seat_state s)
{
	switch (s) {
	case SEAT_OUT: return "out";
	case SEAT_ASKING: return "asking";
	case SEAT_HOLDING: return "holding";
	}
	return "?";
}

/* The one mover; tells the owner. */
static void seat_enter(struct seat *s, enum seat_state to)
{
	enum seat_state from = s->state;

	log_debug(&s->lc, "%s -> %s", seat_state_name(from), seat_state_name(to));
	s->state = to;
	if (to != SEAT_HOLDING)
		loop_timer_stop(s->trust);
	if (from == to || (from != SEAT_HOLDING && to != SEAT_HOLDING))
		return;
	log_notice(&s->lc, to == SEAT_HOLDING ? "got the session" : "lost the session");
	s->env.on_change(s->env.arg, to == SEAT_HOLDING, s->was_taken);
	s->was_taken = false;
}

static void seat_on_row(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct seat *s = arg;

	(void)tag;
	s->got_lock = db_rows_count(rows) == 1 && (db_rows_bool(rows, 0, 0) || PLANTED(share_seat));
}

/* Trusts the session from when the question was sent. */
static void seat_trust(struct seat *s)
{
	s->trusted_until_us = s->asked_us + SEAT_TRUST_US;
	loop_timer_at(s->trust, s->trusted_until_us);
}

static void seat_on_end(void *arg, const struct db_end *end)
{
	struct seat *s = arg;

	if (end->outcome == DB_COMMITTED && s->state == SEAT_HOLDING) {
		seat_trust(s);
	} else if (end->outcome == DB_COMMITTED && s->state == SEAT_ASKING && s->got_lock) {
		seat_trust(s);
		seat_enter(s, SEAT_HOLDING);
	} else if (end->outcome == DB_COMMITTED && s->state == SEAT_ASKING) {
		s->was_taken = true;
	} else if (end->outcome != DB_COMMITTED && end->outcome != DB_LOST) {
		log_damped(
			LOG_LVL_ERROR, &s->lc, "could not ask for the session: %s", end->err.text);
	}
	s->asked_us = 0;
}

/* Asks for the lock, or whether its session is there. */
static void seat_on_ask(void *arg)
{
	struct seat *s = arg;
	struct bind b = { 0 };

	loop_timer_in(s->ask, s->env.ask_us);
	if (s->asked_us != 0 || s->state == SEAT_OUT)
		return;
	s->asked_us = loop_now_us();
	s->got_lock = false;
	bind_begin(&b, s->state == SEAT_HOLDING ? SQL_SEAT_HOLD : SQL_SEAT_TAKE);
	if (s->state == SEAT_ASKING) {
		bind_i64(&b, 0, s->key);
		bind_i64(&b, 1, SEAT_TRUST_US / 1000);
	}
	db_send(s->db, &b, seat_on_row, s, 0);
	db_sync(s->db, seat_on_end, s);
	bind_fini(&b);
}

static void seat_on_state(void *arg, bool up)
{
	struct seat *s = arg;

	if (up) {
		seat_enter(s, SEAT_ASKING);
		loop_timer_in(s->ask, 0);
	} else if (s->state != SEAT_OUT) {
		seat_enter(s, SEAT_OUT);
	}
}

static void seat_connect(struct seat *s)
{
	struct db_env db = { .dsn = s->dsn,
		.name = "nudged mqtt",
		.users = SQL_SEAT,
		.unsafe_durability = s->env.unsafe_durability,
		.statement_timeout_ms = SEAT_TRUST_US / 1000,
		.answer_timeout_ms = SEAT_TRUST_US / 1000,
		.on_state = seat_on_state,
		.arg = s };

	s->db = db_open(s->loop, &db);
}

/* No answer for too long: the database may have given the seat away.  If it has not, an answer that still
 * comes would leave us with a lock that we do not use: so that session must end, too. */
static void seat_on_trust(void *arg)
{
	struct seat *s = arg;

	if (s->state != SEAT_HOLDING)
		return;
	seat_enter(s, SEAT_OUT);
	db_close(s->db);
	seat_connect(s);
}

/* A number for the lock: half of a digest, so that no other lock of ours meets it by chance. */
static int64_t seat_key(const char *name)
{
	unsigned char digest[HASH_SIZE];
	struct span text = span_of(name);
	int64_t key;

	hash_sha256(&text, 1, digest);
	memcpy(&key, digest, sizeof key);
	return key;
}

struct seat *seat_open(struct loop *loop, const struct seat_env *env)
{
	struct seat *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->lc = (struct log_ctx){ .room = "seat" };
	s->env = *env;
	s->env.dsn = s->env.name = NULL; /* lent */
	s->dsn = xstrdup(env->dsn);
	if (s->env.ask_us > SEAT_TRUST_US / 2)
		s->env.ask_us = SEAT_TRUST_US / 2;
	s->key = seat_key(env->name);
	s->ask = loop_timer_open(loop, seat_on_ask, s);
	s->trust = loop_timer_open(loop, seat_on_trust, s);
	seat_connect(s);
	return s;
}

bool seat_is_held(const struct seat *s)
{
	return s->state == SEAT_HOLDING && loop_now_us() < s->trusted_until_us;
}

static void seat_ignore(void *arg, bool is_held, bool was_taken)
{
	(void)arg;
	(void)is_held;
	(void)was_taken;
}

void seat_close(struct seat *s)
{
	if (s == NULL)
		return;
	s->env.on_change = seat_ignore;
	db_close(s->db);
	loop_timer_close(s->ask);
	loop_timer_close(s->trust);
	free(s->dsn);
	loop_defer_free(s->loop, s, free);
}
