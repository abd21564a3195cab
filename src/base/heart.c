/* heart.c: one writer, one reader, no lock: a sequence number tells the reader that a text is whole.  A
 * child that dies while it writes leaves an odd number; heart_clear mends that. */
#include "base/heart.h"

#include <stdio.h>
#include <string.h>

void heart_beat(struct heart *h)
{
	if (h)
		atomic_fetch_add_explicit(&h->beats, 1, memory_order_relaxed);
}

void heart_ready(struct heart *h)
{
	if (h)
		atomic_store(&h->ready, true);
}

void heart_say(struct heart *h, const char *status)
{
	if (h == NULL)
		return;
	atomic_fetch_add(&h->writing, 1);
	snprintf(h->status, sizeof h->status, "%s", status);
	atomic_fetch_add(&h->writing, 1);
}

void heart_clear(struct heart *h)
{
	memset(h->status, 0, sizeof h->status);
	atomic_store(&h->writing, 0);
	atomic_store(&h->ready, false);
	atomic_store(&h->beats, 0);
}

bool heart_status(const struct heart *h, char *buf, size_t size)
{
	uint32_t before = atomic_load(&h->writing);

	if (before & 1)
		return false;
	snprintf(buf, size, "%.*s", HEART_STATUS_SIZE - 1, h->status);
	return atomic_load(&h->writing) == before;
}
