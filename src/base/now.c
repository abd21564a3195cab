/* now.c: the three clocks of Linux that we use. */
#include "base/now.h"

#include <time.h>

static int64_t now_read(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
	return now_read(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
	return now_read(CLOCK_MONOTONIC);
}

int64_t clock_boot_us(void)
{
	return now_read(CLOCK_BOOTTIME);
}
