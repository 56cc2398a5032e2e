/* SPDX-License-Identifier: Apache-2.0 */
/* The life of neighbours in virtual time; announcements. */
#include "fixture.h"
#include "test_net.h"

#include "mt_net_priv.h"

static struct fx f;

/* A node whose announcements are over. */
static void open_quiet(uint16_t workers)
{
	fx_open(&f, workers);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
}

static enum mt_net_result route(uint16_t worker, const char *remote, struct mt_net_dst *dst)
{
	struct mt_addr a = fx_addr(remote);

	return mt_net_route(f.w[worker], NULL, &a, dst);
}

static void arp_from(
	uint16_t worker, uint16_t op, const char *ip, const uint8_t mac[6], const char *target)
{
	struct fx_pkt p = {0};

	fx_arp(&p, op, mac, ip, target, op == 2 ? fx_our_mac[0] : NULL);
	fx_in(&f, worker, 0, p.b, p.len);
}

static const char *state_of(const char *ip)
{
	struct mt_net_neigh_info info;
	struct mt_addr a = fx_addr(ip);
	uint32_t i = 0;

	while (mt_net_neigh_next(f.net, &i, &info))
		if (mt_addr_eq(&info.addr, &a))
			return info.state;
	return "none";
}

static void silence_fails(void)
{
	struct mt_net_dst dst = {0};

	open_quiet(1);
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_WAIT);
	for (uint16_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(mt_net_next(f.w[0]), i == 0 ? f.now : f.now + MT_SEC);
		fx_turn(&f, i == 0 ? 0 : MT_SEC);
		CU_ASSERT_EQUAL(f.port[0].n, i + 1);
		CU_ASSERT_EQUAL(f.neigh_failed, 0);
		CU_ASSERT_STRING_EQUAL(state_of("192.0.2.9"), "incomplete");
	}
	fx_turn(&f, MT_SEC);
	CU_ASSERT_EQUAL(f.neigh_failed, 1);
	CU_ASSERT_EQUAL(f.last_neigh, dst.neigh);
	CU_ASSERT_EQUAL(f.port[0].n, 3);
	/* Who comes now is told at once; a little later it is tried again. */
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_NO_ROUTE);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_still_failed), 1);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_no_route), 0);
	fx_turn(&f, 3 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.9"), "none");
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_WAIT);
	/* It announces itself while we ask. */
	fx_turn(&f, 0);
	arp_from(0, 1, "192.0.2.9", fx_peer_mac, "192.0.2.9");
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.neigh_ok, 1);
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_SENT);
	CU_ASSERT(fx_close(&f));
}

static void failed_comes_back(void)
{
	struct mt_net_dst dst = {0};

	open_quiet(1);
	route(0, "192.0.2.9", &dst);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, i == 0 ? 0 : MT_SEC);
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.9"), "failed");
	arp_from(0, 1, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_SENT);
	CU_ASSERT(fx_close(&f));
}

/* Marks the neighbour as used by sending to it. */
static enum mt_net_result use(uint16_t worker, const char *remote, struct mt_net_dst *dst)
{
	struct mt_tuple t = {fx_addr("192.0.2.1"), fx_addr(remote), 1, 2, 0};
	uint8_t tcp[20] = {0};
	struct rte_mbuf *m = fx_mbuf(&f, tcp, sizeof(tcp), 0);
	enum mt_net_result rc = fx_send(&f, worker, m, &t, dst, 0);

	mt_net_flush(f.w[worker]);
	return rc;
}

