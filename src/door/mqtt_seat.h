#ifndef DOOR_MQTT_SEAT_H
#define DOOR_MQTT_SEAT_H
/*
 * The seat of the MQTT session: exactly one engine of the whole fleet has it.
 *
 * A seat is an advisory lock in Postgres, held by a connection of the seat's own, so it is free as soon as
 * the database has noticed that its holder is gone.  Everybody asks every ask_us; who gets the lock is told
 * on_change(true).  The holder also asks every ask_us whether its connection is still there, and is told
 * on_change(false) when that is lost or when there was no answer for SEAT_TRUST_US: by then the database
 * may have given the seat away.  The callback never comes from inside a call here.
 *
 * A holder that is killed is replaced within ask_us; one that is frozen, or whose host vanished, within
 * SEAT_TRUST_US + ask_us (the seat sets idle_session_timeout and TCP keepalives of its session).
 *
 * Life cycle: seat_open, callbacks, seat_close, which gives the seat up (without a callback).
 */
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct seat;

enum { SEAT_TRUST_US = 3000000 };

struct seat_env {
	const char *dsn;
	const char *name; /* of the seat: "mqtt/<broker>/<client id>" */
	bool unsafe_durability;
	int64_t ask_us; /* at most half of SEAT_TRUST_US is used */
	/* was_taken: somebody else had it since we began to ask. */
	void (*on_change)(void *arg, bool is_held, bool was_taken);
	void *arg;
};

/* The env is copied, its texts too. */
struct seat *seat_open(struct loop *loop, const struct seat_env *env);
/* Also false, before the callback says so, when a process that was frozen must not trust it any more: ask
 * before each batch (in mqtt_intake.is_ready). */
bool seat_is_held(const struct seat *s);
void seat_close(struct seat *s); /* NULL is allowed */

#endif
