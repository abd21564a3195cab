/* mail.c: one libesmtp session = one connection with many messages.
 *
 * libesmtp runs the whole dialogue inside smtp_start_session and calls back.  Three facts shape this
 * file (PITFALLS 4.4, and its source):
 *
 * A message added inside a callback is sent on the same connection, if it is there before the library
 * looks for the next one: at the answer to RCPT and at the answer to the text, not at the answer to
 * DATA.  So the next message is claimed in those two places; after a refused DATA the session ends.
 * All recipients are required: with one recipient that spares us the DATA after a refused RCPT.
 *
 * The text callback may end the transfer in two ways: with the end of the text, and then the dot
 * leaves; or with errno set, and then the library drops the connection without a dot, so nothing was
 * taken.  That second way is used when the claim is no longer fresh and when the server has hung up
 * meanwhile: a message is in doubt only if its end may really have left.
 *
 * BDAT (RFC 3030), which libesmtp uses wherever CHUNKING is offered, is kept from it: it writes all chunks before it
 * reads the first answer and remembers only the last one.  So an end that was never answered looks like the 250 of the
 * chunk before it, and a temporary refusal like the 551 by which Postfix discards what follows.  There is no switch for
 * it; but the library shows what it has read before it looks at it (mail_on_read).
 *
 * Its writes fail without a word: a buffer that the server did not take in time is dropped, and the next one sent.  So
 * the time for a write is that of the whole message, whose deadline comes first and ends the connection.
 *
 * There is no fd and no time-out for connect: the socket is found at SMTP_EV_CONNECT as the one that
 * was not there before, and courier/deadline cuts it.
 *
 * A refused sender (MAIL) is about us, not about the customer: the message waits, and a person must
 * look.  552 there is about its size and final.
 *
 * TLS has a context of our own: libesmtp sends no SNI and compares names with the resolver's
 * canonical one (ECOSYSTEM 0.6).
 */
#include "courier/mail.h"

#include "base/failpoint.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "courier/address.h"
#include "courier/courier.h"
#include "courier/deadline.h"
#include "courier/mime.h"

#include <arpa/inet.h>
#include <auth-client.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <libesmtp.h>

enum {
	MAIL_FDS = 256,              /* sockets below this number are looked at */
	MAIL_PATIENCE = 10,          /* deadline of a message, in time-outs */
	MAIL_END_US = 600 * 1000000, /* most for the last answer: RFC 5321 section 4.5.3.2.6 */
};

static const struct log_ctx mail_log = { "mail", "" };

struct mail {
	const struct mail_options *o;
	const struct render_options *render;
	SSL_CTX *tls; /* NULL: STARTTLS is not used */
	auth_context_t auth;
	/* the message in hand */
	struct buf body;
	struct arena arena;
	const char *sender, *to;
	/* the session that runs */
	struct courier *courier;
	smtp_session_t session;
	smtp_message_t message;
	smtp_recipient_t recipient;
	size_t at;          /* bytes of body that were taken */
	bool given;         /* its end was given */
	bool heard;         /* an answer to DATA that is no, or to the text, has come */
	const char *broken; /* why we broke it off; NULL: we did not */
	bool settled;
	int64_t late_id;  /* the message that was last found stale here */
	int done;         /* messages over this connection */
	int settled_good; /* of those, that the server answered for */
	int fd;           /* -1: not known */
	bool was_open[MAIL_FDS];
	size_t chunking;   /* letters of the word that were read last */
	char trouble[160]; /* of the connection: no TLS, wrong certificate */
};

enum courier_end mail_verdict(const struct mail_answers *a)
{
	if (a->given) {
		if (a->transfer >= 200 && a->transfer < 300 && a->recipient >= 200 &&
			a->recipient < 300)
			return COURIER_SENT;
		if (a->transfer >= 500 && a->transfer < 600)
			return COURIER_REFUSED;
		/* 354 is the answer to DATA, left over */
		return a->transfer >= 400 ? COURIER_LATER : COURIER_UNKNOWN;
	}
	if (a->sender >= 300)
		return a->sender == 552 ? COURIER_REFUSED : COURIER_LATER;
	if (a->recipient >= 500 || a->transfer >= 500)
		return COURIER_REFUSED;
	return COURIER_LATER;
}

