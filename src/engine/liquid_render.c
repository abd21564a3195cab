/*
 * liquid_render.c: walks the tree and writes.
 *
 * One function per kind of node, in render_nodes.  The variables of the template are slots numbered
 * by the parser; a slot knows the value of the loop around, the assigned one, the one in the data
 * (looked up once) and the counter, and they are looked at in this order.
 * Output goes straight into the caller's buf; captures are cut off its end again.  On an error the
 * buf is cut back to where it was: half a mail is no mail.
 */
#include "base/json.h"
#include "engine/format.h"
#include "engine/liquid_filter.h"
#include "engine/liquid_tree.h"

#include <stdio.h>
#include <string.h>

enum { RENDER_OUTPUT = 1024 * 1024, RENDER_LOOPS = 100000 };

enum render_jump { JUMP_NONE, JUMP_BREAK, JUMP_CONTINUE };

struct render_slot {
	struct value local, assigned, root, counter;
	bool is_local, is_assigned, is_root_known, is_root, is_counter;
};

/* The place of a cycle. */
struct render_cycle {
	struct render_cycle *next;
	struct span key;
	size_t at;
};

struct render {
	struct work work;
	const struct liquid *liquid;
	struct buf *out;
	size_t out_begin; /* what stood in out before */
	struct render_slot *slots;
	int64_t *continues; /* where the last loop of this name ended */
	struct render_cycle *cycles;
	const struct value_loop *loop; /* the innermost */
	struct span changed;           /* what ifchanged showed last */
	enum render_jump jump;
	uint32_t loops;
};

const char *liquid_escape_name(enum liquid_escape e)
{
	switch (e) {
	case LIQUID_PLAIN: return "plain";
	case LIQUID_HTML: return "html";
	}
	return "?";
}

static bool render_body(struct render *r, const struct tree_node *n);
static bool render_expr(struct render *r, const struct tree_expr *e, struct value *ret);

/* Puts "template:line: " before the error.  Always returns false. */
static bool render_at(struct render *r, int line)
{
	return err_prefix(r->work.err, "%s:%d: ", r->liquid->name, line);
}

static bool render_put(struct render *r, struct span s)
{
	if (s.n > r->work.max_text - (r->out->n - r->out_begin))
		return err_set(r->work.err, "output is longer than %zu bytes", r->work.max_text);
	if (s.n)
		buf_add(r->out, s.p, s.n);
	return true;
}

/* ---- expressions ---- */

/* The value that the caller's data have under this name. */
static bool render_find_root(struct render *r, struct span name, struct value *ret)
{
	const struct liquid_env *env = r->work.env;
	size_t i;

	for (i = 0; i < env->n_roots; i++)
		if (span_is(name, env->roots[i].name)) {
			*ret = value_json(&r->work, env->roots[i].json);
			return true;
		}
	for (i = 0; i < env->n_texts; i++)
		if (span_is(name, env->texts[i].name)) {
			*ret = value_text(env->texts[i].text);
			return true;
		}
	return false;
}

/* The value of a slot: loop, assigned, data, counter. */
static struct value render_slot_value(struct render *r, int slot)
{
	struct render_slot *s = &r->slots[slot];

	if (s->is_local)
		return s->local;
	if (s->is_assigned)
		return s->assigned;
	if (s->is_counter)
		return s->counter;
	if (!s->is_root_known) {
		s->is_root_known = true;
		s->is_root = render_find_root(r, r->liquid->slots[slot].name, &s->root);
	}
	return s->is_root ? s->root : (struct value){ .kind = VALUE_NIL };
}

/* [name]: the name is known only now. */
static bool render_dynamic(struct render *r, const struct tree_expr *e, struct value *ret)
{
	struct value name;
	struct span text;
	int i;

	*ret = (struct value){ .kind = VALUE_NIL };
	if (!render_expr(r, e, &name) || !value_to_text(&r->work, &name, &text))
		return false;
	for (i = 0; i < r->liquid->n_slots; i++)
		if (span_eq(r->liquid->slots[i].name, text)) {
			*ret = render_slot_value(r, i);
			return true;
		}
	render_find_root(r, text, ret);
	return true;
}

