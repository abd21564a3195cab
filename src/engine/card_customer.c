/*
 * card_customer.c: who the customer is: contacts, traits, consent, when he was seen, his cart.
 *
 * E-mail and phone are taken from the event's identities, never from its data: admission has
 * checked and normalised those, and what it refused must not reach the card either.  Any event may
 * fill a contact that is not known yet; only customer.created and customer.updated change one that
 * is.
 *
 * Consent is written to the log when it changes, not whenever a shop repeats it: shops send the
 * whole customer with every change.  It never lifts a suppression: who unsubscribed here is not
 * subscribed again by a shop that has not heard of it.
 */
#include "engine/card_part.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/tz.h"
#include "engine/field.h"

#include <string.h>

enum { SEEN_STEP_US = 5 * 60 * 1000000, ZONE_MOST = 64 };

static const char *const channels[] = { "email", "sms", "call", "push", "messenger" };

/* The identity of a kind that the event brings: the first (who it is), or the last (what his data
 * say). */
static struct span identity_of(const struct shop_event *e, enum identity_kind kind, bool last)
{
	struct span found = { NULL, 0 };

	for (unsigned i = 0; i < e->n_identity; i++)
		if (e->identity[i].kind == kind) {
			found = e->identity[i].value;
			if (!last)
				break;
		}
	return found;
}

/* Text that fits a field of the card, or {NULL, 0}. */
static struct span short_text(struct span value, struct arena *a)
{
	struct span text = field_text(value, a);

	return text.n <= CARD_TEXT_MOST ? text : (struct span){ NULL, 0 };
}

/* Takes the text where nothing is known yet. */
static void fill_text(struct visit *v, enum card_text field, struct span text)
{
	if (text.n && !v->card->text[field].n)
		card_set_text(v, field, text);
}

/* He has another address: that the old one bounced or complained says nothing of it.  What he said himself stays. */
static void forget_bounces(struct card_work *w, struct span channel)
{
	struct customer *c = w->v->card;
	struct span *marks = &c->json[CARD_SUPPRESSED], why, said;
	bool given = true;

	if (!marks->n || !json_get(*marks, channel, &why) || json_is_null(why) ||
		json_text_is(why, SPAN("unsubscribed")))
		return;
	if (c->json[CARD_CONSENT].n && json_get(c->json[CARD_CONSENT], channel, &said) &&
		!field_bool(said, &given))
		given = true;
	*marks = card_json_with(&w->b->arena, *marks, channel,
		given ? (struct span){ NULL, 0 } : SPAN("\"unsubscribed\""));
	c->changed |= CARD_CHANGED_PROFILE;
}

/* A contact that the card did not have, or that changed. */
static void set_contact(
	struct card_work *w, enum card_text field, enum identity_kind kind, bool overwrite)
{
	struct span value = identity_of(w->e, kind, overwrite), old = w->v->card->text[field];

	if (!value.n || span_eq(value, old) || (old.n && !overwrite))
		return;
	if (field == CARD_EMAIL) {
		forget_bounces(w, SPAN("email"));
	} else {
		forget_bounces(w, SPAN("sms"));
		forget_bounces(w, SPAN("call"));
	}
	card_set_text(w->v, field, value);
}

/* Any event: what its `customer` says and the card does not know. */
static void fill_contacts(struct card_work *w, struct span customer)
{
	enum { WANTED = 4 };
	static const struct span keys[WANTED] = { SPAN_INIT("name"), SPAN_INIT("first_name"),
		SPAN_INIT("last_name"), SPAN_INIT("lang") };
	static const enum card_text into[WANTED] = { CARD_NAME, CARD_FIRST_NAME, CARD_LAST_NAME,
		CARD_LANG };
	struct span f[WANTED];

	set_contact(w, CARD_EMAIL, IDENTITY_EMAIL, false);
	set_contact(w, CARD_PHONE, IDENTITY_PHONE, false);
	if (!customer.p)
		return;
	field_pick(customer, keys, f, WANTED);
	for (int i = 0; i < WANTED; i++)
		fill_text(w->v, into[i], short_text(f[i], &w->b->arena));
}

/* "First Last" where no whole name is known. */
static void compose_name(struct card_work *w)
{
	const struct customer *c = w->v->card;
	struct span first = c->text[CARD_FIRST_NAME], last = c->text[CARD_LAST_NAME];

	if (c->text[CARD_NAME].n || (!first.n && !last.n))
		return;
	card_set_text(w->v, CARD_NAME,
		span_of(arena_printf(&w->b->arena, "%.*s%s%.*s", SPAN_ARG(first),
			first.n && last.n ? " " : "", SPAN_ARG(last))));
}

/* The zone, when the system knows it. */
static void set_zone(struct card_work *w, struct span zone)
{
	char name[ZONE_MOST];

	if (!zone.n || zone.n >= sizeof name)
		return;
	memcpy(name, zone.p, zone.n);
	name[zone.n] = '\0';
	if (tz_get(name))
		card_set_text(w->v, CARD_TZ, zone);
}

