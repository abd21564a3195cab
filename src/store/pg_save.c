/* pg_save.c: writes a judged batch and commits, in one group: one statement per table, only those with rows.
 *
 * The table at the end is the save, in reading order: each step fills its statement's arrays from every
 * visit that is READY.  Order matters in four places: event keys, identities and orders come first, each
 * sorted, because unique keys are the only things two engines may wait for each other over; withdrawing
 * comes after the messages and tasks of this batch are written, and what a card that was given up has moves
 * last of all, messages before the inbox.
 * An event key or an order that another engine wrote since our load makes the insert fail (23505), a key that it has
 * given to another card the claim (NK001): the transaction is gone, the answer is STORE_AGAIN, and the next load finds
 * what is there.
 */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/planted.h"
#include "model/shop.h"
#include "store/pg_int.h"

#include <stdlib.h>
#include <string.h>

/*** events, identities: sorted over the whole batch ***/

static bool save_is_kept(const struct shop_event *e)
{
	return e->status == EVENT_ACCEPTED && e->origin != EVENT_DERIVED;
}

static void save_bind_event(struct bind *b, const struct visit *v, const struct shop_event *e)
{
	bind_time(b, 0, e->received_us);
	bind_key(b, 1, span_of(e->shop->id));
	bind_key(b, 2, e->source);
	bind_key(b, 3, e->id);
	bind_hash(b, 4, e->hash);
	bind_i64(b, 5, e->seq);
	bind_i64(b, 6, v->customer);
	bind_key(b, 7, e->type);
	bind_time(b, 8, e->time_us != TIME_NONE ? e->time_us : e->received_us);
	bind_time(b, 9, e->claimed_us);
	bind_int(b, 10, (int)e->origin);
	bind_i64(b, 11, e->cause_chain);
	bind_text(b, 12, e->data.p ? e->data : SPAN("{}"));
	bind_text(b, 13, e->verdicts);
}

static void save_events(struct pg_lane *l, struct bind *b)
{
	pg_list_keys(l);
	for (size_t i = 0; i < l->n_keys; i++) {
		const struct pg_key *k = &l->keys[i];

		if (k->visit->state != VISIT_READY || !save_is_kept(k->event))
			continue;
		save_bind_event(b, k->visit, k->event);
	}
	if (bind_count(b) > 0)
		bind_i64(b, 14, l->batch->set_id);
}

struct save_identity {
	const struct identity *identity;
	const struct visit *visit;
};

/* The order of flow_who.c, whose insert may wait for ours and ours for it. */
static int save_identity_cmp(const void *x, const void *y)
{
	const struct save_identity *a = x, *b = y;
	int c = (int)a->identity->kind - (int)b->identity->kind;

	if (c == 0)
		c = span_cmp(a->visit->card->base, b->visit->card->base);
	return c != 0 ? c : span_cmp(a->identity->value, b->identity->value);
}

/* Binds the keys, sorted, each once for a card. */
static void save_bind_identities(struct bind *b, struct save_identity *v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof *v, save_identity_cmp);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && v[i].visit == v[i - 1].visit &&
			save_identity_cmp(&v[i - 1], &v[i]) == 0)
			continue;
		bind_key(b, 0, v[i].visit->card->base);
		bind_int(b, 1, (int)v[i].identity->kind);
		bind_key(b, 2, v[i].identity->value);
		bind_i64(b, 3, v[i].visit->customer);
	}
}

static void save_identities(struct pg_lane *l, struct bind *b)
{
	const struct batch *batch = l->batch;
	struct save_identity *v;
	size_t n = 0;

	for (size_t i = 0; i < batch->n_visits; i++)
		n += batch->visits[i]->n_identities;
	v = arena_array(l->reader.arena, struct save_identity, n);
	n = 0;
	for (size_t i = 0; i < batch->n_visits; i++) {
		const struct visit *x = batch->visits[i];

		for (size_t k = 0; x->state == VISIT_READY && k < x->n_identities; k++)
			if (x->identities[k].kind != IDENTITY_CUSTOMER)
				v[n++] = (struct save_identity){ &x->identities[k], x };
	}
	save_bind_identities(b, v, n);
}

static int save_order_cmp(const void *x, const void *y)
{
	const struct order *a = *(struct order *const *)x, *b = *(struct order *const *)y;
	int c = span_cmp(a->id, b->id);

	return c != 0 ? c : strcmp(a->shop->id, b->shop->id);
}

