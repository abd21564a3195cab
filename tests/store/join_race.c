/*
 * join_race.c: engines that join the cards of the same twenty people against each other, against timers and against
 * a courier, in a real Postgres; afterwards nothing is lost, nothing is there twice, nobody waited in a circle.
 *
 * Four processes with two lanes each post events with any of a person's keys, so cards are made for each key and joined
 * whenever an event brings two of them; some events are posted by all processes.  A person's id and his address
 * are two known people until customer.merged says otherwise.  A fifth process takes messages and records them
 * as sent.  Wants NUDGED_TEST_DSN (tests/store/run_pg.sh).
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/now.h"
#include "db/block.h"
#include "db/schema.h"
#include "engine/judge.h"
#include "intake/admit.h"
#include "intake/flow.h"
#include "model/shop.h"
#include "store/pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ENGINES = 4,
	LANES = 2,
	PEOPLE = 20,
	BROWSERS = 3,
	ORDERS = 6,
	OPEN_MOST = 30,
	RACE_US = 3000000,
	SETTLE_US = 12000000
};

static const char rules[] =
	"rule \"once\" { on = \"page.viewed\", class = \"transactional\", mode = \"single\",\n"
	"  run = function() wait \"1s\"; email { template = \"hi\" } end }\n"
	"rule \"each\" { on = \"order.placed\", mode = \"parallel\", run = function() wait \"1s\" end }\n"
	"rule \"told\" { on = \"customer.merged\", mode = \"parallel\", run = function() end }\n";

static const char *dsn;
static const struct shop_calendar calendar = { .name = "" };
static const struct shop shop = { .id = "north",
	.base = "base",
	.zone = "UTC",
	.lang = "en",
	.currency = "EUR",
	.country = "DE",
	.from = "",
	.reply_to = "",
	.consent_transactional = true,
	.calendar = &calendar };

/* One process with a flow. */
static struct engine {
	struct loop *loop;
	struct store *store;
	struct flow *flow;
	struct loop_timer *timer;
	unsigned random;
	int number, n_sent, n_open;
	int64_t until_us;
	bool final;
	long accepted, others;
} engine;

struct post { /* a ticket of one event, with its memory */
	struct event_ticket ticket;
	struct shop_event event;
	struct arena arena;
};

static void fail(const char *what)
{
	fprintf(stderr, "join_race: %s\n", what);
	exit(1);
}

/*** SQL beside it ***/

static struct block *open_block(void)
{
	struct err err = { 0 };
	struct block *b = block_open(dsn, "test", BLOCK_CHECKED, 20000, &err);

	if (b == NULL)
		fail(err.text);
	return b;
}

/* The first row's first two columns, as numbers; false: no row. */
static bool ask(struct block *b, const char *sql, long ret[2])
{
	struct db_rows *rows = NULL;
	struct err err = { 0 };
	char text[40];
	bool found;

	if (!block_script(b, sql, &rows, &err))
		fail(err.text);
	found = db_rows_count(rows) > 0;
	for (unsigned i = 0; found && i < 2; i++) {
		snprintf(text, sizeof text, "%.*s", SPAN_ARG(db_rows_text(rows, 0, i)));
		ret[i] = atol(text);
	}
	block_rows_free(rows);
	return found;
}

/*** a courier ***/

