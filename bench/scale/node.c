/* SPDX-License-Identifier: Apache-2.0 */
/* A worker between its two end hosts: their loop iterations and their connections. */
#include "scale.h"

#include "bench_counters.h"

#include <sched.h>

#include <rte_cycles.h>

#define OPEN_AT_ONCE 128   /* handshakes in flight */
#define MANY	     12000 /* connections from which larger pools are used */

struct scale scale;

static void make_worker(uint32_t max)
{
	static const uint8_t secret[32] = "bench: not a secret";
	const struct mt_tcp_conf tcp = {.max_conns = 2 * max + 65536};
	const struct mt_proxy_conf proxy = {
		.max_down = max + 32768, .max_up = max + 32768, .max_exchanges = 65536};
	struct mt_port *ports[] = {scale.wire[0].meltemi, scale.wire[1].meltemi};
	struct mt_worker_conf wc = {.workers = 1,
		.ports = ports,
		.n_ports = 2,
		.steer = &scale.steer,
		.net = scale.net,
		.pools = &scale.pools[0],
		.tcp = &tcp,
		.proxy = &proxy,
		.secret = secret,
		.seed = 5,
		.now = scale.now};

	if (scale.o.tls) {
		bench_tls_make(&scale.tls, 1, MT_TLS_AES_128_GCM);
		wc.tls.lane = scale.tls.ends[0].lane;
		wc.tls.aead = scale.tls.ends[0].aead;
		wc.tls.streams = tcp.max_conns;
	}
	scale.conf =
		bench_node_conf(1, scale.tls.meltemi, NULL, scale_documents, &scale.o, scale.now);
	wc.current = mt_conf_slot(scale.conf);
	scale.worker = mt_worker_create(&wc);
	if (!scale.worker)
		bench_die("worker: no memory", NULL);
}

/*
 * The client has one address and a route to the services; the server has one address for each
 * endpoint.
 */
static struct bench_host *make_host(bool server, uint32_t max)
{
	const struct mt_tcp_conf tcp = {.max_conns = max + 65536,
		.max_time_wait = 65536,
		.keepalive_idle_s = MT_TCP_KEEPALIVE_OFF};
	struct mt_net_addr_conf addrs[SCALE_ADDRS];
	struct mt_net_conf servers = {.addrs = addrs, .n_addrs = SCALE_ADDRS};
	struct bench_net net;
	struct bench_host_conf c = {.codec = scale.o.codec,
		.size = scale.o.size,
		.server = server,
		.net = server ? &servers : &net.conf,
		.port = scale.wire[server].peers[0],
		.steer = &scale.steer,
		.pools = &scale.pools[1 + server],
		.tcp = &tcp,
		.now = scale.now,
		.tls = scale.o.tls ? &scale.tls.ends[1 + server] : NULL};
	struct bench_host *h;
	char text[MT_ADDR_STRLEN];
	struct mt_err e;

	for (uint32_t i = 0; i < SCALE_ADDRS; i++) {
		addrs[i] = (struct mt_net_addr_conf){.port = 0};
		snprintf(text, sizeof(text), "10.2.0.%u/16", 2 + i);
		MT_ASSERT(mt_prefix_parse(text, &addrs[i].addr, &addrs[i].prefix) == 0);
	}
	if (bench_net_make(&net, "10.1.0.2/16", "240.240.0.0/16", BENCH_CLIENTS, &e))
		bench_die("client", &e);
	h = bench_host_create(&c, &e);
	if (!h)
		bench_die(server ? "server" : "client", &e);
	return h;
}

void scale_set_up(void)
{
	static const char *const names[] = {"meltemi", "client", "server"};
	uint32_t max = scale.o.steps[scale.o.n_steps - 1];
	/*
	 * A rarely used connection holds a buffer of the last reply until its delayed ACK is sent.
	 * At a million messages a second that is 40,000 buffers in 40 ms. With TLS a client's data
	 * is held as well, until its server has sent something.
	 */
	bool large = max > MANY || scale.o.tls;
	uint32_t buffers = large ? 131071 : 65535;
	struct mt_addr vips[SCALE_ADDRS];
	struct mt_eal_info info;
	struct mt_err e;

	bench_eal(scale.o.pages, large ? 1536 : 512, 1, &info);
	scale.now = 1000 * MT_SEC;
	mt_rand_seed(&scale.rand, 7);
	if (mt_steer_init(&scale.steer, 1, 64))
		bench_die("steer: no memory", NULL);
	for (int i = 0; i < 3; i++)
		if (mt_pools_init(&scale.pools[i], names[i], buffers, 32767, MT_BUF_DATA_ROOM,
			    SOCKET_ID_ANY))
			bench_die("no memory for mbufs", NULL);
	for (uint16_t i = 0; i < 2; i++) {
		struct bench_wire_conf c = {.name = i ? "up" : "down",
			.link = BENCH_RING,
			.index = i,
			.queues = 1,
			.mtu = 1500,
			.steer = &scale.steer};

		if (bench_wire_open(&scale.wire[i], &c, &e))
			bench_die("link", &e);
	}
	for (uint32_t i = 0; i < SCALE_ADDRS; i++)
		scale_vip(i, &vips[i]);
	scale.net = bench_node_net(scale.wire, 1, NULL, vips, SCALE_ADDRS);
	make_worker(max);
	scale.client = make_host(false, max);
	scale.server = make_host(true, max);
	scale.perf_fd = bench_instructions_open();
}

