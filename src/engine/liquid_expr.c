/*
 * liquid_expr.c: what stands inside tags: values, paths, ranges, filters, conditions.
 *
 * Recursive descent, strict (Liquid's strict2): what is left over or not understood is an error with
 * its line and, where we know it, the likely right word.  Brackets and ranges count as depth.
 */
#include "base/suggest.h"
#include "engine/liquid_filter.h"
#include "engine/liquid_parse.h"

#include <stdlib.h>
#include <string.h>

/* Puts "template:line: " before the error.  Always returns false. */
bool parse_at(struct parse *p, int line)
{
	return err_prefix(p->err, "%s:%d: ", p->out->name, line);
}

/* Says what stands where something else was expected.  Always returns false. */
bool parse_expected(struct parse *p, const struct lex *l, const char *what)
{
	if (l->kind == LEX_CURLY) {
		err_set(p->err, "typographic quote where a straight one belongs");
		err_hint(p->err, "write \" or ' around texts");
	} else if (l->kind == LEX_OPEN) {
		err_set(p->err, "text %.20s is not closed; write the same quote at its end",
			(char *)arena_dup(p->arena, l->text.p, l->text.n));
	} else if (l->kind == LEX_END) {
		err_set(p->err, "%s is missing at the end", what);
	} else if (l->kind == LEX_BAD && l->text.p[0] == '-') {
		err_set(p->err, "\"-\" where %s was expected; for arithmetic write | minus: 1",
			what);
	} else {
		err_set(p->err, "\"%.*s\" where %s was expected", SPAN_ARG(l->text), what);
	}
	return parse_at(p, lex_line(l));
}

/* Finds or makes the slot of a name. */
static int parse_slot(struct parse *p, struct span name)
{
	struct liquid *out = p->out;
	int i;

	for (i = 0; i < out->n_slots; i++)
		if (span_eq(out->slots[i].name, name))
			return i;
	out->slots = mem_grow(out->slots, (size_t)out->n_slots, &p->cap_slots, sizeof *out->slots);
	out->slots[out->n_slots] =
		(struct tree_slot){ .name = { arena_dup(p->arena, name.p, name.n), name.n } };
	return out->n_slots++;
}

/* The slot of a name that the template itself gives a value. */
int parse_local(struct parse *p, struct span name)
{
	int slot = parse_slot(p, name);

	p->out->slots[slot].is_local = true;
	return slot;
}

/* One level deeper; every level ends with p->depth--. */
bool parse_deeper(struct parse *p, int line)
{
	if (p->depth < LIQUID_DEEPEST) {
		p->depth++;
		return true;
	}
	err_set(p->err, "nested more than %d deep", LIQUID_DEEPEST);
	return parse_at(p, line);
}

bool parse_is_word(const struct lex *l, const char *word)
{
	return l->kind == LEX_NAME && span_is(l->text, word);
}

/* Takes the token if it is of this kind. */
bool parse_accept(struct lex *l, enum lex_kind kind)
{
	if (l->kind != kind)
		return false;
	lex_next(l);
	return true;
}

bool parse_need(struct parse *p, struct lex *l, enum lex_kind kind)
{
	return parse_accept(l, kind) || parse_expected(p, l, lex_kind_name(kind));
}

bool parse_need_end(struct parse *p, struct lex *l)
{
	return l->kind == LEX_END || parse_expected(p, l, "the end of the tag");
}

/* ---- expressions ---- */

/* Reads the digits of a number literal. */
static bool parse_number(struct parse *p, const struct lex *l, struct value *ret)
{
	char *text = arena_dup(p->arena, l->text.p, l->text.n);
	int64_t i;

	if (l->kind == LEX_INTEGER && span_to_i64(l->text, &i))
		*ret = value_integer(i);
	else
		*ret = value_float(strtod(text, NULL));
	return true;
}

