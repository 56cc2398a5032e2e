/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs to collectors: queues of lib/export, and the records that mt-log puts into them. */
#include "mt_alog_net_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALS	  "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
#define OTEL	  "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
#define HTTP_LOGS 0x12 /* fields of StreamAccessLogsMessage */
#define TCP_LOGS  0x1a
#define RESOURCE  0x0a /* ExportLogsServiceRequest.resource_logs */
#define SCOPE	  0x12 /* ResourceLogs.scope_logs */

static struct mt_export_queue *start_als(
	struct mt_export *x, const struct mt_alog_collector *c, struct mt_err *e)
{
	uint8_t head[MT_ALOG_WIRE_HEAD];
	struct mt_export_conf conf = {.name = c->name, .target = c->target, .path = ALS};

	conf.frames[0].before = head;
	conf.frames[0].len = mt_alog_als_identifier(&c->sender, c->log_name, head);
	conf.frames[0].tag = c->service == MT_ALOG_HTTP_ALS ? HTTP_LOGS : TCP_LOGS;
	conf.n_frames = 1;
	return mt_export_queue_new(x, &conf, e);
}

static struct mt_export_queue *start_otel(
	struct mt_export *x, const struct mt_alog_collector *c, struct mt_err *e)
{
	uint8_t head[MT_ALOG_WIRE_HEAD];
	struct mt_export_conf conf = {
		.name = c->name, .target = c->target, .path = OTEL, .answer = mt_alog_otel_answer};

	conf.frames[0].tag = RESOURCE;
	conf.frames[1].before = head;
	conf.frames[1].len = mt_alog_otel_resource(&c->sender, c->log_name, head);
	conf.frames[1].tag = SCOPE;
	conf.n_frames = 2;
	return mt_export_queue_new(x, &conf, e);
}

static struct mt_export_queue *start_spans(
	struct mt_export *x, const struct mt_alog_collector *c, struct mt_err *e)
{
	uint8_t head[MT_ALOG_HEADS];
	struct mt_export_conf conf = {.name = c->name, .target = c->target};
	struct mt_export_http http = {.content_type = c->encoder->content_type};

	c->encoder->open(c, &conf, head);
	if (c->http) {
		http.authority = c->http->authority;
		http.lines = c->http->lines;
		conf.http = &http;
		conf.path = c->http->path;
	}
	return mt_export_queue_new(x, &conf, e);
}

static struct mt_export_queue *start(
	struct mt_export *x, const struct mt_alog_collector *c, struct mt_err *e)
{
	switch (c->service) {
	case MT_ALOG_OTEL:
		return start_otel(x, c, e);
	case MT_ALOG_SPANS:
		return start_spans(x, c, e);
	case MT_ALOG_HTTP_ALS:
	case MT_ALOG_TCP_ALS:
		break;
	}
	return start_als(x, c, e);
}

static void drop_http(const struct mt_alog_http *http)
{
	if (!http)
		return;
	free((char *)(uintptr_t)http->authority);
	free((char *)(uintptr_t)http->path);
	free((char *)(uintptr_t)http->lines);
	free((void *)(uintptr_t)http);
}

/* NULL: no memory, or there is none to copy. */
static const struct mt_alog_http *copy_http(const struct mt_alog_http *from)
{
	struct mt_alog_http *to = from ? calloc(1, sizeof(*to)) : NULL;

	if (!to)
		return NULL;
	to->authority = strdup(from->authority);
	to->path = strdup(from->path);
	to->lines = from->lines ? strdup(from->lines) : NULL;
	if (to->authority && to->path && !to->lines == !from->lines)
		return to;
	drop_http(to);
	return NULL;
}

static bool copy_istio(const struct mt_alog_collector *from, struct mt_alog_collector *to)
{
	bool all = true;

	for (uint32_t i = 0; i < MT_ALOG_ISTIO; i++) {
		to->istio[i] = from->istio[i] ? strdup(from->istio[i]) : NULL;
		all &= !to->istio[i] == !from->istio[i];
	}
	return all;
}

static bool copy(const struct mt_alog_collector *from, struct mt_alog_collector *to)
{
	to->service = from->service;
	to->target = mt_grpc_target_hold(from->target);
	to->name = strdup(from->name);
	to->log_name = from->log_name ? strdup(from->log_name) : NULL;
	to->sender.node = strdup(from->sender.node);
	to->sender.cluster = strdup(from->sender.cluster);
	to->labels = from->labels ? strdup(from->labels) : NULL;
	to->encoder = from->encoder;
	to->http = copy_http(from->http);
	to->longest = from->longest;
	return copy_istio(from, to) && to->name && to->sender.node && to->sender.cluster &&
	       !to->log_name == !from->log_name && !to->labels == !from->labels &&
	       !to->http == !from->http;
}

static void drop(struct mt_alog_collector *c)
{
	mt_grpc_target_drop(c->target);
	free((char *)(uintptr_t)c->name);
	free((char *)(uintptr_t)c->log_name);
	free((char *)(uintptr_t)c->sender.node);
	free((char *)(uintptr_t)c->sender.cluster);
	free((char *)(uintptr_t)c->labels);
	for (uint32_t i = 0; i < MT_ALOG_ISTIO; i++)
		free((char *)(uintptr_t)c->istio[i]);
	drop_http(c->http);
}

