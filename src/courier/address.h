#ifndef COURIER_ADDRESS_H
#define COURIER_ADDRESS_H
/*
 * Addresses that may be put into an SMTP dialogue: strict, and smaller than RFC 5321 allows.
 *
 * An address is local@domain in ASCII: local is a dot-string (RFC 5321 section 4.1.2, no quoted
 * strings, at most 64 bytes), domain has at least two labels of letters, digits and hyphens (RFC 1035
 * section 2.3.1, at most 63 bytes each, 253 together; no address literals).  So nothing in it can end a
 * command, open a comment or mean something else to the next server (FAULTS F9).  Names with other
 * letters (IDN, SMTPUTF8) are refused with a reason of their own: libesmtp has no SMTPUTF8.
 *
 * Pure functions; spans borrow from what was given.
 */
#include "base/str.h"

/* False, and err says what is wrong without repeating the address. */
bool address_check(struct span address, struct err *err) MUST_CHECK;

/* "Name <a@b>", "<a@b>" or "a@b", as they stand in the configuration. */
struct address {
	struct span name; /* without quotes; empty when there is none; may be any UTF-8 text */
	struct span mailbox;
};
bool address_parse(struct span text, struct address *ret, struct err *err) MUST_CHECK;
/* What follows the @ of a checked address. */
struct span address_domain(struct span mailbox);

/* Is the address one of these ("a@b" or "@b", as in only_to)?  Letters of either case are the same. */
bool address_is_among(struct span address, const char *const *list, size_t n);

#endif
