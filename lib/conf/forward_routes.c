/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destinations of forwarded ports. Clients of a port of TCP follow the `tcp` rule of a
 * VirtualService that connections of a terminated port would follow. A port without a rule has one
 * destination, all endpoints of its host.
 *
 * lib/l4 has one table for the endpoints of all destinations. So the share of an endpoint is the
 * share of its destination by the weights of the rule, multiplied by its share among the endpoints
 * there. A destination without endpoints keeps its share, which is refused. The endpoints of one
 * with weight 0 are in the table without a share, so that their flows go on.
 */
#include "mt_conf_forward_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct mt_forward_dest *add_dest(struct mt_build *b, struct mt_forward_route *r)
{
	return mt_region_push(&b->tmp, (void **)&r->v, &r->n, sizeof(*r->v));
}

/* Adds the weight to an equal destination of the route. False: there is none. */
static bool joins(struct mt_forward_route *r, const struct mt_forward_dest *to)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (r->v[i].h == to->h && r->v[i].u == to->u && r->v[i].subset == to->subset) {
			r->v[i].weight += to->weight;
			return true;
		}
	return false;
}

/* Most destinations of a port. */
#define DESTS_MAX 64u

/* False: destinations times endpoints times ports would fill the memory of the build. */
static bool has_room(
	struct mt_build *b, const struct mt_forward_route *r, const struct mt_forward_dest *to)
{
	if (!r->n)
		return true;
	return r->n < DESTS_MAX &&
	       mt_b_forward_take(b, r->own->se->meta.ns, MT_FORWARD_MEMBERS, to->h->n_workloads);
}

/* Warns that a destination gets none of the port's connections. */
static void drop(struct mt_build *b, const struct mt_route_for *f, const struct mt_rule_dest *d,
	const char *path, const char *remedy, const char *words)
{
	mt_b_warn(b, f->meta, d->dest.host.line, path, remedy,
		"%s: connections of this share are refused", words);
}

/* A sidecar has no cluster of a service that is not exported to its namespace, either. */
static bool is_visible(struct mt_build *b, const struct mt_route_for *f, const char *path,
	const struct mt_rule_dest *d, const struct mt_forward_dest *to)
{
	char words[448];

	if (mt_b_is_exported_to(b, to->h->se, f->ns))
		return true;
	snprintf(words, sizeof(words),
		"%s %.64s, which has %.128s, is not exported to namespace %.64s of the port",
		to->h->se->meta.kind, to->h->se->meta.name, d->dest.host.s, f->ns);
	drop(b, f, d, path, "write both namespaces in its exportTo, or route to another host",
		words);
	return false;
}

uint32_t mt_b_forward_header(const struct mt_forward_dest *d)
{
	const struct mt_traffic_policy *all = d->h->rule ? d->h->rule->policy : NULL;
	const struct mt_traffic_policy *own = d->subset ? d->subset->policy : NULL;

	return own && own->proxy_protocol ? own->proxy_protocol : all ? all->proxy_protocol : 0;
}

/* A PROXY header that another host's endpoints expect; the own host's refuse the port. */
static bool needs_header(struct mt_build *b, const struct mt_route_for *f, const char *path,
	const struct mt_rule_dest *d, const struct mt_forward_dest *to)
{
	uint32_t line = mt_b_forward_header(to);
	char words[256];

	if (!line)
		return false;
	snprintf(words, sizeof(words),
		"proxyProtocol of the DestinationRule at %.128s:%u needs a PROXY header, which "
		"layer 4 does not add",
		to->h->rule->meta.origin.file ? to->h->rule->meta.origin.file : "?", line);
	drop(b, f, d, path, "remove proxyProtocol, or terminate the port", words);
	return true;
}

static void follow_dest(struct mt_build *b, const struct mt_route_for *f, const char *path,
	const struct mt_rule_dest *d, uint32_t weight, struct mt_forward_route *route)
{
	struct mt_forward_dest to = {.weight = weight}, *slot;

	if (!mt_b_forward_dest(b, f->meta, path, &d->dest, f->port, &to) ||
		!is_visible(b, f, path, d, &to) || joins(route, &to) ||
		(to.h != route->own && needs_header(b, f, path, d, &to)))
		return;
	if (!has_room(b, route, &to)) {
		drop(b, f, d, path, "write fewer destinations, or terminate the port",
			"too many destinations, or endpoints of forwarded ports of its namespace");
		return;
	}
	slot = add_dest(b, route);
	if (slot)
		*slot = to;
}

