#ifndef COURIER_MIME_H
#define COURIER_MIME_H
/*
 * A mail as bytes: RFC 5322 header and MIME body (RFC 2045-2047, 2231), ready for DATA.
 *
 * What comes out is 7 bit, has CRLF line ends only and no line longer than 998 bytes, whatever went
 * in; nothing in a name, subject or text can begin a header line (PROMISES P22).  The same input gives
 * the same bytes: a retry is recognisable, a test can compare.  Addresses are checked here once more.
 *
 * mime_open once per process, before the first mime_write.  Everything is lent for the call.
 */
#include "base/str.h"

#include <stdint.h>

struct mime_attachment {
	struct span name;    /* file name as the reader sees it; paths are cut off */
	struct span type;    /* "application/pdf"; anything odd becomes application/octet-stream */
	struct span content; /* bytes */
};

struct mime_mail {
	struct span from;       /* "Name <a@b>" or "a@b" */
	struct span reply_to;   /* the same; empty: none */
	struct span to;         /* an address */
	struct span to_name;    /* what he calls himself; may be empty */
	struct span subject;    /* UTF-8 */
	struct span html, text; /* UTF-8; one of them may be empty */
	struct span message_id; /* without < > */
	int64_t date_us;
	struct span unsubscribe; /* link for List-Unsubscribe (RFC 8058); empty: none */
	bool is_bulk;            /* Precedence: bulk */
	const struct mime_attachment *attachments;
	size_t n_attachments;
};

void mime_open(void);
/* Adds the mail to out; on failure out has what it had before. */
bool mime_write(const struct mime_mail *m, struct buf *out, struct err *err) MUST_CHECK;
/* Adds the bytes of base64 text (blanks are passed over); false when it is something else. */
bool mime_decode_base64(struct span text, struct buf *out) MUST_CHECK;
/* Adds a text for a header: controls, line ends and marks that turn the direction of letters become
 * blanks, at most `most` bytes, never half a character. */
void mime_clean(struct span text, size_t most, struct buf *out);

#endif
