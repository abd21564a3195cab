/*
 * sim_courier.c: who works beside the engines.  A courier claims a message under its customer's lock, hands it over,
 * records the outcome by the inbox, and may die before and after each step; the operator finds out what became of
 * messages in doubt; a manager does tasks.  The real couriers speak SQL; here it is what they do to the rows that counts.
 */
#include "sim_int.h"

#include "base/clock.h"
#include "store/mem_int.h"

#include <stdio.h>

struct courier_job {
	struct message *message;
	bool handed_over;
};

/* Writes the outcome, and tells the rule by the inbox. */
static void courier_record(struct sim *s, struct message *m, bool sent)
{
	char data[64];

	m->state = sent ? MESSAGE_SENT : MESSAGE_FAILED;
	snprintf(data, sizeof data, "{\"message_id\":\"%lld\"}", (long long)m->id);
	mem_inbox(s->mem, m->customer, m->shop, sent ? "message.sent" : "message.failed",
		span_of(data), s->now_us);
	sim_trace(s, "courier: message %lld is %s", (long long)m->id, message_state_name(m->state));
}

/* A person has looked: was it handed over or not? */
static void courier_resolve(struct sim *s, void *arg)
{
	struct courier_job *j = arg;

	courier_record(s, j->message, j->handed_over);
}

/* The database has noticed that the courier is gone. */
static void courier_doubt(struct sim *s, void *arg)
{
	struct courier_job *j = arg;

	j->message->state = MESSAGE_IN_DOUBT;
	s->n.doubts++;
	sim_trace(s, "courier: message %lld is in doubt", (long long)j->message->id);
	sim_after(s, (int64_t)sim_rnd(s, 20 * SIM_SECOND), courier_resolve, j);
}

static void courier_dies(struct sim *s, struct courier_job *j)
{
	sim_trace(s, "courier: dies over message %lld", (long long)j->message->id);
	sim_after(s, (int64_t)sim_rnd(s, 3 * SIM_SECOND), courier_doubt, j);
}

static void courier_answered(struct sim *s, void *arg)
{
	struct courier_job *j = arg;

	if (sim_fault(s, s->faults.courier)) {
		courier_dies(s, j);
	} else if (!j->handed_over && sim_chance(s, 500)) { /* refused, later again */
		j->message->state = MESSAGE_READY;
		j->message->due_us = s->now_us + 5 * SIM_SECOND;
		sim_judge_give_back(s, j->message);
		sim_trace(s, "courier: message %lld goes back", (long long)j->message->id);
	} else {
		courier_record(s, j->message, j->handed_over);
	}
}

static void courier_hand_over(struct sim *s, void *arg)
{
	struct courier_job *j = arg;

	if (sim_fault(s, s->faults.courier)) {
		courier_dies(s, j);
		return;
	}
	if (!sim_fault(s, s->faults.courier)) { /* else the peer does not take it */
		j->handed_over = true;
		s->n.handed_over++;
		sim_judge_handed_over(s, j->message);
	}
	sim_after(s, (int64_t)sim_rnd(s, sim_chance(s, 100) ? 5 * SIM_SECOND : 20000),
		courier_answered, j);
}

/* Takes one message; its customer's card must not be locked by anybody. */
static void courier_claim(struct sim *s, void *arg)
{
	const struct mem_tables *t = mem_tables(s->mem);

	(void)arg;
	for (size_t i = 0; i < t->n_messages && !s->database_down; i++) {
		struct message *m = t->messages[i];
		struct courier_job *j;

		if (m->state != MESSAGE_READY || m->due_us > s->now_us ||
			sim_store_is_locked(s, m->customer))
			continue;
		m->state = MESSAGE_SENDING;
		sim_trace(s, "courier: claims message %lld", (long long)m->id);
		sim_judge_claim(s, m);
		j = arena_new(&s->arena, struct courier_job);
		j->message = m;
		sim_after(s, (int64_t)sim_rnd(s, 20000), courier_hand_over, j);
		break;
	}
	sim_after(s, (int64_t)sim_rnd(s, sim_chance(s, 100) ? 10 * SIM_SECOND : SIM_SECOND),
		courier_claim, NULL);
}

/* A manager says that a task is done, in time or not, perhaps one that is not to be done any more. */
static void manager_works(struct sim *s, void *arg)
{
	const struct mem_tables *t = mem_tables(s->mem);

	(void)arg;
	if (t->n_tasks > 0 && !s->is_healed && !s->database_down) {
		const struct task *k = t->tasks[sim_rnd(s, t->n_tasks)];
		char data[64];

		snprintf(data, sizeof data, "{\"task_id\":\"%lld\"}", (long long)k->id);
		if (k->state == TASK_OPEN) {
			mem_inbox(s->mem, k->customer, k->shop, "task.done", span_of(data),
				s->now_us);
			sim_trace(s, "manager: task %lld is done", (long long)k->id);
		}
	}
	sim_after(s, (int64_t)sim_rnd(s, 20 * SIM_SECOND), manager_works, NULL);
}

void sim_courier_open_all(struct sim *s)
{
	int n = 1 + (int)sim_rnd(s, 3);

	for (int i = 0; i < n; i++)
		sim_after(s, (int64_t)sim_rnd(s, SIM_SECOND), courier_claim, NULL);
	sim_after(s, (int64_t)sim_rnd(s, SIM_SECOND), manager_works, NULL);
}
