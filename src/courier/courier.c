/* courier.c: the loop around a driver.
 *
 *	wait -> claim -> prepare -> session ( hand over -> settle -> claim -> prepare )* -> wait
 *
 * There is never more than one claimed message: so a crash at any moment puts at most one in doubt.
 * What a driver says of a message becomes a row and, for the engine, an event in the inbox, in one
 * statement.  If the database is gone just then, the courier keeps what it knows and tries until it is
 * back: a mail that was sent must not become doubtful only because Postgres was restarted.
 *
 * When the way out itself is broken (nobody answers), the courier waits, 1 s doubling to a minute,
 * before it claims again: otherwise an outage would take every waiting message through its retries.
 */
#include "courier/courier.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/heart.h"
#include "base/json.h"
#include "base/log.h"
#include "base/now.h"
#include "base/planted.h"
#include "courier/deadline.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
	COURIER_SLICE_MS = 500,    /* the heart beats at least so often */
	COURIER_REST_US = 1000000, /* first wait after a failed session */
	COURIER_REST_MOST_US = 60000000,
	COURIER_RESEND_US = 60000000, /* what is in doubt is resent after this */
	COURIER_TELL_US = 50000,      /* a busy courier wakes the engines no more often */
	COURIER_LAST_TRIES = 6,       /* to record after SIGTERM, a slice each */
	COURIER_REFUSALS_MOST = 3,    /* of a record, by a database that is there */
};

static const struct log_ctx courier_log = { "courier", "" };

struct courier {
	const struct courier_env *env, *first;
	const struct courier_host *host;
	const struct courier_driver *driver;
	void *self; /* the driver's */
	struct claims *claims;
	struct render *render;
	const struct claim *message; /* in hand; NULL: none */
	enum claim_result result;    /* of the last claim */
	struct err trouble;          /* of the last claim */
	int handed;                  /* messages, for max_messages */
	int64_t rest_us;             /* after the last session; 0: it was good */
	int64_t swept_boot_us, told_boot_us;
	bool is_held, has_news;
};

static volatile sig_atomic_t courier_stop, courier_hup;

static const struct courier_driver *const courier_drivers[] = { &mail_driver, &mqttout_driver,
	NULL };

const char *courier_end_name(enum courier_end e)
{
	switch (e) {
	case COURIER_SENT: return "sent";
	case COURIER_REFUSED: return "refused";
	case COURIER_LATER: return "later";
	case COURIER_UNKNOWN: return "unknown";
	}
	return "?";
}

/*** the process ***/

static void courier_on_signal(int sig)
{
	if (sig == SIGHUP) {
		courier_hup = 1;
		return;
	}
	courier_stop = 1;
	deadline_hurry(8); /* whoever keeps us waiting is cut before the parent kills us */
}

static void courier_signals(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = courier_on_signal;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	deadline_open();
}

void courier_beat(struct courier *c)
{
	heart_beat(c->host->heart);
}

/* What the claims have done is news: for engines and for metrics.  Engines woken for each mail would judge each in
 * a batch of its own, so a busy courier lets some news come together. */
static void courier_tell(struct courier *c)
{
	int64_t now_us = clock_boot_us();

	c->has_news |= claims_told(c->claims);
	if (c->has_news && now_us - c->told_boot_us >= COURIER_TELL_US) {
		c->host->wake_engines(c->host->arg);
		c->told_boot_us = now_us;
		c->has_news = false;
	}
	c->host->publish(c->host->arg, claims_counts(c->claims), claims_is_open(c->claims));
}

/* Waits; the wake pipe, the loss of the database and signals end it early where `wake` is set. */
static void courier_wait(struct courier *c, int64_t for_us, bool wake)
{
	int64_t until_us = clock_boot_us() + for_us, left_us;

	if (c->has_news)
		c->host->wake_engines(c->host->arg);
	c->has_news = false;
	while (!courier_stop && !courier_hup && (left_us = until_us - clock_boot_us()) > 0) {
		struct pollfd p[] = { { wake ? c->host->wake_fd : -1, POLLIN, 0 },
			{ wake ? claims_fd(c->claims) : -1, POLLIN, 0 } };
		int ms = (int)(left_us / 1000) + 1;

		courier_beat(c);
		if (poll(p, 2, ms < COURIER_SLICE_MS ? ms : COURIER_SLICE_MS) <= 0)
			continue;
		if (p[0].revents)
			c->host->woken(c->host->arg);
		return;
	}
}