/* In use it is asked again by unicast; when it falls silent, cached destinations become stale. */
static void used_is_probed(void)
{
	struct mt_net_dst dst = {0};
	int answered = 0;

	open_quiet(2);
	route(1, "192.0.2.9", &dst);
	fx_turn(&f, 0);
	arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	fx_clear(&f);
	for (int i = 0; i < 200; i++) {
		fx_turn(&f, MT_SEC);
		CU_ASSERT_EQUAL(use(1, "192.0.2.9", &dst), MT_NET_SENT);
		CU_ASSERT(mt_net_next(f.w[0]) > f.now);
		for (uint16_t k = 0; k < f.port[0].n; k++) {
			const struct fx_frame *s = &f.port[0].sent[k];

			if (s->b[12] != 8 || s->b[13] != 6)
				continue;
			CU_ASSERT_EQUAL(memcmp(s->b, fx_peer_mac, 6), 0);
			arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
			answered++;
		}
		fx_clear(&f);
	}
	CU_ASSERT(answered >= 5 && answered <= 8);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_failed), 0);
	for (int i = 0; i < 45; i++) {
		fx_turn(&f, MT_SEC);
		use(1, "192.0.2.9", &dst);
	}
	CU_ASSERT(fx_count(&f, MT_NET_neigh_failed) >= 1);
	CU_ASSERT_NOT_EQUAL(use(1, "192.0.2.9", &dst), MT_NET_SENT);
	CU_ASSERT(fx_close(&f));
}

static void idle_is_forgotten(void)
{
	struct mt_net_dst dst = {0};
	uint32_t gen;

	open_quiet(1);
	route(0, "192.0.2.9", &dst);
	fx_turn(&f, 0);
	arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.9"), "reachable");
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_SENT);
	gen = dst.gen;
	for (int i = 0; i < 120; i++) {
		fx_turn(&f, MT_SEC);
		if (f.port[0].n)
			arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
		fx_clear(&f);
	}
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.9"), "none");
	route(0, "192.0.2.9", &dst);
	CU_ASSERT_NOT_EQUAL(dst.gen, gen);
	CU_ASSERT(fx_close(&f));
}

/* A neighbour to which only echo requests go is in use as well. */
static void pinged_is_kept(void)
{
	struct mt_net_echo e = {.remote = fx_addr("192.0.2.9")};

	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_ping(f.w[0], &e, 1), MT_NET_WAIT);
	fx_turn(&f, 0);
	arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	for (int i = 0; i < 200; i++) {
		fx_turn(&f, MT_SEC);
		CU_ASSERT_EQUAL(mt_net_ping(f.w[0], &e, 1), MT_NET_SENT);
		mt_net_flush(f.w[0]);
		for (uint16_t k = 0; k < f.port[0].n; k++)
			if (memcmp(f.port[0].sent[k].b + 12, "\x08\x06", 2) == 0)
				arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
		fx_clear(&f);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_echo_out), 200);
	CU_ASSERT(fx_close(&f));
}

/* Why an echo request is not sent: the host is silent, or the node cannot send it. */
static void not_pinged(void)
{
	struct mt_net_echo e = {.remote = fx_addr("192.0.2.9")};
	bool failed = false;

	open_quiet(1);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(mt_net_ping(f.w[0], &e, 1), MT_NET_WAIT);
		failed |= strcmp(state_of("192.0.2.9"), "failed") == 0;
		fx_turn(&f, MT_SEC);
	}
	CU_ASSERT(failed);
	e.remote = fx_addr("192.0.2.255");
	CU_ASSERT_EQUAL(mt_net_ping(f.w[0], &e, 1), MT_NET_NO_ROUTE);
	CU_ASSERT(fx_close(&f));
}

static void moved(void)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 0x77};
	struct mt_net_dst dst = {0};

	open_quiet(1);
	route(0, "192.0.2.9", &dst);
	fx_turn(&f, 0);
	arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	CU_ASSERT_EQUAL(use(0, "192.0.2.9", &dst), MT_NET_SENT);
	arp_from(0, 1, "192.0.2.9", other, "192.0.2.9");
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_changed), 1);
	fx_turn(&f, MT_MSEC);
	fx_clear(&f);
	CU_ASSERT_EQUAL(use(0, "192.0.2.9", &dst), MT_NET_SENT);
	CU_ASSERT_EQUAL(memcmp(f.port[0].sent[0].b, other, 6), 0);
	CU_ASSERT(fx_close(&f));
}

static uint32_t generation(void)
{
	return atomic_load(&f.net->dst_gen);
}

