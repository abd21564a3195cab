/*
 * waits.c: what an event means to a wait.
 *
 * The plan in the history never changes; the two things that move (when it ends, which types may wake it) stand
 * in the row of the chain.  Whether the time runs already is seen from the row, too: as long as it does
 * not, the row awaits message.sent.
 */
#include "engine/waits.h"

#include "base/json.h"
#include "engine/vocabulary.h"
#include "model/batch.h"

#include <string.h>

int64_t waits_about(enum what_object object, struct span type, struct span data)
{
	const char *prefix = object == WHAT_MESSAGE ? "message." : "task.";
	struct span key = object == WHAT_MESSAGE ? SPAN("message_id") : SPAN("task_id");
	struct span value;
	int64_t id;

	if (!span_starts(type, prefix) || !json_get(data, key, &value) ||
		!field_integer(value, &id))
		return 0;
	return id;
}

bool waits_in_list(const int64_t *v, unsigned n, int64_t id)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i] == id)
			return true;
	return false;
}

/* Are all terms outcomes of this message or task? */
static bool waits_only_for(const struct wait_plan *w, enum what_object object, int64_t id)
{
	for (unsigned i = 0; i < w->what.n; i++)
		if (w->what.terms[i].kind != WHAT_OUTCOME || w->what.terms[i].object != object ||
			w->what.terms[i].id != id)
			return false;
	return w->what.n > 0;
}

/* Says that a message can not be handed over any more. */
static bool waits_is_dead(struct span type)
{
	return span_is(type, "message.failed") || span_is(type, "message.expired") ||
	       span_is(type, "message.withdrawn");
}

/* The outcome in the name of a type: "message.clicked" -> "clicked". */
static struct span waits_outcome(enum what_object object, struct span type)
{
	size_t dot = strlen(what_object_name(object)) + 1;

	return (struct span){ type.p + dot, type.n - dot };
}

bool waits_is_handed_over(struct span type)
{
	return span_is(type, "message.sent") || span_is(type, "message.in_doubt");
}

/* A handle that can not come to its outcome any more: a bare one is over by that, else there is nothing to
 * wait for. */
static enum wait_turn waits_give_up(const struct wait_plan *w, enum what_object object,
	struct span type, struct span *ret_outcome)
{
	if (!w->end_outcome.p)
		return WAIT_NIL;
	*ret_outcome = waits_outcome(object, type);
	return WAIT_ANSWER;
}

enum wait_turn waits_meet(const struct wait_plan *w, struct span type, struct span data,
	int64_t time_us, bool runs, const struct tz *zone, struct span *ret_outcome,
	int64_t *ret_until_us)
{
	int term = what_match(&w->what, type, data);
	int64_t id;

	if (term >= 0) {
		const struct what_term *t = &w->what.terms[term];

		*ret_outcome = t->kind == WHAT_OUTCOME ? waits_outcome(t->object, type)
						       : (struct span){ NULL, 0 };
		return WAIT_ANSWER;
	}
	id = waits_about(WHAT_TASK, type, data);
	if (id && span_is(type, "task.cancelled") && waits_only_for(w, WHAT_TASK, id))
		return waits_give_up(w, WHAT_TASK, type, ret_outcome);
	id = waits_about(WHAT_MESSAGE, type, data);
	if (!id)
		return WAIT_ON;
	if (waits_is_dead(type) && waits_only_for(w, WHAT_MESSAGE, id))
		return waits_give_up(w, WHAT_MESSAGE, type, ret_outcome);
	if (runs || !waits_in_list(w->open, w->n_open, id) ||
		!(waits_is_dead(type) || waits_is_handed_over(type)))
		return WAIT_ON;
	*ret_until_us = duration_add(time_us, w->span, zone);
	return WAIT_RUNS;
}

struct span *waits_types(const struct wait_plan *w, bool runs, struct arena *a, unsigned *ret_n)
{
	static const char *const before[] = { "message.sent", "message.failed",
		"message.in_doubt" };
	unsigned n, most;
	struct span *own = what_types(&w->what, a, &n), *all;
	bool tasks = false, messages = !runs && w->n_open;

