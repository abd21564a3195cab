/* Put before every file by tests/fault/static: what Lua's headers do not say, and the analyzers have to know. */
#include <lauxlib.h>
#include <lua.h>

int luaL_error(lua_State *L, const char *fmt, ...) __attribute__((noreturn));
int luaL_argerror(lua_State *L, int arg, const char *text) __attribute__((noreturn));
int luaL_typeerror(lua_State *L, int arg, const char *name) __attribute__((noreturn));
int lua_error(lua_State *L) __attribute__((noreturn));
