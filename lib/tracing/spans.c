/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of entries of the access log's ring, for collectors of OTLP and Zipkin. Names of attributes
 * are those of OpenTelemetry's conventions for RPC, and of Envoy's tags where there are none.
 */
#include "mt_tracing_export.h"

#include "mt_alog_entry.h"
#include "mt_alog_escape.h"
#include "mt_export.h"
#include "mt_tracing_span.h"

#include <string.h>
#include <strings.h>

#define EXPORT		  "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define RESOURCE_SPANS	  0x0a /* ExportTraceServiceRequest.resource_spans */
#define SCOPE_SPANS	  0x12 /* ResourceSpans.scope_spans */
#define OWN_TAGS	  20
#define MOST_TAGS	  (OWN_TAGS + MT_ALOG_TAGS)
#define NUMBERS		  6
#define LONGEST_RESOURCES 1024

_Static_assert(MT_TRACING_SPAN <= MT_ALOG_WIRE, "a span has room");
_Static_assert(MOST_TAGS <= MT_TRACING_TAGS, "no tag is left out for their number");
_Static_assert(2 * MT_TRACING_RESOURCE <= MT_ALOG_HEADS, "resource and scope have room");

static struct mt_slice text(const char *s)
{
	return (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/* ---- the request ---------------------------------------------------------------------------- */

static void open_otlp(
	const struct mt_alog_collector *c, struct mt_export_conf *conf, uint8_t head[MT_ALOG_HEADS])
{
	struct mt_tracing_limits limits = {.tag = LONGEST_RESOURCES};
	struct mt_tracing_tag tags[4] = {{text("service.name"), text("meltemi")},
		{text("service.version"), text(MT_VERSION)}};
	uint8_t *scope = head + MT_TRACING_RESOURCE;
	uint32_t n = 2;

	if (c->sender.node[0])
		tags[n++] =
			(struct mt_tracing_tag){text("service.instance.id"), text(c->sender.node)};
	if (c->sender.cluster[0])
		tags[n++] =
			(struct mt_tracing_tag){text("k8s.cluster.name"), text(c->sender.cluster)};
	conf->path = EXPORT;
	/* The answer has the fields of that for logs. */
	conf->answer = mt_alog_otel_answer;
	conf->frames[0].tag = RESOURCE_SPANS;
	conf->frames[1].before = head;
	conf->frames[1].len = mt_tracing_otlp_resource(tags, n, &limits, head);
	conf->frames[1].tag = SCOPE_SPANS;
	conf->frames[2].before = scope;
	conf->frames[2].len = mt_tracing_otlp_scope("meltemi", MT_VERSION, scope);
	conf->n_frames = 3;
}

static void open_zipkin(
	const struct mt_alog_collector *c, struct mt_export_conf *conf, uint8_t head[MT_ALOG_HEADS])
{
	conf->is_list = true;
}

/* ---- tags ----------------------------------------------------------------------------------- */

/* A span, and the texts that it refers to. */
struct span {
	struct mt_tracing_span s;
	struct mt_tracing_tag tags[MOST_TAGS];
	uint32_t n_numbers;
	char numbers[NUMBERS][20], name[2 * MT_ALOG_ENTRY_TEXT + 1], flags[MT_FLAGS_TEXT],
		peer[MT_ADDR_STRLEN], at[MT_ADDR_STRLEN];
};

static void add(struct span *to, const char *key, struct mt_slice value)
{
	MT_ASSERT(to->s.n_tags < OWN_TAGS);
	if (value.len)
		to->tags[to->s.n_tags++] = (struct mt_tracing_tag){text(key), value};
}

static void add_number(struct span *to, const char *key, uint64_t n)
{
	char *digits = to->numbers[to->n_numbers];

	MT_ASSERT(to->n_numbers < NUMBERS);
	to->n_numbers++;
	add(to, key, (struct mt_slice){(const uint8_t *)digits, mt_alog_digits(digits, n)});
}

static void add_peer(struct span *to, const struct mt_alog_end_value *peer)
{
	to->s.remote.addr = peer->addr;
	to->s.remote.port = peer->port;
	if (mt_addr_is_zero(&peer->addr))
		return;
	add(to, "network.peer.address", text(mt_addr_str(&peer->addr, to->peer)));
	add_number(to, "network.peer.port", peer->port);
}

/* Envoy's tags of it: without a port of clients. */
static void add_envoy_peer(struct span *to, const struct mt_alog_end_value *peer, bool endpoint)
{
	struct mt_slice where;

	if (mt_addr_is_zero(&peer->addr))
		return;
	where = endpoint ? text(mt_addr_port_str(&peer->addr, peer->port, to->at)) : text(to->peer);
	add(to, "peer.address", where);
	if (endpoint)
		add(to, "upstream_address", where);
}

/* Interface/method; the method alone, or the protocol. */
static void set_name(struct span *to, const struct mt_alog_record *r)
{
	const struct mt_slice *interface = &r->texts[MT_ALOG_INTERFACE],
			      *method = &r->texts[MT_ALOG_METHOD];
	char *p = to->name;

	if (!method->len) {
		to->s.name = r->texts[MT_ALOG_PROTOCOL];
		return;
	}
	if (interface->len) {
		p = mempcpy(p, interface->p, interface->len);
		*p++ = '/';
	}
	p = mempcpy(p, method->p, method->len);
	to->s.name = (struct mt_slice){(const uint8_t *)to->name, (uint32_t)(p - to->name)};
}

/* ---- a span --------------------------------------------------------------------------------- */

static void set_result(struct span *to, const struct mt_alog_record *r)
{
	const struct mt_ending_row *row = &mt_endings[r->ending];
	uint32_t flags = row->flags | r->flags;

	add_number(to, "response_code", r->code ? r->code : row->code);
	if (flags)
		add(to, "response_flags",
			(struct mt_slice){(const uint8_t *)to->flags,
				mt_flags_text(flags, false, to->flags)});
	to->s.failed = r->ending != MT_ENDING_ok && r->ending != MT_ENDING_oneway;
	if (!to->s.failed)
		return;
	add(to, "error.type", text(row->name));
	to->s.message = r->texts[MT_ALOG_REASON];
	if (!to->s.message.len && row->details)
		to->s.message = text(row->details);
}

static void set_call(struct span *to, const struct mt_alog_entry *e, const struct mt_alog_record *r,
	const struct mt_alog_spans *from)
{
	to->s.kind = MT_TRACING_SERVER;
	memcpy(to->s.id, from->call, sizeof(to->s.id));
	to->s.has_parent = to->s.is_parent_remote = from->has_parent;
	memcpy(to->s.parent, from->parent, sizeof(to->s.parent));
	to->s.start = e->wall;
	add_peer(to, &r->ends[MT_ALOG_CLIENT]);
	add_envoy_peer(to, &r->ends[MT_ALOG_CLIENT], false);
	add(to, "server.address", r->texts[MT_ALOG_AUTHORITY]);
	add_number(to, "server.port", e->local_port);
	add_number(to, "request_size", e->bytes_in);
	add_number(to, "response_size", e->bytes_out);
}

static void set_attempt(struct span *to, const struct mt_alog_entry *e,
	const struct mt_alog_record *r, const struct mt_alog_spans *from)
{
	to->s.kind = MT_TRACING_CLIENT;
	memcpy(to->s.id, from->attempt, sizeof(to->s.id));
	to->s.has_parent = true;
	memcpy(to->s.parent, from->call, sizeof(to->s.parent));
	to->s.start = e->wall + (MT_MAX(from->attempt_at, e->started) - e->started);
	add_peer(to, &r->ends[MT_ALOG_ENDPOINT]);
	add_envoy_peer(to, &r->ends[MT_ALOG_ENDPOINT], true);
	add(to, "server.address", r->texts[MT_ALOG_AUTHORITY]);
	add(to, "upstream_cluster", r->texts[MT_ALOG_CLUSTER]);
	to->s.remote.service = r->texts[MT_ALOG_AUTHORITY];
}

static void add_istio(struct span *to, const char *const istio[MT_ALOG_ISTIO])
{
	static const char *const names[] = {
		[MT_ALOG_CANONICAL_SERVICE] = "istio.canonical_service",
		[MT_ALOG_CANONICAL_REVISION] = "istio.canonical_revision",
		[MT_ALOG_MESH_ID] = "istio.mesh_id",
		[MT_ALOG_NAMESPACE] = "istio.namespace",
		[MT_ALOG_CLUSTER_ID] = "istio.cluster_id",
	};

	for (uint32_t i = 0; i < MT_ALOG_ISTIO; i++)
		if (istio[i])
			add(to, names[i], text(istio[i]));
}

static void make(struct span *to, const struct mt_alog_collector *c, const struct mt_alog_entry *e,
	const struct mt_alog_record *r, uint8_t which)
{
	struct mt_alog_spans from;

	memset(&to->s, 0, sizeof(to->s));
	to->n_numbers = 0;
	mt_alog_entry_spans(e, &from);
	to->s.trace_len = from.trace_len;
	to->s.is_debug = from.is_debug;
	memcpy(to->s.trace, from.trace, sizeof(to->s.trace));
	to->s.end = e->wall + (MT_MAX(e->ended, e->started) - e->started);
	to->s.tags = to->tags;
	to->s.local.service = text("meltemi");
	set_name(to, r);
	add(to, "component", text("proxy"));
	add(to, "rpc.system.name", r->texts[MT_ALOG_PROTOCOL]);
	add(to, "rpc.method", r->texts[MT_ALOG_METHOD].len ? to->s.name : (struct mt_slice){0});
	if (which == MT_ALOG_SPAN_CALL)
		set_call(to, e, r, &from);
	else
		set_attempt(to, e, r, &from);
	set_result(to, r);
	if (from.istio)
		add_istio(to, c->istio);
}

/* ---- tags of documents ---------------------------------------------------------------------- */

static bool is_of(const struct mt_alog_tag *tag, const struct mt_alog_named *named)
{
	return named->from == MT_ALOG_REQUEST && named->value.type == MT_VALUE_TEXT &&
	       named->name.len == tag->key.len &&
	       strncasecmp((const char *)named->name.p, (const char *)tag->key.p, tag->key.len) ==
		       0;
}

/* As in Envoy, metadata without a text do not give the default. */
static struct mt_slice value_of(const struct mt_alog_tag *tag, const struct mt_alog_record *r)
{
	for (uint32_t i = 0; tag->key.len && i < r->n_named; i++)
		if (is_of(tag, &r->named[i]))
			return r->named[i].value.text;
	return tag->value;
}

/* A tag of a document replaces one of Meltemi's with its name. */
static void put(struct span *to, const struct mt_alog_tag *tag, struct mt_slice value)
{
	uint32_t i = 0;

	while (i < to->s.n_tags && (to->tags[i].key.len != tag->name.len ||
					   memcmp(to->tags[i].key.p, tag->name.p, tag->name.len)))
		i++;
	if (i == MOST_TAGS)
		return;
	to->tags[i] = (struct mt_tracing_tag){tag->name, value};
	if (i == to->s.n_tags)
		to->s.n_tags++;
}

static void put_all(struct span *to, const struct mt_alog_entry *e, const struct mt_alog_record *r)
{
	struct mt_alog_spans from;

	mt_alog_entry_spans(e, &from);
	for (uint32_t i = 0; from.tags && i < MT_MIN(from.tags->n, MT_ALOG_TAGS); i++) {
		struct mt_slice value = value_of(&from.tags->v[i], r);

		if (value.len)
			put(to, &from.tags->v[i], value);
	}
}

/* ---- encoders ------------------------------------------------------------------------------- */

static uint32_t span_otlp(const struct mt_alog_collector *c, const struct mt_alog_entry *e,
	const struct mt_alog_record *r, uint8_t which, uint8_t *to)
{
	struct mt_tracing_limits limits = {.tag = c->longest};
	struct span s;

	make(&s, c, e, r, which);
	put_all(&s, e, r);
	return mt_tracing_otlp_span(&s.s, &limits, to);
}

/* Zipkin has no resource, so each span names the node. */
static uint32_t span_zipkin(const struct mt_alog_collector *c, const struct mt_alog_entry *e,
	const struct mt_alog_record *r, uint8_t which, uint8_t *to)
{
	struct mt_tracing_limits limits = {.tag = c->longest};
	struct span s;

	make(&s, c, e, r, which);
	add(&s, "node_id", text(c->sender.node));
	put_all(&s, e, r);
	return mt_tracing_zipkin_span(&s.s, &limits, (char *)to);
}

const struct mt_alog_encoder mt_tracing_otlp = {"application/x-protobuf", open_otlp, span_otlp};
const struct mt_alog_encoder mt_tracing_zipkin = {"application/json", open_zipkin, span_zipkin};
