/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarded ports in the form that lib/l4 reads. A snapshot with the same ports, endpoints and NAT
 * addresses as the current one shares its set. A set holds the numbers of its services, so that
 * they keep their counters from set to set.
 */
#include "mt_conf_forward_priv.h"
#include "mt_conf_listener_priv.h"

#include "mt_l4.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct mt_forward_set {
	uint32_t refs; /* snapshots */
	/* The input, byte by byte: a set is used again only for the same. */
	uint8_t *input;
	size_t input_len;
	struct mt_l4_set *set;
	struct mt_index **ids;
	uint32_t n_ids;
	struct mt_index **rules; /* numbers of counted networks of clients */
	uint32_t n_rules;
	struct mt_forward_past *past;
};

void mt_forward_set_put(struct mt_conf *c, struct mt_forward_set *s)
{
	if (!s || --s->refs)
		return;
	for (uint32_t i = 0; i < s->n_ids; i++)
		mt_indexes_put(&c->forwards, s->ids[i]);
	for (uint32_t i = 0; i < s->n_rules; i++)
		mt_indexes_put(&c->forward_rules, s->rules[i]);
	mt_l4_set_free(s->set);
	mt_forward_past_free(s->past);
	free(s->input);
	free(s->ids);
	free(s->rules);
	free(s);
}

/* ---- NAT --------------------------------------------------------------------------------- */

/* The Node that the daemon has started with: its addresses for NAT change by a restart only. */
static const struct mt_node *node_of(const struct mt_build *b)
{
	return b->conf->started_as ? b->conf->started_as : b->model->node;
}

static bool is_in(const struct mt_node_nat *nat, const struct mt_addr *a)
{
	for (uint32_t i = 0; nat && i < nat->n_addresses; i++)
		if (mt_addr_eq(&nat->addresses[i].addr, a))
			return true;
	return false;
}

bool mt_b_is_nat(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_node *started = b->conf->started_as, *n = b->model->node;

	return (started && is_in(started->nat, a)) || (n && is_in(n->nat, a));
}

static bool is_forwarded(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_snapshot *s = &b->snap->pub;

	for (uint32_t i = 0; i < s->n_forwards; i++)
		if (mt_addr_eq(&s->forwards[i].addr, a))
			return true;
	return false;
}

static void add_nat(struct mt_build *b, struct mt_l4_conf *c, const struct mt_addr *a)
{
	struct mt_addr *slot = mt_region_push(&b->tmp, (void **)&c->nat, &c->n_nat, sizeof(*slot));

	if (slot)
		*slot = *a;
}

/* Of a port's own addresses, those that no forwarded service has. */
static void add_own(struct mt_build *b, struct mt_l4_conf *c, const struct mt_node_port *p)
{
	for (uint32_t i = 0; i < p->n_addresses; i++)
		if (!is_forwarded(b, &p->addresses[i].addr))
			add_nat(b, c, &p->addresses[i].addr);
}

static void fill_nat(struct mt_build *b, struct mt_l4_conf *c)
{
	const struct mt_node *n = node_of(b);
	const struct mt_node_nat *nat = n ? n->nat : NULL;
	bool written = nat && nat->n_addresses;

	for (uint32_t i = 0; written && i < nat->n_addresses; i++)
		add_nat(b, c, &nat->addresses[i].addr);
	for (uint32_t i = 0; n && !written && i < n->n_ports; i++)
		add_own(b, c, &n->ports[i]);
	c->nat_lo = written ? MT_NAT_FIRST : MT_NAT_OWN_FIRST;
	c->nat_hi = written ? MT_NAT_LAST : MT_NAT_OWN_LAST;
	if (nat && nat->first) {
		c->nat_lo = nat->first;
		c->nat_hi = nat->last;
	}
}

#define LEFT_MIN 1024 /* fewer ports would be used up by one service */

bool mt_conf_source_ports(const struct mt_node *n, uint16_t *first, uint16_t *last)
{
	const struct mt_node_nat *nat = n->nat;
	uint16_t lo = MT_NAT_OWN_FIRST, hi = MT_NAT_OWN_LAST;

	*first = MT_SOURCE_PORT_FIRST;
	*last = MT_SOURCE_PORT_LAST;
	if ((!nat && !n->n_forwarding) || (nat && nat->n_addresses))
		return nat && nat->n_addresses;
	if (nat && nat->first) {
		lo = nat->first;
		hi = nat->last;
	}
	if (lo > *last || hi < *first)
		return true;
	if (lo - *first >= *last - hi && lo - *first >= LEFT_MIN)
		*last = (uint16_t)(lo - 1);
	else if (*last - hi >= LEFT_MIN)
		*first = (uint16_t)(hi + 1);
	else
		return false;
	return true;
}

