/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header and its options, parsed from untrusted bytes and written (RFC 9293 §3.1, 7323, 2018).
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#include <rte_mbuf.h>

/* NOP NOP TIMESTAMPS 10: the common layout, recommended by RFC 7323 appendix A. */
#define TS_ALIGNED 0x0101080au

static void parse_sack(struct mt_tcp_seg *seg, const uint8_t *p, uint32_t len)
{
	uint32_t n = MT_MIN((len - 2) / 8, MT_TCP_SACK_BLOCKS);

	for (uint32_t i = 0; i < n; i++)
		seg->sack[i] = (struct mt_tcp_block){
			mt_get_be32(p + 2 + 8 * i), mt_get_be32(p + 6 + 8 * i)};
	seg->n_sack = (uint8_t)n;
}

/*
 * Parses one option whose length octet was checked: 2 <= len <= bytes left. Options of wrong length
 * are ignored.
 */
static void parse_option(struct mt_tcp_seg *seg, const uint8_t *p, uint32_t len)
{
	bool syn = seg->flags & MT_TCP_SYN;

	switch (p[0]) {
	case MT_TCP_OPT_MSS:
		if (len != 4 || !syn)
			break;
		seg->mss = mt_get_be16(p + 2);
		seg->has |= MT_TCP_HAS_MSS;
		break;
	case MT_TCP_OPT_WSCALE:
		if (len != 3 || !syn)
			break;
		seg->wscale = mt_mutant(MT_BREAK_scale_unlimited) ? p[2]
								  : MT_MIN(p[2], MT_TCP_WSCALE_MAX);
		seg->has |= MT_TCP_HAS_WSCALE;
		break;
	case MT_TCP_OPT_SACK_OK:
		if (len == 2 && syn)
			seg->has |= MT_TCP_HAS_SACK_OK;
		break;
	case MT_TCP_OPT_SACK:
		if (len >= 10 && (len - 2) % 8 == 0 && !syn)
			parse_sack(seg, p, len);
		break;
	case MT_TCP_OPT_TS:
		if (len != 10)
			break;
		seg->tsval = mt_get_be32(p + 2);
		seg->tsecr = mt_get_be32(p + 6);
		seg->has |= MT_TCP_HAS_TS;
		break;
	}
}

static bool parse_options(struct mt_tcp_seg *seg, const uint8_t *p, uint32_t left)
{
	while (left > 0) {
		uint32_t len;

		if (p[0] == MT_TCP_OPT_END && !mt_mutant(MT_BREAK_options_after_end))
			return true;
		if (p[0] <= MT_TCP_OPT_NOP) {
			p++;
			left--;
			continue;
		}
		if (left < 2 || p[1] < 2 || p[1] > left)
			return mt_mutant(MT_BREAK_options_bad_taken);
		len = p[1];
		parse_option(seg, p, len);
		p += len;
		left -= len;
	}
	return true;
}

/* RFC 3168 §5: 3 in the last bits of the traffic class; IPv6 has them four bits further up. */
static uint8_t ce_of(uint32_t tos)
{
	return (tos & 3) == 3 ? MT_TCP_HAS_CE : 0;
}

/* Parses the IP header; false: addresses that alias others (v4-mapped on the wire). */
static bool parse_ip(const struct rte_mbuf *m, struct mt_tcp_seg *seg)
{
	struct mt_tuple *tuple = &seg->tuple;
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->l2_len);
	uint32_t be;

	if (ip[0] >> 4 == 4) {
		seg->has = ce_of(ip[1]);
		memcpy(&be, ip + 12, 4);
		tuple->remote = mt_addr4(be);
		memcpy(&be, ip + 16, 4);
		tuple->local = mt_addr4(be);
		return true;
	}
	seg->has = ce_of(ip[1] >> 4);
	memcpy(tuple->remote.b, ip + 8, 16);
	memcpy(tuple->local.b, ip + 24, 16);
	return !mt_addr_is4(&tuple->remote) && !mt_addr_is4(&tuple->local);
}

static bool malformed(struct mt_tcp *t, enum mt_tcp_outcome why)
{
	mt_tcp_note(t, why);
	return false;
}

