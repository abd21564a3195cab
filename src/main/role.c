/* role.c: the small things that all children have in common. */
#include "main/role.h"

#include "base/proc.h"
#include "main/accepted.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const struct log_ctx role_log = { "role", "" };

void role_wake(const struct role_env *env, int wake)
{
	/* a full pipe is as good as one more byte: whoever reads it looks for all work there is */
	if (write(env->wake_to[wake], "w", 1) < 0)
		return;
}

void role_woken(const struct role_env *env)
{
	proc_drain_pipe(env->wake_fd);
}

struct settings *role_reload(const struct role_env *env, const struct settings *old)
{
	struct settings_problems p = { 0 };
	char *text = env->accepted ? accepted_get(env->accepted) : NULL;
	struct settings *s;

	if (env->accepted && text == NULL)
		return NULL;
	s = settings_read_text(*old->path ? old->path : NULL, text, old, &p);
	free(text);
	if (s) {
		log_set_level(settings_log_level(s));
		return s;
	}
	for (size_t i = 0; i < p.n; i++)
		log_error(&role_log, "%s", p.v[i].text);
	settings_problems_free(&p);
	return NULL;
}

int role_idle(const struct role_env *env)
{
	const struct timespec tick = { 0, 100 * 1000000 };
	struct settings *own = NULL; /* the first ones are the fork's */
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	heart_ready(env->heart);
	for (;;) {
		int sig = sigtimedwait(&wanted, NULL, &tick);

		heart_beat(env->heart);
		if (sig == SIGTERM)
			break;
		if (sig == SIGHUP) {
			struct settings *s = role_reload(env, own ? own : env->settings);

			if (s) {
				settings_free(own);
				own = s;
			}
		}
	}
	settings_free(own);
	return 0;
}

int role_count_engines(const struct settings *s)
{
	return s->nudged.engines;
}

int role_count_mail(const struct settings *s)
{
	return s->mail.couriers;
}

int role_count_publish(const struct settings *s)
{
	return s->publish.couriers;
}

int64_t role_stall_engine(const struct settings *s)
{
	return s->nudged.stall_timeout_us;
}

int64_t role_stall_courier(const struct settings *s)
{
	return s->nudged.stall_timeout_courier_us;
}
