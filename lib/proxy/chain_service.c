/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the service of a chain to which a message belongs. */
#include "mt_snapshot.h"

#include <string.h>

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

struct mt_service *mt_filter_chain_proto_service(
	const struct mt_filter_chain_proto *p, struct mt_view *v)
{
	struct mt_slice key;
	uint32_t lo = 0, hi = p->n_services;

	if (!p->service_key.name)
		return p->n_services ? p->services[0] : NULL;
	if (!mt_view_get(v, &p->service_key, &key))
		return NULL;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		int c = compare(key, p->services[mid]->key);

		if (c == 0)
			return p->services[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

struct mt_service *mt_filter_chain_proto_same(
	const struct mt_filter_chain_proto *p, const struct mt_service *old)
{
	uint32_t lo = 0, hi = p->n_services;

	if (!p->service_key.name)
		return hi && p->services[0]->id == old->id ? p->services[0] : NULL;
	while (old->key && lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		int c = strcmp(old->key, p->services[mid]->key);

		if (c == 0)
			return p->services[mid]->id == old->id ? p->services[mid] : NULL;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
