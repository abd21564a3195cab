/* judge_test.c: the order of judging, chains, waits, questions, failures; on hand-made batches. */
#include "engine/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "effects.h"
#include "world.h"

static struct world w;

/* A world with one rule file. */
static void open_one(const char *text)
{
	struct world_file file = { "a.lua", text };

	world_open(&w, &file, 1);
}

/* Says what the effects were when a text is missing. */
static void has(const char *text)
{
	if (!world_has(&w, text))
		fail_msg("missing: %s\nin:\n%s", text, w.effects.p);
}
/* How often it stands in what has happened. */
static size_t times(const char *text)
{
	size_t n = 0;

	for (const char *p = w.effects.p; p && (p = strstr(p, text)); p++)
		n++;
	return n;
}
static void has_not(const char *text)
{
	if (world_has(&w, text))
		fail_msg("unexpected: %s\nin:\n%s", text, w.effects.p);
}

/*** starts ***/

static void event_starts_a_chain_that_mails(void **state)
{
	(void)state;
	open_one("rule 'thanks' { on = 'order.placed',\n"
		 "  when = function(order, customer) return order.total > 10 end,\n"
		 "  run = function(order, customer)\n"
		 "    email { template = 'question', with = { total = order.total, "
		 "n = customer.orders.count } }\n"
		 "  end }");
	world_event(&w, "order.placed", "{\"order_id\":\"1\",\"total\":25}");
	has("\"v\":\"started\"");
	has("template=question");
	has("\"with\":{\"n\":1,\"total\":25}");
	has("\"event\":{\"order_id\":\"1\",\"total\":25}");
	has("settling");
	assert_int_equal(w.n_messages, 1);
	world_event(&w, "order.placed", "{\"order_id\":\"2\",\"total\":5}");
	has("{\"rule\":\"thanks\",\"v\":\"when\",\"read\":{\"event.total\":5}}");
	assert_int_equal(w.n_messages, 1);
	/* handed over: the chain is done */
	world_event(&w, "message.sent", "{\"message_id\":\"102\"}");
	has("done rule=thanks");
	assert_int_equal(w.customers[0].n_chains, 0);
	world_close(&w);
}

static void refused_messages_are_written_and_over(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function(e)\n"
		 "  local m = email { template = 'question' }\n"
		 "  local f = wait('1d', m.failed)\n"
		 "  note(f.outcome .. ' ' .. f.code)\n"
		 "  note(tostring(wait('1d', m.clicked)))\n"
		 "  local t = email { template = 'question', class = 'transactional' }\n"
		 "  local h = email { template = 'question', to = 'head' }\n"
		 "end }");
	w.customers[0].card.json[CARD_CONSENT] = SPAN("{}");
	world_event(&w, "x", "{}");
	has("refused marketing");
	has("code=no_consent");
	has("note failed no_consent");
	has("note nil");
	has("ready transactional");
	has("to=anna@example.com");
	w.customers[0].card.text[CARD_EMAIL] = (struct span){ NULL, 0 };
	w.customers[0].card.json[CARD_CONSENT] = SPAN("{\"email\":true}");
	w.customers[0].n_chains = 0;
	world_event(&w, "x", "{}");
	has("code=no_address");
	world_close(&w);
}

static void languages_fall_back(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'x', run = function(e) email { template = 'cart-reminder' } end }");
	w.customers[0].card.text[CARD_LANG] = SPAN("de-AT");
	world_event(&w, "x", "{}");
	has("lang=de");
	w.customers[0].card.text[CARD_LANG] = SPAN("uk");
	w.customers[0].n_chains = 0;
	world_event(&w, "x", "{}");
	has("lang=en");
	world_close(&w);
}

static void tasks_become_overdue_or_done(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'call.missed', run = function(e)\n"
		 "  local t = task { title = 'Call back', group = 'sales', deadline = '10m', "
		 "remind = '2m', call = e.from, results = { 'ok', 'no' } }\n"
		 "  local d = wait(t)\n"
		 "  note(d.outcome)\n"
		 "  if d.outcome == 'overdue' then task { title = 'Second', assign = 'anna' } end\n"
		 "end }");
	world_event(&w, "call.missed", "{\"from\":\"+49301234567\"}");
	has("task 102 open");
	has("call=+49301234567");
	has("results=[\"ok\",\"no\"]");
	world_advance(&w, "11m");
	has("task.overdue");
	has("note overdue");
	has("title=Second");
	world_event(&w, "call.missed", "{\"from\":\"+49301234567\"}");
	{
		char data[100];

		snprintf(data, sizeof data, "{\"task_id\":\"%lld\"}",
			(long long)w.customers[0].tasks[2]->id);
		world_event(&w, "task.done", data);
	}
	has("note done");
	world_close(&w);
}

/* P17: what came in time to the row is not overdue, though the deadline had passed. */
static void done_and_overdue_race(void **state)
{
	char data[100];

	(void)state;
	open_one("rule 'r' { on = 'x', run = function(e)\n"
		 "  local t = task { title = 'Call back', group = 'sales', deadline = '10m' }\n"
		 "  note(wait(t).outcome)\n"
		 "end }\n"
		 "rule 'late' { on = 'task.overdue', run = function(e) note 'late' end }");
	world_event(&w, "x", "{}");
	w.now_us += 601 * CLOCK_SECOND_US;
	snprintf(data, sizeof data, "{\"task_id\":\"%lld\"}",
		(long long)w.customers[0].tasks[0]->id);
	world_post(&w, 0, "task.done", data);
	world_due(&w);
	has("note done");
	has_not("task.overdue");
	has_not("overdue=1");
	world_due(&w);
	has_not("task.overdue");
	world_close(&w);
}

static void cards_change_at_once(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'x', run = function(e, c)\n"
		"  note(c.city or 'none')\n"
		"  set { city = 'Berlin', size = 'M', consent = { email = false } }\n"
		"  tag 'vip' tag 'a' tag 'vip' untag 'a'\n"
		"  note(c.city .. c.attributes.size .. tostring(c.consent.email) .. c.tags[1] .. #c.tags)\n"
		"  wait '1h'\n"
		"  note(c.city)\n"
		"  email { template = 'question' }\n"
		"end }");
	world_event(&w, "x", "{}");
	has("note none");
	has("note BerlinMfalsevip1");
	has("consent email=0 by r");
	has("city=Berlin");
	has("tags=[\"vip\"]");
	w.customers[0].card.text[CARD_CITY] = SPAN("Wien");
	w.forget_judge = true;
	world_advance(&w, "1h");
	has("note Wien");
	has("code=no_consent");
	has("done rule=r");
	world_close(&w);
}

