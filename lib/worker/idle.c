/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to sleep. Spinning for a while behind the last packet keeps busy flows at full speed; the steps
 * are short because a sleep of 50 us ends within about 100, and nobody should wait longer than 150.
 */
#include "mt_worker_priv.h"

#define SPIN_NS	 (100 * MT_USEC)
#define STEP_NS	 (50 * MT_USEC)
#define SHORT_NS (5 * MT_USEC) /* shorter sleeps only cost the system call */

void mt_idle_init(struct mt_idle *i, enum mt_worker_idle profile, uint64_t now)
{
	i->profile = profile;
	i->busy_at = now;
}

uint64_t mt_idle_step(const struct mt_idle *i, uint64_t now, uint64_t next)
{
	uint64_t step = STEP_NS;

	if (i->profile == MT_WORKER_POLL || now - i->busy_at < SPIN_NS || next <= now)
		return 0;
	step = MT_MIN(step, next - now);
	return step < SHORT_NS ? 0 : step;
}