/* Claims one message under its customer's lock and records it as sent, as courier/claim does. */
static void courier_turn(struct block *b)
{
	long message[2], got[2];
	char sql[600];

	if (!ask(b, "select id, customer from message where state = 'ready' order by random() limit 1",
		    message)) {
		usleep(2000);
		return;
	}
	snprintf(sql, sizeof sql,
		"begin; select id, merged_into from customer where id = %ld "
		"for no key update skip locked",
		message[1]);
	if (ask(b, sql, got)) {
		snprintf(sql, sizeof sql,
			"update message set state = 'sending', owner_pid = pg_backend_pid(), owner_start = "
			"(select backend_start from pg_stat_get_activity(pg_backend_pid())) "
			"where id = %ld and customer = %ld and state = 'ready' returning id, customer",
			message[0], message[1]);
		got[0] = 0;
		ask(b, sql, got);
		ask(b, "commit", message);
		if (got[0] == 0)
			return;
		usleep((unsigned)(random() % 3000));
		snprintf(sql, sizeof sql,
			"with u as (update message set state = 'sent' where id = %ld "
			"and state = 'sending' returning customer, store), "
			"i as (insert into inbox (customer, store, type, data) "
			"select coalesce(nullif(c.merged_into, 0), u.customer), u.store, 'message.sent', "
			"'{\"message_id\":\"%ld\"}' from u left join customer c on c.id = u.customer) "
			"select count(*), 1 from u",
			got[0], got[0]);
		ask(b, sql, got);
		if (got[0] != 1)
			fail("a message that was being sent was touched");
	} else {
		ask(b, "commit", got);
	}
}

/* Also tells the inbox what it knows by a number that may be outdated. */
static void courier_run(void)
{
	struct block *b = open_block();
	int64_t until_us = clock_boot_us() + RACE_US + SETTLE_US / 2;
	long card[2];
	char sql[300];

	for (int n = 0; clock_boot_us() < until_us; n++) {
		courier_turn(b);
		if (n % 16 != 0 ||
			!ask(b, "select id, 0 from customer order by random() limit 1", card))
			continue;
		snprintf(sql, sizeof sql,
			"insert into inbox (customer, store, type, data) values (%ld, 'north', 'news', '{}')",
			card[0]);
		ask(b, sql, card);
	}
	block_close(b);
}

/*** an engine ***/

static int64_t engine_boot_us(void *arg)
{
	(void)arg;
	return clock_boot_us();
}

static int64_t engine_wall_us(void *arg)
{
	(void)arg;
	return clock_now_us();
}

static void engine_poke(void *arg, unsigned channels)
{
	(void)arg;
	(void)channels;
}

static void engine_on_turn(void *arg);

static void engine_want_turn(void *arg)
{
	(void)arg;
	loop_at_turn_end(engine.loop, LOOP_FORM, engine_on_turn, NULL);
}

static unsigned pick(unsigned below)
{
	engine.random = engine.random * 1664525 + 1013904223;
	return (engine.random >> 16) % below;
}

static void post_done(struct event_ticket *t)
{
	struct post *p = t->owner;

	if (p->event.status == EVENT_ACCEPTED)
		engine.accepted++;
	else if (p->event.status == EVENT_DUPLICATE)
		engine.others++;
	else
		fail(p->event.reason ? p->event.reason : event_status_name(p->event.status));
	engine.n_open--;
	arena_fini(&p->arena);
	free(p);
	engine_want_turn(NULL);
}

/* Posts an event; data is the inside of an object. */
static void post(const char *id, const char *type, const char *data)
{
	struct post *p = xcalloc(1, sizeof *p);
	struct admit_envelope env = { .shop = &shop };

	env.id = span_of(arena_strdup(&p->arena, id));
	env.source = SPAN("");
	env.type = span_of(arena_strdup(&p->arena, type));
	env.data = span_of(arena_printf(&p->arena, "{%s}", data));
	if (!admit_event(&p->event, &env, ADMIT_INTERNAL, clock_now_us(), &p->arena))
		fail(p->event.reason);
	p->ticket =
		(struct event_ticket){ .events = &p->event, .n = 1, .done = post_done, .owner = p };
	engine.n_open++;
	engine.n_sent++;
	flow_submit(engine.flow, &p->ticket);
}

/* A page, seen by some of a person's keys; its own of each process. */
static void post_page(unsigned who)
{
	char id[60], data[300];
	unsigned keys = pick(7) + 1, browser = pick(BROWSERS);

	snprintf(id, sizeof id, "page-%d-%d", engine.number, engine.n_sent);
	snprintf(data, sizeof data, "\"customer\":{\"x\":0%s%u%s%s%u%s%s%u-%u%s}",
		keys & 1 ? ",\"id\":\"p" : ",\"x1\":\"", who, "\"",
		keys & 2 ? ",\"email\":\"p" : ",\"x2\":\"", who, keys & 2 ? "@x.de\"" : "\"",
		keys & 4 ? ",\"anonymous_id\":\"b" : ",\"x3\":\"", who, browser, "\"");
	post(id, "page.viewed", data);
}

