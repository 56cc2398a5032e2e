/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and routes, checked, compiled and swapped by the control thread. */
#include "mt_net_priv.h"

#include <errno.h>

/* The default that IANA recommends. */
#define HOP_LIMIT 64

/*
 * fe80::/64 with the interface identifier derived from the Ethernet address (RFC 4291 appendix A).
 */
static struct mt_addr link_local(const struct rte_ether_addr *mac)
{
	const uint8_t *m = mac->addr_bytes;
	struct mt_addr a = {.b = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe,
				    m[3], m[4], m[5]}};

	return a;
}

void net_table_free(struct net_table *t)
{
	if (!t)
		return;
	net_set_fini(&t->own);
	free(t->routes);
	free(t);
}

const struct net_route *net_lookup(const struct net_table *t, const struct mt_addr *remote)
{
	bool is4 = mt_addr_is4(remote);

	for (uint32_t i = 0; i < t->n_routes; i++) {
		const struct net_route *r = &t->routes[i];

		if (r->is4 == is4 && mt_prefix_contains(&r->to, r->prefix, remote))
			return r;
	}
	return NULL;
}

const struct net_route *net_connected(
	const struct net_table *t, const struct mt_addr *a, uint16_t port)
{
	bool is4 = mt_addr_is4(a);

	for (uint32_t i = 0; i < t->n_routes; i++) {
		const struct net_route *r = &t->routes[i];

		if (r->connected && r->is4 == is4 &&
			(port == MT_NET_PORT_NONE || port == r->port) &&
			mt_prefix_contains(&r->to, r->prefix, a))
			return r;
	}
	return NULL;
}

bool net_is_on_link(const struct net_table *t, const struct mt_addr *a, uint16_t port)
{
	return mt_addr_is_link_local(a) || net_connected(t, a, port);
}

const struct net_addr *net_port_addr(
	const struct net_table *t, uint16_t port, const struct mt_addr *to)
{
	bool is4 = mt_addr_is4(to), local = !is4 && mt_addr_is_link_local(to);
	const struct net_addr *best = NULL;

	for (uint32_t i = 0; i < t->own.n - t->n_sources; i++) {
		const struct net_addr *a = &t->own.list[i];

		if (a->port != port || mt_addr_is4(&a->addr) != is4)
			continue;
		if (mt_prefix_contains(&a->addr, a->prefix, to))
			return a;
		/* A link-local source cannot be used beyond the link. */
		if (!best && (is4 || local || !mt_addr_is_link_local(&a->addr)))
			best = a;
	}
	return best;
}

/* Keeps the order: longest prefix first, earlier rows first among equals. */
static void add_route(struct net_table *t, const struct net_route *r)
{
	uint32_t i = t->n_routes++;

	for (; i > 0 && t->routes[i - 1].prefix < r->prefix; i--)
		t->routes[i] = t->routes[i - 1];
	t->routes[i] = *r;
}

static int add_addr(const struct mt_net *net, struct net_table *t, const struct mt_net_addr_conf *c,
	struct mt_err *e)
{
	struct net_addr a = {.addr = c->addr, .port = c->port, .prefix = c->prefix, .fresh = true};
	struct net_route r = {
		.to = c->addr, .prefix = c->prefix, .connected = true, .port = c->port};
	char text[MT_ADDR_STRLEN];

	r.is4 = mt_addr_is4(&c->addr);
	if (c->port >= net->n_ports)
		return mt_err(e, -EINVAL, "address %s: there is no port %u",
			mt_addr_str(&c->addr, text), c->port);
	if (c->prefix > (r.is4 ? 32 : 128) || mt_addr_is_zero(&c->addr))
		return mt_err(e, -EINVAL, "address %s/%u is not one that a port can have",
			mt_addr_str(&c->addr, text), c->prefix);
	net_set_add(&t->own, &a);
	add_route(t, &r);
	if (!r.is4) {
		struct net_addr ll = {.addr = link_local(&net->ports[c->port]->mac),
			.port = c->port,
			.prefix = 64,
			.fresh = true};

		net_set_add(&t->own, &ll);
	}
	return 0;
}

