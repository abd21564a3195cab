/*
 * One Lua state for rules.
 *
 * The limits hang on three things, because no single one sees everything.  The count hook looks at
 * the clock every SCRIPT_HOOK_EVERY instructions.  One instruction can be long (s .. "x", s == t):
 * so no block may be larger than SCRIPT_BLOCK_MOST, and the allocator, after each MiB handed out,
 * arms the hook for the very next instruction, and after a block of SCRIPT_LONG for every SCRIPT_HOOK_LONG
 * (math.sqrt(s) reads the whole text as a number).  C functions are not interrupted by hooks at all:
 * ours charge their work, and look at the clock themselves.  Over the time, the hook stays armed
 * at every instruction; nothing in the sandbox can catch its error anyway.
 *
 * An evaluation is always a coroutine, even a plain `when`: it may ask, and one way is easier to
 * trust than two.  Pushing arguments and reading results happens inside the coroutine's own
 * protection (script_enter), so that one setjmp serves all.  A finished thread is used again as it
 * is; one that was left at a yield is reset, one that failed is dropped.
 *
 * Rejected: lua_newstate per evaluation (34-230 us), pcall for rules with a dead flag (nobody
 * needs it), a timer signal that plants the hook (no gain measured, and a signal handler).
 */
#include "engine/script.h"

#include "base/mem.h"
#include "engine/script_lib.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SCRIPT_CHURN = 1 << 20,
	SCRIPT_LONG = 4096,    /* bytes: who has made such a block can make an instruction long: */
	SCRIPT_HOOK_LONG = 20, /* the clock is looked at more often */
	SCRIPT_POOL = 32,
	SCRIPT_GAP = 4, /* no gap between two looks counts for more than this part of eval_us */
};

struct script_run {
	struct script *script;
	lua_State *co;
	int ref; /* anchors co in the registry */
	script_push_fn *push;
	script_done_fn *done;
	void *ud, *ctx;
	size_t held;      /* bytes that it holds while it is suspended, about */
	int64_t spent_us; /* computing in the resumes before */
	bool started, hit_limit;
	struct script_run *next; /* in the pool */
};

struct script {
	lua_State *L;
	struct script_limits limits;
	size_t used, most; /* bytes */
	size_t churn;      /* bytes handed out since the hook was armed */
	bool refused;      /* the allocator said no since `most` was set */
	bool over;         /* the time of the present evaluation is over */
	bool timed;
	bool is_long;     /* the present evaluation has made a block of SCRIPT_LONG */
	int64_t look_us;  /* when the clock was looked at last */
	int64_t spent_us; /* computing of the present evaluation */
	size_t charged;
	struct script_run main;     /* stands for the main thread */
	struct script_run *running; /* NULL: nothing, or the main thread */
	struct script_run *pool;
	unsigned n_pool;
	void *host;
	const struct tz *zone;
	struct arena arena; /* lent by script_arena */
	struct buf buf;     /* lent by script_buf */
};

/* The allocator may be asked to shrink at the limit; that never fails. */
static void *script_alloc(void *ud, void *p, size_t old, size_t size)
{
	struct script *s = ud;
	void *q;

	if (!p)
		old = 0;
	if (size == 0) {
		free(p);
		s->used -= old;
		return NULL;
	}
	if (size > old && (size > SCRIPT_BLOCK_MOST || s->used - old + size > s->most)) {
		s->refused = true;
		return NULL;
	}
	q = realloc(p, size);
	if (!q)
		return size <= old ? p : NULL;
	s->used = s->used - old + size;
	s->churn += size;
	if (s->timed && (s->churn > SCRIPT_CHURN || (size >= SCRIPT_LONG && !s->is_long))) {
		s->churn = 0;
		s->is_long |= size >= SCRIPT_LONG;
		lua_sethook(
			s->running ? s->running->co : s->L, lua_gethook(s->L), LUA_MASKCOUNT, 1);
	}
	return q;
}

/* The run of a thread; the main thread has one that stands for it. */
static struct script_run *script_this(lua_State *L)
{
	return *(struct script_run **)lua_getextraspace(L);
}

/* Looks at the clock.  Between two looks lies little computing; a longer gap means that the
 * process did not run, and is not put on the rule's account. */
