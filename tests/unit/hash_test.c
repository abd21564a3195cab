/* hash_test.c: published test vectors, tokens that were tampered with. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-4 examples. */
static void sha256_vectors(void **state)
{
	struct span parts[] = { SPAN("a"), { NULL, 0 }, SPAN("bc") };
	char hex[HASH_HEX];

	(void)state;
	hash_sha256_hex(parts, 3, hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha256_hex(NULL, 0, hex);
	assert_string_equal(
		hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_token(SPAN("abc"), hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231 test cases 1, 2 and 6. */
static void hmac_vectors(void **state)
{
	unsigned char mac[HASH_SIZE];
	char hex[HASH_HEX], long_key[131];
	struct span two[] = { SPAN("what do ya want "), SPAN("for nothing?") };
	struct span hi = SPAN("Hi There"),
		    six = SPAN("Test Using Larger Than Block-Size Key - Hash Key First");

	(void)state;
	hash_hmac(
		SPAN("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
		&hi, 1, mac);
	hash_hex(mac, sizeof mac, hex);
	assert_string_equal(
		hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hash_hmac(SPAN("Jefe"), two, 2, mac);
	hash_hex(mac, sizeof mac, hex);
	assert_string_equal(
		hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(long_key, 0xaa, sizeof long_key);
	hash_hmac((struct span){ long_key, sizeof long_key }, &six, 1, mac);
	hash_hex(mac, sizeof mac, hex);
	assert_string_equal(
		hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void base64url(void **state)
{
	/* RFC 4648 section 10, and the two digits that differ from base64 */
	static const char *const pairs[][2] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy" }, { "\xfb\xff", "-_8" } };
	static const char *const bad[] = { "Z", "Zg==", "Zh", "Zm9", "Zm+v", "Zm9vY", "Z g" };
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		buf_clear(&b);
		hash_base64url(&b, span_of(pairs[i][0]));
		assert_string_equal(b.p, pairs[i][1]);
		buf_clear(&b);
		assert_true(hash_base64url_decode(&b, span_of(pairs[i][1])));
		assert_string_equal(b.p, pairs[i][0]);
	}
	buf_clear(&b);
	buf_str(&b, "keep");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (hash_base64url_decode(&b, span_of(bad[i])))
			fail_msg("%s was accepted", bad[i]);
	assert_string_equal(b.p, "keep");
	buf_free(&b);
}

static void tokens(void **state)
{
	struct span key = SPAN("a key"), payload = SPAN("u:shop:100234:\0x"), got = { NULL, 0 };
	struct arena a = { 0 };
	struct buf b = { 0 };

	(void)state;
	hash_sign(&b, key, payload);
	assert_true(hash_verify(key, buf_as_span(&b), &a, &got));
	assert_true(span_eq(got, payload));
	assert_false(hash_verify(SPAN("a kez"), buf_as_span(&b), &a, &got));
	for (size_t i = 0; i < b.n; i++) { /* each character counts */
		char was = b.p[i];

		b.p[i] = was == 'A' ? 'B' : 'A';
		assert_false(hash_verify(key, buf_as_span(&b), &a, &got));
		b.p[i] = was;
		assert_false(hash_verify(key, (struct span){ b.p, i }, &a, &got));
	}
	buf_char(&b, 'A');
	assert_false(hash_verify(key, buf_as_span(&b), &a, &got));
	assert_false(hash_verify(key, (struct span){ NULL, 0 }, &a, &got));
	assert_false(hash_verify(key, SPAN("."), &a, &got));
	buf_clear(&b);
	hash_sign(&b, key, SPAN(""));
	assert_true(hash_verify(key, buf_as_span(&b), &a, &got) && got.n == 0 && got.p != NULL);
	buf_free(&b);
	arena_fini(&a);
}

static void random_and_equal(void **state)
{
	unsigned char x[32] = { 0 }, y[32] = { 0 };

	(void)state;
	hash_random(x, sizeof x);
	hash_random(y, sizeof y);
	assert_memory_not_equal(x, y, sizeof x);
	hash_random(x, 0);
	assert_true(hash_equal(SPAN("ab"), SPAN("ab")));
	assert_false(hash_equal(SPAN("ab"), SPAN("abc")));
	assert_false(hash_equal(SPAN("ab"), SPAN("ac")));
	assert_true(hash_equal((struct span){ NULL, 0 }, SPAN("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(hmac_vectors),
		cmocka_unit_test(base64url),
		cmocka_unit_test(tokens),
		cmocka_unit_test(random_and_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
