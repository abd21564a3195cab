/*
 * liquid_parse.c: the tags; what stands inside them is read by liquid_expr.
 *
 * One row per tag in parse_tags; blocks parse their own bodies with parse_body, which stops at the
 * words the block names.  It is strict (Liquid's strict2): what is not understood is an error with
 * its line, because nobody reads a mail before the customer does.  Blocks that show nothing lose
 * their blanks, as in the reference implementation, so `{% if x %} {% assign y = 1 %} {% endif %}`
 * leaves no empty lines.  Depth is limited, so hostile templates cannot exhaust the stack.
 */
#include "engine/liquid_parse.h"
#include "base/json.h"
#include "base/suggest.h"

#include <stdlib.h>
#include <string.h>

struct parse_tag {
	const char *name;
	const char *end; /* of a block */
	bool (*parse)(struct parse *p, struct tree_node *n, struct scan_token *t);
};

static bool parse_body(
	struct parse *p, const char *const *stops, struct tree_node **ret, struct scan_token *stop);
static const struct parse_tag *parse_tag_find(struct span name);

/* ---- tags ---- */

/* Takes the blanks out of bodies that show nothing. */
static void parse_drop_blanks(struct tree_branch *b)
{
	struct tree_node **at;

	for (; b != NULL; b = b->next)
		for (at = &b->body; *at != NULL;)
			if ((*at)->kind == NODE_TEXT)
				*at = (*at)->next;
			else
				at = &(*at)->next;
}

/* Notes whether a block shows nothing at all; if so its blanks go. */
static void parse_end_block(struct tree_node *n)
{
	const struct tree_branch *b;
	const struct tree_node *inner;

	n->is_blank = true;
	for (b = n->branches; b != NULL; b = b->next)
		for (inner = b->body; inner != NULL; inner = inner->next)
			n->is_blank = n->is_blank && inner->is_blank;
	if (n->is_blank)
		parse_drop_blanks(n->branches);
}

static struct tree_branch *parse_branch(struct parse *p, struct tree_branch ***last)
{
	struct tree_branch *b = arena_new(p->arena, struct tree_branch);

	**last = b;
	*last = &b->next;
	return b;
}

/* The branches of if and unless. */
static bool parse_if_until(struct parse *p, struct tree_node *n, struct scan_token *t,
	const char *end, bool is_negated)
{
	const char *const stops[] = { "elsif", "else", end, NULL };
	struct tree_branch **last = &n->branches, *b;
	struct lex l;

	n->kind = NODE_IF;
	do {
		b = parse_branch(p, &last);
		b->is_else = span_is(t->name, "else");
		b->is_negated = is_negated && b == n->branches;
		lex_init(&l, t->text, t->text_line);
		if (!b->is_else && !parse_condition(p, &l, &b->cond))
			return false;
		if (!parse_body(p, stops, &b->body, t))
			return false;
	} while (!span_is(t->name, end));
	parse_end_block(n);
	return true;
}

static bool parse_if(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	return parse_if_until(p, n, t, "endif", false);
}

static bool parse_unless(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	return parse_if_until(p, n, t, "endunless", true);
}

/* when a, b or c */
static bool parse_when(struct parse *p, struct scan_token *t, struct tree_arg **to)
{
	struct lex l;

	lex_init(&l, t->text, t->text_line);
	do {
		*to = arena_new(p->arena, struct tree_arg);
		if (!parse_expr(p, &l, &(*to)->expr))
			return false;
		to = &(*to)->next;
		if (parse_is_word(&l, "or")) {
			lex_next(&l);
			continue;
		}
		if (l.kind != LEX_COMMA)
			break;
		lex_next(&l);
	} while (true);
	return l.kind == LEX_END || parse_expected(p, &l, "\",\", \"or\" or the end");
}

