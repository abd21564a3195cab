/* optout.c: one page with three faces: ask, done, not found; and one for "try again".
 *
 * The button is a form without an action: it posts to the address that the page came from, so the
 * door needs to know neither its public name nor what stands before it.  The body of a POST is not
 * looked at: RFC 8058 section 3.2 wants "List-Unsubscribe=One-Click" in it, some senders leave it
 * out, and who has the token means it.  What stands in the configuration (the store's name) is
 * escaped like what a customer typed.
 */
#include "door/optout.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "door/ask.h"
#include "door/http.h"
#include "intake/unsubscribe.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OPTOUT_BODY_MOST = 16384 };

enum optout_page { OPTOUT_ASK, OPTOUT_DONE, OPTOUT_UNKNOWN, OPTOUT_LATER, OPTOUT_PAGES };

struct optout {
	struct optout_env env;
	char *key;
	struct log_ctx lc;
};

/* Of one POST that waits for the judge. */
struct optout_call {
	const char *lang;
	struct span name;
	int64_t inbox; /* 0: there is nothing to be judged */
};

/* ---- pages ---- */

struct optout_words {
	const char *lang;
	struct {
		const char *title,
			*text; /* the store's name stands behind the title of ASK, DONE */
	} page[OPTOUT_PAGES];
	const char *button;
};

/* The first is what others get. */
static const struct optout_words optout_languages[] = {
	{ "en",
		{ [OPTOUT_ASK] = { "Unsubscribe", "Do you want no more such messages from us?" },
			[OPTOUT_DONE] = { "You are unsubscribed",
				"We will not send you such messages any more." },
			[OPTOUT_UNKNOWN] = { "This link does not work",
				"It may have been cut off. Open the link in the message once more, or "
				"copy all of it. If that does not help, answer the message and ask to be "
				"unsubscribed." },
			[OPTOUT_LATER] = { "Please try again",
				"Something is out of order here at the moment. Please try again in a "
				"minute." } },
		"Unsubscribe" },
	{ "ru",
		{ [OPTOUT_ASK] = { "Отписаться",
			  "Вы больше не хотите получать от нас такие письма?" },
			[OPTOUT_DONE] = { "Вы отписаны",
				"Мы больше не будем присылать вам такие письма." },
			[OPTOUT_UNKNOWN] = { "Ссылка не работает",
				"Возможно, она скопирована не полностью. Откройте ссылку из письма ещё раз "
				"или скопируйте её целиком. Если это не поможет, ответьте на письмо и "
				"попросите вас отписать." },
			[OPTOUT_LATER] = { "Попробуйте ещё раз",
				"Сейчас что-то не работает. Пожалуйста, попробуйте через минуту." } },
		"Отписаться" },
	{ "de",
		{ [OPTOUT_ASK] = { "Abmelden",
			  "Möchten Sie keine solchen Nachrichten mehr von uns?" },
			[OPTOUT_DONE] = { "Sie sind abgemeldet",
				"Wir schicken Ihnen solche Nachrichten nicht mehr." },
			[OPTOUT_UNKNOWN] = { "Dieser Link funktioniert nicht",
				"Vielleicht ist er abgeschnitten. Öffnen Sie den Link in der Nachricht noch "
				"einmal, oder kopieren Sie ihn ganz. Hilft das nicht, antworten Sie auf die "
				"Nachricht und bitten Sie darum, abgemeldet zu werden." },
			[OPTOUT_LATER] = { "Bitte noch einmal versuchen",
				"Hier ist gerade etwas nicht in Ordnung. Bitte versuchen Sie es in einer "
				"Minute noch einmal." } },
		"Abmelden" },
};

/* The words for a language tag ("de-AT"), or NULL. */
static const struct optout_words *optout_find_words(const char *tag)
{
	for (size_t i = 0; i < sizeof optout_languages / sizeof *optout_languages; i++)
		if (strncasecmp(tag, optout_languages[i].lang, 2) == 0 &&
			(tag[2] == '\0' || strchr("-_,; ", tag[2]) != NULL))
			return &optout_languages[i];
	return NULL;
}

static void optout_put_escaped(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '&': buf_str(b, "&amp;"); break;
		case '<': buf_str(b, "&lt;"); break;
		case '>': buf_str(b, "&gt;"); break;
		case '"': buf_str(b, "&quot;"); break;
		case '\'': buf_str(b, "&#39;"); break;
		default: buf_char(b, s.p[i]);
		}
}

