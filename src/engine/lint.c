/*
 * lint.c: the files of a set, one after the other.
 *
 * The rules were loaded before: what they say in the end, with defaults, is taken from struct rule, and what their
 * functions do is taken from the text.  A rule is found in the text by its name, or by its line where the name is
 * computed.
 */
#include "engine/lint.h"

#include "base/json.h"
#include "engine/lint_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *lint_severity_name(enum lint_severity s)
{
	switch (s) {
	case LINT_WARNING: return "warning";
	case LINT_ERROR: return "error";
	}
	return "?";
}

/*** telling ***/

const char *lint_string(struct lint *l, struct span s)
{
	return arena_dup(&l->arena, s.n ? s.p : "", s.n);
}

const char *lint_mean(struct lint *l, const struct suggest *s)
{
	return s->best ? arena_printf(&l->arena, "; did you mean \"%s\"?", s->best) : "";
}

void lint_say(struct lint *l, enum lint_severity severity, int line, const char *fmt, ...)
{
	struct lint_problem *p;
	char text[800];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	for (size_t i = 0; i < l->n_found; i++)
		if (l->found[i].line == line && strcmp(l->found[i].text, text) == 0)
			return;
	l->found = mem_grow(l->found, l->n_found, &l->cap_found, sizeof *l->found);
	p = &l->found[l->n_found++];
	p->severity = severity;
	p->line = line;
	p->text = arena_strdup(&l->arena, text);
}

static int lint_by_line(const void *a, const void *b)
{
	const struct lint_problem *x = a, *y = b;

	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : strcmp(x->text, y->text);
}

/* Hands out what was found in the file. */
static void lint_tell(struct lint *l)
{
	struct err err = { 0 };

	if (l->n_found)
		qsort(l->found, l->n_found, sizeof *l->found, lint_by_line);
	for (size_t i = 0; i < l->n_found; i++) {
		err_set(&err, "%s:%d: %s", l->file, l->found[i].line, l->found[i].text);
		l->problem(l->arg, l->found[i].severity, &err);
	}
	l->n_found = 0;
}

/*** rules ***/

/* The loaded rule that this call defines. */
static const struct rule *lint_loaded(const struct lint *l, const struct lint_node *call)
{
	const struct lint_node *name = lint_kid(call, 1);
	const struct rule *const *all, *found = NULL;
	size_t n;

	all = rules_all(l->judge->rules, &n);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i]->file, l->file) != 0)
			continue;
		if (name && name->kind == LINT_TEXT && span_is(name->text, all[i]->name))
			return all[i];
		if (all[i]->line != call->line)
			continue;
		if (found)
			return NULL; /* made in a loop: they differ */
		found = all[i];
	}
	return name && name->kind == LINT_TEXT ? NULL : found;
}

/* What the function is given when the rule begins. */
static void lint_bind(struct lint *l, struct lint_node *function, const struct rule *rule)
{
	struct lint_types types = { .open = true };
	struct lint_bind *b = l->binds;

	if (!function)
		return;
	while (b && b->function != function)
		b = b->next;
	if (rule)
		lint_types_of_what(&rule->on, &types);
	if (b) { /* of several rules */
		b->types.open |= types.open;
		for (int i = 0; i < types.n; i++)
			lint_types_add(&b->types, span_of(types.v[i]->name));
		return;
	}
	b = arena_new(&l->arena, struct lint_bind);
	b->function = function;
	b->types = types;
	b->next = l->binds;
	l->binds = b;
}

/* Is it `rule "x" { ... }` or `defaults { ... }`?  Then its table. */
static struct lint_node *lint_table_of(const struct lint_node *n)
{
	struct lint_node *table = n->kind == LINT_CALL ? lint_kid(n, 1) : NULL;

	if (!table || table->kind != LINT_TABLE)
		return NULL;
	return lint_calls(n, "defaults") || lint_calls(n->kids, "rule") ? table : NULL;
}

