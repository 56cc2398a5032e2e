/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/conf: which Telemetry applies (telemetry_levels.c), its metrics (telemetry_metrics.c),
 * and tracing (tracing.c).
 */
#pragma once

#include "mt_conf_log_priv.h"

#include "mt_alog_collector.h"

struct mt_alog_tags;
struct mt_call_tracing;
struct mt_metric_tags;

/* Objects, in the order in which they are merged. */
struct mt_telemetry_levels {
	const struct mt_proxy_setting **v;
	uint32_t n;
};

typedef bool mt_telemetry_fn(const struct mt_proxy_setting *t);

/* Fills mt_build.telemetry. */
void mt_b_telemetry_fill(struct mt_build *b);
/* All of a namespace, the oldest first. */
const struct mt_telemetry_levels *mt_b_telemetry_of(const struct mt_build *b, const char *ns);
/* Those for calls in this namespace that come to this gateway (NULL: none), if `applies`. */
struct mt_telemetry_levels mt_b_telemetry_levels(
	struct mt_build *b, const char *ns, const struct mt_gateway *g, mt_telemetry_fn *applies);
bool mt_telemetry_has_targets(const struct mt_proxy_setting *t);
/* True if the object, of the gateway's namespace, targets it; the gateway is one of Gateway API. */
bool mt_telemetry_targets(const struct mt_proxy_setting *t, const struct mt_gateway *g);
/* A name of the calls in this namespace that come to this gateway, of Gateway API. */
const char *mt_b_telemetry_place(struct mt_build *b, const char *ns, const struct mt_gateway *g);

/* telemetry_metrics.c: Istio's metrics of services. */
struct mt_metrics_of {
	uint16_t off;			   /* mt_service.metrics_off */
	const struct mt_metric_tags *tags; /* NULL: labels are not changed */
	uint64_t hash;			   /* of both */
};
/* `ns`, `g` as for mt_b_log_scope(). */
const struct mt_metrics_of *mt_b_metrics_of(
	struct mt_build *b, const char *ns, const struct mt_gateway *g);
/* A copy in `r`, which remembers a failure. NULL: there are none, or no memory. */
const struct mt_metric_tags *mt_b_metric_tags_copy(
	struct mt_region *r, const struct mt_metric_tags *tags);

/* ---- tracing -------------------------------------------------------------------------------- */

/*
 * Tracing of the calls of a service, in `r`, which remembers a failure; `r` NULL: only *hash is
 * wanted. `ns`, `g` as for mt_b_log_scope(). NULL: they have none. *hash: of the settings; 0: none.
 */
const struct mt_call_tracing *mt_b_tracing(struct mt_build *b, struct mt_region *r, const char *ns,
	const struct mt_gateway *g, const struct mt_codec *codec, uint64_t *hash);
struct mt_proxy_patch;
/*
 * The same for the proxy of a discovery service's listener `of`. The collector is the MeshConfig's.
 */
const struct mt_call_tracing *mt_b_proxy_tracing(struct mt_build *b, struct mt_region *r,
	const struct mt_meta *of, const struct mt_proxy_patch *proxy, const struct mt_codec *codec,
	uint64_t *hash);
/* True the first time for this place of a document. */
bool mt_b_tracing_first(struct mt_build *b, const void *place);

/* tracing_tags.c: tags of spans, by customTags. */
struct mt_span_tags {
	const struct mt_custom_tags *from;
	const struct mt_meta *by;  /* the object that sets them */
	struct mt_span_tags *next; /* of mt_build.span_tags */
};
/* Sets *to, and reports what cannot be read. Returns a hash of the tags. */
uint64_t mt_b_span_tags(struct mt_build *b, const struct mt_custom_tags *from,
	const struct mt_meta *by, struct mt_span_tags *to);
/* Copies the tags into `r`, which remembers a failure. NULL: there are none, or no memory. */
const struct mt_alog_tags *mt_b_span_tags_copy(
	const struct mt_build *b, struct mt_region *r, const struct mt_span_tags *tags);

/* The values of Istio's tags, which are the documents'. */
void mt_b_istio_tags(const struct mt_build *b, const char *to[MT_ALOG_ISTIO]);

/* Checks what applies to all calls, and notes providers that nothing names. */
void mt_b_tracing_tell(struct mt_build *b);
void mt_b_tracing_fini(struct mt_build *b);
