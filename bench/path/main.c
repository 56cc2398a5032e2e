/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include "mt_port_boot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#define CONNECT_LIMIT (20 * MT_SEC)
/* Samples that the machine disturbed are taken again, but not for ever. */
#define MAX_TRIES 10

/* What the worker has counted, to be told per exchange. */
struct counts {
	uint64_t stages[MT_N_STAGES], segments_in, segments_out;
};

struct bench {
	struct bench_options o;
	struct mt_clock clock;
	struct mt_pools pools[3];  /* Meltemi, client, server */
	struct bench_wire wire[2]; /* to the client, to the server */
	struct mt_steer steer;	   /* of one worker; the stub hosts use it, too */
	struct mt_net *net;
	struct mt_conf *conf;
	struct mt_worker *worker;
	struct bench_peer *client, *server;
	uint64_t turn_cycles, idle_turns, turns, instructions;
	struct counts from;
	uint64_t from_replies;
	int perf_fd;
};

struct sample {
	double ns, cycles, instructions, io;
};

static struct bench b;

static void die(const char *what, const struct mt_err *e)
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

/* Nothing moves: what Meltemi has counted says where it stopped. */
static void die_stalled(const char *what)
{
	tell(&mt_net_outcomes, mt_net_counters(mt_worker_net(b.worker)));
	tell(&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(b.worker)));
	tell(&mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(b.worker)));
	die(what, NULL);
}

static void start_eal(void)
{
	struct mt_eal_conf c = {
		.prefix = "meltemi-bench", .hugepages = b.o.pages, .mb = 1024, .workers = 1};
	struct mt_eal_info info;
	struct mt_err e;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "meltemi-bench-%d", getpid());
	c.prefix = prefix;
	if (mt_eal_start(&c, &info, &e))
		die("EAL", &e);
	if (mt_buf_init())
		die("no place for the mbuf link", NULL);
	if (!b.o.json)
		printf("%s\n", info.memory);
}

