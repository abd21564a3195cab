#ifndef BASE_LOG_H
#define BASE_LOG_H
/*
 * Log lines to stderr: `<priority>` prefixes for journald, or logfmt (`ts= level= room= msg=`).
 *
 * A line is `room[id]: text`.  Levels: error = a person must act; warning = we cope but look;
 * notice = life cycle; info = one line per batch or delivery; debug = state changes.  A line never
 * blocks the process (a full pipe loses it and is counted), is at most 2,000 bytes, and control
 * characters in it are shown as \xNN, so no customer can write a line of his own.  No payloads,
 * addresses or secrets above debug: pass phones and addresses through log_mask.
 * LOG_DAMPED sends the first of a kind at once, then one line a minute with the count.
 */
#include "base/err.h"

#include <stdint.h>

enum log_level {
	LOG_LVL_ERROR = 3,
	LOG_LVL_WARNING = 4,
	LOG_LVL_NOTICE = 5,
	LOG_LVL_INFO = 6,
	LOG_LVL_DEBUG = 7
};
enum log_format { LOG_JOURNAL, LOG_LOGFMT };

struct log_ctx {
	const char *room; /* "http", "flow", "mail" */
	char id[40];      /* what in that room; may be empty */
};

/* Call once at start of each process; program is shown in logfmt lines. */
void log_open(const char *program, enum log_format format, enum log_level most);
void log_set_level(enum log_level most);
bool log_is_on(enum log_level level);
void log_line(enum log_level level, const struct log_ctx *ctx, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* `a***@example.com`, `+4917*****12`: enough to recognise, not to use.  Returns one of a few static
 * buffers: use it at once. */
const char *log_mask(const char *address);
/* Lines lost because stderr was full. */
uint64_t log_lost(void);

/* One per call site of a repeating line; zero-initialised and static. */
struct log_damp {
	int64_t last_us; /* when the last line went out */
	unsigned held;   /* since then not shown */
};
/* True when the line should go out now; *ret_held is how many were held back before it. */
bool log_damp_pass(struct log_damp *d, unsigned *ret_held);

#define log_error(ctx, ...) log_line(LOG_LVL_ERROR, (ctx), __VA_ARGS__)
#define log_warning(ctx, ...) log_line(LOG_LVL_WARNING, (ctx), __VA_ARGS__)
#define log_notice(ctx, ...) log_line(LOG_LVL_NOTICE, (ctx), __VA_ARGS__)
#define log_info(ctx, ...)                                                                         \
	do {                                                                                       \
		if (log_is_on(LOG_LVL_INFO))                                                       \
			log_line(LOG_LVL_INFO, (ctx), __VA_ARGS__);                                \
	} while (0)
#define log_debug(ctx, ...)                                                                        \
	do {                                                                                       \
		if (log_is_on(LOG_LVL_DEBUG))                                                      \
			log_line(LOG_LVL_DEBUG, (ctx), __VA_ARGS__);                               \
	} while (0)
/* A line that may repeat: `log_damped(LOG_LVL_WARNING, &ctx, "could not ...")`. */
#define log_damped(level, ctx, fmt, ...)                                                           \
	do {                                                                                       \
		static struct log_damp damp_;                                                      \
		unsigned held_;                                                                    \
		if (log_damp_pass(&damp_, &held_)) {                                               \
			if (held_)                                                                 \
				log_line(level, (ctx), fmt " (%u more like this since)",           \
					##__VA_ARGS__, held_);                                     \
			else                                                                       \
				log_line(level, (ctx), fmt, ##__VA_ARGS__);                        \
		}                                                                                  \
	} while (0)

#endif
