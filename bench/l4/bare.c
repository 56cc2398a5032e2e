/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that NAT needs: header checks, a look-up in stages in a table of 64-byte buckets, the
 * rewrite of addresses, ports, TTL and checksums by what a 64-byte entry holds, the stations of the
 * next hop, the time of the last packet, and counters of flow and service. UDP over IPv4 only: no
 * states of TCP, no other family, no MTU, no limits, and one port, which takes the burst at once.
 */
#include "bench_l4.h"
#include "mt_table.h"

#include <string.h>
#include <sys/mman.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

struct entry {
	uint64_t ends, ports; /* key */
	uint64_t to_ends;     /* new addresses */
	uint32_t to_ports;
	uint16_t ip_sum, l4_sum;
	uint32_t seen, packets;
	uint16_t hop, service;
} __attribute__((aligned(64)));

#define ROUTER ENDPOINTS /* the hop of replies */

struct bare {
	struct mt_table table;
	struct entry *entries;
	size_t size;
	uint32_t n;
	struct rte_ether_hdr hops[ENDPOINTS + 1];
	struct {
		uint64_t packets[2], bytes;
	} services[2];
};

static inline uint32_t hash_of_key(uint64_t ends, uint64_t ports)
{
	uint64_t h = mt_fold64(ends ^ 0x2545f4914f6cdd1dull, ports ^ 0x9e3779b97f4a7c15ull);

	return (uint32_t)(h ^ h >> 32);
}

static uint32_t hash_of(void *arg, uint32_t i)
{
	const struct entry *e = &((struct bare *)arg)->entries[i];

	return hash_of_key(e->ends, e->ports);
}

static uint64_t ends_of(uint32_t src, uint32_t dst)
{
	return src | (uint64_t)dst << 32;
}

static uint32_t ports_of(uint16_t src, uint16_t dst)
{
	return src | (uint32_t)dst << 16;
}

static void add(struct bare *a, uint64_t ends, uint32_t ports, uint64_t to_ends, uint32_t to_ports,
	uint16_t hop)
{
	struct entry *e = &a->entries[a->n];
	uint64_t addrs = (uint64_t)(uint32_t)~ends + (uint32_t)(~ends >> 32) + (uint32_t)to_ends +
			 (to_ends >> 32);

	e->ends = ends;
	e->ports = ports;
	e->to_ends = to_ends;
	e->to_ports = to_ports;
	e->hop = hop;
	e->service = 1;
	e->ip_sum = bench_fold(addrs + (uint16_t)~rte_cpu_to_be_16(0x0100));
	e->l4_sum = bench_fold(addrs + (uint32_t)~ports + to_ports);
	MT_ASSERT(mt_table_insert(&a->table, hash_of(a, a->n), a->n) == 0);
	a->n++;
}

static void set_hops(struct bare *a, const struct bench_l4 *b)
{
	for (uint32_t i = 0; i <= ROUTER; i++) {
		struct rte_ether_hdr *hop = &a->hops[i];

		bench_station(
			i == ROUTER ? BENCH_ROUTER : bench_endpoint(i), hop->dst_addr.addr_bytes);
		memcpy(&hop->src_addr, &b->port.mac, sizeof(hop->src_addr));
		hop->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	}
}

struct bare *bare_open(const struct bench_l4 *b)
{
	struct bare *a = calloc(1, sizeof(*a));

