#ifndef DB_WIRE_H
#define DB_WIRE_H
/*
 * What conn, block and bind share and nobody outside db/ needs: the parameters of a statement as libpq
 * wants them.
 */
#include "db/bind.h"

#include <stdint.h>

/* Type oid of a letter of db/sql.h: upper case is the array. */
uint32_t wire_oid(char letter);
/* Fills the arrays (BIND_MOST long) for PQsendQueryPrepared, everything binary; valid until the bind is
 * changed.  Returns how many. */
unsigned wire_params(struct bind *b, const char **values, int *lengths, int *formats);

#endif
