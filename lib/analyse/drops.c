/* SPDX-License-Identifier: Apache-2.0 */
/* Finds `tls` settings of DestinationRules that are not used because others replace them. */
#include "mt_analyse_priv.h"

#include <string.h>

static const char *mode_word(const struct mt_tls_settings *t)
{
	static const char *const words[] = {"DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"};

	return t && t->mode.set ? words[t->mode.v] : "none";
}

/*
 * True if instances are called without TLS that these settings ask for. With sidecars only
 * ISTIO_MUTUAL without auto mTLS counts, because otherwise the mesh's mutual TLS is used anyway.
 */
static bool is_lost(
	const struct mt_analysis *a, const struct mt_audit_row *r, const struct mt_tls_settings *t)
{
	if (!t || !t->mode.set || t->mode.v == MT_TLS_DISABLE)
		return false;
	return r->class != MT_INSTANCE_MESHED ||
	       (a->m->mesh.no_auto_mtls && t->mode.v == MT_TLS_ISTIO_MUTUAL);
}

/* ---- port settings replace host settings ----------------------------------------------------- */

static const struct mt_port_policy *port_of(const struct mt_traffic_policy *p, uint16_t port)
{
	for (uint32_t i = 0; p && i < p->n_ports; i++)
		if (p->ports[i].port.v.v == port)
			return &p->ports[i];
	return NULL;
}

static void check_port(struct mt_analysis *a, const struct mt_audit_row *r,
	const struct mt_meta *by, const struct mt_traffic_policy *p,
	const struct mt_tls_settings *tls)
{
	const struct mt_port_policy *port = port_of(p, r->port);

	if (port && !port->policy.tls && is_lost(a, r, tls))
		mt_an_found(a, MT_FINDING_ID_port_drops_tls, by, port->origin.line,
			"port %u of %s is called in plaintext: its settings have no `tls`, and %s "
			"of line %u does not apply to them",
			r->port, r->host, mode_word(tls), tls->mode.line);
}

/* ---- two rules for one host ------------------------------------------------------------------ */

static bool is_of_same_host(const struct mt_analysis *a, const struct mt_destination_rule *x,
	const struct mt_audit_row *r)
{
	char full[MT_MEANT_HOST];
	const char *name = mt_an_host(a, x->host.s, x->meta.ns, full);

	return name && strcmp(name, r->host) == 0;
}

static void check_joined(struct mt_analysis *a, const struct mt_audit_row *r,
	const struct mt_destination_rule *used, const struct mt_destination_rule *d)
{
	const struct mt_tls_settings *lost = mt_an_settings_of(d->policy, r->port),
				     *instead = mt_an_settings_of(r->policy, r->port);

	if (d == used || d->selector || used->selector || strcmp(d->meta.ns, used->meta.ns) != 0 ||
		!is_of_same_host(a, d, r) || !is_of_same_host(a, used, r) || !is_lost(a, r, lost) ||
		(instead && instead->mode.set && instead->mode.v == lost->mode.v))
		return;
	mt_an_found(a, MT_FINDING_ID_shadowed_object, &d->meta, lost->mode.line,
		"its trafficPolicy is not used for port %u of %s, nor its tls, %s: that of "
		"DestinationRule %s/%s applies, and its tls is %s",
		r->port, r->host, mode_word(lost), used->meta.ns, used->meta.name,
		mode_word(instead));
}

/* ---- rules that are not exported to clients here --------------------------------------------- */

static void check_export(
	struct mt_analysis *a, const struct mt_audit_row *r, const struct mt_destination_rule *d)
{
	const struct mt_object_row *row = mt_an_row(a, d->meta.serial);
	const struct mt_tls_settings *lost = mt_an_settings_of(d->policy, r->port);

	if (row && row->status == MT_OBJECT_NO_EFFECT && !d->selector &&
		strcmp(d->meta.ns, r->se->meta.ns) == 0 && is_of_same_host(a, d, r) &&
		is_lost(a, r, lost))
		mt_an_found(a, MT_FINDING_ID_not_exported, &d->meta, lost->mode.line,
			"%s is called without it, as it is not exported to namespace %s", r->host,
			a->m->mesh.ns ? a->m->mesh.ns : r->se->meta.ns);
}

static bool has_backend_tls(const struct mt_audit_row *r)
{
	for (uint32_t i = 0; i < r->se->n_ports; i++)
		if (r->se->ports[i].number.v == r->port && r->se->ports[i].tls_by)
			return true;
	return false;
}

/* A BackendTLSPolicy takes precedence over all DestinationRules. */
static void check_row(struct mt_analysis *a, const struct mt_audit_row *r)
{
	const struct mt_destination_rule *used = mt_an_rule_of(a, r->policy);
	bool none = !mt_an_settings_of(r->policy, r->port);

	if (has_backend_tls(r))
		return;
	if (used)
		check_port(a, r, &used->meta, r->policy, r->policy->tls);
	for (uint32_t i = 0; i < a->m->destination_rules.n; i++) {
		const struct mt_destination_rule *d = a->m->destination_rules.v[i];

		if (used)
			check_joined(a, r, used, d);
		if (none)
			check_export(a, r, d);
	}
}

void mt_an_drops(struct mt_analysis *a)
{
	const struct mt_audit *all = a->in->audit;

	for (uint32_t i = 0; a->m->destination_rules.n && i < all->n_rows; i++) {
		if (!mt_an_may(a, (uint64_t)a->m->destination_rules.n * MT_AN_WORD))
			return;
		check_row(a, &all->rows[i]);
	}
}
