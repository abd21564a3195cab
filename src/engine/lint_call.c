/*
 * lint_call.c: one field, one call.  Names that nobody has are found when the file is loaded.
 *
 * The texts are those that the engine itself has when the line runs, so that a marketer meets one language.
 * The fields of calls stand in the binds too, as do the read-only ones of set{}: tests/unit/lint_test runs a rule
 * that uses all of them past both.
 */
#include "base/duration.h"
#include "base/json.h"
#include "engine/binds.h"
#include "engine/card.h"
#include "engine/lint_int.h"
#include "engine/liquid.h"
#include "model/staff.h"

#include <stdio.h>
#include <string.h>

enum { LINT_WAIT_MOST_DAYS = 400 };

static bool lint_has_word(const char *const *words, struct span s)
{
	for (; *words; words++)
		if (span_is(s, *words))
			return true;
	return false;
}

/*** fields ***/

/* The list of fields that a path may be in. */
struct lint_fields {
	const struct vocabulary_field *v;
	size_t n;
};

/* Does the field stand right below the prefix ("" or "orders.")?  Then its own name. */
static const char *lint_below(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(path, prefix, n) == 0 && path[n] && !strchr(path + n, '.') ? path + n : NULL;
}

struct lint_path {
	char prefix[LINT_PATH]; /* "" or "orders." */
	const char *last;
	bool is_known;
	bool is_closed; /* the vocabulary tells all fields at this place */
	struct suggest near;
};

static void lint_path_init(struct lint_path *p, const char *path)
{
	const char *dot = strrchr(path, '.');

	*p = (struct lint_path){ .last = dot ? dot + 1 : path };
	if (dot)
		span_into((struct span){ path, (size_t)(dot + 1 - path) }, p->prefix,
			sizeof p->prefix);
	suggest_init(&p->near, p->last);
}

/* Looks for it in one more list. */
static void lint_path_try(struct lint_path *p, struct lint_fields fields)
{
	for (size_t i = 0; i < fields.n; i++) {
		const char *name = lint_below(fields.v[i].path, p->prefix);

		if (!name)
			continue;
		p->is_closed = true;
		if (strcmp(name, p->last) == 0)
			p->is_known = true;
		suggest_offer(&p->near, name);
	}
}

/* "order.placed", "order.paid or order.shipped", ... */
static const char *lint_type_names(struct lint *l, const struct lint_types *t)
{
	if (t->n == 1)
		return t->v[0]->name;
	if (t->n == 2)
		return arena_printf(&l->arena, "%s or %s", t->v[0]->name, t->v[1]->name);
	return arena_printf(&l->arena, "%s and others", t->v[0]->name);
}

/* A field of an event of known types. */
static void lint_event_field(struct lint *l, const struct lint_node *n, const struct lint_value *v)
{
	static const char *const free_names[] = { "customer", "meta", NULL };
	struct lint_path p;
	const char *of = v->name.n ? lint_string(l, v->name) : "event";

	lint_path_init(&p, v->path);
	if (v->types.open || !v->types.n || strncmp(v->path, "customer.", 9) == 0 ||
		lint_has_word(free_names, span_of(v->path)) ||
		(v->is_answer && strcmp(v->path, "outcome") == 0))
		return;
	for (int i = 0; i < v->types.n; i++)
		lint_path_try(
			&p, (struct lint_fields){ v->types.v[i]->fields, v->types.v[i]->n_fields });
	if (p.is_known || (!p.is_closed && *p.prefix))
		return;
	if (p.near.best)
		lint_say(l, LINT_WARNING, n->line, "%s: %s has no field \"%s%s\"%s", of,
			lint_type_names(l, &v->types), p.prefix, p.last, lint_mean(l, &p.near));
	else if (vocabulary_kind(NULL, span_of(v->path)) == FIELD_ANY)
		lint_say(l, LINT_WARNING, n->line,
			"%s: %s has no field \"%s%s\" in the vocabulary; is it one of your store's own?",
			of, lint_type_names(l, &v->types), p.prefix, p.last);
}

/* Parts of the card that refuse what they do not have; what is in lists and free objects is nil. */
static bool lint_card_is_strict(const char *prefix)
{
	static const char *const parts[] = { "", "orders.", "value.", "consent.", NULL };

	return lint_has_word(parts, span_of(prefix));
}

