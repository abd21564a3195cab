#ifndef MAIN_ACTIVATE_H
#define MAIN_ACTIVATE_H
/*
 * Puts a checked rule set into the database: stores its texts and moves `current`, in one transaction, so
 * that from its commit on no batch of any engine on any host begins with the old set (P9).
 *
 * Blocks; for the checker process and nudgectl, never for an engine.  Whether the set is right is the
 * caller's business (main/rule_check).  Two who activate at the same time come one after the other; the
 * later one's set is the current one, and has the higher number.
 */
#include "db/block.h"
#include "model/rule_set.h"

enum activate_when {
	/* A person or a reload asks: nothing is written only if the current set is this one and this host
	 * has put it in place. */
	ACTIVATE_ASKED,
	/* The daemon starts: nothing is written if this host has activated the same files last, whatever is
	 * current by now: a restart must not take back what another host has activated since. */
	ACTIVATE_AT_START,
};

enum { ACTIVATE_HOST_SIZE = 128 };

struct activate_by {
	const char *who; /* "nudged", or the person */
	char host[ACTIVATE_HOST_SIZE];
	const char *rules_dir, *templates_dir; /* where the set was read */
};
struct settings;
/* Fills in this host's name; all is lent.  s may be NULL when it is only asked who and where. */
void activate_by_init(struct activate_by *by, const char *who, const struct settings *s);

struct activate_done {
	int64_t id; /* the set's number: the new one's, or that of the one which stands for these files */
	bool changed; /* a set was written and is current now */
	bool outdated; /* nothing was: the files say something else than when they were checked; check again */
};
enum { ACTIVATE_TRIES = 5 }; /* so often at most */

/* set->id is filled too, and *ret also when it fails.  False: nothing was changed, except when the connection was lost with the commit
 * (block_is_open tells); to do it again does no harm. */
bool activate(struct block *b, struct rule_set *set, enum activate_when when,
	const struct activate_by *by, struct activate_done *ret, struct err *err) MUST_CHECK;

/* The same with a connection of its own.  At start it waits for the database, and for its schema, as long as
 * it takes; asked, it tries for as long as one connection may take. */
bool activate_on(const struct settings *s, struct rule_set *set, enum activate_when when,
	struct activate_done *ret, struct err *err) MUST_CHECK;

#endif
