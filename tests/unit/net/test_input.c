/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in: what is TCP for us, what is answered, what is dropped and under which name. */
#include "fixture.h"
#include "test_net.h"

#include <rte_ip.h>

static struct fx f;

static void tcp_is_left(const char *src, const char *dst, uint16_t l3)
{
	for (uint16_t data = 0; data <= 1400; data += 200) {
		struct fx_pkt p = {0};
		struct rte_mbuf *m;

		fx_tcp(&p, src, 4000, dst, 80, data);
		/* Padding behind the IP packet goes away. */
		fx_put(&p, NULL, 9);
		m = fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, p.len, 0));
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT_EQUAL(m->l2_len, 14);
		CU_ASSERT_EQUAL(m->l3_len, l3);
		CU_ASSERT_EQUAL(m->l4_len, 20);
		CU_ASSERT_EQUAL(m->pkt_len, p.len - 9u);
		mt_buf_free(m);
	}
}

static void tcp_accepted(void)
{
	fx_open(&f, 1);
	tcp_is_left("192.0.2.9", "192.0.2.1", 20);
	tcp_is_left("10.1.2.3", "203.0.113.80", 20);
	tcp_is_left("2001:db8::9", "2001:db8::80", 40);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_rx_tcp), 24);
	CU_ASSERT(fx_close(&f));
}

/* The same segment scattered in every way is still one segment with contiguous headers. */
static void tcp_scattered(void)
{
	struct fx_pkt p = {0};

	fx_open(&f, 1);
	fx_tcp(&p, "192.0.2.9", 4000, "192.0.2.1", 80, 300);
	for (uint16_t seg = 1; seg < p.len; seg += 5) {
		struct rte_mbuf *m = fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, p.len, seg));

		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		CU_ASSERT(m->data_len >= 54);
		CU_ASSERT_EQUAL(m->pkt_len, p.len);
		mt_buf_free(m);
	}
	CU_ASSERT(fx_count(&f, MT_NET_rx_copied) > 0);
	CU_ASSERT(fx_close(&f));
}

static void arp_answers(void)
{
	static const struct {
		uint16_t port;
		const char *target;
		bool answer;
	} rows[] = {
		{0, "192.0.2.1", true},
		{0, "192.0.2.80", true},
		{0, "203.0.113.80", true},  /* on no network of ours: wherever it is asked */
		{0, "198.51.100.1", false}, /* the other port's */
		{0, "192.0.2.2", false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct fx_frame *out = &f.port[0].sent[0];
		struct fx_pkt p = {0};

		fx_open(&f, 1);
		fx_arp(&p, 1, fx_peer_mac, "192.0.2.9", rows[i].target, NULL);
		fx_in(&f, 0, rows[i].port, p.b, p.len);
		CU_ASSERT_EQUAL(f.port[0].n, rows[i].answer);
		if (rows[i].answer) {
			struct mt_addr t = fx_addr(rows[i].target);

			CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
			CU_ASSERT_EQUAL(memcmp(out->b + 6, fx_our_mac[0], 6), 0);
			CU_ASSERT_EQUAL(out->b[21], 2);
			CU_ASSERT_EQUAL(memcmp(out->b + 22, fx_our_mac[0], 6), 0);
			CU_ASSERT_EQUAL(memcmp(out->b + 28, t.b + 12, 4), 0);
			CU_ASSERT_EQUAL(memcmp(out->b + 32, fx_peer_mac, 6), 0);
		}
		CU_ASSERT(fx_close(&f));
	}
}

static void echo(const char *src, const char *dst, uint16_t data, uint16_t seg)
{
	const struct fx_frame *out = &f.port[0].sent[0];
	struct fx_pkt p = {0};

	fx_clear(&f);
	fx_echo(&p, src, dst, data);
	CU_ASSERT_PTR_NULL(fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, p.len, seg)));
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT_EQUAL(out->len, p.len);
	CU_ASSERT(fx_sums_ok(out, 14));
	CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
	/* Identifier, sequence number and data come back unchanged. */
	CU_ASSERT_EQUAL(memcmp(out->b + p.len - data - 4, p.b + p.len - data - 4, data + 4u), 0);
}

static void echo_answers(void)
{
	fx_open(&f, 1);
	for (uint16_t data = 0; data < 1400; data += 123) {
		echo("192.0.2.9", "192.0.2.80", data, 0);
		echo("192.0.2.9", "192.0.2.80", data, 100);
		echo("2001:db8::9", "2001:db8::1", data, 0);
	}
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_input_tests[] = {
	{"tcp_accepted", tcp_accepted},
	{"tcp_scattered", tcp_scattered},
	{"arp_answers", arp_answers},
	{"echo_answers", echo_answers},
	{0},
};