/* A host that alternates its station: the first change counts at once, then one a second. */
static void alternates(void)
{
	static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 0x77}, {2, 0, 0, 0, 0, 0x78}};
	struct mt_net_dst dst = {0};
	uint32_t gen;

	open_quiet(1);
	route(0, "192.0.2.9", &dst);
	fx_turn(&f, 0);
	arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	CU_ASSERT_EQUAL(use(0, "192.0.2.9", &dst), MT_NET_SENT);
	gen = generation();
	arp_from(0, 1, "192.0.2.9", macs[0], "192.0.2.9");
	CU_ASSERT_EQUAL(generation(), gen + 1);
	for (int i = 1; i < 5000; i++) {
		arp_from(0, 1, "192.0.2.9", macs[i % 2], "192.0.2.9");
		fx_turn(&f, MT_MSEC);
		fx_clear(&f);
		CU_ASSERT_EQUAL(use(0, "192.0.2.9", &dst), MT_NET_SENT);
	}
	CU_ASSERT(generation() - gen >= 4 && generation() - gen <= 6);
	CU_ASSERT(fx_count(&f, MT_NET_neigh_changed) <= 6);
	/* The last one stays, without another word of it. */
	arp_from(0, 1, "192.0.2.9", macs[1], "192.0.2.9");
	for (int i = 0; i < 12; i++)
		fx_turn(&f, 100 * MT_MSEC);
	fx_clear(&f);
	CU_ASSERT_EQUAL(use(0, "192.0.2.9", &dst), MT_NET_SENT);
	CU_ASSERT_EQUAL(memcmp(f.port[0].sent[0].b, macs[1], 6), 0);
	CU_ASSERT(fx_close(&f));
}

/* Who asks for us is known without being asked; who is off the link is not. */
static void learned_from_request(void)
{
	struct mt_net_dst dst = {0};

	open_quiet(1);
	arp_from(0, 1, "192.0.2.9", fx_peer_mac, "192.0.2.80");
	arp_from(0, 1, "192.0.2.10", fx_peer_mac, "192.0.2.77"); /* not for us */
	arp_from(0, 1, "10.0.0.9", fx_peer_mac, "192.0.2.80");	 /* off the link */
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.9"), "stale");
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.10"), "none");
	CU_ASSERT_STRING_EQUAL(state_of("10.0.0.9"), "none");
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_SENT);
	CU_ASSERT(fx_close(&f));
}

/* Asked by worker 2, answered to worker 1, decided by worker 0: worker 2 hears of it. */
static void across_workers(void)
{
	struct mt_net_dst dst = {0};

	open_quiet(3);
	CU_ASSERT_EQUAL(route(2, "192.0.2.9", &dst), MT_NET_WAIT);
	CU_ASSERT_EQUAL(mt_net_next(f.w[0]), f.now);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	arp_from(1, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	CU_ASSERT_EQUAL(mt_net_next(f.w[0]), f.now);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.neigh_ok, 1);
	CU_ASSERT_EQUAL(route(2, "192.0.2.9", &dst), MT_NET_SENT);
	/* A flood of sightings is bounded. */
	for (int i = 0; i < 100; i++)
		arp_from(1, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_learn_lost), 36);
	CU_ASSERT(fx_close(&f));
}

/* Whether the worker that decides hears of a station that another worker has seen. */
static bool is_heard(uint16_t worker, const char *ip)
{
	fx_turn(&f, 0);
	CU_ASSERT(mt_net_next(f.w[0]) > f.now);
	arp_from(worker, 1, ip, fx_peer_mac, "192.0.2.1");
	if (mt_net_next(f.w[0]) > f.now)
		return false;
	mt_net_begin(f.w[0], f.now);
	mt_net_tick(f.w[0]);
	return strcmp(state_of(ip), "stale") == 0;
}

