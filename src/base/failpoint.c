/* failpoint.c: die where the test says.
 *
 * The list is read at each place anew: places stand between system calls that cost a thousand times more, and
 * only in test builds.  Counts are kept per entry of the list, in the order in which entries stand there, so the
 * same name may stand twice; another list begins to count anew.  A list in a file belongs to all processes: who is
 * to act renames the file first, and only the one that could acts, so that a fault happens once and the test sees
 * that it did.  kill -9 of oneself is used and not abort: no handler, no atexit, no flush may run, exactly as when
 * the machine loses power.
 *
 * The list of all places is what the linker has gathered in a section of their own.  A table by hand, or an enum,
 * was rejected: it would be one more thing to keep, and wrong in the direction that no compiler sees (a name
 * without a place).
 */
#include "base/failpoint.h"

#include "base/now.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAILPOINT_MOST = 16, FAILPOINT_LIST = 1024, FAILPOINT_LINE = 800 };

/* Made by the linker; weak, because a program may have no place at all. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker makes them */
extern const char __start_failpoints[] __attribute__((weak));
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
extern const char __stop_failpoints[] __attribute__((weak));

/* Cuts off what stands before the next separator. */
static struct span failpoint_cut(struct span *rest, char at)
{
	const char *p = rest->n ? memchr(rest->p, at, rest->n) : NULL;
	struct span head = { rest->p, p ? (size_t)(p - rest->p) : rest->n };

	*rest = p ? (struct span){ p + 1, rest->n - head.n - 1 } : (struct span){ NULL, 0 };
	return head;
}

/* The list in the file, or nothing. */
static struct span failpoint_read(const char *path, char text[FAILPOINT_LIST])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, FAILPOINT_LIST - 1) : 0;

	if (fd >= 0)
		close(fd);
	return span_trim((struct span){ text, n > 0 ? (size_t)n : 0 });
}

/* Says in FILE.hits who died where and when. */
static void failpoint_tell(const char *path, const char *name)
{
	char hits[512], line[FAILPOINT_LINE], comm[32] = "?";
	int n, fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = (int)read(fd, comm, sizeof comm - 1);
		comm[n > 0 ? n - 1 : 0] = '\0'; /* a line */
		close(fd);
	}
	snprintf(hits, sizeof hits, "%s.hits", path);
	n = snprintf(line, sizeof line, "%.600s %d %lld %s\n", name, (int)getpid(),
		(long long)clock_now_us(), comm);
	fd = open(hits, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0 && write(fd, line, (size_t)n) == n)
		close(fd);
}

/* Is it this process that acts?  The file is FILE.done then. */
static bool failpoint_is_ours(const char *path, const char *name)
{
	char done[512];

	snprintf(done, sizeof done, "%s.done", path);
	if (rename(path, done) != 0)
		return false;
	failpoint_tell(path, name);
	return true;
}

/* Does to this process what the word says. */
static void failpoint_do(struct span word)
{
	if (span_is(word, "stop"))
		raise(SIGSTOP);
	else if (span_is(word, "exit"))
		_exit(1);
	else if (span_is(word, "segv"))
		raise(SIGSEGV);
	else
		raise(SIGKILL);
}

/* A place that ends with a star stands for all that begin so. */
static bool failpoint_is_at(struct span place, const char *name)
{
	if (place.n && place.p[place.n - 1] == '*')
		return strncmp(place.p, name, place.n - 1) == 0;
	return span_is(place, name);
}

/* True when the list is not the one of before. */
static bool failpoint_is_new(struct span list)
{
	static char last[FAILPOINT_LIST];
	bool is_new = !span_is(list, last);

	if (is_new)
		span_into(list, last, sizeof last);
	return is_new;
}

/* Looks for the place in the list and acts. */
static void failpoint_look(const char *name)
{
	static int64_t hits[FAILPOINT_MOST];
	char text[FAILPOINT_LIST];
	const char *env = getenv("NUDGED_FAILPOINT");
	const char *path = env != NULL && *env == '@' ? env + 1 : NULL;
	struct span list = path ? failpoint_read(path, text) : span_of(env);

	if (list.n == 0)
		return;
	if (failpoint_is_new(list))
		memset(hits, 0, sizeof hits);
	for (int i = 0; i < FAILPOINT_MOST && list.n > 0; i++) {
		struct span entry = failpoint_cut(&list, ',');
		struct span place = failpoint_cut(&entry, ':');
		struct span count = failpoint_cut(&entry, ':');
		bool always = span_is(count, "*");
		int64_t n = 1;

		if (!failpoint_is_at(place, name) ||
			(count.n && !always && !span_to_i64(count, &n)))
			continue;
		if ((++hits[i] == n || always) &&
			(path == NULL || always || failpoint_is_ours(path, name)))
			failpoint_do(entry);
	}
}

/* Leaves errno as it was: places stand inside callbacks of libraries that look at it. */
void failpoint_reach(const char *name)
{
	int saved = errno;

	failpoint_look(name);
	errno = saved;
}

void failpoint_reach_id(const char *name, const char *kind, const char *id)
{
	char place[600];

	snprintf(place, sizeof place, "%s/%s/%s", name, kind, id);
	failpoint_reach(place);
}

const char *failpoint_at(size_t i)
{
	const char *p = __start_failpoints + i * FAILPOINT_NAME;

	/* begin and end of one section, as the linker names them */
	/* cppcheck-suppress comparePointers */
	return p < __stop_failpoints ? p : NULL;
}
