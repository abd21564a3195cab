/* mqtt_gate.c: door/mqtt with an intake that can be slow, shut, full or deadly, for
 * tests/system/test_mqtt.py and for measuring the door alone.
 *
 * usage: mqtt_gate PORT STORES [name=value ...]; STORES: names divided by commas.  Names:
 *   log=FILE        where commits go: a line of JSON per event, written before the batch is settled
 *   commit_ms=N     how long a commit takes
 *   slow=N          only the first N commits take that long
 *   die_read=N      SIGKILL itself when batch N is submitted: read, not committed
 *   die_commit=N    SIGKILL itself when batch N is committed: not acknowledged
 *   shut=FILE       not ready as long as this file is there
 *   room=N          most events at a time (has_room)
 *   dsn=TEXT        wait for the seat in this database; otherwise the session is simply held
 *   host= client= prefix= keepalive_s= batch= receive= expiry_s= user= password= ca=
 * or: mqtt_gate migrate DSN DIRECTORY: makes the schema.
 * Prints `ready`, then `held` and `lost` as the seat comes and goes, a line of counters on SIGUSR1 and at
 * the end.  SIGTERM drains.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/now.h"
#include "db/schema.h"
#include "door/mqtt.h"
#include "door/mqtt_seat.h"
#include "model/shop.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SHOPS_MOST = 20 };

struct box {
	struct loop *loop;
	struct mqtt *mqtt;
	struct seat *seat;
	struct loop_timer *commit;
	struct event_ticket *ticket; /* at the "database" */
	struct shop shops[SHOPS_MOST];
	const struct shop *refs[SHOPS_MOST];
	size_t n_shops;
	int log;
	int64_t commit_us, slow, die_read, die_commit, room;
	const char *shut, *dsn;
	int64_t batches, events, largest;
};

static void say_stats(struct box *b)
{
	const struct mqtt_stats *s = mqtt_stats(b->mqtt);
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("{\"messages\":%" PRIu64 ",\"events\":%" PRIu64 ",\"quarantined\":%" PRIu64
	       ",\"foreign\":%" PRIu64 ",\"retained\":%" PRIu64 ",\"batches\":%" PRIu64
	       ",\"connects\":%" PRIu64 ",\"drops\":%" PRIu64 ",\"sessions_lost\":%" PRIu64
	       ",\"connected\":%s,\"paused\":%s,\"largest\":%" PRId64 ",\"cpu_us\":%" PRId64 "}\n",
		s->messages, s->events, s->quarantined, s->foreign, s->retained, s->batches,
		s->connects, s->drops, s->sessions_lost, s->is_connected ? "true" : "false",
		s->is_paused ? "true" : "false", b->largest,
		(int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
			u.ru_stime.tv_usec);
	fflush(stdout);
}

static void put_member(struct buf *out, const char *key, struct span text)
{
	json_put_key(out, key);
	json_put_text(out, json_is_text(text) ? text : SPAN("(not text)"));
}

/* Writes the events to the log, all with one write. */
static void write_log(struct box *b, const struct event_ticket *t)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < t->n; i++) {
		const struct shop_event *e = &t->events[i];

		buf_char(&out, '{');
		put_member(&out, "id", e->id);
		put_member(&out, "type", e->type);
		put_member(&out, "source", e->source);
		put_member(&out, "store", span_of(e->shop->id));
		put_member(&out, "status",
			span_of(e->status == EVENT_QUARANTINED ? "quarantined" : "accepted"));
		put_member(&out, "reason", span_of(e->reason ? e->reason : ""));
		put_member(&out, "data", e->data);
		buf_str(&out, "}\n");
	}
	if (write(b->log, out.p, out.n) != (ssize_t)out.n)
		abort();
	buf_free(&out);
}

static void on_commit(void *arg)
{
	struct box *b = arg;
	struct event_ticket *t = b->ticket;

	if (b->log >= 0)
		write_log(b, t);
	b->batches++;
	b->events += (int64_t)t->n;
	if ((int64_t)t->n > b->largest)
		b->largest = (int64_t)t->n;
	if (b->batches == b->die_commit)
		raise(SIGKILL);
	b->ticket = NULL;
	t->done(t);
}

static void on_submit(void *arg, struct event_ticket *t)
{
	struct box *b = arg;

	b->ticket = t;
	if (b->batches + 1 == b->die_read)
		raise(SIGKILL);
	if (b->commit_us > 0 && (b->slow == 0 || b->batches < b->slow))
		loop_timer_in(b->commit, b->commit_us);
	else
		loop_at_turn_end(b->loop, LOOP_FORM, on_commit, b);
}

static bool is_ready(void *arg, const char **ret_why)
{
	struct box *b = arg;

	*ret_why = "the test says so";
	if (b->seat != NULL && !seat_is_held(b->seat))
		return false;
	return b->shut == NULL || access(b->shut, F_OK) != 0;
}

static bool has_room(void *arg, size_t events, size_t bytes)
{
	struct box *b = arg;

	(void)bytes;
	return b->room == 0 || (int64_t)events <= b->room;
}

