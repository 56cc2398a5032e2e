/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses can be served and reached. A mistake here would show as silence on the wire: packets
 * that no router carries, or a connection that the node opens to itself.
 */
#include "mt_conf_holders_priv.h"
#include "mt_conf_policy_priv.h"

#include "mt_owned.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* RFC 6890 and RFC 5771; 240.0.0.0/4 is not refused, because addresses are given from it. */
static const char *unusable4(uint32_t v)
{
	if (v == 0)
		return "every address";
	if (v == UINT32_MAX)
		return "the broadcast address";
	if (v >> 24 == 0)
		return "in 0.0.0.0/8, which no host has";
	if (v >> 24 == 127)
		return "a loopback address";
	if (v >> 28 == 14)
		return "a multicast address";
	return NULL;
}

/* RFC 4291 §2.5.2, §2.5.3, §2.7. */
const char *mt_addr_unusable(const struct mt_addr *a)
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (mt_addr_is4(a))
		return unusable4(ntohl(mt_addr_v4(a)));
	if (mt_addr_is_zero(a))
		return "every address";
	if (memcmp(a->b, loopback, sizeof(loopback)) == 0)
		return "a loopback address";
	return a->b[0] == 0xff ? "a multicast address" : NULL;
}

/* Whether all bits behind the prefix are `bit`. */
static bool host_bits(const struct mt_addr *a, uint8_t prefix, bool bit)
{
	unsigned int from = mt_addr_is4(a) ? 96u + prefix : prefix;

	for (unsigned int i = from; i < 128; i++)
		if ((a->b[i / 8] >> (7 - i % 8) & 1) != bit)
			return false;
	return true;
}

/* Point-to-point links have only hosts: RFC 3021, RFC 6164. */
const char *mt_addr_not_a_host(const struct mt_addr *a, uint8_t prefix)
{
	bool is4 = mt_addr_is4(a);

	if (prefix >= (is4 ? 31 : 127))
		return NULL;
	if (host_bits(a, prefix, false))
		return "the network itself";
	return is4 && host_bits(a, prefix, true) ? "the network's broadcast address" : NULL;
}

const struct mt_node_port *mt_b_own_port(const struct mt_build *b, const struct mt_addr *a)
{
	/* The one port of all guests is not written in the Node. */
	static const struct mt_node_port guests = {.name = {.s = "guests"}};
	const struct mt_node *n = b->model->node;

	if (n && mt_node_is_gateway(n, a))
		return &guests;
	for (uint32_t i = 0; n && i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++)
			if (mt_addr_eq(&n->ports[i].addresses[k].addr, a))
				return &n->ports[i];
	return NULL;
}

bool mt_b_reaches(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node *n = b->conf->started_as ? b->conf->started_as : b->model->node;

	return !n || mt_node_reaches(n, a);
}

/* The first address of the network, or with `bit` the last. */
static struct mt_addr with_host_bits(const struct mt_node_addr *net, bool bit)
{
	unsigned int from = mt_addr_is4(&net->addr) ? 96u + net->prefix : net->prefix;
	struct mt_addr a = net->addr;

	for (unsigned int i = from; i < 128; i++) {
		uint8_t mask = (uint8_t)(1u << (7 - i % 8));

		a.b[i / 8] = bit ? a.b[i / 8] | mask : a.b[i / 8] & (uint8_t)~mask;
	}
	return a;
}

/*
 * True for a network with the address that has none but those of hosts' own services. Its first and
 * last address show it: the networks of the list have 8 bits at least.
 */
static bool is_named_by(const struct mt_node_addr *net, const struct mt_addr *a)
{
	const struct mt_addr first = with_host_bits(net, false), last = with_host_bits(net, true);

	return net->prefix >= 8 && mt_prefix_contains(&net->addr, net->prefix, a) &&
	       mt_jwks_is_listed(&first) && mt_jwks_is_listed(&last);
}

/* True if a network or route of the Node is for such an address, and not for others, too. */
static bool node_names(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node *n = b->conf->started_as ? b->conf->started_as : b->model->node;

	for (uint32_t i = 0; n && i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++)
			if (is_named_by(&n->ports[i].addresses[k], a))
				return true;
	for (uint32_t i = 0; n && i < n->n_routes; i++)
		if (is_named_by(&n->routes[i].to, a))
			return true;
	return false;
}

