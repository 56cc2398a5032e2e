/* SPDX-License-Identifier: Apache-2.0 */
/* The node: version, ports, workers, workloads, neighbours. */
#include "mt_crypto.h"
#include "mt_ctl_priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_version.h>

/* Appends a row to a table; the caller adds its members. */
static json_t *add_row(json_t *list)
{
	json_t *row = json_object();

	json_array_append_new(list, row);
	return row;
}

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
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:i}", "version",
		MT_VERSION, "dpdk", rte_version(), "tls", mt_crypto_library(), "node",
		c->env.node ? c->env.node : "", "state", state_str(c->state), "ready",
		mt_ctl_answers_ready(c), "waits_for", (json_int_t)(ready.ready ? 0 : ready.n),
		"configuration", (json_int_t)(s ? s->version : 0), "uptime_s",
		(json_int_t)((c->now - c->started) / MT_SEC), "pid", (int)getpid());
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
		json_t *row = add_row(list);
		char mac[RTE_ETHER_ADDR_FMT_SIZE];

		rte_ether_format_addr(mac, sizeof(mac), &p->mac);
		json_object_set_new(row, "name", json_string(p->name));
		json_object_set_new(row, "link", json_string(p->link_up ? "up" : "down"));
		json_object_set_new(row, "mac", json_string(mac));
		json_object_set_new(row, "mtu", json_integer(p->mtu));
		json_object_set_new(row, "rx_queues", json_integer(p->n_rxq));
		json_object_set_new(row, "tx_queues", json_integer(p->n_txq));
		/* A port without counters (the simulator's) shows null. */
		if (!p->workers) {
			mt_render_absent(row, "rx_packets rx_bytes tx_packets tx_bytes dropped");
			continue;
		}
		json_object_set_new(row, "rx_packets",
			json_integer((json_int_t)mt_port_count(p, MT_PORT_rx_packets)));
		json_object_set_new(row, "rx_bytes",
			json_integer((json_int_t)mt_port_count(p, MT_PORT_rx_bytes)));
		json_object_set_new(row, "tx_packets",
			json_integer((json_int_t)mt_port_count(p, MT_PORT_tx_packets)));
		json_object_set_new(row, "tx_bytes",
			json_integer((json_int_t)mt_port_count(p, MT_PORT_tx_bytes)));
		json_object_set_new(row, "dropped", json_integer((json_int_t)port_trouble(p)));
	}
	return json_pack("{s:o}", "ports", list);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static json_int_t milliseconds(const uint64_t *cycles)
{
	return (json_int_t)(1e3 * (double)mt_count_read(cycles) / (double)rte_get_tsc_hz());
}

/* Adds percentiles of how late sleeps end; null before the first sleep. */
static void add_wakes(json_t *row, const struct mt_worker_stats *st)
{
	uint64_t counts[MT_WAKE_BUCKETS], n;

	for (size_t i = 0; i < MT_ARRAY_LEN(counts); i++)
		counts[i] = mt_count_read(&st->wake[i]);
	n = mt_hist_count(counts, MT_WAKE_BUCKETS);
	if (n) {
		json_object_set_new(row, "wake_p50_us",
			json_real((double)mt_hist_at(counts, MT_WAKE_BUCKETS, MT_WAKE_BITS, 0.5) /
				  1e3));
		json_object_set_new(row, "wake_p99_us",
			json_real((double)mt_hist_at(counts, MT_WAKE_BUCKETS, MT_WAKE_BITS, 0.99) /
				  1e3));
	}
	mt_render_absent(row, "wake_p50_us wake_p99_us");
}

json_t *mt_show_workers(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < c->env.n_workers; i++) {
		const struct mt_worker_stats *st = mt_worker_stats(c->env.workers[i]);
		uint32_t conns, half_open, time_wait;
		json_t *row = add_row(list);
		uint64_t cycles = 0;

		mt_tcp_counts(mt_worker_tcp(c->env.workers[i]), &conns, &half_open, &time_wait);
		json_object_set_new(row, "worker", json_integer(i));
		if (c->env.cores)
			json_object_set_new(row, "core", json_integer(c->env.cores[i]));
		mt_render_absent(row, "core");
		json_object_set_new(row, "idle_percent",
			json_real(
				percent(mt_count_read(&st->idle_ns), mt_count_read(&st->run_ns))));
		json_object_set_new(row, "run_ms",
			json_integer((json_int_t)(mt_count_read(&st->run_ns) / MT_MSEC)));
		json_object_set_new(row, "work_ms", json_integer(milliseconds(&st->work_cycles)));
		json_object_set_new(row, "loops",
			json_integer((json_int_t)mt_count_read(&st->counters[MT_WORKER_loops])));
		json_object_set_new(row, "busy_loops",
			json_integer(
				(json_int_t)mt_count_read(&st->counters[MT_WORKER_busy_loops])));
		add_wakes(row, st);
		json_object_set_new(row, "connections", json_integer(conns));
		json_object_set_new(row, "half_open", json_integer(half_open));
		json_object_set_new(row, "time_wait", json_integer(time_wait));
		for (int k = 0; k < MT_N_STAGES; k++)
			cycles += mt_count_read(&st->cycles[k]);
		for (int k = 0; k < MT_N_STAGES; k++) {
			char name[48];

			snprintf(name, sizeof(name), "%s_percent", mt_worker_stage_names[k]);
			json_object_set_new(row, name,
				json_real(percent(mt_count_read(&st->cycles[k]), cycles)));
		}
	}
	return json_pack("{s:o}", "workers", list);
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
		json_t *row = add_row(list);

		if (b->has_mac)
			rte_ether_format_addr(
				mac, sizeof(mac), (const struct rte_ether_addr *)b->mac);
		json_object_set_new(row, "address", json_string(mt_addr_str(&b->addr, addr)));
		json_object_set_new(row, "port",
			json_string(b->port < c->env.n_ports ? c->env.ports[b->port]->name : "?"));
		if (b->has_mac)
			json_object_set_new(row, "mac", json_string(mac));
		if (b->principal)
			json_object_set_new(row, "principal", mt_json_text(b->principal));
		if (b->by)
			json_object_set_new(row, "by", mt_json_text(b->by));
		if (b->why)
			json_object_set_new(row, "reason", mt_json_text(b->why));
		mt_render_absent(row, "mac principal by reason");
	}
	return json_pack("{s:o}", "workloads", list);
}

json_t *mt_show_neighbours(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_net_neigh_info info;
	json_t *list = json_array();
	uint32_t idx = 0;

	while (c->env.net && mt_net_neigh_next(c->env.net, &idx, &info)) {
		char mac[RTE_ETHER_ADDR_FMT_SIZE], addr[MT_ADDR_STRLEN];
		const char *port = info.port < c->env.n_ports ? c->env.ports[info.port]->name : "?";

		rte_ether_format_addr(mac, sizeof(mac), &info.mac);
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s}", "address", mt_addr_str(&info.addr, addr),
				"port", port, "mac", mac, "state", info.state));
	}
	return json_pack("{s:o}", "neighbours", list);
}
