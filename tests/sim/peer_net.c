/* SPDX-License-Identifier: Apache-2.0 */
/* The peer below TCP: Ethernet, ARP (RFC 826), neighbour advertisements (RFC 4861), IPv4 and IPv6. */
#include "peer.h"

#include <string.h>

#define ARP_REQUEST 1
#define ARP_REPLY   2
#define ND_SOLICIT  135
#define ND_ADVERT   136

uint8_t *peer_l4(struct sim_frame *f, const struct mt_addr *dst)
{
	return f->data + 14 + (mt_addr_is4(dst) ? 20 : 40);
}

static void ether(struct peer *p, struct sim_frame *f, const uint8_t to[6], uint16_t type)
{
	memcpy(f->data, to, 6);
	memcpy(f->data + 6, p->nic.mac, 6);
	sim_put16(f->data + 12, type);
}

void peer_send_ip(struct peer *p, struct sim_frame *f, const struct mt_addr *src,
	const struct mt_addr *dst, uint16_t l4_len)
{
	bool is4 = mt_addr_is4(dst);
	uint8_t *ip = f->data + 14;
	struct sim_pkt k;

	ether(p, f, p->gw_mac, is4 ? 0x0800 : 0x86dd);
	if (is4) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		ip[1] = p->tos;
		sim_put16(ip + 2, (uint16_t)(20 + l4_len));
		sim_put16(ip + 4, p->ip_id++);
		ip[6] = 0x40; /* don't fragment */
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, &src->w[3], 4);
		memcpy(ip + 16, &dst->w[3], 4);
	} else {
		memset(ip, 0, 8);
		ip[0] = 0x60;
		ip[1] = (uint8_t)(p->tos << 4);
		sim_put16(ip + 4, l4_len);
		ip[6] = 6;
		ip[7] = 64;
		memcpy(ip + 8, src->b, 16);
		memcpy(ip + 24, dst->b, 16);
	}
	p->tos = 0;
	f->len = (uint16_t)(14 + (is4 ? 20 : 40) + l4_len);
	if (!sim_parse(f->data, f->len, &k))
		sim_fail(p->sim, "%s: built a packet that is none", p->host.name);
	sim_fix_cksums(&k);
	if (f->len < 60) {
		memset(f->data + f->len, 0, 60u - f->len);
		f->len = 60;
	}
	peer_maybe_replay(p, f);
	sim_net_send(&p->nic, f);
}

/* 10.x.y.number is its own, for any x and y, if it is in many networks. */
static bool is_mine(const struct peer *p, const uint8_t addr4[4])
{
	const uint8_t *own = p->host.addr4.b + 12;

	if (!p->networks)
		return memcmp(addr4, own, 4) == 0;
	return addr4[0] == own[0] && addr4[3] == own[3];
}

static void arp_input(struct peer *p, struct sim_frame *f)
{
	uint8_t *a = f->data + 14;
	struct sim_frame *r;

	if (f->len < 42 || sim_get16(a + 6) != ARP_REQUEST || !is_mine(p, a + 24))
		return;
	r = sim_frame_new();
	ether(p, r, f->data + 6, 0x0806);
	memcpy(r->data + 14, a, 6);
	sim_put16(r->data + 20, ARP_REPLY);
	memcpy(r->data + 22, p->nic.mac, 6);
	memcpy(r->data + 28, a + 24, 4);
	memcpy(r->data + 32, a + 8, 10);
	memset(r->data + 42, 0, 18);
	r->len = 60;
	sim_net_send(&p->nic, r);
}

static void nd_input(struct peer *p, struct sim_frame *f, struct sim_pkt *k)
{
	struct sim_frame *r;
	uint8_t *ip, *icmp;

	if (k->l4_len < 24 || k->l4[0] != ND_SOLICIT || memcmp(k->l4 + 8, p->host.addr6.b, 16) != 0)
		return;
	if (sim_l4_cksum_error(k) || k->ip[7] != 255) {
		if (!f->hurt)
			sim_fail(p->sim,
				"%s: neighbour solicitation with a wrong checksum or hop limit",
				p->host.name);
		return;
	}
	r = sim_frame_new();
	ether(p, r, f->data + 6, 0x86dd);
	ip = r->data + 14;
	icmp = ip + 40;
	memset(ip, 0, 40 + 32);
	ip[0] = 0x60;
	sim_put16(ip + 4, 32);
	ip[6] = 58;
	ip[7] = 255;
	memcpy(ip + 8, p->host.addr6.b, 16);
	memcpy(ip + 24, k->src.b, 16);
	icmp[0] = ND_ADVERT;
	icmp[4] = 0x60; /* solicited, override */
	memcpy(icmp + 8, p->host.addr6.b, 16);
	icmp[24] = 2;
	icmp[25] = 1;
	memcpy(icmp + 26, p->nic.mac, 6);
	r->len = 14 + 40 + 32;
	if (sim_parse(r->data, r->len, k))
		sim_put16(icmp + 2, sim_l4_cksum_error(k));
	sim_net_send(&p->nic, r);
}

/* Whether the packet's checksums hold; a frame that nobody hurt must have them right. */
static bool sound(struct peer *p, struct sim_frame *f, struct sim_pkt *k)
{
	if (sim_ip_cksum_error(k) == 0 && (k->proto != 6 || sim_l4_cksum_error(k) == 0))
		return true;
	if (!f->hurt)
		sim_fail(p->sim, "%s: received a packet sent with a wrong checksum", p->host.name);
	return false;
}

void peer_deliver(struct sim_nic *nic, struct sim_frame *f)
{
	struct peer *p = nic->owner;
	struct sim_pkt k;

	if (p->dead) {
		/* off */
	} else if (sim_get16(f->data + 12) == 0x0806) {
		arp_input(p, f);
	} else if (sim_parse(f->data, f->len, &k) && sound(p, f, &k)) {
		bool mine = k.family == 4 ? is_mine(p, k.dst.b + 12)
					  : mt_addr_eq(&k.dst, &p->host.addr6);

		if (k.proto == 58)
			nd_input(p, f, &k);
		else if (k.proto == 6 && mine)
			peer_input(p, f, &k);
	}
	sim_frame_free(f);
}
