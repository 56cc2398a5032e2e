/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.c: periodic export of metrics to a collector of OpenTelemetry's protocol (OTLP/gRPC). */
#pragma once

#include "mt_ctl_priv.h"

enum mt_otlp_outcome {
#define MT_OUTCOME(n, s, w) MT_OTLP_##n,
#include "otlp_outcomes.def"
#undef MT_OUTCOME
	MT_OTLP_N_OUTCOMES
};
extern const struct mt_outcome_set mt_otlp_outcomes;

/*
 * Starts the export that env.otlp configures; no effect if that is NULL. 0, or -errno with the
 * reason in e.
 */
int mt_ctl_otlp_open(struct mt_ctl *c, struct mt_err *e);
void mt_ctl_otlp_close(struct mt_ctl *c);
/* Call when time has passed or the collector has sent data. */
void mt_ctl_otlp_turn(struct mt_ctl *c);
