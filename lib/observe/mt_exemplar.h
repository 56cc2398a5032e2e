/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars (OpenMetrics 1.0, "Exemplars"): calls as examples of how long a service's calls took: which trace each belongs to, or if its
 * client did not say, its name here. Of a service the newest one for each power of two of microseconds. The worker writes, any thread reads.
 */
#pragma once

#include "mt_record.h"

struct mt_exemplar {
	uint64_t service;  /* mt_service.id */
	uint64_t us, wall; /* wall: when it was over */
	struct mt_ref exchange;
	struct mt_span span; /* len 0: its client did not say */
	uint8_t pad[6];
};

#define MT_EXEMPLARS 26 /* beyond 2^25 us, the last bound that is shown, together */

/* `turn` is odd while its one writer writes. */
struct mt_exemplar_slot {
	uint32_t turn;
	uint64_t words[sizeof(struct mt_exemplar) / sizeof(uint64_t)];
};

/* Of one service. */
struct mt_exemplars {
	struct mt_exemplar_slot at[MT_EXEMPLARS];
};

/* One that a server answered is over. Worker. */
void mt_exemplar_keep(struct mt_exemplars *x, const struct mt_record *r);
/* Any thread: the one of place `i`, whole or not at all. false: there is none, or the worker writes it again and again. */
bool mt_exemplar_read(const struct mt_exemplars *x, uint32_t i, struct mt_exemplar *out);
