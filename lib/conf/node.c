/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Node document says about the network, checked against itself: what would only show at start,
 * or on the wire, is told by `--check`. Devices and the machine are the daemon's to look at.
 */
#include "mt_conf_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define PORT_NAME_MAX 31 /* struct mt_port holds the name */
#define KERNEL_MAX    16 /* addresses, and routes, of one port's kernel side */

struct node_check {
	struct mt_build *b;
	const struct mt_node *n;
};

/* Names of ports stand in commands, counters and logs; the Node's names a directory of the EAL. */
static bool is_name(const char *s, size_t max)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] >= 0x80 ||
			(!isalnum((unsigned char)s[i]) && !strchr("._-", s[i])))
			return false;
	return len > 0 && len <= max && isalnum((unsigned char)s[0]);
}

/* ---- addresses ---------------------------------------------------------------------------------- */

/* Where an address of the node was written before. */
static const struct mt_node_addr *written_before(
	const struct mt_node *n, uint32_t port, uint32_t k, const struct mt_addr *a)
{
	for (uint32_t i = 0; i <= port && i < n->n_ports; i++)
		for (uint32_t j = 0; j < n->ports[i].n_addresses && (i < port || j < k); j++)
			if (mt_addr_eq(&n->ports[i].addresses[j].addr, a))
				return &n->ports[i].addresses[j];
	return NULL;
}

/* The port before this one that is in the same network; NULL: none. */
static const struct mt_node_port *shares_network(
	const struct mt_node *n, uint32_t port, const struct mt_node_addr *a)
{
	for (uint32_t i = 0; i < port; i++)
		for (uint32_t j = 0; j < n->ports[i].n_addresses; j++) {
			const struct mt_node_addr *other = &n->ports[i].addresses[j];

			if (other->prefix == a->prefix &&
				mt_addr_is4(&other->addr) == mt_addr_is4(&a->addr) &&
				mt_prefix_contains(&other->addr, other->prefix, &a->addr))
				return &n->ports[i];
		}
	return NULL;
}

/* Packets to a network leave by one port, so the neighbours of the other would never be reached. */
static void check_shared(struct node_check *c, uint32_t i, uint32_t k, const char *path)
{
	const struct mt_node_addr *a = &c->n->ports[i].addresses[k];
	const struct mt_node_port *other = shares_network(c->n, i, a);

	if (other)
		mt_b_warn(c->b, &c->n->meta, a->text.line, path,
			"give the ports networks of their own, or one port both addresses",
			"%.64s is in a network of port %.64s: packets to it leave by one port only",
			a->text.s, other->name.s ? other->name.s : "?");
}

static void check_address(struct node_check *c, uint32_t i, uint32_t k)
{
	const struct mt_node_addr *a = &c->n->ports[i].addresses[k];
	const struct mt_node_addr *first = written_before(c->n, i, k, &a->addr);
	const char *why = mt_addr_unusable(&a->addr);
	char path[64];

	snprintf(path, sizeof(path), "spec.ports[%u].addresses[%u]", i, k);
	if (why)
		mt_b_node_error(c->b, a->text.line, path, "write the port's own address",
			"%.64s is %s", a->text.s, why);
	else if (!strchr(a->text.s, '/') || a->prefix == 0)
		mt_b_node_error(c->b, a->text.line, path,
			mt_addr_is4(&a->addr) ? "write it like 192.0.2.1/24"
					      : "write it like 2001:db8::1/64",
			"%.64s has no prefix length", a->text.s);
	else if ((why = mt_addr_not_a_host(&a->addr, a->prefix)) != NULL)
		mt_b_node_error(c->b, a->text.line, path, "write the port's own address in it",
			"%.64s is %s", a->text.s, why);
	else if (first)
		mt_b_node_error(c->b, a->text.line, path, "give each port its own addresses",
			"%.64s is written twice, first on line %u", a->text.s, first->text.line);
	else
		check_shared(c, i, k, path);
}

