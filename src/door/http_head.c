/* http_head.c: reading a request's head and a chunked body.
 *
 * In two steps.  http_head_scan only looks for the empty line, remembers how far it came, and refuses
 * what can be refused early (a bare LF, a method that is none); so a head that comes byte by byte costs
 * its length once.  http_head_read then goes over the whole head once more, in order, with every byte
 * checked against a class.  A state machine over single bytes was not taken: it is slower (memchr is
 * not) and harder to hold against the RFC line by line.
 *
 * The chunked reader is a state machine: chunk lines are short, the body itself is handed on in pieces
 * that lie where they were read.
 */
#include "door/http_head.h"

#include "base/planted.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { HTTP_METHOD_MOST = 16, HTTP_LENGTH_DIGITS = 18, HTTP_CHUNK_DIGITS = 8 };

enum {
	HTTP_TOKEN = 1, /* RFC 9110 5.6.2 tchar */
	HTTP_VALUE = 2, /* in a field value: visible, obs-text, blank, tab */
	HTTP_PATH = 4,  /* RFC 3986 pchar, '/' (the '%' of an escape is looked at by itself) */
	HTTP_QUERY = 8, /* what browsers leave bare in a query is allowed too */
	HTTP_HOST = 16  /* RFC 3986 host and port, as far as single bytes tell */
};

static unsigned char http_class[256];

/* Marks each byte of the text. */
static void http_class_add(const char *bytes, unsigned char bits)
{
	for (; *bytes; bytes++)
		http_class[(unsigned char)*bytes] |= bits;
}

/* Fills the table of classes, once. */
static void http_class_init(void)
{
	if (http_class['a'])
		return;
	for (int c = 0x20; c < 0x100; c++)
		if (c != 0x7f)
			http_class[c] |= HTTP_VALUE;
	http_class['\t'] |= HTTP_VALUE;
	for (int c = 0x21; c < 0x7f; c++)
		if (!strchr("\"#<>\\", c))
			http_class[c] |= HTTP_QUERY;
	for (int c = '0'; c <= 'z'; c++)
		if (c <= '9' || (c >= 'A' && c <= 'Z') || c >= 'a')
			http_class[c] |= HTTP_TOKEN | HTTP_PATH | HTTP_HOST;
	http_class_add("!#$%&'*+-.^_`|~", HTTP_TOKEN);
	http_class_add("-._~!$&'()*+,;=:@/%", HTTP_PATH);
	http_class_add("-._~!$&'()*+,;=:%[]", HTTP_HOST);
}

/* True when every byte is of the class. */
static bool http_all(struct span s, unsigned char bits)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(http_class[(unsigned char)s.p[i]] & bits))
			return false;
	return true;
}

/* Notes what is wrong; always false. */
static bool http_fault_set(struct http_fault *f, int status, const char *why)
{
	f->status = status;
	f->why = why;
	return false;
}

bool http_same_word(struct span a, const char *word)
{
	return a.n == strlen(word) && strncasecmp(a.p, word, a.n) == 0;
}

/* ---- where the head ends ---- */

enum http_result http_head_scan(const char *p, size_t n, size_t *at, size_t most, size_t *ret_len,
	struct http_fault *ret_fault)
{
	/* one empty line before a request is forgiven (RFC 9112 2.2), a second is not */
	size_t begin = n >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 0;
	const char *nl;

	if (n > begin && (p[begin] < 'A' || p[begin] > 'Z') && !(n == 1 && p[0] == '\r')) {
		http_fault_set(ret_fault, 400, "the request does not begin with a method");
		return HTTP_BAD;
	}
	if (*at < begin)
		*at = begin;
	while ((nl = *at < n ? memchr(p + *at, '\n', n - *at) : NULL) != NULL) {
		size_t i = (size_t)(nl - p);

		*at = i + 1;
		if (i == begin || p[i - 1] != '\r') {
			http_fault_set(ret_fault, 400, "a line does not end with CR LF");
			return HTTP_BAD;
		}
		if (*at > most)
			break;
		if (i >= begin + 3 && p[i - 2] == '\n') {
			*ret_len = *at;
			return HTTP_DONE;
		}
	}
	if (n > most) {
		http_fault_set(ret_fault, 431, "the request head is too long");
		return HTTP_BAD;
	}
	*at = n;
	return HTTP_MORE;
}

