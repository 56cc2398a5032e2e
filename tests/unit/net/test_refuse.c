/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that must be refused, each with its name; and hostile ones, that must only be survived. */
#include "fixture.h"
#include "test_net.h"

static struct fx f;

enum base { TCP4, TCP6, ECHO4, ECHO6, ARP4, ND6, ERR4, ERR6, UDP4, N_BASES };

static void make(struct fx_pkt *p, enum base base)
{
	static const uint8_t udp[12] = {0, 9, 0, 9, 0, 12};

	p->len = 0;
	switch (base) {
	case TCP4:
		fx_tcp(p, "192.0.2.9", 4000, "192.0.2.1", 80, 30);
		return;
	case TCP6:
		fx_tcp(p, "2001:db8::9", 4000, "2001:db8::1", 80, 30);
		return;
	case ECHO4:
		fx_echo(p, "192.0.2.9", "192.0.2.1", 30);
		return;
	case ECHO6:
		fx_echo(p, "2001:db8::9", "2001:db8::1", 30);
		return;
	case ARP4:
		fx_arp(p, 1, fx_peer_mac, "192.0.2.9", "192.0.2.1", NULL);
		return;
	case ND6:
		fx_nd(p, 135, "2001:db8::9", "ff02::1:ff00:1", "2001:db8::1", 0, 1, fx_peer_mac);
		return;
	case ERR4:
		fx_icmp_error(p, "192.0.2.254", 3, 4, 1400, "192.0.2.1", 2000, "10.0.0.9", 80, 7);
		return;
	case ERR6:
		fx_icmp_error(
			p, "2001:db8::fe", 2, 0, 1400, "2001:db8::1", 2000, "2001:db8:7::9", 80, 7);
		return;
	default:
		fx_ip(p, "192.0.2.9", "192.0.2.1", 17, udp, sizeof(udp), -1);
	}
}

