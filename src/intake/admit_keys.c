/*
 * admit_keys.c: who an event is about.
 *
 * Keys are normalised here and nowhere else: what is stored as an identity, compared with the card
 * and written on it is what this room made of it.  A key that can not be read is passed over as
 * long as another names the customer; when it was the only one the event is quarantined, because a
 * shop that sends "customer": {"email": "n/a"} does not mean "nobody".
 *
 * WooCommerce sends customer id 0 for guests, JavaScript sends "undefined": taken as ids they
 * would join thousands of people on one card, and no later correction could take them apart.
 */
#include "intake/admit_keys.h"

#include "base/json.h"
#include "base/phone.h"
#include "engine/field.h"
#include "model/shop.h"

#include <string.h>

enum { EMAIL_MOST = 254, LOCAL_MOST = 64, HIDDEN_CARDS = 64, NOBODY_MOST = 9 };

/* The keys found so far. */
struct keys {
	struct shop_event *e;
	struct arena *a;
	const char *unread; /* the member of a key that could not be read */
};

bool admit_is_printable(struct span s)
{
	const unsigned char *p = (const unsigned char *)(s.n ? s.p : ""), *end = p + s.n;

	for (; p < end; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return false;
		if (*p == 0xc2 && end - p > 1 && p[1] < 0xa0) /* U+0080..U+009F */
			return false;
		if (*p == 0xe2 && end - p > 2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
			return false; /* U+2028, U+2029 */
	}
	return true;
}

/* Puts a key in its place: behind those that are stronger or came earlier. */
static void put_key(struct keys *k, enum identity_kind kind, struct span value)
{
	struct shop_event *e = k->e;
	unsigned at = e->n_identity;

	for (unsigned i = 0; i < e->n_identity; i++)
		if (e->identity[i].kind == kind && span_eq(e->identity[i].value, value))
			return;
	while (at > 0 && e->identity[at - 1].kind > kind)
		at--;
	if (at == EVENT_IDENTITIES)
		return;
	if (e->n_identity < EVENT_IDENTITIES)
		e->n_identity++;
	memmove(&e->identity[at + 1], &e->identity[at],
		(e->n_identity - 1 - at) * sizeof *e->identity);
	e->identity[at] = (struct identity){ kind, value };
}

/* What shops send when they do not know a customer. */
static bool is_nobody(struct span id)
{
	static const struct span words[] = { SPAN_INIT("0"), SPAN_INIT("-1"), SPAN_INIT("null"),
		SPAN_INIT("undefined"), SPAN_INIT("none"), SPAN_INIT("None"), SPAN_INIT("NaN"),
		SPAN_INIT("false"), SPAN_INIT("N/A"), SPAN_INIT("n/a") };

	for (size_t i = 0; id.n <= NOBODY_MOST && i < sizeof words / sizeof *words; i++)
		if (span_eq(id, words[i]))
			return true;
	return false;
}

/* An id, as it is. */
static bool put_id(struct keys *k, enum identity_kind kind, struct span id)
{
	if (!id.n || id.n > ADMIT_ID_MOST || !admit_is_printable(id))
		return false;
	if (!is_nobody(id))
		put_key(k, kind, id);
	return true;
}

/* May this byte stand in an address?  Quoted local parts are not for people. */
static bool is_address_byte(unsigned char c)
{
	switch (c) {
	case '"':
	case '(':
	case ')':
	case ',':
	case ':':
	case ';':
	case '<':
	case '>':
	case '@':
	case '[':
	case '\\':
	case ']':
	case 0x7f: return false;
	default: return c > ' ';
	}
}

/* local@domain, lower case. */
static bool put_email(struct keys *k, struct span text)
{
	const char *at = text.n ? memchr(text.p, '@', text.n) : NULL;
	size_t local = at ? (size_t)(at - text.p) : 0;
	bool dot = true; /* the last byte was a dot, or nothing */
	char *lower;

	if (local == 0 || local > LOCAL_MOST || text.n > EMAIL_MOST || !admit_is_printable(text))
		return false;
	lower = arena_dup(k->a, text.p, text.n);
	for (size_t i = 0; i < text.n; i++) {
		if (i == local)
			continue;
		if (!is_address_byte((unsigned char)text.p[i]))
			return false;
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (char)(lower[i] + 'a' - 'A');
		if (i > local && lower[i] == '.' && dot)
			return false;
		dot = i > local ? lower[i] == '.' : true;
	}
	if (dot) /* no domain, or it ends in a dot */
		return false;
	put_key(k, IDENTITY_EMAIL, (struct span){ lower, text.n });
	return true;
}

/* E.164 by the shop's country. */
static bool put_phone(struct keys *k, struct span text)
{
	const char *country = k->e->shop->country;
	char e164[PHONE_SIZE];

	if (!text.n || text.n > ADMIT_ID_MOST ||
		!phone_e164(text, country && *country ? country : NULL, e164))
		return false;
	put_key(k, IDENTITY_PHONE, span_of(arena_strdup(k->a, e164)));
	return true;
}

/* "store/number" */
static bool put_per_store(struct keys *k, enum identity_kind kind, struct span id)
{
	size_t n = strlen(k->e->shop->id);
	char *value;

	if (!id.n || id.n > ADMIT_ID_MOST || !admit_is_printable(id))
		return false;
	value = arena_alloc(k->a, n + 1 + id.n);
	memcpy(value, k->e->shop->id, n);
	value[n] = '/';
	memcpy(value + n + 1, id.p, id.n);
	put_key(k, kind, (struct span){ value, n + 1 + id.n });
	return true;
}

/* A key from a member of the data, if it is there. */
static void put_member(
	struct keys *k, enum identity_kind kind, struct span value, const char *member)
{
	struct span text = field_text(value, k->a);
	bool read = false;

	if (!value.p || (json_kind(value) == JSON_STRING && !text.n))
		return;
	switch (kind) {
	case IDENTITY_ID:
	case IDENTITY_ANONYMOUS: read = put_id(k, kind, text); break;
	case IDENTITY_EMAIL: read = put_email(k, text); break;
	case IDENTITY_PHONE: read = put_phone(k, text); break;
	case IDENTITY_ORDER:
	case IDENTITY_PARCEL: read = put_per_store(k, kind, text); break;
	case IDENTITY_HIDDEN:
	case IDENTITY_CUSTOMER: break;
	}
	if (!read && !k->unread)
		k->unread = member;
}

/* What a subject may be: an address, a number, or the store's own id. */
static bool put_name(struct keys *k, struct span name)
{
	if (memchr(name.p, '@', name.n))
		return put_email(k, name);
	if (name.p[0] == '+')
		return put_phone(k, name);
	return put_id(k, IDENTITY_ID, name);
}

/* The envelope's subject. */
static void put_subject(struct keys *k, struct span subject)
{
	subject = span_trim(subject);
	if (subject.n && !put_name(k, subject))
		k->unread = "subject";
}

/* previous_id of customer.merged: read like a subject, but it names somebody else.  False: it can not
 * be read, or is missing. */
static bool put_previous(struct keys *k, struct span value)
{
	struct span name = span_trim(field_text(value, k->a));
	struct shop_event other = { .shop = k->e->shop };
	struct keys read = { &other, k->a, NULL };

	if (!span_is(k->e->type, "customer.merged"))
		return true;
	if (!name.n || !put_name(&read, name) || other.n_identity == 0)
		return false;
	k->e->previous = other.identity[0];
	return true;
}

/* data.customer */
static void put_customer(struct keys *k, struct span customer)
{
	enum { ID, EMAIL, PHONE, ANONYMOUS, WANTED };
	static const struct span keys[WANTED] = { SPAN_INIT("id"), SPAN_INIT("email"),
		SPAN_INIT("phone"), SPAN_INIT("anonymous_id") };
	struct span f[WANTED];

	if (!customer.p)
		return;
	if (json_kind(customer) != JSON_OBJECT) {
		k->unread = "data.customer";
		return;
	}
	field_pick(customer, keys, f, WANTED);
	put_member(k, IDENTITY_ID, f[ID], "data.customer.id");
	put_member(k, IDENTITY_EMAIL, f[EMAIL], "data.customer.email");
	put_member(k, IDENTITY_PHONE, f[PHONE], "data.customer.phone");
	put_member(k, IDENTITY_ANONYMOUS, f[ANONYMOUS], "data.customer.anonymous_id");
}

enum {
	K_CUSTOMER,
	K_ORDER,
	K_PARCEL,
	K_EMAIL,
	K_PHONE,
	K_ID,
	K_CUSTOMER_ID,
	K_FROM,
	K_PREVIOUS,
	K_WANTED
};

/* The fields that only some types have for keys. */
static void put_own(struct keys *k, const struct span *f)
{
	struct span type = k->e->type;

	if (span_is(type, "customer.created") || span_is(type, "customer.updated")) {
		put_member(k, IDENTITY_ID, f[K_ID].p ? f[K_ID] : f[K_CUSTOMER_ID], "data.id");
		put_member(k, IDENTITY_EMAIL, f[K_EMAIL], "data.email");
		put_member(k, IDENTITY_PHONE, f[K_PHONE], "data.phone");
	} else if (span_starts(type, "call.")) {
		put_member(k, IDENTITY_PHONE, f[K_FROM], "data.from");
	}
	put_member(k, IDENTITY_ORDER, f[K_ORDER], "data.order_id");
	put_member(k, IDENTITY_PARCEL, f[K_PARCEL], "data.tracking_number");
}

/* One of the hidden cards: events about one product, or one store, stay in order. */
static void put_hidden(struct keys *k)
{
	struct span product = field_get(k->e->data, "product_id"), key;
	UNSET char first[BUF_USUAL];
	struct buf text = BUF_ON(first);
	uint32_t hash;

	key = field_text(product.p ? product : field_get(k->e->data, "store"), k->a);
	buf_span(&text, k->e->type);
	buf_char(&text, '\n');
	buf_span(&text, key);
	hash = span_hash(buf_as_span(&text));
	buf_free(&text);
	put_key(k, IDENTITY_HIDDEN,
		span_of(arena_printf(k->a, "%s/%u", k->e->shop->id, hash % HIDDEN_CARDS)));
}

/* Types that mean nothing without a customer. */
static bool needs_customer(struct span type)
{
	return span_starts(type, "customer.") || span_starts(type, "message.") ||
	       span_starts(type, "task.");
}

struct admit_keys_fault admit_keys(
	struct shop_event *e, const struct admit_envelope *env, struct arena *a)
{
	static const struct span keys[K_WANTED] = { [K_CUSTOMER] = SPAN_INIT("customer"),
		[K_ORDER] = SPAN_INIT("order_id"),
		[K_PARCEL] = SPAN_INIT("tracking_number"),
		[K_EMAIL] = SPAN_INIT("email"),
		[K_PHONE] = SPAN_INIT("phone"),
		[K_ID] = SPAN_INIT("id"),
		[K_CUSTOMER_ID] = SPAN_INIT("customer_id"),
		[K_FROM] = SPAN_INIT("from"),
		[K_PREVIOUS] = SPAN_INIT("previous_id") };
	struct span f[K_WANTED];
	struct keys k = { e, a, NULL };

	field_pick(e->data, keys, f, K_WANTED);
	e->about = f[K_CUSTOMER];
	if (!put_previous(&k, f[K_PREVIOUS]))
		return (struct admit_keys_fault){ "previous_id is missing or can not be read",
			"data.previous_id" };
	if (env->customer > 0) {
		e->identity[0].kind = IDENTITY_CUSTOMER;
		e->identity[0].value = span_of(arena_printf(a, "%lld", (long long)env->customer));
		e->n_identity = 1;
		return (struct admit_keys_fault){ NULL, NULL };
	}
	put_subject(&k, env->subject);
	put_customer(&k, f[K_CUSTOMER]);
	put_own(&k, f);
	if (e->n_identity > 0)
		return (struct admit_keys_fault){ NULL, NULL };
	if (k.unread)
		return (struct admit_keys_fault){ "the customer's key can not be read", k.unread };
	if (needs_customer(e->type))
		return (struct admit_keys_fault){
			"names no customer; give subject or data.customer", "data.customer"
		};
	put_hidden(&k);
	return (struct admit_keys_fault){ NULL, NULL };
}
