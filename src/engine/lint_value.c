/*
 * lint_value.c: from a name to what it stands for, over locals that never change.
 *
 * A local that is assigned again, a field of a table, the result of a helper are unknown: better silent than
 * wrong.
 */
#include "engine/lint_value.h"

#include "engine/what.h"

#include <stdio.h>
#include <string.h>

enum { LINT_VALUE_DEPTH = 20 };

const char *lint_thing_name(enum lint_thing t)
{
	switch (t) {
	case LINT_UNKNOWN: return "unknown";
	case LINT_EVENT: return "event";
	case LINT_META: return "meta";
	case LINT_CARD: return "customer";
	case LINT_ORDER: return "order";
	case LINT_MESSAGE: return "message";
	case LINT_TASK: return "task";
	}
	return "?";
}

/*** types ***/

void lint_types_add(struct lint_types *t, struct span type)
{
	const struct vocabulary_type *v = vocabulary_find(type);

	if (!v || t->n == LINT_TYPES)
		t->open = true;
	else
		t->v[t->n++] = v;
}

void lint_types_of_what(const struct what *w, struct lint_types *ret)
{
	*ret = (struct lint_types){ .n = 0 };
	for (unsigned i = 0; i < w->n; i++)
		if (w->terms[i].kind == WHAT_EVENT)
			lint_types_add(ret, w->terms[i].type);
		else
			ret->open = true;
}

/* Every outcome of a message or task is an event of these types. */
static void lint_types_add_outcomes(struct lint_types *t, enum lint_thing thing)
{
	enum what_object o = thing == LINT_TASK ? WHAT_TASK : WHAT_MESSAGE;
	char type[64];

	for (const char *const *w = what_outcomes(o); *w; w++) {
		snprintf(type, sizeof type, "%s.%s", what_object_name(o), *w);
		lint_types_add(t, span_of(type));
	}
}

static struct lint_value lint_value_at(
	const struct lint_bind *b, const struct lint_node *n, int depth);

/* Adds what a *what* may be answered with. */
static void lint_types_add_answer(const struct lint_bind *b, const struct lint_node *n, int depth,
	struct lint_types *t, bool *ret_handle)
{
	struct lint_value v;

	if (n && n->kind == LINT_TEXT) {
		lint_types_add(t, n->text);
	} else if (n && n->kind == LINT_TABLE) {
		for (const struct lint_node *f = n->kids; f; f = f->next)
			lint_types_add_answer(b, f->kids, depth, t, ret_handle);
	} else if (n && lint_calls(n, "on")) {
		lint_types_add_answer(b, lint_kid(n, 1), depth, t, ret_handle);
	} else {
		v = lint_value_at(b, n && n->kind == LINT_INDEX ? n->kids : n, depth);
		if (v.thing == LINT_MESSAGE || v.thing == LINT_TASK) {
			lint_types_add_outcomes(t, v.thing);
			*ret_handle = true;
		} else {
			t->open = true;
		}
	}
}

/*** values ***/

static struct lint_value lint_value_of_wait(
	const struct lint_bind *b, const struct lint_node *n, int depth)
{
	struct lint_value v = { .thing = LINT_EVENT };
	const struct lint_node *first = lint_kid(n, 1), *second = lint_kid(n, 2);

	if (!second && (!first || first->kind == LINT_TEXT || lint_calls(n, "wait_until")))
		return (struct lint_value){ .thing = LINT_UNKNOWN };
	lint_types_add_answer(b, second ? second : first, depth, &v.types, &v.is_answer);
	return v;
}

static struct lint_value lint_value_of_call(
	const struct lint_bind *b, const struct lint_node *n, int depth)
{
	struct lint_value v = { .thing = LINT_UNKNOWN };
	bool handle = false;

	if (lint_calls(n, "email"))
		v.thing = LINT_MESSAGE;
	else if (lint_calls(n, "task"))
		v.thing = LINT_TASK;
	else if (lint_calls(n, "wait") || lint_calls(n, "wait_until"))
		return lint_value_of_wait(b, n, depth);
	else if (lint_calls(n, "events"))
		v.thing = LINT_EVENT;
	else if (lint_calls(n, "orders"))
		v.thing = LINT_ORDER;
	v.is_list = v.thing == LINT_EVENT || v.thing == LINT_ORDER;
	if (v.thing == LINT_EVENT)
		lint_types_add_answer(b, lint_kid(n, 1), depth, &v.types, &handle);
	return v;
}

