/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of workloads for Istio's metrics. */
#pragma once

#include "mt_model_types.h"

enum mt_peer_label {
	MT_PEER_WORKLOAD,
	MT_PEER_NAMESPACE,
	MT_PEER_CLUSTER,
	MT_PEER_APP,
	MT_PEER_VERSION,
	MT_PEER_SERVICE,  /* canonical service */
	MT_PEER_REVISION, /* canonical revision */
	MT_PEER_ACCOUNT,  /* service account of MT_PEER_NAMESPACE; only of clients */
	MT_PEER_LABELS
};
#define MT_PEER_SHOWN MT_PEER_ACCOUNT /* those before it are labels of metrics by themselves */

/* Of one workload, or those that several workloads share. NULL: unknown, or they differ. */
struct mt_peer {
	const char *label[MT_PEER_LABELS];
};

/*
 * By a document, as istiod does: canonical service and revision come from their own labels, then
 * those of Kubernetes, then `app` and `version`, then the workload's name and "latest". `labels`
 * NULL: they are not known.
 */
struct mt_peer mt_peer_of(const char *name, const char *ns, const struct mt_labels *labels);

/* A label as metrics show it, also if it is unknown. */
const char *mt_peer_shown(const struct mt_peer *p, enum mt_peer_label label);
/*
 * A keyed hash of the labels as metrics show them: workloads with the same id look the same there.
 * Odd. 0: nothing is known.
 */
uint64_t mt_peer_id(const struct mt_peer *p);

/* Removes the labels that `one` has not. */
void mt_peer_share(struct mt_peer *all, const struct mt_peer *one);

/* A copy in one block, for free(). NULL: no memory, or `p` is NULL. */
struct mt_peer *mt_peer_copy(const struct mt_peer *p);
