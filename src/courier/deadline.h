#ifndef COURIER_DEADLINE_H
#define COURIER_DEADLINE_H
/*
 * A way out of a library that waits: an absolute deadline that cuts the socket it waits on.
 *
 * libesmtp has time-outs per read and none for connect(2): a server that sends one byte a second is
 * read for ever.  When the deadline is over, a signal interrupts what blocks and shuts the socket
 * down, if one was named; the library then sees a closed connection and returns.
 *
 * One per process; deadline_open installs the SIGALRM handler (without SA_RESTART).
 */
#include <stdbool.h>
#include <stdint.h>

void deadline_open(void);
/* From now on `in_us`; fd: the socket to be shut down, -1: only interrupt.  Replaces the one before. */
void deadline_set(int fd, int64_t in_us);
/* Names the socket of the deadline that runs. */
void deadline_name(int fd);
/* No deadline, no socket.  True when it had been over. */
bool deadline_clear(void);
/* For signal handlers: the deadline that runs ends in_s seconds from now at the latest, and later ones are no longer. */
void deadline_hurry(unsigned in_s);

#endif