static void publishes_and_emits(void **state)
{
	(void)state;
	open_one("rule 'a' { on = 'x', run = function(e)\n"
		 "  publish('stock/7', { n = e.n }) emit('y', { n = e.n + 1 }) note 'first' end }\n"
		 "rule 'b' { on = 'y', run = function(e) note('got ' .. e.n) end }\n"
		 "rule 'loop' { on = 'loop', run = function(e) emit('loop', {}) end }");
	world_event(&w, "x", "{\"n\":1}");
	has("publish ready");
	has("keep=1"); /* its chain is over before a courier has it */
	has("\"topic\":\"stock/7\"");
	has("note got 2");
	has("type=y");
	has("depth=1");
	world_event(&w, "loop", "{}");
	has("depth=8");
	has_not("depth=9");
	has("depth 8 (limit)");
	world_close(&w);
}

/*** filters, mode, cooldown ***/

static void modes(void **state)
{
	(void)state;
	open_one(
		"rule 'single' { on = 'x', run = function() wait '1h' note 'single' end }\n"
		"rule 'queued' { on = 'x', mode = 'queued', run = function(e) wait '1h' note('q' .. e.n) end }\n"
		"rule 'parallel' { on = 'x', mode = 'parallel', run = function(e) wait '1h' note('p' .. e.n) end }\n"
		"rule 'restart' { on = 'x', mode = 'restart', when = function(e) return e.n < 3 end,\n"
		"  run = function(e) wait '1h' note('r' .. e.n) end }");
	world_event(&w, "x", "{\"n\":1}");
	world_advance(&w, "10m");
	world_event(&w, "x", "{\"n\":2}");
	has("{\"rule\":\"single\",\"v\":\"mode\"");
	has("{\"rule\":\"queued\",\"v\":\"queued\"");
	has("{\"rule\":\"restart\",\"v\":\"cancelled\"");
	has("queued rule=queued");
	world_advance(&w, "50m");
	assert_int_equal(world_count(&w, CHAIN_QUEUED), 0);
	world_advance(&w, "10m");
	world_event(&w, "x", "{\"n\":3}"); /* when says no, and the old one is gone all the same */
	has("{\"rule\":\"restart\",\"v\":\"when\"");
	world_advance(&w, "2h");
	{
		struct buf b = { 0 };

		for (size_t i = 0; i < w.n_notes; i++)
			buf_printf(&b, "%.*s,", SPAN_ARG(w.notes[i]->text));
		assert_string_equal(b.p, "single,q1,p1,p2,r2,q2,single,p3,q3,");
		buf_free(&b);
	}
	world_close(&w);
}

static void keys_cooldown_and_age(void **state)
{
	struct shop_event *old;

	(void)state;
	open_one(
		"rule 'keyed' { on = 'x', key = 'order_id', run = function(e) wait '1d' end }\n"
		"rule 'cool' { on = 'x', cooldown = '1h per customer', run = function() note 'cool' end }\n"
		"rule 'cool2' { on = 'x', key = 'order_id', cooldown = '1h', run = function() end }\n"
		"rule 'fn' { on = 'x', key = function(e) return 'k' .. e.order_id end, run = function() wait '1d' end }\n"
		"rule 'filtered' { on = on('x', { order_id = '2' }), run = function() note 'two' end }");
	world_event(&w, "x", "{\"order_id\":1}");
	has("rule=keyed key=1");
	has("rule=fn key=k1");
	has("{\"rule\":\"filtered\",\"v\":\"filter\"");
	world_event(&w, "x", "{\"order_id\":2}");
	has("rule=keyed key=2");
	has("{\"rule\":\"cool\",\"v\":\"cooldown\"");
	has("{\"rule\":\"cool2\",\"v\":\"started\"");
	has("note two");
	world_event(&w, "x", "{}");
	has("{\"rule\":\"keyed\",\"v\":\"key\"");
	world_advance(&w, "1h");
	old = world_post(&w, 0, "x", "{\"order_id\":1}");
	world_run(&w);
	has("{\"rule\":\"cool\",\"v\":\"started\"");
	has("{\"rule\":\"keyed\",\"v\":\"mode\"");
	old = world_post(&w, 0, "x", "{\"order_id\":9}");
	old->time_us -= 2 * CLOCK_DAY_US;
	world_run(&w);
	has("{\"rule\":\"keyed\",\"v\":\"max_age\"");
	world_close(&w);
}

static void too_many_chains(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', mode = 'parallel', run = function() wait '1d' end }");
	judge_free(w.judge);
	w.judge = NULL;
	w.env.limits.chains = 3;
	{
		struct world_file file = {
			"a.lua",
			"rule 'r' { on = 'x', mode = 'parallel', run = function() wait '1d' end }"
		};

		world_reload(&w, &file, 1);
	}
	for (int i = 0; i < 4; i++)
		world_event(&w, "x", "{}");
	has("\"v\":\"limit\"");
	assert_int_equal(world_count(&w, CHAIN_WAITING), 3);
	world_close(&w);
}

/* Said once, by the start or stretch that goes beyond. */
static void limits_that_come_near(void **state)
{
	static const char rule[] =
		"rule 'r' { on = 'x', mode = 'parallel', run = function() wait '1d' end }\n"
		"rule 'long' { on = 'y', run = function(e)\n"
		"  note(#events('y') .. '') wait '1h' note(#events('y') .. '') wait '1h'\n"
		"  note(#events('y') .. '') wait '1h' end }";
	struct buf data = { 0 };

	(void)state;
	open_one(rule);
	judge_free(w.judge);
	w.judge = NULL;
	w.env.limits.chains_warn = 2;
	w.env.limits.history_warn_bytes = 1024;
	{
		struct world_file file = { "a.lua", rule };

		world_reload(&w, &file, 1);
	}
	for (int i = 0; i < 2; i++)
		world_event(&w, "x", "{}");
	has_not("\"warning\"");
	world_event(&w, "x", "{}");
	has("\"warning\":\"the customer has more than 2 live chains; beyond 500 none is started\"");
	assert_int_equal(times("more than 2 live chains"), 2); /* in a verdict and in a line */
	world_event(&w, "x", "{}");
	has_not("more than 2 live chains");
	buf_str(&data, "{\"text\":\"");
	for (int i = 0; i < 600; i++)
		buf_char(&data, 'x');
	buf_str(&data, "\"}");
	buf_char(&data, '\0');
	world_event(&w, "y", data.p);
	buf_free(&data);
	assert_int_equal(times("longer than 1 KiB"), 0);
	world_advance(&w, "1h");
	has("the history of the chain is longer than 1 KiB; it ends at 256 KiB");
	assert_int_equal(times("longer than 1 KiB"), 1); /* a timer has no event to say it at */
	world_advance(&w, "1h");
	has_not("longer than 1 KiB");
	world_close(&w);
}

