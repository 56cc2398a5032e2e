/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the node: connections, buffers, links, configuration, readiness, log. */
#include "mt_ctl_metrics_priv.h"

#include "mt_objects.h"

#include <stdio.h>
#include <string.h>

static uint32_t collect_connections(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	uint32_t n[3], sum[3] = {0};
	static const char *const words[] = {"established", "half_open", "time_wait"};

	for (uint16_t w = 0; w < x->c->env.n_workers; w++) {
		mt_tcp_counts(mt_worker_tcp(x->c->env.workers[w]), &n[0], &n[1], &n[2]);
		for (int k = 0; k < 3; k++)
			sum[k] += n[k];
	}
	for (int k = 0; k < 3; k++) {
		const struct mt_label l = {"kind", words[k]};

		mt_sample(out, f, &l, 1, sum[k]);
	}
	return 0;
}

static uint32_t collect_buffers(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	char worker[8];

	for (uint16_t w = 0; w < x->c->env.n_workers; w++) {
		const struct mt_pools *p = mt_worker_pools(x->c->env.workers[w]);
		struct mt_label l[] = {{"pool", "data"}, {"worker", worker}};

		snprintf(worker, sizeof(worker), "%u", w);
		mt_sample(out, f, l, 2, rte_mempool_in_use_count(p->data));
		l[0].value = "control";
		mt_sample(out, f, l, 2, rte_mempool_in_use_count(p->ctrl));
	}
	return 0;
}

/* The family's offset selects the member of struct mt_ledger_numbers. */
static uint32_t collect_classes(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	char worker[8];

	for (uint16_t w = 0; w < x->c->env.n_workers; w++) {
		const struct mt_ledger *l = mt_tcp_ledger(mt_worker_tcp(x->c->env.workers[w]));

		snprintf(worker, sizeof(worker), "%u", w);
		for (int k = 0; k < MT_N_CLASSES; k++) {
			const struct mt_ledger_numbers n = mt_ledger_read(l, (enum mt_class)k);
			const struct mt_label labels[] = {
				{"class", mt_class_name((enum mt_class)k)}, {"worker", worker}};

			mt_sample(out, f, labels, 2,
				(double)*(const uint64_t *)((const char *)&n + x->offset));
		}
	}
	return 0;
}

static uint32_t collect_links(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;

	for (uint16_t i = 0; i < x->c->env.n_ports; i++) {
		const struct mt_label l = {"port", x->c->env.ports[i]->name};

		mt_sample(out, f, &l, 1, x->c->env.ports[i]->link_up);
	}
	return 0;
}

static uint32_t collect_configuration(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	const struct mt_snapshot *snap = mt_ctl_snapshot(x->c);

	mt_sample(out, f, NULL, 0, snap ? (double)snap->version : 0);
	return 0;
}

static uint32_t collect_refused(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;

	mt_sample(out, f, NULL, 0, c->reloaded_at && !c->reload_ok);
	return 0;
}

static uint32_t collect_turn(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;

	if (c->env.longest_turn)
		mt_sample(out, f, NULL, 0, (double)c->env.longest_turn(c->env.arg) / MT_SEC);
	return 0;
}

static uint32_t collect_objects(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	const struct mt_object_table *t = c->env.objects ? c->env.objects(c->env.arg) : NULL;
	uint32_t counts[MT_OBJECT_STATUSES];

	if (!t)
		return 0;
	mt_table_counts(t, counts);
	for (int i = 0; i < MT_OBJECT_STATUSES; i++) {
		struct mt_label l = {"status", mt_object_status_str((enum mt_object_status)i)};

		mt_sample(out, f, &l, 1, counts[i]);
	}
	return 0;
}

static uint32_t collect_ready(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	mt_sample(out, f, NULL, 0, mt_ctl_answers_ready(((const struct mt_ctl_family *)arg)->c));
	return 0;
}

static uint32_t collect_waits(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	static const char *const kinds[] = {"source", "host", "services", "object", "worker"};
	struct mt_ctl_ready r;

	mt_ctl_ready(((const struct mt_ctl_family *)arg)->c, &r);
	for (size_t k = 0; k < MT_ARRAY_LEN(kinds); k++) {
		const struct mt_label l = {"what", kinds[k]};
		uint32_t n = 0;

		for (uint32_t i = 0; !r.ready && i < r.n; i++)
			n += strcmp(r.waits[i].kind, kinds[k]) == 0;
		mt_sample(out, f, &l, 1, n);
	}
	return 0;
}

static uint32_t collect_uptime(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;

	mt_sample(out, f, NULL, 0, (double)((x->c->now - x->c->started) / MT_SEC));
	return 0;
}

