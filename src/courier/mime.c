/* mime.c: mails, written by GMime.
 *
 * GMime folds, encodes words and parameters, and nests parts; what it is given has been made harmless
 * before (mime_clean), because it would encode a line end in a subject rather than refuse it, and a
 * reader may decode it again.  Texts are quoted-printable when mostly ASCII, else base64; so the body
 * never holds a byte that means something to a mail server, 8BITMIME is never needed, and line ends
 * can be made CRLF in one pass over the finished mail.
 *
 * Boundaries come from the Message-ID, not from random: "=_" can stand neither in quoted-printable nor
 * in base64.  Headers made of one long word (links) are set raw: GMime would break the word.
 */
#include "courier/mime.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/planted.h"
#include "courier/address.h"

#include <gmime/gmime.h>
#include <string.h>

enum { MIME_SUBJECT = 400, MIME_NAME = 120, MIME_FILE = 120, MIME_LINK = 900 };

void mime_open(void)
{
	g_mime_init();
}

/* Length of the character at p, and its code; the text is valid UTF-8. */
static size_t mime_char(const unsigned char *p, uint32_t *ret)
{
	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}
	if (p[0] < 0xe0) {
		*ret = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
		return 2;
	}
	if (p[0] < 0xf0) {
		*ret = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
		return 3;
	}
	*ret = 0x10000;
	return 4;
}

/* What may not stand in a line of a header: C0, DEL, C1, line and paragraph separators, and the marks
 * that let a text pose as another (bidi embeddings, overrides, isolates). */
static bool mime_is_control(uint32_t c)
{
	return (c < 0x20 && !PLANTED(keep_newlines)) || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
	       c == 0x2029 || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void mime_clean(struct span text, size_t most, struct buf *out)
{
	size_t from = out->n, i = 0;
	bool blank = true; /* the last one written was a blank: more of them are left out */

	if (!json_is_text(text))
		return;
	while (i < text.n) {
		uint32_t c;
		size_t n = mime_char((const unsigned char *)text.p + i, &c);
		bool is_blank = c == ' ' || mime_is_control(c);

		if (out->n - from + n > most)
			break;
		if (!is_blank)
			buf_add(out, text.p + i, n);
		else if (!blank)
			buf_char(out, ' ');
		blank = is_blank;
		i += n;
	}
	while (out->n > from && out->p[out->n - 1] == ' ')
		out->n--;
	buf_reserve(out, 1)[0] = '\0';
}

/* Cleaned and ended by NUL, in the arena. */
static const char *mime_word(struct arena *a, struct span text, size_t most)
{
	struct buf b = { 0 };
	const char *word;

	mime_clean(text, most, &b);
	word = arena_dup(a, b.n ? b.p : "", b.n);
	buf_free(&b);
	return word;
}

/* A mailbox header; text is "Name <a@b>" or an address. */
static bool mime_mailbox(GMimeMessage *msg, struct arena *a, GMimeAddressType type,
	const char *what, struct span text, struct span name, struct err *err)
{
	struct address ad;

	if (!address_parse(text, &ad, err))
		return err_prefix(err, "%s: ", what);
	if (name.n == 0)
		name = ad.name;
	name = span_of(mime_word(a, name, MIME_NAME));
	g_mime_message_add_mailbox(
		msg, type, name.n ? name.p : NULL, arena_dup(a, ad.mailbox.p, ad.mailbox.n));
	return true;
}

/* A header of plain ASCII words, written as it is; the value is ours, not a customer's. */
static void mime_raw_header(GMimeMessage *msg, struct arena *a, const char *name, const char *value)
{
	GMimeHeaderList *list = g_mime_object_get_header_list(GMIME_OBJECT(msg));
	GMimeHeader *header;

	g_mime_object_append_header(GMIME_OBJECT(msg), name, "x", NULL);
	header = g_mime_header_list_get_header_at(list, g_mime_header_list_get_count(list) - 1);
	g_mime_header_set_raw_value(header, arena_printf(a, " %s\n", value));
}

/*** parts ***/

/* Text with LF (or CRLF) line ends only. */
static void mime_lines(struct span text, const char *line_end, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
			continue;
		if (text.p[i] == '\n' || text.p[i] == '\r')
			buf_str(out, line_end);
		else
			buf_char(out, text.p[i]);
	}
	if (out->n == 0 || out->p[out->n - 1] != '\n')
		buf_str(out, line_end);
}