static void verdicts_tell_what_was_read(void **state)
{
	(void)state;
	open_one(
		"rule 'a' { on = 'x', when = function(e, c)\n"
		"  return e.list and c.orders.count > 0 and c.city end, run = function() end }\n"
		"rule 'b' { on = 'x', when = function(e, c) return e.n > 1 and c.consent.email end, run = function() end }\n"
		"rule 'c' { on = 'x', when = function(e, c) return e.gone > 1 end, run = function() end }\n"
		"rule 'd' { on = 'x', when = function(e, c) return e['\\xff'] or error('\\xff') end, run = function() end }");
	world_event(&w, "x", "{\"n\":1,\"list\":[1,2]}");
	has("{\"rule\":\"a\",\"v\":\"when\",\"read\":{\"event.list\":[1,2],\"customer.orders.count\":0}}");
	has("{\"rule\":\"b\",\"v\":\"when\",\"read\":{\"event.n\":1}}");
	has_not("\xff");
	has("\"v\":\"error\",\"read\":{\"event.gone\":null},\"error\":\"a.lua:4:");
	world_close(&w);
}

static void limits_of_a_chain(void **state)
{
	(void)state;
	open_one(
		"rule 'steps' { on = 'x', run = function(e) for i = 1, 2000 do now() end end }\n"
		"rule 'bytes' { on = 'x', run = function(e, c)\n"
		"  for i = 1, 900 do emit('y', { text = ('a'):rep(100) }) end end }\n"
		"rule 'history' { on = 'x', run = function(e) for i = 1, 99 do events('x') end end }\n"
		"rule 'note' { on = 'x', run = function(e) note(('x'):rep(5000)) end }");
	world_event(&w, "x", "{\"list\":[1,2]}");
	has("1000 steps");
	has("{\"rule\":\"bytes\",\"v\":\"error\"");
	has("{\"rule\":\"note\",\"v\":\"error\"");
	has("{\"rule\":\"history\",\"v\":\"started\"");
	{
		char data[5000];

		memset(data, 'a', sizeof data);
		memcpy(data, "{\"text\":\"", 9);
		memcpy(data + sizeof data - 3, "\"}", 3);
		world_event(&w, "x", data);
		has("256 KiB");
	}
	world_close(&w);
}

static void emitted_events_wake_chains(void **state)
{
	(void)state;
	open_one(
		"rule 'w' { on = 'start', run = function(e) local y = wait('1d', 'made.up') note('woken ' .. y.n) end }\n"
		"rule 'e' { on = 'x', run = function(e) emit('made.up', { n = 7 }) end }");
	world_event(&w, "start", "{}");
	world_event(&w, "x", "{}");
	assert_int_equal(w.n_rounds, 1); /* the history was not loaded: it was asked for */
	has("note woken 7");
	world_close(&w);
}

/* The order of a Lua table differs from one process to the next; the words of an error do not. */
static void the_first_wrong_field_is_told(void **state)
{
	(void)state;
	open_one(
		"rule 't' { on = 'x', run = function() task { tille = 'T', rerults = {}, zeal = 1, zzz = 2 } end }\n"
		"rule 'c' { on = 'x', run = function() set { consent = { smss = true, emaill = true } } end }");
	world_event(&w, "x", "{}");
	has("unknown field \"rerults\"");
	has("unknown channel \"emaill\"");
	world_close(&w);
}

static void imports_make_cards_only(void **state)
{
	(void)state;
	open_one("rule 'r' { on = '*', run = function() note 'heard' end }");
	world_post(&w, 0, "order.placed",
		"{\"order_id\":\"1\",\"total\":20,\"products\":[{\"product_id\":\"p\"}]}")
		->import = true;
	world_run(&w);
	assert_int_equal(w.n_notes, 0);
	assert_int_equal(w.customers[0].card.orders_count, 1);
	world_close(&w);
}

/*** exits and waits ***/

static void exits_end_chains_and_withdraw(void **state)
{
	(void)state;
	open_one(
		"rule 'cart' { on = 'cart.updated', mode = 'restart', exit_on = 'order.placed',\n"
		"  run = function(cart) wait '1h' email { template = 'cart-reminder' }\n"
		"    task { title = 'Call', group = 'sales' } wait '1d' note 'late' end }\n"
		"rule 'keyed' { on = 'order.placed', key = 'order_id', exit_on = 'order.cancelled',\n"
		"  mode = 'queued', run = function() wait '1d' note 'never' end }");
	world_event(&w, "cart.updated", "{\"total\":5}");
	world_advance(&w, "1h");
	assert_int_equal(w.n_messages, 1);
	world_event(&w, "order.placed", "{\"order_id\":\"1\"}");
	has("exited rule=cart");
	has("reason=order.placed");
	has("{\"rule\":\"cart\",\"v\":\"exit\"");
	has("withdraw ");
	assert_int_equal(w.messages[0]->state, MESSAGE_WITHDRAWN);
	assert_int_equal(w.customers[0].tasks[0]->state, TASK_WITHDRAWN);
	world_event(&w, "order.placed", "{\"order_id\":\"2\"}");
	world_event(&w, "order.placed", "{\"order_id\":\"2\"}");
	assert_int_equal(world_count(&w, CHAIN_QUEUED), 1);
	world_event(&w, "order.cancelled", "{\"order_id\":\"2\"}");
	assert_int_equal(w.customers[0].n_chains, 1); /* the one of order 1 */
	world_event(
		&w, "order.cancelled", "{\"reason\":\"all\"}"); /* without the key: all chains */
	assert_int_equal(w.customers[0].n_chains, 0);
	world_close(&w);
}

static void a_chain_is_immune_to_its_own_events(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'order.placed', exit_on = 'order.*', run = function()\n"
		 "  emit('order.looked_at', {}) wait '1d' end }");
	world_event(&w, "order.placed",
		"{\"order_id\":\"1\",\"status\":\"new\",\"products\":[{\"product_id\":\"p\"}]}");
	assert_int_equal(world_count(&w, CHAIN_WAITING), 1);
	world_event(&w, "order.paid", "{\"order_id\":\"1\"}");
	assert_int_equal(world_count(&w, CHAIN_WAITING), 0);
	world_close(&w);
}

static void waits_are_answered_by_events(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function()\n"
		 "  local e = wait('1h', on('y', { n = { min = 5 } }))\n"
		 "  note(e and ('got ' .. e.n .. ' ' .. e.meta.type) or 'nothing')\n"
		 "  e = wait('1h', { 'a', 'b.*' })\n"
		 "  note(e and e.meta.type or 'nothing')\n"
		 "end }");
	world_event(&w, "x", "{}");
	world_event(&w, "y", "{\"n\":1}");
	has_not("woke");
	w.forget_judge = true;
	world_event(&w, "y", "{\"n\":7}");
	has("\"v\":\"woke\"");
	has("note got 7 y");
	world_advance(&w, "1h");
	has("note nothing");
	world_event(&w, "x", "{}");
	world_advance(&w, "1h");
	has("note nothing");
	world_event(&w, "b.c", "{}");
	has("note b.c");
	world_close(&w);
}

