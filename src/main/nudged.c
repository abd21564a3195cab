/* nudged.c: the daemon's command line and its table of roles.  Everything else stands behind a header:
 * settings (what), supervise (how long), engine and courier (the work). */
#include "config.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/planted.h"
#include "main/activate.h"
#include "main/check.h"
#include "main/courier_main.h"
#include "main/dev.h"
#include "main/engine.h"
#include "main/settings.h"
#include "main/supervise.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUDGED_CONFIG NUDGED_SYSCONFDIR "/nudged.conf"

enum { NUDGED_EXIT_OK = 0, NUDGED_EXIT_FAILED = 1, NUDGED_EXIT_USAGE = 2 };

/* A way out needs a row here, a wake pipe (message_channel) and a section with `couriers`. */
static const struct role nudged_roles[] = {
	{ "engine", WAKE_ENGINE, true, role_count_engines, role_stall_engine, engine_main },
	{ "mail", CHANNEL_EMAIL, false, role_count_mail, role_stall_courier, courier_main },
	{ "publish", CHANNEL_PUBLISH, false, role_count_publish, role_stall_courier, courier_main },
};

static const char nudged_help[] =
	"usage: nudged [--config FILE] [--beside]\n"
	"       nudged [--config FILE] --check | --show-config [--defaults]\n"
	"       nudged --dev DIR [--rules DIR] [--templates DIR] [--port N]\n"
	"\n"
	"  --config FILE   configuration (default: " NUDGED_CONFIG ")\n"
	"  --check         check configuration, rules and templates, touch nothing\n"
	"  --show-config   print every option, its value and where it comes from; secrets as ***\n"
	"  --defaults      with --show-config: what each option means and its default, no file is read\n"
	"  --beside        start although another nudged runs with this configuration (upgrade)\n"
	"  --dev DIR       development mode with a private database and broker in DIR\n"
	"  --version       print the version\n"
	"  --help          print this\n"
	"\n"
	"Signals: TERM drains and stops, a second one stops at once; HUP reloads.  See nudged(8).\n";

enum nudged_action { NUDGED_RUN, NUDGED_CHECK, NUDGED_SHOW };

struct nudged_args {
	const char *config;
	enum nudged_action action;
	bool beside, defaults;
};

/* A development build's part of the program; a build without it has no --dev. */
extern int dev_main(int argc, char **argv) __attribute__((weak));

/* -1: go on; else the exit code. */
static int nudged_parse(int argc, char **argv, struct nudged_args *args)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' }, { "show-config", no_argument, NULL, 's' },
		{ "defaults", no_argument, NULL, 'd' }, { "beside", no_argument, NULL, 'b' },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'c': args->config = optarg; break;
		case 'k': args->action = NUDGED_CHECK; break;
		case 's': args->action = NUDGED_SHOW; break;
		case 'd': args->defaults = true; break;
		case 'b': args->beside = true; break;
		case 'V': puts("nudged " VERSION); return NUDGED_EXIT_OK;
		case 'h': fputs(nudged_help, stdout); return NUDGED_EXIT_OK;
		default: fputs(nudged_help, stderr); return NUDGED_EXIT_USAGE;
		}
	if (optind == argc && (!args->defaults || args->action == NUDGED_SHOW))
		return -1;
	if (optind < argc)
		fprintf(stderr, "nudged: unexpected argument \"%s\"\n", argv[optind]);
	else
		fputs("nudged: --defaults goes with --show-config\n", stderr);
	return NUDGED_EXIT_USAGE;
}

/* The configuration, or every mistake in it on stderr. */
static struct settings *nudged_read(const char *path)
{
	struct settings_problems p = { 0 };
	struct settings *s = settings_read(path, NULL, &p);

	for (size_t i = 0; i < p.n; i++)
		fprintf(stderr, "nudged: %s\n", p.v[i].text);
	settings_problems_free(&p);
	return s;
}

static int nudged_show_defaults(void)
{
	struct buf b = { 0 };

	settings_show_defaults(CONF_SHOW_HELP, &b);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
	return NUDGED_EXIT_OK;
}

static int nudged_show(const struct settings *s)
{
	struct buf b = { 0 };

	settings_show(s, CONF_SHOW_ORIGIN, &b);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
	return NUDGED_EXIT_OK;
}

/* The hook of supervise: a whole set that is right becomes the current one of all hosts. */
static bool nudged_check_hook(const struct settings *s, bool at_start, struct err *err)
{
	enum activate_when when = at_start ? ACTIVATE_AT_START : ACTIVATE_ASKED;
	struct activate_done done = { .outdated = true };
	bool ok = false;

	for (int i = 0; i < ACTIVATE_TRIES && !ok && done.outdated; i++) {
		struct check_found found = { .set = { .id = 0 } };

		done.outdated = false;
		ok = check_main(s, &found, err) && activate_on(s, &found.set, when, &done, err);
		check_free(&found);
	}
	return ok;
}

static int nudged_check(const struct settings *s)
{
	struct check_found found = { .set = { .id = 0 } };
	struct err err;
	bool ok = check_main(s, &found, &err);

	check_free(&found);
	if (!ok)
		return NUDGED_EXIT_FAILED;
	puts("ok");
	return NUDGED_EXIT_OK;
}

static int nudged_run(struct settings *s, bool beside)
{
	const struct supervise_options options = { .roles = nudged_roles,
		.nroles = sizeof nudged_roles / sizeof *nudged_roles,
		.hooks = { .check = nudged_check_hook },
		.beside = beside };

	log_open("nudged", s->nudged.log_format, settings_log_level(s));
	return supervise_run(s, &options);
}

/* A test build lists the places to die at, for the suite that must reach all of them. */
static bool nudged_lists_failpoints(int argc, char **argv)
{
	if (argc != 2 || failpoint_at(0) == NULL || strcmp(argv[1], "--failpoints") != 0)
		return false;
	for (size_t i = 0; failpoint_at(i) != NULL; i++)
		puts(failpoint_at(i));
	return true;
}

/* ... and the bugs that it can have, for the suite that must catch all of them. */
static bool nudged_lists_planted(int argc, char **argv)
{
	const char *name, *what;

	if (argc != 2 || strcmp(argv[1], "--planted") != 0 || !planted_at(0, &name, &what))
		return false;
	for (size_t i = 0; planted_at(i, &name, &what); i++)
		printf("%s: %s\n", name, what);
	return true;
}

static bool nudged_wants_dev(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--dev") == 0 || strncmp(argv[i], "--dev=", 6) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct nudged_args args = { .config = NUDGED_CONFIG };
	struct settings *s;
	int code;

	if (nudged_wants_dev(argc, argv)) {
		if (dev_main)
			return dev_main(argc, argv);
		fputs("nudged: this build has no development mode\n", stderr);
		return NUDGED_EXIT_USAGE;
	}
	if (nudged_lists_failpoints(argc, argv) || nudged_lists_planted(argc, argv))
		return NUDGED_EXIT_OK;
	code = nudged_parse(argc, argv, &args);
	if (code >= 0)
		return code;
	if (args.defaults)
		return nudged_show_defaults();
	s = nudged_read(args.config);
	if (s == NULL)
		return NUDGED_EXIT_FAILED;
	if (args.action == NUDGED_RUN)
		return nudged_run(s, args.beside);
	log_open("nudged", LOG_LOGFMT, LOG_LVL_WARNING);
	code = args.action == NUDGED_SHOW ? nudged_show(s) : nudged_check(s);
	settings_free(s);
	return code;
}
