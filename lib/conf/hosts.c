/* SPDX-License-Identifier: Apache-2.0 */
/* The instances of each service: its own endpoints, or the WorkloadEntries that its selector chooses. */
#include "mt_conf_priv.h"

#include <stdio.h>
#include <string.h>

struct bag {
	const struct mt_workload_entry **v;
	uint32_t n;
};

static char *label_key(struct mt_build *b, const char *ns, const struct mt_kv *kv)
{
	return mt_region_printf(&b->tmp, "%s\n%s\n%s", ns, kv->key, kv->value);
}

/* Every WorkloadEntry under each of its labels, so that a selector looks at few of them. */
static void index_labels(struct mt_build *b, struct mt_strmap *by_label)
{
	for (uint32_t i = 0; i < b->model->workload_entries.n; i++) {
		const struct mt_workload_entry *we = b->model->workload_entries.v[i];
		/* Istio selects by the labels in spec; those of the metadata serve when it has none. */
		const struct mt_labels *l = we->w.labels.n_kv ? &we->w.labels : &we->meta.labels;

		for (uint32_t j = 0; j < l->n_kv; j++) {
			char *key = label_key(b, we->meta.ns, &l->kv[j]);
			struct bag *bag = key ? mt_strmap_get(by_label, key) : NULL;
			const struct mt_workload_entry **slot;

			if (!bag) {
				bag = mt_region_alloc(&b->tmp, sizeof(*bag));
				if (!bag || !key)
					return;
				mt_strmap_put(by_label, key, bag, NULL);
			}
			slot = mt_region_push(&b->tmp, (void **)&bag->v, &bag->n, sizeof(*slot));
			if (!slot)
				return;
			*slot = we;
		}
	}
}

static void add_workload(struct mt_build *b, struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_workload **slot =
		mt_region_push(&b->tmp, (void **)&h->workloads, &h->n_workloads, sizeof(*slot));

	if (slot)
		*slot = w;
}

static void select_workloads(
	struct mt_build *b, struct mt_host *h, const struct mt_strmap *by_label)
{
	const struct mt_service_entry *se = h->se;
	const struct mt_labels *want = &se->selector->labels;
	const struct bag *bag;
	char *key;

	if (!want->n_kv)
		return;
	key = label_key(b, se->meta.ns, &want->kv[0]);
	bag = key ? mt_strmap_get(by_label, key) : NULL;
	for (uint32_t i = 0; bag && i < bag->n; i++) {
		const struct mt_workload_entry *we = bag->v[i];
		const struct mt_labels *have = we->w.labels.n_kv ? &we->w.labels : &we->meta.labels;

		if (mt_labels_match(want, have))
			add_workload(b, h, &we->w);
	}
}

static void check_address(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_workload *w, const char *path)
{
	if (mt_addr_is_zero(&w->address))
		mt_b_error(b, meta->origin.file, w->address_text.line, path,
			"write its IP address: names are not resolved",
			"\"%.128s\" is not an address", w->address_text.s);
}

static void check_addresses(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_service_entry *se = b->host_list[i].se;

		for (uint32_t j = 0; j < se->n_endpoints; j++) {
			char path[64];

			snprintf(path, sizeof(path), "spec.endpoints[%u].address", j);
			check_address(b, &se->meta, &se->endpoints[j], path);
		}
	}
	for (uint32_t i = 0; i < b->model->workload_entries.n; i++) {
		const struct mt_workload_entry *we = b->model->workload_entries.v[i];

		check_address(b, &we->meta, &we->w, "spec.address");
	}
}

void mt_b_hosts(struct mt_build *b)
{
	struct mt_strmap by_label = {0};

	check_addresses(b);
	index_labels(b, &by_label);
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];

		for (uint32_t j = 0; j < h->se->n_endpoints; j++)
			add_workload(b, h, &h->se->endpoints[j]);
		if (h->se->selector)
			select_workloads(b, h, &by_label);
	}
	mt_strmap_fini(&by_label);
}
