/* access.c: one digest per request, then a comparison with every token there is. */
#include "door/access.h"

#include "base/hash.h"

static bool access_same(const uint8_t *hash, const unsigned char digest[HASH_SIZE])
{
	return hash_equal((struct span){ (const char *)hash, SHOP_HASH_BYTES },
		(struct span){ (const char *)digest, HASH_SIZE });
}

/* The token in the list of stores; goes through all of them. */
static const struct shop_token *access_find(
	const struct access *a, struct span token, const struct shop **ret_shop)
{
	unsigned char digest[HASH_SIZE];
	const struct shop_token *found = NULL;

	hash_sha256(&token, 1, digest);
	for (size_t i = 0; i < a->n_shops; i++)
		for (size_t k = 0; k < a->shops[i].ntokens; k++)
			if (access_same(a->shops[i].tokens[k].hash, digest)) {
				found = &a->shops[i].tokens[k];
				*ret_shop = &a->shops[i];
			}
	return found;
}

enum access_end access_shop(
	const struct access *a, struct span token, unsigned scope, const struct shop **ret_shop)
{
	const struct shop *shop = NULL;
	const struct shop_token *t = token.n ? access_find(a, token, &shop) : NULL;

	if (t == NULL)
		return token.n && access_admin(a, token) == ACCESS_GRANTED ? ACCESS_FORBIDDEN
									   : ACCESS_UNKNOWN;
	if ((t->scopes & scope) != scope)
		return ACCESS_FORBIDDEN;
	*ret_shop = shop;
	return ACCESS_GRANTED;
}

enum access_end access_admin(const struct access *a, struct span token)
{
	unsigned char digest[HASH_SIZE];
	const struct shop *shop;

	if (token.n == 0)
		return ACCESS_UNKNOWN;
	hash_sha256(&token, 1, digest);
	if (a->admin_hash != NULL && access_same(a->admin_hash, digest))
		return ACCESS_GRANTED;
	return access_find(a, token, &shop) ? ACCESS_FORBIDDEN : ACCESS_UNKNOWN;
}
