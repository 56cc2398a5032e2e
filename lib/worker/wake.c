/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wakes the control thread for requests that the worker has put into its rings. One system call
 * covers all requests since the control thread last looked, so a flood of requests costs at most
 * one call for each iteration of the control thread, and a worker without requests makes none. Each
 * counter has one writer.
 *
 * 	worker:   put, fence, heard == sent?  then sent++, write
 * 	control:  (woken) heard = sent, fence, take all
 *
 * Either the worker sees that the control thread has noticed the last write, or the control thread
 * finds what the worker has put.
 */
#include "mt_worker_priv.h"

#include <unistd.h>

/* The number of requests put since the start. */
static uint32_t put(const struct mt_worker *w)
{
	uint32_t n = mt_proxy_asks(w->proxy);

	return w->names.lane ? n + mt_dns_lane_asks(w->names.lane) : n;
}

void mt_wake_turn(struct mt_worker *w)
{
	const uint64_t one = 1;
	uint32_t n = put(w);

	if (mt_likely(n == w->wake.put))
		return;
	w->wake.put = n;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!w->wake.fd || w->wake.sent != __atomic_load_n(&w->wake_heard, __ATOMIC_ACQUIRE))
		return;
	__atomic_store_n(&w->wake.sent, w->wake.sent + 1, __ATOMIC_RELEASE);
	(void)!write(w->wake.fd, &one, sizeof(one));
}

void mt_worker_heard(struct mt_worker *w)
{
	uint32_t sent = __atomic_load_n(&w->wake.sent, __ATOMIC_ACQUIRE);

	__atomic_store_n(&w->wake_heard, sent, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
