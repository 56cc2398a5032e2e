/* SPDX-License-Identifier: Apache-2.0 */
/* One-way modes: flows and their time-outs, packets without a flow, and ICMP errors for endpoints. */
#include "mt_l4_priv.h"
#include "oneway.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <string.h>

/* ---- flows --------------------------------------------------------------------------------- */

static bool find_flow(uint16_t sport, struct mt_l4_flow *f)
{
	for (uint16_t w = 0; w < ow.f.workers; w++) {
		uint32_t idx = 0;

		while (mt_l4_flow_next(ow.l[w], &idx, UINT32_MAX, f))
			if (f->client_port == sport)
				return true;
	}
	return false;
}

static struct mt_l4_flow flow(uint16_t sport)
{
	struct mt_l4_flow f = {0};

	CU_ASSERT_FATAL(find_flow(sport, &f));
	return f;
}

/* One state: after this segment the flow ends when it was idle for so long. */
static void lasts(uint16_t sport, uint8_t flags, enum mt_l4_state state, uint64_t seconds)
{
	struct mt_l4_flow f;

	(void)ow_pass_segment(sport, flags);
	f = flow(sport);
	CU_ASSERT_EQUAL(f.state, state);
	CU_ASSERT(f.timeout <= seconds * MT_SEC && f.timeout > (seconds - 1) * MT_SEC);
}

static void states(void)
{
	struct mt_l4_flow f;

	ow_open(1, 64);
	lasts(7, SYN, MT_L4_SYN_SENT, 60);
	lasts(7, SYN, MT_L4_SYN_SENT, 60);
	CU_ASSERT_FALSE(flow(7).kept);
	lasts(7, ACK, MT_L4_ESTABLISHED, 900);
	CU_ASSERT_FALSE(flow(7).kept);
	lasts(7, ACK, MT_L4_ESTABLISHED, 900);
	f = flow(7);
	CU_ASSERT_FALSE(f.kept);
	CU_ASSERT_EQUAL(f.mode, MT_L4_DSR);
	CU_ASSERT_EQUAL(f.packets[0], 4);
	CU_ASSERT_EQUAL(f.packets[1], 0);
	CU_ASSERT(mt_addr_eq(&f.source, &f.client));
	CU_ASSERT_EQUAL(f.endpoint_port, 5440);
	/* A SYN for an open connection changes nothing, nor does a forged reset. */
	lasts(7, SYN, MT_L4_ESTABLISHED, 900);
	lasts(7, RST, MT_L4_RESET, 900);
	lasts(7, ACK, MT_L4_ESTABLISHED, 900);
	lasts(7, FIN | ACK, MT_L4_HALF_CLOSED, 240);
	lasts(7, ACK, MT_L4_HALF_CLOSED, 240);
	lasts(7, RST | ACK, MT_L4_RESET, 900);
	/* The client uses its port again. */
	lasts(7, SYN, MT_L4_SYN_SENT, 60);
	lasts(7, ACK, MT_L4_ESTABLISHED, 900);
	CU_ASSERT_EQUAL(sc_flows(&ow), 1);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_flows_adopted), 0);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_without_flow), 0);
	CU_ASSERT(sc_close(&ow));
}

/* Idle flows end after their time-out, with the sweep of 10 s. */
static void ends(void)
{
	static const int after[] = {0, 60, 900, 240, 30, 180};
	struct fx_pkt p;

	ow_open(1, 64);
	(void)ow_pass_segment(1, SYN);
	for (int i = 0; i < 3; i++)
		(void)ow_pass_segment(2, ACK);
	(void)ow_pass_segment(3, ACK);
	(void)ow_pass_segment(3, FIN | ACK);
	ow_datagram(&p, 4, 9);
	(void)ow_forwarded(&p, 0);
	ow_datagram(&p, 5, 9);
	(void)ow_forwarded(&p, 0);
	(void)ow_forwarded(&p, 0);
	CU_ASSERT_FALSE(flow(4).kept);
	CU_ASSERT_FALSE(flow(5).kept);
	for (int i = 0; i < 890; i++) {
		for (uint16_t n = 1; n <= 5; n++) {
			struct mt_l4_flow f;
			bool is = find_flow(n, &f);

			CU_ASSERT(i < after[n] ? is : i > after[n] + 12 ? !is : true);
		}
		sc_turn(&ow, MT_SEC);
	}
	for (int i = 0; i < 30; i++)
		sc_turn(&ow, MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&ow), 0);
	CU_ASSERT(sc_close(&ow));
}

