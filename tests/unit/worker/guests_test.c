/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of virtual machines in a worker's turn: checks, answers, and what reaches lib/net. */
#include "fakes.h"
#include "mt_dhcp.h"
#include "mt_worker_guests.h"
#include "suites.h"

#include <string.h>

#include <rte_ip.h>

#define GUEST 5 /* number of the first guest; the second has the next one */

/* The port of a guest: frames that it sends, and the last one that it got. */
struct test_guest {
	struct mt_port port; /* first */
	struct mt_port_worker workers[1];
	struct rte_mbuf *out[32];
	uint16_t n_out;
	uint8_t got[1600];
	uint32_t got_len, n_got, room;
};

struct guests_rig {
	struct mt_clock clock;
	struct mt_pools pools;
	struct mt_steer steer;
	struct mt_guests *ports;
	struct mt_worker_guests conf;
	struct mt_snapshot *current;
	struct test_guest g[2];
	struct mt_worker *w;
	uint64_t now;
};

static const uint8_t mac[6] = {0x52, 0x54, 0, 9, 0, 0x0b}, own_mac[6] = {2, 0, 0, 0, 0, 1};

static uint16_t guest_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct test_guest *g = mt_container_of(p, struct test_guest, port);

	n = MT_MIN(n, g->n_out);
	memcpy(pkts, g->out, n * sizeof(*pkts));
	g->n_out = (uint16_t)(g->n_out - n);
	memmove(g->out, g->out + n, g->n_out * sizeof(*pkts));
	return n;
}

static uint16_t guest_tx(struct mt_port *p, uint16_t worker, struct rte_mbuf **pkts, uint16_t n)
{
	struct test_guest *g = mt_container_of(p, struct test_guest, port);

	n = (uint16_t)MT_MIN(n, g->room);
	for (uint16_t i = 0; i < n; i++) {
		g->got_len = pkts[i]->pkt_len;
		CU_ASSERT_EQUAL(g->got_len, pkts[i]->data_len);
		memcpy(g->got, rte_pktmbuf_mtod(pkts[i], void *),
			MT_MIN(g->got_len, sizeof(g->got)));
		g->n_got++;
	}
	mt_buf_free_bulk(pkts, n);
	return n;
}

static uint16_t one_pair(const struct mt_port *p)
{
	return 1;
}

static const struct mt_port_ops guest_ops = {.rx = guest_rx, .tx = guest_tx};

static void make_guests(struct guests_rig *r)
{
	struct mt_guest_hub_conf c = {
		.index = 1, .mtu = 1500, .n_workers = 1, .n_counters = MT_WORKER_GUEST_COUNTS};
	const struct mt_addr both[] = {
		mt_addr4(rte_cpu_to_be_32(0x0a09000b)), {.b = {0xfd, [15] = 0x0b}}};
	const struct mt_addr one = mt_addr4(rte_cpu_to_be_32(0x0a09000c));
	struct mt_guest_station v[] = {
		{.name = "shop/vm1", .number = GUEST, .addresses = both, .n_addresses = 2},
		{.name = "shop/vm2", .number = GUEST + 1, .addresses = &one, .n_addresses = 1}};

	memcpy(v[0].mac, mac, sizeof(mac));
	memcpy(v[1].mac, mac, sizeof(mac));
	v[1].mac[5]++;
	r->ports = mt_guests_create(1, one_pair);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->ports);
	c.guests = r->ports;
	memcpy(&c.mac, own_mac, sizeof(c.mac));
	r->conf = (struct mt_worker_guests){.ports = r->ports,
		.hub = mt_guest_hub_create(&c),
		.networks = {{mt_addr4(rte_cpu_to_be_32(0x0a090001)), 24},
			{{.b = {0xfd, [15] = 1}}, 64}},
		.n_networks = 2,
		.domain = "svc.cluster.local"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->conf.hub);
	CU_ASSERT_EQUAL(mt_guest_hub_set(r->conf.hub, v, 2, NULL), 0);
	for (uint16_t i = 0; i < 2; i++) {
		r->g[i].port = (struct mt_port){
			.ops = &guest_ops, .n_rxq = 1, .n_workers = 1, .workers = r->g[i].workers};
		r->g[i].room = UINT32_MAX;
		CU_ASSERT_EQUAL(
			mt_guests_attach(r->ports, (uint16_t)(GUEST + i), &r->g[i].port), 0);
	}
}

