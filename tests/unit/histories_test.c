/*
 * histories_test.c: every history in tests/histories goes on as it is written there.
 *
 * A file is one chain as a row had it, the text that it is pinned to, what wakes it, and what must come of that;
 * good ones were recorded by a released level of the language and must replay for ever (P19), bad ones (doctored by
 * hand) must stop as stuck with the reason, and nothing may come of them (P8).  Each is run twice, in engines of their
 * own; the present rule set knows nothing of its rule, so that the pinned text is the one that runs.
 *
 *	histories_test --record FILE RULES.lua STEP...	writes a file: the first live chain after the steps,
 *	each `TYPE={data}` (an event) or `+1h`.  The last step is not taken: it is what wakes the chain, and what
 *	comes of it is filled in as `expect`; read it before it becomes law.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "effects.h"
#include "world.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world w;
static const struct world_file others = { "other.lua",
	"rule 'other' { on = 'other', run = function() end }" };

/*** what came of it ***/

static void tell_line(struct buf *out, const char *what, struct span name)
{
	struct buf line = { 0 };

	if (out->p[out->n - 1] != '[')
		buf_char(out, ',');
	buf_printf(&line, "%s %.*s", what, SPAN_ARG(name));
	json_put_text(out, buf_as_span(&line));
	buf_free(&line);
}

/* What a person would call the effects of the last batch, as a JSON array: ["note x","email cart-reminder"]. */
static void tell_effects(struct buf *out)
{
	const struct visit *v = w.batches[w.n_batches - 1]->visits[0];

	buf_char(out, '[');
	for (size_t i = 0; i < v->n_messages; i++)
		tell_line(out, message_channel_name(v->messages[i]->channel),
			v->messages[i]->template_name);
	for (size_t i = 0; i < v->n_tasks; i++)
		if (v->tasks[i]->is_new)
			tell_line(out, "task", v->tasks[i]->title);
	for (size_t i = 0; i < v->n_notes; i++)
		tell_line(out, "note", v->notes[i]->text);
	for (size_t i = 0; i < v->n_events; i++)
		if (v->events[i]->origin == EVENT_EMITTED)
			tell_line(out, "emit", v->events[i]->type);
	if (v->card->changed & CARD_CHANGED_PROFILE)
		tell_line(out, "card", v->card->json[CARD_ATTRIBUTES]);
	buf_char(out, ']');
}

/* The chain as the last batch left it. */
static const struct chain *last_chain(int64_t id)
{
	const struct visit *v = w.batches[w.n_batches - 1]->visits[0];

	for (size_t i = 0; i < v->n_chains; i++)
		if (v->chains[i]->id == id)
			return v->chains[i];
	fail_msg("the chain is not there");
	return NULL;
}

/* {"state":...,"reason":...,"does":[...],"until":...} */
static void tell(const struct chain *c, struct buf *out)
{
	char time[32];

	buf_char(out, '{');
	json_put_key(out, "state");
	json_put_text(out, span_of(chain_state_name(c->state)));
	if (c->reason.n) {
		json_put_key(out, "reason");
		json_put_text(out, c->reason);
	}
	json_put_key(out, "does");
	tell_effects(out);
	if (c->state == CHAIN_WAITING && c->wake_us != TIME_NONE) {
		json_put_key(out, "until");
		json_put_text(out, span_of(clock_format_rfc3339(c->wake_us, time)));
	}
	buf_char(out, '}');
}

/*** a file becomes a row ***/

static struct span get(struct span object, const char *key)
{
	struct span value = { NULL, 0 };

	return json_get(object, span_of(key), &value) && json_kind(value) != JSON_NULL
		       ? value
		       : (struct span){ NULL, 0 };
}

static struct span get_text(struct span object, const char *key)
{
	struct span value = get(object, key);

	return value.p ? json_text(value, &w.arena) : (struct span){ NULL, 0 };
}

static int64_t get_time(struct span object, const char *key)
{
	struct span text = get_text(object, key);
	int64_t us = TIME_NONE;

	if (text.p)
		assert_true(clock_parse_rfc3339(text, &us));
	return us;
}

/* The text that the chain is pinned to, where a query finds it. */
static const char *put_text(struct span file)
{
	struct rule_text *t = arena_new(&w.arena, struct rule_text);

	t->level = 1;
	t->bundle = get(file, "bundle");
	if (!t->bundle.p) /* nobody has it any more */
		return "0000000000000000000000000000000000000000000000000000000000000000";
	hash_sha256_hex(&t->bundle, 1, t->hash);
	w.texts[w.n_texts++] = t;
	return t->hash;
}