/* ---- the request line ---- */

/* The value of a hex digit, -1 when it is none. */
static int http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a text that must be UTF-8: *left bytes are to come, the next in [*low, *high]. */
static bool http_utf8_next(unsigned char c, unsigned *left, unsigned char *low, unsigned char *high)
{
	if (*left > 0) {
		if (c < *low || c > *high)
			return false;
		*left -= 1;
	} else if (c >= 0x80) {
		if (c < 0xc2 || c > 0xf4)
			return false;
		*left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		*low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		*high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
		return true;
	}
	*low = 0x80;
	*high = 0xbf;
	return true;
}

/* Every '%' begins an escape, and what they stand for is UTF-8 without NUL (Postgres takes neither). */
static bool http_escapes_ok(struct span s)
{
	unsigned char low = 0x80, high = 0xbf;
	unsigned left = 0;

	if (memchr(s.p, '%', s.n) == NULL)
		return true;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '%') {
			int hi = s.n - i > 2 ? http_hex(s.p[i + 1]) : -1;
			int lo = s.n - i > 2 ? http_hex(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
				return false;
			c = (unsigned char)(hi << 4 | lo);
			i += 2;
		}
		if (!http_utf8_next(c, &left, &low, &high))
			return false;
	}
	return left == 0;
}

/* A proxy in front would have walked up: `/a/../b` is two paths to two readers. */
static bool http_has_dots(struct span path)
{
	for (size_t i = 0; i < path.n; i++) {
		size_t from = i + 1, dots = 0;

		if (path.p[i] != '/')
			continue;
		while (from < path.n && path.p[from] != '/') {
			if (path.p[from] == '.')
				from++;
			else if (path.n - from > 2 && strncasecmp(path.p + from, "%2e", 3) == 0)
				from += 3;
			else
				break;
			dots++;
		}
		if ((dots == 1 || dots == 2) && (from == path.n || path.p[from] == '/'))
			return true;
	}
	return false;
}

/* Splits and checks the target: origin form only (RFC 9112 3.2.1). */
static bool http_read_target(struct http_head *h, struct span t, struct http_fault *f)
{
	const char *q;

	if (t.n == 0 || t.p[0] != '/')
		return http_fault_set(f, 400, "the target must be a path that begins with /");
	q = memchr(t.p, '?', t.n);
	h->path = (struct span){ t.p, q ? (size_t)(q - t.p) : t.n };
	h->query = q ? (struct span){ q + 1, t.n - h->path.n - 1 } : (struct span){ NULL, 0 };
	if (!http_all(h->path, HTTP_PATH) || !http_escapes_ok(h->path))
		return http_fault_set(f, 400, "the path has a byte or escape that is not allowed");
	if (http_has_dots(h->path))
		return http_fault_set(f, 400, "the path has a . or .. segment");
	if (q && (!http_all(h->query, HTTP_QUERY) || !http_escapes_ok(h->query)))
		return http_fault_set(f, 400, "the query has a byte or escape that is not allowed");
	return true;
}

/* `METHOD SP target SP HTTP/1.1`, exactly. */
static bool http_read_request_line(struct http_head *h, struct span line, struct http_fault *f)
{
	const char *a = memchr(line.p, ' ', line.n), *b, *end = line.p + line.n;

	b = a ? memchr(a + 1, ' ', (size_t)(end - a - 1)) : NULL;
	if (b == NULL || end - b != 9 || memcmp(b + 1, "HTTP/", 5) != 0 || b[7] != '.' ||
		http_hex(b[6]) < 0 || http_hex(b[6]) > 9 || http_hex(b[8]) < 0 ||
		http_hex(b[8]) > 9)
		return http_fault_set(f, 400, "the request line is not METHOD TARGET HTTP/1.1");
	h->method = (struct span){ line.p, (size_t)(a - line.p) };
	if (h->method.n > HTTP_METHOD_MOST || !http_all(h->method, HTTP_TOKEN))
		return http_fault_set(f, 400, "the method is not a token of at most 16 bytes");
	if (b[6] != '1' || b[8] != '1')
		return http_fault_set(f, 505, "only HTTP/1.1 is spoken here");
	return http_read_target(h, (struct span){ a + 1, (size_t)(b - a - 1) }, f);
}

