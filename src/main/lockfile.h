#ifndef MAIN_LOCKFILE_H
#define MAIN_LOCKFILE_H
/*
 * The lock file: one daemon per configuration.
 *
 * Lies in [nudged] state_dir, is called after the configuration's real path, holds the pid.  The lock is
 * the kernel's (flock), so it ends with the process, however it ends; the file may stay.
 */
#include "base/err.h"

#include <stddef.h>

struct lockfile {
	int fd; /* -1: not locked */
	char path[512];
};

/* False when another process has it: the error names its pid. */
bool lockfile_take(
	struct lockfile *l, const char *state_dir, const char *config, struct err *err) MUST_CHECK;
/* The path of another file of the same configuration: the lock's, with another ending.  After lockfile_take,
 * whatever it returned. */
void lockfile_path_beside(const struct lockfile *l, const char *ending, char *ret, size_t size);
/* Closes it: in the parent that ends the lock, in a child the lock stays the parent's. */
void lockfile_close(struct lockfile *l);

#endif
