/* unix_path.c: bound at "path.pid", made ready, then renamed: nobody finds half of it, and there is no moment without
 * one.  Whose it is says the inode; the name says nothing. */
#include "main/unix_path.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef int unix_call(int fd, const struct sockaddr *address, socklen_t size);

/* bind or connect.  A path that is longer than an address has room for goes by way of its directory. */
static bool unix_at(int fd, const char *path, unix_call *call)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char above[PATH_MAX];
	const char *name = strrchr(path, '/');
	int dir = -1, n;
	bool ok;

	if (strlen(path) < sizeof un.sun_path) {
		memcpy(un.sun_path, path, strlen(path) + 1);
		return call(fd, (const struct sockaddr *)&un, sizeof un) == 0;
	}
	if (name == NULL || strlen(path) >= sizeof above) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(above, path, strlen(path) + 1);
	above[name + 1 - path] = '\0';
	dir = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	n = snprintf(un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d%s", dir, name);
	if (n >= (int)sizeof un.sun_path)
		errno = ENAMETOOLONG;
	ok = n < (int)sizeof un.sun_path && call(fd, (const struct sockaddr *)&un, sizeof un) == 0;
	close(dir);
	return ok;
}

/* Closes, and keeps what errno says. */
static int unix_fail(int fd)
{
	int code = errno;

	if (fd >= 0)
		close(fd);
	errno = code;
	return -1;
}

int unix_path_listen(struct unix_path *p, const char *path, mode_t mode, int backlog)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char own[PATH_MAX];
	struct stat st;

	*p = (struct unix_path){ 0 };
	if (snprintf(own, sizeof own, "%s.%d", path, (int)getpid()) >= (int)sizeof own) {
		errno = ENAMETOOLONG;
		return unix_fail(fd);
	}
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return unix_fail(fd);
	}
	unlink(own);
	if (fd < 0 || !unix_at(fd, own, bind))
		return unix_fail(fd);
	if (chmod(own, mode) != 0 || listen(fd, backlog) != 0 || stat(own, &st) != 0 ||
		rename(own, path) != 0) {
		int code = errno;

		unlink(own);
		errno = code;
		return unix_fail(fd);
	}
	*p = (struct unix_path){ xstrdup(path), st.st_ino };
	return fd;
}

bool unix_path_adopt(struct unix_path *p, const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	*p = (struct unix_path){ xstrdup(path), st.st_ino };
	return true;
}

int unix_path_connect(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && unix_at(fd, path, connect) ? fd : unix_fail(fd);
}

void unix_path_remove(struct unix_path *p)
{
	struct stat st;

	if (p->path != NULL && lstat(p->path, &st) == 0 && st.st_ino == p->inode)
		unlink(p->path);
	unix_path_forget(p);
}

void unix_path_forget(struct unix_path *p)
{
	free(p->path);
	*p = (struct unix_path){ 0 };
}
