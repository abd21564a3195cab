#ifndef MAIN_RULE_TEST_H
#define MAIN_RULE_TEST_H
/*
 * `nudgectl test`: runs the *_test.lua files of rules without a database, on a virtual clock, in the engine and
 * intake that run in production (store/mem underneath).
 *
 *	test "a reminder after an hour" (function(t)
 *	  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
 *	  anna:event("cart.updated", { total = 2500 })
 *	  t:advance "1h"; t:expect { email = "cart-reminder", to = "anna@example.com" }
 *	end)
 *
 * The tests of x_test.lua run against the rules of x.lua alone (with its helpers and defaults), so that a new rule
 * never breaks the tests of another one; where there is no x.lua beside it, against all rules of the set.
 * What a test can call stands in nudged-rules(7), Tests of rules.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "main/rig.h"
#include "model/rule_set.h"

#include <stdint.h>

struct rule_file;

struct rule_test_env {
	const struct shop *shops; /* the first one posts the events; n_shops == 0: a built-in one */
	size_t n_shops;
	const struct staff *staff; /* may be NULL */
	enum rig_mode mode;
	int64_t test_us; /* most computing of one test; 0: 30 s */
	/* Called once per test: name, file and, when it failed, why (file:line: ...); NULL: it passed. */
	void (*report)(void *arg, struct span file, const char *name, const char *why);
	/* When not NULL, gets everything that each test left behind (effects in full, as text). */
	struct buf *trace;
	void *arg;
};

struct rule_test_sum {
	size_t passed, failed;
};

/* Runs all tests of the files, each on a fresh store.  False only when the whole set does not load. */
bool rule_test_run(const struct rule_test_env *env, const struct rule_set *set,
	const struct rule_file *files, size_t n_files, struct rule_test_sum *ret_sum,
	struct err *err) MUST_CHECK;

#endif