static int add_static(const struct mt_net *net, struct net_table *t,
	const struct mt_net_route_conf *c, struct mt_err *e)
{
	struct net_route r = {.to = c->to, .prefix = c->prefix, .via = c->via, .port = c->port};
	char to[MT_ADDR_STRLEN], via[MT_ADDR_STRLEN];
	const struct net_route *on;

	r.is4 = mt_addr_is4(&c->to);
	r.connected = mt_addr_is_zero(&c->via);
	if (c->prefix > (r.is4 ? 32 : 128))
		return mt_err(e, -EINVAL, "route to %s: prefix length %u is too long",
			mt_addr_str(&c->to, to), c->prefix);
	if (c->port != MT_NET_PORT_NONE && c->port >= net->n_ports)
		return mt_err(e, -EINVAL, "route to %s: there is no port %u",
			mt_addr_str(&c->to, to), c->port);
	if (!r.connected && mt_addr_is4(&c->via) != r.is4)
		return mt_err(e, -EINVAL, "route to %s: gateway %s is of the other family",
			mt_addr_str(&c->to, to), mt_addr_str(&c->via, via));
	if (r.connected && c->port == MT_NET_PORT_NONE)
		return mt_err(e, -EINVAL, "route to %s has neither gateway nor port",
			mt_addr_str(&c->to, to));
	if (!r.connected && c->port == MT_NET_PORT_NONE) {
		on = net_connected(t, &c->via, MT_NET_PORT_NONE);
		if (!on)
			return mt_err(e, -EINVAL,
				"route to %s: gateway %s is on no network of a port; give a port "
				"an address on the gateway's network",
				mt_addr_str(&c->to, to), mt_addr_str(&c->via, via));
		r.port = on->port;
	}
	add_route(t, &r);
	return 0;
}

/* Bound addresses are checked on every port as soon as one port has `workloads`. */
static void set_flags(struct net_table *t)
{
	uint8_t all = 0;

	for (uint16_t i = 0; i < MT_PORTS_MAX; i++)
		all |= t->ports[i].workloads ? NET_PORT_BOUND : 0;
	for (uint16_t i = 0; i < MT_PORTS_MAX; i++) {
		bool punts = t->ports[i].exception != MT_NET_PORT_NONE ||
			     t->uplink[i] != MT_NET_PORT_NONE;

		t->flags[i] = (uint8_t)(all | (punts ? NET_PORT_PUNTS : 0));
	}
}

static int fill_ports(const struct mt_net *net, struct net_table *t,
	const struct mt_net_port_conf *ports, struct mt_err *e)
{
	for (uint16_t i = 0; i < MT_PORTS_MAX; i++) {
		t->ports[i] = (struct mt_net_port_conf){0, MT_NET_PORT_NONE, false};
		t->uplink[i] = MT_NET_PORT_NONE;
	}
	for (uint16_t i = 0; ports && i < net->n_ports; i++) {
		uint16_t tap = ports[i].exception;

		if (ports[i].vlan > 4094)
			return mt_err(e, -EINVAL, "port %s: VLAN id %u is not between 1 and 4094",
				net->ports[i]->name, ports[i].vlan);
		if (tap != MT_NET_PORT_NONE && (tap >= net->n_ports || tap == i))
			return mt_err(e, -EINVAL, "port %s: its exception port %u does not exist",
				net->ports[i]->name, tap);
		t->ports[i] = ports[i];
		if (tap != MT_NET_PORT_NONE)
			t->uplink[tap] = i;
	}
	set_flags(t);
	return 0;
}

static int compile(const struct mt_net *net, struct net_table *t, const struct mt_net_conf *c,
	struct mt_err *e)
{
	int rc = fill_ports(net, t, c->ports, e);

	t->hop_limit = c->hop_limit ? c->hop_limit : HOP_LIMIT;
	t->tos = (uint8_t)(c->dscp << 2);
	for (uint32_t i = 0; !rc && i < c->n_addrs; i++)
		rc = add_addr(net, t, &c->addrs[i], e);
	for (uint32_t i = 0; !rc && i < c->n_routes; i++)
		rc = add_static(net, t, &c->routes[i], e);
	if (rc)
		return rc;
	t->n_sources = t->own.n;
	for (uint32_t i = 0; i < c->n_sources; i++) {
		struct net_addr a = {.addr = c->sources[i],
			.port = MT_NET_PORT_NONE,
			.prefix = 128,
			.fresh = true};

		net_set_add(&t->own, &a);
	}
	t->n_sources = t->own.n - t->n_sources;
	return 0;
}