/* A worker has a part still while another one is made to go on with its work, and if that comes to nothing. */
static void taken_over(void)
{
	static const struct mt_net_events events = {0};
	struct mt_netw *next;

	open_quiet(2);
	CU_ASSERT(is_heard(1, "192.0.2.9"));
	next = mt_netw_create(f.net, 1, &f.pools, &events, NULL, 1);
	CU_ASSERT(is_heard(1, "192.0.2.10"));
	mt_netw_destroy(next);
	CU_ASSERT(is_heard(1, "192.0.2.11"));
	next = mt_netw_create(f.net, 1, &f.pools, &events, NULL, 1);
	mt_netw_take_over(next);
	mt_netw_destroy(f.w[1]);
	f.w[1] = next;
	CU_ASSERT(is_heard(1, "192.0.2.12"));
	CU_ASSERT(fx_close(&f));
}

static void nd_from(const char *target, uint32_t flags, uint8_t opt, const uint8_t mac[6])
{
	struct fx_pkt p = {0};

	fx_nd(&p, 136, target, "2001:db8::1", target, flags, opt, mac);
	fx_in(&f, 0, 0, p.b, p.len);
}

/* RFC 4861 §7.2.5: the override flag, and confirmations without the option. */
static void nd_rules(void)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 0x77};
	const struct fx_frame *out = f.port[0].sent;
	struct mt_net_dst dst = {0};

	open_quiet(1);
	CU_ASSERT_EQUAL(route(0, "2001:db8::9", &dst), MT_NET_WAIT);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT(fx_sums_ok(out, 14));
	CU_ASSERT_EQUAL(out->b[0] | out->b[1], 0x33); /* to the solicited-node group */
	CU_ASSERT_EQUAL(out->b[54], 135);
	nd_from("2001:db8::9", 0x40000000, 0, NULL); /* no address in it: of no use yet */
	CU_ASSERT_STRING_EQUAL(state_of("2001:db8::9"), "incomplete");
	nd_from("2001:db8::9", 0x60000000, 2, fx_peer_mac);
	CU_ASSERT_STRING_EQUAL(state_of("2001:db8::9"), "reachable");
	nd_from("2001:db8::9", 0x40000000, 2, other);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_changed), 0);
	CU_ASSERT_STRING_EQUAL(state_of("2001:db8::9"), "stale");
	nd_from("2001:db8::9", 0x40000000, 0, NULL);
	CU_ASSERT_STRING_EQUAL(state_of("2001:db8::9"), "reachable");
	nd_from("2001:db8::9", 0x20000000, 2, other);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_changed), 1);
	CU_ASSERT(fx_close(&f));
}

/* A change that waits counts after its second, whatever is claimed without the override flag. */
static void nd_change_waits(void)
{
	static const uint8_t second[6] = {2, 0, 0, 0, 0, 0x77}, third[6] = {2, 0, 0, 0, 0, 0x78},
			     other[6] = {2, 0, 0, 0, 0, 0x79};
	struct mt_net_dst dst = {0};

	open_quiet(1);
	CU_ASSERT_EQUAL(route(0, "2001:db8::9", &dst), MT_NET_WAIT);
	fx_turn(&f, 0);
	nd_from("2001:db8::9", 0x60000000, 2, fx_peer_mac);
	nd_from("2001:db8::9", 0x60000000, 2, second);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_changed), 1);
	nd_from("2001:db8::9", 0x60000000, 2, third);
	nd_from("2001:db8::9", 0x40000000, 2, other);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_changed), 1);
	fx_turn(&f, MT_SEC);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_changed), 2);
	CU_ASSERT_EQUAL(route(0, "2001:db8::9", &dst), MT_NET_SENT);
	CU_ASSERT_EQUAL(memcmp(dst.l2, third, 6), 0);
	CU_ASSERT(fx_close(&f));
}

/* A station that solicits us is known, unless its source is of another link. */
static void learned_from_solicitation(void)
{
	static const char *const from[] = {"2001:db8::9", "fe80::9", "2001:db9::9"};

	open_quiet(1);
	for (size_t i = 0; i < MT_ARRAY_LEN(from); i++) {
		struct fx_pkt p = {0};

		fx_nd(&p, 135, from[i], "2001:db8::1", "2001:db8::1", 0, 1, fx_peer_mac);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_STRING_EQUAL(state_of(from[i]), i < 2 ? "stale" : "none");
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_nd_answered), 3);
	CU_ASSERT(fx_close(&f));
}

