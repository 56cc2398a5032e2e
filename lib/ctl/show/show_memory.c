/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: pools and slabs, what is left of the workers' budgets, and what happens at the next
 * threshold.
 */
#include "mt_capture.h"
#include "mt_ctl_priv.h"

#include <stdio.h>
#include <unistd.h>

static void add_pool(json_t *list, const char *kind, uint16_t worker, uint64_t size,
	uint64_t in_use, uint64_t low_water, uint64_t object_bytes)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-w%u", kind, worker);
	mt_json_add(list, MT_M("name", name), MT_M("size", size), MT_M("in_use", in_use),
		MT_M("low_water", low_water), MT_M("object_bytes", object_bytes),
		MT_M("bytes", size * object_bytes), MT_M("in_use_bytes", in_use * object_bytes));
}

/*
 * low_water: fewest free buffers since start. Workers sample their pools now and then, so that the
 * current use may exceed every sample.
 */
static void add_mempool(
	json_t *list, const char *kind, uint16_t worker, struct rte_mempool *mp, uint32_t low)
{
	uint32_t in_use = rte_mempool_in_use_count(mp);

	add_pool(
		list, kind, worker, mp->size, in_use, MT_MIN(low, mp->size - in_use), mp->elt_size);
}

static void add_slabs(json_t *list, struct mt_worker *w)
{
	const struct mt_slab *slabs[32];
	uint32_t n = mt_tcp_slabs(mt_worker_tcp(w), slabs, MT_ARRAY_LEN(slabs));

	n += mt_proxy_slabs(mt_worker_proxy(w), slabs + n, MT_ARRAY_LEN(slabs) - n);
	for (uint32_t i = 0; i < n; i++)
		add_pool(list, slabs[i]->name, mt_worker_index(w), slabs[i]->cap, slabs[i]->in_use,
			slabs[i]->cap - slabs[i]->peak, slabs[i]->size);
}

/* Resident memory of the process in bytes; 0 if the kernel does not report it. */
static uint64_t resident(void)
{
	unsigned long long total, rss = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &total, &rss) != 2)
		rss = 0;
	fclose(f);
	return rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * What a worker does below each share of free data buffers: the thresholds of lib/tcp and lib/proxy
 * in words. A buffer counts as a whole, however few of its bytes are used.
 */
static const struct {
	uint32_t below; /* percent free */
	const char *words;
} marks[] = {
	{10, "copies short payload out, drops other payload unacknowledged, still takes every ACK"},
	{20, "advertises no new window, drops what came out of order, refuses new exchanges"},
	{30, "compacts sparse buffers, lets no window grow"},
	{101, "no limit is applied"},
};

static json_t *budget_row(struct mt_worker *w)
{
	const struct mt_pools *p = mt_worker_pools(w);
	uint32_t size = p->data->size,
		 free = size - MT_MIN(rte_mempool_in_use_count(p->data), size);
	uint32_t percent_free = size ? (uint32_t)((uint64_t)free * 100 / size) : 0, i = 0;

	while (percent_free >= marks[i].below)
		i++;
	return mt_json_object(MT_M("worker", mt_worker_index(w)),
		MT_M("data_bytes", (json_int_t)size * p->data->elt_size),
		MT_M("left_bytes", (json_int_t)free * p->data->elt_size),
		MT_M("left_percent", percent_free),
		MT_M("next_mark_percent", i ? (int)marks[i - 1].below : 0),
		MT_M("now", marks[i].words),
		MT_M("at_the_next_mark", i ? marks[i - 1].words
					   : "no buffer is left: packets are dropped and counted"));
}

static json_t *sources_of(const struct mt_ctl *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->env.n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(c->env.sources[i], &info);
		mt_json_add(list, MT_M("source", info.name), MT_M("resource_bytes", info.bytes));
	}
	return list;
}

json_t *mt_show_memory(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array(), *budgets = json_array(), *all;
	uint64_t used;

	for (uint16_t i = 0; i < c->env.n_workers; i++) {
		struct mt_worker *w = c->env.workers[i];
		const struct mt_pools *p = mt_worker_pools(w);

		add_mempool(list, "data", i, p->data, p->data_low);
		add_mempool(list, "control", i, p->ctrl, p->ctrl_low);
		add_slabs(list, w);
		if (mt_ctl_capture_used(c, i, &used))
			add_pool(list, "capture", i, MT_CAPTURE_RING, used, MT_CAPTURE_RING - used,
				1);
		json_array_append_new(budgets, budget_row(w));
	}
	all = mt_json_object(MT_M("memory", c->env.memory ? c->env.memory : ""),
		MT_M("resident_bytes", resident()), MT_M("pools", list), MT_M("budgets", budgets),
		MT_M("sources", sources_of(c)));
	mt_show_accounts(c, all);
	return all;
}