static bool render_variable(struct render *r, const struct tree_expr *e, struct value *ret)
{
	const struct tree_step *step;
	struct value v, key;

	if (e->slot != LIQUID_NO_SLOT)
		v = render_slot_value(r, e->slot);
	else if (!render_dynamic(r, e->from, &v))
		return false;
	for (step = e->steps; step != NULL; step = step->next) {
		struct value inner;

		key = step->key;
		if (step->index && !render_expr(r, step->index, &key))
			return false;
		if (!value_get(&r->work, &v, &key, step->is_dot, &inner))
			return false;
		v = inner;
	}
	*ret = v;
	return true;
}

static bool render_expr(struct render *r, const struct tree_expr *e, struct value *ret)
{
	struct value from, to;

	switch (e->kind) {
	case EXPR_VALUE: *ret = e->value; return true;
	case EXPR_VARIABLE: return render_variable(r, e, ret);
	case EXPR_RANGE:
		if (!render_expr(r, e->from, &from) || !render_expr(r, e->to, &to))
			return false;
		*ret = (struct value){ .kind = VALUE_RANGE,
			.range = { value_to_integer(&from), value_to_integer(&to) } };
		return true;
	}
	return false;
}

/* Runs one filter on v. */
static bool render_call(struct render *r, const struct tree_call *c, struct value *v)
{
	enum { MOST = 8 };
	struct value args[MOST], flag, in = *v;
	struct filter_args given = { .v = args };
	const struct tree_arg *a;

	for (a = c->args; a != NULL && given.n < MOST; a = a->next)
		if (!render_expr(r, a->expr, &args[given.n++]))
			return false;
	if (c->allow_false) {
		if (!render_expr(r, c->allow_false, &flag))
			return false;
		given.allow_false = value_is_true(&flag);
	}
	if (liquid_filter_run(&r->work, c->filter, &in, &given, v))
		return true;
	return err_prefix(r->work.err, "filter \"%s\": ", c->filter->name);
}

static bool render_filtered(struct render *r, const struct tree_node *n, struct value *ret)
{
	const struct tree_call *c;

	if (!render_expr(r, n->expr, ret))
		return false;
	for (c = n->calls; c != NULL; c = c->next)
		if (!render_call(r, c, ret))
			return false;
	return true;
}

static bool render_compare(struct render *r, const struct tree_cond *c, bool *ret)
{
	struct value a, b;
	int order;

	if (!render_expr(r, c->left, &a))
		return false;
	if (c->op == COMPARE_NONE) {
		*ret = value_is_true(&a);
		return true;
	}
	if (!render_expr(r, c->right, &b))
		return false;
	if (c->op == COMPARE_CONTAINS)
		return value_contains(&r->work, &a, &b, ret);
	if (c->op == COMPARE_EQ || c->op == COMPARE_NE) {
		if (!value_equal(&r->work, &a, &b, ret))
			return false;
		*ret = *ret == (c->op == COMPARE_EQ);
		return true;
	}
	*ret = false;
	if ((!value_is_number(&a) && a.kind != VALUE_TEXT) ||
		(!value_is_number(&b) && b.kind != VALUE_TEXT))
		return true;
	if (!value_order(&r->work, &a, &b, &order))
		return false;
	*ret = (c->op == COMPARE_LT && order < 0) || (c->op == COMPARE_GT && order > 0) ||
	       (c->op == COMPARE_LE && order <= 0) || (c->op == COMPARE_GE && order >= 0);
	return true;
}

/* a and b or c: from left to right, each binding all that follows it. */
static bool render_condition(struct render *r, const struct tree_cond *c, bool *ret)
{
	for (;; c = c->next) {
		if (!render_compare(r, c, ret))
			return false;
		if (c->next == NULL || *ret != c->is_and)
			return true;
	}
}

/* ---- nodes ---- */

static bool render_text(struct render *r, const struct tree_node *n)
{
	return render_put(r, n->text);
}

/* Writes a value, escaped where it must be. */
static bool render_value(struct render *r, const struct value *v)
{
	struct work *w = &r->work;
	bool is_raw = w->env->escape == LIQUID_PLAIN || v->is_safe;
	struct span text;

	if (v->kind == VALUE_TEXT && (is_raw || v->text.n == 0))
		return render_put(r, v->text);
	if (!value_to_text(w, v, &text))
		return false;
	if (is_raw)
		return render_put(r, text);
	work_begin(w);
	value_put_escaped(w, text);
	if (w->is_too_long)
		return err_set(w->err, "output is longer than %zu bytes", w->max_text);
	return render_put(r, buf_as_span(&w->scratch));
}

