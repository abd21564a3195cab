/*
 * arbiter.c: consent and suppression.
 *
 * Marketing and bulk obey what the customer said, and the store's default where he said nothing.  A
 * transactional message is part of a deal he made: a "no" to advertising does not stop it; only the
 * store's default, without a "yes" of his, does.  An unsubscription is such a "no"; an address that bounced or
 * complained gets nothing.
 */
#include "engine/arbiter.h"

#include "base/json.h"
#include "engine/sitting.h"

#include <string.h>

/* What the store assumes of a class. */
static bool arbiter_default(const struct shop *shop, enum message_class class_)
{
	switch (class_) {
	case CLASS_TRANSACTIONAL: return shop->consent_transactional;
	case CLASS_MARKETING: return shop->consent_marketing;
	case CLASS_BULK: return shop->consent_bulk;
	}
	return false;
}

static bool arbiter_is_suppressed(
	const struct customer *card, struct span channel, enum message_class class_)
{
	struct span why;

	if (!card->json[CARD_SUPPRESSED].n ||
		!json_get(card->json[CARD_SUPPRESSED], channel, &why) || json_is_null(why))
		return false;
	return class_ != CLASS_TRANSACTIONAL || !json_text_is(why, SPAN("unsubscribed"));
}

const char *arbiter_refuses(const struct customer *card, const struct shop *shop,
	enum message_channel channel, enum message_class class_)
{
	struct span word = span_of(message_channel_name(channel)), said;
	bool may = arbiter_default(shop, class_);

	if (channel == CHANNEL_EMAIL && !card->text[CARD_EMAIL].n)
		return "no_address";
	if (arbiter_is_suppressed(card, word, class_))
		return "suppressed";
	if (card->json[CARD_CONSENT].n && json_get(card->json[CARD_CONSENT], word, &said)) {
		if (json_kind(said) == JSON_TRUE)
			may = true;
		else if (json_kind(said) == JSON_FALSE && class_ != CLASS_TRANSACTIONAL)
			may = false;
	}
	return may ? NULL : "no_consent";
}

/* The template of that name and language. */
static const struct judge_template *arbiter_find(
	const struct judge_template *first, size_t n, struct span lang)
{
	for (size_t i = 0; i < n; i++)
		if (lang.n && span_eq(first[i].lang, lang))
			return &first[i];
	return NULL;
}

/* In a language or, when it names a region, in the language without it. */
static const struct judge_template *arbiter_find_any(
	const struct judge_template *first, size_t n, struct span lang)
{
	const struct judge_template *t = arbiter_find(first, n, lang);
	size_t main_n = 0;

	while (main_n < lang.n && lang.p[main_n] != '-' && lang.p[main_n] != '_')
		main_n++;
	return t ? t : arbiter_find(first, n, (struct span){ lang.p, main_n });
}

const struct judge_template *arbiter_template(const struct judge *j, struct span name,
	const struct customer *card, const struct shop *shop)
{
	size_t low = 0, high = j->n_templates, n = 0;
	const struct judge_template *first, *t;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (span_cmp(j->templates[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	first = j->templates + low;
	while (low + n < j->n_templates && span_eq(first[n].name, name))
		n++;
	if (!n)
		return NULL;
	t = arbiter_find_any(first, n, card->text[CARD_LANG]);
	if (!t && shop)
		t = arbiter_find_any(first, n, span_of(shop->lang));
	return t ? t : first;
}