/* An order, by itself, with the address, or with a browser that is used for orders only (one that belongs to
 * the card of the id would make it an order of two known people, until customer.merged): the same in all
 * processes. */
static void post_order(unsigned who, unsigned n)
{
	char id[60], data[300], customer[100];

	snprintf(customer, sizeof customer,
		n % 3 == 0   ? "\"x\":%u"
		: n % 3 == 1 ? "\"email\":\"p%u@x.de\""
			     : "\"anonymous_id\":\"c%u\"",
		who);
	snprintf(id, sizeof id, "order-%u-%u", who, n);
	snprintf(data, sizeof data, "\"customer\":{%s},\"order_id\":\"o%u-%u\",\"total\":10",
		customer, who, n);
	post(id, "order.placed", data);
}

/* Its address becomes known. */
static void post_update(unsigned who, unsigned n)
{
	char id[60], data[300];

	snprintf(id, sizeof id, engine.final ? "final-update-%u-%u" : "update-%u-%u", who, n);
	snprintf(data, sizeof data,
		"\"customer\":{\"email\":\"p%u@x.de\",\"anonymous_id\":\"c%u\"},"
		"\"order_id\":\"o%u-%u\",\"status\":\"packed\"",
		who, who, who, n);
	post(id, "order.updated", data);
}

static void post_merged(unsigned who, unsigned n)
{
	char id[60], data[200];

	snprintf(id, sizeof id, "merged-%u-%u", who, n);
	snprintf(data, sizeof data, "\"customer\":{\"id\":\"p%u\"},\"previous_id\":\"p%u@x.de\"",
		who, who);
	post(id, "customer.merged", data);
}

static void post_any(void)
{
	unsigned who = pick(PEOPLE), what = pick(100);

	if (what < 60)
		post_page(who);
	else if (what < 80)
		post_order(who, pick(ORDERS));
	else if (what < 97)
		post_update(who, pick(ORDERS));
	else
		post_merged(who, pick(50));
}

/* Once more everything that joins: what a race left apart is found by the next event with both keys. */
static void post_final(unsigned who)
{
	char id[60], data[300];

	post_merged(who, 1000);
	for (unsigned i = 0; i < BROWSERS; i++) {
		snprintf(id, sizeof id, "final-%u-%u", who, i);
		snprintf(data, sizeof data,
			"\"customer\":{\"id\":\"p%u\",\"anonymous_id\":\"b%u-%u\"}", who, who, i);
		post(id, "final", data);
	}
	for (unsigned i = 0; i < ORDERS; i++) {
		post_order(who, i);
		post_update(who, i);
	}
}

static void engine_on_turn(void *arg)
{
	int64_t now_us = clock_boot_us();

	(void)arg;
	while (!engine.final && engine.n_open < OPEN_MOST && now_us < engine.until_us)
		post_any();
	flow_turn(engine.flow);
	loop_timer_at(engine.timer, flow_next_us(engine.flow));
	if (now_us >= engine.until_us && engine.n_open == 0 && engine.timer != NULL &&
		now_us >= engine.until_us + (engine.final ? 0 : SETTLE_US / 4))
		loop_stop(engine.loop);
	if (now_us >= engine.until_us + SETTLE_US)
		fail("the events do not come to an end");
}