static void follow(struct mt_build *b, const struct mt_route_for *f, const struct mt_rule *r,
	const char *path, struct mt_forward_route *route)
{
	for (uint32_t i = 0; i < r->n_dests; i++) {
		/* One destination gets everything, whatever its weight is. */
		uint32_t weight = r->n_dests == 1 ? 1 : r->dests[i].weight.v;
		char below[MT_CONF_PATH];

		snprintf(below, sizeof(below), "%.200s.route[%u].destination", path, i);
		route->total += weight;
		follow_dest(b, f, below, &r->dests[i], weight, route);
	}
}

static void follow_rule(struct mt_build *b, struct mt_host *h, const struct mt_unit *u,
	const struct mt_rule_list *list, struct mt_forward_route *route)
{
	struct mt_route_for f = {.meta = &h->bytes.vs->meta,
		.list = list,
		.ns = h->se->meta.ns,
		.codec = u->codec,
		.port = (uint16_t)u->port->number.v};
	char path[MT_CONF_PATH];
	uint32_t i;
	const struct mt_rule *r = mt_b_tcp_rule(b, &f, &i);

	h->bytes.used = true;
	if (!r)
		return;
	/* A rule of a joined list is reported for its own document. */
	f.meta = r->by ? r->by : f.meta;
	snprintf(path, sizeof(path), "spec.tcp[%u]", list->made_of ? r->at : i);
	mt_b_tcp_tell(b, f.meta, r, path);
	follow(b, &f, r, path, route);
}

static struct mt_forward_route *route_of(struct mt_build *b, struct mt_host *h, struct mt_unit *u)
{
	const struct mt_virtual_service *vs = u->transport == IPPROTO_TCP ? h->bytes.vs : NULL;
	const struct mt_rule_list *list = vs ? mt_b_rule_list(vs, NULL) : NULL;
	struct mt_forward_route *route = mt_region_alloc(&b->tmp, sizeof(*route));
	struct mt_forward_dest *own;

	if (route)
		route->own = h;
	if (route && list && list->n_rules)
		follow_rule(b, h, u, list, route);
	if (!route || route->total)
		return route;
	own = add_dest(b, route);
	if (own)
		*own = (struct mt_forward_dest){.h = h, .u = u, .weight = 1};
	route->total = 1;
	return route;
}

void mt_b_forward_routes(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++)
		for (struct mt_unit *u = b->host_list[i].forwards; u; u = u->next)
			u->route = route_of(b, &b->host_list[i], u);
}

/* ---- shares ------------------------------------------------------------------------------ */

/* The sum of all shares, if the weights of a rule decide. */
#define WHOLE (1u << 24)

/* The endpoints of a family of a destination. */
struct family {
	const struct mt_forward_route *r;
	const struct mt_cluster *c;
	const uint32_t *weights;
	uint32_t dest;
	bool is4;
};

static bool is_of(const struct family *f, const struct mt_forward_member *m)
{
	return m->at < f->c->n_eps && f->weights[m->at] != MT_FORWARD_NOT &&
	       mt_addr_is4(&m->addr) == f->is4;
}

/* The sum of their weights; *n: their number. */
static uint64_t sum_of(const struct family *f, uint32_t *n)
{
	const struct mt_forward_dest *d = &f->r->v[f->dest];
	uint64_t sum = 0;

	*n = 0;
	for (uint32_t i = d->first; i < d->end; i++)
		if (is_of(f, &f->r->members[i])) {
			sum += f->weights[f->r->members[i].at];
			++*n;
		}
	return sum;
}

/* An endpoint in several destinations is a part of the first one that has a share. */
static void note_dest(const struct family *f, struct mt_forward_share *to)
{
	const struct mt_forward_dest *v = f->r->v;

	if (to->dest == MT_FORWARD_NOT || (!v[to->dest].weight && v[f->dest].weight))
		to->dest = f->dest;
}

