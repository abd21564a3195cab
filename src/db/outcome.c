/* outcome.c: SQLSTATE -> what to do.
 *
 * The default is DB_LOST on purpose.  A class that we forgot then means "drop the connection, wait, try
 * the same again", which is harmless; the other way round (REFUSED) would blame an event for a
 * missing partition, a full disk or a revoked right.
 */
#include "db/outcome.h"

#include "db/sql.h"

#include <stddef.h>
#include <string.h>

static const char *const db_outcome_names[] = {
	[DB_COMMITTED] = "committed",
	[DB_REFUSED] = "refused",
	[DB_AGAIN] = "again",
	[DB_LOST] = "lost",
};

/* First match wins; a shorter code is a class. */
static const struct {
	const char *code;
	enum db_outcome outcome;
} db_outcome_rows[] = {
	{ "40001", DB_AGAIN }, /* serialization_failure */
	{ "40P01", DB_AGAIN }, /* deadlock_detected */
	{ "55P03", DB_AGAIN }, /* lock_not_available */
	{ SQL_STATE_TAKEN, DB_AGAIN },
	{ "23514", DB_LOST }, /* no partition for the row: we have no other checks on hot tables */
	{ "21", DB_REFUSED }, /* cardinality */
	{ "22", DB_REFUSED }, /* data exceptions */
	{ "23", DB_REFUSED }, /* integrity */
	{ "54", DB_REFUSED }, /* program limits: too large for an index, too deep */
	{ "P0001", DB_REFUSED }, /* raised by a function of ours */
};

const char *db_outcome_name(enum db_outcome o)
{
	return db_outcome_names[o];
}

enum db_outcome db_outcome_of(const char *sqlstate)
{
	for (size_t i = 0; i < sizeof db_outcome_rows / sizeof *db_outcome_rows; i++) {
		const char *code = db_outcome_rows[i].code;

		if (strncmp(sqlstate, code, strlen(code)) == 0)
			return db_outcome_rows[i].outcome;
	}
	return DB_LOST;
}
