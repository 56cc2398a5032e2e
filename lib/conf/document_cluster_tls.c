/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What documents say of TLS to a cluster's instances, in the words that discovery services have for it: DestinationRules, Istio's
 * own mutual TLS where nothing is said, BackendTLSPolicies.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

#include <string.h>

/* ---- which settings ---------------------------------------------------------------------------------- */

const struct mt_traffic_policy *mt_b_policy_of_port(
	const struct mt_traffic_policy *p, const struct mt_unit *u)
{
	for (uint32_t i = 0; p && i < p->n_ports; i++)
		if (p->ports[i].port.v.v == u->port->number.v)
			return &p->ports[i].policy;
	return NULL;
}

static const struct mt_tls_settings *written(const struct mt_traffic_policy *p)
{
	return p && p->tls && p->tls->mode.set ? p->tls : NULL;
}

const struct mt_tls_settings *mt_b_tls_settings(const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, const struct mt_meta **by)
{
	const struct mt_traffic_policy *top = h->rule ? h->rule->policy : NULL;
	const struct mt_traffic_policy *own = subset ? subset->policy : NULL;
	const struct mt_traffic_policy *top_port = mt_b_policy_of_port(top, u);
	const struct mt_tls_settings *tls = written(mt_b_policy_of_port(own, u));

	tls = tls ? tls : written(own);
	*by = tls && subset->by ? subset->by : h->rule ? &h->rule->meta : NULL;
	/* What the rule says of the port replaces all that it says. */
	if (!tls)
		tls = written(top_port ? top_port : top);
	/* DISABLE does not opt out of what protects the Service. */
	if (!u->port->tls_by || (tls && tls->mode.v != MT_TLS_DISABLE))
		return tls;
	*by = u->port->tls_by;
	return u->port->tls;
}

/* ---- by what certificates ---------------------------------------------------------------------------- */

static const char *file(struct mt_build *b, const char *format, const char *a, const char *more)
{
	const char *name = mt_region_printf(&b->tmp, format, a, more);

	return name ? name : "";
}

static void trust_by(
	struct mt_build *b, struct mt_res_tls *out, const struct mt_tls_settings *s, const char *ns)
{
	if (s->anybody.v)
		out->anybody = true;
	else if (s->credential.s && s->roots_of_secret)
		out->trust = file(b, "kubernetes://%s/%s", ns, s->credential.s);
	else if (s->credential.s)
		out->trust = file(b, "kubernetes://%s/%s-cacert", ns, s->credential.s);
	else if (s->crl.s)
		out->trust =
			file(b, "file-root:%s~%s", s->roots.s ? s->roots.s : "system", s->crl.s);
	else
		out->trust = file(b, "file-root:%s%s", s->roots.s ? s->roots.s : "system", "");
}

static void show(
	struct mt_build *b, struct mt_res_tls *out, const struct mt_tls_settings *s, const char *ns)
{
	if (s->mode.v != MT_TLS_MUTUAL)
		return;
	if (s->credential.s)
		out->certificate = file(b, "kubernetes://%s/%s", ns, s->credential.s);
	else if (s->chain.s && s->key.s)
		out->certificate = file(b, "file-cert:%s~%s", s->chain.s, s->key.s);
	else
		out->unmade = "MUTUAL needs clientCertificate and privateKey, or credentialName";
}

void mt_b_settings_tls(
	struct mt_build *b, const struct mt_tls_settings *s, const char *ns, struct mt_res_tls *out)
{
	static const char *const istio[] = {"istio"};

	*out = (struct mt_res_tls){
		.documents = true, .ns = ns, .unmade = s ? s->unmade : "no memory"};
	if (!s)
		return;
	out->origin = s->origin;
	out->sni = s->sni.s && *s->sni.s ? s->sni.s : NULL;
	if (s->mode.v == MT_TLS_ISTIO_MUTUAL) {
		out->certificate = MT_SECRET_OWN;
		out->trust = MT_SECRET_ROOTS;
		out->alpn = (const char **)istio;
		out->n_alpn = 1;
		return;
	}
	if (s->crl.s && s->credential.s)
		out->unmade = "caCrl goes with caCertificates: a Secret has its own (ca.crl)";
	trust_by(b, out, s, ns);
	show(b, out, s, ns);
}