static bool parse_case(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	static const char *const stops[] = { "when", "else", "endcase", NULL };
	struct tree_branch **last = &n->branches, *b;
	struct tree_node *before;
	struct lex l;

	n->kind = NODE_CASE;
	lex_init(&l, t->text, t->text_line);
	if (!parse_expr(p, &l, &n->expr) || !parse_need_end(p, &l))
		return false;
	if (!parse_body(p, stops, &before, t)) /* what stands before the first when is not shown */
		return false;
	while (!span_is(t->name, "endcase")) {
		b = parse_branch(p, &last);
		b->is_else = span_is(t->name, "else");
		if (!b->is_else && !parse_when(p, t, &b->values))
			return false;
		if (!parse_body(p, stops, &b->body, t))
			return false;
	}
	parse_end_block(n);
	return true;
}

/* The number that marks loops over the same thing, for offset: continue. */
static int parse_continue_id(struct parse *p, struct span name)
{
	size_t i;

	for (i = 0; i < p->n_continues; i++)
		if (span_eq(p->continues[i], name))
			return (int)i;
	p->continues =
		mem_grow(p->continues, p->n_continues, &p->cap_continues, sizeof *p->continues);
	p->continues[p->n_continues++] = name;
	return (int)i;
}

/* reversed, limit: n, offset: n, cols: n */
static bool parse_loop_args(struct parse *p, struct lex *l, struct tree_loop *loop, bool is_table)
{
	while (parse_accept(l, LEX_COMMA) || l->kind != LEX_END) {
		struct tree_expr **to = NULL;

		if (l->kind == LEX_END)
			return true;
		if (parse_is_word(l, "reversed") && !is_table) {
			loop->is_reversed = true;
			lex_next(l);
			continue;
		}
		if (parse_is_word(l, "limit"))
			to = &loop->limit;
		else if (parse_is_word(l, "offset"))
			to = &loop->offset;
		else if (parse_is_word(l, "cols") && is_table)
			to = &loop->columns;
		if (to == NULL)
			return parse_expected(p, l,
				is_table ? "limit:, offset: or cols:"
					 : "limit:, offset: or reversed");
		lex_next(l);
		if (!parse_need(p, l, LEX_COLON))
			return false;
		if (to == &loop->offset && parse_is_word(l, "continue")) {
			loop->is_continued = true;
			lex_next(l);
		} else if (!parse_expr(p, l, to)) {
			return false;
		}
	}
	return true;
}

/* item in list, and the arguments */
static bool parse_loop_head(
	struct parse *p, struct tree_node *n, struct scan_token *t, bool is_table)
{
	struct tree_loop *loop = n->loop = arena_new(p->arena, struct tree_loop);
	struct span name;
	struct lex l;

	lex_init(&l, t->text, t->text_line);
	name = l.text;
	if (l.kind != LEX_NAME)
		return parse_expected(p, &l, "a name for the element");
	lex_next(&l);
	if (!parse_is_word(&l, "in"))
		return parse_expected(p, &l, "\"in\"");
	lex_next(&l);
	if (!parse_expr(p, &l, &n->expr))
		return false;
	n->slot = parse_local(p, name);
	loop->loop_slot = parse_local(p, is_table ? SPAN("tablerowloop") : SPAN("forloop"));
	loop->name = span_of(
		arena_printf(p->arena, "%.*s-%.*s", SPAN_ARG(name), SPAN_ARG(n->expr->source)));
	loop->continue_id = parse_continue_id(p, loop->name);
	return parse_loop_args(p, &l, loop, is_table);
}

static bool parse_for(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	static const char *const stops[] = { "else", "endfor", NULL };
	struct tree_branch **last = &n->branches;

	n->kind = NODE_FOR;
	if (!parse_loop_head(p, n, t, false))
		return false;
	do {
		struct tree_branch *b = parse_branch(p, &last);

		b->is_else = b != n->branches;
		if (!parse_body(p, stops, &b->body, t))
			return false;
	} while (!span_is(t->name, "endfor"));
	parse_end_block(n);
	return true;
}

