/*
 * flow_join.c: two cards of one person become one, before the event that shows it is queued.
 *
 * An asked event leads to several cards.  The strongest key decides whose event it is; a card that is known by
 * weak keys only (a browser, an order, a parcel) is taken over, because nobody else can be meant.  Two strong cards
 * are never joined by themselves: a phone number is shared by families, an address typed wrongly; for them there is
 * customer.merged, where the store says so.
 *
 *	LANE_JOIN       loads both cards like a batch (skip locked), with the event: a duplicate joins nothing
 *	                the engine decides what the joined card is, and which chains go on
 *	LANE_JOIN_SAVE  all that the one card has becomes the other's, in one transaction
 *
 * Both customers count as being in a batch meanwhile, and what stands in the queue of the one moves into that of the
 * other before the event: so no order is lost.  As many disjoint pairs as there are go in one round; rounds follow
 * until no pair is left.  Whoever can not be had is tried again with his event (flow_ask_done holds it), and
 * nobody else waits for him.  A commit whose answer is lost is found again by asking: there is one card then.
 *
 * Rejected: joining inside the event's own batch (whose two cards stand in different batches, and a batch would
 * be redone for a card that is busy), and in the save (the event would be judged on half of the card).
 */
#include "base/failpoint.h"
#include "base/mem.h"
#include "intake/flow_int.h"

#include <string.h>

enum { FLOW_PAIRS_MOST = 50, FLOW_LOST_MOST = 3 };

static struct who_card join_card(const struct store_identity *a)
{
	return (struct who_card){
		.customer = a->customer, .version = a->identity_version, .weak = a->weak
	};
}

/* Can the card not be had in this round? */
static bool join_is_taken(const struct flow_lane *l, int64_t customer)
{
	if (map_get(&l->busy, MAP_KEY(customer)) != NULL)
		return true;
	for (size_t i = 0; i < l->n_pairs; i++)
		if (l->pairs[i].living.customer == customer ||
			l->pairs[i].gone.customer == customer)
			return true;
	return false;
}

/* The different cards that the event's keys lead to, strongest key first. */
static size_t join_cards(const struct flow_lane *l, const struct shop_event *e,
	struct who_card ret[EVENT_IDENTITIES])
{
	size_t n = 0;

	for (unsigned i = 0; i < e->n_identity; i++) {
		const struct store_identity *a = flow_ask_find(l, e, &e->identity[i]);
		bool have = a == NULL || a->customer == 0;

		for (size_t k = 0; k < n && !have; k++)
			have = ret[k].customer == a->customer;
		if (!have)
			ret[n++] = join_card(a);
	}
	return n;
}

bool flow_pair_of(
	const struct flow_lane *l, struct shop_event *e, bool later, struct flow_pair *ret)
{
	const struct store_identity *previous = NULL;
	struct who_card cards[EVENT_IDENTITIES + 1];
	size_t n = join_cards(l, e, cards), of = 0, n_keys = n;

	if (n == 0 || map_get(&l->unjoinable, MAP_KEY(e)) != NULL)
		return false;
	for (size_t i = 0; i < n && cards[of].weak; i++)
		if (!cards[i].weak)
			of = i;
	if (e->previous.value.n)
		previous = flow_ask_find(l, e, &e->previous);
	if (previous != NULL && previous->customer != 0)
		cards[n++] = join_card(previous);
	for (size_t i = 0; i < n; i++) {
		if (cards[i].customer == cards[of].customer || (i < n_keys && !cards[i].weak))
			continue;
		if (!later && (join_is_taken(l, cards[of].customer) ||
				      join_is_taken(l, cards[i].customer)))
			continue;
		*ret = (struct flow_pair){ .event = e, .living = cards[of], .gone = cards[i] };
		return true;
	}
	return false;
}

/* ---- a round ---- */

static void join_on_loaded(void *arg, enum store_end end, const struct err *err);
static void join_on_saved(void *arg, enum store_end end, const struct err *err);
static void join_on_stopped(void *arg, enum store_end end, const struct err *err);

static void join_mark_busy(struct flow_lane *l, int64_t customer)
{
	map_put(&l->busy, MAP_KEY(customer), l);
}

/* Is he in a batch of another lane of ours?  Then he can not be had either. */
static bool join_is_in_batch(struct flow_lane *l, int64_t customer)
{
	const struct flow_customer *c = map_get(&l->flow->customers, MAP_KEY(customer));

	if (c == NULL || c->lane == NULL)
		return false;
	join_mark_busy(l, customer);
	return true;
}

