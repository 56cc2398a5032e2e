/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_idmap.h"

#include <errno.h>
#include <string.h>

#define MIN_CAP 16u

/* The slot of an id, or the free slot for it. At least one slot is free. */
static struct mt_idmap_slot *slot_of(const struct mt_idmap *m, uint64_t id)
{
	uint64_t h = id * 0x9e3779b97f4a7c15ull;
	uint32_t i = (uint32_t)(h >> 32) & (m->cap - 1);

	while (m->slots[i].id && m->slots[i].id != id)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

/* At most two of three slots are in use. */
int mt_idmap_reserve(struct mt_idmap *m, uint32_t n)
{
	struct mt_idmap old = *m;
	uint64_t cap = MT_MAX(old.cap, MIN_CAP);

	while (n * 3ull > cap * 2)
		cap *= 2;
	if (cap == old.cap)
		return 0;
	if (cap > UINT32_MAX)
		return -ENOMEM;
	m->slots = calloc(cap, sizeof(*m->slots));
	if (!m->slots) {
		m->slots = old.slots;
		return -ENOMEM;
	}
	m->cap = (uint32_t)cap;
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slots[i].id)
			*slot_of(m, old.slots[i].id) = old.slots[i];
	free(old.slots);
	return 0;
}

void *mt_idmap_get(const struct mt_idmap *m, uint64_t id)
{
	struct mt_idmap_slot *s = m->cap ? slot_of(m, id) : NULL;

	return s && s->id ? s->value : NULL;
}

int mt_idmap_put(struct mt_idmap *m, uint64_t id, void *value)
{
	struct mt_idmap_slot *s;

	if (mt_idmap_reserve(m, m->n + 1))
		return -ENOMEM;
	s = slot_of(m, id);
	m->n += s->id == 0;
	*s = (struct mt_idmap_slot){id, value};
	return 0;
}

void mt_idmap_clear(struct mt_idmap *m)
{
	if (m->n)
		memset(m->slots, 0, m->cap * sizeof(*m->slots));
	m->n = 0;
}

void mt_idmap_fini(struct mt_idmap *m)
{
	free(m->slots);
	*m = (struct mt_idmap){0};
}