/* A connection that began elsewhere goes on; a reset makes no flow. */
static void adopted(void)
{
	struct sc_ends e = {fx_addr(C), fx_addr(VIP4), 9, 5440};

	ow_open(1, 64);
	CU_ASSERT_EQUAL(ow_pass_segment(9, RST), ow_chosen(ow.set, &e, IPPROTO_TCP));
	CU_ASSERT_EQUAL(sc_flows(&ow), 0);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_without_flow), 1);
	CU_ASSERT_EQUAL(ow_pass_segment(9, ACK), ow_chosen(ow.set, &e, IPPROTO_TCP));
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_flows_adopted), 1);
	CU_ASSERT_EQUAL(flow(9).state, MT_L4_ESTABLISHED);
	CU_ASSERT_FALSE(flow(9).kept);
	(void)ow_pass_segment(9, ACK);
	CU_ASSERT(flow(9).answered && !flow(9).kept);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_no_connection), 0);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_forwarded), 3);
	CU_ASSERT(sc_close(&ow));
}

/* Flows keep their endpoint while others come; those of an endpoint that is gone end. */
static void endpoints_change(void)
{
	int before[200];
	uint32_t moved = 0;

	ow_open(3, 1024);
	ow_use_endpoints(2);
	for (uint16_t i = 0; i < 200; i++) {
		before[i] = ow_pass_segment((uint16_t)(1000 + i), SYN);
		CU_ASSERT(before[i] < 2);
	}
	ow_use_endpoints(3);
	for (int i = 0; i < 30; i++)
		sc_turn(&ow, 100 * MT_MSEC);
	for (uint16_t i = 0; i < 200; i++) {
		struct sc_ends e = {fx_addr(C), fx_addr(VIP4), (uint16_t)(1000 + i), 5440};

		CU_ASSERT_EQUAL(ow_pass_segment((uint16_t)(1000 + i), ACK), before[i]);
		moved += ow_chosen(ow.set, &e, IPPROTO_TCP) != before[i];
	}
	CU_ASSERT(moved > 30); /* a third of them by their hash alone */
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_flows_ended), 0);
	ow_use_endpoints(1);
	for (int i = 0; i < 30; i++)
		sc_turn(&ow, 100 * MT_MSEC);
	CU_ASSERT(sc_count(&ow, MT_L4_flows_ended) > 50);
	for (uint16_t i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(ow_pass_segment((uint16_t)(1000 + i), ACK), 0);
	CU_ASSERT(sc_close(&ow));
}

/*
 * An unhealthy endpoint gets no new flows, but segments without a flow, which may be of connections
 * that began there.
 */
static void unhealthy_endpoint(void)
{
	uint32_t moved = 0;

	ow_open(1, 1024);
	ow_use_endpoints(3);
	for (uint16_t n = 100; n < 160; n++) {
		struct sc_ends e = {fx_addr(C), fx_addr(VIP4), n, 5440};
		int home = ow_chosen(ow.set, &e, IPPROTO_TCP);

		ow_unhealthy[0] = 1;
		CU_ASSERT_EQUAL(ow_pass_segment(n, ACK), home);
		e.sport = (uint16_t)(n + 1000);
		ow_unhealthy[0] = 0;
		home = ow_chosen(ow.set, &e, IPPROTO_TCP);
		ow_unhealthy[0] = 1;
		CU_ASSERT((ow_pass_segment(e.sport, SYN) == home) == (home != 0));
		/* The flow stays where it began. */
		ow_unhealthy[0] = 0;
		CU_ASSERT((ow_pass_segment(e.sport, ACK) == home) == (home != 0));
		moved += home == 0;
	}
	CU_ASSERT(moved > 5);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_flows_moved), moved);
	CU_ASSERT(sc_close(&ow));
}

