/*
 * hash.c: SHA-256 by OpenSSL 3, and what is built on it.
 *
 * OpenSSL 3 looks an algorithm up by name each time EVP_sha256() is used, which costs more than
 * hashing an event; the algorithm is therefore fetched once, and one context is reused (there are
 * no threads). HMAC is written out from its definition (RFC 2104) on that context: OpenSSL's
 * EVP_MAC allocates and looks up per use.  The signature in a token is cut to 16 bytes (RFC 2104
 * section 5), so that links in mails stay short.
 */
#include "base/hash.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { HASH_BLOCK = 64 }; /* bytes that SHA-256 works on at a time */

static void hash_must(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "<2>could not %s\n", what);
	abort();
}

/* The one context; made on first use and after fork simply shared by copy. */
static EVP_MD_CTX *hash_begin(void)
{
	static EVP_MD_CTX *ctx;
	static EVP_MD *sha256;

	if (ctx == NULL) {
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		hash_must(sha256 != NULL, "find SHA-256 in OpenSSL");
		ctx = EVP_MD_CTX_new();
		hash_must(ctx != NULL, "make a digest context");
	}
	hash_must(EVP_DigestInit_ex2(ctx, sha256, NULL), "begin a digest");
	return ctx;
}

static void hash_update(EVP_MD_CTX *ctx, const void *p, size_t n)
{
	if (n)
		hash_must(EVP_DigestUpdate(ctx, p, n), "compute a digest");
}

static void hash_end(EVP_MD_CTX *ctx, unsigned char ret[HASH_SIZE])
{
	hash_must(EVP_DigestFinal_ex(ctx, ret, NULL), "end a digest");
}

void hash_sha256(const struct span *parts, size_t n_parts, unsigned char ret[HASH_SIZE])
{
	EVP_MD_CTX *ctx = hash_begin();

	for (size_t i = 0; i < n_parts; i++)
		hash_update(ctx, parts[i].p, parts[i].n);
	hash_end(ctx, ret);
}

void hash_sha256_hex(const struct span *parts, size_t n_parts, char ret_hex[HASH_HEX])
{
	unsigned char digest[HASH_SIZE];

	hash_sha256(parts, n_parts, digest);
	hash_hex(digest, sizeof digest, ret_hex);
}

void hash_hmac(
	struct span key, const struct span *parts, size_t n_parts, unsigned char ret[HASH_SIZE])
{
	unsigned char pad[HASH_BLOCK] = { 0 }, inner[HASH_SIZE];
	EVP_MD_CTX *ctx;

	if (key.n > sizeof pad)
		hash_sha256(&key, 1, pad);
	else if (key.n)
		memcpy(pad, key.p, key.n);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36;
	ctx = hash_begin();
	hash_update(ctx, pad, sizeof pad);
	for (size_t i = 0; i < n_parts; i++)
		hash_update(ctx, parts[i].p, parts[i].n);
	hash_end(ctx, inner);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	ctx = hash_begin();
	hash_update(ctx, pad, sizeof pad);
	hash_update(ctx, inner, sizeof inner);
	hash_end(ctx, ret);
	OPENSSL_cleanse(pad, sizeof pad);
}

void hash_hex(const void *p, size_t n, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = p;

	for (size_t i = 0; i < n; i++) {
		ret_hex[2 * i] = digits[from[i] >> 4];
		ret_hex[2 * i + 1] = digits[from[i] & 15];
	}
	ret_hex[2 * n] = '\0';
}

void hash_base64url(struct buf *out, struct span bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *to = buf_reserve(out, (bytes.n + 2) / 3 * 4);
	uint32_t bits = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		bits = bits << 8 | (unsigned char)bytes.p[i];
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			*to++ = digits[bits >> (n_bits - 6) & 63];
	}
	if (n_bits)
		*to++ = digits[bits << (6 - n_bits) & 63];
	*to = '\0';
	out->n = (size_t)(to - out->p);
}

static int hash_base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool hash_base64url_decode(struct buf *out, struct span text)
{
	char *to = buf_reserve(out, text.n), *begin = to;
	uint32_t bits = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < text.n; i++) {
		int digit = hash_base64url_digit(text.p[i]);

		if (digit < 0)
			goto bad;
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			*to++ = (char)(bits >> n_bits);
		}
	}
	/* one digit alone is no byte, and bits left over must be zero: each text has one spelling */
	if (n_bits >= 6 || (bits & ((1u << n_bits) - 1)) != 0)
		goto bad;
	*to = '\0';
	out->n = (size_t)(to - out->p);
	return true;
bad:
	*begin = '\0';
	return false;
}

bool hash_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void hash_random(void *ret, size_t n)
{
	char *to = ret;

	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);

		hash_must(got > 0 || errno == EINTR, "get random bytes from the kernel");
		if (got > 0) {
			to += got;
			n -= (size_t)got;
		}
	}
}

void hash_token(struct span token, char ret_hex[HASH_HEX])
{
	hash_sha256_hex(&token, 1, ret_hex);
}

void hash_sign(struct buf *out, struct span key, struct span payload)
{
	unsigned char mac[HASH_SIZE];

	hash_hmac(key, &payload, 1, mac);
	hash_base64url(out, payload);
	buf_char(out, '.');
	hash_base64url(out, (struct span){ (const char *)mac, HASH_MAC });
}

bool hash_verify(struct span key, struct span token, struct arena *a, struct span *ret_payload)
{
	const char *dot = token.n ? memchr(token.p, '.', token.n) : NULL;
	size_t n = dot ? (size_t)(dot - token.p) : 0;
	struct buf payload = { 0 }, mac = { 0 };
	unsigned char want[HASH_SIZE];
	struct span text;
	bool ok = false;

	if (dot == NULL || !hash_base64url_decode(&payload, (struct span){ token.p, n }) ||
		!hash_base64url_decode(&mac, (struct span){ dot + 1, token.n - n - 1 }))
		goto out;
	text = buf_as_span(&payload);
	hash_hmac(key, &text, 1, want);
	ok = hash_equal(buf_as_span(&mac), (struct span){ (const char *)want, HASH_MAC });
	if (ok)
		*ret_payload = (struct span){ arena_dup(a, text.p, text.n), text.n };
out:
	buf_free(&payload);
	buf_free(&mac);
	return ok;
}
