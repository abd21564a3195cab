/* render.c: templates by hash, data by name.
 *
 * A template text is JSON {"html":..., "txt":..., "sms":...} (model/rule_set.h).  Its parts are parsed
 * once and kept: a campaign sends thousands of the same.  When too many are kept, all go: the next
 * message brings its own back, and nothing has to be counted.
 *
 * The card becomes JSON with the names of the vocabulary, because the templates' engine walks JSON;
 * what is not known is left out and so renders as nothing.  The subject: `subject` of the message, else
 * the <title> of the HTML, which was escaped by the renderer and is decoded again by mailtext.
 */
#include "courier/render.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "base/tz.h"
#include "engine/card.h"
#include "engine/format.h"
#include "engine/liquid.h"
#include "engine/mailtext.h"
#include "intake/unsubscribe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RENDER_KEPT = 200 };

/* A parsed template. */
struct render_text {
	struct arena arena;
	struct liquid *html, *txt; /* either may be NULL */
};

struct render {
	struct map texts; /* by hash: struct render_text */
	struct format *format;
};

struct render *render_new(void)
{
	struct render *r = xcalloc(1, sizeof *r);

	r->format = format_new();
	return r;
}

static void render_forget(void *arg, struct span key, void *value)
{
	struct render_text *t = value;

	(void)arg;
	(void)key;
	arena_fini(&t->arena);
	free(t);
}

void render_free(struct render *r)
{
	if (r == NULL)
		return;
	map_each(&r->texts, render_forget, NULL);
	map_fini(&r->texts);
	format_free(r->format);
	free(r);
}

bool render_knows(const struct render *r, struct span template_hash)
{
	return map_get(&r->texts, template_hash) != NULL;
}

/* One part of a template, if it has it. */
static bool render_part(struct render_text *t, struct span body, const char *part, const char *name,
	struct liquid **ret, struct err *err)
{
	struct span text;

	if (!json_get(body, span_of(part), &text))
		return true;
	*ret = liquid_parse(json_text(text, &t->arena), name, &t->arena, err);
	return *ret != NULL;
}

bool render_template(struct render *r, struct span template_hash, struct span body, struct err *err)
{
	struct render_text *t = xcalloc(1, sizeof *t);
	struct json_fault fault;

	if (!json_check_all(body, &fault)) {
		err_set(err, "the template's text is broken: %s", fault.what);
		goto fail;
	}
	if (!render_part(t, body, "html", "html", &t->html, err) ||
		!render_part(t, body, "txt", "txt", &t->txt, err))
		goto fail;
	if (t->html == NULL && t->txt == NULL) {
		err_set(err, "the template has neither an .html nor a .txt");
		goto fail;
	}
	if (r->texts.n >= RENDER_KEPT) {
		map_each(&r->texts, render_forget, NULL);
		map_fini(&r->texts);
	}
	map_put(&r->texts, template_hash, t);
	return true;
fail:
	render_forget(NULL, template_hash, t);
	return false;
}

/*** the data ***/

static void put_text(struct buf *b, const char *key, struct span text)
{
	if (text.p == NULL)
		return;
	json_put_key(b, key);
	json_put_text(b, text);
}

static void put_json(struct buf *b, const char *key, struct span json, const char *empty)
{
	json_put_key(b, key);
	buf_span(b, json.n ? json : span_of(empty));
}

static void put_time(struct buf *b, const char *key, int64_t at_us)
{
	char text[32];

	if (at_us != TIME_NONE)
		put_text(b, key, span_of(clock_format_rfc3339(at_us, text)));
}

static void put_number(struct buf *b, const char *key, double value)
{
	json_put_key(b, key);
	json_put_number(b, value);
}

/* orders and value: what the card knows of his orders. */
static void put_orders(struct buf *b, const struct customer *card, int64_t now_us)
{
	double value[CARD_SPANS];

	card_value(card, now_us, value);
	json_put_key(b, "orders");
	buf_char(b, '{');
	put_number(b, "count", (double)card->orders_count);
	put_number(b, "total", card->orders_total);
	put_number(b, "average", card_orders_average(card));
	put_time(b, "first_at", card->orders_first_us);
	put_time(b, "last_at", card->orders_last_us);
	put_text(b, "last_id", card->orders_last_id);
	buf_char(b, '}');
	json_put_key(b, "value");
	buf_char(b, '{');
	put_number(b, "m6", value[CARD_M6]);
	put_number(b, "m12", value[CARD_M12]);
	put_number(b, "m24", value[CARD_M24]);
	put_number(b, "life", value[CARD_LIFE]);
	buf_char(b, '}');
}

void render_card(const struct customer *card, int64_t now_us, struct buf *out)
{
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)card->id);
	buf_char(out, '{');
	put_text(out, "id", span_of(id));
	for (int i = 0; i < CARD_TEXTS; i++)
		put_text(out, card_text_names[i], card->text[i]);
	put_json(out, "tags", card->json[CARD_TAGS], "[]");
	put_json(out, "attributes", card->json[CARD_ATTRIBUTES], "{}");
	put_json(out, "consent", card->json[CARD_CONSENT], "{}");
	put_json(out, "cart", card->json[CARD_CART], "{}");
	put_orders(out, card, now_us);
	put_time(out, "created_at", card->created_us);
	put_time(out, "last_seen_at", card->last_seen_us);
	buf_char(out, '}');
}