void card_consent(struct batch *b, struct visit *v, struct span channel, bool given,
	struct span source, int64_t at_us, int64_t seq)
{
	struct span *consent = &v->card->json[CARD_CONSENT], known;
	struct visit_consent *line;
	bool before;

	if (consent->n && json_get(*consent, channel, &known) && field_bool(known, &before) &&
		before == given)
		return;
	*consent =
		card_json_with(&b->arena, *consent, channel, given ? SPAN("true") : SPAN("false"));
	v->card->changed |= CARD_CHANGED_PROFILE;
	line = arena_new(&b->arena, struct visit_consent);
	*line = (struct visit_consent){ channel, given, source, at_us, seq };
	BATCH_PUSH(&b->arena, v->consents, v->n_consents, v->cap_consents) = line;
}

/* consent{email, sms, ...}: what can be read as yes or no. */
static void set_consents(struct card_work *w, struct span consent)
{
	bool given;

	for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
		if (field_bool(field_get(consent, channels[i]), &given))
			card_consent(w->b, w->v, span_of(channels[i]), given, w->e->type, w->at_us,
				w->e->seq);
}

/* A walk over an object's members, one ahead. */
struct member {
	struct json_iter it;
	struct span key, value;
	bool is_there;
};

static void member_next(struct member *m)
{
	m->is_there = json_next(&m->it, &m->key, &m->value);
}

static void member_first(struct member *m, struct span object)
{
	json_iter_init(&m->it, object);
	member_next(m);
}

/* RFC 7396 over canonical objects: both are sorted alike, so one walk along both writes the result
 * in canonical form.  No deeper than the patch, which was checked. */
static void merge_into(struct buf *out, struct span object, struct span patch)
{
	struct member old, new;
	size_t begin = out->n + 1;

	buf_char(out, '{');
	member_first(&old, object);
	member_first(&new, patch);
	while (old.is_there || new.is_there) {
		int order = !old.is_there ? 1 : !new.is_there ? -1 : span_cmp(old.key, new.key);
		const struct member *from = order < 0 ? &old : &new;

		if (order < 0 || !json_is_null(new.value)) {
			if (out->n > begin)
				buf_char(out, ',');
			buf_span(out, from->key);
			buf_char(out, ':');
			if (order >= 0 && json_kind(new.value) == JSON_OBJECT)
				merge_into(out,
					order == 0 && json_kind(old.value) == JSON_OBJECT
						? old.value
						: SPAN("{}"),
					new.value);
			else
				buf_span(out, from->value);
		}
		if (order <= 0)
			member_next(&old);
		if (order >= 0)
			member_next(&new);
	}
	buf_char(out, '}');
}

struct span card_json_merged(struct arena *a, struct span object, struct span patch)
{
	struct buf old = { 0 }, new = { 0 }, merged = { 0 };

	json_canon(object.n ? object : SPAN("{}"), &old);
	json_canon(patch.n ? patch : SPAN("{}"), &new);
	merge_into(&merged, buf_as_span(&old), buf_as_span(&new));
	buf_free(&old);
	buf_free(&new);
	return card_take_text(a, &merged);
}

void card_merge_attributes(struct batch *b, struct visit *v, struct span patch)
{
	struct span *attributes = &v->card->json[CARD_ATTRIBUTES];
	struct span merged = card_json_merged(&b->arena, *attributes, patch);

	if (merged.n > CARD_ATTRIBUTES_MOST ||
		span_eq(merged, attributes->n ? *attributes : SPAN("{}")))
		return;
	*attributes = merged;
	v->card->changed |= CARD_CHANGED_PROFILE;
}

/* Members of data that have a place of their own, so they are no attributes. */
static bool is_own_field(struct span key)
{
	static const char *const own[] = { "email", "phone", "first_name", "last_name", "name",
		"birthday", "gender", "lang", "timezone", "city", "consent", "customer", "id",
		"customer_id", "anonymous_id" };

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (json_text_is(key, span_of(own[i])))
			return true;
	return false;
}

/* Everything else that a customer.* event says. */
static void set_attributes(struct card_work *w)
{
	struct buf patch = { 0 };
	struct json_iter it;
	struct span key, value;

	json_iter_init(&it, w->e->data);
	while (json_next(&it, &key, &value)) {
		if (is_own_field(key))
			continue;
		buf_char(&patch, patch.n ? ',' : '{');
		buf_span(&patch, key);
		buf_char(&patch, ':');
		buf_span(&patch, value);
	}
	if (patch.n) {
		buf_char(&patch, '}');
		card_merge_attributes(w->b, w->v, buf_as_span(&patch));
	}
	buf_free(&patch);
}

