/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_counters.h"
#include "bench_l4.h"
#include "mt_secret_hash.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>

/* Packets of a loop in a round: short enough that some rounds are not interrupted. */
#define PACKETS 8192u

static const char usage[] = "usage: l4 [--flows N] [--mode MODE] [--size BYTES|imix] [--limits]\n"
			    "          [--rounds N] [--link own|null|ring|memif] [--json]\n"
			    "       l4 --flood syn|segment|denied|ports [--flows N] [--bursts N]\n"
			    "       l4 --count macswap|bare|l4|limited [--bursts N] ...\n"
			    "       l4 --changes N [--flows N] [--mode MODE]\n"
			    "MODE: nat, nat-full, dsr, tunnel-ipip, tunnel-gue.\n"
			    "Prints cycles and instructions a packet, the least of all rounds.\n";

static const char *const modes[MT_L4_MODES] = {[MT_L4_NAT] = "nat",
	[MT_L4_NAT_FULL] = "nat-full",
	[MT_L4_DSR] = "dsr",
	[MT_L4_IPIP] = "tunnel-ipip",
	[MT_L4_GUE] = "tunnel-gue"};

static const char *const links[] = {
	[LINK_OWN] = "own", [LINK_NULL] = "null", [LINK_RING] = "ring", [LINK_MEMIF] = "memif"};

enum loop { GEN, MACSWAP, BARE, L4, LIMITED, LOOPS };

static const char *const loops[LOOPS] = {"gen", "macswap", "bare", "l4", "limited"};

struct result {
	double cycles[LOOPS], instructions[LOOPS]; /* a packet; instructions 0: not counted */
};

static void macswap(struct bench_l4 *b, struct rte_mbuf **pkts)
{
	for (int i = 0; i < BURST; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(pkts[i], struct rte_ether_hdr *);
		struct rte_ether_addr us = eth->dst_addr;

		eth->dst_addr = eth->src_addr;
		eth->src_addr = us;
	}
	b->port.ops->tx(&b->port, 0, pkts, BURST);
}

static void step(struct bench_l4 *b, struct bare *a, enum loop k, struct rte_mbuf **pkts)
{
	switch (k) {
	case MACSWAP:
		macswap(b, pkts);
		break;
	case BARE:
		bare_forward(a, b, pkts, BURST);
		break;
	case L4:
	case LIMITED:
		bench_begin(b, 10 * MT_USEC);
		bench_forward(b, pkts, BURST);
		mt_l4_tick(b->l4);
		break;
	default:
		bench_return(b, pkts, BURST);
	}
}

static void run(struct bench_l4 *b, struct bare *a, enum loop k)
{
	for (uint32_t i = 0; i < PACKETS / BURST; i++) {
		struct rte_mbuf *pkts[BURST];

		bench_burst(b, pkts);
		step(b, a, k, pkts);
	}
}

/* Of this, callgrind counts instructions (cost.py). */
void measured_burst(struct bench_l4 *b, struct bare *a, enum loop k, struct rte_mbuf **pkts);

mt_noinline void measured_burst(
	struct bench_l4 *b, struct bare *a, enum loop k, struct rte_mbuf **pkts)
{
	step(b, a, k, pkts);
}

/* A forwarding loop once, each packet checked. */
static void verify(struct bench_l4 *b, struct bare *a, enum loop k)
{
	uint64_t before = b->sent;

	b->form = k == BARE ? BENCH_BARE : b->mode;
	b->verify = true;
	run(b, a, k);
	b->verify = false;
	b->wrong += before + PACKETS - b->sent; /* packets that did not leave */
}

/* Runs one loop, without the generator in what is counted. */
static void count(struct bench_l4 *b, struct bare *a, enum loop k, uint32_t bursts)
{
	if (k == LIMITED)
		bench_limit(b);
	for (uint32_t i = 0; i < bursts; i++) {
		struct rte_mbuf *pkts[BURST];

		bench_burst(b, pkts);
		measured_burst(b, a, k, pkts);
	}
	if (k != MACSWAP)
		verify(b, a, k);
	printf("{\"bench\": \"l4_count\", \"loop\": \"%s\", \"packets\": %u, \"wrong\": %" PRIu64
	       "}\n",
		loops[k], bursts * BURST, b->wrong);
}

/* The least of a round's figure and those before; 0 is no figure. */
static void least(double *of, double v)
{
	if (v > 0 && (*of == 0 || v < *of))
		*of = v;
}