/* Duplicate address detection of another station, and ordinary solicitations. */
static void nd_answers(void)
{
	static const struct {
		const char *src, *dst, *target;
		uint8_t opt;
		int answer; /* first byte of the Ethernet destination, -1: none */
	} rows[] = {
		{"2001:db8::9", "ff02::1:ff00:1", "2001:db8::1", 1, 2},
		{"2001:db8::9", "2001:db8::1", "2001:db8::1", 0, 2},
		{"2001:db8::9", "ff02::1:ff00:80", "2001:db8::80", 1, 2},
		{"fe80::9", "ff02::1:ff00:1", "fe80::ff:fe00:1", 1, 2},
		{"::", "ff02::1:ff00:1", "2001:db8::1", 0, 0x33},
		{"::", "ff02::1:ff00:1", "2001:db8::1", 1, -1}, /* malformed */
		{"2001:db8::9", "ff02::1:ff00:2", "2001:db8::2", 1, -1},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct fx_frame *out = f.port[0].sent;
		struct fx_pkt p = {0};

		fx_open(&f, 1);
		fx_nd(&p, 135, rows[i].src, rows[i].dst, rows[i].target, 0, rows[i].opt,
			fx_peer_mac);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.port[0].n, rows[i].answer >= 0);
		if (f.port[0].n) {
			struct mt_addr t = fx_addr(rows[i].target);

			CU_ASSERT_EQUAL(out->b[0], rows[i].answer);
			CU_ASSERT_EQUAL(out->b[54], 136);
			CU_ASSERT_EQUAL(out->b[58], rows[i].answer == 2 ? 0x60 : 0x20);
			CU_ASSERT_EQUAL(memcmp(out->b + 62, &t, 16), 0);
			CU_ASSERT_EQUAL(memcmp(out->b + 80, fx_our_mac[0], 6), 0);
			CU_ASSERT(fx_sums_ok(out, 14));
		}
		CU_ASSERT(fx_close(&f));
	}
}

/* Each new address is announced twice; after a change only what is new. */
static void announcements(void)
{
	const struct mt_addr vips[] = {fx_addr("192.0.2.80"), fx_addr("192.0.2.81"),
		fx_addr("203.0.113.80"), fx_addr("2001:db8::80")};
	const struct fx_frame *out = f.port[0].sent;

	fx_open(&f, 1);
	fx_turn(&f, 0);
	/* 192.0.2.1, .80; 2001:db8::1, ::80, link-local; and on the tagged port 198.51.100.1 */
	CU_ASSERT_EQUAL(f.port[0].n, 5);
	CU_ASSERT_EQUAL(f.port[1].n, 1);
	CU_ASSERT_EQUAL(f.port[1].sent[0].b[12], 0x81);
	CU_ASSERT_EQUAL(f.port[1].sent[0].b[15], 7);
	CU_ASSERT_EQUAL(mt_net_next(f.w[0]), f.now + MT_SEC);
	fx_turn(&f, MT_SEC);
	CU_ASSERT_EQUAL(f.port[0].n, 10);
	for (int i = 0; i < 10; i++) {
		bool arp = out[i].b[13] == 6;

		CU_ASSERT_EQUAL(out[i].b[0], arp ? 0xff : 0x33);
		CU_ASSERT(arp ? memcmp(out[i].b + 28, out[i].b + 38, 4) == 0
			      : fx_sums_ok(&out[i], 14));
	}
	fx_turn(&f, 60 * MT_SEC);
	CU_ASSERT_EQUAL(f.port[0].n, 10);
	CU_ASSERT_EQUAL(mt_net_next(f.w[0]), MT_NEVER);
	fx_clear(&f);
	CU_ASSERT_EQUAL(mt_net_set_vips(f.net, vips, MT_ARRAY_LEN(vips), NULL), 0);
	CU_ASSERT_EQUAL(mt_net_next(f.w[0]), f.now);
	fx_turn(&f, 0);
	/* The same set once more, before the second round: 192.0.2.81 is not forgotten. */
	CU_ASSERT_EQUAL(mt_net_set_vips(f.net, vips, MT_ARRAY_LEN(vips), NULL), 0);
	fx_turn(&f, MT_SEC);
	CU_ASSERT_EQUAL(f.port[0].n, 2);
	CU_ASSERT_EQUAL(out[0].b[41], 81);
	CU_ASSERT_EQUAL(out[1].b[41], 81);
	CU_ASSERT(fx_close(&f));
}

