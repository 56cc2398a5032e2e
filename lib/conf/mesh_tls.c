/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that filter chains of discovery services end: with the secrets that they name, for whom they say. */
#include "mt_conf_credentials_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_mesh_priv.h"

#include <errno.h>
#include <string.h>

#define ISTIO	      "istio"
#define PEER_EXCHANGE "istio-peer-exchange"

/* As they are said, but for what would put a prefix into the stream: who says that is of Istio's mesh, and gets its bytes. */
static bool set_protocols(struct mt_build *b, const struct mt_res_tls *tls, struct mt_tls_rules *r)
{
	const char **v = mt_region_alloc(&b->tmp, sizeof(*v) * (tls->n_alpn + 1));
	bool has_istio = false, exchange = false;

	if (!v)
		return false;
	for (uint32_t i = 0; i < tls->n_alpn; i++) {
		has_istio |= strcmp(tls->alpn[i], ISTIO) == 0;
		exchange |= strcmp(tls->alpn[i], PEER_EXCHANGE) == 0;
	}
	if (exchange && !has_istio)
		v[r->n_alpn++] = ISTIO;
	for (uint32_t i = 0; i < tls->n_alpn; i++)
		if (strcmp(tls->alpn[i], PEER_EXCHANGE) != 0)
			v[r->n_alpn++] = tls->alpn[i];
	r->alpn = v;
	return true;
}

static bool set_names(struct mt_build *b, const struct mt_res_tls *tls, struct mt_tls_rules *r)
{
	struct mt_tls_san *v = mt_region_alloc(&b->tmp, sizeof(*v) * (tls->n_sans + 1));

	for (uint32_t i = 0; v && i < tls->n_sans; i++)
		v[i] = (struct mt_tls_san){tls->sans[i].text, tls->sans[i].prefix};
	r->sans = v;
	r->n_sans = tls->n_sans;
	return v != NULL;
}

/* Whoever the mesh's own roots have signed is of one of its domains, and a member. */
static bool set_domains(struct mt_build *b, const struct mt_res_tls *tls, struct mt_tls_rules *r)
{
	const char **v = mt_region_alloc(&b->tmp, sizeof(*v) * MT_B_DOMAINS);

	if (v && tls->trust && strcmp(tls->trust, MT_SECRET_ROOTS) == 0)
		r->n_trust_domains = mt_b_trust_domains(b, v);
	r->trust_domains = v;
	return v != NULL;
}

/* Why it cannot be ended as it is said; NULL: it can. */
static const char *unmade(const struct mt_res_tls *tls)
{
	if (tls->unmade)
		return tls->unmade;
	if (!tls->certificate)
		return "it names no certificate";
	if (tls->client_certificate && !tls->trust)
		return "it requests clients' certificates, and does not specify which are trusted";
	return NULL;
}

struct mt_tls_context *mt_mesh_end(
	struct mt_build *b, const struct mt_res_tls *tls, struct mt_err *e)
{
	struct mt_tls_rules r = {.role = MT_TLS_SERVER, .tickets = true};
	const char *why = unmade(tls);
	struct mt_conf_credential *with = why ? NULL : mt_b_credential(b, tls);

	if (!with || !with->credential) {
		mt_err(e, -ENOENT, "%s", why ? why : with ? with->why.text : "no memory");
		return NULL;
	}
	r.credential = with->credential;
	r.min_version = tls->min_version;
	r.max_version = tls->max_version;
	/* One that is not asked for is verified where it could be, as in Envoy. */
	r.trust = tls->client_certificate ? MT_TLS_VERIFIED
		  : tls->trust		  ? MT_TLS_IF_SHOWN
					  : MT_TLS_ANYBODY;
	if (!set_protocols(b, tls, &r) || !set_names(b, tls, &r) || !set_domains(b, tls, &r)) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	return mt_b_server_context(b, &r, e);
}
