/* mem_test.c: the store in memory passes the cases that the one in Postgres passes. */
#include "cases.h"
#include "store/mem.h"

static void pump(struct cases_driver *d)
{
	mem_turn(d->store);
}

static bool message_state(struct cases_driver *d, int64_t id, enum message_state *ret)
{
	const struct mem_tables *t = mem_tables(d->store);

	for (size_t i = 0; i < t->n_messages; i++)
		if (t->messages[i]->id == id) {
			*ret = t->messages[i]->state;
			return true;
		}
	return false;
}

static bool task_state(struct cases_driver *d, int64_t id, enum task_state *ret)
{
	const struct mem_tables *t = mem_tables(d->store);

	for (size_t i = 0; i < t->n_tasks; i++)
		if (t->tasks[i]->id == id) {
			*ret = t->tasks[i]->state;
			return true;
		}
	return false;
}

static size_t n_aside(struct cases_driver *d)
{
	return mem_tables(d->store)->n_aside;
}

int main(void)
{
	struct cases_driver d = { .store = mem_open(2, 1763683200000000),
		.pump = pump,
		.message_state = message_state,
		.task_state = task_state,
		.n_aside = n_aside };
	int failed = cases_run(&d);

	d.store->ops->close(d.store);
	return failed != 0;
}
