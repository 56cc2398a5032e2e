/* SPDX-License-Identifier: Apache-2.0 */
/* The clock: CLOCK_MONOTONIC at start, extrapolated by the time stamp counter. */
#include "mt_worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

static uint64_t kernel_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

/* True if the counter has one rate, also in all sleep states, and so is the same on all cores. */
static bool tsc_is_even(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool constant = false, nonstop = false;
	char *line = NULL;
	size_t room = 0;

	while (f && !(constant && nonstop) && getline(&line, &room, f) > 0) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		constant = strstr(line, " constant_tsc") != NULL;
		nonstop = strstr(line, " nonstop_tsc") != NULL;
		break;
	}
	free(line);
	if (f)
		fclose(f);
	return constant && nonstop;
}

void mt_clock_init(struct mt_clock *c)
{
	uint64_t hz = rte_get_tsc_hz();

	memset(c, 0, sizeof(*c));
	if (hz > 0 && tsc_is_even())
		c->ns_per_tick = (uint64_t)(((__uint128_t)MT_SEC << 32) / hz);
	c->base_tsc = rte_rdtsc();
	c->base_ns = kernel_ns(CLOCK_MONOTONIC);
	mt_clock_sync(c);
}

uint64_t mt_clock_now(const struct mt_clock *c)
{
	uint64_t ticks;

	if (mt_unlikely(!c->ns_per_tick))
		return kernel_ns(CLOCK_MONOTONIC);
	ticks = rte_rdtsc() - c->base_tsc;
	return c->base_ns + (uint64_t)(((__uint128_t)ticks * c->ns_per_tick) >> 32);
}

uint64_t mt_clock_wall(const struct mt_clock *c, uint64_t now)
{
	return now + (uint64_t)__atomic_load_n(&c->wall_offset, __ATOMIC_RELAXED);
}

void mt_clock_sync(struct mt_clock *c)
{
	int64_t offset = (int64_t)(kernel_ns(CLOCK_REALTIME) - mt_clock_now(c));

	__atomic_store_n(&c->wall_offset, offset, __ATOMIC_RELAXED);
}
