/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outcomes: the possible results for a packet, a connection, an exchange, a resource. Each library
 * lists its outcomes in `outcomes.def`, one row each:
 *
 * 	MT_OUTCOME(checksum_bad, MT_SEV_DROP, "TCP checksum wrong; the segment was dropped")
 *
 * The row is the enum constant, the counter, the CLI's line, the metric's help and the
 * documentation. X-macros are used for this and nowhere else. A library writes:
 *
 * 	enum { #define MT_OUTCOME(n, s, w) MT_TCP_##n, ... #include "outcomes.def" ... };
 * 	extern const struct mt_outcome_set mt_tcp_outcomes;
 *
 * Counters are per worker: one writer (the worker), read by the control thread with relaxed loads.
 */
#pragma once

#include "mt_base.h"

enum mt_severity {
	MT_SEV_INFO,   /* normal work, counted for rates */
	MT_SEV_REFUSE, /* local reply: a limit, an overload, a policy */
	MT_SEV_DROP,   /* bytes or packets from outside were not used */
	MT_SEV_ERROR,  /* something the operator should look at */
};

struct mt_outcome {
	const char *name; /* lower case, words joined by _ */
	enum mt_severity severity;
	const char *words; /* one sentence for an operator: what happened, and its effect */
};

struct mt_outcome_set {
	const char *room; /* "tcp", "net", "proxy"; the metric is meltemi_<room>_<name>_total */
	const struct mt_outcome *rows;
	uint32_t n;
};

/*
 * MT_UNCOUNTED: a build that counts nothing, by which bench/path/metrics_cost.py measures what
 * counting costs. Never for production.
 */
#ifdef MT_UNCOUNTED
#define MT_COUNTED 0
#else
#define MT_COUNTED 1
#endif

/*
 * True if something is traced: the only test that an event makes for tracing. MT_UNTRACED: a build
 * without these tests, by which the same bench measures what they cost.
 */
#ifdef MT_UNTRACED
#define mt_traced(trace) ((void)(trace), false)
#else
#define mt_traced(trace) mt_unlikely(trace)
#endif

static inline void mt_count(uint64_t *counters, uint32_t outcome)
{
	if (!MT_COUNTED)
		return;
	__atomic_store_n(&counters[outcome], counters[outcome] + 1, __ATOMIC_RELAXED);
}

static inline void mt_count_n(uint64_t *counters, uint32_t outcome, uint64_t n)
{
	if (!MT_COUNTED)
		return;
	__atomic_store_n(&counters[outcome], counters[outcome] + n, __ATOMIC_RELAXED);
}

static inline uint64_t mt_count_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}
