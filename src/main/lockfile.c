/* lockfile.c: the file is not removed on the way out: between an unlink and the end of the process a
 * second daemon could lock a new file of the same name, and both would run. */
#include "main/lockfile.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The pid in the file, 0 when there is none yet. */
static long lockfile_owner(int fd)
{
	char buf[32] = "";

	return pread(fd, buf, sizeof buf - 1, 0) > 0 ? strtol(buf, NULL, 10) : 0;
}

static bool lockfile_refuse(struct lockfile *l, int fd, const char *config, struct err *err)
{
	int code = errno;
	long pid = fd >= 0 ? lockfile_owner(fd) : 0;

	if (fd >= 0)
		close(fd);
	if (fd >= 0 && code == EWOULDBLOCK) {
		err_set(err, "nudged runs already with configuration \"%s\", process %ld", config,
			pid);
		return err_hint(err, "stop it first, or use --beside to replace it while it runs");
	}
	err_set(err, "could not lock \"%s\": %s", l->path, strerror(code));
	if (code == ENOENT)
		err_hint(err, "make the directory, or set \"state_dir\" in section [nudged]");
	return false;
}

bool lockfile_take(struct lockfile *l, const char *state_dir, const char *config, struct err *err)
{
	char real[PATH_MAX], pid[32];
	const char *name = realpath(config, real) ? real : config;
	int fd;

	l->fd = -1;
	snprintf(l->path, sizeof l->path, "%s/nudged-%08x.lock", state_dir,
		span_hash(span_of(name)));
	fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return lockfile_refuse(l, fd, config, err);
	snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, strlen(pid), 0) < 0)
		return lockfile_refuse(l, fd, config, err);
	l->fd = fd;
	return true;
}

void lockfile_path_beside(const struct lockfile *l, const char *ending, char *ret, size_t size)
{
	snprintf(ret, size, "%.*s.%s", (int)(strrchr(l->path, '.') - l->path), l->path, ending);
}

void lockfile_close(struct lockfile *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}
