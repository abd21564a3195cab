/*
 * lint_tree.c: a parser of Lua 5.4 in one pass, after the grammar in section 9 of its manual.
 *
 * Rejected: reading the bytecode, as script_check does.  It knows no `cart.total` any more once a local is a
 * register, no table constructor and no name of a call's argument; all that a marketer wrote is in the text.
 * Priorities of operators do not matter here, only what is called and read, so an expression with operators is
 * one flat node.
 */
#include "engine/lint_tree.h"

#include "engine/lint_lex.h"

#include <string.h>

enum { LINT_DEPTH_MOST = 220 }; /* Lua itself stops at 200 */

const char *lint_kind_name(enum lint_kind k)
{
	switch (k) {
	case LINT_NAME: return "name";
	case LINT_TEXT: return "text";
	case LINT_NUMBER: return "number";
	case LINT_CONST: return "const";
	case LINT_INDEX: return "index";
	case LINT_CALL: return "call";
	case LINT_METHOD: return "method";
	case LINT_FUNCTION: return "function";
	case LINT_TABLE: return "table";
	case LINT_FIELD: return "field";
	case LINT_OP: return "operation";
	case LINT_BLOCK: return "block";
	case LINT_LOCAL: return "local";
	case LINT_ASSIGN: return "assignment";
	case LINT_EXEC: return "statement";
	case LINT_WHILE: return "while";
	case LINT_REPEAT: return "repeat";
	case LINT_IF: return "if";
	case LINT_FOR: return "for";
	case LINT_IN: return "for in";
	case LINT_RETURN: return "return";
	case LINT_BREAK: return "break";
	case LINT_GOTO: return "goto";
	}
	return "?";
}

/*** nodes and names ***/

static struct lint_node *lint_node(struct lint_parser *l, enum lint_kind kind)
{
	struct lint_node *n = arena_new(l->arena, struct lint_node);

	n->kind = kind;
	n->line = l->token_line;
	return n;
}

static void lint_add(struct lint_node *n, struct lint_node *kid)
{
	if (n->last)
		n->last->next = kid;
	else
		n->kids = kid;
	n->last = kid;
}

/* Declares a name; it is seen from lint_enter on. */
static struct lint_var *lint_declare(struct lint_parser *l, struct lint_node *of, struct span name)
{
	struct lint_var *v = arena_new(l->arena, struct lint_var), **at = &of->vars;

	for (; *at; at = &(*at)->next)
		v->nth++;
	*at = v;
	v->name = name;
	v->of = of;
	if (of->kind == LINT_FUNCTION)
		v->kind = LINT_VAR_PARAM;
	else
		v->kind = of->kind == LINT_LOCAL ? LINT_VAR_LOCAL : LINT_VAR_LOOP;
	return v;
}

/* Brings what a node declares into scope. */
static void lint_enter(struct lint_parser *l, struct lint_node *of)
{
	for (struct lint_var *v = of->vars; v; v = v->next) {
		v->init = of->kind == LINT_FUNCTION ? NULL : of->kids;
		v->outer = l->scope;
		l->scope = v;
	}
}

static struct lint_var *lint_find_var(const struct lint_parser *l, struct span name)
{
	for (struct lint_var *v = l->scope; v; v = v->outer)
		if (span_eq(v->name, name))
			return v;
	return NULL;
}

/*** expressions ***/

static struct lint_node *lint_expr(struct lint_parser *l);
static struct lint_node *lint_block(struct lint_parser *l);

static void lint_exprs(struct lint_parser *l, struct lint_node *into)
{
	do
		lint_add(into, lint_expr(l));
	while (!l->bad && lint_take(l, ","));
}

/* "(a, b, ...) block end"; the word "function" is taken. */
static struct lint_node *lint_function(struct lint_parser *l, bool is_method)
{
	struct lint_node *n = lint_node(l, LINT_FUNCTION);
	struct lint_var *scope = l->scope;

	if (is_method)
		lint_declare(l, n, SPAN("self"));
	lint_need(l, "(");
	while (!l->bad && !lint_at(l, ")")) {
		if (!lint_take(l, "..."))
			lint_declare(l, n, lint_need_name(l));
		if (!lint_take(l, ","))
			break;
	}
	lint_need(l, ")");
	lint_enter(l, n);
	lint_add(n, lint_block(l));
	lint_need(l, "end");
	l->scope = scope;
	return n;
}

