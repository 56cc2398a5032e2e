/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"
#include "mt_strmap.h"

#include <stdlib.h>
#include <string.h>

/* Reads an address, or a host name, which lib/conf checks by the service's resolution. */
static void read_address(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_workload *w = obj;

	if (!mt_read_text(c, n, &w->address_text) ||
		mt_addr_parse(w->address_text.s, &w->address) == 0)
		return;
	w->address_text.s = mt_host_name(&c->model->region, n->text);
	if (!w->address_text.s)
		w->address_text.s = "";
	w->address = (struct mt_addr){0};
	if (strncmp(w->address_text.s, "unix://", 7) == 0)
		mt_f_error(c, n->line, "write an IP address",
			"unix sockets are not reachable by a port");
	else if (strspn(w->address_text.s, "0123456789./:") == strlen(w->address_text.s))
		mt_f_error(c, n->line, "write it like 192.0.2.7 or 2001:db8::7",
			"\"%.64s\" is not an address", n->text);
}

static void read_ports(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_workload *w = obj;

	if (!mt_read_labels(c, n, &w->ports))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);
		struct mt_num ignored;

		mt_read_num(c, k, 1, 65535, &ignored);
		mt_path_pop(c, mark);
	}
}

static const struct mt_field workload_fields[] = {
	{"address", MT_F_CUSTOM, .custom = read_address, .required = true,
		.help = "the endpoint's IP address, or with `resolution: DNS` its name"},
	{"ports", MT_F_CUSTOM, .custom = read_ports,
		.help = "map of service ports' names to the endpoint's own numbers; default: "
			"targetPort of the service port"},
	{"labels", MT_F_LABELS, AT(struct mt_workload, labels), .length = MT_LABEL_TEXT,
		.help = "labels that subsets, workload selectors and policies match"},
	{"weight", MT_F_NUM, AT(struct mt_workload, weight), .max = 65535,
		.help = "share of calls among endpoints; default, and 0: 1"},
	{"locality", MT_F_TEXT, AT(struct mt_workload, locality),
		.help = "region/zone/subzone of the endpoint; default: the label "
			"`topology.istio.io/locality` or `istio-locality`, with dots"},
	{"serviceAccount", MT_F_TEXT, AT(struct mt_workload, service_account),
		.help = "the endpoint's identity; without the label `security.istio.io/tlsMode` it "
			"means that the endpoint has a proxy of its own, which enforces policies"},
	{"network", MT_F_TEXT, AT(struct mt_workload, network), .status = MT_S_LATER,
		.instead = "an endpoint of another network is called as if it were in this one",
		.help = "the endpoint's network"},
};

static void check_workload(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_workload *w = obj;

	/* 0 means 1, as in Istio. */
	if (!w->weight.v)
		w->weight.v = 1;
	if (!w->locality.s)
		w->locality.s = mt_labels_locality(&c->model->region, &w->labels);
}

const struct mt_section mt_sec_workload = {"workload", sizeof(struct mt_workload),
	MT_ARRAY_LEN(workload_fields), .fields = workload_fields, .after = check_workload};

/* ---- health ---------------------------------------------------------------------------------- */

/*
 * Marks it by the condition Healthy, which the proxy or istiod writes. Without the condition the
 * document was written by hand, and takes calls. mt_workload_entry_complete() takes the mark back
 * unless the annotation enables health checks.
 */
void mt_workload_entry_status(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_ynode *list = mt_yaml_get(n, "conditions");
	const struct mt_ynode *healthy = list ? mt_condition(list, "Healthy") : NULL;
	struct mt_workload *w = &((struct mt_workload_entry *)obj)->w;

	if (healthy && strcmp(healthy->text, "True") != 0)
		w->fitness = MT_UNFIT;
	w->fitness_line = healthy ? healthy->line : 0;
}

bool mt_health_is_checked(const char *text)
{
	static const char *const words[] = {"1", "t", "T", "true", "TRUE", "True"};

	for (size_t i = 0; text && i < MT_ARRAY_LEN(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static void set_fitness(struct mt_fctx *c, struct mt_workload_entry *we)
{
	if (!mt_health_is_checked(mt_labels_get(&we->meta.annotations, MT_HEALTH_CHECKS)))
		we->w.fitness = MT_FIT;
	if (we->w.fitness == MT_UNFIT) {
		mt_path_push(c, "status.conditions");
		mt_f_note(c, we->w.fitness_line, NULL,
			"its condition Healthy is not \"True\": it gets no new calls");
		mt_path_pop(c, 0);
	} else if (we->meta.ends) {
		we->w.fitness = MT_TERMINATING;
	}
}

/* ---- labels ---------------------------------------------------------------------------------- */

/* Appends a label unless the list has one of its name. */
static void join_label(
	struct mt_fctx *c, struct mt_labels *to, struct mt_strmap *seen, const struct mt_kv *kv)
{
	if (mt_strmap_get(seen, kv->key))
		return;
	if (mt_strmap_put(seen, kv->key, to, NULL))
		c->model->region.failed = true;
	to->kv[to->n_kv++] = *kv;
}

/*
 * Joins both sets of labels into the workload's, as istiod does. If both have a label of the same
 * name, the metadata's label counts.
 */
static void join_labels(struct mt_fctx *c, struct mt_workload_entry *we)
{
	const struct mt_labels *meta = &we->meta.labels, *spec = &we->w.labels;
	struct mt_strmap seen = {0};
	struct mt_labels all = {0};

	if (!meta->n_kv)
		return;
	all.kv = mt_region_alloc(&c->model->region, sizeof(*all.kv) * (meta->n_kv + spec->n_kv));
	if (!all.kv)
		return;
	for (uint32_t i = 0; i < meta->n_kv; i++)
		join_label(c, &all, &seen, &meta->kv[i]);
	for (uint32_t i = 0; i < spec->n_kv; i++)
		join_label(c, &all, &seen, &spec->kv[i]);
	mt_strmap_fini(&seen);
	we->w.labels = all;
	/* If no locality is written, take it from a label. */
	if (!we->w.locality.line)
		we->w.locality.s = mt_labels_locality(&c->model->region, &all);
}

void mt_workload_entry_complete(struct mt_fctx *c, void *obj)
{
	set_fitness(c, obj);
	join_labels(c, obj);
}
