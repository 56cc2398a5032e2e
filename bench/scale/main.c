/* SPDX-License-Identifier: Apache-2.0 */
/* Opens connections step by step and measures at each step: memory, idleness, exchanges, churn, lookup. */
#include "scale.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#define STEP_NS	      (20 * MT_USEC) /* of virtual time: a turn */
#define OPEN_AT_ONCE  128	     /* handshakes under way */
#define CHURN_AT_ONCE 64
#define TURNS_MAX     40000000ull /* of one phase: then it hangs */
#define IDLE_SAMPLES  200
#define IDLE_TURNS    100 /* in each: short, so that one often is undisturbed */
#define MAX_TRIES     4

struct scale {
	struct scale_options o;
	struct mt_pools pools[3]; /* Meltemi, client, server */
	struct bench_wire wire[2];
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_conf *conf;
	struct mt_worker *worker;
	struct scale_host *client, *server;
	struct mt_rand rand;
	struct scale_memory base;
	uint64_t base_hosts;
	uint64_t now; /* virtual */
	uint64_t cycles, instructions, worst, turns, idle_work;
	int perf_fd;
};

/* What one step found. */
struct figures {
	double counted, resident, process;     /* bytes a client connection */
	double idle_cycles, idle_instructions; /* a turn that finds nothing */
	double keep_cycles, worst_us;	       /* per connection and hour; the longest turn of it */
	double ns_min, ns_median, cycles_min, instructions_exchange, segments;
	double churn_ns, churn_cycles;
	struct scale_lookup lookup;
};

static struct scale b;

static void die(const char *what, const struct mt_err *e)
{
	fprintf(stderr, "scale: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
	exit(1);
}

static void tell(const struct mt_outcome_set *set, const uint64_t *counters)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (counters[i])
			fprintf(stderr, "  %s %s: %" PRIu64 "\n", set->room, set->rows[i].name,
				counters[i]);
}

static void die_stalled(const char *what)
{
	tell(&mt_net_outcomes, mt_net_counters(mt_worker_net(b.worker)));
	tell(&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(b.worker)));
	tell(&mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(b.worker)));
	die(what, NULL);
}

/* ---- set-up ---- */

static void start_eal(void)
{
	struct mt_eal_conf c = {.hugepages = b.o.o.pages, .mb = 512, .workers = 1};
	struct mt_eal_info info;
	struct mt_err e;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "meltemi-scale-%d", getpid());
	c.prefix = prefix;
	if (mt_eal_start(&c, &info, &e))
		die("EAL", &e);
	if (mt_buf_init())
		die("no place for the mbuf link", NULL);
}

static void make_net(void)
{
	struct mt_port *ports[] = {b.wire[0].meltemi, b.wire[1].meltemi};
	struct mt_net_addr_conf addrs[2] = {{.port = 0}, {.port = 1}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_addr vips[SCALE_ADDRS];
	struct mt_err e = {0};

	mt_prefix_parse("10.1.0.1/16", &addrs[0].addr, &addrs[0].prefix);
	mt_prefix_parse("10.2.0.1/16", &addrs[1].addr, &addrs[1].prefix);
	for (uint32_t i = 0; i < SCALE_ADDRS; i++)
		scale_vip(i, &vips[i]);
	b.net = mt_net_create(ports, 2, 1, NULL);
	if (!b.net || mt_net_configure(b.net, &conf, NULL, &e) ||
		mt_net_set_vips(b.net, vips, SCALE_ADDRS, NULL))
		die("net", &e);
}

static void make_worker(uint32_t max)
{
	static const uint8_t secret[32] = "bench: not a secret";
	const struct mt_tcp_conf tcp = {.max_conns = 2 * max + 65536};
	const struct mt_proxy_conf proxy = {
		.max_down = max + 32768, .max_up = max + 32768, .max_exchanges = 65536};
	struct mt_port *ports[] = {b.wire[0].meltemi, b.wire[1].meltemi};
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
		.now = b.now};
	struct mt_err e = {0};

	b.conf = mt_conf_create(&co, &e);
	if (!b.conf)
		die("conf", &e);
	if (!scale_config(&b.o.o, b.conf, b.now))
		die("the bench's own documents do not compile", NULL);
	wc.current = mt_conf_slot(b.conf);
	b.worker = mt_worker_create(&wc);
	if (!b.worker)
		die("worker: no memory", NULL);
}

