#ifndef DB_WIRE_H
#define DB_WIRE_H
/*
 * What conn, block and bind share and nobody outside db/ needs: the parameters of a statement as libpq
 * wants them.
 */
#include "db/bind.h"

#include <stdint.h>

/* Type oid of a letter of db/sql.h: upper case is the array; 0 for rows, which the statement names itself. */
uint32_t wire_oid(char letter);
/* Fills the arrays (BIND_MOST long) for PQsendQueryPrepared, everything binary; valid until the bind is
 * changed.  Returns how many.  rows: the oids of sql_rows in this database; NULL where no statement has rows. */
unsigned wire_params(
	struct bind *b, const uint32_t *rows, const char **values, int *lengths, int *formats);

#endif
