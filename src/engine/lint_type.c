/*
 * lint_type.c: fields of known kind compared with words and numbers.
 *
 * `order.total > "1000"` fails when it runs, `order.order_id == 7` is never true: both look right.  Only a field
 * beside a constant is judged, and only where nothing but `and` and `or` stands around the two.
 */
#include "engine/lint_int.h"

#include <string.h>

/* What a field is for comparisons; FIELD_ANY: not known. */
static enum field_kind lint_kind_of(const struct lint *l, const struct lint_node *n)
{
	struct lint_value v = lint_value_of(l->binds, n);
	enum field_kind kind = FIELD_ANY;

	if (v.is_list || !*v.path)
		return FIELD_ANY;
	if (v.thing == LINT_CARD)
		return vocabulary_card_kind(span_of(v.path));
	if (v.thing != LINT_EVENT || (v.is_answer && strcmp(v.path, "outcome") == 0))
		return FIELD_ANY;
	if (v.types.open || !v.types.n)
		kind = vocabulary_kind(NULL, span_of(v.path));
	for (int i = 0; i < v.types.n; i++) {
		enum field_kind k = vocabulary_kind(v.types.v[i], span_of(v.path));

		if ((i > 0 || v.types.open) && k != kind)
			return FIELD_ANY;
		kind = k;
	}
	return kind;
}

/* Can a field of this kind be what the constant is? */
static bool lint_fits(enum field_kind kind, const struct lint_node *constant)
{
	bool is_bool = constant->kind == LINT_CONST;

	switch (kind) {
	case FIELD_TEXT: return constant->kind == LINT_TEXT;
	case FIELD_NUMBER:
	case FIELD_MONEY: return constant->kind == LINT_NUMBER;
	case FIELD_TIME:
	case FIELD_LIST:
	case FIELD_OBJECT: return false;
	case FIELD_BOOL: return is_bool;
	case FIELD_ANY: return true;
	}
	return true;
}

static const char *lint_kind_words(enum field_kind kind)
{
	switch (kind) {
	case FIELD_TEXT: return "a text";
	case FIELD_NUMBER:
	case FIELD_MONEY: return "a number";
	case FIELD_TIME: return "a time";
	case FIELD_BOOL: return "true or false";
	case FIELD_LIST: return "a list";
	case FIELD_OBJECT: return "an object";
	case FIELD_ANY: break;
	}
	return "anything";
}

/* A word, a number, true or false. */
static bool lint_is_constant(const struct lint_node *n)
{
	return n->kind == LINT_TEXT || n->kind == LINT_NUMBER ||
	       (n->kind == LINT_CONST && (span_is(n->text, "true") || span_is(n->text, "false")));
}

/* Does nothing bind closer than `and` and `or` here? */
static bool lint_is_loose(struct span op)
{
	return !op.n || span_is(op, "and") || span_is(op, "or");
}

static void lint_compare_two(struct lint *l, const struct lint_node *field,
	const struct lint_node *constant, bool is_order)
{
	enum field_kind kind = field->kind == LINT_INDEX ? lint_kind_of(l, field) : FIELD_ANY;
	const char *name, *quote = constant->kind == LINT_TEXT ? "\"" : "";

	if (lint_fits(kind, constant))
		return;
	name = lint_string(l, lint_kid(field, 1)->text);
	lint_say(l, is_order ? LINT_ERROR : LINT_WARNING, constant->line,
		"%s is %s, %s%s%s is %s: %s", name, lint_kind_words(kind), quote,
		lint_string(l, constant->text), quote,
		constant->kind == LINT_TEXT     ? "a text"
		: constant->kind == LINT_NUMBER ? "a number"
						: "none",
		is_order ? "they can not be compared" : "they are never equal");
}

void lint_compare(struct lint *l, const struct lint_node *op)
{
	static const char *const orders[] = { "<", "<=", ">", ">=", NULL };

	for (const struct lint_node *x = op->kids; x && x->next; x = x->next) {
		const struct lint_node *y = x->next;
		bool is_order = false;

		for (size_t i = 0; orders[i]; i++)
			is_order |= span_is(y->before, orders[i]);
		if ((!is_order && !span_is(y->before, "==") && !span_is(y->before, "~=")) ||
			x->is_unary || y->is_unary || !lint_is_loose(x->before) ||
			(y->next && !lint_is_loose(y->next->before)))
			continue;
		if (lint_is_constant(y))
			lint_compare_two(l, x, y, is_order);
		else if (lint_is_constant(x))
			lint_compare_two(l, y, x, is_order);
	}
}
