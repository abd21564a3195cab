#ifndef ENGINE_WAKE_H
#define ENGINE_WAKE_H
/*
 * Chains that go on: woken by an event that they await, or by their timer.
 *
 * False means: the desk has an open question (a history, an old rule text, a count inside the rule); nothing
 * was done, call it again for the same chain when the answer is there.
 */
#include "engine/sitting.h"

/* The frame's event meets a chain that was there before it. */
bool wake_by_event(struct desk *d, struct frame *f, struct chain *c);
/* The frame's chain is due. */
bool wake_by_timer(struct desk *d, struct frame *f);

#endif
