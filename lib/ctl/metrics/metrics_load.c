/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics for alerts: how much of a worker's time and of its tables is used, and packets dropped.
 * Drops are the counters of five libraries as one family with the reason as a label, because a
 * query cannot sum metrics of different names. Its other label, the cause, separates losses from
 * packets that a link always has for others.
 */
#include "mt_ctl_load_priv.h"
#include "mt_ctl_metrics_priv.h"
#include "mt_l4.h"

#include <stdio.h>

static void collect_busy(struct mt_collect *k)
{
	for (uint16_t w = 0; w < k->c->env.n_workers; w++) {
		char worker[8];
		uint64_t run_ns;

		snprintf(worker, sizeof(worker), "%u", w);
		mt_emit(k, mt_worker_busy(k->c, w, &run_ns), {"worker", worker});
	}
}

static void collect_tables(struct mt_collect *k)
{
	struct mt_table_use uses[MT_TABLE_USES];

	for (; k->pos < k->c->env.n_workers && !mt_sink_full(k->out); k->pos++) {
		uint32_t n = mt_table_uses(k->c, (uint16_t)k->pos, uses, MT_ARRAY_LEN(uses));
		char worker[8];

		snprintf(worker, sizeof(worker), "%u", k->pos);
		for (uint32_t i = 0; i < n; i++)
			if (uses[i].size)
				mt_emit(k, (double)uses[i].in_use / (double)uses[i].size,
					{"table", uses[i].table}, {"worker", worker});
	}
	k->more = k->pos < k->c->env.n_workers;
}

/* ---- drops ---------------------------------------------------------------------------------- */

enum cause {
	INVALID,  /* malformed, or impossible in its place: a fault of a sender or of the network */
	OVERLOAD, /* memory, a ring or a transmit queue was full: traffic of services suffers */
	UNWANTED, /* for other stations or protocols, old copies, and answers held back */
	NONE,	  /* its row does not count packets */
};

static const char *const cause_names[] = {"invalid", "overload", "unwanted"};

/* Rows that are not INVALID, and rows of other severities that count dropped packets. */
static const struct row {
	const struct mt_outcome_set *set;
	uint32_t row;
	enum cause cause;
} rows[] = {
	{&mt_port_outcomes, MT_PORT_rx_missed, OVERLOAD},
	{&mt_port_outcomes, MT_PORT_tx_no_memory, OVERLOAD},
	{&mt_port_outcomes, MT_PORT_tx_stranded, OVERLOAD},
	{&mt_port_outcomes, MT_PORT_tx_too_long, INVALID},
	{&mt_net_outcomes, MT_NET_rx_no_memory, OVERLOAD},
	{&mt_net_outcomes, MT_NET_handoff_full, OVERLOAD},
	{&mt_net_outcomes, MT_NET_tx_full, OVERLOAD},
	{&mt_net_outcomes, MT_NET_forward_full, OVERLOAD},
	{&mt_net_outcomes, MT_NET_tx_stuck, OVERLOAD},
	{&mt_net_outcomes, MT_NET_tx_no_memory, OVERLOAD},
	{&mt_net_outcomes, MT_NET_not_our_mac, UNWANTED},
	{&mt_net_outcomes, MT_NET_vlan_unknown, UNWANTED},
	{&mt_net_outcomes, MT_NET_ethertype_unknown, UNWANTED},
	{&mt_net_outcomes, MT_NET_multicast_ignored, UNWANTED},
	{&mt_net_outcomes, MT_NET_icmp_ignored, UNWANTED},
	{&mt_net_outcomes, MT_NET_icmp_error_foreign, UNWANTED},
	{&mt_net_outcomes, MT_NET_icmp_limited, UNWANTED},
	{&mt_net_outcomes, MT_NET_proto_unserved, UNWANTED},
	{&mt_net_outcomes, MT_NET_neigh_limited, UNWANTED},
	{&mt_net_outcomes, MT_NET_neigh_learn_lost, NONE},
	{&mt_l4_outcomes, MT_L4_fragment_ring_full, OVERLOAD},
	{&mt_l4_outcomes, MT_L4_fragments_evicted, OVERLOAD},
	{&mt_l4_outcomes, MT_L4_table_full, OVERLOAD},
	{&mt_l4_outcomes, MT_L4_icmp_no_flow, UNWANTED},
	{&mt_l4_outcomes, MT_L4_echo_unexpected, UNWANTED},
	{&mt_l4_outcomes, MT_L4_too_big, UNWANTED},
	{&mt_l4_outcomes, MT_L4_flows_evicted, NONE},
	{&mt_l4_outcomes, MT_L4_flows_over_share, NONE},
	{&mt_l4_outcomes, MT_L4_ports_taken_over, NONE},
	{&mt_tcp_outcomes, MT_TCP_ooo_full, OVERLOAD},
	{&mt_tcp_outcomes, MT_TCP_rx_over_budget, OVERLOAD},
	{&mt_tcp_outcomes, MT_TCP_rx_no_memory, OVERLOAD},
	{&mt_tcp_outcomes, MT_TCP_rx_admission_limited, OVERLOAD},
	{&mt_tcp_outcomes, MT_TCP_tx_no_memory, OVERLOAD},
	{&mt_tcp_outcomes, MT_TCP_cookies_bad, UNWANTED},
	{&mt_tcp_outcomes, MT_TCP_resets_withheld, UNWANTED},
	{&mt_tcp_outcomes, MT_TCP_challenges_withheld, UNWANTED},
	{&mt_tcp_outcomes, MT_TCP_out_of_window, UNWANTED},
	{&mt_tcp_outcomes, MT_TCP_rst_out_of_window, UNWANTED},
	{&mt_tcp_outcomes, MT_TCP_time_wait_rst, UNWANTED},
	{&mt_tcp_outcomes, MT_TCP_icmp_ignored, UNWANTED},
	{&mt_tcp_outcomes, MT_TCP_ooo_given_up, NONE},
	{&mt_tcp_outcomes, MT_TCP_sent_after_end, NONE},
	{&mt_worker_outcomes, MT_WORKER_handoff_full, OVERLOAD},
	{&mt_worker_outcomes, MT_WORKER_reset_at_stop, NONE},
};

