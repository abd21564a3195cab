/*
 * envelope_binary.c: CloudEvents attributes beside the body, and data_base64.
 *
 * HTTP (http-protocol-binding 3.1.3.2): first un-quoting, then one round of percent-decoding; what
 * is no valid UTF-8 afterwards is refused, needless escapes are taken.  A "%" that begins no
 * escape stays what it is: the JavaScript SDK does not encode at all.  MQTT 5
 * (mqtt-protocol-binding 3.1): user properties with bare names, as they are; "datacontenttype"
 * among them is tolerated.
 */
#include "door/envelope_binary.h"

#include "base/json.h"

#include <string.h>
#include <strings.h>

static bool same_word(struct span s, const char *word)
{
	return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

static bool begins(struct span s, const char *word)
{
	return s.n >= strlen(word) && strncasecmp(s.p, word, strlen(word)) == 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Takes off double quotes and the backslashes inside them; to has room for all of s. */
static size_t unquote(char *to, struct span s)
{
	size_t n = 0;

	if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"') {
		memcpy(to, s.p, s.n);
		return s.n;
	}
	for (size_t i = 1; i + 1 < s.n; i++) {
		if (s.p[i] == '\\' && i + 2 < s.n)
			i++;
		to[n++] = s.p[i];
	}
	return n;
}

/* One round of percent-decoding, in place. */
static size_t percent_decode(char *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		int high = p[i] == '%' && i + 2 < n ? hex_digit(p[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(p[i + 2]) : -1;

		if (low >= 0) {
			p[out++] = (char)(high * 16 + low);
			i += 2;
		} else {
			p[out++] = p[i];
		}
	}
	return out;
}

/* The text of a header's value. */
static struct span decode(struct span value, struct arena *a)
{
	char *p;
	size_t n;

	value = span_trim(value);
	if (value.n == 0 || (value.p[0] != '"' && !memchr(value.p, '%', value.n)))
		return value;
	p = arena_alloc(a, value.n);
	n = unquote(p, value);
	return (struct span){ p, percent_decode(p, n) };
}

/* Where an attribute of that name goes, or NULL. */
static struct span *slot(struct envelope_binary *b, struct span name)
{
	if (same_word(name, "specversion"))
		return &b->specversion;
	if (same_word(name, "id"))
		return &b->id;
	if (same_word(name, "source"))
		return &b->source;
	if (same_word(name, "type"))
		return &b->type;
	if (same_word(name, "subject"))
		return &b->subject;
	return same_word(name, "time") ? &b->time : NULL;
}

const char *envelope_binary_read(
	const struct envelope_input *in, struct arena *a, struct envelope_binary *ret)
{
	bool is_http = in->door == ADMIT_HTTP;

	*ret = (struct envelope_binary){ .is_there = false };
	if (begins(in->content_type, "application/cloudevents"))
		return NULL; /* structured or batched: what stands beside it does not count */
	for (size_t i = 0; i < in->n_attributes; i++) {
		struct span name = in->attributes[i].name, value, *to;

		if (is_http && !begins(name, "ce-"))
			continue;
		if (is_http)
			name = (struct span){ name.p + 3, name.n - 3 };
		to = slot(ret, name);
		if (!to)
			continue;
		value = is_http ? decode(in->attributes[i].value, a) : in->attributes[i].value;
		if (!json_is_text(value))
			return "a CloudEvents attribute is no valid UTF-8";
		if (to->p)
			return "a CloudEvents attribute is given twice";
		*to = value;
	}
	ret->is_there = ret->specversion.p != NULL;
	return NULL;
}

/* "application/json; charset=utf-8", "application/vnd.shop+json", or nothing. */
static bool is_json(struct span type)
{
	const char *semicolon = type.n ? memchr(type.p, ';', type.n) : NULL;

	if (semicolon)
		type.n = (size_t)(semicolon - type.p);
	type = span_trim(type);
	if (!type.n || same_word(type, "application/json") || same_word(type, "text/json"))
		return true;
	return type.n > 5 && strncasecmp(type.p + type.n - 5, "+json", 5) == 0;
}

/* The six bits of a character of base64 (RFC 4648 section 4), or -1. */
static int six_bits(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Decodes padded base64; false when it is none. */
static bool base64_decode(struct span text, char *to, size_t *ret_n)
{
	unsigned long bits = 0;
	size_t n = 0, digits = text.n;

	if (text.n % 4 != 0)
		return false;
	while (digits > 0 && text.n - digits < 2 && text.p[digits - 1] == '=')
		digits--;
	for (size_t i = 0; i < digits; i++) {
		int value = six_bits(text.p[i]);

		if (value < 0)
			return false;
		bits = (bits << 6 | (unsigned long)value) & 0xffffff;
		if (i % 4 == 1)
			to[n++] = (char)(bits >> 4);
		else if (i % 4 == 2)
			to[n++] = (char)(bits >> 2);
		else if (i % 4 == 3)
			to[n++] = (char)bits;
	}
	*ret_n = n;
	return true;
}

const char *envelope_unpack(
	struct span base64, struct span content_type, struct arena *a, struct span *ret_data)
{
	struct json_fault fault;
	char *p;
	size_t n;

	if (!base64.p)
		return "data_base64 must be text";
	if (!is_json(content_type))
		return "data must be JSON; datacontenttype says that data_base64 holds something else";
	p = arena_alloc(a, base64.n + 1);
	if (!base64_decode(base64, p, &n))
		return "data_base64 is no base64";
	if (!json_check_all((struct span){ p, n }, &fault))
		return "data_base64 holds no valid JSON";
	*ret_data = span_trim((struct span){ p, n });
	return NULL;
}