static void put_chain(struct span file)
{
	struct chain *c = arena_new(&w.arena, struct chain);
	struct span awaits = get(file, "awaits"), value, level = get(file, "level");
	struct json_iter it;
	int64_t n = 1;

	c->id = 7;
	c->customer = 1;
	c->shop = &w.shop;
	c->rule = get_text(file, "rule");
	c->key = get_text(file, "key").p ? get_text(file, "key") : SPAN("");
	c->text_hash = span_of(put_text(file));
	assert_true(json_integer(level, &n));
	c->level = (int)n;
	c->state = CHAIN_WAITING;
	c->started_us = get_time(file, "started");
	c->wake_us = get_time(file, "wake");
	c->exits = get(file, "exits");
	c->event = get(file, "event");
	c->history = get(file, "history");
	c->loaded = true;
	c->awaits = arena_array(&w.arena, struct span, 64);
	json_iter_init(&it, awaits.p ? awaits : SPAN("[]"));
	while (c->n_awaits < 64 && json_next(&it, NULL, &value))
		c->awaits[c->n_awaits++] = json_text(value, &w.arena);
	w.customers[0].chains[w.customers[0].n_chains++] = c;
}

/*** running ***/

static const char *text_of(struct span s)
{
	return arena_dup(&w.arena, arena_printf(&w.arena, "%.*s", SPAN_ARG(s)), s.n + 1);
}

/* What wakes it: {"now":...} or {"now":...,"event":{"type":...,"data":{...}}}. */
static void wake(struct span then)
{
	struct span event = get(then, "event");

	w.now_us = get_time(then, "now");
	w.id_next = 1000;
	if (event.p)
		world_event(&w, text_of(get_text(event, "type")), text_of(get(event, "data")));
	else
		world_due(&w);
}

/* A history only ever grows at its end. */
static void check_growth(const struct chain *c, struct span before)
{
	if (!c->loaded || !before.n || c->history.n < before.n || c->state == CHAIN_DONE)
		return;
	assert_memory_equal(c->history.p, before.p, before.n - 1);
}

/* Runs the chain of a file in a world of its own. */
static void run(struct span file, struct buf *ret)
{
	const struct chain *c;

	world_open(&w, &others, 1);
	put_chain(file);
	wake(get(file, "then"));
	c = last_chain(7);
	tell(c, ret);
	check_growth(c, get(file, "history"));
	if (c->state == CHAIN_STUCK || c->state == CHAIN_FAILED)
		assert_true(span_eq(c->history, get(file, "history")));
	world_close(&w);
}

static char *read_file(const char *path, struct span *ret)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		fail_msg("could not open %s", path);
	n = getdelim(&text, &cap, '\0', f);
	fclose(f);
	*ret = (struct span){ text, n > 0 ? (size_t)n : 0 };
	return text;
}

/* True: it went on as the file says. */
static bool check_file(const char *path)
{
	struct buf once = { 0 }, twice = { 0 };
	struct span file, wanted;
	char *text = read_file(path, &file);
	bool ok;

	/* times of events are numbers of our own, larger than a shop may send: no json_check here */
	if (json_kind(file) != JSON_OBJECT || !get(file, "then").p)
		fail_msg("%s is no history", path);
	run(file, &once);
	run(file, &twice);
	assert_true(span_eq(buf_as_span(&once), buf_as_span(&twice)));
	wanted = get(file, "expect");
	ok = span_eq(wanted, buf_as_span(&once));
	if (!ok)
		print_error("%s\n  wanted %.*s\n  but is %.*s\n", path, SPAN_ARG(wanted),
			(int)once.n, once.p);
	buf_free(&once);
	buf_free(&twice);
	free(text);
	return ok;
}

static int is_history(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && strcmp(e->d_name + n - 5, ".json") == 0;
}

static void every_history_goes_on_as_written(void **state)
{
	const char *src = getenv("srcdir");
	char dir[400], path[800];
	struct dirent **entries;
	int n, wrong = 0;

	(void)state;
	snprintf(dir, sizeof dir, "%s/tests/histories", src ? src : ".");
	n = scandir(dir, &entries, is_history, alphasort);
	assert_true(n >= 20);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
		wrong += !check_file(path);
		free(entries[i]);
	}
	free(entries);
	printf("%d histories\n", n);
	assert_int_equal(wrong, 0);
}