/* Posts an event about the first message. */
static void about_message(const char *type, const char *more)
{
	char data[200];

	snprintf(data, sizeof data, "{\"message_id\":\"%lld\"%s}",
		(long long)w.messages[w.n_messages - 1]->id, more);
	world_event(&w, type, data);
}

static void message_time_runs_from_hand_over(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function()\n"
		 "  local m = email { template = 'question', expires = '5h' }\n"
		 "  local c = wait('1h', m.clicked)\n"
		 "  note(c and c.outcome or 'not clicked')\n"
		 "  if not c and wait('1h', m.clicked) then note 'later' end\n"
		 "end }");
	world_event(&w, "x", "{}");
	world_advance(&w, "3h");
	assert_int_equal(w.n_notes, 0); /* it is not sent yet */
	about_message("message.sent", "");
	world_advance(&w, "59m");
	assert_int_equal(w.n_notes, 0);
	world_advance(&w, "1m");
	has("note not clicked");
	/* the second time began with the hand-over too: it is over at once */
	assert_int_equal(w.customers[0].n_chains, 0);
	world_event(&w, "x", "{}");
	about_message("message.sent", "");
	about_message("message.clicked", ",\"link\":\"a\"");
	has("note clicked");
	world_event(&w, "x", "{}");
	about_message("message.failed", ",\"code\":\"capped\"");
	has("note not clicked");
	assert_int_equal(w.customers[0].n_chains, 0);
	world_close(&w);
}

/* P14: what is in doubt counts as handed over: no chain stays live for it, and time runs. */
static void a_message_in_doubt_counts_as_handed_over(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function() email { template = 'question' } end }\n"
		 "rule 's' { on = 'y', run = function()\n"
		 "  local m = email { template = 'question', expires = '5h' }\n"
		 "  note(wait('1h', m.clicked) and 'clicked' or 'not clicked')\n"
		 "end }");
	world_event(&w, "x", "{}");
	assert_int_equal(w.customers[0].n_chains, 1);
	about_message("message.in_doubt", ",\"code\":\"no_answer\"");
	assert_int_equal(w.customers[0].n_chains, 0);
	has("done rule=r");
	world_event(&w, "x", "{}"); /* mode single: it may start again */
	assert_int_equal(w.customers[0].n_chains, 1);
	about_message("message.failed", "");
	world_event(&w, "y", "{}");
	world_advance(&w, "3h");
	assert_int_equal(w.n_notes, 0);
	about_message("message.in_doubt", "");
	world_advance(&w, "1h");
	has("note not clicked");
	assert_int_equal(w.customers[0].n_chains, 0);
	world_close(&w);
}

static void outcomes_there_already_answer_at_once(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function()\n"
		 "  local m = email { template = 'question' }\n"
		 "  wait '2h'\n"
		 "  local c = wait('1h', on(m.clicked, { link = 'b' }))\n"
		 "  note(c and c.link or 'no')\n"
		 "  local s = wait(m)\n"
		 "  note(s.outcome)\n"
		 "end }");
	world_event(&w, "x", "{}");
	about_message("message.sent", "");
	about_message("message.clicked", ",\"link\":\"a\"");
	about_message("message.clicked", ",\"link\":\"b\"");
	w.forget_judge = true;
	world_advance(&w, "2h");
	has("note b");
	has("note sent");
	has("done rule=r");
	world_close(&w);
}

/* The couriers stand still: the chain knows by itself that a message has expired. */
static void a_message_that_expires_has_failed(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function()\n"
		 "  local m = email { template = 'question', expires = '5h' }\n"
		 "  local e = wait('1h', { m.sent, 'y' })\n"
		 "  note(e and e.meta.type or 'nothing')\n"
		 "  note(wait('1h', m.failed).code)\n"
		 "end }\n"
		 "rule 's' { on = 'x', late = 'end', run = function()\n"
		 "  local m = email { template = 'question', expires = '5h' }\n"
		 "  local e = wait('3h', { m.clicked, 'y' })\n"
		 "  note(e and e.meta.type or 'nobody')\n"
		 "end }");
	world_event(&w, "x", "{}");
	w.now_us += INT64_C(5) * 3600 * 1000000 + 1800 * INT64_C(1000000);
	world_due(&w); /* late, but the three hours begin only now */
	has_not("reason=late");
	assert_int_equal(w.n_notes, 0);
	world_advance(&w, "29m");
	assert_int_equal(w.n_notes, 0);
	world_advance(&w, "1m");
	has("note nothing");
	has("note expired");
	world_event(&w, "y", "{}");
	has("note y");
	world_close(&w);
}

/* Time that began with an expiry and is over counts as late from its own end. */
static void lateness_counts_from_the_end_of_the_time(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', late = '2h', run = function()\n"
		 "  local m = email { template = 'question', expires = '5h' }\n"
		 "  note(wait('3h', { m.clicked, 'y' }) and 'y' or 'nothing')\n"
		 "end }");
	world_event(&w, "x", "{}");
	w.now_us += INT64_C(9) * 3600 * 1000000;
	world_due(&w);
	has_not("reason=late");
	has("note nothing");
	about_message("message.failed", "");
	world_event(&w, "x", "{}");
	w.now_us += INT64_C(11) * 3600 * 1000000;
	world_due(&w);
	has("reason=late");
	world_close(&w);
}

/* It was claimed just before it expired: whether it failed will be told. */
static void a_message_that_is_being_sent_has_not_failed(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function()\n"
		 "  local e = wait('1h', email { template = 'question', expires = '5h' }.failed)\n"
		 "  note(e and 'r failed' or 'r sent')\n"
		 "end }\n"
		 "rule 's' { on = 'y', run = function()\n"
		 "  note('s ' .. wait(email { template = 'question', expires = '5h' }).outcome)\n"
		 "end }");
	world_event(&w, "x", "{}");
	w.is_sending = true;
	world_advance(&w, "5h");
	assert_int_equal(w.n_notes, 0);
	world_advance(&w, "59m");
	about_message("message.sent", "");
	assert_int_equal(w.n_notes, 0);
	world_advance(&w, "1m");
	has("note r sent");
	world_event(&w, "y", "{}");
	world_advance(&w, "5h");
	assert_int_equal(w.n_notes, 1);
	about_message("message.sent", "");
	has("note s sent");
	world_event(&w, "y", "{}");
	world_advance(&w, "5h");
	w.is_sending = false;
	world_advance(&w, "5s");
	has("note s failed");
	about_message("message.failed", "");
	world_event(&w, "x", "{}"); /* its courier is gone for good */
	w.is_sending = true;
	world_advance(&w, "6h");
	assert_int_equal(w.n_notes, 4);
	has("note r sent");
	world_event(&w, "y", "{}");
	world_advance(&w, "5h10m5s");
	assert_int_equal(w.n_notes, 5);
	world_close(&w);
}

