/* courier_main.c: settings become a courier's env, and the role's process its host.
 *
 * The floors below do not know the settings, so every option is carried over here, in one place.  The
 * first settings are the fork's; each reload has settings of its own, which live as long as the env
 * made of them. */
#include "main/courier_main.h"

#include "base/mem.h"
#include "base/now.h"
#include "courier/courier.h"
#include "door/metrics.h"
#include "main/role.h"

#include <stddef.h>
#include <stdlib.h>

/* An env with the settings that it points into. */
struct courier_setup {
	struct courier_env env;
	struct settings *settings;
	char *name;
};

struct courier_process {
	const struct role_env *role;
	struct courier_setup *last;   /* the newest setup: what a reload compares with */
	struct courier_setup *before; /* the one before it */
	struct metrics_slot *metrics;
	uint64_t counted[MESSAGE_REFUSED + 1]; /* what metrics know already */
	int64_t measured_us;
};

static enum mail_tls courier_main_tls(const struct settings_mail *m)
{
	switch (m->starttls) {
	case STARTTLS_NO: return MAIL_TLS_NO;
	case STARTTLS_IF_OFFERED: return MAIL_TLS_IF_OFFERED;
	case STARTTLS_REQUIRED: return MAIL_TLS_REQUIRED;
	}
	return MAIL_TLS_REQUIRED;
}

static struct mail_options courier_main_mail(const struct settings *s)
{
	const struct settings_mail *m = &s->mail;

	return (struct mail_options){ .host = m->host,
		.port = m->port,
		.tls = courier_main_tls(m),
		.ca_file = m->ca_file,
		.user = m->user,
		.password = m->password,
		.from = m->from,
		.helo = m->helo,
		.timeout_us = m->timeout_us,
		.per_connection = m->per_connection,
		.message_bytes = m->message_bytes };
}

static struct mqttout_options courier_main_mqttout(const struct settings *s, const char *client_id)
{
	const struct settings_mqtt *m = &s->mqtt;

	return (struct mqttout_options){ .host = m->host,
		.port = m->port,
		.client_id = client_id,
		.user = m->user,
		.password = m->password,
		.tls = m->tls,
		.tls_ca = m->tls_ca,
		.tls_cert = m->tls_cert,
		.tls_key = m->tls_key,
		.topic = m->topic,
		.timeout_us = s->publish.timeout_us,
		.only_to = s->publish.only_to.v,
		.n_only_to = s->publish.only_to.n };
}

static struct claim_options courier_main_claim(
	const struct role_env *role, const struct settings *s, enum message_channel channel)
{
	bool mail = channel == CHANNEL_EMAIL;

	return (struct claim_options){ .channel = channel,
		.shops = s->shops,
		.n_shops = s->nshops,
		.only_to = mail ? s->mail.only_to.v : NULL,
		.n_only_to = mail ? s->mail.only_to.n : 0,
		.resend_in_doubt = mail && s->mail.resend_in_doubt,
		.index = (unsigned)role->index,
		.couriers = (unsigned)role->role->count(s),
		.claim_us = s->mail.claim_us,
		.clock_skew_us = s->nudged.clock_skew_us };
}

static struct retry_options courier_main_retry(
	const struct settings *s, enum message_channel channel)
{
	if (channel == CHANNEL_EMAIL)
		return (struct retry_options){ s->mail.retry_us, s->mail.retry_most_us,
			s->mail.give_up_us };
	return (struct retry_options){ s->publish.retry_us, s->publish.retry_most_us,
		s->publish.give_up_us };
}

/* Everything a courier needs of the settings. */
static struct courier_setup *courier_main_setup(const struct role_env *role, struct settings *s)
{
	enum message_channel channel = (enum message_channel)role->role->wake;
	struct courier_setup *u = xcalloc(1, sizeof *u);

	u->settings = s;
	u->name = xasprintf("%s-%s", s->publish.client_id, role->name);
	u->env = (struct courier_env){ .name = role->name,
		.dsn = s->database.dsn,
		.unsafe_durability = s->nudged.unsafe_durability,
		.statement_timeout_ms = (int)(s->database.statement_timeout_us / 1000),
		.claim = courier_main_claim(role, s, channel),
		.render = { s->nudged.public_url, s->nudged.sign_key },
		.mail = courier_main_mail(s),
		.mqttout = courier_main_mqttout(s, u->name),
		.retry = courier_main_retry(s, channel),
		.poll_us = s->database.poll_us,
		.max_messages = channel == CHANNEL_EMAIL ? s->mail.max_messages : 0 };
	return u;
}

static void courier_main_setup_free(struct courier_setup *u)
{
	free(u->name);
	free(u);
}

/*** the host ***/

static void courier_main_woken(void *arg)
{
	struct courier_process *p = arg;

	role_woken(p->role);
}

static void courier_main_wake_engines(void *arg)
{
	struct courier_process *p = arg;

	role_wake(p->role, WAKE_ENGINE);
}

static const struct courier_env *courier_main_reload(void *arg)
{
	struct courier_process *p = arg;
	struct settings *s = role_reload(p->role, p->last->settings);

	if (s == NULL)
		return NULL;
	p->before = p->last;
	p->last = courier_main_setup(p->role, s);
	return &p->last->env;
}

static void courier_main_release(void *arg, const struct courier_env *env)
{
	struct courier_process *p = arg;
	struct courier_setup *u =
		(struct courier_setup *)((uintptr_t)env - offsetof(struct courier_setup, env));

	if (u == p->last) /* the courier did not take it */
		p->last = p->before;
	settings_free(u->settings);
	courier_main_setup_free(u);
}

/* The cells go on from the process before, so only what is new is added.  Messages that wait again are
 * no new state for whoever looks from outside. */
static void courier_main_publish(void *arg, const uint64_t *counts, bool database)
{
	struct courier_process *p = arg;
	const size_t states = metrics_count(METRIC_ACTIONS) / CHANNEL_COUNT;
	uint64_t *cells =
		metrics_cells(p->metrics, METRIC_ACTIONS) + (size_t)p->role->role->wake * states;
	int64_t now_us = clock_boot_us();

	for (size_t i = 0; i <= MESSAGE_REFUSED; i++) {
		if (i != MESSAGE_READY)
			cells[i] += counts[i] - p->counted[i];
		p->counted[i] = counts[i];
	}
	*metrics_cells(p->metrics, METRIC_DATABASE_CONNECTED) = database;
	if (now_us - p->measured_us < 1000000)
		return;
	p->measured_us = now_us;
	metrics_publish_process(p->metrics);
}

static void courier_main_sent(void *arg, int64_t lag_us)
{
	struct courier_process *p = arg;

	metrics_observe(p->metrics, METRIC_SEND_LAG, lag_us > 0 ? lag_us : 0);
}

int courier_main(const struct role_env *env)
{
	struct courier_process p = { .role = env,
		.metrics = metrics_enter(env->metrics, env->slot) };
	struct courier_setup *first = courier_main_setup(env, env->settings);
	const struct courier_host host = { .heart = env->heart,
		.wake_fd = env->wake_fd,
		.woken = courier_main_woken,
		.wake_engines = courier_main_wake_engines,
		.reload = courier_main_reload,
		.release = courier_main_release,
		.publish = courier_main_publish,
		.sent = courier_main_sent,
		.arg = &p };
	int code;

	p.last = first;
	code = courier_run((enum message_channel)env->role->wake, &first->env, &host);
	courier_main_setup_free(first);
	return code;
}
