/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warns of DestinationRules that require the node's identity for endpoints which no client may
 * call with it, so that all calls to them are denied.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

/* True if the host has endpoints in use about which mt_b_meshed() does not warn. */
static bool has_others(const struct mt_host *h)
{
	for (uint32_t i = 0; i < h->n_workloads; i++)
		if (h->workloads[i]->weight.v &&
			mt_instance_class(h, h->workloads[i]) != MT_INSTANCE_MESHED)
			return true;
	return false;
}

void mt_b_tell_unlent(struct mt_build *b, const struct mt_host *h, const struct mt_meta *meta,
	const struct mt_tls_settings *tls, const char *path)
{
	if (tls->mode.v != MT_TLS_ISTIO_MUTUAL || !mt_b_is_somebody(b) || b->conf->n_held ||
		mt_b_is_lent(b, h->se->meta.ns) || !has_others(h))
		return;
	mt_b_warn(b, meta, tls->mode.line, path, MT_LEND_REMEDY,
		"endpoints of %.128s need the node's identity, which no client may use: calls to "
		"them are denied",
		h->se->hosts[0].s);
}
