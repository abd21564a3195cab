#ifndef BASE_HASH_H
#define BASE_HASH_H
/*
 * Digests, keyed digests, random bytes, signed tokens.  The only room that uses OpenSSL for them.
 *
 * Nothing here fails at run time: an OpenSSL without SHA-256 or a kernel without random bytes
 * ends the process.  The first call loads what it needs; there is nothing to open or close.
 */
#include "base/mem.h"
#include "base/str.h"

enum {
	HASH_SIZE = 32, /* bytes of SHA-256 */
	HASH_HEX = 65,  /* characters of it in hexadecimal, NUL included */
	HASH_MAC = 16   /* bytes of the signature in a token */
};

/* SHA-256 (FIPS 180-4) over the spans, one behind the other. */
void hash_sha256(const struct span *parts, size_t n_parts, unsigned char ret[HASH_SIZE]);
/* The same in lower case hexadecimal. */
void hash_sha256_hex(const struct span *parts, size_t n_parts, char ret_hex[HASH_HEX]);
/* HMAC-SHA-256 (RFC 2104) over the spans, one behind the other. */
void hash_hmac(
	struct span key, const struct span *parts, size_t n_parts, unsigned char ret[HASH_SIZE]);
/* Lower case hexadecimal of n bytes, and a NUL: ret_hex has 2 n + 1 characters. */
void hash_hex(const void *p, size_t n, char *ret_hex);

/* Appends base64url without padding (RFC 4648 section 5). */
void hash_base64url(struct buf *out, struct span bytes);
/* Appends the bytes; false (nothing appended) when the text is not what hash_base64url writes. */
bool hash_base64url_decode(struct buf *out, struct span text) MUST_CHECK;

/* Takes equally long for any two texts of the same length. */
bool hash_equal(struct span a, struct span b);
/* n bytes nobody can guess.  For tokens and ids made by the daemon; never for the engine. */
void hash_random(void *ret, size_t n);

/* What is stored and compared instead of an access token: SHA-256 in hexadecimal. */
void hash_token(struct span token, char ret_hex[HASH_HEX]);
/* Appends payload.signature, both base64url: anybody can read the payload, nobody without the key
 * can change it.  The payload names its purpose; a key with one purpose only would be better
 * still. */
void hash_sign(struct buf *out, struct span key, struct span payload);
/* False unless hash_sign made the token with this key.  The payload is taken from the arena. */
bool hash_verify(
	struct span key, struct span token, struct arena *a, struct span *ret_payload) MUST_CHECK;

#endif
