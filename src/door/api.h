#ifndef DOOR_API_H
#define DOOR_API_H
/*
 * The API for people and their programs: cards, timelines, tasks, chains, messages.
 *
 *	GET  /tasks                    state= manager= group= customer=
 *	GET  /tasks/{id}
 *	POST /tasks/{id}/take|done|cancel    {"manager":..., "result":...}
 *	GET  /customers/{key}          our number, an e-mail, +phone, id:..., anonymous:...
 *	GET  /customers/{key}/timeline
 *	GET  /chains                   state= rule= key= customer=
 *	GET  /messages                 state= channel= rule= customer=
 *
 * Lists are paged: `limit` (50, at most 200) and `after`, the "next" of the page before.  A page
 * may be short, or empty, and still have a next one: a filter looks at 10,000 rows at a time.
 * "next" is null at the end.  Lists begin with the newest, a timeline with the oldest.  `base`
 * names the customer base where there are several and the key is not our own number.  Ids are
 * texts, times RFC 3339 in UTC.
 *
 * The admin's token may do everything; a store's token with the scope "read" may read what is of
 * its store, and the cards of its customer base.  Errors are JSON with `error`, `path`, `hint`.
 *
 * A change is a row of the inbox and a line in the audit; the answer comes when an engine has
 * judged it and shows the task as it stands then; 409: the task was not in a state for it, or
 * somebody was quicker.
 */
#include "door/access.h"

struct api;
struct ask;
struct http;

struct api_env {
	struct ask *ask;             /* lent until api_close */
	const struct access *access; /* lent until api_close; may change in between */
};

struct api *api_open(const struct api_env *env);
void api_add_routes(struct api *a, struct http *server);
/* When the server and `ask` are closed.  NULL is allowed. */
void api_close(struct api *a);

#endif
