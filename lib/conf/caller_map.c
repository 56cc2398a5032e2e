/* SPDX-License-Identifier: Apache-2.0 */
/* A map by keyed hashes of entries that come and go one by one. */
#include "mt_conf_callers_priv.h"

#include <stdlib.h>

static struct mt_caller_node **slot(const struct mt_caller_map *m, uint64_t key)
{
	return &m->v[key & (m->cap - 1)];
}

void *mt_caller_map_get(const struct mt_caller_map *m, uint64_t key)
{
	struct mt_caller_node *n = m->cap ? *slot(m, key) : NULL;

	while (n && n->key != key)
		n = n->next;
	return n;
}

/* Without memory it stays as it is. */
static void grow(struct mt_caller_map *m)
{
	struct mt_caller_map to = {.cap = m->cap ? m->cap * 2 : 64, .n = m->n};

	to.v = calloc(to.cap, sizeof(struct mt_caller_node *));
	if (!to.v)
		return;
	for (uint32_t i = 0; i < m->cap; i++)
		for (struct mt_caller_node *n = m->v[i], *next; n; n = next) {
			next = n->next;
			n->next = *slot(&to, n->key);
			*slot(&to, n->key) = n;
		}
	free(m->v);
	*m = to;
}

bool mt_caller_map_add(struct mt_caller_map *m, struct mt_caller_node *n)
{
	if (m->n >= m->cap)
		grow(m);
	if (!m->cap)
		return false;
	n->next = *slot(m, n->key);
	*slot(m, n->key) = n;
	m->n++;
	return true;
}

void mt_caller_map_del(struct mt_caller_map *m, struct mt_caller_node *n)
{
	struct mt_caller_node **at = slot(m, n->key);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	m->n--;
}
