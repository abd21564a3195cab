/*
 * verdict.c: verdicts as JSON texts, gathered per frame and joined when the event is done.
 *
 * They are written for every subscribed rule and event, so they are short: no times (the event has them), no
 * values longer than VERDICT_VALUE.
 */
#include "engine/verdict.h"

#include "base/json.h"
#include "engine/eval.h"

enum { VERDICT_VALUE = 120, VERDICT_READS = 40, VERDICT_NAME = 100 };

static const char *const verdict_names[] = {
	[VERDICT_STARTED] = "started",
	[VERDICT_QUEUED] = "queued",
	[VERDICT_WHEN] = "when",
	[VERDICT_FILTER] = "filter",
	[VERDICT_KEY] = "key",
	[VERDICT_MODE] = "mode",
	[VERDICT_COOLDOWN] = "cooldown",
	[VERDICT_MAX_AGE] = "max_age",
	[VERDICT_LIMIT] = "limit",
	[VERDICT_ERROR] = "error",
	[VERDICT_SUSPENDED] = "suspended",
	[VERDICT_STRUCK] = "struck",
	[VERDICT_STORE] = "store",
	[VERDICT_EXIT] = "exit",
	[VERDICT_CANCEL] = "cancelled",
	[VERDICT_WOKE] = "woke",
	[VERDICT_FAILED] = "failed",
	[VERDICT_STUCK] = "stuck",
	[VERDICT_LEFT] = "left",
};

const char *verdict_name(enum verdict v)
{
	return verdict_names[v];
}

/* One value read, long ones only by their length. */
static void verdict_put_read(
	struct buf *b, const char *of, struct span name, struct span value, unsigned *n)
{
	buf_str(b, (*n)++ ? ",\"" : ",\"read\":{\"");
	buf_str(b, of);
	if (name.n < VERDICT_NAME)
		json_put_inside(b, name);
	buf_str(b, "\":");
	if (value.n <= VERDICT_VALUE)
		buf_span(b, value);
	else
		buf_printf(b, "\"(%zu bytes)\"", value.n);
}

/* What an evaluation has read of its event and of the customer. */
static void verdict_put_reads(struct buf *b, const struct eval *e)
{
	const struct replay_part *p = &e->replay.parts[0];
	struct span value;
	unsigned n = 0;

	for (unsigned i = 0; i < e->n_fields; i++) {
		if (span_is(e->fields[i], "meta") || e->fields[i].n > VERDICT_NAME ||
			!json_is_text(e->fields[i]))
			continue; /* meta stands beside the verdict */
		if (!json_get(e->event->data, e->fields[i], &value))
			value = SPAN("null");
		verdict_put_read(b, "event.", e->fields[i], value, &n);
	}
	for (size_t i = 0; i < p->n_reads && n < VERDICT_READS; i++)
		if (*p->reads[i].path.p != '~') /* the engine's own */
			verdict_put_read(b, "customer.", p->reads[i].path, p->reads[i].value, &n);
	if (n)
		buf_char(b, '}');
}

void verdict_add(
	struct desk *d, struct frame *f, const char *rule, enum verdict v, struct verdict_more more)
{
	struct buf *b = &d->sitting->judge->scratch;

	if (!f->event)
		return;
	buf_clear(b);
	buf_char(b, '{');
	json_put_key(b, "rule");
	json_put_text(b, span_of(rule));
	json_put_key(b, "v");
	json_put_text(b, span_of(verdict_name(v)));
	if (f->event->origin == EVENT_DERIVED) {
		json_put_key(b, "on");
		json_put_text(b, f->event->type);
	}
	if (more.chain) {
		json_put_key(b, "chain");
		buf_int(b, more.chain);
	}
	if (more.eval)
		verdict_put_reads(b, more.eval);
	if (more.error) {
		json_put_key(b, "error");
		json_put_text(b, sitting_message(d->sitting, more.error));
	}
	if (more.warning) {
		json_put_key(b, "warning");
		json_put_text(b, span_of(more.warning));
	}
	buf_char(b, '}');
	BATCH_PUSH(&d->sitting->batch->arena, f->verdicts, f->n_verdicts, f->cap_verdicts) =
		sitting_keep(d->sitting, b);
}

/* Hands the verdicts of a derived event to the frame that it stands on. */
static void verdict_hand_down(struct desk *d, struct frame *f, struct frame *below)
{
	struct arena *a = &d->sitting->batch->arena;

	for (size_t i = 0; i < f->n_verdicts; i++)
		BATCH_PUSH(a, below->verdicts, below->n_verdicts, below->cap_verdicts) =
			f->verdicts[i];
}

void verdict_close(struct desk *d, struct frame *f)
{
	struct buf *b = &d->sitting->judge->scratch;

	if (!f->event)
		return;
	if (f->event->origin == EVENT_DERIVED) {
		if (d->n_frames >= 2)
			verdict_hand_down(d, f, d->frames[d->n_frames - 2]);
		return;
	}
	if (!f->n_verdicts) {
		f->event->verdicts = SPAN("[]");
		return;
	}
	buf_clear(b);
	for (size_t i = 0; i < f->n_verdicts; i++) {
		buf_char(b, i ? ',' : '[');
		buf_span(b, f->verdicts[i]);
	}
	buf_char(b, ']');
	f->event->verdicts = sitting_keep(d->sitting, b);
}

/* Notes a run for the ring; it counts when the sitting comes to its end. */
static void verdict_run(
	struct desk *d, const struct rule *rule, int64_t seq, int64_t chain, bool failed)
{
	struct sitting *s = d->sitting;

	BATCH_PUSH(&s->batch->arena, s->runs, s->n_runs, s->cap_runs) =
		(struct sitting_run){ rule, d->visit, seq, chain, failed };
}

/* A line of the rule for people. */
static struct visit_rule_fault *verdict_line(
	struct desk *d, struct frame *f, const struct rule *rule, int64_t chain, const char *text)
{
	struct arena *a = &d->sitting->batch->arena;
	struct visit *v = d->visit;
	struct visit_rule_fault *fault = arena_new(a, struct visit_rule_fault);

	fault->rule = span_of(rule->name);
	fault->text = sitting_message(d->sitting, text);
	fault->seq = f->event ? f->event->seq : 0;
	fault->chain = chain;
	BATCH_PUSH(a, v->faults, v->n_faults, v->cap_faults) = fault;
	return fault;
}

void verdict_fault(
	struct desk *d, struct frame *f, const struct rule *rule, int64_t chain, const char *text)
{
	struct visit_rule_fault *fault = verdict_line(d, f, rule, chain, text);

	fault->failed = true;
	verdict_run(d, rule, fault->seq, chain, true);
}

void verdict_warn(
	struct desk *d, struct frame *f, const struct rule *rule, int64_t chain, const char *text)
{
	verdict_line(d, f, rule, chain, text);
}

void verdict_well(struct desk *d, const struct rule *rule)
{
	verdict_run(d, rule, 0, 0, false);
}