static bool render_output(struct render *r, const struct tree_node *n)
{
	struct value v;

	if (n->expr == NULL)
		return true;
	return render_filtered(r, n, &v) && render_value(r, &v);
}

static bool render_assign(struct render *r, const struct tree_node *n)
{
	struct render_slot *s = &r->slots[n->slot];
	struct value v;

	if (!render_filtered(r, n, &v))
		return false;
	s->assigned = v;
	s->is_assigned = true;
	return true;
}

/* Renders a body and cuts what it wrote off the output. */
static bool render_aside(struct render *r, const struct tree_node *body, struct span *ret)
{
	size_t from = r->out->n;

	if (!render_body(r, body) || !work_charge(&r->work, (r->out->n - from) / 64))
		return false;
	*ret = (struct span){ "", r->out->n - from };
	if (ret->n)
		ret->p = arena_dup(r->work.arena, r->out->p + from, ret->n);
	r->out->n = from;
	return true;
}

static bool render_capture(struct render *r, const struct tree_node *n)
{
	struct render_slot *s = &r->slots[n->slot];
	struct span text;

	if (!render_aside(r, n->branches->body, &text))
		return false;
	s->assigned = value_text(text);
	s->assigned.is_safe = r->work.env->escape == LIQUID_HTML;
	s->is_assigned = true;
	return true;
}

static bool render_if(struct render *r, const struct tree_node *n)
{
	const struct tree_branch *b;

	for (b = n->branches; b != NULL; b = b->next) {
		bool is_true = b->is_else;

		if (!b->is_else && !render_condition(r, b->cond, &is_true))
			return false;
		if (is_true != b->is_negated)
			return render_body(r, b->body);
	}
	return true;
}

/* Every matching when is shown; else only when none before it matched. */
static bool render_case(struct render *r, const struct tree_node *n)
{
	const struct tree_branch *b;
	const struct tree_arg *a;
	struct value v, x;
	bool is_matched = false;

	if (!render_expr(r, n->expr, &v))
		return false;
	for (b = n->branches; b != NULL && r->jump == JUMP_NONE; b = b->next) {
		bool hit = b->is_else && !is_matched;

		for (a = b->values; a != NULL && !hit; a = a->next)
			if (!render_expr(r, a->expr, &x) || !value_equal(&r->work, &v, &x, &hit))
				return false;
		is_matched = is_matched || (hit && !b->is_else);
		if (hit && !render_body(r, b->body))
			return false;
	}
	return true;
}

/* The number of an argument like limit: 3; it must be one. */
static bool render_loop_number(
	struct render *r, const struct tree_expr *e, const char *what, int64_t none, int64_t *ret)
{
	struct value v;

	*ret = none;
	if (e == NULL)
		return true;
	if (!render_expr(r, e, &v))
		return false;
	if (v.kind == VALUE_NIL)
		return true;
	if (!value_as_index(&v, ret))
		return err_set(
			r->work.err, "%s: %s is no whole number", what, value_kind_name(v.kind));
	if (*ret < 0)
		*ret = 0;
	return true;
}

/* What is gone over: a text is one element, a range is kept as it is. */
static bool render_loop_list(
	struct render *r, const struct tree_node *n, struct value *ret, uint64_t *ret_n)
{
	struct value v;
	int64_t size;

	if (!render_expr(r, n->expr, &v))
		return false;
	if (v.kind == VALUE_RANGE) {
		*ret = v;
		if (!value_size(&r->work, &v, &size))
			return false;
		*ret_n = size < 0 ? INT64_MAX : (uint64_t)size;
		return true;
	}
	*ret = value_array(NULL, 0);
	if (v.kind == VALUE_ARRAY || v.kind == VALUE_LIST || v.kind == VALUE_OBJECT ||
		(v.kind == VALUE_TEXT && v.text.n))
		if (!value_elements(&r->work, &v, ret))
			return false;
	*ret_n = ret->array.n;
	return true;
}

/* The part of a list that a loop shows. */
struct render_part {
	struct value list;
	uint64_t from, n;
};

static bool render_loop_part(struct render *r, const struct tree_node *n, struct render_part *ret)
{
	const struct tree_loop *loop = n->loop;
	int64_t limit, offset;
	uint64_t all;

	if (!render_loop_list(r, n, &ret->list, &all) ||
		!render_loop_number(r, loop->limit, "limit", INT64_MAX, &limit) ||
		!render_loop_number(r, loop->offset, "offset", 0, &offset))
		return false;
	if (loop->is_continued)
		offset = r->continues[loop->continue_id];
	ret->from = (uint64_t)offset < all ? (uint64_t)offset : all;
	ret->n = all - ret->from;
	if (ret->n > (uint64_t)limit)
		ret->n = (uint64_t)limit;
	r->continues[loop->continue_id] = (int64_t)(ret->from + ret->n);
	return true;
}

