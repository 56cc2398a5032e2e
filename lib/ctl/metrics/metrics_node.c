/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the node: connections, buffers, links, configuration, readiness, log. */
#include "mt_ctl_metrics_priv.h"

#include "mt_objects.h"

#include <stdio.h>
#include <string.h>

static void collect_connections(struct mt_collect *k)
{
	static const char *const words[] = {"established", "half_open", "time_wait"};
	uint32_t n[3], sum[3] = {0};

	for (uint16_t w = 0; w < k->c->env.n_workers; w++) {
		mt_tcp_counts(mt_worker_tcp(k->c->env.workers[w]), &n[0], &n[1], &n[2]);
		for (int i = 0; i < 3; i++)
			sum[i] += n[i];
	}
	for (int i = 0; i < 3; i++)
		mt_emit(k, sum[i], {"kind", words[i]});
}

static void collect_buffers(struct mt_collect *k)
{
	char worker[8];

	for (uint16_t w = 0; w < k->c->env.n_workers; w++) {
		const struct mt_pools *p = mt_worker_pools(k->c->env.workers[w]);

		snprintf(worker, sizeof(worker), "%u", w);
		mt_emit(k, rte_mempool_in_use_count(p->data), {"pool", "data"}, {"worker", worker});
		mt_emit(k, rte_mempool_in_use_count(p->ctrl), {"pool", "control"},
			{"worker", worker});
	}
}

/* Reports one member of struct mt_ledger_numbers. */
static void collect_classes(struct mt_collect *k)
{
	char worker[8];

	for (uint16_t w = 0; w < k->c->env.n_workers; w++) {
		const struct mt_ledger *l = mt_tcp_ledger(mt_worker_tcp(k->c->env.workers[w]));

		snprintf(worker, sizeof(worker), "%u", w);
		for (enum mt_class class = 0; class < MT_N_CLASSES; class ++) {
			const struct mt_ledger_numbers n = mt_ledger_read(l, class);

			mt_emit(k, mt_collect_member(k, &n), {"class", mt_class_name(class)},
				{"worker", worker});
		}
	}
}

static void collect_links(struct mt_collect *k)
{
	for (uint16_t i = 0; i < k->c->env.n_ports; i++)
		mt_emit(k, k->c->env.ports[i]->link_up, {"port", k->c->env.ports[i]->name});
}

static void collect_configuration(struct mt_collect *k)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(k->c);

	mt_emit(k, snap ? snap->version : 0);
}

static void collect_refused(struct mt_collect *k)
{
	mt_emit(k, k->c->reloaded_at && !k->c->reload_ok);
}

static void collect_turn(struct mt_collect *k)
{
	const struct mt_ctl_env *env = &k->c->env;

	if (env->longest_turn)
		mt_emit(k, (double)env->longest_turn(env->arg) / MT_SEC);
}

static void collect_objects(struct mt_collect *k)
{
	const struct mt_ctl_env *env = &k->c->env;
	const struct mt_object_table *t = env->objects ? env->objects(env->arg) : NULL;
	uint32_t counts[MT_OBJECT_STATUSES];

	if (!t)
		return;
	mt_table_counts(t, counts);
	for (enum mt_object_status s = 0; s < MT_OBJECT_STATUSES; s++)
		mt_emit(k, counts[s], {"status", mt_object_status_str(s)});
}

static void collect_state_directory(struct mt_collect *k)
{
	const struct mt_ctl_env *env = &k->c->env;

	mt_emit(k, !(env->state_trouble && env->state_trouble(env->arg)));
}

static void collect_ready(struct mt_collect *k)
{
	mt_emit(k, mt_ctl_answers_ready(k->c));
}

static void collect_waits(struct mt_collect *k)
{
	static const char *const kinds[] = {"source", "host", "services", "object", "worker"};
	struct mt_ctl_ready r;

	mt_ctl_ready(k->c, &r);
	for (size_t j = 0; j < MT_ARRAY_LEN(kinds); j++) {
		uint32_t n = 0;

		for (uint32_t i = 0; !r.ready && i < r.n; i++)
			n += strcmp(r.waits[i].kind, kinds[j]) == 0;
		mt_emit(k, n, {"what", kinds[j]});
	}
}

