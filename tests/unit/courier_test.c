/* courier_test.c: the pure parts of couriers: verdicts, decisions, retries, topics. */
#include "base/clock.h"
#include "courier/decide.h"
#include "courier/mail.h"
#include "courier/mqttout.h"
#include "courier/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void verdicts_follow_the_answers(void **state)
{
	static const struct {
		struct mail_answers a;
		enum courier_end end;
	} cases[] = {
		{ { 250, 250, 250, true }, COURIER_SENT },
		{ { 250, 251, 250, true }, COURIER_SENT },
		{ { 250, 250, 354, true }, COURIER_UNKNOWN }, /* no answer to the end of the text */
		{ { 250, 250, 0, true }, COURIER_UNKNOWN },
		{ { 250, 250, 554, true }, COURIER_REFUSED },
		{ { 250, 250, 451, true }, COURIER_LATER },
		{ { 250, 250, 354, false }, COURIER_LATER },  /* broken off inside the text */
		{ { 250, 450, 250, true }, COURIER_UNKNOWN }, /* can not be; never SENT */
		{ { 250, 550, 0, false }, COURIER_REFUSED },
		{ { 250, 450, 0, false }, COURIER_LATER },
		{ { 250, 250, 550, false }, COURIER_REFUSED }, /* to DATA */
		{ { 250, 250, 421, false }, COURIER_LATER },
		{ { 550, 0, 0, false }, COURIER_LATER }, /* our sender: a person must look */
		{ { 552, 0, 0, false }, COURIER_REFUSED }, { { 450, 0, 0, false }, COURIER_LATER },
		{ { 0, 0, 0, false }, COURIER_LATER }, /* no connection */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (mail_verdict(&cases[i].a) != cases[i].end)
			fail_msg("case %zu: %s", i, courier_end_name(mail_verdict(&cases[i].a)));
}

static void retries_double_up_to_a_day(void **state)
{
	const struct retry_options o = { 60, 4 * 3600, 24 * 3600 };
	int64_t delay, all = 0;
	int n = 1;

	(void)state;
	assert_true(retry_delay(&o, 1, &delay) && delay == 60);
	assert_true(retry_delay(&o, 2, &delay) && delay == 120);
	assert_true(retry_delay(&o, 8, &delay) && delay == 60 * 128);
	assert_true(retry_delay(&o, 9, &delay) && delay == 4 * 3600);
	while (retry_delay(&o, n, &delay)) {
		all += delay;
		n++;
	}
	assert_true(all <= 24 * 3600 && all > 16 * 3600 && n < 30);
	assert_false(retry_delay(&o, 1000000, &delay));
}

static void topics_only_to(void **state)
{
	static const char *const list[] = { "nudged/shop/a", "nudged/shop/b/#" };

	(void)state;
	assert_true(mqttout_is_among("nudged/shop/a", list, 2));
	assert_true(mqttout_is_among("nudged/shop/b/c/d", list, 2));
	assert_false(mqttout_is_among("nudged/shop/ab", list, 2));
	assert_false(mqttout_is_among("nudged/shop/bb", list, 2));
	assert_false(mqttout_is_among("nudged/shop/b", list, 2));
}

/*** decisions ***/

static const struct shop shop = { .id = "shop", .consent_transactional = true };
static struct claim claim;
static struct decide_facts facts;

static int good_facts(void **state)
{
	(void)state;
	claim = (struct claim){ .m = { .shop = &shop,
					.rule = SPAN("cart"),
					.channel = CHANNEL_EMAIL,
					.class_ = CLASS_MARKETING,
					.to = SPAN("anna@example.com"),
					.expires_us = TIME_NONE },
		.is_own = true,
		.now_us = 1000 };
	claim.card.text[CARD_EMAIL] = claim.m.to;
	claim.card.json[CARD_CONSENT] = SPAN("{\"email\":true}");
	facts = (struct decide_facts){ .c = &claim, .chain_live = true };
	return 0;
}

static void expect(enum decide_outcome outcome, const char *code)
{
	const char *got;
	enum decide_outcome was = decide(&facts, &got);

	if (was != outcome || strcmp(got, code) != 0)
		fail_msg("%s %s, not %s %s", decide_outcome_name(was), got,
			decide_outcome_name(outcome), code);
}

static void a_good_message_goes(void **state)
{
	(void)state;
	expect(DECIDE_SEND, "ok");
}

static void ended_and_expired_come_first(void **state)
{
	(void)state;
	facts.pauses = SPAN("all");
	claim.m.expires_us = 1000;
	expect(DECIDE_EXPIRE, "expired");
	claim.m.expires_us = 1001;
	expect(DECIDE_HOLD, "paused");
	facts.chain_live = false;
	expect(DECIDE_WITHDRAW, "chain_ended");
}

static void pauses_are_of_one_scope(void **state)
{
	static const char *const holds[] = { "all", "x\nall", "channel:email", "rule:cart",
		"rule:a\nrule:cart\nrule:b" };
	static const char *const passes[] = { "", "channel:publish", "rule:car", "rule:cart2",
		"rule:", "allx" };

	(void)state;
	for (size_t i = 0; i < sizeof holds / sizeof *holds; i++) {
		facts.pauses = span_of(holds[i]);
		expect(DECIDE_HOLD, "paused");
	}
	for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
		facts.pauses = span_of(passes[i]);
		expect(DECIDE_SEND, "ok");
	}
}

