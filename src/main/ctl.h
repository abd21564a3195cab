#ifndef MAIN_CTL_H
#define MAIN_CTL_H
/*
 * The commands of nudgectl: one row each in nudgectl.c, bodies in ctl_<topic>.c.
 *
 * A command gets its own arguments (argv[0] is its name), prints results to stdout and mistakes to stderr, and
 * returns the exit code: 0 done, 1 it could not be done or something is wrong, 2 wrong arguments.
 */
#include <stdbool.h>

struct err;
struct settings;

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl_env {
	const char *config;              /* path, or NULL: the default if it is there */
	const struct settings *settings; /* NULL: the command needs none and there is no file */
};

struct ctl_command {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *help;      /* one sentence */
	enum { CTL_SETTINGS_NONE, CTL_SETTINGS_IF_ANY, CTL_SETTINGS_NEEDED } settings;
	int (*run)(const struct ctl_env *env, int argc, char **argv);
};

/* Prints "nudgectl NAME: ..." with the hint, if any, to stderr; returns CTL_FAILED. */
int ctl_fail(const char *name, const struct err *err);
/* Prints the usage of the command; returns CTL_USAGE. */
int ctl_usage(const char *name);

/* ctl_rules.c: what a marketer runs, without a database */
int ctl_check(const struct ctl_env *env, int argc, char **argv);
int ctl_test(const struct ctl_env *env, int argc, char **argv);

/* ctl_set.c: the schema and the rule set in the database */
int ctl_migrate(const struct ctl_env *env, int argc, char **argv);
int ctl_reload(const struct ctl_env *env, int argc, char **argv);
int ctl_rules(const struct ctl_env *env, int argc, char **argv);
int ctl_status(const struct ctl_env *env, int argc, char **argv);

/* ctl_pause.c: stop buttons */
struct block;
int ctl_pause(const struct ctl_env *env, int argc, char **argv);
int ctl_resume(const struct ctl_env *env, int argc, char **argv);
int ctl_pauses(const struct ctl_env *env, int argc, char **argv);
/* Prints a line for each; for `status` too. */
bool ctl_pauses_show(struct block *b, struct err *err);

/* ctl_doubt.c */
int ctl_doubts(const struct ctl_env *env, int argc, char **argv);

/* ctl_chains.c */
int ctl_chains(const struct ctl_env *env, int argc, char **argv);

/* ctl_import.c */
int ctl_import(const struct ctl_env *env, int argc, char **argv);

/* ctl_render.c */
int ctl_render(const struct ctl_env *env, int argc, char **argv);

/* ctl_why.c */
int ctl_why(const struct ctl_env *env, int argc, char **argv);

#endif
