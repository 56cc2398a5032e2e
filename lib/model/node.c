/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about a Node that several libraries have. */
#include "mt_model_node.h"

#include <string.h>

#define DNS_PORT 53

static bool is_of_a_port(const struct mt_node *n, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++)
			if (mt_addr_eq(&n->ports[i].addresses[k].addr, a))
				return true;
	return false;
}

const struct mt_guest_network *mt_node_guest_network(
	const struct mt_node *n, const struct mt_addr *a)
{
	for (uint32_t i = 0; n->guests && i < n->guests->n_networks; i++) {
		const struct mt_node_addr *net = &n->guests->networks[i].address;

		if (mt_prefix_contains(&net->addr, net->prefix, a))
			return &n->guests->networks[i];
	}
	return NULL;
}

bool mt_node_is_gateway(const struct mt_node *n, const struct mt_addr *a)
{
	const struct mt_guest_network *w = mt_node_guest_network(n, a);

	return w && mt_addr_eq(&w->address.addr, a);
}

bool mt_node_answers_names(const struct mt_node *n, const struct mt_addr *a, uint16_t port)
{
	const struct mt_node_dns *d = n->dns;

	if (!d)
		return false;
	if (d->listen_port == port && mt_addr_eq(&d->listen_addr, a))
		return true;
	if (port != DNS_PORT)
		return false;
	for (uint32_t i = 0; i < d->n_addresses; i++)
		if (mt_addr_eq(&d->addresses[i].addr, a))
			return true;
	return !d->addresses_set && (is_of_a_port(n, a) || mt_node_is_gateway(n, a));
}

static bool has_family(const struct mt_node *n, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++)
			if (mt_addr_is4(&n->ports[i].addresses[k].addr) == mt_addr_is4(a))
				return true;
	return false;
}

static bool is_within(const struct mt_node_addr *net, const struct mt_addr *a)
{
	return mt_prefix_contains(&net->addr, net->prefix, a);
}

bool mt_node_reaches(const struct mt_node *n, const struct mt_addr *a)
{
	if (!n->n_ports)
		return true;
	for (uint32_t i = 0; i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++)
			if (is_within(&n->ports[i].addresses[k], a))
				return true;
	if (mt_node_guest_network(n, a))
		return true;
	for (uint32_t i = 0; i < n->n_routes; i++)
		if (is_within(&n->routes[i].to, a))
			return has_family(n, a);
	return false;
}

static bool lives_on(const struct mt_node_port *p, const struct mt_addr *a)
{
	for (uint32_t k = 0; k < p->n_workloads; k++)
		if (mt_addr_eq(&p->workloads[k].address, a))
			return true;
	for (uint32_t k = 0; !p->workloads_set && k < p->n_addresses; k++)
		if (mt_prefix_contains(&p->addresses[k].addr, p->addresses[k].prefix, a))
			return true;
	return false;
}

bool mt_node_has_workload(const struct mt_node *n, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < n->n_ports; i++)
		if (n->ports[i].side.v == MT_SIDE_WORKLOADS && lives_on(&n->ports[i], a))
			return true;
	return mt_node_guest_network(n, a) != NULL;
}

bool mt_node_source_has(const struct mt_node_source *s, const char *ns, size_t len)
{
	for (uint32_t i = 0; i < s->n_namespaces; i++)
		if (strlen(s->namespaces[i].s) == len && memcmp(s->namespaces[i].s, ns, len) == 0)
			return true;
	return false;
}

bool mt_is_below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(path, directory, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/' || (len && directory[len - 1] == '/'));
}

const struct mt_node_source *mt_node_source_of(const struct mt_node *n, const char *file)
{
	const struct mt_node_source *best = NULL;

	for (uint32_t i = 0; i < n->n_sources; i++) {
		const struct mt_node_source *one = &n->sources[i];
		size_t len = one->directory.s ? strlen(one->directory.s) : 0;
		size_t most = best ? strlen(best->directory.s) : 0;

		if (len && mt_is_below(file, one->directory.s) &&
			(!best || len > most ||
				(len == most && one->n_namespaces && !best->n_namespaces)))
			best = one;
	}
	return best;
}

bool mt_node_is_of_owner(const struct mt_node *n, uint32_t self, const char *ns, size_t len)
{
	for (uint32_t i = 0; i < n->n_sources; i++)
		if (i != self && n->sources[i].owns && mt_node_source_has(&n->sources[i], ns, len))
			return true;
	return false;
}
