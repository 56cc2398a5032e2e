/* SPDX-License-Identifier: Apache-2.0 */
/* Load of the node and of its stages, use of its tables, and which limit will be reached first. */
#include "mt_ctl_load_priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_version.h>

/* null if nothing was counted yet, because there is no mean. */
static json_t *mean(uint64_t sum, uint64_t n)
{
	return n ? json_integer((json_int_t)(sum / n)) : json_null();
}

/* Packets that a worker received from all ports. */
static uint64_t packets_of(const struct mt_ctl *c, uint16_t worker)
{
	uint64_t n = 0;

	for (uint16_t i = 0; i < c->env.n_ports; i++) {
		const struct mt_port *p = c->env.ports[i];

		if (p->workers && worker < p->n_workers)
			n += mt_count_read(&p->workers[worker].counters[MT_PORT_rx_packets]);
	}
	return n;
}

/* Requests that a worker received for services of the current configuration. */
static uint64_t requests_of(const struct mt_ctl *c, uint16_t worker)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	uint64_t n = 0;

	for (uint32_t i = 0; s && i < s->n_services; i++) {
		const struct mt_proxy *p = mt_worker_proxy(c->env.workers[worker]);
		const struct mt_service *svc = s->services[i];
		const struct mt_service_stats *st = mt_proxy_service_stats(p, svc->index);

		if (st && mt_proxy_service_id(p, svc->index) == svc->id)
			n += mt_count_read(&st->requests);
	}
	return n;
}

json_t *mt_show_stages(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array(), *totals = json_array();

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_worker_stats *st = mt_worker_stats(c->env.workers[w]);
		uint64_t packets = packets_of(c, w), requests = requests_of(c, w), cycles = 0;
		uint64_t busy = mt_count_read(&st->counters[MT_WORKER_busy_loops]);

		for (int k = 0; k < MT_N_STAGES; k++)
			cycles += mt_count_read(&st->cycles[k]);
		for (int k = 0; k < MT_N_STAGES; k++) {
			uint64_t n = mt_count_read(&st->cycles[k]);

			mt_json_add(list, MT_M("worker", w),
				MT_M("stage", mt_worker_stage_names[k]),
				MT_M("percent", mt_ctl_percent(n, cycles)), MT_M("cycles", n),
				MT_M("cycles_per_packet", mean(n, packets)),
				MT_M("cycles_per_request", mean(n, requests)));
		}
		cycles = mt_count_read(&st->work_cycles);
		mt_json_add(totals, MT_M("worker", w), MT_M("packets", packets),
			MT_M("requests", requests),
			MT_M("packets_per_busy_loop", busy ? (double)packets / (double)busy : 0.0),
			MT_M("sleeps", mt_count_read(&st->counters[MT_WORKER_sleeps])),
			MT_M("work_cycles_per_packet", mean(cycles, packets)),
			MT_M("work_cycles_per_request", mean(cycles, requests)));
	}
	return mt_json_object(MT_M("stages", list), MT_M("workers", totals));
}

/* ---- the node ------------------------------------------------------------------------------- */

json_t *mt_show_node(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	uint64_t busy = 0, run = 0, requests = 0;
	uint32_t conns = 0, up = 0;
	char host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_worker_stats *st = mt_worker_stats(c->env.workers[w]);
		uint32_t n, half_open, time_wait;

		mt_tcp_counts(mt_worker_tcp(c->env.workers[w]), &n, &half_open, &time_wait);
		conns += n;
		requests += requests_of(c, w);
		run += mt_count_read(&st->run_ns) / MT_USEC;
		busy += (uint64_t)(1e6 * (double)mt_count_read(&st->work_cycles) /
				   (double)rte_get_tsc_hz());
	}
	for (uint16_t i = 0; i < c->env.n_ports; i++)
		up += c->env.ports[i]->link_up;
	return mt_json_object(MT_M("node", c->env.node ? c->env.node : ""), MT_M("host", host),
		MT_M("version", MT_VERSION), MT_M("dpdk", rte_version()),
		MT_M("uptime_s", (c->now - c->started) / MT_SEC), MT_M("ports", c->env.n_ports),
		MT_M("ports_up", up), MT_M("workers", c->env.n_workers),
		MT_M("sources", c->env.n_sources + c->env.n_dirs),
		MT_M("busy_percent", mt_ctl_percent(busy, run)), MT_M("connections", conns),
		MT_M("requests", requests), MT_M("services", s ? s->n_services : 0),
		MT_M("clusters", s ? s->n_clusters : 0),
		MT_M("memory", c->env.memory ? c->env.memory : ""));
}

/* ---- offloads of ports ---------------------------------------------------------------------- */

static void offload(
	json_t *list, const struct mt_port *p, const char *name, bool on, const char *without)
{
	mt_json_add(list, MT_M("port", p->name), MT_M("offload", name), MT_M("on", on),
		MT_M("meaning", on ? "the device does it" : without));
}

json_t *mt_show_offloads(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < c->env.n_ports; i++) {
		const struct mt_port *p = c->env.ports[i];
		const struct mt_port_caps *k = &p->caps;

		offload(list, p, "rss", k->rss,
			"workers hand packets to the one that owns their flow");
		offload(list, p, "rx-checksum", k->rx_cksum, "workers check sums of what arrives");
		offload(list, p, "tx-checksum-ip", k->tx_cksum_ip,
			"workers write sums of IPv4 headers");
		offload(list, p, "tx-checksum-tcp", k->tx_cksum_tcp,
			"workers write sums of segments");
		offload(list, p, "tx-chains", k->tx_chains, "segments are made of one buffer each");
		offload(list, p, "rx-vlan-strip", k->rx_vlan_strip, "workers take VLAN tags off");
	}
	return mt_json_object(MT_M("offloads", list));
}

