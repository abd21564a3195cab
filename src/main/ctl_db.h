#ifndef MAIN_CTL_DB_H
#define MAIN_CTL_DB_H
/*
 * What the commands of nudgectl that use the database share: the connection, transactions, who asked, how
 * times are read and shown.
 *
 * A connection is checked (schema, durability) as the daemon's are, and closed by the caller with
 * block_close.  Every change that a person makes is a transaction with a row in `audit` (P20).
 */
#include "db/block.h"
#include "main/ctl.h"

enum { CTL_TIME_SIZE = 32 };

/* NULL: the error says why. */
struct block *ctl_db_open(const struct ctl_env *env, struct err *err) MUST_CHECK;

bool ctl_db_begin(struct block *b, struct err *err) MUST_CHECK;
/* Executes sql, whose only parameter is this number; the caller frees the rows (block_rows_free). */
bool ctl_db_number(struct block *b, enum sql_id sql, int64_t number, struct db_rows **ret,
	struct err *err) MUST_CHECK;
/* Whose it is: the first column of what sql, with a number for parameter, answers; 0: there is none. */
bool ctl_db_holder(
	struct block *b, enum sql_id sql, int64_t id, int64_t *ret, struct err *err) MUST_CHECK;
/* Begins and locks this customer, who may be held by somebody else: tries again and again, for 15 s at most.
 * False: there is no transaction. */
bool ctl_db_begin_customer(struct block *b, int64_t customer, struct err *err) MUST_CHECK;
/* Commits when ok, else rolls back and keeps err as it is; true: committed. */
bool ctl_db_end(struct block *b, bool ok, struct err *err) MUST_CHECK;

/* The person at the keyboard: "anna", "anna (root)" behind sudo.  One static buffer. */
const char *ctl_db_who(void);
/* Adds the row of this change; object and detail (JSON) may be NULL. */
bool ctl_db_audit(struct block *b, const char *action, const char *object, const char *detail,
	struct err *err) MUST_CHECK;

/* "now" (by the database's clock) or RFC 3339 ("2026-07-21T10:00:00+02:00"). */
bool ctl_db_time(struct block *b, const char *text, int64_t *ret_us, struct err *err) MUST_CHECK;
/* In UTC to the second, "-" for none.  Returns ret. */
char *ctl_db_show_time(int64_t at_us, char ret[CTL_TIME_SIZE]);

/* Waits until every transaction that writes at this moment is over, at most 10 s: those that come later see what
 * was committed before.  Not inside a transaction. */
bool ctl_db_settle(struct block *b, struct err *err) MUST_CHECK;

/*
 * Changes rows of customers whom somebody else may hold at the moment: one short transaction after the other
 * that locks those whom nobody holds (`lock`: gives customers, skip locked) and changes their rows (`change`:
 * parameter 0 are the customers; gives how many rows it changed, and whether others have some, too).  The other
 * parameters are set by fill, beginning with the one given.  Ends when nothing is left; when a customer is held
 * for longer than 30 s it fails, and what was done stays done.  *ret_n: changed rows.
 */
struct ctl_db_sweep {
	enum sql_id lock, change;
	void (*fill)(struct bind *bind, unsigned first, const void *arg);
	const void *arg;
};
bool ctl_db_sweep(
	struct block *b, const struct ctl_db_sweep *s, size_t *ret_n, struct err *err) MUST_CHECK;

#endif
