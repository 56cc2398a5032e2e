/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a content. Its serial is a time-out (CDS), a factor (EDS), a route's name (RDS), a chain's (LDS). */
#include "plane.h"

#include "mt_pb.h"
#include "mt_pb_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t counts[PLANE_TYPES] = {6, 6, 4, 3};

uint32_t names_of(enum mt_xds_type type)
{
	return counts[type];
}

const char *name_of(enum mt_xds_type type, uint32_t i)
{
	static const char letters[PLANE_TYPES] = {'c', 'c', 'l', 'r'};
	static char buf[4][16];
	static uint32_t at;

	snprintf(buf[++at % 4], sizeof(buf[0]), "%c%u", letters[type], i);
	return buf[at % 4];
}

int index_of(enum mt_xds_type type, const char *name)
{
	for (uint32_t i = 0; i < names_of(type); i++)
		if (strcmp(name_of(type, i), name) == 0)
			return (int)i;
	return -1;
}

static Xds__Any encode(enum mt_xds_type type, const char *text)
{
	Xds__Any any = XDS__ANY__INIT;
	struct mt_err why = {""};
	struct mt_pb_arena arena;
	struct mt_pb_reader r = {.arena = &arena, .why = &why};
	char *json = strdup(text);
	Xds__Struct *s;
	ProtobufCMessage *m;

	for (char *p = json; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	mt_pb_arena_init(&arena, 1 << 20);
	s = mt_pb_struct_of_text(&arena, "t", json, strlen(json), &why);
	m = s ? mt_pb_from_struct(&r, mt_pb_type(mt_xds_url(type)), s) : NULL;
	if (!m) {
		fprintf(stderr, "%s\n%s\n", json, why.text);
		abort();
	}
	any.type_url = (char *)mt_xds_url(type);
	any.value.len = protobuf_c_message_get_packed_size(m);
	any.value.data = malloc(any.value.len + 3);
	protobuf_c_message_pack(m, any.value.data);
	mt_pb_arena_fini(&arena);
	free(json);
	return any;
}

/* ---- texts ----------------------------------------------------------------------------------------- */

struct text {
	char buf[4096];
	size_t n;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->buf + t->n, sizeof(t->buf) - t->n, fmt, ap);
	va_end(ap);
}

static void endpoints(struct text *t, const struct body *b)
{
	add(t, "'endpoints': [{'lb_endpoints': [");
	for (uint32_t i = 0; i < b->n_eps; i++)
		add(t,
			"%s{'endpoint': {'address': {'socket_address': {'address': '10.%u.%u.%u', "
			"'port_value': %u}}}}",
			i ? ", " : "", b->name, b->serial >> 8,
			b->bad == BAD_FIELD && i == 0 ? 300 : b->serial & 255, 80 + i);
	add(t, "]}]");
}

static void cluster(struct text *t, const struct body *b)
{
	add(t, "{'name': '%s', 'connect_timeout': '%u.%03us', ", name_of(b->type, b->name),
		b->serial / 1000, b->serial % 1000);
	if (b->bad == BAD_FIELD)
		add(t, "'type': 9}");
	else if (!b->fixed)
		add(t,
			"'type': 'EDS', 'eds_cluster_config': {'eds_config': {'ads': {}, "
			"'initial_fetch_timeout': '%us'}}}",
			b->fetch_s);
	else {
		add(t, "'type': 'STATIC', 'load_assignment': {'cluster_name': 'x', ");
		endpoints(t, b);
		add(t, "}}");
	}
}

static void weighted(struct text *t, const struct body *b)
{
	add(t, "'weighted_clusters': {'clusters': [");
	for (uint32_t i = 0; i < b->n_targets; i++)
		add(t, "%s{'name': 'c%u', 'weight': %u}", i ? ", " : "", b->targets[i], i + 1);
	add(t, "]}");
}

static void table(struct text *t, const struct body *b)
{
	add(t, "{'name': '%s'", name_of(b->type, b->name));
	if (b->empty) {
		add(t, "}");
		return;
	}
	add(t,
		", 'virtual_hosts': [{'name': 'dummy', 'domains': ['*'], 'routes': [{'name': "
		"'s%u', "
		"'match': {'prefix': '/'%s}, 'route': {",
		b->serial,
		b->bad == BAD_FIELD
			? ", 'headers': [{'name': 'a', 'string_match': {'safe_regex': {'regex': "
			  "'a(b'}}}]"
			: "");
	weighted(t, b);
	add(t, "}}]}]}");
}

/* A Struct is a map: its fields come in any order. */
static void proxy(struct text *t, const struct body *b, bool other)
{
	add(t, "'@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': "
	       "'type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', "
	       "'value': {");
	if (!other)
		add(t, "'statPrefix': 's', 'applicationProtocol': 'dubbo', ");
	add(t,
		"'rds': {'routeConfigName': 'r%u', 'configSource': {'ads': {}}}, 'codec': {'name': "
		"'aeraki.meta_protocol.codec.dubbo'}",
		b->targets[0]);
	if (other)
		add(t, ", 'applicationProtocol': 'dubbo', 'statPrefix': 's'");
	add(t, "}");
}

static void listener(struct text *t, const struct body *b, bool other)
{
	add(t,
		"{'name': '%s', 'address': {'socket_address': {'address': '%s', 'port_value': "
		"80}}, "
		"'filter_chains': [{'name': 's%u', 'filters': [{'name': 'f', 'typed_config': {",
		name_of(b->type, b->name),
		b->bad == BAD_FIELD ? "nowhere"
				    : (const char *[]){"192.0.2.1", "192.0.2.2", "192.0.2.3",
					      "192.0.2.4"}[b->name],
		b->serial);
	if (b->meta) {
		proxy(t, b, other);
	} else {
		add(t, "'@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy."
		       "v3.TcpProxy', 'stat_prefix': 's', ");
		weighted(t, b);
	}
	add(t, "}}]}]}");
}

void body_encode(struct body *b)
{
	for (int i = 0; i < 2; i++) {
		struct text t = {.n = 0};

		if (b->type == MT_XDS_CDS) {
			cluster(&t, b);
		} else if (b->type == MT_XDS_EDS) {
			add(&t,
				"{'cluster_name': '%s', 'policy': {'overprovisioning_factor': "
				"%u}, ",
				name_of(b->type, b->name), 100 + b->serial);
			endpoints(&t, b);
			add(&t, "}");
		} else if (b->type == MT_XDS_RDS) {
			table(&t, b);
		} else {
			listener(&t, b, i == 1);
		}
		b->any[i] = encode(b->type, t.buf);
		if (b->bad == BAD_WIRE) {
			/* A field that is longer than what follows. */
			memcpy(b->any[i].value.data + b->any[i].value.len, "\x1a\x7f\x01", 3);
			b->any[i].value.len += 3;
		}
	}
}

void body_free(struct body *b)
{
	free(b->any[0].value.data);
	free(b->any[1].value.data);
	free(b);
}
