/*
 * http_fuzz.c: any bytes as what a client sends.  The first byte says how they are cut.  They are read
 * once whole and once in pieces, each piece an exact copy, so that the sanitizer sees a read behind
 * it: both ways must come to the same requests, bodies and refusals, and what was taken must keep the
 * promises of http_head.h.
 */
#include "base/mem.h"
#include "door/http_head.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* A span of the head lies in the head. */
static void within(struct span s, const char *p, size_t n)
{
	must(s.p == NULL || (s.p >= p && s.p + s.n <= p + n));
}

/* What a head that was taken promises. */
static void check_head(const struct http_head *h, const char *p, size_t n, struct buf *trace)
{
	struct span v;
	char *text;

	within(h->method, p, n);
	within(h->path, p, n);
	within(h->query, p, n);
	within(h->content_type, p, n);
	within(h->authorization, p, n);
	must(h->path.n > 0 && h->path.p[0] == '/');
	must(!h->chunked || h->length == 0);
	must(h->n_fields > 0 && h->n_fields <= HTTP_FIELDS_MOST);
	for (size_t i = 0; i < h->n_fields; i++) {
		within(h->fields[i].name, p, n);
		within(h->fields[i].value, p, n);
		must(memchr(h->fields[i].value.p, '\0', h->fields[i].value.n) == NULL);
		must(memchr(h->fields[i].value.p, '\n', h->fields[i].value.n) == NULL);
	}
	text = xmalloc(h->path.n);
	must(memchr(text, '\0', http_unescape(text, h->path, false)) == NULL);
	free(text);
	if (http_query_find(h->query, "a", &v)) {
		within(v, p, n);
		text = xmalloc(v.n);
		must(http_unescape(text, v, true) <= v.n);
		free(text);
	}
	buf_printf(trace, "%.*s %.*s %d %llu\n", SPAN_ARG(h->method), SPAN_ARG(h->path), h->chunked,
		(unsigned long long)h->length);
}

/* The reader of one connection, as door/http_conn has it. */
struct reader {
	struct buf in, trace;
	size_t at, body_left;
	struct http_chunked chunks;
	bool in_chunks, refused;
};

/* A refusal ends it. */
static void refuse(struct reader *r, const struct http_fault *f)
{
	must(f->status >= 400 && f->why != NULL);
	buf_printf(&r->trace, "refused %d\n", f->status);
	r->refused = true;
}

/* Takes a head; how many bytes it was. */
static size_t take_head(struct reader *r, const char *p, size_t n)
{
	static struct http_head h;
	struct http_fault f = { 0 };
	size_t len = 0;
	enum http_result got = http_head_scan(p, n, &r->at, HEAD_MOST, &len, &f);

	if (got == HTTP_MORE)
		return 0;
	if (got == HTTP_BAD || !http_head_read(&h, p, len, &f)) {
		refuse(r, &f);
		return n;
	}
	must(len <= n && len <= HEAD_MOST);
	check_head(&h, p, len, &r->trace);
	r->at = 0;
	r->in_chunks = h.chunked;
	r->chunks = (struct http_chunked){ 0 };
	r->body_left = h.length;
	return len;
}

/* Takes chunks; how many bytes they were. */
static size_t take_chunks(struct reader *r, const char *p, size_t n)
{
	struct http_fault f = { 0 };
	size_t used = 0;
	struct span piece;
	enum http_result got = http_chunked_read(&r->chunks, p, n, &used, &piece, &f);

	must(used > 0 && used <= n);
	if (got == HTTP_BAD) {
		refuse(r, &f);
		return n;
	}
	within(piece, p, n);
	buf_span(&r->trace, piece);
	if (got == HTTP_DONE)
		r->in_chunks = false;
	return used;
}

/* Feeds some bytes. */
static void feed(struct reader *r, const uint8_t *p, size_t n)
{
	size_t at = 0;

	buf_add(&r->in, p, n);
	while (at < r->in.n && !r->refused) {
		size_t left = r->in.n - at, used;
		char *copy = xmalloc(left);

		memcpy(copy, r->in.p + at, left);
		if (r->in_chunks) {
			used = take_chunks(r, copy, left);
		} else if (r->body_left > 0) {
			used = left < r->body_left ? left : r->body_left;
			buf_add(&r->trace, copy, used);
			r->body_left -= used;
		} else {
			used = take_head(r, copy, left);
		}
		free(copy);
		if (used == 0)
			break;
		at += used;
	}
	memmove(r->in.p, r->in.p + at, r->in.n - at);
	r->in.n -= at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader whole = { 0 }, cut = { 0 };
	size_t step;

	if (size < 2 || size > 20000)
		return 0;
	step = data[0] + 1;
	data++, size--;
	feed(&whole, data, size);
	for (size_t at = 0; at < size; at += step)
		feed(&cut, data + at, size - at < step ? size - at : step);
	must(span_eq(buf_as_span(&whole.trace), buf_as_span(&cut.trace)));
	buf_free(&whole.in), buf_free(&whole.trace);
	buf_free(&cut.in), buf_free(&cut.trace);
	return 0;
}