/* ---- tables and capacity -------------------------------------------------------------------- */

/* Setting that enlarges this slab. */
static const char *setting_of(const char *slab)
{
	static const struct {
		const char *part, *setting;
	} t[] = {{"connection", "spec.connections"}, {"stream", "spec.connections"},
		{"upstream", "spec.connections"}, {"exchange", "spec.connections"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		if (strstr(slab, t[i].part))
			return t[i].setting;
	return "spec.memory.mb";
}

/* Adds the tables that are not slabs. They have no peak. */
static uint32_t other_tables(
	const struct mt_ctl *c, uint16_t w, struct mt_table_use *uses, uint32_t max)
{
	const struct mt_l4 *l4 = mt_worker_l4(c->env.workers[w]);
	struct mt_l4_usage flows;
	uint32_t n, size, k = 0;

	if (w == 0 && c->env.net && k < max) {
		n = mt_net_neigh_in_use(c->env.net, &size);
		uses[k++] = (struct mt_table_use){
			"neighbours", "fewer hosts on the links", w, n, n, size};
	}
	/* Other flows give way to new ones, so that their places are always used sooner or later. */
	if (l4 && k < max) {
		mt_l4_usage(l4, &flows);
		uses[k++] = (struct mt_table_use){
			"kept flows", "spec.flows", w, flows.kept, flows.kept, flows.kept_max};
	}
	return k;
}

uint32_t mt_table_uses(
	const struct mt_ctl *c, uint16_t index, struct mt_table_use *uses, uint32_t max)
{
	struct mt_worker *w = c->env.workers[index];
	const struct mt_pools *p = mt_worker_pools(w);
	const struct mt_slab *slabs[32];
	uint32_t n = mt_tcp_slabs(mt_worker_tcp(w), slabs, MT_ARRAY_LEN(slabs)), k = 0;
	struct rte_mempool *pools[] = {p->data, p->ctrl};
	uint32_t low[] = {p->data_low, p->ctrl_low};

	n += mt_proxy_slabs(mt_worker_proxy(w), slabs + n, MT_ARRAY_LEN(slabs) - n);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(pools) && k < max; i++) {
		uint32_t in_use = rte_mempool_in_use_count(pools[i]);

		uses[k++] = (struct mt_table_use){i ? "control buffers" : "data buffers",
			"spec.memory.mb", mt_worker_index(w), in_use,
			MT_MAX(in_use, pools[i]->size - MT_MIN(low[i], pools[i]->size)),
			pools[i]->size};
	}
	for (uint32_t i = 0; i < n && k < max; i++)
		uses[k++] = (struct mt_table_use){slabs[i]->name, setting_of(slabs[i]->name),
			mt_worker_index(w), slabs[i]->in_use, slabs[i]->peak, slabs[i]->cap};
	return k + other_tables(c, index, uses + k, max - k);
}

json_t *mt_show_tables(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		struct mt_table_use uses[MT_TABLE_USES];
		uint32_t n = mt_table_uses(c, w, uses, MT_ARRAY_LEN(uses));

		for (uint32_t i = 0; i < n; i++)
			mt_json_add(list, MT_M("table", uses[i].table),
				MT_M("worker", uses[i].worker), MT_M("in_use", uses[i].in_use),
				MT_M("most", uses[i].peak), MT_M("size", uses[i].size),
				MT_M("percent", mt_ctl_percent(uses[i].in_use, uses[i].size)));
	}
	return mt_json_object(MT_M("tables", list));
}

/* The worker's fullest table, by its peak since start. */
static struct mt_table_use fullest(const struct mt_ctl *c, uint16_t w)
{
	struct mt_table_use uses[MT_TABLE_USES], most = {0};
	uint32_t n = mt_table_uses(c, w, uses, MT_ARRAY_LEN(uses));

	for (uint32_t i = 0; i < n; i++)
		if (!most.size || uses[i].peak * most.size > most.peak * uses[i].size)
			most = uses[i];
	return most;
}

double mt_worker_busy(const struct mt_ctl *c, uint16_t w, uint64_t *run_ns)
{
	uint64_t cycles;
	double busy_ns;

	mt_recent_worker(c, w, run_ns, &cycles);
	busy_ns = 1e9 * (double)cycles / (double)rte_get_tsc_hz();
	return *run_ns ? MT_MIN(1.0, busy_ns / (double)*run_ns) : 0;
}

json_t *mt_show_capacity(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < c->env.n_workers; i++) {
		uint64_t run_ns;
		double busy = 100 * mt_worker_busy(c, i, &run_ns);
		struct mt_table_use most = fullest(c, i);
		double full = mt_ctl_percent(most.peak, most.size);
		bool cpu = busy >= full;

		mt_json_add(list, MT_M("worker", i), MT_M("busy_percent", busy),
			MT_M("cpu_left_percent", 100 - busy), MT_M("of_last_s", run_ns / MT_SEC),
			MT_M("fullest_table", most.table ? most.table : ""),
			MT_M("fullest_percent", full),
			MT_M("first_limit", cpu ? "time of the worker" : most.table),
			MT_M("remedy", cpu ? "spec.workers" : most.setting));
	}
	return mt_json_object(MT_M("capacity", list));
}