/*** what the server said ***/

static struct mail_answers mail_answers(const struct mail *m)
{
	const smtp_status_t *sender = smtp_reverse_path_status(m->message);
	const smtp_status_t *recipient = smtp_recipient_status(m->recipient);
	const smtp_status_t *transfer = smtp_message_transfer_status(m->message);

	return (struct mail_answers){ sender ? sender->code : 0, recipient ? recipient->code : 0,
		transfer && m->heard ? transfer->code : 0, m->given };
}

/* The answer that decided: its code, and its words. */
static const smtp_status_t *mail_decisive(const struct mail *m)
{
	const smtp_status_t *transfer = smtp_message_transfer_status(m->message);
	const smtp_status_t *recipient = smtp_recipient_status(m->recipient);
	const smtp_status_t *sender = smtp_reverse_path_status(m->message);

	if (transfer && m->heard && transfer->code)
		return transfer;
	if (recipient && recipient->code >= 300)
		return recipient;
	if (sender && sender->code >= 300)
		return sender;
	return NULL;
}

/* Does this answer to MAIL say that nobody is let in now, rather than not this sender? */
static bool mail_is_shut(int code)
{
	return code == 421 || code / 10 == 45 || code == 530 || code == 534 || code == 535 ||
	       code == 538;
}

/* Tells the courier what became of the message in hand. */
static enum courier_end mail_settle(struct mail *m)
{
	const struct mail_answers a = mail_answers(m);
	const smtp_status_t *said = mail_decisive(m);
	enum courier_end end = mail_verdict(&a);
	char code[16], detail[256];

	m->settled = true;
	if (said != NULL) {
		const bool to_sender = said == smtp_reverse_path_status(m->message);
		struct buf words = { 0 };

		snprintf(code, sizeof code, "%d", said->code);
		mime_clean(span_of(said->text ? said->text : ""), sizeof detail - 1, &words);
		snprintf(detail, sizeof detail, "%.*s", SPAN_ARG(buf_as_span(&words)));
		buf_free(&words);
		if (to_sender && mail_is_shut(said->code))
			snprintf(m->trouble, sizeof m->trouble, "%s %.140s", code, detail);
		else
			m->settled_good++;
		if (to_sender)
			log_damped(LOG_LVL_ERROR, &mail_log,
				"the mail server does not accept the sender \"%s\": %s %s",
				log_mask(m->sender), code, detail);
	} else {
		snprintf(code, sizeof code, "%s", m->broken ? m->broken : "no_answer");
		snprintf(detail, sizeof detail, "%s", m->trouble);
	}
	courier_settle(m->courier, end, code, detail);
	return end;
}

/*** handing the text over ***/

