/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the node's identities and of TLS handshakes. */
#include "mt_ctl_events_priv.h"
#include "mt_ctl_metrics_priv.h"
#include "mt_tls_pool.h"

#include <string.h>

/* The node's own identity has no label, for compatibility. */
static void emit(struct mt_collect *k, const struct mt_ctl_identity *who, double value)
{
	if (who->held_for)
		mt_emit(k, value, {"identity", who->held_for});
	else
		mt_emit(k, value);
}

static void collect_left(struct mt_collect *k)
{
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(k->c, i, &who); i++)
		if (who.credential)
			emit(k, &who, (double)mt_ctl_until(k->c, who.credential->not_after));
}

static void collect_roots(struct mt_collect *k)
{
	struct mt_credential_root root;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(k->c, i, &who); i++) {
		int64_t last = 0;

		if (!who.credential)
			continue;
		for (uint32_t j = 0; mt_credential_root(who.credential, j, &root); j++)
			last = MT_MAX(last, root.not_after);
		emit(k, &who, (double)mt_ctl_until(k->c, last));
	}
}

/* Validity of the list that ends first. */
static void collect_crls(struct mt_collect *k)
{
	struct mt_credential_crl crl;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(k->c, i, &who); i++) {
		const struct mt_credential *cr = who.credential;
		int64_t first = INT64_MAX;

		for (uint32_t j = 0; cr && mt_credential_crl(cr, j, &crl); j++)
			first = MT_MIN(first, crl.next_update);
		if (first != INT64_MAX)
			emit(k, &who, (double)mt_ctl_until(k->c, first));
	}
}

static void collect_good(struct mt_collect *k)
{
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(k->c, i, &who); i++)
		if (who.credential || who.wanted)
			emit(k, &who, strcmp(mt_ctl_identity_state(k->c, &who), "good") == 0);
}

static void collect_changes(struct mt_collect *k)
{
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(k->c, i, &who); i++)
		if (who.credential || who.wanted)
			emit(k, &who, who.changes);
}

static void collect_handshakes(struct mt_collect *k)
{
	static const struct {
		const char *event;
		size_t offset;
	} all[] = {{"begun", offsetof(struct mt_tls_lane, begun)},
		{"done", offsetof(struct mt_tls_lane, done)},
		{"failed", offsetof(struct mt_tls_lane, failed)},
		{"cancelled", offsetof(struct mt_tls_lane, cancelled)},
		{"deferred", offsetof(struct mt_tls_lane, full)},
		{"stale", offsetof(struct mt_tls_lane, stale)}};
	const struct mt_ctl_env *env = &k->c->env;

	for (size_t i = 0; env->handshakes && i < MT_ARRAY_LEN(all); i++) {
		uint64_t sum = 0;

		for (uint16_t w = 0; w < env->n_workers; w++)
			sum += mt_count_read((const uint64_t *)((const char *)mt_tls_pool_lane(
									env->handshakes, w) +
								all[i].offset));
		mt_emit(k, sum, {"event", all[i].event});
	}
}

static void certificates(struct mt_collect *k, bool left)
{
	const struct mt_cert_look *x = NULL;

	while (!mt_sink_full(k->out) && (x = mt_events_certificate_next(k->c, &k->pos)) != NULL)
		mt_emit(k, left ? mt_ctl_until(k->c, x->not_after) : x->not_after - x->not_before,
			{"certificate", x->name});
	k->more = x != NULL;
}

static void collect_certificates(struct mt_collect *k)
{
	certificates(k, true);
}

static void collect_lifetimes(struct mt_collect *k)
{
	certificates(k, false);
}

const struct mt_family_row mt_families_identity[] = {
	{"meltemi_node_identity_good", MT_GAUGE, "boolean", "identity",
		"1: the newest certificate of the identity is in use and valid; absent: the node "
		"has no such identity; without a label the node's own, else one of "
		"spec.identities",
		collect_good, 0},
	{"meltemi_node_identity_left_seconds", MT_GAUGE, "seconds", "identity",
		"time until this node's certificate towards its peers expires; negative: expired",
		collect_left, 0},
	{"meltemi_node_roots_left_seconds", MT_GAUGE, "seconds", "identity",
		"time until the last of the roots that verify this node's peers expires",
		collect_roots, 0},
	{"meltemi_node_revocations_left_seconds", MT_GAUGE, "seconds", "identity",
		"time until the first revocation list expires; negative: peers with certificates "
		"of its authority are refused",
		collect_crls, 0},
	{"meltemi_node_identity_changes_total", MT_COUNTER, "changes", "identity",
		"certificates and roots that this node started to use", collect_changes, 0},
	{"meltemi_certificate_left_seconds", MT_GAUGE, "seconds", "certificate",
		"time until a certificate or revocation list expires that a Gateway, "
		"DestinationRule or BackendTLSPolicy names, by its file or Secret; negative: "
		"expired; looked at once a minute",
		collect_certificates, 0},
	{"meltemi_certificate_lifetime_seconds", MT_GAUGE, "seconds", "certificate",
		"whole lifetime of the certificates of meltemi_certificate_left_seconds",
		collect_lifetimes, 0},
	{"meltemi_tls_handshakes_total", MT_COUNTER, "handshakes", "event",
		"TLS handshakes by result; deferred: delayed because too many were running; "
		"stale: results for connections that were gone",
		collect_handshakes, 0},
	{0},
};