static void make_net(void)
{
	struct mt_port *ports[] = {b.wire[0].ends[0], b.wire[1].ends[0]};
	struct mt_net_addr_conf addrs[2] = {{.port = 0}, {.port = 1}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_addr vip;
	struct mt_err e;

	mt_prefix_parse("10.1.0.1/16", &addrs[0].addr, &addrs[0].prefix);
	mt_prefix_parse("10.2.0.1/16", &addrs[1].addr, &addrs[1].prefix);
	mt_addr_parse(BENCH_VIP, &vip);
	b.net = mt_net_create(ports, 2, 1, NULL);
	if (!b.net || mt_net_configure(b.net, &conf, NULL, &e) ||
		mt_net_set_vips(b.net, &vip, 1, NULL))
		die("net", &e);
}

static void make_worker(uint64_t now)
{
	static const struct mt_tcp_conf tcp = {.max_conns = 131072};
	static const struct mt_proxy_conf proxy = {.max_up = 32768, .max_exchanges = 262144};
	static const uint8_t secret[32] = "bench: not a secret";
	struct mt_port *ports[] = {b.wire[0].ends[0], b.wire[1].ends[0]};
	struct mt_conf_options co = {.workers = 1};
	struct mt_worker_conf wc = {.workers = 1,
		.ports = ports,
		.n_ports = 2,
		.steer = &b.steer,
		.net = b.net,
		.pools = &b.pools[0],
		.tcp = &tcp,
		.proxy = &proxy,
		.secret = secret,
		.seed = 5,
		.now = now,
		.clock = &b.clock};
	struct mt_err e;

	b.conf = mt_conf_create(&co, &e);
	if (!b.conf)
		die("conf", &e);
	if (!bench_config(&b.o, b.conf, now))
		die("the bench's own documents do not compile", NULL);
	wc.current = mt_conf_slot(b.conf);
	b.worker = mt_worker_create(&wc);
	if (!b.worker)
		die("worker: no memory", NULL);
}

/* By itself, so that a profiler can be told to look at nothing else (docs/performance.md). */
static __attribute__((noinline, noclone)) uint32_t measured_turn(uint64_t now)
{
	return mt_worker_turn(b.worker, now, now);
}

static void turn(void)
{
	uint64_t now = mt_clock_now(&b.clock), t0, i0;

	bench_peer_turn(b.client, now);
	i0 = bench_instructions_read(b.perf_fd);
	t0 = rte_rdtsc();
	b.idle_turns += measured_turn(now) == 0;
	b.turn_cycles += rte_rdtsc() - t0;
	b.instructions += bench_instructions_read(b.perf_fd) - i0;
	b.turns++;
	bench_peer_turn(b.server, now);
}

/* One link after the other: memif devices of one process that connect at once can wait for ever. */
static void join(int i, const char *name, struct mt_pools *peer)
{
	uint64_t start = mt_clock_now(&b.clock);
	struct mt_err e;

	if (bench_wire_open(&b.wire[i], b.o.link, name, (uint16_t)i, &e) ||
		bench_wire_start(&b.wire[i], &b.pools[0], peer, &e))
		die("link", &e);
	while (!bench_wire_up(&b.wire[i], mt_clock_now(&b.clock))) {
		if (mt_clock_now(&b.clock) - start > CONNECT_LIMIT)
			die("the link does not come up", NULL);
		usleep(10000);
	}
}

static void set_up(void)
{
	static const char *const names[] = {"meltemi", "client", "server"};
	uint64_t now;

	start_eal();
	if (mt_steer_init(&b.steer, 1, 64))
		die("steer: no memory", NULL);
	mt_clock_init(&b.clock);
	now = mt_clock_now(&b.clock);
	for (int i = 0; i < 3; i++)
		if (mt_pools_init(
			    &b.pools[i], names[i], 65535, 65535, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
			die("no memory for mbufs", NULL);
	join(0, "down", &b.pools[1]);
	join(1, "up", &b.pools[2]);
	make_net();
	make_worker(now);
	b.client = bench_peer_create(&(struct bench_peer_conf){&b.o, "10.1.0.2/16", "10.1.0.1",
		false, b.wire[0].ends[1], &b.steer, &b.pools[1], now});
	b.server = bench_peer_create(&(struct bench_peer_conf){
		&b.o, "10.2.0.2/16", NULL, true, b.wire[1].ends[1], &b.steer, &b.pools[2], now});
	b.perf_fd = bench_instructions_open();
}

static void connect_all(void)
{
	uint64_t start = mt_clock_now(&b.clock);
	struct mt_addr vip;
	uint32_t opened = 0;

	mt_addr_parse(BENCH_VIP, &vip);
	while (bench_peer_connected(b.client) < b.o.conns) {
		for (int i = 0; i < 16 && opened < b.o.conns; i++)
			opened += bench_peer_open(b.client, &vip, BENCH_PORT);
		turn();
		if (mt_clock_now(&b.clock) - start > CONNECT_LIMIT)
			die_stalled("not all connections came up");
	}
	/* The first answers show that the whole way works. */
	start = mt_clock_now(&b.clock);
	while (bench_peer_replies(b.client) == 0) {
		turn();
		if (mt_clock_now(&b.clock) - start > CONNECT_LIMIT)
			die_stalled("connected, but nothing is answered");
	}
}

/* One sample; false: the machine disturbed it. */
static bool measure(struct sample *s)
{
	uint64_t disturbed = bench_disturbances(), from = bench_peer_replies(b.client);
	uint64_t start = mt_clock_now(&b.clock), n;

	b.turn_cycles = b.instructions = 0;
	b.wire[0].io_cycles = b.wire[1].io_cycles = 0;
	do {
		for (int i = 0; i < 64; i++)
			turn();
		if (mt_clock_now(&b.clock) - start > 60 * MT_SEC)
			die_stalled("no progress: a stall in the path");
		n = bench_peer_replies(b.client) - from;
	} while (n < b.o.exchanges);
	s->cycles = (double)b.turn_cycles / n;
	s->ns = s->cycles * 1e9 / rte_get_tsc_hz();
	s->instructions = (double)b.instructions / n;
	s->io = (double)(b.wire[0].io_cycles + b.wire[1].io_cycles) / b.turn_cycles;
	return bench_disturbances() == disturbed;
}

static struct counts read_counts(void)
{
	const uint64_t *tcp = mt_tcp_counters(mt_worker_tcp(b.worker));
	struct counts c = {
		.segments_in = tcp[MT_TCP_segments_in], .segments_out = tcp[MT_TCP_segments_out]};

	memcpy(c.stages, mt_worker_stats(b.worker)->cycles, sizeof(c.stages));
	return c;
}

/* Over all samples, disturbed ones included. */
static void report_counts(void)
{
	double n = (double)(bench_peer_replies(b.client) - b.from_replies);
	struct counts c = read_counts();

	printf("\"stages\":{");
	for (int s = 0; s < MT_N_STAGES; s++)
		printf("%s\"%s\":%.0f", s ? "," : "", mt_worker_stage_names[s],
			(double)(c.stages[s] - b.from.stages[s]) / n);
	printf("},\"exchanges\":%.0f,\"segments_in\":%.2f,\"segments_out\":%.2f,\"exchanges_per_turn\":%.1f,",
		n,
		(double)(c.segments_in - b.from.segments_in) / n,
		(double)(c.segments_out - b.from.segments_out) / n, n / (double)b.turns);
}

static int by_ns(const void *a, const void *c)
{
	double d = ((const struct sample *)a)->ns - ((const struct sample *)c)->ns;

	return d < 0 ? -1 : d > 0;
}

static void report(struct sample *s, uint32_t n, uint32_t rejected)
{
	static const char *const codecs[] = {"thrift", "dubbo", "tcp"};
	const struct sample *min = &s[0], *med;

	qsort(s, n, sizeof(*s), by_ns);
	med = &s[n / 2];
	if (!b.o.json)
		printf("median %.0f ns = %.0f cycles an exchange (%.0f %% in ports), minimum %.0f "
		       "ns\n",
			med->ns, med->cycles, med->io * 100, min->ns);
	printf("{\"bench\":\"path\",\"codec\":\"%s\",\"link\":\"%s\",\"size\":%u,\"conns\":%u,"
	       "\"outstanding\":%u,\"routes\":%u,\"policies\":%s,\"multiplexing\":%s,\"samples\":%"
	       "u,"
	       "\"rejected\":%u,\"ns_min\":%.1f,\"ns_median\":%.1f,\"cycles_min\":%.0f,"
	       "\"cycles_median\":%.0f,",
		codecs[b.o.codec], b.o.link == BENCH_RING ? "ring" : "memif", b.o.size, b.o.conns,
		b.o.outstanding, b.o.routes, b.o.policies ? "true" : "false",
		b.o.multiplexing ? "true" : "false", n, rejected, min->ns, med->ns, min->cycles,
		med->cycles);
	if (b.perf_fd >= 0)
		printf("\"instructions\":%.0f,", med->instructions);
	else
		printf("\"instructions\":null,");
	report_counts();
	printf("\"io_share\":%.3f,\"idle_share\":%.4f,\"errors\":%" PRIu64 ",\"tsc_hz\":%" PRIu64
	       "}\n",
		med->io, (double)b.idle_turns / b.turns, bench_peer_errors(b.client),
		rte_get_tsc_hz());
}

static void tear_down(void)
{
	bench_peer_destroy(b.client);
	bench_peer_destroy(b.server);
	mt_worker_destroy(b.worker);
	mt_conf_destroy(b.conf);
	mt_net_destroy(b.net);
	mt_steer_fini(&b.steer);
	bench_wire_close(&b.wire[0]);
	bench_wire_close(&b.wire[1]);
	mt_eal_stop();
}

int main(int argc, char **argv)
{
	uint32_t rejected = 0, n = 0;
	struct sample *samples, warm;
	int rc = bench_options_parse(argc, argv, &b.o);

	if (rc)
		return rc;
	samples = calloc(b.o.samples, sizeof(*samples));
	if (!samples)
		die("no memory", NULL);
	set_up();
	connect_all();
	measure(&warm);
	b.turns = b.idle_turns = 0;
	b.from = read_counts();
	b.from_replies = bench_peer_replies(b.client);
	while (n < b.o.samples) {
		if (measure(&samples[n]) || rejected >= MAX_TRIES * b.o.samples)
			n++;
		else
			rejected++;
	}
	report(samples, n, rejected);
	fflush(stdout);
	rc = bench_peer_errors(b.client) ? 1 : 0;
	free(samples);
	tear_down();
	return rc;
}
