/* courier_run.c: one courier without its parent, for tests/system/test_courier.py.
 *
 *	courier_run mail|publish CONFIG    runs until SIGTERM
 *	courier_run migrate CONFIG         makes the schema
 */
#include "base/heart.h"
#include "base/log.h"
#include "base/proc.h"
#include "db/schema.h"
#include "door/metrics.h"
#include "main/courier_main.h"
#include "main/role.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void say(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

static int migrate(const struct settings *s)
{
	struct err err;

	if (schema_migrate(s->database.dsn, schema_dir(), say, NULL, &err))
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return 1;
}

static int run(const char *channel, struct settings *s)
{
	static struct heart heart;
	static struct crash_note note;
	const bool is_mail = strcmp(channel, "mail") == 0;
	const struct role role = { .name = channel,
		.wake = is_mail ? CHANNEL_EMAIL : CHANNEL_PUBLISH,
		.count = is_mail ? role_count_mail : role_count_publish };
	struct role_env env = {
		.role = &role, .name = channel, .settings = s, .heart = &heart, .note = &note
	};
	struct buf text = { 0 };
	struct err err;
	int fds[2], code;

	env.metrics = metrics_open(1, &err);
	if (env.metrics == NULL || !proc_pipe(fds, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	env.wake_fd = fds[0];
	for (int i = 0; i < WAKE_COUNT; i++)
		env.wake_to[i] = fds[1];
	signal(SIGPIPE, SIG_IGN);
	code = courier_main(&env);
	metrics_write(env.metrics, &text);
	fputs(text.p, stdout);
	buf_free(&text);
	metrics_close(env.metrics);
	return code;
}

int main(int argc, char **argv)
{
	struct settings_problems p = { 0 };
	struct settings *s;
	int code;

	if (argc != 3) {
		fprintf(stderr, "usage: courier_run mail|publish|migrate CONFIG\n");
		return 2;
	}
	log_open("courier_run", LOG_LOGFMT, LOG_LVL_DEBUG);
	s = settings_read(argv[2], NULL, &p);
	if (s == NULL) {
		for (size_t i = 0; i < p.n; i++)
			fprintf(stderr, "%s\n", p.v[i].text);
		settings_problems_free(&p);
		return 2;
	}
	code = strcmp(argv[1], "migrate") == 0 ? migrate(s) : run(argv[1], s);
	settings_free(s);
	return code;
}