static const char optout_style[] =
	"body{font:18px/1.5 system-ui,sans-serif;color:#222;background:#f6f6f4;margin:0}"
	"main{max-width:30em;margin:12vh auto;padding:2em;background:#fff;border-radius:8px}"
	"h1{font-size:1.4em;margin:0 0 .6em}"
	"button{font:inherit;color:#fff;background:#b3261e;border:0;border-radius:6px;"
	"padding:.6em 1.4em;cursor:pointer}";

/* The page; name: of the store, may be empty. */
static void optout_write(
	struct buf *b, const struct optout_words *w, enum optout_page page, struct span name)
{
	buf_printf(b,
		"<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\">"
		"<meta name=\"viewport\" content=\"width=device-width\">"
		"<meta name=\"robots\" content=\"noindex\"><title>%s</title><style>%s</style></head>"
		"<body><main><h1>%s",
		w->lang, w->page[page].title, optout_style, w->page[page].title);
	if (name.n > 0) {
		buf_str(b, ": ");
		optout_put_escaped(b, name);
	}
	buf_printf(b, "</h1><p>%s</p>", w->page[page].text);
	if (page == OPTOUT_ASK)
		buf_printf(b, "<form method=\"post\"><button type=\"submit\">%s</button></form>",
			w->button);
	buf_str(b, "</main></body></html>\n");
}

static const char optout_html[] = "text/html; charset=utf-8";

/* What goes with every page: nothing is loaded, nothing is told to others, nothing is kept. */
static void optout_headers(struct http_request *req)
{
	http_answer_header(req, "Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
		"frame-ancestors 'none'; base-uri 'none'");
	http_answer_header(req, "Cache-Control", "no-store");
	http_answer_header(req, "Referrer-Policy", "no-referrer");
	http_answer_header(req, "X-Content-Type-Options", "nosniff");
}

static void optout_show(struct http_request *req, int status, const struct optout_words *w,
	enum optout_page page, struct span name)
{
	struct buf b = { 0 };

	optout_headers(req);
	if (status == 503)
		http_answer_header(req, "Retry-After", "60");
	optout_write(&b, w, page, name);
	http_answer(req, status, optout_html, buf_as_span(&b));
	buf_free(&b);
}

/* The language that the browser names first, where there is no store to tell. */
static const struct optout_words *optout_words_of_browser(const struct http_request *req)
{
	const struct optout_words *w = NULL;
	struct span accept;
	char tag[4] = "";

	if (http_header_get(req, "accept-language", &accept) && accept.n >= 2) {
		memcpy(tag, accept.p, accept.n < 3 ? accept.n : 3);
		w = optout_find_words(tag);
	}
	return w != NULL ? w : &optout_languages[0];
}

static const struct optout_words *optout_words_of(const char *lang)
{
	const struct optout_words *w = optout_find_words(lang);

	return w != NULL ? w : &optout_languages[0];
}

/* How the store signs its mails: the name in `from`, else the address, else its id. */
static struct span optout_name(const struct shop *shop)
{
	struct span name = span_trim(span_of(shop->from));
	const char *open = name.n ? memchr(name.p, '<', name.n) : NULL;

	/* the address stands in the last brackets; a name may have some, too */
	for (const char *p = open; p != NULL; p = strchr(p + 1, '<'))
		open = p;
	if (open != NULL)
		name = span_trim((struct span){ name.p, (size_t)(open - name.p) });
	if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
		name = (struct span){ name.p + 1, name.n - 2 };
	return name.n > 0 ? name : span_of(shop->id);
}

/* ---- the door ---- */

/* Whose token it is; NULL: nobody's, and it has been answered. */
static const struct shop *optout_read(
	struct optout *o, struct http_request *req, struct arena *a, struct unsubscribe *ret)
{
	const struct access *access = o->env.access;

	if (unsubscribe_read(http_path_unescape(req->tail, a), span_of(o->key), a, ret))
		for (size_t i = 0; i < access->n_shops; i++)
			if (span_is(ret->shop, access->shops[i].id))
				return &access->shops[i];
	optout_show(req, 404, optout_words_of_browser(req), OPTOUT_UNKNOWN, SPAN(""));
	return NULL;
}

