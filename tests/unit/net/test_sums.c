/* SPDX-License-Identifier: Apache-2.0 */
/* A payload's sum travels from where it came in to where it leaves, past what lib/buf does between. */
#include "fixture.h"
#include "test_net.h"

#include "mt_net_cksum.h"

#include <rte_tcp.h>

#define PAYLOAD 1400u

static struct fx f;
static struct mt_tuple tuple;
static struct mt_net_dst dst;

static void set_up(void)
{
	struct fx_pkt p = {0};

	tuple = (struct mt_tuple){fx_addr("192.0.2.1"), fx_addr("192.0.2.9"), 2000, 8080, 0};
	memset(&dst, 0, sizeof(dst));
	fx_open(&f, 1);
	mt_net_route(f.w[0], NULL, &tuple.remote, &dst);
	fx_turn(&f, MT_MSEC);
	fx_arp(&p, 2, fx_peer_mac, "192.0.2.9", "192.0.2.1", fx_our_mac[0]);
	fx_in(&f, 0, 0, p.b, p.len);
	fx_clear(&f);
}

/* A received segment's payload as a chain; `extra`: as many bytes more of padding behind it. */
static struct mt_chain receive(uint16_t len, uint16_t extra)
{
	struct mt_chain c = {0};
	struct fx_pkt p = {0};
	struct rte_mbuf *m;

	fx_tcp(&p, "192.0.2.9", 4000, "192.0.2.1", 80, len);
	for (uint32_t i = 54; i < p.len; i++)
		p.b[i] = (uint8_t)(i * 7 + (i >> 8));
	fx_resum(&p, 14);
	m = fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, (uint16_t)(p.len + extra), 0));
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->pkt_len, 54u + len);
	CU_ASSERT_EQUAL(mt_chain_append_pkt(&c, m, 54, len), len);
	return c;
}

/* Sends `len` bytes from the chain's head on as one segment; whether its checksums are right. */
static bool send(struct mt_chain *c, uint32_t off, uint32_t len, bool chains_ok)
{
	struct rte_mbuf *m = mt_buf_segment(&f.pools, c->head, off, len, 54, chains_ok);
	struct rte_tcp_hdr *tcp;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	tcp = (struct rte_tcp_hdr *)rte_pktmbuf_prepend(m, sizeof(*tcp));
	memset(tcp, 0, sizeof(*tcp));
	tcp->src_port = rte_cpu_to_be_16(tuple.lport);
	tcp->dst_port = rte_cpu_to_be_16(tuple.rport);
	tcp->data_off = 5 << 4;
	fx_clear(&f);
	CU_ASSERT_EQUAL_FATAL(fx_send(&f, 0, m, &tuple, &dst, 0), MT_NET_SENT);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT_EQUAL(f.port[0].sent[0].len, 54 + len);
	return fx_sums_ok(&f.port[0].sent[0], 14);
}

/* What may happen to a payload between; each leaves a right checksum, and the sum where it should. */
static const struct {
	const char *what;
	uint32_t drop, prefix, resize_old, resize_new, patch, append, truncate, off;
	bool shared, no_chains, kept;
} rows[] = {
	{.what = "nothing", .kept = true},
	{.what = "odd front dropped", .drop = 77, .kept = true},
	{.what = "whole prefix room dropped", .drop = 128, .kept = true},
	{.what = "more dropped", .drop = 129},
	{.what = "id rewritten", .prefix = 16, .kept = true},
	{.what = "prefix rewritten", .prefix = 128, .kept = true},
	{.what = "dropped and rewritten", .drop = 100, .prefix = 100},
	{.what = "prefix grown", .resize_old = 10, .resize_new = 21, .kept = true},
	{.what = "prefix shrunk", .resize_old = 21, .resize_new = 4, .kept = true},
	{.what = "front dropped, prefix put before", .drop = 200, .resize_new = 128},
	{.what = "patched far behind", .patch = 999},
	{.what = "patched in front", .patch = 50, .kept = true},
	{.what = "appended", .append = 3},
	{.what = "truncated", .truncate = 901},
	{.what = "sent from the middle", .off = 400},
	{.what = "cloned", .shared = true, .kept = true},
	{.what = "copied", .shared = true, .no_chains = true, .kept = true},
	{.what = "cloned, odd front dropped", .shared = true, .drop = 13, .kept = true},
	{.what = "copied, odd front dropped",
		.shared = true,
		.no_chains = true,
		.drop = 13,
		.kept = true},
	{.what = "cloned from inside", .shared = true, .off = 31, .kept = true},
};

static void change(struct mt_chain *c, uint32_t i)
{
	static const uint8_t bytes[128] = "what stands here now is something else";
	uint8_t *p;

	if (rows[i].drop)
		mt_chain_drop(c, rows[i].drop);
	if (rows[i].prefix) {
		p = mt_chain_own_prefix(c, rows[i].prefix, &f.pools);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		memcpy(p, bytes, rows[i].prefix);
	}
	if (rows[i].resize_new) {
		p = mt_chain_resize_prefix(c, rows[i].resize_old, rows[i].resize_new, &f.pools);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		memcpy(p, bytes, rows[i].resize_new);
	}
	if (rows[i].patch)
		CU_ASSERT_EQUAL(mt_chain_patch(c, rows[i].patch, bytes, 5, &f.pools), 0);
	if (rows[i].append)
		CU_ASSERT_EQUAL(mt_chain_write(c, &f.pools, bytes, rows[i].append), 0);
	if (rows[i].truncate)
		mt_chain_truncate(c, rows[i].truncate);
}

