/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit of a MetaRouter without routes at a port of a gateway. Calls carry no host there, so
 * one limit applies to all of them. Others that are for the same calls are reported.
 */
#include "mt_conf_listener_priv.h"

/* True if a host of the VirtualService is a wildcard for the MetaRouter's. */
static bool covers_host(
	struct mt_build *b, const struct mt_virtual_service *vs, const struct mt_meta_router *mr)
{
	const char *written = mr->hosts[0].s, *ns = mr->meta.ns;
	char full[256];
	bool is_short = mt_long_name(written, ns, mt_model_domain(b->model), full, sizeof(full));

	for (uint32_t i = 0; i < vs->n_hosts; i++) {
		const char *word = vs->hosts[i].s;

		if (mt_host_covers(word, written) || (is_short && mt_host_covers(word, full)))
			return true;
	}
	return false;
}

/* Hosts that the routes of a port lead to, and those that its VirtualService names. */
struct led {
	struct mt_idmap counts; /* number of destinations, by address of the struct mt_host */
	struct mt_idmap named;
	uint32_t n; /* destinations */
};

static void put(struct mt_build *b, struct mt_idmap *m, const struct mt_host *h, uintptr_t n)
{
	if (h && mt_idmap_put(m, (uintptr_t)h, (void *)n))
		b->tmp.failed = true;
}

/* The number of destinations that are the host. */
static uint32_t count(const struct led *to, const struct mt_host *h)
{
	return (uint32_t)(uintptr_t)mt_idmap_get(&to->counts, (uintptr_t)h);
}

static bool names_host(const struct led *to, const struct mt_host *h)
{
	return mt_idmap_get(&to->named, (uintptr_t)h) != NULL;
}

static void find_hosts(struct mt_build *b, const struct mt_gateway_limits *at, struct led *to)
{
	for (uint32_t i = 0; i < at->list->n_rules; i++) {
		const struct mt_rule *r = &at->list->rules[i];
		const char *ns = r->by ? r->by->ns : at->meta->ns;

		for (uint32_t k = 0; k < r->n_dests; k++) {
			const struct mt_host *h = mt_b_host(b, r->dests[k].dest.host.s, ns);

			to->n++;
			put(b, &to->counts, h, h ? count(to, h) + 1 : 0);
		}
	}
	for (uint32_t i = 0; at->vs && i < at->vs->n_hosts; i++)
		put(b, &to->named, mt_b_host(b, at->vs->hosts[i].s, at->vs->meta.ns), 1);
}

static bool has_limit_alone(const struct mt_meta_router *mr)
{
	return !mr->routes.n_rules && mr->limit;
}

/* By a wildcard as well, if all calls go to the host. */
static bool applies(struct mt_build *b, const struct mt_gateway_limits *at, const struct led *to,
	const struct mt_meta_router *mr, const struct mt_host *h)
{
	if (!at->vs)
		return false;
	return names_host(to, h) || (to->n && count(to, h) == to->n && covers_host(b, at->vs, mr));
}

static void tell(struct mt_build *b, const struct mt_gateway_limits *at,
	const struct mt_meta_router *mr, const struct mt_meta_router *limiter)
{
	if (limiter)
		mt_b_warn(b, &mr->meta, mr->gateways[0].line, "spec.gateways",
			"write routes with the limit, or a port for each host",
			"its limit does not apply at port %u of %s: that of MetaRouter %s/%s does",
			at->port, at->name, limiter->meta.ns, limiter->meta.name);
	else
		mt_b_warn(b, &mr->meta, mr->gateways[0].line, "spec.gateways",
			at->vs ? "name its host in that VirtualService"
			       : "write the limit in that MetaRouter",
			"its limit does not apply at port %u of %s: %s %s/%s leads from there",
			at->port, at->name, at->meta->kind, at->meta->ns, at->meta->name);
}

const struct mt_meta_router *mt_b_gateway_limiter(
	struct mt_build *b, const struct mt_gateway_limits *at)
{
	const struct mt_meta_router *limiter = NULL;
	struct led to = {0};
	bool found = false;

	for (uint32_t i = 0; at->messages && i < at->routers->n; i++) {
		const struct mt_meta_router *mr = at->routers->v[i];
		const struct mt_host *h;

		if (!has_limit_alone(mr))
			continue;
		if (!found)
			find_hosts(b, at, &to);
		found = true;
		h = mt_b_host(b, mr->hosts[0].s, mr->meta.ns);
		/* Without the host it was reported as without effect. */
		if (!h)
			continue;
		if (!limiter && applies(b, at, &to, mr, h))
			limiter = mr;
		else if (count(&to, h) || names_host(&to, h))
			tell(b, at, mr, limiter);
	}
	mt_idmap_fini(&to.counts);
	mt_idmap_fini(&to.named);
	return limiter;
}