static bool has_nat_of(const struct mt_l4_conf *c, bool is4)
{
	for (uint32_t i = 0; i < c->n_nat; i++)
		if (mt_addr_is4(&c->nat[i]) == is4)
			return true;
	return false;
}

static bool is_nat_of(const struct mt_l4_conf *c, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < c->n_nat; i++)
		if (mt_addr_eq(&c->nat[i], a))
			return true;
	return false;
}

/* The error is about the port's number. */
static void refuse(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const char *remedy, const char *fmt, const char *word)
{
	char path[MT_INDEX_PATH], text[256];

	snprintf(text, sizeof(text), fmt, word);
	mt_index_path(path, "spec.ports", (uint32_t)(u->port - u->se->ports), ".number");
	mt_b_error(b, &h->se->meta, u->port->number.line, path, remedy, "%s", text);
}

static bool is_listening(const struct mt_listen *l)
{
	return l->n_chains || l->last;
}

/* A listener of the node at addresses and ports to which replies of this NAT come; NULL: none. */
static const struct mt_listen *listener_at_nat(const struct mt_build *b, const struct mt_l4_conf *c)
{
	for (uint32_t i = 0; i < b->n_listens; i++) {
		const struct mt_listen *l = b->listen_list[i];

		if (l->port >= c->nat_lo && l->port <= c->nat_hi && is_listening(l) &&
			(mt_addr_is_zero(&l->addr) || is_nat_of(c, &l->addr)))
			return l;
	}
	return NULL;
}

static bool takes_from_listener(struct mt_build *b, const struct mt_host *h,
	const struct mt_unit *u, const struct mt_l4_conf *c)
{
	const struct mt_listen *l = listener_at_nat(b, c);

	if (!l)
		return false;
	refuse(b, h, u, "give the listener another port, or write addresses in the Node's spec.nat",
		"nat-full of TCP needs the port of the listener %.96s", l->text);
	return true;
}

/*
 * TCP that is forwarded from addresses of ports has ports of its own there: lib/tcp leaves them,
 * and nothing listens at them.
 */
static bool check_tcp(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_l4_conf *c)
{
	uint16_t first, last;

	if (u->transport != IPPROTO_TCP || u->forwarding != MT_FORWARDING_NAT_FULL)
		return true;
	if (node_of(b) && !mt_conf_source_ports(node_of(b), &first, &last)) {
		refuse(b, h, u,
			"write addresses in the Node's spec.nat, or nat: {} without `ports`, and "
			"restart",
			"nat-full of TCP has no source ports of its own%s", "");
		return false;
	}
	return !takes_from_listener(b, h, u, c);
}

/*
 * Refuses TCP to endpoints that expect a PROXY header, because layer 4 adds none: a client could
 * send one of its own, with the address of another client. Settings of a port cannot contain it.
 */
static bool check_header(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	for (uint32_t i = 0; u->transport == IPPROTO_TCP && i < u->route->n; i++) {
		const struct mt_forward_dest *d = &u->route->v[i];
		uint32_t line = mt_b_forward_header(d);
		char where[160];

		if (!line)
			continue;
		snprintf(where, sizeof(where), "%.128s:%u",
			d->h->rule->meta.origin.file ? d->h->rule->meta.origin.file : "?", line);
		refuse(b, h, u, "remove proxyProtocol, or terminate the port",
			"proxyProtocol of the DestinationRule at %s needs a PROXY header, which "
			"layer 4 does not add",
			where);
		return false;
	}
	return true;
}

