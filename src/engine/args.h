#ifndef ENGINE_ARGS_H
#define ENGINE_ARGS_H
/*
 * Arguments of calls that rules make: tables with named fields, times and durations.
 *
 * Everything raises on misuse, with the call, the field and what to write instead.
 */
#include "engine/eval.h"

/* The argument must be a table with these keys only (list ends with NULL); puts the table that holds its
 * contents in its place. */
void args_open(lua_State *L, int arg, const char *call, const char *const *keys);
/* Pushes the field; false and nothing pushed when it is nil. */
bool args_push(lua_State *L, int arg, const char *key);
/* Text fields: copied to the arena.  args_text gives {NULL,0} when it is missing. */
struct span args_text(lua_State *L, struct eval *e, int arg, const char *key);
struct span args_need_text(
	lua_State *L, struct eval *e, int arg, const char *call, const char *key);
bool args_flag(lua_State *L, int arg, const char *key);
/* A whole number; or the default. */
int64_t args_int(
	lua_State *L, int arg, const char *key, int64_t least, int64_t most, int64_t missing);
/* A time, or a duration counted from `from_us`; or the default. */
int64_t args_moment(
	lua_State *L, struct eval *e, int arg, const char *key, int64_t from_us, int64_t missing);
/* A value at idx that must be a duration ("90m"). */
struct duration args_duration(lua_State *L, int idx, const char *what);
/* JSON of a field, at most so long; {NULL,0} when it is missing. */
struct span args_json(lua_State *L, struct eval *e, int arg, const char *key, size_t most_bytes);

#endif
