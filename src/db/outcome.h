#ifndef DB_OUTCOME_H
#define DB_OUTCOME_H
/*
 * How a group of statements ended, and what an SQLSTATE means for whoever may try again.
 * Pure functions and plain data.
 */
#include "base/err.h"

enum db_outcome {
	DB_COMMITTED, /* no error: where the group closed a transaction, it is committed */
	DB_REFUSED, /* the data or the statement is at fault; nothing happened; again makes no sense */
	DB_AGAIN, /* deadlock, serialisation, lock timeout: nothing happened; again at once is fine */
	DB_LOST, /* connection or server is at fault: outcome unknown, later again */
};
const char *db_outcome_name(enum db_outcome o);

struct db_end {
	enum db_outcome outcome;
	char sqlstate[6]; /* of the first error, or empty */
	struct err err;   /* text is empty when committed */
};

/* The table: everything that is neither the data's fault nor a lost race is the server's, and the
 * connection is thrown away: a full disk must never send good events into the quarantine. */
enum db_outcome db_outcome_of(const char *sqlstate);

#endif
