/* SPDX-License-Identifier: Apache-2.0 */
/* Const lookups in a snapshot: listener by address and port, service by its key. */
#include "mt_snapshot.h"

#include <errno.h>
#include <string.h>

/* Open addressing, at most half full: slot values are listener index + 1. */
struct lookup {
	uint32_t mask;
	uint32_t slots[];
};

static uint32_t hash_of(const struct mt_addr *a, uint16_t port)
{
	uint64_t h = a->q[0] * 0x9e3779b97f4a7c15ull ^ a->q[1];

	/* The last bytes of an address are the upper ones here, and no product carries those down. */
	h ^= (uint64_t)port << 16;
	h = (h ^ h >> 32) * 0xff51afd7ed558ccdull;
	return (uint32_t)(h >> 32);
}

int mt_snapshot_index(struct mt_snapshot *s)
{
	uint32_t size = 16;
	struct lookup *l;

	while (size < 2 * s->n_listeners)
		size *= 2;
	l = calloc(1, sizeof(*l) + size * sizeof(l->slots[0]));
	if (!l)
		return -ENOMEM;
	l->mask = size - 1;
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		uint32_t at = hash_of(&s->listeners[i].addr, s->listeners[i].port) & l->mask;

		while (l->slots[at])
			at = (at + 1) & l->mask;
		l->slots[at] = i + 1;
	}
	s->lookup = l;
	return 0;
}

void mt_snapshot_index_free(struct mt_snapshot *s)
{
	free(s->lookup);
	s->lookup = NULL;
}

static const struct mt_listener *find(
	const struct mt_snapshot *s, const struct mt_addr *a, uint16_t port)
{
	const struct lookup *l = s->lookup;

	for (uint32_t at = hash_of(a, port) & l->mask; l->slots[at]; at = (at + 1) & l->mask) {
		const struct mt_listener *lis = &s->listeners[l->slots[at] - 1];

		if (lis->port == port && mt_addr_eq(&lis->addr, a))
			return lis;
	}
	return NULL;
}

const struct mt_listener *mt_snapshot_listener(
	const struct mt_snapshot *s, const struct mt_addr *local, uint16_t port)
{
	static const struct mt_addr any6;
	const struct mt_addr any4 = mt_addr4(0);
	const struct mt_listener *l = find(s, local, port);

	if (!l && mt_addr_is4(local))
		l = find(s, &any4, port);
	if (!l)
		l = find(s, &any6, port);
	return l;
}

static int compare(struct mt_slice key, const char *name)
{
	size_t n = strlen(name);
	size_t common = MT_MIN(n, (size_t)key.len);

	for (size_t i = 0; i < common; i++) {
		uint8_t c = key.p[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c != (uint8_t)name[i])
			return c < (uint8_t)name[i] ? -1 : 1;
	}
	return key.len < n ? -1 : key.len > n;
}

struct mt_service *mt_listener_service(const struct mt_listener *l, struct mt_view *v)
{
	struct mt_slice key;
	uint32_t lo = 0, hi = l->n_services;

	if (!l->service_key.name)
		return l->n_services ? l->services[0] : NULL;
	if (!mt_view_get(v, &l->service_key, &key))
		return NULL;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		int c = compare(key, l->services[mid]->key);

		if (c == 0)
			return l->services[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

struct mt_service *mt_listener_same(const struct mt_listener *l, const struct mt_service *old)
{
	uint32_t lo = 0, hi = l->n_services;

	if (!l->service_key.name)
		return hi && l->services[0]->id == old->id ? l->services[0] : NULL;
	while (old->key && lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		int c = strcmp(old->key, l->services[mid]->key);

		if (c == 0)
			return l->services[mid]->id == old->id ? l->services[mid] : NULL;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
