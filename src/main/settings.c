/* settings.c: the table's raw values, made into what the daemon works with.
 *
 * conf reads; here stand the things that only show between options: names that refer to other
 * sections, tokens used twice, limits that contradict each other.  All of them are complained of at
 * their place in the file, together with what conf found.  A configuration is either whole or refused;
 * there is no half-applied one. */
#include "main/settings.h"

#include "base/mem.h"
#include "main/settings_check.h"
#include "main/settings_table.h"

#include <stdlib.h>
#include <string.h>

/* "always": for stores without working hours */
static const struct shop_span settings_whole_day = { 0, 24 * 60 };

static void *settings_alloc(struct settings *s, size_t n, size_t size)
{
	return conf_alloc(s->conf, (n + 1) * size);
}

static const struct shop_calendar *settings_calendar(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->ncalendars; i++)
		if (strcmp(s->calendars[i].name, name) == 0)
			return &s->calendars[i];
	return NULL;
}

static int settings_cmp_day(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return x < y ? -1 : x > y;
}

/* Makes a calendar of one section; its texts have been checked already. */
static void settings_add_calendar(struct settings *s, struct shop_calendar *c, const char *name,
	const struct raw_calendar *raw)
{
	int32_t *days = settings_alloc(s, raw->holidays.n, sizeof *days);
	struct err err;
	bool ok = true;

	c->name = name;
	for (size_t i = 0; i < SHOP_DAYS; i++)
		ok = settings_parse_day(raw->days[i], &c->days[i], &err) && ok;
	for (size_t i = 0; i < raw->holidays.n; i++)
		ok = settings_parse_date(raw->holidays.v[i], &days[i], &err) && ok;
	if (!ok)
		return; /* conf has told */
	qsort(days, raw->holidays.n, sizeof *days, settings_cmp_day);
	c->holidays = days;
	c->nholidays = raw->holidays.n;
}

static void settings_add_calendars(struct settings *s)
{
	size_t n = conf_count(s->conf, "calendar");
	struct shop_calendar *v = settings_alloc(s, n + 1, sizeof *v);
	const char *name;

	v[0].name = "always";
	for (size_t i = 0; i < SHOP_DAYS; i++) {
		v[0].days[i].spans[0] = settings_whole_day;
		v[0].days[i].nspans = 1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct raw_calendar *raw = conf_named(s->conf, "calendar", i, &name);

		settings_add_calendar(s, &v[i + 1], name, raw);
		if (strcmp(name, "always") == 0)
			conf_complain(s->conf, "calendar", name, "mon",
				"the name \"always\" is taken by the calendar that has no end of work");
	}
	s->calendars = v;
	s->ncalendars = n + 1;
}

/* The calendar that an option names; NULL when it names none. */
static const struct shop_calendar *settings_find_calendar(
	struct settings *s, const char *section, const char *name, const char *calendar)
{
	const struct shop_calendar *c = *calendar ? settings_calendar(s, calendar) : NULL;

	if (*calendar && c == NULL)
		conf_complain(s->conf, section, name, "calendar",
			"there is no section [calendar %s]", calendar);
	return c;
}

/* A token opens one store only. */
static void settings_check_token_is_new(
	struct settings *s, const char *name, const struct shop_token *t)
{
	for (size_t i = 0; i < s->nshops; i++)
		for (size_t j = 0; j < s->shops[i].ntokens; j++)
			if (memcmp(s->shops[i].tokens[j].hash, t->hash, sizeof t->hash) == 0)
				conf_complain(s->conf, "store", name, "tokens",
					"a token of store \"%s\" stands here again",
					s->shops[i].id);
	if (s->has_admin && memcmp(s->admin_hash, t->hash, sizeof t->hash) == 0)
		conf_complain(
			s->conf, "store", name, "tokens", "the admin's token stands here again");
}

static void settings_add_shop(
	struct settings *s, struct shop *shop, const char *name, const struct raw_store *raw)
{
	struct shop_token *tokens = settings_alloc(s, raw->tokens.n, sizeof *tokens);
	struct err err;

