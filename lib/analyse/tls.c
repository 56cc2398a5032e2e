/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the TLS that PeerAuthentications and DestinationRules require with what instances
 * accept.
 */
#include "mt_analyse_priv.h"

#include <string.h>

#define SCHEME "spiffe://"

/* ---- exceptions to STRICT -------------------------------------------------------------------- */

static const struct mt_peer_authentication *peers_of(
	const struct mt_analysis *a, const struct mt_meta *meta)
{
	for (uint32_t i = 0; meta && i < a->m->peer_authentications.n; i++) {
		const struct mt_peer_authentication *p = a->m->peer_authentications.v[i];

		if (p->meta.serial == meta->serial)
			return p;
	}
	return NULL;
}

static bool selects(const struct mt_peer_authentication *p)
{
	return p->scope.selector && p->scope.selector->labels.n_kv;
}

/* 0: for workloads, 1: for a namespace, 2: for the mesh. */
static int width(const struct mt_analysis *a, const struct mt_peer_authentication *p)
{
	return selects(p) ? 0 : strcmp(p->meta.ns, a->in->audit->root_ns) == 0 ? 2 : 1;
}

static const struct mt_port_mtls *port_of(const struct mt_peer_authentication *p, uint16_t port)
{
	for (uint32_t i = 0; i < p->n_ports; i++)
		if (p->ports[i].port == port && p->ports[i].mtls.mode.v != MT_MTLS_UNSET)
			return &p->ports[i];
	return NULL;
}

/*
 * The next wider PeerAuthentication with a mode for this instance, if that mode is STRICT;
 * otherwise NULL.
 */
static const struct mt_peer_authentication *wider(
	const struct mt_analysis *a, const struct mt_audit_row *r, int than)
{
	const struct mt_peer_authentication *best = NULL;

	for (uint32_t i = 0; i < a->m->peer_authentications.n; i++) {
		const struct mt_peer_authentication *p = a->m->peer_authentications.v[i];
		int w = width(a, p);

		if (w <= than || p->mtls.mode.v == MT_MTLS_UNSET ||
			(w == 1 && strcmp(p->meta.ns, r->of->ns) != 0))
			continue;
		if (!best || w < width(a, best))
			best = p;
	}
	return best && best->mtls.mode.v == MT_MTLS_STRICT ? best : NULL;
}

static const char *mode_word(uint8_t mode)
{
	static const char *const words[] = {"UNSET", "DISABLE", "PERMISSIVE", "STRICT"};

	return words[mode];
}

static void check_mode(struct mt_analysis *a, const struct mt_audit_row *r)
{
	const struct mt_peer_authentication *p, *strict;
	const struct mt_port_mtls *port;
	enum mt_finding_id id;

	if (r->class == MT_INSTANCE_OUTSIDE ||
		(r->mode != MT_MTLS_PERMISSIVE && r->mode != MT_MTLS_DISABLE) ||
		!mt_an_may(a, 2 * (uint64_t)a->m->peer_authentications.n))
		return;
	p = peers_of(a, r->mode_by);
	if (!p)
		return;
	port = selects(p) ? port_of(p, r->server_port) : NULL;
	strict = port && p->mtls.mode.v == MT_MTLS_STRICT ? p : wider(a, r, width(a, p));
	if (!strict)
		return;
	id = mt_an_goes_by_address(r->rules) ? MT_FINDING_ID_plain_exception
					     : MT_FINDING_ID_plain_override;
	if (port)
		mt_an_found(a, id, &p->meta, port->mtls.mode.line,
			"port %u of %s is %s, where %s/%s has STRICT", r->server_port, r->host,
			mode_word(r->mode), strict->meta.ns, strict->meta.name);
	else
		mt_an_found(a, id, &p->meta, p->mtls.mode.line, "%s is %s, where %s/%s has STRICT",
			r->host, mode_word(r->mode), strict->meta.ns, strict->meta.name);
}

/*
 * True if an instance that `p` selects has this port: a port of the workload, not of the service.
 * *any: `p` selects an instance.
 */
static bool has_port(const struct mt_analysis *a, const struct mt_peer_authentication *p,
	uint16_t port, bool *any)
{
	for (uint32_t i = 0; i < a->in->audit->n_rows; i++) {
		const struct mt_audit_row *r = &a->in->audit->rows[i];

		if (strcmp(r->of->ns, p->meta.ns) != 0 ||
			!mt_labels_match(&p->scope.selector->labels, &r->labels))
			continue;
		*any = true;
		if (r->server_port == port)
			return true;
	}
	return false;
}

