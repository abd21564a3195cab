#ifndef BASE_LOOKUP_H
#define BASE_LOOKUP_H
/*
 * Is a host's name answered just now?  For processes with a loop, before they call a library that looks names up by a
 * blocking call: a name server that hangs would hold the loop up for ten seconds each time.
 *
 * Life cycle: lookup_open -> lookup_is_known, from a timer, until it is true, before each connection -> lookup_close.
 * The text of *ret_why is lent until the next call.
 */
#include <stdbool.h>

struct lookup;

/* Addresses, paths and "" are known always. */
struct lookup *lookup_open(const char *host);
/* True, once, when the name has just been found: connect now.  False: it is being asked for; ask again in a while.
 * *ret_why is NULL, or why the last try failed. */
bool lookup_is_known(struct lookup *l, const char **ret_why);
void lookup_close(struct lookup *l); /* NULL is allowed */

#endif
