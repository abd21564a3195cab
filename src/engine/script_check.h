#ifndef ENGINE_SCRIPT_CHECK_H
#define ENGINE_SCRIPT_CHECK_H
/*
 * Finds assignments to variables that outlive a call, and names that nobody has: reads a function as Lua 5.4
 * dumps it.
 *
 * Pure, on bytes.  A function is given with all functions inside it.  Two questions: do functions
 * inside assign a local of it (for the main chunk of a file: a local of the file), and is one of
 * its own upvalues assigned, by itself or from inside (for a function that is kept: a variable
 * that outlives its calls).
 */
#include "base/str.h"

enum script_check_what { SCRIPT_CHECK_LOCALS, SCRIPT_CHECK_UPVALUES };
enum script_check_answer {
	SCRIPT_CHECK_CLEAN,
	SCRIPT_CHECK_WRITES, /* *ret says which is first */
	SCRIPT_CHECK_FORMAT, /* the bytes are no dump of Lua 5.4 on this machine */
};
struct script_write {
	char file[64];
	int line;
	char name[64]; /* of the variable */
};

/* dump: as lua_dump writes it, with debug information. */
enum script_check_answer script_check_writes(
	struct span dump, enum script_check_what what, struct script_write *ret);

/* Does anybody have this name? */
typedef bool script_known_fn(void *arg, struct span name);
struct script_name {
	struct script_write at; /* where, and the name */
	bool is_set;            /* it is assigned, not read */
};
/* The first global that is read and not known, or that is assigned: SCRIPT_CHECK_WRITES, and *ret says which.
 * A few reads are not found (of names behind 255 other constants): Lua finds them when it gets there. */
enum script_check_answer script_check_names(
	struct span dump, script_known_fn *known, void *arg, struct script_name *ret);

#endif
