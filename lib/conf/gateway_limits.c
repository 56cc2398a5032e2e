/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit of a MetaRouter without routes at a port of a gateway. Calls carry no host there, so
 * one limit applies to all of them. Others that are for the same calls are reported.
 */
#include "mt_conf_listener_priv.h"
#include "mt_meant.h"

#include <string.h>

/* A service may be written by its host, or as NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc. */
#define FORMS 4

/*
 * True if a host of the VirtualService is a wildcard for the MetaRouter's. It depends only on how
 * the service is written.
 */
static bool covers_host(
	struct mt_build *b, const struct mt_virtual_service *vs, const struct mt_meta_router *mr)
{
	const char *written = mr->hosts[0].s, *ns = mr->meta.ns;
	char full[MT_MEANT_HOST];
	bool is_short = mt_b_means_long(b, written, ns, full);

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
	uint32_t n;		      /* destinations */
	const struct mt_host **hosts; /* each destination's once */
	uint32_t n_hosts;
	/* How the one destination is written in MetaRouters that no wildcard is for. */
	const char *uncovered[FORMS];
	uint32_t n_uncovered;
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

/* Notes a destination. NULL: it is not here. */
static void add_dest(struct mt_build *b, struct led *to, const struct mt_host *h)
{
	const struct mt_host **slot;

	to->n++;
	if (!h)
		return;
	if (!count(to, h)) {
		slot = mt_region_push(&b->tmp, (void **)&to->hosts, &to->n_hosts, sizeof(*slot));
		if (slot)
			*slot = h;
	}
	put(b, &to->counts, h, count(to, h) + 1);
}

static void find_hosts(struct mt_build *b, const struct mt_gateway_limits *at, struct led *to)
{
	for (uint32_t i = 0; i < at->list->n_rules; i++) {
		const struct mt_rule *r = &at->list->rules[i];
		const char *ns = r->by ? r->by->ns : at->meta->ns;

		for (uint32_t k = 0; k < r->n_dests; k++)
			add_dest(b, to, mt_b_host(b, r->dests[k].dest.host.s, ns));
	}
	for (uint32_t i = 0; at->vs && i < at->vs->n_hosts; i++)
		put(b, &to->named, mt_b_host(b, at->vs->hosts[i].s, at->vs->meta.ns), 1);
}

static bool has_limit_alone(const struct mt_meta_router *mr)
{
	return !mr->routes.n_rules && (mr->limit || mr->global);
}

/* Compares each form with the hosts of the VirtualService once, for all MetaRouters. */
static bool is_covered(struct mt_build *b, const struct mt_gateway_limits *at, struct led *to,
	const struct mt_meta_router *mr)
{
	const char *written = mr->hosts[0].s;

	for (uint32_t i = 0; i < to->n_uncovered; i++)
		if (strcmp(to->uncovered[i], written) == 0)
			return false;
	if (covers_host(b, at->vs, mr))
		return true;
	if (to->n_uncovered < FORMS)
		to->uncovered[to->n_uncovered++] = written;
	return false;
}

/* By a wildcard as well, if all calls go to the host. */
static bool applies(struct mt_build *b, const struct mt_gateway_limits *at, struct led *to,
	const struct mt_meta_router *mr, const struct mt_host *h)
{
	if (!at->vs)
		return false;
	return names_host(to, h) || (to->n && count(to, h) == to->n && is_covered(b, at, to, mr));
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

/* ---- MetaRouters with a limit alone ---------------------------------------------------------- */

struct mt_limiter {
	const struct mt_meta_router *mr;
	const struct mt_host *h;
	struct mt_limiter *same; /* the next one of the host */
	bool told;		 /* that routes of another MetaRouter lead from the port */
};

/* The last one of a host is put first into the chain, so that they are told in their order. */
static void index_limiters(struct mt_build *b, struct mt_limiters *x)
{
	for (uint32_t i = x->n; i > 0; i--) {
		struct mt_limiter *l = &x->v[i - 1];

		l->same = mt_idmap_get(&x->by_host, (uintptr_t)l->h);
		if (mt_idmap_put(&x->by_host, (uintptr_t)l->h, l))
			b->tmp.failed = true;
	}
}

/* Finds those of a server once for all of its routes. */
static void find_limiters(struct mt_build *b, const struct mt_gateway_limits *at)
{
	struct mt_limiters *x = at->limiters;

	if (x->found)
		return;
	x->found = true;
	for (uint32_t i = 0; i < at->routers->n; i++) {
		const struct mt_meta_router *mr = at->routers->v[i];
		const struct mt_host *h =
			has_limit_alone(mr) ? mt_b_host(b, mr->hosts[0].s, mr->meta.ns) : NULL;
		struct mt_limiter *slot;

		/* Without the host it was reported as without effect. */
		if (!h)
			continue;
		slot = mt_region_push(&b->tmp, (void **)&x->v, &x->n, sizeof(*slot));
		if (slot)
			*slot = (struct mt_limiter){.mr = mr, .h = h};
	}
	index_limiters(b, x);
}

void mt_limiters_fini(struct mt_limiters *x)
{
	mt_idmap_fini(&x->by_host);
}

/* The first one that is for the routes of a VirtualService. */
static const struct mt_meta_router *choose(
	struct mt_build *b, const struct mt_gateway_limits *at, struct led *to)
{
	const struct mt_meta_router *limiter = NULL;

	for (uint32_t i = 0; i < at->limiters->n; i++) {
		const struct mt_limiter *l = &at->limiters->v[i];

		if (!limiter && applies(b, at, to, l->mr, l->h))
			limiter = l->mr;
		else if (count(to, l->h) || names_host(to, l->h))
			tell(b, at, l->mr, limiter);
	}
	return limiter;
}

/* Reports those of the hosts that a MetaRouter's routes lead to, each once for the server. */
static void tell_led(struct mt_build *b, const struct mt_gateway_limits *at, const struct led *to)
{
	for (uint32_t i = 0; i < to->n_hosts; i++) {
		struct mt_limiter *l =
			mt_idmap_get(&at->limiters->by_host, (uintptr_t)to->hosts[i]);

		for (; l && !l->told; l = l->same) {
			tell(b, at, l->mr, NULL);
			l->told = true;
		}
	}
}

const struct mt_meta_router *mt_b_gateway_limiter(
	struct mt_build *b, const struct mt_gateway_limits *at)
{
	const struct mt_meta_router *limiter = NULL;
	struct led to = {0};

	if (!at->messages)
		return NULL;
	find_limiters(b, at);
	if (!at->limiters->n)
		return NULL;
	find_hosts(b, at, &to);
	if (at->vs)
		limiter = choose(b, at, &to);
	else
		tell_led(b, at, &to);
	mt_idmap_fini(&to.counts);
	mt_idmap_fini(&to.named);
	return limiter;
}
