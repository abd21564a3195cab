/* task.c: the words of a task's states. */
#include "model/task.h"

static const char *const task_state_words[] = { "open", "taken", "done", "cancelled", "withdrawn" };

const char *task_state_name(enum task_state s)
{
	return task_state_words[s];
}

bool task_state_parse(struct span word, enum task_state *ret)
{
	for (unsigned i = 0; i < sizeof task_state_words / sizeof *task_state_words; i++)
		if (span_is(word, task_state_words[i])) {
			*ret = (enum task_state)i;
			return true;
		}
	return false;
}
