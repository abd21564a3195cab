#ifndef DOOR_OPTOUT_H
#define DOOR_OPTOUT_H
/*
 * The link at the foot of a mail: GET /u/<token> shows a page with a button and changes nothing
 * (scanners follow links), POST /u/<token> unsubscribes at once (RFC 8058 One-Click, and the
 * button).
 *
 * The token (intake/unsubscribe) says whom, from which channel of which store; there is nothing
 * else to prove and nobody to log in.  The effect is an inbox row message.unsubscribed; the answer
 * comes when an engine has judged it, so the next claim knows.  Who is unsubscribed already, or is
 * not known any more, hears the same.  Pages are in the store's language where we have it (English,
 * Russian, German), without scripts, cookies or anything from elsewhere.
 */
#include "door/access.h"

struct ask;
struct http;
struct optout;

struct optout_env {
	struct ask *ask;             /* lent until optout_close */
	const struct access *access; /* for its shops; lent likewise, may change in between */
	const char *sign_key;        /* copied; "": no token is good */
};

struct optout *optout_open(const struct optout_env *env);
void optout_add_routes(struct optout *o, struct http *server);
/* Another key, after a reload. */
void optout_set_key(struct optout *o, const char *sign_key);
/* When the server and `ask` are closed.  NULL is allowed. */
void optout_close(struct optout *o);

#endif
