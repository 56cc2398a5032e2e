/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_telemetry.h"

/* One room's outcomes and the arrays that count them. */
struct mt_room {
	const struct mt_outcome_set *set;
	const uint64_t **arrays;
	uint32_t n;
};

struct mt_metrics {
	struct mt_room *rooms;
	uint32_t n_rooms;
	const struct mt_family **families;
	uint32_t n_families;
};
