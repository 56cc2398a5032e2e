/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: written for the peer, read from the stack. */
#include "frame.h"

#include <string.h>

const uint8_t sc_our_mac[6] = {2, 0, 0, 0, 0, 1}, sc_peer_mac[6] = {2, 0, 0, 0, 0, 2};

static const uint8_t our4[4] = {10, 0, 0, 1}, peer4[4] = {10, 0, 0, 2};
static const uint8_t our6[16] = {0xfd, [15] = 1}, peer6[16] = {0xfd, [15] = 2};

#define ETH 14u

static uint32_t add(const uint8_t *b, uint32_t len, uint32_t sum)
{
	for (; len > 1; b += 2, len -= 2)
		sum += sc_get16(b);
	return len ? sum + ((uint32_t)b[0] << 8) : sum;
}

static uint16_t finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Of the pseudo header; the addresses are the same whichever way the packet goes. */
static uint32_t pseudo(bool v6, uint8_t proto, uint32_t len)
{
	uint32_t sum = proto + len;

	return v6 ? add(our6, 16, add(peer6, 16, sum)) : add(our4, 4, add(peer4, 4, sum));
}

/* Ethernet and IP, from the peer to us or (quoted in ICMP) the other way; length of the IP header. */
static uint32_t put_ip(uint8_t *ip, bool v6, uint8_t proto, uint32_t len, bool from_us, uint8_t ecn)
{
	if (v6) {
		memset(ip, 0, 40);
		sc_put32(ip, 0x60000000u | (uint32_t)ecn << 20);
		sc_put16(ip + 4, len);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, from_us ? our6 : peer6, 16);
		memcpy(ip + 24, from_us ? peer6 : our6, 16);
		return 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[1] = ecn;
	sc_put16(ip + 2, 20 + len);
	sc_put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, from_us ? our4 : peer4, 4);
	memcpy(ip + 16, from_us ? peer4 : our4, 4);
	sc_put16(ip + 10, finish(add(ip, 20, 0)));
	return 20;
}

static uint32_t put_eth(uint8_t *f, uint16_t type)
{
	memcpy(f, sc_our_mac, 6);
	memcpy(f + 6, sc_peer_mac, 6);
	sc_put16(f + 12, type);
	return ETH;
}

uint32_t sc_frame_tcp(uint8_t *f, const struct sc_seg *s, const struct sc_wire *w)
{
	uint32_t hlen = 20 + w->opt_len, len = hlen + s->len;
	uint32_t at = put_eth(f, w->v6 ? 0x86dd : 0x0800);
	uint8_t *t;

	at += put_ip(f + at, w->v6, 6, len, false, s->ecn);
	t = f + at;
	memset(t, 0, 20);
	sc_put16(t, s->port);
	sc_put16(t + 2, w->lport);
	sc_put32(t + 4, s->seq);
	sc_put32(t + 8, s->ack);
	t[12] = (uint8_t)((w->doff ? w->doff : hlen / 4) << 4);
	t[13] = s->flags;
	sc_put16(t + 14, s->wnd);
	sc_put16(t + 18, s->urg);
	memcpy(t + 20, w->opts, w->opt_len);
	for (uint32_t i = 0; i < s->len; i++)
		t[hlen + i] = w->fill >= 0 ? (uint8_t)w->fill : sc_pattern_theirs(w->pos + i);
	sc_put16(t + 16, finish(add(t, len, pseudo(w->v6, 6, len))) ^ (w->badsum ? 0x1111u : 0));
	return at + len;
}

uint32_t sc_frame_icmp(uint8_t *f, const struct sc_icmp *i)
{
	uint32_t at = put_eth(f, i->v6 ? 0x86dd : 0x0800), len, quote;
	uint8_t *h;

	quote = (i->v6 ? 40u : 20u) + 20;
	len = 8 + quote;
	at += put_ip(f + at, i->v6, i->v6 ? 58 : 1, len, false, 0);
	h = f + at;
	memset(h, 0, len);
	h[0] = i->type;
	h[1] = i->code;
	sc_put32(h + 4, i->mtu);
	quote = put_ip(h + 8, i->v6, 6, 20, true, 0);
	sc_put16(h + 8 + quote, i->lport);
	sc_put16(h + 10 + quote, i->port);
	sc_put32(h + 12 + quote, i->seq);
	h[8 + quote + 12] = 0x50;
	sc_put16(h + 2,
		finish(add(h, len, i->v6 ? pseudo(true, 58, len) : 0)) ^ (i->badsum ? 0x1111u : 0));
	return at + len;
}

/* ---- what the stack sent ---- */

static bool parse_opts(const uint8_t *p, uint32_t left, struct sc_opts *o)
{
	while (left > 0 && *p != 0) {
		if (*p == 1) {
			p++;
			left--;
			continue;
		}
		if (left < 2 || p[1] < 2 || p[1] > left)
			return false;
		switch (p[0]) {
		case 2:
			o->has_mss = true;
			o->mss = sc_get16(p + 2);
			break;
		case 3:
			o->has_ws = true;
			o->ws = p[2];
			break;
		case 4:
			o->has_sackok = true;
			break;
		case 5:
			o->n_sack = (uint8_t)((p[1] - 2) / 8);
			for (uint32_t i = 0; i < 2u * o->n_sack; i++)
				o->sack[i] = sc_get32(p + 2 + 4 * i);
			break;
		case 8:
			o->has_ts = true;
			o->tsval = sc_get32(p + 2);
			o->tsecr = sc_get32(p + 6);
			break;
		}
		left -= p[1];
		p += p[1];
	}
	return true;
}

