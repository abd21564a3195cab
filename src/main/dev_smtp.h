#ifndef MAIN_DEV_SMTP_H
#define MAIN_DEV_SMTP_H
/*
 * Development mode's mail catch-all: accepts every message (RFC 5321, without extensions but 8BITMIME) and stores it
 * as DIR/<number>.eml, with the envelope in X-Envelope-From and X-Envelope-To in front.  A file appears whole or
 * not at all, before the sender hears 250.  For one machine and one person: it relays nothing.
 */

/* Serves the listening socket until SIGTERM, then returns the exit code.  Several connections at a time. */
int dev_smtp_run(int listen_fd, const char *dir);

#endif
