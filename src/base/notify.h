#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H
/*
 * What systemd wants to know: sd_notify(3) without libsystemd.
 *
 * notify_open takes NOTIFY_SOCKET and WATCHDOG_USEC out of the environment, so children neither send
 * nor inherit them.  Without a socket all calls do nothing.  Sending never blocks and never fails the
 * caller: who is told nothing has nothing to lose by it.
 */
#include "base/err.h"

#include <stdint.h>

struct notify {
	int fd;              /* -1: nobody listens */
	int64_t watchdog_us; /* 0: no watchdog wanted; ping at half of it */
	char path[108];      /* of the socket; '@' at the start = abstract */
};

void notify_open(struct notify *n);
/* Lines of sd_notify(3), without a new line at the end: "READY=1\nSTATUS=..." */
void notify_send(const struct notify *n, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* RELOADING=1 with the time that systemd 253 and later want. */
void notify_reloading(const struct notify *n);
void notify_close(struct notify *n);

#endif
