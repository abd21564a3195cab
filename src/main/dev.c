/*
 * dev.c: development mode is a small init system for one directory: Postgres, Mosquitto and the mail catch-all start
 * first, then the daemon itself as a child with a configuration that names them.  When the daemon dies it is started
 * again after a moment, as systemd would; when one of the others dies, everything stops and the log says which.
 *
 *   DIR/env           shell assignments: NUDGED_URL NUDGED_TOKEN NUDGED_ADMIN_TOKEN NUDGED_MQTT_PORT NUDGED_DSN ...
 *   DIR/nudged.conf   made at every start; tokens and the port are kept over starts in DIR/secrets
 *   DIR/nudged.pid    of the daemon itself
 *   DIR/mail/000001.eml ...    what was sent;  DIR/log/  what the parts wrote;  DIR/pg, DIR/mosquitto  their data
 */
#include "main/dev.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "db/schema.h"
#include "main/dev_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	DEV_READY_MS = 60000,
	DEV_DRAIN_MS = 20000,
	DEV_RESTART_PAUSE_MS = 200,
	DEV_SECRET_BYTES = 18
};

static const struct log_ctx dev_log = { .room = "dev" };
static volatile sig_atomic_t dev_term, dev_hup;

struct dev {
	struct dev_parts parts;
	char dir[PATH_MAX], rules[PATH_MAX], templates[PATH_MAX];
	int port;
	char token[64], admin_token[64], sign_key[64];
	pid_t nudged;
	bool said_ready;
};

static void dev_on_signal(int signo)
{
	if (signo == SIGHUP)
		dev_hup = 1;
	else
		dev_term = 1;
}

static int dev_usage(void)
{
	fprintf(stderr, "usage: nudged --dev DIR [--rules DIR] [--templates DIR] [--port N]\n");
	return 2;
}

/* The directory given, or the one in the tree or where it was installed. */
static bool dev_directory(const char *given, const char *name, char ret[PATH_MAX], struct err *err)
{
	char installed[PATH_MAX];
	const char *places[] = { given, name, installed };

	snprintf(installed, sizeof installed, "%s/%s", NUDGED_DATADIR, name);
	for (size_t i = given ? 0 : 1; i < sizeof places / sizeof *places; i++) {
		if (realpath(places[i], ret) != NULL)
			return true;
		if (given != NULL)
			return err_set(err, "could not find %s directory \"%s\": %s", name, given,
				strerror(errno));
	}
	err_set(err, "found no directory \"%s\" here or in \"%s\"", name, NUDGED_DATADIR);
	return err_hint(err, "Name it with --%s DIR.", name);
}

/* -1: go on; else the exit code. */
static int dev_parse(int argc, char **argv, struct dev *d, struct err *err)
{
	static const struct option options[] = { { "dev", required_argument, NULL, 'd' },
		{ "rules", required_argument, NULL, 'r' },
		{ "templates", required_argument, NULL, 't' },
		{ "port", required_argument, NULL, 'p' }, { NULL, 0, NULL, 0 } };
	const char *dir = NULL, *rules = NULL, *templates = NULL;
	int64_t port = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'd': dir = optarg; break;
		case 'r': rules = optarg; break;
		case 't': templates = optarg; break;
		case 'p':
			if (!span_to_i64(span_of(optarg), &port) || port < 1 || port > 65535)
				return dev_usage();
			break;
		default: return dev_usage();
		}
	if (dir == NULL || optind != argc)
		return dev_usage();
	d->port = (int)port;
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		err_set(err, "could not make directory \"%s\": %s", dir, strerror(errno));
	else if (realpath(dir, d->dir) == NULL)
		err_set(err, "could not find directory \"%s\": %s", dir, strerror(errno));
	else if (dev_directory(rules, "rules", d->rules, err) &&
		 dev_directory(templates, "templates", d->templates, err))
		return -1;
	return 1;
}

/* ---- tokens and the port: the same on each start ---- */