	for (unsigned i = 0; i < w->what.n; i++) {
		tasks |= w->what.terms[i].kind == WHAT_OUTCOME &&
			 w->what.terms[i].object == WHAT_TASK;
		messages |= w->what.terms[i].kind == WHAT_OUTCOME &&
			    w->what.terms[i].object == WHAT_MESSAGE;
	}
	most = n + 4;
	all = arena_array(a, struct span, most);
	if (n)
		memcpy(all, own, n * sizeof *all);
	if (tasks)
		all[n++] = SPAN("task.cancelled");
	for (unsigned k = 0; k < 3; k++) {
		bool have = !messages || (k != 1 && (runs || !w->n_open));

		for (unsigned i = 0; i < n && !have; i++)
			have = span_is(all[i], before[k]);
		if (!have)
			all[n++] = span_of(before[k]);
	}
	*ret_n = n;
	return all;
}

bool waits_row_runs(const struct wait_plan *w, const struct span *awaits, unsigned n_awaits)
{
	if (!w->n_open)
		return true;
	for (unsigned i = 0; i < n_awaits; i++)
		if (span_is(awaits[i], "message.sent"))
			return false;
	return true;
}

static void waits_write_list(struct buf *b, const char *key, const int64_t *v, unsigned n)
{
	if (n == 0)
		return;
	json_put_key(b, key);
	for (unsigned i = 0; i < n; i++) {
		buf_char(b, i ? ',' : '[');
		buf_int(b, v[i]);
	}
	buf_char(b, ']');
}

struct span waits_write(const struct wait_plan *w, struct arena *a)
{
	char span_text[DURATION_SIZE];
	struct span what = what_write(&w->what, a), out;
	UNSET char first[BUF_USUAL];
	struct buf b = BUF_ON(first);

	buf_char(&b, '{');
	json_put_key(&b, "at");
	buf_int(&b, w->at_us);
	if (w->end_outcome.p) {
		json_put_key(&b, "end");
		json_put_text(&b, w->end_outcome);
	}
	waits_write_list(&b, "expires", w->expires, w->n_expires);
	if (what.n) {
		json_put_key(&b, "for");
		buf_span(&b, what);
	}
	if (w->end_outcome.p) {
		json_put_key(&b, "id");
		buf_int(&b, w->end_id);
		json_put_key(&b, "object");
		json_put_text(&b, span_of(what_object_name(w->end_object)));
	}
	waits_write_list(&b, "open", w->open, w->n_open);
	if (w->n_open) {
		json_put_key(&b, "span");
		json_put_text(&b, span_of(duration_text(w->span, span_text)));
	}
	if (w->until_us != TIME_NONE) {
		json_put_key(&b, "until");
		buf_int(&b, w->until_us);
	}
	buf_char(&b, '}');
	out = (struct span){ arena_dup(a, b.p, b.n), b.n };
	buf_free(&b);
	return out;
}

/* The numbers of a list; none when there is no list. */
static unsigned waits_read_list(struct span json, struct span key, struct arena *a, int64_t **ret)
{
	struct span list, value;
	struct json_iter it;
	size_t cap = 0, n = 0;
	int64_t id;

	if (!json_get(json, key, &list))
		return 0;
	json_iter_init(&it, list);
	while (json_next(&it, NULL, &value))
		if (json_integer(value, &id))
			BATCH_PUSH(a, *ret, n, cap) = id;
	return (unsigned)n;
}

/* Reads "expires", "open" and "span". */
static bool waits_read_messages(
	struct span json, struct arena *a, struct wait_plan *ret, struct err *err)
{
	struct span value;

