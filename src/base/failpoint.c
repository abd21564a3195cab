/* failpoint.c: die where the test says.
 *
 * The list is read from the environment at each place anew: places stand between system calls that
 * cost a thousand times more, and only in test builds.  Counts are kept per entry of the list, in the
 * order in which entries stand there, so the same name may stand twice.  kill -9 of oneself is used
 * and not abort: no handler, no atexit, no flush may run, exactly as when the machine loses power.
 */
#include "base/failpoint.h"

#include "base/str.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAILPOINT_MOST = 16 };

/* Cuts off what stands before the next separator. */
static struct span failpoint_cut(struct span *rest, char at)
{
	const char *p = rest->n ? memchr(rest->p, at, rest->n) : NULL;
	struct span head = { rest->p, p ? (size_t)(p - rest->p) : rest->n };

	*rest = p ? (struct span){ p + 1, rest->n - head.n - 1 } : (struct span){ NULL, 0 };
	return head;
}

/* Does to this process what the word says. */
static void failpoint_do(struct span word)
{
	if (span_is(word, "stop"))
		raise(SIGSTOP);
	else if (span_is(word, "exit"))
		_exit(1);
	else
		raise(SIGKILL);
}

void failpoint_reach(const char *name)
{
	static int64_t hits[FAILPOINT_MOST];
	struct span list = span_of(getenv("NUDGED_FAILPOINT"));

	for (int i = 0; i < FAILPOINT_MOST && list.n > 0; i++) {
		struct span entry = failpoint_cut(&list, ',');
		struct span place = failpoint_cut(&entry, ':');
		struct span count = failpoint_cut(&entry, ':');
		int64_t n = 1;

		if (!span_is(place, name) || (count.n && !span_to_i64(count, &n)))
			continue;
		if (++hits[i] == n)
			failpoint_do(entry);
	}
}
