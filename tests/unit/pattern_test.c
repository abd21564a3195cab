/* The bounded pattern matcher against Lua's own, and its bounds. */
#include "engine/pattern.h"

#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const subjects[] = { "", "a", "hello world", "  key = value  ", "a.b.c", "aaa",
	"THE (quick) fox", "x=1, y=22, z=333", "f(a(b)c)d)", "[[x]]", "abcabc", "a\0b",
	"2026-11-21", "anna@example.com", "\xd0\x90\xd0\xbd\xd0\xbd\xd0\xb0", "%d", "^$", "aXbXc",
	"-", "]" };
static const char *const patterns[] = { "", "a", ".", ".*", ".-", "^a", "a$", "^$", "^a*$", "%a+",
	"%s*(%w+)%s*=%s*(%w+)", "(%d+)-(%d+)-(%d+)", "%b()", "%f[%a]%a+", "%f[%A]", "(a)(b)?", "()",
	"()a()", "[abc]+", "[^abc]+", "[a-c%d]", "[]]", "[^]]", "[a-]", "[-a]", "[%]]", "(.)%1",
	"(%a+)%1", "a-b", "a?b?c?", "%%", "%.", "x*", "(a*(.)%w(%s*))", "[%a%.]+@[%a%.]+", "$",
	"a$b", "%u%u+", "%x+", "%W", "%S+", "[^%s]+", "((a)(b))", "a+b-c*d?", "(.-)%s", "X(.-)X",
	"%p", "%c", "[a-z]+$", ".-$", "^.-(%d)", "(()a)", "^^", "[%a-z]", "(a)*", "%b()*", "[a]]" };

static int compare(lua_State *L, const char *s, size_t n, const char *pattern)
{
	struct pattern p;
	struct pattern_match m = { .steps = 0 };
	const char *fault;
	unsigned i;
	bool found;

	lua_settop(L, 0);
	lua_getglobal(L, "string");
	lua_getfield(L, -1, "find");
	lua_pushlstring(L, s, n);
	lua_pushstring(L, pattern);
	if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK)
		return 0;
	assert_true(pattern_compile(&p, span_of(pattern), true, &fault));
	found = pattern_search(&p, (struct span){ s, n }, 0, &m) == PATTERN_FOUND;
	if (found != !lua_isnil(L, 2))
		fail_msg("\"%s\" in \"%s\": %d", pattern, s, found);
	if (!found)
		return 1;
	assert_int_equal(m.from - s + 1, lua_tointeger(L, 2));
	assert_int_equal(m.to - s, lua_tointeger(L, 3));
	assert_int_equal(lua_gettop(L) - 3, p.n_captures);
	for (i = 0; i < p.n_captures; i++) {
		size_t len;
		const char *text;

		if (m.captures[i].is_position) {
			assert_int_equal(m.captures[i].p - s + 1, lua_tointeger(L, 4 + (int)i));
			continue;
		}
		text = lua_tolstring(L, 4 + (int)i, &len);
		assert_int_equal(len, m.captures[i].n);
		assert_memory_equal(text, m.captures[i].p, len);
	}
	return 1;
}

static void agrees_with_lua(void **state)
{
	lua_State *L = luaL_newstate();
	size_t i, k;
	int n = 0;

	(void)state;
	luaL_openlibs(L);
	for (i = 0; i < sizeof subjects / sizeof *subjects; i++)
		for (k = 0; k < sizeof patterns / sizeof *patterns; k++)
			n += compare(
				L, subjects[i], i == 11 ? 3 : strlen(subjects[i]), patterns[k]);
	assert_true(n > 1000);
	lua_close(L);
}

/* Patterns put together at random from pieces that hurt. */
static void agrees_on_random_patterns(void **state)
{
	static const char *const pieces[] = { "a", "b", ".", "%a", "%d", "[ab]", "[^a]", "*", "+",
		"-", "?", "(", ")", "()", "%1", "%b()", "%f[a]", "$", "^", " ", "%s", "[%w-]",
		"%%" };
	lua_State *L = luaL_newstate();
	unsigned seed = 12345, i, k;
	int n = 0;

	(void)state;
	luaL_openlibs(L);
	for (i = 0; i < 20000; i++) {
		char pattern[64] = "", subject[16] = "";
		unsigned len;

		seed = seed * 1103515245u + 12345u;
		len = (seed >> 16) % 6 + 1;
		for (k = 0; k < len; k++) {
			seed = seed * 1103515245u + 12345u;
			strcat(pattern, pieces[(seed >> 16) % (sizeof pieces / sizeof *pieces)]);
		}
		seed = seed * 1103515245u + 12345u;
		len = (seed >> 16) % 12;
		for (k = 0; k < len; k++) {
			seed = seed * 1103515245u + 12345u;
			subject[k] = "ab1 ()-^"[(seed >> 16) % 8];
		}
		struct pattern p;
		const char *fault;

		if (pattern_compile(&p, span_of(pattern), true, &fault))
			n += compare(L, subject, strlen(subject), pattern);
	}
	assert_true(n > 5000);
	lua_close(L);
}

static void refuses_malformed(void **state)
{
	static const char *const bad[] = { "%", "[a", "[", "(", ")", "%1", "(%1)", "%b", "%bx",
		"%f", "%fa", "[%", "(()", "a)" };
	struct pattern p;
	const char *fault;
	char longest[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (pattern_compile(&p, span_of(bad[i]), true, &fault))
			fail_msg("accepted %s", bad[i]);
		assert_non_null(fault);
	}
	memset(longest, 'a', sizeof longest);
	assert_false(pattern_compile(&p, (struct span){ longest, sizeof longest }, true, &fault));
	memset(longest, '(', sizeof longest);
	assert_false(pattern_compile(&p, (struct span){ longest, 200 }, true, &fault));
}

static void gives_up(void **state)
{
	static char text[60000];
	struct pattern p;
	struct pattern_match m = { .steps = 0 };
	const char *fault;

	(void)state;
	memset(text, 'a', sizeof text);
	assert_true(pattern_compile(&p, SPAN(".-.-.-.-x"), true, &fault));
	assert_int_equal(pattern_search(&p, (struct span){ text, 3000 }, 0, &m), PATTERN_TOO_LONG);
	m.steps = 0;
	assert_true(pattern_compile(&p, SPAN("a*a*a*b"), true, &fault));
	assert_int_equal(
		pattern_search(&p, (struct span){ text, sizeof text }, 0, &m), PATTERN_TOO_LONG);
	m.steps = 0;
	assert_true(pattern_compile(&p, SPAN("^%a+$"), true, &fault));
	assert_int_equal(
		pattern_search(&p, (struct span){ text, sizeof text }, 0, &m), PATTERN_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_lua),
		cmocka_unit_test(agrees_on_random_patterns),
		cmocka_unit_test(refuses_malformed),
		cmocka_unit_test(gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