/* ---- the fields ---- */

/* What has been seen, to find the second one. */
struct http_seen {
	bool host, length, coding, expect;
};

/* Content-Length: digits, once. */
static bool http_read_length(
	struct http_head *h, struct http_seen *seen, struct span v, struct http_fault *f)
{
	if (seen->length && !PLANTED(two_lengths))
		return http_fault_set(f, 400, "there are two Content-Lengths");
	seen->length = true;
	if (v.n == 0)
		return http_fault_set(f, 400, "the Content-Length is not a number");
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return http_fault_set(f, 400, "the Content-Length is not a number");
	if (v.n > HTTP_LENGTH_DIGITS)
		return http_fault_set(f, 413, "the Content-Length is beyond every limit");
	h->length = 0;
	for (size_t i = 0; i < v.n; i++)
		h->length = h->length * 10 + (uint64_t)(v.p[i] - '0');
	return true;
}

/* Connection: a list of tokens, of which `close` concerns us. */
static void http_read_connection(struct http_head *h, struct span v)
{
	while (v.n > 0) {
		const char *comma = memchr(v.p, ',', v.n);
		struct span word = { v.p, comma ? (size_t)(comma - v.p) : v.n };

		v.p += word.n + (comma != NULL);
		v.n -= word.n + (comma != NULL);
		if (http_same_word(span_trim(word), "close"))
			h->close = true;
	}
}

/* Transfer-Encoding: `chunked`, once, and nothing else. */
static bool http_read_coding(
	struct http_head *h, struct http_seen *seen, struct span v, struct http_fault *f)
{
	if (seen->coding || !http_same_word(v, "chunked"))
		return http_fault_set(f, 400, "the only Transfer-Encoding taken is chunked, once");
	seen->coding = h->chunked = true;
	return true;
}

/* Host: once, not empty (RFC 9112 3.2). */
static bool http_read_host(struct http_seen *seen, struct span v, struct http_fault *f)
{
	if (seen->host)
		return http_fault_set(f, 400, "there are two Hosts");
	seen->host = true;
	if (v.n == 0 || !http_all(v, HTTP_HOST))
		return http_fault_set(f, 400, "the Host is not a host name");
	return true;
}

/* Content-Encoding: bodies come as they are (a gzip bomb has no door here). */
static bool http_read_encoding(struct span v, struct http_fault *f)
{
	if (v.n > 0 && !http_same_word(v, "identity"))
		return http_fault_set(f, 415, "send the body without Content-Encoding");
	return true;
}

/* Authorization: once, or two readers check two tokens. */
static bool http_read_authorization(struct http_head *h, struct span v, struct http_fault *f)
{
	if (h->authorization.p != NULL)
		return http_fault_set(f, 400, "there are two Authorizations");
	h->authorization = v;
	return true;
}

/* Looks at the fields that concern the server; most are none, and one byte tells. */
static bool http_read_known(
	struct http_head *h, struct http_seen *seen, struct http_field *field, struct http_fault *f)
{
	struct span name = field->name, v = field->value;

	switch (name.p[0] | 0x20) {
	case 'a':
		if (http_same_word(name, "authorization"))
			return http_read_authorization(h, v, f);
		break;
	case 'c':
		if (http_same_word(name, "content-length"))
			return http_read_length(h, seen, v, f);
		if (http_same_word(name, "content-type") && h->content_type.p == NULL)
			h->content_type = v;
		else if (http_same_word(name, "content-encoding"))
			return http_read_encoding(v, f);
		else if (http_same_word(name, "connection"))
			http_read_connection(h, v);
		break;
	case 'e':
		if (http_same_word(name, "expect"))
			seen->expect = true;
		break;
	case 'h':
		if (http_same_word(name, "host"))
			return http_read_host(seen, v, f);
		break;
	case 't':
		if (http_same_word(name, "transfer-encoding"))
			return http_read_coding(h, seen, v, f);
		break;
	}
	return true;
}

