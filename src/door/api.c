/* api.c: routes, who asks, and whom he asks for.
 *
 * A token is looked at before anything else, and what it may see goes into each statement as the
 * parameter `store`: the database leaves out what is of others, no code here has to remember to.
 * Cards are of the customer base: stores of one base share them by configuration, so a store may
 * read the cards of its base, but only its own orders, events, chains, messages and tasks on them.
 * What a store must not see is 404, not 403: that it exists is none of its business either.
 */
#include "door/api_int.h"

#include "base/phone.h"
#include "model/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who asks ---- */

static void api_refuse_unknown(struct http_request *req)
{
	http_refuse(req, 401, "the bearer token is missing or unknown", NULL,
		"send \"Authorization: Bearer TOKEN\" with the admin's token");
}

bool api_admit_change(void *arg, struct http_request *req)
{
	struct api *a = arg;

	switch (access_admin(a->env.access, req->bearer)) {
	case ACCESS_GRANTED: return true;
	case ACCESS_UNKNOWN: api_refuse_unknown(req); break;
	case ACCESS_FORBIDDEN:
		http_refuse(req, 403, "a store's token may not change anything here", NULL,
			"use the admin's token");
		break;
	}
	return false;
}

/* *ret_shop: whose token it is, NULL for the admin; false: it has been answered. */
static bool api_may_read(struct api *a, struct http_request *req, const struct shop **ret_shop)
{
	*ret_shop = NULL;
	if (access_admin(a->env.access, req->bearer) == ACCESS_GRANTED)
		return true;
	switch (access_shop(a->env.access, req->bearer, SHOP_MAY_READ, ret_shop)) {
	case ACCESS_GRANTED: return true;
	case ACCESS_UNKNOWN: api_refuse_unknown(req); break;
	case ACCESS_FORBIDDEN:
		http_refuse(req, 403, "this token may not read", NULL,
			"give it the scope \"read\" in its [store] section");
		break;
	}
	return false;
}

struct ask_job *api_begin(struct api *a, struct http_request *req, size_t user_size)
{
	const struct shop *shop;
	struct ask_job *job;
	struct api_call *call;

	if (!api_may_read(a, req, &shop) || (job = ask_begin(a->env.ask, req, user_size)) == NULL)
		return NULL;
	http_answer_header(req, "Cache-Control", "no-store");
	call = job->user;
	call->api = a;
	call->store = call->base = SPAN("");
	if (shop != NULL) { /* copied: a reload may take the settings away before the answer */
		call->store = span_of(arena_strdup(&job->arena, shop->id));
		call->base = span_of(arena_strdup(&job->arena, shop->base));
		snprintf(call->country, sizeof call->country, "%s", shop->country);
	}
	return job;
}

/* ---- what he asks for ---- */

struct span api_query(struct ask_job *job, const char *name)
{
	struct span value;

	return http_query_get(job->req, name, &job->arena, &value) ? value : SPAN("");
}

bool api_read_limit(struct ask_job *job)
{
	struct api_call *call = job->user;
	struct span text = api_query(job, "limit");
	int64_t limit = API_LIMIT;

	if (text.n > 0 && (!span_to_i64(text, &limit) || limit < 1 || limit > API_LIMIT_MOST)) {
		ask_refuse(job, 400, "limit is no number from 1 to 200", "limit", NULL);
		return false;
	}
	call->limit = (int)limit;
	return true;
}

bool api_path_piece(struct ask_job *job, struct span *rest, struct span *ret)
{
	const char *slash = rest->n ? memchr(rest->p, '/', rest->n) : NULL;
	struct span raw = { rest->p, slash ? (size_t)(slash - rest->p) : rest->n };
	size_t taken = raw.n + (slash != NULL);

	if (raw.n == 0)
		return false;
	*rest = (struct span){ rest->p + taken, rest->n - taken };
	*ret = http_path_unescape(raw, &job->arena);
	return true;
}

/* A key as the identities are kept. */
struct api_key {
	struct span value; /* empty: a number of ours */
	enum identity_kind kind;
	int64_t number;
};

static bool api_key_phone(struct ask_job *job, struct span text, struct api_key *ret)
{
	const struct api_call *call = job->user;
	char e164[PHONE_SIZE];

	if (!phone_e164(text, *call->country ? call->country : NULL, e164))
		return false;
	*ret = (struct api_key){ .value = span_of(arena_strdup(&job->arena, e164)),
		.kind = IDENTITY_PHONE };
	return true;
}

/* Lower case as intake/admit makes it: ASCII letters only. */
static bool api_key_email(struct ask_job *job, struct span text, struct api_key *ret)
{
	char *lower = arena_dup(&job->arena, text.p, text.n);

	for (size_t i = 0; i < text.n; i++)
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (char)(lower[i] - 'A' + 'a');
	*ret = (struct api_key){ .value = { lower, text.n }, .kind = IDENTITY_EMAIL };
	return text.n > 0;
}

