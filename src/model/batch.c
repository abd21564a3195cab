/* batch.c: arrays of a batch grow inside its arena; the outgrown copy stays there until the batch ends. */
#include "model/batch.h"

#include <string.h>

void *batch_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size)
{
	void *bigger;

	if (n < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 4;
	bigger = arena_alloc(a, *cap * size);
	if (n)
		memcpy(bigger, array, n * size);
	return bigger;
}
