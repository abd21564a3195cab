/*
 * Fuzzing the reader of Lua text behind `nudgectl check`: what Lua 5.4 compiles must give a tree, and nothing may
 * crash, hang or leak whatever comes in.
 */
#include "base/mem.h"
#include "engine/lint_tree.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches all of it. */
static size_t walk(const struct lint_node *n)
{
	size_t count = 1;

	for (const struct lint_node *kid = n->kids; kid; kid = kid->next)
		count += walk(kid);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	lua_State *L = luaL_newstate();
	struct lint_node *tree;
	int line;

	if (!L)
		return 0;
	tree = lint_parse((struct span){ (const char *)data, size }, &a, &line);
	if (tree && walk(tree) == 0)
		abort();
	if (luaL_loadbufferx(L, (const char *)data, size, "fuzz", "t") == LUA_OK && !tree)
		abort();
	lua_close(L);
	arena_fini(&a);
	return 0;
}