static void dev_secret(char ret[64])
{
	unsigned char bytes[DEV_SECRET_BYTES];
	struct buf b = { 0 };

	hash_random(bytes, sizeof bytes);
	hash_base64url(&b, (struct span){ (char *)bytes, sizeof bytes });
	snprintf(ret, 64, "%s", b.p);
	buf_free(&b);
}

static bool dev_port_is_free(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	bool ok;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool dev_secrets(struct dev *d, struct err *err)
{
	char path[PATH_MAX + 16];
	int port = 0, n = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/secrets", d->dir);
	if ((f = fopen(path, "re")) != NULL) {
		n = fscanf(f, "%63s %63s %63s %d", d->token, d->admin_token, d->sign_key, &port);
		fclose(f);
	}
	if (n != 4) {
		dev_secret(d->token);
		dev_secret(d->admin_token);
		dev_secret(d->sign_key);
	}
	if (d->port == 0)
		d->port = n == 4 && dev_port_is_free(port) ? port : dev_free_port();
	return dev_write_file(
		path, 0600, err, "%s %s %s %d\n", d->token, d->admin_token, d->sign_key, d->port);
}

/* ---- files ---- */

static bool dev_write_conf(struct dev *d, struct err *err)
{
	char path[PATH_MAX + 16], token[HASH_HEX], admin[HASH_HEX];

	snprintf(path, sizeof path, "%s/nudged.conf", d->dir);
	hash_token(span_of(d->token), token);
	hash_token(span_of(d->admin_token), admin);
	return dev_write_file(path, 0600, err,
		"; made by nudged --dev at every start: changes here are lost\n"
		"[nudged]\nlisten = 127.0.0.1:%d\nlog_format = logfmt\nrules = %s\ntemplates = %s\n"
		"state_dir = %s\nadmin_token = %s\nsign_key = %s\npublic_url = http://127.0.0.1:%d\n\n"
		"[database]\ndsn = %s\n\n[mqtt]\nhost = 127.0.0.1\nport = %d\n\n"
		"[mail]\nhost = 127.0.0.1\nport = %d\nstarttls = no\nfrom = Demo shop <shop@demo.example>\n\n"
		"[calendar office]\nsat =\nsun =\n\n"
		"[group sales]\nemail = sales@demo.example\n\n"
		"[manager kate]\nemail = kate@demo.example\ngroups = sales\nhead = yes\n\n"
		"[store main]\ntokens = %s\nzone = Europe/Berlin\nlanguage = en\ncurrency = EUR\ncountry = DE\ncalendar = office\n"
		"from = Demo shop <shop@demo.example>\n",
		d->port, d->rules, d->templates, d->dir, admin, d->sign_key, d->port, d->parts.dsn,
		d->parts.mqtt_port, d->parts.smtp_port, token);
}

static bool dev_write_env(const struct dev *d, struct err *err)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/env", d->dir);
	return dev_write_file(path, 0600, err,
		"NUDGED_URL='http://127.0.0.1:%d'\nNUDGED_TOKEN='%s'\nNUDGED_ADMIN_TOKEN='%s'\n"
		"NUDGED_MQTT_PORT='%d'\nNUDGED_DSN='%s'\nNUDGED_CONFIG='%s/nudged.conf'\n",
		d->port, d->token, d->admin_token, d->parts.mqtt_port, d->parts.dsn, d->dir);
}

/* ---- the daemon itself ---- */

static bool dev_nudged_start(struct dev *d, struct err *err)
{
	char path[PATH_MAX + 16], conf[PATH_MAX + 16];

	snprintf(conf, sizeof conf, "%s/nudged.conf", d->dir);
	snprintf(path, sizeof path, "%s/nudged.pid", d->dir);
	d->nudged = proc_fork("nudged");
	if (d->nudged == 0) {
		char *const argv[] = { (char *)(uintptr_t) "nudged", (char *)(uintptr_t) "--config",
			conf, NULL };

		execv("/proc/self/exe", argv);
		_exit(127);
	}
	if (d->nudged < 0)
		return err_set(err, "could not start the daemon: %s", strerror(errno));
	return dev_write_file(path, 0644, err, "%d\n", (int)d->nudged);
}

