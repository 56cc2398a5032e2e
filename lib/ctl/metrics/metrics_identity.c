/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the node's identities and of TLS handshakes. */
#include "mt_ctl_events_priv.h"
#include "mt_ctl_metrics_priv.h"
#include "mt_tls_pool.h"

#include <string.h>

/* The node's own identity has no label, for compatibility. */
static void sample(struct mt_sink *out, const struct mt_family *f,
	const struct mt_ctl_identity *who, double value)
{
	const struct mt_label l = {"identity", who->held_for};

	mt_sample(out, f, who->held_for ? &l : NULL, who->held_for != NULL, value);
}

static uint32_t collect_left(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++)
		if (who.credential)
			sample(out, f, &who, (double)mt_ctl_until(c, who.credential->not_after));
	return 0;
}

static uint32_t collect_roots(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	struct mt_credential_root root;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++) {
		int64_t last = 0;

		if (!who.credential)
			continue;
		for (uint32_t k = 0; mt_credential_root(who.credential, k, &root); k++)
			last = MT_MAX(last, root.not_after);
		sample(out, f, &who, (double)mt_ctl_until(c, last));
	}
	return 0;
}

/* Validity of the list that ends first. */
static uint32_t collect_crls(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	struct mt_credential_crl crl;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++) {
		int64_t first = INT64_MAX;

		for (uint32_t k = 0; who.credential && mt_credential_crl(who.credential, k, &crl);
			k++)
			first = MT_MIN(first, crl.next_update);
		if (first != INT64_MAX)
			sample(out, f, &who, (double)mt_ctl_until(c, first));
	}
	return 0;
}

static uint32_t collect_good(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++)
		if (who.credential || who.wanted)
			sample(out, f, &who, strcmp(mt_ctl_identity_state(c, &who), "good") == 0);
	return 0;
}

static uint32_t collect_changes(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++)
		if (who.credential || who.wanted)
			sample(out, f, &who, who.changes);
	return 0;
}

static uint64_t sum_of(const struct mt_ctl *c, size_t offset)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < c->env.n_workers; i++)
		sum += mt_count_read(
			(const uint64_t *)((const char *)mt_tls_pool_lane(c->env.handshakes, i) +
					   offset));
	return sum;
}

static uint32_t collect_handshakes(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
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
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;

	for (size_t i = 0; c->env.handshakes && i < MT_ARRAY_LEN(all); i++) {
		const struct mt_label l = {"event", all[i].event};

		mt_sample(out, f, &l, 1, (double)sum_of(c, all[i].offset));
	}
	return 0;
}

static uint32_t certificates(const struct mt_ctl *c, struct mt_sink *out, const struct mt_family *f,
	uint32_t pos, bool left)
{
	const struct mt_cert_look *x = NULL;

	while (!mt_sink_full(out) && (x = mt_events_certificate_next(c, &pos)) != NULL) {
		const struct mt_label l = {"certificate", x->name};

		mt_sample(out, f, &l, 1,
			(double)(left ? mt_ctl_until(c, x->not_after)
				      : x->not_after - x->not_before));
	}
	return x ? pos : 0;
}

static uint32_t collect_certificates(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	return certificates(((const struct mt_ctl_family *)arg)->c, out, f, pos, true);
}

static uint32_t collect_lifetimes(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	return certificates(((const struct mt_ctl_family *)arg)->c, out, f, pos, false);
}

const struct mt_family_row mt_families_identity[] = {
	{{"meltemi_node_identity_good", MT_GAUGE, "boolean", "identity",
		 "1: the newest certificate of the identity is in use and valid; absent: the node "
		 "has no such identity; without a label the node's own, else one of "
		 "spec.identities",
		 collect_good, NULL},
		0},
	{{"meltemi_node_identity_left_seconds", MT_GAUGE, "seconds", "identity",
		 "time until this node's certificate towards its peers expires; negative: expired",
		 collect_left, NULL},
		0},
	{{"meltemi_node_roots_left_seconds", MT_GAUGE, "seconds", "identity",
		 "time until the last of the roots that verify this node's peers expires",
		 collect_roots, NULL},
		0},
	{{"meltemi_node_revocations_left_seconds", MT_GAUGE, "seconds", "identity",
		 "time until the first revocation list expires; negative: peers with certificates "
		 "of its authority are refused",
		 collect_crls, NULL},
		0},
	{{"meltemi_node_identity_changes_total", MT_COUNTER, "changes", "identity",
		 "certificates and roots that this node started to use", collect_changes, NULL},
		0},
	{{"meltemi_certificate_left_seconds", MT_GAUGE, "seconds", "certificate",
		 "time until a certificate expires that a Gateway, DestinationRule or "
		 "BackendTLSPolicy names, by its file or Secret; negative: expired; looked at once "
		 "a minute",
		 collect_certificates, NULL},
		0},
	{{"meltemi_certificate_lifetime_seconds", MT_GAUGE, "seconds", "certificate",
		 "whole lifetime of the certificates of meltemi_certificate_left_seconds",
		 collect_lifetimes, NULL},
		0},
	{{"meltemi_tls_handshakes_total", MT_COUNTER, "handshakes", "event",
		 "TLS handshakes by result; deferred: delayed because too many were running; "
		 "stale: results for connections that were gone",
		 collect_handshakes, NULL},
		0},
	{{0}, 0},
};
