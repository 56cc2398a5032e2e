/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of virtual machines: checks, answers, and the way to lib/net. */
#include "mt_worker_guests.h"
#include "mt_worker_priv.h"

#include "mt_dhcp.h"
#include "mt_dhcp6.h"

#include <stdio.h>
#include <string.h>

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_udp.h>

/* The documents give the same answers at any time, so these need not be short. */
#define LEASE_S	   3600
#define LIFETIME_S 1800 /* of the IPv6 gateway; more than three times MT_WORKER_ADVERTISE_NS */

#define DHCP_SERVER  67
#define DHCP_CLIENT  68
#define DHCP6_SERVER 547

#define ROUTER_SOLICIT	  133
#define NEIGHBOUR_SOLICIT 135

/* In frames of IPv6 without extension headers. */
#define IP6_NEXT 20
#define IP6_L4	 54
#define IP6_PORT (IP6_L4 + 2)

#define DHCP_HEADERS                                                                               \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))
#define ANSWER_MAX (DHCP_HEADERS + MT_DHCP_REPLY_MAX)
#define DOMAIN_MAX 256

/* One frame of one guest. */
struct frame {
	struct mt_worker *w;
	const struct mt_guest_station *s;
	struct mt_guest g;
	uint64_t *counters;
	const uint8_t *bytes;
	uint32_t len;
};

static bool is_ours(const void *net, const struct mt_addr *a)
{
	return mt_net_is_local(net, a);
}

/* ---- settings of one guest ------------------------------------------------------------------- */

/* Returns the network with the guest's first address of the family; NULL: it has none. */
static const struct mt_worker_guest_network *network_of(
	const struct mt_worker *w, const struct mt_guest_station *s, bool is4, struct mt_addr *a)
{
	const struct mt_worker_guests *c = w->guests;

	for (uint32_t i = 0; i < s->n_addresses; i++) {
		*a = s->addresses[i];
		for (uint32_t k = 0; mt_addr_is4(a) == is4 && k < c->n_networks; k++) {
			const struct mt_worker_guest_network *n = &c->networks[k];

			if (mt_addr_is4(&n->gateway) == is4 &&
				mt_prefix_contains(&n->gateway, n->prefix, a))
				return n;
		}
	}
	return NULL;
}

/* Writes "NAMESPACE.DOMAIN" of a guest "NAMESPACE/NAME". Returns NULL if it has none. */
static const char *domain_of(
	const struct mt_worker *w, const struct mt_guest_station *s, char text[DOMAIN_MAX])
{
	const char *slash = strchr(s->name, '/');

	if (!w->guests->domain || !slash)
		return NULL;
	snprintf(text, DOMAIN_MAX, "%.*s.%s", (int)(slash - s->name), s->name, w->guests->domain);
	return text;
}

static const char *host_of(const struct mt_guest_station *s)
{
	const char *slash = strchr(s->name, '/');

	return slash ? slash + 1 : s->name;
}

/* Settings of the IPv6 gateway, with storage. */
struct gateway {
	struct mt_gateway6 c;
	char domain[DOMAIN_MAX];
	const char *search[1];
	struct mt_addr servers[MT_WORKER_GUEST_NETWORKS];
};

/* False: the guest has no IPv6 address. */
static bool gateway_of(
	const struct mt_worker *w, const struct mt_guest_station *s, struct gateway *to)
{
	const struct mt_port *p = mt_guest_hub_port(w->guests->hub);
	const uint8_t *m = p->mac.addr_bytes;
	const struct mt_worker_guest_network *n;
	struct mt_addr a;

	n = network_of(w, s, false, &a);
	if (!n)
		return false;
	memset(to, 0, sizeof(*to));
	memcpy(to->c.mac, m, sizeof(to->c.mac));
	/* As lib/net makes it: RFC 4291 appendix A. */
	to->c.address = (struct mt_addr){.b = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2],
						 0xff, 0xfe, m[3], m[4], m[5]}};
	to->c.mtu = p->mtu;
	to->c.lifetime = LIFETIME_S;
	to->c.lease = LEASE_S;
	to->servers[0] = n->gateway;
	to->c.name_servers = to->servers;
	to->c.n_name_servers = 1;
	to->search[0] = domain_of(w, s, to->domain);
	to->c.search = to->search;
	to->c.n_search = to->search[0] ? 1 : 0;
	return true;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Returns a buffer with ANSWER_MAX bytes at *out; NULL: none is free (counted). */