static bool script_is_over(struct script *s)
{
	int64_t now_us, gap_us;

	if (s->over || !s->timed)
		return s->over;
	now_us = s->limits.ticks_us(s->limits.arg);
	gap_us = now_us - s->look_us;
	if (gap_us > s->limits.eval_us / SCRIPT_GAP)
		gap_us = s->limits.eval_us / SCRIPT_GAP;
	s->look_us = now_us;
	s->spent_us += gap_us;
	s->over = s->spent_us >= s->limits.eval_us;
	return s->over;
}

static void script_raise_over(lua_State *L)
{
	char where[128];

	script_where(L, where, sizeof where);
	lua_pushfstring(L, "%s%sran longer than %d ms", where, *where ? ": " : "",
		(int)(script_of(L)->limits.eval_us / 1000));
	lua_error(L);
}

static void script_hook(lua_State *L, lua_Debug *ar)
{
	struct script *s = script_of(L);

	(void)ar;
	if (!script_is_over(s)) {
		int every = s->timed && s->is_long ? SCRIPT_HOOK_LONG : SCRIPT_HOOK_EVERY;

		if (lua_gethookcount(L) != every)
			lua_sethook(L, script_hook, LUA_MASKCOUNT, every);
		return;
	}
	lua_sethook(L, script_hook, LUA_MASKCOUNT, 1);
	script_raise_over(L);
}

void script_charge(lua_State *L, size_t units)
{
	struct script *s = script_of(L);

	s->charged += units;
	if (s->charged < SCRIPT_CHARGE_EVERY)
		return;
	s->charged = 0;
	if (script_is_over(s))
		script_raise_over(L);
}

void script_where(lua_State *L, char *ret, size_t n)
{
	lua_Debug ar;
	int level;

	ret[0] = '\0';
	for (level = 0; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline > 0) {
			snprintf(ret, n, "%s:%d", ar.short_src, ar.currentline);
			return;
		}
	}
}

