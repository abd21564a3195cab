/*
 * lint_flow.c: what leads where.
 *
 * Calls are followed through functions of the same file that have a name; what helpers from lib/ do is not known.
 * A loop is told once, at its first rule, with the shortest way around.
 */
#include "engine/lint_int.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/*** never reached ***/

static bool lint_flow_ends(const struct lint_node *n);

/* Does a loop with this body end by break or goto? */
static bool lint_flow_breaks(const struct lint_node *n)
{
	for (; n; n = n->next) {
		bool is_loop = n->kind == LINT_WHILE || n->kind == LINT_REPEAT ||
			       n->kind == LINT_FOR || n->kind == LINT_IN;

		if (n->kind == LINT_BREAK || n->kind == LINT_GOTO)
			return true;
		if (n->kind != LINT_FUNCTION && !is_loop && lint_flow_breaks(n->kids))
			return true;
	}
	return false;
}

static bool lint_flow_has_goto(const struct lint_node *n)
{
	for (; n; n = n->next)
		if (n->kind == LINT_GOTO ||
			(n->kind != LINT_FUNCTION && lint_flow_has_goto(n->kids)))
			return true;
	return false;
}

/* An if of which no branch goes on. */
static bool lint_flow_if_ends(const struct lint_node *n)
{
	int count = 0;

	for (const struct lint_node *kid = n->kids; kid; kid = kid->next, count++)
		if (kid->kind == LINT_BLOCK && !lint_flow_ends(kid))
			return false;
	return count % 2 == 1; /* condition, block, ..., and the block of else */
}

/* Does nothing come after this statement? */
static bool lint_flow_ends(const struct lint_node *n)
{
	const struct lint_node *cond;

	if (n->kind == LINT_RETURN || n->kind == LINT_BREAK)
		return true;
	if (n->kind == LINT_EXEC)
		return lint_calls(n->kids, "error");
	if (n->kind == LINT_IF)
		return lint_flow_if_ends(n);
	if (n->kind == LINT_WHILE) {
		cond = n->kids;
		return cond->kind == LINT_CONST && span_is(cond->text, "true") &&
		       !lint_flow_breaks(cond->next->kids);
	}
	if (n->kind == LINT_BLOCK)
		for (const struct lint_node *kid = n->kids; kid; kid = kid->next)
			if (lint_flow_ends(kid))
				return true;
	return false;
}

void lint_flow_block(struct lint *l, const struct lint_node *block)
{
	if (lint_flow_has_goto(block->kids))
		return;
	for (const struct lint_node *n = block->kids; n && n->next; n = n->next)
		if (lint_flow_ends(n)) {
			lint_say(l, LINT_WARNING, n->next->line,
				"this is never reached: what begins in line %d does not go on",
				n->line);
			return;
		}
}

/*** what a function calls ***/

/* Calls back for every call of a global name, through functions of the file; via: the function that it stands
 * in, when it is not the first one; line: of the call in the first one. */
typedef void lint_flow_fn(
	struct lint *l, const struct lint_node *call, struct span via, int line, void *arg);

struct lint_flow {
	lint_flow_fn *fn;
	void *arg;
	struct span via;
	int line;
};

static void lint_flow_calls(struct lint *l, struct lint_node *n, struct lint_flow flow);

static void lint_flow_call(struct lint *l, struct lint_node *n, struct lint_flow flow)
{
	struct lint_node *callee = n->kids, *function;

	if (callee->kind != LINT_NAME)
		return;
	if (!callee->var) {
		flow.fn(l, n, flow.via, flow.line ? flow.line : n->line, flow.arg);
		return;
	}
	function = lint_function_of(callee);
	if (!function || function->is_seen)
		return;
	if (!flow.line) {
		flow.via = callee->text;
		flow.line = n->line;
	}
	function->is_seen = true;
	lint_flow_calls(l, function, flow);
	function->is_seen = false;
}

static void lint_flow_calls(struct lint *l, struct lint_node *n, struct lint_flow flow)
{
	if (n->kind == LINT_CALL)
		lint_flow_call(l, n, flow);
	for (struct lint_node *kid = n->kids; kid; kid = kid->next)
		lint_flow_calls(l, kid, flow);
}