struct mt_alog_net *mt_alog_net_new(
	struct mt_export *x, const struct mt_alog_collector *c, int *rc, struct mt_err *e)
{
	struct mt_alog_net *n = calloc(1, sizeof(*n));

	*rc = -ENOMEM;
	if (!x || !n || !copy(c, &n->collector)) {
		(void)mt_err(e, *rc, x ? "no memory" : "this log has no export thread");
		mt_alog_net_free(n);
		return NULL;
	}
	if (c->labels) {
		n->labels = mt_alog_labels_new(c->labels, e);
		*rc = n->labels ? *rc : -EINVAL;
	}
	if (!n->labels == !c->labels)
		n->queue = start(x, c, e);
	if (n->queue) {
		*rc = 0;
		return n;
	}
	mt_alog_net_free(n);
	return NULL;
}

void mt_alog_net_free(struct mt_alog_net *n)
{
	if (!n)
		return;
	mt_export_queue_free(n->queue);
	mt_alog_labels_free(n->labels);
	drop(&n->collector);
	free(n);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_http(const struct mt_alog_http *a, const struct mt_alog_http *b)
{
	return a && b ? same_text(a->authority, b->authority) && same_text(a->path, b->path) &&
				same_text(a->lines, b->lines)
		      : a == b;
}

static bool same_istio(const struct mt_alog_collector *a, const struct mt_alog_collector *b)
{
	for (uint32_t i = 0; i < MT_ALOG_ISTIO; i++)
		if (!same_text(a->istio[i], b->istio[i]))
			return false;
	return true;
}

bool mt_alog_net_is(const struct mt_alog_net *n, const struct mt_alog_collector *c)
{
	const struct mt_alog_collector *own = &n->collector;

	return own->service == c->service && same_text(own->name, c->name) &&
	       same_text(own->log_name, c->log_name) &&
	       same_text(own->sender.node, c->sender.node) &&
	       same_text(own->sender.cluster, c->sender.cluster) &&
	       same_text(own->labels, c->labels) && own->encoder == c->encoder &&
	       same_http(own->http, c->http) && own->longest == c->longest && same_istio(own, c);
}

void mt_alog_net_move(struct mt_alog_net *n, struct mt_grpc_target *target)
{
	if (n->collector.target == target)
		return;
	mt_grpc_target_drop(n->collector.target);
	n->collector.target = mt_grpc_target_hold(target);
	mt_export_queue_move(n->queue, target);
}

bool mt_alog_net_takes(const struct mt_alog_net *n, enum mt_alog_type type)
{
	return mt_alog_service_takes(n->collector.service, type == MT_ALOG_DOWNSTREAM_END);
}

void mt_alog_net_put(struct mt_alog_net *n, struct mt_alog_format *format,
	const struct mt_alog_record *r, uint64_t now, struct mt_alog_line *line)
{
	uint32_t len;

	if (n->collector.service == MT_ALOG_OTEL) {
		struct mt_alog_labels *l = n->labels;

		if (l)
			mt_alog_labels_render(l, r, now, line);
		mt_alog_render(format, r, now, line);
		len = mt_alog_otel_record(r, now, mt_alog_line_text(line), l ? l->now : NULL,
			l ? l->n : 0, n->record);
	} else {
		len = mt_alog_als_entry(r, n->collector.service == MT_ALOG_HTTP_ALS, n->record);
	}
	(void)mt_export_put(n->queue, n->record, len);
}

void mt_alog_net_put_spans(struct mt_alog_net *n, uint64_t key, const struct mt_alog_entry *e,
	const struct mt_alog_record *r)
{
	const struct mt_alog_collector *c = &n->collector;
	struct mt_alog_spans spans;

	mt_alog_entry_spans(e, &spans);
	if (c->service != MT_ALOG_SPANS || spans.key != key)
		return;
	for (uint8_t which = MT_ALOG_SPAN_CALL; which <= MT_ALOG_SPAN_ATTEMPT; which <<= 1)
		if (e->spans & which)
			(void)mt_export_put(
				n->queue, n->record, c->encoder->span(c, e, r, which, n->record));
}

void mt_alog_net_stats(const struct mt_alog_net *n, struct mt_alog_sink_stats *to)
{
	/* A state of lib/export that sink_states.def lacks does not compile. */
	static const enum mt_alog_state states[MT_EXPORT_STATES] = {
#define MT_EXPORT_STATE(name) [MT_EXPORT_##name] = MT_ALOG_STATE_##name,
#include "export_states.def"
#undef MT_EXPORT_STATE
	};
	struct mt_export_stats st;

	mt_export_stats(n->queue, &st);
	memset(to, 0, sizeof(*to));
	to->wanted = st.wanted;
	to->written = st.sent;
	to->bytes = st.bytes;
	for (uint32_t i = 0; i < MT_EXPORT_STATES; i++)
		to->lost[states[i]] = st.lost[i];
	to->state = states[st.state];
	(void)mt_err(&to->why, 0, "%s", st.why);
}
