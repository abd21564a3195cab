#ifndef ENGINE_LUA_JSON_H
#define ENGINE_LUA_JSON_H
/*
 * Between checked JSON and Lua: objects that are read when asked, and Lua values as canonical JSON.
 *
 * A pushed object is a read-only userdata that owns a copy of its text, so it can never outlive
 * its memory. A field is read at its first use, by the kind the vocabulary gives it, and kept;
 * objects inside are objects of the same sort, lists are made whole when first asked for.
 * `pairs`, `#`, `ipairs`, `type` and the table functions take them for tables; writing to them is
 * an error; JSON null is nil. Missing lists and objects of the vocabulary are empty, times are
 * time objects (engine/bind_time). Numbers that are whole become integers, so 2500 and 2500.0 are
 * one value.
 *
 * Everything here may raise (memory): call it inside a body, bind or push function of
 * engine/script.
 */
#include "base/mem.h"
#include "base/str.h"
#include "engine/vocabulary.h"

#include <lua.h>

/* The kind of a field, path with dots, places in lists left out: vocabulary_kind or _card_kind. */
typedef enum field_kind luajson_kind_fn(const void *arg, struct span path);
extern luajson_kind_fn luajson_kind_event; /* arg: const struct vocabulary_type *, may be NULL */
extern luajson_kind_fn luajson_kind_card;  /* arg: NULL */
extern luajson_kind_fn luajson_kind_order; /* arg: NULL; fields of order rows */

/* Pushes any checked JSON value.  kind may be NULL: as sent.  path: of the value itself, for the
 * kinds below it ("" for an event, "cart" for the cart of a card); must be a constant or outlive
 * the state. kind and arg likewise. */
void luajson_push(
	lua_State *L, struct span json, luajson_kind_fn *kind, const void *arg, const char *path);
/* Pops a value and gives it to the object at idx as a field that is read like the others, but
 * neither iterated nor encoded (event.meta). */
void luajson_set_hidden(lua_State *L, int idx, const char *field);
/* Tells of every reading of a field of the object at idx (not of objects inside), by its name: for the
 * values that `when` has read.  fn may raise; NULL: no more. */
typedef void luajson_watch_fn(lua_State *L, struct span name);
void luajson_watch(lua_State *L, int idx, luajson_watch_fn *fn);
/* Is the value at idx such an object or list?  Then *ret_json lends its text (while it is on the
 * stack). */
bool luajson_text(lua_State *L, int idx, struct span *ret_json);
/* Pushes a number: an integer when it is whole (and exact), else a float. */
void luajson_push_number(lua_State *L, double x);
/* Pushes the elements' keys sorted, as `pairs` goes over them: a list of keys.  idx: table or
 * object. */
void luajson_push_keys(lua_State *L, int idx);

/* Appends the value at idx as canonical JSON (keys sorted by bytes, no blanks, whole numbers
 * without ".0", times as RFC 3339 text) to the arena: *ret is the text.  False and err ("field
 * x.y: a function can not be stored", deeper than 32, longer than most_bytes) when it can not be
 * stored.  Empty tables are {} ; tables with keys 1..n are lists.  nil is null. */
bool luajson_encode(lua_State *L, int idx, size_t most_bytes, struct arena *a, struct span *ret,
	struct err *err) MUST_CHECK;

/* Registers the metatables; once per state, called by script_new's users before anything else
 * here. */
void luajson_open(lua_State *L);

#endif