static void lint_card_field(struct lint *l, const struct lint_node *n, const struct lint_value *v)
{
	struct lint_path p;
	struct lint_fields fields;

	lint_path_init(&p, v->path);
	fields.v = vocabulary_card(&fields.n);
	lint_path_try(&p, fields);
	if (strcmp(v->path, "segments") == 0)
		lint_say(l, LINT_ERROR, n->line,
			"customer.segments: segments are not available in this version");
	else if (p.is_closed && !p.is_known)
		lint_say(l, lint_card_is_strict(p.prefix) ? LINT_ERROR : LINT_WARNING, n->line,
			"customer.%s%s: no such field%s", p.prefix, p.last, lint_mean(l, &p.near));
}

static void lint_order_field(struct lint *l, const struct lint_node *n, const struct lint_value *v)
{
	struct lint_path p;
	struct lint_fields fields;

	lint_path_init(&p, v->path);
	fields.v = vocabulary_order(&fields.n);
	lint_path_try(&p, fields);
	if (p.is_closed && !p.is_known)
		lint_say(l, LINT_WARNING, n->line, "an order of orders{} has no field \"%s%s\"%s",
			p.prefix, p.last, lint_mean(l, &p.near));
}

/* One of a list of words: else the near one is told. */
static void lint_one_of(struct lint *l, const struct lint_node *n, const struct lint_node *key,
	const char *const *words, const char *what)
{
	struct suggest s;

	if (key->kind != LINT_TEXT || lint_has_word(words, key->text))
		return;
	suggest_init(&s, lint_string(l, key->text));
	for (; *words; words++)
		suggest_offer(&s, *words);
	lint_say(l, LINT_ERROR, n->line, "%s \"%s\"%s", what, lint_string(l, key->text),
		lint_mean(l, &s));
}

/* object.name */
static void lint_index(struct lint *l, const struct lint_node *n)
{
	static const char *const meta[] = { "id", "type", "source", "store", "seq", "time",
		"received", "claimed_time", NULL };
	struct lint_value of = lint_value_of(l->binds, n->kids), v = lint_value_of(l->binds, n);
	const struct lint_node *key = lint_kid(n, 1);

	if (of.is_list || key->kind != LINT_TEXT)
		return;
	switch (of.thing) {
	case LINT_UNKNOWN: return;
	case LINT_META: lint_one_of(l, n, key, meta, "event.meta has no"); return;
	case LINT_MESSAGE:
		lint_one_of(l, n, key, what_outcomes(WHAT_MESSAGE), "a message has no outcome");
		return;
	case LINT_TASK:
		lint_one_of(l, n, key, what_outcomes(WHAT_TASK), "a task has no outcome");
		return;
	case LINT_EVENT:
		if (v.thing == LINT_EVENT)
			lint_event_field(l, n, &v);
		return;
	case LINT_CARD:
		if (v.thing == LINT_CARD)
			lint_card_field(l, n, &v);
		return;
	case LINT_ORDER:
		if (v.thing == LINT_ORDER)
			lint_order_field(l, n, &v);
		return;
	}
}

/*** what is handed to calls ***/

static void lint_duration(struct lint *l, const struct lint_node *n, const char *what, bool is_wait)
{
	struct duration d;
	struct err err = { 0 };

	if (!n || n->kind != LINT_TEXT)
		return;
	if (!duration_parse(n->text, 0, &d, &err)) {
		lint_say(l, LINT_ERROR, n->line, "%s: %s", what, err.text);
		return;
	}
	if (!is_wait)
		return;
	if (d.days == 0 && d.us == 0)
		lint_say(l, LINT_WARNING, n->line, "%s \"%s\" is no time at all", what,
			lint_string(l, n->text));
	else if (duration_about_us(d) > INT64_C(86400000000) * LINT_WAIT_MOST_DAYS)
		lint_say(l, LINT_WARNING, n->line, "%s \"%s\" is longer than %d days", what,
			lint_string(l, n->text), LINT_WAIT_MOST_DAYS);
}

/* "18:00" */
static bool lint_is_clock(struct span s)
{
	int hour, minute;

	if (s.n != 5 || s.p[2] != ':')
		return false;
	for (int i = 0; i < 5; i++)
		if (i != 2 && (s.p[i] < '0' || s.p[i] > '9'))
			return false;
	hour = (s.p[0] - '0') * 10 + s.p[1] - '0';
	minute = (s.p[3] - '0') * 10 + s.p[4] - '0';
	return hour < 24 && minute < 60;
}

