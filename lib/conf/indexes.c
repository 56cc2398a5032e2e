/* SPDX-License-Identifier: Apache-2.0 */
/* Small numbers that a name keeps as long as a snapshot names it; then they may serve another name. */
#include "mt_conf_priv.h"

#include <string.h>

/*
 * Makes room for one more name and for the return of one more number, so that neither can fail
 * later and lose a number.
 */
static bool reserve(struct mt_indexes *x)
{
	uint32_t cap = x->cap_free ? x->cap_free * 2 : 16;
	struct mt_index **grown;

	if (mt_strmap_reserve(&x->by_name, 1))
		return false;
	if (x->next < x->cap_free)
		return true;
	grown = realloc(x->free, cap * sizeof(struct mt_index *));
	if (!grown)
		return false;
	x->free = grown;
	x->cap_free = cap;
	return true;
}

struct mt_index *mt_indexes_get(struct mt_indexes *x, const char *name, uint32_t max)
{
	struct mt_index *i = mt_strmap_get(&x->by_name, name);
	size_t len = strlen(name) + 1;

	if (i) {
		i->refs++;
		return i;
	}
	if ((!x->n_free && x->next == max) || !reserve(x))
		return NULL;
	i = realloc(x->n_free ? x->free[x->n_free - 1] : NULL, sizeof(*i) + len);
	if (!i)
		return NULL;
	if (x->n_free)
		x->n_free--;
	else
		i->v = x->next++;
	i->refs = 1;
	memcpy(i->name, name, len);
	MT_ASSERT(mt_strmap_put(&x->by_name, i->name, i, NULL) == 0);
	return i;
}

void mt_indexes_put(struct mt_indexes *x, struct mt_index *i)
{
	if (--i->refs)
		return;
	mt_strmap_del(&x->by_name, i->name);
	x->free[x->n_free++] = i;
}

void mt_indexes_fini(struct mt_indexes *x)
{
	struct mt_index *i;
	uint32_t pos = 0;

	while ((i = mt_strmap_next(&x->by_name, &pos, NULL)) != NULL)
		free(i);
	for (uint32_t j = 0; j < x->n_free; j++)
		free(x->free[j]);
	free(x->free);
	mt_strmap_fini(&x->by_name);
	*x = (struct mt_indexes){0};
}
