/* mime_test.c: golden mails, and what holds for any of them. */
#include "courier/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct mime_mail plain = {
	.from = { "The Shop <shop@shop.test>", 25 },
	.to = { "anna@example.com", 16 },
	.subject = { "Hello", 5 },
	.text = { "Hi.\n", 4 },
	.message_id = { "m1.abc@shop.test", 16 },
	.date_us = INT64_C(1772407800000000),
};

/* Header lines end in CRLF, nothing is 8 bit, no line is too long. */
static void check_wire(const struct buf *b)
{
	size_t line = 0;

	for (size_t i = 0; i < b->n; i++) {
		unsigned char c = (unsigned char)b->p[i];

		assert_true(c < 0x80 && c != 0);
		if (c == '\n')
			assert_true(i > 0 && b->p[i - 1] == '\r');
		if (c == '\r')
			assert_true(i + 1 < b->n && b->p[i + 1] == '\n');
		line = c == '\n' ? 0 : line + 1;
		assert_true(line <= 999);
	}
	assert_int_equal(line, 0);
}

static void write_mail(const struct mime_mail *m, struct buf *b)
{
	struct err err = { .text = "" };

	if (!mime_write(m, b, &err))
		fail_msg("%s", err.text);
	check_wire(b);
}

static void plain_mail(void **state)
{
	struct buf b = { 0 };

	(void)state;
	write_mail(&plain, &b);
	assert_string_equal(b.p, "From: The Shop <shop@shop.test>\r\n"
				 "To: anna@example.com\r\n"
				 "Subject: Hello\r\n"
				 "Date: Sun, 01 Mar 2026 23:30:00 +0000\r\n"
				 "Message-ID: <m1.abc@shop.test>\r\n"
				 "Auto-Submitted: auto-generated\r\n"
				 "MIME-Version: 1.0\r\n"
				 "Content-Type: text/plain; charset=utf-8\r\n"
				 "Content-Transfer-Encoding: quoted-printable\r\n"
				 "\r\n"
				 "Hi.\r\n");
	buf_free(&b);
}

static void both_parts_and_an_unsubscribe_link(void **state)
{
	struct mime_mail m = plain;
	struct buf b = { 0 };

	(void)state;
	m.html = SPAN(
		"<p>5 \xe2\x82\xac = a lot of text that is long enough to be folded once</p>\n.\n");
	m.unsubscribe =
		SPAN("https://shop.test/n/u/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9eyJhbGciOiJIUzI1N"
		     "iIsInR5cCI6IkpXVCJ9eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.abcdefghijklmnop");
	m.is_bulk = true;
	write_mail(&m, &b);
	assert_string_equal(b.p,
		"From: The Shop <shop@shop.test>\r\n"
		"To: anna@example.com\r\n"
		"Subject: Hello\r\n"
		"Date: Sun, 01 Mar 2026 23:30:00 +0000\r\n"
		"Message-ID: <m1.abc@shop.test>\r\n"
		"Auto-Submitted: auto-generated\r\n"
		"Precedence: bulk\r\n"
		"List-Unsubscribe: <https://shop.test/n/u/"
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9eyJhbGciOiJIUzI1N"
		"iIsInR5cCI6IkpXVCJ9eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.abcdefghijklmnop>\r\n"
		"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: multipart/alternative; boundary=\"=_c319bee8b893bf014984\"\r\n"
		"\r\n"
		"--=_c319bee8b893bf014984\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n"
		"\r\n"
		"Hi.\r\n"
		"\r\n"
		"--=_c319bee8b893bf014984\r\n"
		"Content-Type: text/html; charset=utf-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n"
		"\r\n"
		"<p>5 =E2=82=AC =3D a lot of text that is long enough to be folded once</p>\r\n"
		".\r\n"
		"\r\n"
		"--=_c319bee8b893bf014984--\r\n");
	buf_free(&b);
}

static void same_input_same_bytes(void **state)
{
	struct mime_mail m = plain;
	struct buf a = { 0 }, b = { 0 };

	(void)state;
	m.html = SPAN("<p>x</p>");
	write_mail(&m, &a);
	write_mail(&m, &b);
	assert_string_equal(a.p, b.p);
	buf_free(&a);
	buf_free(&b);
}