static struct rte_mbuf *new_answer(
	struct mt_worker *w, const struct mt_guest_station *s, uint8_t **out)
{
	struct rte_mbuf *m = mt_buf_data(w->pools);

	if (mt_unlikely(!m || rte_pktmbuf_tailroom(m) < ANSWER_MAX)) {
		mt_buf_free(m);
		mt_count(mt_guest_hub_counters(w->guests->hub, w->index, s->number),
			MT_WORKER_GUEST_NO_MEMORY);
		return NULL;
	}
	*out = rte_pktmbuf_mtod(m, uint8_t *);
	return m;
}

/* Sends the first `len` bytes of the buffer, or frees it if there are none. */
static void send_answer(
	struct mt_worker *w, const struct mt_guest_station *s, struct rte_mbuf *m, uint32_t len)
{
	uint64_t *counters = mt_guest_hub_counters(w->guests->hub, w->index, s->number);

	if (!len) {
		mt_buf_free(m);
		return;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (mt_guests_send(w->guests_part, s->number, &m, 1) == 1) {
		mt_count(counters, MT_WORKER_GUEST_ANSWERED);
		return;
	}
	mt_count(counters, MT_WORKER_GUEST_LOST);
	mt_buf_free(m);
}

/* Answers ARP and neighbour discovery. False: it is not a request that gets an answer. */
static bool answer_neighbour(struct frame *f)
{
	const uint8_t *mac = mt_guest_hub_port(f->w->guests->hub)->mac.addr_bytes;
	uint8_t out[MT_GUEST_ANSWER_MAX], *to;
	uint32_t len = mt_guest_answer(&f->g, mac, f->bytes, f->len, out);
	struct rte_mbuf *m;

	if (!len)
		return false;
	m = new_answer(f->w, f->s, &to);
	if (!m)
		return true;
	memcpy(to, out, len);
	send_answer(f->w, f->s, m, len);
	return true;
}

/* Answers a router solicitation. */
static bool answer_solicitation(struct frame *f)
{
	struct gateway gw;
	struct rte_mbuf *m;
	uint8_t *to;

	if (!gateway_of(f->w, f->s, &gw))
		return false;
	m = new_answer(f->w, f->s, &to);
	if (m)
		send_answer(f->w, f->s, m, mt_gateway6_answer(&gw.c, &f->g, f->bytes, f->len, to));
	return true;
}

static bool answer_dhcp6(struct frame *f)
{
	struct mt_dhcp6_reply reply;
	enum mt_dhcp6_verdict v;
	struct gateway gw;
	struct rte_mbuf *m;
	uint8_t *to;

	if (!gateway_of(f->w, f->s, &gw))
		return false;
	m = new_answer(f->w, f->s, &to);
	if (!m)
		return true;
	v = mt_dhcp6_answer(&gw.c, &f->g, f->bytes, f->len, to, &reply);
	if (v != MT_DHCP6_REPLY && v != MT_DHCP6_OTHER)
		mt_count(f->counters, MT_WORKER_GUEST_IGNORED);
	send_answer(f->w, f->s, m, v == MT_DHCP6_REPLY ? reply.len : 0);
	return v != MT_DHCP6_OTHER;
}

/* ---- DHCP ------------------------------------------------------------------------------------ */

/* Finds the payload of a datagram to the DHCP server. False: the frame is not one. */
static bool find_dhcp(const struct frame *f, const uint8_t **payload, uint32_t *len)
{
	const uint8_t *ip = f->bytes + sizeof(struct rte_ether_hdr), *udp;
	uint32_t have = f->len - (uint32_t)sizeof(struct rte_ether_hdr), header, total, n;

	if (have < sizeof(struct rte_ipv4_hdr) || ip[9] != IPPROTO_UDP)
		return false;
	header = (ip[0] & 15u) * 4;
	total = MT_MIN(have, (uint32_t)(ip[2] << 8 | ip[3]));
	/* Fragments are refused. */
	if (header < sizeof(struct rte_ipv4_hdr) || total < header + sizeof(struct rte_udp_hdr) ||
		(ip[6] & 0x3f) || ip[7])
		return false;
	udp = ip + header;
	n = (uint32_t)(udp[4] << 8 | udp[5]);
	if ((udp[2] << 8 | udp[3]) != DHCP_SERVER || n < sizeof(struct rte_udp_hdr) ||
		n > total - header)
		return false;
	*payload = udp + sizeof(struct rte_udp_hdr);
	*len = n - (uint32_t)sizeof(struct rte_udp_hdr);
	return true;
}

/* Writes the headers of a reply, from the gateway's port 67 to port 68. Returns their length. */
static uint32_t put_dhcp_headers(const struct frame *f, const struct mt_dhcp_guest *c,
	const struct mt_dhcp_reply *r, uint8_t *to)
{
	const struct mt_port *p = mt_guest_hub_port(f->w->guests->hub);
	struct rte_ether_hdr eth = {.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)};
	struct rte_udp_hdr udp = {.src_port = rte_cpu_to_be_16(DHCP_SERVER),
		.dst_port = rte_cpu_to_be_16(DHCP_CLIENT),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(udp) + r->len))};
	struct rte_ipv4_hdr ip = {.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(ip) + sizeof(udp) + r->len)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(c->gateway),
		.dst_addr = rte_cpu_to_be_32(r->to)};

	eth.src_addr = p->mac;
	if (r->to == MT_DHCP_EVERYONE)
		memset(&eth.dst_addr, 0xff, sizeof(eth.dst_addr));
	else
		memcpy(&eth.dst_addr, f->s->mac, sizeof(eth.dst_addr));
	/* Of IPv4's checksums, only that of UDP is optional (RFC 768). */
	ip.hdr_checksum = rte_ipv4_cksum(&ip);
	memcpy(to, &eth, sizeof(eth));
	memcpy(to + sizeof(eth), &ip, sizeof(ip));
	memcpy(to + sizeof(eth) + sizeof(ip), &udp, sizeof(udp));
	return DHCP_HEADERS;
}

