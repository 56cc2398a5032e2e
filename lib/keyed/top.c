/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of keys that are refused. A worker writes its own; hottest.c reads them. */
#include "mt_keyed_priv.h"

#include <string.h>

#define HALVED (10 * MT_SEC)

static inline uint64_t get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void put(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static mt_noinline void halve(struct mt_keyed_top *top, uint64_t now)
{
	uint64_t times = MT_MIN((now - top->halve_at) / HALVED + 1, 63u);
	struct mt_keyed_entry *e = top->entries;

	/* The first refusal starts the clock. */
	if (top->halve_at == 0)
		times = 0;
	top->halve_at = now + HALVED;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(top->entries); i++) {
		put(&e[i].count, get(&e[i].count) >> times);
		put(&e[i].error, get(&e[i].error) >> times);
	}
}

/* Stores are released, so that the reader which sees one of them sees the odd number, too. */
static void store(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static mt_noinline void replace(struct mt_keyed_entry *e, const struct mt_keyed_rule *r,
	uint64_t hash, const void *name, size_t len)
{
	bool hidden = __atomic_load_n(&r->hidden, __ATOMIC_RELAXED);
	uint64_t words[MT_KEYED_NAME / 8] = {0};

	len = hidden ? 0 : MT_MIN(len, (size_t)MT_KEYED_NAME);
	if (len)
		memcpy(words, name, len);
	store(&e->seq, e->seq + 1);
	store(&e->hash, hash);
	store(&e->serial, r->serial);
	store(&e->error, get(&e->count));
	store(&e->len, len);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(words); i++)
		store(&e->name[i], words[i]);
	store(&e->seq, e->seq + 1);
}

static void count(struct mt_keyed_entry *e, uint64_t now)
{
	put(&e->count, e->count + 1);
	put(&e->last, now);
}

static struct mt_keyed_entry *set_of(struct mt_keyed_top *top, uint64_t hash)
{
	return &top->entries[(hash >> 32 & (MT_KEYED_SETS - 1)) * MT_KEYED_WAYS];
}

bool mt_keyed_note_again(struct mt_keyed_rule *r, uint16_t worker, uint64_t hash, uint64_t now)
{
	struct mt_keyed_top *top = &r->table->tops[worker];
	struct mt_keyed_entry *set = set_of(top, hash);

	if (now >= top->halve_at)
		halve(top, now);
	for (uint32_t i = 0; i < MT_KEYED_WAYS; i++)
		if (set[i].hash == hash && set[i].serial == r->serial) {
			count(&set[i], now);
			return true;
		}
	return false;
}

void mt_keyed_note(struct mt_keyed_rule *r, uint16_t worker, uint64_t hash, const void *name,
	size_t len, uint64_t now)
{
	struct mt_keyed_entry *set = set_of(&r->table->tops[worker], hash), *e = set;

	if (mt_keyed_note_again(r, worker, hash, now))
		return;
	for (uint32_t i = 1; i < MT_KEYED_WAYS; i++)
		if (set[i].count < e->count)
			e = &set[i];
	replace(e, r, hash, name, len);
	count(e, now);
}
