/* log.c: one write(2) per line, so lines of several processes never mix; a line that would block is
 * counted and dropped, because a daemon that waits for its log's reader has a second way to die. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MOST = 2000, LOG_DAMP_US = 60 * 1000000 };

static const char *log_program = "nudged";
static enum log_format log_format = LOG_JOURNAL;
static enum log_level log_most = LOG_LVL_INFO;
static uint64_t log_lines_lost;

void log_open(const char *program, enum log_format format, enum log_level most)
{
	log_program = program;
	log_format = format;
	log_most = most;
}

void log_set_level(enum log_level most)
{
	log_most = most;
}

bool log_is_on(enum log_level level)
{
	return level <= log_most;
}

uint64_t log_lost(void)
{
	return log_lines_lost;
}

static const char *log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_LVL_ERROR: return "error";
	case LOG_LVL_WARNING: return "warning";
	case LOG_LVL_NOTICE: return "notice";
	case LOG_LVL_INFO: return "info";
	case LOG_LVL_DEBUG: return "debug";
	}
	return "?";
}

/* Appends text with control characters (and, in logfmt, quotes) made harmless. */
static size_t log_put(char *out, size_t at, size_t most, const char *s, bool quoted)
{
	static const char hex[] = "0123456789abcdef";

	for (; *s && at + 5 < most; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f) {
			out[at++] = '\\';
			out[at++] = 'x';
			out[at++] = hex[c >> 4];
			out[at++] = hex[c & 15];
		} else {
			if (quoted && (c == '"' || c == '\\'))
				out[at++] = '\\';
			out[at++] = (char)c;
		}
	}
	return at;
}

static void log_write(const char *line, size_t n)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	/* a pipe whose reader sleeps must not stop us; a file or journal socket always says yes */
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT) || write(STDERR_FILENO, line, n) < 0)
		log_lines_lost++;
}

void log_line(enum log_level level, const struct log_ctx *ctx, const char *fmt, ...)
{
	char text[LOG_LINE_MOST], line[LOG_LINE_MOST + 200];
	const char *room = ctx ? ctx->room : "main", *id = ctx ? ctx->id : "";
	int saved = errno;
	size_t n;
	va_list ap;

	if (!log_is_on(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (log_format == LOG_JOURNAL) {
		n = (size_t)snprintf(line, sizeof line, "<%d>%s%s%.39s%s: ", (int)level, room,
			*id ? "[" : "", id, *id ? "]" : "");
		n = log_put(line, n, sizeof line - 1, text, false);
	} else {
		struct timespec t;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &t);
		gmtime_r(&t.tv_sec, &tm);
		n = strftime(line, sizeof line, "ts=%Y-%m-%dT%H:%M:%S", &tm);
		n += (size_t)snprintf(line + n, sizeof line - n,
			".%03ldZ level=%s program=%s pid=%d room=%s%s%.39s msg=\"",
			t.tv_nsec / 1000000, log_level_name(level), log_program, (int)getpid(),
			room, *id ? " id=" : "", id);
		n = log_put(line, n, sizeof line - 2, text, true);
		line[n++] = '"';
	}
	line[n++] = '\n';
	log_write(line, n);
	errno = saved;
}

const char *log_mask(const char *address)
{
	static char ring[4][96];
	static unsigned next;
	char *out = ring[next++ % 4];
	const char *at = address ? strrchr(address, '@') : NULL;
	size_t n = address ? strlen(address) : 0;

	if (n == 0)
		return "-";
	if (at != NULL)
		snprintf(out, sizeof ring[0], "%.1s***%.80s", address, at);
	else if (n > 7)
		snprintf(out, sizeof ring[0], "%.4s*****%.2s", address, address + n - 2);
	else
		snprintf(out, sizeof ring[0], "***");
	return out;
}

bool log_damp_pass(struct log_damp *d, unsigned *ret_held)
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	if (d->last_us != 0 && now - d->last_us < LOG_DAMP_US) {
		d->held++;
		return false;
	}
	*ret_held = d->held;
	d->held = 0;
	d->last_us = now;
	return true;
}