static void consent_is_the_cards(void **state)
{
	(void)state;
	claim.card.json[CARD_CONSENT] = SPAN("{\"email\":false,\"sms\":true}");
	expect(DECIDE_REFUSE, "no_consent");
	claim.card.json[CARD_CONSENT] = SPAN("{}");
	expect(DECIDE_REFUSE, "no_consent");
	claim.m.class_ = CLASS_TRANSACTIONAL;
	expect(DECIDE_SEND, "ok");
	claim.card.json[CARD_CONSENT] = SPAN("{\"email\":false}");
	expect(DECIDE_SEND, "ok");
	claim.is_own = false;
	claim.m.class_ = CLASS_BULK;
	expect(DECIDE_SEND, "ok"); /* managers are not asked */
}

static void suppression_is_of_the_address(void **state)
{
	(void)state;
	facts.suppressed = SPAN("unsubscribed");
	expect(DECIDE_REFUSE, "suppressed");
	claim.m.class_ = CLASS_TRANSACTIONAL;
	expect(DECIDE_SEND, "ok");
	facts.suppressed = SPAN("bounced");
	expect(DECIDE_REFUSE, "suppressed");
	claim.is_own = false;
	expect(DECIDE_REFUSE, "suppressed");
}

static void addresses_are_checked(void **state)
{
	static const char *const list[] = { "@shop.test" };

	(void)state;
	facts.only_to = list;
	facts.n_only_to = 1;
	expect(DECIDE_REFUSE, "only_to");
	claim.m.to = claim.card.text[CARD_EMAIL] = SPAN("x@shop.test");
	expect(DECIDE_SEND, "ok");
	claim.m.to = SPAN("x@shop.test\r\nDATA");
	expect(DECIDE_REFUSE, "bad_address");
	claim.m.to = claim.card.text[CARD_EMAIL] = (struct span){ NULL, 0 };
	expect(DECIDE_REFUSE, "no_address");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(verdicts_follow_the_answers),
		cmocka_unit_test(retries_double_up_to_a_day), cmocka_unit_test(topics_only_to),
		cmocka_unit_test_setup(a_good_message_goes, good_facts),
		cmocka_unit_test_setup(ended_and_expired_come_first, good_facts),
		cmocka_unit_test_setup(pauses_are_of_one_scope, good_facts),
		cmocka_unit_test_setup(consent_is_the_cards, good_facts),
		cmocka_unit_test_setup(suppression_is_of_the_address, good_facts),
		cmocka_unit_test_setup(addresses_are_checked, good_facts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
