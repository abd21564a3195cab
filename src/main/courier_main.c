/* courier_main.c: the smallest process that owes its parent nothing: it beats its heart and heeds
 * signals. */
#include "main/courier_main.h"

#include "main/role.h"

int courier_main(const struct role_env *env)
{
	return role_idle(env);
}