/* Takes the prefix off. */
static bool api_key_is(struct span *text, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!span_starts(*text, prefix))
		return false;
	*text = (struct span){ text->p + n, text->n - n };
	return true;
}

/* False: it is no key. */
static bool api_read_key(struct ask_job *job, struct span text, struct api_key *ret)
{
	*ret = (struct api_key){ .value = SPAN(""), .kind = IDENTITY_CUSTOMER };
	if (api_key_is(&text, "id:"))
		ret->kind = IDENTITY_ID;
	else if (api_key_is(&text, "anonymous:"))
		ret->kind = IDENTITY_ANONYMOUS;
	if (ret->kind != IDENTITY_CUSTOMER) {
		ret->value = text;
		return text.n > 0;
	}
	if (api_key_is(&text, "email:") || memchr(text.p, '@', text.n) != NULL)
		return api_key_email(job, text, ret);
	if (api_key_is(&text, "phone:") || (text.n > 0 && *text.p == '+'))
		return api_key_phone(job, text, ret);
	return span_to_i64(text, &ret->number) && ret->number > 0;
}

/* The base that the key is looked for in; empty: any, for numbers.  False: it has been answered. */
static bool api_read_base(struct ask_job *job, bool is_number, struct span *ret)
{
	struct api_call *call = job->user;
	const struct access *access = call->api->env.access;
	struct span base = api_query(job, "base");
	const struct shop *shop = NULL;

	if (call->base.n > 0)
		base = call->base;
	for (size_t i = 0; i < access->n_shops; i++) {
		const struct shop *s = &access->shops[i];

		if (base.n > 0 && !span_is(base, s->base))
			continue;
		if (base.n == 0 && shop != NULL && strcmp(shop->base, s->base) != 0 && !is_number) {
			ask_refuse(job, 400, "there are several customer bases", "base",
				"add ?base=NAME");
			return false;
		}
		if (shop == NULL)
			shop = s;
	}
	if (base.n > 0 && shop == NULL) {
		ask_refuse(job, 400, "there is no such customer base", "base",
			"bases are named in the [store] sections");
		return false;
	}
	if (base.n == 0 && shop != NULL && !is_number)
		base = span_of(arena_strdup(&job->arena, shop->base));
	if (shop != NULL && *call->country == '\0')
		snprintf(call->country, sizeof call->country, "%s", shop->country);
	*ret = base;
	return true;
}

static void api_on_found(struct ask_job *job)
{
	struct api_call *call = job->user;

	if (call->customer == 0)
		ask_refuse(job, 404, "there is no such customer", NULL, NULL);
	else
		call->found(job);
}

static void api_on_card(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct api_call *call = job->user;

	(void)tag;
	if (db_rows_count(rows) > 0)
		call->customer = db_rows_i64(rows, 0, 0);
}

/* Does the text look like one of our numbers? */
static bool api_is_number(struct span text)
{
	int64_t number;

	return text.n > 0 && *text.p != '+' && span_to_i64(text, &number);
}

void api_find(struct ask_job *job, struct span key, db_rows_fn *rows_fn, ask_next_fn *found)
{
	struct api_call *call = job->user;
	struct span base = SPAN("");
	struct api_key k;
	struct bind *b;

	if (!api_read_base(job, api_is_number(key), &base))
		return;
	if (!api_read_key(job, key, &k)) {
		ask_refuse(job, 400, "this is no key of a customer", NULL,
			"use our number, an e-mail, +phone, id:... or anonymous:...");
		return;
	}
	b = ask_bind(job, SQL_API_CARD);
	bind_key(b, 0, k.value);
	bind_int(b, 1, (int)k.kind);
	bind_key(b, 2, base);
	bind_i64(b, 3, k.number);
	call->found = found;
	call->customer = 0;
	ask_send(job, rows_fn ? rows_fn : api_on_card, 0);
	ask_sync(job, api_on_found);
}

void api_answer(struct ask_job *job)
{
	buf_char(&job->out, '\n');
	ask_answer(job, 200, "application/json", buf_as_span(&job->out));
}

/* ---- routes ---- */

static const struct http_route api_table[] = {
	{ "GET", "/tasks", false, 0, NULL, api_on_list },
	{ "GET", "/tasks/", true, 0, NULL, api_on_task },
	{ "POST", "/tasks/", true, API_BODY_MOST, api_admit_change, api_on_task_change },
	{ "GET", "/customers/", true, 0, NULL, api_on_customer },
	{ "GET", "/chains", false, 0, NULL, api_on_list },
	{ "GET", "/messages", false, 0, NULL, api_on_list },
};

struct api *api_open(const struct api_env *env)
{
	struct api *a = xcalloc(1, sizeof *a);

	a->env = *env;
	return a;
}

void api_add_routes(struct api *a, struct http *server)
{
	http_add_routes(server, api_table, sizeof api_table / sizeof *api_table, a);
}

void api_close(struct api *a)
{
	free(a);
}