/* Of the other rows of these libraries those of severity DROP count invalid packets. */
static enum cause cause_of(const struct mt_metric *m)
{
	static const struct mt_outcome_set *const sets[] = {&mt_port_outcomes, &mt_net_outcomes,
		&mt_l4_outcomes, &mt_tcp_outcomes, &mt_worker_outcomes};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (rows[i].set->room == m->room && rows[i].set->rows[rows[i].row].name == m->name)
			return rows[i].cause;
	for (size_t i = 0; m->severity == MT_SEV_DROP && i < MT_ARRAY_LEN(sets); i++)
		if (sets[i]->room == m->room)
			return INVALID;
	return NONE;
}

static void collect_drops(struct mt_collect *k)
{
	struct mt_metric m;
	uint64_t at = 0;

	while (mt_metrics_next(k->c->metrics, &at, &m)) {
		enum cause cause = cause_of(&m);
		char reason[64];

		snprintf(reason, sizeof(reason), "%s_%s", m.room, m.name);
		if (cause != NONE)
			mt_emit(k, m.value, {"cause", cause_names[cause]}, {"reason", reason});
	}
}

const struct mt_family_row mt_families_load[] = {
	{"meltemi_worker_busy_ratio", MT_GAUGE, "ratio", "worker",
		"share of the last minute that a worker spent in busy loop iterations; 1: it has "
		"no time left",
		collect_busy, 0},
	{"meltemi_table_used_ratio", MT_GAUGE, "ratio", "table, worker",
		"share of a table, or of a pool of packet buffers, that is in use (`meltemi show "
		"tables`)",
		collect_tables, 0},
	{"meltemi_packets_dropped_total", MT_COUNTER, "packets", "cause, reason",
		"packets dropped, the same numbers as counter `meltemi_REASON_total`; cause "
		"overload: memory, a ring or a transmit queue was full; invalid: malformed, or "
		"impossible in its place; unwanted: for other stations or protocols, old copies, "
		"and answers held back",
		collect_drops, 0},
	{0},
};
