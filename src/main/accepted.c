/*
 * accepted.c: one text and a count of its changes, odd while it is being written.
 *
 * The reader copies and looks whether the count is still the same: the parent never waits for a child.  A parent that
 * was killed while it wrote leaves an odd count: the reader gives up, as its own end is near.  Rejected: a digest, which
 * can tell that the file was changed but not what was accepted; the children would then disagree.
 */
#include "main/accepted.h"

#include "base/conf.h"
#include "base/mem.h"
#include "base/proc.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ACCEPTED_TRIES = 100000 /* each lets others run */ };

struct accepted {
	atomic_uint changes;
	atomic_size_t n;
	char text[CONF_FILE_MOST + 1];
};

struct accepted *accepted_open(struct err *err)
{
	return proc_share(sizeof(struct accepted), err);
}

void accepted_put(struct accepted *a, const char *text)
{
	size_t n = strlen(text);

	n = n < CONF_FILE_MOST ? n : CONF_FILE_MOST;
	atomic_fetch_add(&a->changes, 1);
	atomic_store(&a->n, n);
	atomic_thread_fence(memory_order_release); /* none of the text before the odd count */
	memcpy(a->text, text, n);
	atomic_thread_fence(memory_order_release);
	atomic_fetch_add(&a->changes, 1);
}

char *accepted_get(const struct accepted *a)
{
	for (int i = 0; i < ACCEPTED_TRIES; i++) {
		unsigned before = atomic_load(&a->changes);
		size_t n = atomic_load(&a->n);
		char *copy;

		if (before % 2 != 0) {
			sched_yield();
			continue;
		}
		copy = xcalloc(n + 1, 1);
		memcpy(copy, a->text, n);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load(&a->changes) == before)
			return copy;
		free(copy);
	}
	return NULL;
}