/* Addresses that were already served need no announcement, unless theirs is not finished. */
static void mark_known(struct mt_net *net, struct net_set *s, const struct net_set *before)
{
	bool done = atomic_load_explicit(&net->announced, memory_order_acquire) ==
		    atomic_load_explicit(&net->conf_gen, memory_order_relaxed);

	for (uint32_t i = 0; before && i < s->n; i++) {
		const struct net_addr *was = net_set_find(before, &s->list[i].addr);

		s->list[i].fresh =
			!s->list[i].leaving && (!was || was->leaving || (was->fresh && !done));
	}
}

void net_served_free(struct net_served *s)
{
	if (!s)
		return;
	net_set_fini(&s->vips);
	net_set_fini(&s->bound);
	net_set_fini(&s->nat);
	net_set_fini(&s->server_addrs);
	free(s->rows.slots);
	free(s->servers.slots);
	free(s);
}

void mt_net_old_free(struct mt_net_old *old)
{
	if (!old)
		return;
	net_table_free(old->table);
	net_served_free(old->served);
	free(old);
}

/* Returns the replaced table to the caller, or frees it when `old` is NULL. */
static void retire(struct mt_net_old *o, struct mt_net_old **old)
{
	if (old)
		*old = o;
	else
		mt_net_old_free(o);
}

static struct net_table *new_table(const struct mt_net_conf *conf)
{
	struct net_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->routes = calloc(conf->n_addrs + conf->n_routes + 1, sizeof(*t->routes));
	if (t->routes && net_set_init(&t->own, 2 * conf->n_addrs + conf->n_sources) == 0)
		return t;
	net_table_free(t);
	return NULL;
}

int mt_net_configure(struct mt_net *net, const struct mt_net_conf *conf, struct mt_net_old **old,
	struct mt_err *e)
{
	struct mt_net_old *o = calloc(1, sizeof(*o));
	struct net_table *t = new_table(conf);
	int rc = o && t ? 0 : mt_err(e, -ENOMEM, "no memory for the routing table");

	if (!rc)
		rc = compile(net, t, conf, e);
	if (rc) {
		net_table_free(t);
		free(o);
		return rc;
	}
	o->table = atomic_load_explicit(&net->table, memory_order_relaxed);
	mark_known(net, &t->own, o->table ? &o->table->own : NULL);
	t->gen = atomic_load_explicit(&net->conf_gen, memory_order_relaxed) + 1;
	atomic_store_explicit(&net->table, t, memory_order_release);
	atomic_fetch_add_explicit(&net->dst_gen, 1, memory_order_release);
	atomic_fetch_add_explicit(&net->conf_gen, 1, memory_order_release);
	retire(o, old);
	return 0;
}

void mt_net_mtu_changed(struct mt_net *net)
{
	atomic_fetch_add_explicit(&net->dst_gen, 1, memory_order_release);
}

int mt_net_set_vips(
	struct mt_net *net, const struct mt_addr *vips, uint32_t n, struct mt_net_old **old)
{
	return mt_net_set_vips_leaving(net, vips, n, 0, old);
}

/* The new set, and preallocated storage for the one it replaces. */
struct mt_net_vips {
	struct net_served *set;
	struct mt_net_old *old;
};

void mt_net_vips_drop(struct mt_net_vips *v)
{
	if (!v)
		return;
	net_served_free(v->set);
	free(v->old);
	free(v);
}

