/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports in a mode in which endpoints answer clients themselves. The packets keep their destination,
 * so an endpoint has the service's port, and by `dsr` it is a neighbour: a router would send the
 * packet back to this node.
 */
#include "mt_conf_forward_priv.h"

#include <stdio.h>

/* The route to an address, as lib/net chooses: the longest prefix, among equals the first. */
struct way {
	const struct mt_addr *to;
	int prefix; /* -1: none yet */
	bool on_link;
};

static void consider(struct way *w, const struct mt_node_addr *net, bool on_link)
{
	if ((int)net->prefix <= w->prefix || mt_addr_is4(&net->addr) != mt_addr_is4(w->to) ||
		!mt_prefix_contains(&net->addr, net->prefix, w->to))
		return;
	w->prefix = (int)net->prefix;
	w->on_link = on_link;
}

/* True if a port's network, or a route without a router, leads to the address. */
static bool is_on_link(const struct mt_node *n, const struct mt_addr *a)
{
	struct way w = {.to = a, .prefix = -1};

	for (uint32_t i = 0; i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++)
			consider(&w, &n->ports[i].addresses[k], true);
	for (uint32_t i = 0; i < n->n_routes; i++)
		consider(&w, &n->routes[i].to, mt_addr_is_zero(&n->routes[i].via));
	return w.on_link;
}

bool mt_b_forward_reaches(
	const struct mt_build *b, enum mt_forwarding mode, const struct mt_addr *endpoint)
{
	const struct mt_node *n = b->model->node;

	return mode != MT_FORWARDING_DSR || !n || is_on_link(n, endpoint);
}

static const char *path_of(const struct mt_unit *u, char path[MT_INDEX_PATH])
{
	return mt_index_path(path, "spec.ports", (uint32_t)(u->port - u->se->ports), ".number");
}

static bool keeps_port(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, const bool *own)
{
	char path[MT_INDEX_PATH], text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < c->n_eps; i++) {
		const struct mt_endpoint *ep = &c->eps[i];

		if (!own[i] || ep->port == u->port->number.v)
			continue;
		mt_b_error(b, &h->se->meta, u->port->number.line, path_of(u, path),
			"give both the same number, or use mode nat",
			"its endpoint %s has another port, and %s keeps the port",
			mt_addr_port_str(&ep->addr, ep->port, text),
			mt_forwarding_str((enum mt_forwarding)u->forwarding));
		return false;
	}
	return true;
}

static void report_unreached(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c)
{
	enum mt_forwarding mode = (enum mt_forwarding)u->forwarding;
	char path[MT_INDEX_PATH], text[MT_ADDR_STRLEN];
	const struct mt_addr *first = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_eps; i++) {
		if (mt_b_forward_reaches(b, mode, &c->eps[i].addr))
			continue;
		first = first ? first : &c->eps[i].addr;
		n++;
	}
	if (n)
		mt_b_warn(b, &h->se->meta, u->port->number.line, path_of(u, path),
			"use another mode, or give a port of the Node an address in their network, "
			"and no longer route to them",
			"%u of its endpoints %s no packets: %s %s not on the link of a port, so %s "
			"cannot reach %s",
			n, n > 1 ? "get" : "gets", mt_addr_str(first, text),
			n > 1 ? "and others are" : "is", mt_forwarding_str(mode),
			n > 1 ? "them" : "it");
}

#define CLIENT_MTU 1500

/* Clients learn of a smaller MTU by ICMP errors, which some networks drop. */
static void note_mtu(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	const struct mt_node *n = b->model->node;
	uint32_t gue = u->forwarding == MT_FORWARDING_TUNNEL_GUE ? 12 : 0;
	char path[MT_INDEX_PATH], remedy[80];

	snprintf(remedy, sizeof(remedy),
		"write mtu: %u for the Node's ports, if their networks carry it",
		CLIENT_MTU + 40 + gue);
	for (uint32_t i = 0; n && i < n->n_ports; i++) {
		uint32_t mtu = n->ports[i].mtu.set ? n->ports[i].mtu.v : CLIENT_MTU;

		if (mtu >= CLIENT_MTU + 40 + gue)
			continue;
		mt_b_note(b, &h->se->meta, u->port->number.line, path_of(u, path), remedy,
			"%s adds %u bytes to a packet of IPv4, %u to one of IPv6: port %.64s has "
			"an MTU of %u, so clients with 1500 must send shorter packets",
			mt_forwarding_str((enum mt_forwarding)u->forwarding), 20 + gue, 40 + gue,
			n->ports[i].name.s, mtu);
		return;
	}
}

bool mt_b_forward_direct(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, const bool *own)
{
	if (!mt_forwarding_is_one_way((enum mt_forwarding)u->forwarding))
		return true;
	if (!keeps_port(b, h, u, c, own))
		return false;
	report_unreached(b, h, u, c);
	if (mt_forwarding_is_tunnel((enum mt_forwarding)u->forwarding))
		note_mtu(b, h, u);
	return true;
}
