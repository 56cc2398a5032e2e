/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_strmap.h"

#include "mt_rand.h"
#include "mt_siphash.h"

#include <errno.h>
#include <string.h>

#define MIN_CAP 16u

/*
 * Limits of the keys that a search meets. Chance does not exceed them: of a million keys at most
 * about 370 are in a row, and hashes of 64 bits differ. Chosen keys do.
 */
#define ROW_MAX	 512u
#define SAME_MAX 8u

static const char dead_key[] = "";

uint64_t mt_hash_bytes(const void *p, size_t len, uint64_t seed)
{
	const uint8_t *b = p;
	uint64_t h = 0xcbf29ce484222325ull ^ seed;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * 0x100000001b3ull;
	/* The finalizer of MurmurHash3: FNV alone leaves the high bits of short names poor. */
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	return h;
}

uint64_t mt_strhash(const char *s, uint64_t seed)
{
	return mt_hash_bytes(s, strlen(s), seed);
}

/* Combines two words into one: the halves of their product (as in wyhash). */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 r = (unsigned __int128)a * b;

	return (uint64_t)r ^ (uint64_t)(r >> 64);
}

uint64_t mt_hash_words(const void *p, size_t len, uint64_t seed)
{
	const uint64_t k = 0x9e3779b97f4a7c15ull;
	const uint8_t *b = p;
	uint64_t h = seed ^ len * k, word;

	for (; len >= sizeof(word); len -= sizeof(word), b += sizeof(word)) {
		memcpy(&word, b, sizeof(word));
		h = fold(h ^ word ^ k, 0xe7037ed1a0b428dbull);
	}
	word = 0;
	memcpy(&word, b, len);
	return fold(h ^ word ^ k, 0xa0761d6478bd642full);
}

static uint64_t key_hash(const struct mt_strmap *m, const char *s)
{
	if (!s)
		return 0;
	return m->secret ? mt_siphash(m->key, s, strlen(s)) : mt_hash_words(s, strlen(s), 0);
}

static struct mt_strmap_slot *find(const struct mt_strmap *m, const char *key, uint64_t hash)
{
	if (!m->cap || !key)
		return NULL;
	for (uint32_t i = (uint32_t)hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct mt_strmap_slot *s = &m->slots[i];

		if (!s->key)
			return NULL;
		if (s->key != dead_key && s->hash == hash && strcmp(s->key, key) == 0)
			return s;
	}
}

void *mt_strmap_get(const struct mt_strmap *m, const char *key)
{
	struct mt_strmap_slot *s = find(m, key, key_hash(m, key));

	return s ? s->value : NULL;
}

static void insert(struct mt_strmap *m, const char *key, uint64_t hash, void *value)
{
	uint32_t i = (uint32_t)hash & (m->cap - 1);

	while (m->slots[i].key)
		i = (i + 1) & (m->cap - 1);
	m->slots[i] = (struct mt_strmap_slot){key, value, hash};
}

/* True if a search for the hash meets more keys than chance brings together. */
static bool is_crowded(const struct mt_strmap *m, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & (m->cap - 1), row = 0, same = 0;

	for (; m->slots[i].key; i = (i + 1) & (m->cap - 1)) {
		row += m->slots[i].key != dead_key;
		same += m->slots[i].key != dead_key && m->slots[i].hash == hash;
	}
	return row > ROW_MAX || same > SAME_MAX;
}

/* At most 3 of 4 slots are in use, dead ones included, so every probe ends. */
static bool has_room(const struct mt_strmap *m, uint32_t more)
{
	return m->cap && ((uint64_t)m->n + m->dead + more) * 4 <= m->cap * 3ull;
}

/* A power of two, not less than the current capacity. */
static uint64_t cap_for(const struct mt_strmap *m, uint64_t slots)
{
	uint64_t cap = MT_MAX(m->cap, MIN_CAP);

	while (cap < slots)
		cap *= 2;
	return cap;
}

/* Copies all slots except dead ones. */
static int resize(struct mt_strmap *m, uint64_t cap)
{
	struct mt_strmap old = *m;

	if (cap > UINT32_MAX)
		return -ENOMEM;
	m->slots = calloc(cap, sizeof(*m->slots));
	if (!m->slots) {
		m->slots = old.slots;
		return -ENOMEM;
	}
	m->cap = (uint32_t)cap;
	m->dead = 0;
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.slots[i].key && old.slots[i].key != dead_key)
			insert(m, old.slots[i].key, old.slots[i].hash, old.slots[i].value);
	free(old.slots);
	return 0;
}

/*
 * Changes to hashes by a secret key. Maps without crowded keys stay without it, so that their order
 * does not differ from run to run.
 */
static void use_secret(struct mt_strmap *m)
{
	mt_rand_secret(m->key, sizeof(m->key));
	m->secret = true;
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->slots[i].key && m->slots[i].key != dead_key)
			m->slots[i].hash = key_hash(m, m->slots[i].key);
	/* Without memory the map finds nothing under the new hashes, so take the old ones back. */
	if (resize(m, m->cap) == 0)
		return;
	m->secret = false;
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->slots[i].key && m->slots[i].key != dead_key)
			m->slots[i].hash = key_hash(m, m->slots[i].key);
}

/* Shortens the search for a hash that is crowded: dead slots may also join rows to a long one. */
static void relieve(struct mt_strmap *m, uint64_t hash)
{
	if (m->secret || (m->dead && resize(m, m->cap) == 0 && !is_crowded(m, hash)))
		return;
	use_secret(m);
}

int mt_strmap_reserve(struct mt_strmap *m, uint32_t more)
{
	return has_room(m, more) ? 0 : resize(m, cap_for(m, ((uint64_t)m->n + more) * 4 / 3 + 1));
}

int mt_strmap_put(struct mt_strmap *m, const char *key, void *value, void **old)
{
	uint64_t hash = key_hash(m, key);
	struct mt_strmap_slot *s = find(m, key, hash);

	if (old)
		*old = s ? s->value : NULL;
	if (!key)
		return -ENOMEM;
	if (s) {
		s->key = key;
		s->value = value;
		return 0;
	}
	if (!has_room(m, 1) && resize(m, cap_for(m, 2 * (m->n + 1ull))))
		return -ENOMEM;
	insert(m, key, hash, value);
	if (is_crowded(m, hash))
		relieve(m, hash);
	m->n++;
	return 0;
}

void *mt_strmap_del(struct mt_strmap *m, const char *key)
{
	struct mt_strmap_slot *s = find(m, key, key_hash(m, key));

	if (!s)
		return NULL;
	s->key = dead_key;
	m->n--;
	m->dead++;
	return s->value;
}

void *mt_strmap_next(const struct mt_strmap *m, uint32_t *pos, const char **key)
{
	while (*pos < m->cap) {
		const struct mt_strmap_slot *s = &m->slots[(*pos)++];

		if (!s->key || s->key == dead_key)
			continue;
		if (key)
			*key = s->key;
		return s->value;
	}
	return NULL;
}

void mt_strmap_fini(struct mt_strmap *m)
{
	free(m->slots);
	*m = (struct mt_strmap){0};
}