static void measure(struct bench_l4 *b, struct bare *a, int fd, uint32_t rounds, enum loop first,
	enum loop end, struct result *r)
{
	for (uint32_t i = 0; i < rounds; i++) {
		for (enum loop k = first; k < end; k++) {
			uint64_t counted = bench_instructions_read(fd), began = rte_rdtsc();

			run(b, a, k);
			least(&r->cycles[k], (double)(rte_rdtsc() - began) / PACKETS);
			least(&r->instructions[k],
				(double)(bench_instructions_read(fd) - counted) / PACKETS);
		}
	}
}

/* Cycles of the flow table's upkeep in a second without packets. */
static double upkeep(struct bench_l4 *b)
{
	uint64_t cycles = 0;

	for (uint64_t ns = 0; ns < MT_SEC; ns += 10 * MT_USEC) {
		uint64_t began;

		bench_begin(b, 10 * MT_USEC);
		began = rte_rdtsc();
		mt_l4_tick(b->l4);
		cycles += rte_rdtsc() - began;
	}
	return (double)cycles;
}

/* What a change of endpoints a second costs a worker: the least of n. */
static void measure_changes(struct bench_l4 *b, uint32_t n)
{
	double without = 0, with = 0;

	for (uint32_t i = 0; i < n; i++) {
		least(&without, upkeep(b));
		bench_change(b);
		least(&with, upkeep(b));
		/* The sweep may end late. */
		(void)upkeep(b);
	}
	printf("{\"bench\": \"l4_changes\", \"flows\": %u, \"left\": %u, \"mode\": \"%s\", "
	       "\"cycles_a_flow\": %.1f, \"percent\": %.2f, \"percent_without\": %.2f}\n",
		b->flows, mt_l4_flows(b->l4), modes[b->mode], (with - without) / b->flows,
		100 * with / (double)rte_get_tsc_hz(), 100 * without / (double)rte_get_tsc_hz());
}

static void print(const struct bench_l4 *b, const struct result *r, double fill, bool json)
{
	const char *mode = modes[b->mode];

	if (json) {
		printf("{\"bench\": \"l4\", \"flows\": %u, \"mode\": \"%s\", \"size\": %u, "
		       "\"link\": \"%s\", "
		       "\"gen_cycles\": %.1f, \"macswap_cycles\": %.1f, \"bare_cycles\": %.1f, "
		       "\"cycles\": %.1f, \"gen_instructions\": %.1f, "
		       "\"macswap_instructions\": %.1f, \"bare_instructions\": %.1f, "
		       "\"instructions\": %.1f, \"limited_cycles\": %.1f, "
		       "\"limited_instructions\": %.1f, \"new_flow_cycles\": %.0f, "
		       "\"wrong\": %" PRIu64 "}\n",
			b->flows, mode, b->size, links[b->link], r->cycles[GEN], r->cycles[MACSWAP],
			r->cycles[BARE], r->cycles[L4], r->instructions[GEN],
			r->instructions[MACSWAP], r->instructions[BARE], r->instructions[L4],
			r->cycles[LIMITED], r->instructions[LIMITED], fill, b->wrong);
		return;
	}
	printf("%u flows, %s, cycles (instructions) a packet: generator %.1f (%.1f), macswap %.1f "
	       "(%.1f), bare loop %.1f (%.1f), lib/l4 %.1f (%.1f); a new flow with its reply %.0f "
	       "cycles; %" PRIu64 " packets wrong\n",
		b->flows, mode, r->cycles[GEN], r->instructions[GEN], r->cycles[MACSWAP],
		r->instructions[MACSWAP], r->cycles[BARE], r->instructions[BARE], r->cycles[L4],
		r->instructions[L4], fill, b->wrong);
	if (r->cycles[LIMITED] > 0)
		printf("with limits and lists of clients %.1f (%.1f)\n", r->cycles[LIMITED],
			r->instructions[LIMITED]);
}