	*shop = (struct shop){ .id = name,
		.base = *raw->base ? raw->base : name,
		.zone = raw->zone,
		.lang = raw->lang,
		.currency = raw->currency,
		.country = raw->country,
		.from = *raw->from ? raw->from : s->mail.from,
		.reply_to = raw->reply_to };
	for (size_t i = 0; i < raw->consent_default.n; i++) {
		const char *class = raw->consent_default.v[i];

		shop->consent_transactional |= strcmp(class, "transactional") == 0;
		shop->consent_marketing |= strcmp(class, "marketing") == 0;
		shop->consent_bulk |= strcmp(class, "bulk") == 0;
	}
	shop->calendar = settings_find_calendar(s, "store", name, raw->calendar);
	if (shop->calendar == NULL)
		shop->calendar = &s->calendars[0];
	for (size_t i = 0; i < raw->tokens.n; i++) {
		if (!settings_parse_token(raw->tokens.v[i], &tokens[shop->ntokens], &err))
			return; /* conf has told */
		settings_check_token_is_new(s, name, &tokens[shop->ntokens++]);
	}
	shop->tokens = tokens;
}

static void settings_add_shops(struct settings *s)
{
	size_t n = conf_count(s->conf, "store");
	struct shop *v = settings_alloc(s, n, sizeof *v);
	const char *name;

	s->shops = v;
	for (size_t i = 0; i < n; i++) {
		const struct raw_store *raw = conf_named(s->conf, "store", i, &name);

		settings_add_shop(s, &v[i], name, raw);
		s->nshops++;
	}
	for (size_t i = 0; i < s->mqtt.stores.n; i++)
		if (settings_shop(s, span_of(s->mqtt.stores.v[i])) == NULL)
			conf_complain(s->conf, "mqtt", NULL, "stores",
				"there is no section [store %s]", s->mqtt.stores.v[i]);
}

static void settings_add_groups(struct settings *s)
{
	size_t n = conf_count(s->conf, "group");
	struct staff_group *v = settings_alloc(s, n, sizeof *v);
	const char *name;

	for (size_t i = 0; i < n; i++) {
		const struct raw_group *raw = conf_named(s->conf, "group", i, &name);

		v[i] = (struct staff_group){ name, raw->email,
			settings_find_calendar(s, "group", name, raw->calendar) };
	}
	s->staff.groups = v;
	s->staff.ngroups = n;
}

static bool settings_has_group(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->staff.ngroups; i++)
		if (strcmp(s->staff.groups[i].name, name) == 0)
			return true;
	return false;
}

static void settings_add_managers(struct settings *s)
{
	size_t n = conf_count(s->conf, "manager");
	struct staff_manager *v = settings_alloc(s, n, sizeof *v);
	const char *name;

	for (size_t i = 0; i < n; i++) {
		const struct raw_manager *raw = conf_named(s->conf, "manager", i, &name);

		v[i] = (struct staff_manager){ name, raw->email, raw->phone, raw->groups.v,
			raw->groups.n, raw->head };
		for (size_t j = 0; j < raw->groups.n; j++)
			if (!settings_has_group(s, raw->groups.v[j]))
				conf_complain(s->conf, "manager", name, "groups",
					"there is no section [group %s]", raw->groups.v[j]);
		if (settings_has_group(s, name))
			conf_complain(s->conf, "manager", name, "email",
				"a group is called \"%s\" too; rules could not tell them apart",
				name);
	}
	s->staff.managers = v;
	s->staff.nmanagers = n;
}

static void settings_add_listen(struct settings *s)
{
	struct settings_address *v = settings_alloc(s, s->nudged.listen.n, sizeof *v);
	struct err err;

	for (size_t i = 0; i < s->nudged.listen.n; i++)
		if (settings_parse_address(s->nudged.listen.v[i], &v[s->nlisten], &err))
			s->nlisten++;
	s->listen = v;
}