/* New orders; the customer of each is its own field, because sorting mixes the visits. */
static void save_orders_new(struct pg_lane *l, struct bind *b)
{
	const struct batch *batch = l->batch;
	struct order **v;
	size_t n = 0;

	for (size_t i = 0; i < batch->n_visits; i++)
		n += batch->visits[i]->n_orders;
	v = arena_array(l->reader.arena, struct order *, n);
	n = 0;
	for (size_t i = 0; i < batch->n_visits; i++) {
		const struct visit *x = batch->visits[i];

		for (size_t k = 0; x->state == VISIT_READY && k < x->n_orders; k++)
			if (x->orders[k]->is_new) {
				x->orders[k]->customer = x->customer;
				v[n++] = x->orders[k];
			}
	}
	if (n > 1)
		qsort(v, n, sizeof(struct order *), save_order_cmp);
	for (size_t i = 0; i < n; i++) {
		bind_i64(b, 0, v[i]->customer);
		bind_row(b, 1, pg_order_cols, pg_n_order_cols, v[i]);
	}
}

/*** aside events: they may be anything, even no text ***/

/* Text for a text column: NULL when it is none. */
static struct span save_text(struct span s)
{
	return s.p != NULL && json_is_text(s) ? s : (struct span){ NULL, 0 };
}

static void save_quarantine(struct pg_lane *l, struct bind *b)
{
	const struct batch *batch = l->batch;

	for (size_t i = 0; i < batch->n_aside; i++) {
		const struct shop_event *e = batch->aside[i];

		if (e->status == EVENT_CONFLICT)
			continue;
		bind_key(b, 0, span_of(e->shop->id));
		bind_text(b, 1, save_text(e->source));
		bind_text(b, 2, save_text(e->id));
		bind_text(b, 3, save_text(e->type));
		bind_time(b, 4, e->received_us);
		bind_key(b, 5, span_of(e->reason));
		bind_text(b, 6, save_text(e->path));
		bind_key(b, 7, e->data);
	}
}

static void save_conflicts(struct pg_lane *l, struct bind *b)
{
	const struct batch *batch = l->batch;

	for (size_t i = 0; i < batch->n_aside; i++) {
		const struct shop_event *e = batch->aside[i];

		if (e->status != EVENT_CONFLICT)
			continue;
		bind_key(b, 0, e->id);
		bind_key(b, 1, e->source);
		bind_key(b, 2, span_of(e->shop->id));
		bind_hash(b, 3, e->hash);
		bind_text(b, 4, save_text(e->type));
		bind_time(b, 5, e->received_us);
		bind_key(b, 6, e->data);
	}
}

/*** per visit ***/

static void save_orders_changed(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_orders; i++)
		if (v->orders[i]->changed && !v->orders[i]->is_new) {
			bind_i64(b, 0, v->customer);
			bind_row(b, 1, pg_order_cols, pg_n_order_cols, v->orders[i]);
		}
}

static void save_order_statuses(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_statuses; i++) {
		const struct order_status *s = v->statuses[i];

		bind_i64(b, 0, v->customer);
		bind_key(b, 1, span_of(s->shop->id));
		bind_key(b, 2, s->order_id);
		bind_key(b, 3, s->status);
		bind_text(b, 4, s->previous);
		bind_time(b, 5, s->at_us);
		bind_i64(b, 6, s->seq);
	}
}

/* A JSON of the card, or NULL when it is still the very text that was read. */
static struct span save_if_other(struct span now, struct span was)
{
	return now.p == was.p && now.n == was.n ? (struct span){ NULL, 0 } : now;
}

static void save_card_activity(struct bind *b, struct batch *batch, struct visit *v)
{
	const struct pg_card *read = (const struct pg_card *)v->card;
	const struct customer *c = v->card;

	(void)batch;
	if (!(c->changed & CARD_CHANGED_ACTIVITY))
		return;
	bind_i64(b, 0, v->customer);
	bind_i64(b, 1, c->orders_count);
	bind_f64(b, 2, c->orders_total);
	bind_time(b, 3, c->orders_first_us);
	bind_time(b, 4, c->orders_last_us);
	bind_text(b, 5, c->orders_last_id);
	bind_time(b, 6, c->last_seen_us);
	bind_text(b, 7, save_if_other(c->json[CARD_CART], read->cart));
	bind_text(b, 8, save_if_other(c->json[CARD_SPEND], read->spend));
}