static const struct option options[] = {{"flows", required_argument, NULL, 'f'},
	{"mode", required_argument, NULL, 'm'}, {"size", required_argument, NULL, 's'},
	{"rounds", required_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
	{"limits", no_argument, NULL, 'l'}, {"flood", required_argument, NULL, 'F'},
	{"bursts", required_argument, NULL, 'b'}, {"count", required_argument, NULL, 'c'},
	{"link", required_argument, NULL, 'L'}, {"changes", required_argument, NULL, 'C'}, {0}};

struct args {
	uint32_t rounds, bursts, changes;
	enum loop count; /* GEN: measure all */
	bool json, limits, bad;
};

static enum bench_flood flood_of(const char *name)
{
	static const char *const names[] = {"", "syn", "segment", "denied", "ports"};

	for (enum bench_flood f = FLOOD_SYN; f <= FLOOD_PORTS; f++)
		if (strcmp(name, names[f]) == 0)
			return f;
	return FLOOD_NONE;
}

/* Packets of the whole flood, and how many of them met what the flood is for. */
static void print_flood(const struct bench_l4 *b)
{
	static const enum mt_l4_outcome meant[] = {[FLOOD_SYN] = MT_L4_flows_made,
		[FLOOD_SEGMENT] = MT_L4_no_connection,
		[FLOOD_DENIED] = MT_L4_source_denied,
		[FLOOD_PORTS] = MT_L4_flows_made};
	const uint64_t *n = mt_l4_counters(b->l4);

	printf("{\"bench\": \"l4_flood\", \"flows\": %u, \"packets\": %" PRIu64
	       ", \"as_meant\": %" PRIu64 ", \"evicted\": %" PRIu64 "}\n",
		b->flows,
		n[MT_L4_forwarded] + n[MT_L4_no_connection] + n[MT_L4_source_denied] +
			n[MT_L4_table_full],
		n[meant[b->flood]], n[MT_L4_flows_evicted]);
}

static enum loop loop_of(const char *name)
{
	for (enum loop k = MACSWAP; k < LOOPS; k++)
		if (strcmp(name, loops[k]) == 0)
			return k;
	return GEN;
}

static bool is_mode(struct bench_l4 *b, const char *name)
{
	for (int i = 0; i < MT_L4_MODES; i++)
		if (strcmp(name, modes[i]) == 0) {
			b->mode = (enum mt_l4_mode)i;
			return true;
		}
	return false;
}

static bool is_link(struct bench_l4 *b, const char *name)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(links); i++)
		if (strcmp(name, links[i]) == 0) {
			b->link = (enum bench_link)i;
			return true;
		}
	return false;
}

static void read_args(int argc, char **argv, struct bench_l4 *b, struct args *a)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'f')
			b->flows = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 's')
			b->size = (uint16_t)strtoul(optarg, NULL, 0); /* "imix": 0 */
		else if (c == 'r')
			a->rounds = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'b')
			a->bursts = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'C')
			a->changes = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'F')
			a->bad |= !(b->flood = flood_of(optarg));
		else if (c == 'c')
			a->bad |= (a->count = loop_of(optarg)) == GEN;
		else if (c == 'j')
			a->json = true;
		else if (c == 'l')
			a->limits = true;
		else if (c == 'L')
			a->bad |= !is_link(b, optarg);
		else if (c == 'm')
			a->bad |= !is_mode(b, optarg);
		else
			a->bad = true;
	}
	if (b->flood == FLOOD_PORTS)
		b->mode = MT_L4_NAT_FULL;
	if (b->flows == 0 || b->flows > 12000000 || (b->size && (b->size < 64 || b->size > 1514)))
		a->bad = true;
}

static void measure_all(
	struct bench_l4 *b, struct bare *a, const struct args *args, struct result *r)
{
	int fd = bench_instructions_open();

	verify(b, a, BARE);
	verify(b, a, L4);
	measure(b, a, fd, args->rounds, GEN, LIMITED, r);
	if (!args->limits)
		return;
	bench_limit(b);
	verify(b, a, LIMITED);
	measure(b, a, fd, args->rounds, LIMITED, LOOPS, r);
}

int main(int argc, char **argv)
{
	static struct bench_l4 b = {.flows = 100000, .size = 64};
	struct args args = {.rounds = 101, .bursts = 1000};
	struct result r = {0};
	struct bare *a;
	double fill;

	read_args(argc, argv, &b, &args);
	if (args.bad || optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	/* Each run finds its addresses in the same slots. */
	mt_secret_hash_set_key((const uint8_t[16]){"measured nodes"});
	bench_open(&b);
	if (b.flood) {
		bench_flood(&b, args.bursts);
		print_flood(&b);
		bench_close(&b);
		return 0;
	}
	fill = bench_fill(&b);
	if (args.changes) {
		measure_changes(&b, args.changes);
		bench_close(&b);
		return 0;
	}
	a = bare_open(&b);
	if (args.count != GEN) {
		count(&b, a, args.count, args.bursts);
	} else {
		measure_all(&b, a, &args, &r);
		print(&b, &r, fill, args.json);
	}
	if (b.wrong)
		bench_tell(&mt_l4_outcomes, mt_l4_counters(b.l4));
	bare_close(a);
	bench_close(&b);
	return b.wrong != 0;
}
