/* http_request.c: one request from its head to its answer.
 *
 * A request is one block of memory: struct, fields, head, and the body when it came with the head, so
 * that everything a handler sees stays where it is however long the answer takes.  The head is copied
 * once (some hundred bytes); a body that came later was read into its own buffer directly.
 *
 * An answer is written into the connection's output at once when no older one is missing, else it waits
 * in the request.
 */
#include "base/json.h"
#include "base/mem.h"
#include "door/http_conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

const char *http_status_text(int status)
{
	switch (status) {
	case 200: return "OK";
	case 201: return "Created";
	case 202: return "Accepted";
	case 204: return "No Content";
	case 301: return "Moved Permanently";
	case 302: return "Found";
	case 303: return "See Other";
	case 304: return "Not Modified";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 406: return "Not Acceptable";
	case 408: return "Request Timeout";
	case 409: return "Conflict";
	case 410: return "Gone";
	case 413: return "Content Too Large";
	case 415: return "Unsupported Media Type";
	case 417: return "Expectation Failed";
	case 422: return "Unprocessable Content";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	case 505: return "HTTP Version Not Supported";
	}
	return "Answer";
}

/* ---- life ---- */

/* Moves a span from the bytes that were read to their copy. */
static struct span http_req_move(struct span s, const char *from, const char *to)
{
	return s.p ? (struct span){ to + (s.p - from), s.n } : s;
}

/* The token of `Bearer <token>` (RFC 6750 2.1). */
static struct span http_req_bearer(struct span authorization)
{
	struct span token = { NULL, 0 };

	if (authorization.n > 7 && strncasecmp(authorization.p, "bearer ", 7) == 0)
		token = span_trim((struct span){ authorization.p + 7, authorization.n - 7 });
	return token.n > 0 && memchr(token.p, ' ', token.n) == NULL ? token
								    : (struct span){ NULL, 0 };
}

/* Fills the handler's view from the head whose copy begins at `to`. */
static void http_req_fill(
	struct http_req *r, const struct http_head *head, const char *from, const char *to)
{
	r->pub.method = http_req_move(head->method, from, to);
	r->pub.path = http_req_move(head->path, from, to);
	r->pub.query = http_req_move(head->query, from, to);
	r->pub.content_type = http_req_move(head->content_type, from, to);
	r->pub.bearer = http_req_bearer(http_req_move(head->authorization, from, to));
	r->is_head = span_is(head->method, "HEAD");
	for (size_t i = 0; i < head->n_fields; i++) {
		r->fields[i].name = http_req_move(head->fields[i].name, from, to);
		r->fields[i].value = http_req_move(head->fields[i].value, from, to);
	}
}

struct http_req *http_req_new(struct http_conn *c, const struct http_head *head, const char *p,
	size_t len, size_t inline_body)
{
	size_t n_fields = head ? head->n_fields : 0;
	size_t size = sizeof(struct http_req) + n_fields * sizeof(struct http_field);
	struct http_req *r = xmalloc(size + len + inline_body + 1);
	char *copy = (char *)r + size;

	memset(r, 0, sizeof *r);
	r->http = c->http;
	r->conn = c;
	r->fields = (struct http_field *)(r + 1);
	r->n_fields = n_fields;
	r->weight = size + len + inline_body;
	r->pub.came_us = loop_turn_us(c->http->loop);
	r->pub.line = c->number;
	memcpy(r->address, c->address, sizeof r->address);
	if (len + inline_body > 0)
		memcpy(copy, p, len + inline_body);
	copy[len + inline_body] = '\0';
	if (head != NULL)
		http_req_fill(r, head, p, copy);
	r->pub.tail = (struct span){ copy, 0 };
	r->pub.body = (struct span){ copy + len, inline_body };
	TAILQ_INSERT_TAIL(&c->reqs, r, link);
	c->n_reqs++;
	c->held += r->weight;
	c->http->n_reqs++;
	return r;
}

void http_req_free(struct http_req *r)
{
	struct http *h = r->http;

	if (r->conn != NULL) {
		TAILQ_REMOVE(&r->conn->reqs, r, link);
		r->conn->n_reqs--;
		r->conn->held -= r->weight;
	}
	buf_free(&r->body);
	buf_free(&r->extra);
	buf_free(&r->answer);
	free(r);
	h->n_reqs--;
	http_unref(h);
}