/* Element i of the part. */
static struct value render_loop_element(const struct render_part *part, uint64_t i)
{
	i += part->from;
	if (part->list.kind == VALUE_RANGE)
		return value_integer(part->list.range.from + (int64_t)i);
	return part->list.array.v[i];
}

/* Counts one round of any loop. */
static bool render_loop_count(struct render *r)
{
	uint32_t most = r->work.env->max_loops ? r->work.env->max_loops : RENDER_LOOPS;

	if (++r->loops <= most)
		return work_charge(&r->work, 0);
	return err_set(r->work.err, "loops go round more than %u times", most);
}

/* Shows the body for element i; `what` is what stands around it in a table. */
static bool render_table_cell(
	struct render *r, const struct tree_node *n, const struct value_loop *loop)
{
	size_t col = loop->index % loop->columns;
	char text[80];

	snprintf(text, sizeof text, "<td class=\"col%zu\">", col + 1);
	if (!render_put(r, span_of(text)) || !render_body(r, n->branches->body) ||
		!render_put(r, SPAN("</td>")))
		return false;
	if (col + 1 < loop->columns || loop->index + 1 == loop->length)
		return true;
	snprintf(
		text, sizeof text, "</tr>\n<tr class=\"row%zu\">", loop->index / loop->columns + 2);
	return render_put(r, span_of(text));
}

/* All rounds of a loop, with its variables set. */
static bool render_rounds(struct render *r, const struct tree_node *n,
	const struct render_part *part, struct value_loop *loop)
{
	struct render_slot *item = &r->slots[n->slot];
	bool ok = true;

	for (; ok && loop->index < loop->length; loop->index++) {
		uint64_t i = n->loop->is_reversed ? part->n - 1 - loop->index : loop->index;

		item->local = render_loop_element(part, i);
		item->is_local = true;
		ok = render_loop_count(r) && (loop->columns ? render_table_cell(r, n, loop)
							    : render_body(r, n->branches->body));
		if (r->jump == JUMP_BREAK)
			break;
		r->jump = JUMP_NONE;
	}
	r->jump = JUMP_NONE;
	return ok;
}

/* Sets up forloop and the element around the rounds. */
static bool render_loop(
	struct render *r, const struct tree_node *n, const struct render_part *part, size_t columns)
{
	struct value_loop *loop = arena_new(r->work.arena, struct value_loop);
	struct render_slot *item = &r->slots[n->slot], *about = &r->slots[n->loop->loop_slot];
	struct render_slot item_before = *item, about_before = *about;
	bool ok;

	*loop = (struct value_loop){
		.parent = r->loop, .name = n->loop->name, .length = part->n, .columns = columns
	};
	about->local = (struct value){ .kind = VALUE_LOOP, .loop = loop };
	about->is_local = true;
	if (columns == 0)
		r->loop = loop;
	ok = render_rounds(r, n, part, loop);
	r->loop = columns == 0 ? loop->parent : r->loop;
	item->local = item_before.local;
	item->is_local = item_before.is_local;
	about->local = about_before.local;
	about->is_local = about_before.is_local;
	return ok;
}

static bool render_for(struct render *r, const struct tree_node *n)
{
	struct render_part part;

	if (!render_loop_part(r, n, &part))
		return false;
	if (part.n == 0)
		return n->branches->next == NULL || render_body(r, n->branches->next->body);
	return render_loop(r, n, &part, 0);
}

static bool render_tablerow(struct render *r, const struct tree_node *n)
{
	struct render_part part;
	int64_t columns;

	if (!render_loop_part(r, n, &part) ||
		!render_loop_number(r, n->loop->columns, "cols", (int64_t)part.n, &columns))
		return false;
	return render_put(r, SPAN("<tr class=\"row1\">\n")) &&
	       render_loop(r, n, &part, columns > 0 ? (size_t)columns : 1) &&
	       render_put(r, SPAN("</tr>\n"));
}

static bool render_jump(struct render *r, const struct tree_node *n)
{
	r->jump = n->kind == NODE_BREAK ? JUMP_BREAK : JUMP_CONTINUE;
	return true;
}