/* `name ":" OWS value OWS`; no blank before the colon, no folding (RFC 9112 5.1, 5.2). */
static bool http_read_field(struct http_field *field, struct span line, struct http_fault *f)
{
	const char *colon = memchr(line.p, ':', line.n);

	if (colon == NULL)
		return http_fault_set(f, 400, "a header line has no colon");
	field->name = (struct span){ line.p, (size_t)(colon - line.p) };
	field->value = (struct span){ colon + 1, line.n - field->name.n - 1 };
	if (field->name.n == 0 || !http_all(field->name, HTTP_TOKEN))
		return http_fault_set(
			f, 400, "a header name is empty or has a byte that is not allowed");
	if (!http_all(field->value, HTTP_VALUE))
		return http_fault_set(f, 400, "a header value has a control byte");
	field->value = span_trim(field->value);
	return true;
}

/* What only the whole head can tell.  415 and 417 come last: with a doubtful frame it is 400. */
static bool http_check_whole(
	const struct http_seen *seen, const struct http_fault *later, struct http_fault *f)
{
	if (!seen->host)
		return http_fault_set(f, 400, "there is no Host");
	if (seen->coding && seen->length)
		return http_fault_set(f, 400, "there are a Content-Length and a Transfer-Encoding");
	if (later->status != 0)
		return http_fault_set(f, later->status, later->why);
	if (seen->expect)
		return http_fault_set(f, 417, "send the body without Expect");
	return true;
}

bool http_head_read(struct http_head *h, const char *p, size_t n, struct http_fault *ret_fault)
{
	const char *end = p + n, *nl;
	struct http_fault later = { 0 };
	struct http_seen seen = { 0 };
	struct span line;

	http_class_init();
	memset(h, 0, offsetof(struct http_head, fields));
	if (n >= 2 && p[0] == '\r')
		p += 2;
	for (bool first = true;; first = false, p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL || nl == p || nl[-1] != '\r')
			return http_fault_set(ret_fault, 400, "a line does not end with CR LF");
		line = (struct span){ p, (size_t)(nl - p) - 1 };
		if (first) {
			if (!http_read_request_line(h, line, ret_fault))
				return false;
			continue;
		}
		if (line.n == 0)
			break;
		if (h->n_fields == HTTP_FIELDS_MOST)
			return http_fault_set(
				ret_fault, 431, "there are more than 100 header lines");
		if (!http_read_field(&h->fields[h->n_fields], line, ret_fault))
			return false;
		if (!http_read_known(h, &seen, &h->fields[h->n_fields], ret_fault)) {
			if (ret_fault->status == 400)
				return false;
			later = *ret_fault;
		}
		h->n_fields++;
	}
	return http_check_whole(&seen, &later, ret_fault);
}

/* ---- chunked bodies (RFC 9112 7.1) ---- */

enum http_chunk_state {
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_EXT,
	HTTP_CHUNK_SIZE_LF,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_CR,
	HTTP_CHUNK_DATA_LF,
	HTTP_CHUNK_TRAILER, /* at the beginning of a trailer's line */
	HTTP_CHUNK_TRAILER_NAME,
	HTTP_CHUNK_TRAILER_TEXT,
	HTTP_CHUNK_TRAILER_LF,
	HTTP_CHUNK_END_LF,
	HTTP_CHUNK_END
};

/* One byte of a chunk's size line. */
static bool http_chunk_size(struct http_chunked *c, unsigned char b)
{
	int digit = http_hex((char)b);

	if (++c->line > HTTP_CHUNK_LINE_MOST)
		return false;
	if (c->state == HTTP_CHUNK_SIZE && digit >= 0) {
		c->left = c->left << 4 | (unsigned)digit;
		return ++c->digits <= HTTP_CHUNK_DIGITS;
	}
	if (c->digits == 0)
		return false;
	if (b == '\r')
		c->state = HTTP_CHUNK_SIZE_LF;
	else if (c->state == HTTP_CHUNK_SIZE && b != ';')
		return false;
	else if (!(http_class[b] & HTTP_VALUE))
		return false;
	else
		c->state = HTTP_CHUNK_EXT;
	return true;
}