static void save_card_profile(struct bind *b, struct batch *batch, struct visit *v)
{
	static const enum card_json jsons[] = { CARD_TAGS, CARD_ATTRIBUTES, CARD_CONSENT,
		CARD_SUPPRESSED };
	const struct customer *c = v->card;

	(void)batch;
	if (!(c->changed & CARD_CHANGED_PROFILE))
		return;
	bind_i64(b, 0, v->customer);
	for (unsigned i = 0; i < CARD_TEXTS; i++)
		bind_text(b, 1 + i, c->text[i]);
	for (unsigned i = 0; i < 4; i++)
		bind_text(b, 1 + CARD_TEXTS + i, c->json[jsons[i]]);
}

static void save_card_identity(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	if (!(v->card->changed & CARD_CHANGED_IDENTITY))
		return;
	bind_i64(b, 0, v->customer);
	bind_i64(b, 1, v->card->identity_version);
	bind_i64(b, 2, v->card->merged_into);
}

/* Is the chain younger than this batch?  Its numbers are the batch's own then. */
static bool save_is_of_batch(const struct batch *batch, const struct chain *c)
{
	return c->id >> PG_NUMBER_BITS == batch->id_next >> PG_NUMBER_BITS;
}

static void save_bind_chain(struct bind *b, const struct visit *v, const struct chain *c)
{
	bind_i64(b, 0, v->customer);
	bind_row(b, 1, pg_chain_cols, pg_n_chain_cols, c);
}

/* One that has a row: its event stands there already. */
static void save_bind_stored_chain(struct bind *b, const struct visit *v, const struct chain *c)
{
	struct chain head = *c;

	head.event = (struct span){ NULL, 0 };
	save_bind_chain(b, v, &head);
}

static void save_chains_new(struct bind *b, struct batch *batch, struct visit *v)
{
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->change == CHAIN_NEW ||
			(v->chains[i]->change == CHAIN_CHANGED &&
				save_is_of_batch(batch, v->chains[i])))
			save_bind_chain(b, v, v->chains[i]);
}

static void save_chains_changed(struct bind *b, struct batch *batch, struct visit *v)
{
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->change == CHAIN_CHANGED && !save_is_of_batch(batch, v->chains[i]))
			save_bind_stored_chain(b, v, v->chains[i]);
}

static void save_chains_ended(struct bind *b, struct batch *batch, struct visit *v)
{
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->change == CHAIN_ENDED && !save_is_of_batch(batch, v->chains[i]))
			save_bind_stored_chain(b, v, v->chains[i]);
	bind_time(b, 18, batch->now_us);
}

/* Begun and ended in one batch: they never had a row. */
static void save_chains_brief(struct bind *b, struct batch *batch, struct visit *v)
{
	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->change == CHAIN_ENDED && save_is_of_batch(batch, v->chains[i]))
			save_bind_chain(b, v, v->chains[i]);
	bind_time(b, 18, batch->now_us);
}

static void save_rule_lasts(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_lasts; i++)
		if (v->lasts[i]->changed) {
			bind_i64(b, 0, v->customer);
			bind_key(b, 1, v->lasts[i]->rule);
			bind_key(b, 2, v->lasts[i]->key);
			bind_time(b, 3, v->lasts[i]->started_us);
		}
}

static void save_messages(struct bind *b, struct batch *batch, struct visit *v)
{
	for (size_t i = 0; i < v->n_messages; i++) {
		bind_i64(b, 0, v->customer);
		bind_row(b, 1, pg_message_cols, pg_n_message_cols, v->messages[i]);
		bind_time(b, 20, batch->now_us);
	}
}

/* Which shop a task about a rule belongs to: that of what the customer is here for. */
static const struct shop *save_shop(const struct visit *v)
{
	if (v->n_events > 0)
		return v->events[0]->shop;
	return v->n_chains > 0 ? v->chains[0]->shop : NULL;
}

/* The task that tells the marketer of a suspended rule (P7). */
static void save_suspension_task(
	struct bind *b, struct batch *batch, struct visit *v, const struct visit_rule_fault *f)
{
	struct task t = { .id = batch->id_next,
		.shop = save_shop(v),
		.rule = f->rule,
		.text = f->text,
		.priority = 100,
		.created_us = batch->now_us,
		.deadline_us = TIME_NONE,
		.remind_us = TIME_NONE,
		.taken_us = TIME_NONE,
		.done_us = TIME_NONE,
		.keep = true,
		.state = TASK_OPEN };

