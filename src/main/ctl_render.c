/*
 * ctl_render.c: `nudgectl render`: a message as it would go out, made by the courier's own renderer.
 *
 * Templates are those of the rule set that is current in the database, or with --templates the files of a
 * directory, so that they can be tried before a reload.  --send does not talk to the mail server: it puts one
 * message into the queue, for an address instead of the customer, and waits for what a courier makes of it; so
 * pauses, only_to and the guard of restored copies hold for it as for any other.
 */
#include "base/json.h"
#include "base/mem.h"
#include "base/now.h"
#include "courier/address.h"
#include "courier/render.h"
#include "main/ctl.h"
#include "main/ctl_customer.h"
#include "main/ctl_db.h"
#include "main/ctl_text.h"
#include "main/rule_files.h"
#include "main/settings.h"
#include "store/pg_int.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RENDER_SEND_PAUSE_US = 200000 };
static const int64_t RENDER_SEND_MOST_US = 60000000;

struct ctl_render {
	const char *template, *customer, *with, *lang, *send, *store, *templates_dir;
	const struct settings *s;
	const struct shop *shop;
	struct block *b;
	struct arena arena;
	struct claim claim;
	struct template_text *templates;
	size_t n_templates;
	const struct template_text *chosen;
};

/*** the template ***/

static bool render_read_current(struct ctl_render *r, struct err *err)
{
	const struct bind_reader reader = { .arena = &r->arena };
	struct db_rows *rows = NULL;

	if (!block_exec_plain(r->b, SQL_SET_READ_TEMPLATES, &rows, err))
		return false;
	r->n_templates = db_rows_count(rows);
	r->templates = arena_array(&r->arena, struct template_text, r->n_templates);
	for (size_t i = 0; i < r->n_templates; i++) {
		struct template_text *t = &r->templates[i];

		snprintf(t->hash, sizeof t->hash, "%.*s", SPAN_ARG(db_rows_text(rows, i, 0)));
		t->name = bind_copy(&reader, rows, i, 1);
		t->lang = bind_copy(&reader, rows, i, 2);
		t->body = bind_copy(&reader, rows, i, 3);
	}
	block_rows_free(rows);
	return true;
}

static bool render_read_files(struct ctl_render *r, struct err *err)
{
	struct rule_set set;

	if (!rule_files_read(r->s->nudged.rules_dir, r->templates_dir, &r->arena, &set, err))
		return false;
	r->templates = set.templates;
	r->n_templates = set.n_templates;
	return true;
}

/* The template in a language, or in that language without its region. */
static const struct template_text *render_in(const struct ctl_render *r, struct span lang)
{
	struct span plain = { lang.p, 0 };

	while (plain.n < lang.n && lang.p[plain.n] != '-' && lang.p[plain.n] != '_')
		plain.n++;
	for (int full = 1; full >= 0; full--)
		for (size_t i = 0; i < r->n_templates && lang.n; i++)
			if (span_is(r->templates[i].name, r->template) &&
				span_eq(r->templates[i].lang, full ? lang : plain))
				return &r->templates[i];
	return NULL;
}

/* RULES, Templates: the language asked for, the customer's, the store's, the first one there is. */
static bool render_choose(struct ctl_render *r, struct err *err)
{
	bool asked = r->lang != NULL;

	r->chosen = render_in(r, asked ? span_of(r->lang) : r->claim.card.text[CARD_LANG]);
	if (r->chosen == NULL && !asked)
		r->chosen = render_in(r, span_of(r->shop->lang));
	for (size_t i = 0; i < r->n_templates && r->chosen == NULL && !asked; i++)
		if (span_is(r->templates[i].name, r->template))
			r->chosen = &r->templates[i];
	if (r->chosen != NULL)
		return true;
	err_set(err, "there is no template \"%s\"%s%s", r->template, asked ? " in language " : "",
		asked ? r->lang : "");
	return r->templates_dir ? false
				: err_hint(err, "new ones are known after a reload; or name their "
						"directory: --templates DIR");
}

/*** the message ***/

