/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of documents' workloads for Istio's metrics. */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_policy_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * The name of what made the Pod, which istiod has from owner references: of its Deployment, or of
 * its StatefulSet or DaemonSet.
 */
static const char *maker_of(struct mt_build *b, const struct mt_meta *pod)
{
	const char *hash = mt_labels_get(&pod->labels, "pod-template-hash");
	const char *end = strrchr(pod->name, '-');

	if (hash && *hash) {
		char infix[80];

		snprintf(infix, sizeof(infix), "-%s-", hash);
		end = strstr(pod->name, infix);
	} else if (!mt_labels_get(&pod->labels, "controller-revision-hash")) {
		end = NULL;
	}
	return end && end > pod->name
		       ? mt_region_strndup(&b->tmp, pod->name, (size_t)(end - pod->name))
		       : pod->name;
}

struct mt_peer mt_b_pod_peer(
	struct mt_build *b, const struct mt_meta *pod, const struct mt_labels *labels)
{
	return mt_peer_of(maker_of(b, pod), pod->ns, labels);
}

/* The name of an EndpointSlice is not its workloads'. */
static struct mt_peer peer_of(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_labels *labels = w->labels_unknown ? NULL : &w->labels;
	const struct mt_meta *of;

	if (w->pod)
		return mt_b_pod_peer(b, w->pod, labels);
	of = mt_instance_meta(h, w);
	return mt_peer_of(h->se->kubernetes ? NULL : of->name, of->ns, labels);
}

static bool is_empty(const struct mt_peer *p)
{
	for (int i = 0; i < MT_PEER_LABELS; i++)
		if (p->label[i])
			return false;
	return true;
}

int mt_b_note_peer(struct mt_build *b, struct mt_res_endpoints *e, const struct mt_host *h,
	const struct mt_workload *w, struct mt_res_endpoint *ep)
{
	struct mt_peer one;

	e->not_bare |= mt_instance_class(h, w) != MT_INSTANCE_BARE;
	if (e->peer && is_empty(e->peer) && e->many_peers)
		return 0;
	one = peer_of(b, h, w);
	if (!e->many_peers)
		ep->peer = mt_res_peer_find(e, &one);
	if (!ep->peer)
		ep->peer = mt_res_peer_add(&b->tmp, e, &one);
	if (e->peer) {
		mt_peer_share(e->peer, &one);
		return b->tmp.failed ? -ENOMEM : 0;
	}
	e->peer = mt_region_alloc(&b->tmp, sizeof(*e->peer));
	if (!e->peer)
		return -ENOMEM;
	*e->peer = one;
	return 0;
}
