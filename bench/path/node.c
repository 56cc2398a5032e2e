/* SPDX-License-Identifier: Apache-2.0 */
/* Meltemi between stub peers: set up, and torn down. */
#include "path.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONNECT_LIMIT (20 * MT_SEC)
/* Buffers of each pool; with several workers there are three pools for each. */
#define MBUFS_ALONE  65535
#define MBUFS_BESIDE 16383

void bench_die(const char *what, const struct mt_err *e)
{
	fprintf(stderr, "path: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
	exit(1);
}

static void tell(const struct mt_outcome_set *set, const uint64_t *counters)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (counters[i])
			fprintf(stderr, "  %s %s: %" PRIu64 "\n", set->room, set->rows[i].name,
				counters[i]);
}

void bench_die_stalled(struct bench_lane *l, const char *what)
{
	tell(&mt_net_outcomes, mt_net_counters(mt_worker_net(l->worker)));
	tell(&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(l->worker)));
	tell(&mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(l->worker)));
	bench_die(what, NULL);
}

static void start_eal(const struct bench_options *o)
{
	struct mt_eal_conf c = {.hugepages = o->pages, .mb = 1024, .workers = (uint16_t)o->workers};
	struct mt_eal_info info;
	struct mt_err e;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "meltemi-bench-%d", getpid());
	c.prefix = prefix;
	if (mt_eal_start(&c, &info, &e))
		bench_die("EAL", &e);
	if (mt_buf_init())
		bench_die("no place for the mbuf link", NULL);
	if (!o->json)
		printf("%s\n", info.memory);
}

static void make_pools(struct bench_node *b)
{
	static const char *const names[] = {"meltemi", "client", "server"};
	uint32_t n = b->o.workers == 1 ? MBUFS_ALONE : MBUFS_BESIDE;
	uint16_t room = bench_wire_room(&b->o);

	/* Of jumbo frames' buffers, no more than the same memory holds. */
	if (room > MT_BUF_DATA_ROOM)
		n /= 4;

	for (uint32_t i = 0; i < 3 * b->o.workers; i++) {
		char name[24];

		snprintf(name, sizeof(name), "%s%u", names[i % 3], i / 3);
		if (mt_pools_init(&b->lanes[i / 3].pools[i % 3], name, n, n, room, SOCKET_ID_ANY))
			bench_die("no memory for mbufs", NULL);
	}
}

/* One link after the other: memif devices of one process that connect at once can wait for ever. */
static void join(struct bench_node *b, int i, const char *name)
{
	struct mt_pools *meltemi[MT_WORKERS_MAX], *peers[MT_WORKERS_MAX];
	uint64_t start = mt_clock_now(&b->clock);
	struct mt_err e;

	for (uint32_t l = 0; l < b->o.workers; l++) {
		meltemi[l] = &b->lanes[l].pools[0];
		peers[l] = &b->lanes[l].pools[1 + i];
	}
	if (bench_wire_open(&b->wire[i], &b->o, name, (uint16_t)i, &b->steer, &e) ||
		bench_wire_start(&b->wire[i], meltemi, peers, &e))
		bench_die("link", &e);
	while (!bench_wire_up(&b->wire[i], mt_clock_now(&b->clock))) {
		if (mt_clock_now(&b->clock) - start > CONNECT_LIMIT)
			bench_die("the link does not come up", NULL);
		usleep(10000);
	}
}