static void bare_handles_end_by_themselves(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function()\n"
		 "  local m = email { template = 'question', expires = '2h' }\n"
		 "  local s = wait(m)\n"
		 "  note(s.outcome .. (s.code or ''))\n"
		 "  local t = task { title = 'T', deadline = '1h' }\n"
		 "  note(wait(t.done) and 'done' or 'not done')\n"
		 "end }");
	world_event(&w, "x", "{}");
	world_advance(&w, "2h");
	has("note failedexpired");
	world_advance(&w, "1h");
	has("note not done");
	world_close(&w);
}

static void moments(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'x', run = function(e)\n"
		"  local f = '%Y-%m-%d %H:%M'\n"
		"  note(today '18:00':format(f)) note(tomorrow '10:00':format(f))\n"
		"  note(next_time 'monday 09:00':format(f)) note(next_time 'workday 12:00':format(f))\n"
		"  note(working '2h':format(f)) note(working('9h', 'sales'):format(f))\n"
		"  note(before(e.delivery_at, '1h'):format(f)) note(after(e.delivery_at, '3d'):format(f))\n"
		"  note(now():format(f)) note(ago '1d':format(f))\n"
		"  wait_until(before(e.delivery_at, '1h'))\n"
		"  note(now():format(f))\n"
		"  wait_until(e.delivery_at - '2h')\n"
		"  note 'at once'\n"
		"end }");
	world_event(&w, "x", "{\"delivery_at\":\"2026-03-03T12:00:00+01:00\"}");
	has("note 2026-03-02 18:00");
	has("note 2026-03-03 10:00");
	has("note 2026-03-09 09:00");
	has("note 2026-03-02 12:00");
	has("note 2026-03-03 10:00");
	has("note 2026-03-03 11:00");
	has("note 2026-03-06 12:00");
	has("note 2026-03-02 10:00");
	has("note 2026-03-01 10:00");
	w.forget_judge = true;
	world_advance(&w, "2d");
	has("note 2026-03-03 11:00");
	has("note at once");
	world_close(&w);
}

static void days_are_calendar_days(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'x', run = function(e) wait '1d' note(now():format '%H') wait '24h' note(now():format '%H') end }");
	/* the night of 28 to 29 March 2026 the clocks go forward in Berlin */
	assert_true(clock_parse_rfc3339(SPAN("2026-03-28T10:00:00+01:00"), &w.now_us));
	world_event(&w, "x", "{}");
	world_advance(&w, "23h");
	has("note 10");
	world_close(&w);
	open_one("rule 'r' { on = 'x', run = function(e) wait '24h' note(now():format '%H') end }");
	assert_true(clock_parse_rfc3339(SPAN("2026-03-28T10:00:00+01:00"), &w.now_us));
	world_event(&w, "x", "{}");
	world_advance(&w, "24h");
	has("note 11");
	world_close(&w);
}

/*** questions ***/

static void questions_see_the_past_and_this_batch(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'ask', mode = 'parallel', when = function(e) return count('x') >= e.n end,\n"
		"  run = function(e)\n"
		"    note('count ' .. count('x') .. ' ' .. count('x', { within = '1h' }) .. ' ' .. "
		"count('x', { where = { n = { min = 2 } } }) .. ' ' .. count('ask'))\n"
		"    local l = events('x', { limit = 2 })\n"
		"    note('events ' .. #l .. ' ' .. l[1].n .. l[2].n)\n"
		"  end }");
	world_event(&w, "x", "{\"n\":1}");
	world_advance(&w, "2h");
	world_event(&w, "x", "{\"n\":2}");
	world_post(&w, 0, "x", "{\"n\":3}");
	world_post(&w, 0, "ask", "{\"n\":3}");
	world_post(&w, 1, "ask", "{\"n\":3}");
	world_run(&w);
	has("note count 3 2 2 1");
	has("note events 2 32");
	assert_int_equal(w.n_notes, 2);
	has("\"v\":\"when\"");
	world_close(&w);
}

static void orders_and_products(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'ask', run = function(e)\n"
		"    local o = orders()\n"
		"    note(#o .. ' ' .. o[1].id .. ' ' .. o[1].total .. ' ' .. o[1].status)\n"
		"    note(#orders { status = 'paid' } .. ' ' .. #orders { id = '1' })\n"
		"    note(bought('p1') and 'yes' or 'no') note(bought('p9') and 'yes' or 'no')\n"
		"    note('bought ' .. count('product.bought') .. ' ' .. count('product.bought', { where = { product_id = 'p2' } }))\n"
		"  end }\n"
		"rule 'line' { on = 'product.bought', mode = 'parallel', run = function(e) note('line ' .. e.product_id .. e.order_id) end }");
	world_event(&w, "order.placed",
		"{\"order_id\":\"1\",\"total\":10,\"status\":\"new\",\"products\":[{\"product_id\":\"p1\"}]}");
	has("note line p11");
	has("\"on\":\"product.bought\"");
	world_advance(&w, "1h");
	world_event(&w, "order.placed",
		"{\"order_id\":\"2\",\"total\":20,\"status\":\"new\",\"products\":[{\"product_id\":\"p1\"},{\"sku\":\"p2\",\"product_id\":\"p2\"}]}");
	world_post(&w, 0, "order.paid", "{\"order_id\":\"1\"}");
	world_post(&w, 0, "ask", "{}");
	world_run(&w);
	has("note 2 2 20 new");
	has("note 1 1");
	has("note yes");
	has("note no");
	has("note bought 3 1");
	world_close(&w);
}

static void happened_since_the_start(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function(e)\n"
		 "  wait '1h' note(tostring(happened('x')) .. tostring(happened('y'))) end }");
	world_event(&w, "y", "{}");
	world_event(&w, "x", "{}");
	world_advance(&w, "1h");
	has("note falsefalse");
	world_event(&w, "x", "{}");
	world_event(&w, "y", "{}");
	world_advance(&w, "1h");
	has("note falsetrue");
	world_close(&w);
}

static void split_is_stable(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'x', run = function(e) note(split { a = 50, b = 50 } .. split { b = 1, a = 0 }) end }");
	world_event(&w, "x", "{}");
	{
		struct span first = w.notes[0]->text;

		world_event(&w, "x", "{}");
		assert_true(span_eq(first, w.notes[1]->text));
		assert_int_equal(first.p[1], 'b');
	}
	world_close(&w);
}

/*** failures ***/