/* A port is forwarded or listened at, not both. */
static bool check_listeners(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	for (uint32_t i = 0; i < h->n_addrs && u->transport == IPPROTO_TCP; i++) {
		struct mt_listen *l;
		char where[MT_ADDR_STRLEN], text[160];
		const char *why;

		mt_addr_port_str(&h->addrs[i], (uint16_t)u->port->number.v, where);
		l = mt_strmap_get(&b->listens, where);
		if (!l || !is_listening(l) ||
			mt_b_listen_win(b, l, &h->se->meta, u->host, u->port->number.line, &why))
			continue;
		snprintf(text, sizeof(text), "%s of TCP is in use by a listener%s", where, why);
		refuse(b, h, u, "give one of them another port or address", "%s", text);
		return false;
	}
	return true;
}

/* nat-full replaces the source by an address of the same family. */
static bool check_nat(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_l4_conf *c)
{
	for (uint32_t i = 0; i < h->n_addrs && u->forwarding == MT_FORWARDING_NAT_FULL; i++) {
		bool is4 = mt_addr_is4(&h->addrs[i]);

		if (has_nat_of(c, is4))
			continue;
		refuse(b, h, u, "write addresses in the Node's spec.nat, or mode nat",
			"nat-full has no %s address of the node for it", is4 ? "IPv4" : "IPv6");
		return false;
	}
	return true;
}

/* ---- services ---------------------------------------------------------------------------- */

/*
 * A drained endpoint stays among them, so that its flows go on, but gets no new ones. One without a
 * route has its weight, because it is there only if no other one has a route.
 */
static uint32_t weight_of(
	const struct mt_build *b, const struct mt_cluster *c, const struct mt_endpoint *ep)
{
	bool drains = (ep->drain && ep->drain != MT_EP_DRAIN_NO_ROUTE) ||
		      mt_overrides_drains(&b->conf->overrides, c->name, &ep->addr, ep->port);

	return drains ? 0 : ep->weight;
}

_Static_assert(MT_UPSTREAM_EPS_MAX <= MT_L4_INDEXES_MAX, "an index for each endpoint");
_Static_assert(MT_EP_BACK_NOW == 0, "anything else is unhealthy");

/* Nothing else ejects an endpoint of a forwarded port, so `back` has its health. */
static struct mt_l4_health_of health_of(struct mt_ep_state *e)
{
	return (struct mt_l4_health_of){&e->back, e->id, e->index, e};
}

/* Adds the share of destinations without endpoints, if others have some of the family. */
static void fill_lost(
	struct mt_l4_service_conf *s, struct mt_l4_endpoint_conf *v, bool is4, uint32_t lost)
{
	static const struct mt_addr any6;
	bool has = false;

	for (uint32_t i = 0; i < s->n_endpoints; i++)
		has |= !v[i].refuses && mt_addr_is4(&v[i].addr) == is4;
	if (!has || !lost)
		return;
	v[s->n_endpoints++] = (struct mt_l4_endpoint_conf){.addr = is4 ? mt_addr4(0) : any6,
		.weight = lost,
		.part = UINT8_MAX,
		.refuses = true};
}

/* True if packets of the port can be sent to the endpoint. */
static bool is_reached(
	const struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c, uint32_t i)
{
	const struct mt_endpoint *ep = &c->eps[i];

	return mt_b_forward_reaches(b, (enum mt_forwarding)u->forwarding, &ep->addr) &&
	       !(c->skips_unreached && ep->drain == MT_EP_DRAIN_NO_ROUTE);
}

/* The weight of each endpoint, MT_FORWARD_NOT for those that packets cannot reach. */
static uint32_t *weights_of(struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c)
{
	uint32_t *w = mt_region_alloc(&b->tmp, sizeof(*w) * MT_MAX(c->n_eps, 1u));

	for (uint32_t i = 0; w && i < c->n_eps; i++)
		w[i] = is_reached(b, u, c, i) ? weight_of(b, c, &c->eps[i]) : MT_FORWARD_NOT;
	return w;
}

/* False: no memory, which b->tmp has. */
static bool make_side(struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c,
	const bool *own, struct mt_forward_side *side)
{
	uint32_t n = MT_MAX(c->n_eps, 1u);

	side->own = own;
	side->weights = weights_of(b, u, c);
	side->shares = mt_region_alloc(&b->tmp, sizeof(*side->shares) * n);
	side->clients = mt_region_alloc(&b->tmp, sizeof(*side->clients) * n);
	return side->weights && side->shares && side->clients;
}