/* The node sees no reply, so flows of UDP leave an unhealthy endpoint; connections stay. */
static void unhealthy_endpoint_of_flows(void)
{
	int before[2][60];
	struct fx_pkt p;

	ow_open(1, 1024);
	ow_use_endpoints(3);
	for (uint16_t i = 0; i < 60; i++) {
		ow_datagram(&p, (uint16_t)(100 + i), 9);
		(void)ow_forwarded(&p, 0);
		before[0][i] = ow_forwarded(&p, 0);
		(void)ow_pass_segment((uint16_t)(100 + i), SYN);
		before[1][i] = ow_pass_segment((uint16_t)(100 + i), ACK);
	}
	ow_unhealthy[0] = 1;
	ow_use_endpoints(3);
	for (int i = 0; i < 30; i++)
		sc_turn(&ow, 100 * MT_MSEC);
	for (uint16_t i = 0; i < 60; i++) {
		ow_datagram(&p, (uint16_t)(100 + i), 9);
		for (int n = 0; n < 3; n++) {
			int to = ow_forwarded(&p, 0);

			CU_ASSERT(before[0][i] ? to == before[0][i] : to == 1 || to == 2);
		}
		CU_ASSERT_EQUAL(ow_pass_segment((uint16_t)(100 + i), ACK), before[1][i]);
	}
	ow_unhealthy[0] = 0;
	CU_ASSERT(sc_count(&ow, MT_L4_flows_left) > 5);
	CU_ASSERT(sc_close(&ow));
}

/* ---- a full table -------------------------------------------------------------------------- */

/* The index has no bucket: packets go by their hash, and none is lost. */
static void no_bucket(void)
{
	struct mt_table *t;
	struct fx_pkt p;

	ow_open(1, 400);
	t = &ow.l[0]->table;
	ow_datagram(&p, 1, 9);
	(void)ow_forwarded(&p, 0);
	t->max_buckets = t->n_buckets;
	t->over_fresh = t->over_max;
	for (uint16_t i = 2; i < 300; i++) {
		struct sc_ends e = {fx_addr(C), fx_addr(VIP4), i, 4010};

		ow_datagram(&p, i, 9);
		for (int n = 0; n < 3; n++)
			CU_ASSERT_EQUAL(ow_forwarded(&p, 0), ow_chosen(ow.set, &e, IPPROTO_UDP));
	}
	CU_ASSERT(sc_count(&ow, MT_L4_without_flow) > 0);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_table_full), 0);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_forwarded), 1 + 298 * 3);
	CU_ASSERT_EQUAL(sc_stats(&ow, SC_DSR).packets[0], 1 + 298 * 3);
	CU_ASSERT(sc_close(&ow));
}

/* More flows than places: other packets are sent without a flow, and none is lost. */
static void flood(void)
{
	struct fx_pkt p;

	ow_open(1, 40);
	for (uint16_t i = 1; i <= 400; i++) {
		ow_datagram(&p, i, 9);
		for (int n = 0; n < 3; n++)
			(void)ow_forwarded(&p, 0);
	}
	CU_ASSERT_EQUAL(sc_flows(&ow), 10);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_flows_made), 10);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_without_flow), 390 * 3);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_forwarded), 1200);
	CU_ASSERT(sc_close(&ow));
}