static bool answer_dhcp(struct frame *f)
{
	const struct mt_worker_guest_network *n;
	struct mt_dhcp_guest c = {.lease = LEASE_S};
	struct mt_dhcp_reply reply;
	char domain[DOMAIN_MAX];
	const uint8_t *payload;
	struct mt_addr a;
	struct rte_mbuf *m;
	uint32_t len;
	uint8_t *to;

	if (!find_dhcp(f, &payload, &len))
		return false;
	n = network_of(f->w, f->s, true, &a);
	m = n ? new_answer(f->w, f->s, &to) : NULL;
	if (!m)
		return true;
	memcpy(c.mac, f->s->mac, sizeof(c.mac));
	c.prefix = n->prefix;
	c.address = rte_be_to_cpu_32(mt_addr_v4(&a));
	c.gateway = rte_be_to_cpu_32(mt_addr_v4(&n->gateway));
	c.mtu = mt_guest_hub_port(f->w->guests->hub)->mtu;
	c.host = host_of(f->s);
	c.domain = domain_of(f->w, f->s, domain);
	c.search = &c.domain;
	c.n_search = c.domain ? 1 : 0;
	if (mt_dhcp_answer(&c, payload, len, to + DHCP_HEADERS, &reply) == MT_DHCP_REPLY) {
		len = put_dhcp_headers(f, &c, &reply, to) + reply.len;
	} else {
		mt_count(f->counters, MT_WORKER_GUEST_IGNORED);
		len = 0;
	}
	send_answer(f->w, f->s, m, len);
	return true;
}

