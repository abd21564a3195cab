#ifndef BASE_NOW_H
#define BASE_NOW_H
/*
 * What time it is, in microseconds.  Kept apart from base/clock.h (pure conversions) so that the
 * floors which must not know the time (engine/, model/) can be kept from including it.  Never
 * fails.
 */
#include <stdint.h>

int64_t clock_now_us(void); /* since the Unix epoch; jumps when somebody sets the clock */
int64_t clock_mono_us(
	void); /* only goes forward, stands still in suspend: for measuring and timeouts */
int64_t clock_boot_us(void); /* only goes forward, suspend included: for heartbeats and leases */

#endif