/* Forged clients of a one-way mode, with as many packets as they like. */
static void forged(uint16_t n)
{
	struct fx_pkt p;

	for (uint16_t i = 0; i < n; i++) {
		ow_datagram(&p, (uint16_t)(20000 + i), 9);
		for (int k = 0; k < 3; k++)
			(void)ow_forwarded(&p, 0);
		for (int k = 0; k < 3; k++)
			(void)ow_pass_segment((uint16_t)(20000 + i), k ? ACK : SYN);
	}
}

/* They take no place from flows of other modes, whether these came before or come later. */
static void others_keep_their_places(void)
{
	struct mt_l4_usage u;
	struct cn c[200];

	ow_open(1, 400);
	for (uint16_t i = 0; i < 200; i++) {
		static char client[200][MT_ADDR_STRLEN];

		snprintf(client[i], sizeof(client[i]), "10.3.%u.%u", i / 100, 1 + i % 100);
		c[i] = cn_new(client[i], 7000, false);
		if (i == 100)
			forged(300);
		/* The first handshakes have not ended when the flood comes. */
		CU_ASSERT_PTR_NOT_NULL(cn_client(&ow, &c[i], SYN, 0));
		if (i < 50)
			continue;
		CU_ASSERT_PTR_NOT_NULL(cn_server(&ow, &c[i], SYN | ACK, 0));
		CU_ASSERT_PTR_NOT_NULL(cn_client(&ow, &c[i], ACK, 0));
	}
	for (uint16_t i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL(cn_state(&ow, &c[i]), MT_L4_SYN_SENT);
		CU_ASSERT_PTR_NOT_NULL(cn_server(&ow, &c[i], SYN | ACK, 0));
		CU_ASSERT_PTR_NOT_NULL(cn_client(&ow, &c[i], ACK, 0));
	}
	mt_l4_usage(ow.l[0], &u);
	CU_ASSERT_EQUAL(u.kept, 200);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_flows_evicted), 0);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_flows_over_share), 0);
	CU_ASSERT(sc_count(&ow, MT_L4_flows_spared) > 0);
	CU_ASSERT(sc_close(&ow));
}

