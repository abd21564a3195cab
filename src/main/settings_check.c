/* settings_check.c: small recognisers, one per kind of text.  They are strict where a mistake would
 * only be found at night (zones, addresses, hours) and lax where another program decides anyway. */
#include "main/settings_check.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SETTINGS_HASH_HINT                                                                         \
	"is not a SHA-256 of 64 hex digits; make one with: printf %%s TOKEN | sha256sum"

static bool settings_all(const char *text, int (*is)(int))
{
	for (; *text; text++)
		if (!is((unsigned char)*text))
			return false;
	return true;
}

bool settings_check_class(const char *text, struct err *err)
{
	enum message_class class;

	if (strcmp(text, "none") == 0 || message_class_parse(span_of(text), &class))
		return true;
	return err_set(err, "is not one of transactional, marketing, bulk or none");
}

bool settings_check_country(const char *text, struct err *err)
{
	if (strlen(text) == 2 && settings_all(text, isupper))
		return true;
	return err_set(err, "is not a country in two capital letters (DE)");
}

bool settings_check_currency(const char *text, struct err *err)
{
	if (strlen(text) == 3 && settings_all(text, isupper))
		return true;
	return err_set(err, "is not a currency in three capital letters (EUR)");
}

bool settings_parse_date(const char *text, int32_t *ret, struct err *err)
{
	int y, m, d, end = 0;

	if (strlen(text) != 10 || sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &end) != 3 ||
		end != 10 || y < 1970 || m < 1 || m > 12)
		return err_set(err, "is not a date like 2026-12-25");
	if (d < 1 || d > clock_month_days(y, m))
		return err_set(err, "is a date that does not exist");
	*ret = (int32_t)clock_days_of_date(y, m, d);
	return true;
}

bool settings_check_date(const char *text, struct err *err)
{
	int32_t day;

	return settings_parse_date(text, &day, err);
}

/* Two digits, colon, two digits: minutes since midnight, -1 when it is none. */
static int settings_minutes(const char *p)
{
	int h, m;

	if (!isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1]) || p[2] != ':' ||
		!isdigit((unsigned char)p[3]) || !isdigit((unsigned char)p[4]))
		return -1;
	h = (p[0] - '0') * 10 + p[1] - '0';
	m = (p[3] - '0') * 10 + p[4] - '0';
	return h > 24 || m > 59 || (h == 24 && m > 0) ? -1 : h * 60 + m;
}

bool settings_parse_day(const char *text, struct shop_day *ret, struct err *err)
{
	struct shop_day day = { 0 };
	int last = 0;

	for (const char *p = text + strspn(text, " \t,"); *p; p += strspn(p, " \t,")) {
		size_t n = strcspn(p, " \t,");
		int from = n == 11 ? settings_minutes(p) : -1;
		int to = n == 11 && p[5] == '-' ? settings_minutes(p + 6) : -1;

		if (from < 0 || to < 0)
			return err_set(err, "is not working hours like 09:00-13:00 14:00-18:00");
		if (from >= to || from < last)
			return err_set(err,
				"must go forward: each stretch ends after it begins and before the "
				"next one");
		if (day.nspans == SHOP_SPANS_MOST)
			return err_set(err, "has more than %d stretches", SHOP_SPANS_MOST);
		day.spans[day.nspans++] = (struct shop_span){ from, to };
		last = to;
		p += n;
	}
	*ret = day;
	return true;
}

bool settings_check_day(const char *text, struct err *err)
{
	struct shop_day day;

	return settings_parse_day(text, &day, err);
}

