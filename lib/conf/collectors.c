/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access logs that are sent: outputs of providers envoyHttpAls, envoyTcpAls and envoyOtelAls. They
 * are made with the other outputs, because services refer to them by keys. The addresses of their
 * collectors are found in a later step, when the endpoints of services and their TLS are known. An
 * output without an address is removed with a warning.
 */
#include "mt_conf_log_priv.h"

#include <string.h>

/* Outputs whose target is not known yet. */
struct mt_log_pending {
	const struct mt_net_log *net;
	const struct mt_meta *meta;
	const char *field;
	uint64_t key; /* of the output */
};

static void set_service(
	const struct mt_ext_provider *p, struct mt_log_about *a, struct mt_alog_collector *c)
{
	if (p->http_als) {
		c->service = MT_ALOG_HTTP_ALS;
		c->log_name = "http_envoy_accesslog";
		a->path_field = "extensionProviders[].envoyHttpAls";
	} else if (p->tcp_als) {
		c->service = MT_ALOG_TCP_ALS;
		c->log_name = "tcp_envoy_accesslog";
		a->path_field = "extensionProviders[].envoyTcpAls";
	} else {
		c->service = MT_ALOG_OTEL;
		c->log_name = "otel_envoy_accesslog";
		a->path_field = "extensionProviders[].envoyOtelAls";
	}
}

/* False: the labels cannot be read, and it has been reported. */
static bool use_labels(struct mt_build *b, const struct mt_log_about *a, const struct mt_text *text)
{
	struct mt_alog_labels *l;
	const char *words;
	struct mt_err e;

	if (!text->s)
		return true;
	l = mt_alog_labels_new(text->s, &e);
	if (!l)
		mt_b_warn(b, a->meta, text->line,
			"extensionProviders[].envoyOtelAls.logFormat.labels",
			"use operators of Envoy's format strings", "no access log is sent: %s",
			e.text);
	for (uint32_t i = 0; l && (words = mt_alog_labels_note(l, i)) != NULL; i++)
		mt_b_note(b, a->meta, text->line,
			"extensionProviders[].envoyOtelAls.logFormat.labels", NULL, "%s", words);
	mt_alog_labels_free(l);
	return l != NULL;
}

static const char *node_name(const struct mt_build *b)
{
	const struct mt_node *n = b->model->node;

	return n && n->meta.name ? n->meta.name : "";
}

/* The cluster that the Node has for its first discovery server with one; "": none has one. */
static const char *node_cluster(const struct mt_build *b)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_sources; i++)
		if (n->sources[i].xds && n->sources[i].xds->node_cluster.s)
			return n->sources[i].xds->node_cluster.s;
	return "";
}

/* NULL: no memory, or there is none. */
static const struct mt_alog_http *keep_http(struct mt_region *r, const struct mt_alog_http *from)
{
	struct mt_alog_http *to = from ? mt_region_alloc(r, sizeof(*to)) : NULL;

	if (!to)
		return NULL;
	to->authority = mt_region_strdup(r, from->authority);
	to->path = mt_region_strdup(r, from->path);
	to->lines = from->lines ? mt_region_strdup(r, from->lines) : NULL;
	return to;
}

void mt_b_keep_collector(struct mt_build *b, struct mt_access_output *o,
	const struct mt_alog_collector *from, const struct mt_net_log *net)
{
	struct mt_region *r = &b->snap->region;
	struct mt_alog_collector *c = mt_region_alloc(r, sizeof(*c));

	if (!c)
		return;
	*c = *from;
	c->name = mt_region_strdup(r, from->name);
	c->http = keep_http(r, from->http);
	if (net->log_name.s)
		c->log_name = mt_region_strdup(r, net->log_name.s);
	c->sender.node = mt_region_strdup(r, node_name(b));
	c->sender.cluster = mt_region_strdup(r, node_cluster(b));
	for (uint32_t i = 0; i < MT_ALOG_ISTIO; i++)
		c->istio[i] = from->istio[i] ? mt_region_strdup(r, from->istio[i]) : NULL;
	if (net->format.labels.s)
		c->labels = mt_region_strdup(r, net->format.labels.s);
	o->collector = c;
}

void mt_b_log_collector(struct mt_build *b, struct mt_log_about *a, const struct mt_ext_provider *p)
{
	const struct mt_net_log *net = mt_log_net_of(p);
	const struct mt_text *text = &net->format.text;
	struct mt_alog_spec spec = {
		.text = text->s, .len = text->s ? strlen(text->s) : 0, .encoding = MT_ALOG_TEXT};
	struct mt_alog_collector c = {.name = p->name.s};
	const struct mt_alog_place nowhere = {0};
	struct mt_access_output *o;
	struct mt_log_pending *pending;

	set_service(p, a, &c);
	a->path_line = net->origin.line;
	a->field = "extensionProviders[].envoyOtelAls.logFormat.text";
	a->line = text->s ? text->line : net->origin.line;
	if (!mt_b_log_may_be(b, a) || !use_labels(b, a, &net->format.labels) ||
		(c.service == MT_ALOG_OTEL && !mt_b_log_format(b, a, &spec)))
		return;
	o = mt_b_log_keep(b, a, &nowhere, &spec);
	pending = o ? mt_region_push(&b->tmp, (void **)&b->logs->pending, &b->logs->n_pending,
			      sizeof(*pending))
		    : NULL;
	if (!pending)
		return;
	mt_b_keep_collector(b, o, &c, net);
	*pending = (struct mt_log_pending){net, a->meta, a->path_field, a->key};
}

/* ---- where they are ------------------------------------------------------------------------- */

static void remove_output(struct mt_access_log *log, uint32_t at)
{
	memmove(&log->outputs[at], &log->outputs[at + 1],
		(log->n_outputs - at - 1) * sizeof(log->outputs[0]));
	log->n_outputs--;
}

static struct mt_alog_collector *find(const struct mt_access_log *log, uint64_t key, uint32_t *at)
{
	for (*at = 0; *at < log->n_outputs; ++*at)
		if (log->outputs[*at].key == key && log->outputs[*at].collector)
			return (struct mt_alog_collector *)(uintptr_t)log->outputs[*at].collector;
	return NULL;
}

static void connect(struct mt_build *b, struct mt_access_log *log, const struct mt_log_pending *p)
{
	uint32_t at;
	struct mt_alog_collector *c = find(log, p->key, &at);
	const char *why = NULL;

	if (!c)
		return;
	c->target = mt_b_log_target(b, p->net, &why);
	if (c->target)
		return;
	if (why)
		mt_b_warn(b, p->meta, p->net->origin.line, p->field,
			"name a service of the mesh, or a host and port that can be reached",
			"no access log is sent to %.128s: %s", p->net->service.s, why);
	remove_output(log, at);
}

/* Which calls without a scope leave a line, with the outputs that are left. */
static void set_general(struct mt_snapshot *s)
{
	s->log_general = s->log_unserved = false;
	s->logged = s->log->n_outputs > 0;
	for (uint32_t i = 0; i < s->log->n_outputs; i++) {
		s->log_general |= s->log->outputs[i].general;
		s->log_unserved |= s->log->outputs[i].unserved;
	}
}

void mt_b_log_collectors(struct mt_build *b)
{
	struct mt_access_log *log = (struct mt_access_log *)(uintptr_t)b->snap->pub.log;

	if (!log || !b->logs)
		return;
	for (uint32_t i = 0; i < b->logs->n_pending; i++)
		connect(b, log, &b->logs->pending[i]);
	set_general(&b->snap->pub);
	if (!log->n_outputs)
		b->snap->pub.log = NULL;
}