static void failures_stay_alone(void **state)
{
	(void)state;
	open_one(
		"rule 'bad' { on = 'x', run = function(e)\n"
		"  note 'lost' set { city = 'Nowhere' } emit('y', {}) email { template = 'question' }\n"
		"  task { title = 'lost' }\n"
		"  note(e.missing .. 'x') end }\n"
		"rule 'worse' { on = 'x', when = function(e) return e.missing > 5 end, run = function() end }\n"
		"rule 'loop' { on = 'x', run = function() while true do end end }\n"
		"rule 'many' { on = 'x', run = function() for i = 1, 200 do note 'n' end end }\n"
		"rule 'good' { on = 'x', run = function(e, c) note('good ' .. (c.city or 'here')) end }");
	world_event(&w, "x", "{}");
	has("{\"rule\":\"bad\",\"v\":\"error\"");
	has("a.lua:4:");
	has("{\"rule\":\"worse\",\"v\":\"error\"");
	has("{\"rule\":\"many\",\"v\":\"error\"");
	has("100 effects");
	has("note good here");
	has_not("lost");
	has_not("type=y");
	has_not("Nowhere");
	assert_int_equal(w.n_messages, 0);
	assert_int_equal(w.n_notes, 1);
	assert_int_equal(w.customers[0].n_chains, 0);
	has("next 102"); /* the event and one chain: no number was wasted */
	world_close(&w);
}

static void a_failed_stretch_can_be_retried(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function(e, c)\n"
		 "  local y = wait('1d', 'y') note 'dropped' note(c.city .. y.n) end }");
	world_event(&w, "x", "{}");
	world_event(&w, "y", "{\"n\":4}");
	has("failed rule=r");
	has("a.lua:2:");
	has_not("dropped");
	assert_int_equal(world_count(&w, CHAIN_FAILED), 1);
	w.customers[0].card.text[CARD_CITY] = SPAN("Kyiv");
	world_chain(&w, 0)->state = CHAIN_WAITING;
	world_chain(&w, 0)->wake_us = w.now_us;
	world_due(&w);
	has("note Kyiv4");
	has("done rule=r");
	world_close(&w);
}

static void histories_that_disagree_are_stuck(void **state)
{
	struct world_file file = { "a.lua",
		"rule 'r' { on = 'x', run = function(e)\n"
		"  task { title = 'Call' } wait '1h' note 'end' end }" };

	(void)state;
	open_one(
		"rule 'r' { on = 'x', run = function(e) email { template = 'question' } wait '1h' end }");
	world_event(&w, "x", "{}");
	world_reload(&w, &file, 1);
	/* the text it is pinned to is asked for: nothing is guessed */
	world_chain(&w, 0)->text_hash = span_of(w.set.texts[0].hash);
	world_advance(&w, "1h");
	has("stuck rule=r");
	has("history: email \"question\" at step 1; text: task \"Call\" (a.lua:2)");
	assert_int_equal(w.n_notes, 0);
	world_close(&w);
}

static void chains_finish_on_their_own_text(void **state)
{
	struct world_file files[] = {
		{ "a.lua",
			"local h = require 'h'\n"
			"rule 'r' { on = 'x', run = function(e) wait '2h' note(h.word()) end }" },
		{ "lib/h.lua", "return { word = function() return 'new' end }" }
	};
	struct world_file old[] = {
		{ "a.lua",
			"local h = require 'h'\n"
			"rule 'r' { on = 'x', run = function(e) wait '1h' note(h.word()) end }" },
		{ "lib/h.lua", "return { word = function() return 'old' end }" }
	};

	(void)state;
	world_open(&w, old, 2);
	world_event(&w, "x", "{}");
	world_reload(&w, files, 2);
	world_advance(&w, "1h");
	has("note old");
	world_event(&w, "x", "{}");
	world_advance(&w, "2h");
	has("note new");
	world_close(&w);
}

static void texts_of_newer_daemons_are_left(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'x', run = function(e) local y = wait('1h', 'y') note(y and y.n or 'no') end }");
	world_event(&w, "x", "{}");
	world_chain(&w, 0)->level = RULE_LEVEL + 1;
	world_event(&w, "y", "{\"n\":4}");
	has("\"v\":\"left\"");
	assert_int_equal(w.n_notes, 0);
	assert_int_equal(world_chain(&w, 0)->wake_us, w.now_us);
	world_chain(&w, 0)->level = RULE_LEVEL; /* one that can */
	world_due(&w);
	has("note 4");
	world_close(&w);
}

static void late_waits_obey_their_rule(void **state)
{
	(void)state;
	open_one(
		"rule 'run' { on = 'x', run = function(e) wait '1h' note 'run' end }\n"
		"rule 'end' { on = 'x', late = 'end', run = function(e) wait '1h' note 'end' end }\n"
		"rule 'two' { on = 'x', late = '2h', run = function(e) wait '1h' note 'two' end }\n"
		"rule 'ten' { on = 'x', late = '10h', run = function(e) wait '1h' note 'ten' end }");
	world_event(&w, "x", "{}");
	w.now_us += INT64_C(5) * 3600 * 1000000;
	world_due(&w);
	has("note run");
	has_not("note end");
	has_not("note two");
	has("note ten");
	has("cancelled rule=end");
	has("reason=late");
	world_close(&w);
}

static void switches_hold_rules(void **state)
{
	struct span suspended = SPAN("a");
	struct switch_pair pairs[] = { { SPAN("event"), SPAN("shop//e2"), SPAN("b") },
		{ SPAN("chain"), SPAN("104"), SPAN("c") } };
	struct switches s = { 1, &suspended, 1, pairs, 2 }, none = { .version = 2 };

	(void)state;
	open_one(
		"rule 'a' { on = 'x', mode = 'parallel', run = function(e) wait '1h' note 'a' end }\n"
		"rule 'b' { on = 'x', mode = 'parallel', run = function(e) wait '1h' note 'b' end }\n"
		"rule 'c' { on = 'x', mode = 'parallel', run = function(e) wait '1h' note 'c' end }");
	world_event(&w, "x", "{}"); /* event 100, chains 101 a, 102 b, 103 c */
	pairs[1].id = SPAN("103");
	judge_switch(w.judge, &s);
	world_event(&w, "x", "{}");
	has("{\"rule\":\"a\",\"v\":\"suspended\"");
	has("{\"rule\":\"b\",\"v\":\"struck\"");
	has("{\"rule\":\"c\",\"v\":\"started\"");
	world_advance(&w, "1h");
	assert_int_equal(world_count(&w, CHAIN_SUSPENDED), 1);
	assert_int_equal(world_count(&w, CHAIN_STUCK), 1);
	assert_int_equal(w.n_notes, 2); /* b of the first, c of the second */
	judge_switch(w.judge, &none);
	world_chain(&w, 0)->state = CHAIN_WAITING;
	world_chain(&w, 0)->wake_us = w.now_us;
	world_due(&w);
	has("note a");
	world_close(&w);
}