static int script_panic(lua_State *L)
{
	fprintf(stderr, "script: error outside of protection: %s\n",
		lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(no text)");
	abort();
}

/*** open and close ***/

struct script *script_new(const struct script_limits *limits)
{
	struct script *s = xcalloc(1, sizeof *s);
	struct err err;

	s->limits = *limits;
	s->most = SIZE_MAX;
	s->L = lua_newstate(script_alloc, s);
	if (!s->L) {
		fprintf(stderr, "script: could not make a Lua state: out of memory\n");
		abort();
	}
	s->main = (struct script_run){ .script = s, .co = s->L, .ref = LUA_NOREF };
	*(struct script_run **)lua_getextraspace(s->L) = &s->main;
	lua_atpanic(s->L, script_panic);
	if (!script_protect(s, script_lib_open, NULL, &err)) {
		fprintf(stderr, "script: %s\n", err.text);
		abort();
	}
	lua_sethook(s->L, script_hook, LUA_MASKCOUNT, SCRIPT_HOOK_EVERY);
	return s;
}

void script_free(struct script *s)
{
	struct script_run *run;

	if (!s)
		return;
	s->timed = false;
	lua_close(s->L);
	while ((run = s->pool)) {
		s->pool = run->next;
		free(run);
	}
	arena_fini(&s->arena);
	buf_free(&s->buf);
	free(s);
}

lua_State *script_lua(const struct script *s)
{
	return s->L;
}

struct script *script_of(lua_State *L)
{
	return script_this(L)->script;
}

size_t script_bytes(const struct script *s)
{
	return s->used;
}

void script_set_host(struct script *s, void *host)
{
	s->host = host;
}

void *script_host(lua_State *L)
{
	return script_of(L)->host;
}

struct arena *script_arena(lua_State *L)
{
	struct script *s = script_of(L);

	arena_reset(&s->arena);
	return &s->arena;
}

struct buf *script_buf(lua_State *L)
{
	struct script *s = script_of(L);

	buf_clear(&s->buf);
	return &s->buf;
}

void script_set_zone(struct script *s, const struct tz *zone)
{
	s->zone = zone;
}

const struct tz *script_zone(lua_State *L)
{
	return script_of(L)->zone;
}

/*** limits of one stretch ***/

static void script_limit(struct script *s, size_t held, int64_t spent_us, bool timed)
{
	size_t base = s->used > held ? s->used - held : 0;

	s->most = base + s->limits.eval_bytes;
	s->refused = s->over = false;
	s->churn = 0;
	s->is_long = false;
	s->spent_us = spent_us;
	s->timed = timed && s->limits.ticks_us;
	if (s->timed)
		s->look_us = s->limits.ticks_us(s->limits.arg);
}

static void script_unlimit(struct script *s)
{
	s->most = SIZE_MAX;
	s->timed = false;
}

/*** the protected door ***/

/* Does it begin as Lua's own errors do, "file:line: "? */
static bool script_has_place(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;

	return digits > 0 && colon[1 + digits] == ':';
}

/* Turns the error object on top of L into text; never raises. */
static void script_error_text(
	struct script *s, lua_State *L, int status, const char *where, struct err *err)
{
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	const char *colon = *where ? ": " : "";

	if (status == LUA_ERRMEM && s->refused)
		err_set(err, "%s%sneeds more memory than one evaluation may have (%zu MiB)", where,
			colon, s->limits.eval_bytes >> 20);
	else if (!text)
		err_set(err, "%s%sthe error is a %s; give error() a text", where, colon,
			lua_typename(L, lua_type(L, -1)));
	else if (status == LUA_ERRMEM || status == LUA_ERRERR || !script_has_place(text))
		err_set(err, "%s%s%s", where, colon, text);
	else
		err_set(err, "%s", text);
}

struct script_call {
	script_body *body;
	void *ud;
	char where[128]; /* of the error; memory errors leave it empty */
};

static int l_script_body(lua_State *L)
{
	struct script_call *call = lua_touserdata(L, 1);

	lua_settop(L, 0);
	call->body(L, call->ud);
	return 0;
}

static int l_script_locate(lua_State *L)
{
	struct script_call *call = lua_touserdata(L, lua_upvalueindex(1));

	script_where(L, call->where, sizeof call->where);
	return 1;
}

/* The handler, too, is made in protected mode: it is a closure. */
static int l_script_call(lua_State *L)
{
	struct script_call *call = lua_touserdata(L, 1);
	int status;

	lua_pushlightuserdata(L, call);
	lua_pushcclosure(L, l_script_locate, 1);
	lua_pushcfunction(L, l_script_body);
	lua_pushlightuserdata(L, call);
	status = lua_pcall(L, 1, 0, -3);
	if (status == LUA_OK)
		return 0;
	lua_pushinteger(L, status);
	return 2;
}

static bool script_call(struct script *s, struct script_call *call, struct err *err)
{
	lua_State *L = s->L;
	int top = lua_gettop(L), status;

	assert(!s->running);
	if (!lua_checkstack(L, 8))
		return err_set(err, "out of memory");
	lua_pushcfunction(L, l_script_call);
	lua_pushlightuserdata(L, call);
	status = lua_pcall(L, 1, LUA_MULTRET, 0);
	if (status == LUA_OK && lua_gettop(L) == top)
		return true;
	if (status == LUA_OK) {
		status = (int)lua_tointeger(L, -1);
		lua_pop(L, 1);
	}
	script_error_text(s, L, status, call->where, err);
	lua_settop(L, top);
	return false;
}

bool script_protect(struct script *s, script_body *body, void *ud, struct err *err)
{
	struct script_call call = { .body = body, .ud = ud };
	size_t most = s->most;
	bool timed = s->timed;
	bool ok;

	script_limit(s, 0, 0, false);
	ok = script_call(s, &call, err);
	s->most = most;
	s->timed = timed;
	return ok;
}

/* After a stretch of the main thread that had a limit of time: the next one may compute again. */
static void script_rest(struct script *s)
{
	script_unlimit(s);
	if (s->over)
		lua_sethook(s->L, script_hook, LUA_MASKCOUNT, SCRIPT_HOOK_EVERY);
}

bool script_protect_timed(struct script *s, script_body *body, void *ud, struct err *err)
{
	struct script_call call = { .body = body, .ud = ud };
	bool ok;

	script_limit(s, 0, 0, true);
	ok = script_call(s, &call, err);
	script_rest(s);
	return ok;
}

struct script_file {
	const char *name;
	struct span text;
};

static void script_load_body(lua_State *L, void *ud)
{
	struct script_file *file = ud;

	script_compile(L, file->name, file->text);
	script_limit(script_of(L), 0, 0, true);
	lua_call(L, 0, 0);
}

bool script_load(struct script *s, const char *name, struct span text, struct err *err)
{
	struct script_file file = { name, text };
	struct script_call call = { .body = script_load_body, .ud = &file };
	bool ok;

	script_limit(s, 0, 0, false);
	ok = script_call(s, &call, err);
	script_rest(s);
	/* what Lua says before it has read a line (binary, memory) has no place of its own */
	if (!ok && !script_has_place(err->text))
		err_prefix(err, "%s: ", name);
	return ok;
}

/*** runs ***/

static void script_new_thread(lua_State *L, void *ud)
{
	struct script_run *run = ud;

	run->co = lua_newthread(L);
	run->ref = luaL_ref(L, LUA_REGISTRYINDEX);
	*(struct script_run **)lua_getextraspace(run->co) = run;
	lua_sethook(run->co, script_hook, LUA_MASKCOUNT, SCRIPT_HOOK_EVERY);
}

static struct script_run *script_new_run(struct script *s)
{
	struct script_run *run = xcalloc(1, sizeof *run);
	struct err err;

	run->script = s;
	if (!script_protect(s, script_new_thread, run, &err)) {
		fprintf(stderr, "script: %s\n", err.text);
		abort();
	}
	return run;
}

struct script_run *script_run_start(
	struct script *s, script_push_fn *push, script_done_fn *done, void *ud, void *ctx)
{
	struct script_run *run = s->pool;

	if (run) {
		s->pool = run->next;
		s->n_pool--;
	} else {
		run = script_new_run(s);
	}
	run->push = push;
	run->done = done;
	run->ud = ud;
	run->ctx = ctx;
	run->held = 0;
	run->spent_us = 0;
	run->started = run->hit_limit = false;
	return run;
}

static int script_returned(lua_State *L, int status, lua_KContext k)
{
	struct script_run *run = script_this(L);

	(void)status;
	(void)k;
	if (run->done)
		run->done(L, lua_gettop(L), run->ud);
	return 0;
}

static int l_script_enter(lua_State *L)
{
	struct script_run *run = script_this(L);
	int n_args = run->push(L, run->ud);

	lua_callk(L, n_args, LUA_MULTRET, 0, script_returned);
	return script_returned(L, LUA_OK, 0);
}

static void script_run_fail(struct script_run *run, int status, struct err *err)
{
	char where[128];

	script_where(run->co, where, sizeof where);
	run->hit_limit = run->script->over || (status == LUA_ERRMEM && run->script->refused);
	script_error_text(run->script, run->co, status, where, err);
}

enum script_result script_run_resume(struct script_run *run, struct err *err)
{
	struct script *s = run->script;
	size_t before = s->used;
	int n_results, status;

	assert(!s->running);
	script_limit(s, run->held, run->spent_us, true);
	s->running = run;
	if (!run->started)
		lua_pushcfunction(run->co, l_script_enter);
	run->started = true;
	status = lua_resume(run->co, s->L, 0, &n_results);
	s->running = NULL;
	if (status == LUA_YIELD) {
		(void)script_is_over(s);
		run->spent_us = s->spent_us;
		run->held += s->used > before ? s->used - before : 0;
	} else if (status != LUA_OK) {
		script_run_fail(run, status, err);
	}
	script_unlimit(s);
	if (status == LUA_YIELD)
		return SCRIPT_YIELD;
	return status == LUA_OK ? SCRIPT_DONE : SCRIPT_ERROR;
}

void script_run_end(struct script_run *run)
{
	struct script *s = run->script;
	int status = lua_status(run->co);

	assert(s->running != run);
	run->ctx = run->ud = NULL;
	if (status == LUA_YIELD)
		status = lua_resetthread(run->co);
	if (status != LUA_OK || s->n_pool >= SCRIPT_POOL) {
		luaL_unref(s->L, LUA_REGISTRYINDEX, run->ref);
		free(run);
		return;
	}
	lua_settop(run->co, 0);
	run->next = s->pool;
	s->pool = run;
	s->n_pool++;
}

struct script_run *script_run_of(lua_State *L)
{
	struct script_run *run = script_this(L);

	return run->ref == LUA_NOREF ? NULL : run;
}

void *script_run_ctx(lua_State *L)
{
	return script_this(L)->ctx;
}

bool script_run_hit_limit(const struct script_run *run)
{
	return run->hit_limit;
}