static int settings_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool settings_parse_hash(
	const char *text, char after, uint8_t ret[SHOP_HASH_BYTES], struct err *err)
{
	uint8_t hash[SHOP_HASH_BYTES];

	for (size_t i = 0; i < SHOP_HASH_BYTES; i++) {
		int high = settings_hex(text[0]), low = high < 0 ? -1 : settings_hex(text[1]);

		if (low < 0)
			return err_set(err, SETTINGS_HASH_HINT);
		hash[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text && (*text != after || after == '\0'))
		return err_set(err, SETTINGS_HASH_HINT);
	memcpy(ret, hash, sizeof hash);
	return true;
}

bool settings_check_hash(const char *text, struct err *err)
{
	uint8_t hash[SHOP_HASH_BYTES];

	return settings_parse_hash(text, '\0', hash, err);
}

/* The scopes behind the colon. */
static bool settings_parse_scopes(const char *p, unsigned *ret, struct err *err)
{
	unsigned scopes = 0;

	for (;; p++) {
		struct span word = { p, strcspn(p, "+") };

		if (span_is(word, "events"))
			scopes |= SHOP_MAY_POST;
		else if (span_is(word, "read"))
			scopes |= SHOP_MAY_READ;
		else
			return err_set(err,
				"has the unknown scope \"%.*s\"; there are events and read",
				SPAN_ARG(word));
		p += word.n;
		if (*p == '\0')
			break;
	}
	*ret = scopes;
	return true;
}

bool settings_parse_token(const char *text, struct shop_token *ret, struct err *err)
{
	struct shop_token t = { .scopes = SHOP_MAY_POST };

	if (!settings_parse_hash(text, ':', t.hash, err))
		return false;
	if (text[2 * SHOP_HASH_BYTES] &&
		!settings_parse_scopes(text + 2 * SHOP_HASH_BYTES + 1, &t.scopes, err))
		return false;
	*ret = t;
	return true;
}

bool settings_check_token(const char *text, struct err *err)
{
	struct shop_token t;

	return settings_parse_token(text, &t, err);
}

bool settings_check_ident(const char *text, struct err *err)
{
	bool ok = (islower((unsigned char)*text) || *text == '_') && strlen(text) <= 63;

	for (const char *p = text; *p; p++)
		ok = ok && (islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_');
	return ok || err_set(err, "is not a name of small letters, digits and _");
}

bool settings_check_key(const char *text, struct err *err)
{
	return strlen(text) >= 16 || err_set(err, "is shorter than 16 characters");
}

bool settings_check_lang(const char *text, struct err *err)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");
	bool ok = (n == 2 || n == 3) && (text[n] == '\0' || text[n] == '-') && strlen(text) <= 35;

	for (const char *p = text + n; ok && *p; p++)
		ok = isalnum((unsigned char)*p) || (*p == '-' && isalnum((unsigned char)p[1]));
	return ok || err_set(err, "is not a language like en or pt-BR");
}

static bool settings_parse_unix(const char *text, struct settings_address *a, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)&a->addr;

	if (strlen(text) >= sizeof un->sun_path)
		return err_set(err, "is longer than %zu bytes, the most for a Unix socket",
			sizeof un->sun_path - 1);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, text, strlen(text) + 1);
	a->len = (socklen_t)sizeof *un;
	return true;
}

/* Splits host:port or [host]:port; false when there is no good port. */
static bool settings_split_port(const char *text, char *host, size_t size, int *port)
{
	const char *colon = strrchr(text, ':'), *end = colon;
	int64_t n;

	if (colon == NULL || !span_to_i64(span_of(colon + 1), &n) || n < 1 || n > 65535 ||
		!isdigit((unsigned char)colon[1]))
		return false;
	if (*text == '[') {
		text++;
		if (--end <= text || *end != ']')
			return false;
	} else if (memchr(text, ':', (size_t)(end - text))) {
		return false; /* IPv6 without brackets */
	}
	if ((size_t)(end - text) >= size)
		return false;
	snprintf(host, size, "%.*s", (int)(end - text), text);
	*port = (int)n;
	return true;
}