/* A network of one address has no neighbours. A TAP's kernel side, and a route, may be others. */
static void check_alone(struct node_check *c, uint32_t i)
{
	const struct mt_node_port *p = &c->n->ports[i];
	char path[40];

	for (uint32_t k = 0; k < p->n_addresses; k++)
		if (p->addresses[k].prefix < (mt_addr_is4(&p->addresses[k].addr) ? 32 : 128))
			return;
	for (uint32_t k = 0; k < c->n->n_routes; k++)
		if (c->n->routes[k].port.s && p->name.s &&
			strcmp(c->n->routes[k].port.s, p->name.s) == 0)
			return;
	if (!p->n_addresses || p->n_kernel_addresses || p->n_kernel_routes ||
		p->side.v == MT_SIDE_WORKLOADS)
		return;
	snprintf(path, sizeof(path), "spec.ports[%u].addresses", i);
	mt_b_warn(c->b, &c->n->meta, p->addresses[0].text.line, path,
		"write the prefix length of the link's network",
		"%.64s is a network of one address: port %.64s reaches no peer",
		p->addresses[0].text.s, p->name.s ? p->name.s : "?");
}

#define IP6_MTU_MIN 1280 /* RFC 8200 §5 */

static void check_mtu(struct node_check *c, uint32_t i)
{
	const struct mt_node_port *p = &c->n->ports[i];
	char path[40];

	snprintf(path, sizeof(path), "spec.ports[%u].mtu", i);
	for (uint32_t k = 0; k < p->n_addresses && p->mtu.v; k++)
		if (!mt_addr_is4(&p->addresses[k].addr) && p->mtu.v < IP6_MTU_MIN) {
			mt_b_node_error(c->b, p->mtu.line, path,
				"make it at least 1280, or take the IPv6 address away",
				"IPv6 needs 1280 bytes (%.64s is on this port)",
				p->addresses[k].text.s);
			return;
		}
}

static void check_sources(struct node_check *c)
{
	for (uint32_t i = 0; i < c->n->n_source_addresses; i++) {
		const struct mt_node_addr *a = &c->n->source_addresses[i];
		const char *why = mt_addr_unusable(&a->addr);
		char path[48];

		snprintf(path, sizeof(path), "spec.sourceAddresses[%u]", i);
		if (why)
			mt_b_node_error(c->b, a->text.line, path,
				"write addresses that are routed to this node", "%.64s is %s",
				a->text.s, why);
		for (uint32_t k = 0; k < i && !why; k++)
			if (mt_addr_eq(&c->n->source_addresses[k].addr, &a->addr))
				why = "written twice";
		if (!why && mt_b_own_port(c->b, &a->addr))
			why = "a port's own address, which is used anyway";
		if (why && !mt_addr_unusable(&a->addr))
			mt_b_note(c->b, &c->n->meta, a->text.line, path, "remove it", "%.64s is %s",
				a->text.s, why);
	}
}

/* Replies to NAT addresses are of forwarded flows only, so nothing else of the node has one. */
static void check_nat(struct node_check *c)
{
	const struct mt_node_nat *nat = c->n->nat;

	for (uint32_t i = 0; nat && i < nat->n_addresses; i++) {
		const struct mt_node_addr *a = &nat->addresses[i];
		const char *why = mt_addr_unusable(&a->addr);
		char path[48];

		for (uint32_t k = 0; k < i && !why; k++)
			if (mt_addr_eq(&nat->addresses[k].addr, &a->addr))
				why = "written twice";
		if (!why && mt_b_own_port(c->b, &a->addr))
			why = "a port's own address; without `addresses` these are used";
		snprintf(path, sizeof(path), "spec.nat.addresses[%u]", i);
		if (why)
			mt_b_node_error(c->b, a->text.line, path,
				"write addresses that are routed to this node", "%.64s is %s",
				a->text.s, why);
	}
}

/* ---- the kernel's side of a TAP ------------------------------------------------------------------ */

