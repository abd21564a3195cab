/* engine.c: the smallest process that owes its parent nothing: it beats its heart and heeds signals. */
#include "main/engine.h"

#include "main/role.h"

int engine_main(const struct role_env *env)
{
	return role_idle(env);
}
