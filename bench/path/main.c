/* SPDX-License-Identifier: Apache-2.0 */
/* Takes samples and reports statistics of them. */
#include "path.h"

#include "bench_counters.h"
#include "mt_byte_ring.h"
#include "mt_outcome.h"
#include "mt_secret_hash.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_launch.h>

#ifdef PATH_TRAPPED
#define TRAP(on) path_trap(on)
#else
#define TRAP(on) ((void)(on))
#endif

#define CONNECT_LIMIT	  (20 * MT_SEC)
#define CONNECT_LIMIT_TLS (300 * MT_SEC) /* for thousands of handshakes */
#define STALL_LIMIT	  (60 * MT_SEC)
/* Disturbed samples are taken again, up to this many times. */
#define MAX_TRIES 10
/* Largest relative difference between the stages' sum and the cycles measured around iterations. */
#define AGREEMENT 0.10

/* Counters that are reported per exchange, over all workers. */
struct counts {
	double turn_cycles, io, instructions, turns, idle_turns;
	double stages[MT_N_STAGES], segments_in, segments_out, misdelivered, handed_over;
	double replies, errors, peer_cycles, peer_io, peer_packets;
};

struct sample {
	double ns, cycles, instructions, io, per_second;
	double peer; /* cycles per packet of a stripped peer, without its ports */
};

static struct path_node b;
/* All connections are open, and have had calls. */
static bool warm;

/* A function of its own, so that a profiler can be limited to it (docs/performance.md). */
static __attribute__((noinline, noclone)) uint32_t measured_turn(struct mt_worker *w, uint64_t now)
{
	return mt_worker_turn(w, now, now);
}

/*
 * True while handshake threads work: they run in real time, so counted time must not pass faster.
 */
static bool shaking(const struct path_lane *l)
{
	const struct bench_tls_end *ends = &b.tls.ends[3 * (l - b.lanes)];

	if (!b.o.tls)
		return false;
	for (int i = 0; i < 3; i++)
		if (ends[i].lane->n_used)
			return true;
	return false;
}

static uint64_t time_of(struct path_lane *l)
{
	uint64_t now = PATH_BEGIN + l->passed;

	if (!l->o->turn_ns)
		return mt_clock_now(l->clock);
	if (shaking(l)) {
		sched_yield();
		l->passed += MT_MIN(l->o->turn_ns, (uint32_t)MT_USEC);
	} else {
		l->passed += l->o->turn_ns;
	}
	return now;
}

static void turn(struct path_lane *l)
{
	uint64_t now = time_of(l), t0, i0;

	if (l->o->churn)
		path_peer_connect(&l->client, &b.vip, l->o->conns);
	path_peer_turn(&l->client, now);
	i0 = bench_instructions_read(l->perf_fd);
	t0 = rte_rdtsc();
	TRAP(warm);
	l->idle_turns += measured_turn(l->worker, now) == 0;
	TRAP(false);
	l->turn_cycles += rte_rdtsc() - t0;
	l->instructions += bench_instructions_read(l->perf_fd) - i0;
	l->turns++;
	if (l->log)
		path_log_turn(l);
	if (l->flooded)
		path_flows_turn(l);
	path_peer_turn(&l->server, now);
}

/*
 * Starts the next round of queries when due, by the first lane's replies up to `until`; one round
 * at a time.
 */
static void watch(const struct path_lane *l, uint64_t until)
{
	static uint64_t due;
	uint64_t replies = path_peer_replies(&l->client);

	if (replies < due || replies > until || path_watch_owed(b.watch))
		return;
	path_watch_ask(b.watch);
	due = replies + b.o.watch_every;
}

/*
 * Runs the lanes until each has had `exchanges` more replies; with threads it gets a single lane.
 */