/* The place of the cycle with this key; NULL when looking cost too much. */
static struct render_cycle *render_cycle_find(struct render *r, struct span key)
{
	struct render_cycle *c;

	for (c = r->cycles; c != NULL; c = c->next)
		if (!work_charge(&r->work, key.n / 64))
			return NULL;
		else if (span_eq(c->key, key))
			return c;
	c = arena_new(r->work.arena, struct render_cycle);
	c->key = key;
	c->next = r->cycles;
	r->cycles = c;
	return c;
}

static bool render_cycle(struct render *r, const struct tree_node *n)
{
	struct render_cycle *c;
	const struct tree_arg *a;
	struct span key = n->text;
	struct value v;
	size_t i = 0;

	if (n->expr) {
		if (!render_expr(r, n->expr, &v) || !value_to_text(&r->work, &v, &key))
			return false;
		key = span_of(arena_printf(r->work.arena, "\1%.*s", SPAN_ARG(key)));
	}
	c = render_cycle_find(r, key);
	if (c == NULL)
		return false;
	for (a = n->values; a != NULL && i < c->at; a = a->next)
		i++;
	if (a == NULL || a->next == NULL)
		c->at = 0;
	else
		c->at++;
	if (a == NULL)
		return true;
	return work_charge(&r->work, i) && render_expr(r, a->expr, &v) && render_value(r, &v);
}

/* increment shows and then adds, decrement takes off and then shows. */
static bool render_counter(struct render *r, const struct tree_node *n)
{
	struct render_slot *s = &r->slots[n->slot];
	struct value shown;

	if (!s->is_counter)
		s->counter = value_integer(0);
	s->is_counter = true;
	if (n->kind == NODE_DECREMENT)
		s->counter.integer--;
	shown = s->counter;
	if (n->kind == NODE_INCREMENT)
		s->counter.integer++;
	return render_value(r, &shown);
}

static bool render_ifchanged(struct render *r, const struct tree_node *n)
{
	struct span text;

	if (!render_aside(r, n->branches->body, &text))
		return false;
	if (span_eq(text, r->changed))
		return true;
	r->changed = text;
	return render_put(r, text);
}

static bool (*const render_nodes[])(struct render *, const struct tree_node *) = {
	[NODE_TEXT] = render_text,
	[NODE_OUTPUT] = render_output,
	[NODE_ASSIGN] = render_assign,
	[NODE_CAPTURE] = render_capture,
	[NODE_IF] = render_if,
	[NODE_CASE] = render_case,
	[NODE_FOR] = render_for,
	[NODE_TABLEROW] = render_tablerow,
	[NODE_BREAK] = render_jump,
	[NODE_CONTINUE] = render_jump,
	[NODE_CYCLE] = render_cycle,
	[NODE_INCREMENT] = render_counter,
	[NODE_DECREMENT] = render_counter,
	[NODE_IFCHANGED] = render_ifchanged,
};

/* Whether errors inside a node were located by the node within. */
static bool render_is_located(const struct render *r)
{
	size_t n = strlen(r->liquid->name);

	return strncmp(r->work.err->text, r->liquid->name, n) == 0 && r->work.err->text[n] == ':';
}

static bool render_body(struct render *r, const struct tree_node *n)
{
	for (; n != NULL && r->jump == JUMP_NONE; n = n->next) {
		if (work_charge(&r->work, 0) && render_nodes[n->kind](r, n))
			continue;
		return render_is_located(r) ? false : render_at(r, n->line);
	}
	return true;
}

bool liquid_render(
	const struct liquid *l, const struct liquid_env *env, struct buf *out, struct err *err)
{
	struct arena arena = { 0 };
	struct render r = { .work = { .env = env, .arena = &arena, .err = err },
		.liquid = l,
		.out = out,
		.out_begin = out->n };
	struct format *own = env->format ? NULL : format_new();
	bool ok;

	r.work.format = own ? own : env->format;
	r.work.max_text = env->max_output ? env->max_output : RENDER_OUTPUT;
	r.slots = arena_array(&arena, struct render_slot, l->n_slots);
	r.continues = arena_array(&arena, int64_t, l->n_continues);
	ok = render_body(&r, l->body);
	if (!ok)
		out->n = r.out_begin;
	if (out->p)
		out->p[out->n] = '\0';
	buf_free(&r.work.scratch);
	arena_fini(&arena);
	format_free(own);
	return ok;
}
