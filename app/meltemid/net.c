/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, routes and VIPs of the node. */
#include "daemon.h"

#include "mt_sockaddr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

/* Time for a drain (30 s) and for the last FIN. */
#define LEAVING (60 * MT_SEC)

static uint16_t port_by_name(const struct daemon *d, const char *name)
{
	for (uint16_t i = 0; name && i < d->n_ports; i++)
		if (strcmp(d->ports[i]->name, name) == 0)
			return i;
	return MT_NET_PORT_NONE;
}

/* True if some port has a kernel interface, where the kernel could answer, too. */
static bool kernel_sees_packets(const struct daemon *d)
{
	for (uint16_t i = 0; i < d->n_ports; i++)
		if (mt_port_interface(d->ports[i])[0])
			return true;
	return false;
}

/* ---- the kernel's addresses ---------------------------------------------------------------- */

static uint32_t listed(const struct ifaddrs *list, struct mt_conf_kernel *v)
{
	uint32_t n = 0;

	for (; list; list = list->ifa_next)
		if (mt_sockaddr_read(list->ifa_addr, &v[n].addr, NULL))
			snprintf(v[n++].interface, sizeof(v->interface), "%.15s", list->ifa_name);
	return n;
}

/* The addresses of spec.dns are those of the start, so that only the operator can end this. */
static void tell_dns(const struct daemon *d, const struct ifaddrs *list)
{
	for (uint32_t i = 0; i < d->n_dns_addrs; i++) {
		struct mt_err e = {""};

		if (!net_is_port_address(d, &d->dns_addrs[i]) &&
			mt_kernel_address_free(list, &d->dns_addrs[i], "spec.dns", NULL, &e))
			mt_log(MT_LOG_ERROR, "net", "%s", e.text);
	}
}

int net_kernel(struct daemon *d)
{
	struct ifaddrs *list = NULL;
	struct mt_conf_kernel *v;
	struct mt_err e = {""};
	uint32_t n = 1;
	int rc;

	if (kernel_sees_packets(d) && mt_kernel_addresses(&list, &e)) {
		mt_log(MT_LOG_ERROR, "net", "%s", e.text);
		return -EIO;
	}
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		n++;
	v = calloc(n, sizeof(*v));
	rc = v ? mt_conf_set_kernel(d->conf, v, listed(list, v)) : -ENOMEM;
	if (rc == 1 && d->launched)
		tell_dns(d, list);
	free(v);
	freeifaddrs(list);
	return rc;
}

/* ---- start -------------------------------------------------------------------------------- */

struct tables {
	struct mt_net_conf c;
	struct mt_net_addr_conf *addrs;
	struct mt_net_route_conf *routes;
	struct mt_addr *sources;
	struct mt_net_port_conf ports[MT_PORTS_MAX];
	struct ifaddrs *kernel;
};

static int add_addresses(struct daemon *d, struct tables *t, struct mt_err *e)
{
	for (uint16_t i = 0; i < d->n_ports; i++) {
		const struct mt_node_port *p = &d->node->ports[i];
		char what[64];

		snprintf(what, sizeof(what), "port %.48s", p->name.s);
		for (uint32_t k = 0; k < p->n_addresses; k++) {
			int rc = 0;

			if (mt_port_interface(d->ports[i])[0])
				rc = mt_kernel_address_free(
					t->kernel, &p->addresses[k].addr, what, NULL, e);
			if (rc)
				return rc;
			t->addrs[t->c.n_addrs++] = (struct mt_net_addr_conf){
				p->addresses[k].addr, p->addresses[k].prefix, i};
		}
	}
	return 0;
}

/* The port of all guests, which follows the Node's ports. */
static void add_guests(struct daemon *d, struct tables *t)
{
	const struct mt_node_guests *g = d->node->guests;

	if (!d->guests.hub)
		return;
	for (uint32_t i = 0; i < g->n_networks; i++)
		t->addrs[t->c.n_addrs++] = (struct mt_net_addr_conf){
			g->networks[i].address.addr, g->networks[i].address.prefix, d->n_ports};
	t->ports[d->n_ports] =
		(struct mt_net_port_conf){.exception = MT_NET_PORT_NONE, .workloads = true};
}

