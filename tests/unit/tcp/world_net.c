/* SPDX-License-Identifier: Apache-2.0 */
/* In lib/net's place: takes what the stack sends, and compares it with what the test expects. */
#include "world_priv.h"

#include <stdio.h>

enum mt_net_result mt_net_route(struct mt_netw *n, const struct mt_addr *local,
	const struct mt_addr *remote, struct mt_net_dst *dst)
{
	dst->gen = 1;
	dst->neigh = 7;
	dst->mtu = w.mtu;
	dst->port = w.two_ports ? remote->b[15] & 1 : 0;
	dst->l2len = w.route == MT_NET_SENT ? 14 : 0;
	return w.route;
}

enum mt_net_result mt_net_route_stream(
	struct mt_netw *n, const struct mt_tuple *t, struct mt_net_dst *dst)
{
	return mt_net_route(n, &t->local, &t->remote, dst);
}

uint32_t mt_net_tx_room(struct mt_netw *n, uint16_t port)
{
	w.asked++;
	return port ? w.room_1 : w.room;
}

enum mt_net_result mt_net_tx_ready(
	struct mt_netw *n, const struct mt_tuple *t, struct mt_net_dst *dst, uint32_t *room)
{
	if (dst->l2len == 0)
		mt_net_route_stream(n, t, dst);
	if (dst->l2len == 0)
		return w.route;
	*room = mt_net_tx_room(n, dst->port);
	return *room ? MT_NET_SENT : MT_NET_BUSY;
}

enum mt_net_result mt_net_route_back(struct mt_netw *n, const struct rte_mbuf *in,
	const struct mt_addr *remote, struct mt_net_dst *dst)
{
	enum mt_net_result rc = mt_net_route(n, NULL, remote, dst);

	if (rc != MT_NET_WAIT || !in)
		return rc;
	dst->l2len = 14;
	w.back++;
	return MT_NET_SENT;
}

void mt_net_answer_tcp(struct mt_netw *n, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst)
{
	w.room++; /* not of the connections' share */
	mt_net_output_tcp(n, m, t, dst, 0);
}

bool mt_net_source_addr(
	const struct mt_netw *n, const struct mt_addr *remote, uint64_t rnd, struct mt_addr *local)
{
	mt_addr_parse(mt_addr_is4(remote) ? "10.0.0.1" : "2001:db8::1", local);
	return true;
}

const struct mt_port_caps *mt_net_caps(const struct mt_netw *n, const struct mt_net_dst *dst)
{
	return &w.caps;
}

void mt_net_pmtu_learn(struct mt_netw *n, const struct mt_addr *remote, uint16_t mtu)
{
	w.mtu = mtu;
}

static void capture_opts(struct sent *o, const uint8_t *p, uint32_t left)
{
	while (left > 0 && *p != MT_TCP_OPT_END) {
		if (*p == MT_TCP_OPT_NOP) {
			p++;
			left--;
			continue;
		}
		switch (p[0]) {
		case MT_TCP_OPT_MSS:
			o->mss = mt_get_be16(p + 2);
			break;
		case MT_TCP_OPT_WSCALE:
			o->wscale = p[2] + 1;
			break;
		case MT_TCP_OPT_SACK_OK:
			o->sack_ok = true;
			break;
		case MT_TCP_OPT_TS:
			o->has_ts = true;
			o->tsval = mt_get_be32(p + 2);
			o->tsecr = mt_get_be32(p + 6);
			break;
		case MT_TCP_OPT_SACK:
			o->n_sack = (p[1] - 2u) / 4;
			for (uint32_t i = 0; i < o->n_sack; i++)
				o->sack[i] = mt_get_be32(p + 2 + 4 * i) - w.irs;
			break;
		}
		left -= p[1];
		p += p[1];
	}
}

/* Payload bytes must be the pattern at their place: nothing overwrote or shifted them. */
static bool payload_right(const struct rte_mbuf *m, uint32_t hlen, uint32_t rel)
{
	uint8_t bytes[9000];
	const uint8_t *p;
	uint32_t len = m->pkt_len - hlen;

	p = rte_pktmbuf_read(m, hlen, len, bytes);
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != pattern(rel - 1 + i))
			return false;
	return true;
}