static void add_endpoint(struct mt_l4_service_conf *s, struct mt_l4_endpoint_conf *v,
	const struct mt_endpoint *ep, const struct mt_forward_share *share, uint32_t clients)
{
	v[s->n_endpoints++] = (struct mt_l4_endpoint_conf){.addr = ep->addr,
		.port = ep->port,
		.weight = share->weight,
		.health = health_of(ep->state),
		.clients = clients,
		.part = (uint8_t)MT_MIN(share->dest, UINT8_MAX - 1u)};
}

/* False: the error is reported. */
static bool fill_endpoints(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, const struct mt_l4_conf *conf, const bool *own,
	struct mt_l4_service_conf *s)
{
	struct mt_l4_endpoint_conf *v = mt_region_alloc(&b->tmp, sizeof(*v) * (c->n_eps + 2));
	struct mt_forward_lets lets = {.ns = h->se->meta.ns};
	struct mt_forward_side side = {.lets = &lets};
	uint32_t lost[2];

	s->endpoints = v;
	if (!v || !make_side(b, u, c, own, &side))
		return true;
	mt_b_forward_leave_others(b, h, u, c, conf, own, side.weights);
	mt_b_forward_shares(u, c, side.weights, side.shares, lost);
	if (!mt_b_forward_find_clients(b, h, u, c, &side, s)) {
		refuse(b, h, u,
			"write fewer addresses in the AuthorizationPolicies that select them",
			"there is no room for the addresses in the policies of its endpoints in "
			"the share of namespace %.64s",
			h->se->meta.ns);
		return false;
	}
	/* Without the endpoints that have just been left out. */
	mt_b_forward_shares(u, c, side.weights, side.shares, lost);
	for (uint32_t i = 0; i < c->n_eps; i++)
		if (side.weights[i] != MT_FORWARD_NOT && side.shares[i].dest != MT_FORWARD_NOT)
			add_endpoint(s, v, &c->eps[i], &side.shares[i], side.clients[i]);
	for (int is4 = 0; is4 < 2; is4++)
		fill_lost(s, v, is4, lost[is4]);
	return true;
}

/* The number of the network's counter + 1; 0: all are in use, and the network is not counted. */
static uint32_t rule_of(struct mt_build *b, struct mt_forward_set *set, const char *cluster,
	const struct mt_node_addr *net, bool deny)
{
	char text[MT_ADDR_STRLEN];
	const char *name = mt_region_printf(&b->tmp, "%s\n%s %s/%u", cluster,
		deny ? "deny" : "allow", mt_addr_str(&net->addr, text), net->prefix);
	struct mt_index **grown, *id;

	grown = name ? realloc(set->rules, sizeof(struct mt_index *) * (set->n_rules + 1)) : NULL;
	if (!grown)
		return 0;
	set->rules = grown;
	id = mt_indexes_get(&b->conf->forward_rules, name, MT_L4_RULES_MAX);
	if (!id)
		return 0;
	set->rules[set->n_rules++] = id;
	return id->v + 1;
}

/* The lists of clients of a port, while they are copied. */
struct listed {
	struct mt_build *b;
	struct mt_forward_set *set;
	const char *cluster;
};

static const struct mt_l4_network *networks(
	const struct listed *l, const struct mt_node_addr *from, bool deny, uint32_t *n)
{
	struct mt_l4_network *v = mt_region_alloc(&l->b->tmp, sizeof(*v) * MT_MAX(*n, 1u));

	for (uint32_t i = 0; v && i < *n; i++)
		v[i] = (struct mt_l4_network){from[i].addr, from[i].prefix,
			rule_of(l->b, l->set, l->cluster, &from[i], deny)};
	*n = v ? *n : 0;
	return v;
}

static void fill_clients(
	const struct listed *l, const struct mt_unit *u, struct mt_l4_service_conf *s)
{
	const struct mt_node_forwarding *f = mt_b_forwarding_entry(l->b, u->se, u->port);

	if (!f)
		return;
	s->n_allow = f->n_allow;
	s->n_deny = f->n_deny;
	s->allow = networks(l, f->allow, false, &s->n_allow);
	s->deny = networks(l, f->deny, true, &s->n_deny);
}

static void fill_rates(const struct mt_forwarding_rates *r, uint32_t *max)
{
	if (!r)
		return;
	max[MT_L4_SOURCE_NEW_CONNECTIONS] = r->new_connections.v;
	max[MT_L4_SOURCE_PACKETS] = r->packets.v;
	max[MT_L4_SOURCE_BYTES] = r->bytes.v;
}

