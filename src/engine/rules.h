#ifndef ENGINE_RULES_H
#define ENGINE_RULES_H
/*
 * The rules of a set, loaded into one script state: what each says, and which are for an event
 * type.
 *
 * Life: make a script, script_define all calls that rules may name, rules_new (adds `rule`, `on`,
 * `defaults`, `require`, times and JSON glue), rules_load_set once.  Older texts, to which chains
 * are pinned, are loaded on demand into the same state by rules_text_load; they are never
 * subscribed.  All is freed with rules_free, before the script.  A struct rule lives as long as
 * the rules. Errors name file, line, what is wrong and, where it can be told, what to write
 * instead.
 */
#include "base/err.h"
#include "base/str.h"
#include "engine/what.h"
#include "model/message.h"
#include "model/rule_set.h"

#include <lua.h>

struct duration;
struct script;

enum rule_mode { RULE_SINGLE, RULE_RESTART, RULE_QUEUED, RULE_PARALLEL };
const char *rule_mode_name(enum rule_mode m);
enum rule_late { RULE_LATE_RUN, RULE_LATE_END, RULE_LATE_AFTER };
const char *rule_late_name(enum rule_late l);
enum rule_on_change { RULE_FINISH }; /* "migrate" and "cancel" are refused by this version */

struct rule {
	const char *name, *about; /* about: "" when missing */
	const char *file;         /* "abandoned-cart.lua", relative to the rules directory */
	int line;                 /* of `rule "name"` */
	char text_hash[65];       /* of its bundle: what its chains are pinned to */
	int level;
	unsigned order; /* place in the set: by path, then by definition */
	struct what on, exit_on;
	/* functions as references into LUA_REGISTRYINDEX; LUA_NOREF when missing */
	int when_ref, run_ref, key_ref;
	const char *key_field; /* key = "order_id": the field; NULL: none, or key_ref */
	enum rule_mode mode;
	const struct duration *cooldown; /* NULL: none */
	bool cooldown_per_customer;      /* "30d per customer": else per key */
	const struct duration *max_age;  /* never NULL; default 1d */
	enum rule_late late;
	const struct duration *late_after; /* RULE_LATE_AFTER */
	enum rule_on_change on_change;
	enum message_class class_;
	int priority;        /* 0..100 */
	const char **stores; /* ids; n_stores == 0: all */
	unsigned n_stores;
};

struct rules_env {
	const char *const
		*stores; /* ids of the configured stores, for `store`; NULL: not checked */
	size_t n_stores;
};

struct rules;

struct rules *rules_new(struct script *s, const struct rules_env *env);
void rules_free(struct rules *r);
/* Loads every text of the set, in its order.  After a failure only rules_free may follow. */
bool rules_load_set(struct rules *r, const struct rule_set *set, struct err *err) MUST_CHECK;

/* Rules whose `on` holds the type or a pattern that matches it, in order of path and definition.
 * The list is lent until rules_free (built at the first question for a type that has any; NULL, 0
 * otherwise). */
const struct rule *const *rules_subscribed(struct rules *r, struct span type, size_t *ret_n);
/* The same of those whose `exit_on` does. */
const struct rule *const *rules_exited(struct rules *r, struct span type, size_t *ret_n);
/* By name, in the set; NULL: no such rule. */
const struct rule *rules_find(const struct rules *r, struct span name);
const struct rule *const *rules_all(const struct rules *r, size_t *ret_n);

/* Is this text loaded (as part of the set or on demand)? */
bool rules_text_is_loaded(const struct rules *r, struct span hash);
/* Loads an older text.  Levels above RULE_LEVEL are refused. */
bool rules_text_load(struct rules *r, struct span hash, struct span bundle, int level,
	struct err *err) MUST_CHECK;
/* The rule of that name in a loaded text; NULL: the text does not have it. */
const struct rule *rules_in_text(const struct rules *r, struct span hash, struct span name);

#endif
