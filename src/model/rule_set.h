#ifndef MODEL_RULE_SET_H
#define MODEL_RULE_SET_H
/*
 * A rule set as text: what a reload stores in the database and every engine builds its state from.
 *
 * A rule text ("bundle") is one rule file with all it stands on, as canonical JSON:
 *   {"defaults":[{"path":"defaults.lua","text":"..."}, ...],   outermost folder first
 *    "lib":{"x":"...text of lib/x.lua..."},                     every helper below lib/, used or not is decided
 *                                                               by the reader of files: only required ones
 *    "path":"abandoned-cart.lua","text":"..."}
 * Its hash is the SHA-256 of that JSON in hex; chains are pinned to it together with the language level.
 * A template text is all parts of one template in one language:
 *   {"html":"...","txt":"...","sms":"..."}   parts that exist.
 * Plain data; spans live as long as the arena that the maker was given.
 */
#include "base/str.h"

#include <stdint.h>

enum { RULE_LEVEL = 1 }; /* the language level of this daemon */

struct rule_text {
	char hash[65];
	int level;
	struct span path;   /* of the rule file, relative to the rules directory */
	struct span bundle; /* the JSON above */
};

struct template_text {
	char hash[65];
	struct span name, lang;
	struct span body; /* the JSON above */
};

struct rule_set {
	int64_t id;    /* number in the database; 0: not stored yet */
	char hash[65]; /* SHA-256 over all hashes in order, hex */
	struct rule_text *texts;
	size_t n_texts;
	struct template_text *templates;
	size_t n_templates;
	int64_t read_us; /* the database's time when it was read there */
};

#endif