/* One to four bytes changed at one place (IPv4 header at 14, TCP at 34; IPv6: TCP at 54). */
static void changed_bytes(void)
{
	static const struct {
		enum base base;
		uint16_t at;
		uint8_t n, bytes[4];
		bool resum;
		enum mt_net_outcome expect;
	} rows[] = {
		{TCP4, 5, 1, {9}, false, MT_NET_not_our_mac},
		{TCP4, 12, 2, {0x88, 0xb5}, false, MT_NET_ethertype_unknown},
		{TCP4, 12, 4, {0x81, 0, 0, 5}, false, MT_NET_vlan_unknown},
		{TCP4, 14, 1, {0x55}, true, MT_NET_ip_header_bad},
		{TCP4, 14, 1, {0x44}, false, MT_NET_ip_header_bad},
		{ARP4, 12, 2, {8, 0}, false, MT_NET_ip_header_bad},
		{TCP4, 16, 2, {0, 19}, false, MT_NET_ip_header_bad},
		{TCP4, 16, 2, {0, 71}, true, MT_NET_truncated},
		{TCP4, 16, 2, {255, 255}, true, MT_NET_truncated},
		{TCP4, 22, 1, {63}, false, MT_NET_ip_checksum_bad},
		{TCP4, 26, 4, {127, 0, 0, 1}, true, MT_NET_martian_source},
		{TCP4, 26, 4, {0, 0, 0, 0}, true, MT_NET_martian_source},
		{TCP4, 26, 4, {224, 0, 0, 1}, true, MT_NET_martian_source},
		{TCP4, 26, 4, {239, 1, 1, 1}, true, MT_NET_martian_source},
		{TCP4, 26, 4, {255, 255, 255, 255}, true, MT_NET_martian_source},
		{TCP4, 26, 4, {192, 0, 2, 80}, true, MT_NET_martian_source},
		{TCP4, 30, 4, {192, 0, 2, 2}, true, MT_NET_not_local},
		{TCP4, 30, 4, {224, 0, 0, 5}, true, MT_NET_multicast_ignored},
		{TCP4, 30, 4, {255, 255, 255, 255}, true, MT_NET_multicast_ignored},
		{TCP4, 0, 1, {3}, false,
			MT_NET_multicast_ignored}, /* unicast IP in a group frame */
		{TCP4, 20, 1, {0x20}, true, MT_NET_ip_fragment_refused},
		{TCP4, 21, 1, {0x01}, true, MT_NET_ip_fragment_refused},
		{TCP4, 46, 1, {0x40}, true, MT_NET_tcp_header_bad},
		{TCP4, 46, 1, {0xf0}, true, MT_NET_tcp_header_bad},
		{TCP4, 16, 2, {0, 39}, true, MT_NET_tcp_header_bad},
		{TCP4, 60, 1, {0}, false, MT_NET_tcp_checksum_bad},
		{TCP4, 50, 2, {0, 0}, false, MT_NET_tcp_checksum_bad},
		{TCP6, 14, 1, {0x50}, false, MT_NET_ip_header_bad},
		{TCP6, 18, 2, {0, 51}, false, MT_NET_truncated},
		{TCP6, 18, 2, {0, 10}, false, MT_NET_tcp_header_bad},
		{TCP6, 22, 1, {0xff}, false, MT_NET_martian_source},
		{TCP6, 38, 2, {0x30, 1}, false, MT_NET_not_local},
		{TCP6, 70, 1, {0xaa}, false, MT_NET_tcp_checksum_bad},
		{TCP6, 20, 1, {44}, false, MT_NET_ip_fragment_refused},
		{ARP4, 15, 1, {6}, false, MT_NET_arp_bad},
		{ARP4, 16, 2, {0x86, 0xdd}, false, MT_NET_arp_bad},
		{ARP4, 18, 1, {5}, false, MT_NET_arp_bad},
		{ARP4, 19, 1, {3}, false, MT_NET_arp_bad},
		{ARP4, 21, 1, {3}, false, MT_NET_arp_bad},
		{ARP4, 22, 1, {3}, false, MT_NET_arp_bad}, /* a group as the sender's address */
		{ARP4, 28, 4, {192, 0, 2, 1}, false, MT_NET_address_conflict},
		{ARP4, 38, 4, {192, 0, 2, 7}, false, MT_NET_arp_ignored},
		{ND6, 21, 1, {64}, true, MT_NET_nd_bad},   /* from beyond the link */
		{ND6, 55, 1, {1}, true, MT_NET_nd_bad},	   /* code */
		{ND6, 79, 1, {0}, true, MT_NET_nd_bad},	   /* option of length 0 */
		{ND6, 79, 1, {2}, true, MT_NET_nd_bad},	   /* option beyond the end */
		{ND6, 62, 1, {0xff}, true, MT_NET_nd_bad}, /* target is a group */
		{ND6, 77, 1, {9}, true, MT_NET_nd_ignored},
		{ND6, 54, 1, {134}, true, MT_NET_icmp_ignored},
		{ND6, 60, 1, {1}, false, MT_NET_icmp_bad},
		{ECHO4, 50, 1, {1}, false, MT_NET_icmp_bad},
		{ECHO4, 34, 1, {13}, true, MT_NET_icmp_ignored},
		{ECHO6, 54, 1, {200}, true, MT_NET_icmp_ignored},
		{ECHO4, 16, 2, {0, 27}, true, MT_NET_icmp_bad},
		{ERR4, 42, 1, {0x55}, true, MT_NET_icmp_error_foreign},
		{ERR4, 51, 1, {17}, true, MT_NET_icmp_error_foreign},
		{ERR4, 57, 1, {9}, true, MT_NET_icmp_error_foreign},
		{ERR6, 68, 1, {17}, true, MT_NET_icmp_error_foreign},
		{UDP4, 23, 1, {17}, false, MT_NET_proto_unserved},
		{UDP4, 23, 1, {132}, true, MT_NET_proto_unserved},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fx_pkt p;

		fx_open(&f, 1);
		make(&p, rows[i].base);
		memcpy(p.b + rows[i].at, rows[i].bytes, rows[i].n);
		if (rows[i].resum)
			fx_resum(&p, 14);
		fx_in(&f, 0, 0, p.b, p.len);
		if (fx_count(&f, rows[i].expect) != 1 || f.tcp != 0)
			printf("row %zu\n", i);
		CU_ASSERT_EQUAL(fx_count(&f, rows[i].expect), 1);
		CU_ASSERT_EQUAL(f.tcp, 0);
		CU_ASSERT(fx_close(&f));
	}
}

/* IPv4 options in front of a good segment. */
static void options4(void)
{
	static const struct {
		uint8_t bytes[8];
		enum mt_net_outcome expect;
	} rows[] = {
		{{1, 1, 1, 1, 1, 1, 1, 0}, MT_NET_rx_tcp},
		{{148, 4, 0, 0, 0, 0, 0, 0}, MT_NET_rx_tcp}, /* router alert */
		{{0, 131, 131, 131, 131, 131, 131, 131},
			MT_NET_rx_tcp}, /* behind the end: not read */
		{{131, 7, 4, 1, 2, 3, 4, 0}, MT_NET_ip_options_refused},
		{{137, 7, 4, 1, 2, 3, 4, 0}, MT_NET_ip_options_refused},
		{{7, 0, 0, 0, 0, 0, 0, 0}, MT_NET_ip_options_refused},
		{{7, 9, 0, 0, 0, 0, 0, 0}, MT_NET_ip_options_refused},
		{{1, 1, 1, 1, 1, 1, 1, 7}, MT_NET_ip_options_refused},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fx_pkt p;

		fx_open(&f, 1);
		make(&p, TCP4);
		memmove(p.b + 42, p.b + 34, p.len - 34u);
		memcpy(p.b + 34, rows[i].bytes, 8);
		p.len += 8;
		p.b[14] = 0x47;
		p.b[17] += 8;
		fx_resum(&p, 14);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(fx_count(&f, rows[i].expect), 1);
		CU_ASSERT(fx_close(&f));
	}
}