/* ---- a frame --------------------------------------------------------------------------------- */

/* Answers IPv6 frames without extension headers, as all requests of guests are. */
static bool answer6(struct frame *f)
{
	if (f->len < IP6_PORT + 2)
		return false;
	if (f->bytes[IP6_NEXT] == IPPROTO_UDP)
		return (f->bytes[IP6_PORT] << 8 | f->bytes[IP6_PORT + 1]) == DHCP6_SERVER &&
		       answer_dhcp6(f);
	if (f->bytes[IP6_NEXT] != IPPROTO_ICMPV6)
		return false;
	switch (f->bytes[IP6_L4]) {
	case ROUTER_SOLICIT:
		return answer_solicitation(f);
	case NEIGHBOUR_SOLICIT:
		return answer_neighbour(f);
	default:
		return false;
	}
}

/* True if the frame was for lib/guest, whether there was an answer or not. */
static bool answer(struct frame *f)
{
	switch (f->bytes[12] << 8 | f->bytes[13]) {
	case RTE_ETHER_TYPE_IPV4:
		return answer_dhcp(f);
	case RTE_ETHER_TYPE_ARP:
		return answer_neighbour(f);
	case RTE_ETHER_TYPE_IPV6:
		return answer6(f);
	default:
		return false;
	}
}

/* True if the frame is one for lib/net. */
static bool passes(struct frame *f, const struct rte_mbuf *m)
{
	enum mt_guest_verdict v;

	f->bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	f->len = m->data_len;
	v = mt_guest_check(&f->g, f->bytes, f->len);
	mt_count(f->counters, v);
	return mt_likely(v == MT_GUEST_PASS) && !answer(f);
}

/* A guest that was just attached, and is not in the hub's table yet, gets nothing through. */
static void take(void *arg, uint16_t number, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_worker *w = arg;
	struct frame f = {.w = w, .s = mt_guest_hub_find(w->guests->hub, number)};
	uint16_t kept = 0;

	if (mt_unlikely(!f.s)) {
		mt_buf_free_bulk(pkts, n);
		return;
	}
	f.counters = mt_guest_hub_counters(w->guests->hub, w->index, number);
	memcpy(f.g.mac, f.s->mac, sizeof(f.g.mac));
	f.g.addresses = f.s->addresses;
	f.g.n_addresses = f.s->n_addresses;
	f.g.is_ours = is_ours;
	f.g.ours = w->net;
	for (uint16_t i = 0; i < n; i++) {
		if (passes(&f, pkts[i]))
			pkts[kept++] = pkts[i];
		else
			mt_buf_free(pkts[i]);
	}
	if (kept)
		mt_stage_input(w, mt_guest_hub_port(w->guests->hub), pkts, kept);
}

/* ---- a turn ---------------------------------------------------------------------------------- */

static void advertise(struct mt_worker *w, uint16_t number)
{
	const struct mt_guest_station *s = mt_guest_hub_find(w->guests->hub, number);
	struct gateway gw;
	struct rte_mbuf *m;
	uint8_t *to;

	if (!s || !gateway_of(w, s, &gw))
		return;
	m = new_answer(w, s, &to);
	if (m)
		send_answer(w, s, m, mt_gateway6_advertise(&gw.c, to));
}

/*
 * Advertises the router to one guest after another, so that each gets an advertisement in time and
 * none comes with a burst.
 */
static void advertise_next(struct mt_worker *w)
{
	if (mt_likely(w->now < w->advertise_at))
		return;
	if (mt_vhost_owner(w->advertise_to, 0, w->workers) == w->index)
		advertise(w, w->advertise_to);
	w->advertise_to = (uint16_t)((w->advertise_to + 1u) % MT_VHOST_MAX);
	w->advertise_at = w->now + MT_WORKER_ADVERTISE_NS / MT_VHOST_MAX;
}

uint32_t mt_guests_stage(struct mt_worker *w)
{
	advertise_next(w);
	return mt_guests_receive(w->guests_part, w->now, take, w);
}
