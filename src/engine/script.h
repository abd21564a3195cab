#ifndef ENGINE_SCRIPT_H
#define ENGINE_SCRIPT_H
/*
 * One Lua state for rules: sandbox by allow-list, limits of memory and time, one protected door.
 *
 * What rules can name is built from empty tables, never taken from Lua's globals; text chunks
 * only.  There is nothing in it that could catch an error (no pcall), so a limit that is passed
 * ends the evaluation. Limits of an evaluation: bytes in use when it was last resumed (less what
 * it holds itself) + eval_bytes, no single block over SCRIPT_BLOCK_MOST (so strings end there),
 * and eval_us of computing, summed over its resumes.  Every C function that a rule can call
 * charges its work with script_charge.
 *
 * The host touches Lua in three ways only: script_protect (one C body under protection: push,
 * read, build), script_load (a file), and a run: one evaluation in a coroutine of its own, kept in
 * a pool.  Inside these errors of Lua may jump: nothing owned (malloc, open buf) may live in a C
 * frame across a Lua call; take memory from an arena or from Lua.  C functions for rules ("binds")
 * find their run by script_run_of.
 *
 * No clock of its own: ticks_us comes from outside and never reaches a rule.
 */
#include "base/err.h"
#include "base/str.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

enum {
	SCRIPT_BLOCK_MOST =
		2 << 20, /* bytes: longest string, about 130,000 list or 65,536 hash slots */
	SCRIPT_HOOK_EVERY = 1000,      /* VM instructions between two looks at the clock */
	SCRIPT_CHARGE_EVERY = 1 << 18, /* units charged between two looks at the clock */
};

struct script_limits {
	size_t eval_bytes;              /* memory of one evaluation */
	int64_t eval_us;                /* computing of one evaluation */
	int64_t (*ticks_us)(void *arg); /* monotonic; NULL: no time limit */
	void *arg;
};

struct arena;
struct tz;
struct script;
struct script_run;

/* A new state with the safe parts of Lua's libraries (RULES.md, Determinism).  Dies without
 * memory. */
struct script *script_new(const struct script_limits *limits);
/* Frees the state and all runs. */
void script_free(struct script *s);
/* The main thread, for use inside script_protect only. */
lua_State *script_lua(const struct script *s);
/* The state that a C function was called in. */
struct script *script_of(lua_State *L);
size_t script_bytes(const struct script *s); /* in use now */

/* Adds C functions to what rules can name; fns ends with {NULL,NULL}.  Before the first
 * script_load. */
void script_define(struct script *s, const luaL_Reg *fns);
/* Gives the value on top of the stack a name for rules; pops it.  Inside script_protect. */
void script_define_value(lua_State *L, const char *name);
/* The host's own pointer (the judge), for binds. */
void script_set_host(struct script *s, void *host);
void *script_host(lua_State *L);

/* Working memory for C functions that may be left by a jump: it belongs to the state.  Emptied by
 * each call; so use it before calling anything else that may want it. */
struct arena *script_arena(lua_State *L);
struct buf *script_buf(lua_State *L);
/* The zone of the evaluation (engine/bind_time). */
void script_set_zone(struct script *s, const struct tz *zone);
const struct tz *script_zone(lua_State *L);

/* The one protected door: calls body(L, ud) on the main thread with an empty stack part of its
 * own; what it leaves there is dropped.  False and the error (file and line where known) when it
 * raised. Not limited in time; limited in memory as an evaluation. */
typedef void script_body(lua_State *L, void *ud);
bool script_protect(struct script *s, script_body *body, void *ud, struct err *err) MUST_CHECK;
/* The same with the time limit of an evaluation; not inside of another one. */
bool script_protect_timed(
	struct script *s, script_body *body, void *ud, struct err *err) MUST_CHECK;

/* Compiles a file in an environment of its own (chunk name "@name", so errors say name:line) and
 * refuses functions that assign a local of the file.  Leaves the function on the stack; for use
 * inside a body or bind; raises on errors. */
void script_compile(lua_State *L, const char *name, struct span text);
/* Compiles and runs a file, with the time limit of an evaluation.  what it returns is dropped. */
bool script_load(struct script *s, const char *name, struct span text, struct err *err) MUST_CHECK;
/* For functions that outlive the loading (those of rules): freezes all tables that they hold,
 * deeply, and raises when one of them could change what it holds.  The value at idx stays where it
 * is. */
void script_freeze(lua_State *L, int idx);
/* Pushes the table that holds the contents of the table at idx: itself, or what a frozen one hides.
 * For lua_next, lua_rawget, lua_rawlen.  False and nothing pushed when it is no table. */
bool script_push_contents(lua_State *L, int idx);

/*** runs ***/

enum script_result {
	SCRIPT_DONE,  /* the function has returned */
	SCRIPT_YIELD, /* a bind yielded: wait or ask */
	SCRIPT_ERROR, /* err says why, with file and line; everything of it is dropped */
};

/* Pushes a function and its arguments on L, in the run's own protection; returns the number of
 * arguments. */
typedef int script_push_fn(lua_State *L, void *ud);
/* Reads the results of the function: the n values on top of L.  In the run's own protection. */
typedef void script_done_fn(lua_State *L, int n, void *ud);

/* Takes an evaluation from the pool.  ctx: what its binds work on (script_run_ctx).  `done` may be
 * NULL. */
struct script_run *script_run_start(
	struct script *s, script_push_fn *push, script_done_fn *done, void *ud, void *ctx);
/* Goes on until the end, a yield or an error.  The first call starts it.  A bind yields by
 * lua_yieldk(L, 0, 0, k); its k is called at the next resume and pushes the answer (it finds its
 * ctx). */
enum script_result script_run_resume(struct script_run *run, struct err *err) MUST_CHECK;
/* Stops it wherever it stands and gives it back to the pool. */
void script_run_end(struct script_run *run);
/* The run that a C function was called in; NULL on the main thread (loading, script_protect). */
struct script_run *script_run_of(lua_State *L);
void *script_run_ctx(lua_State *L); /* NULL on the main thread */
/* It was stopped for its time or its memory (P7 counts that). */
bool script_run_hit_limit(const struct script_run *run);

/*** for C functions that rules can call ***/

/* Adds work (about a nanosecond each); looks at the clock now and then and raises when the time is
 * over. */
void script_charge(lua_State *L, size_t units);
/* "file:line" of the Lua code that called, "" when unknown.  Cut to n bytes. */
void script_where(lua_State *L, char *ret, size_t n);

#endif