/* Adds the destination's share to its endpoints. Without any the share is lost. */
static void spread(const struct family *f, struct mt_forward_share *out, uint32_t *lost)
{
	const struct mt_forward_dest *d = &f->r->v[f->dest];
	uint32_t n;
	uint64_t sum = sum_of(f, &n);

	if (!n)
		*lost += (uint32_t)((uint64_t)WHOLE * d->weight / f->r->total);
	for (uint32_t i = d->first; i < d->end; i++) {
		const struct mt_forward_member *m = &f->r->members[i];
		unsigned __int128 share = (unsigned __int128)WHOLE * d->weight;
		uint32_t weight;

		if (!is_of(f, m))
			continue;
		/* If all endpoints drain, they are chosen as if none did. */
		weight = sum ? f->weights[m->at] : 1;
		share = share * weight / ((unsigned __int128)f->r->total * (sum ? sum : n));
		note_dest(f, &out[m->at]);
		out[m->at].weight += weight && d->weight ? MT_MAX((uint32_t)share, 1u) : 0;
	}
}

/* Notes the place of each member in the cluster. False: no memory. */
static bool place(struct mt_build *b, const struct mt_forward_route *r, const struct mt_cluster *c)
{
	struct mt_strmap at = {0};
	char text[MT_ADDR_STRLEN];
	bool ok = !mt_strmap_reserve(&at, c->n_eps);

	for (uint32_t i = 0; ok && i < c->n_eps; i++) {
		char *key = mt_region_strdup(
			&b->tmp, mt_addr_port_str(&c->eps[i].addr, c->eps[i].port, text));

		ok = key && !mt_strmap_put(&at, key, (void *)(uintptr_t)(i + 1), NULL);
	}
	for (uint32_t i = 0; i < r->n_members; i++) {
		struct mt_forward_member *m = &r->members[i];
		uintptr_t found =
			(uintptr_t)mt_strmap_get(&at, mt_addr_port_str(&m->addr, m->port, text));

		m->at = found ? (uint32_t)(found - 1) : UINT32_MAX;
	}
	mt_strmap_fini(&at);
	b->tmp.failed |= !ok;
	return ok;
}

/* True if there is one destination, which has no share of weights. */
static bool is_plain(const struct mt_forward_route *r)
{
	return r->n == 1 && r->total == r->v[0].weight;
}

const bool *mt_b_forward_own(
	struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c)
{
	const struct mt_forward_route *r = u->route;
	bool *own = mt_region_alloc(&b->tmp, sizeof(*own) * MT_MAX(c->n_eps, 1u));

	if (!own || (!is_plain(r) && !place(b, r, c)))
		return NULL;
	for (uint32_t i = 0; i < c->n_eps; i++)
		own[i] = is_plain(r) && r->v[0].h == r->own;
	for (uint32_t d = 0; d < r->n && !is_plain(r); d++)
		for (uint32_t k = r->v[d].first; k < r->v[d].end; k++)
			if (r->v[d].h == r->own && r->members[k].at < c->n_eps)
				own[r->members[k].at] = true;
	return own;
}

void mt_b_forward_shares(const struct mt_unit *u, const struct mt_cluster *c,
	const uint32_t *weights, struct mt_forward_share *out, uint32_t lost[2])
{
	const struct mt_forward_route *r = u->route;
	bool plain = is_plain(r);

	lost[0] = lost[1] = 0;
	for (uint32_t i = 0; i < c->n_eps; i++)
		out[i] = (struct mt_forward_share){
			plain ? weights[i] : 0, plain ? 0 : MT_FORWARD_NOT};
	for (int is4 = 0; is4 < 2 && !plain; is4++) {
		uint64_t left = r->total;

		for (uint32_t d = 0; d < r->n; d++) {
			const struct family f = {r, c, weights, d, is4};

			spread(&f, out, &lost[is4]);
			left -= r->v[d].weight;
		}
		lost[is4] += (uint32_t)(WHOLE * left / r->total);
	}
}
