#ifndef MAIN_SETTINGS_CHECK_H
#define MAIN_SETTINGS_CHECK_H
/*
 * Checks and parsers of the texts in nudged.conf: addresses, hashes, zones, working hours.
 *
 * The checks are rows' `check` functions (see conf.h): false, and the error says what is expected; the
 * text itself is put before it by the caller.  The parsers are for texts that passed their check, and
 * fail in the same way.  Nothing is kept.
 */
#include "main/settings.h"

bool settings_check_class(const char *text, struct err *err);    /* a message class, or none */
bool settings_check_country(const char *text, struct err *err);  /* DE */
bool settings_check_currency(const char *text, struct err *err); /* EUR */
bool settings_check_date(const char *text, struct err *err);     /* 2026-12-25 */
bool settings_check_day(const char *text, struct err *err);      /* 09:00-13:00 14:00-18:00 */
bool settings_check_hash(const char *text, struct err *err);     /* 64 hex digits */
bool settings_check_ident(const char *text, struct err *err);    /* an SQL name, no quotes needed */
bool settings_check_key(const char *text, struct err *err);      /* at least 16 bytes */
bool settings_check_lang(const char *text, struct err *err);     /* en, pt-BR */
bool settings_check_listen(const char *text, struct err *err);   /* address and port, or path */
bool settings_check_mailbox(const char *text, struct err *err);  /* Name <a@b> or a@b */
bool settings_check_net(const char *text, struct err *err);      /* 10.0.0.1, 10.0.0.0/8 */
bool settings_check_only_to(const char *text, struct err *err);  /* a@b or @b */
bool settings_check_path(const char *text, struct err *err);     /* absolute */
bool settings_check_phone(const char *text, struct err *err);    /* +491234567 */
bool settings_check_token(const char *text, struct err *err);    /* HASH or HASH:scope+scope */
bool settings_check_topic(const char *text, struct err *err);    /* one MQTT level */
bool settings_check_url(const char *text, struct err *err); /* http(s)://..., no slash at the end */
bool settings_check_word(const char *text, struct err *err); /* no blanks */
bool settings_check_zone(const char *text, struct err *err); /* in the system's tzdata */

/* Fills address and length; text is lent to it. */
bool settings_parse_address(
	const char *text, struct settings_address *ret, struct err *err) MUST_CHECK;
/* 64 hex digits of any case, then the end or the byte `after`. */
bool settings_parse_hash(
	const char *text, char after, uint8_t ret[SHOP_HASH_BYTES], struct err *err) MUST_CHECK;
bool settings_parse_token(const char *text, struct shop_token *ret, struct err *err) MUST_CHECK;
bool settings_parse_day(const char *text, struct shop_day *ret, struct err *err) MUST_CHECK;
/* Days since 1970-01-01. */
bool settings_parse_date(const char *text, int32_t *ret, struct err *err) MUST_CHECK;

#endif
