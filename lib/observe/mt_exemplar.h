/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars (OpenMetrics 1.0, "Exemplars"): single calls as examples of a service's latency. Each
 * has the trace that its client named, or otherwise the name of its exchange. The newest call of a
 * service is kept for each power of two of microseconds. The worker writes, any thread reads.
 */
#pragma once

#include "mt_record.h"

struct mt_exemplar {
	uint64_t service;	   /* mt_service.id */
	uint64_t workload, caller; /* as in mt_record */
	uint64_t us, wall;	   /* wall: end of the call, ns */
	struct mt_ref exchange;
	struct mt_span span; /* len 0: the client named no trace */
	uint8_t pad[5];
};

/* 2^25 us is the last bound shown; longer calls share the last slot. */
#define MT_EXEMPLARS 26

/* `turn` is odd while its only writer writes. */
struct mt_exemplar_slot {
	uint32_t turn;
	uint64_t words[sizeof(struct mt_exemplar) / sizeof(uint64_t)];
};

/* Exemplars of one service. */
struct mt_exemplars {
	struct mt_exemplar_slot at[MT_EXEMPLARS];
};

/* Keeps a finished call that a server answered, unless the present one is more useful. Worker. */
void mt_exemplar_keep(struct mt_exemplars *x, const struct mt_record *r);
/*
 * Reads slot `i`, completely or not at all. False: it is empty, or the worker rewrites it again and
 * again. Any thread.
 */
bool mt_exemplar_read(const struct mt_exemplars *x, uint32_t i, struct mt_exemplar *out);