/* A container may have ports to which no service routes. */
static bool is_of_container(
	const struct mt_analysis *a, const struct mt_peer_authentication *p, uint16_t port)
{
	for (uint32_t i = 0; i < a->m->pods.n; i++) {
		const struct mt_kube_pod *pod = a->m->pods.v[i];

		if (strcmp(pod->meta.ns, p->meta.ns) != 0 ||
			!mt_labels_match(&p->scope.selector->labels, &pod->meta.labels))
			continue;
		for (uint32_t k = 0; k < pod->spec.n_containers; k++)
			for (uint32_t n = 0; n < pod->spec.containers[k].n_ports; n++)
				if (pod->spec.containers[k].ports[n].number.v == port)
					return true;
	}
	return false;
}

/*
 * Reports a PeerAuthentication without any mode: the wider one applies, as it would without this
 * one.
 */
static void check_says(struct mt_analysis *a, const struct mt_peer_authentication *p)
{
	bool says = p->mtls.mode.v != MT_MTLS_UNSET;

	for (uint32_t i = 0; i < p->n_ports; i++)
		says |= p->ports[i].mtls.mode.v != MT_MTLS_UNSET;
	if (!says)
		mt_an_found(a, MT_FINDING_ID_no_mode, &p->meta, p->mtls.mode.line,
			"it has no mode, so what is wider holds: PERMISSIVE, if nothing is");
}

static void check_ports(struct mt_analysis *a, const struct mt_peer_authentication *p)
{
	if (p->n_ports && !selects(p)) {
		mt_an_found(a, MT_FINDING_ID_ports_without_selector, &p->meta,
			p->ports[0].mtls.mode.line, "port %u: without a selector it has no effect",
			p->ports[0].port);
		return;
	}
	for (uint32_t i = 0; i < p->n_ports; i++) {
		bool any = false;

		if (!mt_an_may(a, (uint64_t)a->in->audit->n_rows + a->m->pods.n))
			return;
		if (has_port(a, p, p->ports[i].port, &any) || !any || a->mesh ||
			is_of_container(a, p, p->ports[i].port) ||
			mt_an_has_templates(a, p->meta.ns))
			continue;
		mt_an_found(a, MT_FINDING_ID_unknown_port, &p->meta, p->ports[i].mtls.mode.line,
			"nothing that it selects has port %u", p->ports[i].port);
	}
}

/* ---- DestinationRules ------------------------------------------------------------------------ */

const struct mt_destination_rule *mt_an_rule_of(
	const struct mt_analysis *a, const struct mt_traffic_policy *p)
{
	for (uint32_t i = 0; p && i < a->m->destination_rules.n; i++) {
		const struct mt_destination_rule *d = a->m->destination_rules.v[i];

		if (d->policy == p)
			return d;
	}
	return NULL;
}

static const struct mt_meta *rule_of(const struct mt_analysis *a, const struct mt_audit_row *r)
{
	const struct mt_destination_rule *d = mt_an_rule_of(a, r->policy);

	return d ? &d->meta : &r->se->meta;
}

/* Settings for the port replace those for the host. */
const struct mt_tls_settings *mt_an_settings_of(const struct mt_traffic_policy *p, uint16_t port)
{
	for (uint32_t i = 0; p && i < p->n_ports; i++)
		if (p->ports[i].port.v.v == port)
			return p->ports[i].policy.tls;
	return p ? p->tls : NULL;
}

static void check_disable(struct mt_analysis *a, const struct mt_audit_row *r,
	const struct mt_tls_settings *t, const struct mt_meta *by)
{
	if (r->mode == MT_MTLS_STRICT)
		mt_an_found(a, MT_FINDING_ID_tls_refused, by, t->mode.line,
			"endpoints of %s require mutual TLS (PeerAuthentication %s/%s), and are "
			"called in plaintext",
			r->host, r->mode_by->ns, r->mode_by->name);
	else if (r->mode != MT_MTLS_DISABLE)
		mt_an_found(a, MT_FINDING_ID_plain_instance, by, t->mode.line,
			"endpoints of %s have proxies of their own", r->host);
}