/* Flows are kept when the hash of their packets leads elsewhere, so that no flood moves them. */
static void kept_when_needed(void)
{
	int before[2][100];
	uint32_t moved = 0;
	struct fx_pkt p;

	ow_open(1, 1024);
	ow_use_endpoints(2);
	for (uint16_t i = 0; i < 100; i++) {
		ow_datagram(&p, (uint16_t)(1000 + i), 9);
		for (int k = 0; k < 3; k++) {
			before[0][i] = ow_forwarded(&p, 0);
			before[1][i] = ow_pass_segment((uint16_t)(1000 + i), k ? ACK : SYN);
		}
	}
	ow_use_endpoints(3);
	for (int i = 0; i < 30; i++)
		sc_turn(&ow, 100 * MT_MSEC);
	for (uint16_t i = 0; i < 100; i++) {
		struct sc_ends e[] = {{fx_addr(C), fx_addr(VIP4), (uint16_t)(1000 + i), 4010},
			{fx_addr(C), fx_addr(VIP4), (uint16_t)(1000 + i), 5440}};

		moved += ow_chosen(ow.set, &e[0], IPPROTO_UDP) != before[0][i];
		moved += ow_chosen(ow.set, &e[1], IPPROTO_TCP) != before[1][i];
	}
	CU_ASSERT(moved > 30);
	CU_ASSERT_EQUAL(ow.l[0]->shares.kept, moved);
	forged(500);
	CU_ASSERT_EQUAL(ow.l[0]->shares.kept, moved);
	/* A reset, which may be forged, ends only that they are kept. */
	for (uint16_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(ow_pass_segment((uint16_t)(1000 + i), RST), before[1][i]);
	CU_ASSERT(ow.l[0]->shares.kept < moved);
	for (int i = 0; i < 25; i++)
		sc_turn(&ow, MT_SEC);
	for (uint16_t i = 0; i < 100; i++) {
		ow_datagram(&p, (uint16_t)(1000 + i), 9);
		CU_ASSERT_EQUAL(ow_forwarded(&p, 0), before[0][i]);
		CU_ASSERT_EQUAL(ow_pass_segment((uint16_t)(1000 + i), ACK), before[1][i]);
	}
	CU_ASSERT(sc_close(&ow));
}

/* ---- ICMP errors --------------------------------------------------------------------------- */

/* The error of a router about a packet from the VIP to the client with this port. */
static void error_for(struct fx_pkt *p, const char *client, uint16_t cport, bool tcp)
{
	bool is4 = !strchr(client, ':');
	struct fx_frame from_vip = {0};
	struct fx_pkt q = {0};

	if (tcp)
		cn_frame(&(struct cn_segment){.src = is4 ? VIP4 : VIP6,
				 .dst = client,
				 .sport = ow_tcp_port,
				 .dport = cport,
				 .flags = ACK,
				 .data = 1400},
			&q);
	else
		sc_frame(&(struct sc_udp){.src = is4 ? VIP4 : VIP6,
				 .dst = client,
				 .sport = ow_udp_port,
				 .dport = cport,
				 .data = 1400},
			&q);
	from_vip.len = q.len;
	memcpy(from_vip.b, q.b, q.len);
	sc_error(&from_vip, is4 ? 3 : 2, is4 ? 4 : 0, 1280, 600, p);
}

static void errors_of_flows(uint16_t workers, enum mt_l4_mode mode)
{
	static const char *const client[2] = {C, "2001:db8:1::1"};

	ow_open_mode(workers, 256, mode);
	for (uint16_t i = 0; i < 120; i++) {
		bool tcp = i & 2, known = i & 4, is4 = !(i & 1);
		struct sc_ends e = {fx_addr(client[!is4]), fx_addr(is4 ? VIP4 : VIP6),
			(uint16_t)(2000 + i), tcp ? ow_tcp_port : ow_udp_port};
		int to = ow_chosen(ow.set, &e, tcp ? IPPROTO_TCP : IPPROTO_UDP);
		struct fx_pkt p = {0};

		if (known && is4) {
			if (tcp)
				ow_segment(&p, e.sport, ACK);
			else
				ow_datagram(&p, e.sport, 9);
			CU_ASSERT_EQUAL(ow_forwarded(&p, 0), to);
		}
		error_for(&p, client[!is4], e.sport, tcp);
		CU_ASSERT_EQUAL(ow_forwarded(&p, i % 3 ? 0 : 48), to);
	}
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_icmp_to_endpoint), 120);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_icmp_forwarded), 0);
	CU_ASSERT_EQUAL(sc_flows(&ow), 30);
	CU_ASSERT(sc_close(&ow));
}

static void errors_one_worker(void)
{
	errors_of_flows(1, MT_L4_DSR);
	errors_of_flows(1, MT_L4_IPIP);
	errors_of_flows(1, MT_L4_GUE);
}

static void errors_three_workers(void)
{
	errors_of_flows(3, MT_L4_DSR);
	errors_of_flows(3, MT_L4_IPIP);
	errors_of_flows(3, MT_L4_GUE);
}

/* An error goes where its flow does, although the hash leads elsewhere since. */
static void errors_follow_flows(void)
{
	uint32_t moved = 0;

	ow_open(1, 256);
	ow_use_endpoints(2);
	for (uint16_t i = 0; i < 60; i++)
		(void)ow_pass_segment((uint16_t)(1000 + i), ACK);
	ow_use_endpoints(3);
	for (uint16_t i = 0; i < 60; i++) {
		struct sc_ends e = {fx_addr(C), fx_addr(VIP4), (uint16_t)(1000 + i), 5440};
		int to = ow_pass_segment((uint16_t)(1000 + i), ACK);
		struct fx_pkt p = {0};

		error_for(&p, C, e.sport, true);
		CU_ASSERT_EQUAL(ow_forwarded(&p, 0), to);
		moved += ow_chosen(ow.set, &e, IPPROTO_TCP) != to;
	}
	CU_ASSERT(moved > 8);
	CU_ASSERT(sc_close(&ow));
}