/* IPv6 extension headers: `first` is the type of the first one, each names the next. */
static void extensions6(void)
{
	static const struct {
		uint8_t first, len, bytes[32];
		enum mt_net_outcome expect;
	} rows[] = {
		{0, 8, {6, 0, 1, 4}, MT_NET_rx_tcp},
		{60, 8, {6, 0, 0x1e, 2}, MT_NET_rx_tcp}, /* unknown, to be skipped */
		{0, 16, {60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4}, MT_NET_rx_tcp},
		{43, 8, {6, 0, 4, 0}, MT_NET_rx_tcp},		  /* routing, no segments left */
		{44, 8, {6, 0, 0, 0, 1, 2, 3, 4}, MT_NET_rx_tcp}, /* atomic fragment */
		{60, 16, {60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4}, MT_NET_rx_tcp},
		{43, 8, {6, 0, 0, 0}, MT_NET_ip_options_refused}, /* type 0 */
		{43, 8, {6, 0, 4, 1}, MT_NET_ip_options_refused},
		{60, 8, {6, 0, 0x5e, 2}, MT_NET_ip_options_refused}, /* unknown: discard */
		{60, 8, {6, 0, 0x9e, 2}, MT_NET_ip_options_refused},
		{60, 8, {6, 0, 1, 9}, MT_NET_ip_options_refused},
		{60, 8, {6, 0, 0, 0, 0, 0, 0, 1}, MT_NET_ip_options_refused},
		{60, 16, {0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4}, MT_NET_ip_header_bad},
		{60, 8, {6, 255, 1, 4}, MT_NET_ip_header_bad},
		{44, 8, {6, 0, 0, 1}, MT_NET_ip_fragment_refused},
		{44, 8, {6, 0, 1, 0}, MT_NET_ip_fragment_refused},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fx_pkt p;

		fx_open(&f, 1);
		make(&p, TCP6);
		memmove(p.b + 54 + rows[i].len, p.b + 54, p.len - 54u);
		memcpy(p.b + 54, rows[i].bytes, rows[i].len);
		p.len += rows[i].len;
		p.b[19] += rows[i].len;
		p.b[20] = rows[i].first;
		fx_in(&f, 0, 0, p.b, p.len);
		if (fx_count(&f, rows[i].expect) != 1)
			printf("row %zu\n", i);
		CU_ASSERT_EQUAL(fx_count(&f, rows[i].expect), 1);
		CU_ASSERT(fx_close(&f));
	}
}

/* More headers, or more bytes of them, than anybody sends. */
static void extensions6_bounded(void)
{
	for (uint16_t n = 1; n < 30; n++) {
		struct fx_pkt p;

		fx_open(&f, 1);
		make(&p, TCP6);
		memmove(p.b + 54 + n * 40, p.b + 54, p.len - 54u);
		memset(p.b + 54, 0, n * 40u);
		for (uint16_t i = 0; i < n; i++) {
			p.b[54 + i * 40] = i == n - 1 ? 6 : 60;
			p.b[54 + i * 40 + 1] = 4;
		}
		p.len = (uint16_t)(p.len + n * 40);
		p.b[18] = (uint8_t)((50 + n * 40) >> 8);
		p.b[19] = (uint8_t)(50 + n * 40);
		p.b[20] = 60;
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.tcp, n * 40 <= 248);
		CU_ASSERT_EQUAL(fx_count(&f, MT_NET_ip_header_bad), n * 40 > 248);
		CU_ASSERT(fx_close(&f));
	}
}

/* Every kind of frame cut off at every length, whole and scattered: never TCP, never an answer. */
static void every_truncation(void)
{
	fx_open(&f, 1);
	for (int base = 0; base < N_BASES; base++) {
		struct fx_pkt p;

		make(&p, (enum base)base);
		for (uint16_t len = 1; len < p.len; len++) {
			fx_in(&f, 0, 0, p.b, len);
			mt_buf_free(fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, len, 7)));
		}
	}
	CU_ASSERT_EQUAL(f.tcp, 0);
	CU_ASSERT_EQUAL(f.icmp, 0);
	CU_ASSERT_EQUAL(f.port[0].n, 0);
	CU_ASSERT(fx_close(&f));
}