static void run_lanes(struct path_lane *lanes, uint32_t n, uint64_t exchanges)
{
	uint64_t start = mt_clock_now(lanes->clock), until[MT_WORKERS_MAX];
	bool more;

	for (uint32_t i = 0; i < n; i++)
		until[i] = path_peer_replies(&lanes[i].client) + exchanges;
	do {
		for (uint32_t k = 0; k < 64 * n; k++) {
			turn(&lanes[k % n]);
			if (b.watch)
				watch(lanes, until[0]);
		}
		more = b.watch && path_watch_owed(b.watch);
		for (uint32_t i = 0; i < n; i++)
			more |= path_peer_replies(&lanes[i].client) < until[i];
		if (more && mt_clock_now(lanes->clock) - start > STALL_LIMIT)
			path_die_stalled(lanes, "no progress: a stall in the path");
	} while (more);
}

static int run_thread(void *lane)
{
	run_lanes(lane, 1, b.o.exchanges);
	return 0;
}

static void run_all(void)
{
	if (!b.o.threads) {
		run_lanes(b.lanes, b.o.workers, b.o.exchanges);
		return;
	}
	for (uint32_t i = 0; i < b.o.workers; i++)
		if (rte_eal_remote_launch(run_thread, &b.lanes[i], i + 1))
			bench_die("a worker's core does not start", NULL);
	rte_eal_mp_wait_lcore();
}

static void connect_lane(struct path_lane *l)
{
	uint64_t start = mt_clock_now(l->clock);
	uint64_t limit = l->o->tls ? CONNECT_LIMIT_TLS : CONNECT_LIMIT;

	while (path_peer_connected(&l->client) < l->o->conns && !l->o->churn) {
		path_peer_connect(&l->client, &b.vip, 16);
		for (uint32_t i = 0; i < b.o.workers; i++)
			turn(&b.lanes[i]);
		if (mt_clock_now(l->clock) - start > limit)
			path_die_stalled(l, "not all connections came up");
	}
	/* The first answers show that the whole path works. */
	start = mt_clock_now(l->clock);
	while (path_peer_replies(&l->client) == 0) {
		for (uint32_t i = 0; i < b.o.workers; i++)
			turn(&b.lanes[i]);
		if (mt_clock_now(l->clock) - start > CONNECT_LIMIT)
			path_die_stalled(l, "connected, but nothing is answered");
	}
}

static void make_flows(struct path_lane *l)
{
	while (l->o->flows && path_flows_next(l))
		turn(l);
	l->flooded = l->o->flows > 0;
}

static struct counts read_counts(void)
{
	struct counts c = {0};

	for (uint32_t i = 0; i < b.o.workers; i++) {
		const struct path_lane *l = &b.lanes[i];
		const uint64_t *tcp = mt_tcp_counters(mt_worker_tcp(l->worker));
		const struct mt_worker_stats *st = mt_worker_stats(l->worker);

		c.turn_cycles += (double)l->turn_cycles;
		c.instructions += (double)l->instructions;
		c.turns += (double)l->turns;
		c.idle_turns += (double)l->idle_turns;
		for (int s = 0; s < MT_N_STAGES; s++)
			c.stages[s] += (double)st->cycles[s];
		c.segments_in += (double)tcp[MT_TCP_segments_in];
		c.segments_out += (double)tcp[MT_TCP_segments_out];
		c.misdelivered += (double)st->counters[MT_WORKER_rss_misdelivered];
		c.handed_over += (double)st->counters[MT_WORKER_handed_over];
		c.replies += (double)path_peer_replies(&l->client);
		c.errors += (double)(path_peer_errors(&l->client) + path_peer_errors(&l->server));
		c.peer_cycles += (double)(l->client.cycles + l->server.cycles);
		c.peer_packets +=
			(double)(path_peer_packets(&l->client) + path_peer_packets(&l->server));
		for (int w = 0; w < 2; w++) {
			c.io += (double)bench_wire_io_cycles(&b.wire[w], (uint16_t)i);
			c.peer_io += (double)bench_wire_peer_cycles(&b.wire[w], (uint16_t)i);
		}
	}
	return c;
}