/* Asks GET /readyz; true when it says 200. */
static bool dev_is_ready(const struct dev *d)
{
	static const char ask[] =
		"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)d->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval most = { .tv_sec = 2 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[16] = "";
	bool ok;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	     send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) == sizeof ask - 1 &&
	     recv(fd, answer, 12, MSG_WAITALL) == 12 && memcmp(answer + 9, "200", 3) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* The daemon has ended: after a crash it is started again, as systemd would. */
static bool dev_nudged_ended(struct dev *d, int status, struct err *err)
{
	d->nudged = 0;
	if (dev_term)
		return true;
	if (WIFEXITED(status))
		return err_set(err, "the daemon ended with %s", proc_end_text(status));
	log_warning(
		&dev_log, "the daemon was ended by %s, starting it again", proc_end_text(status));
	for (int ms = 0; ms < DEV_RESTART_PAUSE_MS; ms += 20)
		dev_pause();
	return dev_nudged_start(d, err);
}

/* Looks after the children until somebody says stop. */
static bool dev_watch(struct dev *d, struct err *err)
{
	while (!dev_term) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0 && pid == d->nudged && !dev_nudged_ended(d, status, err))
			return false;
		for (size_t i = 0; pid > 0 && i < 3; i++) {
			pid_t *part = (pid_t *[]){ &d->parts.postgres, &d->parts.mosquitto,
				&d->parts.smtp }[i];
			static const char *const names[] = { "Postgres", "mosquitto",
				"the mail catch-all" };

			if (*part != pid)
				continue;
			*part = 0;
			return err_set(err, "%s ended with %s: see \"%s/log\"", names[i],
				proc_end_text(status), d->dir);
		}
		if (dev_hup && d->nudged > 0)
			kill(d->nudged, SIGHUP);
		dev_hup = 0;
		if (!d->said_ready && dev_is_ready(d)) {
			d->said_ready = true;
			puts("ready");
			fflush(stdout);
		}
		if (pid <= 0)
			dev_pause();
	}
	return true;
}

static void dev_say(void *arg, const char *line)
{
	(void)arg;
	log_info(&dev_log, "%s", line);
}

static bool dev_start(struct dev *d, struct err *err)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/log", d->dir);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return err_set(err, "could not make directory \"%s\": %s", path, strerror(errno));
	if (geteuid() == 0 && chmod(path, 01777) != 0) /* Postgres writes there as another user */
		return err_set(err, "could not open \"%s\" to all: %s", path, strerror(errno));
	return dev_secrets(d, err) && dev_postgres_start(&d->parts, err) &&
	       schema_migrate(d->parts.dsn, schema_dir(), dev_say, NULL, err) &&
	       dev_mosquitto_start(&d->parts, err) && dev_smtp_start(&d->parts, err) &&
	       dev_write_conf(d, err) && dev_write_env(d, err) && dev_nudged_start(d, err);
}

int dev_main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = dev_on_signal };
	struct dev d = { .port = 0 };
	struct err err = { 0 };
	int code;
	bool ok;

	log_open("nudged-dev", LOG_LOGFMT, LOG_LVL_INFO);
	if ((code = dev_parse(argc, argv, &d, &err)) >= 0) {
		if (*err.text)
			log_error(&dev_log, "%s%s%s", err.text, *err.hint ? "; " : "", err.hint);
		return code;
	}
	d.parts.dir = d.dir;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	ok = dev_start(&d, &err) && dev_watch(&d, &err);
	if (!ok)
		log_error(&dev_log, "%s%s%s", err.text, *err.hint ? "; " : "", err.hint);
	dev_stop(&d.nudged, SIGTERM, DEV_DRAIN_MS);
	dev_parts_stop(&d.parts);
	return ok ? 0 : 1;
}