void scale_tear_down(void)
{
	bench_host_destroy(scale.client);
	bench_host_destroy(scale.server);
	mt_worker_destroy(scale.worker);
	mt_conf_destroy(scale.conf);
	bench_tls_free(&scale.tls);
	mt_net_destroy(scale.net);
	mt_steer_fini(&scale.steer);
	bench_wire_close(&scale.wire[0]);
	bench_wire_close(&scale.wire[1]);
	mt_eal_stop();
}

void scale_die_stalled(const char *what)
{
	bench_die_stalled(scale.worker, what);
}

/* ---- loop iterations ---- */

/* A function of its own, so that a profiler can be limited to it. */
static __attribute__((noinline, noclone)) uint32_t measured_turn(uint64_t now)
{
	return mt_worker_turn(scale.worker, now, now);
}

/* Records the longest iteration, unless the thread was preempted during it. */
static void note_worst(uint64_t took)
{
	static uint64_t disturbances;
	uint64_t now;

	if (took <= scale.worst)
		return;
	now = bench_disturbances();
	if (now == disturbances)
		scale.worst = took;
	disturbances = now;
}

uint32_t scale_meltemi_turn(void)
{
	uint64_t i0 = bench_instructions_read(scale.perf_fd), t0 = rte_rdtsc(), took;
	uint32_t work = measured_turn(scale.now);

	took = rte_rdtsc() - t0;
	scale.instructions += bench_instructions_read(scale.perf_fd) - i0;
	scale.cycles += took;
	note_worst(took);
	scale.turns++;
	return work;
}

/*
 * True while handshake threads work: they run in real time, so virtual time must not pass faster.
 */
static bool shaking(void)
{
	for (uint32_t i = 0; i < scale.tls.n_ends; i++)
		if (scale.tls.ends[i].lane->n_used)
			return true;
	return false;
}

uint32_t scale_turn(uint64_t step)
{
	uint32_t work;

	if (shaking()) {
		step = MT_MIN(step, MT_USEC);
		sched_yield();
	}
	scale.now += step;
	bench_host_turn(scale.client, scale.now);
	work = scale_meltemi_turn();
	bench_host_turn(scale.server, scale.now);
	return work;
}

void scale_forget_disturbances(void)
{
	note_worst(UINT64_MAX);
	scale.worst = 0;
}

void scale_reset_counts(void)
{
	scale.cycles = scale.instructions = scale.worst = scale.turns = 0;
}

void scale_settle(uint64_t ns)
{
	uint64_t end = scale.now + ns;

	while (scale.now < end)
		scale_turn(MT_MSEC);
}

struct bench_host_counts scale_client(void)
{
	return *bench_host_counts(scale.client);
}

__attribute__((noinline, noclone)) void idle_turn(uint64_t now)
{
	scale.idle_work += mt_worker_turn(scale.worker, now, now);
}

/* ---- connections ---- */

void scale_open_one(enum bench_life life)
{
	static uint32_t next;
	struct mt_addr vip;

	scale_vip(next++, &vip);
	if (!bench_host_open(scale.client, &vip, BENCH_PORT, life))
		scale_die_stalled("a connection could not be opened");
}

void scale_open_up_to(uint32_t n)
{
	uint32_t from = scale_client().connected, asked = from;
	uint64_t turns = 0, replies = scale_client().replies;
	struct bench_host_counts c;

	while ((c = scale_client()).replies - replies < n - from) {
		while (c.open < n && c.open - c.connected < OPEN_AT_ONCE) {
			scale_open_one(BENCH_STAYS);
			c = scale_client();
		}
		while (asked < c.open && asked - from < c.replies - replies + OPEN_AT_ONCE &&
			bench_host_ask(scale.client, asked))
			asked++;
		scale_turn(SCALE_STEP_NS);
		if (turns++ > SCALE_TURNS_MAX || c.errors)
			scale_die_stalled("not all connections came up");
	}
	scale_settle(2 * MT_SEC);
}