_Static_assert(MT_FORWARDING_BYTES_MIN >= MT_L4_BYTES_MIN, "documents have no smaller rate");

static void fill_limits(struct mt_build *b, const struct mt_unit *u, struct mt_l4_service_conf *s)
{
	const struct mt_node_forwarding *f = mt_b_forwarding_entry(b, u->se, u->port);
	const struct mt_forwarding_limits *l = f ? f->limits : NULL;

	if (!l)
		return;
	fill_rates(l->source, s->limits.max);
	fill_rates(l->service, s->limits.max + MT_L4_SERVICE_NEW_CONNECTIONS);
	if (l->service)
		s->limits.max[MT_L4_SERVICE_CONNECTIONS] = l->service->connections.v;
}

/*
 * Refuses a service with an endpoint of its own at an address for NAT: packets from there would be
 * replies of the endpoint, packets for there those of flows.
 */
static bool check_endpoints(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *cluster, const struct mt_l4_conf *c, const bool *own)
{
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < cluster->n_eps; i++) {
		if (!own[i] || !is_nat_of(c, &cluster->eps[i].addr))
			continue;
		refuse(b, h, u, "give the endpoint or the Node's spec.nat another address",
			"its endpoint %s is an address from which the node forwards",
			mt_addr_str(&cluster->eps[i].addr, text));
		return false;
	}
	return true;
}

static enum mt_l4_mode mode_of(enum mt_forwarding mode)
{
	static const enum mt_l4_mode modes[] = {
		[MT_FORWARDING_NAT] = MT_L4_NAT,
		[MT_FORWARDING_NAT_FULL] = MT_L4_NAT_FULL,
		[MT_FORWARDING_DSR] = MT_L4_DSR,
		[MT_FORWARDING_TUNNEL_IPIP] = MT_L4_IPIP,
		[MT_FORWARDING_TUNNEL_GUE] = MT_L4_GUE,
	};

	return modes[mode];
}

/* Forwarded ports of a set; namespaces share them (fair.c). */
#define FORWARDS_MAX (MT_L4_SERVICES_MAX / 2)

/* The number of the port's cluster; NULL: the error is reported. */
static struct mt_index *id_of(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *cluster)
{
	const char *ns = h->se->meta.ns;
	struct mt_index *id = NULL;

	if (mt_fair_take(&b->forward_shares, ns, 1))
		id = mt_indexes_get(&b->conf->forwards, cluster->name, MT_L4_SERVICES_MAX);
	if (!id)
		mt_b_error(b, &h->se->meta, u->port->number.line, NULL, "forward fewer ports",
			"there is no room for it (%u forwarded ports at most; namespace %.64s has "
			"its share)",
			FORWARDS_MAX, ns);
	return id;
}

/* The seed of the choice: a group of nodes that shares flows has the same one. */
static const char *key_of(struct mt_build *b, const struct mt_cluster *cluster)
{
	const struct mt_node *n = node_of(b);
	const char *key = cluster->name;

	/* A line break is in no name of a cluster. */
	if (n && n->group.s && *n->group.s)
		key = mt_region_printf(&b->tmp, "%s\n%s", cluster->name, n->group.s);
	return key ? key : cluster->name;
}

static void add_service(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	struct mt_l4_conf *c, struct mt_forward_set *set)
{
	const struct mt_cluster *cluster = &b->snap->pub.clusters[mt_b_unit_cluster(b, u, NULL)];
	struct mt_l4_service_conf *v = (struct mt_l4_service_conf *)c->services, *s;
	const bool *own = mt_b_forward_own(b, u, cluster);
	struct mt_index *id;

	if (!own || !check_endpoints(b, h, u, cluster, c, own) ||
		!mt_b_forward_direct(b, h, u, cluster, own))
		return;
	id = id_of(b, h, u, cluster);
	if (!id)
		return;
	set->ids[set->n_ids++] = id;
	s = &v[c->n_services];
	*s = (struct mt_l4_service_conf){.id = id->v,
		.name = u->host,
		.key = key_of(b, cluster),
		.vips = h->addrs,
		.n_vips = h->n_addrs,
		.port = (uint16_t)u->port->number.v,
		.proto = u->transport,
		.mode = mode_of((enum mt_forwarding)u->forwarding),
		.by_source = cluster->hash_by == MT_LB_HASH_SOURCE,
		.closed = cluster->closed_by != NULL,
		.check = mt_b_health_check(b, u),
		.cluster = cluster->index,
		.owner = h->se->meta.ns};
	if (!fill_endpoints(b, h, u, cluster, c, own, s))
		return;
	fill_clients(&(struct listed){b, set, cluster->name}, u, s);
	fill_limits(b, u, s);
	c->n_services++;
}

