/* SPDX-License-Identifier: Apache-2.0 */
/* Iterates over objects across slices while snapshots change; names of objects. */
#include "mt_envoy_priv.h"

#include <stdio.h>
#include <string.h>

typedef uint64_t id_of_fn(const struct mt_snapshot *s, uint32_t i);

static uint64_t cluster_id(const struct mt_snapshot *s, uint32_t i)
{
	return s->clusters[i].id;
}

static uint64_t listener_id(const struct mt_snapshot *s, uint32_t i)
{
	return s->listeners[i].id;
}

/* Index of the next object; n: there is none. */
static uint32_t next_of(
	struct mt_envoy *e, const struct mt_snapshot *s, uint32_t n, id_of_fn *id_of)
{
	if (e->at && e->version != s->version)
		for (uint32_t i = 0; i < n; i++)
			if (id_of(s, i) == e->last_id)
				e->at = i + 1;
	e->version = s->version;
	if (e->at >= n)
		return n;
	e->last_id = id_of(s, e->at);
	return e->at++;
}

const struct mt_cluster *mt_envoy_cluster(struct mt_envoy *e)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(e->c);
	uint32_t i = s ? next_of(e, s, s->n_clusters, cluster_id) : 0;

	return s && i < s->n_clusters ? &s->clusters[i] : NULL;
}

const struct mt_listener *mt_envoy_listener(struct mt_envoy *e)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(e->c);
	uint32_t i = s ? next_of(e, s, s->n_listeners, listener_id) : 0;

	return s && i < s->n_listeners ? &s->listeners[i] : NULL;
}

bool mt_envoy_by_api(const struct mt_cluster *cl)
{
	return cl->file && strncmp(cl->file, "xds:", 4) == 0;
}

json_t *mt_envoy_address(const struct mt_addr *a, uint16_t port)
{
	char text[MT_ADDR_STRLEN];

	mt_addr_str(a, text);
	return json_pack("{s:{s:s, s:i}}", "socket_address", "address", text, "port_value", port);
}

void mt_envoy_listener_name(const struct mt_listener *l, char *buf, size_t size)
{
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < l->n_protos; i++)
		for (uint32_t k = 0; k < l->protos[i].n_services; k++)
			if (l->protos[i].services[k]->resource) {
				snprintf(buf, size, "%s", l->protos[i].services[k]->resource);
				return;
			}
	mt_addr_str(&l->addr, text);
	snprintf(buf, size, "%s_%u", text, l->port);
}
