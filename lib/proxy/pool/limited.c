/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the node at a lane group. This worker gets no event if another worker returns or needs
 * a unit. So while calls wait, a timer of the group checks for both.
 */
#include "pool/mt_pool_priv.h"

/* ns until the next check; LOOK_AGAIN after a check that refused YIELD_AT_ONCE calls. */
#define LOOK_EVERY (10 * MT_MSEC)
#define LOOK_AGAIN MT_MSEC
/* Maximum number of waiting calls that one check refuses. */
#define YIELD_AT_ONCE 32

bool mt_conns_take(struct mt_proxy *p, struct mt_lanes *ln, bool beyond)
{
	struct mt_units units = mt_conns_units(p, ln->cluster_index);
	uint32_t n = p->cluster_conns[ln->cluster_index];

	mt_units_set(units, n, ln->conns_max);
	ln->limited = !mt_units_take(units, ln->conns_max) && !beyond;
	if (ln->limited)
		mt_units_want(units, p->now);
	else
		mt_units_set(units, n + 1, ln->conns_max);
	return !ln->limited;
}

/*
 * The limit of connections made calls wait: serves the queue if a unit is left or the limit no
 * longer exists, otherwise notes that this worker needs a unit.
 */
static void look_for_unit(struct mt_proxy *p, struct mt_lanes *ln)
{
	struct mt_units units = mt_conns_units(p, ln->cluster_index);

	if (!ln->conns_max || mt_units_left(units, ln->conns_max))
		mt_lane_hungry(p, ln);
	else
		mt_units_want(units, p->now);
}

void mt_lanes_look_later(struct mt_proxy *p, struct mt_lanes *ln)
{
	if (!mt_timer_armed(&ln->timer))
		mt_wheel_arm(&p->wheel, &ln->timer, p->now + LOOK_EVERY);
}

void mt_lanes_timer(struct mt_proxy *p, struct mt_lanes *ln)
{
	struct mt_ref ref = ln->self;
	uint32_t n = mt_queue_yield(p, ln, YIELD_AT_ONCE);

	if (mt_slab_get(&p->lanes, ref) != ln || ln->n_queued == 0)
		return;
	if (ln->limited)
		look_for_unit(p, ln);
	mt_wheel_arm(
		&p->wheel, &ln->timer, p->now + (n == YIELD_AT_ONCE ? LOOK_AGAIN : LOOK_EVERY));
}
