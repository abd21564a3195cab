#ifndef ENGINE_RULES_READ_H
#define ENGINE_RULES_READ_H
/*
 * Reads the table of a `rule "name" { ... }` into a struct rule: the inner part of engine/rules.
 *
 * Everything may raise and runs while a file is loaded; errors begin with "file:line: rule "name":
 * ".
 */
#include "engine/rules.h"

struct arena;

struct rules_reader {
	struct arena *arena; /* what the rule is made of lives here */
	const struct rules_env *env;
	struct rule *rule; /* name, file and line are set */
	bool in_set;       /* else a text of former times, which may name stores that are gone */
	int table;         /* stack index of the rule's table */
	int defaults;      /* of the table of defaults for its folder */
};

/* Fills the rule with what its table says, else the defaults, else the language. */
void rules_read(lua_State *L, struct rules_reader *r);
/* Raises when the table at idx (of `defaults`) has a key that can not be a default. */
void rules_check_defaults(lua_State *L, int idx);

#endif