/* ---- to the handler ---- */

/* True when the route is for that path; *ret_tail is what a prefix leaves over. */
static bool http_route_fits(const struct http_route *route, struct span path, struct span *ret_tail)
{
	size_t n = strlen(route->path);

	if (path.n < n || memcmp(path.p, route->path, n) != 0 || (path.n > n && !route->prefix))
		return false;
	*ret_tail = (struct span){ path.p + n, path.n - n };
	return true;
}

static void http_allow_put(char *allow, size_t size, const char *s)
{
	size_t n = strlen(allow);

	span_into(span_of(s), allow + n, size - n);
}

/* Adds a method to the list for Allow, once; GET brings HEAD. */
static void http_allow_add(char *allow, size_t size, const char *method)
{
	if (strstr(allow, method) != NULL)
		return;
	if (*allow)
		http_allow_put(allow, size, ", ");
	http_allow_put(allow, size, method);
	if (strcmp(method, "GET") == 0)
		http_allow_put(allow, size, ", HEAD");
}

/* Finds the route; NULL: there is none, and `allow` says which methods the path has. */
static const struct http_route *http_find_route(struct http_req *r, char *allow, size_t size)
{
	struct http *h = r->http;
	struct span tail, method = r->is_head ? SPAN("GET") : r->pub.method;

	allow[0] = '\0';
	for (size_t t = 0; t < h->n_tables; t++)
		for (size_t i = 0; i < h->tables[t].n; i++) {
			const struct http_route *route = &h->tables[t].routes[i];

			if (!http_route_fits(route, r->pub.path, &tail))
				continue;
			if (span_is(method, route->method)) {
				r->arg = h->tables[t].arg;
				r->pub.tail = tail;
				return route;
			}
			http_allow_add(allow, size, route->method);
		}
	return NULL;
}

bool http_req_admit(struct http_req *r, const struct http_head *head)
{
	const struct http_route *route;
	char allow[128];

	r->must_close = head->chunked || head->length > HTTP_SKIP_MOST;
	r->pub.route = route = http_find_route(r, allow, sizeof allow);
	if (route == NULL) {
		r->http->stats.refused[HTTP_REFUSED_ROUTE]++;
		if (*allow)
			http_answer_header(&r->pub, "Allow", allow);
		http_refuse(&r->pub, *allow ? 405 : 404,
			*allow ? "this path does not have that method"
			       : "there is nothing at this path",
			NULL, *allow ? "the header Allow names the methods" : NULL);
		return false;
	}
	if (!head->chunked && head->length > route->body_most) {
		r->http->stats.refused[HTTP_REFUSED_SIZE]++;
		r->must_close = true;
		http_refuse(&r->pub, 413, "the body is too large", NULL, "send smaller batches");
		return false;
	}
	return route->admit == NULL || route->admit(r->arg, &r->pub);
}

void http_req_handle(struct http_req *r)
{
	r->is_handed = true;
	r->http->stats.requests++;
	if (r->body.n > 0)
		r->pub.body = buf_as_span(&r->body);
	r->pub.route->handle(r->arg, &r->pub);
}

/* ---- the answer ---- */

/* The Date of this second (RFC 9110 6.6.1). */
static const char *http_date(struct http *h)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now != h->date_s) {
		gmtime_r(&now, &tm);
		strftime(h->date, sizeof h->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		h->date_s = now;
	}
	return h->date;
}

/* Writes the whole answer. */
static void http_write_answer(struct buf *out, struct http_req *r, int status,
	const char *content_type, struct span body, bool close)
{
	buf_reserve(out, 256 + r->extra.n + (r->is_head ? 0 : body.n));
	buf_add(out, "HTTP/1.1 ", 9);
	buf_int(out, status);
	buf_char(out, ' ');
	buf_str(out, http_status_text(status));
	buf_str(out, "\r\nDate: ");
	buf_str(out, http_date(r->http));
	if (content_type != NULL && body.n > 0) {
		buf_str(out, "\r\nContent-Type: ");
		buf_str(out, content_type);
	}
	if (status != 204 && status != 304) {
		buf_str(out, "\r\nContent-Length: ");
		buf_int(out, (int64_t)body.n);
	}
	if (close)
		buf_str(out, "\r\nConnection: close");
	buf_add(out, "\r\n", 2);
	buf_span(out, buf_as_span(&r->extra));
	buf_add(out, "\r\n", 2);
	if (!r->is_head && status != 204 && status != 304)
		buf_span(out, body);
}

