#ifndef DOOR_HTTP_HEAD_H
#define DOOR_HTTP_HEAD_H
/*
 * The strict reader of HTTP/1.1 requests (RFC 9110, RFC 9112): bytes in, a struct out.  Pure: no
 * sockets, no clock, no allocation.
 *
 * Anything in the framing that two readers could understand differently is refused with 400, and the
 * connection must then be closed, because where the next request begins is unknown: two lengths,
 * a length beside a transfer coding, a coding other than `chunked`, a bare LF or CR, folded lines, a
 * space before the colon, NUL and other control bytes, none or two Hosts, an absolute or authority
 * target.  Stricter than the RFC where it allows a choice: two equal Content-Lengths are refused too,
 * as are two Authorizations; `HTTP/1.0` is answered 505, any Expect 417, a Content-Encoding other
 * than identity 415.
 *
 * Spans in the result borrow from the bytes that were given.
 */
#include "base/str.h"

enum {
	HTTP_FIELDS_MOST = 100,     /* header lines of one request; beyond: 431 */
	HTTP_CHUNK_LINE_MOST = 128, /* chunk size with its extensions */
	HTTP_TRAILERS_MOST = 4096   /* bytes of all trailers, which are read and forgotten */
};

struct http_field {
	struct span name, value; /* the value without blanks around it */
};

struct http_head {
	struct span method; /* upper case as sent, at most 16 bytes */
	struct span path;   /* raw, begins with '/', escapes are well-formed UTF-8 without NUL */
	struct span query;  /* raw, without '?'; {NULL, 0} when there is none */
	struct span content_type;  /* {NULL, 0} when there is none */
	struct span authorization; /* likewise */
	bool chunked;              /* the body is chunked; else it has `length` bytes */
	bool close;                /* the client closes after this one */
	uint64_t length;
	size_t n_fields;
	struct http_field fields[HTTP_FIELDS_MOST];
};

enum http_result { HTTP_MORE, HTTP_DONE, HTTP_BAD };

/* What is wrong with a request: the status to answer with and a sentence for the client. */
struct http_fault {
	int status;
	const char *why;
};

/* Looks for the end of a head in the n bytes at p; *at is where it went on last time (0 at first; it
 * counts from p).  DONE: *ret_len is the head's length with its empty line.  MORE: not all there.
 * BAD: it can not become a good one, or is longer than `most` (431). */
enum http_result http_head_scan(const char *p, size_t n, size_t *at, size_t most, size_t *ret_len,
	struct http_fault *ret_fault);
/* Reads the n bytes of a whole head, as found by http_head_scan.  On false *h holds rubbish. */
bool http_head_read(
	struct http_head *h, const char *p, size_t n, struct http_fault *ret_fault) MUST_CHECK;

/* A chunked body on its way; zero-initialised it waits for the first chunk. */
struct http_chunked {
	int state;       /* of the reader */
	uint64_t left;   /* of this chunk */
	unsigned digits; /* of its size */
	size_t line;     /* bytes of this line, or of all trailers */
};

/* Reads up to n bytes at p.  *ret_used: how many were consumed (all, unless DONE or BAD, or a piece of
 * body ended); *ret_body: the piece of body in them, possibly empty, borrowed from p.  MORE: call
 * again with what is left, if anything; DONE: the last trailer was read. */
enum http_result http_chunked_read(struct http_chunked *c, const char *p, size_t n,
	size_t *ret_used, struct span *ret_body, struct http_fault *ret_fault);

/* Undoes percent escapes (and, with `plus`, '+' for a blank) of text from a head that was read, which
 * guarantees that they are well-formed; out must have room for s.n bytes.  Returns the length. */
size_t http_unescape(char *out, struct span s, bool plus);
/* Finds `name` in a raw query string; *ret is its raw value.  The first one counts. */
bool http_query_find(struct span query, const char *name, struct span *ret) MUST_CHECK;
/* Equal without regard to the case of ASCII letters: names of header fields, tokens. */
bool http_same_word(struct span a, const char *word);

#endif