/* today "18:00", next_time "monday 09:00" */
static void lint_clock(struct lint *l, const struct lint_node *n, const char *call, bool with_day)
{
	static const char *const days[] = { "day", "monday", "tuesday", "wednesday", "thursday",
		"friday", "saturday", "sunday", "workday", NULL };
	const char *blank;
	struct span clock, day;

	if (!n || n->kind != LINT_TEXT)
		return;
	clock = n->text;
	blank = with_day ? memchr(clock.p, ' ', clock.n) : NULL;
	if (blank) {
		day = (struct span){ clock.p, (size_t)(blank - clock.p) };
		clock = (struct span){ blank + 1, clock.n - day.n - 1 };
		if (!lint_has_word(days, day)) {
			const char *near = suggest_word(lint_string(l, day), days);

			lint_say(l, LINT_ERROR, n->line, "%s: unknown day \"%s\"%s%s%s", call,
				lint_string(l, day), near ? "; did you mean \"" : "",
				near ? near : "", near ? "\"?" : "");
			return;
		}
	}
	if (!lint_is_clock(clock))
		lint_say(l, LINT_ERROR, n->line, "%s: \"%s\" is no time of day; write \"18:00\"",
			call, lint_string(l, clock));
}

/* An event type, or a list of these. */
static void lint_what(struct lint *l, const struct lint_node *n, const char *call)
{
	struct err err = { 0 };

	if (n && n->kind == LINT_TEXT && !what_check_type(n->text, &err))
		lint_say(l, LINT_ERROR, n->line, "%s: %s", call, err.text);
	if (n && n->kind == LINT_TABLE)
		for (const struct lint_node *f = n->kids; f; f = f->next)
			if (f->kids && !f->kids->next)
				lint_what(l, f->kids, call);
}

static const char *lint_staff_name(const struct staff *staff, bool group, size_t i)
{
	return group ? staff->groups[i].name : staff->managers[i].name;
}

/* A manager or group of the configuration. */
static void lint_staff(struct lint *l, const struct lint_node *n, const char *call, bool group)
{
	const struct staff *staff = l->judge->env.staff;
	struct suggest s;

	if (n && !group &&
		(n->kind == LINT_TABLE || (n->kind == LINT_TEXT && act_is_policy(n->text)))) {
		lint_say(l, LINT_ERROR, n->line,
			"%s: assign names one manager of the configuration, not %s; for anybody of a "
			"group write group = \"NAME\" without assign",
			call, n->kind == LINT_TABLE ? "a list" : "a way to choose one");
		return;
	}

	if (!staff || !n || n->kind != LINT_TEXT)
		return;
	suggest_init(&s, lint_string(l, n->text));
	for (size_t i = 0; i < (group ? staff->ngroups : staff->nmanagers); i++) {
		if (span_is(n->text, lint_staff_name(staff, group, i)))
			return;
		suggest_offer(&s, lint_staff_name(staff, group, i));
	}
	lint_say(l, LINT_ERROR, n->line, "%s: there is no %s \"%s\"%s", call,
		group ? "group" : "manager", s.wrong,
		s.best ? lint_mean(l, &s) : " in the configuration");
}

/* email{ to= }: an address, somebody, or "head". */
static void lint_to(struct lint *l, const struct lint_node *n)
{
	const struct staff *staff = l->judge->env.staff;
	struct suggest s;

	if (!staff || !n || n->kind != LINT_TEXT || memchr(n->text.p, '@', n->text.n) ||
		span_is(n->text, "customer") || span_is(n->text, "head"))
		return;
	suggest_init(&s, lint_string(l, n->text));
	for (int group = 0; group < 2; group++)
		for (size_t i = 0; i < (group ? staff->ngroups : staff->nmanagers); i++) {
			if (span_is(n->text, lint_staff_name(staff, group, i)))
				return;
			suggest_offer(&s, lint_staff_name(staff, group, i));
		}
	lint_say(l, LINT_ERROR, n->line, "email: \"%s\" is no manager, group or address%s", s.wrong,
		lint_mean(l, &s));
}

