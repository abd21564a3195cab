/* address_test.c: what may stand in an SMTP dialogue, and what not. */
#include "courier/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool check(const char *text)
{
	struct err err;

	return address_check(span_of(text), &err);
}

static void good_addresses_pass(void **state)
{
	static const char *const good[] = { "a@b.test", "Anna.Ivanova+shop@mail.example.com",
		"o'neil@example.co.uk", "x_y-z=1@a-b.example", "1@2.test",
		"a@xn--e1afmkfd.xn--p1ai", "!#$%&'*+-/=?^_`{|}~@example.com", "a@3com.test" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!check(good[i]))
			fail_msg("refused: %s", good[i]);
}

static void bad_addresses_do_not(void **state)
{
	static const char *const bad[] = { "", "a", "@", "a@", "@b.test", "a@b", "a b@c.test",
		"a@b c.test", "\"a\"@b.test", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@127.0.0.1",
		"a@b.test\r\nRCPT TO:<x@y.test>", "a@b.test>", "<a@b.test>", "a@b.test ",
		" a@b.test", "a@b.test,c@d.test", "a@b@c.test", ".a@b.test", "a.@b.test",
		"a..b@c.test", "a@-b.test", "a@b-.test", "a@b..test", "a@.b.test", "a@b.test.",
		"a(x)@b.test", "a@b_c.test", "\xd0\xb0@b.test", "a@\xd0\xb1.test", "a\x7f@b.test",
		"a\t@b.test", "a;b@c.test", "a:b@c.test", "a\\b@c.test" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (check(bad[i]))
			fail_msg("passed: %s", bad[i]);
	assert_false(address_check((struct span){ "a@b.te\0st", 9 }, &(struct err){ .text = "" }));
}

static void lengths_are_those_of_the_rfc(void **state)
{
	char text[400];

	(void)state;
	snprintf(text, sizeof text, "%.*s@b.test", 64,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_true(check(text));
	snprintf(text, sizeof text, "%.*s@b.test", 65,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_false(check(text));
	strcpy(text, "a@");
	for (int i = 0; i < 126; i++)
		strcat(text, "b.");
	strcat(text, "c");
	assert_true(check(text)); /* 253 */
	strcat(text, "c");
	assert_false(check(text));
}

static void foreign_letters_have_their_own_reason(void **state)
{
	struct err err;

	(void)state;
	assert_false(address_check(SPAN("\xd0\xb0\xd0\xbd\xd1\x8f@b.test"), &err));
	assert_non_null(strstr(err.text, "ASCII"));
	assert_null(strstr(err.text, "b.test"));
}

static void expect_parts(const char *text, const char *name, const char *mailbox)
{
	struct address a;
	struct err err;

	assert_true(address_parse(span_of(text), &a, &err));
	assert_true(span_is(a.name, name));
	assert_true(span_is(a.mailbox, mailbox));
}

static void names_stand_before_the_address(void **state)
{
	struct address a;
	struct err err;

	(void)state;
	expect_parts("a@b.test", "", "a@b.test");
	expect_parts(" <a@b.test> ", "", "a@b.test");
	expect_parts("The Shop <a@b.test>", "The Shop", "a@b.test");
	expect_parts("\"Shop, The\" <a@b.test>", "Shop, The", "a@b.test");
	expect_parts("5 < 6 <a@b.test>", "5 < 6", "a@b.test");
	assert_false(address_parse(SPAN("Shop <a@b.test"), &a, &err));
	assert_false(address_parse(SPAN("Shop a@b.test"), &a, &err));
	assert_true(span_is(address_domain(SPAN("a@b.test")), "b.test"));
}

static void only_to_knows_addresses_and_domains(void **state)
{
	static const char *const list[] = { "anna@example.com", "@shop.test" };

	(void)state;
	assert_true(address_is_among(SPAN("Anna@Example.com"), list, 2));
	assert_true(address_is_among(SPAN("x@SHOP.test"), list, 2));
	assert_false(address_is_among(SPAN("bob@example.com"), list, 2));
	assert_false(address_is_among(SPAN("xanna@example.com"), list, 2));
	assert_false(address_is_among(SPAN("x@evilshop.test"), list, 2));
	assert_false(address_is_among(SPAN("x@shop.test.evil.test"), list, 2));
	assert_false(address_is_among(SPAN("@shop.test"), list, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good_addresses_pass),
		cmocka_unit_test(bad_addresses_do_not),
		cmocka_unit_test(lengths_are_those_of_the_rfc),
		cmocka_unit_test(foreign_letters_have_their_own_reason),
		cmocka_unit_test(names_stand_before_the_address),
		cmocka_unit_test(only_to_knows_addresses_and_domains) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
