/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parser of mesh.yaml (Istio's MeshConfig): the addresses of the control plane, and proxyMetadata.
 */
#include "mt_bundle.h"
#include "mt_yaml.h"

#include <errno.h>
#include <string.h>

#define FILE_NAME "mesh.yaml"
#define REMEDY	  "make a new bundle (istioctl x workload entry configure), or correct the line"

struct reader {
	struct mt_region *region;
	struct mt_mesh_file *out;
	struct mt_finding *f;
	uint32_t documents;
	int rc;
};

static int bad(struct reader *r, const struct mt_ynode *n, const char *field, const char *what)
{
	r->rc = mt_find(r->f, FILE_NAME, n->line, field, REMEDY, "%s", what);
	return r->rc;
}

/* Returns a non-empty scalar of the map; NULL: absent, or an error with r->rc set. */
static const char *text(struct reader *r, const struct mt_ynode *map, const char *key,
	const char *field, uint32_t *line)
{
	const struct mt_ynode *n = mt_yaml_get(map, key);

	if (!n || mt_yaml_is_null(n))
		return NULL;
	if (n->type != MT_Y_SCALAR) {
		bad(r, n, field, "a text is expected");
		return NULL;
	}
	*line = n->line;
	return n->text[0] ? n->text : NULL;
}

static void read_metadata(struct reader *r, const struct mt_ynode *map)
{
	if (!map || mt_yaml_is_null(map))
		return;
	if (map->type != MT_Y_MAP) {
		bad(r, map, "defaultConfig.proxyMetadata", "a map is expected");
		return;
	}
	for (const struct mt_ynode *n = map->first; n; n = n->next) {
		struct mt_env *env = &r->out->metadata;
		struct mt_env_row *row;

		if (n->type != MT_Y_SCALAR) {
			bad(r, n, "defaultConfig.proxyMetadata", "its values are texts");
			return;
		}
		row = mt_region_push(r->region, (void **)&env->rows, &env->n, sizeof(*env->rows));
		if (row)
			*row = (struct mt_env_row){n->key, n->text, n->key_line};
	}
}

static void document(void *arg, const struct mt_ynode *root)
{
	struct reader *r = arg;
	const struct mt_ynode *conf;

	if (r->rc || r->documents++ > 0)
		return;
	if (root->type != MT_Y_MAP) {
		bad(r, root, "", "a map with defaultConfig is expected");
		return;
	}
	conf = mt_yaml_get(root, "defaultConfig");
	if (!conf || mt_yaml_is_null(conf))
		return;
	if (conf->type != MT_Y_MAP) {
		bad(r, conf, "defaultConfig", "a map is expected");
		return;
	}
	r->out->discovery = text(r, conf, "discoveryAddress", "defaultConfig.discoveryAddress",
		&r->out->discovery_line);
	r->out->ca = text(r, conf, "caAddress", "defaultConfig.caAddress", &r->out->ca_line);
	read_metadata(r, mt_yaml_get(conf, "proxyMetadata"));
}

int mt_mesh_parse(struct mt_region *region, const char *text, size_t len, struct mt_mesh_file *out,
	struct mt_finding *f)
{
	struct reader r = {.region = region, .out = out, .f = f};
	struct mt_diags diags;

	*out = (struct mt_mesh_file){0};
	mt_diags_init(&diags);
	if (mt_yaml_parse(region, &diags, FILE_NAME, text, len, document, &r) && !diags.n)
		r.rc = mt_find(f, FILE_NAME, 0, "", REMEDY, "it cannot be read");
	if (diags.n)
		r.rc = mt_find(f, FILE_NAME, diags.items[0].origin.line, "", REMEDY, "%s",
			diags.items[0].message);
	mt_diags_fini(&diags);
	return r.rc;
}