/*** the database ***/

/* Opens the connection if there is none; false: there still is none. */
static bool courier_connect(struct courier *c)
{
	const struct courier_env *env = c->env;
	char name[64];
	struct err err;

	if (claims_is_open(c->claims))
		return true;
	snprintf(name, sizeof name, "nudged %s", env->name);
	if (claims_open(c->claims, env->dsn, name, env->unsafe_durability,
		    env->statement_timeout_ms, &err)) {
		heart_say(c->host->heart, "");
		return true;
	}
	heart_say(c->host->heart, "no database");
	log_damped(LOG_LVL_ERROR, &courier_log, "%s", err.text);
	return false;
}

/* Looks for messages of couriers that are gone; at most once per poll. */
static bool courier_sweep(struct courier *c)
{
	int64_t now_us = clock_boot_us();
	struct err err;
	size_t n;

	if (c->swept_boot_us && now_us - c->swept_boot_us < c->env->poll_us)
		return true;
	c->swept_boot_us = now_us;
	if (claims_sweep(c->claims, &n, &err))
		return true;
	log_damped(LOG_LVL_WARNING, &courier_log, "could not look for lost messages: %s", err.text);
	return false;
}

/*** records ***/

/* Writes it, however long the database takes to come back; after SIGTERM only a few times more.  What the database
 * itself will not take is given up: its message is in doubt as soon as the connection that claimed it is gone. */
static void courier_record(struct courier *c, const struct claim_record *r)
{
	int refusals = 0;
	struct err err;

	for (int last = 0; last < COURIER_LAST_TRIES; last += courier_stop ? 1 : 0) {
		courier_beat(c);
		if (courier_connect(c)) {
			if (claims_record(c->claims, r, &err)) {
				courier_tell(c);
				return;
			}
			log_damped(LOG_LVL_ERROR, &courier_log, "could not record message %lld: %s",
				(long long)r->id, err.text);
			if (claims_is_open(c->claims) && ++refusals == COURIER_REFUSALS_MOST) {
				claims_close(c->claims);
				break;
			}
		}
		poll(NULL, 0, COURIER_SLICE_MS);
	}
	log_error(&courier_log, "message %lld was not recorded: it will be in doubt",
		(long long)r->id);
}

/* What rules hear: {"message_id":"7","rule":"x","channel":"email","code":"550",...}. */
static void courier_news(
	const struct claim *m, enum courier_end end, const char *code, struct buf *out)
{
	buf_printf(out, "{\"message_id\":\"%lld\",\"rule\":", (long long)m->m.id);
	json_put_text(out, m->m.rule);
	buf_printf(out, ",\"channel\":\"%s\",\"code\":", message_channel_name(m->m.channel));
	json_put_text(out, span_of(code));
	if (end == COURIER_REFUSED && code[0] == '5' && json_is_text(m->m.to)) {
		buf_str(out, ",\"permanent\":true,\"address\":");
		json_put_text(out, m->m.to);
	}
	buf_printf(out, ",\"chain\":\"%lld\"}", (long long)m->m.chain);
}

/* LATER: when again, or that it was enough. */
static void courier_again(const struct courier *c, const struct claim *m, struct claim_record *r)
{
	int64_t now_us = m->now_us + clock_boot_us() - m->claimed_boot_us, delay_us;

	r->state = MESSAGE_READY;
	r->count = true;
	if (strcmp(r->code, "stale") == 0) { /* not its fault */
		r->count = false;
		return;
	}
	if (!retry_delay(&c->env->retry, m->attempts, &delay_us)) {
		r->state = MESSAGE_FAILED;
		return;
	}
	r->due_us = now_us + delay_us;
	if (m->m.expires_us != TIME_NONE && r->due_us > m->m.expires_us)
		r->due_us = m->m.expires_us;
}

/* UNKNOWN: transactional mail may go once more where that is configured, else a person decides. */
static void courier_doubt(const struct courier *c, const struct claim *m, struct claim_record *r)
{
	r->count = true;
	r->state = MESSAGE_IN_DOUBT;
	if (PLANTED(resend_doubt) ||
		(c->env->claim.resend_in_doubt && m->m.class_ == CLASS_TRANSACTIONAL &&
			m->doubts == 0)) {
		r->state = MESSAGE_READY;
		r->code = "in_doubt";
		r->due_us = m->now_us + clock_boot_us() - m->claimed_boot_us + COURIER_RESEND_US;
	}
}

