/* The sandbox: what rules can not reach, what stops them, and what stays the same in every process. */
#include "engine/script.h"

#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
enum { SLOW = 10 };
#else
enum { SLOW = 1 };
#endif

static int64_t ticks(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static const struct script_limits limits = { 16 << 20, 100000, ticks, NULL };

/* A function compiled from text, and what it answered. */
struct job {
	const char *text;
	char answer[200];
};

static int job_push(lua_State *L, void *ud)
{
	struct job *job = ud;

	script_compile(L, "t.lua", span_of(job->text));
	return 0;
}

static void job_done(lua_State *L, int n, void *ud)
{
	struct job *job = ud;

	job->answer[0] = '\0';
	if (n > 0 && lua_isstring(L, -n))
		snprintf(job->answer, sizeof job->answer, "%s", lua_tostring(L, -n));
}

static enum script_result job_run(struct script *s, struct job *job, struct err *err)
{
	struct script_run *run = script_run_start(s, job_push, job_done, job, NULL);
	enum script_result r = script_run_resume(run, err);

	script_run_end(run);
	return r;
}

static void expect(struct script *s, const char *text, const char *answer)
{
	struct job job = { .text = text };
	struct err err;

	if (job_run(s, &job, &err) != SCRIPT_DONE)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(job.answer, answer);
}

static void expect_error(struct script *s, const char *text, const char *part)
{
	struct job job = { .text = text };
	struct err err;

	if (job_run(s, &job, &err) != SCRIPT_ERROR)
		fail_msg("no error: %s", text);
	if (!strstr(err.text, part))
		fail_msg("%s: \"%s\" is not in \"%s\"", text, part, err.text);
}

static void bombs_are_stopped(void **state)
{
	char path[500], line[1000];
	const char *dir = getenv("srcdir");
	FILE *f;
	int n = 0;

	(void)state;
	snprintf(path, sizeof path, "%s/tests/data/lua_bombs.txt", dir ? dir : ".");
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		struct script *s;
		struct job job = { .text = line };
		struct err err = { "", "" };
		int64_t began;

		if (line[0] == '#' || line[0] == '\n')
			continue;
		s = script_new(&limits);
		began = ticks(NULL);
		(void)!job_run(s, &job, &err);
		began = ticks(NULL) - began;
		if (getenv("BOMBS"))
			printf("%6ld us %s    %s\n", (long)began, line, err.text);
		if (began > 200000 * SLOW)
			fail_msg("%ld us: %s", (long)began, line);
		expect(s, "return 1 + 1", "2"); /* the state lives on */
		script_free(s);
		n++;
	}
	fclose(f);
	assert_true(n > 60);
}

static void names_by_allow_list(void **state)
{
	static const char *const gone[] = { "os", "io", "debug", "load", "loadfile", "dofile",
		"collectgarbage", "next", "pcall", "xpcall", "coroutine", "setmetatable",
		"getmetatable", "rawget", "rawset", "package", "print", "_G", "math.random",
		"string.dump", "string.pack", "os" };
	struct script *s = script_new(&limits);
	char text[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof gone / sizeof *gone; i++) {
		snprintf(text, sizeof text, "return (%s).x", gone[i]);
		expect_error(s, text, "t.lua:1:");
	}
	expect_error(s, "return os.time()", "\"os\" is not available in rules");
	expect_error(
		s, "return tostrin(1)", "unknown name \"tostrin\"; did you mean \"tostring\"?");
	expect_error(s, "\n\nx = 1", "t.lua:3: could not set the global \"x\"; write \"local x\"");
	expect_error(s, "string.foo = 1", "constant");
	expect_error(s, "return _ENV[1]", "unknown name");
	expect_error(s, "return tostring({})", "can not be made text");
	expect_error(s, "return string.format('%s', {})", "can not be made text");
	expect_error(s, "return string.format('%p', 'x')", "%p");
	expect_error(s, "error({})", "t.lua:1: the error is a table");
	expect_error(s, "error('x', 0)", "t.lua:1: x");
	expect_error(s, "return 1 +", "t.lua:1:");
	expect_error(s, "\x1bLua", "binary chunk");
	script_free(s);
}