/* The words that are values: nil, true, empty, ... */
static bool parse_literal_word(struct span word, struct value *ret)
{
	static const struct {
		const char *word;
		struct value value;
	} rows[] = {
		{ "nil", { .kind = VALUE_NIL } },
		{ "null", { .kind = VALUE_NIL } },
		{ "true", { .kind = VALUE_BOOL, .truth = true } },
		{ "false", { .kind = VALUE_BOOL } },
		{ "blank", { .kind = VALUE_BLANK } },
		{ "empty", { .kind = VALUE_EMPTY } },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		if (span_is(word, rows[i].word)) {
			*ret = rows[i].value;
			return true;
		}
	return false;
}

/* [ expression ] */
static bool parse_brackets(struct parse *p, struct lex *l, struct tree_expr **ret)
{
	bool ok;

	if (!parse_deeper(p, lex_line(l)))
		return false;
	lex_next(l);
	ok = parse_expr(p, l, ret) && parse_need(p, l, LEX_BRACKET_CLOSE);
	p->depth--;
	return ok;
}

/* The steps behind a name: .a["b"][0] */
static bool parse_steps(struct parse *p, struct lex *l, struct tree_step **to)
{
	while (l->kind == LEX_DOT || l->kind == LEX_BRACKET_OPEN) {
		struct tree_step *step = arena_new(p->arena, struct tree_step);

		if (l->kind == LEX_BRACKET_OPEN) {
			if (!parse_brackets(p, l, &step->index))
				return false;
		} else {
			lex_next(l);
			if (l->kind != LEX_NAME)
				return parse_expected(p, l, "the name of a property");
			step->key = value_text(l->text);
			step->is_dot = true;
			lex_next(l);
		}
		*to = step;
		to = &step->next;
	}
	return true;
}

/* Notes a use for liquid_roots. */
static void parse_note_use(struct parse *p, const struct tree_expr *e, int line)
{
	struct tree_use *use = arena_new(p->arena, struct tree_use);

	*use = (struct tree_use){ .slot = e->slot, .path = e->source, .line = line };
	*p->last_use = use;
	p->last_use = &use->next;
}

/* name.steps or [name].steps */
static bool parse_variable(struct parse *p, struct lex *l, struct tree_expr *e)
{
	int line = lex_line(l);
	const char *from = l->text.p;

	e->kind = EXPR_VARIABLE;
	e->slot = LIQUID_NO_SLOT;
	if (l->kind == LEX_NAME) {
		e->slot = parse_slot(p, l->text);
		lex_next(l);
	} else {
		if (!parse_brackets(p, l, &e->from))
			return false;
		if (e->from->kind == EXPR_VALUE && e->from->value.kind == VALUE_TEXT)
			e->slot = parse_slot(p, e->from->value.text);
	}
	if (!parse_steps(p, l, &e->steps))
		return false;
	e->source = span_trim((struct span){ from, (size_t)(l->text.p - from) });
	if (l->kind == LEX_STRING) /* its text begins behind the quote */
		e->source = span_trim((struct span){ from, (size_t)(l->text.p - 1 - from) });
	if (e->slot != LIQUID_NO_SLOT)
		parse_note_use(p, e, line);
	return true;
}

/* (from..to) */
static bool parse_range(struct parse *p, struct lex *l, struct tree_expr *e)
{
	const char *from = l->text.p;
	bool ok;

	if (!parse_deeper(p, lex_line(l)))
		return false;
	lex_next(l);
	e->kind = EXPR_RANGE;
	ok = parse_expr(p, l, &e->from) && parse_need(p, l, LEX_RANGE) && parse_expr(p, l, &e->to);
	e->source = (struct span){ from, (size_t)(l->text.p + l->text.n - from) };
	p->depth--;
	return ok && parse_need(p, l, LEX_PAREN_CLOSE);
}

/* A literal, a variable or a range. */
bool parse_expr(struct parse *p, struct lex *l, struct tree_expr **ret)
{
	struct tree_expr *e = *ret = arena_new(p->arena, struct tree_expr);

	e->source = l->text;
	if (l->kind == LEX_STRING) {
		e->value = value_text(l->text);
	} else if (l->kind == LEX_INTEGER || l->kind == LEX_FLOAT) {
		if (!parse_number(p, l, &e->value))
			return false;
	} else if (l->kind == LEX_PAREN_OPEN) {
		return parse_range(p, l, e);
	} else if (l->kind == LEX_NAME || l->kind == LEX_BRACKET_OPEN) {
		if (l->kind != LEX_NAME || !parse_literal_word(l->text, &e->value))
			return parse_variable(p, l, e);
	} else {
		return parse_expected(p, l, "a value");
	}
	lex_next(l);
	return true;
}

/* One argument of a filter, by place or by name. */
static bool parse_call_arg(
	struct parse *p, struct lex *l, struct tree_call *c, struct tree_arg ***last)
{
	struct lex ahead = *l;
	struct tree_arg *arg;

	lex_next(&ahead);
	if (l->kind == LEX_NAME && ahead.kind == LEX_COLON) {
		if (!span_is(l->text, "allow_false") || strcmp(c->filter->name, "default") != 0) {
			err_set(p->err, "filter \"%s\" has no argument named \"%.*s\"",
				c->filter->name, SPAN_ARG(l->text));
			return parse_at(p, lex_line(l));
		}
		*l = ahead;
		lex_next(l);
		return parse_expr(p, l, &c->allow_false);
	}
	arg = arena_new(p->arena, struct tree_arg);
	**last = arg;
	*last = &arg->next;
	c->n_args++;
	return parse_expr(p, l, &arg->expr);
}

/* Checks how many arguments a filter was given. */
static bool parse_call_check(struct parse *p, const struct tree_call *c)
{
	const struct liquid_filter *f = c->filter;

	if (c->n_args >= f->min && c->n_args <= f->max)
		return true;
	if (f->max == 0)
		err_set(p->err, "filter \"%s\" takes no argument", f->name);
	else if (f->min == f->max)
		err_set(p->err, "filter \"%s\" takes %u argument%s, not %u", f->name, f->min,
			f->min == 1 ? "" : "s", c->n_args);
	else
		err_set(p->err, "filter \"%s\" takes %u to %u arguments, not %u", f->name, f->min,
			f->max, c->n_args);
	return parse_at(p, c->line);
}

/* name: arg, arg */
static bool parse_call(struct parse *p, struct lex *l, struct tree_call *c)
{
	struct tree_arg **last = &c->args;

	c->line = lex_line(l);
	if (l->kind != LEX_NAME)
		return parse_expected(p, l, "the name of a filter");
	c->filter = liquid_filter_find(l->text);
	if (c->filter == NULL) {
		char *wrong = arena_dup(p->arena, l->text.p, l->text.n);
		const char *near = liquid_filter_near(wrong);

		if (near)
			err_set(p->err, "unknown filter \"%s\"; did you mean \"%s\"?", wrong, near);
		else
			err_set(p->err, "unknown filter \"%s\"", wrong);
		return parse_at(p, c->line);
	}
	lex_next(l);
	if (parse_accept(l, LEX_COLON)) {
		do {
			if (!parse_call_arg(p, l, c, &last))
				return false;
		} while (parse_accept(l, LEX_COMMA));
	}
	return parse_call_check(p, c);
}

/* expression | filter: args | ... up to the end */
bool parse_filtered(struct parse *p, struct lex *l, struct tree_node *n)
{
	struct tree_call **to = &n->calls;

	if (!parse_expr(p, l, &n->expr))
		return false;
	while (parse_accept(l, LEX_PIPE)) {
		*to = arena_new(p->arena, struct tree_call);
		if (!parse_call(p, l, *to))
			return false;
		to = &(*to)->next;
	}
	return l->kind == LEX_END || parse_expected(p, l, "\"|\" or the end");
}

/* == and its kin, or `contains`. */
static bool parse_compare(struct parse *p, struct lex *l, enum compare *ret)
{
	static const struct {
		const char *sign;
		enum compare op;
	} rows[] = {
		{ "==", COMPARE_EQ },
		{ "!=", COMPARE_NE },
		{ "<>", COMPARE_NE },
		{ "<", COMPARE_LT },
		{ ">", COMPARE_GT },
		{ "<=", COMPARE_LE },
		{ ">=", COMPARE_GE },
		{ "contains", COMPARE_CONTAINS },
	};
	size_t i;

	*ret = COMPARE_NONE;
	if (l->kind == LEX_ASSIGN) {
		err_set(p->err, "\"=\" in a condition; write \"==\" to compare");
		return parse_at(p, lex_line(l));
	}
	if (l->kind != LEX_COMPARE && l->kind != LEX_NAME)
		return true;
	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		if (span_is(l->text, rows[i].sign)) {
			*ret = rows[i].op;
			lex_next(l);
			break;
		}
	return true;
}

/* a == b and c or d */
bool parse_condition(struct parse *p, struct lex *l, struct tree_cond **ret)
{
	for (;;) {
		struct tree_cond *c = *ret = arena_new(p->arena, struct tree_cond);

		if (!parse_expr(p, l, &c->left) || !parse_compare(p, l, &c->op))
			return false;
		if (c->op != COMPARE_NONE && !parse_expr(p, l, &c->right))
			return false;
		if (l->kind == LEX_END)
			return true;
		c->is_and = parse_is_word(l, "and");
		if (!c->is_and && !parse_is_word(l, "or"))
			return parse_expected(p, l, "a comparison, \"and\", \"or\" or the end");
		lex_next(l);
		ret = &c->next;
	}
}