/* Parses the one body of a block. */
static bool parse_only_body(
	struct parse *p, struct tree_node *n, struct scan_token *t, const char *end)
{
	const char *const stops[] = { end, NULL };
	struct tree_branch **last = &n->branches;

	return parse_body(p, stops, &parse_branch(p, &last)->body, t);
}

static bool parse_tablerow(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	n->kind = NODE_TABLEROW;
	return parse_loop_head(p, n, t, true) && parse_only_body(p, n, t, "endtablerow");
}

static bool parse_ifchanged(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	n->kind = NODE_IFCHANGED;
	return parse_only_body(p, n, t, "endifchanged");
}

/* The name that a tag gives a value; digits are allowed, as everywhere in Liquid. */
static bool parse_target(struct parse *p, struct lex *l, struct tree_node *n)
{
	if (l->kind != LEX_NAME && l->kind != LEX_STRING &&
		(l->kind != LEX_INTEGER || l->text.p[0] == '-'))
		return parse_expected(p, l, "a name");
	n->slot = parse_local(p, l->text);
	lex_next(l);
	return true;
}

static bool parse_assign(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	struct lex l;

	n->kind = NODE_ASSIGN;
	n->is_blank = true;
	lex_init(&l, t->text, t->text_line);
	return parse_target(p, &l, n) && parse_need(p, &l, LEX_ASSIGN) && parse_filtered(p, &l, n);
}

static bool parse_capture(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	struct lex l;

	n->kind = NODE_CAPTURE;
	n->is_blank = true;
	lex_init(&l, t->text, t->text_line);
	return parse_target(p, &l, n) && parse_need_end(p, &l) &&
	       parse_only_body(p, n, t, "endcapture");
}

static bool parse_counter(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	struct lex l;

	n->kind = span_is(t->name, "increment") ? NODE_INCREMENT : NODE_DECREMENT;
	lex_init(&l, t->text, t->text_line);
	return parse_target(p, &l, n) && parse_need_end(p, &l);
}

static bool parse_echo(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	struct lex l;

	n->kind = NODE_OUTPUT;
	lex_init(&l, t->text, t->text_line);
	return parse_filtered(p, &l, n);
}

static bool parse_jump(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	struct lex l;

	n->kind = span_is(t->name, "break") ? NODE_BREAK : NODE_CONTINUE;
	n->is_blank = true;
	lex_init(&l, t->text, t->text_line);
	return parse_need_end(p, &l);
}

/* cycle a, b, c or cycle name: a, b, c */
static bool parse_cycle(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	struct tree_arg **to = &n->values;
	struct lex l;

	n->kind = NODE_CYCLE;
	n->text = span_trim(t->text);
	lex_init(&l, t->text, t->text_line);
	do {
		if (l.kind == LEX_END && n->values != NULL)
			break;
		*to = arena_new(p->arena, struct tree_arg);
		if (!parse_expr(p, &l, &(*to)->expr))
			return false;
		if (l.kind == LEX_COLON && to == &n->values && n->expr == NULL) {
			n->expr = (*to)->expr;
			l.kind = LEX_COMMA;
			continue;
		}
		to = &(*to)->next;
	} while (parse_accept(&l, LEX_COMMA));
	return parse_need_end(p, &l);
}

/* Comments nest, and raw inside them hides their end. */
static bool parse_comment(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	int line = t->line;
	unsigned depth = 1;
	struct span unused;

	n->is_blank = true;
	while (depth > 0) {
		scan_next(&p->scan, t);
		if (t->kind == SCAN_END || t->kind == SCAN_UNCLOSED) {
			err_set(p->err, "comment is not closed; write {%% endcomment %%}");
			return parse_at(p, line);
		}
		if (t->kind != SCAN_TAG)
			continue;
		if (span_is(t->name, "comment"))
			depth++;
		else if (span_is(t->name, "endcomment"))
			depth--;
		else if (span_is(t->name, "raw") && !scan_raw(&p->scan, "endraw", &unused))
			continue;
	}
	return true;
}

