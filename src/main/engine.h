#ifndef MAIN_ENGINE_H
#define MAIN_ENGINE_H
/*
 * The engine's process: doors, intake, judge, timers, on one event loop over the handed-down sockets.
 *
 * engine_main is a role's `run` (see main/role.h for what it owes the parent): it returns the exit code
 * when the engine was asked to stop and is drained.
 */
struct role_env;

int engine_main(const struct role_env *env);

#endif