static struct lint_node *lint_table_field(struct lint_parser *l)
{
	struct lint_node *field = lint_node(l, LINT_FIELD), *first, *key;

	if (lint_take(l, "[")) {
		lint_add(field, lint_expr(l));
		lint_need(l, "]");
		lint_need(l, "=");
		lint_add(field, lint_expr(l));
		return field;
	}
	first = lint_expr(l);
	if (first->kind == LINT_NAME && lint_take(l, "=")) {
		key = lint_node(l, LINT_TEXT);
		key->line = first->line;
		key->text = first->text;
		lint_add(field, key);
		first = lint_expr(l);
	}
	lint_add(field, first);
	return field;
}

static struct lint_node *lint_table(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_TABLE);

	lint_need(l, "{");
	while (!l->bad && !lint_at(l, "}")) {
		lint_add(n, lint_table_field(l));
		if (!lint_take(l, ",") && !lint_take(l, ";"))
			break;
	}
	lint_need(l, "}");
	return n;
}

static struct lint_node *lint_text(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_TEXT);

	n->text = l->text;
	lint_next(l);
	return n;
}

/* The arguments of a call, in whichever form. */
static void lint_args(struct lint_parser *l, struct lint_node *call)
{
	if (l->token == TOKEN_TEXT) {
		lint_add(call, lint_text(l));
	} else if (lint_at(l, "{")) {
		lint_add(call, lint_table(l));
	} else {
		lint_need(l, "(");
		if (!lint_at(l, ")"))
			lint_exprs(l, call);
		lint_need(l, ")");
	}
}

/* .name [key] (args) :name(args) behind an expression. */
static struct lint_node *lint_suffixes(struct lint_parser *l, struct lint_node *n)
{
	while (!l->bad) {
		struct lint_node *outer;

		if (lint_at(l, ".") || lint_at(l, "[")) {
			bool dot = lint_at(l, ".");
			struct lint_node *key;

			outer = lint_node(l, LINT_INDEX);
			lint_next(l);
			lint_add(outer, n);
			key = dot ? lint_node(l, LINT_TEXT) : lint_expr(l);
			if (dot)
				key->text = lint_need_name(l);
			else
				lint_need(l, "]");
			lint_add(outer, key);
		} else if (lint_at(l, ":")) {
			outer = lint_node(l, LINT_METHOD);
			lint_next(l);
			outer->text = lint_need_name(l);
			lint_add(outer, n);
			lint_args(l, outer);
		} else if (lint_at(l, "(") || lint_at(l, "{") || l->token == TOKEN_TEXT) {
			outer = lint_node(l, LINT_CALL);
			outer->line = n->kind == LINT_NAME ? n->line : outer->line;
			lint_add(outer, n);
			lint_args(l, outer);
		} else {
			return n;
		}
		n = outer;
	}
	return n;
}

static struct lint_node *lint_primary(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_NAME);

	if (lint_take(l, "(")) {
		n = lint_expr(l);
		lint_need(l, ")");
	} else {
		n->text = lint_need_name(l);
		n->var = lint_find_var(l, n->text);
	}
	return lint_suffixes(l, n);
}

static struct lint_node *lint_simple(struct lint_parser *l)
{
	static const char *const constants[] = { "nil", "true", "false", "...", NULL };
	struct lint_node *n;

	if (l->token == TOKEN_TEXT)
		return lint_text(l);
	if (lint_at(l, "{"))
		return lint_table(l);
	if (lint_take(l, "function"))
		return lint_function(l, false);
	for (size_t i = 0; constants[i]; i++)
		if (lint_at(l, constants[i])) {
			n = lint_node(l, LINT_CONST);
			n->text = l->text;
			lint_next(l);
			return n;
		}
	if (l->token != TOKEN_NUMBER)
		return lint_primary(l);
	n = lint_node(l, LINT_NUMBER);
	n->text = l->text;
	lint_next(l);
	return n;
}

static bool lint_take_unary(struct lint_parser *l)
{
	return lint_take(l, "not") || lint_take(l, "-") || lint_take(l, "#") || lint_take(l, "~");
}