void http_answer_header(struct http_request *req, const char *name, const char *value)
{
	struct http_req *r = (struct http_req *)req;

	for (const char *p = value; *p; p++)
		assert((unsigned char)*p >= 0x20 && *p != 0x7f);
	buf_str(&r->extra, name);
	buf_add(&r->extra, ": ", 2);
	buf_str(&r->extra, value);
	buf_add(&r->extra, "\r\n", 2);
}

void http_answer(struct http_request *req, int status, const char *content_type, struct span body)
{
	struct http_req *r = (struct http_req *)req;
	struct http_conn *c = r->conn;

	assert(!r->is_answered && status >= 200 && status < 600);
	r->is_answered = true;
	r->http->stats.answered[status / 100]++;
	if (r->is_handed)
		r->http->stats.requests--;
	if (c == NULL) {
		http_req_free(r);
		return;
	}
	if (r->must_close && !r->is_handed)
		c->no_more = c->linger = true;
	bool close = c->no_more && TAILQ_NEXT(r, link) == NULL;

	if (TAILQ_FIRST(&c->reqs) == r && !r->is_held) {
		http_write_answer(&c->out, r, status, content_type, body, close);
		http_req_free(r);
	} else {
		http_write_answer(&r->answer, r, status, content_type, body, close);
	}
	http_conn_touch(c);
}

/* Adds a member, unless there is no text; what is no text for JSON is not repeated. */
static void http_add_member(struct buf *b, const char *name, const char *text)
{
	struct span s = span_of(text);

	if (text == NULL)
		return;
	json_put_key(b, name);
	json_put_text(b, json_is_text(s) ? s : SPAN("(not UTF-8)"));
}

void http_refuse(
	struct http_request *req, int status, const char *error, const char *path, const char *hint)
{
	struct http_req *r = (struct http_req *)req;
	struct buf b = { 0 };

	if ((status == 429 || status == 503) &&
		(r->extra.n == 0 || strcasestr(r->extra.p, "retry-after:") == NULL))
		http_answer_header(req, "Retry-After", "1");
	if (status == 401)
		http_answer_header(req, "WWW-Authenticate", "Bearer");
	buf_char(&b, '{');
	http_add_member(&b, "error", error);
	http_add_member(&b, "path", path);
	http_add_member(&b, "hint", hint);
	buf_char(&b, '}');
	http_answer(req, status, "application/json", buf_as_span(&b));
	buf_free(&b);
}

/* ---- looking into it ---- */

bool http_header_at(
	const struct http_request *req, size_t i, struct span *ret_name, struct span *ret_value)
{
	const struct http_req *r = (const struct http_req *)req;

	if (i >= r->n_fields)
		return false;
	*ret_name = r->fields[i].name;
	*ret_value = r->fields[i].value;
	return true;
}

bool http_header_get(const struct http_request *req, const char *name, struct span *ret)
{
	const struct http_req *r = (const struct http_req *)req;

	for (size_t i = 0; i < r->n_fields; i++)
		if (http_same_word(r->fields[i].name, name)) {
			*ret = r->fields[i].value;
			return true;
		}
	return false;
}

bool http_query_get(
	const struct http_request *req, const char *name, struct arena *arena, struct span *ret)
{
	struct span raw;
	char *text;

	if (!http_query_find(req->query, name, &raw))
		return false;
	text = arena_dup(arena, raw.p, raw.n);
	*ret = (struct span){ text, http_unescape(text, raw, true) };
	return true;
}

struct span http_path_unescape(struct span raw, struct arena *arena)
{
	char *text = arena_dup(arena, raw.p, raw.n);

	return (struct span){ text, http_unescape(text, raw, false) };
}

const char *http_peer(const struct http_request *req)
{
	static char text[INET6_ADDRSTRLEN];
	const struct http_req *r = (const struct http_req *)req;

	inet_ntop(AF_INET6, r->address, text, sizeof text);
	return strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
}
