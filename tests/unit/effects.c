/* effects.c: every field that a save would write. */
#include "effects.h"

#include "model/shop.h"

#include <limits.h>

static void put_text(struct buf *out, const char *name, struct span s)
{
	if (s.p)
		buf_printf(out, " %s=%.*s", name, SPAN_ARG(s));
}

static void put_time(struct buf *out, const char *name, int64_t at_us)
{
	if (at_us != INT64_MIN)
		buf_printf(out, " %s=%lld", name, (long long)at_us);
}

static void put_int(struct buf *out, const char *name, int64_t v)
{
	if (v)
		buf_printf(out, " %s=%lld", name, (long long)v);
}

void effects_event(const struct shop_event *e, struct buf *out)
{
	buf_printf(out, "event %lld %s", (long long)e->seq, event_status_name(e->status));
	put_text(out, "type", e->type);
	buf_printf(out, " key=%s/%.*s/%.*s", e->shop ? e->shop->id : "", SPAN_ARG(e->source),
		SPAN_ARG(e->id));
	put_int(out, "origin", e->origin);
	put_int(out, "depth", e->depth);
	put_int(out, "cause", e->cause_chain);
	put_time(out, "time", e->time_us);
	put_text(out, "data", e->data);
	put_text(out, "verdicts", e->verdicts);
	buf_char(out, '\n');
}

void effects_chain(const struct chain *c, struct buf *out)
{
	buf_printf(out, "chain %lld %s", (long long)c->id, chain_state_name(c->state));
	put_text(out, "rule", c->rule);
	put_text(out, "key", c->key);
	put_text(out, "text", c->text_hash);
	put_time(out, "started", c->started_us);
	put_time(out, "wake", c->wake_us);
	for (unsigned i = 0; i < c->n_awaits; i++)
		put_text(out, "await", c->awaits[i]);
	for (unsigned i = 0; i < c->n_open; i++)
		put_int(out, "open", c->open[i]);
	put_text(out, "exits", c->exits);
	put_text(out, "reason", c->reason);
	if (c->loaded) {
		put_text(out, "event", c->event);
		put_text(out, "history", c->history);
		put_text(out, "arrived", c->arrived);
	}
	buf_char(out, '\n');
}

void effects_message(const struct message *m, struct buf *out)
{
	buf_printf(out, "message %lld %s %s %s", (long long)m->id, message_channel_name(m->channel),
		message_state_name(m->state), message_class_name(m->class_));
	put_int(out, "chain", m->chain);
	put_text(out, "rule", m->rule);
	put_int(out, "priority", m->priority);
	put_text(out, "template", m->template_name);
	put_text(out, "hash", m->template_hash);
	put_text(out, "lang", m->lang);
	put_text(out, "to", m->to);
	put_text(out, "subject", m->subject);
	put_text(out, "reason", m->reason);
	put_text(out, "code", m->code);
	put_time(out, "due", m->due_us);
	put_time(out, "expires", m->expires_us);
	put_int(out, "keep", m->keep);
	put_text(out, "data", m->data);
	buf_char(out, '\n');
}

void effects_task(const struct task *t, struct buf *out)
{
	buf_printf(out, "task %lld %s", (long long)t->id, task_state_name(t->state));
	put_int(out, "chain", t->chain);
	put_text(out, "rule", t->rule);
	put_text(out, "title", t->title);
	put_text(out, "text", t->text);
	put_text(out, "manager", t->manager);
	put_text(out, "group", t->group);
	put_text(out, "order", t->order_id);
	put_text(out, "call", t->call);
	put_text(out, "results", t->results);
	put_text(out, "result", t->result);
	put_int(out, "priority", t->priority);
	put_time(out, "created", t->created_us);
	put_time(out, "deadline", t->deadline_us);
	put_time(out, "remind", t->remind_us);
	put_time(out, "taken", t->taken_us);
	put_time(out, "done", t->done_us);
	put_int(out, "overdue", t->overdue);
	put_int(out, "keep", t->keep);
	buf_char(out, '\n');
}

void effects_card(const struct customer *c, struct buf *out)
{
	buf_printf(out, "card %lld", (long long)c->id);
	for (int i = 0; i < CARD_TEXTS; i++)
		put_text(out, card_text_names[i], c->text[i]);
	buf_printf(out, " orders=%lld total=%.17g", (long long)c->orders_count, c->orders_total);
	put_time(out, "first", c->orders_first_us);
	put_time(out, "last", c->orders_last_us);
	put_text(out, "last_id", c->orders_last_id);
	put_time(out, "seen", c->last_seen_us);
	for (int i = 0; i < CARD_JSONS; i++)
		put_text(out, card_json_names[i], c->json[i]);
	buf_char(out, '\n');
}

