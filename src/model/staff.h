#ifndef MODEL_STAFF_H
#define MODEL_STAFF_H
/*
 * Managers and their groups, as the configuration names them.  Plain data, lent by the settings: valid until
 * the next reload; texts end with NUL, "" = not set.
 */
#include <stdbool.h>
#include <stddef.h>

struct shop_calendar;

struct staff_group {
	const char *name;
	const char *email;                    /* for mail to the group; "" = none */
	const struct shop_calendar *calendar; /* NULL: the store's */
};

struct staff_manager {
	const char *name;
	const char *email, *phone; /* "" = none */
	const char *const *groups; /* names */
	size_t ngroups;
	bool head; /* is "head": gets what nobody else may decide */
};

struct staff {
	const struct staff_manager *managers;
	size_t nmanagers;
	const struct staff_group *groups;
	size_t ngroups;
};

#endif
