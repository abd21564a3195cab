#ifndef MAIN_RULE_TEST_INT_H
#define MAIN_RULE_TEST_INT_H
/*
 * Between the files of rule_test: the test that runs, and what its methods share.
 * Functions that take a lua_State may raise: they are called by tests only.
 */
#include "base/map.h"
#include "main/rig.h"
#include "main/rule_test.h"

#include <lauxlib.h>
#include <lua.h>

enum { RULE_TEST_DATA_MOST = 65536 };

struct script;

struct rule_test_case { /* a test, as the file declared it */
	char *name;
	int fn_ref;
};

struct rule_test {
	const struct rule_test_env *env;
	const struct rule_set *all;
	struct script *script;
	/* of the file */
	const struct rule_set *set; /* the part of all that it is about */
	struct arena names;         /* of the cases */
	struct rule_test_case *cases;
	size_t n_cases, cap_cases;
	/* of the test that runs */
	struct rig *rig;
	unsigned next_customer;
	struct map seen; /* ids of effects that were expected */
};

/* The test that a method was called in. */
struct rule_test *rule_test_of(lua_State *L);
/* The table at idx as JSON; nothing is {}. */
struct span rule_test_json_arg(lua_State *L, int idx);
/* Sets a field of the table on top of the stack; an empty text is no field. */
void rule_test_set_text(lua_State *L, const char *key, struct span s);

/* rule_test_look.c: what has happened.  The methods, NULL at the end. */
extern const luaL_Reg rule_test_look_methods[];

#endif
