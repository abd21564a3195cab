#ifndef MAIN_SETTINGS_TABLE_H
#define MAIN_SETTINGS_TABLE_H
/*
 * THE option table: which sections and options nudged.conf has.  Only settings.c includes this; all
 * others read `struct settings`.  The raw structs are named sections as they stand in the file, before
 * settings.c makes shops, calendars and staff of them.
 */
#include "main/settings.h"

struct raw_store {
	const char *base, *zone, *lang, *currency, *country, *from, *reply_to, *calendar;
	struct conf_list consent_default, tokens;
};

struct raw_manager {
	const char *email, *phone;
	struct conf_list groups;
	bool head;
};

struct raw_group {
	const char *email, *calendar;
};

struct raw_calendar {
	const char *days[SHOP_DAYS]; /* texts, Monday first */
	struct conf_list holidays;
};

const struct conf_schema *settings_schema(void);

#endif
