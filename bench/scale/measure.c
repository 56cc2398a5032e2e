/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements with n open connections: memory, idle iterations, exchanges, churn. */
#include "scale.h"

#include "bench_counters.h"

#include <stdlib.h>

#include <rte_cycles.h>

#define CHURN_AT_ONCE 64
#define IDLE_SAMPLES  200
#define IDLE_TURNS    100 /* per sample: short, so that many samples are undisturbed */
#define MAX_TRIES     4

void scale_measure_base(void)
{
	scale_open_up_to(1);
	scale_memory_read(&scale.base, scale.worker);
	scale.base_hosts = scale_memory_host(scale.client) + scale_memory_host(scale.server);
}

static void measure_memory(uint32_t n, struct scale_figures *f)
{
	struct scale_memory m;
	uint64_t hosts = scale_memory_host(scale.client) + scale_memory_host(scale.server);

	scale_memory_read(&m, scale.worker);
	f->counted = (double)(m.counted - scale.base.counted) / n;
	f->resident = (double)(m.resident - scale.base.resident) / n;
	f->process = (double)(m.process - scale.base.process - (hosts - scale.base_hosts)) / n;
	fprintf(stderr, "%u connections, %.1f bytes each:\n", n, f->counted);
	scale_memory_tell(scale.worker, n);
}

static int by_value(const void *a, const void *c)
{
	double d = *(const double *)a - *(const double *)c;

	return d < 0 ? -1 : d > 0;
}

static void measure_idle(struct scale_figures *f)
{
	uint64_t best = UINT64_MAX;

	for (int s = 0; s < IDLE_SAMPLES; s++) {
		uint64_t i0 = bench_instructions_read(scale.perf_fd), t0 = rte_rdtsc(), took;

		for (int i = 0; i < IDLE_TURNS; i++)
			idle_turn(scale.now += MT_USEC);
		took = rte_rdtsc() - t0;
		best = MT_MIN(best, took);
		f->idle_instructions =
			(double)(bench_instructions_read(scale.perf_fd) - i0) / IDLE_TURNS;
	}
	f->idle_cycles = (double)best / IDLE_TURNS;
}

/*
 * Simulates hours with keep-alives only, one loop iteration per millisecond: cost of timers, and
 * the longest iteration.
 */
static void measure_hours(uint32_t n, struct scale_figures *f)
{
	uint64_t end = scale.now + scale.o.idle_hours * 3600 * MT_SEC, busy = 0, before;

	scale_reset_counts();
	scale_forget_disturbances();
	while (scale.now < end) {
		scale.now += MT_MSEC;
		before = scale.cycles;
		if (scale_meltemi_turn() == 0)
			continue;
		bench_host_turn(scale.client, scale.now);
		bench_host_turn(scale.server, scale.now);
		scale_meltemi_turn();
		busy += scale.cycles - before;
	}
	if (scale.o.idle_hours)
		f->keep_cycles = (double)busy / n / scale.o.idle_hours;
	f->worst_us = (double)scale.worst * 1e6 / (double)rte_get_tsc_hz();
}

/* Sends requests on connections in random order, with `outstanding` of them in flight. */
static uint64_t exchange_some(uint32_t n, uint64_t want)
{
	uint64_t from = scale_client().replies, sent = 0, before = from, turns = 0;

	while (scale_client().replies - from < want) {
		while (sent < want && sent - (scale_client().replies - from) < scale.o.outstanding)
			sent += bench_host_ask(scale.client, mt_rand_below(&scale.rand, n));
		/* The clock advances as if a million exchanges completed per second. */
		scale_turn(MT_USEC * MT_MAX(scale_client().replies - before, (uint64_t)1));
		before = scale_client().replies;
		if (turns++ > SCALE_TURNS_MAX)
			scale_die_stalled("an exchange does not end");
	}
	return scale_client().replies - from;
}

static uint64_t segments(void)
{
	const uint64_t *tcp = mt_tcp_counters(mt_worker_tcp(scale.worker));

	return tcp[MT_TCP_segments_in] + tcp[MT_TCP_segments_out];
}

static void measure_exchanges(uint32_t n, struct scale_figures *f)
{
	double sample[1000], hz = (double)rte_get_tsc_hz();
	uint32_t tries = MAX_TRIES * scale.o.samples, done = 0;
	uint64_t segs;

	if (scale.o.samples == 0)
		return;
	exchange_some(n, scale.o.exchanges);
	while (done < scale.o.samples) {
		uint64_t disturbed = bench_disturbances();
		uint32_t want = MT_MAX(scale.o.exchanges, 2 * scale.o.outstanding);

		scale_reset_counts();
		segs = segments();
		exchange_some(n, want);
		sample[done] = (double)scale.cycles / want;
		f->instructions_exchange = (double)scale.instructions / want;
		f->segments = (double)(segments() - segs) / want;
		if (tries == 0 || bench_disturbances() == disturbed)
			done++;
		else
			tries--;
	}
	qsort(sample, done, sizeof(*sample), by_value);
	f->cycles_min = sample[0];
	f->ns_min = sample[0] * 1e9 / hz;
	f->ns_median = sample[done / 2] * 1e9 / hz;
}

/* Opens, uses once and closes connections while n others stay open. */
static void measure_churn(uint32_t n, struct scale_figures *f)
{
	uint64_t from = scale_client().replies, turns = 0;
	uint32_t opened = 0;

	if (scale.o.churn == 0)
		return;
	scale_reset_counts();
	while (opened < scale.o.churn || scale_client().open > n) {
		while (opened < scale.o.churn && scale_client().open < n + CHURN_AT_ONCE) {
			scale_open_one(BENCH_ONCE);
			opened++;
		}
		scale_turn(SCALE_STEP_NS);
		if (turns++ > SCALE_TURNS_MAX || scale_client().errors)
			scale_die_stalled("a connection does not end");
	}
	if (scale_client().replies - from != scale.o.churn)
		scale_die_stalled("not each connection was answered once");
	f->churn_cycles = (double)scale.cycles / scale.o.churn;
	f->churn_ns = f->churn_cycles * 1e9 / (double)rte_get_tsc_hz();
}

void scale_measure(uint32_t n, struct scale_figures *f)
{
	scale_open_up_to(n + 1);
	measure_memory(n, f);
	measure_idle(f);
	measure_hours(n, f);
	scale_lookup_measure(mt_worker_tcp(scale.worker), n, &f->lookup);
	measure_exchanges(n, f);
	scale_settle(2 * MT_SEC);
	measure_churn(n + 1, f);
	scale_settle(100 * MT_SEC); /* TIME-WAIT */
}
