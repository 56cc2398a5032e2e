/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collectors of access logs: services of gRPC that get records in place of lines. The queue, the
 * thread and the retries are lib/export's. Spans of traced calls take the same way, also by HTTP:
 * their encoder is lib/tracing's.
 */
#pragma once

#include "mt_alog_wire.h"
#include "mt_grpc_target.h"
#include "mt_log.h"

enum mt_alog_service {
	MT_ALOG_HTTP_ALS, /* Envoy's ALS; only calls */
	MT_ALOG_TCP_ALS,  /* Envoy's ALS; only opaque streams and refused connections */
	MT_ALOG_OTEL,	  /* OTLP logs; all */
	MT_ALOG_SPANS,	  /* spans of traced calls, by mt_alog_collector.encoder */
};

/* True if the service gets records of calls (`call`), or of streams and refused connections. */
static inline bool mt_alog_service_takes(enum mt_alog_service service, bool call)
{
	return service == MT_ALOG_OTEL || service == (call ? MT_ALOG_HTTP_ALS : MT_ALOG_TCP_ALS);
}

struct mt_alog_collector;
struct mt_alog_entry;
struct mt_export_conf;

/* Encodes spans for a service; constant. */
struct mt_alog_encoder {
	const char *content_type; /* of requests of HTTP */
	/*
	 * Sets the path of gRPC, answer, and frames or is_list. `head`, MT_ALOG_HEADS bytes, is for
	 * what the frames refer to, and is copied.
	 */
	void (*open)(const struct mt_alog_collector *c, struct mt_export_conf *conf, uint8_t *head);
	/*
	 * Writes one of the entry's spans, MT_ALOG_SPAN_CALL or MT_ALOG_SPAN_ATTEMPT, into
	 * MT_ALOG_WIRE bytes. Returns the length.
	 */
	uint32_t (*span)(const struct mt_alog_collector *c, const struct mt_alog_entry *e,
		const struct mt_alog_record *r, uint8_t which, uint8_t *to);
};
#define MT_ALOG_HEADS (2u * MT_ALOG_WIRE_HEAD)

/* Requests of HTTP. */
struct mt_alog_http {
	const char *authority; /* HOST:PORT */
	const char *path;
	const char *lines; /* headers, as mt_export_http.lines; NULL: none */
};

/* Istio's tags of spans, which name the proxy. */
enum mt_alog_istio {
	MT_ALOG_CANONICAL_SERVICE,
	MT_ALOG_CANONICAL_REVISION,
	MT_ALOG_MESH_ID,
	MT_ALOG_NAMESPACE,
	MT_ALOG_CLUSTER_ID,
	MT_ALOG_ISTIO
};

struct mt_alog_collector {
	enum mt_alog_service service;
	const char *name;	       /* of the provider */
	struct mt_grpc_target *target; /* an output may get another one, and keeps its queue */
	const char *log_name;	       /* NULL: SPANS have none */
	struct mt_alog_sender sender;
	/*
	 * OTEL: a JSON object of texts with operators, which become attributes; NULL: none. The
	 * body is the text of the output's format.
	 */
	const char *labels;
	/* SPANS: */
	const struct mt_alog_encoder *encoder;
	const struct mt_alog_http *http; /* NULL: gRPC */
	uint32_t longest;		 /* most bytes of a tag's value */
	/* By enum mt_alog_istio, for calls with mt_alog_spans.istio; NULL: there is no tag. */
	const char *istio[MT_ALOG_ISTIO];
};

struct mt_alog_labels;
struct mt_alog_names;

/* Compiles `labels`. NULL with the reason in *e. */
struct mt_alog_labels *mt_alog_labels_new(const char *json, struct mt_err *e);
/* Note i about operators without a value, as mt_alog_note(). */
const char *mt_alog_labels_note(const struct mt_alog_labels *l, uint32_t i);
/* Adds the metadata that they name, as mt_alog_name(). */
bool mt_alog_labels_name(const struct mt_alog_labels *l, struct mt_alog_names *to);
void mt_alog_labels_free(struct mt_alog_labels *l);
