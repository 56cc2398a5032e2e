/* SPDX-License-Identifier: Apache-2.0 */
/* Private to translate.c and translate_used.c, which translate Kubernetes objects. */
#pragma once

#include "mt_objects_priv.h"

struct translation {
	struct mt_object_table *t;
	struct mt_model *m;
	struct mt_strmap slices, endpoints; /* struct mt_bag, by "NAMESPACE/SERVICE" */
	struct mt_strmap pods,
		addresses; /* struct mt_kube_pod, by "NAMESPACE/NAME" and "NAMESPACE/IP" */
	struct mt_by_label entries, by_pod_label;
	struct mt_idmap used;	 /* serials of objects that a service or this node uses */
	struct mt_budget budget; /* of Services, selectors, and names that may be meant */
	bool cut;		 /* not all workloads were compared with all selectors */
};

/* ---- translate.c ----------------------------------------------------------------------------- */

/* An object by "NAMESPACE/NAME"; NULL: there is none. */
void *mt_tr_get(const struct mt_strmap *map, const char *ns, const char *name);
/* Adds a diagnostic of an object. */
void mt_tr_tell(struct translation *x, enum mt_diag_severity severity, const struct mt_meta *meta,
	const char *path, const char *words);
/* Marks an object as used, and notes if its data may be outdated. */
void mt_tr_use(struct translation *x, const struct mt_meta *meta);
bool mt_tr_is_used(struct translation *x, const struct mt_meta *meta);
/* The Service that a slice is of; NULL: it names none. */
const char *mt_tr_service_of(const struct mt_kube_slice *s);
/* Warns of a ServiceEntry if its selector was not compared with all workloads. */
void mt_tr_end_selection(struct translation *x, const struct mt_service_entry *se);

/* ---- translate_used.c ------------------------------------------------------------------------ */

/*
 * Marks as used the ServiceEntries and WorkloadEntries that are, and reports WorkloadEntries that
 * are not.
 */
void mt_tr_use_selected(struct translation *x);
/* Reports slices and Pods that are not used, with the reason. */
void mt_tr_tell_unused(struct translation *x);
