/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_model.h"

#include <errno.h>
#include <string.h>

/*
 * Allocates a model of this size. Not inlined, because the compiler would warn about the smaller
 * size.
 */
static __attribute__((noinline)) struct mt_model *new_of(size_t size)
{
	struct mt_model *m = calloc(1, size);

	if (!m)
		return NULL;
	m->refs = 1;
	mt_region_init(&m->region, MT_MODEL_LIMIT);
	return m;
}

struct mt_model *mt_model_new(void)
{
	return new_of(sizeof(struct mt_model));
}

struct mt_model *mt_model_new_resource(void)
{
	return new_of(offsetof(struct mt_model, service_entries));
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

struct mt_model *mt_model_hold(struct mt_model *m)
{
	m->refs++;
	return m;
}

/* Returns list `i`; the lists are contiguous in the struct. */
static struct mt_objs *list_at(struct mt_model *m, uint32_t i)
{
	return &m->res_clusters + i;
}

_Static_assert(offsetof(struct mt_model, mesh_configs) - offsetof(struct mt_model, res_clusters) ==
		       23 * sizeof(struct mt_objs),
	"lists stand in a row");

static int add_all(struct mt_model *m, struct mt_objs *to, const struct mt_objs *from)
{
	for (uint32_t k = 0; k < from->n; k++)
		if (mt_model_add(m, to, from->v[k]))
			return -ENOMEM;
	return 0;
}

int mt_model_share(struct mt_model *m, struct mt_model *part)
{
	struct mt_model **slot;

	if (part->region.used > MT_MODEL_LIMIT - m->parts_bytes)
		return -E2BIG;
	m->parts_bytes += part->region.used;
	slot = mt_region_push(&m->region, (void **)&m->parts, &m->n_parts, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = part;
	part->refs++;
	/*
	 * Touch only lists that have objects, because there may be tens of thousands of parts with
	 * one object each.
	 */
	for (uint32_t kinds = part->kinds; kinds; kinds &= kinds - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(kinds);

		if (add_all(m, list_at(m, i), list_at(part, i)))
			return -ENOMEM;
	}
	return 0;
}

static void fetch(const struct mt_model *part)
{
	__builtin_prefetch(part, 1); /* its reference count is written */
	for (size_t at = MT_CACHE_LINE; at < offsetof(struct mt_model, service_entries);
		at += MT_CACHE_LINE)
		__builtin_prefetch((const uint8_t *)part + at);
}

static void fetch_lists(struct mt_model *part)
{
	for (uint32_t kinds = part->kinds; kinds; kinds &= kinds - 1)
		__builtin_prefetch(list_at(part, (uint32_t)__builtin_ctz(kinds))->v);
}

int mt_model_share_all(struct mt_model *m, struct mt_model *const *parts, uint32_t n)
{
	int rc = 0;

	for (uint32_t i = 0; i < n; i++)
		fetch(parts[i]);
	for (uint32_t i = 0; i < n; i++)
		fetch_lists(parts[i]);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = mt_model_share(m, parts[i]);
	return rc;
}

int mt_model_add(struct mt_model *m, struct mt_objs *list, void *obj)
{
	void **slot = mt_region_push(&m->region, (void **)&list->v, &list->n, sizeof(*list->v));

	if (!slot)
		return -ENOMEM;
	*slot = obj;
	m->kinds |= 1u << (list - list_at(m, 0));
	return 0;
}

const char *mt_labels_get(const struct mt_labels *l, const char *key)
{
	for (uint32_t i = 0; i < l->n_kv; i++)
		if (strcmp(l->kv[i].key, key) == 0)
			return l->kv[i].value;
	return NULL;
}

const char *mt_labels_locality(struct mt_region *r, const struct mt_labels *l)
{
	const char *said = mt_labels_get(l, "topology.istio.io/locality");
	char *text;

	said = said ? said : mt_labels_get(l, "istio-locality");
	if (!said || !*said)
		return NULL;
	text = mt_region_strdup(r, said);
	/* Labels cannot contain slashes. */
	for (char *p = text && !strchr(text, '/') ? text : NULL; p && *p; p++)
		*p = *p == '.' ? '/' : *p;
	return text;
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
