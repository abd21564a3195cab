#ifndef MAIN_SUPERVISE_H
#define MAIN_SUPERVISE_H
/*
 * The parent process: starts the children of all roles, keeps them running, tells systemd.
 *
 * It opens (or inherits) the listening sockets and hands them down, never accepts; watches hearts,
 * kills who stalls, starts again with a growing delay, keeps crash notes; carries signals: SIGTERM and
 * SIGINT drain (the second one ends now), SIGHUP reloads.  No Lua, no SQL, no library state: whatever
 * crashes, crashes in a child.
 *
 * READY means: every engine's loop runs and listens.  It does not mean that there is a database; what
 * an engine says of itself is shown as STATUS.
 */
#include "main/role.h"

struct supervise_hooks {
	/* Runs in a short-lived child of its own: loads, checks and puts in place the rules and templates
	 * that `s` names.  At start in the background (at_start), where it may wait for the database as
	 * long as it likes; on reload within [nudged] check_timeout.  False: nothing was changed and the
	 * error says why; on a reload the old settings stay too.  Lines it logs are the details. */
	bool (*check)(const struct settings *s, bool at_start, struct err *err);
};

struct supervise_options {
	const struct role *roles;
	size_t nroles;
	struct supervise_hooks hooks;
	bool beside; /* start although another daemon has the lock */
};

enum supervise_exit {
	SUPERVISE_STOPPED = 0,  /* as asked, everything drained */
	SUPERVISE_NO_START = 1, /* the log says why */
	SUPERVISE_CUT_SHORT =
		3, /* as asked, but a child had to be killed, or the second SIGTERM came */
};

/* Takes the settings; returns the exit code when all children are gone. */
int supervise_run(struct settings *s, const struct supervise_options *options);

#endif