/* Takes text up to an end tag as it is. */
static bool parse_verbatim(
	struct parse *p, struct tree_node *n, struct scan_token *t, const char *end)
{
	if (scan_raw(&p->scan, end, &n->text))
		return true;
	err_set(p->err, "%.*s is not closed; write {%% %s %%}", SPAN_ARG(t->name), end);
	return parse_at(p, t->line);
}

static bool parse_raw(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	n->kind = NODE_TEXT;
	return parse_verbatim(p, n, t, "endraw");
}

static bool parse_doc(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	n->is_blank = true;
	if (!parse_verbatim(p, n, t, "enddoc"))
		return false;
	n->text = (struct span){ 0 };
	return true;
}

/* {%# ... %} */
static bool parse_remark(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	(void)p, (void)t;
	n->is_blank = true;
	return true;
}

/* {% liquid %}: its lines are tags; they become the body of a branch that is always taken. */
static bool parse_liquid(struct parse *p, struct tree_node *n, struct scan_token *t)
{
	static const char *const stops[] = { NULL };
	struct tree_branch **last = &n->branches;
	struct scan outer = p->scan;
	bool ok;

	n->kind = NODE_IF;
	scan_init(&p->scan, t->text, t->text_line, true);
	ok = parse_body(p, stops, &parse_branch(p, &last)->body, t);
	p->scan = outer;
	n->branches->is_else = true;
	if (ok)
		parse_end_block(n);
	return ok;
}

static const struct parse_tag parse_tags[] = {
	{ "#", NULL, parse_remark },
	{ "assign", NULL, parse_assign },
	{ "break", NULL, parse_jump },
	{ "capture", "endcapture", parse_capture },
	{ "case", "endcase", parse_case },
	{ "comment", "endcomment", parse_comment },
	{ "continue", NULL, parse_jump },
	{ "cycle", NULL, parse_cycle },
	{ "decrement", NULL, parse_counter },
	{ "doc", "enddoc", parse_doc },
	{ "echo", NULL, parse_echo },
	{ "for", "endfor", parse_for },
	{ "if", "endif", parse_if },
	{ "ifchanged", "endifchanged", parse_ifchanged },
	{ "increment", NULL, parse_counter },
	{ "liquid", NULL, parse_liquid },
	{ "raw", "endraw", parse_raw },
	{ "tablerow", "endtablerow", parse_tablerow },
	{ "unless", "endunless", parse_unless },
};
/* Words inside blocks. */
static const char *const parse_inner[] = { "else", "elsif", "when" };

static const struct parse_tag *parse_tag_find(struct span name)
{
	size_t i;

	for (i = 0; i < sizeof parse_tags / sizeof *parse_tags; i++)
		if (span_is(name, parse_tags[i].name))
			return &parse_tags[i];
	return NULL;
}

/* The nearest of all words that can stand in {% %}; NULL when none is near. */
static const char *parse_tag_near(const char *wrong)
{
	struct suggest near;
	size_t i;

	suggest_init(&near, wrong);
	for (i = 0; i < sizeof parse_tags / sizeof *parse_tags; i++) {
		suggest_offer(&near, parse_tags[i].name);
		if (parse_tags[i].end)
			suggest_offer(&near, parse_tags[i].end);
	}
	for (i = 0; i < sizeof parse_inner / sizeof *parse_inner; i++)
		suggest_offer(&near, parse_inner[i]);
	return near.best;
}