/*
 * True for an address of the link, or of a cloud's services for its hosts, that the object may not
 * have as an endpoint: the node would ask for the secrets of its host on behalf of any client.
 */
static bool is_for_host(
	const struct mt_build *b, const struct mt_meta *meta, const struct mt_addr *a)
{
	return mt_jwks_is_listed(a) && strcmp(meta->ns, mt_b_root_namespace(b)) != 0 &&
	       !node_names(b, a);
}

/* Why no host can have it because of the networks that the node is connected to. */
static const char *not_a_host_here(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node *n = b->model->node;
	const struct mt_guest_network *of_guests;

	for (uint32_t i = 0; n && i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++) {
			const struct mt_node_addr *net = &n->ports[i].addresses[k];

			if (mt_prefix_contains(&net->addr, net->prefix, a))
				return mt_addr_not_a_host(a, net->prefix);
		}
	of_guests = n ? mt_node_guest_network(n, a) : NULL;
	return of_guests ? mt_addr_not_a_host(a, of_guests->address.prefix) : NULL;
}

static bool is_router(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_routes; i++)
		if (n->routes[i].via_text.s && mt_addr_eq(&n->routes[i].via, a))
			return true;
	return false;
}

static bool is_workload(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_workloads; k++)
			if (mt_addr_eq(&n->ports[i].workloads[k].address, a))
				return true;
	return false;
}

static bool is_dns_server(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node_dns *d = b->model->node ? b->model->node->dns : NULL;

	for (uint32_t i = 0; d && i < d->n_upstream; i++)
		if (mt_addr_eq(&d->upstream[i].addr, a))
			return true;
	return false;
}

const char *mt_b_not_servable(const struct mt_build *b, const struct mt_addr *a)
{
	const char *why = mt_addr_unusable(a);

	if (!why)
		why = not_a_host_here(b, a);
	if (!why && is_router(b, a))
		why = "the router of one of the Node's routes";
	if (!why && mt_b_is_nat(b, a))
		why = "an address of the Node's spec.nat";
	if (!why && is_workload(b, a))
		why = "a workload's, which the Node lists at a port";
	if (!why && is_dns_server(b, a))
		why = "a server of the Node's spec.dns.upstream";
	if (!why)
		why = mt_b_of_kernel(b, a);
	return why;
}

bool mt_b_serve_address(struct mt_build *b, const struct mt_meta *meta, uint32_t line,
	const char *path, const struct mt_addr *a)
{
	const char *why = mt_b_not_servable(b, a);
	const struct mt_node_port *own = mt_b_own_port(b, a);
	char text[MT_ADDR_STRLEN];

	if (why) {
		mt_b_error(b, meta, line, path, "write an address that only this service has",
			"%s is %s", mt_addr_str(a, text), why);
		return false;
	}
	if (own)
		mt_b_note(b, meta, line, path,
			"give the service an address of its own, or write a Gateway",
			"%s is the own address of port %.64s: the node answers for it "
			"with this service",
			mt_addr_str(a, text), own->name.s ? own->name.s : "?");
	return true;
}

/* ---- instances ---------------------------------------------------------------------------------- */

/* An address that some service has. */
struct served {
	struct mt_addr addr;
	const struct mt_host *host;
	struct served *next; /* another address of the same hash */
};

struct instances {
	struct mt_build *b;
	struct mt_idmap served;	 /* struct served, by hash */
	struct mt_idmap current; /* addresses of endpoints in the current snapshot, if indexed */
	bool indexed;
};

static struct served *find_served(struct served *s, const struct mt_addr *a)
{
	while (s && !mt_addr_eq(&s->addr, a))
		s = s->next;
	return s;
}