bool settings_parse_address(const char *text, struct settings_address *ret, struct err *err)
{
	struct settings_address a = { .text = text };
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a.addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&a.addr;
	char host[64];
	int port;

	if (*text == '/') {
		if (!settings_parse_unix(text, &a, err))
			return false;
	} else if (settings_split_port(text, host, sizeof host, &port) &&
		   inet_pton(*text == '[' ? AF_INET6 : AF_INET, host,
			   *text == '[' ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) == 1) {
		a.len = *text == '[' ? sizeof *in6 : sizeof *in;
		a.addr.ss_family = *text == '[' ? AF_INET6 : AF_INET;
		in->sin_port = htons((uint16_t)port); /* the same place in both */
	} else {
		return err_set(err,
			"is not an address like 127.0.0.1:8080, [::]:8080 or /run/nudged/http");
	}
	*ret = a;
	return true;
}

bool settings_check_listen(const char *text, struct err *err)
{
	struct settings_address a;

	return settings_parse_address(text, &a, err);
}

/* A bare address: something@something, nothing that could end a header or a command. */
static bool settings_is_address(struct span s)
{
	const char *at = s.n ? memchr(s.p, '@', s.n) : NULL;

	if (at == NULL || at == s.p || at == s.p + s.n - 1)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || strchr("<>()[]\\,;:\"\x7f", s.p[i]))
			return false;
	return memchr(at + 1, '@', (size_t)(s.p + s.n - at - 1)) == NULL;
}

bool settings_check_mailbox(const char *text, struct err *err)
{
	struct span s = span_of(text);
	const char *open = strrchr(text, '<');

	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(err, "has a control character in it");
	if (open && text[s.n - 1] == '>')
		s = (struct span){ open + 1, (size_t)(text + s.n - 1 - (open + 1)) };
	return settings_is_address(s) ||
	       err_set(err,
		       "is not an address like shop@example.com or My Shop <shop@example.com>");
}

bool settings_check_only_to(const char *text, struct err *err)
{
	bool domain = text[0] == '@' && text[1] && strchr(text + 1, '@') == NULL;

	return domain || settings_is_address(span_of(text)) ||
	       err_set(err, "is neither an address (a@example.com) nor a domain (@example.com)");
}

bool settings_check_net(const char *text, struct err *err)
{
	char host[64];
	uint8_t bytes[16];
	size_t n = strcspn(text, "/");
	int64_t bits = 0;
	int most = strchr(text, ':') ? 128 : 32;

	if (span_into((struct span){ text, n }, host, sizeof host) &&
		inet_pton(most == 128 ? AF_INET6 : AF_INET, host, bytes) == 1 &&
		(text[n] == '\0' ||
			(isdigit((unsigned char)text[n + 1]) &&
				span_to_i64(span_of(text + n + 1), &bits) && bits <= most)))
		return true;
	return err_set(err, "is neither an address nor a network like 10.0.0.0/8");
}

bool settings_check_path(const char *text, struct err *err)
{
	return *text == '/' || err_set(err, "is not an absolute path");
}

bool settings_check_phone(const char *text, struct err *err)
{
	size_t n = strlen(text);

	if (*text == '+' && n >= 7 && n <= 16 && settings_all(text + 1, isdigit))
		return true;
	return err_set(err, "is not a phone number like +491234567");
}

bool settings_check_topic(const char *text, struct err *err)
{
	return strpbrk(text, "+#/ ") == NULL ||
	       err_set(err, "must be one level: no + # / or blank");
}

bool settings_check_url(const char *text, struct err *err)
{
	if ((strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) ||
		strpbrk(text, " \t\"<>?#"))
		return err_set(err, "is not a URL like https://shop.example/n");
	return text[strlen(text) - 1] != '/' || err_set(err, "must not end with a slash");
}

bool settings_check_word(const char *text, struct err *err)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(err, "has a blank in it");
	return true;
}

bool settings_check_zone(const char *text, struct err *err)
{
	const char *dir = getenv("TZDIR");
	char path[512];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", dir && *dir ? dir : "/usr/share/zoneinfo", text);
	if (*text != '/' && strstr(text, "..") == NULL && stat(path, &st) == 0 &&
		S_ISREG(st.st_mode))
		return true;
	return err_set(err, "is not a time zone of this system; write it like Europe/Berlin");
}
