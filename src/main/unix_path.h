#ifndef MAIN_UNIX_PATH_H
#define MAIN_UNIX_PATH_H
/*
 * A listening Unix socket and the path where it stands (unix(7)), which another daemon may take over at any time.
 *
 * A path is given to whoever comes last; who leaves removes it only if his own socket still stands there.
 */
#include <stdbool.h>
#include <sys/types.h>

struct unix_path {
	char *path;
	ino_t inode; /* of the socket that was last known to stand there as ours */
};

/* Makes a socket that listens at `path` with these permissions, and puts it in the place of whatever socket stood
 * there; nobody finds it before it is ready.  Returns the descriptor (the caller's; non-blocking, closed on
 * exec) and sets *p; or -1 with errno: *p is empty, and the
 * path is as it was. */
int unix_path_listen(struct unix_path *p, const char *path, mode_t mode, int backlog);
/* The socket at `path` is ours from now on, whoever made it; false: there is none. */
bool unix_path_adopt(struct unix_path *p, const char *path);
/* A connected descriptor (the caller's; closed on exec), or -1 with errno: EAGAIN means that somebody listens and has
 * more callers than he lets wait.  Never waits. */
int unix_path_connect(const char *path);
/* Removes the path if it is still ours, and frees. */
void unix_path_remove(struct unix_path *p);
/* Frees only: the path is somebody else's. */
void unix_path_forget(struct unix_path *p);

#endif
