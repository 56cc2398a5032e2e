/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop. One iteration processes everything that is there, run to completion, in bursts:
 *
 * 	receive -> handed -> events -> send -> house
 */
#include "mt_worker_priv.h"

#include <sys/prctl.h>

#include <rte_cycles.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>

static uint32_t (*const stages[MT_N_STAGES])(struct mt_worker *w) = {
	[MT_STAGE_RECEIVE] = mt_stage_receive,
	[MT_STAGE_HANDED] = mt_stage_handed,
	[MT_STAGE_EVENTS] = mt_stage_events,
	[MT_STAGE_SEND] = mt_stage_send,
	[MT_STAGE_HOUSE] = mt_stage_house,
};

static void begin(struct mt_worker *w, uint64_t now, uint64_t wall)
{
	struct mt_snapshot *s = __atomic_load_n(w->current, __ATOMIC_ACQUIRE);

	w->now = now;
	if (w->spreads)
		mt_steer_looked(w->steer, w->index, now);
	mt_net_begin(w->net, now);
	if (w->l4)
		mt_l4_begin(w->l4, now, s ? s->l4 : NULL);
	mt_tcp_begin(w->tcp, now);
	if (w->tls_lane)
		mt_tls_layer_turn(&w->tls, now);
	mt_proxy_begin(w->proxy, now, wall);
	mt_names_begin(w, now);
	if (mt_unlikely(s != w->snapshot)) {
		w->snapshot = s;
		mt_proxy_adopt(w->proxy, s);
		mt_count(w->stats.counters, MT_WORKER_snapshots);
	}
}

/*
 * Counts cycles. Idle iterations do not count, because otherwise the cost of a packet would grow
 * with the time in which none comes.
 */
static void count_busy(struct mt_worker *w, const uint64_t marks[MT_N_STAGES], uint64_t began)
{
	uint64_t from = began;

	mt_count(w->stats.counters, MT_WORKER_busy_loops);
	if (!w->measure)
		return;
	for (unsigned int s = 0; s < MT_N_STAGES; s++) {
		mt_count_n(w->stats.cycles, s, marks[s] - from);
		from = marks[s];
	}
	mt_count_n(&w->stats.work_cycles, 0, from - began);
}

uint32_t mt_worker_turn(struct mt_worker *w, uint64_t now, uint64_t wall)
{
	uint64_t began = w->measure ? rte_rdtsc() : 0, marks[MT_N_STAGES];
	uint32_t work = 0;

	if (mt_unlikely(__atomic_load_n(&w->reset_all, __ATOMIC_ACQUIRE))) {
		work = mt_stop_turn(w, now);
		__atomic_store_n(&w->turn, w->turn + 1, __ATOMIC_RELEASE);
		return work;
	}
	begin(w, now, wall);
	mt_trace_turn_begin(w->trace, wall);
	for (unsigned int s = 0; s < MT_N_STAGES; s++) {
		work += stages[s](w);
		if (w->measure)
			marks[s] = rte_rdtsc();
	}
	mt_trace_turn_end(w->trace);
	mt_count(w->stats.counters, MT_WORKER_loops);
	if (work)
		count_busy(w, marks, began);
	__atomic_store_n(&w->turn, w->turn + 1, __ATOMIC_RELEASE);
	return work;
}

uint64_t mt_worker_next(struct mt_worker *w)
{
	uint64_t next = MT_MIN(mt_tcp_next(w->tcp), mt_proxy_next(w->proxy));

	next = MT_MIN(next, mt_names_next(w));
	if (w->tls_lane)
		next = MT_MIN(next, mt_tls_layer_next(&w->tls));
	if (w->l4)
		next = MT_MIN(next, mt_l4_next(w->l4));
	return MT_MIN(next, mt_net_next(w->net));
}

/* Sleeps and returns the time after the sleep. */
static uint64_t nap(struct mt_worker *w, uint64_t now, uint64_t ns)
{
	uint64_t after;

	mt_idle_sleep(&w->idle, ns);
	after = mt_clock_now(w->clock);
	w->to_marks = 0; /* after a sleep the number of iterations does not measure time */
	mt_count(w->stats.counters, MT_WORKER_sleeps);
	mt_count_n(&w->stats.idle_ns, 0, after - now);
	if (!w->idle.woken && after >= now + ns)
		mt_hist_add(w->stats.wake, MT_WAKE_BUCKETS, MT_WAKE_BITS, after - now - ns);
	return after;
}

/* Reports a pause between two iterations, which must not use up the time of TLS handshakes. */
static void look_for_pause(struct mt_worker *w, uint64_t last, uint64_t now)
{
	if (mt_unlikely(now - last >= MT_WORKER_PAUSE_NS) && w->tls_lane)
		mt_tls_layer_resumed(&w->tls, now);
}

int mt_worker_run(void *arg)
{
	struct mt_worker *w = arg;
	uint64_t now = mt_clock_now(w->clock), began = now;

	/* The kernel's default timer slack of 50 us would double the short sleeps. */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	mt_idle_open(w);
	rte_rcu_qsbr_thread_register(w->qsbr, w->index);
	rte_rcu_qsbr_thread_online(w->qsbr, w->index);
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		uint32_t work = mt_worker_turn(w, now, mt_clock_wall(w->clock, now));
		uint64_t ns = 0, last = now;

		mt_wake_turn(w);
		if (work)
			mt_idle_busy(&w->idle, now);
		else
			ns = mt_idle_step(&w->idle, now, mt_worker_next(w));
		rte_rcu_qsbr_quiescent(w->qsbr, w->index);
		if (ns)
			now = nap(w, now, ns);
		else
			now = mt_clock_now(w->clock);
		look_for_pause(w, last, now);
		__atomic_store_n(&w->stats.run_ns, now - began, __ATOMIC_RELAXED);
	}
	mt_idle_close(&w->idle);
	mt_filter_inbox_close(w->idle.inbox);
	__atomic_store_n(&w->running, false, __ATOMIC_RELEASE);
	rte_rcu_qsbr_thread_offline(w->qsbr, w->index);
	rte_rcu_qsbr_thread_unregister(w->qsbr, w->index);
	return 0;
}

void mt_worker_launching(struct mt_worker *w)
{
	__atomic_store_n(&w->running, true, __ATOMIC_RELEASE);
}

void mt_worker_not_launched(struct mt_worker *w)
{
	__atomic_store_n(&w->running, false, __ATOMIC_RELEASE);
}

void mt_worker_stop(struct mt_worker *w)
{
	__atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
}