/* The server has hung up already: the end of the text would only bring doubt. */
static bool mail_is_gone(const struct mail *m)
{
	struct pollfd p = { m->fd, POLLRDHUP, 0 };

	return m->fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Ends the transfer without a dot: see above. */
static const char *mail_break_off(struct mail *m, const char *why, int *len)
{
	m->broken = why;
	*len = 0;
	if (m->fd >= 0)
		shutdown(m->fd, SHUT_RDWR);
	errno = ECANCELED;
	return NULL;
}

/* Does the server want the text?  Without a 3xx it is BDAT after all. */
static bool mail_is_wanted(const struct mail *m)
{
	const smtp_status_t *s = smtp_message_transfer_status(m->message);

	return s != NULL && s->code / 100 == 3;
}

/* The claim is not fresh any more: once we were frozen, or the machine; twice the server is too slow for us, and that
 * counts as an attempt. */
static const char *mail_too_late(struct mail *m)
{
	int64_t id = courier_message(m->courier)->m.id;

	if (id != m->late_id) {
		m->late_id = id;
		return "stale";
	}
	snprintf(m->trouble, sizeof m->trouble,
		"it took longer than claim_time until it wanted the text");
	return "slow";
}

/* The library asks for the text: the whole of it, then its end. */
static const char *mail_on_text(void **ctx, int *len, void *arg)
{
	struct mail *m = arg;

	(void)ctx;
	if (len == NULL) { /* from the beginning */
		m->at = 0;
		return NULL;
	}
	courier_beat(m->courier);
	if (m->broken != NULL)
		return mail_break_off(m, m->broken, len);
	if (m->at == 0 && !mail_is_wanted(m))
		return mail_break_off(m, "chunking", len);
	if (m->at == 0 && !courier_is_fresh(m->courier))
		return mail_break_off(m, mail_too_late(m), len);
	if (m->at < m->body.n) {
		FAILPOINT("mail.before_body");
		m->at = m->body.n;
		*len = (int)m->body.n;
		return m->body.p;
	}
	if (mail_is_gone(m))
		return mail_break_off(m, "hung_up", len);
	FAILPOINT("mail.after_body");
	m->given = true;
	*len = 0;
	return NULL;
}

/* Puts the message in hand into the session. */
static bool mail_add(struct mail *m)
{
	const int64_t deadline_us = m->o->timeout_us * MAIL_PATIENCE;

	m->at = 0;
	m->given = m->heard = m->settled = false;
	m->broken = NULL;
	m->message = smtp_add_message(m->session);
	if (m->message == NULL || !smtp_set_reverse_path(m->message, m->sender) ||
		!smtp_set_messagecb(m->message, mail_on_text, m) ||
		(m->recipient = smtp_add_recipient(m->message, m->to)) == NULL)
		return false;
	smtp_size_set_estimate(m->message, m->body.n);
	m->done++;
	deadline_set(m->fd, deadline_us);
	return true;
}

/* Takes the next message for this connection, if there is one and one more may go over it. */
static void mail_take_next(struct mail *m)
{
	deadline_clear();
	if (m->done < m->o->per_connection && courier_next(m->courier) != NULL && !mail_add(m)) {
		courier_settle(m->courier, COURIER_LATER, "library", "could not add a message");
		m->settled = true;
	}
	if (m->settled)
		deadline_set(m->fd, m->o->timeout_us); /* for QUIT */
}

/*** events of the session ***/

static bool mail_is_socket(int fd)
{
	int type;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

/* Notes which sockets are there before the library makes its own. */
static void mail_note_sockets(struct mail *m)
{
	for (int fd = 0; fd < MAIL_FDS; fd++)
		m->was_open[fd] = mail_is_socket(fd);
}

/* The connection is there: finds its socket. */
static void mail_on_connect(struct mail *m)
{
	struct sockaddr_storage peer;

	for (int fd = 0; fd < MAIL_FDS && m->fd < 0; fd++) {
		socklen_t len = sizeof peer;

		if (!m->was_open[fd] && mail_is_socket(fd) &&
			getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
			(peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
			m->fd = fd;
	}
	deadline_set(m->fd, m->o->timeout_us * MAIL_PATIENCE);
}

static void mail_on_sender(struct mail *m)
{
	const smtp_status_t *s = smtp_reverse_path_status(m->message);

	if (!m->settled && s && s->code >= 300)
		mail_settle(m);
}

static void mail_on_recipient(struct mail *m)
{
	const smtp_status_t *s = smtp_recipient_status(m->recipient);

	if (m->settled || !s || s->code < 300)
		return;
	mail_settle(m);
	if (s->code != 421)
		mail_take_next(m);
}

/* An answer to DATA that is no, or to the end of the text. */
static void mail_on_sent(struct mail *m)
{
	bool given = m->given;
	enum courier_end end;

	if (m->settled)
		return;
	FAILPOINT("mail.before_record");
	m->heard = true;
	end = mail_settle(m);
	FAILPOINT("mail.after_record");
	if (given && (end == COURIER_SENT || end == COURIER_REFUSED))
		mail_take_next(m);
}

/* The library does not trust the certificate.  Where TLS is required, our own context has refused
 * already what is wrong; what it let pass is good, whatever the canonical name is. */
static bool mail_may_trust(struct mail *m, const SSL *ssl)
{
	if (m->o->tls != MAIL_TLS_REQUIRED)
		return true;
	if (ssl != NULL && SSL_get_verify_result(ssl) == X509_V_OK)
		return true;
	snprintf(m->trouble, sizeof m->trouble, "its certificate is not valid");
	return false;
}

static void mail_on_event(smtp_session_t session, int event, void *arg, ...)
{
	struct mail *m = arg;
	va_list ap;
	int *ok;

	(void)session;
	courier_beat(m->courier);
	va_start(ap, arg);
	switch (event) {
	case SMTP_EV_CONNECT: mail_on_connect(m); break;
	case SMTP_EV_MAILSTATUS: mail_on_sender(m); break;
	case SMTP_EV_RCPTSTATUS: mail_on_recipient(m); break;
	case SMTP_EV_MESSAGESENT: mail_on_sent(m); break;
	case SMTP_EV_DISCONNECT:
		m->fd = -1;
		deadline_name(-1);
		break;
	case SMTP_EV_INVALID_PEER_CERTIFICATE:
		(void)va_arg(ap, long);
		ok = va_arg(ap, int *);
		*ok = mail_may_trust(m, va_arg(ap, SSL *));
		break;
	case SMTP_EV_WRONG_PEER_CERTIFICATE:
		ok = va_arg(ap, int *);
		(void)va_arg(ap, char *);
		*ok = mail_may_trust(m, va_arg(ap, SSL *));
		break;
	case SMTP_EV_NO_PEER_CERTIFICATE:
		ok = va_arg(ap, int *);
		*ok = mail_may_trust(m, NULL);
		break;
	case SMTP_EV_EXTNA_STARTTLS:
		snprintf(m->trouble, sizeof m->trouble, "the server offers no STARTTLS");
		break;
	default: break;
	}
	va_end(ap);
}

/* The library has read something and looks at it next, in this buffer of its own: CHUNKING is made unknown. */
static void mail_on_read(const char *text, int n, int writing, void *arg)
{
	static const char word[] = "CHUNKING";
	struct mail *m = arg;

	for (int i = 0; !writing && i < n; i++) {
		int c = toupper((unsigned char)text[i]);

		m->chunking = c == word[m->chunking] ? m->chunking + 1 : c == word[0];
		if (word[m->chunking] != '\0')
			continue;
		*(char *)(uintptr_t)&text[i] = '-';
		m->chunking = 0;
	}
}

/*** a session ***/

/* User and password for SASL. */
static int mail_on_login(auth_client_request_t request, char **result, int fields, void *arg)
{
	const struct mail *m = arg;

	for (int i = 0; i < fields; i++) {
		const char *value = (request[i].flags & AUTH_USER)   ? m->o->user
				    : (request[i].flags & AUTH_PASS) ? m->o->password
								     : NULL;
		/* the library only reads it */
		memcpy(&result[i], &value, sizeof result[i]);
	}
	return 1;
}

static void mail_set_timeouts(struct mail *m)
{
	static const int steps[] = { Timeout_GREETING, Timeout_ENVELOPE, Timeout_DATA };
	int64_t end_us = m->o->timeout_us * 5;

	if (end_us > MAIL_END_US)
		end_us = MAIL_END_US > m->o->timeout_us ? MAIL_END_US : m->o->timeout_us;
	/* milliseconds, whatever the manual says */
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		smtp_set_timeout(m->session, steps[i] | Timeout_OVERRIDE_RFC2822_MINIMUM,
			(long)(m->o->timeout_us / 1000));
	smtp_set_timeout(m->session, Timeout_TRANSFER | Timeout_OVERRIDE_RFC2822_MINIMUM,
		(long)(m->o->timeout_us * MAIL_PATIENCE / 1000));
	smtp_set_timeout(m->session, Timeout_DATA2 | Timeout_OVERRIDE_RFC2822_MINIMUM,
		(long)(end_us / 1000));
}

/* A password never goes over an open line unless the operator has switched TLS off. */
static enum starttls_option mail_starttls(const struct mail_options *o)
{
	switch (o->tls) {
	case MAIL_TLS_NO: return Starttls_DISABLED;
	case MAIL_TLS_IF_OFFERED: return *o->user ? Starttls_REQUIRED : Starttls_ENABLED;
	case MAIL_TLS_REQUIRED: return Starttls_REQUIRED;
	}
	return Starttls_REQUIRED;
}

static bool mail_prepare_session(struct mail *m, struct err *err)
{
	char server[300];

	m->session = smtp_create_session();
	if (m->session == NULL)
		return err_set(err, "could not make an SMTP session");
	snprintf(server, sizeof server, "%s:%d", m->o->host, m->o->port);
	if (!smtp_set_server(m->session, server) ||
		!smtp_set_hostname(m->session, *m->o->helo ? m->o->helo : NULL) ||
		!smtp_set_eventcb(m->session, mail_on_event, m) ||
		!smtp_set_monitorcb(m->session, mail_on_read, m, 0) ||
		!smtp_option_require_all_recipients(m->session, 1) ||
		!smtp_starttls_enable(m->session, mail_starttls(m->o)) ||
		(m->tls && !smtp_starttls_set_ctx(m->session, m->tls)) ||
		(m->auth && !smtp_auth_set_context(m->session, m->auth)))
		return err_set(err, "could not set up an SMTP session");
	mail_set_timeouts(m);
	return true;
}

/* Why the connection came to nothing, for people. */
static void mail_explain(const struct mail *m, struct err *err)
{
	char buf[128];

	if (*m->trouble)
		err_set(err, "mail server \"%s\": %s", m->o->host, m->trouble);
	else if (smtp_errno() < 0)
		err_set(err, "mail server \"%s\": %s", m->o->host, strerror(-smtp_errno()));
	else
		err_set(err, "mail server \"%s\": %s", m->o->host,
			smtp_strerror(smtp_errno(), buf, sizeof buf));
}

static bool mail_session(void *self, struct courier *c, struct err *err)
{
	struct mail *m = self;
	bool ok;

	m->courier = c;
	m->done = m->settled_good = 0;
	m->fd = -1;
	m->chunking = 0;
	m->trouble[0] = '\0';
	m->settled = true;
	ok = mail_prepare_session(m, err) && mail_add(m);
	if (ok) {
		mail_note_sockets(m);
		deadline_set(-1, m->o->timeout_us); /* to connect */
		smtp_start_session(m->session);     /* what it returns means nothing */
		if (deadline_clear() && !*m->trouble)
			snprintf(m->trouble, sizeof m->trouble, "no answer in time");
		mail_explain(m, err);
		if (!m->settled)
			mail_settle(m);
	} else {
		courier_settle(c, COURIER_LATER, "library", err->text);
	}
	if (m->session != NULL)
		smtp_destroy_session(m->session);
	m->session = NULL;
	return m->settled_good > 0;
}

/*** preparing a message ***/

/* <m<id>.<hash>@domain>: the same for each try of a message, unlike any other system's. */
static struct span mail_message_id(struct mail *m, const struct claim *c, struct span domain)
{
	const int64_t of[] = { c->m.id, c->m.customer, c->created_us };
	const struct span parts[] = { { (const char *)of, sizeof of }, span_of(c->m.shop->id) };
	char hex[HASH_HEX];

	hash_sha256_hex(parts, 2, hex);
	return span_of(arena_printf(
		&m->arena, "m%lld.%.16s@%.*s", (long long)c->m.id, hex, SPAN_ARG(domain)));
}

/* Attachments given as data: [{"name":"a.pdf","type":"application/pdf","content":"base64"}].  A path is
 * never followed: what is no list of such objects is an error. */
static bool mail_attachments(
	struct mail *m, struct span data, struct mime_mail *mail, struct err *err)
{
	struct span list, one, value;
	struct mime_attachment *files;
	struct json_iter it;
	size_t n = 0;

	if (!data.n || !json_get(data, SPAN("attach"), &list) || json_is_null(list))
		return true;
	for (json_iter_init(&it, list); json_next(&it, NULL, &one);)
		n++;
	files = arena_array(&m->arena, struct mime_attachment, n);
	json_iter_init(&it, list);
	for (size_t i = 0; json_next(&it, NULL, &one); i++) {
		struct buf bytes = { 0 };

		if (json_kind(list) != JSON_ARRAY || json_kind(one) != JSON_OBJECT ||
			!json_get(one, SPAN("content"), &value) ||
			!mime_decode_base64(json_text(value, &m->arena), &bytes)) {
			buf_free(&bytes);
			return err_set(err, "attach: expected a list of name, type and content");
		}
		files[i].content = (struct span){ arena_dup(&m->arena, bytes.p, bytes.n), bytes.n };
		buf_free(&bytes);
		if (json_get(one, SPAN("name"), &value))
			files[i].name = json_text(value, &m->arena);
		if (json_get(one, SPAN("type"), &value))
			files[i].type = json_text(value, &m->arena);
	}
	mail->attachments = files;
	mail->n_attachments = n;
	return true;
}

/* From whom and to whom, checked once more. */
static bool mail_envelope(struct mail *m, const struct claim *c, struct mime_mail *mail,
	struct address *ret_from, const char **ret_code, struct err *err)
{
	const char *from = *c->m.shop->from ? c->m.shop->from : m->o->from;

	*ret_code = "bad_sender";
	if (!*from)
		return err_set(err, "store \"%s\" has no from, and [mail] has none", c->m.shop->id);
	if (!address_parse(span_of(from), ret_from, err))
		return err_prefix(err, "from of store \"%s\": ", c->m.shop->id);
	*ret_code = "bad_address";
	if (!address_check(c->m.to, err))
		return false;
	m->sender = arena_dup(&m->arena, ret_from->mailbox.p, ret_from->mailbox.n);
	m->to = arena_dup(&m->arena, c->m.to.p, c->m.to.n);
	mail->from = span_of(from);
	mail->reply_to = span_of(c->m.shop->reply_to);
	mail->to = c->m.to;
	mail->to_name = c->is_own ? c->card.text[CARD_NAME] : (struct span){ NULL, 0 };
	return true;
}

static bool mail_prepare(
	void *self, struct render *r, const struct claim *c, const char **ret_code, struct err *err)
{
	struct mail *m = self;
	struct mime_mail mail = { .date_us = c->now_us };
	struct rendered text;
	struct address from;

	arena_reset(&m->arena);
	buf_clear(&m->body);
	if (!mail_envelope(m, c, &mail, &from, ret_code, err))
		return false;
	*ret_code = "template";
	if (!render_message(r, c, m->render, &m->arena, &text, err) ||
		!mail_attachments(m, c->m.data, &mail, err))
		return false;
	mail.subject = text.subject;
	mail.html = text.html;
	mail.text = text.text;
	mail.message_id = mail_message_id(m, c, address_domain(from.mailbox));
	mail.is_bulk = c->is_own && c->m.class_ != CLASS_TRANSACTIONAL;
	if (mail.is_bulk)
		mail.unsubscribe = text.unsubscribe;
	if (!mime_write(&mail, &m->body, err))
		return false;
	*ret_code = "too_large";
	return (int64_t)m->body.n <= m->o->message_bytes ||
	       err_set(err, "the message has %zu bytes, more than [mail] message_bytes", m->body.n);
}

/*** life ***/

static bool mail_is_ip(const char *host)
{
	unsigned char ip[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, ip) == 1;
}

/* Names the server in the handshake: without it some answer with a certificate for nobody. */
static void mail_on_handshake(const SSL *ssl, int where, int ret)
{
	const struct mail *m = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL *s;

	(void)ret;
	if (!(where & SSL_CB_HANDSHAKE_START) || mail_is_ip(m->o->host) ||
		SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL)
		return;
	memcpy(&s, &ssl, sizeof s); /* OpenSSL's callback has it const, its setter has not */
	/* as SSL_set_tlsext_host_name, whose cast drops the const */
	SSL_ctrl(s, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		(void *)(uintptr_t)m->o->host);
}

/* Something is wrong with the certificate (only asked where that matters): says what. */
static int mail_on_verify(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct mail *m = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!ok)
		snprintf(m->trouble, sizeof m->trouble, "its certificate is not valid: %s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	return ok;
}

/* The name to expect in the certificate; an address is expected as an address and not named. */
static bool mail_tls_host(SSL_CTX *ctx, const char *host)
{
	if (mail_is_ip(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(ctx), host) == 1;
	return X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(ctx), host, 0) == 1;
}

static SSL_CTX *mail_tls_open(struct mail *m, struct err *err)
{
	const struct mail_options *o = m->o;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || !mail_tls_host(ctx, o->host) ||
		SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
		err_set(err, "could not set up TLS for \"%s\"", o->host);
		goto fail;
	}
	SSL_CTX_set_app_data(ctx, m);
	SSL_CTX_set_info_callback(ctx, mail_on_handshake);
	if (o->tls == MAIL_TLS_REQUIRED)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, mail_on_verify);
	if (*o->ca_file ? SSL_CTX_load_verify_locations(ctx, o->ca_file, NULL) != 1
			: SSL_CTX_set_default_verify_paths(ctx) != 1) {
		err_set(err, "could not read the certificates of authorities in \"%s\"",
			*o->ca_file ? o->ca_file : "the system's directory");
		goto fail;
	}
	return ctx;
fail:
	SSL_CTX_free(ctx);
	return NULL;
}

/* SASL; plain text passwords are allowed, because the line is encrypted (mail_starttls). */
static auth_context_t mail_auth_open(struct mail *m)
{
	auth_context_t auth = auth_create_context();

	auth_set_mechanism_flags(auth, AUTH_PLUGIN_PLAIN, 0);
	auth_set_interact_cb(auth, mail_on_login, m);
	return auth;
}

static void mail_close(void *self)
{
	struct mail *m = self;

	if (m->auth != NULL)
		auth_destroy_context(m->auth);
	SSL_CTX_free(m->tls);
	buf_free(&m->body);
	arena_fini(&m->arena);
	free(m);
}

static void *mail_open(const struct courier_env *env, struct err *err)
{
	static bool is_open;
	struct mail *m = xcalloc(1, sizeof *m);

	m->o = &env->mail;
	m->render = &env->render;
	m->fd = -1;
	if (!is_open) {
		auth_client_init();
		mime_open();
		is_open = true;
	}
	if (strchr(m->o->host, ':') != NULL) {
		err_set(err, "[mail] host \"%s\": an IPv6 address can not be used here",
			m->o->host);
		err_hint(err, "give the host's name");
		goto fail;
	}
	if (m->o->tls != MAIL_TLS_NO && (m->tls = mail_tls_open(m, err)) == NULL)
		goto fail;
	if (*m->o->user)
		m->auth = mail_auth_open(m);
	return m;
fail:
	mail_close(m);
	return NULL;
}

const struct courier_driver mail_driver = { "mail", CHANNEL_EMAIL, mail_open, mail_prepare,
	mail_session, mail_close };