/* {"event":{},"with":...} */
static bool render_data(struct ctl_render *r, struct err *err)
{
	struct span with = span_of(r->with ? r->with : "{}");
	struct json_fault fault;

	if (!json_check_all(with, &fault) || json_kind(with) != JSON_OBJECT) {
		err_set(err, "--with is no JSON object");
		return err_hint(err, "write for instance --with '{\"cart\":{\"total\":10}}'");
	}
	r->claim.m.data =
		span_of(arena_printf(&r->arena, "{\"event\":{},\"with\":%.*s}", SPAN_ARG(with)));
	return true;
}

/* Everything that a courier has after a claim. */
static bool render_prepare(struct ctl_render *r, struct err *err)
{
	struct claim *c = &r->claim;
	int64_t customer;

	if (!ctl_customer_find(r->b, r->shop, r->customer, &customer, err) ||
		!ctl_customer_card(r->b, customer, &r->arena, &c->card, err) ||
		!(r->templates_dir ? render_read_files(r, err) : render_read_current(r, err)) ||
		!render_choose(r, err))
		return false;
	c->now_us = clock_now_us();
	c->is_own = r->send == NULL;
	c->m.customer = customer;
	c->m.shop = r->shop;
	c->m.channel = CHANNEL_EMAIL;
	c->m.template_name = r->chosen->name;
	c->m.template_hash = span_of(r->chosen->hash);
	c->m.lang = r->chosen->lang;
	return render_data(r, err);
}

/*** showing ***/

/* Into a file as it is, to a terminal without what could steer it. */
static void render_text(struct span text)
{
	if (isatty(STDOUT_FILENO))
		ctl_text_block(stdout, text);
	else
		fwrite(text.p, 1, text.n, stdout);
}

static void render_part(const char *title, struct span text)
{
	printf("--- %s ---\n", title);
	render_text(text);
	if (text.n == 0 || text.p[text.n - 1] != '\n')
		putchar('\n');
}

static void render_head(const char *title, struct span text)
{
	printf("%s: ", title);
	ctl_text_line(stdout, text);
	putchar('\n');
}

static bool render_show(struct ctl_render *r, struct err *err)
{
	const struct render_options o = { r->s->nudged.public_url, r->s->nudged.sign_key };
	struct render *render = render_new();
	struct span to = r->claim.card.text[CARD_EMAIL];
	struct rendered out;
	bool ok = render_template(render, r->claim.m.template_hash, r->chosen->body, err) &&
		  render_message(render, &r->claim, &o, &r->arena, &out, err);

	if (ok) {
		render_head("To", to);
		render_head("Subject", out.subject);
		render_head("Language", r->chosen->lang);
		render_part("text", out.text);
		if (out.html.n)
			render_part("html", out.html);
	}
	render_free(render);
	return ok;
}

/*** sending ***/

/* A template out of a file is stored first: couriers know texts by their hash. */
static bool render_store_text(struct ctl_render *r, struct bind *bind, struct err *err)
{
	bind_begin(bind, SQL_SET_WRITE_TEMPLATES);
	bind_key(bind, 0, span_of(r->chosen->hash));
	bind_key(bind, 1, r->chosen->body);
	return block_exec(r->b, bind, NULL, err);
}

static bool render_queue_inside(
	struct ctl_render *r, struct bind *bind, int64_t *ret_id, struct err *err)
{
	const struct message *m = &r->claim.m;
	struct db_rows *rows = NULL;

	if (!render_store_text(r, bind, err))
		return false;
	bind_begin(bind, SQL_RENDER_SEND);
	bind_i64(bind, 0, m->customer);
	bind_text(bind, 1, span_of(r->shop->id));
	bind_text(bind, 2, m->template_name);
	bind_text(bind, 3, m->template_hash);
	bind_text(bind, 4, m->lang);
	bind_text(bind, 5, m->data);
	bind_text(bind, 6, span_of(r->send));
	bind_int(bind, 7, PG_NUMBER_BITS); /* a batch of its own */
	if (!block_exec(r->b, bind, &rows, err))
		return false;
	*ret_id = db_rows_i64(rows, 0, 0);
	block_rows_free(rows);
	return ctl_db_audit(r->b, "render send", r->template, NULL, err);
}