static void optout_on_get(void *arg, struct http_request *req)
{
	struct arena a = { 0 };
	struct unsubscribe u;
	const struct shop *shop = optout_read(arg, req, &a, &u);

	if (shop != NULL)
		optout_show(req, 200, optout_words_of(shop->lang), OPTOUT_ASK, optout_name(shop));
	arena_fini(&a);
}

/* The database is not there, or nobody judged it in time: whoever comes again hears the same. */
static void optout_on_fail(struct ask_job *job, int status)
{
	struct optout_call *c = job->user;

	optout_headers(job->req);
	if (status == 503)
		http_answer_header(job->req, "Retry-After", "60");
	buf_clear(&job->out);
	optout_write(&job->out, optout_words_of(c->lang), OPTOUT_LATER, SPAN(""));
	ask_answer(job, status, optout_html, buf_as_span(&job->out));
}

static void optout_on_judged(struct ask_job *job)
{
	struct optout_call *c = job->user;

	optout_headers(job->req);
	optout_write(&job->out, optout_words_of(c->lang), OPTOUT_DONE, c->name);
	ask_answer(job, 200, optout_html, buf_as_span(&job->out));
}

static void optout_on_row(void *arg, unsigned tag, const struct db_rows *rows)
{
	struct ask_job *job = arg;
	struct optout_call *c = job->user;

	(void)tag;
	if (db_rows_count(rows) > 0)
		c->inbox = db_rows_i64(rows, 0, 0);
}

static void optout_on_written(struct ask_job *job)
{
	struct optout_call *c = job->user;

	if (c->inbox != 0)
		ask_until_judged(job, c->inbox, optout_on_judged);
	else
		optout_on_judged(job);
}

/* Sends the inbox row. */
static void optout_write_row(struct ask_job *job, const struct unsubscribe *u)
{
	struct span channel = span_of(message_channel_name(u->channel));
	struct bind *b = ask_bind(job, SQL_API_UNSUBSCRIBE);
	struct buf data = { 0 };

	buf_str(&data, "{\"channel\":");
	json_put_text(&data, channel);
	buf_printf(&data, ",\"message_id\":\"%lld\"}", (long long)u->message);
	bind_i64(b, 0, u->customer);
	bind_key(b, 1, u->shop);
	bind_key(b, 2, channel);
	bind_key(b, 3, buf_as_span(&data));
	ask_send(job, optout_on_row, 0);
	ask_sync(job, optout_on_written);
	buf_free(&data);
}

static void optout_on_post(void *arg, struct http_request *req)
{
	struct optout *o = arg;
	struct arena a = { 0 };
	struct optout_call *c;
	struct unsubscribe u;
	struct ask_job *job;
	const struct shop *shop = optout_read(o, req, &a, &u);
	struct span name;

	if (shop == NULL) {
		arena_fini(&a);
		return;
	}
	if (!ask_has_room(o->env.ask)) {
		log_damped(LOG_LVL_WARNING, &o->lc, "could not take an unsubscription: %s",
			ask_is_up(o->env.ask) ? "too many at a time" : ask_why(o->env.ask));
		optout_show(req, 503, optout_words_of(shop->lang), OPTOUT_LATER, SPAN(""));
		arena_fini(&a);
		return;
	}
	job = ask_begin(o->env.ask, req, sizeof *c);
	c = job->user;
	name = optout_name(
		shop); /* copied: a reload may take the settings away before the answer */
	c->name = (struct span){ arena_dup(&job->arena, name.p, name.n), name.n };
	c->lang = arena_strdup(&job->arena, shop->lang);
	job->fail = optout_on_fail;
	optout_write_row(job, &u);
	arena_fini(&a);
}

static const struct http_route optout_table[] = {
	{ "GET", "/u/", true, 0, NULL, optout_on_get },
	{ "POST", "/u/", true, OPTOUT_BODY_MOST, NULL, optout_on_post },
};

struct optout *optout_open(const struct optout_env *env)
{
	struct optout *o = xcalloc(1, sizeof *o);

	o->env = *env;
	o->env.sign_key = NULL;
	o->key = xstrdup(env->sign_key);
	o->lc.room = "optout";
	return o;
}

void optout_add_routes(struct optout *o, struct http *server)
{
	http_add_routes(server, optout_table, sizeof optout_table / sizeof *optout_table, o);
}

void optout_set_key(struct optout *o, const char *sign_key)
{
	free(o->key);
	o->key = xstrdup(sign_key);
}

void optout_close(struct optout *o)
{
	if (o == NULL)
		return;
	free(o->key);
	free(o);
}
