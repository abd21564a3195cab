#ifndef MAIN_DEV_PARTS_H
#define MAIN_DEV_PARTS_H
/*
 * The private parts of development mode: a Postgres cluster, a Mosquitto and a mail catch-all below one directory.
 * Each is a child process of ours, listens on loopback or a Unix socket only, and is stopped by its pid.
 */
#include "base/err.h"

#include <sys/types.h>

struct dev_parts {
	const char *dir;                 /* absolute */
	pid_t postgres, mosquitto, smtp; /* 0: not running */
	int mqtt_port, smtp_port;
	char dsn[1024];
};

/* Makes the cluster on first use (initdb, as an unprivileged user when we are root) and starts it; returns when it
 * takes connections and the database is there. */
bool dev_postgres_start(struct dev_parts *p, struct err *err) MUST_CHECK;
/* Writes the broker's configuration and starts it on a free port; returns when it takes connections. */
bool dev_mosquitto_start(struct dev_parts *p, struct err *err) MUST_CHECK;
bool dev_smtp_start(struct dev_parts *p, struct err *err) MUST_CHECK;
/* Stops what runs, in order, each within a bounded time; then kills. */
void dev_parts_stop(struct dev_parts *p);

/* A TCP port of 127.0.0.1 that is free now; 0: none. */
int dev_free_port(void);
/* Writes a small file whole. */
bool dev_write_file(const char *path, unsigned mode, struct err *err, const char *fmt,
	...) MUST_CHECK PRINTF_LIKE(4, 5);
/* Sends the signal and waits; after the time it kills.  Sets *pid to 0. */
void dev_stop(pid_t *pid, int signo, int wait_ms);
/* Waits a moment of the start-up loops: 20 ms. */
void dev_pause(void);

#endif
