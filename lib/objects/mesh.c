/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings for the whole mesh: the Node's values take precedence over MeshConfig's, then defaults.
 */
#include "mt_objects_priv.h"

#include <string.h>

/* Default of rootNamespace in istio.io/latest/docs/reference/config/istio.mesh.v1alpha1 */
#define ROOT_NAMESPACE "istio-system"

const struct mt_node *mt_table_node(const struct mt_object_table *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].used && t->rows[i].used->part->node)
			return t->rows[i].used->part->node;
	return NULL;
}

static const struct mt_mesh_config *config_of(const struct mt_object_row *row)
{
	const struct mt_model *part = row->used ? row->used->part : NULL;

	return part && part->mesh_configs.n ? part->mesh_configs.v[0] : NULL;
}

static bool is_file(const struct mt_mesh_config *c)
{
	return strcmp(c->meta.kind, "MeshConfig") == 0;
}

/*
 * Returns the row of the MeshConfig file that the Node names, otherwise the row of the ConfigMap in
 * the root namespace; NULL: neither exists.
 */
static struct mt_object_row *find_config(struct mt_object_table *t, const char *root_ns)
{
	struct mt_object_row *found = NULL;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_mesh_config *c = config_of(&t->rows[i]);

		if (c && is_file(c))
			return &t->rows[i];
		if (c && !found && strcmp(c->meta.ns, root_ns) == 0)
			found = &t->rows[i];
	}
	return found;
}

/* Marks all other MeshConfigs as ignored. */
static void pass_over(struct mt_object_table *t, const struct mt_object_row *chosen)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];

		if (row == chosen || !config_of(row) || row->status > MT_OBJECT_NOTES)
			continue;
		row->status = MT_OBJECT_IGNORED;
		row->why = chosen && is_file(config_of(chosen))
				   ? "the Node's spec.mesh.config is the MeshConfig"
				   : "no MeshConfig: it is not in the root namespace";
	}
}

void mt_table_mesh(struct mt_object_table *t)
{
	const struct mt_node *node = mt_table_node(t);
	const struct mt_node_mesh *said = node ? node->mesh : NULL;
	const char *root_ns = said && said->root_ns.s ? said->root_ns.s : ROOT_NAMESPACE;
	struct mt_object_row *row = find_config(t, root_ns);
	const struct mt_mesh_config *c = row ? config_of(row) : NULL;

	t->mesh = (struct mt_mesh_settings){.root_ns = root_ns, .config = c};
	if (said)
		t->mesh.ns = said->ns.s;
	if (said && said->trust_domain.s)
		t->mesh.trust_domain = said->trust_domain.s;
	else if (c)
		t->mesh.trust_domain = c->trust_domain.s;
	if (c && c->root_ns.s && !(said && said->root_ns.s))
		t->mesh.root_ns = c->root_ns.s;
	t->mesh.no_auto_mtls = c && c->auto_mtls.set && !c->auto_mtls.v;
	pass_over(t, row);
}

static void differs(struct mt_diags *diags, const struct mt_meta *meta, const struct mt_text *says,
	const struct mt_text *node, const char *field)
{
	if (!says->s || !node->s || strcmp(says->s, node->s) == 0)
		return;
	mt_diag_object(diags, MT_DIAG_WARNING, meta, says->line, field,
		"give Node and MeshConfig the same value",
		"\"%.128s\" here: the Node has \"%.128s\", which applies", says->s, node->s);
}

void mt_table_mesh_tell(const struct mt_object_table *t, struct mt_diags *diags)
{
	const struct mt_node *node = mt_table_node(t);
	const struct mt_mesh_config *c = t->mesh.config;

	if (!c || !node || !node->mesh)
		return;
	differs(diags, &c->meta, &c->root_ns, &node->mesh->root_ns, "rootNamespace");
	differs(diags, &c->meta, &c->trust_domain, &node->mesh->trust_domain, "trustDomain");
}