static void effects_order(const struct order *o, struct buf *out)
{
	buf_printf(out, "order %.*s total=%.17g refunded=%.17g cancelled=%d", SPAN_ARG(o->id),
		o->total, o->refunded, o->cancelled);
	put_text(out, "status", o->status);
	put_text(out, "number", o->number);
	put_text(out, "tracking", o->tracking_number);
	put_time(out, "placed", o->placed_us);
	put_text(out, "products", o->products);
	put_text(out, "stamps", o->stamps);
	buf_char(out, '\n');
}

/* The short lists. */
static void effects_rest(const struct visit *v, struct buf *out)
{
	for (size_t i = 0; i < v->n_lasts; i++)
		if (v->lasts[i]->changed)
			buf_printf(out, "last %.*s/%.*s %lld\n", SPAN_ARG(v->lasts[i]->rule),
				SPAN_ARG(v->lasts[i]->key), (long long)v->lasts[i]->started_us);
	for (size_t i = 0; i < v->n_statuses; i++)
		buf_printf(out, "status %.*s %.*s <- %.*s\n", SPAN_ARG(v->statuses[i]->order_id),
			SPAN_ARG(v->statuses[i]->status), SPAN_ARG(v->statuses[i]->previous));
	for (size_t i = 0; i < v->n_notes; i++)
		buf_printf(out, "note %.*s rule=%.*s seq=%lld chain=%lld\n",
			SPAN_ARG(v->notes[i]->text), SPAN_ARG(v->notes[i]->rule),
			(long long)v->notes[i]->seq, (long long)v->notes[i]->chain);
	for (size_t i = 0; i < v->n_consents; i++)
		buf_printf(out, "consent %.*s=%d by %.*s seq=%lld\n",
			SPAN_ARG(v->consents[i]->channel), v->consents[i]->given,
			SPAN_ARG(v->consents[i]->source), (long long)v->consents[i]->seq);
	for (size_t i = 0; i < v->n_suppressions; i++)
		buf_printf(out, "suppression %.*s %.*s\n", SPAN_ARG(v->suppressions[i]->address),
			SPAN_ARG(v->suppressions[i]->reason));
	for (size_t i = 0; i < v->n_outcomes; i++)
		buf_printf(out, "outcome %lld %.*s\n", (long long)v->outcomes[i]->message,
			SPAN_ARG(v->outcomes[i]->word));
	for (size_t i = 0; i < v->n_faults; i++)
		buf_printf(out, "fault %.*s seq=%lld chain=%lld%s %.*s\n",
			SPAN_ARG(v->faults[i]->rule), (long long)v->faults[i]->seq,
			(long long)v->faults[i]->chain, v->faults[i]->suspend ? " suspend" : "",
			SPAN_ARG(v->faults[i]->text));
	for (size_t i = 0; i < v->n_withdraw; i++)
		buf_printf(out, "withdraw %lld\n", (long long)v->withdraw[i]);
}

static void effects_visit(const struct visit *v, struct buf *out)
{
	buf_printf(out, "visit %lld\n", (long long)v->customer);
	for (size_t i = 0; i < v->n_events; i++)
		effects_event(v->events[i], out);
	if (v->card->changed)
		effects_card(v->card, out);
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->change != CHAIN_SAME)
			effects_chain(v->chains[i], out);
	for (size_t i = 0; i < v->n_messages; i++)
		effects_message(v->messages[i], out);
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->is_new || v->tasks[i]->changed)
			effects_task(v->tasks[i], out);
	for (size_t i = 0; i < v->n_orders; i++)
		if (v->orders[i]->is_new || v->orders[i]->changed)
			effects_order(v->orders[i], out);
	effects_rest(v, out);
}

void effects_print(const struct batch *b, struct buf *out)
{
	for (size_t i = 0; i < b->n_visits; i++)
		if (b->visits[i]->state == VISIT_READY)
			effects_visit(b->visits[i], out);
		else
			buf_printf(out, "visit %lld left\n", (long long)b->visits[i]->customer);
	buf_printf(out, "next %lld\n", (long long)b->id_next);
}