static void make_net(struct bench_node *b)
{
	struct mt_port *ports[] = {b->wire[0].meltemi, b->wire[1].meltemi};
	struct mt_net_addr_conf addrs[2] = {{.port = 0}, {.port = 1}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_err e;

	mt_prefix_parse("10.1.0.1/16", &addrs[0].addr, &addrs[0].prefix);
	mt_prefix_parse("10.2.0.1/16", &addrs[1].addr, &addrs[1].prefix);
	mt_addr_parse(BENCH_VIP, &b->vip);
	b->net = mt_net_create(ports, 2, (uint16_t)b->o.workers, &b->steer);
	if (!b->net || mt_net_configure(b->net, &conf, NULL, &e) ||
		mt_net_set_vips(b->net, &b->vip, 1, NULL))
		bench_die("net", &e);
}

static void make_conf(struct bench_node *b, uint64_t now)
{
	struct mt_conf_options co = {.workers = (uint16_t)b->o.workers};
	struct mt_err e;

	b->conf = mt_conf_create(&co, &e);
	if (!b->conf)
		bench_die("conf", &e);
	if (!bench_config(&b->o, b->conf, now))
		bench_die("the bench's own documents do not compile", NULL);
}

static void make_worker(struct bench_node *b, uint16_t i, uint64_t now)
{
	static const struct mt_tcp_conf tcp = {.max_conns = 131072};
	static const struct mt_proxy_conf proxy = {.max_up = 32768, .max_exchanges = 262144};
	static const uint8_t secret[32] = "bench: not a secret";
	struct mt_port *ports[] = {b->wire[0].meltemi, b->wire[1].meltemi};
	struct mt_worker_conf wc = {.index = i,
		.workers = (uint16_t)b->o.workers,
		.ports = ports,
		.n_ports = 2,
		.steer = &b->steer,
		.net = b->net,
		.pools = &b->lanes[i].pools[0],
		.tcp = &tcp,
		.proxy = &proxy,
		.secret = secret,
		.seed = 5 + 100u * i,
		.now = now,
		.current = mt_conf_slot(b->conf),
		.clock = &b->clock};

	b->lanes[i].worker = mt_worker_create(&wc);
	if (!b->lanes[i].worker)
		bench_die("worker: no memory", NULL);
}

/* What a worker writes begins on a cache line of its own; sizes are rounded up where it is allocated. */
static void check_apart(const struct bench_lane *l)
{
	uintptr_t at = (uintptr_t)l->worker | (uintptr_t)mt_worker_net(l->worker) |
		       (uintptr_t)mt_worker_tcp(l->worker) | (uintptr_t)mt_worker_proxy(l->worker);

	if (at % MT_CACHE_LINE)
		bench_die("workers share a cache line", NULL);
}

/* All hosts of one side have the same address: each lives behind a queue of its own. */
static void make_lane(struct bench_node *b, uint16_t i, uint64_t now)
{
	struct bench_lane *l = &b->lanes[i];
	struct bench_peer_conf client = {.o = &b->o,
		.address = "10.1.0.2/16",
		.gateway = "10.1.0.1",
		.port = b->wire[0].peers[i],
		.steer = &b->peers_steer,
		.node = &b->steer,
		.worker = i,
		.pools = &l->pools[1],
		.now = now};
	struct bench_peer_conf server = {.o = &b->o,
		.address = "10.2.0.2/16",
		.server = true,
		.port = b->wire[1].peers[i],
		.steer = &b->peers_steer,
		.pools = &l->pools[2],
		.now = now};

	l->o = &b->o;
	l->clock = &b->clock;
	make_worker(b, i, now);
	l->client = bench_peer_create(&client);
	l->server = bench_peer_create(&server);
	l->perf_fd = bench_instructions_open();
	check_apart(l);
}

void bench_node_up(struct bench_node *b)
{
	uint64_t now;

	start_eal(&b->o);
	if (mt_steer_init(&b->steer, (uint16_t)b->o.workers, 1024) ||
		mt_steer_init(&b->peers_steer, 1, 64))
		bench_die("steer: no memory", NULL);
	mt_clock_init(&b->clock);
	now = mt_clock_now(&b->clock);
	make_pools(b);
	join(b, 0, "down");
	join(b, 1, "up");
	make_net(b);
	make_conf(b, now);
	for (uint16_t i = 0; i < b->o.workers; i++)
		make_lane(b, i, now);
}

void bench_node_down(struct bench_node *b)
{
	for (uint32_t i = 0; i < b->o.workers; i++) {
		bench_peer_destroy(b->lanes[i].client);
		bench_peer_destroy(b->lanes[i].server);
		mt_worker_destroy(b->lanes[i].worker);
	}
	mt_conf_destroy(b->conf);
	mt_net_destroy(b->net);
	mt_steer_fini(&b->steer);
	mt_steer_fini(&b->peers_steer);
	bench_wire_close(&b->wire[0]);
	bench_wire_close(&b->wire[1]);
	mt_eal_stop();
}