/* The TCP header in a frame of ours; NULL: none. */
static const uint8_t *find_tcp(
	const uint8_t *f, uint32_t len, uint32_t *tcp_len, struct sc_seg *s, const char **why)
{
	uint16_t type = sc_get16(f + 12);
	const uint8_t *ip = f + ETH;
	bool v6 = type == 0x86dd;

	if (len < ETH + 40 || (type != 0x0800 && !v6) || (v6 ? ip[6] : ip[9]) != 6)
		return NULL;
	*tcp_len = v6 ? sc_get16(ip + 4) : sc_get16(ip + 2) - 20u;
	if (ETH + (v6 ? 40u : 20u) + *tcp_len > len)
		*why = "the IP length is more than the frame";
	else if (!v6 && (ip[0] != 0x45 || finish(add(ip, 20, 0)) != 0))
		*why = "the IP header's checksum is wrong";
	else if (memcmp(v6 ? ip + 8 : ip + 12, v6 ? our6 : our4, v6 ? 16 : 4) ||
		 memcmp(v6 ? ip + 24 : ip + 16, v6 ? peer6 : peer4, v6 ? 16 : 4))
		*why = "the addresses are not those of the two ends";
	s->ecn = v6 ? ip[1] >> 4 & 3 : ip[1] & 3;
	ip += v6 ? 40 : 20;
	if (!*why && finish(add(ip, *tcp_len, pseudo(v6, 6, *tcp_len))) != 0)
		*why = "the TCP checksum is wrong";
	return ip;
}

int sc_frame_parse(const uint8_t *f, uint32_t len, struct sc_seg *s, uint16_t *lport,
	const uint8_t **payload, const char **why)
{
	uint32_t tcp_len, hlen;
	const uint8_t *t;

	*why = NULL;
	memset(s, 0, sizeof(*s));
	t = find_tcp(f, len, &tcp_len, s, why);
	if (!t)
		return 0;
	hlen = (uint32_t)(t[12] >> 4) * 4;
	if (!*why && (hlen < 20 || hlen > tcp_len || !parse_opts(t + 20, hlen - 20, &s->o)))
		*why = "the header's length or its options are malformed";
	if (!*why && (t[12] & 15))
		*why = "reserved bits are set";
	if (*why)
		return -1;
	s->out = true;
	*lport = sc_get16(t);
	s->port = sc_get16(t + 2);
	s->seq = sc_get32(t + 4);
	s->ack = sc_get32(t + 8);
	s->flags = t[13];
	s->wnd = sc_get16(t + 14);
	s->urg = sc_get16(t + 18);
	s->len = tcp_len - hlen;
	*payload = t + hlen;
	return 1;
}

/* ---- neighbours ---- */

static uint32_t put_arp(uint8_t *a, uint16_t op)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};

	put_eth(a, 0x0806);
	memcpy(a + 14, head, 6);
	sc_put16(a + 20, op);
	memcpy(a + 22, sc_peer_mac, 6);
	memcpy(a + 28, peer4, 4);
	memcpy(a + 32, sc_our_mac, 6);
	memcpy(a + 38, our4, 4);
	return 42;
}

/* A solicitation (135) or advertisement (136) with the peer's link-layer address. */
static uint32_t put_nd(uint8_t *a, uint8_t type)
{
	bool answer = type == 136;
	uint8_t *nd = a + ETH + 40;

	put_eth(a, 0x86dd);
	put_ip(a + ETH, true, 58, 32, false, 0);
	a[ETH + 7] = 255;
	memset(nd, 0, 32);
	nd[0] = type;
	nd[4] = answer ? 0x60 : 0; /* solicited, override */
	memcpy(nd + 8, answer ? peer6 : our6, 16);
	nd[24] = answer ? 2 : 1;
	nd[25] = 1;
	memcpy(nd + 26, sc_peer_mac, 6);
	sc_put16(nd + 2, finish(add(nd, 32, pseudo(true, 58, 32))));
	return ETH + 72;
}

uint32_t sc_frame_hello(uint8_t *f, bool v6)
{
	return v6 ? put_nd(f, 135) : put_arp(f, 1);
}

uint32_t sc_frame_neighbour(const uint8_t *f, uint32_t len, uint8_t *answer)
{
	uint16_t type = sc_get16(f + 12);

	if (type == 0x0806 && len >= 42 && sc_get16(f + 20) == 1 && !memcmp(f + 38, peer4, 4))
		return put_arp(answer, 2);
	if (type == 0x86dd && len >= ETH + 64 && f[ETH + 6] == 58 && f[ETH + 40] == 135 &&
		!memcmp(f + ETH + 48, peer6, 16))
		return put_nd(answer, 136);
	return 0;
}
