/* SPDX-License-Identifier: Apache-2.0 */
/* Segments out: resolution, headers, checksums, queues. */
#include "fixture.h"
#include "test_net.h"

#include <rte_tcp.h>

static struct fx f;

/* A segment of `len` payload bytes as lib/tcp makes one, the payload in `chain` more mbufs. */
static struct rte_mbuf *segment(const struct mt_tuple *t, uint16_t len, bool chain)
{
	uint8_t bytes[20 + 1500] = {0};
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)bytes;
	struct rte_mbuf *m;

	tcp->src_port = rte_cpu_to_be_16(t->lport);
	tcp->dst_port = rte_cpu_to_be_16(t->rport);
	tcp->data_off = 5 << 4;
	for (uint16_t i = 0; i < len; i++)
		bytes[20 + i] = (uint8_t)(i + 1);
	m = fx_mbuf(&f, bytes, (uint16_t)(20 + len), chain ? 21 : 0);
	m->l4_len = 20;
	return m;
}

static struct mt_tuple tuple(const char *local, const char *remote)
{
	return (struct mt_tuple){fx_addr(local), fx_addr(remote), 2000, 8080};
}

static void answer_arp(const char *ip, const uint8_t mac[6])
{
	struct fx_pkt p = {0};

	fx_arp(&p, 2, mac, ip, "192.0.2.1", fx_our_mac[0]);
	fx_in(&f, 0, 0, p.b, p.len);
}

static void answer_nd(const char *ip)
{
	struct fx_pkt p = {0};

	fx_nd(&p, 136, ip, "2001:db8::1", ip, 0x60000000, 2, fx_peer_mac);
	fx_in(&f, 0, 0, p.b, p.len);
}

/* WAIT, a request on the wire, an answer, the event, then the segment with right checksums. */
static void one_way(const char *local, const char *remote, const char *hop, bool chain)
{
	struct mt_tuple t = tuple(local, remote);
	const struct fx_frame *out = f.port[0].sent;
	bool is4 = mt_addr_is4(&t.local);
	struct mt_net_dst dst = {0};
	struct rte_mbuf *m;

	fx_open(&f, 1);
	fx_turn(&f, 5 * MT_SEC); /* announcements are over */
	fx_turn(&f, 5 * MT_SEC);
	fx_clear(&f);
	m = segment(&t, 777, chain);
	CU_ASSERT_EQUAL(mt_net_output_tcp(f.w[0], m, &t, &dst, 0), MT_NET_WAIT);
	CU_ASSERT_EQUAL(m->pkt_len, 797); /* not taken, unchanged */
	fx_turn(&f, MT_MSEC);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	if (is4)
		answer_arp(hop, fx_peer_mac);
	else
		answer_nd(hop);
	CU_ASSERT_EQUAL(f.neigh_ok, 0);
	fx_turn(&f, MT_MSEC);
	CU_ASSERT_EQUAL(f.neigh_ok, 1);
	CU_ASSERT_EQUAL(f.last_neigh, dst.neigh);
	fx_clear(&f);
	CU_ASSERT_EQUAL_FATAL(mt_net_output_tcp(f.w[0], m, &t, &dst, 2), MT_NET_SENT);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT_EQUAL(out->len, 797 + 14 + (is4 ? 20 : 40));
	CU_ASSERT(fx_sums_ok(out, 14));
	CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(out->b + 6, fx_our_mac[0], 6), 0);
	CU_ASSERT_EQUAL(is4 ? out->b[15] : (out->b[15] >> 4), 2); /* tos */
	CU_ASSERT(fx_close(&f));
}

static void resolves_and_sends(void)
{
	for (int chain = 0; chain < 2; chain++) {
		one_way("192.0.2.1", "192.0.2.9", "192.0.2.9", chain);
		one_way("192.0.2.80", "10.9.9.9", "192.0.2.254", chain);
		one_way("2001:db8::1", "2001:db8::9", "2001:db8::9", chain);
		one_way("2001:db8::1", "2001:db8:5::9", "2001:db8::fe", chain);
	}
}

/* A device that sums leaves the pseudo header's share in the field. */
static void offload(void)
{
	struct mt_tuple t = tuple("192.0.2.1", "192.0.2.9");
	const struct fx_frame *out = f.port[0].sent;
	struct mt_net_dst dst = {0};
	uint32_t sum = 0;

	fx_open(&f, 1);
	f.port[0].p.caps.tx_cksum_ip = f.port[0].p.caps.tx_cksum_tcp = true;
	mt_net_route(f.w[0], NULL, &t.remote, &dst);
	fx_turn(&f, MT_MSEC);
	answer_arp("192.0.2.9", fx_peer_mac);
	fx_clear(&f);
	CU_ASSERT_EQUAL_FATAL(
		mt_net_output_tcp(f.w[0], segment(&t, 10, false), &t, &dst, 0), MT_NET_SENT);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL(out->ol_flags,
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM);
	CU_ASSERT_EQUAL(out->b[24] | out->b[25], 0);
	for (int i = 26; i < 34; i += 2)
		sum += (uint32_t)(out->b[i] << 8 | out->b[i + 1]);
	CU_ASSERT_EQUAL((uint16_t)~fx_sum(sum + 6 + 30, NULL, 0), out->b[50] << 8 | out->b[51]);
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_output_tests[] = {
	{"resolves_and_sends", resolves_and_sends},
	{"offload", offload},
	{0},
};
