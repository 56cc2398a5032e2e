/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_upstream.h"

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "upstream_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_upstream_outcomes = {"upstream", rows, MT_ARRAY_LEN(rows)};