static void engine_open(int number)
{
	struct pg_env env = { .name = "nudged race", .lanes = LANES, .shops = &shop, .n_shops = 1 };
	struct judge_env judge = { .shops = &shop, .n_shops = 1 };
	struct flow_host host = { .boot_us = engine_boot_us,
		.wall_us = engine_wall_us,
		.poke = engine_poke,
		.turn = engine_want_turn };
	struct flow_limits limits;
	struct err err = { 0 };

	if ((engine.loop = loop_open(&err)) == NULL)
		fail(err.text);
	env.loop = engine.loop;
	env.dsn = dsn;
	engine.store = pg_open(&env);
	engine.number = number;
	engine.random = (unsigned)number * 7919 + 1;
	judge_limits_default(&judge.limits);
	flow_limits_default(&limits);
	limits.batch = 20;
	engine.timer = loop_timer_open(engine.loop, engine_want_turn, NULL);
	engine.flow = flow_open(engine.store, &judge, &limits, &host);
}

static void engine_run(int number, bool final)
{
	struct flow_stats stats;
	struct err err = { 0 };

	engine_open(number);
	engine.final = final;
	engine.until_us = clock_boot_us() + (final ? 2000000 : RACE_US);
	for (unsigned i = 0; final && i < PEOPLE; i++)
		post_final(i);
	engine_want_turn(NULL);
	if (!loop_run(engine.loop, &err))
		fail(err.text);
	flow_stats(engine.flow, &stats);
	printf("# engine %d: %ld accepted, %ld duplicates, %lu joins, %lu busy, %lu retries\n",
		number, engine.accepted, engine.others, (unsigned long)stats.joins,
		(unsigned long)stats.held_back, (unsigned long)stats.retries);
	if (stats.lost > 0 || stats.retries > 0)
		fail("something was refused or lost");
	loop_timer_close(engine.timer);
	engine.store->ops->close(engine.store);
	loop_forget_turn_end(engine.loop, engine_on_turn, NULL);
	flow_close(engine.flow);
	loop_close(engine.loop);
}

/*** the rule set ***/

static void set_done(void *arg, enum store_end end, const struct err *err)
{
	if (end != STORE_OK)
		fail(err->text);
	loop_stop(arg);
}

static void set_try(void *arg)
{
	struct rule_set *set = arg;

	if (!engine.store->ops->usable(engine.store, 0)) {
		loop_timer_in(engine.timer, 10000);
		return;
	}
	engine.store->ops->set_write(
		engine.store, 0, set, SPAN("test"), SPAN("test"), set_done, engine.loop);
}

static void set_run(void)
{
	struct template_text hi = {
		.name = SPAN("hi"), .lang = SPAN("en"), .body = SPAN("{\"txt\":\"hi\"}")
	};
	struct rule_text text = { .level = RULE_LEVEL, .path = SPAN("race.lua") };
	struct rule_set set = { .texts = &text, .n_texts = 1, .templates = &hi, .n_templates = 1 };
	struct buf b = { 0 };
	struct err err = { 0 };

	buf_str(&b, "{\"defaults\":[],\"lib\":{},\"path\":\"race.lua\",\"text\":");
	json_put_text(&b, span_of(rules));
	buf_char(&b, '}');
	text.bundle = buf_as_span(&b);
	hash_sha256_hex(&text.bundle, 1, text.hash);
	hash_sha256_hex(&hi.body, 1, hi.hash);
	memset(set.hash, '0', 64);
	engine_open(0);
	loop_timer_close(engine.timer);
	engine.timer = loop_timer_open(engine.loop, set_try, &set);
	loop_timer_in(engine.timer, 1);
	if (!loop_run(engine.loop, &err))
		fail(err.text);
	buf_free(&b);
}

/*** what is left afterwards ***/

static int failures;

static void expect(struct block *b, const char *what, const char *sql)
{
	long got[2] = { 0, 0 };

	if (ask(b, sql, got) && got[0] == got[1])
		return;
	fprintf(stderr, "join_race: %s: %ld instead of %ld\n", what, got[0], got[1]);
	failures++;
}

#define NO_TOMBSTONE(table)                                                                        \
	expect(b, table " of a tombstone",                                                         \
		"select count(*), 0 from " table                                                   \
		" x join customer c on c.id = x.customer where c.merged_into <> 0")