/* The shop, as templates see it. */
static void render_store(const struct shop *shop, struct buf *out)
{
	buf_char(out, '{');
	put_text(out, "id", span_of(shop->id));
	put_text(out, "currency", span_of(shop->currency));
	put_text(out, "language", span_of(shop->lang));
	put_text(out, "zone", span_of(shop->zone));
	put_text(out, "from", span_of(shop->from));
	put_text(out, "reply_to", span_of(shop->reply_to));
	buf_char(out, '}');
}

/* A member of the message's data, {} when there is none. */
static struct span render_member(const struct claim *c, struct span name)
{
	struct span value;

	return c->m.data.n && json_get(c->m.data, name, &value) ? value : SPAN("{}");
}

/* Keeps what stands in the buf in the arena and empties it. */
static struct span render_keep(struct arena *a, struct buf *b)
{
	struct span kept = { arena_dup(a, b->n ? b->p : "", b->n), b->n };

	buf_clear(b);
	return kept;
}

/*** rendering ***/

static const struct tz *render_zone(const struct claim *c, struct arena *a)
{
	struct span zone = c->card.text[CARD_TZ];
	const struct tz *tz = zone.n ? tz_get(arena_dup(a, zone.p, zone.n)) : NULL;

	return tz ? tz : tz_get(c->m.shop->zone);
}

/* The link of the footer; only a mail to the customer himself has one. */
static struct span render_link(
	const struct claim *c, const struct render_options *o, struct arena *a, struct buf *b)
{
	const struct unsubscribe u = { c->m.id, c->m.customer, span_of(c->m.shop->id),
		c->m.channel };

	if (!c->is_own || !*o->public_url || !*o->sign_key)
		return (struct span){ NULL, 0 };
	unsubscribe_link(b, span_of(o->public_url), span_of(o->sign_key), &u);
	return render_keep(a, b);
}

/* Renders one part into the arena. */
static bool render_one(const struct liquid *l, struct liquid_env *env, enum liquid_escape escape,
	struct arena *a, struct span *ret, struct err *err)
{
	struct buf b = { 0 };
	bool ok;

	env->escape = escape;
	ok = liquid_render(l, env, &b, err);
	if (ok)
		*ret = render_keep(a, &b);
	buf_free(&b);
	return ok;
}

/* Both parts and the subject from a template. */
static bool render_parts(const struct render_text *t, struct liquid_env *env, const struct claim *c,
	struct arena *a, struct rendered *out, struct err *err)
{
	struct buf b = { 0 };

	if ((t->html && !render_one(t->html, env, LIQUID_HTML, a, &out->html, err)) ||
		(t->txt && !render_one(t->txt, env, LIQUID_PLAIN, a, &out->text, err)))
		return false;
	if (t->txt == NULL) {
		mailtext_derive(out->html, &b);
		out->text = render_keep(a, &b);
	}
	out->subject = c->m.subject;
	if (out->subject.n == 0 && mailtext_title(out->html, &b))
		out->subject = render_keep(a, &b);
	buf_free(&b);
	return out->subject.n > 0 ||
	       err_set(err, "the mail has no subject: the template needs a <title>");
}

bool render_message(struct render *r, const struct claim *c, const struct render_options *o,
	struct arena *a, struct rendered *ret, struct err *err)
{
	const struct render_text *t = map_get(&r->texts, c->m.template_hash);
	struct rendered out = { .html = { NULL, 0 } };
	struct buf b = { 0 };
	struct liquid_root roots[] = { { "customer", { NULL, 0 } },
		{ "event", render_member(c, SPAN("event")) }, { "store", { NULL, 0 } },
		{ "with", render_member(c, SPAN("with")) } };
	struct liquid_text texts[] = { { "unsubscribe_url", { NULL, 0 } } };
	struct liquid_env env = { .roots = roots,
		.n_roots = 4,
		.texts = texts,
		.n_texts = 1,
		.currency = c->m.shop->currency,
		.now_us = c->now_us,
		.format = r->format };
	bool ok;

	if (t == NULL)
		return err_set(err, "the template is not there");
	render_card(&c->card, c->now_us, &b);
	roots[0].json = render_keep(a, &b);
	render_store(c->m.shop, &b);
	roots[2].json = render_keep(a, &b);
	out.unsubscribe = render_link(c, o, a, &b);
	texts[0].text = out.unsubscribe.p ? out.unsubscribe : SPAN("");
	env.language = c->m.lang.n ? arena_dup(a, c->m.lang.p, c->m.lang.n) : c->m.shop->lang;
	env.zone = render_zone(c, a);
	ok = render_parts(t, &env, c, a, &out, err);
	if (ok)
		*ret = out;
	else if (c->m.template_name.n)
		err_prefix(err, "template \"%.*s\": ", SPAN_ARG(c->m.template_name));
	buf_free(&b);
	return ok;
}
