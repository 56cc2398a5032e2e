/* SPDX-License-Identifier: Apache-2.0 */
/* Reports objects of a cluster that no service uses, and the Service that a slice is meant for. */
#include "mt_translate_priv.h"

#include <stdio.h>
#include <string.h>

/* Marks as used the WorkloadEntries that a ServiceEntry selects. */
static void use_selected_by(struct translation *x, const struct mt_service_entry *se)
{
	const struct mt_labels *want = &se->selector->labels;
	const struct mt_bag *bag = mt_by_label_find(&x->entries, se->meta.ns, want);

	if (!mt_budget_begin(&x->budget, &se->meta))
		return;
	for (uint32_t k = 0; k < bag->n; k++) {
		const struct mt_workload_entry *we = bag->v[k];

		if (!mt_budget_has(&x->budget, mt_work_of_match(want, &we->w.labels)))
			break;
		if (mt_labels_match(want, &we->w.labels))
			mt_tr_use(x, &we->meta);
	}
	mt_tr_end_selection(x, se);
}

/*
 * Marks as used the ServiceEntries with endpoints of their own, the WorkloadEntries that
 * ServiceEntries select, and the WorkloadEntries of this node's workloads. mt_tr_use() warns if
 * their data may be outdated. Reports WorkloadEntries that are not used, if all selectors were
 * compared.
 */
void mt_tr_use_selected(struct translation *x)
{
	for (uint32_t i = 0; i < x->m->service_entries.n; i++) {
		const struct mt_service_entry *se = x->m->service_entries.v[i];

		if (!se->kubernetes && se->n_endpoints)
			mt_tr_use(x, &se->meta);
		if (se->selector)
			use_selected_by(x, se);
	}
	for (uint32_t i = 0; i < x->m->workload_entries.n; i++) {
		const struct mt_workload_entry *we = x->m->workload_entries.v[i];

		/* A workload of this node is in use as a client even if no service selects it. */
		if (x->m->node && mt_node_has_workload(x->m->node, &we->w.address))
			mt_tr_use(x, &we->meta);
		if (!x->cut && !mt_tr_is_used(x, &we->meta))
			mt_tr_tell(x, MT_DIAG_INERT, &we->meta, NULL,
				"no service of its namespace selects it");
	}
}

/* Work to compare similar names. */
#define SIMILAR 16

/* True if the slice was probably written for this Service, apart from its slices. */
static bool is_meant(struct translation *x, const struct mt_kube_slice *s, const char *name,
	const struct mt_kube_service *svc)
{
	if (strcmp(svc->meta.ns, s->meta.ns) != 0)
		return mt_budget_has(&x->budget, 1) && name && strcmp(name, svc->meta.name) == 0;
	return mt_budget_has(&x->budget, SIMILAR) &&
	       (!name || mt_edit_distance(name, svc->meta.name, 3) <= 2);
}

/*
 * Returns the Service for which a stray slice was probably written; NULL: none, or the slice's
 * owner has had too many comparisons. The Service has no slices. It is in the slice's namespace
 * with a similar name, or in another namespace with the same name.
 */
static const struct mt_kube_service *meant_by(struct translation *x, const struct mt_kube_slice *s)
{
	const char *name = mt_tr_service_of(s);
	const struct mt_kube_service *found = NULL;

	if (!mt_budget_begin(&x->budget, &s->meta))
		return NULL;
	for (uint32_t i = 0; i < x->m->services.n && !found && !x->budget.full; i++) {
		const struct mt_kube_service *svc = x->m->services.v[i];

		if (is_meant(x, s, name, svc) &&
			!mt_tr_get(&x->slices, svc->meta.ns, svc->meta.name) &&
			!mt_tr_get(&x->endpoints, svc->meta.ns, svc->meta.name))
			found = svc;
	}
	(void)mt_budget_end(&x->budget);
	return found;
}

static void tell_stray(struct translation *x, const struct mt_kube_slice *s)
{
	static const char words[] = "the Service that it belongs to is not here";
	const struct mt_kube_service *svc = meant_by(x, s);
	char remedy[192];

	if (!svc) {
		mt_tr_tell(x, MT_DIAG_INERT, &s->meta, NULL, words);
		return;
	}
	snprintf(remedy, sizeof(remedy),
		"label it kubernetes.io/service-name: %.64s, in namespace %.64s", svc->meta.name,
		svc->meta.ns);
	mt_diag_object(&x->t->translated, MT_DIAG_UNUSED, &s->meta, s->meta.origin.line, "metadata",
		remedy, "%s", words);
}

/* Reports slices and Pods that are not used, with the reason. */
void mt_tr_tell_unused(struct translation *x)
{
	for (uint32_t i = 0; i < x->m->slices.n; i++) {
		const struct mt_kube_slice *s = x->m->slices.v[i];

		if (!mt_tr_is_used(x, &s->meta) &&
			!(s->whole && mt_tr_get(&x->slices, s->meta.ns, s->meta.name)))
			tell_stray(x, s);
	}
	for (uint32_t i = 0; i < x->m->pods.n; i++) {
		const struct mt_kube_pod *p = x->m->pods.v[i];

		if (!mt_tr_is_used(x, &p->meta))
			mt_tr_tell(x, MT_DIAG_INERT, &p->meta, NULL,
				mt_kube_pod_has_ended(p) ? "it has ended"
				: !p->status.ip.s	 ? "it has no address"
							 : "it is an endpoint of no service here");
	}
}
