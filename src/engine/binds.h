#ifndef ENGINE_BINDS_H
#define ENGINE_BINDS_H
/*
 * The calls that rules may make, one file per group: each defines its functions in a new script.
 */
#include "base/str.h"

#include <lua.h>

struct script;

/* email publish */
void bind_send(struct script *s);
/* task set tag untag emit note */
void bind_act(struct script *s);
/* Is it a way to choose a manager, which assign does not take, and no manager? */
bool act_is_policy(struct span name);
/* wait wait_until */
void bind_wait(struct script *s);
/* before after today tomorrow next_time working */
void bind_moment(struct script *s);
/* count events orders happened bought split now ago */
void bind_ask(struct script *s);
/* Pushes the object `customer`, which is one for all: it looks at who is judged now. */
void bind_customer_push(lua_State *L);

#endif