/* A parameter of a function that a rule begins with. */
static struct lint_value lint_value_of_param(const struct lint_bind *b, const struct lint_var *var)
{
	struct lint_value v = { .thing = LINT_UNKNOWN };

	while (b && b->function != var->of)
		b = b->next;
	if (!b || var->nth > 1)
		return v;
	v.thing = var->nth == 0 ? LINT_EVENT : LINT_CARD;
	v.types = b->types;
	return v;
}

/* An element of what `for _, x in ipairs(list)` goes over. */
static struct lint_value lint_value_of_loop(
	const struct lint_bind *b, const struct lint_var *var, int depth)
{
	struct lint_value v = { .thing = LINT_UNKNOWN };

	if (var->of->kind != LINT_IN || var->nth != 1 || !var->init ||
		(!lint_calls(var->init, "ipairs") && !lint_calls(var->init, "pairs")))
		return v;
	v = lint_value_at(b, lint_kid(var->init, 1), depth);
	if (!v.is_list && (!*v.path || lint_calls(var->init, "pairs")))
		v.thing = LINT_UNKNOWN;
	v.is_list = false;
	v.name = var->name;
	return v;
}

static struct lint_value lint_value_of_var(
	const struct lint_bind *b, const struct lint_var *var, int depth)
{
	struct lint_value v = { .thing = LINT_UNKNOWN };

	if (var->is_changed)
		return v;
	switch (var->kind) {
	case LINT_VAR_PARAM: v = lint_value_of_param(b, var); break;
	case LINT_VAR_LOOP: v = lint_value_of_loop(b, var, depth); break;
	case LINT_VAR_LOCAL: v = lint_value_at(b, lint_kid(var->of, var->nth), depth); break;
	}
	v.name = var->name;
	return v;
}

/* a.b and a[b] */
static struct lint_value lint_value_of_index(
	const struct lint_bind *b, const struct lint_node *n, int depth)
{
	const struct lint_node *key = lint_kid(n, 1);
	struct lint_value v = lint_value_at(b, n->kids, depth);
	size_t at = strlen(v.path);

	if (v.thing == LINT_UNKNOWN)
		return v;
	if (key->kind != LINT_TEXT) {
		if (!v.is_list && !*v.path)
			v.thing = LINT_UNKNOWN;
		v.is_list = false;
		return v;
	}
	if (v.is_list || v.thing == LINT_META || v.thing == LINT_MESSAGE || v.thing == LINT_TASK ||
		at + key->text.n + 2 > sizeof v.path || memchr(key->text.p, '.', key->text.n))
		return (struct lint_value){ .thing = LINT_UNKNOWN };
	if (v.thing == LINT_EVENT && !at && span_is(key->text, "meta")) {
		v.thing = LINT_META;
		return v;
	}
	snprintf(v.path + at, sizeof v.path - at, "%s%.*s", at ? "." : "", SPAN_ARG(key->text));
	return v;
}

static struct lint_value lint_value_at(
	const struct lint_bind *b, const struct lint_node *n, int depth)
{
	struct lint_value unknown = { .thing = LINT_UNKNOWN };

	if (!n || depth > LINT_VALUE_DEPTH)
		return unknown;
	if (n->kind == LINT_NAME && n->var)
		return lint_value_of_var(b, n->var, depth + 1);
	if (n->kind == LINT_INDEX)
		return lint_value_of_index(b, n, depth + 1);
	if (n->kind == LINT_CALL)
		return lint_value_of_call(b, n, depth + 1);
	return unknown;
}

struct lint_value lint_value_of(const struct lint_bind *binds, const struct lint_node *n)
{
	return lint_value_at(binds, n, 0);
}

struct lint_node *lint_function_of(struct lint_node *n)
{
	for (int i = 0; n && i < LINT_VALUE_DEPTH; i++) {
		if (n->kind == LINT_FUNCTION)
			return n;
		if (n->kind != LINT_NAME || !n->var || n->var->is_changed ||
			n->var->kind != LINT_VAR_LOCAL)
			return NULL;
		n = lint_kid(n->var->of, n->var->nth);
	}
	return NULL;
}
