/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stripped host with lib/tcp at the other end of a ring, in virtual time: every exchange ends,
 * nothing is lost or wrong, and at the end all buffers are free. lib/tcp verifies each checksum
 * that was derived from the template.
 */
#include "mt_test.h"

#include "../../../tests/eal_unpinned.h"

#include "bench_host.h"
#include "bench_stripped.h"
#include "bench_wire.h"
#include "mt_net.h"

#include <stdio.h>

#define MBUFS 8191
#define STEP  (20 * MT_USEC)

/* A test case: which side is stripped, and its parameters. */
struct row {
	enum bench_codec codec;
	bool client; /* the stripped side is the client */
	uint32_t size, conns, outstanding;
	uint16_t mtu;
	uint32_t window; /* window of lib/tcp; 0: its default */
	bool once, hold;
};

static const struct row rows[] = {
	{BENCH_DUBBO, false, 20, 64, 1, 1500, 0, false, false},
	{BENCH_DUBBO, false, 20, 64, 1, 1500, 0, false, true},
	{BENCH_THRIFT, false, 20, 64, 8, 1500, 0, false, false},
	{BENCH_THRIFT, false, 21, 3, 200, 1500, 0, false, false}, /* odd lengths, cut messages */
	{BENCH_DUBBO, false, 1000, 16, 4, 1500, 0, false, true},
	{BENCH_DUBBO, false, 999, 2, 100, 1500, 0, false, false},
	{BENCH_THRIFT, false, 20, 1, 1000, 1500, 4096, false, false}, /* waits for the window */
	{BENCH_THRIFT, false, 9001, 4, 3, 1500, 0, false, false},
	{BENCH_THRIFT, false, 333, 8, 20, 576, 0, false, false},
	{BENCH_DUBBO, false, 7777, 4, 8, 9000, 0, false, true},
	{BENCH_DUBBO, false, 20, 16, 1, 1500, 0, true, false},
	{BENCH_AWESOMERPC, false, 20, 64, 1, 1500, 0, false, false},
	{BENCH_DUBBO, true, 20, 64, 1, 1500, 0, false, false},
	{BENCH_AWESOMERPC, true, 21, 3, 200, 1500, 0, false, false},
	{BENCH_THRIFT, true, 20, 64, 8, 1500, 0, false, true},
	{BENCH_THRIFT, true, 21, 3, 200, 1500, 0, false, false},
	{BENCH_DUBBO, true, 1001, 16, 4, 1500, 0, false, false},
	{BENCH_THRIFT, true, 20, 1, 1000, 1500, 4096, false, false},
	{BENCH_THRIFT, true, 9001, 4, 3, 576, 0, false, false},
	{BENCH_DUBBO, true, 20, 16, 1, 1500, 0, true, false},
};

/* One of the two ends has `host`, the other one `stripped`. */
struct world {
	const struct row *r;
	struct bench_wire wire;
	struct mt_pools pools[2];
	struct mt_steer steer;
	struct bench_host *host;
	struct bench_stripped *stripped;
	struct bench_message in, out;
	struct mt_addr server;
	uint64_t now;
};

static void open_host(struct world *w)
{
	const struct mt_tcp_conf tcp = {.max_conns = 1024,
		.rx_window_init = w->r->window,
		.rx_window_max = w->r->window,
		.tx_high = 8 << 20,
		.time_wait_ms = 5};
	struct bench_host_conf c = {.codec = w->r->codec,
		.size = w->r->size,
		.server = w->r->client,
		.port = w->wire.meltemi,
		.pools = &w->pools[0],
		.steer = &w->steer,
		.tcp = &tcp,
		.outstanding = w->r->outstanding,
		.now = w->now};
	struct bench_net net;
	struct mt_err e;

	MT_ASSERT(bench_net_make(&net, "10.0.0.1/24", NULL, NULL, &e) == 0);
	c.net = &net.conf;
	w->host = bench_host_create(&c, &e);
	MT_ASSERT(w->host);
}

static struct bench_stripped_conf conf_of(struct world *w)
{
	struct bench_stripped_conf c = {.port = w->wire.peers[0],
		.pools = &w->pools[1],
		.max_conns = 1024,
		.hold = w->r->hold,
		.listen = 80,
		.client = w->r->client,
		.once = w->r->once,
		.outstanding = w->r->outstanding,
		.seed = 3};

