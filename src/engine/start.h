#ifndef ENGINE_START_H
#define ENGINE_START_H
/*
 * Starts: one subscribed rule meets one event.  Says yes or no, and why (verdict).
 */
#include "engine/sitting.h"

/* False: a question is open; nothing was done, call it again when the answer is there. */
bool start_try(struct desk *d, struct frame *f, const struct rule *rule);

#endif
