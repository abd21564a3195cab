#ifndef MAIN_RULE_FILES_H
#define MAIN_RULE_FILES_H
/*
 * Rule files and templates on disk -> a rule set as text (model/rule_set.h).  Reads, never judges: whether the
 * rules load is the engine's business.  Used by the checker at start and reload, by nudgectl check and test, and
 * by development mode.
 *
 * Rules: every *.lua below the rules directory in order of path, except *_test.lua, defaults.lua and what stands
 * in lib/.  A text holds the file, the defaults.lua of its folders and the helpers it requires (found by reading
 * `require "x"`, helpers of helpers too).  Templates: <name>.<lang>.html, .txt or .sms, in sub-folders too (the
 * folder is part of the name).  Files that lead out of the directory (symbolic links), are not readable, larger
 * than 1 MiB or no UTF-8 are errors: a set is whole or not there.
 */
#include "base/err.h"
#include "base/mem.h"
#include "model/rule_set.h"

/* A file as found, for nudgectl test (the *_test.lua ones). */
struct rule_file {
	struct span path, text; /* path relative to the directory */
};

/* Fills the set; all memory from a.  templates_dir may be NULL: no templates. */
bool rule_files_read(const char *rules_dir, const char *templates_dir, struct arena *a,
	struct rule_set *ret, struct err *err) MUST_CHECK;
/* The rules' own tests, in order of path. */
bool rule_files_tests(const char *rules_dir, struct arena *a, struct rule_file **ret, size_t *ret_n,
	struct err *err) MUST_CHECK;

#endif
