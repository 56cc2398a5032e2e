/* SPDX-License-Identifier: Apache-2.0 */
/* Istio's standard metrics, and on which side of a call a proxy reports them. */
#pragma once

#include <stdint.h>

enum mt_istio_reporter { MT_ISTIO_SOURCE, MT_ISTIO_DESTINATION, MT_ISTIO_REPORTERS };

/* In the order in which the exposition has them. */
enum mt_istio_metric {
	MT_ISTIO_REQUESTS,
	MT_ISTIO_DURATION,
	MT_ISTIO_REQUEST_BYTES,
	MT_ISTIO_RESPONSE_BYTES,
	MT_ISTIO_TCP_RECEIVED,
	MT_ISTIO_TCP_SENT,
	MT_ISTIO_TCP_OPENED,
	MT_ISTIO_TCP_CLOSED,
	MT_ISTIO_METRICS
};

/* A change of a label by Telemetry's tagOverrides. */
struct mt_metric_tag {
	const char *name;
	const char *value; /* an expression (mt_metric_value.h); NULL: without the label */
	uint16_t bits;	   /* the metrics and reporters that have the change: mt_istio_bit() */
};

#define MT_METRIC_TAGS 32
/* The changes of a service, at most MT_METRIC_TAGS. */
struct mt_metric_tags {
	uint64_t id; /* a keyed hash of all of them */
	uint32_t n;
	struct mt_metric_tag v[];
};

/* Telemetry's name of what scrapes the metrics; without regard to case. */
#define MT_ISTIO_PROVIDER "prometheus"

/* A set of metrics and reporters has a bit for each pair. */
static inline uint16_t mt_istio_bit(uint32_t metric, uint32_t reporter)
{
	return (uint16_t)(1u << (metric * MT_ISTIO_REPORTERS + reporter));
}