static void check_rule(struct mt_analysis *a, const struct mt_audit_row *r,
	const struct mt_tls_settings *t, const struct mt_meta *by)
{
	static const char *const words[] = {"DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"};
	bool meshed = r->class == MT_INSTANCE_MESHED,
	     foreign = t->mode.v == MT_TLS_SIMPLE || t->mode.v == MT_TLS_MUTUAL;

	if (meshed && t->mode.v == MT_TLS_DISABLE)
		check_disable(a, r, t, by);
	else if (meshed && foreign && r->mode == MT_MTLS_STRICT)
		mt_an_found(a, MT_FINDING_ID_tls_refused, by, t->mode.line,
			"endpoints of %s require the mesh's mutual TLS (PeerAuthentication %s/%s), "
			"and are called by %s",
			r->host, r->mode_by->ns, r->mode_by->name, words[t->mode.v]);
	else if (meshed && foreign)
		mt_an_found(a, MT_FINDING_ID_tls_foreign, by, t->mode.line,
			"endpoints of %s have proxies that speak the mesh's mutual TLS, and are "
			"called by %s",
			r->host, words[t->mode.v]);
	else if (r->class == MT_INSTANCE_BARE && t->mode.v == MT_TLS_ISTIO_MUTUAL)
		mt_an_found(a, MT_FINDING_ID_tls_foreign, by, t->mode.line,
			"endpoints of %s have no proxies that would end mutual TLS", r->host);
}

/* Without auto mTLS, callers use mutual TLS only if a rule requires it. */
static void check_no_auto(struct mt_analysis *a, const struct mt_audit_row *r)
{
	static const char why[] =
		"MeshConfig has enableAutoMtls: false, and no DestinationRule sets ISTIO_MUTUAL";

	if (!a->m->mesh.no_auto_mtls || r->class != MT_INSTANCE_MESHED)
		return;
	if (r->mode == MT_MTLS_STRICT)
		mt_an_found(a, MT_FINDING_ID_tls_refused, &r->se->meta, 0,
			"endpoints of %s require mutual TLS (PeerAuthentication %s/%s), and are "
			"called in plaintext: %s",
			r->host, r->mode_by ? r->mode_by->ns : "",
			r->mode_by ? r->mode_by->name : "", why);
	else if (r->mode != MT_MTLS_DISABLE)
		mt_an_found(a, MT_FINDING_ID_plain_instance, &r->se->meta, 0,
			"endpoints of %s have proxies of their own: %s", r->host, why);
}

/* ---- trust ----------------------------------------------------------------------------------- */

/* Steps to compare each row with each host that a document affects. */
static uint64_t cost_of_touches(const struct mt_analysis *a, const struct mt_object_row *row)
{
	return (uint64_t)a->in->audit->n_rows * (row ? row->n_touches + 1 : 1);
}

static bool has_outside(struct mt_analysis *a, const struct mt_destination_rule *d)
{
	const struct mt_object_row *row = mt_an_row(a, d->meta.serial);

	if (!mt_an_may(a, a->in->table->n + cost_of_touches(a, row)))
		return false;
	for (uint32_t i = 0; row && i < a->in->audit->n_rows; i++) {
		const struct mt_audit_row *r = &a->in->audit->rows[i];

		for (uint32_t k = 0; r->class == MT_INSTANCE_OUTSIDE && k < row->n_touches; k++)
			if (strcmp(row->touches[k], r->host) == 0 && !r->se->n_sans)
				return true;
	}
	return false;
}

static void check_trust(
	struct mt_analysis *a, const struct mt_destination_rule *d, const struct mt_tls_settings *t)
{
	bool own = t && t->mode.set && (t->mode.v == MT_TLS_SIMPLE || t->mode.v == MT_TLS_MUTUAL);
	/* Without subjectAltNames the certificate must have the name of `sni`. */
	bool names = own && (t->n_sans || (t->sni.s && *t->sni.s));
	bool roots = own && (t->credential.s || (t->roots.s && strcmp(t->roots.s, "system") != 0));

	if (own && t->anybody.v)
		mt_an_found(a, MT_FINDING_ID_skip_verify, &d->meta, t->anybody.line,
			"the certificate of %s is not looked at", d->host.s);
	else if (own && !roots && !names && has_outside(a, d))
		mt_an_found(a, MT_FINDING_ID_unnamed_tls, &d->meta, t->mode.line,
			"of %s any certificate will do that an authority of this machine has "
			"signed",
			d->host.s);
}

static void check_trust_in(struct mt_analysis *a, const struct mt_destination_rule *d,
	const struct mt_traffic_policy *p)
{
	if (!p)
		return;
	check_trust(a, d, p->tls);
	for (uint32_t i = 0; i < p->n_ports; i++)
		check_trust(a, d, p->ports[i].policy.tls);
}

static void check_trusts(struct mt_analysis *a, const struct mt_destination_rule *d)
{
	check_trust_in(a, d, d->policy);
	for (uint32_t i = 0; i < d->n_subsets; i++)
		check_trust_in(a, d, d->subsets[i].policy);
}

static bool is_about(const struct mt_object_row *row, const char *host)
{
	for (uint32_t i = 0; row && i < row->n_touches; i++)
		if (strcmp(row->touches[i], host) == 0)
			return true;
	return false;
}

