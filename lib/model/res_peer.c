/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads of a ClusterLoadAssignment, each once. */
#include "mt_model_resource.h"
#include "mt_region.h"

#include <string.h>

static bool is_same(const struct mt_peer *a, const struct mt_peer *b)
{
	for (int i = 0; i < MT_PEER_LABELS; i++) {
		const char *x = a->label[i], *y = b->label[i];

		if (x != y && (!x || !y || strcmp(x, y) != 0))
			return false;
	}
	return true;
}

/*
 * Most endpoints have the same labels as one of those just before them, and need no hash. Labels
 * that differ may still be shown alike.
 */
uint8_t mt_res_peer_find(const struct mt_res_endpoints *e, const struct mt_peer *p)
{
	uint64_t id;

	for (uint8_t i = e->n_peers; i > 0; i--)
		if (is_same(&e->peers[i - 1].p, p))
			return i;
	id = e->n_peers ? mt_peer_id(p) : 0;
	for (uint8_t i = e->n_peers; i > 0; i--)
		if (e->peers[i - 1].id == id)
			return i;
	return 0;
}

/* The array is full if its length is 0 or a power of two, because most have one workload. */
static struct mt_res_peer *push(struct mt_region *r, struct mt_res_endpoints *e)
{
	uint8_t n = e->n_peers;

	if ((n & (n - 1)) == 0) {
		struct mt_res_peer *grown = mt_region_alloc(r, sizeof(*grown) * (n ? 2 * n : 1));

		if (!grown)
			return NULL;
		if (n)
			memcpy(grown, e->peers, sizeof(*grown) * n);
		e->peers = grown;
	}
	return &e->peers[e->n_peers++];
}

uint8_t mt_res_peer_add(struct mt_region *r, struct mt_res_endpoints *e, const struct mt_peer *p)
{
	uint64_t id = mt_peer_id(p);
	struct mt_res_peer *to;

	if (!id || e->many_peers)
		return 0;
	if (e->n_peers == MT_RES_PEERS) {
		e->many_peers = true;
		return 0;
	}
	to = push(r, e);
	if (!to)
		return 0;
	*to = (struct mt_res_peer){id, *p};
	return e->n_peers;
}