struct mt_net_vips *mt_net_vips_new(const struct mt_addr *vips, uint32_t n, uint32_t n_leaving)
{
	struct mt_net_vips *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->old = calloc(1, sizeof(*v->old));
	v->set = calloc(1, sizeof(*v->set));
	if (!v->old || !v->set || net_set_init(&v->set->vips, n) ||
		net_set_init(&v->set->bound, 0) ||
		mt_net_vips_forward(v, &(struct mt_net_forwards){0})) {
		mt_net_vips_drop(v);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		bool leaving = i >= n - n_leaving;
		struct net_addr a = {.addr = vips[i],
			.port = MT_NET_PORT_NONE,
			.prefix = 128,
			.fresh = !leaving,
			.leaving = leaving};

		net_set_add(&v->set->vips, &a);
	}
	return v;
}

int mt_net_vips_bind(struct mt_net_vips *v, const struct mt_net_bound *bound, uint32_t n)
{
	struct net_set s;

	if (net_set_init(&s, n))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		net_set_add(&s, &(struct net_addr){.addr = bound[i].addr,
					.port = bound[i].port,
					.prefix = 128,
					.has_mac = bound[i].has_mac,
					.mac = bound[i].mac});
	net_set_fini(&v->set->bound);
	v->set->bound = s;
	return 0;
}

static void mark(struct net_served *s, const struct mt_addr *a, uint8_t forward)
{
	struct net_addr *vip = (struct net_addr *)net_set_find(&s->vips, a);

	if (vip)
		vip->forward |= forward;
}

static void note_ports(struct net_served *s, const struct mt_net_forwards *f)
{
	memset(s->row_ports, 0, sizeof(s->row_ports));
	for (uint32_t i = 0; i < f->n_rows; i++) {
		uint32_t bit = net_row_bit(f->rows[i].port, f->rows[i].proto);

		s->row_ports[bit / 64] |= UINT64_C(1) << bit % 64;
	}
}

int mt_net_vips_forward(struct mt_net_vips *v, const struct mt_net_forwards *f)
{
	struct net_rows rows = {0}, servers = {0};
	struct net_served *s = v->set;
	struct net_set nat = {0}, addrs = {0};

	if (net_rows_init(&rows, f->rows, f->n_rows) ||
		net_rows_init(&servers, f->servers, f->n_servers) || net_set_init(&nat, f->n_nat) ||
		net_set_init(&addrs, f->n_servers)) {
		free(rows.slots);
		free(servers.slots);
		net_set_fini(&nat);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->vips.n; i++)
		s->vips.list[i].forward = 0;
	for (uint32_t i = 0; i < f->n_rows; i++)
		mark(s, &f->rows[i].addr, NET_FORWARD_ROWS);
	for (uint32_t i = 0; i < f->n_nat; i++) {
		mark(s, &f->nat[i], NET_FORWARD_NAT);
		net_set_add(&nat, &(struct net_addr){.addr = f->nat[i], .prefix = 128});
	}
	for (uint32_t i = 0; i < f->n_servers; i++)
		net_set_add(&addrs, &(struct net_addr){.addr = f->servers[i].addr, .prefix = 128});
	free(s->rows.slots);
	free(s->servers.slots);
	net_set_fini(&s->nat);
	net_set_fini(&s->server_addrs);
	s->rows = rows;
	note_ports(s, f);
	s->servers = servers;
	s->nat = nat;
	s->server_addrs = addrs;
	s->nat_lo = f->nat_lo;
	s->nat_hi = f->nat_hi;
	s->nat_tcp = f->nat_tcp;
	return 0;
}

void mt_net_vips_use(struct mt_net *net, struct mt_net_vips *v, struct mt_net_old **old)
{
	v->old->served = atomic_load_explicit(&net->served, memory_order_relaxed);
	mark_known(net, &v->set->vips, v->old->served ? &v->old->served->vips : NULL);
	atomic_store_explicit(&net->served, v->set, memory_order_release);
	atomic_fetch_add_explicit(&net->conf_gen, 1, memory_order_release);
	retire(v->old, old);
	free(v);
}

int mt_net_set_vips_leaving(struct mt_net *net, const struct mt_addr *vips, uint32_t n,
	uint32_t n_leaving, struct mt_net_old **old)
{
	struct mt_net_vips *v = mt_net_vips_new(vips, n, n_leaving);

	if (!v)
		return -ENOMEM;
	mt_net_vips_use(net, v, old);
	return 0;
}
