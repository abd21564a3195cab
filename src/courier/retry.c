/* retry.c: doubling delays.  How long a message has been tried follows from how often it was: the row
 * needs no first time, and a message that waited for its day is not punished for it. */
#include "courier/retry.h"

bool retry_delay(const struct retry_options *o, int attempts, int64_t *ret_us)
{
	int64_t delay_us = o->first_us, all_us = 0;

	for (int i = 1; i < attempts && all_us <= o->give_up_us; i++) {
		all_us += delay_us;
		delay_us = delay_us > o->most_us / 2 ? o->most_us : delay_us * 2;
	}
	if (all_us + delay_us > o->give_up_us)
		return false;
	*ret_us = delay_us;
	return true;
}