/* Counts forwarded ports, and what each namespace demands of them. */
static uint32_t count(struct mt_build *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		for (const struct mt_unit *u = h->forwards; u; u = u->next, n++)
			if (u->cluster && h->n_addrs)
				mt_fair_want(&b->forward_shares, &b->tmp, h->se->meta.ns, 1);
	}
	mt_fair_settle(&b->forward_shares, &b->tmp, FORWARDS_MAX);
	return n;
}

static void fill(struct mt_build *b, struct mt_l4_conf *c, struct mt_forward_set *set)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		for (const struct mt_unit *u = h->forwards; u; u = u->next)
			if (u->cluster && h->n_addrs && check_nat(b, h, u, c) &&
				check_tcp(b, h, u, c) && check_header(b, h, u) &&
				check_listeners(b, h, u))
				add_service(b, h, u, c, set);
	}
}

static struct mt_forward_set *current_set(const struct mt_build *b)
{
	struct mt_snapshot *current = b->conf->current;

	return current ? mt_container_of(current, struct mt_snap, pub)->forward_set : NULL;
}

/*
 * Flows that nat-full has made stay when their service gets another mode. Their replies come to
 * ports that nothing else of the node uses, unless a listener has been added.
 */
static void keep_nat_tcp(const struct mt_build *b, struct mt_l4_conf *c)
{
	const struct mt_forward_set *old = current_set(b);

	for (uint32_t i = 0; i < c->n_services; i++)
		if (c->services[i].mode == MT_L4_NAT_FULL && c->services[i].proto == IPPROTO_TCP)
			return;
	c->nat_tcp = old && old->set->nat_tcp && !listener_at_nat(b, c);
}

/* Bytes of an input; `to` NULL: only their number is wanted. */
struct record {
	uint8_t *to;
	size_t len;
};

/* `v` is NULL if n is 0. */
static void put(struct record *r, const void *v, size_t n)
{
	if (r->to && n)
		memcpy(r->to + r->len, v, n);
	r->len += n;
}

static void put_u64(struct record *r, uint64_t v)
{
	put(r, &v, sizeof(v));
}

static void put_networks(struct record *r, const struct mt_l4_network *v, uint32_t n)
{
	put_u64(r, n);
	for (uint32_t i = 0; i < n; i++) {
		put(r, &v[i].addr, sizeof(v[i].addr));
		put_u64(r, (uint64_t)v[i].rule << 8 | v[i].prefix);
	}
}

static void put_before(struct record *r, const struct mt_l4_service_conf *s)
{
	put_u64(r, s->before_until);
	put_u64(r, s->n_before);
	for (uint32_t i = 0; i < s->n_before; i++) {
		put(r, &s->before[i].addr, sizeof(s->before[i].addr));
		put_u64(r, (uint64_t)s->before[i].weight << 16 | s->before[i].port);
	}
}

static void put_service(struct record *r, const struct mt_l4_service_conf *s)
{
	put(r, s->name, strlen(s->name) + 1);
	put(r, s->key, strlen(s->key) + 1);
	put(r, s->owner, strlen(s->owner) + 1);
	put_u64(r, (uint64_t)s->id << 32 | s->n_vips);
	put(r, s->vips, sizeof(*s->vips) * s->n_vips);
	put_u64(r, (uint64_t)s->port << 32 | (uint64_t)s->proto << 16 | s->mode << 2 |
			   s->closed << 1 | s->by_source);
	put_networks(r, s->allow, s->n_allow);
	put_networks(r, s->deny, s->n_deny);
	put_u64(r, s->n_clients);
	for (uint32_t i = 0; i < s->n_clients; i++) {
		put_u64(r, s->clients[i].n);
		put(r, s->clients[i].v, sizeof(*s->clients[i].v) * s->clients[i].n);
	}
	put(r, s->limits.max, sizeof(s->limits.max));
	put_u64(r, s->n_endpoints);
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		put(r, &s->endpoints[i].addr, sizeof(s->endpoints[i].addr));
		put_u64(r, (uint64_t)s->endpoints[i].weight << 16 | s->endpoints[i].port);
		put_u64(r, (uint64_t)s->endpoints[i].clients << 32 | s->endpoints[i].health.index);
		put_u64(r, (uint64_t)s->endpoints[i].part << 1 | s->endpoints[i].refuses);
	}
	put_u64(r, (uint64_t)s->check.interval_ms << 32 | (uint64_t)s->check.failures << 8 |
			   (uint64_t)s->check.kind << 1 | s->check.lenient);
	put_u64(r, s->cluster);
	put_before(r, s);
}