void mt_net_output_tcp(struct mt_netw *n, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst, uint8_t tos)
{
	const uint8_t *h = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t hlen = (h[12] >> 4) * 4u;
	struct sent *o = &w.out[w.n_out % 512];

	if (dst->port)
		CU_ASSERT_TRUE(w.room_1-- > 0);
	if (!dst->port)
		CU_ASSERT_TRUE(w.room-- > 0);
	w.n_out++;
	memset(o, 0, sizeof(*o));
	o->rport = t->rport;
	o->bytes = m->pkt_len;
	o->flags = h[13];
	o->ect = tos == MT_IP_ECT;
	if (!w.iss_known && o->flags & S) {
		w.iss = mt_get_be32(h + 4);
		w.iss_known = true;
		w.lport = mt_get_be16(h);
	}
	o->seq = mt_get_be32(h + 4) - w.iss;
	o->ack = o->flags & A ? mt_get_be32(h + 8) - w.irs : 0;
	o->wnd = mt_get_be16(h + 14);
	o->len = m->pkt_len - hlen;
	capture_opts(o, h + 20, hlen - 20);
	o->pattern_ok = payload_right(m, hlen, o->seq);
	CU_ASSERT_EQUAL(m->l4_len, hlen);
	/* What a real port does to the headroom. */
	memset(rte_pktmbuf_prepend(m, (uint16_t)HEAD(w.ip6)), 0xee, HEAD(w.ip6));
	if (!w.hold) {
		mt_buf_free(m);
		return;
	}
	memcpy(w.held_head[w.n_held], rte_pktmbuf_mtod_offset(m, uint8_t *, HEAD(w.ip6)), 20);
	w.held[w.n_held++] = m;
}

static bool check(bool ok, const char *what, const char *file, int line)
{
	CU_assertImplementation(
		ok ? CU_TRUE : CU_FALSE, (unsigned int)line, what, file, "", CU_FALSE);
	return ok;
}

static bool same_sack(const struct say *want, const struct sent *o)
{
	uint32_t n = 0;

	while (n < 8 && want->sack[n + 1])
		n += 2;
	return n == o->n_sack && !memcmp(want->sack, o->sack, 4 * n);
}

static bool matches(const struct say *s, const struct sent *o)
{
	return o->flags == s->flags && (s->seq == ANY || o->seq == s->seq) &&
	       (s->ack == ANY || o->ack == s->ack) && o->len == s->len &&
	       (!s->wnd || o->wnd == s->wnd) && (!s->shut || o->wnd == 0) &&
	       (!s->mss || o->mss == s->mss) && (!s->wscale || o->wscale == s->wscale) &&
	       (!s->tsecr || o->tsecr == s->tsecr) && (!s->sack_ok || o->sack_ok) &&
	       same_sack(s, o) && o->pattern_ok;
}

static void show(const struct sent *o)
{
	printf("  flags %02x seq %u ack %u wnd %u len %u mss %u ws %u ts %d:%u:%u sack %u:",
		o->flags, o->seq, o->ack, o->wnd, o->len, o->mss, o->wscale, o->has_ts, o->tsval,
		o->tsecr, o->n_sack);
	for (uint32_t i = 0; i < o->n_sack; i++)
		printf(" %u", o->sack[i]);
	printf("%s\n", o->pattern_ok ? "" : " WRONG PAYLOAD");
}

void tx_say(struct say s, const char *file, int line)
{
	if (!check(w.next_out < w.n_out, "a segment left", file, line))
		return;
	if (!check(matches(&s, &w.out[w.next_out % 512]), "the segment is as expected", file,
		    line)) {
		printf("%s:%d: expected flags %02x seq %u ack %u len %u, left:\n", file, line,
			s.flags, s.seq, s.ack, s.len);
		show(&w.out[w.next_out % 512]);
	}
	w.next_out++;
}

void none_at(const char *file, int line)
{
	if (!check(w.next_out == w.n_out, "nothing more left", file, line))
		for (uint32_t i = w.next_out; i < w.n_out; i++)
			show(&w.out[i % 512]);
	w.next_out = w.n_out;
}

void skip_all(void)
{
	/* What is not looked at bears the right bytes all the same; of a long burst the last are known. */
	for (; w.next_out < w.n_out; w.next_out++)
		CU_ASSERT_TRUE(w.n_out - w.next_out > 512 || w.out[w.next_out % 512].pattern_ok);
}

void events_at(const char *want, const char *file, int line)
{
	if (!check(!strcmp(w.events, want), "the user was told this", file, line))
		printf("%s:%d: expected events \"%s\", got \"%s\"\n", file, line, want, w.events);
	w.events[0] = 0;
}