/* More than one byte of six is not ASCII. */
static bool mime_is_foreign(struct span text)
{
	size_t high = 0;

	for (size_t i = 0; i < text.n; i++)
		high += (unsigned char)text.p[i] >= 0x80;
	return high > text.n / 6;
}

/* Gives the part its bytes and says how they travel. */
static void mime_fill(GMimePart *part, struct span bytes, GMimeContentEncoding how)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(bytes.n ? bytes.p : "", bytes.n);
	GMimeDataWrapper *content =
		g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);

	g_mime_part_set_content(part, content);
	g_mime_part_set_content_encoding(part, how);
	g_object_unref(content);
	g_object_unref(stream);
}

/* A text part: text/plain or text/html. */
static GMimeObject *mime_text_part(const char *subtype, struct span text)
{
	GMimePart *part = g_mime_part_new_with_type("text", subtype);
	bool foreign = mime_is_foreign(text);
	struct buf b = { 0 };

	g_mime_object_set_content_type_parameter(GMIME_OBJECT(part), "charset", "utf-8");
	/* base64 carries the canonical CRLF; quoted-printable gets it at the end, with the rest */
	mime_lines(text, foreign ? "\r\n" : "\n", &b);
	mime_fill(part, buf_as_span(&b),
		foreign ? GMIME_CONTENT_ENCODING_BASE64 : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
	buf_free(&b);
	return GMIME_OBJECT(part);
}

/* A multipart whose boundary follows from the Message-ID. */
static GMimeMultipart *mime_multipart(const struct mime_mail *m, const char *subtype)
{
	GMimeMultipart *parts = g_mime_multipart_new_with_subtype(subtype);
	struct span of[] = { m->message_id, span_of(subtype) };
	char hex[HASH_HEX], boundary[32];

	hash_sha256_hex(of, 2, hex);
	snprintf(boundary, sizeof boundary, "=_%.20s", hex);
	g_mime_multipart_set_boundary(parts, boundary);
	return parts;
}

/* Adds a part and gives it away. */
static void mime_add(GMimeMultipart *parts, GMimeObject *part)
{
	g_mime_multipart_add(parts, part);
	g_object_unref(part);
}

/* text, html, or both as alternatives, best last (RFC 2046 section 5.1.4). */
static GMimeObject *mime_body(const struct mime_mail *m)
{
	GMimeMultipart *both;

	if (m->html.n == 0)
		return mime_text_part("plain", m->text);
	if (m->text.n == 0)
		return mime_text_part("html", m->html);
	both = mime_multipart(m, "alternative");
	mime_add(both, mime_text_part("plain", m->text));
	mime_add(both, mime_text_part("html", m->html));
	return GMIME_OBJECT(both);
}

/* A token of RFC 2045 section 5.1. */
static bool mime_is_token(const char *p, size_t n)
{
	if (n == 0 || n > 60)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?=", p[i]) != NULL)
			return false;
	return true;
}

/* "application/pdf" in two; false for what no attachment may be. */
static bool mime_type(
	struct arena *a, struct span type, const char **ret_major, const char **ret_minor)
{
	const char *slash = type.n ? memchr(type.p, '/', type.n) : NULL;
	size_t major;

	if (slash == NULL)
		return false;
	major = (size_t)(slash - type.p);
	if (!mime_is_token(type.p, major) || !mime_is_token(slash + 1, type.n - major - 1))
		return false;
	*ret_major = arena_dup(a, type.p, major);
	*ret_minor = arena_dup(a, slash + 1, type.n - major - 1);
	return strcasecmp(*ret_major, "multipart") != 0 && strcasecmp(*ret_major, "message") != 0;
}

/* A file, always base64. */
static GMimeObject *mime_file(struct arena *a, const struct mime_attachment *file)
{
	const char *major, *minor, *name = mime_word(a, file->name, MIME_FILE);
	GMimePart *part;

	for (const char *p = name; *p != '\0'; p++)
		if (*p == '/' || *p == '\\')
			name = p + 1;
	if (!mime_type(a, file->type, &major, &minor)) {
		major = "application";
		minor = "octet-stream";
	}
	part = g_mime_part_new_with_type(major, minor);
	g_mime_object_set_disposition(GMIME_OBJECT(part), GMIME_DISPOSITION_ATTACHMENT);
	g_mime_part_set_filename(part, *name ? name : "file");
	mime_fill(part, file->content, GMIME_CONTENT_ENCODING_BASE64);
	return GMIME_OBJECT(part);
}

/* The body with its attachments around it. */
static GMimeObject *mime_whole(const struct mime_mail *m, struct arena *a)
{
	GMimeMultipart *mixed;

	if (m->n_attachments == 0)
		return mime_body(m);
	mixed = mime_multipart(m, "mixed");
	mime_add(mixed, mime_body(m));
	for (size_t i = 0; i < m->n_attachments; i++)
		mime_add(mixed, mime_file(a, &m->attachments[i]));
	return GMIME_OBJECT(mixed);
}

/*** the mail ***/

/* Only visible ASCII, short enough for a line, nothing that closes the <>. */
static bool mime_is_link(struct span link)
{
	for (size_t i = 0; i < link.n; i++)
		if (link.p[i] <= ' ' || link.p[i] >= 0x7f || link.p[i] == '<' || link.p[i] == '>')
			return false;
	return link.n <= MIME_LINK;
}

static void mime_set_date(GMimeMessage *msg, int64_t date_us)
{
	GDateTime *date = g_date_time_new_from_unix_utc(date_us / 1000000);

	g_mime_message_set_date(msg, date);
	g_date_time_unref(date);
}

/* All headers but those of MIME. */
static bool mime_headers(
	GMimeMessage *msg, const struct mime_mail *m, struct arena *a, struct err *err)
{
	const struct span none = { NULL, 0 };

	if (!mime_is_link(m->unsubscribe))
		return err_set(err, "the unsubscribe link can not stand in a mail header");
	if (!mime_mailbox(msg, a, GMIME_ADDRESS_TYPE_FROM, "from", m->from, none, err) ||
		(m->reply_to.n && !mime_mailbox(msg, a, GMIME_ADDRESS_TYPE_REPLY_TO, "reply_to",
					  m->reply_to, none, err)) ||
		!mime_mailbox(msg, a, GMIME_ADDRESS_TYPE_TO, "to", m->to, m->to_name, err))
		return false;
	g_mime_message_set_subject(msg, mime_word(a, m->subject, MIME_SUBJECT), "utf-8");
	mime_set_date(msg, m->date_us);
	mime_raw_header(msg, a, "Message-ID", arena_printf(a, "<%.*s>", SPAN_ARG(m->message_id)));
	mime_raw_header(msg, a, "Auto-Submitted", "auto-generated");
	if (m->is_bulk)
		mime_raw_header(msg, a, "Precedence", "bulk");
	if (m->unsubscribe.n == 0)
		return true;
	mime_raw_header(
		msg, a, "List-Unsubscribe", arena_printf(a, "<%.*s>", SPAN_ARG(m->unsubscribe)));
	mime_raw_header(msg, a, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
	return true;
}

/* The finished mail: every line end becomes CRLF; a CR that stands alone can not be there any more. */
static void mime_print(GMimeMessage *msg, struct buf *out)
{
	char *text = g_mime_object_to_string(GMIME_OBJECT(msg), NULL);

	mime_lines(span_of(text), "\r\n", out);
	g_free(text);
}

bool mime_write(const struct mime_mail *m, struct buf *out, struct err *err)
{
	GMimeMessage *msg;
	GMimeObject *body;
	struct arena a = { 0 };
	bool ok;

	if ((m->html.n && !json_is_text(m->html)) || (m->text.n && !json_is_text(m->text)))
		return err_set(err, "the mail is no valid UTF-8");
	msg = g_mime_message_new(FALSE);
	ok = mime_headers(msg, m, &a, err);
	if (ok) {
		body = mime_whole(m, &a);
		g_mime_message_set_mime_part(msg, body);
		g_object_unref(body);
		mime_print(msg, out);
	}
	g_object_unref(msg);
	arena_fini(&a);
	return ok;
}

bool mime_decode_base64(struct span text, struct buf *out)
{
	size_t letters = 0, pads = 0;
	int state = 0;
	guint32 save = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		letters++;
		if (c == '=')
			pads++;
		else if (pads || (!g_ascii_isalnum(c) && c != '+' && c != '/'))
			return false;
	}
	if (letters % 4 != 0 || pads > 2)
		return false;
	out->n += g_mime_encoding_base64_decode_step((const unsigned char *)text.p, text.n,
		(unsigned char *)buf_reserve(out, text.n + 4), &state, &save);
	buf_reserve(out, 1)[0] = '\0';
	return true;
}
