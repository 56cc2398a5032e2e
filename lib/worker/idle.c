/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to sleep. Spinning for a while behind the last packet keeps busy flows at full speed. The steps
 * are short because nobody should wait longer than 150 us, and a sleep ends some 10 to 50 us late; the
 * first ones are shorter still, because a next packet is more likely then.
 */
#include "mt_worker_priv.h"

#define SPIN_NS	 (100 * MT_USEC)
#define STEP_NS	 (50 * MT_USEC)
#define LATER_NS (2 * MT_MSEC) /* idle for longer than this */
#define LONG_NS	 (100 * MT_USEC)
#define SHORT_NS (5 * MT_USEC) /* shorter sleeps only cost the system call */

void mt_idle_init(struct mt_idle *i, enum mt_worker_idle profile, uint64_t now)
{
	i->profile = profile;
	i->busy_at = now;
}

uint64_t mt_idle_step(const struct mt_idle *i, uint64_t now, uint64_t next)
{
	uint64_t idle = now - i->busy_at;
	uint64_t step = idle < LATER_NS ? STEP_NS : LONG_NS;

	if (i->profile == MT_WORKER_POLL || idle < SPIN_NS || next <= now)
		return 0;
	step = MT_MIN(step, next - now);
	return step < SHORT_NS ? 0 : step;
}