static void check_kernel_address(struct node_check *c, const struct mt_text *t, const char *path)
{
	struct mt_addr a;
	uint8_t prefix;

	if (mt_prefix_parse(t->s, &a, &prefix) || !strchr(t->s, '/'))
		mt_b_node_error(c->b, t->line, path, "write it like 10.0.0.2/24",
			"\"%.64s\" is not an address with its prefix", t->s);
	else if (mt_addr_unusable(&a))
		mt_b_node_error(c->b, t->line, path, "write an address for this host's kernel",
			"%.64s is %s", t->s, mt_addr_unusable(&a));
	else if (mt_addr_not_a_host(&a, prefix))
		mt_b_node_error(c->b, t->line, path, "write an address for this host's kernel",
			"%.64s is %s", t->s, mt_addr_not_a_host(&a, prefix));
	else if (mt_b_own_port(c->b, &a))
		mt_b_node_error(c->b, t->line, path, "give the kernel's side another address",
			"%.64s is Meltemi's own: the kernel would answer in its place", t->s);
}

/* The network with its host bits cleared, as it should have been written. */
static char *network_str(struct mt_addr a, uint8_t prefix, char buf[MT_ADDR_STRLEN])
{
	unsigned int from = mt_addr_is4(&a) ? 96u + prefix : prefix;
	size_t len;

	for (unsigned int i = from; i < 128; i++)
		a.b[i / 8] &= (uint8_t) ~(1u << (7 - i % 8));
	mt_addr_str(&a, buf);
	len = strlen(buf);
	snprintf(buf + len, MT_ADDR_STRLEN - len, "/%u", prefix);
	return buf;
}

/* Whether bits are set behind the prefix; *network receives what was probably meant. */
static bool has_host_bits(const struct mt_addr *a, uint8_t prefix, char network[MT_ADDR_STRLEN])
{
	struct mt_addr whole;
	uint8_t p;

	network_str(*a, prefix, network);
	return mt_prefix_parse(network, &whole, &p) == 0 && !mt_addr_eq(&whole, a);
}

static void check_network(struct node_check *c, const struct mt_text *t, const char *path)
{
	char network[MT_ADDR_STRLEN], remedy[96];
	struct mt_addr a;
	uint8_t prefix;

	if (mt_prefix_parse(t->s, &a, &prefix)) {
		mt_b_node_error(c->b, t->line, path, "write it like 240.240.0.0/16",
			"\"%.64s\" is not a network", t->s);
	} else if (has_host_bits(&a, prefix, network)) {
		snprintf(remedy, sizeof(remedy), "write %s", network);
		mt_b_node_error(
			c->b, t->line, path, remedy, "%.64s has bits set after its prefix", t->s);
	}
}

static void check_kernel_side(struct node_check *c, uint32_t i)
{
	const struct mt_node_port *p = &c->n->ports[i];
	char path[64];

	if (p->n_kernel_addresses > KERNEL_MAX || p->n_kernel_routes > KERNEL_MAX) {
		bool routes = p->n_kernel_routes > KERNEL_MAX;

		snprintf(path, sizeof(path), "spec.ports[%u].kernel%s", i,
			routes ? "Routes" : "Addresses");
		mt_b_node_error(c->b,
			(routes ? p->kernel_routes : p->kernel_addresses)[KERNEL_MAX].line, path,
			"16 at most", "too many entries");
	}
	for (uint32_t k = 0; k < p->n_kernel_addresses; k++) {
		snprintf(path, sizeof(path), "spec.ports[%u].kernelAddresses[%u]", i, k);
		check_kernel_address(c, &p->kernel_addresses[k], path);
	}
	for (uint32_t k = 0; k < p->n_kernel_routes; k++) {
		snprintf(path, sizeof(path), "spec.ports[%u].kernelRoutes[%u]", i, k);
		check_network(c, &p->kernel_routes[k], path);
	}
}

/* ---- ports and routes ---------------------------------------------------------------------------- */

static const struct mt_node_port *find_port(const struct mt_node *n, const char *name)
{
	for (uint32_t i = 0; i < n->n_ports; i++)
		if (n->ports[i].name.s && strcmp(n->ports[i].name.s, name) == 0)
			return &n->ports[i];
	return NULL;
}

