/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_xds_map_priv.h"

#include <errno.h>
#include <string.h>

/* Memory limit for the decoded messages of a resource; 100,000 endpoints take 40 MiB. */
#define MESSAGES_MAX (512u << 20)
/*
 * Maximum size of a part's first block. There are tens of thousands of parts, most with one small
 * object, which should fit its first block. The size is a constant per type plus 5/4 of the
 * resource's length.
 */
#define FIRST_MAX 4096u

typedef bool map_fn(struct mt_xmap *m, const void *msg);

static bool map_cluster(struct mt_xmap *m, const void *msg)
{
	return mt_xm_cluster(m, msg);
}

static bool map_assignment(struct mt_xmap *m, const void *msg)
{
	return mt_xm_assignment(m, msg);
}

static bool map_listener(struct mt_xmap *m, const void *msg)
{
	return mt_xm_listener(m, msg);
}

static bool map_routes(struct mt_xmap *m, const void *msg)
{
	return mt_xm_route_configuration(m, msg);
}

static bool map_extension(struct mt_xmap *m, const void *msg)
{
	return mt_xm_extension(m, msg);
}

static bool map_secret(struct mt_xmap *m, const void *msg)
{
	return mt_xm_secret(m, msg);
}

static bool map_names(struct mt_xmap *m, const void *msg)
{
	return mt_xm_names(m, msg);
}

static const struct {
	const ProtobufCMessageDescriptor *type;
	map_fn *map;
	/* Memory of a usual resource without its texts, which then needs one block only. */
	uint32_t fixed;
} kinds[MT_XDS_TYPES] = {
	[MT_XDS_CDS] = {&xds__cluster__descriptor, map_cluster,
		sizeof(struct mt_res_cluster) + 280},
	[MT_XDS_EDS] = {&xds__cluster_load_assignment__descriptor, map_assignment,
		sizeof(struct mt_res_endpoints) + 176},
	[MT_XDS_LDS] = {&xds__listener__descriptor, map_listener, 1024},
	[MT_XDS_RDS] = {&xds__route_configuration__descriptor, map_routes, 1024},
	[MT_XDS_ECDS] = {&xds__typed_extension_config__descriptor, map_extension, 1024},
	[MT_XDS_SDS] = {&xds__secret__descriptor, map_secret, 256},
	[MT_XDS_NDS] = {&xds__name_table__descriptor, map_names, 512},
};

bool mt_xm_add(struct mt_xmap *m, struct mt_objs *list, struct mt_meta *meta, const char *kind,
	const char *name)
{
	if (!mt_xm_name(m, "name", name, &meta->name))
		return false;
	meta->origin.file = mt_region_strdup(m->r, m->source);
	meta->serial = m->serial;
	meta->kind = kind;
	meta->ns = "default";
	m->out->meta = meta;
	if (!meta->origin.file || mt_model_add(m->out->part, list, meta))
		return mt_xm_no_memory(m);
	return true;
}

/* ---- references ------------------------------------------------------------------------------ */

static bool add_ref(struct mt_xmap *m, const struct mt_xds_ref *ref)
{
	struct mt_xds_mapped *o = m->out;
	struct mt_xds_ref *r;

	uintptr_t earlier = (uintptr_t)mt_strmap_get(&m->named[ref->type], ref->name);

	if (earlier) {
		o->refs[earlier - 1].queried |= ref->queried;
		return true;
	}
	r = mt_region_push(m->r, (void **)&o->refs, &o->n_refs, sizeof(*r));
	if (!r)
		return mt_xm_no_memory(m);
	*r = *ref;
	return mt_strmap_put(&m->named[ref->type], r->name, (void *)(uintptr_t)o->n_refs, NULL) ==
		       0 ||
	       mt_xm_no_memory(m);
}

bool mt_xm_needs_cluster(struct mt_xmap *m, const char *name)
{
	return add_ref(m, &(struct mt_xds_ref){.type = MT_XDS_CDS, .name = name});
}

bool mt_xm_queries_cluster(struct mt_xmap *m, const char *name)
{
	return add_ref(m, &(struct mt_xds_ref){.type = MT_XDS_CDS, .name = name, .queried = true});
}

/* Reads an api_config_source: the cluster of another discovery server, and its protocol. */
static bool read_api(struct mt_xmap *m, const Xds__ApiConfigSource *api, struct mt_xds_ref *ref)
{
	const Xds__GrpcService *g = api->n_grpc_services ? api->grpc_services[0] : NULL;
	bool grpc = api->api_type == 2 || api->api_type == 3 || api->api_type == 5 ||
		    api->api_type == 6;

	if (!grpc)
		return mt_xm_bad(m, "api_type", "only gRPC is spoken");
	if (!g || g->target_specifier_case != XDS__GRPC_SERVICE__TARGET_SPECIFIER_ENVOY_GRPC)
		return mt_xm_bad(m, "grpc_services", "the first one names no cluster (envoy_grpc)");
	ref->delta = api->api_type == 3 || api->api_type == 6;
	return mt_xm_name(m, "grpc_services[0].envoy_grpc.cluster_name",
		g->envoy_grpc->cluster_name, &ref->server);
}

bool mt_xm_ref(struct mt_xmap *m, const char *field, const Xds__ConfigSource *from,
	enum mt_xds_type type, const char *name)
{
	struct mt_xds_ref ref = {.type = type, .name = name};
	uint32_t mark = mt_xm_in(m, field), inner, ms = 0;