static bool lint_at_binary(const struct lint_parser *l)
{
	static const char *const ops[] = { "+", "-", "*", "/", "//", "%", "^", "..",
		"==", "~=", "<", "<=", ">", ">=", "and", "or", "&", "|", "~", "<<", ">>", NULL };

	for (size_t i = 0; ops[i]; i++)
		if (lint_at(l, ops[i]))
			return true;
	return false;
}

/* One operand alone is itself; with operators they all become one flat node. */
static struct lint_node *lint_expr(struct lint_parser *l)
{
	struct lint_node *op = lint_node(l, LINT_OP), *kid;
	struct span before = { NULL, 0 };
	bool flat = false;

	if (++l->depth > LINT_DEPTH_MOST)
		l->bad = true;
	do {
		bool is_unary = false;

		while (lint_take_unary(l))
			is_unary = true;
		kid = lint_simple(l);
		lint_add(op, kid);
		kid->before = before;
		kid->is_unary = is_unary;
		flat |= is_unary || before.n;
		if (!lint_at_binary(l))
			break;
		before = l->text;
		lint_next(l);
	} while (!l->bad);
	l->depth--;
	return flat ? op : kid;
}

/*** statements ***/

/* A block with names of its own. */
static struct lint_node *lint_inner(struct lint_parser *l)
{
	struct lint_var *scope = l->scope;
	struct lint_node *n = lint_block(l);

	l->scope = scope;
	return n;
}

static void lint_if(struct lint_parser *l, struct lint_node *n)
{
	do {
		lint_add(n, lint_expr(l));
		lint_need(l, "then");
		lint_add(n, lint_inner(l));
	} while (!l->bad && lint_take(l, "elseif"));
	if (lint_take(l, "else"))
		lint_add(n, lint_inner(l));
	lint_need(l, "end");
}

static struct lint_node *lint_for(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_IN);
	struct lint_var *scope = l->scope;
	struct span first = lint_need_name(l);

	if (lint_at(l, "="))
		n->kind = LINT_FOR;
	lint_declare(l, n, first);
	while (lint_take(l, ","))
		lint_declare(l, n, lint_need_name(l));
	if (!lint_take(l, "="))
		lint_need(l, "in");
	lint_exprs(l, n);
	lint_enter(l, n);
	lint_need(l, "do");
	lint_add(n, lint_block(l));
	lint_need(l, "end");
	l->scope = scope;
	return n;
}

static struct lint_node *lint_local(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_LOCAL);

	if (lint_take(l, "function")) {
		lint_declare(l, n, lint_need_name(l));
		lint_enter(l, n); /* it may call itself */
		lint_add(n, lint_function(l, false));
		n->vars->init = n->kids;
		return n;
	}
	do {
		lint_declare(l, n, lint_need_name(l));
		if (lint_take(l, "<")) {
			lint_need_name(l);
			lint_need(l, ">");
		}
	} while (lint_take(l, ","));
	if (lint_take(l, "="))
		lint_exprs(l, n);
	lint_enter(l, n);
	return n;
}

/* function a.b:c() ... end */
static struct lint_node *lint_named_function(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_ASSIGN), *target = lint_node(l, LINT_NAME);
	bool is_method = false;

	target->text = lint_need_name(l);
	target->var = lint_find_var(l, target->text);
	if (target->var && !lint_at(l, ".") && !lint_at(l, ":"))
		target->var->is_changed = true;
	while (!l->bad && !is_method && (lint_at(l, ".") || lint_at(l, ":"))) {
		struct lint_node *index = lint_node(l, LINT_INDEX), *key;

		is_method = lint_at(l, ":");
		lint_next(l);
		key = lint_node(l, LINT_TEXT);
		key->text = lint_need_name(l);
		lint_add(index, target);
		lint_add(index, key);
		target = index;
	}
	lint_add(n, target);
	lint_add(n, lint_function(l, is_method));
	return n;
}

static struct lint_node *lint_call_or_assign(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_EXEC), *first = lint_primary(l);

	lint_add(n, first);
	if (!lint_at(l, ",") && !lint_at(l, "="))
		return n;
	n->kind = LINT_ASSIGN;
	while (lint_take(l, ","))
		lint_add(n, lint_primary(l));
	for (struct lint_node *target = n->kids; target; target = target->next)
		if (target->kind == LINT_NAME && target->var)
			target->var->is_changed = true;
	lint_need(l, "=");
	lint_exprs(l, n);
	return n;
}

