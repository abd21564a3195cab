/*
 * rig_trace.c: what stands in the store, as text, one record per line.
 *
 * Everything that a later decision could depend on is in it, histories and verdicts in full; so two runs with
 * the same trace can not be told apart by anything that comes after them.
 *
 * Except by numbers: which ones a batch takes depends on what else was judged with it.  Rules can not see more
 * of them than that those of one customer rise; so that is what is written, "1.3" for the third of customer 1.
 * Numbers have 6 digits at least (the store gives each batch its own range), so they are found in histories
 * and data without knowing where they may stand.
 */
#include "base/clock.h"
#include "base/map.h"
#include "main/rig.h"
#include "model/batch.h"
#include "store/mem.h"

#include <stdlib.h>
#include <string.h>

/* Times as people read them: a difference is to be understood. */
static void rig_put_time(struct buf *out, const char *name, int64_t at_us)
{
	char text[32];

	if (at_us != TIME_NONE)
		buf_printf(out, " %s %s", name, clock_format_rfc3339(at_us, text));
}

static void rig_put_text(struct buf *out, const char *name, struct span s)
{
	if (s.n)
		buf_printf(out, " %s %.*s", name, SPAN_ARG(s));
}

static void rig_trace_event(const struct shop_event *e, struct buf *out)
{
	buf_printf(out, "event %lld customer %lld", (long long)e->seq, (long long)e->customer);
	rig_put_text(out, "id", e->id);
	rig_put_text(out, "type", e->type);
	rig_put_time(out, "time", e->time_us);
	rig_put_time(out, "received", e->received_us);
	rig_put_text(out, "data", e->data);
	rig_put_text(out, "verdicts", e->verdicts);
	buf_char(out, '\n');
}

static void rig_trace_chain(const struct chain *c, struct buf *out)
{
	buf_printf(out, "chain %lld customer %lld %.*s %s", (long long)c->id,
		(long long)c->customer, SPAN_ARG(c->rule), chain_state_name(c->state));
	rig_put_text(out, "key", c->key);
	rig_put_time(out, "started", c->started_us);
	rig_put_time(out, "wake", c->wake_us);
	for (unsigned i = 0; i < c->n_awaits; i++)
		rig_put_text(out, "awaits", c->awaits[i]);
	for (unsigned i = 0; i < c->n_open; i++)
		buf_printf(out, " open %lld", (long long)c->open[i]);
	rig_put_text(out, "exits", c->exits);
	rig_put_text(out, "reason", c->reason);
	rig_put_text(out, "event", c->event);
	rig_put_text(out, "history", c->history);
	rig_put_text(out, "arrived", c->arrived);
	buf_char(out, '\n');
}

static void rig_trace_message(const struct message *m, struct buf *out)
{
	buf_printf(out, "message %lld customer %lld chain %lld %s %s %s", (long long)m->id,
		(long long)m->customer, (long long)m->chain, message_channel_name(m->channel),
		message_class_name(m->class_), message_state_name(m->state));
	rig_put_text(out, "rule", m->rule);
	rig_put_text(out, "template", m->template_name);
	rig_put_text(out, "lang", m->lang);
	rig_put_text(out, "to", m->to);
	rig_put_text(out, "code", m->code);
	rig_put_text(out, "subject", m->subject);
	rig_put_text(out, "reason", m->reason);
	rig_put_time(out, "due", m->due_us);
	rig_put_time(out, "expires", m->expires_us);
	rig_put_text(out, "data", m->data);
	buf_printf(out, " priority %d keep %d\n", m->priority, m->keep);
}

static void rig_trace_task(const struct task *t, struct buf *out)
{
	buf_printf(out, "task %lld customer %lld chain %lld %s", (long long)t->id,
		(long long)t->customer, (long long)t->chain, task_state_name(t->state));
	rig_put_text(out, "rule", t->rule);
	rig_put_text(out, "title", t->title);
	rig_put_text(out, "text", t->text);
	rig_put_text(out, "group", t->group);
	rig_put_text(out, "manager", t->manager);
	rig_put_text(out, "order", t->order_id);
	rig_put_text(out, "call", t->call);
	rig_put_text(out, "results", t->results);
	rig_put_text(out, "result", t->result);
	rig_put_time(out, "deadline", t->deadline_us);
	rig_put_time(out, "remind", t->remind_us);
	rig_put_time(out, "taken", t->taken_us);
	rig_put_time(out, "done", t->done_us);
	buf_printf(out, " priority %d overdue %d keep %d\n", t->priority, t->overdue, t->keep);
}

static void rig_trace_customer(const struct customer *c, struct buf *out)
{
	buf_printf(out, "customer %lld orders %lld %.2f", (long long)c->id,
		(long long)c->orders_count, c->orders_total);
	for (int i = 0; i < CARD_TEXTS; i++)
		rig_put_text(out, card_text_names[i], c->text[i]);
	for (int i = 0; i < CARD_JSONS; i++)
		rig_put_text(out, card_json_names[i], c->json[i]);
	rig_put_time(out, "created", c->created_us);
	rig_put_time(out, "seen", c->last_seen_us);
	buf_char(out, '\n');
}

/*** numbers ***/

/* The numbers of the store by the names that they get: "1.3" is the third one of customer 1. */
struct rig_names {
	struct arena arena;
	struct map map; /* number -> name */
	struct rig_number {
		int64_t id, customer;
	} * numbers;
	size_t n, cap;
};

