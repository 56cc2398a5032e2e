/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_model.h"

#include <errno.h>
#include <string.h>

/* A configuration beyond this is refused rather than let to take the machine's memory. */
#define MODEL_LIMIT (1ull << 30)

struct mt_model *mt_model_new(void)
{
	struct mt_model *m = calloc(1, sizeof(*m));

	if (m)
		mt_region_init(&m->region, MODEL_LIMIT);
	return m;
}

void mt_model_free(struct mt_model *m)
{
	if (!m)
		return;
	mt_region_fini(&m->region);
	free(m);
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