	if (t.shop == NULL)
		return;
	batch->id_next++;
	t.title = span_of(arena_printf(&batch->arena,
		"Rule \"%.*s\" was suspended: it failed in 20 of its last 50 runs",
		SPAN_ARG(f->rule)));
	bind_i64(b, 0, v->customer);
	bind_row(b, 1, pg_task_cols, pg_n_task_cols, &t);
}

static void save_tasks_new(struct bind *b, struct batch *batch, struct visit *v)
{
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->is_new) {
			bind_i64(b, 0, v->customer);
			bind_row(b, 1, pg_task_cols, pg_n_task_cols, v->tasks[i]);
		}
	for (size_t i = 0; i < v->n_faults; i++)
		if (v->faults[i]->suspend)
			save_suspension_task(b, batch, v, v->faults[i]);
}

static void save_tasks_changed(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->changed && !v->tasks[i]->is_new) {
			bind_i64(b, 0, v->customer);
			bind_row(b, 1, pg_task_cols, pg_n_task_cols, v->tasks[i]);
		}
}

static void save_withdraw(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	if (v->n_withdraw > 0)
		bind_i64(b, 0, v->customer);
	for (size_t i = 0; i < v->n_withdraw; i++)
		bind_i64(b, 1, v->withdraw[i]);
}

static void save_exits(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_exits; i++) {
		bind_i64(b, 0, v->customer);
		bind_text(b, 1, v->exits[i].rule);
		bind_text(b, 2, v->exits[i].key);
		bind_i64(b, 3, v->exits[i].spared);
	}
}

static void save_outcomes(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_outcomes; i++) {
		bind_i64(b, 0, v->outcomes[i]->message);
		bind_i64(b, 1, v->customer);
		bind_key(b, 2, v->outcomes[i]->word);
		bind_time(b, 3, v->outcomes[i]->at_us);
	}
}

static void save_notes(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_notes; i++) {
		bind_i64(b, 0, v->customer);
		bind_time(b, 1, v->notes[i]->at_us);
		bind_text(b, 2, v->notes[i]->rule);
		bind_key(b, 3, v->notes[i]->text);
		bind_i64(b, 4, v->notes[i]->seq);
		bind_i64(b, 5, v->notes[i]->chain);
	}
}

static void save_consents(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_consents; i++) {
		bind_i64(b, 0, v->customer);
		bind_time(b, 1, v->consents[i]->at_us);
		bind_key(b, 2, v->consents[i]->channel);
		bind_bool(b, 3, v->consents[i]->given);
		bind_text(b, 4, v->consents[i]->source);
		bind_i64(b, 5, v->consents[i]->seq);
	}
}

static void save_suppressions(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_suppressions; i++) {
		const struct visit_suppression *s = v->suppressions[i];

		bind_key(b, 0, v->card->base);
		bind_key(b, 1, span_of(message_channel_name(s->channel)));
		bind_key(b, 2, s->address);
		bind_key(b, 3, s->reason);
		bind_time(b, 4, s->at_us);
	}
}

static void save_faults(struct bind *b, struct batch *batch, struct visit *v)
{
	for (size_t i = 0; i < v->n_faults; i++) {
		bind_key(b, 0, v->faults[i]->rule);
		bind_bool(b, 1, v->faults[i]->failed);
		bind_text(b, 2, v->faults[i]->text);
		bind_i64(b, 3, v->faults[i]->seq);
		bind_i64(b, 4, v->faults[i]->chain);
		bind_time(b, 5, batch->now_us);
	}
}

static void save_suspensions(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_faults; i++)
		if (v->faults[i]->suspend) {
			bind_key(b, 0, v->faults[i]->rule);
			bind_key(b, 1, SPAN("failed in 20 of its last 50 runs"));
		}
}

static void save_inbox_done(struct bind *b, struct batch *batch, struct visit *v)
{
	(void)batch;
	for (size_t i = 0; i < v->n_events; i++)
		if (v->events[i]->inbox != 0 && v->events[i]->status != EVENT_NEW)
			bind_i64(b, 0, v->events[i]->inbox);
}

/* Everything of a card that was given up goes to the other one. */
static void save_join(struct bind *b, struct batch *batch, struct visit *v)
{
	const struct shop_event *e = v->n_events > 0 ? v->events[0] : NULL;

	if (v->card->merged_into == 0)
		return;
	bind_i64(b, 0, v->customer);
	bind_i64(b, 1, v->card->merged_into);
	if (b->sql != SQL_JOIN_MOVE)
		return;
	if (e != NULL)
		bind_key(b, 2,
			span_of(arena_printf(&batch->arena, "%s/%.*s/%.*s", e->shop->id,
				SPAN_ARG(e->source), SPAN_ARG(e->id))));
	else
		bind_text(b, 2, (struct span){ NULL, 0 });
}