/* One line per delivery; what went wrong for good or is in doubt is worth a look. */
static void courier_log_end(
	const struct claim *m, enum courier_end end, const struct claim_record *r)
{
	enum log_level level = LOG_LVL_INFO;

	if (r->state == MESSAGE_FAILED || end == COURIER_UNKNOWN)
		level = LOG_LVL_WARNING;
	if (log_is_on(level))
		log_line(level, &courier_log,
			"message %lld of rule %.*s to %s: %s (%s), attempt %d", (long long)m->m.id,
			SPAN_ARG(m->m.rule),
			m->m.channel == CHANNEL_EMAIL ? log_mask(m->m.to.n ? m->m.to.p : "")
						      : m->m.shop->id,
			courier_end_name(end), r->code, m->attempts);
}

void courier_settle(struct courier *c, enum courier_end end, const char *code, const char *detail)
{
	const struct claim *m = c->message;
	struct claim_record r = { .id = m->m.id,
		.owner_pid = m->owner_pid,
		.owner_start_us = m->owner_start_us,
		.code = code,
		.detail = detail,
		.due_us = TIME_NONE,
		.count = true };
	struct buf data = { 0 };

	switch (end) {
	case COURIER_SENT: r.state = MESSAGE_SENT; break;
	case COURIER_REFUSED: /* a test machine's own refusal is no failure */
		r.state = strcmp(code, "only_to") == 0 ? MESSAGE_REFUSED : MESSAGE_FAILED;
		break;
	case COURIER_LATER: courier_again(c, m, &r); break;
	case COURIER_UNKNOWN: courier_doubt(c, m, &r); break;
	}
	if (r.state != MESSAGE_READY) {
		courier_news(m, end, code, &data);
		r.type = r.state == MESSAGE_SENT       ? SPAN("message.sent")
			 : r.state == MESSAGE_IN_DOUBT ? SPAN("message.in_doubt")
						       : SPAN("message.failed");
		r.data = buf_as_span(&data);
	}
	courier_log_end(m, end, &r);
	courier_record(c, &r);
	if (end == COURIER_SENT)
		c->host->sent(c->host->arg,
			m->now_us + clock_boot_us() - m->claimed_boot_us - m->m.due_us);
	buf_free(&data);
	c->message = NULL;
	c->handed++;
}

/*** claiming ***/

const struct claim *courier_message(const struct courier *c)
{
	return c->message;
}

bool courier_is_fresh(struct courier *c)
{
	courier_beat(c);
	return claim_is_fresh(c->claims, c->message);
}

/* The template of the message, if it has one and it is not known yet. */
static bool courier_template(struct courier *c, const char **ret_code, struct err *err)
{
	struct span hash = c->message->m.template_hash, body;
	struct arena a = { 0 };
	bool ok;

	if (hash.n == 0 || render_knows(c->render, hash))
		return true;
	*ret_code = "database";
	ok = claims_template(c->claims, hash, &a, &body, err);
	if (ok) {
		*ret_code = "template";
		ok = body.p ? render_template(c->render, hash, body, err)
			    : err_set(err, "there is no template text %.*s", SPAN_ARG(hash));
	}
	arena_fini(&a);
	return ok;
}

/* Makes the claimed message ready for its way; what can not be made ready is settled here. */
static bool courier_prepare(struct courier *c)
{
	const char *code = "template";
	struct err err = { .text = "" };

	if (courier_template(c, &code, &err) &&
		c->driver->prepare(c->self, c->render, c->message, &code, &err))
		return true;
	if (strcmp(code, "database") == 0) {
		courier_settle(c, COURIER_LATER, "stale", err.text);
		return false;
	}
	log_damped(LOG_LVL_ERROR, &courier_log, "message %lld of rule %.*s can not be sent: %s",
		(long long)c->message->m.id, SPAN_ARG(c->message->m.rule), err.text);
	courier_settle(c, COURIER_REFUSED, code, err.text);
	return false;
}

