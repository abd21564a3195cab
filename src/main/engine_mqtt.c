/* engine_mqtt.c: the seat tells the client when the session is ours; the intake is asked with the seat in mind. */
#include "main/engine_mqtt.h"

#include "base/mem.h"
#include "door/mqtt_seat.h"
#include "main/settings.h"

#include <stdlib.h>
#include <string.h>

struct engine_mqtt {
	struct mqtt *mqtt;
	struct seat *seat;
	struct mqtt_intake intake; /* the engine's */
	void (*on_drained)(void *arg);
	void *drained_arg;
};

static bool engine_mqtt_is_ready(void *arg, const char **ret_why)
{
	struct engine_mqtt *m = arg;

	if (m->seat == NULL || !seat_is_held(m->seat)) {
		*ret_why = "another engine holds the MQTT session";
		return false;
	}
	return m->intake.is_ready(m->intake.arg, ret_why);
}

static bool engine_mqtt_has_room(void *arg, size_t events, size_t bytes)
{
	struct engine_mqtt *m = arg;

	return m->intake.has_room(m->intake.arg, events, bytes);
}

static void engine_mqtt_submit(void *arg, struct event_ticket *t)
{
	struct engine_mqtt *m = arg;

	m->intake.submit(m->intake.arg, t);
}

static int64_t engine_mqtt_now_us(void *arg)
{
	struct engine_mqtt *m = arg;

	return m->intake.now_us(m->intake.arg);
}

static void engine_mqtt_on_seat(void *arg, bool is_held, bool was_taken)
{
	struct engine_mqtt *m = arg;

	if (is_held)
		mqtt_hold(m->mqtt, was_taken);
	else
		mqtt_release(m->mqtt);
}

/* Is the store in the list, or is the list empty? */
static bool engine_mqtt_allows(const struct settings *s, const char *shop)
{
	for (size_t i = 0; i < s->mqtt.stores.n; i++)
		if (strcmp(s->mqtt.stores.v[i], shop) == 0)
			return true;
	return s->mqtt.stores.n == 0;
}

void engine_mqtt_use(struct engine_mqtt *m, const struct settings *s)
{
	const struct shop **shops = xcalloc(s->nshops, sizeof *shops);
	size_t n = 0;

	for (size_t i = 0; i < s->nshops; i++)
		if (engine_mqtt_allows(s, s->shops[i].id))
			shops[n++] = &s->shops[i];
	mqtt_set_shops(m->mqtt, shops, n);
	free(shops);
}

static struct mqtt_settings engine_mqtt_settings(const struct settings *s)
{
	struct mqtt_settings m;

	mqtt_settings_default(&m);
	m.host = s->mqtt.host;
	m.port = s->mqtt.port;
	m.client_id = s->mqtt.client_id;
	m.user = s->mqtt.user;
	m.password = s->mqtt.password;
	m.tls = s->mqtt.tls;
	m.tls_ca = s->mqtt.tls_ca;
	m.tls_cert = s->mqtt.tls_cert;
	m.tls_key = s->mqtt.tls_key;
	m.keepalive_us = s->mqtt.keepalive_us;
	m.receive_maximum = s->mqtt.receive_maximum;
	m.session_expiry_us = s->mqtt.session_expiry_us;
	m.prefix = s->mqtt.topic;
	m.batch = (size_t)s->limits.mqtt_batch;
	return m;
}

struct engine_mqtt *engine_mqtt_open(struct loop *loop, const struct settings *s,
	const struct mqtt_intake *intake, struct err *err)
{
	struct mqtt_settings settings = engine_mqtt_settings(s);
	struct engine_mqtt *m;
	struct mqtt_intake own;
	char *name;

	if (*s->mqtt.host == '\0' || !s->mqtt.events)
		return NULL;
	m = xcalloc(1, sizeof *m);
	m->intake = *intake;
	own = (struct mqtt_intake){ .is_ready = engine_mqtt_is_ready,
		.has_room = engine_mqtt_has_room,
		.submit = engine_mqtt_submit,
		.arg = m,
		.now_us = engine_mqtt_now_us };
	if ((m->mqtt = mqtt_open(loop, &settings, &own, err)) == NULL) {
		free(m);
		return NULL;
	}
	engine_mqtt_use(m, s);
	name = xasprintf("mqtt/%s:%d/%s", s->mqtt.host, s->mqtt.port, s->mqtt.client_id);
	m->seat = seat_open(loop, &(struct seat_env){ .dsn = s->database.dsn,
					  .name = name,
					  .unsafe_durability = s->nudged.unsafe_durability,
					  .ask_us = s->mqtt.takeover_us,
					  .on_change = engine_mqtt_on_seat,
					  .arg = m });
	free(name);
	return m;
}

/* The next engine need not wait until this one's slowest client is done. */
static void engine_mqtt_on_drained(void *arg)
{
	struct engine_mqtt *m = arg;

	seat_close(m->seat);
	m->seat = NULL;
	m->on_drained(m->drained_arg);
}

void engine_mqtt_drain(struct engine_mqtt *m, void (*fn)(void *arg), void *arg)
{
	m->on_drained = fn;
	m->drained_arg = arg;
	mqtt_drain(m->mqtt, engine_mqtt_on_drained, m);
}

const struct mqtt_stats *engine_mqtt_stats(const struct engine_mqtt *m)
{
	return mqtt_stats(m->mqtt);
}

void engine_mqtt_close(struct engine_mqtt *m)
{
	if (m == NULL)
		return;
	seat_close(m->seat);
	mqtt_close(m->mqtt);
	free(m);
}