/*** acting where a rule only decides ***/

static void lint_flow_acts(
	struct lint *l, const struct lint_node *call, struct span via, int line, void *arg)
{
	static const char *const acts[] = { "email", "task", "publish", "set", "tag", "untag",
		"emit", "note", "wait", "wait_until", "happened", NULL };
	const char *name = lint_string(l, call->kids->text), *key = arg;
	size_t i = 0;

	while (acts[i] && strcmp(acts[i], name) != 0)
		i++;
	if (!acts[i])
		return;
	if (via.n)
		lint_say(l, LINT_ERROR, line,
			"`%s` calls %s, which calls %s (line %d); `%s` only decides: move it to `run`",
			key, lint_string(l, via), name, call->line, key);
	else
		lint_say(l, LINT_ERROR, line,
			"%s can not be called in `%s`, which only decides: move it to `run`", name,
			key);
}

void lint_flow_decides(struct lint *l, struct lint_node *function, const char *key)
{
	union {
		const char *in;
		void *out;
	} pun = { .in = key };

	if (function)
		lint_flow_calls(
			l, function, (struct lint_flow){ .fn = lint_flow_acts, .arg = pun.out });
}

/*** the key ***/

/* Has the type this field? */
static bool lint_flow_carries(const struct vocabulary_type *t, const char *field)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (strcmp(t->fields[i].path, field) == 0)
			return true;
	return strncmp(field, "customer.", 9) == 0;
}

static int lint_flow_line(const struct lint_rule *rule, const char *key)
{
	const struct lint_node *n = lint_field(rule->table, key);

	return n ? n->line : rule->rule->line;
}

void lint_flow_key(struct lint *l, const struct lint_rule *rule)
{
	const char *field = rule->rule->key_field;
	struct lint_types types;

	if (!field && rule->rule->key_ref != LUA_NOREF && rule->rule->exit_on.n > 0)
		lint_say(l, LINT_WARNING, lint_flow_line(rule, "exit_on"),
			"the key of rule \"%s\" is a function, which only the event that starts it is "
			"asked: exit_on ends all of the customer's chains; name a field as the key",
			rule->rule->name);
	if (!field)
		return;
	lint_types_of_what(&rule->rule->on, &types);
	for (int i = 0; i < types.n; i++)
		if (!lint_flow_carries(types.v[i], field))
			lint_say(l, LINT_WARNING, lint_flow_line(rule, "on"),
				"\"%s\" has no field \"%s\" in the vocabulary, the key of rule \"%s\": "
				"without it nothing is started",
				types.v[i]->name, field, rule->rule->name);
	lint_types_of_what(&rule->rule->exit_on, &types);
	for (int i = 0; i < types.n; i++)
		if (!lint_flow_carries(types.v[i], field))
			lint_say(l, LINT_WARNING, lint_flow_line(rule, "exit_on"),
				"exit_on \"%s\" has no field \"%s\" in the vocabulary, the key of rule "
				"\"%s\": it ends all of the customer's chains",
				types.v[i]->name, field, rule->rule->name);
}

/*** loops ***/

static void lint_flow_add_emit(
	struct lint *l, struct lint_rule *rule, struct span type, bool implied, int line)
{
	struct lint_emit **at = &rule->emits;

	for (; *at; at = &(*at)->next)
		if (span_eq((*at)->type, type))
			return;
	*at = arena_new(&l->arena, struct lint_emit);
	(*at)->type = type;
	(*at)->implied = implied;
	(*at)->line = line;
}

static void lint_flow_emit(
	struct lint *l, const struct lint_node *call, struct span via, int line, void *arg)
{
	struct lint_rule *rule = arg;
	const struct lint_node *first = lint_kid(call, 1);

	(void)via;
	if (!first)
		return;
	if (lint_calls(call, "emit") && first->kind == LINT_TEXT)
		lint_flow_add_emit(l, rule, first->text, false, line);
	if (lint_calls(call, "email"))
		lint_flow_add_emit(l, rule, SPAN("message.sent"), true, line);
	if (lint_calls(call, "task") && first->kind == LINT_TABLE && lint_field(first, "deadline"))
		lint_flow_add_emit(l, rule, SPAN("task.overdue"), true, line);
}