static struct scale_host *make_host(bool server, uint32_t max)
{
	return scale_host_create(&(struct scale_host_conf){&b.o.o, server, max + 65536,
		b.wire[server].peers[0], &b.steer, &b.pools[1 + server], b.now});
}

static void set_up(void)
{
	static const char *const names[] = {"meltemi", "client", "server"};
	uint32_t max = b.o.steps[b.o.n_steps - 1];
	struct mt_err e;

	start_eal();
	b.now = 1000 * MT_SEC;
	mt_rand_seed(&b.rand, 7);
	if (mt_steer_init(&b.steer, 1, 64))
		die("steer: no memory", NULL);
	for (int i = 0; i < 3; i++)
		if (mt_pools_init(
			    &b.pools[i], names[i], 16383, 32767, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
			die("no memory for mbufs", NULL);
	for (uint16_t i = 0; i < 2; i++)
		if (bench_wire_open(&b.wire[i], &b.o.o, i ? "up" : "down", i, &b.steer, &e))
			die("link", &e);
	make_net();
	make_worker(max);
	b.client = make_host(false, max);
	b.server = make_host(true, max);
	b.perf_fd = bench_instructions_open();
}

static void tear_down(void)
{
	scale_host_destroy(b.client);
	scale_host_destroy(b.server);
	mt_worker_destroy(b.worker);
	mt_conf_destroy(b.conf);
	mt_net_destroy(b.net);
	mt_steer_fini(&b.steer);
	bench_wire_close(&b.wire[0]);
	bench_wire_close(&b.wire[1]);
	mt_eal_stop();
}

/* ---- turns ---- */

/* By itself, so that a profiler can be told to look at nothing else. */
static __attribute__((noinline, noclone)) uint32_t measured_turn(uint64_t now)
{
	return mt_worker_turn(b.worker, now, now);
}

/* The longest turn, unless the machine took the processor away meanwhile. */
static void note_worst(uint64_t took)
{
	static uint64_t disturbances;
	uint64_t now;

	if (took <= b.worst)
		return;
	now = bench_disturbances();
	if (now == disturbances)
		b.worst = took;
	disturbances = now;
}

static uint32_t meltemi_turn(void)
{
	uint64_t i0 = bench_instructions_read(b.perf_fd), t0 = rte_rdtsc(), took;
	uint32_t work = measured_turn(b.now);

	took = rte_rdtsc() - t0;
	b.instructions += bench_instructions_read(b.perf_fd) - i0;
	b.cycles += took;
	note_worst(took);
	b.turns++;
	return work;
}

static uint32_t turn(uint64_t step)
{
	uint32_t work;

	b.now += step;
	scale_host_turn(b.client, b.now);
	work = meltemi_turn();
	scale_host_turn(b.server, b.now);
	return work;
}

static void reset_counts(void)
{
	b.cycles = b.instructions = b.worst = b.turns = 0;
}

/* Until delayed ACKs have left, probes were answered and TIME-WAIT is over, to a fixed moment. */
static void settle(uint64_t ns)
{
	uint64_t end = b.now + ns;

	while (b.now < end)
		turn(MT_MSEC);
}

static struct scale_host_counts client(void)
{
	struct scale_host_counts c;

	scale_host_counts(b.client, &c);
	return c;
}

/* ---- connections ---- */

static void open_one(bool once)
{
	static uint32_t next;
	struct mt_addr vip;

	scale_vip(next++, &vip);
	if (!scale_host_open(b.client, &vip, once))
		die_stalled("a connection could not be opened");
}

/* Each one is used: bytes have passed both ways. */
static void open_up_to(uint32_t n)
{
	uint32_t from = client().connected, asked = from;
	uint64_t turns = 0, replies = client().replies;
	struct scale_host_counts c;

	while ((c = client()).replies - replies < n - from) {
		while (c.open < n && c.open - c.connected < OPEN_AT_ONCE) {
			open_one(false);
			c = client();
		}
		while (asked < c.open && asked - from < c.replies - replies + OPEN_AT_ONCE &&
			scale_host_ask(b.client, asked))
			asked++;
		turn(STEP_NS);
		if (turns++ > TURNS_MAX || c.errors)
			die_stalled("not all connections came up");
	}
	settle(2 * MT_SEC);
}

/* ---- what is measured ---- */

static void measure_memory(uint32_t n, struct figures *f)
{
	struct mt_tcp *tcp = mt_worker_tcp(b.worker);
	struct mt_proxy *proxy = mt_worker_proxy(b.worker);
	struct scale_memory m;
	uint64_t hosts = scale_host_memory(b.client) + scale_host_memory(b.server);

	scale_memory_read(&m, tcp, proxy);
	f->counted = (double)(m.counted - b.base.counted) / n;
	f->resident = (double)(m.resident - b.base.resident) / n;
	f->process = (double)(m.process - b.base.process - (hosts - b.base_hosts)) / n;
	fprintf(stderr, "%u connections, %.1f bytes each:\n", n, f->counted);
	scale_memory_tell(tcp, proxy, n);
}

static int by_value(const void *a, const void *c)
{
	double d = *(const double *)a - *(const double *)c;

	return d < 0 ? -1 : d > 0;
}

/* By itself: check.py counts its instructions. */
static __attribute__((noinline, noclone)) void idle_turn(uint64_t now)
{
	b.idle_work += mt_worker_turn(b.worker, now, now);
}

static void measure_idle(struct figures *f)
{
	uint64_t best = UINT64_MAX;

	for (int s = 0; s < IDLE_SAMPLES; s++) {
		uint64_t i0 = bench_instructions_read(b.perf_fd), t0 = rte_rdtsc(), took;

		for (int i = 0; i < IDLE_TURNS; i++)
			idle_turn(b.now += MT_USEC);
		took = rte_rdtsc() - t0;
		best = MT_MIN(best, took);
		f->idle_instructions =
			(double)(bench_instructions_read(b.perf_fd) - i0) / IDLE_TURNS;
	}
	f->idle_cycles = (double)best / IDLE_TURNS;
}

/* Hours of nothing but keep-alives, a turn each millisecond: what timers cost, and the longest turn. */
static void measure_hours(uint32_t n, struct figures *f)
{
	uint64_t end = b.now + b.o.idle_hours * 3600 * MT_SEC, busy = 0, before;

	reset_counts();
	note_worst(UINT64_MAX); /* what disturbed until now does not count */
	b.worst = 0;
	while (b.now < end) {
		b.now += MT_MSEC;
		before = b.cycles;
		if (meltemi_turn() == 0)
			continue;
		scale_host_turn(b.client, b.now);
		scale_host_turn(b.server, b.now);
		meltemi_turn();
		busy += b.cycles - before;
	}
	if (b.o.idle_hours)
		f->keep_cycles = (double)busy / n / b.o.idle_hours;
	f->worst_us = (double)b.worst * 1e6 / (double)rte_get_tsc_hz();
}

/* Requests on connections in random order, `outstanding` of them under way. */
static uint64_t exchange_some(uint32_t n, uint64_t want)
{
	uint64_t from = client().replies, sent = 0, before = from, turns = 0;

	while (client().replies - from < want) {
		while (sent < want && sent - (client().replies - from) < b.o.outstanding)
			sent += scale_host_ask(b.client, mt_rand_below(&b.rand, n));
		/* As if a million of them passed each second. */
		turn(MT_USEC * MT_MAX(client().replies - before, (uint64_t)1));
		before = client().replies;
		if (turns++ > TURNS_MAX)
			die_stalled("an exchange does not end");
	}
	return client().replies - from;
}

static uint64_t segments(void)
{
	const uint64_t *tcp = mt_tcp_counters(mt_worker_tcp(b.worker));

	return tcp[MT_TCP_segments_in] + tcp[MT_TCP_segments_out];
}

static void measure_exchanges(uint32_t n, struct figures *f)
{
	double sample[1000], hz = (double)rte_get_tsc_hz();
	uint32_t tries = MAX_TRIES * b.o.samples, done = 0;
	uint64_t segs;

	if (b.o.samples == 0)
		return;
	exchange_some(n, b.o.exchanges);
	while (done < b.o.samples) {
		uint64_t disturbed = bench_disturbances();
		uint32_t want = MT_MAX(b.o.exchanges, 2 * b.o.outstanding);

		reset_counts();
		segs = segments();
		exchange_some(n, want);
		sample[done] = (double)b.cycles / want;
		f->instructions_exchange = (double)b.instructions / want;
		f->segments = (double)(segments() - segs) / want;
		if (tries == 0 || bench_disturbances() == disturbed)
			done++;
		else
			tries--;
	}
	qsort(sample, done, sizeof(*sample), by_value);
	f->cycles_min = sample[0];
	f->ns_min = sample[0] * 1e9 / hz;
	f->ns_median = sample[done / 2] * 1e9 / hz;
}

/* Connections opened, used once and closed beside n that are there. */
static void measure_churn(uint32_t n, struct figures *f)
{
	uint64_t from = client().replies, turns = 0;
	uint32_t opened = 0;

	if (b.o.churn == 0)
		return;
	reset_counts();
	while (opened < b.o.churn || client().open > n) {
		while (opened < b.o.churn && client().open < n + CHURN_AT_ONCE) {
			open_one(true);
			opened++;
		}
		turn(STEP_NS);
		if (turns++ > TURNS_MAX || client().errors)
			die_stalled("a connection does not end");
	}
	if (client().replies - from != b.o.churn)
		die_stalled("not each connection was answered once");
	f->churn_cycles = (double)b.cycles / b.o.churn;
	f->churn_ns = f->churn_cycles * 1e9 / (double)rte_get_tsc_hz();
}

static void number(const char *name, double v, const char *end)
{
	printf("\"%s\":%.1f%s", name, v, end);
}

static void report(uint32_t n, const struct figures *f)
{
	static const char *const codecs[] = {"thrift", "dubbo", "tcp"};

	printf("{\"bench\":\"scale\",\"codec\":\"%s\",\"conns\":%u,\"size\":%u,\"outstanding\":%u,",
		codecs[b.o.o.codec], n, b.o.o.size, b.o.outstanding);
	number("bytes", f->counted, ",");
	number("bytes_resident", f->resident, ",");
	number("bytes_process", f->process, ",");
	number("idle_turn_cycles", f->idle_cycles, ",");
	if (b.perf_fd >= 0)
		number("idle_turn_instructions", f->idle_instructions, ",");
	number("timer_cycles_hour", f->keep_cycles, ",");
	number("worst_idle_turn_us", f->worst_us, ",");
	number("lookup_staged_cycles", f->lookup.staged, ",");
	number("lookup_single_cycles", f->lookup.single, ",");
	number("exchange_ns_min", f->ns_min, ",");
	number("exchange_ns_median", f->ns_median, ",");
	number("exchange_cycles_min", f->cycles_min, ",");
	if (b.perf_fd >= 0)
		number("exchange_instructions", f->instructions_exchange, ",");
	number("exchange_segments", f->segments, ",");
	number("churn_ns", f->churn_ns, ",");
	number("churn_cycles", f->churn_cycles, ",");
	printf("\"errors\":%" PRIu64 ",\"tsc_hz\":%" PRIu64 "}\n", client().errors,
		rte_get_tsc_hz());
	fflush(stdout);
}

/* One client connection that is there and used: all that is made once is made. */
static void measure_base(void)
{
	open_up_to(1);
	scale_memory_read(&b.base, mt_worker_tcp(b.worker), mt_worker_proxy(b.worker));
	b.base_hosts = scale_host_memory(b.client) + scale_host_memory(b.server);
}

static bool measure_step(uint32_t n)
{
	struct figures f = {0};

	open_up_to(n + 1);
	measure_memory(n, &f);
	measure_idle(&f);
	measure_hours(n, &f);
	scale_lookup_measure(mt_worker_tcp(b.worker), n, &f.lookup);
	measure_exchanges(n, &f);
	settle(2 * MT_SEC);
	measure_churn(n + 1, &f);
	settle(100 * MT_SEC); /* TIME-WAIT */
	report(n, &f);
	if (b.o.max_bytes && f.counted > b.o.max_bytes) {
		fprintf(stderr, "scale: %.1f bytes a connection, %u allowed\n", f.counted,
			b.o.max_bytes);
		return false;
	}
	return client().errors == 0;
}

int main(int argc, char **argv)
{
	int rc = scale_options_parse(argc, argv, &b.o);

	if (rc)
		return rc;
	set_up();
	measure_base();
	for (uint32_t i = 0; i < b.o.n_steps && rc == 0; i++)
		rc = measure_step(b.o.steps[i]) ? 0 : 1;
	tear_down();
	return rc;
}