/* customer.created and customer.updated. */
static void set_traits(struct card_work *w)
{
	enum {
		EMAIL,
		PHONE,
		FIRST,
		LAST,
		NAME,
		BIRTHDAY,
		GENDER,
		LANG,
		ZONE,
		CITY,
		ADDRESS,
		CONSENT,
		TRAITS
	};
	static const struct span keys[TRAITS] = { [EMAIL] = SPAN_INIT("email"),
		[PHONE] = SPAN_INIT("phone"),
		[FIRST] = SPAN_INIT("first_name"),
		[LAST] = SPAN_INIT("last_name"),
		[NAME] = SPAN_INIT("name"),
		[BIRTHDAY] = SPAN_INIT("birthday"),
		[GENDER] = SPAN_INIT("gender"),
		[LANG] = SPAN_INIT("lang"),
		[ZONE] = SPAN_INIT("timezone"),
		[CITY] = SPAN_INIT("city"),
		[ADDRESS] = SPAN_INIT("address"),
		[CONSENT] = SPAN_INIT("consent") };
	static const enum card_text into[TRAITS] = { [FIRST] = CARD_FIRST_NAME,
		[LAST] = CARD_LAST_NAME,
		[NAME] = CARD_NAME,
		[BIRTHDAY] = CARD_BIRTHDAY,
		[GENDER] = CARD_GENDER,
		[LANG] = CARD_LANG,
		[CITY] = CARD_CITY };
	struct arena *a = &w->b->arena;
	struct span t[TRAITS];

	field_pick(w->e->data, keys, t, TRAITS);
	if (t[EMAIL].p)
		set_contact(w, CARD_EMAIL, IDENTITY_EMAIL, true);
	if (t[PHONE].p)
		set_contact(w, CARD_PHONE, IDENTITY_PHONE, true);
	if (!t[CITY].p)
		t[CITY] = field_get(t[ADDRESS], "city");
	for (int i = 0; i < TRAITS; i++) {
		struct span text = into[i] ? short_text(t[i], a) : (struct span){ 0 };

		if (text.n)
			card_set_text(w->v, into[i], text);
	}
	set_zone(w, field_text(t[ZONE], a));
	if (t[CONSENT].p)
		set_consents(w, t[CONSENT]);
	set_attributes(w);
}

/* Was it the customer himself who did this? */
static bool is_his_doing(struct span type)
{
	static const char *const his[] = { "page.", "product.", "category.", "cart.", "checkout.",
		"lead.", "form.", "callback.", "chat.", "review.", "survey.", "call.incoming",
		"call.missed", "order.placed", "message.opened", "message.clicked",
		"message.replied" };

	for (size_t i = 0; i < sizeof his / sizeof *his; i++)
		if (span_starts(type, his[i]))
			return true;
	return false;
}

/* Last seen, in steps: a write per page would cost more than it tells. */
static void set_seen(struct card_work *w)
{
	struct customer *c = w->v->card;

	if (!is_his_doing(w->e->type))
		return;
	if (c->last_seen_us != TIME_NONE && w->at_us - c->last_seen_us <= SEEN_STEP_US)
		return;
	c->last_seen_us = w->at_us;
	c->changed |= CARD_CHANGED_ACTIVITY;
}

/* The event's data without `customer` becomes the cart. */
static void set_cart(struct card_work *w)
{
	struct customer *c = w->v->card;
	UNSET char first[BUF_USUAL];
	struct buf cart = BUF_ON(first);
	struct json_iter it;
	struct span key, value;

	buf_char(&cart, '{');
	json_iter_init(&it, w->e->data);
	while (json_next(&it, &key, &value)) {
		if (json_text_is(key, SPAN("customer")))
			continue;
		if (cart.n > 1)
			buf_char(&cart, ',');
		buf_span(&cart, key);
		buf_char(&cart, ':');
		buf_span(&cart, value);
	}
	buf_char(&cart, '}');
	c->json[CARD_CART] = card_take_text(&w->b->arena, &cart);
	c->changed |= CARD_CHANGED_ACTIVITY;
}

/* Bought: nothing is left in it. */
static void empty_cart(struct customer *c)
{
	if (!c->json[CARD_CART].n || span_is(c->json[CARD_CART], "{}"))
		return;
	c->json[CARD_CART] = SPAN("{}");
	c->changed |= CARD_CHANGED_ACTIVITY;
}

/* data.customer; admission has found it already. */
static struct span said_of_customer(const struct shop_event *e)
{
	return e->origin == EVENT_POSTED ? e->about : field_get(e->data, "customer");
}

void card_apply_customer(struct card_work *w)
{
	struct span type = w->e->type;

	if (span_is(type, "customer.created") || span_is(type, "customer.updated"))
		set_traits(w);
	fill_contacts(w, said_of_customer(w->e));
	compose_name(w);
	set_seen(w);
	if (span_is(type, "page.viewed") && !w->v->card->text[CARD_FIRST_SOURCE].n)
		fill_text(w->v, CARD_FIRST_SOURCE,
			short_text(field_get(field_get(w->e->data, "campaign"), "source"),
				&w->b->arena));
	if (span_is(type, "cart.updated"))
		set_cart(w);
	else if (span_is(type, "order.placed"))
		empty_cart(w->v->card);
}