static bool render_queue(struct ctl_render *r, int64_t *ret_id, struct err *err)
{
	struct bind bind = { .n = 0 };
	bool ok;

	if (!ctl_db_begin_customer(r->b, r->claim.m.customer, err))
		return false;
	ok = render_queue_inside(r, &bind, ret_id, err);
	bind_fini(&bind);
	return ctl_db_end(r->b, ok, err);
}

/* *ret_over: it is sent; an error: it will not be. */
static bool render_look(struct ctl_render *r, int64_t id, bool *ret_over, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	struct span state, code, detail;
	bool ok;

	bind_begin(&bind, SQL_RENDER_STATE);
	bind_i64(&bind, 0, id);
	ok = block_exec(r->b, &bind, &rows, err);
	bind_fini(&bind);
	if (!ok)
		return false;
	state = db_rows_text(rows, 0, 0);
	code = db_rows_text(rows, 0, 1);
	detail = db_rows_text(rows, 0, 2);
	*ret_over = span_is(state, "sent");
	if (!*ret_over && !span_is(state, "ready") && !span_is(state, "sending"))
		ok = err_set(err, "the message is %.*s: %.*s %.*s", SPAN_ARG(state), SPAN_ARG(code),
			SPAN_ARG(detail));
	block_rows_free(rows);
	return ok;
}

/* Nobody took it: so it must not go out later, when nobody waits for it any more. */
static bool render_give_up(struct ctl_render *r, int64_t id, struct err *err)
{
	struct bind bind = { .n = 0 };
	bool ok;

	if (!ctl_db_begin_customer(r->b, r->claim.m.customer, err))
		return false;
	bind_begin(&bind, SQL_RENDER_DROP);
	bind_i64(&bind, 0, id);
	ok = block_exec(r->b, &bind, NULL, err);
	bind_fini(&bind);
	if (!ctl_db_end(r->b, ok, err))
		return false;
	err_set(err, "no courier has sent it within a minute; it is withdrawn");
	return err_hint(err, "is nudged running, and is anything paused?  See nudgectl status");
}

static bool render_send(struct ctl_render *r, struct err *err)
{
	int64_t until_us = clock_boot_us() + RENDER_SEND_MOST_US, id;
	bool over = false;

	if (!render_queue(r, &id, err))
		return false;
	while (clock_boot_us() < until_us) {
		if (!render_look(r, id, &over, err))
			return false;
		if (over) {
			printf("sent to %s as message %lld\n", r->send, (long long)id);
			return true;
		}
		usleep(RENDER_SEND_PAUSE_US);
	}
	return render_give_up(r, id, err);
}

/*** the command ***/

static bool render_options(int argc, char **argv, struct ctl_render *r)
{
	static const struct option options[] = { { "customer", required_argument, NULL, 'c' },
		{ "with", required_argument, NULL, 'w' }, { "lang", required_argument, NULL, 'l' },
		{ "send", required_argument, NULL, 's' }, { "store", required_argument, NULL, 'o' },
		{ "templates", required_argument, NULL, 't' }, { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'c': r->customer = optarg; break;
		case 'w': r->with = optarg; break;
		case 'l': r->lang = optarg; break;
		case 's': r->send = optarg; break;
		case 'o': r->store = optarg; break;
		case 't': r->templates_dir = optarg; break;
		default: return false;
		}
	if (optind != argc - 1 || r->customer == NULL)
		return false;
	r->template = argv[optind];
	return true;
}

int ctl_render(const struct ctl_env *env, int argc, char **argv)
{
	struct ctl_render r = { .s = env->settings };
	struct err err = { 0 };
	bool ok;

	if (!render_options(argc, argv, &r))
		return ctl_usage("render");
	if ((r.send != NULL && !address_check(span_of(r.send), &err)) ||
		(r.shop = ctl_customer_shop(r.s, r.store, &err)) == NULL ||
		(r.b = ctl_db_open(env, &err)) == NULL)
		return ctl_fail("render", &err);
	ok = render_prepare(&r, &err) && render_show(&r, &err) &&
	     (r.send == NULL || render_send(&r, &err));
	block_close(r.b);
	arena_fini(&r.arena);
	return ok ? CTL_OK : ctl_fail("render", &err);
}