/* Many addresses are announced in slices, none twice in a round. */
static void announcements_in_slices(void)
{
	struct mt_addr vips[200];

	open_quiet(1);
	for (uint16_t i = 0; i < 200; i++) {
		vips[i] = fx_addr("192.0.2.0");
		vips[i].b[15] = (uint8_t)(i + 20);
	}
	CU_ASSERT_EQUAL(mt_net_set_vips(f.net, vips, 200, NULL), 0);
	for (int i = 0; i < 100; i++) {
		uint16_t before = f.port[0].n;

		fx_turn(&f, MT_MSEC);
		CU_ASSERT(f.port[0].n - before <= 16);
	}
	CU_ASSERT_EQUAL(f.port[0].n, 199); /* 192.0.2.80 was there before */
	CU_ASSERT(fx_close(&f));
}

/* An address whose service left is heard, and neither announced nor claimed; one that comes back is. */
static void leaving_addresses(void)
{
	struct mt_addr vips[] = {fx_addr("192.0.2.80"), fx_addr("192.0.2.81")};
	struct mt_net_dst dst = {0};

	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_set_vips(f.net, vips, 2, NULL), 0);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
	CU_ASSERT_EQUAL(mt_net_set_vips_leaving(f.net, vips, 2, 1, NULL), 0);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, 2 * MT_SEC);
	CU_ASSERT_EQUAL(f.port[0].n, 0);
	CU_ASSERT(mt_net_is_local(f.w[0], &vips[1]));
	/* Another host may have it by now, so it can be reached. */
	CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &vips[1], &dst), MT_NET_WAIT);
	CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &vips[0], &dst), MT_NET_NO_ROUTE);
	fx_turn(&f, 0);
	fx_clear(&f);
	arp_from(0, 1, "192.0.2.9", fx_peer_mac, "192.0.2.81");
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.port[0].n, 0);
	arp_from(0, 1, "192.0.2.9", fx_peer_mac, "192.0.2.80");
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	fx_clear(&f);
	CU_ASSERT_EQUAL(mt_net_set_vips(f.net, vips, 2, NULL), 0);
	fx_turn(&f, 0);
	CU_ASSERT(f.port[0].n >= 1);
	CU_ASSERT(fx_close(&f));
}

/* Sends the answer to `in`; false: it found no way. */
static bool answer(const struct rte_mbuf *in, const char *remote)
{
	struct mt_tuple t = {fx_addr("192.0.2.80"), fx_addr(remote), 80, 4000, 0};
	uint8_t bytes[20] = {0, 80, 0x0f, 0xa0, [12] = 5 << 4, [13] = 0x12};
	struct rte_mbuf *m = fx_mbuf(&f, bytes, sizeof(bytes), 0);
	struct mt_net_dst dst = {0};
	bool sent;

	m->l4_len = sizeof(bytes);
	sent = mt_net_route_back(f.w[0], in, &t.remote, &dst) == MT_NET_SENT;
	if (sent)
		mt_net_answer_tcp(f.w[0], m, &t, &dst);
	else
		mt_buf_free(m);
	mt_net_flush(f.w[0]);
	return sent;
}

/* A SYN from there, by the station `mac`. */
static struct rte_mbuf *syn_from(const char *remote, const uint8_t mac[6])
{
	struct fx_pkt p = {0};
	struct rte_mbuf *m;