static void libraries_work(void **state)
{
	struct script *s = script_new(&limits);

	(void)state;
	expect(s, "return ('abc'):rep(2, '-')", "abc-abc");
	expect(s, "return (('hello world'):gsub('o', '0'))", "hell0 w0rld");
	expect(s, "return (('hello'):gsub('', '.'))", ".h.e.l.l.o.");
	expect(s, "return (('abc'):gsub('%w', '%0%0', 2))", "aabbc");
	expect(s, "return (('$name is $age'):gsub('%$(%w+)', {name='Anna', age=7}))", "Anna is 7");
	expect(s, "return (('abc'):gsub('.', function(c) if c=='b' then return 'X' end end))",
		"aXc");
	expect(s,
		"local r='' for k,v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do r=r..k..v end return r",
		"a1b2");
	expect(s, "local r='' for w in ('abc'):gmatch('') do r=r..'.' end return r", "....");
	expect(s, "return ('a.b'):find('.', 1, true)", "2");
	expect(s, "return ('hello'):match('l+')", "ll");
	expect(s, "return ('hello'):match('(h)(e)')", "h");
	expect(s, "return ('key = val'):match('^(%w+)%s*=%s*(%w+)$')", "key");
	expect(s, "return ('hello'):find('l', -2)", "4");
	expect(s, "return string.format('%5.2f|%d|%s|%q', 3.14159, 42, 'x', 'y')",
		" 3.14|42|x|\"y\"");
	expect(s, "local t={3,1,2} table.sort(t) return table.concat(t, ',')", "1,2,3");
	expect(s,
		"local t={3,1,2} table.sort(t, function(a,b) return a>b end) return table.concat(t)",
		"321");
	expect(s,
		"local t={} for i=1,50 do t[i]=(i*37)%50 end table.sort(t) return table.concat(t,' ',1,5)",
		"0 1 2 3 4");
	expect(s, "local t={1,2} table.insert(t,3) table.insert(t,1,0) return table.concat(t)",
		"0123");
	expect(s, "local t={1,2,3} return table.remove(t,1)..table.remove(t)..#t", "131");
	expect(s, "return table.concat(table.move({1,2,3},1,3,2))", "1123");
	expect(s, "return table.concat(table.move({1,2,3},2,3,1))", "233");
	expect(s, "local t = {1,2,3} return table.concat(table.move(t,1,3,2,t))", "1123");
	expect(s, "return select('#', table.unpack({1,2,nil,4}, 1, 4))", "4");
	expect(s, "return utf8.len('\xd0\x90\xd0\xbd')", "2");
	expect(s, "return math.floor(2.5) + math.max(1,2)", "4");
	expect(s, "return tostring(nil)..tostring(true)..tostring(1.5)", "niltrue1.5");
	expect(s, "return tonumber('0x10') + tonumber('7', 8)", "23");
	expect(s, "return type(1)..type({})..type('')", "numbertablestring");
	script_free(s);
}

static void pairs_in_fixed_order(void **state)
{
	struct script *s = script_new(&limits);

	(void)state;
	expect(s,
		"local t={z=1,a=2,[3]='c',[1]='a',[2]='b',[-1]='m',[1.5]='h',[true]=0,ab=3} local r='' "
		"for k,v in pairs(t) do r=r..tostring(k)..' ' end return r",
		"-1 1 1.5 2 3 a ab z true ");
	expect(s,
		"local t={a=1,b=2,c=3} local r='' for k in pairs(t) do r=r..k t.b=nil end return r",
		"ac");
	expect(s, "local r='' for i,v in ipairs({5,6}) do r=r..i..v end return r", "1526");
	expect_error(
		s, "for k in pairs({[{}]=1}) do end", "pairs can not order keys that are a table");
	script_free(s);
}

static void freeze_body(lua_State *L, void *ud)
{
	script_compile(L, "t.lua", span_of(*(const char **)ud));
	lua_call(L, 0, 1);
	script_freeze(L, -1);
}

static void loads_and_freezes(void **state)
{
	static const char *const bad[][2] = {
		{ "local n = 0\nreturn function() n = n + 1 end", "t.lua:2: changes \"n\"" },
		{ "local n\nlocal function f()\n local function g()\n  n = 1\n end\nend",
			"t.lua:4: changes \"n\"" },
		{ "do local x = 1\nlocal f = function() x = 2 end end", "t.lua:2: changes \"x\"" },
		{ "for i = 1, 3 do local f = function()\n\n i = 2 end end",
			"t.lua:3: changes \"i\"" },
		{ "_ENV = {}", "changes \"_ENV\"" },
		{ "local function f() _ENV = {} end", "changes \"_ENV\"" },
		{ "local function counter() local n = 0\nreturn function()\n n = n + 1 return n end end\n"
		  "return counter()",
			"t.lua:3: changes \"n\"" },
		{ "local it = ('a b'):gmatch('%a')\nreturn function() return it() end",
			"iterator" },
		{ "local function f()\n if false then\n  return tostrin(1)\n end\nend",
			"t.lua:3: unknown name \"tostrin\"; did you mean \"tostring\"?" },
		{ "return function() return function()\n return os.time() end end",
			"t.lua:2: \"os\" is not available in rules" },
		{ "return function() sms { text = 'x' } end",
			"t.lua:1: \"sms\" is not available in this version" },
		{ "return function() tostring = 1 end",
			"t.lua:1: could not set the global \"tostring\"; write \"local tostring\"" },
		{ "return function() local _ENV = { z = 1 } return function() return z end end",
			NULL },
		{ "local t = {}\nreturn function() t.x = 1 end", NULL },
		{ "local n = 0\nlocal function f(x) local m = x m = m + n return m end\nreturn f",
			NULL },
		{ "local function f() local n = 0 local function g() n = n + 1 end g() return n end return f",
			NULL },
		{ "local tonumber, pairs = tonumber, pairs\nreturn function() return tonumber('1') end",
			NULL },
	};
	struct script *s = script_new(&limits);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = { "", "" };
		const char *text = bad[i][0];
		bool ok = script_protect(s, freeze_body, &text, &err);

		if (ok != !bad[i][1] || (!ok && !strstr(err.text, bad[i][1])))
			fail_msg("%s: %s", bad[i][0], err.text);
	}
	script_free(s);
}