/* One byte of the trailers, which are checked as lines of a head are, and forgotten. */
static bool http_chunk_trailer(struct http_chunked *c, unsigned char b)
{
	if (++c->line > HTTP_TRAILERS_MOST)
		return false;
	if (c->state == HTTP_CHUNK_TRAILER_LF) {
		c->state = HTTP_CHUNK_TRAILER;
		return b == '\n';
	}
	if (c->state == HTTP_CHUNK_TRAILER && b == '\r') {
		c->state = HTTP_CHUNK_END_LF;
		return true;
	}
	if (c->state == HTTP_CHUNK_TRAILER_TEXT) {
		if (b == '\r')
			c->state = HTTP_CHUNK_TRAILER_LF;
		return b == '\r' || (http_class[b] & HTTP_VALUE);
	}
	if (c->state == HTTP_CHUNK_TRAILER_NAME && b == ':') {
		c->state = HTTP_CHUNK_TRAILER_TEXT;
		return true;
	}
	c->state = HTTP_CHUNK_TRAILER_NAME;
	return http_class[b] & HTTP_TOKEN;
}

/* One byte that is not body; false when it may not stand here. */
static bool http_chunk_byte(struct http_chunked *c, unsigned char b)
{
	switch ((enum http_chunk_state)c->state) {
	case HTTP_CHUNK_SIZE:
	case HTTP_CHUNK_EXT: return http_chunk_size(c, b);
	case HTTP_CHUNK_SIZE_LF:
		c->state = c->left ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER;
		c->line = 0;
		return b == '\n';
	case HTTP_CHUNK_DATA_CR: c->state = HTTP_CHUNK_DATA_LF; return b == '\r';
	case HTTP_CHUNK_DATA_LF:
		c->state = HTTP_CHUNK_SIZE;
		c->digits = 0;
		return b == '\n';
	case HTTP_CHUNK_TRAILER:
	case HTTP_CHUNK_TRAILER_NAME:
	case HTTP_CHUNK_TRAILER_TEXT:
	case HTTP_CHUNK_TRAILER_LF: return http_chunk_trailer(c, b);
	case HTTP_CHUNK_END_LF: c->state = HTTP_CHUNK_END; return b == '\n';
	case HTTP_CHUNK_DATA:
	case HTTP_CHUNK_END: break;
	}
	return false;
}

enum http_result http_chunked_read(struct http_chunked *c, const char *p, size_t n,
	size_t *ret_used, struct span *ret_body, struct http_fault *ret_fault)
{
	size_t i = 0;

	http_class_init();
	*ret_body = (struct span){ p, 0 };
	while (i < n && c->state != HTTP_CHUNK_DATA) {
		if (!http_chunk_byte(c, (unsigned char)p[i++])) {
			*ret_used = i;
			http_fault_set(ret_fault, 400, "the chunked body is not well-formed");
			return HTTP_BAD;
		}
		if (c->state == HTTP_CHUNK_END) {
			*ret_used = i;
			return HTTP_DONE;
		}
	}
	if (c->state == HTTP_CHUNK_DATA) {
		ret_body->p = p + i;
		ret_body->n = c->left < n - i ? (size_t)c->left : n - i;
		c->left -= ret_body->n;
		i += ret_body->n;
		if (c->left == 0)
			c->state = HTTP_CHUNK_DATA_CR;
	}
	*ret_used = i;
	return HTTP_MORE;
}

/* ---- what was read, undone ---- */

size_t http_unescape(char *out, struct span s, bool plus)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%' && s.n - i > 2) {
			c = (char)(http_hex(s.p[i + 1]) << 4 | http_hex(s.p[i + 2]));
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		out[n++] = c;
	}
	return n;
}

bool http_query_find(struct span query, const char *name, struct span *ret)
{
	while (query.n > 0) {
		const char *amp = memchr(query.p, '&', query.n), *eq;
		struct span pair = { query.p, amp ? (size_t)(amp - query.p) : query.n };
		struct span key = pair;

		query.p += pair.n + (amp != NULL);
		query.n -= pair.n + (amp != NULL);
		eq = memchr(pair.p, '=', pair.n);
		if (eq != NULL)
			key.n = (size_t)(eq - pair.p);
		if (span_is(key, name)) {
			size_t skip = key.n + (eq != NULL);

			*ret = (struct span){ pair.p + skip, pair.n - skip };
			return true;
		}
	}
	return false;
}