static int add_routes(struct daemon *d, struct tables *t, struct mt_err *e)
{
	for (uint32_t i = 0; i < d->node->n_routes; i++) {
		const struct mt_node_route *r = &d->node->routes[i];
		uint16_t port = port_by_name(d, r->port.s);

		if (r->port.s && port == MT_NET_PORT_NONE)
			return mt_err(e, -EINVAL, "%s:%u: there is no port %s", r->origin.file,
				r->port.line, r->port.s);
		t->routes[t->c.n_routes++] =
			(struct mt_net_route_conf){r->to.addr, r->to.prefix, r->via, port};
	}
	return 0;
}

static int add_ports(struct daemon *d, struct tables *t, struct mt_err *e)
{
	for (uint16_t i = 0; i < d->n_ports; i++) {
		const struct mt_node_port *p = &d->node->ports[i];
		uint16_t exception = port_by_name(d, p->exception.s);

		if (p->exception.s && (exception == MT_NET_PORT_NONE || exception == i))
			return mt_err(e, -EINVAL,
				"%s:%u: exception: %s is not another port of this node",
				p->origin.file, p->exception.line, p->exception.s);
		t->ports[i] = (struct mt_net_port_conf){.vlan = (uint16_t)p->vlan.v,
			.exception = exception,
			.workloads = p->side.v == MT_SIDE_WORKLOADS};
	}
	return 0;
}

static int fill(struct daemon *d, struct tables *t, struct mt_err *e)
{
	uint32_t n = 1;
	int rc;

	for (uint16_t i = 0; i < d->n_ports; i++)
		n += d->node->ports[i].n_addresses;
	n += d->node->guests ? d->node->guests->n_networks : 0;
	t->addrs = calloc(n, sizeof(*t->addrs));
	t->routes = calloc(d->node->n_routes + 1, sizeof(*t->routes));
	t->sources = calloc(d->node->n_source_addresses + 1, sizeof(*t->sources));
	if (!t->addrs || !t->routes || !t->sources)
		return mt_err(e, -ENOMEM, "no memory");
	rc = mt_kernel_addresses(&t->kernel, e);
	if (rc == 0)
		rc = add_addresses(d, t, e);
	add_guests(d, t);
	if (rc == 0)
		rc = add_routes(d, t, e);
	if (rc == 0)
		rc = add_ports(d, t, e);
	for (uint32_t i = 0; i < d->node->n_source_addresses; i++)
		t->sources[t->c.n_sources++] = d->node->source_addresses[i].addr;
	t->c.addrs = t->addrs;
	t->c.routes = t->routes;
	t->c.sources = t->sources;
	t->c.ports = t->ports;
	t->c.hop_limit = (uint8_t)d->node->hop_limit.v;
	t->c.dscp = (uint8_t)d->node->dscp.v;
	return rc;
}

static int set_vips(struct daemon *d, const struct mt_snapshot *s, struct mt_err *e);

static int check_dns(const struct daemon *d, const struct ifaddrs *kernel, struct mt_err *e)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && kernel_sees_packets(d) && i < d->n_dns_addrs; i++)
		if (!net_is_port_address(d, &d->dns_addrs[i]))
			rc = mt_kernel_address_free(kernel, &d->dns_addrs[i], "spec.dns", NULL, e);
	return rc;
}

/* True if the first configuration, compiled before the ports were open, serves such an address. */
static bool serves_kernel(const struct daemon *d)
{
	const struct mt_snapshot *s = d->first;
	bool found = false;

	for (uint32_t i = 0; i < s->n_listeners; i++)
		found |= mt_conf_is_kernel(d->conf, &s->listeners[i].addr);
	for (uint32_t i = 0; i < s->n_forwards; i++)
		found |= mt_conf_is_kernel(d->conf, &s->forwards[i].addr);
	return found;
}

