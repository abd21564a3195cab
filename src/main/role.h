#ifndef MAIN_ROLE_H
#define MAIN_ROLE_H
/*
 * Roles: what the children of the parent process are, and what each one is given.
 *
 * A role is a row of a table in nudged.c.  Its `run` is the whole life of a child: it is called right
 * after the fork, with default signal actions, and its result is the exit code.  The contract of run:
 *
 *   - call heart_beat(env->heart) at least every second (a blocking courier: between its steps);
 *   - call heart_ready when its loop runs (an engine: and it listens), with or without a database,
 *     and heart_say when there is something to tell the operator ("no database since ...");
 *   - SIGTERM: take nothing new, finish what is in flight, return 0; after [nudged] drain_timeout the
 *     parent kills.  SIGHUP: role_reload, then apply.  SIGPIPE is ignored already;
 *   - return 0 without having been asked: it is started afresh at once (a courier after max_messages);
 *     any other end: started afresh with a growing delay;
 *   - env->strike: the one before in this place died of it; an engine writes the strike row, clears the
 *     strike, and only then takes events.
 * Everything in the env is lent for the life of the process.
 */
#include "base/crashnote.h"
#include "base/heart.h"
#include "main/settings.h"
#include "model/message.h"

/* Wake pipes: one per channel, and one of the engines. */
enum { WAKE_ENGINE = CHANNEL_COUNT, WAKE_COUNT };

struct metrics;
struct role_env;

struct role {
	const char *name; /* "engine", "mail" */
	int wake;         /* its pipe: WAKE_ENGINE, or its enum message_channel */
	bool listens;     /* is given the listening sockets */
	int (*count)(const struct settings *s);        /* how many processes */
	int64_t (*stall_us)(const struct settings *s); /* longest stand-still */
	int (*run)(const struct role_env *env);
};

struct role_env {
	const struct role *role;
	int index;                 /* 0.. count - 1 */
	const char *name;          /* "engine1": for logs and application_name */
	struct settings *settings; /* as at the fork; becomes the process' own: see role_reload */
	const int
		*listeners; /* listening sockets, non-blocking; none if the role does not listen */
	size_t nlisteners;
	int wake_fd;                     /* readable when there may be work; see role_woken */
	int wake_to[WAKE_COUNT];         /* for role_wake */
	struct heart *heart;             /* never NULL */
	const struct accepted *accepted; /* the configuration's text; NULL: there is no parent */
	struct metrics *metrics;         /* counters of all processes; never NULL */
	unsigned slot;                   /* this place's in metrics */
	struct crash_note *note;         /* never NULL */
	/* NULL, or what the one before was at when it died; crash_note_clear it when its row is
	 * committed, else the next process in this place gets it again. */
	struct crash_note *strike;
	const char *strike_why; /* "signal 11 (...)", "stalled" */
};

/* Hints that there may be work for a channel or the engines; never blocks, never fails. */
void role_wake(const struct role_env *env, int wake);
/* Takes the hints out of the own pipe. */
void role_woken(const struct role_env *env);
/* The configuration that the parent accepted last, read for this process; NULL (and a line in the log) keeps the old one.
 * The caller swaps what it uses and then frees the old settings. */
struct settings *role_reload(const struct role_env *env, const struct settings *old);

/* A whole life without work: beats, reloads, and ends with 0 on SIGTERM. */
int role_idle(const struct role_env *env);

/* The rows' functions, for the table. */
int role_count_engines(const struct settings *s);
int role_count_mail(const struct settings *s);
int role_count_publish(const struct settings *s);
int64_t role_stall_engine(const struct settings *s);
int64_t role_stall_courier(const struct settings *s);

#endif