static void begin(struct guests_rig *r)
{
	static const struct mt_tcp_conf tcp;
	static const struct mt_proxy_conf proxy;
	static const uint8_t secret[32];
	struct mt_worker_conf c = {.workers = 1,
		.clock = &r->clock,
		.steer = &r->steer,
		.pools = &r->pools,
		.tcp = &tcp,
		.proxy = &proxy,
		.secret = secret,
		.guests = &r->conf,
		.current = &r->current};

	memset(r, 0, sizeof(*r));
	fakes_reset();
	mt_clock_init(&r->clock);
	CU_ASSERT_EQUAL_FATAL(mt_pools_init(&r->pools, "g", 511, 127, MT_BUF_DATA_ROOM, 0), 0);
	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&r->steer, 1, 64), 0);
	make_guests(r);
	r->w = mt_worker_create(&c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->w);
	r->now = MT_SEC;
}

static void end(struct guests_rig *r)
{
	mt_worker_destroy(r->w);
	mt_guests_destroy(r->ports);
	mt_guest_hub_destroy(r->conf.hub);
	mt_steer_fini(&r->steer);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pools.data), 0);
	mt_pools_fini(&r->pools);
}

/* Some turns, in which each idle queue is visited. */
static void turns(struct guests_rig *r)
{
	for (int i = 0; i < 4; i++) {
		r->now += 2 * MT_GUESTS_IDLE_NS;
		mt_worker_turn(r->w, r->now, 0);
	}
}

static uint64_t count(const struct guests_rig *r, uint16_t guest, uint16_t counter)
{
	return mt_guest_hub_count(r->conf.hub, (uint16_t)(GUEST + guest), counter);
}

/* The guest sends a frame of `len` bytes that starts with the first `n` ones of `head`. */
static void sends(struct guests_rig *r, uint16_t guest, const void *head, uint32_t n, uint16_t len)
{
	struct test_guest *g = &r->g[guest];
	struct rte_mbuf *m = mt_buf_data(&r->pools);
	uint8_t *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	p = (uint8_t *)rte_pktmbuf_append(m, len);
	memset(p, 0, len);
	memcpy(p, head, MT_MIN(n, len));
	g->out[g->n_out++] = m;
	turns(r);
}

/* Writes an IPv4 packet with UDP from `source`, to the node, without checksums. */
static void put_udp(uint8_t *f, uint32_t source, uint16_t from, uint16_t to, uint16_t payload)
{
	static const uint8_t type[] = {8, 0, 0x45};
	const uint16_t total = (uint16_t)(28 + payload), udp = (uint16_t)(8 + payload);

	memcpy(f, own_mac, 6);
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, type, sizeof(type));
	f[16] = (uint8_t)(total >> 8);
	f[17] = (uint8_t)total;
	f[23] = 17;
	for (int i = 0; i < 4; i++)
		f[26 + i] = (uint8_t)(source >> (24 - 8 * i));
	memset(f + 30, 0xff, 4);
	f[34] = (uint8_t)(from >> 8);
	f[35] = (uint8_t)from;
	f[36] = (uint8_t)(to >> 8);
	f[37] = (uint8_t)to;
	f[38] = (uint8_t)(udp >> 8);
	f[39] = (uint8_t)udp;
}

/* Frames that reached lib/net. */
static uint32_t net_inputs(void)
{
	return fakes[0].net_input;
}

/* Ordinary frames reach lib/net. Spoofed ones are dropped, each counted by its reason. */
static void test_check(void)
{
	static struct guests_rig r;
	uint8_t f[60] = {0};

	begin(&r);
	put_udp(f, 0x0a09000b, 1000, 53, 10);
	sends(&r, 0, f, sizeof(f), 60);
	CU_ASSERT_EQUAL(net_inputs(), 1);
	CU_ASSERT_EQUAL(fakes[0].tcp_input, 1); /* to the fake, 60 bytes are TCP */
	CU_ASSERT_EQUAL(count(&r, 0, MT_GUEST_PASS), 1);
	put_udp(f, 0x0a09000c, 1000, 53, 10);
	sends(&r, 0, f, sizeof(f), 60);
	CU_ASSERT_EQUAL(count(&r, 0, MT_GUEST_IP4), 1);
	put_udp(f, 0x0a630001, 1000, 53, 10);
	sends(&r, 0, f, sizeof(f), 60);
	CU_ASSERT_EQUAL(count(&r, 0, MT_GUEST_VIP), 1);
	put_udp(f, 0x0a09000b, 1000, 53, 10);
	sends(&r, 1, f, sizeof(f), 60);
	CU_ASSERT_EQUAL(count(&r, 1, MT_GUEST_MAC), 1);
	sends(&r, 1, f, sizeof(f), 1);
	CU_ASSERT_EQUAL(count(&r, 1, MT_GUEST_MAC), 2);
	CU_ASSERT_EQUAL(net_inputs(), 1);
	CU_ASSERT(r.g[0].n_got == 0 && r.g[1].n_got == 0);
	/* nothing of a guest that is not in the table */
	CU_ASSERT_EQUAL(mt_guest_hub_set(r.conf.hub, NULL, 0, NULL), 0);
	sends(&r, 0, f, sizeof(f), 60);
	CU_ASSERT_EQUAL(net_inputs(), 1);
	end(&r);
}

