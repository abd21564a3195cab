/*
 * rule_fuzz.c: any text as a rule file, and what follows a NUL as the data of the events.  It is loaded as a reload
 * loads it and linted; a set that loads judges three events and two days, once straight through and once with the
 * engine replaced after every batch.  Whatever it does, the process lives, errors name the file, both runs leave
 * the same behind, and no evaluation passes its limits by much.
 *
 * Runs that hit a limit of time or memory are not compared: where exactly they are stopped is the machine's doing.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/now.h"
#include "engine/judge.h"
#include "engine/lint.h"
#include "main/rig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static int64_t ticks(void *arg)
{
	(void)arg;
	return clock_mono_us();
}

/* A set of one file; false when its text can not stand in a bundle. */
static bool make_set(
	struct rule_set *set, struct rule_text *text, struct span file, struct buf *bundle)
{
	struct json_fault fault;

	buf_str(bundle,
		"{\"defaults\":[],\"lib\":{\"help\":\"return { n = 1 }\"},\"path\":\"fuzz.lua\","
		"\"text\":");
	json_put_text(bundle, file);
	buf_char(bundle, '}');
	if (!json_check_all(buf_as_span(bundle), &fault))
		return false;
	*text = (struct rule_text){
		.level = RULE_LEVEL, .path = SPAN("fuzz.lua"), .bundle = buf_as_span(bundle)
	};
	hash_sha256_hex(&text->bundle, 1, text->hash);
	*set = (struct rule_set){ .id = 1, .texts = text, .n_texts = 1 };
	memcpy(set->hash, text->hash, sizeof set->hash);
	return true;
}

static void on_problem(void *arg, enum lint_severity severity, const struct err *problem)
{
	(void)arg;
	(void)severity;
	must(strncmp(problem->text, "fuzz.lua:", 9) == 0);
}

/* Loads and lints it; false when it does not load. */
static bool loads(const struct rule_set *set)
{
	struct judge_env env = {
		.shops = &rig_shop, .n_shops = 1, .is_test = true, .ticks_us = ticks
	};
	struct lint_env lint = { 0 };
	struct err err = { 0 };
	struct judge *j;

	judge_limits_default(&env.limits);
	j = judge_new(&env, set, &err);
	if (!j) {
		must(strstr(err.text, "fuzz.lua") != NULL);
		return false;
	}
	lint_rules(j, set, &lint, on_problem, NULL);
	judge_free(j);
	return true;
}

static void post(struct rig *r, const char *type, struct span data)
{
	struct rig_event e = { .type = type, .data = data, .time_us = TIME_NONE };
	struct err err;

	(void)!rig_post(r, &e, &err);
}

/* What three events and two days leave behind. */
static void run(
	const struct rule_set *set, enum rig_mode mode, struct span event, struct buf *ret_trace)
{
	struct rig_env env = { .mode = mode };
	struct rig *r = rig_open(&env, set);

	post(r, "cart.updated", event);
	rig_advance(r, rig_now_us(r) + 3600 * CLOCK_SECOND_US);
	post(r, "order.placed", event);
	post(r, "a.b", SPAN("{\"customer\":{\"email\":\"a@x.test\"},\"n\":1}"));
	rig_advance(r, rig_now_us(r) + 48 * 3600 * CLOCK_SECOND_US);
	rig_trace(r, ret_trace);
	rig_close(r);
}

static bool holds(const struct buf *b, const char *text)
{
	return memmem(b->p, b->n, text, strlen(text)) != NULL;
}

static bool hit_limit(const struct buf *b)
{
	return holds(b, "ran longer than") || holds(b, "more memory") ||
	       holds(b, "not enough memory");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *nul = size ? memchr(p, '\0', size) : NULL;
	struct span file = { p, nul ? (size_t)(nul - p) : size };
	struct span event = { nul ? nul + 1 : p, nul ? size - file.n - 1 : 0 };
	struct buf bundle = { 0 }, straight = { 0 }, replaced = { 0 };
	struct rule_text text;
	struct rule_set set;
	struct json_fault fault;

	log_open("rule_fuzz", LOG_LOGFMT, LOG_LVL_ERROR);
	if (!json_check_all(event, &fault) || json_kind(event) != JSON_OBJECT)
		event = SPAN(
			"{\"customer\":{\"email\":\"a@x.test\"},\"order_id\":\"7\",\"total\":12.5}");
	if (json_is_text(file) && make_set(&set, &text, file, &bundle) && loads(&set)) {
		run(&set, RIG_STRAIGHT, event, &straight);
		run(&set, RIG_REPLACED, event, &replaced);
		if (!hit_limit(&straight) && !hit_limit(&replaced))
			must(span_eq(buf_as_span(&straight), buf_as_span(&replaced)));
	}
	buf_free(&bundle);
	buf_free(&straight);
	buf_free(&replaced);
	return 0;
}