static void rules_that_fail_often_are_reported(void **state)
{
	unsigned suspended = 0;

	(void)state;
	open_one(
		"rule 'r' { on = 'x', when = function(e) return e.n > 1 end, run = function(e) end }");
	for (int i = 0; i < 30; i++)
		world_event(&w, "x", "{\"n\":1}");
	for (int i = 0; i < 25; i++) {
		world_event(&w, "x", "{}");
		suspended += world_has(&w, " suspend ");
		assert_int_equal(world_has(&w, " suspend "), i == 19);
	}
	assert_int_equal(suspended, 1);
	world_close(&w);
}

/* A store that left the configuration starts nothing, and its chains are not run. */
static void stores_that_are_gone_run_nothing(void **state)
{
	(void)state;
	open_one(
		"rule 'r' { on = 'x', mode = 'parallel', run = function(e) wait '1h' note 'went on' end }");
	world_event(&w, "x", "{}");
	w.shop.is_gone = true;
	world_event(&w, "x", "{}");
	assert_int_equal(w.customers[0].n_chains, 1);
	world_advance(&w, "2h");
	has_not("note went on");
	has("stuck");
	world_close(&w);
}

/* P8: what the configuration says now is no concern of what was answered then. */
static void recorded_calendars_outlive_their_group(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', run = function() wait_until(working('30m', 'sales')) "
		 "wait '10d' note 'went on' end }");
	world_event(&w, "x", "{}");
	world_advance(&w, "4d");
	assert_int_equal(w.customers[0].n_chains, 1);
	w.staff.ngroups = 0;
	world_advance(&w, "11d");
	has("note went on");
	world_close(&w);
}

/* P7: a suspension that was decided in a batch that did not commit is decided again. */
static void runs_of_a_lost_batch_do_not_count(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', when = function(e) return e.n > 1 end, "
		 "run = function(e) end }");
	for (int i = 0; i < 19; i++)
		world_event(&w, "x", "{}");
	for (int i = 0; i < 3; i++) {
		w.lose_batch = true;
		world_event(&w, "x", "{}");
		has(" suspend ");
	}
	world_event(&w, "x", "{}");
	has(" suspend ");
	world_event(&w, "x", "{}");
	has_not(" suspend ");
	world_close(&w);
}

static int64_t slow_ticks;
static int64_t ticks(void *arg)
{
	(void)arg;
	return slow_ticks += 1000;
}

static void time_for_a_batch_ends(void **state)
{
	struct world_file file = { "a.lua",
		"rule 'r' { on = 'x', run = function(e) note 'n' end }" };

	(void)state;
	open_one(file.text);
	w.env.ticks_us = ticks;
	w.env.limits.batch_us = 2000;
	world_reload(&w, &file, 1);
	world_post(&w, 0, "x", "{}");
	world_post(&w, 1, "x", "{}");
	world_run(&w);
	has("visit 1\n");
	has("visit 2 left");
	assert_int_equal(w.n_notes, 1);
	world_close(&w);
}

/*** determinism ***/

static const struct world_file everything[] = {
	{ "a.lua",
		"rule 'cart' { on = 'cart.updated', mode = 'restart', exit_on = 'order.placed',\n"
		"  when = function(cart, c) return cart.total >= 10 and count('cart.updated') < 50 end,\n"
		"  run = function(cart, c)\n"
		"    wait '1h'\n"
		"    local m = email { template = 'cart-reminder', with = { cart = c.cart, n = c.orders.count } }\n"
		"    if wait('1d', m.clicked) then note 'clicked' return end\n"
		"    local t = task { title = 'Call ' .. (c.name or '?'), group = 'sales', deadline = working '2h' }\n"
		"    local d = wait(t)\n"
		"    note('task ' .. d.outcome .. now():format ' %d.%m. %H:%M')\n"
		"  end }\n"
		"rule 'order' { on = 'order.placed', key = 'order_id', mode = 'queued',\n"
		"  run = function(o, c)\n"
		"    set { last_total = o.total, list = { 3, 2, 1 } }\n"
		"    for k, v in pairs(c.attributes) do note(k .. type(v)) end\n"
		"    tag('t' .. o.order_id)\n"
		"    emit('order.seen', { order_id = o.order_id, total = o.total })\n"
		"    local e = wait('2d', { 'order.shipped', on('order.status_changed', { status = 'packed' }) })\n"
		"    note((e and e.meta.type or 'none') .. #c.tags .. ' ' .. c.orders.total)\n"
		"    if happened('page.viewed') then note('viewed ' .. count('page.*')) end\n"
		"    wait_until(next_time 'workday 10:00')\n"
		"    note(split { a = 1, b = 1, c = 1 } .. #orders { limit = 5 })\n"
		"  end }\n" },
	{ "b.lua",
		"rule 'seen' { on = 'order.*', mode = 'parallel', run = function(o) note('seen ' .. o.meta.type) end }" },
};

/* One history; cut: how many events go together. */
static void live_through(bool forget, size_t cut, struct buf *out)
{
	static const struct {
		const char *type, *data;
	} events[] = {
		{ "cart.updated",
			"{\"total\":20,\"products\":[{\"product_id\":\"p\",\"price\":20}]}" },
		{ "page.viewed", "{\"url\":\"u\"}" },
		{ "cart.updated", "{\"total\":2}" },
		{ "order.placed", "{\"order_id\":\"1\",\"total\":10.5}" },
		{ "page.viewed", "{\"url\":\"v\"}" },
		{ "order.placed", "{\"order_id\":\"1\",\"total\":10.5}" },
		{ "cart.updated", "{\"total\":30.25}" },
		{ "order.updated", "{\"order_id\":\"1\",\"status\":\"packed\"}" },
		{ "order.placed", "{\"order_id\":\"2\",\"total\":99}" },
		{ "cart.updated", "{\"total\":40}" },
	};

	world_open(&w, everything, 2);
	w.forget_judge = forget;
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		world_post(&w, 0, events[i].type, events[i].data);
		if (w.n_pending == cut)
			world_run(&w);
	}
	if (w.n_pending)
		world_run(&w);
	world_advance(&w, "2h");
	about_message("message.sent", "");
	world_advance(&w, "5d");
	world_dump(&w, out);
	world_close(&w);
}

