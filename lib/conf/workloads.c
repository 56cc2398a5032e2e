/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads of a cluster's endpoints, for metrics. */
#include "mt_conf_cluster_priv.h"

#include <string.h>

static size_t size_of(const struct mt_peer *p)
{
	size_t size = 0;

	for (int i = 0; i < MT_PEER_LABELS; i++)
		size += p->label[i] ? strlen(p->label[i]) + 1 : 0;
	return size;
}

/* Copies the labels; their texts go to *at. */
static void keep(struct mt_peer *to, const struct mt_peer *p, char **at)
{
	for (int i = 0; i < MT_PEER_LABELS; i++) {
		size_t size = p->label[i] ? strlen(p->label[i]) + 1 : 0;

		to->label[i] = size ? memcpy(*at, p->label[i], size) : NULL;
		*at += size;
	}
}

static const struct mt_peer *row(const struct mt_res_endpoints *e, uint32_t i)
{
	return e->many_peers ? e->peer : &e->peers[i].p;
}

/* One block: itself, labels, ids, places by endpoint, texts. */
bool mt_workloads_new(const struct mt_res_endpoints *e, uint32_t room, struct mt_workloads **to)
{
	uint32_t n = e->many_peers ? e->peer && mt_peer_id(e->peer) : e->n_peers;
	size_t texts = 0;
	struct mt_workloads *w;
	struct mt_peer *peers;
	uint64_t *ids;
	char *at;

	*to = NULL;
	if (!n)
		return true;
	for (uint32_t i = 0; i < n; i++)
		texts += size_of(row(e, i));
	w = calloc(1, sizeof(*w) + (n + 1) * (sizeof(*peers) + sizeof(*ids)) + room + texts);
	if (!w)
		return false;
	peers = (struct mt_peer *)(w + 1);
	ids = (uint64_t *)(peers + n + 1);
	w->of = (uint8_t *)(ids + n + 1);
	at = (char *)w->of + room;
	for (uint32_t i = 0; i < n; i++) {
		keep(&peers[i + 1], row(e, i), &at);
		ids[i + 1] = e->many_peers ? mt_peer_id(e->peer) : e->peers[i].id;
	}
	w->peers = peers;
	w->ids = ids;
	w->n = n + 1;
	w->shared = e->many_peers;
	*to = w;
	return true;
}

static uint8_t place_of(const struct mt_workloads *w, const struct mt_res_endpoint *ep)
{
	return w->shared ? 1 : ep->peer;
}

void mt_workloads_set(struct mt_workloads *w, uint32_t at, const struct mt_res_endpoint *ep)
{
	if (w)
		w->of[at] = place_of(w, ep);
}

void mt_workloads_also(struct mt_workloads *w, uint32_t at, const struct mt_res_endpoint *ep)
{
	if (w && w->of[at] != place_of(w, ep))
		w->of[at] = 0;
}

bool mt_workloads_unlent(const struct mt_cluster *of, struct mt_workloads **to)
{
	struct mt_workloads *w = NULL;
	uint32_t n = 0;

	*to = NULL;
	if (!of->workloads)
		return true;
	w = malloc(sizeof(*w) + of->n_eps);
	if (!w)
		return false;
	*w = *of->workloads;
	w->of = (uint8_t *)(w + 1);
	for (uint32_t i = 0; i < of->n_eps; i++)
		if (!of->eps[i].tls)
			w->of[n++] = of->workloads->of[i];
	*to = w;
	return true;
}
