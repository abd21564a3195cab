#ifndef MODEL_SHOP_H
#define MODEL_SHOP_H
/*
 * A store that posts events to us: one `[store NAME]` section of the configuration, and the working
 * calendars that stores and groups refer to.
 *
 * Plain data.  Everything here is owned by the `struct settings` it came from and lives exactly as
 * long as that; texts end with NUL and are never NULL ("" = not set).  Readers lend, never keep, a
 * pointer over a reload.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHOP_DAYS = 7, SHOP_SPANS_MOST = 4, SHOP_HASH_BYTES = 32 };

/* What the bearer of a token may do; bits of shop_token.scopes. */
enum shop_scope {
	SHOP_MAY_POST = 1 << 0, /* "events": post events of this store */
	SHOP_MAY_READ = 1 << 1, /* "read": read cards, timelines and tasks of this store */
};

struct shop_token {
	uint8_t hash[SHOP_HASH_BYTES]; /* SHA-256 of the bearer token; compare in constant time */
	unsigned scopes;               /* enum shop_scope bits */
};

/* A stretch of working time within one day, in minutes since local midnight: [from, to). */
struct shop_span {
	int from_min; /* 0..1439 */
	int to_min;   /* 1..1440 */
};

struct shop_day {
	struct shop_span spans[SHOP_SPANS_MOST]; /* in order, not overlapping */
	size_t nspans;                           /* 0 = nobody works */
};

/* A `[calendar NAME]` section. */
struct shop_calendar {
	const char *name;
	struct shop_day days[SHOP_DAYS]; /* 0 = Monday */
	const int32_t *holidays;         /* days since 1970-01-01, ascending; nobody works */
	size_t nholidays;
};

struct shop {
	const char *id;   /* section name: what events, topics and tables call the store */
	const char *base; /* customer base: stores of one base share cards; default: the id */
	const char *zone; /* IANA zone of the store and of customers without one: "Europe/Berlin" */
	const char *lang; /* language of customers without one: "en" */
	const char *currency; /* ISO 4217 of amounts without one: "EUR" */
	const char *country;  /* two letters: how phone numbers without +.. are read */
	const char *from;     /* From: of mail to customers, "Name <address>" or address */
	const char *reply_to; /* Reply-To:, "" = none */
	/* consent_default, by class: may a message go out when the card says nothing about its channel? */
	bool consent_transactional;
	bool consent_marketing;
	bool consent_bulk;
	const struct shop_calendar *calendar; /* working hours of the store; never NULL */
	const struct shop_token *tokens;      /* who may speak for the store; may be none */
	size_t ntokens;
	/* Rows name it, but the configuration does not have it any more: nothing is started or run for it. */
	bool is_gone;
};

#endif