int net_start(struct daemon *d, struct mt_err *e)
{
	struct tables t = {.addrs = NULL};
	uint64_t key[2];
	int rc;

	d->net = mt_net_create(d->ports, (uint16_t)(d->n_ports + (d->guests.hub != NULL)),
		d->n_workers, &d->steer);
	if (!d->net)
		return mt_err(e, -ENOMEM, "no memory for neighbours and routes");
	mt_rand_secret(key, sizeof(key));
	mt_net_key(d->net, key);
	rc = fill(d, &t, e);
	if (rc == 0)
		rc = mt_net_configure(d->net, &t.c, NULL, e);
	if (rc == 0)
		rc = check_dns(d, t.kernel, e);
	free(t.addrs);
	free(t.routes);
	free(t.sources);
	freeifaddrs(t.kernel);
	if (rc == 0 && net_kernel(d) == 1 && serves_kernel(d))
		rc = config_first_again(d, e);
	if (rc == 0)
		rc = set_vips(d, d->first, e);
	return rc;
}

void net_stop(struct daemon *d)
{
	mt_net_old_free(d->net_old);
	d->net_old = NULL;
	if (d->net)
		mt_net_destroy(d->net);
	d->net = NULL;
	free(d->vips);
	free(d->leaving);
	d->vips = NULL;
	d->leaving = NULL;
	d->n_vips = d->n_leaving = 0;
}

/* ---- VIPs --------------------------------------------------------------------------------- */

static bool any_address(const struct mt_addr *a)
{
	return mt_addr_is_zero(a) || (mt_addr_is4(a) && mt_addr_v4(a) == 0);
}

bool net_is_port_address(const struct daemon *d, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < d->node->n_ports; i++)
		for (uint32_t k = 0; k < d->node->ports[i].n_addresses; k++)
			if (mt_addr_eq(&d->node->ports[i].addresses[k].addr, a))
				return true;
	return mt_node_is_gateway(d->node, a);
}

struct net_leaving {
	struct mt_addr addr;
	uint64_t until;
};

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_addr));
}

static bool has(const struct mt_addr *sorted, uint32_t n, const struct mt_addr *a)
{
	return n && bsearch(a, sorted, n, sizeof(*a), by_address);
}

/*
 * The addresses that are served from now on, sorted and without duplicates, with space for `more`
 * after them. NULL: no memory.
 */
static struct mt_addr *wanted_vips(
	const struct daemon *d, const struct mt_snapshot *s, uint32_t more, uint32_t *n)
{
	uint32_t n_nat = d->node->nat ? d->node->nat->n_addresses : 0;
	struct mt_addr *vips = calloc(
		s->n_listeners + s->n_forwards + n_nat + d->n_dns_addrs + more + 1, sizeof(*vips));
	uint32_t all = 0, kept = 0;

	if (!vips)
		return NULL;
	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (!any_address(&s->listeners[i].addr))
			vips[all++] = s->listeners[i].addr;
	for (uint32_t i = 0; i < s->n_forwards; i++)
		vips[all++] = s->forwards[i].addr;
	for (uint32_t i = 0; i < n_nat; i++)
		vips[all++] = d->node->nat->addresses[i].addr;
	for (uint32_t i = 0; i < d->n_dns_addrs; i++)
		if (!net_is_port_address(d, &d->dns_addrs[i]))
			vips[all++] = d->dns_addrs[i];
	qsort(vips, all, sizeof(*vips), by_address);
	for (uint32_t i = 0; i < all; i++)
		if (!kept || !mt_addr_eq(&vips[kept - 1], &vips[i]))
			vips[kept++] = vips[i];
	*n = kept;
	return vips;
}

/*
 * Collects the addresses that are no longer served. They stay for LEAVING, so that packets of calls
 * in progress and of closing connections are still received.
 */
static uint32_t who_leaves(
	const struct daemon *d, const struct mt_addr *vips, uint32_t n, struct net_leaving *out)
{
	uint64_t now = mt_clock_now(&d->clock);
	uint32_t k = 0;

	for (uint32_t i = 0; i < d->n_vips; i++)
		if (!has(vips, n, &d->vips[i]))
			out[k++] = (struct net_leaving){d->vips[i], now + LEAVING};
	for (uint32_t i = 0; i < d->n_leaving; i++)
		if (d->leaving[i].until > now && !has(vips, n, &d->leaving[i].addr))
			out[k++] = d->leaving[i];
	return k;
}

