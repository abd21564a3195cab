/*
 * replay_modes_test.c: a rule can not tell how its work is cut into batches, nor whether the process lives on.
 *
 * The rules that we ship, and those of tests/rules that were made for it, run their own tests straight through,
 * with the engine replaced after every batch, and with every event in a batch of its own.  All must pass, and
 * what they leave in the store must be the same, byte for byte; so must two runs of the same mode.
 *
 * No two runs have the same hash seed in their Lua states: Lua makes it from the time (and from addresses), and the
 * time that it asks here is ours.  A plain Lua walks a table in another order then, which is shown first.
 * $REPLAY_SEED is the first of them.  With $REPLAY_TRACE set, what the shipped and the made rules left goes to that file (tests/fault/replay compares
 * processes).
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "main/rule_files.h"
#include "main/rule_test.h"
#include "model/shop.h"
#include "model/staff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>
#include <time.h>

enum { MODES_SHOWN = 5, MODES_LINE = 700 };

static const struct shop_calendar modes_office = {
	.name = "office",
	.days = { [0 ... 4] = { .spans = { { 9 * 60, 18 * 60 } }, .nspans = 1 } },
};
static const struct shop_calendar modes_night = {
	.name = "night",
	.days = { [0 ... 6] = { .spans = { { 20 * 60, 24 * 60 } }, .nspans = 1 } },
};
static const struct shop modes_shops[] = {
	{ .id = "shop",
		.base = "shop",
		.zone = "UTC",
		.lang = "en",
		.currency = "EUR",
		.country = "DE",
		.from = "Shop <shop@example.com>",
		.reply_to = "",
		.consent_transactional = true,
		.calendar = &modes_office },
	{ .id = "second",
		.base = "shop",
		.zone = "Europe/Berlin",
		.lang = "de",
		.currency = "EUR",
		.country = "DE",
		.from = "Second <second@example.com>",
		.reply_to = "",
		.consent_transactional = true,
		.consent_marketing = true,
		.calendar = &modes_office },
};
static const char *const modes_groups[] = { "sales" };
static const struct staff_group modes_group[] = {
	{ .name = "sales", .email = "sales@example.com" },
	{ .name = "night", .email = "", .calendar = &modes_night },
};
static const struct staff_manager modes_manager[] = {
	{ .name = "maria",
		.email = "maria@example.com",
		.phone = "",
		.groups = modes_groups,
		.ngroups = 1,
		.head = true },
	{ .name = "paul", .email = "", .phone = "", .groups = modes_groups, .ngroups = 1 },
};
static const struct staff modes_staff = { modes_manager, 2, modes_group, 2 };

/* Lua's time, and how often it was asked for it: once per state. */
static time_t modes_seed = 1000000;
static unsigned modes_seeded;

/* Stands before the one of libc, for liblua too. */
__attribute__((visibility("default"))) time_t time(time_t *ret)
{
	modes_seeded++;
	if (ret)
		*ret = modes_seed;
	return modes_seed;
}

static void modes_report(void *arg, struct span file, const char *name, const char *why)
{
	(void)arg;
	if (why != NULL)
		fprintf(stderr, "FAILED %.*s: %s\n    %s\n", SPAN_ARG(file), name, why);
}

/* All tests of a set in a mode; what they left goes to *trace. */
static void modes_run(const struct rule_set *set, const struct rule_file *files, size_t n,
	enum rig_mode mode, struct buf *trace)
{
	struct rule_test_env env = { .shops = modes_shops,
		.n_shops = 2,
		.staff = &modes_staff,
		.mode = mode,
		.report = modes_report,
		.trace = trace };
	struct rule_test_sum sum = { 0, 0 };
	struct err err = { 0 };

	modes_seed += 7919;
	modes_seeded = 0;
	if (!rule_test_run(&env, set, files, n, &sum, &err))
		fail_msg("%s", err.text);
	printf("%s: %zu passed, %zu failed, %zu bytes left behind\n", rig_mode_name(mode),
		sum.passed, sum.failed, trace->n);
	assert_int_equal(sum.failed, 0);
	assert_true(sum.passed > 0);
	assert_true(modes_seeded >= sum.passed);
}

/* The line that begins at p, without its end. */
static struct span modes_line(const struct buf *b, size_t at)
{
	const char *p = b->p + at, *end;

	if (at >= b->n)
		return SPAN("(end)");
	end = memchr(p, '\n', b->n - at);
	return (struct span){ p, end ? (size_t)(end - p) : b->n - at };
}

