/* planted.c: the table of bugs, and which of them this process has.
 *
 * One build has all of them, with a switch at run time: thirty builds would take an hour, and would not be the same
 * program.  A name that is no bug must not go unnoticed: it would be a bug that nobody catches.
 */
#include "base/planted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef NUDGED_PLANTED_BUGS

#define PLANTED_ROW(name, what) { #name, what },
static const struct {
	const char *name, *what;
} planted_table[] = { PLANTED_BUGS(PLANTED_ROW) };

/* What the environment says; PLANTED_COUNT: none. */
static enum planted planted_read(void)
{
	const char *name = getenv("NUDGED_PLANTED");

	if (name == NULL || *name == '\0')
		return PLANTED_COUNT;
	for (size_t i = 0; i < PLANTED_COUNT; i++)
		if (strcmp(planted_table[i].name, name) == 0)
			return (enum planted)i;
	fprintf(stderr, "NUDGED_PLANTED: there is no bug \"%s\"; nudged --planted lists them\n",
		name);
	exit(2);
}

bool planted_is(enum planted bug)
{
	static enum planted own = PLANTED_COUNT;
	static bool known;

	if (!known)
		own = planted_read();
	known = true;
	return bug == own;
}

bool planted_at(size_t i, const char **ret_name, const char **ret_what)
{
	if (i >= PLANTED_COUNT)
		return false;
	*ret_name = planted_table[i].name;
	*ret_what = planted_table[i].what;
	return true;
}

#else

bool planted_is(enum planted bug)
{
	return bug == PLANTED_COUNT;
}

bool planted_at(size_t i, const char **ret_name, const char **ret_what)
{
	(void)i;
	(void)ret_name;
	(void)ret_what;
	return false;
}

#endif