	mt_addr_parse("10.0.0.2", &c.address);
	mt_addr_parse("10.0.0.1", &c.gateway);
	bench_request(w->r->codec, w->r->size, w->r->client ? &w->out : &w->in);
	bench_reply(w->r->codec, w->r->size, w->r->client ? &w->in : &w->out);
	c.exchange = (struct bench_exchange){.in = w->in.bytes,
		.out = w->out.bytes,
		.in_len = w->in.len,
		.out_len = w->out.len,
		.same = w->in.id_at & ~3u, /* whole words */
		.copies = {{(uint16_t)w->in.id_at, (uint16_t)w->out.id_at, (uint16_t)w->in.id_len}},
		.n_copies = 1};
	return c;
}

static void begin(struct world *w, const struct row *r)
{
	struct bench_wire_conf wire = {
		.name = "test", .link = BENCH_RING, .queues = 1, .mtu = r->mtu};
	struct bench_stripped_conf c;
	struct mt_err e;

	*w = (struct world){.r = r, .now = 1000 * MT_SEC};
	MT_ASSERT(mt_steer_init(&w->steer, 1, 64) == 0);
	for (int i = 0; i < 2; i++)
		MT_ASSERT(mt_pools_init(&w->pools[i], i ? "stripped" : "host", MBUFS, MBUFS,
				  bench_wire_room(r->mtu), SOCKET_ID_ANY) == 0);
	MT_ASSERT(bench_wire_open(&w->wire, &wire, &e) == 0);
	c = conf_of(w);
	w->stripped = bench_stripped_create(&c, &e);
	MT_ASSERT(w->stripped);
	open_host(w);
	mt_addr_parse(r->client ? "10.0.0.1" : "10.0.0.2", &w->server);
}

static uint32_t free_of(const struct mt_pools *p)
{
	return rte_mempool_avail_count(p->data) + rte_mempool_avail_count(p->ctrl);
}

static void end(struct world *w)
{
	struct rte_mbuf *m[32];
	uint16_t n;

	bench_host_destroy(w->host);
	bench_stripped_destroy(w->stripped);
	while ((n = w->wire.meltemi->ops->rx(w->wire.meltemi, 0, m, 32)) > 0)
		rte_pktmbuf_free_bulk(m, n);
	while ((n = w->wire.peers[0]->ops->rx(w->wire.peers[0], 0, m, 32)) > 0)
		rte_pktmbuf_free_bulk(m, n);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(free_of(&w->pools[i]), 2 * MBUFS);
		mt_pools_fini(&w->pools[i]);
	}
	bench_wire_close(&w->wire);
	mt_steer_fini(&w->steer);
	free(w->in.bytes);
	free(w->out.bytes);
}

static void turn(struct world *w)
{
	w->now += STEP;
	bench_stripped_turn(w->stripped, w->now);
	bench_host_turn(w->host, w->now);
}

static void connect_more(struct world *w)
{
	const struct row *r = w->r;

	while (r->client && bench_stripped_used(w->stripped) < r->conns)
		if (!bench_stripped_open(w->stripped, &w->server, 80))
			return;
	while (!r->client && bench_host_counts(w->host)->open < r->conns)
		if (!bench_host_open(w->host, &w->server, 80, r->once ? BENCH_ONCE : BENCH_STAYS))
			return;
}

static uint64_t replies(const struct world *w)
{
	return w->r->client ? bench_stripped_messages(w->stripped)
			    : bench_host_counts(w->host)->replies;
}

static void tell(const struct world *w)
{
	const uint64_t *n = bench_stripped_counters(w->stripped);

	printf("\n  stuck: %u of %u connections, %lu replies\n",
		bench_stripped_connected(w->stripped), w->r->conns, replies(w));
	for (uint32_t i = 0; i < BENCH_STRIPPED_N_OUTCOMES; i++)
		if (n[i])
			printf("  %s: %lu\n", bench_stripped_outcomes.rows[i].name, n[i]);
}