/* What the kernel sends by a TAP leaves by one port, so hosts at another get no answer. */
static void check_shared_tap(struct node_check *c, uint32_t i, const char *path)
{
	const struct mt_node_port *p = &c->n->ports[i];

	for (uint32_t k = 0; k < i; k++) {
		const struct mt_node_port *other = &c->n->ports[k];

		if (!other->exception.s || strcmp(other->exception.s, p->exception.s) != 0)
			continue;
		mt_b_warn(c->b, &c->n->meta, p->exception.line, path,
			"give each port a TAP of its own",
			"%.64s is the exception of port %.64s, too: what the kernel sends leaves "
			"by one of them only",
			p->exception.s, other->name.s ? other->name.s : "?");
		return;
	}
}

static void check_port(struct node_check *c, uint32_t i)
{
	const struct mt_node_port *p = &c->n->ports[i], *exception;
	char path[48];

	snprintf(path, sizeof(path), "spec.ports[%u].name", i);
	if (!is_name(p->name.s, PORT_NAME_MAX))
		mt_b_node_error(c->b, p->name.line, path,
			"letters, digits, dots, dashes and underscores, 31 at most",
			"\"%.64s\" is not a name for a port", p->name.s);
	for (uint32_t k = 0; k < p->n_addresses; k++)
		check_address(c, i, k);
	check_alone(c, i);
	check_mtu(c, i);
	check_kernel_side(c, i);
	if (!p->exception.s)
		return;
	exception = find_port(c->n, p->exception.s);
	snprintf(path, sizeof(path), "spec.ports[%u].exception", i);
	if (!exception)
		mt_b_node_error(c->b, p->exception.line, path,
			"write the name of another of spec.ports, a TAP", "no port \"%.64s\"",
			p->exception.s);
	else if (exception == p)
		mt_b_node_error(c->b, p->exception.line, path,
			"write the name of another of spec.ports, a TAP",
			"a port cannot be its own exception");
	else
		check_shared_tap(c, i, path);
}

/* A router must be on a network that the port, or any port, has an address of. */
static bool is_connected(
	const struct mt_node *n, const struct mt_node_port *only, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++) {
			const struct mt_node_addr *net = &n->ports[i].addresses[k];

			if ((!only || only == &n->ports[i]) &&
				mt_prefix_contains(&net->addr, net->prefix, a))
				return true;
		}
	return false;
}

/* True if the port has an address of the family; `alone`: one without a network, /32 or /128. */
static bool has_address(const struct mt_node_port *p, bool is4, bool alone)
{
	for (uint32_t k = 0; k < p->n_addresses; k++) {
		const struct mt_node_addr *a = &p->addresses[k];

		if (mt_addr_is4(&a->addr) == is4 && (!alone || a->prefix == (is4 ? 32 : 128)))
			return true;
	}
	return false;
}

/* A router at a link-local address, which leaves the link open. */
static void check_link_local(struct node_check *c, const struct mt_node_route *r, const char *path,
	const struct mt_node_port *port)
{
	if (!port)
		mt_b_node_error(c->b, r->via_text.line, path, "write the port, too: port: NAME",
			"%.64s may be on the link of any port", r->via_text.s);
	else if (!has_address(port, false, false))
		mt_b_node_error(c->b, r->via_text.line, path, "give the port an IPv6 address",
			"port %.64s has no IPv6 address, so %.64s is not reached by it",
			port->name.s, r->via_text.s);
}

/*
 * A router outside of all networks is on the link of the route's port, if an address of the port
 * has no network either, as in clouds. Otherwise the router's address is a mistake.
 */
static void check_via(struct node_check *c, const struct mt_node_route *r, uint32_t i,
	const struct mt_node_port *port)
{
	char path[48];

	snprintf(path, sizeof(path), "spec.routes[%u].via", i);
	if (mt_b_own_port(c->b, &r->via))
		mt_b_node_error(c->b, r->via_text.line, path, "write the next router's address",
			"%.64s is the node's own address", r->via_text.s);
	else if (mt_addr_is_link_local(&r->via))
		check_link_local(c, r, path, port);
	else if (!is_connected(c->n, port, &r->via) &&
		 !(port && has_address(port, mt_addr_is4(&r->via), true)))
		mt_b_node_error(c->b, r->via_text.line, path,
			port ? "write a router on a network that the port has an address of"
			     : "write a router on a network that a port has an address of, or the "
			       "port of its link, if that has an address without a network (/32)",
			"%.64s is on no network of %s%.64s", r->via_text.s,
			port ? "port " : "the ports", port ? port->name.s : "");
}