	fx_tcp(&p, remote, 4000, "192.0.2.80", 80, 0);
	memcpy(p.b + 6, mac, 6);
	m = fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, p.len, 0));
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	return m;
}

/* Answers need no neighbour, and make none: neither strangers nor one that was forgotten. */
static void answered_back(void)
{
	static const uint8_t other[6] = {2, 9, 9, 9, 9, 9}, group[6] = {3, 9, 9, 9, 9, 9};
	struct net_row {
		const char *remote;
		const uint8_t *from, *to; /* to NULL: not answered */
	} rows[] = {
		{"192.0.2.77", fx_peer_mac, fx_peer_mac},
		{"10.3.4.5", other, other}, /* through a router that we do not know yet */
		{"192.0.2.78", group, NULL},
		{"192.0.2.9", other, fx_peer_mac}, /* known: by the table, whoever sent it */
	};
	struct mt_net_dst dst = {0};

	open_quiet(1);
	CU_ASSERT_EQUAL(route(0, "192.0.2.9", &dst), MT_NET_WAIT);
	fx_turn(&f, 0);
	arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct rte_mbuf *in = syn_from(rows[i].remote, rows[i].from);

		fx_clear(&f);
		CU_ASSERT_EQUAL(answer(in, rows[i].remote), rows[i].to != NULL);
		CU_ASSERT_EQUAL(f.port[0].n, rows[i].to != NULL);
		if (rows[i].to)
			CU_ASSERT_EQUAL(memcmp(f.port[0].sent[0].b, rows[i].to, 6), 0);
		/* By a timer, without the SYN. */
		CU_ASSERT_EQUAL(answer(NULL, rows[i].remote), i == 3);
		mt_buf_free(in);
	}
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.77"), "none");
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_answered_back), 2);
	for (int i = 0; i < 120; i++) {
		fx_clear(&f);
		fx_turn(&f, MT_SEC);
		if (f.port[0].n)
			arp_from(0, 2, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	}
	CU_ASSERT_STRING_EQUAL(state_of("192.0.2.9"), "none");
	{
		struct rte_mbuf *in = syn_from("192.0.2.9", other);

		fx_clear(&f);
		CU_ASSERT_TRUE(answer(in, "192.0.2.9"));
		CU_ASSERT_EQUAL(memcmp(f.port[0].sent[0].b, other, 6), 0);
		mt_buf_free(in);
	}
	CU_ASSERT(fx_close(&f));
}

/* Without memory for it nobody is answered, which is counted; who asks again is. */
static void no_memory_for_an_answer(void)
{
	struct rte_mbuf *taken = NULL, *m;

	open_quiet(1);
	while ((m = mt_buf_ctrl(&f.pools))) {
		m->next = taken;
		taken = m;
	}
	arp_from(0, 1, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.port[0].n, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_tx_no_memory), 1);
	while ((m = taken)) {
		taken = m->next;
		m->next = NULL;
		mt_buf_free(m);
	}
	arp_from(0, 1, "192.0.2.9", fx_peer_mac, "192.0.2.1");
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_neigh_tests[] = {
	{"silence_fails", silence_fails},
	{"failed_comes_back", failed_comes_back},
	{"used_is_probed", used_is_probed},
	{"idle_is_forgotten", idle_is_forgotten},
	{"pinged_is_kept", pinged_is_kept},
	{"not_pinged", not_pinged},
	{"moved", moved},
	{"alternates", alternates},
	{"learned_from_request", learned_from_request},
	{"across_workers", across_workers},
	{"taken_over", taken_over},
	{"learned_from_solicitation", learned_from_solicitation},
	{"nd_rules", nd_rules},
	{"nd_change_waits", nd_change_waits},
	{"nd_answers", nd_answers},
	{"announcements", announcements},
	{"answered_back", answered_back},
	{"announcements_in_slices", announcements_in_slices},
	{"leaving_addresses", leaving_addresses},
	{"no_memory_for_an_answer", no_memory_for_an_answer},
	{0},
};
