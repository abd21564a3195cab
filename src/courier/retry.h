#ifndef COURIER_RETRY_H
#define COURIER_RETRY_H
/*
 * When a message that could not be handed over is tried again (PROMISES P16).  Pure.
 */
#include <stdbool.h>
#include <stdint.h>

struct retry_options {
	int64_t first_us, most_us; /* the delay doubles from first to most */
	int64_t give_up_us;        /* all delays together may be no longer */
};
/* After the n-th attempt (from 1): how long to wait; false: enough. */
bool retry_delay(const struct retry_options *o, int attempts, int64_t *ret_us);

#endif