struct net_vips {
	struct mt_addr *vips;
	struct net_leaving *leaving;
	uint32_t n_vips, n_leaving;
	struct mt_net_vips *set; /* of both arrays */
};

void net_forget_vips(struct net_vips *v)
{
	if (!v)
		return;
	free(v->vips);
	free(v->leaving);
	mt_net_vips_drop(v->set);
	free(v);
}

static int bind_workloads(struct mt_net_vips *set, const struct mt_snapshot *s)
{
	struct mt_net_bound *v = calloc(s->n_bound + 1, sizeof(*v));
	int rc;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_bound; i++) {
		v[i].addr = s->bound[i].addr;
		v[i].port = s->bound[i].port;
		v[i].has_mac = s->bound[i].has_mac;
		memcpy(&v[i].mac, s->bound[i].mac, sizeof(v[i].mac));
	}
	rc = mt_net_vips_bind(set, v, s->n_bound);
	free(v);
	return rc;
}

struct net_vips *net_prepare_vips(struct daemon *d, const struct mt_snapshot *s, struct mt_err *e)
{
	struct net_vips *v = calloc(1, sizeof(*v));

	if (v) {
		v->leaving = calloc(d->n_vips + d->n_leaving + 1, sizeof(*v->leaving));
		v->vips = wanted_vips(d, s, d->n_vips + d->n_leaving, &v->n_vips);
	}
	if (v && v->vips && v->leaving) {
		v->n_leaving = who_leaves(d, v->vips, v->n_vips, v->leaving);
		for (uint32_t i = 0; i < v->n_leaving; i++)
			v->vips[v->n_vips + i] = v->leaving[i].addr;
		v->set = mt_net_vips_new(v->vips, v->n_vips + v->n_leaving, v->n_leaving);
	}
	if (v && v->set && bind_workloads(v->set, s) == 0 &&
		(!s->l4 || mt_l4_expose(s->l4, v->set) == 0))
		return v;
	net_forget_vips(v);
	mt_err(e, -ENOMEM, "no memory for the addresses of services");
	return NULL;
}

void net_use_vips(struct daemon *d, struct net_vips *v)
{
	struct mt_net_old *old = NULL;

	/* Only one set of replaced tables can wait at a time. */
	if (d->net_old) {
		workers_quiesce(d);
		mt_net_old_free(d->net_old);
		d->net_old = NULL;
	}
	mt_net_vips_use(d->net, v->set, d->launched ? &old : NULL);
	free(d->vips);
	free(d->leaving);
	d->vips = v->vips;
	d->n_vips = v->n_vips;
	d->leaving = v->leaving;
	d->n_leaving = v->n_leaving;
	d->net_old = old;
	if (old)
		d->net_old_token = rte_rcu_qsbr_start(d->rcu);
	free(v);
}

static int set_vips(struct daemon *d, const struct mt_snapshot *s, struct mt_err *e)
{
	struct net_vips *v = net_prepare_vips(d, s, e);

	if (!v)
		return -ENOMEM;
	net_use_vips(d, v);
	return 0;
}

/* Drops addresses whose time is over, without waiting for another change. */
static void end_leaving(struct daemon *d)
{
	uint64_t now = mt_clock_now(&d->clock);
	struct mt_err e = {""};
	bool over = false;

	for (uint32_t i = 0; i < d->n_leaving && !d->net_old; i++)
		over |= d->leaving[i].until <= now;
	if (over && set_vips(d, mt_conf_current(d->conf), &e))
		mt_log(MT_LOG_ERROR, "net", "addresses of services: %s", e.text);
}

void net_reap(struct daemon *d)
{
	end_leaving(d);
	if (!d->net_old || rte_rcu_qsbr_check(d->rcu, d->net_old_token, false) != 1)
		return;
	mt_net_old_free(d->net_old);
	d->net_old = NULL;
}