/* Takes one sample; false: it was disturbed. */
static bool measure(struct sample *s)
{
	uint64_t disturbed = bench_disturbances(), start = mt_clock_now(&b.clock);
	struct counts from = read_counts(), to;
	double n;

	run_all();
	to = read_counts();
	n = to.replies - from.replies;
	s->cycles = (to.turn_cycles - from.turn_cycles) / n;
	s->ns = s->cycles * 1e9 / (double)rte_get_tsc_hz();
	s->instructions = (to.instructions - from.instructions) / n;
	s->io = (to.io - from.io) / (to.turn_cycles - from.turn_cycles);
	s->peer = (to.peer_cycles - from.peer_cycles - (to.peer_io - from.peer_io)) /
		  (to.peer_packets - from.peer_packets);
	s->per_second = n * 1e9 / (double)(mt_clock_now(&b.clock) - start);
	/* With counted time no disturbance affects the result. */
	return b.o.turn_ns || bench_disturbances() == disturbed;
}

/*
 * Reports the sums over all samples, including disturbed ones. Returns the relative difference
 * between the two cycle counts.
 */
static double report_counts(const struct counts *from, const struct counts *to)
{
	double n = to->replies - from->replies, sum = 0, mean;

	printf("\"stages\":{");
	for (int s = 0; s < MT_N_STAGES; s++) {
		double cycles = (to->stages[s] - from->stages[s]) / n;

		printf("%s\"%s\":%.0f", s ? "," : "", mt_worker_stage_names[s], cycles);
		sum += cycles;
	}
	mean = (to->turn_cycles - from->turn_cycles) / n;
	printf("},\"stages_sum\":%.0f,\"cycles_mean\":%.0f,\"exchanges\":%.0f,"
	       "\"segments_in\":%.2f,\"segments_out\":%.2f,\"exchanges_per_turn\":%.1f,",
		sum, mean, n, (to->segments_in - from->segments_in) / n,
		(to->segments_out - from->segments_out) / n, n / (to->turns - from->turns));
	printf("\"rss_misdelivered\":%.0f,\"handed_over\":%.0f,\"idle_share\":%.4f,"
	       "\"errors\":%.0f,",
		to->misdelivered - from->misdelivered, to->handed_over - from->handed_over,
		(to->idle_turns - from->idle_turns) / (to->turns - from->turns), to->errors);
	printf("\"peer_cycles\":%.0f,", (to->peer_cycles - from->peer_cycles) / n);
	if (to->peer_packets > 0)
		printf("\"peer_packets\":%.2f,\"peer_packets_ever\":%.0f,",
			(to->peer_packets - from->peer_packets) / n, to->peer_packets);
	return fabs(sum / mean - 1);
}

static int by_ns(const void *a, const void *c)
{
	double d = ((const struct sample *)a)->ns - ((const struct sample *)c)->ns;

	return d < 0 ? -1 : d > 0;
}

/*
 * Uses the minimum of all samples, because the peers' iterations are short and preemption distorts
 * some of them.
 */
static void report_peer(const struct sample *s, uint32_t n)
{
	double least = s[0].peer;

	for (uint32_t i = 1; i < n; i++)
		least = MT_MIN(least, s[i].peer);
	if (b.o.peer == PATH_STRIPPED)
		printf("\"peer_cycles_per_packet\":%.1f,", least);
}

static void report_options(void)
{
	const struct path_options *o = &b.o;

	printf("{\"bench\":\"path\",\"codec\":\"%s\",\"codec_file\":%s,\"link\":\"%s\","
	       "\"peer\":\"%s\",\"tls\":\"%s\",\"cipher\":\"%s\",\"mtu\":%u,\"size\":%u,"
	       "\"conns\":%u,\"outstanding\":%u,\"routes\":%u,\"policies\":%s,"
	       "\"multiplexing\":%s,\"workers\":%u,\"threads\":%s,\"churn\":%s,\"flows\":%u,",
		bench_codec_names[o->codec], o->codec_file ? "true" : "false",
		bench_link_names[o->link], path_peer_names[o->peer], path_tls_names[o->tls],
		o->tls ? bench_cipher_names[o->cipher] : "", o->mtu, o->size, o->conns,
		o->outstanding, o->routes, o->policies ? "true" : "false",
		o->multiplexing ? "true" : "false", o->workers, o->threads ? "true" : "false",
		o->churn ? "true" : "false", o->flows);
}

