/* nudgectl.c: finds the command and what it needs; everything else stands in ctl_*.c. */
#include "config.h"

#include "base/log.h"
#include "main/ctl.h"
#include "main/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUDGECTL_CONFIG NUDGED_SYSCONFDIR "/nudged.conf"

/* A row here also needs its paragraph in doc/nudgectl.1. */
static const struct ctl_command nudgectl_commands[] = {
	{ "check", "[--rules DIR] [--templates DIR] [--strict] [FILE...]",
		"loads and lints rules and templates", CTL_SETTINGS_IF_ANY, ctl_check },
	{ "test", "[--rules DIR] [--templates DIR] [FILE...]",
		"runs the rules' own tests on a virtual clock", CTL_SETTINGS_IF_ANY, ctl_test },
	{ "render",
		"TEMPLATE --customer X [--with JSON] [--lang L] [--send ADDRESS] [--store NAME] "
		"[--templates DIR]",
		"shows a message as it would go out", CTL_SETTINGS_NEEDED, ctl_render },
	{ "why", "CUSTOMER [RULE] [--store NAME] [--since TIME]",
		"tells what happened to a customer, and why or why not", CTL_SETTINGS_NEEDED,
		ctl_why },
	{ "reload", "", "checks rules and templates and puts them in place", CTL_SETTINGS_NEEDED,
		ctl_reload },
	{ "status", "", "shows the rule set, what is paused, and how much waits",
		CTL_SETTINGS_NEEDED, ctl_status },
	{ "pause", "[all | channel NAME | rule NAME] [--reason TEXT]", "stops sending",
		CTL_SETTINGS_NEEDED, ctl_pause },
	{ "resume", "[all | channel NAME | rule NAME] [--drop] [--restored-at TIME]",
		"lets messages go again, or drops what waited", CTL_SETTINGS_NEEDED, ctl_resume },
	{ "pauses", "", "shows what is paused", CTL_SETTINGS_NEEDED, ctl_pauses },
	{ "rules", "[list | resume NAME]", "shows suspended rules, lets one run again",
		CTL_SETTINGS_NEEDED, ctl_rules },
	{ "doubts", "[resolve ID sent|failed|resend]",
		"shows messages whose hand-over was interrupted, and takes a person's word on one",
		CTL_SETTINGS_NEEDED, ctl_doubts },
	{ "chains", "[RULE] | stop ID | retry ID",
		"shows chains in flight, ends one, tries one again", CTL_SETTINGS_NEEDED,
		ctl_chains },
	{ "import", "events FILE|- [--store NAME]", "takes history in, without running rules",
		CTL_SETTINGS_NEEDED, ctl_import },
	{ "migrate", "", "makes or upgrades the schema of the database", CTL_SETTINGS_NEEDED,
		ctl_migrate },
};

enum { NUDGECTL_COMMANDS = sizeof nudgectl_commands / sizeof *nudgectl_commands };

int ctl_fail(const char *name, const struct err *err)
{
	fprintf(stderr, "nudgectl %s: %s\n", name, err->text);
	if (*err->hint)
		fprintf(stderr, "hint: %s\n", err->hint);
	return CTL_FAILED;
}

static const struct ctl_command *nudgectl_find(const char *name)
{
	for (size_t i = 0; i < NUDGECTL_COMMANDS; i++)
		if (strcmp(nudgectl_commands[i].name, name) == 0)
			return &nudgectl_commands[i];
	return NULL;
}

int ctl_usage(const char *name)
{
	const struct ctl_command *c = nudgectl_find(name);

	fprintf(stderr, "usage: nudgectl [--config FILE] %s %s\n", name, c ? c->arguments : "");
	return CTL_USAGE;
}

static void nudgectl_help(FILE *out)
{
	fprintf(out, "usage: nudgectl [--config FILE] COMMAND ...\n\n");
	for (size_t i = 0; i < NUDGECTL_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n             %s\n", nudgectl_commands[i].name,
			nudgectl_commands[i].arguments, nudgectl_commands[i].help);
	fprintf(out, "\nThe configuration is " NUDGECTL_CONFIG
		     " or what --config or NUDGED_CONFIG say.\n");
}

/* Reads the settings that the command wants; false: it said why. */
static bool nudgectl_settings(
	const struct ctl_command *c, struct ctl_env *env, struct settings **ret)
{
	struct settings_problems problems = { 0 };

	if (c->settings == CTL_SETTINGS_NONE)
		return true;
	if (env->config == NULL && access(NUDGECTL_CONFIG, R_OK) == 0)
		env->config = NUDGECTL_CONFIG;
	if (env->config == NULL && c->settings == CTL_SETTINGS_IF_ANY)
		return true;
	*ret = settings_read(env->config ? env->config : NUDGECTL_CONFIG, NULL, &problems);
	for (size_t i = 0; i < problems.n; i++)
		ctl_fail(c->name, &problems.v[i]);
	settings_problems_free(&problems);
	env->settings = *ret;
	return *ret != NULL;
}

int main(int argc, char **argv)
{
	struct ctl_env env = { .config = getenv("NUDGED_CONFIG") };
	const struct ctl_command *c;
	struct settings *settings = NULL;
	int at = 1, code;

	log_open("nudgectl", LOG_LOGFMT, LOG_LVL_WARNING);
	if (argc > 2 && strcmp(argv[1], "--config") == 0) {
		env.config = argv[2];
		at = 3;
	}
	if (at < argc && strcmp(argv[at], "--version") == 0) {
		puts("nudgectl " VERSION);
		return CTL_OK;
	}
	if (at >= argc || strcmp(argv[at], "--help") == 0) {
		nudgectl_help(at < argc ? stdout : stderr);
		return at < argc ? CTL_OK : CTL_USAGE;
	}
	if ((c = nudgectl_find(argv[at])) == NULL) {
		fprintf(stderr, "nudgectl: unknown command \"%s\"\n", argv[at]);
		nudgectl_help(stderr);
		return CTL_USAGE;
	}
	if (!nudgectl_settings(c, &env, &settings))
		return CTL_FAILED;
	code = c->run(&env, argc - at, argv + at);
	settings_free(settings);
	if (fflush(stdout) != 0)
		code = CTL_FAILED;
	return code;
}
