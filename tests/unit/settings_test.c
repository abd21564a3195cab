/* settings_test.c: the option table agrees with itself, and files give what the daemon works with */
#include "main/settings.h"
#include "main/settings_check.h"
#include "main/settings_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define HASH2 "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

static char path[64];

static struct settings *read_text(
	const char *text, const struct settings *old, struct settings_problems *p)
{
	FILE *f;
	struct settings *s;

	snprintf(path, sizeof path, "settings_test.%d.conf", (int)getpid());
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	s = settings_read(path, old, p);
	unlink(path);
	return s;
}

static struct settings *must_read(const char *text, const struct settings *old)
{
	struct settings_problems p = { 0 };
	struct settings *s = read_text(text, old, &p);

	if (s == NULL)
		fail_msg("%s", p.v[0].text);
	return s;
}

/* Expects exactly one mistake. */
static void must_fail(const char *text, const char *want)
{
	struct settings_problems p = { 0 };
	struct settings *s = read_text(text, NULL, &p);

	if (s)
		fail_msg("was accepted: %s", text);
	if (strstr(p.v[0].text, want) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", want, p.v[0].text);
	if (p.n != 1)
		fail_msg("one too many: %s", p.v[1].text);
	settings_problems_free(&p);
}

static void test_table(void **state)
{
	const struct conf_schema *schema = settings_schema();
	const struct conf_key *k = schema->keys;

	(void)state;
	for (; k->section; k++) {
		const struct conf_section *sec = schema->sections;

		while (sec->name && strcmp(sec->name, k->section) != 0)
			sec++;
		assert_non_null(sec->name);
		assert_true(k->help && strlen(k->help) > 3);
		for (const struct conf_key *other = schema->keys; other < k; other++)
			if (strcmp(other->section, k->section) == 0)
				assert_string_not_equal(other->name, k->name);
		if (k > schema->keys && strcmp(k[-1].section, k->section) == 0 &&
			strcmp(k->section, "calendar") != 0 && strcmp(k[-1].name, k->name) > 0)
			fail_msg("%s.%s is not in order", k->section, k->name);
		if ((k->type == CONF_ENUM) != (k->words != NULL))
			fail_msg("%s.%s: words belong to an enum", k->section, k->name);
	}
}

static void test_defaults(void **state)
{
	struct settings_problems p = { 0 };
	struct settings *s = settings_read(NULL, NULL, &p);
	struct buf b = { 0 };

	(void)state;
	assert_non_null(s);
	assert_int_equal(s->nudged.engines, 1);
	assert_int_equal(s->limits.batch, 200);
	assert_int_equal(s->limits.batch_events, 500);
	assert_true(s->limits.event_bytes == 65536);
	assert_true(s->limits.queue_bytes == 32 << 20);
	assert_true(s->limits.judge_us == 200000);
	assert_int_equal(s->http.connections, 2000);
	assert_true(s->http.head_timeout_us == 5000000);
	assert_int_equal(s->keep.events, 13);
	assert_int_equal(s->keep.audit, 0);
	assert_int_equal(s->mail.starttls, STARTTLS_IF_OFFERED);
	assert_int_equal(settings_log_level(s), LOG_LVL_INFO);
	assert_int_equal(s->nshops, 0);
	assert_false(s->has_admin);
	assert_int_equal(s->nlisten, 1);
	settings_show(s, 0, &b);
	assert_null(strstr(b.p, "dbname=nudged")); /* a DSN may hold a password */
	assert_non_null(strstr(b.p, "[limits]\nbatch = 200\n"));
	buf_free(&b);
	settings_free(s);
}

static void test_store(void **state)
{
	struct settings *s =
		must_read("[nudged]\nadmin_token = " HASH "\n[store toys]\nbase = all\n"
			  "zone = Europe/Berlin\nlanguage = de\ncountry = DE\n"
			  "from = Toys <toys@example.com>\nconsent_default = transactional bulk\n"
			  "tokens = " HASH2 ":events+read\ncalendar = office\n[store plain]\n"
			  "[mail]\nfrom = we@example.com\n"
			  "[calendar office]\nmon = 09:00-13:00 14:00-18:30\nfri =\n"
			  "holidays = 2026-12-26 2026-12-25\n",
			NULL);
	const struct shop *toys = settings_shop(s, SPAN("toys")),
			  *plain = settings_shop(s, SPAN("plain"));

	(void)state;
	assert_true(s->has_admin);
	assert_int_equal(s->admin_hash[0], 0x9f);
	assert_int_equal(s->nshops, 2);
	assert_string_equal(toys->base, "all");
	assert_string_equal(toys->zone, "Europe/Berlin");
	assert_string_equal(toys->from, "Toys <toys@example.com>");
	assert_true(toys->consent_transactional && toys->consent_bulk && !toys->consent_marketing);
	assert_int_equal(toys->ntokens, 1);
	assert_int_equal(toys->tokens[0].hash[31], 0x52);
	assert_int_equal(toys->tokens[0].scopes, SHOP_MAY_POST | SHOP_MAY_READ);
	assert_string_equal(toys->calendar->name, "office");
	assert_int_equal(toys->calendar->days[0].nspans, 2);
	assert_int_equal(toys->calendar->days[0].spans[1].to_min, 18 * 60 + 30);
	assert_int_equal(toys->calendar->days[4].nspans, 0);
	assert_int_equal(toys->calendar->nholidays, 2);
	assert_int_equal(toys->calendar->holidays[0], 20812); /* 2026-12-25 */
	assert_string_equal(plain->base, "plain");
	assert_string_equal(plain->from, "we@example.com");
	assert_true(plain->consent_transactional && !plain->consent_bulk);
	assert_string_equal(plain->calendar->name, "always");
	assert_int_equal(plain->calendar->days[6].spans[0].to_min, 1440);
	assert_null(settings_shop(s, SPAN("toy")));
	settings_free(s);
}

static void test_staff(void **state)
{
	struct settings *s =
		must_read("[manager anna]\nemail = anna@example.com\nphone = +4917012345\n"
			  "groups = sales senior\nhead = yes\n[group sales]\ncalendar = day\n"
			  "[group senior]\n[calendar day]\n",
			NULL);

	(void)state;
	assert_int_equal(s->staff.nmanagers, 1);
	assert_string_equal(s->staff.managers[0].groups[1], "senior");
	assert_true(s->staff.managers[0].head);
	assert_string_equal(s->staff.groups[0].calendar->name, "day");
	assert_null(s->staff.groups[1].calendar);
	settings_free(s);
}

static void test_listen(void **state)
{
	struct settings *s =
		must_read("[nudged]\nlisten = 127.0.0.1:8080, [::1]:81 /run/x.sock\n", NULL);

	(void)state;
	assert_int_equal(s->nlisten, 3);
	assert_int_equal(s->listen[0].addr.ss_family, AF_INET);
	assert_int_equal(((const struct sockaddr_in *)&s->listen[0].addr)->sin_port, htons(8080));
	assert_int_equal(s->listen[1].addr.ss_family, AF_INET6);
	assert_int_equal(((const struct sockaddr_in6 *)&s->listen[1].addr)->sin6_port, htons(81));
	assert_string_equal(
		((const struct sockaddr_un *)&s->listen[2].addr)->sun_path, "/run/x.sock");
	settings_free(s);
	must_fail("[nudged]\nlisten = localhost:80\n", "\"localhost:80\": is not an address");
	must_fail("[nudged]\nlisten = ::1:80\n", "is not an address");
	must_fail("[nudged]\nlisten = 127.0.0.1:0\n", "is not an address");
	must_fail("[nudged]\nlisten = 127.0.0.1:65536\n", "is not an address");
	must_fail("[nudged]\nlisten = []:1\n", "is not an address");
}

static void test_contradictions(void **state)
{
	(void)state;
	must_fail("[store a]\ntokens = " HASH "\n[store b]\ntokens = " HASH "\n",
		":4: option \"tokens\" in section [store b]: a token of store \"a\" stands here again");
	must_fail("[nudged]\nadmin_token = " HASH "\n[store b]\ntokens = " HASH "\n",
		"the admin's token");
	must_fail("[store a]\ncalendar = x\n",
		":2: option \"calendar\" in section [store a]: there is no "
		"section [calendar x]");
	must_fail("[manager a]\ngroups = x\n", "there is no section [group x]");
	must_fail("[mqtt]\nstores = x\n", "there is no section [store x]");
	must_fail("[limits]\nchains_warn = 501\n", "is more than \"chains\"");
	must_fail("[publish]\ncouriers = 1\n", "needs \"host\" in section [mqtt]");
	must_fail("[mail]\nuser = u\nhost = mx.example.com\nstarttls = no\n", "unencrypted");
	must_fail("[keep]\nevents = 1 month\n", "2 months");
	must_fail("[calendar always]\n", "is taken");
}

static void test_bad_texts(void **state)
{
	(void)state;
	must_fail("[store a]\nzone = Europe/Brelin\n", "\"Europe/Brelin\": is not a time zone");
	must_fail("[store a]\nzone = ../../../etc/passwd\n", "is not a time zone");
	must_fail("[store a]\ntokens = secret\n", "sha256sum");
	must_fail("[store a]\ntokens = " HASH ":evnts\n", "unknown scope \"evnts\"");
	must_fail("[store a]\ncountry = de\n", "capital");
	must_fail("[store a]\ncurrency = euro\n", "capital");
	must_fail("[store a]\nlanguage = Deutsch\n", "is not a language");
	must_fail("[store a]\nfrom = nobody\n", "is not an address");
	must_fail("[store a]\nconsent_default = all\n", "is not one of");
	must_fail("[calendar a]\nmon = 9-18\n", "is not working hours");
	must_fail("[calendar a]\nmon = 14:00-18:00 09:00-13:00\n", "must go forward");
	must_fail("[calendar a]\nholidays = 2026-02-29\n", "does not exist");
	must_fail("[http]\ntrusted = 10.0.0.0/33\n", "is neither an address nor a network");
	must_fail("[nudged]\npublic_url = https://x/\n", "slash");
	must_fail("[nudged]\nsign_key = short\n", "the secret is shorter than 16");
	must_fail("[mail]\nonly_to = example.com\n", "neither");
	must_fail("[manager a]\nphone = 0170\n", "phone number");
	must_fail("[mqtt]\ntopic = a/b\n", "one level");
	must_fail("[nudged]\nengines = 0\n", "must be between 1 and 64, not 0");
}

static void test_reload_keeps_fixed(void **state)
{
	struct settings *old = must_read("[nudged]\nengines = 2\nlog_level = info\n", NULL);
	struct settings *s = must_read("[nudged]\nengines = 3\nlog_level = debug\n", old);

	(void)state;
	assert_int_equal(s->nudged.engines, 2);
	assert_string_equal(s->kept, "[nudged] engines");
	assert_string_equal(old->kept, "");
	assert_int_equal(settings_log_level(s), LOG_LVL_DEBUG);
	settings_free(old);
	settings_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_staff),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_reload_keeps_fixed),
	};

	log_open("settings_test", LOG_LOGFMT, LOG_LVL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