static void check(long accepted)
{
	struct block *b = open_block();
	char sql[300];

	snprintf(sql, sizeof sql, "select count(*), %ld from event where origin = 0", accepted);
	expect(b, "events that were accepted", sql);
	expect(b, "deadlocks",
		"select deadlocks, 0 from pg_stat_database where datname = current_database()");
	expect(b, "identities without a living card",
		"select count(*), 0 from identity where living_card(customer) is null");
	expect(b, "people", "select count(distinct living_card(customer)), 20 from identity");
	expect(b, "people by address",
		"select count(*), 20 from identity a "
		"join identity i on living_card(i.customer) = living_card(a.customer) "
		"and i.kind = 1 and a.value = i.value || '@x.de' where a.kind = 2");
	expect(b, "living cards", "select count(*), 20 from customer where merged_into = 0");
	NO_TOMBSTONE("event");
	NO_TOMBSTONE("chain");
	NO_TOMBSTONE("chain_log");
	NO_TOMBSTONE("message");
	NO_TOMBSTONE("orders");
	NO_TOMBSTONE("order_status");
	NO_TOMBSTONE("rule_last");
	expect(b, "inbox rows", "select count(*), 0 from inbox");
	expect(b, "live chains", "select count(*), 0 from chain");
	expect(b, "chains of orders",
		"select (select count(*) from chain_log where rule = 'each' and state = 'done'), "
		"(select count(*) from event where type = 'order.placed')");
	expect(b, "chains of customer.merged",
		"select (select count(*) from chain_log where rule = 'told' and state = 'done'), "
		"(select count(*) from event where type = 'customer.merged')");
	expect(b, "cancelled for another reason",
		"select count(*), 0 from chain_log where state <> 'done' and reason <> 'joined'");
	expect(b, "orders on the cards",
		"select (select sum(orders_count) from customer where merged_into = 0), "
		"(select count(*) from orders)");
	expect(b, "money on the cards",
		"select (select sum(orders_total) from customer where merged_into = 0)::bigint, "
		"(select sum(total) from orders)::bigint");
	expect(b, "messages told as sent",
		"select (select count(distinct data ->> 'message_id') from event "
		"where type = 'message.sent'), (select count(*) from message where state = 'sent')");
	expect(b, "messages told twice",
		"select count(*), count(distinct data ->> 'message_id') from event "
		"where type = 'message.sent'");
	expect(b, "messages that are stuck",
		"select count(*), 0 from message where state in ('ready', 'sending')");
	expect(b, "joins in the audit",
		"select (select count(*) from audit where action = 'customer.joined'), "
		"(select count(*) from customer where merged_into <> 0)");
	block_close(b);
}

static void say(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

/* Runs a process of its own; its accepted events are written into the pipe. */
static pid_t begin(int number, int pipe_fd)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (number < 0)
		set_run();
	else if (number == ENGINES)
		courier_run();
	else
		engine_run(number, number > ENGINES);
	if (write(pipe_fd, &engine.accepted, sizeof engine.accepted) < 0)
		_exit(1);
	fflush(stdout);
	_exit(0);
}

static void finish(pid_t pid)
{
	int status = 0;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		fail("a process failed");
}

int main(void)
{
	long accepted = 0, n;
	pid_t pids[ENGINES + 1];
	struct err err = { 0 };
	int fds[2];

	if ((dsn = getenv("NUDGED_TEST_DSN")) == NULL)
		return 77;
	if (!schema_migrate(dsn, schema_dir(), say, NULL, &err))
		fail(err.text);
	if (pipe(fds) != 0)
		return 1;
	finish(begin(-1, fds[1]));
	for (int i = 0; i <= ENGINES; i++)
		pids[i] = begin(i, fds[1]);
	for (int i = 0; i <= ENGINES; i++)
		finish(pids[i]);
	finish(begin(ENGINES + 1, fds[1]));
	close(fds[1]);
	while (read(fds[0], &n, sizeof n) == sizeof n)
		accepted += n;
	close(fds[0]);
	check(accepted);
	return failures != 0;
}