static void put_input(struct record *r, const struct mt_l4_conf *c)
{
	put_u64(r, (uint64_t)c->n_nat << 32 | (uint64_t)c->nat_lo << 16 | c->nat_hi);
	put_u64(r, c->nat_tcp);
	put(r, c->nat, sizeof(*c->nat) * c->n_nat);
	for (uint32_t i = 0; i < c->n_services; i++)
		put_service(r, &c->services[i]);
}

/* Sets the endpoints that services had before their last changes. */
static int fill_before(
	const struct mt_build *b, struct mt_forward_set *set, const struct mt_l4_conf *c)
{
	const struct mt_forward_set *old = current_set(b);

	return mt_forward_past_next(old ? old->past : NULL,
		(struct mt_l4_service_conf *)c->services, c->n_services, b->now, &set->past);
}

static int record(struct mt_forward_set *set, const struct mt_l4_conf *c)
{
	struct record r = {NULL, 0};

	put_input(&r, c);
	set->input = r.to = malloc(r.len);
	if (!r.to)
		return -ENOMEM;
	r.len = 0;
	put_input(&r, c);
	set->input_len = r.len;
	return 0;
}

static bool is_same(const struct mt_forward_set *a, const struct mt_forward_set *b)
{
	return a->input_len == b->input_len && memcmp(a->input, b->input, a->input_len) == 0;
}

/* The current snapshot's if it was made from the same; else a new one. NULL after a report. */
static struct mt_forward_set *shared(
	struct mt_build *b, struct mt_forward_set *set, const struct mt_l4_conf *c)
{
	struct mt_forward_set *old = current_set(b);
	struct mt_err e;
	int rc;

	rc = fill_before(b, set, c);
	if (!rc)
		rc = record(set, c);
	if (!rc && old && is_same(old, set)) {
		mt_forward_set_put(b->conf, set);
		old->refs++;
		return old;
	}
	if (!rc)
		rc = mt_l4_compile(c, &set->set, &e);
	if (rc == 0)
		return set;
	if (rc != -ENOMEM)
		mt_b_error(b, NULL, 0, NULL, NULL, "ports cannot be forwarded: %s", e.text);
	b->tmp.failed |= rc == -ENOMEM;
	mt_forward_set_put(b->conf, set);
	return NULL;
}

int mt_b_forward_set(struct mt_build *b)
{
	struct mt_forward_set *set;
	struct mt_l4_conf c = {.workers = b->conf->o.workers};
	uint32_t n = count(b), errors = b->diags->errors;

	if (!n)
		return 0;
	set = calloc(1, sizeof(*set));
	c.services = mt_region_alloc(&b->tmp, sizeof(*c.services) * n);
	if (set) {
		set->refs = 1;
		set->ids = calloc(n, sizeof(struct mt_index *));
	}
	if (!set || !set->ids || !c.services) {
		mt_forward_set_put(b->conf, set);
		return -ENOMEM;
	}
	fill_nat(b, &c);
	fill(b, &c, set);
	keep_nat_tcp(b, &c);
	if (b->diags->errors != errors || b->tmp.failed) {
		mt_forward_set_put(b->conf, set);
		return b->tmp.failed ? -ENOMEM : -EINVAL;
	}
	b->snap->forward_set = shared(b, set, &c);
	if (!b->snap->forward_set)
		return b->tmp.failed ? -ENOMEM : -EINVAL;
	b->snap->pub.l4 = b->snap->forward_set->set;
	return 0;
}