void lint_flow_emits(struct lint *l, struct lint_rule *rule, struct lint_node *run)
{
	if (run)
		lint_flow_calls(l, run, (struct lint_flow){ .fn = lint_flow_emit, .arg = rule });
}

/* The first of what `from` emits that starts `to`.  A filter is taken for a way out. */
static const struct lint_emit *lint_flow_starts(
	const struct lint_rule *from, const struct lint_rule *to)
{
	const struct what *on = &to->rule->on;

	for (const struct lint_emit *e = from->emits; e; e = e->next)
		for (unsigned i = 0; i < on->n; i++)
			if (on->terms[i].kind == WHAT_EVENT && !on->terms[i].filter.n &&
				event_type_matches(on->terms[i].type, e->type))
				return e;
	return NULL;
}

struct lint_loop {
	const struct lint_rule *
		*v;   /* rules that emit and are started by what is emitted, in order */
	size_t *from; /* by which of them each was reached */
	size_t *queue;
	size_t n;
};

/* The shortest way from rule `first` back to it over later ones: which one closes it; n: there is none. */
static size_t lint_flow_search(struct lint_loop *loop, size_t first)
{
	size_t head = 0, tail = 0;

	for (size_t i = 0; i < loop->n; i++)
		loop->from[i] = loop->n;
	loop->queue[tail++] = first;
	while (head < tail) {
		size_t at = loop->queue[head++];

		if (lint_flow_starts(loop->v[at], loop->v[first]))
			return at;
		for (size_t i = first + 1; i < loop->n; i++)
			if (loop->from[i] == loop->n && lint_flow_starts(loop->v[at], loop->v[i])) {
				loop->from[i] = at;
				loop->queue[tail++] = i;
			}
	}
	return loop->n;
}

/* Tells one loop, from its end to its beginning: each step is put before those that follow. */
static void lint_flow_tell(struct lint *l, const struct lint_loop *loop, size_t first, size_t last)
{
	const struct lint_emit *e = lint_flow_starts(loop->v[last], loop->v[first]);
	struct err err = { 0 };
	const char *text;

	assert(e); /* or it were no loop */
	text = arena_printf(&l->arena, "%s \"%.*s\", which starts %s%s%s again: a loop",
		e->implied ? "leads to" : "emits", SPAN_ARG(e->type),
		last == first ? "it" : "rule \"", last == first ? "" : loop->v[first]->rule->name,
		last == first ? "" : "\"");

	for (size_t at = last; at != first; at = loop->from[at]) {
		const char *name = loop->v[at]->rule->name;

		e = lint_flow_starts(loop->v[loop->from[at]], loop->v[at]);
		assert(e);
		text = arena_printf(&l->arena, "%s \"%.*s\", which starts rule \"%s\", which %s",
			e->implied ? "leads to" : "emits", SPAN_ARG(e->type), name, text);
	}
	err_set(&err, "%s:%d: rule \"%s\" %s", loop->v[first]->file, e->line,
		loop->v[first]->rule->name, text);
	l->problem(l->arg, LINT_WARNING, &err);
}

/* Can it be part of a loop: does any rule start it? */
static bool lint_flow_is_started(const struct lint *l, const struct lint_rule *rule)
{
	for (const struct lint_rule *r = l->rules; r; r = r->next)
		if (r->emits && lint_flow_starts(r, rule))
			return true;
	return false;
}

void lint_flow_loops(struct lint *l)
{
	struct lint_loop loop = { .n = 0 };

	for (const struct lint_rule *r = l->rules; r; r = r->next)
		loop.n += r->emits != NULL;
	loop.v = arena_array(&l->arena, const struct lint_rule *, loop.n + 1);
	loop.from = arena_array(&l->arena, size_t, loop.n + 1);
	loop.queue = arena_array(&l->arena, size_t, loop.n + 1);
	loop.n = 0;
	for (const struct lint_rule *r = l->rules; r; r = r->next)
		if (r->emits && lint_flow_is_started(l, r))
			loop.v[loop.n++] = r;
	for (size_t i = 0; i < loop.n; i++) {
		size_t last = lint_flow_search(&loop, i);

		if (last < loop.n)
			lint_flow_tell(l, &loop, i, last);
	}
}
