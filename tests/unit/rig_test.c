/*
 * rig_test.c: chains in flight while the rules change: they go on with the text that they began with, helpers
 * included, whichever process runs them (P8); what starts after the reload has the new text.
 */
#include "base/clock.h"
#include "base/log.h"
#include "main/rig.h"
#include "main/rule_files.h"
#include "model/batch.h"
#include "store/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_US (INT64_C(3600) * CLOCK_SECOND_US)

static void put(const char *dir, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_non_null(f = fopen(path, "w"));
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void drop(const char *dir, const char *name)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(remove(path), 0);
}

/* The set of one file a.lua and one helper lib/words.lua. */
static void make_set(const char *rules, const char *words, struct arena *a, struct rule_set *ret)
{
	char dir[] = "/tmp/rig_test.XXXXXX", lib[200];
	struct err err = { 0 };
	bool ok;

	assert_non_null(mkdtemp(dir));
	snprintf(lib, sizeof lib, "%s/lib", dir);
	assert_int_equal(mkdir(lib, 0700), 0);
	put(dir, "a.lua", rules);
	put(dir, "lib/words.lua", words);
	ok = rule_files_read(dir, NULL, a, ret, &err);
	drop(dir, "lib/words.lua");
	drop(dir, "lib");
	drop(dir, "a.lua");
	assert_int_equal(rmdir(dir), 0);
	if (!ok)
		fail_msg("%s", err.text);
}

static void post(struct rig *r, const char *type)
{
	struct rig_event e = {
		.type = type, .data = SPAN("{\"customer\":{\"id\":\"anna\"}}"), .time_us = TIME_NONE
	};
	struct err err = { 0 };

	if (!rig_post(r, &e, &err))
		fail_msg("%s", err.text);
	rig_flush(r);
}

/* All notes, one behind the other. */
static void notes_are(struct rig *r, const char *want)
{
	const struct mem_tables *m = rig_tables(r);
	struct buf got = { 0 };

	for (size_t i = 0; i < m->n_notes; i++)
		buf_printf(&got, "%s%.*s", i ? " " : "", SPAN_ARG(m->notes[i]->text));
	buf_char(&got, '\0');
	if (strcmp(got.p, want) != 0)
		fail_msg("\"%s\", not \"%s\"", got.p, want);
	buf_free(&got);
}

static const char old_rules[] =
	"local words = require 'words'\n"
	"rule 'r' { on = 'x', exit_on = 'old.stop', run = function()\n"
	"  note(words.one) wait '1h' note(words.two) wait '1h' note 'old-end'\n"
	"end }\n";
static const char new_rules[] = "local words = require 'words'\n"
				"rule 'r' { on = 'x', exit_on = 'new.stop', run = function()\n"
				"  tag 'new' wait '2h' note(words.two)\n"
				"end }\n";
static const char other_rules[] = "rule 'other' { on = 'y', run = function() note 'other' end }\n";

static void a_chain_keeps_its_text(enum rig_mode mode)
{
	struct rig_env env = { .mode = mode };
	struct arena a = { 0 };
	struct rule_set old_set, new_set, other_set;
	struct rig *r;

	make_set(old_rules, "return { one = 'old-1', two = 'old-2' }", &a, &old_set);
	make_set(new_rules, "return { one = 'new-1', two = 'new-2' }", &a, &new_set);
	make_set(other_rules, "return {}", &a, &other_set);
	r = rig_open(&env, &old_set);
	post(r, "x");
	notes_are(r, "old-1");
	rig_reload(r, &new_set);
	post(r, "x"); /* mode "single": the old chain is live */
	post(r, "new.stop");
	rig_advance(r, rig_now_us(r) + HOUR_US);
	notes_are(r, "old-1 old-2");
	rig_reload(r, &other_set); /* there is no such rule any more */
	rig_advance(r, rig_now_us(r) + HOUR_US);
	notes_are(r, "old-1 old-2 old-end");
	post(r, "x");
	post(r, "y");
	notes_are(r, "old-1 old-2 old-end other");
	rig_reload(r, &new_set);
	post(r, "x");
	rig_advance(r, rig_now_us(r) + 2 * HOUR_US);
	notes_are(r, "old-1 old-2 old-end other new-2");
	rig_close(r);
	arena_fini(&a);
}

static void texts_are_kept_straight(void **state)
{
	(void)state;
	a_chain_keeps_its_text(RIG_STRAIGHT);
}

static void texts_are_kept_over_processes(void **state)
{
	(void)state;
	a_chain_keeps_its_text(RIG_REPLACED);
}

static void exits_are_those_of_the_old_text(void **state)
{
	struct rig_env env = { .mode = RIG_REPLACED };
	struct arena a = { 0 };
	struct rule_set old_set, new_set;
	struct rig *r;

	(void)state;
	make_set(old_rules, "return { one = 'old-1', two = 'old-2' }", &a, &old_set);
	make_set(new_rules, "return { one = 'new-1', two = 'new-2' }", &a, &new_set);
	r = rig_open(&env, &old_set);
	post(r, "x");
	rig_reload(r, &new_set);
	post(r, "old.stop");
	rig_advance(r, rig_now_us(r) + 3 * HOUR_US);
	notes_are(r, "old-1");
	assert_int_equal(rig_tables(r)->chains[0]->state, CHAIN_EXITED);
	rig_close(r);
	arena_fini(&a);
}

/* A task that is overdue when it is made, and a message that goes out at the same moment. */
static void what_is_due_at_once_has_one_order(void **state)
{
	static const char rules[] =
		"rule 'r' { on = 'x', class = 'transactional', run = function()\n"
		"  task { title = 'T', deadline = '0h', results = { 'ok' } }\n"
		"  publish('t', {})\n"
		"end }\n";
	static const enum rig_mode modes[] = { RIG_STRAIGHT, RIG_REPLACED };
	struct arena a = { 0 };
	struct rule_set set;
	struct buf traces[2] = { 0 };

	(void)state;
	make_set(rules, "return {}", &a, &set);
	for (int i = 0; i < 2; i++) {
		struct rig_env env = { .mode = modes[i] };
		struct rig *r = rig_open(&env, &set);

		post(r, "x");
		rig_advance(r, rig_now_us(r) + HOUR_US);
		rig_trace(r, &traces[i]);
		rig_close(r);
	}
	assert_non_null(memmem(traces[0].p, traces[0].n, "task.overdue", 12));
	assert_non_null(memmem(traces[0].p, traces[0].n, "message.sent", 12));
	assert_true(span_eq(buf_as_span(&traces[0]), buf_as_span(&traces[1])));
	buf_free(&traces[0]);
	buf_free(&traces[1]);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_kept_straight),
		cmocka_unit_test(texts_are_kept_over_processes),
		cmocka_unit_test(exits_are_those_of_the_old_text),
		cmocka_unit_test(what_is_due_at_once_has_one_order),
	};

	log_open("rig_test", LOG_LOGFMT, LOG_LVL_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