/* Lines are found in long functions too, where the dump has absolute entries, and over gaps. */
static void finds_lines_in_long_functions(void **state)
{
	static char text[60000];
	struct script *s = script_new(&limits);
	int gaps[] = { 0, 1, 2, 50, 126, 127, 128, 129, 200, 300, 1000, 3000 };
	size_t i;
	int k;

	(void)state;
	for (i = 0; i < sizeof gaps / sizeof *gaps; i++) {
		struct err err = { "", "" };
		const char *p = text;
		char expected[60];
		size_t n = (size_t)sprintf(text, "local n = 0\nlocal function f(a)\n");

		for (k = 0; k < gaps[i]; k++)
			n += (size_t)sprintf(text + n, k % 3 ? "a = a + 1\n" : "\n");
		for (k = 0; i % 2 && k < 300; k++)
			text[n++] = '\n';
		snprintf(expected, sizeof expected, "t.lua:%d: changes",
			3 + gaps[i] + (i % 2 ? 300 : 0));
		sprintf(text + n, "n = a\nend\nreturn f");
		assert_false(script_protect(s, freeze_body, &p, &err));
		if (!strstr(err.text, expected))
			fail_msg("%s, not %s", err.text, expected);
	}
	script_free(s);
}

/* A function that lives on, called again and again. */
static int kept = LUA_NOREF;

static void keep_body(lua_State *L, void *ud)
{
	freeze_body(L, ud);
	kept = luaL_ref(L, LUA_REGISTRYINDEX);
}
static int kept_push(lua_State *L, void *ud)
{
	(void)ud;
	lua_rawgeti(L, LUA_REGISTRYINDEX, kept);
	return 0;
}

static void expect_kept(const char *text, const char *answer, const char *error)
{
	struct script *s = script_new(&limits);
	struct job job = { .text = text };
	struct err err;
	struct script_run *run;

	assert_true(script_protect(s, keep_body, &text, &err));
	run = script_run_start(s, kept_push, job_done, &job, NULL);
	if (answer) {
		if (script_run_resume(run, &err) != SCRIPT_DONE)
			fail_msg("%s: %s", text, err.text);
		assert_string_equal(job.answer, answer);
	} else {
		assert_int_equal(script_run_resume(run, &err), SCRIPT_ERROR);
		if (!strstr(err.text, error))
			fail_msg("%s: %s", text, err.text);
	}
	script_run_end(run);
	script_free(s);
}

static void frozen_tables_read_like_tables(void **state)
{
	(void)state;
	expect_kept(
		"local t={1,2,3,x={y=5}} return function() local r=#t for i,v in ipairs(t) do r=r..v end "
		"for k,v in pairs(t) do r=r..tostring(k) end return r..t.x.y..table.concat(t)"
		"..table.unpack(t).. type(t) end",
		"3123123x51231table", NULL);
	expect_kept("local t={a={}} return function() t.a.b=1 end", NULL, "could not set \"b\"");
	expect_kept("local t={1} return function() t[1]=2 end", NULL, "constant");
	expect_kept("local t={1} return function() table.insert(t,1) end", NULL, "read-only");
	expect_kept("local t={2,1} return function() table.sort(t) end", NULL, "read-only");
	expect_kept(
		"local t={} t.t=t local u=t return function() return t.t==u and t.t.t==t and 'same' end",
		"same", NULL);
	expect_kept("local t={} local function get() return t end return function() get().x=1 end",
		NULL, "could not set \"x\"");
	expect_kept(
		"local t={f=function(self) return self.n end,n=7} return function() return t:f() end",
		"7", NULL);
}

/*** runs ***/