/* Settings of a subset replace those of its rule. */
static void check_subsets(struct mt_analysis *a, const struct mt_destination_rule *d)
{
	const struct mt_object_row *row = d->n_subsets ? mt_an_row(a, d->meta.serial) : NULL;

	if (!d->n_subsets ||
		!mt_an_may(a, a->in->table->n + d->n_subsets * cost_of_touches(a, row)))
		return;
	for (uint32_t i = 0; i < d->n_subsets; i++)
		for (uint32_t k = 0; d->subsets[i].policy && k < a->in->audit->n_rows; k++) {
			const struct mt_audit_row *r = &a->in->audit->rows[k];
			const struct mt_tls_settings *t =
				mt_an_settings_of(d->subsets[i].policy, r->port);

			if (t && t->mode.set && row && row->status <= MT_OBJECT_NOTES &&
				is_about(row, r->host) &&
				mt_labels_match(&d->subsets[i].labels, &r->labels))
				check_rule(a, r, t, &d->meta);
		}
}

/* ---- names in certificates ------------------------------------------------------------------- */

static bool all_are_ids(const struct mt_text *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (strncmp(v[i].s, SCHEME, strlen(SCHEME)) != 0)
			return false;
	return n > 0;
}

/*
 * True if one of the names is the instance's account, in any trust domain, or is not of the mesh's
 * form.
 */
static bool names_account(
	struct mt_analysis *a, const struct mt_text *v, uint32_t n, const struct mt_audit_row *r)
{
	const char *account = r->account, *want;

	want = strstr(account, "/ns/");
	want = want ? want : mt_region_printf(&a->region, "/ns/%s/sa/%s", r->of->ns, account);
	for (uint32_t i = 0; want && i < n; i++) {
		const char *ns = strstr(v[i].s + strlen(SCHEME), "/ns/");

		if (!ns || strcmp(ns, want) == 0)
			return true;
	}
	return !want;
}

/* True if the accounts of all instances of the host are known, and no name is one of them. */
static bool fits_nobody(
	struct mt_analysis *a, const char *host, const struct mt_text *v, uint32_t n)
{
	bool any = false;

	if (!all_are_ids(v, n) || !mt_an_may(a, (uint64_t)a->in->audit->n_rows * (1 + n)))
		return false;
	for (uint32_t i = 0; i < a->in->audit->n_rows; i++) {
		const struct mt_audit_row *r = &a->in->audit->rows[i];

		if (strcmp(r->host, host) != 0)
			continue;
		if (!r->account || names_account(a, v, n, r))
			return false;
		any = true;
	}
	return any;
}

static void check_names(struct mt_analysis *a, const struct mt_audit_row *r,
	const struct mt_tls_settings *t, const struct mt_meta *by)
{
	if (t && t->mode.v >= MT_TLS_MUTUAL && fits_nobody(a, r->host, t->sans, t->n_sans))
		mt_an_found(a, MT_FINDING_ID_sans_of_nobody, by, t->sans[0].line,
			"none of the endpoints of %s has the account of %s", r->host, t->sans[0].s);
	if (r->class == MT_INSTANCE_MESHED && fits_nobody(a, r->host, r->se->sans, r->se->n_sans))
		mt_an_found(a, MT_FINDING_ID_sans_of_nobody, &r->se->meta, r->se->sans[0].line,
			"none of the endpoints of %s has the account of %s", r->host,
			r->se->sans[0].s);
}

void mt_an_tls(struct mt_analysis *a)
{
	const struct mt_audit *all = a->in->audit;
	const struct mt_meta *by = NULL;

	for (uint32_t i = 0; i < a->m->peer_authentications.n; i++) {
		check_says(a, a->m->peer_authentications.v[i]);
		check_ports(a, a->m->peer_authentications.v[i]);
	}
	for (uint32_t i = 0; i < a->m->destination_rules.n; i++) {
		check_subsets(a, a->m->destination_rules.v[i]);
		check_trusts(a, a->m->destination_rules.v[i]);
	}
	for (uint32_t i = 0; i < all->n_rows; i++) {
		const struct mt_audit_row *r = &all->rows[i];
		const struct mt_tls_settings *t = mt_an_settings_of(r->policy, r->port);

		/* Rows of one service are adjacent. */
		if (t && (!by || all->rows[i - 1].policy != r->policy)) {
			if (!mt_an_may(a, a->m->destination_rules.n))
				return;
			by = rule_of(a, r);
		}
		check_mode(a, r);
		if (t && t->mode.set)
			check_rule(a, r, t, by);
		else
			check_no_auto(a, r);
		/* Check each service once. */
		if (i == 0 || strcmp(all->rows[i - 1].host, r->host) != 0)
			check_names(a, r, t, by);
	}
}
