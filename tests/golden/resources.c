/* SPDX-License-Identifier: Apache-2.0 */
/* Resources of discovery services out of a file, by the way on which received ones come. */
#include "golden.h"

#include "mt_model.h"
#include "mt_pb_json.h"
#include "mt_strmap.h"
#include "mt_xds_map.h"

#include <stdio.h>
#include <string.h>

#define ARENA_MAX (64u << 20)
#define SOURCE	  "xds:golden"

static const struct {
	const char *list;
	enum mt_xds_type type;
} lists[] = {
	{"clusters", MT_XDS_CDS},
	{"endpoints", MT_XDS_EDS},
	{"routes", MT_XDS_RDS},
	{"extensions", MT_XDS_ECDS},
	{"listeners", MT_XDS_LDS},
	{"names", MT_XDS_NDS},
};

struct source {
	struct mt_model *model;
	json_t *refused;
};

/* As it would be received. False: it has another shape than its type. */
static bool packed(struct mt_pb_arena *a, enum mt_xds_type type, const char *text, Xds__Any *any,
	struct mt_err *why)
{
	struct mt_pb_reader r = {.arena = a, .why = why};
	Xds__Struct *s = mt_pb_struct_of_text(a, "it", text, strlen(text), why);
	ProtobufCMessage *m = s ? mt_pb_from_struct(&r, mt_pb_type(mt_xds_url(type)), s) : NULL;

	if (!m)
		return false;
	xds__any__init(any);
	any->type_url = (char *)mt_xds_url(type);
	any->value.len = protobuf_c_message_get_packed_size(m);
	any->value.data = mt_region_alloc(&a->region, any->value.len + 1);
	MT_ASSERT(any->value.data);
	protobuf_c_message_pack(m, any->value.data);
	return true;
}

/* Another one with each change: the same only while the resource says the same. */
static uint64_t serial_of(enum mt_xds_type type, const char *text)
{
	return mt_strhash(text, type) | 1;
}

static void add_resource(struct source *s, enum mt_xds_type type, const json_t *item)
{
	const char *name = json_string_value(json_object_get(item, "name"));
	char *text = json_dumps(item, JSON_COMPACT);
	struct mt_xds_mapped out = {0};
	struct mt_err why = {""};
	struct mt_pb_arena arena;
	Xds__Any any;

	MT_ASSERT(text);
	mt_pb_arena_init(&arena, ARENA_MAX);
	if (packed(&arena, type, text, &any, &why) &&
		mt_xds_map(type, &any, &(struct mt_xds_from){SOURCE, "node"}, serial_of(type, text),
			&out, &why) == 0) {
		MT_ASSERT(mt_model_share(s->model, out.part) == 0);
		mt_model_free(out.part);
	} else {
		add_text(s->refused, "%s %s: %s", mt_xds_name(type), name ? name : "-", why.text);
	}
	mt_pb_arena_fini(&arena);
	free(text);
}

/* As a source does that asks for clusters when a call leads there. */
static void add_demanded(struct source *s, const json_t *item)
{
	const char *name = json_string_value(item);
	struct mt_res_cluster *c = mt_region_alloc(&s->model->region, sizeof(*c));

	MT_ASSERT(name && c);
	c->meta.name = mt_region_strdup(&s->model->region, name);
	c->meta.origin.file = SOURCE;
	c->meta.serial = 1ull << 40;
	c->demand_ms = 5000;
	MT_ASSERT(mt_model_add(s->model, &s->model->res_clusters, c) == 0);
}

bool golden_resources(struct mt_model *m, const char *path, json_t *refused)
{
	struct source s = {.model = m, .refused = refused};
	json_error_t error;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *item;
	size_t at;

	if (!json_is_object(root)) {
		fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
		json_decref(root);
		return false;
	}
	json_array_foreach(json_object_get(root, "demand"), at, item) add_demanded(&s, item);
	for (size_t i = 0; i < MT_ARRAY_LEN(lists); i++)
		json_array_foreach(json_object_get(root, lists[i].list), at, item)
			add_resource(&s, lists[i].type, item);
	json_decref(root);
	return true;
}
