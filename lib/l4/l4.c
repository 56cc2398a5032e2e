/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's part: creation, the set in use, what is shown. */
#include "mt_l4_priv.h"

#include <string.h>
#include <sys/mman.h>

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "l4_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_l4_outcomes = {"l4", rows, MT_ARRAY_LEN(rows)};

static size_t entries_size(const struct mt_l4 *l)
{
	return (size_t)l->max * 2 * sizeof(*l->entries);
}

static size_t tcp_size(const struct mt_l4 *l)
{
	return (size_t)l->max * sizeof(*l->tcp);
}

/* Pages of memory: touched as flows are made, large ones where the kernel has them. */
void *l4_reserve(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, len, MADV_HUGEPAGE);
	return p;
}

struct mt_l4 *mt_l4_create(const struct mt_l4_worker_conf *c)
{
	size_t size = RTE_ALIGN_CEIL(sizeof(struct mt_l4), MT_CACHE_LINE);
	struct mt_l4 *l;

	MT_ASSERT(c->flows > 0 && c->flows <= MT_L4_FLOWS_MAX);
	l = aligned_alloc(MT_CACHE_LINE, size);
	if (!l)
		return NULL;
	memset(l, 0, size);
	l->worker = c->worker;
	l->steer = c->steer;
	l->net = c->net;
	l->max = c->flows;
	l->shares.max = l->max - MT_MAX(l->max / 4, 1u);
	l->secret[0] = c->secret[0];
	l->secret[1] = c->secret[1];
	mt_rand_seed(&l->rand, c->seed);
	l->hops[0].name = L4_HOPS; /* l4_entry.hop is 0 without a next hop */
	l->entries = l4_reserve(entries_size(l));
	l->tcp = l4_reserve(tcp_size(l));
	l->stats = calloc(MT_L4_SERVICES_MAX, sizeof(*l->stats));
	l->owners = calloc(MT_L4_SERVICES_MAX, sizeof(*l->owners));
	l->rules = calloc(MT_L4_RULES_MAX, sizeof(*l->rules));
	l->rule_owners = calloc(MT_L4_RULES_MAX, sizeof(*l->rule_owners));
	l->hints = calloc(1u << L4_HINT_BITS, sizeof(*l->hints));
	l->fragments = calloc(1, l4_fragments_size());
	if (!l->fragments || l4_fragments_init(l) || l4_health_init(l, c) ||
		l4_limits_init(l, c->limiter) || !l->entries || !l->tcp || !l->stats ||
		!l->owners || !l->rules || !l->rule_owners || !l->hints ||
		mt_table_init(&l->table, 2 * c->flows, l4_hash_of, l)) {
		mt_l4_destroy(l);
		return NULL;
	}
	(void)madvise(
		l->table.b, (size_t)l->table.max_buckets * sizeof(*l->table.b), MADV_HUGEPAGE);
	return l;
}

void l4_free_dropped(struct mt_l4 *l)
{
	mt_buf_free_bulk(l->dropped, l->n_dropped);
	l->n_dropped = 0;
}

void l4_count_lost(struct mt_l4 *l, enum mt_l4_outcome o, uint32_t service)
{
	struct mt_l4_stats *s = &l->stats[service];

	l4_count(l, o);
	if (o == MT_L4_no_route)
		mt_count(&s->no_route, 0);
	else if (o == MT_L4_neighbour_unknown)
		mt_count(&s->neighbour_unknown, 0);
	else if (o == MT_L4_ttl_exceeded)
		mt_count(&s->ttl_exceeded, 0);
	else if (o == MT_L4_table_full)
		mt_count(&s->table_full, 0);
}

void l4_lose(struct mt_l4 *l, struct rte_mbuf *m, enum mt_l4_outcome o, uint32_t service)
{
	l4_count_lost(l, o, service);
	l4_free(l, m);
}

void mt_l4_destroy(struct mt_l4 *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->n_parked; i++)
		mt_buf_free(l->parked[i].m);
	l4_free_dropped(l);
	if (l->fragments)
		l4_fragments_fini(l);
	free(l->fragments);
	l4_health_fini(l);
	l4_limits_fini(l);
	mt_table_fini(&l->table);
	if (l->entries)
		munmap(l->entries, entries_size(l));
	if (l->tcp)
		munmap(l->tcp, tcp_size(l));
	free(l->stats);
	free(l->owners);
	free(l->rules);
	free(l->rule_owners);
	free(l->hints);
	free(l);
}

uint64_t *mt_l4_counters(struct mt_l4 *l)
{
	return l->counters;
}

void mt_l4_service_stats(const struct mt_l4 *l, uint32_t service, struct mt_l4_stats *sum)
{
	const uint64_t *from = (const uint64_t *)&l->stats[service];
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += mt_count_read(&from[i]);
}