/* Finds the rules below a node, and what their functions are given. */
static void lint_find_rules(struct lint *l, struct lint_node *n)
{
	static const char *const keys[] = { "when", "run", "key" };
	struct lint_node *table = lint_table_of(n);
	struct lint_rule *rule;

	if (table) {
		rule = arena_new(&l->arena, struct lint_rule);
		rule->rule = lint_calls(n, "defaults") ? NULL : lint_loaded(l, n->kids);
		rule->file = l->file;
		rule->table = table;
		if (!l->file_rules)
			l->file_rules = rule;
		*l->last_rule = rule;
		l->last_rule = &rule->next;
		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
			lint_bind(l, lint_function_of(lint_field(table, keys[i])), rule->rule);
	}
	for (struct lint_node *kid = n->kids; kid; kid = kid->next)
		lint_find_rules(l, kid);
}

static void lint_rule_whole(struct lint *l, struct lint_rule *rule)
{
	struct lint_node *run = lint_function_of(lint_field(rule->table, "run"));

	lint_flow_decides(l, lint_function_of(lint_field(rule->table, "when")), "when");
	lint_flow_decides(l, lint_function_of(lint_field(rule->table, "key")), "key");
	if (!rule->rule)
		return;
	lint_flow_emits(l, rule, run);
	lint_flow_key(l, rule);
}

/*** files ***/

/* The rule whose table this is, else the one around it. */
static const struct lint_rule *lint_inside(
	const struct lint *l, const struct lint_node *n, const struct lint_rule *around)
{
	for (const struct lint_rule *r = l->file_rules; r; r = r->next)
		if (r->table == n)
			return r;
	return around;
}

static void lint_walk(struct lint *l, struct lint_node *n, const struct lint_rule *rule)
{
	if (n->kind == LINT_TABLE)
		rule = lint_inside(l, n, rule);
	if (n->kind == LINT_BLOCK)
		lint_flow_block(l, n);
	lint_look(l, n, rule);
	for (struct lint_node *kid = n->kids; kid; kid = kid->next)
		lint_walk(l, kid, rule);
}

static void lint_file(struct lint *l, const char *file, struct span text)
{
	int line;
	struct lint_node *tree = lint_parse(text, &l->arena, &line);

	l->file = file;
	l->binds = NULL;
	l->file_rules = NULL;
	if (tree) {
		lint_find_rules(l, tree);
		lint_walk(l, tree, NULL);
		for (struct lint_rule *r = l->file_rules; r; r = r->next)
			lint_rule_whole(l, r);
	} else {
		lint_say(l, LINT_WARNING, line, "the file loads, but could not be looked over");
	}
	lint_tell(l);
}

/* A file that several rules stand on is looked over once. */
static void lint_shared(struct lint *l, const char *file, struct span text)
{
	if (!map_put(&l->seen, span_of(file), l))
		lint_file(l, file, json_text(text, &l->arena));
}

/* The helpers and defaults of a text, then its file. */
static void lint_bundle(struct lint *l, struct span bundle)
{
	struct json_iter it;
	struct span list, key, value, path, text;

	if (json_get(bundle, SPAN("defaults"), &list)) {
		json_iter_init(&it, list);
		while (json_next(&it, NULL, &value))
			if (json_get(value, SPAN("path"), &path) &&
				json_get(value, SPAN("text"), &text))
				lint_shared(l, lint_string(l, json_text(path, &l->arena)), text);
	}
	if (json_get(bundle, SPAN("lib"), &list)) {
		json_iter_init(&it, list);
		while (json_next(&it, &key, &text))
			lint_shared(l,
				arena_printf(&l->arena, "lib/%s.lua",
					lint_string(l, json_text(key, &l->arena))),
				text);
	}
	if (json_get(bundle, SPAN("path"), &path) && json_get(bundle, SPAN("text"), &text))
		lint_file(
			l, lint_string(l, json_text(path, &l->arena)), json_text(text, &l->arena));
}

void lint_rules(struct judge *j, const struct rule_set *set, const struct lint_env *env,
	lint_problem_fn *problem, void *arg)
{
	struct lint l = { .judge = j, .set = set, .env = *env, .problem = problem, .arg = arg };

	l.last_rule = &l.rules;
	for (size_t i = 0; i < set->n_texts; i++)
		lint_bundle(&l, set->texts[i].bundle);
	lint_flow_loops(&l);
	map_fini(&l.seen);
	arena_fini(&l.arena);
	free(l.found);
}
