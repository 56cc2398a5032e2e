/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router advertisements. Each option has a length in units of 8 bytes. The options that a guest
 * needs come first, so that only name servers and domains are left out.
 */
#include "mt_gateway6.h"
#include "mt_guest_names.h"
#include "mt_guest_priv.h"

/* Of an advertisement (RFC 4861 §4.2). */
enum {
	HOPS = 4,
	FLAGS = 5,
	LIFETIME = 6,
	ADVERTISE_LEN = 16,
};

#define F_MANAGED  0x80 /* M: addresses by DHCPv6 */
#define GUEST_HOPS 64	/* of packets that guests send */
#define UNIT	   8	/* bytes, of options' lengths */
#define UNITS_MAX  255

enum {
	MTU = 5,
	NAME_SERVERS = 25,
	SEARCH = 31,
};

/* An advertisement: n bytes are written, and those after them are zero. */
struct writer {
	uint8_t *p;
	uint32_t n, max;
};

/* Starts an option of this length, a multiple of UNIT. Returns NULL if it does not fit. */
static uint8_t *put(struct writer *w, uint8_t type, uint32_t len)
{
	uint8_t *p = w->p + w->n;

	if (len > w->max - w->n)
		return NULL;
	p[0] = type;
	p[1] = (uint8_t)(len / UNIT);
	w->n += len;
	return p;
}

static void put_source(struct writer *w, const uint8_t mac[6])
{
	uint8_t *p = put(w, OPTION_SOURCE, UNIT);

	if (p)
		memcpy(p + 2, mac, 6);
}

static void put_mtu(struct writer *w, uint16_t mtu)
{
	uint8_t *p = mtu < MT_GATEWAY6_MTU_MIN ? NULL : put(w, MTU, UNIT);

	if (p)
		guest_put32(p + 4, mtu);
}

/* Appends the name servers with IPv6 addresses, as many as fit (RFC 8106 §5.1). */
static void put_name_servers(struct writer *w, const struct mt_gateway6 *gw)
{
	uint32_t max = MT_MIN(w->max - w->n, UNITS_MAX * UNIT), len = UNIT;
	uint8_t *p = w->p + w->n;

	for (uint32_t i = 0; i < gw->n_name_servers && len + sizeof(struct mt_addr) <= max; i++) {
		if (mt_addr_is4(&gw->name_servers[i]))
			continue;
		memcpy(p + len, &gw->name_servers[i], sizeof(struct mt_addr));
		len += sizeof(struct mt_addr);
	}
	if (len > UNIT && put(w, NAME_SERVERS, len))
		guest_put32(p + 4, gw->lifetime);
}

/* Appends the search list up to the first domain that does not fit (RFC 8106 §5.2). */
static void put_search(struct writer *w, const struct mt_gateway6 *gw)
{
	uint32_t max = MT_MIN(w->max - w->n, UNITS_MAX * UNIT), len = UNIT;
	uint8_t *p = w->p + w->n, labels[GUEST_NAME_MAX];

	for (uint32_t i = 0; i < gw->n_search; i++) {
		uint32_t n = guest_labels(gw->search[i], labels);

		/* Both limits are multiples of UNIT, so zeros up to the next unit fit too. */
		if (len + n > max)
			break;
		memcpy(p + len, labels, n);
		len += n;
	}
	if (len > UNIT && put(w, SEARCH, (len + UNIT - 1) / UNIT * UNIT))
		guest_put32(p + 4, gw->lifetime);
}

static uint32_t put_advertisement(const struct mt_gateway6 *gw, uint8_t *ra)
{
	struct writer w = {ra, ADVERTISE_LEN, MT_GATEWAY6_MTU_MIN - IP6_LEN};

	memset(ra, 0, w.max);
	ra[0] = ROUTER_ADVERTISE;
	ra[HOPS] = GUEST_HOPS;
	ra[FLAGS] = F_MANAGED;
	guest_put16(ra + LIFETIME, gw->lifetime);
	put_source(&w, gw->mac);
	put_mtu(&w, gw->mtu);
	put_name_servers(&w, gw);
	put_search(&w, gw);
	return w.n;
}

static uint32_t advertise(
	const struct mt_gateway6 *gw, const uint8_t mac[6], const struct mt_addr *to, uint8_t *out)
{
	uint8_t *ip = out + ETHER_LEN, *ra = ip + IP6_LEN;
	uint32_t len = put_advertisement(gw, ra);

	guest_put_ether6(mac, gw->mac, to, out);
	guest_put_ip6(ip, PROTO_ICMP6, ND_HOPS, &gw->address, to, len);
	guest_put16(ra + ICMP6_CKSUM, guest_ip6_sum(ip, PROTO_ICMP6, len));
	return ETHER_LEN + IP6_LEN + len;
}

uint32_t mt_gateway6_advertise(const struct mt_gateway6 *gw, uint8_t out[MT_GATEWAY6_FRAME_MAX])
{
	return advertise(gw, gw->mac, &guest_all_nodes, out);
}

/* True for the groups of all nodes and of all routers, and for the gateway's address. */
static bool is_for_gateway(const struct mt_gateway6 *gw, const struct mt_addr *a)
{
	static const struct mt_addr all_routers = {.b = {0xff, 0x02, [15] = 2}};

	return mt_addr_eq(a, &all_routers) || mt_addr_eq(a, &guest_all_nodes) ||
	       mt_addr_eq(a, &gw->address);
}

uint32_t mt_gateway6_answer(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const uint8_t *frame, uint32_t len, uint8_t out[MT_GATEWAY6_FRAME_MAX])
{
	const uint8_t *ip = frame + ETHER_LEN;
	struct mt_addr source, to;

	if (len < ETHER_LEN || guest_be16(frame + ETHER_TYPE) != TYPE_IP6 ||
		!guest_is_solicitation(ip, len - ETHER_LEN, ROUTER_SOLICIT, ROUTER_SOLICIT_LEN))
		return 0;
	source = guest_addr6(ip + IP6_SOURCE);
	to = guest_addr6(ip + IP6_DESTINATION);
	if (!is_for_gateway(gw, &to) || mt_addr_is4(&source))
		return 0;
	return advertise(gw, g->mac, mt_addr_is_zero(&source) ? &guest_all_nodes : &source, out);
}