	MT_ASSERT(a);
	set_hops(a, b);
	a->size = 2 * (size_t)b->flows * sizeof(struct entry);
	a->entries = mmap(NULL, a->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MT_ASSERT(a->entries != MAP_FAILED);
	(void)madvise(a->entries, a->size, MADV_HUGEPAGE);
	MT_ASSERT(mt_table_init(&a->table, 2 * b->flows, hash_of, a) == 0);
	(void)madvise(
		a->table.b, (size_t)a->table.max_buckets * sizeof(*a->table.b), MADV_HUGEPAGE);
	for (uint32_t i = 0; i < b->flows; i++) {
		const struct bench_flow f = bench_seen(b, i);
		uint16_t vip = rte_cpu_to_be_16(VIP_PORT);
		uint16_t ep = rte_cpu_to_be_16(bench_endpoint_port(b));
		uint32_t client = bench_client(i), endpoint = bench_endpoint(f.endpoint);

		add(a, ends_of(client, BENCH_VIP), ports_of(bench_client_port(i), vip),
			ends_of(f.source, endpoint), ports_of(f.port, ep), f.endpoint);
		add(a, ends_of(endpoint, f.source), ports_of(ep, f.port),
			ends_of(BENCH_VIP, client), ports_of(vip, bench_client_port(i)), ROUTER);
	}
	return a;
}

void bare_close(struct bare *a)
{
	mt_table_fini(&a->table);
	munmap(a->entries, a->size);
	free(a);
}

static inline bool checked(const struct rte_mbuf *m, uint64_t *ends, uint32_t *ports)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const void *);
	const struct rte_ipv4_hdr *ip = (const void *)(eth + 1);
	const struct rte_udp_hdr *udp = (const void *)(ip + 1);

	if (m->data_len < sizeof(*eth) + sizeof(*ip) + sizeof(*udp) ||
		eth->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
		ip->version_ihl != RTE_IPV4_VHL_DEF || ip->next_proto_id != IPPROTO_UDP ||
		(ip->fragment_offset & ~rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG)) ||
		ip->time_to_live <= 1 ||
		rte_be_to_cpu_16(ip->total_length) != m->pkt_len - sizeof(*eth) ||
		rte_be_to_cpu_16(udp->dgram_len) > m->pkt_len - sizeof(*eth) - sizeof(*ip))
		return false;
	memcpy(ends, &ip->src_addr, sizeof(*ends));
	memcpy(ports, udp, sizeof(*ports));
	return true;
}

static inline uint16_t adjusted(uint16_t sum, uint16_t delta)
{
	uint32_t s = (uint32_t)(uint16_t)~sum + delta;

	return (uint16_t) ~((s & 0xffff) + (s >> 16));
}

static inline void rewrite(struct bare *a, struct rte_mbuf *m, struct entry *e)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, void *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint16_t sum;

	*eth = a->hops[e->hop];
	memcpy(&ip->src_addr, &e->to_ends, sizeof(e->to_ends));
	ip->time_to_live--;
	ip->hdr_checksum = adjusted(ip->hdr_checksum, e->ip_sum);
	memcpy(udp, &e->to_ports, sizeof(e->to_ports));
	if (udp->dgram_cksum) {
		sum = adjusted(udp->dgram_cksum, e->l4_sum);
		udp->dgram_cksum = sum ? sum : UINT16_MAX;
	}
}

/* As the flow table has it, an odd entry is one of replies. */
static inline void count(struct bare *a, const struct rte_mbuf *m, uint32_t at, uint32_t tick)
{
	struct entry *e = &a->entries[at];

	e->seen = tick;
	e->packets++;
	a->services[e->service].packets[at & 1]++;
	a->services[e->service].bytes += m->pkt_len - sizeof(struct rte_ether_hdr);
}

void bare_forward(struct bare *a, struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_table_iter it[BURST];
	uint32_t hash[BURST], at[BURST], ports[BURST];
	uint64_t ends[BURST];
	uint32_t tick = (uint32_t)(b->now >> 20);

	for (uint16_t i = 0; i < n; i++) {
		if (mt_unlikely(!checked(pkts[i], &ends[i], &ports[i])))
			b->wrong++;
		hash[i] = hash_of_key(ends[i], ports[i]);
		mt_table_prefetch(&a->table, hash[i]);
	}
	for (uint16_t i = 0; i < n; i++) {
		at[i] = mt_table_first(&a->table, hash[i], &it[i]);
		if (mt_likely(at[i] != MT_TABLE_NONE))
			__builtin_prefetch(&a->entries[at[i]], 1);
	}
	for (uint16_t i = 0; i < n; i++) {
		while (at[i] != MT_TABLE_NONE &&
			(a->entries[at[i]].ends != ends[i] || a->entries[at[i]].ports != ports[i]))
			at[i] = mt_table_next(&a->table, &it[i]);
		if (mt_unlikely(at[i] == MT_TABLE_NONE)) {
			b->wrong++;
			continue;
		}
		count(a, pkts[i], at[i], tick);
		rewrite(a, pkts[i], &a->entries[at[i]]);
	}
	b->port.ops->tx(&b->port, 0, pkts, n);
}