static int l_ask_answer(lua_State *L, int status, lua_KContext k)
{
	(void)status;
	(void)k;
	lua_pushinteger(L, *(int *)script_run_ctx(L));
	return 1;
}
static int l_ask(lua_State *L)
{
	return lua_yieldk(L, 0, 0, l_ask_answer);
}

static void runs_yield_and_go_on(void **state)
{
	static const luaL_Reg fns[] = { { "ask", l_ask }, { NULL, NULL } };
	struct script *s = script_new(&limits);
	struct job a = { .text = "local x = ask() return x + ask()" };
	struct job b = { .text = "return ask() * 2" };
	struct script_run *ra, *rb;
	struct err err;
	int ca = 1, cb = 21, i;

	(void)state;
	script_define(s, fns);
	for (i = 0; i < 50; i++) {
		ra = script_run_start(s, job_push, job_done, &a, &ca);
		rb = script_run_start(s, job_push, job_done, &b, &cb);
		assert_int_equal(script_run_resume(ra, &err), SCRIPT_YIELD);
		assert_int_equal(script_run_resume(rb, &err), SCRIPT_YIELD);
		ca = 10;
		assert_int_equal(script_run_resume(ra, &err), SCRIPT_YIELD);
		ca = 3;
		assert_int_equal(script_run_resume(rb, &err), SCRIPT_DONE);
		assert_string_equal(b.answer, "42");
		if (i % 2) { /* or is left where it stands */
			assert_int_equal(script_run_resume(ra, &err), SCRIPT_DONE);
			assert_string_equal(a.answer, "13");
		}
		script_run_end(ra);
		script_run_end(rb);
	}
	expect_error(s, "table.sort({2,1}, function(a, b) return ask() end)", "yield");
	script_free(s);
}

static void limits_are_told(void **state)
{
	const struct script_limits patient = { 16 << 20, 20 * 100000, ticks, NULL };
	struct script *s = script_new(&limits);
	struct job job = { .text = "while true do end" };
	struct script_run *run = script_run_start(s, job_push, job_done, &job, NULL);
	struct err err;

	(void)state;
	assert_int_equal(script_run_resume(run, &err), SCRIPT_ERROR);
	assert_true(script_run_hit_limit(run));
	assert_non_null(strstr(err.text, "t.lua:1: ran longer than 100 ms"));
	script_run_end(run);
	script_free(s);
	s = script_new(&patient);
	job.text = "local t = {}\nfor i = 1, 1e9 do t = {t} end";
	run = script_run_start(s, job_push, job_done, &job, NULL);
	assert_int_equal(script_run_resume(run, &err), SCRIPT_ERROR);
	assert_true(script_run_hit_limit(run));
	assert_non_null(strstr(err.text, "t.lua:2: needs more memory"));
	script_run_end(run);
	assert_false(script_load(s, "x.lua", SPAN("while true do end"), &err));
	assert_non_null(strstr(err.text, "x.lua:1: ran longer"));
	assert_true(script_load(s, "x.lua", SPAN("local t = 1"), &err));
	assert_false(script_load(s, "x.lua", SPAN("\x1bLua"), &err));
	assert_string_equal(err.text, "x.lua: attempt to load a binary chunk (mode is 't')");
	assert_false(script_load(s, "x.lua", SPAN("\nfoo()"), &err));
	assert_non_null(strstr(err.text, "x.lua:2: unknown name \"foo\""));
	script_free(s);
}

/* Memory that others hold does not count, what it holds itself over its waits does. */
static void memory_counts_over_yields(void **state)
{
	static const luaL_Reg fns[] = { { "ask", l_ask }, { NULL, NULL } };
	const struct script_limits patient = { 16 << 20, 20 * 100000, ticks, NULL };
	struct script *s = script_new(&patient);
	struct job job = {
		.text = "local t = {} for i = 1, 100 do t[i] = ('x'):rep(1<<19)..i ask() end"
	};
	struct script_run *run;
	struct err err;
	int n = 0, ctx = 1;

	(void)state;
	script_define(s, fns);
	run = script_run_start(s, job_push, job_done, &job, &ctx);
	while (script_run_resume(run, &err) == SCRIPT_YIELD)
		n++;
	if (n < 10 || n > 40)
		fail_msg("%d: %s", n, err.text);
	assert_true(script_run_hit_limit(run));
	script_run_end(run);
	script_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_by_allow_list),
		cmocka_unit_test(libraries_work),
		cmocka_unit_test(pairs_in_fixed_order),
		cmocka_unit_test(loads_and_freezes),
		cmocka_unit_test(finds_lines_in_long_functions),
		cmocka_unit_test(frozen_tables_read_like_tables),
		cmocka_unit_test(runs_yield_and_go_on),
		cmocka_unit_test(limits_are_told),
		cmocka_unit_test(memory_counts_over_yields),
		cmocka_unit_test(bombs_are_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
