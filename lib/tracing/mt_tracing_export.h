/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders of spans for outputs of mt-log (mt_alog_collector.encoder). */
#pragma once

#include "mt_alog_collector.h"

/* OpenTelemetry's TraceService, by gRPC or HTTP. */
extern const struct mt_alog_encoder mt_tracing_otlp;
/* Zipkin v2, lists of JSON; by HTTP only. */
extern const struct mt_alog_encoder mt_tracing_zipkin;