static size_t count(const struct buf *b, const char *what)
{
	size_t n = 0;

	for (const char *p = b->p; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void names_can_not_make_headers(void **state)
{
	static const char *const evil[] = { "x\r\nBcc: v@e.test", "x\nBcc: v@e.test",
		"x\rBcc: v@e.test",
		"x\xe2\x80\xa8"
		"Bcc: v@e.test",
		"x\xc2\x85"
		"Bcc: v@e.test",
		"\" <v@e.test>, \"", "=?utf-8?q?x=0D=0ABcc:_v@e.test?=", "x\x01\x1b[31m",
		"\xff\xfe", "x\xe2\x80\xaegnp", "<v@e.test>", "a, b, c", ";:()\\" };

	(void)state;
	for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
		struct mime_mail m = plain;
		struct buf b = { 0 };

		m.subject = m.to_name = span_of(evil[i]);
		write_mail(&m, &b);
		assert_int_equal(count(&b, "\r\nBcc"), 0);
		assert_int_equal(count(&b, "\r\nTo:"), 1);
		assert_int_equal(count(&b, "\r\nSubject:"), 1);
		assert_null(strchr(b.p, 0x1b));
		buf_free(&b);
	}
}

static void cleaning_keeps_whole_characters(void **state)
{
	struct buf b = { 0 };

	(void)state;
	mime_clean(SPAN("  a \r\n\t b\xe2\x80\xae  "), 100, &b);
	assert_string_equal(b.p, "a b");
	buf_clear(&b);
	mime_clean(SPAN("\xd0\xb0\xd0\xb1\xd0\xb2"), 5, &b);
	assert_string_equal(b.p, "\xd0\xb0\xd0\xb1");
	buf_free(&b);
}

static void odd_line_ends_become_crlf(void **state)
{
	struct mime_mail m = plain;
	struct buf b = { 0 }, big = { 0 };

	(void)state;
	m.text = SPAN("a\rb\nc\r\nd\n.\n..\nFrom me\n");
	write_mail(&m, &b);
	assert_non_null(strstr(b.p, "\r\n\r\na\r\nb\r\nc\r\nd\r\n.\r\n..\r\nFrom me\r\n"));
	buf_clear(&b);
	for (int i = 0; i < 20000; i++)
		buf_str(&big, i % 3 ? "x" : "\xd1\x8f");
	m.text = m.html = buf_as_span(&big);
	write_mail(&m, &b);
	buf_free(&b);
	buf_free(&big);
}

static void files_are_files(void **state)
{
	static const struct mime_attachment files[] = {
		{ { "../../a\r\nb\"c.pdf", 15 }, { "application/pdf", 15 }, { "%PDF", 4 } },
		{ { "C:\\x\\y.html", 11 }, { "message/rfc822", 14 }, { "Bcc: x", 6 } },
		{ { NULL, 0 }, { "text/html\r\nX: y", 15 }, { "\0\1\2", 3 } },
		{ { "\xd1\x81\xd1\x87\xd1\x91\xd1\x82.pdf", 12 }, { "application/pdf", 15 },
			{ "", 0 } },
	};
	struct mime_mail m = plain;
	struct buf b = { 0 };

	(void)state;
	m.attachments = files;
	m.n_attachments = 4;
	write_mail(&m, &b);
	assert_int_equal(count(&b, "multipart/mixed"), 1);
	assert_int_equal(count(&b, "Content-Disposition: attachment"), 4);
	assert_int_equal(count(&b, "application/octet-stream"), 2);
	assert_int_equal(count(&b, "message/rfc822"), 0);
	assert_int_equal(count(&b, "..") + count(&b, "C:") + count(&b, "X: y"), 0);
	assert_non_null(strstr(b.p, "JVBERg=="));
	buf_free(&b);
}

static void wrong_addresses_and_texts_are_refused(void **state)
{
	struct buf b = { 0 };
	struct err err;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct mime_mail m = plain;

		if (i == 0)
			m.to = SPAN("a@b.test>\r\nBcc: x");
		else if (i == 1)
			m.from = SPAN("nobody");
		else if (i == 2)
			m.text = SPAN("\xff");
		else
			m.unsubscribe = SPAN("https://x/\r\nBcc: v@e.test");
		assert_false(mime_write(&m, &b, &err));
		assert_int_equal(b.n, 0);
	}
	buf_free(&b);
}

static void base64_is_taken_strictly(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_true(mime_decode_base64(SPAN("JVBE\r\nRi0="), &b));
	assert_string_equal(b.p, "%PDF-");
	assert_false(mime_decode_base64(SPAN("/etc/passwd"), &b));
	assert_false(mime_decode_base64(SPAN("AA=A"), &b));
	assert_false(mime_decode_base64(SPAN("A==="), &b));
	assert_false(mime_decode_base64(SPAN("AA!="), &b));
	buf_free(&b);
}

static int open_mime(void **state)
{
	(void)state;
	mime_open();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(plain_mail),
		cmocka_unit_test(both_parts_and_an_unsubscribe_link),
		cmocka_unit_test(same_input_same_bytes),
		cmocka_unit_test(names_can_not_make_headers),
		cmocka_unit_test(cleaning_keeps_whole_characters),
		cmocka_unit_test(odd_line_ends_become_crlf), cmocka_unit_test(files_are_files),
		cmocka_unit_test(wrong_addresses_and_texts_are_refused),
		cmocka_unit_test(base64_is_taken_strictly) };

	return cmocka_run_group_tests(tests, open_mime, NULL);
}
