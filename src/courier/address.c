/* address.c: what may follow MAIL FROM and RCPT TO.
 *
 * libesmtp prints an address between < and > as it is, so this room is the only thing between a
 * customer's typing and the dialogue.  It therefore knows what is allowed, not what is forbidden.
 * What is legal but was never seen outside of attacks and jokes ("a b"@c, user@[192.0.2.1], comments)
 * is not worth a parser.
 */
#include "courier/address.h"

#include <string.h>
#include <strings.h>

enum { ADDRESS_LOCAL = 64, ADDRESS_LABEL = 63, ADDRESS_DOMAIN = 253 };

/* A letter or a digit, in any locale. */
static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* atext of RFC 5322 section 3.2.3. */
static bool is_atext(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Atoms with single dots between them. */
static bool is_dot_string(struct span s)
{
	if (s.n == 0 || s.n > ADDRESS_LOCAL)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '.' ? i == 0 || i + 1 == s.n || s.p[i - 1] == '.' : !is_atext(s.p[i]))
			return false;
	return true;
}

/* One name between dots of a domain. */
static bool is_label(const char *p, size_t n)
{
	if (n == 0 || n > ADDRESS_LABEL || p[0] == '-' || p[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(p[i]) && p[i] != '-')
			return false;
	return true;
}

/* Two labels at least, the last one not a number. */
static bool is_domain(struct span s)
{
	size_t from = 0, labels = 0;
	bool letter = false;

	if (s.n == 0 || s.n > ADDRESS_DOMAIN)
		return false;
	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] != '.')
			continue;
		if (!is_label(s.p + from, i - from))
			return false;
		letter = false;
		for (size_t k = from; k < i; k++)
			letter = letter || s.p[k] > '9';
		labels++;
		from = i + 1;
	}
	return labels >= 2 && letter;
}

bool address_check(struct span address, struct err *err)
{
	const char *at = address.n ? memchr(address.p, '@', address.n) : NULL;
	struct span local, domain;

	for (size_t i = 0; i < address.n; i++)
		if ((unsigned char)address.p[i] >= 0x80)
			return err_set(err,
				"the address has letters that are not ASCII, which no mail "
				"server here takes");
	if (at == NULL)
		return err_set(err, "the address is not of the form name@domain");
	local = (struct span){ address.p, (size_t)(at - address.p) };
	domain = (struct span){ at + 1, address.n - local.n - 1 };
	if (!is_dot_string(local))
		return err_set(err, "what stands before the @ of the address is not a plain name");
	if (!is_domain(domain))
		return err_set(err, "what stands behind the @ of the address is not a domain");
	return true;
}

bool address_parse(struct span text, struct address *ret, struct err *err)
{
	struct address a = { { NULL, 0 }, span_trim(text) };
	const char *open = a.mailbox.n ? memrchr(a.mailbox.p, '<', a.mailbox.n) : NULL;

	if (open != NULL) {
		size_t before = (size_t)(open - a.mailbox.p);

		if (a.mailbox.p[a.mailbox.n - 1] != '>')
			return err_set(err, "the address has a < without a > at its end");
		a.name = span_trim((struct span){ a.mailbox.p, before });
		a.mailbox = (struct span){ open + 1, a.mailbox.n - before - 2 };
		if (a.name.n >= 2 && a.name.p[0] == '"' && a.name.p[a.name.n - 1] == '"')
			a.name = (struct span){ a.name.p + 1, a.name.n - 2 };
	}
	if (!address_check(a.mailbox, err))
		return false;
	*ret = a;
	return true;
}

struct span address_domain(struct span mailbox)
{
	const char *at = memchr(mailbox.p, '@', mailbox.n);

	return (struct span){ at + 1, mailbox.n - (size_t)(at - mailbox.p) - 1 };
}

bool address_is_among(struct span address, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list[i]);

		if (list[i][0] == '@' ? address.n > len : address.n == len)
			if (strncasecmp(address.p + address.n - len, list[i], len) == 0)
				return true;
	}
	return false;
}
