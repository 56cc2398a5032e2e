/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a frame is, read and written byte by byte from the RFCs (791, 8200, 9293), on purpose without a
 * line of lib/net: a mistake there must not be mirrored here.
 */
#include "link.h"

#include <string.h>

uint16_t sim_cksum(const void *p, uint32_t len, uint32_t sum)
{
	const uint8_t *b = p;

	for (; len > 1; b += 2, len -= 2)
		sum += sim_get16(b);
	if (len)
		sum += (uint32_t)b[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t sim_pseudo_sum(const struct sim_pkt *p)
{
	uint32_t from = p->family == 4 ? 12 : 0, sum = (uint32_t)p->proto + p->l4_len;

	for (uint32_t i = from; i < 16; i += 2)
		sum += (uint32_t)sim_get16(p->src.b + i) + sim_get16(p->dst.b + i);
	return sum;
}

static bool parse_ip4(uint8_t *ip, uint16_t len, struct sim_pkt *p)
{
	uint16_t total, hdr;

	if (len < 20 || ip[0] >> 4 != 4)
		return false;
	hdr = (uint16_t)((ip[0] & 15) * 4);
	total = sim_get16(ip + 2);
	if (hdr < 20 || total < hdr || total > len)
		return false;
	p->family = 4;
	p->proto = ip[9];
	memcpy(&p->src.w[3], ip + 12, 4);
	memcpy(&p->dst.w[3], ip + 16, 4);
	p->src = mt_addr4(p->src.w[3]);
	p->dst = mt_addr4(p->dst.w[3]);
	p->l4 = ip + hdr;
	p->l4_len = (uint16_t)(total - hdr);
	return (sim_get16(ip + 6) & 0x3fff) == 0; /* not a fragment */
}

static bool parse_ip6(uint8_t *ip, uint16_t len, struct sim_pkt *p)
{
	if (len < 40 || ip[0] >> 4 != 6 || sim_get16(ip + 4) > len - 40)
		return false;
	p->family = 6;
	p->proto = ip[6];
	memcpy(p->src.b, ip + 8, 16);
	memcpy(p->dst.b, ip + 24, 16);
	p->l4 = ip + 40;
	p->l4_len = sim_get16(ip + 4);
	return true;
}

static bool parse_tcp(struct sim_pkt *p)
{
	uint8_t *t = p->l4;

	if (p->l4_len < 20)
		return false;
	p->hdr_len = (uint8_t)((t[12] >> 4) * 4);
	if (p->hdr_len < 20 || p->hdr_len > p->l4_len)
		return false;
	p->sport = sim_get16(t);
	p->dport = sim_get16(t + 2);
	p->seq = sim_get32(t + 4);
	p->ack = sim_get32(t + 8);
	p->flags = t[13];
	p->wnd = sim_get16(t + 14);
	p->payload = t + p->hdr_len;
	p->payload_len = (uint16_t)(p->l4_len - p->hdr_len);
	return true;
}

bool sim_parse(uint8_t *frame, uint16_t len, struct sim_pkt *p)
{
	uint16_t type;
	bool ok;

	memset(p, 0, sizeof(*p));
	if (len < 14)
		return false;
	type = sim_get16(frame + 12);
	p->ip = frame + 14;
	if (type == 0x0800)
		ok = parse_ip4(p->ip, (uint16_t)(len - 14), p);
	else if (type == 0x86dd)
		ok = parse_ip6(p->ip, (uint16_t)(len - 14), p);
	else
		ok = false;
	if (ok && p->proto == 6)
		ok = parse_tcp(p);
	return ok;
}

uint16_t sim_ip_cksum_error(const struct sim_pkt *p)
{
	return p->family == 4 ? sim_cksum(p->ip, (uint32_t)(p->ip[0] & 15) * 4, 0) : 0;
}

uint16_t sim_l4_cksum_error(const struct sim_pkt *p)
{
	return sim_cksum(p->l4, p->l4_len, sim_pseudo_sum(p));
}

void sim_fix_cksums(struct sim_pkt *p)
{
	if (p->family == 4) {
		sim_put16(p->ip + 10, 0);
		sim_put16(p->ip + 10, sim_cksum(p->ip, (uint32_t)(p->ip[0] & 15) * 4, 0));
	}
	if (p->proto == 6) {
		sim_put16(p->l4 + 16, 0);
		sim_put16(p->l4 + 16, sim_cksum(p->l4, p->l4_len, sim_pseudo_sum(p)));
	}
}

static const char *flag_str(uint8_t f, char buf[8])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 6; i++)
		if (f & 1u << i)
			buf[n++] = "FSRPAU"[i];
	buf[n] = 0;
	return buf;
}

void sim_trace_frame(struct sim *s, const char *what, const char *who, struct sim_frame *f)
{
	struct sim_pkt p;
	char fl[8];

	sim_trace_bytes(s, f->data, f->len);
	if (!sim_parse(f->data, f->len, &p))
		sim_trace(s, "%-6s %-4s type %04x len %u%s", what, who, sim_get16(f->data + 12),
			f->len, f->hurt ? " hurt" : "");
	else if (p.proto != 6)
		sim_trace(
			s, "%-6s %-4s ip%u proto %u len %u", what, who, p.family, p.proto, f->len);
	else
		sim_trace(s, "%-6s %-4s %u>%u %s seq %u ack %u wnd %u len %u hdr %u%s", what, who,
			p.sport, p.dport, flag_str(p.flags, fl), p.seq, p.ack, p.wnd, p.payload_len,
			p.hdr_len, f->hurt ? " hurt" : "");
}