/*** the save ***/

static const struct save_step {
	enum sql_id sql;
	void (*whole)(struct pg_lane *l, struct bind *b); /* of the whole batch, or */
	void (*each)(
		struct bind *b, struct batch *batch, struct visit *v); /* of each READY visit */
} save_steps[] = {
	{ SQL_EVENT_ADD, save_events, NULL },
	{ SQL_IDENTITY_CLAIM, save_identities, NULL },
	{ SQL_ORDER_ADD, save_orders_new, NULL },
	{ SQL_ORDER_CHANGE, NULL, save_orders_changed },
	{ SQL_ORDER_STATUS_ADD, NULL, save_order_statuses },
	{ SQL_CARD_ACTIVITY, NULL, save_card_activity },
	{ SQL_CARD_PROFILE, NULL, save_card_profile },
	{ SQL_CARD_IDENTITY, NULL, save_card_identity },
	{ SQL_CHAIN_ADD, NULL, save_chains_new },
	{ SQL_CHAIN_CHANGE, NULL, save_chains_changed },
	{ SQL_CHAIN_END, NULL, save_chains_ended },
	{ SQL_CHAIN_LOG_ADD, NULL, save_chains_brief },
	{ SQL_RULE_LAST_PUT, NULL, save_rule_lasts },
	{ SQL_MESSAGE_ADD, NULL, save_messages },
	{ SQL_TASK_EXIT, NULL,
		save_exits }, /* what chains that are over by now have left, not what is new */
	{ SQL_TASK_ADD, NULL, save_tasks_new },
	{ SQL_TASK_CHANGE, NULL, save_tasks_changed },
	{ SQL_MESSAGE_WITHDRAW, NULL, save_withdraw },
	{ SQL_TASK_WITHDRAW, NULL, save_withdraw },
	{ SQL_MESSAGE_OUTCOME, NULL, save_outcomes },
	{ SQL_NOTE_ADD, NULL, save_notes },
	{ SQL_CONSENT_ADD, NULL, save_consents },
	{ SQL_SUPPRESSION_ADD, NULL, save_suppressions },
	{ SQL_FAULT_ADD, NULL, save_faults },
	{ SQL_RULE_SUSPEND, NULL, save_suspensions },
	{ SQL_INBOX_DONE, NULL, save_inbox_done },
	{ SQL_QUARANTINE_ADD, save_quarantine, NULL },
	{ SQL_CONFLICT_ADD, save_conflicts, NULL },
	{ SQL_JOIN_MOVE, NULL, save_join },
	{ SQL_JOIN_MESSAGE, NULL, save_join },
	{ SQL_JOIN_INBOX, NULL, save_join },
};

static void save_on_end(void *arg, const struct db_end *end)
{
	struct db_end e = *end;

	if (e.outcome == DB_REFUSED && strcmp(e.sqlstate, "23505") == 0)
		e.outcome = DB_AGAIN; /* somebody was quicker with a key */
	pg_end(arg, &e);
}

void pg_save(struct store *s, int lane, struct batch *b, store_done_fn *done, void *arg)
{
	struct pg_lane *l = pg_lane_of(s, lane);

	pg_call(l, &b->arena, done, arg);
	l->batch = b;
	for (size_t i = 0; i < sizeof save_steps / sizeof *save_steps; i++) {
		const struct save_step *step = &save_steps[i];

		if (PLANTED(chain_outside) && step->sql == SQL_CHAIN_ADD) {
			db_send_plain(l->db, SQL_COMMIT, NULL, NULL, 0);
			db_send_plain(l->db, SQL_BEGIN, NULL, NULL, 0);
		}
		bind_begin(&l->bind, step->sql);
		if (step->whole != NULL)
			step->whole(l, &l->bind);
		for (size_t k = 0; step->each != NULL && k < b->n_visits; k++)
			if (b->visits[k]->state == VISIT_READY)
				step->each(&l->bind, b, b->visits[k]);
		if (bind_count(&l->bind) > 0)
			db_send(l->db, &l->bind, NULL, NULL, 0);
	}
	FAILPOINT_AFTER(db_flush(l->db), "save.sent"); /* all but the end of the transaction */
	db_send_plain(l->db, SQL_COMMIT, NULL, NULL, 0);
	db_sync(l->db, save_on_end, l);
}
