/* SPDX-License-Identifier: Apache-2.0 */
/* A path that is narrower than its ends, and what its routers say (RFC 792, 1191, 4443, 8201). */
#include "link.h"

#include <string.h>

#define ROUTER	   254
#define QUOTED_MAX 64 /* bytes of the packet that an error quotes */

#define UNREACH	       3 /* RFC 792 */
#define UNREACH_HOST   1
#define UNREACH_PORT   3
#define UNREACH_FRAG   4
#define UNREACH6       1 /* RFC 4443 */
#define UNREACH6_ROUTE 0
#define UNREACH6_PORT  4
#define TOO_BIG6       2

static uint8_t *header4(uint8_t *ip, const struct mt_addr *to, uint16_t icmp_len)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	sim_put16(ip + 2, (uint16_t)(20 + icmp_len));
	ip[8] = 63;
	ip[9] = 1;
	memcpy(ip + 12, (uint8_t[]){10, 0, 0, ROUTER}, 4);
	memcpy(ip + 16, &to->w[3], 4);
	sim_put16(ip + 10, sim_cksum(ip, 20, 0));
	return ip + 20;
}

static uint8_t *header6(uint8_t *ip, const struct mt_addr *to, uint16_t icmp_len)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	sim_put16(ip + 4, icmp_len);
	ip[6] = 58;
	ip[7] = 63;
	ip[8] = 0xfd;
	ip[23] = ROUTER;
	memcpy(ip + 24, to->b, 16);
	return ip + 40;
}

static void type_of(uint8_t *icmp, bool is4, enum sim_icmp kind, uint16_t mtu)
{
	static const uint8_t codes4[] = {UNREACH_HOST, UNREACH_FRAG, UNREACH_PORT};

	if (is4) {
		icmp[0] = UNREACH;
		icmp[1] = codes4[kind];
	} else {
		icmp[0] = kind == SIM_ICMP_TOO_BIG ? TOO_BIG6 : UNREACH6;
		icmp[1] = kind == SIM_ICMP_HARD ? UNREACH6_PORT : UNREACH6_ROUTE;
	}
	if (kind == SIM_ICMP_TOO_BIG)
		sim_put16(icmp + 6, mtu);
}

struct sim_frame *sim_icmp_error(const struct sim_pkt *about, enum sim_icmp kind, uint16_t mtu)
{
	bool is4 = about->family == 4;
	uint16_t quoted = (uint16_t)(about->l4 - about->ip + about->l4_len);
	uint16_t len = (uint16_t)(8 + MT_MIN(quoted, QUOTED_MAX));
	struct sim_frame *f = sim_frame_new();
	uint8_t *icmp;
	struct sim_pkt p;

	memcpy(f->data, about->ip - 14 + 6, 6); /* back to where the packet came from */
	memcpy(f->data + 6, (uint8_t[]){2, 0, 0, 0, 0, ROUTER}, 6);
	sim_put16(f->data + 12, is4 ? 0x0800 : 0x86dd);
	icmp = is4 ? header4(f->data + 14, &about->src, len)
		   : header6(f->data + 14, &about->src, len);
	memset(icmp, 0, 8);
	type_of(icmp, is4, kind, mtu);
	memcpy(icmp + 8, about->ip, len - 8u);
	f->len = (uint16_t)(icmp + len - f->data);
	if (is4)
		sim_put16(icmp + 2, sim_cksum(icmp, len, 0));
	else if (sim_parse(f->data, f->len, &p))
		sim_put16(icmp + 2, sim_l4_cksum_error(&p));
	return f;
}

bool sim_too_long(struct sim_nic *from, struct sim_frame *f)
{
	struct sim_wire *w = &from->wire;
	struct sim *s = from->sim;
	uint16_t mtu;
	struct sim_pkt p;

	if (s->now < w->narrow.from || s->now >= w->narrow.to || !sim_parse(f->data, f->len, &p))
		return false;
	mtu = p.family == 4 ? w->mtu4 : w->mtu6;
	if (!mtu || p.l4 - p.ip + p.l4_len <= mtu)
		return false;
	if (p.family == 4 && !(p.ip[6] & 0x40)) {
		sim_fail(s, "%s: a packet that routers may fragment", from->name);
		return true;
	}
	/* Routers limit how often they answer, and answers get lost. */
	if (w->mtu_told && !sim_one_in(&s->net_rand, 4)) {
		sim_count_fault(s, SIM_F_MTU_TOLD);
		sim_net_answer(from, sim_icmp_error(&p, SIM_ICMP_TOO_BIG, mtu), s->now + w->delay);
	} else {
		sim_count_fault(s, SIM_F_MTU_HOLE);
	}
	return true;
}

void sim_mtu_draw(struct sim *s, struct sim_wire *w)
{
	static const uint16_t mtu4[] = {576, 576, 1006, 1280, 1400, 1492};
	static const uint16_t mtu6[] = {1280, 1280, 1400, 1480};
	struct mt_rand *r = &s->plan;

	w->mtu4 = mtu4[sim_below(r, MT_ARRAY_LEN(mtu4))];
	w->mtu6 = mtu6[sim_below(r, MT_ARRAY_LEN(mtu6))];
	w->mtu_told = !sim_one_in(r, 3);
	w->narrow.from = s->now + (sim_one_in(r, 2) ? 0 : sim_between(r, 1, 2000) * MT_MSEC);
	w->narrow.to = sim_one_in(r, 2) ? MT_NEVER : s->now + 5 * MT_SEC;
}
