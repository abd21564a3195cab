#ifndef BASE_PLANTED_H
#define BASE_PLANTED_H
/*
 * Planted bugs: mistakes that somebody could make, one line each, which a test build makes when it is told to.
 *
 * `if (PLANTED(skip_dedup))` is false, and gone, unless configured with --enable-planted.  There, the environment
 * variable NUDGED_PLANTED names the one bug that the process has; without it there is none.  tests/fault/planted
 * switches each of them on and wants to see the tests fail that are there to catch it (its table says which).
 *
 * A new one needs a line here, PLANTED at its place, and a row in the table of the suite.
 */
#include "config.h"

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
#define PLANTED_BUGS(bug) \
	/* the intake */ \
	bug(http_ack_first, "HTTP is answered before the commit") \
	bug(mqtt_ack_first, "PUBACKs leave when messages are read") \
	bug(skip_dedup, "an event that is known is judged again") \
	bug(ignore_conflict, "an id with other content is taken for a duplicate") \
	bug(drop_lock, "two batches may hold one customer") \
	bug(chain_outside, "new chains are saved in a transaction of their own") \
	bug(forget_unsure, "an event that meets itself is called a duplicate") \
	bug(refuse_all, "what is refused sets the whole batch aside") \
	bug(ignore_skew, "clocks that disagree pause nothing") \
	bug(unbounded_catch_up, "overdue chains are not held to a rate") \
	bug(keep_old_set, "events are judged by a rule set that is not current any more") \
	/* the engine */ \
	bug(fire_early, "a wait ends a second before its time") \
	bug(ignore_late, "`late` of a rule is not looked at") \
	bug(forget_exit, "what a chain wrote is not withdrawn when exit_on ends it") \
	bug(start_second, "mode single starts a second chain") \
	bug(ignore_cooldown, "cooldown is not looked at") \
	bug(fresh_reads, "a replay reads the card as it is now") \
	bug(unsorted_pairs, "pairs gives keys in the order of the table") \
	bug(error_ends_event, "the rules behind one that fails are not run") \
	bug(never_suspend, "rules that fail again and again are never suspended") \
	bug(overdue_twice, "a deadline that has passed passes again") \
	bug(ignore_consent_written, "consent is not asked for when a mail is written") \
	/* the couriers */ \
	bug(ignore_consent_sent, "consent and suppression are not asked for at the claim") \
	bug(ignore_pause, "pauses hold no message") \
	bug(ignore_expiry, "a message that has expired is sent") \
	bug(send_uncommitted, "a message is handed over before `sending` is committed") \
	bug(resend_doubt, "a message in doubt is sent again") \
	bug(resend_swept, "the message of a courier that died is sent again") \
	bug(send_restored, "a restored copy of the database sends") \
	bug(keep_newlines, "a line break in a name stays in the header") \
	/* the doors and the daemon */ \
	bug(two_lengths, "the second Content-Length wins") \
	bug(share_seat, "each engine takes the MQTT session") \
	bug(load_broken, "a rule set with errors becomes the current one")
/* clang-format on */

#define PLANTED_NUMBER(name, what) PLANTED_##name,
enum planted { PLANTED_BUGS(PLANTED_NUMBER) PLANTED_COUNT };

#ifdef NUDGED_PLANTED_BUGS
#define PLANTED(name) planted_is(PLANTED_##name)
#else
#define PLANTED(name) (PLANTED_##name == PLANTED_COUNT) /* never: no code is made of it */
#endif

/* Does this process have the bug?  What the macro calls; a name that is none ends the process. */
bool planted_is(enum planted bug);
/* The i-th bug and what it does; false: there are no more, or this is no such build. */
bool planted_at(size_t i, const char **ret_name, const char **ret_what);

#endif