/* Says what is wrong with a tag that nobody expects here.  Always returns false. */
static bool parse_unknown_tag(struct parse *p, const struct scan_token *t, const char *const *stops)
{
	const char *name = arena_dup(p->arena, t->name.p, t->name.n), *want = NULL;
	const char *near = parse_tag_near(name);

	for (; *stops != NULL; stops++)
		want = *stops;
	if (t->name.n == 0)
		err_set(p->err, "tag without a name");
	else if (near == NULL)
		err_set(p->err, "unknown tag \"%s\"", name);
	else if (strcmp(near, name) != 0)
		err_set(p->err, "unknown tag \"%s\"; did you mean \"%s\"?", name, near);
	else if (want)
		err_set(p->err, "\"%s\" does not belong here; \"%s\" was expected", name, want);
	else
		err_set(p->err, "\"%s\" without the tag that opens it", name);
	return parse_at(p, t->line);
}

static bool parse_is_stop(const char *const *stops, struct span name)
{
	for (; *stops != NULL; stops++)
		if (span_is(name, *stops))
			return true;
	return false;
}

/* Makes the node of one token. */
static bool parse_node(
	struct parse *p, struct scan_token *t, const char *const *stops, struct tree_node *n)
{
	const struct parse_tag *tag;
	bool ok;

	n->line = t->line;
	n->slot = LIQUID_NO_SLOT;
	if (t->kind == SCAN_TEXT) {
		n->text = t->text;
		n->is_blank = span_trim(t->text).n == 0;
		return true;
	}
	if (t->kind == SCAN_OUTPUT) {
		if (span_trim(t->text).n == 0)
			return true;
		return parse_echo(p, n, t);
	}
	tag = parse_tag_find(t->name);
	if (tag == NULL)
		return parse_unknown_tag(p, t, stops);
	if (!parse_deeper(p, t->line))
		return false;
	ok = tag->parse(p, n, t);
	p->depth--;
	return ok;
}

/* Parses up to one of the stop words, whose tag is left in `stop`; without any: up to the end. */
static bool parse_body(
	struct parse *p, const char *const *stops, struct tree_node **ret, struct scan_token *stop)
{
	int line = p->scan.lines ? stop->line : p->scan.line;
	struct scan_token t;

	*ret = NULL;
	for (;;) {
		scan_next(&p->scan, &t);
		if (t.kind == SCAN_UNCLOSED) {
			err_set(p->err, "%.2s is not closed; write %s", t.text.p,
				t.text.p[1] == '{' ? "}}" : "%}");
			return parse_at(p, t.line);
		}
		if (t.kind == SCAN_END)
			break;
		if (t.kind == SCAN_TAG && parse_is_stop(stops, t.name)) {
			*stop = t;
			return true;
		}
		*ret = arena_new(p->arena, struct tree_node);
		if (!parse_node(p, &t, stops, *ret))
			return false;
		ret = &(*ret)->next;
	}
	if (stops[0] == NULL)
		return true;
	while (stops[1] != NULL)
		stops++;
	err_set(p->err, "%s is missing; what begins here is not closed", stops[0]);
	return parse_at(p, line);
}

struct liquid *liquid_parse(struct span text, const char *name, struct arena *a, struct err *err)
{
	static const char *const stops[] = { NULL };
	struct liquid *out = arena_new(a, struct liquid);
	struct parse p = { .out = out, .arena = a, .err = err, .last_use = &out->uses };
	struct scan_token end = { .line = 1 };
	struct tree_slot *slots;
	bool ok;

	out->name = arena_strdup(a, name);
	if (!json_is_text(text)) {
		err_set(err, "%s: not valid UTF-8; save the file as UTF-8", name);
		return NULL;
	}
	scan_init(&p.scan, (struct span){ arena_dup(a, text.p, text.n), text.n }, 1, false);
	ok = parse_body(&p, stops, &out->body, &end);
	slots = arena_array(a, struct tree_slot, out->n_slots);
	if (out->n_slots)
		memcpy(slots, out->slots, sizeof *slots * (size_t)out->n_slots);
	free(out->slots);
	free(p.continues);
	out->slots = slots;
	out->n_continues = (int)p.n_continues;
	return ok ? out : NULL;
}