/* The database will not have this join: the event goes on without, unless it was about nothing else. */
static void join_refused(struct flow_lane *l, struct shop_event *e, const char *why)
{
	log_error(&l->lc, "could not join two cards because of event \"%.*s\": %s", SPAN_ARG(e->id),
		why);
	map_put(&l->unjoinable, MAP_KEY(e), l);
	if (!e->previous.value.n)
		return;
	/* it goes aside when the lane has done with its keys (flow_ask_done) */
	e->status = EVENT_QUARANTINED;
	e->reason = "the database refused to join the cards; the daemon's log has the reason";
}

/* A join that takes longer than a statement may is lost again and again. */
static bool join_is_hopeless(const struct flow_lane *l, const struct flow_pair *p)
{
	return (uintptr_t)map_get(&l->flow->lost_joins, MAP_KEY(p->gone.customer)) >=
	       FLOW_LOST_MOST;
}

static void join_collect(struct flow_lane *l)
{
	size_t most = l->flow->join_one ? 1 : FLOW_PAIRS_MOST;
	struct shop_event *e, *next;
	struct flow_pair pair;

	l->n_pairs = 0;
	l->pairs = arena_array(&l->ask_arena, struct flow_pair, most);
	for (e = TAILQ_FIRST(&l->asked); e != NULL && l->n_pairs < most; e = next) {
		next = TAILQ_NEXT(e, link);
		if (!flow_pair_of(l, e, false, &pair))
			continue;
		if (join_is_hopeless(l, &pair))
			join_refused(l, e, "it was begun several times and never came to an end");
		else if (!join_is_in_batch(l, pair.living.customer) &&
			 !join_is_in_batch(l, pair.gone.customer))
			l->pairs[l->n_pairs++] = pair;
	}
}

/* The customer counts as being in a batch from now on. */
static struct visit *join_visit(struct flow_lane *l, const struct who_card *card)
{
	struct flow *f = l->flow;
	struct flow_customer *c = flow_customer_get(f, card->customer, card->version);
	struct visit *v = lane_add_visit(l, c);

	flow_customer_review(f, c);
	return v;
}

void flow_join(struct flow_lane *l)
{
	struct flow *f = l->flow;

	join_collect(l);
	if (l->n_pairs == 0) {
		flow_ask_done(l);
		return;
	}
	lane_reset(l, BATCH_EVENTS);
	for (size_t i = 0; i < l->n_pairs; i++) {
		struct flow_pair *p = &l->pairs[i];
		struct visit *v;

		p->living_visit = join_visit(l, &p->living);
		p->gone_visit = v = join_visit(l, &p->gone);
		BATCH_PUSH(&l->batch.arena, v->events, v->n_events, v->cap_events) = p->event;
	}
	lane_sort_visits(l);
	lane_enter(l, LANE_JOIN);
	f->store->ops->load(f->store, l->number, &l->batch, false, join_on_loaded, l);
}

/* The customers may be in batches again. */
static void join_let_go(struct flow_lane *l)
{
	for (size_t i = 0; i < l->batch.n_visits; i++) {
		struct flow_customer *c = l->batch.visits[i]->flow;

		c->lane = NULL;
		flow_customer_review(l->flow, c);
	}
	l->batch.n_visits = 0;
}

static void join_fail(struct flow_lane *l, enum store_end end, const struct err *err)
{
	l->flow->stats.lost += end == STORE_LOST;
	join_let_go(l);
	flow_ask_fail(l, end, err);
}

/* Joins the cards of a pair in memory; false: not now, or not at all. */
static bool join_decide(struct flow_lane *l, struct flow_pair *p)
{
	struct visit *pair[] = { p->living_visit, p->gone_visit };
	enum event_status status = p->event->status;
	bool ready = true;

	p->event->status =
		EVENT_NEW; /* what the load said of its key is said again by its own batch */
	for (size_t i = 0; i < 2; i++)
		if (pair[i]->state != VISIT_READY) {
			l->flow->stats.held_back++;
			join_mark_busy(l, pair[i]->customer);
			ready = false;
		}
	if (!ready)
		return false;
	if (status != EVENT_NEW) {
		map_put(&l->unjoinable, MAP_KEY(p->event), l);
		return false;
	}
	judge_join(l->flow->judge, &l->batch, p->living_visit, p->gone_visit);
	return true;
}