/* Fields that a call does not have, and the one that it needs. */
static void lint_fields(struct lint *l, const struct lint_node *call, const struct lint_node *table,
	const char *name, const char *const *keys, const char *needed)
{
	bool computed = false;

	if (!table || table->kind != LINT_TABLE)
		return;
	for (const struct lint_node *f = table->kids; f; f = f->next) {
		const struct lint_node *key = f->kids;
		const char *near;

		if (!key || !key->next || key->kind != LINT_TEXT) {
			computed = true;
			continue;
		}
		if (lint_has_word(keys, key->text))
			continue;
		near = suggest_word(lint_string(l, key->text), keys);
		lint_say(l, LINT_ERROR, key->line, "%s: unknown field \"%s\"%s%s%s", name,
			lint_string(l, key->text), near ? "; did you mean \"" : "",
			near ? near : "", near ? "\"?" : "");
	}
	if (needed && !computed && !lint_field(table, needed))
		lint_say(l, LINT_ERROR, call->line, "%s: field \"%s\" is missing", name, needed);
}

/*** email ***/

static bool lint_is_template(const struct lint *l, struct span name)
{
	for (size_t i = 0; i < l->set->n_templates; i++)
		if (span_eq(l->set->templates[i].name, name))
			return true;
	return false;
}

static void lint_no_template(struct lint *l, const struct lint_node *n)
{
	struct suggest s;

	suggest_init(&s, lint_string(l, n->text));
	for (size_t i = 0; i < l->set->n_templates; i++)
		suggest_offer(&s, lint_string(l, l->set->templates[i].name));
	lint_say(l, LINT_ERROR, n->line, "email: there is no template \"%s\"%s", s.wrong,
		lint_mean(l, &s));
}

/* Is the template there in the language, or in the one without its region? */
static bool lint_has_language(const struct lint *l, struct span name, struct span lang)
{
	size_t n = 0;

	while (n < lang.n && lang.p[n] != '-' && lang.p[n] != '_')
		n++;
	for (size_t i = 0; i < l->set->n_templates; i++)
		if (span_eq(l->set->templates[i].name, name) &&
			(span_eq(l->set->templates[i].lang, lang) ||
				span_eq(l->set->templates[i].lang, (struct span){ lang.p, n })))
			return true;
	return false;
}

/* Who has a language that the template has not reads the store's; so the store's should be there. */
static void lint_languages(struct lint *l, const struct lint_node *n, const struct lint_rule *rule)
{
	const struct judge_env *env = &l->judge->env;
	const struct rule *r = rule ? rule->rule : NULL;
	size_t n_langs = 0;

	for (size_t i = 0; i < l->set->n_templates; i++)
		n_langs += span_eq(l->set->templates[i].name, n->text);
	for (size_t i = 0; n_langs > 1 && i < env->n_shops; i++) {
		const struct shop *shop = &env->shops[i];
		bool wanted = !r || !r->n_stores;

		for (unsigned k = 0; r && k < r->n_stores; k++)
			wanted |= strcmp(r->stores[k], shop->id) == 0;
		if (wanted && !lint_has_language(l, n->text, span_of(shop->lang)))
			lint_say(l, LINT_WARNING, n->line,
				"email: template \"%s\" is not there in \"%s\", the language of store \"%s\"",
				lint_string(l, n->text), shop->lang, shop->id);
	}
}

/* Has the template, in this language, a link to unsubscribe?  What does not parse is told by others. */
static bool lint_has_unsubscribe(struct lint *l, const struct template_text *t)
{
	struct arena a = { 0 };
	struct err err = { 0 };
	struct liquid *parsed;
	struct span text;
	bool has = true;

	if (json_get(t->body, SPAN("html"), &text) || json_get(t->body, SPAN("txt"), &text)) {
		parsed = liquid_parse(json_text(text, &a), lint_string(l, t->name), &a, &err);
		has = !parsed || liquid_has_root(parsed, "unsubscribe_url");
	}
	arena_fini(&a);
	return has;
}