/* True if documents have an endpoint with the address in the configuration in force. */
static bool was_endpoint(struct instances *in, const struct mt_addr *a)
{
	const struct mt_snapshot *s = in->b->conf->current;
	uint32_t n = s ? mt_container_of(s, struct mt_snap, pub)->n_doc_clusters : 0;

	for (uint32_t i = 0; i < n && !in->indexed; i++)
		for (uint32_t k = 0; k < s->clusters[i].n_eps; k++)
			if (mt_idmap_put(
				    &in->current, mt_id_of_addr(&s->clusters[i].eps[k].addr), in))
				in->b->tmp.failed = true;
	in->indexed = true;
	return mt_idmap_get(&in->current, mt_id_of_addr(a)) != NULL;
}

/*
 * True if the endpoint keeps an address that a document wants to serve. The address stays what it
 * is in the configuration in force, so that no author takes an endpoint from another by a service
 * at its address.
 */
static bool keeps(struct instances *in, const struct mt_meta *meta, const struct mt_addr *a,
	const struct mt_host *by)
{
	uint64_t place = mt_id_of_addr(a);
	unsigned int endpoint, service;

	if (meta->serial == by->se->meta.serial || mt_b_is_wrong(in->b, meta))
		return false;
	/* Only the owner, and sources without `namespaces`, can serve it. */
	if (mt_owned_is_address(in->b->model->owned, a))
		return false;
	service = mt_b_claim(in->b, place, &by->se->meta);
	endpoint = mt_b_claim(in->b, place, meta);
	/* An endpoint holds nothing by itself: only what it was is left to be compared. */
	if (service < MT_CLAIM_NOT_HELD)
		return false;
	endpoint %= MT_CLAIM_NOT_HELD;
	service %= MT_CLAIM_NOT_HELD;
	if ((endpoint & MT_STANDING_LIMITED) > (service & MT_STANDING_LIMITED))
		return false;
	return was_endpoint(in, a) || endpoint < service;
}

static void bad_address(struct mt_build *b, const struct mt_host *h, const struct mt_addr *a,
	const struct mt_meta *of)
{
	const struct mt_service_entry *se = h->se;
	char text[MT_ADDR_STRLEN], path[MT_INDEX_PATH];
	struct mt_addr own;
	uint8_t prefix;
	uint32_t i = 0;

	while (i < se->n_addresses && (mt_prefix_parse(se->addresses[i].s, &own, &prefix) ||
					      !mt_prefix_contains(&own, prefix, a)))
		i++;
	mt_b_error(b, &se->meta, i < se->n_addresses ? se->addresses[i].line : se->hosts[0].line,
		i < se->n_addresses ? mt_index_path(path, "spec.addresses", i, "")
				    : "spec.hosts[0]",
		"write an address that only this service has",
		"%s is the address of an endpoint of %s %.64s/%.128s at %.128s:%u, which was there "
		"first",
		mt_addr_str(a, text), of->kind, of->ns, of->name,
		of->origin.file ? of->origin.file : "?", of->origin.line);
}

/* The host that serves the address, so that `meta` has no endpoint there; NULL: none does. */
static const struct mt_host *who_serves(
	struct instances *in, const struct mt_meta *meta, const struct mt_addr *a)
{
	const struct served *s = find_served(mt_idmap_get(&in->served, mt_id_of_addr(a)), a);

	if (!s || mt_b_is_wrong(in->b, &s->host->se->meta))
		return NULL;
	if (!keeps(in, meta, a, s->host))
		return s->host;
	bad_address(in->b, s->host, a, meta);
	return NULL;
}

static void add_served(struct instances *in, const struct mt_addr *a, const struct mt_host *h)
{
	uint64_t id = mt_id_of_addr(a);
	struct served *first = mt_idmap_get(&in->served, id), *s;

	if (find_served(first, a))
		return;
	s = mt_region_alloc(&in->b->tmp, sizeof(*s));
	if (s)
		*s = (struct served){*a, h, first};
	if (!s || mt_idmap_put(&in->served, id, s))
		in->b->tmp.failed = true;
}

/*
 * Indexes the addresses of all services that are not refused, because ten thousand instances may be
 * looked up in them.
 */
