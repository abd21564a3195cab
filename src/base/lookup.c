/* lookup.c: getaddrinfo_a(3), looked at from a timer.
 *
 * The C library asks in a thread of its own, with all signals blocked; nobody else shares memory with it.  The answer
 * is thrown away: libmosquitto wants the name itself, to hold it against the certificate, and looks it up again, now
 * that somebody answers.  Rejected: a resolver of our own (libevent's knows no /etc/nsswitch.conf), a process of its
 * own (the engine does not fork), and one look-up for ever (addresses change).
 */
#include "base/lookup.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
	struct gaicb cb;
	struct addrinfo hints;
	char *host;
	bool is_plain, is_asked;
	struct lookup *next;
};

/* Closed while the library was still at work on them: its memory for good. */
static struct lookup *lookup_left;

struct lookup *lookup_open(const char *host)
{
	struct lookup *l = xcalloc(1, sizeof *l);
	struct in6_addr address;

	l->host = xstrdup(host);
	l->is_plain = *host == '\0' || *host == '/' || inet_pton(AF_INET, host, &address) == 1 ||
		      inet_pton(AF_INET6, host, &address) == 1;
	l->hints.ai_socktype = SOCK_STREAM;
	l->cb.ar_name = l->host;
	l->cb.ar_request = &l->hints;
	return l;
}

/* Begins to ask. */
static void lookup_ask(struct lookup *l)
{
	struct gaicb *list[] = { &l->cb };

	l->is_asked = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0;
}

bool lookup_is_known(struct lookup *l, const char **ret_why)
{
	int rc;

	*ret_why = NULL;
	if (l->is_plain)
		return true;
	if (!l->is_asked) {
		lookup_ask(l);
		return false;
	}
	if ((rc = gai_error(&l->cb)) == EAI_INPROGRESS)
		return false;
	l->is_asked = false;
	if (l->cb.ar_result != NULL)
		freeaddrinfo(l->cb.ar_result);
	l->cb.ar_result = NULL;
	if (rc != 0)
		*ret_why = gai_strerror(rc);
	return rc == 0;
}

void lookup_close(struct lookup *l)
{
	if (l == NULL)
		return;
	if (l->is_asked && gai_cancel(&l->cb) == EAI_NOTCANCELED) {
		l->next = lookup_left;
		lookup_left = l;
		return;
	}
	if (l->cb.ar_result != NULL)
		freeaddrinfo(l->cb.ar_result);
	free(l->host);
	free(l);
}
