/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of the counters. */
#include "mt_tls_layer.h"

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "tls_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_tls_outcomes = {"tls", rows, MT_ARRAY_LEN(rows)};

static const struct mt_outcome failed[] = {
#define MT_TLS_REASON(name, words) {#name, MT_SEV_REFUSE, "TLS handshakes failed: " words},
#include "mt_tls_reasons.def"
#undef MT_TLS_REASON
};

const struct mt_outcome_set mt_tls_failed_outcomes = {
	"tls_failed", failed + 1, MT_ARRAY_LEN(failed) - 1};