/*
 * Every kind of frame with every length of its IP packet, lengths and checksums right: what is inside
 * is too short for itself. Nothing is read behind it (sanitizers look), and no cut TCP header passes.
 */
static void every_inner_length(void)
{
	fx_open(&f, 1);
	for (int base = 0; base < N_BASES; base++) {
		uint16_t l3 =
			base == TCP6 || base == ECHO6 || base == ND6 || base == ERR6 ? 40 : 20;
		struct fx_pkt whole, p;

		make(&whole, (enum base)base);
		for (uint16_t len = 0; base != ARP4 && 14 + l3 + len < whole.len; len++) {
			p = whole;
			p.len = (uint16_t)(14 + l3 + len);
			p.b[l3 == 40 ? 18 : 16] = 0;
			p.b[l3 == 40 ? 19 : 17] = (uint8_t)(l3 == 40 ? len : 20 + len);
			fx_resum(&p, 14);
			fx_in(&f, 0, 0, p.b, p.len);
			if (l3 == 40) { /* the same bytes as an extension header */
				p.b[20] = 60;
				fx_in(&f, 0, 0, p.b, p.len);
			}
		}
	}
	CU_ASSERT_EQUAL(f.tcp, 2 * 30); /* 20 to 49 bytes, both families */
	CU_ASSERT_EQUAL(f.icmp, 0);	/* only whole headers of ours are told: tested elsewhere */
	CU_ASSERT(fx_close(&f));
}

/* An IPv4 address in IPv6's clothes must not pass for the IPv4 host. */
static void mapped_addresses(void)
{
	struct fx_pkt p;

	fx_open(&f, 1);
	make(&p, TCP6);
	memset(p.b + 22, 0, 10);
	memcpy(p.b + 32, "\xff\xff\xc0\x00\x02\x09", 6);
	fx_resum(&p, 14);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_martian_source), 1);
	make(&p, TCP6);
	memset(p.b + 38, 0, 10);
	memcpy(p.b + 48, "\xff\xff\xc0\x00\x02\x01", 6);
	fx_resum(&p, 14);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_not_local), 1);
	CU_ASSERT_EQUAL(f.tcp, 0);
	CU_ASSERT(fx_close(&f));
}

/* Bytes changed at random, lengths too, half of it with the checksums made right again. */
static void random_mutations(void)
{
	struct mt_rand r;

	mt_rand_seed(&r, 42);
	fx_open(&f, 3);
	for (uint32_t i = 0; i < 100000; i++) {
		uint16_t worker = (uint16_t)mt_rand_below(&r, 3), port = (uint16_t)(i % 8 == 0);
		struct rte_mbuf *m;
		struct fx_pkt p;

		make(&p, (enum base)mt_rand_below(&r, N_BASES));
		for (uint32_t n = mt_rand_below(&r, 5); n > 0; n--)
			p.b[mt_rand_below(&r, MT_MIN(p.len, 90u))] = (uint8_t)mt_rand_u64(&r);
		if (mt_rand_below(&r, 8) == 0)
			p.len = (uint16_t)(1 + mt_rand_below(&r, p.len));
		if (mt_rand_below(&r, 2))
			fx_resum(&p, 14);
		m = fx_mbuf(&f, p.b, p.len, mt_rand_below(&r, 4) ? 0 : 33);
		mt_buf_free(fx_in_keep(&f, worker, port, m));
		if (i % 16 == 0) {
			struct rte_mbuf *pkts[8];
			uint16_t next = 0, to = (uint16_t)mt_rand_below(&r, 3);
			uint16_t n = mt_steer_pop(&f.steer, to, &next, pkts, 8);

			n = mt_net_input_handed(f.w[to], pkts, n, pkts);
			mt_buf_free_bulk(pkts, n);
			fx_turn(&f, MT_MSEC);
			fx_clear(&f);
		}
	}
	/* It reached every depth: segments accepted, errors told, neighbours learned. */
	CU_ASSERT(f.tcp > 1000);
	CU_ASSERT(f.icmp > 1000);
	CU_ASSERT(fx_count(&f, MT_NET_icmp_echoed) > 1000);
	CU_ASSERT(fx_count(&f, MT_NET_nd_answered) > 1000);
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_refuse_tests[] = {
	{"changed_bytes", changed_bytes},
	{"options4", options4},
	{"extensions6", extensions6},
	{"extensions6_bounded", extensions6_bounded},
	{"every_truncation", every_truncation},
	{"every_inner_length", every_inner_length},
	{"mapped_addresses", mapped_addresses},
	{"random_mutations", random_mutations},
	{0},
};
