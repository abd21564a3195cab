#ifndef DOOR_ACCESS_H
#define DOOR_ACCESS_H
/*
 * Who may do what: bearer tokens of stores and of the admin, in one place (P20).  Tokens are known by their SHA-256
 * only and compared in constant time; all are compared, so the time does not tell how many there are before it.
 */
#include "base/str.h"
#include "model/shop.h"

enum access_end {
	ACCESS_GRANTED,
	ACCESS_UNKNOWN /* 401 */,
	ACCESS_FORBIDDEN /* 403: known, not for this */
};

struct access { /* lent: from the settings */
	const struct shop *shops;
	size_t n_shops;
	const uint8_t *admin_hash; /* SHOP_HASH_BYTES; NULL: there is no admin API */
};

/* The store whose token this is, if it may do what scope (enum shop_scope) says. */
enum access_end access_shop(
	const struct access *a, struct span token, unsigned scope, const struct shop **ret_shop);
/* Is it the admin's token?  A store's token is FORBIDDEN, not UNKNOWN. */
enum access_end access_admin(const struct access *a, struct span token);

#endif