static void test_arp(void)
{
	uint8_t f[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 9, 0, 0x0b, 8, 6, 0, 1,
		8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 9, 0, 0x0b, 10, 9, 0, 0x0b, [38] = 10, 9, 0, 99};
	static struct guests_rig r;

	begin(&r);
	sends(&r, 0, f, sizeof(f), 60);
	CU_ASSERT(r.g[0].n_got == 1 && r.g[0].got_len == 42);
	CU_ASSERT(memcmp(r.g[0].got, mac, 6) == 0 && r.g[0].got[21] == 2);
	CU_ASSERT(memcmp(r.g[0].got + 22, own_mac, 6) == 0 && r.g[0].got[31] == 99);
	CU_ASSERT_EQUAL(count(&r, 0, MT_WORKER_GUEST_ANSWERED), 1);
	CU_ASSERT_EQUAL(net_inputs(), 0);
	/* a reply to a request of the node is for lib/net */
	f[21] = 2;
	sends(&r, 0, f, sizeof(f), 60);
	CU_ASSERT(r.g[0].n_got == 1 && net_inputs() == 1);
	/* the guest's queue is full */
	f[21] = 1;
	r.g[0].room = 0;
	sends(&r, 0, f, sizeof(f), 60);
	CU_ASSERT_EQUAL(count(&r, 0, MT_WORKER_GUEST_LOST), 1);
	end(&r);
}

/* Writes a DHCP message of this type. Returns the length of the frame. */
static uint16_t put_dhcp(uint8_t *f, uint8_t type)
{
	static const uint8_t options[] = {99, 130, 83, 99, 53, 1};
	uint8_t *d = f + 42;

	memset(f, 0, 342);
	put_udp(f, 0, 68, 67, 300);
	d[0] = d[1] = 1;
	d[2] = 6;
	memcpy(d + 28, mac, 6);
	memcpy(d + 236, options, sizeof(options));
	d[236 + sizeof(options)] = type;
	d[237 + sizeof(options)] = 255;
	return 342;
}

static void test_dhcp(void)
{
	static struct guests_rig r;
	const uint8_t *g = r.g[0].got;
	uint8_t f[342];
	uint16_t len;

	begin(&r);
	len = put_dhcp(f, 1);
	sends(&r, 0, f, len, len);
	CU_ASSERT(r.g[0].n_got == 1 && r.g[0].got_len >= 42 + MT_DHCP_REPLY_MIN);
	/* from the gateway's port 67 to port 68, for 10.9.0.11, and the checksum is right */
	CU_ASSERT(g[26] == 10 && g[29] == 1 && g[35] == 67 && g[37] == 68);
	CU_ASSERT_EQUAL(rte_raw_cksum(g + 14, 20), 0xffff);
	CU_ASSERT_EQUAL((uint32_t)(g[16] << 8 | g[17]) + 14, r.g[0].got_len);
	CU_ASSERT_EQUAL((uint32_t)(g[38] << 8 | g[39]) + 34, r.g[0].got_len);
	CU_ASSERT(g[42] == 2 && g[42 + 16] == 10 && g[42 + 19] == 0x0b);
	CU_ASSERT_PTR_NOT_NULL(memmem(g, r.g[0].got_len, "vm1", 3));
	/* a DECLINE gets none; a fragment and a cut message are not taken for one */
	len = put_dhcp(f, 4);
	sends(&r, 0, f, len, len);
	CU_ASSERT(r.g[0].n_got == 1 && count(&r, 0, MT_WORKER_GUEST_IGNORED) == 1);
	CU_ASSERT_EQUAL(net_inputs(), 0);
	for (uint16_t cut = 0; cut < len; cut++)
		sends(&r, 0, f, len, cut);
	CU_ASSERT(r.g[0].n_got == 1 && count(&r, 0, MT_WORKER_GUEST_IGNORED) == 1);
	end(&r);
}

/* Advertisements come to guests with IPv6, at intervals. */
static void test_advertise(void)
{
	static struct guests_rig r;
	uint32_t steps = 3 * MT_VHOST_MAX;

	begin(&r);
	for (uint32_t i = 0; i < steps; i++) {
		r.now += MT_WORKER_ADVERTISE_NS / MT_VHOST_MAX;
		mt_worker_turn(r.w, r.now, 0);
	}
	CU_ASSERT(r.g[0].n_got == 3 && r.g[1].n_got == 0);
	CU_ASSERT(r.g[0].got[0] == 0x33 && r.g[0].got[20] == 58 && r.g[0].got[54] == 134);
	end(&r);
}

const struct mt_test guests_tests[] = {
	{"guests_check", test_check},
	{"guests_arp", test_arp},
	{"guests_dhcp", test_dhcp},
	{"guests_advertise", test_advertise},
	{0},
};
