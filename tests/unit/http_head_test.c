/* http_head_test.c: heads good and bad, and chunked bodies cut at every byte. */
#include "door/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bad {
	int status;
	struct span text;
};

#define BAD(status, text)                                                                          \
	{                                                                                          \
		status,                                                                            \
		{                                                                                  \
			text, sizeof(text) - 1                                                     \
		}                                                                                  \
	}
#define H "POST /e HTTP/1.1\r\nHost: a\r\n"

static const struct bad bad_heads[] = {
	/* framing */
	BAD(400, H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(400, H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
	BAD(400, H "Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
	BAD(400, H "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	BAD(400, H "Transfer-Encoding: xchunked\r\n\r\n"),
	BAD(400, H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(400, H "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	BAD(400, H "Transfer-Encoding: \x0b"
		   "chunked\r\n\r\n"),
	BAD(400, H "Transfer-Encoding:\r\n\r\n"),
	BAD(400, H "Content-Length: 3\r\nContent-Length: 5\r\n\r\n"),
	BAD(400, H "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),
	BAD(400, H "Content-Length: 3, 3\r\n\r\n"),
	BAD(400, H "Content-Length: +3\r\n\r\n"),
	BAD(400, H "Content-Length: -1\r\n\r\n"),
	BAD(400, H "Content-Length: 0x3\r\n\r\n"),
	BAD(400, H "Content-Length:\r\n\r\n"),
	BAD(400, H "Content-Length: 3 4\r\n\r\n"),
	BAD(413, H "Content-Length: 99999999999999999999\r\n\r\n"),
	BAD(400, H "Content-Length : 3\r\n\r\n"),
	BAD(400, H "Content-Length\t: 3\r\n\r\n"),
	BAD(400, H " Content-Length: 3\r\n\r\n"),
	BAD(400, H "X-A: 1\r\n folded\r\n\r\n"),
	BAD(400, H "X-A: 1\r\n\tfolded\r\n\r\n"),
	BAD(400, H "X-A: a\0b\r\n\r\n"),
	BAD(400, H "X\0A: b\r\n\r\n"),
	BAD(400, H "X-A: a\x7f\r\n\r\n"),
	BAD(400, H "X-A: a\rX-B: 1\r\n\r\n"),
	BAD(400, H "no colon\r\n\r\n"),
	BAD(400, H ": no name\r\n\r\n"),
	BAD(400, "POST /e HTTP/1.1\nHost: a\n\n"),
	BAD(400, H "X: 1\n\r\n"),
	BAD(400, "\r\n\r\n" H "\r\n"),
	BAD(400, "\n" H "\r\n"),
	BAD(400, "POST /e HTTP/1.1\r\n\r\n"),
	BAD(400, "POST /e HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
	BAD(400, "POST /e HTTP/1.1\r\nHost:\r\n\r\n"),
	BAD(400, "POST /e HTTP/1.1\r\nHost: a b\r\n\r\n"),
	BAD(400, "POST /e HTTP/1.1\r\nHost: a/b\r\n\r\n"),
	/* the request line */
	BAD(400, "POST http://evil/e HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "CONNECT evil:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET e HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET  /e HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e  HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e HTTP/1.1 \r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e\tHTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e http/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e HTTP/1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e\r\nHost: a\r\n\r\n"),
	BAD(400, "get /e HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GE(T /e HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GETGETGETGETGETGET /e HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(505, "POST /e HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(505, "POST /e HTTP/9.9\r\nHost: a\r\n\r\n"),
	BAD(505, "GET /e HTTP/2.0\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e#x HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e?a#x HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e%00x HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e% HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e%1 HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e%ff HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e%c3 HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e%c0%af HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e?a=%ed%a0%80 HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /e?a=%c3&b=%a9 HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /a/./b HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /.. HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n"),
	BAD(400, "GET /a/.%2e HTTP/1.1\r\nHost: a\r\n\r\n"),
	/* the rest */
	BAD(417, H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
	BAD(417, H "Expect: anything\r\n\r\n"),
	BAD(400, H "Expect: 100-continue\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"),
	BAD(415, H "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"),
	BAD(400, H "Content-Encoding: gzip\r\nTransfer-Encoding: xchunked\r\n\r\n"),
	BAD(400, H "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n\r\n"),
	BAD(400, H "Authorization: Bearer a\0b\r\n\r\n"),
};

/* Scans and reads a head whose bytes come `step` at a time. */
static bool take(
	struct http_head *h, struct span text, size_t step, struct http_fault *f, size_t *len)
{
	size_t at = 0;

	for (size_t n = step < text.n ? step : text.n;; n = n + step < text.n ? n + step : text.n) {
		/* a copy of just these bytes, so that reading behind them is seen */
		char *copy = malloc(n ? n : 1);
		enum http_result got;

		memcpy(copy, text.p, n);
		got = http_head_scan(copy, n, &at, 16384, len, f);
		free(copy);
		if (got == HTTP_DONE)
			return http_head_read(h, text.p, *len, f);
		if (got == HTTP_BAD)
			return false;
		if (n == text.n) {
			f->status = 0;
			return false;
		}
	}
}

static void test_doubtful_heads_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad_heads / sizeof *bad_heads; i++)
		for (size_t step = 1; step < 200; step += 66) {
			struct http_fault f = { 0 };
			struct http_head h;
			size_t len;
			bool ok = take(&h, bad_heads[i].text, step, &f, &len);

			if (ok || f.status != bad_heads[i].status)
				fail_msg("head %zu: %s %d (%s), expected %d:\n%s", i,
					ok ? "taken" : "refused", f.status, ok ? "" : f.why,
					bad_heads[i].status, bad_heads[i].text.p);
		}
}

static void test_a_good_head(void **state)
{
	struct span text = SPAN("POST /e/x%20y?limit=5&n=a+%C3%A9&limit=6 HTTP/1.1\r\n"
				"host: example.org:8080\r\n"
				"Content-Type:application/json; charset=utf-8 \r\n"
				"X-Empty:\r\n"
				"Authorization: \tBearer abc.def\r\n"
				"Connection: keep-alive, Close\r\n"
				"Content-Encoding: identity\r\n"
				"CONTENT-LENGTH: 0012\r\n\r\nbody");

	(void)state;
	for (size_t step = 1; step < 300; step++) {
		struct http_fault f;
		struct http_head h;
		struct span v;
		char out[64];
		size_t len;

		assert_true(take(&h, text, step, &f, &len));
		assert_int_equal(len, text.n - 4);
		assert_true(span_is(h.method, "POST"));
		assert_true(span_is(h.path, "/e/x%20y"));
		assert_true(span_is(h.content_type, "application/json; charset=utf-8"));
		assert_true(span_is(h.authorization, "Bearer abc.def"));
		assert_true(h.close);
		assert_false(h.chunked);
		assert_int_equal(h.length, 12);
		assert_int_equal(h.n_fields, 7);
		assert_true(span_is(h.fields[2].name, "X-Empty"));
		assert_true(span_is(h.fields[2].value, ""));
		assert_true(http_query_find(h.query, "limit", &v));
		assert_true(span_is(v, "5"));
		assert_true(http_query_find(h.query, "n", &v));
		assert_int_equal(http_unescape(out, v, true), 4);
		assert_memory_equal(out, "a \xc3\xa9", 4);
		assert_false(http_query_find(h.query, "lim", &v));
	}
}

static void test_an_empty_line_before_a_request_is_forgiven(void **state)
{
	struct span text = SPAN("\r\nGET /?a=[b]|c HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	for (size_t step = 1; step < 40; step++) {
		struct http_fault f;
		struct http_head h;
		size_t len;

		assert_true(take(&h, text, step, &f, &len));
		assert_int_equal(len, text.n);
		assert_true(span_is(h.path, "/"));
		assert_true(span_is(h.query, "a=[b]|c"));
		assert_null(h.content_type.p);
	}
}

static void test_long_heads_are_refused(void **state)
{
	static char text[20000];
	struct http_fault f;
	struct http_head h;
	size_t n, len;

	(void)state;
	n = (size_t)sprintf(text, "%sX: ", H);
	memset(text + n, 'a', sizeof text - n);
	for (size_t step = 1; step < 40000; step = step * 7 + 1) {
		assert_false(take(&h, (struct span){ text, sizeof text }, step, &f, &len));
		assert_int_equal(f.status, 431);
	}
	n = (size_t)sprintf(text, "%s", H);
	for (int i = 0; i < 150; i++)
		n += (size_t)sprintf(text + n, "a:b\r\n");
	n += (size_t)sprintf(text + n, "\r\n");
	assert_false(take(&h, (struct span){ text, n }, 1000, &f, &len));
	assert_int_equal(f.status, 431);
}

/* Reads chunks from pieces cut at `cut`; returns the result, the body in `out`. */
static enum http_result chunks(struct span text, size_t cut, struct buf *out, size_t *ret_left)
{
	struct http_chunked c = { 0 };
	size_t at = 0;

	buf_clear(out);
	while (at < text.n) {
		size_t n = at < cut ? cut - at : text.n - at, used;
		char *copy = malloc(n);
		struct http_fault f;
		struct span piece;
		enum http_result got;

		memcpy(copy, text.p + at, n);
		got = http_chunked_read(&c, copy, n, &used, &piece, &f);
		if (got != HTTP_BAD)
			buf_span(out, piece);
		free(copy);
		assert_true(used > 0 && used <= n);
		at += used;
		*ret_left = text.n - at;
		if (got != HTTP_MORE)
			return got;
	}
	return HTTP_MORE;
}

static void test_chunks_cut_at_every_byte(void **state)
{
	struct span text = SPAN("3\r\nabc\r\n0A;name=\"v\" ;x\r\n0123456789\r\n000\r\n"
				"X-Trailer: 1\r\nY:\r\n\r\nGET");
	struct buf out = { 0 };
	size_t left;

	(void)state;
	for (size_t cut = 0; cut < text.n; cut++) {
		assert_int_equal(chunks(text, cut, &out, &left), HTTP_DONE);
		assert_true(span_is(buf_as_span(&out), "abc0123456789"));
		assert_int_equal(left, 3);
	}
	for (size_t n = 0; n < text.n - 3; n++)
		assert_int_equal(chunks((struct span){ text.p, n }, 0, &out, &left), HTTP_MORE);
	assert_int_equal(chunks(SPAN("0\r\n\r\n"), 0, &out, &left), HTTP_DONE);
	buf_free(&out);
}

static void test_doubtful_chunks_are_refused(void **state)
{
	static const struct bad bad[] = {
		BAD(0, "0x3\r\nabc\r\n0\r\n\r\n"),
		BAD(0, "+3\r\nabc\r\n0\r\n\r\n"),
		BAD(0, "-3\r\nabc\r\n0\r\n\r\n"),
		BAD(0, " 3\r\nabc\r\n0\r\n\r\n"),
		BAD(0, "3 \r\nabc\r\n0\r\n\r\n"),
		BAD(0, "\r\nabc\r\n0\r\n\r\n"),
		BAD(0, ";a\r\nabc\r\n0\r\n\r\n"),
		BAD(0, "7fffffffffffffff\r\nabc\r\n"),
		BAD(0, "100000000\r\nabc\r\n"),
		BAD(0, "000000003\r\nabc\r\n"),
		BAD(0, "3\nabc\r\n0\r\n\r\n"),
		BAD(0, "3\r\rabc\r\n0\r\n\r\n"),
		BAD(0, "3\r\nabcd\r\n0\r\n\r\n"),
		BAD(0, "3\r\nabc\n0\r\n\r\n"),
		BAD(0, "3\r\nabc0\r\n\r\n"),
		BAD(0, "3;a\0b\r\nabc\r\n0\r\n\r\n"),
		BAD(0, "3;a\nb\r\nabc\r\n0\r\n\r\n"),
		BAD(0, "3\r\nabc\r\n0\r\nX: a\nY: b\r\n\r\n"),
		BAD(0, "3\r\nabc\r\n0\r\n X: folded\r\n\r\n"),
		BAD(0, "3\r\nabc\r\n0\r\nX : a\r\n\r\n"),
		BAD(0, "3\r\nabc\r\n0\r\nX\r\n\r\n"),
		BAD(0, "3\r\nabc\r\n0\r\n\rX"),
		BAD(0, "3;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	};
	struct buf out = { 0 };
	size_t left;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		for (size_t cut = 0; cut < bad[i].text.n; cut++)
			if (chunks(bad[i].text, cut, &out, &left) != HTTP_BAD)
				fail_msg("chunks %zu, cut at %zu, were taken", i, cut);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubtful_heads_are_refused),
		cmocka_unit_test(test_a_good_head),
		cmocka_unit_test(test_an_empty_line_before_a_request_is_forgiven),
		cmocka_unit_test(test_long_heads_are_refused),
		cmocka_unit_test(test_chunks_cut_at_every_byte),
		cmocka_unit_test(test_doubtful_chunks_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