static void check_route(struct node_check *c, uint32_t i)
{
	const struct mt_node_route *r = &c->n->routes[i];
	const struct mt_node_port *port = r->port.s ? find_port(c->n, r->port.s) : NULL;
	char path[48], network[MT_ADDR_STRLEN], remedy[96];

	snprintf(path, sizeof(path), "spec.routes[%u].port", i);
	if (r->port.s && !port) {
		mt_b_node_error(c->b, r->port.line, path, "write the name of one of spec.ports",
			"no port \"%.64s\"", r->port.s);
		return;
	}
	snprintf(path, sizeof(path), "spec.routes[%u].to", i);
	if (has_host_bits(&r->to.addr, r->to.prefix, network)) {
		snprintf(remedy, sizeof(remedy), "write %s", network);
		mt_b_node_error(c->b, r->to.text.line, path, remedy,
			"%.64s has bits set after its prefix", r->to.text.s);
	}
	for (uint32_t k = 0; k < i; k++)
		if (mt_addr_eq(&c->n->routes[k].to.addr, &r->to.addr) &&
			c->n->routes[k].to.prefix == r->to.prefix)
			mt_b_node_error(c->b, r->to.text.line, path, "keep one of them",
				"%.64s is written twice, first on line %u", r->to.text.s,
				c->n->routes[k].to.text.line);
	if (r->via_text.s)
		check_via(c, r, i, port);
}

/* ---- the rest ------------------------------------------------------------------------------------ */

static void check_cores(struct node_check *c)
{
	const struct mt_node *n = c->n;

	if (n->n_cores && n->n_cores < n->workers.v)
		mt_b_node_error(c->b, n->cores[0].line, "spec.cores", "write one for each worker",
			"%u cores for %u workers", n->n_cores, n->workers.v);
	else if (n->n_cores > n->workers.v)
		mt_b_note(c->b, &c->n->meta, n->cores[0].line, "spec.cores",
			"set spec.workers, too",
			"%u cores for %u workers: the last ones are not used", n->n_cores,
			n->workers.v);
	for (uint32_t i = 1; i < n->n_cores; i++)
		for (uint32_t k = 0; k < i; k++)
			if (n->cores[k].v == n->cores[i].v)
				mt_b_note(c->b, &c->n->meta, n->cores[i].line, "spec.cores",
					"give each worker a core of its own",
					"core %u is written twice", n->cores[i].v);
}

static void check_socket(struct node_check *c, const struct mt_text *s, const char *field)
{
	struct sockaddr_un un;

	if (s->s && strlen(s->s) >= sizeof(un.sun_path))
		mt_b_node_error(c->b, s->line, field, "choose a shorter path",
			"%zu bytes are too long for a socket's path: %zu at most", strlen(s->s),
			sizeof(un.sun_path) - 1);
}

static void check_admin(struct node_check *c)
{
	const struct mt_node_admin *a = &c->n->admin;

	check_socket(c, &a->socket, "spec.admin.socket");
	check_socket(c, &a->view_socket, "spec.admin.viewSocket");
	if (a->view_group.s && !a->view_socket.s)
		mt_b_node_error(c->b, a->view_group.line, "spec.admin.viewGroup",
			"give spec.admin.viewSocket, too", "it has no socket to open");
}

void mt_b_node(struct mt_build *b)
{
	const struct mt_node *n = b->model->node;
	struct node_check c = {.b = b, .n = n};

	if (!n)
		return;
	if (!is_name(n->meta.name, 64))
		mt_b_node_error(b, n->meta.origin.line, "metadata.name",
			"letters, digits, dots, dashes and underscores, 64 at most",
			"\"%.96s\" is not a name for a node", n->meta.name);
	for (uint32_t i = 0; i < n->n_ports; i++)
		check_port(&c, i);
	for (uint32_t i = 0; i < n->n_routes; i++)
		check_route(&c, i);
	check_sources(&c);
	check_nat(&c);
	check_cores(&c);
	check_admin(&c);
}