static void one_row(uint32_t i, bool spoil)
{
	struct mt_chain c = receive(PAYLOAD + 33, 6);
	struct rte_mbuf *held = rows[i].shared ? c.head : NULL;
	bool ok;

	change(&c, i);
	CU_ASSERT_EQUAL(c.segs, 1);
	if (held)
		mt_buf_hold(held);
	if (spoil)
		mt_link(c.head)->sum ^= 0x10;
	ok = send(&c, rows[i].off, c.len - rows[i].off, !rows[i].no_chains);
	/* A spoilt sum shows whether it was used. */
	if (ok == (spoil && rows[i].kept))
		printf("%s: checksum %s\n", rows[i].what, ok ? "right" : "wrong");
	CU_ASSERT_EQUAL(ok, !(spoil && rows[i].kept));
	if (held)
		rte_pktmbuf_free_seg(held);
	mt_chain_free(&c);
}

static void sums_travel(void)
{
	set_up();
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		one_row(i, false);
		one_row(i, true);
	}
	CU_ASSERT(fx_close(&f));
}

/* The payload's last byte counts, and so does what a neighbour left in the mbuf's flags. */
static void bad_long_segment_refused(void)
{
	struct fx_pkt p = {0};
	struct rte_mbuf *m;

	set_up();
	fx_tcp(&p, "192.0.2.9", 4000, "192.0.2.1", 80, PAYLOAD);
	for (uint32_t at = 54; at < p.len; at += 17) {
		p.b[at] ^= 1;
		m = fx_mbuf(&f, p.b, p.len, 0);
		m->ol_flags |= mt_buf_summed;
		mt_link(m)->sum_off = (uint16_t)(m->data_off + 60);
		mt_link(m)->sum = 0;
		CU_ASSERT_PTR_NULL(fx_in_keep(&f, 0, 0, m));
		p.b[at] ^= 1;
	}
	CU_ASSERT(fx_count(&f, MT_NET_tcp_checksum_bad) >= PAYLOAD / 17);
	CU_ASSERT(fx_close(&f));
}

/* The sum of a buffer that begins at an odd place of its segment, whatever carries it makes. */
static void sum_at_odd_place(void)
{
	set_up();
	for (uint16_t i = 0; i < 64; i++) {
		struct mt_chain c = receive((uint16_t)(701 + i), 0);
		struct mt_chain behind = receive((uint16_t)(800 - 3 * i), 0);

		CU_ASSERT_TRUE(mt_link(behind.head)->sum_off > 0);
		mt_chain_concat(&c, &behind);
		CU_ASSERT_TRUE(send(&c, 0, c.len, true));
		mt_chain_free(&c);
	}
	CU_ASSERT(fx_close(&f));
}

/* A long segment whose buffer its sender still holds is looked at through a buffer of our own. */
static void shared_is_cloned(void)
{
	struct rte_mbuf *theirs, *ours;
	struct fx_pkt p = {0};

	set_up();
	f.port[0].p.caps.rx_shared = true;
	for (uint16_t len = 100; len <= PAYLOAD; len += 1300) {
		memset(&p, 0, sizeof(p));
		fx_tcp(&p, "192.0.2.9", 4000, "192.0.2.1", 80, len);
		theirs = fx_mbuf(&f, p.b, p.len, 0);
		mt_buf_hold(theirs);
		ours = fx_in_keep(&f, 0, 0, theirs);
		CU_ASSERT_PTR_NOT_NULL_FATAL(ours);
		CU_ASSERT_PTR_NOT_EQUAL(ours, theirs);
		CU_ASSERT_EQUAL(ours->buf_addr == theirs->buf_addr, len > 512);
		CU_ASSERT_EQUAL(mt_buf_writable(ours), len <= 512);
		/* It may wait for long: what ACKs are made of is not for that. */
		mt_pools_sample(&f.pools);
		CU_ASSERT_EQUAL(f.pools.ctrl_free, f.pools.ctrl_total);
		mt_buf_free(ours);
		CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(theirs), 1);
		mt_buf_free(theirs);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_rx_copied), 1);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_rx_cloned), 1);
	CU_ASSERT(fx_close(&f));
}

/* What a neighbour on a ring wrote into its buffer's link proves nothing, not of an echo request either. */
static void sum_of_a_neighbour(void)
{
	struct fx_pkt p = {0};

	set_up();
	fx_echo(&p, "192.0.2.9", "192.0.2.1", 1000);
	for (int wrong = 0; wrong < 2; wrong++) {
		struct rte_mbuf *m = fx_mbuf(&f, p.b, p.len, 0);
		uint8_t *bytes = rte_pktmbuf_mtod(m, uint8_t *);
		struct mt_link *l = mt_link(m);

		l->sum_off = (uint16_t)(m->data_off + 14 + 20 + 8);
		l->sum = (uint16_t)net_sum(bytes + 42, p.len - 42u);
		m->ol_flags |= mt_buf_summed;
		bytes[600] ^= (uint8_t)wrong;
		CU_ASSERT_PTR_NULL(fx_in_keep(&f, 0, 0, m));
		CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_echoed), 1);
		CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_bad), (uint64_t)wrong);
	}
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_sum_tests[] = {
	{"sums travel with payloads", sums_travel},
	{"sums at odd places", sum_at_odd_place},
	{"bad long segments are refused", bad_long_segment_refused},
	{"shared buffers are cloned", shared_is_cloned},
	{"a neighbour's sum is not believed", sum_of_a_neighbour},
	{0},
};