/* Marketing to the customer without a way out. */
static void lint_unsubscribe(struct lint *l, const struct lint_node *table,
	const struct lint_node *n, const struct lint_rule *rule)
{
	const struct lint_node *class_ = lint_field(table, "class");
	enum message_class c;

	if (lint_field(table, "to") || (class_ && class_->kind != LINT_TEXT))
		return;
	if (class_ ? !message_class_parse(class_->text, &c) : !rule || !rule->rule)
		return;
	if (!class_)
		c = rule->rule->class_;
	for (size_t i = 0; c != CLASS_TRANSACTIONAL && i < l->set->n_templates; i++) {
		const struct template_text *t = &l->set->templates[i];

		if (span_eq(t->name, n->text) && !lint_has_unsubscribe(l, t))
			lint_say(l, LINT_WARNING, n->line,
				"email: template \"%s\" (%s) of class %s has no link to unsubscribe; put "
				"{{ unsubscribe_url }} into it",
				lint_string(l, t->name), lint_string(l, t->lang),
				message_class_name(c));
	}
}

/* Messages of a channel without couriers wait until they expire, and with them their chains. */
static void lint_nobody(struct lint *l, const struct lint_node *n, const char *section)
{
	lint_say(l, LINT_WARNING, n->line,
		"%s: nobody hands it over: \"couriers\" in section [%s] of the configuration is 0",
		lint_string(l, n->kids->text), section);
}

static void lint_email(struct lint *l, const struct lint_node *n, const struct lint_rule *rule)
{
	static const char *const keys[] = { "template", "to", "with", "subject", "attach", "at",
		"expires", "class", "keep", "reason", NULL };
	static const char *const classes[] = { "transactional", "marketing", "bulk", NULL };
	const struct lint_node *table = lint_kid(n, 1), *name, *class_;

	if (l->env.no_mail)
		lint_nobody(l, n, "mail");
	lint_fields(l, n, table, "email", keys, "template");
	if (!table || table->kind != LINT_TABLE)
		return;
	lint_duration(l, lint_field(table, "at"), "at", false);
	lint_duration(l, lint_field(table, "expires"), "expires", false);
	lint_to(l, lint_field(table, "to"));
	if ((class_ = lint_field(table, "class")))
		lint_one_of(l, class_, class_, classes, "email: unknown class");
	if (!(name = lint_field(table, "template")) || name->kind != LINT_TEXT)
		return;
	if (!lint_is_template(l, name->text)) {
		lint_no_template(l, name);
		return;
	}
	lint_languages(l, name, rule);
	lint_unsubscribe(l, table, name, rule);
}

/*** other calls ***/

static void lint_task(struct lint *l, const struct lint_node *n)
{
	/* escalate is answered below, in more words */
	static const char *const keys[] = { "title", "text", "assign", "group", "deadline",
		"remind", "priority", "order", "call", "results", "keep", "escalate", NULL };
	const struct lint_node *table = lint_kid(n, 1), *escalate;

	lint_fields(l, n, table, "task", keys, "title");
	if (!table || table->kind != LINT_TABLE)
		return;
	lint_duration(l, lint_field(table, "deadline"), "deadline", false);
	lint_duration(l, lint_field(table, "remind"), "remind", false);
	if ((escalate = lint_field(table, "escalate")) != NULL)
		lint_say(l, LINT_ERROR, escalate->line,
			"task: there is no field \"escalate\"; wait for the task, and when its "
			"outcome is \"overdue\" write another one, for somebody else");
	lint_staff(l, lint_field(table, "assign"), "task", false);
	lint_staff(l, lint_field(table, "group"), "task", true);
}

/* set{}: fields of the card, and attributes of any name. */
static void lint_set(struct lint *l, const struct lint_node *n)
{
	static const char *const settable[] = { "name", "first_name", "last_name", "lang", "tz",
		"city", "birthday", "gender", "manager", "consent", NULL };
	static const char *const fixed[] = { "id", "email", "phone", "tags", "attributes", "orders",
		"cart", "segments", "value", "created_at", "last_seen_at", "suppressed", NULL };
	const struct lint_node *table = lint_kid(n, 1);

	if (!table || table->kind != LINT_TABLE)
		return;
	for (const struct lint_node *f = table->kids; f; f = f->next) {
		const struct lint_node *key = f->kids;
		const char *near;

		if (!key || !key->next || key->kind != LINT_TEXT ||
			lint_has_word(settable, key->text))
			continue;
		near = suggest_word(lint_string(l, key->text), settable);
		if (lint_has_word(fixed, key->text))
			lint_say(l, LINT_ERROR, key->line,
				"set: field \"%s\" can not be set by a rule",
				lint_string(l, key->text));
		else if (near)
			lint_say(l, LINT_WARNING, key->line,
				"set: \"%s\" becomes an attribute; did you mean \"%s\"?",
				lint_string(l, key->text), near);
	}
}