/* Lets services and networks that have another one's number begin to count. */
static void find_owners(struct mt_l4 *l, const struct mt_l4_set *set)
{
	for (uint32_t i = 0; set && i < set->n_services; i++) {
		const struct mt_l4_service *s = &set->services[i];
		uint64_t *counts = (uint64_t *)&l->stats[s->id];

		if (l->owners[s->id] == s->owner)
			continue;
		l->owners[s->id] = s->owner;
		for (size_t k = 0; k < sizeof(l->stats[0]) / sizeof(*counts); k++)
			__atomic_store_n(&counts[k], 0, __ATOMIC_RELAXED);
		l4_limits_forget(l, s->id);
	}
	for (uint32_t i = 0; set && i < set->n_rules; i++) {
		const struct mt_l4_rule *r = &set->rules[i];

		if (l->rule_owners[r->network.rule - 1] == r->owner)
			continue;
		l->rule_owners[r->network.rule - 1] = r->owner;
		__atomic_store_n(&l->rules[r->network.rule - 1], 0, __ATOMIC_RELAXED);
	}
}

uint64_t mt_l4_rule_packets(const struct mt_l4 *l, uint32_t number)
{
	return mt_count_read(&l->rules[number]);
}

uint32_t mt_l4_flows(const struct mt_l4 *l)
{
	return __atomic_load_n(&l->used, __ATOMIC_RELAXED);
}

void mt_l4_usage(const struct mt_l4 *l, struct mt_l4_usage *u)
{
	*u = (struct mt_l4_usage){.capacity = l->max,
		.flows = mt_l4_flows(l),
		.kept = __atomic_load_n(&l->shares.kept, __ATOMIC_RELAXED),
		.kept_max = l->shares.max};
}

uint64_t mt_l4_flow_bytes(void)
{
	/* Two entries with a state of TCP, and twice a way of a bucket that is 40 % full. */
	return 2 * sizeof(struct l4_entry) + sizeof(struct l4_tcp) +
	       2 * sizeof(struct mt_table_bucket) * 10 / (4 * MT_TABLE_WAYS);
}

/* The health of an endpoint has changed since the last call. */
static bool has_changed_health(struct mt_l4 *l)
{
	uint32_t changes = l->health ? __atomic_load_n(&l->health->changes, __ATOMIC_ACQUIRE) : 0;
	bool changed = changes != l->health_seen;

	l->health_seen = changes;
	return changed;
}

void mt_l4_begin(struct mt_l4 *l, uint64_t now, const struct mt_l4_set *set)
{
	l->now = now;
	l->tick = L4_TICKS(now);
	l->net_gen = mt_net_gen(l->net);
	l->set = set;
	if (mt_unlikely(has_changed_health(l)))
		l->to_check = l->fresh;
	l->limits = set ? set->limits : NULL;
	MT_ASSERT(!l->limits || l->limiting.shared);
	if (mt_likely(l->generation == (set ? set->generation : 0)))
		return;
	l->generation = set ? set->generation : 0;
	l->to_check = l->fresh;
	l->turns.passing = false;
	find_owners(l, set);
}

uint32_t mt_l4_places(const struct mt_l4 *l)
{
	return l->fresh;
}

bool mt_l4_flow_next(const struct mt_l4 *l, uint32_t *idx, uint32_t end, struct mt_l4_flow *f)
{
	for (; *idx < MT_MIN(l->fresh, end); (*idx)++) {
		const struct l4_entry *e = &l->entries[2 * *idx];
		bool kept = e[1].service & L4_KEPT;
		uint32_t idle;

		if (!(e->service & L4_USED))
			continue;
		idle = l->tick - e->seen;
		if (kept)
			idle = MT_MIN(idle, l->tick - e[1].seen);
		*f = (struct mt_l4_flow){.client = l4_key_src(&e[0].key),
			.vip = l4_key_dst(&e[0].key),
			.source = l4_key_dst(&e[1].key),
			.endpoint = l4_key_src(&e[1].key),
			.client_port = l4_key_sport(&e[0].key),
			.vip_port = l4_key_dport(&e[0].key),
			.source_port = l4_key_dport(&e[1].key),
			.endpoint_port = l4_key_sport(&e[1].key),
			.proto = l4_key_proto(&e[0].key),
			.mode = (uint8_t)l4_mode_of(e),
			.answered = e[1].service & L4_CONFIRMED,
			.kept = kept,
			.state = l4_key_proto(&e[0].key) == IPPROTO_TCP ? l->tcp[*idx].state
									: MT_L4_STATELESS,
			.timeout = (uint64_t)l4_timeout(l, *idx) << L4_TICK_SHIFT,
			.service = e->service & L4_SERVICE,
			.packets = {e[0].packets, kept ? e[1].packets : 0},
			.idle = (uint64_t)idle << L4_TICK_SHIFT};
		(*idx)++;
		return true;
	}
	return false;
}
