#ifndef ENGINE_SHOW_H
#define ENGINE_SHOW_H
/*
 * Events as rules see them: pushed to Lua, and as JSON copies that stay with a chain (what started it, what
 * answered a wait).
 *
 * The copy is {"id","type","time","received","store","source","seq","depth","data"}, times in microseconds;
 * "claimed" and "outcome" where there is one.  Reading a copy gives back what Lua sees; all other fields of
 * the event are zero.
 */
#include "engine/sitting.h"

#include <lua.h>

/* Registers what is shared by all events; once per judge, inside script_protect. */
void show_open(lua_State *L, struct judge *j);
/* Pushes the event object; the same one again while it is asked for the same event.  May raise. */
void show_event(lua_State *L, struct judge *j, const struct shop_event *e);
/* Pushes what a wait answers with: the event, with .outcome; nil for null.  May raise. */
void show_answer(lua_State *L, struct judge *j, struct arena *a, struct span json);
/* The copy, in the arena of the batch.  outcome: of a handle, or {NULL,0}. */
struct span show_write(struct sitting *s, const struct shop_event *e, struct span outcome);
/* An event from its copy, in the arena; shop NULL when there is no such shop any more. */
struct shop_event *show_read(
	const struct judge *j, struct arena *a, struct span json, struct span *ret_outcome);

#endif
