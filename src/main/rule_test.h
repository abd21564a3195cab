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
 * What a test can call:
 *	t:customer { id=, email=, phone=, name=, ..., consent={} }  a card, without telling any rule; returns it
 *	c:event(type, data)       an event about that customer, now; c:card() his card as a table
 *	t:event(type, data)       an event about nobody, or about whom data names
 *	t:at "2026-03-02 10:00"   sets the clock forward (UTC); a test begins on Monday, 2 March 2026, 10:00
 *	t:advance "59m"           lets time pass; timers fire and messages are handed over on the way
 *	t:expect { email="x", to=, ... } | { task="title", ... } | { publish="topic" }   one such effect has happened
 *	                          that was not expected before; returns it as a table (id, and its fields)
 *	t:expect_none()           nothing happened that was not expected
 *	t:refused { email="x", code="no_consent" }   a message that was decided against
 *	t:take(task, manager), t:done(task, result)  what managers do
 *	t:same(got, want [, what])                   compares values
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/rule_set.h"

#include <stdint.h>

struct shop;
struct staff;
struct rule_file;

enum rule_test_mode {
	RULE_TEST_STRAIGHT, /* events of one moment in one batch */
	RULE_TEST_REPLACED, /* the engine is thrown away and made anew after every batch */
	RULE_TEST_SINGLE,   /* every event in a batch of its own */
};

struct rule_test_env {
	const struct shop *shops; /* the first one posts the events; n_shops == 0: a built-in one */
	size_t n_shops;
	const struct staff *staff; /* may be NULL */
	enum rule_test_mode mode;
	/* Called once per test: name, file and, when it failed, why (file:line: ...); NULL: it passed. */
	void (*report)(void *arg, struct span file, const char *name, const char *why);
	/* When not NULL, gets everything that each test left behind (effects in full, as text). */
	struct buf *trace;
	void *arg;
};

struct rule_test_sum {
	size_t passed, failed;
};

/* Runs all tests of the files against the set, each on a fresh store.  False only when the set does not load. */
bool rule_test_run(const struct rule_test_env *env, const struct rule_set *set,
	const struct rule_file *files, size_t n_files, struct rule_test_sum *ret_sum,
	struct err *err) MUST_CHECK;

#endif