static double report(struct sample *s, uint32_t n, uint32_t rejected, const struct counts *from)
{
	const struct sample *min = &s[0], *med;
	struct counts to = read_counts();
	double off;

	qsort(s, n, sizeof(*s), by_ns);
	med = &s[n / 2];
	if (!b.o.json)
		printf("median %.0f ns = %.0f cycles an exchange (%.0f %% in ports), minimum %.0f "
		       "ns\n",
			med->ns, med->cycles, med->io * 100, min->ns);
	report_options();
	printf("\"samples\":%u,\"rejected\":%u,\"ns_min\":%.1f,\"ns_median\":%.1f,"
	       "\"cycles_min\":%.0f,\"cycles_median\":%.0f,",
		n, rejected, min->ns, med->ns, min->cycles, med->cycles);
	if (b.lanes[0].perf_fd >= 0 && !b.o.threads)
		printf("\"instructions\":%.0f,", med->instructions);
	else
		printf("\"instructions\":null,");
	off = report_counts(from, &to);
	report_peer(s, n);
	if (b.watch)
		printf("\"watch_rounds\":%u,", path_watch_rounds(b.watch));
	if (b.o.log)
		printf("\"logged\":%" PRIu64 ",\"log_lost\":%" PRIu64 ",", b.lanes[0].logged,
			mt_count_read(&b.lanes[0].log->lost));
	/* With threads the peers run on the same cores, so this rate includes all three. */
	if (b.o.threads)
		printf("\"with_peers_per_s\":%.0f,", med->per_second);
	printf("\"io_share\":%.3f,\"tsc_hz\":%" PRIu64 "}\n", med->io, rte_get_tsc_hz());
	return off;
}

static void tell_errors(void)
{
	fputs("path: exchanges failed; the figures are not to be used. What was counted:\n",
		stderr);
	for (uint32_t i = 0; i < b.o.workers; i++) {
		path_peer_tell(&b.lanes[i].client);
		path_peer_tell(&b.lanes[i].server);
		bench_tell(&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(b.lanes[i].worker)));
		bench_tell(
			&mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(b.lanes[i].worker)));
	}
}

int main(int argc, char **argv)
{
	uint32_t rejected = 0, n = 0;
	struct sample *samples, first;
	int rc = path_options_parse(argc, argv, &b.o);
	struct counts from;

	if (rc)
		return rc;
	/* Each run finds its addresses in the same slots. */
	mt_secret_hash_set_key((const uint8_t[16]){"measured nodes"});
	samples = calloc(b.o.samples, sizeof(*samples));
	if (!samples)
		bench_die("no memory", NULL);
	path_node_up(&b);
	for (uint32_t i = 0; i < b.o.workers; i++)
		connect_lane(&b.lanes[i]);
	for (uint32_t i = 0; i < b.o.workers; i++)
		make_flows(&b.lanes[i]);
	measure(&first);
	warm = true;
	/* A run goes on until its queries are answered; only those of samples count all exchanges. */
	if (b.o.watch)
		b.watch = path_watch_start(&b);
	from = read_counts();
	while (n < b.o.samples) {
		if (measure(&samples[n]) || rejected >= MAX_TRIES * b.o.samples)
			n++;
		else
			rejected++;
	}
	if (report(samples, n, rejected, &from) > AGREEMENT) {
		fprintf(stderr,
			"path: the stages' cycles do not add up to those around the turns\n");
		rc = 1;
	}
	fflush(stdout);
	if (read_counts().errors > 0) {
		tell_errors();
		rc = 1;
	}
	free(samples);
	path_watch_stop(b.watch);
	path_node_down(&b);
	return rc;
}