	if (!from)
		return mt_xm_bad(m, NULL, "missing");
	switch (from->config_source_specifier_case) {
	case XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS:
	case XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_SELF:
		break;
	case XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_API_CONFIG_SOURCE:
		inner = mt_xm_in(m, "api_config_source");
		if (!read_api(m, from->api_config_source, &ref))
			return false;
		mt_xm_out(m, inner);
		break;
	default:
		return mt_xm_bad(m, NULL, "neither ads, self nor api_config_source");
	}
	if (!mt_xm_ms(m, "initial_fetch_timeout", from->initial_fetch_timeout, 0, &ms))
		return false;
	ref.timeout_ns = ms * MT_MSEC;
	/* An explicit 0s means no limit. */
	if (from->initial_fetch_timeout && !from->initial_fetch_timeout->seconds &&
		!from->initial_fetch_timeout->nanos)
		ref.timeout_ns = MT_NEVER;
	mt_xm_out(m, mark);
	return add_ref(m, &ref);
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool is_struct(const char *type)
{
	return strcmp(type, "udpa.type.v1.TypedStruct") == 0 ||
	       strcmp(type, "xds.type.v3.TypedStruct") == 0;
}

bool mt_xm_open(struct mt_xmap *m, const char *field, const Xds__Any *any, struct mt_xm_any *out)
{
	const char *why = NULL;
	Xds__TypedStruct *t;

	*out = (struct mt_xm_any){.type = any ? mt_pb_type_name(any->type_url) : ""};
	out->bytes = any;
	if (!is_struct(out->type))
		return true;
	t = mt_pb_unpack(
		m->rd.arena, &xds__typed_struct__descriptor, any->value.data, any->value.len, &why);
	if (!t)
		return mt_xm_bad(m, field, "%s", why);
	out->type = mt_pb_type_name(t->type_url);
	out->bytes = NULL;
	out->fields = t->value;
	if (is_struct(out->type))
		return mt_xm_bad(m, field, "a TypedStruct in a TypedStruct");
	return true;
}

void *mt_xm_read(struct mt_xmap *m, const char *field, const struct mt_xm_any *any,
	const ProtobufCMessageDescriptor *type)
{
	static const Xds__Struct none = XDS__STRUCT__INIT;
	uint32_t mark = m->rd.at.len;
	const char *why = NULL;
	void *msg;

	if (field)
		mt_xm_in(m, field);
	if (any->bytes) {
		msg = mt_pb_unpack(
			m->rd.arena, type, any->bytes->value.data, any->bytes->value.len, &why);
		if (!msg)
			mt_xm_bad(m, NULL, "%s", why);
	} else {
		msg = mt_pb_from_struct(&m->rd, type, any->fields ? any->fields : &none);
		if (!msg && !m->rc)
			m->rc = -EINVAL;
	}
	if (msg)
		mt_xm_note_fields(m, msg);
	mt_xm_out(m, mark);
	return m->rc ? NULL : msg;
}

/* ---- a whole resource ------------------------------------------------------------------------ */

static int start(struct mt_xmap *m, struct mt_pb_arena *arena, enum mt_xds_type type, size_t len)
{
	*m->out = (struct mt_xds_mapped){.part = mt_model_new_resource()};
	if (!m->out->part)
		return mt_err(m->rd.why, -ENOMEM, "out of memory");
	m->r = &m->out->part->region;
	m->r->first = MT_MIN((kinds[type].fixed + len * 5 / 4 + 15) & ~(size_t)15, FIRST_MAX);
	mt_pb_arena_init(arena, MESSAGES_MAX);
	/* Erase memory that contained private keys. */
	m->r->wipe = arena->region.wipe = type == MT_XDS_SDS;
	m->rd.arena = arena;
	m->rd.unknown = mt_xm_note_unknown;
	m->rd.arg = m;
	return 0;
}

int mt_xds_map(enum mt_xds_type type, const Xds__Any *body, const struct mt_xds_from *from,
	uint64_t serial, struct mt_xds_mapped *out, struct mt_err *why)
{
	struct mt_xmap m = {.out = out,
		.source = from->source,
		.node_cluster = from->cluster,
		.serial = serial,
		.rd.why = why};
	struct mt_pb_arena arena;
	struct mt_xm_any any;
	const void *msg;

	if (start(&m, &arena, type, body->value.len))
		return -ENOMEM;
	if (strcmp(mt_pb_type_name(body->type_url), mt_pb_type_name(mt_xds_url(type))) != 0)
		mt_xm_bad(&m, "type_url", "\"%.100s\" is another type of resource", body->type_url);
	else {
		any = (struct mt_xm_any){.type = "", .bytes = body};
		msg = mt_xm_read(&m, NULL, &any, kinds[type].type);
		if (msg && !kinds[type].map(&m, msg) && !m.rc)
			mt_xm_no_memory(&m);
	}
	for (uint32_t i = 0; i < MT_XDS_TYPES; i++)
		mt_strmap_fini(&m.named[i]);
	mt_pb_arena_fini(&arena);
	if (!m.rc && m.r->failed)
		mt_xm_no_memory(&m);
	if (m.rc) {
		mt_model_free(out->part);
		*out = (struct mt_xds_mapped){0};
	}
	return m.rc;
}