static void rig_names_add(struct rig_names *names, int64_t id, int64_t customer)
{
	BATCH_PUSH(&names->arena, names->numbers, names->n, names->cap) =
		(struct rig_number){ id, customer };
}

static int rig_number_compare(const void *a, const void *b)
{
	const struct rig_number *x = a, *y = b;

	if (x->customer != y->customer)
		return (x->customer > y->customer) - (x->customer < y->customer);
	return (x->id > y->id) - (x->id < y->id);
}

/* The number of the inbox row that an event came from; 0: it did not. */
static int64_t rig_inbox_number(const struct shop_event *e)
{
	int64_t id = 0;

	if (span_starts(e->id, "inbox:"))
		for (size_t i = strlen("inbox:"); i < e->id.n; i++)
			id = id * 10 + e->id.p[i] - '0';
	return id;
}

static void rig_names_make(struct rig_names *names, const struct mem_tables *m)
{
	long long of_customer = 0;

	for (size_t i = 0; i < m->n_events; i++) {
		int64_t inbox = rig_inbox_number(m->events[i]);

		rig_names_add(names, m->events[i]->seq, m->events[i]->customer);
		if (inbox)
			map_put(&names->map, MAP_KEY(inbox), (void *)(uintptr_t) "row");
	}
	for (size_t i = 0; i < m->n_chains; i++)
		rig_names_add(names, m->chains[i]->id, m->chains[i]->customer);
	for (size_t i = 0; i < m->n_messages; i++)
		rig_names_add(names, m->messages[i]->id, m->messages[i]->customer);
	for (size_t i = 0; i < m->n_tasks; i++)
		rig_names_add(names, m->tasks[i]->id, m->tasks[i]->customer);
	if (names->n)
		qsort(names->numbers, names->n, sizeof(*names->numbers), rig_number_compare);
	for (size_t i = 0; i < names->n; i++) {
		const struct rig_number *x = &names->numbers[i];

		of_customer = i > 0 && x[-1].customer == x->customer ? of_customer + 1 : 1;
		map_put(&names->map, MAP_KEY(x->id),
			arena_printf(
				&names->arena, "%lld.%lld", (long long)x->customer, of_customer));
	}
}

/* Copies a text with the numbers in it replaced by their names. */
static void rig_names_put(const struct rig_names *names, struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.n;) {
		size_t n = strspn(text.p + i, "0123456789");
		int64_t id = n >= 6 && n <= 18 ? strtoll(text.p + i, NULL, 10) : 0;
		const char *name = id ? map_get(&names->map, MAP_KEY(id)) : NULL;

		if (name)
			buf_str(out, name);
		else
			buf_add(out, text.p + i, n ? n : 1);
		i += n ? n : 1;
	}
}

/*** everything, customer by customer ***/

static int rig_by_seq(const void *a, const void *b)
{
	const struct shop_event *x = *(const struct shop_event *const *)a;
	const struct shop_event *y = *(const struct shop_event *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* By their numbers: in which order a save writes the rows of a batch is its own affair. */
static const struct shop_event **rig_sorted_events(const struct mem_tables *m)
{
	const struct shop_event **sorted = xcalloc(m->n_events + 1, sizeof(*sorted));

	for (size_t i = 0; i < m->n_events; i++)
		sorted[i] = m->events[i];
	qsort(sorted, m->n_events, sizeof(*sorted), rig_by_seq);
	return sorted;
}

static void rig_trace_notes(const struct mem_tables *m, const struct chain *c, struct buf *out)
{
	for (size_t i = 0; i < m->n_notes; i++)
		if (m->notes[i]->chain == c->id)
			buf_printf(out, "note of %lld: %.*s\n", (long long)c->id,
				SPAN_ARG(m->notes[i]->text));
}

static void rig_trace_one(const struct mem_tables *m, const struct shop_event **events,
	const struct customer *c, struct buf *out)
{
	rig_trace_customer(c, out);
	for (size_t i = 0; i < m->n_events; i++)
		if (events[i]->customer == c->id)
			rig_trace_event(events[i], out);
	for (size_t i = 0; i < m->n_chains; i++)
		if (m->chains[i]->customer == c->id) {
			rig_trace_chain(m->chains[i], out);
			rig_trace_notes(m, m->chains[i], out);
		}
	for (size_t i = 0; i < m->n_messages; i++)
		if (m->messages[i]->customer == c->id)
			rig_trace_message(m->messages[i], out);
	for (size_t i = 0; i < m->n_tasks; i++)
		if (m->tasks[i]->customer == c->id)
			rig_trace_task(m->tasks[i], out);
}

void rig_trace(const struct rig *r, struct buf *out)
{
	const struct mem_tables *m = rig_tables(r);
	const struct shop_event **events = rig_sorted_events(m);
	struct rig_names names = { .n = 0 };
	struct buf raw = { 0 };

	for (size_t i = 0; i < m->n_customers; i++)
		rig_trace_one(m, events, m->customers[i], &raw);
	buf_char(&raw, '\0'); /* for strspn */
	rig_names_make(&names, m);
	rig_names_put(&names, (struct span){ raw.p, raw.n - 1 }, out);
	map_fini(&names.map);
	arena_fini(&names.arena);
	buf_free(&raw);
	free(events);
}