/* What contradicts itself between two options of fixed sections. */
static void settings_check_pairs(struct settings *s)
{
	const struct settings_limits *l = &s->limits;

	if (l->chains_warn > l->chains)
		conf_complain(s->conf, "limits", NULL, "chains_warn", "is more than \"chains\"");
	if (l->history_warn_bytes > l->history_bytes)
		conf_complain(s->conf, "limits", NULL, "history_warn", "is more than \"history\"");
	if (l->batch_events > l->queue_events)
		conf_complain(
			s->conf, "limits", NULL, "queue_events", "is less than \"batch_events\"");
	if (l->event_bytes > l->batch_bytes)
		conf_complain(
			s->conf, "limits", NULL, "batch_bytes", "is less than \"event_bytes\"");
	if (s->mail.retry_us > s->mail.retry_most_us)
		conf_complain(s->conf, "mail", NULL, "retry_most", "is less than \"retry\"");
	if (s->publish.retry_us > s->publish.retry_most_us)
		conf_complain(s->conf, "publish", NULL, "retry_most", "is less than \"retry\"");
	if (s->publish.couriers && *s->mqtt.host == '\0')
		conf_complain(
			s->conf, "publish", NULL, "couriers", "needs \"host\" in section [mqtt]");
	if (!*s->mqtt.tls_cert != !*s->mqtt.tls_key)
		conf_complain(s->conf, "mqtt", NULL, *s->mqtt.tls_cert ? "tls_cert" : "tls_key",
			"\"tls_cert\" and \"tls_key\" belong together");
	if (*s->mail.user && s->mail.starttls == STARTTLS_NO &&
		strcmp(s->mail.host, "localhost") != 0)
		conf_complain(s->conf, "mail", NULL, "starttls",
			"would send the password unencrypted to \"%s\"", s->mail.host);
	if (s->keep.events == 1)
		conf_complain(s->conf, "keep", NULL, "events",
			"must be at least \"2 months\": duplicates are known by the events of 31 days");
}

static void settings_on_kept(void *arg, const char *section, const char *key)
{
	struct buf *b = arg;

	buf_printf(b, "%s[%s] %s", b->n ? ", " : "", section, key);
}

/* Options that change at restart only keep their values. */
static void settings_keep_fixed(struct settings *s, const struct settings *old)
{
	struct buf b = { 0 };

	conf_keep_fixed(s->conf, old->conf, settings_on_kept, &b);
	if (b.n)
		s->kept = memcpy(conf_alloc(s->conf, b.n + 1), b.p, b.n + 1);
	buf_free(&b);
}

/* Moves the mistakes out of the conf. */
static void settings_give_problems(const struct conf *c, struct settings_problems *ret)
{
	const struct err *e = conf_problems(c, &ret->n);

	ret->v = xcalloc(ret->n + 1, sizeof *ret->v);
	for (size_t i = 0; i < ret->n; i++)
		ret->v[i] = e[i];
}

struct settings *settings_read(
	const char *path, const struct settings *old, struct settings_problems *problems)
{
	return settings_read_text(path, NULL, old, problems);
}

const char *settings_text(const struct settings *s)
{
	const char *text = conf_text(s->conf);

	return text ? text : "";
}

struct settings *settings_read_text(const char *path, const char *text, const struct settings *old,
	struct settings_problems *problems)
{
	struct settings *s = xcalloc(1, sizeof *s);
	struct err err;
	size_t n;

	s->conf = conf_read_text(settings_schema(), path, text, s);
	s->path = path ? memcpy(conf_alloc(s->conf, strlen(path) + 1), path, strlen(path) + 1) : "";
	s->kept = "";
	conf_problems(s->conf, &n);
	if (n == 0 && old)
		settings_keep_fixed(s, old);
	s->has_admin = *s->nudged.admin_token && n == 0 &&
		       settings_parse_hash(s->nudged.admin_token, '\0', s->admin_hash, &err);
	settings_add_listen(s);
	settings_add_calendars(s);
	settings_add_shops(s);
	settings_add_groups(s);
	settings_add_managers(s);
	settings_check_pairs(s);
	conf_problems(s->conf, &n);
	if (n == 0)
		return s;
	settings_give_problems(s->conf, problems);
	settings_free(s);
	return NULL;
}

void settings_problems_free(struct settings_problems *p)
{
	free(p->v);
	*p = (struct settings_problems){ 0 };
}

void settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	conf_free(s->conf);
	free(s);
}

enum log_level settings_log_level(const struct settings *s)
{
	return (enum log_level)(LOG_LVL_ERROR + s->nudged.log_level);
}

const struct shop *settings_shop(const struct settings *s, struct span id)
{
	for (size_t i = 0; i < s->nshops; i++)
		if (span_is(id, s->shops[i].id))
			return &s->shops[i];
	return NULL;
}

void settings_show(const struct settings *s, unsigned flags, struct buf *out)
{
	conf_show(s->conf, flags, out);
}

void settings_show_defaults(unsigned flags, struct buf *out)
{
	struct settings *s = xcalloc(1, sizeof *s);
	struct conf *c = conf_read(settings_schema(), NULL, s);

	conf_show(c, flags | CONF_SHOW_NAMES, out);
	conf_free(c);
	free(s);
}