/* Shows a line from shortly before the first byte that differs. */
static void modes_show(const char *mode, struct span line, size_t at)
{
	size_t from = at > MODES_LINE / 2 ? at - MODES_LINE / 2 : 0;
	size_t n = line.n - from > MODES_LINE ? MODES_LINE : line.n - from;

	fprintf(stderr, "  %-9s %s%.*s\n", mode, from ? "..." : "", (int)n, line.p + from);
}

/* Where two lines part. */
static size_t modes_parting(struct span a, struct span b)
{
	size_t i = 0;

	while (i < a.n && i < b.n && a.p[i] == b.p[i])
		i++;
	return i;
}

/* Equal, or the first lines that differ and the tests that they belong to. */
static bool modes_same(
	const struct buf *a, const char *name_a, const struct buf *b, const char *name_b)
{
	struct span test = SPAN("?"), told = { NULL, 0 };
	size_t at_a = 0, at_b = 0;
	int shown = 0;

	while (shown < MODES_SHOWN && (at_a < a->n || at_b < b->n)) {
		struct span x = modes_line(a, at_a), y = modes_line(b, at_b);
		size_t parting = modes_parting(x, y);

		if (span_starts(x, "== "))
			test = x;
		if (!span_eq(x, y)) {
			if (test.p != told.p)
				fprintf(stderr, "%.*s\n", SPAN_ARG(test));
			told = test;
			modes_show(name_a, x, parting);
			modes_show(name_b, y, parting);
			shown++;
		}
		at_a += x.n + 1;
		at_b += y.n + 1;
	}
	return shown == 0;
}

/* For whoever compares processes. */
static void modes_write(const struct buf *trace)
{
	const char *path = getenv("REPLAY_TRACE");
	FILE *f = path ? fopen(path, "a") : NULL;

	if (path && (!f || fwrite(trace->p, 1, trace->n, f) != trace->n || fclose(f) != 0))
		fail_msg("could not write %s", path);
}

/* Straight through is the measure; each mode twice. */
static void modes_compare(const char *rules, const char *templates)
{
	static const enum rig_mode modes[] = { RIG_STRAIGHT, RIG_REPLACED, RIG_SINGLE };
	const char *dir = getenv("srcdir");
	struct arena a = { 0 };
	struct rule_set set;
	struct rule_file *files;
	struct err err = { 0 };
	struct buf first = { 0 };
	bool same = true;
	size_t n;

	rules = arena_printf(&a, "%s/%s", dir ? dir : ".", rules);
	templates = arena_printf(&a, "%s/%s", dir ? dir : ".", templates);
	if (!rule_files_read(rules, templates, &a, &set, &err) ||
		!rule_files_tests(rules, &a, &files, &n, &err))
		fail_msg("%s", err.text);
	for (int i = 0; i < 6; i++) {
		struct buf trace = { 0 };

		modes_run(&set, files, n, modes[i / 2], &trace);
		if (i == 0)
			first = trace;
		else
			same &= modes_same(&first, rig_mode_name(RIG_STRAIGHT), &trace,
				rig_mode_name(modes[i / 2]));
		if (i != 0)
			buf_free(&trace);
	}
	modes_write(&first);
	buf_free(&first);
	arena_fini(&a);
	assert_true(same);
}

/* The keys of a table in the order of a plain Lua's pairs. */
static void modes_plain_pairs(struct buf *ret)
{
	lua_State *L = luaL_newstate();

	assert_non_null(L);
	luaL_openlibs(L);
	if (luaL_dostring(L, "local t, s = {}, '' for i = 1, 40 do t['key' .. i] = i end "
			     "for k in pairs(t) do s = s .. k .. ' ' end return s"))
		fail_msg("%s", lua_tostring(L, -1));
	buf_str(ret, lua_tostring(L, -1));
	lua_close(L);
}

/* Without this, two runs that agree would say nothing. */
static void test_seeds_differ(void **state)
{
	struct buf once = { 0 }, twice = { 0 };

	(void)state;
	modes_seeded = 0;
	modes_plain_pairs(&once);
	modes_seed += 7919;
	modes_plain_pairs(&twice);
	assert_true(modes_seeded >= 2);
	assert_false(span_eq(buf_as_span(&once), buf_as_span(&twice)));
	buf_free(&once);
	buf_free(&twice);
}

static void test_shipped_rules(void **state)
{
	(void)state;
	modes_compare("rules", "templates");
}

static void test_made_rules(void **state)
{
	(void)state;
	modes_compare("tests/rules", "tests/rules/templates");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeds_differ),
		cmocka_unit_test(test_shipped_rules),
		cmocka_unit_test(test_made_rules),
	};

	const char *seed = getenv("REPLAY_SEED");

	if (seed)
		modes_seed = (time_t)strtoll(seed, NULL, 10);
	log_open("replay_modes_test", LOG_LOGFMT, LOG_LVL_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
