/* crashnote.c: texts first, flag last, so that a flag that is set always has its texts; the process
 * that wrote them is dead when they are read, so no more order than that is needed. */
#include "base/crashnote.h"

#include <string.h>

/* Copies and ends with NUL. */
static void crash_note_text(char *to, size_t size, struct span s)
{
	size_t n = s.n < size ? s.n : size - 1;

	if (n)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

void crash_note_set(struct crash_note *note, const char *kind, struct span id, struct span rule)
{
	if (note == NULL)
		return;
	atomic_store_explicit(&note->is_set, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	crash_note_text(note->kind, sizeof note->kind, span_of(kind));
	crash_note_text(note->id, sizeof note->id, id);
	crash_note_text(note->rule, sizeof note->rule, rule);
	atomic_store_explicit(&note->is_set, true, memory_order_release);
}

void crash_note_clear(struct crash_note *note)
{
	if (note)
		atomic_store_explicit(&note->is_set, false, memory_order_release);
}

bool crash_note_take(struct crash_note *note, struct crash_note *ret)
{
	if (!atomic_load_explicit(&note->is_set, memory_order_acquire))
		return false;
	memcpy(ret->kind, note->kind, sizeof ret->kind);
	memcpy(ret->id, note->id, sizeof ret->id);
	memcpy(ret->rule, note->rule, sizeof ret->rule);
	atomic_store(&ret->is_set, true);
	atomic_store(&note->is_set, false);
	return true;
}
