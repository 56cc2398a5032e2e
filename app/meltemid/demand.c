/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters on demand, which are fetched when a call routes to them. Passes workers' requests to the
 * sources, and failed lookups to the registry that workers read; checks once a second which
 * clusters are in use.
 */
#include "daemon.h"

void demand_settings(const struct mt_node_xds *n, struct mt_xds_demand_conf *out)
{
	const struct mt_node_demand *o = n->on_demand;

	*out = (struct mt_xds_demand_conf){0};
	if (!o)
		return;
	out->timeout_ns = o->timeout.v * MT_MSEC;
	out->idle_ns = o->idle.v * MT_MSEC;
	out->absent_ns = o->absent.v * MT_MSEC;
	out->names = o->names.v;
	out->per_second = o->per_second.v;
	out->routes = o->routes.v;
}

static bool any_source(const struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_mesh; i++)
		if (d->mesh[i].node->on_demand)
			return true;
	return false;
}

void demand_start(struct daemon *d)
{
	d->on_demand = any_source(d);
}

void demand_answered(void *arg, const char *name, uint64_t until, const char *why)
{
	struct daemon *d = arg;

	mt_upstream_absent(mt_conf_upstreams(d->conf), name, until, why);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void ask_sources(struct daemon *d, uint32_t cluster, uint64_t now)
{
	const char *name = mt_upstream_cluster_name(mt_conf_upstreams(d->conf), cluster);

	for (uint32_t i = 0; name && i < d->n_mesh; i++)
		if (mt_xds_demand(d->mesh[i].xds, name, now))
			return;
	/* No source names the cluster any more; the next snapshot will not have it either. */
}

/* ---- use ------------------------------------------------------------------------------------- */

/* Adds up what workers count for the cluster's endpoints. */
static void add_use(const struct daemon *d, const struct mt_cluster *c, struct mt_xds_use *u)
{
	for (uint32_t i = 0; i < c->n_eps; i++) {
		for (uint16_t w = 0; w < d->n_workers; w++) {
			const struct mt_ep_stats *st = mt_proxy_ep_stats(
				mt_worker_proxy(d->workers[w]), c->eps[i].state->index);

			u->calls += mt_count_read(&st->requests);
			/*
			 * Connections for calls stay open when idle, but those of opaque TCP are in
			 * use.
			 */
			u->busy |= mt_count_read(&st->outstanding) ||
				   __atomic_load_n(&st->streams, __ATOMIC_RELAXED);
		}
	}
}

static bool use_of(void *arg, const char *name, struct mt_xds_use *u)
{
	const struct daemon *d = arg;
	const struct mt_cluster *c = mt_conf_cluster(d->conf, name);

	if (!c)
		return false;
	add_use(d, c, u);
	return true;
}

/* ---- from the loop --------------------------------------------------------------------------- */

void demand_turn(struct daemon *d, uint64_t now)
{
	bool any = false;
	uint32_t cluster;

	for (uint16_t w = 0; w < d->n_workers; w++) {
		while (mt_proxy_asked(mt_worker_proxy(d->workers[w]), &cluster)) {
			ask_sources(d, cluster, now);
			any = true;
		}
	}
	/* Send the requests now. */
	if (any)
		mesh_turn(d, now);
}

void demand_use(struct daemon *d, uint64_t now)
{
	for (uint32_t i = 0; i < d->n_mesh && d->on_demand; i++)
		mt_xds_use(d->mesh[i].xds, use_of, d, now);
}