static void index_served(struct instances *in)
{
	struct mt_build *b = in->b;

	if (mt_idmap_reserve(&in->served, b->n_hosts))
		b->tmp.failed = true;
	for (uint32_t i = 0; i < b->n_hosts; i++)
		for (uint32_t k = 0;
			k < b->host_list[i].n_addrs && !mt_b_is_wrong(b, &b->host_list[i].se->meta);
			k++)
			add_served(in, &b->host_list[i].addrs[k], &b->host_list[i]);
}

/* The path is only written when it is needed: there may be ten thousand instances. */
static void bad_instance(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_workload *w, uint32_t i, const char *why, const char *name)
{
	char path[MT_CONF_PATH];

	mt_b_error(b, meta, w->address_text.line, mt_b_endpoint_path(i, "address", path),
		"write the address of the host where the endpoint runs", "%.64s is %s%s%.128s",
		w->address_text.s, why, *name ? " " : "", name);
}

static void for_host(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_workload *w, uint32_t i)
{
	char path[MT_CONF_PATH];

	mt_b_error(b, meta, w->address_text.line, mt_b_endpoint_path(i, "address", path),
		"if clients may reach it, write a route of the Node for this address alone",
		"%.64s is an address of the link, or of a cloud's services for its hosts, and no "
		"network of the Node names it",
		w->address_text.s);
}

static void check_instance(
	struct instances *in, const struct mt_meta *meta, const struct mt_workload *w, uint32_t i)
{
	const char *why = mt_addr_unusable(&w->address);
	const struct mt_node_port *own;
	const struct mt_host *other;

	if (!mt_b_has_address(w))
		return;
	if (!why)
		why = not_a_host_here(in->b, &w->address);
	if (!why && mt_b_is_nat(in->b, &w->address))
		why = "an address of the Node's spec.nat";
	if (why) {
		bad_instance(in->b, meta, w, i, why, "");
		return;
	}
	if (is_for_host(in->b, meta, &w->address)) {
		for_host(in->b, meta, w, i);
		return;
	}
	own = mt_b_own_port(in->b, &w->address);
	other = who_serves(in, meta, &w->address);
	if (other)
		bad_instance(in->b, meta, w, i,
			"an address that this node itself answers, so calls would come "
			"back: it serves",
			other->se->hosts[0].s);
	else if (own)
		bad_instance(in->b, meta, w, i,
			"an address that this node itself answers, so calls would come "
			"back: that of port",
			own->name.s ? own->name.s : "?");
}

/* What a name leads to may change at any time: an address that comes back here is not used, and refuses nothing. */
static bool comes_back(struct instances *in, const struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_meta *meta = w->by ? w->by : &h->se->meta;

	return mt_addr_unusable(&w->address) || mt_b_own_port(in->b, &w->address) ||
	       mt_b_is_nat(in->b, &w->address) || is_for_host(in->b, meta, &w->address) ||
	       who_serves(in, meta, &w->address);
}

static void drop_what_comes_back(struct instances *in, struct mt_host *h)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];
		char text[MT_ADDR_STRLEN];

		if (!w->looked_up || !comes_back(in, h, w)) {
			h->workloads[kept++] = w;
			continue;
		}
		mt_b_warn(in->b, w->by, w->address_text.line, NULL,
			"let the machine's resolv.conf name servers that know its real address",
			"not used: \"%.128s\" resolves to %s, which is no other host, this node "
			"itself, or an address for its host alone",
			w->address_text.s, mt_addr_str(&w->address, text));
	}
	h->n_workloads = kept;
}

void mt_b_instances(struct mt_build *b)
{
	struct instances in = {.b = b};

	index_served(&in);
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_service_entry *se = b->host_list[i].se;

		for (uint32_t j = 0; j < se->n_endpoints; j++)
			check_instance(&in, se->endpoints[j].by ? se->endpoints[j].by : &se->meta,
				&se->endpoints[j], j);
		drop_what_comes_back(&in, &b->host_list[i]);
	}
	for (uint32_t i = 0; i < b->model->workload_entries.n; i++) {
		const struct mt_workload_entry *we = b->model->workload_entries.v[i];

		check_instance(&in, &we->meta, &we->w, MT_NO_ENDPOINT);
	}
	mt_idmap_fini(&in.served);
	mt_idmap_fini(&in.current);
}
