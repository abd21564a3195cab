#ifndef MAIN_ACCEPTED_H
#define MAIN_ACCEPTED_H
/*
 * The configuration's text as it was accepted last, in memory that the parent shares with its children: what a reload
 * has checked is what takes effect, whatever the file says by then.  Secrets of `file:` options are read by each
 * process when it reads the text.
 *
 * One writes, the parent; the children read when it has told them to.
 */
#include "base/err.h"

struct accepted;

/* Before the first child is made.  For the life of the process.  NULL: *err says why. */
struct accepted *accepted_open(struct err *err);
/* A text of at most CONF_FILE_MOST bytes. */
void accepted_put(struct accepted *a, const char *text);
/* A copy, to be freed.  Waits while the parent is just writing; NULL: it does not come to an end, it must be dead. */
char *accepted_get(const struct accepted *a);

#endif
