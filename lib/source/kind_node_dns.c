/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the Node's `dns`. */
#include "mt_dns_guard.h"
#include "mt_dns_server.h"
#include "mt_fields.h"

#include <string.h>

#define DNS_PORT     53
#define LISTEN	     "127.0.0.1:15053" /* agents of a mesh listen there, too */
#define TTL_MS	     30000
#define TTL_MAX_MS   86400000
#define LIST_OF_ADDR "a list of addresses"

static void read_listen(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_dns *d = obj;
	struct mt_dns_address a;

	if (!mt_read_text(c, n, &d->listen) || strcmp(d->listen.s, "none") == 0)
		return;
	if (mt_dns_address_parse(d->listen.s, 0, &a) || !a.port) {
		mt_f_error(c, n->line, "write it like 127.0.0.1:15053, or `none`",
			"\"%.64s\" is not an address with a port", n->text);
		return;
	}
	d->listen_addr = a.addr;
	d->listen_port = a.port;
}

static void read_addresses(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_dns *d = obj;

	if (!mt_want_list(c, n, LIST_OF_ADDR))
		return;
	d->addresses_set = true;
	d->addresses = mt_region_alloc(&c->model->region, sizeof(*d->addresses) * (n->n + 1));
	if (!d->addresses)
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		struct mt_node_addr *a = &d->addresses[d->n_addresses];
		uint32_t mark = mt_path_push_index(c, d->n_addresses++);

		if (mt_read_item(c, k, &a->text) && mt_addr_parse(a->text.s, &a->addr))
			mt_f_error(c, k->line, "write it like 192.0.2.1 or 2001:db8::1",
				"\"%.64s\" is not an address", k->text);
		mt_path_pop(c, mark);
	}
}

static void read_allow(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_dns *d = obj;

	if (!mt_want_list(c, n, "a list of networks"))
		return;
	if (n->n > MT_DNS_ALLOW_MAX) {
		mt_f_error(c, n->line, "64 at most: write larger networks", "too many entries");
		return;
	}
	if (n->n == 0)
		mt_f_error(c, n->line, "leave it out, or write networks",
			"no client would be answered");
	d->allow_set = true;
	d->allow = mt_region_alloc(&c->model->region, sizeof(*d->allow) * (n->n + 1));
	if (!d->allow)
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		struct mt_node_addr *a = &d->allow[d->n_allow];
		uint32_t mark = mt_path_push_index(c, d->n_allow++);

		if (mt_read_item(c, k, &a->text) &&
			mt_prefix_parse(a->text.s, &a->addr, &a->prefix))
			mt_f_error(c, k->line, "write it like 10.0.0.0/8 or 2001:db8::/32",
				"\"%.64s\" is not a network", k->text);
		mt_path_pop(c, mark);
	}
}

static void read_upstream(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_dns *d = obj;

	if (!mt_want_list(c, n, LIST_OF_ADDR))
		return;
	d->upstream_set = true;
	d->upstream = mt_region_alloc(&c->model->region, sizeof(*d->upstream) * (n->n + 1));
	if (!d->upstream)
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		struct mt_node_server *s = &d->upstream[d->n_upstream];
		uint32_t mark = mt_path_push_index(c, d->n_upstream++);
		struct mt_dns_address a = {.port = 0};

		if (mt_read_item(c, k, &s->text) && mt_dns_address_parse(s->text.s, DNS_PORT, &a))
			mt_f_error(c, k->line, "write it like 192.0.2.53 or 192.0.2.53:5353",
				"\"%.64s\" is not an address", k->text);
		s->addr = a.addr;
		s->port = a.port;
		mt_path_pop(c, mark);
	}
}

static void read_zones(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_dns *d = obj;

	d->zones_set = mt_read_hosts(c, n, &d->zones, &d->n_zones);
}

static void read_search(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_dns *d = obj;

	d->search_set = mt_read_hosts(c, n, &d->search, &d->n_search);
}

static void defaults(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_dns *d = obj;
	struct mt_dns_address a;

	if (!d->listen.s && mt_dns_address_parse(LISTEN, 0, &a) == 0) {
		d->listen_addr = a.addr;
		d->listen_port = a.port;
	}
	if (!d->ttl.set)
		d->ttl.v = TTL_MS;
	if (!d->domain.s)
		d->domain.s = "cluster.local";
}

static const struct mt_field dns_fields[] = {
	{"listen", MT_F_CUSTOM, .custom = read_listen,
		.help = "ADDRESS:PORT of the host's kernel for programs of the host, by UDP and "
			"TCP; "
			"default: " LISTEN "; `none`: not there"},
	{"addresses", MT_F_CUSTOM, .custom = read_addresses,
		.help = "addresses for queries by the ports, at port 53; default: all addresses of "
			"the ports; `[]`: none"},
	{"allow", MT_F_CUSTOM, .custom = read_allow,
		.help = "networks of clients that get answers, others get REFUSED; default: those "
			"of the ports' addresses and kernelAddresses, and loopback; `[0.0.0.0/0, "
			"\"::/0\"]`: all"},
	{"upstream", MT_F_CUSTOM, .custom = read_upstream,
		.help = "servers for all other names in the order of use, with :PORT if it is not "
			"53; default: those of /etc/resolv.conf, or those of systemd-resolved; "
			"`[]`: none"},
	{"ttl", MT_F_DURATION, AT(struct mt_node_dns, ttl), .max = TTL_MAX_MS,
		.help = "how long clients may cache an answer; default: 30s, at most 24h"},
	{"domain", MT_F_TEXT, AT(struct mt_node_dns, domain), .host = true,
		.help = "domain of hosts NAME.NAMESPACE.svc.DOMAIN, which also have short names; "
			"default: cluster.local"},
	{"zones", MT_F_CUSTOM, .custom = read_zones,
		.help = "domains of the mesh: other names in them do not exist; default: "
			"svc.DOMAIN"},
	{"search", MT_F_CUSTOM, .custom = read_search,
		.help = "suffixes that clients' resolvers append: HOST.SEARCH is HOST; default: "
			"NAMESPACE.svc.DOMAIN, svc.DOMAIN, DOMAIN, with the Node's namespace"},
};

const struct mt_section mt_sec_node_dns = {"DNS setting", sizeof(struct mt_node_dns),
	MT_ARRAY_LEN(dns_fields), .fields = dns_fields, .after = defaults};
