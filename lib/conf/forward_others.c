/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of other hosts to which the routes of a forwarded port lead. A fault of one of these is
 * not the service's, so it does not refuse the service: the endpoint gets no packets. The share of
 * a destination that has no other endpoints is refused.
 */
#include "mt_conf_forward_priv.h"

#include "mt_l4.h"

#include <stdio.h>

/* The first endpoint with a fault, and how many have one. */
struct others {
	const struct mt_endpoint *first;
	const char *why;
	uint32_t n;
};

static void note(struct others *o, const struct mt_endpoint *ep, const char *why)
{
	if (!o->n++) {
		o->first = ep;
		o->why = why;
	}
}

/* Why the port cannot have the endpoint, as a clause without its subject; NULL: it can. */
static const char *fault_of(
	const struct mt_unit *u, const struct mt_l4_conf *c, const struct mt_endpoint *ep)
{
	for (uint32_t i = 0; i < c->n_nat; i++)
		if (mt_addr_eq(&c->nat[i], &ep->addr))
			return "is an address from which the node forwards";
	if (mt_forwarding_is_one_way((enum mt_forwarding)u->forwarding) &&
		ep->port != u->port->number.v)
		return "has another port, and the mode keeps the port";
	return NULL;
}

static void report(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct others *o)
{
	char path[MT_INDEX_PATH], text[MT_ADDR_STRLEN];

	if (!o->n)
		return;
	mt_index_path(path, "spec.ports", (uint32_t)(u->port - u->se->ports), ".number");
	mt_b_warn(b, &h->se->meta, u->port->number.line, path,
		"correct them there, or no longer route to that host",
		"%u endpoint%s of other hosts, to which its routes lead, %s no packets: %s %s",
		o->n, o->n > 1 ? "s" : "", o->n > 1 ? "get" : "gets",
		mt_addr_port_str(&o->first->addr, o->first->port, text), o->why);
}

void mt_b_forward_leave_others(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, const struct mt_l4_conf *conf, const bool *own,
	uint32_t *weights)
{
	struct others all = {.n = 0};

	for (uint32_t i = 0; i < c->n_eps; i++) {
		const char *why = own[i] ? NULL : fault_of(u, conf, &c->eps[i]);

		if (!why)
			continue;
		weights[i] = MT_FORWARD_NOT;
		note(&all, &c->eps[i], why);
	}
	report(b, h, u, &all);
}

/* The endpoints of one side. False: there is no room for the policies of an own one. */
static bool find_clients(struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c,
	const struct mt_forward_side *side, struct mt_l4_service_conf *s, struct others *dropped)
{
	for (uint32_t i = 0; i < c->n_eps; i++) {
		uint32_t dest = side->shares[i].dest;

		if (side->own[i] != side->is_own || side->weights[i] == MT_FORWARD_NOT ||
			dest == MT_FORWARD_NOT ||
			mt_b_forward_clients(
				b, u->route->v[dest].u, c, i, side->lets, s, &side->clients[i]))
			continue;
		if (side->is_own)
			return false;
		side->weights[i] = MT_FORWARD_NOT;
		note(dropped, &c->eps[i],
			"has more addresses in its policies than there is room for");
	}
	return true;
}

bool mt_b_forward_find_clients(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, struct mt_forward_side *side, struct mt_l4_service_conf *s)
{
	struct others dropped = {.n = 0};

	side->is_own = true;
	if (!find_clients(b, u, c, side, s, &dropped))
		return false;
	side->is_own = false;
	(void)find_clients(b, u, c, side, s, &dropped);
	report(b, h, u, &dropped);
	return true;
}