const struct claim *courier_next(struct courier *c)
{
	for (;;) {
		courier_beat(c);
		c->result = CLAIM_NONE;
		if (courier_stop || courier_hup ||
			(c->env->max_messages && c->handed >= c->env->max_messages))
			return NULL;
		c->result = claims_next(c->claims, &c->message, &c->trouble);
		courier_tell(c);
		if (c->result != CLAIM_GOT) {
			c->message = NULL;
			return NULL;
		}
		if (courier_prepare(c))
			return c->message;
	}
}

/*** the loop ***/

/* Takes the new configuration, or keeps the old one. */
static void courier_reload(struct courier *c)
{
	const struct courier_env *env = c->host->reload(c->host->arg), *old = c->env;
	struct err err;
	void *self;

	courier_hup = 0;
	if (env == NULL)
		return;
	self = c->driver->open(env, &err);
	if (self == NULL) {
		log_error(&courier_log, "%s", err.text);
		c->host->release(c->host->arg, env);
		return;
	}
	c->driver->close(c->self);
	c->self = self;
	c->env = env;
	claims_apply(c->claims, &env->claim);
	c->rest_us = 0;
	if (old != c->first)
		c->host->release(c->host->arg, old);
	log_notice(&courier_log, "reloaded");
}

/* Says once that nothing goes out, and once that it does again. */
static void courier_show_hold(struct courier *c)
{
	bool held = c->result == CLAIM_HELD;

	if (held == c->is_held)
		return;
	c->is_held = held;
	heart_say(c->host->heart, held ? claims_why(c->claims) : "");
	log_notice(&courier_log, "%s %s%s%s", c->driver->name, held ? "is held" : "goes on",
		held ? ": " : "", held ? claims_why(c->claims) : "");
}

/* A session with the message in hand. */
static void courier_deliver(struct courier *c)
{
	struct err err = { .text = "" };

	if (c->driver->session(c->self, c, &err)) {
		if (c->rest_us)
			log_notice(&courier_log, "%s is there again", c->driver->name);
		c->rest_us = 0;
		return;
	}
	if (c->rest_us == 0)
		log_warning(&courier_log, "%s", err.text);
	c->rest_us = c->rest_us ? c->rest_us * 2 : COURIER_REST_US;
	if (c->rest_us > COURIER_REST_MOST_US)
		c->rest_us = COURIER_REST_MOST_US;
	courier_wait(c, c->rest_us, false);
}

/* One turn: claim and deliver, or wait. */
static void courier_turn(struct courier *c)
{
	courier_beat(c);
	if (!courier_connect(c)) {
		courier_tell(c);
		courier_wait(c, COURIER_REST_US, false);
		return;
	}
	if (courier_sweep(c) && courier_next(c) != NULL) {
		courier_show_hold(c);
		courier_deliver(c);
		return;
	}
	if (c->result == CLAIM_TROUBLE)
		log_damped(LOG_LVL_WARNING, &courier_log, "could not claim: %s", c->trouble.text);
	courier_show_hold(c);
	/* what is held goes on when somebody says so: new messages are no reason to look */
	courier_wait(c, c->env->poll_us, claims_is_open(c->claims) && c->result != CLAIM_HELD);
}

static bool courier_is_done(const struct courier *c)
{
	return courier_stop || (c->env->max_messages && c->handed >= c->env->max_messages);
}

static const struct courier_driver *courier_find(enum message_channel channel)
{
	for (size_t i = 0; courier_drivers[i] != NULL; i++)
		if (courier_drivers[i]->channel == channel)
			return courier_drivers[i];
	return NULL;
}

int courier_run(enum message_channel channel, const struct courier_env *env,
	const struct courier_host *host)
{
	struct courier c = {
		.env = env, .first = env, .host = host, .driver = courier_find(channel)
	};
	struct err err;

	assert(c.driver != NULL);
	courier_signals();
	c.self = c.driver->open(env, &err);
	if (c.self == NULL) {
		log_error(&courier_log, "%s", err.text);
		return 1;
	}
	c.claims = claims_new(&env->claim);
	c.render = render_new();
	heart_ready(host->heart);
	while (!courier_is_done(&c)) {
		if (courier_hup)
			courier_reload(&c);
		courier_turn(&c);
	}
	c.driver->close(c.self);
	render_free(c.render);
	claims_free(c.claims);
	if (c.env != c.first)
		host->release(host->arg, c.env);
	return 0;
}