/* One customer's many events must not hold everybody up: what there is no time for comes again. */
static void time_for_a_customer_ends_between_events(void **state)
{
	struct world_file file = {
		"a.lua",
		"rule 'r' { on = 'x', mode = 'parallel', run = function(e) note('n' .. e.n) end }"
	};
	struct shop_event *e[6];
	char data[16];

	(void)state;
	open_one(file.text);
	w.env.ticks_us = ticks;
	w.env.limits.batch_us = 10000;
	world_reload(&w, &file, 1);
	for (int i = 0; i < 6; i++) {
		snprintf(data, sizeof data, "{\"n\":%d}", i);
		e[i] = world_post(&w, 0, "x", data);
	}
	world_run(&w);
	assert_int_equal(e[0]->status, EVENT_ACCEPTED);
	assert_int_equal(e[5]->status, EVENT_NEW);
	for (int i = 1; i < 6; i++) /* a prefix of them */
		assert_true(e[i]->status == EVENT_NEW || e[i - 1]->status == EVENT_ACCEPTED);
	has("note n0");
	has_not("note n5");
	world_close(&w);
}

/* Events that cause events must not grow without end. */
static void what_follows_from_an_event_is_bounded(void **state)
{
	(void)state;
	open_one("rule 'r' { on = 'x', mode = 'parallel', run = function(e)\n"
		 "  for i = 1, 20 do emit('x', {}) end end }");
	world_event(&w, "x", "{}");
	has("may cause 1000 effects at most (limit)");
	assert_in_range(w.n_events, 900, 1002);
	world_close(&w);
}

static void histories_come_out_the_same(void **state)
{
	struct buf straight = { 0 }, again = { 0 };

	(void)state;
	live_through(false, 10, &straight);
	assert_non_null(strstr(straight.p, "task overdue"));
	assert_non_null(strstr(straight.p, "seen order.seen"));
	for (int forget = 0; forget < 2; forget++)
		for (size_t cut = 1; cut <= 10; cut += 3) {
			buf_clear(&again);
			live_through(forget, cut, &again);
			assert_string_equal(straight.p, again.p);
		}
	buf_free(&straight);
	buf_free(&again);
}

static void errors_of_files_name_the_line(void **state)
{
	struct world_file bad = { "bad.lua",
		"rule 'r' { on = 'x',\n run = function() emial { } end }\n)" };
	struct err err;

	(void)state;
	open_one("rule 'r' { on = 'x', run = function() end }");
	assert_false(world_try_load(&w, &bad, 1, &err));
	assert_non_null(strstr(err.text, "bad.lua:3"));
	world_close(&w);
}

/* Each question is a round trip, for which everybody in the batch waits. */
static void questions_are_limited(void **state)
{
	struct world_file files[] = {
		{ "a.lua", "rule 'many' { on = 'x', run = function(e)\n"
			   "  for i = 1, 1e9 do count('y' .. i) end end }\n"
			   "rule 'when' { on = 'x', when = function(e)\n"
			   "  for i = 1, 1e9 do count('z' .. i) end end, run = function() end }\n"
			   "rule 'alone' { on = 'alone', run = function(e)\n"
			   "  for i = 1, 1e9 do count('y' .. i) end end }" },
		{ "b.lua",
			"rule 'few' { on = 'x', run = function(e)\n"
			"  local n = 0 for k = 1, 2 do for i = 1, 90 do n = n + 1 + count('f' .. i) end end\n"
			"  note('asked ' .. n) end }" },
	};

	(void)state;
	world_open(&w, files, 2);
	world_event(&w, "x", "{}");
	assert_in_range(w.n_rounds, 100, 400);
	assert_true(world_has(&w, "a.lua:2: an evaluation may ask 100 different things at most"));
	assert_true(world_has(&w, "a.lua:4: an evaluation may ask 100 different things at most"));
	assert_true(world_has(&w, "note asked 180"));
	world_event(&w, "alone", "{}"); /* what it asked last is not asked for ever */
	assert_in_range(w.n_rounds, 100, 101);
	assert_true(world_has(&w, "a.lua:6: an evaluation may ask 100 different things at most"));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_starts_a_chain_that_mails),
		cmocka_unit_test(refused_messages_are_written_and_over),
		cmocka_unit_test(languages_fall_back),
		cmocka_unit_test(tasks_become_overdue_or_done),
		cmocka_unit_test(done_and_overdue_race),
		cmocka_unit_test(cards_change_at_once),
		cmocka_unit_test(publishes_and_emits),
		cmocka_unit_test(modes),
		cmocka_unit_test(keys_cooldown_and_age),
		cmocka_unit_test(too_many_chains),
		cmocka_unit_test(limits_that_come_near),
		cmocka_unit_test(verdicts_tell_what_was_read),
		cmocka_unit_test(limits_of_a_chain),
		cmocka_unit_test(emitted_events_wake_chains),
		cmocka_unit_test(imports_make_cards_only),
		cmocka_unit_test(exits_end_chains_and_withdraw),
		cmocka_unit_test(a_chain_is_immune_to_its_own_events),
		cmocka_unit_test(waits_are_answered_by_events),
		cmocka_unit_test(message_time_runs_from_hand_over),
		cmocka_unit_test(a_message_in_doubt_counts_as_handed_over),
		cmocka_unit_test(outcomes_there_already_answer_at_once),
		cmocka_unit_test(a_message_that_expires_has_failed),
		cmocka_unit_test(lateness_counts_from_the_end_of_the_time),
		cmocka_unit_test(a_message_that_is_being_sent_has_not_failed),
		cmocka_unit_test(bare_handles_end_by_themselves),
		cmocka_unit_test(moments),
		cmocka_unit_test(days_are_calendar_days),
		cmocka_unit_test(questions_see_the_past_and_this_batch),
		cmocka_unit_test(orders_and_products),
		cmocka_unit_test(happened_since_the_start),
		cmocka_unit_test(split_is_stable),
		cmocka_unit_test(the_first_wrong_field_is_told),
		cmocka_unit_test(failures_stay_alone),
		cmocka_unit_test(a_failed_stretch_can_be_retried),
		cmocka_unit_test(histories_that_disagree_are_stuck),
		cmocka_unit_test(chains_finish_on_their_own_text),
		cmocka_unit_test(texts_of_newer_daemons_are_left),
		cmocka_unit_test(late_waits_obey_their_rule),
		cmocka_unit_test(switches_hold_rules),
		cmocka_unit_test(rules_that_fail_often_are_reported),
		cmocka_unit_test(runs_of_a_lost_batch_do_not_count),
		cmocka_unit_test(stores_that_are_gone_run_nothing),
		cmocka_unit_test(recorded_calendars_outlive_their_group),
		cmocka_unit_test(time_for_a_batch_ends),
		cmocka_unit_test(time_for_a_customer_ends_between_events),
		cmocka_unit_test(what_follows_from_an_event_is_bounded),
		cmocka_unit_test(histories_come_out_the_same),
		cmocka_unit_test(errors_of_files_name_the_line),
		cmocka_unit_test(questions_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
