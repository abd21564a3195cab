#ifndef ENGINE_WHAT_H
#define ENGINE_WHAT_H
/*
 * The *what* grammar: what a rule starts with, ends with or waits for.
 *
 * In Lua: "order.placed", "order.*", "*", on("x", { filter }), a handle `m`, an outcome
 * `m.clicked`, or a list of these (whichever is first).  Here: plain data in an arena.  As JSON
 * (chain.exits, waits in histories) a list of terms:
 * [{"type":"order.*"},{"type":"x","filter":{...}},{"message":17,"outcome":"clicked"},{"task":5}]
 *
 * A filter is JSON:
 * {"status":["new","ready"],"total":{"min":100,"max":200},"shipping":{"country":"DE"}}. A plain
 * value must be equal (text and number of the same spelling are), a list: any of, {min,max}:
 * within both ends, as numbers or times; another object: its fields, nested; "shipping.country" is
 * the same.  Where the event has a list, one element that matches is enough.
 *
 * Handles are made by the binds with what_push_handle: userdata whose fields are its outcomes.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <lua.h>
#include <stdint.h>

enum what_kind {
	WHAT_EVENT,   /* type or pattern, maybe with a filter */
	WHAT_OUTCOME, /* of one message or task */
};
enum what_object { WHAT_MESSAGE, WHAT_TASK };
const char *what_object_name(
	enum what_object o); /* "message", "task": also the first part of the types */

struct what_term {
	enum what_kind kind;
	struct span type; /* WHAT_EVENT: "order.placed", "order.*", "*" */
	enum what_object object;
	int64_t id; /* WHAT_OUTCOME: of the message or task */
	struct span
		outcome; /* "clicked"; empty: over (message: sent, failed; task: done, overdue) */
	struct span filter; /* canonical JSON object, or empty */
};
struct what { /* n == 0: nothing, never matches */
	struct what_term *terms;
	unsigned n;
};

/* Reads the value at idx.  handles: outcomes are allowed (wait), else they are an error.
 * Everything is copied to the arena.  May raise for memory only. */
bool what_read(lua_State *L, int idx, bool handles, struct arena *a, struct what *ret,
	struct err *err) MUST_CHECK;
/* May the type or pattern stand in a what?  A known one with a slip of the pen may not. */
bool what_check_type(struct span type, struct err *err) MUST_CHECK;
/* The first term that the event matches, or -1.  data: checked JSON object.
 * WHAT_OUTCOME matches "message.clicked" with message_id = id. */
int what_match(const struct what *w, struct span type, struct span data);
/* Every type and pattern that may match, for chain.awaits and indexes; in the arena. */
struct span *what_types(const struct what *w, struct arena *a, unsigned *ret_n);

/* Canonical JSON, in the arena; empty text for n == 0. */
struct span what_write(const struct what *w, struct arena *a);
/* Reads it again; empty text gives n == 0.  Spans borrow from json where they can. */
bool what_parse(struct span json, struct arena *a, struct what *ret, struct err *err) MUST_CHECK;

/*** handles ***/

/* Registers metatables and the function `on`; once per state. */
void what_open(lua_State *L);
/* Pushes the handle of a message or task.  Its fields are its outcomes (message: sent delivered
 * opened clicked replied failed; task: taken done overdue); other fields are errors with the
 * likely right one. */
void what_push_handle(lua_State *L, enum what_object object, int64_t id);
/* The value at idx is a handle or an outcome of one. */
bool what_is_handle(lua_State *L, int idx, struct what_term *ret);
/* The words of an object, NULL at the end. */
const char *const *what_outcomes(enum what_object o);

#endif