static void join_on_loaded(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;
	struct flow *f = l->flow;
	size_t n = 0;

	if (end != STORE_OK) {
		join_fail(l, end, err);
		return;
	}
	FAILPOINT("join.loaded");
	if (l->batch.set_id != judge_set_id(f->judge)) { /* modes are those of the current rules */
		f->want_set = true;
		for (size_t i = 0; i < l->n_pairs; i++)
			l->pairs[i].event->status = EVENT_NEW;
	} else {
		for (size_t i = 0; i < l->n_pairs; i++)
			n += l->pairs[i].joined = join_decide(l, &l->pairs[i]);
	}
	if (n > 0) {
		lane_enter(l, LANE_JOIN_SAVE);
		f->store->ops->save(f->store, l->number, &l->batch, join_on_saved, l);
		FAILPOINT("join.saving");
	} else {
		lane_enter(l, LANE_JOIN_STOP);
		f->store->ops->abandon(f->store, l->number, join_on_stopped, l);
	}
}

static void join_on_stopped(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;

	if (l->flow->want_set || end != STORE_OK) {
		join_fail(l, end == STORE_OK ? STORE_AGAIN : end, err);
		return;
	}
	join_let_go(l);
	flow_join(l);
}

/* What waits for the card that is gone waits for the other one, in front of the event that joined them. */
static void join_move_queue(struct flow *f, const struct flow_pair *p)
{
	struct flow_customer *c = p->gone_visit->flow;
	struct shop_event *e;
	unsigned claims;

	while ((e = TAILQ_FIRST(&c->events)) != NULL) {
		for (unsigned i = 0; i < e->n_identity; i++)
			who_forget(f->who, flow_base_of(e), &e->identity[i]);
		claims = e->claims;
		flow_unpromise(f, e);
		flow_promise(f, e, claims, &p->living);
		flow_enqueue(f, e, p->living.customer, p->living.version);
	}
}

/* What was answered is true of the other card now. */
static void join_rewrite(struct flow_lane *l, const struct flow_pair *p)
{
	bool weak = p->living.weak && p->gone.weak;

	for (size_t i = 0; i < l->n_ask; i++) {
		struct store_identity *a = &l->ask[i];

		if (a->customer != p->living.customer && a->customer != p->gone.customer)
			continue;
		a->customer = p->living.customer;
		a->identity_version = p->living.version;
		a->weak = weak;
	}
}

/* Counts the joins of a commit whose outcome is unknown; next time each has one of its own. */
static void join_note_lost(struct flow_lane *l)
{
	struct map *lost = &l->flow->lost_joins;

	for (size_t i = 0; i < l->n_pairs; i++) {
		struct span key = MAP_KEY(l->pairs[i].gone.customer);

		if (l->pairs[i].joined)
			map_put(lost, key, (void *)((uintptr_t)map_get(lost, key) + 1));
	}
	l->flow->join_one = true;
}

static void join_on_saved(void *arg, enum store_end end, const struct err *err)
{
	struct flow_lane *l = arg;
	struct flow *f = l->flow;

	if (end == STORE_LOST)
		join_note_lost(l);
	if (end == STORE_AGAIN || end == STORE_LOST) {
		join_fail(l, end, err);
		return;
	}
	FAILPOINT("join.saved");
	for (size_t i = 0; i < l->n_pairs && end == STORE_OK; i++) {
		struct flow_pair *p = &l->pairs[i];
		struct flow_customer *living;

		if (!p->joined)
			continue;
		living = p->living_visit->flow;
		living->version = p->living.version = p->living_visit->card->identity_version;
		f->stats.joins++;
		log_debug(&l->lc, "card %lld took over card %lld", (long long)p->living.customer,
			(long long)p->gone.customer);
		map_del(&f->lost_joins, MAP_KEY(p->gone.customer));
		flow_note_join(f, p->gone.customer, p->living.customer);
		join_move_queue(f, p);
		join_rewrite(l, p);
	}
	join_let_go(l);
	if (end == STORE_REFUSED) {
		f->stats.retries++;
		if (l->n_pairs == 1)
			join_refused(l, l->pairs[0].event, err->text);
		l->flow->join_one = true;
	} else {
		l->flow->join_one = false;
	}
	flow_join(l);
}