/* A flood of forged errors is limited, and does not delay those about flows. */
static void errors_limited(void)
{
	struct fx_pkt p = {0}, known = {0};
	int to;

	ow_open(1, 256);
	to = ow_pass_segment(1000, ACK);
	error_for(&known, C, 1000, true);
	for (uint16_t i = 0; i < 2000; i++) {
		error_for(&p, C, (uint16_t)(2000 + i), true);
		sc_receive(&ow, 0, fx_mbuf(&ow.f, p.b, p.len, 0));
	}
	CU_ASSERT(sc_count(&ow, MT_L4_icmp_to_endpoint) >= 199);
	CU_ASSERT(sc_count(&ow, MT_L4_icmp_to_endpoint) <= 210);
	CU_ASSERT(fx_count(&ow.f, MT_NET_icmp_limited) >= 1790);
	CU_ASSERT_EQUAL(ow_forwarded(&known, 0), to);
	for (int i = 0; i < 2000; i++)
		sc_receive(&ow, 0, fx_mbuf(&ow.f, known.b, known.len, 0));
	CU_ASSERT(sc_count(&ow, MT_L4_icmp_to_endpoint) <= 420);
	sc_turn(&ow, MT_SEC);
	CU_ASSERT_EQUAL(ow_forwarded(&known, 0), to);
	CU_ASSERT(sc_close(&ow));
}

static void errors_refused(void)
{
	struct rte_mbuf *m;
	struct fx_pkt p = {0};

	ow_open(1, 256);
	/* Its TTL is used up; it is longer than the path's MTU: dropped without another error. */
	error_for(&p, C, 9, true);
	p.b[22] = 2;
	ow_rewritten(&p);
	CU_ASSERT(ow_drops(&p));
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_ttl_exceeded), 1);
	error_for(&p, C, 9, true);
	for (int e = 0; e < SC_DIRECT; e++)
		mt_net_pmtu_learn(ow.f.w[0], &ow_endpoints[e].addr, 580);
	CU_ASSERT(ow_drops(&p));
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_too_big), 1);
	CU_ASSERT_EQUAL(fx_count(&ow.f, MT_NET_icmp_error_out), 0);
	CU_ASSERT(sc_close(&ow));
	/* Somebody else holds its buffer, which is not written to. */
	ow_open(1, 256);
	error_for(&p, C, 9, true);
	m = fx_mbuf(&ow.f, p.b, p.len, 0);
	rte_mbuf_refcnt_update(m, 1);
	fx_clear(&ow.f);
	sc_receive(&ow, 0, m);
	CU_ASSERT_PTR_NOT_NULL(ow_left());
	CU_ASSERT_EQUAL(((const uint8_t *)m->buf_addr)[RTE_PKTMBUF_HEADROOM + 14 + 8], p.b[22]);
	mt_buf_free(m);
	CU_ASSERT(sc_close(&ow));
}

const struct mt_test one_way_flow_tests[] = {{"states", states}, {"ends", ends},
	{"adopted", adopted}, {"endpoints_change", endpoints_change}, {"no_bucket", no_bucket},
	{"flood", flood}, {"others_keep_their_places", others_keep_their_places},
	{"kept_when_needed", kept_when_needed}, {"errors_one_worker", errors_one_worker},
	{"errors_three_workers", errors_three_workers},
	{"errors_follow_flows", errors_follow_flows}, {"errors_limited", errors_limited},
	{"errors_refused", errors_refused}, {"unhealthy_endpoint", unhealthy_endpoint},
	{"unhealthy_endpoint_of_flows", unhealthy_endpoint_of_flows}, {0}};
