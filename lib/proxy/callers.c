/* SPDX-License-Identifier: Apache-2.0 */
/* The table of callers' workloads: one writer, readers without locks. */
#include "mt_callers.h"

_Static_assert(sizeof(struct mt_caller_place) == 32, "two places in a cache line");

static uint32_t next_of(uint32_t at)
{
	return (at + 1) % MT_CALLER_PLACES;
}

struct mt_caller mt_caller_find(const struct mt_caller_table *t, uint64_t key)
{
	uint32_t at = (uint32_t)(key % MT_CALLER_PLACES);

	for (uint32_t i = 0; i < MT_CALLER_PROBES; i++, at = next_of(at)) {
		const struct mt_caller_place *p = &t->places[at];
		uint32_t turn = __atomic_load_n(&p->turn, __ATOMIC_ACQUIRE);
		uint64_t found = __atomic_load_n(&p->key, __ATOMIC_RELAXED);
		struct mt_caller c;

		if (!found)
			break;
		if (found != key)
			continue;
		c.id = __atomic_load_n(&p->id, __ATOMIC_RELAXED);
		c.account = __atomic_load_n(&p->account, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(turn & 1) && __atomic_load_n(&p->turn, __ATOMIC_RELAXED) == turn)
			return c;
		break;
	}
	return (struct mt_caller){0, 0};
}

static void write_place(struct mt_caller_place *p, uint64_t key, uint64_t id, uint64_t account)
{
	__atomic_store_n(&p->turn, p->turn + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&p->key, key, __ATOMIC_RELAXED);
	__atomic_store_n(&p->id, id, __ATOMIC_RELAXED);
	__atomic_store_n(&p->account, account, __ATOMIC_RELAXED);
	__atomic_store_n(&p->turn, p->turn + 1, __ATOMIC_RELEASE);
}

void mt_caller_set(struct mt_caller_place *p, uint64_t id, uint64_t account)
{
	write_place(p, p->key, id, account);
}

/* Places that were given up make chains longer, so they are counted with a limit of their own. */
static bool has_room(const struct mt_caller_table *t, const struct mt_caller_place *p)
{
	return t->n < MT_CALLERS_MAX && (p->key || t->used < MT_CALLERS_MAX / 2 * 3);
}

struct mt_caller_place *mt_caller_place(struct mt_caller_table *t, uint64_t key, bool add)
{
	struct mt_caller_place *room = NULL;
	uint32_t at = (uint32_t)(key % MT_CALLER_PLACES);

	for (uint32_t i = 0; i < MT_CALLER_PROBES; i++, at = next_of(at)) {
		struct mt_caller_place *p = &t->places[at];

		if (p->key == key)
			return p;
		if (p->key <= MT_CALLER_GONE && !room)
			room = p;
		if (!p->key)
			break;
	}
	if (!add || !room || !has_room(t, room))
		return NULL;
	__atomic_store_n(&t->n, t->n + 1, __ATOMIC_RELAXED);
	t->used += !room->key;
	room->refs = room->rank = room->several = 0;
	write_place(room, key, 0, 0);
	return room;
}

/* No key is after places before a free one, so those of them that were given up become free. */
void mt_caller_give_up(struct mt_caller_table *t, struct mt_caller_place *p)
{
	uint32_t at = (uint32_t)(p - t->places);

	__atomic_store_n(&t->n, t->n - 1, __ATOMIC_RELAXED);
	p->refs = p->rank = p->several = 0;
	write_place(p, MT_CALLER_GONE, 0, 0);
	if (t->places[next_of(at)].key)
		return;
	for (; t->places[at].key == MT_CALLER_GONE; at = (at - 1) % MT_CALLER_PLACES) {
		write_place(&t->places[at], 0, 0, 0);
		t->used--;
	}
}
