/* mem_copy.c: copies of everything that is loaded or saved, whole, into an arena. */
#include "store/mem_int.h"

struct span mem_text(struct arena *a, struct span s)
{
	return s.p ? (struct span){ arena_dup(a, s.p, s.n), s.n } : s;
}

struct customer *mem_copy_customer(struct arena *a, const struct customer *from)
{
	struct customer *c = arena_new(a, struct customer);

	*c = *from;
	c->base = mem_text(a, c->base);
	c->orders_last_id = mem_text(a, c->orders_last_id);
	for (int i = 0; i < CARD_TEXTS; i++)
		c->text[i] = mem_text(a, c->text[i]);
	for (int i = 0; i < CARD_JSONS; i++)
		c->json[i] = mem_text(a, c->json[i]);
	c->changed = 0;
	return c;
}

struct chain *mem_copy_chain(struct arena *a, const struct chain *from, bool body)
{
	struct chain *c = arena_new(a, struct chain);

	*c = *from;
	c->rule = mem_text(a, c->rule);
	c->key = mem_text(a, c->key);
	c->text_hash = mem_text(a, c->text_hash);
	c->exits = mem_text(a, c->exits);
	c->reason = mem_text(a, c->reason);
	c->awaits = arena_array(a, struct span, c->n_awaits);
	for (unsigned i = 0; i < c->n_awaits; i++)
		c->awaits[i] = mem_text(a, from->awaits[i]);
	c->open = arena_array(a, int64_t, c->n_open);
	for (unsigned i = 0; i < c->n_open; i++)
		c->open[i] = from->open[i];
	c->event = body ? mem_text(a, c->event) : (struct span){ 0 };
	c->history = body ? mem_text(a, c->history) : (struct span){ 0 };
	c->arrived = body ? mem_text(a, c->arrived) : (struct span){ 0 };
	c->loaded = body;
	c->due = false;
	c->change = CHAIN_SAME;
	return c;
}

struct order *mem_copy_order(struct arena *a, const struct order *from)
{
	struct order *o = arena_new(a, struct order);
	struct span *texts[] = { &o->id, &o->number, &o->status, &o->currency, &o->payment,
		&o->channel, &o->coupon, &o->tracking_number, &o->carrier, &o->tracking_url,
		&o->products, &o->stamps };

	*o = *from;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = mem_text(a, *texts[i]);
	o->is_new = o->changed = false;
	return o;
}

struct task *mem_copy_task(struct arena *a, const struct task *from)
{
	struct task *t = arena_new(a, struct task);
	struct span *texts[] = { &t->rule, &t->title, &t->text, &t->manager, &t->group,
		&t->order_id, &t->call, &t->results, &t->result };

	*t = *from;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = mem_text(a, *texts[i]);
	t->is_new = t->changed = t->due = false;
	return t;
}

struct message *mem_copy_message(struct arena *a, const struct message *from)
{
	struct message *x = arena_new(a, struct message);
	struct span *texts[] = { &x->rule, &x->template_name, &x->template_hash, &x->lang, &x->data,
		&x->to, &x->subject, &x->reason, &x->code };

	*x = *from;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = mem_text(a, *texts[i]);
	return x;
}

struct shop_event *mem_copy_event(struct arena *a, const struct shop_event *from)
{
	struct shop_event *e = arena_new(a, struct shop_event);

	*e = *from;
	e->source = mem_text(a, e->source);
	e->id = mem_text(a, e->id);
	e->type = mem_text(a, e->type);
	e->data = mem_text(a, e->data);
	e->path = mem_text(a, e->path);
	e->verdicts = mem_text(a, e->verdicts);
	for (unsigned i = 0; i < e->n_identity; i++)
		e->identity[i].value = mem_text(a, e->identity[i].value);
	e->previous.value = mem_text(a, e->previous.value);
	e->reason = e->reason ? arena_strdup(a, e->reason) : NULL;
	e->ticket = NULL;
	e->queue = NULL;
	return e;
}