/* ---- whom it accepts --------------------------------------------------------------------------------- */

static void accept(struct mt_build *b, struct mt_res_tls *out, const char *name)
{
	struct mt_res_san *slot;

	for (uint32_t i = 0; i < out->n_sans; i++)
		if (strcmp(out->sans[i].text, name) == 0)
			return;
	slot = mt_region_push(&b->tmp, (void **)&out->sans, &out->n_sans, sizeof(*slot));
	if (slot)
		*slot = (struct mt_res_san){name, false};
}

static void accept_account(struct mt_build *b, struct mt_res_tls *out, const char *domain,
	const char *ns, const char *sa)
{
	const char *name = mt_region_printf(&b->tmp, MT_SPIFFE "%s/ns/%s/sa/%s", domain, ns, sa);

	if (name)
		accept(b, out, name);
}

/* Of all instances, as istiod has them. */
static void accept_accounts(struct mt_build *b, struct mt_res_tls *out, const struct mt_host *h)
{
	const char *domains[MT_B_DOMAINS];
	uint32_t n = mt_b_trust_domains(b, domains);

	for (uint32_t i = 0; i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];
		const char *sa = w->service_account.s, *ns = mt_instance_meta(h, w)->ns;

		if (!sa || !*sa)
			continue;
		if (strncmp(sa, MT_SPIFFE, strlen(MT_SPIFFE)) == 0) {
			accept(b, out, sa);
			continue;
		}
		for (uint32_t k = 0; k < n; k++)
			accept_account(b, out, domains[k], ns, sa);
	}
}

static void accept_all(
	struct mt_build *b, struct mt_res_tls *out, const struct mt_text *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		accept(b, out, v[i].s);
}

static void set_sans(struct mt_build *b, const struct mt_host *h, const struct mt_tls_settings *s,
	bool istio, struct mt_res_tls *out)
{
	if (out->anybody)
		return;
	accept_all(b, out, s ? s->sans : NULL, s ? s->n_sans : 0);
	if (!out->n_sans)
		accept_all(b, out, h->se->sans, h->se->n_sans);
	if (!out->n_sans && istio)
		accept_accounts(b, out, h);
	else if (!out->n_sans && out->sni)
		accept(b, out, out->sni);
}

/* ---- all of it --------------------------------------------------------------------------------------- */

struct mt_res_tls *mt_b_document_tls(struct mt_build *b, const struct mt_host *h,
	const struct mt_unit *u, const struct mt_subset *subset)
{
	static const struct mt_tls_settings automatic = {
		.mode = {.v = MT_TLS_ISTIO_MUTUAL, .set = true}};
	const struct mt_meta *by;
	const struct mt_tls_settings *s = mt_b_tls_settings(h, u, subset, &by);
	struct mt_res_tls *out = mt_region_alloc(&b->tmp, sizeof(*out));
	bool istio = !by || !s || s->mode.v == MT_TLS_ISTIO_MUTUAL;

	if (!out)
		return NULL;
	mt_b_settings_tls(
		b, s || u->port->tls_by ? s : &automatic, by ? by->ns : h->se->meta.ns, out);
	if (istio && !out->sni)
		out->sni = mt_region_printf(&b->tmp, "outbound_.%u_.%s_.%s", u->port->number.v,
			subset ? subset->name.s : "", u->host);
	set_sans(b, h, s, istio, out);
	return b->tmp.failed ? NULL : out;
}

uint64_t mt_hash_tls(const struct mt_res_tls *t, uint64_t h)
{
	h = mt_hash_text(t->sni, mt_hash_text(t->trust, mt_hash_text(t->certificate, h)));
	for (uint32_t i = 0; i < t->n_sans; i++)
		h = mt_hash_text(t->sans[i].text, h);
	for (uint32_t i = 0; i < t->n_alpn; i++)
		h = mt_hash_text(t->alpn[i], h);
	h = mt_hash_u64((uint64_t)t->n_sans << 2 | (uint64_t)t->anybody << 1 | t->documents, h);
	return mt_hash_text(t->unmade, h);
}