static void on_drained(void *arg)
{
	loop_stop(((struct box *)arg)->loop);
}

static void on_term(void *arg, int signo)
{
	struct box *b = arg;

	(void)signo;
	mqtt_drain(b->mqtt, on_drained, b);
}

static void on_usr1(void *arg, int signo)
{
	(void)signo;
	say_stats(arg);
}

static void on_seat(void *arg, bool is_held, bool was_taken)
{
	struct box *b = arg;

	printf("%s %" PRId64 "\n", is_held ? "held" : "lost", clock_now_us());
	fflush(stdout);
	if (is_held)
		mqtt_hold(b->mqtt, was_taken);
	else
		mqtt_release(b->mqtt);
}

static void add_shops(struct box *b, char *names)
{
	for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		b->shops[b->n_shops] = (struct shop){ .id = name,
			.base = name,
			.zone = "UTC",
			.lang = "en",
			.currency = "EUR",
			.country = "DE",
			.from = "",
			.reply_to = "" };
		b->refs[b->n_shops] = &b->shops[b->n_shops];
		b->n_shops++;
	}
}

/* Takes one name=value. */
static void set_option(struct box *b, struct mqtt_settings *s, char *text)
{
	char *value = strchr(text, '=');
	int64_t n;

	if (value == NULL)
		exit(2);
	*value++ = '\0';
	n = strtoll(value, NULL, 10);
	if (strcmp(text, "log") == 0)
		b->log = open(value, O_WRONLY | O_CREAT | O_APPEND, 0644);
	else if (strcmp(text, "commit_ms") == 0)
		b->commit_us = n * 1000;
	else if (strcmp(text, "slow") == 0)
		b->slow = n;
	else if (strcmp(text, "die_read") == 0)
		b->die_read = n;
	else if (strcmp(text, "die_commit") == 0)
		b->die_commit = n;
	else if (strcmp(text, "shut") == 0)
		b->shut = value;
	else if (strcmp(text, "room") == 0)
		b->room = n;
	else if (strcmp(text, "dsn") == 0)
		b->dsn = value;
	else if (strcmp(text, "host") == 0)
		s->host = value;
	else if (strcmp(text, "client") == 0)
		s->client_id = value;
	else if (strcmp(text, "prefix") == 0)
		s->prefix = value;
	else if (strcmp(text, "keepalive_s") == 0)
		s->keepalive_us = n * 1000000;
	else if (strcmp(text, "batch") == 0)
		s->batch = (size_t)n;
	else if (strcmp(text, "receive") == 0)
		s->receive_maximum = (int)n;
	else if (strcmp(text, "expiry_s") == 0)
		s->session_expiry_us = n * 1000000;
	else if (strcmp(text, "user") == 0)
		s->user = value;
	else if (strcmp(text, "password") == 0)
		s->password = value;
	else if (strcmp(text, "ca") == 0)
		s->tls_ca = value, s->tls = true;
	else
		exit(2);
}

static void run(struct box *b)
{
	struct loop_signal *term = loop_signal_open(b->loop, SIGTERM, on_term, b);
	struct loop_signal *usr1 = loop_signal_open(b->loop, SIGUSR1, on_usr1, b);
	struct seat_env seat = { .dsn = b->dsn,
		.name = "mqtt/test",
		.ask_us = 1000000,
		.on_change = on_seat,
		.arg = b };
	struct err err;

	if (b->dsn != NULL)
		b->seat = seat_open(b->loop, &seat);
	else
		mqtt_hold(b->mqtt, false);
	printf("ready\n");
	fflush(stdout);
	if (!loop_run(b->loop, &err))
		exit(1);
	say_stats(b);
	seat_close(b->seat);
	loop_signal_close(term);
	loop_signal_close(usr1);
}

static void say(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
	static struct box box = { .log = -1 };
	struct mqtt_intake intake = {
		.is_ready = is_ready, .has_room = has_room, .submit = on_submit, .arg = &box
	};
	struct mqtt_settings s;
	struct err err;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "migrate") == 0 && argc == 4) {
		if (schema_migrate(argv[2], argv[3], say, NULL, &err))
			return 0;
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	log_open("mqtt_gate", LOG_LOGFMT, LOG_LVL_DEBUG);
	mqtt_settings_default(&s);
	s.host = "127.0.0.1";
	s.port = atoi(argv[1]);
	add_shops(&box, argv[2]);
	for (int i = 3; i < argc; i++)
		set_option(&box, &s, argv[i]);
	box.loop = loop_open(&err);
	box.commit = loop_timer_open(box.loop, on_commit, &box);
	box.mqtt = mqtt_open(box.loop, &s, &intake, &err);
	if (box.mqtt == NULL) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	mqtt_set_shops(box.mqtt, box.refs, box.n_shops);
	run(&box);
	mqtt_close(box.mqtt);
	loop_timer_close(box.commit);
	loop_close(box.loop);
	return 0;
}
