#ifndef ENGINE_SWITCHBOARD_H
#define ENGINE_SWITCHBOARD_H
/*
 * What is switched off at present, as the judge asks it: a short list, looked through.
 * The copy lives in an arena of its own, until the next one.
 */
#include "base/mem.h"
#include "model/chain.h"
#include "model/event.h"
#include "model/switches.h"

/* Copies; a's old contents are dropped. */
void switchboard_copy(struct switches *to, struct arena *a, const struct switches *from);
bool switchboard_is_suspended(const struct switches *s, struct span rule);
/* The pair (event, rule) was set aside after two crashes. */
bool switchboard_is_struck(const struct switches *s, const struct shop_event *e, struct span rule);
bool switchboard_is_struck_chain(const struct switches *s, const struct chain *c);

#endif
