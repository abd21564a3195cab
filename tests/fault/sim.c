/*
 * sim.c: sim_run --rules DIR [--first N] [--seeds N] [--trace]: seed after seed; what breaks is told with the command
 * that shows it.  Each fiftieth seed runs twice: the same seed must give the same trace.
 */
#include "sim_int.h"

#include "base/hash.h"
#include "base/log.h"
#include "main/rule_files.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIM_TWICE = 50, SIM_FAILED_MOST = 10 };

struct sim_sum {
	uint64_t passed, failed;
	uint64_t commits, lost, late, again, crashes, freezes, drops, posts, handed_over, doubts,
		kills, joins;
};

/* The same set, with another number where the rules say "version = 1". */
static void sim_set_turn(struct arena *a, const struct rule_set *from, struct rule_set *ret)
{
	struct span all[16];

	*ret = *from;
	ret->texts = arena_array(a, struct rule_text, from->n_texts);
	for (size_t i = 0; i < from->n_texts; i++) {
		char *copy = arena_dup(a, from->texts[i].bundle.p, from->texts[i].bundle.n);
		char *at = strstr(copy, "version = 1");

		ret->texts[i] = from->texts[i];
		if (at != NULL)
			at[strlen("version = ")] = '2';
		ret->texts[i].bundle = (struct span){ copy, from->texts[i].bundle.n };
		hash_sha256_hex(&ret->texts[i].bundle, 1, ret->texts[i].hash);
		if (i < 16)
			all[i] = span_of(ret->texts[i].hash);
	}
	hash_sha256_hex(all, from->n_texts < 16 ? from->n_texts : 16, ret->hash);
}

static bool sim_read_rules(const char *dir, struct arena *a, struct rule_set ret[2])
{
	char *templates = arena_printf(a, "%s/templates", dir);
	struct err err = { 0 };

	if (!rule_files_read(dir, templates, a, &ret[0], &err)) {
		fprintf(stderr, "sim: %s\n", err.text);
		return false;
	}
	sim_set_turn(a, &ret[0], &ret[1]);
	return true;
}

static void sim_add(struct sim_sum *sum, const struct sim *s)
{
	sum->commits += s->n.commits;
	sum->lost += s->n.lost;
	sum->late += s->n.late;
	sum->again += s->n.again;
	sum->crashes += s->n.crashes;
	sum->freezes += s->n.freezes;
	sum->drops += s->n.drops;
	sum->posts += s->n_posts;
	sum->handed_over += s->n.handed_over;
	sum->doubts += s->n.doubts;
	sum->kills += s->n.kills;
	sum->joins += s->n.joins;
}

/* One seed; a failure is printed. */
static bool sim_seed(uint64_t seed, const struct rule_set sets[2], bool show, uint64_t *ret_hash,
	struct sim_sum *sum)
{
	struct sim *s = xcalloc(1, sizeof *s);
	bool well;

	s->seed = seed;
	s->show = show;
	well = sim_run(s, sets);
	if (!well)
		printf("seed %" PRIu64 ": %s\n", seed, s->why);
	*ret_hash = s->hash;
	sim_add(sum, s);
	free(s);
	return well;
}

static bool sim_seed_checked(
	uint64_t seed, const struct rule_set sets[2], bool show, struct sim_sum *sum)
{
	uint64_t hash, again;
	bool well = sim_seed(seed, sets, show, &hash, sum);

	if (well && seed % SIM_TWICE == 0 &&
		(!sim_seed(seed, sets, false, &again, sum) || again != hash)) {
		printf("seed %" PRIu64 ": another trace when it is run again\n", seed);
		return false;
	}
	if (show)
		printf("trace %016" PRIx64 "\n", hash);
	return well;
}

static void sim_say_sum(const struct sim_sum *x)
{
	printf("%" PRIu64 " posts, %" PRIu64 " commits, %" PRIu64 " joins, %" PRIu64
	       " hand-overs; %" PRIu64 " connections lost, %" PRIu64 " collisions, %" PRIu64
	       " transactions ended, %" PRIu64 " late, %" PRIu64 " crashes, %" PRIu64
	       " freezes, %" PRIu64 " clients gone, %" PRIu64 " in doubt\n",
		x->posts, x->commits, x->joins, x->handed_over, x->lost, x->again, x->kills,
		x->late, x->crashes, x->freezes, x->drops, x->doubts);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rules", required_argument, NULL, 'r' },
		{ "first", required_argument, NULL, 'f' },
		{ "seeds", required_argument, NULL, 'n' },
		{ "trace", no_argument, NULL, 't' },
		{ 0 },
	};
	const char *rules = "tests/fault/sim_rules";
	uint64_t first = 1, n = 1;
	bool show = false;
	struct arena arena = { 0 };
	struct rule_set sets[2] = { { 0 }, { 0 } };
	struct sim_sum sum = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'r': rules = optarg; break;
		case 'f': first = strtoull(optarg, NULL, 10); break;
		case 'n': n = strtoull(optarg, NULL, 10); break;
		case 't': show = true; break;
		default: return 2;
		}
	log_open("sim", LOG_LOGFMT, show ? LOG_LVL_WARNING : (enum log_level)0);
	if (!sim_read_rules(rules, &arena, sets))
		return 2;
	for (uint64_t i = 0; i < n && sum.failed < SIM_FAILED_MOST; i++) {
		if (sim_seed_checked(first + i, sets, show, &sum))
			sum.passed++;
		else
			sum.failed++;
	}
	sim_say_sum(&sum);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", sum.passed, sum.failed);
	arena_fini(&arena);
	return sum.failed > 0;
}
