#ifndef COURIER_MAIL_H
#define COURIER_MAIL_H
/*
 * Mail: hands messages to one SMTP server (a smart host; never to the world) with libesmtp.
 *
 * A driver of courier/courier.h.  Many messages go over one connection, one at a time: the next is
 * claimed only when the one before is settled.  One recipient per message.  Verdicts come from the
 * server's answers to this message alone (mail_verdict), never from what the library returns.
 */
#include "courier/courier_end.h"

#include <stdbool.h>
#include <stdint.h>

struct courier_driver;

enum mail_tls { MAIL_TLS_NO, MAIL_TLS_IF_OFFERED, MAIL_TLS_REQUIRED };
struct mail_options {
	const char *host; /* a name or an IPv4 address */
	int port;
	enum mail_tls tls;   /* REQUIRED: certificate and name are checked */
	const char *ca_file; /* "": the system's */
	const char *user;    /* "": no AUTH; else never without TLS unless tls is NO */
	const char *password;
	const char *from; /* of shops that have none */
	const char *helo; /* "": the host's name */
	int64_t timeout_us;
	int per_connection;
	int64_t message_bytes; /* largest message */
};

/* Codes of the answers; 0: there was none. */
struct mail_answers {
	int sender;    /* to MAIL */
	int recipient; /* to RCPT */
	int transfer;  /* to DATA or to the end of the text: the last of them */
	bool given;    /* the whole text was given to the library, so its end may have left */
};
/* What became of the message.  Pure. */
enum courier_end mail_verdict(const struct mail_answers *a);

extern const struct courier_driver mail_driver;

#endif