bool mt_tcp_parse(struct mt_tcp *t, struct rte_mbuf *m, struct mt_tcp_seg *seg)
{
	uint32_t at = (uint32_t)m->l2_len + m->l3_len, hlen;
	const uint8_t *h;

	if (mt_unlikely(m->l3_len < 20 || m->data_len < at + MT_TCP_HDR_LEN))
		return malformed(t, MT_TCP_header_bad);
	h = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	hlen = (uint32_t)(h[12] >> 4) * 4;
	if (mt_unlikely(hlen < MT_TCP_HDR_LEN || m->data_len < at + hlen))
		return malformed(t, MT_TCP_header_bad);
	if (mt_unlikely(!parse_ip(m, seg)))
		return malformed(t, MT_TCP_header_bad);
	seg->m = m;
	seg->tuple.rport = mt_get_be16(h);
	seg->tuple.lport = mt_get_be16(h + 2);
	seg->seq = mt_get_be32(h + 4);
	seg->ack = mt_get_be32(h + 8);
	seg->flags = h[13];
	seg->wnd = mt_get_be16(h + 14);
	seg->skip = at + hlen;
	seg->len = m->pkt_len - seg->skip;
	seg->n_sack = 0;
	if (mt_likely(
		    hlen == MT_TCP_HDR_LEN + MT_TCP_TS_LEN && mt_get_be32(h + 20) == TS_ALIGNED)) {
		seg->has |= MT_TCP_HAS_TS;
		seg->tsval = mt_get_be32(h + 24);
		seg->tsecr = mt_get_be32(h + 28);
		return true;
	}
	if (mt_unlikely(!parse_options(seg, h + MT_TCP_HDR_LEN, hlen - MT_TCP_HDR_LEN)))
		return malformed(t, MT_TCP_options_bad);
	return true;
}

static uint8_t *put_ts(uint8_t *p, uint32_t tsval, uint32_t tsecr)
{
	mt_put_be32(p, TS_ALIGNED);
	mt_put_be32(p + 4, tsval);
	mt_put_be32(p + 8, tsecr);
	return p + MT_TCP_TS_LEN;
}

uint32_t mt_tcp_opts_syn(uint8_t opts[MT_TCP_OPTS_MAX], uint8_t has, uint16_t mss, uint8_t wscale,
	uint32_t tsval, uint32_t tsecr)
{
	uint8_t *p = opts;

	p[0] = MT_TCP_OPT_MSS;
	p[1] = 4;
	mt_put_be16(p + 2, mss);
	p += 4;
	if (has & MT_TCP_HAS_SACK_OK) {
		mt_put_be32(p,
			MT_TCP_OPT_NOP << 24 | MT_TCP_OPT_NOP << 16 | MT_TCP_OPT_SACK_OK << 8 | 2);
		p += 4;
	}
	if (has & MT_TCP_HAS_TS)
		p = put_ts(p, tsval, tsecr);
	if (has & MT_TCP_HAS_WSCALE) {
		mt_put_be32(p, MT_TCP_OPT_NOP << 24 | MT_TCP_OPT_WSCALE << 16 | 3 << 8 | wscale);
		p += 4;
	}
	return (uint32_t)(p - opts);
}

uint32_t mt_tcp_opts_ts(uint8_t opts[MT_TCP_OPTS_MAX], uint32_t tsval, uint32_t tsecr)
{
	return (uint32_t)(put_ts(opts, tsval, tsecr) - opts);
}

/* RFC 2883 §4: a duplicate comes first, then the blocks of RFC 2018. */
static uint32_t sack_blocks(
	const struct mt_tcp *t, const struct mt_tcp_conn *c, struct mt_tcp_block *b, uint32_t max)
{
	uint32_t n = 0;

	if (c->flags & MT_CF_DSACK)
		b[n++] = (struct mt_tcp_block){c->dup_seq, c->dup_seq + c->dup_len};
	if (c->ooo)
		n += mt_tcp_ooo_blocks(mt_tcp_ooo(t, c), b + n, max - n);
	return n;
}

uint32_t mt_tcp_opts_data(struct mt_tcp *t, struct mt_tcp_conn *c, uint8_t opts[MT_TCP_OPTS_MAX])
{
	struct mt_tcp_block b[MT_TCP_SACK_BLOCKS];
	uint8_t *p = opts;
	uint32_t n;

	if (c->flags & MT_CF_TS)
		p = put_ts(p, mt_tcp_ts_now(t, c->ts_off), c->ts_recent);
	if (mt_likely(!c->ooo && !(c->flags & MT_CF_DSACK)) || !(c->flags & MT_CF_SACK))
		return (uint32_t)(p - opts);
	n = sack_blocks(t, c, b, c->flags & MT_CF_TS ? 3 : 4);
	if (n == 0)
		return (uint32_t)(p - opts);
	mt_put_be32(p,
		MT_TCP_OPT_NOP << 24 | MT_TCP_OPT_NOP << 16 | MT_TCP_OPT_SACK << 8 | (2 + 8 * n));
	p += 4;
	for (uint32_t i = 0; i < n; i++, p += 8) {
		mt_put_be32(p, b[i].start);
		mt_put_be32(p + 4, b[i].end);
	}
	return (uint32_t)(p - opts);
}