static uint32_t collect_build(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	const struct mt_label l[] = {
		{"version", MT_VERSION}, {"node", x->c->env.node ? x->c->env.node : ""}};

	mt_sample(out, f, l, 2, 1);
	return 0;
}

static uint32_t collect_log_lines(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	for (int m = 0; m < MT_LOG_MODULES; m++)
		for (int i = 0; i < MT_LOG_LEVELS; i++) {
			const struct mt_label l[] = {
				{"module", mt_log_module_str((enum mt_log_module)m)},
				{"level", mt_log_level_str((enum mt_log_level)i)}};

			mt_sample(out, f, l, 2,
				(double)mt_log_counts((enum mt_log_module)m)->lines[i]);
		}
	return 0;
}

static uint32_t collect_log_held_back(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	for (int m = 0; m < MT_LOG_MODULES; m++) {
		const struct mt_label l = {"module", mt_log_module_str((enum mt_log_module)m)};

		mt_sample(out, f, &l, 1, (double)mt_log_counts((enum mt_log_module)m)->held_back);
	}
	return 0;
}

const struct mt_family_row mt_families_node[] = {
	{{"meltemi_connections", MT_GAUGE, "connections", "kind", "TCP connections now, by kind",
		 collect_connections, NULL},
		0},
	{{"meltemi_buffers_in_use", MT_GAUGE, "buffers", "pool, worker",
		 "packet buffers in use, by pool", collect_buffers, NULL},
		0},
	{{"meltemi_held_bytes", MT_GAUGE, "bytes", "class, worker",
		 "packet buffers, counted whole, that connections hold, by what the bytes in them "
		 "are",
		 collect_classes, NULL},
		offsetof(struct mt_ledger_numbers, charged)},
	{{"meltemi_held_share_bytes", MT_GAUGE, "bytes", "class, worker",
		 "limit of meltemi_held_bytes above which the largest holder gives way; 0: no "
		 "limit",
		 collect_classes, NULL},
		offsetof(struct mt_ledger_numbers, share)},
	{{"meltemi_held_peak_bytes", MT_GAUGE, "bytes", "class, worker",
		 "the most that meltemi_held_bytes was since start", collect_classes, NULL},
		offsetof(struct mt_ledger_numbers, peak)},
	{{"meltemi_evictions_total", MT_COUNTER, "connections", "class, worker",
		 "connections evicted because the class had used its share", collect_classes, NULL},
		offsetof(struct mt_ledger_numbers, evicted)},
	{{"meltemi_port_up", MT_GAUGE, "boolean", "port", "1: the link of a port is up",
		 collect_links, NULL},
		0},
	{{"meltemi_configuration_version", MT_GAUGE, "version", "",
		 "version of the configuration in use, one more with each change",
		 collect_configuration, NULL},
		0},
	{{"meltemi_configuration_refused", MT_GAUGE, "boolean", "",
		 "1: the last reload refused documents, and older ones stay in use",
		 collect_refused, NULL},
		0},
	{{"meltemi_control_loop_longest_seconds", MT_GAUGE, "seconds", "",
		 "the longest loop iteration of the control thread within the last one to two "
		 "minutes, for which DNS clients, discovery servers and shells had to wait",
		 collect_turn, NULL},
		0},
	{{"meltemi_configuration_objects", MT_GAUGE, "objects", "status",
		 "documents, and items of Lists, by status", collect_objects, NULL},
		0},
	{{"meltemi_ready", MT_GAUGE, "boolean", "", "1: /ready answers 200", collect_ready, NULL},
		0},
	{{"meltemi_ready_waits_for", MT_GAUGE, "things", "what",
		 "sources that have not delivered and hosts that are not served again, for which "
		 "the node waits before it is ready (`meltemi show ready`)",
		 collect_waits, NULL},
		0},
	{{"meltemi_uptime_seconds", MT_GAUGE, "seconds", "", "seconds since start", collect_uptime,
		 NULL},
		0},
	{{"meltemi_log_lines_total", MT_COUNTER, "lines", "module, level",
		 "lines of the log, by module and level", collect_log_lines, NULL},
		0},
	{{"meltemi_log_suppressed_total", MT_COUNTER, "lines", "module",
		 "lines that the log suppressed because their place in the program logged too many",
		 collect_log_held_back, NULL},
		0},
	{{"meltemi_build_info", MT_GAUGE, "constant", "version, node",
		 "1, with the version and the node's name as labels", collect_build, NULL},
		0},
	{{0}, 0},
};
