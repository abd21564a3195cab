/* unsubscribe.c: "u1 <message> <customer> <channel> <shop>", signed.
 *
 * The payload begins with its purpose and version, because the same key signs other links: a token
 * for tracking must not unsubscribe.  Plain words and not JSON: it stands in a line of a mail header.
 */
#include "intake/unsubscribe.h"

#include "base/hash.h"

#include <string.h>

void unsubscribe_token(struct buf *out, struct span sign_key, const struct unsubscribe *u)
{
	struct buf payload = { 0 };

	buf_str(&payload, "u1 ");
	buf_int(&payload, u->message);
	buf_char(&payload, ' ');
	buf_int(&payload, u->customer);
	buf_char(&payload, ' ');
	buf_str(&payload, message_channel_name(u->channel));
	buf_char(&payload, ' ');
	buf_span(&payload, u->shop);
	hash_sign(out, sign_key, buf_as_span(&payload));
	buf_free(&payload);
}

void unsubscribe_link(
	struct buf *out, struct span public_url, struct span sign_key, const struct unsubscribe *u)
{
	buf_span(out, public_url);
	buf_str(out, "/u/");
	unsubscribe_token(out, sign_key, u);
}

/* Takes the word before the next blank; the last word is the rest. */
static struct span unsubscribe_word(struct span *rest)
{
	const char *blank = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
	struct span word = *rest;

	if (blank != NULL)
		word.n = (size_t)(blank - word.p);
	rest->p += word.n + (blank != NULL);
	rest->n -= word.n + (blank != NULL);
	return word;
}

bool unsubscribe_read(
	struct span token, struct span sign_key, struct arena *a, struct unsubscribe *ret)
{
	struct unsubscribe u;
	struct span rest;

	if (sign_key.n == 0 || !hash_verify(sign_key, token, a, &rest))
		return false;
	if (!span_is(unsubscribe_word(&rest), "u1") ||
		!span_to_i64(unsubscribe_word(&rest), &u.message) ||
		!span_to_i64(unsubscribe_word(&rest), &u.customer) ||
		!message_channel_parse(unsubscribe_word(&rest), &u.channel) || rest.n == 0)
		return false;
	u.shop = rest;
	*ret = u;
	return true;
}
