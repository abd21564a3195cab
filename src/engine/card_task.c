/*
 * card_task.c: tasks moved by the people who have them, and by their deadlines.
 *
 * open -> taken -> done | cancelled; taking is no condition of doing.  Everything happens under
 * the customer's lock, so "done" and "overdue" can not both be first: whichever event comes to the
 * row first finds it undecided, the other is refused or marked late.  An event that asks for an
 * illegal move is kept with its reason, but no rule hears of it: a chain must not be told twice
 * that a task is done.
 */
#include "engine/card_part.h"

#include "base/json.h"
#include "engine/field.h"

#include <stdarg.h>
#include <stdio.h>

/* The task of the visit with that number, or NULL. */
static struct task *find_task(const struct visit *v, int64_t id)
{
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->id == id)
			return v->tasks[i];
	return NULL;
}

/* Still to be done? */
static bool is_live(const struct task *t)
{
	return t->state == TASK_OPEN || t->state == TASK_TAKEN;
}

/* Says no, with the reason on the event. */
static bool PRINTF_LIKE(2, 3) refuse(struct card_work *w, const char *fmt, ...)
{
	va_list ap;
	char text[256];

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	w->e->reason = arena_strdup(&w->b->arena, text);
	return false;
}

/* Is the word among those that the task gives to choose from? */
static bool is_choice(const struct task *t, struct span word)
{
	struct json_iter it;
	struct span choice;

	if (!t->results.n)
		return true;
	json_iter_init(&it, t->results);
	while (json_next(&it, NULL, &choice))
		if (json_text_is(choice, word))
			return true;
	return span_is(span_trim(t->results), "[]");
}

/* task.taken */
static bool take(struct card_work *w, struct task *t, struct span manager)
{
	if (t->state != TASK_OPEN)
		return refuse(
			w, "task %lld is %s already", (long long)t->id, task_state_name(t->state));
	t->state = TASK_TAKEN;
	t->taken_us = w->at_us;
	if (manager.n)
		t->manager = manager;
	return true;
}

/* task.done */
static bool finish(struct card_work *w, struct task *t, struct span manager, struct span result)
{
	if (!is_live(t))
		return refuse(
			w, "task %lld is %s already", (long long)t->id, task_state_name(t->state));
	if (result.n && !is_choice(t, result))
		return refuse(
			w, "the result is none of those that task %lld may have", (long long)t->id);
	t->state = TASK_DONE;
	t->done_us = w->at_us;
	t->result = result;
	if (manager.n)
		t->manager = manager;
	return true;
}

/* task.cancelled */
static bool cancel(struct card_work *w, struct task *t)
{
	if (!is_live(t))
		return refuse(
			w, "task %lld is %s already", (long long)t->id, task_state_name(t->state));
	t->state = TASK_CANCELLED;
	t->done_us = w->at_us;
	return true;
}

bool card_apply_task(struct card_work *w)
{
	struct span type = w->e->type, manager, result, data = w->e->data;
	struct arena *a = &w->b->arena;
	struct task *t;
	int64_t id;
	bool moved;

	if (!span_is(type, "task.taken") && !span_is(type, "task.done") &&
		!span_is(type, "task.cancelled"))
		return true; /* created, overdue, escalated: told, not asked */
	if (!field_integer(field_get(data, "task_id"), &id))
		return refuse(w, "task_id is missing or no number");
	t = find_task(w->v, id);
	if (!t)
		return refuse(w, "this customer has no task %lld", (long long)id);
	manager = field_text(field_get(data, "manager"), a);
	result = field_text(field_get(data, "result"), a);
	if (span_is(type, "task.taken"))
		moved = take(w, t, manager);
	else if (span_is(type, "task.done"))
		moved = finish(w, t, manager, result);
	else
		moved = cancel(w, t);
	t->changed |= moved;
	return moved;
}

/* {"manager":..., "rule":..., "task_id":...} */
static struct span overdue_data(struct arena *a, const struct task *t)
{
	struct buf data = { 0 };

	buf_char(&data, '{');
	if (t->manager.n) {
		json_put_key(&data, "manager");
		json_put_text(&data, t->manager);
	}
	if (t->rule.n) {
		json_put_key(&data, "rule");
		json_put_text(&data, t->rule);
	}
	json_put_key(&data, "task_id");
	buf_printf(&data, "\"%lld\"}", (long long)t->id);
	return card_take_text(a, &data);
}

void card_tasks_due(struct batch *b, struct visit *v, struct card_follow *follow)
{
	for (size_t i = 0; i < v->n_tasks; i++) {
		struct task *t = v->tasks[i];
		struct shop_event cause = { .shop = t->shop,
			.time_us = b->now_us,
			.received_us = b->now_us,
			.customer = v->customer };

		if (!t->due || t->overdue || !is_live(t) || t->deadline_us > b->now_us)
			continue;
		t->overdue = true;
		t->changed = true;
		cause.id = span_of(arena_printf(&b->arena, "task/%lld", (long long)t->id));
		BATCH_PUSH(&b->arena, follow->events, follow->n, follow->cap) =
			card_follow_up(b, &cause, SPAN("task.overdue"), SPAN("overdue"),
				overdue_data(&b->arena, t), EVENT_EMITTED);
	}
}
