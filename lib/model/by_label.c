/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_by_label.h"

#include "mt_secret_hash.h"

/*
 * Labels with one id would only share a bag, because callers compare all labels. A hash takes no
 * memory for the texts, which aliases in documents may repeat.
 */
static uint64_t id_of(const char *ns, const struct mt_kv *kv)
{
	uint64_t h = mt_secret_hash_text(kv->key, mt_secret_hash_text(ns, 0));

	h = mt_secret_hash_text(kv->value, h);
	return h ? h : 1;
}

static struct mt_bag *bag_of(struct mt_by_label *x, uint64_t id)
{
	struct mt_bag *bag = mt_idmap_get(&x->map, id);

	if (bag)
		return bag;
	bag = mt_region_alloc(x->region, sizeof(*bag));
	if (bag && mt_idmap_put(&x->map, id, bag) == 0)
		return bag;
	x->region->failed = true;
	return NULL;
}

void mt_by_label_add(
	struct mt_by_label *x, const char *ns, const struct mt_labels *labels, void *thing)
{
	for (uint32_t i = 0; i < labels->n_kv; i++) {
		struct mt_bag *bag = bag_of(x, id_of(ns, &labels->kv[i]));
		void **slot;

		if (!bag)
			return;
		slot = mt_region_push(x->region, (void **)&bag->v, &bag->n, sizeof(*slot));
		if (slot)
			*slot = thing;
	}
}

const struct mt_bag *mt_by_label_find(
	const struct mt_by_label *x, const char *ns, const struct mt_labels *want)
{
	static const struct mt_bag none;
	const struct mt_bag *least = NULL;

	for (uint32_t i = 0; i < want->n_kv; i++) {
		const struct mt_bag *bag = mt_idmap_get(&x->map, id_of(ns, &want->kv[i]));

		if (!bag)
			return &none;
		if (!least || bag->n < least->n)
			least = bag;
	}
	return least ? least : &none;
}

uint64_t mt_work_of_match(const struct mt_labels *want, const struct mt_labels *have)
{
	return 1 + (uint64_t)want->n_kv * have->n_kv / 64;
}

void mt_by_label_fini(struct mt_by_label *x)
{
	mt_idmap_fini(&x->map);
}