/*** recording ***/

static void put_member(struct buf *out, const char *key, struct span json)
{
	buf_str(out, out->n > 1 ? ",\n\t" : "\n\t");
	json_put_text(out, span_of(key));
	buf_char(out, ':');
	buf_span(out, json.p ? json : SPAN("null"));
}

static void put_member_text(struct buf *out, const char *key, struct span text)
{
	struct buf b = { 0 };

	json_put_text(&b, text);
	put_member(out, key, buf_as_span(&b));
	buf_free(&b);
}

static void put_member_time(struct buf *out, const char *key, int64_t us)
{
	char text[32];

	if (us == TIME_NONE)
		put_member(out, key, (struct span){ NULL, 0 });
	else
		put_member_text(out, key, span_of(clock_format_rfc3339(us, text)));
}

static void put_row(struct buf *out, const struct chain *c)
{
	struct buf awaits = { 0 };

	for (size_t i = 0; i < w.n_texts; i++)
		if (span_is(c->text_hash, w.texts[i]->hash))
			put_member(out, "bundle", w.texts[i]->bundle);
	put_member_text(out, "rule", c->rule);
	put_member_text(out, "key", c->key);
	put_member_time(out, "started", c->started_us);
	put_member_time(out, "wake", c->wake_us);
	buf_char(&awaits, '[');
	for (unsigned i = 0; i < c->n_awaits; i++) {
		if (i)
			buf_char(&awaits, ',');
		json_put_text(&awaits, c->awaits[i]);
	}
	buf_char(&awaits, ']');
	put_member(out, "awaits", buf_as_span(&awaits));
	buf_free(&awaits);
	put_member(out, "exits", c->exits);
	put_member(out, "event", c->event);
	put_member(out, "history", c->history);
}

/* Takes a step; false: it can not be read. */
static bool take_step(const char *step, bool really, struct buf *then)
{
	const char *equal = strchr(step, '=');
	struct duration d;
	struct err err;

	if (step[0] == '+' && duration_parse(span_of(step + 1), 0, &d, &err)) {
		if (really)
			world_advance(&w, step + 1);
		else
			put_member_time(then, "now", w.now_us + duration_about_us(d));
		return true;
	}
	if (!equal)
		return false;
	if (really) {
		world_event(
			&w, arena_printf(&w.arena, "%.*s", (int)(equal - step), step), equal + 1);
		return true;
	}
	put_member_time(then, "now", w.now_us);
	buf_printf(then, ",\"event\":{\"type\":\"%.*s\",\"data\":%s}", (int)(equal - step), step,
		equal + 1);
	return true;
}

static void write_file(const char *path, const struct buf *b)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(b->p, 1, b->n, f) != b->n || fclose(f))
		fail_msg("could not write %s", path);
}

static void record(void **state)
{
	char **args = *state;
	struct buf out = { 0 }, then = { 0 }, expect = { 0 };
	struct span rules;
	char *text = read_file(args[1], &rules);
	struct world_file file = { "recorded.lua", text };
	size_t n;

	world_open(&w, &file, 1);
	for (n = 2; args[n] && args[n + 1]; n++)
		assert_true(take_step(args[n], true, NULL));
	assert_true(args[n] && w.customers[0].n_chains > 0);
	buf_str(&out, "{");
	put_member_text(&out, "about", SPAN("recorded"));
	put_member(&out, "level", SPAN("1"));
	put_row(&out, w.customers[0].chains[0]);
	buf_char(&then, '{');
	assert_true(take_step(args[n], false, &then));
	buf_char(&then, '}');
	put_member(&out, "then", buf_as_span(&then));
	world_close(&w);
	n = out.n;
	buf_char(&out, '}');
	run(buf_as_span(&out), &expect);
	out.n = n;
	put_member(&out, "expect", buf_as_span(&expect));
	buf_str(&out, "\n}\n");
	write_file(args[0], &out);
	buf_free(&out);
	buf_free(&then);
	buf_free(&expect);
	free(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_history_goes_on_as_written) };
	const struct CMUnitTest recording[] = { cmocka_unit_test_prestate(record, argv + 2) };

	log_open("histories_test", LOG_LOGFMT, LOG_LVL_ERROR);
	if (argc > 4 && strcmp(argv[1], "--record") == 0)
		return cmocka_run_group_tests(recording, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
