#ifndef MAIN_COURIER_MAIN_H
#define MAIN_COURIER_MAIN_H
/*
 * A courier's process: claims, renders, hands over, records, one message at a time, blocking.
 *
 * courier_main is a role's `run` (see main/role.h for what it owes the parent); env->role->wake is the
 * channel (enum message_channel).  It beats its heart between the steps of a message; how long one step
 * may take is [nudged] stall_timeout_courier.  Returns the exit code: 0 after SIGTERM, or when it has
 * sent enough messages to be replaced.
 */
struct role_env;

int courier_main(const struct role_env *env);

#endif
