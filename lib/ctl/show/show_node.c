/* SPDX-License-Identifier: Apache-2.0 */
/* The node: version, ports, workers, workloads, neighbours. */
#include "mt_crypto.h"
#include "mt_ctl_load_priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_version.h>

static const char *state_str(enum mt_ctl_state s)
{
	static const char *const words[] = {
		[MT_CTL_STARTING] = "starting",
		[MT_CTL_SERVING] = "serving",
		[MT_CTL_DRAINING] = "draining",
	};

	return words[s];
}

json_t *mt_show_version(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	struct mt_ctl_ready ready;

	mt_ctl_ready(c, &ready);
	return mt_json_object(MT_M("version", MT_VERSION), MT_M("dpdk", rte_version()),
		MT_M("tls", mt_crypto_library()), MT_M("node", c->env.node ? c->env.node : ""),
		MT_M("state", state_str(c->state)), MT_M("ready", mt_ctl_answers_ready(c)),
		MT_M("waits_for", ready.ready ? 0 : ready.n),
		MT_M("configuration", s ? s->version : 0),
		MT_M("uptime_s", (c->now - c->started) / MT_SEC), MT_M("pid", getpid()));
}

/* Sum of the port's counters above severity INFO: errors and drops. */
static uint64_t port_trouble(const struct mt_port *p)
{
	uint64_t n = 0;

	for (uint32_t o = 0; o < mt_port_outcomes.n; o++)
		if (mt_port_outcomes.rows[o].severity != MT_SEV_INFO)
			n += mt_port_count(p, o);
	return n;
}

json_t *mt_show_ports(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < c->env.n_ports; i++) {
		const struct mt_port *p = c->env.ports[i];
		char mac[RTE_ETHER_ADDR_FMT_SIZE];
		json_t *row;

		rte_ether_format_addr(mac, sizeof(mac), &p->mac);
		row = mt_json_add(list, MT_M("name", p->name),
			MT_M("link", p->link_up ? "up" : "down"), MT_M("mac", mac),
			MT_M("mtu", p->mtu), MT_M("rx_queues", p->n_rxq),
			MT_M("tx_queues", p->n_txq));
		if (p->workers)
			mt_json_set(row, MT_M("rx_packets", mt_port_count(p, MT_PORT_rx_packets)),
				MT_M("rx_bytes", mt_port_count(p, MT_PORT_rx_bytes)),
				MT_M("tx_packets", mt_port_count(p, MT_PORT_tx_packets)),
				MT_M("tx_bytes", mt_port_count(p, MT_PORT_tx_bytes)),
				MT_M("dropped", port_trouble(p)));
		/* A port without counters (the simulator's) shows null. */
		mt_render_absent(row, "rx_packets rx_bytes tx_packets tx_bytes dropped");
	}
	return mt_json_object(MT_M("ports", list));
}

static json_int_t milliseconds(const uint64_t *cycles)
{
	return (json_int_t)(1e3 * (double)mt_count_read(cycles) / (double)rte_get_tsc_hz());
}

static json_t *wake_us(const uint64_t *counts, double share)
{
	return json_real((double)mt_hist_at(counts, MT_WAKE_BUCKETS, MT_WAKE_BITS, share) / 1e3);
}

/* Adds percentiles of how late sleeps end; null before the first sleep. */
static void add_wakes(json_t *row, const struct mt_worker_stats *st)
{
	uint64_t counts[MT_WAKE_BUCKETS], n;

	for (size_t i = 0; i < MT_ARRAY_LEN(counts); i++)
		counts[i] = mt_count_read(&st->wake[i]);
	n = mt_hist_count(counts, MT_WAKE_BUCKETS);
	mt_json_set(row, MT_M("wake_p50_us", n ? wake_us(counts, 0.5) : json_null()),
		MT_M("wake_p99_us", n ? wake_us(counts, 0.99) : json_null()));
}

json_t *mt_show_workers(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < c->env.n_workers; i++) {
		const struct mt_worker_stats *st = mt_worker_stats(c->env.workers[i]);
		uint32_t conns, half_open, time_wait;
		uint64_t cycles = 0;
		json_t *row = mt_json_add(list, MT_M("worker", i),
			MT_M("core", c->env.cores ? json_integer(c->env.cores[i]) : json_null()),
			MT_M("idle_percent", mt_ctl_percent(mt_count_read(&st->idle_ns),
						     mt_count_read(&st->run_ns))),
			MT_M("run_ms", mt_count_read(&st->run_ns) / MT_MSEC),
			MT_M("work_ms", milliseconds(&st->work_cycles)),
			MT_M("loops", mt_count_read(&st->counters[MT_WORKER_loops])),
			MT_M("busy_loops", mt_count_read(&st->counters[MT_WORKER_busy_loops])));

		mt_tcp_counts(mt_worker_tcp(c->env.workers[i]), &conns, &half_open, &time_wait);
		add_wakes(row, st);
		mt_json_set(row, MT_M("connections", conns), MT_M("half_open", half_open),
			MT_M("time_wait", time_wait));
		for (int k = 0; k < MT_N_STAGES; k++)
			cycles += mt_count_read(&st->cycles[k]);
		for (int k = 0; k < MT_N_STAGES; k++) {
			char name[48];

			snprintf(name, sizeof(name), "%s_percent", mt_worker_stage_names[k]);
			json_object_set_new(row, name,
				json_real(mt_ctl_percent(mt_count_read(&st->cycles[k]), cycles)));
		}
	}
	return mt_json_object(MT_M("workers", list));
}

/* ---- neighbours ----------------------------------------------------------------------------- */

/*
 * Addresses that may enter by workload ports only, with the principal by which policies know each.
 */
json_t *mt_show_workloads(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; s && i < s->n_bound; i++) {
		const struct mt_bound *b = &s->bound[i];
		char addr[MT_ADDR_STRLEN], mac[RTE_ETHER_ADDR_FMT_SIZE] = "";

		if (b->has_mac)
			rte_ether_format_addr(
				mac, sizeof(mac), (const struct rte_ether_addr *)b->mac);
		mt_json_add(list, MT_M("address", mt_addr_str(&b->addr, addr)),
			MT_M("port", mt_ctl_port_name(c, b->port)), MT_M("mac", mt_json_known(mac)),
			MT_M("principal", mt_json_known(b->principal)),
			MT_M("by", mt_json_known(b->by)), MT_M("reason", mt_json_known(b->why)));
	}
	return mt_json_object(MT_M("workloads", list));
}

const char *mt_ctl_port_name(const struct mt_ctl *c, uint16_t port)
{
	if (port < c->env.n_ports)
		return c->env.ports[port]->name;
	return c->env.guest_hub && port == c->env.n_ports ? "guests" : "?";
}

json_t *mt_show_neighbours(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_net_neigh_info info;
	json_t *list = json_array();
	uint32_t idx = 0;

	while (c->env.net && mt_net_neigh_next(c->env.net, &idx, &info)) {
		char mac[RTE_ETHER_ADDR_FMT_SIZE], addr[MT_ADDR_STRLEN];
		const char *port = mt_ctl_port_name(c, info.port);

		rte_ether_format_addr(mac, sizeof(mac), &info.mac);
		mt_json_add(list, MT_M("address", mt_addr_str(&info.addr, addr)),
			MT_M("port", port), MT_M("mac", mac), MT_M("state", info.state));
	}
	return mt_json_object(MT_M("neighbours", list));
}