/* count, events, orders, bought: { within=, ... } */
static void lint_asks(struct lint *l, const struct lint_node *n)
{
	static const char *const past[] = { "within", "since", "where", "limit", NULL };
	static const char *const order[] = { "id", "status", "since", "within", "limit", NULL };
	static const char *const product[] = { "within", "since", NULL };
	const char *name = lint_string(l, n->kids->text);
	bool is_orders = lint_calls(n, "orders"), is_bought = lint_calls(n, "bought");
	const struct lint_node *table = lint_kid(n, is_orders ? 1 : 2);

	if (!is_orders && !is_bought)
		lint_what(l, lint_kid(n, 1), name);
	lint_fields(l, n, table, name, is_orders ? order : is_bought ? product : past, NULL);
	if (table && table->kind == LINT_TABLE)
		lint_duration(l, lint_field(table, "within"), "within", false);
}

static void lint_wait(struct lint *l, const struct lint_node *n)
{
	const struct lint_node *first = lint_kid(n, 1), *second = lint_kid(n, 2);

	if (lint_calls(n, "wait"))
		lint_duration(l, first, "wait", true);
	lint_what(l,
		second                               ? second
		: first && first->kind == LINT_TABLE ? first
						     : NULL,
		lint_string(l, n->kids->text));
}

/* A type of one's own may be emitted; one that is nearly known is hardly meant. */
static void lint_emitted(struct lint *l, const struct lint_node *n)
{
	struct err err = { 0 };

	if (!n || n->kind != LINT_TEXT)
		return;
	if (!n->text.n || n->text.n > 128 || memchr(n->text.p, '*', n->text.n))
		lint_say(l, LINT_ERROR, n->line,
			"emit: an event type has 1 to 128 bytes, without *");
	else if (span_is(n->text, "customer.merged"))
		lint_say(l, LINT_ERROR, n->line,
			"emit: cards are joined by a store's own customer.merged only");
	else if (!what_check_type(n->text, &err))
		lint_say(l, LINT_WARNING, n->line, "emit: %s", err.text);
}

static void lint_call(struct lint *l, const struct lint_node *n, const struct lint_rule *rule)
{
	static const char *const asks[] = { "count", "events", "orders", "bought", NULL };
	static const char *const whats[] = { "happened", "on", NULL };
	const struct lint_node *first = lint_kid(n, 1), *second = lint_kid(n, 2);
	struct span name = n->kids->text;

	if (n->kids->kind != LINT_NAME || n->kids->var)
		return;
	if (lint_calls(n, "email"))
		lint_email(l, n, rule);
	else if (lint_calls(n, "publish") && l->env.no_publish)
		lint_nobody(l, n, "publish");
	else if (lint_calls(n, "task"))
		lint_task(l, n);
	else if (lint_calls(n, "set"))
		lint_set(l, n);
	else if (lint_calls(n, "emit"))
		lint_emitted(l, first);
	else if (lint_has_word(asks, name))
		lint_asks(l, n);
	else if (lint_calls(n, "wait") || lint_calls(n, "wait_until"))
		lint_wait(l, n);
	else if (lint_has_word(whats, name))
		lint_what(l, first, lint_string(l, name));
	else if (lint_calls(n, "before") || lint_calls(n, "after"))
		lint_duration(l, second, lint_string(l, name), false);
	else if (lint_calls(n, "ago"))
		lint_duration(l, first, "ago", false);
	else if (lint_calls(n, "today") || lint_calls(n, "tomorrow"))
		lint_clock(l, first, lint_string(l, name), false);
	else if (lint_calls(n, "next_time"))
		lint_clock(l, first, "next_time", true);
	else if (lint_calls(n, "working")) {
		lint_duration(l, first, "working", false);
		lint_staff(l, second, "working", true);
	}
}

void lint_look(struct lint *l, struct lint_node *n, const struct lint_rule *rule)
{
	if (n->kind == LINT_INDEX)
		lint_index(l, n);
	else if (n->kind == LINT_CALL)
		lint_call(l, n, rule);
	else if (n->kind == LINT_OP)
		lint_compare(l, n);
}