	ret->n_expires = waits_read_list(json, SPAN("expires"), a, &ret->expires);
	ret->n_open = waits_read_list(json, SPAN("open"), a, &ret->open);
	if (ret->n_open == 0)
		return true;
	if (!json_get(json, SPAN("span"), &value))
		return err_set(err, "the wait in the history has no span");
	return duration_parse(json_text(value, a), DURATION_MS, &ret->span, err);
}

bool waits_read(struct span json, struct arena *a, struct wait_plan *ret, struct err *err)
{
	struct wait_plan w = { .until_us = TIME_NONE };
	struct span value;

	if (!json_get(json, SPAN("at"), &value) || !json_integer(value, &w.at_us))
		return err_set(err, "the wait in the history is damaged");
	if (json_get(json, SPAN("until"), &value) && !json_integer(value, &w.until_us))
		return err_set(err, "the wait in the history is damaged");
	if (json_get(json, SPAN("for"), &value) && !what_parse(value, a, &w.what, err))
		return false;
	if (json_get(json, SPAN("end"), &value)) {
		w.end_outcome = json_text(value, a);
		if (json_get(json, SPAN("object"), &value) &&
			json_text_is(value, span_of(what_object_name(WHAT_TASK))))
			w.end_object = WHAT_TASK;
		if (!json_get(json, SPAN("id"), &value) || !json_integer(value, &w.end_id))
			return err_set(err, "the wait in the history is damaged");
	}
	if (!waits_read_messages(json, a, &w, err))
		return false;
	*ret = w;
	return true;
}

/* The copy of an outcome that no event has told. */
static struct span waits_outcome_copy(
	struct arena *a, enum what_object object, struct span outcome, int64_t id, int64_t now_us)
{
	const char *name = what_object_name(object);
	struct span s;

	s.p = arena_printf(a,
		"{\"id\":\"\",\"type\":\"%s.%.*s\",\"time\":%lld,\"received\":%lld,"
		"\"outcome\":\"%.*s\",\"data\":{%s\"%s_id\":\"%lld\"}}",
		name, SPAN_ARG(outcome), (long long)now_us, (long long)now_us, SPAN_ARG(outcome),
		object == WHAT_MESSAGE ? "\"code\":\"expired\"," : "", name, (long long)id);
	s.n = strlen(s.p);
	return s;
}

/* What it means to the wait that the message has expired. */
static enum wait_turn waits_expire(const struct wait_plan *w, int64_t id, bool runs,
	const struct tz *zone, struct arena *a, struct span *ret_outcome, int64_t *ret_until_us)
{
	struct span data;

	data.p = arena_printf(a, "{\"code\":\"expired\",\"message_id\":\"%lld\"}", (long long)id);
	data.n = strlen(data.p);
	return waits_meet(w, SPAN("message.failed"), data, w->until_us, runs, zone, ret_outcome,
		ret_until_us);
}

enum wait_turn waits_end(const struct wait_plan *w, bool runs, const int64_t *open, unsigned n_open,
	const struct tz *zone, int64_t now_us, struct arena *a, struct span *ret_answer,
	int64_t *ret_until_us)
{
	unsigned n = w->n_open && runs ? 0 : w->n_expires; /* else it is the span that is over */
	enum wait_turn all = WAIT_ANSWER;
	struct span outcome;

	*ret_answer = w->end_outcome.p ? waits_outcome_copy(a, w->end_object, w->end_outcome,
						 w->end_id, now_us)
				       : SPAN("null");
	for (unsigned i = 0; i < n; i++) {
		if (!waits_in_list(open, n_open, w->expires[i]))
			continue;
		switch (waits_expire(w, w->expires[i], runs, zone, a, &outcome, ret_until_us)) {
		case WAIT_ANSWER:
			*ret_answer =
				waits_outcome_copy(a, WHAT_MESSAGE, outcome, w->expires[i], now_us);
			return WAIT_ANSWER;
		case WAIT_RUNS:
			if (*ret_until_us > now_us) /* else the time was over, too */
				all = WAIT_RUNS;
			continue;
		case WAIT_NIL:
		case WAIT_ON: continue;
		}
	}
	return all;
}
