/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_model.h"

#include <errno.h>
#include <string.h>

/* A configuration beyond this is refused rather than let to take the machine's memory. */
#define MODEL_LIMIT (1ull << 30)

struct mt_model *mt_model_new(void)
{
	struct mt_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->refs = 1;
	mt_region_init(&m->region, MODEL_LIMIT);
	return m;
}

void mt_model_free(struct mt_model *m)
{
	if (!m || --m->refs)
		return;
	for (uint32_t i = 0; i < m->n_parts; i++)
		mt_model_free(m->parts[i]);
	mt_region_fini(&m->region);
	free(m);
}

/* The lists of one model, side by side with those of another. */
#define N_LISTS 14

static void lists_of(struct mt_model *m, struct mt_objs *lists[N_LISTS])
{
	struct mt_objs *const all[N_LISTS] = {&m->service_entries, &m->workload_entries,
		&m->destination_rules, &m->virtual_services, &m->meta_routers, &m->app_protocols,
		&m->gateways, &m->envoy_filters, &m->mesh_clusters, &m->mesh_endpoints,
		&m->mesh_listeners, &m->mesh_routes, &m->mesh_secrets, &m->mesh_extensions};

	memcpy(lists, all, sizeof(all));
}

int mt_model_share(struct mt_model *m, struct mt_model *part)
{
	struct mt_objs *from[N_LISTS], *to[N_LISTS];
	struct mt_model **slot;

	if (part->region.used > MODEL_LIMIT - m->parts_bytes)
		return -E2BIG;
	m->parts_bytes += part->region.used;
	slot = mt_region_push(&m->region, (void **)&m->parts, &m->n_parts, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = part;
	part->refs++;
	lists_of(m, to);
	lists_of(part, from);
	for (uint32_t i = 0; i < N_LISTS; i++)
		for (uint32_t k = 0; k < from[i]->n; k++)
			if (mt_model_add(m, to[i], from[i]->v[k]))
				return -ENOMEM;
	return 0;
}

int mt_model_add(struct mt_model *m, struct mt_objs *list, void *obj)
{
	void **slot = mt_region_push(&m->region, (void **)&list->v, &list->n, sizeof(*list->v));

	if (!slot)
		return -ENOMEM;
	*slot = obj;
	return 0;
}

const char *mt_labels_get(const struct mt_labels *l, const char *key)
{
	for (uint32_t i = 0; i < l->n_kv; i++)
		if (strcmp(l->kv[i].key, key) == 0)
			return l->kv[i].value;
	return NULL;
}

bool mt_labels_match(const struct mt_labels *want, const struct mt_labels *have)
{
	for (uint32_t i = 0; i < want->n_kv; i++) {
		const char *value = mt_labels_get(have, want->kv[i].key);

		if (!value || strcmp(value, want->kv[i].value) != 0)
			return false;
	}
	return true;
}
