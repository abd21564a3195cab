#ifndef COURIER_COURIER_H
#define COURIER_COURIER_H
/*
 * A courier: claims messages of one channel, has them rendered, hands them over, records what became
 * of them; one at a time, blocking, in a process of its own.
 *
 * courier_run is the life of the process: it returns after SIGTERM (the message in hand is finished
 * first) or when max_messages have been handed over.  How a message is handed over is the driver's
 * business (a row of the table in courier.c): the courier gives the driver a session when there is a message,
 * and the driver takes further ones over the same connection, each claimed only when the one before is
 * settled:
 *
 *	courier_message()          the one in hand
 *	courier_is_fresh()         must be true right before the first byte of it leaves
 *	courier_settle()           what became of it; exactly once per message
 *	courier_next()             the next one, or NULL: end the session
 *
 * What the courier may not decide for itself - pauses, consent, order, expiry - is decided in the
 * database when it claims (courier/claim).
 */
#include "courier/claim.h"
#include "courier/courier_end.h"
#include "courier/mail.h"
#include "courier/mqttout.h"
#include "courier/render.h"
#include "courier/retry.h"

struct courier;
struct heart;

/* Everything a courier needs to know; lent until it is replaced by reload. */
struct courier_env {
	const char *name; /* "mail1": application_name is nudged <name> */
	const char *dsn;
	bool unsafe_durability;
	int statement_timeout_ms;
	struct claim_options claim;
	struct render_options render;
	struct mail_options mail;
	struct mqttout_options mqttout;
	struct retry_options retry;
	int64_t poll_us;
	int max_messages; /* 0: no limit */
};

struct courier_host {             /* the process around it; lent for the life of the courier */
	struct heart *heart;      /* may be NULL */
	int wake_fd;              /* readable: there may be work; -1: none */
	void (*woken)(void *arg); /* empties it */
	void (*wake_engines)(void *arg); /* there is something in the inbox */
	/* SIGHUP: the new env, or NULL to keep the old one; an env that is not used any more (any but
	 * the first) is given back. */
	const struct courier_env *(*reload)(void *arg);
	void (*release)(void *arg, const struct courier_env *env);
	/* For metrics, after each message and each turn: how many messages this process has moved to each
	 * state, [enum message_state], and whether the database is there. */
	void (*publish)(void *arg, const uint64_t *counts, bool database);
	/* A message was handed over so long after it was due. */
	void (*sent)(void *arg, int64_t lag_us);
	void *arg;
};

struct courier_driver {
	const char *name;
	enum message_channel channel;
	/* Checks the options; makes no connection.  NULL: err says what is wrong with them. */
	void *(*open)(const struct courier_env *env, struct err *err);
	/* Renders the claimed message.  False: it can never go out; *ret_code is a word for the rule. */
	bool (*prepare)(void *self, struct render *r, const struct claim *m, const char **ret_code,
		struct err *err);
	/* Hands over the message in hand and as many as courier_next gives.  False: the way itself is out
	 * of order (nobody answers, nobody lets us in): wait before the next session; err says why. */
	bool (*session)(void *self, struct courier *c, struct err *err);
	void (*close)(void *self);
};

/* Returns the exit code.  Installs handlers of SIGTERM, SIGINT, SIGHUP and SIGALRM. */
int courier_run(enum message_channel channel, const struct courier_env *env,
	const struct courier_host *host);

/*** for drivers ***/
const struct claim *courier_message(const struct courier *c);
bool courier_is_fresh(struct courier *c);
/* code: "250", "timeout" ...; detail: the server's words.  Both are copied. */
void courier_settle(struct courier *c, enum courier_end end, const char *code, const char *detail);
const struct claim *courier_next(struct courier *c);
/* Beats the heart; to be called whenever the library lets us. */
void courier_beat(struct courier *c);

#endif
