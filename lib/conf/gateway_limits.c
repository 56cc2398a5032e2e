/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit of a MetaRouter without routes at a port of a gateway. Calls carry no host there, so
 * one limit applies to all of them. Others that are for the same calls are reported.
 */
#include "mt_conf_listener_priv.h"

static bool names_host(
	struct mt_build *b, const struct mt_virtual_service *vs, const struct mt_host *h)
{
	for (uint32_t i = 0; i < vs->n_hosts; i++)
		if (mt_b_host(b, vs->hosts[i].s, vs->meta.ns) == h)
			return true;
	return false;
}

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

/* Hosts that the routes of a port lead to. */
struct led {
	const struct mt_host **hosts;
	uint32_t n;
};

static struct led hosts_led_to(struct mt_build *b, const struct mt_gateway_limits *at)
{
	struct led to = {0};

	for (uint32_t i = 0; i < at->list->n_rules; i++) {
		const struct mt_rule *r = &at->list->rules[i];
		const char *ns = r->by ? r->by->ns : at->meta->ns;

		for (uint32_t k = 0; k < r->n_dests; k++) {
			const struct mt_host **h =
				mt_region_push(&b->tmp, (void **)&to.hosts, &to.n, sizeof(*h));

			if (!h)
				return (struct led){0};
			*h = mt_b_host(b, r->dests[k].dest.host.s, ns);
		}
	}
	return to;
}

/* The number of destinations that are the host. */
static uint32_t count(const struct led *to, const struct mt_host *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < to->n; i++)
		n += to->hosts[i] == h;
	return n;
}

static bool limits_gateway(const struct mt_gateway_limits *at, const struct mt_meta_router *mr)
{
	return !mr->routes.n_rules && mr->limit &&
	       mt_b_names_gateway(mr->gateways, mr->n_gateways, mr->meta.ns, &at->gateway->meta);
}

/* By a wildcard as well, if all calls go to the host. */
static bool applies(struct mt_build *b, const struct mt_gateway_limits *at, const struct led *to,
	const struct mt_meta_router *mr, const struct mt_host *h)
{
	if (!at->vs)
		return false;
	return names_host(b, at->vs, h) ||
	       (to->n && count(to, h) == to->n && covers_host(b, at->vs, mr));
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
	bool gathered = false;

	for (uint32_t i = 0; at->messages && i < b->model->meta_routers.n; i++) {
		const struct mt_meta_router *mr = b->model->meta_routers.v[i];
		const struct mt_host *h;

		if (!limits_gateway(at, mr))
			continue;
		if (!gathered)
			to = hosts_led_to(b, at);
		gathered = true;
		h = mt_b_host(b, mr->hosts[0].s, mr->meta.ns);
		/* Without the host it was reported as without effect. */
		if (!h)
			continue;
		if (!limiter && applies(b, at, &to, mr, h))
			limiter = mr;
		else if (count(&to, h) || (at->vs && names_host(b, at->vs, h)))
			tell(b, at, mr, limiter);
	}
	return limiter;
}
