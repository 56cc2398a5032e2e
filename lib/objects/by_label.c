/* SPDX-License-Identifier: Apache-2.0 */
/* An index of items by each of their labels, so that a selector checks only few items. */
#include "mt_objects_priv.h"

static char *key_of(const struct mt_by_label *x, const char *ns, const struct mt_kv *kv)
{
	return mt_region_printf(x->region, "%s\n%s\n%s", ns, kv->key, kv->value);
}

void mt_by_label_add(
	struct mt_by_label *x, const char *ns, const struct mt_labels *labels, void *thing)
{
	for (uint32_t i = 0; i < labels->n_kv; i++) {
		char *key = key_of(x, ns, &labels->kv[i]);
		struct mt_bag *bag = key ? mt_strmap_get(&x->map, key) : NULL;
		void **slot;

		if (!bag) {
			bag = mt_region_alloc(x->region, sizeof(*bag));
			if (!bag || !key || mt_strmap_put(&x->map, key, bag, NULL))
				return;
		}
		slot = mt_region_push(x->region, (void **)&bag->v, &bag->n, sizeof(*slot));
		if (slot)
			*slot = thing;
	}
}

const struct mt_bag *mt_by_label_find(
	const struct mt_by_label *x, const char *ns, const struct mt_labels *want)
{
	static const struct mt_bag none;
	char *key = want->n_kv ? key_of(x, ns, &want->kv[0]) : NULL;
	const struct mt_bag *bag = key ? mt_strmap_get(&x->map, key) : NULL;

	return bag ? bag : &none;
}

uint64_t mt_work_of_match(const struct mt_labels *want, const struct mt_labels *have)
{
	return 1 + (uint64_t)want->n_kv * have->n_kv / 64;
}

void mt_by_label_fini(struct mt_by_label *x)
{
	mt_strmap_fini(&x->map);
}