static void run_row(const struct row *r)
{
	uint64_t want = 40ull * r->conns * r->outstanding;
	const uint64_t *tcp;
	struct world w;

	begin(&w, r);
	for (uint32_t i = 0; i < 20000 && replies(&w) < want; i++) {
		connect_more(&w);
		turn(&w);
	}
	if (replies(&w) < want)
		tell(&w);
	CU_ASSERT(replies(&w) >= want);
	CU_ASSERT_EQUAL(bench_stripped_errors(w.stripped), 0);
	CU_ASSERT_EQUAL(bench_host_counts(w.host)->errors, 0);
	/* Nothing was damaged, nothing had to be sent again. */
	tcp = mt_tcp_counters(bench_host_tcp(w.host));
	CU_ASSERT_EQUAL(tcp[MT_TCP_retransmits], 0);
	CU_ASSERT(r->once || bench_stripped_connected(w.stripped) == r->conns);
	CU_ASSERT(
		!r->once ||
		bench_stripped_counters(w.stripped)[BENCH_STRIPPED_closed] + 2 * r->conns >= want);
	if (r->window)
		CU_ASSERT(!r->client ||
			  bench_stripped_counters(w.stripped)[BENCH_STRIPPED_waited] > 0);
	end(&w);
}

static void beside_lib_tcp(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		run_row(&rows[i]);
}

/* A request other than the known one ends its connection with a RST. */
static void strangers_are_reset(void)
{
	struct world w;

	begin(&w, &rows[0]);
	w.in.bytes[2] ^= 1; /* now it expects another flag */
	for (uint32_t i = 0; i < 100; i++) {
		if (bench_host_counts(w.host)->open == 0)
			bench_host_open(w.host, &w.server, 80, BENCH_STAYS);
		turn(&w);
	}
	CU_ASSERT(bench_stripped_counters(w.stripped)[BENCH_STRIPPED_not_known] > 0);
	CU_ASSERT(bench_host_counts(w.host)->errors > 0);
	CU_ASSERT_EQUAL(bench_host_counts(w.host)->replies, 0);
	end(&w);
}

static void other_ports_refuse(void)
{
	struct world w;

	begin(&w, &rows[0]);
	CU_ASSERT(bench_host_open(w.host, &w.server, 81, BENCH_STAYS));
	for (uint32_t i = 0; i < 20; i++)
		turn(&w);
	CU_ASSERT_EQUAL(bench_host_counts(w.host)->open, 0);
	CU_ASSERT_EQUAL(bench_stripped_counters(w.stripped)[BENCH_STRIPPED_refused], 1);
	end(&w);
}

/* Each kind of invalid packet is counted and has no other effect. */
static void odd_packets(void)
{
	struct mt_rand r;
	struct world w;

	begin(&w, &rows[0]);
	mt_rand_seed(&r, 1);
	for (uint32_t i = 0; i < 3000; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(w.pools[0].data);
		uint16_t len = (uint16_t)mt_rand_below(&r, 120);
		uint8_t *d = (uint8_t *)rte_pktmbuf_append(m, len);

		for (uint16_t k = 0; k < len; k++)
			d[k] = (uint8_t)mt_rand_u64(&r);
		/* Most of them look valid down to the options. */
		if (len > 54 && i % 4)
			memcpy(d + 12, "\x08\x00\x45\x00\x00\x40\x00\x00\x40\x00\x40\x06", 12);
		if (len > 54 && i % 4 > 1)
			memcpy(d + 30, "\x0a\x00\x00\x02", 4);
		CU_ASSERT_EQUAL(w.wire.meltemi->ops->tx(w.wire.meltemi, 0, &m, 1), 1);
		bench_stripped_turn(w.stripped, w.now += STEP);
	}
	end(&w);
}

static const struct mt_test tests[] = {
	{"beside lib/tcp nothing is lost", beside_lib_tcp},
	{"strangers are reset", strangers_are_reset},
	{"other ports refuse", other_ports_refuse},
	{"odd packets", odd_packets},
	{0},
};

int main(int argc, char **argv)
{
	static char *args[] = {"unit", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0", NULL};
	const struct mt_suite suites[] = {{"stripped", tests}, {0}};

	if (eal_init_unpinned((int)MT_ARRAY_LEN(args) - 1, args) < 0 || mt_buf_init())
		return EXIT_FAILURE;
	return mt_test_main(suites, argc, argv);
}
