#ifndef MAIN_CTL_H
#define MAIN_CTL_H
/*
 * The commands of nudgectl: one row each in nudgectl.c, bodies in ctl_<topic>.c.
 *
 * A command gets its own arguments (argv[0] is its name), prints results to stdout and mistakes to stderr, and
 * returns the exit code: 0 done, 1 it could not be done or something is wrong, 2 wrong arguments.
 */
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
struct err;
int ctl_fail(const char *name, const struct err *err);
/* Prints the usage of the command; returns CTL_USAGE. */
int ctl_usage(const char *name);

/* ctl_rules.c: what a marketer runs, without a database */
int ctl_check(const struct ctl_env *env, int argc, char **argv);
int ctl_test(const struct ctl_env *env, int argc, char **argv);

#endif
