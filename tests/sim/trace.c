/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace: a ring of the last lines, and a hash. The hash covers every line with its time in ns,
 * every byte of every frame, the time of every event, and what workers have counted when the seed
 * ends. It has no addresses or indexes, and so is the same in each build of the same behaviour.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

const char *const sim_fault_names[SIM_F_N] = {
	[SIM_F_LOSS] = "loss",
	[SIM_F_BURST_LOSS] = "burst_loss",
	[SIM_F_DUPLICATE] = "duplicate",
	[SIM_F_REORDER] = "reorder",
	[SIM_F_CORRUPT] = "corrupt",
	[SIM_F_CORRUPT_FIXED] = "corrupt_rechecksummed",
	[SIM_F_BLACKOUT] = "blackout",
	[SIM_F_QUEUE_FULL] = "queue_full",
	[SIM_F_TX_PARTIAL] = "tx_partial",
	[SIM_F_TX_HELD] = "tx_held",
	[SIM_F_RX_SHARED] = "rx_shared",
	[SIM_F_RX_SEGMENTS] = "rx_segments",
	[SIM_F_RX_WRONG_WORKER] = "rx_wrong_worker",
	[SIM_F_ALLOC_FAILED] = "alloc_failed",
	[SIM_F_MTU_TOLD] = "path_mtu_told",
	[SIM_F_MTU_HOLE] = "path_mtu_black_hole",
	[SIM_F_MARK] = "congestion_mark",
	[SIM_F_BLIND] = "blind_injection",
	[SIM_F_PEER_LIE] = "peer_lie",
	[SIM_F_PEER_REBOOT] = "peer_reboot",
	[SIM_F_PEER_MISCHIEF] = "peer_mischief",
	[SIM_F_HOST_DEATH] = "host_death",
	[SIM_F_STALL] = "worker_stall",
};

/* FNV-1a over eight bytes at a time: it tells runs apart, it keeps no secrets. */
static uint64_t mix(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = 0;

		memcpy(&v, b + i, MT_MIN(len - i, (size_t)8));
		h = (h ^ v) * 0x100000001b3ull;
		h ^= h >> 29;
	}
	return h;
}

void sim_trace_bytes(struct sim *s, const void *bytes, size_t n)
{
	s->trace.hash = mix(s->trace.hash, bytes, n);
}

void sim_trace_outcome(
	struct sim_outcomes *o, const char *of, uint32_t which, const char *name, uint64_t value)
{
	char line[SIM_TRACE_WIDTH];
	int n;

	if (!value)
		return;
	n = snprintf(line, sizeof(line), "outcome %s %u %s %" PRIu64, of, which, name, value);
	o->sum += mix(0, line, (size_t)MT_MIN(n, SIM_TRACE_WIDTH - 1));
	if (o->sim->opt->verbose)
		puts(line);
}

void sim_trace_outcomes_end(struct sim_outcomes *o)
{
	sim_trace_bytes(o->sim, &o->sum, sizeof(o->sum));
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
	char *line = s->trace.line[s->trace.n++ % SIM_TRACE_LINES];
	uint64_t ns = s->now - s->start, us = ns / MT_USEC;
	va_list ap;
	int n;

	n = snprintf(
		line, SIM_TRACE_WIDTH, "%4" PRIu64 ".%06" PRIu64 " ", us / 1000000, us % 1000000);
	va_start(ap, fmt);
	n += vsnprintf(line + n, SIM_TRACE_WIDTH - (size_t)n, fmt, ap);
	va_end(ap);
	n = MT_MIN(n, SIM_TRACE_WIDTH - 1);
	sim_trace_bytes(s, &ns, sizeof(ns));
	sim_trace_bytes(s, line, (size_t)n);
	if (s->opt->verbose)
		puts(line);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (s->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	s->failed = true;
	sim_trace(s, "FAILED %s", s->why);
}

void sim_trace_dump(const struct sim *s, FILE *to)
{
	uint64_t from = s->trace.n > SIM_TRACE_LINES ? s->trace.n - SIM_TRACE_LINES : 0;

	for (uint64_t i = from; i < s->trace.n; i++)
		fprintf(to, "  %s\n", s->trace.line[i % SIM_TRACE_LINES]);
}

void sim_count_fault(struct sim *s, enum sim_fault f)
{
	s->st.faults[f]++;
}
