/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last iterations: resets all connections. Without a RST a client that waits for a reply would
 * wait until its own time-out. lib/proxy does not take part in these iterations; its connections
 * are removed below it.
 */
#include "mt_worker_priv.h"

void mt_worker_reset_all(struct mt_worker *w)
{
	__atomic_store_n(&w->reset_all, true, __ATOMIC_RELEASE);
}

bool mt_worker_all_reset(const struct mt_worker *w)
{
	return __atomic_load_n(&w->all_reset, __ATOMIC_ACQUIRE) ||
	       !__atomic_load_n(&w->running, __ATOMIC_ACQUIRE);
}

/*
 * Drops commands that came too late, because those that use lib/proxy would find streams that are
 * gone.
 */
static void drop_mail(struct mt_worker *w)
{
	__atomic_store_n(
		&w->mail_head, __atomic_load_n(&w->mail_tail, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

uint32_t mt_stop_turn(struct mt_worker *w, uint64_t now)
{
	uint32_t n, work;

	/* Nothing is taken from the inbox any more. */
	mt_filter_inbox_close(w->idle.inbox);
	w->now = now;
	mt_net_begin(w->net, now);
	mt_tcp_begin(w->tcp, now);
	/*
	 * Segments for a connection that is gone are answered by a RST with the right sequence
	 * number.
	 */
	work = mt_stage_receive(w) + mt_stage_handed(w);
	n = mt_tcp_reset_all(w->tcp, &w->reset_idx, MT_WORKER_RESETS);
	mt_count_n(w->stats.counters, MT_WORKER_reset_at_stop, n);
	(void)mt_stage_send(w);
	if (n < MT_WORKER_RESETS) {
		/*
		 * Start again, because a handshake may have been completed in a part that was
		 * already reset.
		 */
		w->reset_idx = 0;
		__atomic_store_n(&w->all_reset, true, __ATOMIC_RELEASE);
	}
	drop_mail(w);
	return work + n;
}