static void collect_uptime(struct mt_collect *k)
{
	mt_emit(k, (k->c->now - k->c->started) / MT_SEC);
}

static void collect_build(struct mt_collect *k)
{
	mt_emit(k, 1, {"version", MT_VERSION}, {"node", k->c->env.node ? k->c->env.node : ""});
}

static void collect_log_lines(struct mt_collect *k)
{
	for (enum mt_log_module m = 0; m < MT_LOG_MODULES; m++)
		for (enum mt_log_level i = 0; i < MT_LOG_LEVELS; i++)
			mt_emit(k, mt_log_counts(m)->lines[i], {"module", mt_log_module_str(m)},
				{"level", mt_log_level_str(i)});
}

static void collect_log_held_back(struct mt_collect *k)
{
	for (enum mt_log_module m = 0; m < MT_LOG_MODULES; m++)
		mt_emit(k, mt_log_counts(m)->held_back, {"module", mt_log_module_str(m)});
}

const struct mt_family_row mt_families_node[] = {
	{"meltemi_connections", MT_GAUGE, "connections", "kind", "TCP connections now, by kind",
		collect_connections, 0},
	{"meltemi_buffers_in_use", MT_GAUGE, "buffers", "pool, worker",
		"packet buffers in use, by pool", collect_buffers, 0},
	{"meltemi_held_bytes", MT_GAUGE, "bytes", "class, worker",
		"packet buffers, counted whole, that connections hold, by what the bytes in them "
		"are",
		collect_classes, offsetof(struct mt_ledger_numbers, charged)},
	{"meltemi_held_share_bytes", MT_GAUGE, "bytes", "class, worker",
		"limit of meltemi_held_bytes above which the largest holder gives way; 0: no "
		"limit",
		collect_classes, offsetof(struct mt_ledger_numbers, share)},
	{"meltemi_held_peak_bytes", MT_GAUGE, "bytes", "class, worker",
		"the most that meltemi_held_bytes was since start", collect_classes,
		offsetof(struct mt_ledger_numbers, peak)},
	{"meltemi_evictions_total", MT_COUNTER, "connections", "class, worker",
		"connections evicted because the class had used its share", collect_classes,
		offsetof(struct mt_ledger_numbers, evicted)},
	{"meltemi_port_up", MT_GAUGE, "boolean", "port", "1: the link of a port is up",
		collect_links, 0},
	{"meltemi_configuration_version", MT_GAUGE, "version", "",
		"version of the configuration in use, one more with each change",
		collect_configuration, 0},
	{"meltemi_configuration_refused", MT_GAUGE, "boolean", "",
		"1: the last reload refused documents, and older ones stay in use", collect_refused,
		0},
	{"meltemi_control_loop_longest_seconds", MT_GAUGE, "seconds", "",
		"the longest loop iteration of the control thread within the last one to two "
		"minutes, for which DNS clients, discovery servers and shells had to wait",
		collect_turn, 0},
	{"meltemi_configuration_objects", MT_GAUGE, "objects", "status",
		"documents, and items of Lists, by status", collect_objects, 0},
	{"meltemi_state_directory_writable", MT_GAUGE, "boolean", "",
		"0: a write to the state directory failed, and none of its length has succeeded "
		"since",
		collect_state_directory, 0},
	{"meltemi_ready", MT_GAUGE, "boolean", "", "1: /ready answers 200", collect_ready, 0},
	{"meltemi_ready_waits_for", MT_GAUGE, "things", "what",
		"sources that have not delivered and hosts that are not served again, for which "
		"the node waits before it is ready (`meltemi show ready`)",
		collect_waits, 0},
	{"meltemi_uptime_seconds", MT_GAUGE, "seconds", "", "seconds since start", collect_uptime,
		0},
	{"meltemi_log_lines_total", MT_COUNTER, "lines", "module, level",
		"lines of the log, by module and level", collect_log_lines, 0},
	{"meltemi_log_suppressed_total", MT_COUNTER, "lines", "module",
		"lines that the log suppressed because their place in the program logged too many",
		collect_log_held_back, 0},
	{"meltemi_build_info", MT_GAUGE, "constant", "version, node",
		"1, with the version and the node's name as labels", collect_build, 0},
	{0},
};