static struct lint_node *lint_return(struct lint_parser *l)
{
	static const char *const after[] = { ";", "end", "else", "elseif", "until", NULL };
	struct lint_node *n = lint_node(l, LINT_RETURN);
	bool empty = l->token == TOKEN_END;

	for (size_t i = 0; after[i]; i++)
		empty |= lint_at(l, after[i]);
	if (!empty)
		lint_exprs(l, n);
	return n;
}

/* while, repeat, if and do, with their ends. */
static struct lint_node *lint_compound(struct lint_parser *l)
{
	struct lint_node *n = lint_node(l, LINT_WHILE);
	struct lint_var *scope = l->scope;

	if (lint_take(l, "while")) {
		lint_add(n, lint_expr(l));
		lint_need(l, "do");
		lint_add(n, lint_inner(l));
		lint_need(l, "end");
	} else if (lint_take(l, "repeat")) {
		n->kind = LINT_REPEAT;
		lint_add(n, lint_block(l));
		lint_need(l, "until");
		lint_add(n, lint_expr(l));
		l->scope = scope;
	} else if (lint_take(l, "if")) {
		n->kind = LINT_IF;
		lint_if(l, n);
	} else {
		lint_need(l, "do");
		n = lint_inner(l);
		lint_need(l, "end");
	}
	return n;
}

static struct lint_node *lint_statement(struct lint_parser *l)
{
	struct lint_node *n;
	bool is_label;

	if (lint_at(l, "while") || lint_at(l, "repeat") || lint_at(l, "if") || lint_at(l, "do"))
		return lint_compound(l);
	if (lint_take(l, "for"))
		return lint_for(l);
	if (lint_take(l, "local"))
		return lint_local(l);
	if (lint_take(l, "function"))
		return lint_named_function(l);
	if (!lint_at(l, "return") && !lint_at(l, "break") && !lint_at(l, "goto") &&
		!lint_at(l, "::"))
		return lint_call_or_assign(l);
	n = lint_node(l, LINT_BREAK);
	if (lint_take(l, "return"))
		return lint_return(l);
	if (lint_take(l, "break"))
		return n;
	n->kind = LINT_GOTO;
	is_label = lint_take(l, "::");
	if (!is_label)
		lint_next(l);
	lint_need_name(l);
	if (is_label)
		lint_need(l, "::");
	return n;
}

/* Statements up to the word that ends them. */
static struct lint_node *lint_block(struct lint_parser *l)
{
	static const char *const ends[] = { "end", "else", "elseif", "until", NULL };
	struct lint_node *n = lint_node(l, LINT_BLOCK);

	if (++l->depth > LINT_DEPTH_MOST)
		l->bad = true;
	while (!l->bad && l->token != TOKEN_END) {
		bool over = false;

		for (size_t i = 0; ends[i]; i++)
			over |= lint_at(l, ends[i]);
		if (over)
			break;
		if (!lint_take(l, ";"))
			lint_add(n, lint_statement(l));
	}
	l->depth--;
	return n;
}

struct lint_node *lint_parse(struct span text, struct arena *a, int *ret_line)
{
	struct lint_parser l = { .arena = a, .p = text.p, .end = text.p + text.n, .line = 1 };
	struct lint_node *n;

	lint_next(&l);
	n = lint_block(&l);
	*ret_line = l.token_line;
	return l.bad || l.token != TOKEN_END ? NULL : n;
}

/*** reading ***/

struct lint_node *lint_kid(const struct lint_node *n, int at)
{
	struct lint_node *kid = n->kids;

	while (kid && at-- > 0)
		kid = kid->next;
	return kid;
}

struct lint_node *lint_field(const struct lint_node *table, const char *name)
{
	for (struct lint_node *f = table->kids; f; f = f->next)
		if (f->kids && f->kids->next && f->kids->kind == LINT_TEXT &&
			span_is(f->kids->text, name))
			return f->kids->next;
	return NULL;
}

bool lint_calls(const struct lint_node *n, const char *name)
{
	const struct lint_node *f = n->kind == LINT_CALL ? n->kids : NULL;

	return f && f->kind == LINT_NAME && !f->var && span_is(f->text, name);
}
