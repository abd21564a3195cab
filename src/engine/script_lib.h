#ifndef ENGINE_SCRIPT_LIB_H
#define ENGINE_SCRIPT_LIB_H
/*
 * What rules can name, besides the calls of the host: the inner parts of engine/script, for its
 * own files only.
 *
 * Everything may raise and runs inside script's protection.
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Makes the table of names and all libraries (a script_body). */
void script_lib_open(lua_State *L, void *ud);
/* Pushes the table of names. */
void script_lib_push_names(lua_State *L);
/* Pushes a new environment for one file: reads the names, refuses writes. */
void script_lib_push_env(lua_State *L);

/* Each leaves one table on the stack. */
void script_string_open(lua_State *L);
void script_table_open(lua_State *L);

/* Makes the table at idx read-only, without what it holds. */
void script_freeze_table(lua_State *L, int idx);
bool script_is_frozen(lua_State *L, int idx);
/* Pushes a list of the keys of the table at idx (its contents, raw): numbers ascending, then text
 * by bytes, then false, true.  Other keys raise. */
void script_push_sorted_keys(lua_State *L, int idx);
/* A C function that holds a position (pairs, gmatch) and must not be kept by a file. */
bool script_is_iterator(lua_State *L, int idx);
bool script_is_gmatch(lua_State *L, int idx); /* the iterator of gmatch */
/* Raises when the table argument can not be written to. */
void script_check_writable(lua_State *L, int arg);

#endif
