/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS service: the addresses where it listens, the clients that it answers, and the servers to
 * which it forwards queries for other names.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLVED    "/run/systemd/resolve/resolv.conf"
#define LOOK_NS	    (5 * MT_SEC) /* interval between two reads of it */
/* Each forwarded query has a socket; the rest of the daemon needs few descriptors. */
#define FILES_WANTED (4ul * MT_DNS_WAITING_MAX)

/* Takes the addresses that the Node lists, else every port's own addresses. */
static void gather_addresses(struct daemon *d)
{
	const struct mt_node_dns *dns = d->node->dns;

	for (uint32_t i = 0; i < dns->n_addresses && d->n_dns_addrs < DNS_ADDRS_MAX; i++)
		d->dns_addrs[d->n_dns_addrs++] = dns->addresses[i].addr;
	for (uint32_t i = 0; i < d->node->n_ports && !dns->addresses_set; i++)
		for (uint32_t k = 0; k < d->node->ports[i].n_addresses; k++)
			if (d->n_dns_addrs < DNS_ADDRS_MAX)
				d->dns_addrs[d->n_dns_addrs++] =
					d->node->ports[i].addresses[k].addr;
	for (uint32_t i = 0; d->node->guests && i < d->node->guests->n_networks; i++)
		if (!dns->addresses_set && d->n_dns_addrs < DNS_ADDRS_MAX)
			d->dns_addrs[d->n_dns_addrs++] = d->node->guests->networks[i].address.addr;
}

static bool allow(struct daemon *d, const struct mt_addr *a, uint8_t bits)
{
	return mt_dns_allow_add(&d->dns_allow, a, bits);
}

/* Allows the addresses at the kernel's end of a TAP, which is the host itself. */
static bool allow_kernel(struct daemon *d, const struct mt_node_port *p)
{
	struct mt_addr a;
	uint8_t bits;
	bool all = true;

	for (uint32_t i = 0; i < p->n_kernel_addresses; i++)
		if (mt_prefix_parse(p->kernel_addresses[i].s, &a, &bits) == 0)
			all &= allow(d, &a, bits);
	return all;
}

static bool allow_port(struct daemon *d, const struct mt_node_port *p)
{
	bool all = true;

	for (uint32_t i = 0; i < p->n_addresses; i++)
		all &= allow(d, &p->addresses[i].addr, p->addresses[i].prefix);
	return allow_kernel(d, p) && all;
}

/*
 * Allows the clients that the Node lists, else those on the links of the ports and programs on the
 * host.
 */
static void gather_allowed(struct daemon *d)
{
	static const struct mt_addr one6 = {.b = {[15] = 1}};
	const struct mt_node_dns *dns = d->node->dns;
	const struct mt_addr own4 = mt_addr4(0x0000007f);
	bool all = true;

	if (!dns->allow_set)
		(void)(allow(d, &own4, 8) && allow(d, &one6, 128));
	for (uint32_t i = 0; i < dns->n_allow; i++)
		all &= allow(d, &dns->allow[i].addr, dns->allow[i].prefix);
	for (uint32_t i = 0; i < d->node->n_ports && !dns->allow_set; i++)
		all &= allow_port(d, &d->node->ports[i]);
	for (uint32_t i = 0; d->node->guests && !dns->allow_set && i < d->node->guests->n_networks;
		i++)
		all &= allow(d, &d->node->guests->networks[i].address.addr,
			d->node->guests->networks[i].address.prefix);
	if (!all)
		mt_log(MT_LOG_WARN, "dns",
			"the ports have more than %u networks: names are answered for the first "
			"ones (write spec.dns.allow)",
			MT_DNS_ALLOW_MAX);
}

/*
 * The host's servers without Meltemi itself: if the host sends its queries to Meltemi, they must
 * not be forwarded back.
 */
static uint32_t servers_of_host(
	const struct daemon *d, struct mt_dns_address servers[MT_DNS_SERVERS_MAX])
{
	static const struct mt_dns_host_files files = {RESOLV_CONF, RESOLVED};
	struct mt_dns_address found[MT_DNS_SERVERS_MAX];
	uint32_t n = mt_dns_host_servers(&files, &d->node->dns->listen_addr, found), kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!mt_node_answers_names(d->node, &found[i].addr, found[i].port))
			servers[kept++] = found[i];
	return kept;
}

static void gather_servers(const struct daemon *d, struct mt_dns_server_conf *c)
{
	const struct mt_node_dns *dns = d->node->dns;

	for (uint32_t i = 0; i < dns->n_upstream && i < MT_DNS_SERVERS_MAX; i++)
		c->servers[c->n_servers++] =
			(struct mt_dns_address){dns->upstream[i].addr, dns->upstream[i].port};
	if (dns->upstream_set)
		return;
	c->servers_change = true;
	c->n_servers = servers_of_host(d, c->servers);
	if (c->n_servers == 0)
		mt_log(MT_LOG_WARN, "dns",
			"%s names no other server: names that are not the mesh's are refused "
			"until it does (or write spec.dns.upstream)",
			RESOLV_CONF);
}

/*
 * Follows resolv.conf: a booting machine may learn its servers after Meltemi starts, and one that
 * moves gets others.
 */
static void follow_host(struct daemon *d, uint64_t now)
{
	struct mt_dns_address servers[MT_DNS_SERVERS_MAX];
	uint32_t n;

	if (d->node->dns->upstream_set || now < d->dns_look)
		return;
	d->dns_look = now + LOOK_NS;
	n = servers_of_host(d, servers);
	if (mt_dns_server_ask(d->dns, servers, n, now))
		mt_log(MT_LOG_INFO, "dns", "%s names %u other servers now", RESOLV_CONF, n);
}

static void want_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= FILES_WANTED)
		return;
	r.rlim_cur = MT_MIN((rlim_t)FILES_WANTED, r.rlim_max);
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

int dns_start(struct daemon *d, struct mt_err *e)
{
	struct mt_dns_server_conf c = {.workers = 0};

	if (!d->node->dns)
		return 0;
	gather_addresses(d);
	gather_allowed(d);
	c.allow = &d->dns_allow;
	gather_servers(d, &c);
	c.listen = (struct mt_dns_address){d->node->dns->listen_addr, d->node->dns->listen_port};
	c.workers = d->n_dns_addrs ? d->n_workers : 0;
	want_files();
	d->dns = mt_dns_server_new(&c, mt_clock_now(&d->clock), e);
	return d->dns ? 0 : -EINVAL;
}

void dns_stop(struct daemon *d)
{
	mt_dns_server_free(d->dns);
	d->dns = NULL;
}

int dns_listen(struct daemon *d)
{
	struct epoll_event ev = {.events = EPOLLIN};

	if (!d->dns)
		return 0;
	ev.data.fd = mt_dns_server_fd(d->dns);
	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) ? -errno : 0;
}

/* The table stays valid, because it belongs to the snapshot and only this thread frees that. */
void dns_turn(struct daemon *d, uint64_t now)
{
	const struct mt_snapshot *s = mt_conf_current(d->conf);

	follow_host(d, now);
	mt_dns_server_turn(d->dns, s ? s->dns : NULL, now);
}
